// SPDX-License-Identifier: AGPL-3.0-or-later
//! Links and monitors, and the signals that they make, as OTP defines them.
//!
//! Each process has its own half of every link and monitor. A link between two processes of this peer is
//! made and taken away in both halves at once. Between peers each keeps its half, and tells the other by
//! [`Tie`]s, which arrive in order, or else [`Processes::peers_gone`] is called: the two halves agree as
//! soon as what is under way has arrived.
//!
//! **Locks.** A thread holds the ties of at most two processes, and takes those of the lower id first.
//! While it holds them it takes no lock but those behind a mailbox (the gate of a run, the mailbox) and
//! calls the host for nothing but to tell another peer of what it notes. Whoever ends takes its own ties out and then
//! looks at the others, one at a time: the signal goes to those that still are tied, so that each gets one, and
//! gets none once it has untied.
//!
//! **What is noted and what is told** are one, under the lock. Else [`Processes::peers_gone`] could break what is noted
//! before it is told, and it would be told on the peer's next way, where it has no other half. Only what is said of a
//! monitor that is no more, or by one who has ended, may be late: no later tie is meant by it.
//!
//! **Bounds.** [`Limits::links`](crate::Limits) and [`Limits::monitors`](crate::Limits) count what is tied and what has come of
//! it and was not taken: so each tie has a place in the mailbox for its signal, and none is lost.
//!
//! A process may be tied to one that it has asked for before it knows of it: see `unclaimed`.

use crate::{
    Body, Context, ExitKind, ExitReason, Level, Processes, SendError, Signal, outbox, record::Process,
    run::Run, table::Inner, unclaimed::Wish,
};
use hearth_abi::{
    Errno, PeerId, ProcessId,
    signal::{EXIT_OF_LINK, Header, Kind},
};
use parking_lot::MutexGuard;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::Ordering::{Acquire, Relaxed, Release},
    },
};

/// Most monitors on one process. Against a flood of them by others, who get [`Errno::Limit`].
pub(crate) const WATCHERS_MAX: usize = 65_536;
/// Most links to one process that were taken away and of which its peer has not heard yet.
const UNLINKS_MAX: u32 = 64;

/// What two peers tell each other of links and monitors between their processes, from one of these
/// to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tie {
    /// They are linked.
    Link,
    /// They are linked no longer. It is answered by [`Tie::Unlinked`].
    Unlink,
    /// The other has heard of [`Tie::Unlink`]: what it says of links now is newer.
    Unlinked,
    /// The sender monitors the receiver, under this number of its own.
    Monitor(u64),
    /// It does so no longer.
    Demonitor(u64),
    /// The sender has ended, or cannot be linked, and is linked no longer.
    Exit(ExitReason),
    /// The sender has ended, or cannot be monitored: what the receiver's monitor of this number waits for.
    Down(u64, ExitReason),
}

/// How a new process is tied to the one that spawns it, before it runs.
pub struct Bond(Bound);

enum Bound {
    Link(Context),
    /// By this tag.
    Monitor(Context, u64),
    /// To be claimed by a process that does not know of it yet, and has asked by a call of this number.
    Asked(ProcessId, Wish, Option<u64>),
}

impl Bond {
    /// The new process is to be claimed by one, of this or another peer, that has asked for it and wishes to be tied to
    /// it in this way: however soon it ends, that one learns the reason when it claims it. Most are claimed as soon as the
    /// answer has arrived; after [`Config::claim_time_max`](crate::Config) it is given up.
    pub fn asked(by: ProcessId, wish: Wish) -> Bond {
        Bond(Bound::Asked(by, wish, None))
    }

    /// The same, of one of another peer that has asked by a call of this number: see [`Processes::forsake_call`].
    pub fn asked_by_call(by: ProcessId, wish: Wish, call: u64) -> Bond {
        Bond(Bound::Asked(by, wish, Some(call)))
    }
}

/// What ties a process to others: for those who look whether anything is left over, tests above all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TiesInfo {
    /// Whom it is linked with.
    pub links: Vec<ProcessId>,
    /// Whom it is linked with no longer, and whose peer has not said yet that it knows.
    pub unlinking: Vec<ProcessId>,
    /// Monitors that it has made, by its number of each: whom.
    pub watching: Vec<(u64, ProcessId)>,
    /// Monitors on it: whose, and that process's number of each.
    pub watchers: Vec<(ProcessId, u64)>,
    /// Exit signals of links that it has not taken.
    pub exits: usize,
    /// Signals of its monitors that the code that runs has not taken.
    pub downs: usize,
    /// Links and monitors of processes that it has asked for, and of which it has no answer yet.
    pub reserved: usize,
}

