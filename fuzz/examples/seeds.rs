// SPDX-License-Identifier: AGPL-3.0-or-later
//! Writes the seeds that are made by code into `corpus/`. Those that fuzzing found are added by hand.
#![allow(clippy::unwrap_used, reason = "a tool of developers fails by panicking")]
#![allow(clippy::print_stdout, reason = "it tells what it writes")]

use hearth_abi::{
    EntityId, Errno, LumpId, PeerId, ProcessId, TerminalId,
    cast::{self, Cast},
    exit::{ExitKind, Reason},
    input::{Event, Press, key},
    keyboard,
    mesh::{Mesh, MorphTarget},
    pointer::{self, Wants},
    scene::{
        self, Animation, Billboard, Camera, ColorGrading, Component, ComponentKind, Environment, Fog, Layers,
        Light, LightKind, Lines, Listener, Material, MeshSource, Mirror, ModelNode, MorphWeights, Op,
        Particles, Scope, Skin, Sky, Text, TextureTransform, Transform, View, VisibilityRange, encode_batch,
    },
    screen::{Cursor, CursorShape, Extra, Numbers, Screen, encode_update, style},
    signal::{Header, Kind, encode_args},
    terminal::{Command, Modifiers, Pointer, PointerAction, Stroke, Theme},
};
use hearth_fuzz::TARGETS;
use hearth_protocol::{bulk, control, hot, screen};
use hearth_scene::{
    Owner,
    wire::{Down, Refusal, SnapshotEntity, Up},
};
use std::{fs, path::Path};

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn entity(serial: u64) -> EntityId {
    EntityId::new(PeerId::new(1).unwrap(), serial).unwrap()
}

