// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a program writes to its terminal, what users do to it, and what is said of its screen between peers.

use hearth_abi::{
    screen::{Numbers, Screen, apply_update, encode_update},
    terminal::{Command, Theme},
};
use hearth_terminal::{Emulator, Mirror, pack};
use std::time::Instant;

/// Stands before a command; no text has this byte.
pub const COMMAND: u8 = 0xF5;

/// Any bytes are the size of a terminal (columns and rows, a byte each), and what its program writes; behind
/// [`COMMAND`] stands the length of a command (a byte) and the command. The screen is copied as it changes, and
/// what others see is the same; the grid never fails.
pub fn terminal(data: &[u8]) -> bool {
    let [columns, rows, rest @ ..] = data else { return false };
    let mut emulator =
        Emulator::new(1 + u16::from(columns % 128), 1 + u16::from(rows % 64), Theme::default());
    emulator.started();
    let mut peers = Peers { screen: Screen::new(1, 1), mirror: Screen::new(1, 1), number: 0 };
    let now = Instant::now();
    let mut rest = rest;
    while !rest.is_empty() {
        let len = rest.iter().position(|byte| *byte == COMMAND).unwrap_or(rest.len());
        let (written, more) = rest.split_at(len.min(1024));
        emulator.advance(written, now);
        rest = more;
        if let [COMMAND, len, more @ ..] = rest {
            let (command, more) = more.split_at(usize::from(*len).min(more.len()));
            rest = more;
            if let Ok(command) = Command::decode(command) {
                // Sizes beyond some hundred only take time.
                let command = match command {
                    Command::Resize { columns, rows } => {
                        Command::Resize { columns: columns % 256, rows: rows % 128 }
                    }
                    command => command,
                };
                emulator.command(command);
            }
        } else if rest.first() == Some(&COMMAND) {
            break;
        }
        peers.look(&mut emulator);
    }
    emulator.expire(now + std::time::Duration::from_secs(1));
    emulator.ended("exited with 0");
    peers.look(&mut emulator);
    true
}

/// The host's screen, and what another peer makes of its updates.
struct Peers {
    screen: Screen,
    mirror: Screen,
    number: u32,
}

impl Peers {
    fn look(&mut self, emulator: &mut Emulator) {
        emulator.refresh(&mut self.screen, false);
        let mut whole = Screen::new(1, 1);
        emulator.refresh(&mut whole, true);
        assert!(self.screen == whole, "a piece of the screen was not copied");
        assert_eq!(emulator.failures(), 0);
        emulator.take_output();
        emulator.take_events();
        let numbers = Numbers { number: self.number + 1, base: self.number };
        let base = Some(&self.mirror).filter(|_| self.number > 0);
        let update = encode_update(numbers, base, &self.screen);
        assert_eq!(apply_update(&mut self.mirror, &update).map(|read| read.number), Ok(numbers.number));
        assert!(self.mirror == self.screen, "another peer sees something else");
        self.number += 1;
    }
}

/// An update of a screen from anywhere, plain and packed, for one who has a screen and for one who has none.
pub fn screen(data: &[u8]) -> bool {
    let mut shown = Screen::new(8, 3);
    let applied = apply_update(&mut shown, data);
    assert_eq!(shown.cells().len(), usize::from(shown.columns()) * usize::from(shown.rows()));
    if applied.is_ok() {
        // What was understood can be said again.
        let again = encode_update(Numbers { number: 1, base: 0 }, None, &shown);
        let mut read = Screen::new(1, 1);
        assert!(apply_update(&mut read, &again).is_ok() && read == shown);
    }
    let mut mirror = Mirror::new();
    let _ = mirror.apply(data);
    let first = pack(Numbers { number: 1, base: 0 }, None, &Screen::new(8, 3));
    assert!(mirror.apply(&first).is_ok());
    let _ = mirror.apply(data);
    applied.is_ok()
}