/// What ties one process to others; made when there is something to keep.
#[derive(Default)]
pub(crate) struct Tied {
    pub(crate) links: BTreeMap<ProcessId, Link>,
    /// Exit signals of links that were not taken.
    pub(crate) exits: usize,
    /// Monitors that it has made, by number.
    pub(crate) watching: BTreeMap<u64, Watch>,
    /// Their numbers, by the guest's tag and the code that gave it.
    pub(crate) by_tag: BTreeMap<(u64, usize), u64>,
    /// Monitors on it: whose, and that process's number of it.
    pub(crate) watchers: BTreeSet<(ProcessId, u64)>,
    /// Links with processes that it has asked for: a number of each, and the code that asked.
    pub(crate) reserved: BTreeMap<u64, usize>,
    /// The process that it was spawned for and that has not claimed it, as far as it knows: `unclaimed` has the truth.
    pub(crate) unclaimed_by: Option<ProcessId>,
    /// Why it has ended, for those whom it has asked for.
    pub(crate) ended: Option<Arc<ExitReason>>,
    pub(crate) last_number: u64,
}

/// One half of a link.
#[derive(Default)]
pub(crate) struct Link {
    pub(crate) is_linked: bool,
    /// How often the other peer was told that it is no longer and has not said that it knows. What it
    /// says of a link meanwhile is older, and not meant any more.
    pub(crate) unlinks: u32,
}

pub(crate) struct Watch {
    /// `None`: one that was asked for and is not known yet.
    pub(crate) of: Option<ProcessId>,
    /// The code that made it: with that it goes.
    run: Arc<Run>,
    tag: u64,
}

pub(crate) type Ties<'a> = MutexGuard<'a, Option<Box<Tied>>>;

/// What became of a wish to be tied. What is not made is noted all the same, so that its signal has its place.
#[derive(PartialEq, Eq)]
enum Made {
    Done,
    /// There is no such process, or it is not to be reached.
    Not(SendError),
}

/// Why a process that cannot be tied to cannot.
pub(crate) fn no_such(error: SendError) -> ExitReason {
    let is_here = error == SendError::NotFound;
    ExitReason::of_kind(if is_here { ExitKind::NoProcess } else { ExitKind::NoConnection })
}

pub(crate) fn key(run: &Run) -> usize {
    std::ptr::from_ref(run) as usize
}

impl Tied {
    /// A link is none any more. Whether there was one.
    pub(crate) fn break_link(&mut self, who: ProcessId) -> bool {
        let Some(link) = self.links.get_mut(&who) else { return false };
        let was_linked = std::mem::replace(&mut link.is_linked, false);
        if link.unlinks == 0 {
            self.links.remove(&who);
        }
        was_linked
    }

    /// The other peer knows of an unlink.
    pub(crate) fn unlink_known(&mut self, who: ProcessId) {
        let Some(link) = self.links.get_mut(&who) else { return };
        link.unlinks = link.unlinks.saturating_sub(1);
        if link.unlinks == 0 && !link.is_linked {
            self.links.remove(&who);
        }
    }

    fn link_count(&self) -> usize {
        self.links.len() + self.exits + self.reserved.len()
    }

    pub(crate) fn has_room_for_link(&self, process: &Process) -> bool {
        self.link_count() < process.spec.limits.links
    }

    /// Whether there may be one more monitor, by this tag of this code.
    pub(crate) fn may_watch(&self, process: &Process, run: &Arc<Run>, tag: u64) -> Result<(), Errno> {
        if self.by_tag.contains_key(&(tag, key(run))) {
            return Err(Errno::Taken);
        }
        if self.watching.len() + run.downs.load(Relaxed) as usize >= process.spec.limits.monitors {
            return Err(Errno::Limit);
        }
        Ok(())
    }

    pub(crate) fn watch(&mut self, of: Option<ProcessId>, run: &Arc<Run>, tag: u64) -> u64 {
        self.last_number += 1;
        self.watching.insert(self.last_number, Watch { of, run: run.clone(), tag });
        self.by_tag.insert((tag, key(run)), self.last_number);
        self.last_number
    }

    pub(crate) fn unwatch(&mut self, number: u64) -> Option<Watch> {
        let watch = self.watching.remove(&number)?;
        self.by_tag.remove(&(watch.tag, key(&watch.run)));
        Some(watch)
    }
}

