// SPDX-License-Identifier: AGPL-3.0-or-later
//! The table of processes of one peer.

use crate::{
    Body, Context, ExitKind, ExitReason, Level, Limit, Limits, LogFollower, LogLine, OriginInfo,
    OriginLimits, ProcessInfo, Program, RegisterError, SendError, Signal, SpawnError,
    accounts::Accounts,
    hibernation, known,
    lane::FastLane,
    life::{self, ReplaceError},
    mailbox::Mailbox,
    names::Names,
    reached::Unsaid,
    record::{Directory, Given, Process},
    registry::{self, Refused},
    run::{Code, Run},
    scheduler::Scheduler,
    ties::{Bond, Tie},
    timers::Timers,
    unclaimed::Unclaimed,
};
use bytes::Bytes;
use hearth_abi::{
    LumpId, PeerId, ProcessId,
    signal::{BODY_LEN_MAX, Header, Kind},
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Weak,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Ended processes whose log and specification are kept.
const LOGS_KEPT: usize = 256;
/// Ended processes whose reason is kept.
const REASONS_KEPT: usize = 4096;
/// Serial numbers that are taken at a time.
const SERIAL_BLOCK: u64 = 4096;
/// Longest reason of a kill in bytes; what is longer is cut.
pub(crate) const REASON_LEN_MAX: usize = 4096;
/// How long [`Processes::shutdown`] waits for the last process.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// What the table needs of the peer around it. None of these may block for long.
pub trait Host: Send + Sync + 'static {
    /// Sends a message to a process of another peer.
    ///
    /// # Errors
    /// The peer is not connected, or the way there is full.
    fn send_remote(&self, from: ProcessId, to: ProcessId, body: Bytes) -> Result<(), SendError>;

    /// Ends a process of another peer.
    ///
    /// # Errors
    /// As [`Host::send_remote`].
    fn kill_remote(&self, from: Option<ProcessId>, to: ProcessId, reason: &str) -> Result<(), SendError>;

    /// Sends an exit signal to a process of another peer.
    ///
    /// # Errors
    /// As [`Host::send_remote`].
    fn exit_remote(
        &self,
        from: Option<ProcessId>,
        to: ProcessId,
        reason: &ExitReason,
    ) -> Result<(), SendError> {
        let _ = (from, to, reason);
        Err(SendError::NoPeer)
    }

    /// Tells a process of another peer of a link or monitor. What was taken arrives, in the order in which
    /// it was given and with the messages between the same two, or [`Processes::peers_gone`] is called for
    /// that peer. From before that call until it has returned nothing is taken for that peer.
    ///
    /// It is called while the ties of the process are locked, and calls nothing of the table back.
    ///
    /// # Errors
    /// [`SendError::NoPeer`]: the peer is not to be reached, or no longer. [`SendError::Full`]: nothing new may be begun now;
    /// what takes a tie away, or tells of its end, is never refused so.
    fn tie_remote(&self, from: ProcessId, to: ProcessId, tie: Tie) -> Result<(), SendError> {
        let _ = (from, to, tie);
        Err(SendError::NoPeer)
    }

    /// All serial numbers below this one may be in use from now on. It must be durable before this
    /// returns: a restarted peer gives it as [`Config::first_serial`].
    ///
    /// # Errors
    /// It is not durable: none of them is given out.
    fn serial_reached(&self, serial: u64) -> std::io::Result<()>;

    /// A process has ended and left the table.
    fn exited(&self, id: ProcessId, reason: &ExitReason);

    /// The code of a process is about to be replaced. What the host holds for its code is set aside: it
    /// belongs to the code before, until [`Host::replaced`] is called or the process ends.
    fn replacing(&self, id: ProcessId) {
        let _ = id;
    }

    /// The new code of a process has started (`true`), and what was set aside goes; or it has not, and
    /// what was set aside is back, and what the new code made goes.
    fn replaced(&self, id: ProcessId, has_started: bool) {
        let _ = (id, has_started);
    }
}

