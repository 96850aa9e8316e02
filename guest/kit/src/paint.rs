// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a widget looks like: a list of plates and writing, made anew whenever something has changed.
//!
//! Only what differs from the list before is sent to the scene (see [`crate::shown`]), so that a widget never has to
//! think of what was there.

use crate::{
    layout::Rect,
    theme::{Color, Theme},
};
use hearth_sdk::abi::scene::{Align, Face};

/// Metres from one level to the next, towards the viewer: enough that none shines through another.
pub(crate) const LEVEL: f32 = 0.0008;
/// The level of what stands over all else: menus, keys, toasts.
pub(crate) const OVER: f32 = 24.0;

/// How something is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Letters {
    /// Height of the font in metres.
    pub size: f32,
    /// Linear colour.
    pub color: Color,
    /// At which side of its rectangle it stands.
    pub align: Align,
    /// The shapes of the letters; `None` for those of the theme.
    pub face: Option<Face>,
    /// Heavier strokes.
    pub bold: bool,
}

impl Letters {
    /// In the face of the theme, from the left.
    pub fn new(size: f32, color: Color) -> Letters {
        Letters { size, color, align: Align::Left, face: None, bold: false }
    }

    /// In the middle.
    #[must_use]
    pub fn centered(self) -> Letters {
        Letters { align: Align::Center, ..self }
    }

    /// All letters of one width.
    #[must_use]
    pub fn mono(self) -> Letters {
        Letters { face: Some(Face::Mono), ..self }
    }

    /// With heavier strokes, or not.
    #[must_use]
    pub fn bold(self, bold: bool) -> Letters {
        Letters { bold, ..self }
    }
}

/// What one entity shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// A plate with round corners, of this thickness.
    Plate { radius: f32, depth: f32, color: Color },
    /// A rectangle, which may change its size at no cost.
    Bar(Color),
    /// A disc, or an ellipse.
    Disc(Color),
    /// Writing.
    Text(String, Letters),
    /// All hues, from the top to the bottom.
    Hues,
    /// White at the left that becomes clear to the right.
    White,
    /// Black at the bottom that becomes clear to the top.
    Black,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) rect: Rect,
    pub(crate) level: f32,
    pub(crate) what: What,
    /// A press on it gives the interface the user's keyboard.
    pub(crate) takes_keys: bool,
}

/// Takes what a widget looks like.
#[derive(Debug)]
pub struct Paint<'a> {
    theme: &'a Theme,
    items: Vec<(usize, Item)>,
    level: f32,
    /// The slot of the next thing. What is not there now has one too, so that the others keep theirs.
    slot: usize,
    takes_keys: bool,
}

impl<'a> Paint<'a> {
    pub(crate) fn new(theme: &'a Theme, level: f32) -> Paint<'a> {
        Paint { theme, items: Vec::new(), level, slot: 0, takes_keys: false }
    }

    /// What was painted, and in which slot.
    pub(crate) fn into_items(self) -> Vec<(usize, Item)> {
        self.items
    }

    /// The colours and sizes.
    pub fn theme(&self) -> &'a Theme {
        self.theme
    }

    /// What follows lies on what was painted so far.
    pub fn up(&mut self) {
        self.level += 1.0;
    }

    /// Whether what follows takes keys: who presses it gives the interface their keyboard, whichever peer they are on. For
    /// what is written in.
    pub fn takes_keys(&mut self, on: bool) {
        self.takes_keys = on;
    }

    fn item(&mut self, rect: Rect, what: What) {
        let slot = self.slot;
        self.slot += 1;
        // What has no size is not seen, and no entity may have a scale of zero.
        if rect.w > 1e-5 && rect.h > 1e-5 {
            self.items.push((slot, Item { rect, level: self.level, what, takes_keys: self.takes_keys }));
        }
    }

    /// Nothing, in the place of so many things that are painted at other times: those that follow are then known to be the same.
    pub fn skip(&mut self, count: usize) {
        self.slot += count;
    }

