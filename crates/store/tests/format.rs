// SPDX-License-Identifier: AGPL-3.0-or-later
//! The folder of a store is as docs/formats/store.md says, seen with redb and the file system alone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{file_of, id_of, names, open, sample};
use hearth_store::{GROUP_BYTES, GROUPED_MIN, GetError, OpenError, SMALL_MAX, Store, StoreOptions};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use std::{collections::BTreeMap, fs, path::Path};

const LUMPS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("lumps");
const SIZES: TableDefinition<&[u8; 32], u32> = TableDefinition::new("sizes");
const PINS: TableDefinition<&[u8; 32], &[u8; 8]> = TableDefinition::new("pins");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

fn database(dir: &Path) -> Database {
    Database::open(dir.join("lumps.redb")).unwrap()
}

#[test]
fn a_store_looks_as_it_is_documented() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let small = [sample(1, 0), sample(2, 900), sample(3, SMALL_MAX)];
    let large = [sample(4, SMALL_MAX + 1), sample(5, GROUPED_MIN as usize + 1)];
    small.iter().chain(&large).for_each(|bytes| assert_eq!(store.put(bytes).unwrap(), id_of(bytes)));
    store.pin(&id_of(&small[1])).unwrap();
    store.pin(&id_of(&large[1])).unwrap();
    let lock = fs::read_to_string(dir.path().join("lock")).unwrap();
    assert_eq!(lock, format!("{}\n", std::process::id()));
    drop(store);

    assert_eq!(names(dir.path()), ["corrupt", "files", "incoming", "lock", "lumps.redb"]);
    for bytes in &large {
        assert_eq!(fs::read(file_of(dir.path(), &id_of(bytes))).unwrap(), *bytes);
    }
    let hashes: Vec<u8> = large[1]
        .chunks(GROUP_BYTES)
        .enumerate()
        .flat_map(|(n, group)| {
            use blake3::hazmat::HasherExt;
            blake3::Hasher::new().set_input_offset((n * GROUP_BYTES) as u64).update(group).finalize_non_root()
        })
        .collect();
    assert_eq!(fs::read(file_of(dir.path(), &id_of(&large[1])).with_extension("groups")).unwrap(), hashes);
    assert!(!file_of(dir.path(), &id_of(&large[0])).with_extension("groups").exists());

    let database = database(dir.path());
    let txn = database.begin_read().unwrap();
    assert_eq!(txn.list_tables().unwrap().count(), 4);
    let lumps: BTreeMap<[u8; 32], Vec<u8>> = txn
        .open_table(LUMPS)
        .unwrap()
        .iter()
        .unwrap()
        .map(|row| row.map(|(key, value)| (*key.value(), value.value().to_vec())).unwrap())
        .collect();
    assert_eq!(lumps, small.iter().map(|bytes| (id_of(bytes).0, bytes.clone())).collect());
    let sizes = txn.open_table(SIZES).unwrap();
    assert_eq!(sizes.len().unwrap(), 3);
    for bytes in &small {
        assert_eq!(sizes.get(&id_of(bytes).0).unwrap().unwrap().value() as usize, bytes.len());
    }
    let pins = txn.open_table(PINS).unwrap();
    assert_eq!(pins.len().unwrap(), 2);
    for bytes in [&small[1], &large[1]] {
        assert_eq!(pins.get(&id_of(bytes).0).unwrap().unwrap().value(), b"hearthpn");
    }
    let meta = txn.open_table(META).unwrap();
    assert_eq!(meta.len().unwrap(), 1);
    assert_eq!(meta.get("format").unwrap().unwrap().value(), 1);
}

#[test]
fn rows_that_are_not_what_their_key_says_are_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let lumps = [sample(1, 500), sample(2, 500), sample(3, 500), sample(4, 500)];
    lumps.iter().for_each(|bytes| assert_eq!(store.put(bytes).unwrap(), id_of(bytes)));
    let ids = lumps.each_ref().map(|bytes| id_of(bytes));
    drop(store);

    let txn = database(dir.path()).begin_write().unwrap();
    txn.open_table(LUMPS).unwrap().insert(&ids[0].0, &b"something else"[..]).unwrap();
    txn.open_table(LUMPS).unwrap().remove(&ids[1].0).unwrap();
    txn.open_table(SIZES).unwrap().insert(&ids[2].0, 7).unwrap();
    txn.open_table(LUMPS).unwrap().insert(&ids[3].0, &b""[..]).unwrap();
    txn.commit().unwrap();

    let store = open(dir.path());
    match store.get(&ids[0]) {
        Err(GetError::Corrupt { id, moved_to: Some(path) }) => {
            assert_eq!(id, ids[0]);
            assert_eq!(fs::read(path).unwrap(), b"something else");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(store.get(&ids[0]), Err(GetError::NotFound(_))));
    assert!(matches!(store.get(&ids[1]), Err(GetError::Corrupt { moved_to: None, .. })));
    assert!(matches!(store.get(&ids[1]), Err(GetError::NotFound(_))));
    let report = store.check().unwrap();
    assert_eq!(report.corrupt.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [ids[3]]);
    // Of the third only the size was wrong, and is no longer.
    assert_eq!(store.stat(&ids[2]).unwrap().unwrap().size, 500);
    assert_eq!(store.used_bytes(), 500);
    for bytes in &lumps {
        store.put(bytes).unwrap();
        assert_eq!(store.get(&id_of(bytes)).unwrap(), bytes);
    }
    assert_eq!(store.used_bytes(), 2000);
}

#[test]
fn a_put_of_a_row_that_is_wrong_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = sample(1, 500);
    let id = open(dir.path()).put(&bytes).unwrap();
    let txn = database(dir.path()).begin_write().unwrap();
    txn.open_table(LUMPS).unwrap().insert(&id.0, &b"something else"[..]).unwrap();
    txn.commit().unwrap();
    let store = open(dir.path());
    store.put(&bytes).unwrap();
    assert_eq!(store.get(&id).unwrap(), bytes);
}

#[test]
fn a_newer_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let txn = database(dir.path()).begin_write().unwrap();
    txn.open_table(META).unwrap().insert("format", 2).unwrap();
    txn.commit().unwrap();
    match Store::open(dir.path(), StoreOptions::default()) {
        Err(OpenError::Version { found: 2, known: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(Store::repair(dir.path()).is_err(), "a newer layout is not damage");
}
