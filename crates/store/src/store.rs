// SPDX-License-Identifier: AGPL-3.0-or-later
//! The door of the store.

use crate::{DatabaseError, GetError, OpenError, PinError, PutError, RepairError};
use bytes::Bytes;
use hearth_abi::LumpId;
use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Lumps of up to this many bytes are rows of the database; larger ones are files.
pub const SMALL_MAX: usize = 64 << 10;
/// Bytes of a group, the unit in which a large lump can be checked by itself.
pub const GROUP_BYTES: usize = 64 << 10;
/// Lumps of this many bytes and more have their group hashes kept beside them.
pub const GROUPED_MIN: u64 = 1 << 20;
/// Most lumps that one call of [`Store::list`] gives.
pub const LIST_MAX: usize = 4096;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Most bytes that all lumps together may have, those on their way in included. `None`: as the disk has.
    pub max_bytes: Option<u64>,
    /// Most bytes of one lump.
    pub max_lump_bytes: u64,
    /// Bytes of memory in which the database keeps what it read.
    pub cache_bytes: usize,
    /// The folder that the hint of [`OpenError::Damaged`] names, if it is not the store's own: what the
    /// user gave as `--data`.
    pub data_dir: Option<PathBuf>,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions { max_bytes: None, max_lump_bytes: 64 << 30, cache_bytes: 32 << 20, data_dir: None }
    }
}

/// What is known of a lump without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is pinned.
    pub pinned: bool,
}

/// A lump in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The lump.
    pub id: LumpId,
    /// What is known of it.
    pub stat: Stat,
}

/// What a collection removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Number of lumps.
    pub lumps: u64,
    /// Bytes of those lumps.
    pub bytes: u64,
}

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
    /// Where the damaged database lies now; `None` if it was not damaged.
    pub damaged: Option<PathBuf>,
    /// Small lumps that were saved out of it.
    pub salvaged: u64,
    /// Pins that were saved out of it.
    pub pins: u64,
    /// What the check of everything found afterwards.
    pub check: CheckReport,
}

/// A lump store in a folder. Cheap to clone; all clones are the same store, which is closed when the last of
/// them and of its [`Incoming`] is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<()>,
}

