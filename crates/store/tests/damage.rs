// SPDX-License-Identifier: AGPL-3.0-or-later
//! What was altered on the disk is said to be corrupt, moved aside, and can be stored again; and nothing
//! that was altered is ever given out.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{file_of, flip, id_of, names, open, quick_dir, sample};
use hearth_store::{GROUP_BYTES, GROUPED_MIN, GetError, LumpId, OpenError, SMALL_MAX, Store, StoreOptions};
use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
};

const BIG: usize = GROUPED_MIN as usize + 5 * GROUP_BYTES + 100;

/// Asserts that the lump is corrupt once, missing then, and whole again when it is put again.
fn assert_corrupt_once(store: &Store, bytes: &[u8], ask: impl Fn(&Store, &LumpId) -> Option<GetError>) {
    let id = id_of(bytes);
    match ask(store, &id) {
        Some(GetError::Corrupt { id: corrupt, moved_to }) => {
            assert_eq!(corrupt, id);
            let moved_to = moved_to.unwrap();
            assert!(moved_to.file_name().unwrap().to_str().unwrap().starts_with(&id.to_string()));
            assert_ne!(id_of(&fs::read(moved_to).unwrap()), id);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(store.get(&id), Err(GetError::NotFound(_))));
    assert_eq!(store.stat(&id).unwrap(), None);
    assert_eq!(store.used_bytes(), 0);
    assert_eq!(store.put(bytes).unwrap(), id);
    assert_eq!(store.get(&id).unwrap(), bytes);
}

fn get(store: &Store, id: &LumpId) -> Option<GetError> {
    store.get(id).err()
}

fn read_all(store: &Store, id: &LumpId) -> Option<GetError> {
    let size = store.stat(id).unwrap()?.size as usize;
    store.read(id, 0, size).err()
}

fn check(store: &Store, id: &LumpId) -> Option<GetError> {
    let report = store.check().unwrap();
    let moved_to = report.corrupt.into_iter().find(|(corrupt, _)| corrupt == id)?.1;
    Some(GetError::Corrupt { id: *id, moved_to })
}

#[test]
fn altered_cut_and_grown_files_are_corrupt() {
    type Harm = fn(&Path, usize);
    let harms: [Harm; 6] = [
        |path, _| flip(path, 0),
        |path, size| flip(path, size / 2),
        |path, size| flip(path, size - 1),
        |path, size| OpenOptions::new().write(true).open(path).unwrap().set_len(size as u64 - 1).unwrap(),
        |path, size| OpenOptions::new().write(true).open(path).unwrap().set_len(size as u64 + 1).unwrap(),
        |path, _| OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap(),
    ];
    for size in [SMALL_MAX + 1, BIG] {
        for (n, harm) in harms.iter().enumerate() {
            for ask in [get, read_all, check] {
                for reopened in [false, true] {
                    let dir = quick_dir();
                    let mut store = open(dir.path());
                    let bytes = sample(n as u64, size);
                    let id = store.put(&bytes).unwrap();
                    harm(&file_of(dir.path(), &id), size);
                    if reopened {
                        drop(store);
                        store = open(dir.path());
                    }
                    assert_corrupt_once(&store, &bytes, ask);
                }
            }
        }
    }
}

#[test]
fn a_put_of_what_is_corrupt_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for size in [SMALL_MAX + 1, BIG] {
        let bytes = sample(7, size);
        let id = store.put(&bytes).unwrap();
        flip(&file_of(dir.path(), &id), size / 2);
        store.put(&bytes).unwrap();
        assert_eq!(store.get(&id).unwrap(), bytes);
        flip(&file_of(dir.path(), &id), size / 2);
        store.put_reader(&mut &bytes[..]).unwrap();
        assert_eq!(store.get(&id).unwrap(), bytes);
        flip(&file_of(dir.path(), &id), size / 2);
        let mut incoming = store.begin(id, size as u64).unwrap();
        incoming.write(&bytes).unwrap();
        incoming.finish().unwrap();
        assert_eq!(store.get(&id).unwrap(), bytes);
    }
}

#[test]
fn only_the_groups_that_are_read_are_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bytes = sample(1, BIG);
    let id = store.put(&bytes).unwrap();
    flip(&file_of(dir.path(), &id), 4 * GROUP_BYTES + 9);
    let read = store.read(&id, 0, 4 * GROUP_BYTES).unwrap();
    assert_eq!(read, bytes[..4 * GROUP_BYTES]);
    let after = 5 * GROUP_BYTES;
    assert_eq!(store.read(&id, after as u64, BIG - after).unwrap(), bytes[after..]);
    // One byte beside the wrong one is enough.
    assert!(matches!(store.read(&id, 4 * GROUP_BYTES as u64, 1), Err(GetError::Corrupt { .. })));
}

