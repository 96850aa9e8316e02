// SPDX-License-Identifier: AGPL-3.0-or-later
//! Models, materials in full, and all formats of textures.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod common;

use common::{
    Stage, about, apart, at, color, cuboid, furnished,
    glb::{Glb, two_boxes},
    look, turned,
};
use hearth_abi::{
    LumpId,
    scene::{
        Camera, Component, ComponentKind, Environment, Extra, Material, MeshSource, Scope, TextureTransform,
    },
};
use hearth_engine::{EngineConfig, Picture, Quality};
use hearth_scene::Change;
use image::{ImageBuffer, ImageFormat, Rgb, Rgba, RgbaImage};
use serde_json::{Value, json};
use std::{
    f32::consts::{FRAC_PI_2, PI},
    io::Cursor,
    time::Duration,
};

/// A stage with a day, a sun and a floor.
fn stage() -> Stage {
    furnished(Stage::new())
}

#[test]
fn models_show_and_broken_ones_say_why() {
    let mut stage = stage();
    let good = stage.lump(two_boxes().bytes());
    let mut outside = two_boxes();
    outside.json["images"] = json!([{ "uri": "/etc/passwd" }]);
    outside.json["textures"] = json!([{ "source": 0 }]);
    outside.json["materials"][0]["emissiveTexture"] = json!({ "index": 0 });
    let outside = stage.lump(outside.bytes());
    let mut future = two_boxes();
    future.json["extensionsRequired"] = json!(["VENDOR_dream"]);
    let future = stage.lump(future.bytes());
    let mut unknown = two_boxes();
    unknown.json["extensionsUsed"] = json!(["VENDOR_dream"]);
    unknown.json["nodes"][0]["extensions"] = json!({ "VENDOR_dream": { "of": "sheep" } });
    let unknown = stage.lump(unknown.text());
    stage.make([turned(-1.3, 0.0, 0.0, about([0.0, 1.0, 0.0], 0.6)), Component::Model(good)]);
    stage.make([at(0.4, 0.0, -1.0), Component::Model(unknown)]);
    let a = stage.make([at(1.8, 0.5, 0.0), Component::Model(outside)]);
    let b = stage.make([at(0.2, 0.0, 30.0), Component::Model(future)]);
    stage.settle();
    let mut failures = stage.failures.clone();
    failures.sort();
    assert_eq!(
        failures,
        [
            (vec![a], outside, "node 1: mesh 0: image 0: it refers to something outside the file".into()),
            (vec![b], future, "it requires the extension VENDOR_dream, which is not supported".into()),
        ]
    );
    stage.check("models");
}

fn encoded(picture: &RgbaImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    match format {
        ImageFormat::Jpeg | ImageFormat::Hdr => {
            let picture = image::DynamicImage::ImageRgba8(picture.clone());
            let plain = if format == ImageFormat::Hdr {
                // Linear, and brighter than white.
                let mut light = picture.into_rgb32f();
                light.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|value| value.powf(2.2) * 3.0));
                image::DynamicImage::ImageRgb32F(light)
            } else {
                picture.into_rgb8().into()
            };
            plain.write_to(&mut out, format).unwrap();
        }
        ImageFormat::WebP => {
            let encoder = image_webp::WebPEncoder::new(&mut out);
            let (width, height) = picture.dimensions();
            encoder.encode(picture.as_raw(), width, height, image_webp::ColorType::Rgba8).unwrap();
        }
        _ => picture.write_to(&mut out, format).unwrap(),
    }
    out.into_inner()
}

/// A KTX2 file of RGBA8 in sRGB with one level, compressed with Zstandard.
fn ktx2(picture: &RgbaImage) -> Vec<u8> {
    let level = picture.as_raw();
    let fastest = ruzstd::encoding::CompressionLevel::Fastest;
    let stored = ruzstd::encoding::compress_to_vec(level.as_slice(), fastest);
    let mut out = b"\xABKTX 20\xBB\r\n\x1A\n".to_vec();
    let (width, height) = picture.dimensions();
    for word in [43, 1, width, height, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0] {
        out.extend(word.to_le_bytes());
    }
    for word in [104u64, stored.len() as u64, level.len() as u64] {
        out.extend(word.to_le_bytes());
    }
    out.extend(stored);
    out
}

/// Rings in two colours, and outside of them nothing.
fn rings() -> RgbaImage {
    ImageBuffer::from_fn(128, 128, |x, y| {
        let away = (x as f32 - 63.5).hypot(y as f32 - 63.5);
        match away as u32 / 9 {
            0 | 2 | 4 => Rgba([230, 60, 40, 255]),
            1 | 3 | 5 => Rgba([40, 90, 160, 255]),
            _ => Rgba([250, 220, 120, 0]),
        }
    })
}

