// SPDX-License-Identifier: AGPL-3.0-or-later
//! Those to whom this thread has sent lately: the next message finds them without the lock of the directory and the lookup
//! in it, which were an eighth of a message in a profile of a fan-in.
//!
//! Only threads of the fast lane remember anybody. What they remember may have ended: its mailbox says so, as the
//! directory would.

use crate::{
    SendError,
    life::Life,
    mailbox::{Fills, Mailbox},
    record::{Directory, Process},
};
use hearth_abi::ProcessId;
use std::{cell::RefCell, sync::Arc};

/// Most processes that a thread remembers, each at the place that its number gives.
const KNOWN_MAX: usize = 1024;

struct Known {
    /// Number of the directory whose processes these are; 0 before the first.
    of: u64,
    places: Vec<Place>,
}

#[derive(Default)]
struct Place {
    id: u64,
    process: Option<Arc<Process>>,
    /// Who was looked up last. Only who is looked up twice in a row is remembered: to remember costs more than to look up.
    asked: u64,
}

thread_local! {
    static KNOWN: RefCell<Known> = const { RefCell::new(Known { of: 0, places: Vec::new() }) };
}

/// From now on this thread remembers.
pub(crate) fn begin() {
    KNOWN.with(|known| known.borrow_mut().places.resize_with(KNOWN_MAX, Place::default));
}

/// Parks a process in its mailbox, as [`Mailbox::park`](crate::mailbox::Mailbox::park) does. Once it is there, others may run it to its
/// end before this returns: its record is held by what this thread remembers, which costs less than to count one more reference.
///
/// # Errors
/// It is not remembered, and comes back.
#[inline(always)]
pub(crate) fn park(life: Box<Life>, used: &Fills) -> Result<Result<(), Box<Life>>, Box<Life>> {
    let mut life = Some(life);
    let parked = KNOWN.try_with(|known| {
        let known = known.try_borrow().ok()?;
        let process = life.as_ref().map(|life| life.process())?;
        let place = known.places.get(process.id.serial() as usize % KNOWN_MAX)?;
        let process = place.process.as_ref().filter(|known| Arc::ptr_eq(known, process))?;
        life.take().map(|life| process.mailbox.park(life, used))
    });
    match (parked, life) {
        (Ok(Some(parked)), _) => Ok(parked),
        (_, Some(life)) => Err(life),
        // What was taken was parked.
        (_, None) => Ok(Ok(())),
    }
}

/// Puts a signal into the mailbox of a process of this directory, by `push`.
pub(crate) fn push(
    directory: &Directory,
    to: ProcessId,
    push: impl FnOnce(&Mailbox) -> Result<(), SendError>,
) -> Result<(), SendError> {
    let mut push = Some(push);
    let pushed = push_known(directory, to, |mailbox| match push.take() {
        Some(push) => push(mailbox),
        None => Err(SendError::NotFound),
    });
    match (pushed, push) {
        (Some(pushed), _) => pushed,
        (None, Some(push)) => push_unknown(directory, to, push),
        (None, None) => Err(SendError::NotFound),
    }
}

/// As [`push`], of a message.
#[inline]
pub(crate) fn send(
    directory: &Directory,
    from: ProcessId,
    to: ProcessId,
    body: &[u8],
) -> Result<(), SendError> {
    // In one piece, without what is for others.
    push_known(directory, to, |mailbox| mailbox.push_message(from, body))
        .unwrap_or_else(|| send_unknown(directory, from, to, body))
}

#[inline(never)]
fn send_unknown(directory: &Directory, from: ProcessId, to: ProcessId, body: &[u8]) -> Result<(), SendError> {
    push_unknown(directory, to, |mailbox| mailbox.push_message(from, body))
}

/// As [`push`], if this thread does not remember the process.
fn push_unknown(
    directory: &Directory,
    to: ProcessId,
    push: impl FnOnce(&Mailbox) -> Result<(), SendError>,
) -> Result<(), SendError> {
    directory.with(to, |process| push(&process.mailbox)).unwrap_or(Err(SendError::NotFound))
}

/// As [`push`], if this thread remembers the process; otherwise `None`, and `push` was not called.
#[inline]
fn push_known(
    directory: &Directory,
    to: ProcessId,
    push: impl FnOnce(&Mailbox) -> Result<(), SendError>,
) -> Option<Result<(), SendError>> {
    // Dropped when nothing is borrowed any more.
    let mut forgotten = None;
    let pushed = KNOWN.try_with(|known| {
        let mut known = known.try_borrow_mut().ok()?;
        let Known { of, places } = &mut *known;
        let place = places.get_mut(to.serial() as usize % KNOWN_MAX)?;
        if *of == 0 {
            *of = directory.number;
        } else if *of != directory.number {
            return None;
        }
        if place.id != to.to_bits() || place.process.is_none() {
            if place.asked != to.to_bits() {
                place.asked = to.to_bits();
                return None;
            }
            place.id = to.to_bits();
            forgotten = std::mem::replace(&mut place.process, directory.get(to));
        }
        let process = place.process.as_ref()?;
        let pushed = push(&process.mailbox);
        if pushed == Err(SendError::NotFound) {
            forgotten = place.process.take();
        }
        Some(pushed)
    });
    drop(forgotten);
    pushed.ok().flatten()
}
