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
/// Metres a second.
const SPEED: f32 = 3.2;
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

    /// Metres a second to the right, up and backwards that the keys ask for.
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
