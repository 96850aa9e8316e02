// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a user types into an entity, as events for the process that the entity belongs to, wherever that runs.
//!
//! A user gives the keyboard to a target of the pointer ([`crate::pointer`]) by pressing a part of it that has the
//! component [`crate::scene::ComponentKind::Keyboard`]. Nothing else gives it.

use crate::{DecodeError, EntityId, PeerId, codec::Reader, input};
use alloc::vec::Vec;

/// Length of what comes before the input event, in bytes.
pub const HEAD_LEN: usize = 4 + 8;
/// Most bytes of one paste, which comes in as many events as it takes. What is over is cut off.
pub const PASTE_LEN_MAX: usize = 16 * input::TEXT_LEN_MAX;

/// What a user typed into an entity. As bytes: `u32` user, `u64` entity, and an event of [`crate::input`].
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The peer of the user.
    pub user: PeerId,
    /// The target that has the user's keyboard.
    pub entity: EntityId,
    /// A key, text, what was pasted, or that the entity has the keyboard ([`input::Event::Focus`]) or has lost it.
    pub did: input::Event,
}

/// Whether such an event is one of the keyboard that an entity may be told.
pub const fn is_told(event: &input::Event) -> bool {
    use input::Event as Did;
    matches!(event, Did::Key { .. } | Did::Text(_) | Did::Paste(_) | Did::Focus(_))
}

impl Event {
    /// The event as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let did = self.did.encode();
        let mut out = Vec::with_capacity(HEAD_LEN + did.len());
        out.extend_from_slice(&self.user.number().to_le_bytes());
        out.extend_from_slice(&self.entity.to_bits().to_le_bytes());
        out.extend_from_slice(&did);
        out
    }

    /// The event in these bytes.
    ///
    /// # Errors
    /// The user is none, the entity zero, or what follows is no input event of the keyboard.
    pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
        let mut reader = Reader::new(bytes);
        let no_peer = reader.error("the user's peer is none");
        let user = PeerId::new(reader.u32()?).ok_or(no_peer)?;
        let nothing = reader.error("entity id is zero");
        let entity = match reader.u64()? {
            0 => return Err(nothing),
            bits => EntityId::from_bits(bits),
        };
        let other = reader.error("no event of a keyboard");
        let at = reader.offset();
        let did = input::Event::decode(reader.bytes(reader.remaining())?)
            .map_err(|error| DecodeError { offset: at + error.offset, ..error })?;
        if is_told(&did) { Ok(Event { user, entity, did }) } else { Err(other) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::input::{Event as Did, Press, key};
    use proptest::prelude::*;

    fn event(did: Did) -> Event {
        Event { user: PeerId::new(2).unwrap(), entity: EntityId::from_bits(0x1234), did }
    }

    /// The document's examples.
    #[test]
    fn golden_vectors() {
        let head = [2, 0, 0, 0, 0x34, 0x12, 0, 0, 0, 0, 0, 0];
        for (did, tail) in [
            (Did::Focus(true), &[7, 0, 1][..]),
            (Did::Key { code: key::A, press: Press::Pressed }, &[1, 0, 4, 0, 1]),
            (Did::Text("ü".into()), &[2, 0, 0xc3, 0xbc]),
            (Did::Paste("ab".into()), &[15, 0, b'a', b'b']),
        ] {
            let bytes = [&head[..], tail].concat();
            assert_eq!(event(did.clone()).encode(), bytes);
            assert_eq!(Event::decode(&bytes), Ok(event(did)));
        }
    }

    #[test]
    fn what_is_no_event_of_a_keyboard_is_refused() {
        let bytes = event(Did::Text("a".into())).encode();
        for len in 0..HEAD_LEN + 2 {
            assert!(Event::decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        let wrong = |at: usize, with: &[u8]| {
            let mut wrong = bytes.clone();
            wrong[at..at + with.len()].copy_from_slice(with);
            wrong
        };
        assert!(Event::decode(&wrong(3, &[0xff])).is_err(), "no such peer");
        assert!(Event::decode(&wrong(4, &[0; 8])).is_err(), "no entity");
        assert!(Event::decode(&wrong(HEAD_LEN + 2, &[0xff])).is_err(), "no text");
        for other in [Did::Motion([1.0; 2]), Did::Captured(true), Did::Wheel([0.0; 2])] {
            assert!(Event::decode(&event(other).encode()).is_err());
        }
        let long = event(Did::Paste("x".repeat(input::TEXT_LEN_MAX + 1)));
        assert!(Event::decode(&long.encode()).is_err());
    }

    proptest! {
        #[test]
        fn strangers_do_not_panic_the_decoder(bytes: Vec<u8>) {
            if let Ok(event) = Event::decode(&bytes) {
                prop_assert_eq!(event.encode(), bytes);
            }
        }

        #[test]
        fn text_reads_back(text in ".{0,60}") {
            let event = event(Did::Text(text));
            prop_assert_eq!(Event::decode(&event.encode()), Ok(event));
        }
    }
}
