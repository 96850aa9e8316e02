// SPDX-License-Identifier: AGPL-3.0-or-later
//! A font that somebody gives: bytes from anywhere become a face of writing.
//!
//! Only what lays out and draws single letters is used of it: characters, advances, kerning of pairs, measures and
//! outlines. What it costs to ask is bounded when it is parsed, what it costs to draw when it is drawn ([`stranger`]).

use crate::{
    Metrics, Style, TextFace, bundled,
    font::{self, Bytes, FontError, FontFile},
    outline::Outline,
    stranger,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use ttf_parser::{
    GlyphId, Tag,
    gpos::{PairAdjustment, PositioningSubtable},
    opentype_layout::LookupSubtable,
};

/// Most parts of the table of characters. Fonts have two to six.
const CHARACTER_TABLES_MAX: u16 = 64;
/// Most features that are looked through for kerning, and most parts of tables with pairs that are then used.
const FEATURES_MAX: usize = 4096;
const PAIR_TABLES_MAX: usize = 128;
/// Widest advance, and farthest that two letters are moved, in em.
const ADVANCE_MAX: f64 = 8.0;
const KERNING_MAX: f64 = 2.0;
/// Distances of lines in em that a font may have; one that has others is set as [`crate::Face::Sans`] is.
const LINE_MIN: f32 = 0.25;
const LINE_MAX: f32 = 4.0;
/// By how many em each edge of letters is moved outward that must look bold: as FreeType does.
pub(crate) const BOLDER: f64 = 1.0 / 48.0;

/// Names a [`Font`] within this program. Each that is parsed has another, whatever its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FontId(u64);

/// A font that came as bytes: TrueType, or OpenType with the outlines `glyf` or `CFF `; of a collection the first, of
/// a variable font the default instance. Cloning it is cheap.
///
/// It says nothing about letters that change with their neighbours, pictures and colours: letters are drawn one by
/// one as outlines. A font has at most 65,535 glyphs, as the format says; one that is too intricate is shown in
/// the sans face.
#[derive(Clone, Debug)]
pub struct Font(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: FontId,
    file: FontFile,
    metrics: Metrics,
    is_bold: bool,
    is_italic: bool,
    /// Lookups of `GPOS` with pairs that are kerned, and in each the part: at most [`PAIR_TABLES_MAX`].
    pairs: Vec<(u16, u16)>,
}

impl Font {
    /// Reads a font from anywhere. Takes some microseconds besides copying and hashing.
    ///
    /// # Errors
    /// The bytes are more than [`FONT_BYTES_MAX`](crate::FONT_BYTES_MAX), no font, or one that cannot be used.
    pub fn parse(bytes: &[u8]) -> Result<Font, FontError> {
        if bytes.len() as u64 > font::FONT_BYTES_MAX {
            return Err(FontError::Large(bytes.len() as u64));
        }
        // Its arithmetic is checked in some builds.
        let parsed = catch_unwind(AssertUnwindSafe(|| Font::parse_unguarded(bytes)));
        parsed.unwrap_or(Err(FontError::Malformed))
    }

    fn parse_unguarded(bytes: &[u8]) -> Result<Font, FontError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let face = ttf_parser::Face::parse(bytes, 0)?;
        let characters = face.tables().cmap.ok_or(FontError::Characters)?.subtables;
        let has_unicode = characters.len() <= CHARACTER_TABLES_MAX
            && characters.into_iter().any(|table| table.is_unicode());
        if !has_unicode {
            return Err(FontError::Characters);
        }
        if face.tables().glyf.is_none() && face.tables().cff.is_none() {
            return Err(FontError::Outlines);
        }
        let (metrics, pairs) = (measure(&face), pairs(&face));
        let (is_bold, is_italic) = (face.weight().to_number() >= 600, face.is_italic());
        let file = FontFile::new(Bytes::Read(Arc::from(bytes)), 0)?;
        let id = FontId(NEXT.fetch_add(1, Ordering::Relaxed));
        Ok(Font(Arc::new(Inner { id, file, metrics, is_bold, is_italic, pairs })))
    }

    /// Its name here.
    pub fn id(&self) -> FontId {
        self.0.id
    }

    /// Measures, in em. The space between lines that the font wants is part of ascent and descent.
    pub fn metrics(&self) -> Metrics {
        self.0.metrics
    }

    /// Bytes of memory that it takes, without the glyphs that are made of it.
    pub fn bytes(&self) -> usize {
        self.0.file.len() + size_of::<Inner>() + self.0.pairs.capacity() * size_of::<(u16, u16)>()
    }

    /// Whether it has a glyph for the character.
    pub fn has(&self, character: char) -> bool {
        self.file().face().is_some_and(|face| font::glyph(&face, character).is_some())
    }

    pub(crate) fn file(&self) -> &FontFile {
        &self.0.file
    }

    /// Whether letters must be slanted to look italic, and made heavier to look bold.
    pub(crate) fn lacks(&self, style: Style) -> Style {
        Style { bold: style.bold && !self.0.is_bold, italic: style.italic && !self.0.is_italic }
    }

    /// Advance in em.
    pub(crate) fn advance(&self, face: &ttf_parser::Face<'_>, glyph: GlyphId, style: Style) -> f32 {
        // Not that of the variation: what is drawn is the default instance.
        let units = face.tables().hmtx.and_then(|table| table.advance(glyph)).unwrap_or(0);
        let bolder = if self.lacks(style).bold && units > 0 { 2.0 * BOLDER } else { 0.0 };
        (f64::from(units) * font::per_unit(face) + bolder).min(ADVANCE_MAX) as f32
    }

    /// By how many em two neighbours are moved together (negative) or apart.
    pub(crate) fn kerning(&self, face: &ttf_parser::Face<'_>, left: GlyphId, right: GlyphId) -> f32 {
        let kerning = if self.0.pairs.is_empty() {
            font::kerning(face, left, right)
        } else {
            f64::from(self.adjustment(face, left, right)) * font::per_unit(face)
        };
        kerning.clamp(-KERNING_MAX, KERNING_MAX) as f32
    }

    /// By the first part of each lookup that knows the pair (OpenType 1.9, `GPOS`, lookup type 2).
    fn adjustment(&self, face: &ttf_parser::Face<'_>, left: GlyphId, right: GlyphId) -> i32 {
        let Some(gpos) = face.tables().gpos else { return 0 };
        let (mut sum, mut done) = (0, None);
        for (lookup, part) in &self.0.pairs {
            if done == Some(*lookup) {
                continue;
            }
            let part = gpos.lookups.get(*lookup).and_then(|lookup| lookup.subtables.get::<Pairs<'_>>(*part));
            let Some(Pairs(pairs)) = part else { continue };
            let Some(covered) = pairs.coverage().get(left) else { continue };
            let found = match pairs {
                PairAdjustment::Format1 { sets, .. } => sets.get(covered).and_then(|set| set.get(right)),
                PairAdjustment::Format2 { classes, matrix, .. } => {
                    matrix.get((classes.0.get(left), classes.1.get(right)))
                }
            };
            if let Some((first, _)) = found {
                sum += i32::from(first.x_advance);
                done = Some(*lookup);
            }
        }
        sum
    }

    /// The shape in em.
    ///
    /// # Errors
    /// It is too intricate.
    pub(crate) fn outline(face: &ttf_parser::Face<'_>, glyph: GlyphId) -> Result<Outline, FontError> {
        stranger::outline(face, glyph)
    }
}

/// A part of a lookup with pairs, and nothing else: `ttf_parser` follows extensions of extensions without end.
struct Pairs<'a>(PairAdjustment<'a>);

