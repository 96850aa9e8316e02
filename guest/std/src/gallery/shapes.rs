// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 1: shapes that every peer has, and meshes made here.

use super::{
    picture::{self, part},
    stand::{Build, HIGH, LOW, across},
};
use hearth_sdk::{abi::mesh::Mesh, prelude::*};
use std::f32::consts::TAU;

pub(super) fn meshes(number: usize) -> Result<(), Error> {
    let caption = "Five built-in shapes; meshes from a script, with colours and two sets of uvs.";
    let mut stand = Build::new(number, "Shapes", caption);
    stand.bench(LOW);
    stand.bench(HIGH);
    let sources = [
        ("cuboid", MeshSource::Cuboid([0.34; 3]), 0.17, 0xd97757),
        ("sphere", MeshSource::Sphere(0.19), 0.19, 0x5b8fd0),
        ("cylinder", MeshSource::Cylinder(0.15, 0.38), 0.19, 0x6fae73),
        ("plane", MeshSource::Plane([0.5, 0.4]), 0.12, 0xd9b44a),
        ("torus", MeshSource::Torus(0.16, 0.06), 0.2, 0x9a78c2),
    ];
    for (index, (name, source, up, color)) in sources.into_iter().enumerate() {
        let x = across(index, 5);
        let tilt = Quat::about(Vec3::X, if matches!(name, "plane" | "torus") { 0.7 } else { 0.0 });
        let turn = Quat::about(Vec3::Y, if name == "cuboid" { 0.6 } else { 0.0 });
        let shape = Entity::new().at(x, LOW.0 + up, LOW.1).turned(tilt * turn).mesh(source);
        stand.add(shape.material(Material { roughness: 0.5, ..matte(srgb(color)) }));
        stand.label(LOW, x, name);
    }
    let made =
        [("lathe, colours", vase()), ("extrusion", star()), ("tube", knot()), ("height field", hills())];
    let painted = Material { base_color: [1.0; 4], roughness: 0.5, ..Material::default() };
    for (index, (name, shape)) in made.into_iter().enumerate() {
        let x = across(index, 5);
        stand.add(Entity::new().at(x, HIGH.0, HIGH.1).mesh(shape.source()?).material(painted.clone()));
        stand.label(HIGH, x, name);
    }
    let x = across(4, 5);
    stand.add(two_uvs()?.at(x, HIGH.0 + 0.3, HIGH.1));
    stand.label(HIGH, x, "two sets of uvs");
    stand.done()
}

fn vase() -> Shape {
    let profile =
        [[0.0, 0.0], [0.12, 0.0], [0.2, 0.18], [0.17, 0.34], [0.08, 0.46], [0.12, 0.58], [0.0, 0.56]];
    Shape::lathe(&profile, 32).painted(|place, _| {
        let part = place.y / 0.58;
        [0.9 - 0.7 * part, 0.25 + 0.3 * part, 0.15 + 0.75 * part]
    })
}

fn star() -> Shape {
    let mut star = Shape::new();
    // Outlines are convex: five kites, one after the other.
    for point in 0..5 {
        let at = |turn: f32, out: f32| {
            let (sin, cos) = ((point as f32 + turn) * TAU / 5.0).sin_cos();
            [-sin * out, cos * out]
        };
        star.add(Shape::extrude(&[[0.0, 0.0], at(-0.5, 0.13), at(0.0, 0.29), at(0.5, 0.13)], 0.12));
    }
    star.colored(srgb(0xe0b040)).moved(vec3(0.0, 0.27, 0.0))
}

fn knot() -> Shape {
    let path: Vec<(Vec3, f32)> = (0..=96)
        .map(|step| {
            let turn = step as f32 / 96.0 * TAU;
            let out = 0.16 + 0.07 * (turn * 3.0).cos();
            let (sin, cos) = (turn * 2.0).sin_cos();
            (vec3(cos * out, 0.29 + sin * out, 0.07 * (turn * 3.0).sin()), 0.035)
        })
        .collect();
    Shape::tube(&path, 12).painted(|place, _| {
        [0.5 + place.x * 2.0, 0.35, 0.5 - place.x * 2.0].map(|part| part.clamp(0.05, 0.95))
    })
}

fn hills() -> Shape {
    let height = |x: f32, z: f32| 0.16 + 0.12 * (x * 11.0).sin() * (z * 9.0).cos();
    Shape::heightfield([24, 16], [0.66, 0.44], height).painted(|place, _| {
        let part = (place.y - 0.04) / 0.24;
        [0.05 + 0.45 * part, 0.2 + 0.15 * part, 0.08 + 0.2 * part]
    })
}

/// A panel whose colour repeats by its first uvs, and which is lit by its second ones, once.
fn two_uvs() -> Result<Entity, Error> {
    let corners = [[-0.3, -0.3], [0.3, -0.3], [0.3, 0.3], [-0.3, 0.3]];
    let uvs = corners.map(|[x, y]: [f32; 2]| [x / 0.6 + 0.5, 0.5 - y / 0.6]);
    let panel = Mesh {
        positions: corners.map(|[x, y]| [x, y, 0.0]).to_vec(),
        normals: vec![[0.0, 0.0, 1.0]; 4],
        uvs: uvs.map(|uv| uv.map(|at| at * 3.0)).to_vec(),
        second_uvs: uvs.to_vec(),
        indices: vec![0, 1, 2, 0, 2, 3],
        ..Mesh::default()
    };
    let panel = Lump::put(&panel.encode())?;
    let checks = Lump::put(&picture::checks(64, 2, [[70, 100, 150], [150, 180, 215]]))?;
    let ring = Lump::put(&picture::png(128, 128, |x, y| {
        let [u, v] = part(x, y, 128).map(|at| at * 2.0 - 1.0);
        let level = (1.0 - (u.hypot(v) - 0.7).abs() * 6.0).clamp(0.0, 1.0);
        [(255.0 * level) as u8, (150.0 * level) as u8, (30.0 * level) as u8, 255]
    }))?;
    let material = Material {
        base_color: [1.0; 4],
        base_color_texture: Some(checks.0),
        emissive: [1.0; 3],
        emissive_texture: Some(ring.0),
        second_uvs: second_uvs::EMISSIVE,
        double_sided: true,
        ..Material::default()
    };
    Ok(Entity::new().mesh(MeshSource::Lump(panel.0)).material(material))
}
