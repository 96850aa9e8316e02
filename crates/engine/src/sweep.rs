// SPDX-License-Identifier: AGPL-3.0-or-later
//! Where a ray, or a ball on its way, first meets a triangle.

use bevy::math::Vec3;

/// What is shorter squared has no direction.
const NOTHING: f32 = 1e-20;

/// A way through space; lengths along it are in lengths of `way`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) from: Vec3,
    pub(crate) way: Vec3,
}

impl Line {
    pub(crate) fn at(&self, along: f32) -> Vec3 {
        self.from + self.way * along
    }
}

/// Where a triangle is met.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Meeting {
    /// How far along the line, 0 or more.
    pub(crate) along: f32,
    /// The point of the triangle.
    pub(crate) point: Vec3,
    /// Of length 1.
    pub(crate) normal: Vec3,
}

/// How far along a line a box between two corners begins; `None` if the line passes it by. The box is larger by
/// `more` on all sides.
pub(crate) fn meets_box(line: &Line, center: Vec3, half: Vec3, more: f32) -> Option<f32> {
    let half = half + Vec3::splat(more);
    let (mut begins, mut ends) = (0.0f32, f32::INFINITY);
    for axis in 0..3 {
        let (from, way) = (line.from[axis] - center[axis], line.way[axis]);
        if way == 0.0 {
            if from.abs() > half[axis] {
                return None;
            }
            continue;
        }
        let (one, other) = ((-half[axis] - from) / way, (half[axis] - from) / way);
        begins = begins.max(one.min(other));
        ends = ends.min(one.max(other));
    }
    (begins <= ends).then_some(begins)
}

/// Where a ray meets a triangle (Möller and Trumbore 1997): how far along, and the triangle's normal, not of length
/// 1 and to the side from which its corners go around counter-clockwise. `one_sided` triangles are met from that side
/// alone.
pub(crate) fn ray(line: &Line, [a, b, c]: [Vec3; 3], one_sided: bool) -> Option<(f32, Vec3)> {
    let (ab, ac) = (b - a, c - a);
    let across = line.way.cross(ac);
    let det = ab.dot(across);
    // Seen edge on, from behind, or no triangle at all.
    if !det.is_normal() || one_sided && det < 0.0 {
        return None;
    }
    let to = line.from - a;
    let u = to.dot(across) / det;
    let up = to.cross(ab);
    let v = line.way.dot(up) / det;
    let along = ac.dot(up) / det;
    let is_inside = u >= 0.0 && v >= 0.0 && u + v <= 1.0;
    (is_inside && along >= 0.0).then(|| (along, ab.cross(ac)))
}

/// Where a ball whose middle goes along a line of `way` of length 1 first touches a triangle, from either side.
pub(crate) fn ball(line: &Line, radius: f32, corners: [Vec3; 3]) -> Option<Meeting> {
    let [a, b, c] = corners;
    let start = nearest(line.from, corners);
    let gap = line.from - start;
    if gap.length_squared() <= radius * radius {
        let face = (b - a).cross(c - a);
        let normal = gap.try_normalize().or_else(|| face.try_normalize()).unwrap_or(-line.way);
        return Some(Meeting { along: 0.0, point: start, normal });
    }
    // Its face is met before its edges, if it is met at all.
    if let Some(face) = (b - a).cross(c - a).try_normalize() {
        let height = face.dot(line.from - a);
        let normal = if height < 0.0 { -face } else { face };
        let sinks = -normal.dot(line.way);
        if height.abs() >= radius && sinks > 0.0 {
            let along = (height.abs() - radius) / sinks;
            let point = line.at(along) - normal * radius;
            if is_within(point, corners, face) {
                return Some(Meeting { along, point, normal });
            }
        }
    }
    let edges = [(a, b), (b, c), (c, a)];
    let met = edges.into_iter().filter_map(|(one, other)| edge(line, radius, one, other));
    let corners = corners.into_iter().filter_map(|corner| Some((sphere(line, radius, corner)?, corner)));
    let (along, point) = met.chain(corners).min_by(|one, other| one.0.total_cmp(&other.0))?;
    let normal = (line.at(along) - point).try_normalize()?;
    Some(Meeting { along, point, normal })
}

/// How far along a line of `way` of length 1 a sphere begins, if the line comes from outside.
fn sphere(line: &Line, radius: f32, middle: Vec3) -> Option<f32> {
    let to = line.from - middle;
    let b = to.dot(line.way);
    let h = b * b - (to.length_squared() - radius * radius);
    let along = -b - h.max(0.0).sqrt();
    (h >= 0.0 && along >= 0.0).then_some(along)
}

