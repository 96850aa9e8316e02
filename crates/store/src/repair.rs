// SPDX-License-Identifier: AGPL-3.0-or-later
//! Verifying everything, and building a new database out of a damaged one.
//!
//! Every small lump is named by its hash, so it can be told apart from garbage without the tree that leads to
//! it: the damaged file is searched page by page for the leaves of redb's tree, and what has the right hash
//! is taken over. This also finds lumps whose row was removed and whose page was not yet used again; the next
//! collection removes them again.

use crate::{
    DatabaseError, GetError, OpenError, RepairError, SMALL_MAX, Store, StoreOptions,
    database::{Database, Key, LUMPS, PIN_MARK, PINS, SIZES},
    layout::Layout,
    sys,
    writer::Op,
};
use hearth_abi::LumpId;
use redb::WriteTransaction;
use std::{
    collections::HashSet,
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Lumps that are as they should be.
    pub lumps: u64,
    /// Bytes of those lumps.
    pub bytes: u64,
    /// Lumps that were corrupt, and where their bytes lie now.
    pub corrupt: Vec<(LumpId, Option<PathBuf>)>,
    /// Lumps that could not be read, and why. They stay where they are.
    pub unreadable: Vec<(LumpId, GetError)>,
    /// Pinned lumps that are not here.
    pub pinned_missing: Vec<LumpId>,
}

/// What a repair did.
#[derive(Clone, Debug, Default)]
pub struct RepairReport {
    /// Where the damaged database lies now (where it should be, if it was lost); `None` if it was not damaged.
    pub damaged: Option<PathBuf>,
    /// Small lumps that were saved out of it.
    pub salvaged: u64,
    /// Pins that were saved out of it.
    pub pins: u64,
    /// What the check of everything found afterwards.
    pub check: CheckReport,
}

impl Store {
    /// Verifies everything that is stored, and moves what is corrupt aside.
    ///
    /// # Errors
    /// If the database fails.
    pub fn check(&self) -> Result<CheckReport, DatabaseError> {
        let mut report = CheckReport::default();
        self.shared().database.check()?;
        let mut after = None;
        loop {
            let page = self.list(after.as_ref(), 256)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for lump in &page {
                let id = lump.id;
                let size = match self.shared().files.size(&id) {
                    Some(_) => self.shared().files.verify(&id).map(|(size, _)| size),
                    None => self.get(&id).map(|bytes| bytes.len() as u64),
                };
                match size {
                    Ok(size) => {
                        report.lumps += 1;
                        report.bytes += size;
                        if size != lump.stat.size {
                            // Only the row that says its size is wrong.
                            self.ask(Op::Evict(id)).ok();
                        }
                    }
                    // Removed meanwhile.
                    Err(GetError::NotFound(_)) => {}
                    Err(GetError::Corrupt { id, moved_to }) => report.corrupt.push((id, moved_to)),
                    Err(GetError::Database(error)) => return Err(error),
                    Err(other) => report.unreadable.push((id, other)),
                }
            }
        }
        for id in self.pins()? {
            if !self.has(&id)? {
                report.pinned_missing.push(id);
            }
        }
        Ok(report)
    }

    /// Checks the store in `dir`, which must not be open. If its database is damaged, builds a new one from
    /// whatever of it has the right hash, and moves the damaged one aside. Then verifies everything.
    ///
    /// A pin or a lump that was removed shortly before the damage may come back.
    ///
    /// # Errors
    /// [`RepairError`]; the damaged file then still is where it was.
    pub fn repair(dir: &Path) -> Result<RepairReport, RepairError> {
        let mut report = RepairReport::default();
        let open = || {
            let layout = Layout::new(dir);
            let lock = layout.lock()?;
            Store::open_locked(layout, lock, StoreOptions::default())
        };
        let store = match open() {
            Err(OpenError::Damaged { .. }) => {
                rebuild(dir, &mut report)?;
                open()?
            }
            other => other?,
        };
        report.check = store.check()?;
        Ok(report)
    }
}

fn rebuild(dir: &Path, report: &mut RepairReport) -> Result<(), RepairError> {
    let layout = Layout::new(dir);
    let _lock = layout.lock()?;
    layout.make_folders()?;
    let path = layout.database();
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| RepairError::Io { path, source }
    };
    let damaged = match File::open(&path) {
        Ok(file) => Some(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(at(&path)(e)),
    };
    // The damaged file keeps its name until the new one takes it, so that a repair can be broken off.
    let new = dir.join("repaired.redb");
    let mut failure = None;
    let built = Database::create(&new, |txn| {
        if let Some(file) = &damaged
            && let Err(error) = salvage(file, txn, report, &mut failure)
        {
            return Err(error);
        }
        Ok(())
    });
    if let Some(error) = failure {
        return Err(at(&path)(error));
    }
    built?;
    report.damaged = Some(match damaged {
        Some(_) => {
            let aside = layout.link_aside(&path, "lumps.redb").map_err(at(&layout.corrupt()))?;
            sys::sync_dir(&layout.corrupt()).map_err(at(&aside))?;
            aside
        }
        None => path.clone(),
    });
    std::fs::rename(&new, &path).map_err(at(&path))?;
    sys::sync_dir(dir).map_err(at(dir))
}

