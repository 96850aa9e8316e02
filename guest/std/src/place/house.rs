// SPDX-License-Identifier: AGPL-3.0-or-later
//! The shelter behind the fire: walls of plaster on stone, a roof of shingles, a round window to the mountains, and a
//! fireplace in the corner. Open towards who enters.
//!
//! In pieces, each in its own box: whoever asks what is in the way somewhere looks through one or two of them.

use super::furniture::{DARK_WOOD, board, plank};
use crate::chance::{Chance, mix, noise};
use hearth_sdk::{prelude::*, scene::times};
use std::f32::consts::{FRAC_PI_4, PI, TAU};

/// Height of the floor, a step above the terrace.
pub(super) const FLOOR: f32 = 0.12;
/// The edge of the floor towards the fire.
pub(super) const FRONT: f32 = -3.6;
/// The inner faces of the walls.
pub(super) const SIDE: f32 = 3.72;
pub(super) const BACK: f32 = -7.82;
const THICK: f32 = 0.36;
/// Where the side walls begin.
const WALL_FRONT: f32 = -4.0;
/// The underside of the roof, over the middle and over the side walls; it falls by `SLOPE` for each metre outwards.
const RIDGE: f32 = 5.2;
const SLOPE: f32 = 0.6;
const EAVES: f32 = RIDGE - SLOPE * (SIDE + THICK * 0.5);
/// How far the roof reaches beyond the middle and the walls.
const OVERHANG: f32 = 4.75;
const ROOF_FRONT: f32 = -3.2;
const ROOF_BACK: f32 = -8.55;
/// The round window.
const WINDOW: Vec3 = vec3(0.0, 1.88, BACK - THICK * 0.5);
const WINDOW_RADIUS: f32 = 1.05;
/// Height of the tie beams' middle.
const TIE: f32 = 2.71;
/// Where the sign is: on the front of the first of them.
pub(super) const SIGN: Vec3 = vec3(0.0, TIE, WALL_FRONT + 0.25);

/// Where ivy climbs: up a post on the right and along the eaves, and up that on the left.
pub(super) const IVY: [([Vec3; 5], u32); 2] = [
    (
        [
            vec3(4.25, -0.02, -3.6),
            vec3(4.0, 1.1, -3.7),
            vec3(4.02, 2.3, -3.66),
            vec3(3.75, 2.86, -3.16),
            vec3(2.2, 3.8, -3.12),
        ],
        1500,
    ),
    (
        [
            vec3(-4.3, -0.02, -3.6),
            vec3(-4.05, 0.8, -3.7),
            vec3(-3.9, 1.5, -3.68),
            vec3(-4.0, 2.2, -3.68),
            vec3(-4.45, 2.5, -3.16),
        ],
        2500,
    ),
];

/// Where the fireplace stands, and which way it looks: out of the corner on the left.
pub(super) fn fireplace_pose() -> (Vec3, Quat) {
    let out = vec3(FRAC_PI_4.sin(), 0.0, FRAC_PI_4.cos());
    (vec3(-SIDE, FLOOR, BACK) + out * 1.18, Quat::about(Vec3::Y, FRAC_PI_4))
}

/// A rough stone about a place.
fn stone(size: Vec3, place: Vec3, chance: &mut Chance) -> Shape {
    let shift = chance.part() * 70.0;
    let tone = mix(srgb(0x948a7a), srgb(0x6c655d), chance.part());
    let tone = mix(tone, srgb(0x9a7c5c), chance.part() * 0.3);
    let rough = Shape::block(size, 0.035);
    rough
        .bent(|p| p * (1.0 + 0.035 * noise(p.x * 6.0 + shift, p.y * 6.0 + p.z * 5.0)))
        .colored(tone)
        .moved(place)
}

/// A course of stones along x, between two ends.
fn course(ends: [f32; 2], size: [f32; 2], place: [f32; 2], chance: &mut Chance) -> Shape {
    let mut all = Shape::new();
    let [height, deep] = size;
    let count = ((ends[1] - ends[0]) / (height * 1.9)).round().max(1.0) as u32;
    let mut cuts: Vec<f32> = (0..=count).map(|i| i as f32 / count as f32).collect();
    let inner = cuts.len() - 1;
    for cut in &mut cuts[1..inner] {
        *cut += chance.between(-0.22, 0.22) / count as f32;
    }
    for pair in cuts.windows(2) {
        let [a, b] = [pair[0], pair[1]].map(|part| ends[0] + (ends[1] - ends[0]) * part);
        let size = vec3(b - a - 0.012, height - 0.012, deep + chance.between(-0.02, 0.02));
        all.add(stone(size, vec3((a + b) * 0.5, place[0], place[1]), chance));
    }
    all
}