impl Process {
    /// Its ties, if it has not ended.
    pub(crate) fn ties(&self) -> Option<Ties<'_>> {
        let ties = self.ties.lock();
        // Written under this lock.
        (!self.is_over.load(Relaxed)).then_some(ties)
    }

    /// The ties of two processes, in the order of the arguments.
    pub(crate) fn both<'a>(&'a self, other: &'a Process) -> (Option<Ties<'a>>, Option<Ties<'a>>) {
        if self.id < other.id {
            let mine = self.ties();
            (mine, other.ties())
        } else {
            let theirs = other.ties();
            (self.ties(), theirs)
        }
    }

    /// An exit signal of a link was taken, or the place that it had is free for another reason.
    pub(crate) fn exit_taken(&self) {
        if let Some(tied) = self.ties.lock().as_mut() {
            tied.exits = tied.exits.saturating_sub(1);
        }
    }

    /// Exit signals of links that were taken are back in the mailbox.
    pub(crate) fn exits_are_back(&self, signals: &[Signal]) {
        let back = signals.iter().filter(|signal| signal.is_exit_of_link()).count();
        if back > 0
            && let Some(mut ties) = self.ties()
        {
            ties.get_or_insert_default().exits += back;
        }
    }

    /// Whom it is linked to.
    pub(crate) fn links(&self) -> Vec<ProcessId> {
        let ties = self.ties.lock();
        let links = ties.iter().flat_map(|tied| &tied.links);
        links.filter(|(_, link)| link.is_linked).map(|(id, _)| *id).collect()
    }

    fn ties_info(&self) -> TiesInfo {
        let downs = self.current().downs.load(Relaxed) as usize;
        let ties = self.ties.lock();
        let Some(tied) = ties.as_ref() else { return TiesInfo { downs, ..TiesInfo::default() } };
        let links = |which: fn(&Link) -> bool| {
            tied.links.iter().filter(|(_, link)| which(link)).map(|(id, _)| *id).collect()
        };
        TiesInfo {
            links: links(|link| link.is_linked),
            unlinking: links(|link| link.unlinks > 0),
            watching: tied.watching.iter().filter_map(|(number, watch)| Some((*number, watch.of?))).collect(),
            watchers: tied.watchers.iter().copied().collect(),
            exits: tied.exits,
            downs,
            reserved: tied.reserved.len() + tied.watching.values().filter(|watch| watch.of.is_none()).count(),
        }
    }

    /// How many links and monitors it has, as the limits count them but for the downs of a run.
    pub(crate) fn tie_counts(&self) -> (usize, usize) {
        let ties = self.ties.lock();
        ties.as_ref().map_or((0, 0), |tied| (tied.link_count(), tied.watching.len()))
    }

    /// A process to which this one is linked has ended.
    pub(crate) fn link_broke(&self, from: ProcessId, reason: &ExitReason) {
        let Some(mut ties) = self.ties() else { return };
        let Some(tied) = ties.as_mut() else { return };
        if !tied.break_link(from) {
            return;
        }
        // Under the lock: whoever has taken the link away gets no signal of it afterwards.
        if self.traps_exits.load(Acquire) {
            tied.exits += 1;
            let header = Header { kind: Kind::Exit, status: 0, from: from.to_bits(), tag: EXIT_OF_LINK };
            // It fails only if the process has just ended.
            let _ = self.mailbox.push(Signal { header, body: reason.encode().into() });
        } else if !reason.is_normal() {
            drop(ties);
            self.end_with(from, reason);
        }
    }

    /// It ends, because another has ended or asks it to.
    fn end_with(&self, from: ProcessId, reason: &ExitReason) {
        if !self.kill.asked.load(Acquire) && from != self.id {
            let text = format!("ends with process {from}");
            self.log.write_host(&self.spec.limits, Level::Info, "host", &text);
        }
        self.kill(ExitReason { backtrace: None, ..reason.clone() });
    }

    /// What it monitors has ended.
    pub(crate) fn went_down(&self, from: ProcessId, number: u64, reason: &ExitReason) {
        let Some(mut ties) = self.ties() else { return };
        let Some(tied) = ties.as_mut() else { return };
        if tied.watching.get(&number).is_none_or(|watch| watch.of != Some(from)) {
            return;
        }
        let Some(watch) = tied.unwatch(number) else { return };
        watch.run.downs.fetch_add(1, Relaxed);
        let header = Header { kind: Kind::Down, status: 0, from: from.to_bits(), tag: watch.tag };
        // Under the lock, as above.
        watch.run.deliver(self, Signal { header, body: reason.encode().into() });
    }

    pub(crate) fn unwatched(&self, by: ProcessId, number: u64) {
        if let Some(mut ties) = self.ties()
            && let Some(tied) = ties.as_mut()
        {
            tied.watchers.remove(&(by, number));
        }
    }
}

