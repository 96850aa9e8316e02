// SPDX-License-Identifier: AGPL-3.0-or-later
//! The land: meadow, mountains, and the terrace of flagstones.

use crate::chance::{Chance, mix, noise};
use hearth_sdk::prelude::*;
use std::f32::consts::TAU;

/// The terrace's radius in metres; its top is at height zero.
pub(super) const TERRACE: f32 = 8.2;

/// Height of the meadow at a place.
pub(super) fn height(x: f32, z: f32) -> f32 {
    let distance = (x * x + z * z).sqrt();
    // A valley that opens ahead of who enters.
    let rise = ((distance - 22.0) / 53.0).max(0.0) * (0.35 + 0.65 * (x / 75.0).abs().min(1.0));
    let bumps = noise(x * 0.09, z * 0.09) * 0.9 + noise(x * 0.31, z * 0.31) * 0.22;
    let away = ((distance - TERRACE) / 10.0).clamp(0.0, 1.0);
    -0.42 + bumps * away + rise * rise * 5.0
}

/// Grass to the foot of the mountains, in tiles: whoever asks what is in the way somewhere looks through one, not through
/// all.
pub(super) fn meadow() -> Vec<Shape> {
    const TILES: u32 = 4;
    const CELLS: u32 = 13;
    const SIDE: f32 = 150.0 / TILES as f32;
    let (near, far) = (srgb(0x5f7a35), srgb(0x857a52));
    let middle = |tile: u32| (tile as f32 + 0.5) * SIDE - 75.0;
    let tiles = (0..TILES * TILES).map(|tile| (middle(tile % TILES), middle(tile / TILES)));
    let tile = |(x, z): (f32, f32)| {
        let land = Shape::heightfield([CELLS; 2], [SIDE; 2], |dx, dz| height(x + dx, z + dz));
        land.moved(vec3(x, 0.0, z)).flat().painted(|place, normal| {
            let distance = ((place.x * place.x + place.z * place.z).sqrt() / 75.0).min(1.0);
            let dry = noise(place.x * 0.4, place.z * 0.4) * 0.5 + 0.5;
            let grass = mix(mix(near, srgb(0x7d7a3c), dry * 0.6), far, distance);
            mix(grass, srgb(0x57493a), ((0.93 - normal.y) * 6.0).clamp(0.0, 1.0))
        })
    };
    tiles.map(tile).collect()
}

/// Three ranges of mountains, paler the farther they are.
pub(super) fn mountains() -> Shape {
    let mut all = Shape::new();
    let ranges = [
        (330.0, 62.0, 0xb98a86, 0xdd9f7e, 5.0, 51.0),
        (220.0, 37.0, 0x7d6a7e, 0xb38578, 7.0, 23.0),
        (135.0, 19.0, 0x473f52, 0x6e5a58, 9.0, 4.0),
    ];
    for (radius, peak, foot, top, bumps, seed) in ranges {
        let steps = 132u32;
        let ridge = |step: u32| {
            let angle = step as f32 / steps as f32 * TAU;
            let (sin, cos) = angle.sin_cos();
            // On a circle of the noise, so that the ring closes.
            let at = |scale: f32| noise(cos * scale + seed, sin * scale - seed);
            // 1 straight ahead of who enters (−Z), where the valley opens.
            let ahead = (-cos).max(0.0);
            let open = 1.0 - 0.55 * ahead.powi(14);
            let rock = 0.52 + 0.3 * at(bumps) + 0.13 * at(bumps * 2.7) + 0.06 * at(bumps * 7.1);
            (vec3(sin * radius, 0.0, cos * radius), peak * open * rock.max(0.06))
        };
        let mut range = Shape::new();
        for step in 0..steps {
            let ((a, high_a), (b, high_b)) = (ridge(step), ridge((step + 1) % steps));
            let below = vec3(0.0, -14.0, 0.0);
            // Seen from inside the ring, from where a later step is to the left.
            range.polygon(&[b + below, a + below, a + Vec3::Y * high_a, b + Vec3::Y * high_b]);
        }
        let (foot, top) = (srgb(foot), srgb(top));
        // Pale where the evening mist lies, dark above it, glowing where the last light is.
        all.add(range.painted(|place, _| {
            let high = (place.y / peak).clamp(0.0, 1.0);
            let lit = 0.22 * (place.x / radius).max(0.0);
            let mist = mix(top, srgb(0xe8b08c), 0.3);
            mix(mix(mist, foot, (high * 2.4).min(1.0)), srgb(0xe39a70), lit)
        }));
    }
    all
}

