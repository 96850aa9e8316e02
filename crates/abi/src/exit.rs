// SPDX-License-Identifier: AGPL-3.0-or-later
//! Why a process ended, as data: the body of the signals `exit` and `down`, and what a guest gives to end
//! itself or another for a reason.
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | `u8` | kind, see [`ExitKind`] |
//! | 1 | `u8` | zero |
//! | 2 | `u16` | length of the text |
//! | 4 | bytes | text for people: UTF-8, at most [`TEXT_LEN_MAX`] bytes |
//! | 4 + length | bytes | data for programs, to the end, at most [`DATA_LEN_MAX`] bytes |

use crate::{DecodeError, codec::Reader};
use alloc::vec::Vec;

/// Longest text of a reason in bytes.
pub const TEXT_LEN_MAX: usize = 4096;
/// Most bytes of a reason's data.
pub const DATA_LEN_MAX: usize = 4096;
/// Length of what is before the text, in bytes.
pub const HEAD_LEN: usize = 4;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// What sort of end it was. Numbers are stable: they are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum ExitKind { $($(#[$doc])* $name = $number,)* }

        impl ExitKind {
            /// All kinds, in order.
            pub const ALL: &[ExitKind] = &[$(ExitKind::$name,)*];

            /// The kind with this number, if there is one.
            pub const fn from_number(number: u8) -> Option<ExitKind> {
                match number { $($number => Some(ExitKind::$name),)* _ => None }
            }

            /// Its name, which is the text of a reason that has no other.
            pub const fn name(self) -> &'static str {
                match self { $(ExitKind::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// It finished. Who is linked goes on.
    Normal = 0, "normal";
    /// It ended itself, with a reason.
    Error = 1, "error";
    /// Somebody killed it, or the peer shut down.
    Killed = 2, "killed";
    /// Its code did what it must not: an unreachable instruction, an access outside its memory.
    Trap = 3, "trap";
    /// It passed a limit that ends a process.
    Limit = 4, "limit";
    /// It never ran: its module could not be had, or cannot run here.
    Load = 5, "load";
    /// It was asked to end, as a supervisor does, or ended because its work is not wanted any more.
    Shutdown = 6, "shutdown";
    /// The wish that a process ends whether it traps exits or not; it then ends as [`ExitKind::Killed`].
    Kill = 7, "kill";
    /// There was no such process to link or to monitor.
    NoProcess = 8, "noproc";
    /// The peer of the process cannot be reached any more, or never could.
    NoConnection = 9, "noconnection";
}

/// A reason in the form in which it crosses boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason<'a> {
    /// What sort of end it was.
    pub kind: ExitKind,
    /// The reason in words.
    pub text: &'a str,
    /// The reason for programs; the SDK puts CBOR here.
    pub data: &'a [u8],
}

impl<'a> Reason<'a> {
    /// The reason as bytes. Text and data that are too long are cut.
    pub fn encode(&self) -> Vec<u8> {
        let text = &self.text[..self.text.floor_char_boundary(TEXT_LEN_MAX)];
        let data = &self.data[..self.data.len().min(DATA_LEN_MAX)];
        let mut out = Vec::with_capacity(HEAD_LEN + text.len() + data.len());
        out.extend_from_slice(&[self.kind as u8, 0]);
        out.extend_from_slice(&(text.len() as u16).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(data);
        out
    }

    /// The reason in these bytes.
    ///
    /// # Errors
    /// The kind is unknown, the text is no UTF-8, or one of the two is cut or too long.
    pub fn decode(bytes: &'a [u8]) -> Result<Reason<'a>, DecodeError> {
        let mut reader = Reader::new(bytes);
        let unknown = reader.error("unknown kind of exit");
        let kind = ExitKind::from_number(reader.u8()?).ok_or(unknown)?;
        let nonzero = reader.error("reserved field is not zero");
        if reader.u8()? != 0 {
            return Err(nonzero);
        }
        let long = reader.error("the text is too long");
        let len = usize::from(reader.u16()?);
        if len > TEXT_LEN_MAX {
            return Err(long);
        }
        let text = reader.text(len)?;
        let long = reader.error("the data is too long");
        if reader.remaining() > DATA_LEN_MAX {
            return Err(long);
        }
        Ok(Reason { kind, text, data: reader.bytes(reader.remaining())? })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use alloc::{string::String, vec};
    use proptest::prelude::*;

    /// The document's example.
    #[test]
    fn golden_vectors() {
        let bytes = [1, 0, 4, 0, b'l', b'o', b's', b't', 0x18, 0x2a];
        let reason = Reason { kind: ExitKind::Error, text: "lost", data: &[0x18, 0x2a] };
        assert_eq!(reason.encode(), bytes);
        assert_eq!(Reason::decode(&bytes), Ok(reason));
        let wrong: [&[u8]; 5] =
            [&bytes[..5], &bytes[..3], &[99, 0, 0, 0], &[1, 1, 0, 0], &[1, 0, 1, 0, 0xff]];
        for wrong in wrong {
            assert!(Reason::decode(wrong).is_err(), "{wrong:?}");
        }
        let long = [&[0, 0, 0, 0][..], &vec![0; DATA_LEN_MAX + 1]].concat();
        assert!(Reason::decode(&long).is_err());
    }

    #[test]
    fn numbers_are_their_own_inverse() {
        for kind in ExitKind::ALL {
            assert_eq!(ExitKind::from_number(*kind as u8), Some(*kind));
        }
    }

    proptest! {
        #[test]
        fn reasons_read_back(kind in 0u8..=9, text: String, data: Vec<u8>) {
            let reason = Reason { kind: ExitKind::from_number(kind).unwrap(), text: &text, data: &data };
            let bytes = reason.encode();
            prop_assert_eq!(Reason::decode(&bytes), Ok(reason));
        }

        #[test]
        fn strangers_do_not_panic_the_decoder(bytes: Vec<u8>) {
            if let Ok(reason) = Reason::decode(&bytes) {
                prop_assert_eq!(reason.encode(), bytes);
            }
        }
    }
}
