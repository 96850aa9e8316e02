// SPDX-License-Identifier: AGPL-3.0-or-later
//! A stage for tests of pictures: an engine without a window, a clock that stands still between
//! pictures, and a comparison with the picture that is kept.
//!
//! Tolerance: on average no channel may differ by more than [`MEAN_MAX`], and no more than
//! [`FAR_SHARE_MAX`] of the pixels by more than [`FAR`] in any channel. Versions of the software
//! renderer differ by less; a shadow or a colour that is wrong differs by more. `HEARTH_BLESS=1`
//! records; look at the picture before it is committed.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test program uses a part, and none is public"
)]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says why")]

pub mod glb;

use hearth_abi::{
    EntityId, LumpId, PeerId, ProcessId,
    scene::{Component, Light, LightKind, Material, MeshSource, Scope, Sky, Transform},
};
use hearth_engine::{Command, Controller, EngineConfig, Event, Headless, Picture, Quality, channel};
use hearth_scene::{Change, Owner};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::mpsc,
    time::{Duration, Instant},
};

pub const SIZE: [u32; 2] = [480, 270];
const MEAN_MAX: f64 = 1.0;
const FAR: u8 = 24;
const FAR_SHARE_MAX: f64 = 0.005;
/// Pictures after which something that was to happen has not.
const PICTURES_MAX: usize = 2000;

/// How long a picture may take.
const PICTURE_MOST: Duration = Duration::from_secs(60);

/// The peer that shows the picture.
pub const PEER: u32 = 1;

pub struct Stage {
    pub engine: Headless,
    pub control: Controller,
    pub failures: Vec<(Vec<EntityId>, LumpId, String)>,
    pub wanted: Vec<LumpId>,
    lumps: HashMap<LumpId, Result<Vec<u8>, String>>,
    changes: Vec<Change>,
    serial: u64,
    pub missing: usize,
    pub entities: usize,
}

impl Stage {
    pub fn new() -> Stage {
        Stage::with(EngineConfig { quality: Some(Quality::Low), ..EngineConfig::default() })
    }

    pub fn with(config: EngineConfig) -> Stage {
        let (control, end) = channel();
        let size = if config.size == EngineConfig::default().size { SIZE } else { config.size };
        let config = EngineConfig {
            size,
            headless: true,
            peer: PeerId::new(PEER).unwrap(),
            fixed_step: config.fixed_step.or(Some(Duration::from_micros(16_667))),
            ..config
        };
        let engine = Headless::new(config, end)
            .unwrap_or_else(|error| panic!("these tests render pictures, in software if need be: {error}"));
        Stage {
            engine,
            control,
            failures: Vec::new(),
            wanted: Vec::new(),
            lumps: HashMap::new(),
            changes: Vec::new(),
            serial: 0,
            missing: usize::MAX,
            entities: 0,
        }
    }

    /// Makes bytes a lump that the stage answers with.
    pub fn lump(&mut self, bytes: impl Into<Vec<u8>>) -> LumpId {
        self.answer(Ok(bytes.into()))
    }

    pub fn answer(&mut self, bytes: Result<Vec<u8>, String>) -> LumpId {
        let id = LumpId([self.lumps.len() as u8 + 1; 32]);
        self.lumps.insert(id, bytes);
        id
    }

    /// An entity of this peer.
    pub fn make(&mut self, components: impl IntoIterator<Item = Component>) -> EntityId {
        self.make_by(PEER, Scope::Shared, components)
    }

    /// An entity of a process of some peer.
    pub fn make_by(
        &mut self,
        peer: u32,
        scope: Scope,
        components: impl IntoIterator<Item = Component>,
    ) -> EntityId {
        self.serial += 1;
        let peer = PeerId::new(peer).unwrap();
        let id = EntityId::new(peer, self.serial).unwrap();
        let owner = Owner::Process(ProcessId::new(peer, 1).unwrap());
        self.changes.push(Change::Created { id, scope, owner });
        for component in components {
            self.set(id, component);
        }
        id
    }

