// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stands 2 and 3: textures and materials.

use super::{
    picture::{self, part},
    stand::{Build, LOW, WALL, across, writing},
};
use hearth_sdk::prelude::*;
use std::f32::consts::{FRAC_PI_2, FRAC_PI_4, PI};

const UPRIGHT: f32 = FRAC_PI_2;

pub(super) fn textures(number: usize) -> Result<(), Error> {
    let caption =
        "PNG made by the script. Far squares turn grey and do not flicker: smaller copies are shown.";
    let mut stand = Build::new(number, "Textures", caption);
    let checks = Lump::put(&picture::checks(256, 8, [[235, 235, 230], [40, 52, 70]]))?;
    let card = Lump::put(&card())?;
    let shown = |lump: Lump, texture_transform: TextureTransform| Material {
        base_color: [1.0; 4],
        base_color_texture: Some(lump.0),
        texture_transform,
        roughness: 0.8,
        ..Material::default()
    };
    // Nearly from the side, many times.
    let many = TextureTransform { scale: [16.0, 8.0], ..TextureTransform::IDENTITY };
    let slanted = Entity::new().at(0.0, 0.3, 0.05).turned(Quat::about(Vec3::X, 0.08));
    stand.add(slanted.mesh(MeshSource::Plane([4.2, 1.9])).material(shown(checks, many)));
    let turned = TextureTransform { offset: [0.5, -0.21], rotation: FRAC_PI_4, ..TextureTransform::IDENTITY };
    let cards = [
        ("as it is", TextureTransform::IDENTITY),
        ("scale 2, 2", TextureTransform { scale: [2.0, 2.0], ..TextureTransform::IDENTITY }),
        ("turned by 45°", turned),
        ("offset 0.5, 0", TextureTransform { offset: [0.5, 0.0], ..TextureTransform::IDENTITY }),
    ];
    for (index, (name, transform)) in cards.into_iter().enumerate() {
        let x = across(index, 4);
        let plane = Entity::new().at(x, 1.62, -0.9).turned(Quat::about(Vec3::X, UPRIGHT));
        stand.add(plane.mesh(MeshSource::Plane([0.85, 0.85])).material(shown(card, transform)));
        stand.note([x, 1.1, -0.9], name);
    }
    stand.done()
}

/// A picture with a colour in each corner, a frame and an arrow up, so that one sees how it lies.
fn card() -> Vec<u8> {
    picture::png(128, 128, |x, y| {
        let [u, v] = part(x, y, 128);
        let inside = |low: f32, high: f32, at: f32| at > low && at < high;
        let edge = !inside(0.05, 0.95, u) || !inside(0.05, 0.95, v);
        let shaft = inside(0.45, 0.55, u) && inside(0.4, 0.82, v);
        let head = inside(0.16, 0.42, v) && (u - 0.5).abs() < (v - 0.16) * 0.8;
        match (edge, shaft || head, u < 0.5, v < 0.5) {
            (true, ..) => [30, 34, 42, 255],
            (_, true, ..) => [250, 248, 240, 255],
            (_, _, true, true) => [208, 82, 62, 255],
            (_, _, false, true) => [230, 176, 60, 255],
            (_, _, true, false) => [64, 124, 190, 255],
            _ => [86, 158, 96, 255],
        }
    })
}

pub(super) fn materials(number: usize) -> Result<(), Error> {
    let caption =
        "Roughness grows to the right; the upper balls are metal. Below: what else a material can do.";
    let mut stand = Build::new(number, "Materials", caption);
    stand.bench(LOW);
    let rows =
        [(1.26, 0.0, [0.55, 0.06, 0.05]), (1.58, 0.5, [0.75, 0.4, 0.25]), (1.9, 1.0, [0.95, 0.68, 0.33])];
    for (y, metallic, [r, g, b]) in rows {
        for column in 0..8 {
            let roughness = column as f32 / 7.0;
            let ball = Entity::new().at(-1.22 + 0.41 * column as f32, y, -0.7).mesh(MeshSource::Sphere(0.15));
            let base_color = [r, g, b, 1.0];
            stand.add(ball.material(Material { base_color, metallic, roughness, ..Material::default() }));
        }
        stand.note([-1.8, y, WALL], &format!("metallic\n{metallic}"));
    }
    let special = special()?;
    let count = special.len();
    // Something with edges behind them, to be seen through glass.
    for stripe in 0..40 {
        let color = if stripe % 2 == 0 { [0.75, 0.75, 0.75] } else { [0.12, 0.2, 0.3] };
        stand.cuboid([0.1, 0.3, 0.02], [-1.95 + 0.1 * stripe as f32, LOW.0 + 0.15, LOW.1 - 0.24], color);
    }
    for (index, (name, mesh, material)) in special.into_iter().enumerate() {
        let x = across(index, count);
        let turn = match mesh {
            MeshSource::Plane(_) => Quat::about(Vec3::Y, 0.5) * Quat::about(Vec3::X, UPRIGHT),
            _ => Quat::IDENTITY,
        };
        stand.add(Entity::new().at(x, LOW.0 + 0.18, LOW.1).turned(turn).mesh(mesh).material(material));
        stand.add(Entity::new().at(x, LOW.0 - 0.1, LOW.1 + 0.255).with(writing(name, 0.062)));
    }
    stand.done()
}

