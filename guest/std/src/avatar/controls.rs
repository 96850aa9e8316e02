// SPDX-License-Identifier: AGPL-3.0-or-later
//! Keys and mouse, and what they mean.

use hearth_sdk::{
    abi::{
        input::{Event, Press, key},
        pointer::Wants,
    },
    prelude::*,
};
use std::collections::BTreeSet;

/// Radians for each logical pixel that the mouse moves.
const TURN_PER_PIXEL: f32 = 0.0022;
/// Radians for each second that an arrow key is held.
const TURN_PER_SEC: f32 = 1.6;
/// Metres a second in flight, and on foot.
const SPEED: f32 = 3.2;
const WALK: f32 = 2.6;
/// How many times faster than that one runs with Shift, and what the wheel may make of it.
const RUN: f32 = 2.1;
const WHEEL_ON_FOOT: [f32; 2] = [0.4, 2.0];
/// A jump that is asked for so shortly before the ground is reached is made there.
const JUMP_SOON: f32 = 0.15;
/// Held to point at something; beside F, as on most keyboards.
const POINTS: u16 = 0x0A;
/// A click that is meant for something else is said to be so within this many pictures.
const CLICK_PICTURES: u8 = 2;
/// What clicks are for.
const TOUCHED: Wants = Wants::PRESS.and(Wants::DRAG);
/// How many times faster with Shift.
const FASTER: f32 = 4.0;

/// Something that the user wants once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wish {
    /// The pointer captured, or free.
    Capture(bool),
    /// The keys shown, or hidden.
    Keys,
    /// There is somebody: this is their first event.
    Greet,
    /// A terminal: they know how to begin.
    Terminal,
    /// On foot, or in flight.
    Fly,
}

/// What is held, and what has come together since the last picture.
#[derive(Default)]
pub(super) struct Controls {
    held: BTreeSet<u16>,
    captured: bool,
    greeted: bool,
    /// Something else takes clicks and the wheel.
    busy: bool,
    /// The keyboard is something else's until then.
    typing_until: Duration,
    /// What the thing under the pointer takes.
    target: Wants,
    /// Pictures until a click captures the pointer, if nobody says meanwhile that it was theirs.
    click: Option<u8>,
    mouse: [f32; 2],
    wheel: f32,
    /// Seconds for which a jump is still asked for.
    jump: f32,
    /// Where the free pointer is, and the size of the picture.
    pointer: Option<([f32; 2], [f32; 2])>,
}

impl Controls {
    /// Takes an event.
    pub(super) fn take(&mut self, event: &Event, now: Duration) -> Option<Wish> {
        match event {
            // Not for the flight; what was held before is let go of as ever.
            Event::Key { press: Press::Pressed | Press::Repeated, .. } if now < self.typing_until => {}
            Event::Key { code, press: Press::Pressed } => {
                self.held.insert(*code);
                match *code {
                    key::ESCAPE => return Some(Wish::Capture(false)),
                    key::F1 => {
                        self.greeted = true;
                        return Some(Wish::Keys);
                    }
                    key::T => {
                        self.greeted = true;
                        return Some(Wish::Terminal);
                    }
                    key::F => {
                        self.greeted = true;
                        return Some(Wish::Fly);
                    }
                    key::SPACE => self.jump = JUMP_SOON,
                    _ => {}
                }
            }
            Event::Key { code, press: Press::Released } => {
                self.held.remove(code);
            }
            Event::Button { button: 0, press: Press::Pressed, .. } if !self.captured && !self.busy => {
                self.click = Some(CLICK_PICTURES);
            }
            Event::Target { wants, .. } => self.target = *wants,
            Event::Motion(by) if self.captured => {
                self.mouse[0] += by[0];
                self.mouse[1] += by[1];
            }
            Event::Wheel([_, up]) if !self.busy && !self.target.any(Wants::WHEEL) => {
                self.wheel = (self.wheel + up).clamp(-8.0, 8.0)
            }
            Event::Captured(on) => self.captured = *on,
            Event::Pointer { at, picture } => self.pointer = Some((*at, *picture)),
            // Whose key went up meanwhile is not told.
            Event::Focus(false) => self.held.clear(),
            _ => {}
        }
        let first = !self.greeted;
        self.greeted = true;
        first.then_some(Wish::Greet)
    }

