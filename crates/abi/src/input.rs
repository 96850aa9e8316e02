// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the user of a peer does, as events for the processes of that peer that asked.
//!
//! An event is a `u16` type and its fields. Keys are named by their place on the keyboard: the usage
//! id of the Keyboard/Keypad page of the USB HID Usage Tables (section 10), so `W` is 0x1A wherever
//! the layout puts that letter; what was typed comes as [`Event::Text`].

use crate::{DecodeError, EntityId, LumpId, codec::Reader, codec::put_floats, pointer::Wants};
use alloc::{string::String, vec::Vec};

/// Bits of a subscription: which events a process asks for.
pub mod mask {
    /// Keys pressed and released, and typed text. Needs authority of this peer.
    pub const KEYBOARD: u32 = 1;
    /// Mouse motion, buttons and wheel, the place of the pointer, and what it is on.
    pub const MOUSE: u32 = 2;
    /// One event before each picture.
    pub const FRAME: u32 = 4;
    /// Files that the user drops on the window. Needs authority of this peer.
    pub const FILES: u32 = 8;
    /// Gamepads. Needs authority of this peer.
    pub const GAMEPAD: u32 = 16;
    /// All bits that need authority of this peer.
    pub const OF_USER: u32 = KEYBOARD | MOUSE | FILES | GAMEPAD;
    /// All bits that have a meaning.
    pub const ALL: u32 = OF_USER | FRAME;
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
    /// Type 10: `u64` entity, `u8` wants: the pointer, or the middle of the picture while it is captured, is on
    /// another target than before (see [`crate::pointer`]). What that wants is not meant for this process.
    Target {
        /// The target; zero for none.
        entity: Option<EntityId>,
        /// Which events its owner gets.
        wants: Wants,
    },
    /// Type 11: a file of this machine was dropped on the window, and is a lump now. 32 bytes, `u64` size, `u64`
    /// entity, two times three `f32`, and UTF-8 to the end, at most [`NAME_LEN_MAX`] bytes.
    File {
        /// Its content.
        lump: LumpId,
        /// Its length in bytes, at most [`FILE_LEN_MAX`].
        size: u64,
        /// What it was dropped on; zero if it met nothing.
        entity: Option<EntityId>,
        /// Where, in the world, in metres; if it met nothing, two metres before the eye.
        point: [f32; 3],
        /// The direction of the surface there, of length 1; zero if it met nothing.
        normal: [f32; 3],
        /// The file's name, without its folder.
        name: String,
    },
    /// Type 12: a gamepad has come or gone. `u8` which, `bool`, and UTF-8 to the end, at most [`NAME_LEN_MAX`] bytes.
    Gamepad {
        /// Its number: the lowest that was free when it came.
        gamepad: u8,
        /// Whether it is there.
        connected: bool,
        /// What its maker calls it.
        name: String,
    },
    /// Type 13: `u8` gamepad, `u8` button, `u8` press, `f32` value: a button of a gamepad, or how far it is pressed.
    GamepadButton {
        /// Which gamepad.
        gamepad: u8,
        /// Which button, by its number in the W3C's standard gamepad (0 to 16), for each layout alike.
        button: u8,
        /// Pressed or released; *repeated* if only the value has changed.
        press: Press,
        /// 0 to 1.
        value: f32,
    },
    /// Type 14: `u8` gamepad, `u8` axis, `f32` value: a stick of a gamepad.
    GamepadAxis {
        /// Which gamepad.
        gamepad: u8,
        /// 0 and 1 the left stick to the right and down, 2 and 3 the right one.
        axis: u8,
        /// −1 to 1; 0 while it rests.
        value: f32,
    },
    /// Type 15: UTF-8 to the end, at most [`TEXT_LEN_MAX`] bytes: the user pasted it into what has their keyboard
    /// ([`crate::keyboard`]). No subscription brings it.
    Paste(String),
}

/// Longest text of one event in bytes.
pub const TEXT_LEN_MAX: usize = 4096;
/// Longest name of a file or a gamepad in bytes; what is longer is cut.
pub const NAME_LEN_MAX: usize = 255;
/// Largest file that can be dropped in bytes: it is copied whole while the user waits for something to happen.
pub const FILE_LEN_MAX: u64 = 64 << 20;

