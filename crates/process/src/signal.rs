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

    /// Becomes a body of these bytes, where it is.
    #[inline]
    pub(crate) fn set(&mut self, from: &[u8]) {
        match &mut self.0 {
            Repr::Inline(len, bytes) if from.len() <= INLINE_LEN => {
                copy(&mut bytes[..from.len()], from);
                *len = from.len() as u8;
            }
            _ => *self = from.into(),
        }
    }

    /// Writes it to the beginning of a range that has room for it.
    #[inline]
    pub fn write_to(&self, room: &mut [u8]) {
        copy(&mut room[..self.len()], self);
    }

    /// The body as shared bytes.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Repr::Inline(len, bytes) => Bytes::copy_from_slice(&bytes[..usize::from(len)]),
            Repr::Shared(bytes) => bytes,
        }
    }
}

/// As `copy_from_slice`, without a call for the few bytes that most messages have.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    if let 8..=16 = from.len()
        && let (Some(first), Some(last)) = (from.first_chunk::<8>(), from.last_chunk::<8>())
    {
        // They overlap where there are fewer than 16.
        if let Some(to) = to.first_chunk_mut::<8>() {
            *to = *first;
        }
        if let Some(to) = to.last_chunk_mut::<8>() {
            *to = *last;
        }
    } else {
        to.copy_from_slice(from);
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
        for len in [0, 1, 7, 8, 11, 15, 16, 17, INLINE_LEN - 1, INLINE_LEN, INLINE_LEN + 1, 4096] {
            let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let body = Body::from(&bytes[..]);
            assert_eq!(&body[..], &bytes[..]);
            assert_eq!(body, Body::from(Bytes::from(bytes.clone())));
            let mut room = vec![0xa5; len + 1];
            body.write_to(&mut room);
            assert_eq!((&room[..len], room[len]), (&bytes[..], 0xa5));
            for before in [&b""[..], &[7; 12], &[7; 4096]] {
                let mut set = Body::from(before);
                set.set(&bytes);
                assert_eq!(set, body);
            }
            assert_eq!(body.into_bytes(), bytes);
        }
    }
}
