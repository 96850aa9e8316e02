// SPDX-License-Identifier: AGPL-3.0-or-later
//! The life of one process: its program is polled, or given its turns, until it ends or is killed, and its code is
//! replaced.
//!
//! A program that parks has its turns by plain calls in the fast lane. It is a task (in the fiber lane) for a turn that
//! has to wait, as for its module to be compiled; for its next turns after one that overran; and while it is
//! on trial.
//!
//! New code is first on *trial*: the code before is not dropped but left where it waits, with its
//! memory, its requests and its timers. Once the new code waits for the first time (or takes as much
//! as fits a mailbox, or ends normally) its start is over, and the code before goes. If instead it
//! ends abnormally, or computes for [`Config::trial_time_max`](crate::Config) without having received anything, *it* goes,
//! what it took comes back into the mailbox, and the code before goes on where it was.

use crate::{
    Aside, Code, Context, ExitKind, ExitReason, Footprint, Lane, Level, Signal, Turn, Turns, Work, inbox,
    known, lane,
    mailbox::{Fills, Parked},
    outbox,
    record::{Process, State},
    run::Run,
    table::{Inner, REASON_LEN_MAX},
};
use futures::FutureExt;
use hearth_abi::{PeerId, ProcessId};
use std::{
    any::Any,
    collections::VecDeque,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
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

/// The code that a process has had. Most have had one only, of which nothing is kept here.
#[derive(Default)]
pub(crate) struct History {
    /// Oldest first; none as long as there was no other than the first.
    codes: VecDeque<Code>,
    /// Which of them runs.
    at: usize,
}

impl History {
    /// The one before the one that runs, and its place.
    fn before(&self) -> Option<(usize, Code)> {
        let at = self.at.checked_sub(1)?;
        self.codes.get(at).map(|code| (at, code.clone()))
    }

    /// Code has taken the place of the code before.
    fn note(&mut self, code: &Code, place: Place, before: &Code) {
        if self.codes.is_empty() {
            self.codes.push_back(before.clone());
        }
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
    pub(crate) fn list(&self, current: &Code) -> (Vec<Code>, usize) {
        if self.codes.is_empty() {
            return (vec![current.clone()], 0);
        }
        (self.codes.iter().cloned().collect(), self.at)
    }
}

/// Where new code stands in the history.
#[derive(Clone, Copy)]
enum Place {
    New,
    Back(usize),
}

/// New code that waits for the process to take it. Dropped if it ends before.
pub(crate) struct Wanted {
    code: Code,
    place: Place,
    tell: oneshot::Sender<Result<(), ReplaceError>>,
}

/// Whether the code of a process is to be replaced.
#[derive(Default)]
pub(crate) struct Change {
    asked: AtomicBool,
    /// From the moment it is asked for until it is done.
    is_under_way: AtomicBool,
}

impl Change {
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Acquire)
    }
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
                let before = process.history.lock().as_ref().and_then(|history| history.before());
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
        if process.runs.lock().want(Wanted { code, place, tell }) {
            change.asked.store(true, Release);
            process.look_around();
        }
        if let Ok(result) = told.await {
            return result;
        }
        // Nobody will tell: it ends.
        Err(ReplaceError::Ended(process.ends().await))
    }
}

impl Process {
    /// The new code, if there is some to be taken.
    fn take_wanted(&self) -> Option<Wanted> {
        if !self.change.is_asked() {
            return None;
        }
        self.change.asked.store(false, Relaxed);
        self.runs.lock().wanted.take().map(|wanted| *wanted)
    }

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

/// How the code of a process is run, where it is now.
enum Running {
    /// It has ended, or is in other hands.
    Nothing,
    /// A task from start to end.
    Whole(Pin<Box<dyn Future<Output = ExitReason> + Send>>),
    /// A turn that is taken aside.
    Aside(Pin<Box<dyn Future<Output = Aside> + Send>>),
    /// It is between two turns, or before its first.
    Turns(Box<dyn Turns>),
    /// It is in a plain call that has overrun. The thread waits to be told to go on; if the sender is
    /// dropped, it leaves the call.
    Thread(oneshot::Sender<()>),
}

impl Running {
    fn new(work: Work) -> Running {
        match work {
            Work::Whole(future) => Running::Whole(future),
            Work::Turns(turns) => Running::Turns(turns),
        }
    }

