// SPDX-License-Identifier: AGPL-3.0-or-later
//! Links and monitors between processes of different peers, and peers that go, for a while or for good.

use crate::{
    common::{Guest, Space, leave, soon, stop, until},
    proxy::Proxy,
};
use bytes::Bytes;
use hearth_abi::{
    PeerId, ProcessId,
    signal::{EXIT_OF_LINK, Kind},
};
use hearth_net::PeerKey;
use hearth_node::{Node, RunningClient, join};
use hearth_process::{
    Context, ExitKind, ExitReason, Limits, Processes, Program, Signal, Spec, State, Take, Work,
};
use hearth_protocol::hot::{Frame, Tie};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Mutex, mpsc, oneshot};

type Order = Box<dyn FnOnce(&Context) -> Option<ExitReason> + Send>;

/// Runs what the test orders, and tells the test what it takes.
struct Puppet {
    orders: Mutex<mpsc::Receiver<Order>>,
    seen: mpsc::Sender<Signal>,
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

/// A process in the hands of the test.
pub(crate) struct Hand {
    table: Processes,
    pub(crate) id: ProcessId,
    orders: mpsc::Sender<Order>,
    seen: mpsc::Receiver<Signal>,
}

/// What it takes: a message, an exit signal of a link, or a down and its tag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Message(ProcessId, Vec<u8>),
    Exit(ProcessId, ExitReason),
    Down(ProcessId, u64, ExitReason),
}

impl Hand {
    /// A process that traps exits.
    pub(crate) async fn spawn(node: &Node) -> Hand {
        let (orders, ordered) = mpsc::channel(64);
        let (seen, sees) = mpsc::channel(4096);
        let spec = Spec {
            program: Arc::new(Puppet { orders: Mutex::new(ordered), seen }),
            module: None,
            origin: node.id(),
            parent: None,
            name: None,
            args: Bytes::new(),
            limits: Limits::default(),
        };
        let table = node.processes().clone();
        let hand = Hand { id: table.spawn(spec).unwrap(), table, orders, seen: sees };
        hand.does(|context| context.trap_exits(true)).await;
        hand
    }

    pub(crate) async fn does<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Context) -> T + Send + 'static,
    ) -> T {
        let (tell, told) = oneshot::channel();
        let order: Order = Box::new(move |context| {
            let _ = tell.send(what(context));
            None
        });
        self.orders.send(order).await.unwrap();
        soon("an order", told).await.unwrap()
    }

    async fn ends(&self, reason: ExitReason) {
        self.orders.send(Box::new(move |_| Some(reason))).await.unwrap();
        soon("an end", self.table.exited(self.id)).await;
    }

    /// Links with another, and monitors it by tag 7.
    async fn ties(&self, other: ProcessId) {
        let done = self.does(move |context| (context.link(other), context.monitor(other, 7)));
        assert_eq!(done.await, (Ok(()), Ok(())));
    }

    pub(crate) async fn next(&mut self) -> Seen {
        let Signal { header, body } = soon("a signal", self.seen.recv()).await.unwrap();
        let from = ProcessId::from_bits(header.from);
        match header.kind {
            Kind::Exit => {
                assert_eq!(header.tag, EXIT_OF_LINK);
                Seen::Exit(from, ExitReason::decode(&body).unwrap())
            }
            Kind::Down => Seen::Down(from, header.tag, ExitReason::decode(&body).unwrap()),
            Kind::Message => Seen::Message(from, body.to_vec()),
            kind => panic!("{kind:?}"),
        }
    }

    /// It is told by its link and by its monitor that another has ended so.
    async fn learns(&mut self, of: ProcessId, reason: &ExitReason) {
        assert_eq!(self.next().await, Seen::Exit(of, reason.clone()));
        assert_eq!(self.next().await, Seen::Down(of, 7, reason.clone()));
    }

    /// Nothing came that the test has not seen: after what another sends to it now, which takes the same way.
    async fn has_seen_all(&mut self, sender: &Hand) {
        let id = self.id;
        // The way may be full for a moment.
        until("a message goes", || sender.table.send(sender.id, id, Bytes::from_static(b"all?")).is_ok())
            .await;
        assert_eq!(self.next().await, Seen::Message(sender.id, b"all?".to_vec()));
    }

    fn links(&self) -> Vec<ProcessId> {
        self.table.links(self.id).unwrap()
    }
}

