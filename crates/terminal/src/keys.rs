// SPDX-License-Identifier: AGPL-3.0-or-later
//! Key strokes as the bytes that programs expect.

use hearth_abi::{
    input::Press,
    terminal::{Modifiers, Stroke},
};

/// What a program has asked of the keyboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// Cursor keys in application mode (DECCKM).
    pub app_cursor: bool,
    /// Keypad in application mode (DECKPAM).
    pub app_keypad: bool,
    /// Flags of the kitty keyboard protocol, its bits 0 to 4.
    pub kitty: u8,
}

/// The bytes of a stroke; none if it says nothing.
pub fn encode(stroke: &Stroke, _modes: Modes) -> Vec<u8> {
    if stroke.press == Press::Released {
        return Vec::new();
    }
    if stroke.modifiers.has(Modifiers::CONTROL)
        && let Some(letter) = stroke.key.filter(char::is_ascii_alphabetic)
    {
        return vec![letter as u8 & 0x1F];
    }
    match stroke.code {
        0x28 | 0x58 => vec![b'\r'],
        0x2A => vec![0x7F],
        _ => stroke.text.clone().into_bytes(),
    }
}
