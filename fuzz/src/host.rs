// SPDX-License-Identifier: AGPL-3.0-or-later
//! Host calls of a guest with any arguments, on a memory that holds anything.

use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::{
    EntityId, Errno, LumpId, PeerId, ProcessId, TerminalId,
    cast::Cast,
    scene::{ComponentKind, Transform, decode_batch},
    signal::{BODY_LEN_MAX, encode_args},
    terminal::{Command, TEXT_LEN_MAX, View, WORDS_MAX},
};
use hearth_process::{
    Bond, Config, ExitKind, ExitReason, Host, Limits, NAME_LEN_MAX, Processes, ReplyTo, SendError, Spec,
};
use hearth_wasm::{Caller, Request, Services, Wasm, WasmConfig};
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

/// A call of `docs/formats/guest.md`.
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// Its parameters and its result: `i` is an `i32`, `I` an `i64`.
    pub(crate) params: &'static str,
    pub(crate) result: &'static str,
    /// What it may write: behind the pointer that is its parameter of this number, so many bytes.
    writes: Option<(usize, Room)>,
}

/// How many bytes a call may write.
#[derive(Clone, Copy)]
enum Room {
    /// As its parameter of this number says.
    Given(usize),
    Fixed(u32),
}

const fn call(name: &'static str, params: &'static str, result: &'static str) -> Call {
    Call { name, params, result, writes: None }
}

/// One that writes behind one parameter at most what the next one says.
const fn writing(name: &'static str, params: &'static str, at: usize) -> Call {
    Call { name, params, result: "i", writes: Some((at, Room::Given(at + 1))) }
}

/// All calls. A script has them by their place here, so that new ones go to the end.
pub(crate) const CALLS: &[Call] = &[
    call("self", "", "I"),
    call("peer", "", "i"),
    call("origin", "", "i"),
    writing("args", "ii", 0),
    writing("try_recv", "ii", 0),
    call("send", "Iii", "i"),
    call("spawn", "iiiii", "I"),
    call("spawn_on", "iiiiiiI", "i"),
    call("kill", "Iii", "i"),
    call("register", "ii", "i"),
    call("unregister", "ii", "i"),
    call("whereis", "ii", "I"),
    call("clock_monotonic", "", "I"),
    call("clock_wall", "", "I"),
    call("timer", "II", "i"),
    call("cancel_timer", "I", "i"),
    writing("random", "ii", 0),
    call("log", "iiiii", "i"),
    Call { name: "lump_put", params: "iiiI", result: "i", writes: Some((2, Room::Fixed(32))) },
    call("lump_read", "iIiiI", "i"),
    call("lump_size", "iiI", "i"),
    call("lump_push", "iiI", "i"),
    call("asset_load", "iiiI", "i"),
    call("asset_drop", "iii", "i"),
    call("entity_ids", "i", "I"),
    call("scene_apply", "ii", "i"),
    writing("scene_read", "Iiii", 2),
    call("input_subscribe", "i", "i"),
    call("pointer_capture", "i", "i"),
    writing("peer_name", "iii", 1),
    call("file_load", "iiI", "i"),
    call("command", "iiI", "i"),
    call("terminal_open", "iiI", "i"),
    call("terminal_command", "Iii", "i"),
    writing("terminal_views", "Iii", 1),
    call("keyboard_focus", "I", "i"),
    call("clipboard_write", "ii", "i"),
    call("clipboard_read", "I", "i"),
    call("scene_cast", "iiI", "i"),
    call("link", "I", "i"),
    call("unlink", "I", "i"),
    call("monitor", "II", "i"),
    call("demonitor", "I", "i"),
    call("trap_exits", "i", "i"),
    call("exit_to", "Iii", "i"),
    call("spawn_link", "iiiii", "I"),
    call("spawn_monitor", "iiiiiI", "I"),
    call("global_register", "iiI", "i"),
    call("group_members", "iiI", "i"),
    call("global_unregister", "iiI", "i"),
    call("global_whereis", "iiI", "i"),
    call("group_join", "iiI", "i"),
    call("group_leave", "iiI", "i"),
    call("exit", "ii", ""),
    call("exit_with", "ii", ""),
    writing("recv", "iii", 0),
    call("sleep", "I", "i"),
    call("keyboard_leave", "i", "i"),
    call("throttled", "", "I"),
    call("spawn_on_link", "iiiiiiI", "i"),
    call("spawn_on_monitor", "iiiiiiII", "i"),
    writing("try_recv_many", "ii", 0),
    writing("wake_with", "ii", 0),
];

