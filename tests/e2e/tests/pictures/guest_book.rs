// SPDX-License-Identifier: AGPL-3.0-or-later
//! A visitor types their name into a field whose script runs on the server, and another one reads it.

use crate::{
    album::{Album, settled_in},
    alone,
    display::Display,
    first_five_minutes::named,
};
use hearth_e2e::{Area, LONG, Peer, Space, count, differ, std_guest, wait_until};
use image::RgbaImage;

/// Looking out along +Z from the edge of the terrace, where nothing moves, at the board that stands there.
const IN_FRONT: &str = r#"{"go": {"at": [0, 1.7, 4.5], "yaw": 3.14159, "pitch": 0}}"#;
const BOARD: [&str; 4] = ["0", "1.7", "5.4", "3.14159"];
/// Where the line stands that tells who has the keyboard.
/// The field, what stands below it, and what is beside the board.
const MIDDLE: Area = Area { left: 0.35, top: 0.45, right: 0.65, bottom: 0.55 };
const BELOW: Area = Area { left: 0.3, top: 0.54, right: 0.7, bottom: 0.66 };
const ASIDE: Area = Area { left: 0.0, top: 0.2, right: 0.15, bottom: 0.8 };
const LINE: Area = Area { left: 0.2, top: 0.02, right: 0.8, bottom: 0.1 };

fn is_letter_of_line([red, green, blue]: [u8; 3]) -> bool {
    red > 200 && (150..245).contains(&green) && (100..215).contains(&blue)
}

fn is_told(picture: &RgbaImage) -> bool {
    count(picture, LINE, is_letter_of_line) > 0.01
}

fn logs(peer: &Peer, process: &str, text: &str) {
    wait_until(&format!("`{text}` stands in the log"), LONG, || {
        peer.log(process).contains(text).then_some(())
    });
}

#[test]
fn a_visitor_types_their_name_into_a_field_of_a_script_on_the_server() {
    let _alone = alone();
    let space = Space::new();
    let Some(display) = Display::with_keys(&space.path(""), "960x540") else { return };
    let album = Album::new("guest-book");
    let server = space.server().boot().start();
    let ada = space.client("ada", &server).boot().window("960x540").env("DISPLAY", &display.name);
    let ada = ada.without_env("WAYLAND_DISPLAY").start();
    let bob = space.client("bob", &server).boot().headless("960x540").start();
    display.focus("Hearth: ada");
    [&ada, &bob].iter().for_each(|client| drop(client.ok(&["send", &named(client, "avatar"), IN_FRONT])));
    let script = std_guest("book");
    let book = bob.spawn(&script, &[&["--peer", "0", "--name", "book", "--"][..], &BOARD].concat());
    assert!(book.starts_with("0."), "{book} runs on the server");
    logs(&bob, &book, "is open");
    let light = |picture: &RgbaImage| picture.pixels().any(|pixel| pixel.0[0] > 60);
    settled_in(&server, &[&ada, &bob]);
    let before = album.wait(&ada, "before", light);
    let empty = album.wait(&bob, "before", light);

    // Keys walk until she has pressed the field: then they are written there, and she stays where she is.
    display.moves([480.0, 270.0]);
    display.button(true);
    display.button(false);
    let told = album.wait(&ada, "told", is_told);
    display.types("Ada wswd");
    logs(&bob, &book, "ada writes");
    let written = album.wait(&bob, "writes", |picture| differ(&empty, picture, MIDDLE, 24) > 0.01);
    assert!(!is_told(&written), "it is her keyboard, and bob's picture");
    let typed = album.wait(&ada, "typed", is_told);
    assert!(differ(&told, &typed, ASIDE, 24) < 0.02, "she has not walked");
    display.keys(&["BackSpace", "BackSpace", "BackSpace", "BackSpace", "BackSpace", "Return"]);
    logs(&bob, &book, "ada has written \"Ada\"");
    // Both read it below the field.
    for (client, empty) in [(&ada, &before), (&bob, &empty)] {
        album.wait(client, "written", |picture| differ(empty, picture, BELOW, 24) > 0.004);
    }
    // Escape gives the keyboard back, and the line goes.
    display.keys(&["Escape"]);
    album.wait(&ada, "left", |picture| !is_told(picture));
    // What is typed then is for her feet again.
    let before = album.wait(&ada, "before-walking", light);
    display.xdotool(&["keydown", "s"]).unwrap();
    album.wait(&ada, "walks", |picture| differ(&before, picture, Area::ALL, 24) > 0.1);
    display.xdotool(&["keyup", "s"]).unwrap();
    assert_eq!(bob.log(&book).matches("writes").count(), 1);
}
