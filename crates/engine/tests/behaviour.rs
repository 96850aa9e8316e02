// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the engine does beside looking right: the pace of changes, of motion, of commands; and what it
//! bears.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod common;

use common::{Stage, about, apart, at, color, cuboid, day, floor, glb::Glb, look, sun, turned};
use hearth_abi::{
    EntityId, LumpId, PeerId, input,
    mesh::Mesh,
    scene::{Billboard, Camera, Component, Light, LightKind, Material, MeshSource, Scope, Sky, Transform},
};
use hearth_engine::{
    COMMANDS_MAX, Command, EVENTS_MAX, EVENTS_RESERVE, EngineConfig, Event, Picture, SendError, channel, run,
};
use hearth_scene::{Change, Owner};
use serde_json::json;
use std::{sync::mpsc, thread, time::Duration};

/// Where the red thing is: the mean column of red pixels.
fn red_column(picture: &Picture) -> f32 {
    let mut sum = 0.0;
    let mut count = 0.0f32;
    for (i, pixel) in picture.rgba.chunks_exact(4).enumerate() {
        if pixel[0] > 180 && pixel[1] < 90 {
            sum += (i as u32 % picture.width) as f32;
            count += 1.0;
        }
    }
    assert!(count > 20.0, "nothing red is seen");
    sum / count
}

fn red_ball(stage: &mut Stage, peer: u32, scope: Scope) -> EntityId {
    let red = Material { unlit: true, ..color(1.0, 0.0, 0.0) };
    stage.make_by(peer, scope, [at(-2.0, 1.7, 0.0), Component::Mesh(MeshSource::Sphere(0.3)), look(red)])
}

#[test]
fn what_others_move_glides_and_what_is_ours_is_there_at_once() {
    let mut stage = Stage::new();
    let others = red_ball(&mut stage, 7, Scope::Shared);
    stage.settle();
    let start = red_column(&stage.picture());
    stage.set(others, at(0.0, 1.7, 0.0));
    let between = red_column(&stage.picture());
    (0..30).for_each(|_| drop(stage.step()));
    let end = red_column(&stage.picture());
    assert!(end > start + 60.0, "{start} {end}");
    assert!(between < start + (end - start) * 0.5, "it jumped: {start} {between} {end}");

    // Too far to have been a step.
    stage.set(others, at(-2.0, 1.7, -6.0));
    let jumped = red_column(&stage.picture());
    (0..30).for_each(|_| drop(stage.step()));
    assert_eq!(jumped, red_column(&stage.picture()));

    for scope in [Scope::Shared, Scope::Local] {
        let mut stage = Stage::new();
        let ours = red_ball(&mut stage, common::PEER, scope);
        stage.settle();
        stage.set(ours, at(0.0, 1.7, 0.0));
        let at_once = red_column(&stage.picture());
        assert!((at_once - end).abs() < 1.0, "{scope:?}: {at_once}, not {end}");
    }
}

#[test]
fn ten_thousand_entities_come_a_part_at_a_time() {
    let mut stage = Stage::new();
    let owner = Owner::Space;
    let ids: Vec<EntityId> =
        (1..=10_000).map(|i| EntityId::new(PeerId::new(3).unwrap(), i).unwrap()).collect();
    for (i, id) in ids.iter().enumerate() {
        stage.change(Change::Created { id: *id, scope: Scope::Shared, owner });
        stage.set(*id, at((i % 100) as f32 - 50.0, 0.0, -((i / 100) as f32)));
        stage.set(*id, cuboid(0.5, 0.5, 0.5));
    }
    let mut grown = vec![0];
    for _ in 0..500 {
        stage.step();
        grown.push(stage.entities);
        if stage.entities == ids.len() {
            break;
        }
    }
    assert_eq!(stage.entities, ids.len());
    // Three changes to an entity, 4096 changes a picture.
    let most = grown.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(most <= 4096, "{most} in one picture");
    // A picture asked for after them shows them all.
    for id in &ids {
        stage.change(Change::Removed { id: *id });
    }
    stage.picture();
    assert_eq!(stage.entities, 0);
}