/// What a process is spawned from.
#[derive(Clone)]
pub struct Spec {
    /// What it does.
    pub program: Arc<dyn Program>,
    /// The lump of its module, for those who list processes.
    pub module: Option<LumpId>,
    /// The peer whose authority it has.
    pub origin: PeerId,
    /// The process that spawned it.
    pub parent: Option<ProcessId>,
    /// Its first name.
    pub name: Option<String>,
    /// Its arguments, in the form of [`hearth_abi::signal::encode_args`].
    pub args: Bytes,
    /// What it may use.
    pub limits: Limits,
}

/// How a table is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// The peer whose processes these are.
    pub peer: PeerId,
    /// The first serial number that no process of this peer ever had.
    pub first_serial: u64,
    /// Limits for those who have no wish of their own, see [`Processes::default_limits`].
    pub defaults: Limits,
    /// What the processes with the authority of this peer itself may have together.
    pub own: OriginLimits,
    /// What those of each other peer may.
    pub others: OriginLimits,
    /// Worker threads of the Tokio runtime, and as many of the fast lane.
    pub workers: usize,
    /// Bytes of stack of a thread of the fast lane.
    pub worker_stack_bytes: usize,
    /// Most processes at a time.
    pub processes_max: usize,
    /// How long new code of a process may compute before it waits for the first time. What takes longer
    /// is taken for something that never ends, and the code before goes on.
    pub trial_time_max: Duration,
    /// How long a process waits, from its spawn on, to be claimed by the one that asked for it and is to be tied to it.
    pub claim_time_max: Duration,
    /// How long a parked process has no turn until it hibernates; at most twice as long. `None` for never.
    pub hibernate_after: Option<Duration>,
}

impl Config {
    /// The usual configuration of a peer.
    pub fn new(peer: PeerId, first_serial: u64, workers: usize) -> Config {
        Config {
            peer,
            first_serial,
            defaults: Limits::default(),
            own: OriginLimits::OWN,
            others: OriginLimits::OTHERS,
            workers,
            worker_stack_bytes: 1 << 20,
            processes_max: 1 << 20,
            trial_time_max: Duration::from_secs(20),
            claim_time_max: Duration::from_secs(120),
            hibernate_after: Some(Duration::from_secs(60)),
        }
    }
}

/// How much a table holds for processes that have not ended: nothing, when all have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Processes.
    pub processes: usize,
    /// Names on this peer.
    pub names: usize,
    /// Timers that have not gone off.
    pub timers: usize,
    /// Processes, ended ones too, that were asked for and not claimed yet.
    pub unclaimed: usize,
}

/// A process that was spawned, for those who wait until it has started.
pub struct Begun(Arc<Process>);

impl Begun {
    /// Its id.
    pub fn id(&self) -> ProcessId {
        self.0.id
    }

    /// Resolves when it has started, also if it has ended since.
    ///
    /// # Errors
    /// It ended before, for this reason.
    pub async fn started(&self) -> Result<(), ExitReason> {
        self.0.starts().await
    }
}

/// The table of processes of one peer. Clones are the same table.
#[derive(Clone)]
pub struct Processes(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) peer: PeerId,
    pub(crate) made: Instant,
    pub(crate) scheduler: Scheduler,
    pub(crate) lane: FastLane,
    pub(crate) names: Names,
    pub(crate) timers: Timers,
    pub(crate) accounts: Accounts,
    pub(crate) unsaid: Unsaid,
    defaults: Limits,
    processes_max: usize,
    pub(crate) trial_time_max: Duration,
    pub(crate) claim_time_max: Duration,
    pub(crate) unclaimed: Unclaimed,
    pub(crate) host: Arc<dyn Host>,
    serials: Serials,
    pub(crate) directory: Directory,
    ended: Mutex<Ended>,
    /// Told when a process has left the table while the peer shuts down.
    left: Notify,
}

/// Numbers of processes.
struct Serials {
    next: AtomicU64,
    /// Those below may be given out.
    durable: AtomicU64,
    /// Held by who moves that on.
    moving: Mutex<()>,
}

/// Those who have ended lately.
#[derive(Default)]
struct Ended {
    /// Who, and why, as of [`ExitReason::unless_plain`]. A ring of [`REASONS_KEPT`], in which to look takes a while, for few do, and to
    /// note does not.
    reasons: Vec<(u64, Option<Arc<ExitReason>>)>,
    next: usize,
    logs: HashMap<ProcessId, Arc<Process>>,
    logs_order: VecDeque<ProcessId>,
}

