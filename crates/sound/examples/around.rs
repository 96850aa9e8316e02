// SPDX-License-Identifier: AGPL-3.0-or-later
//! Plays a file on the sound device, in a circle around the head: once around in four seconds.
//!
//! `cargo run -p hearth-sound --example around -- FILE [SECONDS]`
#![allow(clippy::print_stderr, reason = "a program for a terminal")]

use hearth_abi::scene::DistanceModel;
use hearth_sound::{Law, Listener, Output, Source, SourceId, decode};
use std::{
    error::Error,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("give a file of WAV, Ogg Vorbis, MP3 or FLAC")?;
    let seconds = arguments.next().map_or(Ok(8.0), |seconds| seconds.parse())?;
    let clip = decode(&std::fs::read(file)?)?;
    eprintln!("{clip:?}");
    let law =
        Law { model: DistanceModel::Inverse, ref_distance: 1.0, max_distance: 50.0, rolloff_factor: 1.0 };
    let clip = Arc::new(clip);
    let output = Output::open(1.0)?;
    let start = Instant::now();
    while start.elapsed().as_secs_f32() < seconds {
        let (sin, cos) = (start.elapsed().as_secs_f32() * std::f32::consts::TAU / 4.0).sin_cos();
        let (clip, place) = (clip.clone(), Some([sin, 0.0, -cos]));
        let source = Source { clip, place, gain: 1.0, pitch: 1.0, looping: true, law, start: 0, skip_s: 0.0 };
        output.set(SourceId(1), source);
        output.listen(Listener::default());
        thread::sleep(Duration::from_millis(16));
    }
    Ok(())
}
