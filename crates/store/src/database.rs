// SPDX-License-Identifier: AGPL-3.0-or-later
//! The database of small lumps and pins: opened, checked, and opened again when it failed.

use crate::{DatabaseError, sys};
use parking_lot::RwLock;
use redb::{Builder, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use std::{
    any::Any,
    error::Error,
    fmt, fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A lump id in a table.
pub(crate) type Key = [u8; 32];

/// The bytes of small lumps.
pub(crate) const LUMPS: TableDefinition<&Key, &[u8]> = TableDefinition::new("lumps");
/// Their sizes, so that a list need not read them.
pub(crate) const SIZES: TableDefinition<&Key, u32> = TableDefinition::new("sizes");
/// The pinned lumps of either kind. The value is always [`PIN_MARK`].
pub(crate) const PINS: TableDefinition<&Key, &[u8; 8]> = TableDefinition::new("pins");
/// Numbers about the store.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// What stands beside a pinned id. A repair knows the rows of this table by it.
pub(crate) const PIN_MARK: &[u8; 8] = b"hearthpn";
const FORMAT_KEY: &str = "format";
/// The version of the layout that this crate writes.
pub(crate) const FORMAT: u64 = 1;

type Cause = Arc<dyn Error + Send + Sync>;

/// A panic inside the database: what it does where its own pages make no sense.
#[derive(Debug)]
struct Panicked(String);

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it broke off: {}", self.0)
    }
}

impl Error for Panicked {}

fn panicked(payload: Box<dyn Any + Send>) -> Cause {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Arc::new(Panicked(text))
}

/// Runs code of the database, which panics on some damage.
fn guarded<T>(f: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Cause> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Arc::new(error)),
        Err(payload) => Err(panicked(payload)),
    }
}

fn cause_is_full(cause: &Cause) -> bool {
    matches!(cause.downcast_ref::<redb::Error>(), Some(redb::Error::Io(error)) if sys::is_full(error))
}

/// Why a write did not happen.
#[derive(Clone, Debug)]
pub(crate) enum WriteError {
    /// There is no room on the disk.
    Full,
    Database(DatabaseError),
}

#[derive(Debug)]
enum Slot {
    Open(redb::Database),
    /// It failed and could not be opened again; the next use tries.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    cache_bytes: usize,
    slot: RwLock<Slot>,
}

/// Why a database could not be opened.
pub(crate) enum OpenFailure {
    /// It says something of its content.
    Damaged(Cause),
    /// The system refused something; the content may be sound.
    Io(io::Error),
    Version(u64),
}

