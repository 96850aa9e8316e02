// SPDX-License-Identifier: AGPL-3.0-or-later
//! The SDK for scripts in Rust as a folder of its own: `TARGET/sdk`, which `hearth-ctl new` copies for the
//! user, so that scripts are built without a network.
//!
//! `sdk/`, `kit/` and `abi/` are the sources of the packages, under a manifest that has what they inherit from this
//! workspace; `vendor/` are the crates that they need, as Cargo reads a directory source; `VERSION` names
//! what is in it: the version of Hearth and a hash of all the rest.

use crate::exec::{self, Failure, Result, progress};
use crate::project::Project;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What is in it of this workspace: the package, and its folder in it.
const OURS: [(&str, &str); 3] = [("hearth-sdk", "sdk"), ("hearth-kit", "kit"), ("hearth-abi", "abi")];

/// Makes the folder anew if anything in it has changed.
pub(crate) fn run(project: &Project) -> Result<()> {
    let folder = project.target.join("sdk");
    let new = project.target.join(".sdk.new");
    remove(&new)?;
    let metadata = metadata(project)?;
    let mut hash = Sha256::new();
    write(&new.join("Cargo.toml"), manifest(project)?.as_bytes(), &mut hash)?;
    for (package, name) in OURS {
        let from = project.packages.iter().find(|p| p.name == package);
        let from = from.ok_or_else(|| Failure::new(format!("there is no package `{package}`")))?;
        let from = project.root.join(&from.folder);
        copy(&from.join("Cargo.toml"), &new.join(name).join("Cargo.toml"), &mut hash)?;
        copy_all(&from.join("src"), &new.join(name).join("src"), &mut hash)?;
    }
    let vendored = vendor(project, &metadata, &new.join("vendor"), &mut hash)?;
    let digest: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let version = format!("{}-{digest}", env!("CARGO_PKG_VERSION"));
    if fs::read_to_string(folder.join("VERSION")).is_ok_and(|text| text.trim() == version) {
        remove(&new)?;
        progress(format!("sdk: {version} in {} (not changed)", folder.display()));
        return Ok(());
    }
    fs::write(new.join("VERSION"), format!("{version}\n")).map_err(|error| cannot("write", &new, error))?;
    remove(&folder)?;
    fs::rename(&new, &folder).map_err(|error| cannot("make", &folder, error))?;
    progress(format!("sdk: {version} in {}, with {vendored} crates", folder.display()));
    Ok(())
}

fn metadata(project: &Project) -> Result<Value> {
    // Not `--offline`: on a machine that has built nothing yet, most crates are still to be fetched.
    let text = exec::output(exec::cargo(&project.root).args(["metadata", "--format-version=1", "--locked"]))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::new("`cargo metadata` wrote what is not JSON").cause(error))
}

/// A workspace of the packages, with what they inherit from this one.
fn manifest(project: &Project) -> Result<String> {
    let read = |path: &Path| -> Result<toml::Table> {
        let text = fs::read_to_string(path).map_err(|error| cannot("read", path, error))?;
        text.parse().map_err(|error| Failure::new(format!("`{}` is malformed", path.display())).cause(error))
    };
    let root = read(&project.root.join("Cargo.toml"))?;
    let of_workspace = |name: &str| root.get("workspace").and_then(|table| table.get(name)).cloned();
    let mut needed = BTreeSet::new();
    for (package, _) in OURS {
        let folder = project.packages.iter().find(|p| p.name == package).map(|p| p.folder.clone());
        let own = read(&project.root.join(folder.unwrap_or_default()).join("Cargo.toml"))?;
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let table = own.get(section).and_then(toml::Value::as_table);
            needed.extend(table.into_iter().flatten().map(|(name, _)| name.clone()));
        }
    }
    let mut dependencies = toml::Table::new();
    for name in needed {
        let ours = OURS.iter().find(|(package, _)| *package == name);
        let value = match ours {
            Some((_, folder)) => {
                Some(toml::Value::Table(toml::Table::from_iter([("path".into(), (*folder).into())])))
            }
            None => of_workspace("dependencies").and_then(|all| all.get(&name).cloned()),
        };
        let missing = || Failure::new(format!("the workspace does not name the dependency `{name}`"));
        dependencies.insert(name.clone(), value.ok_or_else(missing)?);
    }
    let mut workspace = toml::Table::new();
    workspace.insert("resolver".into(), "3".into());
    let members: Vec<toml::Value> = OURS.iter().map(|(_, folder)| (*folder).into()).collect();
    workspace.insert("members".into(), members.into());
    workspace.insert("dependencies".into(), dependencies.into());
    for name in ["package", "lints"] {
        if let Some(value) = of_workspace(name) {
            workspace.insert(name.into(), value);
        }
    }
    let table = toml::Table::from_iter([("workspace".to_owned(), workspace.into())]);
    let text = toml::to_string(&table)
        .map_err(|error| Failure::new("the manifest of the SDK cannot be written").cause(error))?;
    Ok(format!("# The SDK for scripts, as `cargo xtask guests` makes it.\n{text}"))
}

