// SPDX-License-Identifier: AGPL-3.0-or-later
//! The workshop against the small peer of the SDK: what the user does with keys and mouse, and what terminals, the
//! avatar and the scene get to see of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_sdk::{
    EntityId, Errno, LumpId, ProcessId,
    abi::{
        TerminalId,
        input::{Event, Press, key},
        scene::{Camera, Component, ComponentKind, MeshSource, Op, Scope, TerminalView, Text, Transform},
    },
    math::{Quat, vec3},
    message::{TAG_ANSWER, TAG_CALL, decode},
    scene::{self, Entity},
    sleep, spawn_local,
    terminal::{Command, Event as Happened, Pointer, PointerAction, View},
    testing,
};
use hearth_std::workshop;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time::Duration,
};

const FRAME: Duration = Duration::from_millis(16);
const PICTURE: [f32; 2] = [1280.0, 720.0];
const ONE: TerminalId = TerminalId::from_bits(9);
/// Columns and rows of a new terminal, and the height of its cells.
const NEW: (u16, u16, f32) = (100, 30, 0.0305);
const EYE: [f32; 3] = [0.0, 1.7, 6.0];

/// The user, and what is around them.
struct User {
    avatar: ProcessId,
    names: BTreeMap<String, EntityId>,
    removed: Vec<EntityId>,
    to_avatar: Vec<Vec<u8>>,
    eye: EntityId,
    /// What was made below the eye for this user alone, and what is written there.
    before_eye: BTreeMap<EntityId, Option<Text>>,
    local: BTreeSet<EntityId>,
}

/// Lets the workshop run for a user who acts as told.
fn play<F: Future<Output = ()> + 'static>(act: impl FnOnce(User) -> F + 'static) {
    let done = testing::run_for(
        async move {
            // The one of an earlier play lives on.
            let avatar = hearth_sdk::process::whereis("avatar").unwrap_or_else(|| {
                hearth_sdk::spawn(LumpId([0; 32]), Some("avatar"), [] as [&str; 0]).unwrap()
            });
            let at = scene::pose(EYE.into(), Quat::IDENTITY);
            let eye = Entity::new().local().with(at).with(Camera::default()).spawn().unwrap();
            spawn_local(workshop::run());
            let (names, removed, to_avatar, before_eye, local) = Default::default();
            let mut user = User { avatar, names, removed, to_avatar, eye, before_eye, local };
            user.frames(2).await;
            user.tells_eye().await;
            act(user).await;
        },
        Duration::from_secs(60),
    );
    assert!(done.is_some(), "the play did not come to its end");
}

impl User {
    /// The avatar answers the question for the eye.
    async fn tells_eye(&mut self) {
        let calls = std::mem::take(&mut self.to_avatar);
        let [call] = &calls[..] else { panic!("{calls:?}") };
        assert_eq!(call[..5], [&[0xDA], &TAG_CALL.to_be_bytes()[..]].concat());
        assert_eq!(decode::<String>(&call[15..]).unwrap(), "eye");
        let mut answer = [&[0xDA], &TAG_ANSWER.to_be_bytes()[..], &call[5..15], &[0x1B]].concat();
        answer.extend(self.eye.to_bits().to_be_bytes());
        testing::deliver_bytes(self.avatar, &answer);
        self.frames(2).await;
    }

    async fn frames(&mut self, count: u32) {
        for _ in 0..count {
            let step_ns = FRAME.as_nanos() as u32;
            testing::input(&Event::Frame { time_ns: 0, step_ns, size: [1280, 720] });
            sleep(FRAME).await;
        }
        for op in testing::batches().concat() {
            match op {
                Op::Set(id, Component::Name(name)) => drop(self.names.insert(name, id)),
                Op::Remove(id) => {
                    self.removed.push(id);
                    self.before_eye.remove(&id);
                }
                Op::Create(id, Scope::Local) => drop(self.local.insert(id)),
                Op::SetParent(id, Some(parent)) if parent == self.eye && self.local.contains(&id) => {
                    self.before_eye.insert(id, None);
                }
                Op::Set(id, Component::Text(text)) => {
                    self.before_eye.entry(id).and_modify(|written| *written = Some(*text));
                }
                _ => {}
            }
        }
        let sent = testing::sent_bytes().into_iter();
        self.to_avatar.extend(sent.filter(|(to, _)| *to == self.avatar).map(|(_, body)| body));
    }

