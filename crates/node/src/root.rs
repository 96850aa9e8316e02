// SPDX-License-Identifier: AGPL-3.0-or-later
//! The root supervisor: starts the services of this peer, in their order, and starts them again when they end.
//!
//! It is a process of the peer that monitors the services, and does what OTP's supervisors do with `rest_for_one`, with
//! these differences. Who goes with a service are those that need it, rather than all that start later. Restarts are
//! counted for each service by itself, and one that ends too often is given up while the others go on: a peer whose
//! lamp is broken is still a peer. It tries again after a short while rather than at once. Services end with all other
//! processes when the peer ends, not one by one.
//!
//! What it knows is kept beside it, under one lock, under which services are spawned, here or by an operator's
//! `restart`: so each has one process at most. When somebody kills the supervisor, another goes on where it was.

use crate::{
    lumps::chain,
    manifest::{Manifest, ModuleSource, Restart, Service},
    node::{Handle, Inner, SPAWN_TIME_MAX},
};
use bytes::Bytes;
use hearth_abi::{LumpId, ProcessId, signal::Kind, signal::encode_args};
use hearth_process::{
    Context, ExitKind, ExitReason, Level, Limits, Program, RegisterError, SpawnError, Spec, State as Does,
    Take, Work,
};
use hearth_protocol::operator::{ServiceInfo, ServiceState};
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// How long after its first end a service is started again; after each further one twice as long, up to
/// [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// How long a service that is asked to end may take before it is killed.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);
/// Processes of a service that are remembered: an operator may restart one that has ended. As many as the table keeps
/// logs of.
const PROCESSES_MAX: usize = 256;

/// The services of this peer, and how they are.
#[derive(Default)]
pub(crate) struct Root {
    state: Mutex<State>,
    /// Told when an operator has changed something.
    changed: Notify,
    /// Held by the supervisor that acts.
    acts: tokio::sync::Mutex<()>,
    /// Whether all services were tried, but for those whose needs have not started.
    has_booted: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    supervisor: Option<ProcessId>,
    restarts_max: usize,
    within: Duration,
    /// In the order in which they start.
    entries: Vec<Entry>,
}

struct Entry {
    service: Service,
    /// Places of those that it needs.
    needs: Vec<usize>,
    phase: Phase,
    /// The processes that it has had, newest last.
    processes: VecDeque<ProcessId>,
    /// How often it was started again.
    restarts: u64,
    /// When it ended, of the ends that count.
    ends: VecDeque<Instant>,
    /// Why it is to be started again, or is not.
    reason: Option<String>,
}

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It is to be started at this time, when those that it needs have started.
    Due(Instant),
    /// It has a process that has not started yet.
    Starting(ProcessId),
    Running(ProcessId),
    /// It is to end, since one that it needs has ended, and is then to be started again; whether it was asked.
    Stopping(ProcessId, bool),
    /// It has ended, and is not started again.
    Ended,
    /// It ended too often, or did not start.
    GivenUp,
}

/// What the supervisor is to do next.
enum Step {
    Stop(usize, ProcessId),
    Start(usize),
    AwaitStart(usize, ProcessId),
    /// Nothing before this time, if it is known.
    Wait(Option<Instant>),
}

impl Phase {
    fn process(self) -> Option<ProcessId> {
        match self {
            Phase::Starting(id) | Phase::Running(id) | Phase::Stopping(id, _) => Some(id),
            Phase::Due(_) | Phase::Ended | Phase::GivenUp => None,
        }
    }

    /// Whether those that need it may start.
    fn has_started(self) -> bool {
        matches!(self, Phase::Running(_) | Phase::Ended)
    }

    fn state(self) -> ServiceState {
        match self {
            Phase::Due(_) => ServiceState::Waiting,
            Phase::Starting(_) => ServiceState::Starting,
            Phase::Running(_) => ServiceState::Running,
            Phase::Stopping(..) => ServiceState::Stopping,
            Phase::Ended => ServiceState::Ended,
            Phase::GivenUp => ServiceState::GivenUp,
        }
    }
}

impl Entry {
    fn note_process(&mut self, id: ProcessId) {
        if self.processes.len() == PROCESSES_MAX {
            self.processes.pop_front();
        }
        self.processes.push_back(id);
    }
}

