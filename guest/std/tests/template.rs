// SPDX-License-Identifier: AGPL-3.0-or-later
//! The template for a script outside this repository: copied elsewhere, it builds to a script.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::Path, process::Command};
use wasmparser::{Parser, Payload};

const TRIPLE: &str = "wasm32-unknown-unknown";

#[test]
fn a_copy_of_the_template_builds_to_a_script() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("my-script");
    fs::create_dir_all(copy.join("src")).unwrap();
    let manifest = fs::read_to_string(root.join("guest/template/Cargo.toml")).unwrap();
    let sdk = root.join("guest/sdk").canonicalize().unwrap();
    let manifest = manifest.replace("../sdk", sdk.to_str().unwrap());
    assert!(manifest.contains(sdk.to_str().unwrap()));
    fs::write(copy.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("guest/template/src/lib.rs"), copy.join("src/lib.rs")).unwrap();
    // Our versions, which are on this machine: the test needs no network.
    fs::copy(root.join("Cargo.lock"), copy.join("Cargo.lock")).unwrap();

    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--offline", "--target", TRIPLE]).current_dir(&copy);
    cargo.env("CARGO_TARGET_DIR", copy.join("target"));
    // What this test was built with is not what an author has.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER"] {
        cargo.env_remove(name);
    }
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let module = fs::read(copy.join("target").join(TRIPLE).join("release/my_script.wasm")).unwrap();
    let (mut modules, mut exports) = (BTreeSet::new(), BTreeSet::new());
    for payload in Parser::new(0).parse_all(&module) {
        match payload.unwrap() {
            Payload::ImportSection(section) => {
                modules.extend(section.into_imports().map(|import| import.unwrap().module.to_owned()));
            }
            Payload::ExportSection(section) => {
                exports.extend(section.into_iter().map(|export| export.unwrap().name.to_owned()));
            }
            _ => {}
        }
    }
    assert_eq!(Vec::from_iter(modules), ["hearth/1"], "it parks, and needs nothing else");
    for name in ["memory", "start", "wake"] {
        assert!(exports.contains(name), "{name} is not exported: {exports:?}");
    }
    assert!(module.len() < 200_000, "{} bytes", module.len());
}
