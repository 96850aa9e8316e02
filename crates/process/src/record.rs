// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the table keeps of one process.

use crate::{
    Code, ExitKind, ExitReason, Limit, Limits, OriginLimits, Spec,
    accounts::{Account, Place, Spawned},
    budget::Meter,
    hibernation::Seen,
    life::{Change, History, Life, Wanted},
    lock::{AtomicBool as Flag, AtomicUsize, RwLock},
    log::Log,
    mailbox::Mailbox,
    names::Named,
    reached::Reached,
    run::Run,
    scheduler::Slice,
    ties::Tied,
};
use bytes::Bytes;
use futures::task::AtomicWaker;
use hearth_abi::{LumpId, PeerId, ProcessId};
use parking_lot::Mutex;
use std::{
    collections::{BinaryHeap, HashMap},
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicBool, AtomicU8, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::SystemTime,
};
use tokio::sync::Notify;

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Its module is being fetched and compiled.
    Starting = 0,
    /// It runs, or waits for a processor.
    Running = 1,
    /// It waits on its own stack for a signal.
    Waiting = 2,
    /// It has returned to the host and waits for a signal without a stack.
    Parked = 3,
    /// It has done so for a while, and has given back what it does not need for that.
    Hibernated = 4,
    /// It has used up its processor time, or that of its peer of origin, and goes on when there is some again. Never stored: a process is
    /// one of the others besides.
    Throttled = 5,
}

impl State {
    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Running => "running",
            State::Waiting => "waiting",
            State::Parked => "parked",
            State::Hibernated => "hibernated",
            State::Throttled => "throttled",
        }
    }

    fn from_number(number: u8) -> State {
        match number {
            0 => State::Starting,
            2 => State::Waiting,
            3 => State::Parked,
            4 => State::Hibernated,
            _ => State::Running,
        }
    }
}

/// How a process gets its turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Lane {
    /// As a task, on a stack of its own: it waits there, is starting, or overran lately.
    Fiber = 0,
    /// By plain calls: it parks, and returns soon.
    Fast = 1,
    /// It overran its slices, and shares what others leave.
    Hog = 2,
}

impl Lane {
    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Lane::Fast => "fast",
            Lane::Fiber => "fiber",
            Lane::Hog => "hog",
        }
    }
}

/// A process as others see it.
#[derive(Clone, Debug)]
pub struct ProcessInfo {
    /// Its id.
    pub id: ProcessId,
    /// Its names on this peer.
    pub names: Vec<String>,
    /// What it is doing.
    pub state: State,
    /// How it gets its turns.
    pub lane: Lane,
    /// Signals in its mailbox.
    pub mailbox_len: usize,
    /// Bytes in its mailbox, headers included.
    pub mailbox_bytes: usize,
    /// Linear memory in bytes.
    pub memory_bytes: u64,
    /// Processor time in nanoseconds: measured for long turns, estimated from samples for short ones.
    pub cpu_ns: u64,
    /// How long it was held up because it, or its peer of origin, had used up its processor time, in nanoseconds.
    pub throttled_ns: u64,
    /// The lump of its module, if it has one.
    pub module: Option<LumpId>,
    /// The peer whose authority it has.
    pub origin: PeerId,
    /// The process that spawned it.
    pub parent: Option<ProcessId>,
    /// When it was spawned.
    pub started: SystemTime,
    /// Signals it has taken.
    pub signals_received: u64,
    /// Requests whose reply it has not taken yet.
    pub requests: usize,
    /// Timers whose signal it has not taken yet.
    pub timers: usize,
    /// Links, and their exit signals that it has not taken yet.
    pub links: usize,
    /// Monitors that it has made, and their signals that it has not taken yet.
    pub monitors: usize,
    /// Processes that it has spawned on this peer and that have not ended.
    pub children: u64,
    /// What it may use.
    pub limits: Limits,
    /// How often it reached which limit; those that it never reached are left out.
    pub reached: Vec<(Limit, u64)>,
}

/// What the processes of one peer of origin have together on this peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginInfo {
    /// The peer whose authority they have.
    pub origin: PeerId,
    /// Those that have not ended.
    pub processes: u64,
    /// Linear memory of all of them, in bytes.
    pub memory_bytes: u64,
    /// What they may have.
    pub limits: OriginLimits,
}

impl From<&Account> for OriginInfo {
    fn from(account: &Account) -> OriginInfo {
        OriginInfo {
            origin: account.origin,
            processes: account.processes(),
            memory_bytes: account.memory_bytes(),
            limits: account.limits,
        }
    }
}

