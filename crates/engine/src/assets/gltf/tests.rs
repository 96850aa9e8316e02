// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is read of files, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../tests/common/glb.rs"]
mod glb;

use super::*;
use bevy::mesh::{PrimitiveTopology, VertexAttributeValues};
use glb::{Glb, morphing_box, waving_bar};
use serde_json::json;

fn read(glb: &Glb) -> Result<Decoded, String> {
    read_bytes(&glb.bytes())
}

fn read_bytes(bytes: &[u8]) -> Result<Decoded, String> {
    match decode(bytes, &Beside::new(), CompressedImageFormats::NONE)? {
        Outcome::Whole(decoded) => Ok(*decoded),
        Outcome::Lacks(lumps) => Err(format!("it lacks {lumps:?}")),
    }
}

fn refused(what: &str, glb: &Glb, expect: &str) {
    match read(glb) {
        Ok(_) => panic!("{what} was read"),
        Err(reason) => assert!(reason.contains(expect), "{what}: {reason}"),
    }
}

/// A box.
fn cuboid() -> Glb {
    let mut glb = Glb::new();
    let mesh = glb.cuboid_mesh([1.0; 3], json!({}));
    glb.root(json!({ "mesh": mesh }));
    glb
}

/// A box of which something was changed.
fn changed(path: &str, value: serde_json::Value) -> Glb {
    let mut glb = cuboid();
    let (parent, name) = path.rsplit_once('/').unwrap();
    glb.json.pointer_mut(parent).unwrap()[name] = value;
    glb
}

#[test]
fn a_box_is_read_from_both_kinds_of_file() {
    let glb = cuboid();
    for bytes in [glb.bytes(), glb.text()] {
        let decoded = read_bytes(&bytes).unwrap();
        assert_eq!((decoded.meshes.len(), decoded.materials.len(), decoded.nodes.len()), (1, 1, 1));
        assert_eq!(decoded.meshes[0].count_vertices(), 24);
        assert!(decoded.weight > 24 * 32);
    }
    assert!(read_bytes(b"glTF").err().unwrap().contains("neither binary"));
    assert!(read_bytes(b" {").err().unwrap().contains("JSON part"));
    assert!(read_bytes(b"[]").is_err());
}

#[test]
fn skins_clips_and_morph_targets_are_read() {
    let bar = read(&waving_bar()).unwrap();
    assert_eq!(bar.skins.len(), 1);
    assert_eq!(bar.skins[0].joints, [2, 1, 0]);
    let names: Vec<_> = bar.clips.iter().map(|clip| (clip.name.as_str(), clip.duration)).collect();
    assert_eq!(names, [("bend", 2.0), ("other", 1.0), ("spin", 4.0)]);
    assert!(bar.meshes[0].contains_attribute(Mesh::ATTRIBUTE_JOINT_INDEX));
    assert!(bar.nodes[3].primitives[0].skinned && bar.nodes[3].skin == Some(0));

    let house = read(&morphing_box()).unwrap();
    assert_eq!(house.nodes[0].weights, [0.0, 0.0]);
    let morphs = house.meshes[0].get_morph_targets().unwrap();
    // Two targets of 36 vertices, since flat faces share none; the second leans by 0.8 and turns faces.
    assert_eq!(morphs.len(), 2 * 36);
    assert!(morphs[36..].iter().any(|morph| morph.position == Vec3::new(0.8, 0.0, 0.0)));
    assert!(morphs[36..].iter().any(|morph| morph.normal.length() > 0.1));
    assert_eq!(house.clips[0].duration, 1.0);
}

#[test]
fn figures_of_all_modes_are_lists() {
    let indices_of = |mode: u32, count: usize| {
        let mut glb = Glb::new();
        let positions: Vec<f32> = (0..count * 3).map(|i| (i * i % 7) as f32).collect();
        let position = glb.floats("VEC3", &positions);
        let normal = glb.floats("VEC3", &[0.0, 1.0, 0.0].repeat(count));
        let attributes = json!({ "POSITION": position, "NORMAL": normal });
        let mesh = glb.push("meshes", json!({ "primitives": [{ "attributes": attributes, "mode": mode }] }));
        glb.root(json!({ "mesh": mesh }));
        let decoded = read(&glb).unwrap();
        let mesh = decoded.meshes.first()?;
        Some((mesh.primitive_topology(), mesh.indices().unwrap().iter().collect::<Vec<_>>()))
    };
    let (points, lines) = (PrimitiveTopology::PointList, PrimitiveTopology::LineList);
    let triangles = PrimitiveTopology::TriangleList;
    for (mode, count, expect) in [
        (0, 2, Some((points, vec![0, 1]))),
        (1, 5, Some((lines, vec![0, 1, 2, 3]))),
        (2, 3, Some((lines, vec![0, 1, 1, 2, 2, 0]))),
        (3, 3, Some((lines, vec![0, 1, 1, 2]))),
        (4, 4, Some((triangles, vec![0, 1, 2]))),
        (5, 4, Some((triangles, vec![0, 1, 2, 2, 1, 3]))),
        (6, 4, Some((triangles, vec![1, 2, 0, 2, 3, 0]))),
        (4, 2, None),
        (2, 1, None),
        (6, 1, None),
    ] {
        assert_eq!(indices_of(mode, count), expect, "mode {mode} of {count}");
    }
    refused("mode 7", &changed("/meshes/0/primitives/0/mode", json!(7)), "unknown mode 7");
}

