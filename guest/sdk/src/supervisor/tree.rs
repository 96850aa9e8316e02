// SPDX-License-Identifier: AGPL-3.0-or-later
//! A supervisor at work.
//!
//! One thing is done after the other: while children are ended or started, what else arrives waits. That of exit signals
//! is kept here ([`Tree::stash`]), and messages stay in the mailbox.

use super::{
    Child as Told, ChildError, ChildKind, ChildSpec, ChildState, Counts, ID_LEN_MAX, Request, Restart,
    Shutdown, Started, Strategy, Supervisor,
};
use crate::{
    Envelope, Error,
    process::{self, Exit, ExitKind, ExitReason},
    task::{Either, race, timeout},
    time::{monotonic, sleep},
};
use hearth_abi::{Errno, ProcessId};
use serde::Serialize;
use std::{
    collections::{BTreeSet, VecDeque},
    future::pending,
    time::Duration,
};

/// How long after a child could not be started, or a signal could not be sent, it is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// How often a peer that is away is tried. Also what a peer can cost that says so of each child at once.
const PEER_RETRY: Duration = Duration::from_secs(2);
/// How often a name that another process has is asked for.
const NAME_TRIES: u32 = 10;
/// Most former children that are known as such.
const FORMER_MAX: usize = 1024;

pub(super) async fn run(supervisor: Supervisor) -> ExitReason {
    if let Err(text) = check(&supervisor) {
        crate::error!("{text}");
        return ExitReason::error(text);
    }
    process::trap_exits(true);
    let mut tree = Tree::new(supervisor);
    let reason = tree.serve().await;
    tree.end_all().await;
    reason
}

