// SPDX-License-Identifier: AGPL-3.0-or-later
//! Processes that another process has asked for, of this peer or another, and wishes to be tied to: it does not know them
//! until it has its answer, and they may have ended by then.
//!
//! The one that asks has a place for the tie from the moment it asks ([`Reserved`]), so that no limit is in the way later.
//! When the answer comes, its half of the tie is made and the answer put into its mailbox in one step, under the lock of its
//! ties: whatever comes of the tie comes behind the answer. An answer that is an error leaves nothing.
//!
//! The peer of the new process has it as *unclaimed* until the other half comes ([`Tie::Link`] or [`Tie::Monitor`] of
//! that one). If it ends before, its reason is kept for that. A linked one has its own half of the link from the
//! beginning: if the peer of the one that asked is gone, or that one has ended, it is told as by any link.
//!
//! **Bounds.** So many are unclaimed for each peer ([`UNCLAIMED_MAX`]), and no more are spawned: the one that asks gets
//! [`Errno::Limit`]. An answer may be lost with a connection that is there again in time, so that nobody claims: as soon as the
//! peer that has asked says so, or whoever knows that it is lost ([`Processes::forsake_call`]), nothing is kept, and a linked one
//! is told `noconnection`. So it is after [`Config::claim_time_max`](crate::Config), if that is not said, or in vain.

use crate::{
    Context, ExitKind, ExitReason, Processes, ReplyTo, SendError, Tie,
    record::Process,
    table::Inner,
    ties::{Tied, Ties, WATCHERS_MAX, key, no_such},
};
use hearth_abi::{Errno, PeerId, ProcessId};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::Ordering::{Acquire, Relaxed},
    },
    time::Instant,
};

/// Most processes that wait to be claimed by processes of one peer. Far more than a peer answers at a time.
const UNCLAIMED_MAX: usize = 4096;

/// Most calls that were given up before they came, of which it is remembered; of more the oldest is forgotten. Against a peer
/// that gives up what it has never asked for.
const FORSAKEN_MAX: usize = 1024;

/// How a process that is asked for is to be tied to the one that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// They are to be linked.
    Link,
    /// The one that asks is to monitor it, under this number of its own.
    Monitor(u64),
}

/// The processes of this peer that are not claimed yet, and those that have ended so.
#[derive(Default)]
pub(crate) struct Unclaimed(Mutex<State>);

#[derive(Default)]
struct State {
    entries: BTreeMap<ProcessId, Entry>,
    /// How many there are for each peer that has some.
    counts: BTreeMap<PeerId, usize>,
    /// Those that were asked for by a call: by whom, and its number.
    by_call: BTreeMap<(ProcessId, u64), ProcessId>,
    /// Calls that were given up and have not come, oldest first.
    forsaken: VecDeque<(ProcessId, u64)>,
}

struct Entry {
    by: ProcessId,
    wish: Wish,
    call: Option<u64>,
    /// When it is given up.
    until: Instant,
    /// Set under the lock of its ties, when it has ended.
    end: Option<Found>,
}

/// What the one that claims a process finds.
#[derive(Clone)]
pub(crate) enum Found {
    /// Both halves are there.
    Tied,
    /// It has taken the link away by itself.
    Unlinked,
    /// It has ended, or cannot be tied to.
    Not(Arc<ExitReason>),
}

impl Entry {
    fn key(&self) -> Option<(ProcessId, u64)> {
        Some((self.by, self.call?))
    }
}

impl State {
    fn remove(&mut self, of: ProcessId) -> Option<Entry> {
        let entry = self.entries.remove(&of)?;
        if let Some(count) = self.counts.get_mut(&entry.by.peer()) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&entry.by.peer());
            }
        }
        if let Some(key) = entry.key().filter(|key| self.by_call.get(key) == Some(&of)) {
            self.by_call.remove(&key);
        }
        Some(entry)
    }

    fn remove_if(&mut self, is_meant: impl Fn(&Entry) -> bool) -> Vec<(ProcessId, Entry)> {
        let meant: Vec<ProcessId> =
            self.entries.iter().filter(|(_, entry)| is_meant(entry)).map(|(of, _)| *of).collect();
        meant.into_iter().filter_map(|of| Some((of, self.remove(of)?))).collect()
    }
}

