// SPDX-License-Identifier: AGPL-3.0-or-later
//! Guests at their limits, and their neighbours.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{HERE, Probe, With, World, elsewhere, eventually, guest};
use hearth_abi::{Errno, PeerId, ProcessId};
use hearth_process::{Config, ExitKind, Limit, Limits, OriginLimits};
use hearth_wasm::WasmConfig;

/// Adds one to the number that it is sent, and sends it back.
const ECHO: &str = r#"
    (func (export "start"))
    (func (export "wake") (loop $next
      (if (i32.gt_s (call $try_recv (i32.const 0) (i32.const 32)) (i32.const 0)) (then
        (i64.store (i32.const 24) (i64.add (i64.load (i32.const 24)) (i64.const 1)))
        (drop (call $send (i64.load (i32.const 8)) (i32.const 24) (i32.const 8)))
        (br $next)))))"#;

/// Spawns what its argument names until that is refused, each time that it is told to, and answers how often that was and the
/// error.
const SPAWNER: &str = r#"
    (func (export "start") (drop (call $args (i32.const 0) (i32.const 36))))
    (func (export "wake") (local $n i64) (local $id i64) (loop $next
      (if (i32.gt_s (call $try_recv (i32.const 200) (i32.const 100)) (i32.const 0)) (then
        (local.set $n (i64.const 0))
        (loop $spawn
          (local.set $id (call $spawn (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
          (if (i64.gt_s (local.get $id) (i64.const 0)) (then
            (local.set $n (i64.add (local.get $n) (i64.const 1)))
            (br $spawn))))
        (i64.store (i32.const 100) (local.get $n))
        (i64.store (i32.const 108) (local.get $id))
        (drop (call $send (i64.load (i32.const 208)) (i32.const 100) (i32.const 16)))
        (br $next)))))"#;

/// Spawns itself twice, and tries again and again.
const FORK_BOMB: &str = r#"
    (func $fork
      (drop (call $spawn (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 36))))
    (func (export "start") (drop (call $args (i32.const 0) (i32.const 36)))
      (loop $again (call $fork) (call $fork) (br $again)))"#;

/// Takes one page after the other until it gets no more, each time that it is told to, and answers how many it has.
const GROWER: &str = r#"
    (func (export "start"))
    (func (export "wake") (loop $next
      (if (i32.gt_s (call $try_recv (i32.const 0) (i32.const 32)) (i32.const 0)) (then
        (loop $more (br_if $more (i32.gt_s (memory.grow (i32.const 1)) (i32.const 0))))
        (i64.store (i32.const 100) (i64.extend_i32_u (memory.size)))
        (drop (call $send (i64.load (i32.const 8)) (i32.const 100) (i32.const 8)))
        (br $next)))))"#;

/// Computes until it was held up for longer than it had been, each time that it is told to, and answers for how long.
const BUSY: &str = r#"
    (func (export "start"))
    (func (export "wake") (local $before i64) (loop $next
      (if (i32.gt_s (call $try_recv (i32.const 0) (i32.const 32)) (i32.const 0)) (then
        (local.set $before (call $throttled))
        (loop $compute (br_if $compute (i64.eq (local.get $before) (call $throttled))))
        (i64.store (i32.const 100) (call $throttled))
        (drop (call $send (i64.load (i32.const 8)) (i32.const 100) (i32.const 8)))
        (br $next)))))"#;

/// The same on a stack of its own.
const BUSY_FIBER: &str = r#"
    (func (export "start") (local $before i64) (loop $next
      (drop (call $recv (i32.const 0) (i32.const 32) (i32.const -1)))
      (local.set $before (call $throttled))
      (loop $compute (br_if $compute (i64.eq (local.get $before) (call $throttled))))
      (i64.store (i32.const 100) (call $throttled))
      (drop (call $send (i64.load (i32.const 8)) (i32.const 100) (i32.const 8)))
      (br $next)))"#;

const PAGE: u64 = 65_536;

/// A world in which the guests of another peer may have this together.
fn world(others: OriginLimits) -> World {
    World::with_configs(Config { others, ..Config::new(HERE, 1, 2) }, WasmConfig::default())
}

fn with(origin: PeerId, limits: Limits) -> With<'static> {
    With { origin, limits, ..With::default() }
}

/// What a spawner says: how many it has spawned, and the error that ended it.
async fn spawns(probe: &mut Probe, spawner: ProcessId) -> (u64, Errno) {
    probe.send(spawner, &[0; 8]);
    let answer = probe.next().await.body;
    let (count, error) = answer.split_at(8);
    let error = i64::from_le_bytes(error.try_into().unwrap());
    (u64::from_le_bytes(count.try_into().unwrap()), Errno::from_number(-(error as i32)).unwrap())
}

fn times(world: &World, id: ProcessId, limit: Limit) -> u64 {
    let reached = world.processes.info(id).unwrap().reached;
    reached.iter().find(|(which, _)| *which == limit).map_or(0, |(_, times)| *times)
}

fn log(world: &World, id: ProcessId) -> String {
    let lines = world.processes.log_lines(id, 100).unwrap();
    lines.iter().map(|line| format!("{}\n", line.text)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_with_as_many_children_as_it_may_have_is_told_and_its_neighbour_spawns() {
    let world = World::new();
    let mut probe = world.probe();
    let echo = world.put(guest(ECHO));
    let spawner = |children| {
        let limits = Limits { children, ..Limits::default() };
        world.spawn_with(SPAWNER, With { args: vec![echo.0.to_vec()], ..with(HERE, limits) })
    };
    let (greedy, neighbour) = (spawner(10), spawner(4));
    assert_eq!(spawns(&mut probe, greedy).await, (10, Errno::Limit));
    assert_eq!(spawns(&mut probe, greedy).await, (0, Errno::Limit));
    assert_eq!((times(&world, greedy, Limit::Children), log(&world, greedy).lines().count()), (2, 1));
    assert_eq!(spawns(&mut probe, neighbour).await, (4, Errno::Limit));
    assert_eq!(times(&world, greedy, Limit::Children), 2);
    // A child that ends leaves its place.
    let children = world.processes.list();
    let child = children.iter().find(|info| info.parent == Some(greedy)).unwrap().id;
    world.processes.kill(None, child, "").unwrap();
    world.processes.exited(child).await;
    assert_eq!(spawns(&mut probe, greedy).await, (1, Errno::Limit));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_bomb_of_one_origin_stays_within_its_bound_and_others_go_on() {
    const MOST: usize = 60;
    let world = world(OriginLimits { processes: MOST, ..OriginLimits::OTHERS });
    let mut probe = world.probe();
    let (echo, bomb) = (world.put(guest(ECHO)), world.put(guest(FORK_BOMB)));
    let neighbour = world.spawn_lump(echo, with(HERE, Limits::default()));
    let spawner = world.spawn_with(
        SPAWNER,
        With { args: vec![echo.0.to_vec()], ..with(HERE, Limits { children: 5, ..Limits::default() }) },
    );
    assert_eq!(probe.ask(neighbour, 1).await, 2);
    let first =
        world.spawn_lump(bomb, With { args: vec![bomb.0.to_vec()], ..with(elsewhere(), Limits::default()) });
    let used = || world.processes.origin(elsewhere()).processes as usize;
    eventually(|| used() == MOST).await;
    eventually(|| times(&world, first, Limit::OriginProcesses) > 0).await;
    assert!(log(&world, first).contains("60 processes"), "{}", log(&world, first));
    // Of those that spawn for ever none has one more, and the neighbours hear, answer and spawn.
    for number in 0..200 {
        assert_eq!(probe.ask(neighbour, number).await, number + 1);
        assert!(used() <= MOST);
    }
    assert_eq!(spawns(&mut probe, spawner).await, (5, Errno::Limit));
    // Each counts until its end, and none after.
    let of_bomb = || world.processes.list().into_iter().filter(|info| info.origin == elsewhere());
    eventually(|| {
        for info in of_bomb() {
            let _ = world.processes.kill(None, info.id, "");
        }
        used() == 0
    })
    .await;
    assert_eq!(of_bomb().count(), 0);
    assert_eq!(world.processes.origin(elsewhere()).memory_bytes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_of_one_origin_is_bounded_and_others_have_theirs() {
    let world = world(OriginLimits { memory_bytes: 12 * PAGE, ..OriginLimits::OTHERS });
    let mut probe = world.probe();
    let limits = Limits { memory_bytes: 8 * PAGE as usize, ..Limits::default() };
    let grower = world.put(guest(GROWER));
    let [first, second] = [0; 2].map(|_| world.spawn_lump(grower, with(elsewhere(), limits)));
    // Its own limit, then what is left of that of all.
    assert_eq!(probe.ask(first, 0).await, 8);
    assert_eq!(probe.ask(second, 0).await, 4);
    assert_eq!(times(&world, first, Limit::MemoryBytes), 1);
    assert_eq!(
        (times(&world, second, Limit::OriginMemoryBytes), times(&world, second, Limit::MemoryBytes)),
        (1, 0)
    );
    assert!(log(&world, second).contains("(limit `origin_memory_bytes`)"), "{}", log(&world, second));
    assert_eq!(world.processes.origin(elsewhere()).memory_bytes, 12 * PAGE);
    // One more does not start, and is told which limit it is and how much.
    let third = world.spawn_lump(grower, with(elsewhere(), limits));
    let reason = world.processes.exited(third).await;
    assert_eq!(reason.kind, ExitKind::Limit);
    for word in ["`memory_bytes`", "peer 5", "786432"] {
        assert!(reason.text.contains(word), "no {word}: {reason}");
    }
    // A neighbour has what it wants.
    let neighbour = world.spawn_lump(grower, with(HERE, limits));
    assert_eq!(probe.ask(neighbour, 0).await, 8);
    // What one gives back another gets.
    world.processes.kill(None, first, "").unwrap();
    world.processes.exited(first).await;
    assert_eq!(world.processes.origin(elsewhere()).memory_bytes, 4 * PAGE);
    assert_eq!(probe.ask(second, 0).await, 8);
    // A module whose own bound is less than what it asks for has no more of the account than it has of memory.
    let bounded = world.put(wat::parse_str(GROWS_PAST_ITSELF).unwrap());
    let id = world.spawn_lump(bounded, with(elsewhere(), limits));
    world.processes.started(id).await.unwrap();
    eventually(|| world.state(id) == Some(hearth_process::State::Parked)).await;
    assert_eq!(world.processes.origin(elsewhere()).memory_bytes, 10 * PAGE);
    assert_eq!(world.processes.info(id).unwrap().memory_bytes, 2 * PAGE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_of_some_percent_is_held_up_and_sees_it_and_its_neighbour_is_not() {
    let world = World::new();
    let mut probe = world.probe();
    // Little enough that it has that much on a busy machine too.
    let limits = Limits { cpu_percent: Some(2), ..Limits::default() };
    let neighbour = world.spawn_with(ECHO, with(HERE, Limits::default()));
    for text in [BUSY, BUSY_FIBER] {
        let busy = world.spawn_with(text, with(HERE, limits));
        let mut before = 0;
        for round in 1..=3 {
            let held_up = probe.ask(busy, 0).await;
            assert!(held_up > before, "{held_up} ns after {before} ns");
            assert!(world.processes.info(busy).unwrap().throttled_ns >= held_up);
            assert!(times(&world, busy, Limit::CpuPercent) >= round);
            before = held_up;
        }
        assert!(log(&world, busy).contains("processor time used up: 2 percent of a processor"));
        for number in 0..100 {
            assert_eq!(probe.ask(neighbour, number).await, number + 1);
        }
        let info = world.processes.info(neighbour).unwrap();
        assert_eq!((info.throttled_ns, info.reached), (0, vec![]));
    }
}

/// Has one page, and may have two.
const GROWS_PAST_ITSELF: &str = r#"(module (memory (export "memory") 1 2)
    (func (export "start")
      (if (i32.ne (memory.grow (i32.const 2)) (i32.const -1)) (then unreachable))
      (if (i32.ne (memory.grow (i32.const 1)) (i32.const 1)) (then unreachable))
      (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable)))
    (func (export "wake")))"#;
