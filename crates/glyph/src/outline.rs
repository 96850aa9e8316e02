// SPDX-License-Identifier: AGPL-3.0-or-later
//! Outlines: curves, the polygon that they enclose, and how much of a pixel it covers.
//!
//! What is inside is decided by the nonzero winding rule. The edges that separate inside from outside
//! ([`Polygon`]) are found by cutting all edges where they meet, so that contours may overlap.

/// A place, in whatever unit.
pub(crate) type Point = [f64; 2];

/// Most edges of a polygon. A letter has about 150, the most intricate ideograph less than 2,000.
const EDGES_MAX: usize = 6000;
/// Largest distance of a polygon from its curves.
const TOLERANCE: f64 = 0.02;
/// Points nearer than this are one.
const NEAR: f64 = 1e-6;

/// A part of a contour, which begins where the one before has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Segment {
    Line(Point),
    Quad(Point, Point),
    Cubic(Point, Point, Point),
}

impl Segment {
    pub(crate) fn end(&self) -> Point {
        match *self {
            Segment::Line(p) | Segment::Quad(_, p) | Segment::Cubic(_, _, p) => p,
        }
    }
}

/// A closed line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Contour {
    pub(crate) start: Point,
    pub(crate) segments: Vec<Segment>,
}

/// What a glyph's font says of its shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outline {
    pub(crate) contours: Vec<Contour>,
}

/// x' = a x + b y + dx, y' = c x + d y + dy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Affine {
    pub(crate) a: f64,
    pub(crate) b: f64,
    pub(crate) c: f64,
    pub(crate) d: f64,
    pub(crate) dx: f64,
    pub(crate) dy: f64,
}

impl Affine {
    pub(crate) const fn scale(factor: f64) -> Affine {
        Affine { a: factor, b: 0.0, c: 0.0, d: factor, dx: 0.0, dy: 0.0 }
    }

    pub(crate) const fn shift(dx: f64, dy: f64) -> Affine {
        Affine { a: 1.0, b: 0.0, c: 0.0, d: 1.0, dx, dy }
    }

    pub(crate) fn apply(&self, [x, y]: Point) -> Point {
        [self.a * x + self.b * y + self.dx, self.c * x + self.d * y + self.dy]
    }

    /// This one after `first`.
    pub(crate) fn after(&self, first: &Affine) -> Affine {
        let [dx, dy] = self.apply([first.dx, first.dy]);
        Affine {
            a: self.a * first.a + self.b * first.c,
            b: self.a * first.b + self.b * first.d,
            c: self.c * first.a + self.d * first.c,
            d: self.c * first.b + self.d * first.d,
            dx,
            dy,
        }
    }
}

/// A rectangle: left, bottom, right, top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub(crate) left: f64,
    pub(crate) bottom: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
}

impl Rect {
    pub(crate) fn new(left: f64, bottom: f64, right: f64, top: f64) -> Rect {
        Rect { left, bottom, right, top }
    }

    fn around(points: impl Iterator<Item = Point>) -> Option<Rect> {
        points.fold(None, |rect: Option<Rect>, [x, y]| {
            let r = rect.unwrap_or(Rect::new(x, y, x, y));
            Some(Rect::new(r.left.min(x), r.bottom.min(y), r.right.max(x), r.top.max(y)))
        })
    }
}

impl Outline {
    pub(crate) fn transform(&mut self, affine: &Affine) {
        for contour in &mut self.contours {
            contour.start = affine.apply(contour.start);
            for segment in &mut contour.segments {
                *segment = match *segment {
                    Segment::Line(p) => Segment::Line(affine.apply(p)),
                    Segment::Quad(c, p) => Segment::Quad(affine.apply(c), affine.apply(p)),
                    Segment::Cubic(c, d, p) => {
                        Segment::Cubic(affine.apply(c), affine.apply(d), affine.apply(p))
                    }
                };
            }
        }
    }

