// SPDX-License-Identifier: AGPL-3.0-or-later
//! The place and the lanterns, built natively: what they cost, and that they move.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_sdk::{
    abi::{
        mesh::Mesh,
        scene::{Component, LightKind, MeshSource, Op, Transform},
    },
    math::{Quat, Vec3, vec3},
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
    assert!((10_000..120_000).contains(&triangles), "{triangles} triangles");
    assert_eq!((shadows, far_lights), (1, 1));
    assert!(near_lights <= 3, "{near_lights} lights");
    let alive = |op: &Op| match op {
        Op::Set(_, Component::Particles(particles)) => particles.alive_most(),
        _ => 0,
    };
    let particles: u32 = ops.iter().map(alive).sum();
    assert!((100..500).contains(&particles), "{particles} particles");
}

/// A mesh of the place: its name, and the corners of its triangles in the space.
struct Piece {
    name: String,
    corners: Vec<Vec3>,
}

/// What the place is built of, where it stands.
fn pieces() -> Vec<Piece> {
    testing::run_for(place::run(), Duration::from_millis(50));
    let lumps: BTreeMap<_, _> = testing::lumps().into_iter().collect();
    let ops: Vec<Op> = testing::batches().concat();
    let (mut names, mut parents, mut poses) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for op in &ops {
        match op {
            Op::SetParent(id, Some(parent)) => drop(parents.insert(*id, *parent)),
            Op::Set(id, Component::Name(name)) => drop(names.insert(*id, name.as_str().to_owned())),
            Op::Set(id, Component::Transform(transform)) => drop(poses.insert(*id, *transform)),
            _ => {}
        }
    }
    let mut pieces = Vec::new();
    for op in &ops {
        let Op::Set(id, Component::Mesh(MeshSource::Lump(lump))) = op else { continue };
        let mesh = Mesh::decode(&lumps[lump]).unwrap();
        let mut corners: Vec<Vec3> =
            mesh.indices.iter().map(|index| mesh.positions[*index as usize].into()).collect();
        let mut at = Some(id);
        while let Some(entity) = at {
            if let Some(Transform { translation, rotation: [x, y, z, w], scale }) = poses.get(entity) {
                let turn = Quat { v: vec3(*x, *y, *z), w: *w };
                let placed = |p: Vec3| {
                    turn.rotate(vec3(p.x * scale[0], p.y * scale[1], p.z * scale[2])) + (*translation).into()
                };
                corners = corners.into_iter().map(placed).collect();
            }
            at = parents.get(entity);
        }
        pieces.push(Piece { name: names.get(id).cloned().unwrap_or_default(), corners });
    }
    pieces
}

#[test]
fn nothing_is_buried_and_what_is_large_comes_in_pieces() {
    for Piece { name, corners } in pieces() {
        if ["tile", "mountains"].contains(&name.as_str()) {
            continue;
        }
        let lowest = corners.iter().map(|p| p.y).fold(f32::MAX, f32::min);
        let highest = corners.iter().map(|p| p.y).fold(f32::MIN, f32::max);
        assert!(lowest > -1.6 && highest > -0.1, "`{name}` is from {lowest} to {highest}");
        // Who asks what is in the way looks through all triangles of what is near.
        assert!(corners.len() / 3 < 11_000, "`{name}` has {} triangles", corners.len() / 3);
    }
}

#[test]
fn the_way_from_the_entrance_to_the_window_is_free() {
    // Where one walks: before the entrance, past the fire, up the step, and over the rug to the seat below the window.
    let free = [
        ("before the entrance", [-2.0, 2.0], [1.6, 7.5]),
        ("beside the fire", [-1.8, -1.35], [-1.2, 1.5]),
        ("between the benches", [-0.9, 0.9], [-3.6, -1.7]),
        ("into the shelter", [-1.2, 0.1], [-6.9, -3.6]),
        ("to the shelves", [1.8, 3.2], [-7.1, -6.6]),
        ("along the other shelves", [2.2, 3.2], [-6.6, -4.0]),
    ];
    for Piece { name, corners } in pieces() {
        if name.starts_with('~') {
            continue;
        }
        for (place, [left, right], [far, near]) in free {
            for triangle in corners.chunks_exact(3) {
                let range = |part: fn(&Vec3) -> f32| {
                    let all = triangle.iter().map(part);
                    (all.clone().fold(f32::MAX, f32::min), all.fold(f32::MIN, f32::max))
                };
                let (x, y, z) = (range(|p| p.x), range(|p| p.y), range(|p| p.z));
                // From the knee to above the head.
                let is_in = x.1 > left && x.0 < right && z.1 > far && z.0 < near && y.1 > 0.3 && y.0 < 1.95;
                assert!(!is_in, "`{name}` stands {place}, at {triangle:?}");
            }
        }
    }
}

#[test]
fn the_fire_flickers_and_keeps_its_place() {
    testing::run_for(place::run(), Duration::from_secs(60));
    let batches = testing::batches();
    // One to build, then one for each beat.
    assert_eq!(batches.len(), 1 + 60_000 / 80);
    let mut levels: BTreeMap<_, Vec<f32>> = BTreeMap::new();
    for op in batches.iter().skip(1).flatten() {
        let Op::Set(id, Component::Light(light)) = op else { panic!("{op:?} in a flicker") };
        levels.entry(*id).or_default().push(light.intensity);
    }
    // The fire, and that in the fireplace.
    assert_eq!(levels.len(), 2);
    for levels in levels.values() {
        assert_eq!(levels.len(), batches.len() - 1);
        let (low, high) =
            levels.iter().fold((f32::MAX, 0.0f32), |(low, high), l| (low.min(*l), high.max(*l)));
        assert!(low > 2000.0 && high < 7500.0 && high - low > 300.0, "{low} to {high} lumens");
    }
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
