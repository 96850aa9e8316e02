// SPDX-License-Identifier: AGPL-3.0-or-later
//! A hand at an engine without a window: what the window system would say is put in its place.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::{CASTS_MAX, Command, Controller, EngineConfig, Headless, Quality, channel};
use bevy::{
    input::{
        ButtonState,
        mouse::{MouseButtonInput, MouseScrollUnit, MouseWheel},
        touch::TouchPhase,
    },
    window::{CursorLeft, CursorMoved, CursorOptions, FileDragAndDrop, WindowEvent, WindowFocused},
};
use hearth_abi::{
    PeerId, ProcessId, TerminalId,
    cast::{Cast, Hit},
    pointer::{self, Kind},
    scene::{Component, Material, MeshSource, Scope, TerminalView, Text, Transform as Place},
    screen::Screen,
};
use hearth_scene::{Change, Owner};
use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

const SIZE: [u32; 2] = [320, 240];
const MIDDLE: [f32; 2] = [160.0, 120.0];

struct Stage {
    engine: Headless,
    control: Controller,
    changes: Vec<Change>,
    serial: u64,
}

impl Stage {
    fn new() -> Stage {
        let (control, end) = channel();
        let config = EngineConfig {
            size: SIZE,
            peer: PeerId::new(1).unwrap(),
            quality: Some(Quality::Low),
            fixed_step: Some(Duration::from_micros(16_667)),
            draw_on_demand: false,
            system_fonts: false,
            ..EngineConfig::default()
        };
        let engine = Headless::new(config, end).unwrap();
        Stage { engine, control, changes: Vec::new(), serial: 0 }
    }

    fn make(&mut self, components: impl IntoIterator<Item = Component>) -> EntityId {
        self.serial += 1;
        // Of the server's process.
        let id = EntityId::new(PeerId::SERVER, self.serial).unwrap();
        let owner = Owner::Process(ProcessId::new(PeerId::SERVER, 1).unwrap());
        self.changes.push(Change::Created { id, scope: Scope::Shared, owner });
        components.into_iter().for_each(|component| self.set(id, component));
        id
    }

    /// A box of one metre, so far before the eye.
    fn cube(&mut self, before: f32) -> EntityId {
        self.make([at(0.0, 1.7, 6.0 - before - 0.5), Component::Mesh(MeshSource::Cuboid([1.0; 3]))])
    }

    fn set(&mut self, id: EntityId, component: Component) {
        self.changes.push(Change::Set { id, component });
    }

    fn below(&mut self, id: EntityId, parent: EntityId) {
        self.changes.push(Change::Reparented { id, parent: Some(parent) });
    }

    fn step(&mut self) -> Vec<Event> {
        if !self.changes.is_empty() {
            self.control.send(Command::Changes(std::mem::take(&mut self.changes))).unwrap();
        }
        assert!(self.engine.step().unwrap());
        std::iter::from_fn(|| self.control.try_event()).collect()
    }

    /// What is told of pointers in the next picture.
    fn told(&mut self) -> Vec<pointer::Event> {
        let told = self.step().into_iter().filter_map(|event| match event {
            Event::Pointer(event) => Some(event),
            _ => None,
        });
        told.collect()
    }

    fn kinds(&mut self) -> Vec<(Kind, EntityId)> {
        self.told().iter().map(|event| (event.kind, event.entity)).collect()
    }

    /// Lets everything come to its place, with nothing under the pointer.
    fn settle(&mut self) {
        (0..4).for_each(|_| drop(self.step()));
    }

    fn happens(&mut self, event: impl Into<WindowEvent>) {
        self.engine.world_mut().write_message(event.into());
    }

    fn moves(&mut self, [x, y]: [f32; 2]) {
        let window = Entity::PLACEHOLDER;
        self.happens(CursorMoved { window, position: Vec2::new(x, y), delta: None });
    }

    fn button(&mut self, state: ButtonState) {
        let window = Entity::PLACEHOLDER;
        self.happens(MouseButtonInput { button: MouseButton::Left, state, window });
    }

    fn focuses(&mut self, focused: bool) {
        self.happens(WindowFocused { window: Entity::PLACEHOLDER, focused });
    }

