// SPDX-License-Identifier: AGPL-3.0-or-later
//! Two users at two windows are at one panel, whose script runs on the server, at the same time; and one of them is gone all of
//! a sudden.

use crate::{album::Album, alone, display::Display, first_five_minutes::named};
use hearth_abi::{
    EntityId,
    scene::{Component, ComponentKind},
};
use hearth_e2e::{Area, Hands, LONG, Launch, Peer, Space, count, test_guest, wait_until};
use image::RgbaImage;
use std::{
    ops::Range,
    time::{Duration, Instant},
};

const SIZE: &str = "640x360";
const HALF: [f32; 2] = [320.0, 180.0];
/// Where the front of the panel is, and its rows, as the script puts them: metres.
const FRONT: [f32; 3] = [0.0, 1.7, -0.79];
const SLIDER: f32 = 0.105;
const BUTTON: f32 = 0.035;
const FIELDS: [f32; 2] = [-0.035, -0.105];
/// Half of the way of the slider's knob, nearly.
const REACH: f32 = 0.24;
/// Where the line stands that tells who has the keyboard.
const LINE: Area = Area { left: 0.2, top: 0.02, right: 0.8, bottom: 0.1 };

fn is_told(picture: &RgbaImage) -> bool {
    let is_letter =
        |[red, green, blue]: [u8; 3]| red > 200 && (150..245).contains(&green) && (100..215).contains(&blue);
    count(picture, LINE, is_letter) > 0.01
}

/// A user at a window, who stands a little beside the middle of the panel and looks at that.
struct User<'a> {
    peer: Peer,
    display: &'a Display,
    eye: [f32; 3],
    /// Half of the picture's height one metre away, in metres.
    tangent: f32,
}

impl<'a> User<'a> {
    fn comes(space: &Space, launch: Launch, display: &'a Display, x: f32) -> User<'a> {
        let peer = launch.start();
        display.focus(&format!("Hearth: {}", peer.name));
        let eye = [x, FRONT[1], 0.0];
        let yaw = f32::atan2(x, -FRONT[2]);
        let avatar = named(&peer, "avatar");
        peer.ok(&[
            "send",
            &avatar,
            &format!(r#"{{"go": {{"at": [{x}, 1.7, 0], "yaw": {yaw}, "pitch": 0}}}}"#),
        ]);
        let id: u64 = peer.ok(&["send", "--reply", &avatar, "\"eye\""]).parse().unwrap();
        let hands = Hands::on(space, &peer);
        let tangent = wait_until("there is a camera", LONG, || {
            match hands.component(EntityId::from_bits(id), ComponentKind::Camera)? {
                Component::Camera(camera) => Some((camera.fov_y * 0.5).tan()),
                other => panic!("{other:?}"),
            }
        });
        User { peer, display, eye, tangent }
    }

    /// The pixel of a place on the front of the panel.
    fn pixel(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let to = [x - self.eye[0], FRONT[2] - self.eye[2]];
        let middle = [-self.eye[0], FRONT[2] - self.eye[2]];
        let length = middle[0].hypot(middle[1]);
        let ahead = middle.map(|part| part / length);
        let away = to[0] * ahead[0] + to[1] * ahead[1];
        let right = to[1] * ahead[0] - to[0] * ahead[1];
        let scale = HALF[1] / (self.tangent * away);
        [HALF[0] + right * scale, HALF[1] - y * scale]
    }

    fn moves(&self, at: [f32; 2]) {
        self.display.moves(self.pixel(at));
    }

    fn presses(&self, at: [f32; 2]) {
        self.moves(at);
        self.display.button(true);
    }

    fn clicks(&self, at: [f32; 2]) {
        self.presses(at);
        self.display.button(false);
    }
}

/// The panel's log.
struct Panel<'a> {
    server: &'a Peer,
    process: String,
}

impl Panel<'_> {
    fn log(&self) -> String {
        self.server.log(&self.process)
    }

