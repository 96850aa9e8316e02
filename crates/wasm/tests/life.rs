// SPDX-License-Identifier: AGPL-3.0-or-later
//! How guests begin and end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{With, World, guest, imports};
use hearth_abi::LumpId;
use hearth_process::{ExitKind, ExitReason, Limits};
use hearth_wasm::{LoadError, WasmConfig};

fn normal() -> ExitReason {
    ExitReason::normal()
}

#[tokio::test]
async fn a_guest_that_returns_ends_normally() {
    let world = World::new();
    assert_eq!(world.run(r#"(func (export "start"))"#).await, normal());
}

#[tokio::test]
async fn exit_ends_with_its_reason() {
    let world = World::new();
    let exits = |reason: &str, args: &str| {
        format!(r#"(data (i32.const 0) "{reason}") (func (export "start") (call $exit {args}) unreachable)"#)
    };
    let with_reason = world.run(&exits("no more tea", "(i32.const 0) (i32.const 11)")).await;
    assert_eq!((with_reason.kind, &*with_reason.text), (ExitKind::Error, "no more tea"));
    assert!(with_reason.backtrace.is_some(), "a panic too ends like this: where it was is told");
    assert_eq!(world.run(&exits("", "(i32.const 0) (i32.const 0)")).await, normal());
    let outside = world.run(&exits("", "(i32.const 65530) (i32.const 11)")).await;
    assert_eq!(outside.text, "ended with a reason that is outside of its memory");
    let not_text = world.run(&exits("a\\ff", "(i32.const 0) (i32.const 2)")).await;
    assert_eq!(not_text.text, "a\u{fffd}");
    let long = world.run(&exits("", "(i32.const 0) (i32.const 60000)")).await;
    // Zeros are control characters, each replaced by three bytes.
    assert_eq!(long.text, "\u{fffd}".repeat(4096 / 3));
}

#[tokio::test]
async fn initialize_comes_before_start_and_start_before_wake() {
    let world = World::new();
    let reason = world
        .run(
            r#"(global $n (mut i32) (i32.const 0))
            (func $digit (param $d i32)
              (i32.store8 (global.get $n) (local.get $d))
              (global.set $n (i32.add (global.get $n) (i32.const 1))))
            (func $began (call $digit (i32.const 48)))
            (start $began)
            (func (export "_initialize") (call $digit (i32.const 49)))
            (func (export "start") (call $digit (i32.const 50))
              (drop (call $send (call $self) (i32.const 0) (i32.const 0))))
            (func (export "wake") (call $digit (i32.const 51))
              (call $exit (i32.const 0) (global.get $n)))"#,
        )
        .await;
    assert_eq!(reason.text, "0123");
}

#[tokio::test]
async fn traps_are_told_in_plain_words() {
    let world = World::new();
    for (body, text) in [
        ("unreachable", "unreachable executed"),
        ("(drop (i32.load (i32.const 70000)))", "out of bounds memory access"),
        ("(drop (i32.div_u (i32.const 1) (i32.load (i32.const 0))))", "integer division by zero"),
        (
            "(drop (i32.div_s (i32.const 0x80000000) (i32.sub (i32.load (i32.const 0)) (i32.const 1))))",
            "integer overflow",
        ),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", "conversion to an integer that cannot hold the number"),
        ("(call_indirect (i32.const 0))", "call of a function that is null"),
        ("(call_indirect (i32.const 9))", "out of bounds table access"),
        (
            "(call_indirect (param i32) (i32.const 0) (i32.const 1))",
            "indirect call of a function of another type",
        ),
        ("(call $deeper)", "call stack exhausted"),
    ] {
        let body = format!(
            r#"(table 2 funcref) (elem (i32.const 1) $deeper)
            (func $deeper (call $deeper) (call $deeper)) (func (export "start") {body})"#
        );
        let reason = world.run(&body).await;
        assert_eq!((reason.kind, &*reason.text), (ExitKind::Trap, text), "{body}");
    }
}

#[tokio::test]
async fn a_trap_tells_where_by_the_names_of_the_module() {
    let world = World::new();
    let id = world.spawn(
        r#"(func $pour unreachable)
        (func $_ZN3tea5brew217h0123456789abcdefE (call $pour))
        (func (export "start") (call $_ZN3tea5brew217h0123456789abcdefE))"#,
    );
    let reason = world.processes.exited(id).await;
    let trace = reason.backtrace.unwrap();
    let lines: Vec<&str> = trace.lines().map(str::trim).collect();
    assert_eq!(lines[0], "0: pour", "{trace}");
    assert_eq!(lines[1], "1: tea::brew2", "{trace}");
    assert_eq!(lines.len(), 3, "{trace}");
    let log = world.processes.log_lines(id, 9).unwrap();
    assert_eq!(log.last().unwrap().text, format!("ended: unreachable executed\n{trace}"));
}

#[tokio::test]
async fn a_trap_ends_that_process_alone() {
    let world = World::new();
    let module = world.put(guest(
        r#"(func (export "start")) (func (export "wake")
          (drop (call $try_recv (i32.const 0) (i32.const 100)))
          (if (i32.load (i32.const 24)) (then unreachable))
          (drop (call $send (i64.load (i32.const 8)) (i32.const 0) (i32.const 8))))"#,
    ));
    let (one, other) = (world.spawn_lump(module, With::default()), world.spawn_lump(module, With::default()));
    let mut probe = world.probe();
    probe.send(one, &1u32.to_le_bytes());
    assert_eq!(world.processes.exited(one).await.text, "unreachable executed");
    probe.send(other, &0u32.to_le_bytes());
    assert_eq!(probe.next().await.header.from, other.to_bits());
}

#[tokio::test]
async fn arguments_are_read_whole_or_not_at_all() {
    let world = World::new();
    let with = With { args: vec![b"one".to_vec(), vec![], vec![0xff]], ..With::default() };
    let body = r#"(func (export "start")
        (call $check32 (i32.const 1) (call $args (i32.const 0) (i32.const 15)) (i32.const 16))
        (call $check32 (i32.const 2) (i32.load (i32.const 0)) (i32.const 0))
        (call $check32 (i32.const 3) (call $args (i32.const 0) (i32.const 16)) (i32.const 16))
        (call $check32 (i32.const 4) (i32.load (i32.const 0)) (i32.const 3))
        (call $check32 (i32.const 5) (i32.load8_u (i32.const 15)) (i32.const 0xff))
        (call $check32 (i32.const 6) (call $args (i32.const 65530) (i32.const 16)) (i32.const -1)))"#;
    assert_eq!(world.run_with(body, with).await, normal());
    let none = r#"(func (export "start")
        (call $check32 (i32.const 1) (call $args (i32.const 0) (i32.const 0)) (i32.const 0)))"#;
    assert_eq!(world.run(none).await, normal());
}

