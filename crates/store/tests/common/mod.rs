// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the tests of the store share.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part, and fails by panicking")]

use hearth_store::{LumpId, Store, StoreOptions};
use std::{fs, io::Write, path::Path, path::PathBuf};

/// Bytes that look like nothing, and differ for each seed.
pub(crate) fn sample(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub(crate) fn id_of(bytes: &[u8]) -> LumpId {
    LumpId(*blake3::hash(bytes).as_bytes())
}

pub(crate) fn open(dir: &Path) -> Store {
    Store::open(dir, StoreOptions::default()).unwrap()
}

/// Where the file of a large lump lies, as docs/formats/store.md says.
pub(crate) fn file_of(dir: &Path, id: &LumpId) -> PathBuf {
    let name = id.to_string();
    dir.join("files").join(&name[..2]).join(name)
}

/// A folder in memory where the system has that, for tests of many stores to which syncs mean nothing.
pub(crate) fn quick_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_none| tempfile::tempdir()).unwrap()
}

pub(crate) fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// Names below a folder.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Says that a test did not run, past the test harness, which keeps output to itself.
pub(crate) fn not_run(why: &str) {
    writeln!(std::io::stderr().lock(), "\n*** NOT RUN: {why} ***\n").unwrap();
}
