// SPDX-License-Identifier: AGPL-3.0-or-later
//! Messages between processes: CBOR (RFC 8949), so that any language and every tool reads them.
//!
//! A message is sent and forgotten. A *call* waits for its answer: it is a message under the CBOR tag
//! [`TAG_CALL`], which holds an array of the caller's number and the body; the answer is the same under
//! [`TAG_ANSWER`]. [`Envelope::reply`] answers both: a call by an answer, a plain message by a message.

use crate::{
    Error,
    exit::{self, Down, ExitKind},
    runtime::{self, Pending},
    sys,
    task::{Either, Task, race, spawn_local, timeout},
};
use hearth_abi::{Errno, ProcessId, codec::Reader};
use lenient::Lenient;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use std::{future::poll_fn, time::Duration};

mod lenient;

/// CBOR tag of a call: the letters `HCAL`.
pub const TAG_CALL: u32 = u32::from_be_bytes(*b"HCAL");
/// CBOR tag of the answer to a call: the letters `HANS`.
pub const TAG_ANSWER: u32 = u32::from_be_bytes(*b"HANS");

/// A value as CBOR.
///
/// # Errors
/// The value cannot be serialised: [`Errno::Invalid`] with the reason.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    encode_into(value, &mut out)?;
    Ok(out)
}

fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    use ciborium::ser::Error as Problem;
    ciborium::into_writer(value, out).map_err(|problem| match problem {
        Problem::Value(reason) => Error::new(Errno::Invalid, reason),
        Problem::Io(_) => Error::new(Errno::Invalid, "the value cannot be written"),
    })
}

/// A value read leniently.
struct Whole<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<Whole<T>, D::Error> {
        T::deserialize(Lenient(decoder)).map(Whole)
    }
}

/// The value in CBOR. Where it has a float, a whole number does too.
///
/// # Errors
/// [`Errno::Malformed`] with the reason: it is no CBOR, or no `T`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    use ciborium::de::Error as Problem;
    let decoded = ciborium::from_reader::<Whole<T>, _>(bytes);
    decoded.map(|whole| whole.0).map_err(|problem| {
        let reason = match problem {
            Problem::Semantic(_, reason) => reason,
            Problem::Io(_) => "the message ends early".into(),
            Problem::Syntax(at) => format!("no CBOR at byte {at}"),
            Problem::RecursionLimitExceeded => "nested too deep".into(),
        };
        Error::new(Errno::Malformed, reason)
    })
}

/// A message and who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<T> {
    /// The process that sent it.
    pub from: ProcessId,
    /// What it sent.
    pub body: T,
    /// The caller's number, if it was a call.
    call: Option<u64>,
}

impl<T> Envelope<T> {
    /// Whether the sender waits for an answer in [`call`].
    pub fn is_call(&self) -> bool {
        self.call.is_some()
    }

    /// Sends an answer to who sent this.
    ///
    /// # Errors
    /// As [`send`].
    pub fn reply<R: Serialize + ?Sized>(&self, answer: &R) -> Result<(), Error> {
        let mut bytes = Vec::new();
        if let Some(number) = self.call {
            open(TAG_ANSWER, number, &mut bytes);
        }
        encode_into(answer, &mut bytes)?;
        Ok(send_bytes(self.from, &bytes)?)
    }
}

/// Begins a tagged array of a number and what follows. The lengths are fixed, which is sound CBOR
/// though not the shortest.
fn open(tag: u32, number: u64, out: &mut Vec<u8>) {
    out.push(0xda);
    out.extend_from_slice(&tag.to_be_bytes());
    out.extend_from_slice(&[0x82, 0x1b]);
    out.extend_from_slice(&number.to_be_bytes());
}

/// The number and the body of a tagged array, if these bytes are one.
fn opened(tag: u32, bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut reader = Reader::new(bytes);
    let head: [u8; 5] = reader.array().ok()?;
    if head[0] != 0xda || head[1..] != tag.to_be_bytes() || reader.u8().ok()? != 0x82 {
        return None;
    }
    // Whoever answers may write the number in its shortest form.
    let number = match reader.u8().ok()? {
        small @ 0..=0x17 => u64::from(small),
        0x18 => u64::from(reader.u8().ok()?),
        0x19 => u64::from(u16::from_be_bytes(reader.array().ok()?)),
        0x1a => u64::from(u32::from_be_bytes(reader.array().ok()?)),
        0x1b => u64::from_be_bytes(reader.array().ok()?),
        _ => return None,
    };
    Some((number, &bytes[reader.offset()..]))
}

/// Sends a message as CBOR.
///
/// # Errors
/// To a process of this peer: [`Errno::NotFound`], [`Errno::Full`]. To another peer: [`Errno::NoPeer`],
/// [`Errno::Full`] if the way there is full; whether it arrived is not told.
pub fn send<T: Serialize + ?Sized>(to: ProcessId, body: &T) -> Result<(), Error> {
    Ok(send_bytes(to, &encode(body)?)?)
}

/// Sends a message of any bytes, 1 MiB at most.
///
/// # Errors
/// As [`send`].
pub fn send_bytes(to: ProcessId, body: &[u8]) -> Result<(), Errno> {
    sys::check(sys::send(to.to_bits(), body)).map(drop)
}

