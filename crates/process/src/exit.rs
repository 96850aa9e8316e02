// SPDX-License-Identifier: AGPL-3.0-or-later
//! Why a process ended.

use std::fmt;

/// What sort of end it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitKind {
    /// It finished.
    Normal,
    /// It ended itself, with a reason.
    Error,
    /// Somebody killed it, or the peer shut down.
    Killed,
    /// Its code did what it must not: an unreachable instruction, an access outside its memory.
    Trap,
    /// It passed a limit that ends a process.
    Limit,
    /// It never ran: its module could not be had, or cannot run here.
    Load,
}

/// Why a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitReason {
    /// What sort of end it was.
    pub kind: ExitKind,
    /// The reason in words; `normal` for a normal end.
    pub text: String,
    /// Where its code was, innermost first, if that is known.
    pub backtrace: Option<String>,
}

impl ExitReason {
    /// An end of this kind for this reason.
    pub fn new(kind: ExitKind, text: impl Into<String>) -> ExitReason {
        ExitReason { kind, text: text.into(), backtrace: None }
    }

    /// It finished.
    pub fn normal() -> ExitReason {
        ExitReason::new(ExitKind::Normal, "normal")
    }

    /// Whether it finished as it meant to.
    pub fn is_normal(&self) -> bool {
        self.kind == ExitKind::Normal
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
