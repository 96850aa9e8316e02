// SPDX-License-Identifier: AGPL-3.0-or-later
//! The way to the sound device, without one: the system's library is told that its default device is a pipe
//! to us, or that there is none. It reads that when a program starts, so each case is a program of its own:
//! this one, with another argument.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it does"
)]

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
    #[cfg(not(target_os = "linux"))]
    eprintln!("SKIPPED: on this system no device can be put in the place of the real one");
}

#[cfg(target_os = "linux")]
mod linux {
    use hearth_abi::scene::DistanceModel;
    use hearth_sound::{Clip, Law, Listener, Output, SOURCES_MAX, Source, SourceId};
    use std::{
        fs::File,
        io::Read,
        path::Path,
        process::{Command, Stdio},
        sync::{Arc, mpsc},
        thread,
        time::{Duration, Instant},
    };

    /// Samples go to a file, as fast as they are read there.
    const PIPE: &str = r#"
        pcm.!default {
            type plug
            slave {
                pcm { type file slave { pcm { type null } } file "FILE" format "raw" }
                format S16_LE channels 2 rate 48000
            }
        }
        ctl.!default { type null }
    "#;
    /// How long the device may take to be given a second of sound.
    const WAIT_MOST: Duration = Duration::from_secs(60);
    const NONE: &str = "ctl.!default { type null }";

    pub(crate) fn main() {
        match std::env::args().nth(1).as_deref() {
            Some("--play") => return play(),
            Some("--flood") => return flood(),
            _ => {}
        }
        the_device_is_given_the_mix();
        without_a_device_everything_goes_on();
    }

    /// This program, with another default device.
    fn child(folder: &Path, config: &str, argument: &str) -> Command {
        let file = folder.join("asound.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(argument).env("ALSA_CONFIG_PATH", file).stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }

    fn the_device_is_given_the_mix() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("heard");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Open at both ends, so that it has no end while the library opens and closes it.
        let mut heard = File::options().read(true).write(true).open(&pipe).unwrap();
        let config = PIPE.replace("FILE", pipe.to_str().unwrap());
        let mut child = child(folder.path(), &config, "--play").spawn().unwrap();
        let (tell, told) = mpsc::sync_channel(1);
        let reader = thread::spawn(move || {
            let mut bytes = vec![0; 4 * 48_000];
            heard.read_exact(&mut bytes).unwrap();
            tell.send(bytes).unwrap();
            heard
        });
        let bytes = told.recv_timeout(WAIT_MOST).expect("the device is given nothing");
        let _open = reader.join().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let samples: Vec<f32> = bytes
            .chunks_exact(2)
            .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0)
            .collect();
        let level = |ear: usize| {
            let ear = samples.iter().skip(ear).step_by(2).skip(24_000);
            (ear.map(|v| v * v).sum::<f32>() / 24_000.0).sqrt()
        };
        let (left, right) = (level(0), level(1));
        assert!(left > 0.3 && left < 0.36 && right > 0.01 && right < 0.1, "left {left}, right {right}");
        println!("the device is given the mix: ok");
    }

    fn without_a_device_everything_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = child(folder.path(), NONE, "--flood").stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdin.take());
        let output = child.wait_with_output().unwrap();
        // Neither we nor the library write to the user's terminal.
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert!(output.status.success());
        println!("without a device everything goes on: ok");
    }

    fn hum(place: Option<[f32; 3]>) -> Source {
        let samples = (0..4800).map(|i| 0.5 * (i as f32 * std::f32::consts::TAU / 48.0).sin()).collect();
        let law =
            Law { model: DistanceModel::Inverse, ref_distance: 1.0, max_distance: 0.0, rolloff_factor: 1.0 };
        Source {
            clip: Arc::new(Clip::new(samples, 1, 48_000).unwrap()),
            place,
            gain: 1.0,
            pitch: 1.0,
            looping: true,
            law,
            start: 0,
            skip_s: 0.0,
        }
    }

    /// Plays from the left until standard input ends.
    fn play() {
        let output = Output::open(1.0).unwrap();
        output.set(SourceId(1), hum(Some([-1.0, 0.0, 0.0])));
        output.listen(Listener::default());
        let _ = std::io::stdin().read(&mut [0]);
    }

    /// More changes than wait, and an end that does not hang.
    fn flood() {
        let output = Output::open(1.0).unwrap();
        let source = hum(None);
        let mut taken = 0;
        for id in 0..4 * SOURCES_MAX as u64 {
            taken += u64::from(output.set(SourceId(id), source.clone()));
            output.listen(Listener::default());
        }
        assert!(taken >= 2 * SOURCES_MAX as u64);
        for id in 0..4 * SOURCES_MAX as u64 {
            output.remove(SourceId(id));
        }
        let start = Instant::now();
        drop(output);
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}
