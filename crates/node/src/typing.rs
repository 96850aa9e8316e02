// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a user types into an entity goes to the process that this belongs to, wherever it runs.
//!
//! The user gives an entity the keyboard by pressing it, and sees all the while who has it. This peer alone decides that,
//! from the press and from what it knows of the scene: no process can ask for keys, and none is waited for. It takes
//! the keyboard back when the user leaves or presses something else, when the entity is no longer its owner's, or
//! wants no pointers, and when the owner's peer cannot be told what is typed.

use crate::{
    keyboard::{TypedInto, Typing},
    node::Inner,
};
use bytes::Bytes;
use hearth_abi::{
    Errno, PeerId, ProcessId,
    input::{self, Press, TEXT_LEN_MAX},
    keyboard::{self, PASTE_LEN_MAX},
    pointer,
    scene::{Component, ComponentKind},
    signal::{self, Header},
    terminal::Stroke,
};
use hearth_process::{Level, Signal};
use hearth_protocol::hot;
use parking_lot::{Mutex, MutexGuard};
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// How long the clipboard may take to be read for a paste.
const PASTE_TIME_MAX: Duration = Duration::from_secs(10);
/// Most that is typed while a paste is read, and waits for it. What is more is lost, and the keyboard taken back.
const AHEAD_MAX: usize = 256;
/// Most owners that are still to be told that they have lost the keyboard, because the way to them was full. Of more
/// the oldest is not told: so many fields were left while nothing went through.
const OWED_MAX: usize = 16;
/// Most characters of a name in what the user is shown.
const NAME_CHARS_MAX: usize = 32;

/// What is on its way to what has the keyboard.
#[derive(Default)]
pub(crate) struct TypedOut {
    /// Held while the keyboard goes to an entity or from it, and while something is typed, so that the owner hears of it in
    /// order.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_pasting: bool,
    /// What is typed behind a paste that is being read.
    ahead: VecDeque<Ahead>,
    /// Who is still to be told that it has lost the keyboard.
    owed: VecDeque<Typing>,
}

enum Ahead {
    Typed(Typing, Vec<input::Event>),
    Paste(Typing),
}

impl Inner {
    /// A button went down on a target, or before nothing that wants to hear of it: that gives the keyboard to an entity,
    /// leaves it there, or takes it. Called before the owner hears of the press.
    pub(crate) fn pressed(&self, event: &pointer::Event, owner: Option<ProcessId>) {
        let takes_keys =
            |_: &ProcessId| self.world.takes_keys(event.hit.unwrap_or(event.entity), event.entity);
        let pressed = owner.filter(takes_keys).map(|owner| Typing { entity: event.entity, owner });
        let state = &mut *self.typed_out.state.lock();
        // While this is held no terminal gets it.
        if self.terminal_has_keyboard() {
            return;
        }
        let Some(typing) = pressed else {
            self.take_typing_in(state, |_| true);
            return;
        };
        self.terminals.keyboard.set_pressed(false);
        let has = self.terminals.keyboard.typing() == Some(typing);
        if event.button != 0 && !has {
            self.take_typing_in(state, |_| true);
        } else if has {
            // New code of the owner may not know.
            let _ = self.type_to(state, typing, input::Event::Focus(true));
        } else {
            self.take_typing_in(state, |_| true);
            self.give_to(state, typing);
        }
    }

    fn give_to(&self, state: &mut State, typing: Typing) {
        // Who is still owed that it lost the keyboard hears that first; if it cannot be told anything, nothing is given.
        self.pay_owed(state);
        if state.owed.contains(&typing) || self.type_to(state, typing, input::Event::Focus(true)).is_err() {
            return;
        }
        self.terminals.keyboard.give_to_entity(typing);
        if let Some(picture) = self.picture.get() {
            picture.typing(Some(self.words_of(typing)));
        }
    }

    /// Takes the keyboard from the entity that has it, if it is one of these.
    pub(crate) fn take_typing(&self, which: impl FnOnce(&Typing) -> bool) {
        self.take_typing_in(&mut self.typed_out.state.lock(), which);
    }

    fn take_typing_in(&self, state: &mut State, which: impl FnOnce(&Typing) -> bool) {
        if let Some(typing) = self.terminals.keyboard.take_from_entity_if(which) {
            self.typing_lost(state, typing);
        }
    }

    /// Tells the user and the owner that an entity has the keyboard no longer, which is so already.
    fn typing_lost(&self, state: &mut State, typing: Typing) {
        if let Some(picture) = self.picture.get() {
            picture.typing(None);
        }
        state.ahead.retain(|ahead| !matches!(ahead, Ahead::Typed(to, _) | Ahead::Paste(to) if *to == typing));
        if self.type_to(state, typing, input::Event::Focus(false)) == Err(Errno::Full) {
            if state.owed.len() >= OWED_MAX {
                state.owed.pop_front();
            }
            state.owed.push_back(typing);
        }
    }