impl Ended {
    /// A process has ended; the one that was noted first goes if there is no room for it.
    fn note(&mut self, id: ProcessId, reason: Option<Arc<ExitReason>>) {
        if self.reasons.len() < REASONS_KEPT {
            return self.reasons.push((id.to_bits(), reason));
        }
        self.next = (self.next + 1) % REASONS_KEPT;
        if let Some(place) = self.reasons.get_mut(self.next) {
            *place = (id.to_bits(), reason);
        }
    }

    /// Why it has ended, if that is remembered.
    fn reason(&self, id: ProcessId) -> Option<ExitReason> {
        let (_, reason) = self.reasons.iter().rev().find(|(ended, _)| *ended == id.to_bits())?;
        Some(ExitReason::or_plain(reason.as_ref()).clone())
    }
}

impl Processes {
    /// An empty table.
    ///
    /// # Panics
    /// When called outside of a Tokio runtime: processes run on the one it is called from.
    pub fn new(config: Config, host: Arc<dyn Host>) -> Processes {
        let runtime = tokio::runtime::Handle::current();
        // Id 0 stands for the host.
        let first = config.first_serial.max(1);
        let inner = Arc::new(Inner {
            peer: config.peer,
            made: Instant::now(),
            lane: FastLane::new(runtime.clone(), config.workers, config.worker_stack_bytes),
            scheduler: Scheduler::new(runtime, config.workers),
            names: Names::default(),
            timers: Timers::default(),
            accounts: Accounts::new(config.peer, config.own, config.others),
            unsaid: Unsaid::default(),
            defaults: config.defaults,
            processes_max: config.processes_max,
            trial_time_max: config.trial_time_max,
            claim_time_max: config.claim_time_max,
            unclaimed: Unclaimed::default(),
            host,
            serials: Serials { next: first.into(), durable: first.into(), moving: Mutex::default() },
            directory: Directory::new(),
            ended: Mutex::default(),
            left: Notify::new(),
        });
        let weak = Arc::downgrade(&inner);
        inner.scheduler.start(run_timers(weak.clone()));
        if let Some(after) = config.hibernate_after {
            inner.scheduler.start(hibernation::run(weak, after));
        }
        Processes(inner)
    }

    /// The peer whose processes these are.
    pub fn peer(&self) -> PeerId {
        self.0.peer
    }

    /// The limits for those who have no wish of their own.
    pub fn default_limits(&self) -> Limits {
        self.0.defaults
    }

    /// Time since the table was made.
    pub fn uptime(&self) -> Duration {
        self.0.made.elapsed()
    }