impl Event {
    /// The bits of [`mask`] of which each asks for this event.
    pub const fn mask(&self) -> u32 {
        match self {
            Event::Key { .. } | Event::Text(_) => mask::KEYBOARD,
            Event::Motion(_)
            | Event::Button { .. }
            | Event::Wheel(_)
            | Event::Pointer { .. }
            | Event::Target { .. } => mask::MOUSE,
            Event::Frame { .. } => mask::FRAME,
            Event::File { .. } => mask::FILES,
            Event::Gamepad { .. } | Event::GamepadButton { .. } | Event::GamepadAxis { .. } => mask::GAMEPAD,
            Event::Focus(_) | Event::Captured(_) => mask::KEYBOARD | mask::MOUSE,
            Event::Paste(_) => 0,
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
            Event::Target { .. } => 10,
            Event::File { .. } => 11,
            Event::Gamepad { .. } => 12,
            Event::GamepadButton { .. } => 13,
            Event::GamepadAxis { .. } => 14,
            Event::Paste(_) => 15,
        };
        out.extend_from_slice(&kind.to_le_bytes());
        match self {
            Event::Key { code, press } => {
                out.extend_from_slice(&code.to_le_bytes());
                out.push(*press as u8);
            }
            Event::Text(text) | Event::Paste(text) => out.extend_from_slice(text.as_bytes()),
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
            Event::Target { entity, wants } => {
                out.extend_from_slice(&entity.map_or(0, EntityId::to_bits).to_le_bytes());
                out.push(wants.bits());
            }
            Event::File { lump, size, entity, point, normal, name } => {
                out.extend_from_slice(&lump.0);
                out.extend_from_slice(&size.to_le_bytes());
                out.extend_from_slice(&entity.map_or(0, EntityId::to_bits).to_le_bytes());
                put_floats(&mut out, point);
                put_floats(&mut out, normal);
                out.extend_from_slice(name.as_bytes());
            }
            Event::Gamepad { gamepad, connected, name } => {
                out.extend_from_slice(&[*gamepad, u8::from(*connected)]);
                out.extend_from_slice(name.as_bytes());
            }
            Event::GamepadButton { gamepad, button, press, value } => {
                out.extend_from_slice(&[*gamepad, *button, *press as u8]);
                put_floats(&mut out, &[*value]);
            }
            Event::GamepadAxis { gamepad, axis, value } => {
                out.extend_from_slice(&[*gamepad, *axis]);
                put_floats(&mut out, &[*value]);
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
            2 => Event::Text(text(&mut reader)?),
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
            10 => Event::Target { entity: entity(&mut reader)?, wants: Wants::decode(&mut reader)? },
            11 => Event::File {
                lump: LumpId(reader.array()?),
                size: reader.u64()?,
                entity: entity(&mut reader)?,
                point: reader.finites()?,
                normal: reader.finites()?,
                name: name(&mut reader)?,
            },
            12 => {
                Event::Gamepad { gamepad: reader.u8()?, connected: reader.bool()?, name: name(&mut reader)? }
            }
            13 => Event::GamepadButton {
                gamepad: reader.u8()?,
                button: reader.u8()?,
                press: Press::decode(&mut reader)?,
                value: reader.finite()?,
            },
            14 => Event::GamepadAxis { gamepad: reader.u8()?, axis: reader.u8()?, value: reader.finite()? },
            15 => Event::Paste(text(&mut reader)?),
            _ => return Err(unknown),
        };
        reader.end()?;
        Ok(event)
    }
}

/// An entity, zero for none.
fn entity(reader: &mut Reader<'_>) -> Result<Option<EntityId>, DecodeError> {
    let bits = reader.u64()?;
    Ok((bits != 0).then(|| EntityId::from_bits(bits)))
}

/// A text, to the end.
fn text(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    if reader.remaining() > TEXT_LEN_MAX {
        return Err(reader.error("text is too long"));
    }
    Ok(reader.text(reader.remaining())?.into())
}

/// A name, to the end.
fn name(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    if reader.remaining() > NAME_LEN_MAX {
        return Err(reader.error("name is too long"));
    }
    Ok(reader.text(reader.remaining())?.into())
}

/// As much of a name as an event may hold, cut between two characters.
pub fn cut_name(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_LEN_MAX)]
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
            Event::Target { entity: Some(EntityId::from_bits(7)), wants: Wants::PRESS },
            Event::Target { entity: None, wants: Wants::NOTHING },
            Event::File {
                lump: LumpId([7; 32]),
                size: 9,
                entity: Some(EntityId::from_bits(7)),
                point: [1.0, 2.0, 3.0],
                normal: [0.0, 1.0, 0.0],
                name: "Tür.png".into(),
            },
            Event::Gamepad { gamepad: 1, connected: true, name: "pad".into() },
            Event::GamepadButton { gamepad: 1, button: 16, press: Press::Pressed, value: 1.0 },
            Event::GamepadAxis { gamepad: 0, axis: 3, value: -0.5 },
            Event::Paste("two\nlines".into()),
        ] {
            assert_eq!(Event::decode(&event.encode()), Ok(event));
        }
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(cut_name("short"), "short");
        let long = "ü".repeat(200);
        assert_eq!(cut_name(&long).len(), NAME_LEN_MAX - 1);
        let event = |name: &str| Event::Gamepad { gamepad: 0, connected: true, name: name.into() }.encode();
        assert!(Event::decode(&event(cut_name(&long))).is_ok());
        assert!(Event::decode(&event(&long)).is_err());
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
