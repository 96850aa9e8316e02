// SPDX-License-Identifier: AGPL-3.0-or-later
//! Mouse reports: what a program hears of the pointer when it has asked for it.

use alacritty_terminal::term::TermMode;
use hearth_abi::terminal::Modifiers;

/// What happened, in the program's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mouse {
    /// A button of [`Pointer`](hearth_abi::terminal::Pointer) went down.
    Press(u8),
    /// It went up.
    Release(u8),
    /// The pointer came to another cell, with a button held or 255.
    Move(u8),
    /// The wheel turned by one line: 0 up, 1 down, 2 left, 3 right.
    Wheel(u8),
}

/// How a program wants to hear it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    /// Mode 9.
    pub(crate) x10: bool,
    /// Modes 1000, 1002 and 1003.
    pub(crate) click: bool,
    pub(crate) drag: bool,
    pub(crate) motion: bool,
    /// Modes 1005, 1006 and 1015.
    pub(crate) utf8: bool,
    pub(crate) sgr: bool,
    pub(crate) urxvt: bool,
}

impl Wishes {
    pub(crate) fn new(mode: TermMode, x10: bool, urxvt: bool) -> Wishes {
        Wishes {
            x10,
            click: mode.contains(TermMode::MOUSE_REPORT_CLICK),
            drag: mode.contains(TermMode::MOUSE_DRAG),
            motion: mode.contains(TermMode::MOUSE_MOTION),
            utf8: mode.contains(TermMode::UTF8_MOUSE),
            sgr: mode.contains(TermMode::SGR_MOUSE),
            urxvt,
        }
    }

    /// Whether the program wants to hear of the mouse at all.
    pub(crate) const fn any(self) -> bool {
        self.x10 || self.click || self.drag || self.motion
    }

    /// Whether it wants to hear of this.
    fn wants(self, mouse: Mouse) -> bool {
        let buttons = self.click || self.drag || self.motion;
        match mouse {
            Mouse::Press(button) => buttons || self.x10 && button <= 2,
            Mouse::Release(_) | Mouse::Wheel(_) => buttons,
            Mouse::Move(255) => self.motion,
            Mouse::Move(_) => self.drag || self.motion,
        }
    }
}

/// The report for a program with these wishes; `None` if it wants none, or if its encoding has no word for the place.
/// Column and row are counted from 0.
pub(crate) fn report(
    mouse: Mouse,
    modifiers: Modifiers,
    (column, row): (u16, u16),
    wishes: Wishes,
) -> Option<Vec<u8>> {
    if !wishes.wants(mouse) {
        return None;
    }
    let code = |button: u8| match button {
        0 => Some(0),
        1 => Some(2),
        2 => Some(1),
        3 => Some(128),
        4 => Some(129),
        255 => Some(3),
        _ => None,
    };
    let mut number: u32 = match mouse {
        Mouse::Press(button) => code(button)?,
        // Only one encoding says which.
        Mouse::Release(button) => {
            if wishes.sgr {
                code(button)?
            } else {
                3
            }
        }
        Mouse::Move(button) => code(button)? + 32,
        Mouse::Wheel(direction) => 64 + u32::from(direction & 3),
    };
    let only_x10 = !(wishes.click || wishes.drag || wishes.motion);
    if !only_x10 {
        let bit = |modifier, bit| if modifiers.has(modifier) { bit } else { 0 };
        number += bit(Modifiers::SHIFT, 4) + bit(Modifiers::ALT, 8) + bit(Modifiers::CONTROL, 16);
    }
    let (column, row) = (u32::from(column) + 1, u32::from(row) + 1);
    if wishes.sgr {
        let end = if matches!(mouse, Mouse::Release(_)) { 'm' } else { 'M' };
        return Some(format!("\x1b[<{number};{column};{row}{end}").into_bytes());
    }
    if wishes.urxvt {
        return Some(format!("\x1b[{};{column};{row}M", number + 32).into_bytes());
    }
    let mut report = b"\x1b[M".to_vec();
    for number in [number, column, row] {
        let number = number + 32;
        if wishes.utf8 {
            // Two bytes at most.
            let character = char::from_u32(number).filter(|_| number < 0x800)?;
            report.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            report.push(number.try_into().ok()?);
        }
    }
    Some(report)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn check(modes: &str, mouse: Mouse, at: (u16, u16), expected: &str) {
        let has = |mode| modes.split(' ').any(|word| word == mode);
        let wishes = Wishes {
            x10: has("9"),
            click: has("1000"),
            drag: has("1002"),
            motion: has("1003"),
            utf8: has("1005"),
            sgr: has("1006"),
            urxvt: has("1015"),
        };
        let modifiers = if has("ctrl") { Modifiers::CONTROL } else { Modifiers::default() };
        let report = report(mouse, modifiers, at, wishes);
        // Bytes as Latin-1, so that each shows.
        let shown = report.map(|bytes| bytes.iter().map(|byte| char::from(*byte)).collect::<String>());
        assert_eq!(shown.unwrap_or_default(), expected, "{modes}, {mouse:?}");
    }

    #[test]
    fn reports_are_those_of_xterm() {
        check("1006", Mouse::Press(0), (0, 0), "");
        check("1000 1006", Mouse::Press(0), (0, 0), "\x1b[<0;1;1M");
        check("1000 1006", Mouse::Release(0), (9, 4), "\x1b[<0;10;5m");
        check("1000 1006 ctrl", Mouse::Press(1), (299, 0), "\x1b[<18;300;1M");
        check("1000 1006", Mouse::Press(2), (0, 0), "\x1b[<1;1;1M");
        check("1000 1006", Mouse::Press(3), (0, 0), "\x1b[<128;1;1M");
        check("1000 1006", Mouse::Move(0), (0, 0), "");
        check("1002 1006", Mouse::Move(0), (1, 0), "\x1b[<32;2;1M");
        check("1002 1006", Mouse::Move(255), (1, 0), "");
        check("1003 1006", Mouse::Move(255), (1, 0), "\x1b[<35;2;1M");
        check("1000 1006", Mouse::Wheel(0), (0, 0), "\x1b[<64;1;1M");
        check("1000 1006", Mouse::Wheel(1), (0, 0), "\x1b[<65;1;1M");
        check("1000", Mouse::Press(0), (0, 0), "\x1b[M !!");
        check("1000", Mouse::Release(1), (0, 0), "\x1b[M#!!");
        check("1000", Mouse::Press(0), (222, 0), "\x1b[M \u{ff}!");
        check("1000", Mouse::Press(0), (223, 0), "");
        check("1000 1005", Mouse::Press(0), (223, 0), "\x1b[M \u{c4}\u{80}!");
        check("1000 1005", Mouse::Press(0), (2014, 0), "\x1b[M \u{df}\u{bf}!");
        check("1000 1005", Mouse::Press(0), (2015, 0), "");
        check("1000 1015", Mouse::Press(0), (299, 9), "\x1b[32;300;10M");
        check("9 ctrl", Mouse::Press(0), (0, 0), "\x1b[M !!");
        check("9", Mouse::Release(0), (0, 0), "");
        check("9", Mouse::Wheel(0), (0, 0), "");
    }
}
