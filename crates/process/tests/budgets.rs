// SPDX-License-Identifier: AGPL-3.0-or-later
//! Budgets of processor time, of a process and of all processes of one peer of origin: who has used one up is held up, and
//! nobody else feels it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use hearth_abi::{LumpId, PeerId, ProcessId};
use hearth_process::{
    Aside, Code, Config, Context, ExitKind, ExitReason, Host, Lane, Limit, Limits, OriginLimits, ProcessInfo,
    Processes, Program, SendError, Spec, State, Take, Tick, Turn, Turns, Work,
};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

const HERE: PeerId = PeerId::SERVER;

struct Alone;

impl Host for Alone {
    fn send_remote(&self, _: ProcessId, _: ProcessId, _: Bytes) -> Result<(), SendError> {
        Err(SendError::NoPeer)
    }
    fn kill_remote(&self, _: Option<ProcessId>, _: ProcessId, _: &str) -> Result<(), SendError> {
        Err(SendError::NoPeer)
    }
    fn serial_reached(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }
    fn exited(&self, _: ProcessId, _: &ExitReason) {}
}

/// A script that does what a message says: `loop` computes for ever, `burn` for 150 ms at a stretch, `work` for a
/// millisecond, and `echo` not at all; it says each that it has done.
struct Script {
    say: mpsc::Sender<String>,
    /// Whether it waits on its own stack instead of parking.
    waits: bool,
}

struct Between {
    script: Arc<Script>,
    context: Context,
    has_begun: bool,
}

impl Program for Script {
    fn run(self: Arc<Self>, context: Context) -> Work {
        let mut between = Between { script: self, context, has_begun: false };
        if !between.script.waits {
            return Work::Turns(Box::new(between));
        }
        Work::whole(async move {
            between.begin();
            loop {
                between.aside_turn().await;
                between.context.wait(State::Waiting).await;
            }
        })
    }
}

fn compute(ms: u64) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(ms) {
        std::hint::spin_loop();
    }
}

impl Between {
    fn begin(&mut self) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.context.started();
        }
    }

    fn next(&self) -> Option<String> {
        match self.context.take(usize::MAX) {
            Take::Signal(signal) => Some(String::from_utf8_lossy(&signal.body).into_owned()),
            _ => None,
        }
    }

    fn does(&self, what: String) {
        match &*what {
            "burn" => compute(150),
            "work" => compute(1),
            _ => {}
        }
        self.script.say.try_send(what).unwrap();
    }

    async fn aside_turn(&mut self) {
        self.begin();
        while let Some(what) = self.next() {
            if what == "loop" {
                loop {
                    compute(1);
                    match self.context.tick() {
                        Tick::Continue => {}
                        Tick::Yield => tokio::task::yield_now().await,
                        Tick::Wait(until) => until.await,
                    }
                }
            }
            self.does(what);
        }
    }
}

impl Turns for Between {
    fn stack_bytes(&self) -> usize {
        64 << 10
    }

    fn turn(&mut self) -> Turn {
        self.begin();
        // One each turn, so that it may be held up between two.
        if let Some(what) = self.next() {
            if what == "loop" {
                loop {
                    compute(1);
                    if !self.context.tick_here() {
                        return Turn::Ended(ExitReason::of_kind(ExitKind::Error));
                    }
                }
            }
            self.does(what);
        }
        Turn::Parked
    }

    fn aside(mut self: Box<Self>) -> Pin<Box<dyn Future<Output = Aside> + Send>> {
        Box::pin(async move {
            self.aside_turn().await;
            Aside::Parked(self)
        })
    }
}

struct World {
    table: Processes,
    say: mpsc::Sender<String>,
    said: mpsc::Receiver<String>,
}

impl World {
    fn new() -> World {
        World::with(None)
    }

    /// Where the processes of each other peer have so much of a processor together.
    fn with(cpu_percent: Option<u32>) -> World {
        let others = OriginLimits { cpu_percent, ..OriginLimits::OTHERS };
        let table = Processes::new(Config { others, ..Config::new(HERE, 1, 2) }, Arc::new(Alone));
        let (say, said) = mpsc::channel(1024);
        World { table, say, said }
    }

    fn code(&self, origin: PeerId, waits: bool) -> Code {
        let program = Arc::new(Script { say: self.say.clone(), waits });
        Code { program, module: Some(LumpId([1; 32])), origin }
    }

    fn spawn_of(&self, origin: PeerId, cpu_percent: Option<u32>, waits: bool) -> ProcessId {
        let Code { program, module, origin } = self.code(origin, waits);
        let limits = Limits { cpu_percent, ..Limits::default() };
        let spec = Spec { program, module, origin, parent: None, name: None, args: Bytes::new(), limits };
        self.table.spawn(spec).unwrap()
    }

    fn spawn(&self, cpu_percent: Option<u32>, waits: bool) -> ProcessId {
        self.spawn_of(HERE, cpu_percent, waits)
    }

    fn send(&self, to: ProcessId, what: &'static str) {
        let from = ProcessId::new(HERE, 1).unwrap();
        self.table.send(from, to, Bytes::from_static(what.as_bytes())).unwrap();
    }

