// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lanterns of paper that circle above the fire, each rising and sinking on its way.
//!
//! They show what a script does about motion: it sets transforms twenty times a second, and every
//! peer draws the way between.

use crate::place::FIRE;
use hearth_sdk::{prelude::*, time};
use std::f32::consts::TAU;

const LANTERNS: usize = 6;
/// Time from one position to the next.
const STEP: Duration = Duration::from_millis(50);
/// Time of one turn of the circle, in seconds.
const TURN_SECS: f32 = 24.0;

/// Makes the lanterns and moves them for ever.
///
/// # Errors
/// The scene does not take them.
pub async fn run() -> Result<(), Error> {
    let hues = [0xffb35a, 0xff8a4a, 0xffd27a, 0xff7a5a, 0xffc060, 0xff9f6a];
    let mut batch = Batch::new();
    let paper = paper().source()?;
    let frame = frame().source()?;
    let circle = Entity::new().name("lantern circle").at_vec(FIRE + Vec3::Y * 2.75).add_to(&mut batch);
    let mut lanterns = Vec::new();
    for (number, hue) in hues.into_iter().take(LANTERNS).enumerate() {
        let lantern = Entity::new().parent(circle).name(format!("paper lantern {}", number + 1));
        let lantern = lantern.mesh(paper).material(glow(scene::times(srgb(hue), 1.7)));
        let lantern = lantern.with(place(number, 0.0)).add_to(&mut batch);
        Entity::new().parent(lantern).mesh(frame).material(matte(srgb(0x33261c))).add_to(&mut batch);
        lanterns.push(lantern);
    }
    batch.commit()?;

    let mut beat = interval(STEP);
    loop {
        beat.tick().await;
        let turns = time::monotonic().as_secs_f32() / TURN_SECS;
        let mut batch = Batch::new();
        for (number, lantern) in lanterns.iter().enumerate() {
            batch.set(*lantern, place(number, turns));
        }
        batch.commit()?;
    }
}

fn place(number: usize, turns: f32) -> Transform {
    let part = turns + number as f32 / LANTERNS as f32;
    let (sin, cos) = (part.fract() * TAU).sin_cos();
    let lift = (turns * 5.0 * TAU + number as f32 * 2.1).sin() * 0.16;
    let sway = Quat::about(vec3(cos, 0.0, -sin), 0.12) * Quat::about(Vec3::Y, part * TAU);
    scene::pose(vec3(sin * 1.75, lift, cos * 1.75), sway)
}

/// A body of folded paper.
fn paper() -> Shape {
    let folds = 7;
    let mut profile = vec![[0.05, -0.17]];
    for fold in 0..=folds {
        let up = fold as f32 / folds as f32;
        let radius = 0.09 + 0.085 * (up * TAU * 0.5).sin();
        profile.push([radius, -0.16 + up * 0.32]);
        if fold < folds {
            profile.push([radius * 0.94 + 0.004, -0.16 + (up + 0.5 / folds as f32) * 0.32]);
        }
    }
    profile.push([0.05, 0.17]);
    Shape::lathe(&profile, 14)
}

/// Rings of wood, a hook and a tassel.
fn frame() -> Shape {
    let mut frame = Shape::cone(0.07, 0.07, 0.03, 10).moved(vec3(0.0, 0.18, 0.0));
    frame.add(Shape::cone(0.07, 0.07, 0.03, 10).moved(vec3(0.0, -0.18, 0.0)));
    frame.add(Shape::tube(&[(vec3(0.0, 0.19, 0.0), 0.006), (vec3(0.0, 0.3, 0.0), 0.006)], 5));
    frame.add(Shape::cone(0.022, 0.008, 0.16, 7).moved(vec3(0.0, -0.27, 0.0)));
    frame
}
