// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 8: lines.

use super::{
    Motion,
    stand::{Build, live},
};
use hearth_sdk::prelude::*;
use std::f32::consts::TAU;

const STEP: Duration = Duration::from_millis(50);

pub(super) fn drawings(number: usize, motion: Motion) -> Result<(), Error> {
    let caption = "Strips, loops and pairs, of any width or of one pixel.";
    let mut stand = Build::new(number, "Lines", caption);
    let colored = |lines: Lines, color: u32| {
        let [r, g, b] = srgb(color);
        Lines { color: [r, g, b, 1.0], ..lines }
    };
    for (axis, color) in
        [([0.7, 0.0, 0.0], 0xc02020), ([0.0, 0.7, 0.0], 0x208020), ([0.0, 0.0, 0.7], 0x2040c0)]
    {
        let line = colored(Lines { width: 0.02, ..Lines::through([[0.0; 3], axis]) }, color);
        stand.add(Entity::new().at(-1.7, 0.9, -0.35).with(line));
    }
    stand.note([-1.55, 0.7, -0.2], "axes");
    let edges: Vec<[f32; 3]> = (0..8u8)
        .flat_map(|corner| {
            (0..3).filter(move |bit| corner & 1 << bit == 0).map(move |bit| [corner, corner | 1 << bit])
        })
        .flatten()
        .map(|corner| [0, 1, 2].map(|bit| if corner & 1 << bit == 0 { -0.28 } else { 0.28 }))
        .collect();
    let cage = colored(Lines { way: LineWay::Pairs, width: 0.012, ..Lines::through(edges) }, 0x203050);
    let cage =
        stand.add(Entity::new().at(-0.5, 1.2, -0.3).turned(Quat::yaw_pitch_roll(0.6, 0.3, 0.0)).with(cage));
    stand.note([-0.5, 0.7, -0.2], "pairs: a cage");
    let ring = |petals: f32, out: f32| -> Vec<[f32; 3]> {
        (0..160)
            .map(|step| {
                let turn = step as f32 / 160.0 * TAU;
                let out = out * (1.0 + 0.3 * (turn * petals).cos());
                [turn.cos() * out, turn.sin() * out, 0.0]
            })
            .collect()
    };
    for (petals, out, color) in [(5.0, 0.3, 0xa02070), (3.0, 0.2, 0xe07020), (8.0, 0.1, 0x2080a0)] {
        let rose = colored(Lines { way: LineWay::Loop, ..Lines::through(ring(petals, out)) }, color);
        stand.add(Entity::new().at(0.55, 1.25, -0.85).with(rose));
    }
    stand.note([0.55, 0.7, -0.9], "loops");
    for (index, width) in [0.0, 0.01, 0.02, 0.04].into_iter().enumerate() {
        let y = 0.95 + 0.22 * index as f32;
        let line = Lines { width, ..Lines::through([[-0.3, 0.0, 0.0], [0.3, 0.0, 0.0]]) };
        stand.add(Entity::new().at(1.4, y, -0.9).with(colored(line, 0x182028)));
        let name = if width == 0.0 { "one pixel".to_owned() } else { format!("{} mm", width * 1000.0) };
        stand.note([1.88, y, -0.9], &name);
    }
    let wave = stand.add(Entity::new().at(0.0, 0.4, 0.3).with(self::wave(0.0)));
    stand.note([0.0, 0.2, 0.4], "a strip through 200 points");
    stand.done()?;
    if !motion.still {
        live("stand 8", moves(wave, cage));
    }
    Ok(())
}

fn wave(time: f32) -> Lines {
    let points: Vec<[f32; 3]> = (0..200)
        .map(|step| {
            let x = step as f32 / 199.0 * 3.6 - 1.8;
            [x, 0.14 * (x * 5.0 - time).sin() * (-x * x * 0.5).exp(), 0.0]
        })
        .collect();
    Lines { width: 0.014, color: [0.05, 0.25, 0.5, 1.0], ..Lines::through(points) }
}

async fn moves(line: EntityId, cage: EntityId) -> Result<(), Error> {
    let mut beat = interval(STEP);
    loop {
        let at = beat.tick().await.as_secs_f32();
        let mut batch = Batch::new();
        batch.set(line, wave((at * 2.0) % TAU));
        let turn = Quat::yaw_pitch_roll((at * 0.5) % TAU, 0.3, 0.0);
        batch.set(cage, scene::pose(vec3(-0.5, 1.2, -0.3), turn));
        batch.commit()?;
    }
}
