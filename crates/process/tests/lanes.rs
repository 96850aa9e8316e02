// SPDX-License-Identifier: AGPL-3.0-or-later
//! Programs that park: the fast lane, how it is left, and how it is come back to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use hearth_abi::{LumpId, PeerId, ProcessId, signal::Kind};
use hearth_process::{
    Aside, Code, Config, Context, ExitKind, ExitReason, Host, Lane, Limits, Processes, Program, ReplaceError,
    SendError, Signal, Spec, State, Take, Tick, Turn, Turns, Work,
};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::{Duration, Instant},
};

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

/// What a program that parks does with a message, or at first with none.
trait Act: Send + Sync + 'static {
    fn act(&self, context: &Context, message: Option<&[u8]>) -> Option<Turn>;
}

impl<F: Fn(&Context, Option<&[u8]>) -> Option<Turn> + Send + Sync + 'static> Act for F {
    fn act(&self, context: &Context, message: Option<&[u8]>) -> Option<Turn> {
        self(context, message)
    }
}

/// A program that parks. The message `loop` makes it compute until `stop` is set, in whichever lane it is.
struct Parks {
    act: Arc<dyn Act>,
    stop: Arc<AtomicBool>,
}

struct Between {
    program: Arc<Parks>,
    context: Context,
    has_begun: bool,
}

impl Program for Parks {
    fn run(self: Arc<Self>, context: Context) -> Work {
        Work::Turns(Box::new(Between { program: self, context, has_begun: false }))
    }
}

/// Computes for about a tick.
fn compute() {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1) {
        std::hint::spin_loop();
    }
}

impl Between {
    fn begin(&mut self) -> Option<Turn> {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.context.started();
            return self.program.act.act(&self.context, None);
        }
        None
    }
}

impl Turns for Between {
    fn stack_bytes(&self) -> usize {
        64 << 10
    }

    fn turn(&mut self) -> Turn {
        let has_begun = self.has_begun;
        if let Some(turn) = self.begin() {
            return turn;
        }
        let mut has_signal = !has_begun;
        while let Take::Signal(signal) = self.context.take(usize::MAX) {
            has_signal = true;
            if &signal.body[..] == b"loop" {
                while !self.program.stop.load(SeqCst) {
                    compute();
                    if !self.context.tick_here() {
                        return Turn::Ended(ExitReason::of_kind(ExitKind::Error));
                    }
                }
            }
            if let Some(turn) = self.program.act.act(&self.context, Some(&signal.body)) {
                return turn;
            }
        }
        assert!(has_signal, "a turn for nothing");
        Turn::Parked
    }

    fn aside(mut self: Box<Self>) -> Pin<Box<dyn Future<Output = Aside> + Send>> {
        Box::pin(async move {
            let mut turn = self.begin();
            while turn.is_none()
                && let Take::Signal(signal) = self.context.take(usize::MAX)
            {
                while &signal.body[..] == b"loop" && !self.program.stop.load(SeqCst) {
                    compute();
                    match self.context.tick() {
                        Tick::Continue => {}
                        Tick::Yield => tokio::task::yield_now().await,
                        Tick::Wait(until) => until.await,
                    }
                }
                turn = self.program.act.act(&self.context, Some(&signal.body));
            }
            match turn {
                Some(Turn::Ended(reason)) => Aside::Ended(reason),
                _ => Aside::Parked(self),
            }
        })
    }
}

struct World {
    table: Processes,
    stop: Arc<AtomicBool>,
}

impl World {
    fn new() -> World {
        World { table: Processes::new(Config::new(HERE, 1, 2), Arc::new(Alone)), stop: Arc::default() }
    }

    fn code(&self, number: u8, act: impl Act) -> Code {
        let program = Arc::new(Parks { act: Arc::new(act), stop: self.stop.clone() });
        Code { program, module: Some(LumpId([number; 32])), origin: HERE }
    }

    fn spawn(&self, act: impl Act) -> ProcessId {
        let Code { program, module, origin } = self.code(1, act);
        let limits = Limits::default();
        let spec = Spec { program, module, origin, parent: None, name: None, args: Bytes::new(), limits };
        self.table.spawn(spec).unwrap()
    }

