// SPDX-License-Identifier: AGPL-3.0-or-later
//! The contracts between programs: what two peers say to each other inside an authenticated session
//! ([`hot`], [`control`], [`bulk`], [`screen`]), and what an operator says to a peer over its local socket
//! ([`operator`]).
//!
//! The byte layouts are documented in `docs/formats/peer.md` and `docs/formats/operator.md`. This crate
//! has no I/O and no clock; decoders take bytes from strangers, so they never panic and allocate no
//! more than a small multiple of their input.

pub mod bulk;
pub mod control;
pub mod hot;
pub mod operator;
pub mod screen;

/// Version of the peer-to-peer contract. Peers of different versions refuse each other in the hello.
pub const VERSION: u16 = 2;

/// Why a frame could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The layout is broken.
    #[error("malformed frame: {0}")]
    Layout(#[from] hearth_abi::DecodeError),
    /// A control frame is no valid postcard of its type.
    #[error("malformed control frame: {0}")]
    Control(#[from] postcard::Error),
    /// The frame is longer than its lane allows.
    #[error("frame of {len} bytes is over the limit of {limit}")]
    TooLong {
        /// Length of the frame in bytes.
        len: usize,
        /// Longest frame of its lane in bytes.
        limit: usize,
    },
}