    /// So that a task can poll it: what is between two turns has the next one aside.
    fn aside(self) -> Running {
        match self {
            Running::Turns(turns) => Running::Aside(turns.aside()),
            other => other,
        }
    }
}

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

/// The life of one process. Whoever has it runs the process, or is where it waits: a worker's queue, its
/// mailbox, a task.
pub(crate) struct Life {
    process: Arc<Process>,
    table: Arc<Inner>,
    running: Running,
    /// What it was resumed with: the first of its signals, which is not in the mailbox.
    first: Option<Signal>,
    trial: Option<Box<Trial>>,
    /// Turns that are taken aside before a plain call is tried again.
    turns_aside: u8,
    /// Turns since the last one that overran, up to as many as can be counted.
    soon_over: u8,
    /// Whether it has had its first turn, and so has one for signals alone.
    has_begun: bool,
    /// Whether its plain turns are known: that they have the stack that they need, and their footprint.
    knows_plain: bool,
    footprint: Footprint,
    /// Number of its last plain turn on the thread that gave it. Another thread, which has other numbers, may fetch ahead in vain.
    last_turn: u32,
    /// Until when it is held up, if it is: it has used up its processor time.
    held_up: Option<Pin<Box<Sleep>>>,
}

/// Turns that a process takes aside after one that overran.
const TURNS_ASIDE: u8 = 32;
/// Turns after which a process is taken to return soon.
const SOON_OVER: u8 = 32;

/// Why the task of a process is over.
enum Outcome {
    Ended(ExitReason),
    /// It waits without a task.
    Parked,
    /// It does not wait, but needs a task no longer.
    Ready,
    /// The thread that was in the middle of a call goes on.
    Returned,
}

/// Begins a process that is in the table.
pub(crate) fn begin(table: &Arc<Inner>, process: Arc<Process>, run: Arc<Run>) {
    let program = run.code.program.clone();
    let context = Context { table: table.clone(), process: process.clone(), run };
    let table = table.clone();
    let running = Running::new(program.run(context));
    let life = Box::new(Life {
        process,
        table,
        running,
        first: None,
        trial: None,
        turns_aside: 0,
        soon_over: 0,
        has_begun: false,
        knows_plain: false,
        footprint: Footprint::default(),
        last_turn: 0,
        held_up: None,
    });
    match life.running {
        Running::Turns(_) => {
            life.process.lane.store(Lane::Fast as u8, Relaxed);
            life.resume();
        }
        _ => life.start_task(),
    }
}

/// A plain call of this process has overrun, and new code is to run as it. This blocks the thread until that
/// has started, or not; `false` if the call must be left.
pub(crate) fn replace_here(context: &Context) -> bool {
    let Some(wanted) = context.process.take_wanted() else { return true };
    let (go_on, told) = oneshot::channel();
    let mut life = Box::new(Life {
        process: context.process.clone(),
        table: context.table.clone(),
        running: Running::Thread(go_on),
        first: None,
        trial: None,
        turns_aside: TURNS_ASIDE,
        soon_over: 0,
        has_begun: true,
        knows_plain: false,
        footprint: Footprint::default(),
        last_turn: 0,
        held_up: None,
    });
    life.replace(wanted);
    life.start_task();
    let goes_on = futures::executor::block_on(told).is_ok();
    if !goes_on {
        lane::abandon();
    }
    goes_on
}

fn host_failed(process: &Process, panic: &(dyn Any + Send)) -> ExitReason {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given");
    tracing::error!(process = %process.id, text, "a program panicked in the host");
    ExitReason::new(ExitKind::Error, format!("the host failed: {text}"))
}

impl Life {
    pub(crate) fn table(&self) -> &Arc<Inner> {
        &self.table
    }

    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// What it is resumed with.
    pub(crate) fn first(&mut self) -> &mut Option<Signal> {
        &mut self.first
    }

    /// Number of its last plain turn on the thread that gave it.
    pub(crate) fn last_turn(&self) -> u32 {
        self.last_turn
    }

    /// It has its next turn soon, on this thread.
    #[inline]
    pub(crate) fn fetch_ahead(&self) {
        if let Running::Turns(turns) = &self.running
            && self.knows_plain
        {
            turns.fetch_ahead(self.footprint);
        }
    }

