// SPDX-License-Identifier: AGPL-3.0-or-later
//! Timers of all processes of a peer: one ordered map and one task that sleeps until the first is due.

use hearth_abi::ProcessId;
use parking_lot::Mutex;
use std::{collections::BTreeMap, time::Duration};
use tokio::{sync::Notify, time::Instant};

/// Longest time a timer can be set ahead: about 30 years. What is longer is shortened to it.
const AFTER_MAX: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Where a timer stands in the map.
pub(crate) type Key = (Instant, u64);

#[derive(Default)]
pub(crate) struct Timers {
    state: Mutex<State>,
    earlier: Notify,
}

#[derive(Default)]
struct State {
    due: BTreeMap<Key, (ProcessId, u64)>,
    next: u64,
}

impl Timers {
    /// Adds a timer of this process and tag.
    pub(crate) fn add(&self, after: Duration, process: ProcessId, tag: u64) -> Key {
        let at = Instant::now() + after.min(AFTER_MAX);
        let (key, first) = {
            let mut state = self.state.lock();
            let key = (at, state.next);
            state.next += 1;
            state.due.insert(key, (process, tag));
            (key, state.due.first_key_value().is_some_and(|(first, _)| *first == key))
        };
        if first {
            self.earlier.notify_one();
        }
        key
    }

    /// Takes timers away; `false` for one that has gone off.
    pub(crate) fn remove(&self, key: Key) -> bool {
        self.state.lock().due.remove(&key).is_some()
    }

    pub(crate) fn remove_all(&self, keys: impl Iterator<Item = Key>) {
        let mut state = self.state.lock();
        for key in keys {
            state.due.remove(&key);
        }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().due.len()
    }

    /// Takes out the timers that are due (a bounded number), and tells when the next one is.
    pub(crate) fn due(&self) -> (Vec<(Key, ProcessId, u64)>, Option<Instant>) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let mut due = Vec::new();
        while due.len() < 256 {
            match state.due.first_entry() {
                Some(first) if first.key().0 <= now => {
                    let (key, (process, tag)) = first.remove_entry();
                    due.push((key, process, tag));
                }
                _ => break,
            }
        }
        (due, state.due.first_key_value().map(|((at, _), _)| *at))
    }

    /// Waits until `until`, or until a timer was added that is due before all others.
    pub(crate) async fn wait(&self, until: Instant) {
        let _ = tokio::time::timeout_at(until, self.earlier.notified()).await;
    }
}
