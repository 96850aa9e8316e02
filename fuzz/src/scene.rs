// SPDX-License-Identifier: AGPL-3.0-or-later
//! Batches of guests, frames between mirrors and the server, and whole conversations of them.

use crate::Dice;
use hearth_abi::{
    EntityId, PeerId, ProcessId,
    scene::{Component, ComponentKind, Op, Scope, Transform, decode_batch, encode_batch},
};
use hearth_scene::{
    Authority, Limits, Mirror, MirrorLimits, Notice, Scene,
    wire::{Down, Up},
};
use std::collections::VecDeque;

const LIMITS: Limits =
    Limits { entities: 30, entities_per_process: 20, entities_per_origin: 25, depth: 6, work: 1000 };

fn peer(number: u32) -> PeerId {
    PeerId::new(number).unwrap()
}

fn process(number: u32, serial: u64) -> ProcessId {
    ProcessId::new(peer(number), serial).unwrap()
}

/// A batch of a guest: read, written alike, and applied whole or not at all.
pub fn scene_ops(data: &[u8]) -> bool {
    let Ok(ops) = decode_batch(data) else { return false };
    assert_eq!(encode_batch(&ops), data);
    let mut scene = Scene::new(LIMITS);
    scene.record_changes();
    scene.record_unsaved();
    // As the peer that gave the ids: so that creating has a chance.
    let writer = ProcessId::new(ops.first().map_or(PeerId::SERVER, |op| op.entity().peer()), 1).unwrap();
    for _ in 0..2 {
        let before = scene.clone();
        match scene.apply(writer, &ops) {
            Ok(()) => assert_eq!(scene.parents_first().count(), scene.len()),
            Err(error) => {
                assert!(error.index < ops.len() && scene == before);
            }
        }
        scene.take_changes();
        for change in scene.take_unsaved() {
            assert!(scene.get(change.entity()).is_none_or(|entity| entity.scope() == Scope::Shared));
        }
    }
    for op in &ops {
        if let Op::Set(_, component) = op {
            let mut bytes = Vec::new();
            component.encode(&mut bytes);
            assert_eq!(Component::decode(component.kind(), &bytes).as_ref(), Ok(component));
        }
    }
    scene.remove_owned_by_peer(writer.peer());
    assert!(scene.iter().all(|(_, entity)| entity.owner() == hearth_scene::Owner::Space));
    true
}

/// A frame of a stranger, at a server with a good client, and at a client.
pub fn scene_frames(data: &[u8]) -> bool {
    let up = Up::decode(data);
    if let Ok(messages) = &up {
        assert_eq!(messages.iter().flat_map(Up::encode).collect::<Vec<u8>>(), data);
    }
    let down = Down::decode(data);
    if let Ok(messages) = &down {
        let mut again = Vec::new();
        messages.iter().for_each(|message| message.encode(&mut again));
        assert_eq!(again, data);
    }

    let mut server = Authority::new(LIMITS, &[]);
    let mut mirror = Mirror::new(peer(2), 1, MirrorLimits::default());
    server.receive(peer(2), &mirror.join()).unwrap();
    // Before it has joined, and after.
    let _ = server.receive(peer(1), data);
    server.receive(peer(1), &Up::Join { instance: 1 }.encode()).unwrap();
    let _ = server.receive(peer(1), data);
    while let Some(frame) = server.take(peer(2), 2048) {
        mirror.receive(&frame).expect("the server makes sense, whatever others say");
    }
    assert!(mirror.ordered() == server.scene());

    let mut mirror = Mirror::new(peer(1), 1, MirrorLimits::default());
    let mine = EntityId::new(peer(1), 1).unwrap();
    mirror.apply(process(1, 1), &[Op::Create(mine, Scope::Shared)]).unwrap();
    for _ in 0..2 {
        mirror.join();
        let _ = mirror.receive(data);
        let shown = mirror.shown_shared();
        assert!(shown == mirror.shown_by_definition());
        mirror.take_changes();
    }
    up.is_ok() || down.is_ok()
}

struct Client {
    number: u32,
    mirror: Mirror,
    connected: bool,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
}

impl Client {
    fn take_in(&mut self) {
        let Some(frame) = self.down.pop_front() else { return };
        for notice in self.mirror.receive(&frame).expect("the server makes sense") {
            if let Notice::Send(frame) = notice {
                self.up.push_back(frame);
            }
        }
    }
}

