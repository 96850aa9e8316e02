// SPDX-License-Identifier: AGPL-3.0-or-later
//! Keys of the window system as strokes of the contract.

use bevy::input::keyboard::Key;
use hearth_abi::{
    input::Press,
    terminal::{Modifiers, STROKE_LEN_MAX, Stroke},
};
use std::collections::BTreeMap;
use winit::keyboard::{Key as Unmodified, ModifiersState, NamedKey};

/// Usage ids of the keypad's digits and point, which num lock turns into others.
const KEYPAD_DIGITS: std::ops::RangeInclusive<u16> = 0x59..=0x63;

/// What one event of the window system says about a key.
pub(crate) struct KeyEvent<'a> {
    /// Its usage id, 0 if it has none.
    pub(crate) code: u16,
    pub(crate) press: Press,
    /// What the layout makes of it now.
    pub(crate) logical: &'a Key,
    /// What the layout puts on it without modifiers, if that is known.
    pub(crate) unmodified: Option<&'a Unmodified>,
    /// What it types.
    pub(crate) text: Option<&'a str>,
}

/// What must be remembered between keys: which modifiers are held, and the locks, which no window system tells.
#[derive(Debug)]
pub(crate) struct Keyboard {
    /// What the window system says is held. It may say so only after the modifier's own key.
    system: Modifiers,
    /// Keys that are down, with their characters; few, since there are no more usage ids than keys.
    down: BTreeMap<u16, Down>,
    caps_lock: bool,
    num_lock: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Down {
    key: Option<char>,
    modifier: Modifiers,
    third_level: bool,
}

impl Default for Keyboard {
    /// Num lock counts as on until a key of the keypad shows otherwise: it then types what it is printed with.
    fn default() -> Keyboard {
        Keyboard { system: Modifiers::default(), down: BTreeMap::new(), caps_lock: false, num_lock: true }
    }
}

impl Keyboard {
    /// The window system tells what is held.
    pub(crate) fn modifiers(&mut self, state: ModifiersState) {
        let each = [
            (ModifiersState::SHIFT, Modifiers::SHIFT),
            (ModifiersState::ALT, Modifiers::ALT),
            (ModifiersState::CONTROL, Modifiers::CONTROL),
            (ModifiersState::SUPER, Modifiers::SUPER),
        ];
        let held = each.into_iter().filter(|(from, _)| state.contains(*from));
        self.system = held.fold(Modifiers::default(), |all, (_, to)| all.and(to));
    }

    /// What is held now, without the locks.
    pub(crate) fn held(&self) -> Modifiers {
        self.down.values().fold(self.system, |all, down| all.and(down.modifier))
    }

    /// The stroke that an event is; `None` for the release of a key that was not seen to go down (it was
    /// down when the window got the keyboard), and for keys that have neither a usage id nor text.
    pub(crate) fn stroke(&mut self, event: &KeyEvent<'_>) -> Option<Stroke> {
        let modifier = modifier(event.logical);
        let released = event.press == Press::Released;
        let known = match event.press {
            Press::Released => self.down.remove(&event.code),
            _ => None,
        };
        if released && known.is_none() {
            return None;
        }
        let text: String = match event.text {
            Some(text) if !released && !text.chars().any(char::is_control) => cut(text).0.into(),
            _ => String::new(),
        };
        if event.code == 0 && text.is_empty() {
            return None;
        }
        let third_level = self.down.values().any(|down| down.third_level);
        let held = self.down.values().fold(Modifiers::default(), |all, down| all.and(down.modifier));
        // The modifier's own key counts as it is after the event.
        let own = if released { known.map_or(modifier, |down| down.modifier) } else { modifier };
        let mut modifiers = Modifiers(self.system.0 & !own.0).and(held);
        if !released {
            modifiers = modifiers.and(own);
        }
        let key = match known {
            Some(down) => down.key,
            None => character(event),
        };
        let logical = match event.logical {
            Key::Character(text) => one(text),
            Key::Dead(dead) => *dead,
            _ => None,
        };
        let shift = modifiers.has(Modifiers::SHIFT);
        let shifted = logical
            .filter(|logical| shift && !released && !third_level && key.is_some_and(|key| key != *logical));
        if !released {
            self.learn_locks(event, &text, shift, third_level);
            let third_level = matches!(event.logical, Key::AltGraph);
            if event.code != 0 {
                self.down.insert(event.code, Down { key, modifier, third_level });
            }
        }
        let locks = [(self.caps_lock, Modifiers::CAPS_LOCK), (self.num_lock, Modifiers::NUM_LOCK)];
        for (_, lock) in locks.into_iter().filter(|(on, _)| *on) {
            modifiers = modifiers.and(lock);
        }
        Some(Stroke { code: event.code, press: event.press, modifiers, key, shifted, text })
    }

