// SPDX-License-Identifier: AGPL-3.0-or-later
//! Guests among others: signals, names, timers, authority, fairness.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{HERE, Probe, With, World, elsewhere, eventually, guest};
use hearth_abi::{
    Errno, LumpId, ProcessId,
    cast::Cast,
    signal::{decode_args, encode_args},
    terminal::{Command, Open},
};
use hearth_process::{ExitKind, ExitReason, Lane, Limits, SendError, State};
use hearth_wasm::{Caller, Request};
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

/// Adds one to the number that it is sent, and sends it back; parks in between.
const PARKING_ECHO: &str = r#"
    (func (export "start"))
    (func (export "wake") (loop $next
      (if (i32.gt_s (call $try_recv (i32.const 0) (i32.const 32)) (i32.const 0)) (then
        (i64.store (i32.const 24) (i64.add (i64.load (i32.const 24)) (i64.const 1)))
        (drop (call $send (i64.load (i32.const 8)) (i32.const 24) (i32.const 8)))
        (br $next)))))"#;

/// The same, waiting on its own stack.
const BLOCKING_ECHO: &str = r#"
    (func (export "start") (loop $next
      (drop (call $recv (i32.const 0) (i32.const 32) (i32.const -1)))
      (i64.store (i32.const 24) (i64.add (i64.load (i32.const 24)) (i64.const 1)))
      (drop (call $send (i64.load (i32.const 8)) (i32.const 24) (i32.const 8)))
      (br $next)))"#;

/// Two of them, each with the other's id as first message, go on for ever; `ask` the first for the count.
const PLAYER: &str = r#"
    (global $peer (mut i64) (i64.const 0)) (global $count (mut i64) (i64.const 0))
    (func (export "start"))
    (func (export "wake") (loop $next
      (if (i32.gt_s (call $try_recv (i32.const 0) (i32.const 40)) (i32.const 0)) (then
        (if (i64.eq (i64.load (i32.const 8)) (global.get $peer))
          (then
            (global.set $count (i64.add (global.get $count) (i64.const 1)))
            (drop (call $send (global.get $peer) (i32.const 24) (i32.const 8))))
          (else (if (i64.eqz (i64.load (i32.const 24)))
            (then
              (i64.store (i32.const 64) (global.get $count))
              (drop (call $send (i64.load (i32.const 8)) (i32.const 64) (i32.const 8))))
            (else
              (global.set $peer (i64.load (i32.const 24)))
              (if (i32.eq (i32.load8_u (i32.const 32)) (i32.const 1)) (then
                (drop (call $send (global.get $peer) (i32.const 24) (i32.const 8)))))))))
        (br $next)))))"#;

const LOOP: &str = r#"(func (export "start") (loop $for_ever (br $for_ever)))"#;