    fn pay_owed(&self, state: &mut State) {
        while let Some(typing) = state.owed.front().copied() {
            if self.type_to(state, typing, input::Event::Focus(false)) == Err(Errno::Full) {
                return;
            }
            state.owed.pop_front();
        }
    }

    /// A picture is about to be made: what could not be told is tried again, and a press that was on nothing takes the
    /// keyboard.
    pub(crate) fn typing_due(&self) {
        let was_elsewhere = self.terminals.keyboard.take_pressed();
        let state = &mut *self.typed_out.state.lock();
        if was_elsewhere {
            self.take_typing_in(state, |_| true);
        }
        self.pay_owed(state);
    }

    /// The scene has changed: what has the keyboard may be gone, or another's.
    pub(crate) fn typing_checked(&self) {
        let Some(typing) = self.terminals.keyboard.typing() else { return };
        let owner = self.world.pointer_target(typing.entity).map(|(owner, _)| owner);
        if owner != Some(typing.owner) {
            self.take_typing(|now| *now == typing);
        }
    }

    /// A button or a key of the user, before scripts hear of it.
    pub(crate) fn typing_hears(&self, event: &input::Event) {
        if matches!(event, input::Event::Button { press: Press::Pressed, .. }) {
            self.terminals.keyboard.set_pressed(true);
        }
    }

    /// A key of the user, if an entity has the keyboard; `false` if none has.
    pub(crate) fn stroke_into_entity(self: &Arc<Self>, stroke: &Stroke) -> bool {
        let mut state = self.typed_out.state.lock();
        if self.terminals.keyboard.typing().is_none() {
            return false;
        }
        match self.terminals.keyboard.stroke_into_entity(stroke) {
            None => {}
            Some(TypedInto::Left(typing)) => self.typing_lost(&mut state, typing),
            Some(TypedInto::Told(typing, events)) if state.is_pasting => {
                self.wait(&mut state, typing, Ahead::Typed(typing, events));
            }
            Some(TypedInto::Paste(typing)) if state.is_pasting => {
                self.wait(&mut state, typing, Ahead::Paste(typing));
            }
            Some(TypedInto::Told(typing, events)) => self.type_all(&mut state, typing, events),
            Some(TypedInto::Paste(typing)) => {
                state.is_pasting = true;
                let inner = self.clone();
                tokio::spawn(async move { inner.paste_into(typing).await });
            }
        }
        true
    }

    fn wait(&self, state: &mut State, typing: Typing, ahead: Ahead) {
        if state.ahead.len() < AHEAD_MAX {
            state.ahead.push_back(ahead);
        } else {
            self.take_typing_in(state, |now| *now == typing);
        }
    }

    /// Types into what has the keyboard. What it cannot be told it does not have: then the keyboard is taken back, which the
    /// user sees.
    fn type_all(&self, state: &mut State, typing: Typing, events: Vec<input::Event>) {
        for event in events {
            if self.type_to(state, typing, event).is_err() {
                self.take_typing_in(state, |now| *now == typing);
                return;
            }
        }
    }

    /// Pastes, and then types what was typed meanwhile.
    async fn paste_into(&self, typing: Typing) {
        let mut next = Some(typing);
        while let Some(typing) = next {
            let pasted = tokio::time::timeout(PASTE_TIME_MAX, self.clipboard_read()).await;
            let mut state = self.typed_out.state.lock();
            // The user may have left meanwhile: then it is not pasted.
            if self.terminals.keyboard.typing() == Some(typing) {
                match pasted {
                    Ok(Ok(text)) => self.type_all(&mut state, typing, pieces(&text)),
                    Ok(Err(failure)) => tracing::warn!("could not paste: {}", failure.reason),
                    Err(_elapsed) => tracing::warn!("could not paste: the clipboard was not read in time"),
                }
            }
            next = None;
            while let Some(ahead) = state.ahead.pop_front() {
                match ahead {
                    Ahead::Typed(typing, events) => self.type_all(&mut state, typing, events),
                    Ahead::Paste(typing) => {
                        next = Some(typing);
                        break;
                    }
                }
            }
            state.is_pasting = next.is_some();
        }
    }

    /// Tells the owner of an entity something, behind what the pointer did before.
    fn type_to(&self, _state: &mut State, typing: Typing, did: input::Event) -> Result<(), Errno> {
        let Typing { entity, owner } = typing;
        let event = keyboard::Event { user: self.me, entity, did };
        if owner.peer() == self.me {
            self.typed(owner, &event);
            return Ok(());
        }
        self.send_waiting_pointers(owner, entity);
        let frame = hot::Frame::Keyboard { to: owner, user: self.me, event: event.encode().into() };
        self.network.try_hot(owner.peer(), frame.encode())
    }

