// SPDX-License-Identifier: AGPL-3.0-or-later
//! What scripts say to a terminal of their peer, and what a terminal says to the script that opened it.
//!
//! A terminal runs a program of the hosting user on the hosting user's machine. Only a process whose
//! origin is that peer may open one; who else may type into it, its user decides.

use crate::{
    DecodeError, TerminalId,
    codec::{Reader, put_floats},
    input::{Press, key},
    signal::{decode_args, encode_args},
};
use alloc::{string::String, vec::Vec};

mod view;

pub use view::{VIEW_LEN, View};

/// Longest text that is typed or pasted at once, in bytes.
pub const TEXT_LEN_MAX: usize = 256 << 10;
/// Longest pattern that is searched for, in bytes.
pub const PATTERN_LEN_MAX: usize = 1024;
/// Most words of the command line of a terminal.
pub const WORDS_MAX: usize = 256;
/// Longest text of one key stroke in bytes.
pub const STROKE_LEN_MAX: usize = 64;

/// How a terminal is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Columns, brought within 2 and [`COLUMNS_MAX`](crate::screen::COLUMNS_MAX).
    pub columns: u16,
    /// Rows, brought within 1 and [`ROWS_MAX`](crate::screen::ROWS_MAX).
    pub rows: u16,
    /// Folder that the program starts in; empty for the user's home.
    pub folder: String,
    /// The program and its arguments; empty for the user's shell.
    pub command: Vec<String>,
    /// Its colours.
    pub theme: Theme,
}

impl Default for Open {
    fn default() -> Open {
        Open { columns: 80, rows: 24, folder: String::new(), command: Vec::new(), theme: Theme::default() }
    }
}

/// The colours of a terminal: each 0x00RRGGBB in sRGB. As bytes: nineteen `u32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Of text that the program has not coloured.
    pub foreground: u32,
    /// Behind it.
    pub background: u32,
    /// Of the cursor.
    pub cursor: u32,
    /// Black, red, green, yellow, blue, magenta, cyan, white; then the bright ones.
    pub palette: [u32; 16],
}

impl Default for Theme {
    /// Dark and warm, of good contrast.
    fn default() -> Theme {
        Theme {
            foreground: 0x00E8_E2D8,
            background: 0x0014_1618,
            cursor: 0x00FF_B454,
            palette: [
                0x0024_2629,
                0x00F0_6C64,
                0x0086_C166,
                0x00E7_B65C,
                0x0069_A7E8,
                0x00C2_8FE0,
                0x0056_C2B8,
                0x00CF_CBC3,
                0x0073_777D,
                0x00FF_8F88,
                0x00A8_DD8A,
                0x00FF_D37A,
                0x008F_C4FF,
                0x00DB_B1F5,
                0x007D_DED5,
                0x00F7_F3EC,
            ],
        }
    }
}

/// Keys that are held with others. The bits are those of the kitty keyboard protocol ("Modifiers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Modifiers(pub u8);

impl Modifiers {
    /// Shift.
    pub const SHIFT: Modifiers = Modifiers(1);
    /// Alt, at the left of most keyboards. AltGr is no modifier: what it types comes as text.
    pub const ALT: Modifiers = Modifiers(1 << 1);
    /// Control.
    pub const CONTROL: Modifiers = Modifiers(1 << 2);
    /// The key with the logo.
    pub const SUPER: Modifiers = Modifiers(1 << 3);
    /// Hyper.
    pub const HYPER: Modifiers = Modifiers(1 << 4);
    /// Meta.
    pub const META: Modifiers = Modifiers(1 << 5);
    /// Caps lock is on.
    pub const CAPS_LOCK: Modifiers = Modifiers(1 << 6);
    /// Num lock is on.
    pub const NUM_LOCK: Modifiers = Modifiers(1 << 7);

    /// Whether all of `other` are among these.
    pub const fn has(self, other: Modifiers) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and `other`.
    pub const fn and(self, other: Modifiers) -> Modifiers {
        Modifiers(self.0 | other.0)
    }
}

/// A key that went down or up, with what its layout makes of it. As bytes: `u16` usage id, `u8` press,
/// `u8` modifiers, `u32` key, `u32` shifted key, and UTF-8 of what it types to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stroke {
    /// Its place on the keyboard: usage id of the USB HID Keyboard/Keypad page, 0 if it has none.
    pub code: u16,
    /// What happened to it.
    pub press: Press,
    /// What is held with it.
    pub modifiers: Modifiers,
    /// The character that the layout puts on the key without modifiers; `None` for keys without one.
    pub key: Option<char>,
    /// The character with shift, if it is another one and shift is held.
    pub shifted: Option<char>,
    /// What it types, at most [`STROKE_LEN_MAX`] bytes: after shift, AltGr, dead keys and compose, but
    /// without what control does; empty for none.
    pub text: String,
}

