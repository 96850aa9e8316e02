// SPDX-License-Identifier: AGPL-3.0-or-later
//! Where the user's keys go: to the scripts that asked for them, or to the one terminal or the one entity that has
//! the keyboard.
//!
//! The engine tells each key twice, as an event for scripts and then as a stroke for who has the keyboard; one of the
//! two is let through. A key belongs to whoever saw it go down, until it goes up: so no script waits for ever for a
//! key to be released, and the key that gave a terminal the keyboard is not typed into it.

use hearth_abi::{
    EntityId, ProcessId, TerminalId,
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

/// The entity that has the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Typing {
    /// The target that the user pressed.
    pub(crate) entity: EntityId,
    /// The process that it belonged to then, and that hears what is typed.
    pub(crate) owner: ProcessId,
}

/// What becomes of a stroke while an entity has the keyboard.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TypedInto {
    /// Its owner hears this: a key, and what it types.
    Told(Typing, Vec<Event>),
    /// It pastes what is on the clipboard.
    Paste(Typing),
    /// It takes the keyboard from the entity that had it.
    Left(Typing),
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
    /// The entity that has it. Of the two at most one is there.
    typing: Option<Typing>,
    /// A button went down, and it is not known yet whether on what has the keyboard.
    is_pressed: bool,
    /// Whether the window has the system's keyboard.
    has_window: bool,
    /// Keys that are down, of which the scripts know.
    of_scripts: BTreeSet<u16>,
    /// Keys that are down, of which the terminal or the entity knows.
    of_holder: BTreeSet<u16>,
    /// Keys that are held with others.
    modifiers: Modifiers,
}

