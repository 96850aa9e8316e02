// SPDX-License-Identifier: AGPL-3.0-or-later
//! The fast lane: threads that enter parked processes by plain calls, one after another.
//!
//! There are as many *workers* as the peer has processors for processes. A worker takes a process from its own queue
//! (or from the one that all share, see `queue`), lets it have its turn on the thread's own stack, and parks it in its
//! mailbox. No task is made, no stack is switched, and no lock is taken that others want. Who was resumed last by a turn
//! has the next one, while what it was sent is in the processor's cache, though not many times in a row.
//!
//! A plain call cannot be set aside. So when a turn overruns its slice, the *thread* leaves: it gives its queue and
//! its place as a worker to another thread, there and then, and goes on with the call behind the permits of the
//! hog lane, as one of [`OVERRUNNING_MAX`] at most. When the call is over the thread is a spare one. A
//! process that did this is entered on a fiber for its next turns (`life`), and so are all who have not shown yet that
//! they return soon, while there are as many overrunning calls as there may be.
//!
//! Threads are started when there is something to do, and sleep when there is not.

use crate::{Signal, known, life::Life, mailbox::Parked, outbox, queue::RunQueue};
use parking_lot::{Condvar, Mutex};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};
use tokio::runtime::Handle;

/// Most threads whose plain calls have overrun.
const OVERRUNNING_MAX: usize = 512;
/// As many more are for calls of those who have returned soon many times: a flood of loops does not take the fast lane
/// from them.
const RESERVE: usize = 128;
/// How long a spare thread waits for work before it ends.
const SPARE_TIME: Duration = Duration::from_secs(10);
/// Processes that a worker takes from the shared queue at a time.
const BATCH: usize = 32;
/// Turns in a row that go to who was resumed last, before those who wait longer.
const NEXT_IN_A_ROW: u32 = 3;
/// So many turns later, at least, the processor's cache is taken to have displaced what a turn used.
const TURNS_CACHED: u32 = 100;
/// After so many turns a worker looks at the shared queue, however much it has in its own.
const TURNS_OF_OWN: u32 = 64;

/// The fast lane of one table. Dropping it ends its threads.
pub(crate) struct FastLane(Arc<Shared>);

struct Shared {
    queue: RunQueue<Box<Life>>,
    runtime: Handle,
    workers: usize,
    stack_bytes: usize,
    /// How many are in `roles.vacant`, for those who need not lock to find none.
    vacant: AtomicUsize,
    roles: Mutex<Roles>,
    spare: Condvar,
    overrunning: AtomicUsize,
    is_stopped: AtomicBool,
}

/// Who works.
struct Roles {
    /// Workers that are missing.
    vacant: usize,
    /// Threads that wait to be workers.
    spares: usize,
    is_stopped: bool,
}

/// What a thread is to a fast lane.
struct Role {
    /// Of which lane it is; null for those that are of none.
    lane: Cell<*const Shared>,
    /// Whether it is a worker. If not, it overran.
    is_worker: Cell<bool>,
    /// Whether other code runs as the process whose call it is in.
    is_abandoned: Cell<bool>,
    /// Turns that it has given, as many as can be counted over and over.
    turns: Cell<u32>,
    /// How many turns in a row were of who was resumed last.
    in_a_row: Cell<u32>,
}

/// What a thread of a fast lane has to do.
#[derive(Default)]
struct Local {
    queue: VecDeque<Box<Life>>,
}

thread_local! {
    // Looked at several times in each turn. It is never dropped, so that to find it takes one instruction.
    static ROLE: Role = const {
        Role {
            lane: Cell::new(ptr::null()),
            is_worker: Cell::new(false),
            is_abandoned: Cell::new(false),
            turns: Cell::new(0),
            in_a_row: Cell::new(0),
        }
    };
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
    /// Who was resumed last on this worker, and has the next turn.
    static NEXT: Cell<Option<Box<Life>>> = const { Cell::new(None) };
}

impl FastLane {
    /// A lane of so many workers, whose threads have so many bytes of stack.
    pub(crate) fn new(runtime: Handle, workers: usize, stack_bytes: usize) -> FastLane {
        let workers = workers.clamp(1, OVERRUNNING_MAX / 2);
        FastLane(Arc::new(Shared {
            queue: RunQueue::new(),
            runtime,
            workers,
            stack_bytes,
            vacant: AtomicUsize::new(workers),
            roles: Mutex::new(Roles { vacant: workers, spares: 0, is_stopped: false }),
            spare: Condvar::new(),
            overrunning: AtomicUsize::new(0),
            is_stopped: AtomicBool::new(false),
        }))
    }

