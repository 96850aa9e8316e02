// SPDX-License-Identifier: AGPL-3.0-or-later
//! A line of text that is typed.
//!
//! It is written in the face of one width, so that the caret stands where it is drawn.

use super::{
    At, Deed, Focus, Key, Stroke, Touch, Widget, With,
    keys::{Keys, Tap},
};
use crate::{
    edit::{LEN_MAX, Line, Step},
    layout::Rect,
    measure::{self, CELL},
    paint::{Letters, Paint},
    theme::{Theme, mixed},
};
use hearth_sdk::abi::scene::Face;
use std::{borrow::Cow, cell::Cell};
use unicode_segmentation::UnicodeSegmentation;

/// What stands for a letter of a secret.
const DOT: &str = "•";

type Say<M> = Box<dyn Fn(String) -> M>;

/// A line of text that is typed, marked, copied and pasted. Who presses it types into it, wherever its script runs; it is
/// one's at a time. As long as who pressed it has no keyboard it shows keys below itself, which anybody presses with the
/// pointer.
pub struct Field<M> {
    line: Line,
    shown_if_empty: String,
    len_max: usize,
    /// The first grapheme in view.
    first: Cell<usize>,
    is_focused: bool,
    is_secret: bool,
    keys: Keys,
    changed: Option<Say<M>>,
    entered: Option<Say<M>>,
}

/// A field with a text in it.
pub fn field<M>(text: impl AsRef<str>) -> Field<M> {
    Field {
        line: Line::new(text.as_ref(), LEN_MAX),
        shown_if_empty: String::new(),
        len_max: LEN_MAX,
        first: Cell::new(0),
        is_focused: false,
        is_secret: false,
        keys: Keys::default(),
        changed: None,
        entered: None,
    }
}

impl<M> Field<M> {
    /// What it says as long as it is empty.
    #[must_use]
    pub fn placeholder(self, text: impl Into<String>) -> Field<M> {
        Field { shown_if_empty: text.into(), ..self }
    }

    /// It takes so many bytes, and at most [`LEN_MAX`].
    #[must_use]
    pub fn len_max(mut self, bytes: usize) -> Field<M> {
        self.len_max = bytes.min(LEN_MAX);
        self.line = Line::new(self.line.text(), self.len_max);
        self
    }

    /// It shows a dot for each letter, and gives nothing to the clipboard: for passwords.
    #[must_use]
    pub fn secret(self) -> Field<M> {
        Field { is_secret: true, ..self }
    }

    /// What it says at each change.
    #[must_use]
    pub fn on_change(mut self, said: impl Fn(String) -> M + 'static) -> Field<M> {
        self.changed = Some(Box::new(said));
        self
    }

    /// What it says at Enter.
    #[must_use]
    pub fn on_enter(mut self, said: impl Fn(String) -> M + 'static) -> Field<M> {
        self.entered = Some(Box::new(said));
        self
    }

    /// What is in it.
    pub fn text(&self) -> &str {
        self.line.text()
    }

    /// What is selected.
    pub fn selected(&self) -> &str {
        self.line.selected()
    }

    /// Puts another text in it, without a word.
    pub fn set(&mut self, text: impl AsRef<str>) {
        if text.as_ref() != self.line.text() {
            self.line = Line::new(text.as_ref(), self.len_max);
        }
    }

