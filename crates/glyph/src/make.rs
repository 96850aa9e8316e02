// SPDX-License-Identifier: AGPL-3.0-or-later
//! From a key to its glyph: which font, which outlines, where, and how it fits.

use crate::{
    Bounds, Cluster, Correction, Glyph, Key, Kind, Metrics, Place, Style, TEXELS_PER_EM, TextFace,
    bundled::{self, Bundled},
    cache::Cache,
    color,
    field::{self, Field},
    font::{self, Bytes, FontError, FontFile},
    given::{BOLDER, Font, FontId},
    layout,
    outline::{Affine, Outline, Rect},
    procedural,
    system::System,
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// By how much upright letters are slanted: DejaVu's own angle is 11°.
const SLANT: f64 = 0.194;
/// Space above and below what marks are moved away from, in em.
const MARK_GAP: f64 = 0.04;

/// Where glyphs come from, besides the bundled fonts.
#[derive(Default)]
pub struct Source {
    /// Filled when it is first needed: letters do not wait for it.
    system: OnceLock<System>,
    uses_system: bool,
    cache: Cache,
    /// Bounded by who adds: each is taken away again.
    fonts: Mutex<BTreeMap<FontId, Font>>,
}

impl Source {
    /// The bundled fonts alone, and no cache.
    pub fn bundled() -> Source {
        Source::default()
    }

    /// The bundled fonts, and those of this machine. The first character that needs one of them looks
    /// through folders, which may take a second.
    pub fn with_system() -> Source {
        Source::new(true, Cache::default())
    }

    pub(crate) fn new(uses_system: bool, cache: Cache) -> Source {
        Source { uses_system, cache, ..Source::default() }
    }

    /// From now on this font is known, until it is removed.
    pub fn add_font(&self, font: &Font) {
        self.fonts.lock().insert(font.id(), font.clone());
    }

    /// The font is not known any more: its glyphs are empty.
    pub fn remove_font(&self, id: FontId) {
        let removed = self.fonts.lock().remove(&id);
        if let Some(font) = removed {
            self.cache.let_go(font.file().hash());
        }
    }

    /// Whether the glyph is of a font that can be asked.
    pub(crate) fn knows(&self, key: &Key) -> bool {
        match key.place {
            Place::Text(TextFace::Given(id)) => self.fonts.lock().contains_key(&id),
            _ => true,
        }
    }

    /// The font of that id.
    pub(crate) fn font(&self, id: FontId) -> Option<Font> {
        self.fonts.lock().get(&id).cloned()
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    fn system(&self) -> &System {
        self.system.get_or_init(|| if self.uses_system { System::scan() } else { System::default() })
    }
}

/// Makes a glyph, or takes it from the cache: about 2 ms. Never fails: what no font has is shown as a box
/// with its number.
pub fn make(source: &Source, key: &Key) -> Glyph {
    if key.is_blank() {
        return Glyph::EMPTY;
    }
    if let Place::Text(TextFace::Given(id)) = key.place {
        let Some(font) = source.font(id) else { return Glyph::EMPTY };
        // What is too intricate is shown as the face shows it that stands in.
        let sans = Key { place: Place::Text(TextFace::Sans), ..*key };
        return from_given(source, &font, key).unwrap_or_else(|| make(source, &sans));
    }
    find(source, key).unwrap_or_else(|| replacement(key))
}

/// Makes the glyph of a character from the bytes of any font, as it stands in writing.
///
/// # Errors
/// The bytes are no font, have no such glyph, or one that is too intricate.
pub fn make_from_bytes(bytes: &[u8], index: u32, character: char) -> Result<Glyph, FontError> {
    let font = FontFile::new(Bytes::Read(Arc::from(bytes)), index)?;
    let face = font.face().ok_or(FontError::Missing)?;
    let glyph = font::glyph(&face, character).ok_or(FontError::Missing)?;
    Ok(from_outline(&font::outline(&face, glyph), None)?)
}

/// Characters that are never seen by themselves: joiners, selectors, marks of direction.
pub(crate) fn is_ignorable(character: char) -> bool {
    matches!(
        u32::from(character),
        0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F
            | 0x202A..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0
            | 0xE0000..=0xE0FFF
    )
}

/// Whether a character is rather a picture than writing.
pub(crate) fn wants_color(cluster: &Cluster) -> bool {
    if cluster.characters().any(|c| c == '\u{FE0E}') {
        return false;
    }
    if cluster.characters().any(|c| c == '\u{FE0F}') {
        return true;
    }
    // Of the symbols, those are pictures by themselves that take two cells.
    let code = u32::from(cluster.base());
    let is_symbol = (0x2300..0x2E80).contains(&code) || (0x1F000..0x1FB00).contains(&code);
    is_symbol && unicode_width::UnicodeWidthChar::width(cluster.base()) == Some(2)
}

/// A box that a glyph of a font other than the face's own must fit in: left is 0.
#[derive(Clone, Copy)]
struct Fit {
    width: f64,
    bottom: f64,
    top: f64,
}

fn find(source: &Source, key: &Key) -> Option<Glyph> {
    let (face, width) = match key.place {
        Place::Cell { wide } => (TextFace::Mono, Metrics::mono().cell_width * if wide { 2.0 } else { 1.0 }),
        Place::Text(face) => (face, layout::foreign_advance(face, &key.cluster)),
    };
    let metrics = bundled::metrics(face);
    let base = key.cluster.base();
    if face == TextFace::Mono && procedural::is_procedural(base) {
        let width =
            f64::from(if matches!(key.place, Place::Cell { .. }) { width } else { metrics.cell_width });
        return from_procedural(base, width, &metrics);
    }
    let fit =
        Fit { width: f64::from(width), bottom: f64::from(metrics.descent), top: f64::from(metrics.ascent) };
    if wants_color(&key.cluster)
        && let Some(font) = source.system().choose_color(base)
        && let Some(glyph) = from_font(source, &font, key, Some(fit), false)
    {
        return Some(glyph);
    }
    if let Some((rank, choice)) = bundled::choose(face, key.style, base) {
        // In writing, the bundled fonts keep their own widths; in cells, only the face fits by itself.
        let is_cell = matches!(key.place, Place::Cell { .. });
        let fit = (is_cell && rank > 0).then_some(fit);
        return from_font(source, choice.font.font(), key, fit, choice.slant);
    }
    let font = source.system().choose(base, wants_color(&key.cluster))?;
    from_font(source, &font, key, Some(fit), false)
}

fn from_procedural(character: char, width: f64, metrics: &Metrics) -> Option<Glyph> {
    let shape = procedural::shape(character, width, metrics)?;
    let frame =
        Rect::new(-0.04, f64::from(metrics.descent) - 0.04, width + 0.04, f64::from(metrics.ascent) + 0.04);
    let glyph = from_outline(&shape.outline, Some(frame)).ok()?;
    Some(Glyph { opacity: shape.opacity, clipped: true, ..glyph })
}

fn from_font(source: &Source, font: &FontFile, key: &Key, fit: Option<Fit>, slant: bool) -> Option<Glyph> {
    let recipe = recipe(key, fit, Style { bold: false, italic: slant });
    if let Some(glyph) = source.cache.get(font.hash(), &recipe) {
        return Some(glyph);
    }
    let face = font.face()?;
    let glyph = font::glyph(&face, key.cluster.base())?;
    let made = match (fit, color::picture(&face, glyph)) {
        (Some(fit), Some(picture)) => color::fitted(&picture, fit.width, fit.bottom, fit.top)?,
        _ => {
            let mut outline =
                compose(&face, glyph, &key.cluster, &|face, glyph| Ok(font::outline(face, glyph))).ok()?;
            if slant {
                outline.transform(&Affine { b: SLANT, ..Affine::scale(1.0) });
            }
            if let Some(fit) = fit {
                squeeze(&mut outline, font::advance(&face, glyph), fit);
            }
            from_outline(&outline, None).ok()?
        }
    };
    source.cache.put(font.hash(), &recipe, &made);
    Some(made)
}

/// As `from_font`, from a font that may be anything.
fn from_given(source: &Source, font: &Font, key: &Key) -> Option<Glyph> {
    let lacks = font.lacks(key.style);
    let recipe = recipe(key, None, lacks);
    if let Some(glyph) = source.cache.get(font.file().hash(), &recipe) {
        return Some(glyph);
    }
    let face = font.file().face()?;
    let glyph = font::glyph(&face, key.cluster.base())?;
    let mut outline = compose(&face, glyph, &key.cluster, &Font::outline).ok()?;
    let bolder = if lacks.bold { BOLDER } else { 0.0 };
    if lacks.italic {
        outline.transform(&Affine { b: SLANT, ..Affine::scale(1.0) });
    }
    // The left edge stays where it is.
    outline.transform(&Affine::shift(bolder, 0.0));
    let scale = f64::from(TEXELS_PER_EM);
    outline.transform(&Affine::scale(scale));
    let field = field::make_given(&outline, bolder * scale).ok()?;
    let made = field.map_or(Glyph::EMPTY, from_field);
    source.cache.put(font.file().hash(), &recipe, &made);
    Some(made)
}

/// What, besides the font, a tile depends on.
fn recipe(key: &Key, fit: Option<Fit>, lacks: Style) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for character in key.cluster.characters() {
        hasher.update(&u32::from(character).to_le_bytes());
    }
    hasher.update(&[u8::from(lacks.italic), u8::from(fit.is_some())]);
    if lacks.bold {
        hasher.update(b"bolder");
    }
    if let Some(fit) = fit {
        for value in [fit.width, fit.bottom, fit.top] {
            hasher.update(&value.to_le_bytes());
        }
    }
    let mut recipe = [0; 16];
    hasher.finalize_xof().fill(&mut recipe);
    recipe
}

/// A letter with its marks in em. A mark is put over or under the middle of the letter, clear of it.
fn compose(
    face: &ttf_parser::Face<'_>,
    base: ttf_parser::GlyphId,
    cluster: &Cluster,
    outline_of: &dyn Fn(&ttf_parser::Face<'_>, ttf_parser::GlyphId) -> Result<Outline, FontError>,
) -> Result<Outline, FontError> {
    let mut outline = outline_of(face, base)?;
    for mark in cluster.characters().skip(1).filter(|c| !is_ignorable(*c)) {
        let Some(glyph) = font::glyph(face, mark) else { continue };
        let mut shape = outline_of(face, glyph)?;
        let (Some(below), Some(bounds)) = (outline.bounds(), shape.bounds()) else {
            outline.append(shape);
            continue;
        };
        let dx = (below.left + below.right - bounds.left - bounds.right) / 2.0;
        let middle = (below.bottom + below.top) / 2.0;
        let dy = if bounds.bottom > middle {
            (below.top + MARK_GAP - bounds.bottom).max(0.0)
        } else if bounds.top < middle {
            (below.bottom - MARK_GAP - bounds.top).min(0.0)
        } else {
            0.0
        };
        shape.transform(&Affine::shift(dx, dy));
        outline.append(shape);
    }
    Ok(outline)
}

/// Makes a glyph of another font as large as it may be in its cells, and centres it.
fn squeeze(outline: &mut Outline, advance: f64, fit: Fit) {
    let Some(bounds) = outline.bounds() else { return };
    let (width, height) = (bounds.right - bounds.left, bounds.top - bounds.bottom);
    // Letters may lean out of their advance a little, as those of the face do.
    let advance = advance.max(width * 0.9).max(1e-3);
    let factor = (fit.width / advance).min((fit.top - fit.bottom) / height.max(1e-3)).min(1.0);
    let has_own_sides = bounds.left >= -0.1 * advance && bounds.right <= 1.1 * advance;
    let middle = if has_own_sides { advance / 2.0 } else { (bounds.left + bounds.right) / 2.0 };
    let dx = fit.width / 2.0 - middle * factor;
    let low = fit.bottom - bounds.bottom * factor;
    let high = fit.top - bounds.top * factor;
    // At its own height if it can be there.
    let dy = 0.0_f64.max(low).min(high.max(low));
    outline.transform(&Affine { dx, dy, ..Affine::scale(factor) });
}

/// The tile of an outline in em.
fn from_outline(outline: &Outline, frame: Option<Rect>) -> Result<Glyph, field::TooMuch> {
    let scale = f64::from(TEXELS_PER_EM);
    let mut scaled = outline.clone();
    scaled.transform(&Affine::scale(scale));
    let frame = frame.map(|r| Rect::new(r.left * scale, r.bottom * scale, r.right * scale, r.top * scale));
    Ok(field::make(&scaled, frame)?.map_or(Glyph::EMPTY, from_field))
}

fn from_field(field: Field) -> Glyph {
    let em = |texels: i32| texels as f32 / TEXELS_PER_EM as f32;
    let mut texels = Vec::with_capacity(field.texels.len() * 4);
    for row in field.texels.chunks_exact(field.width).rev() {
        texels.extend(row.iter().flat_map(|[r, g, b]| [*r, *g, *b, 255]));
    }
    Glyph {
        kind: Kind::Distance,
        width: field.width as u16,
        height: field.height as u16,
        texels,
        bounds: Bounds {
            left: em(field.left),
            bottom: em(field.bottom),
            right: em(field.left + field.width as i32),
            top: em(field.bottom + field.height as i32),
        },
        opacity: 1.0,
        clipped: false,
        correction: field.correction,
    }
}

/// A frame with the number of the character in it, in base 16.
fn replacement(key: &Key) -> Glyph {
    let (face, width) = match key.place {
        Place::Cell { wide } => (TextFace::Mono, Metrics::mono().cell_width * if wide { 2.0 } else { 1.0 }),
        Place::Text(face) => (face, layout::foreign_advance(face, &key.cluster)),
    };
    let metrics = bundled::metrics(face);
    let (left, right) = (0.06, f64::from(width) - 0.06);
    let (bottom, top) = (f64::from(metrics.descent) * 0.5, f64::from(metrics.ascent) * 0.85);
    let line = 0.04;
    let mut outline = Outline::default();
    outline.rect(Rect::new(left, bottom, right, top));
    let mut hole = Outline::default();
    hole.rect(Rect::new(left + line, bottom + line, right - line, top - line));
    outline.append(hole.reversed());
    let number = format!("{:04X}", u32::from(key.cluster.base()));
    // Two digits in a row.
    let (columns, rows) = (2, number.len().div_ceil(2));
    let font = bundled::order(TextFace::Mono, Style { bold: true, italic: false })[0].font.face();
    let (cell_w, cell_h) =
        ((right - left - 3.0 * line) / columns as f64, (top - bottom - 3.0 * line) / rows as f64);
    for (index, digit) in number.chars().enumerate() {
        let Some(glyph) = font::glyph(font, digit) else { continue };
        let mut shape = font::outline(font, glyph);
        let Some(bounds) = shape.bounds() else { continue };
        let factor = (cell_w * 0.82 / (bounds.right - bounds.left)).min(cell_h * 0.8 / bounds.top);
        let column = (index % columns) as f64 + 0.5;
        let row = (rows - 1 - index / columns) as f64 + 0.5;
        shape.transform(&Affine {
            dx: left + 1.5 * line + column * cell_w - factor * (bounds.left + bounds.right) / 2.0,
            dy: bottom + 1.5 * line + row * cell_h - factor * (bounds.bottom + bounds.top) / 2.0,
            ..Affine::scale(factor)
        });
        // Its contours turn to the right, as those of the format do; the frame turns to the left.
        outline.append(shape.reversed());
    }
    from_outline(&outline, None).unwrap_or(Glyph::EMPTY)
}

impl Bundled {
    /// The glyph of a character as it stands in writing, from this font and no other.
    ///
    /// # Errors
    /// The font has no glyph for it.
    pub fn make(self, character: char) -> Result<Glyph, FontError> {
        let face = self.face();
        let glyph = font::glyph(face, character).ok_or(FontError::Missing)?;
        Ok(from_outline(&font::outline(face, glyph), None)?)
    }

    /// How much of each pixel the character covers, by `samples`² samples: what a glyph is compared with.
    /// `width` by `height` pixels from the upper left of `bounds`. Nothing if the font has not got it.
    pub fn coverage(
        self,
        character: char,
        bounds: Bounds,
        width: usize,
        height: usize,
        samples: u32,
    ) -> Option<Vec<f32>> {
        let face = self.face();
        let outline = font::outline(face, font::glyph(face, character)?);
        cover(&outline, bounds, width, height, samples)
    }
}

fn cover(outline: &Outline, bounds: Bounds, width: usize, height: usize, samples: u32) -> Option<Vec<f32>> {
    let scale = 4.0 * f64::from(TEXELS_PER_EM);
    let mut scaled = outline.clone();
    scaled.transform(&Affine::scale(scale));
    let polygon = crate::outline::Polygon::new(&scaled.edges()?)?;
    let rect = Rect::new(
        f64::from(bounds.left) * scale,
        f64::from(bounds.bottom) * scale,
        f64::from(bounds.right) * scale,
        f64::from(bounds.top) * scale,
    );
    let rows = polygon.coverage(rect, width, height, samples);
    Some(rows.chunks_exact(width).rev().flatten().copied().collect())
}

impl Correction {
    /// Whether all of the tile has one distance.
    pub fn is_single(self) -> bool {
        self == Correction::Single
    }
}
