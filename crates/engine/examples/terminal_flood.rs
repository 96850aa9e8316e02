// SPDX-License-Identifier: AGPL-3.0-or-later
//! What fifty terminals that all scroll at once cost the processor for each picture: the time of the
//! step, of which the software renderer's drawing is not part (the picture is 16×16 pixels, and all
//! terminals are in view), beside that of the same place with terminals that stand still.
//!
//! `cargo run --example terminal_flood [-- COLUMNSxROWS [TERMINALS]]`
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a person who measures")]

use hearth_abi::{
    EntityId, PeerId, TerminalId,
    scene::{Component, Scope, TerminalView, Transform},
    screen::{Cell, Screen},
};
use hearth_engine::{Command, Controller, EngineConfig, Headless, Quality, channel};
use hearth_scene::{Change, Owner};
use std::{sync::Arc, time::Instant};

const PICTURES: usize = 120;
/// Screens that are made before, so that making them is not measured.
const SCREENS: usize = 12;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let size = arguments.next().and_then(|size| {
        let (columns, rows) = size.split_once('x')?;
        Some([columns.parse::<u16>().ok()?, rows.parse().ok()?])
    });
    let [columns, rows] = size.unwrap_or([80, 24]);
    let terminals = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(50u64);
    let (control, end) = channel();
    let config = EngineConfig {
        quality: Some(Quality::Low),
        draw_on_demand: false,
        headless: true,
        size: [16, 16],
        ..EngineConfig::default()
    };
    let mut engine = Headless::new(config, end).unwrap();
    place(&control, terminals);
    let screens: Vec<Arc<Screen>> =
        (0..SCREENS).map(|shift| Arc::new(screen(columns, rows, shift))).collect();
    let send = |control: &Controller, picture: usize| {
        for serial in 0..terminals {
            let screen = screens[(picture + serial as usize) % SCREENS].clone();
            let terminal = TerminalId::from_bits(1 << 44 | (serial + 1));
            control.send(Command::Screen { terminal, screen: Some(screen) }).unwrap();
        }
    };
    for picture in 0..200 {
        send(&control, picture);
        step(&mut engine, &control);
    }
    for floods in [false, true, false, true] {
        let before = processor_s();
        let mut times: Vec<f64> = (0..PICTURES)
            .map(|picture| {
                if floods {
                    send(&control, picture);
                }
                step(&mut engine, &control)
            })
            .collect();
        let processor = (processor_s() - before) * 1e3 / PICTURES as f64;
        times.sort_by(f64::total_cmp);
        println!(
            "{terminals} terminals of {columns}×{rows}, {}: median {:.2} ms, p90 {:.2} ms, processor {processor:.2} ms",
            if floods { "all scrolling" } else { "standing still" },
            times[PICTURES / 2],
            times[PICTURES * 9 / 10],
        );
    }
}

fn step(engine: &mut Headless, control: &Controller) -> f64 {
    let start = Instant::now();
    engine.step().unwrap();
    let time = start.elapsed().as_secs_f64() * 1e3;
    while control.try_event().is_some() {}
    time
}

fn screen(columns: u16, rows: u16, shift: usize) -> Screen {
    let mut screen = Screen::new(columns, rows);
    let text: Vec<char> =
        "[2026-11-25] INFO request 0x7f3a91 took 12.8 ms -> /api/v1/orbs?near=3 (200 OK) ".chars().collect();
    for (i, cell) in screen.cells_mut().iter_mut().enumerate() {
        let (row, column) = (i / usize::from(columns) + shift, i % usize::from(columns));
        *cell = Cell {
            character: text[(column + row * 7) % text.len()],
            foreground: 0x0080_8080 + ((row as u32 * 0x0013_0907) & 0x007F_7F7F),
            background: 0x0014_1618,
            style: (row % 4) as u32,
        };
    }
    screen.background = 0x0014_1618;
    screen
}

fn place(control: &Controller, terminals: u64) {
    let mut changes = Vec::new();
    for serial in 0..terminals {
        let id = EntityId::new(PeerId::SERVER, serial + 1).unwrap();
        let (column, row) = ((serial % 10) as f32, (serial / 10) as f32);
        let place = Transform::at(column * 0.4 - 1.8, row * 0.4 + 0.9, 0.0);
        let view = TerminalView {
            terminal: TerminalId::from_bits(1 << 44 | (serial + 1)),
            cell_height: 0.01,
            opacity: 1.0,
        };
        changes.push(Change::Created { id, scope: Scope::Shared, owner: Owner::Space });
        changes.push(Change::Set { id, component: Component::Transform(place) });
        changes.push(Change::Set { id, component: Component::Terminal(view) });
    }
    control.send(Command::Changes(changes)).unwrap();
}

/// Seconds of the processor that this process has used; zero where the system does not say.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