    fn cast(&mut self, cast: Cast) -> Result<Vec<Hit>, String> {
        let (tell, told) = mpsc::sync_channel(1);
        let done = Box::new(move |hits| drop(tell.send(hits)));
        self.control.send(Command::Cast { cast, done }).unwrap();
        self.step();
        told.try_recv().unwrap()
    }
}

fn at(x: f32, y: f32, z: f32) -> Component {
    Component::Transform(Place::at(x, y, z))
}

fn wants(wants: Wants) -> Component {
    Component::Pointer(wants)
}

#[test]
fn what_is_drawn_under_the_pointer_is_touched() {
    let mut stage = Stage::new();
    let cube = stage.cube(3.0);
    stage.set(cube, wants(Wants::ALL));
    stage.settle();
    assert_eq!(stage.told(), [], "the pointer is not in the window");
    stage.moves(MIDDLE);
    let events = stage.step();
    let Some(Event::Pointer(over)) = events.iter().find(|event| matches!(event, Event::Pointer(_))) else {
        panic!("{events:?}");
    };
    assert_eq!((over.kind, over.entity, over.hit), (Kind::Over, cube, Some(cube)));
    assert_eq!(over.user, PeerId::new(1).unwrap());
    assert!(Vec3::from(over.point).abs_diff_eq(Vec3::new(0.0, 1.7, 3.0), 1e-3), "{over:?}");
    assert!(Vec3::from(over.normal).abs_diff_eq(Vec3::Z, 1e-3), "{over:?}");
    assert!(Vec3::from(over.way).abs_diff_eq(-Vec3::Z, 1e-3), "{over:?}");
    // From the near plane of the camera on.
    assert!((over.distance - 3.0).abs() < 0.1, "{over:?}");
    let target = Event::Input(input::Event::Target { entity: Some(cube), wants: Wants::ALL });
    assert!(events.contains(&target), "{events:?}");

    assert_eq!(stage.told(), [], "nothing moves");
    stage.button(ButtonState::Pressed);
    assert_eq!(stage.kinds(), [(Kind::Press, cube)]);
    stage.button(ButtonState::Released);
    assert_eq!(stage.kinds(), [(Kind::Release, cube), (Kind::Click, cube)]);
    let (unit, phase, window) = (MouseScrollUnit::Line, TouchPhase::Moved, Entity::PLACEHOLDER);
    stage.happens(MouseWheel { unit, x: 0.0, y: 2.0, window, phase });
    let told = stage.told();
    assert_eq!((told[0].kind, told[0].wheel), (Kind::Wheel, [0.0, 2.0]));

    // All between two pictures.
    stage.moves([161.0, 120.0]);
    stage.button(ButtonState::Pressed);
    stage.moves([300.0, 10.0]);
    stage.button(ButtonState::Released);
    let kinds: Vec<Kind> = stage.told().iter().map(|event| event.kind).collect();
    let drag = [Kind::Move, Kind::Press, Kind::DragStart, Kind::Move, Kind::Drag, Kind::Release];
    assert_eq!(kinds, [&drag[..], &[Kind::DragEnd, Kind::Out]].concat());
    stage.moves(MIDDLE);
    assert_eq!(stage.kinds(), [(Kind::Over, cube)]);
    stage.happens(CursorLeft { window: Entity::PLACEHOLDER });
    let events = stage.step();
    assert!(events.iter().any(|event| matches!(event, Event::Pointer(event) if event.kind == Kind::Out)));
    let nothing = Event::Input(input::Event::Target { entity: None, wants: Wants::NOTHING });
    assert!(events.contains(&nothing), "{events:?}");
}

