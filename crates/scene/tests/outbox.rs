// SPDX-License-Identifier: AGPL-3.0-or-later
//! The queue of one peer: what comes out of it makes the scene that went in.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use hearth_abi::{
    EntityId, Errno, PeerId,
    scene::{ComponentKind, Op},
};
use hearth_scene::{
    ITEMS_MAX, Limits, Mirror, MirrorLimits, Outbox, Scene,
    wire::{Down, FRAME_LEN_MAX, REASON_LEN_MAX, Refusal},
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use support::{at, create, entity, name, process, text, under};

/// A mirror that has heard of an empty scene: it takes updates and complains if one does not fit.
fn replica() -> Mirror {
    let mut mirror = Mirror::new(PeerId::new(9).unwrap(), 1, MirrorLimits::default());
    mirror.join();
    let mut frame = Vec::new();
    Down::Begin { sequence: 0, answered: 0, resumed: false }.encode(&mut frame);
    Down::End { entities: 0 }.encode(&mut frame);
    mirror.receive(&frame).unwrap();
    mirror
}

fn drain(outbox: &mut Outbox, scene: &Scene, sequence: u64) -> Vec<Down> {
    let mut messages = Vec::new();
    while let Some(frame) = outbox.take(scene, sequence, 1024) {
        messages.extend(Down::decode(&frame).unwrap());
    }
    messages
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_final_state_comes_through(
        batches in prop::collection::vec((prop::collection::vec(any::<[u8; 4]>(), 1..5), 0u8..12), 1..120)
    ) {
        let mut scene = Scene::new(Limits::default());
        let mut outbox = Outbox::new();
        let mut replica = replica();
        let fresh: Vec<EntityId> = (1..=10).map(|n| entity(1, n)).collect();
        let mut sequence = 0;
        let (mut structure, mut pairs) = (0, BTreeSet::new());
        for (n, (wishes, take)) in batches.into_iter().enumerate() {
            let writer = process(1, n as u64 % 3 + 1);
            for wish in wishes {
                let Some(op) = support::op(&scene, &fresh, false, wish) else { continue };
                if scene.apply(writer, std::slice::from_ref(&op)).is_ok() {
                    sequence += 1;
                    outbox.push(sequence, writer, &op);
                    match op {
                        Op::Set(id, component) => { pairs.insert((id, component.kind())); }
                        Op::Unset(id, kind) => { pairs.insert((id, kind)); }
                        _ => structure += 1,
                    }
                }
            }
            // What was made anew under an old id may wait beside what is left of the old one.
            prop_assert!(outbox.len() <= 2 * structure + pairs.len());
            for _ in 0..take.saturating_sub(8) {
                if let Some(frame) = outbox.take(&scene, sequence, 1024) {
                    prop_assert!(frame.len() <= 1024);
                    replica.receive(&frame).unwrap();
                }
            }
            if outbox.is_empty() {
                prop_assert_eq!(text(replica.ordered()), text(&scene));
                (structure, pairs) = (0, BTreeSet::new());
            }
            prop_assert!(replica.sequence() <= sequence);
        }
        while let Some(frame) = outbox.take(&scene, sequence, 1 << 16) {
            replica.receive(&frame).unwrap();
        }
        prop_assert_eq!(text(replica.ordered()), text(&scene));
        prop_assert_eq!(replica.sequence(), sequence);
    }
}

#[test]
fn a_component_that_changes_again_is_sent_once_and_keeps_its_place() {
    let mut scene = Scene::new(Limits::default());
    let mut outbox = Outbox::new();
    let (me, a, b) = (process(1, 1), entity(1, 1), entity(1, 2));
    let ops = [
        create(a),
        Op::Set(a, at(1.0)),
        create(b),
        Op::Set(b, at(1.0)),
        Op::Set(a, at(2.0)),
        under(b, a),
        Op::Set(b, name("b")),
        Op::Unset(b, ComponentKind::Name),
    ];
    for (n, op) in ops.iter().enumerate() {
        scene.apply(me, std::slice::from_ref(op)).unwrap();
        outbox.push(n as u64 + 1, me, op);
    }
    let expected = vec![
        (me, vec![create(a), Op::Set(a, at(2.0)), create(b), Op::Set(b, at(1.0)), under(b, a)]),
        (process(0, 0), vec![Op::Unset(b, ComponentKind::Name)]),
    ];
    let update = Down::Update { sequence: 8, parts: expected };
    assert_eq!(drain(&mut outbox, &scene, 8), [update]);
}

#[test]
fn an_answer_replaces_what_it_outdates_and_keeps_its_place_in_the_order() {
    let mut scene = Scene::new(Limits::default());
    let mut outbox = Outbox::new();
    let (other, me, a) = (process(1, 1), process(2, 1), entity(1, 1));
    let mut sequence = 0;
    let mut apply = |scene: &mut Scene, writer, op: &Op| {
        sequence += 1;
        scene.apply(writer, std::slice::from_ref(op)).unwrap();
        sequence
    };
    let ops = [create(a), Op::Set(a, at(1.0)), Op::Set(a, name("old"))];
    for op in &ops {
        outbox.push(apply(&mut scene, other, op), other, op);
    }
    let mine = Op::Set(a, at(2.0));
    outbox.answer(apply(&mut scene, me, &mine), 1, Ok(()), &[mine]);
    let refusal = Refusal { errno: Errno::NotFound, reason: "é".repeat(REASON_LEN_MAX) };
    outbox.answer(4, 2, Err(refusal), &[]);
    let later = Op::Set(a, name("new"));
    outbox.push(apply(&mut scene, other, &later), other, &later);
    let messages = drain(&mut outbox, &scene, 5);
    let cut = Refusal { errno: Errno::NotFound, reason: "é".repeat(REASON_LEN_MAX / 2) };
    assert_eq!(
        messages,
        [
            Down::Update { sequence: 3, parts: vec![(other, vec![create(a), Op::Set(a, name("new"))])] },
            Down::Answer { number: 1, outcome: Ok(()) },
            Down::Answer { number: 2, outcome: Err(cut) },
            Down::Update { sequence: 5, parts: vec![] },
        ]
    );
}

#[test]
fn at_its_bound_it_drops_all_and_asks_for_a_snapshot() {
    let mut outbox = Outbox::new();
    let scene = Scene::new(Limits::default());
    let (me, a) = (process(1, 1), entity(1, 1));
    for n in 0..ITEMS_MAX as u64 {
        outbox.push(n + 1, me, &Op::Set(entity(1, n + 1), at(1.0)));
    }
    assert!(!outbox.needs_snapshot());
    outbox.push(ITEMS_MAX as u64 + 1, me, &Op::Set(a, at(2.0)));
    assert!(!outbox.needs_snapshot(), "a pair that waits already takes no room");
    outbox.push(ITEMS_MAX as u64 + 2, me, &create(entity(1, 0xffff_ffff)));
    assert!(outbox.needs_snapshot() && outbox.is_empty());
    outbox.push(ITEMS_MAX as u64 + 3, me, &Op::Set(a, at(3.0)));
    outbox.answer(ITEMS_MAX as u64 + 3, 1, Ok(()), &[]);
    assert!(outbox.is_empty());
    assert_eq!(outbox.take(&scene, 1, FRAME_LEN_MAX), None);
    outbox.clear();
    outbox.push(ITEMS_MAX as u64 + 4, me, &create(a));
    assert!(!outbox.needs_snapshot() && outbox.len() == 1);
}