#[test]
fn small_numbers_need_the_extension() {
    let quantized = |declared: bool| {
        let mut glb = Glb::new();
        let position = glb.shorts("VEC3", &[0, 0, 0, 1000, 0, 0, 0, 1000, 0]);
        let attributes = json!({ "POSITION": position });
        let mesh = glb.push("meshes", json!({ "primitives": [{ "attributes": attributes }] }));
        glb.root(json!({ "mesh": mesh, "scale": [0.001, 0.001, 0.001] }));
        if declared {
            glb.json["extensionsUsed"] = json!(["KHR_mesh_quantization"]);
            glb.json["extensionsRequired"] = json!(["KHR_mesh_quantization"]);
        }
        glb
    };
    let decoded = read(&quantized(true)).unwrap();
    let Some(VertexAttributeValues::Float32x3(positions)) =
        decoded.meshes[0].attribute(Mesh::ATTRIBUTE_POSITION)
    else {
        panic!("no positions");
    };
    assert_eq!(positions[1], [1000.0, 0.0, 0.0]);
    refused("undeclared", &quantized(false), "not allowed for its use");
}

#[test]
fn textures_have_levels_and_the_sampler_of_the_file() {
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbaImage::new(8, 8).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let mut glb = Glb::new();
    let sampler = json!({ "minFilter": 9728, "magFilter": 9728, "wrapS": 33071, "wrapT": 33648 });
    let texture = glb.texture(&png.into_inner(), sampler);
    let info = json!({ "index": texture });
    let material = json!({ "pbrMetallicRoughness": { "baseColorTexture": info, "metallicRoughnessTexture": info },
        "emissiveTexture": info });
    let mesh = glb.cuboid_mesh([1.0; 3], material);
    glb.root(json!({ "mesh": mesh }));
    let decoded = read(&glb).unwrap();
    // Once as colour, once as numbers.
    assert_eq!(decoded.images.len(), 2);
    let image = &decoded.images[0];
    assert_eq!(image.texture_descriptor.mip_level_count, 4);
    let ImageSampler::Descriptor(sampler) = &image.sampler else { panic!("no sampler") };
    assert_eq!(
        (sampler.address_mode_u, sampler.address_mode_v),
        (ImageAddressMode::ClampToEdge, ImageAddressMode::MirrorRepeat)
    );
    assert_eq!((sampler.mag_filter, sampler.lod_max_clamp), (ImageFilterMode::Nearest, 0.0));
    assert_eq!(decoded.materials[0].1.len(), 3);

    let mut none = cuboid();
    none.push("textures", json!({}));
    none.json["materials"][0]["emissiveTexture"] = json!({ "index": 0 });
    refused("no picture", &none, "texture 0 has no picture");
    let mut garbage = cuboid();
    garbage.texture(b"no picture", json!({}));
    garbage.json["materials"][0]["emissiveTexture"] = json!({ "index": 0 });
    refused("garbage", &garbage, "image 0: none of PNG, JPEG");
    garbage.json["materials"][0]["emissiveTexture"] = json!({ "index": 1 });
    refused("beyond", &garbage, "there is no texture 1");
}

#[test]
fn mirrored_nodes_show_their_other_side() {
    let mut glb = Glb::new();
    let mesh = glb.cuboid_mesh([1.0; 3], json!({}));
    let twice = glb.push("nodes", json!({ "mesh": mesh, "scale": [1, -1, 1] }));
    glb.root(json!({ "mesh": mesh, "scale": [-1, 1, 1], "children": [twice] }));
    let decoded = read(&glb).unwrap();
    let cull = |node: usize| decoded.materials[decoded.nodes[node].primitives[0].material].0.cull_mode;
    assert_eq!((cull(twice), cull(1)), (Some(Face::Back), Some(Face::Front)));
}

