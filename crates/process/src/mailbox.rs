// SPDX-License-Identifier: AGPL-3.0-or-later
//! The queue of signals of one process: many senders, one receiver.
//!
//! Replies, timeouts, and what comes of links and monitors have places of their own, which their request,
//! timer, link or monitor has reserved: a flood of messages does not take them. Their bytes too are
//! counted apart; a reply for which there is no room loses its body and says so in its status, and an exit
//! reason loses all but its kind.
//!
//! Here too a process waits: a task leaves its waker, and a parked process *itself*. Whoever brings a signal finds
//! it and carries it to the run queue; while it is there or runs, there is nothing to find. So what parks has
//! no flags that tell where it is, and is in one place at a time because it can only be in one.

use crate::{
    Limits, SendError, Signal,
    life::Life,
    lock::{AtomicUsize, Mutex},
};
use hearth_abi::signal::Kind;
use std::{
    collections::VecDeque,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll, Waker},
};

/// What waits in a mailbox without a waker of its own.
pub(crate) trait Parked {
    /// There is something for it.
    fn resume(self);
}

/// `P` is what parks here.
pub(crate) struct Mailbox<P = Box<Life>> {
    inner: Mutex<Inner<P>>,
    /// Number of signals, for the receiver, which would otherwise lock to find none. Written under the lock. It may
    /// be late in seeing one; before the receiver waits it looks under the lock.
    len: AtomicUsize,
}

struct Inner<P> {
    queue: VecDeque<Signal>,
    /// Bytes and number of the signals that came without being asked for.
    open: Fill,
    /// Bytes and number of those that have a place of their own.
    reserved: Fill,
    receiver: Receiver<P>,
    /// Whether the receiver is to look around before it parks the next time, though there may be no signal.
    is_poked: bool,
    closed: bool,
}

/// Who waits for a signal.
enum Receiver<P> {
    Nobody,
    Task(Waker),
    Parked(P),
}

impl<P: Parked> Receiver<P> {
    fn wake(self) {
        match self {
            Receiver::Nobody => {}
            Receiver::Task(waker) => waker.wake(),
            Receiver::Parked(parked) => parked.resume(),
        }
    }
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

impl<P: Parked> Mailbox<P> {
    pub(crate) fn new() -> Mailbox<P> {
        let inner = Mutex::new(Inner {
            queue: VecDeque::new(),
            open: Fill::default(),
            reserved: Fill::default(),
            receiver: Receiver::Nobody,
            is_poked: false,
            closed: false,
        });
        Mailbox { inner, len: AtomicUsize::new(0) }
    }

    /// Appends a signal and wakes the receiver.
    pub(crate) fn push(&self, mut signal: Signal, limits: &Limits) -> Result<(), SendError> {
        let receiver = {
            let mut inner = self.inner.lock();
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
            self.len.store(inner.queue.len(), Relaxed);
            std::mem::replace(&mut inner.receiver, Receiver::Nobody)
        };
        receiver.wake();
        Ok(())
    }

    /// Leaves what parks here until there is a signal. If there is one, or somebody has called
    /// [`poke`](Mailbox::poke), it is given back: there is something to do.
    pub(crate) fn park(&self, parked: P) -> Result<(), P> {
        let mut inner = self.inner.lock();
        if std::mem::take(&mut inner.is_poked) || !inner.queue.is_empty() || inner.closed {
            return Err(parked);
        }
        inner.receiver = Receiver::Parked(parked);
        Ok(())
    }

    /// Resumes what is parked here, or will be the next time, without a signal.
    pub(crate) fn poke(&self) {
        let mut inner = self.inner.lock();
        if !matches!(inner.receiver, Receiver::Parked(_)) {
            inner.is_poked = true;
            return;
        }
        let receiver = std::mem::replace(&mut inner.receiver, Receiver::Nobody);
        drop(inner);
        receiver.wake();
    }

    /// Whether there is no signal, as far as can be seen without the lock.
    pub(crate) fn looks_empty(&self) -> bool {
        self.len.load(Relaxed) == 0
    }