    /// Spawns a process. Its id is valid at once.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub fn spawn(&self, spec: Spec) -> Result<ProcessId, SpawnError> {
        self.0.spawn(spec, None, None, |process| process.id)
    }

    /// Spawns a process that is linked with, or monitored by, the one that spawns it before it runs: that
    /// one learns of its end, and why, however soon it comes.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub fn spawn_tied(&self, spec: Spec, bond: Bond) -> Result<ProcessId, SpawnError> {
        self.0.spawn(spec, None, Some(bond), |process| process.id)
    }

    /// As [`Processes::spawn`], or [`Processes::spawn_tied`] if there is a bond, for those who wait until it has started.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub fn begin(&self, spec: Spec, bond: Option<Bond>) -> Result<Begun, SpawnError> {
        self.0.spawn(spec, None, bond, |process| Begun(process.clone()))
    }

    /// Whoever has asked for a process of this peer, to be tied to it, has an error for an answer: a process that was to be
    /// linked is told `noconnection`. Without effect if it is claimed already.
    pub fn forsake(&self, of: ProcessId) {
        self.0.forsake(of);
    }

    /// Sends a message to a process of this or another peer.
    ///
    /// # Errors
    /// See [`SendError`]; to another peer, success does not tell that it arrived.
    pub fn send(&self, from: ProcessId, to: ProcessId, body: Bytes) -> Result<(), SendError> {
        self.0.send_bytes(from, to, body)
    }

    /// Puts a signal into the mailbox of a process of this peer. A signal of kind `reply`, `timeout`, `exit`
    /// or `down` belongs to a request, timer, link or monitor and is not accepted here.
    ///
    /// # Errors
    /// There is no such process, its mailbox is full, or the body is too long.
    pub fn deliver(&self, to: ProcessId, signal: Signal) -> Result<(), SendError> {
        if signal.body.len() > BODY_LEN_MAX {
            return Err(SendError::TooLong);
        }
        if matches!(signal.header.kind, Kind::Reply | Kind::Timeout | Kind::Exit | Kind::Down) {
            return Err(SendError::NotFound);
        }
        self.0.push(to, |mailbox| mailbox.push(signal))
    }

    /// Ends a process of this or another peer. An empty reason becomes `killed`. It is gone once
    /// [`Processes::exited`] resolves.
    ///
    /// # Errors
    /// There is no such process here, or the way to its peer is closed or full.
    pub fn kill(&self, from: Option<ProcessId>, who: ProcessId, reason: &str) -> Result<(), SendError> {
        self.0.kill(from, who, reason)
    }

    /// Replaces the code of a process of this peer: it keeps its id, its names, its place in the scene, its
    /// log and its arguments, and what waits in its mailbox but answers to what the code before has asked
    /// for. Its state starts afresh. Resolves when the new code has started, which is when it waits for
    /// the first time. If it ends abnormally before that, or computes for
    /// [`Config::trial_time_max`], the code before goes on as if nothing had happened.
    ///
    /// What was asked for goes on when the future is dropped. `asker` is the peer whose operator asks:
    /// what has the authority of this peer is for its own operator to replace, and to go back to.
    ///
    /// # Errors
    /// See [`ReplaceError`].
    pub async fn replace(&self, who: ProcessId, code: Code, asker: PeerId) -> Result<(), ReplaceError> {
        let process = self.0.directory.get(who).ok_or(ReplaceError::NotFound)?;
        self.0.replace(process, Some(code), asker).await
    }

    /// Whether an operator of this peer may replace the code of a process as it is now.
    ///
    /// # Errors
    /// See [`ReplaceError`].
    pub fn may_replace(&self, who: ProcessId, asker: PeerId) -> Result<(), ReplaceError> {
        self.0.directory.get(who).ok_or(ReplaceError::NotFound)?.may_replace(asker)
    }

    /// Replaces the code of a process by the code that it had before, as [`Processes::replace`] does. Done
    /// again, it goes back further. The next `replace` forgets what was rolled back from.
    ///
    /// # Errors
    /// See [`ReplaceError`].
    pub async fn roll_back(&self, who: ProcessId, asker: PeerId) -> Result<(), ReplaceError> {
        let process = self.0.directory.get(who).ok_or(ReplaceError::NotFound)?;
        self.0.replace(process, None, asker).await
    }

    /// The code that a process of this peer has had, oldest first, at most [`HISTORY_MAX`](crate::HISTORY_MAX)
    /// pieces, and which of them runs.
    pub fn history(&self, who: ProcessId) -> Option<(Vec<Code>, usize)> {
        let process = self.0.directory.get(who)?;
        let current = process.current();
        Some(match &*process.history.lock() {
            Some(history) => history.list(&current.code),
            None => (vec![current.code.clone()], 0),
        })
    }

    /// Ends a process of this peer and spawns another from the same specification: a new id, the same
    /// first name, module, arguments and authority. One that has ended can be restarted as long as
    /// its log is kept. A process is not restarted while the one that spawned it is linked with it and traps exits, as a supervisor
    /// does: that starts another when this one ends, and there would be two.
    ///
    /// # Errors
    /// See [`SpawnError`]; [`SpawnError::NotFound`] if nothing is known of it, or it is being restarted already.
    pub fn restart(&self, who: ProcessId) -> Result<ProcessId, SpawnError> {
        if let Some(process) = self.0.directory.get(who) {
            return self.0.restart(&process);
        }
        let ended = self.0.ended.lock().logs.get(&who).cloned().ok_or(SpawnError::NotFound)?;
        self.0.spawn(ended.spec_now(), Some(who), None, |process| process.id)
    }

    /// The same for a process that has not ended and is not about to: nothing comes to life by it that was not alive,
    /// and of one process becomes one.
    ///
    /// # Errors
    /// As [`Processes::restart`]; [`SpawnError::NotFound`] also if it has ended, or was killed.
    pub fn restart_live(&self, who: ProcessId) -> Result<ProcessId, SpawnError> {
        let process = self.0.directory.get(who).ok_or(SpawnError::NotFound)?;
        if process.kill.asked.load(Acquire) {
            return Err(SpawnError::NotFound);
        }
        self.0.restart(&process)
    }

    /// Gives a process of this peer a name.
    ///
    /// # Errors
    /// See [`RegisterError`]; an unknown process counts as an invalid name.
    pub fn register(&self, who: ProcessId, name: &str) -> Result<(), RegisterError> {
        let process = self.0.directory.get(who).ok_or(RegisterError::Invalid)?;
        Context::new(self.0.clone(), process).register(name)
    }

    /// Takes a name away from a process; `false` if it does not have it.
    pub fn unregister(&self, who: ProcessId, name: &str) -> bool {
        match self.0.directory.get(who) {
            Some(process) => Context::new(self.0.clone(), process).unregister(name),
            None => false,
        }
    }

    /// The process of that name on this peer.
    pub fn whereis(&self, name: &str) -> Option<ProcessId> {
        self.0.names.get(name)
    }

    /// How much the table holds.
    pub fn counts(&self) -> Counts {
        let Inner { directory, names, timers, unclaimed, .. } = &*self.0;
        let (processes, names, timers) = (directory.len(), names.len(), timers.len());
        Counts { processes, names, timers, unclaimed: unclaimed.len() }
    }

    /// Number of processes.
    pub fn count(&self) -> usize {
        self.0.directory.len()
    }

    /// All processes, by id.
    pub fn list(&self) -> Vec<ProcessInfo> {
        self.0.directory.all().iter().map(|process| process.info()).collect()
    }

    /// The first `most` of those whose ids are behind this one, by id; of all, if that is `None`.
    pub fn list_after(&self, after: Option<ProcessId>, most: usize) -> Vec<ProcessInfo> {
        self.0.directory.after(after, most.max(1)).iter().map(|process| process.info()).collect()
    }

    /// A process of this peer that has not ended.
    pub fn info(&self, id: ProcessId) -> Option<ProcessInfo> {
        self.0.directory.get(id).map(|process| process.info())
    }

    /// What a process of this peer may use, if it has not ended.
    pub fn limits(&self, id: ProcessId) -> Option<Limits> {
        self.0.directory.with(id, |process| process.spec.limits)
    }

    /// What the processes of one peer of origin have together on this peer.
    pub fn origin(&self, origin: PeerId) -> OriginInfo {
        (&*self.0.accounts.of(origin)).into()
    }

    /// The same of each peer that has, or had, processes here.
    pub fn origins(&self) -> Vec<OriginInfo> {
        self.0.accounts.all().iter().map(|account| (&**account).into()).collect()
    }

    /// Notes that a process of this peer was refused what is beyond a limit: its log tells, though not each time.
    pub fn reached(&self, id: ProcessId, limit: Limit) {
        if let Some(process) = self.0.directory.get(id) {
            Context::new(self.0.clone(), process).reached(limit);
        }
    }

    /// The newest `n` lines of a process's log, oldest first. The logs of the last 256 processes that
    /// logged anything or failed are kept after their end, with the reason as the last line.
    pub fn log_lines(&self, id: ProcessId, n: usize) -> Option<Vec<Arc<LogLine>>> {
        if let Some(process) = self.0.directory.get(id) {
            return Some(process.log.last(n));
        }
        self.0.ended.lock().logs.get(&id).map(|process| process.log.last(n))
    }

    /// Follows a process's log: what is kept of it, then what comes, until the process has ended.
    pub fn follow_log(&self, id: ProcessId) -> Option<LogFollower> {
        if let Some(process) = self.0.directory.get(id) {
            return Some(process.log.follow(&process.spec.limits));
        }
        let ended = self.0.ended.lock();
        ended.logs.get(&id).map(|process| process.log.follow(&process.spec.limits))
    }

    /// Writes a line into a process's log in the host's name.
    pub fn log(&self, id: ProcessId, level: Level, target: &str, text: &str) {
        if let Some(process) = self.0.directory.get(id) {
            process.log.write_host(&process.spec.limits, level, target, text);
        }
    }

    /// Resolves when the process runs.
    ///
    /// # Errors
    /// It ended before, for this reason.
    pub async fn started(&self, id: ProcessId) -> Result<(), ExitReason> {
        match self.0.directory.get(id) {
            Some(process) => process.starts().await,
            None => Err(self.0.reason(id)),
        }
    }

    /// Resolves when the process has ended; at once if it had, or never was. Reasons are remembered
    /// for the last 4096 processes.
    pub async fn exited(&self, id: ProcessId) -> ExitReason {
        match self.0.directory.get(id) {
            Some(process) => process.ends().await,
            None => self.0.reason(id),
        }
    }

    /// Why a process ended, if it did and that is remembered.
    pub fn ended(&self, id: ProcessId) -> Option<ExitReason> {
        self.0.ended.lock().reason(id)
    }

    /// Kills all processes and spawns no more. Waits until they are gone, for 5 seconds at most.
    pub async fn shutdown(&self) {
        self.0.directory.close();
        let gone = async {
            loop {
                let left = self.0.left.notified();
                for process in self.0.directory.all() {
                    process.kill(ExitReason::new(ExitKind::Killed, "the peer shuts down"));
                }
                if self.0.directory.len() == 0 {
                    return;
                }
                left.await;
            }
        };
        if tokio::time::timeout(SHUTDOWN_WAIT, gone).await.is_err() {
            tracing::warn!(left = self.count(), "processes did not end in time");
        }
    }
}