fn player_message(peer: ProcessId, serves: bool) -> Vec<u8> {
    let mut bytes = peer.to_bits().to_le_bytes().to_vec();
    bytes.extend([u8::from(serves), 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// A pair that plays for ever.
fn pair(world: &World, probe: &Probe) -> (ProcessId, ProcessId) {
    let module = world.put(guest(PLAYER));
    let (one, two) = (world.spawn_lump(module, With::default()), world.spawn_lump(module, With::default()));
    probe.send(two, &player_message(one, false));
    probe.send(one, &player_message(two, true));
    (one, two)
}

#[tokio::test]
async fn parking_and_blocking_guests_answer_alike() {
    let world = World::new();
    let mut probe = world.probe();
    for (echo, rest, lane) in
        [(PARKING_ECHO, State::Parked, Lane::Fast), (BLOCKING_ECHO, State::Waiting, Lane::Fiber)]
    {
        let id = world.spawn(echo);
        eventually(|| world.state(id) == Some(rest)).await;
        for number in 0..100 {
            assert_eq!(probe.ask(id, number).await, number + 1);
        }
        eventually(|| world.state(id) == Some(rest)).await;
        let info = world.processes.info(id).unwrap();
        assert_eq!((info.signals_received, info.mailbox_len, info.lane), (100, 0, lane));
        assert!(info.cpu_ns > 0);
        assert_eq!(info.memory_bytes, 65_536);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_plays_ping_pong() {
    let world = World::new();
    let mut probe = world.probe();
    let (one, _) = pair(&world, &probe);
    let first = probe.ask(one, 0).await;
    while probe.ask(one, 0).await < first + 10_000 {}
}

#[tokio::test]
async fn recv_waits_only_so_long() {
    let world = World::new();
    let body = r#"(func (export "start") (local $then i64)
        (local.set $then (call $clock_monotonic))
        (call $check32 (i32.const 1) (call $recv (i32.const 0) (i32.const 100) (i32.const 30)) (i32.const -8))
        (if (i64.lt_s (i64.sub (call $clock_monotonic) (local.get $then)) (i64.const 30000000)) (then unreachable))
        (local.set $then (call $clock_monotonic))
        (call $check32 (i32.const 2) (call $sleep (i64.const 20000000)) (i32.const 0))
        (if (i64.lt_s (i64.sub (call $clock_monotonic) (local.get $then)) (i64.const 20000000)) (then unreachable))
        (drop (call $send (call $self) (i32.const 0) (i32.const 3)))
        (call $check32 (i32.const 3) (call $recv (i32.const 0) (i32.const 26) (i32.const -1)) (i32.const 27))
        (call $check32 (i32.const 4) (call $recv (i32.const 0) (i32.const 27) (i32.const -1)) (i32.const 27))
        (call $check32 (i32.const 5) (call $try_recv (i32.const 0) (i32.const 27)) (i32.const -3)))"#;
    assert_eq!(world.run(body).await, ExitReason::normal());
}

/// As `try_recv` and `try_recv_many`. A turn in which the clock has ticked, however short it is, is told once that there is nothing,
/// after it has taken something.
const TAKE: &str = r#"
    (func $take (param $at i32) (param $cap i32) (result i32) (local $len i32)
      (local.set $len (call $try_recv (local.get $at) (local.get $cap)))
      (if (i32.eq (local.get $len) (i32.const -3)) (then
        (local.set $len (call $try_recv (local.get $at) (local.get $cap)))))
      (local.get $len))
    (func $take_many (param $at i32) (param $cap i32) (result i32) (local $len i32)
      (local.set $len (call $try_recv_many (local.get $at) (local.get $cap)))
      (if (i32.eq (local.get $len) (i32.const -3)) (then
        (local.set $len (call $try_recv_many (local.get $at) (local.get $cap)))))
      (local.get $len))"#;

#[tokio::test]
async fn a_signal_that_is_too_long_stays_first() {
    let world = World::new();
    let body = r#"(data (i32.const 100) "tea for two") (func (export "start")
        (drop (call $send (call $self) (i32.const 100) (i32.const 11)))
        (drop (call $send (call $self) (i32.const 100) (i32.const 3)))
        (i32.store (i32.const 0) (i32.const 77))
        (call $check32 (i32.const 1) (call $try_recv (i32.const 0) (i32.const 34)) (i32.const 35))
        (call $check32 (i32.const 2) (i32.load (i32.const 0)) (i32.const 77))
        (call $check32 (i32.const 3) (call $try_recv (i32.const 0) (i32.const 35)) (i32.const 35))
        (call $check32 (i32.const 4) (i32.load (i32.const 0)) (i32.const 1))
        (call $check (i32.const 5) (i64.load (i32.const 8)) (call $self))
        (call $check (i32.const 6) (i64.load (i32.const 24)) (i64.load (i32.const 100)))
        (call $check32 (i32.const 7) (call $take (i32.const 0) (i32.const 100)) (i32.const 27)))"#;
    assert_eq!(world.run(&format!("{TAKE} {body}")).await, ExitReason::normal());
}

/// Sends itself three messages, takes two of them at once, for there is no room for the third, and then that one.
#[tokio::test]
async fn several_signals_are_taken_at_once() {
    let world = World::new();
    let body = r#"(data (i32.const 100) "tea for two") (func (export "start")
        (drop (call $send (call $self) (i32.const 100) (i32.const 11)))
        (drop (call $send (call $self) (i32.const 100) (i32.const 0)))
        (drop (call $send (call $self) (i32.const 104) (i32.const 7)))
        (i32.store (i32.const 400) (i32.const 77))
        (call $check32 (i32.const 1) (call $try_recv_many (i32.const 400) (i32.const 47)) (i32.const 48))
        (call $check32 (i32.const 2) (i32.load (i32.const 400)) (i32.const 77))
        (call $check32 (i32.const 3) (call $try_recv_many (i32.const 400) (i32.const 119)) (i32.const 80))
        (call $check (i32.const 4) (i64.load (i32.const 400)) (i64.const 35))
        (call $check32 (i32.const 5) (i32.load16_u (i32.const 408)) (i32.const 1))
        (call $check (i32.const 6) (i64.load (i32.const 416)) (call $self))
        (call $check (i32.const 7) (i64.load (i32.const 432)) (i64.load (i32.const 100)))
        (call $check (i32.const 8) (i64.load (i32.const 448)) (i64.const 24))
        (call $check32 (i32.const 9) (call $take_many (i32.const 400) (i32.const 40)) (i32.const 40))
        (call $check (i32.const 10) (i64.load (i32.const 400)) (i64.const 31))
        (call $check32 (i32.const 11) (i32.load (i32.const 432)) (i32.load (i32.const 104)))
        (call $check32 (i32.const 12) (call $try_recv_many (i32.const 400) (i32.const 40)) (i32.const -3))
        (call $check32 (i32.const 13) (call $try_recv_many (i32.const 65530) (i32.const 7)) (i32.const -1)))"#;
    // Also on a stack of its own.
    for waits in ["", "(func (drop (call $sleep (i64.const 0))))"] {
        assert_eq!(world.run(&format!("{TAKE} {body} {waits}")).await, ExitReason::normal());
    }
}

/// Answers with the length of what lies there when `wake` is called, and with the first number of the first message; of one that is
/// not there, with 0 and what `try_recv_many` says. The fourth message is the last for which it is so.
const WOKEN_WITH: &str = r#"
    (global $left (mut i32) (i32.const 4))
    (func (export "start")
      (call $check32 (i32.const 1) (call $wake_with (i32.const 400) (i32.const 39)) (i32.const -2))
      (call $check32 (i32.const 2) (call $wake_with (i32.const 65500) (i32.const 40)) (i32.const -1))
      (call $check32 (i32.const 3) (call $wake_with (i32.const 400) (i32.const 96)) (i32.const 0)))
    (func (export "wake")
      (local $at i32)
      (local.set $at (i32.const 408))
      (i64.store (i32.const 600) (i64.load (i32.const 400)))
      (i64.store (i32.const 608) (i64.const 0))
      (if (i64.eqz (i64.load (i32.const 400))) (then
        (local.set $at (i32.const 1000))
        (i64.store (i32.const 608) (i64.extend_i32_s (call $try_recv_many (local.get $at) (i32.const 4000))))
        (if (i32.le_s (i32.load (i32.const 608)) (i32.const 0)) (then (return)))))
      (i64.store (i32.const 616) (i64.load offset=32 (local.get $at)))
      (drop (call $send (i64.load offset=16 (local.get $at)) (i32.const 600) (i32.const 24)))
      (i64.store (i32.const 400) (i64.const 0))
      (global.set $left (i32.sub (global.get $left) (i32.const 1)))
      (if (i32.eqz (global.get $left)) (then
        (call $check32 (i32.const 4) (call $wake_with (i32.const 0) (i32.const 0)) (i32.const 0)))))"#;

#[tokio::test]
async fn signals_are_there_when_wake_is_called() {
    let world = World::new();
    // Also on a stack of its own.
    for waits in ["", "(func (drop (call $sleep (i64.const 0))))"] {
        let id = world.spawn(&format!("{WOKEN_WITH} {waits}"));
        let mut probe = world.probe();
        // The second has no room there, and the last is behind the end of it.
        for (number, body_len, expect) in
            [(7u64, 8, [40, 0]), (8, 100, [0, 136]), (9, 56, [88, 0]), (10, 16, [48, 0]), (11, 8, [0, 40])]
        {
            let mut body = vec![0; body_len];
            body[..8].copy_from_slice(&number.to_le_bytes());
            probe.send(id, &body);
            let reply = probe.next().await;
            let numbers: Vec<u64> =
                reply.body.chunks(8).map(|number| u64::from_le_bytes(number.try_into().unwrap())).collect();
            assert_eq!(numbers, [expect[0], expect[1], number], "{waits}");
        }
        // When its turn is over.
        eventually(|| {
            let info = world.processes.info(id).unwrap();
            (info.signals_received, info.mailbox_len) == (5, 0)
        })
        .await;
    }
}

#[tokio::test]
async fn the_senders_of_a_full_mailbox_are_told() {
    let world = World::new();
    let limits = Limits { mailbox_signals: 2, ..Limits::default() };
    let body = r#"(func (export "start")
        (call $check32 (i32.const 1) (call $send (call $self) (i32.const 0) (i32.const 9)) (i32.const 0))
        (call $check32 (i32.const 2) (call $send (call $self) (i32.const 0) (i32.const 9)) (i32.const 0))
        (call $check32 (i32.const 3) (call $send (call $self) (i32.const 0) (i32.const 9)) (i32.const -6))
        (drop (call $try_recv (i32.const 0) (i32.const 100)))
        (call $check32 (i32.const 4) (call $send (call $self) (i32.const 0) (i32.const 9)) (i32.const 0))
        (drop (memory.grow (i32.const 30)))
        (call $check32 (i32.const 5) (call $send (call $self) (i32.const 0) (i32.const 1048577)) (i32.const -7)))"#;
    assert_eq!(world.run_with(body, With { limits, ..With::default() }).await, ExitReason::normal());
}

#[tokio::test]
async fn timers_wake_a_parked_guest() {
    let world = World::new();
    let body = r#"(global $seen (mut i32) (i32.const 0))
        (func (export "start")
          (drop (call $timer (i64.const 20000000) (i64.const 2)))
          (drop (call $timer (i64.const 1000000) (i64.const -1)))
          (drop (call $timer (i64.const 0) (i64.const 3)))
          (call $check32 (i32.const 1) (call $cancel_timer (i64.const 3)) (i32.const 0)))
        (func (export "wake")
          (drop (call $try_recv (i32.const 0) (i32.const 100)))
          (call $check32 (i32.const 2) (i32.load (i32.const 0)) (i32.const 4))
          (call $check (i32.const 3) (i64.load (i32.const 16))
            (select (i64.const 2) (i64.const -1) (global.get $seen)))
          (if (global.get $seen) (then (call $exit (i32.const 0) (i32.const 0))))
          (global.set $seen (i32.const 1)))"#;
    assert_eq!(world.run(body).await, ExitReason::normal());
}

#[tokio::test]
async fn names_are_found_and_taken() {
    let world = World::new();
    let door = world.spawn_with(PARKING_ECHO, With { name: Some("door"), ..With::default() });
    let body = format!(
        r#"(data (i32.const 0) "doorwindow") (func (export "start")
        (call $check (i32.const 1) (call $whereis (i32.const 0) (i32.const 4)) (i64.const {}))
        (call $check32 (i32.const 2) (call $register (i32.const 0) (i32.const 4)) (i32.const -10))
        (call $check32 (i32.const 3) (call $register (i32.const 4) (i32.const 6)) (i32.const 0))
        (call $check (i32.const 4) (call $whereis (i32.const 4) (i32.const 6)) (call $self))
        (call $check32 (i32.const 5) (call $unregister (i32.const 0) (i32.const 4)) (i32.const -4))
        (call $check32 (i32.const 6) (call $unregister (i32.const 4) (i32.const 6)) (i32.const 0))
        (call $check (i32.const 7) (call $whereis (i32.const 4) (i32.const 6)) (i64.const -4)))"#,
        door.to_bits()
    );
    assert_eq!(world.run(&body).await, ExitReason::normal());
}