impl State {
    fn new(manifest: Manifest) -> State {
        // Whoever read the manifest has seen that there is an order.
        let order = manifest.order().unwrap_or_default();
        let place = |name: &String| order.iter().position(|index| manifest.service[*index].name == *name);
        let entries = order.iter().map(|index| {
            let service = manifest.service[*index].clone();
            Entry {
                needs: service.needs.iter().filter_map(place).collect(),
                service,
                phase: Phase::Due(Instant::now()),
                processes: VecDeque::new(),
                restarts: 0,
                ends: VecDeque::new(),
                reason: None,
            }
        });
        State {
            supervisor: None,
            restarts_max: manifest.restarts_max as usize,
            within: Duration::from_secs(manifest.within_s.into()),
            entries: entries.collect(),
        }
    }

    fn next_step(&self, now: Instant) -> Step {
        // Who needs others ends before them.
        for (index, entry) in self.entries.iter().enumerate().rev() {
            if let Phase::Stopping(id, false) = entry.phase {
                return Step::Stop(index, id);
            }
        }
        let mut next = None::<Instant>;
        for (index, entry) in self.entries.iter().enumerate() {
            let may_start = entry.needs.iter().all(|needs| self.entries[*needs].phase.has_started());
            match entry.phase {
                Phase::Starting(id) => return Step::AwaitStart(index, id),
                Phase::Due(at) if may_start && at <= now => return Step::Start(index),
                Phase::Due(at) if may_start => next = Some(next.map_or(at, |next| next.min(at))),
                _ => {}
            }
        }
        Step::Wait(next)
    }

    /// Whoever needs this service, however indirectly, ends and is started again after it. Gives their names.
    fn stop_who_needs(&mut self, index: usize, now: Instant) -> Vec<String> {
        let mut ending = BTreeSet::from([index]);
        let mut names = Vec::new();
        let name = self.entries[index].service.name.clone();
        for later in index + 1..self.entries.len() {
            let entry = &mut self.entries[later];
            if !entry.needs.iter().any(|needs| ending.contains(needs)) {
                continue;
            }
            ending.insert(later);
            names.push(format!("`{}`", entry.service.name));
            let reason = format!("`{name}`, which it needs, has ended");
            match entry.phase {
                Phase::Starting(id) | Phase::Running(id) => {
                    entry.phase = Phase::Stopping(id, false);
                    entry.reason = Some(reason);
                }
                // Its work may be undone.
                Phase::Ended if entry.service.restart != Restart::Temporary => {
                    entry.phase = Phase::Due(now);
                    entry.reason = Some(reason);
                }
                _ => {}
            }
        }
        names
    }

    /// A service has ended, or did not start. Gives what is to be said of it, if it is one.
    fn ended(&mut self, index: usize, kind: ExitKind, text: &str, now: Instant) -> (Level, String) {
        let (restarts_max, within) = (self.restarts_max, self.within);
        let entry = &mut self.entries[index];
        let was = std::mem::replace(&mut entry.phase, Phase::Ended);
        if let Phase::Stopping(..) = was {
            if entry.service.restart != Restart::Temporary {
                entry.phase = Phase::Due(now);
            }
            return (Level::Info, format!("ended: {}", entry.reason.as_deref().unwrap_or(text)));
        }
        entry.reason = Some(text.to_owned());
        let as_meant = matches!(kind, ExitKind::Normal | ExitKind::Shutdown);
        let again = match entry.service.restart {
            Restart::Permanent => true,
            Restart::Transient => !as_meant,
            Restart::Temporary => false,
        };
        if !again {
            if as_meant || matches!(was, Phase::Running(_)) {
                return (Level::Info, format!("ended, and is not started again: {text}"));
            }
            entry.phase = Phase::GivenUp;
            return (Level::Error, format!("did not start: {text}"));
        }
        entry.ends.push_back(now);
        while entry.ends.front().is_some_and(|end| now.duration_since(*end) > within) {
            entry.ends.pop_front();
        }
        let ends = entry.ends.len();
        if ends <= restarts_max {
            let doublings = u32::try_from(ends - 1).unwrap_or(u32::MAX);
            let wait = BACKOFF_MIN.saturating_mul(1 << doublings.min(16)).min(BACKOFF_MAX);
            entry.phase = Phase::Due(now + wait);
            self.stop_who_needs(index, now);
            return (Level::Warn, format!("ended, and is started again in {} ms: {text}", wait.as_millis()));
        }
        entry.phase = Phase::GivenUp;
        let times = if ends == 1 { "once".into() } else { format!("{ends} times") };
        let waiting = self.stop_who_needs(index, now);
        let with = match waiting.is_empty() {
            true => String::new(),
            false => format!("; what needs it stays ended: {}", waiting.join(", ")),
        };
        let secs = within.as_secs();
        let said = format!("is given up (it ended {times} within {secs} s{with}): {text}");
        (Level::Error, said)
    }
}

