// SPDX-License-Identifier: AGPL-3.0-or-later
//! Files of the user's: read in pieces, written whole or not at all.

use crate::{
    exit::Exit,
    output::Output,
    problem::{Problem, Result},
};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

/// Bytes of a file that are sent at a time.
pub(super) const PIECE_BYTES: usize = 256 << 10;

pub(super) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The file, or standard input.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>> {
    if is_dash(path) {
        return Ok(Box::new(io::stdin()));
    }
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            Err(Problem::new(Exit::NoInput, format!("`{}` is a folder", path.display())))
        }
        _ => Ok(Box::new(File::open(path).map_err(|error| Problem::reading(path, &error))?)),
    }
}

/// What is left of it, if that has at most `limit` bytes.
pub(super) fn read_all(from: impl Read, path: &Path, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = from.take(limit as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Problem::reading(path, &error))?;
    match bytes.len() > limit {
        true => Err(Problem::new(Exit::Data, format!("`{}` has more than {limit} bytes", path.display()))),
        false => Ok(bytes),
    }
}

/// Fills as much of the buffer as there is.
pub(super) fn read_piece(from: &mut dyn Read, path: &Path, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(|error| Problem::reading(path, &error)),
        }
    }
}

/// Where bytes go.
pub(super) enum Sink {
    Stdout,
    /// A device or a pipe.
    Special(PathBuf, File),
    /// A file beside the one that is meant, which it replaces once it is whole.
    Temporary {
        path: PathBuf,
        temporary: PathBuf,
        file: File,
    },
}

impl Sink {
    pub(super) fn open(path: &Path) -> Result<Sink> {
        if is_dash(path) {
            return Ok(Sink::Stdout);
        }
        let create = |error: io::Error| Problem::creating(path, &error);
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(create(io::ErrorKind::IsADirectory.into())),
            Ok(metadata) if !metadata.is_file() => {
                Ok(Sink::Special(path.into(), File::options().write(true).open(path).map_err(create)?))
            }
            Ok(metadata) if metadata.permissions().readonly() => {
                Err(create(io::ErrorKind::PermissionDenied.into()))
            }
            _ => {
                // A link is followed, as by any program that writes to it.
                let path = fs::canonicalize(path).unwrap_or_else(|_| path.into());
                let mut name = OsString::from(".");
                name.push(path.file_name().unwrap_or_default());
                name.push(format!(".{}", std::process::id()));
                let temporary = path.with_file_name(name);
                let file = File::create_new(&temporary).map_err(create)?;
                Ok(Sink::Temporary { path, temporary, file })
            }
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8], output: &mut Output) -> Result<()> {
        let (path, result) = match self {
            Sink::Stdout => return output.bytes(bytes),
            Sink::Special(path, file) | Sink::Temporary { path, file, .. } => (path, file.write_all(bytes)),
        };
        result.map_err(|error| {
            Problem::new(Exit::Io, format!("cannot write `{}`", path.display())).cause(error)
        })
    }

    /// Puts the file in its place.
    pub(super) fn finish(mut self) -> Result<()> {
        if let Sink::Temporary { path, temporary, .. } = &mut self {
            fs::rename(&temporary, &path).map_err(|error| Problem::creating(path, &error))?;
            // Nothing is left to be removed.
            *temporary = PathBuf::new();
        }
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Sink::Temporary { temporary, .. } = self
            && !temporary.as_os_str().is_empty()
        {
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Whether standard input is a person.
pub(super) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}
