// SPDX-License-Identifier: AGPL-3.0-or-later
//! Fonts that somebody gives, of good and of bad will.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; the figures are for their readers")]

use hearth_abi::LumpId;
use hearth_glyph::{
    Bounds, Bundled, Cluster, FONT_BYTES_MAX, Face, Font, FontError, Foundry, FoundryOptions, Glyph, Key,
    Kind, Layout, LayoutOptions, Metrics, Place, Source, Style, TILE_MAX, TextFace, cpu, layout, make,
};
use proptest::prelude::*;
use std::time::{Duration, Instant};

const TTF: &[u8] = include_bytes!("files/plain.ttf");
const OTF: &[u8] = include_bytes!("files/plain.otf");
const VARIABLE: &[u8] = include_bytes!("files/variable.ttf");
const COLLECTION: &[u8] = include_bytes!("files/collection.ttc");
const BAD: [&[u8]; 3] = [
    include_bytes!("files/composites.ttf"),
    include_bytes!("files/subroutines.otf"),
    include_bytes!("files/extensions.otf"),
];
const PLAIN: Style = Style { bold: false, italic: false };
const BOLD: Style = Style { bold: true, italic: false };
const ITALIC: Style = Style { bold: false, italic: true };

fn options(font: &Font) -> LayoutOptions<'_> {
    LayoutOptions { face: Face::Lump(LumpId([0; 32])), font: Some(font), ..LayoutOptions::default() }
}

fn key(font: &Font, text: &str, style: Style) -> Key {
    Key { cluster: Cluster::new(text), style, place: Place::Text(TextFace::Given(font.id())) }
}

fn pens(layout: &Layout) -> Vec<i32> {
    layout.glyphs.iter().map(|placed| (placed.x * 1000.0).round() as i32).collect()
}

/// How a glyph is drawn, 24 pixels an em, from 0.5 em above the ascent to below the descent.
fn drawn(glyph: &Glyph) -> Vec<f32> {
    let footprint = cpu::Footprint::front(24.0);
    let pixel = |x: usize, y: usize| [(x as f32 + 0.5) / 24.0 - 0.25, 1.25 - (y as f32 + 0.5) / 24.0];
    (0..40)
        .flat_map(|y| (0..32).map(move |x| pixel(x, y)))
        .map(|at| cpu::coverage(glyph, at, &footprint))
        .collect()
}

fn ink(glyph: &Glyph) -> f32 {
    drawn(glyph).iter().sum::<f32>() / (24.0 * 24.0)
}

