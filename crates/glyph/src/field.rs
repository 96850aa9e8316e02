// SPDX-License-Identifier: AGPL-3.0-or-later
//! An outline becomes a tile of distances, and the tile is checked against the outline.
//!
//! fdsm gives three distances for each texel, whose median keeps corners sharp. Three things are ours:
//! the sign (the winding of the polygon decides it, fdsm's own correction turns whole bands over), the
//! check of what a shader would see *between* texels, and the true distance as a way out.

use crate::{
    Correction, RANGE_TEXELS, TILE_MAX,
    outline::{Outline, Point, Polygon, Rect, Segment},
};
use fdsm::{
    bezier::{Point as FPoint, Segment as FSegment},
    correct_error::{ErrorCorrectionConfig, correct_error_msdf},
    shape::{ColoredContour, Contour, Shape},
};
use image::{ImageBuffer, Rgb};

/// Texels between the shape and the edge of its tile: half the range, and one that is wholly outside.
const MARGIN: f64 = RANGE_TEXELS as f64 / 2.0 + 1.0;
/// Samples along each side of the square between four texels.
const CHECKS: usize = 5;
/// A sample nearer to the edge than this, in texels, may be on the wrong side.
const DOUBT: f64 = 0.2;
/// With more wrong pixels than this after all attempts, at two pixels a texel, one distance may be better.
const WRONG_MAX: usize = 2;
/// What is tried: another choice of colours for the edges, with or without fdsm's correction of errors.
const ATTEMPTS: [Attempt; 5] = [
    Attempt { seed: 69_441_337_420, corrects: true },
    Attempt { seed: 69_441_337_420, corrects: false },
    Attempt { seed: 1, corrects: true },
    Attempt { seed: 1, corrects: false },
    Attempt { seed: 5, corrects: true },
];
/// Most work, in texels near edges times segments, for which all is tried for an outline from anywhere: about two
/// seconds at worst. That of an intricate ideograph is a million.
const GIVEN_WORK_MAX: usize = 1_500_000;
/// Turns of less than this (as a sine) are no corners.
const CORNER_SINE: f64 = 0.03;

/// Distances in texels of the em; the lower left texel begins at (`left`, `bottom`), rows go up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) left: i32,
    pub(crate) bottom: i32,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) texels: Vec<[u8; 3]>,
    pub(crate) correction: Correction,
}

/// The outline cannot be shown: too many edges, too large, or not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// Makes the tile of an outline in texels; in `frame`, or around the shape. `None` if it encloses nothing.
pub(crate) fn make(outline: &Outline, frame: Option<Rect>) -> Result<Option<Field>, TooMuch> {
    make_grown(outline, frame, 0.0, usize::MAX)
}

/// Makes the tile of an outline from anywhere, in texels, whose edges are moved outward by `grow` texels, less than 2. One
/// that would take long has one distance for all channels.
pub(crate) fn make_given(outline: &Outline, grow: f64) -> Result<Option<Field>, TooMuch> {
    make_grown(outline, None, grow, GIVEN_WORK_MAX)
}