    async fn does(&mut self, event: Event) {
        testing::input(&event);
        self.frames(1).await;
    }

    async fn presses(&mut self, code: u16) {
        self.does(Event::Key { code, press: Press::Pressed }).await;
        self.does(Event::Key { code, press: Press::Released }).await;
    }

    /// Puts the free pointer on a place of the new board, metres from its middle.
    async fn points(&mut self, place: [f32; 2]) -> [f32; 2] {
        let board = self.transform("terminal");
        let at = Quat { v: vec3(0.0, board.rotation[1], 0.0), w: board.rotation[3] };
        let place = at.rotate(vec3(place[0], place[1], 0.0));
        let [x, y, z] = [0, 1, 2].map(|axis| board.translation[axis] + place.array()[axis] - EYE[axis]);
        let scale = 360.0 / (-z * (Camera::default().fov_y * 0.5).tan());
        let at = [640.0 + x * scale, 360.0 - y * scale];
        self.does(Event::Pointer { at, picture: PICTURE }).await;
        at
    }

    async fn button(&mut self, button: u8, press: Press, at: [f32; 2]) {
        self.does(Event::Button { button, press, at }).await;
    }

    async fn clicks(&mut self, place: [f32; 2]) {
        let at = self.points(place).await;
        self.button(0, Press::Pressed, at).await;
        self.button(0, Press::Released, at).await;
    }

    async fn drags(&mut self, button: u8, from: [f32; 2], to: [f32; 2]) {
        let at = self.points(from).await;
        self.button(button, Press::Pressed, at).await;
        let at = self.points(to).await;
        self.button(button, Press::Released, at).await;
    }

    /// Opens the terminal, which then has the keyboard.
    async fn opens(&mut self) {
        self.presses(key::T).await;
        assert_eq!(testing::answer(Ok(0), &ONE.to_bits().to_le_bytes()), Some("terminal_open"));
        self.frames(1).await;
        assert_eq!(testing::focuses(), [Some(ONE)]);
        self.hears(Happened::Keyboard(true)).await;
    }

    /// The user takes the keyboard back.
    async fn leaves(&mut self) {
        self.hears(Happened::Keyboard(false)).await;
    }

    async fn hears(&mut self, event: Happened) {
        testing::terminal_event(ONE, &event);
        self.frames(1).await;
    }

    fn component(&self, name: &str, kind: ComponentKind) -> Option<Component> {
        scene::read(self.names[name], kind)
    }

    fn transform(&self, name: &str) -> Transform {
        match self.component(name, ComponentKind::Transform) {
            Some(Component::Transform(transform)) => transform,
            other => panic!("{other:?}"),
        }
    }

    fn text(&self, name: &str) -> Text {
        match self.component(name, ComponentKind::Text) {
            Some(Component::Text(text)) => *text,
            other => panic!("{other:?}"),
        }
    }

    fn hidden(&self, name: &str) -> bool {
        self.component(name, ComponentKind::Hidden) == Some(Component::Hidden(true))
    }

    fn line(&self) -> String {
        if self.hidden("hint") { String::new() } else { self.text("hint").text }
    }

    fn view(&self) -> TerminalView {
        match self.component("screen", ComponentKind::Terminal) {
            Some(Component::Terminal(view)) => view,
            other => panic!("{other:?}"),
        }
    }

    fn rim(&self) -> Option<Component> {
        self.component("rim", ComponentKind::Material)
    }

