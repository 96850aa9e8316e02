// SPDX-License-Identifier: AGPL-3.0-or-later
//! What people made: hearth, benches, table, shelves and lanterns. Each stands at the origin.

use crate::chance::{Chance, mix, noise};
use hearth_sdk::prelude::*;
use std::f32::consts::{PI, TAU};

pub(super) const WOOD: u32 = 0x7d5633;
pub(super) const DARK_WOOD: u32 = 0x503a2a;
pub(super) const IRON: u32 = 0x2c2a2a;

/// A board or beam about a place, with its own tone of wood.
pub(super) fn board(size: Vec3, place: Vec3, wood: u32, chance: &mut Chance) -> Shape {
    let tone = mix(srgb(wood), srgb(0x2f2018), chance.between(0.0, 0.35));
    plank(size, place, tone, chance)
}

/// A board of this colour, with a grain along its longest side.
pub(super) fn plank(size: Vec3, place: Vec3, tone: [f32; 3], chance: &mut Chance) -> Shape {
    let long = size.x.max(size.y).max(size.z);
    let along = if long == size.x {
        Vec3::X
    } else if long == size.y {
        Vec3::Y
    } else {
        Vec3::Z
    };
    let shift = chance.part() * 50.0;
    let grain = move |p: Vec3| {
        let across = p - along * p.dot(along);
        noise(across.x * 40.0 + across.z * 23.0 + shift, across.y * 40.0 + p.dot(along) * 1.5) * 0.5 + 0.5
    };
    let light = mix(tone, srgb(0x9a7048), 0.35);
    Shape::block(size, 0.012).painted(move |p, _| mix(tone, light, grain(p))).moved(place)
}

/// Sitting height 0.45 m, facing +Z towards… whoever turns it; 1.7 m long.
pub(super) fn bench() -> Shape {
    let mut chance = Chance::new(9);
    let mut bench = Shape::new();
    for i in 0..3 {
        let z = -0.16 + i as f32 * 0.16;
        bench.add(board(vec3(1.7, 0.05, 0.145), vec3(0.0, 0.45, z), WOOD, &mut chance));
    }
    for x in [-0.62, 0.62] {
        bench.add(board(vec3(0.09, 0.43, 0.4), vec3(x, 0.215, 0.0), DARK_WOOD, &mut chance));
    }
    bench.add(board(vec3(1.24, 0.09, 0.05), vec3(0.0, 0.28, 0.0), DARK_WOOD, &mut chance));
    // A blanket over one end.
    let cloth = Shape::block(vec3(0.5, 0.02, 0.5), 0.008).moved(vec3(0.45, 0.485, 0.0));
    let mut blanket = cloth;
    blanket.add(Shape::block(vec3(0.5, 0.3, 0.02), 0.008).moved(vec3(0.45, 0.345, 0.25)));
    bench.add(blanket.painted(|p, _| {
        let stripe = ((p.x - 0.2) * 26.0).sin() > 0.75;
        if stripe { srgb(0xd9b98c) } else { srgb(0x8e3b2e) }
    }));
    bench
}

/// The ring of stones about the fire, and the ash in it.
pub(super) fn hearth_ring() -> Shape {
    let mut chance = Chance::new(31);
    let mut ring = Shape::new();
    for row in 0..2 {
        let count = 13 - row;
        for stone in 0..count {
            let angle = (stone as f32 + row as f32 * 0.5) / count as f32 * TAU;
            let (sin, cos) = angle.sin_cos();
            let radius = 0.94 - 0.05 * row as f32;
            let shift = chance.part() * 60.0;
            let size = vec3(chance.between(0.4, 0.46), chance.between(0.2, 0.24), chance.between(0.28, 0.34));
            let rough = Shape::block(size, 0.06)
                .bent(|p| p * (1.0 + 0.07 * noise(p.x * 7.0 + shift, p.y * 7.0 + p.z * 5.0)));
            let soot = srgb(0x2a2523);
            let tone = mix(srgb(0x8b8378), srgb(0x6c655f), chance.part());
            let stone = rough
                .turned(Quat::about(Vec3::Y, angle))
                .moved(vec3(sin * radius, 0.11 + 0.2 * row as f32, cos * radius))
                .painted(|p, _| {
                    let inside = (0.98 - (p.x * p.x + p.z * p.z).sqrt()) * 4.5;
                    mix(tone, soot, inside.clamp(0.0, 0.85))
                });
            ring.add(stone);
        }
    }
    let ash = Shape::lathe(&[[0.85, 0.0], [0.5, 0.09], [0.0, 0.13]], 18);
    ring.add(ash.colored(srgb(0x2b2725)));
    ring
}

