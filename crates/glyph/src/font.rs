// SPDX-License-Identifier: AGPL-3.0-or-later
//! One font: which characters it has, their outlines, advances, kerning and pictures.

use crate::field::TooMuch;
use crate::outline::{Affine, Contour, Outline, Point, Segment};
use std::sync::Arc;
use ttf_parser::{GlyphId, OutlineBuilder, RasterImageFormat};

/// Largest file in bytes that is read as a font. The largest collections of ideographs have 20 MiB.
pub const FONT_BYTES_MAX: u64 = 64 << 20;
/// Most points of a glyph.
const POINTS_MAX: usize = 20_000;
/// Most parts of a table of kerning that are looked at for a pair.
const KERN_TABLES_MAX: usize = 32;

/// Why bytes are no font.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FontError {
    /// The tables cannot be read.
    #[error("not a TrueType or OpenType font that can be read")]
    Parse(#[from] ttf_parser::FaceParsingError),
    /// The tables mean no good: whoever reads them is led astray.
    #[error("the tables of the font are malformed")]
    Malformed,
    /// There is nothing by which the glyph of a character is found.
    #[error("the font has no table of Unicode characters, or one of too many parts")]
    Characters,
    /// Nothing can be drawn: it has pictures alone, or outlines of another format.
    #[error("the font has no outlines of the formats `glyf` and `CFF`")]
    Outlines,
    /// Too large.
    #[error("the font has {0} bytes, at most {FONT_BYTES_MAX} are read")]
    Large(u64),
    /// It has no such character.
    #[error("the font has no glyph for it")]
    Missing,
    /// The shape of the glyph is beyond what is drawn.
    #[error("the glyph is too intricate or too large")]
    Intricate,
}

impl From<TooMuch> for FontError {
    fn from(TooMuch: TooMuch) -> FontError {
        FontError::Intricate
    }
}

/// Bytes of a font, ours or read.
#[derive(Clone, Debug)]
pub(crate) enum Bytes {
    Bundled(&'static [u8]),
    Read(Arc<[u8]>),
}

impl Bytes {
    fn get(&self) -> &[u8] {
        match self {
            Bytes::Bundled(bytes) => bytes,
            Bytes::Read(bytes) => bytes,
        }
    }
}

/// A file with a font, and which of its fonts.
#[derive(Clone, Debug)]
pub(crate) struct FontFile {
    bytes: Bytes,
    index: u32,
    hash: blake3::Hash,
}

/// A picture in a font.
pub(crate) struct Picture {
    pub(crate) png: Vec<u8>,
}

impl FontFile {
    pub(crate) fn new(bytes: Bytes, index: u32) -> Result<FontFile, FontError> {
        let length = bytes.get().len() as u64;
        if length > FONT_BYTES_MAX {
            return Err(FontError::Large(length));
        }
        ttf_parser::Face::parse(bytes.get(), index)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(bytes.get());
        hasher.update(&index.to_le_bytes());
        let hash = hasher.finalize();
        Ok(FontFile { bytes, index, hash })
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.get().len()
    }

    /// BLAKE3 of the bytes and the index.
    pub(crate) fn hash(&self) -> &blake3::Hash {
        &self.hash
    }

    /// The tables. Looking them up takes about a microsecond.
    pub(crate) fn face(&self) -> Option<ttf_parser::Face<'_>> {
        ttf_parser::Face::parse(self.bytes.get(), self.index).ok()
    }
}

/// The glyph of a character, if it is not the font's replacement.
pub(crate) fn glyph(face: &ttf_parser::Face<'_>, character: char) -> Option<GlyphId> {
    face.glyph_index(character).filter(|glyph| glyph.0 != 0)
}

/// What turns the font's units into em.
pub(crate) fn per_unit(face: &ttf_parser::Face<'_>) -> f64 {
    1.0 / f64::from(face.units_per_em().max(1))
}

/// Advance in em.
pub(crate) fn advance(face: &ttf_parser::Face<'_>, glyph: GlyphId) -> f64 {
    f64::from(face.glyph_hor_advance(glyph).unwrap_or(0)) * per_unit(face)
}

/// By how many em two neighbours are moved together (negative) or apart.
pub(crate) fn kerning(face: &ttf_parser::Face<'_>, left: GlyphId, right: GlyphId) -> f64 {
    let Some(kern) = face.tables().kern else { return 0.0 };
    let units: i32 = kern
        .subtables
        .into_iter()
        .take(KERN_TABLES_MAX)
        .filter(|table| table.horizontal && !table.variable && !table.has_state_machine)
        .filter_map(|table| table.glyphs_kerning(left, right))
        .map(i32::from)
        .sum();
    f64::from(units) * per_unit(face)
}

/// The shape in em, or nothing.
pub(crate) fn outline(face: &ttf_parser::Face<'_>, glyph: GlyphId) -> Outline {
    let mut builder = Builder::default();
    face.outline_glyph(glyph, &mut builder);
    builder.finish(face)
}

/// The largest picture of a glyph that is in the format PNG.
pub(crate) fn picture(face: &ttf_parser::Face<'_>, glyph: GlyphId) -> Option<Picture> {
    let image = face.glyph_raster_image(glyph, u16::MAX)?;
    (image.format == RasterImageFormat::PNG).then(|| Picture { png: image.data.to_vec() })
}

/// Collects what `ttf_parser` tells of a shape.
#[derive(Default)]
pub(crate) struct Builder {
    pub(crate) outline: Outline,
    points: usize,
}

impl Builder {
    /// What was told, in em; nothing if it was too much.
    pub(crate) fn finish(mut self, face: &ttf_parser::Face<'_>) -> Outline {
        if self.points > POINTS_MAX {
            return Outline::default();
        }
        self.outline.transform(&Affine::scale(per_unit(face)));
        self.outline
    }

    fn push(&mut self, segment: Segment) {
        self.points += 1;
        if self.points <= POINTS_MAX
            && let Some(contour) = self.outline.contours.last_mut()
        {
            contour.segments.push(segment);
        }
    }
}

fn point(x: f32, y: f32) -> Point {
    [f64::from(x), f64::from(y)]
}

impl OutlineBuilder for Builder {
    fn move_to(&mut self, x: f32, y: f32) {
        self.points += 1;
        if self.points <= POINTS_MAX {
            self.outline.contours.push(Contour { start: point(x, y), segments: Vec::new() });
        }
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.push(Segment::Line(point(x, y)));
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.push(Segment::Quad(point(x1, y1), point(x, y)));
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.push(Segment::Cubic(point(x1, y1), point(x2, y2), point(x, y)));
    }

    fn close(&mut self) {}
}
