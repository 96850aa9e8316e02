// SPDX-License-Identifier: AGPL-3.0-or-later
//! The SDK for scripts in Rust: found beside this program, copied once for each version, linked into packages.
//!
//! A package holds a link, `.hearth/sdk`, to the copy of its user: a program that is replaced by a newer one does not
//! take away the SDK that a package was built with, and ten packages do not hold ten copies.

use crate::{
    exit::Exit,
    problem::{Problem, Result},
};
use std::{
    env, fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// The folder of the SDK, where it is not beside the program.
const VARIABLE: &str = "HEARTH_SDK";

/// Where a package has it.
const LINK: &str = ".hearth/sdk";

/// Names what an SDK is: its version, and a hash of its content.
const VERSION: &str = "VERSION";

/// Whether a package is built with the SDK.
pub(super) fn is_used_by(package: &Path) -> bool {
    fs::read_to_string(package.join("Cargo.toml")).is_ok_and(|text| text.contains(LINK))
}

/// Makes the link of a package anew, if it does not lead to an SDK.
pub(super) fn mend(package: &Path) -> Result<()> {
    match package.join(LINK).join(VERSION).is_file() {
        true => Ok(()),
        false => link(package, &copy()?),
    }
}

/// Makes the link of a package to a copy.
pub(super) fn link(package: &Path, copy: &Path) -> Result<()> {
    let link = package.join(LINK);
    let failed = |error: io::Error| Problem::creating(&link, &error);
    fs::create_dir_all(package.join(".hearth")).map_err(failed)?;
    // One that leads nowhere.
    match fs::remove_file(&link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    symlink(copy, &link).map_err(failed)
}

/// The user's copy of the SDK that comes with this program, made if it is not there.
pub(super) fn copy() -> Result<PathBuf> {
    let source = find()?;
    let path = source.join(VERSION);
    let version = fs::read_to_string(&path).map_err(|error| Problem::reading(&path, &error))?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    let version = version.trim();
    if version.is_empty() || version.starts_with('.') || !version.chars().all(is_name) {
        return Err(Problem::new(Exit::Data, format!("`{}` is malformed", path.display())));
    }
    let folder = data_folder()?.join("hearth/sdk");
    let to = folder.join(version);
    if to.join(VERSION).is_file() {
        return Ok(to);
    }
    // Whole or not at all, also when two do it at the same time.
    let part = folder.join(format!(".{version}.{}", std::process::id()));
    let made = copy_folder(&source, &part).and_then(|()| fs::rename(&part, &to));
    if let Err(error) = made {
        let _ = fs::remove_dir_all(&part);
        if !to.join(VERSION).is_file() {
            return Err(Problem::creating(&to, &error));
        }
    }
    Ok(to)
}

/// The folder that comes with this program: `$HEARTH_SDK`, else `share/hearth/sdk` beside the folder of the
/// program, else `sdk` there, where a build leaves it.
fn find() -> Result<PathBuf> {
    let mut tried: Vec<PathBuf> = env::var_os(VARIABLE).map(PathBuf::from).into_iter().collect();
    let program = env::current_exe().unwrap_or_default();
    // Tests run one folder deeper than programs.
    for above in program.ancestors().skip(2).take(2) {
        tried.push(above.join("share/hearth/sdk"));
        tried.push(above.join("sdk"));
    }
    if let Some(found) = tried.iter().find(|folder| folder.join(VERSION).is_file()) {
        return Ok(found.clone());
    }
    let mut problem = Problem::new(Exit::NoInput, "the SDK for Rust is not installed");
    for folder in tried {
        problem = problem.cause(format!("there is none in `{}`", folder.display()));
    }
    Err(problem.hint(format!(
        "it comes with `hearth-ctl`; in Hearth's own repository `cargo xtask guests` makes it; ${VARIABLE} names another folder"
    )))
}

/// Where this user's programs keep their data (XDG base directories).
fn data_folder() -> Result<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share"))).ok_or_else(
        || Problem::new(Exit::Usage, "there is no place for the SDK").hint("set $HOME or $XDG_DATA_HOME"),
    )
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type()?.is_dir() {
            true => copy_folder(&from, &to)?,
            false => fs::copy(&from, &to).map(drop)?,
        }
    }
    Ok(())
}