/// A conversation of a server and two clients over lines that delay, break and come back, in steps of six
/// bytes: in the end all have the server's scene.
pub fn scene_sync(data: &[u8]) -> bool {
    let mut server = Authority::new(LIMITS, &[]);
    let mut clients = [1, 2].map(|number| Client {
        number,
        mirror: Mirror::new(peer(number), number.into(), MirrorLimits::default()),
        connected: false,
        up: VecDeque::new(),
        down: VecDeque::new(),
    });
    for step in data.chunks_exact(6).take(400) {
        let mut dice = Dice(step);
        let what = dice.byte();
        let client = &mut clients[usize::from(what >> 7)];
        let who = peer(client.number);
        match what & 15 {
            0..6 => {
                let writer = process(client.number, u64::from(what >> 4 & 1) + 1);
                if let Some(op) = op(client.mirror.scene(), client.number, &mut dice)
                    && let Ok(Some(frame)) = client.mirror.apply(writer, &[op])
                {
                    client.up.push_back(frame);
                }
            }
            6 => {
                if let Some(op) = op(server.scene(), 0, &mut dice) {
                    let _may_be_refused = server.apply(process(0, 1), &[op]);
                }
            }
            7 | 8 => {
                if let Some(frame) = client.up.pop_front() {
                    server.receive(who, &frame).expect("a client makes sense");
                }
            }
            9 => client.down.extend(server.take(who, 1024)),
            10 | 11 => client.take_in(),
            12 => {
                let ended = client.mirror.process_ended(process(client.number, u64::from(what >> 4 & 1) + 1));
                client.up.extend(ended);
            }
            13 => {
                client.connected = false;
                client.mirror.disconnect();
                client.up.clear();
                client.down.clear();
                server.disconnect(who);
                if what & 16 != 0 {
                    server.forget(who);
                }
            }
            _ => connect(client),
        }
        let client = &clients[usize::from(what >> 7)];
        assert!(client.mirror.shown_shared() == client.mirror.shown_by_definition());
    }
    clients.iter_mut().for_each(connect);
    loop {
        let mut idle = true;
        for client in &mut clients {
            while let Some(frame) = client.up.pop_front() {
                server.receive(peer(client.number), &frame).expect("a client makes sense");
                idle = false;
            }
        }
        for client in &mut clients {
            client.down.extend(std::iter::from_fn(|| server.take(peer(client.number), 1 << 16)));
            while !client.down.is_empty() {
                client.take_in();
                idle = false;
            }
        }
        if idle {
            break;
        }
    }
    for client in &clients {
        assert!(client.mirror.pending() == 0 && client.mirror.ordered() == server.scene());
        assert!(client.mirror.shown_shared() == *server.scene());
    }
    !server.scene().is_empty()
}

fn connect(client: &mut Client) {
    if !client.connected {
        client.connected = true;
        client.up.push_back(client.mirror.join());
    }
}

fn op(scene: &Scene, number: u32, dice: &mut Dice<'_>) -> Option<Op> {
    let ids: Vec<EntityId> = scene.iter().map(|(id, _)| id).collect();
    let (what, a, b) = (dice.byte(), dice.byte(), dice.byte());
    let pick = |n: u8| ids.get(usize::from(n) % ids.len().max(1)).copied();
    let kind = if b % 2 == 0 { ComponentKind::Transform } else { ComponentKind::Name };
    Some(match what % 12 {
        0..3 => {
            let id = EntityId::new(peer(number), u64::from(a % 6) + 1).unwrap();
            Op::Create(id, if b % 5 == 0 && number != 0 { Scope::Local } else { Scope::Shared })
        }
        3 => Op::Remove(pick(a)?),
        4 | 5 => Op::SetParent(pick(a)?, if b % 4 == 0 { None } else { pick(b) }),
        6..10 if kind == ComponentKind::Name => Op::Set(pick(a)?, Component::Name(b.to_string())),
        6..10 => Op::Set(pick(a)?, Component::Transform(Transform::at(b.into(), 0.0, 0.0))),
        10 => Op::Unset(pick(a)?, kind),
        _ => Op::Give(pick(a)?),
    })
}