    /// Bytes of stack that a plain call has.
    pub(crate) fn stack_bytes(&self) -> usize {
        self.0.stack_bytes
    }

    /// Whether a process may be entered by a plain call now, which has returned soon many times, or has yet to.
    pub(crate) fn has_room(&self, returns_soon: bool) -> bool {
        let max = if returns_soon { OVERRUNNING_MAX + RESERVE } else { OVERRUNNING_MAX };
        // Each worker that is in such a call can then leave it.
        self.0.overrunning.load(Relaxed) + self.0.workers <= max
    }

    /// Queues a process for its next turn.
    pub(crate) fn push(&self, life: Box<Life>) {
        if let Err(life) = push_here(Arc::as_ptr(&self.0), life)
            && !self.0.queue.push(life)
        {
            self.0.fill_vacancy();
        }
    }

    /// The call on this thread runs long: what waits behind it goes to others, if there are any. Who was resumed last stays: most
    /// calls are over before the next tick.
    pub(crate) fn share_queue(&self) {
        if self.0.workers > 1 {
            self.share(with_local(|local| std::mem::take(&mut local.queue)).unwrap_or_default());
        }
    }

    fn share(&self, mut queue: VecDeque<Box<Life>>) {
        if !queue.is_empty() && !self.0.queue.append(queue.drain(..)) {
            self.0.fill_vacancy();
        }
    }

    /// The call on this thread has overrun: another thread becomes the worker in its place. `false` if that cannot
    /// be; then this one stays the worker.
    pub(crate) fn leave(&self) -> bool {
        if ROLE.with(|role| role.lane.get().is_null()) {
            return false;
        }
        if !is_worker() {
            // It has left before.
            return true;
        }
        self.0.overrunning.fetch_add(1, Relaxed);
        if !self.0.replace_worker() {
            self.0.overrunning.fetch_sub(1, Relaxed);
            return false;
        }
        ROLE.with(|role| role.is_worker.set(false));
        let mut queue = with_local(|local| std::mem::take(&mut local.queue)).unwrap_or_default();
        queue.extend(NEXT.take());
        self.share(queue);
        true
    }

    /// Whether the lane has come to its end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.is_stopped.load(Relaxed)
    }

    /// Ends the lane: its threads end after the turn that they are in, and what is queued is dropped.
    pub(crate) fn stop(&self) {
        self.0.is_stopped.store(true, Relaxed);
        self.0.roles.lock().is_stopped = true;
        self.0.spare.notify_all();
        self.0.queue.stop();
    }
}

impl Drop for FastLane {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Nothing on threads that are of no lane, and where the queue is being looked at.
fn with_local<R>(f: impl FnOnce(&mut Local) -> R) -> Option<R> {
    LOCAL.try_with(|local| local.try_borrow_mut().ok()?.as_mut().map(f)).ok().flatten()
}

/// Whether this thread is a worker of a lane.
fn is_worker() -> bool {
    ROLE.with(|role| role.is_worker.get())
}

/// Turns that this thread has given.
pub(crate) fn turns() -> u32 {
    ROLE.with(|role| role.turns.get())
}

/// Puts a process into the queue of this thread, if this is a worker of that lane.
#[inline(always)]
fn push_here(lane: *const Shared, life: Box<Life>) -> Result<(), Box<Life>> {
    if !ROLE.with(|role| role.lane.get() == lane && role.is_worker.get()) {
        return Err(life);
    }
    outbox::resumed(&life.table().directory, life.process().id);
    if turns().wrapping_sub(life.last_turn()) > TURNS_CACHED {
        life.fetch_ahead();
    }
    let mut before = NEXT.replace(Some(life));
    if before.is_some() {
        with_local(|local| {
            if let Some(before) = before.take() {
                local.queue.push_back(before);
            }
        });
    }
    // While the queue is being looked at nobody is resumed.
    before.map_or(Ok(()), Err)
}

/// The call on this thread is left, and what it belonged to is not this thread's any more.
pub(crate) fn abandon() {
    ROLE.with(|role| role.is_abandoned.set(true));
}

/// Whether [`abandon`] was called in the call that is over now.
pub(crate) fn is_abandoned() -> bool {
    ROLE.with(|role| role.is_abandoned.take())
}

impl Shared {
    /// Starts a worker if one is missing.
    fn fill_vacancy(self: &Arc<Self>) {
        if self.vacant.load(Relaxed) == 0 {
            return;
        }
        let mut roles = self.roles.lock();
        if roles.vacant == 0 || roles.is_stopped {
            return;
        }
        if roles.spares >= roles.vacant {
            // One of them takes the place when it wakes.
            self.spare.notify_one();
            return;
        }
        if self.start_thread() {
            roles.vacant -= 1;
            self.vacant.store(roles.vacant, Relaxed);
        }
    }