impl Store {
    /// Opens the store in `dir`, or makes an empty one. Reads the whole database once to check it.
    ///
    /// # Errors
    /// [`OpenError::Locked`] if it is open elsewhere, [`OpenError::Damaged`] if the database is not sound.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Store, OpenError> {
        todo!()
    }

    /// Stores a lump, durably when it returns. Puts that run at the same time share a sync of the disk.
    ///
    /// # Errors
    /// Among others [`PutError::Full`] and [`PutError::Quota`].
    pub fn put(&self, bytes: &[u8]) -> Result<LumpId, PutError> {
        todo!()
    }

    /// Stores what a reader gives until its end, with memory that does not grow with it but for 32 bytes
    /// per 64 KiB. Gives the id and the size.
    ///
    /// # Errors
    /// As [`Store::put`]; [`PutError::Source`] if the reader fails.
    pub fn put_reader(&self, reader: &mut dyn Read) -> Result<(LumpId, u64), PutError> {
        todo!()
    }

    /// Begins to take in a lump of `size` bytes that must turn out to be `id`.
    ///
    /// # Errors
    /// [`PutError::TooLarge`], [`PutError::Quota`] or [`PutError::Full`] if there is no room for it.
    pub fn begin(&self, id: LumpId, size: u64) -> Result<Incoming, PutError> {
        todo!()
    }

    /// A whole lump, verified.
    ///
    /// # Errors
    /// [`GetError::NotFound`], [`GetError::Corrupt`].
    pub fn get(&self, id: &LumpId) -> Result<Bytes, GetError> {
        todo!()
    }

    /// `len` bytes of a lump from `offset`, verified.
    ///
    /// # Errors
    /// As [`Store::get`]; [`GetError::Range`] if the lump ends before.
    pub fn read(&self, id: &LumpId, offset: u64, len: usize) -> Result<Bytes, GetError> {
        todo!()
    }

    /// The hashes of the groups of a lump, 32 bytes each, for [`Incoming::set_groups`] on another peer.
    /// `None` if it is smaller than [`GROUPED_MIN`].
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn group_hashes(&self, id: &LumpId) -> Result<Option<Bytes>, GetError> {
        todo!()
    }

    /// Whether a lump is here.
    ///
    /// # Errors
    /// If the database fails.
    pub fn has(&self, id: &LumpId) -> Result<bool, DatabaseError> {
        todo!()
    }

    /// Size and pin of a lump; `None` if it is not here.
    ///
    /// # Errors
    /// If the database fails.
    pub fn stat(&self, id: &LumpId) -> Result<Option<Stat>, DatabaseError> {
        todo!()
    }

    /// The lumps in the order of their ids, from the first after `after`; at most `limit`, and at most
    /// [`LIST_MAX`]. An empty answer is the end.
    ///
    /// # Errors
    /// If the database fails.
    pub fn list(&self, after: Option<&LumpId>, limit: usize) -> Result<Vec<Listed>, DatabaseError> {
        todo!()
    }

    /// Bytes of all lumps, those on their way in included.
    pub fn used_bytes(&self) -> u64 {
        todo!()
    }

    /// Keeps a lump from being collected, durably when it returns. A second pin changes nothing.
    ///
    /// # Errors
    /// [`PinError::NotFound`] if it is not here.
    pub fn pin(&self, id: &LumpId) -> Result<(), PinError> {
        todo!()
    }

    /// Takes the pin off, durably when it returns. Gives whether there was one.
    ///
    /// # Errors
    /// If the database fails.
    pub fn unpin(&self, id: &LumpId) -> Result<bool, PinError> {
        todo!()
    }

    /// All pinned lumps in the order of their ids, also those that are missing because they were corrupt.
    ///
    /// # Errors
    /// If the database fails.
    pub fn pins(&self) -> Result<Vec<LumpId>, DatabaseError> {
        todo!()
    }

    /// Removes every lump that is neither pinned nor kept by `keep`. A lump that was stored since the call
    /// before this one is kept too: who stored it may not have had the time to refer to it.
    ///
    /// # Errors
    /// If the database fails; what was removed until then stays removed.
    pub fn remove_unreferenced(&self, keep: &dyn Fn(&LumpId) -> bool) -> Result<Removed, DatabaseError> {
        todo!()
    }

    /// Verifies everything that is stored, and moves what is corrupt aside.
    ///
    /// # Errors
    /// If the database fails.
    pub fn check(&self) -> Result<CheckReport, DatabaseError> {
        todo!()
    }

    /// Waits until everything that was begun before is on the disk. Since each put is durable when it
    /// returns, only puts of other threads are waited for.
    ///
    /// # Errors
    /// If the database fails.
    pub fn flush(&self) -> Result<(), DatabaseError> {
        todo!()
    }

    /// Checks the store in `dir`, which must not be open. If its database is damaged, builds a new one from
    /// whatever of it has the right hash, and moves the damaged one aside. Then verifies everything.
    ///
    /// # Errors
    /// [`RepairError`]; nothing has changed then, but for corrupt lumps that were moved aside.
    pub fn repair(dir: &Path) -> Result<RepairReport, RepairError> {
        todo!()
    }
}

/// A lump on its way in, in the order of its bytes. Nothing of it can be seen until [`Incoming::finish`]
/// returned `Ok`; if it is dropped before, nothing is left.
#[derive(Debug)]
pub struct Incoming {
    store: Store,
}

impl Incoming {
    /// Number of bytes that are here: where the sender goes on.
    pub fn position(&self) -> u64 {
        todo!()
    }

    /// Gives the group hashes as the sender's [`Store::group_hashes`] gave them. Every group is then checked
    /// as it arrives, and the transfer can be suspended. If part of this lump is still here from a transfer
    /// that was cut, it is taken over: the answer is the position from which the sender goes on.
    ///
    /// To be called before the first write.
    ///
    /// # Errors
    /// [`PutError::GroupHashes`] if they are not those of this lump.
    pub fn set_groups(&mut self, hashes: &[u8]) -> Result<u64, PutError> {
        todo!()
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`PutError::Size`] if more come than were announced, [`PutError::Group`] if a group is wrong.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), PutError> {
        todo!()
    }

    /// Checks the whole and makes it a lump of the store, durably when it returns.
    ///
    /// # Errors
    /// [`PutError::Mismatch`] or [`PutError::Size`] if it is not what was announced.
    pub fn finish(self) -> Result<(), PutError> {
        todo!()
    }

    /// Keeps what arrived for a later transfer of the same lump, if the group hashes are known; otherwise
    /// the same as dropping it.
    pub fn suspend(self) {
        todo!()
    }
}
