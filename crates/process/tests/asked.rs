// SPDX-License-Identifier: AGPL-3.0-or-later
//! Processes that are asked for and tied to the one that asked when it has its answer, on its own peer and on another:
//! as with the `spawn_link/4` and `spawn_monitor/4` of Erlang nothing of their ends is lost, and nothing comes before the answer.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use hearth_abi::{
    Errno, PeerId, ProcessId,
    signal::{EXIT_OF_LINK, Kind},
};
use hearth_process::{
    Begun, Bond, Config, Context, ExitKind, ExitReason, Host, Limits, Processes, Program, ReplyTo, SendError,
    Signal, SpawnError, Spec, State, Take, Tie, TiesInfo, Wish, Work,
};
use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// What is under way between the peers, in order.
#[derive(Default)]
struct Way {
    ties: VecDeque<(ProcessId, ProcessId, Tie)>,
    exits: Vec<(ProcessId, ExitReason)>,
    refuses: Option<SendError>,
}

struct Peer(Arc<Mutex<Way>>);

impl Host for Peer {
    fn send_remote(&self, _: ProcessId, _: ProcessId, _: Bytes) -> Result<(), SendError> {
        Err(SendError::NoPeer)
    }
    fn kill_remote(&self, _: Option<ProcessId>, _: ProcessId, _: &str) -> Result<(), SendError> {
        Err(SendError::NoPeer)
    }
    fn exit_remote(&self, _: Option<ProcessId>, to: ProcessId, reason: &ExitReason) -> Result<(), SendError> {
        self.0.lock().unwrap().exits.push((to, reason.clone()));
        Ok(())
    }
    fn tie_remote(&self, from: ProcessId, to: ProcessId, tie: Tie) -> Result<(), SendError> {
        let mut way = self.0.lock().unwrap();
        match way.refuses {
            // What takes a tie away is never refused because the way is full.
            Some(SendError::Full) if !matches!(tie, Tie::Link | Tie::Monitor(_)) => {}
            Some(error) => return Err(error),
            None => {}
        }
        way.ties.push_back((from, to, tie));
        Ok(())
    }
    fn serial_reached(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }
    fn exited(&self, _: ProcessId, _: &ExitReason) {}
}

/// Two peers and the way between them.
struct Space {
    way: Arc<Mutex<Way>>,
    peers: [Processes; 2],
}

impl Space {
    fn new() -> Space {
        Space::with(|_| {})
    }

    fn with(change: impl Fn(&mut Config)) -> Space {
        let way = Arc::new(Mutex::new(Way::default()));
        let peers = [0, 1].map(|number| {
            let mut config = Config::new(PeerId::new(number).unwrap(), 1, 2);
            change(&mut config);
            Processes::new(config, Arc::new(Peer(way.clone())))
        });
        Space { way, peers }
    }

    /// Lets everything arrive.
    fn settle(&self) {
        while self.deliver() {}
    }

    /// Lets the next arrive, if there is one.
    fn deliver(&self) -> bool {
        let Some((from, to, tie)) = self.way.lock().unwrap().ties.pop_front() else { return false };
        self.peers[to.peer().number() as usize].tie(from, to, tie);
        true
    }

    /// Each peer is given up by the other: what was under way is lost.
    fn part(&self) {
        self.refuses(Some(SendError::NoPeer));
        self.way.lock().unwrap().ties.clear();
        for peer in &self.peers {
            peer.peers_gone(|_| true);
        }
        self.refuses(None);
    }

    fn refuses(&self, error: Option<SendError>) {
        self.way.lock().unwrap().refuses = error;
    }

    fn unclaimed(&self) -> [usize; 2] {
        [0, 1].map(|peer| self.peers[peer].counts().unclaimed)
    }
}

type Order = Box<dyn FnOnce(&Context) -> Option<ExitReason> + Send>;

/// Runs what the test orders, and tells the test what it takes.
struct Puppet {
    orders: tokio::sync::Mutex<mpsc::Receiver<Order>>,
    seen: mpsc::Sender<Signal>,
    starts: bool,
}

