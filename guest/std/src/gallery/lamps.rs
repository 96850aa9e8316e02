// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 5: lights, shadows, and what the surroundings look like in a mirror.

use super::{
    Motion,
    stand::{Build, live},
};
use hearth_sdk::prelude::*;

const STEP: Duration = Duration::from_millis(50);
/// Floor of the niches.
const TOP: f32 = 0.6;
/// Their height.
const HIGH: f32 = 1.3;

pub(super) fn lights(number: usize, motion: Motion) -> Result<(), Error> {
    let caption =
        "A point light, a spot light with shadows, the sun of the hall, and its surroundings in a mirror.";
    let mut stand = Build::new(number, "Lights", caption);
    let grey = [0.4, 0.4, 0.4];
    stand.cuboid([3.9, TOP - 0.1, 0.95], [0.0, 0.05 + TOP * 0.5, -0.46], [0.62, 0.61, 0.6]);
    // The two lamps have a niche each, where the sun does not come.
    stand.cuboid([2.16, 0.05, 0.8], [-0.9, TOP + HIGH, -0.53], grey);
    for x in [-1.95, -0.9, 0.15] {
        stand.cuboid([0.06, HIGH, 0.8], [x, TOP + 0.5 * HIGH, -0.53], grey);
    }
    let things = |stand: &mut Build, x: f32| {
        let white = matte([0.75, 0.75, 0.73]);
        let ball = Entity::new().at(x - 0.2, TOP + 0.18, -0.6).mesh(MeshSource::Sphere(0.18));
        stand.add(ball.material(white.clone()));
        let post = Entity::new().at(x + 0.24, TOP + 0.25, -0.7).mesh(MeshSource::Cylinder(0.07, 0.5));
        stand.add(post.material(white));
    };
    for x in [-1.42, -0.38, 0.66] {
        things(&mut stand, x);
    }
    let lamp =
        Entity::new().at(-1.42, TOP + 0.95, -0.45).light(scene::point_light([1.0, 0.5, 0.2], 1100.0, 2.5));
    let lamp = stand.add(lamp.mesh(MeshSource::Sphere(0.05)).material(glow([3.0, 1.6, 0.7])));
    let spot = Light {
        kind: LightKind::Spot,
        shadows: true,
        inner_angle: 0.4,
        outer_angle: 0.5,
        ..scene::point_light([0.3, 0.55, 1.0], 7000.0, 4.0)
    };
    let down = Quat::looking(vec3(0.3, -1.0, -0.15));
    let can = Entity::new().at(-0.66, TOP + 1.15, -0.35).turned(down).light(spot);
    let can = stand.add(can);
    let shade = Shape::cone(0.06, 0.03, 0.14, 16).turned(Quat::about(Vec3::X, std::f32::consts::FRAC_PI_2));
    // Behind the light: before it, the shade would be in its way.
    let shade = Entity::new().parent(can).at(0.0, 0.0, 0.09).mesh(shade.source()?);
    shade.material(matte([0.05, 0.05, 0.06])).add_to(&mut stand.batch);
    let mirror = Material { roughness: 0.02, ..metal([0.95; 3]) };
    stand.add(Entity::new().at(1.5, TOP + 0.38, -0.4).mesh(MeshSource::Sphere(0.38)).material(mirror));
    for (x, name) in
        [(-1.42, "point"), (-0.38, "spot, shadows"), (0.66, "directional, shadows"), (1.5, "environment")]
    {
        stand.note([x, TOP - 0.08, 0.02], name);
    }
    stand.done()?;
    if !motion.still {
        live("stand 5", swing(lamp));
    }
    Ok(())
}

/// The lamp swings from side to side.
async fn swing(lamp: EntityId) -> Result<(), Error> {
    let mut beat = interval(STEP);
    loop {
        let angle = (beat.tick().await.as_secs_f32() * 1.1).sin();
        scene::set(lamp, Transform::at(-1.42 + 0.3 * angle, TOP + 0.95 + 0.06 * angle * angle, -0.45))?;
    }
}
