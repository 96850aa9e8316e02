// SPDX-License-Identifier: AGPL-3.0-or-later
//! The login, as a state machine: no sockets, no clock, no Tokio.
//!
//! The owner of a session moves bytes: it hands what arrived to `receive`, sends what
//! `take_output` gives, and looks at `step` for what else to do. The steps at which a session
//! stops are those that need the outside: the client's list of known servers and its blocking
//! Argon2id, the server's patience with an address.
//!
//! ```text
//! client                                   server
//!   ClientHello                     →
//!                                   ←      ServerHello        (space, key, stretching)
//!   trust_server()   the pin is checked before anything of the password leaves
//!   KE1                             →
//!                                          answer()           the attempt is paid for
//!                                   ←      KE2
//!   stretch()        Argon2id
//!   KE3, proof of the peer's key    →                         the client is authentic
//!                                   ←      proof of the server's peer key
//! ```

mod client;
mod keys;
mod server;
mod wire;

pub use client::{ClientSession, ClientStep};
pub use server::{ServerSession, ServerStep};
pub use wire::{FRAME_BYTES_MAX, Refusal};

use crate::identity::PinnedServer;
use crate::password::KsfParams;
use crate::record::{Opener, RecordError, Sealer};
use crate::{AGENT_BYTES_MAX, NAME_BYTES_MAX};

/// The protocol version that this build speaks.
pub const PROTOCOL_VERSION: u16 = 2;

/// The only suite so far: ristretto255, 3DH, SHA-512, Argon2id, ChaCha20-Poly1305, Ed25519.
pub const SUITE: u8 = 1;

/// What a peer says of itself, once it is inside the encrypted session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Its Ed25519 key, proved.
    pub key: [u8; 32],
    /// Its name, a label: at most [`NAME_BYTES_MAX`] bytes, without control characters.
    pub name: String,
    /// Version and system: at most [`AGENT_BYTES_MAX`] bytes, without control characters.
    pub agent: String,
}

/// The result of a login.
#[derive(Debug)]
pub struct Established {
    /// Seals what this side sends.
    pub sealer: Sealer,
    /// Opens what the other side sends.
    pub opener: Opener,
    /// The other side.
    pub peer: PeerIdentity,
    /// The space and static key of the server, whichever side this is.
    pub server: PinnedServer,
}

/// Why a login failed. The connection is of no more use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A frame longer than [`FRAME_BYTES_MAX`], refused before it was read.
    #[error("a frame of {0} bytes is over the limit of {FRAME_BYTES_MAX}")]
    TooLong(usize),
    /// A frame that does not belong here.
    #[error("expected {expected}, got frame type {found}")]
    Unexpected {
        /// What should have come.
        expected: &'static str,
        /// The type that came.
        found: u8,
    },
    /// A frame whose content makes no sense.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// The other side speaks another version.
    #[error("the other side speaks version {theirs}, this one {ours}")]
    Version {
        /// The other side's.
        theirs: u16,
        /// This side's.
        ours: u16,
    },
    /// The other side wants another cryptographic suite.
    #[error("unknown cryptographic suite {0}")]
    Suite(u8),
    /// The server asks for stretching outside the client's bounds.
    #[error("unreasonable stretching: {} KiB, {} passes, {} lanes", .0.memory_kib, .0.passes, .0.lanes)]
    Stretching(KsfParams),
    /// The server said no.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// The client cannot make sense of the server's answer: the password differs, or somebody
    /// altered the conversation. The two cannot be told apart.
    #[error("wrong password")]
    WrongPassword,
    /// The client did not prove that it knows the password.
    #[error("the client did not prove the password")]
    NotProved,
    /// The server's announcement is not what it proved.
    #[error("the server is not the one that it announced")]
    Impostor,
    /// The proof of a peer's key does not hold.
    #[error("the proof of the peer's key is invalid")]
    BadProof,
    /// A record could not be opened.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A method was called at a step that it does not belong to.
    #[error("called out of turn")]
    OutOfTurn,
}

/// Whether a name or agent string may be sent and shown.
pub(crate) fn label_ok(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max && !text.chars().any(char::is_control)
}

pub(crate) fn name_ok(text: &str) -> bool {
    !text.is_empty() && label_ok(text, NAME_BYTES_MAX)
}

pub(crate) fn agent_ok(text: &str) -> bool {
    label_ok(text, AGENT_BYTES_MAX)
}
