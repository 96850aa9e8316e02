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
    /// Passed on to `cargo test`: a part of a test's name, or `-p PACKAGE`
    #[arg(allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
    /// Passed on to the tests themselves, for example `--nocapture`
    #[arg(last = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    test_arguments: Vec<String>,
}

impl Options {
    /// Whether the arguments say themselves which targets are meant.
    fn chooses_targets(&self) -> bool {
        const CHOICES: [&str; 6] = ["--lib", "--bin", "--test", "--example", "--bench", "--doc"];
        let chooses = |argument: &String| {
            argument == "--all-targets" || CHOICES.iter().any(|choice| argument.starts_with(choice))
        };
        self.arguments.iter().any(chooses)
    }

    /// What is passed on, as `cargo test` wants it.
    pub(crate) fn cargo_arguments(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        if !self.test_arguments.is_empty() {
            all.push("--");
            all.extend(self.test_arguments.iter().map(String::as_str));
        }
        all
    }
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
    if chosen {
        return exec::run(command.args(options.cargo_arguments()));
    }
    command.args(project.host_packages());
    let host = if options.chooses_targets() {
        exec::run(command.args(options.cargo_arguments()))
    } else {
        // Examples, which cargo would link as well, are looked through by the lints.
        let tests = exec::run(command.arg("--tests").args(options.cargo_arguments()));
        progress("tests: the documents' examples");
        let mut command = exec::cargo(&project.root);
        command.args(["test", "--no-fail-fast"]).args(project.host_packages());
        tests.and(exec::run(command.arg("--doc").args(options.cargo_arguments())))
    };
    // Scripts are tested on this machine too, against the small peer of the SDK.
    progress("tests: of the scripts");
    let mut command = exec::cargo(&project.root);
    command.args(["test", "--no-fail-fast"]);
    for package in project.guest_packages() {
        command.args(["--package", package]);
    }
    let scripts = exec::run(command.args(options.cargo_arguments()));
    host.and(scripts)
}
