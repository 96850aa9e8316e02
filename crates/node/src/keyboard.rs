// SPDX-License-Identifier: AGPL-3.0-or-later
//! Where the user's keys go: to the scripts that asked for them, or to the one terminal that has the
//! keyboard.
//!
//! The engine tells each key twice, as an event for scripts and then as a stroke for terminals; one of the two
//! is let through. A key belongs to whoever saw it go down, until it goes up: so no script waits for ever for a
//! key to be released, and the key that gave a terminal the keyboard is not typed into it.

use hearth_abi::{
    ProcessId, TerminalId,
    input::{Event, Press, key},
    terminal::{Command, Modifiers, Pointer, Stroke},
};
use parking_lot::Mutex;
use std::collections::BTreeSet;

/// The terminal that has the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Focus {
    pub(crate) terminal: TerminalId,
    /// The process that gave it the keyboard.
    pub(crate) by: ProcessId,
}

/// What becomes of a stroke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stroked {
    /// It is not for a terminal.
    Nothing,
    /// This terminal gets it.
    Typed(TerminalId),
    /// It takes the keyboard from the terminal that had it.
    Released(Focus),
    /// It copies what is selected.
    Copy(TerminalId),
    /// It pastes what is on the clipboard.
    Paste(TerminalId),
    /// It wants other letters: larger (1), smaller (-1), or the first (0).
    Zoom(Focus, i8),
}

/// Who has the keyboard.
#[derive(Default)]
pub(crate) struct Keyboard {
    state: Mutex<State>,
}

struct State {
    focus: Option<Focus>,
    /// Whether the window has the system's keyboard.
    has_window: bool,
    /// Keys that are down, of which the scripts know.
    of_scripts: BTreeSet<u16>,
    /// Keys that are down, of which the terminal knows.
    of_terminal: BTreeSet<u16>,
    /// Keys that are held with others.
    modifiers: Modifiers,
}

impl Default for State {
    fn default() -> State {
        State {
            focus: None,
            has_window: true,
            of_scripts: BTreeSet::new(),
            of_terminal: BTreeSet::new(),
            modifiers: Modifiers::default(),
        }
    }
}

impl Keyboard {
    /// The terminal that has the keyboard.
    pub(crate) fn focus(&self) -> Option<Focus> {
        self.state.lock().focus
    }

    /// Whether the window has the system's keyboard.
    pub(crate) fn has_window(&self) -> bool {
        self.state.lock().has_window
    }

    /// Gives the keyboard to a terminal or to the scripts; tells what terminal had it.
    pub(crate) fn give(&self, focus: Option<Focus>) -> Option<Focus> {
        let mut state = self.state.lock();
        state.of_terminal.clear();
        std::mem::replace(&mut state.focus, focus)
    }

    /// Takes the keyboard from the terminal that has it, if it is one of these.
    pub(crate) fn take_if(&self, which: impl FnOnce(&Focus) -> bool) -> Option<Focus> {
        let mut state = self.state.lock();
        let taken = state.focus.take_if(|focus| which(focus));
        if taken.is_some() {
            state.of_terminal.clear();
        }
        taken
    }

    /// Whether an event is for the scripts.
    pub(crate) fn is_for_scripts(&self, event: &Event) -> bool {
        let mut state = self.state.lock();
        let is_free = state.focus.is_none();
        match event {
            Event::Key { code, press: Press::Pressed } if is_free => {
                state.of_scripts.insert(*code);
                true
            }
            Event::Key { code, press: Press::Repeated } => is_free && state.of_scripts.contains(code),
            Event::Key { code, press: Press::Released } => state.of_scripts.remove(code),
            Event::Key { .. } | Event::Text(_) => is_free,
            Event::Focus(on) => {
                state.has_window = *on;
                true
            }
            _ => true,
        }
    }