impl Inner {
    pub(crate) fn is_here(&self, id: ProcessId) -> bool {
        id.peer() == self.peer
    }

    /// Tells a process, wherever it is, what its half of a tie is to know.
    fn tell(&self, from: ProcessId, to: ProcessId, tie: Tie) -> Result<(), SendError> {
        if !self.is_here(to) {
            return self.host.tie_remote(from, to, tie);
        }
        let process = self.directory.get(to).ok_or(SendError::NotFound)?;
        match tie {
            Tie::Exit(reason) => process.link_broke(from, &reason),
            Tie::Down(number, reason) => process.went_down(from, number, &reason),
            Tie::Demonitor(number) => process.unwatched(from, number),
            // Between processes of one peer both halves are made at once.
            Tie::Link | Tie::Unlink | Tie::Unlinked | Tie::Monitor(_) => {}
        }
        Ok(())
    }

    fn link(&self, process: &Process, who: ProcessId) -> Result<(), Errno> {
        if who == process.id {
            return Ok(());
        }
        let made = self.make_link(process, who).inspect_err(|errno| {
            // Told when its ties are not held any more.
            if *errno == Errno::Limit {
                self.links_full(process, Some(who));
            }
        })?;
        if let Made::Not(error) = made {
            process.link_broke(who, &no_such(error));
        }
        Ok(())
    }

    fn make_link(&self, process: &Process, who: ProcessId) -> Result<Made, Errno> {
        let other = if self.is_here(who) { self.directory.get(who) } else { None };
        let (mine, theirs) = match &other {
            Some(other) => process.both(other),
            None => (process.ties(), None),
        };
        // A process that has ended asks for nothing.
        let Some(mut mine) = mine else { return Ok(Made::Done) };
        let mine = mine.get_or_insert_default();
        let is_known = mine.links.contains_key(&who);
        if mine.links.get(&who).is_some_and(|link| link.is_linked) && self.is_here(who) {
            return Ok(Made::Done);
        }
        if !is_known && !mine.has_room_for_link(process) {
            return Err(Errno::Limit);
        }
        if self.has_unclaimed_link(process, mine, who) {
            mine.links.entry(who).or_default().is_linked = true;
            return Ok(Made::Done);
        }
        if !self.is_here(who) {
            let link = mine.links.entry(who).or_default();
            if link.unlinks >= UNLINKS_MAX {
                return Err(Errno::Full);
            }
            let is_new = !std::mem::replace(&mut link.is_linked, true);
            return match self.host.tie_remote(process.id, who, Tie::Link) {
                Ok(()) => Ok(Made::Done),
                Err(SendError::Full) => {
                    if is_new {
                        mine.break_link(who);
                    }
                    Err(Errno::Full)
                }
                Err(error) => Ok(Made::Not(error)),
            };
        }
        let (Some(other), Some(mut theirs)) = (other.as_ref(), theirs) else {
            mine.links.entry(who).or_default().is_linked = true;
            return Ok(Made::Not(SendError::NotFound));
        };
        let theirs = theirs.get_or_insert_default();
        if !theirs.has_room_for_link(other) {
            return Err(Errno::Limit);
        }
        mine.links.entry(who).or_default().is_linked = true;
        theirs.links.entry(process.id).or_default().is_linked = true;
        Ok(Made::Done)
    }

    fn unlink(&self, process: &Process, who: ProcessId) {
        let other = if self.is_here(who) { self.directory.get(who) } else { None };
        let (mine, theirs) = match &other {
            Some(other) if other.id != process.id => process.both(other),
            _ => (process.ties(), None),
        };
        let Some(mut mine) = mine else { return };
        let Some(mine) = mine.as_mut() else { return };
        if self.has_unclaimed_link(process, mine, who) {
            // The other has no half, but if it has linked itself before it has its answer. If it makes it, it is told.
            mine.links.remove(&who);
            if let Some(mut theirs) = theirs
                && let Some(tied) = theirs.as_mut()
            {
                tied.links.remove(&process.id);
            }
            return;
        }
        let Some(link) = mine.links.get_mut(&who).filter(|link| link.is_linked) else { return };
        if self.is_here(who) {
            mine.links.remove(&who);
            if let Some(mut theirs) = theirs
                && let Some(tied) = theirs.as_mut()
            {
                tied.links.remove(&process.id);
            }
            return;
        }
        link.is_linked = false;
        link.unlinks += 1;
        if self.host.tie_remote(process.id, who, Tie::Unlink).is_err() {
            // The other knows, or will learn, that this peer is not to be reached.
            mine.unlink_known(who);
        }
    }