    /// Has one turn on this thread, which is of the fast lane, and goes where it belongs then.
    pub(crate) fn turn(mut self: Box<Self>) {
        let process = &self.process;
        if process.kill.asked.load(Acquire) {
            let reason = process.kill.reason();
            return self.end(reason);
        }
        if let Some(wanted) = process.take_wanted() {
            self.first_back();
            self.replace(wanted);
            return self.start_task();
        }
        if self.has_begun && self.first.is_none() && process.mailbox.looks_empty() {
            // It was only to look around: no turn without a signal.
            return self.park(&Fills::NONE);
        }
        if process.slice.meter().is_some() && self.must_wait() {
            return self.start_driving();
        }
        let process = &self.process;
        let lane = &self.table.lane;
        let Running::Turns(turns) = &mut self.running else { return self.start_task() };
        if self.turns_aside > 0
            || !lane.has_room(self.soon_over >= SOON_OVER)
            // Once it had the stack that it needs it always has.
            || !(self.knows_plain || turns.stack_bytes() <= lane.stack_bytes())
        {
            return self.start_task();
        }
        process.runs_now();
        let timed = process.slice.begin().map(|stands_for| (Instant::now(), stands_for));
        inbox::begin(process, &mut self.first);
        let turn = catch_unwind(AssertUnwindSafe(|| turns.turn()));
        let used = inbox::end(process);
        outbox::flush();
        if lane::is_abandoned() {
            // Other code runs as the process now.
            return;
        }
        if let Some((began, stands_for)) = timed {
            process.slice.end(began.elapsed().as_nanos() as u64, stands_for);
        }
        match turn {
            Ok(Turn::Parked) => {
                self.last_turn = lane::turns();
                if !self.knows_plain {
                    (self.knows_plain, self.footprint) = (true, turns.footprint());
                }
                self.rest();
                self.park(&used);
            }
            Ok(Turn::Aside) => {
                process.mailbox.settle(&used);
                self.start_task();
            }
            Ok(Turn::Ended(reason)) => {
                // One that was killed left its call because of it.
                let killed = process.kill.asked.load(Acquire).then(|| process.kill.reason());
                self.end(killed.unwrap_or(reason));
            }
            Err(panic) => {
                let reason = host_failed(process, &*panic);
                self.end(reason);
            }
        }
    }

    /// A turn is over and the process waits.
    #[inline(always)]
    fn rest(&mut self) {
        let slice = &self.process.slice;
        if slice.has_overrun() {
            (self.turns_aside, self.soon_over) = (TURNS_ASIDE, 0);
            slice.rest();
        } else {
            self.turns_aside = self.turns_aside.saturating_sub(1);
            self.soon_over = self.soon_over.saturating_add(1);
        }
        self.has_begun = true;
        if self.turns_aside == 0 {
            self.process.lane.store(Lane::Fast as u8, Relaxed);
        }
        self.process.state.store(State::Parked as u8, Relaxed);
    }

    /// It has waited for a while, and was taken out of its mailbox: it gives back what it does not need, and waits on.
    pub(crate) fn hibernate(mut self: Box<Self>) {
        if let Running::Turns(turns) = &mut self.running {
            self.knows_plain = false;
            match catch_unwind(AssertUnwindSafe(|| turns.hibernate())) {
                Ok(false) => {}
                Ok(true) => self.process.state.store(State::Hibernated as u8, Relaxed),
                Err(panic) => {
                    let reason = host_failed(&self.process, &*panic);
                    return self.end(reason);
                }
            }
        }
        self.park(&Fills::NONE);
    }

    /// What it was resumed with is in the mailbox again.
    fn first_back(&mut self) {
        if let Some(first) = self.first.take() {
            self.process.mailbox.give_back(Some(first), VecDeque::new(), &Fills::NONE);
        }
    }

    /// Waits in the mailbox for what comes next. `used` counts there no longer.
    #[inline(always)]
    fn park(self: Box<Self>, used: &Fills) {
        let parked = known::park(self, used).unwrap_or_else(|life| {
            // Where it is left it may be found and end before this returns.
            let process = life.process.clone();
            process.mailbox.park(life, used)
        });
        if let Err(life) = parked {
            life.resume();
        }
    }

    fn end(mut self, reason: ExitReason) {
        // Its resources are gone before the end is told.
        self.running = Running::Nothing;
        self.trial = None;
        self.table.finish(&self.process, reason);
    }

