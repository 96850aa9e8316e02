// SPDX-License-Identifier: AGPL-3.0-or-later
//! A peer's data folder: where everything it keeps lies, and the small files in it.
//!
//! ```text
//! DIR/
//!   key             this peer's Ed25519 key, 0600
//!   serials         high-water marks of process and entity numbers
//!   lumps/          the lump store
//!   space.toml      server: what the space starts        peer.toml  client: what this peer starts
//!   password        server: the first password, until it is changed, 0600
//!   login           server: OPAQUE record of the password, 0600
//!   secrets         server: OPAQUE seed and keys, 0600
//!   peers           server: number and name of every key that ever joined
//!   scene.redb      server: entities given to the space
//!   known-servers   client: pinned keys of servers
//! ```

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// The data folder of one peer.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder, made with mode 0700 if it is not there.
    ///
    /// # Errors
    /// It cannot be made, or is no folder.
    pub(crate) fn open(root: &Path) -> io::Result<Folder> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        Ok(Folder { root: root.canonicalize()? })
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
