// SPDX-License-Identifier: AGPL-3.0-or-later
//! A lump on its way in: checked group by group if its group hashes are known, and whole at the end.

use crate::{
    GROUP_BYTES, GROUPED_MIN, PutError, SMALL_MAX, Store,
    files::put_io,
    groups::{self, GroupHasher, HASH_BYTES},
    layout::Temp,
    sys,
    usage::Reservation,
};
use bytes::Bytes;
use hearth_abi::LumpId;
use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

/// A lump on its way in, in the order of its bytes. Nothing of it can be seen until [`Incoming::finish`]
/// returned `Ok`; if it is dropped before, nothing is left.
#[derive(Debug)]
pub struct Incoming {
    store: Store,
    id: LumpId,
    size: u64,
    sink: Sink,
    room: Reservation,
}

#[derive(Debug)]
enum Sink {
    Small(Vec<u8>),
    File(Box<Download>),
}

#[derive(Debug)]
struct Download {
    temp: Temp,
    hasher: GroupHasher,
    /// The hashes that the groups must have, if they are known.
    wanted: Option<Bytes>,
    /// Holds the name under which this can be suspended.
    claim: Option<Claim>,
}

/// The right to the kept part of one lump; one transfer at a time has it.
#[derive(Debug)]
struct Claim {
    store: Store,
    id: LumpId,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.store.parts().lock().active.remove(&self.id);
    }
}

impl Incoming {
    pub(crate) fn begin(store: Store, id: LumpId, size: u64) -> Result<Incoming, PutError> {
        let room = store.make_room(size)?;
        let sink = if size <= SMALL_MAX as u64 {
            Sink::Small(Vec::new())
        } else {
            let layout = store.layout();
            let temp = Temp::create(layout).map_err(|e| put_io(layout, &layout.incoming(), size, e))?;
            let hasher = GroupHasher::new();
            Sink::File(Box::new(Download { temp, hasher, wanted: None, claim: None }))
        };
        Ok(Incoming { store, id, size, sink, room })
    }

    /// Number of bytes that are here: where the sender goes on.
    pub fn position(&self) -> u64 {
        match &self.sink {
            Sink::Small(bytes) => bytes.len() as u64,
            Sink::File(download) => download.hasher.position(),
        }
    }

    /// Gives the group hashes as the sender's [`Store::group_hashes`] gave them. Every group is then checked
    /// as it arrives, and the transfer can be suspended. If part of this lump is still here from a transfer
    /// that was cut, it is taken over: the answer is the position from which the sender goes on.
    ///
    /// To be called before the first write, for a lump of at least [`GROUPED_MIN`] bytes.
    ///
    /// # Errors
    /// [`PutError::GroupHashes`] if they are not those of this lump, or it is too late or too small for them.
    pub fn set_groups(&mut self, hashes: &[u8]) -> Result<u64, PutError> {
        let wrong = PutError::GroupHashes { wanted: self.id };
        let wanted_len = groups::count(self.size).checked_mul(HASH_BYTES as u64);
        let unwritten = self.position() == 0;
        let Sink::File(download) = &mut self.sink else { return Err(wrong) };
        if !unwritten
            || self.size < GROUPED_MIN
            || wanted_len != Some(hashes.len() as u64)
            || groups::root(hashes) != Some(self.id)
        {
            return Err(wrong);
        }
        let hashes = Bytes::copy_from_slice(hashes);
        download.wanted = Some(hashes.clone());
        let mut parts = self.store.parts().lock();
        if !parts.active.insert(self.id) {
            // Another transfer of this lump has the part. This one goes its own way from the beginning.
            return Ok(0);
        }
        // Its room is counted by this transfer from now on.
        parts.kept.remove(&self.id);
        drop(parts);
        download.claim = Some(Claim { store: self.store.clone(), id: self.id });
        let path = self.store.layout().part(&self.id);
        match take_over(path.clone(), self.size, &hashes) {
            Ok(Some((temp, hasher))) => {
                download.temp = temp;
                download.hasher = hasher;
            }
            Ok(None) => {
                let layout = self.store.layout();
                download.temp.rename(path.clone()).map_err(|e| put_io(layout, &path, 0, e))?;
            }
            Err(e) => return Err(put_io(self.store.layout(), &path, 0, e)),
        }
        Ok(self.position())
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`PutError::Size`] if more come than were announced. [`PutError::Group`] if a group is wrong: all of it
    /// is forgotten, and [`Incoming::position`] is where it begins, so that it can be sent again.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), PutError> {
        let found = self.position().saturating_add(bytes.len() as u64);
        if found > self.size {
            return Err(PutError::Size { wanted: self.id, size: self.size, found });
        }
        let download = match &mut self.sink {
            Sink::Small(small) => {
                small.extend_from_slice(bytes);
                return Ok(());
            }
            Sink::File(download) => download,
        };
        while !bytes.is_empty() {
            let step = match &download.wanted {
                // Not beyond the end of a group, so that it can be looked at before the next begins.
                Some(_) if download.hasher.room() > 0 => bytes.len().min(download.hasher.room()),
                Some(_) => bytes.len().min(GROUP_BYTES),
                None => bytes.len(),
            };
            let (now, later) = bytes.split_at(step);
            let start = download.hasher.position();
            if let Err(error) = download.temp.file.write_all(now) {
                // What of it was written does not count.
                let _ = cut(&mut download.temp.file, start);
                let layout = self.store.layout();
                return Err(put_io(layout, &download.temp.path, self.size - start, error));
            }
            download.hasher.update(now);
            bytes = later;
            let position = download.hasher.position();
            let complete = download.hasher.room() == 0 || position == self.size;
            if let Some(wanted) = download.wanted.as_ref().filter(|_| complete) {
                let offset = download.hasher.group_offset();
                let at = (offset / GROUP_BYTES as u64) as usize * HASH_BYTES;
                if wanted.get(at..at + HASH_BYTES) != Some(&download.hasher.group_hash()[..]) {
                    download.hasher.forget_group();
                    let path = &download.temp.path;
                    cut(&mut download.temp.file, offset)
                        .map_err(|e| put_io(self.store.layout(), path, 0, e))?;
                    return Err(PutError::Group { wanted: self.id, offset, len: position - offset });
                }
            }
        }
        Ok(())
    }

    /// Checks the whole and makes it a lump of the store, durably when it returns.
    ///
    /// # Errors
    /// [`PutError::Mismatch`] or [`PutError::Size`] if it is not what was announced.
    pub fn finish(self) -> Result<(), PutError> {
        let found = self.position();
        if found != self.size {
            return Err(PutError::Size { wanted: self.id, size: self.size, found });
        }
        let Incoming { store, id, size, sink, room } = self;
        let refuse = |found| PutError::Mismatch { wanted: id, found };
        match sink {
            Sink::Small(bytes) => {
                let found = LumpId(*blake3::hash(&bytes).as_bytes());
                if found != id {
                    return Err(refuse(found));
                }
                store.put_small(id, bytes.into(), room)
            }
            Sink::File(download) => {
                // In this order, so that the claim outlives the file.
                let Download { claim, temp, hasher, .. } = *download;
                let (found, hashes) = hasher.finish();
                if found != id {
                    return Err(refuse(found));
                }
                store.adopt(temp, id, size, &hashes)?;
                drop((room, claim));
                Ok(())
            }
        }
    }

    /// Keeps what arrived for a later transfer of the same lump, if the group hashes are known; otherwise
    /// the same as dropping it. It is kept over a restart too, for as long as the room is not needed.
    pub fn suspend(self) {
        let Incoming { store, id, sink, mut room, .. } = self;
        if let Sink::File(download) = sink
            && download.claim.is_some()
            && download.hasher.position() > 0
        {
            let Download { mut temp, hasher, claim, .. } = *download;
            temp.keep();
            room.shrink_to(hasher.position());
            store.parts().lock().keep(id, room);
            drop(claim);
        }
    }
}

