// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lines that come up below a button.

use super::{
    At, Deed, Focus, Key, Stroke, Touch, Widget, With,
    group::{paint_bar, wheel_rows},
    list::{LINES_MAX, row_height},
};
use crate::{
    layout::{Rect, Window},
    measure,
    paint::{Letters, Paint},
    theme::{Theme, mixed},
};
use hearth_sdk::abi::scene::Align;

/// Most lines that are in view; the wheel and the keys show the others.
const ROWS_MAX: usize = 8;

/// A button that opens lines to choose from. It shows what was chosen last, or a title of its own. The lines go when one is
/// chosen, by Escape, or when something else is pressed.
pub struct Menu<M> {
    title: Option<String>,
    lines: Vec<String>,
    chosen: Option<usize>,
    hot: Option<usize>,
    first: usize,
    is_open: bool,
    said: Box<dyn Fn(usize) -> M>,
}

/// A menu, which line is chosen at first, and what it says when one is chosen.
pub fn menu<M>(
    lines: impl IntoIterator<Item: Into<String>>,
    chosen: impl Into<Option<usize>>,
    said: impl Fn(usize) -> M + 'static,
) -> Menu<M> {
    let lines: Vec<String> = lines.into_iter().take(LINES_MAX).map(Into::into).collect();
    let chosen = chosen.into().filter(|chosen| *chosen < lines.len());
    Menu { title: None, lines, chosen, hot: None, first: 0, is_open: false, said: Box::new(said) }
}

impl<M> Menu<M> {
    /// Says this on its button, whatever is chosen: for lines that do something.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Menu<M> {
        self.title = Some(title.into());
        self
    }

    /// Which line is chosen.
    pub fn chosen(&self) -> Option<usize> {
        self.chosen
    }

    /// Chooses a line, without a word.
    pub fn choose(&mut self, line: Option<usize>) {
        self.chosen = line.filter(|line| *line < self.lines.len());
    }

    /// Whether its lines are up.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    fn set_open(&mut self, on: bool) {
        self.is_open = on && !self.lines.is_empty();
        self.hot = if self.is_open { self.chosen } else { None };
        if self.is_open {
            self.reveal_line(self.chosen.unwrap_or(0));
        }
    }

    fn window(&self) -> Window {
        Window { first: self.first, shown: self.lines.len().min(ROWS_MAX), total: self.lines.len() }
    }

    fn reveal_line(&mut self, line: usize) {
        let least = (line + 1).saturating_sub(self.window().shown.max(1));
        self.first = self.first.clamp(least, line.max(least));
    }

    fn take(&mut self, line: usize, with: &mut With<M>) {
        self.set_open(false);
        if line < self.lines.len() {
            self.chosen = Some(line);
            with.say((self.said)(line));
        }
    }

    fn widest<'a>(lines: impl Iterator<Item = &'a String>, theme: &Theme) -> f32 {
        lines.take(256).map(|line| measure::line(theme, line, false)).fold(2.0, f32::max).min(24.0)
            * theme.text
    }

    /// Below its button, or above it where more of the interface is above.
    fn lines_rect(&self, at: &At<'_>) -> Rect {
        let theme = at.theme;
        let high = row_height(theme) * self.window().shown as f32 + theme.gap;
        let wide = at.rect.w.max(Self::widest(self.lines.iter(), theme) + 3.0 * theme.gap);
        let below = at.rect.bottom() + theme.gap * 0.35;
        let above = at.rect.y - theme.gap * 0.35 - high;
        let fits_below = below + high <= at.whole[1] || at.rect.y < at.whole[1] - at.rect.bottom();
        Rect::new(at.rect.x, if fits_below { below } else { above }, wide, high)
    }

    fn line_at(&self, rect: Rect, theme: &Theme, point: [f32; 2]) -> Option<usize> {
        let inner = rect.inset(theme.gap * 0.5);
        let row = ((point[1] - inner.y) / row_height(theme)).floor();
        if !rect.holds(point) || row < 0.0 || row as usize >= self.window().shown {
            return None;
        }
        Some(self.first + row as usize)
    }
}

