// SPDX-License-Identifier: AGPL-3.0-or-later
//! Trees and grass.

use super::ground;
use crate::chance::{Chance, mix, noise};
use hearth_sdk::prelude::*;
use std::f32::consts::TAU;

/// A tree about 5 m high with its foot at the origin: its wood, and its leaves.
pub(super) fn tree(seed: u32) -> (Shape, Shape) {
    let mut chance = Chance::new(seed * 1000);
    let lean = vec3(chance.between(-0.4, 0.4), 0.0, chance.between(-0.4, 0.4));
    let trunk: Vec<(Vec3, f32)> = (0..=6)
        .map(|i| {
            let up = i as f32 / 6.0;
            let root = if i == 0 { 1.7 } else { 1.0 };
            (lean * (up * up) + Vec3::Y * (up * 3.0 - 0.2), (0.24 - 0.12 * up) * root)
        })
        .collect();
    let mut wood = Shape::tube(&trunk, 8);
    let mut leaves = Shape::new();
    let autumn = [srgb(0xc4672a), srgb(0x7f8a3c), srgb(0xd29a3a), srgb(0xb8862f)];
    let hue = autumn[seed as usize % autumn.len()];
    let mut crown = |place: Vec3, radius: f32, chance: &mut Chance| {
        let (shift, own) = (chance.part() * 90.0, chance.part());
        let blob = Shape::sphere(radius, 10).bent(|p| {
            let bump = noise(p.x * 2.1 + shift, p.z * 2.1 + p.y * 1.7);
            vec3(p.x, p.y * 0.78, p.z) * (1.0 + 0.22 * bump)
        });
        let (low, high) = (mix(hue, srgb(0x3d3a20), 0.55), mix(hue, srgb(0xe2b55a), 0.4 * own));
        let painted = blob.painted(|p, _| mix(low, high, (p.y / radius * 0.5 + 0.5).clamp(0.0, 1.0)));
        leaves.add(painted.moved(place));
    };
    let top = lean + Vec3::Y * 3.0;
    for branch in 0..5 {
        let angle = (branch as f32 + chance.part() * 0.6) / 5.0 * TAU;
        let from = Vec3::Y * chance.between(1.7, 2.5) + lean * 0.5;
        let out = vec3(angle.sin(), 0.0, angle.cos()) * chance.between(1.0, 1.5);
        let to = from + out + Vec3::Y * chance.between(0.7, 1.2);
        wood.add(Shape::tube(&[(from, 0.09), (from.lerp(to, 0.6) + Vec3::Y * 0.1, 0.06), (to, 0.03)], 6));
        let radius = chance.between(0.75, 1.05);
        crown(to + Vec3::Y * 0.3, radius, &mut chance);
    }
    crown(top + Vec3::Y * 0.7, 1.25, &mut chance);
    crown(top + vec3(0.5, 1.5, -0.2), 0.8, &mut chance);
    let bark = srgb(0x4c3a2c);
    (wood.painted(|p, _| mix(bark, srgb(0x6b5440), noise(p.x * 9.0, p.y * 5.0) * 0.5 + 0.5)), leaves)
}

/// Tufts of grass around the terrace.
pub(super) fn tufts() -> Shape {
    let mut chance = Chance::new(77);
    let mut all = Shape::new();
    for _ in 0..340 {
        let angle = chance.part() * TAU;
        let distance = ground::TERRACE + 0.35 + chance.part() * chance.part() * 14.0;
        let (x, z) = (angle.sin() * distance, angle.cos() * distance);
        if x.abs() < 2.4 && z > 0.0 && distance < 10.5 {
            continue;
        }
        let color = mix(srgb(0x6f7a34), srgb(0xb59a4c), chance.part());
        for _ in 0..4 {
            let lean = vec3(chance.between(-0.2, 0.2), chance.between(0.22, 0.5), chance.between(-0.2, 0.2));
            let foot = vec3(x + chance.between(-0.1, 0.1), 0.0, z + chance.between(-0.1, 0.1));
            let foot = foot + Vec3::Y * (ground::height(foot.x, foot.z) - 0.03);
            let side = vec3(angle.cos(), 0.0, -angle.sin()) * 0.022;
            let mut blade = Shape::new();
            blade.polygon(&[foot - side, foot + side, foot + lean]);
            all.add(blade.painted(|p, _| mix(mix(color, [0.02; 3], 0.6), color, (p.y - foot.y) * 4.0)));
        }
    }
    all
}

