// SPDX-License-Identifier: AGPL-3.0-or-later
//! A display for windows, and hands on its keyboard and mouse.

use hearth_e2e::{LONG, wait_until};
use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A display without a screen, that ends when this is dropped.
pub(crate) struct Display {
    child: Child,
    pub(crate) name: String,
}

impl Display {
    /// A display of this size (`WIDTHxHEIGHT`) with `xdotool`; `None` if one of them is not installed, which it
    /// says loudly.
    pub(crate) fn with_keys(folder: &Path, size: &str) -> Option<Display> {
        let display = Display::new(folder, size)
            .and_then(|display| display.xdotool(&["version"]).map(|_version| display));
        display
            .map_err(|reason| eprintln!("\n!!! NOT RUN: a window needs a display and keys: {reason}\n"))
            .ok()
    }

    /// Starts one on a free number.
    ///
    /// # Errors
    /// There is no Xvfb.
    fn new(folder: &Path, size: &str) -> Result<Display, String> {
        let number = folder.join("display");
        let screen = format!("{size}x24");
        let child = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", &screen, "-nolisten", "tcp"])
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

    /// Runs `xdotool`, and gives what it writes.
    ///
    /// # Errors
    /// It is not there, or fails.
    pub(crate) fn xdotool(&self, args: &[&str]) -> Result<String, String> {
        let output = Command::new("xdotool").args(args).env("DISPLAY", &self.name).output();
        let output = output.map_err(|error| format!("`xdotool`: {error}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(format!("xdotool {args:?}: {}", String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// Waits for the window of this title, and gives it the keyboard.
    pub(crate) fn focus(&self, title: &str) {
        let window = wait_until("the window is there", LONG, || {
            self.xdotool(&["search", "--onlyvisible", "--name", title]).ok()
        });
        self.xdotool(&["windowfocus", "--sync", &window]).unwrap();
    }

    /// Types text, key by key; a line feed is the Return key.
    pub(crate) fn types(&self, text: &str) {
        for line in text.split_inclusive('\n') {
            let text = line.trim_end_matches('\n');
            if !text.is_empty() {
                self.xdotool(&["type", "--delay", "30", "--", text]).unwrap();
            }
            if text.len() < line.len() {
                self.keys(&["Return"]);
            }
        }
    }

    /// Presses and releases keys (X's names, as `ctrl+c`), one after the other.
    pub(crate) fn keys(&self, keys: &[&str]) {
        let mut args = vec!["key", "--delay", "60", "--"];
        args.extend(keys);
        self.xdotool(&args).unwrap();
    }

    /// Moves the mouse to a place, in pixels.
    pub(crate) fn moves(&self, [x, y]: [f32; 2]) {
        self.xdotool(&["mousemove", &format!("{x:.0}"), &format!("{y:.0}")]).unwrap();
    }

    /// Presses the first button of the mouse, or releases it.
    pub(crate) fn button(&self, down: bool) {
        self.xdotool(&[if down { "mousedown" } else { "mouseup" }, "1"]).unwrap();
    }

    /// Turns the wheel away from the user.
    pub(crate) fn wheels(&self, clicks: u32) {
        self.xdotool(&["click", "--repeat", &clicks.to_string(), "--delay", "100", "4"]).unwrap();
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