impl Program for Puppet {
    fn run(self: Arc<Self>, context: Context) -> Work {
        if self.starts {
            context.started();
        }
        Work::whole(async move {
            let mut orders = self.orders.lock().await;
            loop {
                tokio::select! {
                    biased;
                    order = orders.recv() => match order {
                        Some(order) => if let Some(reason) = order(&context) {
                            return reason;
                        },
                        None => std::future::pending().await,
                    },
                    _ = context.wait(State::Waiting) => {
                        while let Take::Signal(signal) = context.take(usize::MAX) {
                            self.seen.send(signal).await.unwrap();
                        }
                    }
                }
                context.resume();
            }
        })
    }
}

/// Starts, and ends at once.
struct Dies(ExitReason);

impl Program for Dies {
    fn run(self: Arc<Self>, context: Context) -> Work {
        context.started();
        Work::whole(std::future::ready(self.0.clone()))
    }
}

/// Ends before it has started.
struct Fails;

impl Program for Fails {
    fn run(self: Arc<Self>, _: Context) -> Work {
        Work::whole(std::future::ready(ExitReason::new(ExitKind::Load, "no module")))
    }
}

fn spec(program: Arc<dyn Program>) -> Spec {
    Spec {
        program,
        module: None,
        origin: PeerId::SERVER,
        parent: None,
        name: None,
        args: Bytes::new(),
        limits: Limits { links: 2, monitors: 2, ..Limits::default() },
    }
}

/// A process in the hands of the test.
struct Hand {
    table: Processes,
    id: ProcessId,
    orders: mpsc::Sender<Order>,
    seen: mpsc::Receiver<Signal>,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// The answer: the process, or an error.
    Reply(Result<ProcessId, i32>),
    Exit(ProcessId, ExitReason),
    Down(ProcessId, ExitReason),
    Message,
}

const TAG: u64 = 5;
const MONITOR: u64 = 6;

impl Hand {
    fn program(starts: bool) -> (Arc<Puppet>, mpsc::Sender<Order>, mpsc::Receiver<Signal>) {
        let (orders, ordered) = mpsc::channel(64);
        let (seen, sees) = mpsc::channel(64);
        (Arc::new(Puppet { orders: tokio::sync::Mutex::new(ordered), seen, starts }), orders, sees)
    }

    /// One that traps exits.
    async fn spawn(table: &Processes) -> Hand {
        let (program, orders, seen) = Hand::program(true);
        let hand = Hand { table: table.clone(), id: table.spawn(spec(program)).unwrap(), orders, seen };
        hand.does(|context| context.trap_exits(true)).await;
        hand
    }

    /// One that another has asked for, and does not trap exits.
    async fn asked(table: &Processes, by: ProcessId, wish: Wish) -> Hand {
        let (program, orders, seen) = Hand::program(true);
        let begun = table.begin(spec(program), Some(Bond::asked(by, wish))).unwrap();
        soon(begun.started()).await.unwrap();
        Hand { table: table.clone(), id: begun.id(), orders, seen }
    }

