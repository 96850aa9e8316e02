// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a user's pointer does to an entity, as events for the process that the entity belongs to,
//! wherever that runs.
//!
//! An entity is a target of the pointer if it has the component [`crate::scene::ComponentKind::Pointer`],
//! which says what its owner [`Wants`]. The names of the events are those of W3C Pointer Events.

use crate::{
    DecodeError, EntityId, PeerId, SERIAL_BITS,
    codec::{Reader, put_floats},
    terminal::Modifiers,
};
use alloc::vec::Vec;

/// The pointer that is the mouse, or the middle of the picture while the mouse is captured.
pub const MOUSE: u8 = 0;
/// No button.
pub const NO_BUTTON: u8 = 255;

/// Which events an entity wants. With none of them it stands before others and tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Wants(u8);

impl Wants {
    /// Nothing.
    pub const NOTHING: Wants = Wants(0);
    /// [`Kind::Over`] and [`Kind::Out`].
    pub const HOVER: Wants = Wants(1);
    /// [`Kind::Move`].
    pub const MOVE: Wants = Wants(1 << 1);
    /// [`Kind::Press`], [`Kind::Release`], [`Kind::Click`] and [`Kind::Cancel`].
    pub const PRESS: Wants = Wants(1 << 2);
    /// [`Kind::DragStart`], [`Kind::Drag`] and [`Kind::DragEnd`].
    pub const DRAG: Wants = Wants(1 << 3);
    /// [`Kind::Wheel`].
    pub const WHEEL: Wants = Wants(1 << 4);
    /// [`Kind::Drop`].
    pub const DROP: Wants = Wants(1 << 5);
    /// All of them.
    pub const ALL: Wants = Wants(0b11_1111);

    /// These bits; `None` if one has no meaning.
    pub const fn from_bits(bits: u8) -> Option<Wants> {
        if bits & !Wants::ALL.0 == 0 { Some(Wants(bits)) } else { None }
    }

    /// As it stands in byte layouts.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether one of `other` is among these.
    pub const fn any(self, other: Wants) -> bool {
        self.0 & other.0 != 0
    }

    /// These and `other`.
    pub const fn and(self, other: Wants) -> Wants {
        Wants(self.0 | other.0)
    }

    /// The wants in this byte.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Wants, DecodeError> {
        let unknown = reader.error("unknown wish for events");
        Wants::from_bits(reader.u8()?).ok_or(unknown)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $wants:ident;)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Kind { $($(#[$doc])* $name = $number,)* }

        impl Kind {
            /// All kinds, in order.
            pub const ALL: &[Kind] = &[$(Kind::$name,)*];

            /// The kind with this number, if there is one.
            pub const fn from_number(number: u8) -> Option<Kind> {
                match number { $($number => Some(Kind::$name),)* _ => None }
            }

            /// The wish that this kind fulfils.
            pub const fn wanted_by(self) -> Wants {
                match self { $(Kind::$name => Wants::$wants,)* }
            }
        }
    };
}

kinds! {
    /// The pointer has come onto it.
    Over = 1, HOVER;
    /// The pointer has left it.
    Out = 2, HOVER;
    /// The pointer has moved on it, or, while it is pressed, anywhere.
    Move = 3, MOVE;
    /// A button went down on it.
    Press = 4, PRESS;
    /// A button went up that went down on it, wherever the pointer is.
    Release = 5, PRESS;
    /// The first button that went down on it went up on it. Comes after the release.
    Click = 6, PRESS;
    /// Whatever was pressed will not be released: the window lost the user's hands.
    Cancel = 7, PRESS;
    /// The pointer has begun to move with a button held.
    DragStart = 8, DRAG;
    /// It moves on with the button held.
    Drag = 9, DRAG;
    /// The button went up again, or will not.
    DragEnd = 10, DRAG;
    /// Another entity was dragged here and let go.
    Drop = 11, DROP;
    /// The wheel turned.
    Wheel = 12, WHEEL;
}

impl Kind {
    /// Whether the next event of this kind makes up for one that is lost.
    pub const fn is_motion(self) -> bool {
        matches!(self, Kind::Move | Kind::Drag)
    }
}

/// What a pointer did to an entity. As bytes, of which there are always [`EVENT_LEN`]: in the order of the
/// fields; an entity that is not there is zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// What happened. `u8`.
    pub kind: Kind,
    /// Which pointer of the user, [`MOUSE`] for now. `u8`.
    pub pointer: u8,
    /// The button that went down or up, or that began what goes on: 0 left, 1 right, 2 middle, 3 back,
    /// 4 forward; [`NO_BUTTON`] for none. `u8`.
    pub button: u8,
    /// The buttons that are down now, a bit for each. `u8`.
    pub buttons: u8,
    /// The keys that are held. `u8`.
    pub modifiers: Modifiers,
    /// The peer of the user. `u32`.
    pub user: PeerId,
    /// The entity with the component. `u64`.
    pub entity: EntityId,
    /// What lies under the pointer, if it is the entity or something below it. `u64`.
    pub hit: Option<EntityId>,
    /// Of a drop the entity that was dragged; of the end of a drag the target it was dropped on. `u64`.
    pub other: Option<EntityId>,
    /// Where the ray of the pointer begins, in the world, in metres. Three `f32`.
    pub from: [f32; 3],
    /// Where it goes: of length 1. Three `f32`.
    pub way: [f32; 3],
    /// Metres along the ray to the point. `f32`.
    pub distance: f32,
    /// Where the ray meets what it hits, in the world; if it does not meet the entity now: as far away as it
    /// last met it. Three `f32`.
    pub point: [f32; 3],
    /// The direction in which the surface faces there, in the world, of length 1; zero where it hits nothing.
    /// Three `f32`.
    pub normal: [f32; 3],
    /// Lines that the wheel turned right and up, else zero. Two `f32`.
    pub wheel: [f32; 2],
}

