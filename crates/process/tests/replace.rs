// SPDX-License-Identifier: AGPL-3.0-or-later
//! Code that is replaced while its process lives, through the table's public interface.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use hearth_abi::{
    LumpId, PeerId, ProcessId,
    signal::{Header, Kind},
};
use hearth_process::{
    Code, Config, Context, ExitKind, ExitReason, HISTORY_MAX, Host, Lane, Level, Limits, Processes, Program,
    ReplaceError, ReplyTo, SendError, Signal, Spec, State, Take, Tick, Work,
};
use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::mpsc;

const HERE: PeerId = PeerId::SERVER;

#[derive(Default)]
struct Peer {
    told: Mutex<Vec<String>>,
}

impl Peer {
    fn tell(&self, text: String) {
        self.told.lock().unwrap().push(text);
    }
    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

impl Host for Peer {
    fn send_remote(&self, _: ProcessId, _: ProcessId, _: Bytes) -> Result<(), SendError> {
        Err(SendError::NoPeer)
    }
    fn kill_remote(&self, _: Option<ProcessId>, _: ProcessId, _: &str) -> Result<(), SendError> {
        Err(SendError::NoPeer)
    }
    fn serial_reached(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }
    fn exited(&self, _: ProcessId, reason: &ExitReason) {
        self.tell(format!("exited {reason}"));
    }
    fn replacing(&self, _: ProcessId) {
        self.tell("replacing".into());
    }
    fn replaced(&self, _: ProcessId, has_started: bool) {
        self.tell(format!("replaced {has_started}"));
    }
}

struct Closure<F>(F);

impl<F, R> Program for Closure<F>
where
    F: Fn(Context) -> R + Send + Sync + 'static,
    R: Future<Output = ExitReason> + Send + 'static,
{
    fn run(self: Arc<Self>, context: Context) -> Work {
        Work::whole(async move {
            context.started();
            (self.0)(context).await
        })
    }
}

/// Code whose module is this number.
fn code<R: Future<Output = ExitReason> + Send + 'static>(
    number: u8,
    does: impl Fn(Context) -> R + Send + Sync + 'static,
) -> Code {
    Code { program: Arc::new(Closure(does)), module: Some(LumpId([number; 32])), origin: HERE }
}

fn spec_of(Code { program, module, origin }: Code) -> Spec {
    let args = Bytes::from_static(b"args");
    let name = Some("first".to_owned());
    Spec { program, module, origin, parent: None, name, args, limits: Limits::default() }
}

struct World {
    table: Processes,
    peer: Arc<Peer>,
    /// What the processes say.
    heard: mpsc::Receiver<String>,
    say: mpsc::Sender<String>,
}

impl World {
    fn new() -> World {
        World::with(Config::new(HERE, 1, 2))
    }

    fn with(config: Config) -> World {
        let peer = Arc::new(Peer::default());
        let (say, heard) = mpsc::channel(100);
        World { table: Processes::new(config, peer.clone()), peer, heard, say }
    }

    fn spawn(&self, code: Code) -> ProcessId {
        self.table.spawn(spec_of(code)).unwrap()
    }

    /// Code that says its number, an equals sign and the body of each message.
    fn speaker(&self, number: u8) -> Code {
        let say = self.say.clone();
        code(number, move |context| {
            let say = say.clone();
            async move {
                loop {
                    let signal = take(&context).await;
                    say.send(format!("{number}={}", String::from_utf8_lossy(&signal.body))).await.unwrap();
                }
            }
        })
    }

    fn tell(&self, id: ProcessId, text: &str) {
        self.table.send(id, id, Bytes::copy_from_slice(text.as_bytes())).unwrap();
    }

    async fn hear(&mut self) -> String {
        tokio::time::timeout(Duration::from_secs(60), self.heard.recv()).await.expect("in time").unwrap()
    }

    async fn parked(&self, id: ProcessId) {
        while self.table.info(id).unwrap().state != State::Parked {
            tokio::task::yield_now().await;
        }
    }

    fn modules(&self, id: ProcessId) -> (Vec<u8>, usize) {
        let (codes, at) = self.table.history(id).unwrap();
        (codes.iter().map(|code| code.module.unwrap().0[0]).collect(), at)
    }

    fn log(&self, id: ProcessId) -> Vec<(Level, String)> {
        let lines = self.table.log_lines(id, 100).unwrap();
        lines.iter().map(|line| (line.level, line.text.clone())).collect()
    }
}

