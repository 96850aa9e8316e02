// SPDX-License-Identifier: AGPL-3.0-or-later
//! Frames of the hot lane: messages of processes, what is typed into terminals, what pointers do to entities, and
//! changes of the scene.
//!
//! The first byte is the type. A server relays [`Frame::Message`], [`Frame::Kill`], [`Frame::Terminal`] and
//! [`Frame::Pointer`] by their header alone (see [`route`]); the bytes go on as they came.

use crate::FrameError;
use bytes::{BufMut, Bytes, BytesMut};
use hearth_abi::{
    PeerId, ProcessId, TerminalId,
    codec::{DecodeError, Reader},
    pointer,
    terminal::Command,
};

/// Longest frame in bytes: a message of the largest body and its header, or a batch of the scene.
pub const FRAME_LEN_MAX: usize = (1 << 20) + 64;

const MESSAGE: u8 = 1;
const KILL: u8 = 2;
const SCENE: u8 = 3;
const TERMINAL: u8 = 4;
const POINTER: u8 = 5;

/// A frame of the hot lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Type 1: `u64` to, `u64` from, then the body to the end.
    Message {
        /// The process that receives it.
        to: ProcessId,
        /// The process that sent it.
        from: ProcessId,
        /// What it sent, 1 MiB at most.
        body: Bytes,
    },
    /// Type 2: `u64` to, `u64` from (zero: the operator), then the reason as UTF-8 to the end.
    Kill {
        /// The process that shall end.
        to: ProcessId,
        /// The process that wants it, if one does.
        from: Option<ProcessId>,
        /// Why.
        reason: String,
    },
    /// Type 3: a unit of the scene's own layout (`docs/formats/scene.md`) to the end.
    Scene(Bytes),
    /// Type 4: `u64` terminal, `u64` from, then a command (`docs/formats/terminal.md`) to the end.
    Terminal {
        /// The terminal that shall do it; its upper bits are its peer, as those of a process are.
        terminal: TerminalId,
        /// The process that wants it, or that gave the terminal its user's keyboard.
        from: ProcessId,
        /// What it shall do.
        command: Bytes,
    },
    /// Type 5: `u64` to, `u64` user (a peer in the upper 20 bits, and no serial), then an event
    /// (`docs/formats/pointer.md`) of that user.
    Pointer {
        /// The process that the entity belongs to.
        to: ProcessId,
        /// The peer of the user.
        user: PeerId,
        /// What the pointer did.
        event: Bytes,
    },
}

/// Where a frame goes, read from its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The process that receives it, or the terminal, whose id has the same form.
    pub to: ProcessId,
    /// The process it came from; bits of zero if an operator sent it, a serial of zero if a user's pointer did.
    pub from: ProcessId,
}

/// The route of a frame between processes; `None` for a frame that concerns the peer itself.
///
/// # Errors
/// The header is cut or the type unknown.
pub fn route(frame: &[u8]) -> Result<Option<Route>, FrameError> {
    let mut reader = Reader::new(frame);
    let unknown = reader.error("unknown type of frame");
    match reader.u8()? {
        MESSAGE | KILL | TERMINAL | POINTER => Ok(Some(Route {
            to: ProcessId::from_bits(reader.u64()?),
            from: ProcessId::from_bits(reader.u64()?),
        })),
        SCENE => Ok(None),
        _ => Err(unknown.into()),
    }
}

/// Whether a frame between processes is one that its receiver will read: whoever passes a
/// frame on vouches for that.
///
/// # Errors
/// As [`Frame::decode`], or the command of a terminal is malformed.
pub fn check(frame: &[u8]) -> Result<(), FrameError> {
    if frame.len() > FRAME_LEN_MAX {
        return Err(FrameError::TooLong { len: frame.len(), limit: FRAME_LEN_MAX });
    }
    let mut reader = Reader::new(frame);
    let kind = reader.u8()?;
    if kind == KILL || kind == TERMINAL {
        reader.u64()?;
        let nobody = reader.error("what is typed comes from a process");
        if reader.u64()? == 0 && kind == TERMINAL {
            return Err(nobody.into());
        }
    }
    match kind {
        KILL => drop(reader.text(reader.remaining())?),
        TERMINAL => drop(Command::decode(reader.bytes(reader.remaining())?)?),
        POINTER => drop(pointer(&mut reader)?),
        _ => {}
    }
    Ok(())
}

