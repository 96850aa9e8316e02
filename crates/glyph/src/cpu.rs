// SPDX-License-Identifier: AGPL-3.0-or-later
//! The shader's arithmetic in plain Rust: what tests measure, and what pictures of specimens are drawn with.
//!
//! Two by two taps a pixel. Each tap takes the median of the three distances, finds by differences in which
//! direction the edge lies, and takes as the width of the transition the size of its (quarter) pixel along
//! that direction: right under perspective, too.

use crate::{Glyph, Kind, RANGE_TEXELS, TEXELS_PER_EM};

/// How pixels lie on the glyph: the step in em of one pixel to the right, and of one down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Footprint {
    /// One pixel to the right, in em (y up).
    pub right: [f32; 2],
    /// One pixel down, in em (y up).
    pub down: [f32; 2],
}

impl Footprint {
    /// Of a glyph seen from the front.
    pub fn front(pixels_per_em: f32) -> Footprint {
        Footprint { right: [1.0 / pixels_per_em, 0.0], down: [0.0, -1.0 / pixels_per_em] }
    }
}

fn median(r: f32, g: f32, b: f32) -> f32 {
    r.min(g).max(r.max(g).min(b))
}

/// The four texels about a place in the tile and the shares of the right and the lower ones, as a sampler
/// with linear filter that clamps to the tile's outermost texels.
fn texels(glyph: &Glyph, [x, y]: [f32; 2]) -> ([[u8; 4]; 4], f32, f32) {
    let tx = (x - glyph.bounds.left) / glyph.bounds.width() * f32::from(glyph.width) - 0.5;
    let ty = (glyph.bounds.top - y) / glyph.bounds.height() * f32::from(glyph.height) - 0.5;
    let (x0, y0) = (tx.floor(), ty.floor());
    let at = |x: f32, y: f32| {
        let column = x.clamp(0.0, f32::from(glyph.width) - 1.0) as usize;
        let row = y.clamp(0.0, f32::from(glyph.height) - 1.0) as usize;
        let start = (row * usize::from(glyph.width) + column) * 4;
        glyph.texels.get(start..start + 4).map_or([0; 4], |t| [t[0], t[1], t[2], t[3]])
    };
    ([at(x0, y0), at(x0 + 1.0, y0), at(x0, y0 + 1.0), at(x0 + 1.0, y0 + 1.0)], tx - x0, ty - y0)
}

/// Signed distance to the edge in texels, + inside, at a place in em.
pub fn distance(glyph: &Glyph, at: [f32; 2]) -> f32 {
    let (t, fx, fy) = texels(glyph, at);
    let [r, g, b] = [0, 1, 2].map(|k| {
        let [a, b, c, d] = t.map(|texel| f32::from(texel[k]) / 255.0);
        let (high, low) = (a + (b - a) * fx, c + (d - c) * fx);
        high + (low - high) * fy
    });
    (median(r, g, b) - 0.5) * RANGE_TEXELS
}

fn length([x, y]: [f32; 2]) -> f32 {
    x.hypot(y)
}

/// Coverage of one tap whose side is 1/`n` of a pixel.
fn tap(glyph: &Glyph, at: [f32; 2], footprint: &Footprint, n: f32) -> f32 {
    let b = &glyph.bounds;
    if at[0] < b.left || at[0] > b.right || at[1] < b.bottom || at[1] > b.top {
        return 0.0;
    }
    let scale = TEXELS_PER_EM as f32;
    let e = 0.25 / scale;
    let d = distance(glyph, at);
    let longest = (length(footprint.right) + length(footprint.down)) * scale / n;
    if d.abs() > longest {
        return if d > 0.0 { 1.0 } else { 0.0 };
    }
    let gx = distance(glyph, [at[0] + e, at[1]]) - distance(glyph, [at[0] - e, at[1]]);
    let gy = distance(glyph, [at[0], at[1] + e]) - distance(glyph, [at[0], at[1] - e]);
    let size = gx.hypot(gy);
    let normal = if size * size > 1e-3 { [gx / size, gy / size] } else { [0.707_106_77; 2] };
    let along = |step: [f32; 2]| (normal[0] * step[0] + normal[1] * step[1]) * scale;
    let width = along(footprint.right).hypot(along(footprint.down)) / n;
    (d / width.max(1e-4) + 0.5).clamp(0.0, 1.0)
}

/// Coverage of the pixel whose middle is at `at` (in em from the glyph's pen), 0 to 1, opacity included.
pub fn coverage(glyph: &Glyph, at: [f32; 2], footprint: &Footprint) -> f32 {
    coverage_within(glyph, at, footprint, None)
}

/// The same, with nothing outside of `cell`: left, bottom, right, top in em.
pub fn coverage_within(glyph: &Glyph, at: [f32; 2], footprint: &Footprint, cell: Option<[f32; 4]>) -> f32 {
    if glyph.kind != Kind::Distance {
        return 0.0;
    }
    let mut sum = 0.0;
    for (x, y) in [(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)] {
        let place = [0, 1].map(|k| at[k] + x * footprint.right[k] + y * footprint.down[k]);
        let is_in = cell.is_none_or(|[left, bottom, right, top]| {
            left <= place[0] && place[0] < right && bottom <= place[1] && place[1] < top
        });
        if is_in {
            sum += tap(glyph, place, footprint, 2.0);
        }
    }
    sum / 4.0 * glyph.opacity
}

/// Colour of a [`Kind::Color`] glyph at a place in em, straight alpha, 0 to 1.
pub fn color(glyph: &Glyph, at: [f32; 2]) -> [f32; 4] {
    let b = &glyph.bounds;
    if glyph.kind != Kind::Color || at[0] < b.left || at[0] > b.right || at[1] < b.bottom || at[1] > b.top {
        return [0.0; 4];
    }
    let (t, fx, fy) = texels(glyph, at);
    [0, 1, 2, 3].map(|k| {
        let [a, b, c, d] = t.map(|texel| f32::from(texel[k]) / 255.0);
        let (high, low) = (a + (b - a) * fx, c + (d - c) * fx);
        high + (low - high) * fy
    })
}
