// SPDX-License-Identifier: AGPL-3.0-or-later
//! The keyboard of this peer's user: which widget has it, and what its keys mean.

use super::Ui;
use crate::{
    KitError,
    layout::Key as NodeKey,
    widget::{Focus, Handle, Key, Stroke},
};
use hearth_sdk::{
    EntityId,
    abi::input::{Event, Press, key},
    debug,
    input::Input,
    process::whereis,
    send, time,
};
use serde::Serialize;
use std::{future::pending, time::Duration};

/// For how long who else listens to the keyboard is told to leave it alone, and how often.
const LEASE: Duration = Duration::from_millis(2500);
const TELL: Duration = Duration::from_secs(1);
/// Who else listens to it.
const LISTENERS: [&str; 2] = ["avatar", "workshop"];

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

#[derive(Debug, Default)]
pub(super) struct Keyboard {
    pub(super) source: Source,
    shift: [bool; 2],
    ctrl: [bool; 2],
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
    /// Whether one of its widgets has the keyboard, or, where there is none, the hands of somebody who types.
    pub fn is_focused(&self) -> bool {
        self.focus.is_some()
    }

    /// Gives the keyboard to a widget, and shows it if it was scrolled out of view.
    ///
    /// # Errors
    /// [`KitError::NotFound`]: there is none of that handle that takes keys now.
    pub fn focus<W>(&mut self, handle: Handle<W>) -> Result<(), KitError> {
        let key = self.key_of(handle)?;
        if !self.tab_order().contains(&key) {
            return Err(KitError::NotFound);
        }
        self.set_focus(Some(key));
        self.reveal(key);
        Ok(())
    }

    /// Gives the keyboard back.
    pub fn blur(&mut self) {
        self.set_focus(None);
    }

    pub(super) fn set_focus(&mut self, focus: Option<NodeKey>) {
        if focus != self.focus {
            let before = std::mem::replace(&mut self.focus, focus);
            for (key, on) in [(before, false), (focus, true)] {
                if let Some(slot) = key.and_then(|key| self.forest.slots.get_mut(&key)) {
                    slot.widget.focused(on);
                }
            }
            self.is_stale = true;
        }
        self.keyboard.tell(self.focus.is_some(), time::monotonic());
    }

    /// Takes an event of the user's keyboard or mouse, from a script that listens itself. Others are left out.
    pub fn input(&mut self, event: &Event) {
        if !self.keyboard.is_there() {
            self.keyboard.source = Source::Fed;
            self.is_stale = true;
        }
        match event {
            Event::Key { code, press } => {
                let is_down = *press != Press::Released;
                match *code {
                    key::LEFT_SHIFT => self.keyboard.shift[0] = is_down,
                    RIGHT_SHIFT => self.keyboard.shift[1] = is_down,
                    key::LEFT_CONTROL => self.keyboard.ctrl[0] = is_down,
                    RIGHT_CONTROL => self.keyboard.ctrl[1] = is_down,
                    code if is_down => {
                        let ctrl = self.keyboard.ctrl.contains(&true);
                        if let Some(key) = meaning(code, ctrl) {
                            self.stroke(key);
                        }
                    }
                    _ => {}
                }
            }
            Event::Text(text) if !self.keyboard.ctrl.contains(&true) => {
                let is_typing = self.focus.and_then(|key| self.forest.slots.get(&key));
                // Enter and its like come as keys.
                let is_writing = !text.is_empty() && !text.chars().all(char::is_control);
                if is_writing && is_typing.is_some_and(|slot| slot.widget.focus() == Focus::Text) {
                    self.stroke(Key::Text(text.clone()));
                }
            }
            Event::Focus(false) => (self.keyboard.shift, self.keyboard.ctrl) = ([false; 2], [false; 2]),
            Event::Target { entity, .. } => self.keyboard.target = *entity,
            // A press on the interface comes as an event of its pointer.
            Event::Button { press: Press::Pressed, .. } if self.keyboard.target != Some(self.root) => {
                self.dismiss_but(None);
                self.blur();
            }
            _ => {}
        }
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

    fn stroke(&mut self, key: Key) {
        let (shift, ctrl) = (self.keyboard.shift.contains(&true), self.keyboard.ctrl.contains(&true));
        let me = hearth_sdk::peer();
        let Some(focus) = self.focus else {
            let is_here = self.hands.contains_key(&me) || self.keyboard.target == Some(self.root);
            if key == Key::Tab && is_here {
                self.go(!shift);
            }
            return;
        };
        self.touched_at = time::monotonic();
        let stroke = Stroke { key, shift, ctrl };
        self.is_stale = true;
        let taken = self.with_widget(focus, me, |widget, at, with| widget.key(&stroke, at, with));
        if taken == Some(true) {
            return;
        }
        match stroke.key {
            Key::Tab => self.go(!shift),
            Key::Down | Key::Right => self.go(true),
            Key::Up | Key::Left => self.go(false),
            Key::Escape => {
                self.dismiss_but(None);
                self.blur();
            }
            // What scrolls takes these for what is in it.
            Key::PageUp | Key::PageDown | Key::Home | Key::End => {
                let above: Vec<NodeKey> = self.forest.above(focus).skip(1).collect();
                for key in above {
                    let taken = self.with_widget(key, me, |widget, at, with| widget.key(&stroke, at, with));
                    if taken == Some(true) {
                        return;
                    }
                }
            }
            _ => {}
        }
    }

    /// Gives the keyboard to the next widget, or the one before; behind the last comes the first.
    fn go(&mut self, ahead: bool) {
        let order = self.tab_order();
        let now = self.focus.and_then(|focus| order.iter().position(|key| *key == focus));
        let to = match (now, ahead) {
            (Some(now), true) => (now + 1) % order.len().max(1),
            (Some(now), false) => now.checked_sub(1).unwrap_or(order.len().saturating_sub(1)),
            (None, true) => 0,
            (None, false) => order.len().saturating_sub(1),
        };
        if let Some(key) = order.get(to).copied() {
            self.dismiss_but(None);
            self.set_focus(Some(key));
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
