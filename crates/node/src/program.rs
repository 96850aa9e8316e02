// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the programs around a node share: how they log, take the password, learn that they shall end,
//! and say why they could not go on.

use hearth_net::Password;
use std::{
    error::Error,
    io::{IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    task::Poll,
};
use tokio::signal::unix::{SignalKind, signal};

/// Name of the environment variable that holds the space's password. Programs that a guest starts do
/// not get it.
pub const PASSWORD_VARIABLE: &str = "HEARTH_PASSWORD";

/// Why a program ends, for the person who started it.
#[derive(Debug)]
pub struct Fatal {
    /// What failed.
    pub what: String,
    /// Why, the nearest cause first.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The exit code, of sysexits.h.
    pub code: u32,
}

impl Fatal {
    /// An error and its causes.
    pub fn new(error: &dyn Error, hint: Option<String>, code: u32) -> Fatal {
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Fatal { what: error.to_string(), causes, hint, code }
    }

    /// The message as it is printed.
    pub fn message(&self) -> String {
        let mut text = format!("error: {}\n", self.what);
        for cause in &self.causes {
            text.push_str(&format!("  cause: {cause}\n"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\nhint: {hint}\n"));
        }
        text
    }
}

/// Prints why a program failed, and gives its exit code.
pub fn finish(result: Result<(), Fatal>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            // Nobody is left to tell if this fails.
            let _ = std::io::stderr().write_all(fatal.message().as_bytes());
            ExitCode::from(u8::try_from(fatal.code).unwrap_or(u8::MAX))
        }
    }
}

/// Logs to the standard error what `$HEARTH_LOG` asks for, else what `default` does.
pub fn start_logging(default: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("HEARTH_LOG")
        .unwrap_or_else(|_unset| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .init();
}

/// Says on the standard output that the program is ready, for whoever started it.
pub fn say_ready(what: impl std::fmt::Display) {
    let mut out = std::io::stdout();
    // Whoever started us may not want to know.
    let _ = writeln!(out, "ready {what}").and_then(|()| out.flush());
}

/// Waits for Ctrl-C, or for the system's wish that the program ends.
pub async fn asked_to_end() {
    let mut signals = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        match signal(kind) {
            Ok(signal) => signals.push(signal),
            Err(error) => tracing::warn!("a signal cannot be waited for: {error}"),
        }
    }
    std::future::poll_fn(|cx| match signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// The password in the first line of a file, or else in the environment; `None` if it is in neither.
///
/// # Errors
/// The file cannot be read, or what it holds is no password.
pub fn given_password(file: Option<&Path>) -> Result<Option<Password>, Fatal> {
    let text = match file {
        Some(path) => {
            let read = std::fs::read_to_string(path).map_err(|error| Fatal {
                what: format!("could not read the password file `{}`", path.display()),
                causes: vec![error.to_string()],
                hint: None,
                code: yacexits::EX_NOINPUT,
            });
            read?.lines().next().unwrap_or_default().to_owned()
        }
        None => match std::env::var(PASSWORD_VARIABLE) {
            Ok(text) => text,
            Err(_unset) => return Ok(None),
        },
    };
    check_password(text).map(Some)
}

/// A text as a password.
///
/// # Errors
/// It is too short, too long, or not printable.
pub fn check_password(text: String) -> Result<Password, Fatal> {
    Password::new(text).map_err(|error| Fatal::new(&error, None, yacexits::EX_USAGE))
}
