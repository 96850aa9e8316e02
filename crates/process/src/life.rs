// SPDX-License-Identifier: AGPL-3.0-or-later
//! The life of one process: its program is polled until it ends or is killed, and its code is replaced.
//!
//! New code is first on *trial*: the code before is not dropped but left where it waits, with its
//! memory, its requests and its timers. Once the new code waits for the first time (or takes as much
//! as fits a mailbox, or ends normally) its start is over, and the code before goes. If instead it
//! ends abnormally, or computes for [`Config::trial_time_max`](crate::Config) without having received anything, *it* goes,
//! what it took comes back into the mailbox, and the code before goes on where it was.

use crate::{
    Code, Context, ExitKind, ExitReason, Level, Signal,
    record::{Process, State},
    run::Run,
    table::{Inner, REASON_LEN_MAX},
};
use futures::FutureExt;
use hearth_abi::{PeerId, ProcessId};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    task::{self, Poll},
    time::Instant,
};
use thiserror::Error;
use tokio::{sync::oneshot, time::Sleep};

/// Pieces of code that a process remembers, the one that runs among them; the oldest go first.
pub const HISTORY_MAX: usize = 16;

/// Why the code of a process was not replaced. The code before goes on, unless the process has ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplaceError {
    /// No such process on this peer.
    #[error("no such process")]
    NotFound,
    /// It is a process of the host, which has no module.
    #[error("it is no script, but a process of the peer itself")]
    NoScript,
    /// It is being started, or its code is being replaced already.
    #[error("it is being started, or its code is being replaced already")]
    Busy,
    /// (Rollback only.) There is no code before the one that runs.
    #[error("there is no code before the one that runs")]
    NoCodeBefore,
    /// Another peer asks, and the code that runs, or the code to go back to, has the authority of the
    /// peer that it runs on.
    #[error("it has the authority of the peer that it runs on, whose own operator alone may")]
    NotAllowed,
    /// The new code ended in its start. The code before goes on.
    #[error("the new code ended in its start: {0}")]
    Failed(ExitReason),
    /// The process ended meanwhile.
    #[error("the process ended: {0}")]
    Ended(ExitReason),
}

/// The code that a process has had.
#[derive(Default)]
pub(crate) struct History {
    /// Oldest first.
    codes: VecDeque<Code>,
    /// Which of them runs.
    at: usize,
}

impl History {
    pub(crate) fn new(code: Code) -> History {
        History { codes: VecDeque::from([code]), at: 0 }
    }

    /// The one before the one that runs, and its place.
    fn before(&self) -> Option<(usize, Code)> {
        let at = self.at.checked_sub(1)?;
        self.codes.get(at).map(|code| (at, code.clone()))
    }

    fn note(&mut self, code: &Code, place: Place) {
        match place {
            Place::Back(at) => self.at = at.min(self.codes.len().saturating_sub(1)),
            // What was rolled back from is gone, as with any undo.
            Place::New if self.codes.get(self.at).is_some_and(|old| old.is_same(code)) => {}
            Place::New => {
                self.codes.truncate(self.at + 1);
                self.codes.push_back(code.clone());
                if self.codes.len() > HISTORY_MAX {
                    self.codes.pop_front();
                }
                self.at = self.codes.len() - 1;
            }
        }
    }

    /// The codes, oldest first, and which of them runs.
    pub(crate) fn list(&self) -> (Vec<Code>, usize) {
        (self.codes.iter().cloned().collect(), self.at)
    }
}

/// Where new code stands in the history.
#[derive(Clone, Copy)]
enum Place {
    New,
    Back(usize),
}

/// New code that waits for the process to take it.
pub(crate) struct Wanted {
    code: Code,
    place: Place,
    tell: oneshot::Sender<Result<(), ReplaceError>>,
}

/// Whether the code of a process is to be replaced.
#[derive(Default)]
pub(crate) struct Change {
    asked: AtomicBool,
    wanted: Mutex<Option<Wanted>>,
    /// From the moment it is asked for until it is done.
    is_under_way: AtomicBool,
}

