// SPDX-License-Identifier: AGPL-3.0-or-later
//! Keyboards: which widget has whose, and what their keys mean.
//!
//! The keys of this peer's user come as input if the script may listen to them; those of anybody come if they have given
//! the interface their keyboard, by pressing a field of it.

use super::Ui;
use crate::{
    KitError,
    layout::Key as NodeKey,
    widget::{Focus, Handle, Key, Stroke},
};
use hearth_sdk::{
    EntityId, PeerId,
    abi::input::{Event, Press, key},
    debug,
    input::Input,
    keyboard::Event as Typed,
    process::whereis,
    send, time,
};
use serde::Serialize;
use std::{collections::BTreeMap, future::pending, time::Duration};

/// For how long who else listens to the keyboard is told to leave it alone, and how often.
const LEASE: Duration = Duration::from_millis(2500);
const TELL: Duration = Duration::from_secs(1);
/// Who else listens to it.
const LISTENERS: [&str; 2] = ["avatar", "workshop"];

/// Most users whose keys are heeded at once.
const TYPISTS_MAX: usize = 64;
/// A field is written in by one at a time; another takes it over who presses it when nothing was typed for so long.
const LET_GO: Duration = Duration::from_secs(3);

const BACKSPACE: u16 = 0x2A;
const TAB: u16 = 0x2B;
const HOME: u16 = 0x4A;
const PAGE_UP: u16 = 0x4B;
const DELETE: u16 = 0x4C;
const END: u16 = 0x4D;
const PAGE_DOWN: u16 = 0x4E;
const KEYPAD_ENTER: u16 = 0x58;
const RIGHT_CONTROL: u16 = 0xE4;
const RIGHT_SHIFT: u16 = 0xE5;
const V: u16 = 0x19;

/// What the avatar and the workshop are told: the keyboard is not theirs for so many milliseconds.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Typing(u64),
}

/// Where keys come from.
#[derive(Debug, Default)]
pub(super) enum Source {
    /// There are none.
    #[default]
    None,
    Own(Input),
    /// The script passes them on.
    Fed,
}

impl Source {
    /// The next event, if they come by themselves.
    pub(super) async fn next(&mut self) -> Event {
        match self {
            Source::Own(input) => input.next().await,
            Source::None | Source::Fed => pending().await,
        }
    }
}

/// Which widget a user's keys are for, and when they were last used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Focused {
    pub(super) key: NodeKey,
    pub(super) used_at: Duration,
}

/// What is held with other keys.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    shift: [bool; 2],
    ctrl: [bool; 2],
}

impl Held {
    /// Notes a key that is held with others; `false` if it is none.
    fn note(&mut self, code: u16, is_down: bool) -> bool {
        match code {
            key::LEFT_SHIFT => self.shift[0] = is_down,
            RIGHT_SHIFT => self.shift[1] = is_down,
            key::LEFT_CONTROL => self.ctrl[0] = is_down,
            RIGHT_CONTROL => self.ctrl[1] = is_down,
            _ => return false,
        }
        true
    }

    fn shift(&self) -> bool {
        self.shift.contains(&true)
    }

    fn ctrl(&self) -> bool {
        self.ctrl.contains(&true)
    }
}

#[derive(Debug, Default)]
pub(super) struct Keyboard {
    pub(super) source: Source,
    /// What is held of the keys that come by themselves.
    held: Held,
    /// The users who have given it their keyboards, and what they hold.
    given: BTreeMap<PeerId, Held>,
    /// What the pointer of this user is on.
    target: Option<EntityId>,
    told_at: Option<Duration>,
}

impl Keyboard {
    pub(super) fn is_there(&self) -> bool {
        !matches!(self.source, Source::None)
    }

    /// When others are to be told again.
    pub(super) fn next_telling(&self, is_focused: bool) -> Option<Duration> {
        (self.is_there() && is_focused).then(|| self.told_at.map_or(Duration::ZERO, |told| told + TELL))
    }

    /// Tells others whether the keyboard is theirs, if it is time to.
    pub(super) fn tell(&mut self, is_focused: bool, now: Duration) {
        let lease = match (self.is_there() && is_focused, self.told_at) {
            (true, Some(told)) if now < told + TELL => return,
            (true, _) => {
                self.told_at = Some(now);
                LEASE.as_millis() as u64
            }
            (false, None) => return,
            (false, Some(_)) => {
                self.told_at = None;
                0
            }
        };
        for who in LISTENERS.into_iter().filter_map(whereis) {
            if let Err(error) = send(who, &Order::Typing(lease)) {
                debug!("{who} is not told who has the keyboard: {error}");
            }
        }
    }
}

