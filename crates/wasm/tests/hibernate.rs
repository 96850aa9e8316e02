// SPDX-License-Identifier: AGPL-3.0-or-later
//! Guests that hibernate: they go on as if they had not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{HERE, Probe, With, World, elsewhere, eventually, guest};
use hearth_abi::ProcessId;
use hearth_process::{Code, Config, ExitKind, OriginLimits, State};
use hearth_wasm::WasmConfig;
use std::time::Duration;

/// Answers a number with what is left of all its memory, its globals and its size when they are put together, after it has
/// changed each of them: bytes of what was there from the start, bytes that were 0, a number that grows, and from the
/// fourth message on the size. 0 makes it trap.
const KEEPS: &str = r#"
    (data (i32.const 1000) "first of all") (data (i32.const 40000) "second")
    (global $count (mut i64) (i64.const 5)) (global $part (mut f64) (f64.const 0.5)) (global $same (mut i32) (i32.const 3))
    (table 1 funcref) (elem (i32.const 0) $sum)
    (func $sum (result i64) (local $at i32) (local $sum i64)
      ;; Before this is the message, with who sent it.
      (local.set $at (i32.const 64))
      (loop $next
        (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 31)) (i64.load (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
      (local.get $sum))
    (func (export "start") (i32.store (i32.const 2000) (i32.const 77)))
    (func (export "wake") (local $number i64)
      (loop $next
        (if (i32.gt_s (call $try_recv (i32.const 0) (i32.const 64)) (i32.const 0)) (then
          (local.set $number (i64.load (i32.const 24)))
          (if (i64.eqz (local.get $number)) (then unreachable))
          (global.set $count (i64.add (global.get $count) (local.get $number)))
          (global.set $part (f64.add (global.get $part) (f64.const 0.25)))
          (i64.store (i32.add (i32.const 50000) (i32.mul (i32.wrap_i64 (local.get $number)) (i32.const 24)))
            (global.get $count))
          (i32.store8 (i32.const 1003) (i32.wrap_i64 (local.get $number)))
          (if (i64.gt_u (global.get $count) (i64.const 14)) (then
            (if (i32.lt_u (memory.size) (i32.const 3)) (then (drop (memory.grow (i32.const 1)))))
            (i64.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8)) (global.get $count))))
          (i64.store (i32.const 24) (i64.add (call_indirect (result i64) (i32.const 0))
            (i64.add (i64.reinterpret_f64 (global.get $part)) (i64.extend_i32_u (global.get $same)))))
          (drop (call $send (i64.load (i32.const 8)) (i32.const 24) (i32.const 8)))
          (br $next)))))"#;

fn world(after: Option<Duration>) -> World {
    let config = Config { hibernate_after: after, ..Config::new(HERE, 1, 2) };
    World::with_configs(config, WasmConfig::default())
}

fn soon() -> World {
    world(Some(Duration::from_millis(20)))
}

async fn hibernates(world: &World, id: ProcessId) {
    eventually(|| world.state(id) == Some(State::Hibernated)).await;
}

/// What a guest that never hibernates answers to 1, 2, 3 and so on.
async fn awake(count: u64) -> Vec<u64> {
    let world = world(None);
    let (id, mut probe) = (world.spawn(KEEPS), world.probe());
    let mut answers = Vec::new();
    for number in 1..=count {
        answers.push(probe.ask(id, number).await);
    }
    answers
}

#[tokio::test]
async fn it_is_after_its_sleep_what_it_was_before() {
    let expect = awake(12).await;
    let world = soon();
    let (id, mut probe) = (world.spawn(KEEPS), world.probe());
    for (number, expect) in (1..).zip(expect) {
        hibernates(&world, id).await;
        let before = world.processes.info(id).unwrap();
        assert_eq!(probe.ask(id, number).await, expect, "message {number}");
        let after = world.processes.info(id).unwrap();
        assert_eq!((after.signals_received, before.mailbox_len), (number, 0));
        assert!(after.memory_bytes >= before.memory_bytes);
    }
    hibernates(&world, id).await;
    probe.send(id, &0u64.to_le_bytes());
    let reason = world.processes.exited(id).await;
    assert_eq!(reason.kind, ExitKind::Trap);
    assert!(reason.backtrace.is_some(), "{reason:?}");
    assert_eq!(world.processes.origin(HERE).memory_bytes, 0);
}

/// Answers with the length of what lies there when `wake` is called. Nothing ever does if it has no argument.
const WOKEN_WITH: &str = r#"
    (func (export "start")
      (if (call $args (i32.const 700) (i32.const 64)) (then
        (drop (call $wake_with (i32.const 400) (i32.const 96))))))
    (func (export "wake")
      (i64.store (i32.const 600) (i64.load (i32.const 400)))
      (if (i64.eqz (i64.load (i32.const 400))) (then (drop (call $try_recv_many (i32.const 408) (i32.const 88)))))
      (drop (call $send (i64.load (i32.const 424)) (i32.const 600) (i32.const 8))))"#;

#[tokio::test]
async fn after_its_sleep_it_is_woken_with_signals_as_before() {
    let world = soon();
    let mut probe = world.probe();
    let id = world.spawn_with(WOKEN_WITH, With { args: vec![b"so".to_vec()], ..With::default() });
    for number in 1..4 {
        hibernates(&world, id).await;
        assert_eq!(probe.ask(id, number).await, 40, "message {number}");
    }
    // Whoever has its instance then is not.
    world.processes.kill(None, id, "").unwrap();
    world.processes.exited(id).await;
    assert!(world.wasm.spare_instances() > 0);
    let other = world.spawn(WOKEN_WITH);
    assert_eq!(probe.ask(other, 1).await, 0);
}

