// SPDX-License-Identifier: AGPL-3.0-or-later
//! What makes the shelter a place to stay in: a rug, cushions, a low table with a lamp, shelves for what visitors bring,
//! and plants in pots. Each stands at the origin.

use super::furniture::{DARK_WOOD, IRON, WOOD, board, cup, open_book, teapot};
use crate::chance::{Chance, mix};
use hearth_sdk::prelude::*;
use std::f32::consts::{PI, TAU};

const RED: u32 = 0x8e3b2e;
const OCHRE: u32 = 0xc98f45;
const BLUE: u32 = 0x3f5d6b;
const CREAM: u32 = 0xdcc7a0;

/// A woven rug, 2.7 by 1.9 m, with a fringe at its ends.
pub(super) fn rug() -> Shape {
    let half = vec3(1.35, 0.0, 0.95);
    const CELLS: [i32; 2] = [60, 42];
    // In stitches: a border, and stepped diamonds on a red ground.
    let pattern = |x: i32, z: i32| {
        let edge = x.min(CELLS[0] - 1 - x).min(z).min(CELLS[1] - 1 - z);
        let (from_x, from_z) =
            ((x % 20 - 10).abs().min((x % 20 - 9).abs()), (z - 20).abs().min((z - 21).abs()));
        let ring = from_x + from_z * 10 / 14;
        match (edge, ring) {
            (0 | 1, _) => 0x5b2a26,
            (2, _) | (7, _) => OCHRE,
            (3..=6, _) => {
                if (x + z) % 6 < 3 {
                    BLUE
                } else {
                    CREAM
                }
            }
            (_, 0..=1) => OCHRE,
            (_, 2..=3) => 0x5b2a26,
            (_, 4..=5) => CREAM,
            (_, 6..=8) => BLUE,
            (_, 9) => OCHRE,
            _ => RED,
        }
    };
    let at = |x: i32, z: i32| {
        let part = |n: i32, cells: i32| n as f32 / cells as f32 * 2.0 - 1.0;
        vec3(part(x, CELLS[0]) * half.x, 0.012, part(z, CELLS[1]) * half.z)
    };
    let mut rug = Shape::new();
    for z in 0..CELLS[1] {
        // Stitches of one colour are one.
        let mut begin = 0;
        for x in 1..=CELLS[0] {
            let color = pattern(begin, z);
            if x == CELLS[0] || pattern(x, z) != color {
                let mut run = Shape::new();
                run.polygon(&[at(begin, z + 1), at(x, z + 1), at(x, z), at(begin, z)]);
                rug.add(run.colored(srgb(color)));
                begin = x;
            }
        }
    }
    for end in [-1.0, 1.0] {
        for i in 0..24 {
            let z = (i as f32 + 0.5) / 24.0 * 1.86 - 0.93;
            let thread = Shape::cuboid(vec3(0.09, 0.006, 0.03)).colored(srgb(CREAM));
            rug.add(thread.moved(vec3(end * (half.x + 0.045), 0.006, z)));
        }
    }
    rug
}

/// A cushion of this size, lying.
fn cushion(size: Vec3, color: [f32; 3], stripe: [f32; 3]) -> Shape {
    let swell = move |x: f32, z: f32| {
        let (u, v) = ((x / size.x * 2.0).abs(), (z / size.z * 2.0).abs());
        let round = |t: f32| (1.0 - t.powi(4)).max(0.0).powf(0.6);
        size.y * 0.5 * round(u) * round(v)
    };
    let top = Shape::heightfield([8, 8], [size.x, size.z], swell);
    let mut all = top.clone();
    all.add(top.scaled(vec3(1.0, -1.0, 1.0)));
    let band = move |p: Vec3| (p.x / size.x * 9.0).round() as i32 % 3 == 0;
    all.painted(move |p, _| if band(p) { stripe } else { color }).moved(Vec3::Y * size.y * 0.4)
}

/// Two seats on the floor, and cushions thrown down beside them.
pub(super) fn floor_cushions() -> Shape {
    let mut all = Shape::new();
    for (x, z, color, stripe, turn) in
        [(-1.05, 0.5, RED, CREAM, 0.4), (0.15, 1.05, BLUE, OCHRE, -0.5), (-1.15, -0.45, OCHRE, RED, 1.1)]
    {
        let seat = cushion(vec3(0.62, 0.24, 0.62), srgb(color), srgb(stripe));
        all.add(seat.turned(Quat::about(Vec3::Y, turn)).moved(vec3(x, 0.02, z)));
    }
    all
}

