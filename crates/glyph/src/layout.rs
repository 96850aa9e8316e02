// SPDX-License-Identifier: AGPL-3.0-or-later
//! Text becomes glyphs in places: lines, wrapping, alignment.
//!
//! Only the bundled fonts, and those that are given, decide about widths: text stands the same on every machine,
//! whatever fonts it has.
//! What no bundled font has gets a width of its own ([`foreign_advance`]), and its glyph is made to fit.
//! Letters that change with their neighbours (Arabic, the scripts of India) are shown one by one, and lines
//! run from left to right.

use crate::{
    Align, Anchor, Bounds, Cluster, Face, Font, Key, Style, TextFace, bundled, font,
    make::{is_ignorable, wants_color},
};
use unicode_linebreak::{BreakOpportunity, linebreaks};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Most glyphs of a text. What follows is left out, and [`Layout::is_cut`] says so.
pub const GLYPHS_MAX: usize = 16_384;
/// Columns from one tab stop to the next.
const TAB_COLUMNS: f32 = 8.0;
/// Advance in em of a picture.
const PICTURE_ADVANCE: f32 = 1.25;

/// How a text is to stand.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The shapes of the letters.
    pub face: Face,
    /// The font of a [`Face::Lump`], if it is there. What it has not, or all if there is none, is taken from
    /// [`Face::Sans`]. Of no concern to other faces.
    pub font: Option<&'a Font>,
    /// Bold, italic.
    pub style: Style,
    /// How lines stand beside each other, and where the origin is from left to right.
    pub align: Align,
    /// Where the origin is from top to bottom.
    pub anchor: Anchor,
    /// Width at which lines are wrapped, in em; 0 (or what is no number) for never. A word that is longer
    /// is broken between its letters.
    pub width_em: f32,
    /// Distance of lines as a factor of the face's own.
    pub line_spacing: f32,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            face: Face::Sans,
            font: None,
            style: Style::default(),
            align: Align::Left,
            anchor: Anchor::Top,
            width_em: 0.0,
            line_spacing: 1.0,
        }
    }
}

impl From<&hearth_abi::scene::Text> for Options<'_> {
    /// Without the font of a lump.
    fn from(text: &hearth_abi::scene::Text) -> Self {
        Options {
            face: text.face,
            font: None,
            style: Style { bold: text.bold, italic: text.italic },
            align: text.align,
            anchor: text.anchor,
            width_em: text.width / text.size,
            line_spacing: text.line_spacing,
        }
    }
}

/// A glyph and where its pen is, in em from the origin of the text, y up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlacedGlyph {
    /// Which glyph.
    pub key: Key,
    /// Pen, from the origin to the right.
    pub x: f32,
    /// Baseline, from the origin upward.
    pub y: f32,
}

/// Text in its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// What is seen, line by line. Blanks are not among it.
    pub glyphs: Vec<PlacedGlyph>,
    /// The rectangle of all lines, from the top of the first to the foot of the last, as wide as the widest:
    /// where a plate behind the text belongs. In em from the origin.
    pub bounds: Bounds,
    /// Number of lines.
    pub lines: usize,
    /// Whether there was more than [`GLYPHS_MAX`].
    pub is_cut: bool,
}

/// A grapheme on its line.
struct Piece {
    key: Key,
    /// Without the kerning to what stands before it.
    advance: f32,
    glyph: Option<(Of, ttf_parser::GlyphId)>,
    is_space: bool,
    is_tab: bool,
    /// Whether a line may end after it.
    breaks: bool,
}

/// What a glyph is of.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Bundled(bundled::Choice),
    Given,
}

/// Where letters are looked for.
struct Setting<'a> {
    given: Option<(&'a Font, ttf_parser::Face<'a>)>,
    /// For what that has not.
    face: TextFace,
    style: Style,
}

