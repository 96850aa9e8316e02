// SPDX-License-Identifier: AGPL-3.0-or-later
//! The local socket: how programs of the same user on the same machine reach a peer.
//!
//! [`RuntimeDir`] is the private folder where sockets live, [`Server`] one peer's socket in it, and
//! [`Client`] the other end; [`find_peer`] chooses among the peers that run. What is said is
//! [`hearth_protocol::operator`]; its document is `docs/formats/operator.md`. A peer implements
//! [`Operator`], which gets each request with its [`Exchange`].
//!
//! Only programs of the same user are let in; they are trusted with everything but the peer's
//! memory and time, so what they send is bounded and has deadlines ([`limits`]).
//!
//! This crate knows nothing of what requests do. It must not depend on `store`, `process`, `net`,
//! `scene` or anything above them.

mod client;
mod exchange;
mod find;
mod folder;
pub mod frame;
pub mod limits;
mod server;

pub use client::{Answer, Client, ClientError, ConnectError};
pub use exchange::{Exchange, ExchangeError};
pub use find::{Candidate, FindError, SOCKET_VARIABLE, find_peer, running_peers};
pub use folder::{FolderError, RUNTIME_DIR_VARIABLE, RuntimeDir};
pub use server::{BindError, Operator, Server, socket_name};
