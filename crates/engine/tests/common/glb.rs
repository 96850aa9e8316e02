// SPDX-License-Identifier: AGPL-3.0-or-later
//! Makes glTF files for tests: the JSON as its author would write it, and a buffer that grows with what is put in.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test program uses a part, and none is public"
)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

pub struct Glb {
    pub json: Value,
    pub binary: Vec<u8>,
}

impl Glb {
    /// A file with one scene, whose roots [`Glb::root`] adds.
    pub fn new() -> Glb {
        let json = json!({ "asset": { "version": "2.0" }, "scene": 0, "scenes": [{ "nodes": [] }] });
        Glb { json, binary: Vec::new() }
    }

    /// Adds to one of the lists, and gives the index.
    pub fn push(&mut self, list: &str, value: Value) -> usize {
        let lists = self.json.as_object_mut().unwrap();
        let list = lists.entry(list).or_insert_with(|| json!([])).as_array_mut().unwrap();
        list.push(value);
        list.len() - 1
    }

    /// Adds a node that is a root of the scene.
    pub fn root(&mut self, node: Value) -> usize {
        let index = self.push("nodes", node);
        self.json["scenes"][0]["nodes"].as_array_mut().unwrap().push(json!(index));
        index
    }

    pub fn view(&mut self, bytes: &[u8]) -> usize {
        self.binary.resize(self.binary.len().next_multiple_of(4), 0);
        let view = json!({ "buffer": 0, "byteOffset": self.binary.len(), "byteLength": bytes.len() });
        self.binary.extend_from_slice(bytes);
        self.push("bufferViews", view)
    }

    pub fn floats(&mut self, kind: &str, values: &[f32]) -> usize {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let view = self.view(&bytes);
        let count = values.len() / width(kind);
        self.push(
            "accessors",
            json!({ "bufferView": view, "componentType": 5126, "count": count, "type": kind }),
        )
    }

    pub fn shorts(&mut self, kind: &str, values: &[u16]) -> usize {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let view = self.view(&bytes);
        let count = values.len() / width(kind);
        self.push(
            "accessors",
            json!({ "bufferView": view, "componentType": 5123, "count": count, "type": kind }),
        )
    }

    /// A texture of these bytes of a picture file.
    pub fn texture(&mut self, picture: &[u8], sampler: Value) -> usize {
        let view = self.view(picture);
        let image = self.push("images", json!({ "bufferView": view }));
        let sampler = self.push("samplers", sampler);
        self.push("textures", json!({ "source": image, "sampler": sampler }))
    }

    /// A box about the origin, as the attributes and indices of a primitive. Each face has the whole texture.
    pub fn cuboid(&mut self, [x, y, z]: [f32; 3]) -> Value {
        let (mut positions, mut normals, mut uvs, mut indices) = (vec![], vec![], vec![], vec![]);
        for (axis, sign) in (0..3).flat_map(|axis| [(axis, 1.0f32), (axis, -1.0)]) {
            let first = (positions.len() / 3) as u16;
            for (u, v) in [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0f32)] {
                let mut corner = [0.0; 3];
                corner[axis] = sign * 0.5;
                corner[(axis + 1) % 3] = u * 0.5 * sign;
                corner[(axis + 2) % 3] = v * 0.5;
                positions.extend([corner[0] * x, corner[1] * y, corner[2] * z]);
                let mut normal = [0.0; 3];
                normal[axis] = sign;
                normals.extend(normal);
                uvs.extend([u * 0.5 + 0.5, 0.5 - v * 0.5]);
            }
            indices.extend([0, 1, 2, 0, 2, 3].map(|i| first + i));
        }
        let (positions, normals) = (self.floats("VEC3", &positions), self.floats("VEC3", &normals));
        let (uvs, indices) = (self.floats("VEC2", &uvs), self.shorts("SCALAR", &indices));
        json!({ "attributes": { "POSITION": positions, "NORMAL": normals, "TEXCOORD_0": uvs }, "indices": indices })
    }

    /// A box with this material as a mesh.
    pub fn cuboid_mesh(&mut self, size: [f32; 3], material: Value) -> usize {
        let mut primitive = self.cuboid(size);
        primitive["material"] = json!(self.push("materials", material));
        self.push("meshes", json!({ "primitives": [primitive] }))
    }

    fn finished(&self) -> Value {
        let mut json = self.json.clone();
        if !self.binary.is_empty() {
            json["buffers"] = json!([{ "byteLength": self.binary.len() }]);
        }
        json
    }

    /// The binary file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut json = self.finished().to_string().into_bytes();
        json.resize(json.len().next_multiple_of(4), b' ');
        let mut binary = self.binary.clone();
        binary.resize(binary.len().next_multiple_of(4), 0);
        let mut out = b"glTF".to_vec();
        let total = 12 + 8 + json.len() + 8 + binary.len();
        for word in [2, total as u32, json.len() as u32, 0x4E4F_534A] {
            out.extend(word.to_le_bytes());
        }
        out.extend(json);
        out.extend((binary.len() as u32).to_le_bytes());
        out.extend(0x004E_4942u32.to_le_bytes());
        out.extend(binary);
        out
    }

    /// The file as text, its buffer in a data URI.
    pub fn text(&self) -> Vec<u8> {
        let mut json = self.finished();
        if let Some(buffers) = json.get_mut("buffers") {
            buffers[0]["uri"] =
                json!(format!("data:application/octet-stream;base64,{}", base64(&self.binary)));
        }
        json.to_string().into_bytes()
    }

    /// The file as text whose buffer is somewhere else, and the bytes of the buffer.
    pub fn parted(&self, uri: &str) -> (Vec<u8>, Vec<u8>) {
        let mut json = self.finished();
        json["buffers"][0]["uri"] = json!(uri);
        (json.to_string().into_bytes(), self.binary.clone())
    }
}