/// A seat below the window, 2.5 m long, its front towards +Z.
pub(super) fn window_seat() -> Shape {
    let mut chance = Chance::new(1040);
    let mut all = Shape::new();
    all.add(board(vec3(2.5, 0.06, 0.6), vec3(0.0, 0.42, 0.3), WOOD, &mut chance));
    for i in 0..6 {
        let x = -1.03 + i as f32 * 0.412;
        all.add(board(vec3(0.4, 0.36, 0.04), vec3(x, 0.2, 0.55), DARK_WOOD, &mut chance));
    }
    for x in [-1.22, 1.22] {
        all.add(board(vec3(0.05, 0.39, 0.54), vec3(x, 0.195, 0.3), DARK_WOOD, &mut chance));
    }
    all
}

/// What lies on the seat: a mattress in two parts, and cushions against the wall.
pub(super) fn window_cushions() -> Shape {
    let mut all = Shape::new();
    for x in [-0.61, 0.61] {
        let pad = cushion(vec3(1.2, 0.14, 0.56), srgb(0x9a6a46), srgb(0x8a5a3c));
        all.add(pad.moved(vec3(x, 0.455, 0.3)));
    }
    for (x, color, stripe, turn, tilt) in [
        (-0.98, RED, CREAM, 0.3, 1.15),
        (-0.55, OCHRE, OCHRE, 0.1, 1.2),
        (0.68, BLUE, CREAM, -0.15, 1.18),
        (1.02, CREAM, RED, -0.4, 1.1),
    ] {
        let pillow = cushion(vec3(0.42, 0.17, 0.42), srgb(color), srgb(stripe));
        let pillow = pillow.turned(Quat::about(Vec3::X, tilt)).turned(Quat::about(Vec3::Y, turn));
        all.add(pillow.moved(vec3(x, 0.72, 0.2)));
    }
    all
}

/// A low table of thick boards, laid for tea, with a lamp: the table, and what of the lamp glows.
pub(super) fn low_table() -> (Shape, Shape) {
    let mut chance = Chance::new(1110);
    let mut all = Shape::new();
    let top = 0.44;
    for i in 0..4 {
        let z = -0.3 + i as f32 * 0.2;
        all.add(board(vec3(1.36, 0.06, 0.195), vec3(0.0, top - 0.03, z), WOOD, &mut chance));
    }
    for x in [-0.52, 0.52] {
        all.add(board(vec3(0.1, 0.07, 0.7), vec3(x, top - 0.09, 0.0), DARK_WOOD, &mut chance));
        for z in [-0.27, 0.27] {
            all.add(board(
                vec3(0.09, top - 0.12, 0.09),
                vec3(x, (top - 0.12) * 0.5, z),
                DARK_WOOD,
                &mut chance,
            ));
        }
    }
    let pot = teapot().turned(Quat::about(Vec3::Y, 0.6)).colored(srgb(0x55707a));
    all.add(pot.moved(vec3(0.1, top, 0.1)));
    for (x, z, color) in [(0.38, 0.24, 0xc9b48a), (-0.12, 0.29, 0xb3563c), (0.5, -0.16, 0x4a6a78)] {
        let saucer = Shape::lathe(&[[0.0, 0.0], [0.06, 0.0], [0.085, 0.014], [0.0, 0.01]], 14);
        all.add(saucer.colored(srgb(0x8a7a60)).moved(vec3(x, top, z)));
        all.add(cup(color).moved(vec3(x, top + 0.01, z)));
    }
    all.add(open_book().turned(Quat::about(Vec3::Y, 0.35)).moved(vec3(-0.45, top, 0.14)));
    let bowl = [[0.0, 0.0], [0.06, 0.0], [0.14, 0.07], [0.13, 0.075], [0.05, 0.02], [0.0, 0.02]];
    all.add(Shape::lathe(&bowl, 16).colored(srgb(0x6b4a30)).moved(vec3(0.2, top, -0.2)));
    for (x, y, z, color) in [
        (0.15, 0.06, -0.2, 0xb5432f),
        (0.24, 0.06, -0.23, 0xc98a36),
        (0.22, 0.065, -0.14, 0x9f3a2c),
        (0.2, 0.115, -0.19, 0xb94f30),
    ] {
        all.add(Shape::sphere(0.042, 10).colored(srgb(color)).moved(vec3(x, top + y, z)));
    }
    // A lamp of paper on a wooden foot.
    let lamp = vec3(-0.36, top, -0.2);
    let foot = [[0.0, 0.0], [0.09, 0.0], [0.09, 0.025], [0.03, 0.05], [0.02, 0.16], [0.0, 0.16]];
    all.add(Shape::lathe(&foot, 14).colored(srgb(DARK_WOOD)).moved(lamp));
    let ring = [[0.0, 0.43], [0.085, 0.43], [0.085, 0.45], [0.0, 0.45]];
    all.add(Shape::lathe(&ring, 14).colored(srgb(DARK_WOOD)).moved(lamp));
    let mut shade = vec![[0.0, 0.15], [0.085, 0.15]];
    for fold in 0..=8 {
        let up = fold as f32 / 8.0;
        let bulge = 0.085 + 0.055 * (up * PI).sin();
        shade.push([bulge - if fold % 2 == 1 { 0.008 } else { 0.0 }, 0.16 + 0.27 * up]);
    }
    (all, Shape::lathe(&shade, 16).moved(lamp))
}

