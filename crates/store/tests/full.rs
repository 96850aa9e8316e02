// SPDX-License-Identifier: AGPL-3.0-or-later
//! A full disk is a clear answer: nothing half-written appears, what was there can be read, and when there is
//! room again everything goes on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{id_of, names, not_run, open, sample};
use hearth_store::{GetError, LIST_MAX, LumpId, PinError, PutError, SMALL_MAX, Store};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A small file system, gone when dropped.
struct Disk(PathBuf, #[expect(dead_code, reason = "keeps the folder")] tempfile::TempDir);

impl Disk {
    fn mount(size: &str) -> Option<Disk> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={size}"))
            .arg("hearth-test")
            .arg(&path)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Disk(path, dir)),
            other => {
                not_run(&format!("a full disk needs a mount of its own, which takes root: {other:?}"));
                None
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Puts lumps until the disk is full; gives those that were acknowledged.
fn fill(store: &Store, len: usize) -> Vec<LumpId> {
    let mut stored = Vec::new();
    loop {
        let bytes = sample(stored.len() as u64, len);
        match store.put(&bytes) {
            Ok(id) => stored.push(id),
            Err(PutError::Full { wanted, .. }) => {
                assert!(wanted > 0);
                assert!(matches!(store.get(&id_of(&bytes)), Err(GetError::NotFound(_))));
                return stored;
            }
            Err(other) => panic!("{other}"),
        }
    }
}

fn assert_all_there(store: &Store, ids: &[LumpId]) {
    ids.iter().for_each(|id| assert_eq!(id_of(&store.get(id).unwrap()), *id));
    assert_eq!(store.list(None, LIST_MAX).unwrap().len(), ids.len());
    let sizes: u64 = store.list(None, LIST_MAX).unwrap().iter().map(|lump| lump.stat.size).sum();
    assert_eq!(store.used_bytes(), sizes);
}

#[test]
fn a_disk_that_fills_with_large_lumps() {
    let Some(disk) = Disk::mount("12m") else { return };
    let dir = disk.0.join("store");
    let store = open(&dir);
    let stored = fill(&store, 700_000);
    assert!(stored.len() > 3);
    assert_all_there(&store, &stored);
    // A reader does not say beforehand how much it has.
    let long = sample(99, 10 << 20);
    assert!(matches!(store.put_reader(&mut &long[..]), Err(PutError::Full { .. })));
    assert!(matches!(store.begin(id_of(b"long"), 10 << 20), Err(PutError::Full { .. })));
    assert_eq!(names(&dir.join("incoming")), [""; 0]);
    assert_all_there(&store, &stored);
    drop(store);
    let store = open(&dir);
    assert_all_there(&store, &stored);
    store.remove_unreferenced(&|id| *id != stored[0] && *id != stored[1]).unwrap();
    store.put(&sample(99, 700_000)).unwrap();
}

#[test]
fn a_disk_that_fills_with_small_lumps() {
    let Some(disk) = Disk::mount("12m") else { return };
    let dir = disk.0.join("store");
    let store = open(&dir);
    let stored = fill(&store, 20_000);
    assert!(stored.len() > 20);
    assert_all_there(&store, &stored);
    drop(store);
    let store = open(&dir);
    assert_all_there(&store, &stored);
    store.remove_unreferenced(&|id| stored[..10].contains(id)).unwrap();
    store.put(&sample(99, 20_000)).unwrap();
}

/// Something else takes the last byte, so that the database itself is refused in the middle of a write.
#[test]
fn a_disk_that_others_fill() {
    let Some(disk) = Disk::mount("12m") else { return };
    let dir = disk.0.join("store");
    let mut store = open(&dir);
    let mut stored: Vec<LumpId> = (0..20).map(|n| store.put(&sample(n, 10_000)).unwrap()).collect();
    stored.push(store.put(&sample(1000, SMALL_MAX + 1)).unwrap());
    let (mut refused, mut late) = (0, 0);
    // From nothing at all to enough.
    for free in (0..40).map(|n| n * 4096).chain([256 << 10, 2 << 20]) {
        let ballast = take_all_but(&disk.0, free);
        for (n, len) in [(0, 0), (1, 60_000), (2, SMALL_MAX + 1), (3, 1000)] {
            let bytes = sample(free + n, len);
            match store.put(&bytes) {
                Ok(id) if !stored.contains(&id) => stored.push(id),
                Ok(_) => {}
                Err(PutError::Full { .. }) => {
                    refused += 1;
                    // The database may fail when the row is there already; whole it must be then.
                    if store.has(&id_of(&bytes)).unwrap() && !stored.contains(&id_of(&bytes)) {
                        late += 1;
                        stored.push(id_of(&bytes));
                    }
                }
                Err(other) => panic!("{free} bytes free: {other}"),
            }
        }
        match store.pin(&stored[0]) {
            Ok(()) | Err(PinError::Full(_)) => {}
            Err(other) => panic!("{other}"),
        }
        assert_all_there(&store, &stored);
        // What is full can still be started and read.
        drop(store);
        store = open(&dir);
        assert_all_there(&store, &stored);
        fs::remove_file(ballast).unwrap();
    }
    assert!(refused > 20 && late < 3, "{refused} refused, {late} of them late");
    store.put(b"there is room again").unwrap();
}

fn take_all_but(dir: &Path, free: u64) -> PathBuf {
    let path = dir.join("ballast");
    let stat = rustix::fs::statvfs(dir).unwrap();
    let take = (stat.f_bavail * stat.f_frsize).saturating_sub(free);
    fs::write(&path, vec![1; take as usize]).unwrap();
    path
}