fn checks(size: u32, check: u32) -> RgbaImage {
    ImageBuffer::from_fn(size, size, |x, y| {
        if (x / check + y / check).is_multiple_of(2) {
            Rgba([240, 240, 240, 255])
        } else {
            Rgba([20, 20, 20, 255])
        }
    })
}

/// Round bumps in a grid.
fn bumps() -> RgbaImage {
    ImageBuffer::from_fn(128, 128, |x, y| {
        let slope = |v: u32| ((v % 32) as f32 / 32.0 * std::f32::consts::TAU).sin() * 0.6;
        let (dx, dy) = (slope(x), slope(y));
        let to_byte = |v: f32| ((v * 0.5 + 0.5) * 255.0) as u8;
        Rgba([to_byte(dx), to_byte(dy), to_byte((1.0 - dx * dx - dy * dy).max(0.0).sqrt()), 255])
    })
}

/// A board that faces the viewer.
fn board(x: f32, y: f32) -> [Component; 2] {
    [
        turned(x, y, 1.0, about([1.0, 0.0, 0.0], std::f32::consts::FRAC_PI_2)),
        Component::Mesh(MeshSource::Plane([1.2, 1.2])),
    ]
}

#[test]
fn every_format_of_textures_is_read_and_what_is_none_says_why() {
    let mut stage = stage();
    let picture = rings();
    let files = [
        encoded(&picture, ImageFormat::Png),
        encoded(&picture, ImageFormat::Jpeg),
        encoded(&picture, ImageFormat::WebP),
        encoded(&picture, ImageFormat::Hdr),
        ktx2(&picture),
    ];
    for (i, file) in files.into_iter().enumerate() {
        let lump = stage.lump(file);
        let material = Material { base_color_texture: Some(lump), unlit: true, ..color(1.0, 1.0, 1.0) };
        let id = stage.make(board(i as f32 * 1.3 - 2.6, 1.8));
        stage.set(id, look(material));
    }
    // Of compressed pixels the software renderer shows some; ASTC of graphics cards it may not.
    let mut broken = ktx2(&picture);
    broken[12] = 0;
    let broken = stage.lump(broken);
    let id = stage.make(board(0.0, 0.5));
    stage.set(id, look(Material { base_color_texture: Some(broken), ..color(1.0, 1.0, 1.0) }));
    stage.settle();
    assert_eq!(stage.failures.len(), 1);
    assert!(stage.failures[0].2.contains("Basis Universal"), "{:?}", stage.failures);
    stage.check("texture-formats");
}

/// A floor of small checks to the horizon, from a texture that is placed many times.
fn far_floor(size: [u32; 2], glb: Option<&Glb>, texture: &[u8]) -> [Picture; 2] {
    let mut stage =
        Stage::with(EngineConfig { quality: Some(Quality::Low), size, ..EngineConfig::default() });
    let eye = Component::Camera(Camera { fov_y: 0.8, ..Camera::default() });
    let seen_from = |x: f32| turned(x, 1.5, 0.0, about([1.0, 0.0, 0.0], -0.1));
    let eye = stage.make_by(common::PEER, Scope::Local, [seen_from(0.0), eye]);
    match glb {
        Some(glb) => {
            let lump = stage.lump(glb.bytes());
            stage.make([at(0.0, 0.0, -30.0), Component::Model(lump)]);
        }
        None => {
            let lump = stage.lump(texture);
            let material = Material {
                base_color_texture: Some(lump),
                unlit: true,
                texture_transform: TextureTransform { scale: [30.0; 2], ..TextureTransform::IDENTITY },
                ..color(1.0, 1.0, 1.0)
            };
            let plane = Component::Mesh(MeshSource::Plane([60.0, 60.0]));
            stage.make([at(0.0, 0.0, -30.0), plane, look(material)]);
        }
    }
    stage.settle();
    assert_eq!(stage.failures, []);
    let first = stage.picture();
    stage.set(eye, seen_from(0.02));
    [first, stage.picture()]
}

/// How much more changes from one picture to the next than in the truth, of 255.
fn shimmer(pictures: &[Picture; 2], truth: &[Picture; 2]) -> f64 {
    let change = |[a, b]: &[Picture; 2], i: usize| i32::from(b.rgba[i]) - i32::from(a.rgba[i]);
    let all = 0..truth[0].rgba.len();
    let sum: u32 = all.clone().map(|i| change(pictures, i).abs_diff(change(truth, i))).sum();
    f64::from(sum) / all.len() as f64
}