impl Root {
    /// How the services are, in the order in which they start.
    pub(crate) fn services(&self) -> Vec<ServiceInfo> {
        let state = self.state.lock();
        let info = |entry: &Entry| ServiceInfo {
            name: entry.service.name.clone(),
            state: entry.phase.state(),
            process: entry.phase.process(),
            supervisor: state.supervisor,
            restart: entry.service.restart.name().into(),
            restarts: entry.restarts,
            needs: entry.service.needs.clone(),
            reason: entry.reason.clone(),
        };
        state.entries.iter().map(info).collect()
    }

    /// Restarts a process as an operator wishes, by `restart`, which ends it and spawns another. If it is of a service,
    /// the new one is, and those that need it are started again.
    pub(crate) fn restart(
        &self,
        id: ProcessId,
        restart: impl FnOnce() -> Result<ProcessId, SpawnError>,
    ) -> Result<ProcessId, SpawnError> {
        let mut state = self.state.lock();
        if state.supervisor == Some(id) {
            let new = restart()?;
            state.supervisor = Some(new);
            return Ok(new);
        }
        let Some(index) = state.entries.iter().position(|entry| entry.processes.contains(&id)) else {
            drop(state);
            return restart();
        };
        // Of one that has ended becomes another only while the service has none.
        if let Some(by) = state.entries[index].phase.process().filter(|by| *by != id) {
            return Err(RegisterError::Taken { by }.into());
        }
        let new = restart()?;
        let entry = &mut state.entries[index];
        entry.note_process(new);
        entry.restarts += 1;
        match entry.phase {
            Phase::Stopping(..) => entry.phase = Phase::Stopping(new, false),
            was => {
                entry.phase = Phase::Starting(new);
                entry.reason = Some("an operator has restarted it".to_owned());
                if was == Phase::GivenUp {
                    entry.ends.clear();
                }
                state.stop_who_needs(index, Instant::now());
            }
        }
        drop(state);
        self.changed.notify_one();
        Ok(new)
    }
}

impl Inner {
    /// Starts the services of a manifest and looks after them until the peer ends. Resolves when all were tried, but
    /// for those whose needs have not started; what does not start keeps nobody else from starting.
    pub(crate) async fn boot(self: &Arc<Self>, manifest: Manifest) {
        if manifest.service.is_empty() {
            return;
        }
        *self.root.state.lock() = State::new(manifest);
        let mut has_booted = self.root.has_booted.subscribe();
        tokio::spawn(keep_supervisor(self.clone()));
        tokio::select! {
            // The sender is in this peer.
            _ = has_booted.wait_for(|has_booted| *has_booted) => {}
            () = self.shutdown.cancelled() => {}
        }
    }

    fn spawn_supervisor(self: &Arc<Self>) -> Result<ProcessId, SpawnError> {
        let mut state = self.root.state.lock();
        let spec = Spec {
            program: Arc::new(Supervisor(Handle::of(self))),
            module: None,
            origin: self.me,
            parent: None,
            name: None,
            args: Bytes::new(),
            // One for each service, and as many that have come of those before and are not taken yet.
            limits: Limits { monitors: state.entries.len() * 2 + 16, ..Limits::default() },
        };
        let id = self.processes.spawn(spec)?;
        self.processes.log(id, Level::Info, "host", "starts the services of this peer");
        state.supervisor = Some(id);
        Ok(id)
    }