    fn monitor(&self, process: &Process, run: &Arc<Run>, who: ProcessId, tag: u64) -> Result<(), Errno> {
        let made = self.make_monitor(process, run, who, tag);
        if matches!(made, Err(Errno::Limit)) {
            self.monitors_full(process, run);
        }
        if let Some((number, Made::Not(error))) = made? {
            process.went_down(who, number, &no_such(error));
        }
        Ok(())
    }

    /// Notes a monitor on both sides: its number, and what became of it. `None` if the process has ended.
    fn make_monitor(
        &self,
        process: &Process,
        run: &Arc<Run>,
        who: ProcessId,
        tag: u64,
    ) -> Result<Option<(u64, Made)>, Errno> {
        // A process that monitors itself hears nothing of it, but may take it away.
        let is_self = who == process.id;
        let other = if self.is_here(who) && !is_self { self.directory.get(who) } else { None };
        let (mine, theirs) = match &other {
            Some(other) => process.both(other),
            None => (process.ties(), None),
        };
        let Some(mut mine) = mine else { return Ok(None) };
        let mine = mine.get_or_insert_default();
        mine.may_watch(process, run, tag)?;
        let Some(mut theirs) = theirs else {
            let number = mine.watch(Some(who), run, tag);
            let told = match is_self {
                true => Ok(()),
                false if self.is_here(who) => Err(SendError::NotFound),
                false => self.host.tie_remote(process.id, who, Tie::Monitor(number)),
            };
            return match told {
                Ok(()) => Ok(Some((number, Made::Done))),
                Err(SendError::Full) => {
                    mine.unwatch(number);
                    Err(Errno::Full)
                }
                Err(error) => Ok(Some((number, Made::Not(error)))),
            };
        };
        let theirs = theirs.get_or_insert_default();
        if theirs.watchers.len() >= WATCHERS_MAX {
            return Err(Errno::Limit);
        }
        let number = mine.watch(Some(who), run, tag);
        theirs.watchers.insert((process.id, number));
        Ok(Some((number, Made::Done)))
    }

    fn demonitor(&self, process: &Process, run: &Arc<Run>, tag: u64) -> Result<(), Errno> {
        let Some(watch) = process.ties().and_then(|mut ties| {
            let tied = ties.as_mut()?;
            let number = *tied.by_tag.get(&(tag, key(run)))?;
            tied.unwatch(number).map(|watch| (number, watch.of))
        }) else {
            return Err(Errno::NotFound);
        };
        // One that was only asked for is told when it is known.
        if let (number, Some(of)) = watch {
            // Who is not there any more needs no telling.
            let _ = self.tell(process.id, of, Tie::Demonitor(number));
        }
        Ok(())
    }

    /// Takes away the monitors that a piece of code has made, which runs no longer.
    pub(crate) fn demonitor_all(&self, process: &Process, run: &Run) {
        let mut gone = Vec::new();
        if let Some(mut ties) = process.ties()
            && let Some(tied) = ties.as_mut()
        {
            let of_run = |watch: &Watch| std::ptr::eq(Arc::as_ptr(&watch.run), run);
            let numbers: Vec<u64> =
                tied.watching.iter().filter(|(_, watch)| of_run(watch)).map(|(number, _)| *number).collect();
            gone.extend(numbers.into_iter().filter_map(|number| Some((number, tied.unwatch(number)?.of?))));
        }
        for (number, of) in gone {
            let _ = self.tell(process.id, of, Tie::Demonitor(number));
        }
    }

    /// Takes away the links that a process has made since it had these, and those that this code has asked for.
    pub(crate) fn unlink_new(&self, process: &Process, run: &Run, had: &[ProcessId]) {
        if let Some(mut ties) = process.ties()
            && let Some(tied) = ties.as_mut()
        {
            tied.reserved.retain(|_, by| *by != key(run));
        }
        for id in process.links() {
            if !had.contains(&id) {
                self.unlink(process, id);
            }
        }
    }

