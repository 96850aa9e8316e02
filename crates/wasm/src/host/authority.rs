// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a process may do to the machine it runs on. This is the one place that decides it.
//!
//! Authority follows origin: code that another peer spawned here may do anything to the space and to the
//! picture, but nothing to this machine or its user's input.

use super::Guest;
use hearth_abi::{Errno, input};

/// What needs the authority of this peer's user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Receive these input events.
    Input(u32),
    /// Capture the mouse pointer.
    Pointer,
    /// Read a file.
    File,
    /// Run a program.
    Command,
    /// Open a terminal, make one do something, or give one the keyboard.
    Terminal,
    /// Read or write the clipboard.
    Clipboard,
}

/// Whether the guest may do this.
///
/// # Errors
/// [`Errno::Permission`] if not.
pub(super) fn check(guest: &Guest, act: Act) -> Result<(), Errno> {
    let is_own = guest.caller.origin == guest.context.peer();
    let needs_it = match act {
        // Frames tell nothing about the user.
        Act::Input(mask) => mask & input::mask::OF_USER != 0,
        Act::Pointer | Act::File | Act::Command | Act::Terminal | Act::Clipboard => true,
    };
    if needs_it && !is_own { Err(Errno::Permission) } else { Ok(()) }
}
