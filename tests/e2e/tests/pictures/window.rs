// SPDX-License-Identifier: AGPL-3.0-or-later
//! A client in a window, and its keys.

use crate::{album::Album, alone};
use hearth_e2e::{Area, LONG, Space, differ, wait_until};
use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A display without a screen, that ends when this is dropped.
struct Display {
    child: Child,
    name: String,
}

impl Display {
    /// Starts one on a free number.
    ///
    /// # Errors
    /// There is no Xvfb.
    fn new(folder: &Path) -> Result<Display, String> {
        let number = folder.join("display");
        let child = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp"])
            .stdout(File::create(&number).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("`Xvfb`: {error}"))?;
        let mut display = Display { child, name: String::new() };
        display.name = wait_until("the display is ready", LONG, || {
            let text = std::fs::read_to_string(&number).unwrap();
            text.ends_with('\n').then(|| format!(":{}", text.trim()))
        });
        Ok(display)
    }

    fn xdotool(&self, args: &[&str]) -> Result<String, String> {
        let output = Command::new("xdotool").args(args).env("DISPLAY", &self.name).output();
        let output = output.map_err(|error| format!("`xdotool`: {error}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(format!("xdotool {args:?}: {}", String::from_utf8_lossy(&output.stderr))),
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn keys_move_the_camera_in_a_window() {
    let _alone = alone();
    let space = Space::new();
    let display = match Display::new(&space.path("")) {
        Ok(display) => display,
        Err(reason) => return eprintln!("\n!!! NOT RUN: a window needs a display: {reason}\n"),
    };
    if let Err(reason) = display.xdotool(&["version"]) {
        return eprintln!("\n!!! NOT RUN: keys need `xdotool`: {reason}\n");
    }
    let album = Album::new("window");
    let server = space.server().boot().start();
    let ada = space.client("ada", &server).boot().window("320x240").env("DISPLAY", &display.name);
    let mut ada = ada.without_env("WAYLAND_DISPLAY").start();
    let window = wait_until("the window is there", LONG, || {
        display.xdotool(&["search", "--onlyvisible", "--name", "Hearth: ada"]).ok()
    });
    display.xdotool(&["windowfocus", "--sync", &window]).unwrap();
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