    /// One that hands out what it gets: messages as numbers, exit signals as none.
    fn numbered(&self, limits: Limits) -> (ProcessId, mpsc::Receiver<Option<u64>>) {
        let (sender, receiver) = mpsc::sync_channel(100_000);
        let Code { module, origin, .. } = self.code(1, idle);
        let program = Arc::new(Numbered(sender));
        let spec = Spec { program, module, origin, parent: None, name: None, args: Bytes::new(), limits };
        (self.table.spawn(spec).unwrap(), receiver)
    }

    fn send(&self, to: ProcessId, body: &'static str) {
        let from = ProcessId::new(HERE, 1).unwrap();
        self.table.send(from, to, Bytes::from_static(body.as_bytes())).unwrap();
    }

    fn lane(&self, id: ProcessId) -> Option<Lane> {
        self.table.info(id).map(|info| info.lane)
    }

    /// A process that tells what it gets, and in which lane it was.
    fn teller(&self) -> (ProcessId, mpsc::Receiver<(String, Lane)>) {
        let (sender, receiver) = mpsc::sync_channel(1024);
        let id = self.spawn(move |context: &Context, message: Option<&[u8]>| {
            let info = context.processes().info(context.id()).unwrap();
            let text = String::from_utf8_lossy(message.unwrap_or(b"begun")).into_owned();
            let _ = sender.send((text, info.lane));
            None
        });
        (id, receiver)
    }
}

/// See [`World::numbered`]. It traps exits, and takes several signals at a time.
struct Numbered(mpsc::SyncSender<Option<u64>>);

impl Program for Numbered {
    fn run(self: Arc<Self>, context: Context) -> Work {
        Work::Turns(Box::new(Numbers { program: self, context }))
    }
}

struct Numbers {
    program: Arc<Numbered>,
    context: Context,
}

impl Numbers {
    fn take(&self) {
        let number = |signal: &Signal| match signal.header.kind {
            Kind::Message => Some(u64::from_le_bytes(signal.body[..8].try_into().unwrap())),
            _ => None,
        };
        loop {
            let mut left = 7;
            let taken = self.context.take_many(|signal| {
                let goes_on = left > 0;
                if goes_on {
                    left -= 1;
                    self.program.0.try_send(number(signal)).unwrap();
                }
                goes_on
            });
            if taken == 0 {
                return;
            }
        }
    }
}

impl Turns for Numbers {
    fn stack_bytes(&self) -> usize {
        64 << 10
    }

    fn turn(&mut self) -> Turn {
        self.context.started();
        self.context.trap_exits(true);
        self.take();
        Turn::Parked
    }

    fn aside(self: Box<Self>) -> Pin<Box<dyn Future<Output = Aside> + Send>> {
        Box::pin(async move {
            self.take();
            Aside::Parked(self)
        })
    }
}

/// Waits until `what` holds, a minute at most. Only for what nothing tells about.
async fn eventually(what: impl Fn() -> bool) {
    for _ in 0..6000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be");
}

async fn next<T: Send + 'static>(receiver: &mut Option<mpsc::Receiver<T>>) -> T {
    let taken = receiver.take().unwrap();
    let (got, back) =
        tokio::task::spawn_blocking(move || (taken.recv_timeout(Duration::from_secs(60)), taken))
            .await
            .unwrap();
    *receiver = Some(back);
    got.expect("it comes within a minute")
}

fn idle(_: &Context, _: Option<&[u8]>) -> Option<Turn> {
    None
}

#[tokio::test]
async fn a_program_that_parks_runs_in_the_fast_lane() {
    let world = World::new();
    let (id, receiver) = world.teller();
    let mut receiver = Some(receiver);
    assert_eq!(next(&mut receiver).await, ("begun".into(), Lane::Fast));
    for text in ["one", "two", "three"] {
        world.send(id, text);
        assert_eq!(next(&mut receiver).await, (text.into(), Lane::Fast));
    }
    eventually(|| world.table.info(id).unwrap().state == State::Parked).await;
    world.table.kill(None, id, "enough").unwrap();
    assert_eq!(world.table.exited(id).await.text, "enough");
    assert_eq!(world.table.count(), 0);
}