    async fn does<T: Send + 'static>(&self, what: impl FnOnce(&Context) -> T + Send + 'static) -> T {
        let (tell, told) = oneshot::channel();
        let order: Order = Box::new(move |context| {
            let _ = tell.send(what(context));
            None
        });
        self.orders.send(order).await.unwrap();
        soon(told).await.unwrap()
    }

    async fn ends(&self, reason: ExitReason) {
        self.orders.send(Box::new(move |_| Some(reason))).await.unwrap();
        soon(self.table.exited(self.id)).await;
    }

    /// It asks for a process that is to be tied to it.
    async fn asks(&self, link: bool) -> Result<(ReplyTo, Wish), Errno> {
        let begun = self.does(move |context| match link {
            true => context.begin_spawn_link(TAG),
            false => context.begin_spawn_monitor(TAG, MONITOR),
        });
        begun.await.map(|reply| {
            let wish = reply.wish().unwrap();
            (reply, wish)
        })
    }

    async fn next(&mut self) -> Seen {
        let Signal { header, body } = soon(self.seen.recv()).await.unwrap();
        let from = ProcessId::from_bits(header.from);
        match header.kind {
            Kind::Reply => {
                assert_eq!(header.tag, TAG);
                let id = |body: &[u8]| ProcessId::from_bits(u64::from_le_bytes(body.try_into().unwrap()));
                Seen::Reply(if header.status == 0 { Ok(id(&body)) } else { Err(header.status) })
            }
            Kind::Exit => {
                assert_eq!(header.tag, EXIT_OF_LINK);
                Seen::Exit(from, ExitReason::decode(&body).unwrap())
            }
            Kind::Down => {
                assert_eq!(header.tag, MONITOR);
                Seen::Down(from, ExitReason::decode(&body).unwrap())
            }
            _ => Seen::Message,
        }
    }

    /// Nothing has come that it has not told of, and nothing is left of what it was tied to.
    async fn is_done(&mut self) {
        self.table.send(ProcessId::from_bits(0), self.id, Bytes::new()).unwrap();
        assert_eq!(self.next().await, Seen::Message);
        assert_eq!(self.table.ties(self.id), Some(TiesInfo::default()));
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it never came to be")
}

fn crash() -> ExitReason {
    ExitReason { data: Bytes::from_static(b"\x18\x2a"), ..ExitReason::new(ExitKind::Error, "crash") }
}

fn of_kind(kind: ExitKind) -> ExitReason {
    ExitReason::of_kind(kind)
}

fn end(link: bool, id: ProcessId, reason: ExitReason) -> Seen {
    if link { Seen::Exit(id, reason) } else { Seen::Down(id, reason) }
}