impl<M: Clone + 'static> Widget<M> for Menu<M> {
    fn width(&self, theme: &Theme) -> f32 {
        let wide = match &self.title {
            Some(title) => Self::widest([title].into_iter(), theme),
            None => Self::widest(self.lines.iter(), theme),
        };
        wide + theme.control * 1.1
    }

    fn height(&self, theme: &Theme, _width: f32) -> f32 {
        theme.control
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
        paint.plate(at.rect, theme.radius, at.surface(theme.raised));
        paint.up();
        let chosen = self.chosen.and_then(|chosen| self.lines.get(chosen)).map_or("–", String::as_str);
        let text = self.title.as_deref().unwrap_or(chosen);
        let rect =
            Rect { x: at.rect.x + theme.control * 0.32, w: at.rect.w - theme.control * 1.0, ..at.rect };
        let letters = Letters::new(theme.text, at.dim(theme.ink));
        paint.text(rect, measure::elided(theme, text, false, rect.w / theme.text), letters);
        let arrow = Rect { w: at.rect.w - theme.control * 0.32, ..at.rect };
        let up = if self.is_open { "▴" } else { "▾" };
        paint.text(arrow, up, Letters { align: Align::Right, ..letters });
    }

    fn over(&self, at: &At<'_>) -> Option<Rect> {
        self.is_open.then(|| self.lines_rect(at))
    }

    fn paint_over(&self, at: &At<'_>, paint: &mut Paint<'_>) {
        let (theme, rect) = (at.theme, self.lines_rect(at));
        paint.board(rect, theme.radius, mixed(theme.ground, theme.raised, 0.5));
        let inner = rect.inset(theme.gap * 0.5);
        let high = row_height(theme);
        let row = |line: usize| Rect { y: inner.y + high * (line - self.first) as f32, h: high, ..inner };
        let window = self.window();
        let in_view = self.first..self.first + window.shown;
        match self.hot.filter(|hot| in_view.contains(hot)) {
            Some(hot) => paint.plate(row(hot), theme.radius * 0.6, theme.accent),
            None => paint.skip(1),
        }
        paint.up();
        for line in in_view {
            let ink = if self.hot == Some(line) { theme.on_accent } else { theme.ink };
            let place = row(line);
            let place = Rect { x: place.x + theme.gap * 0.5, w: place.w - theme.gap, ..place };
            let bold = self.hot == Some(line);
            let text = measure::elided(theme, &self.lines[line], bold, place.w / theme.text);
            paint.text(place, text, Letters::new(theme.text, ink).bold(bold));
        }
        paint_bar(rect, &window, at, false, paint);
    }

    fn pointer(&mut self, touch: &Touch, at: &At<'_>, with: &mut With<M>) -> bool {
        let line = if self.is_open { self.line_at(self.lines_rect(at), at.theme, touch.at) } else { None };
        match touch.deed {
            Deed::Press(_) if line.is_none() && at.rect.holds(touch.at) => self.set_open(!self.is_open),
            // Pressed on the button and let go on a line does too.
            Deed::Release(_) => {
                if let Some(line) = line {
                    self.take(line, with);
                }
            }
            Deed::Move if line.is_some() => self.hot = line,
            Deed::Wheel(up) if self.is_open => {
                let last = self.window().last_first() as isize;
                self.first = (self.first as isize - wheel_rows(up)).clamp(0, last) as usize;
                self.hot = None;
            }
            Deed::Wheel(_) => return false,
            _ => {}
        }
        true
    }

    fn key(&mut self, stroke: &Stroke, _at: &At<'_>, with: &mut With<M>) -> bool {
        let Some(last) = self.lines.len().checked_sub(1) else { return false };
        if !self.is_open {
            let opens = matches!(stroke.key, Key::Enter | Key::Space | Key::Down | Key::Up);
            if opens {
                self.set_open(true);
                self.hot = self.hot.or(Some(0));
            }
            return opens;
        }
        let hot = self.hot.unwrap_or(0);
        match stroke.key {
            Key::Up => self.hot = Some(hot.saturating_sub(1)),
            Key::Down => self.hot = Some((hot + 1).min(last)),
            Key::Home | Key::PageUp => self.hot = Some(0),
            Key::End | Key::PageDown => self.hot = Some(last),
            Key::Enter | Key::Space => self.take(hot, with),
            Key::Escape => self.set_open(false),
            _ => return false,
        }
        if let Some(hot) = self.hot {
            self.reveal_line(hot);
        }
        true
    }

    fn focused(&mut self, on: bool) {
        if !on {
            self.set_open(false);
        }
    }

    fn dismiss(&mut self) {
        self.set_open(false);
    }
}
