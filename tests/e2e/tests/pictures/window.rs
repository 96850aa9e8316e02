// SPDX-License-Identifier: AGPL-3.0-or-later
//! A client in a window, and its keys.

use crate::{album::Album, alone, display::Display};
use hearth_e2e::{Area, LONG, Space, differ, wait_until};

#[test]
fn keys_move_the_camera_in_a_window() {
    let _alone = alone();
    let space = Space::new();
    let Some(display) = Display::with_keys(&space.path(""), "640x480") else { return };
    let album = Album::new("window");
    let server = space.server().boot().start();
    let ada = space.client("ada", &server).boot().window("320x240").env("DISPLAY", &display.name);
    let mut ada = ada.without_env("WAYLAND_DISPLAY").start();
    display.focus("Hearth: ada");
    let last = std::cell::RefCell::new(None);
    let still = album.wait(&ada, "before", |picture| {
        let before = last.replace(Some(picture.clone()));
        before.is_some_and(|before| differ(&before, picture, Area::ALL, 24) < 0.06)
            && picture.pixels().any(|pixel| pixel.0[0] > 60)
    });

    // Backward, away from the fire and all that moves about it, as long as the key is down.
    display.xdotool(&["keydown", "s"]).unwrap();
    album.wait(&ada, "after-s", |picture| differ(&still, picture, Area::ALL, 24) > 0.2);
    display.xdotool(&["keyup", "s"]).unwrap();
    // F1 shows the keys.
    let last = std::cell::RefCell::new(None);
    let still = album.wait(&ada, "stands", |picture| {
        let before = last.replace(Some(picture.clone()));
        before.is_some_and(|before| differ(&before, picture, Area::ALL, 24) < 0.06)
    });
    display.xdotool(&["key", "F1"]).unwrap();
    album.wait(&ada, "after-f1", |picture| differ(&still, picture, Area::ALL, 24) > 0.05);

    // The end in good order closes it.
    ada.ok(&["shutdown"]);
    assert_eq!(ada.wait_end(), 0);
    let windows = display.xdotool(&["search", "--name", "Hearth: ada"]);
    assert!(windows.is_err(), "{windows:?}");
    wait_until("she has left", LONG, || (server.peers().len() == 1).then_some(()));
}
