// SPDX-License-Identifier: AGPL-3.0-or-later
//! How processes share the processors.
//!
//! A process is in one of two lanes. Those that park are entered by plain calls on the threads of the fast lane
//! (`lane`). The others, and for a while those that overran there, are Tokio tasks: the fiber lane.
//!
//! A program that runs long calls [`Slice::tick`] about every millisecond and does as it is told. On a fiber a process
//! that overruns one slice yields; one that overruns a second without having waited in between goes to the hog lane:
//! from then on, until it waits for a signal, each slice takes one of the lane's fair permits, of which there is one
//! fewer than workers. A plain call that overruns goes there at once, with its thread ([`Slice::tick_here`]).
//! So one worker is always there for those that are soon done.
//!
//! Slices are measured by the thread's own processor clock: by the wall clock, a process whose thread
//! the operating system took away would wrongly be sent behind the hogs.

use crate::{
    budget::{self, Meter},
    record::Process,
    table::Inner,
};
use parking_lot::Mutex;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicBool, AtomicU8, AtomicU64,
            Ordering::{Acquire, Relaxed},
        },
    },
    task::{self, Poll},
};
use tokio::{
    runtime::{EnterGuard, Handle},
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
};

/// Processor time after which a process has overrun its slice.
const SLICE_NS: u64 = 800_000;

/// What a running program has to do now.
pub enum Tick {
    /// Go on.
    Continue,
    /// Let others run (return `Pending` after waking oneself), then go on.
    Yield,
    /// Await this, then go on.
    Wait(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// The workers and the hog lane of one peer.
pub(crate) struct Scheduler {
    runtime: Handle,
    hogs: Arc<Semaphore>,
}

impl Scheduler {
    pub(crate) fn new(runtime: Handle, workers: usize) -> Scheduler {
        Scheduler { runtime, hogs: Arc::new(Semaphore::new(workers.saturating_sub(1).max(1))) }
    }

    pub(crate) fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Its end is seen in the table, not through the handle.
        drop(self.runtime.spawn(task));
    }

    /// What is made from here on, until the result is dropped, belongs to the runtime.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }
}

/// How one process uses the processor. What each turn needs comes last: see [`Process`].
#[derive(Default)]
#[repr(C)]
pub(crate) struct Slice {
    /// Made when it is first needed, which for most is never.
    place: OnceLock<Arc<Mutex<Place>>>,
    cpu_ns: AtomicU64,
    /// Made for who has a budget, which most have not.
    meter: OnceLock<Box<Meter>>,
    turns: AtomicU64,
    /// The thread's processor time at the first tick of this turn; 0 before it.
    noted_ns: AtomicU64,
    /// Slices overrun since it last waited.
    overruns: AtomicU8,
    /// Whether a plain call has taken about a slice: it is shown an empty mailbox once, so that it may park.
    is_long: AtomicBool,
    /// Whether it has taken a signal in this turn: it is woken for one at least.
    has_taken: AtomicBool,
}

/// Where a process stands in the hog lane.
#[derive(Default)]
enum Place {
    #[default]
    None,
    /// In the queue. It is kept here and not by the program that waits: of a program that is set aside
    /// nobody would take the permit when its turn comes, and nobody else would get it.
    Queued(Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>),
    Running {
        _permit: OwnedSemaphorePermit,
    },
}

impl Place {
    /// Ready when it runs, or is in the lane no longer.
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        let Place::Queued(queued) = self else { return Poll::Ready(()) };
        // The semaphore is never closed.
        let acquired = task::ready!(queued.as_mut().poll(cx));
        *self = acquired.map_or(Place::None, |_permit| Place::Running { _permit });
        Poll::Ready(())
    }
}

/// So many turns of a process are timed each, but for the first of all: many processes have no other.
const TIMED: u64 = 16;
/// Of those that follow one in so many is timed and stands for all: reading the clock twice takes half as long as a short turn.
const SAMPLED: u64 = 64;

impl Slice {
    /// Where what each turn needs begins.
    #[cfg(not(hearth_loom))]
    pub(crate) const TURNS_AT: usize = std::mem::offset_of!(Slice, meter);

    /// Of one that has the budgets of this meter.
    pub(crate) fn new(meter: Option<Meter>) -> Slice {
        let slice = Slice::default();
        slice.set_meter(meter);
        slice
    }

    /// The budgets that it has, if any.
    pub(crate) fn meter(&self) -> Option<&Meter> {
        self.meter.get().map(|meter| &**meter)
    }

    /// It has budgets from now on, if it had none.
    pub(crate) fn set_meter(&self, meter: Option<Meter>) {
        if let Some(meter) = meter {
            let _ = self.meter.set(Box::new(meter));
        }
    }

    /// What a turn takes it, about.
    pub(crate) fn mean_ns(&self) -> u64 {
        self.cpu_ns() / self.turns.load(Relaxed).max(1)
    }

    fn charge(&self, cpu_ns: u64) {
        self.cpu_ns.fetch_add(cpu_ns, Relaxed);
        if let Some(meter) = self.meter() {
            meter.charge(cpu_ns);
        }
    }

    /// A turn begins. The result is whether to time it, and for how many turns it stands.
    pub(crate) fn begin(&self) -> Option<u64> {
        self.noted_ns.store(0, Relaxed);
        self.is_long.store(false, Relaxed);
        self.has_taken.store(false, Relaxed);
        let turn = self.turns.load(Relaxed);
        self.turns.store(turn + 1, Relaxed);
        match turn {
            // Of one that has a budget each: what is not timed could be used for nothing.
            _ if self.meter().is_some() => Some(1),
            // Many have one only; the second stands for it.
            0 => None,
            1 => Some(2),
            2..TIMED => Some(1),
            TIMED => Some(SAMPLED - TIMED),
            _ if turn.is_multiple_of(SAMPLED) => Some(SAMPLED),
            _ => None,
        }
    }

