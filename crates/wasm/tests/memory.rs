// SPDX-License-Identifier: AGPL-3.0-or-later
//! Each pointer and length of each call, at and beyond the edges of a memory that grows: what reaches outside is a
//! fault, what does not is none, and nothing changes but what the call is there to write.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{DocumentedCall, With, World, documented_calls};
use hearth_process::{ExitKind, ExitReason};
use hearth_wasm::Request;
use std::fmt::Write;

const PAGE: u64 = 65_536;

/// A range that a call is given.
#[derive(Clone, Copy, Debug)]
struct Range {
    /// Which parameter is the pointer.
    ptr: usize,
    /// Which one is the length; without one it is that of an id.
    len: Option<usize>,
    /// Whether it is for the call to write.
    is_room: bool,
}

/// A call, its parameters' names, and the ranges among them.
struct Call {
    documented: DocumentedCall,
    names: Vec<String>,
    ranges: Vec<Range>,
}

/// All calls that are given a range, as the contract's document has them.
fn calls() -> Vec<Call> {
    let text = include_str!("../../../docs/formats/guest.md");
    let all = documented_calls().into_iter().map(|documented| {
        let start = format!("\n| `{}(", documented.1);
        let (_, rest) = text.split_once(&start).unwrap();
        let (params, _) = rest.split_once(')').unwrap();
        let names: Vec<String> =
            params.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let mut ranges = Vec::new();
        for (ptr, name) in names.iter().enumerate().filter(|(_, name)| name.ends_with("ptr")) {
            let is_id = name.ends_with("id ptr");
            let next = names.get(ptr + 1).map_or("", String::as_str);
            let is_cap = next == "cap";
            assert!(is_id || is_cap || next.ends_with("len"), "{}: {name} has no length", documented.1);
            let is_room = is_cap || name.starts_with("out:") || documented.1 == "random";
            ranges.push(Range { ptr, len: (!is_id).then_some(ptr + 1), is_room });
        }
        Call { documented, names, ranges }
    });
    all.filter(|call| !call.ranges.is_empty()).collect()
}

/// Pointers and lengths of a memory of so many bytes, and whether they are inside of it.
fn edges(end: u64) -> Vec<(u64, u64, bool)> {
    let max = u64::from(u32::MAX);
    let pairs = [
        (0, 0),
        (0, end),
        (0, end + 1),
        (64, 48),
        (PAGE - 1, 1),
        (PAGE - 1, 2),
        (PAGE, 0),
        (PAGE, 1),
        (end - 32, 32),
        (end - 31, 32),
        (end - 1, 1),
        (end - 1, 2),
        (end, 0),
        (end, 1),
        (end + 1, 0),
        (1, max),
        (1 << 31, 0),
        (1 << 31, 1 << 31),
        (max, 0),
        (max, 1),
        (max, max),
    ];
    pairs.into_iter().map(|(ptr, len)| (ptr, len, ptr + len <= end)).collect()
}

impl Call {
    fn name(&self) -> &str {
        &self.documented.1
    }

    /// The call with these ranges, given by the numbers of their parameters.
    fn text(&self, numbers: &[(usize, u64)]) -> String {
        let mut text = format!("(call ${}", self.name());
        for (n, (name, ty)) in self.names.iter().zip(&self.documented.2).enumerate() {
            let given = numbers.iter().find(|(param, _)| *param == n).map(|(_, number)| *number);
            let usual = match name.split(':').next().unwrap() {
                "entity" => 40,
                "peer" => 5,
                "terminal" => 7,
                // Nobody.
                "to" | "who" => 1 << 40,
                "level" | "kind" | "tag" => 1,
                _ => 0,
            };
            match ty.as_str() {
                "i32" => write!(text, " (i32.const {})", given.unwrap_or(usual) as u32 as i32).unwrap(),
                _ => write!(text, " (i64.const {})", given.unwrap_or(usual) as i64).unwrap(),
            }
        }
        text.push(')');
        match self.documented.3.as_deref() {
            Some("i64") => format!("(i32.wrap_i64 {text})"),
            _ => text,
        }
    }