    pub fn set(&mut self, id: EntityId, component: Component) {
        self.changes.push(Change::Set { id, component });
    }

    pub fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub fn send(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        self.control.send(Command::Changes(changes)).unwrap();
    }

    /// One picture.
    pub fn step(&mut self) -> Vec<Event> {
        if !self.changes.is_empty() {
            self.send();
        }
        assert!(self.engine.step().unwrap());
        let events: Vec<Event> = std::iter::from_fn(|| self.control.try_event()).collect();
        for event in &events {
            match event {
                Event::WantLump(id) => {
                    self.wanted.push(*id);
                    if let Some(bytes) = self.lumps.get(id) {
                        let bytes = bytes.clone().map(Into::into);
                        self.control.send(Command::Lump { id: *id, bytes }).unwrap();
                    }
                }
                Event::AssetFailed { entities, lump, reason } => {
                    self.failures.push((entities.clone(), *lump, reason.clone()));
                }
                Event::FrameShown { missing_lumps, entities, .. } => {
                    self.missing = *missing_lumps;
                    self.entities = *entities;
                }
                _ => {}
            }
        }
        events
    }

    /// Steps until this holds.
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&Stage) -> bool) {
        for _ in 0..PICTURES_MAX {
            self.step();
            if holds(self) {
                return;
            }
        }
        panic!("in {PICTURES_MAX} pictures it did not happen: {what}");
    }

    /// Steps until something stands in for what was asked for before and is not there.
    pub fn grow_impatient(&mut self) {
        // A third of a second of the engine's clock, and some pictures for what fills.
        (0..24).for_each(|_| drop(self.step()));
    }

    /// Steps until all assets are there or have failed.
    pub fn settle(&mut self) {
        self.step();
        self.until("all assets are there", |stage| stage.missing == 0);
        // Instances of models are made by the renderer in the pictures after.
        (0..3).for_each(|_| drop(self.step()));
    }

    /// The picture of the next step.
    pub fn picture(&mut self) -> Picture {
        if !self.changes.is_empty() {
            self.send();
        }
        let (tell, told) = mpsc::sync_channel(16);
        self.control.send(Command::Screenshot(Box::new(move |picture| drop(tell.send(picture))))).unwrap();
        // Glyphs are made by the clock of the wall.
        let deadline = Instant::now() + PICTURE_MOST;
        while Instant::now() < deadline {
            self.step();
            if let Ok(picture) = told.try_recv() {
                return picture.unwrap();
            }
        }
        panic!("no picture came");
    }

    /// Compares with the picture that is kept under this name.
    #[track_caller]
    pub fn check(&mut self, name: &str) {
        let picture = self.picture();
        check(name, &picture);
    }
}

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.png"))
}

#[track_caller]
pub fn check(name: &str, picture: &Picture) {
    let path = kept(name);
    if std::env::var_os("HEARTH_BLESS").is_some_and(|v| v == "1") {
        std::fs::write(&path, picture.to_png().unwrap()).unwrap();
        return;
    }
    let golden = match image::open(&path) {
        Ok(golden) => golden.into_rgba8(),
        Err(error) => panic!("{}: {error}; record it with HEARTH_BLESS=1", path.display()),
    };
    assert_eq!((golden.width(), golden.height()), (picture.width, picture.height), "size of {name}");
    let difference = Difference::of(golden.as_raw(), &picture.rgba);
    if difference.mean > MEAN_MAX || difference.far_share > FAR_SHARE_MAX {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden-diff");
        std::fs::create_dir_all(&folder).unwrap();
        let shown = Picture { rgba: difference.rgba, ..picture.clone() };
        for (what, picture) in [("actual", picture), ("difference", &shown)] {
            std::fs::write(folder.join(format!("{name}-{what}.png")), picture.to_png().unwrap()).unwrap();
        }
        panic!(
            "{name} is not as it was: mean difference {:.2} (at most {MEAN_MAX}), {:.2} % of the pixels by more \
             than {FAR} (at most {:.2} %). See {}",
            difference.mean,
            difference.far_share * 100.0,
            FAR_SHARE_MAX * 100.0,
            folder.display()
        );
    }
}