/// On the peer of the one that asks and on another, linked and monitored.
const WAYS: [(usize, bool); 4] = [(0, true), (0, false), (1, true), (1, false)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_soon_it_ends_its_reason_comes_behind_the_answer() {
    let space = Space::new();
    let mut one = Hand::spawn(&space.peers[0]).await;
    for round in 0..200 {
        for (there, link) in WAYS {
            let (reply, wish) = one.asks(link).await.unwrap();
            let dies = spec(Arc::new(Dies(crash())));
            let begun: Begun = space.peers[there].begin(dies, Some(Bond::asked(one.id, wish))).unwrap();
            soon(begun.started()).await.unwrap();
            if round % 2 == 0 {
                soon(space.peers[there].exited(begun.id())).await;
            }
            reply.spawned(begun.id());
            space.settle();
            assert_eq!(one.next().await, Seen::Reply(Ok(begun.id())));
            // If it ends only now, what it tells is under way then.
            soon(space.peers[there].exited(begun.id())).await;
            let settling = async {
                loop {
                    space.settle();
                    if let Some(seen) = tokio::select! {
                        seen = one.next() => Some(seen),
                        () = tokio::time::sleep(Duration::from_millis(1)) => None,
                    } {
                        return seen;
                    }
                }
            };
            assert_eq!(soon(settling).await, end(link, begun.id(), crash()));
        }
    }
    one.is_done().await;
    assert_eq!(space.unclaimed(), [0, 0]);
}

#[tokio::test]
async fn one_that_lives_is_tied_as_by_link_and_monitor() {
    let space = Space::new();
    let mut one = Hand::spawn(&space.peers[0]).await;
    for (there, link) in WAYS {
        let (reply, wish) = one.asks(link).await.unwrap();
        assert_eq!(one.table.ties(one.id).unwrap().reserved, 1);
        let child = Hand::asked(&space.peers[there], one.id, wish).await;
        assert_eq!(space.peers[there].counts().unclaimed, 1);
        reply.spawned(child.id);
        space.settle();
        assert_eq!(one.next().await, Seen::Reply(Ok(child.id)));
        assert_eq!(space.unclaimed(), [0, 0]);
        let (mine, theirs) = (one.table.ties(one.id).unwrap(), child.table.ties(child.id).unwrap());
        assert_eq!(mine.reserved, 0);
        if link {
            assert_eq!((mine.links, theirs.links), (vec![child.id], vec![one.id]));
        } else {
            assert_eq!(mine.watching[0].1, child.id);
            assert_eq!(theirs.watchers, [(one.id, mine.watching[0].0)]);
        }
        child.ends(crash()).await;
        space.settle();
        assert_eq!(one.next().await, end(link, child.id, crash()));
    }
    one.is_done().await;
}

#[tokio::test]
async fn an_answer_that_is_an_error_leaves_nothing() {
    let space = Space::new();
    let mut one = Hand::spawn(&space.peers[0]).await;
    for (there, link) in WAYS {
        // It does not start.
        let (reply, wish) = one.asks(link).await.unwrap();
        let fails = spec(Arc::new(Fails));
        let begun = space.peers[there].begin(fails, Some(Bond::asked(one.id, wish))).unwrap();
        assert_eq!(soon(begun.started()).await.unwrap_err().kind, ExitKind::Load);
        assert_eq!(space.unclaimed(), [0, 0]);
        reply.error(Errno::Module, "no module");
        assert_eq!(one.next().await, Seen::Reply(Err(Errno::Module.as_return())));
        // It takes too long, and starts then.
        let (reply, wish) = one.asks(link).await.unwrap();
        let child = Hand::asked(&space.peers[there], one.id, wish).await;
        space.peers[there].forsake(child.id);
        reply.error(Errno::TimedOut, "too late");
        assert_eq!(one.next().await, Seen::Reply(Err(Errno::TimedOut.as_return())));
        if link {
            assert_eq!(soon(child.table.exited(child.id)).await.kind, ExitKind::NoConnection);
        } else {
            assert_eq!(child.table.ties(child.id), Some(TiesInfo::default()));
        }
        // Nobody answers.
        drop(one.asks(link).await.unwrap());
        assert_eq!(one.next().await, Seen::Reply(Err(Errno::Host.as_return())));
    }
    space.settle();
    one.is_done().await;
    assert_eq!(space.unclaimed(), [0, 0]);
}

#[tokio::test]
async fn one_whose_asker_has_ended_gets_its_exit_signal() {
    let space = Space::new();
    for (there, link) in WAYS {
        for traps in [false, true] {
            let one = Hand::spawn(&space.peers[0]).await;
            let (reply, wish) = one.asks(link).await.unwrap();
            let mut child = Hand::asked(&space.peers[there], one.id, wish).await;
            child.does(move |context| context.trap_exits(traps)).await;
            one.ends(crash()).await;
            reply.spawned(child.id);
            space.settle();
            match (link, traps) {
                (true, false) => assert_eq!(soon(child.table.exited(child.id)).await, crash()),
                (true, true) => {
                    assert_eq!(child.next().await, Seen::Exit(one.id, crash()));
                    child.is_done().await;
                }
                (false, _) => child.is_done().await,
            }
            assert_eq!(space.unclaimed(), [0, 0]);
        }
    }
}

#[tokio::test]
async fn a_wish_can_be_taken_back() {
    let space = Space::new();
    let mut one = Hand::spawn(&space.peers[0]).await;
    for there in [0, 1] {
        for ends in [false, true] {
            // The one that asks does not want its monitor any more.
            let (reply, wish) = one.asks(false).await.unwrap();
            let mut child = Hand::asked(&space.peers[there], one.id, wish).await;
            assert_eq!(one.does(|context| context.demonitor(MONITOR)).await, Ok(()));
            assert_eq!(one.table.ties(one.id), Some(TiesInfo::default()));
            if ends {
                child.ends(crash()).await;
            }
            reply.spawned(child.id);
            space.settle();
            assert_eq!(one.next().await, Seen::Reply(Ok(child.id)));
            if !ends {
                child.is_done().await;
            }
            // The new one does not want its link.
            let (reply, wish) = one.asks(true).await.unwrap();
            let mut child = Hand::asked(&space.peers[there], one.id, wish).await;
            let by = one.id;
            child.does(move |context| context.unlink(by)).await;
            if ends {
                child.ends(crash()).await;
            }
            reply.spawned(child.id);
            space.settle();
            assert_eq!(one.next().await, Seen::Reply(Ok(child.id)));
            if !ends {
                child.is_done().await;
            }
            one.is_done().await;
            assert_eq!(space.unclaimed(), [0, 0]);
        }
    }
}

#[tokio::test]
async fn places_are_taken_when_it_is_asked() {
    let space = Space::new();
    let mut one = Hand::spawn(&space.peers[0]).await;
    let (first, _) = one.asks(true).await.unwrap();
    let (second, _) = one.asks(true).await.unwrap();
    assert_eq!(one.asks(true).await.err(), Some(Errno::Limit));
    let other = Hand::spawn(&space.peers[0]).await;
    let id = other.id;
    assert_eq!(one.does(move |context| context.link(id)).await, Err(Errno::Limit));
    first.error(Errno::Module, "");
    assert_eq!(one.next().await, Seen::Reply(Err(Errno::Module.as_return())));
    assert_eq!(one.does(move |context| context.link(id)).await, Ok(()));
    one.does(move |context| context.unlink(id)).await;
    second.error(Errno::Module, "");
    assert_eq!(one.next().await, Seen::Reply(Err(Errno::Module.as_return())));
    let (first, _) = one.asks(false).await.unwrap();
    assert_eq!(one.asks(false).await.err(), Some(Errno::Taken));
    assert_eq!(one.does(move |context| context.monitor(id, MONITOR)).await, Err(Errno::Taken));
    assert_eq!(one.does(move |context| context.monitor(id, 1)).await, Ok(()));
    assert_eq!(one.does(move |context| context.monitor(id, 2)).await, Err(Errno::Limit));
    one.does(|context| context.demonitor(1).unwrap()).await;
    first.error(Errno::Module, "");
    assert_eq!(one.next().await, Seen::Reply(Err(Errno::Module.as_return())));
    one.is_done().await;
}

#[tokio::test]
async fn on_a_way_that_is_full_or_gone() {
    let space = Space::new();
    let mut one = Hand::spawn(&space.peers[0]).await;
    for link in [true, false] {
        let (reply, wish) = one.asks(link).await.unwrap();
        let child = Hand::asked(&space.peers[1], one.id, wish).await;
        space.refuses(Some(SendError::Full));
        reply.spawned(child.id);
        space.refuses(None);
        assert_eq!(one.next().await, Seen::Reply(Err(Errno::Full.as_return())));
        let exits = std::mem::take(&mut space.way.lock().unwrap().exits);
        assert_eq!(exits, [(child.id, of_kind(ExitKind::Kill))], "it is not left behind");
        space.settle();
        assert_eq!(space.unclaimed(), [0, 0]);
        one.is_done().await;

        let (reply, wish) = one.asks(link).await.unwrap();
        let mut child = Hand::asked(&space.peers[1], one.id, wish).await;
        space.refuses(Some(SendError::NoPeer));
        reply.spawned(child.id);
        assert_eq!(one.next().await, Seen::Reply(Ok(child.id)));
        assert_eq!(one.next().await, end(link, child.id, of_kind(ExitKind::NoConnection)));
        space.refuses(None);
        one.is_done().await;
        space.peers[1].peers_gone(|peer| peer == PeerId::SERVER);
        if link {
            assert_eq!(soon(child.table.exited(child.id)).await, of_kind(ExitKind::NoConnection));
        } else {
            child.is_done().await;
        }
        assert_eq!(space.unclaimed(), [0, 0]);
    }
}

#[tokio::test]
async fn what_nobody_claims_is_given_up() {
    let space = Space::with(|config| config.claim_time_max = Duration::from_millis(50));
    let mut one = Hand::spawn(&space.peers[0]).await;
    let (linked, wish) = one.asks(true).await.unwrap();
    let child = Hand::asked(&space.peers[1], one.id, wish).await;
    let (monitored, wish) = one.asks(false).await.unwrap();
    let mut other = Hand::asked(&space.peers[1], one.id, wish).await;
    assert_eq!(soon(child.table.exited(child.id)).await, of_kind(ExitKind::NoConnection));
    assert_eq!(space.unclaimed(), [0, 0]);
    other.is_done().await;
    // It lives, and is claimed all the same.
    monitored.spawned(other.id);
    linked.spawned(child.id);
    space.settle();
    assert_eq!(one.next().await, Seen::Reply(Ok(other.id)));
    assert_eq!(one.next().await, Seen::Reply(Ok(child.id)));
    assert_eq!(one.next().await, Seen::Exit(child.id, of_kind(ExitKind::NoProcess)));
    other.ends(crash()).await;
    space.settle();
    assert_eq!(one.next().await, Seen::Down(other.id, crash()));
    one.is_done().await;
}

#[tokio::test]
async fn what_was_asked_for_by_a_call_that_nobody_waits_for() {
    let space = Space::new();
    let (table, by) = (&space.peers[1], ProcessId::new(PeerId::SERVER, 9).unwrap());
    let begin = |wish, call| {
        let (program, _orders, _seen) = Hand::program(true);
        table.begin(spec(program), Some(Bond::asked_by_call(by, wish, call)))
    };
    let (linked, monitored) = (begin(Wish::Link, 1).unwrap(), begin(Wish::Monitor(1), 2).unwrap());
    let id = linked.id();
    soon(linked.started()).await.unwrap();
    soon(monitored.started()).await.unwrap();
    (1..3).for_each(|call| table.forsake_call(by, call));
    assert_eq!(space.unclaimed(), [0, 0]);
    assert_eq!(soon(table.exited(id)).await, of_kind(ExitKind::NoConnection));
    // The call comes later: even behind the loss of the peer that has asked.
    (3..5).for_each(|call| table.forsake_call(by, call));
    table.peers_gone(|_| true);
    for call in 3..5 {
        assert_eq!(begin(Wish::Link, call).map(drop), Err(SpawnError::NotTied(Errno::NoPeer)));
    }
    // That is remembered of so many.
    (0..1025).for_each(|call| table.forsake_call(by, 10 + call));
    begin(Wish::Monitor(1), 10).unwrap();
    assert_eq!(begin(Wish::Monitor(1), 11).map(drop), Err(SpawnError::NotTied(Errno::NoPeer)));
    assert_eq!(space.unclaimed(), [0, 1]);
}

#[tokio::test]
async fn so_many_are_unclaimed_for_a_peer() {
    let space = Space::new();
    let table = &space.peers[1];
    let spawn = |peer| {
        let by = ProcessId::new(PeerId::new(peer).unwrap(), 1).unwrap();
        let dies = spec(Arc::new(Dies(crash())));
        table.begin(dies, Some(Bond::asked(by, Wish::Link))).map(drop)
    };
    for _ in 0..4096 {
        spawn(0).unwrap();
    }
    assert_eq!(spawn(0), Err(SpawnError::NotTied(Errno::Limit)));
    assert_eq!(spawn(2), Ok(()));
    while table.count() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(table.counts().unclaimed, 4097);
    table.peers_gone(|peer| peer == PeerId::SERVER);
    assert_eq!(table.counts().unclaimed, 1);
    spawn(0).unwrap();
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (self.0 >> 33) % end
    }
}