/// What each message needs is in the first cache line, behind the counts of its `Arc`, and what each turn needs in the fourth, if the
/// allocator begins it where a line does.
#[repr(C)]
pub(crate) struct Process {
    pub(crate) id: ProcessId,
    pub(crate) mailbox: Mailbox,
    pub(crate) started_at: SystemTime,
    pub(crate) slice: Slice,
    pub(crate) received: AtomicU64,
    pub(crate) change: Change,
    pub(crate) state: AtomicU8,
    /// A [`Lane`], but for the hog lane.
    pub(crate) lane: AtomicU8,
    pub(crate) has_started: AtomicBool,
    /// Whether exit signals are for it to take.
    pub(crate) traps_exits: AtomicBool,
    /// Whether nothing can be tied to it any more; written under the lock of `ties`.
    pub(crate) is_over: AtomicBool,
    /// Whether another process begins in its place.
    pub(crate) is_restarting: AtomicBool,
    pub(crate) kill: Kill,
    pub(crate) spec: Given,
    /// Links and monitors, once there are any. How it is locked is written in `ties`.
    pub(crate) ties: Mutex<Option<Box<Tied>>>,
    pub(crate) names: Named,
    pub(crate) log: Log,
    pub(crate) runs: Mutex<Runs>,
    /// Once it has had other code.
    pub(crate) history: Mutex<Option<Box<History>>>,
    pub(crate) memory_bytes: AtomicU64,
    pub(crate) seen: Seen,
    /// What it has spawned, once it has.
    pub(crate) spawned: OnceLock<Arc<Spawned>>,
    pub(crate) reached: Reached,
    /// Whether [`Runs::end`] may be told.
    pub(crate) has_ended: AtomicBool,
    /// Told when it has started, when a run of it is over, and when it has ended.
    pub(crate) changed: Notify,
}

// As said there; elsewhere it may be otherwise.
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(hearth_loom)))]
const _: () = {
    use std::mem::offset_of;
    const COUNTS: usize = 16;
    assert!(COUNTS + offset_of!(Process, mailbox) + Mailbox::<Box<Life>>::LOCKED_AT <= 64);
    assert!(COUNTS + offset_of!(Process, slice) + Slice::TURNS_AT == 192);
    assert!(COUNTS + offset_of!(Process, kill) + size_of::<AtomicBool>() <= 256);
};

/// What it was spawned from, but for its code.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) parent: Option<ProcessId>,
    pub(crate) name: Option<String>,
    pub(crate) args: Bytes,
    pub(crate) limits: Limits,
}

/// What runs as a process, and what is to.
pub(crate) struct Runs {
    pub(crate) current: Arc<Run>,
    /// What may run again, while the other is on trial.
    pub(crate) before: Option<Arc<Run>>,
    /// New code that it has yet to take.
    pub(crate) wanted: Option<Box<Wanted>>,
    /// Its place among others. Given back at its end, after which no new code is taken.
    pub(crate) place: Option<Place>,
    /// Why it has ended, as of [`ExitReason::unless_plain`], once it has no place.
    pub(crate) end: Option<Arc<ExitReason>>,
}

impl Runs {
    /// New code is to be taken; `false` if the process ends, and it was dropped.
    pub(crate) fn want(&mut self, wanted: Wanted) -> bool {
        let is_there = self.place.is_some();
        if is_there {
            self.wanted = Some(Box::new(wanted));
        }
        is_there
    }

    /// New code runs, and what ran may run again.
    pub(crate) fn begin_trial(&mut self, run: Arc<Run>) {
        self.before = Some(std::mem::replace(&mut self.current, run));
    }

    /// What ran before runs again.
    pub(crate) fn go_back(&mut self, run: Arc<Run>) {
        (self.current, self.before) = (run, None);
    }

    /// What runs, and what may run again.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Run>> {
        std::iter::once(&self.current).chain(&self.before)
    }
}

/// Whether the process is to end, and how its task, or the thread that its call waits on, is woken for that.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Kill {
    pub(crate) asked: AtomicBool,
    pub(crate) reason: OnceLock<Box<ExitReason>>,
    pub(crate) waker: AtomicWaker,
}

impl Kill {
    /// Why it is to end.
    pub(crate) fn reason(&self) -> ExitReason {
        let killed = || ExitReason::new(ExitKind::Killed, "killed");
        self.reason.get().map_or_else(killed, |reason| (**reason).clone())
    }
}

