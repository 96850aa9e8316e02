// SPDX-License-Identifier: AGPL-3.0-or-later
//! Air, grades, lines, particles, screens, mirrors, layers, ranges and what bends: pictures beside those that are kept, and what happens when they change.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Stage, about, apart, at, color, cuboid, day, floor, look, pixel, sun, turned};
use hearth_abi::{
    EntityId, LumpId,
    mesh::{self, MorphTarget},
    scene::{
        Camera, ColorGrading, Component, ComponentKind, Fog, Layers, LineWay, Lines, Material, MeshSource,
        Mirror, MorphWeights, Particles, Scope, Screen, Skin, Text, ToneMapping, Transform, View,
        VisibilityRange,
    },
};
use hearth_engine::{Command, EngineConfig, Picture, Quality};
use hearth_scene::Change;
use std::sync::{Mutex, mpsc};
use tracing::{
    Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// A row of pillars that goes far away, in the sun.
fn avenue(stage: &mut Stage) {
    stage.make([day()]);
    stage.make(sun());
    let ground = [
        Component::Mesh(MeshSource::Plane([200.0, 200.0])),
        look(Material { roughness: 0.9, ..color(0.35, 0.36, 0.33) }),
    ];
    stage.make(ground);
    for i in 0..8 {
        for x in [-2.0, 2.0] {
            stage.make([at(x, 1.0, -5.0 * i as f32), cuboid(0.6, 2.0, 0.6), look(color(0.7, 0.1, 0.08))]);
        }
    }
}

fn mean(picture: &Picture) -> [f64; 3] {
    let pixels = picture.rgba.chunks_exact(4);
    let count = pixels.len() as f64;
    let sums = pixels.fold([0.0; 3], |sums, pixel| [0, 1, 2].map(|i| sums[i] + f64::from(pixel[i])));
    sums.map(|sum| sum / count)
}

/// A graded picture does not depend on what was graded before.
fn unset(stage: &mut Stage, id: EntityId, kind: ComponentKind) {
    stage.change(Change::Unset { id, kind });
}

#[test]
fn fog_hides_what_is_far_away() {
    let mut stage = Stage::new();
    avenue(&mut stage);
    stage.settle();
    let clear = stage.picture();
    let fog = Fog { color: [0.75, 0.82, 0.9], ..Fog::new(25.0, 900.0) };
    let air = stage.make([Component::Fog(fog)]);
    stage.step();
    stage.check("fog");
    // The floor at the end of the avenue has nearly the colour of the horizon; the first pillar is redder than the next.
    let foggy = stage.picture();
    let horizon = pixel(&foggy, 240, 131);
    let far = pixel(&foggy, 240, 150);
    let distance = |a: [u8; 3], b: [u8; 3]| (0..3).map(|i| u32::from(a[i].abs_diff(b[i]))).sum::<u32>();
    assert!(distance(far, horizon) < 60, "{far:?} {horizon:?}");
    let red = |x: u32| i32::from(pixel(&foggy, x, 160)[0]) - i32::from(pixel(&foggy, x, 160)[1]);
    assert!(red(160) > red(195) + 5 && red(195) > 5, "{} {}", red(160), red(195));
    // Whoever comes first by its id is seen; and without any it is clear again.
    let thicker = stage.make([Component::Fog(Fog { visibility: 2.0, ..fog })]);
    stage.step();
    assert!(apart(&foggy, &stage.picture()) < 0.01);
    unset(&mut stage, air, ComponentKind::Fog);
    stage.step();
    assert!(apart(&foggy, &stage.picture()) > 1.0);
    stage.change(Change::Removed { id: thicker });
    stage.step();
    assert!(apart(&clear, &stage.picture()) < 0.01);
}

#[test]
fn fog_glows_towards_the_sun() {
    let mut stage = Stage::new();
    avenue(&mut stage);
    // One more sun, low, behind the avenue, that shines at us.
    let low = Component::Transform(Transform::at(0.0, 3.0, 0.0).rotated(about([0.0, 1.0, 0.0], 3.1)));
    let [_, light] = sun();
    stage.make([low, light]);
    let fog = Fog { color: [0.4, 0.45, 0.5], ..Fog::new(20.0, 900.0) };
    let air = stage.make([Component::Fog(fog)]);
    stage.settle();
    let plain = stage.picture();
    stage.set(air, Component::Fog(Fog { glow_color: [0.6, 0.4, 0.2], glow_exponent: 20.0, ..fog }));
    stage.step();
    let glowing = stage.picture();
    let warmer = |x: u32| i32::from(pixel(&glowing, x, 146)[0]) - i32::from(pixel(&plain, x, 146)[0]);
    assert!(warmer(240) > 20, "{}", warmer(240));
    assert!(warmer(240) > warmer(20) + 10, "{} {}", warmer(240), warmer(20));
}

#[test]
fn colours_are_graded() {
    for quality in [Quality::Low, Quality::High] {
        let mut stage = Stage::with(EngineConfig { quality: Some(quality), ..EngineConfig::default() });
        avenue(&mut stage);
        stage.make([
            at(0.0, 1.2, 2.0),
            Component::Mesh(MeshSource::Sphere(0.3)),
            look(Material { emissive: [8.0, 4.0, 1.0], ..color(0.0, 0.0, 0.0) }),
        ]);
        stage.settle();
        let plain = stage.picture();
        let plain_mean = mean(&plain);
        let grades = stage.make([]);
        let mut graded = |grading: ColorGrading| {
            stage.set(grades, Component::ColorGrading(grading));
            stage.step();
            mean(&stage.picture())
        };
        let as_is = ColorGrading::default();
        let same = graded(as_is);
        assert!((0..3).all(|i| (same[i] - plain_mean[i]).abs() < 0.01), "{same:?} {plain_mean:?}");
        let [r, g, b] = graded(ColorGrading { saturation: 0.0, ..as_is });
        assert!((r - g).abs() < 1.0 && (g - b).abs() < 1.0, "grey: {r} {g} {b}");
        let brighter = graded(ColorGrading { exposure: 1.0, ..as_is });
        assert!((0..3).all(|i| brighter[i] > plain_mean[i] + 10.0), "{brighter:?} {plain_mean:?}");
        let warm = graded(ColorGrading { temperature: 0.5, ..as_is });
        assert!(warm[0] - warm[2] > plain_mean[0] - plain_mean[2] + 5.0, "{warm:?} {plain_mean:?}");
        let with_bloom = graded(ColorGrading { bloom: 0.5, ..as_is });
        let without = graded(ColorGrading { bloom: 0.0, ..as_is });
        let differs = (0..3).any(|i| (with_bloom[i] - without[i]).abs() > 0.3);
        assert_eq!(differs, quality == Quality::High, "{with_bloom:?} {without:?}");
        let mut seen: Vec<[f64; 3]> = Vec::new();
        for tone_mapping in ToneMapping::ALL {
            let now = graded(ColorGrading { tone_mapping, ..as_is });
            let differs = |other: &[f64; 3]| (0..3).any(|i| (other[i] - now[i]).abs() > 0.5);
            assert!(seen.iter().all(differs), "{tone_mapping:?} {now:?} {seen:?}");
            seen.push(now);
        }
        // Taken back, all is as it was.
        unset(&mut stage, grades, ComponentKind::ColorGrading);
        stage.step();
        assert!(apart(&plain, &stage.picture()) < 0.01);
    }
}

#[test]
fn a_graded_picture_is_kept() {
    let mut stage = Stage::new();
    avenue(&mut stage);
    let grading = ColorGrading {
        tone_mapping: ToneMapping::AgX,
        exposure: 0.7,
        temperature: 0.3,
        tint: 0.1,
        saturation: 1.3,
        contrast: 1.15,
        ..ColorGrading::default()
    };
    stage.make([Component::ColorGrading(grading)]);
    stage.settle();
    stage.check("graded");
}

#[test]
fn lines_are_drawn_between_points() {
    let mut stage = Stage::new();
    stage.make([day()]);
    stage.make(floor());
    let star: Vec<[f32; 3]> = (0..10)
        .map(|i| {
            let angle = i as f32 * std::f32::consts::TAU / 10.0;
            let radius = if i % 2 == 0 { 0.8 } else { 0.35 };
            [angle.sin() * radius, angle.cos() * radius, 0.0]
        })
        .collect();
    let lines = |way, width, color| {
        let lines = Lines { way, width, color, ..Lines::through(&star[..]) };
        Component::Lines(Box::new(lines))
    };
    let thick = stage.make([at(-2.0, 1.7, 1.0), lines(LineWay::Loop, 0.05, [1.0, 0.8, 0.1, 1.0])]);
    stage.make([at(0.0, 1.7, 1.0), lines(LineWay::Pairs, 0.03, [0.1, 0.9, 0.3, 0.5])]);
    stage.make([at(2.0, 1.7, 1.0), lines(LineWay::Strip, 0.0, [1.0, 0.2, 0.2, 1.0])]);
    // None that would be without an end.
    let point = Lines { width: 1e30, ..Lines::through([[1e30, 0.0, 0.0]]) };
    stage.make([Component::Lines(Box::new(point))]);
    stage.settle();
    stage.check("lines");
    stage.set(thick, Component::Lines(Box::new(Lines::through([]))));
    stage.step();
    let without = stage.picture();
    unset(&mut stage, thick, ComponentKind::Lines);
    stage.step();
    assert!(apart(&without, &stage.picture()) < 0.01);
}

fn fire() -> Particles {
    Particles {
        rate: 150.0,
        lifetime: [0.6, 1.1],
        extent: [0.25, 0.0, 0.25],
        speed: [0.3, 0.8],
        spread: 0.25,
        acceleration: [0.0, 1.2, 0.0],
        turbulence: 0.15,
        size: [0.28, 0.05],
        color: [[2.5, 0.9, 0.2, 0.5], [0.8, 0.06, 0.0, 0.0]],
        light: true,
        ..Particles::default()
    }
}

#[test]
fn particles_fly_and_fade() {
    let mut stage = Stage::new();
    stage.make(floor());
    let particles = |value: Particles| Component::Particles(Box::new(value));
    stage.make([at(-1.8, 0.1, 1.0), particles(fire())]);
    let smoke = Particles {
        rate: 40.0,
        lifetime: [2.0, 3.0],
        extent: [0.1, 0.0, 0.1],
        speed: [0.5, 0.8],
        spread: 0.2,
        drag: 0.3,
        turbulence: 0.3,
        size: [0.15, 0.9],
        color: [[0.5, 0.5, 0.52, 0.5], [0.3, 0.3, 0.32, 0.0]],
        ..Particles::default()
    };
    stage.make([at(0.3, 0.1, 1.0), particles(smoke)]);
    // Rain falls down also from what is turned, and is scaled only where it is born.
    let rain = Particles {
        rate: 120.0,
        lifetime: [0.9, 1.0],
        extent: [0.5, 0.5, 0.02],
        speed: [0.0, 0.0],
        acceleration: [0.0, -5.0, 0.0],
        size: [0.03, 0.03],
        color: [[0.5, 0.7, 1.0, 0.9]; 2],
        ..Particles::default()
    };
    let place = Transform::at(2.3, 3.2, 1.0).rotated(about([1.0, 0.0, 0.0], 1.57)).scaled(1.5);
    let falling = stage.make([Component::Transform(place), particles(rain)]);
    stage.settle();
    stage.check("particles");
    // What is born counted ends, and nothing is left of it.
    let with_rain = stage.picture();
    stage.set(falling, particles(Particles { count: 5, rate: 1000.0, ..rain }));
    for _ in 0..90 {
        stage.step();
    }
    let ended = stage.picture();
    assert!(apart(&with_rain, &ended) > 0.05);
    unset(&mut stage, falling, ComponentKind::Particles);
    // The two others move on meanwhile: only the part of the rain is looked at.
    stage.step();
    let gone = stage.picture();
    let right = |picture: &Picture| -> u64 {
        let rows = 0..picture.height;
        rows.flat_map(|y| (picture.width * 4 / 5..picture.width).map(move |x| (x, y)))
            .map(|(x, y)| pixel(picture, x, y).iter().map(|v| u64::from(*v)).sum::<u64>())
            .sum()
    };
    assert_eq!(right(&ended), right(&gone));
}

/// Hears what the renderer says of memory that it has not.
struct Ear;

static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        if message.0.contains("Use-after-free") {
            HEARD.lock().unwrap().push(message.0);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn what_shows_nothing_yet_is_no_mesh_without_vertices() {
    // Bevy says "Use-after-free" of a mesh without vertices, which it makes no room for and then looks for.
    tracing::subscriber::set_global_default(Ear).unwrap();
    let mut stage = Stage::new();
    stage.make(floor());
    let particles = |value: Particles| Component::Particles(Box::new(value));
    // Hidden from the first, out of sight, not born yet, and soon over.
    let hidden = stage.make([at(0.0, 0.5, 1.0), particles(fire()), Component::Hidden(true)]);
    stage.make([at(0.0, 0.5, 900.0), particles(fire())]);
    stage.make([at(1.0, 0.5, 1.0), particles(Particles { count: 3, start_ns: u64::MAX / 2, ..fire() })]);
    let burst = Particles { count: 3, rate: 1000.0, lifetime: [0.05, 0.05], ..fire() };
    let burst = stage.make([at(-1.0, 0.5, 1.0), particles(burst)]);
    // And what else may have nothing to show.
    stage.make([Component::Text(Box::new(Text { text: " \n".into(), ..Text::default() }))]);
    stage.make([Component::Lines(Box::new(Lines::through([[1.0; 3]; 4])))]);
    let empty = stage.lump(hearth_abi::mesh::Mesh::default().encode());
    stage.make([Component::Mesh(MeshSource::Lump(empty))]);
    stage.settle();
    (0..10).for_each(|_| drop(stage.step()));
    stage.set(hidden, Component::Hidden(false));
    unset(&mut stage, burst, ComponentKind::Particles);
    (0..10).for_each(|_| drop(stage.step()));
    assert_eq!(*HEARD.lock().unwrap(), [""; 0]);
    assert_eq!(stage.failures, []);
}

#[test]
fn more_particles_than_can_be_drawn_are_thinned() {
    let mut stage = Stage::new();
    let many = Particles { rate: 499.0, lifetime: [1.9, 2.0], extent: [0.5; 3], ..Particles::default() };
    let ids: Vec<EntityId> = (0..40)
        .map(|i| {
            let x = (i % 8) as f32 - 3.5;
            let y = (i / 8) as f32 * 0.6;
            stage.make([at(x, y, 0.0), Component::Particles(Box::new(many))])
        })
        .collect();
    stage.settle();
    let thinned = mean(&stage.picture());
    // Fewer sources, of which each shows all it has.
    ids[8..].iter().for_each(|id| stage.change(Change::Removed { id: *id }));
    stage.step();
    let few = mean(&stage.picture());
    assert!(thinned[0] > few[0] && few[0] > 1.0, "{thinned:?} {few:?}");
}

/// A screen that shows a blue box from the side, beside a red one that only the eye sees.
fn cinema(stage: &mut Stage) -> (EntityId, EntityId) {
    stage.make([day()]);
    stage.make(sun());
    stage.make(floor());
    stage.make([at(40.0, 1.0, -3.0), cuboid(1.0, 2.0, 1.0), look(color(0.05, 0.1, 0.8))]);
    stage.make([at(-2.2, 0.7, 1.0), cuboid(0.7, 1.4, 0.7), look(color(0.8, 0.05, 0.05))]);
    let camera = Camera { fov_y: 0.9, ..Camera::default() };
    let view = View { camera, size: [320, 180], rate: 1000.0 };
    let watcher = stage.make([at(40.0, 1.2, 0.5), Component::View(view)]);
    let upright = turned(0.6, 1.6, 1.0, about([1.0, 0.0, 0.0], std::f32::consts::FRAC_PI_2));
    let screen = stage.make([
        upright,
        Component::Mesh(MeshSource::Plane([3.2, 1.8])),
        Component::Screen(Screen::of(watcher)),
    ]);
    (watcher, screen)
}

#[test]
fn screens_show_what_views_see() {
    let mut stage = Stage::new();
    let (watcher, screen) = cinema(&mut stage);
    stage.settle();
    (0..4).for_each(|_| drop(stage.step()));
    stage.check("screen");
    // What moves there is seen to move.
    let before = stage.picture();
    stage.set(watcher, at(40.0, 1.2, 3.0));
    (0..4).for_each(|_| drop(stage.step()));
    let after = stage.picture();
    assert!(apart(&before, &after) > 0.3, "{}", apart(&before, &after));
    // Without its view a screen is dark, and without a screen the mesh has its material.
    let middle = |picture: &Picture| pixel(picture, 280, 130);
    unset(&mut stage, watcher, ComponentKind::View);
    (0..3).for_each(|_| drop(stage.step()));
    assert_eq!(middle(&stage.picture()), [0; 3]);
    unset(&mut stage, screen, ComponentKind::Screen);
    stage.step();
    assert!(middle(&stage.picture()).iter().all(|v| *v > 60));
}

#[test]
fn pictures_of_a_view_are_made_when_somebody_asks() {
    let mut stage = Stage::new();
    let (watcher, screen) = cinema(&mut stage);
    stage.change(Change::Removed { id: screen });
    stage.settle();
    let of = |stage: &mut Stage, view| {
        let (tell, told) = mpsc::sync_channel(1);
        let done = Box::new(move |picture| drop(tell.send(picture)));
        stage.control.send(Command::ScreenshotOf { view, done }).unwrap();
        for _ in 0..200 {
            stage.step();
            if let Ok(picture) = told.try_recv() {
                return picture;
            }
        }
        panic!("no picture came");
    };
    let picture = of(&mut stage, watcher).unwrap();
    assert_eq!([picture.width, picture.height], [320, 180]);
    let [red, green, blue] = pixel(&picture, 160, 80);
    assert!(blue > 100 && red < 80 && green < 100, "the blue box: {red} {green} {blue}");
    // Beside it that of the eye, where there is none.
    let eyes = stage.picture();
    assert_eq!([eyes.width, eyes.height], common::SIZE);
    let reason = of(&mut stage, screen).unwrap_err();
    assert_eq!(reason, "the entity has no view");
}

#[test]
fn a_screen_in_its_own_view_shows_the_picture_before() {
    let mut stage = Stage::new();
    let (watcher, _) = cinema(&mut stage);
    stage.set(watcher, at(0.6, 1.6, 3.6));
    stage.settle();
    // As many times as there are pictures, until it is too small to be seen.
    (0..8).for_each(|_| drop(stage.picture()));
    stage.check("screen-in-screen");
}

#[test]
fn more_views_than_are_made_take_no_more() {
    let mut stage = Stage::new();
    stage.make([day()]);
    stage.make(floor());
    for i in 0..9 {
        let x = (i % 3) as f32 * 1.2 - 1.2;
        let y = (i / 3) as f32 * 0.8 + 0.6;
        let view = View { size: [64, 64], rate: 1000.0, ..View::default() };
        let watcher = stage.make([at(x, 1.0, -20.0), Component::View(view)]);
        let upright = turned(x, y, 1.0, about([1.0, 0.0, 0.0], std::f32::consts::FRAC_PI_2));
        let screen = Component::Screen(Screen::of(watcher));
        stage.make([upright, Component::Mesh(MeshSource::Plane([1.0 + 0.01 * i as f32, 0.7])), screen]);
    }
    stage.settle();
    (0..6).for_each(|_| drop(stage.step()));
    let picture = stage.picture();
    let lit = (0..9)
        .filter(|i| {
            let x = 240 + (i % 3 - 1) * 57;
            let y = 190 - (i / 3) * 38;
            pixel(&picture, x as u32, y as u32).iter().any(|v| *v > 20)
        })
        .count();
    assert_eq!(lit, 4);
}

#[test]
fn what_has_a_range_is_seen_only_there() {
    let mut stage = Stage::new();
    stage.make([day()]);
    let ranged = |start, end| Component::VisibilityRange(VisibilityRange { start, end });
    // The eye is 6 m before the origin.
    let near =
        stage.make([at(0.0, 1.7, 0.0), cuboid(1.0, 1.0, 1.0), look(color(1.0, 0.0, 0.0)), ranged(0.0, 5.0)]);
    stage.settle();
    let middle = |stage: &mut Stage| {
        stage.step();
        let [red, green, _] = pixel(&stage.picture(), 240, 135);
        i32::from(red) - i32::from(green) > 60
    };
    assert!(!middle(&mut stage));
    stage.set(near, ranged(0.0, 6.5));
    assert!(middle(&mut stage));
    // It goes out of sight a little farther than where it came into it.
    stage.set(near, at(0.0, 1.7, -0.55));
    assert!(middle(&mut stage));
    stage.set(near, at(0.0, 1.7, -0.8));
    assert!(!middle(&mut stage));
    stage.set(near, at(0.0, 1.7, -0.55));
    assert!(!middle(&mut stage));
    // Hidden is hidden, wherever.
    stage.set(near, Component::Hidden(true));
    stage.set(near, at(0.0, 1.7, 0.0));
    assert!(!middle(&mut stage));
    unset(&mut stage, near, ComponentKind::Hidden);
    assert!(middle(&mut stage));
    stage.set(near, ranged(20.0, 30.0));
    assert!(!middle(&mut stage));
    unset(&mut stage, near, ComponentKind::VisibilityRange);
    assert!(middle(&mut stage));
}

/// The eye at its usual place.
fn camera(stage: &mut Stage, components: impl IntoIterator<Item = Component>) -> EntityId {
    let camera = Component::Camera(Camera { fov_y: std::f32::consts::FRAC_PI_4, ..Camera::default() });
    let all = [at(0.0, 1.7, 6.0), camera].into_iter().chain(components);
    stage.make_by(common::PEER, Scope::Local, all)
}

fn layers(of: &[u8]) -> Component {
    Component::Layers(Layers::of(of))
}

#[test]
fn layers_say_who_sees_what() {
    let mut stage = Stage::new();
    stage.make([day()]);
    let eye = camera(&mut stage, []);
    let red =
        stage.make([at(-1.0, 1.7, 0.0), cuboid(0.8, 0.8, 0.8), look(color(1.0, 0.0, 0.0)), layers(&[3])]);
    let child = stage.make([at(2.0, 0.0, 0.0), cuboid(0.8, 0.8, 0.8), look(color(1.0, 0.0, 0.0))]);
    stage.change(Change::Reparented { id: child, parent: Some(red) });
    stage.settle();
    let seen = |stage: &mut Stage| {
        (0..2).for_each(|_| drop(stage.step()));
        let picture = stage.picture();
        [195, 285].map(|x| {
            let [red, green, _] = pixel(&picture, x, 135);
            i32::from(red) - i32::from(green) > 60
        })
    };
    assert_eq!(seen(&mut stage), [false, false]);
    stage.set(eye, layers(&[0, 3]));
    assert_eq!(seen(&mut stage), [true, true]);
    // What says nothing itself goes with what it hangs under; what does, does not.
    stage.set(child, layers(&[0]));
    stage.set(eye, layers(&[0]));
    assert_eq!(seen(&mut stage), [false, true]);
    stage.set(eye, layers(&[3]));
    assert_eq!(seen(&mut stage), [true, false]);
    unset(&mut stage, child, ComponentKind::Layers);
    assert_eq!(seen(&mut stage), [true, true]);
    unset(&mut stage, red, ComponentKind::Layers);
    assert_eq!(seen(&mut stage), [false, false]);
    unset(&mut stage, eye, ComponentKind::Layers);
    assert_eq!(seen(&mut stage), [true, true]);
    // What is made later below it, and all that hangs there.
    stage.set(red, layers(&[7]));
    let model = stage.lump(common::glb::two_boxes().bytes());
    let late = stage.make([at(0.0, -0.7, 1.0), Component::Model(model)]);
    stage.change(Change::Reparented { id: late, parent: Some(red) });
    stage.settle();
    let hidden = stage.picture();
    stage.change(Change::Removed { id: late });
    stage.step();
    assert_eq!(apart(&hidden, &stage.picture()), 0.0);
}

/// A mirror on the right wall of a room, and one on its floor.
fn hall(stage: &mut Stage) -> EntityId {
    stage.make([day()]);
    stage.make(sun());
    stage.make(floor());
    camera(stage, []);
    stage.make([at(-1.6, 0.7, 1.0), cuboid(0.7, 1.4, 0.7), look(color(0.8, 0.05, 0.05))]);
    stage.make([at(0.2, 0.5, -2.2), Component::Mesh(MeshSource::Sphere(0.5)), look(color(0.1, 0.2, 0.8))]);
    let sign = Text { text: "MIRROR".into(), size: 0.3, ..Text::default() };
    stage.make([at(-1.6, 1.7, 1.0), Component::Text(Box::new(sign))]);
    // Upright, and turned to the left and the eye.
    let upright = about([1.0, 0.0, 0.0], std::f32::consts::FRAC_PI_2);
    let place = turned(1.5, 1.5, 0.0, common::times(about([0.0, 1.0, 0.0], -0.7), upright));
    let mirror = Component::Mirror(Mirror { color: [0.95, 0.9, 0.8], ..Mirror::default() });
    let water = Component::Mirror(Mirror { color: [0.5, 0.7, 0.8], size: 256, ..Mirror::default() });
    stage.make([at(-0.1, 0.02, 0.9), Component::Mesh(MeshSource::Plane([2.0, 1.4])), water]);
    stage.make([place, Component::Mesh(MeshSource::Plane([2.0, 2.4])), mirror])
}

#[test]
fn mirrors_show_what_is_before_them() {
    let mut stage = Stage::new();
    let mirror = hall(&mut stage);
    stage.settle();
    (0..3).for_each(|_| drop(stage.step()));
    stage.check("mirrors");
    let before = stage.picture();
    // Without the component it has its material, and what it hung under is gone with it.
    unset(&mut stage, mirror, ComponentKind::Mirror);
    (0..2).for_each(|_| drop(stage.step()));
    assert!(apart(&before, &stage.picture()) > 0.5);
    stage.set(mirror, Component::Mirror(Mirror { color: [0.95, 0.9, 0.8], ..Mirror::default() }));
    (0..4).for_each(|_| drop(stage.step()));
    assert!(apart(&before, &stage.picture()) < 0.05);
    stage.change(Change::Removed { id: mirror });
    (0..3).for_each(|_| drop(stage.step()));
    assert!(apart(&before, &stage.picture()) > 0.5);
}

/// What stands before a mirror is not seen in it if it is in none of its layers, and is seen by itself.
#[test]
fn a_mirror_shows_the_layers_that_it_says() {
    let mut stage = Stage::new();
    let mirror = hall(&mut stage);
    stage.settle();
    (0..3).for_each(|_| drop(stage.step()));
    let all = stage.picture();
    let none = Mirror { color: [0.95, 0.9, 0.8], layers: Layers::of(&[9]), ..Mirror::default() };
    stage.set(mirror, Component::Mirror(none));
    (0..3).for_each(|_| drop(stage.step()));
    let empty = stage.picture();
    // The box itself is in the left third, its reflection in the right one.
    let red = |picture: &Picture, columns: std::ops::Range<u32>| {
        let pixels = columns.flat_map(|x| (0..picture.height).map(move |y| (x, y)));
        pixels.filter(|(x, y)| matches!(pixel(picture, *x, *y), [r, g, _] if r > 90 && g < 60)).count()
    };
    assert!(red(&all, 0..160) > 500 && red(&all, 0..160) == red(&empty, 0..160));
    assert!(red(&all, 240..480) > 300, "{}", red(&all, 240..480));
    assert_eq!(red(&empty, 240..480), 0);
}

/// A bar along +Y of eight rings, which two joints bend, and which can become thick at its upper end.
fn bending_bar() -> mesh::Mesh {
    let mut bar = mesh::Mesh::default();
    let mut thick = MorphTarget::default();
    for ring in 0..9u32 {
        let along = ring as f32 / 8.0;
        for corner in 0..8u32 {
            let (sin, cos) = (corner as f32 / 8.0 * std::f32::consts::TAU).sin_cos();
            bar.positions.push([0.18 * cos, along * 1.6, 0.18 * sin]);
            bar.normals.push([cos, 0.0, sin]);
            bar.joints.push([0, 1, 0, 0]);
            bar.weights.push([1.0 - along, along, 0.0, 0.0]);
            thick.positions.push([0.3 * along * cos, 0.0, 0.3 * along * sin]);
            thick.normals.push([0.0; 3]);
            if ring < 8 {
                let (a, b) = (ring * 8 + corner, ring * 8 + (corner + 1) % 8);
                bar.indices.extend([a, a + 8, b + 8, a, b + 8, b]);
            }
        }
    }
    let identity: [f32; 16] = std::array::from_fn(|i| if i % 5 == 0 { 1.0 } else { 0.0 });
    let mut upper = identity;
    upper[13] = -1.6;
    bar.inverse_bind_matrices = vec![identity, upper];
    bar.morph_targets = vec![thick];
    bar
}

/// Meshes of their own, bent by entities and by weights.
#[test]
fn meshes_bend_as_scripts_say() {
    let mut stage = Stage::new();
    stage.make([day()]);
    stage.make(sun());
    stage.make(floor());
    let bar = stage.lump(bending_bar().encode());
    let shape = || Component::Mesh(MeshSource::Lump(bar));
    let weights =
        |weights: &[f32]| Component::MorphWeights(Box::new(MorphWeights { weights: weights.to_vec() }));
    stage.make([at(-2.4, 0.1, 1.0), shape(), look(color(0.7, 0.6, 0.5))]);
    let morphed = stage.make([at(-1.2, 0.1, 1.0), shape(), weights(&[1.0, 9.0]), look(color(0.3, 0.6, 0.5))]);
    let lower = stage.make([at(0.3, 0.1, 1.0)]);
    let upper = stage.make([turned(0.8, 1.4, 1.0, about([0.0, 0.0, 1.0], -1.2))]);
    let skin = |joints: &[EntityId]| Component::Skin(Box::new(Skin { joints: joints.to_vec() }));
    let bent = stage.make([shape(), skin(&[lower, upper]), weights(&[0.5]), look(color(0.7, 0.3, 0.2))]);
    // Bent by what is not there, and by too many: as they were made.
    let missing = EntityId::from_bits(lower.to_bits() + 999);
    stage.make([at(2.0, 0.1, 1.0), shape(), skin(&[lower, missing]), look(color(0.2, 0.3, 0.7))]);
    let many = stage.make([at(2.9, 0.1, 1.0), shape(), skin(&[lower; 3]), look(color(0.2, 0.3, 0.7))]);
    stage.settle();
    let misfit = "the skin has 3 joints, and the mesh 2".to_owned();
    assert_eq!(stage.failures, [(vec![many], bar, misfit)]);
    stage.check("bending");
    let first = stage.picture();
    // A joint that moves takes the mesh along.
    stage.set(upper, at(0.3, 1.7, 1.0));
    (0..3).for_each(|_| drop(stage.step()));
    let moved = stage.picture();
    assert!(apart(&first, &moved) > 0.2, "{}", apart(&first, &moved));
    // Without one of its joints it is as it was made, at its own place; and it bends again when that is back.
    stage.set(bent, at(0.3, 0.1, 1.0));
    stage.set(bent, weights(&[0.0]));
    stage.change(Change::Removed { id: upper });
    (0..3).for_each(|_| drop(stage.step()));
    let without = stage.picture();
    stage.change(Change::Unset { id: bent, kind: ComponentKind::Skin });
    stage.change(Change::Unset { id: bent, kind: ComponentKind::MorphWeights });
    (0..3).for_each(|_| drop(stage.step()));
    assert!(apart(&without, &stage.picture()) < 0.02);
    // Weights change what is shown.
    stage.set(morphed, weights(&[0.0]));
    (0..3).for_each(|_| drop(stage.step()));
    assert!(apart(&without, &stage.picture()) > 0.1);
}

/// What is here after a moment takes the place of what was seen before. Only for what takes longer something stands in.
#[test]
fn what_is_soon_here_has_no_stand_in() {
    let mut stage = Stage::new();
    stage.make([day()]);
    stage.make(sun());
    stage.make(floor());
    stage.settle();
    let nothing = stage.picture();
    let [first, second, model] = [1, 2, 3].map(|i| LumpId([100 + i; 32]));
    let moments = |stage: &mut Stage| (0..10).for_each(|_| drop(stage.step()));
    let thing = stage.make([at(0.0, 1.0, 2.0), Component::Mesh(MeshSource::Lump(first))]);
    moments(&mut stage);
    assert_eq!(apart(&nothing, &stage.picture()), 0.0, "nothing stands in for it yet");
    stage.control.send(Command::Lump { id: first, bytes: Ok(bending_bar().encode().into()) }).unwrap();
    stage.settle();
    let shown = stage.picture();
    assert!(apart(&nothing, &shown) > 0.1);

    // Another one for the same: what was there is seen until that is there, or is late.
    stage.set(thing, Component::Mesh(MeshSource::Lump(second)));
    moments(&mut stage);
    assert_eq!(apart(&shown, &stage.picture()), 0.0, "the mesh before is still seen");
    stage.grow_impatient();
    assert!(apart(&shown, &stage.picture()) > 0.1, "something stands in for the mesh");
    let before = stage.picture();
    stage.make([at(1.2, 1.0, 2.0), Component::Model(model)]);
    moments(&mut stage);
    assert_eq!(apart(&before, &stage.picture()), 0.0, "nothing stands in for the model yet");
    stage.grow_impatient();
    assert!(apart(&before, &stage.picture()) > 0.03, "something stands in for the model");

    let other = MeshSource::Cuboid([0.3; 3]);
    stage.set(thing, Component::Mesh(other));
    stage.step();
    let without = stage.picture();
    stage.set(thing, Component::Mesh(MeshSource::Lump(second)));
    stage.step();
    stage.control.send(Command::Lump { id: second, bytes: Err("nobody has it".into()) }).unwrap();
    (0..3).for_each(|_| drop(stage.step()));
    assert!(apart(&without, &stage.picture()) > 0.1, "it will not come, and that is seen at once");
}

/// What stands in for what is under way fills as it comes.
#[test]
fn what_is_under_way_shows_how_much_is_here() {
    let mut stage = Stage::new();
    stage.make([day()]);
    stage.make(sun());
    stage.make(floor());
    // Nobody answers for these.
    let lumps = [1, 2, 3].map(|i| LumpId([100 + i; 32]));
    let [mesh, model, new] = lumps;
    stage.make([at(-1.2, 1.0, 2.0), Component::Mesh(MeshSource::Lump(mesh))]);
    stage.make([at(0.0, 1.0, 2.0), Component::Model(model)]);
    stage.make([at(1.2, 1.0, 2.0), Component::Model(new)]);
    stage.step();
    let progress = |id, received| Command::LumpProgress { id, received, size: 1000 };
    stage.control.send(progress(mesh, 300)).unwrap();
    stage.control.send(progress(model, 800)).unwrap();
    // Of one that nobody wants.
    stage.control.send(progress(LumpId([9; 32]), 5)).unwrap();
    stage.grow_impatient();
    stage.check("under-way");
    stage.control.send(Command::Lump { id: mesh, bytes: Ok(bending_bar().encode().into()) }).unwrap();
    stage.control.send(Command::Lump { id: model, bytes: Err("nobody has it".into()) }).unwrap();
    (0..30).for_each(|_| drop(stage.step()));
    let amber = |picture: &Picture, x: u32| {
        let pixels = (x - 40..x + 40).flat_map(|x| (0..picture.height).map(move |y| (x, y)));
        pixels
            .filter(|(x, y)| matches!(pixel(picture, *x, *y), [r, g, b] if r > 200 && g < 200 && b < 120))
            .count()
    };
    let after = stage.picture();
    // One is there, one will not come, and one is still awaited.
    assert_eq!([170, 240].map(|x| amber(&after, x)), [0; 2]);
    assert!(amber(&after, 310) > 50);
}