    /// Asks a process of this peer to end, as OTP's `exit/2` does.
    pub(crate) fn exit_here(
        &self,
        from: Option<ProcessId>,
        who: ProcessId,
        reason: &ExitReason,
    ) -> Result<(), SendError> {
        let process = self.directory.get(who).ok_or(SendError::NotFound)?;
        let sender = from.unwrap_or(ProcessId::from_bits(0));
        if reason.kind == ExitKind::Kill {
            let is_bare = reason.text.is_empty() || reason.text == ExitKind::Kill.name();
            let text = if is_bare { ExitKind::Killed.name() } else { &reason.text };
            process.kill(ExitReason {
                data: reason.data.clone(),
                ..ExitReason::new(ExitKind::Killed, text.to_owned())
            });
        } else if process.traps_exits.load(Acquire) {
            let header = Header { kind: Kind::Exit, status: 0, from: sender.to_bits(), tag: 0 };
            let signal = Signal { header, body: reason.encode().into() };
            let pushed = process.mailbox.push(signal);
            if pushed == Err(SendError::Full) {
                self.mailbox_full(who);
            }
            return pushed;
        } else if !reason.is_normal() || from == Some(who) {
            process.end_with(sender, reason);
        }
        Ok(())
    }

    /// Who starts another when this process ends: the one that spawned it, if it is linked with it and is told of exits. Of
    /// one on another peer it is not known whether it is told, and taken to be so.
    pub(crate) fn supervisor(&self, process: &Process) -> Option<ProcessId> {
        let parent = process.spec.parent.filter(|parent| process.links().contains(parent))?;
        let is_told = !self.is_here(parent)
            || self.directory.get(parent).is_some_and(|by| by.traps_exits.load(Acquire));
        is_told.then_some(parent)
    }

    /// Ties a process that does not run yet to the one that spawns it.
    pub(crate) fn bind(&self, bond: &Bond, new: &Arc<Process>) -> Result<(), Errno> {
        match &bond.0 {
            Bound::Link(of) => self.link(&of.process, new.id),
            Bound::Monitor(of, tag) => self.monitor(&of.process, &of.run, new.id, *tag),
            Bound::Asked(by, wish, call) => self.expect_claim(new, *by, *wish, *call),
        }
    }

    /// Tells all who were tied to a process that it has ended.
    pub(crate) fn untie(&self, id: ProcessId, tied: &Tied, reason: &ExitReason) {
        let reason = ExitReason { backtrace: None, ..reason.clone() };
        let linked = tied.links.iter().filter(|(_, link)| link.is_linked).map(|(who, _)| *who);
        let exits = linked.map(|who| (who, Tie::Exit(reason.clone())));
        let downs = tied.watchers.iter().map(|(who, number)| (*who, Tie::Down(*number, reason.clone())));
        let of = |(number, watch): (&u64, &Watch)| Some((watch.of?, Tie::Demonitor(*number)));
        let watched = tied.watching.iter().filter_map(of);
        for (who, tie) in exits.chain(downs).chain(watched) {
            // Who has ended meanwhile, or is not to be reached, is told otherwise or not at all.
            let _ = self.tell(id, who, tie);
        }
    }

    /// What the other half of a tie, on another peer, says.
    fn tie(&self, from: ProcessId, to: ProcessId, tie: Tie) {
        let process = self.directory.get(to);
        match tie {
            Tie::Link if self.is_claimed(process.as_deref(), to, from, Wish::Link) => {}
            Tie::Link => {
                let linked =
                    process.as_ref().map_or(Err(ExitKind::NoProcess), |process| process.linked(from));
                if let (Some(process), Err(ExitKind::Limit)) = (&process, linked) {
                    self.links_full(process, None);
                }
                if let Err(kind) = linked {
                    let _ = self.host.tie_remote(to, from, Tie::Exit(ExitReason::of_kind(kind)));
                }
            }
            Tie::Unlink => {
                self.unclaimed.take(to, from, Wish::Link);
                if let Some(mut ties) = process.as_ref().and_then(|process| process.ties())
                    && let Some(tied) = ties.as_mut()
                {
                    tied.break_link(from);
                }
                let _ = self.host.tie_remote(to, from, Tie::Unlinked);
            }
            Tie::Unlinked => {
                if let Some(mut ties) = process.as_ref().and_then(|process| process.ties())
                    && let Some(tied) = ties.as_mut()
                {
                    tied.unlink_known(from);
                }
            }
            Tie::Monitor(number) if self.is_claimed(process.as_deref(), to, from, Wish::Monitor(number)) => {}
            Tie::Monitor(number) => {
                let watched =
                    process.map_or(Err(ExitKind::NoProcess), |process| process.watched(from, number));
                if let Err(kind) = watched {
                    let reason = ExitReason::of_kind(kind);
                    let _ = self.host.tie_remote(to, from, Tie::Down(number, reason));
                }
            }
            Tie::Demonitor(number) => {
                self.unclaimed.take(to, from, Wish::Monitor(number));
                let _ = self.tell(from, to, tie);
            }
            Tie::Exit(_) => {
                self.unclaimed.take(to, from, Wish::Link);
                let _ = self.tell(from, to, tie);
            }
            Tie::Down(..) => {
                let _ = self.tell(from, to, tie);
            }
        }
    }

