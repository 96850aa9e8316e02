// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps on their way in: seen only when they are whole, and taken up again where they were cut.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{file_of, flip, id_of, names, open, sample};
use hearth_store::{GROUP_BYTES, GROUPED_MIN, GetError, LumpId, PutError, SMALL_MAX, Store, StoreOptions};
use std::path::Path;

const BIG: usize = GROUPED_MIN as usize + 2 * GROUP_BYTES + 333;

fn assert_nothing_of(store: &Store, dir: &Path, id: &LumpId) {
    assert!(matches!(store.get(id), Err(GetError::NotFound(_))));
    assert_eq!(store.used_bytes(), 0);
    assert_eq!(names(&dir.join("incoming")), [""; 0]);
    assert!(!file_of(dir, id).exists());
}

#[test]
fn a_lump_arrives_in_any_pieces_and_is_seen_only_at_the_end() {
    for size in [0, 1, SMALL_MAX, SMALL_MAX + 1, BIG] {
        for piece in [1000, GROUP_BYTES, GROUP_BYTES + 1, 1 << 20] {
            for grouped in [false, true] {
                let dir = tempfile::tempdir().unwrap();
                let store = open(dir.path());
                let bytes = sample(3, size);
                let id = id_of(&bytes);
                let hashes = hashes_of(&bytes);
                let mut incoming = store.begin(id, size as u64).unwrap();
                if grouped && let Some(hashes) = &hashes {
                    assert_eq!(incoming.set_groups(hashes).unwrap(), 0);
                }
                for part in bytes.chunks(piece) {
                    incoming.write(part).unwrap();
                    assert!(!store.has(&id).unwrap());
                }
                assert_eq!(incoming.position(), size as u64);
                incoming.finish().unwrap();
                assert_eq!(store.get(&id).unwrap(), bytes);
                assert_eq!(store.used_bytes(), size as u64);
                assert_eq!(names(&dir.path().join("incoming")), [""; 0]);
            }
        }
    }
}

/// The group hashes of a lump as another store gives them.
fn hashes_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = store.put(bytes).unwrap();
    store.group_hashes(&id).unwrap().map(|hashes| hashes.to_vec())
}

#[test]
fn what_is_wrong_is_refused_and_leaves_nothing() {
    for size in [10, SMALL_MAX + 1, BIG] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let bytes = sample(4, size);
        let id = id_of(&bytes);
        let begin = || store.begin(id, size as u64).unwrap();

        let mut incoming = begin();
        let mut altered = bytes.clone();
        altered[size / 2] ^= 1;
        incoming.write(&altered).unwrap();
        match incoming.finish() {
            Err(PutError::Mismatch { wanted, found }) => assert_eq!((wanted, found), (id, id_of(&altered))),
            other => panic!("{other:?}"),
        }
        assert_nothing_of(&store, dir.path(), &id);

        let mut incoming = begin();
        incoming.write(&bytes[..size - 1]).unwrap();
        assert!(matches!(incoming.finish(), Err(PutError::Size { .. })));
        assert_nothing_of(&store, dir.path(), &id);

        let mut incoming = begin();
        incoming.write(&bytes[..size - 1]).unwrap();
        assert!(matches!(incoming.write(&bytes[..2]), Err(PutError::Size { .. })));
        drop(incoming);
        assert_nothing_of(&store, dir.path(), &id);

        begin().suspend();
        assert_nothing_of(&store, dir.path(), &id);
    }
}

#[test]
fn foreign_group_hashes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bytes = sample(5, BIG);
    let id = id_of(&bytes);
    let hashes = hashes_of(&bytes).unwrap();
    let mut altered = hashes.clone();
    altered[33] ^= 1;
    let longer = [&hashes[..], &hashes[..32]].concat();
    for wrong in [&[][..], &hashes[..hashes.len() - 32], &hashes[1..], &altered, &longer] {
        let mut incoming = store.begin(id, BIG as u64).unwrap();
        assert!(matches!(incoming.set_groups(wrong), Err(PutError::GroupHashes { .. })));
    }
    // The right hashes of a lump that is said to be larger: their number is wrong, or the end is.
    let mut incoming = store.begin(id, BIG as u64 + GROUP_BYTES as u64).unwrap();
    assert!(matches!(incoming.set_groups(&hashes), Err(PutError::GroupHashes { .. })));
    drop(incoming);
    let mut incoming = store.begin(id, BIG as u64 + 1).unwrap();
    incoming.set_groups(&hashes).unwrap();
    let last = BIG - BIG % GROUP_BYTES;
    incoming.write(&bytes[..last]).unwrap();
    let longer = [&bytes[last..], &[0]].concat();
    assert!(matches!(incoming.write(&longer), Err(PutError::Group { .. })));
    drop(incoming);
    // Small lumps have none, and it is too late once bytes have come.
    let mut incoming = store.begin(id_of(b"abc"), 3).unwrap();
    assert!(matches!(incoming.set_groups(&[0; 32]), Err(PutError::GroupHashes { .. })));
    drop(incoming);
    let mut incoming = store.begin(id, BIG as u64).unwrap();
    incoming.write(&bytes[..1]).unwrap();
    assert!(matches!(incoming.set_groups(&hashes), Err(PutError::GroupHashes { .. })));
    drop(incoming);
    assert_nothing_of(&store, dir.path(), &id);
}

