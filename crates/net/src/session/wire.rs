// SPDX-License-Identifier: AGPL-3.0-or-later
//! The frames of the login: `docs/formats/session.md`, "Frames" and "Proofs".

use bytes::{Buf, BytesMut};

use super::{PROTOCOL_VERSION, PeerIdentity, SUITE, SessionError, agent_ok, name_ok};
use crate::password::KsfParams;

/// The longest frame before the login is complete, header included.
pub const FRAME_BYTES_MAX: usize = 512;
/// Before the body: two bytes of length (type and body), one of type.
pub(crate) const FRAME_HEADER_BYTES: usize = 3;

const MAGIC: &[u8; 4] = b"HRTH";
pub(crate) const KE1_BYTES: usize = 96;
pub(crate) const KE2_BYTES: usize = 320;
pub(crate) const KE3_BYTES: usize = 64;
const CLIENT_HELLO_BYTES: usize = 39;
const SERVER_HELLO_BYTES: usize = 99;

pub(crate) const CLIENT_HELLO: u8 = 1;
pub(crate) const SERVER_HELLO: u8 = 2;
pub(crate) const KE1: u8 = 3;
pub(crate) const KE2: u8 = 4;
pub(crate) const KE3: u8 = 5;
const REFUSAL: u8 = 6;

/// Why a server turns a connection away. Anybody on the line can forge it, so it means no more
/// than a connection that breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It speaks this version, and not the client's.
    Version(u16),
    /// It does not know the client's suite.
    Suite,
    /// Too many attempts or strangers; try again after so many seconds.
    Busy(u32),
}

impl Refusal {
    pub(crate) fn frame(self) -> Vec<u8> {
        let (code, detail) = match self {
            Self::Version(version) => (1, u32::from(version)),
            Self::Suite => (2, 0),
            Self::Busy(seconds) => (3, seconds),
        };
        let mut body = [code, 0, 0, 0, 0];
        body[1..].copy_from_slice(&detail.to_le_bytes());
        frame(REFUSAL, &body)
    }

    fn parse(body: &[u8]) -> Result<Self, SessionError> {
        let malformed = SessionError::Malformed("refusal");
        // Later versions may append to it.
        let &[code, a, b, c, d, ..] = body else {
            return Err(malformed);
        };
        let detail = u32::from_le_bytes([a, b, c, d]);
        match code {
            1 => u16::try_from(detail).map(Self::Version).map_err(|_too_large| malformed),
            2 => Ok(Self::Suite),
            3 => Ok(Self::Busy(detail)),
            _ => Err(malformed),
        }
    }
}

pub(crate) fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 1).expect("every body is far below 64 KiB");
    debug_assert!(FRAME_HEADER_BYTES + body.len() <= FRAME_BYTES_MAX);
    let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES + body.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.push(kind);
    frame.extend_from_slice(body);
    frame
}

/// Takes the frame that `input` begins with, header and all, if it is complete and of the type
/// `kind`. A wrong length or type is found as soon as it can be seen.
pub(crate) fn take_frame(
    input: &mut BytesMut,
    kind: u8,
    expected: &'static str,
) -> Result<Option<BytesMut>, SessionError> {
    let &[a, b, ref rest @ ..] = &input[..] else {
        return Ok(None);
    };
    let length = usize::from(u16::from_le_bytes([a, b]));
    if length + 2 > FRAME_BYTES_MAX {
        return Err(SessionError::TooLong(length + 2));
    }
    if length == 0 {
        return Err(SessionError::Malformed("frame"));
    }
    let found = match rest.first() {
        Some(found) => *found,
        None => return Ok(None),
    };
    if found != kind && found != REFUSAL {
        return Err(SessionError::Unexpected { expected, found });
    }
    if rest.len() < length {
        return Ok(None);
    }
    let frame = input.split_to(length + 2);
    if found == REFUSAL {
        return Err(match Refusal::parse(&frame[FRAME_HEADER_BYTES..])? {
            Refusal::Version(theirs) => SessionError::Version { theirs, ours: PROTOCOL_VERSION },
            other => SessionError::Refused(other),
        });
    }
    Ok(Some(frame))
}

/// What both hellos begin with, in every version there will ever be.
fn check_preamble(body: &mut &[u8], what: &'static str) -> Result<(), SessionError> {
    if body.len() < 6 || body[..4] != MAGIC[..] {
        return Err(SessionError::Malformed(what));
    }
    body.advance(4);
    let theirs = body.get_u16_le();
    if theirs != PROTOCOL_VERSION {
        return Err(SessionError::Version { theirs, ours: PROTOCOL_VERSION });
    }
    Ok(())
}

