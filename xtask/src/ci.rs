// SPDX-License-Identifier: AGPL-3.0-or-later
//! `cargo xtask ci`: what every change must pass, with the time of each step.

use crate::exec::{self, Result};
use crate::project::Project;
use crate::steps::Steps;
use crate::{guests, setup, test, tidy};

/// How to check.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    pub setup: setup::Options,
}

/// Runs all steps, the quick ones first, and fails if one did.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    setup::run(project, setup::Need::Everything, &options.setup)?;
    let mut steps = Steps::new("ci");
    steps.always("format", || exec::run(exec::cargo(&project.root).args(["fmt", "--all", "--check"])));
    steps.always("tidy", || tidy::run(project, &tidy::Options::default()));
    steps.always("guests", || guests::run(project));
    steps.always("tests", || test::run(project, &test::Options::default()));
    steps.always("lints", || lints(project));
    steps.always("documents", || documents(project));
    steps.finish()
}

/// Clippy for this machine's packages, and for the guests as they are really built.
fn lints(project: &Project) -> Result<()> {
    let mut host = exec::cargo(&project.root);
    host.arg("clippy").args(project.host_packages()).args(["--all-targets", "--", "--deny", "warnings"]);
    exec::run(&mut host)?;
    let mut guests = exec::cargo(&project.root);
    guests.args(["clippy", "--profile", "guest", "--target", "wasm32-unknown-unknown"]);
    for package in project.guest_packages().chain(["hearth-kit", "hearth-sdk", "hearth-abi"]) {
        guests.args(["--package", package]);
    }
    exec::run(guests.args(["--", "--deny", "warnings"]))
}

/// The documentation of every item, with links that lead somewhere.
fn documents(project: &Project) -> Result<()> {
    let mut command = exec::cargo(&project.root);
    command.arg("doc").args(project.host_packages()).args(["--no-deps", "--document-private-items"]);
    command.env("RUSTDOCFLAGS", "--deny warnings");
    exec::run(&mut command)
}
