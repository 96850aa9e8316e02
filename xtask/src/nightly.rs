// SPDX-License-Identifier: AGPL-3.0-or-later
//! `cargo xtask nightly`: what takes too long for every change. Each step says that it ran, or why not.

use crate::exec::{self, Failure, Result};
use crate::project::{Package, Project};
use crate::steps::{Outcome, Steps};
use crate::{guests, setup};
use std::fs;

/// How long.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    pub setup: setup::Options,
    /// Seconds for each fuzz target
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    fuzz_secs: u32,
    /// Cases of each property test
    #[arg(long, default_value_t = 20_000, value_name = "COUNT")]
    cases: u32,
    /// Histories of a simulated space, and modules of strangers
    #[arg(long, default_value_t = 5_000, value_name = "COUNT")]
    seeds: u32,
    /// Only this step, as the table at the end names it; may be given several times
    #[arg(long, value_name = "STEP", value_parser = STEPS.map(|(name, _)| name))]
    only: Vec<String>,
}

type Step = fn(&Project, &Options) -> Result<Outcome>;

/// In the order in which they run.
const STEPS: [(&str, Step); 9] = [
    ("other system", |project, options| other_system(project, &options.setup)),
    ("dependencies", |project, _| dependencies(project)),
    ("advisories", |project, _| advisories(project)),
    ("many seeds", |project, options| many_seeds(project, options.cases)),
    ("simulations", |project, options| simulations(project, options.seeds)),
    ("interleavings", |project, _| interleavings(project)),
    ("undefined behaviour", |project, _| undefined_behaviour(project)),
    ("chaos", |project, _| chaos(project)),
    ("fuzzing", |project, options| fuzzing(project, options.fuzz_secs)),
];

/// The crates that know no system: they must compile for another one.
const NEUTRAL: [&str; 4] = ["hearth-abi", "hearth-protocol", "hearth-process", "hearth-scene"];
const OTHER_SYSTEM: &str = "x86_64-pc-windows-gnu";

/// Runs all steps and fails if one did.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    setup::run(project, setup::Need::Everything, &options.setup)?;
    let mut steps = Steps::new("nightly");
    for (name, step) in STEPS {
        if options.only.is_empty() || options.only.iter().any(|only| only == name) {
            steps.step(name, || step(project, options));
        }
    }
    steps.finish()
}

fn skipped(reason: impl Into<String>) -> Result<Outcome> {
    Ok(Outcome::Skipped(reason.into()))
}

fn other_system(project: &Project, setup: &setup::Options) -> Result<Outcome> {
    let sysroot = exec::output(exec::command("rustc", &project.root).args(["--print", "sysroot"]))?;
    if !std::path::Path::new(sysroot.trim()).join("lib/rustlib").join(OTHER_SYSTEM).is_dir() {
        if setup.no_install || !exec::on_path("rustup") {
            return skipped(format!("the Rust target {OTHER_SYSTEM} is not installed"));
        }
        exec::run(exec::command("rustup", &project.root).args(["target", "add", OTHER_SYSTEM]))?;
    }
    let mut command = exec::cargo(&project.root);
    command.args(["check", "--target", OTHER_SYSTEM]);
    for package in NEUTRAL {
        command.args(["--package", package]);
    }
    exec::run(&mut command).map(|()| Outcome::Ran)
}

fn deny(project: &Project, arguments: &[&str]) -> Result<()> {
    exec::run(exec::command("cargo-deny", &project.root).args(arguments))
}

/// Licences, sources, and crates that are banned: nothing of it needs a network.
fn dependencies(project: &Project) -> Result<Outcome> {
    if !exec::answers("cargo-deny", &["--version"]) {
        return skipped("cargo-deny is not installed");
    }
    deny(project, &["check", "licenses", "bans", "sources"]).map(|()| Outcome::Ran)
}

/// Known vulnerabilities of what we depend on, if their database can be had.
fn advisories(project: &Project) -> Result<Outcome> {
    if !exec::answers("cargo-deny", &["--version"]) {
        return skipped("cargo-deny is not installed");
    }
    if deny(project, &["fetch", "db"]).is_err() {
        return skipped("their database cannot be fetched from here");
    }
    deny(project, &["--offline", "check", "advisories"]).map(|()| Outcome::Ran)
}

/// Property tests with more cases than a change waits for. A failure prints its seed.
fn many_seeds(project: &Project, cases: u32) -> Result<Outcome> {
    let with_properties = using(project, "proptest");
    if with_properties.is_empty() {
        return skipped("no package has property tests");
    }
    let mut command = project.with_guests(exec::cargo(&project.root));
    command.env("PROPTEST_CASES", cases.to_string()).args(["test", "--no-fail-fast"]);
    for package in with_properties {
        command.args(["--package", &package.name]);
    }
    exec::run(&mut command).map(|()| Outcome::Ran)
}

