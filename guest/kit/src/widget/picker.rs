// SPDX-License-Identifier: AGPL-3.0-or-later
//! A colour, chosen by the eye, by its number, or from some that are there.

use super::{
    At, Deed, Focus, Key, Look, Stroke, Touch, Widget, With,
    field::{Field, field},
};
use crate::{
    color::{self, Hsv, color_of, web_color},
    layout::Rect,
    paint::Paint,
    theme::{Color, Theme},
};
use hearth_sdk::scene::srgb;

/// What is there to begin with.
const SWATCHES: [u32; 8] = [0xffffff, 0x808080, 0x202020, 0xe04040, 0xf0a030, 0x50b050, 0x3080e0, 0xa060d0];
/// Most swatches.
const SWATCHES_MAX: usize = 16;

/// The parts, in the order in which Tab goes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Square,
    Hue,
    Hex,
    Swatches,
}

const PARTS: [Part; 4] = [Part::Square, Part::Hue, Part::Hex, Part::Swatches];

/// A square of all shades of a hue, a strip of all hues, the number of the colour as on web pages, and swatches.
pub struct Picker<M> {
    color: Hsv,
    hex: Field<Option<Color>>,
    swatches: Vec<Color>,
    /// What has the keys.
    part: Part,
    /// What the pointer has hold of.
    held: Option<Part>,
    said: Box<dyn Fn(Color) -> M>,
}

/// A picker of a linear colour, and what it says when that changes.
pub fn picker<M>(color: Color, said: impl Fn(Color) -> M + 'static) -> Picker<M> {
    let hex = field(web_color(color)).len_max(9);
    Picker {
        color: Hsv::of(color, 0.0),
        hex: hex.on_change(|text| color_of(&text)).on_enter(|text| color_of(&text)),
        swatches: SWATCHES.map(srgb).to_vec(),
        part: Part::Square,
        held: None,
        said: Box::new(said),
    }
}

/// Where the parts are.
struct Places {
    square: Rect,
    hue: Rect,
    now: Rect,
    hex: Rect,
    swatches: Rect,
}

fn places(rect: Rect, theme: &Theme) -> Places {
    let gap = theme.gap * 0.75;
    let small = theme.control * 0.62;
    let high = (rect.h - theme.control - small - 2.0 * gap).max(0.0);
    let square = Rect::new(rect.x, rect.y, (rect.w - small - gap).max(0.0), high);
    let below = square.bottom() + gap;
    let now = Rect::new(rect.x, below, theme.control * 1.4, theme.control);
    let hex = Rect::new(now.right() + gap, below, (rect.right() - now.right() - gap).max(0.0), theme.control);
    Places {
        square,
        hue: Rect::new(rect.right() - small, rect.y, small, high),
        now,
        hex,
        swatches: Rect::new(rect.x, hex.bottom() + gap, rect.w, small),
    }
}

impl<M> Picker<M> {
    /// Offers these colours, at most 16.
    #[must_use]
    pub fn swatches(mut self, colors: impl IntoIterator<Item = Color>) -> Picker<M> {
        self.swatches = colors.into_iter().take(SWATCHES_MAX).collect();
        self
    }

    /// The linear colour.
    pub fn color(&self) -> Color {
        self.color.color()
    }

    /// Sets the colour, without a word.
    pub fn set(&mut self, color: Color) {
        self.color = Hsv::of(color, self.color.hue);
        self.hex.set(web_color(color));
    }

    fn change(&mut self, to: Hsv, with: &mut With<M>) {
        let before = web_color(self.color.color());
        self.color = to;
        let color = to.color();
        self.hex.set(web_color(color));
        if web_color(color) != before {
            with.say((self.said)(color));
        }
    }

    /// Lets the field do something, and takes the colour that it says.
    fn at_hex<R>(
        &mut self,
        with: &mut With<M>,
        deed: impl FnOnce(&mut Field<Option<Color>>, &mut With<Option<Color>>) -> R,
    ) -> R {
        let mut own = With::default();
        let result = deed(&mut self.hex, &mut own);
        with.copy = own.copy.or(with.copy.take());
        with.paste |= own.paste;
        with.leave |= own.leave;
        if let Some(color) = own.said.into_iter().flatten().last() {
            let before = web_color(self.color.color());
            // The field keeps what was typed: it is not written over under the hands.
            self.color = Hsv::of(color, self.color.hue);
            if web_color(color) != before {
                with.say((self.said)(color));
            }
        }
        result
    }

