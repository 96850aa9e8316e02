// SPDX-License-Identifier: AGPL-3.0-or-later
//! Recordings of real programs, and what the screen shows at their end.
//!
//! A folder of `tests/ref` has the bytes that a program wrote, the size of its terminal, and the expected screen:
//! the cursor, the rows, and the looks of their cells. `examples/record.rs` makes new ones; a test run with
//! `HEARTH_BLESS=1` writes what is expected: look at it before it is committed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_abi::{
    screen::{Numbers, Screen, apply_update, encode_update},
    terminal::Theme,
};
use hearth_terminal::Emulator;
use std::{fmt::Write, fs, path::Path, time::Instant};

/// The screen after these bytes, which come in pieces of this length; copied after each.
fn replay(bytes: &[u8], (columns, rows): (u16, u16), piece_len: usize) -> Screen {
    let mut emulator = Emulator::new(columns, rows, Theme::default());
    emulator.started();
    let (mut screen, mut mirror) = (Screen::new(columns, rows), Screen::new(columns, rows));
    let mut number = 0;
    for piece in bytes.chunks(piece_len) {
        emulator.advance(piece, Instant::now());
        emulator.take_output();
        emulator.refresh(&mut screen, false);
        // What others would see.
        number += 1;
        let update = encode_update(Numbers { number, base: number - 1 }, Some(&mirror), &screen);
        let update =
            if number == 1 { encode_update(Numbers { number, base: 0 }, None, &screen) } else { update };
        apply_update(&mut mirror, &update).unwrap();
    }
    assert_eq!(mirror, screen);
    assert_eq!(emulator.failures(), 0);
    let mut whole = Screen::new(1, 1);
    emulator.refresh(&mut whole, true);
    assert_eq!(screen, whole, "what was copied piece by piece is something else");
    screen
}

fn described(screen: &Screen) -> String {
    let mut out = String::new();
    let cursor = screen.cursor;
    writeln!(out, "{:?} at column {}, row {}", cursor.shape, cursor.column, cursor.row).unwrap();
    writeln!(out, "title `{}`, {} lines above", screen.title, screen.history).unwrap();
    for row in 0..screen.rows() {
        writeln!(out, "|{}", screen.text(row)).unwrap();
    }
    for row in 0..screen.rows() {
        let mut looks = String::new();
        let mut start = 0;
        for run in screen
            .row(row)
            .chunk_by(|a, b| (a.foreground, a.background, a.style) == (b.foreground, b.background, b.style))
        {
            let (cell, end) = (run[0], start + run.len());
            if (cell.foreground, cell.background, cell.style)
                != (Theme::default().foreground, Theme::default().background, 0)
            {
                write!(looks, " {start}..{end} {:06x}/{:06x}", cell.foreground, cell.background).unwrap();
                if cell.style != 0 {
                    write!(looks, "+{:x}", cell.style).unwrap();
                }
            }
            start = end;
        }
        if !looks.is_empty() {
            writeln!(out, "{row}:{looks}").unwrap();
        }
    }
    for (index, extra) in &screen.extras {
        writeln!(out, "{index}: {extra:?}").unwrap();
    }
    out
}

#[test]
fn recordings_show_what_they_did() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ref");
    let mut names: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert!(names.len() >= 16);
    let mut wrong = Vec::new();
    for name in names {
        let folder = root.join(&name);
        let bytes = fs::read(folder.join("bytes")).unwrap();
        let size = fs::read_to_string(folder.join("size")).unwrap();
        let (columns, rows) = size.trim().split_once(' ').unwrap();
        let size = (columns.parse().unwrap(), rows.parse().unwrap());
        let shown = described(&replay(&bytes, size, 16 << 10));
        for piece_len in [1, 7, 1000] {
            assert_eq!(
                described(&replay(&bytes, size, piece_len)),
                shown,
                "{name:?} in pieces of {piece_len}"
            );
        }
        let file = folder.join("expected");
        if std::env::var_os("HEARTH_BLESS").is_some() {
            fs::write(&file, &shown).unwrap();
        }
        if fs::read_to_string(&file).unwrap_or_default() != shown {
            wrong.push(format!("{name:?}:\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