#[test]
fn a_wrong_group_is_noticed_at_its_end_and_can_be_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bytes = sample(6, BIG);
    let id = id_of(&bytes);
    let hashes = hashes_of(&bytes).unwrap();
    let groups = BIG.div_ceil(GROUP_BYTES);
    let mut incoming = store.begin(id, BIG as u64).unwrap();
    incoming.set_groups(&hashes).unwrap();
    for group in 0..groups {
        let start = group * GROUP_BYTES;
        let end = (start + GROUP_BYTES).min(BIG);
        let mut altered = bytes[start..end].to_vec();
        altered[(end - start) / 2] ^= 0x80;
        // In two pieces: the second completes the group.
        let (first, second) = altered.split_at(100);
        incoming.write(first).unwrap();
        match incoming.write(second) {
            Err(PutError::Group { wanted, offset, len }) => {
                assert_eq!((wanted, offset, len), (id, start as u64, (end - start) as u64));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(incoming.position(), start as u64);
        incoming.write(&bytes[start..end]).unwrap();
    }
    incoming.finish().unwrap();
    assert_eq!(store.get(&id).unwrap(), bytes);
}

#[test]
fn a_cut_transfer_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = sample(7, BIG);
    let id = id_of(&bytes);
    let hashes = hashes_of(&bytes).unwrap();
    let mut store = open(dir.path());
    let mut position = 0;
    for (n, cut) in
        [5 * GROUP_BYTES + 77, 9 * GROUP_BYTES, 9 * GROUP_BYTES + 1, BIG - 1, BIG].iter().enumerate()
    {
        let mut incoming = store.begin(id, BIG as u64).unwrap();
        let from = incoming.set_groups(&hashes).unwrap();
        assert_eq!(from, position, "whole groups are kept, and the last comes again");
        incoming.write(&bytes[from as usize..*cut]).unwrap();
        incoming.suspend();
        assert!(matches!(store.get(&id), Err(GetError::NotFound(_))));
        assert_eq!(store.used_bytes(), *cut as u64, "what is kept counts");
        position = ((*cut).min(BIG - 1) / GROUP_BYTES * GROUP_BYTES) as u64;
        if n % 2 == 0 {
            drop(store);
            store = open(dir.path());
            assert_eq!(store.used_bytes(), *cut as u64);
        }
    }
    let mut incoming = store.begin(id, BIG as u64).unwrap();
    let from = incoming.set_groups(&hashes).unwrap() as usize;
    incoming.write(&bytes[from..]).unwrap();
    incoming.finish().unwrap();
    assert_eq!(store.get(&id).unwrap(), bytes);
    assert_eq!(store.used_bytes(), BIG as u64);
    assert_eq!(names(&dir.path().join("incoming")), [""; 0]);
}

#[test]
fn a_kept_part_that_was_altered_is_used_up_to_the_harm() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = sample(8, BIG);
    let id = id_of(&bytes);
    let hashes = hashes_of(&bytes).unwrap();
    let store = open(dir.path());
    let mut incoming = store.begin(id, BIG as u64).unwrap();
    incoming.set_groups(&hashes).unwrap();
    incoming.write(&bytes[..8 * GROUP_BYTES]).unwrap();
    incoming.suspend();
    flip(&dir.path().join(format!("incoming/{id}.part")), 3 * GROUP_BYTES + 3);
    let mut incoming = store.begin(id, BIG as u64).unwrap();
    assert_eq!(incoming.set_groups(&hashes).unwrap(), 3 * GROUP_BYTES as u64);
    // A second transfer of the same lump at the same time has nothing to do with the part.
    let mut second = store.begin(id, BIG as u64).unwrap();
    assert_eq!(second.set_groups(&hashes).unwrap(), 0);
    second.write(&bytes).unwrap();
    second.finish().unwrap();
    incoming.write(&bytes[3 * GROUP_BYTES..]).unwrap();
    incoming.finish().unwrap();
    assert_eq!(store.get(&id).unwrap(), bytes);
    assert_eq!(store.used_bytes(), BIG as u64);
    // Dropped, and not suspended: nothing is kept.
    let other = id_of(b"other");
    drop(store.begin(other, BIG as u64).unwrap());
    assert_eq!(names(&dir.path().join("incoming")), [""; 0]);
}

#[test]
fn kept_parts_give_way_to_lumps() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { max_bytes: Some(2 * BIG as u64), ..StoreOptions::default() };
    let store = Store::open(dir.path(), options).unwrap();
    let bytes = sample(9, BIG);
    let id = id_of(&bytes);
    let mut incoming = store.begin(id, BIG as u64).unwrap();
    incoming.set_groups(&hashes_of(&bytes).unwrap()).unwrap();
    incoming.write(&bytes[..BIG - 5]).unwrap();
    // While it comes in it keeps its room.
    assert!(matches!(store.put(&sample(10, BIG + 10)), Err(PutError::Quota { .. })));
    incoming.suspend();
    store.put(&sample(10, BIG + 10)).unwrap();
    assert_eq!(store.used_bytes(), BIG as u64 + 10);
    assert_eq!(names(&dir.path().join("incoming")), [""; 0]);
}
