// SPDX-License-Identifier: AGPL-3.0-or-later
//! Key strokes as the bytes that programs read.
//!
//! Two encodings: that of xterm ("XTerm Control Sequences", sections "Alt and Meta Keys" and "PC-Style
//! Function Keys", with the resources as xterm has them if nothing is set), and the kitty keyboard protocol ("Comprehensive keyboard
//! handling in terminals"), whose five enhancements a program turns on one by one.

use alacritty_terminal::grid::Scroll;
use hearth_abi::{
    input::Press,
    terminal::{Modifiers, Stroke},
};
use std::io::Write;

/// Most bytes that one stroke becomes: the longest text, each byte of it a number with a colon, and the
/// numbers before it.
pub const ENCODED_LEN_MAX: usize = 320;

/// Enhancements of the kitty keyboard protocol that a program has turned on; the bits are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Enhancements(pub u8);

impl Enhancements {
    /// Keys that type nothing never look like others.
    pub const DISAMBIGUATE: Enhancements = Enhancements(1);
    /// Repeats and releases are told.
    pub const EVENT_TYPES: Enhancements = Enhancements(2);
    /// The key with shift, and the key at the same place of an American keyboard.
    pub const ALTERNATES: Enhancements = Enhancements(4);
    /// Keys that type something, and modifiers, come as keys.
    pub const ALL_KEYS: Enhancements = Enhancements(8);
    /// What a key types comes with it.
    pub const TEXT: Enhancements = Enhancements(16);