impl Inner {
    /// Spawns a process, and returns what `f` makes of it before it has run.
    fn spawn<R>(
        self: &Arc<Self>,
        spec: Spec,
        instead_of: Option<ProcessId>,
        bond: Option<Bond>,
        f: impl FnOnce(&Arc<Process>) -> R,
    ) -> Result<R, SpawnError> {
        if self.directory.is_closed() {
            return Err(SpawnError::ShuttingDown);
        }
        if self.directory.len() >= self.processes_max {
            return Err(SpawnError::TooMany { max: self.processes_max });
        }
        if let Some(name) = &spec.name {
            Names::check(name)?;
        }
        let mut place = self.take_place(&spec, instead_of)?;
        let id = self.next_id()?;
        let Spec { program, module, origin, parent, name, args, limits } = spec;
        let may_fail = name.is_some() || bond.is_some();
        if !may_fail {
            place.settle();
        }
        let run = Arc::new(Run::new(Code { program, module, origin }));
        let given = Given { parent, name, args, limits };
        let process = Arc::new(Process::new(id, given, place, run.clone()));
        let name = process.spec.name.as_deref();
        registry::enter(&self.directory, &self.names, &process, name, instead_of).map_err(|refused| {
            match refused {
                Refused::Closed => SpawnError::ShuttingDown,
                Refused::Name(error) => {
                    self.withdraw(&process);
                    error.into()
                }
            }
        })?;
        if let Some(errno) = bond.and_then(|bond| self.bind(&bond, &process).err()) {
            self.withdraw(&process);
            return Err(SpawnError::NotTied(errno));
        }
        if may_fail && let Some(place) = process.runs.lock().place.as_mut() {
            place.settle();
        }
        let result = f(&process);
        life::begin(self, process, run);
        Ok(result)
    }

