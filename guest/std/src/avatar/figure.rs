// SPDX-License-Identifier: AGPL-3.0-or-later
//! The body of who has chosen no other: a small round-headed being in a colour of its own, drawn by a script. It is a model
//! with clips like any other, so that its limbs swing on each peer without a message.
//!
//! As models do it looks along +Z and stands on the ground.

use super::model::glb::{Clip, Paint, Part, Track, glb};
use hearth_sdk::prelude::*;
use std::f32::consts::TAU;

/// Height of its head's top in metres.
pub(super) const HEIGHT: f32 = 1.78;
/// The parts that are turned, in the order of [`Part`]s.
const HIPS: usize = 0;
const TORSO: usize = 1;
const HEAD: usize = 2;
const ARMS: [usize; 2] = [3, 5];
const LEGS: [usize; 2] = [7, 9];
const COUNT: usize = 11;
/// The node that follows the look, and the arm that points.
pub(super) const HEAD_NODE: &str = "head";
pub(super) const ARM_NODE: &str = "arm.R";
/// Where the shoulder of that arm is, and how long the arm is.
pub(super) const SHOULDER: Vec3 = vec3(-0.2, 1.36, 0.0);
pub(super) const ARM: f32 = 0.58;
/// Where its node is in the one above.
pub(super) const ARM_AT: Vec3 = vec3(SHOULDER.x, SHOULDER.y - HIP, SHOULDER.z);
/// Steps of a clip: its lines between them are as good as curves.
const STEPS: usize = 16;
/// How high the hips are.
const HIP: f32 = 0.9;

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Idle,
    Walk,
    Run,
    Jump,
    Fly,
}

/// How its parts are turned, and how the hips are moved.
struct Pose {
    turns: [Quat; COUNT],
    hips: Vec3,
}

/// The colour of a peer; neighbours in number are far apart in hue.
pub(super) fn hue(peer: u32) -> [f32; 3] {
    // The golden ratio: the circle of hues is divided ever more finely, and never twice alike.
    let turn = (peer as f32 * 0.618_034 + 0.912).fract() * 6.0;
    [0.0, 4.0, 2.0].map(|shift: f32| {
        let part = (((turn + shift) % 6.0 - 3.0).abs() - 1.0).clamp(0.0, 1.0);
        (0.16 + 0.72 * part).powi(2)
    })
}

/// The model, in this colour.
pub(super) fn model(color: [f32; 3]) -> Vec<u8> {
    let clips = [
        ("idle", 4.0, Doing::Idle),
        ("walk", 0.94, Doing::Walk),
        ("run", 0.64, Doing::Run),
        ("jump", 0.25, Doing::Jump),
        ("fly", 3.0, Doing::Fly),
    ];
    let clips = clips.map(|(name, secs, doing)| {
        let poses: Vec<Pose> = (0..=STEPS).map(|step| pose(doing, step as f32 / STEPS as f32)).collect();
        let turned = |part: usize| (part, Track::Turns(poses.iter().map(|pose| pose.turns[part]).collect()));
        let mut tracks: Vec<(usize, Track)> = (TORSO..COUNT).map(turned).collect();
        let moved = poses.iter().map(|pose| vec3(0.0, HIP, 0.0) + pose.hips).collect();
        tracks.push((HIPS, Track::Moves(moved)));
        Clip { name, secs, tracks }
    });
    let lamp = scene::times(color, 1.0 / color.iter().fold(0.1, |a: f32, b| a.max(*b)));
    let paints = [
        Paint { roughness: 0.5, glow: [0.0; 3], strength: 1.0 },
        Paint { roughness: 0.5, glow: [1.0, 0.85, 0.62], strength: 2.6 },
        Paint { roughness: 0.5, glow: lamp, strength: 2.4 },
    ];
    glb(&parts(color), &paints, &clips)
}

fn about_x(angle: f32) -> Quat {
    Quat::about(Vec3::X, angle)
}