    /// Says something of a service in the log of the peer and in that of the supervisor.
    fn say_of_service(&self, name: &str, level: Level, text: &str) {
        match level {
            Level::Error => tracing::error!("service `{name}` {text}"),
            Level::Warn => tracing::warn!("service `{name}` {text}"),
            _ => tracing::info!("service `{name}` {text}"),
        }
        let supervisor = self.root.state.lock().supervisor;
        if let Some(supervisor) = supervisor {
            self.processes.log(supervisor, level, "host", &format!("`{name}` {text}"));
        }
    }

    /// The module of a service as it is now: a file may have changed since the last time.
    async fn service_module(&self, service: &Service) -> Result<LumpId, String> {
        let path = match service.source(self.folder.root()).map_err(|error| chain(&error))? {
            ModuleSource::Lump(id) => return Ok(id),
            ModuleSource::File(path) => path,
        };
        let read = tokio::fs::read(&path).await;
        let bytes = read.map_err(|error| format!("could not read `{}`: {error}", path.display()))?;
        self.lumps.put(bytes.into()).await.map_err(|error| chain(&error))
    }

    /// Spawns a process for a service that is due.
    async fn start_service(&self, index: usize) {
        let service = self.root.state.lock().entries[index].service.clone();
        let module = self.service_module(&service).await;
        let mut state = self.root.state.lock();
        let supervisor = state.supervisor;
        let entry = &mut state.entries[index];
        // An operator may have restarted it meanwhile.
        if !matches!(entry.phase, Phase::Due(_)) {
            return;
        }
        let args = encode_args(service.args.iter().map(String::as_bytes)).into();
        let usual = self.processes.default_limits();
        // What the manifest says was in range when it was read.
        let limits = service.limits.over(usual).unwrap_or(usual);
        let spawned = module.and_then(|module| {
            self.spawn_tied(module, self.me, supervisor, Some(service.name.clone()), args, limits, None)
                .map(|begun| begun.id())
                .map_err(|failure| failure.reason)
        });
        match spawned {
            Ok(id) => {
                entry.phase = Phase::Starting(id);
                let is_first = entry.processes.is_empty() && entry.reason.is_none();
                entry.note_process(id);
                if !is_first {
                    entry.restarts += 1;
                    let reason = entry.reason.as_deref().unwrap_or_default();
                    let text = format!("started again ({}): {reason}", entry.restarts);
                    self.processes.log(id, Level::Warn, "host", &text);
                }
            }
            Err(text) => {
                let (level, said) = state.ended(index, ExitKind::Load, &text, Instant::now());
                drop(state);
                self.say_of_service(&service.name, level, &said);
            }
        }
    }

    /// Waits until the process of a service has started.
    async fn await_service(&self, index: usize, id: ProcessId) {
        let started = tokio::time::timeout(SPAWN_TIME_MAX, self.processes.started(id)).await;
        match started {
            Ok(Ok(())) => {
                let mut state = self.root.state.lock();
                let entry = &mut state.entries[index];
                if entry.phase == Phase::Starting(id) {
                    entry.phase = Phase::Running(id);
                    tracing::info!(process = %id, service = entry.service.name, "started");
                }
            }
            // Its monitor tells of it too, perhaps later.
            Ok(Err(reason)) => self.service_went_down(id, &reason),
            Err(_elapsed) => {
                let _ = self.processes.kill(None, id, "did not start in time");
                let ended = tokio::time::timeout(STOP_TIME_MAX, self.processes.exited(id)).await;
                if let Ok(reason) = ended {
                    self.service_went_down(id, &reason);
                }
            }
        }
    }

    /// Asks a service to end, as OTP's supervisors do: with time to do so, and then without.
    async fn stop_service(&self, index: usize, id: ProcessId) {
        let supervisor = {
            let mut state = self.root.state.lock();
            let entry = &mut state.entries[index];
            if entry.phase != Phase::Stopping(id, false) {
                return;
            }
            entry.phase = Phase::Stopping(id, true);
            state.supervisor
        };
        let asked = self.processes.exit(supervisor, id, &ExitReason::of_kind(ExitKind::Shutdown));
        let mut ended = None;
        if asked.is_ok() {
            ended = tokio::time::timeout(STOP_TIME_MAX, self.processes.exited(id)).await.ok();
        }
        if ended.is_none() {
            let _ = self.processes.kill(supervisor, id, "it did not end when it was asked to");
            ended = tokio::time::timeout(STOP_TIME_MAX, self.processes.exited(id)).await.ok();
        }
        // Until it has ended there is no other; its monitor tells when it has.
        if let Some(reason) = ended {
            self.service_went_down(id, &reason);
        }
    }