/// The picture at a part of its size, each pixel the mean of many.
fn smaller(picture: &Picture, by: u32) -> Picture {
    let (width, height) = (picture.width / by, picture.height / by);
    let mut rgba = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for channel in 0..4 {
                let all = (0..by * by).map(|i| {
                    let at = (y * by + i / by) * picture.width + x * by + i % by;
                    u64::from(picture.rgba[at as usize * 4 + channel])
                });
                rgba.push((all.sum::<u64>() / u64::from(by * by)) as u8);
            }
        }
    }
    Picture { width, height, rgba }
}

#[test]
fn a_far_floor_of_checks_does_not_shimmer() {
    let png = encoded(&checks(64, 8), ImageFormat::Png);
    // The same floor from a model that says: no smaller copies, the nearest pixel.
    let floor = |min_filter: u32| {
        let mut glb = Glb::new();
        let position =
            glb.floats("VEC3", &[-30.0, 0.0, -30.0, 30.0, 0.0, -30.0, -30.0, 0.0, 30.0, 30.0, 0.0, 30.0]);
        let uv = glb.floats("VEC2", &[0.0, 0.0, 30.0, 0.0, 0.0, 30.0, 30.0, 30.0]);
        let indices = glb.shorts("SCALAR", &[0, 2, 1, 1, 2, 3]);
        let texture = glb.texture(&png, json!({ "minFilter": min_filter }));
        let material = glb.push(
            "materials",
            json!({ "extensions": { "KHR_materials_unlit": {} },
                "pbrMetallicRoughness": { "baseColorTexture": { "index": texture } } }),
        );
        let attributes = json!({ "POSITION": position, "TEXCOORD_0": uv });
        let primitive = json!({ "attributes": attributes, "indices": indices, "material": material });
        let mesh = glb.push("meshes", json!({ "primitives": [primitive] }));
        glb.root(json!({ "mesh": mesh }));
        glb
    };
    let size = [150, 84];
    // The eye goes two centimetres to the right: what is far hardly changes.
    let truth = far_floor([size[0] * 8, size[1] * 8], Some(&floor(9729)), &png).map(|p| smaller(&p, 8));
    let measured = |glb: Option<&Glb>| shimmer(&far_floor(size, glb, &png), &truth);
    let [plain, model, ours] = [measured(Some(&floor(9729))), measured(Some(&floor(9987))), measured(None)];
    eprintln!(
        "mean change of 255 too much: without smaller copies {plain:.2}, with {ours:.2}, of a model {model:.2}"
    );
    assert!(plain > 2.0 * ours && plain > 2.0 * model, "{plain} {ours} {model}");
}

#[test]
fn materials_in_full() {
    let mut stage = stage();
    let rings = stage.lump(encoded(&rings(), ImageFormat::Png));
    let bumps = stage.lump(encoded(&bumps(), ImageFormat::Png));
    let checks = stage.lump(encoded(&checks(64, 16), ImageFormat::Png));
    let white = || color(0.9, 0.9, 0.9);
    let ball = |stage: &mut Stage, x: f32, y: f32, material: Material| {
        let spin = about([0.0, 1.0, 0.0], 1.5);
        stage.make([turned(x, y, 0.0, spin), Component::Mesh(MeshSource::Sphere(0.45)), look(material)]);
    };
    // Above: holes, the same seen through, lacquer, glass, a strong glow.
    ball(
        &mut stage,
        -2.4,
        2.6,
        Material { base_color_texture: Some(rings), alpha_cutoff: Some(0.5), double_sided: true, ..white() },
    );
    ball(&mut stage, -1.2, 2.6, Material { base_color_texture: Some(rings), blend: true, ..white() });
    ball(&mut stage, 0.0, 2.6, Material { clearcoat: 1.0, roughness: 0.9, ..color(0.6, 0.02, 0.02) });
    ball(
        &mut stage,
        1.2,
        2.6,
        Material {
            transmission: 1.0,
            roughness: 0.0,
            ior: 1.4,
            thickness: 0.6,
            attenuation_color: [0.3, 0.9, 0.5],
            attenuation_distance: 0.5,
            ..white()
        },
    );
    ball(
        &mut stage,
        2.4,
        2.6,
        Material { emissive: [0.3, 0.1, 0.02], emissive_strength: 12.0, ..color(0.0, 0.0, 0.0) },
    );
    // In the middle: bumps of half, one and two times the height; much and no reflection.
    for (x, normal_scale) in [(-2.4, 0.5), (-1.2, 1.0), (0.0, 2.0)] {
        ball(
            &mut stage,
            x,
            1.5,
            Material { normal_texture: Some(bumps), normal_scale, roughness: 0.4, ..color(0.2, 0.5, 0.3) },
        );
    }
    ball(&mut stage, 1.2, 1.5, Material { ior: 2.4, roughness: 0.1, ..color(0.02, 0.02, 0.02) });
    ball(&mut stage, 2.4, 1.5, Material { specular: 0.0, roughness: 0.1, ..color(0.02, 0.02, 0.02) });
    // Below: placed textures; occlusion in full and weak; drawn out highlights.
    let placed = |offset, rotation, scale| TextureTransform { offset, rotation, scale };
    for (x, texture_transform) in [
        (-2.4, placed([0.0; 2], 0.0, [3.0, 3.0])),
        (-1.2, placed([0.25, 0.0], std::f32::consts::FRAC_PI_4, [2.0, 2.0])),
    ] {
        let id = stage.make(board(x, 0.6));
        stage.set(
            id,
            look(Material { base_color_texture: Some(checks), texture_transform, unlit: true, ..white() }),
        );
    }
    for (x, occlusion_strength) in [(0.0, 1.0), (1.2, 0.3)] {
        ball(&mut stage, x, 0.5, Material { occlusion_texture: Some(checks), occlusion_strength, ..white() });
    }
    ball(
        &mut stage,
        2.4,
        0.5,
        Material { anisotropy: 0.9, anisotropy_rotation: 0.0, metallic: 1.0, roughness: 0.35, ..white() },
    );
    stage.settle();
    assert_eq!(stage.failures, []);
    stage.check("materials");
}