fn special() -> Result<[(&'static str, MeshSource, Material); 10], Error> {
    let ball = MeshSource::Sphere(0.17);
    let card = MeshSource::Plane([0.32, 0.32]);
    let plain = |r: f32, g: f32, b: f32| Material {
        base_color: [r, g, b, 1.0],
        roughness: 0.4,
        ..Material::default()
    };
    let studs = Lump::put(&picture::studs(256, 6.0))?;
    let leaf = Lump::put(&picture::png(128, 128, |x, y| {
        let [u, v] = part(x, y, 128).map(|at| (at * 3.0).fract() * 2.0 - 1.0);
        let opacity = (255.0 * (1.45 - u.hypot(v)).clamp(0.0, 1.0)) as u8;
        [70, 140, 66, if u.hypot(v) < 0.6 { 0 } else { opacity }]
    }))?;
    let shade = Lump::put(&picture::png(64, 64, |x, y| {
        let [u, v] = part(x, y, 64);
        let level = if (u * 8.0).fract() < 0.25 || (v * 8.0).fract() < 0.25 { 20 } else { 255 };
        [level, level, level, 255]
    }))?;
    Ok([
        (
            "glass",
            ball,
            Material { roughness: 0.03, transmission: 1.0, thickness: 0.3, ..plain(0.95, 1.0, 0.97) },
        ),
        (
            "clear coat",
            ball,
            Material { roughness: 0.7, clearcoat: 1.0, clearcoat_roughness: 0.03, ..plain(0.5, 0.02, 0.03) },
        ),
        (
            "emissive",
            ball,
            Material { emissive: [0.2, 0.9, 1.0], emissive_strength: 2.5, ..plain(0.02, 0.1, 0.1) },
        ),
        (
            "alpha cutoff",
            card,
            Material {
                alpha_cutoff: Some(0.5),
                base_color_texture: Some(leaf.0),
                double_sided: true,
                ..plain(1.0, 1.0, 1.0)
            },
        ),
        (
            "blend",
            ball,
            Material {
                base_color: [0.1, 0.35, 0.9, 0.4],
                blend: true,
                roughness: 0.3,
                ..Material::default()
            },
        ),
        ("unlit", ball, Material { unlit: true, ..plain(0.9, 0.45, 0.1) }),
        (
            "double-sided",
            MeshSource::Lump(bowl().lump()?.0),
            Material { double_sided: true, ..plain(0.3, 0.55, 0.35) },
        ),
        (
            "normals",
            ball,
            Material { normal_texture: Some(studs.0), normal_scale: 1.5, ..plain(0.62, 0.6, 0.55) },
        ),
        ("occlusion", ball, Material { occlusion_texture: Some(shade.0), ..plain(0.8, 0.8, 0.8) }),
        (
            "amber",
            ball,
            Material {
                roughness: 0.05,
                transmission: 1.0,
                thickness: 0.34,
                attenuation_color: [0.9, 0.35, 0.04],
                attenuation_distance: 0.15,
                ..plain(1.0, 1.0, 1.0)
            },
        ),
    ])
}

/// A half ball, open to the viewer's side: its inside is seen only if both sides are.
fn bowl() -> Shape {
    let profile: Vec<[f32; 2]> = (0..=10)
        .map(|step| {
            let angle = step as f32 / 10.0 * FRAC_PI_2;
            [if step == 0 { 0.0 } else { 0.17 * angle.sin() }, -0.17 * angle.cos()]
        })
        .collect();
    Shape::lathe(&profile, 28).turned(Quat::about(Vec3::X, PI * 0.3))
}