    /// The keyboard is something else's until then.
    pub(super) fn set_typing(&mut self, until: Duration) {
        self.typing_until = until;
        self.held.clear();
    }

    /// Something else takes clicks and the wheel, or does not.
    pub(super) fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
        if busy {
            self.click = None;
        }
    }

    /// Whether the last click captures the pointer now; asked once a picture.
    pub(super) fn captures_now(&mut self) -> bool {
        match self.click {
            // What the pointer is on was told after the button.
            Some(CLICK_PICTURES) if self.target.any(TOUCHED) => {
                self.click = None;
                false
            }
            Some(0) => {
                self.click = None;
                true
            }
            Some(left) => {
                self.click = Some(left - 1);
                false
            }
            None => false,
        }
    }

    fn axis(&self, more: &[u16], less: &[u16]) -> f32 {
        let any = |keys: &[u16]| f32::from(keys.iter().any(|key| self.held.contains(key)));
        any(more) - any(less)
    }

    /// Radians to turn right and up: what the mouse did, and the arrow keys over this many seconds.
    pub(super) fn turn(&mut self, step: f32) -> [f32; 2] {
        let [x, y] = std::mem::take(&mut self.mouse);
        let keys = [self.axis(&[key::RIGHT], &[key::LEFT]), self.axis(&[key::UP], &[key::DOWN])];
        [
            x * TURN_PER_PIXEL + keys[0] * TURN_PER_SEC * step,
            -y * TURN_PER_PIXEL + keys[1] * TURN_PER_SEC * step,
        ]
    }

    /// Whether the user wants to get somewhere.
    pub(super) fn moves(&self) -> bool {
        const KEYS: [u16; 8] = [key::W, key::A, key::S, key::D, key::SPACE, key::E, key::C, key::Q];
        KEYS.iter().any(|key| self.held.contains(key))
    }

    /// Whether they ask for up or down, which only flight has.
    pub(super) fn soars(&self) -> bool {
        [key::E, key::C, key::Q].iter().any(|key| self.held.contains(key))
    }

    /// Whether they point at something.
    pub(super) fn points(&self) -> bool {
        self.held.contains(&POINTS)
    }

    /// Where the pointer is, if it is free, and the size of the picture.
    pub(super) fn pointer(&self) -> Option<([f32; 2], [f32; 2])> {
        self.pointer.filter(|_| !self.captured)
    }

    /// Whether a jump is asked for; a step later it may not be any more.
    pub(super) fn jumps(&mut self, step: f32) -> bool {
        let jumps = self.jump > 0.0;
        self.jump -= step;
        jumps
    }

    /// The jump is made.
    pub(super) fn jumped(&mut self) {
        self.jump = 0.0;
    }

    /// Metres a second to the right and backwards that the keys ask for, on foot.
    pub(super) fn walk(&self) -> Vec3 {
        let way = vec3(self.axis(&[key::D], &[key::A]), 0.0, self.axis(&[key::S], &[key::W]));
        let fast = if self.held.contains(&key::LEFT_SHIFT) { RUN } else { 1.0 };
        let [least, most] = WHEEL_ON_FOOT;
        let speed = WALK * fast * 1.2f32.powf(self.wheel).clamp(least, most);
        way.unit().map_or(Vec3::ZERO, |way| way * speed)
    }

    /// Metres a second to the right, up and backwards that the keys ask for, in flight.
    pub(super) fn speed(&self) -> Vec3 {
        let way = vec3(
            self.axis(&[key::D], &[key::A]),
            self.axis(&[key::SPACE, key::E], &[key::C, key::Q]),
            self.axis(&[key::S], &[key::W]),
        );
        let fast = if self.held.contains(&key::LEFT_SHIFT) { FASTER } else { 1.0 };
        let speed = SPEED * fast * 1.2f32.powf(self.wheel);
        way.unit().map_or(Vec3::ZERO, |way| way * speed)
    }
}
