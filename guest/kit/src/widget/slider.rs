// SPDX-License-Identifier: AGPL-3.0-or-later
//! A number that is dragged.

use super::{At, Deed, Focus, Key, Stroke, Touch, Widget, With};
use crate::{layout::Rect, paint::Paint, theme::Theme};
use std::ops::RangeInclusive;

/// A knob on a track. It says its value while it is dragged.
pub struct Slider<M> {
    range: [f32; 2],
    step: f32,
    value: f32,
    said: Box<dyn Fn(f32) -> M>,
}

/// A slider over a range, its value, and what it says when that changes. Ends that are no numbers are 0.
pub fn slider<M>(range: RangeInclusive<f32>, value: f32, said: impl Fn(f32) -> M + 'static) -> Slider<M> {
    let [from, to] = [*range.start(), *range.end()].map(|end| if end.is_finite() { end } else { 0.0 });
    let mut slider = Slider { range: [from, to.max(from)], step: 0.0, value: from, said: Box::new(said) };
    slider.set(value);
    slider
}

impl<M> Slider<M> {
    /// Only takes values that are so far apart.
    #[must_use]
    pub fn step(mut self, step: f32) -> Slider<M> {
        self.step = if step.is_finite() { step.max(0.0) } else { 0.0 };
        self.set(self.value);
        self
    }

    /// Its value.
    pub fn value(&self) -> f32 {
        self.value
    }

    /// Puts it to a value within its range, without a word.
    pub fn set(&mut self, value: f32) {
        let [from, to] = self.range;
        let value = if value.is_finite() { value } else { from };
        let value =
            if self.step > 0.0 { from + ((value - from) / self.step).round() * self.step } else { value };
        self.value = value.clamp(from, to);
    }

    fn part(&self) -> f32 {
        let [from, to] = self.range;
        if to > from { (self.value - from) / (to - from) } else { 0.0 }
    }

    fn change(&mut self, value: f32, with: &mut With<M>) {
        let before = self.value;
        self.set(value);
        if self.value != before {
            with.say((self.said)(self.value));
        }
    }
}

/// Where the middle of the knob may be: from, and how far.
fn way(rect: Rect, theme: &Theme) -> [f32; 2] {
    let knob = theme.control * 0.5;
    [rect.x + knob * 0.5, (rect.w - knob).max(1e-4)]
}

impl<M: Clone + 'static> Widget<M> for Slider<M> {
    fn width(&self, theme: &Theme) -> f32 {
        theme.control * 3.0
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
        let [from, long] = way(rect, theme);
        let (middle, high) = (rect.y + rect.h * 0.5, theme.control * 0.16);
        let line = Rect::new(from, middle - high * 0.5, long, high);
        paint.rod(line.inset(-theme.ring * 0.6), at.dim(theme.edge));
        paint.up();
        paint.rod(line, at.dim(theme.sunken));
        paint.up();
        paint.rod(Rect { w: long * self.part(), ..line }, at.dim(theme.accent));
        let size = theme.control * 0.5;
        let knob = Rect::new(from + long * self.part() - size * 0.5, middle - size * 0.5, size, size);
        paint.up();
        match at.look.focused {
            true => paint.disc(knob.inset(-theme.ring), theme.focus),
            false => paint.skip(1),
        }
        paint.up();
        paint.disc(knob, at.surface(theme.accent));
        paint.up();
        paint.disc(knob.inset(size * 0.3), at.dim(theme.on_accent));
    }

    fn pointer(&mut self, touch: &Touch, at: &At<'_>, with: &mut With<M>) -> bool {
        match touch.deed {
            Deed::Press(_) => {}
            Deed::Move if touch.is_held => {}
            deed => return !matches!(deed, Deed::Wheel(_)),
        }
        let [from, long] = way(at.rect, at.theme);
        let part = ((touch.at[0] - from) / long).clamp(0.0, 1.0);
        self.change(self.range[0] + part * (self.range[1] - self.range[0]), with);
        true
    }

    fn key(&mut self, stroke: &Stroke, _at: &At<'_>, with: &mut With<M>) -> bool {
        let [from, to] = self.range;
        let step = if self.step > 0.0 { self.step } else { (to - from) * 0.02 };
        let value = match stroke.key {
            Key::Left | Key::Down => self.value - step,
            Key::Right | Key::Up => self.value + step,
            Key::PageDown => self.value - 10.0 * step,
            Key::PageUp => self.value + 10.0 * step,
            Key::Home => from,
            Key::End => to,
            _ => return false,
        };
        self.change(value, with);
        true
    }
}
