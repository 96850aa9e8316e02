// SPDX-License-Identifier: AGPL-3.0-or-later
//! How long a picture of a hundred entities takes without a window, at 1280×720: a lit place, ten
//! things moving, two lamps. Prints the median and the 90th percentile of wall time, and the
//! processor time, of a drawn picture, and of a step that draws nothing.
//!
//! `cargo run -p hearth-engine --example frame_time [-- [high] [WIDTHxHEIGHT]]`
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a person who measures")]

use hearth_abi::{
    EntityId, PeerId,
    scene::{Component, Light, LightKind, Material, MeshSource, Scope, Sky, Transform},
};
use hearth_engine::{Command, Controller, EngineConfig, Headless, Quality, channel};
use hearth_scene::{Change, Owner};
use std::time::Instant;

const PICTURES: usize = 40;

fn main() {
    let high = std::env::args().any(|argument| argument == "high");
    let size = std::env::args().find_map(|argument| -> Option<[u32; 2]> {
        let (width, height) = argument.split_once('x')?;
        Some([width.parse().ok()?, height.parse().ok()?])
    });
    let quality = if high { Quality::High } else { Quality::Low };
    for draw_on_demand in [false, true] {
        let (control, end) = channel();
        let config = EngineConfig {
            quality: Some(quality),
            draw_on_demand,
            headless: true,
            size: size.unwrap_or([1280, 720]),
            ..EngineConfig::default()
        };
        let start = Instant::now();
        let mut engine = Headless::new(config, end).unwrap();
        let movers = place(&control);
        for _ in 0..20 {
            engine.step().unwrap();
            while control.try_event().is_some() {}
        }
        let ready = start.elapsed();
        let before = processor_s();
        let mut times: Vec<f64> = (0..PICTURES).map(|i| picture(&mut engine, &control, &movers, i)).collect();
        let processor = (processor_s() - before) * 1e3 / PICTURES as f64;
        times.sort_by(f64::total_cmp);
        println!(
            "{quality:?}, {}: median {:.1} ms, p90 {:.1} ms, processor {processor:.1} ms; 20 pictures after {:.1} s",
            if draw_on_demand { "not drawn" } else { "drawn" },
            times[PICTURES / 2],
            times[PICTURES * 9 / 10],
            ready.as_secs_f64()
        );
    }
}

fn picture(engine: &mut Headless, control: &Controller, movers: &[EntityId], i: usize) -> f64 {
    let moved = movers.iter().enumerate().map(|(k, id)| {
        let angle = i as f32 * 0.05 + k as f32;
        let to = Transform::at(angle.sin() * 3.0, 0.5, angle.cos() * 3.0);
        Change::Set { id: *id, component: Component::Transform(to) }
    });
    control.send(Command::Changes(moved.collect())).unwrap();
    let start = Instant::now();
    engine.step().unwrap();
    let time = start.elapsed().as_secs_f64() * 1e3;
    while control.try_event().is_some() {}
    time
}

fn place(control: &Controller) -> Vec<EntityId> {
    let mut changes = Vec::new();
    let mut serial = 0;
    let mut make = |components: Vec<Component>| {
        serial += 1;
        let id = EntityId::new(PeerId::SERVER, serial).unwrap();
        changes.push(Change::Created { id, scope: Scope::Shared, owner: Owner::Space });
        changes.extend(components.into_iter().map(|component| Change::Set { id, component }));
        id
    };
    let light = |kind, shadows, intensity| {
        let color = [1.0, 0.9, 0.75];
        Component::Light(Light {
            kind,
            shadows,
            color,
            intensity,
            range: 12.0,
            inner_angle: 0.0,
            outer_angle: 0.5,
        })
    };
    make(vec![Component::Sky(Sky {
        zenith: [0.12, 0.32, 0.75],
        horizon: [0.75, 0.82, 0.9],
        ground: [0.22, 0.2, 0.18],
        brightness: 900.0,
        ambient: 500.0,
    })]);
    let down = Transform::at(0.0, 5.0, 0.0).rotated([-0.5, 0.0, 0.0, 0.866]);
    make(vec![Component::Transform(down), light(LightKind::Directional, true, 5000.0)]);
    for x in [-3.0, 3.0] {
        make(vec![
            Component::Transform(Transform::at(x, 2.0, 0.0)),
            light(LightKind::Point, x > 0.0, 60_000.0),
        ]);
    }
    make(vec![Component::Mesh(MeshSource::Plane([30.0, 30.0]))]);
    let mut things = Vec::new();
    for i in 0..95u8 {
        let (column, row) = (f32::from(i % 10), f32::from(i / 10));
        let mesh = match i % 4 {
            0 => MeshSource::Cuboid([0.6, 0.8, 0.6]),
            1 => MeshSource::Sphere(0.4),
            2 => MeshSource::Cylinder(0.3, 0.9),
            _ => MeshSource::Torus(0.3, 0.12),
        };
        let base_color = [f32::from(i % 7) / 7.0, f32::from(i % 5) / 5.0, f32::from(i % 3) / 3.0, 1.0];
        let material = Material { base_color, ..Material::default() };
        let at = Transform::at(column * 1.2 - 5.4, 0.45, 2.0 - row * 1.2);
        things.push(make(vec![
            Component::Transform(at),
            Component::Mesh(mesh),
            Component::Material(Box::new(material)),
        ]));
    }
    things.truncate(10);
    control.send(Command::Changes(changes)).unwrap();
    things
}

/// Seconds of the processor that this process has used; zero where the system does not say.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
