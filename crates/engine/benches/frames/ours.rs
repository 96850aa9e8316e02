// SPDX-License-Identifier: AGPL-3.0-or-later
//! The engine, told of its scene as a peer tells it.

use crate::{Pictures, color, edge, place};
use hearth_abi::{
    EntityId, LumpId, PeerId,
    mesh::Mesh,
    scene::{Component, Light, LightKind, Material, MeshSource, Scope, Sky, Transform},
};
use hearth_engine::{Command, Controller, EngineConfig, Event, Headless, Quality, channel};
use hearth_scene::{Change, Owner};
use image::{ImageBuffer, ImageFormat, Rgb};
use std::{io::Cursor, time::Instant};

/// An engine with a sky, a sun and a floor.
pub(crate) struct Stage {
    engine: Headless,
    control: Controller,
    serial: u64,
    lumps: u8,
}

impl Stage {
    pub(crate) fn new(size: [u32; 2]) -> Stage {
        Stage::with(size, true)
    }

    /// One that draws every picture, or none.
    pub(crate) fn with(size: [u32; 2], draws: bool) -> Stage {
        let (control, end) = channel();
        let config = EngineConfig {
            quality: Some(Quality::Low),
            draw_on_demand: !draws,
            headless: true,
            size,
            ..EngineConfig::default()
        };
        let mut stage = Stage { engine: Headless::new(config, end).unwrap(), control, serial: 0, lumps: 0 };
        let sky = Sky {
            zenith: [0.12, 0.32, 0.75],
            horizon: [0.75, 0.82, 0.9],
            ground: [0.22, 0.2, 0.18],
            brightness: 900.0,
            ambient: 500.0,
        };
        let sun = Light {
            kind: LightKind::Directional,
            shadows: true,
            color: [1.0, 0.95, 0.85],
            intensity: 5000.0,
            range: 0.0,
            inner_angle: 0.0,
            outer_angle: 0.0,
        };
        let down = Transform::at(0.0, 5.0, 0.0).rotated(crate::bare::SUN);
        let mut changes = Vec::new();
        stage.add(&mut changes, [Component::Sky(sky)]);
        stage.add(&mut changes, [Component::Transform(down), Component::Light(sun)]);
        stage.add(&mut changes, [Component::Mesh(MeshSource::Plane([30.0, 30.0]))]);
        stage.send(changes);
        stage
    }

    fn add(
        &mut self,
        changes: &mut Vec<Change>,
        components: impl IntoIterator<Item = Component>,
    ) -> EntityId {
        self.serial += 1;
        let id = EntityId::new(PeerId::SERVER, self.serial).unwrap();
        changes.push(Change::Created { id, scope: Scope::Shared, owner: Owner::Space });
        changes.extend(components.into_iter().map(|component| Change::Set { id, component }));
        id
    }

    fn send(&mut self, changes: Vec<Change>) {
        self.control.send(Command::Changes(changes)).unwrap();
    }

    /// So many small boxes, before the eye or so many metres behind that.
    pub(crate) fn make(&mut self, count: usize, behind: f32) -> Vec<EntityId> {
        let mut changes = Vec::new();
        let edge = edge(count);
        let made = (0..count)
            .map(|i| {
                let [x, y, z] = place(i, count, 0);
                let material = Material { base_color: color(i), ..Material::default() };
                let components = [
                    Component::Transform(Transform::at(x, y, z + behind)),
                    Component::Mesh(MeshSource::Cuboid([edge; 3])),
                    Component::Material(Box::new(material)),
                ];
                self.add(&mut changes, components)
            })
            .collect();
        self.send(changes);
        made
    }

    /// Makes pictures until nothing that was sent waits.
    pub(crate) fn settle(&mut self) {
        let mut entities = 0;
        while entities < self.serial as usize {
            self.step_and(&mut |event| {
                if let Event::FrameShown { entities: shown, .. } = event {
                    entities = shown;
                }
            });
        }
        self.step();
    }

