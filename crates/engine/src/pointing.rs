// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the pointer does to entities: one of them is under it, and has it to itself while a button is held.
//!
//! The rules are those of W3C Pointer Events with an implicit capture: what was pressed gets all that follows until
//! the last button is up, wherever the pointer is then. A press on what is no target has the pointer
//! too, so that nothing hears of a hand that is at something else.

use bevy::math::Vec3;
use hearth_abi::{
    EntityId, PeerId,
    pointer::{Event, Kind, MOUSE, NO_BUTTON, Wants},
    terminal::Modifiers,
};

use crate::{drawn::Met, sweep::Line};

/// How far the ray must turn, as the length between two directions of length 1, and how far its beginning must move
/// in metres, before a press becomes a drag: about five pixels of a usual picture, more than a hand trembles.
const DRAG_TURN: f32 = 0.007;
const DRAG_MOVE: f32 = 0.02;

/// What lies under the pointer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    /// `way` is of length 1.
    pub(crate) ray: Line,
    /// The nearest thing that is drawn there.
    pub(crate) met: Option<Met>,
    /// The target that it is, or is below of.
    pub(crate) target: Option<EntityId>,
}

/// What is known when something happens.
pub(crate) struct Now<'a> {
    /// `None` if the pointer is nowhere: outside of the window, or the user's hands are elsewhere.
    pub(crate) look: Option<Look>,
    pub(crate) modifiers: Modifiers,
    pub(crate) user: PeerId,
    /// What an entity wants, if it is a target.
    pub(crate) wants: &'a dyn Fn(EntityId) -> Option<Wants>,
}

/// What was pressed.
#[derive(Clone, Copy, Debug)]
struct Grip {
    /// `None`: something that is no target.
    target: Option<EntityId>,
    /// The button that began it.
    button: u8,
    /// That button is still down.
    is_held: bool,
    /// The ray when it went down.
    ray: Line,
    is_drag: bool,
}

/// Where the pointer is and what it holds.
#[derive(Debug, Default)]
pub(crate) struct Pointing {
    over: Option<EntityId>,
    grip: Option<Grip>,
    /// Buttons that are down, a bit for each.
    buttons: u8,
    /// What was told last.
    told: Option<Look>,
    /// Metres at which the ray last met the target.
    far: f32,
}

impl Pointing {
    /// The target that the pointer is on, or holds.
    pub(crate) fn target(&self) -> Option<EntityId> {
        match &self.grip {
            Some(grip) => grip.target,
            None => self.over,
        }
    }

    /// What is being dragged.
    pub(crate) fn dragged(&self) -> Option<EntityId> {
        self.grip.filter(|grip| grip.is_drag && grip.is_held)?.target
    }

    /// Whether anything would be told if the pointer were suddenly nowhere.
    pub(crate) fn is_idle(&self) -> bool {
        self.over.is_none() && self.grip.is_none()
    }

    /// Brings up to date what the pointer is on, and what it drags. Once a picture, and before all that follows.
    pub(crate) fn follow(&mut self, now: &Now<'_>, tell: &mut Vec<Event>) {
        // What is gone, or wants nothing any more, is told nothing.
        self.over = self.over.filter(|over| (now.wants)(*over).is_some());
        if let Some(grip) = &mut self.grip {
            grip.target = grip.target.filter(|target| (now.wants)(*target).is_some());
        }
        let target = now.look.and_then(|look| look.target);
        let met = now.look.and_then(|look| look.met).filter(|_| target.is_some());
        let has_moved = now.look.is_some() && now.look != self.told;
        if let Some(grip) = self.grip {
            if let (Some(held), true) = (grip.target, has_moved) {
                self.told = now.look;
                self.far = met.filter(|_| target == Some(held)).map_or(self.far, |met| met.distance);
                self.drag(held, now, tell);
            }
            return;
        }
        if target != self.over
            && let Some(left) = self.over.take()
        {
            self.say(Kind::Out, left, NO_BUTTON, now, tell);
        }
        self.far = met.map_or(self.far, |met| met.distance);
        if target != self.over {
            self.over = target;
            if let Some(entered) = target {
                self.say(Kind::Over, entered, NO_BUTTON, now, tell);
            }
        } else if let (Some(over), true) = (target, has_moved) {
            self.say(Kind::Move, over, NO_BUTTON, now, tell);
        }
        self.told = now.look;
    }

    fn drag(&mut self, target: EntityId, now: &Now<'_>, tell: &mut Vec<Event>) {
        let (Some(grip), Some(look)) = (&mut self.grip, now.look) else { return };
        let button = grip.button;
        let begins = grip.is_held && !grip.is_drag && {
            let turned = (look.ray.way - grip.ray.way).length();
            let moved = (look.ray.from - grip.ray.from).length();
            turned > DRAG_TURN || moved > DRAG_MOVE
        };
        grip.is_drag |= begins;
        let goes_on = grip.is_drag && grip.is_held;
        if begins {
            self.say(Kind::DragStart, target, button, now, tell);
        }
        self.say(Kind::Move, target, button, now, tell);
        if goes_on {
            self.say(Kind::Drag, target, button, now, tell);
        }
    }

