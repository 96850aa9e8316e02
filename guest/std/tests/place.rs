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
use hearth_std::{mover, place};
use std::{collections::BTreeMap, time::Duration};

#[test]
fn the_place_is_cheap_enough_for_a_software_renderer() {
    testing::run_for(place::run(), Duration::from_millis(500));
    testing::run_for(mover::run(), Duration::from_millis(500));
    let meshes: BTreeMap<_, _> =
        testing::lumps().into_iter().map(|(id, bytes)| (id, Mesh::decode(&bytes).unwrap())).collect();
    let ops: Vec<Op> = testing::batches().concat();
    let entities = ops.iter().filter(|op| matches!(op, Op::Create(..))).count();
    let (mut triangles, mut shadows, mut near_lights, mut far_lights) = (0, 0, 0, 0);
    let mut lit = Vec::new();
    for op in &ops {
        match op {
            Op::Set(_, Component::Mesh(MeshSource::Lump(id))) => triangles += meshes[id].indices.len() / 3,
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
