// SPDX-License-Identifier: AGPL-3.0-or-later
//! Where things are: the repository, the build output, the packages.

use crate::exec::{self, Failure, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The three programs.
pub(crate) const PROGRAMS: [&str; 3] = ["hearth-server", "hearth-client", "hearth-ctl"];

/// Packages that are built for wasm32 by `cargo xtask guests`, and not for this machine.
const GUEST_PACKAGES: [&str; 2] = ["hearth-std", "hearth-test-guests"];

/// The repository, and what Cargo says about it.
pub(crate) struct Project {
    /// Folder of the workspace's Cargo.toml.
    pub root: PathBuf,
    /// Folder of all build output.
    pub target: PathBuf,
    /// The packages of the workspace, in the order of their names.
    pub packages: Vec<Package>,
}

/// One package of the workspace.
pub(crate) struct Package {
    pub name: String,
    /// Folder of its Cargo.toml, relative to the root.
    pub folder: PathBuf,
    /// The packages it names in `[dependencies]` and `[build-dependencies]`.
    pub dependencies: Vec<String>,
    /// The packages it names in `[dev-dependencies]`.
    pub dev_dependencies: Vec<String>,
    /// Names of its benchmarks.
    pub benches: Vec<String>,
}

impl Project {
    /// Asks Cargo. The root is found from where this program's source is, so that it works from any folder.
    pub(crate) fn find() -> Result<Self> {
        let here = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = here
            .parent()
            .map(Path::to_path_buf)
            .ok_or_else(|| Failure::new("xtask is not in a folder of the repository"))?;
        let text = exec::output(exec::cargo(&root).args([
            "metadata",
            "--format-version=1",
            "--no-deps",
            "--offline",
        ]))?;
        let metadata: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::new("`cargo metadata` wrote what is not JSON").cause(error))?;
        let target = metadata["target_directory"]
            .as_str()
            .map(PathBuf::from)
            .ok_or_else(|| Failure::new("`cargo metadata` names no target folder"))?;
        let mut packages: Vec<Package> =
            list(&metadata["packages"]).filter_map(|package| Package::read(package, &root)).collect();
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { root, target, packages })
    }

    /// Where the scripts of the library are put, as `NAME.wasm`.
    pub(crate) fn guests(&self) -> PathBuf {
        self.target.join("guests")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.packages.iter().any(|package| package.name == name)
    }

    /// The guest packages that this workspace has.
    pub(crate) fn guest_packages(&self) -> impl Iterator<Item = &'static str> {
        GUEST_PACKAGES.into_iter().filter(|name| self.has(name))
    }

    /// Arguments that choose every package that is built for this machine.
    ///
    /// All builds choose the same packages: Cargo unites the features of what is chosen, and another
    /// choice would build Bevy and Wasmtime a second time with other features.
    pub(crate) fn host_packages(&self) -> Vec<&'static str> {
        let mut arguments = vec!["--workspace"];
        for name in self.guest_packages() {
            arguments.extend(["--exclude", name]);
        }
        arguments
    }

    /// Builds the three programs and returns the folder they are in.
    pub(crate) fn build_programs(&self) -> Result<PathBuf> {
        let mut command = exec::cargo(&self.root);
        command.arg("build").args(self.host_packages());
        for program in PROGRAMS {
            command.args(["--bin", program]);
        }
        // A test target makes Cargo unite the features of the dev-dependencies too, as `cargo test`
        // does; without it the heavy dependencies would be built twice. This one is small.
        command.args(["--test", "tidy"]);
        exec::run(&mut command)?;
        Ok(self.target.join("debug"))
    }

    /// Builds the three programs in the release profile and returns the folder they are in.
    pub(crate) fn build_released_programs(&self) -> Result<PathBuf> {
        let mut command = exec::cargo(&self.root);
        command.args(["build", "--release"]).args(self.host_packages());
        for program in PROGRAMS {
            command.args(["--bin", program]);
        }
        exec::run(&mut command)?;
        Ok(self.target.join("release"))
    }

    /// A command that finds the scripts built by `cargo xtask guests`.
    pub(crate) fn with_guests(&self, mut command: std::process::Command) -> std::process::Command {
        command.env("HEARTH_STD", self.guests());
        command
    }
}

impl Package {
    fn read(package: &Value, root: &Path) -> Option<Self> {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        let folder = manifest.parent()?.strip_prefix(root).ok()?.to_path_buf();
        let named = |dev: bool| {
            let mut names: Vec<String> = list(&package["dependencies"])
                .filter(|dependency| (dependency["kind"].as_str() == Some("dev")) == dev)
                .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
                .collect();
            names.sort();
            names.dedup();
            names
        };
        let benches = list(&package["targets"])
            .filter(|target| list(&target["kind"]).any(|kind| kind == "bench"))
            .filter_map(|target| target["name"].as_str().map(str::to_owned))
            .collect();
        Some(Self {
            name: package["name"].as_str()?.to_owned(),
            folder,
            dependencies: named(false),
            dev_dependencies: named(true),
            benches,
        })
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