/// How far along a line the side of a cylinder about an edge begins, and which point of the edge that is.
fn edge(line: &Line, radius: f32, one: Vec3, other: Vec3) -> Option<(f32, Vec3)> {
    let (axis, to) = (other - one, line.from - one);
    let (axis_axis, axis_way, axis_to) = (axis.length_squared(), axis.dot(line.way), axis.dot(to));
    let a = axis_axis - axis_way * axis_way;
    // Along its axis there is no side to be met, only the ends.
    if axis_axis < NOTHING || a <= axis_axis * 1e-6 {
        return None;
    }
    let b = axis_axis * to.dot(line.way) - axis_to * axis_way;
    let c = axis_axis * (to.length_squared() - radius * radius) - axis_to * axis_to;
    let h = b * b - a * c;
    if h < 0.0 {
        return None;
    }
    let along = (-b - h.sqrt()) / a;
    let part = (axis_to + along * axis_way) / axis_axis;
    (along >= 0.0 && (0.0..=1.0).contains(&part)).then(|| (along, one + axis * part))
}

/// Whether a point of a triangle's plane is within the triangle.
fn is_within(point: Vec3, [a, b, c]: [Vec3; 3], face: Vec3) -> bool {
    let inner = |one: Vec3, other: Vec3| face.dot((other - one).cross(point - one)) >= 0.0;
    inner(a, b) && inner(b, c) && inner(c, a)
}

/// The point of a triangle that is nearest (Ericson, Real-Time Collision Detection, section 5.1.5).
fn nearest(point: Vec3, [a, b, c]: [Vec3; 3]) -> Vec3 {
    let (ab, ac, ap) = (b - a, c - a, point - a);
    let (d1, d2) = (ab.dot(ap), ac.dot(ap));
    if d1 <= 0.0 && d2 <= 0.0 {
        return a;
    }
    let bp = point - b;
    let (d3, d4) = (ab.dot(bp), ac.dot(bp));
    if d3 >= 0.0 && d4 <= d3 {
        return b;
    }
    let vc = d1 * d4 - d3 * d2;
    if vc <= 0.0 && d1 >= 0.0 && d3 <= 0.0 {
        return a + ab * part(d1, d1 - d3);
    }
    let cp = point - c;
    let (d5, d6) = (ab.dot(cp), ac.dot(cp));
    if d6 >= 0.0 && d5 <= d6 {
        return c;
    }
    let vb = d5 * d2 - d1 * d6;
    if vb <= 0.0 && d2 >= 0.0 && d6 <= 0.0 {
        return a + ac * part(d2, d2 - d6);
    }
    let va = d3 * d6 - d5 * d4;
    if va <= 0.0 && d4 >= d3 && d5 >= d6 {
        return b + (c - b) * part(d4 - d3, (d4 - d3) + (d5 - d6));
    }
    let all = va + vb + vc;
    a + ab * part(vb, all) + ac * part(vc, all)
}