impl Inner {
    /// Replaces the code of a process by new code, or by the code before.
    pub(crate) async fn replace(
        &self,
        process: Arc<Process>,
        code: Option<Code>,
        asker: PeerId,
    ) -> Result<(), ReplaceError> {
        let change = &process.change;
        if !process.has_started.load(Acquire) || change.is_under_way.swap(true, Acquire) {
            return Err(ReplaceError::Busy);
        }
        // From here on nobody else changes the code, so that what is checked is what is replaced.
        let checked = match code {
            Some(code) => Ok((code, Place::New)),
            None => {
                let before = process.history.lock().before();
                before.map(|(at, code)| (code, Place::Back(at))).ok_or(ReplaceError::NoCodeBefore)
            }
        };
        let checked = checked.and_then(|(code, place)| {
            process.may_replace(asker)?;
            if asker != self.peer && code.origin == self.peer {
                return Err(ReplaceError::NotAllowed);
            }
            Ok((code, place))
        });
        let (code, place) = checked.inspect_err(|_| change.is_under_way.store(false, Release))?;
        let (tell, told) = oneshot::channel();
        *change.wanted.lock() = Some(Wanted { code, place, tell });
        change.asked.store(true, Release);
        process.kill.waker.wake();
        if process.end.get().is_some() {
            // It may have ended before it could see that it was asked.
            *change.wanted.lock() = None;
        }
        if let Ok(result) = told.await {
            return result;
        }
        // Nobody will tell: it ends.
        loop {
            let changed = process.changed.notified();
            if let Some(end) = process.end.get() {
                return Err(ReplaceError::Ended((**end).clone()));
            }
            changed.await;
        }
    }
}

impl Process {
    /// Whether an operator of this peer may replace the code.
    pub(crate) fn may_replace(&self, asker: PeerId) -> Result<(), ReplaceError> {
        let current = self.current();
        if current.code.module.is_none() {
            return Err(ReplaceError::NoScript);
        }
        // Authority follows origin: what has that of this machine is its owner's.
        if asker != self.id.peer() && current.code.origin == self.id.peer() {
            return Err(ReplaceError::NotAllowed);
        }
        Ok(())
    }
}

type Running = Pin<Box<dyn Future<Output = ExitReason> + Send>>;

/// New code that has yet to show that it starts, and what goes on if it does not.
struct Trial {
    before: Running,
    before_run: Arc<Run>,
    before_state: u8,
    before_memory: u64,
    /// The names that the process had.
    before_names: Vec<String>,
    /// Whom it was linked with, and whether it trapped exits.
    before_links: Vec<ProcessId>,
    before_traps: bool,
    /// What waited for the code before and is not for code of another peer.
    of_user: Vec<Signal>,
    place: Place,
    tell: oneshot::Sender<Result<(), ReplaceError>>,
    until: Pin<Box<Sleep>>,
}

/// The life of one process.
pub(crate) async fn run(context: Context) {
    let process = context.process.clone();
    let table = context.table.clone();
    let reason = AssertUnwindSafe(live(context)).catch_unwind().await.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        tracing::error!(process = %process.id, text, "a program panicked in the host");
        ExitReason::new(ExitKind::Error, format!("the host failed: {text}"))
    });
    table.finish(&process, reason);
    // Whoever waits for new code of it learns that it has ended.
    *process.change.wanted.lock() = None;
}

/// Polls the program until it ends or is killed, and accounts for its turns.
async fn live(context: Context) -> ExitReason {
    let mut life = Life {
        process: context.process.clone(),
        table: context.table.clone(),
        running: Some(context.run.code.program.clone().run(context)),
        trial: None,
    };
    poll_fn(move |cx| life.poll(cx)).await
}

struct Life {
    process: Arc<Process>,
    table: Arc<Inner>,
    /// `None` once it has ended.
    running: Option<Running>,
    trial: Option<Trial>,
}

