// SPDX-License-Identifier: AGPL-3.0-or-later
//! The rules of OTP for links, monitors and exit signals, one after the other: who ends, for what reason, and
//! in what order signals arrive. The sentences in quotation marks are those of the Erlang reference
//! manual ("Processes") and of the module `erlang`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use hearth_abi::{
    Errno, LumpId, PeerId, ProcessId,
    signal::{EXIT_OF_LINK, Kind},
};
use hearth_process::{
    Bond, Code, Config, Context, ExitKind, ExitReason, Host, Limits, Processes, Program, SendError, Signal,
    SpawnError, Spec, State, Take, Tie, Work,
};
use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

const HERE: PeerId = PeerId::SERVER;

/// A peer that notes what it is to tell others.
#[derive(Default)]
struct Peer {
    ties: Mutex<Vec<(ProcessId, ProcessId, Tie)>>,
    exits: Mutex<Vec<(ProcessId, ExitReason)>>,
    refuses: Mutex<Option<SendError>>,
}

impl Peer {
    fn told(&self) -> Vec<(ProcessId, ProcessId, Tie)> {
        std::mem::take(&mut self.ties.lock().unwrap())
    }
}

impl Host for Peer {
    fn send_remote(&self, _: ProcessId, _: ProcessId, _: Bytes) -> Result<(), SendError> {
        Err(SendError::NoPeer)
    }
    fn kill_remote(&self, _: Option<ProcessId>, _: ProcessId, _: &str) -> Result<(), SendError> {
        Err(SendError::NoPeer)
    }
    fn exit_remote(&self, _: Option<ProcessId>, to: ProcessId, reason: &ExitReason) -> Result<(), SendError> {
        self.exits.lock().unwrap().push((to, reason.clone()));
        Ok(())
    }
    fn tie_remote(&self, from: ProcessId, to: ProcessId, tie: Tie) -> Result<(), SendError> {
        if let Some(error) = *self.refuses.lock().unwrap() {
            return Err(error);
        }
        self.ties.lock().unwrap().push((from, to, tie));
        Ok(())
    }
    fn serial_reached(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }
    fn exited(&self, _: ProcessId, _: &ExitReason) {}
}

type Order = Box<dyn FnOnce(&Context) -> Option<ExitReason> + Send>;

/// Runs what the test orders, and tells the test what it takes.
struct Puppet {
    orders: tokio::sync::Mutex<mpsc::Receiver<Order>>,
    seen: mpsc::Sender<Signal>,
    /// Whether it takes signals by itself.
    takes: bool,
}

