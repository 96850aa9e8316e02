// SPDX-License-Identifier: AGPL-3.0-or-later
//! The compilers that packages need, and how to get those that are missing.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What a package is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    /// With the SDK
    Rust,
    /// With the header of the contract
    C,
    /// With the compiler that npm installs
    #[value(name = "assemblyscript")]
    AssemblyScript,
    /// The text form of WebAssembly, which needs no compiler
    Wat,
}

/// What is missing.
pub(super) struct Missing {
    pub(super) what: String,
    /// How to get it.
    pub(super) hint: &'static str,
}

const RUST: &str = "install Rust: https://rustup.rs";
const TARGET: &str = "`rustup target add wasm32-unknown-unknown` installs it";
const CLANG: &str = "Debian and Ubuntu: `apt install clang lld`; Fedora: `dnf install clang lld`; Arch: `pacman -S clang lld`";
const NPM: &str = "install Node.js, which has it: https://nodejs.org, or `apt install npm`";
const PACKAGES: &str = "`npm install` in the package's folder fetches it, once";

impl Language {
    /// The language that the command of a package in a folder builds. Of a command that is not known nothing is
    /// asked: it says itself what it lacks.
    pub(super) fn of(folder: &Path, build: &str) -> Language {
        let names_compiler = || {
            let text = std::fs::read_to_string(folder.join("package.json"));
            text.is_ok_and(|text| text.contains("\"assemblyscript\""))
        };
        match build.split_whitespace().next() {
            Some("cargo") => Language::Rust,
            Some("npm" | "npx") if names_compiler() => Language::AssemblyScript,
            Some("clang") => Language::C,
            _ => Language::Wat,
        }
    }

    /// The first thing that it needs and that is not there.
    pub(super) fn missing(self, folder: &Path) -> Option<Missing> {
        let program = |name: &str, hint| {
            (!is_on_path(name)).then(|| Missing { what: format!("there is no `{name}`"), hint })
        };
        match self {
            Language::Rust => program("cargo", RUST).or_else(|| program("rustc", RUST)).or_else(|| {
                let args = ["--print", "target-libdir", "--target", "wasm32-unknown-unknown"];
                let library = output("rustc", &args, folder).map(|text| PathBuf::from(text.trim()));
                let what = "Rust's library for `wasm32-unknown-unknown` is missing".to_owned();
                (!library.is_some_and(|path| path.is_dir())).then_some(Missing { what, hint: TARGET })
            }),
            Language::C => program("clang", CLANG).or_else(|| program("wasm-ld", CLANG)).or_else(|| {
                let targets = output("clang", &["--print-targets"], folder).unwrap_or_default();
                let what = "this `clang` cannot compile for wasm32".to_owned();
                (!targets.contains("wasm32")).then_some(Missing { what, hint: CLANG })
            }),
            Language::AssemblyScript => program("npm", NPM).or_else(|| {
                let what = "the compiler `asc` is not installed".to_owned();
                (!folder.join("node_modules/.bin/asc").exists()).then_some(Missing { what, hint: PACKAGES })
            }),
            Language::Wat => None,
        }
    }
}

fn is_on_path(program: &str) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(program)).any(|file| {
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}

fn output(program: &str, args: &[impl AsRef<OsStr>], folder: &Path) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(folder).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::fs;

    #[test]
    fn what_a_command_needs_follows_from_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let check = |build: &str, expect: Language| {
            assert_eq!(Language::of(folder.path(), build), expect, "{build}");
        };
        // Files of other tools beside it ask for nothing.
        fs::write(folder.path().join("Cargo.toml"), "[package]").unwrap();
        fs::write(folder.path().join("package.json"), "{\"devDependencies\": {\"prettier\": \"3\"}}")
            .unwrap();
        check("cargo build", Language::Rust);
        check("  cargo\tbuild", Language::Rust);
        check("clang -o a.wasm a.c", Language::C);
        check("npm run build", Language::Wat);
        check("make", Language::Wat);
        check("", Language::Wat);
        fs::write(
            folder.path().join("package.json"),
            "{\"devDependencies\": {\"assemblyscript\": \"^0.28\"}}",
        )
        .unwrap();
        check("npm run build", Language::AssemblyScript);
        check("npx asc a.ts", Language::AssemblyScript);
        check("make", Language::Wat);
    }
}
