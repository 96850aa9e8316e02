// SPDX-License-Identifier: AGPL-3.0-or-later
//! Guests whose code is replaced by other guests while they live.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{HERE, With, World, guest};
use hearth_abi::{LumpId, ProcessId};
use hearth_process::{Code, Config, ExitKind, ReplaceError, State};
use hearth_wasm::WasmConfig;
use std::time::Duration;

/// Answers each message with the number of messages so far, this one included, plus `base`; parks in
/// between.
fn counter(base: u64) -> Vec<u8> {
    guest(&format!(
        r#"(global $count (mut i64) (i64.const {base}))
        (func (export "start"))
        (func (export "wake") (loop $next
          (if (i32.gt_s (call $try_recv (i32.const 0) (i32.const 4096)) (i32.const 0)) (then
            (global.set $count (i64.add (global.get $count) (i64.const 1)))
            (i64.store (i32.const 24) (global.get $count))
            (drop (call $send (i64.load (i32.const 8)) (i32.const 24) (i32.const 8)))
            (br $next)))))"#
    ))
}

/// The same, waiting on its own stack.
fn blocking_counter() -> Vec<u8> {
    guest(
        r#"(func (export "start") (local $count i64) (loop $next
          (drop (call $recv (i32.const 0) (i32.const 4096) (i32.const -1)))
          (local.set $count (i64.add (local.get $count) (i64.const 1)))
          (i64.store (i32.const 24) (local.get $count))
          (drop (call $send (i64.load (i32.const 8)) (i32.const 24) (i32.const 8)))
          (br $next)))"#,
    )
}

/// Takes all that waits for it and then does what ends it.
fn broken(end: &str) -> Vec<u8> {
    guest(&format!(
        r#"(data (i32.const 60000) "no more tea")
        (func (export "start")
          (loop $next
            (br_if $next (i32.gt_s (call $try_recv (i32.const 0) (i32.const 4096)) (i32.const 0))))
          {end})
        (func (export "wake"))"#
    ))
}

async fn replace(world: &World, id: ProcessId, module: Vec<u8>) -> Result<(), ReplaceError> {
    let module = world.put(module);
    replace_by(world, id, module).await
}

async fn replace_by(world: &World, id: ProcessId, module: LumpId) -> Result<(), ReplaceError> {
    let code = Code { program: world.wasm.program(module), module: Some(module), origin: HERE };
    world.processes.replace(id, code, HERE).await
}

/// How new code ends that traps, ends itself, or cannot run at all.
fn breakages() -> Vec<(Vec<u8>, ExitKind, &'static str)> {
    let missing = wat::parse_str(
        r#"(module (import "env" "printf" (func)) (memory (export "memory") 1) (func (export "start")))"#,
    );
    let large = wat::parse_str(r#"(module (memory (export "memory") 60000) (func (export "start")))"#);
    vec![
        (broken("unreachable"), ExitKind::Trap, "unreachable executed"),
        (broken("(call $exit (i32.const 60000) (i32.const 11))"), ExitKind::Error, "no more tea"),
        (missing.unwrap(), ExitKind::Load, "does not offer: `env.printf`"),
        (b"\0asm\x01\0\0\0rest".to_vec(), ExitKind::Load, "the module is not valid"),
        (large.unwrap(), ExitKind::Limit, "more than its process may have"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_goes_on_where_it_was_when_its_successor_does_not_start() {
    for old in [counter(0), blocking_counter()] {
        let world = World::new();
        let mut probe = world.probe();
        let module = world.put(old);
        let id = world.spawn_lump(module, With { name: Some("counter"), ..With::default() });
        world.processes.started(id).await.unwrap();
        assert_eq!(probe.ask(id, 0).await, 1);
        let memory = world.processes.info(id).unwrap().memory_bytes;
        for (number, (module, kind, text)) in (1..).zip(breakages()) {
            let Err(ReplaceError::Failed(reason)) = replace(&world, id, module).await else {
                panic!("{text}: it started")
            };
            assert_eq!(reason.kind, kind, "{reason}");
            assert!(reason.text.contains(text), "{reason}");
            assert_eq!(probe.ask(id, 0).await, 1 + number, "after: {text}");
        }
        let info = world.processes.info(id).unwrap();
        assert_eq!((info.module, info.memory_bytes), (Some(module), memory));
        assert_eq!(world.processes.whereis("counter"), Some(id));
        let mut lines = world.processes.log_lines(id, 100).unwrap();
        // The one that wanted too much memory is told of too.
        lines.retain(|line| {
            !line.text.contains("limit `memory_bytes`") || line.text.contains("ended in its start")
        });
        assert_eq!(lines.len(), breakages().len());
        assert!(
            lines[0].text.contains("unreachable executed\n") && lines[0].text.contains("start"),
            "{lines:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_guest_is_for_its_successor_in_order() {
    let world = World::new();
    let mut probe = world.probe();
    // It never takes anything.
    let id = world.spawn(r#"(func (export "start") (loop $for_ever (br $for_ever)))"#);
    world.processes.started(id).await.unwrap();
    for number in 0..100u64 {
        probe.send(id, &number.to_le_bytes());
    }
    // Nor does this one, though it takes them all.
    assert!(replace(&world, id, broken("unreachable")).await.is_err());
    assert_eq!(world.processes.info(id).unwrap().mailbox_len, 100);
    let echo = guest(
        r#"(func (export "start"))
        (func (export "wake") (loop $next
          (if (i32.gt_s (call $try_recv (i32.const 0) (i32.const 64)) (i32.const 0)) (then
            (drop (call $send (i64.load (i32.const 8)) (i32.const 24) (i32.const 8)))
            (br $next)))))"#,
    );
    replace(&world, id, echo).await.unwrap();
    for number in 0..100u64 {
        assert_eq!(probe.next().await.body[..], number.to_le_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_starts_afresh_and_going_back_does_too() {
    let world = World::new();
    let mut probe = world.probe();
    let module = world.put(counter(0));
    let id = world.spawn_lump(module, With::default());
    world.processes.started(id).await.unwrap();
    assert_eq!(probe.ask(id, 0).await, 1);
    replace(&world, id, counter(1000)).await.unwrap();
    assert_eq!(probe.ask(id, 0).await, 1001);
    replace(&world, id, blocking_counter()).await.unwrap();
    assert_eq!(probe.ask(id, 0).await, 1);
    assert_eq!(world.state(id), Some(State::Waiting));
    world.processes.roll_back(id, HERE).await.unwrap();
    assert_eq!(probe.ask(id, 0).await, 1001);
    world.processes.roll_back(id, HERE).await.unwrap();
    assert_eq!(probe.ask(id, 0).await, 1);
    assert_eq!(world.processes.roll_back(id, HERE).await, Err(ReplaceError::NoCodeBefore));
    assert_eq!(world.processes.info(id).unwrap().module, Some(module));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_loops_for_ever_is_given_up() {
    let processes = Config { trial_time_max: Duration::from_millis(200), ..Config::new(HERE, 1, 2) };
    let world = World::with_configs(processes, WasmConfig::default());
    let mut probe = world.probe();
    let module = world.put(counter(0));
    let id = world.spawn_lump(module, With::default());
    world.processes.started(id).await.unwrap();
    assert_eq!(probe.ask(id, 0).await, 1);
    let Err(ReplaceError::Failed(reason)) =
        replace(&world, id, broken("(loop $for_ever (br $for_ever))")).await
    else {
        panic!("it started")
    };
    assert_eq!(reason.kind, ExitKind::Limit);
    assert_eq!(probe.ask(id, 0).await, 2);
}