#[tokio::test]
async fn a_guest_spawns_and_kills_others() {
    let world = World::new();
    let echo = world.put(guest(PARKING_ECHO));
    let probe = world.probe();
    let parent = r#"(func (export "start")
        (drop (call $args (i32.const 0) (i32.const 36)))
        (drop (call $recv (i32.const 200) (i32.const 100) (i32.const -1)))
        (i64.store (i32.const 100) (call $spawn (i32.const 4) (i32.const 300) (i32.const 4) (i32.const 0) (i32.const 36)))
        (i64.store (i32.const 108) (call $spawn (i32.const 4) (i32.const 300) (i32.const 4) (i32.const 0) (i32.const 36)))
        (drop (call $send (i64.load (i32.const 208)) (i32.const 100) (i32.const 16)))
        (drop (call $recv (i32.const 200) (i32.const 100) (i32.const -1)))
        (drop (call $kill (i64.load (i32.const 100)) (i32.const 300) (i32.const 4)))
        (drop (call $kill (call $self) (i32.const 300) (i32.const 4))) unreachable) (data (i32.const 300) "door")"#;
    let mut probe = probe;
    let id = world
        .spawn_with(parent, With { args: vec![echo.0.to_vec()], origin: elsewhere(), ..With::default() });
    probe.send(id, b"");
    let answer = probe.next().await;
    let child = ProcessId::from_bits(u64::from_le_bytes(answer.body[..8].try_into().unwrap()));
    let second = i64::from_le_bytes(answer.body[8..].try_into().unwrap());
    assert_eq!(second, i64::from(Errno::Taken.as_return()));
    assert_eq!(probe.ask(child, 1).await, 2);
    let info = world.processes.info(child).unwrap();
    assert_eq!((info.parent, info.origin, info.module), (Some(id), elsewhere(), Some(echo)));
    assert_eq!(info.names, ["door"]);
    probe.send(id, b"");
    let killed = ExitReason::new(ExitKind::Killed, "door");
    assert_eq!(world.processes.exited(child).await, killed);
    assert_eq!(world.processes.exited(id).await, killed);
}

