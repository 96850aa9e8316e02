// SPDX-License-Identifier: AGPL-3.0-or-later
//! What pictures cost, beside a bare scene of the renderer with the same content, in one run; and what changes and assets
//! cost. `cargo bench -p hearth-engine --bench frames [-- PART]`, where the parts are `moving`, `spawning`, `changing`,
//! `assets`. Nothing is read or asserted: it prints.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark, run by hand")]

mod bare;
mod ours;

use std::time::Instant;

// As in the client, and for both.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Size of the pictures that are compared.
const SIZE: [u32; 2] = [640, 360];
/// Pictures of one turn, and how many turns each of the two has.
const PICTURES: usize = 40;
const TURNS: usize = 5;

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let has = |part: &str| wanted.is_empty() || wanted.iter().any(|wanted| part.contains(&**wanted));
    if has("moving") {
        for count in [1, 1000, 10_000] {
            moving(count);
        }
    }
    if has("spawning") {
        spawning();
    }
    if has("changing") {
        changing();
    }
    if has("assets") {
        assets();
    }
}

/// Something of which a picture is made after another.
trait Pictures {
    /// Moves everything and makes a picture.
    fn picture(&mut self, number: usize);
}

/// Pictures of things that all move, by turns with those of the bare scene.
fn moving(count: usize) {
    let mut ours = ours::Moving::new(count, SIZE);
    let mut bare = bare::Moving::new(count, SIZE);
    let mut number = 0;
    for _ in 0..20 {
        number += 1;
        ours.picture(number);
        bare.picture(number);
    }
    let (mut of_ours, mut of_bare) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        of_ours.push(turn(&mut ours, &mut number));
        of_bare.push(turn(&mut bare, &mut number));
    }
    let (ours, bare) = (middle(of_ours), middle(of_bare));
    println!(
        "moving\t{count}\tours {:.2} ms, bare {:.2} ms: {:.2} of wall; ours {:.2} ms, bare {:.2} ms: {:.2} of processor",
        ours[0],
        bare[0],
        ours[0] / bare[0],
        ours[1],
        bare[1],
        ours[1] / bare[1],
    );
}

/// Milliseconds of wall and of processor for a picture: the median one, and the mean.
fn turn(of: &mut impl Pictures, number: &mut usize) -> [f64; 2] {
    let before = processor_s();
    let mut times: Vec<f64> = (0..PICTURES)
        .map(|_| {
            *number += 1;
            let start = Instant::now();
            of.picture(*number);
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    let processor = (processor_s() - before) * 1e3 / PICTURES as f64;
    times.sort_by(f64::total_cmp);
    [times[PICTURES / 2], processor]
}

/// The median of each of the two.
fn middle(mut turns: Vec<[f64; 2]>) -> [f64; 2] {
    [0, 1].map(|i| {
        turns.sort_by(|a, b| a[i].total_cmp(&b[i]));
        turns[turns.len() / 2][i]
    })
}

/// The longest picture while ten thousand things are made, out of sight, so that drawing does not count; and the median one
/// when they are there.
fn spawning() {
    let mut ours = ours::Stage::new([16, 16]);
    for _ in 0..60 {
        ours.step();
    }
    let plain = (0..60).map(|_| ours.step()).fold(0.0, f64::max);
    let memory = resident();
    ours.make(10_000, 60.0);
    let times: Vec<f64> = (0..120).map(|_| ours.step()).collect();
    let longest = times.iter().copied().fold(0.0, f64::max);
    let mut after = times[60..].to_vec();
    after.sort_by(f64::total_cmp);
    println!(
        "spawning\t10000\tlongest picture {longest:.1} ms; before at most {plain:.1} ms, after it {:.1} ms; {:.0} bytes an \
         entity",
        after[30],
        (resident() - memory) / 1e4
    );
}

/// What a change of a transform costs: from the peer's hand to the renderer's entity, where nothing is drawn; and with
/// what the renderer does anew for what it draws.
fn changing() {
    for (draws, what) in [(false, "undrawn"), (true, "with what the renderer then does anew")] {
        change(draws, what);
    }
}

fn change(draws: bool, what: &str) {
    let mut ours = ours::Stage::with([16, 16], draws);
    let things = ours.make(10_000, 0.0);
    for _ in 0..120 {
        ours.step();
    }
    let cost = |ours: &mut ours::Stage, moved: usize| {
        let before = processor_s();
        for number in 0..PICTURES {
            ours.move_all(&things[..moved], number);
            ours.step();
        }
        (processor_s() - before) * 1e6 / PICTURES as f64
    };
    let still = cost(&mut ours, 0);
    for moved in [1000, 10_000] {
        let each = (cost(&mut ours, moved) - still) / moved as f64;
        println!("changing\t{moved}\t{each:.2} µs of processor each, {what}");
    }
}

/// How long it takes until lumps are there to be seen, and the longest picture meanwhile.
fn assets() {
    let mut stage = ours::Stage::new([64, 64]);
    for _ in 0..60 {
        stage.step();
    }
    for (name, bytes, component) in ours::assets() {
        let size = bytes.len() as f64 / f64::from(1 << 20);
        let (time, longest) = stage.load(bytes, component);
        println!(
            "assets\t{name}\t{size:.1} MiB in {:.0} ms: {:.0} MiB/s; longest picture {longest:.1} ms",
            time,
            size / time * 1e3
        );
    }
}

/// Seconds of the processor that this process has used; zero where the system does not say.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Bytes of memory that this process has; zero where the system does not say.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0
}

/// Where thing `i` of `count` is in a picture: on a square grid before the eye, each on a small circle of its own.
fn place(i: usize, count: usize, picture: usize) -> [f32; 3] {
    let side = (count as f32).sqrt().ceil().max(1.0);
    let (column, row) = (i as f32 % side, (i as f32 / side).floor());
    let step = 8.0 / side;
    let angle = picture as f32 * 0.1 + i as f32;
    [
        (column - (side - 1.0) / 2.0) * step + angle.sin() * step * 0.2,
        0.3 + row / side * 3.5 + angle.cos() * step * 0.2,
        -row / side * 4.0,
    ]
}

/// Edge of a thing of so many.
fn edge(count: usize) -> f32 {
    (3.0 / (count as f32).sqrt()).min(0.8)
}

/// One of eight colours.
fn color(i: usize) -> [f32; 4] {
    let bit = |at: usize| if i >> at & 1 == 1 { 0.9 } else { 0.15 };
    [bit(0), bit(1), bit(2), 1.0]
}