#[test]
fn no_scene_harms_the_engine() {
    let mut stage = Stage::new();
    let huge = Transform {
        translation: [f32::MAX, f32::MIN, f32::MAX],
        rotation: [0.0, 0.0, 0.0, 1.04],
        scale: [f32::MAX, f32::MIN_POSITIVE, -f32::MAX],
    };
    let nothing = Transform { translation: [0.0; 3], rotation: [0.6, 0.0, 0.8, 0.0], scale: [0.0; 3] };
    let bright = f32::MAX;
    let lights = [LightKind::Directional, LightKind::Point, LightKind::Spot].map(|kind| Light {
        kind,
        shadows: true,
        color: [bright, -bright, 0.0],
        intensity: bright,
        range: bright,
        inner_angle: 0.0,
        outer_angle: 0.0,
    });
    let loud = Material {
        base_color: [bright, -bright, bright, -bright],
        metallic: -bright,
        roughness: bright,
        emissive: [bright; 3],
        blend: true,
        ..Material::default()
    };
    for place in [huge, nothing, Transform::IDENTITY] {
        // Deep chains multiply what is large, and what is small.
        let mut parent = None;
        for depth in 0..12 {
            let scope = if depth % 2 == 0 { Scope::Local } else { Scope::Shared };
            let id = stage.make_by(common::PEER, scope, [Component::Transform(place)]);
            stage.change(Change::Reparented { id, parent });
            stage.set(id, cuboid(f32::MAX, f32::MIN_POSITIVE, 1.0));
            stage.set(id, look(loud.clone()));
            stage.set(id, Component::Light(lights[depth % 3]));
            stage.set(id, Component::Billboard(Billboard::AboutY));
            stage.set(
                id,
                Component::Camera(Camera {
                    fov_y: if depth % 3 == 0 { f32::MIN_POSITIVE } else { 3.0 },
                    near: f32::MIN_POSITIVE,
                    far: f32::MAX,
                    exposure_ev100: if depth % 4 == 0 { -bright } else { bright },
                    priority: depth as i32,
                }),
            );
            parent = Some(id);
        }
        stage.step();
        stage.picture();
    }
    stage.make([Component::Sky(Sky {
        zenith: [bright; 3],
        horizon: [-bright; 3],
        ground: [bright, 0.0, -bright],
        brightness: bright,
        ambient: bright,
    })]);
    stage.make([Component::Name("ü".repeat(100))]);
    (0..5).for_each(|_| drop(stage.step()));
    stage.picture();

    // Changes that no scene makes: of what is not there, twice, under itself.
    let ghost = EntityId::from_bits(u64::MAX);
    stage.change(Change::Removed { id: ghost });
    stage.set(ghost, at(0.0, 0.0, 0.0));
    stage.change(Change::Reparented { id: ghost, parent: Some(ghost) });
    let twice = stage.make([cuboid(1.0, 1.0, 1.0)]);
    stage.change(Change::Created { id: twice, scope: Scope::Shared, owner: Owner::Space });
    stage.change(Change::Reparented { id: twice, parent: Some(ghost) });
    // A parent that goes before its child.
    let parent = stage.make([at(0.0, 0.0, 0.0), Component::Light(lights[1])]);
    let child = stage.make([at(0.0, 0.0, 0.0), Component::Light(lights[2])]);
    stage.change(Change::Reparented { id: child, parent: Some(parent) });
    stage.change(Change::Removed { id: parent });
    stage.set(child, at(1.0, 0.0, 0.0));
    stage.set(child, cuboid(1.0, 1.0, 1.0));
    stage.set(child, Component::Hidden(true));
    stage.set(child, Component::Light(lights[0]));
    stage.change(Change::Removed { id: child });
    stage.step();
    stage.picture();
}