fn make_grown(
    outline: &Outline,
    frame: Option<Rect>,
    grow: f64,
    work_max: usize,
) -> Result<Option<Field>, TooMuch> {
    let edges = outline.edges().ok_or(TooMuch)?;
    let polygon = Polygon::new(&edges).ok_or(TooMuch)?;
    let Some(bounds) = polygon.bounds() else { return Ok(None) };
    let margin = MARGIN + grow;
    let rect = frame.unwrap_or(Rect::new(
        bounds.left - margin,
        bounds.bottom - margin,
        bounds.right + margin,
        bounds.top + margin,
    ));
    let (left, bottom) = (rect.left.floor(), rect.bottom.floor());
    let (width, height) = (rect.right.ceil() - left, rect.top.ceil() - bottom);
    if !(width <= f64::from(TILE_MAX) && height <= f64::from(TILE_MAX) && left.abs().max(bottom.abs()) < 1e6)
    {
        return Err(TooMuch);
    }
    let mut tile = Tile::new(&polygon, left, bottom, width as usize, height as usize);
    // fdsm wants inside on the right of all contours, and no edges within the shape.
    let shape = if polygon.differs {
        polygon.outline().reversed()
    } else if polygon.turned {
        outline.clone()
    } else {
        outline.reversed()
    };
    let mut best =
        Candidate { texels: tile.texels.clone(), wrong: usize::MAX, correction: Correction::Single };
    let segments: usize = shape.contours.iter().map(|contour| contour.segments.len() + 1).sum();
    let near = tile.truth.iter().filter(|distance| distance.abs() <= RANGE_TEXELS / 2.0 + 1.0).count();
    let attempts = if segments.saturating_mul(near) <= work_max { &ATTEMPTS[..] } else { &[] };
    for attempt in attempts.iter().copied() {
        if !tile.generate(&shape, attempt) {
            continue;
        }
        tile.fix_signs();
        let mut texels = 0;
        for _ in 0..2 {
            let changed = tile.check(&polygon);
            texels += changed;
            if changed == 0 {
                break;
            }
        }
        let wrong = tile.wrong(&polygon);
        if wrong < best.wrong {
            let correction = match texels {
                0 => Correction::None,
                n => Correction::Texels(n.min(usize::from(u16::MAX)) as u16),
            };
            best = Candidate { texels: tile.texels.clone(), wrong, correction };
        }
        if wrong == 0 {
            break;
        }
    }
    if best.wrong > WRONG_MAX {
        tile.texels = tile.truth.iter().map(|d| [*d; 3]).collect();
        let wrong = tile.wrong(&polygon);
        if wrong <= best.wrong {
            best = Candidate { texels: tile.texels.clone(), wrong, correction: Correction::Single };
        }
    }
    let grow = grow as f32;
    let byte =
        |distance: f32| (((distance + grow) / RANGE_TEXELS + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8;
    Ok(Some(Field {
        left: left as i32,
        bottom: bottom as i32,
        width: tile.width,
        height: tile.height,
        texels: best.texels.iter().map(|texel| texel.map(byte)).collect(),
        correction: best.correction,
    }))
}

fn median([a, b, c]: [f32; 3]) -> f32 {
    a.min(b).max(a.max(b).min(c))
}

#[derive(Clone, Copy)]
struct Attempt {
    seed: u64,
    corrects: bool,
}

struct Candidate {
    texels: Vec<[f32; 3]>,
    wrong: usize,
    correction: Correction,
}

struct Tile {
    left: f64,
    bottom: f64,
    width: usize,
    height: usize,
    /// Signed distances, + inside.
    texels: Vec<[f32; 3]>,
    /// The true distance, as far as the range goes.
    truth: Vec<f32>,
}

impl Tile {
    /// Only the true distances are filled in.
    fn new(polygon: &Polygon, left: f64, bottom: f64, width: usize, height: usize) -> Tile {
        let reach = f64::from(RANGE_TEXELS) / 2.0 + 1.5;
        let mut squares = vec![reach * reach; width * height];
        for edge in &polygon.edges {
            let ([ax, ay], [bx, by]) = (edge.from, edge.to);
            let span = |a: f64, b: f64, origin: f64, count: usize| {
                let first = (a.min(b) - origin - reach - 0.5).ceil().max(0.0) as usize;
                let last = (a.max(b) - origin + reach + 0.5).floor().max(0.0) as usize;
                first..last.min(count)
            };
            for y in span(ay, by, bottom, height) {
                for x in span(ax, bx, left, width) {
                    let at = [left + x as f64 + 0.5, bottom + y as f64 + 0.5];
                    let square = &mut squares[y * width + x];
                    *square = edge.distance_squared(at).min(*square);
                }
            }
        }
        let mut truth: Vec<f32> = squares.iter().map(|square| square.sqrt() as f32).collect();
        let mut found = Vec::new();
        for y in 0..height {
            polygon.crossings(bottom + y as f64 + 0.5 + 1e-7, &mut found);
            let (mut next, mut wound) = (0, 0);
            for x in 0..width {
                while next < found.len() && found[next].0 <= left + x as f64 + 0.5 {
                    wound += found[next].1;
                    next += 1;
                }
                if wound == 0 {
                    truth[y * width + x] *= -1.0;
                }
            }
        }
        let texels = truth.iter().map(|d| [*d; 3]).collect();
        Tile { left, bottom, width, height, texels, truth }
    }

    /// Fills in the three distances near the edges. False if fdsm gave up on the outline.
    fn generate(&mut self, outline: &Outline, attempt: Attempt) -> bool {
        let contours = outline.contours.iter().filter_map(|c| self.contour(c)).collect();
        let (width, height) = (self.width, self.height);
        let range = f64::from(RANGE_TEXELS);
        let reach = RANGE_TEXELS / 2.0 + 1.0;
        let truth = &self.truth;
        // Its arithmetic is not ours, and a font may come from anywhere.
        let made = std::panic::catch_unwind(move || {
            let colored: Shape<ColoredContour> =
                Shape::edge_coloring_simple(Shape { contours }, CORNER_SINE, attempt.seed);
            let prepared = colored.prepare();
            let mut image = ImageBuffer::<Rgb<f32>, Vec<f32>>::new(width as u32, height as u32);
            for (index, pixel) in image.pixels_mut().enumerate() {
                let d = truth[index];
                *pixel = if d.abs() > reach {
                    Rgb([0.5 + d / RANGE_TEXELS; 3])
                } else {
                    let at = FPoint::new((index % width) as f64 + 0.5, (index / width) as f64 + 0.5);
                    let found = prepared.distance3(at).map(|d| d.signed_pseudo_distance(at) / range + 0.5);
                    Rgb(found.map(|v| v as f32))
                };
            }
            // If most are on the wrong side the correction would make it worse.
            let turned: i64 = image
                .pixels()
                .zip(truth)
                .filter(|(_, d)| d.abs() <= reach)
                .map(|(pixel, d)| if (median(pixel.0) > 0.5) == (*d > 0.0) { -1 } else { 1 })
                .sum();
            if turned > 0 {
                return None;
            }
            if attempt.corrects {
                let config = ErrorCorrectionConfig::default();
                correct_error_msdf(&mut image, &colored, &prepared, range, &config);
            }
            Some(image)
        });
        let Ok(Some(image)) = made else { return false };
        for (texel, pixel) in self.texels.iter_mut().zip(image.pixels()) {
            if pixel.0.iter().any(|v| !v.is_finite()) {
                return false;
            }
            *texel = pixel.0.map(|v| (v - 0.5) * RANGE_TEXELS);
        }
        true
    }

    /// In the tile's own coordinates, without what has no length.
    fn contour(&self, contour: &crate::outline::Contour) -> Option<Contour> {
        let place = |[x, y]: Point| FPoint::new(x - self.left, y - self.bottom);
        let near = |a: Point, b: Point| (a[0] - b[0]).abs() < 1e-6 && (a[1] - b[1]).abs() < 1e-6;
        let mut from = contour.start;
        let mut segments = Vec::with_capacity(contour.segments.len() + 1);
        for segment in contour.segments.iter().chain([&Segment::Line(contour.start)]) {
            let to = segment.end();
            match *segment {
                Segment::Line(_) if near(from, to) => continue,
                Segment::Line(_) => segments.push(FSegment::line(place(from), place(to))),
                Segment::Quad(c, _) if near(c, from) || near(c, to) => {
                    if near(from, to) {
                        continue;
                    }
                    segments.push(FSegment::line(place(from), place(to)));
                }
                Segment::Quad(c, _) => segments.push(FSegment::quad(place(from), place(c), place(to))),
                Segment::Cubic(c, d, _) => {
                    // A handle without length has no direction, which the search for corners needs.
                    let c = if near(c, from) { mix(from, d, 1e-3) } else { c };
                    let d = if near(d, to) { mix(to, c, 1e-3) } else { d };
                    segments.push(FSegment::cubic(place(from), place(c), place(d), place(to)));
                }
            }
            from = to;
        }
        (!segments.is_empty()).then_some(Contour { segments })
    }

    fn fix_signs(&mut self) {
        for (texel, truth) in self.texels.iter_mut().zip(&self.truth) {
            if (median(*texel) > 0.0) != (*truth > 0.0) {
                texel.iter_mut().for_each(|d| *d = -*d);
            }
        }
    }

    /// Three distances at a place in the tile, as the shader's sampler gives them.
    fn between(&self, x: usize, y: usize, fx: f32, fy: f32) -> f32 {
        let at = |x: usize, y: usize| {
            let half = RANGE_TEXELS / 2.0;
            self.texels[y * self.width + x].map(|d| d.clamp(-half, half))
        };
        let (a, b, c, d) = (at(x, y), at(x + 1, y), at(x, y + 1), at(x + 1, y + 1));
        median([0, 1, 2].map(|k| {
            let (low, high) = (a[k] + (b[k] - a[k]) * fx, c[k] + (d[k] - c[k]) * fx);
            low + (high - low) * fy
        }))
    }

    /// Whether nothing can be wrong between four texels: no edge passes, and no channel changes its sign.
    fn is_safe(&self, x: usize, y: usize) -> bool {
        let corners = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| (y + dy) * self.width + x + dx);
        let is_inside = self.truth[corners[0]] > 0.0;
        corners.iter().all(|index| {
            let truth = self.truth[*index];
            // An edge between them would be nearer than half a diagonal to one of them.
            truth.abs() > 0.75
                && (truth > 0.0) == is_inside
                && self.texels[*index].iter().all(|d| *d != 0.0 && (*d > 0.0) == is_inside)
        })
    }

    /// Gives texels around which the sign is wrong the true distance; returns how many.
    fn check(&mut self, polygon: &Polygon) -> usize {
        let mut is_wrong = vec![false; self.texels.len()];
        let mut found = Vec::new();
        for y in 0..self.height.saturating_sub(1) {
            for row in 0..CHECKS {
                let fy = (row as f64 + 0.5) / CHECKS as f64;
                let at_y = self.bottom + y as f64 + 0.5 + fy;
                polygon.crossings(at_y + 1e-7, &mut found);
                let (mut next, mut wound) = (0, 0);
                for x in 0..self.width.saturating_sub(1) {
                    if self.is_safe(x, y) {
                        continue;
                    }
                    for column in 0..CHECKS {
                        let fx = (column as f64 + 0.5) / CHECKS as f64;
                        let at_x = self.left + x as f64 + 0.5 + fx;
                        while next < found.len() && found[next].0 <= at_x {
                            wound += found[next].1;
                            next += 1;
                        }
                        let d = self.between(x, y, fx as f32, fy as f32);
                        if (d > 0.0) != (wound != 0) && polygon.distance([at_x, at_y]) > DOUBT {
                            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                                is_wrong[(y + dy) * self.width + x + dx] = true;
                            }
                        }
                    }
                }
            }
        }
        let mut count = 0;
        for ((texel, truth), _) in
            self.texels.iter_mut().zip(&self.truth).zip(&is_wrong).filter(|(_, wrong)| **wrong)
        {
            if *texel != [*truth; 3] {
                *texel = [*truth; 3];
                count += 1;
            }
        }
        count
    }

    /// Pixels of half a texel that are off by more than a half.
    fn wrong(&self, polygon: &Polygon) -> usize {
        let (width, height) = (2 * self.width, 2 * self.height);
        let (right, top) = (self.left + self.width as f64, self.bottom + self.height as f64);
        let covered = polygon.coverage(Rect::new(self.left, self.bottom, right, top), width, height, 4);
        let mut count = 0;
        // The outermost half texel has no four texels around it.
        for y in 1..height - 1 {
            for x in 1..width - 1 {
                let (tx, ty) = ((x - 1) / 2, (y - 1) / 2);
                if self.is_safe(tx, ty) {
                    continue;
                }
                let (fx, fy) = (0.25 + 0.5 * ((x - 1) % 2) as f32, 0.25 + 0.5 * ((y - 1) % 2) as f32);
                let seen = (self.between(tx, ty, fx, fy) * 2.0 + 0.5).clamp(0.0, 1.0);
                if (seen - covered[y * width + x]).abs() > 0.5 {
                    count += 1;
                }
            }
        }
        count
    }
}

fn mix(a: Point, b: Point, t: f64) -> Point {
    [0, 1].map(|k| a[k] + t * (b[k] - a[k]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_would_take_long_has_one_distance() {
        let zigzag = |turns: u16| {
            let mut outline = Outline::default();
            let point = |i: u16| {
                [240.0 * f64::from(i) / f64::from(turns), if i.is_multiple_of(2) { 0.0 } else { 200.0 }]
            };
            outline.polygon(&(0..turns).map(point).collect::<Vec<_>>());
            outline
        };
        let began = std::time::Instant::now();
        let field = make_given(&zigzag(600), 0.0).unwrap().unwrap();
        assert_eq!(field.correction, Correction::Single);
        assert!(began.elapsed().as_secs() < 10);
        assert_eq!(make_given(&zigzag(6), 0.0).unwrap(), make(&zigzag(6), None).unwrap());
    }
}
