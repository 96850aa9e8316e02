// SPDX-License-Identifier: AGPL-3.0-or-later
//! The gallery, built natively: that all of it is made, what it costs, and that it stands still when it is told to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_sdk::{
    EntityId,
    abi::{
        pointer::Kind,
        scene::{Component, Op},
    },
    prelude::*,
    testing::{self, pointer_event},
};
use hearth_std::gallery::{self, STANDS, Stand, VIEW_DISTANCE};
use std::{collections::BTreeSet, mem::discriminant};

/// Runs it for so long, and gives the batches that it made.
fn after(args: &[&str], secs: u64) -> Vec<Vec<Op>> {
    testing::set_args(args);
    assert_eq!(testing::run_for(gallery::run(), Duration::from_secs(secs)), None);
    let errors: Vec<_> = testing::logs().into_iter().filter(|(level, _)| *level <= 2).collect();
    assert!(errors.is_empty(), "{errors:?}");
    testing::batches()
}

fn named(ops: &[Op], wanted: &str) -> EntityId {
    let named = ops.iter().find_map(|op| match op {
        Op::Set(id, Component::Name(name)) if name == wanted => Some(*id),
        _ => None,
    });
    named.unwrap()
}

#[test]
fn every_stand_is_made_at_a_bounded_cost() {
    let batches = after(&["still"], 1);
    let ops = batches.concat();
    (1..=STANDS).for_each(|number| assert!(named(&ops, &format!("stand {number}")).to_bits() > 0));
    let entities = ops.iter().filter(|op| matches!(op, Op::Create(..))).count();
    assert!((400..900).contains(&entities), "{entities} entities");
    let largest = batches.iter().map(|ops| {
        let mut bytes = Vec::new();
        ops.iter().for_each(|op| op.encode(&mut bytes));
        bytes.len()
    });
    let largest = largest.max().unwrap();
    assert!(largest < 64 << 10, "{largest} bytes in a batch");
    let lumps = testing::lumps();
    let bytes: usize = lumps.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!((20..80).contains(&lumps.len()) && bytes < 3 << 20, "{} lumps, {bytes} bytes", lumps.len());
}

/// Eye and ears are the visitor's, a terminal comes when the machine has opened it; what is hidden, heard or hazy when it is
/// asked for.
const NOT_AT_FIRST: [&str; 6] = ["Camera", "Hidden", "Terminal", "Sound", "Fog", "Listener"];

#[test]
fn it_has_something_of_every_kind() {
    let ops = after(&[], 1).concat();
    let kinds = ops.iter().filter_map(|op| match op {
        Op::Set(_, component) => Some(component.kind()),
        _ => None,
    });
    let kinds: BTreeSet<_> = kinds.map(|kind| kind as u16).collect();
    let missing: Vec<&str> = hearth_sdk::abi::scene::ComponentKind::ALL
        .iter()
        .filter(|kind| !kinds.contains(&(**kind as u16)))
        .map(|kind| kind.name())
        .collect();
    assert_eq!(missing, NOT_AT_FIRST);
}

#[test]
fn nothing_moves_when_it_is_to_be_still() {
    let built = after(&["still"], 1).len();
    assert_eq!(after(&["still"], 20).len(), built);
    let ops = after(&["still"], 1).concat();
    for op in &ops {
        match op {
            Op::Set(_, Component::Animation(animation)) => assert!(animation.paused),
            Op::Set(_, Component::Particles(particles)) => assert!(particles.lifetime[0] > 1e5),
            _ => {}
        }
    }
    let moving = after(&[], 20);
    assert!(moving.len() > built + 1000, "{} batches", moving.len());
}

#[test]
fn what_is_pressed_answers() {
    // The ids are the same each time, but that they go on.
    let first = hearth_sdk::scene::new_id().unwrap().to_bits() + 1;
    let ops = after(&["still"], 1).concat();
    let offset = |name: &str| named(&ops, name).to_bits() - first;
    let next = hearth_sdk::scene::new_id().unwrap().to_bits() + 1;
    for name in ["sparks", "bell: inverse", "lid", "button"] {
        let id = EntityId::from_bits(next + offset(name));
        testing::pointer(&pointer_event(Kind::Press, id));
        testing::pointer(&pointer_event(Kind::Click, id));
    }
    let ops = after(&["still"], 5).concat();
    let set = |wanted: Component| {
        ops.iter()
            .any(|op| matches!(op, Op::Set(_, component) if discriminant(component) == discriminant(&wanted)))
    };
    assert!(set(Component::Hidden(true)));
    let sounds = ops.iter().filter(|op| matches!(op, Op::Set(_, Component::Sound(_)))).count();
    assert_eq!(sounds, 1);
    let sprays = |op: &&Op| matches!(op, Op::Set(_, Component::Name(name)) if name == "~sparks");
    assert_eq!(ops.iter().filter(sprays).count(), 1);
    let says = |op: &Op| matches!(op, Op::Set(_, Component::Text(text)) if text.text == "visitor: 1");
    assert!(ops.iter().any(says));
}

#[test]
fn stands_are_where_one_walks_past_them() {
    for number in 1..=STANDS {
        let stand = Stand::number(number);
        let eye = stand.eye();
        assert!(eye.x.abs() < 2.7, "{number}: one looks from {eye:?}");
        let away = (eye - stand.place).length();
        assert!((away - VIEW_DISTANCE.hypot(eye.y)).abs() < 1e-3);
        assert!((stand.inside(stand.outside(Vec3::X)) - Vec3::X).length() < 1e-5);
    }
}
