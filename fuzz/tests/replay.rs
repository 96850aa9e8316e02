// SPDX-License-Identifier: AGPL-3.0-or-later
//! Runs all kept seeds, and altered ones, through all targets. `HEARTH_FUZZ_ROUNDS=100` tries a hundred times
//! as many alterations, for where there is no `cargo fuzz`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "it tells where the bytes are that failed")]

use hearth_fuzz::{TARGETS, Target};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The seeds of a target in order of name.
fn seeds(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = folder("corpus").join(target.name);
    let mut seeds: Vec<(String, Vec<u8>)> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{} has seeds", target.name);
    seeds
}

/// The bytes that failed, where `cargo fuzz` can be given them.
struct Keep<'a> {
    target: &'a Target,
    bytes: Vec<u8>,
}

impl Drop for Keep<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", self.target.name));
            let kept = fs::write(&path, &self.bytes);
            eprintln!("the bytes that failed: `{}` ({kept:?})", path.display());
        }
    }
}

fn run(target: &Target, bytes: Vec<u8>) -> bool {
    let keep = Keep { target, bytes };
    (target.run)(&keep.bytes)
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        // xorshift64* (Vigna, 2016).
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end.max(1)
    }
}

/// Alters bytes in one to four places.
fn alter(bytes: &mut Vec<u8>, others: &[(String, Vec<u8>)], random: &mut Random) {
    const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xfe, 0xff, b'"', 0x20];
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let len = random.below(9).min(bytes.len() - at);
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            2 => bytes[at..at + len].fill(TELLING[random.below(TELLING.len())]),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..at + len)),
            5 => {
                let again = bytes[at..at + len].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, again);
            }
            6 => {
                let (_, other) = &others[random.below(others.len())];
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let new: Vec<u8> = (0..random.below(9)).map(|_| random.below(256) as u8).collect();
                bytes.splice(at..at, new);
            }
        }
        bytes.truncate(1 << 16);
    }
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    run(target, Vec::new());
    let seeds = seeds(target);
    for (seed, bytes) in &seeds {
        let passed = run(target, bytes.clone());
        assert!(passed || !seed.starts_with("ok-"), "the seed {name}/{seed} is no longer understood");
    }
    let rounds = std::env::var("HEARTH_FUZZ_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for (_, bytes) in &seeds {
        for _ in 0..target.alterations * rounds {
            let mut bytes = bytes.clone();
            alter(&mut bytes, &seeds, &mut random);
            run(target, bytes);
        }
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test] fn $name() { replay(stringify!($name)); })*

        #[test]
        fn every_target_is_replayed_and_can_be_fuzzed() {
            let replayed = BTreeSet::from([$(stringify!($name)),*]);
            let all: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(replayed, all);
            let owned: BTreeSet<String> = all.iter().map(|name| name.to_string()).collect();
            let names = |path: &str| -> BTreeSet<String> {
                let entries = fs::read_dir(folder(path)).unwrap();
                let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
                entries.map(|entry| stem(entry.unwrap().path())).collect()
            };
            assert_eq!(names("corpus"), owned);
            assert_eq!(names("targets/fuzz_targets"), owned);
            let manifest = fs::read_to_string(folder("targets/Cargo.toml")).unwrap();
            for name in all {
                let entry = format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
                assert!(manifest.contains(&entry), "{name} is in the manifest");
                let program = fs::read_to_string(folder("targets/fuzz_targets").join(format!("{name}.rs"))).unwrap();
                assert!(program.contains(&format!("hearth_fuzz::{name}(data)")), "{name} calls its function");
            }
        }
    };
}

replays! {
    font handshake hello host_calls input keyboard mesh module operator_frame peer_frames pointer record scene_frames scene_ops scene_sync screen signal sound terminal
}