#[tokio::test]
async fn a_module_that_cannot_be_had_ends_its_process_with_the_reason() {
    let world = World::new();
    let mut probe = world.probe();
    let body = r#"(func (export "start")
        (drop (call $recv (i32.const 200) (i32.const 100) (i32.const -1)))
        (i64.store (i32.const 100) (call $spawn (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
        (drop (call $send (i64.load (i32.const 208)) (i32.const 100) (i32.const 8))))"#;
    let id = world.spawn(body);
    let child = ProcessId::from_bits(probe.ask(id, 0).await);
    let reason = world.processes.exited(child).await;
    assert_eq!(reason.kind, ExitKind::Load);
    assert!(reason.text.contains("nobody has lump 0000"), "{reason}");
    assert_eq!(world.processes.started(child).await, Err(reason));
}

#[tokio::test]
async fn who_logs_too_much_is_told_and_the_rest_is_there() {
    let world = World::new();
    let limits = Limits { log_burst: 3, log_lines_per_s: 1, ..Limits::default() };
    let body = r#"(data (i32.const 0) "kitchen") (data (i32.const 20) "tea\ff is\1bready") (func (export "start")
        (local $n i32)
        (loop $more
          (call $check32 (local.get $n)
            (call $log (i32.const 3) (i32.const 0) (i32.const 7) (i32.const 20) (i32.const 13))
            (select (i32.const 0) (i32.const -7) (i32.lt_u (local.get $n) (i32.const 3))))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $n) (i32.const 10)))))"#;
    let id = world.spawn_with(body, With { limits, ..With::default() });
    assert_eq!(world.processes.exited(id).await, ExitReason::normal());
    let lines = world.processes.log_lines(id, 9).unwrap();
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let tea = "tea\u{fffd} is\u{fffd}ready";
    assert_eq!(texts, [tea, tea, tea, "7 lines were lost here: too many at once", "ended"]);
    assert_eq!(lines[0].target, "kitchen");
}

