// SPDX-License-Identifier: AGPL-3.0-or-later
//! `cargo xtask guests`: the scripts, built for WebAssembly and put where programs and tests find them.
//!
//! `TARGET/guests/NAME.wasm` is the library (package `hearth-std`), `TARGET/guests/test/` what tests
//! start (package `hearth-test-guests`), `TARGET/guests/c/` the examples in C.

use crate::exec::{self, Failure, Result, progress};
use crate::project::Project;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const TRIPLE: &str = "wasm32-unknown-unknown";

/// A module that was built, and the name it gets.
struct Module {
    name: String,
    file: PathBuf,
}

/// Builds everything, and removes modules whose source is gone. The SDK is put beside them.
pub(crate) fn run(project: &Project) -> Result<()> {
    let folder = project.guests();
    for (package, folder) in [("hearth-std", folder.clone()), ("hearth-test-guests", folder.join("test"))] {
        if project.has(package) {
            let modules = build(project, package)?;
            install(&modules, &folder, package)?;
        }
    }
    c_examples(project, &folder.join("c"))?;
    crate::sdk::run(project)
}

fn build(project: &Project, package: &str) -> Result<Vec<Module>> {
    progress(format!("guests: building `{package}` for {TRIPLE}"));
    let mut command = exec::cargo(&project.root);
    command.args(["build", "--profile", "guest", "--target", TRIPLE, "--package", package]);
    command.arg("--message-format=json-render-diagnostics");
    let text = exec::output(&mut command)?;
    let mut modules = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let message: Value = serde_json::from_str(line)
            .map_err(|error| Failure::new("cargo wrote a message that is not JSON").cause(error))?;
        // Of all artifacts only this package's own programs are scripts: its dependencies give libraries.
        let manifest = message["manifest_path"].as_str().unwrap_or_default();
        let ours = project.packages.iter().any(|p| {
            p.name == package && Path::new(manifest) == project.root.join(&p.folder).join("Cargo.toml")
        });
        if message["reason"] != "compiler-artifact" || !ours {
            continue;
        }
        let Some(name) = message["target"]["name"].as_str() else { continue };
        let files = message["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for file in files.filter(|file| file.ends_with(".wasm")) {
            modules.push(Module { name: name.to_owned(), file: PathBuf::from(file) });
        }
    }
    Ok(modules)
}

fn c_examples(project: &Project, folder: &Path) -> Result<()> {
    let sources = project.root.join("guest/c");
    let mut files: Vec<PathBuf> = entries(&sources)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    files.sort();
    if files.is_empty() {
        return Ok(());
    }
    let linker = match c_linker(project) {
        Ok(linker) => linker,
        Err(reason) => {
            progress(format!("guests: skipped the C examples ({}): {reason}", files.len()));
            return Ok(());
        }
    };
    fs::create_dir_all(folder).map_err(|error| cannot("make", folder, error))?;
    let mut modules = Vec::new();
    for file in files {
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let built = folder.join(format!(".{name}.building"));
        let mut command = exec::command("clang", &project.root);
        command.args(["--target=wasm32-unknown-unknown", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2"]);
        command.args(["-ffreestanding", "-mbulk-memory", "-nostdlib", "-Wl,--no-entry"]);
        if let Some(linker) = &linker {
            command.arg(format!("-fuse-ld={}", linker.display()));
        }
        command.arg("-I").arg(&sources).arg("-o").arg(&built).arg(&file);
        exec::run(&mut command)?;
        modules.push(Module { name, file: built });
    }
    install(&modules, folder, "C examples")?;
    for module in modules {
        fs::remove_file(&module.file).map_err(|error| cannot("remove", &module.file, error))?;
    }
    Ok(())
}

/// The linker to name to clang, `None` for its own choice; the error is the reason to skip.
fn c_linker(project: &Project) -> std::result::Result<Option<PathBuf>, &'static str> {
    if !exec::on_path("clang") {
        return Err("there is no `clang`");
    }
    let targets = exec::output(exec::command("clang", &project.root).arg("--print-targets"));
    if !targets.is_ok_and(|text| text.contains("wasm32")) {
        return Err("this `clang` cannot compile for wasm32");
    }
    if exec::on_path("wasm-ld") {
        return Ok(None);
    }
    // Rust brings the same linker.
    let sysroot = exec::output(exec::command("rustc", &project.root).args(["--print", "sysroot"]));
    let library = sysroot.map(|text| PathBuf::from(text.trim()).join("lib/rustlib"));
    library
        .ok()
        .and_then(|library| entries(&library).ok())
        .into_iter()
        .flatten()
        .map(|host| host.join("bin/gcc-ld/wasm-ld"))
        .find(|linker| linker.is_file())
        .map(Some)
        .ok_or("there is no `wasm-ld`")
}

/// Copies what changed and removes what is no longer built, so that the folder holds these modules only.
fn install(modules: &[Module], folder: &Path, what: &str) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| cannot("make", folder, error))?;
    let mut kept = BTreeSet::new();
    let mut changed = 0;
    for module in modules {
        let to = folder.join(format!("{}.wasm", module.name));
        let bytes = fs::read(&module.file).map_err(|error| cannot("read", &module.file, error))?;
        if fs::read(&to).ok().as_ref() != Some(&bytes) {
            // Under a name of its own first: a peer may be reading the old one.
            let new = folder.join(format!(".{}.new", module.name));
            fs::write(&new, &bytes).map_err(|error| cannot("write", &new, error))?;
            fs::rename(&new, &to).map_err(|error| cannot("write", &to, error))?;
            changed += 1;
        }
        kept.insert(to);
    }
    for path in entries(folder)? {
        if path.extension().is_some_and(|extension| extension == "wasm") && !kept.contains(&path) {
            fs::remove_file(&path).map_err(|error| cannot("remove", &path, error))?;
        }
    }
    progress(format!("guests: {} of {what} in {} ({changed} changed)", kept.len(), folder.display()));
    Ok(())
}

/// The files of a folder; none if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(|error| cannot("list", folder, error)))
            .collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(cannot("list", folder, error)),
    }
}

fn cannot(verb: &str, path: &Path, error: std::io::Error) -> Failure {
    Failure::new(format!("could not {verb} `{}`", path.display())).cause(error)
}