    /// Breaks all ties to processes of peers that are not to be reached any more.
    fn peers_gone(&self, is_gone: &dyn Fn(PeerId) -> bool) {
        self.unclaimed.peers_gone(is_gone);
        for process in self.directory.tied() {
            let (mut links, mut watches) = (Vec::new(), Vec::new());
            if let Some(mut ties) = process.ties()
                && let Some(tied) = ties.as_mut()
            {
                tied.watchers.retain(|(who, _)| !is_gone(who.peer()));
                // Nobody will say any more that it knows.
                tied.links.retain(|who, link| link.is_linked || !is_gone(who.peer()));
                for (who, link) in tied.links.iter_mut().filter(|(who, _)| is_gone(who.peer())) {
                    link.unlinks = 0;
                    links.push(*who);
                }
                let of = tied.watching.iter().filter_map(|(number, watch)| Some((*number, watch.of?)));
                watches.extend(of.filter(|(_, of)| is_gone(of.peer())));
            }
            let reason = ExitReason::of_kind(ExitKind::NoConnection);
            links.into_iter().for_each(|who| process.link_broke(who, &reason));
            watches.into_iter().for_each(|(number, of)| process.went_down(of, number, &reason));
        }
    }
}

impl Process {
    /// A process of another peer has linked itself to this one.
    fn linked(&self, to: ProcessId) -> Result<(), ExitKind> {
        let mut ties = self.ties().ok_or(ExitKind::NoProcess)?;
        let tied = ties.get_or_insert_default();
        if !tied.links.contains_key(&to) && !tied.has_room_for_link(self) {
            return Err(ExitKind::Limit);
        }
        let link = tied.links.entry(to).or_default();
        // Said before the other knew that this one does not want it.
        if link.unlinks == 0 {
            link.is_linked = true;
        }
        Ok(())
    }

    /// A process of another peer monitors this one.
    fn watched(&self, by: ProcessId, number: u64) -> Result<(), ExitKind> {
        let mut ties = self.ties().ok_or(ExitKind::NoProcess)?;
        let tied = ties.get_or_insert_default();
        if tied.watchers.len() >= WATCHERS_MAX {
            return Err(ExitKind::Limit);
        }
        tied.watchers.insert((by, number));
        Ok(())
    }
}

impl Context {
    /// Links the process with another, wherever it runs: when one ends, the other gets an exit signal
    /// with its reason. Without effect if they are linked already, or are the same. If there is no such
    /// process the exit signal comes at once, with the reason `noproc`, or `noconnection` if its peer
    /// is not to be reached.
    ///
    /// # Errors
    /// [`Errno::Limit`] if one of the two (the other only on this peer) has as many links as it may;
    /// [`Errno::Full`] if the way to the other peer is.
    pub fn link(&self, who: ProcessId) -> Result<(), Errno> {
        self.table.link(&self.process, who)
    }

    /// Takes a link away. Afterwards no exit signal of it comes; one may be in the mailbox already.
    pub fn unlink(&self, who: ProcessId) {
        self.table.unlink(&self.process, who);
    }

    /// Monitors a process, wherever it runs: when it ends, a signal of kind `down` with this tag and its
    /// reason comes, once; at once if there is no such process (`noproc`) or its peer is not to be
    /// reached (`noconnection`). Each call makes a monitor of its own.
    ///
    /// # Errors
    /// [`Errno::Taken`] if a monitor has this tag; [`Errno::Limit`] if there are as many as there may be;
    /// [`Errno::Full`] if the way to the other peer is.
    pub fn monitor(&self, who: ProcessId, tag: u64) -> Result<(), Errno> {
        self.table.monitor(&self.process, &self.run, who, tag)
    }

    /// Takes a monitor away. Afterwards no signal of it comes.
    ///
    /// # Errors
    /// [`Errno::NotFound`] if there is none of this tag: its signal may be in the mailbox.
    pub fn demonitor(&self, tag: u64) -> Result<(), Errno> {
        self.table.demonitor(&self.process, &self.run, tag)
    }

    /// Whether exit signals come as signals of kind `exit`, rather than end the process. Gives what was
    /// so before. It is not of the code: it stays when that is replaced.
    pub fn trap_exits(&self, on: bool) -> bool {
        // Under the lock, so that what comes of a link sees either.
        let _ties = self.process.ties.lock();
        self.process.traps_exits.swap(on, Release)
    }