impl Unclaimed {
    fn add(&self, of: ProcessId, entry: Entry) -> Result<(), Errno> {
        let mut state = self.0.lock();
        let key = entry.key();
        if let Some(at) = state.forsaken.iter().position(|call| Some(*call) == key) {
            state.forsaken.remove(at);
            return Err(Errno::NoPeer);
        }
        let count = state.counts.entry(entry.by.peer()).or_default();
        if *count >= UNCLAIMED_MAX {
            return Err(Errno::Limit);
        }
        *count += 1;
        state.by_call.extend(key.map(|key| (key, of)));
        state.entries.insert(of, entry);
        Ok(())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().entries.len()
    }

    fn has(&self, of: ProcessId, wish: Wish) -> bool {
        self.0.lock().entries.get(&of).is_some_and(|entry| entry.wish == wish)
    }

    /// Takes one out that this process wished to be tied to in this way.
    pub(crate) fn take(&self, of: ProcessId, by: ProcessId, wish: Wish) -> Option<Option<Found>> {
        let mut state = self.0.lock();
        state.entries.get(&of).filter(|entry| (entry.by, entry.wish) == (by, wish))?;
        state.remove(of).map(|entry| entry.end)
    }

    /// Takes one out that this process does not want any more.
    pub(crate) fn remove(&self, of: ProcessId, by: ProcessId) {
        let mut state = self.0.lock();
        if state.entries.get(&of).is_some_and(|entry| entry.by == by) {
            state.remove(of);
        }
    }

    /// Nobody of these peers claims any more. Linked ones are told by their own half of the link.
    pub(crate) fn peers_gone(&self, is_gone: &dyn Fn(PeerId) -> bool) {
        // Calls that were given up may still come.
        self.0.lock().remove_if(|entry| is_gone(entry.by.peer()));
    }

    /// Takes out what was asked for by this call, or remembers that nobody waits for it.
    fn forsake_call(&self, by: ProcessId, call: u64) -> Option<(ProcessId, Entry)> {
        let mut state = self.0.lock();
        if let Some(of) = state.by_call.get(&(by, call)).copied() {
            return Some((of, state.remove(of)?));
        }
        if state.forsaken.len() >= FORSAKEN_MAX {
            state.forsaken.pop_front();
        }
        state.forsaken.push_back((by, call));
        None
    }

    /// One has ended, which had its half of a link, or none. It is told to the one that claims it; if it had not started,
    /// that has an error for an answer. Whether it is told so by its claim that a link broke.
    fn ended(&self, of: ProcessId, has_started: bool, is_linked: bool, reason: &Arc<ExitReason>) -> bool {
        let mut state = self.0.lock();
        let Some(entry) = state.entries.get_mut(&of) else { return false };
        let is_link = entry.wish == Wish::Link;
        entry.end = Some(if is_link && !is_linked { Found::Unlinked } else { Found::Not(reason.clone()) });
        if !has_started {
            // Nobody claims it. One that knows it nevertheless, and has linked itself with it, is told as by any link.
            state.remove(of);
        }
        is_link && has_started
    }
}

impl Inner {
    /// A new process, which does not run yet, is to be claimed.
    pub(crate) fn expect_claim(
        &self,
        new: &Process,
        by: ProcessId,
        wish: Wish,
        call: Option<u64>,
    ) -> Result<(), Errno> {
        // One that was killed meanwhile has no ties.
        let mut ties = new.ties().ok_or(Errno::NotFound)?;
        let tied = ties.get_or_insert_default();
        if wish == Wish::Link && !tied.has_room_for_link(new) {
            return Err(Errno::Limit);
        }
        let until = Instant::now() + self.claim_time_max;
        self.unclaimed.add(new.id, Entry { by, wish, call, until, end: None })?;
        if wish == Wish::Link {
            tied.links.entry(by).or_default().is_linked = true;
        }
        tied.unclaimed_by = Some(by);
        Ok(())
    }

