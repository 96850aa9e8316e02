// SPDX-License-Identifier: AGPL-3.0-or-later
//! What programs write to terminals: eleven sorts of streams, the same in every run.

use std::fmt::Write;

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        // xorshift64* (Vigna, 2016).
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end.max(1)
    }
}

const WORDS: [&str; 12] =
    ["process", "mailbox", "started", "with", "error:", "lump", "scene", "of", "frame", "took", "peers", "a"];
const CYRILLIC: [&str; 8] = ["процесс", "запущен", "ошибка", "и", "кадр", "сцена", "в", "пространстве"];
const MIXED: [&str; 10] =
    ["größe", "世界", "e\u{301}t\u{300}", "→", "🎈", "ﬁn", "한국어", "Ωmega", "日本", "x"];

fn made(len: usize, mut piece: impl FnMut(&mut String, &mut Random)) -> Vec<u8> {
    let (mut out, mut random) = (String::with_capacity(len + 8192), Random(42));
    while out.len() < len {
        piece(&mut out, &mut random);
    }
    out.truncate(out.floor_char_boundary(len));
    out.into_bytes()
}

fn lines(len: usize, words: &'static [&'static str], per_line: usize) -> Vec<u8> {
    made(len, |out, random| {
        let count = 1 + random.below(per_line);
        for _ in 0..count {
            out.push_str(words[random.below(words.len())]);
            out.push(' ');
        }
        out.push_str("\r\n");
    })
}

/// Cells at random places, a part of them with looks of their own.
fn cells(len: usize, columns: u16, rows: u16, looks: usize) -> Vec<u8> {
    made(len, |out, random| {
        let _ = write!(out, "\x1b[{};{}H", 1 + random.below(rows.into()), 1 + random.below(columns.into()));
        for _ in 0..60 {
            match looks {
                1 if random.below(4) == 0 => {
                    let _ = write!(out, "\x1b[3{}m", random.below(8));
                }
                2 => {
                    let (front, back) = (random.below(256), random.below(256));
                    let _ = write!(out, "\x1b[38;5;{front};48;5;{back}m");
                }
                _ => {}
            }
            out.push(char::from(b'!' + random.below(94) as u8));
        }
    })
}

/// The output of a build, with its colours.
pub(crate) fn cargo_colour(len: usize) -> Vec<u8> {
    made(len, |out, random| {
        let (word, number) = (WORDS[random.below(WORDS.len())], random.below(100));
        let _ = match random.below(5) {
            0 => write!(out, "\x1b[1m\x1b[33mwarning\x1b[0m\x1b[1m: unused variable: `{word}`\x1b[0m\r\n"),
            1 => write!(out, "\x1b[1m\x1b[38;5;12m{number:>4} |\x1b[0m     let {word} = {number};\r\n"),
            _ => write!(out, "\x1b[1m\x1b[32m   Compiling\x1b[0m {word}-{number} v0.{number}.1\r\n"),
        };
    })
}

type Maker = Box<dyn FnOnce() -> Vec<u8>>;

/// All of them, with their names.
pub(crate) fn all(len: usize, columns: u16, rows: u16) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let full: usize = usize::from(columns);
    let makers: [(&'static str, Maker); 11] = [
        ("ascii_log", Box::new(move || lines(len, &WORDS, 20))),
        ("scrolling", Box::new(move || made(len, |out, _| out.push_str("y\r\n")))),
        (
            "scroll_full",
            Box::new(move || {
                made(len, |out, random| {
                    out.extend((0..full).map(|_| char::from(b'a' + random.below(26) as u8)));
                    out.push_str("\r\n");
                })
            }),
        ),
        ("light_cells", Box::new(move || cells(len, columns, rows, 0))),
        ("medium_cells", Box::new(move || cells(len, columns, rows, 1))),
        ("dense_cells", Box::new(move || cells(len, columns, rows, 2))),
        (
            "truecolor_halfblk",
            Box::new(move || {
                made(len, |out, random| {
                    out.push_str("\x1b[H");
                    for _ in 0..rows {
                        for _ in 0..full {
                            let mut color = || (random.below(256), random.below(256), random.below(256));
                            let ((r, g, b), (red, green, blue)) = (color(), color());
                            let _ = write!(out, "\x1b[38;2;{r};{g};{b};48;2;{red};{green};{blue}m▀");
                        }
                        out.push_str("\r\n");
                    }
                })
            }),
        ),
        (
            "cursor_motion",
            Box::new(move || {
                made(len, |out, random| {
                    let (by, letter) = (1 + random.below(9), [b'A', b'B', b'C', b'D'][random.below(4)]);
                    let _ = write!(out, "\x1b[{by}{}x", char::from(letter));
                })
            }),
        ),
        ("unicode_mix", Box::new(move || lines(len, &MIXED, 20))),
        ("cyrillic", Box::new(move || lines(len, &CYRILLIC, 14))),
        ("cargo_colour", Box::new(move || cargo_colour(len))),
    ];
    makers.into_iter().map(|(name, make)| (name, make()))
}
