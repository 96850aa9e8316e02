// SPDX-License-Identifier: AGPL-3.0-or-later
//! The conductor of one peer: orders crashes in the branches, and looks at what their supervisors make of them.
//!
//! In each branch one thing happens at a time, in several branches at once. Before and after it the supervisor is asked
//! for its children, and those that must have changed must be others, and all the rest the same.

use crate::{
    fault::{self, Ended, Fault},
    tree::{BRITTLE, Kind},
};
use hearth_sdk::{
    PeerId, global,
    prelude::*,
    process::{self, Down, ExitKind, ExitReason},
    supervisor::{ChildState, which_children},
    time::monotonic,
};
use serde::{Deserialize, Serialize};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// How long a supervisor may take to put something right, on a machine with much to do.
const RESTART_WAIT: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(50);
/// Things that happen at the same time, at most.
const BUSY_MAX: usize = 12;
/// How often a peer tells another of some of its workers, and of how many.
const ROSTER: (Duration, usize) = (Duration::from_secs(2), 50);
/// Complaints that are kept for a report; more of them say nothing new.
const WRONG_MAX: usize = 50;
/// The name by which the conductor of the server is known in the space.
const NAME: &str = "conductor";

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    /// Lets things happen, one every so many milliseconds. 0: no more.
    Pace(u64),
    /// What there is to tell since the last report.
    Report,
    /// Workers of another peer. Whoever is not the server is answered.
    Roster(Vec<String>),
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Sent {
    Roster(Vec<String>),
}

/// What there is to tell.
#[derive(Default, Serialize)]
struct Report {
    /// Whether all branches are complete: nothing happens before.
    is_ready: bool,
    /// How many workers there are then.
    workers: usize,
    /// Milliseconds from one thing to the next; 0 if none happens.
    pace_ms: u64,
    /// How many happen just now.
    busy: usize,
    /// What happened how often, since the conductor began.
    done: BTreeMap<String, u64>,
    crashes: Vec<Crash>,
    /// Supervisors that have given up, as they had to.
    given_up: Vec<Crash>,
    /// What is not as it should be.
    wrong: Vec<String>,
}

/// An end that was ordered, and came.
#[derive(Serialize)]
struct Crash {
    process: String,
    supervisor: String,
    kind: String,
    reason: String,
    last_words: Option<String>,
}

impl Crash {
    fn new(
        process: ProcessId,
        supervisor: ProcessId,
        reason: &ExitReason,
        last_words: Option<String>,
    ) -> Crash {
        let kind = format!("{:?}", reason.kind).to_lowercase();
        let (process, supervisor) = (process.to_string(), supervisor.to_string());
        Crash { process, supervisor, kind, reason: reason.text.clone(), last_words }
    }
}

/// Numbers that come from a seed alone (SplitMix64).
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// So many different numbers below `end`.
    fn some(&mut self, count: usize, end: usize) -> Vec<usize> {
        let mut some = BTreeSet::new();
        while some.len() < count.min(end) {
            some.insert(self.below(end));
        }
        let mut some: Vec<usize> = some.into_iter().collect();
        // The order must not be that of their places.
        let by = self.below(some.len());
        some.rotate_left(by);
        some
    }
}

struct Branch {
    id: String,
    kind: Kind,
    process: ProcessId,
    workers: Vec<ProcessId>,
    is_busy: bool,
}

struct State {
    top: ProcessId,
    seeded: Seeded,
    branches: Vec<Branch>,
    /// How many things have happened: each has a text of its own.
    number: u64,
    report: Report,
}

type Shared = Rc<RefCell<State>>;

impl State {
    fn wrong(&mut self, text: String) {
        error!("{text}");
        if self.report.wrong.len() < WRONG_MAX {
            self.report.wrong.push(text);
        }
    }

    /// Some of the workers, as a message to another conductor.
    fn roster(&mut self) -> Sent {
        let mut some = Vec::new();
        for _ in 0..ROSTER.1 {
            if let Some(worker) = self.worker() {
                some.push(worker.to_string());
            }
        }
        Sent::Roster(some)
    }

    fn worker(&mut self) -> Option<ProcessId> {
        let at = self.seeded.below(self.branches.len());
        let workers = &self.branches.get(at)?.workers;
        workers.get(self.seeded.below(workers.len())).copied()
    }
}