impl Program for Puppet {
    fn run(self: Arc<Self>, context: Context) -> Work {
        context.started();
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
                    _ = context.wait(State::Waiting), if self.takes => {
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

/// A process in the hands of the test.
struct Hand {
    table: Processes,
    id: ProcessId,
    orders: mpsc::Sender<Order>,
    seen: mpsc::Receiver<Signal>,
}

fn puppet(takes: bool) -> (Spec, mpsc::Sender<Order>, mpsc::Receiver<Signal>) {
    let (orders, ordered) = mpsc::channel(64);
    let (seen, sees) = mpsc::channel(64);
    let puppet = Puppet { orders: tokio::sync::Mutex::new(ordered), seen, takes };
    let spec = Spec {
        program: Arc::new(puppet),
        module: Some(LumpId([1; 32])),
        origin: HERE,
        parent: None,
        name: None,
        args: Bytes::new(),
        limits: Limits { links: 4, monitors: 4, mailbox_signals: 4, ..Limits::default() },
    };
    (spec, orders, sees)
}

impl Hand {
    fn spawn(table: &Processes) -> Hand {
        Hand::spawn_with(table, true, |_| {})
    }

    fn spawn_with(table: &Processes, takes: bool, change: impl Fn(&mut Spec)) -> Hand {
        let (mut spec, orders, seen) = puppet(takes);
        change(&mut spec);
        let id = table.spawn(spec).unwrap();
        Hand { table: table.clone(), id, orders, seen }
    }

    async fn trapping(table: &Processes) -> Hand {
        let hand = Hand::spawn(table);
        assert!(!hand.does(|context| context.trap_exits(true)).await);
        hand
    }

    /// Lets the process do something, and gives what came of it.
    async fn does<T: Send + 'static>(&self, what: impl FnOnce(&Context) -> T + Send + 'static) -> T {
        let (tell, told) = oneshot::channel();
        let order: Order = Box::new(move |context| {
            let _ = tell.send(what(context));
            None
        });
        self.orders.send(order).await.unwrap();
        soon(told).await.unwrap()
    }

    /// Lets the process end.
    async fn ends(&self, reason: ExitReason) {
        self.orders.send(Box::new(move |_| Some(reason))).await.unwrap();
        soon(self.table.exited(self.id)).await;
    }

    async fn link(&self, other: &Hand) {
        let id = other.id;
        assert_eq!(self.does(move |context| context.link(id)).await, Ok(()));
    }

    async fn monitor(&self, other: ProcessId, tag: u64) {
        assert_eq!(self.does(move |context| context.monitor(other, tag)).await, Ok(()));
    }

    /// The next signal that it takes.
    async fn next(&mut self) -> Signal {
        soon(self.seen.recv()).await.unwrap()
    }

    /// The next signal must be an exit: from whom, of a link or not, and why.
    async fn exit(&mut self) -> (ProcessId, u64, ExitReason) {
        let Signal { header, body } = self.next().await;
        assert_eq!(header.kind, Kind::Exit);
        (ProcessId::from_bits(header.from), header.tag, ExitReason::decode(&body).unwrap())
    }

    /// The next signal must be a down: of whom, with which tag, and why.
    async fn down(&mut self) -> (ProcessId, u64, ExitReason) {
        let Signal { header, body } = self.next().await;
        assert_eq!(header.kind, Kind::Down);
        (ProcessId::from_bits(header.from), header.tag, ExitReason::decode(&body).unwrap())
    }

    /// Nothing has come that it has not told of: what comes next is a message that is sent now.
    async fn has_seen_all(&mut self) {
        self.table.send(ProcessId::from_bits(0), self.id, Bytes::from_static(b"all?")).unwrap();
        let signal = self.next().await;
        assert_eq!((signal.header.kind, &signal.body[..]), (Kind::Message, &b"all?"[..]));
    }

    async fn lives(&mut self) {
        self.has_seen_all().await;
    }

    async fn reason(&self) -> ExitReason {
        soon(self.table.exited(self.id)).await
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it never came to be")
}

fn table() -> (Processes, Arc<Peer>) {
    let peer = Arc::new(Peer::default());
    (Processes::new(Config::new(HERE, 1, 2), peer.clone()), peer)
}

fn of_kind(kind: ExitKind) -> ExitReason {
    ExitReason::of_kind(kind)
}

fn crash() -> ExitReason {
    ExitReason { data: Bytes::from_static(b"\x18\x2a"), ..ExitReason::new(ExitKind::Error, "crash") }
}

/// A process of another peer.
fn far(serial: u64) -> ProcessId {
    ProcessId::new(PeerId::new(5).unwrap(), serial).unwrap()
}

/// What becomes of who gets an exit signal.
#[derive(Debug)]
enum Becomes {
    Lives,
    /// It ends with this kind.
    Ends(ExitKind),
    /// It takes a signal with this kind, and lives.
    Takes(ExitKind),
}
use Becomes::{Ends, Lives, Takes};

/// "When a process exits, it sends exit signals to all linked processes": what they do with each reason.
#[tokio::test]
async fn the_end_of_a_linked_process() {
    use ExitKind::{Error, Kill, Killed, Limit, Load, Normal, Shutdown, Trap};
    for (reason, traps, becomes) in [
        // "If the process is not trapping exits and the reason is `normal`, the signal is ignored."
        (Normal, false, Lives),
        (Normal, true, Takes(Normal)),
        (Error, false, Ends(Error)),
        (Error, true, Takes(Error)),
        (Shutdown, false, Ends(Shutdown)),
        (Shutdown, true, Takes(Shutdown)),
        (Trap, false, Ends(Trap)),
        (Limit, false, Ends(Limit)),
        (Load, true, Takes(Load)),
        (Killed, false, Ends(Killed)),
        (Killed, true, Takes(Killed)),
        // "If a process ends itself by `exit(kill)`, linked processes get a signal that can be trapped."
        (Kill, false, Ends(Kill)),
        (Kill, true, Takes(Kill)),
    ] {
        let (table, _) = table();
        let (one, mut other) = (Hand::spawn(&table), Hand::spawn(&table));
        other.does(move |context| context.trap_exits(traps)).await;
        // A link is of both, whoever has made it.
        if traps {
            one.link(&other).await
        } else {
            other.link(&one).await
        }
        one.ends(of_kind(reason)).await;
        let case = format!("{reason:?}, traps: {traps}: {becomes:?}");
        match becomes {
            Lives => other.lives().await,
            Ends(kind) => assert_eq!(other.reason().await.kind, kind, "{case}"),
            Takes(kind) => {
                assert_eq!(other.exit().await, (one.id, EXIT_OF_LINK, of_kind(kind)), "{case}");
                other.lives().await;
                assert_eq!(table.links(other.id), Some(vec![]), "{case}");
            }
        }
    }
}

/// `exit/2`: an exit signal that a process sends.
#[tokio::test]
async fn an_exit_signal_that_is_sent() {
    use ExitKind::{Error, Kill, Killed, Normal, Shutdown};
    for (reason, traps, to_itself, becomes) in [
        (Error, false, false, Ends(Error)),
        (Error, true, false, Takes(Error)),
        (Shutdown, false, false, Ends(Shutdown)),
        // "If the reason is `normal`, the process does not exit, unless it is the calling process."
        (Normal, false, false, Lives),
        (Normal, true, false, Takes(Normal)),
        (Normal, false, true, Ends(Normal)),
        (Normal, true, true, Takes(Normal)),
        (Error, false, true, Ends(Error)),
        // "An untrappable exit signal; the process exits with reason `killed`."
        (Kill, false, false, Ends(Killed)),
        (Kill, true, false, Ends(Killed)),
        (Kill, true, true, Ends(Killed)),
        // Only `kill` itself cannot be trapped.
        (Killed, true, false, Takes(Killed)),
    ] {
        let (table, _) = table();
        let (one, mut other) = (Hand::spawn(&table), Hand::spawn(&table));
        other.does(move |context| context.trap_exits(traps)).await;
        let (id, reason) = (other.id, of_kind(reason));
        let case = format!("{reason:?}, traps: {traps}, to itself: {to_itself}: {becomes:?}");
        let sender = if to_itself { &other } else { &one };
        let from = sender.id;
        assert_eq!(sender.does(move |context| context.exit_to(id, &reason)).await, Ok(()));
        match becomes {
            Lives => other.lives().await,
            Ends(kind) => assert_eq!(other.reason().await.kind, kind, "{case}"),
            Takes(kind) => {
                assert_eq!(other.exit().await, (from, 0, of_kind(kind)), "{case}");
                other.lives().await;
            }
        }
    }
}

/// "The exit reason is passed on": text and data, along a chain, without where the code was.
#[tokio::test]
async fn a_reason_goes_along_all_links() {
    let (table, _) = table();
    let chain: Vec<Hand> = (0..4).map(|_| Hand::spawn(&table)).collect();
    let mut last = Hand::trapping(&table).await;
    for pair in chain.windows(2) {
        pair[0].link(&pair[1]).await;
    }
    last.link(&chain[3]).await;
    chain[0].ends(ExitReason { backtrace: Some("secret".into()), ..crash() }).await;
    for hand in &chain[1..] {
        assert_eq!(hand.reason().await, crash());
    }
    assert_eq!(last.exit().await, (chain[3].id, EXIT_OF_LINK, crash()));
    let log = table.log_lines(chain[1].id, 10).unwrap();
    assert_eq!(log[0].text, format!("ends with process {}", chain[0].id));
}

#[tokio::test]
async fn a_killed_process_tells_that_it_was() {
    let (table, _) = table();
    let (one, mut other) = (Hand::spawn(&table), Hand::trapping(&table).await);
    one.link(&other).await;
    other.monitor(one.id, 7).await;
    table.kill(None, one.id, "").unwrap();
    assert_eq!(other.exit().await, (one.id, EXIT_OF_LINK, of_kind(ExitKind::Killed)));
    assert_eq!(other.down().await, (one.id, 7, of_kind(ExitKind::Killed)));
}

/// "Links are bidirectional and there can only be one link between two processes."
#[tokio::test]
async fn there_is_one_link_between_two() {
    let (table, _) = table();
    let (one, mut other) = (Hand::spawn(&table), Hand::trapping(&table).await);
    one.link(&other).await;
    one.link(&other).await;
    other.link(&one).await;
    assert_eq!(table.links(one.id), Some(vec![other.id]));
    // One unlink, of either, is enough; a further one does nothing.
    let id = one.id;
    other.does(move |context| context.unlink(id)).await;
    other.does(move |context| context.unlink(id)).await;
    assert_eq!((table.links(one.id), table.links(other.id)), (Some(vec![]), Some(vec![])));
    one.ends(crash()).await;
    other.has_seen_all().await;
    // A link with oneself is none.
    let id = other.id;
    assert_eq!(other.does(move |context| context.link(id)).await, Ok(()));
    assert_eq!(table.links(other.id), Some(vec![]));
}

/// "If the process does not exist, an exit signal with reason `noproc` is sent to the caller."
#[tokio::test]
async fn a_link_with_nobody() {
    let (table, _) = table();
    let gone = Hand::spawn(&table);
    gone.ends(of_kind(ExitKind::Normal)).await;
    let mut one = Hand::trapping(&table).await;
    one.link(&gone).await;
    assert_eq!(one.exit().await, (gone.id, EXIT_OF_LINK, of_kind(ExitKind::NoProcess)));
    assert_eq!(table.links(one.id), Some(vec![]));
    let other = Hand::spawn(&table);
    other.link(&gone).await;
    assert_eq!(other.reason().await, of_kind(ExitKind::NoProcess));
}

/// "Once `unlink` has returned, the link has no effect on the caller"; a signal of it may lie in the mailbox.
#[tokio::test]
async fn an_exit_that_came_before_an_unlink_stays() {
    let (table, _) = table();
    let one = Hand::spawn(&table);
    let other = Hand::spawn_with(&table, false, |_| {});
    other.does(|context| context.trap_exits(true)).await;
    one.link(&other).await;
    one.ends(crash()).await;
    let id = one.id;
    let taken = other.does(move |context| {
        context.unlink(id);
        (context.take(usize::MAX), context.take(usize::MAX))
    });
    let (Take::Signal(signal), Take::Empty) = taken.await else { panic!("not one signal") };
    assert_eq!(signal.header.kind, Kind::Exit);
}

/// "Monitors are unidirectional and stackable", and each tells once.
#[tokio::test]
async fn each_monitor_tells_once() {
    let (table, _) = table();
    let (mut one, other) = (Hand::spawn(&table), Hand::spawn(&table));
    for tag in [3, 1, 2] {
        one.monitor(other.id, tag).await;
    }
    let id = other.id;
    assert_eq!(one.does(move |context| context.monitor(id, 3)).await, Err(Errno::Taken));
    assert_eq!(one.does(|context| context.demonitor(1)).await, Ok(()));
    assert_eq!(one.does(|context| context.demonitor(1)).await, Err(Errno::NotFound));
    other.ends(crash()).await;
    // In the order in which they were made.
    assert_eq!(one.down().await, (other.id, 3, crash()));
    assert_eq!(one.down().await, (other.id, 2, crash()));
    one.has_seen_all().await;
    assert_eq!(one.does(|context| context.demonitor(3)).await, Err(Errno::NotFound));
    // The end of who monitors is of no concern to who is monitored, and a normal end is told too.
    let (watched, watcher) = (Hand::spawn(&table), Hand::spawn(&table));
    watcher.monitor(watched.id, 1).await;
    one.monitor(watched.id, 3).await;
    watcher.ends(crash()).await;
    watched.ends(of_kind(ExitKind::Normal)).await;
    assert_eq!(one.down().await, (watched.id, 3, of_kind(ExitKind::Normal)));
    // `noproc`, as often as it is asked.
    for tag in [3, 3] {
        one.monitor(watched.id, tag).await;
        assert_eq!(one.down().await, (watched.id, tag, of_kind(ExitKind::NoProcess)));
    }
    // A monitor of oneself tells nothing.
    let id = one.id;
    one.monitor(id, 9).await;
    assert_eq!(one.does(|context| context.demonitor(9)).await, Ok(()));
}

/// "Signals between two processes arrive in the order in which they were sent."
#[tokio::test]
async fn what_was_sent_before_an_end_comes_before_its_signals() {
    let (table, _) = table();
    let (one, mut other) = (Hand::spawn(&table), Hand::trapping(&table).await);
    one.link(&other).await;
    other.monitor(one.id, 1).await;
    let id = other.id;
    let order: Order = Box::new(move |context| {
        context.send(id, b"first").unwrap();
        context.exit_to(id, &ExitReason::new(ExitKind::Error, "second")).unwrap();
        context.send(id, b"third").unwrap();
        Some(crash())
    });
    one.orders.send(order).await.unwrap();
    assert_eq!(&other.next().await.body[..], b"first");
    assert_eq!(other.exit().await, (one.id, 0, ExitReason::new(ExitKind::Error, "second")));
    assert_eq!(&other.next().await.body[..], b"third");
    assert_eq!(other.exit().await, (one.id, EXIT_OF_LINK, crash()));
    assert_eq!(other.down().await, (one.id, 1, crash()));
    other.has_seen_all().await;
}

/// "When a process ends, its names are unregistered": before anybody is told, so that its successor may have them.
#[tokio::test]
async fn names_are_free_when_the_end_is_told() {
    let (table, _) = table();
    let one = Hand::spawn_with(&table, true, |spec| spec.name = Some("lamp".into()));
    let mut other = Hand::spawn(&table);
    other.monitor(one.id, 1).await;
    one.orders.send(Box::new(|_| Some(crash()))).await.unwrap();
    other.down().await;
    assert_eq!(table.whereis("lamp"), None);
    assert!(table.info(one.id).is_none());
    table.register(other.id, "lamp").unwrap();
}

struct Dies(ExitReason);

impl Program for Dies {
    fn run(self: Arc<Self>, context: Context) -> Work {
        context.started();
        Work::whole(std::future::ready(self.0.clone()))
    }
}

/// `spawn_link` and `spawn_monitor` are atomic: however soon the new one ends, its reason is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_is_tied_before_it_runs() {
    let (table, _) = table();
    let mut one = Hand::trapping(&table).await;
    let spawn = |bond: fn(&Context) -> Bond| {
        let table = table.clone();
        move |context: &Context| {
            let (spec, ..) = puppet(true);
            table.spawn_tied(Spec { program: Arc::new(Dies(crash())), ..spec }, bond(context))
        }
    };
    for _ in 0..200 {
        let linked = one.does(spawn(Context::bond_of_link)).await.unwrap();
        assert_eq!(one.exit().await, (linked, EXIT_OF_LINK, crash()));
        let monitored = one.does(spawn(|context| context.bond_of_monitor(4))).await.unwrap();
        assert_eq!(one.down().await, (monitored, 4, crash()));
    }
    // What cannot be tied is not spawned.
    let other = Hand::spawn(&table);
    one.monitor(other.id, 4).await;
    let count = table.count();
    let refused = one.does(spawn(|context| context.bond_of_monitor(4))).await;
    assert_eq!(refused, Err(SpawnError::NotTied(Errno::Taken)));
    assert_eq!(table.count(), count);
}

/// Whoever looks after a process starts another when it ends: a restart besides would make two of it, or take its name
/// away from what is started.
#[tokio::test]
async fn what_is_looked_after_is_not_restarted_but_killed() {
    let (table, _) = table();
    let mut one = Hand::trapping(&table).await;
    let child = Hand::spawn_with(&table, true, |spec| spec.parent = Some(one.id));
    one.link(&child).await;
    let refused = Err(SpawnError::Supervised { by: one.id });
    assert_eq!((table.restart(child.id), table.restart_live(child.id)), (refused, refused));
    assert_eq!(table.info(child.id).map(|info| info.id), Some(child.id), "nothing has happened to it");
    table.kill(None, child.id, "by hand").unwrap();
    assert_eq!(one.exit().await, (child.id, EXIT_OF_LINK, ExitReason::new(ExitKind::Killed, "by hand")));

    // Not by who is not told, is not linked, or has not spawned it.
    let child = Hand::spawn_with(&table, true, |spec| spec.parent = Some(one.id));
    let again = table.restart(child.id).unwrap();
    assert_eq!(child.reason().await.text, format!("restarted as {again}"));
    let child = Hand::spawn(&table);
    one.link(&child).await;
    assert!(table.restart(child.id).is_ok());
    assert_eq!(one.exit().await.0, child.id);
    let deaf = Hand::spawn(&table);
    let child = Hand::spawn_with(&table, true, |spec| spec.parent = Some(deaf.id));
    deaf.link(&child).await;
    assert!(table.restart(child.id).is_ok());
    assert_eq!(deaf.reason().await.kind, ExitKind::Killed);

    // Of one on another peer it is not known whether it is told.
    let child = Hand::spawn_with(&table, true, |spec| spec.parent = Some(far(1)));
    table.tie(far(2), child.id, Tie::Link);
    table.tie(far(1), child.id, Tie::Link);
    assert_eq!(table.restart(child.id), Err(SpawnError::Supervised { by: far(1) }));
    table.tie(far(1), child.id, Tie::Unlink);
    assert!(table.restart(child.id).is_ok());
}

/// A full mailbox loses no exit and no down; messages and exits that are merely sent it refuses.
#[tokio::test]
async fn signals_of_ties_have_their_places() {
    let (table, _) = table();
    let deaf = Hand::spawn_with(&table, false, |spec| {
        spec.limits.mailbox_bytes = 200;
    });
    deaf.does(|context| context.trap_exits(true)).await;
    let others: Vec<Hand> = (0..4).map(|_| Hand::spawn(&table)).collect();
    for (tag, other) in others.iter().enumerate() {
        deaf.link(other).await;
        deaf.monitor(other.id, tag as u64).await;
    }
    let (fifth, id) = (Hand::spawn(&table), deaf.id);
    let other = fifth.id;
    assert_eq!(deaf.does(move |context| context.link(other)).await, Err(Errno::Limit));
    assert_eq!(deaf.does(move |context| context.monitor(other, 9)).await, Err(Errno::Limit));
    assert_eq!(fifth.does(move |context| context.link(id)).await, Err(Errno::Limit));
    for _ in 0..4 {
        table.send(other, deaf.id, Bytes::new()).unwrap();
    }
    assert_eq!(table.send(other, deaf.id, Bytes::new()), Err(SendError::Full));
    assert_eq!(fifth.does(move |context| context.exit_to(id, &crash())).await, Err(SendError::Full));
    for other in &others {
        other.ends(ExitReason::new(ExitKind::Error, "x".repeat(150))).await;
    }
    // The places are taken until the signals are.
    assert_eq!(deaf.does(move |context| context.link(other)).await, Err(Errno::Limit));
    assert_eq!(deaf.does(move |context| context.monitor(other, 9)).await, Err(Errno::Limit));
    let taken = deaf.does(|context| {
        let mut taken = Vec::new();
        while let Take::Signal(signal) = context.take(usize::MAX) {
            taken.push(signal);
        }
        taken
    });
    let taken = taken.await;
    let of = |kind| taken.iter().filter(|signal| signal.header.kind == kind).collect::<Vec<_>>();
    assert_eq!((of(Kind::Message).len(), of(Kind::Exit).len(), of(Kind::Down).len()), (4, 4, 4));
    let kinds = of(Kind::Down).into_iter().map(|signal| ExitReason::decode(&signal.body).unwrap().kind);
    // What has no room for its words still says of which kind it is.
    assert!(kinds.eq([ExitKind::Error; 4]));
    assert_eq!(deaf.does(move |context| context.link(other)).await, Ok(()));
    assert_eq!(deaf.does(move |context| context.monitor(other, 9)).await, Ok(()));
}

/// Processes that link each other at once, unlink each other, and end, on all threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ties_from_all_sides_at_once() {
    let (table, _) = table();
    for round in 0..50 {
        let hands: Vec<Hand> = (0..5).map(|_| Hand::spawn(&table)).collect();
        let ids: Vec<ProcessId> = hands.iter().map(|hand| hand.id).collect();
        for hand in &hands {
            let ids = ids.clone();
            let order: Order = Box::new(move |context| {
                for n in 0..40 {
                    let id = ids[n % ids.len()];
                    context.link(id).unwrap();
                    context.monitor(id, 1).unwrap();
                    context.demonitor(1).unwrap();
                    context.unlink(id);
                }
                for id in ids {
                    context.link(id).unwrap();
                }
                None
            });
            hand.orders.send(order).await.unwrap();
        }
        for hand in &hands {
            hand.does(|_| ()).await;
        }
        for hand in &hands {
            assert_eq!(table.links(hand.id).unwrap().len(), 4, "round {round}");
        }
        // All at once: each ends, by itself or with another, and nobody is left.
        for hand in &hands {
            hand.orders.send(Box::new(|_| Some(crash()))).await.ok();
        }
        for hand in &hands {
            assert_eq!(hand.reason().await, crash());
        }
    }
    assert_eq!(table.count(), 0);
}

/// Between peers each has its half: what is told, and what becomes of it.
#[tokio::test]
async fn ties_to_another_peer_are_told_in_order() {
    let (table, peer) = table();
    let mut one = Hand::trapping(&table).await;
    let id = one.id;
    one.does(|context| {
        context.link(far(1)).unwrap();
        context.monitor(far(1), 7).unwrap();
        context.monitor(far(2), 8).unwrap();
        context.demonitor(7).unwrap();
    })
    .await;
    assert_eq!(
        peer.told(),
        [
            (id, far(1), Tie::Link),
            (id, far(1), Tie::Monitor(1)),
            (id, far(2), Tie::Monitor(2)),
            (id, far(1), Tie::Demonitor(1)),
        ]
    );
    // Only what is tied, and only what the right one says.
    table.tie(far(1), id, Tie::Down(1, crash()));
    table.tie(far(1), id, Tie::Down(2, crash()));
    table.tie(far(2), id, Tie::Exit(crash()));
    one.has_seen_all().await;
    table.tie(far(2), id, Tie::Down(2, crash()));
    table.tie(far(2), id, Tie::Down(2, crash()));
    table.tie(far(1), id, Tie::Exit(crash()));
    table.tie(far(1), id, Tie::Exit(crash()));
    assert_eq!(one.down().await, (far(2), 8, crash()));
    assert_eq!(one.exit().await, (far(1), EXIT_OF_LINK, crash()));
    one.has_seen_all().await;
    // The other way round.
    table.tie(far(3), id, Tie::Link);
    table.tie(far(4), id, Tie::Monitor(40));
    table.tie(far(4), id, Tie::Monitor(41));
    table.tie(far(4), id, Tie::Demonitor(40));
    one.does(|context| {
        context.link(far(5)).unwrap();
        context.monitor(far(6), 1).unwrap();
    })
    .await;
    peer.told();
    one.ends(crash()).await;
    assert_eq!(
        peer.told(),
        [
            (id, far(3), Tie::Exit(crash())),
            (id, far(5), Tie::Exit(crash())),
            (id, far(4), Tie::Down(41, crash())),
            (id, far(6), Tie::Demonitor(3)),
        ]
    );
    // Nobody is there any more.
    table.tie(far(3), id, Tie::Link);
    table.tie(far(4), id, Tie::Monitor(42));
    let nobody = of_kind(ExitKind::NoProcess);
    assert_eq!(peer.told(), [(id, far(3), Tie::Exit(nobody.clone())), (id, far(4), Tie::Down(42, nobody))]);
}

/// As in OTP since 23: what the other said of the link before it knew of the unlink is not meant any more.
#[tokio::test]
async fn an_unlink_that_crosses_a_link() {
    let (table, peer) = table();
    let mut one = Hand::trapping(&table).await;
    let id = one.id;
    one.does(|context| {
        context.link(far(1)).unwrap();
        context.unlink(far(1));
    })
    .await;
    table.tie(far(1), id, Tie::Link);
    assert_eq!(table.links(id), Some(vec![]));
    table.tie(far(1), id, Tie::Unlinked);
    table.tie(far(1), id, Tie::Link);
    assert_eq!(table.links(id), Some(vec![far(1)]));
    table.tie(far(1), id, Tie::Unlink);
    assert_eq!(table.links(id), Some(vec![]));
    table.tie(far(1), id, Tie::Exit(crash()));
    one.has_seen_all().await;
    let told: Vec<Tie> = peer.told().into_iter().map(|(_, _, tie)| tie).collect();
    assert_eq!(told, [Tie::Link, Tie::Unlink, Tie::Unlinked]);
}

/// "If the connection to the node is lost, `noconnection`": once each, and for what is begun later at once.
#[tokio::test]
async fn a_peer_that_is_gone() {
    let (table, peer) = table();
    let (mut one, other) = (Hand::trapping(&table).await, Hand::spawn(&table));
    one.does(|context| {
        context.link(far(1)).unwrap();
        context.link(far(2)).unwrap();
        context.unlink(far(2));
        context.monitor(far(3), 7).unwrap();
    })
    .await;
    other.does(|context| context.link(far(1)).unwrap()).await;
    table.tie(far(4), one.id, Tie::Monitor(1));
    table.peers_gone(|peer| peer == PeerId::new(6).unwrap());
    one.has_seen_all().await;
    *peer.refuses.lock().unwrap() = Some(SendError::NoPeer);
    table.peers_gone(|peer| peer == far(1).peer());
    table.peers_gone(|_| true);
    let gone = of_kind(ExitKind::NoConnection);
    assert_eq!(one.exit().await, (far(1), EXIT_OF_LINK, gone.clone()));
    assert_eq!(one.down().await, (far(3), 7, gone.clone()));
    assert_eq!(other.reason().await, gone);
    one.has_seen_all().await;
    one.does(|context| {
        context.link(far(1)).unwrap();
        context.monitor(far(3), 7).unwrap();
    })
    .await;
    assert_eq!(one.exit().await, (far(1), EXIT_OF_LINK, gone.clone()));
    assert_eq!(one.down().await, (far(3), 7, gone));
    // A way that is full is told, and nothing is begun.
    *peer.refuses.lock().unwrap() = Some(SendError::Full);
    let refused = one.does(|context| (context.link(far(1)), context.monitor(far(3), 7)));
    assert_eq!(refused.await, (Err(Errno::Full), Err(Errno::Full)));
    assert_eq!(table.links(one.id), Some(vec![]));
    *peer.refuses.lock().unwrap() = None;
    peer.told();
    assert_eq!(one.does(|context| context.exit_to(far(9), &crash())).await, Ok(()));
    assert_eq!(*peer.exits.lock().unwrap(), [(far(9), crash())]);
    one.ends(crash()).await;
    assert_eq!(peer.told(), []);
}

/// New code has the links and the flag of the process, but not the monitors of the code before.
#[tokio::test]
async fn new_code_keeps_links_and_not_monitors() {
    let (table, _) = table();
    let one = Hand::trapping(&table).await;
    let (linked, watched) = (Hand::spawn(&table), Hand::spawn(&table));
    one.link(&linked).await;
    one.monitor(watched.id, 1).await;
    let (spec, orders, seen) = puppet(true);
    let code = Code { program: spec.program, module: spec.module, origin: HERE };
    soon(table.replace(one.id, code, HERE)).await.unwrap();
    let mut new = Hand { table: table.clone(), id: one.id, orders, seen };
    assert!(new.does(|context| context.traps_exits()).await);
    // The same tag is free.
    let other = Hand::spawn(&table);
    new.monitor(other.id, 1).await;
    watched.ends(crash()).await;
    linked.ends(crash()).await;
    assert_eq!(new.exit().await, (linked.id, EXIT_OF_LINK, crash()));
    other.ends(crash()).await;
    assert_eq!(new.down().await, (other.id, 1, crash()));
    new.has_seen_all().await;
}

struct Fails(Mutex<Option<oneshot::Sender<()>>>, ProcessId);

impl Program for Fails {
    fn run(self: Arc<Self>, context: Context) -> Work {
        context.started();
        Work::whole(async move {
            context.trap_exits(false);
            context.link(self.1).unwrap();
            context.monitor(self.1, 1).unwrap();
            if let Some(tell) = self.0.lock().unwrap().take() {
                let _ = tell.send(());
            }
            crash()
        })
    }
}

/// Code that does not start leaves links, monitors and the flag as they were.
#[tokio::test]
async fn code_that_fails_leaves_ties_as_they_were() {
    let (table, _) = table();
    let mut one = Hand::trapping(&table).await;
    let (linked, watched, new) = (Hand::spawn(&table), Hand::spawn(&table), Hand::spawn(&table));
    one.link(&linked).await;
    one.monitor(watched.id, 1).await;
    let (tell, told) = oneshot::channel();
    let code = Code {
        program: Arc::new(Fails(Mutex::new(Some(tell)), new.id)),
        module: Some(LumpId([2; 32])),
        origin: HERE,
    };
    assert!(soon(table.replace(one.id, code, HERE)).await.is_err());
    soon(told).await.unwrap();
    assert_eq!(table.links(one.id), Some(vec![linked.id]));
    assert!(one.does(|context| context.traps_exits()).await);
    new.ends(crash()).await;
    watched.ends(crash()).await;
    assert_eq!(one.down().await, (watched.id, 1, crash()));
    linked.ends(crash()).await;
    assert_eq!(one.exit().await, (linked.id, EXIT_OF_LINK, crash()));
    one.has_seen_all().await;
}

/// Traps exits, spawns children that end at once, and takes what comes of their links, many at a time, until it has all.
struct Gathers {
    children: usize,
}

impl Program for Gathers {
    fn run(self: Arc<Self>, context: Context) -> Work {
        context.started();
        Work::whole(async move {
            context.trap_exits(true);
            let mut exits = 0;
            for _ in 0..self.children {
                let limits = Limits::default();
                let program = Arc::new(Dies(ExitReason::normal()));
                let spec = Spec {
                    program,
                    module: None,
                    origin: HERE,
                    parent: None,
                    name: None,
                    args: Bytes::new(),
                    limits,
                };
                context.processes().spawn_tied(spec, context.bond_of_link()).unwrap();
                exits += context.take_many(|signal| signal.header.kind == Kind::Exit);
            }
            while exits < self.children {
                context.wait(State::Waiting).await;
                exits += context.take_many(|signal| signal.header.kind == Kind::Exit);
            }
            ExitReason::normal()
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exits_are_taken_while_links_break() {
    let table = Processes::new(Config::new(HERE, 1, 2), Arc::new(Peer::default()));
    // None of them may have come to its end when the last is spawned.
    let limits = Limits { links: 20_000, ..Limits::default() };
    let program = Arc::new(Gathers { children: 20_000 });
    let spec =
        Spec { program, module: None, origin: HERE, parent: None, name: None, args: Bytes::new(), limits };
    let id = table.spawn(spec).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), table.exited(id)).await;
    assert_eq!(ended.unwrap(), ExitReason::normal());
}