    /// From now on a process is tied to nobody. What it was is for [`Inner::untie`].
    pub(crate) fn end_ties(&self, process: &Process, reason: &ExitReason) -> Option<Box<Tied>> {
        let mut ties = process.ties.lock();
        process.is_over.store(true, Relaxed);
        let mut tied = ties.take()?;
        let has_asked = tied.has_asked();
        if tied.unclaimed_by.is_none() && !has_asked {
            return Some(tied);
        }
        let reason = Arc::new(ExitReason { backtrace: None, ..reason.clone() });
        if let Some(by) = tied.unclaimed_by {
            let is_linked = tied.links.get(&by).is_some_and(|link| link.is_linked);
            let has_started = process.has_started.load(Acquire);
            if self.unclaimed.ended(process.id, has_started, is_linked, &reason) {
                tied.links.remove(&by);
            }
        }
        if has_asked {
            *ties = Some(Box::new(Tied { ended: Some(reason), ..Tied::default() }));
        }
        Some(tied)
    }

    /// Whether a process is linked with another, or was, that has not claimed it and has no half of the link.
    pub(crate) fn has_unclaimed_link(&self, process: &Process, tied: &Tied, other: ProcessId) -> bool {
        tied.unclaimed_by == Some(other) && self.unclaimed.has(process.id, Wish::Link)
    }

    /// The other half of a tie to a process of this peer, whose ties these are if it lives, is made: what it finds if that
    /// was unclaimed.
    fn claim(
        &self,
        theirs: Option<&mut Ties<'_>>,
        of: ProcessId,
        by: ProcessId,
        wish: Wish,
    ) -> Option<Found> {
        let end = self.unclaimed.take(of, by, wish)?;
        let Some(theirs) = theirs else {
            // It was noted before it was over.
            return Some(
                end.unwrap_or_else(|| Found::Not(Arc::new(ExitReason::of_kind(ExitKind::NoProcess)))),
            );
        };
        let theirs = theirs.get_or_insert_default();
        theirs.unclaimed_by = None;
        Some(match wish {
            Wish::Link if theirs.links.get(&by).is_some_and(|link| link.is_linked) => Found::Tied,
            Wish::Link => Found::Unlinked,
            Wish::Monitor(_) if theirs.watchers.len() >= WATCHERS_MAX => {
                Found::Not(Arc::new(ExitReason::of_kind(ExitKind::Limit)))
            }
            Wish::Monitor(number) => {
                theirs.watchers.insert((by, number));
                Found::Tied
            }
        })
    }

    /// Whether what a process of another peer says of a tie is its claim, which is answered then.
    pub(crate) fn is_claimed(
        &self,
        process: Option<&Process>,
        of: ProcessId,
        by: ProcessId,
        wish: Wish,
    ) -> bool {
        // Until it is told, so that this goes out before anything that happens to it then.
        let mut theirs = process.and_then(Process::ties);
        let Some(found) = self.claim(theirs.as_mut(), of, by, wish) else { return false };
        let tie = match (found, wish) {
            (Found::Tied, _) => return true,
            (Found::Unlinked, _) => {
                if let Some(tied) = theirs.as_mut().and_then(|theirs| theirs.as_mut()) {
                    tied.links.entry(by).or_default().unlinks += 1;
                }
                Tie::Unlink
            }
            (Found::Not(reason), Wish::Link) => Tie::Exit((*reason).clone()),
            (Found::Not(reason), Wish::Monitor(number)) => Tie::Down(number, (*reason).clone()),
        };
        let is_unlink = tie == Tie::Unlink;
        if self.host.tie_remote(of, by, tie).is_err()
            && is_unlink
            && let Some(tied) = theirs.as_mut().and_then(|theirs| theirs.as_mut())
        {
            // The other knows, or will learn, that this peer is not to be reached.
            tied.unlink_known(by);
        }
        true
    }

    /// The one that has asked for a process has ended, for this reason, or does not want to be tied to it any more.
    fn disown(&self, by: ProcessId, of: ProcessId, wish: Wish, reason: Option<&ExitReason>) {
        if !self.is_here(of) {
            let tie = match (wish, reason) {
                (Wish::Link, Some(reason)) => Tie::Exit(reason.clone()),
                (Wish::Link, None) => Tie::Unlink,
                (Wish::Monitor(number), _) => Tie::Demonitor(number),
            };
            // If it is not to be reached, it learns that of this peer.
            let _ = self.host.tie_remote(by, of, tie);
            return;
        }
        self.unclaimed.remove(of, by);
        let Some(process) = self.directory.get(of) else { return };
        match (wish, reason) {
            (Wish::Link, Some(reason)) => process.link_broke(by, reason),
            (Wish::Link, None) => {
                if let Some(tied) = process.ties().as_mut().and_then(|ties| ties.as_mut()) {
                    tied.break_link(by);
                }
            }
            // There is none before it is claimed.
            (Wish::Monitor(_), _) => {}
        }
    }

