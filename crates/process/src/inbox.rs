// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the turn on this thread has taken out of its mailbox and not used yet.
//!
//! A turn would lock its mailbox for each signal. It locks it once for all that are there, and has what it was resumed with
//! without any lock. What is here when the turn is over goes back. A turn stays on its thread from start to end, so this
//! belongs to the thread.

use crate::{Signal, Take, mailbox::Fills, record::Process};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

struct Inbox {
    /// What the turn was resumed with, before all others.
    first: Option<Signal>,
    signals: VecDeque<Signal>,
    /// What was used and still counts in the mailbox.
    used: Fills,
}

thread_local! {
    /// The id of the process that has its turn; 0 between turns.
    static OF: Cell<u64> = const { Cell::new(0) };
    static INBOX: RefCell<Inbox> =
        const { RefCell::new(Inbox { first: None, signals: VecDeque::new(), used: Fills::NONE }) };
}

impl Inbox {
    /// The next signal. Those in the mailbox are taken out if there is none here.
    #[inline]
    fn front(&mut self, process: &Process) -> Option<&Signal> {
        if self.first.is_some() {
            return self.first.as_ref();
        }
        if self.signals.is_empty() {
            if process.mailbox.looks_empty() {
                return None;
            }
            process.mailbox.take_all(&mut self.signals);
        }
        self.signals.front()
    }

    /// The next signal was used. The first of all is counted apart, and counts until the turn is over.
    #[inline]
    fn pop(&mut self) {
        let Inbox { first, signals, used } = self;
        if first.is_some() {
            *first = None;
        } else if let Some(signal) = signals.front() {
            used.add(signal);
            drop(signals.pop_front());
        }
    }

    /// Many that were used count no longer.
    #[inline]
    fn settle(&mut self, process: &Process) {
        let used = self.used.signals();
        if used > 0 && used > process.mailbox.settle_after() {
            if self.first.is_none() {
                process.mailbox.first_used();
            }
            process.mailbox.settle(&std::mem::take(&mut self.used));
        }
    }
}

/// Whether the process has its turn on this thread.
fn is_of(process: &Process) -> bool {
    OF.get() == process.id.to_bits()
}

/// Nothing while the inbox of this thread is being looked at, which is not for long: nothing is called meanwhile.
fn with<R>(f: impl FnOnce(&mut Inbox) -> R) -> Option<R> {
    INBOX.try_with(|inbox| inbox.try_borrow_mut().ok().map(|mut inbox| f(&mut inbox))).ok().flatten()
}

/// A process has a turn on this thread, and was resumed with this signal.
pub(crate) fn begin(process: &Process, first: &mut Option<Signal>) {
    OF.set(process.id.to_bits());
    if first.is_some() {
        with(|inbox| inbox.first = first.take());
    }
}

/// Takes the first signal for the process by `f`, if the process has its turn on this thread and the signal at most `cap`
/// bytes. `f` comes back if it has no turn here.
pub(crate) fn take<R, F: FnOnce(&Signal) -> R>(process: &Process, cap: usize, f: F) -> Result<Take<R>, F> {
    if !is_of(process) {
        return Err(f);
    }
    let mut f = Some(f);
    let taken = with(|inbox| {
        let Some(next) = inbox.front(process) else { return Some(Take::Empty) };
        if next.encoded_len() > cap {
            return Some(Take::TooLong(next.encoded_len()));
        }
        let taken = f.take().map(|f| Take::Signal(f(next)));
        inbox.pop();
        inbox.settle(process);
        taken
    });
    match (taken.flatten(), f) {
        (Some(taken), _) => Ok(taken),
        (None, Some(f)) => Err(f),
        (None, None) => Ok(Take::Empty),
    }
}

/// Takes what the turn of the process on this thread was resumed with, if `f` says so; `None` if there is no such signal, or not any
/// more.
#[inline]
pub(crate) fn take_first(process: &Process, f: impl FnOnce(&Signal) -> bool) -> Option<bool> {
    if !is_of(process) {
        return None;
    }
    with(|inbox| {
        let is_taken = f(inbox.first.as_ref()?);
        if is_taken {
            inbox.pop();
        }
        Some(is_taken)
    })
    .flatten()
}

/// Takes signals for the process, the first first, as long as `f` says that it took the one it was shown; `None` if the
/// process has no turn on this thread.
pub(crate) fn take_many(process: &Process, f: &mut impl FnMut(&Signal) -> bool) -> Option<usize> {
    if !is_of(process) {
        return None;
    }
    with(|inbox| {
        if !inbox.front(process).is_some_and(&mut *f) {
            return 0;
        }
        inbox.pop();
        let mut taken = 1;
        // Not what has come to the mailbox meanwhile: the call is over soon, however much is sent.
        while inbox.signals.front().is_some_and(&mut *f) {
            inbox.pop();
            taken += 1;
        }
        inbox.settle(process);
        taken
    })
}

/// What this turn has taken and not used is in the mailbox again.
pub(crate) fn give_back(process: &Process) {
    let taken = with(|inbox| {
        let Inbox { first, signals, used } = inbox;
        (first.take(), std::mem::take(signals), std::mem::take(used))
    });
    let (first, signals, used) = taken.unwrap_or_default();
    process.mailbox.give_back(first, signals, &used);
}

/// The turn is over. What it has taken and not used is in the mailbox again; what it used counts there
/// no longer once the result has been given to the mailbox.
pub(crate) fn end(process: &Process) -> Fills {
    OF.set(0);
    let ended =
        with(|inbox| (inbox.first.is_some() || !inbox.signals.is_empty(), std::mem::take(&mut inbox.used)));
    let (has_left, used) = ended.unwrap_or_default();
    if has_left {
        give_back(process);
    }
    used
}
