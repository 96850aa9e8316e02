// SPDX-License-Identifier: AGPL-3.0-or-later
//! `cargo xtask tidy`: checks of the repository that the compiler does not make.

use crate::exec::Result;
use crate::project::Project;

/// What to do.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Options {}

/// Checks.
pub(crate) fn run(_project: &Project, _options: &Options) -> Result<()> {
    Ok(())
}