    /// What the avatar was told, as it stands in CBOR.
    fn told(&mut self) -> Vec<bool> {
        let told = std::mem::take(&mut self.to_avatar);
        let busy = told.iter().filter_map(|body| decode::<BTreeMap<String, bool>>(body).ok());
        busy.map(|order| order["busy"]).collect()
    }
}

fn commands() -> Vec<Command> {
    testing::terminal_commands().into_iter().map(|(_, command)| command).collect()
}

fn pointers() -> Vec<Pointer> {
    let pointer = |command| match command {
        Command::Pointer(pointer) => pointer,
        other => panic!("{other:?}"),
    };
    commands().into_iter().map(pointer).collect()
}

/// The middle of a cell of the new board.
fn cell(column: f32, row: f32) -> [f32; 2] {
    let (columns, rows, height) = NEW;
    let x = (column + 0.5 - f32::from(columns) * 0.5) * TerminalView::CELL_WIDTH * height;
    [x, (f32::from(rows) * 0.5 - row - 0.5) * height]
}

fn edge() -> [f32; 2] {
    let (columns, rows, height) = NEW;
    TerminalView::size(height, columns, rows).map(|side| side * 0.5)
}

#[test]
fn one_key_opens_a_terminal_before_the_user() {
    play(async |mut user| {
        user.opens().await;
        let view = user.view();
        assert_eq!((view.terminal, view.cell_height), (ONE, NEW.2));
        let at = user.transform("terminal");
        assert_eq!(at.translation[0], 0.0);
        assert!((EYE[2] - at.translation[2] - 1.2).abs() < 1e-3, "{at:?}");
        assert!((EYE[1] - at.translation[1]).abs() < 0.1);
        assert_eq!(user.text("title").text, "terminal");
        assert!(user.line().contains("Ctrl+Shift+Space"), "{}", user.line());
        let typing = (user.rim(), user.component("rim", ComponentKind::Mesh));
        user.points([2.5, 0.0]).await;
        user.leaves().await;
        assert_ne!(user.rim(), typing.0, "the focus is seen");
        let wide = |rim| match rim {
            Some(Component::Mesh(MeshSource::Cuboid([wide, ..]))) => wide,
            other => panic!("{other:?}"),
        };
        let more = wide(typing.1) - wide(user.component("rim", ComponentKind::Mesh));
        assert!(more > 0.3 * NEW.2, "also from afar: {more}");
        user.hears(Happened::Title("vim orb.rs".into())).await;
        assert_eq!(user.text("title").text, "vim orb.rs");
        let quiet = user.rim();
        user.hears(Happened::Bell).await;
        assert_ne!(user.rim(), quiet);
        user.frames(20).await;
        assert_eq!(user.rim(), quiet);
        assert_eq!(testing::captures(), [] as [bool; 0], "the pointer was free, and stays so");
    });
}

#[test]
fn a_second_one_stands_beside_it_and_the_user_turns_to_it() {
    play(async |mut user| {
        user.opens().await;
        user.leaves().await;
        let first = user.transform("terminal").translation;
        user.to_avatar.clear();
        user.presses(key::T).await;
        testing::answer(Ok(0), &10u64.to_le_bytes()).unwrap();
        user.frames(1).await;
        let second = user.transform("terminal").translation;
        let apart = vec3(second[0] - first[0], 0.0, second[2] - first[2]).length();
        assert!(apart > 1.2, "{first:?} {second:?}");
        let go = |body: &Vec<u8>| String::from_utf8_lossy(body).contains("yaw");
        assert_eq!(user.to_avatar.iter().filter(|body| go(body)).count(), 1);
    });
}

#[test]
fn keys_that_are_typed_into_something_else_open_nothing() {
    play(async |mut user| {
        let script: ProcessId = "1.99".parse().unwrap();
        testing::deliver(script, &BTreeMap::from([("typing", 500u64)]));
        user.frames(1).await;
        user.presses(key::T).await;
        assert_eq!(testing::answer(Ok(0), &[]), None);
        testing::deliver(script, &BTreeMap::from([("typing", 0u64)]));
        user.frames(1).await;
        user.opens().await;
    });
}

