// SPDX-License-Identifier: AGPL-3.0-or-later
//! The private folder where the sockets of one user's peers live.

use std::{
    env,
    ffi::OsString,
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

/// The environment variable that names the runtime folder.
pub const RUNTIME_DIR_VARIABLE: &str = "HEARTH_RUNTIME_DIR";

/// Why a folder cannot hold sockets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A link could be turned elsewhere by whoever made it.
    #[error("the runtime folder `{0}` is a symbolic link")]
    Link(PathBuf),
    /// Something else is there.
    #[error("the runtime folder `{0}` is not a folder")]
    NotAFolder(PathBuf),
    /// Its owner could put another socket in the place of ours.
    #[error("the runtime folder `{path}` belongs to the user {owner}, not to {user}")]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The user that owns it.
        owner: u32,
        /// The user that asks.
        user: u32,
    },
    /// Others could enter it.
    #[error("the runtime folder `{path}` is open to other users (mode {mode:03o})")]
    Loose {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It can be neither found nor made.
    #[error("cannot use the runtime folder `{path}`")]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl FolderError {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            FolderError::Loose { path, .. } => format!("`chmod 700 {}` closes it", path.display()),
            _ => format!("set ${RUNTIME_DIR_VARIABLE} to a folder that only you can enter"),
        }
    }
}

/// A folder that only this user can enter.
#[derive(Clone, Debug)]
pub struct RuntimeDir(PathBuf);

impl RuntimeDir {
    /// Where it is: `$HEARTH_RUNTIME_DIR`, else `hearth` in `$XDG_RUNTIME_DIR`, else
    /// `/tmp/hearth-$UID`. Nothing is looked at but whether `$XDG_RUNTIME_DIR` is a folder of this
    /// user's: `su` and `sudo` may leave that of another there.
    pub fn locate() -> PathBuf {
        locate(|name| env::var_os(name), user())
    }

    /// The folder at its usual place, made if it is missing.
    ///
    /// # Errors
    ///
    /// As [`open`](RuntimeDir::open).
    pub fn open_default() -> Result<RuntimeDir, FolderError> {
        RuntimeDir::open(&RuntimeDir::locate())
    }

    /// The folder at this path, made with mode 0700 if it is missing (its parent must be there).
    ///
    /// # Errors
    ///
    /// If it is a link, belongs to somebody else, or is open to others; or if it cannot be made.
    pub fn open(path: &Path) -> Result<RuntimeDir, FolderError> {
        let io = |source| FolderError::Io { path: path.into(), source };
        let path = std::path::absolute(path).map_err(io)?;
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(io(error)),
            _ => RuntimeDir::check(&path),
        }
    }

    /// The folder at this path, which must be there.
    ///
    /// # Errors
    ///
    /// As [`open`](RuntimeDir::open).
    pub fn check(path: &Path) -> Result<RuntimeDir, FolderError> {
        let metadata =
            fs::symlink_metadata(path).map_err(|source| FolderError::Io { path: path.into(), source })?;
        let (path, user) = (path.to_path_buf(), user());
        if metadata.is_symlink() {
            Err(FolderError::Link(path))
        } else if !metadata.is_dir() {
            Err(FolderError::NotAFolder(path))
        } else if metadata.uid() != user {
            Err(FolderError::Foreign { path, owner: metadata.uid(), user })
        } else if metadata.mode() & 0o077 != 0 {
            Err(FolderError::Loose { path, mode: metadata.mode() & 0o777 })
        } else {
            Ok(RuntimeDir(path))
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// The user whose programs may speak to each other.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn locate(variable: impl Fn(&str) -> Option<OsString>, user: u32) -> PathBuf {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = set(RUNTIME_DIR_VARIABLE) {
        return path;
    }
    if let Some(base) = set("XDG_RUNTIME_DIR")
        && fs::metadata(&base).is_ok_and(|m| m.is_dir() && m.uid() == user)
    {
        return base.join("hearth");
    }
    PathBuf::from(format!("/tmp/hearth-{user}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn places() {
        let mine = tempfile::tempdir().unwrap();
        let mine = mine.path().to_str().unwrap();
        let check = |variables: &[(&str, &str)], user: u32, expect: &str| {
            let variable =
                |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
            assert_eq!(locate(variable, user), Path::new(expect));
        };
        let me = super::user();
        check(&[], 7, "/tmp/hearth-7");
        check(&[("XDG_RUNTIME_DIR", mine)], me, &format!("{mine}/hearth"));
        check(&[("XDG_RUNTIME_DIR", mine), (RUNTIME_DIR_VARIABLE, "/x")], me, "/x");
        check(&[(RUNTIME_DIR_VARIABLE, ""), ("XDG_RUNTIME_DIR", "")], 7, "/tmp/hearth-7");
        // Left there by `su`, or gone.
        check(&[("XDG_RUNTIME_DIR", mine)], me + 1, &format!("/tmp/hearth-{}", me + 1));
        check(&[("XDG_RUNTIME_DIR", "/nowhere/at/all")], 7, "/tmp/hearth-7");
    }
}
