// SPDX-License-Identifier: AGPL-3.0-or-later
//! Characters that must join their neighbours: lines, blocks, braille, the triangles of status lines.
//!
//! They are drawn for the cell, not taken from a font. A shape that touches the edge of its cell goes on
//! beyond it, so that the field knows of no edge there: whoever samples it up to the edge of the cell, and
//! no farther, sees no seam at any size.

use crate::{
    Metrics,
    outline::{Affine, Contour, Outline, Point, Rect, Segment},
};

/// How far shapes go on beyond the cell, in em: more than the field reaches.
const BEYOND: f64 = 0.25;
/// Thickness of a light line, and of each of a double one.
const LIGHT: f64 = 0.066;
const HEAVY: f64 = 0.14;
/// From the middle of a double line to the middle of each of its two.
const APART: f64 = 0.075;

/// A shape over the whole cell.
pub(crate) struct Shape {
    /// In em from the pen on the baseline.
    pub(crate) outline: Outline,
    /// Factor of the coverage.
    pub(crate) opacity: f32,
}

/// Whether a character is drawn here.
pub(crate) fn is_procedural(character: char) -> bool {
    matches!(u32::from(character), 0x2500..=0x259F | 0x2800..=0x28FF | 0xE0B0..=0xE0BF | 0x1FB00..=0x1FB3B)
}

/// The shape of a character in a cell of this width.
pub(crate) fn shape(character: char, width: f64, metrics: &Metrics) -> Option<Shape> {
    let cell = Cell { w: width, h: f64::from(metrics.line_height) };
    let mut out = Outline::default();
    let mut opacity = 1.0;
    let code = u32::from(character);
    match code {
        0x2500..=0x257F => lines(cell, code, &mut out),
        0x2591..=0x2593 => {
            opacity = 0.25 * (code - 0x2590) as f32;
            cell.fill(&mut out, [0.0, 0.0, 1.0, 1.0]);
        }
        0x2580..=0x259F => blocks(cell, code, &mut out),
        0x2800..=0x28FF => braille(cell, code, &mut out),
        0xE0B0..=0xE0BF => powerline(cell, code, &mut out),
        0x1FB00..=0x1FB3B => {
            // Numbered by their six bits, without the two that are half blocks, and without none and all.
            let number = code - 0x1FB00 + 1;
            let bits = number + u32::from(number >= 21) + u32::from(number + 1 >= 42);
            for bit in (0..6).filter(|bit| bits >> bit & 1 == 1) {
                let (column, row) = (f64::from(bit % 2), f64::from(bit / 2));
                let (low, high) = (1.0 - (row + 1.0) / 3.0, 1.0 - row / 3.0);
                cell.fill(&mut out, [column / 2.0, low, (column + 1.0) / 2.0, high]);
            }
        }
        _ => return None,
    }
    out.transform(&Affine::shift(0.0, f64::from(metrics.descent)));
    Some(Shape { outline: out, opacity })
}

/// Size in em; the lower left corner is the origin here.
#[derive(Clone, Copy)]
struct Cell {
    w: f64,
    h: f64,
}

impl Cell {
    /// A rectangle in fractions of the cell: left, bottom, right, top. Sides on an edge go beyond it.
    fn fill(self, out: &mut Outline, [left, bottom, right, top]: [f64; 4]) {
        let low = |v: f64, size: f64| if v <= 0.0 { -BEYOND } else { v * size };
        let high = |v: f64, size: f64| if v >= 1.0 { size + BEYOND } else { v * size };
        out.rect(Rect::new(low(left, self.w), low(bottom, self.h), high(right, self.w), high(top, self.h)));
    }

    fn middle(self) -> Point {
        [self.w / 2.0, self.h / 2.0]
    }

    /// A straight stroke.
    fn stroke(self, out: &mut Outline, from: Point, to: Point, thickness: f64) {
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let size = dx.hypot(dy).max(1e-9);
        let (nx, ny) = (-dy / size * thickness / 2.0, dx / size * thickness / 2.0);
        out.polygon(&[
            [from[0] - nx, from[1] - ny],
            [to[0] - nx, to[1] - ny],
            [to[0] + nx, to[1] + ny],
            [from[0] + nx, from[1] + ny],
        ]);
    }