#[tokio::test]
async fn a_ring_of_many_passes_on_what_comes() {
    let world = World::new();
    let (sender, receiver) = mpsc::sync_channel(1024);
    let first: ProcessId = world.spawn(move |context: &Context, message: Option<&[u8]>| {
        if message == Some(b"done") {
            sender.send(context.id()).unwrap();
        }
        None
    });
    let mut next_one = first;
    for _ in 0..1000 {
        let to = next_one;
        next_one = world.spawn(move |context: &Context, message: Option<&[u8]>| {
            if let Some(message) = message {
                context.send(to, message).unwrap();
            }
            None
        });
    }
    for _ in 0..20 {
        world.send(next_one, "done");
    }
    let mut receiver = Some(receiver);
    for _ in 0..20 {
        assert_eq!(next(&mut receiver).await, first);
    }
}

#[tokio::test]
async fn what_is_sent_in_one_turn_arrives_in_order_and_before_what_follows() {
    let world = World::new();
    let (to, numbers) = world.numbered(Limits::default());
    world.table.started(to).await.unwrap();
    let mut numbers = Some(numbers);
    // Few, as many as are collected, and more than a mailbox keeps room for at a time.
    for count in [1, 3, 4, 5, 100, 1000, 3000] {
        let sender = world.spawn(move |context: &Context, message: Option<&[u8]>| {
            message?;
            for number in 0..count {
                // Some are too long to lie in a signal.
                let mut body = vec![0; 8 + number as usize % 50];
                body[..8].copy_from_slice(&u64::to_le_bytes(number));
                context.send(to, &body).unwrap();
            }
            context.exit_to(to, &ExitReason::new(ExitKind::Error, "behind them")).unwrap();
            context.send(to, &count.to_le_bytes()).unwrap();
            None
        });
        eventually(|| world.table.info(to).unwrap().state == State::Parked).await;
        world.send(sender, "go");
        for number in (0..count).map(Some).chain([None, Some(count)]) {
            assert_eq!(next(&mut numbers).await, number, "of {count}");
        }
        eventually(|| world.table.info(to).unwrap().mailbox_len == 0).await;
        assert_eq!(world.table.info(to).unwrap().mailbox_bytes, 0);
    }
}

#[tokio::test]
async fn of_what_is_sent_in_one_turn_as_much_is_taken_as_fits_the_mailbox() {
    let world = World::new();
    for signals in [1, 2, 20, 64, 1000, 5000] {
        let limits = Limits { mailbox_signals: signals, ..Limits::default() };
        let (to, numbers) = world.numbered(limits);
        world.table.started(to).await.unwrap();
        let (sender, accepted) = mpsc::sync_channel(1);
        let from = world.spawn(move |context: &Context, message: Option<&[u8]>| {
            message?;
            let sent = (0..10_000u64).map(|number| context.send(to, &number.to_le_bytes()));
            let sent: Vec<_> = sent.collect();
            let _ = sender.send(sent);
            None
        });
        eventually(|| world.table.info(to).unwrap().state == State::Parked).await;
        world.send(from, "go");
        let sent = next(&mut Some(accepted)).await;
        // It may have taken some meanwhile, on the other thread. What was accepted arrives, and nothing else.
        assert!(sent[..signals].iter().all(Result::is_ok), "{signals}");
        let mut numbers = Some(numbers);
        for (number, _) in sent.iter().enumerate().filter(|(_, sent)| sent.is_ok()) {
            assert_eq!(next(&mut numbers).await, Some(number as u64));
        }
        assert!(sent.iter().all(|sent| matches!(sent, Ok(()) | Err(SendError::Full))));
        eventually(|| world.table.info(to).unwrap().mailbox_len == 0).await;
        assert!(numbers.unwrap().try_recv().is_err());
    }
}

