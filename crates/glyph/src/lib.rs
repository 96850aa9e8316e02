// SPDX-License-Identifier: AGPL-3.0-or-later
//! Fonts become distance-field glyphs, and text becomes placed glyphs; nothing here knows a renderer.
//!
//! Two users: terminals, whose cells all have one size ([`Metrics::mono`], [`Key::cell`]), and writing
//! in the space ([`layout()`]). Both get [`Key`]s, ask a [`Foundry`] for the [`Glyph`] of each, and draw
//! the tile. How a shader does that is in this crate's README and, as plain Rust, in [`cpu`].
//!
//! Lengths are in em (the height of the font) unless a name says otherwise; y goes up; the origin is the
//! pen's place on the baseline, which for a terminal is the left edge of the cell.

mod bundled;
mod cache;
mod color;
pub mod cpu;
mod field;
mod font;
mod foundry;
mod given;
mod layout;
mod make;
mod outline;
mod procedural;
mod stranger;
mod system;

pub use bundled::Bundled;
pub use font::{FONT_BYTES_MAX, FontError};
pub use foundry::{Foundry, FoundryError, MADE_MAX, Options as FoundryOptions, QUEUE_MAX};
pub use given::{Font, FontId};
pub use hearth_abi::scene::{Align, Anchor, Face};
pub use layout::{GLYPHS_MAX, Layout, Options as LayoutOptions, PlacedGlyph, layout};
pub use make::{Source, make, make_from_bytes};

use unicode_normalization::UnicodeNormalization;

/// Texels of a tile of distances for one em.
pub const TEXELS_PER_EM: u32 = 48;
/// Width in texels of the band about an edge that a tile describes: from −3 (0) to +3 (255), + is inside.
pub const RANGE_TEXELS: f32 = 6.0;
/// Largest width and height of a tile in texels. What would be larger is replaced.
pub const TILE_MAX: u32 = 256;
/// Most characters of a [`Cluster`]; those after it are left out.
pub const CLUSTER_MAX: usize = 4;

/// Bold, italic, both or neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Style {
    /// Heavier strokes.
    pub bold: bool,
    /// Slanted.
    pub italic: bool,
}

/// A character with what combines with it, in Unicode's form NFC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cluster([char; CLUSTER_MAX]);

impl Cluster {
    /// The first grapheme's worth of `text`: at most [`CLUSTER_MAX`] characters after composition.
    pub fn new(text: &str) -> Cluster {
        let mut characters = ['\0'; CLUSTER_MAX];
        // Composition looks at a few characters only, so that a long text costs no more than a short one.
        let composed = text.chars().take(4 * CLUSTER_MAX).nfc().filter(|c| *c != '\0');
        for (place, character) in characters.iter_mut().zip(composed) {
            *place = character;
        }
        Cluster(characters)
    }

    /// The characters; none for an empty text.
    pub fn characters(&self) -> impl Iterator<Item = char> + '_ {
        self.0.iter().copied().take_while(|c| *c != '\0')
    }

    /// The first character, a space if there is none.
    pub fn base(&self) -> char {
        if self.0[0] == '\0' { ' ' } else { self.0[0] }
    }
}

impl From<char> for Cluster {
    fn from(character: char) -> Cluster {
        Cluster::new(character.encode_utf8(&mut [0; 4]))
    }
}

/// Where a glyph is to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// In a cell of a terminal, or in two.
    Cell {
        /// Whether it has two cells.
        wide: bool,
    },
    /// In writing of this face.
    Text(TextFace),
}

/// What letters are taken from: [`Face`], ordered and hashed, with a [`Font`] for a lump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TextFace {
    /// Each letter as wide as it is.
    Sans,
    /// All letters of one width.
    Mono,
    /// A font that was given. What makes the glyph must know it: [`Foundry::add_font`], [`Source::add_font`].
    Given(FontId),
}

impl From<Face> for TextFace {
    fn from(face: Face) -> TextFace {
        match face {
            // The face that stands in for a font that is not known.
            Face::Sans | Face::Lump(_) => TextFace::Sans,
            Face::Mono => TextFace::Mono,
        }
    }
}

/// Names a glyph. Two places that show the same have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// What it says.
    pub cluster: Cluster,
    /// How it looks.
    pub style: Style,
    /// Where it stands.
    pub place: Place,
}