/// The fields of a frame about a pointer, whose event must be one of the user that it names.
fn pointer<'a>(reader: &mut Reader<'a>) -> Result<(ProcessId, PeerId, &'a [u8]), DecodeError> {
    let to = ProcessId::from_bits(reader.u64()?);
    // A server has no user, and zero would be anybody.
    let nobody = reader.error("a pointer belongs to a user");
    let user = ProcessId::from_bits(reader.u64()?);
    if user.serial() != 0 || user.peer() == PeerId::SERVER {
        return Err(nobody);
    }
    let another = reader.error("the event is another user's");
    let start = reader.offset();
    let bytes = reader.bytes(reader.remaining())?;
    let event = pointer::Event::decode(bytes)
        .map_err(|error| DecodeError { offset: start + error.offset, ..error })?;
    if event.user != user.peer() {
        return Err(another);
    }
    Ok((to, user.peer(), bytes))
}

impl Frame {
    /// The frame as bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Frame::Message { to, from, body } => {
                out.reserve(17 + body.len());
                out.put_u8(MESSAGE);
                out.put_u64_le(to.to_bits());
                out.put_u64_le(from.to_bits());
                out.put_slice(body);
            }
            Frame::Kill { to, from, reason } => {
                out.put_u8(KILL);
                out.put_u64_le(to.to_bits());
                out.put_u64_le(from.map_or(0, ProcessId::to_bits));
                out.put_slice(reason.as_bytes());
            }
            Frame::Scene(unit) => {
                out.reserve(1 + unit.len());
                out.put_u8(SCENE);
                out.put_slice(unit);
            }
            Frame::Terminal { terminal, from, command } => {
                out.reserve(17 + command.len());
                out.put_u8(TERMINAL);
                out.put_u64_le(terminal.to_bits());
                out.put_u64_le(from.to_bits());
                out.put_slice(command);
            }
            Frame::Pointer { to, user, event } => {
                out.reserve(17 + event.len());
                out.put_u8(POINTER);
                out.put_u64_le(to.to_bits());
                out.put_u64_le(pointer::user_bits(*user));
                out.put_slice(event);
            }
        }
        out.freeze()
    }

    /// The frame in these bytes; bodies are parts of them, not copies.
    ///
    /// # Errors
    /// The frame is too long, its header cut, its type unknown, its text no UTF-8, what is typed is from nobody, or
    /// an event of a pointer is malformed or not of the user that the header names.
    pub fn decode(bytes: &Bytes) -> Result<Frame, FrameError> {
        if bytes.len() > FRAME_LEN_MAX {
            return Err(FrameError::TooLong { len: bytes.len(), limit: FRAME_LEN_MAX });
        }
        let mut reader = Reader::new(bytes);
        let unknown = reader.error("unknown type of frame");
        match reader.u8()? {
            MESSAGE => {
                let to = ProcessId::from_bits(reader.u64()?);
                let from = ProcessId::from_bits(reader.u64()?);
                Ok(Frame::Message { to, from, body: bytes.slice(reader.offset()..) })
            }
            KILL => {
                let to = ProcessId::from_bits(reader.u64()?);
                let from = reader.u64()?;
                let reason = reader.text(reader.remaining())?.to_owned();
                Ok(Frame::Kill { to, from: (from != 0).then(|| ProcessId::from_bits(from)), reason })
            }
            SCENE => Ok(Frame::Scene(bytes.slice(1..))),
            TERMINAL => {
                let terminal = TerminalId::from_bits(reader.u64()?);
                // Zero has the form of a process of the server.
                let nobody = reader.error("what is typed comes from a process");
                let from = match reader.u64()? {
                    0 => return Err(nobody.into()),
                    from => ProcessId::from_bits(from),
                };
                Ok(Frame::Terminal { terminal, from, command: bytes.slice(reader.offset()..) })
            }
            POINTER => {
                let (to, user, event) = pointer(&mut reader)?;
                Ok(Frame::Pointer { to, user, event: bytes.slice(bytes.len() - event.len()..) })
            }
            _ => Err(unknown.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use hearth_abi::{EntityId, terminal::Modifiers};
    use proptest::prelude::*;

    /// The document's example.
    #[test]
    fn golden_vectors() {
        let frame = Frame::Terminal {
            terminal: TerminalId::from_bits(0x0000_1000_0000_0002),
            from: ProcessId::from_bits(0x0000_2000_0000_0003),
            command: Command::Text("ls".into()).encode().into(),
        };
        let bytes = [4, 2, 0, 0, 0, 0, 0x10, 0, 0, 3, 0, 0, 0, 0, 0x20, 0, 0, 3, b'l', b's'];
        assert_eq!(frame.encode()[..], bytes);
        assert_eq!(check(&bytes), Ok(()));
        assert!(check(&bytes[..17]).is_err(), "no command");
        assert!(check(&bytes[..16]).is_err(), "no sender");
        let nobody = [&bytes[..9], &[0; 8], &bytes[17..]].concat();
        assert!(check(&nobody).is_err() && Frame::decode(&nobody.into()).is_err());
        assert!(check(&[&bytes[..17], &[99]].concat()).is_err(), "no such command");
    }

    /// A press of the user of this peer.
    fn event(user: u32) -> Bytes {
        let event = pointer::Event {
            kind: pointer::Kind::Press,
            pointer: pointer::MOUSE,
            button: 0,
            buttons: 1,
            modifiers: Modifiers::default(),
            user: PeerId::new(user).unwrap(),
            entity: EntityId::from_bits(9),
            hit: None,
            other: None,
            from: [0.0; 3],
            way: [0.0, 0.0, -1.0],
            distance: 1.0,
            point: [0.0, 0.0, -1.0],
            normal: [0.0; 3],
            wheel: [0.0; 2],
        };
        event.encode().into()
    }

    #[test]
    fn a_pointer_belongs_to_the_user_that_the_header_names() {
        let user = PeerId::new(2).unwrap();
        let to = ProcessId::from_bits(0x0000_1000_0000_0002);
        let bytes = Frame::Pointer { to, user, event: event(2) }.encode();
        let header = [5, 2, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0];
        assert_eq!(bytes[..17], header);
        assert_eq!(check(&bytes), Ok(()));
        let wrong = |at: usize, byte: u8| {
            let mut wrong = bytes.to_vec();
            wrong[at] = byte;
            wrong
        };
        for (bytes, what) in [
            (wrong(14, 0x30), "another peer"),
            (wrong(14, 0), "the server, or nobody"),
            (wrong(9, 1), "a process"),
            (wrong(17, 99), "no such event"),
            (bytes[..bytes.len() - 1].to_vec(), "cut"),
            (header.to_vec(), "no event"),
            (Frame::Pointer { to, user: PeerId::SERVER, event: event(0) }.encode().to_vec(), "of the server"),
        ] {
            assert!(check(&bytes).is_err(), "{what}");
            assert!(Frame::decode(&bytes.into()).is_err(), "{what}");
        }
    }

    proptest! {
        #[test]
        fn frames_read_back(to: u64, from: u64, body: Vec<u8>, reason: String) {
            let (to, from) = (ProcessId::from_bits(to), ProcessId::from_bits(from));
            for frame in [
                Frame::Message { to, from, body: body.clone().into() },
                Frame::Kill { to, from: (from.to_bits() != 0).then_some(from), reason },
                Frame::Terminal {
                    terminal: TerminalId::from_bits(to.to_bits()),
                    from: ProcessId::from_bits(from.to_bits().max(1)),
                    command: body.clone().into(),
                },
                Frame::Pointer { to, user: PeerId::new(7).unwrap(), event: event(7) },
                Frame::Scene(body.into()),
            ] {
                let bytes = frame.encode();
                prop_assert_eq!(Frame::decode(&bytes).unwrap(), frame.clone());
                let from = match frame {
                    Frame::Terminal { from, .. } => from,
                    Frame::Pointer { user, .. } => ProcessId::from_bits(pointer::user_bits(user)),
                    _ => from,
                };
                let wanted = (!matches!(frame, Frame::Scene(_))).then_some(Route { to, from });
                prop_assert_eq!(route(&bytes).unwrap(), wanted);
            }
        }

        #[test]
        fn strangers_do_not_panic_the_decoder(bytes: Vec<u8>) {
            let _ = route(&bytes);
            if let Ok(frame) = Frame::decode(&bytes.clone().into()) {
                prop_assert_eq!(&frame.encode()[..], &bytes[..]);
            }
        }
    }
}