/// Copies every crate from outside that the SDK needs on any system, and says how many there are.
fn vendor(project: &Project, metadata: &Value, folder: &Path, hash: &mut Sha256) -> Result<usize> {
    let checksums = checksums(project)?;
    let packages: BTreeMap<&str, &Value> =
        list(&metadata["packages"]).filter_map(|package| Some((package["id"].as_str()?, package))).collect();
    let nodes: BTreeMap<&str, &Value> =
        list(&metadata["resolve"]["nodes"]).filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let ours = |package: &Value| OURS.iter().any(|(name, _)| package["name"] == *name);
    let mut open: Vec<&str> =
        packages.iter().filter(|(_, package)| ours(package)).map(|(id, _)| *id).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dependency in nodes.get(id).into_iter().flat_map(|node| list(&node["deps"])) {
            // What only tests of the SDK need is not for scripts.
            let is_used = list(&dependency["dep_kinds"]).any(|kind| kind["kind"] != "dev");
            if let Some(id) = dependency["pkg"].as_str().filter(|_| is_used) {
                open.push(id);
            }
        }
    }
    let mut count = 0;
    for package in seen.iter().filter_map(|id| packages.get(id)).filter(|package| !ours(package)) {
        let text = |field: &str| package[field].as_str().unwrap_or_default();
        let (name, version) = (text("name"), text("version"));
        let from = Path::new(text("manifest_path")).parent().unwrap_or(Path::new(""));
        let key = (name.to_owned(), version.to_owned());
        let checksum = checksums
            .get(&key)
            .ok_or_else(|| Failure::new(format!("`{name}` {version} has no checksum in Cargo.lock")))?;
        let to = folder.join(format!("{name}-{version}"));
        let mut files = BTreeMap::new();
        for path in files_below(from)? {
            // Cargo's own note that the archive was unpacked whole.
            if path == Path::new(".cargo-ok") {
                continue;
            }
            let bytes = copy(&from.join(&path), &to.join(&path), hash)?;
            let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            files.insert(path.to_string_lossy().into_owned(), digest);
        }
        let checksum = json!({ "files": files, "package": checksum }).to_string();
        write(&to.join(".cargo-checksum.json"), checksum.as_bytes(), hash)?;
        count += 1;
    }
    Ok(count)
}

/// What Cargo.lock says of the archive of each crate, by name and version.
fn checksums(project: &Project) -> Result<BTreeMap<(String, String), String>> {
    let path = project.root.join("Cargo.lock");
    let text = fs::read_to_string(&path).map_err(|error| cannot("read", &path, error))?;
    let lock: toml::Table =
        text.parse().map_err(|error| Failure::new("`Cargo.lock` is malformed").cause(error))?;
    let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    Ok(packages
        .filter_map(|package| {
            let text = |field: &str| package.get(field)?.as_str().map(str::to_owned);
            Some(((text("name")?, text("version")?), text("checksum")?))
        })
        .collect())
}

/// The files in a folder and below, as paths from it, in order.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(below) = open.pop() {
        let here = folder.join(&below);
        for entry in fs::read_dir(&here).map_err(|error| cannot("list", &here, error))? {
            let entry = entry.map_err(|error| cannot("list", &here, error))?;
            let path = below.join(entry.file_name());
            let is_folder = entry.file_type().map_err(|error| cannot("read", &here, error))?.is_dir();
            if is_folder { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

fn copy_all(from: &Path, to: &Path, hash: &mut Sha256) -> Result<()> {
    for path in files_below(from)? {
        copy(&from.join(&path), &to.join(&path), hash)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, hash: &mut Sha256) -> Result<Vec<u8>> {
    let bytes = fs::read(from).map_err(|error| cannot("read", from, error))?;
    write(to, &bytes, hash)?;
    Ok(bytes)
}

/// Writes a file of the SDK; its name and its bytes are part of the version.
fn write(to: &Path, bytes: &[u8], hash: &mut Sha256) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|error| cannot("make", folder, error))?;
    }
    hash.update(to.file_name().map(|name| name.as_encoded_bytes()).unwrap_or_default());
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
    fs::write(to, bytes).map_err(|error| cannot("write", to, error))
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(cannot("remove", folder, error)),
        _ => Ok(()),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn cannot(verb: &str, path: &Path, error: std::io::Error) -> Failure {
    Failure::new(format!("could not {verb} `{}`", path.display())).cause(error)
}
