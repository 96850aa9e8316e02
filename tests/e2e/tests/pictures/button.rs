// SPDX-License-Identifier: AGPL-3.0-or-later
//! A thing whose script runs on the server is touched by a user at a window, and everybody sees that.

use crate::{album::Album, alone, display::Display, first_five_minutes::named};
use hearth_e2e::{Area, LONG, Peer, Space, count, std_guest, wait_until};
use image::RgbaImage;

/// At the edge of the terrace, looking out along +Z, where nothing moves.
const IN_FRONT: &str = r#"{"go": {"at": [0, 1.7, 4.5], "yaw": 3.14159, "pitch": 0}}"#;
/// The button, before that and turned to it.
const BUTTON: [&str; 4] = ["0", "1.7", "6.2", "3.14159"];
const MIDDLE: Area = Area { left: 0.4, top: 0.35, right: 0.6, bottom: 0.65 };
/// The middle of the window, and a place in it where only the sky is.
const CAP: [&str; 2] = ["320", "180"];
const SKY: [&str; 2] = ["40", "30"];

fn is_red([red, green, blue]: [u8; 3]) -> bool {
    red > 110 && red.saturating_sub(green.max(blue)) > 60
}

fn is_green([red, green, blue]: [u8; 3]) -> bool {
    green > 110 && green.saturating_sub(red.max(blue)) > 60
}

fn is_blue([red, green, blue]: [u8; 3]) -> bool {
    blue > 110 && blue.saturating_sub(red.max(green)) > 60
}

/// Waits until the cap has this colour.
fn sees(album: &Album, client: &Peer, title: &str, is_so: fn([u8; 3]) -> bool) -> RgbaImage {
    album.wait(client, title, |picture| count(picture, MIDDLE, is_so) > 0.1)
}

fn logs(peer: &Peer, process: &str, text: &str, times: usize) {
    wait_until(&format!("`{text}` stands in the log {times} times"), LONG, || {
        (peer.log(process).matches(text).count() == times).then_some(())
    });
}

#[test]
fn anybody_presses_a_button_whose_script_runs_on_the_server() {
    let _alone = alone();
    let space = Space::new();
    let Some(display) = Display::with_keys(&space.path(""), "640x360") else { return };
    let album = Album::new("button");
    let server = space.server().boot().start();
    let ada = space.client("ada", &server).boot().window("640x360").env("DISPLAY", &display.name);
    let ada = ada.without_env("WAYLAND_DISPLAY").start();
    let bob = space.client("bob", &server).boot().headless("480x270").start();
    display.focus("Hearth: ada");
    let go = |client: &Peer| {
        client.ok(&["send", &named(client, "avatar"), IN_FRONT]);
    };
    [&ada, &bob].iter().for_each(|client| go(client));
    let script = std_guest("button");
    let button = bob.spawn(&script, &[&["--peer", "0", "--name", "button", "--"][..], &BUTTON].concat());
    assert!(button.starts_with("0."), "{button} runs on the server");
    [&ada, &bob].iter().for_each(|client| drop(sees(&album, client, "red", is_red)));

    // The pointer comes onto it, and presses it.
    display.xdotool(&["mousemove", CAP[0], CAP[1]]).unwrap();
    let points = format!("peer {} points at it", ada.number());
    logs(&bob, &button, &points, 1);
    display.xdotool(&["click", "1"]).unwrap();
    logs(&bob, &button, "ada has pressed it", 1);
    [&ada, &bob].iter().for_each(|client| drop(sees(&album, client, "green", is_green)));
    // Whoever comes later sees it as it is.
    let cyd = space.client("cyd", &server).boot().headless("480x270").start();
    go(&cyd);
    sees(&album, &cyd, "green", is_green);

    // A click beside it is not one on it, but captures the pointer, which is in the middle then: on it.
    display.xdotool(&["mousemove", SKY[0], SKY[1], "click", "1"]).unwrap();
    logs(&bob, &button, &points, 2);
    assert_eq!(bob.log(&button).matches("has pressed it").count(), 1);
    display.xdotool(&["click", "1"]).unwrap();
    [&ada, &bob, &cyd].iter().for_each(|client| drop(sees(&album, client, "blue", is_blue)));
    logs(&bob, &button, "ada has pressed it", 2);

    // With its script it is gone.
    cyd.ok(&["kill", &button]);
    album.wait(&ada, "gone", |picture| count(picture, MIDDLE, is_blue) < 0.01);
}
