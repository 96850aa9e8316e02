// SPDX-License-Identifier: AGPL-3.0-or-later
//! The session between two peers: login, encryption, and four lanes of opaque messages.
//!
//! `net` is the post office. It carries bytes and never reads them: it knows nothing of
//! processes, lumps or scenes, and must not depend on the crates that do. `node` gives the bytes a
//! meaning.
//!
//! From the inside out:
//! - [`session`]: the login as a state machine without sockets, clock or Tokio. Bytes go in, bytes
//!   come out, and at the end there are two keys.
//! - [`record`]: authenticated encryption of a byte stream, again without I/O.
//! - [`password`], [`identity`]: what the login rests on: the server's secrets and its
//!   password record, the peers' keys, and the file of servers seen before.
//! - [`throttle`]: how often an address may guess.
//! - [`Listener`] and [`connect()`]: the sockets, the deadlines and the bounds. Nothing but
//!   authenticated peers comes out.
//! - [`Link`]: four ordered, bounded lanes over Remoc, inside the encrypted stream.
//! - [`wire`]: two links that are one another's ends, in one program: for tests that decide when what arrives.
//!
//! The bytes are described in `docs/formats/session.md`.

pub mod backoff;
pub mod identity;
pub mod password;
pub mod record;
pub mod session;
pub mod throttle;
pub mod wire;

mod carrier;
mod config;
mod connect;
mod files;
mod handshake;
mod lane;
mod link;
mod listener;
mod stream;

pub use backoff::Backoff;
pub use config::{ClientConfig, HandshakeLimits, ServerConfig};
pub use connect::{ConnectError, connect};
pub use identity::{KnownServers, KnownServersError, PeerKey, PinnedServer};
pub use lane::{LaneReceiver, SendError, TrySendError};
pub use link::{CloseReason, Link, LinkControl, LinkInfo, LinkReceiver, LinkSender};
pub use listener::Listener;
pub use password::{KsfBounds, KsfParams, Password, PasswordFile, ServerSecrets};
pub use session::PROTOCOL_VERSION;
pub use stream::{SecureReader, SecureWriter};

/// The largest message of the control lane, in bytes.
pub const CONTROL_MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The largest message of the hot lane, in bytes.
pub const HOT_MESSAGE_BYTES_MAX: usize = 1024 * 1024 + 4096;
/// The largest message of the bulk lane, in bytes.
///
/// A chunk of a lump and what its sender puts before it.
pub const BULK_MESSAGE_BYTES_MAX: usize = 64 * 1024 + 1024;
/// The largest message of the screen lane, in bytes.
pub const SCREEN_MESSAGE_BYTES_MAX: usize = 16 * 1024 + 64;
/// The longest name of a peer, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 64;
/// The longest agent string, in bytes of UTF-8.
pub const AGENT_BYTES_MAX: usize = 128;
