// SPDX-License-Identifier: AGPL-3.0-or-later
//! Instances that are used again: whoever gets one finds a new one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{With, World, eventually, guest};
use hearth_abi::ProcessId;
use hearth_process::{ExitKind, Limits, State};

/// Ends with a complaint unless everything is as in a new instance, for host calls as well, and then changes it. A message tells it how to go
/// on: 0 return, 1 end with a reason, 2 trap, 3 take much more memory and end, 4 touch very much and end, 5 to 7 take some more memory,
/// which is to be new as well, change some of it and end.
const CHANGES: &str = r#"
    (data (i32.const 1000) "first") (data (i32.const 40000) "second")
    (global $a (mut i32) (i32.const 7)) (global $b (mut i64) (i64.const -1)) (global $c (mut f64) (f64.const 0.5))
    (global $shown (export "recycled 0") (mut i32) (i32.const 9))
    (table 2 funcref) (elem (i32.const 0) $one $two)
    (func $one) (func $two)
    (func $sum (result i64) (local $at i32) (local $sum i64)
      (loop $next
        (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 31)) (i64.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 65000))))
      (local.get $sum))
    (func (export "_initialize") (i32.store (i32.const 64) (i32.const 1)))
    (func (export "start")
      (call $check32 (i32.const 1) (memory.size) (i32.const 1))
      (call $check32 (i32.const 11) (i32.lt_s (call $args (i32.const 65530) (i32.const 8)) (i32.const 0)) (i32.const 1))
      (call $check32 (i32.const 2) (i32.load (i32.const 64)) (i32.const 1))
      (i32.store (i32.const 64) (i32.const 0))
      (call $check (i32.const 3) (call $sum) (i64.const SUM))
      (call $check32 (i32.const 4) (global.get $a) (i32.const 7))
      (call $check (i32.const 5) (global.get $b) (i64.const -1))
      (call $check32 (i32.const 6) (f64.eq (global.get $c) (f64.const 0.5)) (i32.const 1))
      (call $check32 (i32.const 7) (global.get $shown) (i32.const 9))
      (global.set $a (i32.const 1)) (global.set $b (i64.const 2)) (global.set $c (f64.const 3))
      (global.set $shown (i32.const 4))
      (memory.fill (i32.const 900) (i32.const 0xff) (i32.const 300))
      (memory.fill (i32.const 39000) (i32.const 0xff) (i32.const 9000)))
    (func $more (param $pages i32) (param $at i32) (param $len i32) (local $last i32)
      (local.set $last (i32.sub (i32.add (local.get $at) (local.get $len)) (i32.const 8)))
      (call $check32 (i32.const 8) (memory.grow (local.get $pages)) (i32.const 1))
      (call $check (i32.const 9) (i64.load (local.get $at)) (i64.const 0))
      (call $check (i32.const 10) (i64.load (local.get $last)) (i64.const 0))
      (call $check32 (i32.const 12) (i32.lt_s (call $args (local.get $last) (i32.const 8)) (i32.const 0)) (i32.const 0))
      (memory.fill (local.get $at) (i32.const 0xff) (local.get $len))
      (call $exit (i32.const 0) (i32.const 0)))
    (func (export "wake") (local $how i32)
      (drop (call $try_recv (i32.const 0) (i32.const 64)))
      (local.set $how (i32.load (i32.const 24)))
      (if (i32.eqz (local.get $how)) (then (call $exit (i32.const 0) (i32.const 0))))
      (if (i32.eq (local.get $how) (i32.const 1)) (then (call $exit (i32.const 1000) (i32.const 3))))
      (if (i32.eq (local.get $how) (i32.const 2)) (then unreachable))
      (if (i32.eq (local.get $how) (i32.const 5)) (then
        (call $more (i32.const 2) (i32.const 65536) (i32.const 10000))))
      (if (i32.eq (local.get $how) (i32.const 6)) (then
        (call $more (i32.const 4) (i32.const 70000) (i32.const 40000))))
      (if (i32.eq (local.get $how) (i32.const 7)) (then
        (call $more (i32.const 6) (i32.const 400000) (i32.const 40000))))
      (drop (memory.grow (i32.const 64)))
      (if (i32.eq (local.get $how) (i32.const 4)) (then
        (memory.fill (i32.const 65536) (i32.const 1) (i32.const 3000000))))
      (call $exit (i32.const 0) (i32.const 0)))"#;

/// The sum that `$sum` makes of a new memory.
fn sum() -> i64 {
    let mut memory = vec![0u8; 65_000];
    memory[1000..1005].copy_from_slice(b"first");
    memory[40_000..40_006].copy_from_slice(b"second");
    memory.iter().fold(0i64, |sum, byte| sum.wrapping_mul(31).wrapping_add(i64::from(*byte)))
}

/// Instances that are made new at a time.
const TOGETHER: usize = 32;

struct Guests {
    world: World,
    module: hearth_abi::LumpId,
}

impl Guests {
    async fn new() -> Guests {
        let world = World::new();
        let module = world.put(guest(&CHANGES.replace("SUM", &sum().to_string())));
        let guests = Guests { world, module };
        // They are made new several at a time.
        for _ in 0..TOGETHER {
            guests.end(guests.start().await, 0).await;
        }
        assert_eq!(guests.spares(), TOGETHER);
        guests
    }