    /// A turn that was timed has ended.
    pub(crate) fn end(&self, wall_ns: u64, stands_for: u64) {
        match self.noted_ns.load(Relaxed) {
            0 => self.charge(wall_ns * stands_for),
            // A turn that had ticks was measured by them, but for what came after the last.
            noted if self.meter().is_some() => self.charge(thread_cpu_ns().saturating_sub(noted)),
            _ => {}
        }
    }

    /// See [`crate::Context::tick`].
    pub(crate) fn tick(&self, scheduler: &Scheduler) -> Tick {
        let now = thread_cpu_ns();
        let noted = self.noted_ns.load(Relaxed);
        if noted == 0 {
            // Up to a tick has passed before this one; half of it is the best guess.
            self.charge(500_000);
            self.noted_ns.store(now, Relaxed);
            return Tick::Continue;
        }
        let used = now.saturating_sub(noted);
        if used < SLICE_NS {
            return Tick::Continue;
        }
        // If that was the last of its budget, it is held up before it is polled again.
        self.charge(used);
        self.noted_ns.store(now, Relaxed);
        if self.overruns.load(Relaxed) == 0 {
            self.overruns.store(1, Relaxed);
            return Tick::Yield;
        }
        self.overruns.store(2, Relaxed);
        let place = self.place.get_or_init(Arc::default).clone();
        *place.lock() = Place::Queued(Box::pin(scheduler.hogs.clone().acquire_owned()));
        Tick::Wait(Box::pin(async move {
            // It enters the queue when it is first polled, so behind those that were in it.
            tokio::task::yield_now().await;
            poll_fn(|cx| place.lock().poll(cx)).await;
        }))
    }

    /// See [`crate::Context::tick_here`]. Returns when the plain call may go on; `false` if it must not.
    pub(crate) fn tick_here(&self, table: &Inner, process: &Process) -> bool {
        let Inner { scheduler, lane, .. } = table;
        let is_over = || process.kill.asked.load(Acquire) || lane.is_stopped();
        if is_over() {
            return false;
        }
        let now = thread_cpu_ns();
        let noted = self.noted_ns.load(Relaxed);
        if noted == 0 {
            // As in `tick`.
            self.charge(500_000);
            self.noted_ns.store(now, Relaxed);
            self.is_long.store(true, Relaxed);
            lane.share_queue();
            return true;
        }
        let used = now.saturating_sub(noted);
        if used < SLICE_NS {
            return true;
        }
        self.charge(used);
        self.noted_ns.store(now, Relaxed);
        if !lane.leave() {
            // There is no thread for the others: they wait for the next tick, which tries again.
            return true;
        }
        self.overruns.store(2, Relaxed);
        // Whoever waits for the permit goes first.
        self.leave_place();
        let is_needed = || is_over() || process.change.is_asked();
        while !is_needed()
            && let Some(until) = table.must_wait(process)
        {
            budget::hold_thread(process, until, is_needed);
            self.go_on();
        }
        let mut permit = pin!(scheduler.hogs.clone().acquire_owned());
        let permit = futures::executor::block_on(poll_fn(|cx| {
            process.kill.waker.register(cx.waker());
            if is_needed() {
                return Poll::Ready(None);
            }
            permit.as_mut().poll(cx).map(Result::ok)
        }));
        if let Some(_permit) = permit {
            *self.place.get_or_init(Arc::default).lock() = Place::Running { _permit };
        }
        // What came while this thread slept is not its time.
        self.noted_ns.store(thread_cpu_ns(), Relaxed);
        !is_over()
    }

    /// Whether a plain call should park soon. Says so once a turn.
    pub(crate) fn should_park(&self) -> bool {
        self.is_long.load(Relaxed) && self.has_taken.load(Relaxed) && self.is_long.swap(false, Relaxed)
    }

    /// It has taken a signal.
    pub(crate) fn taken(&self) {
        self.has_taken.store(true, Relaxed);
    }

    /// Whether it overran a slice since it last waited.
    pub(crate) fn has_overrun(&self) -> bool {
        self.overruns.load(Relaxed) != 0
    }

    /// The process is going to wait, or other code runs as it: it leaves the hog lane, and its queue.
    pub(crate) fn rest(&self) {
        if self.overruns.load(Relaxed) != 0 {
            self.overruns.store(0, Relaxed);
            self.leave_place();
        }
    }

    /// It was held up, and is no longer.
    pub(crate) fn go_on(&self) {
        if let Some(meter) = self.meter() {
            meter.go_on();
        }
    }

    /// The process has ended: others get its place, and what it has of a budget.
    pub(crate) fn finish(&self) {
        self.leave_place();
        if let Some(meter) = self.meter() {
            meter.finish();
        }
    }

    fn leave_place(&self) {
        if let Some(place) = self.place.get() {
            *place.lock() = Place::None;
        }
    }

    pub(crate) fn in_hog_lane(&self) -> bool {
        self.overruns.load(Relaxed) > 1
    }

    /// Turns that it has had.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Relaxed)
    }

    pub(crate) fn cpu_ns(&self) -> u64 {
        self.cpu_ns.load(Relaxed)
    }
}

/// Processor time of this thread, and where the system has no clock of it the time that has passed: that
/// counts too what others took meanwhile. 0 stands for "not noted".
fn thread_cpu_ns() -> u64 {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        (time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64).max(1)
    }
    #[cfg(not(unix))]
    {
        static START: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        (START.elapsed().as_nanos() as u64).max(1)
    }
}