    /// Numbers for all ranges: one of them so, the others inside.
    fn numbers(&self, which: usize, ptr: u64, len: u64) -> Vec<(usize, u64)> {
        let mut numbers = Vec::new();
        for (n, range) in self.ranges.iter().enumerate() {
            let (ptr, len) = if n == which { (ptr, len) } else { (4096, 2) };
            numbers.push((range.ptr, ptr));
            numbers.extend(range.len.map(|param| (param, len)));
        }
        numbers
    }
}

/// A guest that looks at its memory around each of these calls: what may change, the call, and its result, if that is
/// known.
fn looking(cases: &[String]) -> String {
    format!(
        r#"(global $lo (mut i32) (i32.const 0)) (global $hi (mut i32) (i32.const 0)) (global $before (mut i64) (i64.const 0))
        (func $end (result i32) (i32.mul (memory.size) (i32.const 65536)))
        (func $sum (param $h i64) (param $from i32) (param $to i32) (result i64)
          (loop $words
            (if (i32.le_u (i32.add (local.get $from) (i32.const 8)) (local.get $to)) (then
              (local.set $h (i64.mul (i64.xor (i64.rotl (local.get $h) (i64.const 5)) (i64.load (local.get $from)))
                (i64.const 0x517cc1b727220a95)))
              (local.set $from (i32.add (local.get $from) (i32.const 8)))
              (br $words))))
          (loop $bytes
            (if (i32.lt_u (local.get $from) (local.get $to)) (then
              (local.set $h (i64.mul (i64.xor (i64.rotl (local.get $h) (i64.const 5)) (i64.load8_u (local.get $from)))
                (i64.const 0x517cc1b727220a95)))
              (local.set $from (i32.add (local.get $from) (i32.const 1)))
              (br $bytes))))
          (local.get $h))
        (func $rest (result i64)
          (call $sum (call $sum (i64.const 1) (i32.const 0) (global.get $lo)) (global.get $hi) (call $end)))
        (func $look (param $lo i32) (param $hi i32)
          ;; Something to take, for the calls that take.
          (drop (call $send (call $self) (i32.const 0) (i32.const 8)))
          (memory.fill (i32.const 0) (i32.const 97) (call $end))
          (global.set $lo (local.get $lo))
          (global.set $hi (local.get $hi))
          (global.set $before (call $rest)))
        (func $fault (param $case i32) (param $result i32)
          (call $check32 (local.get $case) (local.get $result) (i32.const -1))
          (call $same (local.get $case)))
        (func $fine (param $case i32) (param $result i32)
          (call $check32 (local.get $case) (i32.eq (local.get $result) (i32.const -1)) (i32.const 0))
          (call $check32 (local.get $case) (i32.lt_s (local.get $result) (i32.const -14)) (i32.const 0))
          (call $same (local.get $case)))
        (func $same (param $case i32)
          (call $check (local.get $case) (call $rest) (global.get $before)))
        (func (export "start")
          ;; What it is linked with ends, since nobody has its module.
          (drop (call $trap_exits (i32.const 1)))
          {})"#,
        cases.concat()
    )
}

