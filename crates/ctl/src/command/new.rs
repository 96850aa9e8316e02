// SPDX-License-Identifier: AGPL-3.0-or-later
//! New packages for scripts, from templates.

use super::{sdk, tools::Language};
use crate::{
    exit::Exit,
    output::{Output, escape},
    problem::{Problem, Result},
};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Longest name of a package, which is also that of its process.
const NAME_LEN_MAX: usize = 64;

/// What stands in the templates for the name.
const NAME: &str = "my-script";
const NAME_OF_CRATE: &str = "my_script";

/// A file of a template: its path in the package, and its text.
type File = (&'static str, &'static str);

macro_rules! template {
    ($($path:literal: $from:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../guest/", $from)))),*]
    };
}

const RUST: &[File] = template![
    "Cargo.toml": "templates/rust/Cargo.toml",
    ".cargo/config.toml": "templates/rust/cargo-config.toml",
    ".gitignore": "templates/rust/gitignore",
    "hearth.toml": "templates/rust/hearth.toml",
    "README.md": "templates/rust/README.md",
    "src/lib.rs": "templates/rust/src/lib.rs",
];
const C: &[File] = template![
    "hearth.toml": "templates/c/hearth.toml",
    "README.md": "templates/c/README.md",
    "hearth.h": "c/hearth.h",
    "my-script.c": "c/orb.c",
];
const ASSEMBLYSCRIPT: &[File] = template![
    "package.json": "templates/assemblyscript/package.json",
    ".gitignore": "templates/assemblyscript/gitignore",
    "hearth.toml": "templates/assemblyscript/hearth.toml",
    "README.md": "templates/assemblyscript/README.md",
    "assembly/index.ts": "templates/assemblyscript/assembly/index.ts",
];
const WAT: &[File] = template![
    "hearth.toml": "templates/wat/hearth.toml",
    "README.md": "templates/wat/README.md",
    "my-script.wat": "wat/orb.wat",
];

/// Makes a package in a new folder, or in an empty one.
pub(super) fn new(path: &Path, language: Language, output: &mut Output) -> Result<()> {
    let name = name_of(path)?;
    let files = match language {
        Language::Rust => RUST,
        Language::C => C,
        Language::AssemblyScript => ASSEMBLYSCRIPT,
        Language::Wat => WAT,
    };
    if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Problem::new(Exit::Create, format!("the folder `{}` is not empty", path.display())));
    }
    // What is most likely to be missing is looked for before anything is made.
    let sdk = if language == Language::Rust { Some(sdk::copy()?) } else { None };
    let mut made = Made::of(path);
    make(path, &name, files, sdk.as_deref())?;
    made.is_whole = true;
    let missing = language.missing(path);
    let shown = path.display().to_string();
    if output.json {
        let missing = missing.map(|missing| json!({ "what": missing.what, "hint": missing.hint }));
        return output.json_line(&json!({ "name": name, "path": shown, "missing": missing }));
    }
    output.line(&escape(&shown))?;
    if let Some(missing) = missing {
        eprintln!("note: {}: {}", missing.what, missing.hint);
    }
    if output.pretty() {
        eprintln!("next: hearth-ctl dev {shown}");
    }
    Ok(())
}

fn make(path: &Path, name: &str, files: &[File], sdk: Option<&Path>) -> Result<()> {
    for (file, text) in files {
        let to = path.join(filled(file, name));
        let failed = |error| Problem::creating(&to, &error);
        fs::create_dir_all(to.parent().unwrap_or(path)).map_err(failed)?;
        fs::write(&to, filled(text, name)).map_err(failed)?;
    }
    sdk.map_or(Ok(()), |copy| sdk::link(path, copy))
}

/// A text of a template with the name of the package.
fn filled(text: &str, name: &str) -> String {
    let of_crate = name.replace('-', "_");
    // What was put in is not looked at again: it may itself hold what stands in the templates.
    let pieces = text.split(NAME).map(|piece| piece.replace(NAME_OF_CRATE, &of_crate));
    pieces.collect::<Vec<_>>().join(name)
}

/// What is made for a package, removed if that fails half-way.
struct Made {
    folder: PathBuf,
    /// The folder was there, and empty.
    was_there: bool,
    is_whole: bool,
}

impl Made {
    /// The package will be made here.
    fn of(path: &Path) -> Made {
        let full = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let missing = full.ancestors().take_while(|folder| folder.symlink_metadata().is_err()).last();
        let was_there = missing.is_none();
        Made { folder: missing.unwrap_or(&full).into(), was_there, is_whole: false }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if self.is_whole {
            return;
        }
        // What cannot be removed is told by the next try, whose folder is not empty.
        if !self.was_there {
            return drop(fs::remove_dir_all(&self.folder));
        }
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            drop(if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) });
        }
    }
}

/// The name of a package: the last part of its path.
fn name_of(path: &Path) -> Result<String> {
    let full: PathBuf = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let name = full.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_fit = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= NAME_LEN_MAX
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    match is_fit {
        true => Ok(name.to_owned()),
        false => Err(Problem::new(Exit::Usage, format!("`{name}` is no name for a package")).hint(format!(
            "letters, digits, `-` and `_`, of which the first is a letter; at most {NAME_LEN_MAX}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn names() {
        let check = |path: &str, expect: Option<&str>| {
            assert_eq!(name_of(Path::new(path)).ok().as_deref(), expect, "{path}");
        };
        check("orb", Some("orb"));
        check("/tmp/my-orb_2", Some("my-orb_2"));
        check("/tmp/orb/", Some("orb"));
        for bad in ["/", "2orb", "-orb", "a b", "orbä", ".orb", &"o".repeat(65)] {
            check(bad, None);
        }
    }

    #[test]
    fn every_template_takes_every_name() {
        for name in ["my_script2", "my_script", "my-script", "my-script-2", "not-my-script", "x_my_script"] {
            let of_crate = name.replace('-', "_");
            for (path, text) in [RUST, C, ASSEMBLYSCRIPT, WAT].into_iter().flatten() {
                let expect = |text: &str| {
                    let text = text.replace(NAME, "\0").replace(NAME_OF_CRATE, "\x01");
                    text.replace('\0', name).replace('\x01', &of_crate)
                };
                assert_eq!(filled(path, name), expect(path));
                assert_eq!(filled(text, name), expect(text), "{path} for {name}");
            }
        }
        for files in [RUST, C, ASSEMBLYSCRIPT, WAT] {
            assert!(files.iter().any(|(path, text)| *path == "hearth.toml" && text.contains(NAME)));
        }
    }
}