/// What each run of the tests does for some hundred numbers, for thousands. A failure prints its own.
fn simulations(project: &Project, seeds: u32) -> Result<Outcome> {
    let mut command = project.with_guests(exec::cargo(&project.root));
    command.env("HEARTH_SEEDS", seeds.to_string()).args(["test", "--no-fail-fast"]);
    command.args(project.host_packages()).args(["--lib", "--test", "modules", "seeded_"]);
    exec::run(&mut command).map(|()| Outcome::Ran)
}

/// Tests under loom, which tries every order of memory accesses.
fn interleavings(project: &Project) -> Result<Outcome> {
    let with_loom = using(project, "loom");
    if with_loom.is_empty() {
        return skipped("no package has loom tests");
    }
    let mut command = exec::cargo(&project.root);
    command.env("RUSTFLAGS", "--cfg hearth_loom").args(["test", "--release", "--lib"]);
    for package in with_loom {
        command.args(["--package", &package.name]);
    }
    exec::run(command.arg("loom")).map(|()| Outcome::Ran)
}

fn undefined_behaviour(project: &Project) -> Result<Outcome> {
    if !exec::answers("cargo", &["+nightly", "miri", "--version"]) {
        return skipped("the nightly toolchain has no miri");
    }
    let mut command = exec::command("cargo", &project.root);
    // Miri is some hundred times slower, and cannot write the files that proptest keeps failures in.
    command.env("PROPTEST_CASES", "4").env("MIRIFLAGS", "-Zmiri-disable-isolation");
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    command.args(["+nightly", "miri", "test", "-p", "hearth-abi", "-p", "hearth-protocol"]);
    exec::run(&mut command).map(|()| Outcome::Ran)
}

/// The evening of chaos in its full length; the tests of each change have a minute of it.
fn chaos(project: &Project) -> Result<Outcome> {
    guests::run(project)?;
    let programs = project.build_programs()?;
    let mut command = project.with_guests(exec::cargo(&project.root));
    command.env("HEARTH_PROGRAMS", programs).arg("test").args(project.host_packages());
    command.args(["--test", "chaos", "--", "--ignored", "--nocapture"]);
    exec::run(&mut command).map(|()| Outcome::Ran)
}

/// Coverage-guided fuzzing. `ci` only replays what it found, as tests of `hearth-fuzz`.
fn fuzzing(project: &Project, seconds: u32) -> Result<Outcome> {
    let targets = project.root.join("fuzz/targets");
    if !targets.join("Cargo.toml").is_file() {
        return skipped("there is no fuzz/targets");
    }
    if !exec::answers("cargo-fuzz", &["--version"]) {
        return skipped("cargo-fuzz is not installed");
    }
    if !exec::answers("cargo", &["+nightly", "--version"]) {
        return skipped("cargo-fuzz needs a nightly toolchain");
    }
    let fuzz = || {
        let mut command = exec::command("cargo", &project.root);
        command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
        command.args(["+nightly", "fuzz"]);
        command
    };
    let names = exec::output(fuzz().args(["list", "--fuzz-dir"]).arg(&targets))?;
    let mut failed = Vec::new();
    for name in names.lines().map(str::trim).filter(|name| !name.is_empty()) {
        let corpus = project.root.join("fuzz/corpus").join(name);
        // What is found goes to the build output; only what is chosen is kept in the repository.
        let found = project.target.join("fuzz-corpus").join(name);
        fs::create_dir_all(&found)
            .map_err(|error| Failure::new(format!("could not make `{}`", found.display())).cause(error))?;
        let mut command = fuzz();
        command.args(["run", "--fuzz-dir"]).arg(&targets).arg(name).arg(&found);
        if corpus.is_dir() {
            command.arg(&corpus);
        }
        command.arg("--").arg(format!("-max_total_time={seconds}"));
        if let Err(failure) = exec::run(&mut command) {
            print!("{failure}");
            failed.push(name.to_owned());
        }
    }
    if failed.is_empty() {
        return Ok(Outcome::Ran);
    }
    Err(Failure::new(format!("fuzzing failed: {}", failed.join(", "))))
}

fn using<'a>(project: &'a Project, dependency: &str) -> Vec<&'a Package> {
    let names = |package: &Package| {
        package.dev_dependencies.iter().chain(&package.dependencies).any(|name| name == dependency)
    };
    project.packages.iter().filter(|package| names(package)).collect()
}
