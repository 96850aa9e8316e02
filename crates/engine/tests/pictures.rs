// SPDX-License-Identifier: AGPL-3.0-or-later
//! Pictures of small scenes beside those that are kept in `tests/golden`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Stage, about, at, color, cuboid, day, floor, glb::two_boxes, look, pixel, sun, turned};
use hearth_abi::{
    mesh::Mesh,
    scene::{
        Billboard, Camera, Component, ComponentKind, Light, LightKind, Material, MeshSource, Scope, Sky,
    },
};
use hearth_engine::{Command, EngineConfig, Quality};
use hearth_scene::Change;
use image::{ImageBuffer, ImageFormat, Rgb};
use std::{io::Cursor, sync::mpsc};

fn lamp(kind: LightKind, color: [f32; 3], intensity: f32) -> Component {
    Component::Light(Light {
        kind,
        shadows: true,
        color,
        intensity,
        range: 15.0,
        inner_angle: 0.3,
        outer_angle: 0.45,
    })
}

fn shapes(stage: &mut Stage) {
    stage.make([day()]);
    stage.make(sun());
    stage.make(floor());
    let shape = Component::Mesh;
    stage.make([at(-3.2, 0.5, 0.0), cuboid(1.0, 1.0, 1.0), look(color(0.7, 0.05, 0.05))]);
    let metal = Material { metallic: 1.0, roughness: 0.2, ..color(0.9, 0.75, 0.4) };
    stage.make([at(-1.6, 0.6, 0.0), shape(MeshSource::Sphere(0.6)), look(metal)]);
    stage.make([at(0.0, 0.6, 0.0), shape(MeshSource::Cylinder(0.5, 1.2)), look(color(0.05, 0.35, 0.1))]);
    stage.make([at(1.7, 0.2, 0.0), shape(MeshSource::Torus(0.55, 0.2)), look(color(0.1, 0.15, 0.7))]);
    let glass = Material { blend: true, base_color: [0.3, 0.8, 0.9, 0.4], ..Material::default() };
    stage.make([at(0.6, 0.9, 1.3), cuboid(0.8, 1.2, 0.1), look(glass)]);
    let glow = Material { emissive: [6.0, 3.0, 0.5], ..color(0.0, 0.0, 0.0) };
    stage.make([at(3.2, 1.2, 0.0), shape(MeshSource::Sphere(0.25)), look(glow)]);
    let flat = Material { unlit: true, ..color(1.0, 0.6, 0.0) };
    stage.make([at(3.2, 0.3, 0.5), cuboid(0.6, 0.6, 0.6), look(flat)]);
    stage.make([at(-2.4, 0.25, 1.6), cuboid(0.5, 0.5, 0.5)]);
}

#[test]
fn shapes_and_materials_in_the_sun() {
    let mut stage = Stage::new();
    shapes(&mut stage);
    stage.settle();
    stage.check("shapes");
}

#[test]
fn the_same_with_a_graphics_card_in_mind() {
    let mut stage = Stage::with(EngineConfig { quality: Some(Quality::High), ..EngineConfig::default() });
    shapes(&mut stage);
    stage.settle();
    stage.check("shapes-high");
}

#[test]
fn lamps_in_the_dark() {
    let mut stage = Stage::new();
    let night = Sky {
        zenith: [0.01, 0.012, 0.03],
        horizon: [0.03, 0.03, 0.06],
        ground: [0.01; 3],
        brightness: 400.0,
        ambient: 200.0,
    };
    stage.make([Component::Sky(night)]);
    stage.make(floor());
    for x in [-2.0, 0.0, 2.0] {
        stage.make([
            at(x, 0.5, 0.0),
            Component::Mesh(MeshSource::Cylinder(0.25, 1.0)),
            look(color(0.7, 0.7, 0.7)),
        ]);
    }
    stage.make([at(-1.0, 1.2, 0.8), lamp(LightKind::Point, [1.0, 0.35, 0.1], 40_000.0)]);
    let down = about([1.0, 0.0, 0.0], -1.2);
    // A parent that is squeezed and mirrored bends no light.
    let parent = stage.make([Component::Transform(hearth_abi::scene::Transform {
        scale: [-3.0, 0.0, 0.01],
        ..Default::default()
    })]);
    let spot = stage.make([turned(0.8, 0.0, 200.0, down), lamp(LightKind::Spot, [0.2, 0.5, 1.0], 400_000.0)]);
    stage.change(Change::Reparented { id: spot, parent: Some(parent) });
    let above = stage.make([turned(2.0, 4.0, 2.0, down), lamp(LightKind::Spot, [0.2, 0.5, 1.0], 400_000.0)]);
    stage.settle();
    stage.check("lamps");
    // Hidden lights are out, and so are those under something hidden.
    stage.set(above, Component::Hidden(true));
    stage.set(parent, Component::Hidden(true));
    stage.step();
    stage.check("lamps-out");
}

