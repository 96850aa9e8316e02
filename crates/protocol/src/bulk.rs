// SPDX-License-Identifier: AGPL-3.0-or-later
//! Frames of the bulk lane: the bytes of lumps.
//!
//! Who wants a lump asks in the control lane ([`crate::control::Control::Want`]) under a transfer
//! number of its own; everything about that transfer then comes in this lane, in order: a head and
//! pieces until the size is reached, or that it is missing. The receiver verifies the whole against
//! the lump's id.
//!
//! Of a lump of [`GROUPED_MIN`] bytes and more the hashes of its groups come between head and pieces,
//! and the pieces only when the receiver has said from where
//! ([`crate::control::Control::Resume`]): it may have the first part of the lump already, and it
//! checks each group as it arrives.

use crate::FrameError;
use bytes::{BufMut, Bytes, BytesMut};
use hearth_abi::codec::Reader;

/// Longest piece of a lump in one frame, in bytes.
pub const PIECE_LEN_MAX: usize = 32 << 10;
/// Longest frame in bytes.
pub const FRAME_LEN_MAX: usize = PIECE_LEN_MAX + 16;

/// Bytes of a group: what a large lump is verified by.
pub const GROUP_LEN: u64 = 64 << 10;
/// Lumps of this many bytes and more are sent with the hashes of their groups.
pub const GROUPED_MIN: u64 = 1 << 20;
/// Bytes of the hash of a group.
pub const GROUP_HASH_LEN: u64 = 32;

/// Length in bytes of the group hashes that come after the head of a lump of this size; zero if none do.
pub fn groups_len(size: u64) -> u64 {
    if size < GROUPED_MIN { 0 } else { size.div_ceil(GROUP_LEN) * GROUP_HASH_LEN }
}

const HEAD: u8 = 1;
const PIECE: u8 = 2;
const MISSING: u8 = 3;
const GROUPS: u8 = 4;
const LOOKING: u8 = 5;

/// A frame of the bulk lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Type 1: `u32` transfer, `u64` size: the lump is here, this many bytes follow.
    Head {
        /// Number that the asking side gave the transfer.
        transfer: u32,
        /// Size of the lump in bytes.
        size: u64,
    },
    /// Type 2: `u32` transfer, and the next bytes of the lump to the end.
    Piece {
        /// Number that the asking side gave the transfer.
        transfer: u32,
        /// At most [`PIECE_LEN_MAX`].
        bytes: Bytes,
    },
    /// Type 3: `u32` transfer: the lump is not here, or could not be read to its end.
    Missing {
        /// Number that the asking side gave the transfer.
        transfer: u32,
    },
    /// Type 4: `u32` transfer, and the next bytes of the group hashes to the end.
    Groups {
        /// Number that the asking side gave the transfer.
        transfer: u32,
        /// At most [`PIECE_LEN_MAX`].
        bytes: Bytes,
    },
    /// Type 5: `u32` transfer: the lump is not here, and is on its way here.
    Looking {
        /// Number that the asking side gave the transfer.
        transfer: u32,
    },
}

impl Frame {
    /// The frame as bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(16);
        match self {
            Frame::Head { transfer, size } => {
                out.put_u8(HEAD);
                out.put_u32_le(*transfer);
                out.put_u64_le(*size);
            }
            Frame::Piece { transfer, bytes } | Frame::Groups { transfer, bytes } => {
                out.reserve(5 + bytes.len());
                out.put_u8(if matches!(self, Frame::Piece { .. }) { PIECE } else { GROUPS });
                out.put_u32_le(*transfer);
                out.put_slice(bytes);
            }
            Frame::Missing { transfer } | Frame::Looking { transfer } => {
                out.put_u8(if matches!(self, Frame::Missing { .. }) { MISSING } else { LOOKING });
                out.put_u32_le(*transfer);
            }
        }
        out.freeze()
    }

    /// Number that the asking side gave the transfer that this frame belongs to.
    pub fn transfer(&self) -> u32 {
        match self {
            Frame::Head { transfer, .. }
            | Frame::Piece { transfer, .. }
            | Frame::Missing { transfer }
            | Frame::Looking { transfer }
            | Frame::Groups { transfer, .. } => *transfer,
        }
    }

    /// The frame in these bytes; a piece is a part of them, not a copy.
    ///
    /// # Errors
    /// The frame is too long or cut, or its type unknown.
    pub fn decode(bytes: &Bytes) -> Result<Frame, FrameError> {
        if bytes.len() > FRAME_LEN_MAX {
            return Err(FrameError::TooLong { len: bytes.len(), limit: FRAME_LEN_MAX });
        }
        let mut reader = Reader::new(bytes);
        let unknown = reader.error("unknown type of frame");
        let kind = reader.u8()?;
        let transfer = reader.u32()?;
        let frame = match kind {
            HEAD => Frame::Head { transfer, size: reader.u64()? },
            PIECE => return Ok(Frame::Piece { transfer, bytes: bytes.slice(reader.offset()..) }),
            GROUPS => return Ok(Frame::Groups { transfer, bytes: bytes.slice(reader.offset()..) }),
            MISSING => Frame::Missing { transfer },
            LOOKING => Frame::Looking { transfer },
            _ => return Err(unknown.into()),
        };
        reader.end()?;
        Ok(frame)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn large_lumps_have_a_hash_for_each_group() {
        assert_eq!(groups_len(GROUPED_MIN - 1), 0);
        assert_eq!(groups_len(GROUPED_MIN), 16 * 32);
        assert_eq!(groups_len(GROUPED_MIN + 1), 17 * 32);
        // A stranger's size does not overflow.
        assert_eq!(groups_len(u64::MAX), (1 << 48) * 32);
    }

    proptest! {
        #[test]
        fn frames_read_back(transfer: u32, size: u64, bytes: Vec<u8>) {
            for frame in [
                Frame::Head { transfer, size },
                Frame::Piece { transfer, bytes: bytes.clone().into() },
                Frame::Missing { transfer },
                Frame::Looking { transfer },
                Frame::Groups { transfer, bytes: bytes.into() },
            ] {
                prop_assert_eq!(frame.transfer(), transfer);
                prop_assert_eq!(Frame::decode(&frame.encode()).unwrap(), frame);
            }
        }

        #[test]
        fn strangers_do_not_panic_the_decoder(bytes: Vec<u8>) {
            if let Ok(frame) = Frame::decode(&bytes.clone().into()) {
                prop_assert_eq!(&frame.encode()[..], &bytes[..]);
            }
        }
    }
}