#[test]
fn a_terminal_that_cannot_be_opened_is_said_before_the_eye() {
    play(async |mut user| {
        user.presses(key::T).await;
        testing::answer(Err(Errno::Limit), b"there are 16 terminals").unwrap();
        user.frames(1).await;
        assert_eq!(testing::focuses(), []);
        let signs: Vec<_> = user.before_eye.values().flatten().collect();
        assert!(matches!(signs[..], [sign] if sign.text.contains("there are 16 terminals")), "{signs:?}");
        user.frames(300).await;
        assert!(user.before_eye.is_empty(), "it goes after a while");
    });
}

#[test]
fn while_flying_the_pointer_is_set_free_for_typing_and_held_again_after() {
    play(async |mut user| {
        user.does(Event::Captured(true)).await;
        user.opens().await;
        assert_eq!(testing::captures(), [false]);
        user.does(Event::Captured(false)).await;
        user.leaves().await;
        assert_eq!(testing::captures(), [true]);
        user.does(Event::Captured(true)).await;
        // The board is in the middle of the picture: Enter or a click.
        assert!(user.line().contains("Enter"), "{}", user.line());
        user.presses(key::ENTER).await;
        assert_eq!((testing::focuses(), testing::captures()), (vec![Some(ONE)], vec![false]));
        user.hears(Happened::Keyboard(true)).await;
        user.leaves().await;
        drop((testing::captures(), commands()));
        user.button(0, Press::Pressed, [0.0; 2]).await;
        user.button(0, Press::Released, [0.0; 2]).await;
        assert_eq!((testing::focuses(), testing::captures()), (vec![Some(ONE)], vec![false]));
        assert_eq!(commands(), [], "that click was for the keyboard alone");
        user.hears(Happened::Keyboard(true)).await;
        // From one board to another, as the node tells it.
        testing::terminal_event(ONE, &Happened::Keyboard(false));
        user.hears(Happened::Keyboard(true)).await;
        assert!(testing::captures().is_empty());
        user.leaves().await;
        assert_eq!(testing::captures(), [true]);
    });
}

#[test]
fn a_click_types_into_it_and_one_beside_it_leaves() {
    play(async |mut user| {
        user.opens().await;
        user.leaves().await;
        drop((user.told(), commands()));
        user.clicks(cell(3.0, 4.0)).await;
        assert_eq!(testing::focuses(), [Some(ONE)]);
        user.hears(Happened::Keyboard(true)).await;
        let pressed = pointers();
        let actions: Vec<_> = pressed.iter().map(|pointer| pointer.action).collect();
        assert_eq!(actions, [PointerAction::Press, PointerAction::Release]);
        assert_eq!(user.told(), [] as [bool; 0], "the pointer was over it all the time");
        user.clicks([1.5, 0.0]).await;
        assert_eq!(testing::focuses(), [None]);
        assert_eq!(user.told(), [false], "that click is the avatar's");
        user.points(cell(0.0, 0.0)).await;
        assert_eq!(user.told(), [true]);
    });
}

#[test]
fn a_new_avatar_is_told_anew() {
    play(async |mut user| {
        assert_eq!(user.told(), [false], "it may have heard something of a workshop before");
        user.opens().await;
        user.points(cell(0.0, 0.0)).await;
        assert_eq!(user.told(), [true]);
        // It is replaced: its eye goes, and another comes.
        scene::remove(user.eye).unwrap();
        let at = scene::pose(EYE.into(), Quat::IDENTITY);
        user.eye = Entity::new().local().with(at).with(Camera::default()).spawn().unwrap();
        user.frames(100).await;
        user.tells_eye().await;
        assert_eq!(user.told(), [true]);
    });
}

