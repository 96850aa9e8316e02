// SPDX-License-Identifier: AGPL-3.0-or-later
//! An interface that is written in a font of its own.

use crate::{
    album::{Album, settled_in},
    alone,
    first_five_minutes::named,
};
use hearth_e2e::{Area, LONG, Space, differ, std_guest, wait_until};
use image::RgbaImage;
use std::path::Path;

/// Looking out along +Z from the edge of the terrace, where nothing moves, at the board that stands there.
const IN_FRONT: &str = r#"{"go": {"at": [0, 1.7, 4.5], "yaw": 3.14159, "pitch": 0}}"#;
const BOARD: [&str; 4] = ["0", "1.7", "5.6", "3.14159"];
/// What the board covers.
const MIDDLE: Area = Area { left: 0.2, top: 0.2, right: 0.8, bottom: 0.8 };

#[test]
fn an_interface_is_written_in_the_font_that_its_theme_names() {
    let _alone = alone();
    let space = Space::new();
    let album = Album::new("letters");
    let server = space.server().boot().start();
    let bob = space.client("bob", &server).boot().headless("960x540").start();
    bob.ok(&["send", &named(&bob, "avatar"), IN_FRONT]);
    let font =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/glyph/fonts/JetBrainsMono-BoldItalic.ttf");
    let font = server.ok(&["load-lump", font.to_str().unwrap()]).trim().to_owned();
    let script = std_guest("kit");
    let light = |picture: &RgbaImage| picture.pixels().any(|pixel| pixel.0[0] > 60);
    settled_in(&server, &[&bob]);
    let empty = album.wait(&bob, "empty", light);
    let board = |args: &[&str]| {
        let board = bob.spawn(&script, &[&["--peer", "0", "--"][..], &BOARD, args].concat());
        assert!(board.starts_with("0."), "{board} runs on the server");
        board
    };
    let plain = board(&[]);
    let sans = album.wait(&bob, "sans", |picture| differ(&empty, picture, MIDDLE, 24) > 0.5);
    bob.ok(&["kill", &plain]);
    album.wait(&bob, "gone", |picture| differ(&empty, picture, MIDDLE, 24) < 0.05);
    // Letters of one width, which are wider than those without serifs.
    board(&[&format!("font={font}:1.05")]);
    wait_until("the font is used", LONG, || bob.ok(&["list-assets"]).contains("Font").then_some(()));
    let own = album.wait(&bob, "own", |picture| differ(&empty, picture, MIDDLE, 24) > 0.5);
    assert!(differ(&sans, &own, MIDDLE, 24) > 0.01, "it is written in other letters");
}