/// Arguments: how many workers a large branch has and how many a small one, and the seed.
pub(crate) async fn run(args: &[&str]) -> Option<ExitReason> {
    let [per_large, per_small, seed] = args[..] else { return None };
    let (per_large, per_small): (usize, usize) = (per_large.parse().ok()?, per_small.parse().ok()?);
    let seed: u64 = seed.parse().ok()?;
    let Some(top) = process::whereis("top") else { return Some(ExitReason::error("there is no top")) };
    let state = Rc::new(RefCell::new(State {
        top,
        seeded: Seeded(seed ^ u64::from(process::peer().number()).wrapping_mul(0x5851_f42d_4c95_7f2d)),
        branches: Vec::new(),
        number: 0,
        report: Report::default(),
    }));
    let _begin = spawn_local(begin(state.clone(), per_large, per_small));
    let _meet = spawn_local(meet(state.clone()));
    let mut due = monotonic();
    loop {
        let pace = state.borrow().report.pace_ms;
        let next = async {
            match pace {
                0 => std::future::pending().await,
                _ => sleep(due.saturating_sub(monotonic())).await,
            }
        };
        match race(next, recv::<Message>()).await {
            Either::Left(()) => {
                due =
                    due.max(monotonic().saturating_sub(Duration::from_secs(1))) + Duration::from_millis(pace);
                happen(&state);
            }
            Either::Right(message) => {
                due = due.max(monotonic());
                hear(&state, &message);
            }
        }
    }
}

fn hear(state: &Shared, message: &Envelope<Message>) {
    let mut state = state.borrow_mut();
    match &message.body {
        Message::Pace(pace_ms) => {
            state.report.pace_ms = *pace_ms;
            message.reply(&true).ok();
        }
        Message::Report => {
            state.report.busy = state.branches.iter().filter(|branch| branch.is_busy).count();
            state.report.workers = state.branches.iter().map(|branch| branch.workers.len()).sum();
            let report = &mut state.report;
            let told = Report {
                done: report.done.clone(),
                crashes: std::mem::take(&mut report.crashes),
                given_up: std::mem::take(&mut report.given_up),
                wrong: std::mem::take(&mut report.wrong),
                ..*report
            };
            if let Err(error) = message.reply(&told) {
                error!("no report: {error}");
            }
        }
        Message::Roster(workers) => {
            for worker in workers.iter().filter_map(|worker| worker.parse().ok()) {
                // Who is being ended may be gone.
                if let Some(own) = state.worker() {
                    fault::befriend(own, worker).ok();
                }
            }
            if process::peer() == PeerId::SERVER {
                let roster = state.roster();
                send(message.from, &roster).ok();
            }
        }
    }
}

/// Waits until the tree is complete, and gives each worker a friend.
async fn begin(state: Shared, per_large: usize, per_small: usize) {
    let top = state.borrow().top;
    loop {
        match whole(top, per_large, per_small).await {
            Ok(branches) => {
                let mut state = state.borrow_mut();
                state.branches = branches;
                break;
            }
            Err(reason) => debug!("{reason}"),
        }
        sleep(Duration::from_millis(500)).await;
    }
    let count = state.borrow().branches.len();
    for at in 0..count {
        let workers = state.borrow().branches[at].workers.clone();
        let next = workers.iter().cycle().skip(1);
        for (worker, friend) in workers.iter().zip(next) {
            fault::befriend(*worker, *friend).ok();
        }
        // Others have their turn.
        sleep(Duration::from_millis(1)).await;
    }
    state.borrow_mut().report.is_ready = true;
}

/// All branches with their workers, if all of them run.
async fn whole(top: ProcessId, per_large: usize, per_small: usize) -> Result<Vec<Branch>, String> {
    let mut branches = Vec::new();
    for child in which_children(top).await.map_err(|error| error.to_string())? {
        let id = child.id.unwrap_or_default();
        let (Some(kind), ChildState::Running(process)) = (Kind::of(&id), child.state) else { continue };
        let workers = workers_of(process).await?;
        let expected = if kind.is_large() { per_large } else { per_small };
        if workers.len() != expected {
            return Err(format!("{id} has {} of {expected} workers", workers.len()));
        }
        branches.push(Branch { id, kind, process, workers, is_busy: false });
    }
    Ok(branches)
}

/// The workers of a branch, if all of them run.
async fn workers_of(branch: ProcessId) -> Result<Vec<ProcessId>, String> {
    let children = which_children(branch).await.map_err(|error| error.to_string())?;
    let running = children.iter().map(|child| match child.state {
        ChildState::Running(process) => Some(process),
        ChildState::Restarting | ChildState::Undefined => None,
    });
    running.collect::<Option<_>>().ok_or_else(|| "not all of the workers run".into())
}