#[test]
fn lights_are_in_the_units_of_the_scene() {
    let light = |light: serde_json::Value| {
        let mut glb = Glb::new();
        glb.json["extensions"] = json!({ "KHR_lights_punctual": { "lights": [light] } });
        glb.root(json!({ "extensions": { "KHR_lights_punctual": { "light": 0 } } }));
        read(&glb).map(|decoded| decoded.nodes[0].light.unwrap())
    };
    let point =
        light(json!({ "type": "point", "intensity": 100, "color": [1, 0.5, 0], "range": 3 })).unwrap();
    assert_eq!((point.kind, point.color, point.range), (LightKind::Point, [1.0, 0.5, 0.0], 3.0));
    assert!((point.intensity - 1256.637).abs() < 0.01);
    let spot = light(json!({ "type": "spot", "spot": { "outerConeAngle": 0.5 } })).unwrap();
    assert_eq!((spot.inner_angle, spot.outer_angle), (0.0, 0.5));
    assert!(light(json!({ "type": "area" })).unwrap_err().contains("`area`"));
    let wide = json!({ "type": "spot", "spot": { "innerConeAngle": 1, "outerConeAngle": 0.5 } });
    assert!(light(wide).unwrap_err().contains("cone"));
}

#[test]
fn broken_files_are_refused_with_the_reason() {
    for (path, value, expect) in [
        ("/asset/version", json!("1.0"), "version `1.0`"),
        ("/asset/minVersion", json!("2.1"), "version `2.1`"),
        ("/scene", json!(1), "no scene to show"),
        ("/scenes/0/nodes", json!([7]), "a node that is not there"),
        ("/scenes/0/nodes", json!([0, 0]), "a node twice"),
        ("/nodes/0/children", json!([0]), "a ring"),
        ("/nodes/0/children", json!([9]), "a child that is not there"),
        ("/nodes/0/mesh", json!(4), "its mesh is not there"),
        ("/nodes/0/skin", json!(0), "its skin is not there"),
        ("/nodes/0/translation", json!([1e200, 0, 0]), "not finite"),
        ("/nodes/0/weights", json!([1]), "not as many as its mesh has morph targets"),
        ("/nodes/0/translation", json!("here"), "its JSON part"),
        ("/nodes/0/extensions", json!({ "KHR_lights_punctual": { "light": 0 } }), "its light is not there"),
        ("/meshes/0/primitives/0/material", json!(3), "its material is not there"),
        ("/meshes/0/primitives/0/indices", json!(0), "does not fit its use"),
        ("/meshes/0/primitives/0/indices", json!(99), "no accessor 99"),
        ("/meshes/0/primitives/0/attributes/NORMAL", json!(3), "does not fit its use"),
        ("/meshes/0/primitives/0/targets", json!([{ "POSITION": 9 }]), "no accessor 9"),
        ("/accessors/0/count", json!(25), "longer than its buffer view"),
        ("/accessors/0/count", json!(4_000_000_000u32), "numbers"),
        ("/accessors/0/componentType", json!(5130), "unknown component type"),
        ("/accessors/1/count", json!(23), "attribute NORMAL has another number of vertices"),
        ("/bufferViews/0/byteLength", json!(1u64 << 40), "outside its buffer"),
        ("/bufferViews/0/buffer", json!(1), "no buffer"),
        ("/buffers", json!([{ "byteLength": 4, "uri": "http://example.org" }]), "outside the file"),
        ("/materials/0/alphaMode", json!("FOG"), "`FOG`"),
        (
            "/extensionsRequired",
            json!(["KHR_draco_mesh_compression"]),
            "KHR_draco_mesh_compression, which is not",
        ),
        ("/extensionsRequired", json!(["VENDOR_dream"]), "VENDOR_dream, which is not supported"),
        (
            "/extensions",
            json!({ "KHR_lights_punctual": { "lights": vec![json!({ "type": "point" }); 33] } }),
            "32 lights",
        ),
        ("/textures", json!(vec![json!({}); 65_537]), "more than 65536 textures"),
        ("/skins", json!([{ "joints": [] }]), "skin 0 has no joints"),
        ("/skins", json!([{ "joints": [5] }]), "skin 0 has a joint that is not there"),
        ("/skins", json!([{ "joints": [0], "inverseBindMatrices": 0 }]), "does not fit its use"),
        (
            "/animations",
            json!([{ "channels": [{ "sampler": 0, "target": { "node": 0, "path": "scale" } }], "samplers": [] }]),
            "animation 0: there is no sampler 0",
        ),
        (
            "/animations",
            json!([{ "channels": [{ "sampler": 0, "target": { "node": 0, "path": "weights" } }], "samplers": [] }]),
            "no morph targets",
        ),
        (
            "/animations",
            json!([{ "channels": [{ "sampler": 0, "target": { "node": 9, "path": "scale" } }], "samplers": [] }]),
            "no node 9",
        ),
    ] {
        // Of what `bytes` would write itself.
        let glb = changed(path, value.clone());
        if path == "/buffers" {
            let mut text: serde_json::Value = serde_json::from_slice(&glb.text()).unwrap();
            text["buffers"] = value;
            let reason = read_bytes(text.to_string().as_bytes()).err().unwrap();
            assert!(reason.contains(expect), "{path}: {reason}");
        } else {
            refused(path, &glb, expect);
        }
    }
    // What may be ignored is.
    read(&changed("/extensionsUsed", json!(["VENDOR_dream"]))).unwrap();
    read(&changed("/nodes/0/extensions", json!({ "VENDOR_dream": 3 }))).unwrap();
    read(&changed("/nodes/0/camera", json!(3))).unwrap();
    read(&changed("/asset/version", json!("2.9"))).unwrap();
}