/// What a pointer does on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PointerAction {
    /// A button went down.
    Press = 0,
    /// A button went up.
    Release = 1,
    /// It moved, with a button held or without.
    Move = 2,
}

/// The pointer on a terminal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pointer {
    /// What it does.
    pub action: PointerAction,
    /// The button that went down or up, or that is held: 0 left, 1 right, 2 middle, 3 back, 4 forward,
    /// 255 none.
    pub button: u8,
    /// Keys that are held.
    pub modifiers: Modifiers,
    /// Presses in quick succession at the same place: 2 selects words, 3 lines.
    pub clicks: u8,
    /// Columns from the left edge, with a fraction; may lie outside of the grid.
    pub column: f32,
    /// Rows from the upper edge, with a fraction; may lie outside of the grid.
    pub row: f32,
}

/// Something for a terminal to do. As bytes: a `u8` number and the fields in order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// 1: `u16` columns, `u16` rows.
    Resize {
        /// Columns.
        columns: u16,
        /// Rows.
        rows: u16,
    },
    /// 2: a key; its bytes to the end.
    Key(Stroke),
    /// 3: text that was typed without a key of its own (compose, input methods); UTF-8 to the end.
    Text(String),
    /// 4: text from a clipboard; UTF-8 to the end. Bracketed if the program asked for it. Ends of lines become
    /// carriage returns, and other control characters than tabulators are left out.
    Paste(String),
    /// 5: `u8` action, `u8` button, `u8` modifiers, `u8` clicks, two `f32`. Goes to the program if it asked for
    /// the mouse and shift is not held; else it selects.
    Pointer(Pointer),
    /// 6: two `f32` lines right and up, `u8` modifiers, two `f32` column and row. Goes to the program if it
    /// asked for the mouse; else it types cursor keys on the alternate screen, which has no history, and scrolls
    /// on the first. With shift it always scrolls.
    Wheel {
        /// Lines right and up.
        lines: [f32; 2],
        /// Keys that are held.
        modifiers: Modifiers,
        /// Column and row of the pointer.
        at: [f32; 2],
    },
    /// 7: `i32` lines that the view moves up, or down if negative; stops at the ends.
    Scroll(i32),
    /// 8: the program is told whether it has the user's keyboard, and the cursor shows it; `u8`.
    Focus(bool),
    /// 9: nineteen `u32`.
    Theme(Theme),
    /// 10: gives the selected text back as [`Event::Copied`].
    Copy,
    /// 11: selects everything, the history too.
    SelectAll,
    /// 12: ends the selection and the search.
    Deselect,
    /// 13: `u8` backwards, and UTF-8 to the end: searches from the view, or from the last match. An empty
    /// pattern repeats the last one.
    Search {
        /// Towards older lines.
        backwards: bool,
        /// What is searched for, at most [`PATTERN_LEN_MAX`] bytes; lower case finds upper case too.
        pattern: String,
    },
    /// 14: starts the program anew after it has ended.
    Restart,
    /// 15: `i32` number: sends a signal to what runs in the foreground.
    Signal(i32),
    /// 16: `u32` number, `u8` allowed: the answer to [`Event::ClipboardWanted`].
    Consent {
        /// Number of the request.
        request: u32,
        /// Whether the program may.
        allowed: bool,
    },
    /// 17: ends the program, and the terminal.
    Close,
}

