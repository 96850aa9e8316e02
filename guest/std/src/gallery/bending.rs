// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 16: meshes of a script that bend: by entities, by the joints of a model, and by morph targets.

use super::{
    Motion, model,
    stand::{Build, across, live},
};
use hearth_sdk::{
    abi::mesh::{Mesh, MorphTarget},
    prelude::*,
};
use std::f32::consts::{PI, TAU};

const STEP: Duration = Duration::from_millis(50);
/// Top of the plinths.
const TOP: f32 = 0.4;
/// Joints of the rope, and its length.
const KNOTS: usize = 7;
const ROPE: f32 = 1.26;
/// Radius of the ball that becomes something else.
const BALL: f32 = 0.26;

pub(super) fn bending(number: usize, motion: Motion) -> Result<(), Error> {
    let caption = "Meshes made by the script. Wherever their joints are they go, and by weights they become other shapes.";
    let mut stand = Build::new(number, "Meshes that bend", caption);
    let last = if motion.still { "weights 0.4, 0.6" } else { "weights change" };
    for (index, name) in ["entities as joints", "joints of a model", "weights 1, 0", "weights 0, 1", last]
        .into_iter()
        .enumerate()
    {
        let x = across(index, 5);
        stand.cuboid([0.66, TOP - 0.1, 0.6], [x, 0.05 + TOP * 0.5, 0.0], [0.62, 0.61, 0.6]);
        stand.note([x, TOP - 0.1, 0.305], name);
    }
    let knots = rope(&mut stand)?;
    vine(&mut stand, motion)?;
    let ball = MeshSource::Lump(Lump::put(&ball().encode())?.0);
    let mut balls = Vec::new();
    for (index, weights) in [[1.0, 0.0], [0.0, 1.0], [0.4, 0.6]].into_iter().enumerate() {
        let place = Entity::new().at(across(2 + index, 5), TOP + 0.42, 0.0);
        let thing = place.turned(Quat::yaw_pitch_roll(0.5, 0.25, 0.0)).mesh(ball);
        let color = srgb([0x4f8fc0, 0xd97757, 0x8a6fc0][index]);
        let material = Material { roughness: 0.4, ..matte(color) };
        balls.push(stand.add(thing.material(material).with(MorphWeights { weights: weights.into() })));
    }
    stand.done()?;
    if !motion.still {
        live("stand 16", moves(knots, balls[2]));
    }
    Ok(())
}

/// A tube through places, all of which go with joints that are one above the other.
fn bent(path: &[(Vec3, f32)], joints: usize, step: f32) -> Mesh {
    let mut mesh = Shape::tube(path, 12).mesh().clone();
    for place in &mesh.positions {
        // Between two joints a place belongs to both, as near as it is to each.
        let along = (place[1] / step).clamp(0.0, joints as f32 - 1.0);
        let lower = (along as usize).min(joints - 2);
        let part = along - lower as f32;
        mesh.joints.push([lower as u16, lower as u16 + 1, 0, 0]);
        mesh.weights.push([1.0 - part, part, 0.0, 0.0]);
    }
    mesh.inverse_bind_matrices = (0..joints)
        .map(|joint| {
            let mut matrix: [f32; 16] = std::array::from_fn(|at| if at % 5 == 0 { 1.0 } else { 0.0 });
            matrix[13] = -step * joint as f32;
            matrix
        })
        .collect();
    mesh
}

/// A rope whose joints are balls.
fn rope(stand: &mut Build) -> Result<Vec<EntityId>, Error> {
    let path: Vec<(Vec3, f32)> =
        (0..=48).map(|ring| (Vec3::Y * (ROPE * ring as f32 / 48.0), 0.045)).collect();
    let mesh = bent(&path, KNOTS, ROPE / (KNOTS - 1) as f32);
    let ball = MeshSource::Sphere(0.068);
    let knots: Vec<EntityId> = (0..KNOTS)
        .map(|knot| {
            let ball = Entity::new().mesh(ball).material(matte(srgb(0xe0bb55)));
            stand.add(ball.with(knot_at(knot, 0.0)))
        })
        .collect();
    let rope = Entity::new().mesh(MeshSource::Lump(Lump::put(&mesh.encode())?.0));
    stand.add(rope.material(matte(srgb(0x3f6fa8))).with(Skin { joints: knots.clone() }));
    Ok(knots)
}