/// Three boards on brackets, 2.3 m long, for what visitors bring; at a wall behind them, their front +Z.
pub(super) fn wall_shelves() -> Shape {
    let mut chance = Chance::new(1200);
    let mut all = Shape::new();
    for (row, y) in [0.85, 1.3, 1.75].into_iter().enumerate() {
        let long = 2.3 - 0.2 * row as f32;
        all.add(board(vec3(long, 0.05, 0.3), vec3(0.0, y, 0.16), WOOD, &mut chance));
        for x in [-0.8, 0.8] {
            let [a, b, c] = [[0.0, 0.0], [0.0, -0.2], [0.24, 0.0]];
            let bracket = Shape::extrude(&[a, b, c], 0.05).turned(Quat::about(Vec3::Y, -PI * 0.5));
            all.add(bracket.colored(srgb(DARK_WOOD)).moved(vec3(x, y - 0.025, 0.01)));
        }
    }
    // A few things at the ends; the rest is free.
    let jar = [[0.0, 0.0], [0.07, 0.0], [0.09, 0.05], [0.09, 0.15], [0.05, 0.2], [0.055, 0.22], [0.0, 0.22]];
    for (x, y, size, color) in
        [(-0.98, 0.875, 1.0, 0x6a8288), (-0.78, 0.875, 0.75, 0xa88f68), (0.9, 1.325, 0.9, 0xb06a42)]
    {
        let jar = Shape::lathe(&jar, 14).scaled(vec3(size, size, size)).colored(srgb(color));
        all.add(jar.moved(vec3(x, y, 0.16)));
    }
    for (i, (wide, color)) in
        [(0.05, 0x7a2e2a), (0.04, 0x2f4858), (0.06, 0x8a6a2f), (0.035, 0x3f5a3c)].into_iter().enumerate()
    {
        let high = 0.22 + 0.03 * (i % 3) as f32;
        let book = Shape::block(vec3(wide, high, 0.17), 0.005).colored(srgb(color));
        all.add(book.moved(vec3(-0.88 + i as f32 * 0.062, 1.775 + high * 0.5, 0.15)));
    }
    all
}

/// Candles on a mantelpiece of 2 m, and what stands between them: the things, and the flames.
pub(super) fn on_the_mantel() -> (Shape, Shape) {
    let (mut all, mut flames) = (Shape::new(), Shape::new());
    for (x, high) in [(-0.82, 0.2), (-0.7, 0.13), (0.8, 0.16)] {
        let candle = Shape::cone(0.03, 0.028, high, 10).colored(srgb(0xe6d9b8));
        all.add(candle.moved(vec3(x, high * 0.5, 0.0)));
        let dish = Shape::lathe(&[[0.0, 0.0], [0.05, 0.0], [0.06, 0.015], [0.0, 0.012]], 12);
        all.add(dish.colored(srgb(IRON)).moved(vec3(x, 0.0, 0.0)));
        let flame = Shape::lathe(&[[0.0, 0.0], [0.012, 0.015], [0.01, 0.03], [0.0, 0.062]], 7);
        flames.add(flame.moved(vec3(x, high + 0.004, 0.0)));
    }
    let vase =
        [[0.0, 0.0], [0.06, 0.0], [0.09, 0.08], [0.05, 0.2], [0.035, 0.25], [0.045, 0.28], [0.0, 0.26]];
    all.add(Shape::lathe(&vase, 16).colored(srgb(0x5e7278)).moved(vec3(0.5, 0.0, 0.02)));
    let mut chance = Chance::new(1290);
    for _ in 0..9 {
        let way = vec3(chance.between(-0.13, 0.13), chance.between(0.18, 0.34), chance.between(-0.08, 0.1));
        let from = vec3(0.5, 0.25, 0.02);
        let stem = Shape::tube(&[(from, 0.005), (from + way, 0.003)], 4).colored(srgb(0x8a7a3c));
        all.add(stem);
        let head = Shape::sphere(chance.between(0.018, 0.03), 6).flat();
        all.add(head.colored(mix(srgb(0xd9a441), srgb(0xb5532f), chance.part())).moved(from + way));
    }
    let frame = board(vec3(0.34, 0.26, 0.02), Vec3::Y * 0.15, WOOD, &mut chance);
    let mut picture = frame;
    picture.add(
        Shape::cuboid(vec3(0.28, 0.2, 0.01))
            .painted(|p, _| {
                let hill = -0.02 + 0.04 * (p.x * 18.0).sin();
                if p.y > hill { srgb(0xe0a070) } else { srgb(0x5a5a6e) }
            })
            .moved(vec3(0.0, 0.15, 0.012)),
    );
    all.add(picture.turned(Quat::about(Vec3::X, -0.12)).moved(vec3(-0.2, 0.0, -0.02)));
    (all, flames)
}