#[test]
fn what_is_nearer_stands_before_it_and_what_is_hidden_does_not() {
    let mut stage = Stage::new();
    let cube = stage.cube(4.0);
    stage.set(cube, wants(Wants::HOVER));
    let screen = stage.cube(1.0);
    stage.settle();
    stage.moves(MIDDLE);
    assert_eq!(stage.kinds(), []);
    stage.set(screen, Component::Hidden(true));
    stage.settle();
    stage.moves([159.0, 120.0]);
    stage.set(screen, Component::Hidden(false));
    assert_eq!(stage.kinds(), [], "it was there already");
    stage.settle();
    stage.moves(MIDDLE);
    stage.set(screen, Component::Hidden(true));
    stage.settle();
    stage.set(screen, Component::Hidden(false));
    stage.step();
    assert_eq!(stage.kinds(), [(Kind::Out, cube)]);
    // Something that is gone is touched no more.
    stage.changes.push(Change::Removed { id: screen });
    stage.step();
    assert_eq!(stage.kinds(), [(Kind::Over, cube)]);
    stage.changes.push(Change::Unset { id: cube, kind: hearth_abi::scene::ComponentKind::Pointer });
    stage.step();
    assert_eq!(stage.kinds(), []);
}

#[test]
fn a_part_of_a_target_is_the_target() {
    let mut stage = Stage::new();
    let panel = stage.make([at(0.0, 0.0, 0.0), wants(Wants::HOVER)]);
    let cube = stage.cube(3.0);
    stage.below(cube, panel);
    stage.settle();
    stage.moves(MIDDLE);
    let told = stage.told();
    assert_eq!((told[0].entity, told[0].hit), (panel, Some(cube)));
    // The nearest above it counts, also if it wants nothing.
    stage.set(cube, wants(Wants::NOTHING));
    stage.step();
    assert_eq!(stage.kinds(), [(Kind::Out, panel)]);
}

#[test]
fn a_captured_pointer_is_in_the_middle() {
    let mut stage = Stage::new();
    let cube = stage.cube(3.0);
    stage.set(cube, wants(Wants::HOVER.and(Wants::PRESS)));
    stage.settle();
    stage.moves([5.0, 5.0]);
    stage.focuses(true);
    assert_eq!(stage.kinds(), []);
    let mut held = stage.engine.world_mut().resource_mut::<Held>();
    held.capture(&mut CursorOptions::default(), true, &mut |_| {});
    stage.button(ButtonState::Pressed);
    assert_eq!(stage.kinds(), [(Kind::Over, cube), (Kind::Press, cube)]);
    // The hands go to another window.
    stage.focuses(false);
    stage.engine.world_mut().resource_mut::<Held>().capture(
        &mut CursorOptions::default(),
        false,
        &mut |_| {},
    );
    assert_eq!(stage.kinds(), [(Kind::Cancel, cube), (Kind::Out, cube)]);
    stage.button(ButtonState::Released);
    assert_eq!(stage.kinds(), []);
}

#[test]
fn whoever_types_touches_nothing() {
    let mut stage = Stage::new();
    let cube = stage.cube(3.0);
    stage.set(cube, wants(Wants::HOVER.and(Wants::PRESS)));
    stage.settle();
    stage.moves(MIDDLE);
    stage.button(ButtonState::Pressed);
    assert_eq!(stage.kinds(), [(Kind::Over, cube), (Kind::Press, cube)]);
    stage.control.send(Command::TextInput(true)).unwrap();
    stage.step();
    assert_eq!(stage.kinds(), [(Kind::Cancel, cube), (Kind::Out, cube)]);
    stage.button(ButtonState::Released);
    stage.button(ButtonState::Pressed);
    stage.moves([161.0, 120.0]);
    assert_eq!(stage.kinds(), []);
    stage.control.send(Command::TextInput(false)).unwrap();
    stage.step();
    assert_eq!(stage.kinds(), [(Kind::Over, cube)]);
}

#[test]
fn a_flood_of_clicks_is_cancelled() {
    let mut stage = Stage::new();
    let cube = stage.cube(3.0);
    stage.set(cube, wants(Wants::PRESS));
    stage.settle();
    stage.moves(MIDDLE);
    for _ in 0..DONE_MAX {
        stage.button(ButtonState::Pressed);
        stage.button(ButtonState::Released);
    }
    assert!(stage.told().len() <= DONE_MAX * 3);
    stage.button(ButtonState::Pressed);
    assert_eq!(stage.kinds(), [(Kind::Press, cube)], "and then it goes on");
}