impl Life {
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<ExitReason> {
        let process = self.process.clone();
        process.kill.waker.register(cx.waker());
        if process.kill.asked.load(Acquire) {
            // Dropped here, so that its resources are gone before the end is told.
            self.running = None;
            let tell = self.trial.take().map(|trial| trial.tell);
            let killed = || ExitReason::new(ExitKind::Killed, "killed");
            let reason = process.kill.reason.get().map_or_else(killed, |reason| (**reason).clone());
            if let Some(tell) = tell {
                let _ = tell.send(Err(ReplaceError::Ended(reason.clone())));
            }
            return Poll::Ready(reason);
        }
        if process.change.asked.load(Acquire) {
            process.change.asked.store(false, Relaxed);
            let wanted = process.change.wanted.lock().take();
            if let Some(wanted) = wanted {
                self.begin(wanted);
            }
        }
        loop {
            let Some(running) = self.running.as_mut() else { return Poll::Pending };
            let timed = process.slice.begin().map(|stands_for| (Instant::now(), stands_for));
            let result = running.as_mut().poll(cx);
            if let Some((began, stands_for)) = timed {
                process.slice.end(began.elapsed().as_nanos() as u64, stands_for);
            }
            if result.is_ready() {
                self.running = None;
            }
            if self.trial.is_none() {
                return result;
            }
            match self.judge(result, cx) {
                Some(result) => return result,
                // The code before goes on, at once: it may have been told something meanwhile.
                None => continue,
            }
        }
    }

    /// Lets new code run, and keeps the code before.
    fn begin(&mut self, wanted: Wanted) {
        let process = &self.process;
        let Some(before) = self.running.take() else { return };
        let Wanted { code, place, tell } = wanted;
        process.slice.rest();
        self.table.host.replacing(process.id);
        let before_run = process.current();
        before_run.set_aside(process);
        // The keys of this peer's user are for what has its authority alone.
        let here = process.id.peer();
        let of_user = match before_run.code.origin == here && code.origin != here {
            true => process.mailbox.take_of_user(),
            false => Vec::new(),
        };
        let before_names = process.names.lock().clone().unwrap_or_default();
        let before_links = process.links();
        let before_traps = process.traps_exits.load(Relaxed);
        let run = Arc::new(Run::new(code));
        run.begin_trial();
        *process.runs.lock() = (run.clone(), Some(before_run.clone()));
        let before_state = process.state.swap(State::Starting as u8, Relaxed);
        let before_memory = process.memory_bytes.swap(0, Relaxed);
        let until = Box::pin(tokio::time::sleep(self.table.trial_time_max));
        let program = run.code.program.clone();
        let context = Context { table: self.table.clone(), process: process.clone(), run };
        self.running = Some(program.run(context));
        self.trial = Some(Trial {
            before,
            before_run,
            before_state,
            before_memory,
            before_names,
            before_links,
            before_traps,
            of_user,
            place,
            tell,
            until,
        });
    }

    /// Looks whether the new code has started. `None` if it has not and never will, so that the code
    /// before is to be polled.
    fn judge(&mut self, result: Poll<ExitReason>, cx: &mut task::Context<'_>) -> Option<Poll<ExitReason>> {
        let run = self.process.current();
        let failed = match &result {
            _ if run.has_settled() => None,
            Poll::Ready(reason) if reason.is_normal() => None,
            Poll::Ready(reason) => Some(reason.clone()),
            Poll::Pending => {
                let trial = self.trial.as_mut()?;
                if trial.until.as_mut().poll(cx).is_pending() {
                    return Some(result);
                }
                let seconds = self.table.trial_time_max.as_secs_f32();
                let text = format!("it computed for {seconds} s and never waited for anything");
                (!run.has_taken()).then(|| ExitReason::new(ExitKind::Limit, text))
            }
        };
        let trial = self.trial.take()?;
        match failed {
            None => {
                self.accept(trial, &run);
                Some(result)
            }
            Some(reason) => {
                self.go_back(trial, &run, reason);
                None
            }
        }
    }