    fn times(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    /// Waits until a text stands in it.
    #[track_caller]
    fn says(&self, text: &str) {
        wait_until(&format!("`{text}` stands in the log"), LONG, || self.log().contains(text).then_some(()));
    }

    /// Waits until the slider was last set by this user, to a percentage in this range.
    #[track_caller]
    fn is_set(&self, who: &str, to: Range<u32>) {
        wait_until(&format!("{who} has set it to {to:?}"), LONG, || {
            let log = self.log();
            let (before, after) = log.rsplit_once(" has set ")?;
            let percent: u32 = after.split_once(" %")?.0.parse().ok()?;
            (before.ends_with(who) && to.contains(&percent)).then_some(())
        });
    }

    /// Does something, and again if it has no effect for a while, until a text stands in it anew.
    #[track_caller]
    fn says_once(&self, text: &str, mut deed: impl FnMut()) {
        let (before, mut done) = (self.times(text), None::<Instant>);
        wait_until(&format!("`{text}` stands in the log"), LONG, || {
            // What is pressed again too soon is pressed twice.
            if done.is_none_or(|at| at.elapsed() > Duration::from_secs(2)) {
                deed();
                done = Some(Instant::now());
            }
            (self.times(text) > before).then_some(())
        });
    }
}

#[test]
fn two_users_are_at_one_panel_and_one_of_them_is_killed_there() {
    let _alone = alone();
    let space = Space::new();
    let folders = [space.path("one"), space.path("two")];
    folders.iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
    let [Some(one), Some(two)] = folders.map(|folder| Display::with_keys(&folder, SIZE)) else { return };
    let album = Album::new("panel");
    let server = space.server().start();
    let client = |name: &str, display: &Display| {
        let client = space.client(name, &server).boot().window(SIZE).env("DISPLAY", &display.name);
        client.without_env("WAYLAND_DISPLAY")
    };
    let process = server.spawn(&test_guest("panel"), &[]);
    let panel = Panel { server: &server, process };
    let ada = User::comes(&space, client("ada", &one), &one, -0.4);
    let bob = User::comes(&space, client("bob", &two), &two, 0.4);
    let is_orange = |[red, green, blue]: [u8; 3]| red > 200 && (110..200).contains(&green) && blue < 100;
    [&ada, &bob].iter().for_each(|user| {
        album.wait(&user.peer, "panel", |picture| count(picture, Area::ALL, is_orange) > 0.0001);
    });

    // One drags the slider, while the other presses the button.
    ada.presses([-REACH, SLIDER]);
    ada.moves([0.0, SLIDER]);
    panel.is_set("ada", 45..56);
    bob.clicks([0.0, BUTTON]);
    panel.says("bob has pressed");
    ada.moves([REACH, SLIDER + 0.3]);
    panel.is_set("ada", 90..101);
    ada.moves([REACH, BUTTON]);
    ada.display.button(false);
    ada.clicks([0.0, BUTTON]);
    panel.says("ada has pressed");
    // What was free before is free again.
    bob.clicks([0.0, SLIDER]);
    panel.is_set("bob", 45..56);

    // Both write, each into a field of their own, letter by letter in turn.
    ada.clicks([0.0, FIELDS[0]]);
    bob.clicks([0.0, FIELDS[1]]);
    [&ada, &bob].iter().for_each(|user| drop(album.wait(&user.peer, "told", is_told)));
    for (hers, his) in "Embers".chars().zip("Smokes".chars()) {
        ada.display.types(&hers.to_string());
        bob.display.types(&his.to_string());
    }
    panel.says("ada has \"Embers\" in field 1");
    panel.says("bob has \"Smokes\" in field 2");
    album.wait(&bob.peer, "written", is_told);

    // Killed while she writes. Her field is free, with what stands there.
    let ada = User::comes(&space, ada.peer.kill_9(), &one, -0.4);
    panel.says_once("bob has \"Embersb\" in field 1", || {
        bob.clicks([0.25, FIELDS[0]]);
        bob.display.types("b");
    });
    bob.display.keys(&["Escape"]);
    album.wait(&bob.peer, "left", |picture| !is_told(picture));

    // Killed while she drags. The slider is free.
    ada.presses([-REACH, SLIDER]);
    panel.says_once("ada has set ", || ada.moves([-0.12, SLIDER]));
    let again = ada.peer.kill_9();
    let mut x = 0.0;
    panel.says_once("bob has set ", || {
        x = if x > 0.0 { 0.0 } else { 0.1 };
        bob.clicks([x, SLIDER]);
    });
    // And who was killed is at it again, and does not go on dragging.
    let ada = User::comes(&space, again, &one, -0.4);
    let before = panel.times("ada has set");
    ada.moves([0.1, SLIDER]);
    panel.says_once("ada has pressed", || ada.clicks([0.0, BUTTON]));
    assert_eq!(panel.times("ada has set"), before, "{}", panel.log());
    album.wait(&ada.peer, "again", |picture| count(picture, Area::ALL, is_orange) > 0.0001);
    assert!(server.process(&panel.process).is_some(), "{}", panel.log());
}