/// A box of a material of a file, and one of the same as a component, are one picture.
#[test]
fn a_material_is_the_same_in_a_model_and_as_a_component() {
    let png = encoded(&rings(), ImageFormat::Png);
    let normals = encoded(&bumps(), ImageFormat::Png);
    let white = || Material { metallic: 0.0, roughness: 1.0, ..color(1.0, 1.0, 1.0) };
    type With = fn(Material, LumpId) -> Material;
    let cases: [(&str, Value, &[u8], With); 9] = [
        (
            "mask",
            json!({ "alphaMode": "MASK", "alphaCutoff": 0.3, "doubleSided": true, "pbrMetallicRoughness": { "baseColorTexture": { "index": 0 } } }),
            &png,
            |m, lump| Material {
                base_color_texture: Some(lump),
                alpha_cutoff: Some(0.3),
                double_sided: true,
                ..m
            },
        ),
        (
            "blend",
            json!({ "alphaMode": "BLEND", "pbrMetallicRoughness": { "baseColorTexture": { "index": 0 }, "baseColorFactor": [1, 1, 1, 0.8] } }),
            &png,
            |m, lump| Material {
                base_color_texture: Some(lump),
                blend: true,
                base_color: [1.0, 1.0, 1.0, 0.8],
                ..m
            },
        ),
        (
            "emissive",
            json!({ "emissiveFactor": [0.5, 0.25, 0.1], "emissiveTexture": { "index": 0 }, "extensions": { "KHR_materials_emissive_strength": { "emissiveStrength": 3 } } }),
            &png,
            |m, lump| Material {
                emissive: [0.5, 0.25, 0.1],
                emissive_texture: Some(lump),
                emissive_strength: 3.0,
                ..m
            },
        ),
        (
            "normals",
            json!({ "normalTexture": { "index": 0, "scale": 1.5 }, "pbrMetallicRoughness": { "roughnessFactor": 0.3 } }),
            &normals,
            |m, lump| Material { normal_texture: Some(lump), normal_scale: 1.5, roughness: 0.3, ..m },
        ),
        ("occlusion", json!({ "occlusionTexture": { "index": 0, "strength": 0.5 } }), &png, |m, lump| {
            Material { occlusion_texture: Some(lump), occlusion_strength: 0.5, ..m }
        }),
        (
            "placed",
            json!({ "pbrMetallicRoughness": { "baseColorTexture": { "index": 0, "extensions":
                { "KHR_texture_transform": { "offset": [0.2, 0.1], "rotation": 0.7, "scale": [2, 1.5] } } } } }),
            &png,
            |m, lump| Material {
                base_color_texture: Some(lump),
                texture_transform: TextureTransform { offset: [0.2, 0.1], rotation: 0.7, scale: [2.0, 1.5] },
                ..m
            },
        ),
        (
            "glass",
            json!({ "pbrMetallicRoughness": { "roughnessFactor": 0.1 }, "extensions": {
                "KHR_materials_transmission": { "transmissionFactor": 0.8 }, "KHR_materials_ior": { "ior": 1.3 },
                "KHR_materials_volume": { "thicknessFactor": 0.5, "attenuationDistance": 0.5, "attenuationColor": [0.2, 0.8, 1] },
                "KHR_materials_specular": { "specularFactor": 0.5 }, "KHR_materials_clearcoat": { "clearcoatFactor": 0.5 } } }),
            &png,
            |m, _| Material {
                roughness: 0.1,
                transmission: 0.8,
                ior: 1.3,
                thickness: 0.5,
                attenuation_distance: 0.5,
                attenuation_color: [0.2, 0.8, 1.0],
                specular: 0.5,
                clearcoat: 0.5,
                ..m
            },
        ),
        (
            "coated",
            json!({ "extensions": {
                "KHR_materials_clearcoat": { "clearcoatFactor": 1, "clearcoatTexture": { "index": 0 },
                    "clearcoatRoughnessFactor": 0.4, "clearcoatRoughnessTexture": { "index": 0 },
                    "clearcoatNormalTexture": { "index": 0 } } } }),
            &normals,
            |m, lump| {
                Material { clearcoat: 1.0, clearcoat_roughness: 0.4, ..m }
                    .textured(Extra::Clearcoat, lump)
                    .textured(Extra::ClearcoatRoughness, lump)
                    .textured(Extra::ClearcoatNormal, lump)
            },
        ),
        (
            "window",
            json!({ "pbrMetallicRoughness": { "roughnessFactor": 0.2 }, "extensions": {
                "KHR_materials_transmission": { "transmissionFactor": 0.9, "transmissionTexture": { "index": 0 } },
                "KHR_materials_volume": { "thicknessFactor": 0.5, "thicknessTexture": { "index": 0 } },
                "KHR_materials_specular": { "specularTexture": { "index": 0 }, "specularColorTexture": { "index": 0 } } } }),
            &png,
            |m, lump| {
                Material { roughness: 0.2, transmission: 0.9, thickness: 0.5, ..m }
                    .textured(Extra::Transmission, lump)
                    .textured(Extra::Thickness, lump)
                    .textured(Extra::Specular, lump)
                    .textured(Extra::SpecularColor, lump)
            },
        ),
    ];
    let mut plain = None;
    for (name, mut file, texture, with) in cases {
        let mut pictures = [true, false].map(|as_model| {
            let mut stage = stage();
            let mut glb = Glb::new();
            glb.texture(texture, json!({}));
            let pbr =
                file.as_object_mut().unwrap().entry("pbrMetallicRoughness").or_insert_with(|| json!({}));
            pbr["metallicFactor"] = json!(0);
            let mut primitive = glb.cuboid([1.6; 3]);
            primitive["material"] = json!(glb.push("materials", file.clone()));
            let mesh = glb.push("meshes", json!({ "primitives": [primitive] }));
            glb.root(json!({ "mesh": mesh }));
            let place = turned(0.0, 1.4, 2.0, about([0.0, 1.0, 0.0], 0.5));
            if as_model {
                let lump = stage.lump(glb.bytes());
                stage.make([place, Component::Model(lump)]);
            } else {
                let lump = stage.lump(texture);
                let mesh = stage.lump(lump_of_box());
                let material = look(with(white(), lump));
                stage.make([place, Component::Mesh(MeshSource::Lump(mesh)), material]);
            }
            stage.settle();
            assert_eq!(stage.failures, [], "{name}");
            stage.picture()
        });
        let difference = apart(&pictures[0], &pictures[1]);
        if difference >= 0.3 {
            let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
            std::fs::write(folder.join(format!("{name}-model.png")), pictures[0].to_png().unwrap()).unwrap();
            std::fs::write(folder.join(format!("{name}-component.png")), pictures[1].to_png().unwrap())
                .unwrap();
        }
        assert!(difference < 0.3, "{name}: {difference}");
        // Each of them is another picture than those before.
        let one = std::mem::replace(&mut pictures[0], Picture { width: 0, height: 0, rgba: vec![] });
        if let Some(before) = plain.replace(one.clone()) {
            assert!(apart(&before, &one) > 0.5, "{name} is nothing of its own");
        }
    }
}

