// SPDX-License-Identifier: AGPL-3.0-or-later
//! Text as meshes: a small font of 5 × 7 dots, for name tags and labels.
//!
//! It has the letters, digits and signs of ASCII. Letters with common accents lose them; what else is
//! not there is a hollow box.

use crate::{
    math::{Vec3, vec3},
    mesh::Shape,
};

mod dots;

/// From one character to the next, in dots.
pub const ADVANCE: f32 = 6.0;
/// From one line to the next, in dots.
pub const LINE: f32 = 10.0;
/// Height of a capital letter, in dots.
pub const CAPITAL: f32 = 7.0;

const UNKNOWN: [u8; 7] = [0b11111, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b11111];

fn rows(character: char) -> [u8; 7] {
    let plain = match character {
        ' ' | '\u{a0}' => return [0; 7],
        'à'..='å' => 'a',
        'ç' => 'c',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ñ' => 'n',
        'ò'..='ö' | 'ø' => 'o',
        'ù'..='ü' => 'u',
        'ý' | 'ÿ' => 'y',
        'À'..='Å' => 'A',
        'Ç' => 'C',
        'È'..='Ë' => 'E',
        'Ì'..='Ï' => 'I',
        'Ñ' => 'N',
        'Ò'..='Ö' | 'Ø' => 'O',
        'Ù'..='Ü' => 'U',
        '–' | '—' | '−' => '-',
        '‘' | '’' => '\'',
        '“' | '”' => '"',
        other => other,
    };
    let index = (plain as u32).wrapping_sub('!' as u32) as usize;
    dots::ROWS.get(index).copied().unwrap_or(UNKNOWN)
}

/// The width and the height of a text in metres, for a capital letter of this height. The tails of
/// letters like `g` reach one dot lower.
pub fn size(text: &str, capital: f32) -> [f32; 2] {
    let dot = capital / CAPITAL;
    let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0) as f32;
    let lines = text.lines().count() as f32;
    [(longest * ADVANCE - 1.0).max(0.0) * dot, ((lines - 1.0) * LINE + CAPITAL).max(0.0) * dot]
}

/// A text in the xy plane, seen from +Z, with capital letters of this height in metres. Its lines are
/// parted by line feeds; it begins at the left upper corner, which is the origin.
pub fn text(text: &str, capital: f32) -> Shape {
    let dot = capital / CAPITAL;
    let mut shape = Shape::new();
    for (line, characters) in text.lines().enumerate() {
        for (column, character) in characters.chars().enumerate() {
            let left = column as f32 * ADVANCE;
            let drop = if matches!(character, 'g' | 'p' | 'q' | 'y' | 'ý' | 'ÿ') { 1.0 } else { 0.0 };
            for (row, bits) in rows(character).into_iter().enumerate() {
                let top = -(line as f32 * LINE + row as f32 + drop);
                for (from, to) in runs(bits) {
                    let corner = |x: u32, y: f32| vec3((left + x as f32) * dot, (top + y) * dot, 0.0);
                    shape.polygon(&[
                        corner(from, -1.0),
                        corner(to, -1.0),
                        corner(to, 0.0),
                        corner(from, 0.0),
                    ]);
                }
            }
        }
    }
    shape
}

/// A text as [`text`] makes it, with the origin at its middle.
pub fn text_mesh(line: &str, capital: f32) -> Shape {
    let [width, height] = size(line, capital);
    text(line, capital).moved(Vec3 { x: -width * 0.5, y: height * 0.5, z: 0.0 })
}

/// The runs of set bits among five, as first and last plus one, from the left: one quad for each run
/// instead of one for each dot.
fn runs(bits: u8) -> impl Iterator<Item = (u32, u32)> {
    let set = move |column: u32| column < 5 && bits >> (4 - column) & 1 == 1;
    (0..5).filter(move |column| set(*column) && (*column == 0 || !set(*column - 1))).map(move |from| {
        let to = (from..=5).find(|column| !set(*column)).unwrap_or(5);
        (from, to)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dots of a text, drawn back from its mesh.
    fn drawn(line: &str) -> String {
        let shape = text(line, CAPITAL);
        let mut grid = vec![vec!['.'; line.chars().count() * 6]; 7];
        for quad in shape.mesh().positions.chunks_exact(4) {
            let (left, right, top) = (quad[0][0] as usize, quad[1][0] as usize, -quad[2][1] as usize);
            grid[top][left..right].fill('#');
        }
        grid.into_iter().map(|row| row.into_iter().collect::<String>() + "\n").collect()
    }

    #[test]
    fn letters_look_like_letters() {
        assert_eq!(
            drawn("Hi"),
            "#...#...#...\n#...#.......\n#...#..##...\n#####...#...\n#...#...#...\n#...#...#...\n#...#..###..\n"
        );
    }

    #[test]
    fn every_sign_of_ascii_differs_from_every_other() {
        for a in '!'..='~' {
            for b in ' '..a {
                assert_ne!(rows(a), rows(b), "{a} and {b}");
            }
        }
        assert_eq!(rows('ü'), rows('u'));
        assert_eq!(rows('語'), UNKNOWN);
    }

    #[test]
    fn a_text_lies_within_its_size_about_its_middle() {
        for line in ["Q", "Hearth of Ada", "two\nlines"] {
            let [width, height] = size(line, 0.2);
            for [x, y, z] in &text_mesh(line, 0.2).mesh().positions {
                assert!(
                    x.abs() <= width * 0.5 + 1e-5 && y.abs() <= height * 0.5 + 1e-5 && *z == 0.0,
                    "{line}"
                );
            }
        }
        assert_eq!(text_mesh("", 1.0).triangles(), 0);
    }
}
