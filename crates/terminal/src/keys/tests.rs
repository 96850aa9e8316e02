// SPDX-License-Identifier: AGPL-3.0-or-later
//! Tables of strokes and what programs read for them.

use super::*;
use proptest::prelude::*;

/// Keys of an American keyboard that type nothing, by name.
const NAMES: &[(&str, u16)] = &[
    ("enter", 0x28),
    ("escape", 0x29),
    ("backspace", 0x2A),
    ("tab", 0x2B),
    ("caps", 0x39),
    ("print", 0x46),
    ("pause", 0x48),
    ("insert", 0x49),
    ("home", 0x4A),
    ("pageup", 0x4B),
    ("delete", 0x4C),
    ("end", 0x4D),
    ("pagedown", 0x4E),
    ("right", 0x4F),
    ("left", 0x50),
    ("down", 0x51),
    ("up", 0x52),
    ("numlock", 0x53),
    ("kpenter", 0x58),
    ("menu", 0x65),
    ("mute", 0x7F),
    ("louder", 0x80),
    ("softer", 0x81),
    ("lcontrol", 0xE0),
    ("lshift", 0xE1),
    ("lalt", 0xE2),
    ("lsuper", 0xE3),
    ("rcontrol", 0xE4),
    ("rshift", 0xE5),
    ("ralt", 0xE6),
    ("rsuper", 0xE7),
];

/// The keypad: its usage ids from 0x54 on.
const KEYPAD_TYPES: &str = "/*-+\n1234567890.";

/// With shift, what `AMERICAN` has without.
const SHIFTED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ!@#$%^&*()\0\0\0\0 _+{}||:\"~<>?";

/// A stroke on an American keyboard: modifiers with a `+` each (`C`ontrol, `A`lt, `S`hift, s`U`per, `H`yper, `M`eta, `L`
/// caps lock, `N`um lock), and a name, a character, or `kp` and one; `^` before all for a release and `=` for
/// a repeat.
fn stroke(text: &str) -> Stroke {
    let (press, mut text) = match text.as_bytes() {
        [b'^', _, ..] => (Press::Released, &text[1..]),
        [b'=', _, ..] => (Press::Repeated, &text[1..]),
        _ => (Press::Pressed, text),
    };
    let mut modifiers = Modifiers::default();
    while let Some((name, rest)) =
        text.split_once('+').filter(|(name, rest)| name.len() == 1 && !rest.is_empty())
    {
        let at = "SACUHMLN".find(name).unwrap_or_else(|| panic!("no modifier {name}"));
        modifiers = modifiers.and(Modifiers(1 << at));
        text = rest;
    }
    let shift = modifiers.has(Modifiers::SHIFT);
    let mut stroke = Stroke { code: 0, press, modifiers, key: None, shifted: None, text: String::new() };
    if let Some((_, code)) = NAMES.iter().find(|(name, _)| *name == text) {
        stroke.code = *code;
    } else if let Some(number) = text.strip_prefix('F').and_then(|number| number.parse::<u16>().ok()) {
        stroke.code = if number < 13 { 0x39 + number } else { 0x68 - 13 + number };
    } else if let Some(key) = text.strip_prefix("kp") {
        let at = KEYPAD_TYPES.find(key).expect("a key of the keypad");
        stroke.code = 0x54 + at as u16;
        if at < 5 || modifiers.has(Modifiers::NUM_LOCK) {
            stroke.key = key.chars().next();
            stroke.text = key.into();
        }
    } else {
        let key = text.chars().next().expect("a key");
        let at = AMERICAN.iter().position(|byte| char::from(*byte) == key).expect("a key without shift");
        let upper = SHIFTED.chars().nth(at).expect("as many");
        stroke.code = 4 + at as u16;
        stroke.key = Some(key);
        let caps = modifiers.has(Modifiers::CAPS_LOCK) && key.is_alphabetic();
        stroke.text = if shift != caps { upper } else { key }.into();
        stroke.shifted = Some(upper).filter(|upper| shift && *upper != key);
    }
    if press == Press::Released {
        stroke.text.clear();
    }
    stroke
}

/// What a program reads, `E` standing for escape.
fn readable(bytes: &[u8]) -> String {
    let mut out = String::new();
    for character in String::from_utf8_lossy(bytes).chars() {
        match character {
            '\x1b' => out.push_str("E "),
            control if control.is_control() => out.push_str(&format!("<{:02x}>", u32::from(control))),
            other => out.push(other),
        }
    }
    out
}