/// The conductors of the clients tell that of the server of workers, and are told of others.
async fn meet(state: Shared) {
    let is_server = process::peer() == PeerId::SERVER;
    let mut registered = false;
    loop {
        sleep(ROSTER.0).await;
        if is_server {
            if !registered {
                registered = global::register(NAME).await.is_ok();
            }
            continue;
        }
        if !state.borrow().report.is_ready {
            continue;
        }
        // The server may be out of reach.
        if let Ok(Ok(Some(other))) = timeout(ROSTER.0, global::whereis(NAME)).await {
            let roster = state.borrow_mut().roster();
            send(other, &roster).ok();
        }
    }
}

/// Lets something happen, if there is a branch for it.
fn happen(shared: &Shared) {
    let mut state = shared.borrow_mut();
    let busy = state.branches.iter().filter(|branch| branch.is_busy).count();
    let free: Vec<usize> = (0..state.branches.len()).filter(|at| !state.branches[*at].is_busy).collect();
    if !state.report.is_ready || busy >= BUSY_MAX || free.is_empty() {
        return;
    }
    let at = state.seeded.of(&free);
    state.branches[at].is_busy = true;
    let shared = shared.clone();
    let _acting = spawn_local(async move {
        let kind = shared.borrow().branches[at].kind;
        let acted = match kind {
            Kind::Brittle => give_up(&shared, at).await,
            Kind::Steady | Kind::Pool | Kind::Chain | Kind::Crew => crash(&shared, at).await,
        };
        let mut state = shared.borrow_mut();
        if let Err(text) = acted {
            let text = format!("{}: {text}", state.branches[at].id);
            state.wrong(text);
        }
        state.branches[at].is_busy = false;
    });
}

/// What crashed is put into the report.
fn note(state: &mut State, supervisor: ProcessId, ended: Vec<Ended>) {
    for Ended { process, reason, last_words } in ended {
        state.report.crashes.push(Crash::new(process, supervisor, &reason, last_words));
    }
}

fn next_text(state: &mut State, name: &str) -> String {
    state.number += 1;
    *state.report.done.entry(name.into()).or_default() += 1;
    format!("ordered {} {name} #{}", process::peer(), state.number)
}

/// Lets one or more workers of a branch end, and looks at what comes of it.
async fn crash(shared: &Shared, at: usize) -> Result<(), String> {
    let (fault, text, supervisor, before, kind, places) = {
        let mut state = shared.borrow_mut();
        let fault = state.seeded.of(&Fault::ALL);
        let Branch { process, ref workers, kind, .. } = state.branches[at];
        let workers = workers.clone();
        // Where the end of one is that of others, only one is ended.
        let fault = if kind.is_large() || fault.victims() == 1 { fault } else { Fault::Exit };
        let text = next_text(&mut state, fault.name());
        let places = state.seeded.some(fault.victims(), workers.len());
        (fault, text, process, workers, kind, places)
    };
    let victims: Vec<ProcessId> = places.iter().map(|place| before[*place]).collect();
    let ended = fault::befall(fault, &victims, &text).await?;
    note(&mut shared.borrow_mut(), supervisor, ended);
    let first = places[0];
    let must_change = |place: usize| match kind {
        Kind::Steady | Kind::Pool | Kind::Brittle => places.contains(&place),
        Kind::Chain => place >= first,
        Kind::Crew => true,
    };
    let after =
        changed(supervisor, &before, must_change).await.map_err(|reason| format!("{text}: {reason}"))?;
    let mut state = shared.borrow_mut();
    for (place, worker) in after.iter().enumerate().filter(|(place, _)| must_change(*place)) {
        fault::befriend(*worker, after[(place + 1) % after.len()]).ok();
    }
    state.branches[at].workers = after;
    Ok(())
}

/// Waits until the children of a supervisor in these places are others. The rest must be the same.
async fn changed(
    supervisor: ProcessId,
    before: &[ProcessId],
    must_change: impl Fn(usize) -> bool,
) -> Result<Vec<ProcessId>, String> {
    let end = monotonic() + RESTART_WAIT;
    loop {
        let missing = match workers_of(supervisor).await {
            Ok(after) if after.len() == before.len() => {
                let mut places = 0..before.len();
                if let Some(place) =
                    places.clone().find(|place| !must_change(*place) && after[*place] != before[*place])
                {
                    let (then, now) = (before[place], after[place]);
                    return Err(format!("{then}, which was to be left alone, is {now} now"));
                }
                match places.find(|place| must_change(*place) && after[*place] == before[*place]) {
                    None => return Ok(after),
                    Some(place) => format!("{} is still there", before[place]),
                }
            }
            Ok(after) => format!("{} of {} children", after.len(), before.len()),
            Err(reason) => reason,
        };
        if monotonic() > end {
            return Err(format!("not put right within {} s: {missing}", RESTART_WAIT.as_secs()));
        }
        sleep(LOOK).await;
    }
}

