// SPDX-License-Identifier: AGPL-3.0-or-later
//! The queue of signals of one process: many senders, one receiver.
//!
//! Replies, timeouts, and what comes of links and monitors have places of their own, which their request,
//! timer, link or monitor has reserved: a flood of messages does not take them. Their bytes too are
//! counted apart; a reply for which there is no room loses its body and says so in its status, and an exit
//! reason loses all but its kind.

use crate::{Limits, SendError, Signal, lock::Mutex};
use hearth_abi::signal::Kind;
use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

pub(crate) struct Mailbox(Mutex<Inner>);

struct Inner {
    queue: VecDeque<Signal>,
    /// Bytes and number of the signals that came without being asked for.
    open: Fill,
    /// Bytes and number of those that have a place of their own.
    reserved: Fill,
    waker: Option<Waker>,
    closed: bool,
}

/// Signals, and their bytes.
#[derive(Default)]
pub(crate) struct Fill {
    pub(crate) signals: usize,
    pub(crate) bytes: usize,
}

/// What [`Mailbox::take`] found.
pub(crate) enum Taken {
    Empty,
    TooLong(usize),
    Signal(Signal),
}

fn has_reservation(signal: &Signal) -> bool {
    is_of_run(signal) || signal.is_exit_of_link()
}

/// Whether it is for the code that runs, rather than for the process.
pub(crate) fn is_of_run(signal: &Signal) -> bool {
    matches!(signal.header.kind, Kind::Reply | Kind::Timeout | Kind::Down)
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
                    signal = signal.shortened();
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

    /// Takes all out that is for the code that runs.
    pub(crate) fn take_of_run(&self) -> Vec<Signal> {
        self.take_all(is_of_run)
    }

    /// Takes out what the user has done: input, and what happened to terminals.
    pub(crate) fn take_of_user(&self) -> Vec<Signal> {
        self.take_all(|signal| matches!(signal.header.kind, Kind::Input | Kind::Terminal | Kind::Pointer))
    }

    fn take_all(&self, which: impl Fn(&Signal) -> bool) -> Vec<Signal> {
        let mut inner = self.0.lock();
        let (taken, left): (VecDeque<_>, _) = std::mem::take(&mut inner.queue).into_iter().partition(which);
        inner.queue = left;
        for signal in &taken {
            let fill = if has_reservation(signal) { &mut inner.reserved } else { &mut inner.open };
            fill.signals -= 1;
            fill.bytes -= signal.encoded_len();
        }
        Vec::from(taken)
    }

    /// Puts signals that were taken before all others, in their order. They were within the bounds, so
    /// that what is there now may be over them for a while, by as much again.
    pub(crate) fn put_back(&self, signals: Vec<Signal>) {
        let mut inner = self.0.lock();
        if inner.closed {
            return;
        }
        for signal in signals.into_iter().rev() {
            let len = signal.encoded_len();
            let fill = if has_reservation(&signal) { &mut inner.reserved } else { &mut inner.open };
            fill.signals += 1;
            fill.bytes += len;
            inner.queue.push_front(signal);
        }
        // Whoever waited before looks again by itself: this is called by the one receiver.
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

    /// Whether it has as many signals of those that came without being asked for as it may.
    pub(crate) fn is_full_of_signals(&self, limits: &Limits) -> bool {
        self.0.lock().open.signals >= limits.mailbox_signals
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

/// Under loom, which runs each test once for every order of what its threads do.
#[cfg(all(test, hearth_loom))]
mod loom_tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::Body;
    use hearth_abi::signal::Header;
    use loom::{future::block_on, sync::Arc, thread};
    use std::future::poll_fn;

    fn message(tag: u64) -> Signal {
        let header = Header { kind: Kind::Message, status: 0, from: 1, tag };
        Signal { header, body: Body::EMPTY }
    }

    /// Waits for a signal and takes it, as a process does.
    fn next(mailbox: &Mailbox) -> Signal {
        block_on(poll_fn(|context| mailbox.poll_signal(context)));
        match mailbox.take(usize::MAX) {
            Taken::Signal(signal) => signal,
            Taken::Empty | Taken::TooLong(_) => panic!("woken for nothing"),
        }
    }

    #[test]
    fn a_receiver_that_goes_to_sleep_is_woken() {
        loom::model(|| {
            let mailbox = Arc::new(Mailbox::new());
            let sender = mailbox.clone();
            let sent = thread::spawn(move || sender.push(message(1), &Limits::default()).unwrap());
            assert_eq!(next(&mailbox).header.tag, 1);
            sent.join().unwrap();
            assert_eq!(mailbox.fill(), (0, 0));
        });
    }

    #[test]
    fn signals_of_one_sender_stay_in_order_beside_another_sender() {
        // Three threads have too many orders for all of them: those in which a thread is interrupted at most
        // twice find what such defects need.
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let mailbox = Arc::new(Mailbox::new());
            let send = |tags: [u64; 2]| {
                let mailbox = mailbox.clone();
                thread::spawn(move || {
                    tags.into_iter().for_each(|tag| mailbox.push(message(tag), &Limits::default()).unwrap());
                })
            };
            let senders = [send([1, 2]), send([11, 12])];
            let tags: Vec<u64> = (0..4).map(|_| next(&mailbox).header.tag).collect();
            let of = |range: std::ops::Range<u64>| -> Vec<u64> {
                tags.iter().copied().filter(|tag| range.contains(tag)).collect()
            };
            assert_eq!((of(0..10), of(10..20)), (vec![1, 2], vec![11, 12]));
            senders.into_iter().for_each(|sender| sender.join().unwrap());
        });
    }

    #[test]
    fn what_comes_while_it_closes_is_refused_or_dropped() {
        loom::model(|| {
            let mailbox = Arc::new(Mailbox::new());
            let sender = mailbox.clone();
            let sent = thread::spawn(move || sender.push(message(1), &Limits::default()));
            mailbox.close();
            let outcome = sent.join().unwrap();
            assert!(matches!(outcome, Ok(()) | Err(SendError::NotFound)));
            assert!(matches!(mailbox.take(usize::MAX), Taken::Empty));
            assert!(matches!(mailbox.push(message(2), &Limits::default()), Err(SendError::NotFound)));
        });
    }
}