#[tokio::test]
async fn lumps_are_made_and_read_back() {
    let world = World::new();
    let body = r#"(data (i32.const 0) "a small lump") (func (export "start")
        (call $check32 (i32.const 1) (call $lump_put (i32.const 0) (i32.const 12) (i32.const 100) (i64.const 7)) (i32.const 0))
        (call $check32 (i32.const 2) (call $recv (i32.const 200) (i32.const 100) (i32.const -1)) (i32.const 24))
        (call $check (i32.const 3) (i64.load (i32.const 200)) (i64.const 5))
        (call $check (i32.const 4) (i64.load (i32.const 216)) (i64.const 7))
        (call $check32 (i32.const 5)
          (call $lump_read (i32.const 100) (i64.const 2) (i32.const 5) (i32.const 1000) (i64.const 8)) (i32.const 0))
        (call $check32 (i32.const 6) (call $recv (i32.const 200) (i32.const 100) (i32.const -1)) (i32.const 29))
        (call $check32 (i32.const 7) (i32.load (i32.const 204)) (i32.const 5))
        (call $check32 (i32.const 8) (i32.load (i32.const 224)) (i32.load (i32.const 2)))
        (call $check32 (i32.const 9)
          (call $lump_read (i32.const 0) (i64.const 2) (i32.const -1) (i32.const 0) (i64.const 9)) (i32.const 0))
        (call $check32 (i32.const 10) (call $recv (i32.const 200) (i32.const 100) (i32.const -1)) (i32.const 36))
        (call $check32 (i32.const 11) (i32.load (i32.const 204)) (i32.const -4)))"#;
    assert_eq!(world.run(body).await, ExitReason::normal());
    let asked = world.peer.asked.lock();
    let id = LumpId(*blake3::hash(b"a small lump").as_bytes());
    assert_eq!(asked[0].1, Request::LumpPut { id, bytes: b"a small lump"[..].into() });
    assert_eq!(asked[1].1, Request::LumpRead { id, offset: 2, len: 5, timeout: Duration::from_secs(1) });
    // More than fits a reply is asked for in parts.
    assert!(matches!(asked[2].1, Request::LumpRead { len: 0x10_0000, .. }));
}

