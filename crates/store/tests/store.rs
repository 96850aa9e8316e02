// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is put can be had, by whoever, after whatever.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{file_of, id_of, names, open, sample};
use hearth_store::{
    GROUP_BYTES, GROUPED_MIN, GetError, LIST_MAX, LumpId, OpenError, PinError, PutError, SMALL_MAX, Stat,
    Store, StoreOptions,
};
use std::{
    cell::RefCell,
    io::{self, Read},
    sync::Barrier,
    thread,
};

const SIZES: [usize; 9] = [
    0,
    1,
    4096,
    SMALL_MAX,
    SMALL_MAX + 1,
    3 * GROUP_BYTES - 5,
    GROUPED_MIN as usize - 1,
    GROUPED_MIN as usize,
    GROUPED_MIN as usize + 3 * GROUP_BYTES + 17,
];

#[test]
fn lumps_of_every_size_come_back_and_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let lumps: Vec<Vec<u8>> = SIZES.iter().map(|size| sample(*size as u64, *size)).collect();
    let store = open(dir.path());
    for bytes in &lumps {
        assert!(!store.has(&id_of(bytes)).unwrap());
        assert_eq!(store.put(bytes).unwrap(), id_of(bytes));
        assert_eq!(store.put(bytes).unwrap(), id_of(bytes), "a second put changes nothing");
    }
    let check = |store: &Store| {
        for bytes in &lumps {
            let id = id_of(bytes);
            assert_eq!(store.get(&id).unwrap(), bytes);
            assert_eq!(store.stat(&id).unwrap(), Some(Stat { size: bytes.len() as u64, pinned: false }));
            assert!(store.has(&id).unwrap());
            let (from, len) = (bytes.len() / 3, bytes.len() / 2);
            assert_eq!(store.read(&id, from as u64, len).unwrap(), bytes[from..from + len]);
            assert_eq!(store.read(&id, bytes.len() as u64, 0).unwrap(), "");
            assert_eq!(store.read(&id, 0, bytes.len()).unwrap(), bytes);
            for (offset, len) in
                [(bytes.len() as u64, 1), (0, bytes.len() + 1), (u64::MAX, 1), (u64::MAX, usize::MAX)]
            {
                assert!(matches!(store.read(&id, offset, len), Err(GetError::Range { .. })));
            }
            let hashes = store.group_hashes(&id).unwrap();
            assert_eq!(hashes.is_some(), bytes.len() as u64 >= GROUPED_MIN);
        }
        assert_eq!(store.used_bytes(), SIZES.iter().sum::<usize>() as u64);
        let report = store.check().unwrap();
        assert_eq!((report.lumps, report.bytes), (lumps.len() as u64, store.used_bytes()));
        assert!(
            report.corrupt.is_empty() && report.unreadable.is_empty() && report.pinned_missing.is_empty()
        );
    };
    check(&store);
    drop(store);
    check(&open(dir.path()));
    assert_eq!(names(&dir.path().join("incoming")), [""; 0]);
}

#[test]
fn a_store_can_be_shared_by_threads() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    fn sent<T: Send + 'static>() {}
    shared::<Store>();
    sent::<hearth_store::Incoming>();
}

#[test]
fn the_folders_above_a_store_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("not/yet/there");
    let id = open(&deep).put(b"deep down").unwrap();
    assert_eq!(open(&deep).get(&id).unwrap(), "deep down");
}

#[test]
fn what_is_not_here_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = id_of(b"nobody put this");
    assert!(matches!(store.get(&id), Err(GetError::NotFound(missing)) if missing == id));
    assert!(matches!(store.read(&id, 0, 1), Err(GetError::NotFound(_))));
    assert!(matches!(store.group_hashes(&id), Err(GetError::NotFound(_))));
    assert!(matches!(store.pin(&id), Err(PinError::NotFound(_))));
    assert_eq!(store.stat(&id).unwrap(), None);
    assert!(!store.unpin(&id).unwrap());
}

/// Gives bytes a few at a time, and counts.
struct Trickle {
    left: u64,
    step: usize,
    hasher: blake3::Hasher,
}

impl Read for Trickle {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(self.step).min(self.left as usize);
        buf[..n].fill((self.left % 251) as u8);
        self.hasher.update(&buf[..n]);
        self.left -= n as u64;
        Ok(n)
    }
}