    /// The process of a service has ended; nothing happens when that is known already.
    fn service_went_down(&self, id: ProcessId, reason: &ExitReason) {
        let mut state = self.root.state.lock();
        let Some(index) = state.entries.iter().position(|entry| entry.phase.process() == Some(id)) else {
            return;
        };
        let name = state.entries[index].service.name.clone();
        let (level, said) =
            state.ended(index, reason.kind, &format!("{id} ended: {}", reason.text), Instant::now());
        drop(state);
        self.say_of_service(&name, level, &said);
    }

    /// Monitors the services that are not.
    fn watch_services(&self, context: &Context, watched: &mut BTreeSet<ProcessId>) {
        let here: Vec<ProcessId> =
            self.root.state.lock().entries.iter().filter_map(|entry| entry.phase.process()).collect();
        for id in here.into_iter().filter(|id| watched.insert(*id)) {
            if let Err(errno) = context.monitor(id, id.to_bits()) {
                // One whose end is not told would be missed.
                let text = format!("its end could not be watched: {errno}");
                let _ = self.processes.kill(None, id, &text);
                self.service_went_down(id, &ExitReason::new(ExitKind::Killed, text));
            }
        }
    }

    async fn supervise(self: &Arc<Self>, context: &Context) {
        let mut watched = BTreeSet::new();
        for entry in &mut self.root.state.lock().entries {
            // Whether the supervisor before has killed it, nobody knows.
            if let Phase::Stopping(_, asked) = &mut entry.phase {
                *asked = false;
            }
        }
        loop {
            while let Take::Signal(signal) = context.take(usize::MAX) {
                if signal.header.kind == Kind::Down {
                    let id = ProcessId::from_bits(signal.header.from);
                    watched.remove(&id);
                    // One that ended before it was monitored is told of as if it had never been.
                    let reason = self.processes.exited(id).await;
                    self.service_went_down(id, &reason);
                }
            }
            self.watch_services(context, &mut watched);
            let step = self.root.state.lock().next_step(Instant::now());
            match step {
                Step::Stop(index, id) => self.stop_service(index, id).await,
                Step::Start(index) => self.start_service(index).await,
                Step::AwaitStart(index, id) => self.await_service(index, id).await,
                Step::Wait(until) => {
                    self.root.has_booted.send_replace(true);
                    let until = until.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
                    tokio::select! {
                        _ = context.wait(Does::Waiting) => {}
                        () = self.root.changed.notified() => context.resume(),
                        () = tokio::time::sleep_until(until) => context.resume(),
                    }
                }
            }
        }
    }
}

/// Sees to it that there is a supervisor until the peer ends.
async fn keep_supervisor(inner: Arc<Inner>) {
    loop {
        let mut id = match inner.spawn_supervisor() {
            Ok(id) => id,
            Err(_) if inner.shutdown.is_cancelled() => return,
            Err(error) => {
                tracing::error!("the services are not started: {}", chain(&error));
                inner.root.has_booted.send_replace(true);
                return;
            }
        };
        loop {
            inner.processes.exited(id).await;
            // An operator may have restarted it.
            match inner.root.state.lock().supervisor {
                Some(now) if now != id => id = now,
                _ => break,
            }
        }
        tokio::select! {
            biased;
            () = inner.shutdown.cancelled() => return,
            () = tokio::time::sleep(BACKOFF_MIN) => {}
        }
        tracing::warn!("the supervisor of the services was ended; another goes on");
    }
}

struct Supervisor(Handle);

impl Program for Supervisor {
    fn run(self: Arc<Self>, context: Context) -> Work {
        Work::whole(async move {
            // Exit signals of others do not end it.
            context.trap_exits(true);
            context.started();
            let Some(inner) = self.0.get() else { return ExitReason::normal() };
            let supervise = async {
                // One that was restarted waits for the end of the one before.
                let _acts = inner.root.acts.lock().await;
                inner.supervise(&context).await;
            };
            tokio::select! {
                () = supervise => ExitReason::normal(),
                () = inner.shutdown.cancelled() => ExitReason::of_kind(ExitKind::Shutdown),
            }
        })
    }
}