/// What options say differs from place to place by textures of their own: a coat in stripes, a coat with bumps of its
/// own, a window in a wall, and what reflects in rings and in colours.
#[test]
fn options_of_a_material_have_textures() {
    let mut stage = stage();
    let png = |picture: &RgbaImage| encoded(picture, ImageFormat::Png);
    let stripes = RgbaImage::from_fn(64, 64, |x, _| Rgba(if x / 8 % 2 == 0 { [255; 4] } else { [0; 4] }));
    let colors = RgbaImage::from_fn(64, 64, |x, y| Rgba([(x * 4) as u8, (y * 4) as u8, 128, 255]));
    // Highlights along x on the left, along y on the right.
    let brushed = RgbaImage::from_fn(64, 64, |x, _| {
        Rgba(if x < 32 { [255, 128, 255, 255] } else { [128, 255, 255, 255] })
    });
    let [stripes, colors, brushed] = [stripes, colors, brushed].map(|picture| stage.lump(png(&picture)));
    let bumps = stage.lump(png(&bumps()));
    let dark = || Material { roughness: 0.8, ..color(0.25, 0.02, 0.03) };
    let coated = || Material { clearcoat: 1.0, clearcoat_roughness: 0.05, ..dark() };
    let mirror = || Material { roughness: 0.15, ..color(0.02, 0.02, 0.02) };
    let metal = Material { metallic: 1.0, roughness: 0.35, anisotropy: 0.9, ..color(0.9, 0.7, 0.4) };
    let materials = [
        coated().textured(Extra::Clearcoat, stripes),
        coated().textured(Extra::ClearcoatNormal, bumps),
        Material { transmission: 1.0, thickness: 0.1, roughness: 0.05, ..color(0.6, 0.9, 0.7) }
            .textured(Extra::Transmission, stripes),
        mirror().textured(Extra::Specular, stripes),
        Material { ior: 2.4, ..mirror() }.textured(Extra::SpecularColor, colors),
        metal.textured(Extra::Anisotropy, brushed),
    ];
    for (i, material) in materials.into_iter().enumerate() {
        let (column, row) = (i % 3, i / 3);
        let place = at(column as f32 * 1.9 - 1.9, 2.2 - row as f32 * 1.6, 1.5);
        stage.make([place, Component::Mesh(MeshSource::Sphere(0.72)), look(material)]);
    }
    stage.settle();
    assert_eq!(stage.failures, []);
    stage.check("extra-textures");
}