fn crash() -> ExitReason {
    ExitReason { data: Bytes::from_static(b"\x18\x2a"), ..ExitReason::new(ExitKind::Error, "crash") }
}

pub(crate) fn gone() -> ExitReason {
    ExitReason::of_kind(ExitKind::NoConnection)
}

/// A client that is connected through a line that can be cut.
pub(crate) async fn join_by(proxy: &Proxy, space: &Space, name: &str, grace: Duration) -> RunningClient {
    let mut options = space.options(name);
    options.connect = proxy.address.clone();
    options.grace = grace;
    join(options).await.unwrap()
}

pub(crate) const LONG: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_process_is_told_on_other_peers() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let nodes = [space.node(), &ada.node, &bob.node];
    for (here, there) in [(0, 1), (1, 0), (1, 2)] {
        let (mut one, mut other) = (Hand::spawn(nodes[here]).await, Hand::spawn(nodes[there]).await);
        one.ties(other.id).await;
        // Each knows of the link when something has gone both ways.
        other.has_seen_all(&one).await;
        assert_eq!(other.links(), [one.id]);
        // What it sent before comes before, and nothing comes after.
        let to = one.id;
        other.does(move |context| (0..100).for_each(|n| context.send(to, &[n]).unwrap())).await;
        other.ends(crash()).await;
        for n in 0..100 {
            assert_eq!(one.next().await, Seen::Message(other.id, vec![n]));
        }
        one.learns(other.id, &crash()).await;
        // It was, so that there is nobody to tie to.
        one.ties(other.id).await;
        one.learns(other.id, &ExitReason::of_kind(ExitKind::NoProcess)).await;
        // One that is told by a link that the other peer has made ends, unless it traps exits.
        let another = Hand::spawn(nodes[there]).await;
        let last = Hand::spawn(nodes[there]).await;
        last.does(|context| context.trap_exits(false)).await;
        let mut last = last;
        one.ties(last.id).await;
        last.has_seen_all(&one).await;
        let id = last.id;
        another.does(move |context| context.exit_to(id, &crash()).unwrap()).await;
        one.learns(last.id, &crash()).await;
        one.ties(another.id).await;
        let id = another.id;
        one.does(move |context| context.exit_to(id, &ExitReason::of_kind(ExitKind::Kill)).unwrap()).await;
        one.learns(another.id, &ExitReason::of_kind(ExitKind::Killed)).await;
        let mut left = Hand::spawn(nodes[there]).await;
        one.ties(left.id).await;
        let id = left.id;
        one.does(move |context| {
            context.unlink(id);
            context.demonitor(7).unwrap();
        })
        .await;
        left.has_seen_all(&one).await;
        assert_eq!(left.links(), []);
        one.ends(crash()).await;
        left.has_seen_all(&Hand::spawn(nodes[here]).await).await;
    }
    // A peer that nobody ever saw.
    let nobody = ProcessId::new(PeerId::new(99).unwrap(), 1).unwrap();
    for node in nodes {
        let mut one = Hand::spawn(node).await;
        one.ties(nobody).await;
        one.learns(nobody, &gone()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_leaves_is_not_to_be_reached() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let (mut near, mut far) = (Hand::spawn(space.node()).await, Hand::spawn(&ada.node).await);
    let last = Hand::spawn(&bob.node).await;
    near.ties(last.id).await;
    far.ties(last.id).await;
    let mut last = last;
    last.has_seen_all(&near).await;
    last.has_seen_all(&far).await;
    leave(bob).await;
    near.learns(last.id, &gone()).await;
    far.learns(last.id, &gone()).await;
    assert_eq!((near.links(), far.links()), (vec![], vec![]));
    // And so it stays.
    far.ties(last.id).await;
    far.learns(last.id, &gone()).await;
    near.ties(last.id).await;
    near.learns(last.id, &gone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_comes_back_in_time_has_missed_nothing() {
    let space = Space::start_with(|options| options.grace = LONG).await;
    let proxy = Proxy::to(&space.address).await;
    let ada = join_by(&proxy, &space, "ada", LONG).await;
    let bob = space.join("bob").await;
    let nodes = [space.node(), &bob.node];
    for round in 0..3 {
        // Of each kind some that end while the line is cut, on either side, and some that live on.
        let mut ends = Vec::new();
        let mut lives = Vec::new();
        for node in nodes {
            for _ in 0..2 {
                let (there, here) = (Hand::spawn(&ada.node).await, Hand::spawn(node).await);
                there.ties(here.id).await;
                ends.push((there, here));
            }
            let (there, here) = (Hand::spawn(&ada.node).await, Hand::spawn(node).await);
            here.ties(there.id).await;
            lives.push((there, here));
            let (there, here) = lives.last_mut().unwrap();
            there.has_seen_all(here).await;
            here.has_seen_all(there).await;
        }
        proxy.cut();
        until("the line is seen to be cut", || {
            // To processes that there are not.
            let way = |node: &Node, to: &Node| {
                let nobody = ProcessId::new(to.id(), 1 << 40).unwrap();
                node.processes().send(ProcessId::from_bits(0), nobody, Bytes::new()).is_ok()
            };
            !way(space.node(), &ada.node) && !way(&ada.node, space.node())
        })
        .await;
        for (n, (there, here)) in ends.iter_mut().enumerate() {
            if n % 2 == 0 { here.ends(crash()).await } else { there.ends(crash()).await }
        }
        // What begins now waits too.
        let (late_there, mut late_here) = (Hand::spawn(&ada.node).await, Hand::spawn(&bob.node).await);
        let id = late_there.id;
        late_here.ties(id).await;
        proxy.mend();
        late_there.ends(crash()).await;
        match late_here.next().await {
            // Which of the two came first is open.
            Seen::Exit(of, reason) => {
                assert_eq!((of, reason.text == "crash" || reason.text == "noproc"), (id, true))
            }
            other => panic!("{other:?}"),
        }
        for (n, (there, here)) in ends.iter_mut().enumerate() {
            if n % 2 == 0 {
                there.learns(here.id, &crash()).await;
            } else {
                assert_eq!(here.next().await, Seen::Exit(there.id, crash()));
            }
        }
        for (there, here) in &mut lives {
            there.has_seen_all(here).await;
            here.has_seen_all(there).await;
            assert_eq!((there.links(), here.links()), (vec![here.id], vec![there.id]), "round {round}");
            there.ends(crash()).await;
            here.learns(there.id, &crash()).await;
        }
        for (n, (there, here)) in ends.iter_mut().enumerate() {
            // Once each, and no more.
            let (lives, other) = if n % 2 == 0 { (there, nodes[n / 2]) } else { (here, &ada.node) };
            lives.has_seen_all(&Hand::spawn(other).await).await;
        }
    }
    drop((ada, bob));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_its_server_reaches_nobody() {
    let space = Space::start_with(|options| options.grace = LONG).await;
    let proxy = Proxy::to(&space.address).await;
    let ada = join_by(&proxy, &space, "ada", Duration::from_millis(50)).await;
    let bob = space.join("bob").await;
    let mut here = Hand::spawn(&ada.node).await;
    let (mut near, mut far) = (Hand::spawn(space.node()).await, Hand::spawn(&bob.node).await);
    here.ties(near.id).await;
    far.ties(here.id).await;
    here.has_seen_all(&far).await;
    near.has_seen_all(&here).await;
    proxy.cut();
    // Its own time of grace is over, the server's is not.
    let mut seen = [here.next().await, here.next().await, here.next().await];
    seen.sort_by_key(|seen| format!("{seen:?}"));
    let mut wanted =
        [Seen::Exit(near.id, gone()), Seen::Exit(far.id, gone()), Seen::Down(near.id, 7, gone())];
    wanted.sort_by_key(|seen| format!("{seen:?}"));
    assert_eq!(seen, wanted);
    here.ties(far.id).await;
    here.learns(far.id, &gone()).await;
    // When it is there again, the others learn that there was a time in which they could not have reached it.
    proxy.mend();
    assert_eq!(near.next().await, Seen::Exit(here.id, gone()));
    far.learns(here.id, &gone()).await;
    // And all begins anew.
    until("it is in again", || {
        ada.node.processes().send(here.id, far.id, Bytes::from_static(b"again")).is_ok()
    })
    .await;
    assert_eq!(far.next().await, Seen::Message(here.id, b"again".to_vec()));
    here.ties(far.id).await;
    far.has_seen_all(&here).await;
    far.ends(crash()).await;
    here.learns(far.id, &crash()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_started_again_knows_nothing_of_before() {
    let space = Space::start().await;
    let proxy = Proxy::to(&space.address).await;
    let ada = join_by(&proxy, &space, "ada", LONG).await;
    let mut here = Hand::spawn(&ada.node).await;
    let mut near = Hand::spawn(space.node()).await;
    here.ties(near.id).await;
    near.has_seen_all(&here).await;
    let address = space.address.clone();
    let Space { dir, server, .. } = space;
    stop(server).await;
    let space = Space::start_in(dir, move |options| options.listen = address.clone()).await;
    here.learns(near.id, &gone()).await;
    until("it is in again", || space.node().peers().len() == 2).await;
    let mut new = Hand::spawn(space.node()).await;
    here.ties(new.id).await;
    new.has_seen_all(&here).await;
    new.ends(crash()).await;
    here.learns(new.id, &crash()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_client_under_the_same_key_is_another() {
    let space = Space::start_with(|options| options.grace = LONG).await;
    let key = PeerKey::generate();
    let mut near = Hand::spawn(space.node()).await;
    let mut first = space.raw_with("first", key.clone()).await;
    let id = ProcessId::new(first.id, 1).unwrap();
    let hail = |stream| Frame::Hail { stream, of: 0, received: 0 }.encode();
    first.sender.hot(hail(5)).await.unwrap();
    let answer = soon("an answer", first.lanes.hot.recv()).await.unwrap();
    let Frame::Hail { stream, of: 5, received: 0 } = Frame::decode(&answer).unwrap() else { panic!() };
    near.ties(id).await;
    for tie in [Tie::Link, Tie::Monitor(1)] {
        let frame = soon("a tie", first.lanes.hot.recv()).await.unwrap();
        assert_eq!(Frame::decode(&frame).unwrap(), Frame::Tie { to: id, from: near.id, tie });
    }
    // It comes back and has received one of two: the other comes again. (One that is dropped says farewell.)
    let mut again = space.raw_with("again", key.clone()).await;
    again.sender.hot(Frame::Hail { stream: 5, of: stream, received: 1 }.encode()).await.unwrap();
    let answer = soon("an answer", again.lanes.hot.recv()).await.unwrap();
    assert_eq!(Frame::decode(&answer).unwrap(), Frame::Hail { stream, of: 5, received: 0 });
    let frame = soon("a tie", again.lanes.hot.recv()).await.unwrap();
    assert_eq!(Frame::decode(&frame).unwrap(), Frame::Tie { to: id, from: near.id, tie: Tie::Monitor(1) });
    let mut other = space.raw_with("other", key.clone()).await;
    other.sender.hot(hail(6)).await.unwrap();
    let answer = soon("an answer", other.lanes.hot.recv()).await.unwrap();
    assert!(matches!(Frame::decode(&answer).unwrap(), Frame::Hail { of: 0, .. }));
    near.learns(id, &gone()).await;
    assert_eq!(near.links(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_of_links_what_is_not_so_is_cut_off() {
    let space = Space::start().await;
    let near = Hand::spawn(space.node()).await;
    let tie = |from: PeerId| {
        let from = ProcessId::new(from, 1).unwrap();
        Frame::Tie { to: near.id, from, tie: Tie::Link }.encode()
    };
    let hail = Frame::Hail { stream: 1, of: 0, received: 0 }.encode();
    let other = space.raw("other").await.id;
    for (n, what) in ["early", "twice", "another", "gone", "received", "malformed"].into_iter().enumerate() {
        let raw = space.raw(&format!("raw {n}")).await;
        let frames = match what {
            "early" => vec![tie(raw.id)],
            "twice" => vec![hail.clone(), hail.clone()],
            "another" => vec![hail.clone(), tie(other)],
            "gone" => vec![hail.clone(), Frame::Gone { peer: other }.encode()],
            "received" => vec![hail.clone(), Frame::Received(1).encode()],
            _ => vec![hail.clone(), tie(raw.id).slice(..16)],
        };
        for frame in frames {
            raw.sender.hot(frame).await.unwrap();
        }
        raw.cut_off().await;
    }
    assert_eq!(near.links(), []);
}

/// A guest that links itself with the process that an operator names, monitors it, and logs what it is told: `e` or
/// `d`, and the kind of the reason as a digit.
fn watcher() -> Bytes {
    let text = r#"(module
  (import "hearth/1" "try_recv" (func $try_recv (param i32 i32) (result i32)))
  (import "hearth/1" "log" (func $log (param i32 i32 i32 i32 i32) (result i32)))
  (import "hearth/1" "link" (func $link (param i64) (result i32)))
  (import "hearth/1" "monitor" (func $monitor (param i64 i64) (result i32)))
  (import "hearth/1" "trap_exits" (func $trap_exits (param i32) (result i32)))
  (memory (export "memory") 1)
  (func $tell (param $what i32)
    (i32.store8 (i32.const 9000) (local.get $what))
    (i32.store8 (i32.const 9001) (i32.add (i32.const 48) (i32.load8_u (i32.const 24))))
    (drop (call $log (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 9000) (i32.const 2))))
  (func (export "start") (drop (call $trap_exits (i32.const 1))))
  (func (export "wake") (loop $next
    (if (i32.gt_s (call $try_recv (i32.const 0) (i32.const 8192)) (i32.const 0)) (then
      (if (i32.eq (i32.load16_u (i32.const 0)) (i32.const 1)) (then
        (drop (call $link (i64.load (i32.const 24))))
        (drop (call $monitor (i64.load (i32.const 24)) (i64.const 7)))))
      (if (i32.eq (i32.load16_u (i32.const 0)) (i32.const 2)) (then (call $tell (i32.const 101))))
      (if (i32.eq (i32.load16_u (i32.const 0)) (i32.const 3)) (then (call $tell (i32.const 100))))
      (br $next))))))"#;
    wat::parse_str(text).unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_learn_how_guests_of_other_peers_end() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let mut one = Guest::start(&ada.node, watcher()).await;
    for node in [space.node(), &bob.node] {
        let other = Guest::start(node, watcher()).await;
        one.tell(Bytes::copy_from_slice(&other.id.to_bits().to_le_bytes()));
        until("they are linked", || node.processes().links(other.id) == Some(vec![one.id])).await;
        node.processes().kill(None, other.id, "").unwrap();
        // Killed, and then there is none.
        assert_eq!([one.line().await, one.line().await], ["e2", "d2"]);
        one.tell(Bytes::copy_from_slice(&other.id.to_bits().to_le_bytes()));
        assert_eq!([one.line().await, one.line().await], ["e8", "d8"]);
    }
    let other = Guest::start(&bob.node, watcher()).await;
    one.tell(Bytes::copy_from_slice(&other.id.to_bits().to_le_bytes()));
    until("they are linked", || bob.node.processes().links(other.id) == Some(vec![one.id])).await;
    leave(bob).await;
    assert_eq!([one.line().await, one.line().await], ["e9", "d9"]);
    leave(ada).await;
}
