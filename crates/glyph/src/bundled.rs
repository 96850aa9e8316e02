// SPDX-License-Identifier: AGPL-3.0-or-later
//! The fonts that come with the program, and what the faces measure.

use crate::{
    Metrics, Style, TextFace,
    font::{self, Bytes, FontFile},
};
use std::sync::OnceLock;

/// A font that comes with the program. Their licences stand beside them in `fonts/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum Bundled {
    /// JetBrains Mono.
    MonoRegular,
    /// JetBrains Mono Bold.
    MonoBold,
    /// JetBrains Mono Italic.
    MonoItalic,
    /// JetBrains Mono Bold Italic.
    MonoBoldItalic,
    /// DejaVu Sans.
    Sans,
    /// DejaVu Sans Bold.
    SansBold,
    /// DejaVu Sans Mono: for what JetBrains Mono has not.
    MonoFallback,
}

impl Bundled {
    /// All of them.
    pub const ALL: [Bundled; 7] = [
        Bundled::MonoRegular,
        Bundled::MonoBold,
        Bundled::MonoItalic,
        Bundled::MonoBoldItalic,
        Bundled::Sans,
        Bundled::SansBold,
        Bundled::MonoFallback,
    ];

    const fn bytes(self) -> &'static [u8] {
        match self {
            Bundled::MonoRegular => include_bytes!("../fonts/JetBrainsMono-Regular.ttf"),
            Bundled::MonoBold => include_bytes!("../fonts/JetBrainsMono-Bold.ttf"),
            Bundled::MonoItalic => include_bytes!("../fonts/JetBrainsMono-Italic.ttf"),
            Bundled::MonoBoldItalic => include_bytes!("../fonts/JetBrainsMono-BoldItalic.ttf"),
            Bundled::Sans => include_bytes!("../fonts/DejaVuSans.ttf"),
            Bundled::SansBold => include_bytes!("../fonts/DejaVuSans-Bold.ttf"),
            Bundled::MonoFallback => include_bytes!("../fonts/DejaVuSansMono.ttf"),
        }
    }

    /// Whether this font has a glyph for the character.
    pub fn has(self, character: char) -> bool {
        font::glyph(self.face(), character).is_some()
    }

    pub(crate) fn font(self) -> &'static FontFile {
        static FONTS: [OnceLock<FontFile>; 7] = [const { OnceLock::new() }; 7];
        FONTS[self as usize].get_or_init(|| {
            FontFile::new(Bytes::Bundled(self.bytes()), 0).expect("the bundled fonts are read by the tests")
        })
    }

    pub(crate) fn face(self) -> &'static ttf_parser::Face<'static> {
        static FACES: [OnceLock<ttf_parser::Face<'static>>; 7] = [const { OnceLock::new() }; 7];
        FACES[self as usize].get_or_init(|| {
            ttf_parser::Face::parse(self.bytes(), 0).expect("the bundled fonts are read by the tests")
        })
    }
}

/// A font, and whether its letters must be slanted to look italic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) font: Bundled,
    pub(crate) slant: bool,
}

/// In which order the bundled fonts are asked for a character. The first is the face itself.
pub(crate) fn order(face: TextFace, style: Style) -> [Choice; 3] {
    let mono = match (style.bold, style.italic) {
        (false, false) => Bundled::MonoRegular,
        (true, false) => Bundled::MonoBold,
        (false, true) => Bundled::MonoItalic,
        (true, true) => Bundled::MonoBoldItalic,
    };
    let sans = if style.bold { Bundled::SansBold } else { Bundled::Sans };
    let mono = Choice { font: mono, slant: false };
    let sans = Choice { font: sans, slant: style.italic };
    let fallback = Choice { font: Bundled::MonoFallback, slant: style.italic };
    match face {
        TextFace::Mono => [mono, fallback, sans],
        TextFace::Sans | TextFace::Given(_) => [sans, mono, fallback],
    }
}

/// The first of the bundled fonts that has the character.
pub(crate) fn choose(face: TextFace, style: Style, character: char) -> Option<(usize, Choice)> {
    order(face, style).into_iter().enumerate().find(|(_, choice)| choice.font.has(character))
}

/// What the face measures; for a font that was given, what the face that stands in for it does.
pub(crate) fn metrics(face: TextFace) -> Metrics {
    static METRICS: [OnceLock<Metrics>; 2] = [const { OnceLock::new() }; 2];
    *METRICS[usize::from(face == TextFace::Mono)].get_or_init(|| {
        let face = order(face, Style::default())[0].font.face();
        let unit = font::per_unit(face) as f32;
        let line = face.underline_metrics();
        let strikeout = face.strikeout_metrics();
        let (ascent, descent) = (f32::from(face.ascender()) * unit, f32::from(face.descender()) * unit);
        let digit = font::glyph(face, '0').map_or(0.6, |glyph| font::advance(face, glyph) as f32);
        Metrics {
            cell_width: digit,
            line_height: ascent - descent,
            ascent,
            descent,
            underline: line.map_or(-0.15, |line| f32::from(line.position) * unit),
            strikeout: strikeout.map_or(0.3, |line| f32::from(line.position) * unit),
            line_thickness: line.map_or(0.05, |line| f32::from(line.thickness) * unit),
        }
    })
}