    /// Goes on as a task: in the fiber lane.
    fn start_task(mut self: Box<Self>) {
        self.process.lane.store(Lane::Fiber as u8, Relaxed);
        self.process.runs_now();
        if self.trial.is_none() {
            self.running = std::mem::replace(&mut self.running, Running::Nothing).aside();
        }
        self.start_driving();
    }

    /// Goes on as a task, with its turns as they are.
    fn start_driving(mut self: Box<Self>) {
        self.first_back();
        let table = self.table.clone();
        table.scheduler.start(self.drive());
    }

    /// Whether it has used up its processor time; then it is held up, which its task sees to.
    fn must_wait(&mut self) -> bool {
        let Some(until) = self.table.must_wait(&self.process) else { return false };
        let _runtime = self.table.scheduler.enter();
        self.held_up = Some(Box::pin(tokio::time::sleep_until(until.into())));
        true
    }

    /// Ready when there is processor time for it. New code begins at once, and pays later, so that a script that uses too much can be
    /// mended while it is held up; from its first overrun on it is held up as well.
    fn poll_held_up(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        if self.trial.is_some() && !self.process.slice.has_overrun() {
            if self.held_up.take().is_some() {
                self.process.slice.go_on();
            }
            return Poll::Ready(());
        }
        loop {
            if let Some(held_up) = &mut self.held_up {
                task::ready!(held_up.as_mut().poll(cx));
                self.held_up = None;
                self.process.slice.go_on();
            }
            if self.process.slice.meter().is_none() || !self.must_wait() {
                return Poll::Ready(());
            }
        }
    }

    async fn drive(mut self: Box<Self>) {
        let outcome = AssertUnwindSafe(poll_fn(|cx| self.poll(cx))).catch_unwind().await;
        match outcome {
            Ok(Outcome::Ended(reason)) => self.end(reason),
            Ok(Outcome::Parked) => self.park(&Fills::NONE),
            Ok(Outcome::Ready) => self.resume(),
            Ok(Outcome::Returned) => {}
            Err(panic) => {
                let reason = host_failed(&self.process, &*panic);
                self.end(reason);
            }
        }
    }

    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Outcome> {
        let process = self.process.clone();
        process.kill.waker.register(cx.waker());
        if process.kill.asked.load(Acquire) {
            // Dropped here, so that its resources are gone before the end is told.
            self.running = Running::Nothing;
            let tell = self.trial.take().map(|trial| trial.tell);
            let reason = process.kill.reason();
            if let Some(tell) = tell {
                let _ = tell.send(Err(ReplaceError::Ended(reason.clone())));
            }
            return Poll::Ready(Outcome::Ended(reason));
        }
        if let Some(wanted) = process.take_wanted() {
            self.replace(wanted);
        }
        if self.held_up.is_some() && matches!(self.running, Running::Turns(_)) {
            // Its turn was put off, and comes now.
            return self.poll_held_up(cx).map(|()| Outcome::Ready);
        }
        loop {
            if matches!(self.running, Running::Whole(_) | Running::Aside(_)) {
                task::ready!(self.poll_held_up(cx));
            }
            let timed = process.slice.begin().map(|stands_for| (Instant::now(), stands_for));
            let ended = match &mut self.running {
                Running::Nothing => return Poll::Pending,
                Running::Whole(whole) => whole.as_mut().poll(cx),
                Running::Aside(aside) => match aside.as_mut().poll(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Aside::Ended(reason)) => Poll::Ready(reason),
                    Poll::Ready(Aside::Ready(turns)) if self.trial.is_some() => {
                        self.running = Running::Turns(turns).aside();
                        continue;
                    }
                    Poll::Ready(Aside::Ready(turns)) => {
                        (self.running, self.knows_plain) = (Running::Turns(turns), false);
                        return Poll::Ready(Outcome::Ready);
                    }
                    Poll::Ready(Aside::Parked(turns)) => {
                        (self.running, self.knows_plain) = (Running::Turns(turns), false);
                        process.current().settle();
                        self.rest();
                        Poll::Pending
                    }
                },
                Running::Turns(_) => return Poll::Ready(Outcome::Parked),
                Running::Thread(_) => {
                    if let Running::Thread(go_on) = std::mem::replace(&mut self.running, Running::Nothing) {
                        let _ = go_on.send(());
                    }
                    return Poll::Ready(Outcome::Returned);
                }
            };
            if let Some((began, stands_for)) = timed {
                process.slice.end(began.elapsed().as_nanos() as u64, stands_for);
            }
            if ended.is_ready() {
                self.running = Running::Nothing;
            }
            let judged = if self.trial.is_some() { self.judge(ended, cx) } else { Some(ended) };
            match judged {
                Some(Poll::Ready(reason)) => return Poll::Ready(Outcome::Ended(reason)),
                // It waits between two turns, and has no trial any more.
                Some(Poll::Pending) if matches!(self.running, Running::Turns(_)) => {}
                Some(Poll::Pending) => return Poll::Pending,
                // The code before goes on, at once: it may have been told something meanwhile.
                None => {}
            }
        }
    }