    /// Takes the first signal if it has at most `cap` bytes.
    pub(crate) fn take(&self, cap: usize) -> Taken {
        if self.looks_empty() {
            return Taken::Empty;
        }
        let mut inner = self.inner.lock();
        let Some(first) = inner.queue.front() else { return Taken::Empty };
        let len = first.encoded_len();
        if len > cap {
            return Taken::TooLong(len);
        }
        let Some(signal) = inner.queue.pop_front() else { return Taken::Empty };
        self.len.store(inner.queue.len(), Relaxed);
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
        let mut inner = self.inner.lock();
        let (taken, left): (VecDeque<_>, _) = std::mem::take(&mut inner.queue).into_iter().partition(which);
        inner.queue = left;
        self.len.store(inner.queue.len(), Relaxed);
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
        let mut inner = self.inner.lock();
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
        self.len.store(inner.queue.len(), Relaxed);
        // Whoever waited before looks again by itself: this is called by the one receiver.
    }

    /// Ready when there is a signal. One receiver: the last waker given is the one that is woken.
    pub(crate) fn poll_signal(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.inner.lock();
        if !inner.queue.is_empty() {
            return Poll::Ready(());
        }
        match &inner.receiver {
            Receiver::Task(waker) if waker.will_wake(cx.waker()) => {}
            _ => inner.receiver = Receiver::Task(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Number of signals and their bytes.
    pub(crate) fn fill(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        (inner.queue.len(), inner.open.bytes + inner.reserved.bytes)
    }

    /// Whether it has as many signals of those that came without being asked for as it may.
    pub(crate) fn is_full_of_signals(&self, limits: &Limits) -> bool {
        self.inner.lock().open.signals >= limits.mailbox_signals
    }

    /// Drops what is in it and refuses what comes.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let receiver = std::mem::replace(&mut inner.receiver, Receiver::Nobody);
        let queue = std::mem::take(&mut inner.queue);
        self.len.store(0, Relaxed);
        drop(inner);
        drop((receiver, queue));
    }
}

/// Under loom, which runs each test once for every order of what its threads do.
#[cfg(all(test, hearth_loom))]
mod loom_tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{Body, queue::RunQueue};
    use hearth_abi::signal::Header;
    use loom::{future::block_on, sync::Arc, thread};
    use std::future::poll_fn;

    fn message(tag: u64) -> Signal {
        let header = Header { kind: Kind::Message, status: 0, from: 1, tag };
        Signal { header, body: Body::EMPTY }
    }

    type Mailbox = super::Mailbox<Token>;

    /// What parks in these tests: it goes to the queue, as a process does.
    struct Token(Arc<RunQueue<Token>>);

    impl Parked for Token {
        fn resume(self) {
            let queue = self.0.clone();
            queue.push(self);
        }
    }

    /// A worker that has the token, and parks it, until `done`.
    fn work(mailbox: &Mailbox, queue: Arc<RunQueue<Token>>, mut done: impl FnMut() -> bool) {
        let mut token = Some(Token(queue.clone()));
        let mut taken = VecDeque::new();
        while !done() {
            let Some(parks) = token.take() else {
                // Were it lost, this would wait for ever, which loom reports.
                assert!(queue.wait(&mut taken, 1));
                token = taken.pop_front();
                continue;
            };
            token = mailbox.park(parks).err();
        }
        // The token holds the queue, which may hold the token.
        mailbox.close();
        queue.stop();
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
    fn what_is_parked_is_resumed_by_each_signal() {
        loom::model(|| {
            let mailbox = Arc::new(Mailbox::new());
            let sender = mailbox.clone();
            let sent = thread::spawn(move || {
                (1..=2).for_each(|tag| sender.push(message(tag), &Limits::default()).unwrap());
            });
            let mut tags = Vec::new();
            work(&mailbox, Arc::new(RunQueue::new()), || {
                while let Taken::Signal(signal) = mailbox.take(usize::MAX) {
                    tags.push(signal.header.tag);
                }
                tags.len() == 2
            });
            assert_eq!(tags, [1, 2]);
            sent.join().unwrap();
        });
    }

    #[test]
    fn a_poke_is_not_lost_whether_it_is_parked_or_about_to() {
        loom::model(|| {
            let mailbox = Arc::new(Mailbox::new());
            let is_asked = Arc::new(loom::sync::atomic::AtomicBool::new(false));
            let (theirs, asks) = (mailbox.clone(), is_asked.clone());
            let poked = thread::spawn(move || {
                asks.store(true, std::sync::atomic::Ordering::Release);
                theirs.poke();
            });
            let done = || is_asked.load(std::sync::atomic::Ordering::Acquire);
            work(&mailbox, Arc::new(RunQueue::new()), done);
            poked.join().unwrap();
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