/// The next message of any bytes. Calls come with their tag.
pub async fn recv_bytes() -> Envelope<Vec<u8>> {
    let (from, body) = poll_fn(|context| runtime::poll_message(context)).await;
    Envelope { from, body, call: None }
}

/// The next message that is a `T`. One that is none is logged and left out; if it was a call, its
/// caller waits in vain.
pub async fn recv<T: DeserializeOwned>() -> Envelope<T> {
    loop {
        let Envelope { from, body, .. } = recv_bytes().await;
        let (call, body) = match opened(TAG_CALL, &body) {
            Some((number, body)) => (Some(number), body),
            None => (None, &body[..]),
        };
        match decode(body) {
            Ok(body) => return Envelope { from, body, call },
            Err(error) => crate::warn!("a message from {from} was left out: {error}"),
        }
    }
}

/// The next message that is a `T` and for which this holds. All others stay where they are, in their order, for
/// whoever receives them: this looks at each of them once.
///
/// ```
/// # use hearth_sdk::{prelude::*, testing};
/// # let (lamp, door) = ("0.1".parse().unwrap(), "0.2".parse().unwrap());
/// # testing::deliver(lamp, &"on");
/// # testing::deliver(door, &"open");
/// # testing::run_for(async move {
/// let answer = recv_where::<String>(|message| message.from == door).await;
/// assert_eq!(answer.body, "open");
/// assert_eq!(recv::<String>().await.body, "on");
/// # }, Duration::ZERO).unwrap();
/// ```
pub async fn recv_where<T: DeserializeOwned>(mut is_meant: impl FnMut(&Envelope<T>) -> bool) -> Envelope<T> {
    let mut last = 0;
    loop {
        let (number, from, body) = poll_fn(|context| runtime::poll_message_after(last, context)).await;
        last = number;
        let (call, body) = match opened(TAG_CALL, &body) {
            Some((number, body)) => (Some(number), body),
            None => (None, &body[..]),
        };
        let Ok(body) = decode(body) else { continue };
        let envelope = Envelope { from, body, call };
        // Nobody else has run since it was found there.
        if is_meant(&envelope) && runtime::take_message(number) {
            return envelope;
        }
    }
}

/// A message that will be sent; made by [`send_after`]. Dropped, it is sent all the same.
pub struct Delayed(Task<()>);

impl Delayed {
    /// It is not sent, if it was not yet.
    pub fn cancel(self) {
        self.0.cancel();
    }
}

/// Sends a message after so long, if this process still lives. What becomes of it then is not told.
///
/// # Errors
/// The message cannot be written as CBOR.
pub fn send_after<T: Serialize + ?Sized>(after: Duration, to: ProcessId, body: &T) -> Result<Delayed, Error> {
    let body = encode(body)?;
    let sleep = crate::sleep(after);
    Ok(Delayed(spawn_local(async move {
        sleep.await;
        if let Err(errno) = send_bytes(to, &body) {
            crate::debug!("a delayed message to {to} did not go: {errno}");
        }
    })))
}

/// The number and the body of an answer. It is taken by its call alone; one that comes too late is dropped.
pub(crate) fn answer(body: &[u8]) -> Option<(u64, &[u8])> {
    opened(TAG_ANSWER, body)
}

/// Sends a message and waits for the answer to it, which the other process gives by
/// [`Envelope::reply`]. If that process ends, or is not there, the wait is over at once. An answer that comes
/// when nobody waits any more is dropped: it is taken for nothing else.
///
/// ```
/// # use hearth_sdk::{prelude::*, testing};
/// # testing::run_for(async {
/// # let clock = self_id();
/// # spawn_local(async { let asked = recv::<String>().await; asked.reply(&12.5).unwrap(); });
/// let seconds: f64 = call(clock, "time", Duration::from_secs(2)).await?;
/// # assert_eq!(seconds, 12.5);
/// # Ok::<(), Error>(())
/// # }, Duration::from_secs(2)).unwrap().unwrap();
/// ```
///
/// # Errors
/// As [`send`]; [`Errno::TimedOut`]; [`Errno::Malformed`] if the answer is no `R`; [`Errno::NotFound`] if the process has
/// ended, and [`Errno::NoPeer`] if its peer is not to be reached any more, with the reason.
pub async fn call<R: DeserializeOwned, T: Serialize + ?Sized>(
    to: ProcessId,
    body: &T,
    limit: Duration,
) -> Result<R, Error> {
    let body = encode(body)?;
    let request = Pending::ask_of(to, |number| {
        let mut bytes = Vec::with_capacity(body.len() + 16);
        open(TAG_CALL, number, &mut bytes);
        bytes.extend_from_slice(&body);
        sys::send(to.to_bits(), &bytes)
    })?;
    // Without one, for there are too many, time will tell.
    let monitor = exit::monitor(to).ok();
    let ends = async {
        match monitor {
            Some(monitor) => monitor.await,
            None => std::future::pending().await,
        }
    };
    let answered = timeout(limit, race(request, ends)).await.map_err(|_timed_out| Errno::TimedOut)?;
    match answered {
        Either::Left(answer) => decode(&answer.body),
        Either::Right(Down { reason, .. }) => {
            let is_away = reason.kind == ExitKind::NoConnection;
            let errno = if is_away { Errno::NoPeer } else { Errno::NotFound };
            Err(Error::new(errno, format!("process {to} does not answer: {reason}")))
        }
    }
}
