// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is counted beyond one process: how many children live, how fast they were spawned, and what all processes
//! of one peer of origin have together.
//!
//! Each count is held by a value that gives it back when it is dropped: a [`Place`] by the record of a process until its
//! end, a [`MemoryShare`] by whoever has the memory.

use crate::{
    Limit, Limits, OriginLimits, SpawnError, Spec, budget::Budget, reached::Reached, record::Process,
    table::Inner,
};
use hearth_abi::{PeerId, ProcessId};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Adds to a count if it stays within its bound.
fn add(count: &AtomicU64, more: u64, max: u64) -> bool {
    let within = |now: u64| now.checked_add(more).filter(|sum| *sum <= max);
    count.fetch_update(Relaxed, Relaxed, within).is_ok()
}

/// What the processes of one peer of origin have together.
pub(crate) struct Account {
    pub(crate) origin: PeerId,
    pub(crate) limits: OriginLimits,
    processes: AtomicU64,
    memory_bytes: AtomicU64,
    /// What they may use of the processors, if that is bounded.
    pub(crate) cpu: Option<Budget>,
    /// What was refused where no process of this peer can be told.
    pub(crate) reached: Reached,
}

impl Account {
    pub(crate) fn new(origin: PeerId, limits: OriginLimits) -> Account {
        Account {
            origin,
            limits,
            processes: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
            cpu: limits.cpu_percent.map(Budget::new),
            reached: Reached::default(),
        }
    }

    pub(crate) fn processes(&self) -> u64 {
        self.processes.load(Relaxed)
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Relaxed)
    }
}

/// The accounts of all origins. One for each peer that ever had a process here; they are small.
pub(crate) struct Accounts {
    own: Arc<Account>,
    others: RwLock<HashMap<PeerId, Arc<Account>>>,
    limits: OriginLimits,
}

impl Accounts {
    pub(crate) fn new(me: PeerId, own: OriginLimits, others: OriginLimits) -> Accounts {
        Accounts { own: Arc::new(Account::new(me, own)), others: RwLock::default(), limits: others }
    }

    pub(crate) fn of(&self, origin: PeerId) -> Arc<Account> {
        if origin == self.own.origin {
            return self.own.clone();
        }
        if let Some(account) = self.others.read().get(&origin) {
            return account.clone();
        }
        let mut others = self.others.write();
        others.entry(origin).or_insert_with(|| Arc::new(Account::new(origin, self.limits))).clone()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Account>> {
        let mut all: Vec<_> = self.others.read().values().cloned().collect();
        all.push(self.own.clone());
        all.sort_unstable_by_key(|account| account.origin);
        all
    }
}

/// What one process has spawned.
#[derive(Default)]
pub(crate) struct Spawned {
    alive: AtomicU64,
    /// What it may spawn before the clock is asked again, and when it was; `None` before the first time.
    rate: Mutex<Option<(u32, Instant)>>,
}

impl Spawned {
    pub(crate) fn alive(&self) -> u64 {
        self.alive.load(Relaxed)
    }

    /// Whether it may spawn one more, which then counts. The clock is asked when what was earned is used up.
    fn may_at(&self, limits: &Limits, now: impl FnOnce() -> Instant) -> bool {
        let Some(per_s) = limits.spawns_per_s else { return true };
        let mut rate = self.rate.lock();
        let Some((left, since)) = rate.as_mut() else {
            *rate = Some((limits.spawn_burst.saturating_sub(1), now()));
            return limits.spawn_burst > 0;
        };
        if *left == 0 {
            let now = now();
            let earned = now.duration_since(*since).as_secs_f64() * f64::from(per_s);
            if earned < 1.0 {
                return false;
            }
            if earned >= f64::from(limits.spawn_burst) {
                (*left, *since) = (limits.spawn_burst, now);
            } else {
                *left = earned as u32;
                // What is left of one is earned on.
                *since += Duration::from_secs_f64(f64::from(*left) / f64::from(per_s));
            }
        }
        match left.checked_sub(1) {
            Some(less) => *left = less,
            None => return false,
        }
        true
    }

