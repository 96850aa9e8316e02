// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is pressed: buttons, and switches that stay.

use super::{At, Deed, Focus, Key, Stroke, Touch, Widget, With};
use crate::{
    layout::Rect,
    measure,
    paint::{Letters, Paint},
    theme::Theme,
};

/// Says something when it is pressed and let go, or by Enter and Space.
pub struct Button<M> {
    text: String,
    message: M,
    is_main: bool,
}

/// A button, and what it says.
pub fn button<M>(text: impl Into<String>, message: M) -> Button<M> {
    Button { text: text.into(), message, is_main: false }
}

impl<M> Button<M> {
    /// In the colour that stands out: what one most likely wants.
    #[must_use]
    pub fn main(self) -> Button<M> {
        Button { is_main: true, ..self }
    }

    /// Writes something else on it.
    pub fn set(&mut self, text: impl Into<String>) {
        self.text = text.into();
    }
}

fn is_pressed(stroke: &Stroke) -> bool {
    matches!(stroke.key, Key::Enter | Key::Space)
}

impl<M: Clone + 'static> Widget<M> for Button<M> {
    fn width(&self, theme: &Theme) -> f32 {
        (measure::line(theme, &self.text, self.is_main) * theme.text + theme.control * 0.8).max(theme.control)
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
        let (color, ink) =
            if self.is_main { (theme.accent, theme.on_accent) } else { (theme.raised, theme.ink) };
        paint.ring(at.rect, theme.radius, at.look.focused);
        paint.plate(at.rect, theme.radius, at.surface(color));
        paint.up();
        let room = (at.rect.w - theme.control * 0.3).max(0.0);
        let text = measure::elided(theme, &self.text, self.is_main, room / theme.text);
        // Dark letters on what is bright look thinner.
        paint.text(at.rect, text, Letters::new(theme.text, at.dim(ink)).centered().bold(self.is_main));
    }

    fn pointer(&mut self, touch: &Touch, _at: &At<'_>, with: &mut With<M>) -> bool {
        if touch.deed == Deed::Release(true) {
            with.say(self.message.clone());
        }
        !matches!(touch.deed, Deed::Wheel(_))
    }

    fn key(&mut self, stroke: &Stroke, _at: &At<'_>, with: &mut With<M>) -> bool {
        let pressed = is_pressed(stroke);
        if pressed {
            with.say(self.message.clone());
        }
        pressed
    }
}

/// A switch that is on or off, with writing at its right.
pub struct Toggle<M> {
    text: String,
    is_on: bool,
    said: Box<dyn Fn(bool) -> M>,
}

/// A switch, whether it is on, and what it says then.
pub fn toggle<M>(text: impl Into<String>, is_on: bool, said: impl Fn(bool) -> M + 'static) -> Toggle<M> {
    Toggle { text: text.into(), is_on, said: Box::new(said) }
}

impl<M> Toggle<M> {
    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Puts it on or off, without a word.
    pub fn set(&mut self, on: bool) {
        self.is_on = on;
    }

    fn turn(&mut self, with: &mut With<M>) {
        self.is_on = !self.is_on;
        with.say((self.said)(self.is_on));
    }
}

impl<M: Clone + 'static> Widget<M> for Toggle<M> {
    fn width(&self, theme: &Theme) -> f32 {
        let text = measure::line(theme, &self.text, false) * theme.text;
        theme.control + if text > 0.0 { theme.gap * 0.75 + text } else { 0.0 }
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
        let (theme, rect) = (at.theme, at.rect);
        let high = theme.control * 0.52;
        let track = Rect::new(rect.x, rect.y + (rect.h - high) * 0.5, theme.control.min(rect.w), high);
        paint.ring(track, high * 0.5, at.look.focused);
        let (color, knob) = match self.is_on {
            true => (at.surface(theme.accent), theme.on_accent),
            false => (at.surface(theme.sunken), theme.faint),
        };
        paint.framed(track, high * 0.5, color, at.dim(if self.is_on { theme.accent } else { theme.edge }));
        paint.up();
        let inner = track.inset(high * 0.2);
        let x = if self.is_on { inner.right() - inner.h } else { inner.x };
        paint.disc(Rect { x, w: inner.h, ..inner }, at.dim(knob));
        let from = track.right() + theme.gap * 0.75;
        let text = Rect { x: from, w: (rect.right() - from).max(0.0), ..rect };
        let writing = measure::elided(theme, &self.text, false, text.w / theme.text);
        paint.text(text, writing, Letters::new(theme.text, at.dim(theme.ink)));
    }

    fn pointer(&mut self, touch: &Touch, _at: &At<'_>, with: &mut With<M>) -> bool {
        if touch.deed == Deed::Release(true) {
            self.turn(with);
        }
        !matches!(touch.deed, Deed::Wheel(_))
    }

    fn key(&mut self, stroke: &Stroke, _at: &At<'_>, with: &mut With<M>) -> bool {
        let wanted = match stroke.key {
            Key::Left => self.is_on,
            Key::Right => !self.is_on,
            _ if is_pressed(stroke) => true,
            _ => return false,
        };
        if wanted {
            self.turn(with);
        }
        true
    }
}