    /// Whether all of `other` are among these.
    pub const fn has(self, other: Enhancements) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What the program has asked of the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Modes {
    /// DECCKM: cursor keys send SS3 rather than CSI.
    pub application_cursor: bool,
    /// DECKPAM: the keypad sends SS3 unless num lock is on.
    pub application_keypad: bool,
    /// LNM: enter sends a line feed too.
    pub newline: bool,
    /// Enhancements of the kitty keyboard protocol.
    pub kitty: Enhancements,
}

/// Keys with names, by usage id, with their numbers of the kitty keyboard protocol ("Functional key
/// definitions").
struct Named {
    code: u16,
    number: u16,
    last: u8,
    legacy: Legacy,
}

/// How xterm encodes a key.
#[derive(Clone, Copy)]
enum Legacy {
    /// Not at all.
    None,
    /// CSI and this letter; SS3 if the program asked for that.
    Cursor(u8),
    /// SS3 and this letter, CSI with modifiers.
    Pf(u8),
    /// CSI, this number and a tilde.
    Tilde(u8),
}

use Legacy::{Cursor, Pf, Tilde};

const fn named(code: u16, number: u16, last: u8, legacy: Legacy) -> Named {
    Named { code, number, last, legacy }
}

const ENTER: u16 = 0x28;
const ESCAPE: u16 = 0x29;
const BACKSPACE: u16 = 0x2A;
const TAB: u16 = 0x2B;
const KEYPAD_ENTER: u16 = 0x58;

/// In ascending order of usage ids. F13 and on are numbered as xterm does ("decfuncvalue").
static NAMED: [Named; 57] = [
    named(ENTER, 13, b'u', Legacy::None),
    named(ESCAPE, 27, b'u', Legacy::None),
    named(BACKSPACE, 127, b'u', Legacy::None),
    named(TAB, 9, b'u', Legacy::None),
    named(0x39, 57358, b'u', Legacy::None), // caps lock
    named(0x3A, 1, b'P', Pf(b'P')),         // F1
    named(0x3B, 1, b'Q', Pf(b'Q')),
    named(0x3C, 13, b'~', Pf(b'R')), // CSI R would be a report of the cursor
    named(0x3D, 1, b'S', Pf(b'S')),
    named(0x3E, 15, b'~', Tilde(15)),
    named(0x3F, 17, b'~', Tilde(17)),
    named(0x40, 18, b'~', Tilde(18)),
    named(0x41, 19, b'~', Tilde(19)),
    named(0x42, 20, b'~', Tilde(20)),
    named(0x43, 21, b'~', Tilde(21)),
    named(0x44, 23, b'~', Tilde(23)),
    named(0x45, 24, b'~', Tilde(24)),       // F12
    named(0x46, 57361, b'u', Legacy::None), // print screen
    named(0x47, 57359, b'u', Legacy::None), // scroll lock
    named(0x48, 57362, b'u', Legacy::None), // pause
    named(0x49, 2, b'~', Tilde(2)),         // insert
    named(0x4A, 1, b'H', Cursor(b'H')),     // home
    named(0x4B, 5, b'~', Tilde(5)),         // page up
    named(0x4C, 3, b'~', Tilde(3)),         // delete
    named(0x4D, 1, b'F', Cursor(b'F')),     // end
    named(0x4E, 6, b'~', Tilde(6)),         // page down
    named(0x4F, 1, b'C', Cursor(b'C')),     // right
    named(0x50, 1, b'D', Cursor(b'D')),     // left
    named(0x51, 1, b'B', Cursor(b'B')),     // down
    named(0x52, 1, b'A', Cursor(b'A')),     // up
    named(0x53, 57360, b'u', Legacy::None), // num lock
    named(0x65, 57363, b'u', Tilde(29)),    // menu
    named(0x68, 57376, b'u', Tilde(25)),    // F13
    named(0x69, 57377, b'u', Tilde(26)),
    named(0x6A, 57378, b'u', Tilde(28)),
    named(0x6B, 57379, b'u', Tilde(29)),
    named(0x6C, 57380, b'u', Tilde(31)),
    named(0x6D, 57381, b'u', Tilde(32)),
    named(0x6E, 57382, b'u', Tilde(33)),
    named(0x6F, 57383, b'u', Tilde(34)), // F20
    named(0x70, 57384, b'u', Tilde(42)),
    named(0x71, 57385, b'u', Tilde(43)),
    named(0x72, 57386, b'u', Tilde(44)),
    named(0x73, 57387, b'u', Tilde(45)),    // F24
    named(0x75, 28, b'~', Tilde(28)),       // help
    named(0x77, 4, b'~', Tilde(4)),         // select
    named(0x7E, 1, b'~', Tilde(1)),         // find
    named(0x7F, 57440, b'u', Legacy::None), // mute
    named(0x80, 57439, b'u', Legacy::None), // louder
    named(0x81, 57438, b'u', Legacy::None), // softer
    named(0xE0, 57442, b'u', Legacy::None), // left control, and the other modifiers to the end
    named(0xE1, 57441, b'u', Legacy::None),
    named(0xE2, 57443, b'u', Legacy::None),
    named(0xE3, 57444, b'u', Legacy::None),
    named(0xE4, 57448, b'u', Legacy::None),
    named(0xE5, 57447, b'u', Legacy::None),
    named(0xE7, 57450, b'u', Legacy::None),
];

/// The right alt key, which is AltGr in many layouts.
const RIGHT_ALT: u16 = 0xE6;
static RIGHT_ALT_NAMED: Named = named(RIGHT_ALT, 57449, b'u', Legacy::None);
static LEVEL_3_NAMED: Named = named(RIGHT_ALT, 57453, b'u', Legacy::None);

/// A key of the keypad, with its number of the kitty keyboard protocol while num lock is on.
struct Keypad {
    code: u16,
    number: u16,
    other: Other,
}

/// What else a key of the keypad can be.
enum Other {
    /// In application mode SS3 and this letter, by "VT220-Style Function Keys" of xterm's document.
    Application(u8),
    /// Without num lock this key.
    Navigation(Named),
}

const fn operator(code: u16, number: u16, application: u8) -> Keypad {
    Keypad { code, number, other: Other::Application(application) }
}

const fn digit(code: u16, number: u16, other: u16, last: u8, legacy: Legacy) -> Keypad {
    Keypad { code, number, other: Other::Navigation(named(code, other, last, legacy)) }
}

static KEYPAD: [Keypad; 18] = [
    operator(0x54, 57410, b'o'), // divide
    operator(0x55, 57411, b'j'), // multiply
    operator(0x56, 57412, b'm'), // subtract
    operator(0x57, 57413, b'k'), // add
    operator(KEYPAD_ENTER, 57414, b'M'),
    digit(0x59, 57400, 57424, b'u', Cursor(b'F')), // 1, end
    digit(0x5A, 57401, 57420, b'u', Cursor(b'B')),
    digit(0x5B, 57402, 57422, b'u', Tilde(6)),
    digit(0x5C, 57403, 57417, b'u', Cursor(b'D')),
    digit(0x5D, 57404, 1, b'E', Cursor(b'E')), // 5, begin
    digit(0x5E, 57405, 57418, b'u', Cursor(b'C')),
    digit(0x5F, 57406, 57423, b'u', Cursor(b'H')),
    digit(0x60, 57407, 57419, b'u', Cursor(b'A')),
    digit(0x61, 57408, 57421, b'u', Tilde(5)), // 9, page up
    digit(0x62, 57399, 57425, b'u', Tilde(2)), // 0, insert
    digit(0x63, 57409, 57426, b'u', Tilde(3)), // point, delete
    operator(0x67, 57415, b'X'),               // equal
    operator(0x85, 57416, b'l'),               // separator
];

/// What an American keyboard has at usage ids 0x04 to 0x38, NUL where it has no character.
const AMERICAN: &[u8; 53] = b"abcdefghijklmnopqrstuvwxyz1234567890\0\0\0\0 -=[]\\\\;'`,./";

/// The character of an American keyboard at this place.
fn american(code: u16) -> Option<char> {
    let at = usize::from(code.checked_sub(0x04)?);
    AMERICAN.get(at).filter(|byte| **byte != 0).map(|byte| char::from(*byte))
}

const CHORDS: u8 =
    Modifiers::ALT.0 | Modifiers::CONTROL.0 | Modifiers::SUPER.0 | Modifiers::HYPER.0 | Modifiers::META.0;
const LOCKS: u8 = Modifiers::CAPS_LOCK.0 | Modifiers::NUM_LOCK.0;

/// What kind of key a stroke is of.
enum Kind {
    /// It has a name, and types nothing.
    Named(&'static Named),
    /// It is on the keypad, and types something unless it is enter.
    Keypad(&'static Keypad),
    /// It has this character.
    Character(char),
    /// Nothing is known but what it types.
    Text,
}

fn kind(stroke: &Stroke) -> Kind {
    let code = stroke.code;
    if code == RIGHT_ALT {
        // A right alt that is alt says so; else it chooses the third level.
        let alt = stroke.modifiers.has(Modifiers::ALT);
        return Kind::Named(if alt { &RIGHT_ALT_NAMED } else { &LEVEL_3_NAMED });
    }
    if let Ok(at) = NAMED.binary_search_by_key(&code, |named| named.code) {
        return Kind::Named(&NAMED[at]);
    }
    if let Ok(at) = KEYPAD.binary_search_by_key(&code, |key| key.code) {
        let key = &KEYPAD[at];
        let m = stroke.modifiers;
        let digit = !stroke.text.is_empty() || (m.has(Modifiers::NUM_LOCK) && !m.has(Modifiers::SHIFT));
        return match &key.other {
            Other::Navigation(other) if !digit => Kind::Named(other),
            _ => Kind::Keypad(key),
        };
    }
    match stroke.key {
        Some(key) => Kind::Character(key),
        None => american(code).filter(|_| stroke.text.is_empty()).map_or(Kind::Text, Kind::Character),
    }
}

/// Appends what a program reads for this stroke: at most [`ENCODED_LEN_MAX`] bytes, often none.
pub fn encode(stroke: &Stroke, modes: Modes, out: &mut Vec<u8>) {
    let flags = modes.kitty;
    let released = stroke.press == Press::Released;
    if released && !flags.has(Enhancements::EVENT_TYPES) {
        return;
    }
    let kind = kind(stroke);
    let chord = stroke.modifiers.0 & CHORDS != 0;
    let all = flags.has(Enhancements::ALL_KEYS);
    let keyboard = all || flags.has(Enhancements::DISAMBIGUATE);
    let plain = matches!(stroke.code, ENTER | TAB | BACKSPACE);
    let text = if chord || released || stroke.text.chars().any(char::is_control) { "" } else { &stroke.text };
    if !all {
        if plain && released || is_modifier(stroke.code) {
            return;
        }
        let application = application(&kind, stroke.modifiers, modes).is_some();
        if !released && !text.is_empty() && (keyboard || !application) {
            out.extend_from_slice(text.as_bytes());
            return;
        }
        if !released && plain && stroke.modifiers.0 & !LOCKS == 0 {
            return legacy(&kind, stroke, modes, out);
        }
    }
    // Without the first and the fourth enhancement only repeats and releases of the second are new.
    let again = stroke.press == Press::Repeated && flags.has(Enhancements::EVENT_TYPES);
    let new_event = released || again && matches!(kind, Kind::Named(_)) && !plain;
    if keyboard || new_event {
        kitty(&kind, stroke, text, flags, out)
    } else {
        legacy(&kind, stroke, modes, out)
    }
}

/// Where a key moves the view of the first screen: with shift alone, as in every terminal, page up and down by a
/// screen, home and end as far as there is history.
pub(crate) fn scrolls(stroke: &Stroke) -> Option<Scroll> {
    const LOCKS: u8 = Modifiers::CAPS_LOCK.0 | Modifiers::NUM_LOCK.0;
    if stroke.modifiers.0 & !LOCKS != Modifiers::SHIFT.0 {
        return None;
    }
    match stroke.code {
        0x4B => Some(Scroll::PageUp),
        0x4E => Some(Scroll::PageDown),
        0x4A => Some(Scroll::Top),
        0x4D => Some(Scroll::Bottom),
        _ => None,
    }
}

/// Whether a key is held with others, or turns something on for them, and types nothing.
pub(crate) const fn is_modifier(code: u16) -> bool {
    matches!(code, 0x39 | 0x47 | 0x53 | 0xE0..=0xE7)
}

/// The letter after SS3 of a key of the keypad, if it is that what it sends.
fn application(kind: &Kind, modifiers: Modifiers, modes: Modes) -> Option<u8> {
    match kind {
        Kind::Keypad(Keypad { other: Other::Application(letter), .. }) => {
            let free = modifiers.0 & !Modifiers::CAPS_LOCK.0 == 0;
            (modes.application_keypad && free).then_some(*letter)
        }
        _ => None,
    }
}

fn kitty(kind: &Kind, stroke: &Stroke, text: &str, flags: Enhancements, out: &mut Vec<u8>) {
    let all = flags.has(Enhancements::ALL_KEYS);
    let composing =
        stroke.text.is_empty() && stroke.modifiers.0 & CHORDS == 0 && stroke.press != Press::Released;
    let (number, last, types) = match kind {
        Kind::Named(named) => {
            (u32::from(named.number), named.last, matches!(named.code, ENTER | TAB | BACKSPACE))
        }
        Kind::Keypad(key) => (u32::from(key.number), b'u', key.code != KEYPAD_ENTER),
        // The first key of a composition says nothing; the text comes with the last.
        Kind::Character(_) if composing => return,
        Kind::Character(key) => (u32::from(lower(*key)), b'u', true),
        Kind::Text if stroke.press == Press::Released => return,
        Kind::Text => (0, b'u', true),
    };
    let with_text = all && flags.has(Enhancements::TEXT) && !text.is_empty();
    if number == 0 && !with_text {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let locks = if types && !all { LOCKS } else { 0 };
    let modifiers = u16::from(stroke.modifiers.0 & !locks);
    let event = match stroke.press {
        Press::Repeated if flags.has(Enhancements::EVENT_TYPES) => 2,
        Press::Released => 3,
        _ => 1,
    };
    let second = modifiers != 0 || event != 1;
    out.extend_from_slice(b"\x1b[");
    if number != 1 || second || last == b'~' {
        put(out, number);
    }
    if flags.has(Enhancements::ALTERNATES)
        && let Kind::Character(key) = kind
    {
        let shifted = stroke.shifted.filter(|_| stroke.modifiers.has(Modifiers::SHIFT));
        let base = american(stroke.code).filter(|base| *base != lower(*key));
        if let Some(shifted) = shifted {
            out.push(b':');
            put(out, u32::from(shifted));
        }
        if let Some(base) = base {
            out.extend_from_slice(if shifted.is_some() { b":" } else { b"::" });
            put(out, u32::from(base));
        }
    }
    if second || with_text {
        out.push(b';');
    }
    if second {
        put(out, u32::from(modifiers) + 1);
    }
    if event != 1 {
        out.push(b':');
        put(out, event);
    }
    if with_text {
        for (at, character) in text.chars().enumerate() {
            out.push(if at == 0 { b';' } else { b':' });
            put(out, u32::from(character));
        }
    }
    out.push(last);
}

/// The key's character as the protocol wants it, which is the lower case one.
fn lower(key: char) -> char {
    let mut lower = key.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => key,
    }
}

fn put(out: &mut Vec<u8>, number: u32) {
    write!(out, "{number}").expect("a vector takes everything");
}

fn legacy(kind: &Kind, stroke: &Stroke, modes: Modes, out: &mut Vec<u8>) {
    let m = stroke.modifiers;
    let control = m.has(Modifiers::CONTROL);
    let shift = m.has(Modifiers::SHIFT);
    let alt = m.has(Modifiers::ALT) || m.has(Modifiers::META);
    let escape = if alt { &b"\x1b"[..] } else { b"" };
    let enter: &[u8] = if modes.newline { b"\r\n" } else { b"\r" };
    let mut say = |bytes: &[u8]| {
        out.extend_from_slice(escape);
        out.extend_from_slice(bytes);
    };
    if let Some(letter) = application(kind, m, modes) {
        return out.extend_from_slice(&[0x1B, b'O', letter]);
    }
    match kind {
        Kind::Named(key) => match key.code {
            ENTER => say(enter),
            ESCAPE => say(b"\x1b"),
            BACKSPACE => say(if control { b"\x08" } else { b"\x7f" }),
            TAB => say(if shift { b"\x1b[Z" } else { b"\t" }),
            _ => function(key.legacy, m, modes, out),
        },
        Kind::Keypad(Keypad { code: KEYPAD_ENTER, .. }) => say(enter),
        Kind::Keypad(_) | Kind::Character(_) | Kind::Text => {
            if stroke.text.is_empty() && !control && !alt {
                return;
            }
            // What is typed with shift or AltGr, else what the key has without them.
            let typed = stroke.text.chars().next().or(match kind {
                Kind::Character(key) => Some(if shift { stroke.shifted.unwrap_or(*key) } else { *key }),
                _ => None,
            });
            let Some(typed) = typed else { return };
            if control {
                // A layout without Latin letters still has its controls, at the places of the American ones.
                let typed = if typed.is_ascii() { typed } else { american(stroke.code).unwrap_or(typed) };
                match controlled(typed) {
                    Some(byte) => say(&[byte]),
                    None => say(typed.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            } else if stroke.text.is_empty() {
                say(typed.encode_utf8(&mut [0; 4]).as_bytes());
            } else if !stroke.text.chars().any(char::is_control) {
                say(stroke.text.as_bytes());
            }
        }
    }
}

/// What control makes of a character: the table of the protocol ("Legacy ctrl mapping of ASCII keys")
/// with the braces and the grave accent, as X11 has them.
const fn controlled(character: char) -> Option<u8> {
    Some(match character {
        ' ' | '2' | '@' | '`' => 0,
        'a'..='z' | 'A'..='Z' => character as u8 & 0x1F,
        '3' | '[' | '{' => 0x1B,
        '4' | '\\' | '|' => 0x1C,
        '5' | ']' | '}' => 0x1D,
        '6' | '^' | '~' => 0x1E,
        '7' | '/' | '_' => 0x1F,
        '8' | '?' => 0x7F,
        _ => return None,
    })
}

/// A function key of xterm. Its meta has the value 8, and it does not know super and hyper.
fn function(key: Legacy, m: Modifiers, modes: Modes, out: &mut Vec<u8>) {
    let meta = if m.has(Modifiers::META) { 8 } else { 0 };
    let with = (m.0 & (Modifiers::SHIFT.0 | Modifiers::ALT.0 | Modifiers::CONTROL.0)) + meta + 1;
    let plain = with == 1;
    match key {
        Legacy::None => {}
        Cursor(last) if plain && modes.application_cursor => out.extend_from_slice(&[0x1B, b'O', last]),
        Cursor(last) if plain => out.extend_from_slice(&[0x1B, b'[', last]),
        Pf(last) if plain => out.extend_from_slice(&[0x1B, b'O', last]),
        Cursor(last) | Pf(last) => {
            out.extend_from_slice(b"\x1b[1;");
            put(out, with.into());
            out.push(last);
        }
        Tilde(number) => {
            out.extend_from_slice(b"\x1b[");
            put(out, number.into());
            if !plain {
                out.push(b';');
                put(out, with.into());
            }
            out.push(b'~');
        }
    }
}

#[cfg(test)]
mod tests;
