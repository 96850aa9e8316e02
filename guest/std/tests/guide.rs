// SPDX-License-Identifier: AGPL-3.0-or-later
//! The guide for script authors: blocks that name a file are that file, or a part of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

#[test]
fn blocks_that_name_a_file_are_that_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for page in fs::read_dir(root.join("docs/guide")).unwrap() {
        let page = page.unwrap().path();
        let text = fs::read_to_string(&page).unwrap();
        for (name, rest) in text.split("<!-- ").skip(1).map(|part| part.split_once(" -->\n").unwrap()) {
            let block = rest.split_once('\n').unwrap().1.split_once("\n```").unwrap().0;
            assert!(rest.starts_with("```"), "{name} in {}", page.display());
            let file = fs::read_to_string(root.join(name)).unwrap();
            assert!(block.len() > 100 && file.contains(block), "{} differs from {name}", page.display());
            found.push(name.to_owned());
        }
    }
    found.sort();
    assert_eq!(found, ["guest/std/src/bin/hello.rs", "guest/wat/orb.wat"]);
}
