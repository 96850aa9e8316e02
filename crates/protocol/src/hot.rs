// SPDX-License-Identifier: AGPL-3.0-or-later
//! Frames of the hot lane: messages of processes, links and monitors between them, what is typed into terminals,
//! what pointers do to entities, what is typed into these, and changes of the scene.
//!
//! The first byte is the type. A server relays [`Frame::Message`], [`Frame::Kill`], [`Frame::Terminal`],
//! [`Frame::Pointer`], [`Frame::Keyboard`], [`Frame::Leave`], [`Frame::Tie`], [`Frame::ExitTo`] and [`Frame::Forsake`] by their
//! header alone (see [`route`]); the bytes go on as they came.
//!
//! [`Frame::Tie`], [`Frame::Gone`] and [`Frame::Forsake`] are *sure*: two neighbours count them, keep what the other has not
//! confirmed, and send it again when their connection was broken ([`Frame::Hail`], [`Frame::Received`]).

use crate::FrameError;
use bytes::{BufMut, Bytes, BytesMut};
use hearth_abi::{
    PeerId, ProcessId, TerminalId,
    codec::{DecodeError, Reader},
    exit::Reason,
    keyboard, pointer,
    terminal::Command,
};

/// Longest frame in bytes: a message of the largest body and its header, or a batch of the scene.
pub const FRAME_LEN_MAX: usize = (1 << 20) + 64;

const MESSAGE: u8 = 1;
const KILL: u8 = 2;
const SCENE: u8 = 3;
const TERMINAL: u8 = 4;
const POINTER: u8 = 5;
const LINK: u8 = 6;
const UNLINK: u8 = 7;
const UNLINKED: u8 = 8;
const MONITOR: u8 = 9;
const DEMONITOR: u8 = 10;
const EXIT: u8 = 11;
const DOWN: u8 = 12;
const EXIT_TO: u8 = 13;
const GONE: u8 = 14;
const HAIL: u8 = 15;
const RECEIVED: u8 = 16;
const KEYBOARD: u8 = 17;
const LEAVE: u8 = 18;
const FORSAKE: u8 = 19;

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
    /// Type 17: as [`Frame::Pointer`], with an event of `docs/formats/keyboard.md`.
    Keyboard {
        /// The process that the entity belongs to.
        to: ProcessId,
        /// The peer of the user.
        user: PeerId,
        /// What was typed.
        event: Bytes,
    },
    /// Type 18: `u64` user (a peer in the upper 20 bits, and no serial), `u64` from: the process gives the keyboard back
    /// that this user has given to an entity of it.
    Leave {
        /// The peer of the user.
        user: PeerId,
        /// The process; never zero.
        from: ProcessId,
    },
    /// Types 6 to 12: `u64` to, `u64` from, then what the type has. Sure.
    Tie {
        /// The process whose half of the link or monitor it is for.
        to: ProcessId,
        /// The process that has the other half; never zero.
        from: ProcessId,
        /// What is said of it.
        tie: Tie,
    },
    /// Type 19: `u64` peer (in the upper 20 bits, and no serial), `u64` from, `u64` call: the process has no answer to a call of
    /// this number, by which it was to be tied to a process of that peer, and gets none any more. Sure.
    Forsake {
        /// The peer that was asked.
        peer: PeerId,
        /// The process that has asked; never zero.
        from: ProcessId,
        /// The number of the call.
        call: u64,
    },
    /// Type 13: `u64` to, `u64` from (zero: the operator), then a reason to the end. An exit signal that is sent.
    ExitTo {
        /// The process that gets it.
        to: ProcessId,
        /// The process that sends it, if one does.
        from: Option<ProcessId>,
        /// Why, in the form of [`hearth_abi::exit`].
        reason: Bytes,
    },
    /// Type 14, of a server, and of a client as the answer: `u32` peer. It is not to be reached any more, and what is tied to processes of
    /// it is not. Sure.
    Gone {
        /// Which.
        peer: PeerId,
    },
    /// Type 15, once at the beginning of a connection, by the client; then by the server in answer: how the sure
    /// frames go on.
    Hail {
        /// Number of what the sender sends, by which the other knows it again. Never zero.
        stream: u64,
        /// Number of what the other sends, as the sender knows it; zero if it knows nothing of it, or no longer.
        of: u64,
        /// How many sure frames of that it has received.
        received: u64,
    },
    /// Type 16: `u64`: so many sure frames of the other were received.
    Received(u64),
}