/// A part of a whole; of nothing, nothing.
fn part(part: f32, whole: f32) -> f32 {
    if whole.abs() < f32::MIN_POSITIVE { 0.0 } else { part / whole }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// A triangle in the xy plane, seen from +Z.
    const TRIANGLE: [Vec3; 3] =
        [Vec3::new(-1.0, -1.0, 0.0), Vec3::new(1.0, -1.0, 0.0), Vec3::new(0.0, 1.0, 0.0)];

    fn line(from: [f32; 3], way: [f32; 3]) -> Line {
        Line { from: from.into(), way: Vec3::from(way).normalize() }
    }

    #[test]
    fn a_ray_meets_a_triangle_from_its_front() {
        for (from, way, one_sided, wanted) in [
            ([0.0, 0.0, 2.0], [0.0, 0.0, -1.0], true, Some(2.0)),
            ([0.0, 0.0, -2.0], [0.0, 0.0, 1.0], true, None),
            ([0.0, 0.0, -2.0], [0.0, 0.0, 1.0], false, Some(2.0)),
            ([0.0, 0.0, 2.0], [0.0, 0.0, 1.0], false, None),
            ([0.9, 0.9, 2.0], [0.0, 0.0, -1.0], false, None),
            ([0.0, -5.0, 0.0], [0.0, 1.0, 0.0], false, None),
        ] {
            let met = ray(&line(from, way), TRIANGLE, one_sided);
            assert_eq!(met.map(|(along, _)| along), wanted, "{from:?} {way:?}");
        }
        let (_, normal) = ray(&line([0.0, 0.0, 2.0], [0.0, 0.0, -1.0]), TRIANGLE, true).unwrap();
        assert_eq!(normal.normalize(), Vec3::Z);
        // What has no area is met by nothing.
        assert_eq!(ray(&line([0.0, 0.0, 2.0], [0.0, 0.0, -1.0]), [Vec3::ZERO; 3], false), None);
    }

    #[test]
    fn a_ball_meets_face_edge_and_corner() {
        let near = |one: f32, other: f32| (one - other).abs() < 1e-4;
        for (from, way, wanted) in [
            // The face, from both sides.
            ([0.0, 0.0, 2.0], [0.0, 0.0, -1.0], Some((1.5, [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]))),
            ([0.0, 0.0, -2.0], [0.0, 0.0, 1.0], Some((1.5, [0.0, 0.0, 0.0], [0.0, 0.0, -1.0]))),
            // The lower edge, in its plane and beside it.
            ([0.0, -3.0, 0.0], [0.0, 1.0, 0.0], Some((1.5, [0.0, -1.0, 0.0], [0.0, -1.0, 0.0]))),
            ([0.0, -1.3, 2.0], [0.0, 0.0, -1.0], Some((1.6, [0.0, -1.0, 0.0], [0.0, -0.6, 0.8]))),
            // The upper corner.
            ([0.0, 3.0, 0.0], [0.0, -1.0, 0.0], Some((1.5, [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]))),
            // It passes by, and goes away.
            ([0.0, -1.6, 2.0], [0.0, 0.0, -1.0], None),
            ([0.0, 0.0, 2.0], [0.0, 0.0, 1.0], None),
            // It touches when it begins.
            ([0.0, 0.0, 0.3], [0.0, 0.0, 1.0], Some((0.0, [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]))),
        ] {
            let met = ball(&line(from, way), 0.5, TRIANGLE);
            let Some((along, point, normal)) = wanted else {
                assert_eq!(met, None, "{from:?} {way:?}");
                continue;
            };
            let met = met.unwrap_or_else(|| panic!("{from:?} {way:?} meets nothing"));
            assert!(near(met.along, along), "{met:?}");
            assert!(met.point.abs_diff_eq(point.into(), 1e-4), "{met:?}");
            assert!(met.normal.abs_diff_eq(normal.into(), 1e-4), "{met:?}");
        }
    }

    /// Compared with many small steps along the way.
    #[test]
    fn a_ball_meets_what_it_would_step_into() {
        let mut seed = 7u32;
        let mut chance = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let mut vector = |scale: f32| Vec3::new(chance(), chance(), chance()) * scale;
        let mut met = 0;
        for _ in 0..2000 {
            let corners = [vector(2.0), vector(2.0), vector(2.0)];
            let line = Line { from: vector(3.0), way: vector(1.0).normalize_or(Vec3::X) };
            let radius = 0.3;
            const STEP: f32 = 0.01;
            let stepped = (0..1000).map(|i| i as f32 * STEP).find(|along| {
                let at = line.at(*along);
                (at - nearest(at, corners)).length() <= radius
            });
            let swept = ball(&line, radius, corners).map(|meeting| meeting.along);
            match (stepped, swept) {
                (Some(stepped), Some(swept)) => {
                    met += 1;
                    assert!(swept <= stepped + 1e-3 && swept >= stepped - STEP - 2e-2, "{swept} {stepped}");
                }
                // It may only graze it between two steps, or beyond them.
                (None, Some(swept)) => {
                    let at = line.at(swept);
                    assert!(((at - nearest(at, corners)).length() - radius).abs() < 1e-2, "{swept}");
                }
                (Some(stepped), None) => {
                    let at = line.at(stepped);
                    assert!((at - nearest(at, corners)).length() > radius - 1e-3, "missed at {stepped}");
                }
                (None, None) => {}
            }
        }
        assert!(met > 100, "{met}");
    }

    #[test]
    fn boxes_are_met_from_inside_and_outside() {
        let half = Vec3::ONE;
        for (from, way, more, wanted) in [
            ([0.0, 0.0, 5.0], [0.0, 0.0, -1.0], 0.0, Some(4.0)),
            ([0.0, 0.0, 5.0], [0.0, 0.0, -1.0], 0.5, Some(3.5)),
            ([0.0, 0.0, 0.0], [0.0, 0.0, -1.0], 0.0, Some(0.0)),
            ([0.0, 0.0, 5.0], [0.0, 0.0, 1.0], 0.0, None),
            ([1.2, 0.0, 5.0], [0.0, 0.0, -1.0], 0.0, None),
            ([1.2, 0.0, 5.0], [0.0, 0.0, -1.0], 0.3, Some(3.7)),
        ] {
            assert_eq!(
                meets_box(&line(from, way), Vec3::ZERO, half, more),
                wanted,
                "{from:?} {way:?} {more}"
            );
        }
    }
}