    /// One that counted was not spawned after all.
    fn was_not(&self) {
        if let Some((left, _)) = &mut *self.rate.lock() {
            *left += 1;
        }
    }
}

/// The place of one process among the children of the one that spawned it, and in the account of its origin.
pub(crate) struct Place {
    parent: Option<Arc<Spawned>>,
    /// `None` for what has no module, which is the peer's own.
    account: Option<Arc<Account>>,
    /// Whether it counts among what its parent may spawn in a time, and may yet fail.
    is_new: bool,
}

impl Place {
    /// Takes a place; nothing is counted if there is none. `is_instead`: another process is about to give up its own for it, so
    /// that the counts may be passed by one for a moment.
    pub(crate) fn take(
        parent: Option<(&OnceLock<Arc<Spawned>>, &Limits)>,
        account: Option<Arc<Account>>,
        is_instead: bool,
    ) -> Result<Place, (Limit, u64)> {
        let mut place = Place { parent: None, account: None, is_new: false };
        if let Some((spawned, limits)) = parent {
            let spawned = spawned.get_or_init(Arc::default);
            let max = if is_instead { u64::MAX } else { limits.children as u64 };
            if !add(&spawned.alive, 1, max) {
                return Err((Limit::Children, max));
            }
            place.parent = Some(spawned.clone());
        }
        if let Some(account) = account {
            let max = if is_instead { u64::MAX } else { account.limits.processes as u64 };
            if !add(&account.processes, 1, max) {
                return Err((Limit::OriginProcesses, max));
            }
            place.account = Some(account);
        }
        if let (Some(spawned), Some((_, limits))) = (&place.parent, parent)
            && !is_instead
        {
            if !spawned.may_at(limits, Instant::now) {
                return Err((Limit::Spawns, limits.spawns_per_s.unwrap_or_default().into()));
            }
            place.is_new = limits.spawns_per_s.is_some();
        }
        Ok(place)
    }

    /// The account in which it counts.
    pub(crate) fn account(&self) -> Option<&Arc<Account>> {
        self.account.as_ref()
    }

    /// The process begins.
    pub(crate) fn settle(&mut self) {
        self.is_new = false;
    }

    /// From now on it is one of another origin, whose account may be passed by it: an operator has given it new code.
    pub(crate) fn belongs_to(&mut self, account: Arc<Account>) {
        if let Some(old) = &mut self.account
            && old.origin != account.origin
        {
            account.processes.fetch_add(1, Relaxed);
            old.processes.fetch_sub(1, Relaxed);
            *old = account;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(spawned) = &self.parent {
            spawned.alive.fetch_sub(1, Relaxed);
            if self.is_new {
                spawned.was_not();
            }
        }
        if let Some(account) = &self.account {
            account.processes.fetch_sub(1, Relaxed);
        }
    }
}

/// Linear memory that counts for a peer of origin, until this is dropped.
pub struct MemoryShare {
    account: Option<Arc<Account>>,
    bytes: u64,
}

impl MemoryShare {
    pub(crate) fn new(account: Option<Arc<Account>>) -> MemoryShare {
        MemoryShare { account, bytes: 0 }
    }