/// What the peer of one process tells that of another about a link or a monitor between the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tie {
    /// Type 6: they are linked.
    Link,
    /// Type 7: they are linked no longer.
    Unlink,
    /// Type 8: the answer to [`Tie::Unlink`].
    Unlinked,
    /// Type 9: `u64` number. The sender monitors the receiver, under this number of its own.
    Monitor(u64),
    /// Type 10: `u64` number. It does so no longer.
    Demonitor(u64),
    /// Type 11: a reason to the end. The link broke: the sender has ended, or cannot be linked.
    Exit(Bytes),
    /// Type 12: `u64` number, then a reason to the end. The sender, which is monitored under this number, has
    /// ended, or cannot be monitored.
    Down(u64, Bytes),
}

impl Tie {
    /// Whether something new begins by it, which may be refused.
    pub fn begins(&self) -> bool {
        matches!(self, Tie::Link | Tie::Monitor(_))
    }
}

/// Whether a frame is a sure one: counted, kept until it is confirmed, and sent again over a new connection.
pub fn is_sure(frame: &[u8]) -> bool {
    matches!(frame.first().copied(), Some(LINK..=DOWN | GONE | FORSAKE))
}

/// Whether a frame is a [`Frame::Forsake`], which goes on over streams that begin anew.
pub fn is_forsaken(frame: &[u8]) -> bool {
    frame.first() == Some(&FORSAKE)
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
        MESSAGE | KILL | TERMINAL | POINTER | LINK..=EXIT_TO | KEYBOARD | LEAVE | FORSAKE => {
            Ok(Some(Route {
                to: ProcessId::from_bits(reader.u64()?),
                from: ProcessId::from_bits(reader.u64()?),
            }))
        }
        SCENE | GONE | HAIL | RECEIVED => Ok(None),
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
        POINTER | KEYBOARD => drop(of_user(kind, &mut reader)?),
        LEAVE => drop(leave(&mut reader)?),
        FORSAKE => drop(forsake(&mut reader)?),
        LINK..=DOWN => drop(tie(kind, &mut reader)?),
        EXIT_TO => drop(exit_to(&mut reader)?),
        _ => {}
    }
    Ok(())
}

/// What is said of a link or monitor, without the bytes of its reason, which come last.
#[derive(Clone, Copy)]
enum Said {
    Link,
    Unlink,
    Unlinked,
    Monitor(u64),
    Demonitor(u64),
    Exit,
    Down(u64),
}

/// The fields of a frame about a link or monitor; what remains is its reason, if it has one.
fn tie(kind: u8, reader: &mut Reader<'_>) -> Result<(ProcessId, ProcessId, Said), DecodeError> {
    let to = ProcessId::from_bits(reader.u64()?);
    let nobody = reader.error("a link or monitor is one of a process");
    let from = match reader.u64()? {
        0 => return Err(nobody),
        from => ProcessId::from_bits(from),
    };
    let said = match kind {
        LINK => Said::Link,
        UNLINK => Said::Unlink,
        UNLINKED => Said::Unlinked,
        MONITOR => Said::Monitor(reader.u64()?),
        DEMONITOR => Said::Demonitor(reader.u64()?),
        EXIT => Said::Exit,
        _ => Said::Down(reader.u64()?),
    };
    match said {
        Said::Exit | Said::Down(_) => reason(reader.clone())?,
        _ => {
            let more = reader.error("bytes after the end");
            if !reader.is_empty() {
                return Err(more);
            }
        }
    }
    Ok((to, from, said))
}