    /// What is to be seen of the text, grapheme for grapheme.
    fn written(&self) -> Cow<'_, str> {
        match self.is_secret {
            true => Cow::Owned(DOT.repeat(self.line.count())),
            false => Cow::Borrowed(self.line.text()),
        }
    }

    /// How far a step goes. Where a word ends is not told of a secret.
    fn step(&self, word: bool, left: bool) -> Step {
        match (word, self.is_secret, left) {
            (false, _, true) => Step::Left,
            (false, _, false) => Step::Right,
            (true, false, true) => Step::WordLeft,
            (true, false, false) => Step::WordRight,
            (true, true, true) => Step::Home,
            (true, true, false) => Step::End,
        }
    }

    fn copy(&self, with: &mut With<M>) {
        if !self.is_secret {
            with.copy(self.line.selected());
        }
    }

    fn say_changed(&self, with: &mut With<M>) {
        if let Some(changed) = &self.changed {
            with.say(changed(self.line.text().to_owned()));
        }
    }

    fn enter(&self, with: &mut With<M>) {
        if let Some(entered) = &self.entered {
            with.say(entered(self.line.text().to_owned()));
        }
    }

    fn tap(&mut self, tap: Tap, with: &mut With<M>) {
        let changed = match tap {
            Tap::Letter(letter) => self.line.insert(letter.encode_utf8(&mut [0; 4]), self.len_max),
            Tap::Erase => self.line.delete(Step::Left),
            Tap::Left | Tap::Right => {
                self.line.step(if tap == Tap::Left { Step::Left } else { Step::Right }, false);
                false
            }
            Tap::Done => {
                self.enter(with);
                with.leave();
                false
            }
            Tap::Shift | Tap::Signs => false,
        };
        if changed {
            self.say_changed(with);
        }
    }
}

fn inner(rect: Rect, theme: &Theme) -> Rect {
    let side = theme.gap * 0.6;
    Rect { x: rect.x + side, w: (rect.w - 2.0 * side).max(0.0), ..rect }
}

fn letters(theme: &Theme) -> Letters {
    Letters::new(theme.text * 0.92, theme.ink).mono()
}

/// The widths of the graphemes of a text, in metres.
fn widths(text: &str, size: f32) -> impl Iterator<Item = (&str, f32)> {
    text.graphemes(true).map(move |part| (part, measure::grapheme(part, Face::Mono, false) * size))
}

impl<M> Field<M> {
    /// Moves the view so that the caret is in it, and gives its first grapheme.
    fn scrolled(&self, room: f32, size: f32) -> usize {
        let caret = self.line.caret();
        let mut first = self.first.get().min(caret);
        let all: Vec<f32> = widths(&self.written(), size).map(|(_, wide)| wide).collect();
        let mut before: f32 = all.iter().take(caret).skip(first).sum();
        while first < caret && before > room {
            before -= all.get(first).copied().unwrap_or(0.0);
            first += 1;
        }
        // Room at the end is not left empty while something is out of view at the beginning.
        let mut all_right: f32 = all.iter().skip(first).sum();
        while let Some(wide) = first.checked_sub(1).and_then(|at| all.get(at)) {
            if all_right + wide > room {
                break;
            }
            all_right += wide;
            first -= 1;
        }
        self.first.set(first);
        first
    }

    /// The grapheme before which the caret is put by a press here.
    fn grapheme_at(&self, rect: Rect, theme: &Theme, x: f32) -> usize {
        let (inner, size) = (inner(rect, theme), letters(theme).size);
        let first = self.first.get();
        let mut left = inner.x;
        let mut at = first;
        for (_, wide) in widths(&self.written(), size).skip(first) {
            if x < left + wide * 0.5 {
                break;
            }
            left += wide;
            at += 1;
        }
        at
    }
}