#[test]
fn vertices_beyond_their_lists_are_refused() {
    let mut far = cuboid();
    let last = far.binary.len() - 2;
    far.binary[last..].copy_from_slice(&24u16.to_le_bytes());
    refused("index", &far, "points to a vertex that is not there");
    let mut nan = cuboid();
    nan.binary[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    refused("position", &nan, "not finite");
    let mut far = cuboid();
    far.binary[..4].copy_from_slice(&1.1e9f32.to_le_bytes());
    refused("position", &far, "1.1e9 is beyond 1e9");
    let mut fewer = waving_bar();
    fewer.json["skins"][0]["joints"] = json!([2, 1]);
    refused("joint", &fewer, "a vertex names joint 2, which skin 0 has not");
    fewer.json["skins"][0]["joints"] = json!(vec![2; 257]);
    refused("joints", &fewer, "more than 256");
    let mut elsewhere = waving_bar();
    elsewhere.json["scenes"][0]["nodes"] = json!([3]);
    refused("scene", &elsewhere, "its skin has a joint outside the scene");
    let mut alone = waving_bar();
    alone.json["meshes"][0]["primitives"][0]["attributes"].as_object_mut().unwrap().remove("WEIGHTS_0");
    refused("weights", &alone, "one of JOINTS_0 and WEIGHTS_0 without the other");
    let mut back = waving_bar();
    let input = back.json["animations"][0]["samplers"][0]["input"].as_u64().unwrap() as usize;
    back.json["animations"][1]["samplers"][0]["input"] = json!(input);
    refused("times", &back, "animation 1: it has not as many values as times");
    let mut deep = Glb::new();
    let mut node = deep.push("nodes", json!({}));
    for _ in 0..64 {
        node = deep.push("nodes", json!({ "children": [node] }));
    }
    deep.json["scenes"][0]["nodes"] = json!([node]);
    refused("depth", &deep, "more than 64 deep");
    // One list read from many places counts each time.
    let mut many = cuboid();
    many.json["accessors"][0]["count"] = json!(1_000_000);
    many.json["accessors"][0].as_object_mut().unwrap().remove("bufferView");
    let primitives: Vec<_> =
        (0..100).map(|_| json!({ "attributes": { "POSITION": 0 }, "mode": 0 })).collect();
    many.json["meshes"][0]["primitives"] = json!(primitives);
    refused("many", &many, "more than 67108864 numbers");
    // Nor do morph targets without numbers make many out of nothing.
    many.json["meshes"][0]["primitives"] =
        json!([{ "attributes": { "POSITION": 0 }, "targets": vec![json!({}); 200] }]);
    refused("targets", &many, "more than 67108864 numbers");
    // A mesh of many parts, shown by many nodes.
    let mut parts = cuboid();
    parts.json["meshes"][0]["primitives"] = json!(vec![json!({ "attributes": {} }); 1000]);
    parts.json["nodes"] = json!(vec![json!({ "mesh": 0 }); 100]);
    parts.json["scenes"][0]["nodes"] = json!((0..100).collect::<Vec<_>>());
    refused("parts", &parts, "more than 65536 primitives");
}

#[test]
fn strangers_do_not_panic() {
    for good in [waving_bar().bytes(), morphing_box().bytes(), cuboid().text()] {
        read_bytes(&good).map(drop).unwrap();
        for cut in (0..good.len()).step_by(7) {
            let _ = read_bytes(&good[..cut]);
            let _ = decode_clips(&good[..cut], &Beside::new());
        }
        for at in 0..good.len() {
            for flip in [0x01, 0x80, 0xFF] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                let _ = read_bytes(&bad);
                let _ = decode_clips(&bad, &Beside::new());
            }
        }
    }
}