/// Firewood leaning together, burnt at the inner ends, and a stack beside the hearth.
pub(super) fn logs() -> Shape {
    let mut chance = Chance::new(62);
    let mut pile = Shape::new();
    let bark = srgb(0x5b432f);
    for i in 0..6 {
        let angle = (i as f32 + chance.part() * 0.4) / 6.0 * TAU;
        let (sin, cos) = angle.sin_cos();
        let (foot, top) = (vec3(sin * 0.6, 0.1, cos * 0.6), vec3(sin * 0.06, 0.5, cos * 0.06));
        let log = Shape::tube(&[(foot, 0.075), (foot.lerp(top, 0.5), 0.07), (top, 0.055)], 7);
        pile.add(log.painted(|p, _| mix(bark, srgb(0x17110d), ((p.y - 0.12) * 4.0).clamp(0.0, 1.0))));
    }
    for (row, count) in [(0, 4), (1, 3), (2, 2)] {
        for i in 0..count {
            let x = 1.75 + i as f32 * 0.2 + row as f32 * 0.1;
            let log = Shape::cone(0.1, 0.095, 0.7, 9).turned(Quat::about(Vec3::X, PI * 0.5));
            let place = vec3(x, 0.1 + row as f32 * 0.172, chance.between(-0.86, -0.76));
            let cut = srgb(0xb98d5c);
            pile.add(log.painted(|_, n| if n.z.abs() > 0.9 { cut } else { bark }).moved(place));
        }
    }
    pile
}

/// Glowing coal under the fire.
pub(super) fn embers() -> Shape {
    let mut chance = Chance::new(5);
    let mut all = Shape::new();
    for _ in 0..26 {
        let (angle, out) = (chance.part() * TAU, chance.part().sqrt() * 0.55);
        let place = vec3(angle.sin() * out, 0.15 - out * 0.1, angle.cos() * out);
        all.add(Shape::sphere(chance.between(0.025, 0.05), 5).flat().moved(place));
    }
    all
}

/// A cup without a handle, 0.1 m high.
pub(super) fn cup(color: u32) -> Shape {
    let cup = [[0.0, 0.0], [0.038, 0.0], [0.045, 0.1], [0.039, 0.1], [0.034, 0.012], [0.0, 0.012]];
    Shape::lathe(&cup, 12).colored(srgb(color))
}

/// A pot for tea, its spout towards +X.
pub(super) fn teapot() -> Shape {
    let pot = [
        [0.0, 0.0],
        [0.09, 0.0],
        [0.13, 0.06],
        [0.12, 0.13],
        [0.06, 0.18],
        [0.065, 0.2],
        [0.02, 0.215],
        [0.022, 0.24],
        [0.0, 0.25],
    ];
    let mut pot = Shape::lathe(&pot, 16);
    let spout = [(vec3(0.1, 0.07, 0.0), 0.03), (vec3(0.19, 0.12, 0.0), 0.02), (vec3(0.23, 0.19, 0.0), 0.014)];
    pot.add(Shape::tube(&spout, 8));
    let handle: Vec<(Vec3, f32)> = (0..=8)
        .map(|i| (i as f32 / 8.0 * PI).sin_cos())
        .map(|(sin, cos)| (vec3(-0.1 - sin * 0.09, 0.1 + cos * 0.06, 0.0), 0.011))
        .collect();
    pot.add(Shape::tube(&handle, 6));
    pot
}

/// An open book that lies on its back.
pub(super) fn open_book() -> Shape {
    let mut book = Shape::block(vec3(0.33, 0.012, 0.24), 0.004).colored(srgb(0x6a2f2a));
    for (side, tilt) in [(-1.0, -0.1), (1.0, 0.1)] {
        let page = Shape::block(vec3(0.15, 0.02, 0.22), 0.005).colored(srgb(0xe8dcc0));
        book.add(page.turned(Quat::about(Vec3::Z, -tilt)).moved(vec3(side * 0.077, 0.02, 0.0)));
    }
    book.moved(Vec3::Y * 0.006)
}