#[test]
fn pictures_come_from_the_loop_too_and_the_engine_ends_when_told() {
    let (control, end) = channel();
    let config = EngineConfig { headless: true, size: [64, 48], ..EngineConfig::default() };
    let engine = thread::spawn(move || run(config, end));
    let (tell, told) = mpsc::sync_channel(16);
    control.send(Command::Screenshot(Box::new(move |picture| drop(tell.send(picture))))).unwrap();
    let picture = told.recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
    assert_eq!((picture.width, picture.height, picture.rgba.len()), (64, 48, 64 * 48 * 4));
    assert!(picture.rgba.chunks_exact(4).any(|pixel| pixel[..3] != [0; 3]), "it is black");
    let png = image::load_from_memory(&picture.to_png().unwrap()).unwrap().into_rgba8();
    assert_eq!(png.into_raw(), picture.rgba);
    // Without a window there is no pointer to hold.
    control.send(Command::CapturePointer(true)).unwrap();
    let mut frames = 0;
    loop {
        match control.event_timeout(Duration::from_secs(60)).unwrap() {
            Event::Input(input::Event::Captured(on)) => break assert!(!on),
            Event::Input(input::Event::Frame { size, .. }) => {
                frames += 1;
                assert_eq!(size, [64, 48]);
            }
            _ => {}
        }
    }
    assert!(frames > 0);
    control.send(Command::Quit).unwrap();
    engine.join().unwrap().unwrap();
    assert!(control.has_ended());
    let late = control.send(Command::Quit).unwrap_err();
    assert!(matches!(late, SendError::Ended(Command::Quit)));

    // Nobody is left to show pictures to.
    let (control, end) = channel();
    let config = EngineConfig { headless: true, size: [64, 48], ..EngineConfig::default() };
    drop(control);
    run(config, end).unwrap();
}