#[tokio::test]
async fn what_was_sent_before_a_loop_arrives_during_it() {
    let world = World::new();
    let (to, numbers) = world.numbered(Limits::default());
    world.table.started(to).await.unwrap();
    let stop = world.stop.clone();
    let sender = world.spawn(move |context: &Context, message: Option<&[u8]>| {
        message?;
        (0..100u64).for_each(|number| context.send(to, &number.to_le_bytes()).unwrap());
        while !stop.load(SeqCst) {
            compute();
            assert!(context.tick_here());
        }
        context.send(to, &100u64.to_le_bytes()).unwrap();
        None
    });
    eventually(|| world.table.info(to).unwrap().state == State::Parked).await;
    world.send(sender, "go");
    let mut numbers = Some(numbers);
    for number in 0..100 {
        assert_eq!(next(&mut numbers).await, Some(number));
    }
    world.stop.store(true, SeqCst);
    assert_eq!(next(&mut numbers).await, Some(100));
}

#[tokio::test]
async fn one_that_overruns_leaves_the_lane_to_others_and_comes_back() {
    let world = World::new();
    let (id, receiver) = world.teller();
    let mut looping = Some(receiver);
    next(&mut looping).await;
    // As many as there are workers, and one more.
    let more = [world.spawn(idle), world.spawn(idle)];
    for id in more.iter().chain([&id]) {
        world.send(*id, "loop");
    }
    eventually(|| more.iter().chain([&id]).all(|id| world.lane(*id) == Some(Lane::Hog))).await;
    assert_eq!(world.table.info(id).unwrap().state, State::Running);
    let (other, receiver) = world.teller();
    let mut other_tells = Some(receiver);
    next(&mut other_tells).await;
    for _ in 0..100 {
        world.send(other, "hello");
        assert_eq!(next(&mut other_tells).await, ("hello".into(), Lane::Fast));
    }
    world.stop.store(true, SeqCst);
    assert_eq!(next(&mut looping).await.0, "loop");
    // It is remembered for some turns, in which it could be set aside.
    world.send(id, "after");
    assert_eq!(next(&mut looping).await, ("after".into(), Lane::Fiber));
    let mut last = Lane::Fiber;
    for _ in 0..100 {
        world.send(id, "again");
        last = next(&mut looping).await.1;
    }
    assert_eq!(last, Lane::Fast);
}

#[tokio::test]
async fn a_looping_call_is_killed_whether_it_runs_or_waits() {
    let world = World::new();
    let ids: Vec<_> = (0..5).map(|_| world.spawn(idle)).collect();
    ids.iter().for_each(|id| world.send(*id, "loop"));
    eventually(|| ids.iter().all(|id| world.lane(*id) == Some(Lane::Hog))).await;
    for id in ids {
        world.table.kill(None, id, "enough").unwrap();
        assert_eq!(world.table.exited(id).await, ExitReason::new(ExitKind::Killed, "enough"));
    }
}

#[tokio::test]
async fn more_loops_than_threads_leave_room_for_others() {
    let world = World::new();
    // Far more than may overrun at a time.
    let ids: Vec<_> = (0..700).map(|_| world.spawn(idle)).collect();
    ids.iter().for_each(|id| world.send(*id, "loop"));
    let (other, receiver) = world.teller();
    let mut tells = Some(receiver);
    next(&mut tells).await;
    eventually(|| ids.iter().all(|id| world.lane(*id) == Some(Lane::Hog))).await;
    let mut lanes = Vec::new();
    for _ in 0..100 {
        world.send(other, "hello");
        let (text, lane) = next(&mut tells).await;
        assert_eq!(text, "hello");
        lanes.push(lane);
    }
    // It had to show first that it returns soon.
    assert_eq!((lanes.first(), lanes.last()), (Some(&Lane::Fiber), Some(&Lane::Fast)));
    let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
    assert!(threads < 600, "{threads} threads");
    for id in &ids {
        world.table.kill(None, *id, "enough").unwrap();
    }
    for id in ids {
        assert_eq!(world.table.exited(id).await.text, "enough");
    }
    world.send(other, "still there");
    assert_eq!(next(&mut tells).await.0, "still there");
}

