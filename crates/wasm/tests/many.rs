// SPDX-License-Identifier: AGPL-3.0-or-later
//! Very many guests under the default limits of the system.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says when it did not run"
)]

mod common;

use common::{With, World, eventually, guest};
use hearth_process::{ExitKind, State};
use tokio::sync::Mutex;

/// The system's limit on mappings is for the whole program: one world at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Adds one to the number that it is sent, and sends it back; parks in between.
const ECHO: &str = r#"
    (func (export "start"))
    (func (export "wake") (loop $next
      (if (i32.gt_s (call $try_recv (i32.const 0) (i32.const 32)) (i32.const 0)) (then
        (i64.store (i32.const 24) (i64.add (i64.load (i32.const 24)) (i64.const 1)))
        (drop (call $send (i64.load (i32.const 8)) (i32.const 24) (i32.const 8)))
        (br $next)))))"#;

/// Waits on its own stack, for messages that it drops.
const WAITS: &str = r#"
    (func (export "start")
      (loop $next (drop (call $recv (i32.const 0) (i32.const 32) (i32.const -1))) (br $next)))"#;

/// How many processes there are in this state, and how many in all.
fn states(world: &World, state: State) -> (usize, usize) {
    let all = world.processes.list();
    (all.iter().filter(|info| info.state == state).count(), all.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_parked_guests_fit_and_answer() {
    const COUNT: usize = 20_000;
    let _alone = ONE_AT_A_TIME.lock().await;
    let world = World::new();
    let mut probe = world.probe();
    let module = world.put(guest(ECHO));
    let ids: Vec<_> = (0..COUNT).map(|_| world.spawn_lump(module, With::default())).collect();
    // The probe is the one that is not parked.
    eventually(|| states(&world, State::Parked) == (COUNT, COUNT + 1)).await;
    let mut sum = 0;
    // No more at a time than the probe's mailbox holds.
    for (batch, ids) in ids.chunks(1000).enumerate() {
        for (n, id) in ids.iter().enumerate() {
            probe.send(*id, &(batch as u64 * 1000 + n as u64).to_le_bytes());
        }
        for _ in ids {
            sum += u64::from_le_bytes(probe.next().await.body[..8].try_into().unwrap());
        }
    }
    assert_eq!(sum, (1..=COUNT as u64).sum::<u64>());
    world.processes.shutdown().await;
    assert_eq!(world.processes.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_whose_stack_does_not_fit_end_with_the_reason() {
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    let fit = (limit.trim().parse::<usize>().unwrap().saturating_sub(16_000) / 2).clamp(256, 1 << 20);
    if fit > 60_000 {
        println!("DID NOT RUN: vm.max_map_count is {limit}, so that too many fit");
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().await;
    let world = World::new();
    let module = world.put(guest(WAITS));
    let ids: Vec<_> = (0..fit + 1000).map(|_| world.spawn_lump(module, With::default())).collect();
    eventually(|| states(&world, State::Waiting) == (fit, fit)).await;
    let refused: Vec<_> = ids.iter().filter_map(|id| world.processes.ended(*id)).collect();
    assert_eq!(refused.len(), 1000);
    for reason in refused {
        assert_eq!(reason.kind, ExitKind::Limit);
        assert!(reason.text.contains(&format!("room for {fit}")), "{reason}");
    }
    // Those that park need none.
    let parks = world.spawn_lump(world.put(guest(ECHO)), With::default());
    assert_eq!(world.processes.started(parks).await, Ok(()));
    // The others go on, and a place that becomes free is taken.
    let alive = *ids.iter().find(|id| world.processes.ended(**id).is_none()).unwrap();
    world.processes.kill(None, alive, "").unwrap();
    world.processes.exited(alive).await;
    let next = world.spawn_lump(module, With::default());
    assert_eq!(world.processes.started(next).await, Ok(()));
    world.processes.shutdown().await;
}