fn width(kind: &str) -> usize {
    match kind {
        "SCALAR" => 1,
        "VEC2" => 2,
        "VEC3" => 3,
        "VEC4" => 4,
        "MAT4" => 16,
        other => panic!("{other}"),
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, i| word << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i)) as usize & 63] as char;
            out.push(if i <= chunk.len() { digit } else { '=' });
        }
    }
    out
}

/// A bar along +y of one metre in five parts, that bends with three joints, `low`, `mid` and `top`, and the clips
/// `bend` (2 s: to the right and back), `other` (1 s: to the front) and `spin` (of the top alone).
pub fn waving_bar() -> Glb {
    let mut glb = Glb::new();
    let (mut positions, mut normals, mut joints, mut weights) = (vec![], vec![], vec![], vec![]);
    let mut indices = Vec::<u16>::new();
    const PARTS: u16 = 10;
    for side in 0..4u16 {
        let angle = f32::from(side) * std::f32::consts::FRAC_PI_2;
        let (out, along) = ([angle.cos(), angle.sin()], [-angle.sin(), angle.cos()]);
        for ring in 0..=PARTS {
            let height = f32::from(ring) / f32::from(PARTS);
            for edge in [-0.1, 0.1f32] {
                positions.extend([out[0] * 0.1 + along[0] * edge, height, out[1] * 0.1 + along[1] * edge]);
                normals.extend([out[0], 0.0, out[1]]);
                // Joints at 0, ⅓ and ⅔ of the height.
                let (place, first) =
                    ((height * 3.0 - 0.5).clamp(0.0, 2.0), (height * 3.0 - 0.5).clamp(0.0, 1.0) as u16);
                joints.extend([first, first + 1, 0, 0]);
                let part = (place - f32::from(first)).clamp(0.0, 1.0);
                weights.extend([1.0 - part, part, 0.0, 0.0]);
            }
        }
        let base = side * (PARTS + 1) * 2;
        for ring in 0..PARTS {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| base + ring * 2 + i);
            indices.extend([a, c, b, b, c, d]);
        }
    }
    let attributes = json!({
        "POSITION": glb.floats("VEC3", &positions), "NORMAL": glb.floats("VEC3", &normals),
        "JOINTS_0": glb.shorts("VEC4", &joints), "WEIGHTS_0": glb.floats("VEC4", &weights),
    });
    let indices = glb.shorts("SCALAR", &indices);
    let material = json!({ "pbrMetallicRoughness":
        { "baseColorFactor": [0.8, 0.3, 0.05, 1.0], "metallicFactor": 0, "roughnessFactor": 0.6 } });
    let material = glb.push("materials", material);
    let mesh = glb.push(
        "meshes",
        json!({ "primitives": [{ "attributes": attributes, "indices": indices, "material": material }] }),
    );
    let third = 1.0 / 3.0;
    let inverse = |height: f32| {
        let mut matrix = [0.0; 16];
        [0, 5, 10, 15].iter().for_each(|i| matrix[*i] = 1.0f32);
        matrix[13] = -height;
        matrix
    };
    let matrices = [inverse(0.0), inverse(third), inverse(2.0 * third)].concat();
    let matrices = glb.floats("MAT4", &matrices);
    let top = glb.push("nodes", json!({ "name": "top", "translation": [0, third, 0] }));
    let mid = glb.push("nodes", json!({ "name": "mid", "translation": [0, third, 0], "children": [top] }));
    let low = glb.root(json!({ "name": "low", "children": [mid] }));
    let skin = glb.push("skins", json!({ "joints": [low, mid, top], "inverseBindMatrices": matrices }));
    glb.root(json!({ "name": "bar", "mesh": mesh, "skin": skin }));

    let turn = |axis: [f32; 3], angle: f32| {
        let (sin, cos) = (angle / 2.0).sin_cos();
        [axis[0] * sin, axis[1] * sin, axis[2] * sin, cos]
    };
    let mut clip = |name: &str, times: &[f32], axis: [f32; 3], angles: &[f32], nodes: &[usize]| {
        let input = glb.floats("SCALAR", times);
        let output: Vec<f32> = angles.iter().flat_map(|angle| turn(axis, *angle)).collect();
        let output = glb.floats("VEC4", &output);
        let channels: Vec<Value> = nodes
            .iter()
            .map(|node| json!({ "sampler": 0, "target": { "node": node, "path": "rotation" } }))
            .collect();
        let samplers = json!([{ "input": input, "output": output }]);
        glb.push("animations", json!({ "name": name, "channels": channels, "samplers": samplers }));
    };
    clip("bend", &[0.0, 1.0, 2.0], [0.0, 0.0, 1.0], &[0.0, -0.7, 0.0], &[mid, top]);
    clip("other", &[0.0, 1.0], [0.0, 0.0, 1.0], &[0.7, 0.7], &[mid, top]);
    clip("spin", &[0.0, 4.0], [0.0, 1.0, 0.0], &[0.0, 1.5], &[top]);
    glb
}