async fn take(context: &Context) -> Signal {
    loop {
        match context.take(usize::MAX) {
            Take::Signal(signal) => return signal,
            Take::Empty => {
                context.wait(State::Parked).await;
            }
            Take::TooLong(_) => unreachable!(),
        }
    }
}

fn broken(text: &'static str) -> Code {
    code(99, move |context| async move {
        // What it takes before it breaks is not lost.
        let _ = context.take(usize::MAX);
        let _ = context.take(usize::MAX);
        ExitReason::new(ExitKind::Trap, text)
    })
}

#[tokio::test]
async fn what_makes_it_this_process_stays() {
    let mut world = World::new();
    // It takes nothing, so that what is sent waits.
    let id = world.spawn(code(1, |context: Context| async move {
        context.register("second").unwrap();
        context.log(Level::Info, "", "one").unwrap();
        std::future::pending().await
    }));
    world.table.started(id).await.unwrap();
    for text in ["a", "b", "c"] {
        world.tell(id, text);
    }
    world.table.replace(id, world.speaker(2), HERE).await.unwrap();
    for expect in ["2=a", "2=b", "2=c"] {
        assert_eq!(world.hear().await, expect);
    }
    world.tell(id, "d");
    assert_eq!(world.hear().await, "2=d");
    let info = world.table.info(id).unwrap();
    assert_eq!(info.names, ["first", "second"]);
    assert_eq!(world.table.whereis("second"), Some(id));
    assert_eq!(info.module, Some(LumpId([2; 32])));
    let log = world.log(id);
    assert_eq!(log[0], (Level::Info, "one".into()));
    assert!(log[1].1.starts_with("code replaced: this is module 0202"), "{log:?}");
    assert_eq!(world.peer.told(), ["replacing", "replaced true"]);
    let args =
        code(3, |context| async move { ExitReason::new(ExitKind::Error, format!("{:?}", context.args())) });
    // It ends in its start, and so does not become the code.
    let failed = world.table.replace(id, args, HERE).await.unwrap_err();
    assert_eq!(failed, ReplaceError::Failed(ExitReason::new(ExitKind::Error, "b\"args\"")));
}

#[tokio::test]
async fn code_that_breaks_in_its_start_leaves_the_code_before_where_it_was() {
    let mut world = World::new();
    let say = world.say.clone();
    // It counts, to show that its state is still there.
    let id = world.spawn(code(1, move |context| {
        let say = say.clone();
        async move {
            for count in 1.. {
                let signal = take(&context).await;
                let text = String::from_utf8_lossy(&signal.body).into_owned();
                say.send(format!("{count}{text}")).await.unwrap();
                while text == "stop" && context.processes().info(context.id()).unwrap().mailbox_len < 3 {
                    tokio::task::yield_now().await;
                }
            }
            unreachable!()
        }
    }));
    world.table.started(id).await.unwrap();
    world.tell(id, "a");
    assert_eq!(world.hear().await, "1a");
    world.tell(id, "stop");
    assert_eq!(world.hear().await, "2stop");
    world.tell(id, "b");
    world.tell(id, "c");
    let replaced = tokio::spawn({
        let table = world.table.clone();
        async move { table.replace(id, broken("unreachable executed"), HERE).await }
    });
    let error = ReplaceError::Failed(ExitReason::new(ExitKind::Trap, "unreachable executed"));
    assert_eq!(replaced.await.unwrap(), Err(error));
    world.tell(id, "d");
    for expect in ["3b", "4c", "5d"] {
        assert_eq!(world.hear().await, expect);
    }
    assert_eq!(world.modules(id), (vec![1], 0));
    assert_eq!(world.table.info(id).unwrap().module, Some(LumpId([1; 32])));
    let log = world.log(id);
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].0, Level::Error);
    assert!(log[0].1.contains("unreachable executed") && log[0].1.ends_with("the code before goes on"));
    assert_eq!(world.peer.told(), ["replacing", "replaced false"]);
}

