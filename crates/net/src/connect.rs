// SPDX-License-Identifier: AGPL-3.0-or-later
//! The client's way in.

use std::io;

use crate::identity::KnownServersError;
use crate::{ClientConfig, Link};

/// Why a client could not join.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name was not resolved, or nobody answers at the address.
    #[error("cannot reach `{addr}`")]
    Unreachable {
        /// As given.
        addr: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server did not accept the password (or somebody altered the conversation).
    #[error("the server did not accept this password")]
    WrongPassword,
    /// The server has another key than when it was first seen. Nothing was sent that would help an
    /// impostor.
    #[error("the key of the server at `{addr}` has changed")]
    ServerKeyChanged {
        /// As given.
        addr: String,
        /// The key remembered, in hex.
        expected: String,
        /// The key now shown, in hex.
        found: String,
        /// What to do, in whole sentences.
        advice: String,
    },
    /// The two programs speak different versions.
    #[error("the server speaks protocol version {theirs}, this program speaks {ours}")]
    VersionMismatch {
        /// The server's.
        theirs: u16,
        /// This program's.
        ours: u16,
    },
    /// Too many attempts from this address, or too many strangers at the door.
    #[error("the server is turning strangers away; try again in {} s", retry_after_secs)]
    Busy {
        /// When to try again.
        retry_after_secs: u32,
    },
    /// The server asks for more work, or less, than [`ClientConfig::ksf_bounds`] allow.
    #[error("the server asks for unreasonable password stretching ({0})")]
    Stretching(String),
    /// No usable link within [`ClientConfig::timeout`].
    #[error("the server took too long to answer")]
    TimedOut,
    /// The connection was closed or broke in the middle of the login.
    #[error("the connection was lost during the login")]
    Lost(#[source] io::Error),
    /// The name or agent in the configuration is too long or not printable.
    #[error("the {0} is too long or has control characters")]
    Label(&'static str),
    /// The file of known servers cannot be used.
    #[error("the list of known servers cannot be used")]
    KnownServers(#[from] KnownServersError),
    /// What answered does not speak this protocol, or does so wrongly.
    #[error("the other side does not speak this protocol: {0}")]
    Protocol(String),
}

/// Logs in to the server at `addr` (`host:port`).
///
/// The server is pinned under `addr` as written. Argon2id runs on a blocking thread.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(_addr: &str, _config: &ClientConfig) -> Result<Link, ConnectError> {
    todo!()
}