/// Lime plaster, darker where less light comes: at the floor, in the corners, under the roof.
fn plaster(p: Vec3) -> [f32; 3] {
    let stain = noise(p.x * 1.3 + 7.0, p.y * 1.1 + p.z * 1.2) * 0.5 + 0.5;
    let patch = noise(p.x * 4.1, p.y * 3.7 + p.z * 3.9) * 0.5 + 0.5;
    let lime = mix(srgb(0xe6dac6), srgb(0xcdb899), stain * 0.7 + patch * 0.2);
    let near = |distance: f32, reach: f32| 1.0 - (distance / reach).clamp(0.0, 1.0);
    let is_inside = p.x.abs() < SIDE + 0.1 && p.z > BACK - 0.1;
    if !is_inside {
        return mix(lime, srgb(0x6d5a45), near(p.y, 1.2) * 0.6);
    }
    let roof = RIDGE - SLOPE * p.x.abs() - p.y;
    let corner = near(SIDE - p.x.abs(), 0.9).min(near(p.z - BACK, 0.9));
    let dark = 0.30 * near(p.y - FLOOR, 0.9) + 0.42 * near(roof, 1.3) + 0.4 * corner;
    mix(lime, srgb(0x40342c), dark.min(0.75))
}

/// Floor boards on a base of stone, with a wide step before them.
pub(super) fn floor() -> Shape {
    let mut chance = Chance::new(510);
    let mut all = Shape::new();
    let (deep, middle) = (FRONT - BACK + THICK, (FRONT + BACK - THICK) * 0.5);
    let core = Shape::cuboid(vec3(8.1, 1.0, deep)).colored(srgb(0x3b342c));
    all.add(core.moved(vec3(0.0, FLOOR - 0.06 - 0.5, middle)));
    let planks = 17;
    let wide = (deep - 0.42) / planks as f32;
    for row in 0..planks {
        let z = FRONT - 0.42 - (row as f32 + 0.5) * wide;
        let cut = chance.between(-1.6, 1.6);
        for [a, b] in [[-SIDE - 0.05, cut], [cut, SIDE + 0.05]] {
            let size = vec3(b - a - 0.006, 0.07, wide - 0.006);
            let dark = 0.35 * ((z - BACK) / 1.2).clamp(0.0, 1.0) + 0.65;
            let tone = mix(times(srgb(0x8a6340), dark), times(srgb(0x5e4029), dark), chance.part());
            all.add(plank(size, vec3((a + b) * 0.5, FLOOR - 0.035, z), tone, &mut chance));
        }
    }
    // The threshold, and the base where it is seen from outside.
    all.add(course([-4.2, 4.2], [0.2, 0.44], [FLOOR - 0.1, FRONT - 0.21], &mut chance));
    for row in 0..2 {
        let y = FLOOR - 0.17 - 0.34 * row as f32;
        all.add(course([-4.2, 4.2], [0.34, 0.3], [y, BACK - THICK], &mut chance));
        // Lower down the terrace is before it.
        let begin = if row == 0 { FRONT - 0.45 } else { -6.8 };
        for side in [-1.0, 1.0] {
            let run = course([begin, BACK - THICK].map(|z| -z), [0.34, 0.3], [y, 4.1], &mut chance);
            all.add(run.turned(Quat::about(Vec3::Y, PI * 0.5)).scaled(vec3(side, 1.0, 1.0)));
        }
    }
    all
}

