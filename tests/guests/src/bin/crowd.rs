// SPDX-License-Identifier: AGPL-3.0-or-later
//! Many small boxes that all move before each picture, and who looks how often pictures come.
//!
//! `crowd move COUNT local|shared` makes boxes in a lit place and moves all of them before each picture, or sixty times a
//! second on a peer without one. `crowd watch PICTURES` takes the times of so many pictures, and ends with what it found in
//! its log.
#![cfg_attr(target_arch = "wasm32", no_main)]

use hearth_sdk::{
    input::{self, Input},
    prelude::*,
    scene::far_light,
    time,
};

hearth_sdk::main!(run);

/// How many are made at a time.
const PART: usize = 500;
/// Time from one move to the next where nothing is shown.
const BEAT: Duration = Duration::from_nanos(1_000_000_000 / 60);
/// Moves from one report to the next.
const REPORT: u32 = 120;

async fn run() -> Result<(), Error> {
    let args = args();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["move", count, scope] => {
            let count = count.parse().map_err(|_not_a_number| Errno::Invalid)?;
            crowd(count, scope == "local").await
        }
        ["watch", pictures] => watch(pictures.parse().map_err(|_not_a_number| Errno::Invalid)?).await,
        _ => Err(Errno::Invalid.into()),
    }
}

async fn crowd(count: usize, is_local: bool) -> Result<(), Error> {
    let scoped = |entity: Entity| if is_local { entity.local() } else { entity };
    let mut batch = Batch::new();
    let sky = Sky {
        zenith: [0.12, 0.32, 0.75],
        horizon: [0.75, 0.82, 0.9],
        ground: [0.22, 0.2, 0.18],
        brightness: 900.0,
        ambient: 500.0,
    };
    scoped(Entity::new().with(sky)).add_to(&mut batch);
    let sun = Entity::new().light(far_light([1.0, 0.95, 0.85], 5000.0, true));
    scoped(sun.turned(Quat::looking(vec3(0.4, -1.0, -0.5)))).add_to(&mut batch);
    scoped(Entity::new().mesh(MeshSource::Plane([30.0, 30.0]))).add_to(&mut batch);
    batch.commit()?;

    let edge = (3.0 / (count as f32).sqrt()).min(0.8);
    let mut boxes = Vec::with_capacity(count);
    while boxes.len() < count {
        let mut batch = Batch::new();
        for i in boxes.len()..(boxes.len() + PART).min(count) {
            let one = Entity::new().mesh(MeshSource::Cuboid([edge; 3])).material(scene::matte(color(i)));
            boxes.push(scoped(one.with(place(i, count, 0))).add_to(&mut batch));
        }
        batch.commit()?;
        sleep(BEAT).await;
    }
    info!("{count} boxes are there");

    let mut pictures = Input::subscribe(input::mask::FRAME).ok();
    let mut beat = interval(BEAT);
    let (mut moves, mut refused, mut spent) = (0, 0, Duration::ZERO);
    loop {
        match &mut pictures {
            Some(pictures) => drop(pictures.next().await),
            None => drop(beat.tick().await),
        }
        let start = time::monotonic();
        let mut batch = Batch::new();
        for (i, entity) in boxes.iter().enumerate() {
            batch.set(*entity, place(i, count, moves));
        }
        if let Err(error) = batch.commit() {
            if error.errno != Errno::Full {
                return Err(error);
            }
            refused += 1;
        }
        moves += 1;
        spent += time::monotonic() - start;
        if moves % REPORT == 0 {
            info!(
                "{moves} moves, {refused} refused, {:.2} ms each",
                spent.as_secs_f64() * 1e3 / f64::from(moves)
            );
        }
    }
}

async fn watch(count: usize) -> Result<(), Error> {
    let mut pictures = Input::subscribe(input::mask::FRAME)?;
    let mut steps = Vec::with_capacity(count);
    while steps.len() < count {
        if let input::Event::Frame { step_ns, .. } = pictures.next().await {
            steps.push(f64::from(step_ns) / 1e6);
        }
    }
    let mean = steps.iter().sum::<f64>() / count as f64;
    steps.sort_by(f64::total_cmp);
    let part = |part: usize| steps.get(count * part / 100).or(steps.last()).copied().unwrap_or_default();
    info!(
        "{:.1} pictures a second; median {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
        1e3 / mean,
        part(50),
        part(99),
        part(100)
    );
    Ok(())
}

/// Where box `i` of `count` is after so many moves: on a square grid before the eye, each on a small circle of its own.
fn place(i: usize, count: usize, moves: u32) -> Transform {
    let side = (count as f32).sqrt().ceil().max(1.0);
    let (column, row) = (i as f32 % side, (i as f32 / side).floor());
    let step = 8.0 / side;
    let angle = moves as f32 * 0.1 + i as f32;
    Transform::at(
        (column - (side - 1.0) / 2.0) * step + angle.sin() * step * 0.2,
        0.3 + row / side * 3.5 + angle.cos() * step * 0.2,
        -row / side * 4.0,
    )
}

/// One of eight colours.
fn color(i: usize) -> [f32; 3] {
    [0, 1, 2].map(|bit| if i >> bit & 1 == 1 { 0.9 } else { 0.15 })
}