/// Tells when it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[tokio::test]
async fn code_is_replaced_in_the_middle_of_a_call_that_never_ends() {
    let world = World::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    let guard = Dropped(dropped.clone());
    let id = world.spawn(move |_: &Context, _: Option<&[u8]>| {
        let _ = &guard;
        None
    });
    world.send(id, "loop");
    eventually(|| world.lane(id) == Some(Lane::Hog)).await;

    // New code that does not start: the call goes on where it was.
    let fails = world.code(2, |_: &Context, _: Option<&[u8]>| {
        Some(Turn::Ended(ExitReason::new(ExitKind::Error, "not I")))
    });
    let failed = world.table.replace(id, fails, HERE).await.unwrap_err();
    assert_eq!(failed, ReplaceError::Failed(ExitReason::new(ExitKind::Error, "not I")));
    eventually(|| world.lane(id) == Some(Lane::Hog)).await;
    assert_eq!(dropped.load(SeqCst), 0);

    // New code that does: the call is left.
    let (sender, receiver) = mpsc::sync_channel(1024);
    let better = world.code(3, move |_: &Context, message: Option<&[u8]>| {
        let _ = sender.send(message.map(<[u8]>::to_vec));
        None
    });
    world.table.replace(id, better, HERE).await.unwrap();
    let mut receiver = Some(receiver);
    assert_eq!(next(&mut receiver).await, None);
    world.send(id, "hello");
    assert_eq!(next(&mut receiver).await, Some(b"hello".to_vec()));
    // The history still has the program, but nothing runs it.
    assert_eq!(world.table.info(id).unwrap().module, Some(LumpId([3; 32])));

    // And one that is killed while its successor is on trial ends once.
    world.send(id, "loop");
    eventually(|| world.lane(id) == Some(Lane::Hog)).await;
    world.table.kill(None, id, "enough").unwrap();
    assert_eq!(world.table.exited(id).await.text, "enough");
    assert_eq!(world.table.count(), 0);
}

#[tokio::test]
async fn parked_code_is_replaced_and_rolled_back() {
    let world = World::new();
    let says = |what: &'static str, sender: mpsc::SyncSender<&'static str>| {
        move |_: &Context, message: Option<&[u8]>| {
            if message.is_some() {
                sender.send(what).unwrap();
            }
            None
        }
    };
    let (sender, receiver) = mpsc::sync_channel(1024);
    let mut said = Some(receiver);
    let id = world.spawn(says("old", sender.clone()));
    world.send(id, "");
    assert_eq!(next(&mut said).await, "old");
    world.table.replace(id, world.code(2, says("new", sender)), HERE).await.unwrap();
    world.send(id, "");
    assert_eq!(next(&mut said).await, "new");
    world.table.roll_back(id, HERE).await.unwrap();
    world.send(id, "");
    assert_eq!(next(&mut said).await, "old");
    eventually(|| world.lane(id) == Some(Lane::Fast)).await;
}

#[tokio::test]
async fn a_call_that_panics_ends_its_process_alone() {
    let world = World::new();
    let id = world.spawn(|_: &Context, message: Option<&[u8]>| {
        assert!(message.is_none(), "ouch");
        None
    });
    let (other, receiver) = world.teller();
    let mut tells = Some(receiver);
    next(&mut tells).await;
    world.send(id, "hello");
    let reason = world.table.exited(id).await;
    assert_eq!((reason.kind, &*reason.text), (ExitKind::Error, "the host failed: ouch"));
    world.send(other, "hello");
    assert_eq!(next(&mut tells).await.0, "hello");
}

#[tokio::test]
async fn a_flood_that_one_cannot_get_through_does_not_keep_others_waiting() {
    let world = World::new();
    let (sender, receiver) = mpsc::sync_channel(1024);
    let turns = Arc::new(AtomicUsize::new(0));
    // Each message takes it a tick: by then it is shown an empty mailbox, and parks.
    let slow = world.spawn(move |context: &Context, message: Option<&[u8]>| {
        if message.is_some() {
            compute();
            assert!(context.tick_here());
            turns.fetch_add(1, SeqCst);
            let _ = sender.send(turns.load(SeqCst));
        }
        None
    });
    for _ in 0..50 {
        world.send(slow, "work");
    }
    let mut done = Some(receiver);
    for expect in 1..=50 {
        assert_eq!(next(&mut done).await, expect);
    }
    assert_eq!(world.lane(slow), Some(Lane::Fast), "it never overran");
}

