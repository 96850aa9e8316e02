// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the pointer of a user does, on its way to the process that made what is touched; and what is not let through.

use crate::common::{Guest, Space, deaf, nobody, post, soon, to, touched};
use hearth_abi::{
    EntityId, PeerId, ProcessId,
    input::Event as Input,
    pointer::{self, Event, Kind, MOUSE, NO_BUTTON, Wants},
    scene::{Component, ComponentKind, Op, Scope, encode_batch},
    terminal::Modifiers,
};
use hearth_node::{Node, PictureEvent};
use hearth_protocol::hot;
use std::{collections::VecDeque, time::Duration};

fn event(user: PeerId, entity: EntityId, kind: Kind) -> Event {
    Event {
        kind,
        pointer: MOUSE,
        button: NO_BUTTON,
        buttons: 0,
        modifiers: Modifiers::default(),
        user,
        entity,
        hit: Some(entity),
        other: None,
        from: [0.0, 1.7, 6.0],
        way: [0.0, 0.0, -1.0],
        distance: 2.0,
        point: [0.0, 1.7, 4.0],
        normal: [0.0, 0.0, 1.0],
        wheel: [0.0; 2],
    }
}

/// The user of a peer does something.
fn touch(node: &Node, entity: EntityId, kind: Kind) {
    node.picture_event(PictureEvent::Pointer(event(node.id(), entity, kind)));
}

/// A process that hears of pointers.
struct Toucher {
    guest: Guest,
    /// What came while something else was waited for.
    events: VecDeque<Event>,
    answers: VecDeque<String>,
}

impl Toucher {
    async fn new(node: &Node) -> Toucher {
        let guest = Guest::start(node, touched()).await;
        Toucher { guest, events: VecDeque::new(), answers: VecDeque::new() }
    }

    /// Takes a line of the log; those of the host are for people.
    async fn read(&mut self) {
        let line = self.guest.line().await;
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = line.as_bytes().chunks(2).map(byte).collect();
        match bytes.filter(|bytes| bytes.len() == pointer::EVENT_LEN) {
            Some(bytes) => self.events.push_back(Event::decode(&bytes).unwrap()),
            None if line.len() == 1 => self.answers.push_back(line),
            None => {}
        }
    }

    async fn answer(&mut self) -> String {
        loop {
            match self.answers.pop_front() {
                Some(answer) => return answer,
                None => self.read().await,
            }
        }
    }

    /// The next thing that a pointer did.
    async fn heard(&mut self) -> Event {
        loop {
            match self.events.pop_front() {
                Some(event) => return event,
                None => self.read().await,
            }
        }
    }

    async fn apply(&mut self, ops: &[Op]) -> bool {
        self.guest.tell(encode_batch(ops).into());
        self.answer().await == "y"
    }

    /// Makes a target. Its number is of the peer's own choosing.
    async fn target(&mut self, serial: u64, wants: Wants) -> EntityId {
        let id = EntityId::new(self.guest.node.id(), serial).unwrap();
        assert!(self.apply(&[Op::Create(id, Scope::Shared), Op::Set(id, Component::Pointer(wants))]).await);
        id
    }

