// SPDX-License-Identifier: AGPL-3.0-or-later
//! Leaves the standard library's debug sections out of the scripts; the names of functions, which
//! backtraces show, stay.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo:rustc-link-arg-bins=--strip-debug");
    }
}
