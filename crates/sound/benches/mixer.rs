// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a second of sound costs to mix, and to decode. `cargo bench -p hearth-sound`. Times are of the
//! processor, the best of five runs.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark, run by hand")]

use hearth_abi::scene::DistanceModel;
use hearth_sound::{Clip, Law, Mixer, Source, SourceId, decode};
use rustix::time::{ClockId, clock_gettime};
use std::{hint::black_box, sync::Arc};

const RATE: u32 = 48_000;
const RUNS: usize = 5;

fn main() {
    for sources in [0, 1, 16, 64, 4096] {
        let mut mixer = mixer(sources);
        let mut out = vec![[0.0; 2]; RATE as usize];
        let time = best(|| mixer.render(black_box(&mut out)));
        println!("mix\t{sources} sources\t{:.2} ms for a second", time * 1e3);
    }
    for name in ["tone.wav", "tone.ogg", "tone.mp3", "tone.flac"] {
        let file = std::fs::read(format!("{}/tests/files/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let seconds = decode(&file).unwrap().duration().as_secs_f64();
        let time = best(|| (0..20).for_each(|_| drop(black_box(decode(&file).unwrap())))) / 20.0;
        println!("decode\t{name}\t{:.2} ms for a second", time / seconds * 1e3);
    }
}

/// Seconds of the processor that the fastest run took.
fn best(mut run: impl FnMut()) -> f64 {
    let now = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
    };
    let times = std::iter::repeat_with(|| {
        let start = now();
        run();
        now() - start
    });
    times.take(RUNS).fold(f64::INFINITY, f64::min)
}

fn mixer(sources: u64) -> Mixer {
    let tone = (0..44_100).map(|i| (f64::from(i) * 0.05).sin() as f32 * 0.1).collect();
    let clip = Arc::new(Clip::new(tone, 1, 44_100).unwrap());
    let law =
        Law { model: DistanceModel::Inverse, ref_distance: 1.0, max_distance: 0.0, rolloff_factor: 1.0 };
    let mut mixer = Mixer::new(RATE);
    for i in 0..sources {
        let place = Some([i as f32 - 30.0, 1.0, 2.0]);
        let clip = clip.clone();
        let source = Source { clip, place, gain: 1.0, pitch: 1.0, looping: true, law, start: 0, skip_s: 0.0 };
        mixer.set(SourceId(i), source);
    }
    mixer
}
