// SPDX-License-Identifier: AGPL-3.0-or-later
//! What fills cells joins its neighbours, at every size.

#![allow(clippy::unwrap_used, reason = "tests")]

use hearth_glyph::{Glyph, Key, Kind, Metrics, Source, Style, cpu, make};

fn cell(character: char) -> Glyph {
    make(&Source::bundled(), &Key::cell(character, "", Style::default(), false))
}

/// Coverage of the pixel with its middle at (`x`, `y`) pixels from the upper left of a grid of these cells:
/// each tap is taken from the cell that it falls into, as a shader over the grid does.
fn pixel(grid: &[Vec<Glyph>], size: f32, x: f32, y: f32) -> f32 {
    let m = Metrics::mono();
    let (w, h) = (m.cell_width * size, m.line_height * size);
    let footprint = cpu::Footprint::front(size);
    let clip = [0.0, m.descent, m.cell_width, m.ascent];
    // The cells that the pixel may touch: coverage within a cell counts the taps in it alone.
    let mut sum = 0.0;
    for (row, cells) in grid.iter().enumerate() {
        for (column, glyph) in cells.iter().enumerate() {
            let (left, top) = (column as f32 * w, row as f32 * h);
            if x + 0.5 < left || x - 0.5 > left + w || y + 0.5 < top || y - 0.5 > top + h {
                continue;
            }
            let at = [(x - left) / size, m.ascent - (y - top) / size];
            sum += cpu::coverage_within(glyph, at, &footprint, Some(clip));
        }
    }
    sum
}

const SIZES: [f32; 6] = [7.3, 11.0, 13.7, 24.0, 41.3, 97.1];

#[test]
fn full_blocks_leave_no_gap() {
    let grid: Vec<Vec<Glyph>> = (0..3).map(|_| (0..7).map(|_| cell('█')).collect()).collect();
    let m = Metrics::mono();
    for size in SIZES {
        let (columns, rows) = ((7.0 * m.cell_width * size) as usize, (3.0 * m.line_height * size) as usize);
        for y in 1..rows - 1 {
            for x in 1..columns - 1 {
                let seen = pixel(&grid, size, x as f32 + 0.5, y as f32 + 0.5);
                assert!((seen - 1.0).abs() < 1e-3, "{seen} at {x}, {y} of size {size}");
            }
        }
    }
}

#[test]
fn lines_are_as_dark_at_the_seams_as_between_them() {
    let m = Metrics::mono();
    for (characters, is_upright) in
        [("─", false), ("━", false), ("═", false), ("┼─", false), ("│", true), ("┃", true), ("║", true)]
    {
        for size in SIZES {
            let pattern: Vec<char> = characters.chars().collect();
            let count = 6;
            let row = |n: usize| (0..n).map(|i| cell(pattern[i % pattern.len()])).collect::<Vec<_>>();
            let grid = if is_upright { (0..count).map(|_| row(1)).collect() } else { vec![row(count)] };
            let (along, across) = if is_upright {
                (m.line_height * size, m.cell_width * size)
            } else {
                (m.cell_width * size, m.line_height * size)
            };
            // The sum across the line, at every step along it.
            let mut sums: Vec<f32> = (1..(along * count as f32) as usize - 1)
                .map(|step| {
                    (0..across.ceil() as usize)
                        .map(|other| {
                            let (a, b) = (step as f32 + 0.5, other as f32 + 0.5);
                            if is_upright { pixel(&grid, size, b, a) } else { pixel(&grid, size, a, b) }
                        })
                        .sum()
                })
                .collect();
            // A cross has more in its middle; most of it is as thin as a line.
            sums.sort_by(f32::total_cmp);
            let (least, usual) = (sums[0], sums[sums.len() / 2]);
            assert!(least > 0.2 && least >= 0.97 * usual, "{characters} at {size}: {least} of {usual}");
        }
    }
}

#[test]
fn shades_are_even() {
    for (character, opacity) in [('░', 0.25), ('▒', 0.5), ('▓', 0.75)] {
        let grid = vec![vec![cell(character), cell(character), cell(character)]];
        for size in SIZES {
            for x in 1..(3.0 * 0.6 * size) as usize - 1 {
                let seen = pixel(&grid, size, x as f32 + 0.5, 0.6 * size);
                assert!((seen - opacity).abs() < 1e-3, "{character} {seen}");
            }
        }
    }
}

#[test]
fn every_drawn_character_has_a_tile() {
    let ranges = [(0x2500, 0x259F), (0x2801, 0x28FF), (0xE0B0, 0xE0BF), (0x1FB00, 0x1FB3B)];
    for code in ranges.into_iter().flat_map(|(first, last)| first..=last) {
        let glyph = cell(char::from_u32(code).unwrap());
        assert_eq!((glyph.kind, glyph.clipped), (Kind::Distance, true), "{code:x}");
        assert!(glyph.texels.chunks(4).any(|t| t[0] > 128), "{code:x} is empty");
    }
    assert_eq!(cell('\u{2800}').kind, Kind::Empty);
}

#[test]
fn glyphs_of_other_fonts_fit_their_cells() {
    let m = Metrics::mono();
    for character in ['漢', '⇒', '∀', '\u{F0000}', '☃', '⌘'] {
        for wide in [false, true] {
            let key = Key::cell(character, "", Style::default(), wide);
            let glyph = make(&Source::bundled(), &key);
            let width = m.cell_width * if wide { 2.0 } else { 1.0 };
            // The tile has a margin of four texels at least, and five at most.
            let over = 5.5 / 48.0 + 0.06;
            assert_eq!(glyph.kind, Kind::Distance, "{character}");
            assert!(
                glyph.bounds.left > -over && glyph.bounds.right < width + over,
                "{character} {:?}",
                glyph.bounds
            );
            assert!(
                glyph.bounds.bottom > m.descent - over && glyph.bounds.top < m.ascent + over,
                "{character}"
            );
        }
    }
}

#[test]
fn marks_are_put_over_their_letters() {
    let bare = cell('q');
    let marked = make(&Source::bundled(), &Key::cell('q', "\u{302}", Style::default(), false));
    assert!(marked.bounds.top > bare.bounds.top + 0.05);
    // Composed where Unicode has a character for it.
    assert_eq!(
        Key::cell('e', "\u{301}", Style::default(), false),
        Key::cell('é', "", Style::default(), false)
    );
}