/// A pot with a plant of long leaves, as high as `size` metres.
pub(super) fn potted(seed: u32, size: f32) -> Shape {
    let mut chance = Chance::new(seed);
    let pot = [
        [0.0, 0.0],
        [0.15, 0.0],
        [0.22, 0.3],
        [0.25, 0.3],
        [0.25, 0.36],
        [0.21, 0.36],
        [0.2, 0.31],
        [0.0, 0.31],
    ];
    let clay = mix(srgb(0xa0553a), srgb(0x8a6248), chance.part());
    let mut all =
        Shape::lathe(&pot, 14).painted(|p, _| if p.y < 0.315 && p.y > 0.305 { srgb(0x33271e) } else { clay });
    for leaf in 0..26 {
        let angle = leaf as f32 * 2.4 + chance.between(-0.3, 0.3);
        let (sin, cos) = angle.sin_cos();
        let (reach, high) = (chance.between(0.12, 0.42), size - 0.36);
        let up = high * chance.between(0.5, 1.0);
        let color = mix(srgb(0x3d5a30), srgb(0x86924a), chance.part());
        let wide = chance.between(0.02, 0.035);
        let at = |t: f32| {
            vec3(sin, 0.0, cos) * (0.06 + reach * t * t) + Vec3::Y * (0.32 + up * (t * 1.5 - 0.5 * t * t * t))
        };
        let across = vec3(cos, 0.0, -sin);
        let steps = 4;
        let mut blade = Shape::new();
        for i in 0..steps {
            let [a, b] = [i, i + 1].map(|n| n as f32 / steps as f32);
            let half = |t: f32| across * (wide * (0.5 + 1.6 * t) * (1.0 - t * t));
            let (low, high) = (half(a), half(b));
            // Both sides: the material has one.
            blade.polygon(&[at(a) - low, at(a) + low, at(b) + high, at(b) - high]);
            blade.polygon(&[at(b) - high, at(b) + high, at(a) + low, at(a) - low]);
        }
        let foot = 0.3;
        all.add(blade.painted(|p, _| mix(times_half(color), color, ((p.y - foot) / up).clamp(0.0, 1.0))));
    }
    all
}

fn times_half(color: [f32; 3]) -> [f32; 3] {
    scene::times(color, 0.45)
}

/// A lantern that hangs from a chain, its ring at the origin: the iron, and the glass.
pub(super) fn hanging_lantern() -> (Shape, Shape) {
    let iron = srgb(IRON);
    let mut all =
        Shape::tube(&[(vec3(0.0, 0.0, 0.0), 0.008), (vec3(0.0, -0.42, 0.0), 0.008)], 5).colored(iron);
    let roof = [[0.0, -0.5], [0.15, -0.5], [0.05, -0.42], [0.02, -0.38], [0.0, -0.38]];
    all.add(Shape::lathe(&roof, 8).colored(iron));
    all.add(Shape::lathe(&[[0.0, -0.78], [0.1, -0.78], [0.12, -0.75], [0.0, -0.75]], 8).colored(iron));
    for corner in 0..4 {
        let (sin, cos) = (corner as f32 / 4.0 * TAU).sin_cos();
        let bar =
            [(vec3(sin * 0.105, -0.77, cos * 0.105), 0.009), (vec3(sin * 0.105, -0.49, cos * 0.105), 0.009)];
        all.add(Shape::tube(&bar, 5).colored(iron));
    }
    // Short, so that nobody's head meets it.
    let up = Vec3::Y * 0.28;
    let glass = [[0.0, -0.74], [0.07, -0.74], [0.085, -0.62], [0.07, -0.51], [0.0, -0.51]];
    (all.moved(up), Shape::lathe(&glass, 10).moved(up))
}