/// A round table, laid for a warm drink, and two stools.
pub(super) fn table() -> Shape {
    let mut chance = Chance::new(14);
    let mut all = Shape::new();
    let foot = [[0.0, 0.0], [0.34, 0.0], [0.34, 0.05], [0.09, 0.1], [0.07, 0.6], [0.2, 0.68], [0.0, 0.68]];
    all.add(Shape::lathe(&foot, 16).colored(srgb(DARK_WOOD)));
    let top = [[0.0, 0.68], [0.68, 0.68], [0.72, 0.71], [0.68, 0.74], [0.0, 0.74]];
    all.add(
        Shape::lathe(&top, 28)
            .painted(|p, _| mix(srgb(WOOD), srgb(0x9a7048), noise(p.x * 18.0, p.z * 1.2) * 0.5 + 0.5)),
    );
    for (x, z, color) in [(0.3, 0.22, 0xb3563c), (-0.28, 0.3, 0x4a6a78), (-0.34, -0.22, 0xc9b48a)] {
        all.add(cup(color).moved(vec3(x, 0.74, z)));
    }
    all.add(
        teapot().turned(Quat::about(Vec3::Y, 2.3)).colored(srgb(0x55606b)).moved(vec3(0.02, 0.74, -0.02)),
    );
    all.add(open_book().turned(Quat::about(Vec3::Y, -0.5)).moved(vec3(0.33, 0.75, -0.26)));
    for (x, z) in [(-1.05, 0.35), (0.45, -1.05)] {
        let seat = Shape::lathe(&[[0.0, 0.42], [0.2, 0.42], [0.21, 0.45], [0.19, 0.47], [0.0, 0.47]], 16);
        all.add(seat.colored(srgb(WOOD)).moved(vec3(x, 0.0, z)));
        for leg in 0..3 {
            let (sin, cos) = (leg as f32 / 3.0 * TAU).sin_cos();
            let leg = Shape::tube(
                &[
                    (vec3(x + sin * 0.2, 0.0, z + cos * 0.2), 0.022),
                    (vec3(x + sin * 0.1, 0.43, z + cos * 0.1), 0.026),
                ],
                6,
            );
            let tone = chance.part() * 0.3;
            all.add(leg.colored(mix(srgb(DARK_WOOD), srgb(WOOD), tone)));
        }
    }
    all
}

/// Shelves with books, jars and a plant, 1.9 m high; their front is +Z.
pub(super) fn shelves() -> Shape {
    let mut chance = Chance::new(23);
    let mut all = Shape::new();
    for x in [-0.85, 0.85] {
        all.add(board(vec3(0.06, 1.9, 0.36), vec3(x, 0.95, 0.0), DARK_WOOD, &mut chance));
    }
    for i in 0..7 {
        let x = -0.72 + i as f32 * 0.24;
        all.add(board(vec3(0.235, 1.85, 0.025), vec3(x, 0.95, -0.17), DARK_WOOD, &mut chance));
    }
    let heights = [0.12, 0.62, 1.12, 1.62];
    for y in heights {
        all.add(board(vec3(1.66, 0.045, 0.34), vec3(0.0, y, 0.0), WOOD, &mut chance));
    }
    all.add(board(vec3(1.82, 0.05, 0.4), vec3(0.0, 1.925, 0.01), DARK_WOOD, &mut chance));
    let covers = [0x7a2e2a, 0x2f4858, 0x8a6a2f, 0x3f5a3c, 0x5b3a58, 0xa0522d, 0x28303c, 0xb59a6a];
    for (shelf, y) in heights[..3].iter().enumerate() {
        let mut x = -0.78;
        let end = [0.35, 0.75, -0.05][shelf];
        while x < end {
            let (width, height) = (chance.between(0.03, 0.065), chance.between(0.24, 0.36));
            let color = srgb(covers[(chance.part() * 7.99) as usize]);
            let lean = if chance.part() > 0.88 { 0.12 } else { 0.0 };
            let size = vec3(width, height, chance.between(0.17, 0.22));
            let book = Shape::cuboid(size).turned(Quat::about(Vec3::Z, lean)).painted(move |p, _| {
                let band = (p.y / height - 0.3).abs() < 0.04;
                if band { mix(color, srgb(0xd8b668), 0.7) } else { color }
            });
            all.add(book.moved(vec3(x + width * 0.5, y + 0.023 + height * 0.5, 0.02)));
            x += width + 0.004 + lean * 0.3;
        }
    }
    let jar = [[0.0, 0.0], [0.07, 0.0], [0.09, 0.05], [0.09, 0.15], [0.05, 0.2], [0.055, 0.22], [0.0, 0.22]];
    for (x, y, size, color) in
        [(0.52, 0.143, 1.1, 0xa88f68), (0.12, 1.143, 1.0, 0x6a8288), (0.38, 1.143, 0.8, 0xb06a42)]
    {
        let jar = Shape::lathe(&jar, 14).scaled(vec3(size, size, size)).colored(srgb(color));
        all.add(jar.moved(vec3(x, y, 0.02)));
    }
    // A plant hangs from its pot.
    let pot = Shape::lathe(&[[0.0, 0.0], [0.07, 0.0], [0.1, 0.14], [0.0, 0.14]], 14);
    all.add(pot.colored(srgb(0xa0553a)).moved(vec3(0.62, 1.143, 0.04)));
    for _ in 0..22 {
        let (angle, reach) = (chance.part() * TAU, chance.between(0.06, 0.16));
        let place =
            vec3(0.62 + angle.sin() * reach, 1.3 + chance.between(-0.1, 0.13), 0.06 + angle.cos() * reach);
        let leaf =
            Shape::sphere(0.05, 5).flat().scaled(vec3(0.8, 0.5, 1.0)).turned(Quat::about(Vec3::Y, angle));
        all.add(leaf.colored(mix(srgb(0x4c6b35), srgb(0x7f9444), chance.part())).moved(place));
    }
    all
}