#[tokio::test]
async fn requests_reach_the_peer_as_they_were_made() {
    let world = World::new();
    world.peer.hold.store(true, SeqCst);
    let args = encode_args(["a", ""]);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let open = Open { folder: "/".into(), command: vec!["vim".into()], ..Open::default() };
    let cast = Cast {
        from: [1.0, 2.0, 3.0],
        way: [0.0, -1.0, 0.0],
        distance_max: 9.0,
        radius: 0.5,
        hits_max: 4,
        without: None,
    };
    let casting = hex(&cast.encode());
    let (data, opening, resize) =
        (hex(&args), hex(&open.encode()), hex(&Command::Resize { columns: 80, rows: 24 }.encode()));
    let body = format!(
        r#"(data (i32.const 512) "{opening}") (data (i32.const 1024) "{resize}") (data (i32.const 2048) "{casting}")
        (data (i32.const 32) "Mesh") (data (i32.const 40) "/tmp/file") (data (i32.const 64) "{data}")
        (func (export "start")
          (drop (call $lump_size (i32.const 0) (i32.const 9) (i64.const 1)))
          (drop (call $lump_push (i32.const 0) (i32.const 5) (i64.const 2)))
          (drop (call $asset_load (i32.const 32) (i32.const 4) (i32.const 0) (i64.const 3)))
          (drop (call $file_load (i32.const 40) (i32.const 9) (i64.const 4)))
          (drop (call $command (i32.const 64) (i32.const {len}) (i64.const 5)))
          (drop (call $spawn_on (i32.const 5) (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 64) (i32.const {len}) (i64.const 6)))
          (drop (call $spawn_on (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 6)))
          (drop (call $spawn_on_link (i32.const 5) (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 64) (i32.const {len}) (i64.const 6)))
          (drop (call $spawn_on_monitor (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64) (i32.const {len}) (i64.const 6) (i64.const 8)))
          (call $check32 (i32.const 7) (call $asset_drop (i32.const 32) (i32.const 4) (i32.const 0)) (i32.const -4))
          (call $check (i32.const 8) (call $entity_ids (i32.const 3)) (i64.const 40))
          (call $check32 (i32.const 9) (call $scene_apply (i32.const 0) (i32.const 0)) (i32.const 0))
          (call $check32 (i32.const 10) (call $scene_apply (i32.const 0) (i32.const 2)) (i32.const -2))
          (call $check32 (i32.const 11) (call $peer_name (i32.const 5) (i32.const 0) (i32.const 8)) (i32.const 8))
          (call $check32 (i32.const 12) (call $peer_name (i32.const 6) (i32.const 0) (i32.const 8)) (i32.const -9))
          (drop (call $terminal_open (i32.const 512) (i32.const {opening_len}) (i64.const 7)))
          (drop (call $clipboard_read (i64.const 8)))
          (drop (call $scene_cast (i32.const 2048) (i32.const 44) (i64.const 9)))
          (call $check32 (i32.const 13) (call $terminal_command (i64.const 7) (i32.const 1024) (i32.const 5)) (i32.const 0))
          (call $check32 (i32.const 14) (call $terminal_command (i64.const 8) (i32.const 1024) (i32.const 5)) (i32.const -4))
          (call $check32 (i32.const 15) (call $keyboard_focus (i64.const 7)) (i32.const 0))
          (call $check32 (i32.const 16) (call $keyboard_focus (i64.const 0)) (i32.const 0))
          (call $check32 (i32.const 17) (call $clipboard_write (i32.const 32) (i32.const 4)) (i32.const 0))
          (call $check32 (i32.const 18) (call $keyboard_leave (i32.const 1048576)) (i32.const -9))
          (call $check32 (i32.const 19) (call $keyboard_leave (i32.const 5)) (i32.const 0)))"#,
        len = args.len(),
        opening_len = open.encode().len(),
    );
    let id = world.spawn(&body);
    assert_eq!(world.processes.exited(id).await, ExitReason::normal());
    let lump = LumpId([0; 32]);
    let wanted = [
        Request::LumpSize { id: lump, timeout: Duration::from_millis(9) },
        Request::LumpPush { id: lump, peer: elsewhere() },
        Request::AssetLoad { class: "Mesh".into(), id: lump },
        Request::FileLoad { path: "/tmp/file".into() },
        Request::Command { args: decode_args(&args).unwrap().into_iter().map(<[u8]>::to_vec).collect() },
        Request::SpawnOn {
            peer: elsewhere(),
            module: lump,
            name: Some("Mesh".into()),
            args: args.clone().into(),
        },
        Request::SpawnOn { peer: HERE, module: lump, name: None, args: Default::default() },
        Request::SpawnOn {
            peer: elsewhere(),
            module: lump,
            name: Some("Mesh".into()),
            args: args.clone().into(),
        },
        Request::SpawnOn { peer: elsewhere(), module: lump, name: None, args: args.into() },
        Request::TerminalOpen { open },
        Request::ClipboardRead,
        Request::SceneCast { cast },
    ];
    let asked = world.peer.asked.lock();
    assert!(asked.iter().all(|(caller, _)| *caller == Caller { process: id, origin: HERE }));
    let asked: Vec<_> = asked.iter().map(|(_, request)| request.clone()).collect();
    assert_eq!(asked, wanted);
    let called = world.peer.called.lock();
    let wanted = [
        "terminal_command 0.7 Resize { columns: 80, rows: 24 }",
        "terminal_command 0.8 Resize { columns: 80, rows: 24 }",
        "keyboard_focus Some(0.7)",
        "keyboard_focus None",
        "clipboard_write Mesh",
        "keyboard_leave 5",
    ];
    assert_eq!(called[called.len() - wanted.len()..], wanted);
}