/// A wall at the side; that on the right, or mirrored.
pub(super) fn side_wall(side: f32) -> Shape {
    let mut chance = Chance::new(530 + u32::from(side > 0.0) * 40);
    let mut all = Shape::new();
    let (long, middle) = (WALL_FRONT - BACK + THICK, (WALL_FRONT + BACK - THICK) * 0.5);
    let high = EAVES - FLOOR;
    for face in [-1.0, 1.0] {
        // A surface set upright, its front towards ±x.
        let panel = Shape::heightfield([8, 12], [high, long], |_, _| 0.0);
        let panel = panel.turned(Quat::about(Vec3::Z, -PI * 0.5 * face));
        all.add(panel.moved(vec3(SIDE + THICK * (0.5 + 0.5 * face), FLOOR + high * 0.5, middle)));
    }
    let mut end = Shape::new();
    let (a, b, top) = (SIDE, SIDE + THICK, EAVES);
    end.polygon(&[
        vec3(a, FLOOR, WALL_FRONT),
        vec3(b, FLOOR, WALL_FRONT),
        vec3(b, top, WALL_FRONT),
        vec3(a, top, WALL_FRONT),
    ]);
    all.add(end);
    let mut all = all.scaled(vec3(side, 1.0, 1.0)).painted(|p, _| plaster(p));
    for row in 0..2 {
        let y = FLOOR + 0.14 + 0.28 * row as f32;
        let shift = 0.2 * row as f32;
        let run = course([4.0, 8.2 - shift], [0.28, THICK + 0.09], [y, SIDE + THICK * 0.5], &mut chance);
        all.add(run.turned(Quat::about(Vec3::Y, PI * 0.5)).scaled(vec3(side, 1.0, 1.0)));
    }
    all
}

/// The wall at the back, up to the roof, with the round window in it.
pub(super) fn back_wall() -> Shape {
    let mut chance = Chance::new(620);
    let (side, ridge) = (SIDE + THICK, RIDGE);
    let corners = [
        [side, FLOOR],
        [side, ridge - SLOPE * side],
        [0.0, ridge],
        [-side, ridge - SLOPE * side],
        [-side, FLOOR],
    ];
    let mut angles: Vec<f32> = (0..56).map(|i| i as f32 / 56.0 * TAU - PI).collect();
    angles.extend(corners.map(|[x, y]| (y - WINDOW.y).atan2(x)));
    angles.sort_by(f32::total_cmp);
    angles.push(angles[0] + TAU);
    // How far the wall reaches from the middle of the window in a direction.
    let reach = |angle: f32| {
        let (sin, cos) = angle.sin_cos();
        let sides = (0..5).filter_map(|i| {
            let ([ax, ay], [bx, by]) = (corners[i], corners[(i + 1) % 5]);
            let (nx, ny) = (by - ay, ax - bx);
            let towards = nx * cos + ny * sin;
            (towards > 1e-5).then(|| (nx * ax + ny * (ay - WINDOW.y)) / towards)
        });
        sides.fold(f32::MAX, f32::min)
    };
    let at = |angle: f32, part: f32, z: f32| {
        let far = WINDOW_RADIUS + (reach(angle) - WINDOW_RADIUS) * part;
        vec3(far * angle.cos(), WINDOW.y + far * angle.sin(), z)
    };
    let mut wall = Shape::new();
    for pair in angles.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        if b - a < 1e-4 {
            continue;
        }
        for ring in 0..4 {
            let (near, far) = (ring as f32 / 4.0, (ring + 1) as f32 / 4.0);
            let front = [at(a, near, BACK), at(a, far, BACK), at(b, far, BACK), at(b, near, BACK)];
            wall.polygon(&front);
            let outside = BACK - THICK;
            wall.polygon(&[
                at(b, near, outside),
                at(b, far, outside),
                at(a, far, outside),
                at(a, near, outside),
            ]);
        }
        wall.polygon(&[
            at(a, 0.0, BACK - THICK),
            at(a, 0.0, BACK),
            at(b, 0.0, BACK),
            at(b, 0.0, BACK - THICK),
        ]);
    }
    let mut all = wall.painted(|p, _| plaster(p));
    // The frame: a ring of wedges, a little proud of the wall on both sides.
    let wedges = 20;
    for wedge in 0..wedges {
        let angle = (wedge as f32 + 0.5) / wedges as f32 * TAU;
        let deep = THICK + 0.12 + chance.between(0.0, 0.05);
        let (inner, outer) = (WINDOW_RADIUS - 0.06, WINDOW_RADIUS + 0.2 + chance.between(-0.02, 0.03));
        let half = (PI / wedges as f32).tan() - 0.006;
        let tone = mix(srgb(0xa09482), srgb(0x7c7266), chance.part());
        let cut = |r: f32, by: f32| [half * r - by, r];
        let (a, b) = (cut(inner, 0.0), cut(outer, 0.0));
        let face = Shape::extrude(&[[-a[0], a[1]], [a[0], a[1]], [b[0], b[1]], [-b[0], b[1]]], deep);
        let stone = face.turned(Quat::about(Vec3::Z, angle)).colored(tone);
        all.add(stone.moved(WINDOW));
    }
    for row in 0..2 {
        let y = FLOOR + 0.14 + 0.28 * row as f32;
        let half = SIDE + THICK - 0.12 * row as f32;
        all.add(course([-half, half], [0.28, THICK + 0.09], [y, BACK - THICK * 0.5], &mut chance));
    }
    // A cross of thin wood, so that it is a window.
    for (size, turn) in [(2.02, 0.0), (2.02, PI * 0.5)] {
        let bar = board(vec3(size * WINDOW_RADIUS, 0.05, 0.06), Vec3::ZERO, DARK_WOOD, &mut chance);
        all.add(bar.turned(Quat::about(Vec3::Z, turn)).moved(WINDOW - Vec3::Z * 0.05));
    }
    all
}

