// SPDX-License-Identifier: AGPL-3.0-or-later
//! A client that was told nothing: its first screen, typed into, with a wrong password and then the right one.

use crate::{album::Roll, alone, display::Display};
use hearth_e2e::{Area, LONG, Space, count, mean, wait_until};
use image::RgbaImage;

/// The panel: in the right half.
const PANEL: Area = Area { left: 0.5, top: 0.1, right: 0.95, bottom: 0.9 };

/// The part of the panel that has the colour of the button that one most likely wants.
pub(crate) fn button(picture: &RgbaImage) -> f32 {
    count(picture, PANEL, |[r, g, b]| r > 200 && (110..190).contains(&g) && b < 90)
}

/// The ring about what has the keyboard, in the lower part of the panel where the password is.
pub(crate) fn ring(picture: &RgbaImage) -> f32 {
    let below = Area { top: 0.5, ..PANEL };
    count(picture, below, |[r, g, b]| b > 170 && b.saturating_sub(r) > 40 && g > 100)
}

#[test]
fn a_space_is_joined_from_the_first_screen() {
    let _alone = alone();
    let space = Space::new();
    let Some(display) = Display::with_keys(&space.path(""), "800x600") else { return };
    let album = Roll::new("first-screen", &space.path("shown.png"));
    let server = space.server().start();
    let ada = space.client_that_asks("ada", "800x600").env("DISPLAY", &display.name);
    let mut ada = ada.without_env("WAYLAND_DISPLAY").arg("--picture").arg(space.path("shown.png")).begin();
    album.wait("form", |picture| button(picture) > 0.01);
    display.focus("Hearth");

    // The address has the keyboard at first, and Tab goes on from there.
    display.types(&server.ready);
    display.keys(&["Tab"]);
    display.types("ada");
    display.keys(&["Tab"]);
    display.types("not the password\n");
    let is_refused = |text: &str| text.contains("the server did not accept this password");
    wait_until("the password is refused", LONG, || is_refused(&ada.stderr()).then_some(()));
    // It is asked for again: the field is empty and has the keyboard.
    album.wait("refused", |picture| button(picture) > 0.01 && ring(picture) > 0.002);
    display.types(&format!("{}\n", space.password()));
    ada.wait_ready();
    wait_until("she is here", LONG, || (server.peers().len() == 2).then_some(()));
    display.focus("Hearth: ada in 127");
    // Nothing is in it, and it is day.
    album.wait("space", |picture| mean(picture, Area::ALL).iter().all(|part| *part > 60.0));
    let settings = ada.settings("hearth/client.toml");
    assert!(settings.contains("name = \"ada\"") && settings.contains(&server.ready), "{settings}");
    assert!(!settings.contains("horse"), "{settings}");

    // Another server in its place: the space is over, and the first screen says why.
    let again = server.kill_9();
    let server = again.data(&space.path("another")).start();
    wait_until("she is told", LONG, || ada.stderr().contains("left the space").then_some(()));
    display.focus("^Hearth$");
    album.wait("another-server", |picture| button(picture) > 0.002);
    // Enter goes back, and does not try it.
    display.keys(&["Return"]);
    album.wait("back", |picture| ring(picture) > 0.002);
    assert_eq!(server.peers().len(), 1);

    ada.signal(hearth_e2e::Signal::TERM);
    assert_eq!(ada.wait_end(), 0);
}
