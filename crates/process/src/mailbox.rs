// SPDX-License-Identifier: AGPL-3.0-or-later
//! The queue of signals of one process: many senders, one receiver.
//!
//! Replies, timeouts, and what comes of links and monitors have places of their own, which their request,
//! timer, link or monitor has reserved: a flood of messages does not take them. Their bytes too are
//! counted apart; a reply for which there is no room loses its body and says so in its status, and an exit
//! reason loses all but its kind.
//!
//! Here too a process waits: a task leaves its waker, and a parked process *itself*. Whoever brings a signal finds
//! it, gives it the signal, and carries it to the run queue; while it is there or runs, there is nothing to find. So
//! what parks has no flags that tell where it is, and is in one place at a time because it can only be in one.
//!
//! It waits in a [`Slot`] of its own, without the lock: to find somebody who waits, and to wait, take one instruction each that others
//! see. Whoever parks looks at the queue when it can be found already, and whoever has put something into the queue looks for it
//! then, so that one of them sees the other. And whoever finds it while there is something in the queue puts the signal
//! behind that: so those of one sender stay in order.
//!
//! A turn takes all signals out at once ([`Mailbox::take_all`], and `inbox`, where they are meanwhile). They count as
//! being here until it says that they are used.

use crate::{
    Body, SendError, Signal, Take,
    life::Life,
    lock::{AtomicBool, AtomicU32, AtomicUsize, Mutex, Slot},
};
use hearth_abi::{
    ProcessId,
    signal::{HEADER_LEN, Header, Kind},
};
use std::{
    collections::VecDeque,
    sync::atomic::Ordering::{Acquire, Relaxed, Release},
    task::{Context, Poll, Waker},
};

/// Most signals, and bytes of them, for which room is kept that are collected elsewhere. At most a [`SETTLE_PART`] of all.
const COLLECTED_MAX: Fill = Fill { signals: 512, bytes: 64 << 10 };

/// What waits in a mailbox without a waker of its own.
pub(crate) trait Parked {
    /// Where the signal is put that it is resumed with, which is not in the mailbox but still counts there.
    fn first(&mut self) -> &mut Option<Signal>;

    /// There is something for it: its first signal, or what it finds when it looks around.
    fn resume(self);
}

/// A message without sender and body.
pub(crate) const BLANK: Signal =
    Signal { header: Header { kind: Kind::Message, status: 0, from: 0, tag: 0 }, body: Body::EMPTY };

impl Signal {
    /// A blank one becomes this message, where it is: to move what has just been written costs as much as all the rest of
    /// sending it.
    #[inline]
    pub(crate) fn become_message(&mut self, from: ProcessId, body: &[u8]) {
        self.header.from = from.to_bits();
        self.body.set(body);
    }
}

/// Signals for which one that is not idle keeps room.
const ROOM_KEPT: usize = 64;
/// Signals that a turn uses until it tells so. As many are counted for longer than they are there.
const SETTLE_AFTER: usize = 64;
/// And at most one of so many that may be there.
const SETTLE_PART: usize = 16;

/// `P` is what parks here. What a message to it needs comes first.
#[repr(C)]
pub(crate) struct Mailbox<P = Box<Life>> {
    /// What waits here. If it is there, no signal is, but for a moment.
    parked: Slot<P>,
    /// Number of signals, for the receiver, which would otherwise lock to find none. Written under the lock.
    len: AtomicUsize,
    /// What [`Brought`] is of the signal that was given to what parked here, until that is used; 0 if there is none. It may be seen
    /// late by others, who then let in one signal more than there may be, or refuse one.
    brought: AtomicU32,
    /// Whether the receiver is to look around before it parks the next time, though there may be no signal.
    is_poked: AtomicBool,
    /// Whether it has come to its end. Written under the lock.
    is_closed: AtomicBool,
    /// Most signals that came without being asked for.
    signals_max: usize,
    /// Most bytes of these, and as many of the others.
    bytes_max: usize,
    inner: Mutex<Inner>,
}