#[test]
fn dragging_selects_in_perspective_and_clicks_count() {
    play(async |mut user| {
        user.opens().await;
        commands();
        user.drags(0, cell(10.0, 5.0), cell(20.0, 6.0)).await;
        let drag = pointers();
        let near = |pointer: &Pointer, column: f32, row: f32| {
            (pointer.column - column - 0.5).abs() < 0.1 && (pointer.row - row - 0.5).abs() < 0.1
        };
        // The pointer came, pressed, moved with the button, and let go.
        assert!(near(&drag[0], 10.0, 5.0) && (drag[0].action, drag[0].button) == (PointerAction::Move, 255));
        assert!(near(&drag[1], 10.0, 5.0) && (drag[1].action, drag[1].clicks) == (PointerAction::Press, 1));
        assert!(near(&drag[2], 20.0, 6.0) && (drag[2].action, drag[2].button) == (PointerAction::Move, 0));
        assert!(near(&drag[3], 20.0, 6.0) && drag[3].action == PointerAction::Release);
        assert_eq!(drag.len(), 4);
        user.frames(60).await;
        for count in [1, 2, 3] {
            user.clicks(cell(50.0, 10.0)).await;
            let pressed = pointers().into_iter().find(|pointer| pointer.action == PointerAction::Press);
            assert_eq!(pressed.unwrap().clicks, count);
        }
        // Outside of the grid a selection goes on.
        let at = user.points(cell(5.0, 5.0)).await;
        user.button(0, Press::Pressed, at).await;
        commands();
        let at = user.points([-3.0, 0.0]).await;
        assert!(pointers().last().unwrap().column < 0.0);
        user.button(0, Press::Released, at).await;
        assert_eq!(testing::focuses(), [], "it never lost the keyboard");
    });
}

#[test]
fn the_wheel_is_for_what_the_user_points_at() {
    play(async |mut user| {
        user.opens().await;
        user.points(cell(1.0, 2.0)).await;
        commands();
        user.does(Event::Wheel([0.0, 2.0])).await;
        let wheel = commands();
        let [Command::Wheel { lines: [0.0, 2.0], at, .. }] = wheel[..] else { panic!("{wheel:?}") };
        assert!((at[0] - 1.5).abs() < 0.1 && (at[1] - 2.5).abs() < 0.1);
        // The pointer stays where it is when it is set free again, as by Esc.
        user.does(Event::Captured(false)).await;
        user.does(Event::Wheel([0.0, 2.0])).await;
        assert_eq!(commands(), wheel);
        user.points([2.0, 2.0]).await;
        commands();
        user.does(Event::Wheel([0.0, 2.0])).await;
        assert_eq!(commands(), []);
    });
}

#[test]
fn the_bar_moves_it() {
    play(async |mut user| {
        user.opens().await;
        let before = user.transform("terminal");
        let bar = [0.2, edge()[1] + NEW.2];
        user.drags(0, bar, [0.9, bar[1] + 0.3]).await;
        let after = user.transform("terminal");
        assert!(after.translation[0] > before.translation[0] + 0.4, "{after:?}");
        assert!(after.translation[1] > before.translation[1] + 0.05);
        assert!(after.rotation != before.rotation, "it goes on facing the user");
        assert_eq!(user.view().cell_height, NEW.2);
        // While it is held, the wheel brings it nearer.
        let at = user.points(bar).await;
        user.button(0, Press::Pressed, at).await;
        let distance = |at: Transform| {
            vec3(at.translation[0] - EYE[0], at.translation[1] - EYE[1], at.translation[2] - EYE[2]).length()
        };
        let far = distance(user.transform("terminal"));
        user.does(Event::Wheel([0.0, -5.0])).await;
        let near = distance(user.transform("terminal"));
        assert!(near < far * 0.8, "{far} {near}");
        user.button(0, Press::Released, at).await;
    });
}

