// SPDX-License-Identifier: AGPL-3.0-or-later
//! The body that others see: a small round lamp of a being, in a colour of its own, with its name.

use hearth_sdk::{font, prelude::*};
use std::f32::consts::TAU;

/// The colour of a peer; neighbours in number are far apart in hue.
pub(super) fn hue(peer: u32) -> [f32; 3] {
    // The golden ratio: the circle of hues is divided ever more finely, and never twice alike.
    let turn = (peer as f32 * 0.618_034 + 0.912).fract() * 6.0;
    [0.0, 4.0, 2.0].map(|shift: f32| {
        let part = (((turn + shift) % 6.0 - 3.0).abs() - 1.0).clamp(0.0, 1.0);
        (0.16 + 0.72 * part).powi(2)
    })
}

/// Makes the body, with −Z as its front, and gives its root.
pub(super) fn make(name: &str, peer: u32, at: Transform) -> Result<EntityId, Error> {
    let color = hue(peer);
    let mut batch = Batch::new();
    let root = Entity::new().name(format!("avatar of {name}")).with(at).add_to(&mut batch);
    let part = |name: &str, shape: Shape| -> Result<Entity, Error> {
        Ok(Entity::new().parent(root).name(name).mesh(shape.source()?))
    };
    let painted = Material { base_color: [1.0; 4], roughness: 0.45, ..Material::default() };
    part("shell", shell(color))?.material(painted).add_to(&mut batch);
    part("eyes", eyes())?.material(glow([2.6, 2.2, 1.6])).add_to(&mut batch);
    let heart = Shape::sphere(0.05, 10).scaled(vec3(1.0, 1.25, 1.0)).moved(vec3(0.0, -0.33, 0.0));
    part("lamp", heart)?.material(glow(scene::times(color, 3.0))).add_to(&mut batch);

    let tag = Entity::new().parent(root).name("name tag").at(0.0, 0.42, 0.0).billboard().add_to(&mut batch);
    let capital = 0.075;
    let [width, height] = font::size(name, capital);
    let ground = Shape::cuboid(vec3(width + 0.09, height + 0.08, 0.004));
    let dark =
        Material { base_color: [0.012, 0.011, 0.015, 0.85], unlit: true, blend: true, ..Material::default() };
    Entity::new().parent(tag).at(0.0, 0.0, -0.01).mesh(ground.source()?).material(dark).add_to(&mut batch);
    let ink = Material { unlit: true, ..matte([1.0, 0.92, 0.8]) };
    let letters = font::text_mesh(name, capital).source()?;
    Entity::new().parent(tag).mesh(letters).material(ink).add_to(&mut batch);
    batch.commit()?;
    Ok(root)
}

/// Head with a dark face, collar, and the skirt under which the lamp hangs.
fn shell(color: [f32; 3]) -> Shape {
    let mut shell = Shape::sphere(0.2, 20).scaled(vec3(1.0, 0.92, 0.96)).colored(color);
    // The face: a part of a slightly larger ball, cut where it would leave the head's front.
    let face = Shape::sphere(0.2, 20).scaled(vec3(0.8, 0.56, 0.5)).moved(vec3(0.0, 0.0, -0.106));
    shell.add(face.colored([0.012, 0.012, 0.016]));
    let pale = color.map(|part| part * 0.45 + 0.4);
    let collar = [[0.0, -0.2], [0.1, -0.2], [0.125, -0.185], [0.1, -0.165], [0.0, -0.165]];
    shell.add(Shape::lathe(&collar, 20).colored(pale));
    let skirt = [[0.13, -0.36], [0.145, -0.36], [0.105, -0.25], [0.05, -0.2], [0.0, -0.2]];
    shell.add(Shape::lathe(&skirt, 20).colored(color));
    // From above to below, so that it is seen from inside.
    let inside = [[0.0, -0.225], [0.045, -0.225], [0.095, -0.265], [0.13, -0.36]];
    shell.add(Shape::lathe(&inside, 20).colored(pale));
    for side in [-1.0, 1.0] {
        let ear = Shape::cone(0.045, 0.035, 0.04, 14).turned(Quat::about(Vec3::Z, -side * TAU / 4.0));
        shell.add(ear.moved(vec3(side * 0.2, 0.0, 0.0)).colored(pale));
    }
    let antenna = [(vec3(0.0, 0.17, 0.02), 0.012), (vec3(0.0, 0.25, 0.035), 0.007)];
    shell.add(Shape::tube(&antenna, 7).colored(pale));
    shell.add(Shape::sphere(0.024, 10).moved(vec3(0.0, 0.265, 0.037)).colored(pale));
    shell
}

/// Two eyes on the face.
fn eyes() -> Shape {
    let mut eyes = Shape::new();
    for side in [-1.0, 1.0] {
        let eye = Shape::sphere(0.026, 10).scaled(vec3(0.8, 1.3, 0.5));
        eyes.add(eye.moved(vec3(side * 0.062, 0.01, -0.199)));
    }
    eyes
}
