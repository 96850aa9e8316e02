// SPDX-License-Identifier: AGPL-3.0-or-later
//! What goes wrong, told to a person once: the error, its causes, and a hint that can be acted upon.

use crate::exit::Exit;
use hearth_ipc::{ClientError, ConnectError, FindError, RUNTIME_DIR_VARIABLE};
use hearth_protocol::operator::Failure;
use serde_json::json;
use std::{error::Error, io, path::Path};

pub(crate) type Result<T> = std::result::Result<T, Problem>;

/// Why a command fails.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) exit: Exit,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    /// The peer's name of what went wrong, where a peer said it.
    code: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Problem {
        Problem { exit, message: message.into(), causes: Vec::new(), hint: None, code: None }
    }

    #[must_use]
    pub(crate) fn cause(mut self, cause: impl ToString) -> Problem {
        self.causes.push(cause.to_string());
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// What went wrong and why, a line each, for where there is no room for more.
    pub(crate) fn told(&self) -> String {
        let causes = self.causes.iter().map(String::as_str);
        std::iter::once(&*self.message).chain(causes).collect::<Vec<_>>().join("\n")
    }

    /// What can be done about it, if that is known.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether a peer said so, with this code.
    pub(crate) fn is(&self, code: hearth_protocol::operator::ErrorCode) -> bool {
        self.code == Some(code.name())
    }

    /// An end that needs no words.
    pub(crate) fn silent(exit: Exit) -> Problem {
        Problem::new(exit, "")
    }

    /// A file of the user's that cannot be read.
    pub(crate) fn reading(path: &Path, error: &io::Error) -> Problem {
        match error.kind() {
            io::ErrorKind::NotFound => {
                Problem::new(Exit::NoInput, format!("no such file `{}`", path.display()))
            }
            io::ErrorKind::PermissionDenied => {
                Problem::new(Exit::NoInput, format!("cannot read `{}`", path.display())).cause(error)
            }
            _ => Problem::new(Exit::Io, format!("cannot read `{}`", path.display())).cause(error),
        }
    }

    /// A file of the user's that cannot be made.
    pub(crate) fn creating(path: &Path, error: &io::Error) -> Problem {
        Problem::new(Exit::Create, format!("cannot write `{}`", path.display())).cause(error)
    }

    /// Standard output that takes no more.
    pub(crate) fn output(error: &io::Error) -> Problem {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Problem::silent(Exit::BrokenPipe),
            _ => Problem::new(Exit::Io, "cannot write the output").cause(error),
        }
    }

    /// The text for standard error; nothing for a silent end.
    pub(crate) fn text(&self, color: bool) -> String {
        if self.message.is_empty() {
            return String::new();
        }
        let (red, green, off) = if color { ("\x1b[1;31m", "\x1b[32m", "\x1b[0m") } else { ("", "", "") };
        let mut text = format!("{red}error{off}: {}\n", self.message);
        for cause in &self.causes {
            text.push_str(&format!("  cause: {cause}\n"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n{green}hint{off}: {hint}\n"));
        }
        text
    }

    /// The same as one line of JSON.
    pub(crate) fn json(&self) -> String {
        if self.message.is_empty() {
            return String::new();
        }
        let error = json!({
            "code": self.code, "exit": self.exit.row().code, "message": self.message, "causes": self.causes,
            "hint": self.hint,
        });
        format!("{}\n", json!({ "error": error }))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        Problem {
            exit: failure.code.into(),
            message: failure.message,
            causes: Vec::new(),
            hint: failure.hint,
            code: Some(failure.code.name()),
        }
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Problem {
        match error {
            ClientError::Failed(failure) => failure.into(),
            ClientError::TooLong(_) => Problem::new(Exit::Usage, error.to_string()),
            _ => Problem::new(Exit::Protocol, error.to_string()),
        }
    }
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Problem {
        let exit = match &error {
            ConnectError::NotRunning(_) => Exit::NotRunning,
            ConnectError::Foreign { .. } => Exit::Refused,
            ConnectError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Exit::Refused
            }
            _ => Exit::Io,
        };
        let problem = with_sources(Problem::new(exit, error.to_string()), &error);
        match error {
            ConnectError::NotRunning(_) => {
                problem.hint("without --socket and $HEARTH_SOCKET the running peer is found")
            }
            _ => problem,
        }
    }
}

impl From<FindError> for Problem {
    fn from(error: FindError) -> Problem {
        let message = error.to_string();
        match &error {
            FindError::NoneRuns { folder } => Problem::new(Exit::NotRunning, message)
                .cause(format!("there is no socket that answers in `{}`", folder.display()))
                .hint(format!("start `hearth-server` or `hearth-client`, or set ${RUNTIME_DIR_VARIABLE} as it was for them")),
            FindError::Several(candidates) => {
                let mut hint = String::from("choose one with --socket or $HEARTH_SOCKET:");
                for candidate in candidates {
                    hint.push_str(&format!("\n  --socket {}", candidate.path.display()));
                }
                Problem::new(Exit::Usage, message).hint(hint)
            }
            FindError::Folder(folder) => {
                with_sources(Problem::new(Exit::Refused, message), &error).hint(folder.hint())
            }
            _ => Problem::new(Exit::Software, message),
        }
    }
}

fn with_sources(mut problem: Problem, error: &dyn Error) -> Problem {
    let mut source = error.source();
    while let Some(cause) = source {
        problem = problem.cause(cause);
        source = cause.source();
    }
    problem
}