#[test]
fn corners_scale_it_and_edges_change_its_columns_and_rows() {
    play(async |mut user| {
        user.opens().await;
        let [right, top] = edge();
        let frame = 0.1 * NEW.2;
        commands();
        user.drags(0, [right + frame, -top - frame], [right * 1.4, -top * 1.4]).await;
        let larger = user.view().cell_height;
        assert!((1.15..1.25).contains(&(larger / NEW.2)), "{larger}");
        let resizes =
            || commands().into_iter().filter(|c| matches!(c, Command::Resize { .. })).collect::<Vec<_>>();
        assert_eq!(resizes(), [], "it has the same cells");
        let Some(Component::Mesh(MeshSource::Cuboid([wide, ..]))) =
            user.component("frame", ComponentKind::Mesh)
        else {
            panic!()
        };
        assert!(wide > 2.3 * right, "the frame grows with it");

        let half = TerminalView::size(larger, NEW.0, NEW.1)[0] * 0.5;
        let cell_width = larger * TerminalView::CELL_WIDTH;
        let from = [half + frame, 0.0];
        let at = user.points(from).await;
        user.button(0, Press::Pressed, at).await;
        let to = user.points([from[0] - 20.0 * cell_width, 0.0]).await;
        user.frames(1).await;
        user.button(0, Press::Released, to).await;
        assert_eq!(resizes(), [Command::Resize { columns: 80, rows: 30 }]);
        assert_eq!(user.view().cell_height, larger);
    });
}

#[test]
fn letters_grow_by_the_chord_and_the_board_does_not() {
    play(async |mut user| {
        user.opens().await;
        let wide = |user: &User| match user.component("frame", ComponentKind::Mesh) {
            Some(Component::Mesh(MeshSource::Cuboid([wide, ..]))) => wide,
            other => panic!("{other:?}"),
        };
        let before = wide(&user);
        user.points([2.5, 0.0]).await;
        commands();
        user.hears(Happened::Zoom(1)).await;
        assert_eq!(commands(), [Command::Resize { columns: 91, rows: 27 }]);
        assert!(user.view().cell_height > NEW.2 * 1.05 && (wide(&user) / before - 1.0).abs() < 0.02);
        user.hears(Happened::Zoom(-1)).await;
        user.hears(Happened::Zoom(-1)).await;
        commands();
        user.hears(Happened::Zoom(0)).await;
        assert_eq!(user.view().cell_height, NEW.2);
        assert!(matches!(commands()[..], [Command::Resize { columns: 99..=101, rows: 29..=31 }]));
    });
}

#[test]
fn the_middle_button_pastes_what_is_selected_or_else_the_clipboard() {
    play(async |mut user| {
        user.opens().await;
        hearth_sdk::clipboard::write("from the clipboard").unwrap();
        let at = user.points(cell(3.0, 3.0)).await;
        commands();
        user.button(2, Press::Pressed, at).await;
        assert_eq!(commands(), [Command::Paste("from the clipboard".into())]);
        user.button(2, Press::Released, at).await;

        user.drags(0, cell(0.0, 0.0), cell(5.0, 0.0)).await;
        commands();
        let at = user.points(cell(3.0, 3.0)).await;
        commands();
        user.button(2, Press::Pressed, at).await;
        assert_eq!(commands(), [Command::Copy]);
        user.hears(Happened::Copied("selected".into())).await;
        assert_eq!(commands(), [Command::Paste("selected".into())]);
        user.frames(60).await;
        assert_eq!(commands(), []);
        assert_eq!(testing::clipboard(), "from the clipboard");

        // Where nothing is selected any more, the clipboard.
        user.button(2, Press::Pressed, at).await;
        user.frames(60).await;
        assert_eq!(commands(), [Command::Copy, Command::Paste("from the clipboard".into())]);
        // What the user copies by the chord goes there.
        user.hears(Happened::Copied("copied".into())).await;
        assert_eq!(testing::clipboard(), "copied");
        assert!(user.line().contains("6 characters"), "{}", user.line());
    });
}