impl<'a> LookupSubtable<'a> for Pairs<'a> {
    fn parse(data: &'a [u8], kind: u16) -> Option<Pairs<'a>> {
        let data = match kind {
            2 => data,
            9 => {
                let head = data.get(..8).filter(|head| head[..4] == [0, 1, 0, 2])?;
                let offset = u32::from_be_bytes(head[4..].try_into().ok()?);
                data.get(usize::try_from(offset).ok()?..)?
            }
            _ => return None,
        };
        match PositioningSubtable::parse(data, 2)? {
            PositioningSubtable::Pair(pairs) => Some(Pairs(pairs)),
            _ => None,
        }
    }
}

/// Where the font has pairs for the feature `kern`, in whatever script: most fonts have the same for all.
fn pairs(face: &ttf_parser::Face<'_>) -> Vec<(u16, u16)> {
    let Some(gpos) = face.tables().gpos else { return Vec::new() };
    let features = gpos.features.into_iter().take(FEATURES_MAX);
    let kern = features.filter(|feature| feature.tag == Tag::from_bytes(b"kern"));
    let mut lookups: Vec<u16> = kern
        .take(PAIR_TABLES_MAX)
        .flat_map(|feature| feature.lookup_indices.into_iter().take(PAIR_TABLES_MAX))
        .collect();
    lookups.sort_unstable();
    lookups.dedup();
    let parts = lookups.into_iter().flat_map(|index| {
        let parts = gpos.lookups.get(index).map(|lookup| lookup.subtables);
        parts.into_iter().flat_map(move |parts| {
            let count = parts.len().min(PAIR_TABLES_MAX as u16);
            (0..count)
                .filter(move |part| parts.get::<Pairs<'_>>(*part).is_some())
                .map(move |part| (index, part))
        })
    });
    parts.take(PAIR_TABLES_MAX).collect()
}

fn measure(face: &ttf_parser::Face<'_>) -> Metrics {
    let unit = font::per_unit(face) as f32;
    let em = |units: i16| f32::from(units) * unit;
    let sans = bundled::metrics(TextFace::Sans);
    let half_gap = em(face.line_gap()).max(0.0) / 2.0;
    let (ascent, descent) = (em(face.ascender()) + half_gap, em(face.descender()) - half_gap);
    let line_height = ascent - descent;
    let is_sane = (LINE_MIN..=LINE_MAX).contains(&line_height) && ascent > 0.0 && descent <= 0.0;
    let (ascent, descent) = if is_sane { (ascent, descent) } else { (sans.ascent, sans.descent) };
    let digit = font::glyph(face, '0').and_then(|glyph| face.tables().hmtx?.advance(glyph));
    let cell_width = digit.map_or(0.0, |units| f32::from(units) * unit);
    let within = |value: f32, otherwise: f32| {
        if (-LINE_MAX..=LINE_MAX).contains(&value) { value } else { otherwise }
    };
    let (underline, strikeout) = (face.underline_metrics(), face.strikeout_metrics());
    let thickness = underline.map_or(0.0, |line| em(line.thickness));
    Metrics {
        cell_width: if (0.05..=LINE_MAX).contains(&cell_width) { cell_width } else { sans.cell_width },
        line_height: ascent - descent,
        ascent,
        descent,
        underline: underline.map_or(sans.underline, |line| within(em(line.position), sans.underline)),
        strikeout: strikeout.map_or(sans.strikeout, |line| within(em(line.position), sans.strikeout)),
        line_thickness: if (0.005..=0.5).contains(&thickness) { thickness } else { sans.line_thickness },
    }
}