#[test]
fn terminals_and_writing_are_touched_as_rectangles() {
    let mut stage = Stage::new();
    let terminal = TerminalId::from_bits(1 << 44 | 7);
    let view = TerminalView { terminal, cell_height: 0.1, opacity: 1.0 };
    let board = stage.make([at(0.0, 1.7, 4.0), Component::Terminal(view), wants(Wants::HOVER)]);
    // Two letters with nothing between them, nor behind.
    let text = Text { text: "I                I".into(), size: 0.2, ..Text::default() };
    let sign = stage.make([at(0.0, 2.5, 4.0), Component::Text(Box::new(text)), wants(Wants::HOVER)]);
    stage.control.send(Command::Screen { terminal, screen: Some(Arc::new(Screen::new(20, 5))) }).unwrap();
    // Their glyphs are made by the clock of the wall.
    stage.settle();
    stage.moves(MIDDLE);
    let mut over = Vec::new();
    for (spot, wanted) in [(MIDDLE, board), ([160.0, 35.0], sign)] {
        stage.moves(spot);
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            over.extend(stage.told());
            if over.last().is_some_and(|event| event.kind == Kind::Over && event.entity == wanted) {
                break;
            }
        }
        let last = over.last().unwrap_or_else(|| panic!("{wanted} is not touched"));
        assert_eq!((last.kind, last.entity, last.hit), (Kind::Over, wanted, Some(wanted)));
        assert!((last.point[2] - 4.0).abs() < 1e-3, "{last:?}");
    }
}

#[test]
fn a_file_is_dropped_on_what_lies_there() {
    let mut stage = Stage::new();
    // It need be no target.
    let cube = stage.cube(3.0);
    stage.settle();
    let drops = |stage: &mut Stage, count: usize| {
        for _ in 0..count {
            let (window, path_buf) = (Entity::PLACEHOLDER, "/tmp/picture.png".into());
            stage.happens(FileDragAndDrop::DroppedFile { window, path_buf });
        }
        let events = stage.step().into_iter();
        let dropped = events.filter_map(|event| match event {
            Event::FileDropped { path, entity, point, normal } => Some((path, entity, point, normal)),
            _ => None,
        });
        dropped.collect::<Vec<_>>()
    };
    // Where it is was not told: in the middle.
    let dropped = drops(&mut stage, 1);
    let [(path, entity, point, normal)] = &dropped[..] else { panic!("{dropped:?}") };
    assert_eq!((path.to_str(), *entity), (Some("/tmp/picture.png"), Some(cube)));
    assert!(Vec3::from(*point).abs_diff_eq(Vec3::new(0.0, 1.7, 3.0), 1e-3), "{point:?}");
    assert!(Vec3::from(*normal).abs_diff_eq(Vec3::Z, 1e-3), "{normal:?}");
    stage.moves([2.0, 2.0]);
    let (_, entity, point, normal) = drops(&mut stage, 1).remove(0);
    assert_eq!((entity, normal), (None, [0.0; 3]));
    let away = Vec3::from(point).distance(Vec3::new(0.0, 1.7, 6.0));
    assert!((away - BEFORE_EYE).abs() < 0.1, "{away}");
    assert_eq!(drops(&mut stage, 100).len(), FILES_MAX);
}

const AHEAD: Cast = Cast {
    from: [0.0, 1.7, 6.0],
    way: [0.0, 0.0, -2.0],
    distance_max: 100.0,
    radius: 0.0,
    hits_max: 64,
    without: None,
};

