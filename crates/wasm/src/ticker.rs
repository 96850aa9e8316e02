// SPDX-License-Identifier: AGPL-3.0-or-later
//! The clock of interruption: a thread that advances the engine's epoch every millisecond while
//! guests run, and seldom while none does.

use parking_lot::{Condvar, Mutex};
use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Relaxed, SeqCst},
        },
    },
    thread,
    time::Duration,
};
use wasmtime::Engine;

/// Time between two ticks. Guests are interrupted at the next one, so this is the length of a slice.
const TICK: Duration = Duration::from_millis(1);

/// Ticks without a guest after which the thread sleeps.
const QUIET_TICKS: u32 = 20;

/// Longest sleep. A guest says that it runs just before its next interruption is set. If its thread is not
/// scheduled in between for as long as it takes to count as quiet, the clock sleeps and the guest runs: this is how
/// long it can then go on.
const SLOW_TICK: Duration = Duration::from_millis(100);

pub(crate) struct Ticker(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Set by guests that run; taken back by the thread at each tick.
    active: AtomicBool,
    asleep: AtomicBool,
    stop: Mutex<bool>,
    wake: Condvar,
}

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no further thread.
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Ticker> {
        let shared = Arc::new(Shared::default());
        let engine = engine.weak();
        let theirs = shared.clone();
        thread::Builder::new().name("epoch".into()).spawn(move || {
            let mut quiet: u32 = 0;
            loop {
                thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
                drop(engine);
                quiet = if theirs.active.swap(false, SeqCst) { 0 } else { quiet.saturating_add(1) };
                if quiet >= QUIET_TICKS && theirs.sleep() {
                    return;
                }
            }
        })?;
        Ok(Ticker(shared))
    }

    /// A guest runs now. Called at each of its turns and at each interruption of it; costs one load.
    pub(crate) fn touch(&self) {
        // A stale `true` does no harm: a guest that runs on is interrupted at the next tick, long
        // before the thread counts as quiet, and comes here again.
        if !self.0.active.load(Relaxed) {
            self.0.touch();
        }
    }
}

impl Shared {
    #[cold]
    fn touch(&self) {
        self.active.store(true, SeqCst);
        if self.asleep.load(SeqCst) {
            let _guard = self.stop.lock();
            self.wake.notify_one();
        }
    }

    /// Sleeps until a guest says that it runs, or for a slow tick; `true` if it is to stop.
    fn sleep(&self) -> bool {
        let mut stop = self.stop.lock();
        self.asleep.store(true, SeqCst);
        // Whoever set `active` before it could see `asleep` is seen here, and the other way round.
        if !*stop && !self.active.load(SeqCst) {
            self.wake.wait_for(&mut stop, SLOW_TICK);
        }
        self.asleep.store(false, SeqCst);
        *stop
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.0.stop.lock() = true;
        self.0.wake.notify_one();
    }
}