/// Where a joint of the rope is: on an arch that sways.
fn knot_at(knot: usize, sway: f32) -> Transform {
    let part = knot as f32 / (KNOTS - 1) as f32;
    let angle = PI * (1.0 - part);
    let lean = sway * (part * PI).sin();
    let place =
        vec3(across(0, 5) + 0.24 * angle.cos() + 0.1 * lean, TOP + 0.05 + 0.5 * angle.sin(), 0.16 * lean);
    // Its +Y goes on along the rope, from the left foot up and over to the right one.
    scene::pose(place, Quat::about(Vec3::Z, angle - PI))
}

/// A reed, and a vine around it that goes with the reed's joints.
fn vine(stand: &mut Build, motion: Motion) -> Result<(), Error> {
    let reed = Lump::put(&model::reed())?;
    let sways = Animation {
        paused: motion.still,
        offset: 0.3 * model::CLIP_SECS,
        start_ns: if motion.still {
            0
        } else {
            u64::try_from(hearth_sdk::time::wall().as_nanos()).unwrap_or(0)
        },
        ..Animation::of("sway")
    };
    let reed = stand.add(Entity::new().at(across(1, 5), TOP, 0.0).model(reed.0).plays(sways));
    let joints = (0..model::JOINTS)
        .map(|joint| {
            let node = Entity::new().parent(reed).node(ModelNode::follow(format!("joint {joint}")));
            node.add_to(&mut stand.batch)
        })
        .collect();
    let path: Vec<(Vec3, f32)> = (0..=120)
        .map(|ring| {
            let part = ring as f32 / 120.0;
            let (sin, cos) = (part * TAU * 4.5).sin_cos();
            let out = 0.125 - 0.055 * part;
            (vec3(cos * out, 0.03 + part * 1.2, sin * out), 0.02)
        })
        .collect();
    let mesh = bent(&path, model::JOINTS, model::JOINT_STEP);
    let vine = Entity::new().mesh(MeshSource::Lump(Lump::put(&mesh.encode())?.0));
    stand.add(vine.material(matte(srgb(0xb03a6a))).with(Skin { joints }));
    Ok(())
}

/// A ball with two targets: a die, and a blossom.
fn ball() -> Mesh {
    let mut mesh = Shape::sphere(BALL, 64).mesh().clone();
    let die = |way: Vec3| {
        // A ball of another power has edges that are round.
        let sum: f32 = way.array().into_iter().map(|part| part.abs().powi(7)).sum();
        way * (BALL * 0.82 / sum.powf(1.0 / 7.0))
    };
    let blossom = |way: Vec3| {
        let turn = way.x.atan2(way.z);
        let flat = way.x.hypot(way.z);
        way * (BALL * (0.85 + 0.45 * flat * flat * (turn * 5.0).cos()))
    };
    mesh.morph_targets = vec![target(&mesh, die), target(&mesh, blossom)];
    mesh
}

/// How the places and normals of a ball move if each of its directions is put somewhere else.
fn target(ball: &Mesh, put: impl Fn(Vec3) -> Vec3) -> MorphTarget {
    let (mut positions, mut normals) = (Vec::new(), Vec::new());
    for (position, normal) in ball.positions.iter().zip(&ball.normals) {
        let way = Vec3::from(*position).unit().unwrap_or(Vec3::Y);
        let beside = way.cross(if way.y.abs() < 0.9 { Vec3::Y } else { Vec3::X }).unit().unwrap_or(Vec3::X);
        let near = |to: Vec3| put((way + to * 0.01).unit().unwrap_or(way));
        let above = way.cross(beside);
        let slope = (near(beside) - near(-beside)).cross(near(above) - near(-above));
        let new = slope.unit().unwrap_or(way);
        positions.push((put(way) - (*position).into()).array());
        normals.push((new - (*normal).into()).array());
    }
    MorphTarget { positions, normals }
}

async fn moves(knots: Vec<EntityId>, ball: EntityId) -> Result<(), Error> {
    let mut beat = interval(STEP);
    loop {
        let at = beat.tick().await.as_secs_f32();
        let mut batch = Batch::new();
        for (index, knot) in knots.iter().enumerate() {
            batch.set(*knot, knot_at(index, (at * 1.7).sin()));
        }
        let wave = (at * 0.8).sin();
        batch.set(ball, MorphWeights { weights: vec![wave.max(0.0), (-wave).max(0.0)] });
        batch.commit()?;
    }
}
