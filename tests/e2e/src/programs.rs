// SPDX-License-Identifier: AGPL-3.0-or-later
//! Where the programs and the scripts are.

use std::path::{Path, PathBuf};

/// The folder of the programs: `$HEARTH_PROGRAMS`, else where cargo puts them beside this test.
fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("HEARTH_PROGRAMS") {
        return folder.into();
    }
    // TARGET/debug/deps/TEST-HASH
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_owned()
}

/// One of the programs.
///
/// # Panics
/// It was not built.
pub fn program(name: &str) -> PathBuf {
    found(folder().join(name), "cargo build")
}

/// A script that comes with the programs, by its name.
///
/// # Panics
/// It was not built.
pub fn std_guest(name: &str) -> PathBuf {
    found(guests().join(format!("{name}.wasm")), "cargo xtask guests")
}

/// A script that only tests have, by its name.
///
/// # Panics
/// It was not built.
pub fn test_guest(name: &str) -> PathBuf {
    found(guests().join("test").join(format!("{name}.wasm")), "cargo xtask guests")
}

/// The folder of the scripts: `$HEARTH_STD`, else where the build puts them beside the programs.
pub(crate) fn guests() -> PathBuf {
    let set = std::env::var_os("HEARTH_STD").map(PathBuf::from);
    set.unwrap_or_else(|| folder().parent().unwrap_or(Path::new("/")).join("guests"))
}

fn found(path: PathBuf, how: &str) -> PathBuf {
    assert!(
        path.is_file(),
        "`{}` is not there: these tests start the real programs. `{how}` builds it; `cargo xtask test` \
         builds everything and says where it is",
        path.display()
    );
    path
}
