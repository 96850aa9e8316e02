// SPDX-License-Identifier: AGPL-3.0-or-later
//! The bytes between a mirror and the server.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use hearth_abi::{Errno, PeerId, scene::Op};
use hearth_scene::{
    Authority, Limits, Mirror, MirrorLimits, Owner,
    wire::{Down, FRAME_LEN_MAX, Refusal, SnapshotEntity, Up},
};
use proptest::prelude::*;
use support::{at, create, entity, name, process, under};

fn ups() -> Vec<Up> {
    let (a, b) = (entity(1, 2), entity(1, 3));
    vec![
        Up::Join { instance: 0x0102_0304_0506_0708 },
        Up::Batch { number: 1, writer: process(1, 4), ops: vec![create(a), create(b), under(b, a)] },
        Up::Batch { number: 2, writer: process(1, 4), ops: vec![] },
        Up::Ended { number: 3, writer: process(1, 4) },
    ]
}

fn downs() -> Vec<Down> {
    let (a, b) = (entity(1, 2), entity(1, 3));
    let refusal = Refusal { errno: Errno::Permission, reason: "no".into() };
    let snapshot = [
        SnapshotEntity { id: a, owner: Owner::Space, parent: None, components: vec![] },
        SnapshotEntity {
            id: b,
            owner: Owner::Process(process(1, 4)),
            parent: Some(a),
            components: vec![at(1.0), name("b")],
        },
    ];
    vec![
        Down::Begin { sequence: 5, answered: 2, resumed: true },
        Down::Part(snapshot.into()),
        Down::End { entities: 2 },
        Down::Update {
            sequence: 6,
            parts: vec![(process(1, 4), vec![create(a)]), (process(0, 0), vec![Op::Remove(a)])],
        },
        Down::Update { sequence: 7, parts: vec![] },
        Down::Answer { number: 3, outcome: Ok(()) },
        Down::Answer { number: 4, outcome: Err(refusal) },
    ]
}

#[test]
fn messages_read_back() {
    let mut frame = Vec::new();
    for message in downs() {
        message.encode(&mut frame);
    }
    assert_eq!(Down::decode(&frame).unwrap(), downs());
    let frame: Vec<u8> = ups().iter().flat_map(Up::encode).collect();
    assert_eq!(Up::decode(&frame).unwrap(), ups());
    assert_eq!(Up::decode(&[]).unwrap(), []);
}

/// The examples of `docs/formats/scene.md`.
#[test]
fn the_bytes_are_those_of_the_document() {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(hex(&ups()[0].encode()), "01080000000807060504030201");
    let batch = Up::Batch { number: 1, writer: process(1, 4), ops: vec![create(entity(1, 2))] };
    assert_eq!(
        hex(&batch.encode()),
        concat!("021a000000", "0100000000000000", "0400000000100000", "01", "0200000000100000", "00")
    );
    let mut frame = Vec::new();
    Down::Answer { number: 4, outcome: Err(Refusal { errno: Errno::Permission, reason: "no".into() }) }
        .encode(&mut frame);
    assert_eq!(hex(&frame), concat!("020e000000", "0400000000000000", "fbffffff", "6e6f"));
    let mut frame = Vec::new();
    let named = SnapshotEntity {
        id: entity(1, 2),
        owner: Owner::Space,
        parent: Some(entity(1, 3)),
        components: vec![name("b")],
    };
    Down::Part(vec![named]).encode(&mut frame);
    assert_eq!(
        hex(&frame),
        concat!(
            "0421000000",
            "0200000000100000",
            "0000000000000000",
            "0300000000100000",
            "0100",
            "0200",
            "01000000",
            "62"
        )
    );
}

#[test]
fn broken_frames_are_refused() {
    let refused_up = |frame: &[u8]| Up::decode(frame).unwrap_err().problem;
    let refused = |frame: &[u8]| Down::decode(frame).unwrap_err().problem;
    assert_eq!(refused_up(&vec![0; FRAME_LEN_MAX + 1]), "frame is too long");
    assert_eq!(refused_up(&[9, 0, 0, 0, 0]), "unknown type of message");
    assert_eq!(refused_up(&[1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), "bytes after the end");
    assert_eq!(refused_up(&[1, 255, 255, 255, 255]), "input ends early");
    assert_eq!(refused(&[2, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]), "unknown status");
    assert_eq!(refused(&[2, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128]), "unknown status");
    let mut part = Vec::new();
    let components = vec![name("b"), at(1.0)];
    Down::Part(vec![SnapshotEntity { id: entity(1, 1), owner: Owner::Space, parent: None, components }])
        .encode(&mut part);
    assert_eq!(refused(&part), "components are out of order");
    for (good, is_up) in [(ups()[1].encode(), true), (part, false)] {
        for len in 1..good.len() {
            let cut = &good[..len];
            assert!(
                if is_up { Up::decode(cut).is_err() } else { Down::decode(cut).is_err() },
                "cut at {len}"
            );
        }
    }
}

/// A frame of messages, some bytes of which are altered.
fn altered() -> impl Strategy<Value = Vec<u8>> {
    let mut all: Vec<Vec<u8>> = ups().iter().map(Up::encode).collect();
    for message in downs() {
        let mut frame = Vec::new();
        message.encode(&mut frame);
        all.push(frame);
    }
    let some = prop::collection::vec(prop::sample::select(all), 0..5);
    (some, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)).prop_map(
        |(frames, flips)| {
            let mut frame = frames.concat();
            for (at, flip) in flips.into_iter().filter(|_| !frame.is_empty()).collect::<Vec<_>>() {
                let at = at.index(frame.len());
                frame[at] ^= flip;
            }
            frame
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn strangers_do_not_panic_anybody(frame in prop_oneof![altered(), prop::collection::vec(any::<u8>(), 0..200)]) {
        if let Ok(messages) = Up::decode(&frame) {
            let again: Vec<u8> = messages.iter().flat_map(Up::encode).collect();
            prop_assert_eq!(&again, &frame);
        }
        if let Ok(messages) = Down::decode(&frame) {
            let mut again = Vec::new();
            messages.iter().for_each(|message| message.encode(&mut again));
            prop_assert_eq!(&again, &frame);
        }
        let (peer, stranger) = (PeerId::new(2).unwrap(), PeerId::new(1).unwrap());
        let mut server = Authority::new(Limits::default(), &[]);
        let mut mirror = Mirror::new(peer, 1, MirrorLimits::default());
        server.receive(peer, &mirror.join()).unwrap();
        let _ = server.receive(stranger, &frame);
        server.receive(stranger, &Up::Join { instance: 7 }.encode()).unwrap();
        let _ = server.receive(stranger, &frame);
        while let Some(frame) = server.take(peer, 4096) {
            mirror.receive(&frame).unwrap();
        }
        prop_assert!(mirror.ordered() == server.scene());
        // A frame of a server that makes no sense never breaks what is shown.
        let _ = mirror.receive(&frame);
        prop_assert!(mirror.shown_shared() == mirror.shown_by_definition());
    }
}