#[tokio::test]
async fn memory_has_a_limit_that_a_guest_sees() {
    let world = World::new();
    let grow = r#"(func (export "start")
        (call $check32 (i32.const 1) (memory.grow (i32.const 2)) (i32.const 1))
        (call $check32 (i32.const 2) (memory.grow (i32.const 2)) (i32.const -1))
        (call $check32 (i32.const 3) (memory.grow (i32.const 65535)) (i32.const -1))
        (call $check32 (i32.const 4) (memory.grow (i32.const 1)) (i32.const 3))
        (call $check32 (i32.const 5) (memory.size) (i32.const 4))
        (i32.store (i32.const 262140) (i32.const 7))
        (loop $for_ever (br_if $for_ever (i32.eq (call $recv (i32.const 0) (i32.const 0) (i32.const -1)) (i32.const 0)))))"#;
    let limits = Limits { memory_bytes: 4 << 16, ..Limits::default() };
    let id = world.spawn_with(grow, With { limits, ..With::default() });
    common::eventually(|| world.state(id) != Some(hearth_process::State::Starting)).await;
    common::eventually(|| world.state(id) != Some(hearth_process::State::Running)).await;
    assert_eq!(world.processes.ended(id), None);
    assert_eq!(world.processes.info(id).unwrap().memory_bytes, 4 << 16);

    let limits = Limits { memory_bytes: 65_535, ..Limits::default() };
    let reason = world.run_with(grow, With { limits, ..With::default() }).await;
    assert_eq!(reason.kind, ExitKind::Limit);
    assert_eq!(
        reason.text,
        "the module starts with more than its process may have: 65536 bytes of memory; the limit `memory_bytes` is 65535"
    );
}

#[tokio::test]
async fn tables_have_a_limit() {
    let world = World::new();
    let limits = Limits { table_elements: 10, ..Limits::default() };
    let grow = r#"(table $t 5 funcref) (func (export "start")
        (call $check32 (i32.const 1) (table.grow $t (ref.null func) (i32.const 5)) (i32.const 5))
        (call $check32 (i32.const 2) (table.grow $t (ref.null func) (i32.const 1)) (i32.const -1)))"#;
    assert_eq!(world.run_with(grow, With { limits, ..With::default() }).await, normal());
    let reason =
        world.run_with("(table 11 funcref) (func (export \"start\"))", With { limits, ..With::default() });
    assert_eq!(reason.await.kind, ExitKind::Limit);
}