struct Inner {
    queue: VecDeque<Signal>,
    fills: Fills,
    /// The task that waits for a signal.
    waker: Option<Waker>,
}

/// The bytes of a signal that is not in the queue, and whether it has a place of its own.
#[derive(Clone, Copy)]
struct Brought(u32);

impl Brought {
    const NONE: Brought = Brought(0);

    fn new(len: usize, has_reservation: bool) -> Brought {
        // A signal is never so long that it would not fit.
        Brought(u32::try_from(len << 1).unwrap_or(!1) | u32::from(has_reservation))
    }

    fn bytes(self) -> usize {
        (self.0 >> 1) as usize
    }

    /// What counts for it.
    fn fills(self) -> Fills {
        let fill = || Fill { signals: usize::from(self.0 > 0), bytes: self.bytes() };
        match self.0 & 1 {
            0 => Fills { open: fill(), reserved: Fill::default() },
            _ => Fills { open: Fill::default(), reserved: fill() },
        }
    }
}

/// Signals, and their bytes.
#[derive(Default)]
pub(crate) struct Fill {
    pub(crate) signals: usize,
    pub(crate) bytes: usize,
}

/// How much counts as being in a mailbox, or no longer.
#[derive(Default)]
pub(crate) struct Fills {
    /// Of the signals that came without being asked for.
    open: Fill,
    /// Of those that have a place of their own.
    reserved: Fill,
}

impl Fills {
    pub(crate) const NONE: Fills =
        Fills { open: Fill { signals: 0, bytes: 0 }, reserved: Fill { signals: 0, bytes: 0 } };

    fn of(&mut self, signal: &Signal) -> &mut Fill {
        if has_reservation(signal) { &mut self.reserved } else { &mut self.open }
    }

    pub(crate) fn add(&mut self, signal: &Signal) {
        let fill = self.of(signal);
        fill.signals += 1;
        fill.bytes += signal.encoded_len();
    }

    fn take(&mut self, signal: &Signal) {
        let fill = self.of(signal);
        fill.signals -= 1;
        fill.bytes -= signal.encoded_len();
    }

    /// Of how many signals.
    pub(crate) fn signals(&self) -> usize {
        self.open.signals + self.reserved.signals
    }

    fn add_all(&mut self, more: &Fills) {
        self.open.signals += more.open.signals;
        self.open.bytes += more.open.bytes;
        self.reserved.signals += more.reserved.signals;
        self.reserved.bytes += more.reserved.bytes;
    }

    fn take_all(&mut self, less: &Fills) {
        self.open.signals -= less.open.signals;
        self.open.bytes -= less.open.bytes;
        self.reserved.signals -= less.reserved.signals;
        self.reserved.bytes -= less.reserved.bytes;
    }
}

fn has_reservation(signal: &Signal) -> bool {
    is_of_run(signal) || signal.is_exit_of_link()
}

/// Whether it is for the code that runs, rather than for the process.
pub(crate) fn is_of_run(signal: &Signal) -> bool {
    matches!(signal.header.kind, Kind::Reply | Kind::Timeout | Kind::Down)
}

impl<P: Parked> Mailbox<P> {
    /// Where what is locked begins.
    #[cfg(not(hearth_loom))]
    pub(crate) const LOCKED_AT: usize = std::mem::offset_of!(Mailbox<P>, inner);

    /// An empty one of so many signals and bytes.
    pub(crate) fn new(signals_max: usize, bytes_max: usize) -> Mailbox<P> {
        Mailbox {
            parked: Slot::new(),
            len: AtomicUsize::new(0),
            brought: AtomicU32::new(0),
            is_poked: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            signals_max,
            bytes_max,
            inner: Mutex::new(Inner { queue: VecDeque::new(), fills: Fills::NONE, waker: None }),
        }
    }

    /// Gives a signal to what is parked here, or else appends it and wakes the receiver.
    pub(crate) fn push(&self, signal: Signal) -> Result<(), SendError> {
        let brought = Brought::new(signal.encoded_len(), has_reservation(&signal));
        self.push_by(brought, signal, |signal| signal, |to, signal| *to = Some(signal))
    }

