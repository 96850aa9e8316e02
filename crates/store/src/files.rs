// SPDX-License-Identifier: AGPL-3.0-or-later
//! Large lumps: one file each, complete from the moment it has its name.

use crate::{
    GROUP_BYTES, GROUPED_MIN, GetError, PutError, SMALL_MAX,
    groups::{self, GroupHasher, HASH_BYTES},
    layout::{Layout, Temp},
    sys,
    usage::Usage,
};
use bytes::Bytes;
use hearth_abi::LumpId;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Most bytes of group hashes that are kept in memory: those of 16 GiB of lumps.
const HASHES_KEPT_BYTES: usize = 8 << 20;

#[derive(Debug)]
pub(crate) struct Files {
    layout: Arc<Layout>,
    usage: Arc<Usage>,
    /// Built from the names and sizes in the folder whenever the store is opened.
    index: RwLock<BTreeMap<LumpId, u64>>,
    /// Held while a name below `files/` is given or taken away.
    names: Mutex<()>,
    /// Group hashes that belong to their lumps, the last used at the back.
    hashes: Mutex<VecDeque<(LumpId, Bytes)>>,
}

pub(crate) fn put_io(layout: &Layout, path: &Path, wanted: u64, error: io::Error) -> PutError {
    if sys::is_full(&error) {
        PutError::Full { wanted, dir: layout.dir.clone() }
    } else {
        PutError::Io { path: path.to_owned(), source: Arc::new(error) }
    }
}

fn get_io(path: &Path, error: io::Error) -> GetError {
    GetError::Io { path: path.to_owned(), source: Arc::new(error) }
}

impl Files {
    /// Finds the files that are there.
    pub(crate) fn scan(layout: Arc<Layout>, usage: Arc<Usage>) -> Result<Files, (PathBuf, io::Error)> {
        let mut index = BTreeMap::new();
        let mut sum = 0;
        let root = layout.files();
        for shard in read_dir(&root)? {
            if !shard.is_dir() {
                tracing::warn!(path = %shard.display(), "what is this in the folder of lumps");
                continue;
            }
            let mut hashes_of = Vec::new();
            for path in read_dir(&shard)? {
                let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                let Some(id) = stem.parse().ok().filter(|id| path.starts_with(layout.shard(id))) else {
                    tracing::warn!(path = %path.display(), "what is this in the folder of lumps");
                    continue;
                };
                if path == layout.hashes(&id) {
                    hashes_of.push(id);
                } else if path == layout.file(&id) {
                    let size = fs::metadata(&path).map_err(|error| (path, error))?.len();
                    index.insert(id, size);
                    sum += size;
                }
            }
            for id in hashes_of.iter().filter(|id| !index.contains_key(id)) {
                // Its lump was moved or removed, and the program ended in between.
                let _ = fs::remove_file(layout.hashes(id));
            }
        }
        // Shards that a killed program made may not be on the disk yet.
        sys::sync_dir(&root).map_err(|error| (root, error))?;
        usage.files_changed(sum, 0);
        Ok(Files {
            layout,
            usage,
            index: RwLock::new(index),
            names: Mutex::default(),
            hashes: Mutex::default(),
        })
    }

    pub(crate) fn size(&self, id: &LumpId) -> Option<u64> {
        self.index.read().get(id).copied()
    }

    /// The first `limit` after `after`, in the order of the ids.
    pub(crate) fn list(&self, after: Option<&LumpId>, limit: usize) -> Vec<(LumpId, u64)> {
        let index = self.index.read();
        let start = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        index
            .range::<LumpId, _>((start, std::ops::Bound::Unbounded))
            .take(limit)
            .map(|(id, size)| (*id, *size))
            .collect()
    }

    /// Gives a file that was written aside its name. It is on the disk when this returns.
    ///
    /// One that has the name already is replaced: of the new one it is known that it is sound.
    pub(crate) fn adopt(&self, mut temp: Temp, id: LumpId, size: u64, hashes: &[u8]) -> Result<(), PutError> {
        let layout = &*self.layout;
        let path = layout.file(&id);
        let error = |path: &Path, error| put_io(layout, path, size, error);
        temp.file.sync_data().map_err(|e| error(&temp.path, e))?;
        let shard = layout.shard(&id);
        {
            let _names = self.names.lock();
            match fs::create_dir(&shard) {
                Ok(()) => sys::sync_dir(&layout.files()).map_err(|e| error(&shard, e))?,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(error(&shard, e)),
            }
            fs::rename(&temp.path, &path).map_err(|e| error(&path, e))?;
            temp.keep();
            let replaced = self.index.write().insert(id, size).unwrap_or(0);
            self.usage.files_changed(size, replaced);
        }
        if let Err(e) = sys::sync_dir(&shard) {
            // The name may not survive; so it must not be seen now either.
            self.forget(&id);
            return Err(error(&shard, e));
        }
        if size >= GROUPED_MIN {
            self.keep_hashes(id, Bytes::copy_from_slice(hashes));
        }
        Ok(())
    }