#[tokio::test]
async fn what_a_module_lacks_is_told() {
    let world = World::new();
    let memory = r#"(memory (export "memory") 1)"#;
    let start = r#"(func (export "start"))"#;
    for (module, text) in [
        (
            format!("(module {start})"),
            "the module's export `memory` is missing: the host reads and writes the guest's memory",
        ),
        (
            format!("(module {memory})"),
            "the module's export `start` is missing: the host calls this function, without parameters, first",
        ),
        (
            format!("(module {memory} (func (export \"start\") (param i32) (result i64) i64.const 0))"),
            "the module's export `start` must be a function without parameters and results, and is (i32) -> i64",
        ),
        (
            format!("(module {memory} {start} (global (export \"wake\") i32 (i32.const 0)))"),
            "the module's export `wake` must be a function",
        ),
        (
            format!("(module {start} (global (export \"memory\") i32 (i32.const 0)))"),
            "the module's export `memory` must be a memory",
        ),
        (
            format!(
                r#"(module (import "hearth/1" "self" (func (result i64))) (import "hearth/1" "fly" (func))
                (import "env" "puts" (func)) (import "env" "memory" (memory 1)) {memory} {start})"#
            )
            .replace(memory, ""),
            "the module imports what this peer does not offer: `hearth/1.fly`, `env.puts`, `env.memory`",
        ),
        (
            format!(
                r#"(module (import "hearth/1" "send" (func (param i32 i32 i32) (result i32)))
                (import "hearth/1" "exit" (global i32)) {memory} {start})"#
            ),
            "the module imports what this peer does not offer: `hearth/1.send` (is imported as (i32, i32, i32) -> i32 \
             but is (i64, i32, i32) -> i32), `hearth/1.exit` (is a function)",
        ),
        (
            format!(
                r#"(module (import "hearth/2" "self" (func (result i64))) (import "hearth/2/blocking" "recv" (func))
                (import "hearth/1" "fly" (func)) {memory} {start})"#
            ),
            "the module was built for `hearth/2`, `hearth/2/blocking`, but this peer offers `hearth/1`",
        ),
    ] {
        let reason = world.run_module(&module).await;
        assert_eq!((reason.kind, &*reason.text), (ExitKind::Load, text));
    }
}

#[tokio::test]
async fn very_many_missing_imports_are_not_all_told() {
    let world = World::new();
    let imports: String =
        (0..500).map(|n| format!("(import \"{}\" \"f{n}\" (func))", "x".repeat(500))).collect();
    let reason = world.run_module(&format!("(module {imports})")).await;
    assert!(reason.text.ends_with("and 480 more"), "{}", reason.text);
    assert!(reason.text.len() < 5000);
}

#[tokio::test]
async fn what_is_no_module_is_refused() {
    let world = World::with_config(WasmConfig { module_bytes_max: 1000, ..WasmConfig::default() });
    let load = async |bytes: Vec<u8>| {
        let id = world.put(bytes.clone());
        world.wasm.load(id, bytes.into()).await
    };
    for bytes in
        [vec![], b"hello".to_vec(), b"\0asm\x01\0\0\0\xff\xff\xff\xff\xff".to_vec(), b"(module)".to_vec()]
    {
        assert!(matches!(load(bytes).await, Err(LoadError::Invalid(_))));
    }
    assert_eq!(load(vec![0; 1001]).await, Err(LoadError::TooLarge { len: 1001, max: 1000 }));
    // A cut module is no module.
    let whole = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "start")))"#).unwrap();
    for len in 0..whole.len() {
        assert!(load(whole[..len].to_vec()).await.is_err(), "{len} bytes");
    }
    assert_eq!(load(whole).await, Ok(()));
    let missing = world.processes.exited(world.spawn_lump(LumpId([7; 32]), With::default())).await;
    assert_eq!(missing.kind, ExitKind::Load);
    assert_eq!(missing.text, format!("the module cannot be had: nobody has lump {}", LumpId([7; 32])));
}

#[tokio::test]
async fn memories_of_64_bits_and_more_than_one_are_refused() {
    let world = World::new();
    for extra in [r#"(memory (export "memory") i64 1)"#, r#"(memory (export "memory") 1) (memory 1)"#] {
        let module = wat::parse_str(format!(r#"(module {extra} (func (export "start")))"#)).unwrap();
        let id = world.put(module.clone());
        assert!(matches!(world.wasm.load(id, module.into()).await, Err(LoadError::Invalid(_))), "{extra}");
    }
}

#[tokio::test]
async fn the_document_lists_what_the_host_offers() {
    let world = World::new();
    let all =
        format!("(module {} (memory (export \"memory\") 1) (func (export \"start\")))", imports("$recv"));
    assert_eq!(world.run_module(&all).await, normal());
}