/// The time, which may be some milliseconds ago: to ask for no more takes a third as long.
fn about_now() -> SystemTime {
    #[cfg(target_os = "linux")]
    {
        use std::time::Duration;
        let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        SystemTime::UNIX_EPOCH
            + Duration::new(
                time.tv_sec.try_into().unwrap_or_default(),
                time.tv_nsec.try_into().unwrap_or_default(),
            )
    }
    #[cfg(not(target_os = "linux"))]
    SystemTime::now()
}

impl Process {
    pub(crate) fn new(id: ProcessId, spec: Given, place: Place, run: Arc<Run>) -> Process {
        let meter = Meter::new(spec.limits.cpu_percent, place.account());
        Process {
            id,
            started_at: about_now(),
            mailbox: Mailbox::new(spec.limits.mailbox_signals, spec.limits.mailbox_bytes),
            ties: Mutex::new(None),
            is_over: AtomicBool::new(false),
            traps_exits: AtomicBool::new(false),
            names: Named::new(spec.name.clone()),
            log: Log::default(),
            runs: Mutex::new(Runs {
                current: run,
                before: None,
                wanted: None,
                place: Some(place),
                end: None,
            }),
            history: Mutex::default(),
            change: Change::default(),
            state: AtomicU8::new(State::Starting as u8),
            has_started: AtomicBool::new(false),
            is_restarting: AtomicBool::new(false),
            slice: Slice::new(meter),
            lane: AtomicU8::new(Lane::Fiber as u8),
            memory_bytes: AtomicU64::new(0),
            seen: Seen::default(),
            received: AtomicU64::new(0),
            spawned: OnceLock::new(),
            reached: Reached::default(),
            kill: Kill::default(),
            has_ended: AtomicBool::new(false),
            changed: Notify::new(),
            spec,
        }
    }

    pub(crate) fn kill(&self, reason: ExitReason) {
        // The first reason counts.
        let _ = self.kill.reason.set(Box::new(reason));
        self.kill.asked.store(true, Release);
        self.look_around();
    }

    /// Resolves when it has started, or has ended before.
    pub(crate) async fn starts(&self) -> Result<(), ExitReason> {
        loop {
            let changed = self.changed.notified();
            // Before it is looked at whether it has started: it may start and end in between.
            let end = self.end();
            if self.has_started.load(Acquire) {
                return Ok(());
            }
            if let Some(reason) = end {
                return Err(reason);
            }
            changed.await;
        }
    }

    /// Why it has ended, once it has.
    fn end(&self) -> Option<ExitReason> {
        self.has_ended.load(Acquire).then(|| ExitReason::or_plain(self.runs.lock().end.as_ref()).clone())
    }

    /// The end may be told.
    pub(crate) fn tell_end(&self) {
        self.has_ended.store(true, Release);
        self.changed.notify_waiters();
    }

    /// Resolves when it has ended.
    pub(crate) async fn ends(&self) -> ExitReason {
        loop {
            let changed = self.changed.notified();
            if let Some(reason) = self.end() {
                return reason;
            }
            changed.await;
        }
    }

    /// It has a turn. What is starting still is.
    pub(crate) fn runs_now(&self) {
        if self.state.load(Relaxed) >= State::Parked as u8 {
            self.state.store(State::Running as u8, Relaxed);
        }
    }

    /// Whoever runs it, or finds it parked, looks whether it is to end or to have other code.
    pub(crate) fn look_around(&self) {
        self.kill.waker.wake();
        self.mailbox.poke();
    }

    /// What runs as it now.
    pub(crate) fn current(&self) -> Arc<Run> {
        self.runs.lock().current.clone()
    }

    /// What it would be spawned from as it is now.
    pub(crate) fn spec_now(&self) -> Spec {
        let Code { program, module, origin } = self.current().code.clone();
        let Given { parent, name, args, limits } = self.spec.clone();
        Spec { program, module, origin, parent, name, args, limits }
    }

    fn state(&self) -> State {
        match self.slice.meter() {
            Some(meter) if meter.is_held_up() => State::Throttled,
            _ => State::from_number(self.state.load(Relaxed)),
        }
    }

    fn lane(&self) -> Lane {
        match self.lane.load(Relaxed) {
            _ if self.slice.in_hog_lane() => Lane::Hog,
            lane if lane == Lane::Fast as u8 => Lane::Fast,
            _ => Lane::Fiber,
        }
    }

