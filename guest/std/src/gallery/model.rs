// SPDX-License-Identifier: AGPL-3.0-or-later
//! Writes three glTF 2.0 files: a reed with a skin and a clip, another clip for it alone, and a ball with morph targets.

use crate::glb::packed;
use hearth_sdk::prelude::*;
use serde_json::{Value, json};
use std::f32::consts::TAU;

const FLOAT: u32 = 5126;
const BYTE: u32 = 5121;
const INT: u32 = 5125;
/// Joints of the reed, and how far they are from each other.
pub(super) const JOINTS: usize = 5;
pub(super) const JOINT_STEP: f32 = 0.26;
/// Steps of a clip, and its seconds.
const STEPS: usize = 24;
pub(super) const CLIP_SECS: f32 = 3.0;

/// The buffer under construction, and what describes it.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    views: Vec<Value>,
    accessors: Vec<Value>,
}

impl Buffer {
    /// Adds numbers, and gives the index of their accessor.
    fn add(&mut self, bytes: &[u8], component: u32, kind: &str, count: usize) -> usize {
        self.views.push(json!({ "buffer": 0, "byteOffset": self.bytes.len(), "byteLength": bytes.len() }));
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        let view = self.views.len() - 1;
        self.accessors
            .push(json!({ "bufferView": view, "componentType": component, "count": count, "type": kind }));
        self.accessors.len() - 1
    }

    fn floats<const N: usize>(&mut self, rows: &[[f32; N]], kind: &str) -> usize {
        let bytes: Vec<u8> = rows.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
        let index = self.add(&bytes, FLOAT, kind, rows.len());
        let bound = |pick: fn(f32, f32) -> f32| -> Vec<f32> {
            (0..N).map(|axis| rows.iter().map(|row| row[axis]).reduce(pick).unwrap_or(0.0)).collect()
        };
        // Wanted of places and times, allowed for all.
        self.accessors[index]["min"] = json!(bound(f32::min));
        self.accessors[index]["max"] = json!(bound(f32::max));
        index
    }

    fn indices(&mut self, indices: &[u32]) -> usize {
        let bytes: Vec<u8> = indices.iter().flat_map(|index| index.to_le_bytes()).collect();
        self.add(&bytes, INT, "SCALAR", indices.len())
    }

    fn times(&mut self) -> usize {
        let times: Vec<[f32; 1]> = (0..=STEPS).map(|step| [turn(step) / TAU * CLIP_SECS]).collect();
        self.floats(&times, "SCALAR")
    }

    fn file(self, mut file: Value) -> Vec<u8> {
        file["asset"] = json!({ "version": "2.0" });
        file["scene"] = json!(0);
        file["buffers"] = json!([{ "byteLength": self.bytes.len() }]);
        file["bufferViews"] = json!(self.views);
        file["accessors"] = json!(self.accessors);
        packed(&file.to_string(), &self.bytes)
    }
}

/// How far a step is through a clip, as an angle.
fn turn(step: usize) -> f32 {
    step as f32 / STEPS as f32 * TAU
}

/// A stalk of one mesh that bends at joints `joint 0` to `joint 4`, and the clip `sway`, to the sides.
pub(super) fn reed() -> Vec<u8> {
    let mut buffer = Buffer::default();
    let height = JOINT_STEP * JOINTS as f32;
    let mut profile = vec![[0.0, 0.0]];
    profile.extend((0..=30).map(|ring| {
        let part = ring as f32 / 30.0;
        [0.1 - 0.06 * part + 0.012 * (part * 40.0).sin(), part * height]
    }));
    profile.push([0.0, height]);
    let shape = Shape::lathe(&profile, 16).painted(|place, _| {
        let part = place.y / height;
        [0.12 + 0.75 * part * part, 0.42 + 0.2 * part, 0.16]
    });
    let mesh = shape.mesh();
    // Between two joints a place belongs to both, as far as it is from each.
    let (mut joints, mut weights) = (Vec::new(), Vec::new());
    for place in &mesh.positions {
        let along = (place[1] / JOINT_STEP - 0.5).clamp(0.0, JOINTS as f32 - 1.0);
        let lower = (along as usize).min(JOINTS - 2);
        joints.extend([lower as u8, lower as u8 + 1, 0, 0]);
        let upper = along - lower as f32;
        weights.push([1.0 - upper, upper, 0.0, 0.0]);
    }
    let count = mesh.positions.len();
    let colors: Vec<u8> = mesh.colors.iter().flatten().copied().collect();
    let position = buffer.floats(&mesh.positions, "VEC3");
    let normal = buffer.floats(&mesh.normals, "VEC3");
    let color = buffer.add(&colors, BYTE, "VEC4", count);
    buffer.accessors[color]["normalized"] = json!(true);
    let joint = buffer.add(&joints, BYTE, "VEC4", count);
    let weight = buffer.floats(&weights, "VEC4");
    let indices = buffer.indices(&mesh.indices);
    let inverse: Vec<[f32; 16]> = (0..JOINTS)
        .map(|index| {
            let mut matrix = [0.0; 16];
            [0, 5, 10, 15].iter().for_each(|at| matrix[*at] = 1.0);
            matrix[13] = -JOINT_STEP * index as f32;
            matrix
        })
        .collect();
    let inverse = buffer.floats(&inverse, "MAT4");
    let sway = clip(&mut buffer, "sway", |joint, angle| {
        Quat::about(Vec3::Z, 0.26 * (angle - joint as f32 * 0.8).sin())
    });
    let mut nodes = stalk();
    nodes.push(json!({ "name": "stalk", "mesh": 0, "skin": 0 }));
    let attributes = json!({
        "POSITION": position, "NORMAL": normal, "COLOR_0": color, "JOINTS_0": joint, "WEIGHTS_0": weight,
    });
    buffer.file(json!({
        "scenes": [{ "nodes": [0, JOINTS] }],
        "nodes": nodes,
        "skins": [{ "joints": (0..JOINTS).collect::<Vec<_>>(), "inverseBindMatrices": inverse }],
        "meshes": [{ "primitives": [{ "attributes": attributes, "indices": indices, "material": 0 }] }],
        "materials": [{ "pbrMetallicRoughness": { "metallicFactor": 0.0, "roughnessFactor": 0.6 } }],
        "animations": [sway],
    }))
}