#[test]
fn a_program_gets_to_the_clipboard_only_with_consent() {
    play(async |mut user| {
        user.opens().await;
        commands();
        let wants = |request| Happened::ClipboardWanted { request, text: "sec\nret".into() };
        user.hears(wants(1)).await;
        assert!(user.line().contains("wants to copy 7 characters: “sec ret”"), "{}", user.line());
        assert!(!user.hidden("yes") && !user.hidden("no"));
        // A newer one takes its place; the old one is refused.
        user.hears(wants(2)).await;
        assert_eq!(commands(), [Command::Consent { request: 1, allowed: false }]);
        assert_eq!(testing::clipboard(), "");
        // The buttons are below the line.
        let [yes, no] = ["yes", "no"].map(|name| user.transform(name).translation);
        user.clicks([no[0], no[1]]).await;
        assert_eq!(commands(), [Command::Consent { request: 2, allowed: false }]);
        assert!(user.hidden("yes") && testing::clipboard().is_empty());
        user.hears(wants(3)).await;
        user.clicks([yes[0], yes[1]]).await;
        assert_eq!(commands(), [Command::Consent { request: 3, allowed: true }]);
        assert_eq!(testing::clipboard(), "", "the terminal gives it, once");
        user.hears(Happened::Copied("sec\nret".into())).await;
        assert_eq!(testing::clipboard(), "sec\nret");
        assert!(user.line().contains("copied: 7 characters"), "{}", user.line());
        // Closing is asked in its place, which is refused then.
        user.hears(wants(6)).await;
        let [right, top] = edge();
        user.clicks([right - NEW.2 * 0.8, top + NEW.2]).await;
        assert_eq!(commands(), [Command::Consent { request: 6, allowed: false }]);
        assert!(user.line().contains("Close it?"), "{}", user.line());
        user.clicks([no[0], no[1]]).await;
        // By keys, when they go to the scripts.
        user.leaves().await;
        user.points(cell(5.0, 5.0)).await;
        user.hears(wants(4)).await;
        user.presses(key::N).await;
        user.hears(wants(5)).await;
        user.presses(key::Y).await;
        let consent = |request, allowed| Command::Consent { request, allowed };
        let consents: Vec<_> =
            commands().into_iter().filter(|c| matches!(c, Command::Consent { .. })).collect();
        assert_eq!(consents, [consent(4, false), consent(5, true)]);
    });
}

#[test]
fn a_program_that_has_ended_is_started_again_by_enter() {
    for (code, said) in [(0, "It has ended."), (3, "with code 3"), (-9, "Signal 9"), (i32::MIN, "Signal")] {
        play(async move |mut user| {
            user.opens().await;
            user.hears(Happened::Exited(code)).await;
            assert_eq!(testing::focuses(), [None], "Enter is for the workshop");
            user.leaves().await;
            assert!(user.line().contains(said) && user.line().contains("Enter"), "{}", user.line());
            commands();
            user.presses(key::ENTER).await;
            assert_eq!((commands(), testing::focuses()), (vec![Command::Restart], vec![Some(ONE)]));
            user.hears(Happened::Keyboard(true)).await;
            assert!(user.line().contains("Ctrl+Shift+Space"));
        });
    }
    play(async |mut user| {
        user.opens().await;
        user.hears(Happened::Exited(1)).await;
        user.leaves().await;
        commands();
        user.presses(key::X).await;
        assert_eq!(commands(), [Command::Close]);
    });
}

#[test]
fn it_is_closed_with_consent() {
    play(async |mut user| {
        user.opens().await;
        let [right, top] = edge();
        let close = [right - NEW.2 * 0.8, top + NEW.2];
        commands();
        user.clicks(close).await;
        assert!(user.line().contains("Close it?"), "{}", user.line());
        assert_eq!(commands(), []);
        let [yes, no] = ["yes", "no"].map(|name| user.transform(name).translation);
        user.clicks([no[0], no[1]]).await;
        assert_eq!((commands(), user.hidden("no")), (vec![], true));
        user.clicks(close).await;
        user.clicks([yes[0], yes[1]]).await;
        assert_eq!(commands(), [Command::Close]);
        user.hears(Happened::Closed).await;
        assert_eq!(user.removed, [user.names["terminal"]]);
        user.frames(2).await;
        assert_eq!(user.told().last(), Some(&false));
    });
}

