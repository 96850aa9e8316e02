// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a process receives: a header of [`HEADER_LEN`] bytes and a body.
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | `u16` | kind |
//! | 2 | `u16` | zero |
//! | 4 | `i32` | status: zero or more, or a negative error number (replies only) |
//! | 8 | `u64` | from: the process that sent it, zero if the host did |
//! | 16 | `u64` | tag: the receiver's own number of the request, timer or monitor; of an exit [`EXIT_OF_LINK`] or zero; else zero |
//! | 24 | bytes | body |

use crate::{DecodeError, codec::Reader};
use alloc::vec::Vec;

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 24;

/// What stands before each of several signals: its length as a `u32`, and a `u32` of zero.
pub const ENTRY_HEAD_LEN: usize = 8;

/// Largest body of a signal in bytes. What is larger travels as a lump.
pub const BODY_LEN_MAX: usize = 1 << 20;

/// Tag of an exit signal that came because a link broke: the two are linked no longer.
pub const EXIT_OF_LINK: u64 = 1;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// What sort of signal it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Kind { $($(#[$doc])* $name = $number,)* }

        impl Kind {
            /// The kind with this number, if there is one.
            pub const fn from_number(number: u16) -> Option<Kind> {
                match number { $($number => Some(Kind::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// A message from another process; the body is what it sent.
    Message = 1,
    /// A linked process ended (the tag is [`EXIT_OF_LINK`]), or a process asked this one to end (the tag is
    /// zero), and this one traps exits. The body is the reason (see [`crate::exit`]).
    Exit = 2,
    /// A monitored process ended; the tag is the monitor's, the body the reason (see [`crate::exit`]).
    Down = 3,
    /// A timer of this process went off; the tag is the timer's.
    Timeout = 4,
    /// The answer to a request of this process; the tag is the request's.
    Reply = 5,
    /// An input event (see [`crate::input`]) of the user of this peer.
    Input = 6,
    /// Something happened to a terminal that this process opened (see [`crate::terminal`]).
    Terminal = 7,
    /// A user's pointer did something to an entity of this process (see [`crate::pointer`]).
    Pointer = 8,
    /// A user typed into an entity of this process (see [`crate::keyboard`]).
    Keyboard = 9,
}

/// The header of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What sort of signal it is.
    pub kind: Kind,
    /// Zero or more, or a negative error number. Other than zero only in replies.
    pub status: i32,
    /// Bits of the process that sent it, zero if the host did.
    pub from: u64,
    /// The receiver's own number of the request, timer or monitor; [`EXIT_OF_LINK`] where a link broke.
    pub tag: u64,
}

impl Header {
    /// The header as bytes.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0..2].copy_from_slice(&(self.kind as u16).to_le_bytes());
        out[4..8].copy_from_slice(&self.status.to_le_bytes());
        out[8..16].copy_from_slice(&self.from.to_le_bytes());
        out[16..24].copy_from_slice(&self.tag.to_le_bytes());
        out
    }

    /// The header and the body of these bytes.
    ///
    /// # Errors
    /// The bytes are too few, or the kind is unknown.
    pub fn decode(bytes: &[u8]) -> Result<(Header, &[u8]), DecodeError> {
        let mut reader = Reader::new(bytes);
        let unknown = reader.error("unknown kind of signal");
        let kind = Kind::from_number(reader.u16()?).ok_or(unknown)?;
        let nonzero = reader.error("reserved field is not zero");
        if reader.u16()? != 0 {
            return Err(nonzero);
        }
        let header = Header { kind, status: reader.i32()?, from: reader.u64()?, tag: reader.u64()? };
        Ok((header, &bytes[HEADER_LEN..]))
    }
}

/// How many bytes a signal of so many takes among several: each begins at a multiple of eight, so that its numbers do too.
pub const fn entry_len(signal_len: usize) -> usize {
    ENTRY_HEAD_LEN + signal_len.next_multiple_of(8)
}

/// The signals in what `try_recv_many` has written. Ends at what is no entry.
pub fn entries(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let (head, after) = rest.split_at_checked(ENTRY_HEAD_LEN)?;
        let len = u32::from_le_bytes(*head.first_chunk()?) as usize;
        let signal = after.get(..len)?;
        rest = after.get(len.next_multiple_of(8)..).unwrap_or_default();
        Some(signal)
    })
}

/// Arguments of a process as bytes: for each a `u32` length and that many bytes.
pub fn encode_args<I: IntoIterator<Item: AsRef<[u8]>>>(args: I) -> Vec<u8> {
    let mut out = Vec::new();
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(&(arg.len() as u32).to_le_bytes());
        out.extend_from_slice(arg);
    }
    out
}

/// The arguments in these bytes.
///
/// # Errors
/// A length reaches beyond the end.
pub fn decode_args(bytes: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut args = Vec::new();
    while !reader.is_empty() {
        let len = reader.u32()? as usize;
        args.push(reader.bytes(len)?);
    }
    Ok(args)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_read_back(kind in 1u16..=8, status: i32, from: u64, tag: u64, body: Vec<u8>) {
            let header = Header { kind: Kind::from_number(kind).unwrap(), status, from, tag };
            let mut bytes = header.encode().to_vec();
            bytes.extend_from_slice(&body);
            prop_assert_eq!(Header::decode(&bytes), Ok((header, &body[..])));
        }

        #[test]
        fn several_signals_read_back(signals in prop::collection::vec(prop::collection::vec(any::<u8>(), 24..90), 0..9)) {
            let mut bytes = Vec::new();
            for signal in &signals {
                let begin = bytes.len();
                bytes.extend_from_slice(&(signal.len() as u32).to_le_bytes());
                bytes.extend_from_slice(&[0; 4]);
                bytes.extend_from_slice(signal);
                bytes.resize(begin + entry_len(signal.len()), 0xa5);
            }
            prop_assert_eq!(entries(&bytes).map(<[u8]>::to_vec).collect::<Vec<_>>(), signals);
        }

        #[test]
        fn args_read_back(args: Vec<Vec<u8>>) {
            let bytes = encode_args(&args);
            prop_assert_eq!(decode_args(&bytes).unwrap(), args);
        }

        #[test]
        fn strangers_do_not_panic_the_decoders(bytes: Vec<u8>) {
            let _ = Header::decode(&bytes);
            let _ = decode_args(&bytes);
            prop_assert!(entries(&bytes).all(|signal| signal.len() <= bytes.len()));
        }
    }
}