#[tokio::test]
async fn many_get_the_instances_of_one_another() {
    const COUNT: usize = 150;
    let expect = awake(6).await;
    let world = soon();
    let module = world.put(guest(KEEPS));
    let ids: Vec<_> = (0..COUNT).map(|_| world.spawn_lump(module, With::default())).collect();
    let mut probe = world.probe();
    for (number, expect) in (1..).zip(expect) {
        eventually(|| ids.iter().all(|id| world.state(*id) == Some(State::Hibernated))).await;
        for id in &ids {
            assert_eq!(probe.ask(*id, number).await, expect, "message {number}");
        }
    }
    let ends = |probe: &Probe| ids.iter().for_each(|id| probe.send(*id, &0u64.to_le_bytes()));
    ends(&probe);
    for id in ids {
        assert_eq!(world.processes.exited(id).await.kind, ExitKind::Trap);
    }
}

#[tokio::test]
async fn its_memory_counts_while_it_sleeps() {
    let world = soon();
    let with = With { origin: elsewhere(), ..With::default() };
    let id = world.spawn_with(KEEPS, with);
    let counted = || world.processes.origin(elsewhere()).memory_bytes;
    eventually(|| counted() == 65_536).await;
    hibernates(&world, id).await;
    assert_eq!(counted(), 65_536);
    world.processes.kill(None, id, "").unwrap();
    assert_eq!(world.processes.exited(id).await.kind, ExitKind::Killed);
    assert_eq!(counted(), 0);
}

#[tokio::test]
async fn its_memory_is_kept_for_it_when_all_else_is_used_up() {
    let expect = awake(2).await;
    let others = OriginLimits { memory_bytes: 4 * 65_536, ..OriginLimits::OTHERS };
    let hibernate_after = Some(Duration::from_millis(20));
    let config = Config { hibernate_after, others, ..Config::new(HERE, 1, 2) };
    let world = World::with_configs(config, WasmConfig::default());
    let with = || With { origin: elsewhere(), ..With::default() };
    let (id, mut probe) = (world.spawn_with(KEEPS, with()), world.probe());
    hibernates(&world, id).await;
    let grows = r#"(func (export "start") (drop (memory.grow (i32.const 2)))) (func (export "wake"))"#;
    world.spawn_with(grows, with());
    let counted = || world.processes.origin(elsewhere()).memory_bytes;
    eventually(|| counted() == 4 * 65_536).await;
    assert_eq!(world.run_with(KEEPS, with()).await.kind, ExitKind::Limit, "there is nothing for another");
    for (number, expect) in (1..).zip(expect) {
        hibernates(&world, id).await;
        assert_eq!(probe.ask(id, number).await, expect, "message {number}");
        assert_eq!(counted(), 4 * 65_536);
    }
}

#[tokio::test]
async fn code_that_sleeps_is_replaced_and_comes_back() {
    let expect = awake(2).await;
    let world = soon();
    let (id, mut probe) = (world.spawn(KEEPS), world.probe());
    assert_eq!(probe.ask(id, 1).await, expect[0]);
    hibernates(&world, id).await;
    let code = |body: &str| {
        let module = world.put(guest(body));
        Code { program: world.wasm.program(module), module: Some(module), origin: HERE }
    };
    // New code that fails leaves it as it was, asleep or not.
    let broken = code(r#"(func (export "start") unreachable)"#);
    assert!(world.processes.replace(id, broken, HERE).await.is_err());
    assert_eq!(probe.ask(id, 2).await, expect[1]);
    hibernates(&world, id).await;
    let other = code(
        r#"(func (export "start")) (func (export "wake")
          (drop (call $try_recv (i32.const 0) (i32.const 64)))
          (drop (call $send (i64.load (i32.const 8)) (i32.const 24) (i32.const 8))))"#,
    );
    world.processes.replace(id, other, HERE).await.unwrap();
    assert_eq!(probe.ask(id, 4711).await, 4711);
}

#[tokio::test]
async fn who_cannot_be_frozen_stays_parked() {
    let world = soon();
    // It changes its table.
    let stays = world.spawn(
        r#"(table 1 funcref) (func $f) (elem declare func $f)
        (func (export "start") (table.set (i32.const 0) (ref.func $f))) (func (export "wake"))"#,
    );
    // It has too much to be kept.
    let large = world.spawn(
        r#"(func (export "start") (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536))
            (drop (memory.grow (i32.const 8)))
            (memory.fill (i32.const 65536) (i32.const 1) (i32.const 400000))) (func (export "wake"))"#,
    );
    let (sleeps, mut probe) = (world.spawn(KEEPS), world.probe());
    for number in 1..4 {
        // So many looks have passed over the others.
        hibernates(&world, sleeps).await;
        probe.ask(sleeps, number).await;
    }
    assert_eq!((world.state(stays), world.state(large)), (Some(State::Parked), Some(State::Parked)));
}

#[tokio::test]
async fn no_message_is_lost_around_the_moment_of_falling_asleep() {
    let expect = awake(300).await;
    let world = world(Some(Duration::from_millis(1)));
    let (id, mut probe) = (world.spawn(KEEPS), world.probe());
    for (number, expect) in (1..).zip(expect) {
        // From no wait at all to longer than two looks.
        let wait = Duration::from_micros((number * 977) % 3500);
        tokio::time::sleep(wait).await;
        assert_eq!(probe.ask(id, number).await, expect, "message {number} after {wait:?}");
    }
}