    /// Takes back a process that has not run. It leaves no trace but its number; who has found it meanwhile, and waits
    /// for it, hears that there is none.
    fn withdraw(&self, process: &Arc<Process>) {
        let (id, reason) = (process.id, ExitReason::of_kind(ExitKind::NoProcess));
        process.mailbox.close();
        let tied = self.end_ties(process, &reason);
        registry::leave(&self.directory, &self.names, &**process);
        let place = {
            let mut runs = process.runs.lock();
            runs.end = reason.clone().unless_plain();
            runs.place.take()
        };
        drop(place);
        process.tell_end();
        if let Some(tied) = tied {
            self.untie(id, &tied, &reason);
        }
        self.tell_left();
    }

    /// Whoever waits for the last process looks again.
    fn tell_left(&self) {
        if self.directory.is_closed() {
            self.left.notify_waiters();
        }
    }

    /// Spawns another in the place of a process, once.
    fn restart(self: &Arc<Self>, process: &Process) -> Result<ProcessId, SpawnError> {
        if let Some(by) = self.supervisor(process) {
            return Err(SpawnError::Supervised { by });
        }
        if process.is_restarting.swap(true, AcqRel) {
            return Err(SpawnError::NotFound);
        }
        let spawned = self.spawn(process.spec_now(), Some(process.id), None, |new| new.id);
        match spawned {
            Ok(new) => process.kill(ExitReason::new(ExitKind::Killed, format!("restarted as {new}"))),
            Err(_) => process.is_restarting.store(false, Release),
        }
        spawned
    }

