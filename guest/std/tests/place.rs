// SPDX-License-Identifier: AGPL-3.0-or-later
//! The place and the lanterns, built natively: what they cost, and that they move.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_sdk::{
    abi::{
        mesh::Mesh,
        scene::{Component, LightKind, MeshSource, Op},
    },
    testing,
};
use hearth_std::{
    mover,
    place::{self, crackle},
};
use std::{collections::BTreeMap, time::Duration};

#[test]
fn the_place_is_cheap_enough_for_a_software_renderer() {
    testing::run_for(place::run(), Duration::from_millis(500));
    testing::run_for(mover::run(), Duration::from_millis(500));
    let lumps: BTreeMap<_, _> = testing::lumps().into_iter().collect();
    let ops: Vec<Op> = testing::batches().concat();
    let entities = ops.iter().filter(|op| matches!(op, Op::Create(..))).count();
    let (mut triangles, mut shadows, mut near_lights, mut far_lights) = (0, 0, 0, 0);
    let mut lit = Vec::new();
    for op in &ops {
        match op {
            Op::Set(_, Component::Mesh(MeshSource::Lump(id))) => {
                triangles += Mesh::decode(&lumps[id]).unwrap().indices.len() / 3;
            }
            // The fire's light is set again and again.
            Op::Set(id, Component::Light(light)) if !lit.contains(id) => {
                lit.push(*id);
                shadows += usize::from(light.shadows);
                match light.kind {
                    LightKind::Directional => far_lights += 1,
                    _ => near_lights += 1,
                }
            }
            _ => {}
        }
    }
    assert!(entities < 150, "{entities} entities");
    assert!((10_000..60_000).contains(&triangles), "{triangles} triangles");
    assert_eq!((shadows, far_lights), (1, 1));
    assert!(near_lights <= 3, "{near_lights} lights");
}

#[test]
fn the_fire_flickers_and_keeps_its_place() {
    testing::run_for(place::run(), Duration::from_secs(60));
    let batches = testing::batches();
    // One to build, then one for each beat.
    assert_eq!(batches.len(), 1 + 60_000 / 80);
    let levels: Vec<f32> = batches
        .iter()
        .skip(1)
        .flatten()
        .filter_map(|op| match op {
            Op::Set(_, Component::Light(light)) => Some(light.intensity),
            _ => None,
        })
        .collect();
    assert_eq!(levels.len(), batches.len() - 1);
    let (low, high) = levels.iter().fold((f32::MAX, 0.0f32), |(low, high), l| (low.min(*l), high.max(*l)));
    assert!(low > 3000.0 && high < 7500.0 && high - low > 300.0, "{low} to {high} lumens");
}

#[test]
fn the_fire_crackles_where_it_burns() {
    testing::run_for(place::run(), Duration::from_millis(500));
    let ops: Vec<Op> = testing::batches().concat();
    let sounds = ops.iter().filter_map(|op| match op {
        Op::Set(id, Component::Sound(sound)) => Some((*id, **sound)),
        _ => None,
    });
    let sounds: Vec<_> = sounds.collect();
    let [(id, sound)] = sounds[..] else { panic!("{sounds:?}") };
    assert!(sound.looping && !sound.ambient && sound.started_ns > 0);
    let lumps: BTreeMap<_, _> = testing::lumps().into_iter().collect();
    assert_eq!(lumps[&sound.lump].len(), 44 + 2 * crackle::SAMPLES);
    // It hangs at the fire, where the flames do.
    let parent = ops.iter().find(|op| matches!(op, Op::SetParent(child, _) if *child == id));
    let Some(Op::SetParent(_, Some(fire))) = parent else { panic!("it hangs nowhere") };
    let name = ops.iter().find_map(|op| match op {
        Op::Set(id, Component::Name(name)) if id == fire => Some(name.as_str()),
        _ => None,
    });
    assert_eq!(name, Some("fire"));
}

#[test]
fn the_crackle_is_a_loop_without_a_seam_and_has_cracks() {
    let samples = crackle::fire();
    assert_eq!(samples.len(), crackle::SAMPLES);
    assert_eq!(samples, crackle::fire(), "it is another each time");
    let level = |part: &[f32]| (part.iter().map(|v| v * v).sum::<f32>() / part.len() as f32).sqrt();
    let peak = samples.iter().fold(0.0f32, |peak, v| peak.max(v.abs()));
    let all = level(&samples);
    assert!((0.89..=0.91).contains(&peak), "{peak}");
    // Much louder at its peaks than on the whole: cracks; and never silent between them.
    assert!(all * 8.0 < peak && all > 0.02, "level {all}, peak {peak}");
    for part in samples.chunks(crackle::RATE as usize / 10) {
        assert!(level(part) > 0.2 * all, "a hole of {}", level(part));
    }
    // From the end to the beginning it goes as it does elsewhere, without cracks.
    let mut steps: Vec<f32> = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    steps.sort_by(f32::total_cmp);
    let usual = steps[steps.len() * 9 / 10];
    let seam = (samples[0] - samples[samples.len() - 1]).abs();
    assert!(seam <= usual, "a step of {seam} at the seam, usually {usual}");
}

#[test]
fn the_lanterns_move_twenty_times_a_second_in_small_steps() {
    testing::run_for(mover::run(), Duration::from_secs(30));
    let batches = testing::batches();
    assert_eq!(batches.len(), 1 + 30 * 20);
    let mut places: BTreeMap<_, [f32; 3]> = BTreeMap::new();
    let mut farthest = 0.0f32;
    for op in batches.iter().skip(1).flatten() {
        let Op::Set(id, Component::Transform(transform)) = op else { panic!("{op:?}") };
        let now = transform.translation;
        if let Some(before) = places.insert(*id, now) {
            let step: f32 = now.iter().zip(before).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
            assert!(step < 0.1, "a leap of {step} m");
            farthest = farthest.max(step);
        }
    }
    assert_eq!(places.len(), 6);
    assert!(farthest > 0.01, "they hardly move: {farthest} m");
}