    /// What another peer's user typed into an entity of one of our processes.
    pub(crate) fn typed_from(&self, to: ProcessId, user: PeerId, event: &Bytes) {
        // The frame was checked when it was read.
        let Ok(event) = keyboard::Event::decode(event) else { return };
        // It may have been given away meanwhile. That it has lost the keyboard is told all the same.
        let owner = self.world.pointer_target(event.entity).map(|(owner, _)| owner);
        let is_end = event.did == input::Event::Focus(false);
        if event.user == user && (owner == Some(to) || is_end && owner.is_none()) {
            self.typed(to, &event);
        }
    }

    fn typed(&self, to: ProcessId, event: &keyboard::Event) {
        let header = Header { kind: signal::Kind::Keyboard, status: 0, from: 0, tag: 0 };
        let signal = Signal { header, body: event.encode().into() };
        if self.processes.deliver(to, signal) == Err(hearth_process::SendError::Full) {
            // Not what it was: that is not for logs.
            let text = format!("a key is lost, the mailbox is full: on {}", event.entity);
            self.processes.log(to, Level::Warn, "keyboard", &text);
        }
    }

    /// A process gives a user's keyboard back.
    pub(crate) fn leave_keyboard(&self, by: ProcessId, user: PeerId) -> Result<(), Errno> {
        if user != self.me {
            return self.network.try_hot(user, hot::Frame::Leave { user, from: by }.encode());
        }
        let state = &mut *self.typed_out.state.lock();
        let has = self.terminals.keyboard.typing().is_some_and(|typing| typing.owner == by);
        self.take_typing_in(state, |typing| typing.owner == by);
        if has { Ok(()) } else { Err(Errno::NotFound) }
    }

    /// What the user is shown while an entity has the keyboard.
    fn words_of(&self, typing: Typing) -> String {
        let name = match self.world.component(typing.entity, ComponentKind::Name) {
            Some(Component::Name(name)) => shown(&name),
            _ => typing.owner.to_string(),
        };
        let runs_on = typing.owner.peer();
        let origin = match runs_on == self.me {
            true => self.processes.info(typing.owner).map_or(self.me, |info| info.origin),
            false => runs_on,
        };
        let whose = match self.network.peer(origin) {
            _ if origin == self.me => "your own script".to_owned(),
            Some(peer) => format!("a script of {}", shown(&peer.name)),
            None => format!("a script of peer {origin}"),
        };
        // Who it is comes first: the rest is what a script says of itself.
        format!("{whose} gets what you type: “{name}”. Esc leaves")
    }
}

/// The lock of what is typed, for those who take the keyboard for a terminal.
pub(crate) struct Quiet<'a>(MutexGuard<'a, State>);

impl Inner {
    /// As long as this is held, the keyboard goes to no entity and from none.
    pub(crate) fn hold_typing(&self) -> Quiet<'_> {
        Quiet(self.typed_out.state.lock())
    }

    /// The same, and no entity has it.
    pub(crate) fn quiet(&self) -> Quiet<'_> {
        let mut quiet = self.hold_typing();
        self.take_typing_in(&mut quiet.0, |_| true);
        quiet
    }
}

/// A text in pieces that events may hold, cut between characters.
fn pieces(text: &str) -> Vec<input::Event> {
    let mut rest = &text[..text.floor_char_boundary(PASTE_LEN_MAX)];
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(TEXT_LEN_MAX));
        pieces.push(input::Event::Paste(piece.to_owned()));
        rest = behind;
    }
    pieces
}

/// A name as it may be shown beside words that are ours: a line, cut, without what turns or hides writing.
fn shown(name: &str) -> String {
    let is_plain = |c: &char| {
        !c.is_control()
            && !matches!(*c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '“' | '”')
    };
    let plain: String = name.chars().filter(is_plain).take(NAME_CHARS_MAX + 1).collect();
    match plain.char_indices().nth(NAME_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &plain[..at]),
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paste_is_cut_between_characters_and_has_an_end() {
        let text = "ü".repeat(40_000);
        let pieces = pieces(&text);
        assert_eq!(pieces.len(), 16);
        let mut all = String::new();
        for piece in &pieces {
            let input::Event::Paste(piece) = piece else { panic!("{piece:?}") };
            assert!(piece.len() <= TEXT_LEN_MAX);
            all.push_str(piece);
        }
        assert_eq!(all.len(), PASTE_LEN_MAX);
        assert!(text.starts_with(&all));
        assert!(super::pieces("").is_empty());
    }

    #[test]
    fn a_name_says_no_more_than_a_name() {
        assert_eq!(shown("guest book"), "guest book");
        assert_eq!(shown("a\n\u{202e}b\u{200b}”c"), "abc");
        assert_eq!(shown(&"x".repeat(40)), "x".repeat(32) + "…");
        assert_eq!(shown(&"ü".repeat(32)), "ü".repeat(32));
    }
}
