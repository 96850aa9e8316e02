// SPDX-License-Identifier: AGPL-3.0-or-later
//! Scripts that spawn on another peer, and are linked with what they have spawned, or monitor it, from the beginning: as
//! with the `spawn_link/4` and `spawn_monitor/4` of Erlang.

use crate::{
    common::{Raw, Space, soon, until},
    proxy::Proxy,
    ties::{Hand, LONG, Seen, gone, join_by},
};
use bytes::Bytes;
use hearth_abi::{
    Errno, LumpId, PeerId, ProcessId,
    signal::{Header, Kind},
};
use hearth_node::Node;
use hearth_process::{ExitKind, ExitReason, TiesInfo};
use hearth_protocol::{
    control::{Control, Request, Response, SpawnTie},
    hot::{self, Frame},
};
use std::{collections::BTreeMap, time::Duration};

const LINK: u64 = 1;
const MONITOR: u64 = 2;
const TRAP: u64 = 3;
const DEMONITOR: u64 = 4;

/// Does what it is told by the first word of a message, with a peer and a tag in the next two and a module behind them, and
/// answers with the result; sends on whatever else it receives, as it is. The tag of a monitor is a thousand more.
fn asker() -> Bytes {
    let text = r#"(module
  (import "hearth/1" "try_recv" (func $try_recv (param i32 i32) (result i32)))
  (import "hearth/1" "send" (func $send (param i64 i32 i32) (result i32)))
  (import "hearth/1" "trap_exits" (func $trap_exits (param i32) (result i32)))
  (import "hearth/1" "demonitor" (func $demonitor (param i64) (result i32)))
  (import "hearth/1" "spawn_on_link"
    (func $spawn_on_link (param i32 i32 i32 i32 i32 i32 i64) (result i32)))
  (import "hearth/1" "spawn_on_monitor"
    (func $spawn_on_monitor (param i32 i32 i32 i32 i32 i32 i64 i64) (result i32)))
  (memory (export "memory") 1)
  (global $teller (mut i64) (i64.const 0))
  (func $peer (result i32) (i32.load (i32.const 32)))
  (func $tag (result i64) (i64.load (i32.const 40)))
  (func $do (param $what i64) (result i32)
    (if (i64.eq (local.get $what) (i64.const 1)) (then (return
      (call $spawn_on_link (call $peer) (i32.const 48)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (call $tag)))))
    (if (i64.eq (local.get $what) (i64.const 2)) (then (return
      (call $spawn_on_monitor (call $peer) (i32.const 48)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (call $tag) (i64.add (call $tag) (i64.const 1000))))))
    (if (i64.eq (local.get $what) (i64.const 3)) (then (return (call $trap_exits (i32.const 1)))))
    (call $demonitor (i64.add (call $tag) (i64.const 1000))))
  (func (export "start"))
  (func (export "wake") (local $len i32) (loop $next
    (local.set $len (call $try_recv (i32.const 0) (i32.const 16384)))
    (if (i32.gt_s (local.get $len) (i32.const 0)) (then
      (if (i32.eq (i32.load16_u (i32.const 0)) (i32.const 1))
        (then
          (global.set $teller (i64.load (i32.const 8)))
          (i32.store (i32.const 32768) (call $do (i64.load (i32.const 24))))
          (drop (call $send (global.get $teller) (i32.const 32768) (i32.const 4))))
        (else (drop (call $send (global.get $teller) (i32.const 0) (local.get $len)))))
      (br $next))))))"#;
    wat::parse_str(text).unwrap().into()
}

/// Ends as soon as it starts, with a reason that has words and data.
fn leaves() -> Bytes {
    let text = r#"(module
  (import "hearth/1" "exit_with" (func $exit_with (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\06\00\04\00gone\18\2a")
  (func (export "start") (call $exit_with (i32.const 0) (i32.const 10))))"#;
    wat::parse_str(text).unwrap().into()
}

fn left() -> ExitReason {
    ExitReason { data: Bytes::from_static(b"\x18\x2a"), ..ExitReason::new(ExitKind::Shutdown, "gone") }
}

/// Traps as soon as it starts.
fn traps() -> Bytes {
    let text = r#"(module (memory (export "memory") 1) (func (export "start") unreachable))"#;
    wat::parse_str(text).unwrap().into()
}

/// Waits for ever, and takes a while to come over a slow line.
fn heavy() -> Bytes {
    let data: String = crate::common::sample(400_000, 7).iter().map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!(
        r#"(module (memory (export "memory") 8) (data (i32.const 0) "{data}")
  (func (export "start")) (func (export "wake")))"#
    );
    wat::parse_str(text).unwrap().into()
}

/// What a script has received.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Spawned(u64, ProcessId),
    Failed(u64, i32),
    Exit(ProcessId, ExitReason),
    Down(u64, ProcessId, ExitReason),
}