    /// A stroke that goes on at both ends, as these are on edges of the cell.
    fn long_stroke(self, out: &mut Outline, from: Point, to: Point, thickness: f64) {
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let t = BEYOND / dx.hypot(dy).max(1e-9);
        let ends = [[from[0] - t * dx, from[1] - t * dy], [to[0] + t * dx, to[1] + t * dy]];
        self.stroke(out, ends[0], ends[1], thickness);
    }
}

/// Arms of U+2500 to U+257F: left, right, up, down; 0 none, 1 light, 2 heavy, 3 double. Dots: other shapes.
const ARMS: [&str; 8] = [
    "1100 2200 0011 0022 .... .... .... .... .... .... .... .... 0101 0201 0102 0202",
    "1001 2001 1002 2002 0110 0210 0120 0220 1010 2010 1020 2020 0111 0211 0121 0112",
    "0122 0221 0212 0222 1011 2011 1021 1012 1022 2021 2012 2022 1101 2101 1201 2201",
    "1102 2102 1202 2202 1110 2110 1210 2210 1120 2120 1220 2220 1111 2111 1211 2211",
    "1121 1112 1122 2121 1221 2112 1212 2221 2212 2122 1222 2222 .... .... .... ....",
    "3300 0033 0301 0103 0303 3001 1003 3003 0310 0130 0330 3010 1030 3030 0311 0133",
    "0333 3011 1033 3033 3301 1103 3303 3310 1130 3330 3311 1133 3333 .... .... ....",
    ".... .... .... .... 1000 0010 0100 0001 2000 0020 0200 0002 1200 0012 2100 0021",
];