/// Lets all that can happen happen.
async fn calm() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// One asks for another, and all that can happen to the two does, in many orders: of the tie there is one end, behind the
/// answer, and with the reason that it has unless somebody did not want it or the peers were parted; and nothing is left.
#[tokio::test]
async fn in_whatever_order() {
    let space = Space::new();
    for seed in 0..3000 {
        let mut numbers = Numbers(seed * 2 + 1);
        let mut steps = Vec::new();
        let (there, link) = WAYS[numbers.below(4) as usize];
        let mut one = Hand::spawn(&space.peers[0]).await;
        let (reply, wish) = one.asks(link).await.unwrap();
        let child = Hand::asked(&space.peers[there], one.id, wish).await;
        let mut reply = Some(reply);
        let (mut one_ends, mut child_ends, mut is_unwanted, mut is_parted) = (None, None, false, false);
        let mut is_error = false;
        for _ in 0..12 {
            let step = numbers.below(9);
            steps.push(step);
            match step {
                0 | 1 => {
                    if let Some(reply) = reply.take() {
                        reply.spawned(child.id);
                    }
                }
                2 if child_ends.is_none() && child.table.info(child.id).is_some() => {
                    child.ends(crash()).await;
                    child_ends = Some(());
                }
                3 if one_ends.is_none() && numbers.below(3) == 0 && one.table.info(one.id).is_some() => {
                    one.ends(ExitReason::new(ExitKind::Error, "first")).await;
                    one_ends = Some(());
                }
                4 if link && child_ends.is_none() && numbers.below(3) == 0 => {
                    let by = one.id;
                    if child.table.info(child.id).is_some() {
                        child.does(move |context| context.unlink(by)).await;
                        is_unwanted = true;
                    }
                }
                4 if !link && one_ends.is_none() && numbers.below(3) == 0 => {
                    is_unwanted |= one.does(|context| context.demonitor(MONITOR)).await.is_ok();
                }
                5 if numbers.below(8) == 0 && there == 1 => {
                    space.part();
                    is_parted = true;
                }
                6 if numbers.below(8) == 0 => {
                    if let Some(reply) = reply.take() {
                        space.peers[there].forsake(child.id);
                        reply.error(Errno::TimedOut, "");
                        is_error = true;
                    }
                }
                _ => drop(space.deliver()),
            }
            calm().await;
        }
        if let Some(reply) = reply.take() {
            reply.spawned(child.id);
        }
        space.settle();
        calm().await;
        space.settle();
        calm().await;
        if one_ends.is_none() {
            assert!(one.table.info(one.id).is_some(), "seed {seed}, {steps:?}: it traps exits");
            // The last end that there can be.
            if child.table.info(child.id).is_some() {
                child.ends(crash()).await;
                child_ends = Some(());
            }
            calm().await;
            space.settle();
            calm().await;
            let first = one.next().await;
            let mut ends = Vec::new();
            one.table.send(ProcessId::from_bits(0), one.id, Bytes::new()).unwrap();
            loop {
                match one.next().await {
                    Seen::Message => break,
                    end => ends.push(end),
                }
            }
            if is_error {
                assert_eq!(first, Seen::Reply(Err(Errno::TimedOut.as_return())), "seed {seed}, {steps:?}");
                assert_eq!(ends, [], "seed {seed}, {steps:?}");
            } else {
                assert_eq!(first, Seen::Reply(Ok(child.id)), "seed {seed}, {steps:?}");
                match &ends[..] {
                    [] => assert!(is_unwanted, "seed {seed}, {steps:?}"),
                    [one] if *one == end(link, child.id, crash()) => assert!(child_ends.is_some()),
                    [one] => {
                        assert!(is_parted, "seed {seed}, {steps:?}: {one:?}");
                        let may_be = [ExitKind::NoConnection, ExitKind::NoProcess].map(of_kind);
                        assert!(may_be.into_iter().any(|reason| *one == end(link, child.id, reason)));
                    }
                    more => panic!("seed {seed}, {steps:?}: {more:?}"),
                }
            }
            assert_eq!(one.table.ties(one.id), Some(TiesInfo::default()), "seed {seed}, {steps:?}");
        } else if child.table.info(child.id).is_some() {
            let keeps = !link || is_unwanted || is_parted || is_error;
            assert!(keeps, "seed {seed}, {steps:?}: the one that asked has ended");
            assert_eq!(child.table.ties(child.id), Some(TiesInfo::default()), "seed {seed}, {steps:?}");
        }
        assert_eq!(space.unclaimed(), [0, 0], "seed {seed}, {steps:?}");
        for hand in [&one, &child] {
            // One or both have ended.
            let _ = hand.table.kill(None, hand.id, "the next seed");
            soon(hand.table.exited(hand.id)).await;
        }
        space.settle();
    }
}
