// SPDX-License-Identifier: AGPL-3.0-or-later
//! The queue of signals of one process: many senders, one receiver.
//!
//! Replies and timeouts have places of their own, which their request or timer has reserved: a flood of
//! messages does not take them. Their bytes too are counted apart; a reply for which there is no room
//! loses its body and says so in its status.

use crate::{Body, Limits, SendError, Signal};
use hearth_abi::{Errno, signal::Kind};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

pub(crate) struct Mailbox(Mutex<Inner>);

struct Inner {
    queue: VecDeque<Signal>,
    /// Bytes and number of the signals that came without being asked for.
    open: Fill,
    /// Bytes and number of replies and timeouts.
    reserved: Fill,
    waker: Option<Waker>,
    closed: bool,
}

#[derive(Default)]
struct Fill {
    signals: usize,
    bytes: usize,
}

/// What [`Mailbox::take`] found.
pub(crate) enum Taken {
    Empty,
    TooLong(usize),
    Signal(Signal),
}

fn has_reservation(signal: &Signal) -> bool {
    matches!(signal.header.kind, Kind::Reply | Kind::Timeout)
}

impl Mailbox {
    pub(crate) fn new() -> Mailbox {
        Mailbox(Mutex::new(Inner {
            queue: VecDeque::new(),
            open: Fill::default(),
            reserved: Fill::default(),
            waker: None,
            closed: false,
        }))
    }

    /// Appends a signal and wakes the receiver.
    pub(crate) fn push(&self, mut signal: Signal, limits: &Limits) -> Result<(), SendError> {
        let waker = {
            let mut inner = self.0.lock();
            if inner.closed {
                return Err(SendError::NotFound);
            }
            if has_reservation(&signal) {
                if inner.reserved.bytes + signal.encoded_len() > limits.mailbox_bytes {
                    signal.body = Body::EMPTY;
                    if signal.header.kind == Kind::Reply {
                        signal.header.status = Errno::Limit.as_return();
                    }
                }
                inner.reserved.signals += 1;
                inner.reserved.bytes += signal.encoded_len();
            } else {
                if inner.open.signals >= limits.mailbox_signals
                    || inner.open.bytes + signal.encoded_len() > limits.mailbox_bytes
                {
                    return Err(SendError::Full);
                }
                inner.open.signals += 1;
                inner.open.bytes += signal.encoded_len();
            }
            inner.queue.push_back(signal);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Takes the first signal if it has at most `cap` bytes.
    pub(crate) fn take(&self, cap: usize) -> Taken {
        let mut inner = self.0.lock();
        let Some(first) = inner.queue.front() else { return Taken::Empty };
        let len = first.encoded_len();
        if len > cap {
            return Taken::TooLong(len);
        }
        let Some(signal) = inner.queue.pop_front() else { return Taken::Empty };
        let fill = if has_reservation(&signal) { &mut inner.reserved } else { &mut inner.open };
        fill.signals -= 1;
        fill.bytes -= len;
        // A burst must not hold its memory for ever.
        if inner.queue.is_empty() && inner.queue.capacity() > 64 {
            inner.queue = VecDeque::new();
        }
        Taken::Signal(signal)
    }

    /// Ready when there is a signal. One receiver: the last waker given is the one that is woken.
    pub(crate) fn poll_signal(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.0.lock();
        if !inner.queue.is_empty() {
            return Poll::Ready(());
        }
        match &inner.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => inner.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Number of signals and their bytes.
    pub(crate) fn fill(&self) -> (usize, usize) {
        let inner = self.0.lock();
        (inner.queue.len(), inner.open.bytes + inner.reserved.bytes)
    }

    /// Drops what is in it and refuses what comes.
    pub(crate) fn close(&self) {
        let mut inner = self.0.lock();
        inner.closed = true;
        inner.waker = None;
        let queue = std::mem::take(&mut inner.queue);
        drop(inner);
        drop(queue);
    }
}