#[test]
fn a_reader_is_stored_as_it_streams() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for (size, step) in [(0, 9), (SMALL_MAX as u64, 1000), (SMALL_MAX as u64 + 1, 1000), (96 << 20, 1 << 20)]
    {
        let mut reader = Trickle { left: size, step, hasher: blake3::Hasher::new() };
        let (id, stored) = store.put_reader(&mut reader).unwrap();
        assert_eq!((id.0, stored), (*reader.hasher.finalize().as_bytes(), size));
        assert_eq!(store.stat(&id).unwrap().unwrap().size, size);
        assert_eq!(id_of(&store.get(&id).unwrap()), id);
    }
}

#[test]
fn a_reader_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let broken = io::repeat(7).take(1 << 20);
    let mut broken = broken.chain(Failing);
    assert!(matches!(store.put_reader(&mut broken), Err(PutError::Source(_))));
    assert_eq!(store.list(None, 10).unwrap(), []);
    assert_eq!(store.used_bytes(), 0);
    assert_eq!(names(&dir.path().join("incoming")), [""; 0]);
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn only_one_store_at_a_time_has_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let clone = store.clone();
    drop(store);
    match Store::open(dir.path(), StoreOptions::default()) {
        Err(error @ OpenError::Locked { .. }) => {
            let text = error.to_string();
            assert!(text.contains(&format!("in use by process {}", std::process::id())), "{text}");
        }
        other => panic!("{other:?}"),
    }
    drop(clone);
    open(dir.path());
}

#[test]
fn the_list_is_paged_in_the_order_of_ids() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut ids: Vec<LumpId> = (0..40)
        .map(|n| store.put(&sample(n, if n % 3 == 0 { SMALL_MAX + 1 } else { 100 })).unwrap())
        .collect();
    ids.sort();
    store.pin(&ids[7]).unwrap();
    for limit in [1, 7, 40, 41, usize::MAX] {
        let mut found = Vec::new();
        loop {
            let page = store.list(found.last(), limit).unwrap();
            assert!(page.len() <= limit.min(LIST_MAX));
            assert!(page.iter().all(|lump| lump.stat.pinned == (lump.id == ids[7])));
            if page.is_empty() {
                break;
            }
            found.extend(page.iter().map(|lump| lump.id));
        }
        assert_eq!(found, ids);
    }
}

#[test]
fn a_collection_spares_pins_references_and_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let put = |n| store.put(&sample(n, if n % 2 == 0 { 10 } else { SMALL_MAX + 10 })).unwrap();
    let old: Vec<LumpId> = (0..8).map(put).collect();
    store.pin(&old[0]).unwrap();
    store.pin(&old[1]).unwrap();
    assert_eq!(store.remove_unreferenced(&|_| false).unwrap().lumps, 0, "all of it is new");

    // Of two that nobody refers to, one is put once more: its writer is about to refer to it.
    let new = put(100);
    put(4);
    let keep = [old[2], old[3]];
    let asked = RefCell::new(Vec::new());
    let removed = store
        .remove_unreferenced(&|id| {
            asked.borrow_mut().push(*id);
            keep.contains(id)
        })
        .unwrap();
    assert_eq!((removed.lumps, removed.bytes), (3, 10 + 2 * (SMALL_MAX as u64 + 10)));
    for id in [old[0], old[1], old[2], old[3], old[4], new] {
        assert!(store.get(&id).is_ok());
    }
    for id in [old[5], old[6], old[7]] {
        assert!(matches!(store.get(&id), Err(GetError::NotFound(_))));
        assert!(!file_of(dir.path(), &id).exists());
    }
    let asked = asked.into_inner();
    assert!(!asked.contains(&old[0]) && asked.contains(&old[2]));

    assert!(store.unpin(&old[0]).unwrap());
    assert_eq!(store.pins().unwrap(), [old[1]]);
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.pins().unwrap(), [old[1]], "pins outlive a restart");
    assert_eq!(store.remove_unreferenced(&|_| false).unwrap().lumps, 5, "after a restart nothing is new");
    assert_eq!(store.list(None, 10).unwrap().len(), 1);
    assert_eq!(store.used_bytes(), SMALL_MAX as u64 + 10);
}