#[tokio::test]
async fn code_of_another_peer_has_no_authority_over_this_machine() {
    let body = r#"(data (i32.const 0) "/etc/passwd") (data (i32.const 20) "\02\00\00\00sh")
        (data (i32.const 512) "OPEN")
        (func (export "start")
          (call $check32 (i32.const 1) (call $origin) (i32.const ORIGIN))
          (call $check32 (i32.const 2) (call $file_load (i32.const 0) (i32.const 11) (i64.const 1)) (i32.const REFUSED))
          (call $check32 (i32.const 3) (call $command (i32.const 20) (i32.const 6) (i64.const 2)) (i32.const REFUSED))
          (call $check32 (i32.const 4) (call $input_subscribe (i32.const 1)) (i32.const REFUSED))
          (call $check32 (i32.const 5) (call $input_subscribe (i32.const 2)) (i32.const REFUSED))
          (call $check32 (i32.const 6) (call $input_subscribe (i32.const 7)) (i32.const REFUSED))
          (call $check32 (i32.const 7) (call $input_subscribe (i32.const 4)) (i32.const 0))
          (call $check32 (i32.const 8) (call $pointer_capture (i32.const 1)) (i32.const REFUSED))
          (call $check32 (i32.const 9) (call $terminal_open (i32.const 512) (i32.const LENGTH) (i64.const 3)) (i32.const REFUSED))
          (call $check32 (i32.const 10) (call $terminal_command (i64.const 7) (i32.const 600) (i32.const 1)) (i32.const REFUSED))
          (call $check32 (i32.const 11) (call $keyboard_focus (i64.const 7)) (i32.const REFUSED))
          (call $check32 (i32.const 12) (call $keyboard_focus (i64.const 0)) (i32.const REFUSED))
          (call $check32 (i32.const 13) (call $clipboard_write (i32.const 0) (i32.const 1)) (i32.const REFUSED))
          (call $check32 (i32.const 14) (call $clipboard_read (i64.const 4)) (i32.const REFUSED))
          (call $check32 (i32.const 15) (call $keyboard_leave (i32.const 5)) (i32.const 0)))
        (data (i32.const 600) "\0a")"#;
    let open = Open::default().encode();
    let opening: String = open.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let body = body.replace("OPEN", &opening).replace("LENGTH", &open.len().to_string());
    let world = World::new();
    let stranger = body.replace("ORIGIN", "5").replace("REFUSED", "-5");
    let with = With { origin: elsewhere(), ..With::default() };
    assert_eq!(world.run_with(&stranger, with).await, ExitReason::normal());
    assert!(world.peer.asked.lock().is_empty());
    let called = ["input_subscribe 5 4", "keyboard_leave 5"];
    assert_eq!(
        *world.peer.called.lock(),
        called,
        "frames tell nothing about the user, and what is given back is nothing"
    );

    let world = World::new();
    let own = body.replace("ORIGIN", "0").replace("REFUSED", "0");
    assert_eq!(world.run(&own).await, ExitReason::normal());
    assert_eq!(world.peer.asked.lock().len(), 4);
    assert_eq!(world.peer.called.lock().len(), 10);
}