    /// Whether a lump is here and sound. One that is not sound is moved aside.
    pub(crate) fn is_sound(&self, id: &LumpId) -> Result<bool, GetError> {
        match self.verify(id) {
            Ok(_) => Ok(true),
            Err(GetError::NotFound(_) | GetError::Corrupt { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Reads a whole lump to check it. Gives its size and the hashes of its groups.
    pub(crate) fn verify(&self, id: &LumpId) -> Result<(u64, Vec<u8>), GetError> {
        let (mut file, size) = self.open(id)?;
        let path = self.layout.file(id);
        let mut hasher = GroupHasher::new();
        let mut buffer = vec![0; 4 * GROUP_BYTES];
        let mut left = size;
        while left > 0 {
            let want = left.min(buffer.len() as u64) as usize;
            match file.read(&mut buffer[..want]) {
                Ok(0) => return Err(self.set_aside(id, &file)),
                Ok(n) => {
                    hasher.update(&buffer[..n]);
                    left -= n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(get_io(&path, e)),
            }
        }
        let (found, hashes) = hasher.finish();
        if found == *id { Ok((size, hashes)) } else { Err(self.set_aside(id, &file)) }
    }

    /// A whole lump.
    pub(crate) fn get(&self, id: &LumpId) -> Result<Bytes, GetError> {
        let (mut file, size) = self.open(id)?;
        let path = self.layout.file(id);
        let mut bytes = Vec::new();
        usize::try_from(size)
            .ok()
            .and_then(|size| bytes.try_reserve_exact(size).ok())
            .ok_or_else(|| get_io(&path, io::ErrorKind::OutOfMemory.into()))?;
        (&mut file).take(size).read_to_end(&mut bytes).map_err(|e| get_io(&path, e))?;
        if *blake3::hash(&bytes).as_bytes() == id.0 {
            Ok(bytes.into())
        } else {
            Err(self.set_aside(id, &file))
        }
    }

    /// A part of a lump.
    pub(crate) fn read(&self, id: &LumpId, offset: u64, len: usize) -> Result<Bytes, GetError> {
        let outside = |size| GetError::Range { id: *id, size, offset, len: len as u64 };
        let within = |size| offset.checked_add(len as u64).filter(|end| *end <= size).ok_or(outside(size));
        let Some(hashes) = self.group_hashes(id)? else {
            let whole = self.get(id)?;
            let end = within(whole.len() as u64)?;
            return Ok(whole.slice(offset as usize..end as usize));
        };
        // Now the size is certain too: a file of another size has other hashes.
        let (file, size) = self.open(id)?;
        let range_end = within(size)?;
        let path = self.layout.file(id);
        let first = offset / GROUP_BYTES as u64;
        let start = first * GROUP_BYTES as u64;
        let end = range_end.next_multiple_of(GROUP_BYTES as u64).min(size);
        let mut bytes = vec![0; (end - start) as usize];
        sys::read_exact_at(&file, &mut bytes, start).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => self.set_aside(id, &file),
            _ => get_io(&path, e),
        })?;
        for (index, group) in (first as usize..).zip(bytes.chunks(GROUP_BYTES)) {
            let found = groups::hash_group((index * GROUP_BYTES) as u64, group);
            if hashes.get(index * HASH_BYTES..(index + 1) * HASH_BYTES) != Some(&found[..]) {
                return Err(self.set_aside(id, &file));
            }
        }
        let from = (offset - start) as usize;
        Ok(Bytes::from(bytes).slice(from..from + len))
    }

    /// The hashes of the groups of a lump, which are certain to be its own; `None` if it is too small to
    /// have them kept.
    pub(crate) fn group_hashes(&self, id: &LumpId) -> Result<Option<Bytes>, GetError> {
        let size = self.size(id).ok_or(GetError::NotFound(*id))?;
        if size < GROUPED_MIN {
            return Ok(None);
        }
        {
            let mut kept = self.hashes.lock();
            if let Some(at) = kept.iter().position(|(of, _)| of == id)
                && let Some(entry) = kept.remove(at)
            {
                let hashes = entry.1.clone();
                kept.push_back(entry);
                return Ok(Some(hashes));
            }
        }
        // The file of hashes is never synced: it is believed only if its root is the lump.
        let wanted = groups::count(size).saturating_mul(HASH_BYTES as u64);
        let path = self.layout.hashes(id);
        let stored = match fs::metadata(&path) {
            Ok(meta) if meta.len() == wanted => fs::read(&path).ok(),
            _ => None,
        };
        let hashes = match stored {
            Some(hashes) if hashes.len() as u64 == wanted && groups::root(&hashes) == Some(*id) => {
                hashes.into()
            }
            _ => {
                let (_, hashes) = self.verify(id)?;
                let hashes = Bytes::from(hashes);
                self.keep_hashes(*id, hashes.clone());
                hashes
            }
        };
        self.remember(*id, hashes.clone());
        Ok(Some(hashes))
    }

    /// Writes the hashes beside the lump. They can be had again, so that a failure is no error.
    fn keep_hashes(&self, id: LumpId, hashes: Bytes) {
        let written = Temp::create(&self.layout).and_then(|mut temp| {
            temp.file.write_all(&hashes)?;
            let _names = self.names.lock();
            if self.size(&id).is_some() {
                fs::rename(&temp.path, self.layout.hashes(&id))?;
                temp.keep();
            }
            Ok(())
        });
        if let Err(error) = written {
            tracing::debug!(lump = %id, %error, "the group hashes were not kept");
        }
        self.remember(id, hashes);
    }

    fn remember(&self, id: LumpId, hashes: Bytes) {
        let mut kept = self.hashes.lock();
        kept.retain(|(of, _)| *of != id);
        kept.push_back((id, hashes));
        let mut sum: usize = kept.iter().map(|(_, hashes)| hashes.len()).sum();
        while sum > HASHES_KEPT_BYTES
            && let Some((_, oldest)) = kept.pop_front()
        {
            sum -= oldest.len();
        }
    }

    /// Opens a lump's file; one of another size than it had is corrupt.
    fn open(&self, id: &LumpId) -> Result<(File, u64), GetError> {
        let size = self.size(id).ok_or(GetError::NotFound(*id))?;
        let path = self.layout.file(id);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let _names = self.names.lock();
                // Somebody may have stored it again meanwhile.
                if !path.exists() {
                    tracing::warn!(lump = %id, "the file of a lump has disappeared");
                    self.unindex(id);
                }
                return Err(GetError::NotFound(*id));
            }
            Err(e) => return Err(get_io(&path, e)),
        };
        let found = file.metadata().map_err(|e| get_io(&path, e))?;
        if found.is_file() && found.len() == size && size > SMALL_MAX as u64 {
            Ok((file, size))
        } else {
            Err(self.set_aside(id, &file))
        }
    }

    /// Moves a corrupt file out of the way, unless it is no longer the one that was read.
    fn set_aside(&self, id: &LumpId, read: &File) -> GetError {
        let path = self.layout.file(id);
        let _names = self.names.lock();
        let moved_to = match sys::is_same_file(read, &path) {
            Ok(true) => {
                let moved = self.layout.set_aside(&path, &id.to_string());
                if moved.is_none() {
                    let _ = fs::remove_file(&path);
                }
                let _ = fs::remove_file(self.layout.hashes(id));
                self.unindex(id);
                moved
            }
            _ => None,
        };
        tracing::error!(lump = %id, moved_to = ?moved_to, "a lump was corrupt");
        GetError::Corrupt { id: *id, moved_to }
    }

    /// Removes a lump. Gives its size if it was here.
    pub(crate) fn forget(&self, id: &LumpId) -> Option<u64> {
        let _names = self.names.lock();
        if let Err(error) = fs::remove_file(self.layout.file(id))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(lump = %id, %error, "a lump cannot be removed");
            return None;
        }
        let _ = fs::remove_file(self.layout.hashes(id));
        self.unindex(id)
    }

    fn unindex(&self, id: &LumpId) -> Option<u64> {
        let size = self.index.write().remove(id)?;
        self.usage.files_changed(0, size);
        Some(size)
    }
}

fn read_dir(dir: &Path) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(|error| (dir.to_owned(), error))
}