    /// A command for a terminal; if that has the keyboard, with the modifiers that are held, which no script
    /// sees meanwhile.
    pub(crate) fn with_modifiers(&self, terminal: TerminalId, mut command: Command) -> Command {
        let state = self.state.lock();
        if let Command::Pointer(Pointer { modifiers, .. }) | Command::Wheel { modifiers, .. } = &mut command
            && state.focus.is_some_and(|focus| focus.terminal == terminal)
        {
            *modifiers = modifiers.and(state.modifiers);
        }
        command
    }

    /// What becomes of a stroke. The keyboard is already taken when it says so.
    pub(crate) fn stroke(&self, stroke: &Stroke) -> Stroked {
        let mut state = self.state.lock();
        if stroke.code != 0 {
            state.modifiers = stroke.modifiers;
        }
        let Some(focus @ Focus { terminal, .. }) = state.focus else { return Stroked::Nothing };
        if let Some(steps) = zoom(stroke) {
            return match stroke.press {
                Press::Released => Stroked::Nothing,
                _ => Stroked::Zoom(focus, steps),
            };
        }
        if stroke.is_release_chord() {
            state.of_terminal.clear();
            return state.focus.take().map_or(Stroked::Nothing, Stroked::Released);
        }
        let is_known = match stroke.press {
            // What was typed without a key is never released.
            Press::Pressed if stroke.code == 0 || is_shortcut(stroke).is_some() => true,
            // The keyboard may have moved between the two tellings of this key.
            Press::Pressed if state.of_scripts.contains(&stroke.code) => false,
            Press::Pressed => state.of_terminal.insert(stroke.code),
            Press::Repeated => state.of_terminal.contains(&stroke.code) || is_shortcut(stroke).is_some(),
            Press::Released => state.of_terminal.remove(&stroke.code),
        };
        match is_shortcut(stroke) {
            Some(shortcut) if stroke.press != Press::Released => shortcut(terminal),
            _ if is_known => Stroked::Typed(terminal),
            _ => Stroked::Nothing,
        }
    }
}

/// Ctrl+Shift+C and Ctrl+Insert copy, Ctrl+Shift+V and Shift+Insert paste: what terminals agree on.
fn is_shortcut(stroke: &Stroke) -> Option<fn(TerminalId) -> Stroked> {
    let locks = Modifiers::CAPS_LOCK.and(Modifiers::NUM_LOCK);
    let modifiers = Modifiers(stroke.modifiers.0 & !locks.0);
    let both = Modifiers::CONTROL.and(Modifiers::SHIFT);
    let is = |letter: char, code: u16| match stroke.key {
        Some(key) => key.eq_ignore_ascii_case(&letter),
        None => stroke.code == code,
    };
    if modifiers == both && is('c', key::C) || modifiers == Modifiers::CONTROL && stroke.code == INSERT {
        return Some(Stroked::Copy);
    }
    if modifiers == both && is('v', V) || modifiers == Modifiers::SHIFT && stroke.code == INSERT {
        return Some(Stroked::Paste);
    }
    None
}

/// Ctrl+Shift with plus, minus or 0, wherever the layout has them.
fn zoom(stroke: &Stroke) -> Option<i8> {
    let locks = Modifiers::CAPS_LOCK.and(Modifiers::NUM_LOCK);
    if Modifiers(stroke.modifiers.0 & !locks.0) != Modifiers::CONTROL.and(Modifiers::SHIFT) {
        return None;
    }
    match (stroke.key, stroke.shifted, stroke.code) {
        (Some('+'), ..) | (_, Some('+'), _) | (.., KEYPAD_PLUS) => Some(1),
        (Some('-'), ..) | (.., KEYPAD_MINUS) => Some(-1),
        (Some('0'), ..) => Some(0),
        _ => None,
    }
}