#[tokio::test]
async fn answers_and_timers_are_for_the_code_that_asked() {
    let mut world = World::new();
    let held: Arc<Mutex<Vec<ReplyTo>>> = Arc::default();
    // It asks two questions and sets two timers, and says what comes of them.
    let (theirs, say) = (held.clone(), world.say.clone());
    let asker = move |number: u8, breaks: bool| {
        let (held, say) = (theirs.clone(), say.clone());
        code(number, move |context| {
            let (held, say) = (held.clone(), say.clone());
            async move {
                held.lock().unwrap().push(context.begin_request(7).unwrap());
                held.lock().unwrap().push(context.begin_silent_request().unwrap());
                context.set_timer(Duration::from_millis(if number == 1 { 5 } else { 50 }), 7).unwrap();
                if breaks {
                    return ExitReason::new(ExitKind::Error, "broken");
                }
                loop {
                    let signal = take(&context).await;
                    let text = format!("{number} {:?} {:?}", signal.header.kind, signal.body);
                    say.send(text).await.unwrap();
                }
            }
        })
    };
    let id = world.spawn(asker(1, false));
    world.parked(id).await;
    // The code that breaks asks too: nobody hears of its answers.
    assert!(matches!(world.table.replace(id, asker(2, true), HERE).await, Err(ReplaceError::Failed(_))));
    let replies: Vec<ReplyTo> = held.lock().unwrap().drain(..).collect();
    for (index, reply) in replies.into_iter().enumerate() {
        reply.send(0, format!("{index}").into_bytes());
    }
    let mut both = [world.hear().await, world.hear().await];
    both.sort();
    assert_eq!(both, ["1 Reply b\"0\"", "1 Timeout b\"\""]);
    assert_eq!(world.table.info(id).unwrap().requests, 0);
    // And new code hears nothing of what the code before has asked.
    world.table.replace(id, asker(3, false), HERE).await.unwrap();
    let mut replies: Vec<ReplyTo> = held.lock().unwrap().drain(..).collect();
    world.table.replace(id, asker(4, false), HERE).await.unwrap();
    replies.append(&mut held.lock().unwrap());
    for (index, reply) in replies.into_iter().enumerate() {
        reply.send(0, format!("{index}").into_bytes());
    }
    let mut both = [world.hear().await, world.hear().await];
    both.sort();
    assert_eq!(both, ["4 Reply b\"2\"", "4 Timeout b\"\""]);
    world.tell(id, "end");
    assert_eq!(world.hear().await, "4 Message b\"end\"", "nothing else came");
    assert_eq!(world.table.info(id).unwrap().requests, 0);
}

#[tokio::test]
async fn rolling_back_goes_further_back_each_time() {
    let mut world = World::new();
    let id = world.spawn(world.speaker(1));
    world.parked(id).await;
    assert_eq!(world.table.roll_back(id, HERE).await, Err(ReplaceError::NoCodeBefore));
    for number in [2, 3] {
        world.table.replace(id, world.speaker(number), HERE).await.unwrap();
    }
    assert_eq!(world.modules(id), (vec![1, 2, 3], 2));
    for number in [2usize, 1] {
        world.table.roll_back(id, HERE).await.unwrap();
        world.tell(id, "x");
        assert_eq!(world.hear().await, format!("{number}=x"));
        assert_eq!(world.modules(id), (vec![1, 2, 3], number - 1));
    }
    assert_eq!(world.table.roll_back(id, HERE).await, Err(ReplaceError::NoCodeBefore));
    world.table.replace(id, world.speaker(4), HERE).await.unwrap();
    assert_eq!(world.modules(id), (vec![1, 4], 1));
    for number in 5..50 {
        world.table.replace(id, world.speaker(number), HERE).await.unwrap();
    }
    let (kept, at) = world.modules(id);
    assert_eq!((kept.len(), at, kept[0]), (HISTORY_MAX, HISTORY_MAX - 1, 34));
    // A restart is of what runs now.
    let again = world.table.restart(id).unwrap();
    world.parked(again).await;
    assert_eq!(world.table.info(again).unwrap().module, Some(LumpId([49; 32])));
}

