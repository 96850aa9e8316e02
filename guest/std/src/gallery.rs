// SPDX-License-Identifier: AGPL-3.0-or-later
//! The gallery: a bright hall with a numbered stand for each thing that a scene can show.
//!
//! Who enters stands at (0, 1.7, 6) and looks along −Z, down the walk. Odd numbers are on the left, even ones on the
//! right, the last is at the end. All that is shown is made here: there are no files. One terminal is opened, of the machine
//! that this runs on.
//!
//! With the argument `still` nothing moves by itself, so that pictures of it can be compared.

mod air;
mod bending;
mod broken;
mod distance;
mod hands;
mod kit;
mod lamps;
mod lines;
mod look;
mod mirrors;
mod model;
mod moving;
mod options;
mod particles;
mod picture;
mod screens;
mod shapes;
mod sounds;
mod stand;
mod terminals;
mod writing;

use crate::chance::mix;
use hearth_sdk::prelude::*;
pub use stand::{STANDS, Stand, VIEW_DISTANCE};
use std::f32::consts::TAU;

/// How fast things move, or that they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Motion {
    /// Nothing moves by itself.
    pub still: bool,
}

/// Builds the hall, and does what visitors ask of it.
///
/// # Errors
/// The scene does not take it.
pub async fn run() -> Result<(), Error> {
    let motion = Motion { still: args().iter().any(|arg| arg == "still") };
    let mut batch = Batch::new();
    hall(&mut batch)?;
    batch.commit()?;
    // In order, so that ids, on which the chance of particles hangs, are the same each time.
    shapes::meshes(1)?;
    look::textures(2)?;
    look::materials(3)?;
    moving::models(4, motion)?;
    lamps::lights(5, motion)?;
    air::whole_picture(6)?;
    writing::letters(7)?;
    lines::drawings(8, motion)?;
    particles::sources(9, motion)?;
    sounds::bells(10)?;
    screens::monitors(11)?;
    distance::levels(12)?;
    hands::pointers(13)?;
    kit::board(14)?;
    options::options(15)?;
    bending::bending(16, motion)?;
    mirrors::mirrors(17)?;
    terminals::terminals(18, motion)?;
    broken::lumps(19)?;
    info!("the gallery is ready");
    std::future::pending().await
}

/// Floor, light and what is around.
fn hall(batch: &mut Batch) -> Result<(), Error> {
    let studio = Lump::put(&picture::hdr(256, 128, studio))?;
    let studio = Environment { lump: studio.0, brightness: 36.0, ambient: 30.0, rotation: 0.0 };
    // What is up while the picture of the studio is on its way.
    let grey = [0.75; 3];
    let sky = Sky { zenith: [0.95; 3], horizon: grey, ground: [0.4; 3], brightness: 30.0, ambient: 30.0 };
    Entity::new().name("studio").with(sky).with(studio).add_to(batch);
    let down = Quat::looking(vec3(0.0, -0.8, -0.6));
    Entity::new()
        .name("sun")
        .light(scene::far_light([1.0, 0.97, 0.92], 75.0, true))
        .turned(down)
        .add_to(batch);
    let floor = Entity::new().name("floor").at(0.0, -0.02, 0.0).mesh(MeshSource::Plane([400.0, 400.0]));
    floor.material(matte([0.3, 0.3, 0.31])).add_to(batch);
    let walk = Entity::new().name("walk").at(0.0, -0.02, -23.0).mesh(MeshSource::Cuboid([2.6, 0.05, 62.0]));
    walk.material(matte([0.46, 0.44, 0.42])).add_to(batch);
    let text = |text: &str, size: f32, bold: bool| Text {
        text: text.into(),
        align: Align::Left,
        anchor: Anchor::Baseline,
        size,
        bold,
        color: stand::INK,
        ..Text::default()
    };
    // Lies on the walk, to be read by who enters.
    let flat = Quat::about(Vec3::X, -std::f32::consts::FRAC_PI_2);
    let title = Entity::new().name("title").at(-1.15, 0.02, 2.6).turned(flat);
    title.with(text("Gallery", 0.5, true)).add_to(batch);
    let below = Entity::new().name("subtitle").at(-1.15, 0.02, 3.0).turned(flat);
    below.with(text("everything a scene can show", 0.17, false)).add_to(batch);
    Ok(())
}

/// The light of a studio: bright all round, a little blue above, with three lamps of cloth.
fn studio(direction: Vec3) -> [f32; 3] {
    let up = direction.y;
    let around = |at: f32| {
        let turn = (direction.x.atan2(-direction.z) - at).rem_euclid(TAU);
        turn.min(TAU - turn)
    };
    let haze = [0.85, 0.86, 0.87];
    let base = if up < 0.0 {
        haze.map(|part| part * (0.45 + 0.55 * (1.0 + up * 5.0).max(0.0)))
    } else {
        mix(haze, [0.5, 0.66, 0.9], up.powf(0.7))
    };
    // Soft at its edges, so that a small picture has no stairs.
    let edge = |inside: f32| (inside / 0.06).clamp(0.0, 1.0);
    let lamp = |turn: f32, wide: f32| edge(wide - around(turn)) * edge(0.95 - up) * edge(up - 0.5);
    let lamps = lamp(0.9, 0.3) + lamp(-1.0, 0.4) + lamp(2.9, 0.35);
    base.map(|part| part + 4.5 * lamps)
}