    pub(crate) fn info(&self) -> ProcessInfo {
        let (mailbox_len, mailbox_bytes) = self.mailbox.fill();
        let run = self.current();
        let (links, monitors) = self.tie_counts();
        let timers = run.timer_count();
        ProcessInfo {
            id: self.id,
            names: self.names.list(),
            state: self.state(),
            lane: self.lane(),
            mailbox_len,
            mailbox_bytes,
            memory_bytes: self.memory_bytes.load(Relaxed),
            cpu_ns: self.slice.cpu_ns(),
            throttled_ns: self.slice.meter().map_or(0, Meter::held_up_ns),
            module: run.code.module,
            origin: run.code.origin,
            parent: self.spec.parent,
            started: self.started_at,
            signals_received: self.received.load(Relaxed),
            requests: run.requests.load(Relaxed) as usize,
            timers,
            links,
            monitors: monitors + run.downs.load(Relaxed) as usize,
            children: self.spawned.get().map_or(0, |spawned| spawned.alive()),
            limits: self.spec.limits,
            reached: self.reached.counts(),
        }
    }
}

/// What can be found by its id and its names.
pub(crate) trait Listed {
    fn id(&self) -> ProcessId;
    fn names(&self) -> &Named;
}

impl Listed for Process {
    fn id(&self) -> ProcessId {
        self.id
    }

    fn names(&self) -> &Named {
        &self.names
    }
}

type Shard<P> = RwLock<HashMap<u64, Arc<P>, SerialHash>>;

/// Processes by id. Split, so that senders on different threads seldom meet.
pub(crate) struct Directory<P = Process> {
    /// No other directory of this program has, or had, this number.
    pub(crate) number: u64,
    shards: Vec<Shard<P>>,
    /// How many there are. Written under the lock of a shard, so that who has seen all shards and none of them knows.
    count: AtomicUsize,
    /// Whether none comes any more. Looked at under the lock of a shard, so that who has closed it and sees all shards
    /// then has seen every one that was let in.
    is_closed: Flag,
}

#[cfg(not(hearth_loom))]
const SHARDS: usize = 32;
/// As few as can be, for each is one more place where threads may take turns.
#[cfg(hearth_loom)]
const SHARDS: usize = 2;

/// So many numbers are tried for each process of a page before all that there are are looked at: where fewer live, most of them
/// would be tried in vain.
const TRIES_FOR_EACH: usize = 8;

impl<P: Listed> Directory<P> {
    pub(crate) fn new() -> Directory<P> {
        // Not one of those that loom looks at.
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        Directory {
            number: NUMBER.fetch_add(1, Relaxed),
            shards: (0..SHARDS).map(|_| Default::default()).collect(),
            count: AtomicUsize::new(0),
            is_closed: Flag::new(false),
        }
    }

    fn shard(&self, id: ProcessId) -> &Shard<P> {
        &self.shards[id.serial() as usize % SHARDS]
    }

    pub(crate) fn get(&self, id: ProcessId) -> Option<Arc<P>> {
        self.shard(id).read().get(&id.to_bits()).cloned()
    }

    /// Calls `f` with the process, without counting a reference to it.
    pub(crate) fn with<R>(&self, id: ProcessId, f: impl FnOnce(&P) -> R) -> Option<R> {
        self.shard(id).read().get(&id.to_bits()).map(|process| f(process))
    }

    /// `false` if it is closed.
    pub(crate) fn insert(&self, process: Arc<P>) -> bool {
        let id = process.id();
        let mut shard = self.shard(id).write();
        if self.is_closed() {
            return false;
        }
        self.count.fetch_add(1, Relaxed);
        shard.insert(id.to_bits(), process);
        true
    }

    pub(crate) fn remove(&self, id: ProcessId) {
        let mut shard = self.shard(id).write();
        let removed = shard.remove(&id.to_bits());
        if removed.is_some() {
            self.count.fetch_sub(1, Relaxed);
        }
        // What it holds is not dropped under the lock.
        drop(shard);
        drop(removed);
    }

    /// Into how many parts it is split.
    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Those of one part.
    pub(crate) fn of_shard(&self, shard: usize) -> Vec<ProcessId> {
        self.shards[shard].read().keys().map(|bits| ProcessId::from_bits(*bits)).collect()
    }

