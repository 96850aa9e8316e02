// SPDX-License-Identifier: AGPL-3.0-or-later
//! The loop closed from the inside: in a terminal that floats in the space a user writes a script, compiles
//! and runs it, and everybody sees what it makes.
//!
//! All that is typed goes to the client's window as key presses.

use crate::{
    album::{Album, settled_in},
    alone,
    display::Display,
};
use hearth_e2e::{Area, LONG, Peer, Space, count, differ, program, wait_until};
use std::{cell::RefCell, path::Path, process::Command, time::Duration};

/// Compiling a script on a busy machine.
const BUILD: Duration = Duration::from_secs(300);

/// What is typed into the editor: an orb in deep blue, to the right of the terminal.
const SCRIPT: &str = r#"use hearth_sdk::prelude::*;
hearth_sdk::main!(run);
async fn run() -> Result<(), Error> {
let orb = Entity::new().name("orb").at(2.4, 2.3, 3.0).mesh(MeshSource::Sphere(0.4));
let orb = orb.material(glow([0.0, 0.0, 1.0])).spawn()?;
info!("the orb {orb} is here");
std::future::pending().await
}
"#;

fn blue([red, green, blue]: [u8; 3]) -> bool {
    blue > 110 && blue.saturating_sub(red.max(green)) > 60
}

/// The only terminal that a peer knows.
pub(crate) fn terminal(peer: &Peer) -> String {
    wait_until("there is a terminal", LONG, || {
        let listed = peer.json(&["list-terminals"]);
        Some(listed.first()?["id"].as_str()?.to_owned())
    })
}

/// Waits until a terminal shows a text, as a peer has it. What it shows instead is told.
#[track_caller]
pub(crate) fn shows(peer: &Peer, terminal: &str, text: &str, timeout: Duration) {
    let shown = RefCell::new(Told(String::new()));
    let what = format!("`{text}` stands in the terminal of {}", peer.name);
    wait_until(&what, timeout, || {
        let mut shown = shown.borrow_mut();
        shown.0 = peer.ok(&["show-terminal", terminal]);
        shown.0.contains(text).then_some(())
    });
}

/// What a terminal shows, told if the test fails meanwhile.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the terminal shows:\n{}", self.0.trim_end());
        }
    }
}

pub(crate) fn installed(name: &str) -> bool {
    let found = Command::new(name).arg("--version").output().is_ok();
    if !found {
        eprintln!("\n!!! NOT RUN: `{name}` is not installed\n");
    }
    found
}