/// The joints, one on the other.
fn stalk() -> Vec<Value> {
    let nodes = (0..JOINTS).map(|index| {
        let step = if index == 0 { 0.0 } else { JOINT_STEP };
        let mut node = json!({ "name": format!("joint {index}"), "translation": [0.0, step, 0.0] });
        if index + 1 < JOINTS {
            node["children"] = json!([index + 1]);
        }
        node
    });
    nodes.collect()
}

/// The clip `bow`, forward, for whatever has joints of these names.
pub(super) fn bow() -> Vec<u8> {
    let mut buffer = Buffer::default();
    let bow = clip(&mut buffer, "bow", |joint, angle| {
        let deep = 0.5 - 0.5 * angle.cos();
        Quat::about(Vec3::X, deep * if joint == 0 { 0.1 } else { 0.42 })
    });
    buffer.file(json!({ "scenes": [{ "nodes": [0] }], "nodes": stalk(), "animations": [bow] }))
}

/// A clip that turns each joint.
fn clip(buffer: &mut Buffer, name: &str, turned: impl Fn(usize, f32) -> Quat) -> Value {
    let times = buffer.times();
    let (mut samplers, mut channels) = (Vec::new(), Vec::new());
    for joint in 0..JOINTS {
        let rows: Vec<[f32; 4]> = (0..=STEPS).map(|step| turned(joint, turn(step)).array()).collect();
        let output = buffer.floats(&rows, "VEC4");
        samplers.push(json!({ "input": times, "output": output }));
        channels.push(json!({ "sampler": joint, "target": { "node": joint, "path": "rotation" } }));
    }
    json!({ "name": name, "samplers": samplers, "channels": channels })
}

/// A ball with targets that make it a star and a loaf; the clip `change` goes to one, and then to the other.
pub(super) fn ball() -> Vec<u8> {
    let mut buffer = Buffer::default();
    let shape = Shape::sphere(0.3, 48).colored(srgb(0xd9865a));
    let mesh = shape.mesh();
    let spikes = |place: Vec3| {
        let along = place.unit().unwrap_or(Vec3::Y).array().map(|part| part.abs().powi(6));
        place * (0.75 * along.iter().sum::<f32>() - 0.2)
    };
    let loaf = |place: Vec3| vec3(place.x * 0.35, place.y * -0.55, place.z * 0.35);
    let position = buffer.floats(&mesh.positions, "VEC3");
    let normal = buffer.floats(&mesh.normals, "VEC3");
    let mut target = |by: &dyn Fn(Vec3) -> Vec3| {
        let rows: Vec<[f32; 3]> = mesh.positions.iter().map(|place| by((*place).into()).array()).collect();
        json!({ "POSITION": buffer.floats(&rows, "VEC3") })
    };
    let targets = [target(&spikes), target(&loaf)];
    let indices = buffer.indices(&mesh.indices);
    let weights: Vec<[f32; 1]> = (0..=STEPS)
        .flat_map(|step| {
            let wave = turn(step).sin();
            [[wave.max(0.0)], [(-wave).max(0.0)]]
        })
        .collect();
    let times = buffer.times();
    let output = buffer.floats(&weights, "SCALAR");
    let primitive = json!({
        "attributes": { "POSITION": position, "NORMAL": normal },
        "targets": targets, "indices": indices, "material": 0,
    });
    buffer.file(json!({
        "scenes": [{ "nodes": [0] }],
        "nodes": [{ "name": "ball", "mesh": 0 }],
        "meshes": [{ "primitives": [primitive], "weights": [0.0, 0.0] }],
        "materials": [{ "pbrMetallicRoughness": {
            "baseColorFactor": [0.8, 0.3, 0.12, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.45,
        } }],
        "animations": [{
            "name": "change",
            "samplers": [{ "input": times, "output": output }],
            "channels": [{ "sampler": 0, "target": { "node": 0, "path": "weights" } }],
        }],
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_chunks_are_as_long_as_they_say() {
        for file in [reed(), bow(), ball()] {
            let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
            assert_eq!(number(8), file.len());
            let text = number(12);
            let json: Value = serde_json::from_slice(&file[20..20 + text]).unwrap();
            assert_eq!(number(20 + text), file.len() - 28 - text);
            assert_eq!(json["buffers"][0]["byteLength"], file.len() - 28 - text);
            assert!(json["accessors"].as_array().unwrap().len() > 5);
        }
    }
}