fn difference(a: &Glyph, b: &Glyph) -> f32 {
    drawn(a).iter().zip(&drawn(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn text_stands_as_the_font_says() {
    for (bytes, second) in [(TTF, [0, 450, 1150]), (OTF, [0, 450, 1150]), (VARIABLE, [0, 700, 1400])] {
        let font = Font::parse(bytes).unwrap();
        let m = font.metrics();
        assert_eq!([m.ascent, m.descent, m.line_height, m.cell_width], [1.025, -0.275, 1.3, 0.6]);
        let found = layout("AVo\nA V", &options(&font));
        assert_eq!(pens(&found), [&second[..], &[0, 1000]].concat());
        assert!((found.bounds.height() - 2.6).abs() < 1e-4, "{:?}", found.bounds);
        assert_eq!((found.bounds.width() * 1000.0).round() as i32, second[2] + 600);
        let is_of_font = |key: &Key| key.place == Place::Text(TextFace::Given(font.id()));
        assert!(found.glyphs.iter().all(|placed| is_of_font(&placed.key)));
        assert!(font.bytes() >= bytes.len() && font.has('Ä') && !font.has('B'));
    }
    let pairs = Font::parse(OTF).unwrap();
    assert_eq!(pens(&layout("AoÄo", &options(&pairs))), [0, 650, 1250, 1900]);
    // Of a collection the first is taken, which has other pairs.
    let first = Font::parse(COLLECTION).unwrap();
    assert_eq!(pens(&layout("AoAV", &options(&first))), [0, 700, 1300, 1750]);
}

#[test]
fn what_a_font_has_not_comes_from_sans() {
    let font = Font::parse(TTF).unwrap();
    for text in ["B", "A\u{301}", "😀", "漢"] {
        let (given, sans) = (layout(text, &options(&font)), layout(text, &LayoutOptions::default()));
        assert_eq!(given.glyphs[0].key, sans.glyphs[0].key, "{text}");
        assert_eq!(given.bounds.width(), sans.bounds.width(), "{text}");
    }
    // A mark that it has is drawn with its letter.
    let marked = layout("V\u{308}", &options(&font)).glyphs[0].key;
    assert_eq!(marked, key(&font, "V\u{308}", PLAIN));
    let without = LayoutOptions { font: None, ..options(&font) };
    assert_eq!(layout("AVo", &without), layout("AVo", &LayoutOptions::default()));
    assert_eq!(Metrics::of(without.face), Metrics::of(Face::Sans));
    // Other faces do not look at it.
    let mono = LayoutOptions { face: Face::Mono, ..options(&font) };
    assert_eq!(layout("AVo", &mono), layout("AVo", &LayoutOptions { font: None, ..mono }));
}

#[test]
fn outlines_of_both_formats_are_drawn_alike() {
    let fonts = [TTF, OTF, VARIABLE].map(|bytes| Font::parse(bytes).unwrap());
    let source = Source::bundled();
    fonts.iter().for_each(|font| source.add_font(font));
    for text in ["A", "V", "o", "Ä", "0", "V\u{308}"] {
        let [ttf, otf, variable] = fonts.each_ref().map(|font| make(&source, &key(font, text, PLAIN)));
        assert_eq!(ttf.kind, Kind::Distance);
        if text == "o" {
            // A ring of four parabolas is not quite that of four cubics.
            assert!((ink(&ttf) - ink(&otf)).abs() < 0.02, "{} {}", ink(&ttf), ink(&otf));
        } else {
            assert!(difference(&ttf, &otf) <= 0.01, "{text}: {}", difference(&ttf, &otf));
        }
        assert_eq!(ttf, variable, "{text}");
    }
    let zero = make(&source, &key(&fonts[0], "0", PLAIN));
    assert!((ink(&zero) - 0.4).abs() < 0.005, "{}", ink(&zero));
    // A font that is not known any more draws nothing.
    source.remove_font(fonts[0].id());
    assert_eq!(make(&source, &key(&fonts[0], "A", PLAIN)), Glyph::EMPTY);
    assert_eq!(make(&source, &key(&fonts[1], "A", PLAIN)).kind, Kind::Distance);
}

#[test]
fn bold_and_italic_are_made() {
    let font = Font::parse(TTF).unwrap();
    let source = Source::bundled();
    source.add_font(&font);
    let [plain, bold, italic] = [PLAIN, BOLD, ITALIC].map(|style| make(&source, &key(&font, "0", style)));
    // A box of 500 by 800 grows by 1/48 em at each edge; its left edge stays.
    let grown = (0.5 + 1.0 / 24.0) * (0.8 + 1.0 / 24.0);
    assert!((ink(&bold) - grown).abs() < 0.01, "{} {grown}", ink(&bold));
    let at = |glyph: &Glyph, x: f32, y: f32| cpu::distance(glyph, [x, y]);
    assert!(at(&bold, 0.05, 0.4).abs() < 0.1 && at(&bold, 0.55 + 1.0 / 24.0, 0.4).abs() < 0.1);
    assert!((ink(&italic) - ink(&plain)).abs() < 0.01);
    assert!(at(&plain, 0.6, 0.75) < 0.0 && at(&italic, 0.6, 0.75) > 0.0);
    let wide = |style| layout("0A", &LayoutOptions { style, ..options(&font) }).bounds.width();
    assert!((wide(BOLD) - wide(PLAIN) - 2.0 / 24.0).abs() < 1e-4 && wide(ITALIC) == wide(PLAIN));
    // What is bold or slanted already is left as it is.
    let own = Font::parse(include_bytes!("../fonts/JetBrainsMono-BoldItalic.ttf")).unwrap();
    source.add_font(&own);
    let style = Style { bold: true, italic: true };
    let (made, outline) = (make(&source, &key(&own, "g", style)), Bundled::MonoBoldItalic.make('g').unwrap());
    assert_eq!(made, outline);
}

#[test]
fn what_is_no_font_says_why() {
    let reason = |bytes: &[u8]| Font::parse(bytes).unwrap_err().to_string();
    assert_eq!(reason(b""), "not a TrueType or OpenType font that can be read");
    assert_eq!(reason(b"wOF2 and so on"), "not a TrueType or OpenType font that can be read");
    assert!(reason(&TTF[..300]).starts_with("not a TrueType"));
    let without = |tag: &[u8; 4]| {
        let mut bytes = TTF.to_vec();
        let at = bytes.windows(4).position(|found| found == tag).unwrap();
        bytes[at..at + 4].copy_from_slice(b"zzzz");
        Font::parse(&bytes).unwrap_err()
    };
    assert!(matches!(without(b"cmap"), FontError::Characters));
    assert!(matches!(without(b"glyf"), FontError::Outlines));
    let large = vec![0; FONT_BYTES_MAX as usize + 1];
    assert!(matches!(Font::parse(&large), Err(FontError::Large(_))));
}

#[test]
fn what_asks_for_endless_work_is_shown_in_sans() {
    let source = Source::bundled();
    let sans = make(&source, &Key::text(Cluster::from('A'), PLAIN, Face::Sans));
    for bytes in BAD {
        let began = Instant::now();
        let font = Font::parse(bytes).unwrap();
        source.add_font(&font);
        assert!(!layout("AVAVo", &options(&font)).glyphs.is_empty());
        let glyph = make(&source, &key(&font, "A", PLAIN));
        assert!(glyph == sans || std::ptr::eq(bytes, BAD[2]));
        assert_eq!(make(&source, &key(&font, "V", PLAIN)).kind, Kind::Distance);
        assert!(began.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn a_foundry_forgets_a_font() {
    let folder = tempfile::tempdir().unwrap();
    let options = FoundryOptions {
        cache: Some(folder.path().to_owned()),
        system_fonts: false,
        first_set: false,
        threads: 2,
    };
    let foundry = Foundry::new(options).unwrap();
    let font = Font::parse(TTF).unwrap();
    let glyph = key(&font, "A", PLAIN);
    // Not known yet.
    assert_eq!(*foundry.request(glyph).unwrap(), Glyph::EMPTY);
    foundry.add_font(&font);
    assert!(foundry.request(glyph).is_none_or(|made| made.kind == Kind::Distance));
    let mut made = Vec::new();
    while made.is_empty() {
        made = foundry.take_made();
        std::thread::yield_now();
    }
    assert_eq!((made[0].0, made[0].1.kind), (glyph, Kind::Distance));
    foundry.request(key(&font, "V", PLAIN));
    foundry.remove_font(font.id());
    assert_eq!(*foundry.request(glyph).unwrap(), Glyph::EMPTY);
    // Other glyphs are made as before, and nothing of the font comes any more.
    foundry.request(Key::text(Cluster::from('A'), PLAIN, Face::Sans));
    let mut made = Vec::new();
    while made.is_empty() {
        made = foundry.take_made();
        std::thread::yield_now();
    }
    assert!(made.iter().all(|(key, _)| key.place == Place::Text(TextFace::Sans)), "{made:?}");
    drop(foundry);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a file for each font");
    // The same bytes find their tiles there.
    let again = Font::parse(TTF).unwrap();
    assert_ne!(again.id(), font.id());
}

/// All that is done with a font of a stranger.
fn use_it(bytes: &[u8]) {
    let Ok(font) = Font::parse(bytes) else { return };
    let source = Source::bundled();
    source.add_font(&font);
    let m = font.metrics();
    assert!(m.line_height > 0.1 && m.line_height < 5.0 && m.cell_width > 0.0);
    let text = "AVoÄ 0\nV\u{308}B\tA";
    for style in [PLAIN, Style { bold: true, italic: true }] {
        let found = layout(text, &LayoutOptions { style, width_em: 3.0, ..options(&font) });
        let Bounds { left, bottom, right, top } = found.bounds;
        assert!([left, bottom, right, top].iter().all(|edge| edge.is_finite() && edge.abs() < 1000.0));
        for placed in &found.glyphs {
            assert!(placed.x.is_finite() && placed.y.is_finite());
            let glyph = make(&source, &placed.key);
            assert!(u32::from(glyph.width.max(glyph.height)) <= TILE_MAX);
            assert_eq!(glyph.texels.len(), usize::from(glyph.width) * usize::from(glyph.height) * 4);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_damaged_font_is_no_danger(
        which in 0..7_usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = [TTF, OTF, VARIABLE, COLLECTION, BAD[0], BAD[1], BAD[2]][which].to_vec();
        for (place, value) in &damage {
            let at = place.index(bytes.len());
            bytes[at] = *value;
        }
        use_it(&bytes);
    }

    #[test]
    fn a_damaged_large_font_is_no_danger(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..60),
    ) {
        let mut bytes = include_bytes!("../fonts/JetBrainsMono-Regular.ttf").to_vec();
        for (index, (place, value)) in damage.iter().enumerate() {
            let end = if index % 2 == 0 { 4096 } else { bytes.len() };
            let at = place.index(end);
            bytes[at] = *value;
        }
        use_it(&bytes);
    }

    #[test]
    fn any_bytes_are_a_font_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        use_it(&bytes);
    }
}