/// Whether the rest is a reason.
fn reason(mut reader: Reader<'_>) -> Result<(), DecodeError> {
    let start = reader.offset();
    let bytes = reader.bytes(reader.remaining())?;
    Reason::decode(bytes).map(drop).map_err(|error| DecodeError { offset: start + error.offset, ..error })
}

/// The fields of an exit signal that is sent; what remains is its reason.
fn exit_to(reader: &mut Reader<'_>) -> Result<(ProcessId, Option<ProcessId>), DecodeError> {
    let to = ProcessId::from_bits(reader.u64()?);
    let from = reader.u64()?;
    reason(reader.clone())?;
    Ok((to, (from != 0).then(|| ProcessId::from_bits(from))))
}

/// The fields of a frame about what a user does, whose event must be one of the user that it names.
fn of_user<'a>(kind: u8, reader: &mut Reader<'a>) -> Result<(ProcessId, PeerId, &'a [u8]), DecodeError> {
    let to = ProcessId::from_bits(reader.u64()?);
    let user = user(reader)?;
    let another = reader.error("the event is another user's");
    let start = reader.offset();
    let bytes = reader.bytes(reader.remaining())?;
    let said = match kind {
        POINTER => pointer::Event::decode(bytes).map(|event| event.user),
        _ => keyboard::Event::decode(bytes).map(|event| event.user),
    };
    if said.map_err(|error| DecodeError { offset: start + error.offset, ..error })? != user {
        return Err(another);
    }
    Ok((to, user, bytes))
}

/// The peer of a user, in the place of a process.
fn user(reader: &mut Reader<'_>) -> Result<PeerId, DecodeError> {
    let nobody = reader.error("hands belong to a user");
    let user = ProcessId::from_bits(reader.u64()?);
    if user.serial() != 0 || user.peer() == PeerId::SERVER { Err(nobody) } else { Ok(user.peer()) }
}

/// Who gives back whose keyboard.
fn leave(reader: &mut Reader<'_>) -> Result<(PeerId, ProcessId), DecodeError> {
    let user = user(reader)?;
    let nobody = reader.error("a process gives the keyboard back");
    let from = match reader.u64()? {
        0 => return Err(nobody),
        from => ProcessId::from_bits(from),
    };
    let more = reader.error("bytes after the end");
    if reader.is_empty() { Ok((user, from)) } else { Err(more) }
}