    fn next_id(&self) -> Result<ProcessId, SpawnError> {
        let Serials { next, durable, moving } = &self.serials;
        loop {
            // One that was taken when there were no more is left out.
            if next.load(Relaxed) < durable.load(Acquire) {
                let serial = next.fetch_add(1, Relaxed);
                if serial < durable.load(Acquire) {
                    return ProcessId::new(self.peer, serial).ok_or(SpawnError::SerialsUsedUp);
                }
            }
            let _moving = moving.lock();
            let (next, mark) = (next.load(Relaxed), durable.load(Acquire));
            if next < mark {
                continue;
            }
            ProcessId::new(self.peer, next).ok_or(SpawnError::SerialsUsedUp)?;
            let reached = next.max(mark) + SERIAL_BLOCK;
            self.host.serial_reached(reached).map_err(|error| {
                tracing::error!("the mark of process numbers cannot be written: {error}");
                SpawnError::SerialsNotKept
            })?;
            durable.store(reached, Release);
        }
    }

    fn push(
        &self,
        to: ProcessId,
        push: impl FnOnce(&Mailbox) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let pushed = known::push(&self.directory, to, push);
        if pushed == Err(SendError::Full) {
            self.mailbox_full(to);
        }
        pushed
    }

    /// Sends a message whose body lies elsewhere.
    #[inline]
    pub(crate) fn send(&self, from: ProcessId, to: ProcessId, body: &[u8]) -> Result<(), SendError> {
        if body.len() > BODY_LEN_MAX {
            return Err(SendError::TooLong);
        }
        if to.peer() != self.peer {
            return self.host.send_remote(from, to, Bytes::copy_from_slice(body));
        }
        let pushed = known::send(&self.directory, from, to, body);
        if pushed == Err(SendError::Full) {
            self.mailbox_full(to);
        }
        pushed
    }

    /// Sends a message.
    pub(crate) fn send_bytes(&self, from: ProcessId, to: ProcessId, body: Bytes) -> Result<(), SendError> {
        if body.len() > BODY_LEN_MAX {
            return Err(SendError::TooLong);
        }
        if to.peer() != self.peer {
            return self.host.send_remote(from, to, body);
        }
        let header = Header { kind: Kind::Message, status: 0, from: from.to_bits(), tag: 0 };
        self.push(to, |mailbox| mailbox.push(Signal { header, body: body.into() }))
    }

    pub(crate) fn kill(
        &self,
        from: Option<ProcessId>,
        who: ProcessId,
        reason: &str,
    ) -> Result<(), SendError> {
        let reason = if reason.is_empty() { "killed" } else { reason };
        let reason = &reason[..reason.floor_char_boundary(REASON_LEN_MAX)];
        if who.peer() != self.peer {
            return self.host.kill_remote(from, who, reason);
        }
        let process = self.directory.get(who).ok_or(SendError::NotFound)?;
        process.kill(ExitReason::new(ExitKind::Killed, reason.to_owned()));
        Ok(())
    }