#[test]
fn a_cast_tells_what_it_meets_in_order() {
    let mut stage = Stage::new();
    let far = stage.cube(6.0);
    let near = stage.cube(2.0);
    let hidden = stage.cube(4.0);
    stage.set(hidden, Component::Hidden(true));
    // What was sent before is seen already.
    let hits = stage.cast(AHEAD).unwrap();
    let entities: Vec<EntityId> = hits.iter().map(|hit| hit.entity).collect();
    assert_eq!(entities, [near, far]);
    assert!((hits[0].distance - 2.0).abs() < 1e-4 && (hits[1].distance - 6.0).abs() < 1e-4, "{hits:?}");
    assert!(Vec3::from(hits[0].point).abs_diff_eq(Vec3::new(0.0, 1.7, 4.0), 1e-4), "{hits:?}");
    assert_eq!(hits[0].normal, [0.0, 0.0, 1.0]);
    for (cast, wanted) in [
        (Cast { hits_max: 1, ..AHEAD }, vec![near]),
        (Cast { distance_max: 3.0, ..AHEAD }, vec![near]),
        (Cast { distance_max: 1.0, ..AHEAD }, vec![]),
        (Cast { without: Some(near), ..AHEAD }, vec![far]),
        (Cast { way: [0.0, 0.0, 1.0], ..AHEAD }, vec![]),
        // It passes the boxes by; a ball does not.
        (Cast { from: [0.7, 1.7, 6.0], ..AHEAD }, vec![]),
        (Cast { from: [0.7, 1.7, 6.0], radius: 0.3, ..AHEAD }, vec![near, far]),
    ] {
        let hits = stage.cast(cast).unwrap();
        assert_eq!(hits.iter().map(|hit| hit.entity).collect::<Vec<_>>(), wanted, "{cast:?}");
    }
    let ball = stage.cast(Cast { radius: 0.5, hits_max: 1, ..AHEAD }).unwrap()[0];
    assert!((ball.distance - 1.5).abs() < 1e-4, "{ball:?}");
    assert!(Vec3::from(ball.point).abs_diff_eq(Vec3::new(0.0, 1.7, 4.0), 1e-4), "{ball:?}");
}

#[test]
fn surfaces_are_met_from_the_sides_that_are_drawn() {
    let mut stage = Stage::new();
    // A floor, which is seen from above, under the eye and over it.
    let floor = |stage: &mut Stage, y, double_sided, mirrored: f32| {
        let place = Place { scale: [mirrored, 1.0, 1.0], ..Place::at(0.0, y, 6.0) };
        let material = Material { double_sided, ..Material::default() };
        stage.make([
            Component::Transform(place),
            Component::Mesh(MeshSource::Plane([2.0, 3.0])),
            Component::Material(Box::new(material)),
        ])
    };
    let below = floor(&mut stage, 0.0, false, 1.0);
    // Mirrored, the renderer draws its inside.
    floor(&mut stage, -1.0, false, -1.0);
    let mirrored = floor(&mut stage, 2.5, false, -1.0);
    floor(&mut stage, 3.0, false, 1.0);
    let both = floor(&mut stage, 4.0, true, 1.0);
    let down = Cast { way: [0.0, -1.0, 0.0], ..AHEAD };
    let up = Cast { way: [0.0, 1.0, 0.0], ..AHEAD };
    for (cast, wanted) in [(down, vec![below]), (up, vec![mirrored, both])] {
        let hits = stage.cast(cast).unwrap();
        assert_eq!(hits.iter().map(|hit| hit.entity).collect::<Vec<_>>(), wanted);
        assert!(hits.iter().all(|hit| hit.normal[1] * cast.way[1] < -0.99), "{hits:?}");
    }
}

#[test]
fn casts_are_bounded_and_all_answered() {
    let mut stage = Stage::new();
    stage.cube(2.0);
    stage.settle();
    let (tell, told) = mpsc::sync_channel(4 * CASTS_MAX);
    let ask = |stage: &Stage| {
        let tell = tell.clone();
        let done =
            Box::new(move |hits: Result<Vec<Hit>, String>| drop(tell.send(hits.map(|hits| hits.len()))));
        stage.control.send(Command::Cast { cast: AHEAD, done }).is_ok()
    };
    let asked = (0..2 * CASTS_MAX).filter(|_| ask(&stage)).count();
    assert!(asked <= crate::COMMANDS_MAX, "{asked}");
    for _ in 0..500 {
        stage.step();
    }
    let answers: Vec<_> = told.try_iter().collect();
    assert_eq!(answers.len(), asked);
    assert!(answers.iter().all(|answer| *answer == Ok(1)));
    assert!(ask(&stage));
    drop(stage);
    assert!(told.try_recv().unwrap().is_err(), "the engine has ended");
}
