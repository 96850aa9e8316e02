// SPDX-License-Identifier: AGPL-3.0-or-later
//! The queue that the workers of the fast lane share, and where they sleep.
//!
//! Each worker has a queue of its own besides, which nobody else looks at and which costs no lock. What it has too
//! much of it brings here, when it sees that another has nothing to do ([`RunQueue::has_idle`]). So what is queued
//! by a worker stays with it, where its memory is warm, as long as everybody is busy.
//!
//! Its bound is that of processes: each is in one place at a time.

use crate::lock::{AtomicUsize, Condvar, Mutex};
use std::{collections::VecDeque, sync::atomic::Ordering::Relaxed};

pub(crate) struct RunQueue<T> {
    state: Mutex<State<T>>,
    wake: Condvar,
    /// Workers that sleep or are about to. Written under the lock; read without it, where being late does no harm.
    idle: AtomicUsize,
    /// How many items there are, for those who would otherwise lock to find none.
    len: AtomicUsize,
}

struct State<T> {
    items: VecDeque<T>,
    is_stopped: bool,
}

impl<T> RunQueue<T> {
    pub(crate) fn new() -> RunQueue<T> {
        RunQueue {
            state: Mutex::new(State { items: VecDeque::new(), is_stopped: false }),
            wake: Condvar::new(),
            idle: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
        }
    }

    /// Appends an item and wakes a worker; `false` if none is idle. After the end it is dropped.
    pub(crate) fn push(&self, item: T) -> bool {
        self.append(std::iter::once(item))
    }

    /// Appends items and wakes as many workers; `false` if none is idle. After the end they are dropped.
    pub(crate) fn append(&self, items: impl Iterator<Item = T>) -> bool {
        let mut state = self.state.lock();
        if state.is_stopped {
            drop(state);
            items.for_each(drop);
            return true;
        }
        let before = state.items.len();
        state.items.extend(items);
        let more = state.items.len() - before;
        self.len.store(state.items.len(), Relaxed);
        // An idle worker that was woken before may still count as idle here: then one wake is too many.
        let idle = self.idle.load(Relaxed);
        drop(state);
        (0..more.min(idle)).for_each(|_| self.wake.notify_one());
        idle > 0
    }

    /// Whether a worker has nothing to do.
    pub(crate) fn has_idle(&self) -> bool {
        self.idle.load(Relaxed) > 0
    }

    /// Whether there is nothing, as far as can be seen without the lock.
    pub(crate) fn looks_empty(&self) -> bool {
        self.len.load(Relaxed) == 0
    }

    /// Moves at most `max` items to the end of `into`.
    pub(crate) fn take(&self, into: &mut VecDeque<T>, max: usize) {
        if !self.looks_empty() {
            let mut state = self.state.lock();
            let count = state.items.len().min(max);
            into.extend(state.items.drain(..count));
            self.len.store(state.items.len(), Relaxed);
        }
    }

    /// Sleeps until there is something, and moves at most `max` items into `into`. `false` at the end.
    pub(crate) fn wait(&self, into: &mut VecDeque<T>, max: usize) -> bool {
        let mut state = self.state.lock();
        if state.items.is_empty() && !state.is_stopped {
            self.idle.fetch_add(1, Relaxed);
            while state.items.is_empty() && !state.is_stopped {
                state = self.wake.wait(state);
            }
            self.idle.fetch_sub(1, Relaxed);
        }
        let count = state.items.len().min(max);
        into.extend(state.items.drain(..count));
        self.len.store(state.items.len(), Relaxed);
        !state.is_stopped
    }

    /// The end: workers wake, and nothing is taken any more. What is queued is dropped.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.is_stopped = true;
        let items = std::mem::take(&mut state.items);
        self.len.store(0, Relaxed);
        drop(state);
        self.wake.notify_all();
        // Not under the lock: what is dropped here may look at the queue.
        drop(items);
    }
}

/// Under loom, which runs each test once for every order of what its threads do.
#[cfg(all(test, hearth_loom))]
mod loom_tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use loom::{sync::Arc, thread};

    /// Runs a worker that takes items until the end, one at a time, and returns them.
    fn worker(queue: &Arc<RunQueue<u32>>) -> thread::JoinHandle<Vec<u32>> {
        let queue = queue.clone();
        thread::spawn(move || {
            let (mut mine, mut done) = (VecDeque::new(), Vec::new());
            while queue.wait(&mut mine, 1) {
                done.extend(mine.drain(..));
            }
            done.extend(mine.drain(..));
            done
        })
    }

    #[test]
    fn a_worker_that_goes_to_sleep_is_woken() {
        loom::model(|| {
            let queue = Arc::new(RunQueue::new());
            let theirs = queue.clone();
            let pushed = thread::spawn(move || theirs.push(7));
            let mut mine = VecDeque::new();
            // Were the wake lost, this would sleep for ever, which loom reports.
            assert!(queue.wait(&mut mine, 8));
            assert_eq!(mine, [7]);
            pushed.join().unwrap();
            assert!(queue.looks_empty() && !queue.has_idle());
        });
    }

    #[test]
    fn what_is_queued_by_two_is_taken_once_and_in_the_order_of_each() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let queue = Arc::new(RunQueue::new());
            let theirs = queue.clone();
            let other = thread::spawn(move || {
                theirs.append([1, 2].into_iter());
            });
            queue.push(11);
            let mut mine = VecDeque::new();
            while mine.len() < 3 {
                assert!(queue.wait(&mut mine, 2));
            }
            other.join().unwrap();
            let of_other: Vec<u32> = mine.iter().copied().filter(|item| *item < 10).collect();
            assert_eq!(of_other, [1, 2]);
            assert_eq!(mine.len(), 3);
        });
    }

    #[test]
    fn the_end_wakes_everybody() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let queue = Arc::new(RunQueue::new());
            let workers = [worker(&queue), worker(&queue)];
            queue.push(1);
            queue.stop();
            let done: usize = workers.into_iter().map(|worker| worker.join().unwrap().len()).sum();
            assert!(done <= 1);
            // What comes after the end is dropped, and nobody is thought to be missing.
            assert!(queue.push(2));
            assert!(queue.looks_empty());
        });
    }
}