/// Usage ids of keys that scripts have no names for.
const INSERT: u16 = 0x49;
const KEYPAD_MINUS: u16 = 0x56;
const KEYPAD_PLUS: u16 = 0x57;
const V: u16 = 0x19;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use Press::{Pressed, Released, Repeated};

    const FOCUS: Focus = Focus { terminal: TerminalId::from_bits(9), by: ProcessId::from_bits(3) };

    fn event(code: u16, press: Press) -> Event {
        Event::Key { code, press }
    }

    fn stroke(code: u16, press: Press) -> Stroke {
        with(code, press, Modifiers::default())
    }

    fn with(code: u16, press: Press, modifiers: Modifiers) -> Stroke {
        Stroke { code, press, modifiers, key: None, shifted: None, text: String::new() }
    }

    fn focused() -> Keyboard {
        let keyboard = Keyboard::default();
        assert_eq!(keyboard.give(Some(FOCUS)), None);
        keyboard
    }

    /// Tells a key as the engine does; whether scripts and the terminal get it.
    fn tell(keyboard: &Keyboard, code: u16, press: Press) -> (bool, bool) {
        let scripts = keyboard.is_for_scripts(&event(code, press));
        (scripts, keyboard.stroke(&stroke(code, press)) == Stroked::Typed(FOCUS.terminal))
    }

    #[test]
    fn letters_grow_and_shrink_by_chords_of_any_layout() {
        let keyboard = Keyboard::default();
        let both = Modifiers::CONTROL.and(Modifiers::SHIFT).and(Modifiers::NUM_LOCK);
        let key = |code, key, shifted| Stroke { key, shifted, ..with(code, Pressed, both) };
        let plus = key(0x2E, Some('='), Some('+'));
        assert_eq!(keyboard.stroke(&plus), Stroked::Nothing, "no terminal has the keyboard");
        keyboard.give(Some(FOCUS));
        for (stroke, steps) in [
            (plus, 1),
            (key(0x30, Some('+'), Some('*')), 1),
            (key(KEYPAD_PLUS, Some('+'), None), 1),
            (key(0x2D, Some('-'), Some('_')), -1),
            (key(0x27, Some('0'), Some(')')), 0),
        ] {
            assert_eq!(keyboard.stroke(&stroke), Stroked::Zoom(FOCUS, steps));
            assert_eq!(keyboard.stroke(&Stroke { press: Released, ..stroke }), Stroked::Nothing);
        }
        let undo = Stroke { modifiers: Modifiers::CONTROL, ..key(0x38, Some('/'), None) };
        assert_eq!(keyboard.stroke(&undo), Stroked::Typed(FOCUS.terminal));
    }

    #[test]
    fn the_pointer_has_the_modifiers_that_are_held() {
        let keyboard = Keyboard::default();
        let wheel = |modifiers| Command::Wheel { lines: [0.0, 1.0], modifiers, at: [0.0; 2] };
        keyboard.stroke(&with(key::LEFT_SHIFT, Pressed, Modifiers::SHIFT));
        let plain = wheel(Modifiers::default());
        assert_eq!(keyboard.with_modifiers(FOCUS.terminal, plain.clone()), plain);
        keyboard.give(Some(FOCUS));
        assert_eq!(keyboard.with_modifiers(FOCUS.terminal, plain.clone()), wheel(Modifiers::SHIFT));
        keyboard.stroke(&with(key::LEFT_SHIFT, Released, Modifiers::default()));
        assert_eq!(keyboard.with_modifiers(FOCUS.terminal, plain.clone()), plain);
    }

    #[test]
    fn each_key_belongs_to_who_saw_it_go_down() {
        let keyboard = Keyboard::default();
        assert_eq!(tell(&keyboard, key::W, Pressed), (true, false));
        assert_eq!(tell(&keyboard, key::ENTER, Pressed), (true, false));
        // The script that saw Enter gives the keyboard away.
        keyboard.give(Some(FOCUS));
        assert_eq!(tell(&keyboard, key::ENTER, Repeated), (false, false));
        assert_eq!(tell(&keyboard, key::ENTER, Released), (true, false));
        assert_eq!(tell(&keyboard, key::A, Pressed), (false, true));
        assert_eq!(tell(&keyboard, key::A, Repeated), (false, true));
        assert_eq!(tell(&keyboard, key::W, Released), (true, false));
        assert!(!keyboard.is_for_scripts(&Event::Text("a".into())));
        // A is held while the keyboard comes back.
        assert_eq!(keyboard.give(None), Some(FOCUS));
        assert_eq!(tell(&keyboard, key::A, Repeated), (false, false));
        assert_eq!(tell(&keyboard, key::A, Released), (false, false));
        assert_eq!(tell(&keyboard, key::A, Pressed), (true, false));
        assert!(keyboard.is_for_scripts(&Event::Text("a".into())));
    }

    #[test]
    fn a_key_that_opens_a_terminal_at_once_is_not_typed_into_it() {
        let keyboard = Keyboard::default();
        assert!(keyboard.is_for_scripts(&event(key::W, Pressed)));
        keyboard.give(Some(FOCUS));
        assert_eq!(keyboard.stroke(&stroke(key::W, Pressed)), Stroked::Nothing);
        assert_eq!(tell(&keyboard, key::W, Repeated), (false, false));
        assert_eq!(tell(&keyboard, key::W, Released), (true, false));
        assert_eq!(tell(&keyboard, key::W, Pressed), (false, true));
    }

    #[test]
    fn the_chord_takes_the_keyboard_and_no_script_hears_it() {
        let keyboard = focused();
        let chord = with(key::SPACE, Pressed, Modifiers::CONTROL.and(Modifiers::SHIFT));
        assert!(!keyboard.is_for_scripts(&event(key::SPACE, Pressed)));
        assert!(!keyboard.is_for_scripts(&Event::Text(" ".into())));
        assert_eq!(keyboard.stroke(&chord), Stroked::Released(FOCUS));
        assert_eq!(keyboard.focus(), None);
        assert_eq!(keyboard.stroke(&chord), Stroked::Nothing);
        assert!(!keyboard.is_for_scripts(&event(key::SPACE, Repeated)));
        assert!(!keyboard.is_for_scripts(&event(key::SPACE, Released)));
    }

    #[test]
    fn text_without_a_key_is_typed_and_the_clipboard_has_its_keys() {
        let keyboard = focused();
        for _ in 0..2 {
            assert_eq!(keyboard.stroke(&stroke(0, Pressed)), Stroked::Typed(FOCUS.terminal));
        }
        let both = Modifiers::CONTROL.and(Modifiers::SHIFT);
        for (code, modifiers, wanted) in [
            (key::C, both, Stroked::Copy(FOCUS.terminal)),
            (V, both.and(Modifiers::NUM_LOCK), Stroked::Paste(FOCUS.terminal)),
            (INSERT, Modifiers::SHIFT, Stroked::Paste(FOCUS.terminal)),
            (INSERT, Modifiers::CONTROL, Stroked::Copy(FOCUS.terminal)),
            (key::C, Modifiers::CONTROL, Stroked::Typed(FOCUS.terminal)),
        ] {
            assert_eq!(keyboard.stroke(&with(code, Pressed, modifiers)), wanted, "{code:#x}");
        }
    }

    #[test]
    fn the_keyboard_is_taken_from_what_is_meant_only() {
        let keyboard = focused();
        assert_eq!(keyboard.take_if(|focus| focus.by.to_bits() == 4), None);
        assert!(keyboard.is_for_scripts(&Event::Focus(false)));
        assert_eq!((keyboard.focus(), keyboard.has_window()), (Some(FOCUS), false));
        assert_eq!(keyboard.take_if(|focus| focus.by == FOCUS.by), Some(FOCUS));
        assert_eq!(keyboard.focus(), None);
    }
}
