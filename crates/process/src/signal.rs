// SPDX-License-Identifier: AGPL-3.0-or-later
//! What lies in a mailbox.

use bytes::Bytes;
use hearth_abi::signal::Header;
use std::{fmt, ops::Deref};

/// Bodies up to this length need no allocation.
const INLINE_LEN: usize = 30;

/// The body of a signal: bytes, cheap to clone; small ones are held without an allocation.
#[derive(Clone)]
pub struct Body(Repr);

#[derive(Clone)]
enum Repr {
    Inline(u8, [u8; INLINE_LEN]),
    Shared(Bytes),
}

// A signal fills one cache line.
const _: () = assert!(size_of::<Signal>() <= 64);

impl Body {
    /// A body of no bytes.
    pub const EMPTY: Body = Body(Repr::Inline(0, [0; INLINE_LEN]));

    /// The body as shared bytes.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Repr::Inline(len, bytes) => Bytes::copy_from_slice(&bytes[..usize::from(len)]),
            Repr::Shared(bytes) => bytes,
        }
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline(len, bytes) => &bytes[..usize::from(*len)],
            Repr::Shared(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Body {
    fn from(from: &[u8]) -> Body {
        if from.len() > INLINE_LEN {
            return Body(Repr::Shared(Bytes::copy_from_slice(from)));
        }
        let mut bytes = [0; INLINE_LEN];
        bytes[..from.len()].copy_from_slice(from);
        Body(Repr::Inline(from.len() as u8, bytes))
    }
}

impl From<Bytes> for Body {
    fn from(from: Bytes) -> Body {
        if from.len() <= INLINE_LEN { Body::from(&from[..]) } else { Body(Repr::Shared(from)) }
    }
}

impl From<Vec<u8>> for Body {
    fn from(from: Vec<u8>) -> Body {
        Body::from(Bytes::from(from))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Body) -> bool {
        **self == **other
    }
}

impl Eq for Body {}

/// What a process receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Kind, sender, status and tag.
    pub header: Header,
    /// At most [`hearth_abi::signal::BODY_LEN_MAX`] bytes.
    pub body: Body,
}

impl Signal {
    /// Length of the signal as a guest receives it, in bytes.
    pub fn encoded_len(&self) -> usize {
        hearth_abi::signal::HEADER_LEN + self.body.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_its_bytes_whatever_holds_them() {
        for len in [0, 1, INLINE_LEN - 1, INLINE_LEN, INLINE_LEN + 1, 4096] {
            let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let body = Body::from(&bytes[..]);
            assert_eq!(&body[..], &bytes[..]);
            assert_eq!(body, Body::from(Bytes::from(bytes.clone())));
            assert_eq!(body.into_bytes(), bytes);
        }
    }
}
