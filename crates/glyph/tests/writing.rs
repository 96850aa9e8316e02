// SPDX-License-Identifier: AGPL-3.0-or-later
//! Layout, the foundry, and bytes that mean no good.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; the figures are for their readers")]

use hearth_glyph::{
    Align, Anchor, Face, Foundry, FoundryOptions, GLYPHS_MAX, Key, Kind, Layout, LayoutOptions, Metrics,
    Source, Style, layout, make, make_from_bytes,
};
use proptest::prelude::*;

/// The lines as they read, by baselines; a blank wherever pens are apart does not show.
fn lines(layout: &Layout) -> Vec<String> {
    let mut lines: Vec<(f32, String)> = Vec::new();
    for placed in &layout.glyphs {
        match lines.last_mut() {
            Some((y, line)) if *y == placed.y => line.extend(placed.key.cluster.characters()),
            _ => lines.push((placed.y, placed.key.cluster.characters().collect())),
        }
    }
    lines.into_iter().map(|(_, line)| line).collect()
}

fn mono(columns: f32) -> LayoutOptions<'static> {
    let width_em = columns * Metrics::mono().cell_width;
    LayoutOptions { face: Face::Mono, width_em, ..LayoutOptions::default() }
}

#[test]
fn text_is_wrapped_at_blanks_and_long_words_anywhere() {
    for (text, columns, expected) in [
        ("one two three", 7.0, &["onetwo", "three"][..]),
        ("one two three", 0.0, &["onetwothree"]),
        ("one two", 3.0, &["one", "two"]),
        ("abcdefgh", 3.0, &["abc", "def", "gh"]),
        ("well-known", 6.0, &["well-", "known"]),
        ("a\nb\r\nc", 0.0, &["a", "b", "c"]),
        ("e\u{301}e\u{301}", 1.0, &["é", "é"]),
        ("漢字仮名", 4.0, &["漢字", "仮名"]),
        ("a    b", 2.0, &["a", "b"]),
        ("", 5.0, &[]),
    ] {
        assert_eq!(lines(&layout(text, &mono(columns))), expected, "{text:?}");
    }
}

#[test]
fn lines_are_aligned_and_anchored() {
    let m = Metrics::mono();
    for (align, first, second) in
        [(Align::Left, 0.0, 0.0), (Align::Center, -2.0, -1.0), (Align::Right, -4.0, -2.0)]
    {
        let options = LayoutOptions { align, ..mono(0.0) };
        let placed = layout("abcd\nef", &options).glyphs;
        let near = |a: f32, b: f32| (a - b * m.cell_width).abs() < 1e-4;
        assert!(near(placed[0].x, first) && near(placed[4].x, second), "{align:?} {placed:?}");
    }
    let height = 2.0 * m.line_height;
    for (anchor, top) in [
        (Anchor::Top, 0.0),
        (Anchor::Middle, height / 2.0),
        (Anchor::Bottom, height),
        (Anchor::Baseline, m.ascent),
    ] {
        let found = layout("abcd\nef", &LayoutOptions { anchor, ..mono(0.0) });
        assert!((found.bounds.top - top).abs() < 1e-4 && (found.bounds.height() - height).abs() < 1e-4);
        assert!((found.glyphs[0].y - (top - m.ascent)).abs() < 1e-4);
        assert!((found.bounds.width() - 4.0 * m.cell_width).abs() < 1e-4);
    }
}

#[test]
fn tabs_stand_in_columns_and_letters_are_kerned() {
    let m = Metrics::mono();
    let tabs = layout("a\tb\tc", &mono(0.0)).glyphs;
    assert!((tabs[1].x - 8.0 * m.cell_width).abs() < 1e-4 && (tabs[2].x - 16.0 * m.cell_width).abs() < 1e-4);
    let width = |text| layout(text, &LayoutOptions::default()).bounds.width();
    assert!(width("AV") < width("A") + width("V") - 0.02);
    assert_eq!(width("漢"), 1.0);
}