#[test]
fn pictures_asked_for_together_are_one() {
    let mut stage = Stage::new();
    stage.make(floor());
    stage.settle();
    let (tell, told) = mpsc::sync_channel(16);
    for _ in 0..3 {
        let tell = tell.clone();
        let done = Box::new(move |picture| drop(tell.send(picture)));
        stage.control.send(Command::Screenshot(done)).unwrap();
    }
    let pictures: Vec<Picture> = std::iter::repeat_with(|| {
        stage.step();
        told.try_recv().ok()
    })
    .take(100)
    .flatten()
    .map(Result::unwrap)
    .collect();
    // One try in each step, so that all must be there long before the last.
    assert_eq!(pictures.len(), 3);
    assert!(pictures.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn another_peer_takes_over_and_nothing_of_the_one_before_is_left() {
    let mut stage = Stage::new();
    let nothing = stage.lump(*b"no mesh");
    let ours = red_ball(&mut stage, common::PEER, Scope::Local);
    // Behind the eye: what stands in for it is no part of the picture.
    stage.make([at(0.0, 1.0, 50.0), Component::Mesh(MeshSource::Lump(nothing))]);
    let (tell, told) = mpsc::sync_channel(1);
    let done = Box::new(move |result| drop(tell.send(result)));
    let waits = hearth_abi::LumpId([200; 32]);
    stage.control.send(Command::Load { class: "Texture".into(), id: waits, done }).unwrap();
    stage.until("the lumps are asked for", |stage| stage.wanted.len() == 2);
    let before = red_column(&stage.picture());
    assert_eq!(stage.entities, 2);

    // As long as the other has sent nothing, what was there stays.
    let title = "Hearth: ada".to_owned();
    stage.control.send(Command::HandOver { peer: PeerId::new(7).unwrap(), title }).unwrap();
    (0..5).for_each(|_| drop(stage.step()));
    assert_eq!(stage.entities, 2);
    assert!(told.try_recv().is_err());

    // Then it is gone, also what has the same id now; and what the other moves is there at once.
    stage.change(Change::Created { id: ours, scope: Scope::Shared, owner: Owner::Space });
    stage.step();
    assert_eq!(stage.entities, 1);
    assert!(told.try_recv().unwrap().is_err(), "nobody waits for what another peer asked for");
    let theirs = red_ball(&mut stage, 7, Scope::Shared);
    assert!((red_column(&stage.picture()) - before).abs() < 1.0);
    stage.set(theirs, at(0.0, 1.7, 0.0));
    let at_once = red_column(&stage.picture());
    stage.step();
    assert_eq!(at_once, red_column(&stage.picture()), "it glides");
    // Also lumps are asked for anew.
    stage.wanted.clear();
    stage.make_by(7, Scope::Shared, [Component::Mesh(MeshSource::Lump(nothing))]);
    stage.make_by(7, Scope::Shared, [Component::Model(waits)]);
    stage.until("they are asked for again", |stage| stage.wanted == [nothing, waits]);
}

#[test]
fn a_full_queue_is_an_answer() {
    let (control, end) = channel();
    for _ in 0..COMMANDS_MAX {
        control.send(Command::CapturePointer(false)).unwrap();
    }
    let Err(SendError::Full(Command::Quit)) = control.send(Command::Quit) else {
        panic!("the queue has no end");
    };
    // Who waits for an answer gets one when the engine goes.
    let (control, waiting) = {
        drop(end);
        let (control, end) = channel();
        let (tell, told) = mpsc::sync_channel(16);
        control.send(Command::Screenshot(Box::new(move |picture| drop(tell.send(picture))))).unwrap();
        drop(end);
        (control, told)
    };
    assert_eq!(waiting.recv().unwrap().unwrap_err(), "the engine has ended");
    assert_eq!(control.event_timeout(Duration::from_secs(1)), None);
}

#[test]
fn events_that_nobody_reads_are_bounded() {
    let mut stage = Stage::new();
    stage.make([day()]);
    stage.make(sun());
    stage.make(floor());
    stage.make([
        at(0.0, 1.0, 0.0),
        Component::Transform(Transform::IDENTITY.rotated(about([0.0, 1.0, 0.0], 1.0))),
    ]);
    stage.send();
    for _ in 0..EVENTS_MAX {
        stage.engine.step().unwrap();
    }
    let mut events: Vec<Event> = std::iter::from_fn(|| stage.control.try_event()).collect();
    assert!(events.len() <= EVENTS_MAX + EVENTS_RESERVE, "{}", events.len());
    assert_eq!(stage.control.events_lost(), 0, "frames that nobody reads are no loss");
    // The first ones are there, the last ones were dropped.
    events.retain(|event| matches!(event, Event::FrameShown { .. }));
    assert!(matches!(events[0], Event::FrameShown { number: 1, .. }));
}

/// A hilly cloth of so many squares along z from one row on, of which there are 300 along x.
fn cloth(rows: std::ops::Range<u32>) -> Vec<u8> {
    const ROW: u32 = 301;
    let mut mesh = Mesh::default();
    for z in rows.start..=rows.end {
        for x in 0..ROW {
            let [u, v] = [x, z].map(|i| i as f32 / 300.0);
            let (height, slope) = ((u * 12.0).sin() * 0.2, (u * 12.0).cos() * 2.4);
            mesh.positions.push([u * 4.0 - 2.0, height, v * 4.0 - 2.0]);
            let length = (slope * slope / 16.0 + 1.0).sqrt();
            mesh.normals.push([-slope / 4.0 / length, 1.0 / length, 0.0]);
        }
    }
    for z in 0..rows.end - rows.start {
        for x in 0..ROW - 1 {
            let i = z * ROW + x;
            mesh.indices.extend([i, i + ROW, i + 1, i + 1, i + ROW, i + ROW + 1]);
        }
    }
    mesh.encode()
}

/// Squares of two colours, 32 along an edge.
fn squares(size: u32) -> Vec<u8> {
    let square = size / 32;
    let picture = image::RgbImage::from_fn(size, size, |x, y| {
        let even = (x / square + y / square).is_multiple_of(2);
        image::Rgb(if even { [230, 180, (x * 255 / size) as u8] } else { [20, (y * 255 / size) as u8, 90] })
    });
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

/// What goes to the graphics card in pieces looks as what goes there at once.
#[test]
fn what_is_large_looks_as_what_is_small() {
    let show = |meshes: Vec<Vec<u8>>, texture: u32| {
        let mut stage = Stage::new();
        stage.make([day()]);
        stage.make(sun());
        for mesh in meshes {
            let lump = stage.lump(mesh);
            let place = [at(-1.2, 0.6, 0.0), Component::Mesh(MeshSource::Lump(lump))];
            stage.make(place.into_iter().chain([look(color(0.3, 0.6, 0.4))]));
        }
        let lump = stage.lump(squares(texture));
        let board = Material { base_color_texture: Some(lump), unlit: true, ..color(1.0, 1.0, 1.0) };
        stage.make([at(2.0, 2.0, 0.0), cuboid(1.6, 1.6, 0.1), look(board.clone())]);
        stage.make([at(1.6, 2.0, -20.0), cuboid(1.6, 1.6, 0.1), look(board)]);
        stage.settle();
        assert_eq!(stage.failures, []);
        stage.picture()
    };
    let small = show(vec![cloth(0..150), cloth(150..300)], 1024);
    // More than 65,536 vertices, and more than 8 MiB with the smaller copies.
    let large = show(vec![cloth(0..300)], 2048);
    assert!(apart(&small, &large) < 0.1, "{}", apart(&small, &large));
    let neither = show(vec![], 32);
    assert!(apart(&neither, &large) > 2.0, "{}", apart(&neither, &large));
}

/// A KTX2 file of BC1 blocks with one level: red above, green below.
fn blocks(width: u32, height: u32) -> Vec<u8> {
    let block = |color: u16| [color.to_le_bytes(), color.to_le_bytes(), [0; 2], [0; 2]].concat();
    let half = (width / 4 * height / 8) as usize;
    let level = [block(0xf800).repeat(half), block(0x07e0).repeat(half)].concat();
    let mut out = b"\xABKTX 20\xBB\r\n\x1A\n".to_vec();
    for word in [134, 1, width, height, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0] {
        out.extend(word.to_le_bytes());
    }
    for word in [104u64, level.len() as u64, level.len() as u64] {
        out.extend(word.to_le_bytes());
    }
    out.extend(level);
    out
}

/// Rows of blocks follow as rows of pixels do.
#[test]
fn large_textures_of_blocks_come_whole() {
    let show = |file: Vec<u8>| {
        let mut stage = Stage::new();
        stage.make([day()]);
        let lump = stage.lump(file);
        let board = Material { base_color_texture: Some(lump), unlit: true, ..color(1.0, 1.0, 1.0) };
        stage.make([at(0.0, 1.7, 2.0), cuboid(2.0, 2.0, 0.1), look(board)]);
        stage.settle();
        (stage.failures.clone(), stage.picture())
    };
    let (failures, small) = show(blocks(64, 64));
    if !failures.is_empty() {
        // The adapter shows no such blocks.
        assert!(failures[0].2.contains("BC1"), "{failures:?}");
        return;
    }
    // 16 MiB.
    let (failures, large) = show(blocks(8192, 4096));
    assert_eq!(failures, []);
    assert!(apart(&small, &large) < 0.5, "{}", apart(&small, &large));
    let (above, below) = (common::pixel(&large, 240, 100), common::pixel(&large, 240, 170));
    assert!(above[0] > 150 && above[1] < 90 && below[1] > 150 && below[0] < 90, "{above:?} {below:?}");
}

/// A large lump that nobody wants any more while it goes to the graphics card, and one that comes after.
#[test]
fn what_is_given_up_half_way_is_gone() {
    let mut stage = Stage::new();
    let lump = stage.lump(squares(4096));
    let board = |lump| Material { base_color_texture: Some(lump), ..color(1.0, 1.0, 1.0) };
    for _ in 0..3 {
        let id = stage.make([at(0.0, 1.7, 0.0), cuboid(1.0, 1.0, 0.1), look(board(lump))]);
        // Until it is decoded, and some of its 85 MiB were given.
        stage.until("it is on its way", |stage| stage.wanted.last() == Some(&lump));
        (0..20).for_each(|_| drop(stage.step()));
        stage.change(Change::Removed { id });
        (0..3).for_each(|_| drop(stage.step()));
    }
    let small = stage.lump(squares(64));
    stage.make([at(0.0, 1.7, 0.0), cuboid(1.0, 1.0, 0.1), look(board(small))]);
    stage.settle();
    assert_eq!(stage.failures, []);
}

/// A model of three lumps: its text, its buffer, and its picture.
#[test]
fn a_model_may_be_of_several_lumps() {
    let picture = squares(64);
    let boxed = || {
        let mut glb = Glb::new();
        let sampler = glb.texture(&picture, json!({}));
        let material = json!({ "pbrMetallicRoughness": { "baseColorTexture": { "index": sampler }, "metallicFactor": 0 } });
        let mesh = glb.cuboid_mesh([1.6; 3], material);
        glb.root(json!({ "mesh": mesh }));
        glb
    };
    let place = || turned(0.0, 1.4, 2.0, about([0.0, 1.0, 0.0], 0.5));
    let lit = || {
        let mut stage = Stage::new();
        stage.make([day()]);
        stage.make(sun());
        stage.make(floor());
        stage
    };
    let show = |stage: &mut Stage, model: LumpId| stage.make([place(), Component::Model(model)]);
    let mut whole = lit();
    let lump = whole.lump(boxed().bytes());
    show(&mut whole, lump);
    whole.settle();
    let expect = whole.picture();

    let mut stage = lit();
    let image = stage.lump(picture.clone());
    let mut glb = boxed();
    glb.json["images"][0] = json!({ "uri": format!("lump:{image}") });
    // The buffer's place is known before its bytes are.
    let buffer = stage.lump(glb.parted("").1);
    let (text, _) = glb.parted(&format!("lump:{buffer}"));
    let model = stage.lump(text);
    let first = show(&mut stage, model);
    stage.settle();
    assert_eq!(stage.failures, []);
    let mut wanted = stage.wanted.clone();
    wanted.sort();
    assert_eq!(wanted, [image, buffer, model]);
    assert!(apart(&stage.picture(), &expect) < 0.02);
    // A second one shows the same; when both are gone all is asked for anew.
    let second = show(&mut stage, model);
    stage.settle();
    assert_eq!(stage.wanted.len(), 3);
    [first, second].into_iter().for_each(|id| stage.change(Change::Removed { id }));
    stage.settle();
    let third = show(&mut stage, model);
    stage.settle();
    assert_eq!(stage.wanted.len(), 6);
    stage.change(Change::Removed { id: third });

    // One whose buffer nobody has, whose buffer is too short, and which names none.
    let missing = stage.answer(Err("nobody has it".into()));
    let short = stage.lump(vec![0; 8]);
    let [text, cut, none] = [format!("lump:{missing}"), format!("lump:{short}"), "lump:abc".to_owned()]
        .map(|uri| boxed().parted(&uri).0)
        .map(|text| stage.lump(text));
    let ids = [text, cut, none].map(|model| show(&mut stage, model));
    stage.settle();
    let mut reasons: Vec<_> =
        stage.failures.iter().map(|(ids, _, reason)| (ids[0], reason.as_str())).collect();
    reasons.sort();
    let nobody = format!("it refers to lump {missing}: nobody has it");
    assert_eq!(
        reasons,
        [
            (ids[0], &*nobody),
            (ids[1], "buffer 0 is longer than its bytes"),
            (ids[2], "`lump:abc` names no lump")
        ]
    );
    // It comes after all.
    let bytes = boxed().parted("").1;
    stage.control.send(Command::Lump { id: missing, bytes: Ok(bytes.into()) }).unwrap();
    stage.until("it is asked for again", |stage| stage.wanted.iter().filter(|id| **id == text).count() == 2);
}