    async fn next(&mut self) -> String {
        soon(self.said.recv()).await.unwrap()
    }

    fn info(&self, id: ProcessId) -> ProcessInfo {
        self.table.info(id).unwrap()
    }

    fn cpu(&self, ids: &[ProcessId]) -> Duration {
        Duration::from_nanos(ids.iter().map(|id| self.info(*id).cpu_ns).sum())
    }

    fn reached(&self, id: ProcessId, limit: Limit) -> u64 {
        self.info(id).reached.iter().find(|(which, _)| *which == limit).map_or(0, |(_, times)| *times)
    }

    fn log(&self, id: ProcessId) -> String {
        let lines = self.table.log_lines(id, 100).unwrap();
        lines.iter().map(|line| format!("{}\n", line.text)).collect()
    }

    /// How long it takes these, who compute for ever, to use so much more.
    async fn time_for(&self, ids: &[ProcessId], more: Duration) -> Duration {
        let (began, before) = (Instant::now(), self.cpu(ids));
        eventually(|| self.cpu(ids) >= before + more).await;
        began.elapsed()
    }

    /// Makes it compute until it is held up, for long.
    async fn hold_up(&mut self, id: ProcessId) {
        self.send(id, "burn");
        assert_eq!(self.next().await, "burn");
        // Until that turn is over, what comes is of it.
        eventually(|| self.info(id).state != State::Running).await;
        self.send(id, "echo");
        eventually(|| self.info(id).state == State::Throttled).await;
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it came never")
}

async fn eventually(what: impl Fn() -> bool) {
    for _ in 0..6000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be");
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// One of 5 % that computes for ever, beside one that may use what it can.
async fn check_hog(waits: bool) {
    let mut world = World::new();
    let (hog, neighbour) = (world.spawn(Some(5), waits), world.spawn(None, false));
    world.send(hog, "loop");
    // What was kept is used up at once.
    eventually(|| world.reached(hog, Limit::CpuPercent) > 0).await;
    assert!(world.cpu(&[hog]) >= ms(50));
    let took = world.time_for(&[hog], ms(100)).await;
    // 2000 ms, but for the ticks in which it begins and ends. A machine that is busy gives it less.
    assert!((ms(1700)..ms(30_000)).contains(&took), "100 ms of 5 % in {took:?}");
    assert_eq!(world.info(hog).lane, Lane::Hog);
    eventually(|| world.info(hog).state == State::Throttled).await;
    assert!(world.info(hog).throttled_ns > 0);
    let log = world.log(hog);
    assert!(log.contains("processor time used up: 5 percent of a processor; 1 turn held up"), "{log}");
    assert!(log.contains("`cpu_percent`"), "{log}");
    // One that has no bound has none.
    for _ in 0..200 {
        world.send(neighbour, "work");
        assert_eq!(world.next().await, "work");
    }
    let info = world.info(neighbour);
    assert_eq!((info.throttled_ns, info.reached), (0, vec![]));
    world.table.kill(None, hog, "enough").unwrap();
    assert_eq!(soon(world.table.exited(hog)).await.text, "enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_call_that_never_ends_has_its_share_and_no_more() {
    check_hog(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fiber_that_never_ends_has_its_share_and_no_more() {
    check_hog(true).await;
}

/// Short turns are held up between one another, and what comes meanwhile waits.
async fn check_turns(waits: bool) {
    let mut world = World::new();
    let id = world.spawn(Some(4), waits);
    world.send(id, "echo");
    assert_eq!(world.next().await, "echo");
    let began = Instant::now();
    for what in ["work"; 100].into_iter().chain(["echo"]) {
        world.send(id, what);
    }
    for _ in 0..100 {
        assert_eq!(world.next().await, "work");
    }
    assert_eq!(world.next().await, "echo");
    // 40 ms of it were kept, and the others are a second and a half. One that waits on its stack may have had all of it in one
    // turn, and is held up before the next.
    eventually(|| world.info(id).state != State::Running).await;
    world.send(id, "echo");
    assert_eq!(world.next().await, "echo");
    assert!(began.elapsed() >= ms(1300), "{:?}", began.elapsed());
    assert!(world.reached(id, Limit::CpuPercent) > 0);
    eventually(|| matches!(world.info(id).state, State::Parked | State::Waiting)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_turns_of_one_that_parks_wait_for_their_time() {
    check_turns(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_turns_of_one_that_waits_on_its_stack_wait_for_their_time() {
    check_turns(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_held_up_is_killed_at_once() {
    let mut world = World::new();
    // 150 ms at one percent are fourteen seconds.
    let held = [world.spawn(Some(1), false), world.spawn(Some(1), true)];
    for id in held {
        world.hold_up(id).await;
    }
    // And in the middle of a call: it has used up all before the tick at which it waits.
    let call = world.spawn(Some(1), false);
    let fiber = world.spawn(Some(1), true);
    for id in [call, fiber] {
        world.send(id, "loop");
        eventually(|| world.info(id).state == State::Throttled).await;
    }
    for id in held.into_iter().chain([call, fiber]) {
        let began = Instant::now();
        world.table.kill(None, id, "enough").unwrap();
        assert_eq!(soon(world.table.exited(id)).await, ExitReason::new(ExitKind::Killed, "enough"));
        assert!(began.elapsed() < ms(5000), "{:?}", began.elapsed());
    }
    assert_eq!(world.table.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_code_of_one_that_is_held_up_is_replaced_at_once() {
    let mut world = World::new();
    for waits in [false, true] {
        let id = world.spawn(Some(1), waits);
        world.hold_up(id).await;
        let began = Instant::now();
        soon(world.table.replace(id, world.code(HERE, waits), HERE)).await.unwrap();
        assert!(began.elapsed() < ms(5000), "{:?}", began.elapsed());
        // What waited is for the new code, which took it at its start, or does when it has earned that.
        world.table.kill(None, id, "").unwrap();
        soon(world.table.exited(id)).await;
        while world.said.try_recv().is_ok() {}
    }
    // In the middle of a call, and of a turn aside.
    for waits in [false, true] {
        let id = world.spawn(Some(2), waits);
        world.send(id, "loop");
        eventually(|| world.info(id).state == State::Throttled && world.info(id).lane == Lane::Hog).await;
        soon(world.table.replace(id, world.code(HERE, waits), HERE)).await.unwrap();
        while world.said.try_recv().is_ok() {}
        world.send(id, "echo");
        assert_eq!(world.next().await, "echo");
    }
}

fn stranger() -> PeerId {
    PeerId::new(5).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_processes_of_one_origin_have_their_share_together() {
    let mut world = World::with(Some(10));
    let hogs: Vec<_> = (0..6).map(|index| world.spawn_of(stranger(), None, index % 2 == 0)).collect();
    hogs.iter().for_each(|id| world.send(*id, "loop"));
    eventually(|| hogs.iter().all(|id| world.reached(*id, Limit::OriginCpuPercent) > 0)).await;
    assert!(world.cpu(&hogs) >= ms(100));
    let before: Vec<_> = hogs.iter().map(|id| world.cpu(&[*id])).collect();
    let took = world.time_for(&hogs, ms(200)).await;
    // 2000 ms, but for what each has bought and a tick.
    assert!((ms(1500)..ms(30_000)).contains(&took), "200 ms of 10 % in {took:?}");
    // Each has something of it.
    for (id, before) in hogs.iter().zip(before) {
        let got = world.cpu(&[*id]) - before;
        assert!((ms(8)..ms(130)).contains(&got), "{got:?}");
    }
    let log = world.log(hogs[0]);
    assert!(log.contains("processor time of its peer of origin used up: 10 percent"), "{log}");
    // Another origin is another matter, and so are the peer's own.
    let others = [world.spawn_of(PeerId::new(6).unwrap(), None, false), world.spawn(None, false)];
    for id in others {
        for _ in 0..50 {
            world.send(id, "echo");
            assert_eq!(world.next().await, "echo");
        }
        assert_eq!(world.info(id).throttled_ns, 0);
    }
    // One of that origin that does little has its turn among those that loop.
    let little = world.spawn_of(stranger(), None, false);
    for _ in 0..10 {
        world.send(little, "echo");
        assert_eq!(world.next().await, "echo");
    }
    for id in hogs {
        world.table.kill(None, id, "enough").unwrap();
        assert_eq!(soon(world.table.exited(id)).await.text, "enough");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_that_wait_for_one_budget_have_their_turns_in_time() {
    const MANY: usize = 1000;
    let mut world = World::with(Some(10));
    let hog = world.spawn_of(stranger(), None, false);
    let many: Vec<_> = (0..MANY).map(|_| world.spawn_of(stranger(), None, false)).collect();
    world.send(hog, "loop");
    eventually(|| world.reached(hog, Limit::OriginCpuPercent) > 0).await;
    many.iter().for_each(|id| world.send(*id, "echo"));
    for _ in 0..MANY {
        assert_eq!(world.next().await, "echo");
    }
    // Those that end give back what they have bought.
    for id in &many {
        world.table.kill(None, *id, "").unwrap();
    }
    for id in many {
        soon(world.table.exited(id)).await;
    }
    let took = world.time_for(&[hog], ms(50)).await;
    assert!(took < ms(20_000), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_code_has_the_budget_of_its_origin() {
    let mut world = World::with(Some(5));
    let id = world.spawn(None, false);
    world.send(id, "burn");
    assert_eq!(world.next().await, "burn");
    assert_eq!(world.info(id).throttled_ns, 0);
    soon(world.table.replace(id, world.code(stranger(), false), HERE)).await.unwrap();
    world.hold_up(id).await;
    assert!(world.reached(id, Limit::OriginCpuPercent) > 0);
    // And is free of it when it is that of the peer itself again.
    soon(world.table.roll_back(id, HERE)).await.unwrap();
    while world.next().await != "echo" {}
    let before = world.info(id).throttled_ns;
    for _ in 0..20 {
        world.send(id, "work");
        assert_eq!(world.next().await, "work");
    }
    assert_eq!(world.info(id).throttled_ns, before);
}
