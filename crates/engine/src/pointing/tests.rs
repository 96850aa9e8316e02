// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is told of a pointer, as lists of kinds and entities.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use std::collections::BTreeMap;

const A: u64 = 10;
const B: u64 = 20;
/// A part of A, that is no target itself.
const PART: u64 = 11;

fn id(bits: u64) -> EntityId {
    EntityId::from_bits(bits)
}

/// A look at something: what is hit, its target, and how far to the right the ray goes.
fn look(hit: Option<u64>, target: Option<u64>, right: f32) -> Option<Look> {
    let ray = Line { from: Vec3::ZERO, way: Vec3::new(right, 0.0, -1.0).normalize() };
    let met = hit.map(|hit| Met { id: id(hit), distance: 2.0, point: ray.at(2.0), normal: Vec3::Z });
    Some(Look { ray, met, target: target.map(id) })
}

fn at(entity: u64, right: f32) -> Option<Look> {
    look(Some(entity), Some(entity), right)
}

/// The floor, which is no target, or the sky.
fn floor(right: f32) -> Option<Look> {
    look(Some(99), None, right)
}

fn sky() -> Option<Look> {
    look(None, None, 0.7)
}

struct Hand {
    pointing: Pointing,
    wants: BTreeMap<u64, Wants>,
    look: Option<Look>,
    told: Vec<Event>,
}

impl Hand {
    fn new(wants: Wants) -> Hand {
        let wants = [(A, wants), (B, wants)].into();
        Hand { pointing: Pointing::default(), wants, look: None, told: Vec::new() }
    }

