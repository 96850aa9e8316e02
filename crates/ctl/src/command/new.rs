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
    for (file, text) in files {
        let to = path.join(file.replace(NAME, &name));
        let text = text.replace(NAME, &name).replace(NAME_OF_CRATE, &name.replace('-', "_"));
        let failed = |error| Problem::creating(&to, &error);
        fs::create_dir_all(to.parent().unwrap_or(path)).map_err(failed)?;
        fs::write(&to, text).map_err(failed)?;
    }
    if language == Language::Rust {
        sdk::link(path)?;
    }
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
    fn no_template_keeps_the_name_that_stands_for_another() {
        for files in [RUST, C, ASSEMBLYSCRIPT, WAT] {
            let names = |text: &str| text.contains(NAME) || text.contains(NAME_OF_CRATE);
            assert!(files.iter().any(|(path, text)| *path == "hearth.toml" && names(text)));
        }
    }
}