#[test]
fn many_at_once_may_put_the_same_and_different_lumps() {
    const THREADS: u64 = 16;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let barrier = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for own in 0..THREADS {
            let (store, barrier) = (&store, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for round in 0..4 {
                    for len in [300, SMALL_MAX + 300, GROUPED_MIN as usize + 300] {
                        let shared = sample(round, len);
                        assert_eq!(store.put(&shared).unwrap(), id_of(&shared));
                        assert_eq!(store.get(&id_of(&shared)).unwrap(), shared);
                    }
                    let own = sample(1000 + own * 100 + round, 700);
                    assert_eq!(store.put(&own).unwrap(), id_of(&own));
                    assert_eq!(store.get(&id_of(&own)).unwrap(), own);
                }
            });
        }
    });
    store.flush().unwrap();
    assert_eq!(store.list(None, LIST_MAX).unwrap().len() as u64, 4 * 3 + THREADS * 4);
    let sizes: u64 = store.list(None, LIST_MAX).unwrap().iter().map(|lump| lump.stat.size).sum();
    assert_eq!(store.used_bytes(), sizes, "no room is counted twice");
    assert_eq!(names(&dir.path().join("incoming")), [""; 0]);
}

#[test]
fn what_was_put_during_collections_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let lumps: Vec<Vec<u8>> =
        (0..6).map(|n| sample(n, if n % 2 == 0 { 50 } else { SMALL_MAX + 50 })).collect();
    thread::scope(|scope| {
        let putter = scope.spawn(|| {
            for _ in 0..30 {
                for bytes in &lumps {
                    // Between the put and the get lies at most the collection that is running and the
                    // beginning of one more, so the lump cannot have become old.
                    let _collecting = store_lock();
                    let id = store.put(bytes).unwrap();
                    assert_eq!(store.get(&id).unwrap(), bytes);
                }
            }
        });
        while !putter.is_finished() {
            {
                let _no_put_is_young = store_lock();
                // Whatever was put before is old after this one ...
                store.remove_unreferenced(&|_| true).unwrap();
            }
            // ... and this one races with the puts.
            store.remove_unreferenced(&|_| false).unwrap();
        }
        putter.join().unwrap();
    });
}

/// Lets a put and a collection follow each other, but for those that are meant to race.
fn store_lock() -> std::sync::MutexGuard<'static, ()> {
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    LOCK.lock().unwrap()
}

#[test]
fn the_quota_is_a_clear_answer() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        StoreOptions { max_bytes: Some(200_000), max_lump_bytes: 150_000, ..StoreOptions::default() };
    let store = Store::open(dir.path(), options.clone()).unwrap();
    let big = store.put(&sample(1, 100_000)).unwrap();
    store.put(&sample(2, 60_000)).unwrap();
    match store.put(&sample(3, 60_000)) {
        Err(error @ PutError::Quota { wanted: 60_000, used: 160_000, max: 200_000 }) => assert_eq!(
            error.to_string(),
            "the store is full: 160000 of 200000 bytes are used, and 60000 more are wanted"
        ),
        other => panic!("{other:?}"),
    }
    assert!(matches!(store.put(&sample(4, 70_000)), Err(PutError::Quota { .. })));
    assert!(matches!(store.put_reader(&mut &sample(4, 70_000)[..]), Err(PutError::Quota { .. })));
    assert!(matches!(store.begin(id_of(b""), 70_000), Err(PutError::Quota { .. })));
    for size in [150_001, u64::MAX] {
        assert!(matches!(store.begin(id_of(b""), size), Err(PutError::TooLarge { .. })));
    }
    assert!(matches!(
        store.put_reader(&mut io::repeat(1)),
        Err(PutError::TooLarge { .. } | PutError::Quota { .. })
    ));
    assert_eq!(store.put(&sample(1, 100_000)).unwrap(), big, "what is here needs no room");
    assert_eq!(store.used_bytes(), 160_000);

    // What is on its way in counts, and no longer when it is gone.
    let incoming = store.begin(id_of(b"later"), 40_000).unwrap();
    assert!(matches!(store.put(b"x"), Err(PutError::Quota { .. })));
    drop(incoming);
    store.put(b"x").unwrap();
    drop(store);
    let store = Store::open(dir.path(), options).unwrap();
    assert_eq!(store.used_bytes(), 160_001);
    store.remove_unreferenced(&|id| *id != big).unwrap();
    assert_eq!(store.used_bytes(), 60_001);
    store.put(&sample(4, 70_000)).unwrap();
}
