// SPDX-License-Identifier: AGPL-3.0-or-later
//! Documents: relative links lead somewhere, and documents of formats were read when their code changed.
//!
//! A document in docs/formats/ has lines `Source: PATH HASH`, where the hash is the first 16 digits of
//! the SHA-256 of that file. Whoever changes the file reads the document, corrects it, and runs
//! `cargo xtask tidy --bless`.

use super::{Problem, Tree};
use crate::exec::{Failure, Result, progress};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;

const FORMATS: &str = "docs/formats/";

/// Checks every document.
pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for path in tree.files.keys().filter(|path| path.ends_with(".md")) {
        let Some(text) = tree.text(path) else {
            problems.push(Problem::new(path, 0, "is not text"));
            continue;
        };
        problems.extend(broken_links(tree, path, text));
        if is_format(path) {
            problems.extend(stale_sources(tree, path, text));
        }
    }
    problems
}

/// Writes the present hashes.
pub(super) fn bless(tree: &mut Tree) -> Result<()> {
    let formats: Vec<String> = tree.files.keys().filter(|path| is_format(path)).cloned().collect();
    for path in formats {
        let Some(text) = tree.text(&path) else { continue };
        let mut new = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            match source(line).and_then(|(source, _)| Some((source, tree.files.get(source)?))) {
                Some((source, bytes)) => new.push_str(&format!("Source: {source} {}\n", hash(bytes))),
                None => new.push_str(line),
            }
        }
        if new != text {
            let file = tree.root.join(&path);
            fs::write(&file, &new)
                .map_err(|error| Failure::new(format!("could not write `{path}`")).cause(error))?;
            progress(format!("tidy: blessed {path}"));
            tree.files.insert(path, new.into_bytes());
        }
    }
    Ok(())
}

fn is_format(path: &str) -> bool {
    path.starts_with(FORMATS) && path.ends_with(".md") && !path.ends_with("/README.md")
}

/// The path and the hash of a line `Source: PATH HASH`. A new line may lack the hash.
fn source(line: &str) -> Option<(&str, &str)> {
    let mut words = line.strip_prefix("Source:")?.split_whitespace();
    Some((words.next()?.trim_matches('`'), words.next().unwrap_or_default()))
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn stale_sources(tree: &Tree, path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut any = false;
    for (number, line) in text.lines().enumerate() {
        let Some((source, known)) = source(line) else { continue };
        any = true;
        match tree.files.get(source) {
            None => problems.push(Problem::new(path, number + 1, format!("there is no `{source}`"))),
            Some(bytes) if hash(bytes) != known => problems.push(Problem::new(
                path,
                number + 1,
                format!("`{source}` has changed: read this document again, then `cargo xtask tidy --bless`"),
            )),
            Some(_) => {}
        }
    }
    if !any {
        problems.push(Problem::new(
            path,
            0,
            "has no line `Source: PATH HASH` for the code that it describes",
        ));
    }
    problems
}

fn broken_links(tree: &Tree, path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (line, target) in links(text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (file, anchor) =
            target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
        let full = if file.is_empty() { Some(path.to_owned()) } else { resolve(path, file) };
        let Some(full) = full.filter(|full| tree.has(full)) else {
            problems.push(Problem::new(path, line, format!("the link `{target}` leads nowhere")));
            continue;
        };
        if let (Some(anchor), Some(text)) = (anchor, tree.text(&full))
            && full.ends_with(".md")
            && !anchors(text).contains(anchor)
        {
            problems.push(Problem::new(path, line, format!("`{full}` has no heading `#{anchor}`")));
        }
    }
    problems
}

/// `link` as seen from the file `from`, as a path from the root; `None` if it leaves the repository.
fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = match link.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from.rsplit_once('/').map_or_else(Vec::new, |(folder, _)| folder.split('/').collect()),
    };
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The lines outside of fenced blocks, counted from 1, without what stands between backticks.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then(|| (number + 1, line.split('`').step_by(2).collect()))
    })
}

/// The targets of `[text](target)` and `src="target"`, each with its line.
fn links(text: &str) -> Vec<(usize, &str)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (number, plain) in prose(text) {
        for (mark, end) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
            for (at, _) in plain.match_indices(mark) {
                let target = &plain[at + mark.len()..];
                let Some(length) = target.find(end) else { continue };
                let target = target[..length].split(' ').next().unwrap_or_default();
                // The plain line is a copy; the target is the same text in the line itself.
                let line = lines[number - 1];
                if let Some(start) = line.find(target).filter(|_| !target.is_empty()) {
                    found.push((number, &line[start..start + target.len()]));
                }
            }
        }
    }
    found
}

/// The anchors of the headings, as forges make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let heading = line.trim_start_matches('#');
        if fenced || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let kept = heading.trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        found.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        Tree { root: "/nowhere".into(), files: files.collect() }
    }

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        check(&tree(files)).into_iter().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn links_lead_somewhere() {
        let files = [
            (
                "README.md",
                "[a](docs/a.md) [b](docs/) ![c](docs/c.png \"title\") [d](https://example.org/x)\n",
            ),
            ("docs/a.md", "# One heading, two\n[up](../README.md) [here](#one-heading-two) `[no](link)`\n"),
            ("docs/c.png", ""),
            ("docs/d.md", "```\n[no](link)\n```\n[root](/docs/a.md#one-heading-two)"),
        ];
        assert_eq!(found(&files), Vec::<String>::new());
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let files = [
            ("a.md", "\n[a](b.md) and [a](a.md#x) and [out](../a.md)\n<img src=\"c.svg\">\n"),
            ("bb.md", "# X y\n"),
        ];
        assert_eq!(
            found(&files),
            [
                "a.md:2: the link `b.md` leads nowhere",
                "a.md:2: `a.md` has no heading `#x`",
                "a.md:2: the link `../a.md` leads nowhere",
                "a.md:3: the link `c.svg` leads nowhere",
            ]
        );
    }

    #[test]
    fn documents_of_formats_carry_the_hash_of_their_source() {
        // The digest of nothing is in FIPS 180-4's examples.
        let good = "Source: crates/abi/src/scene.rs e3b0c44298fc1c14\n";
        let code = ("crates/abi/src/scene.rs", "");
        assert_eq!(found(&[code, ("docs/formats/scene.md", good)]), Vec::<String>::new());
        let changed = ("crates/abi/src/scene.rs", "x");
        assert_eq!(
            found(&[changed, ("docs/formats/scene.md", good)]),
            [
                "docs/formats/scene.md:1: `crates/abi/src/scene.rs` has changed: read this document again, then \
              `cargo xtask tidy --bless`"
            ]
        );
        assert_eq!(found(&[("docs/formats/scene.md", good)]).len(), 1);
        assert_eq!(found(&[code, ("docs/formats/scene.md", "# Scene\n")]).len(), 1);
    }
}