#[test]
fn nothing_is_left_when_the_runtime_goes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let weak: Weak<AtomicUsize> = runtime.block_on(async {
        let world = World::new();
        let held = Arc::new(AtomicUsize::new(0));
        let weak = Arc::downgrade(&held);
        let guard = Dropped(held);
        let parked = world.spawn(move |_: &Context, _: Option<&[u8]>| {
            let _ = &guard;
            None
        });
        let loops = world.spawn(idle);
        world.send(loops, "loop");
        eventually(|| {
            world.table.info(parked).unwrap().state == State::Parked && world.lane(loops) == Some(Lane::Hog)
        })
        .await;
        weak
    });
    drop(runtime);
    let began = Instant::now();
    while weak.upgrade().is_some() {
        assert!(began.elapsed() < Duration::from_secs(60), "something still holds the process");
        std::thread::yield_now();
    }
}

/// A process that takes one signal in each turn, and waits in that of `first` until it is told to go on.
fn one_a_turn(world: &World) -> (ProcessId, mpsc::Receiver<(String, usize)>, mpsc::SyncSender<()>) {
    let (sender, receiver) = mpsc::sync_channel(1024);
    let (go_on, told) = mpsc::sync_channel(1);
    let told = std::sync::Mutex::new(told);
    let id = world.spawn(move |context: &Context, message: Option<&[u8]>| {
        let text = String::from_utf8_lossy(message.unwrap_or(b"begun")).into_owned();
        if text == "first" {
            told.lock().unwrap().recv().unwrap();
        }
        let left = context.processes().info(context.id()).unwrap().mailbox_len;
        let _ = sender.send((text, left));
        Some(Turn::Parked)
    });
    (id, receiver, go_on)
}

#[tokio::test]
async fn what_a_turn_leaves_is_there_for_the_next_in_its_order() {
    let world = World::new();
    let (id, receiver, go_on) = one_a_turn(&world);
    let mut receiver = Some(receiver);
    assert_eq!(next(&mut receiver).await, ("begun".into(), 0));
    world.send(id, "first");
    let texts: Vec<&'static str> = (0..300).map(|n| &*format!("{n}").leak()).collect();
    texts.iter().for_each(|text| world.send(id, text));
    // The one that it has taken counts until its turn is over, so that what is there is never more than it may be.
    go_on.send(()).unwrap();
    assert_eq!(next(&mut receiver).await, ("first".into(), 301));
    for (n, text) in texts.iter().enumerate() {
        assert_eq!(next(&mut receiver).await, ((*text).into(), 300 - n));
    }
    eventually(|| world.table.info(id).unwrap().mailbox_len == 0).await;
    assert_eq!(world.table.info(id).unwrap().signals_received, 301);
}

#[tokio::test]
async fn new_code_gets_what_a_call_that_never_ends_has_not_used() {
    let world = World::new();
    let (go_on, told) = mpsc::sync_channel(1);
    let told = std::sync::Mutex::new(told);
    let id = world.spawn(move |_: &Context, message: Option<&[u8]>| {
        if message == Some(b"wait") {
            told.lock().unwrap().recv().unwrap();
        }
        None
    });
    world.send(id, "wait");
    // It finds all of these at once when it goes on, and does not come further than the first.
    world.send(id, "loop");
    let texts: Vec<&'static str> = (0..100).map(|n| &*format!("{n}").leak()).collect();
    texts.iter().for_each(|text| world.send(id, text));
    go_on.send(()).unwrap();
    eventually(|| world.lane(id) == Some(Lane::Hog)).await;
    let (sender, receiver) = mpsc::sync_channel(1024);
    let other = world.code(2, move |_: &Context, message: Option<&[u8]>| {
        if let Some(message) = message {
            sender.send(String::from_utf8_lossy(message).into_owned()).unwrap();
        }
        None
    });
    world.table.replace(id, other, HERE).await.unwrap();
    let mut receiver = Some(receiver);
    for text in texts {
        assert_eq!(next(&mut receiver).await, text);
    }
    world.stop.store(true, SeqCst);
}
