// SPDX-License-Identifier: AGPL-3.0-or-later
//! Many short histories of a space, each made from a number: that processes on several peers keep OTP's promises,
//! whatever connections do.
//!
//! Whole peers run here, a server and two to four clients, with all their own code but for the sockets: they are joined
//! by wires (`hearth_net::wire`) on which one frame arrives when it is drawn, and wait for each other until it is drawn
//! that they have waited long enough. What is drawn is one thing at a time: a frame arrives, a process does something, a
//! connection breaks or is there again, a grace is over, the server is started again. The next is drawn when the
//! one thread of it all has nothing more to do.
//!
//! After each such step, and at the end, `model` is asked whether it may be so: messages of a pair in order, and lost only
//! when a connection was; of each monitor one signal, and none when it was taken away; of each link one exit
//! signal, and both halves of it alike; of what one has asked for to be tied to it the same, behind the answer; names with those who have them; and nothing left over when all have ended.
//!
//! `HEARTH_SEEDS=5000` tries as many instead of the usual number. `HEARTH_SEED=17` tries that one alone, and tells every
//! step: `HEARTH_SEED=17 cargo xtask test seeded_spaces -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod model;
mod puppet;
mod space;

use hearth_abi::ProcessId;
use hearth_process::{ExitKind, ExitReason};
use hearth_protocol::control::{DirectoryOp, Failure};
use model::Model;
pub(crate) use puppet::Nursery;
use puppet::{Begins, Hand};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use space::{CLIENT, Frame, Idle, SERVER, Space};
use std::{
    fmt::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// How many are tried in every run of the tests.
const SEEDS: u64 = 300;
/// Most processes that live at a time.
const PROCESSES_MAX: usize = 14;
/// Names on a peer, names in the space, and groups: few, so that processes meet in them.
const NAMES: [&str; 3] = ["ash", "birch", "cedar"];

/// What has happened, for whoever looks into a failure.
#[derive(Default)]
struct Trace {
    text: String,
    step: u64,
}

impl Trace {
    fn say(&mut self, what: impl std::fmt::Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{:>5}  {what}", self.step);
    }
}

/// One history.
struct History {
    random: StdRng,
    idle: Idle,
    space: Space,
    model: Model,
    /// Clients that do not come back any more.
    lost: Vec<usize>,
    next: u32,
}

impl History {
    /// One of those that live.
    fn someone(&mut self) -> Option<ProcessId> {
        self.model.living().choose(&mut self.random).copied()
    }

    /// One of all that there ever were, those that live above all.
    fn anyone(&mut self) -> Option<ProcessId> {
        if self.random.gen_bool(0.85) {
            return self.someone();
        }
        self.model.all().choose(&mut self.random).copied()
    }

    fn reason(&mut self) -> ExitReason {
        self.next += 1;
        match self.random.gen_range(0..6) {
            0 => ExitReason::normal(),
            1 => ExitReason::of_kind(ExitKind::Shutdown),
            _ => ExitReason::new(ExitKind::Error, format!("reason {}", self.next)),
        }
    }

    fn begins(&mut self) -> Begins {
        match self.random.gen_range(0..10) {
            0..3 => Begins::AtOnce,
            3..7 => Begins::WhenTold,
            7..9 => Begins::AndEnds(self.reason()),
            _ => Begins::Not(self.reason()),
        }
    }

    /// One thing happens.
    async fn step(&mut self, trace: &mut Trace) {
        trace.step += 1;
        let frames = self.space.frames();
        if !frames.is_empty() && self.random.gen_bool(0.6) {
            let frame = frames[self.random.gen_range(0..frames.len())];
            trace.say(format_args!("arrives: {frame:?}"));
            self.space.deliver(frame).await;
        } else {
            match self.random.gen_range(0..100) {
                0..10 => self.spawn(trace),
                10..16 => self.connection(trace),
                16..18 => self.grace(trace),
                18 if self.random.gen_bool(0.1) => self.restart(trace).await,
                _ => self.act(trace),
            }
        }
        self.idle.wait().await;
        self.model.observe(&self.space, trace);
    }

    fn spawn(&mut self, trace: &mut Trace) {
        if self.model.living().len() < PROCESSES_MAX {
            let home = self.random.gen_range(0..=self.space.clients.len());
            let id = self.model.spawn(self.space.peer(home), home);
            trace.say(format_args!("{id} spawns on peer {home}"));
        }
    }

    fn connection(&mut self, trace: &mut Trace) {
        let client = self.random.gen_range(0..self.space.clients.len());
        let line = self.space.clients[client].line.clone();
        if self.lost.contains(&client) {
        } else if !line.is_open() {
            trace.say(format_args!("client {} finds its way again", client + 1));
            line.open();
        } else if self.random.gen_bool(0.6) {
            let server_sees = self.random.gen_bool(0.6);
            trace.say(format_args!("client {} is cut off, seen by the server: {server_sees}", client + 1));
            line.cut(server_sees);
            // Seldom, and never all of them.
            if self.random.gen_bool(0.05) && self.lost.is_empty() {
                trace.say(format_args!("client {} does not come back", client + 1));
                self.lost.push(client);
            }
        } else {
            trace.say(format_args!("the server sees what it had not of client {}", client + 1));
            line.see();
        }
    }

    /// Somebody has waited long enough, if somebody waits.
    fn grace(&mut self, trace: &mut Trace) {
        let (client, by_server) = (self.random.gen_range(0..self.space.clients.len()), self.random.r#gen());
        trace.say(format_args!("the grace of client {} is over, at the server: {by_server}", client + 1));
        self.space.give_up(client, by_server);
    }

    async fn restart(&mut self, trace: &mut Trace) {
        trace.say("the server is started again");
        self.model.restarts();
        self.space.restart_server().await;
    }

    /// A process does something.
    fn act(&mut self, trace: &mut Trace) {
        let (Some(who), Some(other)) = (self.someone(), self.anyone()) else { return };
        let model = &mut self.model;
        match self.random.gen_range(0..120) {
            0..25 => {
                let count = self.random.gen_range(1..4);
                let sent = (0..count).filter(|_| model.send(who, other, trace.step)).count();
                trace.say(format_args!("{who} sends {other} {count}, of which {sent} go out"));
            }
            25..45 => {
                let linked = model.link(who, other);
                trace.say(format_args!("{who} links {other}: {linked:?}"));
            }
            45..55 => {
                model.unlink(who, other);
                trace.say(format_args!("{who} unlinks {other}"));
            }
            55..68 => {
                let monitors = model.monitor(who, other);
                trace.say(format_args!("{who} monitors {other}: {monitors:?}"));
            }
            68..74 => {
                let tags = model.tags(who);
                if let Some(tag) = tags.choose(&mut self.random) {
                    let done = model.demonitor(who, *tag);
                    trace.say(format_args!("{who} demonitors {tag}: {done:?}"));
                }
            }
            74..76 => {
                let traps = model.turn_trapping(who);
                trace.say(format_args!("{who} traps exits: {traps}"));
            }
            76..81 => {
                let reason = self.reason();
                let sent = self.model.exit_to(who, other, &reason);
                trace.say(format_args!("{who} sends {other} the exit `{reason}`: {sent:?}"));
            }
            81..84 => {
                let sent = model.kill(who, other);
                trace.say(format_args!("{who} kills {other}: {sent:?}"));
            }
            84..88 => {
                let reason = self.reason();
                trace.say(format_args!("{who} ends: {reason}"));
                self.model.ends(who, reason);
            }
            88..92 => {
                let name = NAMES[self.random.gen_range(0..NAMES.len())];
                let is_more = self.random.gen_bool(0.7);
                let done = model.name(who, name, is_more);
                trace.say(format_args!("{who} has the name {name} of its peer, {is_more}: {done}"));
            }
            92..110 => self.ask(who, trace),
            110..112 => {
                let replaced = model.replace(who);
                trace.say(format_args!("other code runs as {who}: {replaced}"));
            }
            _ => {
                let name = NAMES[self.random.gen_range(0..NAMES.len())];
                let op = [
                    DirectoryOp::Register,
                    DirectoryOp::Register,
                    DirectoryOp::Unregister,
                    DirectoryOp::Join,
                    DirectoryOp::Join,
                    DirectoryOp::Leave,
                ][self.random.gen_range(0..6)];
                if model.directory(who, op, name, trace.step) {
                    trace.say(format_args!("{who} asks for {op:?} {name}"));
                }
            }
        }
    }

    /// A process asks for another, or one that was asked for starts, or does not.
    fn ask(&mut self, who: ProcessId, trace: &mut Trace) {
        let (waiting, is_next) = (self.model.waiting(), self.random.r#gen());
        if let Some(child) = waiting.choose(&mut self.random).filter(|_| is_next) {
            if self.random.gen_bool(0.8) {
                trace.say(format_args!("{child} starts"));
                self.model.start(*child);
            } else {
                let reason = self.reason();
                trace.say(format_args!("{child} ends before it has started: {reason}"));
                self.model.ends(*child, reason);
            }
        } else if self.model.living().len() < PROCESSES_MAX {
            let home = self.random.gen_range(0..=self.space.clients.len());
            let (is_link, begins) = (self.random.r#gen(), self.begins());
            trace.say(format_args!("{who} asks for one on peer {home}, to be linked: {is_link}; {begins:?}"));
            let there = (home, self.space.peer(home).me);
            let asked = self.model.ask(who, there, is_link, begins, &self.space.nursery, trace.step);
            trace.say(format_args!("       {asked:?}"));
        }
    }

    /// Lets everything arrive, one by one.
    async fn calm(&mut self, trace: &mut Trace) {
        self.idle.wait().await;
        self.model.observe(&self.space, trace);
        while let Some(frame) = self.space.frames().choose(&mut self.random).copied() {
            trace.step += 1;
            self.space.deliver(frame).await;
            self.model.observe(&self.space, trace);
        }
    }

    /// Everybody who comes back is back, and everything has arrived.
    async fn quiet(&mut self, trace: &mut Trace) {
        for n in 0..self.space.clients.len() {
            self.space.clients[n].line.see();
            if self.lost.contains(&n) {
                self.idle.wait().await;
                self.space.give_up(n, true);
                self.space.give_up(n, false);
            } else {
                self.space.clients[n].line.open();
            }
        }
        self.calm(trace).await;
        // What has still to start may have come with that.
        while let Some(child) = self.model.waiting().first().copied() {
            trace.say(format_args!("{child} starts at last"));
            self.model.start(child);
            self.calm(trace).await;
        }
        for n in 0..self.space.clients.len() {
            let is_lost = self.lost.contains(&n);
            assert_eq!(self.space.is_unsettled(n), is_lost, "client {} is there again", n + 1);
        }
        trace.say("everything has arrived");
        self.model.check_quiet(&self.space, &self.lost);
    }

    async fn run(&mut self, trace: &mut Trace) {
        for _ in 0..self.random.gen_range(1..3) {
            for _ in 0..self.random.gen_range(50..250) {
                self.step(trace).await;
            }
            self.quiet(trace).await;
        }
        // One after the other, so that each end is seen by all others.
        let mut living = self.model.living();
        living.shuffle(&mut self.random);
        for id in living {
            if self.model.lives(id) {
                let reason = self.reason();
                trace.say(format_args!("{id} ends at last: {reason}"));
                self.model.ends(id, reason);
                self.calm(trace).await;
                self.model.check_monitors(&self.lost);
            }
        }
        self.calm(trace).await;
        self.model.check_empty(&self.space, &self.lost);
    }
}

/// One history from the beginning to the end.
async fn history(seed: u64, idle: Idle, trace: &mut Trace) {
    let mut random = StdRng::seed_from_u64(seed);
    let clients = random.gen_range(2..=4);
    trace.say(format_args!("{clients} clients"));
    let space = Space::start(clients, idle.clone()).await;
    let mut history = History { random, idle, space, model: Model::default(), lost: Vec::new(), next: 0 };
    history.run(trace).await;
}

/// Runs it on one thread, which tells when it has nothing to do.
fn on_one_thread(what: impl AsyncFnOnce(Idle)) {
    let idle = Idle::default();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().on_thread_park(idle.told()).build().unwrap();
    runtime.block_on(what(idle));
}

/// Runs one, and gives what has happened and why it failed, if it did.
fn run(seed: u64) -> (String, Option<String>) {
    let mut trace = Trace::default();
    let ran = catch_unwind(AssertUnwindSafe(|| {
        on_one_thread(async |idle| history(seed, idle, &mut trace).await);
    }));
    let failure = ran.err().map(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    });
    (trace.text, failure)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

#[test]
#[allow(clippy::print_stdout, reason = "the steps, for whoever asks for one history")]
fn seeded_spaces_keep_the_promises_of_otp() {
    if let Some(seed) = number("HEARTH_SEED") {
        let (steps, failure) = run(seed);
        println!("{steps}");
        assert_eq!(failure, None, "seed {seed}");
        return;
    }
    let seeds = number("HEARTH_SEEDS").unwrap_or(SEEDS);
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    if let (steps, Some(failure)) = run(seed) {
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        failed.push((seed, failure, steps));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort();
    if let Some((seed, failure, steps)) = failed.first() {
        let all =
            failed.iter().fold(String::new(), |all, (seed, failure, _)| format!("{all}{seed}: {failure}\n"));
        panic!(
            "{steps}\nof {seeds} seeds these failed:\n{all}the first: {failure}\n\
             to run it alone: HEARTH_SEED={seed} cargo xtask test seeded_spaces -- --nocapture"
        );
    }
}

/// Lets everything arrive that is not under way to one end in one lane.
async fn settle_but_for(space: &Space, late: Frame) {
    while let Some(frame) = space.frames().into_iter().find(|frame| *frame != late) {
        space.deliver(frame).await;
    }
}

/// A process ends just when its peer has asked for its group again.
#[test]
fn one_that_ends_does_not_cost_others_their_names() {
    on_one_thread(async |idle| {
        let mut space = Space::start(2, idle.clone()).await;
        let [ends, stays] = [1, 1].map(|home| Hand::spawn(&space.peer(home).processes, space.peer(home).me));
        idle.wait().await;
        for hand in [&ends, &stays] {
            assert_eq!(asks(&space, hand, DirectoryOp::Join, "trees").await, Ok(vec![]));
        }
        space.restart_server().await;
        space.clients[0].line.open();
        idle.wait().await;
        space.deliver((0, SERVER, 0)).await;
        settle_but_for(&space, (0, SERVER, 0)).await;
        space.deliver((0, SERVER, 0)).await;
        assert!(space.server.inner.directory.groups()["trees"].contains(&ends.id));
        ends.ends(ExitReason::normal());
        idle.wait().await;
        // The server learns of that before its answer has come.
        settle_but_for(&space, (0, CLIENT, 0)).await;
        space.settle().await;
        assert_eq!(Vec::from_iter(space.server.inner.directory.groups()["trees"].clone()), [stays.id]);
    });
}

/// A process of client 1 asks for one on client 2, which has given its server up, is back, and has not hailed.
#[test]
fn who_is_asked_has_hailed() {
    on_one_thread(async |idle| {
        let space = Space::start(2, idle.clone()).await;
        let (mut model, mut trace) = (Model::default(), Trace::default());
        let asks = model.spawn(space.peer(1), 1);
        space.clients[1].line.cut(true);
        idle.wait().await;
        model.observe(&space, &mut trace);
        space.give_up(1, false);
        idle.wait().await;
        space.clients[1].line.open();
        idle.wait().await;
        for frame in [(1, SERVER, 0), (1, CLIENT, 0), (0, CLIENT, 0)] {
            space.deliver(frame).await;
        }
        let there = (2, space.peer(2).me);
        model.ask(asks, there, true, Begins::AtOnce, &space.nursery, 0).unwrap();
        idle.wait().await;
        space.deliver((0, SERVER, 0)).await;
        assert!(!space.frames().contains(&(1, CLIENT, 0)), "the call is held back");
        // Client 1 hears last that the other was gone.
        settle_but_for(&space, (0, CLIENT, 1)).await;
        space.settle().await;
        model.observe(&space, &mut trace);
        model.check_quiet(&space, &[]);
        assert_eq!(model.all(), [asks], "the call is refused");
        // Now it knows.
        model.ask(asks, there, true, Begins::AtOnce, &space.nursery, 0).unwrap();
        space.settle().await;
        model.observe(&space, &mut trace);
        model.check_quiet(&space, &[]);
        assert_eq!(model.living().len(), 2);
    });
}

/// A process of client 2 asks for one on client 1, which hears of it when client 2 is lost.
#[test]
fn what_a_lost_client_has_asked_for_is_forsaken() {
    for (is_link, comes_back) in [(true, false), (false, false), (true, true)] {
        on_one_thread(async |idle| {
            let space = Space::start(2, idle.clone()).await;
            let (mut model, mut trace) = (Model::default(), Trace::default());
            let asks = model.spawn(space.peer(2), 2);
            idle.wait().await;
            let there = (1, space.peer(1).me);
            model.ask(asks, there, is_link, Begins::AtOnce, &space.nursery, 0).unwrap();
            idle.wait().await;
            space.deliver((1, SERVER, 0)).await;
            assert!(space.frames().contains(&(0, CLIENT, 0)), "the call is passed on");
            space.clients[1].line.cut(true);
            idle.wait().await;
            model.observe(&space, &mut trace);
            space.give_up(1, true);
            if comes_back {
                space.clients[1].line.open();
            }
            idle.wait().await;
            settle_but_for(&space, (0, CLIENT, 0)).await;
            space.settle().await;
            model.observe(&space, &mut trace);
            let lost = if comes_back { &[][..] } else { &[1] };
            model.check_quiet(&space, lost);
            assert_eq!(model.all(), [asks], "the call is refused");
        });
    }
}

/// Asks for something about the names of the space for a process of a client, which has an answer.
async fn asks(space: &Space, hand: &Hand, op: DirectoryOp, name: &str) -> Result<Vec<ProcessId>, Failure> {
    let peer = space.clients.iter().find(|client| client.inner.me == hand.id.peer()).unwrap().inner.clone();
    let (name, id) = (name.to_owned(), hand.id);
    let asked = tokio::spawn(async move { peer.directory(op, name, id).await });
    space.settle().await;
    asked.await.unwrap()
}

#[test]
fn names_of_the_space_outlive_the_server() {
    on_one_thread(async |idle| {
        let mut space = Space::start(2, idle.clone()).await;
        let [one, other, ends] =
            [1, 2, 2].map(|home| Hand::spawn(&space.peer(home).processes, space.peer(home).me));
        idle.wait().await;
        for (hand, op, name) in [
            (&one, DirectoryOp::Register, "ash"),
            (&one, DirectoryOp::Register, "birch"),
            (&one, DirectoryOp::Join, "trees"),
            (&other, DirectoryOp::Join, "trees"),
            (&ends, DirectoryOp::Register, "cedar"),
        ] {
            assert_eq!(asks(&space, hand, op, name).await, Ok(vec![]));
        }
        assert_eq!(asks(&space, &one, DirectoryOp::Unregister, "birch").await, Ok(vec![]));
        space.restart_server().await;
        assert!(space.server.inner.directory.names().is_empty());
        ends.ends(ExitReason::normal());
        space.clients.iter().for_each(|client| client.line.open());
        space.settle().await;
        // What was given up, and what was of one that has ended, is not asked for again.
        let directory = || &space.server.inner.directory;
        assert_eq!(Vec::from_iter(directory().names()), [("ash".to_owned(), one.id)]);
        let trees = Vec::from_iter(directory().groups().remove("trees").unwrap());
        assert_eq!(trees, [one.id, other.id]);
        assert_eq!(asks(&space, &other, DirectoryOp::Whereis, "ash").await, Ok(vec![one.id]));
        // The server gives a client up, and another takes a name of its process.
        space.clients[0].line.cut(true);
        space.settle().await;
        space.give_up(0, true);
        space.settle().await;
        assert!(directory().names().is_empty());
        assert_eq!(asks(&space, &other, DirectoryOp::Register, "ash").await, Ok(vec![]));
        space.clients[0].line.open();
        space.settle().await;
        assert_eq!(Vec::from_iter(directory().names()), [("ash".to_owned(), other.id)]);
        assert_eq!(directory().groups()["trees"].len(), 2);
        let log = space.peer(1).processes.log_lines(one.id, 10).unwrap();
        assert!(log.iter().any(|line| line.text.contains("the name `ash` of the space is lost")));
        // It is not asked for any more when it is free.
        assert_eq!(asks(&space, &other, DirectoryOp::Unregister, "ash").await, Ok(vec![]));
        space.clients[0].line.cut(true);
        space.settle().await;
        space.give_up(0, false);
        space.settle().await;
        space.clients[0].line.open();
        space.settle().await;
        assert!(directory().names().is_empty());
        assert_eq!(directory().groups()["trees"].len(), 2);
    });
}
