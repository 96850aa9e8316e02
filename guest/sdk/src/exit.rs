// SPDX-License-Identifier: AGPL-3.0-or-later
//! Why processes end, and how one learns of it.

use crate::{
    Error, message,
    runtime::{self, Pending},
    sys,
};
use hearth_abi::{Errno, ProcessId, exit::Reason};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

pub use hearth_abi::exit::ExitKind;

/// Why a process ended: of what kind it was, a text for people, and data for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitReason {
    /// What sort of end it was.
    pub kind: ExitKind,
    /// The reason in words, cut at 4 KiB when it is sent.
    pub text: String,
    /// CBOR, or nothing; at most 4 KiB.
    pub data: Vec<u8>,
}

impl ExitReason {
    /// A reason of this kind, whose text is the name of the kind.
    pub fn new(kind: ExitKind) -> ExitReason {
        ExitReason { kind, text: kind.name().into(), data: Vec::new() }
    }

    /// The end of a process that has failed, in words.
    pub fn error(text: impl Into<String>) -> ExitReason {
        ExitReason { text: text.into(), ..ExitReason::new(ExitKind::Error) }
    }

    /// The end in good order of one whose work is not wanted any more.
    pub fn shutdown() -> ExitReason {
        ExitReason::new(ExitKind::Shutdown)
    }

    /// The same with data for programs.
    ///
    /// # Errors
    /// [`Errno::Invalid`] if the value cannot be written as CBOR, [`Errno::Limit`] if that is over 4 KiB.
    pub fn with_data<T: Serialize + ?Sized>(self, data: &T) -> Result<ExitReason, Error> {
        let data = message::encode(data)?;
        if data.len() > hearth_abi::exit::DATA_LEN_MAX {
            return Err(Error::new(Errno::Limit, "the data of an exit reason is over 4 KiB"));
        }
        Ok(ExitReason { data, ..self })
    }

    /// The data, if it is a `T`.
    ///
    /// # Errors
    /// [`Errno::Malformed`]: there is none, or it is something else.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, Error> {
        message::decode(&self.data)
    }

    /// Whether the process finished as it meant to.
    pub fn is_normal(&self) -> bool {
        self.kind == ExitKind::Normal
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        Reason { kind: self.kind, text: &self.text, data: &self.data }.encode()
    }

    /// The peer made it; a kind that this SDK does not know is of a later version of the contract.
    pub(crate) fn decode(bytes: &[u8]) -> ExitReason {
        match Reason::decode(bytes) {
            Ok(Reason { kind, text, data }) => ExitReason { kind, text: text.into(), data: data.into() },
            Err(_unknown) => ExitReason::error("a reason that this script does not know"),
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An exit signal, for a process that [traps](trap_exits) them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The process that has ended, or that wants this one to end.
    pub from: ProcessId,
    /// Whether the two were linked, and are no longer; otherwise it was sent by [`exit_to`].
    pub of_link: bool,
    /// Why.
    pub reason: ExitReason,
}

/// The end of a process that was [monitored](monitor).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Down {
    /// Which.
    pub process: ProcessId,
    /// Why it has ended; of kind [`ExitKind::NoProcess`] if there was none,
    /// [`ExitKind::NoConnection`] if its peer is not to be reached.
    pub reason: ExitReason,
}

/// Links this process with another, wherever it runs: when one of the two ends, so does the other, unless the
/// reason is normal or it [traps exits](trap_exits). Two processes are linked once or not at all.
///
/// If there is no such process the exit signal comes at once.
///
/// # Errors
/// [`Errno::Limit`] if either has 16,384 links, [`Errno::Full`] if the way to its peer is full.
pub fn link(who: ProcessId) -> Result<(), Errno> {
    sys::check(sys::link(who.to_bits())).map(drop)
}

/// Takes a link away. An exit signal of it may wait already.
pub fn unlink(who: ProcessId) {
    sys::unlink(who.to_bits());
}

/// Whether exit signals are for [`next_exit`] to take, rather than end this process. Gives what was so before. It
/// stays when the code of the process is replaced.
pub fn trap_exits(on: bool) -> bool {
    sys::trap_exits(on) == 1
}

/// Waits for the next exit signal. Without [`trap_exits`] there is none.
pub async fn next_exit() -> Exit {
    let exited = poll_fn(|context| runtime::poll_exit(context)).await;
    Exit { from: exited.from, of_link: exited.of_link, reason: ExitReason::decode(&exited.reason) }
}

/// Sends an exit signal to a process, wherever it runs. It ends with this reason; if it traps exits it takes the
/// signal instead. A normal reason is ignored by who does not trap exits, and the kind [`ExitKind::Kill`] cannot be
/// trapped.
///
/// # Errors
/// [`Errno::NotFound`], [`Errno::Full`] on this peer; [`Errno::NoPeer`], [`Errno::Full`] on the way to another.
pub fn exit_to(who: ProcessId, reason: &ExitReason) -> Result<(), Errno> {
    sys::check(sys::exit_to(who.to_bits(), &reason.encode())).map(drop)
}

/// Ends this process with a reason that has a kind and data.
pub fn exit_with(reason: &ExitReason) -> ! {
    sys::exit_with(&reason.encode())
}

/// A monitor; awaiting it gives the end of the process. Dropped, it is taken away, and nothing more comes of it.
pub struct Monitor {
    process: ProcessId,
    pending: Pending,
}

impl Monitor {
    pub(crate) fn new(process: ProcessId, pending: Pending) -> Monitor {
        Monitor { process, pending }
    }

    /// The same, once it is known whom it monitors.
    pub(crate) fn of(mut self, process: ProcessId) -> Monitor {
        self.process = process;
        self
    }

    pub(crate) fn tag(&self) -> u64 {
        self.pending.tag()
    }

    /// The process that is monitored.
    pub fn process(&self) -> ProcessId {
        self.process
    }
}

impl Future for Monitor {
    type Output = Down;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Down> {
        let process = self.process;
        let down = |answer: runtime::Answer| Down { process, reason: ExitReason::decode(&answer.body) };
        Pin::new(&mut self.pending).poll(context).map(down)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        if !self.pending.is_answered() {
            // Not found: its signal is under way already, and will find nobody.
            sys::demonitor(self.pending.tag());
        }
    }
}

/// Monitors a process, wherever it runs: the end of it, or that there is no such process, is what the result waits
/// for. Other than a link it is for this process alone, and there may be many.
///
/// # Errors
/// [`Errno::Limit`] if this process has 16,384 monitors or there are 65,536 on the other, [`Errno::Full`] if the way to its
/// peer is full.
pub fn monitor(who: ProcessId) -> Result<Monitor, Errno> {
    let pending = Pending::ask(|tag| sys::monitor(who.to_bits(), tag))?;
    Ok(Monitor::new(who, pending))
}
