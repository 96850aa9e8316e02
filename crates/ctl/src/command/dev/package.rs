// SPDX-License-Identifier: AGPL-3.0-or-later
//! `hearth.toml`: how a package is built, and what of it is run.

use crate::{
    exit::Exit,
    problem::{Problem, Result},
};
use serde::Deserialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The file, in the folder of the package.
const FILE: &str = "hearth.toml";

/// A package.
pub(super) struct Package {
    pub(super) folder: PathBuf,
    pub(super) settings: Settings,
}

/// What `hearth.toml` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The name of the process.
    pub(super) name: String,
    /// A command for `sh`, run in the folder; none if nothing is to be built.
    pub(super) build: Option<String>,
    /// The module that it makes, from the folder.
    pub(super) module: PathBuf,
    /// Arguments of the process.
    #[serde(default)]
    pub(super) args: Vec<String>,
}

impl Package {
    /// Reads the package in a folder.
    pub(super) fn open(folder: &Path) -> Result<Package> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).map_err(|error| {
            let problem = Problem::reading(&path, &error);
            match error.kind() {
                io::ErrorKind::NotFound => problem.hint("`hearth-ctl new NAME` makes a package that has one"),
                _ => problem,
            }
        })?;
        let settings = toml::from_str(&text).map_err(|error| {
            Problem::new(Exit::Data, format!("`{}` is malformed", path.display()))
                .cause(error.to_string().trim_end().replace('\n', "\n  "))
        })?;
        Ok(Package { folder: folder.into(), settings })
    }

    /// The file with the module.
    pub(super) fn module(&self) -> PathBuf {
        self.folder.join(&self.settings.module)
    }
}