struct Difference {
    mean: f64,
    far_share: f64,
    rgba: Vec<u8>,
}

impl Difference {
    fn of(golden: &[u8], actual: &[u8]) -> Difference {
        let (mut sum, mut far) = (0u64, 0u64);
        let mut rgba = Vec::with_capacity(golden.len());
        for (a, b) in golden.chunks_exact(4).zip(actual.chunks_exact(4)) {
            let apart = [0, 1, 2].map(|i| a[i].abs_diff(b[i]));
            sum += apart.iter().map(|v| u64::from(*v)).sum::<u64>();
            far += u64::from(apart.iter().any(|v| *v > FAR));
            rgba.extend(apart.map(|v| v.saturating_mul(4)));
            rgba.push(255);
        }
        let pixels = (golden.len() / 4) as f64;
        Difference { mean: sum as f64 / (pixels * 3.0), far_share: far as f64 / pixels, rgba }
    }
}

/// A colour of a pixel.
pub fn pixel(picture: &Picture, x: u32, y: u32) -> [u8; 3] {
    let at = ((y * picture.width + x) * 4) as usize;
    [picture.rgba[at], picture.rgba[at + 1], picture.rgba[at + 2]]
}

pub fn at(x: f32, y: f32, z: f32) -> Component {
    Component::Transform(Transform::at(x, y, z))
}

pub fn turned(x: f32, y: f32, z: f32, rotation: [f32; 4]) -> Component {
    Component::Transform(Transform::at(x, y, z).rotated(rotation))
}

/// A rotation about an axis through the origin.
pub fn about(axis: [f32; 3], angle: f32) -> [f32; 4] {
    let (sin, cos) = (angle / 2.0).sin_cos();
    [axis[0] * sin, axis[1] * sin, axis[2] * sin, cos]
}

pub fn color(r: f32, g: f32, b: f32) -> Material {
    Material { base_color: [r, g, b, 1.0], ..Material::default() }
}

pub fn look(material: Material) -> Component {
    Component::Material(Box::new(material))
}

pub fn cuboid(x: f32, y: f32, z: f32) -> Component {
    Component::Mesh(MeshSource::Cuboid([x, y, z]))
}

pub fn day() -> Component {
    Component::Sky(Sky {
        zenith: [0.12, 0.32, 0.75],
        horizon: [0.75, 0.82, 0.9],
        ground: [0.22, 0.2, 0.18],
        brightness: 900.0,
        ambient: 500.0,
    })
}

pub fn sun() -> [Component; 2] {
    let light = Light {
        kind: LightKind::Directional,
        shadows: true,
        color: [1.0, 0.95, 0.85],
        intensity: 5000.0,
        range: 0.0,
        inner_angle: 0.0,
        outer_angle: 0.0,
    };
    // From the front, the right and above.
    let down = about([1.0, 0.0, 0.0], -0.9);
    let aside = about([0.0, 1.0, 0.0], 0.6);
    [turned(0.0, 5.0, 0.0, times(aside, down)), Component::Light(light)]
}

/// One rotation after another (the right one first).
pub fn times(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
    let [ax, ay, az, aw] = a;
    let [bx, by, bz, bw] = b;
    [
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    ]
}

pub fn floor() -> [Component; 2] {
    [
        Component::Mesh(MeshSource::Plane([30.0, 30.0])),
        look(Material { roughness: 0.9, ..color(0.35, 0.36, 0.33) }),
    ]
}

/// With a day, a sun and a floor.
pub fn furnished(mut stage: Stage) -> Stage {
    stage.make([day()]);
    stage.make(sun());
    stage.make(floor());
    stage
}

/// How far two pictures are apart on average, of 255.
pub fn apart(a: &Picture, b: &Picture) -> f64 {
    let sum: u64 = a.rgba.iter().zip(&b.rgba).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.rgba.len() as f64
}
