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