impl Call {
    /// Its import in WAT.
    pub(crate) fn import(&self) -> String {
        let Call { name, params, result, .. } = self;
        let module = if ["recv", "sleep"].contains(name) { "hearth/1/blocking" } else { "hearth/1" };
        let params: String = params.chars().map(|letter| format!("(param {}) ", ty(letter))).collect();
        let result: String = result.chars().map(|letter| format!("(result {})", ty(letter))).collect();
        format!("(import \"{module}\" \"{name}\" (func ${name} {params}{result}))\n")
    }
}

/// The type that a letter stands for.
pub(crate) fn ty(letter: char) -> &'static str {
    if letter == 'i' { "i32" } else { "i64" }
}

/// Bytes of one call in the guest's script: its number, and seven arguments of eight bytes. An eighth is the first word of
/// the next call.
const STRIDE: usize = 64;
/// Where the script begins: behind the length of the argument that it is.
const START: usize = 4;
/// Longest script in bytes: the guest's memory is one page.
const SCRIPT_LEN_MAX: usize = 32 << 10;

/// Any bytes are a list of calls (each of the same length), and the memory that the calls refer to. The guest makes
/// them and ends; nothing of what it says harms its host, nothing gets past the checks, each result is one that there is,
/// and no byte of its memory changes but where the call may write.
pub fn host_calls(data: &[u8]) -> bool {
    let script = &data[..data.len().min(SCRIPT_LEN_MAX)];
    let reason = PEER.runtime.block_on(async {
        let spec = Spec {
            program: PEER.wasm.program(MODULE),
            module: Some(MODULE),
            // With and without the authority of this machine.
            origin: if script.len().is_multiple_of(2) { PeerId::SERVER } else { PeerId::MAX },
            parent: None,
            name: None,
            args: encode_args([script]).into(),
            limits: Limits::default(),
        };
        let id = PEER.processes.spawn(spec).expect("nothing limits it");
        let ended = PEER.processes.exited(id);
        tokio::time::timeout(Duration::from_secs(60), ended).await.expect("a list of calls has an end")
    });
    assert!(reason.text != WRONG, "a call did what it must not: {reason:?}");
    let may_be = match reason.kind {
        ExitKind::Normal => true,
        // By its own call, on itself.
        ExitKind::Killed if has(script, &["kill"]) => true,
        // A link with nobody.
        ExitKind::NoProcess | ExitKind::NoConnection if has(script, &["link"]) => true,
        ExitKind::Error if has(script, &["exit"]) => true,
        // What it asks of itself. What a call writes may be what is called next.
        _ => {
            has(script, &["exit_to", "exit_with"])
                || CALLS.iter().any(|call| call.writes.is_some() && has(script, &[call.name]))
        }
    };
    assert!(may_be, "the guest ended with {reason:?}");
    script.len() >= STRIDE
}

/// Whether a script has one of these calls.
fn has(script: &[u8], names: &[&str]) -> bool {
    let name = |call: &[u8]| CALLS.get(usize::from(call[0]) % (CALLS.len() + 1)).map(|call| call.name);
    script.chunks(STRIDE).filter_map(name).any(|name| names.contains(&name))
}

const MODULE: LumpId = LumpId([7; 32]);

struct Peer {
    runtime: tokio::runtime::Runtime,
    processes: Processes,
    wasm: Wasm,
}

static PEER: LazyLock<Peer> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let entered = runtime.enter();
    let stub = Arc::new(Stub(Mutex::new([(MODULE, guest().into())].into())));
    let processes = Processes::new(Config::new(PeerId::SERVER, 1, 1), stub.clone());
    let wasm = Wasm::new(WasmConfig::default(), stub).unwrap();
    drop(entered);
    Peer { runtime, processes, wasm }
});

/// With what a guest ends that saw a call do what it must not.
const WRONG: &str = "the wrong effect";

