// SPDX-License-Identifier: AGPL-3.0-or-later
//! Key strokes as others read them: another implementation's parser, and real programs on a pseudo terminal.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that does not run says so")]

use hearth_abi::{
    input::Press,
    terminal::{Command, Event, Modifiers, Open, Stroke},
};
use hearth_terminal::{
    Environment, Listener, Terminal,
    keys::{Enhancements, Modes, encode},
};
use parking_lot::{Condvar, Mutex};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use terminput::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

fn stroke(code: u16, modifiers: u8, key: Option<char>) -> Stroke {
    let modifiers = Modifiers(modifiers);
    let shift = modifiers.has(Modifiers::SHIFT);
    let shifted = key.map(|key| key.to_ascii_uppercase()).filter(|_| shift);
    let typed = if shift { shifted } else { key };
    let text = typed.map(String::from).unwrap_or_default();
    let shifted = shifted.filter(|shifted| Some(*shifted) != key);
    Stroke { code, press: Press::Pressed, modifiers, key, shifted, text }
}

/// Keys with names, as the parser calls them.
const NAMED: &[(u16, KeyCode)] = &[
    (0x29, KeyCode::Esc),
    (0x49, KeyCode::Insert),
    (0x4A, KeyCode::Home),
    (0x4B, KeyCode::PageUp),
    (0x4C, KeyCode::Delete),
    (0x4D, KeyCode::End),
    (0x4E, KeyCode::PageDown),
    (0x4F, KeyCode::Right),
    (0x50, KeyCode::Left),
    (0x51, KeyCode::Down),
    (0x52, KeyCode::Up),
];

fn parsed(stroke: &Stroke, modes: Modes) -> Option<KeyEvent> {
    let mut bytes = Vec::new();
    encode(stroke, modes, &mut bytes);
    match terminput::Event::parse_from(&bytes)
        .unwrap_or_else(|error| panic!("{stroke:?}: {bytes:?}: {error}"))
    {
        Some(terminput::Event::Key(key)) => Some(key),
        None => None,
        other => panic!("{stroke:?}: {other:?}"),
    }
}

/// What our encoder writes under the kitty keyboard protocol, another parser reads as the same key with the same
/// modifiers, whatever is held.
#[test]
fn another_parser_reads_what_was_pressed() {
    for flags in [1, 3, 5, 7, 9, 15] {
        let modes = Modes { kitty: Enhancements(flags), ..Modes::default() };
        for held in 0..64u8 {
            let modifiers = KeyModifiers::from_bits(held).unwrap();
            let functions = (1..=24u8).map(|number| {
                let code = if number < 13 { 0x39 + u16::from(number) } else { 0x5B + u16::from(number) };
                (code, KeyCode::F(number))
            });
            for (code, expected) in NAMED.iter().copied().chain(functions) {
                for (press, kind) in [
                    (Press::Pressed, KeyEventKind::Press),
                    (Press::Repeated, KeyEventKind::Repeat),
                    (Press::Released, KeyEventKind::Release),
                ] {
                    let told = flags & 2 != 0 || press == Press::Pressed;
                    let pressed = Stroke { press, ..stroke(code, held, None) };
                    if !told {
                        continue;
                    }
                    let key = parsed(&pressed, modes).unwrap();
                    assert_eq!((key.code, key.modifiers, key.kind), (expected, modifiers, kind), "{flags}");
                }
            }
            for (at, letter) in ('a'..='z').enumerate() {
                let pressed = stroke(0x04 + at as u16, held, Some(letter));
                let key = parsed(&pressed, modes).unwrap();
                let plain = key.code == KeyCode::Char(letter) && key.modifiers == modifiers;
                // Capitals are read as such, with shift or without.
                let capital = key.code == KeyCode::Char(letter.to_ascii_uppercase())
                    && held & 1 == 1
                    && (key.modifiers | KeyModifiers::SHIFT) == modifiers;
                assert!(plain || capital, "{flags} {pressed:?}: {key:?}");
            }
        }
    }
}

/// So does the legacy encoding, as far as it tells keys apart.
#[test]
fn another_parser_reads_the_legacy_encoding() {
    for application_cursor in [false, true] {
        let modes = Modes { application_cursor, ..Modes::default() };
        for held in 0..8u8 {
            let modifiers = KeyModifiers::from_bits(held).unwrap();
            let functions = (1..=12u8).map(|number| (0x39 + u16::from(number), KeyCode::F(number)));
            for (code, expected) in NAMED[1..].iter().copied().chain(functions) {
                let key = parsed(&stroke(code, held, None), modes).unwrap();
                assert_eq!((key.code, key.modifiers), (expected, modifiers), "{code:#x} {held}");
            }
        }
    }
}

#[derive(Default)]
struct Heard {
    news: Mutex<u64>,
    came: Condvar,
}

impl Listener for Heard {
    fn changed(&self) {
        *self.news.lock() += 1;
        self.came.notify_all();
    }

