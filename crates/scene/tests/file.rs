// SPDX-License-Identifier: AGPL-3.0-or-later
//! The file of the space: what was saved is there again, whatever happened to the program.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use hearth_abi::scene::Component;
use hearth_scene::{FileError, SavedChange, SavedEntity, SceneFile};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};
use support::{at, entity, name};

fn saved(serial: u64, generation: u32) -> SavedEntity {
    SavedEntity {
        id: entity(1, serial),
        parent: (serial > 1).then(|| entity(1, serial - 1)),
        components: vec![at(generation as f32), name(&"n".repeat(200))],
    }
}

fn put(serial: u64, generation: u32) -> SavedChange {
    SavedChange::Put(saved(serial, generation))
}

#[test]
fn what_was_saved_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scene.redb");
    let file = SceneFile::open(&path).unwrap();
    assert_eq!(file.load().unwrap(), []);
    file.save(&[put(2, 1), put(1, 1), put(3, 1)]).unwrap();
    file.save(&[]).unwrap();
    file.save(&[put(1, 2), SavedChange::Remove(entity(1, 3)), SavedChange::Remove(entity(7, 7))]).unwrap();
    let error = SceneFile::open(&path).unwrap_err();
    assert!(matches!(error, FileError::InUse { .. }), "{error:?}");
    drop(file);
    let file = SceneFile::open(&path).unwrap();
    assert_eq!(file.load().unwrap(), [saved(1, 2), saved(2, 1)]);
    drop(file);
    assert_eq!(SceneFile::repair(&path).unwrap(), None, "nothing is to be repaired");
}

#[test]
fn a_file_that_cannot_be_made_is_named() {
    let error = SceneFile::open(Path::new("/nowhere/at/all/scene.redb")).unwrap_err();
    assert!(matches!(error, FileError::Io { .. }), "{error:?}");
    assert_eq!(error.to_string(), "could not read or write `/nowhere/at/all/scene.redb`");
}

#[test]
fn a_damaged_file_is_named_with_the_way_to_repair_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scene.redb");
    let all: Vec<SavedChange> = (1..=500).map(|n| put(n, 1)).collect();
    SceneFile::open(&path).unwrap().save(&all).unwrap();
    let good = std::fs::read(&path).unwrap();

    let mut damages: Vec<(String, Vec<u8>)> = vec![
        ("empty".into(), Vec::new()),
        ("not a database".into(), b"hello".repeat(2000)),
        ("cut short".into(), good[..good.len() / 2].to_vec()),
    ];
    // Somewhere in every page that holds names.
    let names: Vec<usize> = good
        .windows(64)
        .step_by(64)
        .enumerate()
        .filter(|(_, w)| w == &[b'n'; 64])
        .map(|(n, _)| n * 64)
        .collect();
    assert!(names.len() > 50);
    for at in names.iter().step_by(names.len() / 20) {
        let mut bytes = good.clone();
        bytes[*at] ^= 0x40;
        damages.push((format!("byte {at}"), bytes));
    }
    for (what, bytes) in damages {
        std::fs::write(&path, &bytes).unwrap();
        let outcome = SceneFile::open(&path).and_then(|file| file.load());
        let Err(error) = outcome else { panic!("{what}: not found to be damaged") };
        assert!(matches!(error, FileError::Damaged { .. }), "{what}: {error:?}");
        let text = error.to_string();
        let folder = folder.path().display();
        assert!(text.starts_with(&format!("`{}` is damaged: ", path.display())), "{text}");
        assert!(text.ends_with(&format!("run `hearth-server repair --data {folder}`")), "{text}");

        let repaired = SceneFile::repair(&path).unwrap().expect("it is repaired");
        assert!(repaired.moved_to.exists() && repaired.moved_to != path, "{what}: kept aside");
        let file = SceneFile::open(&path).unwrap();
        let entities = file.load().unwrap();
        assert_eq!(entities.len(), repaired.kept, "{what}");
        if what.starts_with("byte") {
            assert_eq!((repaired.kept, repaired.lost), (499, 1), "{what}: {repaired:?}");
            assert!(entities.iter().all(|e| *e == saved(e.id.serial(), 1)));
        }
        file.save(&[put(1, 9)]).unwrap();
    }
}

#[test]
fn a_newer_format_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scene.redb");
    drop(SceneFile::open(&path).unwrap());
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, u64>::new("meta");
    transaction.open_table(meta).unwrap().insert("version", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    for outcome in [SceneFile::open(&path).map(|_| ()), SceneFile::repair(&path).map(|_| ())] {
        assert!(matches!(outcome, Err(FileError::Version { version: 2, .. })), "{outcome:?}");
    }
}

const CHILD: &str = "HEARTH_SCENE_FILE_CHILD";
const ENTITIES: u64 = 60;

/// Not a test of its own: the program that is killed. Saves one generation after the other, and says
/// so after each.
#[test]
fn child_saves_for_ever() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let file = SceneFile::open(Path::new(&path)).unwrap();
    let start = file.load().unwrap().first().map_or(0, generation);
    let mut out = std::io::stdout();
    for generation in start + 1.. {
        let all: Vec<SavedChange> = (1..=ENTITIES).map(|n| put(n, generation)).collect();
        file.save(&all).unwrap();
        writeln!(out, "saved {generation}").unwrap();
        out.flush().unwrap();
    }
}

fn generation(entity: &SavedEntity) -> u32 {
    match entity.components[0] {
        Component::Transform(t) => t.translation[0] as u32,
        _ => panic!("it has a transform"),
    }
}

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_program_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scene.redb");
    let mut most = 0;
    for round in 0..12u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_saves_for_ever", "--nocapture", "--test-threads", "1"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = most;
        let number = |line: &str| line.split("saved ").nth(1).and_then(|n| n.trim().parse::<u32>().ok());
        // Killed at another moment each time: right after a line, when the next save has begun.
        let mut wanted = 1 + round * 3;
        while wanted > 0 {
            if let Some(n) = number(&lines.next().unwrap().unwrap()) {
                acknowledged = n;
                wanted -= 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it was killed counts as well.
        acknowledged = lines.map_while(Result::ok).filter_map(|l| number(&l)).last().unwrap_or(acknowledged);

        let entities = SceneFile::open(&path).unwrap().load().unwrap();
        assert_eq!(entities.len(), ENTITIES as usize);
        let found = generation(&entities[0]);
        assert!(entities.iter().all(|e| generation(e) == found), "a save is whole");
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "{found} after {acknowledged} was acknowledged"
        );
        most = found;
    }
}