/// What it looks like a part of the way through a clip.
fn pose(doing: Doing, phase: f32) -> Pose {
    let mut turns = [Quat::IDENTITY; COUNT];
    let mut hips = Vec3::ZERO;
    let wave = |turn: f32| (turn * TAU).sin();
    for (side, outwards) in [(0, 1.0), (1, -1.0)] {
        let [arm, forearm, leg, shin] = [ARMS[side], ARMS[side] + 1, LEGS[side], LEGS[side] + 1];
        let limp = |forward: f32, out: f32| Quat::about(Vec3::Z, outwards * out) * about_x(-forward);
        let own = phase + side as f32 * 0.5;
        // 1 when this leg is ahead; it is lifted while it comes forward.
        let (ahead, lifted) = ((own * TAU).cos(), (-wave(own)).max(0.0));
        match doing {
            Doing::Idle => {
                turns[arm] = limp(0.05 + 0.02 * wave(phase + 0.1), 0.13 + 0.015 * wave(phase));
                turns[forearm] = about_x(-0.2);
            }
            Doing::Walk => {
                turns[leg] = about_x(-(0.06 + 0.5 * ahead));
                turns[shin] = about_x(0.1 + 0.85 * lifted);
                turns[arm] = limp(-0.42 * ahead, 0.11);
                turns[forearm] = about_x(-(0.32 - 0.22 * ahead));
            }
            Doing::Run => {
                turns[leg] = about_x(-(0.22 + 0.66 * ahead));
                turns[shin] = about_x(0.25 + 1.5 * lifted);
                turns[arm] = limp(-0.72 * ahead, 0.16);
                turns[forearm] = about_x(-1.4);
            }
            Doing::Jump => {
                let grown = phase.min(1.0);
                turns[leg] = about_x(-(if side == 0 { 0.85 } else { 0.05 }) * grown);
                turns[shin] = about_x(if side == 0 { 1.1 } else { 0.4 } * grown);
                turns[arm] = limp(0.25 * grown, 0.13 + 0.75 * grown);
                turns[forearm] = about_x(-0.5 * grown);
            }
            Doing::Fly => {
                let sway = 0.06 * wave(phase + 0.2 * side as f32);
                turns[leg] = limp(-0.16 + sway, 0.06);
                turns[shin] = about_x(0.42 + 0.3 * side as f32 - sway);
                turns[arm] = limp(-0.1 + sway, 0.5 + 0.05 * wave(phase));
                turns[forearm] = about_x(-0.25);
            }
        }
    }
    let twist = (phase * TAU).cos();
    match doing {
        Doing::Idle => {
            hips.y = 0.004 * wave(phase);
            turns[TORSO] = about_x(0.014 * wave(phase));
            turns[HEAD] = about_x(-0.02 * wave(phase + 0.08));
        }
        Doing::Walk => {
            hips.y = -0.022 - 0.022 * (2.0 * phase * TAU).cos();
            turns[TORSO] = Quat::about(Vec3::Y, 0.1 * twist) * about_x(0.04);
            turns[HEAD] = Quat::about(Vec3::Y, -0.08 * twist) * about_x(-0.03);
        }
        Doing::Run => {
            hips.y = -0.05 - 0.045 * (2.0 * phase * TAU).cos();
            turns[TORSO] = Quat::about(Vec3::Y, 0.16 * twist) * about_x(0.2);
            turns[HEAD] = Quat::about(Vec3::Y, -0.14 * twist) * about_x(-0.16);
        }
        Doing::Jump => turns[TORSO] = about_x(0.05 * phase),
        Doing::Fly => {
            hips.y = 0.03 * wave(phase);
            turns[TORSO] = about_x(0.08 + 0.015 * wave(phase));
            turns[HEAD] = about_x(-0.07);
        }
    }
    Pose { turns, hips }
}

/// A limb that hangs down from its joint, with a ball at its upper end.
fn limb(length: f32, [upper, lower]: [f32; 2], color: [f32; 3], joint: [f32; 3]) -> Shape {
    let below = lower * 0.8;
    let profile = [
        [0.0, -length - below],
        [below * 0.7, -length - below * 0.7],
        [lower, -length],
        [upper, -upper * 0.3],
        [upper * 0.72, upper * 0.5],
        [0.0, upper * 0.75],
    ];
    let mut limb = Shape::lathe(&profile, 14).colored(color);
    limb.add(Shape::sphere(upper * 1.12, 12).colored(joint));
    limb
}