    /// Whether exit signals come as signals of kind `exit`.
    pub fn traps_exits(&self) -> bool {
        self.process.traps_exits.load(Acquire)
    }

    /// Sends an exit signal to a process, wherever it runs, as if it were linked: see [`Processes::exit`].
    ///
    /// # Errors
    /// As [`Processes::exit`].
    pub fn exit_to(&self, who: ProcessId, reason: &ExitReason) -> Result<(), SendError> {
        // What it was sent before comes before.
        outbox::flush();
        self.processes().exit(Some(self.process.id), who, reason)
    }

    /// For [`Processes::spawn_tied`]: the new process is linked with this one.
    pub fn bond_of_link(&self) -> Bond {
        Bond(Bound::Link(self.clone()))
    }

    /// For [`Processes::spawn_tied`]: this process monitors the new one, by this tag.
    pub fn bond_of_monitor(&self, tag: u64) -> Bond {
        Bond(Bound::Monitor(self.clone(), tag))
    }
}

impl Processes {
    /// Sends an exit signal to a process of this or another peer. With a reason of kind
    /// [`ExitKind::Kill`] it ends, and those that are linked with it are told `killed`. With another
    /// reason a process that traps exits gets a signal of kind `exit`; one that does not ends with that
    /// reason, unless it is a normal one from another process.
    ///
    /// # Errors
    /// There is no such process here, its mailbox is full, or the way to its peer is closed or full.
    pub fn exit(
        &self,
        from: Option<ProcessId>,
        who: ProcessId,
        reason: &ExitReason,
    ) -> Result<(), SendError> {
        if who.peer() != self.0.peer {
            return self.0.host.exit_remote(from, who, reason);
        }
        self.0.exit_here(from, who, reason)
    }

    /// Lets a process of this peer monitor another, as [`Context::monitor`] does: for processes of the host.
    ///
    /// # Errors
    /// As [`Context::monitor`]; [`Errno::NotFound`] if the first has ended.
    pub fn monitor(&self, by: ProcessId, who: ProcessId, tag: u64) -> Result<(), Errno> {
        let process = self.0.directory.get(by).ok_or(Errno::NotFound)?;
        Context::new(self.0.clone(), process).monitor(who, tag)
    }

    /// Whether a process of this peer has a monitor of this tag, of which nothing has come yet. When something has, its signal
    /// may be in the mailbox still.
    pub fn is_monitoring(&self, by: ProcessId, tag: u64) -> bool {
        let has = |process: &Process| {
            let key = (tag, key(&process.current()));
            process
                .ties()
                .is_some_and(|ties| ties.as_ref().is_some_and(|tied| tied.by_tag.contains_key(&key)))
        };
        self.0.directory.get(by).is_some_and(|process| has(&process))
    }

    /// What another peer says about a link or a monitor between a process of its own and one of this peer.
    pub fn tie(&self, from: ProcessId, to: ProcessId, tie: Tie) {
        // Only what the peer of `from` may say of it.
        if from.peer() != self.0.peer && to.peer() == self.0.peer {
            self.0.tie(from, to, tie);
        }
    }

    /// These peers are not to be reached any more: what is tied to processes of theirs is told
    /// `noconnection`. Whatever they have said before is to have come in, and what they say later is new.
    pub fn peers_gone(&self, is_gone: impl Fn(PeerId) -> bool) {
        let here = self.0.peer;
        self.0.peers_gone(&|peer| peer != here && is_gone(peer));
    }

    /// What ties a process of this peer to others, if there is one.
    pub fn ties(&self, id: ProcessId) -> Option<TiesInfo> {
        self.0.directory.get(id).map(|process| process.ties_info())
    }

    /// Whom a process of this peer is linked with, if there is one.
    pub fn links(&self, id: ProcessId) -> Option<Vec<ProcessId>> {
        self.0.directory.get(id).map(|process| process.links())
    }
}

impl Signal {
    /// Whether it is the exit signal of a link, which has a place of its own in the mailbox.
    pub(crate) fn is_exit_of_link(&self) -> bool {
        self.header.kind == Kind::Exit && self.header.tag == EXIT_OF_LINK
    }

    /// The signal without what it may do without, for a mailbox that has no room for it.
    pub(crate) fn shortened(mut self) -> Signal {
        self.body = match self.header.kind {
            Kind::Exit | Kind::Down => {
                // The kind of the reason alone.
                Body::from(&[self.body.first().copied().unwrap_or_default(), 0, 0, 0][..])
            }
            _ => Body::EMPTY,
        };
        if self.header.kind == Kind::Reply {
            self.header.status = Errno::Limit.as_return();
        }
        self
    }
}
