// SPDX-License-Identifier: AGPL-3.0-or-later
//! A process that is killed at any moment loses nothing that it had acknowledged, and leaves nothing half.
//!
//! What the death of a process shows is that no acknowledged write waits in its memory, and that every state
//! between two writes can be opened. It does not show what the loss of power does to a disk.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{id_of, open, sample};
use hearth_store::{GROUP_BYTES, LIST_MAX, LumpId, SMALL_MAX};
use std::{
    collections::HashSet,
    env,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

const CHILD: &str = "HEARTH_STORE_CRASH_DIR";
const SEED: &str = "HEARTH_STORE_CRASH_SEED";

/// Not a test of its own: what the other one starts and kills. Alone it has nothing to do.
#[test]
fn child() {
    let Some(dir) = env::var_os(CHILD) else { return };
    let seed: u64 = env::var(SEED).unwrap().parse().unwrap();
    let store = open(&PathBuf::from(dir));
    thread::scope(|scope| {
        for worker in 0..4 {
            let store = store.clone();
            scope.spawn(move || {
                for n in 0.. {
                    let len =
                        [40, 3000, SMALL_MAX, SMALL_MAX + 1, 300_000, 1_200_000][(n + worker) as usize % 6];
                    let bytes = sample(seed * 1_000_000 + worker * 100_000 + n, len);
                    let id = match n % 3 {
                        0 => store.put_reader(&mut &bytes[..]).unwrap().0,
                        _ => store.put(&bytes).unwrap(),
                    };
                    say(format!("put {id}"));
                    if n % 4 == 0 {
                        store.pin(&id).unwrap();
                        say(format!("pin {id}"));
                    }
                    if worker == 0 && n % 5 == 4 {
                        // Everything that is referred to stays, and everything that was said is.
                        store.remove_unreferenced(&|_| true).unwrap();
                    }
                }
            });
        }
    });
}

fn say(mut line: String) {
    line.push('\n');
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

#[test]
fn what_was_acknowledged_outlives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let (mut put, mut pinned) = (HashSet::new(), HashSet::new());
    for round in 0..8 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(CHILD, dir.path())
            .env(SEED, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Each round dies after another number of answers, in the middle of whatever comes next. What it
        // said before it died is in the pipe and counts too.
        let mut answers = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // The harness writes to the same place; a line cut by the kill has no whole id.
            let Some((what, id)) = line.rsplit_once(' ') else { continue };
            let Ok(id) = id.parse::<LumpId>() else { continue };
            if what.ends_with("put") {
                put.insert(id);
            } else if what.ends_with("pin") {
                pinned.insert(id);
            }
            answers += 1;
            if answers == 7 + round * 5 {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(answers >= 7 + round * 5, "the child ended by itself");

        let store = open(dir.path());
        for id in &put {
            assert_eq!(id_of(&store.get(id).unwrap()), *id, "an acknowledged lump is lost in round {round}");
        }
        let pins: HashSet<LumpId> = store.pins().unwrap().into_iter().collect();
        assert!(pinned.is_subset(&pins));
        let report = store.check().unwrap();
        assert!(report.corrupt.is_empty() && report.unreadable.is_empty(), "{report:?}");
        assert!(report.lumps as usize >= put.len());
        let sizes: u64 = store.list(None, LIST_MAX).unwrap().iter().map(|lump| lump.stat.size).sum();
        assert_eq!(store.used_bytes(), sizes);
    }
    assert!(put.len() > 100 && !pinned.is_empty());
}

#[test]
fn a_killed_transfer_goes_on_from_what_arrived() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = sample(1, 40 * GROUP_BYTES + 1);
    let id = id_of(&bytes);
    let sender = tempfile::tempdir().unwrap();
    let sender = open(sender.path());
    sender.put(&bytes).unwrap();
    let hashes = sender.group_hashes(&id).unwrap().unwrap();
    {
        // As a killed process leaves it: the part is there, and nothing says how far it is good.
        let store = open(dir.path());
        let mut incoming = store.begin(id, bytes.len() as u64).unwrap();
        incoming.set_groups(&hashes).unwrap();
        incoming.write(&bytes[..11 * GROUP_BYTES + 5]).unwrap();
        let part = dir.path().join(format!("incoming/{id}.part"));
        let copy = std::fs::read(&part).unwrap();
        drop(incoming);
        assert!(!part.exists());
        drop(store);
        std::fs::write(&part, copy).unwrap();
    }
    let store = open(dir.path());
    let mut incoming = store.begin(id, bytes.len() as u64).unwrap();
    let from = incoming.set_groups(&hashes).unwrap();
    assert_eq!(from, 11 * GROUP_BYTES as u64);
    incoming.write(&bytes[from as usize..]).unwrap();
    incoming.finish().unwrap();
    assert_eq!(store.get(&id).unwrap(), bytes);
}