/// Something that happened to a terminal. As bytes: a `u8` number and the fields in order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// 1: UTF-8 to the end: what the program calls itself now.
    Title(String),
    /// 2: it rings.
    Bell,
    /// 3: `i32`: the program has ended with this exit code, or by a signal, whose number is given negative. The
    /// screen says so, and the terminal stays until it is closed or restarted: by [`Command::Restart`], or by
    /// Enter ([`Command::Key`], or [`Command::Text`] of one end of a line).
    Exited(i32),
    /// 4: `u32` number, and UTF-8 to the end: the program wants to put this on the user's clipboard. What is over
    /// [`TEXT_LEN_MAX`] is cut off.
    ClipboardWanted {
        /// Number for [`Command::Consent`].
        request: u32,
        /// The text.
        text: String,
    },
    /// 5: UTF-8 to the end: the selected text. What is over [`TEXT_LEN_MAX`] is cut off.
    Copied(String),
    /// 6: `u8`: it has, or has lost, the keyboard of this peer's user.
    Keyboard(bool),
    /// 7: `u32` matches that are shown, `u8` whether one was found.
    Found {
        /// Matches in the view.
        shown: u32,
        /// Whether there was one.
        found: bool,
    },
    /// 8: it is closed; nothing comes after it.
    Closed,
    /// 9: UTF-8 to the end: the user opened a link with this address.
    Link(String),
    /// 10: `u16` columns, `u16` rows: it has this size now.
    Resized {
        /// Columns.
        columns: u16,
        /// Rows.
        rows: u16,
    },
    /// 11: `i8`: its user wants larger letters (1), smaller ones (−1), or those that it had at first (0).
    Zoom(i8),
}

/// The body of a signal of kind `terminal`: `u64` terminal and the event.
pub fn encode_event(terminal: TerminalId, event: &Event) -> Vec<u8> {
    let mut out = terminal.to_bits().to_le_bytes().to_vec();
    event.encode(&mut out);
    out
}

/// The terminal and the event of a signal's body.
///
/// # Errors
/// A field is unknown, out of range or missing.
pub fn decode_event(bytes: &[u8]) -> Result<(TerminalId, Event), DecodeError> {
    let mut reader = Reader::new(bytes);
    let terminal = TerminalId::from_bits(reader.u64()?);
    let event = Event::decode(&mut reader)?;
    reader.end()?;
    Ok((terminal, event))
}

impl Open {
    /// The options as bytes: `u16` columns, `u16` rows, the theme, and for the folder and each word of the
    /// command a `u32` length and that many bytes of UTF-8.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.columns.to_le_bytes());
        out.extend_from_slice(&self.rows.to_le_bytes());
        self.theme.encode(&mut out);
        let words = core::iter::once(&self.folder).chain(&self.command);
        out.extend_from_slice(&encode_args(words.map(String::as_bytes)));
        out
    }

    /// The options in these bytes.
    ///
    /// # Errors
    /// A field is malformed or missing, a word has a NUL, or there are more than [`WORDS_MAX`].
    pub fn decode(bytes: &[u8]) -> Result<Open, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (columns, rows) = (reader.u16()?, reader.u16()?);
        let theme = Theme::decode(&mut reader)?;
        let bad = reader.error("folder or command is malformed");
        let mut words = Vec::new();
        for word in decode_args(reader.bytes(reader.remaining())?)? {
            match core::str::from_utf8(word) {
                Ok(word) if !word.contains('\0') && words.len() <= WORDS_MAX => {
                    words.push(String::from(word))
                }
                _ => return Err(bad),
            }
        }
        let mut words = words.into_iter();
        let folder = words.next().ok_or(bad)?;
        Ok(Open { columns, rows, folder, command: words.collect(), theme })
    }
}