    fn spares(&self) -> usize {
        self.world.wasm.spare_instances()
    }

    async fn start(&self) -> ProcessId {
        let id = self.world.spawn_lump(self.module, With::default());
        eventually(|| self.world.state(id).is_none_or(|state| state == State::Parked)).await;
        let ended = self.world.processes.ended(id);
        assert!(ended.is_none(), "{ended:?}");
        id
    }

    async fn end(&self, id: ProcessId, how: u32) -> ExitKind {
        let body = how.to_le_bytes().to_vec().into();
        self.world.processes.send(id, id, body).unwrap();
        self.world.processes.exited(id).await.kind
    }
}

#[tokio::test]
async fn whoever_gets_an_instance_that_was_used_finds_a_new_one() {
    let guests = Guests::new().await;
    for _ in 0..20 {
        for (how, kind) in [(0, ExitKind::Normal), (1, ExitKind::Error), (2, ExitKind::Trap)] {
            let id = guests.start().await;
            assert_eq!(guests.spares(), TOGETHER - 1, "it got one of those that were there");
            assert_eq!(guests.end(id, how).await, kind);
            assert_eq!(guests.spares(), TOGETHER);
        }
        let id = guests.start().await;
        guests.world.processes.kill(None, id, "").unwrap();
        assert_eq!(guests.world.processes.exited(id).await.kind, ExitKind::Killed);
        assert_eq!(guests.spares(), TOGETHER);
    }
}

#[tokio::test]
async fn many_at_a_time_are_kept_and_used_again() {
    let guests = Guests::new().await;
    for _ in 0..3 {
        let mut ids = Vec::new();
        for _ in 0..100 {
            ids.push(guests.start().await);
        }
        for id in ids {
            guests.end(id, 2).await;
        }
        // Those that were not new again yet when they were wanted are there too.
        assert!((100..100 + TOGETHER).contains(&guests.spares()), "{}", guests.spares());
    }
}

#[tokio::test]
async fn one_that_has_grown_is_as_small_again() {
    let guests = Guests::new().await;
    // Each is made new again when all of them have been used.
    for round in 0..6 {
        for n in 0..TOGETHER {
            let id = guests.start().await;
            let how = [5, 6, 5, 0][(n + round) % 4];
            assert_eq!(guests.end(id, how).await, ExitKind::Normal, "{:?}", guests.world.processes.ended(id));
            assert_eq!(guests.spares(), TOGETHER);
        }
    }
}

#[tokio::test]
async fn what_lies_beyond_the_end_counts_as_touched() {
    let guests = Guests::new().await;
    for (how, left) in [(7, TOGETHER), (6, 0)] {
        for _ in 0..TOGETHER {
            let id = guests.start().await;
            assert_eq!(guests.end(id, how).await, ExitKind::Normal);
        }
        assert_eq!(guests.spares(), left, "of those that have touched ten pages, and then ten others");
    }
}

#[tokio::test]
async fn one_that_has_grown_much_is_not_used_again() {
    let guests = Guests::new().await;
    for (how, left) in [(3, TOGETHER - 1), (4, TOGETHER - 2)] {
        let id = guests.start().await;
        assert_eq!(guests.end(id, how).await, ExitKind::Normal);
        assert_eq!(guests.spares(), left);
    }
}

#[tokio::test]
async fn limits_are_those_of_who_gets_it() {
    let guests = Guests::new().await;
    let limits = Limits { memory_bytes: 1000, ..Limits::default() };
    let id = guests.world.spawn_lump(guests.module, With { limits, ..With::default() });
    let reason = guests.world.processes.exited(id).await;
    assert_eq!(reason.kind, ExitKind::Limit);
    assert!(reason.text.contains("65536 bytes of memory; the limit `memory_bytes` is 1000"), "{reason}");
    let limits = Limits { memory_bytes: 70_000, ..Limits::default() };
    let id = guests.world.spawn_lump(guests.module, With { limits, ..With::default() });
    eventually(|| guests.world.state(id) == Some(State::Parked)).await;
    assert_eq!(guests.world.processes.info(id).unwrap().memory_bytes, 65_536);
    guests.end(id, 3).await;
}

#[tokio::test]
async fn one_that_changes_its_table_is_made_anew() {
    let world = World::new();
    for _ in 0..2 * TOGETHER {
        let reason = world
            .run(
                r#"(table $t 2 funcref)
            (func (export "start")
              (call $check32 (i32.const 1) (ref.is_null (table.get $t (i32.const 1))) (i32.const 1))
              (table.set $t (i32.const 1) (ref.func $f)))
            (func $f) (elem declare func $f)"#,
            )
            .await;
        assert!(reason.is_normal(), "{reason}");
        assert_eq!(world.wasm.spare_instances(), 0);
    }
}

#[tokio::test]
async fn instances_go_with_their_module_and_engine() {
    let guests = Guests::new().await;
    let wasm = guests.world.wasm.clone();
    let weak = std::sync::Arc::downgrade(&guests.world.peer);
    guests.world.processes.shutdown().await;
    drop(wasm);
    drop(guests);
    // Whoever used the instance has let go of the peer.
    eventually(|| weak.strong_count() == 0).await;
}
