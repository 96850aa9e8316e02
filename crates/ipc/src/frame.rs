// SPDX-License-Identifier: AGPL-3.0-or-later
//! Frames: a 32-bit little-endian word with the length of the body in its lower 24 bits and the kind in
//! its upper 8, then the body.

use bytes::{BufMut, Bytes, BytesMut};
use hearth_protocol::operator::{FRAME_BYTES_MAX, FrameKind, LENGTH_BITS};
use std::io;
use tokio_util::codec::Decoder;

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 4;

/// How far ahead of what has arrived memory is set aside: a header is a promise, not a frame.
const RESERVE_BYTES_MAX: usize = 64 << 10;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it holds.
    pub kind: FrameKind,
    /// At most [`FRAME_BYTES_MAX`] bytes.
    pub body: Bytes,
}

/// Why bytes are no frames.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// There is no such kind of frame.
    #[error("there is no kind of frame with the number {0}")]
    Kind(u8),
    /// The body is over the limit.
    #[error("a frame of {0} bytes is over the limit of {FRAME_BYTES_MAX}")]
    TooLong(usize),
    /// An end frame has a body.
    #[error("an end frame has no body, but this one has {0} bytes")]
    EndWithBody(usize),
    /// The other side went away within a frame.
    #[error("the connection ended within a frame")]
    Cut,
    /// The socket failed.
    #[error("the socket failed")]
    Io(#[from] io::Error),
}

/// Writes a frame behind what `to` holds.
///
/// # Panics
///
/// If the body is over [`FRAME_BYTES_MAX`]; whoever writes frames splits data and bounds JSON first.
pub fn encode(kind: FrameKind, body: &[u8], to: &mut BytesMut) {
    assert!(body.len() <= FRAME_BYTES_MAX, "a frame of {} bytes", body.len());
    to.reserve(HEADER_BYTES + body.len());
    to.put_u32_le((kind as u32) << LENGTH_BITS | body.len() as u32);
    to.put_slice(body);
}

/// Turns arriving bytes into frames. Takes them in pieces of any size; after an error the rest of the
/// stream means nothing.
#[derive(Debug, Default)]
pub struct FrameDecoder(());

impl Decoder for FrameDecoder {
    type Item = Frame;
    type Error = FrameError;

    fn decode(&mut self, from: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some(header) = from.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let word = u32::from_le_bytes(*header);
        let (number, len) = ((word >> LENGTH_BITS) as u8, (word & ((1 << LENGTH_BITS) - 1)) as usize);
        let kind = FrameKind::from_number(number).ok_or(FrameError::Kind(number))?;
        if len > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong(len));
        }
        if kind == FrameKind::End && len > 0 {
            return Err(FrameError::EndWithBody(len));
        }
        let missing = (HEADER_BYTES + len).saturating_sub(from.len());
        if missing > 0 {
            from.reserve(missing.min(RESERVE_BYTES_MAX));
            return Ok(None);
        }
        let body = from.split_to(HEADER_BYTES + len).split_off(HEADER_BYTES).freeze();
        Ok(Some(Frame { kind, body }))
    }

    fn decode_eof(&mut self, from: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        match self.decode(from)? {
            None if !from.is_empty() => Err(FrameError::Cut),
            frame => Ok(frame),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    fn kind() -> impl Strategy<Value = FrameKind> {
        prop_oneof![Just(FrameKind::Json), Just(FrameKind::Data), Just(FrameKind::Error)]
    }

    proptest! {
        #[test]
        fn frames_come_back_however_they_are_cut(
            frames in prop::collection::vec((kind(), prop::collection::vec(any::<u8>(), 0..300)), 0..20),
            cuts in prop::collection::vec(1usize..50, 1..40),
        ) {
            let mut bytes = BytesMut::new();
            for (kind, body) in &frames {
                encode(*kind, body, &mut bytes);
            }
            let (mut decoder, mut buffer, mut back) = (FrameDecoder::default(), BytesMut::new(), Vec::new());
            let mut cuts = cuts.iter().cycle();
            while !bytes.is_empty() {
                let cut = (*cuts.next().unwrap()).min(bytes.len());
                buffer.extend_from_slice(&bytes.split_to(cut));
                while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
                    back.push((frame.kind, frame.body.to_vec()));
                }
            }
            prop_assert_eq!(back, frames);
        }

        #[test]
        fn any_bytes_are_frames_or_an_error(bytes: Vec<u8>) {
            let (mut decoder, mut buffer) = (FrameDecoder::default(), BytesMut::from(&bytes[..]));
            while let Ok(Some(frame)) = decoder.decode_eof(&mut buffer) {
                prop_assert!(frame.body.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn refused() {
        let check = |bytes: &[u8], expect: &str| {
            let error = FrameDecoder::default().decode_eof(&mut BytesMut::from(bytes)).unwrap_err();
            assert_eq!(error.to_string(), expect);
        };
        check(&[0, 0, 0, 0], "there is no kind of frame with the number 0");
        check(&[0, 0, 0, 9], "there is no kind of frame with the number 9");
        check(&[1, 0, 0x10, 2], "a frame of 1048577 bytes is over the limit of 1048576");
        check(&[1, 0, 0, 3, 7], "an end frame has no body, but this one has 1 bytes");
        check(&[2, 0, 0, 2, 7], "the connection ended within a frame");
        check(&[2, 0], "the connection ended within a frame");
    }

    #[test]
    fn a_header_alone_sets_little_memory_aside() {
        let mut buffer = BytesMut::from(&[0u8, 0, 0x10, 2][..]);
        assert!(FrameDecoder::default().decode(&mut buffer).unwrap().is_none());
        assert!(buffer.capacity() <= 2 * RESERVE_BYTES_MAX, "{}", buffer.capacity());
    }
}
