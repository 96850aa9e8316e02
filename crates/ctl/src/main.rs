// SPDX-License-Identifier: AGPL-3.0-or-later
//! `hearth-ctl`: commands and observes a running peer over its local socket.
//!
//! [`cli`] is the command line, from which help, manual, man pages and completions are made; each group of
//! commands is a module of [`command`]; [`problem`] is what goes wrong, [`exit`] the code that the
//! program ends with, [`output`] what it prints. It must not depend on anything that runs a peer: it
//! starts within milliseconds, and its users start it often.
#![allow(clippy::print_stderr, reason = "a program tells its user what went wrong there")]

mod cbor;
mod cli;
mod command;
mod exit;
mod manual;
mod output;
mod problem;

use clap::{Parser, error::ErrorKind};
use exit::Exit;
use output::Output;
use problem::{Problem, Result};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Whoever closed the pipe has read enough of it.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => Exit::Usage.into(),
            };
        }
    };
    let json = arguments.json;
    let mut output = Output::new(json);
    let result = run(arguments, &mut output).and_then(|()| output.flush());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // What was printed before it went wrong still holds.
            let _ = output.flush();
            match json {
                true => eprint!("{}", problem.json()),
                false => eprint!("{}", problem.text(output::color_on(&std::io::stderr()))),
            }
            problem.exit.into()
        }
    }
}

fn run(arguments: cli::Arguments, output: &mut Output) -> Result<()> {
    if let Some(result) = manual::run(&arguments.command, output) {
        return result;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new(Exit::Software, "cannot start").cause(error))?;
    let result = runtime.block_on(command::run(arguments, output));
    // A read of standard input may be under way that nothing waits for any more.
    runtime.shutdown_background();
    result
}