    /// Moves these things to their places in a picture.
    pub(crate) fn move_all(&mut self, things: &[EntityId], picture: usize) {
        let moved = things.iter().enumerate().map(|(i, id)| {
            let [x, y, z] = place(i, things.len(), picture);
            Change::Set { id: *id, component: Component::Transform(Transform::at(x, y, z)) }
        });
        let changes = moved.collect();
        self.send(changes);
    }

    /// Makes a picture, and gives its milliseconds.
    pub(crate) fn step(&mut self) -> f64 {
        self.step_and(&mut |_| {})
    }

    fn step_and(&mut self, hear: &mut dyn FnMut(Event)) -> f64 {
        let start = Instant::now();
        assert!(self.engine.step().unwrap());
        let time = start.elapsed().as_secs_f64() * 1e3;
        while let Some(event) = self.control.try_event() {
            hear(event);
        }
        time
    }

    /// Shows a lump, and gives the milliseconds until it is seen, and those of the longest picture meanwhile.
    pub(crate) fn load(&mut self, bytes: Vec<u8>, component: fn(LumpId) -> Vec<Component>) -> (f64, f64) {
        self.lumps += 1;
        let lump = LumpId([self.lumps; 32]);
        let mut changes = Vec::new();
        let id = self.add(&mut changes, component(lump));
        self.send(changes);
        let (mut bytes, mut missing) = (Some(bytes), 1);
        let (start, mut longest) = (Instant::now(), 0.0f64);
        while missing > 0 {
            let mut wanted = false;
            let time = self.step_and(&mut |event| match event {
                Event::WantLump(_) => wanted = true,
                Event::FrameShown { missing_lumps, .. } => missing = missing_lumps,
                Event::AssetFailed { reason, .. } => panic!("{reason}"),
                _ => {}
            });
            longest = longest.max(time);
            if wanted && let Some(bytes) = bytes.take() {
                self.control.send(Command::Lump { id: lump, bytes: Ok(bytes.into()) }).unwrap();
            }
            if bytes.is_some() {
                missing = 1;
            }
        }
        // That in which it is given to the renderer is the next.
        longest = longest.max(self.step()).max(self.step());
        let time = start.elapsed().as_secs_f64() * 1e3;
        self.send(vec![Change::Removed { id }]);
        for _ in 0..5 {
            self.step();
        }
        (time, longest)
    }
}

/// Boxes that all move.
pub(crate) struct Moving {
    stage: Stage,
    things: Vec<EntityId>,
}

impl Moving {
    pub(crate) fn new(count: usize, size: [u32; 2]) -> Moving {
        let mut stage = Stage::new(size);
        let things = stage.make(count, 0.0);
        stage.settle();
        Moving { stage, things }
    }
}

impl Pictures for Moving {
    fn picture(&mut self, number: usize) {
        self.stage.move_all(&self.things, number);
        self.stage.step();
    }
}

type Shown = fn(LumpId) -> Vec<Component>;

/// Lumps: what they are called, their bytes, and what shows them. What is large is hidden: a software renderer would take
/// longer to draw it than all else takes.
pub(crate) fn assets() -> Vec<(&'static str, Vec<u8>, Shown)> {
    let texture: Shown = |lump| {
        let material = Material { base_color_texture: Some(lump), ..Material::default() };
        vec![Component::Mesh(MeshSource::Plane([1.0, 1.0])), Component::Material(Box::new(material))]
    };
    vec![
        ("texture, PNG of 2048 × 2048", png(2048), texture),
        ("mesh of a million triangles", cloth(708).encode(), |lump| {
            vec![Component::Mesh(MeshSource::Lump(lump)), Component::Hidden(true)]
        }),
        ("glTF of a mesh and two textures", glb(1024, 2048), |lump| {
            vec![Component::Model(lump), Component::Hidden(true)]
        }),
    ]
}