#[test]
fn a_mesh_of_a_lump_with_colours() {
    let mut stage = Stage::new();
    stage.make([day()]);
    stage.make(sun());
    stage.make(floor());
    let colors = [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [255, 255, 0, 255], [255; 4]];
    let pyramid = Mesh {
        positions: vec![
            [-1.0, 0.0, 1.0],
            [1.0, 0.0, 1.0],
            [1.0, 0.0, -1.0],
            [-1.0, 0.0, -1.0],
            [0.0, 1.8, 0.0],
        ],
        colors: colors.to_vec(),
        indices: vec![0, 1, 4, 1, 2, 4, 2, 3, 4, 3, 0, 4],
        ..Mesh::default()
    };
    let lump = stage.lump(pyramid.encode());
    let white = look(color(1.0, 1.0, 1.0));
    stage.make([
        turned(-1.2, 0.0, 0.0, about([0.0, 1.0, 0.0], 0.5)),
        Component::Mesh(MeshSource::Lump(lump)),
        white,
    ]);
    stage.make([at(1.6, 0.0, 0.0), Component::Mesh(MeshSource::Lump(lump))]);
    stage.settle();
    assert_eq!(stage.wanted, [lump], "asked for once");
    stage.check("mesh");
}

fn stripes(format: ImageFormat) -> Vec<u8> {
    let picture = ImageBuffer::from_fn(256, 256, |x, y| match (x / 32 % 2, y / 64 % 2) {
        (0, 0) => Rgb([230u8, 60, 40]),
        (0, _) => Rgb([240, 200, 60]),
        (_, 0) => Rgb([40, 90, 160]),
        _ => Rgb([30, 30, 40]),
    });
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// Round bumps in a grid.
fn bumps() -> Vec<u8> {
    let picture = ImageBuffer::from_fn(128, 128, |x, y| {
        let slope = |v: u32| ((v % 32) as f32 / 32.0 * std::f32::consts::TAU).sin() * 0.6;
        let (dx, dy) = (slope(x), slope(y));
        let to_byte = |v: f32| ((v * 0.5 + 0.5) * 255.0) as u8;
        Rgb([to_byte(dx), to_byte(dy), to_byte((1.0 - dx * dx - dy * dy).max(0.0).sqrt())])
    });
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

#[test]
fn textures() {
    let mut stage = Stage::new();
    stage.make([day()]);
    stage.make(sun());
    let (png, jpeg) = (stage.lump(stripes(ImageFormat::Png)), stage.lump(stripes(ImageFormat::Jpeg)));
    let bumps = stage.lump(bumps());
    let white = color(1.0, 1.0, 1.0);
    stage.make([
        Component::Mesh(MeshSource::Plane([30.0, 30.0])),
        look(Material { base_color_texture: Some(png), roughness: 0.9, ..white.clone() }),
    ]);
    for (x, material) in [
        (-2.2, Material { base_color_texture: Some(png), ..white.clone() }),
        (0.0, Material { base_color_texture: Some(jpeg), unlit: true, ..white.clone() }),
        (2.2, Material { normal_texture: Some(bumps), roughness: 0.35, ..color(0.2, 0.5, 0.3) }),
    ] {
        stage.make([turned(x, 0.9, 1.0, about([0.0, 1.0, 0.0], 0.4)), cuboid(1.3, 1.3, 1.3), look(material)]);
    }
    let glow = Material { emissive: [2.0; 3], emissive_texture: Some(jpeg), ..color(0.0, 0.0, 0.0) };
    stage.make([at(0.0, 2.6, -1.0), Component::Mesh(MeshSource::Sphere(0.7)), look(glow)]);
    stage.settle();
    assert_eq!(stage.failures, []);
    stage.check("textures");
}

/// Letters of which none looks the same in a mirror or upside down, in two rows of four, each on a ground of its own.
fn letters() -> Vec<u8> {
    const CELL: u32 = 64;
    // Five columns and seven rows of dots.
    const DOTS: [[&str; 7]; 8] = [
        ["#####", "#....", "#....", "####.", "#....", "#....", "#...."],
        ["..###", "...#.", "...#.", "...#.", "...#.", "#..#.", ".##.."],
        ["#....", "#....", "#....", "#....", "#....", "#....", "#####"],
        ["####.", "#...#", "#...#", "####.", "#....", "#....", "#...."],
        [".###.", "#...#", "#....", "#.###", "#...#", "#...#", ".###."],
        ["####.", "#...#", "#...#", "####.", "#.#..", "#..#.", "#...#"],
        ["#####", "....#", "...#.", "..##.", "....#", "#...#", ".###."],
        ["...#.", "..##.", ".#.#.", "#..#.", "#####", "...#.", "...#."],
    ];
    const GROUNDS: [[u8; 3]; 4] = [[240, 200, 60], [110, 200, 120], [120, 180, 240], [240, 140, 110]];
    let picture = ImageBuffer::from_fn(4 * CELL, 2 * CELL, |x, y| {
        let (column, row) = (x / CELL, y / CELL);
        // Dots of 7 pixels, in the middle of the cell.
        let dot = |at: u32, margin: u32| (at % CELL).checked_sub(margin).map(|at| at as usize / 7);
        let letter = &DOTS[(row * 4 + column) as usize];
        let is_ink = dot(y, 7)
            .and_then(|line| letter.get(line))
            .zip(dot(x, 14))
            .is_some_and(|(line, dot)| line.as_bytes().get(dot) == Some(&b'#'));
        let ground = GROUNDS[((column + 2 * row) % 4) as usize];
        Rgb(if is_ink { [20, 20, 30] } else { ground })
    });
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

#[test]
fn a_texture_lies_upright_on_all_shapes() {
    let mut stage = Stage::new();
    stage.make([day()]);
    stage.make_by(
        common::PEER,
        Scope::Local,
        [at(0.0, 0.0, 12.0), Component::Camera(Camera { fov_y: 0.42, ..Camera::default() })],
    );
    let letters = stage.lump(letters());
    let paper = Material { base_color_texture: Some(letters), unlit: true, ..color(1.0, 1.0, 1.0) };
    let half = std::f32::consts::PI;
    // Each from the front; tilted, so that one sees the top; tilted the other way; and from behind.
    for (y, turn) in [
        (1.8, about([1.0, 0.0, 0.0], 0.0)),
        (0.6, about([1.0, 0.0, 0.0], 0.9)),
        (-0.6, about([1.0, 0.0, 0.0], -0.9)),
        (-1.8, about([0.0, 1.0, 0.0], half)),
    ] {
        for (x, shape) in [
            (-3.2, MeshSource::Cuboid([1.0, 0.7, 0.7])),
            (-1.6, MeshSource::Sphere(0.5)),
            (0.0, MeshSource::Cylinder(0.4, 0.8)),
            (1.6, MeshSource::Torus(0.45, 0.2)),
            (3.2, MeshSource::Plane([1.0, 1.0])),
        ] {
            stage.make([turned(x, y, 0.0, turn), Component::Mesh(shape), look(paper.clone())]);
        }
    }
    stage.settle();
    assert_eq!(stage.failures, []);
    stage.check("textures-on-shapes");
}

#[test]
fn what_does_not_load_is_seen_and_told() {
    let mut stage = Stage::new();
    stage.make([day()]);
    stage.make(sun());
    stage.make(floor());
    let no_mesh = stage.lump(*b"HMSH but no mesh");
    let no_texture = stage.lump(*b"no picture");
    let nowhere = stage.answer(Err("nobody has it".into()));
    let white = color(1.0, 1.0, 1.0);
    let a = stage.make([at(-2.0, 0.6, 0.0), Component::Mesh(MeshSource::Lump(no_mesh)), look(white.clone())]);
    let textured = look(Material { base_color_texture: Some(no_texture), ..white });
    let b = stage.make([at(0.0, 0.6, 0.0), Component::Mesh(MeshSource::Sphere(0.6)), textured]);
    let c = stage.make([at(2.0, 0.6, 0.0), Component::Model(nowhere)]);
    stage.settle();
    let mut failures = stage.failures.clone();
    failures.sort_by_key(|(entities, ..)| entities.clone());
    assert_eq!(failures.len(), 3);
    assert_eq!((&failures[0].0, failures[0].1), (&vec![a], no_mesh));
    assert_eq!(failures[1], (vec![b], no_texture, "none of PNG, JPEG, WebP, Radiance HDR and KTX2".into()));
    assert_eq!(failures[2], (vec![c], nowhere, "nobody has it".into()));
    stage.check("failed");

    // Somebody has it after all.
    stage.control.send(Command::Lump { id: nowhere, bytes: Ok(two_boxes().bytes().into()) }).unwrap();
    stage.settle();
    let picture = stage.picture();
    let [red, green, blue] = pixel(&picture, 386, 140);
    assert!(red < 200 || green > 60 || blue < 200, "still magenta: {red} {green} {blue}");
    stage.check("recovered");
}

#[test]
fn what_is_on_its_way_has_a_stand_in_and_what_is_unused_is_let_go() {
    let mut stage = Stage::new();
    let id = hearth_abi::LumpId([0xEE; 32]);
    stage.make([day()]);
    stage.make(sun());
    stage.make(floor());
    let entity = stage.make([at(0.0, 1.0, 2.0), Component::Mesh(MeshSource::Lump(id))]);
    stage.grow_impatient();
    assert_eq!(stage.wanted, [id]);
    stage.check("pending");

    let triangle = Mesh {
        positions: vec![[-0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.0, 0.5, 0.0]],
        indices: vec![0, 1, 2],
        ..Mesh::default()
    };
    let answer = || Command::Lump { id, bytes: Ok(triangle.encode().into()) };
    stage.control.send(answer()).unwrap();
    stage.settle();
    // Let go, and needed anew: it is asked for again.
    stage.change(Change::Unset { id: entity, kind: ComponentKind::Mesh });
    stage.step();
    stage.set(entity, Component::Mesh(MeshSource::Lump(id)));
    stage.step();
    assert_eq!(stage.wanted, [id, id]);

    // A load holds it over the same.
    let (tell, told) = mpsc::sync_channel(16);
    let load = |class: &str, tell: mpsc::SyncSender<_>| Command::Load {
        class: class.into(),
        id,
        done: Box::new(move |result| drop(tell.send(result))),
    };
    stage.control.send(load("Mesh", tell.clone())).unwrap();
    stage.control.send(answer()).unwrap();
    stage.settle();
    assert_eq!(told.try_recv(), Ok(Ok(())));
    stage.change(Change::Removed { id: entity });
    stage.step();
    stage.control.send(load("Mesh", tell.clone())).unwrap();
    stage.step();
    assert_eq!((told.try_recv(), stage.wanted.len()), (Ok(Ok(())), 2));
    for _ in 0..2 {
        stage.control.send(Command::Drop { class: "Mesh".into(), id }).unwrap();
    }
    stage.step();
    stage.control.send(load("Mesh", tell.clone())).unwrap();
    stage.step();
    assert_eq!(stage.wanted.len(), 3);
    // What is still waited for when the engine ends is answered too.
    stage.control.send(load("Texture", tell.clone())).unwrap();
    stage.control.send(load("Poem", tell)).unwrap();
    stage.step();
    assert_eq!(told.try_recv(), Ok(Err("a picture has no assets of class `Poem`".into())));
    drop(stage);
    let last: Vec<_> = told.iter().collect();
    assert_eq!(last, [Err("the engine has ended".into()), Err("the engine has ended".into())]);
}

#[test]
fn parents_hiding_and_billboards() {
    let mut stage = Stage::new();
    stage.make([day()]);
    stage.make(sun());
    stage.make(floor());
    let red = || look(color(0.7, 0.05, 0.05));
    let blue = || look(color(0.05, 0.1, 0.7));
    // A child is placed, turned and scaled by its parent.
    let parent = stage.make([
        Component::Transform(
            hearth_abi::scene::Transform::at(-2.5, 0.5, 0.0).rotated(about([0.0, 1.0, 0.0], 0.8)).scaled(0.7),
        ),
        cuboid(1.0, 1.0, 1.0),
        red(),
    ]);
    let child = stage.make([at(0.0, 1.0, 0.0), cuboid(0.6, 0.6, 0.6), blue()]);
    stage.change(Change::Reparented { id: child, parent: Some(parent) });
    // Hidden with all below it.
    let hidden = stage.make([at(0.0, 0.5, 0.0), cuboid(1.0, 1.0, 1.0), red(), Component::Hidden(true)]);
    let below = stage.make([at(0.0, 1.0, 0.0), cuboid(0.6, 0.6, 0.6), blue()]);
    stage.change(Change::Reparented { id: below, parent: Some(hidden) });
    // A board that would stand edge on, under a parent that is turned away.
    let stand = stage.make([turned(2.5, 0.7, 1.0, about([0.0, 1.0, 0.0], 1.7))]);
    let board = stage.make([
        turned(0.0, 0.3, 0.0, about([0.0, 1.0, 0.0], -0.9)),
        cuboid(1.2, 0.8, 0.02),
        look(Material { unlit: true, ..color(0.9, 0.7, 0.1) }),
        Component::Billboard(Billboard::AboutY),
    ]);
    stage.change(Change::Reparented { id: board, parent: Some(stand) });
    stage.settle();
    stage.check("tree");

    stage.set(hidden, Component::Hidden(false));
    stage.change(Change::Reparented { id: child, parent: None });
    stage.change(Change::Unset { id: board, kind: ComponentKind::Billboard });
    stage.step();
    stage.check("tree-after");

    stage.change(Change::Removed { id: child });
    stage.change(Change::Removed { id: below });
    stage.change(Change::Removed { id: hidden });
    let before = stage.entities;
    stage.step();
    assert_eq!(stage.entities, before - 3);
}

#[test]
fn the_local_camera_of_highest_priority_is_the_eye() {
    let mut stage = Stage::new();
    shapes(&mut stage);
    let eye = |priority| Component::Camera(Camera { priority, fov_y: 0.7, ..Camera::default() });
    let above = turned(0.0, 9.0, 0.0, about([1.0, 0.0, 0.0], -std::f32::consts::FRAC_PI_2));
    stage.make_by(common::PEER, Scope::Local, [at(0.0, 1.0, 8.0), eye(1)]);
    let best = stage.make_by(common::PEER, Scope::Local, [above.clone(), eye(5)]);
    // A camera that everybody sees is nobody's eye.
    stage.make([at(0.0, 0.1, 0.0), eye(9)]);
    stage.settle();
    stage.check("from-above");
    stage.change(Change::Unset { id: best, kind: ComponentKind::Camera });
    stage.step();
    stage.check("from-afar");
}

#[test]
fn before_there_is_a_scene_there_is_a_calm_picture() {
    let mut stage = Stage::new();
    (0..3).for_each(|_| drop(stage.step()));
    stage.check("waiting");
}

#[test]
fn a_sky_may_change() {
    let mut stage = Stage::new();
    let sky = stage.make([day()]);
    stage.make(floor());
    let metal = Material { metallic: 1.0, roughness: 0.05, ..color(0.95, 0.95, 0.95) };
    stage.make([at(-1.0, 1.0, 1.0), Component::Mesh(MeshSource::Sphere(1.0)), look(metal)]);
    stage.make([at(1.4, 1.0, 1.0), Component::Mesh(MeshSource::Sphere(1.0)), look(color(0.8, 0.8, 0.8))]);
    stage.settle();
    stage.check("sky-day");
    let dusk = Sky {
        zenith: [0.05, 0.05, 0.2],
        horizon: [1.0, 0.35, 0.1],
        ground: [0.05, 0.04, 0.04],
        brightness: 800.0,
        ambient: 600.0,
    };
    stage.set(sky, Component::Sky(dusk));
    stage.step();
    stage.check("sky-dusk");
}