    /// As [`push`](Mailbox::push), of a message that is made where it will lie.
    #[inline]
    pub(crate) fn push_message(&self, from: ProcessId, body: &[u8]) -> Result<(), SendError> {
        let brought = Brought::new(HEADER_LEN + body.len(), false);
        let make = |_: ()| {
            let mut signal = BLANK;
            signal.become_message(from, body);
            signal
        };
        self.push_by(brought, (), make, |to, ()| to.insert(BLANK).become_message(from, body))
    }

    /// Gives a signal to what is parked here by `give`, or else appends what `make` makes of it.
    #[inline]
    fn push_by<S>(
        &self,
        brought: Brought,
        signal: S,
        make: impl FnOnce(S) -> Signal,
        give: impl FnOnce(&mut Option<Signal>, S),
    ) -> Result<(), SendError> {
        // What does not fit into an empty one is refused, or shortened, where all is.
        if brought.bytes() <= self.bytes_max && self.signals_max > 0 {
            match self.parked.take() {
                Some(mut parked) if self.looks_empty() => {
                    give(parked.first(), signal);
                    self.brought.store(brought.0, Relaxed);
                    parked.resume();
                    return Ok(());
                }
                Some(parked) => {
                    // There is something before it.
                    let appended = self.append_one(make(signal));
                    parked.resume();
                    return appended;
                }
                None => {}
            }
        }
        self.append_one(make(signal))
    }

    #[inline(never)]
    fn append_one(&self, mut signal: Signal) -> Result<(), SendError> {
        let mut inner = self.inner.lock();
        if self.is_closed() {
            return Err(SendError::NotFound);
        }
        let Fills { open, reserved } = self.fills(&inner);
        if has_reservation(&signal) {
            if reserved.bytes + signal.encoded_len() > self.bytes_max {
                signal = signal.shortened();
            }
        } else if open.signals >= self.signals_max || open.bytes + signal.encoded_len() > self.bytes_max {
            return Err(SendError::Full);
        }
        inner.fills.add(&signal);
        inner.queue.push_back(signal);
        self.len.store(inner.queue.len(), Relaxed);
        let waker = inner.waker.take();
        drop(inner);
        self.tell(waker);
        Ok(())
    }