impl Key {
    /// What a terminal's cell holds: its character and, if any, its combining `marks`.
    pub fn cell(character: char, marks: &str, style: Style, wide: bool) -> Key {
        let cluster = if marks.is_empty() {
            Cluster::from(character)
        } else {
            let marks = marks.chars().take(4 * CLUSTER_MAX);
            Cluster::new(&std::iter::once(character).chain(marks).collect::<String>())
        };
        Key { cluster, style, place: Place::Cell { wide } }
    }

    /// A grapheme of writing, for a lump in the face that stands in for it. [`layout()`] makes these.
    pub fn text(cluster: Cluster, style: Style, face: Face) -> Key {
        Key { cluster, style, place: Place::Text(face.into()) }
    }

    /// Whether nothing is ever drawn for it, so that it need not be asked for.
    pub fn is_blank(&self) -> bool {
        let mut characters = self.cluster.characters();
        characters.all(|c| c.is_whitespace() || c.is_control() || make::is_ignorable(c))
    }
}

/// A rectangle in em, y up, relative to the pen on the baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// Left edge.
    pub left: f32,
    /// Lower edge.
    pub bottom: f32,
    /// Right edge.
    pub right: f32,
    /// Upper edge.
    pub top: f32,
}

impl Bounds {
    /// Width.
    pub fn width(&self) -> f32 {
        self.right - self.left
    }

    /// Height.
    pub fn height(&self) -> f32 {
        self.top - self.bottom
    }
}

/// What the texels of a glyph mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is drawn; there are no texels.
    Empty,
    /// Red, green and blue are distances ([`RANGE_TEXELS`]), of which the median counts; alpha is 255.
    Distance,
    /// sRGB colour with straight alpha. It is drawn as it is, whatever the colour of the text.
    Color,
}

/// How a tile of distances came to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// As it was generated.
    None,
    /// This many texels were given the true distance in all channels.
    Texels(u16),
    /// All texels have the true distance: corners are rounder, edges are exact.
    Single,
}

/// A glyph: a tile of texels, and where it lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Glyph {
    /// What the texels mean.
    pub kind: Kind,
    /// Texels of a row, at most [`TILE_MAX`].
    pub width: u16,
    /// Rows, at most [`TILE_MAX`].
    pub height: u16,
    /// RGBA8, from the upper left, row by row; `width * height * 4` bytes.
    pub texels: Vec<u8>,
    /// Where the outer edges of the tile's outermost texels lie. For [`Kind::Distance`] a texel is always
    /// 1/[`TEXELS_PER_EM`] em, and all of the shape's band lies within the tile unless `clipped`.
    pub bounds: Bounds,
    /// Factor of the coverage: less than 1 for the shades ░▒▓.
    pub opacity: f32,
    /// Whether it must be cut off at the edges of its cell: its field goes on beyond, so that neighbours
    /// join without a seam.
    pub clipped: bool,
    /// What was done to the distances.
    pub correction: Correction,
}

impl Glyph {
    /// One of which nothing is seen.
    pub const EMPTY: Glyph = Glyph {
        kind: Kind::Empty,
        width: 0,
        height: 0,
        texels: Vec::new(),
        bounds: Bounds { left: 0.0, bottom: 0.0, right: 0.0, top: 0.0 },
        opacity: 1.0,
        clipped: false,
        correction: Correction::None,
    };
}

/// Measures of a face, in em.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metrics {
    /// Advance of a cell, for the proportional face that of a digit.
    pub cell_width: f32,
    /// Distance of two baselines: ascent − descent.
    pub line_height: f32,
    /// Upper edge of a cell above the baseline.
    pub ascent: f32,
    /// Lower edge of a cell above the baseline: negative.
    pub descent: f32,
    /// Middle of the underline above the baseline: negative.
    pub underline: f32,
    /// Middle of the line that strikes out.
    pub strikeout: f32,
    /// Thickness of both.
    pub line_thickness: f32,
}

impl Metrics {
    /// Of the monospaced face, hence of a terminal's cell.
    pub fn mono() -> Metrics {
        bundled::metrics(TextFace::Mono)
    }

    /// Of a face; of a lump those of the face that stands in for it, see [`Font::metrics`].
    pub fn of(face: Face) -> Metrics {
        bundled::metrics(face.into())
    }
}
