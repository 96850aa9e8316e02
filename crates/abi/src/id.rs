// SPDX-License-Identifier: AGPL-3.0-or-later
//! Names of things: lumps, peers, processes, entities. All are plain values that may be copied,
//! stored and sent; holding one gives no hold on the thing.

use alloc::string::String;
use core::{fmt, str::FromStr};

/// Number of bits of a [`ProcessId`] or [`EntityId`] that hold the serial number.
pub const SERIAL_BITS: u32 = 44;

const SERIAL_MASK: u64 = (1 << SERIAL_BITS) - 1;

/// Text that is no identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdError {
    text: String,
    wanted: &'static str,
}

impl IdError {
    fn new(text: &str, wanted: &'static str) -> IdError {
        IdError { text: text.chars().take(80).collect(), wanted }
    }
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}", self.text, self.wanted)
    }
}

impl core::error::Error for IdError {}

/// The name of a lump: the BLAKE3 hash of its bytes. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LumpId(pub [u8; 32]);

impl fmt::Display for LumpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LumpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LumpId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<LumpId, IdError> {
        let error = || IdError::new(text, "a lump id (64 hexadecimal digits)");
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(error());
        }
        let mut id = [0; 32];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |d: u8| (d as char).to_digit(16).ok_or_else(error);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Ok(LumpId(id))
    }
}

/// The number of a peer in its space: 20 bits, given by the space to a peer's key, never reused.
/// The home server is peer 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PeerId(u32);

impl PeerId {
    /// The home server of the space.
    pub const SERVER: PeerId = PeerId(0);
    /// The largest number a peer can have.
    pub const MAX: PeerId = PeerId((1 << 20) - 1);

    /// The peer with this number, if it is within 20 bits.
    pub const fn new(number: u32) -> Option<PeerId> {
        if number <= PeerId::MAX.0 { Some(PeerId(number)) } else { None }
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer {}", self.0)
    }
}

impl FromStr for PeerId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<PeerId, IdError> {
        decimal(text)
            .and_then(|n| u32::try_from(n).ok())
            .and_then(PeerId::new)
            .ok_or_else(|| IdError::new(text, "a peer number (0 to 1048575)"))
    }
}

/// Digits only: `u64::from_str` would also take a sign.
fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

macro_rules! placed_id {
    ($(#[$doc:meta])* $name:ident, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The largest serial number.
            pub const SERIAL_MAX: u64 = SERIAL_MASK;

            /// The id of this peer and serial number; `None` if the serial needs more than 44 bits.
            pub const fn new(peer: PeerId, serial: u64) -> Option<$name> {
                if serial > SERIAL_MASK {
                    return None;
                }
                Some($name((peer.0 as u64) << SERIAL_BITS | serial))
            }

            /// The id as it stands in byte layouts.
            pub const fn to_bits(self) -> u64 {
                self.0
            }

            /// The id from its byte layout. Every value is an id of something.
            pub const fn from_bits(bits: u64) -> $name {
                $name(bits)
            }

            /// The peer it was born on.
            pub const fn peer(self) -> PeerId {
                PeerId((self.0 >> SERIAL_BITS) as u32)
            }

            /// Its number on that peer.
            pub const fn serial(self) -> u64 {
                self.0 & SERIAL_MASK
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}.{}", self.peer(), self.serial())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<$name, IdError> {
                text.split_once('.')
                    .and_then(|(peer, serial)| $name::new(peer.parse().ok()?, decimal(serial)?))
                    .ok_or_else(|| IdError::new(text, $wanted))
            }
        }
    };
}

placed_id! {
    /// The id of a process: 20 bits of the peer it was born on and 44 bits of serial number.
    /// Written `peer.serial`, as `0.17`.
    ProcessId, "a process id (`peer.serial`, as `0.17`)"
}

placed_id! {
    /// The id of an entity, in the form of a process id: the writer's peer gives it, so creating
    /// an entity needs no round trip.
    EntityId, "an entity id (`peer.serial`, as `0.17`)"
}

placed_id! {
    /// The id of a terminal, in the form of a process id: given by the peer that hosts it.
    TerminalId, "a terminal id (`peer.serial`, as `0.17`)"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    proptest! {
        #[test]
        fn placed_ids_read_back_what_they_print(bits: u64) {
            let id = ProcessId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(ProcessId::new(id.peer(), id.serial()), Some(id));
        }

        #[test]
        fn lump_ids_read_back_what_they_print(bytes: [u8; 32]) {
            let id = LumpId(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn any_text_is_an_id_or_an_error(text: String) {
            let _ = text.parse::<LumpId>();
            let _ = text.parse::<ProcessId>();
            let _ = text.parse::<PeerId>();
        }
    }

    #[test]
    fn forms_that_are_refused() {
        for text in ["", ".", "0.", ".1", "+1.2", "1.+2", "1048576.0", "0.17592186044416", "0.1.2", " 0.1"] {
            assert!(text.parse::<ProcessId>().is_err(), "{text}");
        }
        for text in ["", "0", "zz", &"g".repeat(64), &"é".repeat(32)] {
            assert!(text.parse::<LumpId>().is_err(), "{text}");
        }
    }
}