#[test]
fn group_hashes_are_made_again_when_they_are_lost_or_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = sample(1, BIG);
    let id = open(dir.path()).put(&bytes).unwrap();
    let path = file_of(dir.path(), &id).with_extension("groups");
    let right = fs::read(&path).unwrap();
    assert_eq!(right.len(), BIG.div_ceil(GROUP_BYTES) * 32);
    let harms: [&dyn Fn(); 4] = [
        &|| fs::remove_file(&path).unwrap(),
        &|| flip(&path, 40),
        &|| fs::write(&path, &right[..64]).unwrap(),
        &|| fs::write(&path, [&right[..], &right[..32]].concat()).unwrap(),
    ];
    for harm in harms {
        harm();
        let store = open(dir.path());
        assert_eq!(store.read(&id, 70_000, 500).unwrap(), bytes[70_000..70_500]);
        assert_eq!(store.group_hashes(&id).unwrap().unwrap(), right);
        assert_eq!(fs::read(&path).unwrap(), right);
    }
}

#[test]
fn a_file_that_disappears_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bytes = sample(1, SMALL_MAX + 1);
    let id = store.put(&bytes).unwrap();
    fs::remove_file(file_of(dir.path(), &id)).unwrap();
    assert!(matches!(store.get(&id), Err(GetError::NotFound(_))));
    assert!(!store.has(&id).unwrap());
    assert_eq!(store.used_bytes(), 0);
    store.put(&bytes).unwrap();
    assert_eq!(store.get(&id).unwrap(), bytes);
}

#[test]
fn corrupt_files_do_not_pile_up_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bytes = sample(1, SMALL_MAX + 1);
    for _ in 0..70 {
        let id = store.put(&bytes).unwrap();
        flip(&file_of(dir.path(), &id), 5);
        assert!(matches!(store.get(&id), Err(GetError::Corrupt { moved_to: Some(_), .. })));
    }
    assert_eq!(names(&dir.path().join("corrupt")).len(), 64);
}

#[test]
fn foreign_files_are_left_alone_and_leftovers_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let id = id_of(b"never put");
    let shard = file_of(dir.path(), &id).parent().unwrap().to_owned();
    fs::create_dir(&shard).unwrap();
    let foreign = [shard.join("notes.txt"), dir.path().join("files/README"), dir.path().join("files/zz")];
    foreign.iter().for_each(|path| fs::write(path, "mine").unwrap());
    let leftovers = [dir.path().join("incoming/7.tmp"), file_of(dir.path(), &id).with_extension("groups")];
    leftovers.iter().for_each(|path| fs::write(path, "half").unwrap());
    let store = open(dir.path());
    assert_eq!(store.list(None, 10).unwrap(), []);
    assert!(foreign.iter().all(|path| path.exists()));
    assert!(leftovers.iter().all(|path| !path.exists()));
}

/// A store with small lumps, pins and a large lump, closed.
fn furnished(dir: &Path) -> (Vec<Vec<u8>>, Vec<LumpId>) {
    let store = open(dir);
    let mut lumps: Vec<Vec<u8>> = (0..60).map(|n| sample(n, (n * n * 11) as usize % 9000)).collect();
    lumps.extend([sample(90, SMALL_MAX), sample(91, SMALL_MAX - 1), sample(92, SMALL_MAX + 1)]);
    lumps.iter().for_each(|bytes| assert_eq!(store.put(bytes).unwrap(), id_of(bytes)));
    let mut pins: Vec<LumpId> = lumps.iter().step_by(5).map(|bytes| id_of(bytes)).collect();
    pins.iter().for_each(|id| store.pin(id).unwrap());
    pins.sort();
    (lumps, pins)
}

#[test]
fn a_lost_or_wrecked_database_stops_the_start_and_names_the_cure() {
    type Harm = fn(&Path);
    let harms: [Harm; 5] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::write(path, "this was a database").unwrap(),
        |path| OpenOptions::new().write(true).open(path).unwrap().set_len(8192).unwrap(),
        |path| OpenOptions::new().write(true).open(path).unwrap().write_all_at(&[0xa5; 4096], 0).unwrap(),
    ];
    for (n, harm) in harms.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let (_, _) = furnished(dir.path());
        let path = dir.path().join("lumps.redb");
        harm(&path);
        let options = StoreOptions { data_dir: Some("/srv/space".into()), ..StoreOptions::default() };
        match Store::open(dir.path(), options) {
            Err(error @ OpenError::Damaged { .. }) => {
                let text = error.to_string();
                assert!(text.contains(path.to_str().unwrap()), "{text}");
                assert!(text.contains("`hearth-server repair --data /srv/space`"), "{text}");
            }
            other => panic!("harm {n}: {other:?}"),
        }
        assert_eq!(path.exists(), n != 0, "a start that is refused changes nothing");
    }
}