    /// Nobody will claim a process: the one that has asked for it has an error for an answer.
    pub(crate) fn forsake(&self, of: ProcessId) {
        let entry = self.unclaimed.0.lock().remove(of);
        if let Some(entry) = entry {
            self.given_up(of, &entry);
        }
    }

    /// Gives those up that nobody has claimed for too long.
    pub(crate) fn forsake_late(&self, now: Instant) {
        let late = self.unclaimed.0.lock().remove_if(|entry| entry.until <= now);
        late.iter().for_each(|(of, entry)| self.given_up(*of, entry));
    }

    fn given_up(&self, of: ProcessId, entry: &Entry) {
        if entry.wish == Wish::Link
            && let Some(process) = self.directory.get(of)
        {
            process.link_broke(entry.by, &ExitReason::of_kind(ExitKind::NoConnection));
        }
    }

    /// Ties the one that has asked to a process, and answers it, in this order for all others.
    fn keep(&self, reserved: &Reserved, of: ProcessId, answer: impl FnOnce(Result<(), Errno>)) {
        let (process, wish) = (&*reserved.context.process, reserved.wish);
        let other = if self.is_here(of) && of != process.id { self.directory.get(of) } else { None };
        let (mine, mut theirs) = match &other {
            Some(other) => process.both(other),
            None => (process.ties(), None),
        };
        let Some(mut mine) = mine else {
            drop(theirs);
            let reason = process.ties.lock().as_ref().and_then(|tied| tied.ended.clone());
            answer(Ok(()));
            return self.disown(process.id, of, wish, reason.as_deref());
        };
        let Some(tied) = mine.as_mut().filter(|tied| reserved.is_in(tied)) else {
            answer(Ok(()));
            drop((mine, theirs));
            return self.disown(process.id, of, wish, None);
        };
        reserved.fill(tied, of);
        let found = if self.is_here(of) {
            let noproc = || Found::Not(Arc::new(no_such(SendError::NotFound)));
            Ok(self.claim(theirs.as_mut(), of, process.id, wish).unwrap_or_else(noproc))
        } else {
            let tie = match wish {
                Wish::Link => Tie::Link,
                Wish::Monitor(number) => Tie::Monitor(number),
            };
            match self.host.tie_remote(process.id, of, tie) {
                Ok(()) => Ok(Found::Tied),
                Err(SendError::Full) => Err(Errno::Full),
                Err(error) => Ok(Found::Not(Arc::new(no_such(error)))),
            }
        };
        if !matches!(found, Ok(Found::Tied | Found::Not(_))) {
            match wish {
                Wish::Link => drop(tied.break_link(of)),
                Wish::Monitor(number) => drop(tied.unwatch(number)),
            }
        }
        answer(found.as_ref().map(drop).map_err(|errno| *errno));
        drop((mine, theirs));
        match (found, wish) {
            (Ok(Found::Tied | Found::Unlinked), _) => {}
            (Ok(Found::Not(reason)), Wish::Link) => process.link_broke(of, &reason),
            (Ok(Found::Not(reason)), Wish::Monitor(number)) => process.went_down(of, number, &reason),
            (Err(_), _) => {
                // As one that cannot be tied here is not spawned.
                let _ = self.host.exit_remote(Some(process.id), of, &ExitReason::of_kind(ExitKind::Kill));
                let reason = ExitReason::of_kind(ExitKind::Killed);
                self.disown(process.id, of, wish, Some(&reason));
            }
        }
    }
}

impl Tied {
    /// Whether it has asked for a process that it is to be tied to and does not know yet.
    fn has_asked(&self) -> bool {
        !self.reserved.is_empty() || self.watching.values().any(|watch| watch.of.is_none())
    }
}

/// The place for a tie to a process that was asked for. Dropped before it is kept, it is free again.
pub(crate) struct Reserved {
    context: Context,
    /// Of the link among those that are reserved, or of the monitor.
    number: u64,
    wish: Wish,
}