    fn event(&self, _event: Event) {
        self.changed();
    }
}

struct Program {
    terminal: Terminal,
    heard: Arc<Heard>,
}

impl Program {
    fn run(words: &[&str]) -> Program {
        let command = words.iter().map(|word| (*word).to_owned()).collect();
        let open = Open { command, columns: 250, ..Open::default() };
        let heard = Arc::new(Heard::default());
        let terminal = Terminal::open(&open, Environment::default(), heard.clone()).unwrap();
        Program { terminal, heard }
    }

    fn shown(&self) -> String {
        let screen = self.terminal.screen();
        (0..screen.rows()).map(|row| screen.text(row) + "\n").collect()
    }

    fn until_shown(&self, wanted: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        let mut news = self.heard.news.lock();
        loop {
            drop(news);
            let shown = self.shown();
            if shown.contains(wanted) {
                return;
            }
            assert!(Instant::now() < end, "`{wanted}` is not shown:\n{shown}");
            news = self.heard.news.lock();
            self.heard.came.wait_for(&mut news, Duration::from_millis(100));
        }
    }

    fn press(&self, stroke: Stroke) {
        self.terminal.command(Command::Key(stroke)).unwrap();
    }

    fn letters(&self, text: &str) {
        for letter in text.chars() {
            let code = if letter.is_ascii_lowercase() { 0x04 + (letter as u16 - 'a' as u16) } else { 0 };
            self.press(stroke(code, 0, Some(letter)));
        }
    }
}

const SHIFT: u8 = 1;
const ALT: u8 = 2;
const CONTROL: u8 = 4;

/// What a program reads in a terminal of its own, in raw mode.
#[test]
fn cat_reads_what_xterm_would_send() {
    let cat = Program::run(&["sh", "-c", "stty raw -echo; echo ready; exec cat -v"]);
    cat.until_shown("ready");
    for (code, held, key, wanted) in [
        (0x04, CONTROL, Some('a'), "^A"),
        (0x2C, CONTROL, Some(' '), "^@"),
        (0x52, 0, None, "^[[A"),
        (0x4F, CONTROL, None, "^[[1;5C"),
        (0x2A, 0, None, "^?"),
        (0x2A, CONTROL, None, "^H"),
        (0x2B, SHIFT, None, "^[[Z"),
        (0x3A, 0, None, "^[OP"),
        (0x3E, SHIFT, None, "^[[15;2~"),
        (0x1B, ALT, Some('x'), "^[x"),
        (0x29, 0, None, "^["),
        (0x28, 0, None, "^M"),
    ] {
        // A number before each, so that one is not taken for another.
        let mark = format!("({code:x}.{held})");
        cat.letters(&mark);
        cat.press(stroke(code, held, key));
        cat.letters("|");
        cat.until_shown(&format!("{mark}{wanted}|"));
    }
    let typed = Stroke { text: "é@漢".into(), ..stroke(0, 0, None) };
    cat.press(typed);
    cat.until_shown("M-CM-)@M-fM-<M-\"");
}

/// An editor finds its mappings.
#[test]
fn vim_knows_the_keys() {
    if !Path::new("/usr/bin/vim").exists() {
        eprintln!("\n*** NOT TESTED: vim_knows_the_keys: vim is missing (apt-get install vim) ***\n");
        return;
    }
    let maps = [
        ("<F5>", 0x3E, 0, None),
        ("<S-F5>", 0x3E, SHIFT, None),
        ("<F12>", 0x45, 0, None),
        ("<C-Right>", 0x4F, CONTROL, None),
        ("<S-Up>", 0x52, SHIFT, None),
        ("<Up>", 0x52, 0, None),
        ("<Home>", 0x4A, 0, None),
        ("<End>", 0x4D, 0, None),
        ("<PageDown>", 0x4E, 0, None),
        ("<Del>", 0x4C, 0, None),
        ("<S-Tab>", 0x2B, SHIFT, None),
        ("<C-A>", 0x04, CONTROL, Some('a')),
        ("<C-@>", 0x2C, CONTROL, Some(' ')),
        ("<C-_>", 0x38, CONTROL, Some('/')),
        ("<BS>", 0x2A, 0, None),
    ];
    let mapping =
        |(at, (name, ..)): (usize, &(&str, u16, u8, Option<char>))| format!("inoremap {name} [key{at}]\n");
    let mappings: String = maps.iter().enumerate().map(mapping).collect();
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), mappings + "set noswapfile shortmess+=I\nstartinsert\n").unwrap();
    let vim = Program::run(&["vim", "-u", script.path().to_str().unwrap(), "-i", "NONE", "-N"]);
    vim.until_shown("INSERT");
    for (at, (_, code, held, key)) in maps.into_iter().enumerate() {
        vim.press(stroke(code, held, key));
        vim.until_shown(&format!("[key{at}]"));
    }
}
