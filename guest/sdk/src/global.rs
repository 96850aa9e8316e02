// SPDX-License-Identifier: AGPL-3.0-or-later
//! Names of processes in the whole space. The server keeps them. A name is free again when its process has ended,
//! or its peer is not to be reached any more. (Names on one peer: [`crate::process::register`].)

use crate::{Error, runtime::Pending, sys};
use hearth_abi::{Errno, ProcessId};

/// Gives this process a name in the space: 1 to 128 bytes.
///
/// # Errors
/// [`Errno::Taken`] if another process has it, [`Errno::Limit`] if this one has 64, [`Errno::NoPeer`] if the server is
/// not to be reached.
pub async fn register(name: &str) -> Result<(), Error> {
    Pending::ask(|tag| sys::global_register(name, tag))?.await.success().map(drop)
}

/// Takes one of this process's names in the space away.
///
/// # Errors
/// It has no such name, or the server is not to be reached.
pub async fn unregister(name: &str) -> Result<(), Error> {
    Pending::ask(|tag| sys::global_unregister(name, tag))?.await.success().map(drop)
}

/// The process of that name in the space, if there is one.
///
/// # Errors
/// The server is not to be reached.
pub async fn whereis(name: &str) -> Result<Option<ProcessId>, Error> {
    match Pending::ask(|tag| sys::global_whereis(name, tag))?.await.success() {
        Ok(answer) => Ok(ids(&answer.body).next()),
        Err(error) if error.errno == Errno::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The ids in an answer.
pub(crate) fn ids(bytes: &[u8]) -> impl Iterator<Item = ProcessId> {
    let (ids, _rest) = bytes.as_chunks();
    ids.iter().map(|id| ProcessId::from_bits(u64::from_le_bytes(*id)))
}
