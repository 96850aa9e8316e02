// SPDX-License-Identifier: AGPL-3.0-or-later
//! A peer's data folder: where everything it keeps lies, and the small files in it.
//!
//! ```text
//! DIR/
//!   lock            held by the peer that runs, with the number of its process
//!   key             this peer's Ed25519 key, 0600
//!   serials         high-water marks of process and entity numbers
//!   grants          what this peer's user has granted, to which keys
//!   lumps/          the lump store
//!   space.toml      server: what the space starts        peer.toml  client: what this peer starts
//!   password        server: the first password, until it is changed, 0600
//!   login           server: OPAQUE record of the password, 0600
//!   secrets         server: OPAQUE seed and keys, 0600
//!   peers           server: number and name of every key that ever joined
//!   scene.redb      server: entities given to the space
//!   known-servers   client: pinned keys of servers
//!   glyphs/         client: letters that were made into pictures, to be made anew if it is lost
//! ```

use std::{
    fs, io,
    io::{Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Why a data folder cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Another peer runs on it.
    #[error("`{}` is in use{}", path.display(), holder.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who holds it, if that could be read.
        holder: Option<u32>,
    },
    /// It cannot be made, or is no folder.
    #[error("could not use `{}`", path.display())]
    Io {
        /// The folder, or its lock.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

/// The data folder of one peer, for it alone as long as this or a clone lives.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    _lock: Arc<Lock>,
}

#[derive(Debug)]
struct Lock(fs::File);

impl Drop for Lock {
    /// Closing the file is not enough: a program that this process is starting has it open too, until it runs.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl Folder {
    /// The folder, made with mode 0700 if it is not there, and locked: before anything in it is read or
    /// written, so that a second peer on it changes nothing. The system frees the lock of one that dies.
    ///
    /// # Errors
    /// It cannot be made, is no folder, or is in use.
    pub(crate) fn open(root: &Path) -> Result<Folder, FolderError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| FolderError::Io { path, error }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(io(root))?;
        let root = root.canonicalize().map_err(io(root))?;
        let path = root.join("lock");
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(&path).map_err(io(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Who it is helps, but is not needed.
                let _ = lock.take(20).read_to_string(&mut text);
                return Err(FolderError::InUse { path: root, holder: text.trim().parse().ok() });
            }
            Err(fs::TryLockError::Error(error)) => return Err(io(&path)(error)),
        }
        let pid = format!("{}\n", std::process::id());
        lock.set_len(0).and_then(|()| lock.write_all(pid.as_bytes())).map_err(io(&path))?;
        Ok(Folder { root, _lock: Arc::new(Lock(lock)) })
    }

    /// Path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

/// Replaces a small file so that a crash leaves either the old or the new content: written beside it
/// with mode 0600, synced, renamed, and the folder synced.
///
/// # Errors
/// The system refuses one of the steps; the old content is still there.
pub(crate) fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_folder_is_for_one_peer() {
        let folder = tempfile::tempdir().unwrap();
        let held = Folder::open(folder.path()).unwrap();
        let copy = held.clone();
        drop(held);
        match Folder::open(folder.path()) {
            Err(FolderError::InUse { holder, .. }) => assert_eq!(holder, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(copy);
        Folder::open(folder.path()).unwrap();
    }
}