    /// Around all control points, which is a little more than the shape.
    pub(crate) fn bounds(&self) -> Option<Rect> {
        let points = self.contours.iter().flat_map(|contour| {
            let parts = contour.segments.iter().flat_map(|segment| match *segment {
                Segment::Line(p) => [p, p, p],
                Segment::Quad(c, p) => [c, p, p],
                Segment::Cubic(c, d, p) => [c, d, p],
            });
            std::iter::once(contour.start).chain(parts)
        });
        Rect::around(points)
    }

    /// With all contours turning the other way.
    pub(crate) fn reversed(&self) -> Outline {
        let contours = self.contours.iter().map(|contour| {
            let starts = std::iter::once(contour.start).chain(contour.segments.iter().map(Segment::end));
            let mut segments: Vec<Segment> = starts
                .zip(&contour.segments)
                .map(|(from, segment)| match *segment {
                    Segment::Line(_) => Segment::Line(from),
                    Segment::Quad(c, _) => Segment::Quad(c, from),
                    Segment::Cubic(c, d, _) => Segment::Cubic(d, c, from),
                })
                .collect();
            segments.reverse();
            Contour { start: contour.segments.last().map_or(contour.start, Segment::end), segments }
        });
        Outline { contours: contours.collect() }
    }

    pub(crate) fn append(&mut self, other: Outline) {
        self.contours.extend(other.contours);
    }

    pub(crate) fn polygon(&mut self, points: &[Point]) {
        let Some((&start, rest)) = points.split_first() else { return };
        let segments = rest.iter().map(|p| Segment::Line(*p)).collect();
        self.contours.push(Contour { start, segments });
    }

    pub(crate) fn rect(&mut self, r: Rect) {
        if r.right > r.left && r.top > r.bottom {
            self.polygon(&[[r.left, r.bottom], [r.right, r.bottom], [r.right, r.top], [r.left, r.top]]);
        }
    }

    /// An ellipse, which turns right instead of left if it is to be a hole.
    pub(crate) fn ellipse(&mut self, [x, y]: Point, rx: f64, ry: f64, hole: bool) {
        // The usual cubic for a quarter: off by less than 0.03 % of the radius.
        const K: f64 = 0.552_284_749_8;
        let s = if hole { -1.0 } else { 1.0 };
        let at = |a: f64, b: f64| [x + a * rx, y + s * b * ry];
        self.contours.push(Contour {
            start: at(1.0, 0.0),
            segments: vec![
                Segment::Cubic(at(1.0, K), at(K, 1.0), at(0.0, 1.0)),
                Segment::Cubic(at(-K, 1.0), at(-1.0, K), at(-1.0, 0.0)),
                Segment::Cubic(at(-1.0, -K), at(-K, -1.0), at(0.0, -1.0)),
                Segment::Cubic(at(K, -1.0), at(1.0, -K), at(1.0, 0.0)),
            ],
        });
    }

    /// The straight edges that come near to its curves; `None` if they are too many or not finite.
    pub(crate) fn edges(&self) -> Option<Vec<Edge>> {
        let mut edges = Vec::new();
        for contour in &self.contours {
            let mut at = contour.start;
            let mut line = |to: Point| {
                if (to[0] - at[0]).abs() > NEAR || (to[1] - at[1]).abs() > NEAR {
                    edges.push(Edge { from: at, to });
                    at = to;
                }
            };
            let mut from = contour.start;
            for segment in &contour.segments {
                match *segment {
                    Segment::Line(p) => line(p),
                    Segment::Quad(c, p) => {
                        let bend = length([from[0] - 2.0 * c[0] + p[0], from[1] - 2.0 * c[1] + p[1]]);
                        let n = steps(bend / (4.0 * TOLERANCE));
                        for i in 1..=n {
                            let t = f64::from(i) / f64::from(n);
                            let u = 1.0 - t;
                            line([0, 1].map(|k| u * u * from[k] + 2.0 * u * t * c[k] + t * t * p[k]));
                        }
                    }
                    Segment::Cubic(c, d, p) => {
                        let first = length([0, 1].map(|k| from[k] - 2.0 * c[k] + d[k]));
                        let last = length([0, 1].map(|k| c[k] - 2.0 * d[k] + p[k]));
                        let n = steps(0.75 * first.max(last) / TOLERANCE);
                        for i in 1..=n {
                            let t = f64::from(i) / f64::from(n);
                            let u = 1.0 - t;
                            line([0, 1].map(|k| {
                                u * u * u * from[k]
                                    + 3.0 * u * u * t * c[k]
                                    + 3.0 * u * t * t * d[k]
                                    + t * t * t * p[k]
                            }));
                        }
                    }
                }
                from = segment.end();
            }
            line(contour.start);
            if edges.len() > EDGES_MAX {
                return None;
            }
        }
        let finite = |p: &Point| p[0].is_finite() && p[1].is_finite();
        edges.iter().all(|e| finite(&e.from) && finite(&e.to)).then_some(edges)
    }
}