/// A module that makes the calls of its first argument one after the other. Behind the last call there is one that gives
/// it more memory. Around each it looks at all bytes of its memory but those that the call may write.
fn guest() -> Vec<u8> {
    let mut text = String::from("(module\n");
    CALLS.iter().for_each(|call| text += &call.import());
    let (wrong, more) = WRONG.as_bytes().split_at(8);
    let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().unwrap());
    text += &format!(
        r#"(memory (export "memory") 1)
        (global $lo (mut i32) (i32.const 0)) (global $hi (mut i32) (i32.const 0)) (global $before (mut i64) (i64.const 0))
        (func (export "start") (local $at i32) (local $end i32)
          (local.set $end (i32.sub (call $args (i32.const 0) (i32.const 65536)) (i32.const {STRIDE})))
          (local.set $at (i32.const {START}))
          (loop $next
            (if (i32.le_s (local.get $at) (local.get $end)) (then
              (call $one (local.get $at))
              (local.set $at (i32.add (local.get $at) (i32.const {STRIDE})))
              (br $next)))))
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
        (func $may_write (param $ptr i32) (param $len i32)
          (if (i64.gt_u (i64.add (i64.extend_i32_u (local.get $ptr)) (i64.extend_i32_u (local.get $len)))
                (i64.extend_i32_u (call $end)))
            (then (local.set $ptr (i32.const 0)) (local.set $len (i32.const 0))))
          (global.set $lo (local.get $ptr))
          (global.set $hi (i32.add (local.get $ptr) (local.get $len)))
          (global.set $before (call $rest)))
        (func $did (param $result i64)
          (if (i32.or (i64.lt_s (local.get $result) (i64.const -14)) (i64.ne (call $rest) (global.get $before)))
            (then
              (i64.store (i32.const 0) (i64.const {}))
              (i64.store (i32.const 8) (i64.const {}))
              (call $exit (i32.const 0) (i32.const 16)))))
        (func $one (param $at i32)
        "#,
        number(wrong),
        number(more)
    );
    let last = CALLS.len();
    (0..=last + 1).for_each(|_| text += "(block ");
    let labels: String = (0..=last).map(|n| format!("{n} ")).collect();
    text +=
        &format!("(br_table {labels} (i32.rem_u (i32.load8_u (local.get $at)) (i32.const {}))))\n", last + 1);
    for Call { name, params, result, writes } in CALLS {
        let load = |n: usize, letter: char| {
            let value = format!("({}.load offset={} (local.get $at))", ty(letter), 8 * (n + 1));
            // What waits does so for a moment, or is malformed.
            match (*name, n) {
                ("recv", 2) => format!("(i32.and {value} (i32.const 0x80000003))"),
                ("sleep", 0) => format!("(i64.and {value} (i64.const 0x80000000000fffff))"),
                _ => value,
            }
        };
        let (ptr, len) = match *writes {
            Some((at, Room::Given(len))) => (load(at, 'i'), load(len, 'i')),
            Some((at, Room::Fixed(len))) => (load(at, 'i'), format!("(i32.const {len})")),
            None => ("(i32.const 0)".into(), "(i32.const 0)".into()),
        };
        let loads: Vec<String> = params.chars().enumerate().map(|(n, letter)| load(n, letter)).collect();
        let call = format!("(call ${name} {})", loads.join(" "));
        text += &format!("(call $may_write {ptr} {len})");
        text += &match *result {
            "i" => format!("(call $did (i64.extend_i32_s {call})) (return))\n"),
            "I" => format!("(call $did {call}) (return))\n"),
            _ => format!("{call} (return))\n"),
        };
    }
    text +=
        "(if (i32.lt_u (memory.size) (i32.const 2)) (then (drop (memory.grow (i32.const 1))))) (return))))";
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// A peer that has nothing but modules, and checks that what reaches it was checked.
#[derive(Default)]
pub(crate) struct Stub(pub(crate) Mutex<HashMap<LumpId, Bytes>>);

impl Host for Stub {
    fn send_remote(&self, _: ProcessId, to: ProcessId, body: Bytes) -> Result<(), SendError> {
        assert!(to.peer() != PeerId::SERVER && body.len() <= BODY_LEN_MAX);
        Err(SendError::NoPeer)
    }

    fn kill_remote(&self, _: Option<ProcessId>, to: ProcessId, _: &str) -> Result<(), SendError> {
        assert_ne!(to.peer(), PeerId::SERVER);
        Err(SendError::NoPeer)
    }

    fn serial_reached(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }

    fn exited(&self, _: ProcessId, _: &ExitReason) {}
}

fn has_authority(caller: &Caller) -> bool {
    caller.origin == PeerId::SERVER
}

impl Services for Stub {
    fn request(&self, caller: &Caller, request: Request, reply: ReplyTo) {
        match request {
            Request::FileLoad { .. } => assert!(has_authority(caller)),
            Request::Command { args } => assert!(has_authority(caller) && !args.is_empty()),
            Request::TerminalOpen { open } => {
                assert!(has_authority(caller) && open.command.len() <= WORDS_MAX);
            }
            Request::Directory { name, .. } => assert!(name.len() <= NAME_LEN_MAX),
            Request::ClipboardRead => assert!(has_authority(caller)),
            Request::SceneCast { cast } => assert_eq!(Cast::decode(&cast.encode()), Ok(cast)),
            Request::LumpRead { len, .. } => assert!(len as usize <= BODY_LEN_MAX),
            _ => {}
        }
        drop(reply);
    }

    fn lump(&self, _: &Caller, id: LumpId) -> BoxFuture<'static, Result<Bytes, String>> {
        let module = self.0.lock().unwrap().get(&id).cloned().ok_or_else(|| "nobody has it".to_owned());
        Box::pin(async { module })
    }

    fn spawn(
        &self,
        _: &Caller,
        _: LumpId,
        _: Option<String>,
        _: Bytes,
        _: Option<Bond>,
    ) -> Result<ProcessId, Errno> {
        Err(Errno::Limit)
    }

    fn asset_drop(&self, _: &Caller, _: &str, _: LumpId) -> Result<(), Errno> {
        Err(Errno::NotFound)
    }

    fn entity_ids(&self, count: u32) -> Result<EntityId, Errno> {
        assert!((1..=65_536).contains(&count));
        Ok(EntityId::from_bits(1))
    }

    fn scene_apply(&self, _: &Caller, batch: &[u8]) -> Result<(), Errno> {
        decode_batch(batch).map(drop).map_err(|_malformed| Errno::Invalid)
    }

    fn scene_read(&self, entity: EntityId, kind: ComponentKind) -> Option<Vec<u8>> {
        entity.serial().is_multiple_of(2).then(|| vec![kind as u8; 100])
    }

    fn input_subscribe(&self, caller: &Caller, mask: u32) -> Result<(), Errno> {
        assert!(has_authority(caller) || mask & hearth_abi::input::mask::OF_USER == 0);
        Ok(())
    }

    fn pointer_capture(&self, caller: &Caller, _: bool) -> Result<(), Errno> {
        assert!(has_authority(caller));
        Ok(())
    }

    fn terminal_command(&self, caller: &Caller, _: TerminalId, command: Command) -> Result<(), Errno> {
        assert!(has_authority(caller));
        assert_eq!(Command::decode(&command.encode()), Ok(command));
        Err(Errno::NotFound)
    }

    fn keyboard_focus(&self, caller: &Caller, _: Option<TerminalId>) -> Result<(), Errno> {
        assert!(has_authority(caller));
        Err(Errno::Unsupported)
    }

    fn keyboard_leave(&self, _: &Caller, _: PeerId) -> Result<(), Errno> {
        Err(Errno::NotFound)
    }

    fn terminal_views(&self, after: EntityId, count: usize) -> Vec<View> {
        assert!((1..=1024).contains(&count));
        let view = View {
            entity: after,
            terminal: TerminalId::from_bits(1),
            columns: 80,
            rows: 24,
            may_type: false,
            cell_height: 0.5,
            in_world: Transform::IDENTITY,
        };
        // More than was asked for does no harm.
        vec![view; count + after.serial() as usize % 3]
    }

    fn clipboard_write(&self, caller: &Caller, text: String) -> Result<(), Errno> {
        assert!(has_authority(caller) && text.len() <= TEXT_LEN_MAX);
        Err(Errno::Unsupported)
    }

    fn peer_name(&self, peer: PeerId) -> Option<String> {
        peer.number().is_multiple_of(2).then(|| "somebody".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_calls_of_the_document_are_made() {
        let document = include_str!("../../docs/formats/guest.md");
        let (_, imports) = document.split_once("\n## Imports of `hearth/1`\n").unwrap();
        let mut documented = Vec::new();
        for row in imports.lines().filter_map(|line| line.strip_prefix("| `")) {
            let Some((name, rest)) = row.split_once('(') else { continue };
            let (params, rest) = rest.split_once(')').unwrap();
            let (result, _) = rest.split_once('`').unwrap();
            let letter = |ty: &str| if ty.ends_with("i64") { 'I' } else { 'i' };
            let params: String = params.split(", ").filter(|param| !param.is_empty()).map(letter).collect();
            let result: String = result.strip_prefix(" -> ").map(letter).into_iter().collect();
            documented.push((name, params, result));
        }
        let mut made: Vec<_> =
            CALLS.iter().map(|call| (call.name, call.params.to_owned(), call.result.to_owned())).collect();
        documented.sort();
        made.sort();
        assert_eq!(made, documented);
    }
}