/// A terminal of another peer, straight before the eye.
fn anothers(may_type: bool) -> View {
    View {
        entity: EntityId::from_bits((2 << 44) | 3),
        terminal: TerminalId::from_bits((2 << 44) | 5),
        columns: 80,
        rows: 24,
        may_type,
        cell_height: 0.02,
        in_world: scene::pose(vec3(0.0, EYE[1], EYE[2] - 2.0), Quat::IDENTITY).scaled(2.0),
    }
}

#[test]
fn anothers_terminal_is_typed_into_once_it_is_granted() {
    play(async |mut user| {
        let theirs = anothers(false).terminal;
        testing::terminal_views(&[anothers(false)]);
        user.frames(20).await;
        drop(user.told());
        let hint = user.line();
        assert!(hint.contains("hearth-ctl grant tester terminal"), "{hint}");
        user.presses(key::ENTER).await;
        user.does(Event::Pointer { at: [640.0, 360.0], picture: PICTURE }).await;
        user.button(0, Press::Pressed, [640.0, 360.0]).await;
        user.button(0, Press::Released, [640.0, 360.0]).await;
        user.does(Event::Wheel([0.0, 1.0])).await;
        assert_eq!((testing::focuses(), commands()), (vec![], vec![]), "nothing of it reaches them");
        assert_eq!(user.told(), [] as [bool; 0], "the click is for the flight");

        testing::terminal_views(&[anothers(true)]);
        user.frames(300).await;
        assert!(user.line().contains("Enter or click"), "{}", user.line());
        assert_eq!(user.told(), [true]);
        user.presses(key::ENTER).await;
        assert_eq!(testing::focuses(), [Some(theirs)]);
        testing::terminal_event(theirs, &Happened::Keyboard(true));
        user.frames(2).await;
        assert!(user.line().contains("Ctrl+Shift+Space"), "{}", user.line());
        let [hover] = pointers()[..] else { panic!("the pointer is over it") };
        assert_eq!(hover.action, PointerAction::Move);
        user.does(Event::Wheel([0.0, 1.0])).await;
        let told = testing::terminal_commands();
        let [(to, Command::Wheel { at: [column, row], .. })] = told[..] else { panic!("{told:?}") };
        assert_eq!(to, theirs);
        assert!((column - 40.0).abs() < 0.01 && (row - 12.0).abs() < 0.01, "{column} {row}");
        // It is theirs to close and to change.
        for event in [Happened::Zoom(1), Happened::Exited(1)] {
            testing::terminal_event(theirs, &event);
            user.frames(1).await;
        }
        user.presses(key::X).await;
        assert_eq!(commands(), []);

        testing::terminal_event(theirs, &Happened::Keyboard(false));
        testing::terminal_views(&[]);
        user.frames(40).await;
        assert_eq!(user.told(), [false], "it is gone");
        user.presses(key::ENTER).await;
        assert_eq!(testing::focuses(), []);
    });
}

#[test]
fn a_new_terminal_stands_beside_anothers() {
    play(async |mut user| {
        let at = scene::pose(vec3(0.0, EYE[1], EYE[2] - 1.2), Quat::IDENTITY);
        testing::terminal_views(&[View { in_world: at, ..anothers(true) }]);
        user.frames(20).await;
        user.opens().await;
        let beside = user.transform("terminal").translation;
        assert!(beside[0].abs() > 0.8, "{beside:?}");
    });
}

#[test]
fn without_a_picture_there_is_no_workshop() {
    testing::refuse_input(Errno::Unsupported);
    assert!(testing::run_for(workshop::run(), Duration::from_secs(1)).unwrap().is_ok());
}