    /// Nobody tells the state of the locks, but what keys type shows it.
    fn learn_locks(&mut self, event: &KeyEvent<'_>, text: &str, shift: bool, third_level: bool) {
        if event.press == Press::Pressed {
            match event.logical {
                Key::CapsLock => self.caps_lock = !self.caps_lock,
                Key::NumLock => self.num_lock = !self.num_lock,
                _ => {}
            }
        }
        if let Some(letter) = one(text)
            && letter.is_lowercase() != letter.is_uppercase()
            && !third_level
            && let Some(key) = character(event)
            // Not what a dead key made of it.
            && key.to_lowercase().eq(letter.to_lowercase())
        {
            self.caps_lock = letter.is_uppercase() != shift;
        }
        if KEYPAD_DIGITS.contains(&event.code) {
            match event.logical {
                Key::Unidentified(_) | Key::Dead(_) => {}
                // It turns the key the other way.
                _ if shift => {}
                Key::Character(_) => self.num_lock = true,
                _ => self.num_lock = false,
            }
        }
    }

    /// Text without a key, as strokes.
    pub(crate) fn typed(text: &str) -> Vec<Stroke> {
        let text: String = text.chars().filter(|character| !character.is_control()).collect();
        let mut rest = text.as_str();
        let mut strokes = Vec::new();
        while !rest.is_empty() {
            let (piece, after) = cut(rest);
            strokes.push(Stroke {
                code: 0,
                press: Press::Pressed,
                modifiers: Modifiers::default(),
                key: None,
                shifted: None,
                text: piece.into(),
            });
            rest = after;
        }
        strokes
    }

    /// Whatever is down goes up.
    pub(crate) fn let_go(&mut self) -> Vec<Stroke> {
        self.system = Modifiers::default();
        let up = |(code, down): (u16, Down)| Stroke {
            code,
            press: Press::Released,
            modifiers: Modifiers::default(),
            key: down.key,
            shifted: None,
            text: String::new(),
        };
        std::mem::take(&mut self.down).into_iter().map(up).collect()
    }
}

/// The modifier that a key is.
const fn modifier(key: &Key) -> Modifiers {
    match key {
        Key::Shift => Modifiers::SHIFT,
        Key::Control => Modifiers::CONTROL,
        Key::Alt => Modifiers::ALT,
        Key::Super => Modifiers::SUPER,
        Key::Hyper => Modifiers::HYPER,
        Key::Meta => Modifiers::META,
        _ => Modifiers(0),
    }
}

/// The character on a key.
fn character(event: &KeyEvent<'_>) -> Option<char> {
    let character = match event.unmodified {
        Some(Unmodified::Character(text)) => one(text),
        Some(Unmodified::Named(NamedKey::Space)) => Some(' '),
        Some(Unmodified::Dead(dead)) => *dead,
        Some(Unmodified::Named(_)) => return None,
        _ => None,
    };
    // A dead key has no character but the one that it puts over others.
    character.or_else(|| match event.logical {
        Key::Dead(dead) => *dead,
        Key::Space => Some(' '),
        Key::Character(text) if event.unmodified.is_none() => one(text),
        _ => None,
    })
}

/// The one visible character that a text is.
fn one(text: &str) -> Option<char> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) if !one.is_control() => Some(one),
        _ => None,
    }
}