impl<M: Clone + 'static> Ui<M> {
    /// Whether one of its widgets has the keyboard of somebody, or, where there is none, the hands of somebody who types.
    pub fn is_focused(&self) -> bool {
        !self.focus.is_empty()
    }

    /// Gives the keyboard of this peer's user to a widget, and shows it if it was scrolled out of view.
    ///
    /// # Errors
    /// [`KitError::NotFound`]: there is none of that handle that takes keys now.
    pub fn focus<W>(&mut self, handle: Handle<W>) -> Result<(), KitError> {
        let key = self.key_of(handle)?;
        if !self.tab_order().contains(&key) {
            return Err(KitError::NotFound);
        }
        self.set_focus(hearth_sdk::peer(), Some(key));
        self.reveal(key);
        Ok(())
    }

    /// Gives the keyboard back, of all users.
    pub fn blur(&mut self) {
        let all: Vec<PeerId> = self.focus.keys().copied().collect();
        all.into_iter().for_each(|user| self.leave(user));
    }

    /// The same of those whose keys are for one widget.
    pub(super) fn blur_on(&mut self, key: NodeKey) {
        let there = self.focus.iter().filter(|(_, focus)| focus.key == key);
        let there: Vec<PeerId> = there.map(|(user, _)| *user).collect();
        there.into_iter().for_each(|user| self.leave(user));
    }

    /// The same of one user.
    pub(super) fn leave(&mut self, user: PeerId) {
        self.set_focus(user, None);
        if self.keyboard.given.contains_key(&user)
            && let Err(errno) = hearth_sdk::keyboard::leave(user)
        {
            debug!("peer {user} keeps the keyboard here, which is for nothing: {errno}");
        }
    }

    /// Whether somebody's keys are for a widget.
    pub(super) fn is_focus(&self, key: NodeKey) -> bool {
        self.focus.values().any(|focus| focus.key == key)
    }

    /// Whether somebody types into a widget who has given it the keyboard.
    pub(super) fn has_typist(&self, key: NodeKey) -> bool {
        let mut there = self.focus.iter().filter(|(_, focus)| focus.key == key);
        there.any(|(user, _)| self.keyboard.given.contains_key(user))
    }

    /// Whether another user is writing in a field: it is one's at a time, until they have typed nothing for a while.
    pub(super) fn is_written_by_another(&self, key: NodeKey, user: PeerId, now: Duration) -> bool {
        let is_text = self.forest.slots.get(&key).is_some_and(|slot| slot.widget.focus() == Focus::Text);
        is_text
            && self.focus.iter().any(|(other, focus)| {
                let is_there = focus.key == key && *other != user && now < focus.used_at + LET_GO;
                is_there && self.keyboard.given.contains_key(other)
            })
    }

    /// Whether the keys that come by themselves are for it.
    pub(super) fn has_own_keys(&self) -> bool {
        let me = hearth_sdk::peer();
        self.focus.contains_key(&me) && !self.keyboard.given.contains_key(&me)
    }

    /// Whether a press on a field is to give the user's keyboard. Where all who see it are heard anyway it need not.
    pub(super) fn asks_for_keys(&self) -> bool {
        !(self.place.is_local && self.keyboard.is_there())
    }

    pub(super) fn set_focus(&mut self, user: PeerId, focus: Option<NodeKey>) {
        let now = time::monotonic();
        let before = self.focus.get(&user).map(|focus| focus.key);
        if let Some(key) = focus {
            // A line has one caret: whoever was there before has left it.
            let is_text = self.forest.slots.get(&key).is_some_and(|slot| slot.widget.focus() == Focus::Text);
            let others =
                self.focus.iter().filter(|(other, there)| **other != user && there.key == key && is_text);
            let mut gone: Vec<PeerId> = others.map(|(other, _)| *other).collect();
            if self.focus.len() - gone.len() >= TYPISTS_MAX && before.is_none() {
                gone.extend(self.focus.iter().min_by_key(|(_, focus)| focus.used_at).map(|(user, _)| *user));
            }
            gone.into_iter().for_each(|other| self.leave(other));
            self.focus.insert(user, Focused { key, used_at: now });
        } else {
            self.focus.remove(&user);
        }
        if before != focus {
            // A widget hears of the first and the last.
            let others = |key: NodeKey| {
                self.focus.iter().filter(|(other, focus)| **other != user && focus.key == key).count()
            };
            for (key, on) in [(before, false), (focus, true)] {
                if let Some(key) = key.filter(|key| others(*key) == 0)
                    && let Some(slot) = self.forest.slots.get_mut(&key)
                {
                    slot.widget.focused(on);
                }
            }
            self.is_stale = true;
        }
        self.keyboard.tell(self.has_own_keys(), now);
    }

    /// Takes what a user has typed who has given it the keyboard, or gives it, or has taken it back.
    pub(super) fn typed(&mut self, event: &Typed) {
        let user = event.user;
        match &event.did {
            Event::Focus(true) => {
                if self.keyboard.given.len() < TYPISTS_MAX || self.keyboard.given.contains_key(&user) {
                    self.keyboard.given.entry(user).or_default();
                    self.is_stale = true;
                } else if let Err(errno) = hearth_sdk::keyboard::leave(user) {
                    debug!("peer {user} keeps the keyboard here, which is for nothing: {errno}");
                }
            }
            Event::Focus(false) => self.lose_keyboard(user),
            did if self.keyboard.given.contains_key(&user) => self.heard(user, true, did),
            _ => {}
        }
    }

    /// A user's keys are for it no longer.
    pub(super) fn lose_keyboard(&mut self, user: PeerId) {
        self.keyboard.given.remove(&user);
        // Escape closes what they had opened by keys.
        let focus = self.focus.get(&user).map(|focus| focus.key);
        if let Some(slot) = focus.and_then(|key| self.forest.slots.get_mut(&key)) {
            slot.widget.dismiss();
        }
        self.set_focus(user, None);
    }

    /// All whose keys are for it.
    pub(super) fn typists(&self) -> impl Iterator<Item = PeerId> {
        self.focus.keys().chain(self.keyboard.given.keys()).copied()
    }

    /// Takes an event of the user's keyboard or mouse, from a script that listens itself. Others are left out.
    pub fn input(&mut self, event: &Event) {
        if !self.keyboard.is_there() {
            self.keyboard.source = Source::Fed;
            self.is_stale = true;
        }
        let me = hearth_sdk::peer();
        match event {
            Event::Focus(false) => self.keyboard.held = Held::default(),
            Event::Target { entity, .. } => self.keyboard.target = *entity,
            // A press on the interface comes as an event of its pointer.
            Event::Button { press: Press::Pressed, .. } if self.keyboard.target != Some(self.root) => {
                self.dismiss_but(None);
                self.leave(me);
            }
            _ => self.heard(me, false, event),
        }
    }

    /// A key of a user, or what was typed or pasted; `is_given` if they have given it the keyboard by a press.
    fn heard(&mut self, user: PeerId, is_given: bool, event: &Event) {
        let own = &mut self.keyboard.held;
        let held = if is_given { self.keyboard.given.entry(user).or_default() } else { own };
        let focus = self.focus.get(&user).map(|focus| focus.key);
        let text_focus = focus
            .filter(|key| self.forest.slots.get(key).is_some_and(|slot| slot.widget.focus() == Focus::Text));
        match event {
            Event::Key { code, press } => {
                let is_down = *press != Press::Released;
                if held.note(*code, is_down) || !is_down {
                    return;
                }
                let held = *held;
                if let Some(key) = meaning(*code, held.ctrl()) {
                    self.stroke(user, is_given, Stroke { key, shift: held.shift(), ctrl: held.ctrl() });
                }
            }
            Event::Text(text) if !held.ctrl() => {
                let shift = held.shift();
                // Enter and its like come as keys.
                let is_writing = !text.is_empty() && !text.chars().all(char::is_control);
                if is_writing && text_focus.is_some() {
                    let key = Key::Text(text.clone());
                    self.stroke(user, is_given, Stroke { key, shift, ctrl: false });
                }
            }
            Event::Paste(text) => {
                let Some(key) = text_focus else { return };
                self.used(user);
                self.with_widget(key, user, |widget, _at, with| widget.pasted(text, with));
            }
            _ => {}
        }
    }

    /// A user does something with keys.
    fn used(&mut self, user: PeerId) {
        self.touched_at = time::monotonic();
        if let Some(focus) = self.focus.get_mut(&user) {
            focus.used_at = self.touched_at;
        }
        self.is_stale = true;
    }

    /// All that Tab goes through, in order.
    fn tab_order(&self) -> Vec<NodeKey> {
        let mut all = Vec::new();
        self.forest.in_order(self.top, &mut all);
        let takes_keys = |key: &NodeKey| {
            let slot = self.forest.slots.get(key);
            slot.is_some_and(|slot| slot.widget.focus() != Focus::Never) && !self.forest.is_disabled(*key)
        };
        all.into_iter().filter(takes_keys).collect()
    }

    fn stroke(&mut self, user: PeerId, is_given: bool, stroke: Stroke) {
        let shift = stroke.shift;
        let Some(focus) = self.focus.get(&user).map(|focus| focus.key) else {
            let is_here =
                is_given || self.hands.contains_key(&user) || self.keyboard.target == Some(self.root);
            if stroke.key == Key::Tab && is_here {
                self.go(user, !shift);
            }
            return;
        };
        self.used(user);
        let taken = self.with_widget(focus, user, |widget, at, with| widget.key(&stroke, at, with));
        if taken == Some(true) {
            return;
        }
        match stroke.key {
            Key::Tab => self.go(user, !shift),
            Key::Down | Key::Right => self.go(user, true),
            Key::Up | Key::Left => self.go(user, false),
            Key::Escape => {
                self.dismiss_but(None);
                self.leave(user);
            }
            // What scrolls takes these for what is in it.
            Key::PageUp | Key::PageDown | Key::Home | Key::End => {
                let above: Vec<NodeKey> = self.forest.above(focus).skip(1).collect();
                for key in above {
                    let taken = self.with_widget(key, user, |widget, at, with| widget.key(&stroke, at, with));
                    if taken == Some(true) {
                        return;
                    }
                }
            }
            _ => {}
        }
    }

    /// Gives a user's keyboard to the next widget, or the one before; behind the last comes the first. What another writes in
    /// is passed over.
    fn go(&mut self, user: PeerId, ahead: bool) {
        let now = time::monotonic();
        let mut order = self.tab_order();
        order.retain(|key| !self.is_written_by_another(*key, user, now));
        let at = self.focus.get(&user).and_then(|focus| order.iter().position(|key| *key == focus.key));
        let to = match (at, ahead) {
            (Some(at), true) => (at + 1) % order.len().max(1),
            (Some(at), false) => at.checked_sub(1).unwrap_or(order.len().saturating_sub(1)),
            (None, true) => 0,
            (None, false) => order.len().saturating_sub(1),
        };
        if let Some(key) = order.get(to).copied() {
            self.dismiss_but(None);
            self.set_focus(user, Some(key));
            self.reveal(key);
        }
    }

    /// Scrolls so that a widget is in view.
    fn reveal(&mut self, node: NodeKey) {
        let above: Vec<NodeKey> = self.forest.above(node).collect();
        for pair in above.windows(2) {
            let [child, parent] = [pair[0], pair[1]];
            let at = self.forest.children(parent).iter().position(|key| *key == child);
            if let (Some(at), Some(slot)) = (at, self.forest.slots.get_mut(&parent)) {
                slot.widget.reveal(at);
            }
        }
        self.is_stale = true;
    }
}

/// What a key means. Letters with Ctrl go by their place on the keyboard.
fn meaning(code: u16, ctrl: bool) -> Option<Key> {
    Some(match code {
        key::ENTER | KEYPAD_ENTER => Key::Enter,
        key::SPACE => Key::Space,
        key::ESCAPE => Key::Escape,
        key::LEFT => Key::Left,
        key::RIGHT => Key::Right,
        key::UP => Key::Up,
        key::DOWN => Key::Down,
        HOME => Key::Home,
        END => Key::End,
        PAGE_UP => Key::PageUp,
        PAGE_DOWN => Key::PageDown,
        BACKSPACE => Key::Backspace,
        DELETE => Key::Delete,
        TAB => Key::Tab,
        key::A if ctrl => Key::All,
        key::C if ctrl => Key::Copy,
        key::X if ctrl => Key::Cut,
        V if ctrl => Key::Paste,
        _ => return None,
    })
}