/// One side of the roof: that on the right, or mirrored.
pub(super) fn roof(side: f32) -> Shape {
    let mut chance = Chance::new(700 + u32::from(side > 0.0) * 90);
    let mut all = Shape::new();
    let fall = SLOPE.atan();
    let (long, middle) = (ROOF_FRONT - ROOF_BACK, (ROOF_FRONT + ROOF_BACK) * 0.5);
    let slant = OVERHANG / fall.cos();
    // In a frame whose x goes down the slope and whose y is out of it.
    let boards = 13;
    for row in 0..boards {
        let wide = slant / boards as f32;
        let x = (row as f32 + 0.5) * wide;
        let tone = mix(srgb(0x54391f), srgb(0x3f2a1c), chance.part());
        let lath = Shape::cuboid(vec3(wide, 0.05, long - 0.12)).colored(tone);
        all.add(lath.moved(vec3(x, 0.025, middle)));
    }
    let rows = 15;
    let step = slant / rows as f32;
    for row in 0..rows {
        let mut z = ROOF_BACK - chance.part() * 0.25;
        while z < ROOF_FRONT - 0.02 {
            let end = (z + chance.between(0.26, 0.46)).min(ROOF_FRONT);
            let begin = z.max(ROOF_BACK);
            z = end;
            if end - begin < 0.03 {
                continue;
            }
            let tone = mix(srgb(0x6b4a3a), srgb(0x47363a), chance.part());
            let moss = (noise(row as f32 * 0.33, begin * 1.1) - 0.3).max(0.0) * chance.between(0.5, 2.0);
            let tone = mix(tone, srgb(0x6f7a3a), moss.min(0.6));
            let size = vec3(step + 0.09, 0.035, end - begin - 0.012);
            let shingle = shingle(size).turned(Quat::about(Vec3::Z, 0.07 + chance.between(0.0, 0.02)));
            let x = (row as f32 + 0.5) * step + 0.03;
            all.add(shingle.colored(tone).moved(vec3(x, 0.085, (begin + end) * 0.5)));
        }
    }
    let all = all.turned(Quat::about(Vec3::Z, -fall)).moved(Vec3::Y * RIDGE);
    all.scaled(vec3(side, 1.0, 1.0))
}

/// A shingle about the origin, its lower end towards +X: what is seen of it.
fn shingle(size: Vec3) -> Shape {
    let h = size * 0.5;
    let mut all = Shape::new();
    all.polygon(&[vec3(-h.x, h.y, h.z), vec3(h.x, h.y, h.z), vec3(h.x, h.y, -h.z), vec3(-h.x, h.y, -h.z)]);
    all.polygon(&[vec3(h.x, -h.y, h.z), vec3(h.x, -h.y, -h.z), vec3(h.x, h.y, -h.z), vec3(h.x, h.y, h.z)]);
    all
}

