// SPDX-License-Identifier: AGPL-3.0-or-later
//! Names of files and folders of a store, and the files that have no lasting name yet.

use crate::{OpenError, sys};
use hearth_abi::LumpId;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

/// Most corrupt files that are kept for a person to look at; beyond, the oldest is removed.
const CORRUPT_KEPT: usize = 64;

#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) dir: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: &Path) -> Layout {
        Layout { dir: dir.to_owned() }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.dir.join("lumps.redb")
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.dir.join("files")
    }

    pub(crate) fn incoming(&self) -> PathBuf {
        self.dir.join("incoming")
    }

    pub(crate) fn corrupt(&self) -> PathBuf {
        self.dir.join("corrupt")
    }

    pub(crate) fn shard(&self, id: &LumpId) -> PathBuf {
        self.files().join(format!("{:02x}", id.0[0]))
    }

    pub(crate) fn file(&self, id: &LumpId) -> PathBuf {
        self.shard(id).join(id.to_string())
    }

    pub(crate) fn hashes(&self, id: &LumpId) -> PathBuf {
        self.shard(id).join(format!("{id}.groups"))
    }

    pub(crate) fn part(&self, id: &LumpId) -> PathBuf {
        self.incoming().join(format!("{id}.part"))
    }

    /// Makes the folder, and takes it for this process alone.
    pub(crate) fn lock(&self) -> Result<Lock, OpenError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        let missing: Vec<&Path> = self.dir.ancestors().take_while(|dir| !dir.exists()).collect();
        fs::create_dir_all(&self.dir).map_err(io(&self.dir))?;
        for parent in missing.iter().filter_map(|dir| dir.parent()) {
            // The parent of a relative name of one part is written as nothing.
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            sys::sync_dir(parent).map_err(io(parent))?;
        }
        let path = self.dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.take(20).read_to_string(&mut text);
                return Err(OpenError::Locked { dir: self.dir.clone(), holder: text.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(io(&path)(error)),
        }
        // The number only helps a person to find the holder: no harm if the disk is full.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Lock { file })
    }

    /// Makes the folders in the store that are missing.
    pub(crate) fn make_folders(&self) -> Result<(), OpenError> {
        for dir in [self.files(), self.incoming(), self.corrupt()] {
            match fs::create_dir(&dir) {
                Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(OpenError::Io { path: dir, source });
                }
                _ => {}
            }
        }
        sys::sync_dir(&self.dir).map_err(|source| OpenError::Io { path: self.dir.clone(), source })
    }

    /// Moves a file to the corrupt ones, under a name that is free. `None` if that is not possible.
    pub(crate) fn set_aside(&self, path: &Path, name: &str) -> Option<PathBuf> {
        let to = self.corrupt_name(name)?;
        fs::rename(path, &to).ok()?;
        Some(to)
    }

    /// Gives a file a second name among the corrupt ones; where there are no second names, its only one.
    pub(crate) fn link_aside(&self, path: &Path, name: &str) -> io::Result<PathBuf> {
        let to = self.corrupt_name(name).ok_or(io::ErrorKind::NotFound)?;
        fs::hard_link(path, &to).or_else(|_none| fs::rename(path, &to))?;
        Ok(to)
    }

    /// Writes bytes that were corrupt to a file among the corrupt ones.
    pub(crate) fn write_aside(&self, bytes: &[u8], name: &str) -> Option<PathBuf> {
        let to = self.corrupt_name(name)?;
        fs::write(&to, bytes).ok()?;
        Some(to)
    }

    fn corrupt_name(&self, name: &str) -> Option<PathBuf> {
        let dir = self.corrupt();
        let mut kept: Vec<(SystemTime, PathBuf)> = fs::read_dir(&dir)
            .ok()?
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                // Damaged databases are left to their owner.
                let lump = path.file_name()?.to_str()?.get(..64)?.parse::<LumpId>().is_ok();
                lump.then_some((fs::metadata(&path).ok()?.modified().ok()?, path))
            })
            .collect();
        kept.sort();
        let surplus = (kept.len() + 1).saturating_sub(CORRUPT_KEPT);
        for (_, path) in kept.iter().take(surplus) {
            let _ = fs::remove_file(path);
        }
        (0..u32::MAX)
            .map(|n| if n == 0 { dir.join(name) } else { dir.join(format!("{name}.{n}")) })
            .find(|path| !path.exists())
    }
}

/// Holds the folder for this process; gone when it is dropped, or the process ends in any way.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing the file is not enough: a program that this process is starting has it open too, until it runs.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// A file below `incoming/` that is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Temp {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    kept: bool,
}

impl Temp {
    pub(crate) fn create(layout: &Layout) -> io::Result<Temp> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        // The folder is this process's alone, and opening the store removes what another one left.
        let name = format!("{}.tmp", SERIAL.fetch_add(1, Ordering::Relaxed));
        let path = layout.incoming().join(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        Ok(Temp { file, path, kept: false })
    }

    /// Takes over a file that is there.
    pub(crate) fn existing(path: PathBuf) -> io::Result<Temp> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        Ok(Temp { file, path, kept: false })
    }

    /// Gives it another name, under which it is removed too.
    pub(crate) fn rename(&mut self, to: PathBuf) -> io::Result<()> {
        fs::rename(&self.path, &to)?;
        self.path = to;
        Ok(())
    }

    /// From now on it is not removed.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "a file that is not needed cannot be removed");
        }
    }
}