/// A post with a lantern, 1.95 m high: the iron, and the glass that glows.
pub(super) fn lantern_post() -> (Shape, Shape) {
    let iron = srgb(IRON);
    let foot = [[0.0, 0.0], [0.15, 0.0], [0.15, 0.06], [0.05, 0.13], [0.035, 1.5], [0.11, 1.56], [0.0, 1.56]];
    let mut post = Shape::lathe(&foot, 10).colored(iron);
    for corner in 0..4 {
        let (sin, cos) = (corner as f32 / 4.0 * TAU).sin_cos();
        let (x, z) = (sin * 0.1, cos * 0.1);
        let bar = Shape::tube(&[(vec3(x, 1.56, z), 0.01), (vec3(x, 1.83, z), 0.01)], 5);
        post.add(bar.colored(iron));
    }
    let roof = Shape::lathe(&[[0.0, 1.83], [0.16, 1.83], [0.05, 1.93], [0.02, 1.99], [0.0, 1.99]], 8);
    post.add(roof.colored(iron));
    (post, Shape::lathe(&[[0.0, 1.57], [0.07, 1.57], [0.085, 1.7], [0.07, 1.82], [0.0, 1.82]], 10))
}

/// Bulbs on a cord from the eaves of the shelter to poles: the cord, and the bulbs.
pub(super) fn string_of_lights() -> (Shape, Shape) {
    let (mut cord, mut bulbs) = (Shape::new(), Shape::new());
    let poles = [(vec3(-5.6, 3.5, 1.6), 10), (vec3(5.6, 3.5, 1.6), 10)];
    for (side, (pole, count)) in poles.into_iter().enumerate() {
        let sign = side as f32 * 2.0 - 1.0;
        let foot = vec3(pole.x, -0.05, pole.z);
        cord.add(Shape::tube(&[(foot, 0.05), (pole + Vec3::Y * 0.1, 0.035)], 7).colored(srgb(DARK_WOOD)));
        let eaves = vec3(sign * 4.3, 2.62, -3.9);
        let sag = |part: f32| eaves.lerp(pole, part) - Vec3::Y * (part * (1.0 - part) * 2.2);
        let line: Vec<(Vec3, f32)> = (0..=26).map(|i| (sag(i as f32 / 26.0), 0.008)).collect();
        cord.add(Shape::tube(&line, 4).colored(srgb(IRON)));
        for i in 1..count {
            let place = sag(i as f32 / count as f32);
            let cap = Shape::cone(0.018, 0.014, 0.05, 6).colored(srgb(IRON));
            cord.add(cap.moved(place - Vec3::Y * 0.025));
            bulbs.add(Shape::sphere(0.05, 8).moved(place - Vec3::Y * 0.085));
        }
    }
    (cord, bulbs)
}