#[track_caller]
fn check(stroke: &Stroke, modes: Modes, expected: &str) {
    let mut out = Vec::new();
    encode(stroke, modes, &mut out);
    assert_eq!(readable(&out), expected, "{stroke:?} {modes:?}");
}

#[track_caller]
fn table(modes: Modes, cases: &[(&str, &str)]) {
    for (keys, expected) in cases {
        check(&stroke(keys), modes, expected);
    }
}

fn kitty(flags: u8) -> Modes {
    Modes { kitty: Enhancements(flags), ..Modes::default() }
}

#[test]
fn text_and_controls_as_xterm_has_them() {
    table(
        Modes::default(),
        &[
            ("a", "a"),
            ("S+a", "A"),
            ("L+a", "A"),
            ("S+L+a", "a"),
            ("=a", "a"),
            ("^a", ""),
            ("S+1", "!"),
            (" ", " "),
            ("S+ ", " "),
            ("A+a", "E a"),
            ("M+a", "E a"),
            ("A+S+a", "E A"),
            ("A+[", "E ["),
            ("A+ ", "E  "),
            ("U+a", "a"),
            ("C+a", "<01>"),
            ("C+z", "<1a>"),
            ("C+S+a", "<01>"),
            ("C+L+c", "<03>"),
            ("C+A+a", "E <01>"),
            ("C+ ", "<00>"),
            ("C+S+ ", "<00>"),
            ("C+A+ ", "E <00>"),
            ("C+2", "<00>"),
            ("C+S+2", "<00>"),
            ("C+3", "E "),
            ("C+4", "<1c>"),
            ("C+5", "<1d>"),
            ("C+6", "<1e>"),
            ("C+7", "<1f>"),
            ("C+8", "<7f>"),
            ("C+9", "9"),
            ("C+0", "0"),
            ("C+1", "1"),
            ("C+[", "E "),
            ("C+\\", "<1c>"),
            ("C+]", "<1d>"),
            ("C+S+6", "<1e>"),
            ("C+S+-", "<1f>"),
            ("C+-", "-"),
            ("C+/", "<1f>"),
            ("C+S+/", "<7f>"),
            ("C+`", "<00>"),
            ("C+S+`", "<1e>"),
            ("C+;", ";"),
            ("C+=", "="),
        ],
    );
}

#[test]
fn keys_with_controls_of_their_own() {
    table(
        Modes::default(),
        &[
            ("enter", "<0d>"),
            ("C+enter", "<0d>"),
            ("S+enter", "<0d>"),
            ("A+enter", "E <0d>"),
            ("C+A+enter", "E <0d>"),
            ("^enter", ""),
            ("escape", "E "),
            ("A+escape", "E E "),
            ("S+escape", "E "),
            ("backspace", "<7f>"),
            ("S+backspace", "<7f>"),
            ("C+backspace", "<08>"),
            ("A+backspace", "E <7f>"),
            ("C+A+backspace", "E <08>"),
            ("tab", "<09>"),
            ("C+tab", "<09>"),
            ("S+tab", "E [Z"),
            ("C+S+tab", "E [Z"),
            ("A+tab", "E <09>"),
            ("A+S+tab", "E E [Z"),
            ("N+tab", "<09>"),
        ],
    );
    table(
        Modes { newline: true, ..Modes::default() },
        &[("enter", "<0d><0a>"), ("A+enter", "E <0d><0a>"), ("kpenter", "<0d><0a>")],
    );
}

