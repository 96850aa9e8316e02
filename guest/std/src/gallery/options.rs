// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 15: brushed metal, and textures that say where there is how much of an option of a material.

use super::{
    picture::{self, part},
    stand::{Build, HIGH, LOW, across},
};
use hearth_sdk::prelude::*;
use std::f32::consts::{FRAC_PI_2, PI, TAU};

const BALL: MeshSource = MeshSource::Sphere(0.21);
const PIXELS: u32 = 128;

pub(super) fn options(number: usize) -> Result<(), Error> {
    let caption =
        "Brushed metal draws its highlights out. Above: textures say where there is how much of an option.";
    let mut stand = Build::new(number, "Options of materials", caption);
    stand.bench(LOW);
    stand.bench(HIGH);
    for (index, (name, material)) in brushed()?.into_iter().enumerate() {
        let x = across(index, 5);
        let ball = Entity::new().at(x, LOW.0 + 0.23, LOW.1);
        // A plate shows the circles best, and a ball the rest.
        let thing = if index == 3 {
            let tilt = Quat::about(Vec3::X, FRAC_PI_2 - 0.5);
            ball.turned(tilt).mesh(MeshSource::Plane([0.42, 0.42]))
        } else {
            ball.mesh(BALL)
        };
        stand.add(thing.material(material));
        stand.label(LOW, x, name);
    }
    for (index, (name, material)) in textured()?.into_iter().enumerate() {
        let x = across(index, 5);
        let thing = Entity::new().at(x, HIGH.0 + 0.23, HIGH.1);
        let thing = if index == 3 {
            thing.turned(Quat::about(Vec3::Y, 0.35)).mesh(MeshSource::Cuboid([0.44, 0.44, 0.03]))
        } else {
            thing.mesh(BALL)
        };
        stand.add(thing.material(material));
        stand.label(HIGH, x, name);
    }
    // Something behind the window and the glass.
    for bar in 0..5 {
        let color = srgb([0xc0392b, 0xe0a030, 0x3f8f4f, 0x2e6fb0, 0x6f4fa0][bar]);
        stand.cuboid([0.06, 0.5, 0.06], [0.5 + 0.11 * bar as f32, HIGH.0 + 0.25, HIGH.1 - 0.35], color);
    }
    stand.done()
}

/// A picture of one number for each place: in all colours and in the opacity.
fn level(level: impl Fn(f32, f32) -> f32) -> Result<LumpId, Error> {
    let bytes = picture::png(PIXELS, PIXELS, |x, y| {
        let [u, v] = part(x, y, PIXELS);
        [(255.0 * level(u, v).clamp(0.0, 1.0)) as u8; 4]
    });
    Ok(Lump::put(&bytes)?.0)
}

fn brushed() -> Result<[(&'static str, Material); 5], Error> {
    let steel = |anisotropy: f32, anisotropy_rotation: f32| Material {
        base_color: [0.62, 0.63, 0.65, 1.0],
        metallic: 1.0,
        roughness: 0.38,
        anisotropy,
        anisotropy_rotation,
        ..Material::default()
    };
    // As the grooves of a turned plate go round its middle.
    let circles = Lump::put(&picture::png(PIXELS, PIXELS, |x, y| {
        let [u, v] = part(x, y, PIXELS).map(|at| at - 0.5);
        let out = u.hypot(v).max(1e-3);
        let [r, g] = [v / out, u / out].map(|part| ((part * 0.5 + 0.5) * 255.0) as u8);
        [r, g, 255, 255]
    }))?;
    let rainbow = Lump::put(&picture::png(PIXELS, PIXELS, |x, y| {
        let [u, v] = part(x, y, PIXELS);
        let color = [0.0, 1.0, 2.0].map(|third: f32| 0.5 + 0.5 * ((u * 2.0 + v + third / 3.0) * TAU).cos());
        let [r, g, b] = color.map(|part| (255.0 * part) as u8);
        [r, g, b, 255]
    }))?;
    let sheen = Material {
        base_color: [0.015, 0.015, 0.018, 1.0],
        roughness: 0.3,
        specular_color: [6.0; 3],
        ..Material::default()
    };
    Ok([
        ("steel", steel(0.0, 0.0)),
        ("anisotropy", steel(0.95, 0.0)),
        ("turned by 90°", steel(0.95, FRAC_PI_2)),
        ("in circles", steel(0.95, 0.0).textured(Extra::Anisotropy, circles.0)),
        ("specular colour", sheen.textured(Extra::SpecularColor, rainbow.0)),
    ])
}

fn textured() -> Result<[(&'static str, Material); 5], Error> {
    let lacquer = |r: f32, g: f32, b: f32| Material {
        base_color: [r, g, b, 1.0],
        roughness: 0.8,
        clearcoat: 1.0,
        clearcoat_roughness: 0.03,
        ..Material::default()
    };
    let stripes = level(|u, v| if ((u * 6.0 + v * 2.0) * 2.0).fract() < 0.5 { 1.0 } else { 0.0 })?;
    let patches = level(|u, v| if (u * 16.0 * PI).sin() * (v * 8.0 * PI).sin() > 0.0 { 1.0 } else { 0.0 })?;
    let panes = level(|u, v| {
        let pane = |at: f32| (0.1..0.46).contains(&at) || (0.54..0.9).contains(&at);
        if pane(u) && pane(v) { 1.0 } else { 0.0 }
    })?;
    let bands = level(|_, v| 0.5 - 0.5 * (v * 5.0 * PI).cos())?;
    let studs = Lump::put(&picture::studs(PIXELS, 8.0))?;
    let glass = Material {
        roughness: 0.05,
        transmission: 1.0,
        thickness: 0.4,
        attenuation_color: [0.1, 0.5, 0.55],
        attenuation_distance: 0.12,
        base_color: [1.0; 4],
        ..Material::default()
    };
    let window = Material {
        base_color: [0.86, 0.8, 0.68, 1.0],
        roughness: 0.05,
        transmission: 1.0,
        ..Material::default()
    };
    let satin = Material { clearcoat_roughness: 0.7, ..lacquer(0.02, 0.05, 0.15) };
    Ok([
        ("clear coat", lacquer(0.45, 0.03, 0.03).textured(Extra::Clearcoat, stripes)),
        ("its roughness", satin.textured(Extra::ClearcoatRoughness, patches)),
        ("its normals", lacquer(0.015, 0.09, 0.03).textured(Extra::ClearcoatNormal, studs.0)),
        ("transmission", window.textured(Extra::Transmission, panes)),
        ("thickness", glass.textured(Extra::Thickness, bands)),
    ])
}