#[test]
fn a_script_is_written_compiled_and_run_in_the_space() {
    let _alone = alone();
    let space = Space::new();
    let Some(display) = Display::with_keys(&space.path(""), "960x540") else { return };
    if !installed("vim") {
        return;
    }
    let home = space.path("home");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join(".bashrc"), "PS1='\\W ready$ '\n").unwrap();
    // Nothing of the user's own shall change what is seen.
    std::fs::write(
        home.join(".vimrc"),
        "set nocompatible noautoindent nosmartindent formatoptions= noswapfile\n",
    )
    .unwrap();
    let album = Album::new("workshop");
    let server = space.server().boot().start();
    let ada = space.client("ada", &server).boot().window("960x540");
    let ada = ada.env("DISPLAY", &display.name).env("SHELL", "/bin/bash").env("HOME", &home);
    let ada = keep_toolchain(ada).without_env("WAYLAND_DISPLAY").start();
    let bob = space.client("bob", &server).boot().headless("640x360").start();
    display.focus("Hearth: ada");
    album.wait(&ada, "place", |picture| picture.pixels().any(|pixel| pixel.0[0] > 60));

    // One key opens a terminal, which has the keyboard from then on.
    settled_in(&server, &[&bob]);
    let before = album.wait(&bob, "before", |picture| picture.pixels().any(|pixel| pixel.0[0] > 60));
    display.keys(&["t"]);
    let term = terminal(&ada);
    shows(&ada, &term, "ready$", LONG);
    has_keyboard(&ada, &term, true);
    album.wait(&ada, "terminal", |_| true);

    display.types("hearth-ctl new orb && cd orb\n");
    shows(&ada, &term, "orb ready$", LONG);
    display.types("vim orb.rs\n");
    shows(&ada, &term, "\"orb.rs\"", LONG);
    album.wait(&ada, "vim", |_| true);
    display.types("i");
    shows(&ada, &term, "INSERT", LONG);
    display.types(SCRIPT);
    shows(&ada, &term, "pending().await", LONG);
    album.wait(&ada, "written", |_| true);
    display.keys(&["Escape"]);
    display.types(":wq\n");
    shows(&ada, &term, "vim orb.rs\norb ready$", LONG);
    display.types("mv orb.rs src/lib.rs && cargo build\n");
    shows(&ada, &term, "Finished", BUILD);
    album.wait(&ada, "built", |_| true);

    let without = album.wait(&ada, "without-orb", |picture| count(picture, Area::ALL, blue) < 0.002);
    display.types("hearth-ctl run target/wasm32-unknown-unknown/debug/orb.wasm\n");
    shows(&ada, &term, "is here", LONG);
    let with = album.wait(&ada, "orb", |picture| count(picture, Area::ALL, blue) > 0.004);
    assert!(differ(&without, &with, Area::ALL, 24) > 0.004);
    // The other client sees both.
    album.wait(&bob, "orb", |picture| count(picture, Area::ALL, blue) > 0.001);
    let beside = album.wait(&bob, "terminal", |picture| differ(&before, picture, Area::ALL, 24) > 0.02);
    drop(beside);
    let seen = terminal(&bob);
    shows(&bob, &seen, "is here", LONG);
    shows(&bob, &seen, "Finished", LONG);

    // Ctrl+C ends it, for everybody; the chord gives the keyboard back.
    display.keys(&["ctrl+c"]);
    for client in [&ada, &bob] {
        album.wait(client, "gone", |picture| count(picture, Area::ALL, blue) < 0.002);
    }
    display.keys(&["ctrl+shift+space"]);
    has_keyboard(&ada, &term, false);
    display.focus("Hearth: ada");
    display.keys(&["w"]);
    assert!(!ada.ok(&["show-terminal", &term]).contains("ready$ w\n"), "the key went to the terminal");

    // Whoever leaves takes their terminals along.
    drop(ada.end());
    wait_until("her terminal is gone", LONG, || bob.json(&["list-terminals"]).is_empty().then_some(()));
}

/// The compiler of whoever runs the test, in spite of another home.
pub(crate) fn keep_toolchain(launch: hearth_e2e::Launch) -> hearth_e2e::Launch {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let of_user = |variable: &str, folder: &str| {
        std::env::var_os(variable).unwrap_or_else(|| Path::new(&home).join(folder).into_os_string())
    };
    let launch = launch.env("CARGO_HOME", of_user("CARGO_HOME", ".cargo"));
    let launch = launch.env("RUSTUP_HOME", of_user("RUSTUP_HOME", ".rustup"));
    // Where this test was built is not where scripts are.
    let launch = launch.without_env("CARGO_TARGET_DIR");
    // The terminal finds `hearth-ctl` beside the client.
    assert!(program("hearth-ctl").is_file());
    launch
}

/// Waits until a terminal has the keyboard, or has it no more.
pub(crate) fn has_keyboard(peer: &Peer, terminal: &str, has: bool) {
    wait_until("the keyboard changes hands", LONG, || {
        let listed = peer.json(&["list-terminals"]);
        let found = listed.iter().find(|listed| listed["id"] == terminal)?;
        let typists = found["typists"].as_array().map_or(0, Vec::len);
        ((typists > 0) == has).then_some(())
    });
}
