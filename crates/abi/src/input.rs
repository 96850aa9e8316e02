// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the user of a peer does, as events for the processes of that peer that asked.
//!
//! An event is a `u16` type and its fields. Keys are named by their place on the keyboard: the usage
//! id of the Keyboard/Keypad page of the USB HID Usage Tables (section 10), so `W` is 0x1A wherever
//! the layout puts that letter; what was typed comes as [`Event::Text`].

use crate::{DecodeError, codec::Reader, codec::put_floats};
use alloc::{string::String, vec::Vec};

/// Bits of a subscription: which events a process asks for.
pub mod mask {
    /// Keys pressed and released, and typed text. Needs authority of this peer.
    pub const KEYBOARD: u32 = 1;
    /// Mouse motion, buttons and wheel, and the place of the pointer.
    pub const MOUSE: u32 = 2;
    /// One event before each picture.
    pub const FRAME: u32 = 4;
    /// All bits that have a meaning.
    pub const ALL: u32 = KEYBOARD | MOUSE | FRAME;
}

/// Usage ids of some keys (USB HID Usage Tables, Keyboard/Keypad page).
pub mod key {
    #![allow(missing_docs, reason = "each constant is named by what is printed on the key")]
    pub const A: u16 = 0x04;
    pub const C: u16 = 0x06;
    pub const D: u16 = 0x07;
    pub const E: u16 = 0x08;
    pub const F: u16 = 0x09;
    pub const N: u16 = 0x11;
    pub const Q: u16 = 0x14;
    pub const S: u16 = 0x16;
    pub const T: u16 = 0x17;
    pub const W: u16 = 0x1A;
    pub const X: u16 = 0x1B;
    pub const Y: u16 = 0x1C;
    pub const ENTER: u16 = 0x28;
    pub const ESCAPE: u16 = 0x29;
    pub const SPACE: u16 = 0x2C;
    pub const F1: u16 = 0x3A;
    pub const RIGHT: u16 = 0x4F;
    pub const LEFT: u16 = 0x50;
    pub const DOWN: u16 = 0x51;
    pub const UP: u16 = 0x52;
    pub const LEFT_CONTROL: u16 = 0xE0;
    pub const LEFT_SHIFT: u16 = 0xE1;
    pub const LEFT_ALT: u16 = 0xE2;
}

/// What happened to a key or a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Press {
    /// It went up.
    Released = 0,
    /// It went down.
    Pressed = 1,
    /// It is held, and the system repeats it.
    Repeated = 2,
}

/// Something the user did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Type 1: `u16` usage id, `u8` press.
    Key {
        /// Usage id of the key.
        code: u16,
        /// What happened to it.
        press: Press,
    },
    /// Type 2: UTF-8 to the end, at most [`TEXT_LEN_MAX`] bytes.
    Text(String),
    /// Type 3: two `f32`: the mouse moved, in logical pixels, right and down.
    Motion([f32; 2]),
    /// Type 4: `u8` button (0 left, 1 right, 2 middle, 3 back, 4 forward), `u8` press, two `f32`.
    Button {
        /// Which button.
        button: u8,
        /// What happened to it.
        press: Press,
        /// Where the pointer is: logical pixels from the left upper corner of the picture.
        at: [f32; 2],
    },
    /// Type 5: two `f32`: the wheel turned, in lines, right and up.
    Wheel([f32; 2]),
    /// Type 6: `u64` time, `u32` step, two `u32`: a picture is about to be made.
    Frame {
        /// Nanoseconds of the monotonic clock.
        time_ns: u64,
        /// Nanoseconds since the frame before.
        step_ns: u32,
        /// Width and height of the picture in pixels.
        size: [u32; 2],
    },
    /// Type 7: `bool`: the window has, or has lost, the user's keyboard.
    Focus(bool),
    /// Type 8: `bool`: the pointer is captured, or is free.
    Captured(bool),
    /// Type 9: four `f32`: the free pointer has moved.
    Pointer {
        /// Where it is now: logical pixels from the left upper corner of the picture.
        at: [f32; 2],
        /// Width and height of the picture in logical pixels.
        picture: [f32; 2],
    },
}

/// Longest text of one event in bytes.
pub const TEXT_LEN_MAX: usize = 4096;

