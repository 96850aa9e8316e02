// SPDX-License-Identifier: AGPL-3.0-or-later
//! `cargo xtask test`: every test, in the one profile that people and CI share.

use crate::exec::{self, Result, progress};
use crate::project::Project;
use crate::setup;

/// What to test.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Options {
    #[command(flatten)]
    pub setup: setup::Options,
    /// Passed on to `cargo test`: a part of a test's name, or `-p PACKAGE`, or `-- --nocapture`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    pub arguments: Vec<String>,
}

/// Builds the programs, since end-to-end tests start them, and runs all tests. Guests must be built.
///
/// # Errors
/// If something does not build or a test fails. All tests run nevertheless.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    progress("tests: building the programs");
    let programs = project.build_programs()?;
    progress("tests: building and running all tests");
    let mut command = project.with_guests(exec::cargo(&project.root));
    command.env("HEARTH_PROGRAMS", programs);
    command.args(["test", "--no-fail-fast"]);
    let chosen = options.arguments.iter().any(|argument| {
        matches!(argument.as_str(), "-p" | "--package" | "--workspace") || argument.starts_with("--package=")
    });
    if !chosen {
        command.args(project.host_packages());
    }
    exec::run(command.args(&options.arguments))
}