#[tokio::test]
async fn ranges_at_all_edges() {
    let world = World::new();
    let mut tried = 0;
    for call in calls() {
        if ["exit", "exit_with"].contains(&call.name()) {
            continue;
        }
        let (mut cases, mut told) = (Vec::new(), Vec::new());
        for pages in [1, 2] {
            let end = pages * PAGE;
            if pages == 2 {
                cases.push("(drop (memory.grow (i32.const 1)))".to_owned());
            }
            for (which, range) in call.ranges.iter().enumerate() {
                for (ptr, len, is_inside) in edges(end) {
                    let (len, is_inside) = match range.len {
                        Some(_) => (len, is_inside),
                        None => (32, ptr + 32 <= end),
                    };
                    // What the others may write as well is inside.
                    let room = |range: &Range, ptr: u64, len: u64| range.is_room.then_some((ptr, ptr + len));
                    let (lo, hi) = call
                        .ranges
                        .iter()
                        .enumerate()
                        .find_map(|(n, range)| match n == which {
                            true => is_inside.then(|| room(range, ptr, len)).flatten(),
                            false => room(range, 4096, range.len.map_or(32, |_| 2)).filter(|_| is_inside),
                        })
                        .unwrap_or((0, 0));
                    let wanted = if is_inside { "fine" } else { "fault" };
                    let text = call.text(&call.numbers(which, ptr, len));
                    let case = told.len();
                    cases.push(format!(
                        "(call $look (i32.const {lo}) (i32.const {hi})) (call ${wanted} (i32.const {case}) {text})\n"
                    ));
                    told.push(format!("{pages} pages, {wanted}, {text}"));
                }
            }
        }
        tried += told.len();
        let with = With { args: vec![b"some".to_vec(), vec![7; 40]], ..With::default() };
        let reason = world.run_with(&looking(&cases), with).await;
        // The reason begins with the number of the case.
        let case = reason.text.split(':').next().and_then(|number| number.parse::<usize>().ok());
        assert_eq!(reason, ExitReason::normal(), "{}: {:?}", call.name(), case.map(|case| &told[case]));
    }
    assert!(tried > 1500, "{tried} cases were tried");
}

#[tokio::test]
async fn ranges_that_lie_over_one_another() {
    let world = World::new();
    for call in calls().into_iter().filter(|call| call.ranges.len() > 1) {
        let (mut cases, mut told) = (Vec::new(), Vec::new());
        for apart in [0, 1, 8, 31] {
            let mut numbers = Vec::new();
            let mut written = (0, 0);
            for (n, range) in call.ranges.iter().enumerate() {
                let ptr = 64 + n as u64 * apart;
                numbers.push((range.ptr, ptr));
                numbers.extend(range.len.map(|param| (param, 40)));
                if range.is_room {
                    written = (ptr, ptr + 32);
                }
            }
            let text = call.text(&numbers);
            let (case, (lo, hi)) = (told.len(), written);
            cases.push(format!(
                "(call $look (i32.const {lo}) (i32.const {hi})) (call $fine (i32.const {case}) {text})\n"
            ));
            told.push(text);
        }
        let reason = world.run(&looking(&cases)).await;
        assert_eq!(reason, ExitReason::normal(), "{}: {told:?}", call.name());
    }
    // What becomes a lump is what was there before its id was written over it.
    let stored = world.peer.asked.lock().clone().into_iter().filter_map(|(_, request)| match request {
        Request::LumpPut { id, bytes } => Some((id.0, bytes)),
        _ => None,
    });
    let stored: Vec<_> = stored.collect();
    assert_eq!(stored.len(), 4);
    assert!(
        stored.iter().all(|(id, bytes)| bytes[..] == [b'a'; 40] && *id == *blake3::hash(bytes).as_bytes())
    );
}

#[tokio::test]
async fn ends_with_reasons_from_everywhere() {
    let world = World::new();
    for call in calls().into_iter().filter(|call| ["exit", "exit_with"].contains(&call.name())) {
        for (ptr, len, is_inside) in edges(PAGE) {
            let text = call.text(&call.numbers(0, ptr, len));
            let reason = world.run(&format!(r#"(func (export "start") {text} unreachable)"#)).await;
            let is_exit = call.name() == "exit";
            let wanted = match (is_exit, is_inside) {
                (true, true) if len == 0 => (ExitKind::Normal, "normal"),
                (true, true) => (ExitKind::Error, "\u{fffd}"),
                (true, false) => (ExitKind::Error, "ended with a reason that is outside of its memory"),
                // Four zeros are a whole reason; data of one kind follows them, up to its limit.
                (false, true) if (4..=8196).contains(&len) => (ExitKind::Normal, "normal"),
                (false, _) => (ExitKind::Error, "ended with a reason that is malformed"),
            };
            assert!(reason.kind == wanted.0 && reason.text.starts_with(wanted.1), "{text}: {reason:?}");
        }
    }
}