    /// A plate with round corners. One that changes its size each time is better made of a [`Paint::bar`].
    pub fn plate(&mut self, rect: Rect, radius: f32, color: Color) {
        self.item(rect, What::Plate { radius, depth: 0.0, color });
    }

    /// A plate as thick as panels are.
    pub fn slab(&mut self, rect: Rect, radius: f32, color: Color) {
        let depth = self.theme.depth;
        self.item(rect, What::Plate { radius, depth, color });
    }

    /// A plate with an edge of another colour.
    pub fn framed(&mut self, rect: Rect, radius: f32, color: Color, edge: Color) {
        let ring = self.theme.ring.min(rect.w * 0.25).min(rect.h * 0.25);
        self.plate(rect, radius, edge);
        self.up();
        self.sheet(rect.inset(ring), (radius - ring).max(0.0), color);
    }

    /// A plate to write on: it is there at once but for its corners, also where its shape is still on its way.
    pub fn sheet(&mut self, rect: Rect, radius: f32, color: Color) {
        self.plate(rect, radius, color);
        self.bar(Rect { x: rect.x + radius, w: rect.w - 2.0 * radius, ..rect }, color);
        self.bar(Rect { y: rect.y + radius, h: rect.h - 2.0 * radius, ..rect }, color);
    }

    /// A sheet with an edge, as thick as panels are: for what stands in the space by itself.
    pub fn board(&mut self, rect: Rect, radius: f32, color: Color) {
        let ring = self.theme.ring;
        self.slab(rect, radius, self.theme.edge);
        self.up();
        self.sheet(rect.inset(ring), (radius - ring).max(0.0), color);
        self.up();
    }

    /// The ring about what has the keyboard, if it has; what follows lies on it.
    pub fn ring(&mut self, rect: Rect, radius: f32, focused: bool) {
        if focused {
            let width = self.theme.ring;
            self.plate(rect.inset(-width), radius + width, self.theme.focus);
        } else {
            self.skip(1);
        }
        self.up();
    }

    /// A rectangle.
    pub fn bar(&mut self, rect: Rect, color: Color) {
        self.item(rect, What::Bar(color));
    }

    /// The ellipse in a rectangle.
    pub fn disc(&mut self, rect: Rect, color: Color) {
        self.item(rect, What::Disc(color));
    }

    /// A bar with round ends.
    pub fn rod(&mut self, rect: Rect, color: Color) {
        let end = rect.h.min(rect.w);
        self.disc(Rect { w: end, ..rect }, color);
        self.disc(Rect { x: rect.right() - end, w: end, ..rect }, color);
        self.bar(Rect { x: rect.x + end * 0.5, w: rect.w - end, ..rect }, color);
    }

    /// The same, from top to bottom.
    pub fn rod_down(&mut self, rect: Rect, color: Color) {
        let end = rect.w.min(rect.h);
        self.disc(Rect { h: end, ..rect }, color);
        self.disc(Rect { y: rect.bottom() - end, h: end, ..rect }, color);
        self.bar(Rect { y: rect.y + end * 0.5, h: rect.h - end, ..rect }, color);
    }

    /// Writing, which must not be wider than the rectangle (see [`crate::measure`]); from top to bottom it is in the middle.
    pub fn text(&mut self, rect: Rect, text: impl Into<String>, letters: Letters) {
        let text = text.into();
        if text.trim().is_empty() {
            self.skip(1);
        } else {
            let face = letters.face.or(Some(self.theme.face));
            self.item(rect, What::Text(text, Letters { face, ..letters }));
        }
    }

    pub(crate) fn hues(&mut self, rect: Rect) {
        self.item(rect, What::Hues);
    }

    /// All shades of a hue: to the right less white, upward less black.
    pub(crate) fn shades(&mut self, rect: Rect, hue: Color) {
        self.bar(rect, hue);
        // Close together: seen from aside one would stand out beside the other.
        self.level += 0.3;
        self.item(rect, What::White);
        self.level += 0.3;
        self.item(rect, What::Black);
        self.level += 0.4;
    }
}
