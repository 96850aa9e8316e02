// SPDX-License-Identifier: AGPL-3.0-or-later
//! How a client stands with its space, for the program that shows it to its user.

/// How far [`join`](crate::join) is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinStep {
    /// The address is looked up, and the server called.
    #[default]
    Reaching,
    /// It has answered. Stretching the password takes its time.
    LoggingIn,
}

/// How a client stands with its space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its connection to the server.
    pub connection: Connection,
    /// The scene has come as a whole, at least once.
    pub has_scene: bool,
    /// Each service of its manifest has started, or failed to.
    pub has_booted: bool,
}

/// The connection of a client to its server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// It holds.
    #[default]
    Up,
    /// It is lost, and the client tries to come back.
    Lost {
        /// How many tries have failed.
        tries: u32,
        /// Why it ended, or why the last try failed, in a line for people.
        reason: String,
    },
}