/// A round floor of flagstones on a wall of field stones, with steps towards who enters.
pub(super) fn terrace() -> Shape {
    let mut chance = Chance::new(400);
    let mut floor = Shape::new();
    let joints = Shape::lathe(&[[TERRACE - 0.1, -0.9], [TERRACE - 0.1, -0.035], [0.0, -0.035]], 48);
    floor.add(joints.colored(srgb(0x3b362f)));
    let rings = [1.15f32, 1.75, 2.45, 3.1, 3.9, 4.6, 5.4, 6.1, 6.9, 7.5, TERRACE];
    for edges in rings.windows(2) {
        let count = (edges[1] * TAU / 0.95) as u32;
        let shift = chance.part();
        for stone in 0..count {
            let angles = [stone, stone + 1].map(|n| (n as f32 + shift) / count as f32 * TAU);
            floor.add(flagstone([edges[0], edges[1]], angles, &mut chance));
        }
    }
    // The wall that holds it.
    let stones = 54;
    for row in 0..2 {
        for stone in 0..stones {
            let angle = (stone as f32 + row as f32 * 0.5) / stones as f32 * TAU;
            let (sin, cos) = angle.sin_cos();
            // Not where the steps are, nor below the shelter.
            if cos > 0.955 || (cos < 0.0 && sin.abs() < 0.53) {
                continue;
            }
            let size = vec3(chance.between(0.8, 0.95), 0.3, chance.between(0.3, 0.42));
            let color = mix(srgb(0x6a6258), srgb(0x857a68), chance.part());
            // The lower ones hardly show.
            let block = if row == 0 { Shape::block(size, 0.05) } else { Shape::cuboid(size) };
            let block = block.turned(Quat::about(Vec3::Y, angle)).colored(color);
            floor.add(block.moved(vec3(sin * TERRACE, -0.17 - 0.27 * row as f32, cos * TERRACE)));
        }
    }
    for step in 0..3 {
        let depth = TERRACE + 0.1 + step as f32 * 0.42;
        let block = Shape::block(vec3(4.2 + step as f32 * 0.3, 0.2, 0.6), 0.03);
        let color = mix(srgb(0x857a68), srgb(0x6f6a62), chance.part());
        floor.add(block.colored(color).moved(vec3(0.0, -0.12 - 0.16 * step as f32, depth)));
    }
    floor
}

/// A stone of the floor, between two radii and two angles.
fn flagstone(radii: [f32; 2], angles: [f32; 2], chance: &mut Chance) -> Shape {
    let top = chance.between(-0.008, 0.008);
    let outline = |gap: f32, y: f32| {
        let (inner, outer) = (radii[0] + gap, radii[1] - gap);
        let middle = (angles[0] + angles[1]) * 0.5;
        // The same width of joint everywhere.
        let corner = |radius: f32, angle: f32, inwards: f32| {
            let (sin, cos) = (angle + inwards / radius).sin_cos();
            vec3(radius * sin, y, radius * cos)
        };
        [
            corner(inner, middle, 0.0),
            corner(inner, angles[0], gap),
            corner(outer, angles[0], gap),
            corner(outer, middle, 0.0),
            corner(outer, angles[1], -gap),
            corner(inner, angles[1], -gap),
        ]
    };
    let mut slab = Shape::new();
    let (low, high) = (outline(0.012, -0.04), outline(0.024, top));
    slab.polygon(&high);
    for side in 0..6 {
        let next = (side + 1) % 6;
        slab.polygon(&[low[side], low[next], high[next], high[side]]);
    }
    let tone = mix(srgb(0x978b79), srgb(0x75706b), chance.part());
    slab.colored(mix(tone, srgb(0xa88660), chance.part() * 0.35))
}