    fn swatch(&self, places: &Places, index: usize) -> Rect {
        let wide = places.swatches.w / self.swatches.len().max(1) as f32;
        let rect = Rect { x: places.swatches.x + wide * index as f32, w: wide, ..places.swatches };
        let side = rect.w.min(rect.h) * 0.9;
        let [x, y] = rect.middle();
        Rect::new(x - side * 0.5, y - side * 0.5, side, side)
    }

    fn drag(&mut self, part: Part, places: &Places, at: [f32; 2], with: &mut With<M>) {
        let within = |rect: Rect| {
            let x = (at[0] - rect.x) / rect.w.max(1e-4);
            let y = (at[1] - rect.y) / rect.h.max(1e-4);
            [x.clamp(0.0, 1.0), y.clamp(0.0, 1.0)]
        };
        match part {
            Part::Square => {
                let [strength, dark] = within(places.square);
                self.change(Hsv { strength, brightness: 1.0 - dark, ..self.color }, with);
            }
            // The lowest hue is red again, like the highest: it stops short of it so that the knob stays.
            Part::Hue => self.change(Hsv { hue: within(places.hue)[1].min(0.999), ..self.color }, with),
            Part::Hex | Part::Swatches => {}
        }
    }

    fn hex_at<'a>(&self, at: &At<'a>) -> At<'a> {
        let focused = at.look.focused && self.part == Part::Hex;
        At { rect: places(at.rect, at.theme).hex, look: Look { over: false, focused, ..at.look }, ..*at }
    }

    fn go(&mut self, to: Part) {
        self.part = to;
        Widget::<Option<Color>>::focused(&mut self.hex, to == Part::Hex);
    }
}

