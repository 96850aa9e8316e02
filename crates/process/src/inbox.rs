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
    signals: VecDeque<Signal>,
    /// What was used and still counts in the mailbox.
    used: Fills,
}

thread_local! {
    /// The id of the process that has its turn; 0 between turns.
    static OF: Cell<u64> = const { Cell::new(0) };
    static INBOX: RefCell<Inbox> =
        const { RefCell::new(Inbox { signals: VecDeque::new(), used: Fills::NONE }) };
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
pub(crate) fn begin(process: &Process, first: Option<Signal>) {
    OF.set(process.id.to_bits());
    if let Some(first) = first {
        with(|inbox| inbox.signals.push_back(first));
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
        let Inbox { signals, used, .. } = inbox;
        if signals.is_empty() {
            if process.mailbox.looks_empty() {
                return Some(Take::Empty);
            }
            process.mailbox.take_all(signals);
        }
        let Some(first) = signals.front() else { return Some(Take::Empty) };
        if first.encoded_len() > cap {
            return Some(Take::TooLong(first.encoded_len()));
        }
        used.add(first);
        let taken = f.take().map(|f| Take::Signal(f(first)));
        drop(signals.pop_front());
        if used.signals() > process.mailbox.settle_after() {
            process.mailbox.settle(std::mem::take(used));
        }
        taken
    });
    match (taken.flatten(), f) {
        (Some(taken), _) => Ok(taken),
        (None, Some(f)) => Err(f),
        (None, None) => Ok(Take::Empty),
    }
}

/// Takes signals for the process, the first first, as long as `f` says that it took the one it was shown; `None` if the
/// process has no turn on this thread.
pub(crate) fn take_many(process: &Process, f: &mut impl FnMut(&Signal) -> bool) -> Option<usize> {
    if !is_of(process) {
        return None;
    }
    with(|inbox| {
        let Inbox { signals, used, .. } = inbox;
        if signals.is_empty() {
            if process.mailbox.looks_empty() {
                return 0;
            }
            process.mailbox.take_all(signals);
        }
        let mut taken = 0;
        while let Some(first) = signals.front()
            && f(first)
        {
            used.add(first);
            drop(signals.pop_front());
            taken += 1;
        }
        if used.signals() > process.mailbox.settle_after() {
            process.mailbox.settle(std::mem::take(used));
        }
        taken
    })
}

/// What this turn has taken and not used is in the mailbox again.
pub(crate) fn give_back(process: &Process) {
    let (signals, used) = with(|inbox| (std::mem::take(&mut inbox.signals), std::mem::take(&mut inbox.used)))
        .unwrap_or_default();
    process.mailbox.give_back(signals, used);
}

/// The turn is over. What it has taken and not used is in the mailbox again; what it used counts there
/// no longer once the result has been given to the mailbox.
pub(crate) fn end(process: &Process) -> Fills {
    OF.set(0);
    let ended = with(|inbox| (!inbox.signals.is_empty(), std::mem::take(&mut inbox.used)));
    let (has_left, used) = ended.unwrap_or_default();
    if has_left {
        give_back(process);
    }
    used
}