impl Default for State {
    fn default() -> State {
        State {
            focus: None,
            typing: None,
            is_pressed: false,
            has_window: true,
            of_scripts: BTreeSet::new(),
            of_holder: BTreeSet::new(),
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

    /// The entity that has the keyboard.
    pub(crate) fn typing(&self) -> Option<Typing> {
        self.state.lock().typing
    }

    /// Gives the keyboard to an entity, which no terminal and no other entity has.
    pub(crate) fn give_to_entity(&self, typing: Typing) {
        let mut state = self.state.lock();
        debug_assert!(state.focus.is_none() && state.typing.is_none());
        state.of_holder.clear();
        state.is_pressed = false;
        state.typing = Some(typing);
    }

    /// Takes the keyboard from the entity that has it, if it is one of these.
    pub(crate) fn take_from_entity_if(&self, which: impl FnOnce(&Typing) -> bool) -> Option<Typing> {
        let mut state = self.state.lock();
        let taken = state.typing.take_if(|typing| which(typing));
        if taken.is_some() {
            state.of_holder.clear();
        }
        taken
    }

    /// A button went down somewhere, or it is known where: on what has the keyboard.
    pub(crate) fn set_pressed(&self, on: bool) {
        self.state.lock().is_pressed = on;
    }

    /// Whether a button has gone down and nothing tells that it was on what has the keyboard. Asked before each picture,
    /// since what the pointer is on is told with the one after a press.
    pub(crate) fn take_pressed(&self) -> bool {
        let mut state = self.state.lock();
        std::mem::take(&mut state.is_pressed) && state.typing.is_some()
    }

    /// Gives the keyboard to a terminal or to the scripts; tells what terminal had it. No entity has it.
    pub(crate) fn give(&self, focus: Option<Focus>) -> Option<Focus> {
        let mut state = self.state.lock();
        debug_assert!(state.typing.is_none() || focus.is_none());
        state.of_holder.clear();
        std::mem::replace(&mut state.focus, focus)
    }

    /// Takes the keyboard from the terminal that has it, if it is one of these.
    pub(crate) fn take_if(&self, which: impl FnOnce(&Focus) -> bool) -> Option<Focus> {
        let mut state = self.state.lock();
        let taken = state.focus.take_if(|focus| which(focus));
        if taken.is_some() {
            state.of_holder.clear();
        }
        taken
    }

    /// Whether an event is for the scripts.
    pub(crate) fn is_for_scripts(&self, event: &Event) -> bool {
        let mut state = self.state.lock();
        let is_free = state.focus.is_none() && state.typing.is_none();
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

    /// What becomes of a stroke, if an entity has the keyboard. The keyboard is already taken when it says so.
    pub(crate) fn stroke_into_entity(&self, stroke: &Stroke) -> Option<TypedInto> {
        let mut state = self.state.lock();
        let typing = state.typing?;
        if stroke.code != 0 {
            state.modifiers = stroke.modifiers;
        }
        let Stroke { code, press, .. } = *stroke;
        if press == Press::Pressed && (code == key::ESCAPE || stroke.is_release_chord()) {
            state.of_holder.clear();
            return state.typing.take().map(TypedInto::Left);
        }
        if pastes(stroke) && press != Press::Released {
            return (press == Press::Pressed).then_some(TypedInto::Paste(typing));
        }
        let is_known = match press {
            _ if code == 0 => true,
            // The keyboard may have moved between the two tellings of this key.
            Press::Pressed if state.of_scripts.contains(&code) => false,
            Press::Pressed => {
                state.of_holder.insert(code);
                true
            }
            Press::Repeated => state.of_holder.contains(&code),
            Press::Released => state.of_holder.remove(&code),
        };
        let key = (code != 0).then_some(Event::Key { code, press });
        let types = press != Press::Released && !stroke.text.is_empty();
        let text = types.then(|| Event::Text(stroke.text.clone()));
        is_known.then(|| TypedInto::Told(typing, key.into_iter().chain(text).collect()))
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
            state.of_holder.clear();
            return state.focus.take().map_or(Stroked::Nothing, Stroked::Released);
        }
        let is_known = match stroke.press {
            // What was typed without a key is never released.
            Press::Pressed if stroke.code == 0 || is_shortcut(stroke).is_some() => true,
            // The keyboard may have moved between the two tellings of this key.
            Press::Pressed if state.of_scripts.contains(&stroke.code) => false,
            Press::Pressed => state.of_holder.insert(stroke.code),
            Press::Repeated => state.of_holder.contains(&stroke.code) || is_shortcut(stroke).is_some(),
            Press::Released => state.of_holder.remove(&stroke.code),
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

/// Ctrl+V, and what pastes into terminals.
fn pastes(stroke: &Stroke) -> bool {
    let locks = Modifiers::CAPS_LOCK.and(Modifiers::NUM_LOCK);
    let is_v = stroke.key.map_or(stroke.code == V, |key| key.eq_ignore_ascii_case(&'v'));
    let is_control = Modifiers(stroke.modifiers.0 & !locks.0) == Modifiers::CONTROL;
    is_v && is_control
        || is_shortcut(stroke)
            .is_some_and(|shortcut| matches!(shortcut(TerminalId::from_bits(1)), Stroked::Paste(_)))
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

    const TYPING: Typing = Typing { entity: EntityId::from_bits(9), owner: ProcessId::from_bits(3) };

    fn into(keyboard: &Keyboard, stroke: &Stroke) -> Option<TypedInto> {
        for event in [event(stroke.code, stroke.press), Event::Text("x".into())] {
            assert!(!keyboard.is_for_scripts(&event), "scripts hear nothing of {stroke:?}");
        }
        keyboard.stroke_into_entity(stroke)
    }

    #[test]
    fn an_entity_hears_keys_and_what_they_type() {
        let keyboard = Keyboard::default();
        assert!(keyboard.is_for_scripts(&event(key::W, Pressed)));
        assert_eq!(keyboard.stroke_into_entity(&stroke(key::W, Pressed)), None);
        keyboard.give_to_entity(TYPING);
        // W was down before: its release is the scripts', and it is typed when it goes down anew.
        assert_eq!(keyboard.stroke_into_entity(&stroke(key::W, Pressed)), None);
        assert_eq!(keyboard.stroke_into_entity(&stroke(key::W, Repeated)), None);
        assert!(keyboard.is_for_scripts(&event(key::W, Released)));
        let typed = |code, press, text: &str| Stroke { text: text.into(), ..stroke(code, press) };
        let told = |events: &[Event]| Some(TypedInto::Told(TYPING, events.to_vec()));
        let a = |press| event(key::A, press);
        let text = |text: &str| Event::Text(text.into());
        assert_eq!(into(&keyboard, &typed(key::A, Pressed, "ä")), told(&[a(Pressed), text("ä")]));
        assert_eq!(into(&keyboard, &typed(key::A, Repeated, "ä")), told(&[a(Repeated), text("ä")]));
        assert_eq!(into(&keyboard, &typed(key::A, Released, "")), told(&[a(Released)]));
        assert_eq!(into(&keyboard, &typed(0, Pressed, "é")), told(&[text("é")]), "an input method");
        // What an entity saw go down is not the scripts' when it has lost the keyboard meanwhile.
        into(&keyboard, &stroke(key::A, Pressed));
        assert_eq!(keyboard.take_from_entity_if(|typing| *typing == TYPING), Some(TYPING));
        assert!(!keyboard.is_for_scripts(&event(key::A, Released)));
        assert_eq!(keyboard.stroke_into_entity(&stroke(key::A, Released)), None);
        assert!(keyboard.is_for_scripts(&event(key::A, Pressed)));
    }

    #[test]
    fn escape_and_the_chord_leave_an_entity_and_only_wishes_paste() {
        let both = Modifiers::CONTROL.and(Modifiers::SHIFT);
        for leave in [stroke(key::ESCAPE, Pressed), with(key::SPACE, Pressed, both)] {
            let keyboard = Keyboard::default();
            keyboard.give_to_entity(TYPING);
            assert_eq!(into(&keyboard, &leave), Some(TypedInto::Left(TYPING)));
            assert_eq!((keyboard.typing(), keyboard.stroke_into_entity(&leave)), (None, None));
            assert!(!keyboard.is_for_scripts(&event(leave.code, Released)), "nor does a script hear of it");
        }
        let keyboard = Keyboard::default();
        keyboard.give_to_entity(TYPING);
        for (code, modifiers) in
            [(V, Modifiers::CONTROL), (V, both.and(Modifiers::NUM_LOCK)), (INSERT, Modifiers::SHIFT)]
        {
            assert_eq!(into(&keyboard, &with(code, Pressed, modifiers)), Some(TypedInto::Paste(TYPING)));
            assert_eq!(into(&keyboard, &with(code, Repeated, modifiers)), None, "one wish, one paste");
            assert_eq!(into(&keyboard, &with(code, Released, modifiers)), None);
        }
        assert!(matches!(into(&keyboard, &stroke(V, Pressed)), Some(TypedInto::Told(..))));
    }

    #[test]
    fn a_press_is_elsewhere_unless_it_is_told_that_it_was_not() {
        let keyboard = Keyboard::default();
        keyboard.set_pressed(true);
        assert!(!keyboard.take_pressed(), "nothing has the keyboard");
        keyboard.give_to_entity(TYPING);
        assert!(!keyboard.take_pressed());
        keyboard.set_pressed(true);
        keyboard.set_pressed(false);
        assert!(!keyboard.take_pressed());
        keyboard.set_pressed(true);
        assert!(keyboard.take_pressed() && !keyboard.take_pressed());
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
