// SPDX-License-Identifier: AGPL-3.0-or-later
//! What users' pointers do to an interface. Several may be at it at once; what one holds, others leave alone.

use super::Ui;
use crate::{
    layout::Key,
    paint::{LEVEL, OVER},
    place::meets,
    widget::{At, Deed, Focus, Touch, Widget, With},
};
use hearth_sdk::{
    PeerId, peer_name,
    pointer::{Event, Kind, Modifiers},
    spawn_local, time,
};
use std::{collections::BTreeSet, time::Duration};

/// Most users whose pointers are heeded at once; others wait until one of them has left, or does nothing.
const HANDS_MAX: usize = 64;
/// Another user may take over what is held after so long without a motion of who holds it.
const LET_GO: Duration = Duration::from_secs(3);
/// One of too many users is forgotten who has done nothing for so long.
const GONE: Duration = Duration::from_secs(10);
/// How often it is looked whether those whose hands are at it are still in the space.
const LOOK: Duration = Duration::from_secs(1);
/// Longest time between two presses that count as one double press, and how far apart they may be in metres.
const AGAIN: Duration = Duration::from_millis(400);
const NEAR: f32 = 0.01;

/// What one user's pointer is at.
#[derive(Clone, Debug, Default)]
pub(super) struct Hand {
    pub(super) over: Option<Key>,
    pub(super) held: Option<Key>,
    /// What is held was pressed where it stands over everything.
    holds_over: bool,
    seen_at: Duration,
    pressed_at: Option<(Duration, [f32; 2])>,
    presses: u8,
}

/// What a pointer is on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hit {
    Widget { key: Key, at: [f32; 2], is_over: bool },
    Toast(u64),
    Nothing,
}

