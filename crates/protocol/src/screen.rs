// SPDX-License-Identifier: AGPL-3.0-or-later
//! Frames of the screen lane: what terminals show.
//!
//! A lane of its own, with little room in front of it: a message of a process never waits behind a screen, a
//! screen not behind a lump, and a peer that is slow to read is sent what is newest when it has read, not all
//! that was shown meanwhile.

use crate::FrameError;
use bytes::{BufMut, Bytes, BytesMut};
use hearth_abi::{TerminalId, codec::Reader};

/// Longest piece of an update in one frame, in bytes.
pub const PIECE_LEN_MAX: usize = 16 << 10;
/// Longest frame in bytes.
pub const FRAME_LEN_MAX: usize = PIECE_LEN_MAX + 16;
/// Most terminals of one peer that are shown to the others at a time.
pub const TERMINALS_MAX: usize = 64;
/// Most cells of all terminals together that one peer shows to the others: 64 MiB where they are decoded.
pub const CELLS_MAX: usize = 4 << 20;

const UPDATE: u8 = 1;
const GONE: u8 = 2;
const ALL: u8 = 3;

/// A frame of the screen lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Type 1: `u64` terminal, `u8` 1 if it is the last piece of its update, and the next bytes of the update
    /// (`docs/formats/screen.md`), compressed, to the end. The pieces of an update come one behind the other.
    Update {
        /// Whose screen it is.
        terminal: TerminalId,
        /// Whether the update is whole with it.
        is_last: bool,
        /// 1 to [`PIECE_LEN_MAX`] bytes.
        piece: Bytes,
    },
    /// Type 2: `u64` terminal: it is shown no longer.
    Gone {
        /// Which.
        terminal: TerminalId,
    },
    /// Type 3: each terminal that the sender shows was named since the link began; what the receiver knows of
    /// others from an earlier link is gone.
    All,
}

impl Frame {
    /// The frame as bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(16);
        match self {
            Frame::Update { terminal, is_last, piece } => {
                out.reserve(piece.len());
                out.put_u8(UPDATE);
                out.put_u64_le(terminal.to_bits());
                out.put_u8(u8::from(*is_last));
                out.put_slice(piece);
            }
            Frame::Gone { terminal } => {
                out.put_u8(GONE);
                out.put_u64_le(terminal.to_bits());
            }
            Frame::All => out.put_u8(ALL),
        }
        out.freeze()
    }

    /// The frame in these bytes; a piece is a part of them, not a copy.
    ///
    /// # Errors
    /// The frame is too long, cut, of an unknown type, a piece is empty, or bytes are left.
    pub fn decode(bytes: &Bytes) -> Result<Frame, FrameError> {
        if bytes.len() > FRAME_LEN_MAX {
            return Err(FrameError::TooLong { len: bytes.len(), limit: FRAME_LEN_MAX });
        }
        let mut reader = Reader::new(bytes);
        let unknown = reader.error("unknown type of frame");
        let frame = match reader.u8()? {
            UPDATE => {
                let terminal = TerminalId::from_bits(reader.u64()?);
                let is_last = reader.bool()?;
                let piece = bytes.slice(reader.offset()..);
                if piece.is_empty() || piece.len() > PIECE_LEN_MAX {
                    return Err(reader.error("a piece has 1 to 16,384 bytes").into());
                }
                return Ok(Frame::Update { terminal, is_last, piece });
            }
            GONE => Frame::Gone { terminal: TerminalId::from_bits(reader.u64()?) },
            ALL => Frame::All,
            _ => return Err(unknown.into()),
        };
        reader.end()?;
        Ok(frame)
    }

    /// The frames that carry an update. None for an empty one, which is none.
    pub fn pieces(terminal: TerminalId, update: &Bytes) -> impl Iterator<Item = Frame> {
        let (update, count) = (update.clone(), update.len().div_ceil(PIECE_LEN_MAX));
        (0..count).map(move |index| {
            let start = index * PIECE_LEN_MAX;
            let piece = update.slice(start..update.len().min(start + PIECE_LEN_MAX));
            Frame::Update { terminal, is_last: index + 1 == count, piece }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    /// The document's examples.
    #[test]
    fn golden_vectors() {
        let terminal = TerminalId::from_bits(0x0000_1000_0000_0002);
        let piece = Bytes::from_static(&[7, 8]);
        let update = [1, 2, 0, 0, 0, 0, 0x10, 0, 0, 1, 7, 8];
        assert_eq!(Frame::Update { terminal, is_last: true, piece }.encode()[..], update);
        assert_eq!(Frame::Gone { terminal }.encode()[..], [2, 2, 0, 0, 0, 0, 0x10, 0, 0]);
        assert_eq!(Frame::All.encode()[..], [3]);
    }

    #[test]
    fn an_update_is_cut_into_pieces() {
        let terminal = TerminalId::from_bits(5);
        for (len, count) in [(0, 0), (1, 1), (PIECE_LEN_MAX, 1), (PIECE_LEN_MAX + 1, 2), (100_000, 7)] {
            let update: Bytes = (0..len).map(|n| n as u8).collect();
            let mut joined = Vec::new();
            let frames: Vec<Frame> = Frame::pieces(terminal, &update).collect();
            for (index, frame) in frames.iter().enumerate() {
                assert_eq!(Frame::decode(&frame.encode()).as_ref(), Ok(frame));
                let Frame::Update { is_last, piece, .. } = frame else { panic!("{frame:?}") };
                assert_eq!(*is_last, index + 1 == count);
                joined.extend_from_slice(piece);
            }
            assert_eq!((frames.len(), &joined[..]), (count, &update[..]));
        }
    }

    #[test]
    fn what_is_no_frame() {
        for bytes in [&[][..], &[0], &[4], &[3, 0], &[2, 0], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 1], &[1; 10]] {
            assert!(Frame::decode(&Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
        }
        let long = Bytes::from(vec![1; FRAME_LEN_MAX + 1]);
        assert!(matches!(Frame::decode(&long), Err(FrameError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn strangers_do_not_panic_the_decoder(bytes: Vec<u8>) {
            if let Ok(frame) = Frame::decode(&bytes.clone().into()) {
                prop_assert_eq!(&frame.encode()[..], &bytes[..]);
            }
        }
    }
}