#[tokio::test]
async fn what_cannot_be_replaced_says_so() {
    let world = World::new();
    let nobody = ProcessId::new(HERE, 1000).unwrap();
    assert_eq!(world.table.replace(nobody, world.speaker(1), HERE).await, Err(ReplaceError::NotFound));
    let host = world.spawn(Code { module: None, ..world.speaker(1) });
    world.parked(host).await;
    assert_eq!(world.table.replace(host, world.speaker(2), HERE).await, Err(ReplaceError::NoScript));
    world.table.kill(None, host, "").unwrap();
    world.table.exited(host).await;

    let id = world.spawn(world.speaker(1));
    world.parked(id).await;
    // Code that takes its time keeps other code from coming.
    let slow = code(2, |_context| async move {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let first = tokio::spawn({
        let table = world.table.clone();
        async move { table.replace(id, slow, HERE).await }
    });
    while world.table.info(id).unwrap().module != Some(LumpId([2; 32])) {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.table.replace(id, world.speaker(3), HERE).await, Err(ReplaceError::Busy));
    assert_eq!(world.table.roll_back(id, HERE).await, Err(ReplaceError::Busy));
    world.table.kill(None, id, "enough").unwrap();
    let ended = ReplaceError::Ended(ExitReason::new(ExitKind::Killed, "enough"));
    assert_eq!(first.await.unwrap(), Err(ended));
    assert_eq!(world.table.exited(id).await.text, "enough");
    assert_eq!(world.table.replace(id, world.speaker(3), HERE).await, Err(ReplaceError::NotFound));
}

#[tokio::test]
async fn code_that_never_waits_is_given_up() {
    let trial_time_max = Duration::from_millis(50);
    let mut world = World::with(Config { trial_time_max, ..Config::new(HERE, 1, 2) });
    let id = world.spawn(world.speaker(1));
    world.parked(id).await;
    let endless = code(2, |_context| async move {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let replaced = tokio::spawn({
        let table = world.table.clone();
        async move { table.replace(id, endless, HERE).await }
    });
    while world.table.info(id).unwrap().module != Some(LumpId([2; 32])) {
        tokio::task::yield_now().await;
    }
    world.tell(id, "meanwhile");
    let Err(ReplaceError::Failed(reason)) = replaced.await.unwrap() else { panic!("it started") };
    assert_eq!(reason.kind, ExitKind::Limit);
    assert_eq!(world.hear().await, "1=meanwhile");
}

#[tokio::test]
async fn code_that_is_done_at_once_has_been_run() {
    let world = World::new();
    let id = world.spawn(world.speaker(1));
    world.parked(id).await;
    let done = code(2, |_context| async move { ExitReason::normal() });
    world.table.replace(id, done, HERE).await.unwrap();
    assert_eq!(world.table.exited(id).await, ExitReason::normal());
    assert_eq!(world.peer.told(), ["replacing", "replaced true", "exited normal"]);
}

#[tokio::test]
async fn a_message_taken_in_the_start_counts_when_the_code_waits() {
    let mut world = World::new();
    let id = world.spawn(code(1, |_context| std::future::pending()));
    world.table.started(id).await.unwrap();
    world.tell(id, "a");
    let say = world.say.clone();
    let breaks_later = code(2, move |context| {
        let say = say.clone();
        async move {
            let Take::Signal(signal) = context.take(usize::MAX) else { panic!("there is one") };
            assert_eq!(signal.header.kind, Kind::Message);
            say.send("took".into()).await.unwrap();
            take(&context).await;
            ExitReason::new(ExitKind::Trap, "later")
        }
    });
    world.table.replace(id, breaks_later, HERE).await.unwrap();
    assert_eq!(world.hear().await, "took");
    // From here on an end is an end.
    world.tell(id, "b");
    assert_eq!(world.table.exited(id).await.text, "later");
}

#[tokio::test]
async fn what_has_the_authority_of_this_peer_is_for_its_operator() {
    let world = World::new();
    let (bob, eve) = (PeerId::new(5).unwrap(), PeerId::new(6).unwrap());
    let of = |origin: PeerId, number: u8| Code { origin, ..world.speaker(number) };
    let origin = |id: ProcessId| world.table.info(id).unwrap().origin;
    let own = world.spawn(of(HERE, 1));
    world.parked(own).await;
    assert_eq!(world.table.may_replace(own, bob), Err(ReplaceError::NotAllowed));
    assert_eq!(world.table.replace(own, of(bob, 2), bob).await, Err(ReplaceError::NotAllowed));
    world.table.replace(own, of(HERE, 3), HERE).await.unwrap();
    assert_eq!(world.table.roll_back(own, bob).await, Err(ReplaceError::NotAllowed));

    // What came from Bob is for anybody to replace, and has then the authority of who did.
    world.table.kill(None, own, "").unwrap();
    world.table.exited(own).await;
    let foreign = world.spawn(of(bob, 4));
    world.parked(foreign).await;
    for asker in [bob, eve, bob] {
        world.table.replace(foreign, of(asker, 5), asker).await.unwrap();
        assert_eq!(origin(foreign), asker);
    }
    world.table.roll_back(foreign, bob).await.unwrap();
    assert_eq!(origin(foreign), eve);
    // Nobody lends his peer's authority to another.
    assert_eq!(world.table.replace(foreign, of(HERE, 6), bob).await, Err(ReplaceError::NotAllowed));
    // Its owner takes it over, and from then on it is his; going back gives it away again, and from
    // there nobody else leads it back to what has his authority.
    world.table.replace(foreign, of(HERE, 7), HERE).await.unwrap();
    assert_eq!(world.table.replace(foreign, of(bob, 8), bob).await, Err(ReplaceError::NotAllowed));
    world.table.roll_back(foreign, HERE).await.unwrap();
    assert_eq!(origin(foreign), eve);
    world.table.replace(foreign, of(HERE, 9), HERE).await.unwrap();
    assert_eq!(origin(foreign), HERE);
}

#[tokio::test]
async fn going_back_to_what_has_the_authority_of_this_peer_is_for_its_operator_too() {
    let world = World::new();
    let bob = PeerId::new(5).unwrap();
    let id = world.spawn(world.speaker(1));
    world.parked(id).await;
    // The operator of this peer lets Bob's code run, without its own authority.
    world.table.replace(id, Code { origin: bob, ..world.speaker(2) }, HERE).await.unwrap();
    assert_eq!(world.table.may_replace(id, bob), Ok(()));
    assert_eq!(world.table.roll_back(id, bob).await, Err(ReplaceError::NotAllowed));
    world.table.roll_back(id, HERE).await.unwrap();
    assert_eq!(world.table.info(id).unwrap().origin, HERE);
}

/// Computes for so long, as an interrupted guest does.
async fn spin(context: &Context, time: Duration) {
    let began = std::time::Instant::now();
    while began.elapsed() < time {
        let turn = std::time::Instant::now();
        while turn.elapsed() < Duration::from_micros(500) {
            std::hint::spin_loop();
        }
        match context.tick() {
            Tick::Continue => {}
            Tick::Yield => tokio::task::yield_now().await,
            Tick::Wait(until) => until.await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_that_is_set_aside_keeps_nobody_from_computing() {
    let world = World::new();
    let hog = || {
        code(1, |context| async move {
            spin(&context, Duration::MAX).await;
            unreachable!()
        })
    };
    // Of two there is one that computes and one that waits for it, now this and now that.
    for _ in 0..4 {
        let hogs = [(); 2].map(|()| world.table.spawn(Spec { name: None, ..spec_of(hog()) }).unwrap());
        for id in hogs {
            while world.table.info(id).unwrap().lane != Lane::Hog {
                tokio::task::yield_now().await;
            }
        }
        for id in hogs {
            let short = code(2, |context| async move {
                spin(&context, Duration::from_millis(20)).await;
                context.wait(State::Parked).await;
                ExitReason::normal()
            });
            world.table.replace(id, short, HERE).await.unwrap();
        }
        for id in hogs {
            world.table.kill(None, id, "").unwrap();
            world.table.exited(id).await;
        }
    }
}

#[tokio::test]
async fn what_the_user_does_is_not_for_code_of_another_peer() {
    let bob = PeerId::new(5).unwrap();
    let mut world = World::new();
    let kinds = |number: u8, say: &mpsc::Sender<String>| {
        let say = say.clone();
        code(number, move |context| {
            let say = say.clone();
            async move {
                loop {
                    let signal = take(&context).await;
                    say.send(format!("{number} {:?} {:?}", signal.header.kind, signal.body)).await.unwrap();
                }
            }
        })
    };
    // It takes nothing.
    let deaf = code(1, |context| async move {
        context.sleep(Duration::from_secs(1000)).await;
        unreachable!()
    });
    let id = world.spawn(deaf.clone());
    world.table.started(id).await.unwrap();
    let happens = |world: &World, kind: Kind, text: &str| {
        let header = Header { kind, status: 0, from: 0, tag: 0 };
        world.table.deliver(id, Signal { header, body: text.as_bytes().into() }).unwrap();
    };
    let all = |world: &World| {
        happens(world, Kind::Input, "key");
        happens(world, Kind::Message, "hello");
        happens(world, Kind::Terminal, "copied");
    };
    all(&world);
    // What breaks has seen nothing of it, and what goes on has it still.
    let curious = Code {
        origin: bob,
        ..code(2, {
            let say = world.say.clone();
            move |context: Context| {
                let say = say.clone();
                async move {
                    while let Take::Signal(signal) = context.take(usize::MAX) {
                        say.send(format!("saw {:?}", signal.header.kind)).await.unwrap();
                    }
                    ExitReason::new(ExitKind::Trap, "broken")
                }
            }
        })
    };
    assert!(matches!(world.table.replace(id, curious, HERE).await, Err(ReplaceError::Failed(_))));
    assert_eq!(world.hear().await, "saw Message");
    assert_eq!(world.table.info(id).unwrap().mailbox_len, 3);
    let own = kinds(3, &world.say);
    world.table.replace(id, own, HERE).await.unwrap();
    let mut heard = [world.hear().await, world.hear().await, world.hear().await];
    heard.sort();
    assert_eq!(heard, ["3 Input b\"key\"", "3 Message b\"hello\"", "3 Terminal b\"copied\""]);

    world.table.replace(id, deaf, HERE).await.unwrap();
    all(&world);
    let foreign = Code { origin: bob, ..kinds(4, &world.say) };
    world.table.replace(id, foreign, HERE).await.unwrap();
    assert_eq!(world.hear().await, "4 Message b\"hello\"");
    world.tell(id, "end");
    assert_eq!(world.hear().await, "4 Message b\"end\"", "nothing else came");
    assert_eq!(world.table.info(id).unwrap().mailbox_bytes, 0);
}

#[tokio::test]
async fn names_are_those_that_the_code_that_goes_on_had() {
    let world = World::new();
    let id = world.spawn(code(1, |context: Context| async move {
        context.register("second").unwrap();
        context.wait(State::Parked).await;
        std::future::pending().await
    }));
    world.parked(id).await;
    let breaks = code(2, |context: Context| async move {
        context.register("third").unwrap();
        assert!(context.unregister("second"));
        ExitReason::new(ExitKind::Trap, "broken")
    });
    assert!(matches!(world.table.replace(id, breaks, HERE).await, Err(ReplaceError::Failed(_))));
    assert_eq!(world.table.info(id).unwrap().names, ["first", "second"]);
    assert_eq!((world.table.whereis("second"), world.table.whereis("third")), (Some(id), None));
}

#[tokio::test]
async fn who_works_for_code_learns_that_it_is_gone() {
    let world = World::new();
    let asked: Arc<Mutex<Vec<ReplyTo>>> = Arc::default();
    let asks = |number: u8, then: fn() -> ExitReason| {
        let asked = asked.clone();
        code(number, move |context| {
            let asked = asked.clone();
            async move {
                asked.lock().unwrap().push(context.begin_request(7).unwrap());
                if number == 2 {
                    return then();
                }
                std::future::pending::<()>().await;
                unreachable!()
            }
        })
    };
    let last = || asked.lock().unwrap().pop().unwrap();
    let soon = |what: &'static str, reply: ReplyTo| async move {
        tokio::time::timeout(Duration::from_secs(60), reply.unwanted()).await.expect(what);
    };
    let id = world.spawn(asks(1, ExitReason::normal));
    world.table.started(id).await.unwrap();
    let first = loop {
        if let Some(reply) = asked.lock().unwrap().pop() {
            break reply;
        }
        tokio::task::yield_now().await;
    };
    let broken = asks(2, || ExitReason::new(ExitKind::Trap, "broken"));
    assert!(world.table.replace(id, broken, HERE).await.is_err());
    soon("that of code that broke", last()).await;
    assert!(futures::FutureExt::now_or_never(first.unwanted()).is_none(), "it goes on, and waits");
    world.table.replace(id, world.speaker(3), HERE).await.unwrap();
    soon("that of code that was replaced", first).await;
    let id = world.table.spawn(Spec { name: None, ..spec_of(asks(4, ExitReason::normal)) }).unwrap();
    world.table.started(id).await.unwrap();
    while asked.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    world.table.kill(None, id, "").unwrap();
    soon("that of a process that has ended", last()).await;
}