#[test]
fn function_keys_as_xterm_has_them() {
    table(
        Modes::default(),
        &[
            ("up", "E [A"),
            ("down", "E [B"),
            ("right", "E [C"),
            ("left", "E [D"),
            ("home", "E [H"),
            ("end", "E [F"),
            ("=up", "E [A"),
            ("^up", ""),
            ("N+up", "E [A"),
            ("S+up", "E [1;2A"),
            ("A+up", "E [1;3A"),
            ("A+S+up", "E [1;4A"),
            ("C+right", "E [1;5C"),
            ("C+S+left", "E [1;6D"),
            ("C+A+down", "E [1;7B"),
            ("C+A+S+home", "E [1;8H"),
            ("M+end", "E [1;9F"),
            ("U+end", "E [F"),
            ("insert", "E [2~"),
            ("delete", "E [3~"),
            ("pageup", "E [5~"),
            ("pagedown", "E [6~"),
            ("S+insert", "E [2;2~"),
            ("C+delete", "E [3;5~"),
            ("A+pageup", "E [5;3~"),
            ("F1", "E OP"),
            ("F2", "E OQ"),
            ("F3", "E OR"),
            ("F4", "E OS"),
            ("F5", "E [15~"),
            ("F6", "E [17~"),
            ("F7", "E [18~"),
            ("F8", "E [19~"),
            ("F9", "E [20~"),
            ("F10", "E [21~"),
            ("F11", "E [23~"),
            ("F12", "E [24~"),
            ("F13", "E [25~"),
            ("F14", "E [26~"),
            ("F15", "E [28~"),
            ("F16", "E [29~"),
            ("F17", "E [31~"),
            ("F20", "E [34~"),
            ("F21", "E [42~"),
            ("F24", "E [45~"),
            ("S+F1", "E [1;2P"),
            ("C+F3", "E [1;5R"),
            ("A+F4", "E [1;3S"),
            ("S+F5", "E [15;2~"),
            ("C+S+F12", "E [24;6~"),
            ("menu", "E [29~"),
            ("print", ""),
            ("pause", ""),
            ("caps", ""),
            ("numlock", ""),
            ("mute", ""),
            ("lshift", ""),
            ("ralt", ""),
        ],
    );
    table(
        Modes { application_cursor: true, ..Modes::default() },
        &[
            ("up", "E OA"),
            ("left", "E OD"),
            ("home", "E OH"),
            ("end", "E OF"),
            ("S+up", "E [1;2A"),
            ("delete", "E [3~"),
            ("F1", "E OP"),
        ],
    );
}

#[test]
fn the_keypad_as_xterm_has_it() {
    let cases = [
        ("N+kp7", "7"),
        ("kp7", "E [H"),
        ("S+N+lshift", ""),
        ("kp5", "E [E"),
        ("kp0", "E [2~"),
        ("kp.", "E [3~"),
        ("C+kp4", "E [1;5D"),
        ("N+kp+", "+"),
        ("N+kpenter", "<0d>"),
        ("A+N+kp1", "E 1"),
    ];
    table(Modes::default(), &cases);
    table(Modes::default(), &[("kp*", "*"), ("kpenter", "<0d>")]);
    let application = Modes { application_keypad: true, ..Modes::default() };
    table(application, &cases);
    table(
        application,
        &[("kp/", "E Oo"), ("kp*", "E Oj"), ("kp-", "E Om"), ("kp+", "E Ok"), ("kpenter", "E OM")],
    );
}

/// The five enhancements of the kitty keyboard protocol.
#[test]
fn disambiguated() {
    table(
        kitty(1),
        &[
            ("a", "a"),
            ("S+a", "A"),
            ("L+a", "A"),
            ("N+a", "a"),
            ("=a", "a"),
            ("^a", ""),
            ("enter", "<0d>"),
            ("N+enter", "<0d>"),
            ("tab", "<09>"),
            ("backspace", "<7f>"),
            ("escape", "E [27u"),
            ("A+a", "E [97;3u"),
            ("C+a", "E [97;5u"),
            ("C+L+N+a", "E [97;5u"),
            ("C+S+a", "E [97;6u"),
            ("A+S+a", "E [97;4u"),
            ("C+A+a", "E [97;7u"),
            ("U+a", "E [97;9u"),
            ("H+a", "E [97;17u"),
            ("M+a", "E [97;33u"),
            ("C+ ", "E [32;5u"),
            ("C+i", "E [105;5u"),
            ("C+m", "E [109;5u"),
            ("C+[", "E [91;5u"),
            ("C+enter", "E [13;5u"),
            ("S+enter", "E [13;2u"),
            ("S+tab", "E [9;2u"),
            ("C+S+tab", "E [9;6u"),
            ("A+backspace", "E [127;3u"),
            ("C+backspace", "E [127;5u"),
            ("up", "E [A"),
            ("N+up", "E [1;129A"),
            ("S+up", "E [1;2A"),
            ("home", "E [H"),
            ("delete", "E [3~"),
            ("C+delete", "E [3;5~"),
            ("F1", "E [P"),
            ("F3", "E [13~"),
            ("C+F3", "E [13;5~"),
            ("S+F4", "E [1;2S"),
            ("F5", "E [15~"),
            ("F13", "E [57376u"),
            ("C+F24", "E [57387;5u"),
            ("caps", ""),
            ("print", "E [57361u"),
            ("pause", "E [57362u"),
            ("menu", "E [57363u"),
            ("louder", "E [57439u"),
            ("softer", "E [57438u"),
            ("mute", "E [57440u"),
            ("lshift", ""),
            ("N+kp7", "7"),
            ("C+N+kp7", "E [57406;5u"),
            ("kp7", "E [57423u"),
            ("kp5", "E [E"),
            ("kp+", "+"),
            ("kpenter", "E [57414u"),
        ],
    );
    let cursor = Modes { application_cursor: true, application_keypad: true, ..kitty(1) };
    table(cursor, &[("up", "E [A"), ("kp+", "+"), ("kpenter", "E [57414u")]);
}

