// SPDX-License-Identifier: AGPL-3.0-or-later
//! `cargo xtask`: everything that one does with this repository, as one program.
//!
//! It must not depend on any other crate of the workspace: it is what builds them. Each command is a
//! module; [`exec`] runs other programs, [`project`] knows folders and packages.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a person at a terminal")]

mod bench;
mod ci;
mod exec;
mod guests;
mod nightly;
mod project;
mod run;
mod sdk;
mod setup;
mod steps;
mod test;
mod tidy;

use clap::{Parser, Subcommand};
use exec::Result;
use std::process::ExitCode;

/// Build, run, test and check Hearth.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100)]
#[command(after_help = "\
Examples:
  cargo xtask run                 a server and a client on this machine, in a window if there is a display
  cargo xtask run --headless      the same off-screen; pictures go to a file
  cargo xtask run --place gallery a hall that shows everything a scene can show
  cargo xtask test                every test
  cargo xtask test frame          the tests whose name contains `frame`
  cargo xtask ci                  what every change must pass

Build output goes to $CARGO_TARGET_DIR, or to target/.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what is missing to build and test, and install it.
    Setup(setup::Options),
    /// Start a server and a client on this machine.
    Run(run::Options),
    /// Run every test: unit, integration, documentation, end to end.
    Test(test::Options),
    /// Run what every change must pass: format, lints, tidy, guests, documents, tests.
    Ci(ci::Options),
    /// Run what takes too long for every change: fuzzing, interleavings, many seeds, other systems.
    Nightly(nightly::Options),
    /// Check what the compiler does not: layers, documents, file headers, sizes.
    Tidy(tidy::Options),
    /// Build the scripts for WebAssembly into TARGET/guests, and put the SDK for scripts into TARGET/sdk.
    Guests(setup::Options),
    /// Run the benchmarks.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let result = dispatch(Arguments::parse().command);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    let project = project::Project::find()?;
    match command {
        Command::Setup(options) => setup::run(&project, setup::Need::Everything, &options),
        Command::Run(options) => run::run(&project, &options),
        Command::Test(options) => {
            setup::run(&project, setup::Need::Everything, &options.setup)?;
            guests::run(&project)?;
            test::run(&project, &options)
        }
        Command::Ci(options) => ci::run(&project, &options),
        Command::Nightly(options) => nightly::run(&project, &options),
        Command::Tidy(options) => tidy::run(&project, &options),
        Command::Guests(options) => {
            setup::run(&project, setup::Need::Build, &options)?;
            guests::run(&project)
        }
        Command::Bench(options) => bench::run(&project, &options),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn arguments_for_cargo_test_are_passed_on() {
        let check = |line: &str, expected: &[&str], no_install: bool| {
            let words = ["xtask", "test"].into_iter().chain(line.split_whitespace());
            let Command::Test(options) = Arguments::try_parse_from(words).unwrap().command else {
                panic!("`{line}` is not `test`");
            };
            assert_eq!(options.cargo_arguments(), expected, "{line}");
            assert_eq!(options.setup.no_install, no_install, "{line}");
        };
        check("", &[], false);
        check("frame", &["frame"], false);
        check("--no-install frame", &["frame"], true);
        check("-p hearth-net frame", &["-p", "hearth-net", "frame"], false);
        check("frame -- --nocapture", &["frame", "--", "--nocapture"], false);
        check("-- --nocapture", &["--", "--nocapture"], false);
        check("--no-install -- --nocapture", &["--", "--nocapture"], true);
    }
}