/// A script that asks for others, and who tells it to.
struct Asker {
    node: Node,
    id: ProcessId,
    teller: Hand,
}

impl Asker {
    async fn start(node: &Node) -> Asker {
        let module = node.put_lump(asker()).await.unwrap();
        let id = soon("a process", node.spawn(node.id(), module, None, &[])).await.unwrap();
        Asker { node: node.clone(), id, teller: Hand::spawn(node).await }
    }

    async fn tell(&self, what: u64, peer: PeerId, tag: u64, module: LumpId) {
        let mut body: Vec<u8> =
            [what, u64::from(peer.number()), tag].iter().flat_map(|word| word.to_le_bytes()).collect();
        body.extend(module.0);
        let id = self.id;
        self.teller.does(move |context| context.send(id, &body).unwrap()).await;
    }

    async fn message(&mut self) -> Vec<u8> {
        match self.teller.next().await {
            Seen::Message(from, body) => {
                assert_eq!(from, self.id);
                body
            }
            other => panic!("{other:?}"),
        }
    }

    /// Tells it to do something, which is begun or done.
    async fn does(&mut self, what: u64, peer: PeerId, tag: u64, module: LumpId) -> i32 {
        self.tell(what, peer, tag, module).await;
        i32::from_le_bytes(self.message().await.try_into().unwrap())
    }

    async fn asks(&mut self, what: u64, peer: PeerId, tag: u64, module: LumpId) {
        assert_eq!(self.does(what, peer, tag, module).await, 0);
    }

    async fn next(&mut self) -> Got {
        let signal = self.message().await;
        let (header, body) = Header::decode(&signal).unwrap();
        let (from, reason) = (ProcessId::from_bits(header.from), || ExitReason::decode(body).unwrap());
        match header.kind {
            Kind::Reply if header.status < 0 => Got::Failed(header.tag, header.status),
            Kind::Reply => {
                let bits = u64::from_le_bytes(body.try_into().unwrap());
                Got::Spawned(header.tag, ProcessId::from_bits(bits))
            }
            Kind::Exit => Got::Exit(from, reason()),
            Kind::Down => Got::Down(header.tag - 1000, from, reason()),
            kind => panic!("{kind:?}"),
        }
    }

    /// Nothing comes that was not seen, and nothing is left: what it does last is done behind all else.
    async fn is_done(&mut self, others: &[&Node]) {
        let none = LumpId([0; 32]);
        assert_eq!(self.does(TRAP, PeerId::SERVER, 0, none).await, 1);
        assert_eq!(self.node.processes().ties(self.id), Some(TiesInfo::default()));
        for node in others {
            assert_eq!(node.processes().counts().unclaimed, 0);
        }
    }