/// Places a text.
pub fn layout(text: &str, options: &Options<'_>) -> Layout {
    let given = options.font.filter(|_| matches!(options.face, Face::Lump(_)));
    let given = given.and_then(|font| Some((font, font.file().face()?)));
    let setting = Setting { given, face: TextFace::from(options.face), style: options.style };
    let metrics = match &setting.given {
        Some((font, _)) => font.metrics(),
        None => bundled::metrics(setting.face),
    };
    let tab = TAB_COLUMNS * metrics.cell_width;
    let (mut lines, is_cut) = wrap(text, options.width_em, tab, &setting);
    if lines.is_empty() {
        lines.push(Line::default());
    }
    let spacing =
        if options.line_spacing.is_finite() { options.line_spacing.clamp(0.01, 100.0) } else { 1.0 };
    let step = metrics.line_height * spacing;
    let below = step * (lines.len() - 1) as f32;
    let height = metrics.line_height + below;
    let top = match options.anchor {
        Anchor::Top => 0.0,
        Anchor::Middle => height / 2.0,
        Anchor::Bottom => height,
        Anchor::Baseline => metrics.ascent,
    };
    let widest = lines.iter().map(|line| line.width).fold(0.0, f32::max);
    let side = |width: f32| match options.align {
        Align::Left => 0.0,
        Align::Center => -width / 2.0,
        Align::Right => -width,
    };
    let left = side(widest);
    let mut glyphs = Vec::new();
    let count = lines.len();
    for (index, line) in lines.into_iter().enumerate() {
        let (x, y) = (side(line.width), top - metrics.ascent - step * index as f32);
        let placed = line.glyphs.into_iter().map(|(key, at)| PlacedGlyph { key, x: x + at, y });
        glyphs.extend(placed);
    }
    Layout {
        glyphs,
        bounds: Bounds { left, bottom: top - height, right: left + widest, top },
        lines: count,
        is_cut,
    }
}

/// Advance of what the bundled fonts have not, in em: of a picture, of a wide and of a narrow character.
pub(crate) fn foreign_advance(face: TextFace, cluster: &Cluster) -> f32 {
    let wide = cluster.base().len_utf8() > 1
        && unicode_width::UnicodeWidthChar::width(cluster.base()).unwrap_or(1) == 2;
    let cell = bundled::metrics(TextFace::Mono).cell_width;
    match (face, wide || wants_color(cluster)) {
        (TextFace::Mono, true) => 2.0 * cell,
        (TextFace::Mono, false) => cell,
        (_, true) if wants_color(cluster) => PICTURE_ADVANCE,
        (_, true) => 1.0,
        (_, false) => 0.7,
    }
}

#[derive(Default)]
struct Line {
    glyphs: Vec<(Key, f32)>,
    width: f32,
}

fn wrap(text: &str, width_em: f32, tab: f32, setting: &Setting<'_>) -> (Vec<Line>, bool) {
    let max = if width_em > 0.0 { width_em } else { f32::INFINITY };
    let mut lines = Vec::new();
    let mut left = GLYPHS_MAX;
    let mut is_cut = false;
    // Line feeds count against the limit as well, or they would be a way around it.
    for paragraph in text.split('\n') {
        if left == 0 {
            is_cut = true;
            break;
        }
        left -= 1;
        let paragraph = paragraph.strip_suffix('\r').unwrap_or(paragraph);
        let (pieces, was_cut) = pieces(paragraph, setting, left);
        left -= pieces.len();
        is_cut |= was_cut;
        let mut line = Line::default();
        let (mut pen, mut start, mut index) = (0.0_f32, 0, 0);
        // The piece after the last place to break at, with the pen and the number of glyphs there.
        let mut good: Option<(usize, usize, f32)> = None;
        while index < pieces.len() {
            let piece = &pieces[index];
            let kern = if index > start { kerning(setting, &pieces[index - 1], piece) } else { 0.0 };
            let advance = if piece.is_tab { tab - pen.rem_euclid(tab) } else { piece.advance };
            let end = pen + kern + advance;
            // Blanks hang over the edge.
            if end > max * 1.0001 && index > start && !piece.is_space {
                let (next, glyphs, width) = good.unwrap_or((index, line.glyphs.len(), line.width));
                line.glyphs.truncate(glyphs);
                line.width = width;
                lines.push(std::mem::take(&mut line));
                (pen, start, index, good) = (0.0, next, next, None);
                continue;
            }
            if !piece.is_space {
                if !piece.key.is_blank() {
                    line.glyphs.push((piece.key, pen + kern));
                }
                line.width = end;
            }
            pen = end;
            index += 1;
            if piece.breaks {
                good = Some((index, line.glyphs.len(), line.width));
            }
        }
        lines.push(line);
    }
    (lines, is_cut)
}