pub(crate) fn client_hello(random: &[u8; 32]) -> Vec<u8> {
    let mut body = Vec::with_capacity(CLIENT_HELLO_BYTES);
    body.extend_from_slice(MAGIC);
    body.extend_from_slice(&PROTOCOL_VERSION.to_le_bytes());
    body.push(SUITE);
    body.extend_from_slice(random);
    frame(CLIENT_HELLO, &body)
}

pub(crate) fn check_client_hello(frame: &[u8]) -> Result<(), SessionError> {
    let mut body = &frame[FRAME_HEADER_BYTES..];
    check_preamble(&mut body, "client hello")?;
    let (&suite, random) = body.split_first().ok_or(SessionError::Malformed("client hello"))?;
    if suite != SUITE {
        return Err(SessionError::Suite(suite));
    }
    if random.len() != 32 {
        return Err(SessionError::Malformed("client hello"));
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerHello {
    pub(crate) random: [u8; 32],
    pub(crate) space: [u8; 16],
    pub(crate) key: [u8; 32],
    pub(crate) ksf: KsfParams,
}

impl ServerHello {
    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(SERVER_HELLO_BYTES);
        body.extend_from_slice(MAGIC);
        body.extend_from_slice(&PROTOCOL_VERSION.to_le_bytes());
        body.push(SUITE);
        body.extend_from_slice(&self.random);
        body.extend_from_slice(&self.space);
        body.extend_from_slice(&self.key);
        body.extend_from_slice(&self.ksf.to_bytes());
        frame(SERVER_HELLO, &body)
    }

    pub(crate) fn parse(frame: &[u8]) -> Result<Self, SessionError> {
        let mut body = &frame[FRAME_HEADER_BYTES..];
        check_preamble(&mut body, "server hello")?;
        if body.len() != SERVER_HELLO_BYTES - 6 {
            return Err(SessionError::Malformed("server hello"));
        }
        let suite = body.get_u8();
        if suite != SUITE {
            return Err(SessionError::Suite(suite));
        }
        let mut random = [0; 32];
        body.copy_to_slice(&mut random);
        let mut space = [0; 16];
        body.copy_to_slice(&mut space);
        let mut key = [0; 32];
        body.copy_to_slice(&mut key);
        let mut params = [0; 12];
        body.copy_to_slice(&mut params);
        Ok(Self { random, space, key, ksf: KsfParams::from_bytes(&params) })
    }
}

/// The body of a frame that must have exactly this length.
pub(crate) fn exact_body<'a>(
    frame: &'a [u8],
    length: usize,
    what: &'static str,
) -> Result<&'a [u8], SessionError> {
    let body = &frame[FRAME_HEADER_BYTES..];
    if body.len() != length {
        return Err(SessionError::Malformed(what));
    }
    Ok(body)
}

/// The content of a proof record: key, signature, then name and agent with a length byte each.
pub(crate) fn proof(identity: &PeerIdentity, signature: &[u8; 64]) -> Vec<u8> {
    let mut body = Vec::with_capacity(98 + identity.name.len() + identity.agent.len());
    body.extend_from_slice(&identity.key);
    body.extend_from_slice(signature);
    body.extend_from_slice(&labels(&identity.name, &identity.agent));
    body
}

/// The labels as they are signed and sent. Their lengths were checked when the session was made.
pub(crate) fn labels(name: &str, agent: &str) -> Vec<u8> {
    let mut labels = Vec::with_capacity(2 + name.len() + agent.len());
    for label in [name, agent] {
        labels.push(u8::try_from(label.len()).expect("labels are at most 128 bytes"));
        labels.extend_from_slice(label.as_bytes());
    }
    labels
}

pub(crate) fn parse_proof(mut body: &[u8]) -> Result<(PeerIdentity, [u8; 64]), SessionError> {
    const MALFORMED: SessionError = SessionError::Malformed("proof");
    if body.len() < 96 {
        return Err(MALFORMED);
    }
    let mut key = [0; 32];
    body.copy_to_slice(&mut key);
    let mut signature = [0; 64];
    body.copy_to_slice(&mut signature);
    let mut label = || {
        let (&length, rest) = body.split_first().ok_or(MALFORMED)?;
        let (label, rest) = rest.split_at_checked(length.into()).ok_or(MALFORMED)?;
        body = rest;
        String::from_utf8(label.to_vec()).map_err(|_not_text| MALFORMED)
    };
    let (name, agent) = (label()?, label()?);
    if !body.is_empty() || !name_ok(&name) || !agent_ok(&agent) {
        return Err(MALFORMED);
    }
    Ok((PeerIdentity { key, name, agent }, signature))
}