    /// Makes it so many bytes.
    ///
    /// # Errors
    /// The processes of the origin would have more than they may, which is this many bytes; it stays as it was.
    pub fn set(&mut self, bytes: u64) -> Result<(), u64> {
        if let Some(account) = &self.account {
            match bytes.checked_sub(self.bytes) {
                Some(more) if !add(&account.memory_bytes, more, account.limits.memory_bytes) => {
                    return Err(account.limits.memory_bytes);
                }
                Some(_) => {}
                None => {
                    account.memory_bytes.fetch_sub(self.bytes - bytes, Relaxed);
                }
            }
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.memory_bytes.fetch_sub(self.bytes, Relaxed);
        }
    }
}

impl Inner {
    /// Takes a place for a process among what its parent and its peer of origin may have.
    pub(crate) fn take_place(&self, spec: &Spec, instead_of: Option<ProcessId>) -> Result<Place, SpawnError> {
        // One that is restarted lives until the other has its place: of one becomes one, also at a limit.
        let is_instead = instead_of.is_some_and(|old| self.directory.get(old).is_some());
        let mut account = spec.module.map(|_| self.accounts.of(spec.origin));
        let taken = match spec.parent {
            Some(parent) => self.directory.with(parent, |parent| {
                Place::take(Some((&parent.spawned, &parent.spec.limits)), account.take(), is_instead)
            }),
            None => None,
        };
        let taken = taken.unwrap_or_else(|| Place::take(None, account, is_instead));
        taken.map_err(|(limit, max)| {
            match spec.parent.and_then(|parent| self.directory.get(parent)) {
                Some(parent) => self.reached(&parent, limit, max),
                None => self.origin_reached(spec.origin, limit, max),
            }
            let parent = spec.parent.unwrap_or(ProcessId::from_bits(0));
            match limit {
                Limit::Children => SpawnError::TooManyChildren { parent, max },
                Limit::Spawns => SpawnError::TooFast { parent, max },
                _ => SpawnError::OriginFull { origin: spec.origin, max },
            }
        })
    }

    /// From now on a process is one of this origin.
    pub(crate) fn belongs_to(&self, process: &Process, origin: PeerId) {
        if let Some(place) = process.runs.lock().place.as_mut() {
            place.belongs_to(self.accounts.of(origin));
            if let Some(account) = place.account() {
                self.meter_by(process, account);
            }
        }
    }

    /// How much a limit of a process is, whose code has this origin.
    pub(crate) fn max_of(&self, process: &Process, origin: PeerId, limit: Limit) -> u64 {
        let limits = &process.spec.limits;
        let of_origin = || self.accounts.of(origin).limits;
        match limit {
            Limit::MemoryBytes => limits.memory_bytes as u64,
            Limit::TableElements => limits.table_elements as u64,
            Limit::MailboxSignals => limits.mailbox_signals as u64,
            Limit::MailboxBytes => limits.mailbox_bytes as u64,
            Limit::Requests => limits.requests as u64,
            Limit::Timers => limits.timers as u64,
            Limit::Links => limits.links as u64,
            Limit::Monitors => limits.monitors as u64,
            Limit::LogLines => limits.log_lines_per_s.into(),
            Limit::Children => limits.children as u64,
            Limit::Spawns => limits.spawns_per_s.unwrap_or(u32::MAX).into(),
            Limit::Entities => limits.entities as u64,
            Limit::CpuPercent => limits.cpu_percent.unwrap_or(u32::MAX).into(),
            Limit::OriginProcesses => of_origin().processes as u64,
            Limit::OriginMemoryBytes => of_origin().memory_bytes,
            Limit::OriginEntities => of_origin().entities as u64,
            Limit::OriginCpuPercent => of_origin().cpu_percent.unwrap_or(u32::MAX).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spawns_have_a_burst_and_then_a_rate() {
        let limits = Limits { spawns_per_s: Some(10), spawn_burst: 3, ..Limits::default() };
        let (spawned, began) = (Spawned::default(), Instant::now());
        let may = |ms: u64| spawned.may_at(&limits, || began + Duration::from_millis(ms));
        // So many at once, and one each tenth of a second; what is left of one is earned on.
        assert_eq!([0, 0, 0, 0, 99].map(may), [true, true, true, false, false]);
        assert_eq!([150, 150, 199, 200, 200].map(may), [true, false, false, true, false]);
        // A quiet time earns no more than the burst.
        assert_eq!([9000; 4].map(may), [true, true, true, false]);
        // One that failed may be tried again.
        spawned.was_not();
        assert_eq!([9000; 2].map(may), [true, false]);
        // In the long run it is the rate.
        assert_eq!((9000..=19_000).filter(|ms| may(*ms)).count(), 100);
    }

    #[test]
    fn without_a_rate_no_clock_is_asked() {
        let spawned = Spawned::default();
        assert!((0..10_000).all(|_| spawned.may_at(&Limits::default(), || unreachable!())));
    }
}