/// What carries the roof: posts, tie beams, rafters, and the boards that end it.
pub(super) fn timber() -> Shape {
    let mut chance = Chance::new(840);
    let mut all = Shape::new();
    let fall = SLOPE.atan();
    let mut rod = |from: Vec3, to: Vec3, wide: f32, high: f32, wood: u32| {
        let along = to - from;
        let beam = board(vec3(wide, high, along.length()), Vec3::ZERO, wood, &mut chance);
        beam.turned(Quat::looking(along)).moved(from.lerp(to, 0.5))
    };
    let post = SIDE + THICK * 0.5;
    let trusses = [WALL_FRONT + 0.14, -5.95];
    for (number, z) in trusses.into_iter().enumerate() {
        let over = if number == 0 { 0.12 } else { 0.0 };
        all.add(rod(vec3(-post - over, TIE, z), vec3(post + over, TIE, z), 0.2, 0.28, DARK_WOOD));
        all.add(rod(vec3(0.0, TIE + 0.12, z), vec3(0.0, RIDGE - 0.1, z), 0.17, 0.17, DARK_WOOD));
        for side in [-1.0, 1.0] {
            let rafter =
                [vec3(0.0, RIDGE - 0.1, z), vec3(side * OVERHANG, RIDGE - 0.1 - SLOPE * OVERHANG, z)];
            all.add(rod(rafter[0], rafter[1], 0.16, 0.16, DARK_WOOD));
            let strut = vec3(side * 1.62, RIDGE - 0.2 - SLOPE * 1.62, z);
            all.add(rod(vec3(side * 0.12, TIE + 0.2, z), strut, 0.12, 0.12, DARK_WOOD));
        }
    }
    for side in [-1.0, 1.0] {
        let foot = vec3(side * post, FLOOR + 0.3, trusses[0]);
        all.add(rod(foot, vec3(side * post, TIE - 0.1, trusses[0]), 0.26, 0.26, DARK_WOOD));
        let knee = vec3(side * (post - 0.85), TIE - 0.12, trusses[0]);
        all.add(rod(vec3(side * (post - 0.06), TIE - 0.95, trusses[0]), knee, 0.13, 0.13, DARK_WOOD));
        // Purlins, under the rafters' line.
        for (x, size) in [(2.05, 0.14), (post, 0.2)] {
            let y = RIDGE - SLOPE * x - 0.08;
            let ends = [ROOF_FRONT - 0.06, BACK - THICK + 0.02].map(|z| vec3(side * x, y, z));
            all.add(rod(ends[0], ends[1], size, size, DARK_WOOD));
        }
        // They cross above the ridge.
        for z in [ROOF_FRONT + 0.03, ROOF_BACK - 0.03] {
            let from = vec3(-side * 0.34, RIDGE + SLOPE * 0.34 + 0.04, z + side * 0.025);
            let to =
                vec3(side * (OVERHANG + 0.06), RIDGE + 0.04 - SLOPE * (OVERHANG + 0.06), z + side * 0.025);
            all.add(rod(from, to, 0.05, 0.26, 0x5e3f28));
        }
    }
    all.add(rod(
        vec3(0.0, RIDGE - 0.1, ROOF_FRONT - 0.02),
        vec3(0.0, RIDGE - 0.1, BACK - THICK),
        0.16,
        0.2,
        DARK_WOOD,
    ));
    let cap = [-1.0, 1.0].map(|side| {
        let slab =
            Shape::block(vec3(0.34, 0.04, ROOF_FRONT - ROOF_BACK - 0.02), 0.01).colored(srgb(0x4b3830));
        let slab = slab.turned(Quat::about(Vec3::Z, -fall * side));
        slab.moved(vec3(side * 0.14, RIDGE + 0.07, (ROOF_FRONT + ROOF_BACK) * 0.5))
    });
    for slab in cap {
        all.add(slab);
    }
    // The posts stand on stones.
    for side in [-1.0, 1.0] {
        all.add(stone(vec3(0.44, 0.34, 0.44), vec3(side * post, FLOOR + 0.16, trusses[0]), &mut chance));
    }
    all
}

