// SPDX-License-Identifier: AGPL-3.0-or-later
//! The lump store: immutable bytes named by their BLAKE3 hash, kept in one folder of one peer.
//!
//! A lump that was acknowledged (the call that stored it returned `Ok`) survives the loss of power; one that
//! was not leaves nothing behind. Nothing ever appears under a hash that it does not have, and what was
//! altered on the disk is reported as corrupt by its id, moved aside, and from then on missing, so that it
//! can be fetched again.
//!
//! How the parts fit:
//! - [`Store`] is the door. It decides by size where a lump lives.
//! - Lumps of up to [`SMALL_MAX`] bytes are rows of a redb database (`database`), written by one thread that
//!   puts whatever is waiting into one transaction (`writer`), so that concurrent puts share a sync.
//! - Larger ones are files (`files`), written aside and renamed. Those of [`GROUPED_MIN`] bytes and more have
//!   the hashes of their 64 KiB groups beside them (`groups`), so that a part can be read, and a transfer
//!   checked and resumed, without hashing the whole.
//! - [`Incoming`] is a lump on its way in from another peer.
//! - [`Store::repair`] builds a new database from a damaged one.
//!
//! ```
//! use hearth_store::{Store, StoreOptions};
//! # let dir = tempfile::tempdir()?;
//! # let (here, there) = (dir.path().join("here"), dir.path().join("there"));
//! let store = Store::open(&here, StoreOptions::default())?;
//! let id = store.put(b"a lump")?;
//! assert_eq!(store.get(&id)?, "a lump");
//!
//! // Another peer takes it in, knowing its id and size beforehand.
//! let other = Store::open(&there, StoreOptions::default())?;
//! let mut incoming = other.begin(id, 6)?;
//! incoming.write(b"a lu")?;
//! incoming.write(b"mp")?;
//! incoming.finish()?;
//! assert!(other.has(&id)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The layout on the disk is `docs/formats/store.md`. Calls wait for the disk; in async code they belong on
//! a thread for blocking work.
//!
//! This crate must know nothing of peers, processes, the network or Tokio.

mod database;
mod error;
mod files;
mod groups;
mod incoming;
mod layout;
mod repair;
mod store;
mod sys;
mod usage;
mod writer;

pub use error::{DatabaseError, GetError, OpenError, PinError, PutError, RepairError};
pub use hearth_abi::LumpId;
pub use incoming::Incoming;
pub use repair::{CheckReport, RepairReport};
pub use store::{GROUP_BYTES, GROUPED_MIN, LIST_MAX, Listed, Removed, SMALL_MAX, Stat, Store, StoreOptions};