    /// The receiver learns that there is something for it in the queue, whose lock is not held any more.
    fn tell(&self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            waker.wake();
        }
        if let Some(parked) = self.parked.take() {
            parked.resume();
        }
    }

    /// Appends signals that were collected elsewhere, for which, and for `unused` besides, room was kept. Keeps room for as much
    /// `again`, if there is so much.
    pub(crate) fn append(&self, signals: &mut VecDeque<Signal>, unused: Fill, again: bool) -> Fill {
        let mut inner = self.inner.lock();
        if self.is_closed() {
            drop(inner);
            // Not under the lock.
            signals.clear();
            return Fill::default();
        }
        let brought = self.brought().fills().open;
        let open = &mut inner.fills.open;
        open.signals -= unused.signals;
        open.bytes -= unused.bytes;
        let mut kept = Fill::default();
        if again {
            let signals = COLLECTED_MAX.signals.min(self.signals_max / SETTLE_PART);
            let bytes = COLLECTED_MAX.bytes.min(self.bytes_max / SETTLE_PART);
            if open.signals + brought.signals + signals <= self.signals_max
                && open.bytes + brought.bytes + bytes <= self.bytes_max
            {
                kept = Fill { signals, bytes };
                open.signals += signals;
                open.bytes += bytes;
            }
        }
        if signals.is_empty() {
            return kept;
        }
        if inner.queue.is_empty() {
            std::mem::swap(&mut inner.queue, signals);
        } else {
            inner.queue.append(signals);
        }
        self.len.store(inner.queue.len(), Relaxed);
        let waker = inner.waker.take();
        drop(inner);
        self.tell(waker);
        kept
    }

    /// Leaves what parks here until there is a signal. If there is one, or somebody has called
    /// [`poke`](Mailbox::poke), it is given back: there is something to do. `used`, and what it was resumed with, count no longer.
    #[inline(always)]
    pub(crate) fn park(&self, parked: P, used: &Fills) -> Result<(), P> {
        self.brought.store(Brought::NONE.0, Relaxed);
        if used.signals() > 0 {
            self.inner.lock().fills.take_all(used);
        }
        if self.must_look() {
            self.looks_around();
            return Err(parked);
        }
        let before = self.parked.put(parked);
        debug_assert!(before.is_none(), "one process parks here");
        // Whoever came before could not find it.
        if self.must_look()
            && let Some(parked) = self.parked.take()
        {
            self.looks_around();
            return Err(parked);
        }
        Ok(())
    }

    /// Whether there is something to do for what is about to park.
    fn must_look(&self) -> bool {
        !self.looks_empty() || self.is_poked.load(Relaxed) || self.is_closed()
    }

    /// What was about to park sees all for which it was poked.
    fn looks_around(&self) {
        self.is_poked.swap(false, Acquire);
    }

    /// Takes out what is parked here, which is soon to be parked again: what comes meanwhile waits for that.
    pub(crate) fn take_parked(&self) -> Option<P> {
        self.parked.take()
    }

    /// Resumes what is parked here, or will be the next time, without a signal.
    pub(crate) fn poke(&self) {
        if let Some(parked) = self.parked.take() {
            return parked.resume();
        }
        self.is_poked.store(true, Release);
        // It may have parked in between.
        if let Some(parked) = self.parked.take() {
            parked.resume();
        }
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Relaxed)
    }

    fn brought(&self) -> Brought {
        Brought(self.brought.load(Relaxed))
    }

    /// All that counts as being here.
    fn fills(&self, inner: &Inner) -> Fills {
        let mut fills = self.brought().fills();
        fills.add_all(&inner.fills);
        fills
    }

    /// Whether there is no signal, as far as can be seen without the lock.
    pub(crate) fn looks_empty(&self) -> bool {
        self.len.load(Relaxed) == 0
    }

    /// Takes the first signal, if it has at most `cap` bytes, by `f`.
    pub(crate) fn take<R>(&self, cap: usize, f: impl FnOnce(&Signal) -> R) -> Take<R> {
        if self.looks_empty() {
            return Take::Empty;
        }
        let mut inner = self.inner.lock();
        let Some(first) = inner.queue.front() else { return Take::Empty };
        if first.encoded_len() > cap {
            return Take::TooLong(first.encoded_len());
        }
        let Some(signal) = inner.queue.pop_front() else { return Take::Empty };
        inner.fills.take(&signal);
        self.len.store(inner.queue.len(), Relaxed);
        drop(inner);
        Take::Signal(f(&signal))
    }

    /// Takes the first signal if `f`, which is shown it under the lock, says so.
    pub(crate) fn take_if(&self, f: impl FnOnce(&Signal) -> bool) -> Option<Signal> {
        if self.looks_empty() {
            return None;
        }
        let mut inner = self.inner.lock();
        let signal = inner.queue.pop_front_if(|signal| f(signal))?;
        inner.fills.take(&signal);
        self.len.store(inner.queue.len(), Relaxed);
        Some(signal)
    }

    /// Moves all signals to `into`, which is empty, where they are until they are [used](Mailbox::settle) or
    /// [given back](Mailbox::give_back).
    pub(crate) fn take_all(&self, into: &mut VecDeque<Signal>) {
        let mut inner = self.inner.lock();
        std::mem::swap(&mut inner.queue, into);
        self.len.store(inner.queue.len(), Relaxed);
    }

    /// After how many signals whoever has taken all is to tell that they are used.
    pub(crate) fn settle_after(&self) -> usize {
        SETTLE_AFTER.min(self.signals_max / SETTLE_PART)
    }

    /// `used` counts no longer.
    pub(crate) fn settle(&self, used: &Fills) {
        if used.signals() > 0 {
            self.inner.lock().fills.take_all(used);
        }
    }

    /// What was brought to what was parked is used, and counts no longer.
    pub(crate) fn first_used(&self) {
        self.brought.store(Brought::NONE.0, Relaxed);
    }

    /// Puts what was brought to what was parked, if it was not used, and what was taken by [`take_all`](Mailbox::take_all), before
    /// all others. `used` counts no longer.
    pub(crate) fn give_back(&self, first: Option<Signal>, mut signals: VecDeque<Signal>, used: &Fills) {
        let mut inner = self.inner.lock();
        inner.fills.take_all(used);
        if self.is_closed() {
            // What is refused is dropped when the lock is not held any more.
            drop(inner);
            return;
        }
        self.brought.store(Brought::NONE.0, Relaxed);
        if let Some(first) = first {
            inner.fills.add(&first);
            signals.push_front(first);
        }
        signals.append(&mut inner.queue);
        let room = std::mem::replace(&mut inner.queue, signals);
        self.len.store(inner.queue.len(), Relaxed);
        drop(inner);
        drop(room);
    }

    /// Gives back the room that a burst has left, or all room of one that `is_idle`, if nothing is in it.
    pub(crate) fn shrink(&self, is_idle: bool) {
        let mut inner = self.inner.lock();
        let most = if is_idle { 0 } else { ROOM_KEPT };
        if inner.queue.is_empty() && inner.queue.capacity() > most {
            // Not under the lock.
            let room = std::mem::take(&mut inner.queue);
            drop(inner);
            drop(room);
        }
    }

    /// Takes all out that is for the code that runs.
    pub(crate) fn take_of_run(&self) -> Vec<Signal> {
        self.take_those(is_of_run)
    }

    /// Takes out what the user has done: input, and what happened to terminals.
    pub(crate) fn take_of_user(&self) -> Vec<Signal> {
        self.take_those(|signal| matches!(signal.header.kind, Kind::Input | Kind::Terminal | Kind::Pointer))
    }

    fn take_those(&self, which: impl Fn(&Signal) -> bool) -> Vec<Signal> {
        let mut inner = self.inner.lock();
        let (taken, left): (VecDeque<_>, _) = std::mem::take(&mut inner.queue).into_iter().partition(which);
        inner.queue = left;
        self.len.store(inner.queue.len(), Relaxed);
        taken.iter().for_each(|signal| inner.fills.take(signal));
        Vec::from(taken)
    }

    /// Puts signals that were taken before all others, in their order. They were within the bounds, so
    /// that what is there now may be over them for a while, by as much again.
    pub(crate) fn put_back(&self, signals: Vec<Signal>) {
        let mut inner = self.inner.lock();
        if self.is_closed() {
            return;
        }
        for signal in signals.into_iter().rev() {
            inner.fills.add(&signal);
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
        match &mut inner.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => inner.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Number of signals and their bytes.
    pub(crate) fn fill(&self) -> (usize, usize) {
        let Fills { open, reserved } = self.fills(&self.inner.lock());
        (open.signals + reserved.signals, open.bytes + reserved.bytes)
    }

    /// Whether it has as many signals of those that came without being asked for as it may.
    pub(crate) fn is_full_of_signals(&self) -> bool {
        self.fills(&self.inner.lock()).open.signals >= self.signals_max
    }

    /// Drops what is in it and refuses what comes.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        self.is_closed.store(true, Relaxed);
        let waker = inner.waker.take();
        let queue = std::mem::take(&mut inner.queue);
        self.len.store(0, Relaxed);
        drop(inner);
        drop((waker, queue, self.parked.take()));
    }
}