fn kerning(setting: &Setting<'_>, left: &Piece, right: &Piece) -> f32 {
    let (Some((a, left)), Some((b, right))) = (left.glyph, right.glyph) else { return 0.0 };
    match (a, &setting.given) {
        _ if a != b => 0.0,
        (Of::Bundled(choice), _) => font::kerning(choice.font.face(), left, right) as f32,
        (Of::Given, Some((font, face))) => font.kerning(face, left, right),
        (Of::Given, None) => 0.0,
    }
}

fn pieces(paragraph: &str, setting: &Setting<'_>, most: usize) -> (Vec<Piece>, bool) {
    let mut breaks = linebreaks(paragraph)
        .filter(|(_, kind)| *kind == BreakOpportunity::Allowed)
        .map(|(place, _)| place)
        .peekable();
    let mut pieces = Vec::new();
    for (start, grapheme) in paragraph.grapheme_indices(true) {
        if pieces.len() >= most {
            return (pieces, true);
        }
        let end = start + grapheme.len();
        while breaks.peek().is_some_and(|place| *place < end) {
            breaks.next();
        }
        pieces.push(Piece { breaks: breaks.peek() == Some(&end), ..piece(grapheme, setting) });
    }
    (pieces, false)
}

fn piece(grapheme: &str, setting: &Setting<'_>) -> Piece {
    let Setting { given, face, style } = setting;
    let (face, style) = (*face, *style);
    let cluster = Cluster::new(grapheme);
    let base = cluster.base();
    let key = Key { cluster, style, place: crate::Place::Text(face) };
    let is_tab = base == '\t';
    let is_space = is_tab || (base.is_whitespace() && base != '\u{A0}' && base != '\u{202F}');
    let mut piece = Piece { key, advance: 0.0, glyph: None, is_space, is_tab, breaks: false };
    if base.is_control() || is_ignorable(base) {
        return piece;
    }
    // A letter whose marks the font has not is better taken whole from elsewhere.
    let has_marks = |tables| {
        let mut marks = cluster.characters().skip(1);
        marks.all(|mark| is_ignorable(mark) || font::glyph(tables, mark).is_some())
    };
    if let Some((font, tables)) = given
        && !wants_color(&cluster)
        && has_marks(tables)
        && let Some(found) = font::glyph(tables, base)
    {
        piece.key.place = crate::Place::Text(TextFace::Given(font.id()));
        piece.advance = font.advance(tables, found, style);
        piece.glyph = Some((Of::Given, found));
        return piece;
    }
    let own = || {
        let (_, choice) = bundled::choose(face, style, base)?;
        let found = font::glyph(choice.font.face(), base)?;
        Some((choice, found))
    };
    match own().filter(|_| !wants_color(&cluster)) {
        Some((choice, found)) => {
            piece.advance = font::advance(choice.font.face(), found) as f32;
            piece.glyph = Some((Of::Bundled(choice), found));
        }
        None if base.is_whitespace() => {
            piece.advance = 0.5 * UnicodeWidthStr::width(grapheme).min(2) as f32;
        }
        None => piece.advance = foreign_advance(face, &cluster),
    }
    piece
}
