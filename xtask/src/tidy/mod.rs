// SPDX-License-Identifier: AGPL-3.0-or-later
//! `cargo xtask tidy`: checks of the repository that the compiler does not make.
//!
//! [`layers`] compares ARCHITECTURE.md with the manifests, [`sources`] looks at every file by itself,
//! [`documents`] follows links and compares the documents of formats with the code they describe.
//! The checks are functions from text to [`Problem`]s, so that each can be seen to fail in a test.

mod documents;
mod layers;
mod sources;

use crate::exec::{self, Failure, Result, progress};
use crate::project::Project;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;

/// What to do.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Options {
    /// Write the present hashes of sources into docs/formats/: "I have read the document, and it is true"
    #[arg(long)]
    bless: bool,
}

/// Something that is not tidy.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    path: String,
    /// Counted from 1; 0 if it concerns the whole file.
    line: usize,
    text: String,
}

impl Problem {
    fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.text),
            line => write!(f, "{}:{line}: {}", self.path, self.text),
        }
    }
}

/// The files that are or would be in the repository, by path from the root, with `/`.
struct Tree {
    root: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    fn read(project: &Project) -> Result<Self> {
        let list = exec::output(exec::command("git", &project.root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        let mut files = BTreeMap::new();
        for path in list.split('\0').filter(|path| !path.is_empty()) {
            match fs::read(project.root.join(path)) {
                Ok(bytes) => drop(files.insert(path.to_owned(), bytes)),
                // Removed, but not yet from the index.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Failure::new(format!("could not read `{path}`")).cause(error)),
            }
        }
        Ok(Self { root: project.root.clone(), files })
    }

    /// The file as text; `None` if there is no such file or it is not text.
    fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// Whether there is such a file, or a folder with a file in it.
    fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        path.is_empty()
            || self.files.contains_key(path)
            || self.files.range(folder.clone()..).next().is_some_and(|(file, _)| file.starts_with(&folder))
    }
}

/// Checks everything and prints all problems.
///
/// # Errors
/// If there is a problem.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let mut tree = Tree::read(project)?;
    if options.bless {
        documents::bless(&mut tree)?;
    }
    let mut problems = layers::check(project, tree.text("ARCHITECTURE.md").unwrap_or_default());
    problems.extend(sources::check(&tree));
    problems.extend(documents::check(&tree));
    if problems.is_empty() {
        progress(format!("tidy: {} files are tidy", tree.files.len()));
        return Ok(());
    }
    for problem in &problems {
        println!("{problem}");
    }
    Err(Failure::new(format!("{} things are not tidy", problems.len())))
}
