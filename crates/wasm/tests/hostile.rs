// SPDX-License-Identifier: AGPL-3.0-or-later
//! Guests that pass nonsense to every call: they get an error, and the host goes on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{World, documented_calls};
use hearth_process::ExitReason;
use std::fmt::Write;

/// Numbers that break what trusts them.
const NUMBERS: [i64; 16] = [
    0,
    1,
    24,
    32,
    4096,
    65_504,
    65_535,
    65_536,
    65_537,
    1 << 20,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fff0,
    0xffff_ffff,
    i64::MIN,
    i64::MAX,
];

/// A guest that calls one import with many combinations of these numbers.
fn nonsense(name: &str, params: &[String], has_result: bool, fill: u8) -> String {
    let mut random = 0x2545_F491_4F6C_DD1Du64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut body = String::new();
    let combinations = if params.len() == 1 { NUMBERS.len() } else { 400 };
    for first in NUMBERS.into_iter().cycle().take(combinations) {
        body.push_str(if has_result { "(drop (call $" } else { "(call $" });
        body.push_str(name);
        for ty in params {
            let number = if params.len() == 1 { first } else { NUMBERS[next() as usize % NUMBERS.len()] };
            match ty.as_str() {
                "i32" => write!(body, " (i32.const {})", number as i32).unwrap(),
                _ => write!(body, " (i64.const {number})").unwrap(),
            }
        }
        body.push_str(if has_result { "))\n" } else { ")\n" });
    }
    format!(
        r#"(func (export "start")
          (memory.fill (i32.const 0) (i32.const {fill}) (i32.const 65536))
          {body}
          (call $exit (i32.const 0) (i32.const 0)))"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_in_every_call_harms_nobody() {
    let world = World::new();
    for (_, name, params, result) in documented_calls() {
        // These end or stop the guest; they have tests of their own.
        if ["exit", "exit_with", "link", "sleep", "recv"].contains(&name.as_str()) {
            continue;
        }
        // A memory of zeros, of text, of what is no text, and of large lengths.
        for fill in [0, b'a', 0xff, 1] {
            let reason = world.run(&nonsense(&name, &params, result.is_some(), fill)).await;
            assert_eq!(reason, ExitReason::normal(), "{name} in a memory of {fill}");
        }
    }
}

