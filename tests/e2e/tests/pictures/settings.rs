// SPDX-License-Identifier: AGPL-3.0-or-later
//! The settings of the first screen: how they look, and that they arrive where they are for.

use crate::{
    album::{Album, Roll},
    alone,
    display::Display,
    first_five_minutes::named,
    first_screen::{button, ring},
    golden::Golden,
};
use hearth_abi::{
    EntityId,
    scene::{Component, ComponentKind, Material, MeshSource, Transform},
};
use hearth_e2e::{Area, Hands, LONG, Peer, Space, count, wait_until};
use image::RgbaImage;
use std::{cell::Cell, time::SystemTime};

const FILE: &str = "hearth/client.toml";
/// Others than a new user has, all of them.
const LOOKS: &str = r#"address = "127.0.0.1:1"
name = "ada"
volume = 0.35
quality = "low"
fov = 75.0
look_speed = 1.35
invert_look = true
"#;

/// Where the last button is, and the menu, which has a ring when it has the keyboard.
const DONE: Area = Area { left: 0.78, top: 0.77, right: 0.91, bottom: 0.795 };
const MENU: Area = Area { left: 0.5, top: 0.36, right: 0.94, bottom: 0.43 };

fn is_orange([red, green, blue]: [u8; 3]) -> bool {
    red > 200 && (110..190).contains(&green) && blue < 90
}

fn is_ring([red, green, blue]: [u8; 3]) -> bool {
    blue > 170 && blue.saturating_sub(red) > 40 && green > 100
}

/// What is kept of the picture: the panel, which hides what burns and twinkles behind it.
fn panel(picture: &RgbaImage) -> RgbaImage {
    let [left, top, width, height] = [396, 98, 356, 404];
    image::imageops::crop_imm(picture, left, top, width, height).to_image()
}

#[test]
fn all_settings_are_seen_as_they_are_kept() {
    let _alone = alone();
    let space = Space::new();
    let Some(display) = Display::with_keys(&space.path(""), "800x600") else { return };
    let shown = space.path("shown.png");
    let roll = Roll::new("settings", &shown);
    let ada = space.client_that_asks("ada", "800x600").settings(FILE, LOOKS).env("DISPLAY", &display.name);
    let mut ada = ada.without_env("WAYLAND_DISPLAY").arg("--picture").arg(&shown).begin();
    roll.wait("form", |picture| button(picture) > 0.01 && ring(picture) > 0.002);
    display.focus("Hearth");
    // From the password to the button of the settings, of which the first has the keyboard then.
    display.keys(&["Tab", "Return"]);
    roll.wait("page", |picture| count(picture, DONE, is_orange) > 0.5);
    let last = Cell::new(SystemTime::UNIX_EPOCH);
    let take = || {
        let written = std::fs::metadata(&shown).ok()?.modified().ok()?;
        let picture = (last.replace(written) != written).then(|| image::open(&shown).ok())??;
        Some(panel(&picture.to_rgba8()))
    };
    Golden::at("docs/pictures/settings.png")
        .check(take, |is_it| drop(roll.wait("settings", |picture| is_it(&panel(picture)))));
    // What there is to choose from stands over what is below.
    display.keys(&["Tab", "Return"]);
    roll.wait("opened", |picture| count(picture, MENU, is_ring) > 0.02);
    Golden::at("tests/e2e/tests/golden/settings-menu.png")
        .check(take, |is_it| drop(roll.wait("menu", |picture| is_it(&panel(picture)))));
    ada.signal(hearth_e2e::Signal::TERM);
    assert_eq!(ada.wait_end(), 0);
}

/// How far before the eye a plate of 1 m stands.
const AWAY: f32 = 3.0;
/// A column in the middle of the picture.
const COLUMN: Area = Area { left: 0.49, top: 0.0, right: 0.51, bottom: 1.0 };
const GO: &str = r#"{"go": {"at": [0, 1.7, 0], "yaw": 0, "pitch": 0}}"#;

fn red([red, green, blue]: [u8; 3]) -> bool {
    red > 110 && red.saturating_sub(green.max(blue)) > 60
}

/// How much of the picture's height the plate takes.
fn height(picture: &RgbaImage) -> f32 {
    count(picture, COLUMN, red)
}

/// The same as it must be.
fn height_at(fov_y: f32) -> f32 {
    1.0 / (2.0 * AWAY * (fov_y * 0.5).tan())
}

/// How much of the plate is in the upper half of the picture, less what is in the lower.
fn up(picture: &RgbaImage) -> f32 {
    let half = |top: f32, bottom: f32| count(picture, Area { top, bottom, ..COLUMN }, red) * 0.5;
    half(0.0, 0.5) - half(0.5, 1.0)
}