    /// The new code has started: the code before goes, and what it has.
    fn accept(&mut self, trial: Trial, run: &Run) {
        let process = &self.process;
        run.end_trial();
        trial.before_run.shut(process);
        trial.before_run.stop_timers(&self.table.timers);
        self.table.demonitor_all(process, &trial.before_run);
        process.runs.lock().1 = None;
        drop(trial.before);
        process.history.lock().note(&run.code, trial.place);
        self.table.belongs_to(process, run.code.origin);
        self.table.host.replaced(process.id, true);
        let how = match trial.place {
            Place::New => "replaced",
            Place::Back(_) => "rolled back",
        };
        let module = run.code.module.map(|id| id.to_string()).unwrap_or_default();
        let text = format!("code {how}: this is module {module}");
        process.log.write_host(&process.spec.limits, Level::Info, "host", &text);
        process.change.is_under_way.store(false, Release);
        let _ = trial.tell.send(Ok(()));
    }

    /// The new code did not start: it goes, and the code before goes on.
    fn go_back(&mut self, trial: Trial, run: &Run, reason: ExitReason) {
        let process = &self.process;
        self.running = None;
        run.shut(process);
        run.stop_timers(&self.table.timers);
        self.table.demonitor_all(process, run);
        // A link that it took away may be to one that has ended since, and stays away.
        self.table.unlink_new(process, &trial.before_links);
        process.traps_exits.store(trial.before_traps, Relaxed);
        let mut back = trial.of_user;
        back.extend(run.end_trial());
        process.exits_are_back(&back);
        process.restore_names(&self.table.names, trial.before_names);
        process.state.store(trial.before_state, Relaxed);
        process.memory_bytes.store(trial.before_memory, Relaxed);
        *process.runs.lock() = (trial.before_run.clone(), None);
        trial.before_run.bring_back(process, back);
        process.slice.rest();
        self.running = Some(trial.before);
        self.table.host.replaced(process.id, false);
        let module = run.code.module.map(|id| id.to_string()).unwrap_or_default();
        let mut text = format!("module {module} ended in its start: {}", reason.text);
        text.truncate(text.floor_char_boundary(REASON_LEN_MAX));
        if let Some(trace) = &reason.backtrace {
            text.push_str(&format!("\n{trace}"));
        }
        text.push_str("\nthe code before goes on");
        process.log.write_host(&process.spec.limits, Level::Error, "host", &text);
        process.change.is_under_way.store(false, Release);
        let _ = trial.tell.send(Err(ReplaceError::Failed(reason)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::Program;
    use hearth_abi::LumpId;

    struct Nothing;

    impl Program for Nothing {
        fn run(self: Arc<Self>, _context: Context) -> Running {
            Box::pin(async { ExitReason::normal() })
        }
    }

    fn code(number: u8) -> Code {
        Code { program: Arc::new(Nothing), module: Some(LumpId([number; 32])), origin: PeerId::SERVER }
    }

    fn modules(history: &History) -> (Vec<u8>, usize) {
        let (codes, at) = history.list();
        (codes.iter().map(|code| code.module.unwrap().0[0]).collect(), at)
    }

    #[test]
    fn the_history_is_that_of_an_undo() {
        let mut history = History::new(code(1));
        assert!(history.before().is_none());
        for number in [2, 3, 3, 4] {
            history.note(&code(number), Place::New);
        }
        assert_eq!(modules(&history), (vec![1, 2, 3, 4], 3));
        for expect in [2, 1, 0] {
            let (at, before) = history.before().unwrap();
            history.note(&before, Place::Back(at));
            assert_eq!(modules(&history), (vec![1, 2, 3, 4], expect));
        }
        assert!(history.before().is_none());
        history.note(&code(9), Place::New);
        assert_eq!(modules(&history), (vec![1, 9], 1), "what was rolled back from is gone");
        for number in 10..50 {
            history.note(&code(number), Place::New);
        }
        let (kept, at) = modules(&history);
        assert_eq!((kept.len(), at, kept[15]), (HISTORY_MAX, 15, 49));
    }
}