fn steps(quotient: f64) -> u32 {
    // A number that is not finite becomes 1 or 64: what it leads to is refused later.
    (quotient.sqrt().ceil() as u32).clamp(1, 64)
}

fn length([x, y]: Point) -> f64 {
    x.hypot(y)
}

/// A straight line with a direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Edge {
    pub(crate) from: Point,
    pub(crate) to: Point,
}

impl Edge {
    fn bounds(&self) -> Rect {
        let ([ax, ay], [bx, by]) = (self.from, self.to);
        Rect::new(ax.min(bx), ay.min(by), ax.max(bx), ay.max(by))
    }

    fn at(&self, t: f64) -> Point {
        [0, 1].map(|k| self.from[k] + t * (self.to[k] - self.from[k]))
    }

    /// Square of the distance to a point.
    pub(crate) fn distance_squared(&self, [x, y]: Point) -> f64 {
        let (dx, dy) = (self.to[0] - self.from[0], self.to[1] - self.from[1]);
        let (px, py) = (x - self.from[0], y - self.from[1]);
        let t = ((px * dx + py * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
        let (ex, ey) = (px - t * dx, py - t * dy);
        ex * ex + ey * ey
    }

    /// How a horizontal line at `y` crosses it: where, and whether upward (1) or downward (−1).
    fn crossing(&self, y: f64) -> Option<(f64, i32)> {
        let (low, high, sign) =
            if self.from[1] < self.to[1] { (self.from, self.to, 1) } else { (self.to, self.from, -1) };
        (low[1] <= y && y < high[1])
            .then(|| (low[0] + (y - low[1]) / (high[1] - low[1]) * (high[0] - low[0]), sign))
    }
}

fn winding(edges: &[Edge], [x, y]: Point) -> i32 {
    edges.iter().filter_map(|edge| edge.crossing(y)).filter(|(at, _)| *at < x).map(|(_, sign)| sign).sum()
}

/// The edges between inside and outside; inside is on the left of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Polygon {
    pub(crate) edges: Vec<Edge>,
    /// Whether the outline had edges within its shape, or contours that turn both ways.
    pub(crate) differs: bool,
    /// Whether the outline had inside on the right.
    pub(crate) turned: bool,
}

impl Polygon {
    /// `None` if there are too many edges.
    pub(crate) fn new(edges: &[Edge]) -> Option<Polygon> {
        let parts = cut(edges)?;
        let mut polygon = Polygon { edges: Vec::with_capacity(parts.len()), ..Polygon::default() };
        let (mut lefts, mut rights) = (0, 0);
        for part in parts {
            let (dx, dy) = (part.to[0] - part.from[0], part.to[1] - part.from[1]);
            let size = dx.hypot(dy);
            // A little to the left and to the right of the middle.
            let (nx, ny) = (-dy / size * 1e-4, dx / size * 1e-4);
            let [x, y] = part.at(0.5);
            let left = winding(edges, [x + nx, y + ny]) != 0;
            let right = winding(edges, [x - nx, y - ny]) != 0;
            match (left, right) {
                (true, false) => {
                    polygon.edges.push(part);
                    lefts += 1;
                }
                (false, true) => {
                    polygon.edges.push(Edge { from: part.to, to: part.from });
                    rights += 1;
                }
                _ => polygon.differs = true,
            }
        }
        // A font's contours may turn either way, but not both.
        polygon.differs |= lefts > 0 && rights > 0;
        polygon.turned = rights > lefts;
        polygon.unify();
        Some(polygon)
    }

