// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 17: mirrors, and layers that only some of them, and some cameras, see.

use super::stand::{Build, LOW, Stand};
use hearth_sdk::prelude::*;
use std::f32::consts::FRAC_PI_2;

/// The layers of the ghost and of what is in the box.
const GHOST: u8 = 5;
const INSIDE: u8 = 6;
/// The exposure of the avatar's camera, for which the hall is lit.
const EXPOSURE_EV100: f32 = 5.0;
/// Where the box is.
const BOX: Vec3 = vec3(1.5, LOW.0 + 0.17, LOW.1);

pub(super) fn mirrors(number: usize) -> Result<(), Error> {
    let caption = "The second mirror also sees layer 5, where there is a ghost. The screen sees layer 6, within the box.";
    let mut stand = Build::new(number, "Mirrors and layers", caption);
    stand.bench(LOW);
    let upright = Quat::about(Vec3::X, FRAC_PI_2);
    let plain = Mirror { layers: Layers::of(&[0]), ..Mirror::default() };
    let haunted = Mirror { layers: Layers::of(&[0, GHOST]), color: [0.8, 0.87, 0.92], ..plain };
    for (x, mirror) in [(-1.32, plain), (0.12, haunted)] {
        stand.cuboid([1.34, 1.34, 0.05], [x, 1.5, -0.92], [0.16, 0.1, 0.06]);
        let glass = Entity::new().at(x, 1.5, -0.89).turned(upright).mesh(MeshSource::Plane([1.24, 1.24]));
        stand.add(glass.with(mirror));
    }
    let things = [
        (-1.75, MeshSource::Sphere(0.17), 0x5b8fd0),
        (-1.3, MeshSource::Cuboid([0.28, 0.34, 0.12]), 0xd97757),
        (-0.85, MeshSource::Torus(0.13, 0.045), 0x9a78c2),
    ];
    for (x, mesh, color) in things {
        let turn = match mesh {
            MeshSource::Torus(..) => Quat::about(Vec3::X, FRAC_PI_2),
            _ => Quat::IDENTITY,
        };
        let thing = Entity::new().at(x, LOW.0 + 0.18, LOW.1).turned(turn).mesh(mesh);
        stand.add(thing.material(Material { roughness: 0.45, ..matte(srgb(color)) }));
    }
    // What is on the back is seen in the mirror alone.
    let back = Entity::new()
        .at(-1.3, LOW.0 + 0.18, LOW.1 - 0.065)
        .turned(Quat::about(Vec3::Y, std::f32::consts::PI));
    let text = Text { text: "back".into(), size: 0.1, bold: true, ..Text::default() };
    stand.add(back.with(text));
    stand.label(LOW, -1.3, "a mirror");
    let foot = Entity::new().at(0.12, LOW.0 + 0.04, LOW.1).mesh(MeshSource::Cylinder(0.16, 0.08));
    stand.add(foot.material(matte([0.3, 0.3, 0.32])));
    stand.label(LOW, 0.12, "nobody is here");
    let ghost = stand.add(Entity::new().at(0.12, LOW.0 + 0.08, LOW.1).with(Layers::of(&[GHOST])));
    let sheet =
        Shape::lathe(&[[0.17, 0.0], [0.13, 0.12], [0.11, 0.26], [0.12, 0.34], [0.09, 0.42], [0.0, 0.46]], 28);
    let sheet = Entity::new().parent(ghost).mesh(sheet.source()?);
    sheet.material(Material { roughness: 0.9, ..glow([0.75, 1.0, 0.95]) }).add_to(&mut stand.batch);
    for x in [-0.045, 0.045] {
        let eye = Entity::new().parent(ghost).at(x, 0.33, -0.105).mesh(MeshSource::Sphere(0.025));
        eye.material(matte([0.01; 3])).add_to(&mut stand.batch);
    }
    let shut = Entity::new().at_vec(BOX).mesh(MeshSource::Cuboid([0.62, 0.34, 0.34]));
    stand.add(shut.material(matte(srgb(0x8a6a45))));
    stand.label(LOW, BOX.x, "a box that is shut");
    let inside = stand.add(Entity::new().at_vec(BOX).with(Layers::of(&[INSIDE])));
    for (x, mesh, color) in [
        (-0.17, MeshSource::Torus(0.08, 0.03), [0.9, 0.6, 0.15]),
        (0.02, MeshSource::Sphere(0.08), [0.15, 0.7, 0.9]),
        (0.2, MeshSource::Cuboid([0.12; 3]), [0.9, 0.2, 0.35]),
    ] {
        let turn = Quat::yaw_pitch_roll(0.5, 0.9, 0.0);
        let thing = Entity::new().parent(inside).at(x, 0.0, 0.0).turned(turn).mesh(mesh);
        thing.material(matte(color)).add_to(&mut stand.batch);
    }
    let from = vec3(BOX.x, BOX.y + 0.05, BOX.z + 0.75);
    let camera = Camera { exposure_ev100: EXPOSURE_EV100, fov_y: 0.6, ..Camera::default() };
    let view = View { camera, size: [320, 240], rate: 10.0 };
    let place = Stand::number(number);
    let way = place.outside(BOX) - place.outside(from);
    let eye =
        Entity::new().name("camera: within the box").at_vec(place.outside(from)).turned(Quat::looking(way));
    let eye = eye.with(view).with(Layers::of(&[INSIDE])).add_to(&mut stand.batch);
    stand.cuboid([1.02, 0.79, 0.05], [1.5, 1.62, -0.92], [0.03, 0.03, 0.035]);
    let glass = Entity::new().at(1.5, 1.62, -0.89).turned(upright).mesh(MeshSource::Plane([0.94, 0.705]));
    stand.add(glass.with(Screen::of(eye)));
    stand.done()
}