    /// None comes any more.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Relaxed);
    }

    /// Whoever has removed one after [`close`](Directory::close) and [`all`](Directory::all) sees it.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Relaxed)
    }

    /// The first of those behind a process, in the order of their ids; none only if there are none.
    pub(crate) fn after(&self, after: Option<ProcessId>, most: usize) -> Vec<Arc<P>> {
        let mut after = after.map(ProcessId::to_bits);
        let mut found = Vec::new();
        // Numbers are given one after another: where most of a stretch live, this finds them without a look at all others.
        if let Some(last) = after {
            let tries = most.min(self.len()).saturating_mul(TRIES_FOR_EACH) as u64;
            for id in (last..=last.saturating_add(tries)).skip(1) {
                if found.len() == most {
                    return found;
                }
                found.extend(self.get(ProcessId::from_bits(id)));
                after = Some(id);
            }
        }
        while found.len() < most {
            let ids = self.ids_after(after, most - found.len());
            let Some(last) = ids.last() else { break };
            after = Some(*last);
            found.extend(ids.iter().filter_map(|id| self.get(ProcessId::from_bits(*id))));
            // All of them may have ended meanwhile.
            if !found.is_empty() {
                break;
            }
        }
        found
    }

    /// The lowest ids behind this one, in order. It looks at all, and keeps so many.
    fn ids_after(&self, after: Option<u64>, most: usize) -> Vec<u64> {
        let mut lowest = BinaryHeap::new();
        for shard in &self.shards {
            for id in shard.read().keys().filter(|id| after.is_none_or(|after| **id > after)) {
                if lowest.len() < most {
                    lowest.push(*id);
                } else if let Some(mut highest) = lowest.peek_mut().filter(|highest| **highest > *id) {
                    *highest = *id;
                }
            }
        }
        lowest.into_sorted_vec()
    }

    pub(crate) fn all(&self) -> Vec<Arc<P>> {
        let mut all: Vec<_> =
            self.shards.iter().flat_map(|shard| shard.read().values().cloned().collect::<Vec<_>>()).collect();
        all.sort_unstable_by_key(|process| process.id());
        all
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Relaxed)
    }
}

impl Directory {
    /// Those that are linked or monitored, or monitor.
    pub(crate) fn tied(&self) -> Vec<Arc<Process>> {
        let mut tied = Vec::new();
        for shard in &self.shards {
            // The ties are taken inside the shard's lock, which nobody takes while holding ties for long.
            let shard = shard.read();
            tied.extend(shard.values().filter(|process| process.ties.lock().is_some()).cloned());
        }
        tied.sort_unstable_by_key(|process| process.id);
        tied
    }
}

/// Serial numbers are given by the host and are spread already; one multiplication fills the high bits.
#[derive(Clone, Copy, Default)]
pub(crate) struct SerialHash;

pub(crate) struct SerialHasher(u64);

impl std::hash::BuildHasher for SerialHash {
    type Hasher = SerialHasher;
    fn build_hasher(&self) -> SerialHasher {
        SerialHasher(0)
    }
}

impl std::hash::Hasher for SerialHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = (number / SHARDS as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[cfg(all(test, not(hearth_loom)))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// What is a process to the directory.
    struct One(ProcessId, Named);

    impl Listed for One {
        fn id(&self) -> ProcessId {
            self.0
        }

        fn names(&self) -> &Named {
            &self.1
        }
    }

    fn id(serial: u64) -> ProcessId {
        ProcessId::new(PeerId::SERVER, serial).unwrap()
    }

    fn of(serials: impl IntoIterator<Item = u64>) -> Directory<One> {
        let directory = Directory::new();
        for serial in serials {
            assert!(directory.insert(Arc::new(One(id(serial), Named::new(None)))));
        }
        directory
    }

    /// All of them, by pages of so many.
    fn pages(directory: &Directory<One>, most: usize) -> Vec<u64> {
        let mut all: Vec<u64> = Vec::new();
        loop {
            let page = directory.after(all.last().copied().map(id), most);
            assert!(page.len() <= most);
            if page.is_empty() {
                return all;
            }
            all.extend(page.iter().map(|one| one.0.serial()));
        }
    }

    #[test]
    fn pages_have_all_in_order() {
        let dense = Vec::from_iter(1..500);
        let sparse = Vec::from_iter((1..300).map(|n| n * n * n));
        // Some live, then hardly any, then many again.
        let mixed = Vec::from_iter((1..40).chain((1..20).map(|n| n * 100)).chain(5000..5100));
        for serials in [vec![], vec![7], dense, sparse, mixed] {
            for most in [1, 2, 7, 64, 10_000] {
                assert_eq!(pages(&of(serials.iter().rev().copied()), most), serials, "by {most}");
            }
        }
        let directory = of([3, 5, ProcessId::SERIAL_MAX]);
        for (after, expect) in [(0, 3), (3, 5), (4, 5), (5, ProcessId::SERIAL_MAX)] {
            assert_eq!(directory.after(Some(id(after)), 1)[0].0, id(expect), "behind {after}");
        }
        let last = ProcessId::from_bits(u64::MAX);
        assert!(directory.after(Some(last), usize::MAX).is_empty());
    }
}