fn process(serial: u64) -> ProcessId {
    ProcessId::new(PeerId::new(1).unwrap(), serial).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn components() -> Vec<Component> {
    let lump = LumpId([7; 32]);
    vec![
        Component::Transform(Transform::at(1.0, 2.0, 3.0)),
        Component::Name("bench".into()),
        Component::Text(Box::new(Text { text: "in a font".into(), face: lump.into(), ..Text::default() })),
        Component::Mesh(MeshSource::Lump(lump)),
        Component::Material(Box::new(Material { normal_texture: Some(lump), ..Material::default() })),
        Component::Light(Light {
            kind: LightKind::Spot,
            shadows: true,
            color: [1.0, 0.5, 0.25],
            intensity: 800.0,
            range: 10.0,
            inner_angle: 0.3,
            outer_angle: 0.5,
        }),
        Component::Sky(Sky {
            zenith: [0.1; 3],
            horizon: [0.5; 3],
            ground: [0.2; 3],
            brightness: 1000.0,
            ambient: 80.0,
        }),
        Component::Camera(Camera::default()),
        Component::Model(lump),
        Component::Billboard(Billboard::AboutY),
        Component::Hidden(true),
        Component::Material(Box::new(Material {
            alpha_cutoff: Some(0.5),
            emissive_strength: 2.0,
            normal_scale: 0.5,
            occlusion_texture: Some(lump),
            clearcoat: 1.0,
            transmission: 0.5,
            ior: 1.33,
            thickness: 0.1,
            texture_transform: TextureTransform { rotation: 1.0, ..TextureTransform::IDENTITY },
            specular: 0.5,
            anisotropy: 0.5,
            second_uvs: 31,
            ..Material::default()
        })),
        Component::Animation(Box::new(Animation { start_ns: 1, ..Animation::of("walk") })),
        Component::Animation(Box::new(Animation { blend: 0.5, paused: true, ..Animation::of(3) })),
        Component::Animation(Box::new(Animation::of("walk").in_lump(lump))),
        Component::Node(Box::new(ModelNode::follow("hand.R"))),
        Component::Environment(Environment { lump, brightness: 1.0, ambient: 2.0, rotation: 3.0 }),
        Component::Pointer(Wants::HOVER.and(Wants::PRESS)),
        Component::Keyboard(true),
        Component::Fog(Fog::new(40.0, 100.0)),
        Component::ColorGrading(ColorGrading::default()),
        Component::Lines(Box::new(Lines::through([[0.0; 3], [1.0; 3]]))),
        Component::Particles(Box::new(Particles { texture: Some(lump), ..Particles::default() })),
        Component::View(View::default()),
        Component::Screen(scene::Screen::of(entity(2))),
        Component::VisibilityRange(VisibilityRange { start: 0.0, end: 20.0 }),
        Component::Skin(Box::new(Skin { joints: vec![entity(5), entity(6)] })),
        Component::MorphWeights(Box::new(MorphWeights { weights: vec![0.5] })),
        Component::Layers(Layers::of(&[1, 4])),
        Component::Mirror(Mirror::default()),
        Component::Listener(Listener { priority: 1 }),
    ]
}

fn scene_ops() -> Seeds {
    let (a, b, c) = (entity(1), entity(2), entity(3));
    let mut all = vec![Op::Create(a, Scope::Shared)];
    all.extend(components().into_iter().map(|component| Op::Set(a, component)));
    all.extend(ComponentKind::ALL.iter().map(|kind| Op::Unset(a, *kind)));
    let shapes = [
        MeshSource::Cuboid([1.0, 2.0, 3.0]),
        MeshSource::Sphere(0.5),
        MeshSource::Cylinder(0.5, 2.0),
        MeshSource::Plane([4.0, 5.0]),
        MeshSource::Torus(1.0, 0.2),
    ];
    all.extend(shapes.into_iter().map(|shape| Op::Set(a, Component::Mesh(shape))));
    let tree = [
        Op::Create(a, Scope::Shared),
        Op::Create(b, Scope::Shared),
        Op::Create(c, Scope::Local),
        Op::SetParent(b, Some(a)),
        Op::SetParent(c, Some(b)),
        Op::Give(a),
        Op::SetParent(b, None),
        Op::Remove(a),
    ];
    let ring = [Op::SetParent(a, Some(b)), Op::SetParent(b, Some(a))];
    let ring = [&tree[..2], &ring[..]].concat();
    vec![
        ("ok-components", encode_batch(&all)),
        ("ok-tree", encode_batch(&tree)),
        ("ok-ring", encode_batch(&ring)),
        ("entity-zero", encode_batch(&[Op::Remove(EntityId::from_bits(0))])),
        ("not-finite", encode_batch(&[Op::Set(a, Component::Transform(Transform::at(f32::NAN, 0.0, 0.0)))])),
        ("long-component", hex("04 0100000000000000 0200 ffffffff")),
    ]
}

fn scene_frames() -> Seeds {
    let up = [
        Up::Join { instance: 1 },
        Up::Batch {
            number: 1,
            writer: process(1),
            ops: vec![Op::Create(entity(1), Scope::Shared), Op::Set(entity(1), components().swap_remove(1))],
        },
        Up::Batch { number: 2, writer: process(2), ops: vec![Op::Give(entity(1))] },
        Up::Ended { number: 3, writer: process(1) },
    ];
    let mut each_once = components();
    each_once.sort_by_key(Component::kind);
    each_once.dedup_by_key(|component| component.kind());
    let snapshot = [
        Down::Begin { sequence: 5, answered: 0, resumed: true },
        Down::Part(vec![
            SnapshotEntity { id: entity(2), owner: Owner::Space, parent: None, components: each_once },
            SnapshotEntity {
                id: entity(3),
                owner: Owner::Process(process(1)),
                parent: Some(entity(2)),
                components: vec![],
            },
        ]),
        Down::End { entities: 2 },
        Down::Answer { number: 1, outcome: Ok(()) },
        Down::Update {
            sequence: 7,
            parts: vec![
                (
                    process(9),
                    vec![Op::SetParent(entity(3), None), Op::Set(entity(3), components().remove(0))],
                ),
                (ProcessId::from_bits(0), vec![Op::Remove(entity(2))]),
            ],
        },
    ];
    let refused = [
        Down::Begin { sequence: 0, answered: 0, resumed: true },
        Down::End { entities: 0 },
        Down::Answer {
            number: 1,
            outcome: Err(Refusal { errno: Errno::Limit, reason: "the scene is full".into() }),
        },
    ];
    let anew = [Down::Begin { sequence: 0, answered: 9, resumed: false }, Down::End { entities: 0 }];
    let missing = [Down::Begin { sequence: 0, answered: 0, resumed: true }, Down::End { entities: 3 }];
    let frame = |messages: &[Down]| {
        let mut frame = Vec::new();
        messages.iter().for_each(|message| message.encode(&mut frame));
        frame
    };
    vec![
        ("ok-up", up.iter().flat_map(Up::encode).collect()),
        ("ok-snapshot", frame(&snapshot)),
        ("ok-refused", frame(&refused)),
        ("ok-anew", frame(&anew)),
        ("ok-missing", frame(&missing)),
        ("length-beyond", hex("02 ffffffff 0100000000000000")),
    ]
}

fn scene_sync() -> Seeds {
    // Steps of `scene_sync`: connect, create, deliver; then write over one another.
    let step = |what: u8, op: [u8; 3]| [what, op[0], op[1], op[2], 0, 0];
    let mut both = vec![step(14, [0; 3]), step(14 | 128, [0; 3])];
    for _ in 0..3 {
        both.extend([step(7, [0; 3]), step(9, [0; 3]), step(10, [0; 3])]);
        both.extend([step(7 | 128, [0; 3]), step(9 | 128, [0; 3]), step(10 | 128, [0; 3])]);
    }
    let begin = both.clone();
    let mut writes = begin.clone();
    for n in 0..12u8 {
        writes.push(step((n % 2) << 7 | (n % 3) << 4, [n, n.wrapping_mul(7), n.wrapping_mul(3) | 1]));
        writes.extend(begin[2..].iter().copied().skip(usize::from(n % 5)).take(4));
    }
    let mut broken = writes.clone();
    for at in [20, 35, 50] {
        broken.insert(at, step(13 | (at as u8 & 1) << 7 | 16, [0; 3]));
        broken.insert(at + 3, step(14 | (at as u8 & 1) << 7, [0; 3]));
        broken.insert(at + 4, step(12, [0; 3]));
        broken.insert(at + 5, step(6, [0, at as u8, 1]));
    }
    let mut reborn = begin;
    for what in [0, 8, 3, 0, 7] {
        reborn.push(step(0, [what, 1, 1]));
        reborn.push(step(128, [8, 0, 2]));
        reborn.push(step(7, [0; 3]));
    }
    let seeds = [("ok-writes", writes), ("ok-broken-lines", broken), ("ok-made-again", reborn)];
    seeds.into_iter().map(|(name, steps)| (name, steps.concat())).collect()
}

fn mesh() -> Seeds {
    let full = Mesh {
        positions: vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        normals: vec![[0.0, 0.0, 1.0]; 3],
        uvs: vec![[0.5, 0.5]; 3],
        colors: vec![[255, 128, 0, 255]; 3],
        tangents: vec![[1.0, 0.0, 0.0, -1.0]; 3],
        second_uvs: vec![[0.25, 0.75]; 3],
        joints: vec![[0, 1, 0, 0]; 3],
        weights: vec![[0.5, 0.5, 0.0, 0.0]; 3],
        indices: vec![0, 1, 2],
        inverse_bind_matrices: vec![[0.0; 16]; 2],
        morph_targets: vec![MorphTarget { positions: vec![[0.1; 3]; 3], normals: vec![[0.0; 3]; 3] }],
    };
    let bare = Mesh { positions: full.positions.clone(), indices: vec![2, 1, 0], ..Mesh::default() };
    let mut beyond = full.clone();
    beyond.indices[2] = 3;
    let mut jointless = full.clone();
    jointless.joints[1][1] = 2;
    let huge = hex("484d5348 0100 6700 00004000 00000001");
    vec![
        ("ok-full", full.encode()),
        ("ok-bare", bare.encode()),
        ("ok-empty", Mesh::default().encode()),
        ("index-beyond", beyond.encode()),
        ("joint-beyond", jointless.encode()),
        ("huge-and-cut", huge),
    ]
}

/// The files of the reader's tests: plain ones, and those that ask for work without end.
fn font() -> Seeds {
    let file = |name: &str| {
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/glyph/tests/files").join(name))
            .unwrap()
    };
    let plain = file("plain.otf");
    vec![
        ("ok-ttf", file("plain.ttf")),
        ("ok-variable", file("variable.ttf")),
        ("ok-collection", file("collection.ttc")),
        ("ok-composites", file("composites.ttf")),
        ("ok-subroutines", file("subroutines.otf")),
        ("ok-extensions", file("extensions.otf")),
        ("cut", plain[..200].to_vec()),
        // More fonts than a file can have, so that their places alone would be beyond its end.
        ("many-faces", b"ttcf\0\x01\0\0\x64\0\0\x02\0\0\0\x14".to_vec()),
        ("ok-otf", plain),
    ]
}

/// What encoders wrote, which are the files of the decoder's tests, and heads that claim too much.
fn sound() -> Seeds {
    let written = |name: &str| {
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/sound/tests/files").join(name))
            .unwrap()
    };
    let wav = |channels: u8, bits: u8, claimed: u32, data: Vec<u8>| {
        let frame = channels * bits / 8;
        let rate = 8000 * u32::from(frame);
        let mut file = b"RIFF".to_vec();
        file.extend(claimed.saturating_add(36).to_le_bytes());
        file.extend(b"WAVEfmt \x10\0\0\0\x01\0");
        file.extend([channels, 0, 0x40, 0x1f, 0, 0]);
        file.extend(rate.to_le_bytes());
        file.extend([frame, 0, bits, 0]);
        file.extend(b"data");
        file.extend(claimed.to_le_bytes());
        file.extend(data);
        file
    };
    let ogg = written("tone.ogg");
    vec![
        ("ok-wav", written("tone.wav")),
        ("ok-mp3", written("tone.mp3")),
        ("ok-flac", written("tone.flac")),
        ("ogg-cut", ogg[..3500].to_vec()),
        ("ok-ogg", ogg),
        ("claims-hours", wav(1, 16, 1 << 31, vec![0; 32])),
        ("no-channels", wav(0, 16, 32, vec![0; 32])),
        ("ok-open-end", wav(1, 8, u32::MAX, [0x80, 0xc0].repeat(40))),
        (
            "info-of-4-gib",
            [&b"RIFF\xfe\xff\xff\xffWAVELIST\xec\xff\xff\xffINFOINAM\xd8\xff\xff\xff"[..], &[b'x'; 20]]
                .concat(),
        ),
    ]
}

fn signal() -> Seeds {
    let header = |kind, status| Header { kind, status, from: 3, tag: 4 }.encode().to_vec();
    vec![
        ("ok-message", [header(Kind::Message, 0), b"body".to_vec()].concat()),
        ("ok-reply", header(Kind::Reply, -5)),
        ("ok-args", encode_args([&b"one"[..], b"", b"three"])),
        ("length-beyond", hex("ffffffff 00")),
    ]
}

fn input() -> Seeds {
    let events = [
        ("ok-key", Event::Key { code: key::W, press: Press::Pressed }),
        ("ok-text", Event::Text("ü".into())),
        ("ok-motion", Event::Motion([1.5, -2.0])),
        ("ok-button", Event::Button { button: 1, press: Press::Released, at: [3.0, 4.0] }),
        ("ok-wheel", Event::Wheel([0.0, 1.0])),
        ("ok-frame", Event::Frame { time_ns: 5, step_ns: 6, size: [7, 8] }),
        ("ok-focus", Event::Focus(true)),
        ("ok-captured", Event::Captured(false)),
        (
            "ok-file",
            Event::File {
                lump: LumpId([7; 32]),
                size: 9,
                entity: Some(entity(7)),
                point: [1.0, 2.0, 3.0],
                normal: [0.0, 1.0, 0.0],
                name: "a.png".into(),
            },
        ),
        ("ok-gamepad", Event::Gamepad { gamepad: 1, connected: true, name: "pad".into() }),
        (
            "ok-gamepad-button",
            Event::GamepadButton { gamepad: 1, button: 7, press: Press::Repeated, value: 0.25 },
        ),
        ("ok-gamepad-axis", Event::GamepadAxis { gamepad: 1, axis: 3, value: -0.5 }),
        ("ok-target", Event::Target { entity: Some(entity(7)), wants: Wants::PRESS }),
        ("ok-paste", Event::Paste("ü".into())),
    ];
    let mut seeds: Seeds = events.into_iter().map(|(name, event)| (name, event.encode())).collect();
    seeds.push(("not-utf-8", hex("0200 c328")));
    seeds
}

/// A press of the user of peer 1.
fn press() -> pointer::Event {
    pointer::Event {
        kind: pointer::Kind::Press,
        pointer: pointer::MOUSE,
        button: 0,
        buttons: 1,
        modifiers: Modifiers::SHIFT,
        user: PeerId::new(1).unwrap(),
        entity: entity(7),
        hit: Some(entity(8)),
        other: None,
        from: [0.0, 1.7, 6.0],
        way: [0.0, 0.0, -1.0],
        distance: 2.0,
        point: [0.0, 1.7, 4.0],
        normal: [0.0, 0.0, 1.0],
        wheel: [0.0; 2],
    }
}

/// What the user of peer 1 types.
fn written(did: Event) -> Vec<u8> {
    keyboard::Event { user: PeerId::new(1).unwrap(), entity: entity(7), did }.encode()
}

fn keyboard() -> Seeds {
    vec![
        ("ok-given", written(Event::Focus(true))),
        ("ok-key", written(Event::Key { code: key::A, press: Press::Repeated })),
        ("ok-text", written(Event::Text("Tür".into()))),
        ("ok-paste", written(Event::Paste("two\nlines".into()))),
        ("of-a-mouse", written(Event::Motion([1.0, 2.0]))),
        ("not-utf-8", [&written(Event::Text(String::new()))[..], &hex("c328")].concat()),
    ]
}

fn pointer() -> Seeds {
    let ball = Cast {
        from: [0.0, 2.0, 0.0],
        way: [0.0, -1.0, 0.0],
        distance_max: 2.0,
        radius: 0.5,
        hits_max: 3,
        without: Some(entity(7)),
    };
    let hit = cast::Hit { entity: entity(7), point: [0.0, 1.0, 0.0], normal: [0.0, 1.0, 0.0], distance: 0.5 };
    vec![
        ("ok-press", press().encode()),
        ("ok-ball", ball.encode()),
        ("ok-hits", cast::encode_hits(&[hit, hit])),
        ("no-way", Cast { way: [0.0; 3], ..ball }.encode()),
        ("not-a-number", Cast { radius: f32::NAN, ..ball }.encode()),
    ]
}

fn peer_frames() -> Seeds {
    let lane = |lane: u8, frame: &[u8]| [&[lane], frame].concat();
    let peer = control::Peer {
        id: 3,
        name: "somebody".into(),
        key: vec![5; 32],
        address: "192.0.2.1:9000".into(),
        version: "0.1.0".into(),
        system: "linux x86_64".into(),
        offers: vec!["processes".into(), "picture".into()],
    };
    let lump = LumpId([7; 32]);
    let call = control::Control::Call {
        from: 1,
        to: 2,
        id: 3,
        request: control::Request::spawn(lump, Some("name".into()), vec![1, 2], Some(process(4))),
    };
    let failure = control::Failure { errno: 5, reason: "refused".into() };
    let controls = [
        ("ok-join", control::Control::Join { peer: peer.clone() }),
        ("ok-welcome", control::Control::Welcome { peer: 3, space: "home".into(), peers: vec![peer] }),
        ("ok-want", control::Control::want(7, lump)),
        ("ok-call", call),
        ("ok-return", control::Control::Return { from: 2, to: 1, id: 3, result: Err(failure) }),
    ];
    let message = hot::Frame::Message { to: process(1), from: process(2), body: b"hello".to_vec().into() };
    let kill = hot::Frame::Kill { to: process(1), from: None, reason: "enough".into() };
    let terminal = TerminalId::from_bits(process(5).to_bits());
    let typed = hot::Frame::Terminal {
        terminal,
        from: process(2),
        command: hearth_abi::terminal::Command::Text("ls".into()).encode().into(),
    };
    let user = PeerId::new(1).unwrap();
    let pressed = hot::Frame::Pointer { to: process(1), user, event: press().encode().into() };
    let given =
        hot::Frame::Keyboard { to: process(1), user, event: written(Event::Text("ü".into())).into() };
    let leave = hot::Frame::Leave { user, from: process(1) };
    let forsake = hot::Frame::Forsake { peer: user, from: process(1), call: 7 };
    let reason = Reason { kind: ExitKind::Error, text: "lost", data: &[0x18, 0x2a] }.encode();
    let tied = |tie| lane(1, &hot::Frame::Tie { to: process(1), from: process(2), tie }.encode());
    let exit_to = hot::Frame::ExitTo { to: process(1), from: None, reason: reason.clone().into() };
    let shown = screen::Frame::Update { terminal, is_last: true, piece: vec![7; 40].into() };
    let mut seeds: Seeds =
        controls.iter().map(|(name, frame)| (*name, lane(0, &frame.encode().unwrap()))).collect();
    seeds.extend([
        ("ok-message", lane(1, &message.encode())),
        ("ok-kill", lane(1, &kill.encode())),
        ("ok-scene", lane(1, &hot::Frame::Scene(vec![1, 2, 3].into()).encode())),
        ("ok-head", lane(2, &bulk::Frame::Head { transfer: 1, size: u64::MAX }.encode())),
        ("ok-piece", lane(2, &bulk::Frame::Piece { transfer: 1, bytes: vec![9; 40].into() }.encode())),
        ("ok-missing", lane(2, &bulk::Frame::Missing { transfer: 1 }.encode())),
        ("ok-typed", lane(1, &typed.encode())),
        ("ok-pressed", lane(1, &pressed.encode())),
        ("ok-keyboard", lane(1, &given.encode())),
        ("ok-leave", lane(1, &leave.encode())),
        ("ok-forsake", lane(1, &forsake.encode())),
        ("ok-link", tied(hot::Tie::Link)),
        ("ok-monitor", tied(hot::Tie::Monitor(7))),
        ("ok-exit", tied(hot::Tie::Exit(reason.clone().into()))),
        ("ok-down", tied(hot::Tie::Down(7, reason.into()))),
        ("ok-exit-to", lane(1, &exit_to.encode())),
        ("ok-left", lane(1, &hot::Frame::Gone { peer: user }.encode())),
        ("ok-hail", lane(1, &hot::Frame::Hail { stream: 1, of: 2, received: 3 }.encode())),
        ("ok-update", lane(3, &shown.encode())),
        ("ok-gone", lane(3, &screen::Frame::Gone { terminal }.encode())),
        ("ok-all", lane(3, &screen::Frame::All.encode())),
        ("long-list", lane(0, &hex("01 03 00 ffffffff0f"))),
    ]);
    seeds
}

fn operator_frame() -> Seeds {
    let frame = |kind: u32, body: &[u8]| [&(kind << 24 | body.len() as u32).to_le_bytes()[..], body].concat();
    let json = |text: &str| frame(1, text.as_bytes());
    let lump = "07".repeat(32);
    let requests = [
        r#"{"op":"list-processes"}"#.to_owned(),
        r#"{"op":"kill","ids":["1.2"],"reason":"enough"}"#.to_owned(),
        format!(r#"{{"op":"get-lump","id":"{lump}"}}"#),
        r#"{"op":"tail","id":"0.17","lines":10,"follow":true}"#.to_owned(),
        r#"{"op":"status"}"#.to_owned(),
    ];
    let requests: Vec<u8> = requests.iter().flat_map(|text| json(text)).collect();
    let load =
        [json(r#"{"op":"load-lump"}"#), frame(2, b"some bytes"), frame(2, b""), frame(3, b"")].concat();
    let failure = frame(4, br#"{"code":"no-such-process","message":"no such process: `1.2`"}"#);
    vec![
        ("ok-requests", [vec![255], requests].concat()),
        ("ok-load", [vec![2], load].concat()),
        ("ok-failure", [vec![6], failure].concat()),
        ("too-long", [vec![0], hex("010010 02")].concat()),
        ("end-with-body", [vec![0], hex("010000 03 07")].concat()),
        ("deep-json", [vec![255], json(&"[".repeat(300))].concat()),
    ]
}

fn hello() -> Seeds {
    let client = |version: &str, suite: &str| {
        hex(&format!("ff 2800 01 48525448 {version} {suite} {}", "11".repeat(32)))
    };
    let server = |memory: &str| {
        let (random, space, key) = ("22".repeat(32), "33".repeat(16), "44".repeat(32));
        hex(&format!("ff 6400 02 48525448 0200 01 {random} {space} {key} {memory} 01000000 01000000"))
    };
    // A KE1 or KE2 of encodings of the group's base point (RFC 9496, appendix A.1), which decode.
    let point = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";
    let ke1 = hex(&format!("6100 03 {point} {} {point}", "55".repeat(32)));
    let ke2 =
        hex(&format!("4101 04 {point} {} {} {point} {}", "66".repeat(32), "77".repeat(128), "88".repeat(64)));
    vec![
        ("ok-client", client("0200", "01")),
        ("ok-server", server("08000000")),
        ("ok-attempt", [client("0200", "01"), ke1].concat()),
        ("ok-answer", [server("08000000"), ke2].concat()),
        ("greedy-server", server("ffffffff")),
        ("newer", client("0300", "01")),
        ("other-suite", client("0200", "02")),
        ("refusal", hex("00 0600 06 03 0a000000")),
        ("too-long", hex("03 ffff 01")),
    ]
}

fn handshake() -> Seeds {
    // For each flight an alteration near its beginning and one far behind.
    let mut seeds: Seeds = vec![("ok-honest", Vec::new()), ("ok-no-bits", vec![0, 9, 0, 0])];
    const NAMES: [&str; 6] = ["flight-0", "flight-1", "flight-2", "flight-3", "flight-4", "flight-5"];
    for (flight, name) in NAMES.into_iter().enumerate() {
        seeds.push((name, vec![flight as u8, 40, 0, 1]));
    }
    seeds.push(("length", vec![2, 0, 0, 0x80]));
    seeds
}

fn record() -> Seeds {
    let sent: Vec<u8> =
        [3, 1, 2, 3, 0, 5, 9, 9, 9, 9, 9, 100].into_iter().chain([7; 100]).chain([2, 4, 4]).collect();
    let names = ["ok-altered", "ok-cut", "ok-left-out", "ok-repeated", "ok-moved"];
    let altered = names.into_iter().enumerate();
    altered.map(|(what, name)| (name, [&[what as u8, 63, 0, 4], &sent[..]].concat())).collect()
}

fn host_calls() -> Seeds {
    /// A call: its number in the list of `host_calls`, and its arguments.
    fn call(number: u8, args: &[u64]) -> Vec<u8> {
        let mut call = vec![number, 0, 0, 0, 0, 0, 0, 0];
        (0..7).for_each(|n| call.extend_from_slice(&args.get(n).unwrap_or(&0).to_le_bytes()));
        call
    }
    let (inside, edge, beyond) = (8, 65_535, u64::from(u32::MAX));
    // All calls but those that end the guest, and at the end more memory.
    let all = || (0..63).filter(|number| !(53..55).contains(number));
    let each = |ptr: u64, len: u64| all().flat_map(|n| call(n, &[ptr, len, ptr, len, ptr, len, 9])).collect();
    // An id or a number first, as most calls have it that are not given a range at once.
    let behind = |ptr: u64, len: u64| all().flat_map(|n| call(n, &[5, ptr, len, ptr, len, ptr, 9])).collect();
    // What lies at the end of the first page before there is a second, and then.
    let growing = [20, 16, 25, 36].into_iter().flat_map(|n| {
        [call(n, &[65_530, 10]), call(62, &[]), call(n, &[65_530, 10]), call(n, &[131_071, 2])].concat()
    });
    let busy = [
        call(9, &[inside, 20]),
        call(11, &[inside, 20]),
        call(14, &[1, 5]),
        call(16, &[30_000, 64]),
        call(17, &[3, inside, 4, inside, 40]),
        call(18, &[inside, 64, 30_000, 6]),
        call(25, &[30_000, 40]),
        call(26, &[2, 1, 30_000, 200]),
        call(4, &[30_000, 4096]),
        call(27, &[7]),
    ];
    vec![
        ("ok-inside", each(inside, 16)),
        ("ok-edge", each(edge, 1)),
        ("ok-beyond", each(beyond, beyond)),
        ("ok-nothing", each(0, 0)),
        ("ok-end", each(65_536, 0)),
        ("ok-last", each(65_504, 32)),
        ("ok-half", each(1 << 31, 1 << 31)),
        ("ok-behind-edge", behind(65_534, 2)),
        ("ok-behind-end", behind(65_537, 0)),
        ("ok-over-itself", call(18, &[40_000, 64, 40_016, 6])),
        ("ok-growing", growing.collect()),
        ("ok-exit", call(53, &[inside, 20])),
        ("ok-exit-beyond", call(53, &[edge, 2])),
        ("ok-exit-with", call(54, &[40_000, 8])),
        ("ok-busy", busy.concat()),
        ("ok-busy-foreign", [busy.concat(), vec![0]].concat()),
    ]
}

/// Modules that are written for what they do; those of `wasm-smith` lie beside them.
fn module() -> Seeds {
    let hostile = |body: &str| {
        let imports = r#"
            (import "hearth/1" "self" (func $self (result i64)))
            (import "hearth/1" "send" (func $send (param i64 i32 i32) (result i32)))
            (import "hearth/1" "log" (func $log (param i32 i32 i32 i32 i32) (result i32)))
            (import "hearth/1" "timer" (func $timer (param i64 i64) (result i32)))
            (import "hearth/1" "random" (func $random (param i32 i32) (result i32)))"#;
        wat::parse_str(format!("(module {imports} {body})")).unwrap()
    };
    let memory = r#"(memory (export "memory") 1)"#;
    let made = |n: u64| {
        let mut state = n * 2 + 1;
        let mut byte = || {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            (state >> 56) as u8
        };
        (0..600).map(|_| byte()).collect::<Vec<u8>>()
    };
    vec![
        ("ok-made-1", made(1)),
        ("ok-made-2", made(2)),
        ("ok-made-3", made(3)),
        ("ok-endless", hostile(&format!(r#"{memory} (func (export "start") (loop $l (br $l)))"#))),
        (
            "ok-endless-early",
            hostile(&format!(r#"{memory} (func $e (loop $l (br $l))) (start $e) (func (export "start"))"#)),
        ),
        ("ok-deep", hostile(&format!(r#"{memory} (func $d (export "start") (call $d))"#))),
        (
            "ok-grows",
            hostile(&format!(
                r#"{memory} (func (export "start") (loop $l (drop (memory.grow (i32.const 1))) (br $l)))"#
            )),
        ),
        (
            "ok-floods-itself",
            hostile(&format!(
                r#"{memory} (func (export "start")) (func (export "wake") (loop $l
                    (drop (call $send (call $self) (i32.const 0) (i32.const 65536))) (br $l)))"#
            )),
        ),
        (
            "ok-floods-its-host",
            hostile(&format!(
                r#"{memory} (func (export "start") (local $n i64) (loop $l
                    (local.set $n (i64.add (local.get $n) (i64.const 1)))
                    (drop (call $timer (i64.const 0) (local.get $n)))
                    (drop (call $log (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 4096)))
                    (drop (call $random (i32.const 0) (i32.const 65536)))
                    (br $l)))"#
            )),
        ),
        (
            "ok-pages-of-a-byte",
            hostile(
                r#"(memory (export "memory") 77 (pagesize 1)) (func (export "start")
                    (drop (call $random (i32.const 70) (i32.const 7)))
                    (drop (call $random (i32.const 70) (i32.const 8)))
                    (drop (memory.grow (i32.const 1)))
                    (drop (call $random (i32.const 70) (i32.const 8))))"#,
            ),
        ),
        (
            "ok-wakes-to-trap",
            hostile(&format!(r#"{memory} (func (export "start")) (func (export "wake") unreachable)"#)),
        ),
        ("too-much-memory", hostile(r#"(memory (export "memory") 65536) (func (export "start"))"#)),
        ("no-memory", hostile(r#"(func (export "start"))"#)),
        ("head-alone", b"\0asm\x01\0\0\0".to_vec()),
        ("cut", hostile(memory)[..40].to_vec()),
    ]
}

fn screen() -> Seeds {
    let mut first = Screen::new(8, 3);
    for (cell, character) in first.cells_mut().iter_mut().zip("$ ls  界 one two three".chars()) {
        cell.character = character;
    }
    let extra = Extra {
        marks: "\u{301}".into(),
        underline: Some(0xFF_0000),
        link: Some("https://example.org".into()),
    };
    first.extras.extend([(2, extra.clone()), (3, extra)]);
    first.cursor = Cursor { shape: CursorShape::Block, column: 2, row: 1, color: 0xFF_B454, blinks: true };
    let mut second = first.clone();
    second.cells_mut().copy_within(8.., 0);
    second.cells_mut()[20].style = style::BOLD;
    second.title = "sh".into();
    let (keyframe, change) = (Numbers { number: 1, base: 0 }, Numbers { number: 2, base: 1 });
    let whole = encode_update(keyframe, None, &first);
    vec![
        ("ok-keyframe", whole.clone()),
        ("ok-change", encode_update(change, Some(&first), &second)),
        ("ok-other-size", encode_update(keyframe, None, &Screen::new(200, 60))),
        ("packed-keyframe", hearth_terminal::pack(keyframe, None, &first)),
        ("packed-change", hearth_terminal::pack(change, Some(&Screen::new(8, 3)), &second)),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("many-cells", hex("01000000 00000000 e803 e803 4000 83a4e807 20")),
    ]
}

fn terminal() -> Seeds {
    let written = |size: [u8; 2], text: &str| [&size[..], text.as_bytes()].concat();
    let command = |command: Command| {
        let bytes = command.encode();
        [&[hearth_fuzz::COMMAND, bytes.len() as u8], &bytes[..]].concat()
    };
    let pointer = |action, column, row, clicks| {
        let modifiers = Modifiers::default();
        command(Command::Pointer(Pointer { action, button: 0, modifiers, clicks, column, row }))
    };
    let words = "one two (three)\r\nfour 界 five\r\n".repeat(4);
    let selecting = [
        written([19, 5], &words),
        pointer(PointerAction::Press, 1.2, 0.5, 1),
        pointer(PointerAction::Move, 3.0, -2.0, 1),
        pointer(PointerAction::Release, 3.0, -2.0, 1),
        command(Command::Copy),
        pointer(PointerAction::Press, 8.2, 1.5, 2),
        pointer(PointerAction::Release, 8.2, 1.5, 2),
        pointer(PointerAction::Press, 8.2, 1.5, 3),
        command(Command::SelectAll),
        command(Command::Copy),
        command(Command::Search { backwards: true, pattern: "t\\w+".into() }),
        command(Command::Search { backwards: false, pattern: String::new() }),
        command(Command::Resize { columns: 5, rows: 3 }),
        command(Command::Scroll(4)),
        command(Command::Resize { columns: 40, rows: 9 }),
        command(Command::Deselect),
    ];
    let keys = [
        written([19, 5], "\x1b[?1002;1006;1004;2004h\x1b[>31u"),
        command(Command::Focus(true)),
        pointer(PointerAction::Press, 1.2, 0.5, 1),
        command(Command::Wheel { lines: [1.0, -2.5], modifiers: Modifiers::default(), at: [3.0, 3.0] }),
        command(Command::Paste("a\x1b[201~\nb".into())),
        command(Command::Text("ü".into())),
        command(Command::Key(Stroke {
            code: 0x1A,
            press: Press::Pressed,
            modifiers: Modifiers::CONTROL.and(Modifiers::SHIFT),
            key: Some('w'),
            shifted: Some('W'),
            text: "W".into(),
        })),
        command(Command::Theme(Theme::default())),
        b"\x1b[?1049hfull\x1b[2;3r\x1b[?6h\x1b[H\x1bM".to_vec(),
    ];
    vec![
        (
            "ok-looks",
            written(
                [39, 9],
                "\x1b[1;3;4:3;31mred\x1b[7m界\x1b[0;58;5;9;4:2mx\x1b[38;2;1;2;3md\x1b[48;5;99me\x1b[8mh\x1b[m\te\u{301}\u{300}",
            ),
        ),
        (
            "ok-places",
            written(
                [9, 4],
                "\x1b[3;3Hx\x1b[2J\x1b[H\x1b[5@\x1b[3P\x1b[2L\x1b[M\x1b[4X\x1b[K\x1b[1J\x1b[3S\x1b[2T\x1b[8b\x1b7\x1b[9;9H\x1b8\x1bD\x1bE\x1bM\x1b#8",
            ),
        ),
        (
            "ok-modes",
            written(
                [9, 4],
                "\x1b[4h\x1b[20h界\x1b[?7l0123456789ab\x1b[?7h\x1b[3g\x1b[5Z\x1b[9I\x1bH\x1bc\x1b(0lqk\x1b(B\x0e\x0f\x1b[!p",
            ),
        ),
        (
            "ok-questions",
            written(
                [9, 4],
                "\x1b[c\x1b[>c\x1b[6n\x1b[5n\x1b[>q\x1b[?2026$p\x1b[14t\x1b[18t\x1b]11;?\x07\x1b]4;1;?\x07\x1b[?u\x1b[22t\x1b[23t",
            ),
        ),
        (
            "ok-commands",
            written(
                [9, 4],
                "\x1b]0;title\x07\x1b]8;id=1;https://example.org\x1b\\link\x1b]8;;\x1b\\\x1b]52;c;aGk=\x07\x1b]4;1;#102030\x07\x1b]104\x07\x1bP+q\x1b\\\x1b_G\x1b\\",
            ),
        ),
        ("ok-synchronised", written([9, 4], "a\x1b[?2026hb\x1b[2J\x1b[?2026lc\x1b[?2026hd")),
        (
            "ok-half-of-a-wide-one",
            written([3, 1], "a界\x1b[1;1H\x1b[P\x1b[1;4H界\x1b[2;5H界\x1b[2;4Hx\x1b[1;1H\x1b[4h界\x1b[2@"),
        ),
        (
            "ok-smallest",
            [
                written([0, 0], "界e\u{301}\r\n\tx\x1b[2J界"),
                command(Command::SelectAll),
                command(Command::Copy),
            ]
            .concat(),
        ),
        ("ok-selecting", selecting.concat()),
        ("ok-keys", keys.concat()),
        ("ok-not-utf-8", [&[9, 4][..], b"\xff\xc3\x28\xf0\x9f\x98b\x80\xe7\x95"].concat()),
    ]
}

fn main() {
    for target in TARGETS {
        let seeds = match target.name {
            "font" => font(),
            "handshake" => handshake(),
            "hello" => hello(),
            "host_calls" => host_calls(),
            "input" => input(),
            "mesh" => mesh(),
            "module" => module(),
            "operator_frame" => operator_frame(),
            "peer_frames" => peer_frames(),
            "keyboard" => keyboard(),
            "pointer" => pointer(),
            "record" => record(),
            "scene_frames" => scene_frames(),
            "scene_ops" => scene_ops(),
            "scene_sync" => scene_sync(),
            "screen" => screen(),
            "signal" => signal(),
            "sound" => sound(),
            "terminal" => terminal(),
            name => panic!("no seeds for {name}"),
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in seeds {
            println!("{}/{name}: {} bytes", target.name, bytes.len());
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
}