#[tokio::test]
async fn the_number_of_requests_is_bounded_and_replies_free_their_places() {
    let world = World::new();
    let limits = Limits { requests: 2, ..Limits::default() };
    let body = r#"(func $ask (result i32) (call $lump_size (i32.const 0) (i32.const 1) (i64.const 1)))
        (func (export "start")
          (call $check32 (i32.const 1) (call $ask) (i32.const 0))
          (call $check32 (i32.const 2) (call $ask) (i32.const 0))
          (call $check32 (i32.const 3) (call $ask) (i32.const -7))
          (drop (call $recv (i32.const 0) (i32.const 100) (i32.const -1)))
          ;; The peer dropped it: an error of the host.
          (call $check32 (i32.const 4) (i32.load (i32.const 4)) (i32.const -13))
          (call $check32 (i32.const 5) (call $ask) (i32.const 0)))"#;
    assert_eq!(world.run_with(body, With { limits, ..With::default() }).await, ExitReason::normal());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn infinite_loops_do_not_stop_the_others() {
    let world = World::new();
    let mut probe = world.probe();
    let (one, _) = pair(&world, &probe);
    let hog = world.put(guest(LOOP));
    let hogs: Vec<_> = (0..20).map(|_| world.spawn_lump(hog, With::default())).collect();
    let lane = |id: ProcessId| world.processes.info(id).unwrap().lane;
    eventually(|| hogs.iter().all(|id| lane(*id) == Lane::Hog)).await;
    let before = probe.ask(one, 0).await;
    while probe.ask(one, 0).await < before + 20_000 {}
    assert_eq!(lane(one), Lane::Fast);
    // The loops go on too, all of them.
    let used = |id: ProcessId| world.processes.info(id).unwrap().cpu_ns;
    let then: Vec<_> = hogs.iter().map(|id| used(*id)).collect();
    eventually(|| hogs.iter().zip(&then).all(|(id, then)| used(*id) > *then)).await;
    for id in hogs {
        world.processes.kill(None, id, "enough").unwrap();
        assert_eq!(world.processes.exited(id).await, ExitReason::new(ExitKind::Killed, "enough"));
    }
}

#[tokio::test]
async fn loops_of_every_sort_are_killed() {
    // One thread only: the loop has to give it up for anything to happen at all.
    let world = World::new();
    for body in [
        LOOP,
        r#"(func $f (call $f2)) (func $f2) (func (export "start") (loop $l (call $f) (br $l)))"#,
        r#"(func $early (loop $l (br $l))) (start $early) (func (export "start"))"#,
        r#"(func (export "_initialize") (loop $l (br $l))) (func (export "start"))"#,
        r#"(func (export "start") (loop $l (drop (call $clock_wall)) (br $l)))"#,
        r#"(func (export "start") (loop $l (drop (call $sleep (i64.const 0))) (br $l)))"#,
        r#"(func (export "start") (loop $l (drop (call $recv (i32.const 0) (i32.const 0) (i32.const 0))) (br $l)))"#,
        // Signals that it never takes wake it again and again.
        r#"(func (export "start") (drop (call $send (call $self) (i32.const 0) (i32.const 0)))) (func (export "wake"))"#,
        // It wakes itself for ever.
        r#"(func (export "start") (drop (call $send (call $self) (i32.const 0) (i32.const 0))))
        (func (export "wake") (drop (call $try_recv (i32.const 0) (i32.const 100)))
          (drop (call $send (call $self) (i32.const 0) (i32.const 0))))"#,
        r#"(func (export "start") (drop (call $recv (i32.const 0) (i32.const 0) (i32.const -1))))"#,
        r#"(func (export "start")) (func (export "wake"))"#,
    ] {
        let id = world.spawn(body);
        // Long enough for it to be at it, or in the middle of being compiled.
        eventually(|| {
            world.state(id) != Some(State::Starting) || body.contains("early") || body.contains("_init")
        })
        .await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        world.processes.kill(None, id, "").unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(30), world.processes.exited(id));
        assert_eq!(ended.await.expect(body).text, "killed", "{body}");
    }
}

#[tokio::test]
async fn interruption_begins_again_after_a_quiet_time() {
    let world = World::new();
    for _ in 0..3 {
        // Longer than the clock of interruption goes on without a guest.
        tokio::time::sleep(Duration::from_millis(60)).await;
        let id = world.spawn(LOOP);
        eventually(|| world.state(id) == Some(State::Running)).await;
        world.processes.kill(None, id, "").unwrap();
        world.processes.exited(id).await;
    }
}

#[tokio::test]
async fn a_process_that_has_ended_receives_nothing() {
    let world = World::new();
    let id = world.spawn(r#"(func (export "start"))"#);
    world.processes.exited(id).await;
    assert_eq!(world.processes.send(id, id, Default::default()), Err(SendError::NotFound));
}