/// Bytes of the smallest page of redb; every page begins at a multiple of it.
const PAGE_BYTES: usize = 4096;
/// What the first byte of a leaf is.
const LEAF: u8 = 1;
/// Bytes that are looked at for a leaf that begins in them: the largest lump, its key, and what is before.
const WINDOW_BYTES: usize = 2 * SMALL_MAX + PAGE_BYTES;

/// Copies everything that proves itself from a damaged database.
fn salvage(
    file: &File,
    txn: &WriteTransaction,
    report: &mut RepairReport,
    failure: &mut Option<io::Error>,
) -> Result<(), redb::Error> {
    let mut lumps = txn.open_table(LUMPS)?;
    let mut sizes = txn.open_table(SIZES)?;
    let mut pins = txn.open_table(PINS)?;
    let (mut found_lumps, mut found_pins) = (HashSet::new(), HashSet::new());
    let len = match file.metadata() {
        Ok(meta) => meta.len(),
        Err(error) => {
            *failure = Some(error);
            return Ok(());
        }
    };
    let mut window = vec![0; WINDOW_BYTES];
    for offset in (0..len).step_by(PAGE_BYTES) {
        let page = &mut window[..(len - offset).min(WINDOW_BYTES as u64) as usize];
        // Look at the first page alone before reading what may follow.
        let first = page.len().min(PAGE_BYTES);
        if sys::read_exact_at(file, &mut page[..first], offset).is_err() || page[0] != LEAF {
            // A page that cannot be read is lost; the next may be fine.
            continue;
        }
        let used = last_end(&page[..first]).clamp(first, page.len());
        let page = &mut page[..used];
        if sys::read_exact_at(file, &mut page[first..], offset + first as u64).is_err() {
            page[first..].fill(0);
        }
        for (key, value) in lump_rows(page) {
            if blake3::hash(value).as_bytes() == key && found_lumps.insert(*key) {
                lumps.insert(key, value)?;
                sizes.insert(key, value.len() as u32)?;
                report.salvaged += 1;
            }
        }
        for key in pin_rows(page) {
            if found_pins.insert(*key) {
                pins.insert(key, PIN_MARK)?;
                report.pins += 1;
            }
        }
    }
    Ok(())
}

/// Number of rows that a leaf claims to have, and its keys.
fn leaf_keys(page: &[u8], keys_start: usize, rows: usize) -> Option<&[Key]> {
    let keys = page.get(keys_start..keys_start.checked_add(rows.checked_mul(size_of::<Key>())?)?)?;
    Some(keys.as_chunks().0)
}

fn rows(page: &[u8]) -> usize {
    page.get(2..4).map_or(0, |n| usize::from(u16::from_le_bytes([n[0], n[1]])))
}

/// Where the last value of a leaf of the table of lumps ends.
fn last_end(page: &[u8]) -> usize {
    let rows = rows(page);
    let end = page.get(4 * rows..4 * rows + 4).filter(|_| rows > 0);
    end.map_or(0, |end| u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize)
}

/// The rows of a leaf of the table of lumps: kind, filler, number of rows; the end of each value; the keys;
/// the values. Of a page that is none, nonsense, which has no right hash.
fn lump_rows(page: &[u8]) -> Vec<(&Key, &[u8])> {
    let rows = rows(page);
    let Some(keys) = leaf_keys(page, 4 + 4 * rows, rows) else { return Vec::new() };
    let mut start = 4 + 4 * rows + rows * size_of::<Key>();
    let mut found = Vec::new();
    // The values of a real leaf do not overlap; those of garbage must not cost more than one.
    let mut budget = page.len();
    for (n, key) in keys.iter().enumerate() {
        let Some(end) = page.get(4 + 4 * n..8 + 4 * n) else { break };
        let end = u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize;
        // A wrong end spoils the row behind it too, and none beyond.
        if let Some(value) = page.get(start..end)
            && value.len() <= budget
        {
            budget -= value.len();
            found.push((key, value));
        }
        start = end;
    }
    found
}

/// The rows of a leaf of the table of pins: kind, filler, number of rows; the keys; a mark for each.
fn pin_rows(page: &[u8]) -> Vec<&Key> {
    let rows = rows(page);
    let Some(keys) = leaf_keys(page, 4, rows) else { return Vec::new() };
    let marks = 4 + rows * size_of::<Key>();
    let marked = |n: usize| page.get(marks + 8 * n..marks + 8 * (n + 1)) == Some(PIN_MARK);
    keys.iter().enumerate().filter(|(n, _)| marked(*n)).map(|(_, key)| key).collect()
}