#[test]
fn with_event_types() {
    let common = [
        ("a", "a"),
        ("=a", "a"),
        ("^a", "E [97;1:3u"),
        ("^S+a", "E [97;2:3u"),
        ("^N+a", "E [97;1:3u"),
        ("=up", "E [1;1:2A"),
        ("^up", "E [1;1:3A"),
        ("^C+up", "E [1;5:3A"),
        ("^delete", "E [3;1:3~"),
        ("enter", "<0d>"),
        ("=enter", "<0d>"),
        ("^enter", ""),
        ("^tab", ""),
        ("^backspace", ""),
        ("^lshift", ""),
    ];
    table(kitty(3), &common);
    table(kitty(2), &common);
    table(
        kitty(3),
        &[
            ("=C+a", "E [97;5:2u"),
            ("=escape", "E [27;1:2u"),
            ("=S+enter", "E [13;2:2u"),
            ("^escape", "E [27;1:3u"),
        ],
    );
    table(kitty(2), &[("C+a", "<01>"), ("up", "E [A"), ("F1", "E OP"), ("escape", "E "), ("A+a", "E a")]);
}

#[test]
fn with_alternates() {
    table(
        kitty(5),
        &[
            ("a", "a"),
            ("C+a", "E [97;5u"),
            ("C+S+a", "E [97:65;6u"),
            ("C+S+=", "E [61:43;6u"),
            ("S+up", "E [1;2A"),
        ],
    );
    // The key with the Cyrillic С, at the place of C.
    let mut es = stroke("C+c");
    (es.key, es.text) = (Some('с'), "с".into());
    check(&es, kitty(5), "E [1089::99;5u");
    check(&es, kitty(1), "E [1089;5u");
    check(&es, Modes::default(), "<03>");
    let mut es = stroke("C+S+c");
    (es.key, es.shifted, es.text) = (Some('с'), Some('С'), "С".into());
    check(&es, kitty(5), "E [1089:1057:99;6u");
}

#[test]
fn all_keys() {
    table(
        kitty(8),
        &[
            ("a", "E [97u"),
            ("S+a", "E [97;2u"),
            ("L+a", "E [97;65u"),
            ("N+a", "E [97;129u"),
            ("enter", "E [13u"),
            ("tab", "E [9u"),
            ("backspace", "E [127u"),
            ("escape", "E [27u"),
            (" ", "E [32u"),
            ("S+lshift", "E [57441;2u"),
            ("C+lcontrol", "E [57442;5u"),
            ("A+lalt", "E [57443;3u"),
            ("U+lsuper", "E [57444;9u"),
            ("S+rshift", "E [57447;2u"),
            ("C+rcontrol", "E [57448;5u"),
            ("A+ralt", "E [57449;3u"),
            ("ralt", "E [57453u"),
            ("U+rsuper", "E [57450;9u"),
            ("caps", "E [57358u"),
            ("numlock", "E [57360u"),
            ("N+kp7", "E [57406;129u"),
            ("up", "E [A"),
            ("^a", ""),
        ],
    );
    table(
        kitty(11),
        &[("=a", "E [97;1:2u"), ("^a", "E [97;1:3u"), ("^enter", "E [13;1:3u"), ("^lshift", "E [57441;1:3u")],
    );
}

