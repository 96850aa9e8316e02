// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a peer starts by itself: `space.toml` of a server, `peer.toml` of a client.

use crate::limits::{LimitsTable, PeerLimits, ProcessTable};
use hearth_abi::LumpId;
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// What a new server starts: the furnished place.
pub(crate) const SPACE: &str = include_str!("../manifests/space.toml");
/// What a new client starts: its avatar and camera.
pub(crate) const PEER: &str = include_str!("../manifests/peer.toml");

/// Most restarts that a manifest may allow within its time: they are remembered.
const RESTARTS_MAX: u32 = 1000;
/// Longest time in seconds within which restarts are counted.
const WITHIN_MAX_S: u32 = 86_400;

/// The services of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Manifest {
    /// How often a service may be started again within [`Manifest::within_s`]; after one end more it is given up.
    pub restarts_max: u32,
    /// The time within which restarts are counted, in seconds.
    pub within_s: u32,
    /// What processes of this peer may use, where that is not what it usually is.
    pub limits: LimitsTable,
    /// The services. They start in this order, but each after those that it needs.
    pub service: Vec<Service>,
}

impl Default for Manifest {
    fn default() -> Manifest {
        Manifest { restarts_max: 3, within_s: 60, limits: LimitsTable::default(), service: Vec::new() }
    }
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
    /// Names of the services that have started before it starts. When one of these is started again, so is this.
    #[serde(default)]
    pub needs: Vec<String>,
    /// After which ends it is started again.
    #[serde(default)]
    pub restart: Restart,
    /// What its process may use, where that is not what every process may.
    #[serde(default)]
    pub limits: ProcessTable,
}

/// After which ends a service is started again, as OTP has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// After every end.
    Permanent,
    /// Unless it ended normally or was asked to end: after a crash, or when it was killed. A service that does its
    /// work and is done stays done, as it did when services were not started again at all.
    #[default]
    Transient,
    /// Never.
    Temporary,
}

impl Restart {
    /// The name, as in a manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Restart::Permanent => "permanent",
            Restart::Transient => "transient",
            Restart::Temporary => "temporary",
        }
    }
}

/// What keeps a well-formed manifest from being one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// Two services have one name.
    #[error("there are two services `{name}`: each has a name of its own")]
    Twice {
        /// The name.
        name: String,
    },
    /// A service needs one that is not there.
    #[error("the service `{service}` needs `{needs}`, which is none of the services: `{}`", .known.join("`, `"))]
    Unknown {
        /// The service.
        service: String,
        /// What it needs.
        needs: String,
        /// The services that there are.
        known: Vec<String>,
    },
    /// Services need each other, so that none can be the first.
    #[error("services need each other, so that none can start first: `{}`", .names.join("` needs `"))]
    Cycle {
        /// Each needs the next; the last is the first again.
        names: Vec<String>,
    },
    /// A number is out of its range.
    #[error("`{field}` is {value}, and must be from {min} to {max}")]
    Range {
        /// The field.
        field: &'static str,
        /// What it is.
        value: u64,
        /// The least that it may be.
        min: u64,
        /// The most that it may be.
        max: u64,
    },
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
    /// It has the form, but its parts do not go together.
    #[error("the manifest `{path}` cannot be followed")]
    Flaw {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        flaw: Flaw,
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
        Manifest::read(path, &text)
    }

    /// What a manifest says of limits, if there is one: for a peer that starts no services.
    ///
    /// # Errors
    /// The file cannot be read, or is malformed: a peer whose limits are not those that are written is none to trust.
    pub(crate) fn limits_alone(path: &Path) -> Result<Manifest, ManifestError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Manifest { service: Vec::new(), ..Manifest::read(path, &text)? }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Manifest::default()),
            Err(error) => Err(ManifestError::Io { path: path.into(), error }),
        }
    }

    fn read(path: &Path, text: &str) -> Result<Manifest, ManifestError> {
        let manifest: Manifest = toml::from_str(text)
            .map_err(|error| ManifestError::Parse { path: path.into(), error: Box::new(error) })?;
        manifest.order().map_err(|flaw| ManifestError::Flaw { path: path.into(), flaw })?;
        Ok(manifest)
    }

    /// What processes of the peer may use.
    ///
    /// # Errors
    /// A number is out of its range.
    pub(crate) fn peer_limits(&self, path: &Path) -> Result<PeerLimits, ManifestError> {
        self.limits.peer().map_err(|flaw| ManifestError::Flaw { path: path.into(), flaw })
    }

    /// The services in the order in which they start, as places in [`Manifest::service`]: that of the file, but each
    /// after those that it needs.
    ///
    /// # Errors
    /// There is no such order, or a number is out of its range.
    pub fn order(&self) -> Result<Vec<usize>, Flaw> {
        let in_range = |field, value, min, max| match value {
            value if (min..=max).contains(&value) => Ok(()),
            value => Err(Flaw::Range { field, value, min, max }),
        };
        in_range("restarts_max", self.restarts_max.into(), 0, RESTARTS_MAX.into())?;
        in_range("within_s", self.within_s.into(), 1, WITHIN_MAX_S.into())?;
        let limits = self.limits.peer()?;
        self.service.iter().try_for_each(|service| service.limits.over(limits.process).map(drop))?;
        let mut names = BTreeSet::new();
        if let Some(twice) = self.service.iter().find(|service| !names.insert(&*service.name)) {
            return Err(Flaw::Twice { name: twice.name.clone() });
        }
        for service in &self.service {
            if let Some(needs) = service.needs.iter().find(|needs| !names.contains(&***needs)) {
                let known = names.iter().map(|name| name.to_string()).collect();
                return Err(Flaw::Unknown { service: service.name.clone(), needs: needs.clone(), known });
            }
        }
        let (mut order, mut started) = (Vec::with_capacity(self.service.len()), BTreeSet::new());
        while order.len() < self.service.len() {
            let next = self.service.iter().position(|service| {
                !started.contains(&*service.name)
                    && service.needs.iter().all(|needs| started.contains(&**needs))
            });
            let Some(next) = next else { return Err(Flaw::Cycle { names: self.cycle(&started) }) };
            started.insert(&*self.service[next].name);
            order.push(next);
        }
        Ok(order)
    }

    /// A circle of services that need each other, where there is one among those that cannot start.
    fn cycle(&self, started: &BTreeSet<&str>) -> Vec<String> {
        let mut way: Vec<&Service> = Vec::new();
        let mut next = self.service.iter().find(|service| !started.contains(&*service.name));
        // Each of these needs another of these, so that the way comes back to itself.
        while let Some(service) = next {
            if let Some(first) = way.iter().position(|before| before.name == service.name) {
                let circle = way[first..].iter().copied().chain([service]);
                return circle.map(|service| service.name.clone()).collect();
            }
            way.push(service);
            let needs = service.needs.iter().find(|needs| !started.contains(&***needs));
            next = needs.and_then(|needs| self.service.iter().find(|service| service.name == *needs));
        }
        Vec::new()
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