/// The box of [`Glb::cuboid`] as a lump of class `Mesh`, with tangents and second uvs of its own.
/// A blue letter with a red corner at its left above, so that one sees how it lies.
fn letter() -> RgbaImage {
    RgbaImage::from_fn(64, 64, |x, y| {
        let is_ink = (24..32).contains(&x) && (18..60).contains(&y)
            || (24..58).contains(&x) && (18..26).contains(&y)
            || (24..50).contains(&x) && (34..42).contains(&y);
        match (x, y) {
            (0..16, 0..16) => Rgba([230, 20, 10, 255]),
            _ if is_ink => Rgba([10, 20, 230, 255]),
            _ => Rgba([235, 225, 200, 255]),
        }
    })
}

/// Where the middle of all pixels of one hue is: of red, or of blue.
fn middle(picture: &Picture, hue: usize) -> [f32; 2] {
    let (mut sum, mut count) = ([0.0; 2], 0.0f32);
    for (i, pixel) in picture.rgba.chunks_exact(4).enumerate() {
        let others =
            pixel[..3].iter().enumerate().filter(|(at, _)| *at != hue).map(|(_, value)| *value).max();
        if pixel[hue] > 90 && others.is_some_and(|most| pixel[hue] / 2 > most) {
            sum[0] += (i as u32 % picture.width) as f32;
            sum[1] += (i as u32 / picture.width) as f32;
            count += 1.0;
        }
    }
    assert!(count > 50.0, "{count} pixels of hue {hue} are seen");
    sum.map(|sum| sum / count)
}

#[test]
fn a_texture_stands_upright_on_every_side_of_a_box() {
    let mut stage = Stage::with(EngineConfig {
        quality: Some(Quality::Low),
        fixed_step: Some(Duration::ZERO),
        ..EngineConfig::default()
    });
    let letter = stage.lump(encoded(&letter(), ImageFormat::Png));
    let painted = Material { unlit: true, base_color_texture: Some(letter), ..color(1.0, 1.0, 1.0) };
    let eye = Component::Camera(Camera::default());
    stage.make_by(common::PEER, Scope::Local, [at(0.0, 0.0, 3.0), eye]);
    let cube = stage.make([cuboid(1.0, 1.0, 1.0), look(painted)]);
    // Each face in turn before the eye: front, right, back and left, the top as it comes down, the bottom as it comes up.
    let (x, y) = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]);
    let turns = [(y, 0.0), (y, -FRAC_PI_2), (y, PI), (y, FRAC_PI_2), (x, FRAC_PI_2), (x, -FRAC_PI_2)];
    for (axis, angle) in turns {
        stage.set(cube, turned(0.0, 0.0, 0.0, about(axis, angle)));
        stage.settle();
        let picture = stage.picture();
        let ([red_x, red_y], [blue_x, blue_y]) = (middle(&picture, 0), middle(&picture, 2));
        let place = format!("turned by {angle} about {axis:?}: {red_x}, {red_y} and {blue_x}, {blue_y}");
        assert!(red_x + 10.0 < blue_x && red_y + 10.0 < blue_y, "{place}");
        // What is left and above of the letter is so of the middle too.
        let [width, height] = [picture.width, picture.height].map(|size| size as f32 / 2.0);
        assert!(red_x < width && red_y < height, "{place}");
    }
    assert_eq!(stage.failures, []);
}