impl Theme {
    fn encode(&self, out: &mut Vec<u8>) {
        let colors = [self.foreground, self.background, self.cursor].into_iter().chain(self.palette);
        colors.for_each(|color| out.extend_from_slice(&color.to_le_bytes()));
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Theme, DecodeError> {
        let mut theme = Theme { foreground: 0, background: 0, cursor: 0, palette: [0; 16] };
        let Theme { foreground, background, cursor, palette } = &mut theme;
        for color in [foreground, background, cursor].into_iter().chain(palette) {
            let no_color = reader.error("color is over 0xFFFFFF");
            *color = reader.u32()?;
            if *color > 0x00FF_FFFF {
                return Err(no_color);
            }
        }
        Ok(theme)
    }
}

impl Stroke {
    /// Whether it is the chord that gives the user's keyboard back to the scripts: Ctrl+Shift+Space, and nothing
    /// else held but locks. It is no key of a terminal, whichever program runs there: the peer takes it itself, so
    /// that no script and no program can keep the keyboard.
    pub fn is_release_chord(&self) -> bool {
        let locks = Modifiers::CAPS_LOCK.and(Modifiers::NUM_LOCK);
        self.code == key::SPACE
            && self.press == Press::Pressed
            && self.modifiers.0 & !locks.0 == Modifiers::CONTROL.and(Modifiers::SHIFT).0
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.code.to_le_bytes());
        out.extend_from_slice(&[self.press as u8, self.modifiers.0]);
        for key in [self.key, self.shifted] {
            out.extend_from_slice(&key.map_or(0, u32::from).to_le_bytes());
        }
        out.extend_from_slice(self.text.as_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Stroke, DecodeError> {
        let code = reader.u16()?;
        let press = Press::decode(reader)?;
        let modifiers = Modifiers(reader.u8()?);
        let (key, shifted) = (character(reader)?, character(reader)?);
        let text = rest(reader, STROKE_LEN_MAX)?;
        Ok(Stroke { code, press, modifiers, key, shifted, text })
    }
}

/// A `u32` with a character, or zero for none.
fn character(reader: &mut Reader<'_>) -> Result<Option<char>, DecodeError> {
    let none = reader.error("no character has this number");
    match reader.u32()? {
        0 => Ok(None),
        number => char::from_u32(number).map(Some).ok_or(none),
    }
}

/// UTF-8 to the end.
fn rest(reader: &mut Reader<'_>, len_max: usize) -> Result<String, DecodeError> {
    if reader.remaining() > len_max {
        return Err(reader.error("text is too long"));
    }
    Ok(reader.text(reader.remaining())?.into())
}

impl Command {
    /// Whether a peer may say it to whom another has granted its terminals: what types, points, scrolls and
    /// selects. The rest (size, colours, consent, the end) is for processes of the hosting peer.
    pub const fn is_typing(&self) -> bool {
        match self {
            Command::Key(_)
            | Command::Text(_)
            | Command::Paste(_)
            | Command::Pointer(_)
            | Command::Wheel { .. }
            | Command::Scroll(_)
            | Command::Focus(_)
            | Command::SelectAll
            | Command::Deselect
            | Command::Search { .. } => true,
            Command::Resize { .. }
            | Command::Theme(_)
            | Command::Copy
            | Command::Restart
            | Command::Signal(_)
            | Command::Consent { .. }
            | Command::Close => false,
        }
    }

    /// The command as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let o = &mut out;
        match self {
            Command::Resize { columns, rows } => {
                o.push(1);
                o.extend_from_slice(&columns.to_le_bytes());
                o.extend_from_slice(&rows.to_le_bytes());
            }
            Command::Key(stroke) => {
                o.push(2);
                stroke.encode(o);
            }
            Command::Text(text) => with_text(o, 3, text),
            Command::Paste(text) => with_text(o, 4, text),
            Command::Pointer(p) => {
                o.extend_from_slice(&[5, p.action as u8, p.button, p.modifiers.0, p.clicks]);
                put_floats(o, &[p.column, p.row]);
            }
            Command::Wheel { lines, modifiers, at } => {
                o.push(6);
                put_floats(o, lines);
                o.push(modifiers.0);
                put_floats(o, at);
            }
            Command::Scroll(lines) => {
                o.push(7);
                o.extend_from_slice(&lines.to_le_bytes());
            }
            Command::Focus(on) => o.extend_from_slice(&[8, u8::from(*on)]),
            Command::Theme(theme) => {
                o.push(9);
                theme.encode(o);
            }
            Command::Copy => o.push(10),
            Command::SelectAll => o.push(11),
            Command::Deselect => o.push(12),
            Command::Search { backwards, pattern } => {
                o.extend_from_slice(&[13, u8::from(*backwards)]);
                o.extend_from_slice(pattern.as_bytes());
            }
            Command::Restart => o.push(14),
            Command::Signal(number) => {
                o.push(15);
                o.extend_from_slice(&number.to_le_bytes());
            }
            Command::Consent { request, allowed } => {
                o.push(16);
                o.extend_from_slice(&request.to_le_bytes());
                o.push(u8::from(*allowed));
            }
            Command::Close => o.push(17),
        }
        out
    }