impl Event {
    /// The bit of [`mask`] that asks for this event; those without a bit of their own come with any.
    pub const fn mask(&self) -> u32 {
        match self {
            Event::Key { .. } | Event::Text(_) => mask::KEYBOARD,
            Event::Motion(_) | Event::Button { .. } | Event::Wheel(_) | Event::Pointer { .. } => mask::MOUSE,
            Event::Frame { .. } => mask::FRAME,
            Event::Focus(_) | Event::Captured(_) => mask::KEYBOARD | mask::MOUSE,
        }
    }

    /// The event as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24);
        let kind: u16 = match self {
            Event::Key { .. } => 1,
            Event::Text(_) => 2,
            Event::Motion(_) => 3,
            Event::Button { .. } => 4,
            Event::Wheel(_) => 5,
            Event::Frame { .. } => 6,
            Event::Focus(_) => 7,
            Event::Captured(_) => 8,
            Event::Pointer { .. } => 9,
        };
        out.extend_from_slice(&kind.to_le_bytes());
        match self {
            Event::Key { code, press } => {
                out.extend_from_slice(&code.to_le_bytes());
                out.push(*press as u8);
            }
            Event::Text(text) => out.extend_from_slice(text.as_bytes()),
            Event::Motion(by) | Event::Wheel(by) => put_floats(&mut out, by),
            Event::Button { button, press, at } => {
                out.extend_from_slice(&[*button, *press as u8]);
                put_floats(&mut out, at);
            }
            Event::Frame { time_ns, step_ns, size } => {
                out.extend_from_slice(&time_ns.to_le_bytes());
                for number in [step_ns, &size[0], &size[1]] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
            }
            Event::Focus(on) | Event::Captured(on) => out.push(u8::from(*on)),
            Event::Pointer { at, picture } => {
                put_floats(&mut out, at);
                put_floats(&mut out, picture);
            }
        }
        out
    }

    /// The event in these bytes.
    ///
    /// # Errors
    /// The type is unknown, a field is out of range, or bytes are missing or left.
    pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
        let mut reader = Reader::new(bytes);
        let unknown = reader.error("unknown type of input event");
        let event = match reader.u16()? {
            1 => Event::Key { code: reader.u16()?, press: Press::decode(&mut reader)? },
            2 => {
                let too_long = reader.error("text is too long");
                if reader.remaining() > TEXT_LEN_MAX {
                    return Err(too_long);
                }
                Event::Text(reader.text(reader.remaining())?.into())
            }
            3 => Event::Motion(reader.finites()?),
            4 => Event::Button {
                button: reader.u8()?,
                press: Press::decode(&mut reader)?,
                at: reader.finites()?,
            },
            5 => Event::Wheel(reader.finites()?),
            6 => Event::Frame {
                time_ns: reader.u64()?,
                step_ns: reader.u32()?,
                size: [reader.u32()?, reader.u32()?],
            },
            7 => Event::Focus(reader.bool()?),
            8 => Event::Captured(reader.bool()?),
            9 => Event::Pointer { at: reader.finites()?, picture: reader.finites()? },
            _ => return Err(unknown),
        };
        reader.end()?;
        Ok(event)
    }
}

impl Press {
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Press, DecodeError> {
        let unknown = reader.error("unknown press state");
        match reader.u8()? {
            0 => Ok(Press::Released),
            1 => Ok(Press::Pressed),
            2 => Ok(Press::Repeated),
            _ => Err(unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events_read_back() {
        for event in [
            Event::Key { code: key::W, press: Press::Repeated },
            Event::Text("ü".into()),
            Event::Motion([1.5, -2.0]),
            Event::Button { button: 1, press: Press::Pressed, at: [3.0, 4.0] },
            Event::Wheel([0.0, 1.0]),
            Event::Frame { time_ns: 5, step_ns: 6, size: [7, 8] },
            Event::Focus(true),
            Event::Captured(false),
            Event::Pointer { at: [640.5, 3.0], picture: [1280.0, 720.0] },
        ] {
            assert_eq!(Event::decode(&event.encode()), Ok(event));
        }
    }

    proptest! {
        #[test]
        fn strangers_do_not_panic_the_decoder(bytes: Vec<u8>) {
            if let Ok(event) = Event::decode(&bytes) {
                prop_assert_eq!(event.encode(), bytes);
            }
        }
    }
}