impl<M: Clone + 'static> Ui<M> {
    /// Takes what a pointer did.
    pub(super) fn pointer(&mut self, event: &Event) {
        let now = time::monotonic();
        self.touched_at = now;
        let user = event.user;
        if !self.hands.contains_key(&user) && self.hands.len() >= HANDS_MAX && !self.forget_hand(now) {
            return;
        }
        self.hands.entry(user).or_default().seen_at = now;
        // Who holds something is on it until they let go. Who comes anew was gone meanwhile, and has not said so.
        if event.kind == Kind::Over && !event.is_down(0) {
            self.cancel(user);
        }
        match event.kind {
            Kind::Over | Kind::Move => self.moved(event),
            Kind::Out => self.left(event),
            Kind::Press if event.button == 0 => self.pressed(event, now),
            Kind::Release if event.button == 0 => {
                let hit = self.hit(event);
                self.let_go(event, hit);
            }
            Kind::Cancel => self.cancel(user),
            Kind::Wheel => self.wheel(event),
            _ => {}
        }
    }

    /// What a user holds will not be let go.
    fn cancel(&mut self, user: PeerId) {
        if let Some(key) = self.hands.get_mut(&user).and_then(|hand| hand.held.take()) {
            self.withdraw(key, user, Deed::Cancel);
        }
    }

    /// A user's pointer does something to a widget without being there.
    fn withdraw(&mut self, key: Key, user: PeerId, deed: Deed) {
        self.is_stale = true;
        if !self.forest.is_disabled(key) {
            let touch = Touch { deed, at: [-1.0; 2], user, shift: false, is_held: false };
            self.with_widget(key, user, |widget, at, with| widget.pointer(&touch, at, with));
        }
    }

    /// When it is to be looked next whether those whose hands are at it are still there. The user of this peer is.
    pub(super) fn next_look(&self) -> Option<Duration> {
        let me = hearth_sdk::peer();
        self.users().any(|user| user != me).then(|| self.looked_at + LOOK)
    }

    /// All whose pointers or keyboards are at it, some more than once.
    fn users(&self) -> impl Iterator<Item = PeerId> {
        self.hands.keys().copied().chain(self.typists())
    }

    /// Forgets who has left the space: they do not say so, as when their peer was killed.
    pub(super) fn forget_absent(&mut self, now: Duration) {
        self.looked_at = now;
        let me = hearth_sdk::peer();
        let all: BTreeSet<PeerId> = self.users().collect();
        for user in all.into_iter().filter(|user| *user != me && peer_name(*user).is_none()) {
            self.cancel(user);
            if let Some(over) = self.hands.remove(&user).and_then(|hand| hand.over) {
                self.withdraw(over, user, Deed::Out);
            }
            self.lose_keyboard(user);
        }
    }

    /// Forgets a user who has done nothing for long, if there is one: who is out of reach does not say so.
    fn forget_hand(&mut self, now: Duration) -> bool {
        let oldest =
            self.hands.iter().min_by_key(|(_, hand)| hand.seen_at).map(|(user, hand)| (*user, hand.seen_at));
        let gone = oldest.filter(|(_, seen)| now >= *seen + GONE);
        if let Some((user, _)) = gone {
            self.hands.remove(&user);
            self.is_stale = true;
        }
        gone.is_some()
    }

    /// Where the pointer is on the plane so far before the front: metres from the left upper corner.
    fn place_on(&self, event: &Event, level: f32) -> Option<[f32; 2]> {
        let [x, y] = meets(self.place.ray(event.from, event.way), level * LEVEL)?;
        Some([x + self.size[0] * 0.5, self.size[1] * 0.5 - y])
    }

    fn hit(&self, event: &Event) -> Hit {
        if let Some(at) = self.place_on(event, OVER) {
            if let Some(number) = self.toasts.at(&self.theme, self.size, at) {
                return Hit::Toast(number);
            }
            let over = self.overs().into_iter().rev().find(|(_, rect)| rect.holds(at));
            if let Some((key, _)) = over {
                return Hit::Widget { key, at, is_over: true };
            }
        }
        let Some(at) = self.place_on(event, 1.0) else { return Hit::Nothing };
        match self.deepest(self.top, at) {
            Some(key) => Hit::Widget { key, at, is_over: false },
            None => Hit::Nothing,
        }
    }

    fn deepest(&self, node: Key, at: [f32; 2]) -> Option<Key> {
        let slot = self.forest.slots.get(&node)?;
        if !slot.rect?.holds(at) {
            return None;
        }
        let children = self.forest.children(node);
        let deeper = children.into_iter().rev().find_map(|child| self.deepest(child, at));
        deeper.or_else(|| slot.widget.touches().then_some(node))
    }

    /// Lets a widget do something, and does what it asks for in turn.
    pub(super) fn with_widget<R>(
        &mut self,
        key: Key,
        user: PeerId,
        deed: impl FnOnce(&mut dyn Widget<M>, &At<'_>, &mut With<M>) -> R,
    ) -> Option<R> {
        let rect = self.forest.slots.get(&key)?.rect.unwrap_or_default();
        let at = self.at(key, rect, &self.theme);
        let slot = self.forest.slots.get_mut(&key)?;
        let mut with = With::default();
        let result = deed(slot.widget.as_mut(), &at, &mut with);
        for message in std::mem::take(&mut with.said) {
            self.say(message, user);
        }
        if let Some(text) = with.copy {
            self.copy(&text, user);
        }
        if with.paste && user == hearth_sdk::peer() {
            self.paste = Some((key, spawn_local(hearth_sdk::clipboard::read())));
        }
        if with.leave {
            self.blur_on(key);
        }
        Some(result)
    }

    fn touch(&mut self, key: Key, event: &Event, deed: Deed, at: [f32; 2], is_held: bool) -> bool {
        if self.forest.is_disabled(key) {
            return true;
        }
        let shift = event.modifiers.0 & Modifiers::SHIFT.0 != 0;
        let touch = Touch { deed, at, user: event.user, shift, is_held };
        // Motions are many, and change what is under them.
        let scrolls = self.forest.slots.get(&key).is_some_and(|slot| slot.widget.flow(&self.theme).is_some());
        match deed {
            Deed::Move | Deed::Out if !scrolls => drop(self.restless.insert(key)),
            _ => self.is_stale = true,
        }
        self.with_widget(key, event.user, |widget, at, with| widget.pointer(&touch, at, with))
            .unwrap_or(false)
    }

    /// The pointer is on something else than before, or still on it.
    fn set_over(&mut self, event: &Event, over: Option<Key>) {
        let Some(hand) = self.hands.get_mut(&event.user) else { return };
        let before = std::mem::replace(&mut hand.over, over);
        if before == over {
            return;
        }
        self.restless.extend(before.into_iter().chain(over));
        if let Some(before) = before {
            self.touch(before, event, Deed::Out, [-1.0; 2], false);
        }
    }

    fn moved(&mut self, event: &Event) {
        let hit = self.hit(event);
        let on = match hit {
            Hit::Widget { key, .. } => Some(key),
            _ => None,
        };
        self.set_over(event, on);
        let hand = self.hands.get(&event.user).cloned().unwrap_or_default();
        if let Some(held) = hand.held {
            if let Some(at) = self.place_on(event, if hand.holds_over { OVER } else { 1.0 }) {
                self.touch(held, event, Deed::Move, at, true);
            }
        } else if let Hit::Widget { key, at, .. } = hit {
            self.touch(key, event, Deed::Move, at, false);
        }
    }

    fn left(&mut self, event: &Event) {
        self.set_over(event, None);
        // Who holds something is not forgotten: they come back, or let go.
        if self.hands.get(&event.user).is_some_and(|hand| hand.held.is_none()) {
            self.hands.remove(&event.user);
        }
    }

    fn pressed(&mut self, event: &Event, now: Duration) {
        let (key, at, is_over) = match self.hit(event) {
            Hit::Toast(number) => {
                self.toasts.remove(number);
                self.is_stale = true;
                return;
            }
            Hit::Nothing => {
                self.dismiss_but(None);
                self.leave(event.user);
                return;
            }
            Hit::Widget { key, at, is_over } => (key, at, is_over),
        };
        let holds = |hand: &Hand| hand.held == Some(key) && now < hand.seen_at + LET_GO;
        if self.hands.iter().any(|(user, hand)| *user != event.user && holds(hand)) {
            self.leave(event.user);
            return;
        }
        if self.is_written_by_another(key, event.user, now) {
            self.leave(event.user);
            return;
        }
        for (user, hand) in &mut self.hands {
            if *user != event.user && hand.held == Some(key) {
                hand.held = None;
            }
        }
        self.dismiss_but(Some(key));
        if self.forest.is_disabled(key) {
            self.leave(event.user);
            return;
        }
        self.set_over(event, Some(key));
        let Some(hand) = self.hands.get_mut(&event.user) else { return };
        let is_again = hand.pressed_at.is_some_and(|(then, place)| {
            now < then + AGAIN && (place[0] - at[0]).abs() < NEAR && (place[1] - at[1]).abs() < NEAR
        });
        hand.presses = if is_again { hand.presses % 3 + 1 } else { 1 };
        hand.pressed_at = Some((now, at));
        (hand.held, hand.holds_over) = (Some(key), is_over);
        let presses = hand.presses;
        let focus = self.forest.slots.get(&key).map_or(Focus::Never, |slot| slot.widget.focus());
        match focus {
            Focus::Never => self.leave(event.user),
            _ => self.set_focus(event.user, Some(key)),
        }
        self.touch(key, event, Deed::Press(presses), at, true);
    }

    fn let_go(&mut self, event: &Event, hit: Hit) {
        let Some(hand) = self.hands.get_mut(&event.user) else { return };
        let (over, at) = match hit {
            Hit::Widget { key, at, .. } => (Some(key), at),
            _ => (None, [-1.0; 2]),
        };
        if let Some(held) = hand.held.take() {
            self.touch(held, event, Deed::Release(over == Some(held)), at, false);
        }
        self.set_over(event, over);
        self.is_stale = true;
    }

    fn wheel(&mut self, event: &Event) {
        let Hit::Widget { key, at, .. } = self.hit(event) else { return };
        let above: Vec<Key> = self.forest.above(key).collect();
        for key in above {
            let is_touched = self.forest.slots.get(&key).is_some_and(|slot| slot.widget.touches());
            if is_touched && self.touch(key, event, Deed::Wheel(event.wheel[1]), at, false) {
                return;
            }
        }
    }

    /// Closes all that stands over everything, but for that of one widget.
    pub(super) fn dismiss_but(&mut self, kept: Option<Key>) {
        for (key, _) in self.overs() {
            if Some(key) != kept
                && let Some(slot) = self.forest.slots.get_mut(&key)
            {
                slot.widget.dismiss();
                self.is_stale = true;
            }
        }
    }

    /// Forgets what was taken away, or does nothing any more, under the hands.
    pub(super) fn check_hands(&mut self) {
        self.is_stale = true;
        let is_gone = |key: Key| {
            !self.forest.slots.contains_key(&key)
                || self.forest.is_disabled(key)
                || self.forest.is_hidden(key)
        };
        let lost: Vec<PeerId> =
            self.focus.iter().filter(|(_, focus)| is_gone(focus.key)).map(|(user, _)| *user).collect();
        for hand in self.hands.values_mut() {
            hand.over = hand.over.filter(|key| !is_gone(*key));
            hand.held = hand.held.filter(|key| !is_gone(*key));
        }
        lost.into_iter().for_each(|user| self.leave(user));
    }
}