    /// Drops the second one of two edges that are the same.
    fn unify(&mut self) {
        let place = |p: Point| p.map(|v| (v / (4.0 * NEAR)).round() as i64);
        let mut seen = std::collections::HashSet::new();
        let before = self.edges.len();
        self.edges.retain(|edge| seen.insert((place(edge.from), place(edge.to))));
        self.differs |= before != self.edges.len();
    }

    /// The edges as closed contours.
    pub(crate) fn outline(&self) -> Outline {
        let place = |p: Point| p.map(|v| (v / (4.0 * NEAR)).round() as i64);
        let mut starts = std::collections::HashMap::<[i64; 2], Vec<usize>>::new();
        for (index, edge) in self.edges.iter().enumerate() {
            starts.entry(place(edge.from)).or_default().push(index);
        }
        let mut used = vec![false; self.edges.len()];
        let mut outline = Outline::default();
        for first in 0..self.edges.len() {
            let mut points: Vec<Point> = Vec::new();
            let mut next = Some(first);
            while let Some(index) = next.filter(|index| !used[*index]) {
                used[index] = true;
                let edge = self.edges[index];
                // Edges in one line are one edge.
                if let [.., a, b] = points[..] {
                    let cross = (b[0] - a[0]) * (edge.to[1] - a[1]) - (b[1] - a[1]) * (edge.to[0] - a[0]);
                    let ahead = (b[0] - a[0]) * (edge.to[0] - b[0]) + (b[1] - a[1]) * (edge.to[1] - b[1]);
                    if cross.abs() < 1e-7 && ahead > 0.0 {
                        points.pop();
                    }
                }
                if points.is_empty() {
                    points.push(edge.from);
                }
                points.push(edge.to);
                next = starts
                    .get(&place(edge.to))
                    .and_then(|candidates| candidates.iter().copied().find(|index| !used[*index]));
            }
            if points.len() > 3 {
                points.pop();
                outline.polygon(&points);
            }
        }
        outline
    }

    /// Around its edges.
    pub(crate) fn bounds(&self) -> Option<Rect> {
        Rect::around(self.edges.iter().map(|edge| edge.from))
    }

    /// Where the horizontal line at `y` goes in and out, from left to right.
    pub(crate) fn crossings(&self, y: f64, found: &mut Vec<(f64, i32)>) {
        found.clear();
        found.extend(self.edges.iter().filter_map(|edge| edge.crossing(y)));
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
    }

    /// Distance to the nearest edge.
    pub(crate) fn distance(&self, point: Point) -> f64 {
        self.edges.iter().map(|edge| edge.distance_squared(point)).fold(f64::INFINITY, f64::min).sqrt()
    }

