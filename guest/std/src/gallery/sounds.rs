// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 10: bells that ring when they are pressed, each heard in its own way.

use super::stand::{Build, LOW, WALL, across, live};
use hearth_sdk::{abi::scene::DistanceModel, pointer::Kind, prelude::*};
use std::f32::consts::TAU;

const RATE: u32 = 22_050;
const SECS: f32 = 1.8;
/// How long a bell is lit after a press.
const LIT: Duration = Duration::from_millis(250);

pub(super) fn bells(number: usize) -> Result<(), Error> {
    let caption = "Press a bell. Walk away, and hear how each falls with the distance.";
    let mut stand = Build::new(number, "Sound", caption);
    stand.bench(LOW);
    let shape = Shape::lathe(
        &[[0.0, 0.0], [0.2, 0.0], [0.2, 0.02], [0.13, 0.14], [0.1, 0.27], [0.06, 0.35], [0.0, 0.37]],
        32,
    )
    .source()?;
    let ring = Lump::put(&sound::wav(RATE, &bell(440.0)))?;
    let sound = Sound::new(ring.0).gain(0.6);
    let linear = Sound { distance_model: DistanceModel::Linear, ..sound.reaching(1.0, 6.0) };
    for (index, (name, sound, color, curve)) in [
        ("inverse", sound, 0xd0a040, Some(0)),
        ("linear, to 6 m", linear.pitch(1.25), 0xc07840, Some(1)),
        ("inverse, rolloff 3", Sound { rolloff_factor: 3.0, ..sound.pitch(1.5) }, 0x9a7a5a, Some(2)),
        ("everywhere alike", sound.everywhere().pitch(2.0), 0xb8b8bc, None),
    ]
    .into_iter()
    .enumerate()
    {
        let x = across(index, 4);
        let bell = Entity::new().name(format!("bell: {name}")).at(x, LOW.0, LOW.1).mesh(shape);
        let brass = metal(srgb(color));
        let bell = stand.add(bell.material(brass.clone()).pointer(Wants::HOVER.and(Wants::PRESS)));
        stand.label(LOW, x, name);
        graph(&mut stand, x, curve);
        live("stand 10", rings(bell, sound, brass));
    }
    stand.done()
}

/// How loud it is at 0 to 10 m, drawn on the wall.
fn graph(stand: &mut Build, x: f32, curve: Option<u32>) {
    let gain = |metres: f32| match curve {
        Some(0) => 1.0 / metres.max(1.0),
        Some(1) => ((6.0 - metres) / 5.0).clamp(0.0, 1.0),
        Some(_) => 1.0 / (1.0 + 3.0 * (metres.max(1.0) - 1.0)),
        None => 1.0,
    };
    let points: Vec<[f32; 3]> =
        (0..=60).map(|step| [step as f32 / 60.0 * 0.8 - 0.4, gain(step as f32 / 6.0) * 0.5, 0.0]).collect();
    let line = Lines { width: 0.02, color: [0.05, 0.25, 0.5, 1.0], ..Lines::through(points) };
    stand.add(Entity::new().at(x, 1.55, WALL).with(line));
    let axes = Lines {
        width: 0.008,
        color: [0.03, 0.03, 0.04, 1.0],
        ..Lines::through([[-0.4, 0.55, 0.0], [-0.4, 0.0, 0.0], [0.42, 0.0, 0.0]])
    };
    stand.add(Entity::new().at(x, 1.55, WALL).with(axes));
    stand.note([x, 1.48, WALL], "0 to 10 m");
}

/// A struck bell: a few partials that die away, the high ones first.
fn bell(hertz: f32) -> Vec<f32> {
    let partials = [
        (0.5, 0.3, 2.0),
        (1.0, 0.5, 3.0),
        (1.19, 0.25, 4.0),
        (2.0, 0.3, 5.0),
        (2.74, 0.2, 7.0),
        (4.07, 0.12, 10.0),
    ];
    (0..(RATE as f32 * SECS) as usize)
        .map(|i| {
            let time = i as f32 / RATE as f32;
            // Into silence at its end, out of it within two milliseconds.
            let hull = (time / 0.002).min(1.0) * ((SECS - time) / 0.3).min(1.0);
            let sum: f32 = partials
                .iter()
                .map(|(times, loud, falls)| loud * (time * hertz * times * TAU).sin() * (-time * falls).exp())
                .sum();
            0.6 * hull * sum
        })
        .collect()
}

async fn rings(bell: EntityId, sound: Sound, brass: Material) -> Result<(), Error> {
    let mut pointers = Pointers::of(bell);
    let bright = Material { emissive: [0.25, 0.18, 0.06], ..brass.clone() };
    loop {
        match pointers.next().await.kind {
            Kind::Over => scene::set(bell, bright.clone())?,
            Kind::Out => scene::set(bell, brass.clone())?,
            Kind::Press => {
                sound::play(bell, sound)?;
                scene::set(bell, Material { emissive: [1.2, 0.8, 0.3], ..brass.clone() })?;
                let bright = bright.clone();
                live("stand 10", async move {
                    sleep(LIT).await;
                    scene::set(bell, bright)
                });
            }
            _ => {}
        }
    }
}