#[test]
fn a_repair_saves_everything_that_is_not_itself_destroyed() {
    let dir = tempfile::tempdir().unwrap();
    let (lumps, pins) = furnished(dir.path());
    // The header is what leads to everything else.
    let path = dir.path().join("lumps.redb");
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[0xa5; 4096], 0).unwrap();
    assert!(matches!(Store::open(dir.path(), StoreOptions::default()), Err(OpenError::Damaged { .. })));

    let report = Store::repair(dir.path()).unwrap();
    assert_eq!((report.salvaged, report.pins), (lumps.len() as u64 - 1, pins.len() as u64));
    assert_eq!(report.check.lumps, lumps.len() as u64);
    assert!(report.check.corrupt.is_empty() && report.check.pinned_missing.is_empty());
    assert_eq!(names(&dir.path().join("corrupt")), ["lumps.redb"]);
    assert_eq!(report.damaged.unwrap(), dir.path().join("corrupt/lumps.redb"));
    let store = open(dir.path());
    lumps.iter().for_each(|bytes| assert_eq!(store.get(&id_of(bytes)).unwrap(), bytes));
    assert_eq!(store.pins().unwrap(), pins);
    drop(store);

    let report = Store::repair(dir.path()).unwrap();
    assert_eq!((report.damaged, report.salvaged), (None, 0), "what is sound is left alone");
}

#[test]
fn a_repair_of_a_lost_database_finds_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let (lumps, _) = furnished(dir.path());
    fs::remove_file(dir.path().join("lumps.redb")).unwrap();
    let report = Store::repair(dir.path()).unwrap();
    assert!(report.damaged.is_some());
    assert_eq!(report.check.lumps, 1);
    let store = open(dir.path());
    let large = lumps.last().unwrap();
    assert_eq!(store.get(&id_of(large)).unwrap(), large);
}

/// Wherever in the database a few bytes are wrong, the store refuses to start or says what is lost; and after
/// a repair at most what lay there is lost.
#[test]
fn no_damage_to_the_database_gives_a_wrong_lump_or_a_panic() {
    let master = tempfile::tempdir().unwrap();
    let (lumps, _) = furnished(master.path());
    let path = master.path().join("lumps.redb");
    let image = fs::read(&path).unwrap();
    let large = file_of(master.path(), &id_of(lumps.last().unwrap()));
    let (mut refused, mut opened) = (0, 0);
    for page in 0..image.len() / 4096 {
        if image[page * 4096..][..4096].iter().all(|byte| *byte == 0) {
            continue;
        }
        for (offset, harm) in [(0, 1), (2, 2), (4, 60), (2000, 3)] {
            let dir = quick_dir();
            let shard = dir.path().join("files").join(large.parent().unwrap().file_name().unwrap());
            fs::create_dir_all(&shard).unwrap();
            fs::copy(&large, shard.join(large.file_name().unwrap())).unwrap();
            let mut bytes = image.clone();
            bytes[page * 4096 + offset..][..harm].iter_mut().for_each(|byte| *byte ^= 0x5a);
            fs::write(dir.path().join("lumps.redb"), bytes).unwrap();
            match Store::open(dir.path(), StoreOptions::default()) {
                Ok(store) => {
                    opened += 1;
                    for bytes in &lumps {
                        assert_eq!(store.get(&id_of(bytes)).unwrap(), bytes, "what opens is whole");
                    }
                    store.put(b"something new").unwrap();
                }
                Err(OpenError::Damaged { .. } | OpenError::Version { .. }) => refused += 1,
                Err(other) => panic!("{other}"),
            }
            match Store::repair(dir.path()) {
                Ok(report) => {
                    let found = report.check.lumps as usize;
                    assert!(found + 60 >= lumps.len(), "{found} lumps left of page {page}");
                    assert!(report.check.corrupt.is_empty());
                }
                Err(error) => assert!(error.to_string().contains("has format"), "{error}"),
            }
            let store = match Store::open(dir.path(), StoreOptions::default()) {
                Ok(store) => store,
                Err(OpenError::Version { .. }) => continue,
                Err(other) => panic!("{other}"),
            };
            for bytes in &lumps {
                match store.get(&id_of(bytes)) {
                    Ok(got) => assert_eq!(got, bytes),
                    Err(GetError::NotFound(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
    assert!(refused > 0 && opened > 0, "{refused} refused, {opened} opened: the harms are too much alike");
}
