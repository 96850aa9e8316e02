// SPDX-License-Identifier: AGPL-3.0-or-later
//! Frames of the hot lane: messages of processes, what is typed into terminals, and changes of the scene.
//!
//! The first byte is the type. A server relays [`Frame::Message`], [`Frame::Kill`] and [`Frame::Terminal`] by
//! their header alone (see [`route`]); the bytes go on as they came.

use crate::FrameError;
use bytes::{BufMut, Bytes, BytesMut};
use hearth_abi::{ProcessId, TerminalId, codec::Reader, terminal::Command};

/// Longest frame in bytes: a message of the largest body and its header, or a batch of the scene.
pub const FRAME_LEN_MAX: usize = (1 << 20) + 64;

const MESSAGE: u8 = 1;
const KILL: u8 = 2;
const SCENE: u8 = 3;
const TERMINAL: u8 = 4;

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
}

/// Where a frame goes, read from its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The process that receives it, or the terminal, whose id has the same form.
    pub to: ProcessId,
    /// The process it came from; bits of zero if an operator sent it.
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
        MESSAGE | KILL | TERMINAL => Ok(Some(Route {
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
        _ => {}
    }
    Ok(())
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
        }
        out.freeze()
    }

    /// The frame in these bytes; bodies are parts of them, not copies.
    ///
    /// # Errors
    /// The frame is too long, its header cut, its type unknown, its text no UTF-8, or what is typed is from nobody.
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
            _ => Err(unknown.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
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
                Frame::Scene(body.into()),
            ] {
                let bytes = frame.encode();
                prop_assert_eq!(Frame::decode(&bytes).unwrap(), frame.clone());
                let from = match frame {
                    Frame::Terminal { from, .. } => from,
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
