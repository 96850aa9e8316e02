// SPDX-License-Identifier: AGPL-3.0-or-later
//! `cargo xtask bench`: every benchmark, with the names of the rivals that could be measured beside it.

use crate::exec::{self, Result, progress};
use crate::project::Project;
use crate::{guests, setup};

/// What to measure.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    setup: setup::Options,
    /// Only benchmarks of these packages
    #[arg(long = "package", short, value_name = "PACKAGE")]
    packages: Vec<String>,
    /// Passed on to the benchmarks, for example a part of a name
    #[arg(last = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

/// Programs that benchmarks compare with, and the Debian packages that are needed for each.
const RIVALS: [(&str, &str); 2] =
    [("erl", "erlang-base"), ("scp", "openssh-client, and openssh-server to copy from")];

/// Compilers of guests that are measured beside those in WebAssembly text, and where each comes from.
const COMPILERS: [(&str, &str); 2] = [
    ("clang", "packages: clang and lld"),
    ("asc", "npm package: assemblyscript; name it by the variable HEARTH_ASC if it is not on the path"),
];

/// The package whose benchmarks start the programs.
const END_TO_END: &str = "hearth-e2e";

/// Runs the benchmarks one after the other, in the release profile.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    setup::run(project, setup::Need::Picture, &options.setup)?;
    guests::run(project)?;
    for (program, package) in RIVALS {
        if exec::on_path(program) {
            progress(format!("bench: rival `{program}` is here"));
        } else {
            progress(format!("bench: rival `{program}` is not here, and is left out (packages: {package})"));
        }
    }
    for (program, source) in COMPILERS {
        if exec::on_path(program) || program == "asc" && std::env::var_os("HEARTH_ASC").is_some() {
            progress(format!("bench: compiler `{program}` is here"));
        } else {
            progress(format!(
                "bench: compiler `{program}` is not here, and its guests are left out ({source})"
            ));
        }
    }
    let mut ran = Vec::new();
    for package in &project.packages {
        let wanted = options.packages.is_empty() || options.packages.contains(&package.name);
        if !wanted || package.benches.is_empty() {
            continue;
        }
        let mut programs = None;
        if package.name == END_TO_END {
            progress("bench: building the programs");
            programs = Some(project.build_released_programs()?);
        }
        for bench in &package.benches {
            progress(format!("bench: {bench} of {}", package.name));
            let mut command = project.with_guests(exec::cargo(&project.root));
            command.envs(programs.iter().map(|programs| ("HEARTH_PROGRAMS", programs)));
            command.args(["bench", "--package", &package.name, "--bench", bench]);
            if !options.arguments.is_empty() {
                command.arg("--").args(&options.arguments);
            }
            exec::run(&mut command)?;
            ran.push(format!("{}/{bench}", package.name));
        }
    }
    if ran.is_empty() {
        progress("bench: there is nothing to run");
    } else {
        progress(format!("bench: ran {}", ran.join(", ")));
    }
    Ok(())
}
