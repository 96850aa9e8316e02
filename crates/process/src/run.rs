// SPDX-License-Identifier: AGPL-3.0-or-later
//! What belongs to the code that runs as a process, and goes with it when the code is replaced: its
//! requests, timers and monitors, and what comes for them.

use crate::{
    Program, Signal,
    mailbox::{Fill, is_of_run},
    record::Process,
    timers,
};
use hearth_abi::{LumpId, PeerId};
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
};

/// What runs as a process, and on whose authority.
#[derive(Clone)]
pub struct Code {
    /// What it does.
    pub program: Arc<dyn Program>,
    /// The lump of its module, for those who list processes.
    pub module: Option<LumpId>,
    /// The peer whose authority it has.
    pub origin: PeerId,
}

impl Code {
    /// Whether both are the same module with the same authority.
    pub(crate) fn is_same(&self, other: &Code) -> bool {
        self.module.is_some() && (self.module, self.origin) == (other.module, other.origin)
    }
}

/// One piece of code while it is, or may again become, what runs as a process.
pub(crate) struct Run {
    pub(crate) code: Code,
    /// Requests whose reply it has not taken yet.
    pub(crate) requests: AtomicU32,
    /// Signals of its monitors that it has not taken yet.
    pub(crate) downs: AtomicU32,
    /// Once it has had one.
    timers: OnceLock<Box<Mutex<RunTimers>>>,
    gate: Mutex<Gate>,
    /// Whether what it takes is noted, because the code before may have to go on.
    is_on_trial: AtomicBool,
    /// Once there was something to note.
    trial: Mutex<Option<Box<Trial>>>,
}

/// Timers of one run: those under way, and how many have gone off and were not taken.
#[derive(Default)]
pub(crate) struct RunTimers {
    pub(crate) pending: HashMap<u64, timers::Key>,
    pub(crate) untaken: usize,
}

/// Where replies, timeouts and downs of a run go.
enum Gate {
    /// Into the mailbox.
    Open,
    /// They are kept until it goes on, in the order in which they came.
    Aside(Box<Aside>),
    /// Nobody wants them.
    Shut,
}

struct Aside {
    signals: Vec<Signal>,
    bytes: usize,
}

#[derive(Default)]
struct Trial {
    /// What it took and was not answered for, oldest first.
    taken: Vec<Signal>,
    fill: Fill,
    has_settled: bool,
}

impl Run {
    pub(crate) fn new(code: Code) -> Run {
        Run {
            code,
            requests: AtomicU32::new(0),
            downs: AtomicU32::new(0),
            timers: OnceLock::new(),
            gate: Mutex::new(Gate::Open),
            is_on_trial: AtomicBool::new(false),
            trial: Mutex::default(),
        }
    }

    /// Hands over a reply, a timeout or a down of this run.
    pub(crate) fn deliver(&self, process: &Process, mut signal: Signal) {
        let mut gate = self.gate.lock();
        match &mut *gate {
            Gate::Open => {
                // It fails only if the process has just ended, and then nobody misses it.
                let _ = process.mailbox.push(signal);
            }
            Gate::Aside(aside) => {
                // Its place is reserved; the bytes are bounded as in the mailbox.
                if aside.bytes + signal.encoded_len() > process.spec.limits.mailbox_bytes {
                    signal = signal.shortened();
                }
                aside.bytes += signal.encoded_len();
                aside.signals.push(signal);
            }
            Gate::Shut => {}
        }
    }

    /// Sets aside what has come for this run, and what will come.
    pub(crate) fn set_aside(&self, process: &Process) {
        let mut gate = self.gate.lock();
        let signals = process.mailbox.take_of_run();
        let bytes = signals.iter().map(Signal::encoded_len).sum();
        *gate = Gate::Aside(Box::new(Aside { signals, bytes }));
    }

    /// Puts back what was set aside, behind which comes what the run in between had taken.
    pub(crate) fn bring_back(&self, process: &Process, taken: Vec<Signal>) {
        let mut gate = self.gate.lock();
        let mut front = match std::mem::replace(&mut *gate, Gate::Open) {
            Gate::Aside(aside) => aside.signals,
            Gate::Open | Gate::Shut => Vec::new(),
        };
        front.extend(taken);
        process.mailbox.put_back(front);
    }

    /// Nothing comes for this run any more. What has come goes, if it lies in the mailbox.
    pub(crate) fn shut(&self, process: &Process) {
        let mut gate = self.gate.lock();
        if matches!(std::mem::replace(&mut *gate, Gate::Shut), Gate::Open) {
            drop(process.mailbox.take_of_run());
        }
        drop(gate);
        // Whoever works for it may stop.
        process.changed.notify_waiters();
    }

    /// Whether nothing comes for this run any more.
    pub(crate) fn is_shut(&self) -> bool {
        matches!(*self.gate.lock(), Gate::Shut)
    }

    /// Its timers.
    pub(crate) fn timers(&self) -> MutexGuard<'_, RunTimers> {
        self.timers.get_or_init(Box::default).lock()
    }

    /// How many timers it has whose signal it has not taken.
    pub(crate) fn timer_count(&self) -> usize {
        self.timers.get().map_or(0, |timers| {
            let timers = timers.lock();
            timers.pending.len() + timers.untaken
        })
    }

    /// Takes its timers out of those of the peer.
    pub(crate) fn stop_timers(&self, all: &timers::Timers) {
        if let Some(timers) = self.timers.get() {
            all.remove_all(timers.lock().pending.drain().map(|(_, key)| key));
        }
    }

    /// From now on what it takes is noted.
    pub(crate) fn begin_trial(&self) {
        self.is_on_trial.store(true, Relaxed);
    }

    /// It waits, so that its start is over.
    pub(crate) fn settle(&self) {
        // One thread runs it; the flag only spares those who are not on trial the lock.
        if self.is_on_trial.load(Relaxed) {
            self.trial.lock().get_or_insert_default().has_settled = true;
            self.is_on_trial.store(false, Relaxed);
        }
    }

    /// Whether what it takes is to be noted.
    pub(crate) fn is_on_trial(&self) -> bool {
        self.is_on_trial.load(Relaxed)
    }

    /// Notes a signal that it took on its trial. One that has taken as much as fits a mailbox has started.
    pub(crate) fn note_taken(&self, process: &Process, signal: &Signal) {
        if is_of_run(signal) {
            return;
        }
        let limits = &process.spec.limits;
        let is_much = {
            let mut trial = self.trial.lock();
            let trial = trial.get_or_insert_default();
            trial.fill.signals += 1;
            trial.fill.bytes += signal.encoded_len();
            trial.taken.push(signal.clone());
            trial.fill.signals >= limits.mailbox_signals || trial.fill.bytes >= limits.mailbox_bytes
        };
        if is_much {
            self.settle();
        }
    }

    /// Whether it has waited, or taken much, since its trial began.
    pub(crate) fn has_settled(&self) -> bool {
        self.trial.lock().as_ref().is_some_and(|trial| trial.has_settled)
    }

    /// Whether it has taken anything on its trial.
    pub(crate) fn has_taken(&self) -> bool {
        self.trial.lock().as_ref().is_some_and(|trial| !trial.taken.is_empty())
    }

    /// What it has taken on its trial, which is over.
    pub(crate) fn end_trial(&self) -> Vec<Signal> {
        self.is_on_trial.store(false, Relaxed);
        self.trial.lock().take().map_or_else(Vec::new, |trial| trial.taken)
    }
}