#[test]
fn all_keys_with_text() {
    table(
        kitty(24),
        &[
            ("a", "E [97;;97u"),
            ("S+a", "E [97;2;65u"),
            ("C+a", "E [97;5u"),
            ("A+a", "E [97;3u"),
            ("enter", "E [13u"),
            ("up", "E [A"),
            ("N+kp7", "E [57406;129;55u"),
        ],
    );
    table(kitty(31), &[("S+a", "E [97:65;2;65u"), ("=S+a", "E [97:65;2:2;65u"), ("^S+a", "E [97:65;2:3u")]);
    // The fifth alone changes nothing.
    table(kitty(16), &[("a", "a"), ("C+a", "<01>")]);
    table(kitty(17), &[("a", "a"), ("C+a", "E [97;5u")]);
}

#[test]
fn text_without_a_key() {
    let typed = Stroke {
        code: 0,
        press: Press::Pressed,
        modifiers: Modifiers::default(),
        key: None,
        shifted: None,
        text: "é漢".into(),
    };
    for flags in [0, 1, 3, 7, 8, 15] {
        check(&typed, kitty(flags), "é漢");
    }
    check(&typed, kitty(24), "E [0;;233:28450u");
    let hostile = Stroke { text: "a\x1b[31m".into(), ..typed };
    for flags in 0..32 {
        check(&hostile, kitty(flags), "");
    }
}

#[test]
fn other_layouts() {
    // AltGr+Q of a German keyboard.
    let mut at = stroke("q");
    at.text = "@".into();
    check(&at, Modes::default(), "@");
    check(&at, kitty(1), "@");
    check(&at, kitty(24), "E [113;;64u");
    // Ctrl+AltGr+8 of it.
    let mut bracket = stroke("C+8");
    bracket.text = "[".into();
    check(&bracket, Modes::default(), "E ");
    check(&bracket, kitty(1), "E [56;5u");
    // Its Z, where Y is in America.
    let mut z = stroke("C+y");
    (z.key, z.text) = (Some('z'), "z".into());
    check(&z, Modes::default(), "<1a>");
    check(&z, kitty(5), "E [122::121;5u");
    // A dead key says nothing; with control it is a key.
    let mut dead = stroke("`");
    (dead.key, dead.text) = (Some('^'), String::new());
    for flags in 0..32 {
        check(&dead, kitty(flags), "");
    }
    dead.modifiers = Modifiers::CONTROL;
    check(&dead, Modes::default(), "<1e>");
    check(&dead, kitty(1), "E [94;5u");
}

fn any_stroke() -> impl Strategy<Value = Stroke> {
    let code = prop_oneof![any::<u16>(), 0u16..0x100];
    let press = prop_oneof![Just(Press::Released), Just(Press::Pressed), Just(Press::Repeated)];
    let key = || proptest::option::of(any::<char>());
    (code, press, any::<u8>(), key(), key(), "\\PC{0,16}|[a-z]{0,64}|.{0,16}").prop_map(
        |(code, press, modifiers, key, shifted, text)| Stroke {
            code,
            press,
            modifiers: Modifiers(modifiers),
            key,
            shifted,
            text,
        },
    )
}

proptest! {
    #[test]
    fn any_stroke_becomes_few_bytes(
        stroke in any_stroke(),
        flags in any::<u8>(),
        (application_cursor, application_keypad, newline) in any::<(bool, bool, bool)>(),
    ) {
        let modes = Modes { application_cursor, application_keypad, newline, kitty: Enhancements(flags) };
        let mut out = Vec::new();
        encode(&stroke, modes, &mut out);
        prop_assert!(out.len() <= ENCODED_LEN_MAX, "{} bytes", out.len());
        prop_assert!(std::str::from_utf8(&out).is_ok());
    }
}

#[test]
fn the_longest_text_fits() {
    let mut long = stroke("C+S+c");
    (long.modifiers, long.press) = (Modifiers::SHIFT, Press::Repeated);
    (long.key, long.shifted) = (Some('\u{10FFFE}'), Some('\u{10FFFF}'));
    for text in ["\u{10FFFF}".repeat(16), "\u{7FE}".repeat(32), "\u{FFFD}".repeat(21), "~".repeat(64)] {
        long.text = text;
        let mut out = Vec::new();
        encode(&long, kitty(31), &mut out);
        assert!(out.len() <= ENCODED_LEN_MAX, "{} bytes", out.len());
    }
}

#[test]
fn tables_are_in_order() {
    assert!(NAMED.is_sorted_by_key(|key| key.code));
    assert!(KEYPAD.is_sorted_by_key(|key| key.code));
}