/// As much text as a stroke may have, and the rest.
fn cut(text: &str) -> (&str, &str) {
    let mut end = text.len().min(STROKE_LEN_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use bevy::input::keyboard::NativeKey;

    const A: u16 = 0x04;
    const LEFT_SHIFT: u16 = 0xE1;
    const RIGHT_SHIFT: u16 = 0xE5;
    const RIGHT_ALT: u16 = 0xE6;

    fn event<'a>(
        code: u16,
        press: Press,
        logical: &'a Key,
        unmodified: Option<&'a Unmodified>,
        text: Option<&'a str>,
    ) -> KeyEvent<'a> {
        KeyEvent { code, press, logical, unmodified, text }
    }

    fn named(keyboard: &mut Keyboard, code: u16, press: Press, key: &Key) -> Option<Stroke> {
        keyboard.stroke(&event(code, press, key, None, None))
    }

    fn letter(keyboard: &mut Keyboard, code: u16, key: &str, typed: &str) -> Stroke {
        let (logical, unmodified) = (Key::Character(typed.into()), Unmodified::Character(key.into()));
        keyboard.stroke(&event(code, Press::Pressed, &logical, Some(&unmodified), Some(typed))).unwrap()
    }

    const NUM: Modifiers = Modifiers::NUM_LOCK;

    #[test]
    fn a_modifier_counts_from_its_own_key_on() {
        let mut keyboard = Keyboard::default();
        let down = named(&mut keyboard, LEFT_SHIFT, Press::Pressed, &Key::Shift).unwrap();
        assert_eq!(down.modifiers, Modifiers::SHIFT.and(NUM));
        // The window system says so later, or never.
        let a = letter(&mut keyboard, A, "a", "A");
        assert_eq!((a.modifiers, a.key, a.shifted), (Modifiers::SHIFT.and(NUM), Some('a'), Some('A')));
        keyboard.modifiers(ModifiersState::SHIFT);
        let second = named(&mut keyboard, RIGHT_SHIFT, Press::Pressed, &Key::Shift).unwrap();
        assert!(second.modifiers.has(Modifiers::SHIFT));
        let first = named(&mut keyboard, LEFT_SHIFT, Press::Released, &Key::Shift).unwrap();
        assert!(first.modifiers.has(Modifiers::SHIFT), "the other one is held");
        let second = named(&mut keyboard, RIGHT_SHIFT, Press::Released, &Key::Shift).unwrap();
        assert_eq!(second.modifiers, NUM);
        keyboard.modifiers(ModifiersState::empty());
        let up = named(&mut keyboard, A, Press::Released, &Key::Character("a".into())).unwrap();
        assert_eq!((up.key, up.text.as_str(), up.modifiers), (Some('a'), "", NUM));
    }

    #[test]
    fn the_third_level_is_text() {
        let mut keyboard = Keyboard::default();
        named(&mut keyboard, RIGHT_ALT, Press::Pressed, &Key::AltGraph).unwrap();
        let at = letter(&mut keyboard, 0x14, "q", "@");
        let expected = Stroke {
            code: 0x14,
            press: Press::Pressed,
            modifiers: NUM,
            key: Some('q'),
            shifted: None,
            text: "@".into(),
        };
        assert_eq!(at, expected);
        named(&mut keyboard, LEFT_SHIFT, Press::Pressed, &Key::Shift).unwrap();
        assert_eq!(letter(&mut keyboard, 0x14, "q", "Ω").shifted, None, "it is not the second level");
    }

    #[test]
    fn dead_keys_type_with_the_next() {
        let mut keyboard = Keyboard::default();
        let (logical, unmodified) =
            (Key::Dead(Some('´')), Unmodified::Unidentified(winit::keyboard::NativeKey::Unidentified));
        let dead = keyboard.stroke(&event(0x2E, Press::Pressed, &logical, Some(&unmodified), None)).unwrap();
        assert_eq!((dead.key, dead.text.as_str()), (Some('´'), ""));
        let e = letter(&mut keyboard, 0x08, "e", "É");
        assert_eq!((e.key, e.text.as_str()), (Some('e'), "É"));
        assert!(!e.modifiers.has(Modifiers::CAPS_LOCK), "it says nothing about the lock");
    }

    #[test]
    fn locks_show_in_what_is_typed() {
        let mut keyboard = Keyboard::default();
        assert!(letter(&mut keyboard, A, "a", "A").modifiers.has(Modifiers::CAPS_LOCK));
        named(&mut keyboard, LEFT_SHIFT, Press::Pressed, &Key::Shift).unwrap();
        assert!(letter(&mut keyboard, A, "a", "a").modifiers.has(Modifiers::CAPS_LOCK));
        named(&mut keyboard, LEFT_SHIFT, Press::Released, &Key::Shift).unwrap();
        assert!(!letter(&mut keyboard, A, "a", "a").modifiers.has(Modifiers::CAPS_LOCK));
        let caps = named(&mut keyboard, 0x39, Press::Pressed, &Key::CapsLock).unwrap();
        assert!(caps.modifiers.has(Modifiers::CAPS_LOCK));

        let home = keyboard.stroke(&event(0x5F, Press::Pressed, &Key::Home, None, None)).unwrap();
        assert_eq!((home.modifiers.has(NUM), home.key), (false, None));
        let unmodified = Unmodified::Named(NamedKey::Home);
        let seven = Key::Character("7".into());
        let seven =
            keyboard.stroke(&event(0x5F, Press::Pressed, &seven, Some(&unmodified), Some("7"))).unwrap();
        assert_eq!((seven.modifiers.has(NUM), seven.key, seven.text.as_str()), (true, None, "7"));
    }

    #[test]
    fn what_was_not_seen_to_go_down_does_not_go_up() {
        let mut keyboard = Keyboard::default();
        assert_eq!(named(&mut keyboard, A, Press::Released, &Key::Character("a".into())), None);
        assert_eq!(
            named(&mut keyboard, 0, Press::Pressed, &Key::Unidentified(NativeKey::Unidentified)),
            None
        );
        letter(&mut keyboard, A, "a", "a");
        named(&mut keyboard, LEFT_SHIFT, Press::Pressed, &Key::Shift).unwrap();
        let up = keyboard.let_go();
        assert_eq!(up.iter().map(|stroke| stroke.code).collect::<Vec<_>>(), [A, LEFT_SHIFT]);
        assert_eq!((up[0].press, up[0].key), (Press::Released, Some('a')));
        assert!(keyboard.let_go().is_empty());
        assert_eq!(letter(&mut keyboard, A, "a", "a").modifiers, NUM);
    }

    #[test]
    fn controls_are_not_text() {
        let mut keyboard = Keyboard::default();
        let enter = keyboard.stroke(&event(0x28, Press::Pressed, &Key::Enter, None, Some("\r"))).unwrap();
        assert_eq!((enter.key, enter.text.as_str()), (None, ""));
        let space = Unmodified::Named(NamedKey::Space);
        let space =
            keyboard.stroke(&event(0x2C, Press::Repeated, &Key::Space, Some(&space), Some(" "))).unwrap();
        assert_eq!((space.key, space.text.as_str()), (Some(' '), " "));
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let long = "漢".repeat(50) + "\n\x1b";
        let strokes = Keyboard::typed(&long);
        assert_eq!(strokes.iter().map(|stroke| stroke.text.len()).collect::<Vec<_>>(), [63, 63, 24]);
        assert!(strokes.iter().all(|stroke| stroke.code == 0 && stroke.press == Press::Pressed));
        assert!(Keyboard::typed("\n").is_empty());
    }
}