    /// Lets new code run, and keeps the code before.
    fn replace(&mut self, wanted: Wanted) {
        let process = &self.process;
        let before = std::mem::replace(&mut self.running, Running::Nothing);
        if matches!(before, Running::Nothing) {
            return;
        }
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
        let before_names = process.names.list();
        let before_links = process.links();
        let before_traps = process.traps_exits.load(Relaxed);
        let run = Arc::new(Run::new(code));
        run.begin_trial();
        process.runs.lock().begin_trial(run.clone());
        let before_state = process.state.swap(State::Starting as u8, Relaxed);
        let before_memory = process.memory_bytes.swap(0, Relaxed);
        // Looked at as a task.
        let until = {
            let _runtime = self.table.scheduler.enter();
            Box::pin(tokio::time::sleep(self.table.trial_time_max))
        };
        let program = run.code.program.clone();
        let context = Context { table: self.table.clone(), process: process.clone(), run };
        self.running = Running::new(program.run(context)).aside();
        self.trial = Some(Box::new(Trial {
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
        }));
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
                self.accept(*trial, &run);
                Some(result)
            }
            Some(reason) => {
                self.go_back(*trial, &run, reason);
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
        process.runs.lock().before = None;
        drop(trial.before);
        process.history.lock().get_or_insert_default().note(&run.code, trial.place, &trial.before_run.code);
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
        self.running = Running::Nothing;
        run.shut(process);
        run.stop_timers(&self.table.timers);
        self.table.demonitor_all(process, run);
        // A link that it took away may be to one that has ended since, and stays away.
        self.table.unlink_new(process, run, &trial.before_links);
        process.traps_exits.store(trial.before_traps, Relaxed);
        let mut back = trial.of_user;
        back.extend(run.end_trial());
        process.exits_are_back(&back);
        process.names.restore(&self.table.names, process.id, trial.before_names);
        process.state.store(trial.before_state, Relaxed);
        process.memory_bytes.store(trial.before_memory, Relaxed);
        process.runs.lock().go_back(trial.before_run.clone());
        trial.before_run.bring_back(process, back);
        process.slice.rest();
        (self.running, self.knows_plain) = (trial.before, false);
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
        fn run(self: Arc<Self>, _context: Context) -> Work {
            Work::whole(async { ExitReason::normal() })
        }
    }

    fn code(number: u8) -> Code {
        Code { program: Arc::new(Nothing), module: Some(LumpId([number; 32])), origin: PeerId::SERVER }
    }

    fn modules(history: &History) -> (Vec<u8>, usize) {
        let (codes, at) = history.list(&code(1));
        (codes.iter().map(|code| code.module.unwrap().0[0]).collect(), at)
    }

    #[test]
    fn the_history_is_that_of_an_undo() {
        let mut history = History::default();
        assert_eq!(modules(&history), (vec![1], 0));
        assert!(history.before().is_none());
        for number in [2, 3, 3, 4] {
            history.note(&code(number), Place::New, &code(1));
        }
        assert_eq!(modules(&history), (vec![1, 2, 3, 4], 3));
        for expect in [2, 1, 0] {
            let (at, before) = history.before().unwrap();
            history.note(&before, Place::Back(at), &code(1));
            assert_eq!(modules(&history), (vec![1, 2, 3, 4], expect));
        }
        assert!(history.before().is_none());
        history.note(&code(9), Place::New, &code(1));
        assert_eq!(modules(&history), (vec![1, 9], 1), "what was rolled back from is gone");
        for number in 10..50 {
            history.note(&code(number), Place::New, &code(1));
        }
        let (kept, at) = modules(&history);
        assert_eq!((kept.len(), at, kept[15]), (HISTORY_MAX, 15, 49));
    }
}