    /// How much of each pixel is covered, 0 to 1, by `samples`² samples; rows go up from `rect.bottom`.
    pub(crate) fn coverage(&self, rect: Rect, width: usize, height: usize, samples: u32) -> Vec<f32> {
        let n = f64::from(samples);
        let (sx, sy) = (width as f64 / (rect.right - rect.left), (rect.top - rect.bottom) / height as f64);
        let mut out = vec![0.0; width * height];
        let mut found = Vec::new();
        for y in 0..height {
            for row in 0..samples {
                let at = rect.bottom + (y as f64 + (f64::from(row) + 0.5) / n) * sy;
                // Never exactly on a corner.
                self.crossings(at + 1e-7, &mut found);
                let mut wound = 0;
                for pair in found.windows(2) {
                    wound += pair[0].1;
                    if wound == 0 {
                        continue;
                    }
                    // The samples between the two, in numbers of samples from the left.
                    let first = ((pair[0].0 - rect.left) * sx * n - 0.5).ceil().max(0.0) as usize;
                    let last = ((pair[1].0 - rect.left) * sx * n - 0.5).ceil().max(0.0) as usize;
                    let last = last.min(width * samples as usize);
                    for sample in first..last {
                        out[y * width + sample / samples as usize] += 1.0;
                    }
                }
            }
        }
        let all = (samples * samples) as f32;
        out.iter_mut().for_each(|value| *value /= all);
        out
    }
}

/// Cuts edges where they meet others.
fn cut(edges: &[Edge]) -> Option<Vec<Edge>> {
    let mut order: Vec<usize> = (0..edges.len()).collect();
    let boxes: Vec<Rect> = edges.iter().map(Edge::bounds).collect();
    order.sort_by(|a, b| boxes[*a].left.total_cmp(&boxes[*b].left));
    let mut cuts: Vec<Vec<f64>> = vec![Vec::new(); edges.len()];
    let mut count = edges.len();
    for (rank, &a) in order.iter().enumerate() {
        for &b in &order[rank + 1..] {
            if boxes[b].left > boxes[a].right + NEAR {
                break;
            }
            if boxes[a].bottom > boxes[b].top + NEAR || boxes[b].bottom > boxes[a].top + NEAR {
                continue;
            }
            count += meet(edges[a], edges[b], &mut cuts, a, b);
            if count > 2 * EDGES_MAX {
                return None;
            }
        }
    }
    let mut parts = Vec::with_capacity(count);
    for (edge, cuts) in edges.iter().zip(&mut cuts) {
        cuts.sort_by(f64::total_cmp);
        let mut from = edge.from;
        for to in cuts.iter().map(|t| edge.at(*t)).chain([edge.to]) {
            if length([to[0] - from[0], to[1] - from[1]]) > NEAR {
                parts.push(Edge { from, to });
                from = to;
            }
        }
    }
    Some(parts)
}

/// Notes where `a` and `b` cross or touch; returns how many notes that were.
fn meet(ea: Edge, eb: Edge, cuts: &mut [Vec<f64>], a: usize, b: usize) -> usize {
    let mut notes = 0;
    // Neighbours share an end, and nothing else unless they fold back.
    for (edge, index, other) in [(ea, a, eb), (eb, b, ea)] {
        let (dx, dy) = (edge.to[0] - edge.from[0], edge.to[1] - edge.from[1]);
        let size = dx * dx + dy * dy;
        for end in [other.from, other.to] {
            let (px, py) = (end[0] - edge.from[0], end[1] - edge.from[1]);
            let t = (px * dx + py * dy) / size;
            if t > 0.0 && t < 1.0 && (px * dy - py * dx).abs() < NEAR * size.sqrt() {
                cuts[index].push(t);
                notes += 1;
            }
        }
    }
    if notes > 0 {
        return notes;
    }
    let (d1, d2) = ([0, 1].map(|k| ea.to[k] - ea.from[k]), [0, 1].map(|k| eb.to[k] - eb.from[k]));
    let cross = d1[0] * d2[1] - d1[1] * d2[0];
    if cross.abs() < 1e-12 {
        return 0;
    }
    let w = [0, 1].map(|k| eb.from[k] - ea.from[k]);
    let t = (w[0] * d2[1] - w[1] * d2[0]) / cross;
    let u = (w[0] * d1[1] - w[1] * d1[0]) / cross;
    if t > 0.0 && t < 1.0 && u > 0.0 && u < 1.0 {
        cuts[a].push(t);
        cuts[b].push(u);
        return 2;
    }
    0
}