fn parts(color: [f32; 3]) -> Vec<Part> {
    let pale = color.map(|part| part * 0.4 + 0.42);
    let deep = color.map(|part| part * 0.5);
    let dark = [0.012, 0.012, 0.016];
    let part = |name: &'static str, parent: Option<usize>, at: Vec3, shapes: Vec<(usize, Shape)>| Part {
        name,
        parent,
        at,
        shapes,
    };
    let belt = [[0.0, -0.1], [0.1, -0.09], [0.142, -0.02], [0.15, 0.05], [0.0, 0.06]];
    let hips = Shape::lathe(&belt, 18).scaled(vec3(1.0, 1.0, 0.8)).colored(deep);
    // From the belt to the shoulders, rounder than a person's.
    let trunk = [
        [0.0, 0.0],
        [0.142, 0.02],
        [0.165, 0.14],
        [0.19, 0.32],
        [0.185, 0.42],
        [0.14, 0.49],
        [0.075, 0.52],
        [0.0, 0.525],
    ];
    let mut torso = Shape::lathe(&trunk, 20).scaled(vec3(1.0, 1.0, 0.74)).colored(color);
    let collar = [[0.0, 0.5], [0.095, 0.505], [0.105, 0.525], [0.08, 0.55], [0.0, 0.55]];
    torso.add(Shape::lathe(&collar, 18).colored(pale));
    // A scarf's end, and a satchel's strap, tell front from back at a distance.
    let strap: Vec<(Vec3, f32)> = (0..=12)
        .map(|i| {
            let t = i as f32 / 12.0 * TAU;
            let across = vec3(t.sin() * 0.175, 0.27 + t.sin() * 0.17, t.cos() * 0.135);
            (across, 0.014)
        })
        .collect();
    torso.add(Shape::tube(&strap, 6).colored(pale));
    let lamp = Shape::sphere(0.036, 12).scaled(vec3(1.0, 1.0, 0.5)).moved(vec3(0.07, 0.36, 0.128));

    let mut head = Shape::sphere(0.155, 22).scaled(vec3(1.0, 0.95, 0.98)).moved(vec3(0.0, 0.12, 0.0));
    head = head.colored(color);
    let face = Shape::sphere(0.155, 20).scaled(vec3(0.82, 0.58, 0.5)).moved(vec3(0.0, 0.115, 0.083));
    head.add(face.colored(dark));
    let neck = Shape::cone(0.055, 0.06, 0.1, 12).moved(vec3(0.0, -0.01, 0.0));
    head.add(neck.colored(deep));
    for side in [-1.0, 1.0] {
        let ear = Shape::cone(0.036, 0.028, 0.03, 14).turned(Quat::about(Vec3::Z, -side * TAU / 4.0));
        head.add(ear.moved(vec3(side * 0.157, 0.12, 0.0)).colored(pale));
    }
    let antenna = [(vec3(0.0, 0.25, -0.015), 0.009), (vec3(0.0, 0.31, -0.025), 0.006)];
    head.add(Shape::tube(&antenna, 7).colored(pale));
    head.add(Shape::sphere(0.019, 10).moved(vec3(0.0, 0.32, -0.027)).colored(pale));
    let mut eyes = Shape::new();
    for side in [-1.0, 1.0] {
        let eye = Shape::sphere(0.02, 10).scaled(vec3(0.8, 1.3, 0.5));
        eyes.add(eye.moved(vec3(side * 0.05, 0.125, 0.155)));
    }

    let mut all = vec![
        part("hips", None, vec3(0.0, HIP, 0.0), vec![(0, hips)]),
        part("torso", Some(HIPS), Vec3::ZERO, vec![(0, torso), (2, lamp)]),
        part(HEAD_NODE, Some(TORSO), vec3(0.0, 0.57, 0.0), vec![(0, head), (1, eyes)]),
    ];
    for (name, lower, side) in [("arm.L", "forearm.L", 1.0), (ARM_NODE, "forearm.R", -1.0)] {
        let upper = limb(0.27, [0.058, 0.045], color, pale);
        let mut fore = limb(0.24, [0.045, 0.038], deep, pale);
        fore.add(
            Shape::sphere(0.056, 12).scaled(vec3(0.8, 1.15, 1.0)).moved(vec3(0.0, -0.3, 0.0)).colored(pale),
        );
        let thumb = Shape::capsule(0.017, 0.035, 8).turned(about_x(-0.6));
        fore.add(thumb.moved(vec3(-side * 0.02, -0.285, 0.052)).colored(pale));
        let arm = all.len();
        all.push(part(name, Some(TORSO), vec3(-side * ARM_AT.x, ARM_AT.y, ARM_AT.z), vec![(0, upper)]));
        all.push(part(lower, Some(arm), vec3(0.0, -0.28, 0.0), vec![(0, fore)]));
    }
    for (name, lower, side) in [("leg.L", "shin.L", 1.0), ("leg.R", "shin.R", -1.0)] {
        let thigh = limb(0.4, [0.084, 0.06], deep, deep);
        let mut shin = limb(0.34, [0.06, 0.05], color, pale);
        let boot = Shape::capsule(0.058, 0.12, 12).turned(about_x(TAU / 4.0)).scaled(vec3(1.0, 0.85, 1.0));
        shin.add(boot.moved(vec3(0.0, -0.4, 0.05)).colored(pale));
        let sole = Shape::capsule(0.062, 0.125, 12).turned(about_x(TAU / 4.0)).scaled(vec3(1.0, 0.35, 1.0));
        shin.add(sole.moved(vec3(0.0, -0.434, 0.05)).colored(dark.map(|part| part * 4.0)));
        let leg = all.len();
        all.push(part(name, Some(HIPS), vec3(side * 0.09, -0.03, 0.0), vec![(0, thigh)]));
        all.push(part(lower, Some(leg), vec3(0.0, -0.41, 0.0), vec![(0, shin)]));
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// Where a part's own origin and a point of it are in a pose.
    fn placed(parts: &[Part], pose: &Pose, part: usize, point: Vec3) -> Vec3 {
        let mut at = point;
        let mut next = Some(part);
        while let Some(index) = next {
            let moved = if index == HIPS { pose.hips } else { Vec3::ZERO };
            at = pose.turns[index].rotate(at) + parts[index].at + moved;
            next = parts[index].parent;
        }
        at
    }

    #[test]
    fn it_stands_on_the_ground_and_is_as_high_as_it_says() {
        let parts = parts(hue(1));
        assert_eq!(parts.len(), COUNT);
        let rest = Pose { turns: [Quat::IDENTITY; COUNT], hips: Vec3::ZERO };
        let (mut low, mut high, mut triangles) = (f32::MAX, f32::MIN, 0);
        for (index, part) in parts.iter().enumerate() {
            for (_, shape) in &part.shapes {
                triangles += shape.triangles();
                for place in &shape.mesh().positions {
                    let y = placed(&parts, &rest, index, (*place).into()).y;
                    (low, high) = (low.min(y), high.max(y));
                }
            }
        }
        assert!(low.abs() < 0.015, "its soles are at {low}");
        assert!((high - HEIGHT).abs() < 0.05, "its top is at {high}");
        assert!(triangles < 9000, "{triangles} triangles");
        let shoulder = placed(&parts, &rest, ARMS[1], Vec3::ZERO);
        assert!((shoulder - SHOULDER).length() < 1e-5, "{shoulder:?}");
    }

    #[test]
    fn its_feet_go_forward_above_the_ground_and_back_on_it() {
        let parts = parts(hue(1));
        for doing in [Doing::Walk, Doing::Run] {
            for leg in LEGS {
                let foot = |step: usize| {
                    placed(&parts, &pose(doing, step as f32 / 64.0), leg + 1, vec3(0.0, -0.45, 0.0))
                };
                let (mut low, mut up, mut down) = (f32::MAX, 0.0, 0.0);
                for step in 0..64 {
                    let (a, b) = (foot(step), foot(step + 1));
                    low = f32::min(low, a.y);
                    *(if b.z > a.z { &mut up } else { &mut down }) += a.y;
                }
                assert!(up > down, "{doing:?}: it lifts its feet while they come forward: {up} {down}");
                assert!((-0.05..0.06).contains(&low), "{doing:?}: the lowest is {low}");
            }
        }
    }

    #[test]
    fn clips_that_repeat_end_as_they_begin() {
        for doing in [Doing::Idle, Doing::Walk, Doing::Run, Doing::Fly] {
            let (first, last) = (pose(doing, 0.0), pose(doing, 1.0));
            for (one, other) in first.turns.iter().zip(&last.turns) {
                assert!((one.v - other.v).length() < 1e-4, "{doing:?}");
            }
            assert!((first.hips - last.hips).length() < 1e-4);
        }
    }
}
