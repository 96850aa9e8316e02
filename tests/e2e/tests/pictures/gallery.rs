// SPDX-License-Identifier: AGPL-3.0-or-later
//! The gallery as a visitor sees it who comes when all is there: the pictures of the guide.

use crate::{album::Album, alone, first_five_minutes::named, golden::Golden};
use hearth_e2e::{LONG, Peer, Space, screenshot, wait_until};
use std::fs;

const SIZE: &str = "960x540";

/// What the server starts.
const MANIFEST: &str = "[[service]]\nname = \"gallery\"\nmodule = \"std:gallery\"\nargs = [\"still\"]\n";

/// The stands that are kept as pictures, with their numbers; what `Stand::eye` of the script gives for them.
const STANDS: [(&str, u32); 12] = [
    ("shapes", 1),
    ("materials", 3),
    ("models", 4),
    ("lights", 5),
    ("particles", 9),
    ("screens", 11),
    ("kit", 14),
    ("options", 15),
    ("bending", 16),
    ("mirrors", 17),
    ("terminals", 18),
    ("broken", 19),
];

/// Where one stands to look at one: place and yaw.
fn before(number: u32) -> ([f32; 3], f32) {
    let (yaw, x) = match (number, number % 2) {
        (19, _) => (0.0, 0.0),
        (_, 1) => (1.05f32, -4.7),
        _ => (-1.05, 4.7),
    };
    let z = -1.0 - 6.0 * ((number - 1) / 2) as f32;
    // The mirrors are seen from the right, where one is not in them oneself: one breathes.
    let (aside, turn) = if number == 17 { (1.45, 0.4) } else { (0.0, 0.0) };
    let (sin, cos) = (f32::sin(yaw), f32::cos(yaw));
    ([x + 2.7 * sin + aside * cos, 1.4, z + 2.7 * cos - aside * sin], yaw + turn)
}

fn go(client: &Peer, avatar: &str, ([x, y, z], yaw): ([f32; 3], f32)) {
    let order = format!(r#"{{"go": {{"at": [{x}, {y}, {z}], "yaw": {yaw}, "pitch": 0}}}}"#);
    client.ok(&["send", avatar, &order]);
}

/// Compares what a client shows with the picture that is kept, until it is that one, or records it.
fn check(album: &Album, client: &Peer, space: &Space, name: &str) {
    let now = space.path("now.png");
    Golden::at(&format!("docs/pictures/gallery-{name}.png"))
        .check(|| Some(screenshot(client, &now)), |is_it| drop(album.wait(client, name, is_it)));
}

#[test]
fn the_gallery_is_as_the_guide_shows_it() {
    let _alone = alone();
    let album = Album::new("gallery");
    let space = Space::new();
    fs::create_dir(space.path("server")).unwrap();
    space.write("server/space.toml", MANIFEST);
    let server = space.server().boot().start();
    let gallery = named(&server, "gallery");
    wait_until("the gallery is ready", LONG, || server.log(&gallery).contains("ready").then_some(()));

    // Somebody is here before, out of sight: all lumps and entities have been made when the other one comes.
    let ada = space.client("ada", &server).boot().headless("160x90").start();
    go(&ada, &named(&ada, "avatar"), ([0.0, 1.7, 60.0], std::f32::consts::PI));
    album.wait(&ada, "away", |picture| picture.width() == 160);
    let bob = space.client("bob", &server).boot().headless(SIZE).start();
    let avatar = named(&bob, "avatar");

    // A graphics card draws with more quality than the software that the pictures are from.
    let is_comparable = bob.stderr().contains("quality=Low");
    if !is_comparable {
        eprintln!("\n!!! NOT COMPARED: this machine draws with another quality than that of the pictures\n");
    }
    // Where one enters; the yaw is what it is at first.
    go(&bob, &avatar, ([0.0, 1.7, 6.0], 0.0));
    if is_comparable {
        check(&album, &bob, &space, "entrance");
    }
    for (name, number) in STANDS {
        go(&bob, &avatar, before(number));
        if is_comparable {
            check(&album, &bob, &space, name);
        } else {
            screenshot(&bob, &space.path("now.png"));
        }
    }

    // What is broken has told its reason, and nothing else has.
    let log = server.log(&gallery);
    for reason in [
        "not a glTF 2.0 file",
        "none of PNG",
        "unexpected end of file",
        "index points to no vertex",
        "no connected peer has it",
    ] {
        wait_until(reason, LONG, || server.log(&gallery).contains(reason).then_some(()));
    }
    assert!(!log.contains("stand "), "{log}");
}
