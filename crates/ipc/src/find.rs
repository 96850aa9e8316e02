// SPDX-License-Identifier: AGPL-3.0-or-later
//! Which peer an operator means when they do not say it.

use crate::{
    folder::{FolderError, RuntimeDir},
    limits::CANDIDATES_MAX,
};
use std::{
    env, fs, io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

/// The environment variable that names a peer's socket. A peer sets it for the programs that it starts.
pub const SOCKET_VARIABLE: &str = "HEARTH_SOCKET";

/// A peer of this user that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The name of its socket without the ending, as `client-ann`.
    pub name: String,
    /// Its socket.
    pub path: PathBuf,
}

/// Why no peer was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// None runs.
    #[error("no peer of yours is running")]
    NoneRuns {
        /// Where its socket would be.
        folder: PathBuf,
    },
    /// More than one runs, and the choice is the user's.
    #[error("{} peers of yours are running", .0.len())]
    Several(Vec<Candidate>),
    /// The folder is not safe, or cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// The socket of the peer that is meant: the one given, else `$HEARTH_SOCKET`, else that of the only
/// peer of this user that runs. In the first two cases nobody has looked whether a peer is there.
///
/// # Errors
///
/// If none or several run, or the runtime folder is not safe.
pub fn find_peer(explicit: Option<&Path>) -> Result<PathBuf, FindError> {
    if let Some(path) = explicit {
        return Ok(path.into());
    }
    if let Some(path) = env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let folder = RuntimeDir::locate();
    let mut running = running_peers(&folder)?;
    match running.len() {
        0 => Err(FindError::NoneRuns { folder }),
        1 => Ok(running.remove(0).path),
        _ => Err(FindError::Several(running)),
    }
}

/// The peers that run with their sockets in this folder, by name. Sockets that nobody serves are skipped.
///
/// # Errors
///
/// If the folder is not safe, or cannot be read. One that is not there holds none.
pub fn running_peers(folder: &Path) -> Result<Vec<Candidate>, FolderError> {
    let folder = match RuntimeDir::check(folder) {
        Ok(folder) => folder,
        Err(FolderError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let unreadable = |source| FolderError::Io { path: folder.path().into(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.path()).map_err(unreadable)?.take(2 * CANDIDATES_MAX) {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_none_or(|ending| ending != "sock") {
            continue;
        }
        // A socket that is left over refuses. The lock tells the same, but one who tests it holds
        // it for a moment, in which a peer that starts would take it for served.
        if UnixStream::connect(&path).is_ok() {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            found.push(Candidate { name, path });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}