fn check(supervisor: &Supervisor) -> Result<(), String> {
    let children = &supervisor.children;
    if supervisor.strategy == Strategy::SimpleOneForOne {
        return match &children[..] {
            [only] if only.name.is_none() => Ok(()),
            [_named] => Err("many children cannot have one name".into()),
            _ => Err("a supervisor of this strategy has one specification".into()),
        };
    }
    if children.len() > supervisor.children_max {
        return Err(format!("the supervisor may have {} children", supervisor.children_max));
    }
    let mut ids = BTreeSet::new();
    for child in children {
        if child.id.len() > ID_LEN_MAX {
            return Err(format!("the id of a child is over {ID_LEN_MAX} bytes"));
        }
        if !ids.insert(&child.id) {
            return Err(format!("two children have the id `{}`", child.id));
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum State {
    Running(ProcessId),
    /// It is to be started at this time.
    Waiting(Duration),
    Ended,
}

struct Child {
    spec: ChildSpec,
    state: State,
    /// What it was when its peer went away, and perhaps still is there.
    lost: Option<ProcessId>,
}

impl Child {
    fn new(spec: ChildSpec, state: State) -> Child {
        Child { spec, state, lost: None }
    }

    fn process(&self) -> Option<ProcessId> {
        match self.state {
            State::Running(process) => Some(process),
            State::Waiting(_) | State::Ended => None,
        }
    }
}

enum Event {
    Exit(Exit),
    Request(Envelope<Request>),
    /// A child that waits may be started.
    Due,
}

struct Tree {
    /// Its specifications are those that the children began with.
    flags: Supervisor,
    /// In the order in which they are started.
    children: Vec<Child>,
    /// When children were started again, within the period.
    restarts: VecDeque<Duration>,
    /// Exit signals that came while others were waited for: one of each link, and one other.
    stash: VecDeque<Exit>,
    /// The last children that have ended. What still comes from them is not for this supervisor to end by.
    former: VecDeque<ProcessId>,
}

impl Tree {
    fn new(flags: Supervisor) -> Tree {
        Tree {
            flags,
            children: Vec::new(),
            restarts: VecDeque::new(),
            stash: VecDeque::new(),
            former: VecDeque::new(),
        }
    }

    fn is_simple(&self) -> bool {
        self.flags.strategy == Strategy::SimpleOneForOne
    }

    /// Whether a child waits for those before it.
    fn is_ordered(&self) -> bool {
        matches!(self.flags.strategy, Strategy::OneForAll | Strategy::RestForOne)
    }

    /// All there is to do, up to the reason for which it ends.
    async fn serve(&mut self) -> ExitReason {
        if let Err(reason) = self.begin().await {
            return reason;
        }
        loop {
            let done = match self.next().await {
                Event::Exit(exit) => self.exit(exit).await,
                Event::Request(request) => {
                    self.answer(request).await;
                    Ok(())
                }
                Event::Due => self.start_waiting().await,
            };
            if let Err(reason) = done {
                return reason;
            }
        }
    }

    /// Starts the children for the first time. One that is on a peer that is away is waited for; if another does not
    /// start, nothing does.
    async fn begin(&mut self) -> Result<(), ExitReason> {
        if self.is_simple() {
            return Ok(());
        }
        for spec in self.flags.children.clone() {
            let is_behind = self.is_ordered() && self.first_waiting().is_some();
            let state = match is_behind {
                true => State::Waiting(Duration::ZERO),
                false => match start(&spec, None).await {
                    Ok(process) => State::Running(process),
                    Err(error) if is_away(&spec, &error) => State::Waiting(monotonic() + PEER_RETRY),
                    Err(error) => {
                        let text = format!("failed to start child `{}`: {error}", spec.id);
                        crate::error!("{text}");
                        return Err(ExitReason { text, ..ExitReason::shutdown() });
                    }
                },
            };
            self.children.push(Child::new(spec, state));
        }
        Ok(())
    }

    async fn next(&mut self) -> Event {
        if let Some(exit) = self.stash.pop_front() {
            return Event::Exit(exit);
        }
        let due = self.first_waiting();
        let wait = async {
            match due {
                Some(due) => sleep(due.saturating_sub(monotonic())).await,
                None => pending().await,
            }
        };
        match race(process::next_exit(), race(crate::recv::<Request>(), wait)).await {
            Either::Left(exit) => Event::Exit(exit),
            Either::Right(Either::Left(request)) => Event::Request(request),
            Either::Right(Either::Right(())) => Event::Due,
        }
    }

    /// When the next child that waits is to be started.
    fn first_waiting(&self) -> Option<Duration> {
        let mut waiting = self.children.iter().filter_map(|child| match child.state {
            State::Waiting(due) => Some(due),
            State::Running(_) | State::Ended => None,
        });
        if self.is_ordered() { waiting.next() } else { waiting.min() }
    }

    fn position(&self, process: ProcessId) -> Option<usize> {
        self.children.iter().position(|child| child.process() == Some(process))
    }

    fn find(&self, id: &str) -> Result<usize, ChildError> {
        if self.is_simple() {
            return Err(ChildError::SimpleOneForOne);
        }
        self.children.iter().position(|child| child.spec.id == id).ok_or(ChildError::NotFound)
    }

    /// A child has ended, whatever follows.
    fn note_end(&mut self, process: ProcessId) {
        if self.former.len() >= FORMER_MAX {
            self.former.pop_front();
        }
        self.former.push_back(process);
    }

    async fn exit(&mut self, exit: Exit) -> Result<(), ExitReason> {
        let child = if exit.of_link { self.position(exit.from) } else { None };
        match child {
            Some(at) => self.child_ended(at, exit).await,
            // As a process would that does not trap exits, but in good order.
            None if exit.reason.is_normal() || self.former.contains(&exit.from) => Ok(()),
            None => Err(exit.reason),
        }
    }

    async fn child_ended(&mut self, at: usize, exit: Exit) -> Result<(), ExitReason> {
        let Exit { from, reason, .. } = exit;
        self.note_end(from);
        let is_simple = self.is_simple();
        let child = &mut self.children[at];
        let is_fine = matches!(reason.kind, ExitKind::Normal | ExitKind::Shutdown);
        if !is_fine {
            crate::warn!("the child `{}` ({from}) ended: {reason}", child.spec.id);
        }
        let is_again = match child.spec.restart {
            Restart::Permanent => true,
            Restart::Transient => !is_fine,
            Restart::Temporary => false,
        };
        child.state = State::Ended;
        if !is_again {
            if is_simple || child.spec.restart == Restart::Temporary {
                self.children.remove(at);
            }
            return Ok(());
        }
        let is_away = reason.kind == ExitKind::NoConnection && from.peer() != process::peer();
        let mut due = monotonic();
        if is_away {
            child.lost = Some(from);
            due += PEER_RETRY;
        } else {
            let id = child.spec.id.clone();
            self.count_restart(&id, &reason)?;
        }
        self.children[at].state = State::Waiting(due);
        match self.flags.strategy {
            Strategy::OneForOne | Strategy::SimpleOneForOne => {}
            Strategy::OneForAll => self.end_for_restart(0).await,
            Strategy::RestForOne => self.end_for_restart(at + 1).await,
        }
        self.start_waiting().await
    }

    /// Another start, or an attempt at it, if it is not one too many.
    fn count_restart(&mut self, id: &str, why: &dyn std::fmt::Display) -> Result<(), ExitReason> {
        let now = monotonic();
        self.restarts.push_back(now);
        while self.restarts.front().is_some_and(|then| now - *then > self.flags.period) {
            self.restarts.pop_front();
        }
        if self.restarts.len() <= self.flags.intensity as usize {
            return Ok(());
        }
        let text = format!("reached max restart intensity: child `{id}`: {why}");
        crate::error!("{text}");
        Err(ExitReason { text, ..ExitReason::shutdown() })
    }

    /// Ends the children from here on, last first. All of them will be started, those too that did not run.
    async fn end_for_restart(&mut self, first: usize) {
        for at in (first..self.children.len()).rev() {
            if let Some(process) = self.children[at].process() {
                let way = self.children[at].spec.way_to_end();
                self.end([process].into(), way).await;
                self.children[at].state = State::Ended;
            }
            let child = &mut self.children[at];
            match child.state {
                State::Ended if child.spec.restart == Restart::Temporary => drop(self.children.remove(at)),
                State::Ended => child.state = State::Waiting(monotonic()),
                State::Running(_) | State::Waiting(_) => {}
            }
        }
    }

    /// Starts the children that are to be started now.
    async fn start_waiting(&mut self) -> Result<(), ExitReason> {
        for at in 0..self.children.len() {
            let child = &self.children[at];
            let State::Waiting(due) = child.state else { continue };
            let started = match due > monotonic() {
                true => None,
                false => Some(start(&child.spec, child.lost).await),
            };
            let child = &mut self.children[at];
            match started {
                Some(Ok(process)) => {
                    (child.state, child.lost) = (State::Running(process), None);
                    continue;
                }
                Some(Err(error)) if is_away(&child.spec, &error) => {
                    child.state = State::Waiting(monotonic() + PEER_RETRY);
                }
                Some(Err(error)) => {
                    child.state = State::Waiting(monotonic() + RETRY);
                    let id = child.spec.id.clone();
                    crate::warn!("the child `{id}` does not start: {error}");
                    self.count_restart(&id, &error)?;
                }
                None => {}
            }
            if self.is_ordered() {
                break;
            }
        }
        Ok(())
    }

    /// Ends these children, and waits until they have ended.
    async fn end(&mut self, mut left: BTreeSet<ProcessId>, way: Shutdown) {
        let limit = match way {
            Shutdown::BrutalKill => Some(Duration::ZERO),
            Shutdown::TimeoutMs(limit) => Some(Duration::from_millis(limit)),
            Shutdown::Infinity => None,
        };
        if way != Shutdown::BrutalKill {
            self.ask_to_end(&mut left, &ExitReason::shutdown(), limit).await;
        }
        // It comes for certain: a process that is killed ends, and a peer that does not come back is told of.
        self.ask_to_end(&mut left, &ExitReason::new(ExitKind::Kill), None).await;
    }

    /// Sends these children an exit signal, and takes those out that have ended within the time.
    async fn ask_to_end(
        &mut self,
        left: &mut BTreeSet<ProcessId>,
        reason: &ExitReason,
        limit: Option<Duration>,
    ) {
        let (ended, stash) = std::mem::take(&mut self.stash)
            .into_iter()
            .partition::<VecDeque<_>, _>(|exit| exit.of_link && left.contains(&exit.from));
        self.stash = stash;
        for exit in ended {
            self.ended_in_order(left, &exit);
        }
        let end = limit.map(|limit| monotonic().saturating_add(limit));
        let mut untold: Vec<_> = left.iter().copied().collect();
        let mut is_to_tell = true;
        while !left.is_empty() {
            if is_to_tell {
                let is_refused = |told| matches!(told, Err(Errno::Full | Errno::NoPeer));
                untold.retain(|child| left.contains(child) && is_refused(process::exit_to(*child, reason)));
            }
            let rest = end.map(|end| end.saturating_sub(monotonic()));
            if rest.is_some_and(|rest| rest.is_zero()) {
                return;
            }
            let retry = (!untold.is_empty()).then_some(RETRY);
            let exit = match rest.into_iter().chain(retry).min() {
                Some(wait) => timeout(wait, process::next_exit()).await.ok(),
                None => Some(process::next_exit().await),
            };
            is_to_tell = exit.is_none();
            match exit {
                Some(exit) if exit.of_link && left.contains(&exit.from) => self.ended_in_order(left, &exit),
                Some(exit) => self.keep(exit),
                None => {}
            }
        }
    }

    fn ended_in_order(&mut self, left: &mut BTreeSet<ProcessId>, exit: &Exit) {
        left.remove(&exit.from);
        self.note_end(exit.from);
        if !matches!(exit.reason.kind, ExitKind::Normal | ExitKind::Shutdown | ExitKind::Killed) {
            crate::warn!("the child {} ended: {}", exit.from, exit.reason);
        }
    }

    fn keep(&mut self, exit: Exit) {
        // One that is merely sent is enough to end by, and there may be any number of them.
        let is_useless = !exit.of_link
            && (exit.reason.is_normal()
                || self.former.contains(&exit.from)
                || self.stash.iter().any(|kept| !kept.of_link));
        if !is_useless {
            self.stash.push_back(exit);
        }
    }

    /// The end of the supervisor.
    async fn end_all(&mut self) {
        if self.is_simple() {
            let running = self.children.drain(..).filter_map(|child| child.process()).collect();
            if let Some(way) = self.flags.children.first().map(ChildSpec::way_to_end) {
                self.end(running, way).await;
            }
        }
        while let Some(child) = self.children.pop() {
            if let Some(process) = child.process() {
                self.end([process].into(), child.spec.way_to_end()).await;
            }
        }
    }

    async fn answer(&mut self, request: Envelope<Request>) {
        let from = request.from;
        let replied = match &request.body {
            Request::StartChild(spec) => {
                reply(&request, self.start_child(from, spec.clone()).await.map(Started))
            }
            Request::StartArgs(args) => reply(&request, self.start_args(args).await.map(Started)),
            Request::TerminateChild(id) => {
                let found = self.find(id);
                reply(&request, self.terminate(found).await)
            }
            Request::TerminateProcess(process) => {
                let found = self.position(*process).ok_or(ChildError::NotFound);
                reply(&request, self.terminate(found).await)
            }
            Request::RestartChild(id) => reply(&request, self.restart_child(id).await.map(Started)),
            Request::DeleteChild(id) => reply(&request, self.delete_child(id)),
            Request::WhichChildren => reply(&request, Ok(self.which_children())),
            Request::CountChildren => reply(&request, Ok(self.count_children())),
        };
        if let Err(error) = replied {
            crate::debug!("no answer to {from}: {error}");
        }
    }

    async fn start_child(&mut self, from: ProcessId, spec: ChildSpec) -> Result<ProcessId, ChildError> {
        let is_child = from.peer() == process::peer() && self.position(from).is_some();
        if from != process::self_id() && !is_child && !self.flags.trusted.contains(&from) {
            return Err(ChildError::Permission);
        }
        match self.find(&spec.id) {
            Err(ChildError::NotFound) => {}
            Err(error) => return Err(error),
            Ok(at) => {
                return Err(match self.children[at].process() {
                    Some(process) => ChildError::AlreadyStarted(process),
                    None => ChildError::AlreadyPresent,
                });
            }
        }
        if spec.id.len() > ID_LEN_MAX {
            return Err(ChildError::Limit);
        }
        self.start_new(spec).await
    }

    async fn start_args(&mut self, args: &[String]) -> Result<ProcessId, ChildError> {
        if !self.is_simple() {
            return Err(ChildError::SimpleOneForOne);
        }
        let mut spec = self.flags.children.first().cloned().ok_or(ChildError::NotFound)?;
        spec.args.extend_from_slice(args);
        self.start_new(spec).await
    }

    async fn start_new(&mut self, spec: ChildSpec) -> Result<ProcessId, ChildError> {
        if self.children.len() >= self.flags.children_max {
            return Err(ChildError::Limit);
        }
        let started = start(&spec, None).await;
        let process = started.map_err(|error| ChildError::NotStarted(error.to_string()))?;
        self.children.push(Child::new(spec, State::Running(process)));
        Ok(process)
    }

    async fn terminate(&mut self, found: Result<usize, ChildError>) -> Result<(), ChildError> {
        let at = found?;
        let child = &self.children[at];
        let (way, is_kept) = (child.spec.way_to_end(), child.spec.restart != Restart::Temporary);
        if let Some(process) = child.process() {
            self.end([process].into(), way).await;
        }
        if is_kept && !self.is_simple() {
            self.children[at].state = State::Ended;
        } else {
            self.children.remove(at);
        }
        Ok(())
    }

    /// A child that has ended for good.
    fn find_ended(&self, id: &str) -> Result<usize, ChildError> {
        let at = self.find(id)?;
        match self.children[at].state {
            State::Ended => Ok(at),
            State::Running(_) => Err(ChildError::Running),
            State::Waiting(_) => Err(ChildError::Restarting),
        }
    }

    async fn restart_child(&mut self, id: &str) -> Result<ProcessId, ChildError> {
        let at = self.find_ended(id)?;
        let started = start(&self.children[at].spec, self.children[at].lost).await;
        let process = started.map_err(|error| ChildError::NotStarted(error.to_string()))?;
        let child = &mut self.children[at];
        (child.state, child.lost) = (State::Running(process), None);
        Ok(process)
    }

    fn delete_child(&mut self, id: &str) -> Result<(), ChildError> {
        let at = self.find_ended(id)?;
        self.children.remove(at);
        Ok(())
    }

    fn which_children(&self) -> Vec<Told> {
        let told = self.children.iter().map(|child| Told {
            id: (!self.is_simple()).then(|| child.spec.id.clone()),
            state: match child.state {
                State::Running(process) => ChildState::Running(process),
                State::Waiting(_) => ChildState::Restarting,
                State::Ended => ChildState::Undefined,
            },
            kind: child.spec.kind,
        });
        told.collect()
    }

    fn count_children(&self) -> Counts {
        let of_kind = |kind| self.children.iter().filter(|child| child.spec.kind == kind).count();
        Counts {
            specs: if self.is_simple() { 1 } else { self.children.len() },
            active: self.children.iter().filter_map(Child::process).count(),
            supervisors: of_kind(ChildKind::Supervisor),
            workers: of_kind(ChildKind::Worker),
        }
    }
}

fn reply<T: Serialize>(request: &Envelope<Request>, answer: Result<T, ChildError>) -> Result<(), Error> {
    request.reply(&answer)
}

/// Whether a child did not start because its peer is not there.
fn is_away(spec: &ChildSpec, error: &Error) -> bool {
    spec.other_peer().is_some() && error.errno == Errno::NoPeer
}

/// Starts a child, linked with this process. Whoever it was before is killed first, if it may still live.
async fn start(spec: &ChildSpec, lost: Option<ProcessId>) -> Result<ProcessId, Error> {
    if let Some(lost) = lost {
        // Its peer may be away still: then the start fails too.
        process::exit_to(lost, &ExitReason::new(ExitKind::Kill)).ok();
    }
    let mut tries = if spec.name.is_some() { NAME_TRIES } else { 0 };
    loop {
        match start_once(spec).await {
            Err(error) if error.errno == Errno::Taken && tries > 0 => tries -= 1,
            started => return started,
        }
        // Perhaps by a process that ends: a child of a supervisor that was killed, or what has been killed above.
        sleep(RETRY).await;
    }
}

async fn start_once(spec: &ChildSpec) -> Result<ProcessId, Error> {
    let name = spec.name.as_deref();
    let Some(peer) = spec.other_peer() else {
        return Ok(process::spawn_link(spec.module, name, &spec.args)?);
    };
    process::spawn_on_link(peer, spec.module, name, &spec.args).await
}