impl<M: Clone + 'static> Widget<M> for Field<M> {
    fn width(&self, theme: &Theme) -> f32 {
        theme.control * 4.0
    }

    fn height(&self, theme: &Theme, _width: f32) -> f32 {
        theme.control
    }

    fn touches(&self) -> bool {
        true
    }

    fn focus(&self) -> Focus {
        Focus::Text
    }

    fn focused(&mut self, on: bool) {
        self.is_focused = on;
        if !on {
            let caret = self.line.caret();
            self.line.go(caret, false);
        }
    }

    fn paint(&self, at: &At<'_>, paint: &mut Paint<'_>) {
        let theme = at.theme;
        paint.takes_keys(true);
        paint.ring(at.rect, theme.radius, at.look.focused);
        let edge = if at.look.over { mixed(theme.edge, theme.ink, 0.4) } else { theme.edge };
        paint.framed(at.rect, theme.radius, at.dim(theme.sunken), at.dim(edge));
        paint.up();
        let inner = inner(at.rect, theme);
        let mut letters = letters(theme);
        letters.color = at.dim(theme.ink);
        let size = letters.size;
        let first = self.scrolled((inner.w - theme.ring).max(0.0), size);
        let mut left = inner.x;
        let (mut from, mut to, mut caret) = (None, inner.x, inner.x);
        let (mark_from, mark_to) = self.line.selection();
        let mut shown = String::new();
        let mut index = first;
        let written = self.written();
        for (part, wide) in widths(&written, size).skip(first) {
            if left + wide > inner.right() + 1e-4 {
                break;
            }
            shown.push_str(part);
            if (mark_from..mark_to).contains(&index) {
                from = from.or(Some(left));
                to = left + wide;
            }
            left += wide;
            index += 1;
            if index == self.line.caret() {
                caret = left;
            }
        }
        let high = size * 1.3;
        let band = Rect::new(inner.x, inner.y + (inner.h - high) * 0.5, 0.0, high);
        match from.filter(|_| at.look.focused) {
            Some(from) => {
                paint.bar(Rect { x: from, w: to - from, ..band }, mixed(theme.sunken, theme.accent, 0.5));
            }
            None => paint.skip(1),
        }
        paint.up();
        if shown.is_empty() {
            let room = (inner.w / size / CELL) as usize;
            let hint: String = self.shown_if_empty.graphemes(true).take(room).collect();
            letters.color = at.dim(theme.faint);
            paint.text(inner, hint, letters);
        } else {
            // A blank at the begin has to keep its room.
            paint.text(Rect { w: (left - inner.x).max(size * 0.1), ..inner }, shown, letters);
        }
        if at.look.focused {
            paint.bar(Rect { x: caret - theme.ring * 0.25, w: theme.ring * 0.8, ..band }, theme.focus);
        }
        paint.takes_keys(false);
    }

    fn over(&self, at: &At<'_>) -> Option<Rect> {
        (self.is_focused && !at.has_keyboard).then(|| Keys::rect(at, at.rect))
    }

    fn paint_over(&self, at: &At<'_>, paint: &mut Paint<'_>) {
        self.keys.paint(at, Keys::rect(at, at.rect), paint);
    }

    fn pointer(&mut self, touch: &Touch, at: &At<'_>, with: &mut With<M>) -> bool {
        if matches!(touch.deed, Deed::Wheel(_)) {
            return false;
        }
        if self.over(at).is_some() && !at.rect.holds(touch.at) {
            if let Some(tap) = self.keys.pointer(touch, at, Keys::rect(at, at.rect)) {
                self.tap(tap, with);
            }
            return true;
        }
        let place = self.grapheme_at(at.rect, at.theme, touch.at[0]);
        match touch.deed {
            Deed::Press(1) => self.line.go(place, touch.shift),
            Deed::Press(2) if !self.is_secret => {
                self.line.select_word(place.min(self.line.count().saturating_sub(1)))
            }
            Deed::Press(_) => self.line.select_all(),
            Deed::Move if touch.is_held => self.line.go(place, true),
            _ => {}
        }
        true
    }

    fn key(&mut self, stroke: &Stroke, _at: &At<'_>, with: &mut With<M>) -> bool {
        let Stroke { shift, ctrl, .. } = *stroke;
        let changed = match &stroke.key {
            Key::Text(text) => self.line.insert(text, self.len_max),
            Key::Backspace => self.line.delete(self.step(ctrl, true)),
            Key::Delete => self.line.delete(self.step(ctrl, false)),
            Key::Cut => {
                self.copy(with);
                !self.line.selected().is_empty() && self.line.insert("", self.len_max)
            }
            key => {
                match key {
                    Key::Left => self.line.step(self.step(ctrl, true), shift),
                    Key::Right => self.line.step(self.step(ctrl, false), shift),
                    Key::Home => self.line.step(Step::Home, shift),
                    Key::End => self.line.step(Step::End, shift),
                    Key::All => self.line.select_all(),
                    Key::Copy => self.copy(with),
                    Key::Paste => with.paste(),
                    Key::Enter => self.enter(with),
                    // It comes as text too.
                    Key::Space => {}
                    _ => return false,
                }
                false
            }
        };
        if changed {
            self.say_changed(with);
        }
        true
    }

    fn pasted(&mut self, text: &str, with: &mut With<M>) {
        if self.line.insert(text, self.len_max) {
            self.say_changed(with);
        }
    }
}
