// SPDX-License-Identifier: AGPL-3.0-or-later
//! Keys that are pressed with the pointer, for where there is no keyboard: a script on the server, and a user who flies.

use super::{At, Deed, Touch};
use crate::{
    layout::Rect,
    paint::{Letters, Paint},
    theme::mixed,
};

/// Width of the panel in keys.
const COLUMNS: f32 = 10.0;
const LETTERS: [&str; 4] = ["1234567890", "qwertyuiop", "asdfghjkl-", "zxcvbnm,."];
const SIGNS: [&str; 4] = ["!\"#$%&'()*", "+/=?@[]\\^_", "äöüßéèàçñå", "{|}~<>;:`"];

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tap {
    Letter(char),
    Shift,
    Signs,
    Left,
    Right,
    Erase,
    Done,
}

/// The keys, and which of them are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keys {
    has_shift: bool,
    has_signs: bool,
    hot: Option<Tap>,
}

impl Keys {
    /// Every key: what it does, its place in keys from the left and from the top, and its width.
    fn all(&self) -> Vec<(Tap, [f32; 3])> {
        let rows = if self.has_signs { SIGNS } else { LETTERS };
        let mut keys = Vec::with_capacity(48);
        for (y, row) in rows.iter().enumerate() {
            for (x, letter) in row.chars().enumerate() {
                let upper = letter.to_uppercase().next().filter(|_| self.has_shift && letter != 'ß');
                keys.push((Tap::Letter(upper.unwrap_or(letter)), [x as f32, y as f32, 1.0]));
            }
        }
        keys.push((Tap::Erase, [9.0, 3.0, 1.0]));
        let last = [
            (Tap::Shift, 1.5),
            (Tap::Signs, 1.5),
            (Tap::Letter(' '), 3.0),
            (Tap::Left, 1.0),
            (Tap::Right, 1.0),
            (Tap::Done, 2.0),
        ];
        let mut x = 0.0;
        for (tap, wide) in last {
            keys.push((tap, [x, 4.0, wide]));
            x += wide;
        }
        keys
    }

    /// Where the panel is: below what it is for.
    pub(crate) fn rect(at: &At<'_>, below: Rect) -> Rect {
        let theme = at.theme;
        let key = theme.control * 0.9;
        let (wide, high) = (key * COLUMNS + 2.0 * theme.gap, key * 5.0 + 2.0 * theme.gap);
        let x = (below.middle()[0] - wide * 0.5).clamp(0.0, (at.whole[0] - wide).max(0.0));
        Rect::new(x, below.bottom() + theme.gap * 0.5, wide, high)
    }

    fn key_rect(at: &At<'_>, panel: Rect, [x, y, wide]: [f32; 3]) -> Rect {
        let inner = panel.inset(at.theme.gap);
        let (column, row) = (inner.w / COLUMNS, inner.h / 5.0);
        Rect::new(inner.x + x * column, inner.y + y * row, wide * column, row).inset(at.theme.control * 0.04)
    }

    fn tap_at(&self, at: &At<'_>, panel: Rect, point: [f32; 2]) -> Option<Tap> {
        let keys = self.all();
        keys.into_iter().find(|(_, place)| Keys::key_rect(at, panel, *place).holds(point)).map(|(tap, _)| tap)
    }

    pub(crate) fn paint(&self, at: &At<'_>, panel: Rect, paint: &mut Paint<'_>) {
        let theme = at.theme;
        paint.board(panel, theme.radius, theme.ground);
        let keys = self.all();
        for (tap, place) in &keys {
            let lit = matches!(
                (tap, self.has_shift, self.has_signs),
                (Tap::Shift, true, _) | (Tap::Signs, _, true)
            );
            let color = if lit || *tap == Tap::Done { theme.accent } else { theme.raised };
            let color = if self.hot == Some(*tap) { mixed(color, theme.ink, theme.hover) } else { color };
            paint.plate(Keys::key_rect(at, panel, *place), theme.radius * 0.6, color);
        }
        paint.up();
        for (tap, place) in &keys {
            let text = match tap {
                Tap::Letter(' ') => "␣".into(),
                Tap::Letter(letter) => letter.to_string(),
                Tap::Shift => "Shift".into(),
                Tap::Signs => if self.has_signs { "abc" } else { "#ä" }.into(),
                Tap::Left => "←".into(),
                Tap::Right => "→".into(),
                Tap::Erase => "×".into(),
                Tap::Done => "Enter".into(),
            };
            let lit = matches!(
                (tap, self.has_shift, self.has_signs),
                (Tap::Shift, true, _) | (Tap::Signs, _, true)
            );
            let ink = if lit || *tap == Tap::Done { theme.on_accent } else { theme.ink };
            let size = if text.chars().count() > 1 { theme.small } else { theme.text };
            paint.text(Keys::key_rect(at, panel, *place), text, Letters::new(size, ink).centered());
        }
    }

    /// A pointer on the panel; gives what was pressed, as far as it is not for the panel itself.
    pub(crate) fn pointer(&mut self, touch: &Touch, at: &At<'_>, panel: Rect) -> Option<Tap> {
        match touch.deed {
            Deed::Move => self.hot = self.tap_at(at, panel, touch.at),
            Deed::Out => self.hot = None,
            Deed::Press(_) => match self.tap_at(at, panel, touch.at)? {
                Tap::Shift => self.has_shift = !self.has_shift,
                Tap::Signs => self.has_signs = !self.has_signs,
                tap => {
                    // As on every small keyboard: one capital.
                    self.has_shift &= !matches!(tap, Tap::Letter(letter) if letter.is_alphabetic());
                    return Some(tap);
                }
            },
            _ => {}
        }
        None
    }
}
