// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the scripts of this benchmark are written in: WebAssembly text, which is a part of the benchmark, or another
//! language, whose compiler is found here.

use bytes::Bytes;
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A language with a compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    C,
    AssemblyScript,
    Rust,
}

impl Language {
    pub(crate) const ALL: [Language; 3] = [Language::C, Language::AssemblyScript, Language::Rust];

    /// As it stands behind the names of rows.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Language::C => "C",
            Language::AssemblyScript => "AssemblyScript",
            Language::Rust => "Rust std",
        }
    }

    /// What is needed to compile it.
    fn needs(self) -> &'static str {
        match self {
            Language::C => "`clang` and `wasm-ld`: packages clang and lld",
            Language::AssemblyScript => {
                "`asc` on the path or in HEARTH_ASC: npm package assemblyscript, then \
                 HEARTH_ASC=…/node_modules/.bin/asc"
            }
            Language::Rust => "`rustc` and its target: rustup target add wasm32-unknown-unknown",
        }
    }

    fn command(self, sources: &Path, out: &Path) -> Command {
        let mut command = match self {
            Language::C => {
                let mut command = Command::new("clang");
                command.args(["--target=wasm32-unknown-unknown", "-std=c11", "-Wall", "-Wextra", "-Werror"]);
                command.args(["-O2", "-ffreestanding", "-mbulk-memory", "-nostdlib", "-Wl,--no-entry"]);
                // They need little stack. What they change lies on one page then, and not on two or three.
                command.args(["-Wl,--stack-first", "-Wl,-z,stack-size=2048"]);
                command.arg("-I").arg(sources.join("../../../../guest/c"));
                command.arg("-o").arg(out).arg("processes.c");
                command
            }
            Language::AssemblyScript => {
                let compiler = std::env::var_os("HEARTH_ASC").unwrap_or_else(|| "asc".into());
                let mut command = Command::new(compiler);
                command.args(["processes.ts", "-O3", "--runtime", "stub"]);
                // With a start function, which it would have otherwise, its instances are not used again.
                command.args(["--exportStart", "_initialize", "--use", "abort=processes/abort"]);
                command.arg("--outFile").arg(out);
                command
            }
            Language::Rust => {
                let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
                command.args(["--edition", "2024", "--target", "wasm32-unknown-unknown"]);
                command.args(["--crate-type", "cdylib", "-C", "opt-level=3", "-C", "panic=abort"]);
                command.args(["-C", "strip=symbols", "processes.rs", "-o"]).arg(out);
                command
            }
        };
        command.current_dir(sources).stdin(Stdio::null());
        command
    }

    /// Its module for all roles.
    ///
    /// # Errors
    /// What is missing, or what the compiler said.
    fn compile(self) -> Result<Bytes, String> {
        let sources = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/guests"));
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let out = folder.path().join("processes.wasm");
        let output = self.command(&sources, &out).output();
        let output = output.map_err(|error| format!("{error}; it needs {}", self.needs()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(format!("it does not compile; it needs {}\n{said}", self.needs()));
        }
        std::fs::read(&out).map(Bytes::from).map_err(|error| error.to_string())
    }
}

/// What the scripts of a row are written in.
#[derive(Clone)]
pub(crate) enum Guests {
    /// Each role is a module of its own.
    Text,
    /// One module is all of them.
    Built(Language, Bytes),
}

impl Guests {
    /// In WebAssembly text, and in each language whose compiler is here; what is not is said.
    pub(crate) fn all() -> Vec<Guests> {
        let mut all = vec![Guests::Text];
        for language in Language::ALL {
            match language.compile() {
                Ok(module) => all.push(Guests::Built(language, module)),
                Err(why) => eprintln!("guests in {} are left out: {why}", language.name()),
            }
        }
        all
    }

    /// The name of a row of theirs.
    pub(crate) fn row(&self, name: &str) -> String {
        match self {
            Guests::Text => name.to_owned(),
            Guests::Built(language, _) => format!("{name} ({})", language.name()),
        }
    }
}

/// What a script does. Its number is the first argument of those that are all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Echo = 0,
    Ping = 1,
    Node = 2,
    Flood = 3,
    Count = 4,
    Child = 5,
    Parent = 6,
}
