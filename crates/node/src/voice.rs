// SPDX-License-Identifier: AGPL-3.0-or-later
//! A process that the program around a node speaks as: scripts find it by its name and send it messages as to any
//! other, and what it says comes from it.

use crate::{
    network::failure,
    node::{Inner, Node},
};
use bytes::Bytes;
use hearth_abi::{ProcessId, signal::Kind};
use hearth_process::{
    Context, ExitReason, Limits, Processes, Program, SendError, Signal, Spec, State, Take, Work,
};
use hearth_protocol::control::Failure;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Most messages that wait for the program. More wait in the mailbox, whose bounds are those of every process: past
/// them their senders are told that it is full.
const HEARD_MAX: usize = 16;

/// A process of this program. When this is dropped it ends.
pub struct Voice {
    id: ProcessId,
    processes: Processes,
    heard: mpsc::Receiver<(ProcessId, Bytes)>,
}

impl Voice {
    pub(crate) fn start(inner: &Inner, name: &str) -> Result<Voice, Failure> {
        let (tell, heard) = mpsc::channel(HEARD_MAX);
        let spec = Spec {
            program: Arc::new(Ear(Mutex::new(Some(tell)))),
            module: None,
            origin: inner.me,
            parent: None,
            name: Some(name.into()),
            args: Bytes::new(),
            limits: Limits::default(),
        };
        let id = inner
            .processes
            .spawn(spec)
            .map_err(|error| failure(error.errno(), crate::lumps::chain(&error)))?;
        Ok(Voice { id, processes: inner.processes.clone(), heard })
    }

    /// Its process.
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// The next message, and who sent it; `None` once the process has ended. May be dropped at any time.
    pub async fn next(&mut self) -> Option<(ProcessId, Bytes)> {
        tokio::select! {
            biased;
            heard = self.heard.recv() => heard,
            // One that ended before it ran has told nobody.
            _ = self.processes.exited(self.id) => self.heard.try_recv().ok(),
        }
    }

    /// Sends a message to a process of this peer.
    ///
    /// # Errors
    /// There is none of that id, or its mailbox is full.
    pub fn send(&self, to: ProcessId, body: Bytes) -> Result<(), SendError> {
        self.processes.send(self.id, to, body)
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        // It may have ended with its peer.
        let _ = self.processes.kill(None, self.id, "the program listens no longer");
    }
}

impl Node {
    /// Starts a process that the program speaks as, under a name.
    ///
    /// # Errors
    /// Another process has the name, or it is none.
    pub fn speak_as(&self, name: &str) -> Result<Voice, Failure> {
        Voice::start(&self.inner, name)
    }
}

/// Hands on what the process is sent.
struct Ear(Mutex<Option<mpsc::Sender<(ProcessId, Bytes)>>>);

impl Program for Ear {
    fn run(self: Arc<Self>, context: Context) -> Work {
        Work::whole(async move {
            // Nobody listens to one that was started anew.
            let Some(tell) = self.0.lock().take() else { return ExitReason::normal() };
            context.started();
            loop {
                // What has no room waits in the mailbox.
                let Ok(place) = tell.reserve().await else { return ExitReason::normal() };
                let (from, body) = loop {
                    match context.take(usize::MAX) {
                        Take::Signal(Signal { header, body }) if header.kind == Kind::Message => {
                            break (ProcessId::from_bits(header.from), body.into_bytes());
                        }
                        Take::Signal(_) => {}
                        Take::Empty | Take::TooLong(_) => {
                            tokio::select! {
                                _ = context.wait(State::Parked) => {}
                                () = tell.closed() => return ExitReason::normal(),
                            }
                        }
                    }
                };
                place.send((from, body));
            }
        })
    }
}