/// Length of an event in bytes.
pub const EVENT_LEN: usize = 5 + 4 + 3 * 8 + 15 * 4;

impl Event {
    /// Whether that button is down.
    pub const fn is_down(&self, button: u8) -> bool {
        button < 8 && self.buttons & (1 << button) != 0
    }

    /// The event as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(EVENT_LEN);
        let bytes = [self.kind as u8, self.pointer, self.button, self.buttons, self.modifiers.0];
        out.extend_from_slice(&bytes);
        out.extend_from_slice(&self.user.number().to_le_bytes());
        for id in [Some(self.entity), self.hit, self.other] {
            out.extend_from_slice(&id.map_or(0, EntityId::to_bits).to_le_bytes());
        }
        put_floats(&mut out, &self.from);
        put_floats(&mut out, &self.way);
        put_floats(&mut out, &[self.distance]);
        put_floats(&mut out, &self.point);
        put_floats(&mut out, &self.normal);
        put_floats(&mut out, &self.wheel);
        out
    }

    /// The event in these bytes.
    ///
    /// # Errors
    /// The kind is unknown, the entity zero, the user none, a number not finite, or bytes are missing or left.
    pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
        let mut r = Reader::new(bytes);
        let unknown = r.error("unknown kind of pointer event");
        let kind = Kind::from_number(r.u8()?).ok_or(unknown)?;
        let (pointer, button, buttons, modifiers) = (r.u8()?, r.u8()?, r.u8()?, Modifiers(r.u8()?));
        let no_peer = r.error("the user's peer is none");
        let user = PeerId::new(r.u32()?).ok_or(no_peer)?;
        let nothing = r.error("entity id is zero");
        let mut id = || r.u64().map(|bits| (bits != 0).then(|| EntityId::from_bits(bits)));
        let entity = id()?.ok_or(nothing)?;
        let (hit, other) = (id()?, id()?);
        let event = Event {
            kind,
            pointer,
            button,
            buttons,
            modifiers,
            user,
            entity,
            hit,
            other,
            from: r.finites()?,
            way: r.finites()?,
            distance: r.finite()?,
            point: r.finites()?,
            normal: r.finites()?,
            wheel: r.finites()?,
        };
        r.end()?;
        Ok(event)
    }
}

/// Bits that name a user in the place of a process: those of the peer, and no serial.
pub const fn user_bits(peer: PeerId) -> u64 {
    (peer.number() as u64) << SERIAL_BITS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn press() -> Event {
        Event {
            kind: Kind::Press,
            pointer: MOUSE,
            button: 0,
            buttons: 1,
            modifiers: Modifiers::SHIFT,
            user: PeerId::new(2).unwrap(),
            entity: EntityId::from_bits(0x1234),
            hit: Some(EntityId::from_bits(0x1235)),
            other: None,
            from: [0.0, 1.5, 3.0],
            way: [0.0, 0.0, -1.0],
            distance: 2.0,
            point: [0.0, 1.5, 1.0],
            normal: [0.0, 0.0, 1.0],
            wheel: [0.0; 2],
        }
    }

    /// The document's example.
    #[test]
    fn golden_vector() {
        let one = [0, 0, 0x80, 0x3f];
        let zero = [0; 4];
        let (one_half, two, three, back) =
            ([0, 0, 0xc0, 0x3f], [0, 0, 0, 0x40], [0, 0, 0x40, 0x40], [0, 0, 0x80, 0xbf]);
        let mut bytes = std::vec![4, 0, 0, 1, 1, 2, 0, 0, 0];
        bytes.extend([0x34, 0x12, 0, 0, 0, 0, 0, 0, 0x35, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let floats = [zero, one_half, three, zero, zero, back, two, zero, one_half, one, zero, zero, one];
        bytes.extend(floats.as_flattened());
        bytes.extend([0; 8]);
        assert_eq!(bytes.len(), EVENT_LEN);
        assert_eq!(press().encode(), bytes);
        assert_eq!(Event::decode(&bytes), Ok(press()));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let bytes = press().encode();
        for (at, byte) in [(0, 0), (0, 13), (8, 1), (3 * 8 + 9 + 3, 0x7f)] {
            let mut bad = bytes.clone();
            bad[at] = byte;
            if at == 3 * 8 + 9 + 3 {
                bad[at - 1] = 0x80;
            }
            assert!(Event::decode(&bad).is_err(), "byte {at}");
        }
        let mut nothing = bytes.clone();
        nothing[9..17].fill(0);
        assert!(Event::decode(&nothing).is_err());
        assert!(Event::decode(&bytes[..EVENT_LEN - 1]).is_err());
        assert!(Event::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn each_kind_is_wanted_by_one_bit() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_number(*kind as u8), Some(*kind));
            assert_eq!(kind.wanted_by().bits().count_ones(), 1, "{kind:?}");
            assert!(Wants::ALL.any(kind.wanted_by()));
        }
        assert_eq!(Wants::from_bits(0x40), None);
    }

    proptest! {
        #[test]
        fn strangers_do_not_panic_the_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..=EVENT_LEN + 1)) {
            if let Ok(event) = Event::decode(&bytes) {
                prop_assert_eq!(event.encode(), bytes);
            }
        }

        #[test]
        fn a_flipped_byte_is_another_event_or_an_error(at in 0..EVENT_LEN, flip in 1u8..) {
            let mut bytes = press().encode();
            bytes[at] ^= flip;
            if let Ok(event) = Event::decode(&bytes) {
                prop_assert_eq!(event.encode(), bytes);
            }
        }
    }
}