#[test]
fn a_long_text_is_cut() {
    for text in ["x".repeat(GLYPHS_MAX + 10), "\n".repeat(GLYPHS_MAX + 10)] {
        let found = layout(&text, &LayoutOptions::default());
        assert!(found.is_cut && found.glyphs.len() <= GLYPHS_MAX && found.lines <= GLYPHS_MAX + 1);
    }
    assert!(!layout("short", &LayoutOptions::default()).is_cut);
}

#[test]
fn a_foundry_makes_what_is_asked_and_keeps_it_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let options = FoundryOptions {
        cache: Some(folder.path().to_owned()),
        system_fonts: false,
        first_set: false,
        threads: 2,
    };
    let keys: Vec<Key> = "Hearth↯"
        .chars()
        .map(|character| Key::cell(character, "", Style { bold: true, italic: false }, false))
        .collect();
    let collect = || {
        let foundry = Foundry::new(options.clone()).unwrap();
        let mut made = std::collections::BTreeMap::new();
        // Blank needs no making.
        let blank = Key::cell(' ', "", Style::default(), false);
        assert_eq!(foundry.request(blank).unwrap().kind, Kind::Empty);
        for key in &keys {
            assert!(foundry.request(*key).is_none_or(|glyph| glyph.kind == Kind::Distance));
        }
        while made.len() < keys.len() {
            made.extend(foundry.take_made());
            std::thread::yield_now();
        }
        for (key, glyph) in &made {
            assert!(std::sync::Arc::ptr_eq(glyph, &foundry.request(*key).unwrap()));
        }
        made
    };
    let first = collect();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a file for each of two fonts");
    let second = collect();
    assert_eq!(first, second);
    for (key, glyph) in first {
        assert_eq!(*glyph, make(&Source::bundled(), &key));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_laid_out(
        text in any::<String>(),
        width in prop_oneof![Just(0.0_f32), 0.1_f32..30.0, Just(f32::NAN), Just(f32::INFINITY), Just(-1.0)],
        spacing in prop_oneof![0.1_f32..4.0, Just(f32::NAN), Just(f32::MAX)],
        is_mono in any::<bool>(), bold in any::<bool>(), align in 0..3,
    ) {
        let options = LayoutOptions {
            face: if is_mono { Face::Mono } else { Face::Sans },
            font: None,
            style: Style { bold, italic: bold },
            align: [Align::Left, Align::Center, Align::Right][align as usize],
            anchor: Anchor::Middle,
            width_em: width,
            line_spacing: spacing,
        };
        let found = layout(&text, &options);
        prop_assert!(found.glyphs.len() <= text.chars().count());
        let b = found.bounds;
        for placed in &found.glyphs {
            prop_assert!(placed.x.is_finite() && placed.y.is_finite());
            prop_assert!(b.left - 1.0 <= placed.x && placed.x <= b.right + 1.0);
            prop_assert!(b.bottom - 1.0 <= placed.y && placed.y <= b.top + 1.0);
        }
    }

    #[test]
    fn any_character_has_a_glyph(character in any::<char>(), marks in "[\u{300}-\u{36F}]{0,3}", wide in any::<bool>()) {
        let glyph = make(&Source::bundled(), &Key::cell(character, &marks, Style::default(), wide));
        prop_assert_eq!(glyph.texels.len(), usize::from(glyph.width) * usize::from(glyph.height) * 4);
    }

    #[test]
    fn any_bytes_are_a_font_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(make_from_bytes(&bytes, 0, 'a').is_err());
    }

    #[test]
    fn a_damaged_font_is_no_danger(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..60),
        character in "[ -~]",
    ) {
        let mut bytes = include_bytes!("../fonts/DejaVuSansMono.ttf").to_vec();
        // Most bytes are outlines; the tables' heads are where it hurts.
        for (index, (place, value)) in damage.iter().enumerate() {
            let end = if index % 2 == 0 { 4096 } else { bytes.len() };
            let at = place.index(end);
            bytes[at] = *value;
        }
        let character = character.chars().next().unwrap();
        if let Ok(glyph) = make_from_bytes(&bytes, 0, character) {
            prop_assert!(u32::from(glyph.width.max(glyph.height)) <= hearth_glyph::TILE_MAX);
        }
    }
}
