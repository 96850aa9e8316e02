// SPDX-License-Identifier: AGPL-3.0-or-later
//! Pictures of terminals and of text beside those that are kept in `tests/golden`, and their colours.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Stage, at, day};
use hearth_abi::{
    TerminalId,
    scene::{Camera, Component, Scope, TerminalView},
    screen::{Cell, Screen},
};
use hearth_engine::{Command, EngineConfig, Quality};
use std::sync::Arc;

const SIZE: [u32; 2] = [320, 240];
const FOREGROUND: u32 = 0x00E8_E2D8;
const BACKGROUND: u32 = 0x0014_1618;

fn stage() -> Stage {
    Stage::with(EngineConfig { size: SIZE, quality: Some(Quality::Low), ..EngineConfig::default() })
}

fn terminal() -> TerminalId {
    TerminalId::from_bits(1 << 44 | 1)
}

/// A screen with these lines on it.
fn screen(columns: u16, lines: &[&str]) -> Screen {
    let mut screen = Screen::new(columns, lines.len() as u16);
    screen.background = BACKGROUND;
    screen.cells_mut().fill(Cell::blank(FOREGROUND, BACKGROUND));
    for (row, line) in lines.iter().enumerate() {
        write(&mut screen, 0, row as u16, line, |_| {});
    }
    screen
}

/// Writes from a place on.
fn write(screen: &mut Screen, column: u16, row: u16, text: &str, change: impl Fn(&mut Cell)) {
    let first = usize::from(row) * usize::from(screen.columns()) + usize::from(column);
    for (cell, character) in screen.cells_mut()[first..].iter_mut().zip(text.chars()) {
        cell.character = character;
        change(cell);
    }
}

fn show(stage: &Stage, screen: Screen) {
    let screen = Some(Arc::new(screen));
    stage.control.send(Command::Screen { terminal: terminal(), screen }).unwrap();
}

fn view(cell_height: f32, opacity: f32) -> Component {
    Component::Terminal(TerminalView { terminal: terminal(), cell_height, opacity })
}

/// An eye on the z axis, `pixels` to a metre at the origin.
fn eye(stage: &mut Stage, pixels: f32) {
    let fov_y = 0.6f32;
    let distance = SIZE[1] as f32 / pixels / 2.0 / (fov_y / 2.0).tan();
    let camera = Component::Camera(Camera { fov_y, ..Camera::default() });
    stage.make_by(common::PEER, Scope::Local, [at(0.0, 0.0, distance), camera]);
}

fn program() -> Screen {
    let lines = [
        "fn main() -> Result<(), Error> {   ",
        "    let mut orb = Entity::new()    ",
        "        .mesh(Sphere(0.25))        ",
        "        .material(glow([3., 1.]))  ",
        "        .spawn()?;  // it hovers   ",
        "    loop { orb.rise(0.1 * t())?; } ",
        "}                                  ",
    ];
    screen(36, &lines)
}

#[test]
fn a_terminal_from_the_front() {
    let mut stage = stage();
    stage.make([day()]);
    eye(&mut stage, 100.0);
    stage.make([view(0.16, 1.0)]);
    show(&stage, program());
    stage.settle();
    stage.check("terminal");
}
