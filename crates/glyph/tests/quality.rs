// SPDX-License-Identifier: AGPL-3.0-or-later
//! Glyphs against the shapes that they stand for, and text against what a perfect renderer would show.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; the figures are for their readers")]

use hearth_glyph::{Bounds, Bundled, Correction, Glyph, Kind, cpu};

/// What is checked of each bundled font. Shades and blocks are drawn, not taken from a font.
fn characters() -> impl Iterator<Item = char> {
    let ranges = [(0x21, 0x7E), (0xA1, 0xFF), (0x370, 0x3FF), (0x400, 0x45F), (0x2500, 0x257F)];
    ranges.into_iter().flat_map(|(first, last)| (first..=last).filter_map(char::from_u32))
}

/// Pixels at 96 pixels an em that are off by more than a half.
fn wrong(font: Bundled, character: char, glyph: &Glyph) -> usize {
    let b = glyph.bounds;
    let size = |em: f32| (em * 96.0).round() as usize;
    let (width, height) = (size(b.width()), size(b.height()));
    let truth = font.coverage(character, b, width, height, 4).unwrap();
    let footprint = cpu::Footprint::front(96.0);
    let mut count = 0;
    for y in 0..height {
        for x in 0..width {
            let at = [b.left + (x as f32 + 0.5) / 96.0, b.top - (y as f32 + 0.5) / 96.0];
            let seen = cpu::coverage(glyph, at, &footprint);
            if (seen - truth[y * width + x]).abs() > 0.5 {
                count += 1;
            }
        }
    }
    count
}

#[test]
fn no_glyph_of_the_bundled_fonts_has_wrong_pixels() {
    let mut report = String::new();
    let mut bad = Vec::new();
    for font in Bundled::ALL {
        let (mut count, mut touched, mut single) = (0, 0, Vec::new());
        let mut worst = 0;
        let start = std::time::Instant::now();
        let glyphs: Vec<(char, Glyph)> = characters()
            .filter(|c| font.has(*c))
            .map(|c| (c, font.make(c).unwrap()))
            .filter(|(_, glyph)| glyph.kind == Kind::Distance)
            .collect();
        let each_ms = start.elapsed().as_secs_f64() * 1e3 / glyphs.len() as f64;
        for (character, glyph) in &glyphs {
            count += 1;
            match glyph.correction {
                Correction::None => {}
                Correction::Texels(_) => touched += 1,
                Correction::Single => single.push(*character),
            }
            let wrong = wrong(font, *character, glyph);
            worst = worst.max(wrong);
            if wrong >= 6 {
                bad.push((font, *character, wrong, glyph.correction));
            }
        }
        report += &format!(
            "{font:?}: {count} glyphs, {touched} with corrected texels, {} with one distance {:?}, \
             at most {worst} wrong pixels, {each_ms:.2} ms a glyph\n",
            single.len(),
            single.iter().take(40).collect::<String>()
        );
    }
    println!("{report}");
    assert!(bad.is_empty(), "{bad:?}\n{report}");
}

const TEXT: [&str; 5] = [
    "fn main() { let x = &mut v[i..=j]; x += 0x7F_u8 }",
    "The quick brown fox jumps over the lazy dog, 1234",
    "if (a->b != NULL && c >= 3 || !d) { return ~e ^ f",
    "#include <stdio.h> // %s \"quoted\" 'text' $HOME @w",
    "   Compiling serde v1.0.219 (5/48) [=>   ] 12.3s",
];
const COLUMNS: usize = 48;

/// The error in dB of a sheet of text as the shader's arithmetic draws it, against 16×16 samples a pixel;
/// seen from the front, or turned by 60° about the upright, so that it is half as wide and the rest of the
/// picture is empty.
fn psnr(pixels_per_em: f32, slant: bool) -> f64 {
    let font = Bundled::MonoRegular;
    let (cell_w, cell_h, descent) = (0.6_f32, 1.32_f32, -0.3_f32);
    let squeeze = if slant { 0.5 } else { 1.0 };
    let step = [1.0 / (pixels_per_em * squeeze), 1.0 / pixels_per_em];
    let footprint = cpu::Footprint { right: [step[0], 0.0], down: [0.0, -step[1]] };
    let (mut sum, mut count) = (0.0_f64, 0_usize);
    // At large sizes, fewer characters say the same.
    let columns = if pixels_per_em > 48.0 { 16 } else { COLUMNS };
    for (row, line) in TEXT.iter().enumerate() {
        for (column, character) in line.chars().take(columns).enumerate() {
            // Whole pixels that have their middle in the cell, wherever the cell falls on them.
            let (x0, y0) = (column as f32 * cell_w, row as f32 * cell_h);
            let first_x = (x0 / step[0] - 0.5).ceil();
            let first_y = (y0 / step[1] - 0.5).ceil();
            let width = ((x0 + cell_w) / step[0] - 0.5).ceil() - first_x;
            let height = ((y0 + cell_h) / step[1] - 0.5).ceil() - first_y;
            if character == ' ' {
                count += (width * height) as usize;
                continue;
            }
            let glyph = font.make(character).unwrap();
            let left = first_x * step[0] - x0;
            let top = y0 + cell_h + descent - first_y * step[1];
            let bounds = Bounds { left, top, right: left + width * step[0], bottom: top - height * step[1] };
            let truth = font.coverage(character, bounds, width as usize, height as usize, 16).unwrap();
            for y in 0..height as usize {
                for x in 0..width as usize {
                    let at = [left + (x as f32 + 0.5) * step[0], top - (y as f32 + 0.5) * step[1]];
                    let seen = cpu::coverage(&glyph, at, &footprint);
                    let error = f64::from(seen - truth[y * width as usize + x]);
                    sum += error * error;
                    count += 1;
                }
            }
        }
    }
    let empty = if slant { 2.0 } else { 1.0 };
    -10.0 * (sum / (count as f64 * empty)).log10()
}

#[test]
fn text_is_as_good_as_measured_for_the_design() {
    let mut report = String::new();
    let mut is_good = true;
    for (size, slant, least) in [
        (6.0, false, 34.0),
        (12.0, false, 39.0),
        (24.0, false, 43.0),
        (96.0, false, 42.0),
        (12.0, true, 38.0),
        (24.0, true, 43.9),
    ] {
        let found = psnr(size, slant);
        is_good &= found >= least;
        report += &format!("{size} px, slant {slant}: {found:.2} dB, at least {least}\n");
    }
    println!("{report}");
    assert!(is_good, "{report}");
}
