// SPDX-License-Identifier: AGPL-3.0-or-later
//! A server and its mirrors, over connections that delay, break and come back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use hearth_abi::{
    EntityId, Errno, PeerId,
    scene::{ComponentKind, Op, Scope},
};
use hearth_scene::{Authority, Limits, Mirror, MirrorLimits, Notice, Owner, SavedChange, SavedEntity};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use support::{Reader, at, create, entity, name, process, text, under};

/// A client and the two directions of its connection.
struct Client {
    peer: PeerId,
    mirror: Mirror,
    connected: bool,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
    reader: Reader,
    refused: Vec<Errno>,
}

impl Client {
    fn new(number: u32) -> Client {
        let peer = PeerId::new(number).unwrap();
        Client {
            peer,
            mirror: Mirror::new(peer, number.into(), MirrorLimits::default()),
            connected: false,
            up: VecDeque::new(),
            down: VecDeque::new(),
            reader: Reader::default(),
            refused: Vec::new(),
        }
    }

    fn write(&mut self, process: u64, ops: &[Op]) {
        let writer = support::process(self.peer.number(), process);
        if let Ok(Some(frame)) = self.mirror.apply(writer, ops) {
            self.up.push_back(frame);
        }
    }

    fn deliver_down(&mut self) {
        let Some(frame) = self.down.pop_front() else { return };
        for notice in self.mirror.receive(&frame).unwrap() {
            match notice {
                Notice::Send(frame) => self.up.push_back(frame),
                Notice::Refused { errno, .. } => self.refused.push(errno),
                Notice::Synced => {}
            }
        }
    }

    fn check(&self) {
        let shown = self.mirror.shown_shared();
        let defined = self.mirror.shown_by_definition();
        if shown != defined {
            assert_eq!(text(&shown), text(&defined), "peer {}", self.peer);
            panic!("equal as text, and not as scenes");
        }
    }
}

struct Space {
    server: Authority,
    clients: Vec<Client>,
    file: BTreeMap<EntityId, SavedEntity>,
}

const LIMITS: Limits =
    Limits { entities: 40, entities_per_process: 40, entities_per_origin: 40, depth: 6, work: 1000 };

impl Space {
    fn new(clients: u32) -> Space {
        let server = Authority::new(LIMITS, &[]);
        let mut space =
            Space { server, clients: (1..=clients).map(Client::new).collect(), file: BTreeMap::new() };
        (0..clients as usize).for_each(|n| space.connect(n));
        space.settle();
        space
    }

    fn connect(&mut self, n: usize) {
        let client = &mut self.clients[n];
        if !client.connected {
            client.connected = true;
            let frame = client.mirror.join();
            client.up.push_back(frame);
        }
    }

    fn disconnect(&mut self, n: usize) {
        let client = &mut self.clients[n];
        client.connected = false;
        client.mirror.disconnect();
        client.up.clear();
        client.down.clear();
        self.server.disconnect(client.peer);
    }

    fn deliver_up(&mut self, n: usize) {
        let client = &mut self.clients[n];
        if let Some(frame) = client.up.pop_front() {
            self.server.receive(client.peer, &frame).unwrap();
        }
    }

    fn take(&mut self, n: usize, len: usize) {
        let client = &mut self.clients[n];
        client.down.extend(self.server.take(client.peer, len));
    }

    /// The server is killed and started again with what it had saved.
    fn restart(&mut self) {
        self.save();
        let saved: Vec<SavedEntity> = self.file.values().cloned().collect();
        self.server = Authority::new(LIMITS, &saved);
        (0..self.clients.len()).for_each(|n| self.disconnect(n));
    }

    fn save(&mut self) {
        for change in self.server.take_unsaved() {
            match change {
                SavedChange::Put(entity) => self.file.insert(entity.id, entity),
                SavedChange::Remove(id) => self.file.remove(&id),
            };
        }
    }

    /// Carries frames until there are none.
    fn settle(&mut self) {
        loop {
            let mut idle = true;
            for n in 0..self.clients.len() {
                while !self.clients[n].up.is_empty() {
                    self.deliver_up(n);
                    idle = false;
                }
            }
            for n in 0..self.clients.len() {
                while let Some(frame) = self.server.take(self.clients[n].peer, 1 << 16) {
                    self.clients[n].down.push_back(frame);
                }
                while !self.clients[n].down.is_empty() {
                    self.clients[n].deliver_down();
                    idle = false;
                }
            }
            if idle {
                break;
            }
        }
        assert_eq!(self.server.peers_with_news().count(), 0);
    }

