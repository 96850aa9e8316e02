// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lines of which one is chosen.

use super::{
    At, Deed, Focus, Key, Stroke, Touch, Widget, With,
    group::{bar, dragged, paint_bar, thumb, wheel_rows},
};
use crate::{
    layout::{Rect, Window},
    measure,
    paint::{Letters, Paint},
    theme::{Theme, mixed},
};

/// Most lines of a list or a menu; those after them are left out.
pub const LINES_MAX: usize = 10_000;

/// Lines of text below each other, of which so many are in view. Enter or a double press picks the chosen one.
pub struct List<M> {
    lines: Vec<String>,
    rows: usize,
    first: usize,
    chosen: Option<usize>,
    hot: Option<usize>,
    taken: Option<f32>,
    said: Box<dyn Fn(usize) -> M>,
    picked: Option<Box<dyn Fn(usize) -> M>>,
}

/// A list with so many rows in view, at least one, and what it says when a line is chosen.
pub fn list<M>(
    lines: impl IntoIterator<Item: Into<String>>,
    rows: usize,
    said: impl Fn(usize) -> M + 'static,
) -> List<M> {
    let mut list = List {
        lines: Vec::new(),
        rows: rows.max(1),
        first: 0,
        chosen: None,
        hot: None,
        taken: None,
        said: Box::new(said),
        picked: None,
    };
    list.set(lines);
    list
}

impl<M> List<M> {
    /// What it says when a line is picked.
    #[must_use]
    pub fn on_pick(mut self, picked: impl Fn(usize) -> M + 'static) -> List<M> {
        self.picked = Some(Box::new(picked));
        self
    }

    /// Gives it other lines. What was chosen stays if it is still there.
    pub fn set(&mut self, lines: impl IntoIterator<Item: Into<String>>) {
        self.lines = lines.into_iter().take(LINES_MAX).map(Into::into).collect();
        self.chosen = self.chosen.filter(|chosen| *chosen < self.lines.len());
        self.hot = None;
        self.go(self.first as isize);
    }

    /// Which line is chosen.
    pub fn chosen(&self) -> Option<usize> {
        self.chosen
    }

    /// The lines.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Chooses a line, without a word, and shows it.
    pub fn choose(&mut self, line: Option<usize>) {
        self.chosen = line.filter(|line| *line < self.lines.len());
        if let Some(chosen) = self.chosen {
            let shown = self.window().shown.max(1);
            let least = (chosen + 1).saturating_sub(shown);
            self.go(self.first.clamp(least, chosen) as isize);
        }
    }

    fn window(&self) -> Window {
        Window { first: self.first, shown: self.rows.min(self.lines.len()), total: self.lines.len() }
    }

    fn go(&mut self, to: isize) -> bool {
        let first = to.clamp(0, self.window().last_first() as isize) as usize;
        std::mem::replace(&mut self.first, first) != first
    }

    fn line_at(&self, rect: Rect, theme: &Theme, [x, y]: [f32; 2]) -> Option<usize> {
        let inner = rect.inset(theme.ring * 2.0);
        let row = ((y - inner.y) / (inner.h / self.rows as f32)).floor();
        let is_bar = self.window().last_first() > 0 && x >= bar(rect, theme).x - theme.gap * 0.5;
        if !inner.holds([x, y]) || is_bar || row < 0.0 {
            return None;
        }
        Some(self.first + row as usize).filter(|line| *line < self.lines.len())
    }

    fn change(&mut self, line: usize, with: &mut With<M>) {
        let before = self.chosen;
        self.choose(Some(line));
        if let Some(chosen) = self.chosen.filter(|_| self.chosen != before) {
            with.say((self.said)(chosen));
        }
    }

    fn pick(&self, with: &mut With<M>) {
        if let (Some(picked), Some(chosen)) = (&self.picked, self.chosen) {
            with.say(picked(chosen));
        }
    }
}

/// Height of a row.
pub(crate) fn row_height(theme: &Theme) -> f32 {
    theme.control * 0.78
}