fn lump_of_box() -> Vec<u8> {
    let mut mesh = hearth_abi::mesh::Mesh::default();
    for (axis, sign) in (0..3).flat_map(|axis| [(axis, 1.0f32), (axis, -1.0)]) {
        let first = mesh.positions.len() as u32;
        for (u, v) in [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0f32)] {
            let mut corner = [0.0; 3];
            corner[axis] = sign * 0.8;
            corner[(axis + 1) % 3] = u * 0.8 * sign;
            corner[(axis + 2) % 3] = v * 0.8;
            mesh.positions.push(corner);
            let (mut normal, mut tangent) = ([0.0; 3], [0.0, 0.0, 0.0, 1.0]);
            normal[axis] = sign;
            tangent[(axis + 1) % 3] = sign;
            mesh.normals.push(normal);
            mesh.tangents.push(tangent);
            mesh.uvs.push([u * 0.5 + 0.5, 0.5 - v * 0.5]);
            mesh.second_uvs.push([u + 0.5, 0.5 - v]);
        }
        mesh.indices.extend([0, 1, 2, 0, 2, 3].map(|i| first + i));
    }
    mesh.encode()
}

#[test]
fn textures_use_the_second_uvs_where_the_material_says_so() {
    let mut stage = stage();
    let rings = stage.lump(encoded(&rings(), ImageFormat::Png));
    let mesh = stage.lump(lump_of_box());
    for (x, second_uvs) in [(-1.2, 0), (1.2, hearth_abi::scene::second_uvs::BASE_COLOR)] {
        let material = Material { base_color_texture: Some(rings), second_uvs, ..color(1.0, 1.0, 1.0) };
        let place = turned(x, 1.0, 1.0, about([0.0, 1.0, 0.0], 0.4));
        stage.make([place, Component::Mesh(MeshSource::Lump(mesh)), look(material)]);
    }
    stage.settle();
    stage.check("second-uvs");
}