impl Reserved {
    pub(crate) fn wish(&self) -> Wish {
        self.wish
    }

    /// Whether the process still wants it.
    fn is_in(&self, tied: &Tied) -> bool {
        match self.wish {
            Wish::Link => tied.reserved.contains_key(&self.number),
            Wish::Monitor(number) => tied.watching.get(&number).is_some_and(|watch| watch.of.is_none()),
        }
    }

    /// It becomes the half of a tie to this process.
    fn fill(&self, tied: &mut Tied, of: ProcessId) {
        match self.wish {
            Wish::Link => {
                tied.reserved.remove(&self.number);
                tied.links.entry(of).or_default().is_linked = true;
            }
            Wish::Monitor(number) => {
                if let Some(watch) = tied.watching.get_mut(&number) {
                    watch.of = Some(of);
                }
            }
        }
    }

    /// The process that was asked for is this one: they are tied, and the one that asked is answered.
    pub(crate) fn keep(self, of: ProcessId, reply: ReplyTo) {
        self.context.table.keep(&self, of, |made| match made {
            Ok(()) => reply.send(0, &of.to_bits().to_le_bytes()[..]),
            Err(errno) => reply.error(errno, "the way to its peer takes no more links and monitors now"),
        });
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(mut ties) = self.context.process.ties()
            && let Some(tied) = ties.as_mut().filter(|tied| self.is_in(tied))
        {
            match self.wish {
                Wish::Link => drop(tied.reserved.remove(&self.number)),
                Wish::Monitor(number) => drop(tied.unwatch(number)),
            }
        }
    }
}

impl Processes {
    /// A process of another peer has no answer to a call of this number, and gets none any more: what it was to be tied to by
    /// that is not claimed. If that is to be linked with it, it is told `noconnection`. If the call has not come yet, it is refused
    /// with [`Errno::NoPeer`] when it comes.
    pub fn forsake_call(&self, by: ProcessId, call: u64) {
        if by.peer() != self.0.peer
            && let Some((of, entry)) = self.0.unclaimed.forsake_call(by, call)
        {
            self.0.given_up(of, &entry);
        }
    }
}

impl Context {
    /// Begins a request for a process that is to be linked with this one: [`ReplyTo::spawned`] links them.
    ///
    /// # Errors
    /// [`Errno::Limit`] if it has too many requests under way, or as many links as it may.
    pub fn begin_spawn_link(&self, tag: u64) -> Result<ReplyTo, Errno> {
        let reserved = self.reserve(|tied| {
            if !tied.has_room_for_link(&self.process) {
                return Err(Errno::Limit);
            }
            tied.last_number += 1;
            tied.reserved.insert(tied.last_number, key(&self.run));
            Ok((tied.last_number, Wish::Link))
        });
        let reserved = reserved.inspect_err(|errno| {
            if *errno == Errno::Limit {
                self.table.links_full(&self.process, None);
            }
        })?;
        Ok(self.begin_request(tag)?.with(reserved))
    }

    /// Begins a request for a process that this one is to monitor, by the second tag: [`ReplyTo::spawned`] makes the
    /// monitor. It can be taken away before, as any other.
    ///
    /// # Errors
    /// [`Errno::Taken`] if a monitor has that tag; [`Errno::Limit`] if it has too many requests under way, or as many monitors
    /// as it may.
    pub fn begin_spawn_monitor(&self, tag: u64, monitor: u64) -> Result<ReplyTo, Errno> {
        let reserved = self.reserve(|tied| {
            tied.may_watch(&self.process, &self.run, monitor)?;
            let number = tied.watch(None, &self.run, monitor);
            Ok((number, Wish::Monitor(number)))
        });
        let reserved = reserved.inspect_err(|errno| {
            if *errno == Errno::Limit {
                self.table.monitors_full(&self.process, &self.run);
            }
        })?;
        Ok(self.begin_request(tag)?.with(reserved))
    }

    fn reserve(&self, take: impl FnOnce(&mut Tied) -> Result<(u64, Wish), Errno>) -> Result<Reserved, Errno> {
        // A process that has ended asks for nothing.
        let mut ties = self.process.ties().ok_or(Errno::Host)?;
        let (number, wish) = take(ties.get_or_insert_default())?;
        drop(ties);
        Ok(Reserved { context: self.clone(), number, wish })
    }
}