struct Visit<'a> {
    space: &'a Space,
    album: &'a Album,
    ada: &'a Peer,
    avatar: String,
    eye: EntityId,
}

impl<'a> Visit<'a> {
    /// Somebody has come to a space that has nothing but a plate before them.
    fn begin(space: &'a Space, album: &'a Album, server: &'a Peer, ada: &'a Peer) -> Visit<'a> {
        let avatar = named(ada, "avatar");
        ada.ok(&["send", &avatar, GO]);
        let eye = ada.ok(&["send", "--reply", &avatar, "\"eye\""]).parse().unwrap();
        let place = Transform { translation: [0.0, 1.7, -AWAY], ..Transform::default() };
        let color = Material { base_color: [1.0, 0.0, 0.0, 1.0], unlit: true, ..Material::default() };
        Hands::on(space, server).make(vec![
            Component::Transform(place),
            Component::Mesh(MeshSource::Cuboid([1.0, 1.0, 0.001])),
            Component::Material(Box::new(color)),
        ]);
        Visit { space, album, ada, avatar, eye: EntityId::from_bits(eye) }
    }

    /// The camera is so, and so is what it sees.
    #[track_caller]
    fn sees(&self, fov_y: f32) {
        let hands = Hands::on(self.space, self.ada);
        wait_until(&format!("the camera sees {fov_y} radians"), LONG, || {
            match hands.component(self.eye, ComponentKind::Camera) {
                Some(Component::Camera(camera)) => (camera.fov_y - fov_y).abs() < 1e-4,
                other => panic!("{other:?}"),
            }
            .then_some(())
        });
        let title = format!("{:.0}-degrees", fov_y.to_degrees());
        let wanted = height_at(fov_y);
        self.album.wait(self.ada, &title, |picture| (height(picture) - wanted).abs() < 0.01);
    }

    /// The mouse, which is captured, goes forward, and is inverted: what is before the eye goes up in the picture.
    #[track_caller]
    fn looks_down(&self, display: &Display) {
        display.moves([320.0, 100.0]);
        display.button(true);
        display.button(false);
        self.album.wait(self.ada, "straight", |picture| height(picture) > 0.1 && up(picture).abs() < 0.01);
        self.album.wait(self.ada, "forward", |picture| {
            let up = up(picture);
            assert!(up > -0.01, "it goes the other way: {up}");
            // The first may come before the pointer is captured.
            display.xdotool(&["mousemove_relative", "--", "0", "-15"]).unwrap();
            up > 0.05
        });
    }
}

#[test]
fn what_is_set_before_a_space_is_joined_arrives_at_the_eye() {
    let _alone = alone();
    let space = Space::new();
    let Some(display) = Display::with_keys(&space.path(""), "640x480") else { return };
    let album = Album::new("settings-eye");
    let shown = space.path("shown.png");
    let roll = Roll::new("settings-lobby", &shown);
    let server = space.server().start();
    // The page is to make others of these.
    let settings = LOOKS.replace("127.0.0.1:1", &server.ready).replace("fov = 75.0", "fov = 72.0");
    let settings = settings.replace("invert_look = true", "invert_look = false");
    let ada = space.client_that_asks("ada", "640x480").boot().settings(FILE, &settings);
    let ada = ada.env("DISPLAY", &display.name).without_env("WAYLAND_DISPLAY");
    let mut ada = ada.arg("--picture").arg(&shown).begin();
    roll.wait("form", |picture| button(picture) > 0.01 && ring(picture) > 0.002);
    display.focus("Hearth");
    // By way of the settings, of which the third is the field of view, and the fifth how the mouse looks.
    display.keys(&["Tab", "Return"]);
    roll.wait("page", |picture| count(picture, DONE, is_orange) > 0.5);
    display.keys(&["Tab", "Tab", "Right", "Right", "Right", "Tab", "Tab", "space", "Tab", "Return"]);
    roll.wait("form-again", |picture| count(picture, DONE, is_orange) < 0.1 && ring(picture) > 0.002);
    display.types(&format!("{}\n", space.password()));
    ada.wait_ready();
    let kept = ada.settings(FILE);
    assert!(kept.contains("fov = 75.0") && kept.contains("invert_look = true"), "{kept}");
    assert!(kept.contains("volume = 0.35") && kept.contains("look_speed = 1.35"), "{kept}");

    // As it was set.
    display.focus("Hearth: ada in 127");
    let visit = Visit::begin(&space, &album, &server, &ada);
    visit.sees(75_f32.to_radians());
    // As a script says, meanwhile.
    ada.ok(&["send", &visit.avatar, r#"{"fov": 1.2}"#]);
    visit.sees(1.2);
    visit.looks_down(&display);
}