/// A box that grows a roof in its first morph target and leans in its second, with the clip `grow`.
pub fn morphing_box() -> Glb {
    let mut glb = Glb::new();
    let mut primitive = glb.cuboid([1.0, 1.0, 1.0]);
    let accessor = primitive["attributes"]["POSITION"].as_u64().unwrap() as usize;
    let view = glb.json["accessors"][accessor]["bufferView"].as_u64().unwrap() as usize;
    let at = glb.json["bufferViews"][view]["byteOffset"].as_u64().unwrap() as usize;
    let positions: Vec<f32> = glb.binary[at..at + 24 * 12]
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let moved =
        |moves: fn(&[f32]) -> [f32; 3]| positions.chunks_exact(3).flat_map(moves).collect::<Vec<f32>>();
    let roof = moved(|p| if p[1] > 0.0 { [-p[0], 0.5, -p[2]] } else { [0.0; 3] });
    let lean = moved(|p| if p[1] > 0.0 { [0.8, 0.0, 0.0] } else { [0.0; 3] });
    let targets = [glb.floats("VEC3", &roof), glb.floats("VEC3", &lean)];
    primitive["targets"] = json!(targets.map(|target| json!({ "POSITION": target })));
    // Without normals, so that the faces are flat in each shape.
    primitive["attributes"].as_object_mut().unwrap().remove("NORMAL");
    let material = json!({ "pbrMetallicRoughness":
        { "baseColorFactor": [0.2, 0.5, 0.8, 1.0], "metallicFactor": 0, "roughnessFactor": 0.8 } });
    primitive["material"] = json!(glb.push("materials", material));
    let mesh = glb.push("meshes", json!({ "primitives": [primitive] }));
    let node = glb.root(json!({ "name": "house", "mesh": mesh, "translation": [0, 0.5, 0] }));
    let input = glb.floats("SCALAR", &[0.0, 1.0]);
    let output = glb.floats("SCALAR", &[0.0, 0.0, 1.0, 0.0]);
    let channel = json!({ "sampler": 0, "target": { "node": node, "path": "weights" } });
    let sampler = json!({ "input": input, "output": output });
    glb.push("animations", json!({ "name": "grow", "channels": [channel], "samplers": [sampler] }));
    glb
}

/// A box with a smaller one of another colour on it, a child, and a camera that must not show.
pub fn two_boxes() -> Glb {
    let mut glb = Glb::new();
    let material = |color: [f32; 4], metallic: f32| json!({ "pbrMetallicRoughness": { "baseColorFactor": color, "metallicFactor": metallic } });
    let below = glb.cuboid_mesh([1.0; 3], material([0.8, 0.3, 0.1, 1.0], 0.0));
    let above = glb.cuboid_mesh([1.0; 3], material([0.1, 0.6, 0.7, 1.0], 0.2));
    let child = json!({ "mesh": above, "translation": [0, 0.75, 0], "scale": [0.5, 0.5, 0.5] });
    let child = glb.push("nodes", child);
    glb.root(json!({ "mesh": below, "children": [child], "translation": [0, 0.5, 0] }));
    let perspective = json!({ "yfov": 1, "znear": 0.1 });
    let camera = glb.push("cameras", json!({ "type": "perspective", "perspective": perspective }));
    glb.root(json!({ "camera": camera, "translation": [0, 0, 1] }));
    glb
}
