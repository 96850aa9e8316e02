// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a wood fire sounds like: a soft roar, a hiss, and now and then a crack of the wood. Made of chance, as
//! a loop without a seam: all that rings or is smoothed at its end goes on at its beginning.

use crate::chance::{Chance, hash};
use std::f32::consts::TAU;

/// Samples a second.
pub const RATE: u32 = 22_050;
/// Samples of the loop: seven seconds, longer than one remembers where the cracks were.
pub const SAMPLES: usize = 7 * RATE as usize;
/// Small cracks, and loud ones.
const CRACKS: [(usize, f32); 2] = [(90, 0.16), (16, 0.6)];
/// The loudest sample.
const PEAK: f32 = 0.9;

/// The loop.
pub fn fire() -> Vec<f32> {
    let noise: Vec<f32> = (0..SAMPLES).map(|i| hash(i as u32 + 77) * 2.0 - 1.0).collect();
    let roar = low(&low(&noise, 90.0), 300.0);
    let air = low(&noise, 2500.0);
    let breath = |i: usize, turns: f32, phase: f32| {
        1.0 + 0.4 * (i as f32 / SAMPLES as f32 * TAU * turns + phase).sin()
    };
    let mut all: Vec<f32> = (0..SAMPLES)
        .map(|i| {
            let hiss = noise[i] - air[i];
            roar[i] * breath(i, 3.0, 0.0) * breath(i, 11.0, 2.0) * 0.5 + hiss * breath(i, 7.0, 1.0) * 0.012
        })
        .collect();
    let mut chance = Chance::new(4321);
    for (count, loudness) in CRACKS {
        for _ in 0..count {
            crack(&mut all, &mut chance, loudness);
        }
    }
    let peak = all.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    all.iter().map(|sample| sample * PEAK / peak).collect()
}

/// Adds a crack somewhere: wood that bursts, a few milliseconds of a ringing that falls.
fn crack(all: &mut [f32], chance: &mut Chance, loudness: f32) {
    let start = (chance.part() * SAMPLES as f32) as usize;
    let pitch = chance.between(700.0, 4200.0);
    let seconds = chance.between(0.001, 0.006);
    let level = loudness * chance.between(0.3, 1.0);
    let rough = chance.between(0.2, 0.9);
    let len = (seconds * 7.0 * RATE as f32) as usize;
    for i in 0..len {
        let time = i as f32 / RATE as f32;
        // A burst begins within half a millisecond.
        let rise = (time / 0.0005).min(1.0);
        let ring = (time * pitch * (1.0 - 20.0 * time) * TAU).sin();
        let split = chance.between(-1.0, 1.0);
        let sample = (ring * (1.0 - rough) + split * rough) * rise * (-time / seconds).exp();
        all[(start + i) % SAMPLES] += level * sample;
    }
}

/// What of a loop is below a frequency (a filter of the first order, once around before it counts).
fn low(samples: &[f32], hertz: f32) -> Vec<f32> {
    let part = 1.0 - (-TAU * hertz / RATE as f32).exp();
    let mut value = 0.0;
    let mut pass = || -> Vec<f32> {
        let step = |sample: &f32| {
            value += (sample - value) * part;
            value
        };
        samples.iter().map(step).collect()
    };
    pass();
    pass()
}