impl Database {
    /// Makes a new database under another name, fills it, and gives it its name when it is on the disk.
    pub(crate) fn create(
        path: &Path,
        fill: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), DatabaseError> {
        let new = path.with_extension("redb.new");
        let error = |source: Cause| DatabaseError { path: new.clone(), source };
        let io = |source: io::Error| error(Arc::new(source));
        match fs::remove_file(&new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io(e)),
            _ => {}
        }
        guarded(|| {
            let db = Builder::new().set_cache_size(16 << 20).create(&new)?;
            let txn = db.begin_write()?;
            txn.open_table(LUMPS)?;
            txn.open_table(SIZES)?;
            txn.open_table(PINS)?;
            txn.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
            fill(&txn)?;
            txn.commit()?;
            Ok(())
        })
        .map_err(error)?;
        fs::rename(&new, path).map_err(io)?;
        sys::sync_dir(path.parent().unwrap_or(Path::new("."))).map_err(io)
    }

    /// Opens a database and checks all of it.
    pub(crate) fn open(path: &Path, cache_bytes: usize) -> Result<Database, OpenFailure> {
        // The database would make a new one out of an empty file; `create` leaves no such file.
        match fs::metadata(path) {
            Ok(meta) if meta.len() == 0 => {
                return Err(OpenFailure::Damaged(Arc::new(io::Error::other("the file is empty"))));
            }
            Ok(_) => {}
            Err(error) => return Err(OpenFailure::Io(error)),
        }
        let db = match open_checked(path, cache_bytes) {
            // The check ends with a write; a full disk must not keep what is there from being read.
            Err(cause) if cause_is_full(&cause) => open_plain(path, cache_bytes),
            other => other,
        }
        .map_err(|cause| match cause.downcast_ref::<redb::Error>() {
            Some(redb::Error::Io(error)) if !says_damage(error) => {
                OpenFailure::Io(io::Error::new(error.kind(), error.to_string()))
            }
            Some(error @ redb::Error::DatabaseAlreadyOpen) => {
                OpenFailure::Io(io::Error::new(io::ErrorKind::ResourceBusy, error.to_string()))
            }
            _ => OpenFailure::Damaged(cause),
        })?;
        let version = guarded(|| {
            let txn = db.begin_read()?;
            // What a check of checksums cannot see: a table that is not there.
            txn.open_table(LUMPS)?;
            txn.open_table(SIZES)?;
            txn.open_table(PINS)?;
            Ok(txn.open_table(META)?.get(FORMAT_KEY)?.map(|value| value.value()))
        })
        .map_err(OpenFailure::Damaged)?;
        match version {
            Some(FORMAT) => {}
            Some(other) => return Err(OpenFailure::Version(other)),
            None => return Err(OpenFailure::Damaged(Arc::new(io::Error::other("it states no version")))),
        }
        Ok(Database { path: path.to_owned(), cache_bytes, slot: RwLock::new(Slot::Open(db)) })
    }

    pub(crate) fn error(&self, source: Cause) -> DatabaseError {
        DatabaseError { path: self.path.clone(), source }
    }

    pub(crate) fn read<T>(
        &self,
        f: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, DatabaseError> {
        self.reopen_if_closed()?;
        match &*self.slot.read() {
            Slot::Open(db) => guarded(|| f(&db.begin_read()?)).map_err(|cause| self.error(cause)),
            Slot::Closed => Err(self.error(Arc::new(io::Error::other("it is closed after a failure")))),
        }
    }

    /// Runs `f` in one transaction, which is on the disk when this returns. After an error it may be there
    /// too: what is known of the content must be counted anew.
    pub(crate) fn write<T>(
        &self,
        f: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, WriteError> {
        self.reopen_if_closed().map_err(WriteError::Database)?;
        let outcome = match &*self.slot.read() {
            Slot::Open(db) => guarded(|| {
                let txn = db.begin_write()?;
                let value = f(&txn)?;
                txn.commit()?;
                Ok(value)
            }),
            Slot::Closed => Err(Arc::new(io::Error::other("it is closed after a failure")) as Cause),
        };
        outcome.map_err(|cause| {
            // After a failed write the database answers nothing any more, not even reads.
            self.close();
            if let Err(error) = self.reopen_if_closed() {
                tracing::error!(%error, "the database of the lump store cannot be opened again");
            }
            if cause_is_full(&cause) { WriteError::Full } else { WriteError::Database(self.error(cause)) }
        })
    }

    /// Checks the checksums of all pages.
    pub(crate) fn check(&self) -> Result<(), DatabaseError> {
        self.reopen_if_closed()?;
        let outcome = match &mut *self.slot.write() {
            Slot::Open(db) => guarded(|| Ok(db.check_integrity()?)),
            Slot::Closed => return Ok(()),
        };
        outcome.map(|_sound_or_mended| ()).map_err(|cause| self.error(cause))
    }

    fn close(&self) {
        let slot = std::mem::replace(&mut *self.slot.write(), Slot::Closed);
        if let Err(payload) = catch_unwind(AssertUnwindSafe(move || drop(slot))) {
            tracing::warn!(cause = %panicked(payload), "closing the database failed");
        }
    }

    fn reopen_if_closed(&self) -> Result<(), DatabaseError> {
        if matches!(*self.slot.read(), Slot::Open(_)) {
            return Ok(());
        }
        let mut slot = self.slot.write();
        if matches!(*slot, Slot::Closed) {
            *slot = Slot::Open(open_plain(&self.path, self.cache_bytes).map_err(|cause| self.error(cause))?);
        }
        Ok(())
    }
}

/// Whether the database reports its content in this way, and not the system its trouble.
fn says_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn open_checked(path: &Path, cache_bytes: usize) -> Result<redb::Database, Cause> {
    guarded(|| {
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes).set_check_integrity_on_open(true);
        Ok(builder.open(path)?)
    })
}

fn open_plain(path: &Path, cache_bytes: usize) -> Result<redb::Database, Cause> {
    guarded(|| Ok(Builder::new().set_cache_size(cache_bytes).open(path)?))
}

/// Sum of the sizes of all small lumps.
pub(crate) fn small_bytes(txn: &ReadTransaction) -> Result<u64, redb::Error> {
    let mut sum = 0;
    for row in txn.open_table(SIZES)?.iter()? {
        sum += u64::from(row?.1.value());
    }
    Ok(sum)
}
