// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 4: models with a skin, clips, nodes and morph targets.

use super::{
    Motion,
    model::{self, CLIP_SECS, JOINTS},
    stand::{Build, across, live},
};
use hearth_sdk::{prelude::*, time};

/// Time from one pose that the script sets to the next.
const STEP: Duration = Duration::from_millis(50);
/// Top of the plinths.
const TOP: f32 = 0.4;

pub(super) fn models(number: usize, motion: Motion) -> Result<(), Error> {
    let caption =
        "glTF made by the script: a skin, clips that blend, nodes that are driven, targets that morph.";
    let mut stand = Build::new(number, "Models", caption);
    let reed = Lump::put(&model::reed())?;
    let bow = Lump::put(&model::bow())?.0;
    let ball = Lump::put(&model::ball())?;
    let plays = |clip: &str, offset: f32| Animation {
        paused: motion.still,
        offset: offset * CLIP_SECS,
        start_ns: if motion.still { 0 } else { now() },
        ..Animation::of(clip)
    };
    let names = [
        "sway",
        // A clip of a file of its own.
        "bow, followed",
        if motion.still { "weight 0.5" } else { "blends" },
        "driven joints",
        "morph targets",
    ];
    let mut stood = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let x = across(index, 5);
        stand.cuboid([0.6, TOP - 0.1, 0.6], [x, 0.05 + TOP * 0.5, 0.0], [0.62, 0.61, 0.6]);
        stand.note([x, TOP - 0.1, 0.305], name);
        let model = Entity::new().at(x, TOP, 0.0);
        let model = match index {
            0 => model.model(reed.0).plays(plays("sway", 0.3)),
            1 => model.model(reed.0).plays(plays("bow", 0.36).in_lump(bow)),
            2 => model.model(reed.0).plays(Animation { weight: 0.5, ..plays("sway", 0.3) }),
            3 => model.model(reed.0),
            _ => model.at(x, TOP + 0.55, 0.0).model(ball.0).plays(plays("change", 0.2)),
        };
        stood.push(stand.add(model));
    }
    let tip = format!("joint {}", JOINTS - 1);
    let follows = Entity::new().parent(stood[1]).node(ModelNode::follow(&tip)).at(0.0, 0.34, 0.0);
    follows.mesh(MeshSource::Sphere(0.09)).material(glow([1.6, 0.9, 0.25])).add_to(&mut stand.batch);
    let mut driven = Vec::new();
    for joint in 1..JOINTS {
        let node = Entity::new().parent(stood[3]).node(ModelNode::add(format!("joint {joint}")));
        driven.push(node.with(bend(joint, 1.0)).add_to(&mut stand.batch));
    }
    stand.done()?;
    if !motion.still {
        live("stand 4", drive(driven));
        live("stand 4", blends(stood[2], bow));
    }
    Ok(())
}

fn now() -> u64 {
    u64::try_from(time::wall().as_nanos()).unwrap_or(0)
}

/// A curl that goes along the stalk.
fn bend(joint: usize, angle: f32) -> Transform {
    let turn = Quat::about(Vec3::Z, 0.45 * angle.sin()) * Quat::about(Vec3::Y, 0.3 * joint as f32);
    scene::pose(Vec3::ZERO, turn)
}

async fn drive(joints: Vec<EntityId>) -> Result<(), Error> {
    let mut beat = interval(STEP);
    loop {
        let at = beat.tick().await.as_secs_f32();
        let mut batch = Batch::new();
        for (index, joint) in joints.iter().enumerate() {
            batch.set(*joint, bend(index + 1, at * 1.3 - index as f32 * 0.4));
        }
        batch.commit()?;
    }
}

/// One clip after the other, each taking the place of the one before within a second.
async fn blends(reed: EntityId, bow: LumpId) -> Result<(), Error> {
    let clips = [Animation::of("bow").in_lump(bow), Animation::of("sway")];
    for clip in clips.into_iter().cycle() {
        sleep(Duration::from_secs(4)).await;
        scene::set(reed, Animation { start_ns: now(), blend: 1.0, ..clip })?;
    }
    Ok(())
}
