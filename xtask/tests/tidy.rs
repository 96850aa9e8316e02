// SPDX-License-Identifier: AGPL-3.0-or-later
//! The repository is tidy, and the WebAssembly in its documents is valid.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_repository_is_tidy() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("tidy").output().unwrap();
    assert!(
        output.status.success(),
        "\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// Whole modules in the blocks marked `wat`.
fn modules(text: &str) -> Vec<&str> {
    let blocks = text.split("\n```wat\n").skip(1);
    blocks.map(|rest| rest.split("\n```").next().unwrap()).filter(|block| block.contains("(module")).collect()
}

#[test]
fn modules_in_documents_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut paths = documents(&root.join("docs"));
    paths.push(root.join("README.md"));
    let mut count = 0;
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        for module in modules(&text) {
            let bytes = wat::parse_str(module).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            if let Err(error) = wasmparser::validate(&bytes) {
                panic!("{}: {error}", path.display());
            }
            count += 1;
        }
    }
    assert!(count > 0, "no document has a block marked `wat`");
}
