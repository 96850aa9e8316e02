// SPDX-License-Identifier: AGPL-3.0-or-later
//! A client without a window that draws all the time: one picture while the next is prepared, and the same as when it is asked.

use crate::{album::Album, alone};
use hearth_e2e::{Area, LONG, Space, count, differ, screenshot, test_guest, wait_until};
use image::RgbaImage;

#[test]
fn a_client_draws_without_being_asked_and_shows_the_same() {
    let _alone = alone();
    let album = Album::new("unasked");
    let space = Space::new();
    let server = space.server().start();
    let asked = space.client("asked", &server).headless("320x180").start();
    let unasked = space.client("unasked", &server).headless("320x180");
    let unasked = unasked.arg("--pictures-per-second").arg("30").start();

    let crowd = server.spawn(&test_guest("crowd"), &["--", "move", "400", "shared"]);
    wait_until("the boxes move", LONG, || server.log(&crowd).contains("moves,").then_some(()));
    let colourful = |picture: &RgbaImage| {
        count(picture, Area::ALL, |[red, green, blue]| {
            red.max(green).max(blue) - red.min(green).min(blue) > 80
        }) > 0.03
    };
    for client in [&asked, &unasked] {
        album.wait(client, &format!("crowd-{}", client.name), colourful);
    }
    // It has pictures, and tells scripts of them.
    let watch = unasked.spawn(&test_guest("crowd"), &["--", "watch", "20"]);
    wait_until("pictures have come", LONG, || {
        unasked.log(&watch).contains("pictures a second").then_some(())
    });
    server.ok(&["kill", &crowd]);
    // What it made goes with it, and then nothing moves.
    album.wait(&unasked, "gone", |picture| {
        let same = screenshot(&asked, &space.path("asked.png"));
        !colourful(picture) && differ(&same, picture, Area::ALL, 2) == 0.0
    });
    // With its pictures on another thread it ends in good order.
    drop(unasked.end());
}

#[test]
fn how_many_pictures_are_drawn_is_checked() {
    let space = Space::new();
    let server = space.server().start();
    let eye = space.client("eye", &server);
    for (eye, count, says) in [
        (eye.clone().headless("64x64"), "0", "1..=1000"),
        (eye.clone().headless("64x64"), "1001", "1..=1000"),
        (eye.clone().headless("64x64"), "many", "invalid digit"),
        (eye.clone().without("--no-picture"), "30", "--headless"),
        (eye, "30", "--no-picture"),
    ] {
        let output = eye.arg("--pictures-per-second").arg(count).run_to_end();
        assert_ne!(output.code, 0);
        assert!(output.stderr.contains(says), "{count}: {}", output.stderr);
    }
}