    /// Another thread becomes the worker that this thread is; `false` if there is none.
    fn replace_worker(self: &Arc<Self>) -> bool {
        let mut roles = self.roles.lock();
        // One that was told of another place, and has not woken yet, is not there for this one.
        if roles.spares > roles.vacant {
            roles.vacant += 1;
            self.vacant.store(roles.vacant, Relaxed);
            self.spare.notify_one();
            return true;
        }
        roles.is_stopped || self.start_thread()
    }

    fn start_thread(self: &Arc<Self>) -> bool {
        let shared = self.clone();
        let thread = thread::Builder::new().name("fast-lane".into()).stack_size(self.stack_bytes);
        match thread.spawn(move || shared.run()) {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!("the system gives no thread for processes: {error}");
                false
            }
        }
    }

    /// A thread of the lane, from being a worker to its end.
    fn run(self: Arc<Self>) {
        // What guests call may start tasks.
        let _runtime = self.runtime.enter();
        known::begin();
        ROLE.with(|role| {
            role.lane.set(Arc::as_ptr(&self));
            role.is_worker.set(true);
        });
        LOCAL.with(|cell| *cell.borrow_mut() = Some(Local::default()));
        loop {
            self.work();
            if self.is_stopped.load(Relaxed) {
                break;
            }
            self.overrunning.fetch_sub(1, Relaxed);
            if !self.take_role() {
                break;
            }
            ROLE.with(|role| role.is_worker.set(true));
        }
        ROLE.with(|role| role.lane.set(ptr::null()));
        let local = LOCAL.with(|cell| cell.borrow_mut().take());
        // Not while it is borrowed: what is dropped may look for it.
        drop(local);
        drop(NEXT.take());
    }

    /// Waits to become a worker; `false` if nobody needs one for a while.
    fn take_role(&self) -> bool {
        let mut roles = self.roles.lock();
        roles.spares += 1;
        let mut has_waited = false;
        while roles.vacant == 0 && !roles.is_stopped && !has_waited {
            has_waited = self.spare.wait_for(&mut roles, SPARE_TIME).timed_out();
        }
        roles.spares -= 1;
        if roles.vacant == 0 || roles.is_stopped {
            return false;
        }
        roles.vacant -= 1;
        self.vacant.store(roles.vacant, Relaxed);
        true
    }

    /// Gives turns until a call has overrun and is over, or the lane has stopped.
    fn work(&self) {
        loop {
            let Some(life) = self.next() else { return };
            life.turn();
            if !is_worker() {
                return;
            }
        }
    }

    /// The next process to have a turn; `None` at the end.
    fn next(&self) -> Option<Box<Life>> {
        // Otherwise those in this thread's own queue would go on for ever.
        if self.is_stopped.load(Relaxed) {
            return None;
        }
        let turns = turns().wrapping_add(1);
        ROLE.with(|role| role.turns.set(turns));
        let mut next = NEXT.take();
        let in_a_row = ROLE.with(|role| role.in_a_row.get());
        if next.is_some() && in_a_row < NEXT_IN_A_ROW {
            ROLE.with(|role| role.in_a_row.set(in_a_row + 1));
            return next;
        }
        ROLE.with(|role| role.in_a_row.set(0));
        LOCAL.with(|local| {
            let mut local = local.borrow_mut();
            let Local { queue } = local.as_mut()?;
            if let Some(life) = next.take() {
                queue.push_back(life);
            }
            if turns.is_multiple_of(TURNS_OF_OWN) {
                self.queue.take(queue, 1);
            }
            if queue.len() > 1 && self.queue.has_idle() {
                // The later half: what is next here runs here.
                let keep = queue.len().div_ceil(2);
                self.queue.append(queue.drain(keep..));
            }
            if queue.is_empty() {
                self.queue.take(queue, BATCH);
            }
            if queue.is_empty() && !self.queue.wait(queue, BATCH) {
                return None;
            }
            queue.pop_front()
        })
    }
}

impl Parked for Box<Life> {
    fn first(&mut self) -> &mut Option<Signal> {
        Life::first(self)
    }

    #[inline]
    fn resume(self) {
        let lane = Arc::as_ptr(&self.table().lane.0);
        if let Err(life) = push_here(lane, self) {
            // The lane belongs to the table, which only what is resumed may hold.
            let table = life.table().clone();
            table.lane.push(life);
        }
    }
}
