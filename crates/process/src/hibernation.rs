// SPDX-License-Identifier: AGPL-3.0-or-later
//! Hibernation: a process that has waited for a while gives back what it does not need for that: the room of its mailbox, and
//! what its program can make again.
//!
//! Nobody is told when a process begins to wait, and no timer is set: now and then all processes are looked at, and those that
//! have had no turn since the last look hibernate ([`Turns::hibernate`](crate::Turns::hibernate)). The next turn wakes
//! them, and takes a little longer.

use crate::{State, life::Life, record::Process, table::Inner};
use std::{
    sync::{
        Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Processes that hibernate before other tasks of the thread have their turn.
const AT_ONCE: usize = 32;

/// What a look has seen of a process.
#[derive(Default)]
pub(crate) struct Seen {
    /// Its turns until then.
    turns: AtomicU64,
    /// Whether what could be done since has been done.
    is_settled: AtomicBool,
}

impl Process {
    /// Whether it has waited ever since the last look, and no look has found that before.
    fn is_newly_idle(&self) -> bool {
        let state = self.state.load(Relaxed);
        if state != State::Parked as u8 && state != State::Waiting as u8 {
            return false;
        }
        // Only who looks writes these.
        let turns = self.slice.turns();
        if self.seen.turns.swap(turns, Relaxed) != turns {
            self.seen.is_settled.store(false, Relaxed);
            return false;
        }
        !self.seen.is_settled.swap(true, Relaxed)
    }
}

/// Lets those hibernate who have had no turn for so long, or up to twice as long, as long as the table lives.
pub(crate) async fn run(table: Weak<Inner>, after: Duration) {
    loop {
        tokio::time::sleep(after).await;
        let Some(strong) = table.upgrade() else { return };
        for shard in 0..strong.directory.shards() {
            let ids = strong.directory.of_shard(shard);
            for ids in ids.chunks(AT_ONCE) {
                for id in ids {
                    let idle = |process: &Process| {
                        let is_idle = process.is_newly_idle();
                        process.mailbox.shrink(is_idle);
                        is_idle.then(|| process.mailbox.take_parked())
                    };
                    // Outside of the directory's lock.
                    if let Some(life) = strong.directory.with(*id, idle).flatten().flatten() {
                        Life::hibernate(life);
                    }
                }
                tokio::task::yield_now().await;
            }
        }
    }
}
