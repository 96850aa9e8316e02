// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a peer starts by itself: `space.toml` of a server, `peer.toml` of a client.

use hearth_abi::LumpId;
use serde::Deserialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What a new server starts: the furnished place.
pub(crate) const SPACE: &str = include_str!("../manifests/space.toml");
/// What a new client starts: its avatar and camera.
pub(crate) const PEER: &str = include_str!("../manifests/peer.toml");

/// The services of a peer, in the order in which they start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The services.
    #[serde(default)]
    pub service: Vec<Service>,
}

/// One script that a peer starts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Name that the process is registered under.
    pub name: String,
    /// Where its module is: `std:NAME`, a lump id, or the path of a `.wasm` file beside the manifest.
    pub module: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
}

/// Where a module is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ModuleSource {
    /// A lump that the peer has or can fetch.
    Lump(LumpId),
    /// A file.
    File(PathBuf),
}

/// Why a manifest, or a module that it names, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file cannot be read or made.
    #[error("could not read or write the manifest `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It is no TOML of this form.
    #[error("the manifest `{path}` is malformed")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        error: Box<toml::de::Error>,
    },
    /// The scripts that come with the programs are not where they should be.
    #[error("the script `std:{name}` is in none of these folders: {}", .tried.join(", "))]
    NoStd {
        /// Name of the script.
        name: String,
        /// Where it was looked for.
        tried: Vec<String>,
    },
}

impl Manifest {
    /// Reads a manifest; if there is no file, writes `first` there and reads that.
    ///
    /// # Errors
    /// The file cannot be read or written, or is malformed.
    pub(crate) fn open(path: &Path, first: &str) -> Result<Manifest, ManifestError> {
        let io = |error| ManifestError::Io { path: path.into(), error };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                crate::folder::replace_file(path, first.as_bytes()).map_err(io)?;
                first.to_owned()
            }
            Err(error) => return Err(io(error)),
        };
        toml::from_str(&text)
            .map_err(|error| ManifestError::Parse { path: path.into(), error: Box::new(error) })
    }
}

impl Service {
    /// Where its module is. Relative paths start at the manifest's folder.
    ///
    /// # Errors
    /// It names a script of the programs that is not installed.
    pub(crate) fn source(&self, folder: &Path) -> Result<ModuleSource, ManifestError> {
        if let Some(name) = self.module.strip_prefix("std:") {
            return std_module(name).map(ModuleSource::File);
        }
        if let Ok(id) = self.module.parse() {
            return Ok(ModuleSource::Lump(id));
        }
        Ok(ModuleSource::File(folder.join(&self.module)))
    }
}

/// The file of a script that comes with the programs: in `$HEARTH_STD`, or in `share/hearth/std` beside
/// the folder of the program, or in `guests` beside it (where the build puts them).
///
/// # Errors
/// It is in none of these.
pub fn std_module(name: &str) -> Result<PathBuf, ManifestError> {
    let mut folders: Vec<PathBuf> = std::env::var_os("HEARTH_STD").map(PathBuf::from).into_iter().collect();
    // Tests run one folder deeper than programs.
    let program = std::env::current_exe().unwrap_or_default();
    for above in program.ancestors().skip(2).take(2) {
        folders.push(above.join("share/hearth/std"));
        folders.push(above.join("guests"));
    }
    let file = format!("{name}.wasm");
    folders.iter().map(|folder| folder.join(&file)).find(|path| path.is_file()).ok_or_else(|| {
        ManifestError::NoStd {
            name: name.into(),
            tried: folders.iter().map(|folder| format!("`{}`", folder.display())).collect(),
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_first_manifests_are_valid() {
        for text in [SPACE, PEER] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("m.toml");
            let manifest = Manifest::open(&path, text).unwrap();
            assert!(!manifest.service.is_empty());
            assert_eq!(Manifest::open(&path, "").unwrap(), manifest);
        }
    }

    #[test]
    fn a_misspelt_field_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.toml");
        fs::write(&path, "[[service]]\nname = 'a'\nmodul = 'b'\n").unwrap();
        assert!(matches!(Manifest::open(&path, ""), Err(ManifestError::Parse { .. })));
    }
}