/// Who has no answer to which call of which peer.
fn forsake(reader: &mut Reader<'_>) -> Result<(PeerId, ProcessId, u64), DecodeError> {
    let no_peer = reader.error("a peer is asked");
    let to = ProcessId::from_bits(reader.u64()?);
    if to.serial() != 0 {
        return Err(no_peer);
    }
    let nobody = reader.error("a process has asked");
    let from = match reader.u64()? {
        0 => return Err(nobody),
        from => ProcessId::from_bits(from),
    };
    let call = reader.u64()?;
    let more = reader.error("bytes after the end");
    if reader.is_empty() { Ok((to.peer(), from, call)) } else { Err(more) }
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
            Frame::Pointer { to, user, event } | Frame::Keyboard { to, user, event } => {
                out.reserve(17 + event.len());
                out.put_u8(if matches!(self, Frame::Pointer { .. }) { POINTER } else { KEYBOARD });
                out.put_u64_le(to.to_bits());
                out.put_u64_le(pointer::user_bits(*user));
                out.put_slice(event);
            }
            Frame::Leave { user, from } => {
                out.put_u8(LEAVE);
                out.put_u64_le(pointer::user_bits(*user));
                out.put_u64_le(from.to_bits());
            }
            Frame::Tie { to, from, tie } => {
                let (kind, number, reason): (_, _, &[u8]) = match tie {
                    Tie::Link => (LINK, None, &[]),
                    Tie::Unlink => (UNLINK, None, &[]),
                    Tie::Unlinked => (UNLINKED, None, &[]),
                    Tie::Monitor(number) => (MONITOR, Some(number), &[]),
                    Tie::Demonitor(number) => (DEMONITOR, Some(number), &[]),
                    Tie::Exit(reason) => (EXIT, None, reason),
                    Tie::Down(number, reason) => (DOWN, Some(number), reason),
                };
                out.reserve(25 + reason.len());
                out.put_u8(kind);
                out.put_u64_le(to.to_bits());
                out.put_u64_le(from.to_bits());
                if let Some(number) = number {
                    out.put_u64_le(*number);
                }
                out.put_slice(reason);
            }
            Frame::ExitTo { to, from, reason } => {
                out.put_u8(EXIT_TO);
                out.put_u64_le(to.to_bits());
                out.put_u64_le(from.map_or(0, ProcessId::to_bits));
                out.put_slice(reason);
            }
            Frame::Forsake { peer, from, call } => {
                out.put_u8(FORSAKE);
                out.put_u64_le(pointer::user_bits(*peer));
                out.put_u64_le(from.to_bits());
                out.put_u64_le(*call);
            }
            Frame::Gone { peer } => {
                out.put_u8(GONE);
                out.put_u32_le(peer.number());
            }
            Frame::Hail { stream, of, received } => {
                out.put_u8(HAIL);
                out.put_u64_le(*stream);
                out.put_u64_le(*of);
                out.put_u64_le(*received);
            }
            Frame::Received(count) => {
                out.put_u8(RECEIVED);
                out.put_u64_le(*count);
            }
        }
        out.freeze()
    }

    /// The frame in these bytes; bodies are parts of them, not copies.
    ///
    /// # Errors
    /// The frame is too long, its header cut, its type unknown, its text no UTF-8, what is typed is from nobody, or
    /// an event of a pointer or a keyboard is malformed or not of the user that the header names.
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
            kind @ (POINTER | KEYBOARD) => {
                let (to, user, event) = of_user(kind, &mut reader)?;
                let event = bytes.slice(bytes.len() - event.len()..);
                Ok(match kind {
                    POINTER => Frame::Pointer { to, user, event },
                    _ => Frame::Keyboard { to, user, event },
                })
            }
            LEAVE => {
                let (user, from) = leave(&mut reader)?;
                Ok(Frame::Leave { user, from })
            }
            FORSAKE => {
                let (peer, from, call) = forsake(&mut reader)?;
                Ok(Frame::Forsake { peer, from, call })
            }
            kind @ LINK..=DOWN => {
                let (to, from, said) = tie(kind, &mut reader)?;
                let reason = bytes.slice(reader.offset()..);
                let tie = match said {
                    Said::Link => Tie::Link,
                    Said::Unlink => Tie::Unlink,
                    Said::Unlinked => Tie::Unlinked,
                    Said::Monitor(number) => Tie::Monitor(number),
                    Said::Demonitor(number) => Tie::Demonitor(number),
                    Said::Exit => Tie::Exit(reason),
                    Said::Down(number) => Tie::Down(number, reason),
                };
                Ok(Frame::Tie { to, from, tie })
            }
            EXIT_TO => {
                let (to, from) = exit_to(&mut reader)?;
                Ok(Frame::ExitTo { to, from, reason: bytes.slice(reader.offset()..) })
            }
            GONE | HAIL | RECEIVED => Ok(Frame::of_neighbours(&mut reader, bytes[0])?),
            _ => Err(unknown.into()),
        }
    }

    /// What two neighbours tell each other of their connection.
    fn of_neighbours(reader: &mut Reader<'_>, kind: u8) -> Result<Frame, DecodeError> {
        let no_peer = reader.error("no number of a peer");
        let frame = match kind {
            GONE => Frame::Gone { peer: PeerId::new(reader.u32()?).ok_or(no_peer)? },
            HAIL => {
                let zero = reader.error("a stream has a number");
                let frame = Frame::Hail { stream: reader.u64()?, of: reader.u64()?, received: reader.u64()? };
                if matches!(frame, Frame::Hail { stream: 0, .. }) {
                    return Err(zero);
                }
                frame
            }
            _ => Frame::Received(reader.u64()?),
        };
        let more = reader.error("bytes after the end");
        if reader.is_empty() { Ok(frame) } else { Err(more) }
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

    /// The document's example.
    #[test]
    fn ties_are_from_somebody_and_have_a_reason() {
        let (to, from) = (ProcessId::from_bits(0x0000_1000_0000_0002), ProcessId::from_bits(3));
        let reason = Reason { kind: hearth_abi::exit::ExitKind::Error, text: "lost", data: &[] }.encode();
        let frame = Frame::Tie { to, from, tie: Tie::Down(5, reason.clone().into()) };
        let bytes = frame.encode();
        let head = [12, 2, 0, 0, 0, 0, 0x10, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(bytes[..], [&head[..], &[1, 0, 4, 0], b"lost"].concat());
        assert!(is_sure(&bytes) && check(&bytes).is_ok());
        for (wrong, what) in [
            ([&bytes[..9], &[0; 8], &bytes[17..]].concat(), "from nobody"),
            (bytes[..25].to_vec(), "no reason"),
            (bytes[..20].to_vec(), "no number"),
            ([&bytes[..25], &[99, 0, 0, 0]].concat(), "no such kind"),
            ([&[6], &bytes[1..25]].concat(), "a link has no number"),
            ([&[13], &bytes[1..17]].concat(), "an exit without a reason"),
        ] {
            assert!(check(&wrong).is_err(), "{what}");
            assert!(Frame::decode(&wrong.into()).is_err(), "{what}");
        }
        for wrong in [&[14, 0, 0, 0x10, 0][..], &[14, 1, 0, 0], &[15; 24], &[16; 10]] {
            assert!(Frame::decode(&Bytes::copy_from_slice(wrong)).is_err(), "{wrong:?}");
        }
        let zero = [&[15][..], &[0; 24]].concat();
        assert!(Frame::decode(&zero.into()).is_err());
    }

    /// The document's example.
    #[test]
    fn a_call_is_forsaken_by_a_process() {
        let (peer, from) = (PeerId::new(1).unwrap(), ProcessId::from_bits(0x0000_2000_0000_0003));
        let bytes = Frame::Forsake { peer, from, call: 7 }.encode();
        let head = [19, 0, 0, 0, 0, 0, 0x10, 0, 0, 3, 0, 0, 0, 0, 0x20, 0, 0];
        assert_eq!(bytes[..], [&head[..], &[7, 0, 0, 0, 0, 0, 0, 0]].concat());
        assert!(is_sure(&bytes) && check(&bytes).is_ok());
        for (wrong, what) in [
            ([&bytes[..9], &[0; 8], &bytes[17..]].concat(), "by nobody"),
            ([&[19, 1][..], &bytes[2..]].concat(), "to a process"),
            (bytes[..24].to_vec(), "cut"),
            ([&bytes[..], &[0]].concat(), "bytes behind"),
        ] {
            assert!(check(&wrong).is_err(), "{what}");
            assert!(Frame::decode(&wrong.into()).is_err(), "{what}");
        }
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

    fn typed(user: u32) -> Bytes {
        let did = hearth_abi::input::Event::Text("ü".into());
        keyboard::Event { user: PeerId::new(user).unwrap(), entity: EntityId::from_bits(9), did }
            .encode()
            .into()
    }

    /// The document's examples.
    #[test]
    fn what_is_typed_belongs_to_a_user_and_a_process_gives_it_back() {
        let user = PeerId::new(2).unwrap();
        let to = ProcessId::from_bits(3);
        let bytes = Frame::Keyboard { to, user, event: typed(2) }.encode();
        let head = [17, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0];
        let event = [2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0xc3, 0xbc];
        assert_eq!(bytes[..], [&head[..], &event].concat());
        assert_eq!(check(&bytes), Ok(()));
        let leave = Frame::Leave { user, from: to }.encode();
        assert_eq!(leave[..], [&[18][..], &head[9..], &head[1..9]].concat());
        assert_eq!(check(&leave), Ok(()));
        for (wrong, what) in [
            (Frame::Keyboard { to, user, event: typed(3) }.encode().to_vec(), "another user"),
            (Frame::Keyboard { to, user: PeerId::SERVER, event: typed(0) }.encode().to_vec(), "a server's"),
            (head.to_vec(), "no event"),
            ([&head[..], &super::tests::event(2)[..]].concat(), "an event of a pointer"),
            (bytes[..bytes.len() - 1].to_vec(), "half a letter"),
            ([&leave[..], &[0]].concat(), "bytes behind"),
            (leave[..16].to_vec(), "cut"),
            ([&leave[..9], &[0; 8]].concat(), "by nobody"),
            ([&[18][..], &[0; 8], &leave[9..]].concat(), "to the server"),
            ([&[18, 1][..], &leave[2..]].concat(), "to a process"),
        ] {
            assert!(check(&wrong).is_err(), "{what}");
            assert!(Frame::decode(&wrong.into()).is_err(), "{what}");
        }
    }

    proptest! {
        #[test]
        fn frames_read_back(to: u64, from: u64, number: u64, body: Vec<u8>, reason: String) {
            let (to, from) = (ProcessId::from_bits(to), ProcessId::from_bits(from));
            let some = ProcessId::from_bits(from.to_bits().max(1));
            let kind = hearth_abi::exit::ExitKind::Shutdown;
            let why = Bytes::from(Reason { kind, text: &reason, data: &body }.encode());
            for frame in [
                Frame::Message { to, from, body: body.clone().into() },
                Frame::Kill { to, from: (from.to_bits() != 0).then_some(from), reason },
                Frame::Terminal {
                    terminal: TerminalId::from_bits(to.to_bits()),
                    from: ProcessId::from_bits(from.to_bits().max(1)),
                    command: body.clone().into(),
                },
                Frame::Pointer { to, user: PeerId::new(7).unwrap(), event: event(7) },
                Frame::Keyboard { to, user: PeerId::new(7).unwrap(), event: typed(7) },
                Frame::Leave { user: PeerId::new(7).unwrap(), from: some },
                Frame::Forsake { peer: to.peer(), from: some, call: number },
                Frame::Tie { to, from: some, tie: Tie::Link },
                Frame::Tie { to, from: some, tie: Tie::Unlink },
                Frame::Tie { to, from: some, tie: Tie::Unlinked },
                Frame::Tie { to, from: some, tie: Tie::Monitor(number) },
                Frame::Tie { to, from: some, tie: Tie::Demonitor(number) },
                Frame::Tie { to, from: some, tie: Tie::Exit(why.clone()) },
                Frame::Tie { to, from: some, tie: Tie::Down(number, why.clone()) },
                Frame::ExitTo { to, from: (from.to_bits() != 0).then_some(from), reason: why },
                Frame::Gone { peer: PeerId::new(7).unwrap() },
                Frame::Hail { stream: number.max(1), of: number, received: number },
                Frame::Received(number),
                Frame::Scene(body.into()),
            ] {
                let bytes = frame.encode();
                prop_assert_eq!(Frame::decode(&bytes).unwrap(), frame.clone());
                let from = match frame {
                    Frame::Terminal { from, .. }
                    | Frame::Tie { from, .. }
                    | Frame::Leave { from, .. }
                    | Frame::Forsake { from, .. } => from,
                    Frame::Pointer { user, .. } | Frame::Keyboard { user, .. } => {
                        ProcessId::from_bits(pointer::user_bits(user))
                    }
                    _ => from,
                };
                let is_of_neighbours = matches!(
                    frame,
                    Frame::Scene(_) | Frame::Gone { .. } | Frame::Hail { .. } | Frame::Received(_)
                );
                let to = match frame {
                    Frame::Leave { user: peer, .. } | Frame::Forsake { peer, .. } => {
                        ProcessId::from_bits(pointer::user_bits(peer))
                    }
                    _ => to,
                };
                let wanted = (!is_of_neighbours).then_some(Route { to, from });
                let is_meant =
                    matches!(frame, Frame::Tie { .. } | Frame::Gone { .. } | Frame::Forsake { .. });
                prop_assert_eq!(is_sure(&bytes), is_meant);
                prop_assert!(!is_sure(&bytes) || check(&bytes).is_ok());
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