    /// The command in these bytes.
    ///
    /// # Errors
    /// A field is unknown, out of range or missing, or bytes are left.
    pub fn decode(bytes: &[u8]) -> Result<Command, DecodeError> {
        let mut reader = Reader::new(bytes);
        let r = &mut reader;
        let unknown = r.error("unknown command of a terminal");
        let command = match r.u8()? {
            1 => Command::Resize { columns: r.u16()?, rows: r.u16()? },
            2 => Command::Key(Stroke::decode(r)?),
            3 => Command::Text(rest(r, TEXT_LEN_MAX)?),
            4 => Command::Paste(rest(r, TEXT_LEN_MAX)?),
            5 => {
                let unknown = r.error("unknown action of a pointer");
                let action = match r.u8()? {
                    0 => PointerAction::Press,
                    1 => PointerAction::Release,
                    2 => PointerAction::Move,
                    _ => return Err(unknown),
                };
                Command::Pointer(Pointer {
                    action,
                    button: r.u8()?,
                    modifiers: Modifiers(r.u8()?),
                    clicks: r.u8()?,
                    column: r.finite()?,
                    row: r.finite()?,
                })
            }
            6 => Command::Wheel { lines: r.finites()?, modifiers: Modifiers(r.u8()?), at: r.finites()? },
            7 => Command::Scroll(r.i32()?),
            8 => Command::Focus(r.bool()?),
            9 => Command::Theme(Theme::decode(r)?),
            10 => Command::Copy,
            11 => Command::SelectAll,
            12 => Command::Deselect,
            13 => Command::Search { backwards: r.bool()?, pattern: rest(r, PATTERN_LEN_MAX)? },
            14 => Command::Restart,
            15 => Command::Signal(r.i32()?),
            16 => Command::Consent { request: r.u32()?, allowed: r.bool()? },
            17 => Command::Close,
            _ => return Err(unknown),
        };
        reader.end()?;
        Ok(command)
    }
}

fn with_text(out: &mut Vec<u8>, number: u8, text: &str) {
    out.push(number);
    out.extend_from_slice(text.as_bytes());
}

impl Event {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Event::Title(text) => with_text(out, 1, text),
            Event::Bell => out.push(2),
            Event::Exited(status) => {
                out.push(3);
                out.extend_from_slice(&status.to_le_bytes());
            }
            Event::ClipboardWanted { request, text } => {
                out.push(4);
                out.extend_from_slice(&request.to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Event::Copied(text) => with_text(out, 5, text),
            Event::Keyboard(on) => out.extend_from_slice(&[6, u8::from(*on)]),
            Event::Found { shown, found } => {
                out.push(7);
                out.extend_from_slice(&shown.to_le_bytes());
                out.push(u8::from(*found));
            }
            Event::Closed => out.push(8),
            Event::Link(address) => with_text(out, 9, address),
            Event::Resized { columns, rows } => {
                out.push(10);
                out.extend_from_slice(&columns.to_le_bytes());
                out.extend_from_slice(&rows.to_le_bytes());
            }
            Event::Zoom(steps) => out.extend_from_slice(&[11, steps.to_le_bytes()[0]]),
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Event, DecodeError> {
        let unknown = r.error("unknown event of a terminal");
        Ok(match r.u8()? {
            1 => Event::Title(rest(r, crate::screen::TITLE_LEN_MAX)?),
            2 => Event::Bell,
            3 => Event::Exited(r.i32()?),
            4 => Event::ClipboardWanted { request: r.u32()?, text: rest(r, TEXT_LEN_MAX)? },
            5 => Event::Copied(rest(r, TEXT_LEN_MAX)?),
            6 => Event::Keyboard(r.bool()?),
            7 => Event::Found { shown: r.u32()?, found: r.bool()? },
            8 => Event::Closed,
            9 => Event::Link(rest(r, crate::screen::LINK_LEN_MAX)?),
            10 => Event::Resized { columns: r.u16()?, rows: r.u16()? },
            11 => match i8::from_le_bytes([r.u8()?]) {
                steps @ -1..=1 => Event::Zoom(steps),
                _ => return Err(unknown),
            },
            _ => return Err(unknown),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn commands() -> Vec<Command> {
        vec![
            Command::Resize { columns: 80, rows: 24 },
            Command::Key(Stroke {
                code: 0x06,
                press: Press::Pressed,
                modifiers: Modifiers::CONTROL.and(Modifiers::SHIFT),
                key: Some('c'),
                shifted: Some('C'),
                text: "C".into(),
            }),
            Command::Text("ü".into()),
            Command::Paste("two\nlines".into()),
            Command::Pointer(Pointer {
                action: PointerAction::Move,
                button: 0,
                modifiers: Modifiers::ALT,
                clicks: 2,
                column: -1.5,
                row: 3.25,
            }),
            Command::Wheel { lines: [0.0, -3.0], modifiers: Modifiers::default(), at: [1.0, 2.0] },
            Command::Scroll(-3),
            Command::Focus(true),
            Command::Theme(Theme::default()),
            Command::Copy,
            Command::SelectAll,
            Command::Deselect,
            Command::Search { backwards: true, pattern: "error".into() },
            Command::Restart,
            Command::Signal(15),
            Command::Consent { request: 7, allowed: true },
            Command::Close,
        ]
    }

    #[test]
    fn commands_read_back() {
        for (index, command) in commands().into_iter().enumerate() {
            let bytes = command.encode();
            assert_eq!(usize::from(bytes[0]), index + 1, "{command:?}");
            assert_eq!(Command::decode(&bytes), Ok(command));
        }
    }

    #[test]
    fn the_release_chord_is_one_chord() {
        let stroke = |code, press, modifiers| Stroke {
            code,
            press,
            modifiers: Modifiers(modifiers),
            key: None,
            shifted: None,
            text: String::new(),
        };
        assert!(stroke(key::SPACE, Press::Pressed, 0b101).is_release_chord());
        assert!(stroke(key::SPACE, Press::Pressed, 0b1100_0101).is_release_chord(), "locks are on");
        for (code, press, modifiers) in [
            (key::SPACE, Press::Repeated, 0b101),
            (key::SPACE, Press::Released, 0b101),
            (key::SPACE, Press::Pressed, 0b100),
            (key::SPACE, Press::Pressed, 0b111),
            (key::ENTER, Press::Pressed, 0b101),
        ] {
            assert!(!stroke(code, press, modifiers).is_release_chord());
        }
    }

    #[test]
    fn events_read_back() {
        let terminal = TerminalId::from_bits(9);
        for (index, event) in [
            Event::Title("vim".into()),
            Event::Bell,
            Event::Exited(-9),
            Event::ClipboardWanted { request: 3, text: "copied".into() },
            Event::Copied("text".into()),
            Event::Keyboard(true),
            Event::Found { shown: 4, found: true },
            Event::Closed,
            Event::Link("https://example.org".into()),
            Event::Resized { columns: 100, rows: 30 },
            Event::Zoom(-1),
        ]
        .into_iter()
        .enumerate()
        {
            let bytes = encode_event(terminal, &event);
            assert_eq!(usize::from(bytes[8]), index + 1, "{event:?}");
            assert_eq!(decode_event(&bytes), Ok((terminal, event)));
        }
    }

    #[test]
    fn options_read_back() {
        let open =
            Open { folder: "/tmp".into(), command: vec!["vim".into(), "orb.rs".into()], ..Open::default() };
        assert_eq!(Open::decode(&open.encode()), Ok(open));
        assert_eq!(Open::decode(&Open::default().encode()), Ok(Open::default()));
        let with_nul = Open { command: vec!["a\0b".into()], ..Open::default() };
        assert!(Open::decode(&with_nul.encode()).is_err());
        let many = Open { command: vec!["x".into(); WORDS_MAX + 1], ..Open::default() };
        assert!(Open::decode(&many.encode()).is_err());
        assert!(Open::decode(&[0; 80]).is_err(), "there is no folder");
    }

    /// The document's examples.
    #[test]
    fn golden_vectors() {
        assert_eq!(Command::Resize { columns: 80, rows: 24 }.encode(), [1, 80, 0, 24, 0]);
        let stroke = Stroke {
            code: 0x06,
            press: Press::Pressed,
            modifiers: Modifiers::CONTROL,
            key: Some('c'),
            shifted: None,
            text: "c".into(),
        };
        let bytes = [2, 6, 0, 1, 4, 0x63, 0, 0, 0, 0, 0, 0, 0, 0x63];
        assert_eq!(Command::Key(stroke).encode(), bytes);
        let exited = encode_event(TerminalId::from_bits(0x0000_1000_0000_0002), &Event::Exited(1));
        assert_eq!(exited, [2, 0, 0, 0, 0, 0x10, 0, 0, 3, 1, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn strangers_do_not_panic_the_decoders(bytes: Vec<u8>) {
            if let Ok(command) = Command::decode(&bytes) {
                prop_assert_eq!(command.encode(), bytes.clone());
            }
            if let Ok((terminal, event)) = decode_event(&bytes) {
                prop_assert_eq!(encode_event(terminal, &event), bytes.clone());
            }
            let _ = Open::decode(&bytes);
        }

        #[test]
        fn a_flipped_byte_is_another_command_or_an_error(
            which: proptest::sample::Index,
            at: proptest::sample::Index,
            flip in 1u8..,
        ) {
            let mut bytes = which.get(&commands()).encode();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(command) = Command::decode(&bytes) {
                prop_assert_eq!(command.encode(), bytes);
            }
        }
    }
}