/// Lets more workers of a brittle branch end than it puts up with: it must give up, and be started again by the top,
/// with all of its workers.
async fn give_up(shared: &Shared, at: usize) -> Result<(), String> {
    let (id, supervisor, before, top, victims, others) = {
        let mut state = shared.borrow_mut();
        let Branch { ref id, process, ref workers, .. } = state.branches[at];
        let (id, workers) = (id.clone(), workers.clone());
        let victims = state.seeded.some(BRITTLE.0 as usize + 1, workers.len());
        let others = state.branches.iter().filter(|other| other.kind != Kind::Brittle);
        let others: Vec<_> = others.map(|other| (other.id.clone(), other.process)).collect();
        (id, process, workers, state.top, victims, others)
    };
    let end = process::monitor(supervisor).map_err(|errno| format!("no monitor of it: {errno}"))?;
    for place in victims {
        let text = next_text(&mut shared.borrow_mut(), "brittle");
        let ended = fault::befall(Fault::Exit, &[before[place]], &text).await?;
        note(&mut shared.borrow_mut(), supervisor, ended);
    }
    let Ok(Down { reason, .. }) = timeout(RESTART_WAIT, end).await else {
        return Err(format!("{supervisor} has not given up"));
    };
    if reason.kind != ExitKind::Shutdown || !reason.text.starts_with("reached max restart intensity") {
        return Err(format!("{supervisor} gave up with {:?}, `{reason}`", reason.kind));
    }
    shared.borrow_mut().report.given_up.push(Crash::new(supervisor, top, &reason, None));
    let limit = monotonic() + RESTART_WAIT;
    let (next, workers) = loop {
        let missing = match again(top, &id, supervisor, &others).await? {
            None => "no other is there".into(),
            Some(next) => match workers_of(next).await {
                Ok(workers) if workers.len() == before.len() => break (next, workers),
                Ok(workers) => format!("{} of {} workers", workers.len(), before.len()),
                Err(reason) => reason,
            },
        };
        if monotonic() > limit {
            return Err(format!("{supervisor} was not started again: {missing}"));
        }
        sleep(LOOK).await;
    };
    if let Some(old) = before.iter().find(|old| workers.contains(old)) {
        return Err(format!("{old} has outlived its supervisor {supervisor}"));
    }
    for (worker, friend) in workers.iter().zip(workers.iter().cycle().skip(1)) {
        fault::befriend(*worker, *friend).ok();
    }
    let mut state = shared.borrow_mut();
    (state.branches[at].process, state.branches[at].workers) = (next, workers);
    Ok(())
}

/// The process that a child of the top is now, if it is another. The other children must be who they were.
async fn again(
    top: ProcessId,
    id: &str,
    former: ProcessId,
    others: &[(String, ProcessId)],
) -> Result<Option<ProcessId>, String> {
    let children = which_children(top).await.map_err(|error| format!("the top does not answer: {error}"))?;
    let running = |id: &str| {
        let child = children.iter().find(|child| child.id.as_deref() == Some(id))?;
        match child.state {
            ChildState::Running(process) => Some(process),
            ChildState::Restarting | ChildState::Undefined => None,
        }
    };
    if let Some((other, process)) = others.iter().find(|(other, process)| running(other) != Some(*process)) {
        return Err(format!("`{other}` is not {process} any more, though only `{id}` gave up"));
    }
    Ok(running(id).filter(|process| *process != former))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_different_and_of_the_seed() {
        let mut seeded = Seeded(7);
        for count in 0..=20 {
            let some = seeded.some(count, 20);
            assert_eq!(some.iter().collect::<BTreeSet<_>>().len(), count);
            assert!(some.iter().all(|place| *place < 20));
        }
        assert_eq!(Seeded(7).some(4, 500), Seeded(7).some(4, 500));
        assert_ne!(Seeded(7).some(4, 500), Seeded(8).some(4, 500));
    }
}
