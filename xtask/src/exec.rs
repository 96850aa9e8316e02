// SPDX-License-Identifier: AGPL-3.0-or-later
//! Running other programs, saying so, and failing in one form.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What every command ends with.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// An end that the user must know of, printed once by `main`.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), causes: Vec::new(), hint: None }
    }

    pub(crate) fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.what)?;
        for cause in &self.causes {
            writeln!(f, "  cause: {cause}")?;
        }
        match &self.hint {
            Some(hint) => writeln!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Says what happens next.
pub(crate) fn progress(text: impl fmt::Display) {
    println!("=> {text}");
}

/// A command whose environment is that of the user's shell, not that of `cargo run`.
///
/// Build scripts watch some of the variables that Cargo sets for the program it runs; passing them on
/// would rebuild those crates at each change between `cargo build` and `cargo xtask`.
pub(crate) fn command(program: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let from_cargo =
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| text.starts_with(prefix))
                || matches!(text, "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE");
        if from_cargo {
            command.env_remove(&name);
        }
    }
    command
}

/// A program of this project for the user, with the environment of the user's shell: what `cargo` and the
/// `cargo` of rustup set for `xtask` would else reach the shells in the space, and choose the toolchain there.
pub(crate) fn program(program: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = command(program, folder);
    for name in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTUP_TOOLCHAIN_SOURCE", "RUST_RECURSION_COUNT"] {
        command.env_remove(name);
    }
    if let Some(paths) = std::env::var_os(LIBRARIES) {
        let cargo = std::env::var_os("CARGO").map(PathBuf::from);
        let toolchain = cargo.as_deref().and_then(Path::parent).and_then(Path::parent);
        let this = std::env::current_exe().ok();
        let target = this.as_deref().and_then(Path::parent);
        match users_libraries(&paths, toolchain, target) {
            Some(kept) => command.env(LIBRARIES, kept),
            None => command.env_remove(LIBRARIES),
        };
    }
    command
}

/// The user's part of the search path of libraries: Cargo adds folders of the toolchain and of the target.
fn users_libraries(paths: &OsStr, toolchain: Option<&Path>, target: Option<&Path>) -> Option<OsString> {
    let from_cargo = |path: &Path| [toolchain, target].iter().flatten().any(|own| path.starts_with(own));
    let kept: Vec<_> = std::env::split_paths(paths).filter(|path| !from_cargo(path)).collect();
    // What was split can be joined.
    std::env::join_paths(&kept).ok().filter(|joined| !joined.is_empty())
}

/// Where the dynamic linker looks, beside where it always looks.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// The Cargo that runs us, so that the pinned toolchain is kept.
pub(crate) fn cargo(folder: &Path) -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), folder)
}

/// Runs to the end with our output.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    println!("   $ {line}");
    let status =
        command.status().map_err(|error| Failure::new(format!("could not start `{line}`")).cause(error))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{line}` ended with {status}"))) }
}

/// Runs to the end and gives its standard output; errors of the program go to our error output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(format!("could not start `{line}`")).cause(error))?;
    if !output.status.success() {
        return Err(Failure::new(format!("`{line}` ended with {}", output.status)));
    }
    String::from_utf8(output.stdout)
        .map_err(|error| Failure::new(format!("`{line}` wrote what is not text")).cause(error))
}

/// Whether the program is there and answers these arguments with success.
pub(crate) fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether `$PATH` has this program.
pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words =
        vec![program.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())];
    words.extend(command.get_args().map(|argument| {
        let argument = argument.to_string_lossy();
        if argument.is_empty() || argument.contains([' ', '"', '$', '*']) {
            format!("'{argument}'")
        } else {
            argument.into_owned()
        }
    }));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_the_libraries_of_the_user_alone() {
        let own = |paths: &str| {
            let kept =
                users_libraries(paths.as_ref(), Some(Path::new("/rust/1.95")), Some(Path::new("/t/debug")));
            kept.map(|kept| kept.into_string().unwrap())
        };
        assert_eq!(own("/t/debug:/t/debug/deps:/rust/1.95/lib:/opt/lib"), Some("/opt/lib".into()));
        assert_eq!(own("/t/debug/deps:/rust/1.95/lib/rustlib/x/lib"), None);
        assert_eq!(own("/rust/1.95b/lib"), Some("/rust/1.95b/lib".into()));
    }
}