impl<M: Clone + 'static> Widget<M> for List<M> {
    fn width(&self, theme: &Theme) -> f32 {
        let widest =
            self.lines.iter().take(64).map(|line| measure::line(theme, line, false)).fold(4.0, f32::max);
        widest.min(30.0) * theme.text + 3.0 * theme.gap
    }

    fn height(&self, theme: &Theme, _width: f32) -> f32 {
        row_height(theme) * self.rows as f32 + 4.0 * theme.ring
    }

    fn touches(&self) -> bool {
        true
    }

    fn focus(&self) -> Focus {
        Focus::Keys
    }

    fn paint(&self, at: &At<'_>, paint: &mut Paint<'_>) {
        let theme = at.theme;
        paint.ring(at.rect, theme.radius, at.look.focused);
        paint.framed(at.rect, theme.radius, at.dim(theme.sunken), at.dim(theme.edge));
        paint.up();
        let inner = at.rect.inset(theme.ring * 2.0);
        let high = inner.h / self.rows as f32;
        let window = self.window();
        let bar_room = if window.last_first() > 0 { theme.gap } else { 0.0 };
        let row = |line: usize| {
            let y = inner.y + high * (line - self.first) as f32;
            Rect { y, h: high, w: inner.w - bar_room, ..inner }
        };
        let in_view = self.first..self.first + window.shown;
        for (line, color) in [
            (self.hot.filter(|hot| Some(*hot) != self.chosen), mixed(theme.sunken, theme.ink, theme.hover)),
            (self.chosen, theme.accent),
        ] {
            match line.filter(|line| in_view.contains(line)) {
                Some(line) => paint.bar(row(line), at.dim(color)),
                None => paint.skip(1),
            }
        }
        paint.up();
        for line in in_view {
            let ink = if self.chosen == Some(line) { theme.on_accent } else { theme.ink };
            let rect = row(line);
            let rect = Rect { x: rect.x + theme.gap * 0.5, w: (rect.w - theme.gap).max(0.0), ..rect };
            // Dark letters on what is bright look thinner.
            let bold = self.chosen == Some(line);
            let text = measure::elided(theme, &self.lines[line], bold, rect.w / theme.text);
            paint.text(rect, text, Letters::new(theme.text, at.dim(ink)).bold(bold));
        }
        paint_bar(at.rect, &window, at, self.taken.is_some(), paint);
    }

    fn pointer(&mut self, touch: &Touch, at: &At<'_>, with: &mut With<M>) -> bool {
        let window = self.window();
        let line = self.line_at(at.rect, at.theme, touch.at);
        match touch.deed {
            Deed::Wheel(up) => {
                self.hot = None;
                return self.go(window.first as isize - wheel_rows(up));
            }
            Deed::Press(times) => match line {
                Some(line) => {
                    self.change(line, with);
                    if times == 2 {
                        self.pick(with);
                    }
                }
                None if window.last_first() > 0 => {
                    let bar = bar(at.rect, at.theme);
                    let thumb = thumb(bar, &window);
                    let inside = (thumb.y..thumb.bottom()).contains(&touch.at[1]);
                    let taken = if inside { touch.at[1] - thumb.y } else { thumb.h * 0.5 };
                    self.taken = Some(taken);
                    self.go(dragged(bar, &window, taken, touch.at[1]));
                }
                None => {}
            },
            Deed::Move => match self.taken.filter(|_| touch.is_held) {
                Some(taken) => {
                    self.go(dragged(bar(at.rect, at.theme), &window, taken, touch.at[1]));
                }
                None => self.hot = line,
            },
            Deed::Release(_) | Deed::Cancel => self.taken = None,
            Deed::Out => self.hot = None,
        }
        true
    }

    fn key(&mut self, stroke: &Stroke, _at: &At<'_>, with: &mut With<M>) -> bool {
        let Some(last) = self.lines.len().checked_sub(1) else { return false };
        let (now, page) = (self.chosen, self.rows);
        let to = match stroke.key {
            Key::Up => now.map_or(last, |now| now.saturating_sub(1)),
            Key::Down => now.map_or(0, |now| (now + 1).min(last)),
            Key::PageUp => now.map_or(0, |now| now.saturating_sub(page)),
            Key::PageDown => now.map_or(0, |now| (now + page).min(last)),
            Key::Home => 0,
            Key::End => last,
            Key::Enter => {
                self.pick(with);
                return self.picked.is_some() && self.chosen.is_some();
            }
            _ => return false,
        };
        self.change(to, with);
        true
    }
}