#[tokio::test]
async fn ranges_outside_of_the_memory_are_faults() {
    let world = World::new();
    // Each call with one range that reaches one byte too far, and one that wraps around.
    for (text, wanted) in [
        ("(call $try_recv (i32.const 1) (i32.const 65536))", -1),
        ("(call $try_recv (i32.const -1) (i32.const -1))", -1),
        ("(call $try_recv (i32.const 65536) (i32.const 0))", -3),
        ("(call $try_recv (i32.const 65537) (i32.const 0))", -1),
        ("(call $recv (i32.const 65537) (i32.const 0) (i32.const 0))", -1),
        ("(call $recv (i32.const 0) (i32.const 0) (i32.const 0))", -8),
        ("(call $recv (i32.const 0) (i32.const 0) (i32.const -2))", -2),
        ("(call $sleep (i64.const -1))", -2),
        ("(call $send (call $self) (i32.const 65535) (i32.const 2))", -1),
        ("(call $send (i64.const 0) (i32.const 0) (i32.const 0))", -4),
        ("(call $send (i64.const -1) (i32.const 0) (i32.const 0))", -9),
        ("(call $kill (i64.const 99) (i32.const 65535) (i32.const 2))", -1),
        ("(call $kill (i64.const 99) (i32.const 0) (i32.const 2))", -4),
        ("(call $exit_to (i64.const 99) (i32.const 65535) (i32.const 4))", -1),
        ("(call $exit_to (i64.const 99) (i32.const 0) (i32.const 3))", -2),
        ("(call $exit_to (i64.const 99) (i32.const 0) (i32.const 4))", -4),
        ("(call $exit_to (i64.const 99) (i32.const 0) (i32.const 8197))", -7),
        ("(call $demonitor (i64.const 0))", -4),
        ("(call $unlink (i64.const -1))", 0),
        ("(call $register (i32.const 65535) (i32.const 2))", -1),
        ("(call $register (i32.const 0) (i32.const 0))", -2),
        ("(call $register (i32.const 0) (i32.const 129))", -2),
        ("(call $unregister (i32.const 0) (i32.const 1))", -4),
        ("(call $random (i32.const 65535) (i32.const 2))", -1),
        ("(call $random (i32.const 0) (i32.const 65537))", -1),
        ("(call $timer (i64.const -1) (i64.const 0))", -2),
        ("(call $cancel_timer (i64.const 0))", -4),
        ("(call $log (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))", -2),
        ("(call $log (i32.const 6) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))", -2),
        ("(call $log (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const 1))", -1),
        ("(call $log (i32.const 1) (i32.const 65536) (i32.const 1) (i32.const 0) (i32.const 0))", -1),
        ("(call $lump_put (i32.const 0) (i32.const 1) (i32.const 65505) (i64.const 1))", -1),
        ("(call $lump_put (i32.const 65536) (i32.const 1) (i32.const 0) (i64.const 1))", -1),
        ("(call $lump_read (i32.const 65505) (i64.const 0) (i32.const 0) (i32.const 0) (i64.const 1))", -1),
        ("(call $lump_read (i32.const 0) (i64.const -1) (i32.const 0) (i32.const 0) (i64.const 1))", -2),
        ("(call $lump_read (i32.const 0) (i64.const 0) (i32.const 0) (i32.const -1) (i64.const 1))", -2),
        ("(call $lump_push (i32.const 0) (i32.const -1) (i64.const 1))", -9),
        ("(call $asset_load (i32.const 0) (i32.const 65) (i32.const 0) (i64.const 1))", -2),
        ("(call $asset_drop (i32.const 0) (i32.const 1) (i32.const 65505))", -1),
        ("(call $scene_apply (i32.const 65536) (i32.const 1))", -1),
        ("(call $scene_read (i64.const 40) (i32.const 65537) (i32.const 0) (i32.const 10))", -2),
        ("(call $scene_read (i64.const 41) (i32.const 1) (i32.const 0) (i32.const 10))", -4),
        ("(call $scene_read (i64.const 40) (i32.const 1) (i32.const 65536) (i32.const 10))", -1),
        ("(call $scene_cast (i32.const 65535) (i32.const 2) (i64.const 1))", -1),
        ("(call $scene_cast (i32.const 0) (i32.const 0) (i64.const 1))", -2),
        ("(call $scene_cast (i32.const 0) (i32.const 44) (i64.const 1))", -2),
        ("(call $input_subscribe (i32.const 64))", -2),
        ("(call $peer_name (i32.const -1) (i32.const 0) (i32.const 10))", -9),
        ("(call $file_load (i32.const 0) (i32.const 1) (i64.const 1))", -2),
        ("(call $command (i32.const 0) (i32.const 0) (i64.const 1))", -2),
        ("(call $command (i32.const 0) (i32.const 3) (i64.const 1))", -2),
        ("(call $terminal_open (i32.const 0) (i32.const 0) (i64.const 1))", -2),
        ("(call $terminal_open (i32.const 0) (i32.const 80) (i64.const 1))", -2),
        ("(call $terminal_open (i32.const 65535) (i32.const 2) (i64.const 1))", -1),
        ("(call $terminal_command (i64.const 7) (i32.const 65535) (i32.const 2))", -1),
        ("(call $terminal_command (i64.const 7) (i32.const 0) (i32.const 0))", -2),
        ("(call $terminal_command (i64.const 7) (i32.const 0) (i32.const 1))", -2),
        ("(call $terminal_views (i64.const 0) (i32.const 65472) (i32.const 65))", -1),
        ("(call $terminal_views (i64.const 0) (i32.const -1) (i32.const -1))", -1),
        ("(call $terminal_views (i64.const 0) (i32.const 0) (i32.const 64))", -2),
        ("(call $clipboard_write (i32.const 65535) (i32.const 2))", -1),
        (
            "(call $spawn_on (i32.const 0) (i32.const 65505) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 1))",
            -1,
        ),
        (
            "(call $spawn_on (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 3) (i64.const 1))",
            -2,
        ),
        (
            "(call $spawn_on_link (i32.const 0) (i32.const 65505) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 1))",
            -1,
        ),
        (
            "(call $spawn_on_link (i32.const -1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 1))",
            -9,
        ),
        (
            "(call $spawn_on_monitor (i32.const 0) (i32.const 0) (i32.const 65535) (i32.const 2) (i32.const 0) (i32.const 0) (i64.const 1) (i64.const 2))",
            -1,
        ),
        (
            "(call $spawn_on_monitor (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 3) (i64.const 1) (i64.const 2))",
            -2,
        ),
        (
            "(i32.wrap_i64 (call $spawn (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const 1)))",
            -1,
        ),
        ("(i32.wrap_i64 (call $whereis (i32.const 0) (i32.const 1)))", -4),
        ("(i32.wrap_i64 (call $entity_ids (i32.const 0)))", -2),
        ("(i32.wrap_i64 (call $entity_ids (i32.const 65537)))", -7),
    ] {
        let body =
            format!(r#"(func (export "start") (call $check32 (i32.const 1) {text} (i32.const {wanted})))"#);
        assert_eq!(world.run(&body).await, ExitReason::normal(), "{text}");
    }
    assert!(world.peer.asked.lock().is_empty(), "none of these got as far as the peer");
}

#[tokio::test]
async fn calls_work_in_a_modules_own_start_function() {
    let world = World::new();
    let body = r#"(func $early (call $check32 (i32.const 1) (call $random (i32.const 0) (i32.const 8)) (i32.const 0)))
        (start $early)
        (func (export "start")
          (if (i64.eqz (i64.load (i32.const 0))) (then unreachable)))"#;
    assert_eq!(world.run(body).await, ExitReason::normal());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_on_their_way_into_the_store_are_bounded() {
    let world = World::new();
    // 70 lumps of 1 MiB; the peer holds on to each, as a slow disk would.
    let body = r#"(func (export "start") (local $n i32)
          (drop (memory.grow (i32.const 20)))
          (loop $more
            (i32.store (i32.const 65536) (local.get $n))
            (if (i32.ge_s (call $lump_put (i32.const 65536) (i32.const 1048576) (i32.const 0) (i64.const 0)) (i32.const 0))
              (then (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $more (i32.lt_u (local.get $n) (i32.const 70))))))
          (call $check32 (i32.const 1) (local.get $n) (i32.const 64))
          (call $check32 (i32.const 2)
            (call $lump_put (i32.const 65536) (i32.const 1) (i32.const 0) (i64.const 0)) (i32.const -7)))"#;
    assert_eq!(world.run(body).await, ExitReason::normal());
    assert_eq!(world.peer.asked.lock().len(), 64);
}