    async fn traps(&mut self) {
        assert_eq!(self.does(TRAP, PeerId::SERVER, 0, LumpId([0; 32])).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_soon_it_ends_its_reason_is_told() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let nodes = [space.node(), &ada.node, &bob.node];
    for (here, there) in [(1, 2), (1, 0), (0, 1), (1, 1)] {
        let module = nodes[here].put_lump(leaves()).await.unwrap();
        let mut one = Asker::start(nodes[here]).await;
        one.traps().await;
        let peer = nodes[there].id();
        for tag in 1..=30 {
            for what in [LINK, MONITOR] {
                one.asks(what, peer, tag, module).await;
                let got = one.next().await;
                let Got::Spawned(of, child) = got else { panic!("from {here} to {there}, {tag}: {got:?}") };
                assert_eq!((of, child.peer()), (tag, peer));
                let end = match what {
                    LINK => Got::Exit(child, left()),
                    _ => Got::Down(tag, child, left()),
                };
                assert_eq!(one.next().await, end, "from {here} to {there}");
            }
        }
        // Many at once: of each the answer, and behind it one end.
        for tag in 1..=40 {
            one.tell(if tag % 2 == 0 { LINK } else { MONITOR }, peer, tag, module).await;
        }
        let (mut begun, mut spawned) = (0, BTreeMap::new());
        while begun < 40 || spawned.len() < 40 || spawned.values().any(|(_, ended)| !ended) {
            let signal = one.message().await;
            let Ok((header, body)) = Header::decode(&signal) else {
                assert_eq!(signal, [0; 4], "it is asked for");
                begun += 1;
                continue;
            };
            if header.kind == Kind::Reply {
                assert_eq!(header.status, 0);
                let bits = u64::from_le_bytes(body.try_into().unwrap());
                assert_eq!(spawned.insert(bits, (header.tag, false)), None);
                continue;
            }
            let (tag, ended) = spawned.get_mut(&header.from).expect("the answer comes first");
            assert!(!std::mem::replace(ended, true), "once");
            assert_eq!(header.kind, if *tag % 2 == 0 { Kind::Exit } else { Kind::Down });
            assert_eq!(ExitReason::decode(body).unwrap(), left());
        }
        one.is_done(&nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_crashes_takes_the_one_that_asked_with_it() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let module = ada.node.put_lump(traps()).await.unwrap();
    let mut one = Asker::start(&ada.node).await;
    one.traps().await;
    one.asks(LINK, bob.node.id(), 1, module).await;
    let Got::Spawned(1, child) = one.next().await else { panic!("no answer") };
    let Got::Exit(from, reason) = one.next().await else { panic!("no end") };
    assert_eq!((from, reason.kind, &*reason.text), (child, ExitKind::Trap, "unreachable executed"));
    one.is_done(&[&ada.node, &bob.node]).await;
    // One that does not trap exits.
    let mut other = Asker::start(&ada.node).await;
    other.asks(LINK, bob.node.id(), 1, module).await;
    let ended = soon("its end", ada.node.processes().exited(other.id)).await;
    assert_eq!((ended.kind, &*ended.text), (ExitKind::Trap, "unreachable executed"));
    assert_eq!(bob.node.processes().counts().unclaimed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_an_error_leaves_nothing() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let no_module = ada.node.put_lump(Bytes::from_static(b"no module")).await.unwrap();
    let module = ada.node.put_lump(leaves()).await.unwrap();
    let mut one = Asker::start(&ada.node).await;
    one.traps().await;
    let nobody = PeerId::new(99).unwrap();
    for what in [LINK, MONITOR] {
        for (peer, module, errno) in [
            (bob.node.id(), no_module, Errno::Module),
            (PeerId::SERVER, no_module, Errno::Module),
            (ada.node.id(), no_module, Errno::Module),
            (nobody, module, Errno::NoPeer),
        ] {
            one.asks(what, peer, 1, module).await;
            assert_eq!(one.next().await, Got::Failed(1, errno.as_return()));
            one.is_done(&[&ada.node, &bob.node, space.node()]).await;
        }
    }
}

/// The processes of a node that this one has spawned.
fn children(node: &Node, of: ProcessId) -> Vec<ProcessId> {
    let all = node.processes().list();
    all.into_iter().filter(|info| info.parent == Some(of)).map(|info| info.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_asked_and_has_ended_is_told_of() {
    let space = Space::start().await;
    let proxy = Proxy::to(&space.address).await;
    let ada = join_by(&proxy, &space, "ada", LONG).await;
    let module = space.node().put_lump(heavy()).await.unwrap();
    proxy.slow_down(20_000);
    let mut ended = Vec::new();
    for what in [LINK, MONITOR] {
        let mut one = Asker::start(space.node()).await;
        one.asks(what, ada.node.id(), 1, module).await;
        let mut child = Vec::new();
        until("it is being started", || {
            child = children(&ada.node, one.id);
            !child.is_empty()
        })
        .await;
        space.node().processes().kill(None, one.id, "by hand").unwrap();
        soon("its end", space.node().processes().exited(one.id)).await;
        ended.push(child[0]);
    }
    assert_eq!(ada.node.processes().counts().unclaimed, 2);
    // The module has not come yet.
    let processes = ada.node.processes();
    assert!(ended.iter().all(|child| processes.info(*child).is_some()));
    proxy.slow_down(u64::MAX);
    let [linked, monitored] = ended[..] else { panic!("two") };
    let reason = soon("the end of the linked one", processes.exited(linked)).await;
    assert_eq!((reason.kind, &*reason.text), (ExitKind::Killed, "by hand"));
    soon("its start", processes.started(monitored)).await.unwrap();
    until("it is not to be claimed", || processes.counts().unclaimed == 0).await;
    assert_eq!(processes.ties(monitored), Some(TiesInfo::default()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_cut_off_while_it_waits() {
    let space = Space::start_with(|options| options.grace = Duration::from_millis(50)).await;
    let (near, far) = (Proxy::to(&space.address).await, Proxy::to(&space.address).await);
    let ada = join_by(&near, &space, "ada", LONG).await;
    let bob = join_by(&far, &space, "bob", LONG).await;
    let module = space.node().put_lump(heavy()).await.unwrap();
    let mut one = Asker::start(&ada.node).await;
    one.traps().await;
    far.slow_down(20_000);
    for (tag, what) in [LINK, MONITOR].into_iter().enumerate() {
        one.asks(what, bob.node.id(), tag as u64, module).await;
    }
    let mut child = Vec::new();
    until("they are being started", || {
        child = children(&bob.node, one.id);
        child.len() == 2
    })
    .await;
    let processes = bob.node.processes();
    assert_eq!(processes.counts().unclaimed, 2);
    near.cut();
    let mut tags: Vec<u64> = Vec::new();
    for _ in 0..2 {
        let Got::Failed(tag, status) = one.next().await else { panic!("an answer") };
        assert_eq!(status, Errno::NoPeer.as_return());
        tags.push(tag);
    }
    tags.sort_unstable();
    assert_eq!(tags, [0, 1]);
    far.slow_down(u64::MAX);
    until("the linked one has ended", || children(&bob.node, one.id).len() == 1).await;
    let left = children(&bob.node, one.id)[0];
    let linked = child.into_iter().find(|id| *id != left).unwrap();
    assert_eq!(soon("its end", processes.exited(linked)).await, gone());
    assert_eq!((processes.counts().unclaimed, processes.ties(left)), (0, Some(TiesInfo::default())));
    one.is_done(&[&ada.node]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_waited_for_by_nobody() {
    let space = Space::start_with(|options| options.grace = LONG).await;
    let (near, far) = (Proxy::to(&space.address).await, Proxy::to(&space.address).await);
    let ada = join_by(&near, &space, "ada", LONG).await;
    let bob = join_by(&far, &space, "bob", LONG).await;
    let module = space.node().put_lump(heavy()).await.unwrap();
    let mut one = Asker::start(&ada.node).await;
    one.traps().await;
    far.slow_down(20_000);
    let processes = bob.node.processes();
    let mut asked = Vec::new();
    for (tag, what) in [LINK, MONITOR].into_iter().enumerate() {
        one.asks(what, bob.node.id(), tag as u64, module).await;
        until("it is being started", || children(&bob.node, one.id).len() > tag).await;
        let all = children(&bob.node, one.id);
        asked.extend(all.into_iter().find(|child| !asked.contains(child)));
    }
    near.cut();
    for _ in 0..2 {
        let Got::Failed(_, status) = one.next().await else { panic!("an answer") };
        assert_eq!(status, Errno::NoPeer.as_return());
    }
    // They start, and nobody is there for the answer.
    far.slow_down(u64::MAX);
    let [linked, monitored] = asked[..] else { panic!("two") };
    for child in [linked, monitored] {
        soon("its start", processes.started(child)).await.unwrap();
    }
    assert_eq!(processes.counts().unclaimed, 2);
    near.mend();
    assert_eq!(soon("its end", processes.exited(linked)).await, gone());
    until("nothing is to be claimed", || processes.counts().unclaimed == 0).await;
    assert_eq!(processes.ties(monitored), Some(TiesInfo::default()));
    one.is_done(&[&ada.node]).await;
}

/// A peer that is only a link, and says how its ties go on.
async fn raw(space: &Space) -> Raw {
    let mut raw = space.raw("raw").await;
    raw.sender.hot(Frame::Hail { stream: 5, of: 0, received: 0 }.encode()).await.unwrap();
    let answer = soon("an answer", raw.lanes.hot.recv()).await.unwrap();
    assert!(matches!(Frame::decode(&answer).unwrap(), Frame::Hail { of: 5, .. }));
    raw
}

/// The next tie that a link carries.
async fn tie(raw: &mut Raw) -> (ProcessId, ProcessId, hot::Tie) {
    loop {
        let frame = soon("a tie", raw.lanes.hot.recv()).await.unwrap();
        if let Frame::Tie { to, from, tie } = Frame::decode(&frame).unwrap() {
            return (from, to, tie);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_answered_with_the_reason_and_only_that() {
    let space = Space::start().await;
    let node = space.node();
    let module = node.put_lump(leaves()).await.unwrap();
    let mut raw = raw(&space).await;
    let asker = ProcessId::new(raw.id, 1).unwrap();
    for (call, wish) in [(1, SpawnTie::Link), (2, SpawnTie::Monitor { number: 9 })] {
        let request = Request::spawn_tied(module, None, Vec::new(), asker, wish);
        raw.say(&Control::Call { from: 0, to: 0, id: call, request }).await;
        let child = match raw.control().await {
            Control::Return { id, result: Ok(Response::Spawned { process }), .. } => {
                assert_eq!(id, call);
                ProcessId::from_bits(process)
            }
            other => panic!("{other:?}"),
        };
        soon("its end", node.processes().exited(child)).await;
        assert_eq!(node.processes().counts().unclaimed, 1);
        // A monitor of another number is none of it.
        let from = |tie| Frame::Tie { to: child, from: asker, tie }.encode();
        raw.sender.hot(from(hot::Tie::Monitor(8))).await.unwrap();
        let noproc = Bytes::from(ExitReason::of_kind(ExitKind::NoProcess).encode());
        assert_eq!(tie(&mut raw).await, (child, asker, hot::Tie::Down(8, noproc)));
        let reason = Bytes::from(left().encode());
        let (claim, answer) = match wish {
            SpawnTie::Link => (hot::Tie::Link, hot::Tie::Exit(reason)),
            SpawnTie::Monitor { number } => (hot::Tie::Monitor(number), hot::Tie::Down(number, reason)),
        };
        raw.sender.hot(from(claim)).await.unwrap();
        assert_eq!(tie(&mut raw).await, (child, asker, answer));
        assert_eq!(node.processes().counts().unclaimed, 0);
    }
    // In the name of a process of another peer.
    let other = ProcessId::new(PeerId::new(77).unwrap(), 1).unwrap();
    let request = Request::spawn_tied(module, None, Vec::new(), other, SpawnTie::Link);
    raw.say(&Control::Call { from: 0, to: 0, id: 3, request }).await;
    match raw.control().await {
        Control::Return { id: 3, result: Err(failure), .. } => {
            assert_eq!(failure.errno, Errno::Invalid.number());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_one_that_asks_says_when_it_has_the_answer() {
    let space = Space::start().await;
    let mut raw = raw(&space).await;
    let mut one = Asker::start(space.node()).await;
    one.traps().await;
    let [first, second, third] = [1, 2, 3].map(|serial| ProcessId::new(raw.id, serial).unwrap());
    let (peer, parent) = (raw.id, one.id);
    let module = LumpId([3; 32]);
    let asked = async |raw: &mut Raw| match raw.control().await {
        Control::Call { id, request: Request::SpawnTied { parent: by, tie, .. }, .. } => {
            assert_eq!(by, parent.to_bits());
            (id, tie)
        }
        other => panic!("{other:?}"),
    };
    let answer = |id, process: ProcessId| {
        let result = Ok(Response::Spawned { process: process.to_bits() });
        Control::Return { from: peer.number(), to: 0, id, result }
    };
    // It ends at once: what it says may come before the answer, and is not for anybody then.
    let early = Frame::Tie { to: one.id, from: first, tie: hot::Tie::Exit(left().encode().into()) };
    one.tell(LINK, peer, 1, module).await;
    let (call, wish) = asked(&mut raw).await;
    assert_eq!(wish, SpawnTie::Link);
    raw.sender.hot(early.encode()).await.unwrap();
    raw.say(&answer(call, first)).await;
    assert_eq!(tie(&mut raw).await, (one.id, first, hot::Tie::Link));
    raw.sender.hot(early.encode()).await.unwrap();
    assert_eq!(one.message().await, [0; 4]);
    assert_eq!(one.next().await, Got::Spawned(1, first));
    assert_eq!(one.next().await, Got::Exit(first, left()));

    // A monitor that was taken away meanwhile.
    one.tell(MONITOR, peer, 2, module).await;
    let (call, wish) = asked(&mut raw).await;
    let SpawnTie::Monitor { number } = wish else { panic!("{wish:?}") };
    assert_eq!(one.message().await, [0; 4]);
    assert_eq!(one.does(MONITOR, peer, 2, module).await, Errno::Taken.as_return());
    assert_eq!(one.does(DEMONITOR, peer, 2, module).await, 0);
    raw.say(&answer(call, second)).await;
    assert_eq!(tie(&mut raw).await, (one.id, second, hot::Tie::Demonitor(number)));
    assert_eq!(one.next().await, Got::Spawned(2, second));

    // The one that asked has ended.
    one.tell(LINK, peer, 3, module).await;
    let (call, _) = asked(&mut raw).await;
    assert_eq!(one.message().await, [0; 4]);
    space.node().processes().kill(None, one.id, "by hand").unwrap();
    soon("its end", space.node().processes().exited(one.id)).await;
    raw.say(&answer(call, third)).await;
    let (from, to, hot::Tie::Exit(reason)) = tie(&mut raw).await else { panic!("no exit") };
    assert_eq!((from, to), (one.id, third));
    let reason = ExitReason::decode(&reason).unwrap();
    assert_eq!((reason.kind, &*reason.text), (ExitKind::Killed, "by hand"));
}