    fn reason(&self, id: ProcessId) -> ExitReason {
        let remembered = self.ended.lock().reason(id);
        remembered.unwrap_or_else(|| ExitReason::new(ExitKind::Error, "no such process"))
    }

    /// What is to be done when a process has ended.
    pub(crate) fn finish(&self, process: &Arc<Process>, reason: ExitReason) {
        let id = process.id;
        let kept = reason.unless_plain();
        let reason = ExitReason::or_plain(kept.as_ref());
        // Its record may be kept for long.
        process.slice.finish();
        process.mailbox.close();
        // Whoever wants to be tied to it from here on learns that there is no such process.
        let tied = self.end_ties(process, reason);
        let (place, wanted) = {
            let mut runs = process.runs.lock();
            runs.all().for_each(|run| run.stop_timers(&self.timers));
            runs.end = kept.clone();
            (runs.place.take(), runs.wanted.take())
        };
        drop(place);
        // Whoever waits for new code of it learns that it has ended.
        drop(wanted);
        process.say_all_reached();
        let tell = !reason.is_normal() || !process.log.is_empty();
        if tell {
            let (level, text) = match reason {
                reason if reason.is_normal() => (Level::Info, "ended".to_owned()),
                ExitReason { text, kind: ExitKind::Shutdown, .. } => (Level::Info, format!("ended: {text}")),
                ExitReason { text, backtrace: None, .. } => (Level::Error, format!("ended: {text}")),
                ExitReason { text, backtrace: Some(trace), .. } => {
                    (Level::Error, format!("ended: {text}\n{trace}"))
                }
            };
            process.log.close(&process.spec.limits, level, &text);
        }
        {
            let mut ended = self.ended.lock();
            ended.note(id, kept.clone());
            if tell {
                ended.logs.insert(id, process.clone());
                ended.logs_order.push_back(id);
                if ended.logs_order.len() > LOGS_KEPT
                    && let Some(old) = ended.logs_order.pop_front()
                {
                    ended.logs.remove(&old);
                }
            }
        }
        registry::leave(&self.directory, &self.names, &**process);
        process.tell_end();
        self.host.exited(id, reason);
        // When its names are free and what it had is given back, so that who is told may begin anew.
        if let Some(tied) = tied {
            self.untie(id, &tied, reason);
        }
        self.tell_left();
    }
}

/// Ends the fast lane when it is dropped, and lets go of what is parked.
struct EndOfLane(Weak<Inner>);

impl Drop for EndOfLane {
    fn drop(&mut self) {
        let Some(table) = self.0.upgrade() else { return };
        table.lane.stop();
        for process in table.directory.all() {
            // A call that waits for its permit is left.
            process.kill.waker.wake();
            process.mailbox.close();
        }
    }
}

/// Sends the signals of timers that are due, as long as the table lives.
async fn run_timers(table: Weak<Inner>) {
    // Looks at times whether the table is still there.
    const AT_MOST: Duration = Duration::from_secs(5);
    // This task goes with the runtime.
    let _end = EndOfLane(table.clone());
    loop {
        let Some(strong) = table.upgrade() else { return };
        let now = Instant::now();
        strong.tell_reached(now);
        strong.forsake_late(now);
        let (due, next) = strong.timers.due();
        let some_were_due = !due.is_empty();
        for (key, id, tag) in due {
            let Some(process) = strong.directory.get(id) else { continue };
            let runs: Vec<_> = process.runs.lock().all().cloned().collect();
            for run in runs {
                let mut timers = run.timers();
                // A timer that was replaced or cancelled meanwhile is none.
                if timers.pending.get(&tag) != Some(&key) {
                    continue;
                }
                timers.pending.remove(&tag);
                timers.untaken += 1;
                drop(timers);
                let header = Header { kind: Kind::Timeout, status: 0, from: 0, tag };
                run.deliver(&process, Signal { header, body: Body::EMPTY });
            }
        }
        if some_were_due {
            tokio::task::yield_now().await;
            continue;
        }
        let at_most = tokio::time::Instant::now() + AT_MOST;
        strong.timers.wait(next.map_or(at_most, |next| next.min(at_most))).await;
    }
}
