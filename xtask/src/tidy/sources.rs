// SPDX-License-Identifier: AGPL-3.0-or-later
//! Every file by itself: header, size, and what must not stand in it.

use super::{Problem, Tree};

/// Longest source file, in lines. What is longer has two subjects.
const LINES_MAX: usize = 900;
/// Largest file, in bytes, that needs no place among [`LARGE`].
const BYTES_MAX: usize = 512 * 1024;
/// Where larger files may be, and how large.
const LARGE: [(&str, usize); 5] = [
    ("Cargo.lock", 1024 * 1024),
    ("crates/glyph/fonts/", 1024 * 1024),
    ("docs/pictures/", 2 * 1024 * 1024),
    ("fuzz/corpus/", 1024 * 1024),
    ("tests/golden/", 2 * 1024 * 1024),
];
/// Files in which our licence is named near the top.
const WITH_HEADER: [&str; 5] = [".rs", ".c", ".h", ".wgsl", ".wat"];
const HEADER: &str = "SPDX-License-Identifier: AGPL-3.0-or-later";
/// The only place that dependencies come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Text that must not be in the repository, in two halves so that this file may be, and why.
const BANNED: [(&str, &str, &str); 6] = [
    ("/ro", "ot/", "a path of one machine"),
    ("/wo", "rk/", "a path of one machine"),
    ("artifac", "tory", "a host of one network"),
    ("<<<<", "<<< ", "a mark of an unfinished merge"),
    ("FIX", "ME", "finish it, or write it into ROADMAP.md"),
    ("TO", "DO", "finish it, or write it into ROADMAP.md"),
];
/// The same for code.
const BANNED_IN_CODE: [(&str, &str, &str); 1] = [("#[ign", "ore]", "say why: `#[ignore = \"reason\"]`")];

/// Checks every file.
pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, bytes) in &tree.files {
        problems.extend(size(path, bytes.len()));
        if let Ok(text) = std::str::from_utf8(bytes) {
            problems.extend(content(path, text));
        }
    }
    problems
}

fn size(path: &str, bytes: usize) -> Option<Problem> {
    let max = LARGE
        .iter()
        .find(|(place, _)| path == *place || (place.ends_with('/') && path.starts_with(place)))
        .map_or(BYTES_MAX, |(_, max)| *max);
    (bytes > max).then(|| Problem::new(path, 0, format!("has {bytes} bytes, at most {max} are allowed here")))
}

fn content(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    // The licence is not ours to check, and a corpus or a recording holds what it holds.
    if path == "LICENSE" || path.starts_with("fuzz/corpus/") {
        return problems;
    }
    if WITH_HEADER.iter().any(|extension| path.ends_with(extension)) {
        // What people start their own scripts from is not under our licence.
        let is_ours = !path.starts_with("guest/templates/");
        if is_ours && !text.lines().take(3).any(|line| line.contains(HEADER)) {
            problems.push(Problem::new(path, 1, format!("does not begin with `{HEADER}`")));
        }
        let count = text.lines().count();
        if count > LINES_MAX {
            problems.push(Problem::new(path, 0, format!("has {count} lines, more than {LINES_MAX}")));
        }
    }
    if path.ends_with(".rs") {
        problems.extend(module_line(path, text));
    }
    if path.ends_with("Cargo.toml") && text.contains("\n[package]") | text.starts_with("[package]") {
        // Fuzz targets are built by another tool, in a workspace of their own.
        if !text.contains("[lints]\nworkspace = true") && !text.contains("\n[workspace]") {
            problems.push(Problem::new(path, 0, "does not take over the lints of the workspace"));
        }
    }
    if path == "Cargo.lock" {
        problems.extend(registries(path, text));
        return problems;
    }
    let in_code: &[_] = if path.ends_with(".rs") { &BANNED_IN_CODE } else { &[] };
    for (number, line) in text.lines().enumerate() {
        for (first, second, why) in BANNED.iter().chain(in_code) {
            if line.contains(&format!("{first}{second}")) {
                problems.push(Problem::new(path, number + 1, format!("contains `{first}{second}`: {why}")));
            }
        }
    }
    problems
}