/// A board of all that vertices can be: colours, lines, points, flat faces, what is mirrored, and light of its own.
#[test]
fn what_a_model_may_hold() {
    let mut glb = Glb::new();
    let matte = |color: [f32; 4]| json!({ "pbrMetallicRoughness": { "baseColorFactor": color, "metallicFactor": 0 } });
    // Colours of vertices, in a strip without normals.
    let strip = [-0.6, 0.0, 0.0, -0.6, 1.2, 0.0, 0.0, 0.0, 0.4, 0.0, 1.2, 0.4, 0.6, 0.0, 0.0, 0.6, 1.2, 0.0];
    let strip: Vec<f32> = strip.chunks_exact(6).flat_map(|pair| [&pair[3..], &pair[..3]].concat()).collect();
    let position = glb.floats("VEC3", &strip);
    let colors: Vec<f32> =
        (0..6).flat_map(|i| [[1.0, 0.1, 0.1], [0.1, 1.0, 0.1], [0.1, 0.1, 1.0]][i / 2]).collect();
    let color = glb.floats("VEC3", &colors);
    let material = glb.push("materials", matte([1.0, 1.0, 1.0, 1.0]));
    let attributes = json!({ "POSITION": position, "COLOR_0": color });
    let strip = json!({ "attributes": attributes, "mode": 5, "material": material });
    let mesh = glb.push("meshes", json!({ "primitives": [strip] }));
    glb.root(json!({ "mesh": mesh, "translation": [-2.2, 0.2, 0.5] }));
    // A ring of lines, and points above it.
    let circle = |height: f32| -> Vec<f32> {
        (0..24)
            .map(|i| i as f32 / 24.0 * std::f32::consts::TAU)
            .flat_map(|a| [a.cos() * 0.6, height, a.sin() * 0.6])
            .collect()
    };
    let (low, high) = (glb.floats("VEC3", &circle(0.3)), glb.floats("VEC3", &circle(0.9)));
    let material = glb.push("materials", matte([1.0, 0.8, 0.0, 1.0]));
    let lines = json!({ "attributes": { "POSITION": low }, "mode": 2, "material": material });
    let points = json!({ "attributes": { "POSITION": high }, "mode": 0, "material": material });
    let mesh = glb.push("meshes", json!({ "primitives": [lines, points] }));
    glb.root(json!({ "mesh": mesh, "translation": [-0.7, 0, 0.5] }));
    // One box as it is, one mirrored, one by a matrix.
    let mesh = glb.cuboid_mesh([0.5, 0.8, 0.5], matte([0.3, 0.6, 0.9, 1.0]));
    glb.root(json!({ "mesh": mesh, "translation": [0.5, 0.4, 0.5] }));
    glb.root(json!({ "mesh": mesh, "translation": [1.4, 0.4, 0.5], "scale": [-1, 1, 1] }));
    glb.root(
        json!({ "mesh": mesh, "matrix": [0.7, 0, -0.7, 0, 0, 1, 0, 0, 0.7, 0, 0.7, 0, 2.3, 0.4, 0.5, 1] }),
    );
    // Light from a candle in it, red.
    glb.json["extensions"] = json!({ "KHR_lights_punctual": { "lights": [
        { "type": "point", "color": [1, 0.1, 0.05], "intensity": 4000, "range": 6 }] } });
    glb.root(
        json!({ "translation": [1.0, 1.4, 1.2], "extensions": { "KHR_lights_punctual": { "light": 0 } } }),
    );
    let mut stage = stage();
    let lump = stage.lump(glb.bytes());
    let model = stage.make([at(0.0, 0.0, 0.0), Component::Model(lump)]);
    stage.settle();
    assert_eq!(stage.failures, []);
    stage.check("model-parts");
    // With the model its light goes.
    stage.change(Change::Unset { id: model, kind: ComponentKind::Model });
    let without = stage.picture();
    stage.change(Change::Removed { id: model });
    assert!(apart(&without, &stage.picture()) < 0.01);
}

/// A picture of all directions: ground, sky, a bright sun to the right of −Z, a red wall at +X.
fn surroundings() -> Vec<u8> {
    let picture = ImageBuffer::from_fn(256, 128, |x, y| {
        let sun = (x as f32 - 150.0).hypot(y as f32 - 40.0);
        Rgb(match (x, y) {
            _ if sun < 6.0 => [300.0, 260.0, 200.0],
            (180..204, 40..80) => [1.5, 0.1, 0.1],
            (_, 64..) => [0.15, 0.12, 0.1],
            _ => [0.3, 0.5, 0.9f32],
        })
    });
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, ImageFormat::Hdr).unwrap();
    out.into_inner()
}

#[test]
fn surroundings_are_seen_and_give_light() {
    let mut stage = Stage::new();
    let lump = stage.lump(surroundings());
    let environment =
        |rotation| Component::Environment(Environment { lump, brightness: 900.0, ambient: 700.0, rotation });
    let around = stage.make([environment(0.0)]);
    for (i, roughness) in [0.0, 0.25, 0.5, 1.0].into_iter().enumerate() {
        let x = i as f32 * 1.2 - 1.8;
        let ball = || Component::Mesh(MeshSource::Sphere(0.5));
        stage.make([
            at(x, 2.3, 1.0),
            ball(),
            look(Material { metallic: 1.0, roughness, ..color(0.9, 0.9, 0.9) }),
        ]);
        stage.make([at(x, 1.1, 1.0), ball(), look(Material { roughness, ..color(0.8, 0.8, 0.8) })]);
    }
    stage.settle();
    assert_eq!(stage.failures, []);
    stage.check("environment");
    // A quarter to the left: the red wall is before us.
    stage.set(around, environment(std::f32::consts::FRAC_PI_2));
    stage.step();
    stage.check("environment-turned");
    // What is no such picture is told, and the sky is up.
    let bad = stage.lump(encoded(&rings(), ImageFormat::Png));
    let wrong = Environment { lump: bad, brightness: 900.0, ambient: 700.0, rotation: 0.0 };
    stage.set(around, Component::Environment(wrong));
    stage.settle();
    let expect = "picture of 128 × 128 pixels is not twice as wide as high";
    assert_eq!(stage.failures, [(vec![around], bad, expect.into())]);
    let fallen_back = stage.picture();
    stage.change(Change::Unset { id: around, kind: ComponentKind::Environment });
    assert!(apart(&fallen_back, &stage.picture()) < 0.01);
}