    fn assert_all_equal(&mut self) {
        for n in 0..self.clients.len() {
            self.connect(n);
        }
        self.settle();
        for client in &mut self.clients {
            assert_eq!(client.mirror.pending(), 0);
            assert_eq!(client.mirror.sequence(), self.server.sequence());
            let (ordered, server) = (client.mirror.ordered(), self.server.scene());
            assert_eq!(text(ordered), text(server), "peer {}", client.peer);
            assert_eq!(text(&client.mirror.shown_shared()), text(server), "peer {}", client.peer);
            assert!(ordered == server && client.mirror.shown_shared() == *server);
            client.reader.read(client.mirror.take_changes());
            client.reader.assert_knows(client.mirror.scene());
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, u64, Vec<[u8; 4]>),
    ServerWrite(Vec<[u8; 4]>),
    End(usize, u64),
    Up(usize),
    Take(usize, usize),
    Down(usize),
    Look(usize),
    Disconnect(usize),
    Connect(usize),
    Forget(usize),
    Restart,
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0usize..3;
    let wishes = || prop::collection::vec(any::<[u8; 4]>(), 1..5);
    prop_oneof![
        20 => (n.clone(), 1u64..3, wishes()).prop_map(|(n, p, w)| Step::Write(n, p, w)),
        4 => wishes().prop_map(Step::ServerWrite),
        1 => (n.clone(), 1u64..3).prop_map(|(n, p)| Step::End(n, p)),
        16 => n.clone().prop_map(Step::Up),
        16 => (n.clone(), prop_oneof![Just(1024usize), Just(1 << 16)]).prop_map(|(n, l)| Step::Take(n, l)),
        16 => n.clone().prop_map(Step::Down),
        4 => n.clone().prop_map(Step::Look),
        1 => n.clone().prop_map(Step::Disconnect),
        3 => n.clone().prop_map(Step::Connect),
        1 => n.prop_map(Step::Forget),
        1 => Just(Step::Restart),
        1 => Just(Step::Settle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(2000), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn everybody_ends_up_with_the_servers_scene(steps in prop::collection::vec(step(), 1..250)) {
        let mut space = Space::new(3);
        for step in steps {
            match step {
                Step::Write(n, writer, wishes) => {
                    let client = &mut space.clients[n];
                    let fresh: Vec<EntityId> = (1..=6).map(|s| entity(client.peer.number(), s)).collect();
                    // A batch may use what it makes: the wishes see the scene grow.
                    let mut draft = client.mirror.scene().clone();
                    let mut ops = Vec::new();
                    for wish in wishes {
                        if let Some(op) = support::op(&draft, &fresh, true, wish)
                            && draft.apply(process(client.peer.number(), writer), std::slice::from_ref(&op)).is_ok()
                        {
                            ops.push(op);
                        }
                    }
                    client.write(writer, &ops);
                }
                Step::ServerWrite(wishes) => {
                    let fresh: Vec<EntityId> = (1..=6).map(|s| entity(0, s)).collect();
                    let ops: Vec<Op> = wishes
                        .into_iter()
                        .filter_map(|wish| support::op(space.server.scene(), &fresh, false, wish))
                        .collect();
                    let _may_fail = space.server.apply(process(0, 1), &ops);
                }
                Step::End(n, writer) => {
                    let client = &mut space.clients[n];
                    let frame = client.mirror.process_ended(process(client.peer.number(), writer));
                    client.up.extend(frame);
                }
                Step::Up(n) => space.deliver_up(n),
                Step::Take(n, len) => space.take(n, len),
                Step::Down(n) => space.clients[n].deliver_down(),
                Step::Look(n) => {
                    let client = &mut space.clients[n];
                    client.reader.read(client.mirror.take_changes());
                    client.reader.assert_knows(client.mirror.scene());
                }
                Step::Disconnect(n) => space.disconnect(n),
                Step::Connect(n) => space.connect(n),
                Step::Forget(n) => {
                    if !space.clients[n].connected {
                        let peer = space.clients[n].peer;
                        space.server.forget(peer);
                    }
                }
                Step::Restart => space.restart(),
                Step::Settle => space.settle(),
            }
            space.clients.iter().for_each(Client::check);
        }
        space.assert_all_equal();
    }
}

#[test]
fn the_writer_sees_its_change_at_once_and_the_later_in_the_servers_order_wins() {
    let mut space = Space::new(2);
    let thing = entity(1, 1);
    space.clients[0].write(1, &[create(thing), Op::Set(thing, at(0.0))]);
    assert!(space.clients[0].mirror.scene().get(thing).is_some(), "before the server has heard of it");
    space.settle();

    let x = |space: &Space, n: usize| {
        space.clients[n].mirror.scene().get(thing).unwrap().get(ComponentKind::Transform).cloned().unwrap()
    };
    // The second's write comes to the server first, the first's wins.
    space.clients[0].write(1, &[Op::Set(thing, at(1.0))]);
    space.clients[1].write(1, &[Op::Set(thing, at(2.0))]);
    space.deliver_up(1);
    space.take(0, 1 << 16);
    space.clients[0].deliver_down();
    assert_eq!(x(&space, 0), at(1.0), "one's own unanswered write is shown over that of others");
    let base = space.clients[0].mirror.ordered().get(thing).unwrap();
    assert_eq!(base.get(ComponentKind::Transform), Some(&at(2.0)));
    space.settle();
    assert_eq!((x(&space, 0), x(&space, 1)), (at(1.0), at(1.0)));
}

#[test]
fn what_the_server_refuses_is_undone_and_the_rest_stays() {
    let mut space = Space::new(2);
    let [thing, other, late] = [entity(1, 1), entity(1, 2), entity(2, 1)];
    space.clients[0].write(1, &[create(thing), create(other), Op::Set(other, name("before"))]);
    space.settle();
    // The second writes to a thing that the first has just removed; and the batch is one.
    space.clients[0].write(1, &[Op::Remove(thing)]);
    space.clients[1].write(1, &[Op::Set(thing, at(1.0)), Op::Set(other, name("after")), create(late)]);
    space.clients[1].write(1, &[Op::Set(late, at(5.0))]);
    space.deliver_up(0);
    space.assert_all_equal();
    assert_eq!(space.clients[1].refused, [Errno::NotFound, Errno::NotFound]);
    let scene = space.clients[1].mirror.scene();
    assert_eq!(scene.get(other).unwrap().get(ComponentKind::Name), Some(&name("before")));
    assert!(scene.get(late).is_none());
}

#[test]
fn what_only_the_server_can_refuse_is_undone_with_all_that_was_built_on_it() {
    let mut space = Space::new(1);
    for serial in 1..LIMITS.entities as u64 {
        space.server.apply(process(0, serial), &[create(entity(0, serial))]).unwrap();
    }
    space.settle();
    let [last, more, on_it] = [1, 2, 3].map(|n| entity(1, n));
    let chair = entity(0, 1);
    space.clients[0].write(1, &[create(last)]);
    space.clients[0].write(1, &[create(more), under(chair, more), Op::Set(chair, at(1.0))]);
    space.clients[0].write(2, &[create(on_it), under(on_it, more), Op::Set(on_it, at(1.0))]);
    assert_eq!(space.clients[0].mirror.scene().len(), LIMITS.entities + 2);
    space.assert_all_equal();
    assert_eq!(space.clients[0].refused, [Errno::Limit, Errno::Limit]);
    let scene = space.clients[0].mirror.scene();
    assert!(scene.get(last).is_some() && scene.get(more).is_none() && scene.get(on_it).is_none());
    assert_eq!(scene.get(chair).unwrap().parent(), None);
}

#[test]
fn a_slow_peer_skips_states_and_does_not_fall_behind() {
    let mut space = Space::new(2);
    let things: Vec<EntityId> = (1..=20).map(|n| entity(1, n)).collect();
    let made: Vec<Op> = things.iter().map(|id| create(*id)).collect();
    space.clients[0].write(1, &made);
    space.settle();
    // A thousand pictures' worth of motion, of which the second hears a little now and then.
    let mut frames = 0;
    for step in 0..1000u16 {
        let moved: Vec<Op> = things.iter().map(|id| Op::Set(*id, at(step.into()))).collect();
        space.clients[0].write(1, &moved);
        space.deliver_up(0);
        if step % 100 == 99 {
            space.take(1, 1024);
            frames += space.clients[1].down.len();
            space.clients[1].deliver_down();
        }
    }
    let behind = space.server.sequence() - space.clients[1].mirror.sequence();
    let peer = space.clients[1].peer;
    let mut rest = 0;
    while let Some(frame) = space.server.take(peer, 1 << 16) {
        rest += frame.len();
        space.clients[1].down.push_back(frame);
    }
    assert_eq!(frames, 10);
    assert!(behind <= 1000, "behind by {behind}");
    assert!(rest < 20 * 100, "what is left is one state of each thing, not {rest} bytes");
    space.assert_all_equal();
}

#[test]
fn every_thing_that_moves_without_pause_is_heard_of_by_a_slow_peer() {
    let mut space = Space::new(2);
    let things: Vec<EntityId> = (1..=30).map(|n| entity(1, n)).collect();
    space.clients[0].write(1, &things.iter().map(|id| create(*id)).collect::<Vec<_>>());
    space.settle();
    let mut seen = std::collections::BTreeSet::new();
    for step in 0..10u16 {
        let moved: Vec<Op> = things.iter().map(|id| Op::Set(*id, at(step.into()))).collect();
        space.clients[0].write(1, &moved);
        space.deliver_up(0);
        // Room for about half of them.
        space.take(1, 1024);
        space.clients[1].deliver_down();
        for (id, entity) in space.clients[1].mirror.scene().iter() {
            if entity.get(ComponentKind::Transform).is_some() {
                seen.insert(id);
            }
        }
    }
    assert_eq!(seen.len(), 30);
}

#[test]
fn a_peer_too_slow_for_its_queue_gets_a_snapshot() {
    let mut space = Space::new(2);
    let [a, b] = [entity(1, 1), entity(1, 2)];
    // Structure is never skipped, so it fills the queue.
    for _ in 0..hearth_scene::ITEMS_MAX / 2 + 1 {
        space.server.apply(process(0, 1), &[create(entity(0, 1)), Op::Remove(entity(0, 1))]).unwrap();
    }
    // The second's write is answered while its queue is full.
    space.clients[1].write(1, &[create(entity(2, 1))]);
    space.deliver_up(1);
    space.clients[0].up.clear();
    space.clients[0].mirror.apply(process(1, 1), &[Op::Create(b, Scope::Local)]).unwrap();
    space.clients[0].write(1, &[create(a)]);
    space.assert_all_equal();
    assert!(space.server.scene().get(a).is_some() && space.server.scene().get(entity(2, 1)).is_some());
    assert!(space.clients[0].mirror.scene().get(b).is_some(), "the local scene is nobody else's");
}

#[test]
fn a_client_that_comes_back_in_time_finds_its_things_and_is_not_drawn_anew() {
    let mut space = Space::new(2);
    let [avatar, hat] = [entity(1, 1), entity(1, 2)];
    space.clients[0].write(1, &[create(avatar), create(hat), under(hat, avatar)]);
    space.settle();
    space.clients[0].mirror.take_changes();
    space.clients[1].mirror.take_changes();

    // Sent, and the answer lost with the connection; and one that could not be sent.
    space.clients[0].write(1, &[Op::Set(avatar, at(1.0))]);
    space.deliver_up(0);
    space.disconnect(0);
    for step in 0..500u16 {
        space.clients[0].write(1, &[Op::Set(hat, at(step.into()))]);
    }
    assert_eq!(space.clients[0].mirror.pending(), 2, "motion without a connection stays small");
    space.connect(0);
    space.settle();
    assert!(space.clients[0].mirror.ordered() == space.server.scene());
    let changes = |space: &mut Space, n: usize| {
        let changes = space.clients[n].mirror.take_changes();
        changes
            .into_iter()
            .map(|change| format!("{change:?}").split(' ').next().unwrap().to_owned())
            .collect()
    };
    let expected: Vec<String> = vec!["Set".into(), "Set".into()];
    let (first, second): (Vec<String>, Vec<String>) = (changes(&mut space, 0), changes(&mut space, 1));
    assert_eq!((&first, &second), (&expected, &expected), "nothing was made again");
}

#[test]
fn after_the_servers_restart_running_scripts_keep_their_things() {
    let mut space = Space::new(2);
    let [avatar, hat, chair, note] = [1, 2, 3, 4].map(|n| entity(1, n));
    let cup = entity(2, 1);
    space.clients[0].write(1, &[create(avatar), create(hat), under(hat, avatar), Op::Set(hat, name("hat"))]);
    space.clients[0].write(2, &[create(chair), Op::Set(chair, at(3.0)), Op::Give(chair)]);
    space.clients[0].write(2, &[create(note), under(note, chair)]);
    space.settle();
    space.clients[1].write(1, &[create(cup), under(cup, chair)]);
    space.settle();
    let before = space.server.scene().clone();
    let taken = space.clients[0].mirror.take_changes();
    assert!(!taken.is_empty());

    space.restart();
    assert_eq!(space.server.scene().len(), 1, "the chair was given, and saved");
    assert_eq!(space.server.scene().get(chair).unwrap().owner(), Owner::Space);
    // A script that ended meanwhile does not come back.
    assert_eq!(space.clients[1].mirror.process_ended(process(2, 1)), None);
    for n in 0..2 {
        space.connect(n);
    }
    space.settle();
    let mut expected = before;
    expected.apply(process(2, 1), &[Op::Remove(cup)]).unwrap();
    assert!(*space.server.scene() == expected);
    let changes = space.clients[0].mirror.take_changes();
    assert_eq!(changes, [hearth_scene::Change::Removed { id: cup }], "nothing else was drawn anew");
}

#[test]
fn a_new_client_of_the_same_peer_does_not_inherit() {
    let mut space = Space::new(1);
    space.clients[0].write(1, &[create(entity(1, 1))]);
    space.settle();
    space.disconnect(0);
    let mut fresh = Client::new(1);
    fresh.mirror = Mirror::new(fresh.peer, 99, MirrorLimits::default());
    space.clients[0] = fresh;
    space.assert_all_equal();
    assert!(space.server.scene().is_empty(), "its processes are gone, and their things with them");
    space.clients[0].write(1, &[create(entity(1, 1))]);
    space.assert_all_equal();
    assert_eq!(space.server.scene().len(), 1, "its first submission is not taken for an old one");
}

#[test]
fn a_peer_speaks_for_its_own_processes_only() {
    let mut server = Authority::new(LIMITS, &[]);
    let peer = PeerId::new(1).unwrap();
    let submit = |writer, ops: &[Op]| hearth_scene::wire::Up::Batch { number: 1, writer, ops: ops.to_vec() };
    let stranger = submit(process(1, 1), &[create(entity(1, 1))]).encode();
    assert!(server.receive(peer, &stranger).is_err(), "it has not joined");
    for writer in [process(2, 1), process(0, 0), process(0, 1)] {
        server.receive(peer, &Mirror::new(peer, writer.to_bits(), MirrorLimits::default()).join()).unwrap();
        let id = EntityId::new(writer.peer(), 5).unwrap();
        let done = server.receive(peer, &submit(writer, &[create(id)]).encode()).unwrap();
        assert_eq!(done[0].outcome.as_ref().unwrap_err().errno(), Errno::Permission, "{writer}");
    }
    assert!(server.scene().is_empty());
    let local = submit(process(1, 1), &[Op::Create(entity(1, 1), Scope::Local)]);
    server.receive(peer, &Mirror::new(peer, 77, MirrorLimits::default()).join()).unwrap();
    let done = server.receive(peer, &local.encode()).unwrap();
    assert_eq!(done[0].outcome.as_ref().unwrap_err().errno(), Errno::Unsupported);
}

#[test]
fn local_things_are_never_sent_and_too_much_waiting_is_refused() {
    let limits = MirrorLimits { pending: 2, ..MirrorLimits::default() };
    let mut mirror = Mirror::new(PeerId::new(1).unwrap(), 1, limits);
    let (me, gizmo) = (process(1, 1), entity(1, 1));
    mirror.apply(me, &[Op::Create(gizmo, Scope::Local), Op::Set(gizmo, at(1.0))]).unwrap();
    assert_eq!(mirror.pending(), 0);
    for n in 2..4 {
        mirror.apply(me, &[create(entity(1, n))]).unwrap();
    }
    let error = mirror.apply(me, &[create(entity(1, 4))]).unwrap_err();
    assert_eq!(error.errno(), Errno::Full);
    assert!(mirror.scene().get(entity(1, 4)).is_none());
    mirror.apply(me, &[Op::Set(gizmo, at(2.0))]).unwrap();
    // The end of a process is never refused: what it leaves behind would stay for ever.
    mirror.process_ended(me);
    assert!(mirror.scene().is_empty());
    assert_eq!(mirror.pending(), 3);
    let foreign = mirror.apply(process(2, 1), &[create(entity(2, 1))]).unwrap_err();
    assert_eq!(foreign.errno(), Errno::Permission);
}

#[test]
fn a_server_that_makes_no_sense_is_found_out_and_a_snapshot_mends_it() {
    let mut space = Space::new(1);
    let thing = entity(0, 1);
    space.server.apply(process(0, 1), &[create(thing)]).unwrap();
    space.settle();
    let mut frame = Vec::new();
    let nonsense = vec![(process(0, 1), vec![create(thing)])];
    hearth_scene::wire::Down::Update { sequence: 9, parts: nonsense }.encode(&mut frame);
    let client = &mut space.clients[0];
    assert!(client.mirror.receive(&frame).is_err());
    assert!(client.mirror.receive(&[1, 2, 3]).is_err());
    client.write(1, &[create(entity(1, 1))]);
    client.up.push_back(client.mirror.join());
    space.server.apply(process(0, 1), &[Op::Set(thing, name("after"))]).unwrap();
    space.assert_all_equal();
    assert_eq!(space.server.scene().len(), 2);
}