/// A picture that does not become small when it is packed.
fn png(size: u32) -> Vec<u8> {
    let mut state = 1u32;
    let picture = ImageBuffer::from_fn(size, size, |x, y| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (state >> 28) as u8;
        Rgb([(x >> 3) as u8 ^ noise, (y >> 3) as u8 ^ noise, noise << 3])
    });
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

/// A wavy cloth of so many squares to a side.
fn cloth(side: u32) -> Mesh {
    let mut cloth = Mesh::default();
    for (row, column) in (0..=side).flat_map(|row| (0..=side).map(move |column| (row, column))) {
        let [u, v] = [column, row].map(|at| at as f32 / side as f32);
        cloth.positions.push([u - 0.5, (u * 30.0).sin() * (v * 30.0).cos() * 0.05 + 0.5, v - 0.5]);
        cloth.normals.push([0.0, 1.0, 0.0]);
        cloth.uvs.push([u, v]);
    }
    for (row, column) in (0..side).flat_map(|row| (0..side).map(move |column| (row, column))) {
        let (first, below) = (row * (side + 1) + column, (row + 1) * (side + 1) + column);
        cloth.indices.extend([first, below, first + 1, first + 1, below, below + 1]);
    }
    cloth
}

/// A binary glTF of some 50 MB.
fn glb(side: u32, picture: u32) -> Vec<u8> {
    let Mesh { positions, normals, uvs, indices, .. } = cloth(side);
    let mut binary = Vec::new();
    let mut views = Vec::new();
    let mut view = |bytes: Vec<u8>| {
        views.push(format!(r#"{{"buffer":0,"byteOffset":{},"byteLength":{}}}"#, binary.len(), bytes.len()));
        binary.extend(bytes);
        binary.resize(binary.len().next_multiple_of(4), 0);
    };
    let floats = |floats: Vec<f32>| floats.iter().flat_map(|float| float.to_le_bytes()).collect::<Vec<u8>>();
    view(floats(positions.concat()));
    view(floats(normals.concat()));
    view(floats(uvs.concat()));
    view(indices.iter().flat_map(|index| index.to_le_bytes()).collect());
    view(png(picture));
    view(png(picture));
    let (count, corners) = (positions.len(), indices.len());
    let views = views.join(",");
    let json = format!(
        r#"{{"asset":{{"version":"2.0"}},"scene":0,"scenes":[{{"nodes":[0]}}],"nodes":[{{"mesh":0}}],
        "meshes":[{{"primitives":[{{"attributes":{{"POSITION":0,"NORMAL":1,"TEXCOORD_0":2}},"indices":3,"material":0}}]}}],
        "materials":[{{"pbrMetallicRoughness":{{"baseColorTexture":{{"index":0}},"metallicRoughnessTexture":{{"index":1}}}}}}],
        "textures":[{{"source":0}},{{"source":1}}],
        "images":[{{"bufferView":4,"mimeType":"image/png"}},{{"bufferView":5,"mimeType":"image/png"}}],
        "accessors":[
        {{"bufferView":0,"componentType":5126,"count":{count},"type":"VEC3","min":[-0.5,0.4,-0.5],"max":[0.5,0.6,0.5]}},
        {{"bufferView":1,"componentType":5126,"count":{count},"type":"VEC3"}},
        {{"bufferView":2,"componentType":5126,"count":{count},"type":"VEC2"}},
        {{"bufferView":3,"componentType":5125,"count":{corners},"type":"SCALAR"}}],
        "bufferViews":[{views}],"buffers":[{{"byteLength":{}}}]}}"#,
        binary.len()
    );
    let mut json = json.into_bytes();
    json.resize(json.len().next_multiple_of(4), b' ');
    let mut out = b"glTF".to_vec();
    out.extend(2u32.to_le_bytes());
    out.extend((12 + 8 + json.len() as u32 + 8 + binary.len() as u32).to_le_bytes());
    out.extend((json.len() as u32).to_le_bytes());
    out.extend(b"JSON");
    out.extend(json);
    out.extend((binary.len() as u32).to_le_bytes());
    out.extend(b"BIN\0");
    out.extend(binary);
    out
}