/// The first line that is not a plain comment says what the module is.
fn module_line(path: &str, text: &str) -> Option<Problem> {
    let first = text
        .lines()
        .enumerate()
        .find(|(_, line)| !line.trim().is_empty() && (line.starts_with("//!") || !line.starts_with("//")));
    match first {
        Some((_, line)) if line.strip_prefix("//!").is_some_and(|rest| rest.trim().len() > 12) => None,
        Some((number, _)) => {
            Some(Problem::new(path, number + 1, "does not say in a `//!` line what the module is"))
        }
        None => Some(Problem::new(path, 0, "is empty")),
    }
}

fn registries(path: &str, text: &str) -> Vec<Problem> {
    text.lines()
        .enumerate()
        .filter_map(|(number, line)| Some((number, line.strip_prefix("source = \"")?.trim_end_matches('"'))))
        .filter(|(_, source)| *source != REGISTRY)
        .map(|(number, source)| Problem::new(path, number + 1, format!("takes a crate from `{source}`")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "// SPDX-License-Identifier: AGPL-3.0-or-later\n//! The mailbox of a process.\n";

    fn found(path: &str, text: &str) -> Vec<String> {
        content(path, text).into_iter().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn a_tidy_file_has_no_problem() {
        assert_eq!(found("crates/a/src/lib.rs", GOOD), Vec::<String>::new());
        assert_eq!(
            found("guest/c/a.c", "/* SPDX-License-Identifier: AGPL-3.0-or-later */"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn headers() {
        assert_eq!(
            found("guest/templates/rust/src/lib.rs", "//! A script of my own.\n"),
            Vec::<String>::new()
        );
        assert_eq!(
            found("a.rs", "//! The mailbox of a process.\n"),
            ["a.rs:1: does not begin with `SPDX-License-Identifier: AGPL-3.0-or-later`"]
        );
        for text in [
            "use std::fs;\n//! The mailbox of a process.",
            "#![no_std]",
            "//! mailbox",
            "// a comment\nmod a;",
        ] {
            let found = found("a.rs", &format!("// SPDX-License-Identifier: AGPL-3.0-or-later\n{text}"));
            assert!(found.len() == 1 && found[0].ends_with("what the module is"), "{text}: {found:?}");
        }
    }

    #[test]
    fn banned_text() {
        for (first, second, why) in BANNED.iter().chain(&BANNED_IN_CODE) {
            let found = found("a.rs", &format!("{GOOD}// {first}{second}x\n"));
            assert_eq!(found, [format!("a.rs:3: contains `{first}{second}`: {why}")]);
        }
    }

    #[test]
    fn long_and_large() {
        let text = format!("{GOOD}{}", "\n".repeat(LINES_MAX));
        assert_eq!(found("a.rs", &text), [format!("a.rs: has {} lines, more than 900", LINES_MAX + 2)]);
        assert_eq!(size("a.png", BYTES_MAX), None);
        assert!(size("a.png", BYTES_MAX + 1).is_some());
        assert_eq!(size("tests/golden/a.png", BYTES_MAX + 1), None);
        assert!(size("tests/golden/a.png", 2 * 1024 * 1024 + 1).is_some());
        assert!(size("Cargo.lock.old", BYTES_MAX + 1).is_some());
    }

    #[test]
    fn manifests() {
        assert_eq!(
            found("a/Cargo.toml", "[package]\nname = \"a\"\n[lints]\nworkspace = true\n"),
            Vec::<String>::new()
        );
        assert_eq!(found("a/Cargo.toml", "[package]\nname = \"a\"\n").len(), 1);
        assert_eq!(found("Cargo.lock", &format!("source = \"{REGISTRY}\"\n")), Vec::<String>::new());
        assert_eq!(
            found("Cargo.lock", "\nsource = \"git+https://example.org/a\"\n"),
            ["Cargo.lock:2: takes a crate from `git+https://example.org/a`"]
        );
    }
}