/// Looks how much of a kept part is right, and cuts the rest off. `None` if there is no part.
fn take_over(path: PathBuf, size: u64, hashes: &[u8]) -> io::Result<Option<(Temp, GroupHasher)>> {
    let mut temp = match Temp::existing(path) {
        Ok(temp) => temp,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut buffer = Vec::with_capacity(GROUP_BYTES);
    let mut right = 0;
    let mut position = 0;
    while position < size {
        buffer.clear();
        let group = (size - position).min(GROUP_BYTES as u64);
        (&mut temp.file).take(group).read_to_end(&mut buffer)?;
        let wanted = hashes.get(right * HASH_BYTES..(right + 1) * HASH_BYTES);
        // The last group is left to come again, so that there is always something to finish with.
        if position + group == size
            || buffer.len() as u64 != group
            || wanted != Some(&groups::hash_group(position, &buffer)[..])
        {
            break;
        }
        right += 1;
        position += group;
    }
    cut(&mut temp.file, position)?;
    Ok(Some((temp, GroupHasher::resume(hashes[..right * HASH_BYTES].to_vec()))))
}

/// Cuts a file off at `position` and goes on writing there.
fn cut(file: &mut std::fs::File, position: u64) -> io::Result<()> {
    file.set_len(position)?;
    file.seek(SeekFrom::Start(position))?;
    Ok(())
}

/// Parts of lumps whose transfer was cut.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// Those that a transfer is filling.
    active: std::collections::HashSet<LumpId>,
    /// Those that wait, with the room that they take.
    kept: std::collections::HashMap<LumpId, Reservation>,
}

impl Parts {
    pub(crate) fn keep(&mut self, id: LumpId, room: Reservation) {
        self.kept.insert(id, room);
    }
}

impl Store {
    /// Keeps room for a lump. Parts of cut transfers give way.
    pub(crate) fn make_room(&self, size: u64) -> Result<Reservation, PutError> {
        let options = self.options();
        if size > options.max_lump_bytes {
            return Err(PutError::TooLarge { size, max: options.max_lump_bytes });
        }
        let room = match self.usage().reserve(size) {
            Err(PutError::Quota { .. }) if self.drop_parts() => self.usage().reserve(size)?,
            other => other?,
        };
        // The database has room of its own inside.
        let asks_disk = size > SMALL_MAX as u64;
        let full = || sys::free_bytes(&self.layout().dir).is_some_and(|free| free < size);
        if asks_disk && full() && (!self.drop_parts() || full()) {
            return Err(PutError::Full { wanted: size, dir: self.layout().dir.clone() });
        }
        Ok(room)
    }

    /// Removes the parts that no transfer is filling. Gives whether there were any.
    pub(crate) fn drop_parts(&self) -> bool {
        let mut parts = self.parts().lock();
        let kept = std::mem::take(&mut parts.kept);
        for id in kept.keys() {
            let _ = std::fs::remove_file(self.layout().part(id));
        }
        !kept.is_empty()
    }
}
