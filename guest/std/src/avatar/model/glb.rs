// SPDX-License-Identifier: AGPL-3.0-or-later
//! Writes a glTF 2.0 file in its binary form: jointed parts with painted shapes, and clips that turn and move them.

use crate::glb::packed;
use hearth_sdk::prelude::*;
use serde_json::{Value, json};

/// A part that is turned about its origin.
pub(in crate::avatar) struct Part {
    pub(in crate::avatar) name: &'static str,
    /// The part that it hangs under, one before it.
    pub(in crate::avatar) parent: Option<usize>,
    /// Where its origin is in that.
    pub(in crate::avatar) at: Vec3,
    /// Shapes, each with the number of a paint.
    pub(in crate::avatar) shapes: Vec<(usize, Shape)>,
}

/// A surface that has the colours of its shape.
pub(in crate::avatar) struct Paint {
    pub(in crate::avatar) roughness: f32,
    /// Light that it gives off: a colour of parts up to 1, and how strong it is.
    pub(in crate::avatar) glow: [f32; 3],
    pub(in crate::avatar) strength: f32,
}

/// How a part goes through a clip, in even steps.
pub(in crate::avatar) enum Track {
    Turns(Vec<Quat>),
    Moves(Vec<Vec3>),
}

/// Something that it does.
pub(in crate::avatar) struct Clip {
    pub(in crate::avatar) name: &'static str,
    pub(in crate::avatar) secs: f32,
    pub(in crate::avatar) tracks: Vec<(usize, Track)>,
}

const FLOAT: u32 = 5126;
const BYTE: u32 = 5121;
const INT: u32 = 5125;

/// The buffer under construction, and what describes it.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    views: Vec<Value>,
    accessors: Vec<Value>,
}

impl Buffer {
    /// Adds numbers, and gives the index of their accessor.
    fn add(&mut self, bytes: &[u8], component: u32, kind: &str, count: usize, more: Value) -> usize {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.views.push(json!({ "buffer": 0, "byteOffset": offset, "byteLength": bytes.len() }));
        let view = self.views.len() - 1;
        let mut accessor =
            json!({ "bufferView": view, "componentType": component, "count": count, "type": kind });
        if let (Value::Object(accessor), Value::Object(more)) = (&mut accessor, more) {
            accessor.extend(more);
        }
        self.accessors.push(accessor);
        self.accessors.len() - 1
    }

    fn floats<const N: usize>(&mut self, rows: &[[f32; N]], kind: &str, bounded: bool) -> usize {
        let bytes: Vec<u8> = rows.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
        let bound = |pick: fn(f32, f32) -> f32| -> Vec<f32> {
            (0..N).map(|axis| rows.iter().map(|row| row[axis]).reduce(pick).unwrap_or(0.0)).collect()
        };
        let more =
            if bounded { json!({ "min": bound(f32::min), "max": bound(f32::max) }) } else { json!({}) };
        self.add(&bytes, FLOAT, kind, rows.len(), more)
    }

    fn primitive(&mut self, paint: usize, shape: &Shape) -> Value {
        let mesh = shape.mesh();
        let places = self.floats(&mesh.positions, "VEC3", true);
        let normals = self.floats(&mesh.normals, "VEC3", false);
        let colors: Vec<u8> = mesh.colors.iter().flatten().copied().collect();
        let colors = self.add(&colors, BYTE, "VEC4", mesh.colors.len(), json!({ "normalized": true }));
        let indices: Vec<u8> = mesh.indices.iter().flat_map(|index| index.to_le_bytes()).collect();
        let indices = self.add(&indices, INT, "SCALAR", mesh.indices.len(), json!({}));
        json!({
            "attributes": { "POSITION": places, "NORMAL": normals, "COLOR_0": colors },
            "indices": indices,
            "material": paint,
        })
    }

    fn animation(&mut self, clip: &Clip) -> Value {
        let (mut samplers, mut channels) = (Vec::new(), Vec::new());
        let steps = clip.tracks.first().map_or(1, |(_, track)| track.len());
        let last = steps.saturating_sub(1).max(1) as f32;
        let times: Vec<[f32; 1]> = (0..steps).map(|step| [step as f32 / last * clip.secs]).collect();
        let times = self.floats(&times, "SCALAR", true);
        for (part, track) in &clip.tracks {
            let (output, path) = match track {
                Track::Turns(turns) => {
                    let rows: Vec<[f32; 4]> = turns.iter().map(|turn| turn.array()).collect();
                    (self.floats(&rows, "VEC4", false), "rotation")
                }
                Track::Moves(moves) => {
                    let rows: Vec<[f32; 3]> = moves.iter().map(|place| place.array()).collect();
                    (self.floats(&rows, "VEC3", false), "translation")
                }
            };
            channels.push(json!({ "sampler": samplers.len(), "target": { "node": part, "path": path } }));
            samplers.push(json!({ "input": times, "output": output }));
        }
        json!({ "name": clip.name, "samplers": samplers, "channels": channels })
    }
}

impl Track {
    fn len(&self) -> usize {
        match self {
            Track::Turns(turns) => turns.len(),
            Track::Moves(moves) => moves.len(),
        }
    }
}

/// The file.
pub(in crate::avatar) fn glb(parts: &[Part], paints: &[Paint], clips: &[Clip]) -> Vec<u8> {
    let mut buffer = Buffer::default();
    let meshes: Vec<Value> = parts
        .iter()
        .map(|part| {
            let shapes = part.shapes.iter().map(|(paint, shape)| buffer.primitive(*paint, shape));
            json!({ "name": part.name, "primitives": shapes.collect::<Vec<_>>() })
        })
        .collect();
    let nodes: Vec<Value> = parts
        .iter()
        .enumerate()
        .map(|(index, part)| {
            let below = parts.iter().enumerate().filter(|(_, other)| other.parent == Some(index));
            let below: Vec<usize> = below.map(|(other, _)| other).collect();
            let mut node = json!({ "name": part.name, "mesh": index, "translation": part.at.array() });
            if !below.is_empty() {
                node["children"] = json!(below);
            }
            node
        })
        .collect();
    let roots = parts.iter().enumerate().filter(|(_, part)| part.parent.is_none());
    let roots: Vec<usize> = roots.map(|(index, _)| index).collect();
    let materials: Vec<Value> = paints
        .iter()
        .map(|paint| {
            json!({
                "pbrMetallicRoughness": { "metallicFactor": 0.0, "roughnessFactor": paint.roughness },
                "emissiveFactor": paint.glow,
                "extensions": { "KHR_materials_emissive_strength": { "emissiveStrength": paint.strength } },
            })
        })
        .collect();
    let animations: Vec<Value> = clips.iter().map(|clip| buffer.animation(clip)).collect();
    let file = json!({
        "asset": { "version": "2.0" },
        "extensionsUsed": ["KHR_materials_emissive_strength"],
        "scene": 0,
        "scenes": [{ "nodes": roots }],
        "nodes": nodes,
        "meshes": meshes,
        "materials": materials,
        "animations": animations,
        "buffers": [{ "byteLength": buffer.bytes.len() }],
        "bufferViews": buffer.views,
        "accessors": buffer.accessors,
    });
    packed(&file.to_string(), &buffer.bytes)
}