fn lines(cell: Cell, code: u32, out: &mut Outline) {
    let [x, y] = cell.middle();
    match code {
        0x2504..=0x250B | 0x254C..=0x254F => dashes(cell, code, out),
        0x256D..=0x2570 => arc(cell, code, out),
        0x2571 => cell.long_stroke(out, [0.0, 0.0], [cell.w, cell.h], LIGHT),
        0x2572 => cell.long_stroke(out, [0.0, cell.h], [cell.w, 0.0], LIGHT),
        0x2573 => {
            cell.long_stroke(out, [0.0, 0.0], [cell.w, cell.h], LIGHT);
            cell.long_stroke(out, [0.0, cell.h], [cell.w, 0.0], LIGHT);
        }
        _ => {
            let index = (code - 0x2500) as usize;
            let row = ARMS[index / 16].as_bytes();
            let at = index % 16 * 5;
            let arm = |k: usize| match row[at + k] {
                b'1' => Arm::Light,
                b'2' => Arm::Heavy,
                b'3' => Arm::Double,
                _ => Arm::None,
            };
            // The same twice: along x for the arms to the sides, and turned for those up and down.
            let (across, along) = ([arm(0), arm(1)], [arm(2), arm(3)]);
            let mut parts = Parts::default();
            for (arms, others, is_turned) in [(across, along, false), (along, across, true)] {
                for (side, arm) in arms.into_iter().enumerate() {
                    // Left and down are towards smaller numbers; `along` is up, down.
                    let positive = (side == 1) != is_turned;
                    parts.arm(arm, others, positive, is_turned);
                }
            }
            parts.draw(out, [x, y]);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Arm {
    None,
    Light,
    Heavy,
    Double,
}

impl Arm {
    fn thickness(self) -> f64 {
        match self {
            Arm::None => 0.0,
            Arm::Light | Arm::Double => LIGHT,
            Arm::Heavy => HEAVY,
        }
    }
}

/// Rectangles about the middle: what lines fill, what the gaps of double lines take out of that, and what
/// is filled after all.
#[derive(Default)]
struct Parts {
    bars: Vec<Rect>,
    gaps: Vec<Rect>,
    singles: Vec<Rect>,
}

/// Beyond any edge.
const FAR: f64 = 4.0;

impl Parts {
    fn arm(&mut self, arm: Arm, others: [Arm; 2], positive: bool, is_turned: bool) {
        // From `near` (negative: past the middle) to far outside, `half` to each side.
        let place = |near: f64, half: f64| {
            let (from, to) = if positive { (near, FAR) } else { (-FAR, -near) };
            if is_turned { Rect::new(-half, from, half, to) } else { Rect::new(from, -half, to, half) }
        };
        let doubles = others.iter().filter(|other| **other == Arm::Double).count();
        let across = others[0].thickness().max(others[1].thickness()) / 2.0;
        match arm {
            Arm::None => {}
            Arm::Double => {
                let (outer, inner) = (APART + LIGHT / 2.0, APART - LIGHT / 2.0);
                let (near, gap) = if doubles > 0 { (-outer, -inner) } else { (-across, -across) };
                self.bars.push(place(near, outer));
                self.gaps.push(place(gap, inner));
            }
            single => {
                let half = single.thickness() / 2.0;
                let near = match doubles {
                    0 => -across,
                    // It ends at the far one of the two lines that turn here, to close the corner.
                    1 => -(APART + LIGHT / 2.0),
                    // Through both if it goes on; that is for its other half to say: see `draw`.
                    _ => APART,
                };
                self.singles.push(place(near, half));
            }
        }
    }

    fn draw(mut self, out: &mut Outline, [x, y]: Point) {
        // Two single arms opposite each other cross a double line from edge to edge.
        if let [a, b] = self.singles[..]
            && !self.bars.is_empty()
            && ((a.left == b.left && a.right == b.right) || (a.top == b.top && a.bottom == b.bottom))
        {
            self.singles = vec![Rect::new(
                a.left.min(b.left),
                a.bottom.min(b.bottom),
                a.right.max(b.right),
                a.top.max(b.top),
            )];
        }
        // All edges are along the axes: the plane falls into rectangles that are in or out.
        let all = || self.bars.iter().chain(&self.gaps).chain(&self.singles);
        let mut xs: Vec<f64> = all().flat_map(|r| [r.left, r.right]).collect();
        let mut ys: Vec<f64> = all().flat_map(|r| [r.bottom, r.top]).collect();
        for values in [&mut xs, &mut ys] {
            values.sort_by(f64::total_cmp);
            values.dedup();
        }
        let inside = |rects: &[Rect], px: f64, py: f64| {
            rects.iter().any(|r| r.left < px && px < r.right && r.bottom < py && py < r.top)
        };
        for row in ys.windows(2) {
            let py = (row[0] + row[1]) / 2.0;
            let mut from = None;
            for column in xs.windows(2) {
                let px = (column[0] + column[1]) / 2.0;
                let is_in = inside(&self.singles, px, py)
                    || (inside(&self.bars, px, py) && !inside(&self.gaps, px, py));
                match (is_in, from) {
                    (true, None) => from = Some(column[0]),
                    (false, Some(left)) => {
                        out.rect(Rect::new(x + left, y + row[0], x + column[0], y + row[1]));
                        from = None;
                    }
                    _ => {}
                }
            }
            if let (Some(left), Some(right)) = (from, xs.last()) {
                out.rect(Rect::new(x + left, y + row[0], x + right, y + row[1]));
            }
        }
    }
}

fn dashes(cell: Cell, code: u32, out: &mut Outline) {
    let [x, y] = cell.middle();
    let count = match code {
        0x2504..=0x2507 => 3,
        0x2508..=0x250B => 4,
        _ => 2,
    };
    let (is_heavy, is_upright) = match code {
        0x2504..=0x250B => (code % 2 == 1, code & 2 == 2),
        _ => (code % 2 == 1, code >= 0x254E),
    };
    let half = if is_heavy { HEAVY } else { LIGHT } / 2.0;
    let size = if is_upright { cell.h } else { cell.w };
    let step = size / f64::from(count);
    for i in 0..count {
        // Half a gap at both ends, so that they go on evenly in the next cell.
        let (from, to) = (step * (f64::from(i) + 0.18), step * (f64::from(i) + 0.82));
        out.rect(if is_upright {
            Rect::new(x - half, from, x + half, to)
        } else {
            Rect::new(from, y - half, to, y + half)
        });
    }
}

/// A quarter of a circle, and a straight line on to the nearer edges above or below.
fn arc(cell: Cell, code: u32, out: &mut Outline) {
    let [x, y] = cell.middle();
    // Towards which sides: ╭ right and down, ╮ left and down, ╯ left and up, ╰ right and up.
    let sx = if matches!(code, 0x256D | 0x2570) { 1.0 } else { -1.0 };
    let sy = if matches!(code, 0x256F | 0x2570) { 1.0 } else { -1.0 };
    let r = cell.w.min(cell.h) / 2.0;
    let (outer, inner) = (r + LIGHT / 2.0, r - LIGHT / 2.0);
    let [cx, cy] = [x + sx * r, y + sy * r];
    const K: f64 = 0.552_284_749_8;
    let at = |rx: f64, ry: f64| [cx - sx * rx, cy - sy * ry];
    out.contours.push(Contour {
        start: at(outer, -BEYOND - cell.h),
        segments: vec![
            Segment::Line(at(outer, 0.0)),
            Segment::Cubic(at(outer, K * outer), at(K * outer, outer), at(0.0, outer)),
            Segment::Line(at(-BEYOND, outer)),
            Segment::Line(at(-BEYOND, inner)),
            Segment::Line(at(0.0, inner)),
            Segment::Cubic(at(K * inner, inner), at(inner, K * inner), at(inner, 0.0)),
            Segment::Line(at(inner, -BEYOND - cell.h)),
        ],
    });
}

fn blocks(cell: Cell, code: u32, out: &mut Outline) {
    let eighths = |n: u32| f64::from(n) / 8.0;
    match code {
        0x2580 => cell.fill(out, [0.0, 0.5, 1.0, 1.0]),
        0x2581..=0x2588 => cell.fill(out, [0.0, 0.0, 1.0, eighths(code - 0x2580)]),
        0x2589..=0x258F => cell.fill(out, [0.0, 0.0, eighths(0x2590 - code), 1.0]),
        0x2590 => cell.fill(out, [0.5, 0.0, 1.0, 1.0]),
        0x2594 => cell.fill(out, [0.0, 0.875, 1.0, 1.0]),
        0x2595 => cell.fill(out, [0.875, 0.0, 1.0, 1.0]),
        _ => {
            // Quadrants U+2596 to U+259F as bits: upper left, upper right, lower left, lower right.
            const BITS: [u32; 10] = [4, 8, 1, 13, 9, 7, 11, 2, 6, 14];
            let bits = BITS[(code - 0x2596) as usize];
            for bit in (0..4).filter(|bit| bits >> bit & 1 == 1) {
                let (left, bottom) = (0.5 * f64::from(bit % 2), 0.5 * f64::from(1 - bit / 2));
                cell.fill(out, [left, bottom, left + 0.5, bottom + 0.5]);
            }
        }
    }
}

fn braille(cell: Cell, code: u32, out: &mut Outline) {
    // Bits of the dots, from the upper left, row by row.
    const BITS: [u32; 8] = [0, 3, 1, 4, 2, 5, 6, 7];
    for (place, bit) in (0..).zip(BITS) {
        if code >> bit & 1 == 1 {
            let (column, row) = (f64::from(place % 2), f64::from(place / 2));
            let at = [cell.w * (0.25 + 0.5 * column), cell.h * (0.875 - 0.25 * row)];
            let r = 0.29 * (cell.w / 2.0).min(cell.h / 4.0);
            out.ellipse(at, r, r, false);
        }
    }
}

fn powerline(cell: Cell, code: u32, out: &mut Outline) {
    let (w, h) = (cell.w, cell.h);
    let first = out.contours.len();
    match code {
        // Triangles with a point to the right, and their two sides alone.
        0xE0B0 | 0xE0B2 => {
            let slope = h / 2.0 / w;
            let over = BEYOND * slope;
            out.polygon(&[[-BEYOND, -over], [w, h / 2.0], [-BEYOND, h + over]]);
        }
        0xE0B1 | 0xE0B3 => {
            // The strokes meet at the edge; what is beyond is cut off with the cell.
            let half = LIGHT / 2.0;
            let size = w.hypot(h / 2.0);
            // How far the outer line is outside of the middle one, along x and along y.
            let (ox, oy) = (half * size / (h / 2.0), half * size / w);
            let tip = w - ox;
            let over = BEYOND * (h / 2.0) / w;
            out.polygon(&[
                [-BEYOND, -over + oy],
                [-BEYOND, -over - oy],
                [tip + ox, h / 2.0],
                [-BEYOND, h + over + oy],
                [-BEYOND, h + over - oy],
                [tip - ox, h / 2.0],
            ]);
        }
        // Half circles with the flat side at the left, and their bows alone.
        0xE0B4 | 0xE0B6 => half_circle(out, w, h, 0.0),
        0xE0B5 | 0xE0B7 => half_circle(out, w, h, LIGHT),
        // Lower left and lower right triangles, upper left and upper right ones, and diagonals.
        0xE0B8 | 0xE0BA => corner(out, w, h, false),
        0xE0BC | 0xE0BE => corner(out, w, h, true),
        0xE0B9 | 0xE0BF => cell.long_stroke(out, [0.0, h], [w, 0.0], LIGHT),
        _ => cell.long_stroke(out, [0.0, 0.0], [w, h], LIGHT),
    }
    // The same, looking left.
    if matches!(code, 0xE0B2 | 0xE0B3 | 0xE0B6 | 0xE0B7 | 0xE0BA | 0xE0BE) {
        let mut turned = Outline { contours: out.contours.split_off(first) };
        turned.transform(&Affine { a: -1.0, b: 0.0, c: 0.0, d: 1.0, dx: w, dy: 0.0 });
        out.append(turned);
    }
}

fn half_circle(out: &mut Outline, w: f64, h: f64, thickness: f64) {
    const K: f64 = 0.552_284_749_8;
    let bow = |rx: f64, ry: f64| {
        let at = |x: f64, y: f64| [x * rx, h / 2.0 + y * ry];
        let segments = vec![
            Segment::Line(at(0.0, -1.0)),
            Segment::Cubic(at(K, -1.0), at(1.0, -K), at(1.0, 0.0)),
            Segment::Cubic(at(1.0, K), at(K, 1.0), at(0.0, 1.0)),
            Segment::Line([-BEYOND, h / 2.0 + ry]),
        ];
        Outline { contours: vec![Contour { start: [-BEYOND, h / 2.0 - ry], segments }] }
    };
    out.append(bow(w, h / 2.0));
    if thickness > 0.0 {
        out.append(bow(w - thickness, h / 2.0 - thickness).reversed());
    }
}

/// The triangle in the lower (or upper) left corner. Two of its sides are edges of the cell, and go beyond.
fn corner(out: &mut Outline, w: f64, h: f64, is_upper: bool) {
    let t = BEYOND / w;
    let mut points = vec![[-t * w, -BEYOND], [w + t * w, -BEYOND], [w + t * w, -t * h], [-t * w, h + t * h]];
    if is_upper {
        points.iter_mut().for_each(|p| p[1] = h - p[1]);
    }
    out.polygon(&points);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arm_of_the_table_is_read() {
        for row in ARMS {
            assert_eq!(row.len(), 16 * 5 - 1);
        }
        let shown = (0x2500..=0x257F_u32).chain(0x2580..=0x259F).chain(0x2801..=0x28FF);
        let shown = shown.chain(0xE0B0..=0xE0BF).chain(0x1FB00..=0x1FB3B);
        for code in shown {
            let character = char::from_u32(code).unwrap();
            assert!(is_procedural(character));
            let shape = shape(character, 0.6, &Metrics::mono()).unwrap();
            assert!(!shape.outline.contours.is_empty(), "{code:x}");
        }
    }

    #[test]
    fn sextants_are_numbered_without_the_half_blocks() {
        let count = |character: char| shape(character, 0.6, &Metrics::mono()).unwrap().outline.contours.len();
        // 🬓 is the last before ▌, 🬔 the first after it, 🬧 and 🬨 are about ▐, 🬻 lacks only the upper left.
        assert_eq!(
            ['\u{1FB00}', '\u{1FB13}', '\u{1FB14}', '\u{1FB27}', '\u{1FB28}', '\u{1FB3B}'].map(count),
            [1, 2, 3, 3, 4, 5]
        );
    }
}
