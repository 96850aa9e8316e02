// SPDX-License-Identifier: AGPL-3.0-or-later
//! The door of the store.

use crate::{
    DatabaseError, GetError, Incoming, OpenError, PinError, PutError,
    database::{self, Database, LUMPS, OpenFailure, PINS, SIZES, WriteError},
    files::{Files, put_io},
    groups::GroupHasher,
    incoming::Parts,
    layout::{Layout, Lock, Temp},
    usage::{Reservation, Usage},
    writer::{Done, Op, Recent, Shared, Writer},
};
use bytes::Bytes;
use hearth_abi::LumpId;
use parking_lot::Mutex;
use redb::ReadableTable;
use std::{
    fs,
    io::{self, Read, Write},
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Lumps of up to this many bytes are rows of the database; larger ones are files.
pub const SMALL_MAX: usize = 64 << 10;
/// Bytes of a group, the unit in which a large lump can be checked by itself.
pub const GROUP_BYTES: usize = 64 << 10;
/// Lumps of this many bytes and more have their group hashes kept beside them.
pub const GROUPED_MIN: u64 = 1 << 20;
/// Most lumps that one call of [`Store::list`] gives.
pub const LIST_MAX: usize = 4096;

/// For how long a part of a cut transfer is kept over restarts.
const PART_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most lumps that a collection removes in one transaction.
const REMOVE_MAX: usize = 256;

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

/// A lump store in a folder. Cheap to clone; all clones are the same store, which is closed when the last of
/// them and of its [`Incoming`] is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

// The order matters: the writer ends first, and the lock is given back last.
#[derive(Debug)]
struct Inner {
    writer: Writer,
    shared: Arc<Shared>,
    parts: Mutex<Parts>,
    options: StoreOptions,
    _lock: Lock,
}

impl Store {
    /// Opens the store in `dir`, or makes an empty one. Reads the whole database once to check it.
    ///
    /// # Errors
    /// [`OpenError::Locked`] if it is open elsewhere, [`OpenError::Damaged`] if the database is not sound.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Store, OpenError> {
        let layout = Layout::new(dir);
        let lock = layout.lock()?;
        Store::open_locked(layout, lock, options)
    }

    pub(crate) fn open_locked(layout: Layout, lock: Lock, options: StoreOptions) -> Result<Store, OpenError> {
        let layout = Arc::new(layout);
        let path = layout.database();
        let damaged = |source| OpenError::Damaged {
            path: path.clone(),
            data_dir: options.data_dir.clone().unwrap_or_else(|| layout.dir.clone()),
            source,
        };
        let at = |path: &Path, source| OpenError::Io { path: path.to_owned(), source };
        if !path.try_exists().map_err(|e| at(&path, e))? {
            // The folder is made after the database: somebody took the database away.
            if layout.files().exists() {
                return Err(damaged(Arc::new(io::Error::from(io::ErrorKind::NotFound))));
            }
            Database::create(&path, |_| Ok(())).map_err(|e| at(&path, io::Error::other(e)))?;
        }
        layout.make_folders()?;
        let database = Database::open(&path, options.cache_bytes).map_err(|failure| match failure {
            OpenFailure::Damaged(source) => damaged(source),
            OpenFailure::Io(source) => at(&path, source),
            OpenFailure::Version(found) => {
                OpenError::Version { dir: layout.dir.clone(), found, known: database::FORMAT }
            }
        })?;
        let usage = Usage::new(options.max_bytes);
        usage.set_small(database.read(database::small_bytes).map_err(|error| damaged(error.source))?);
        let files = Files::scan(layout.clone(), usage.clone()).map_err(|(path, e)| at(&path, e))?;
        let parts = find_parts(&layout, &usage).map_err(|e| at(&layout.incoming(), e))?;
        let recent = Mutex::new(Recent::default());
        let shared = Arc::new(Shared { layout, database, files, usage, recent });
        let writer = Writer::start(shared.clone()).map_err(|e| at(&path, e))?;
        let inner = Inner { writer, shared, parts: Mutex::new(parts), options, _lock: lock };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// Stores a lump, durably when it returns. Puts that run at the same time share a sync of the disk.
    ///
    /// # Errors
    /// Among others [`PutError::Full`] and [`PutError::Quota`].
    pub fn put(&self, bytes: &[u8]) -> Result<LumpId, PutError> {
        let shared = self.shared();
        let id = LumpId(*blake3::hash(bytes).as_bytes());
        if bytes.len() <= SMALL_MAX {
            shared.recent.lock().insert(id);
            if self.small(&id)?.is_some_and(|here| here == bytes) {
                return Ok(id);
            }
            let room = self.make_room(bytes.len() as u64)?;
            self.put_small(id, Bytes::copy_from_slice(bytes), room)?;
            return Ok(id);
        }
        shared.recent.lock().insert(id);
        // What is here already is only as good as it still is.
        if shared.files.is_sound(&id).unwrap_or(false) {
            return Ok(id);
        }
        let mut incoming = Incoming::begin(self.clone(), id, bytes.len() as u64)?;
        incoming.write(bytes)?;
        incoming.finish()?;
        Ok(id)
    }

    /// Stores what a reader gives until its end, with memory that does not grow with it but for 32 bytes
    /// per 64 KiB. Gives the id and the size.
    ///
    /// # Errors
    /// As [`Store::put`]; [`PutError::Source`] if the reader fails.
    pub fn put_reader(&self, reader: &mut dyn Read) -> Result<(LumpId, u64), PutError> {
        let layout = &*self.shared().layout;
        let mut buffer = vec![0; 4 * GROUP_BYTES];
        let mut filled = fill(reader, &mut buffer)?;
        if filled <= SMALL_MAX {
            return Ok((self.put(&buffer[..filled])?, filled as u64));
        }
        let mut room = self.make_room(0)?;
        let mut temp = Temp::create(layout).map_err(|e| put_io(layout, &layout.incoming(), 0, e))?;
        let mut hasher = GroupHasher::new();
        while filled > 0 {
            let size = hasher.position() + filled as u64;
            if size > self.options().max_lump_bytes {
                return Err(PutError::TooLarge { size, max: self.options().max_lump_bytes });
            }
            match room.grow(filled as u64) {
                Err(PutError::Quota { .. }) if self.drop_parts() => room.grow(filled as u64)?,
                other => other?,
            }
            temp.file
                .write_all(&buffer[..filled])
                .map_err(|e| put_io(layout, &temp.path, filled as u64, e))?;
            hasher.update(&buffer[..filled]);
            filled = fill(reader, &mut buffer)?;
        }
        let size = hasher.position();
        let (id, hashes) = hasher.finish();
        self.adopt(temp, id, size, &hashes)?;
        Ok((id, size))
    }

    /// Begins to take in a lump of `size` bytes that must turn out to be `id`.
    ///
    /// # Errors
    /// [`PutError::TooLarge`], [`PutError::Quota`] or [`PutError::Full`] if there is no room for it.
    pub fn begin(&self, id: LumpId, size: u64) -> Result<Incoming, PutError> {
        Incoming::begin(self.clone(), id, size)
    }

    /// A whole lump, verified.
    ///
    /// # Errors
    /// [`GetError::NotFound`], [`GetError::Corrupt`].
    pub fn get(&self, id: &LumpId) -> Result<Bytes, GetError> {
        if self.shared().files.size(id).is_some() {
            return self.shared().files.get(id);
        }
        match self.small(id)? {
            Some(bytes) if blake3::hash(&bytes).as_bytes() == &id.0 => Ok(bytes),
            None if !self.has(id)? => Err(GetError::NotFound(*id)),
            _ => {
                let done = self.ask(Op::Evict(*id)).unwrap_or_default();
                tracing::error!(lump = %id, moved_to = ?done.moved_to, "a lump was corrupt");
                Err(GetError::Corrupt { id: *id, moved_to: done.moved_to })
            }
        }
    }

    /// `len` bytes of a lump from `offset`, verified. Of a lump of [`GROUPED_MIN`] bytes and more only the
    /// groups around them are read; of a smaller one, the whole.
    ///
    /// # Errors
    /// As [`Store::get`]; [`GetError::Range`] if the lump ends before.
    pub fn read(&self, id: &LumpId, offset: u64, len: usize) -> Result<Bytes, GetError> {
        if self.shared().files.size(id).is_some() {
            return self.shared().files.read(id, offset, len);
        }
        let whole = self.get(id)?;
        let size = whole.len() as u64;
        match offset.checked_add(len as u64) {
            Some(end) if end <= size => Ok(whole.slice(offset as usize..end as usize)),
            _ => Err(GetError::Range { id: *id, size, offset, len: len as u64 }),
        }
    }

    /// The hashes of the groups of a lump, 32 bytes each, for [`Incoming::set_groups`] on another peer.
    /// `None` if it is smaller than [`GROUPED_MIN`].
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn group_hashes(&self, id: &LumpId) -> Result<Option<Bytes>, GetError> {
        match self.shared().files.group_hashes(id) {
            Err(GetError::NotFound(_)) if self.has(id)? => Ok(None),
            other => other,
        }
    }

    /// Whether a lump is here.
    ///
    /// # Errors
    /// If the database fails.
    pub fn has(&self, id: &LumpId) -> Result<bool, DatabaseError> {
        if self.shared().files.size(id).is_some() {
            return Ok(true);
        }
        self.shared().database.read(|txn| Ok(txn.open_table(SIZES)?.get(&id.0)?.is_some()))
    }

    /// Size and pin of a lump; `None` if it is not here. Says nothing of whether it is sound: of a file that
    /// was cut, this is the size that is left.
    ///
    /// # Errors
    /// If the database fails.
    pub fn stat(&self, id: &LumpId) -> Result<Option<Stat>, DatabaseError> {
        let file = self.shared().files.size(id);
        self.shared().database.read(|txn| {
            let small = match file {
                Some(_) => None,
                None => txn.open_table(SIZES)?.get(&id.0)?.map(|row| u64::from(row.value())),
            };
            let Some(size) = file.or(small) else { return Ok(None) };
            Ok(Some(Stat { size, pinned: txn.open_table(PINS)?.get(&id.0)?.is_some() }))
        })
    }

    /// The lumps in the order of their ids, from the first after `after`; at most `limit`, and at most
    /// [`LIST_MAX`]. An empty answer is the end.
    ///
    /// # Errors
    /// If the database fails.
    pub fn list(&self, after: Option<&LumpId>, limit: usize) -> Result<Vec<Listed>, DatabaseError> {
        let limit = limit.min(LIST_MAX);
        let mut found = self.shared().files.list(after, limit);
        self.shared().database.read(|txn| {
            let start = after.map_or(Bound::Unbounded, |id| Bound::Excluded(&id.0));
            let sizes = txn.open_table(SIZES)?;
            for row in sizes.range::<&database::Key>((start, Bound::Unbounded))?.take(limit) {
                let (key, size) = row?;
                found.push((LumpId(*key.value()), u64::from(size.value())));
            }
            found.sort_unstable_by_key(|(id, _)| *id);
            found.truncate(limit);
            let pins = txn.open_table(PINS)?;
            let listed = |(id, size): (LumpId, u64)| {
                let pinned = pins.get(&id.0)?.is_some();
                Ok(Listed { id, stat: Stat { size, pinned } })
            };
            found.into_iter().map(listed).collect()
        })
    }

    /// Bytes of all lumps, those on their way in and the parts of cut transfers included.
    pub fn used_bytes(&self) -> u64 {
        self.usage().used()
    }

    /// Keeps a lump from being collected, durably when it returns. A second pin changes nothing.
    ///
    /// # Errors
    /// [`PinError::NotFound`] if it is not here.
    pub fn pin(&self, id: &LumpId) -> Result<(), PinError> {
        let done = self.ask(Op::Pin(*id)).map_err(|error| self.pin_error(error))?;
        if done.found { Ok(()) } else { Err(PinError::NotFound(*id)) }
    }

    /// Takes the pin off, durably when it returns. Gives whether there was one.
    ///
    /// # Errors
    /// [`PinError::Full`], or if the database fails.
    pub fn unpin(&self, id: &LumpId) -> Result<bool, PinError> {
        Ok(self.ask(Op::Unpin(*id)).map_err(|error| self.pin_error(error))?.found)
    }

    /// All pinned lumps in the order of their ids, also those that are missing because they were corrupt.
    ///
    /// # Errors
    /// If the database fails.
    pub fn pins(&self) -> Result<Vec<LumpId>, DatabaseError> {
        self.shared().database.read(|txn| {
            let pins = txn.open_table(PINS)?;
            pins.iter()?.map(|row| Ok(LumpId(*row?.0.value()))).collect()
        })
    }

    /// Removes every lump that is neither pinned nor kept by `keep`. A lump that was stored since the call
    /// before this one is kept too: who stored it may not have had the time to refer to it.
    ///
    /// `keep` is called once for each lump that may go, without a lock held.
    ///
    /// # Errors
    /// If the database fails; what was removed until then stays removed.
    pub fn remove_unreferenced(&self, keep: &dyn Fn(&LumpId) -> bool) -> Result<Removed, DatabaseError> {
        self.shared().recent.lock().turn();
        let mut removed = Removed::default();
        let mut after = None;
        loop {
            let page = self.list(after.as_ref(), REMOVE_MAX)?;
            let Some(last) = page.last() else { return Ok(removed) };
            after = Some(last.id);
            let doomed: Vec<LumpId> =
                page.iter().filter(|lump| !lump.stat.pinned && !keep(&lump.id)).map(|lump| lump.id).collect();
            if doomed.is_empty() {
                continue;
            }
            let done = self.ask(Op::Remove(doomed)).map_err(|error| self.database_error(error))?;
            removed.lumps += done.removed_lumps;
            removed.bytes += done.removed_bytes;
        }
    }

    /// Waits until every put and pin that was begun before is on the disk. Since each is durable when it
    /// returns, only those of other threads are waited for.
    ///
    /// # Errors
    /// If the database fails.
    pub fn flush(&self) -> Result<(), DatabaseError> {
        self.ask(Op::Flush).map(drop).map_err(|error| self.database_error(error))
    }

    /// The bytes of a small lump as they are.
    pub(crate) fn small(&self, id: &LumpId) -> Result<Option<Bytes>, DatabaseError> {
        self.shared().database.read(|txn| {
            let row = txn.open_table(LUMPS)?.get(&id.0)?;
            Ok(row.map(|row| Bytes::copy_from_slice(row.value())))
        })
    }

    /// Stores a small lump whose hash is known.
    pub(crate) fn put_small(&self, id: LumpId, bytes: Bytes, room: Reservation) -> Result<(), PutError> {
        self.shared().recent.lock().insert(id);
        let wanted = bytes.len() as u64;
        self.ask(Op::Put { id, bytes }).map_err(|error| match error {
            WriteError::Full => PutError::Full { wanted, dir: self.layout().dir.clone() },
            WriteError::Database(error) => error.into(),
        })?;
        drop(room);
        Ok(())
    }

    /// Stores a large lump that lies in a file and whose hash is known.
    pub(crate) fn adopt(&self, temp: Temp, id: LumpId, size: u64, hashes: &[u8]) -> Result<(), PutError> {
        self.shared().recent.lock().insert(id);
        self.shared().files.adopt(temp, id, size, hashes)
    }

    pub(crate) fn ask(&self, op: Op) -> Result<Done, WriteError> {
        self.inner.writer.ask(self.shared(), op)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.inner.shared.layout
    }

    pub(crate) fn usage(&self) -> &Arc<Usage> {
        &self.inner.shared.usage
    }

    pub(crate) fn options(&self) -> &StoreOptions {
        &self.inner.options
    }

    pub(crate) fn parts(&self) -> &Mutex<Parts> {
        &self.inner.parts
    }

    fn database_error(&self, error: WriteError) -> DatabaseError {
        match error {
            WriteError::Full => {
                let full = io::Error::from(io::ErrorKind::StorageFull);
                self.shared().database.error(Arc::new(full))
            }
            WriteError::Database(error) => error,
        }
    }

    fn pin_error(&self, error: WriteError) -> PinError {
        match error {
            WriteError::Full => PinError::Full(self.layout().dir.clone()),
            WriteError::Database(error) => error.into(),
        }
    }
}

/// Reads until the buffer is full or the reader at its end.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, PutError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            // A reader that says it gave more than there was room for is as broken as one that fails.
            Ok(n) if n > buffer.len() - filled => {
                return Err(PutError::Source(Arc::new(io::ErrorKind::InvalidData.into())));
            }
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(PutError::Source(Arc::new(e))),
        }
    }
    Ok(filled)
}

/// Removes what a process that ended left below `incoming/`, but for parts that a transfer can go on from.
fn find_parts(layout: &Layout, usage: &Arc<Usage>) -> io::Result<Parts> {
    let mut parts = Parts::default();
    for entry in fs::read_dir(layout.incoming())? {
        let path = entry?.path();
        let meta = fs::metadata(&path)?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let id = stem.parse().ok().filter(|id| path == layout.part(id));
        // A clock that went back makes no part old.
        let age = meta.modified()?.elapsed().unwrap_or_default();
        match id {
            Some(id) if age < PART_KEPT => parts.keep(id, usage.reserve_existing(meta.len())),
            _ => fs::remove_file(&path)?,
        }
    }
    Ok(parts)
}