/// Under loom, which runs each test once for every order of what its threads do.
#[cfg(all(test, hearth_loom))]
mod loom_tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::queue::RunQueue;
    use loom::{future::block_on, sync::Arc, thread};
    use std::future::poll_fn;

    fn message(tag: u64) -> Signal {
        let header = Header { kind: Kind::Message, status: 0, from: 1, tag };
        Signal { header, body: Body::EMPTY }
    }

    type Mailbox = super::Mailbox<Token>;

    fn mailbox() -> Arc<Mailbox> {
        Arc::new(Mailbox::new(4096, 8 << 20))
    }

    /// What parks in these tests: it goes to the queue, as a process does, with what was brought to it.
    struct Token(Arc<RunQueue<Token>>, Option<Signal>);

    impl Parked for Token {
        fn first(&mut self) -> &mut Option<Signal> {
            &mut self.1
        }

        fn resume(self) {
            let queue = self.0.clone();
            queue.push(self);
        }
    }

    /// A worker that has the token, and parks it, until `done`, which is told what was brought to it, and tells what it has
    /// used.
    fn work(
        mailbox: &Mailbox,
        queue: Arc<RunQueue<Token>>,
        mut done: impl FnMut(Option<Signal>, &mut Fills) -> bool,
    ) {
        let mut token = Token(queue.clone(), None);
        let mut taken = VecDeque::new();
        let mut used = Fills::NONE;
        while !done(token.1.take(), &mut used) {
            token = match mailbox.park(token, &std::mem::take(&mut used)) {
                Err(token) => token,
                Ok(()) => {
                    // Were it lost, this would wait for ever, which loom reports.
                    assert!(queue.wait(&mut taken, 1));
                    taken.pop_front().unwrap()
                }
            };
        }
        // The token holds the queue, which may hold the token.
        mailbox.close();
        queue.stop();
    }

    /// Waits for a signal and takes it, as a process does.
    fn next(mailbox: &Mailbox) -> Signal {
        block_on(poll_fn(|context| mailbox.poll_signal(context)));
        match mailbox.take(usize::MAX, Signal::clone) {
            Take::Signal(signal) => signal,
            Take::Empty | Take::TooLong(_) => panic!("woken for nothing"),
        }
    }

    #[test]
    fn a_receiver_that_goes_to_sleep_is_woken() {
        loom::model(|| {
            let mailbox = mailbox();
            let sender = mailbox.clone();
            let sent = thread::spawn(move || sender.push(message(1)).unwrap());
            assert_eq!(next(&mailbox).header.tag, 1);
            sent.join().unwrap();
            assert_eq!(mailbox.fill(), (0, 0));
        });
    }

    #[test]
    fn what_is_parked_is_resumed_by_each_signal() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let mailbox = mailbox();
            let sender = mailbox.clone();
            let sent = thread::spawn(move || {
                (1..=2).for_each(|tag| sender.push(message(tag)).unwrap());
            });
            let mut tags = Vec::new();
            let mut batch = VecDeque::new();
            work(&mailbox, Arc::new(RunQueue::new()), |first, used| {
                if !mailbox.looks_empty() {
                    mailbox.take_all(&mut batch);
                }
                // What was brought is before what was queued meanwhile, and counted apart.
                tags.extend(first.map(|signal| signal.header.tag));
                for signal in batch.drain(..) {
                    used.add(&signal);
                    tags.push(signal.header.tag);
                }
                tags.len() == 2
            });
            assert_eq!(tags, [1, 2]);
            sent.join().unwrap();
        });
    }

    #[test]
    fn what_is_parked_has_the_signals_of_one_sender_in_order_beside_another() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let mailbox = mailbox();
            let send = |tags: std::ops::RangeInclusive<u64>| {
                let mailbox = mailbox.clone();
                thread::spawn(move || tags.for_each(|tag| mailbox.push(message(tag)).unwrap()))
            };
            let senders = [send(1..=2), send(11..=11)];
            let mut tags = Vec::new();
            let mut batch = VecDeque::new();
            work(&mailbox, Arc::new(RunQueue::new()), |first, used| {
                mailbox.take_all(&mut batch);
                tags.extend(first.map(|signal| signal.header.tag));
                for signal in batch.drain(..) {
                    used.add(&signal);
                    tags.push(signal.header.tag);
                }
                tags.len() == 3
            });
            let of_one: Vec<u64> = tags.iter().copied().filter(|tag| *tag < 10).collect();
            assert_eq!((of_one, tags.len()), (vec![1, 2], 3));
            senders.into_iter().for_each(|sender| sender.join().unwrap());
        });
    }

    #[test]
    fn a_poke_is_not_lost_whether_it_is_parked_or_about_to() {
        loom::model(|| {
            let mailbox = mailbox();
            let is_asked = Arc::new(loom::sync::atomic::AtomicBool::new(false));
            let (theirs, asks) = (mailbox.clone(), is_asked.clone());
            let poked = thread::spawn(move || {
                asks.store(true, std::sync::atomic::Ordering::Release);
                theirs.poke();
            });
            let done = |_, _: &mut Fills| is_asked.load(std::sync::atomic::Ordering::Acquire);
            work(&mailbox, Arc::new(RunQueue::new()), done);
            poked.join().unwrap();
        });
    }

    #[test]
    fn what_is_parked_hears_of_a_signal_though_somebody_has_taken_it_out_for_a_moment() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let mailbox = mailbox();
            let (sender, taker) = (mailbox.clone(), mailbox.clone());
            let sent = thread::spawn(move || sender.push(message(1)).unwrap());
            let taken = thread::spawn(move || {
                if let Some(parked) = taker.take_parked()
                    && let Err(parked) = taker.park(parked, &Fills::NONE)
                {
                    parked.resume();
                }
            });
            let mut batch = VecDeque::new();
            work(&mailbox, Arc::new(RunQueue::new()), |first, used| {
                mailbox.take_all(&mut batch);
                let has_come = first.is_some() || !batch.is_empty();
                batch.drain(..).for_each(|signal| used.add(&signal));
                has_come
            });
            sent.join().unwrap();
            taken.join().unwrap();
        });
    }

    #[test]
    fn signals_of_one_sender_stay_in_order_beside_another_sender() {
        // Three threads have too many orders for all of them: those in which a thread is interrupted at most
        // twice find what such defects need.
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let mailbox = mailbox();
            let send = |tags: [u64; 2]| {
                let mailbox = mailbox.clone();
                thread::spawn(move || {
                    tags.into_iter().for_each(|tag| mailbox.push(message(tag)).unwrap());
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
    fn what_was_collected_is_in_order_and_its_room_is_given_back() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let mailbox = mailbox();
            let (collects, sends) = (mailbox.clone(), mailbox.clone());
            let collected = thread::spawn(move || {
                collects.push(message(1)).unwrap();
                let mut room = collects.append(&mut VecDeque::new(), Fill::default(), true);
                let signals = [message(2), message(3)];
                signals.iter().for_each(|signal| {
                    room.signals -= 1;
                    room.bytes -= signal.encoded_len();
                });
                collects.append(&mut signals.into(), room, false);
                collects.push(message(4)).unwrap();
            });
            let sent = thread::spawn(move || sends.push(message(11)).unwrap());
            let tags: Vec<u64> = (0..5).map(|_| next(&mailbox).header.tag).collect();
            let of_one: Vec<u64> = tags.iter().copied().filter(|tag| *tag < 10).collect();
            assert_eq!((of_one, tags.len()), (vec![1, 2, 3, 4], 5));
            collected.join().unwrap();
            sent.join().unwrap();
            assert_eq!(mailbox.fill(), (0, 0));
        });
    }

    #[test]
    fn what_comes_while_it_closes_is_refused_or_dropped() {
        loom::model(|| {
            let mailbox = mailbox();
            let sender = mailbox.clone();
            let sent = thread::spawn(move || sender.push(message(1)));
            mailbox.close();
            let outcome = sent.join().unwrap();
            assert!(matches!(outcome, Ok(()) | Err(SendError::NotFound)));
            assert!(matches!(mailbox.take(usize::MAX, Signal::clone), Take::Empty));
            assert!(matches!(mailbox.push(message(2)), Err(SendError::NotFound)));
        });
    }
}
