// SPDX-License-Identifier: AGPL-3.0-or-later
//! A user at a window gets about on foot, points, and changes body, and another one sees that.

use crate::{album::Album, alone, display::Display, first_five_minutes::named};
use hearth_e2e::{Area, LONG, Peer, Space, differ, wait_until};
use image::RgbaImage;
use std::cell::RefCell;

/// At the edge of the terrace, looking out along +Z, where nothing moves.
const BOB: &str = r#"{"go": {"at": [0, 1.7, 4.5], "yaw": 3.14159, "pitch": 0}}"#;
/// Before bob and to his right, looking across what he sees; and out of his sight.
const ADA: &str = r#"{"go": {"at": [-0.9, 1.7, 7.1], "yaw": -1.5708, "pitch": 0}}"#;
const AWAY: &str = r#"{"go": {"at": [0, 1.7, -30], "yaw": 0, "pitch": 0}}"#;
/// What bob sees before him, where she stands in it, and where she points across.
const HER: Area = Area { left: 0.55, top: 0.2, right: 0.85, bottom: 0.95 };
const ACROSS: Area = Area { left: 0.2, top: 0.5, right: 0.45, bottom: 0.7 };
/// The share of pixels that are another when nothing has happened.
const QUIET: f32 = 0.01;

fn other(one: &RgbaImage, two: &RgbaImage, area: Area) -> f32 {
    differ(one, two, area, 24)
}

/// The picture once it does not change any more in an area.
fn still(album: &Album, client: &Peer, title: &str, area: Area) -> RgbaImage {
    let last = RefCell::new(None::<RgbaImage>);
    album.wait(client, title, |picture| {
        let before = last.replace(Some(picture.clone()));
        before.is_some_and(|before| other(&before, picture, area) < QUIET)
            && picture.pixels().any(|pixel| pixel.0[0] > 60)
    })
}

#[test]
fn somebody_walks_jumps_and_points_and_another_sees_it() {
    let _alone = alone();
    let space = Space::new();
    let Some(display) = Display::with_keys(&space.path(""), "640x360") else { return };
    let album = Album::new("walking");
    let server = space.server().boot().start();
    let ada = space.client("ada", &server).boot().window("480x270").env("DISPLAY", &display.name);
    let ada = ada.without_env("WAYLAND_DISPLAY").start();
    let bob = space.client("bob", &server).boot().headless("480x270").start();
    display.focus("Hearth: ada");
    let avatars = [&ada, &bob].map(|client| named(client, "avatar"));
    let key = |what: &str, key: &str| drop(display.xdotool(&[what, key]).unwrap());
    let place = named(&server, "place");
    wait_until("the place is ready", LONG, || server.log(&place).contains("ready").then_some(()));
    bob.ok(&["send", &avatars[1], BOB]);
    ada.ok(&["send", &avatars[0], AWAY]);
    let nobody = still(&album, &bob, "nobody", Area::ALL);
    ada.ok(&["send", &avatars[0], ADA]);
    album.wait(&bob, "she-stands", |picture| other(&nobody, picture, HER) > 0.05);

    // A jump ends where it began, however long the key is held: there is ground.
    let before = still(&album, &ada, "before", Area::ALL);
    key("keydown", "space");
    album.wait(&ada, "jumps", |picture| other(&before, picture, Area::ALL) > 0.05);
    let landed = |picture: &RgbaImage| other(&before, picture, Area::ALL) < 0.03;
    album.wait(&ada, "landed", landed);
    key("keyup", "space");

    // A beam across, while the key is held.
    assert!(other(&nobody, &still(&album, &bob, "does-not-point", ACROSS), ACROSS) < QUIET);
    key("keydown", "g");
    album.wait(&bob, "points", |picture| other(&nobody, picture, ACROSS) > 0.012);
    key("keyup", "g");
    album.wait(&bob, "points-no-more", |picture| other(&nobody, picture, ACROSS) < QUIET);

    // On foot she goes out of the picture, behind her back.
    key("keydown", "s");
    album.wait(&bob, "she-has-gone", |picture| other(&nobody, picture, HER) < QUIET);
    key("keyup", "s");
    ada.ok(&["send", &avatars[0], ADA]);
    album.wait(&bob, "she-is-back", |picture| other(&nobody, picture, HER) > 0.05);

    // In flight the same key goes up, and up.
    key("key", "f");
    let flies = album.wait(&ada, "flies", |picture| other(&before, picture, Area::ALL) > 0.002);
    key("keydown", "space");
    album.wait(&bob, "she-is-above", |picture| other(&nobody, picture, HER) < QUIET);
    key("keyup", "space");
    assert!(other(&flies, &still(&album, &ada, "above", Area::ALL), Area::ALL) > 0.05);
    // And back to the ground.
    key("key", "f");
    album.wait(&bob, "she-has-landed", |picture| other(&nobody, picture, HER) > 0.05);
}