impl<M: Clone + 'static> Widget<M> for Picker<M> {
    fn width(&self, theme: &Theme) -> f32 {
        theme.control * 6.0
    }

    fn height(&self, theme: &Theme, _width: f32) -> f32 {
        theme.control * 4.9 + theme.gap * 1.5
    }

    fn touches(&self) -> bool {
        true
    }

    fn focus(&self) -> Focus {
        if self.part == Part::Hex { Focus::Text } else { Focus::Keys }
    }

    fn focused(&mut self, on: bool) {
        let part = if on { self.part } else { Part::Square };
        self.go(part);
        if !on {
            self.hex.set(web_color(self.color.color()));
        }
    }

    fn paint(&self, at: &At<'_>, paint: &mut Paint<'_>) {
        let theme = at.theme;
        let places = places(at.rect, theme);
        let has = |part| at.look.focused && self.part == part;
        paint.ring(places.square, 0.0, has(Part::Square));
        paint.ring(places.hue, 0.0, has(Part::Hue));
        paint.shades(places.square, at.dim(color::hue(self.color.hue)));
        paint.hues(places.hue);
        paint.plate(places.now, theme.radius, at.dim(theme.edge));
        paint.up();
        let now = self.color.color();
        paint.plate(places.now.inset(theme.ring), (theme.radius - theme.ring).max(0.0), now);
        let size = theme.control * 0.26;
        let square = places.square;
        let x = square.x + square.w * self.color.strength;
        let y = square.y + square.h * (1.0 - self.color.brightness);
        let knob = Rect::new(x - size * 0.5, y - size * 0.5, size, size);
        let line = places.hue.y + places.hue.h * self.color.hue;
        let mark = Rect::new(places.hue.x, line - size * 0.25, places.hue.w, size * 0.5).inset(-theme.ring);
        // Black about white is seen on every colour.
        for (inset, color) in [(0.0, [0.0; 3]), (0.14, [1.0; 3])] {
            paint.disc(knob.inset(size * inset), color);
            paint.bar(mark.inset(size * inset), color);
            paint.up();
        }
        paint.disc(knob.inset(size * 0.26), now);
        paint.bar(mark.inset(size * 0.26), color::hue(self.color.hue));
        for (index, color) in self.swatches.iter().enumerate() {
            let rect = self.swatch(&places, index);
            let chosen = web_color(*color) == web_color(now);
            let edge = match (chosen, has(Part::Swatches)) {
                (true, true) => theme.focus,
                (true, false) => theme.ink,
                _ => theme.edge,
            };
            paint.disc(rect, at.dim(edge));
        }
        match has(Part::Swatches) {
            true => {
                let line = Rect { y: places.swatches.bottom(), h: theme.ring, ..places.swatches };
                paint.bar(line, theme.focus);
            }
            false => paint.skip(1),
        }
        paint.up();
        for (index, color) in self.swatches.iter().enumerate() {
            paint.disc(self.swatch(&places, index).inset(theme.ring), at.dim(*color));
        }
        Widget::<Option<Color>>::paint(&self.hex, &self.hex_at(at), paint);
    }

    fn over(&self, at: &At<'_>) -> Option<Rect> {
        Widget::<Option<Color>>::over(&self.hex, &self.hex_at(at))
    }

    fn paint_over(&self, at: &At<'_>, paint: &mut Paint<'_>) {
        Widget::<Option<Color>>::paint_over(&self.hex, &self.hex_at(at), paint);
    }

    fn pointer(&mut self, touch: &Touch, at: &At<'_>, with: &mut With<M>) -> bool {
        let places = places(at.rect, at.theme);
        let is_over = self.over(at).is_some_and(|over| over.holds(touch.at) && !at.rect.holds(touch.at));
        if let Deed::Press(_) = touch.deed {
            let part = match touch.at {
                _ if is_over => Part::Hex,
                point if places.square.holds(point) => Part::Square,
                point if places.hue.inset(-at.theme.gap * 0.25).holds(point) => Part::Hue,
                point if places.hex.holds(point) => Part::Hex,
                point => {
                    let hit = (0..self.swatches.len()).find(|at| self.swatch(&places, *at).holds(point));
                    if let Some(color) = hit.and_then(|hit| self.swatches.get(hit)) {
                        self.change(Hsv::of(*color, self.color.hue), with);
                    }
                    Part::Swatches
                }
            };
            self.held = Some(part);
            self.go(part);
        }
        if is_over || self.held == Some(Part::Hex) {
            let hex_at = self.hex_at(at);
            self.at_hex(with, |hex, own| hex.pointer(touch, &hex_at, own));
        } else if let Some(part) = self.held.filter(|_| touch.is_held) {
            self.drag(part, &places, touch.at, with);
        }
        if matches!(touch.deed, Deed::Release(_) | Deed::Cancel) {
            self.held = None;
        }
        !matches!(touch.deed, Deed::Wheel(_))
    }

    fn key(&mut self, stroke: &Stroke, at: &At<'_>, with: &mut With<M>) -> bool {
        if stroke.key == Key::Tab {
            let now = PARTS.iter().position(|part| *part == self.part).unwrap_or(0);
            let next = if stroke.shift { now.checked_sub(1) } else { Some(now + 1) };
            let Some(part) = next.and_then(|next| PARTS.get(next)) else { return false };
            self.go(*part);
            return true;
        }
        let far = if stroke.shift { 0.1 } else { 0.01 };
        let by = match stroke.key {
            Key::Left => [-far, 0.0],
            Key::Right => [far, 0.0],
            Key::Up => [0.0, far],
            Key::Down => [0.0, -far],
            _ => [0.0; 2],
        };
        let Hsv { hue, strength, brightness } = self.color;
        match self.part {
            Part::Hex => {
                let hex_at = self.hex_at(at);
                return self.at_hex(with, |hex, own| hex.key(stroke, &hex_at, own));
            }
            _ if by == [0.0; 2] => return false,
            Part::Square => {
                let strength = (strength + by[0]).clamp(0.0, 1.0);
                self.change(Hsv { hue, strength, brightness: (brightness + by[1]).clamp(0.0, 1.0) }, with);
            }
            Part::Hue => self.change(Hsv { hue: (hue + by[0] - by[1]).rem_euclid(1.0), ..self.color }, with),
            Part::Swatches => {
                let Some(last) = self.swatches.len().checked_sub(1) else { return true };
                let number = web_color(self.color.color());
                let now = self.swatches.iter().position(|color| web_color(*color) == number);
                let back = by[0] + by[1] < 0.0;
                let to = match now {
                    Some(now) if back => now.saturating_sub(1),
                    Some(now) => (now + 1).min(last),
                    None => 0,
                };
                if let Some(color) = self.swatches.get(to) {
                    self.change(Hsv::of(*color, hue), with);
                }
            }
        }
        true
    }

    fn pasted(&mut self, text: &str, with: &mut With<M>) {
        self.at_hex(with, |hex, own| hex.pasted(text, own));
    }
}