    /// A button went down.
    pub(crate) fn press(&mut self, button: u8, now: &Now<'_>, tell: &mut Vec<Event>) {
        let Some(bit) = bit(button).filter(|bit| self.buttons & bit == 0) else { return };
        // A hand that is elsewhere presses nothing.
        let Some(look) = now.look else { return };
        self.buttons |= bit;
        let grip = *self.grip.get_or_insert(Grip {
            target: look.target,
            button,
            is_held: true,
            ray: look.ray,
            is_drag: false,
        });
        if let Some(target) = grip.target {
            self.say(Kind::Press, target, button, now, tell);
        }
    }

    /// A button went up. `onto` is what lies under the pointer beside what is dragged.
    pub(crate) fn release(
        &mut self,
        button: u8,
        now: &Now<'_>,
        onto: Option<EntityId>,
        tell: &mut Vec<Event>,
    ) {
        let Some(bit) = bit(button).filter(|bit| self.buttons & bit != 0) else { return };
        self.buttons &= !bit;
        let Some(mut grip) = self.grip else { return };
        let ends = grip.button == button && grip.is_held;
        if let Some(target) = grip.target {
            self.say(Kind::Release, target, button, now, tell);
            let is_drag = grip.is_drag && wants(now, target, Wants::DRAG);
            let is_on_it = now.look.is_some_and(|look| look.target == Some(target));
            if ends && !is_drag && is_on_it {
                self.say(Kind::Click, target, button, now, tell);
            }
            if ends && grip.is_drag {
                self.end_drag(target, onto, button, now, tell);
            }
        }
        grip.is_held &= !ends;
        self.grip = (self.buttons != 0).then_some(grip);
        if self.grip.is_none() {
            self.follow(now, tell);
        }
    }

    fn end_drag(
        &self,
        target: EntityId,
        onto: Option<EntityId>,
        button: u8,
        now: &Now<'_>,
        tell: &mut Vec<Event>,
    ) {
        // Only what asked to be dragged is dropped.
        let onto = onto.filter(|onto| wants(now, *onto, Wants::DROP) && wants(now, target, Wants::DRAG));
        if let Some(onto) = onto {
            self.say(Kind::Drop, onto, button, now, tell);
            if let Some(drop) = tell.last_mut() {
                drop.other = Some(target);
            }
        }
        let before = tell.len();
        self.say(Kind::DragEnd, target, button, now, tell);
        if let Some(end) = tell.get_mut(before) {
            end.other = onto;
        }
    }

    /// The wheel turned, in lines right and up.
    pub(crate) fn wheel(&mut self, lines: [f32; 2], now: &Now<'_>, tell: &mut Vec<Event>) {
        let Some(target) = self.target() else { return };
        let before = tell.len();
        self.say(Kind::Wheel, target, NO_BUTTON, now, tell);
        if let Some(event) = tell.get_mut(before) {
            event.wheel = lines.map(|lines| if lines.is_finite() { lines } else { 0.0 });
        }
    }

    /// The window has lost the user's hands: what is held will not be released.
    pub(crate) fn cancel(&mut self, now: &Now<'_>, tell: &mut Vec<Event>) {
        self.buttons = 0;
        let Some(grip) = self.grip.take() else { return };
        let Some(target) = grip.target else { return };
        if grip.is_drag && grip.is_held {
            self.end_drag(target, None, grip.button, now, tell);
        }
        self.say(Kind::Cancel, target, grip.button, now, tell);
    }

    /// Tells a target, if it wants that.
    fn say(&self, kind: Kind, entity: EntityId, button: u8, now: &Now<'_>, tell: &mut Vec<Event>) {
        if !wants(now, entity, kind.wanted_by()) {
            return;
        }
        // A pointer that is nowhere was somewhere.
        let Some(look) = now.look.or(self.told) else { return };
        let met = look.met.filter(|_| look.target == Some(entity));
        let (distance, point, normal) = match &met {
            Some(met) => (met.distance, met.point, met.normal),
            None => (self.far, look.ray.at(self.far), Vec3::ZERO),
        };
        let event = Event {
            kind,
            pointer: MOUSE,
            button,
            buttons: self.buttons,
            modifiers: now.modifiers,
            user: now.user,
            entity,
            hit: met.map(|met| met.id),
            other: None,
            from: look.ray.from.to_array(),
            way: look.ray.way.to_array(),
            distance,
            point: point.to_array(),
            normal: normal.to_array(),
            wheel: [0.0; 2],
        };
        tell.push(event);
    }
}

fn wants(now: &Now<'_>, entity: EntityId, what: Wants) -> bool {
    (now.wants)(entity).is_some_and(|wants| wants.any(what))
}

/// The bit of a button, of those that have one.
fn bit(button: u8) -> Option<u8> {
    (button < 8).then(|| 1 << button)
}

#[cfg(test)]
mod tests;