/// The fireplace, its opening towards +Z and its foot at the origin.
pub(super) fn fireplace() -> Shape {
    let mut chance = Chance::new(910);
    let mut all = Shape::new();
    let soot = srgb(0x1f1a18);
    let deep = 0.62;
    // Pillars beside the opening, an arch of wedges over it, and the dark behind.
    for side in [-1.0, 1.0] {
        for row in 0..4 {
            let wide = 0.46 + chance.between(-0.02, 0.02);
            let place = vec3(side * 0.74, 0.12 + 0.24 * row as f32, -deep * 0.5);
            all.add(stone(vec3(wide, 0.235, deep), place, &mut chance));
        }
    }
    let wedges = 7;
    for wedge in 0..wedges {
        let angle = ((wedge as f32 + 0.5) / wedges as f32 - 0.5) * PI * 0.72;
        let tone = mix(srgb(0xa08f78), srgb(0x776a5c), chance.part());
        let high = if wedge == wedges / 2 { 0.31 } else { 0.27 };
        let piece = Shape::block(vec3(0.215, high, deep * 0.6), 0.02).colored(tone);
        let place = vec3(0.0, 0.42, 0.0) + vec3(angle.sin(), angle.cos(), 0.0) * 0.62;
        all.add(piece.turned(Quat::about(Vec3::Z, -angle)).moved(place - Vec3::Z * (deep * 0.3 - 0.03)));
    }
    let back = Shape::cuboid(vec3(1.1, 1.3, 0.1)).painted(|p, _| mix(srgb(0x4a3328), soot, p.y + 0.65));
    all.add(back.moved(vec3(0.0, 0.65, -deep + 0.06)));
    let above = Shape::block(vec3(1.92, 0.32, deep - 0.1), 0.02);
    all.add(above.colored(srgb(0x8b7b68)).moved(vec3(0.0, 1.14, -deep * 0.5 - 0.02)));
    let hearthstone = Shape::block(vec3(1.7, 0.07, 1.0), 0.02).colored(srgb(0x6f675e));
    all.add(hearthstone.moved(vec3(0.0, 0.03, -0.12)));
    all.add(board(vec3(2.02, 0.11, 0.5), vec3(0.0, 1.35, -0.18), DARK_WOOD, &mut chance));
    // The hood draws in towards the chimney.
    let levels = [(1.4, 0.86, -deep, -0.06), (2.0, 0.58, -deep, -0.16), (3.5, 0.42, -deep, -0.2)];
    for pair in levels.windows(2) {
        let ring = |(y, half, back, front): (f32, f32, f32, f32)| {
            [vec3(-half, y, front), vec3(half, y, front), vec3(half, y, back), vec3(-half, y, back)]
        };
        let (low, high) = (ring(pair[0]), ring(pair[1]));
        for i in 0..4 {
            let next = (i + 1) % 4;
            let mut face = Shape::new();
            face.polygon(&[low[i], low[next], high[next], high[i]]);
            let smoke = |p: Vec3| mix(srgb(0xdccdb4), srgb(0x4a3d34), ((p.y - 1.9) / 1.5).clamp(0.0, 0.8));
            all.add(face.painted(|p, _| smoke(p)));
        }
    }
    // Logs across two irons.
    for (turn, y, z) in [(0.12, 0.12, -0.18), (-0.2, 0.12, -0.38), (0.55, 0.225, -0.28)] {
        let log = Shape::cone(0.06, 0.055, 0.62, 8).turned(Quat::about(Vec3::Z, PI * 0.5 + turn * 0.3));
        let log = log.turned(Quat::about(Vec3::Y, turn));
        all.add(log.colored(srgb(0x2a1d15)).moved(vec3(0.0, y, z)));
    }
    all
}

/// The chimney above the fireplace, where it leaves the roof.
pub(super) fn chimney() -> Shape {
    let mut chance = Chance::new(970);
    let mut all = Shape::new();
    for row in 0..9 {
        let y = 3.45 + 0.27 * row as f32;
        let turn = Quat::about(Vec3::Y, PI * 0.5 * (row % 2) as f32);
        for half in [-1.0, 1.0] {
            let size = vec3(0.82 + chance.between(-0.03, 0.03), 0.262, 0.4);
            all.add(stone(size, vec3(0.0, y, half * 0.2), &mut chance).turned(turn));
        }
    }
    all.add(Shape::block(vec3(1.0, 0.12, 1.0), 0.03).colored(srgb(0x7a7064)).moved(Vec3::Y * 5.8));
    all.add(Shape::cone(0.2, 0.16, 0.34, 10).colored(srgb(0x8a4a35)).moved(vec3(0.0, 6.02, 0.0)));
    let (place, _) = fireplace_pose();
    all.moved(vec3(place.x - 0.24, 0.0, place.z - 0.24))
}

/// Where the smoke leaves the chimney.
pub(super) fn chimney_top() -> Vec3 {
    let (place, _) = fireplace_pose();
    vec3(place.x - 0.24, 6.2, place.z - 0.24)
}