/// Flowers in clumps along the edge of the terrace.
pub(super) fn flowers() -> Shape {
    let mut chance = Chance::new(1400);
    let mut all = Shape::new();
    let hues = [0x8a6fb0, 0xc9a0c8, 0xe0b25a, 0xd8d0c0, 0xb5532f];
    for clump in 0..44 {
        let angle = (clump as f32 + chance.part()) / 44.0 * TAU;
        let distance = ground::TERRACE + chance.between(0.35, 1.3);
        let (x, z) = (angle.sin() * distance, angle.cos() * distance);
        // Neither before the steps nor under the shelter.
        if (x.abs() < 2.6 && z > 0.0) || (x.abs() < 4.7 && z < 0.0) {
            continue;
        }
        let hue = srgb(hues[(chance.part() * 4.99) as usize]);
        for _ in 0..7 {
            let foot = vec3(x + chance.between(-0.3, 0.3), 0.0, z + chance.between(-0.3, 0.3));
            let foot = foot + Vec3::Y * (ground::height(foot.x, foot.z) - 0.03);
            let way = vec3(chance.between(-0.1, 0.1), chance.between(0.3, 0.62), chance.between(-0.1, 0.1));
            let side = vec3(angle.cos(), 0.0, -angle.sin()) * 0.012;
            let mut stem = Shape::new();
            stem.polygon(&[foot - side, foot + side, foot + way]);
            all.add(stem.colored(mix(srgb(0x46592c), srgb(0x76803c), chance.part())));
            let head =
                Shape::cone(0.03, 0.012, 0.14, 5).colored(mix(hue, srgb(0x4a3a48), chance.part() * 0.4));
            all.add(head.moved(foot + way));
        }
    }
    all
}

/// Ivy that climbs along a path: leaves on both sides of a stem.
pub(super) fn ivy(path: &[Vec3], seed: u32) -> Shape {
    let mut chance = Chance::new(seed);
    let stem: Vec<(Vec3, f32)> = path.iter().map(|place| (*place, 0.018)).collect();
    let mut all = Shape::tube(&stem, 5).colored(srgb(0x4c3a2c));
    for pair in path.windows(2) {
        let length = (pair[1] - pair[0]).length();
        for _ in 0..(length * 46.0) as u32 {
            let off = vec3(chance.between(-0.2, 0.2), chance.between(-0.14, 0.14), chance.between(0.0, 0.16));
            let place = pair[0].lerp(pair[1], chance.part()) + off;
            let size = chance.between(0.05, 0.1);
            let turn = Quat::yaw_pitch_roll(
                chance.between(-0.9, 0.9),
                chance.between(-0.7, 0.3),
                chance.between(-0.8, 0.8),
            );
            let corners =
                [vec3(0.0, -1.0, 0.0), vec3(0.75, 0.1, 0.15), vec3(0.0, 0.8, 0.0), vec3(-0.75, 0.1, 0.15)];
            let mut leaf = Shape::new();
            leaf.polygon(&corners.map(|corner| turn.rotate(corner * size)));
            let green = mix(srgb(0x37502b), srgb(0x7c8a3e), chance.part());
            let turned = if chance.part() > 0.82 { srgb(0xa8452c) } else { green };
            all.add(leaf.colored(mix(green, turned, 0.8)).moved(place));
        }
    }
    all
}
