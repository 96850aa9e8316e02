// SPDX-License-Identifier: AGPL-3.0-or-later
//! Why an operation of the store failed: one enum per operation, with the cause kept.

use hearth_abi::LumpId;
use std::{error::Error, io, path::PathBuf, sync::Arc};

/// The database of small lumps and pins could not be used. Shared by all who waited for one transaction.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the database `{}` failed: {source}", path.display())]
pub struct DatabaseError {
    /// The file.
    pub path: PathBuf,
    /// What the database said.
    #[source]
    pub source: Arc<dyn Error + Send + Sync>,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another [`Store`](crate::Store) of this one, has the folder open.
    #[error("the store `{}` is in use{}", dir.display(), holder.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// The process that has it, if it said so.
        holder: Option<u32>,
    },
    /// The database is damaged. It holds lumps, so it is not thrown away: a person decides.
    #[error(
        "the database `{}` is damaged: {source}\n\nhint: run `hearth-server repair --data {}`, \
         which keeps what is readable and moves the damaged file aside",
        path.display(), data_dir.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The folder that the repair command takes.
        data_dir: PathBuf,
        /// What the database said.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The folder was written by a newer program.
    #[error("the store `{}` has format {found}, and this program knows up to {known}", dir.display())]
    Version {
        /// The folder.
        dir: PathBuf,
        /// The version it states.
        found: u64,
        /// The newest that is known here.
        known: u64,
    },
    /// The system refused an operation on a file.
    #[error("could not open the store: `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Why a lump was not stored. Nothing of it appears under its id; only if the database failed at its very end
/// ([`PutError::Full`], [`PutError::Database`]), a small lump may be there after all, and then whole.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The disk is full.
    #[error("the disk is full: no room for {wanted} bytes in `{}`", dir.display())]
    Full {
        /// Bytes that were wanted.
        wanted: u64,
        /// The folder of the store.
        dir: PathBuf,
    },
    /// The store's own limit is reached.
    #[error("the store is full: {used} of {max} bytes are used, and {wanted} more are wanted")]
    Quota {
        /// Bytes that were wanted.
        wanted: u64,
        /// Bytes of all lumps that are stored or on their way in.
        used: u64,
        /// The limit.
        max: u64,
    },
    /// The lump is larger than the store takes.
    #[error("a lump of {size} bytes is over the limit of {max}")]
    TooLarge {
        /// Its size, or what of it was read when the limit was passed.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// What came does not have the hash that was announced.
    #[error("the bytes that came for lump `{wanted}` have the hash `{found}`")]
    Mismatch {
        /// The id that was announced.
        wanted: LumpId,
        /// The hash of what came.
        found: LumpId,
    },
    /// The group hashes that came do not belong to the lump.
    #[error("the group hashes that came for lump `{wanted}` are not its own")]
    GroupHashes {
        /// The id that was announced.
        wanted: LumpId,
    },
    /// A group of what came does not have its hash.
    #[error("the bytes that came for lump `{wanted}` are wrong between {offset} and {}", offset + len)]
    Group {
        /// The id that was announced.
        wanted: LumpId,
        /// Where the group begins.
        offset: u64,
        /// Bytes of the group.
        len: u64,
    },
    /// More or fewer bytes came than were announced.
    #[error("{found} bytes came for lump `{wanted}`, and {size} were announced")]
    Size {
        /// The id that was announced.
        wanted: LumpId,
        /// Bytes that were announced.
        size: u64,
        /// Bytes that came.
        found: u64,
    },
    /// The reader that gave the bytes failed.
    #[error("could not read the bytes to store: {0}")]
    Source(#[source] Arc<io::Error>),
    /// The system refused an operation on a file.
    #[error("could not store a lump: `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why a lump was not given.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// It is not here.
    #[error("there is no lump `{0}` here")]
    NotFound(LumpId),
    /// What lay under its id had another hash. It was moved aside; the lump is now missing.
    #[error("lump `{id}` was corrupt{}", moved_to.as_ref().map(|to| format!(" and was moved to `{}`", to.display())).unwrap_or_default())]
    Corrupt {
        /// The lump.
        id: LumpId,
        /// Where the bytes lie now; `None` if somebody else moved them at the same time, or there was no room.
        moved_to: Option<PathBuf>,
    },
    /// The range reaches outside the lump.
    #[error("lump `{id}` has {size} bytes, and {len} from {offset} were wanted")]
    Range {
        /// The lump.
        id: LumpId,
        /// Its size in bytes.
        size: u64,
        /// First byte that was wanted.
        offset: u64,
        /// Bytes that were wanted.
        len: u64,
    },
    /// The system refused an operation on a file. Asking again may help.
    #[error("could not read a lump: `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why a lump was not pinned.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// It is not here. What is missing is fetched first and pinned then.
    #[error("there is no lump `{0}` here")]
    NotFound(LumpId),
    /// The disk is full.
    #[error("the disk is full: no room for a pin in `{}`", .0.display())]
    Full(PathBuf),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why a store could not be repaired. The damaged file is still where it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// It cannot be opened for another reason than damage.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The system refused an operation on a file.
    #[error("could not repair the store: `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The new database could not be written.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}
