// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the turn on this thread has sent to one process that waits behind it, and has not put into its mailbox yet.
//!
//! Whom a turn resumes is in the queue of its thread until the turn is over or the queue is shared, and nobody else runs it
//! from there. What else the turn sends to that one, nobody could take meanwhile: so it is collected here, and goes into the
//! mailbox together, with one lock for all. That is when the turn is over or runs long, before anything else that the
//! same turn does to the receiver and that has an order, and when the room is used up that was kept in the mailbox for it.
//!
//! Only who is sent several messages in a turn gets them so: to begin costs more than to send one.

use crate::{
    Signal,
    mailbox::{BLANK, Fill},
    record::{Directory, Process},
};
use hearth_abi::{ProcessId, signal::HEADER_LEN};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    sync::Arc,
};

/// Messages of a turn to one process that go straight into its mailbox, before others are collected.
const STRAIGHT: u32 = 3;

/// Of whom it is known that nobody else runs it now.
struct Last {
    /// The directory and the id of the process that was resumed last and is in the queue of this thread; zeros if there is none.
    resumed: Cell<(u64, u64)>,
    /// Messages that it was sent.
    sent: Cell<u32>,
    /// Whether they are collected, so that it stays the one.
    is_collected: Cell<bool>,
}

struct Outbox {
    /// Who gets what is here.
    to: Option<Arc<Process>>,
    signals: VecDeque<Signal>,
    /// For how much more there is room in its mailbox that was kept.
    room: Fill,
}

impl Outbox {
    /// Puts what is here where it belongs, and keeps room for as much again.
    fn settle(&mut self) {
        let Outbox { to, signals, room, .. } = self;
        if let Some(to) = to {
            *room = to.mailbox.append(signals, std::mem::take(room), true);
        }
    }

    /// Puts what is here where it belongs, and collects no more.
    fn close(&mut self) {
        if let Some(to) = self.to.take() {
            to.mailbox.append(&mut self.signals, std::mem::take(&mut self.room), false);
        }
    }
}

thread_local! {
    // Looked at for each message. It is never dropped, so that to find it takes one instruction.
    static LAST: Last = const {
        Last { resumed: Cell::new((0, 0)), sent: Cell::new(0), is_collected: Cell::new(false) }
    };
    static OUTBOX: RefCell<Outbox> = const {
        RefCell::new(Outbox {
            to: None,
            signals: VecDeque::new(),
            room: Fill { signals: 0, bytes: 0 },
        })
    };
}

/// Nothing while what is collected goes where it belongs.
fn with<R>(f: impl FnOnce(&mut Outbox) -> R) -> Option<R> {
    OUTBOX.try_with(|outbox| outbox.try_borrow_mut().ok().map(|mut outbox| f(&mut outbox))).ok().flatten()
}

/// This process is in the queue of this thread now.
pub(crate) fn resumed(directory: &Directory, id: ProcessId) {
    LAST.with(|last| {
        if !last.is_collected.get() {
            last.resumed.set((directory.number, id.to_bits()));
            last.sent.set(0);
        }
    });
}

/// Collects a message; `false` if it is to go straight into the mailbox.
pub(crate) fn put(directory: &Directory, from: ProcessId, to: ProcessId, body: &[u8]) -> bool {
    let is_for_last = LAST.with(|last| {
        if last.resumed.get() != (directory.number, to.to_bits()) {
            return false;
        }
        if !last.is_collected.get() {
            last.sent.set(last.sent.get() + 1);
            last.is_collected.set(last.sent.get() > STRAIGHT);
        }
        last.is_collected.get()
    });
    if !is_for_last {
        return false;
    }
    let collected = with(|outbox| {
        if outbox.to.is_none() {
            outbox.to = directory.get(to);
            outbox.settle();
        }
        let len = HEADER_LEN + body.len();
        if outbox.room.signals == 0 || outbox.room.bytes < len {
            outbox.settle();
            if outbox.room.signals == 0 || outbox.room.bytes < len {
                return false;
            }
        }
        outbox.room.signals -= 1;
        outbox.room.bytes -= len;
        outbox.signals.push_back(BLANK);
        if let Some(signal) = outbox.signals.back_mut() {
            signal.become_message(from, body);
        }
        true
    });
    if collected != Some(true) {
        // Whoever puts it there hears that it is full.
        flush();
    }
    collected == Some(true)
}

/// What was collected goes into the mailbox: something follows that is not to overtake it, or somebody else may run the
/// receiver from now on.
pub(crate) fn flush() {
    LAST.with(|last| {
        last.resumed.set((0, 0));
        if last.is_collected.get() && with(Outbox::close).is_some() {
            last.is_collected.set(false);
        }
    });
}