    fn now(&mut self, act: impl FnOnce(&mut Pointing, &Now<'_>, &mut Vec<Event>)) -> Vec<(Kind, u64)> {
        let wants = &self.wants;
        let now = Now {
            look: self.look,
            modifiers: Modifiers::CONTROL,
            user: PeerId::new(3).unwrap(),
            wants: &|entity| wants.get(&entity.to_bits()).copied(),
        };
        self.told.clear();
        act(&mut self.pointing, &now, &mut self.told);
        for event in &self.told {
            // All that is told can be read.
            assert_eq!(Event::decode(&event.encode()), Ok(*event));
        }
        self.told.iter().map(|event| (event.kind, event.entity.to_bits())).collect()
    }

    fn looks(&mut self, look: Option<Look>) -> Vec<(Kind, u64)> {
        self.look = look;
        self.now(|pointing, now, tell| pointing.follow(now, tell))
    }

    fn presses(&mut self, button: u8) -> Vec<(Kind, u64)> {
        self.now(|pointing, now, tell| pointing.press(button, now, tell))
    }

    fn releases(&mut self, button: u8) -> Vec<(Kind, u64)> {
        self.releases_onto(button, None)
    }

    fn releases_onto(&mut self, button: u8, onto: Option<u64>) -> Vec<(Kind, u64)> {
        self.now(|pointing, now, tell| pointing.release(button, now, onto.map(id), tell))
    }
}

#[test]
fn what_is_under_the_pointer_hears_that_it_comes_moves_and_goes() {
    let mut hand = Hand::new(Wants::ALL);
    assert_eq!(hand.looks(sky()), []);
    assert_eq!(hand.looks(at(A, 0.0)), [(Kind::Over, A)]);
    assert_eq!((hand.told[0].distance, hand.told[0].normal), (2.0, [0.0, 0.0, 1.0]));
    assert_eq!((hand.told[0].user.number(), hand.told[0].modifiers), (3, Modifiers::CONTROL));
    assert_eq!(hand.looks(at(A, 0.0)), [], "nothing has moved");
    assert_eq!(hand.looks(look(Some(PART), Some(A), 0.01)), [(Kind::Move, A)]);
    assert_eq!(hand.told[0].hit, Some(id(PART)));
    assert_eq!(hand.looks(at(B, 0.1)), [(Kind::Out, A), (Kind::Over, B)]);
    assert_eq!(hand.told[0].hit, None);
    assert_eq!(hand.looks(floor(0.2)), [(Kind::Out, B)]);
    assert_eq!(hand.looks(at(A, 0.3)), [(Kind::Over, A)]);
    // The pointer leaves the window.
    assert_eq!(hand.looks(None), [(Kind::Out, A)]);
    assert_eq!(hand.told[0].way, Vec3::new(0.3, 0.0, -1.0).normalize().to_array());
    assert_eq!(hand.looks(None), []);
    assert!(hand.pointing.is_idle());
}

#[test]
fn nobody_hears_what_it_does_not_want() {
    let mut hand = Hand::new(Wants::PRESS);
    assert_eq!(hand.looks(at(A, 0.0)), []);
    assert_eq!(hand.looks(at(A, 0.1)), []);
    assert_eq!(hand.presses(0), [(Kind::Press, A)]);
    assert_eq!(hand.looks(at(A, 0.3)), []);
    // Who does not drag is clicked, also by a hand that trembles.
    assert_eq!(hand.releases(0), [(Kind::Release, A), (Kind::Click, A)]);
    assert_eq!(hand.now(|pointing, now, tell| pointing.wheel([0.0, 1.0], now, tell)), []);
    hand.wants.insert(A, Wants::NOTHING);
    assert_eq!(hand.looks(at(A, 0.0)), []);
    assert_eq!((hand.presses(0), hand.releases(0)), (vec![], vec![]));
}

#[test]
fn what_is_pressed_has_the_pointer_until_the_last_button_is_up() {
    let mut hand = Hand::new(Wants::HOVER.and(Wants::MOVE).and(Wants::PRESS));
    hand.looks(at(A, 0.0));
    assert_eq!(hand.presses(0), [(Kind::Press, A)]);
    assert!(hand.told[0].is_down(0) && !hand.told[0].is_down(1));
    assert_eq!(hand.presses(0), [], "a button that is down does not go down");
    assert_eq!(hand.looks(at(B, 0.5)), [(Kind::Move, A)]);
    assert_eq!(hand.told[0].hit, None, "it is not on it");
    assert_eq!((hand.told[0].distance, hand.told[0].normal), (2.0, [0.0; 3]));
    assert_eq!(hand.presses(1), [(Kind::Press, A)]);
    assert_eq!(hand.releases(0), [(Kind::Release, A)], "it is not clicked");
    assert_eq!(hand.looks(at(B, 0.6)), [(Kind::Move, A)]);
    assert_eq!(hand.releases(1), [(Kind::Release, A), (Kind::Out, A), (Kind::Over, B)]);
    assert_eq!(hand.releases(1), [], "a button that is up does not go up");
}

#[test]
fn a_press_on_what_is_no_target_is_nobodys() {
    let mut hand = Hand::new(Wants::ALL);
    hand.looks(floor(0.0));
    assert_eq!(hand.presses(0), []);
    assert_eq!(hand.looks(at(A, 0.1)), [], "the hand is at something else");
    assert_eq!(hand.pointing.target(), None);
    assert_eq!(hand.releases(0), [(Kind::Over, A)]);
    // A hand that is elsewhere presses nothing.
    hand.looks(None);
    assert_eq!((hand.presses(0), hand.releases(0)), (vec![], vec![]));
}

#[test]
fn a_drag_begins_with_a_motion_and_ends_on_something() {
    let mut hand = Hand::new(Wants::DRAG.and(Wants::DROP).and(Wants::PRESS));
    hand.looks(at(A, 0.0));
    hand.presses(0);
    assert_eq!(hand.looks(at(A, 0.001)), [], "a hand trembles");
    assert_eq!(hand.pointing.dragged(), None);
    assert_eq!(hand.looks(at(A, 0.02)), [(Kind::DragStart, A), (Kind::Drag, A)]);
    assert_eq!(hand.pointing.dragged(), Some(id(A)));
    assert_eq!(hand.looks(at(B, 0.2)), [(Kind::Drag, A)]);
    let end = hand.releases_onto(0, Some(B));
    assert_eq!(end, [(Kind::Release, A), (Kind::Drop, B), (Kind::DragEnd, A)]);
    assert_eq!((hand.told[1].other, hand.told[2].other), (Some(id(A)), Some(id(B))));
    // On something that takes nothing.
    hand.wants.insert(B, Wants::PRESS);
    hand.looks(at(A, 0.0));
    hand.presses(0);
    hand.looks(at(A, 0.1));
    assert_eq!(hand.releases_onto(0, Some(B)), [(Kind::Release, A), (Kind::DragEnd, A)]);
    assert_eq!(hand.told[1].other, None);
    // What did not ask to be dragged is not dropped.
    hand.wants = [(A, Wants::PRESS), (B, Wants::DROP)].into();
    hand.presses(0);
    hand.looks(at(B, 0.3));
    assert_eq!(hand.releases_onto(0, Some(B)), [(Kind::Release, A)]);
}

#[test]
fn a_step_of_the_user_is_a_drag_too() {
    let mut hand = Hand::new(Wants::DRAG);
    hand.looks(at(A, 0.0));
    hand.presses(0);
    let mut moved = at(A, 0.0).unwrap();
    moved.ray.from.x += 0.1;
    assert_eq!(hand.looks(Some(moved)), [(Kind::DragStart, A), (Kind::Drag, A)]);
}

#[test]
fn what_will_not_be_released_is_cancelled() {
    let mut hand = Hand::new(Wants::ALL);
    hand.looks(at(A, 0.0));
    hand.presses(0);
    hand.looks(at(A, 0.1));
    let cancelled = hand.now(|pointing, now, tell| pointing.cancel(now, tell));
    assert_eq!(cancelled, [(Kind::DragEnd, A), (Kind::Cancel, A)]);
    assert_eq!(hand.told[1].buttons, 0);
    assert_eq!(hand.releases(0), []);
    assert_eq!(hand.looks(None), [(Kind::Out, A)]);
    assert_eq!(hand.now(|pointing, now, tell| pointing.cancel(now, tell)), []);
}

#[test]
fn what_is_gone_is_told_nothing() {
    let mut hand = Hand::new(Wants::ALL);
    hand.looks(at(A, 0.0));
    hand.presses(0);
    hand.wants.remove(&A);
    assert_eq!(hand.looks(at(B, 0.1)), []);
    assert_eq!(hand.releases(0), [(Kind::Over, B)]);
    hand.wants.remove(&B);
    assert_eq!(hand.looks(floor(0.2)), []);
    assert!(hand.pointing.is_idle());
}

#[test]
fn the_wheel_turns_on_what_is_under_the_pointer() {
    let mut hand = Hand::new(Wants::WHEEL);
    hand.looks(at(A, 0.0));
    let turned = |hand: &mut Hand, lines| hand.now(|pointing, now, tell| pointing.wheel(lines, now, tell));
    assert_eq!(turned(&mut hand, [0.0, -2.0]), [(Kind::Wheel, A)]);
    assert_eq!(hand.told[0].wheel, [0.0, -2.0]);
    assert_eq!(turned(&mut hand, [f32::NAN, f32::INFINITY]), [(Kind::Wheel, A)]);
    assert_eq!(hand.told[0].wheel, [0.0; 2]);
    hand.looks(floor(0.0));
    assert_eq!(turned(&mut hand, [0.0, 1.0]), []);
}
