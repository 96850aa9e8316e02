// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps: immutable bytes named by their hash. Assets: lumps that were loaded for a use.

use crate::{Error, runtime::Pending, sys};
use hearth_abi::{Errno, LumpId, PeerId};
use std::time::Duration;

/// Longest piece that one read gives: 1 MiB.
const PIECE_LEN_MAX: u32 = 1 << 20;

/// A lump; nothing but its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lump(pub LumpId);

fn millis(limit: Duration) -> u32 {
    // The contract's number is signed.
    u32::try_from(limit.as_millis()).unwrap_or(u32::MAX).min(i32::MAX as u32)
}

impl Lump {
    /// Makes a lump, without waiting until it is on disk. Its name is known at once, and may be used.
    ///
    /// # Errors
    /// The peer does not take it: it is too large, or the disk is full.
    pub fn put(bytes: &[u8]) -> Result<Lump, Errno> {
        let mut id = LumpId([0; 32]);
        sys::check(sys::lump_put(bytes, &mut id.0, 0))?;
        Ok(Lump(id))
    }

    /// Makes a lump, and waits until it would survive a loss of power.
    ///
    /// # Errors
    /// As [`Lump::put`].
    pub async fn store(bytes: &[u8]) -> Result<Lump, Error> {
        let mut id = LumpId([0; 32]);
        Pending::ask(|tag| sys::lump_put(bytes, &mut id.0, tag))?.await.success()?;
        Ok(Lump(id))
    }

    /// Makes a lump of a file of this machine.
    ///
    /// # Errors
    /// [`Errno::Permission`] if this process came from another peer; or the file cannot be read.
    pub async fn of_file(path: &str) -> Result<Lump, Error> {
        let answer = Pending::ask(|tag| sys::file_load(path, tag))?.await.success()?;
        let id = answer.body.try_into().map_err(|_short| Error::new(Errno::Host, "the reply holds no id"))?;
        Ok(Lump(LumpId(id)))
    }

    /// Its size in bytes, once it is on this peer; it is fetched from other peers when missing.
    ///
    /// # Errors
    /// [`Errno::TimedOut`] or [`Errno::NotFound`] if it cannot be had.
    pub async fn size(self, limit: Duration) -> Result<u64, Error> {
        let answer = Pending::ask(|tag| sys::lump_size(&self.0.0, millis(limit), tag))?.await.success()?;
        let size =
            answer.body.try_into().map_err(|_short| Error::new(Errno::Host, "the reply holds no size"))?;
        Ok(u64::from_le_bytes(size))
    }

    /// A part of its bytes, at most 1 MiB, shorter at its end.
    ///
    /// # Errors
    /// As [`Lump::size`].
    pub async fn read_at(self, offset: u64, len: u32, limit: Duration) -> Result<Vec<u8>, Error> {
        let len = len.min(PIECE_LEN_MAX);
        let request = Pending::ask(|tag| sys::lump_read(&self.0.0, offset, len, millis(limit), tag))?;
        Ok(request.await.success()?.body)
    }

    /// All its bytes, fetched from other peers when missing.
    ///
    /// # Errors
    /// As [`Lump::size`]; [`Errno::Limit`] if it is longer than `len_max`.
    pub async fn read(self, len_max: usize, limit: Duration) -> Result<Vec<u8>, Error> {
        let size = self.size(limit).await?;
        if size > len_max as u64 {
            return Err(Error::new(Errno::Limit, format!("the lump has {size} bytes")));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        while (bytes.len() as u64) < size {
            let piece = self.read_at(bytes.len() as u64, PIECE_LEN_MAX, limit).await?;
            if piece.is_empty() {
                return Err(Error::new(Errno::Host, "the lump ends before its size"));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Sends it to a peer, and waits until that peer has it.
    ///
    /// # Errors
    /// The peer is not connected, or the lump cannot be had.
    pub async fn push(self, peer: PeerId) -> Result<(), Error> {
        Pending::ask(|tag| sys::lump_push(&self.0.0, peer.number(), tag))?.await.success().map(drop)
    }
}

/// A lump that this peer has loaded for a class: `Mesh`, `Texture`, `Scene`, `Animation`, `Environment`, `Sound`, `Font`
/// or `WebAssembly`.
///
/// Entities load what they refer to by themselves; load an asset to have it ready before it is shown,
/// or to learn whether it is sound. Dropping this lets go of it.
#[derive(Debug)]
pub struct Asset {
    class: String,
    id: LumpId,
}

impl Asset {
    /// Loads a lump, fetched from other peers when missing.
    ///
    /// # Errors
    /// [`Errno::Malformed`], with the reason, if the lump is no such thing; [`Errno::Invalid`] for an
    /// unknown class; [`Errno::Unsupported`] if this peer has no use for it.
    pub async fn load(class: &str, id: LumpId) -> Result<Asset, Error> {
        Pending::ask(|tag| sys::asset_load(class, &id.0, tag))?.await.success()?;
        Ok(Asset { class: class.into(), id })
    }

    /// The lump.
    pub fn id(&self) -> LumpId {
        self.id
    }
}

impl Drop for Asset {
    fn drop(&mut self) {
        sys::asset_drop(&self.class, &self.id.0);
    }
}
