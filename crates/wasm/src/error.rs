// SPDX-License-Identifier: AGPL-3.0-or-later
//! Why a module cannot run here.

use std::fmt;
use thiserror::Error;

/// Why a module cannot run here. The text is meant for the module's author.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// Its bytes could not be had.
    #[error("the module cannot be had: {0}")]
    Missing(String),
    /// The bytes are no valid core WebAssembly module, or use what is not offered.
    #[error("the module is not valid: {0}")]
    Invalid(String),
    /// It was built for other versions of the contract than this peer offers.
    #[error("the module was built for {}, but this peer offers `hearth/1`", list(.0))]
    Version(Vec<String>),
    /// It imports what this peer does not offer.
    #[error("the module imports what this peer does not offer: {}", list(.0))]
    Imports(Vec<MissingImport>),
    /// It does not export what it must, or not in the right form.
    #[error("{0}")]
    Export(BadExport),
    /// It is larger than this peer takes.
    #[error("the module has {len} bytes; at most {max} are allowed")]
    TooLarge {
        /// Its size in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// It needs more than its process may have from the start.
    #[error("the module starts with more than its process may have: {0}")]
    Limit(String),
    /// Something failed on the host.
    #[error("the module could not be compiled: {0}")]
    Host(String),
}

fn list(items: &[impl fmt::Display]) -> String {
    // A hostile module can have very many.
    const SHOWN: usize = 20;
    let mut text = items.iter().take(SHOWN).map(|item| item.to_string()).collect::<Vec<_>>().join(", ");
    if items.len() > SHOWN {
        text.push_str(&format!(", and {} more", items.len() - SHOWN));
    }
    text
}

/// An import that this peer does not offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingImport {
    /// Module and name, cut if long.
    pub name: String,
    /// What is wrong, if the name is known but its type differs.
    pub problem: Option<String>,
}

impl fmt::Display for MissingImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.name)?;
        match &self.problem {
            Some(problem) => write!(f, " ({problem})"),
            None => Ok(()),
        }
    }
}

/// An export that is missing or has the wrong form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadExport {
    /// Its name.
    pub name: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for BadExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the module's export `{}` {}", self.name, self.problem)
    }
}
