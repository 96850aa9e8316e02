// SPDX-License-Identifier: AGPL-3.0-or-later
//! Requests of processes, and the way back for their answers.

use crate::{
    Body, Signal,
    record::Process,
    run::Run,
    unclaimed::{Reserved, Wish},
};
use hearth_abi::{
    Errno, ProcessId,
    signal::{BODY_LEN_MAX, Header, Kind},
};
use std::sync::{
    Arc,
    atomic::Ordering::{Acquire, Relaxed},
};
use tokio::sync::oneshot;

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Zero or more, or a negative error number.
    pub status: i32,
    /// The answer, or the reason as text.
    pub body: Body,
}

/// Answers one request, once. Dropped unanswered, it answers [`Errno::Host`], so that no request is
/// ever left waiting.
#[must_use = "dropping it answers with an error"]
pub struct ReplyTo {
    target: Option<Target>,
    /// The place for a tie to the process that is asked for.
    reserved: Option<Box<Reserved>>,
}

enum Target {
    Process {
        process: Arc<Process>,
        /// The code that asked: what came in its place meanwhile knows nothing of the request.
        run: Arc<Run>,
        tag: u64,
    },
    /// The process does not want to know; the request still counts as under way.
    Silent {
        process: Arc<Process>,
        run: Arc<Run>,
    },
    Channel(oneshot::Sender<Reply>),
}

impl ReplyTo {
    pub(crate) fn process(process: Arc<Process>, run: Arc<Run>, tag: u64) -> ReplyTo {
        ReplyTo::to(Target::Process { process, run, tag })
    }

    pub(crate) fn silent(process: Arc<Process>, run: Arc<Run>) -> ReplyTo {
        ReplyTo::to(Target::Silent { process, run })
    }

    fn to(target: Target) -> ReplyTo {
        ReplyTo { target: Some(target), reserved: None }
    }

    pub(crate) fn with(mut self, reserved: Reserved) -> ReplyTo {
        self.reserved = Some(Box::new(reserved));
        self
    }

    /// For requests that no process makes (an operator's, another peer's): the answer goes into a channel.
    pub fn channel() -> (ReplyTo, oneshot::Receiver<Reply>) {
        let (sender, receiver) = oneshot::channel();
        (ReplyTo::to(Target::Channel(sender)), receiver)
    }

    /// The process that asked, if one did.
    pub fn asker(&self) -> Option<ProcessId> {
        match self.target.as_ref()? {
            Target::Process { process, .. } | Target::Silent { process, .. } => Some(process.id),
            Target::Channel(_) => None,
        }
    }

    /// How the process that is asked for is to be tied to the one that asks, if it is: it is spawned with
    /// [`Bond::asked`](crate::Bond::asked), and this answered by [`ReplyTo::spawned`] alone.
    pub fn wish(&self) -> Option<Wish> {
        self.reserved.as_ref().map(|reserved| reserved.wish())
    }

    /// Resolves when nobody wants the answer any more: the process has ended, or other code runs as it. Never for
    /// what no process has asked.
    pub async fn unwanted(&self) {
        let Some(Target::Process { process, run, .. } | Target::Silent { process, run }) = &self.target
        else {
            return std::future::pending().await;
        };
        loop {
            let changed = process.changed.notified();
            if process.has_ended.load(Acquire) || run.is_shut() {
                return;
            }
            changed.await;
        }
    }

    /// Answers. A body of more than [`BODY_LEN_MAX`] bytes becomes the error [`Errno::Limit`].
    pub fn send(mut self, status: i32, body: impl Into<Body>) {
        self.answer(status, body.into());
    }

    /// Answers with the id of a process that was asked for and has started, of this or another peer. If it is to be tied to
    /// the one that asked it is from here on: what comes of that comes behind the answer. If that one has ended, a linked process gets
    /// its exit signal. If it cannot be tied to it because the way to its peer is full it is killed, and the answer is an error.
    pub fn spawned(mut self, id: ProcessId) {
        match self.reserved.take() {
            Some(reserved) => reserved.keep(id, self),
            None => self.send(0, &id.to_bits().to_le_bytes()[..]),
        }
    }

    /// Answers with an error and its reason.
    pub fn error(self, errno: Errno, reason: &str) {
        let end = reason.floor_char_boundary(4096);
        self.send(errno.as_return(), &reason.as_bytes()[..end]);
    }

    fn send_body(&mut self, status: i32, body: Body) {
        // Before it can be asked for again.
        self.reserved = None;
        match self.target.take() {
            Some(Target::Process { process, run, tag }) => {
                let header = Header { kind: Kind::Reply, status, from: 0, tag };
                // The request is under way until the process has taken the reply.
                run.deliver(&process, Signal { header, body });
            }
            Some(Target::Silent { run, .. }) => {
                run.requests.fetch_sub(1, Relaxed);
            }
            Some(Target::Channel(sender)) => {
                let _ = sender.send(Reply { status, body });
            }
            None => {}
        }
    }

    fn answer(&mut self, status: i32, body: Body) {
        if body.len() > BODY_LEN_MAX {
            self.send_body(Errno::Limit.as_return(), Body::EMPTY);
        } else {
            self.send_body(status, body);
        }
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        self.send_body(Errno::Host.as_return(), Body::from(&b"the request was dropped"[..]));
    }
}