    /// Waits until its peer knows of an entity.
    async fn knows(&mut self, entity: EntityId) {
        let known = async {
            while !self.apply(&[Op::Set(entity, Component::Hidden(false))]).await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon("an entity", known).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_touched_is_told_to_its_owner_wherever_that_runs() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let mut here = Toucher::new(space.node()).await;
    let mut of_bob = Toucher::new(&bob.node).await;
    let mut of_ada = Toucher::new(&ada.node).await;
    for owner in [&mut here, &mut of_bob] {
        let button = owner.target(70, Wants::PRESS.and(Wants::HOVER)).await;
        of_ada.knows(button).await;
        for kind in [Kind::Over, Kind::Press, Kind::Release, Kind::Click, Kind::Out] {
            touch(&ada.node, button, kind);
            assert_eq!(owner.heard().await, event(ada.node.id(), button, kind));
        }
        // What it does not want does not even set out.
        touch(&ada.node, button, Kind::Wheel);
        touch(&ada.node, button, Kind::Move);
        touch(&ada.node, button, Kind::Click);
        assert_eq!(owner.heard().await.kind, Kind::Click);
    }
    // And to one of the user's own peer.
    let own = of_ada.target(71, Wants::ALL).await;
    touch(&ada.node, own, Kind::Press);
    assert_eq!(of_ada.heard().await, event(ada.node.id(), own, Kind::Press));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_hears_and_whoever_set_the_component_does_not() {
    let space = Space::start().await;
    let ada = space.join("ada").await;
    let mut owner = Toucher::new(space.node()).await;
    let mut setter = Toucher::new(&ada.node).await;
    let plain = EntityId::new(PeerId::SERVER, 80).unwrap();
    assert!(owner.apply(&[Op::Create(plain, Scope::Shared)]).await);
    setter.knows(plain).await;
    touch(&ada.node, plain, Kind::Press);
    assert!(setter.apply(&[Op::Set(plain, Component::Pointer(Wants::PRESS))]).await);
    let own = setter.target(81, Wants::PRESS).await;
    owner.knows(own).await;
    touch(&ada.node, plain, Kind::Click);
    assert_eq!(owner.heard().await, event(ada.node.id(), plain, Kind::Click));
    // The other one hears of its own alone.
    touch(&ada.node, own, Kind::Release);
    assert_eq!(setter.heard().await, event(ada.node.id(), own, Kind::Release));

    // Nobody hears of what belongs to the space.
    assert!(owner.apply(&[Op::Give(plain)]).await);
    let last = owner.target(82, Wants::PRESS).await;
    setter.knows(last).await;
    touch(&ada.node, plain, Kind::Press);
    // Nor of what is a target no more, or is gone.
    assert!(setter.apply(&[Op::Unset(own, ComponentKind::Pointer)]).await);
    touch(&ada.node, own, Kind::Press);
    assert!(setter.apply(&[Op::Remove(own)]).await);
    touch(&ada.node, own, Kind::Press);
    touch(&ada.node, last, Kind::Press);
    assert_eq!(owner.heard().await.entity, last);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_says_what_the_pointer_of_another_did() {
    let space = Space::start().await;
    let ada = space.join("ada").await;
    let mut owner = Toucher::new(space.node()).await;
    let mut other = Toucher::new(space.node()).await;
    let button = owner.target(90, Wants::PRESS).await;
    let others = other.target(91, Wants::PRESS).await;

    // In the name of another, of the server, of nobody, of a process; or not as the header says.
    let bits = |peer: PeerId| pointer::user_bits(peer);
    for (in_header, in_event) in [
        (bits(ada.node.id()), ada.node.id()),
        (bits(PeerId::SERVER), PeerId::SERVER),
        (ProcessId::new(ada.node.id(), 1).unwrap().to_bits(), ada.node.id()),
    ] {
        for to in [owner.guest.id, ProcessId::new(ada.node.id(), 1).unwrap()] {
            let forger = space.raw("forger").await;
            let body = event(in_event, button, Kind::Press).encode();
            let frame = [&[5][..], &to.to_bits().to_le_bytes(), &in_header.to_le_bytes(), &body].concat();
            forger.sender.hot(frame.into()).await.unwrap();
            forger.cut_off().await;
        }
    }
    let forger = space.raw("forger").await;
    let frame = hot::Frame::Pointer {
        to: owner.guest.id,
        user: forger.id,
        event: event(ada.node.id(), button, Kind::Press).encode().into(),
    };
    forger.sender.hot(frame.encode()).await.unwrap();
    forger.cut_off().await;

    // In their own name they say it of what the receiver owns, and that it wants to hear; else nothing happens.
    let stranger = space.raw("stranger").await;
    for (to, entity, kind) in [
        (owner.guest.id, others, Kind::Press),
        (other.guest.id, button, Kind::Press),
        (owner.guest.id, button, Kind::Over),
        (owner.guest.id, EntityId::from_bits(12345), Kind::Press),
        (ProcessId::new(PeerId::SERVER, 9999).unwrap(), button, Kind::Press),
        (owner.guest.id, button, Kind::Click),
    ] {
        let event = event(stranger.id, entity, kind).encode().into();
        let frame = hot::Frame::Pointer { to, user: stranger.id, event };
        stranger.sender.hot(frame.encode()).await.unwrap();
    }
    assert_eq!(owner.heard().await, event(stranger.id, button, Kind::Click));
    assert_eq!(stranger.sender.link().close_reason(), None);

    // A process that sends an event's bytes sends a message.
    let poster = Guest::start(&ada.node, post()).await;
    poster.tell(to(other.guest.id, &event(ada.node.id(), others, Kind::Press).encode()));
    assert_eq!(other.answer().await, "m");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pointers_is_bounded() {
    let space = Space::start().await;
    let ada = space.join("ada").await;
    let mut owner = Toucher::new(space.node()).await;
    let mut witness = Toucher::new(&ada.node).await;
    let pad = owner.target(95, Wants::ALL).await;
    witness.knows(pad).await;
    let moves = |number: u16| {
        let moved = Event { distance: f32::from(number), ..event(ada.node.id(), pad, Kind::Move) };
        ada.node.picture_event(PictureEvent::Pointer(moved));
    };
    (1..=5000).for_each(moves);
    touch(&ada.node, pad, Kind::Press);
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last: &Event| last.kind != Kind::Press) {
        heard.push(owner.heard().await);
    }
    // A second has thirty, and 5,000 of them did not take ten.
    assert!((2..300).contains(&heard.len()), "{}", heard.len());
    let last = &heard[heard.len() - 2];
    assert_eq!((last.kind, last.distance), (Kind::Move, 5000.0), "the newest is not lost");

    // One that waits goes before a later picture.
    moves(1);
    moves(2);
    let frame = Input::Frame { time_ns: 0, step_ns: 0, size: [8, 8] };
    let mut newest = 0.0;
    let mut follow = async || {
        while newest != 2.0 {
            newest = owner.heard().await.distance;
        }
    };
    let frames = async {
        loop {
            ada.node.picture_event(PictureEvent::Input(frame.clone()));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = follow() => {}
        () = frames => {}
    }

    // Whoever does not look into the mailbox reads in the log that it is full, and nobody else feels it.
    let thing = EntityId::new(PeerId::SERVER, 96).unwrap();
    let made = [Op::Create(thing, Scope::Shared), Op::Set(thing, Component::Pointer(Wants::PRESS))];
    let mut full = Guest::start(space.node(), deaf(&encode_batch(&made))).await;
    witness.knows(thing).await;
    let fill = || space.node().processes().send(nobody(), full.id, b"x"[..].into());
    while fill().is_ok() {}
    touch(&ada.node, thing, Kind::Press);
    while !full.line().await.contains("a pointer is lost, the mailbox is full: Press") {}
    touch(&ada.node, pad, Kind::Click);
    while owner.heard().await.kind != Kind::Click {}
}
