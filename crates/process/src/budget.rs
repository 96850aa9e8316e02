// SPDX-License-Identifier: AGPL-3.0-or-later
//! How much processor time a process may use in the long run, and all processes of one peer of origin together.
//!
//! Such a *budget* is earned by the clock on the wall and charged where turns are measured (`scheduler`); what is not used is
//! kept for a second. Who has used it up is not ended but *held up*: it has its next turn, or goes on in the one that it is
//! in, once what it has used is earned (`life`, and for plain calls that run long [`hold_thread`]).
//!
//! Whoever has no budget has no [`Meter`], which is all that a turn looks for. Whoever has one is timed in each turn.
//!
//! The budget of an origin is used by many, and more may wait for it than it has anything for. So who has to wait *buys*
//! a piece in advance, and with it the time from which it may use it, behind all who bought before. Nobody queues but by
//! this, nobody wakes in vain, and the piece is its own however often it is killed, replaced or woken meanwhile.

use crate::{Limit, accounts::Account, record::Process, table::Inner};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Wake, Waker},
    thread,
    time::{Duration, Instant},
};

/// How long what is earned is kept: so much may be used at once after a quiet time.
const KEPT: Duration = Duration::from_secs(1);
/// Least and most processor time that is bought in advance, in nanoseconds: some short turns, and about a slice.
const PIECE_NS: (u64, u64) = (10_000, 1_000_000);

/// The time as budgets count it, in nanoseconds.
fn nanos(at: Instant) -> u64 {
    at.duration_since(*EPOCH).as_nanos() as u64
}

/// Long enough before everything that who begins has earned all that is kept.
static EPOCH: LazyLock<Instant> = LazyLock::new(|| {
    let now = Instant::now();
    now.checked_sub(KEPT).unwrap_or(now)
});

/// Processor time that is earned, at so many percent of one processor.
pub(crate) struct Budget {
    percent: u64,
    /// When all that was used or bought is earned; what lies further back than [`KEPT`] is lost.
    earned_at: AtomicU64,
}

impl Budget {
    /// Full at first.
    pub(crate) fn new(percent: u32) -> Budget {
        Budget { percent: u64::from(percent).max(1), earned_at: AtomicU64::new(0) }
    }

    /// Takes so much out, whether it is there or not. The result is when everything before that is earned.
    fn charge(&self, cpu_ns: u64, now_ns: u64) -> u64 {
        let takes = cpu_ns.saturating_mul(100) / self.percent;
        let least = now_ns.saturating_sub(KEPT.as_nanos() as u64);
        let after = |at: u64| at.max(least).saturating_add(takes);
        let before = self.earned_at.fetch_update(Relaxed, Relaxed, |at| Some(after(at)));
        before.unwrap_or_else(|at| at).max(least)
    }

    /// Puts back what was bought and not used.
    fn refund(&self, cpu_ns: u64) {
        let takes = cpu_ns.saturating_mul(100) / self.percent;
        let _ = self.earned_at.fetch_update(Relaxed, Relaxed, |at| Some(at.saturating_sub(takes)));
    }

    /// When all that was used is earned, if that is still to come.
    fn due(&self, now_ns: u64) -> Option<u64> {
        Some(self.earned_at.load(Relaxed)).filter(|at| *at > now_ns)
    }
}

/// The budgets that count for one process: its own, and that of all processes of its origin.
pub(crate) struct Meter {
    own: Option<Budget>,
    shared: Mutex<Option<Arc<Account>>>,
    /// Bought of the shared budget and not used yet. Only whoever runs the process writes it.
    bought_ns: AtomicU64,
    is_held_up: AtomicBool,
    /// Since when it is held up, as budgets count.
    since_ns: AtomicU64,
    held_up_ns: AtomicU64,
}

impl Meter {
    /// `None` where nothing is bounded.
    pub(crate) fn new(percent: Option<u32>, account: Option<&Arc<Account>>) -> Option<Meter> {
        let account = account.filter(|account| account.cpu.is_some());
        if percent.is_none() && account.is_none() {
            return None;
        }
        Some(Meter {
            own: percent.map(Budget::new),
            shared: Mutex::new(account.cloned()),
            bought_ns: AtomicU64::new(0),
            is_held_up: AtomicBool::new(false),
            since_ns: AtomicU64::new(0),
            held_up_ns: AtomicU64::new(0),
        })
    }

    /// The process has used so much.
    pub(crate) fn charge(&self, cpu_ns: u64) {
        self.charge_at(cpu_ns, nanos(Instant::now()));
    }

    fn charge_at(&self, cpu_ns: u64, now_ns: u64) {
        if let Some(own) = &self.own {
            own.charge(cpu_ns, now_ns);
        }
        if let Some(account) = &*self.shared.lock()
            && let Some(budget) = &account.cpu
        {
            let bought = self.bought_ns.load(Relaxed);
            let paid = bought.min(cpu_ns);
            self.bought_ns.store(bought - paid, Relaxed);
            if cpu_ns > paid {
                budget.charge(cpu_ns - paid, now_ns);
            }
        }
    }

    /// Whether the process has to wait before it runs on, for what and until when. For the budget of its origin it buys, so that whoever
    /// asks and is told to wait waits. `piece_ns` is about what it will use.
    fn must_wait(&self, now_ns: u64, piece_ns: u64) -> Option<(Limit, u64)> {
        if let Some(at) = self.own.as_ref().and_then(|own| own.due(now_ns)) {
            return Some((Limit::CpuPercent, at));
        }
        if self.bought_ns.load(Relaxed) > 0 {
            return None;
        }
        let shared = self.shared.lock();
        let budget = shared.as_ref().and_then(|account| account.cpu.as_ref())?;
        budget.due(now_ns)?;
        let piece_ns = piece_ns.clamp(PIECE_NS.0, PIECE_NS.1);
        self.bought_ns.store(piece_ns, Relaxed);
        let at = budget.charge(piece_ns, now_ns);
        Some((Limit::OriginCpuPercent, at)).filter(|(_, at)| *at > now_ns)
    }

    fn hold_up(&self, now_ns: u64) {
        self.since_ns.store(now_ns, Relaxed);
        self.is_held_up.store(true, Relaxed);
    }

    /// The process goes on, or ends.
    pub(crate) fn go_on(&self) {
        if self.is_held_up.swap(false, Relaxed) {
            let time_ns = nanos(Instant::now()).saturating_sub(self.since_ns.load(Relaxed));
            self.held_up_ns.fetch_add(time_ns, Relaxed);
        }
    }

    /// From now on the process is one of this origin, whose budget counts if there is one.
    fn belongs_to(&self, account: &Arc<Account>) {
        let mut shared = self.shared.lock();
        self.give_back(&shared);
        *shared = Some(account.clone()).filter(|account| account.cpu.is_some());
    }

    /// The process has ended.
    pub(crate) fn finish(&self) {
        self.go_on();
        self.give_back(&self.shared.lock());
    }

    fn give_back(&self, account: &Option<Arc<Account>>) {
        let bought_ns = self.bought_ns.swap(0, Relaxed);
        if let Some(budget) = account.as_ref().and_then(|account| account.cpu.as_ref()) {
            budget.refund(bought_ns);
        }
    }

    pub(crate) fn is_held_up(&self) -> bool {
        self.is_held_up.load(Relaxed)
    }

    /// How long it was held up, in nanoseconds; for as long as it is now too.
    pub(crate) fn held_up_ns(&self) -> u64 {
        let now = match self.is_held_up() {
            true => nanos(Instant::now()).saturating_sub(self.since_ns.load(Relaxed)),
            false => 0,
        };
        self.held_up_ns.load(Relaxed) + now
    }
}

impl Inner {
    /// Whether a process, which is about to run on, has used up a budget: then it is held up until this time, which is noted.
    /// [`Meter::go_on`] is called when it goes on.
    pub(crate) fn must_wait(&self, process: &Process) -> Option<Instant> {
        let meter = process.slice.meter()?;
        let now = Instant::now();
        let now_ns = nanos(now);
        let (limit, at) = meter.must_wait(now_ns, process.slice.mean_ns())?;
        meter.hold_up(now_ns);
        self.reached(process, limit, self.max_of(process, process.current().code.origin, limit));
        Some(now + Duration::from_nanos(at - now_ns))
    }

    /// The budget of this origin counts for a process from now on.
    pub(crate) fn meter_by(&self, process: &Process, account: &Arc<Account>) {
        match process.slice.meter() {
            Some(meter) => meter.belongs_to(account),
            None => process.slice.set_meter(Meter::new(None, Some(account))),
        }
    }
}

/// Holds up the plain call on this thread until a time, or until `is_needed` says that it has something else to do, after whoever
/// wakes the process has done so.
pub(crate) fn hold_thread(process: &Process, until: Instant, is_needed: impl Fn() -> bool) {
    let waker = Waker::from(Arc::new(ThreadWaker(thread::current())));
    loop {
        process.kill.waker.register(&waker);
        let now = Instant::now();
        if now >= until || is_needed() {
            return;
        }
        thread::park_timeout(until - now);
    }
}

struct ThreadWaker(thread::Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::OriginLimits;
    use hearth_abi::PeerId;

    const MS: u64 = 1_000_000;
    /// Some time after the first.
    const BEGAN: u64 = 100_000 * MS;

    fn account(percent: u32) -> Arc<Account> {
        let limits = OriginLimits { cpu_percent: Some(percent), ..OriginLimits::OTHERS };
        Arc::new(Account::new(PeerId::SERVER, limits))
    }

    #[test]
    fn what_is_used_is_earned_and_what_is_not_is_kept_for_a_second() {
        let budget = Budget::new(10);
        // A second's worth at once.
        assert_eq!(budget.due(BEGAN), None);
        budget.charge(100 * MS, BEGAN);
        assert_eq!(budget.due(BEGAN), None);
        // From there on each millisecond takes ten.
        budget.charge(MS, BEGAN);
        assert_eq!(budget.due(BEGAN), Some(BEGAN + 10 * MS));
        budget.charge(2 * MS, BEGAN + 5 * MS);
        assert_eq!(budget.due(BEGAN + 5 * MS), Some(BEGAN + 30 * MS));
        assert_eq!(budget.due(BEGAN + 30 * MS), None);
        // A long quiet time earns no more than the first second did.
        let later = BEGAN + 3_600_000 * MS;
        budget.charge(101 * MS, later);
        assert_eq!(budget.due(later), Some(later + 10 * MS));
    }

    #[test]
    fn more_than_one_processor_can_be_a_bound() {
        let budget = Budget::new(250);
        budget.charge(2500 * MS, BEGAN);
        assert_eq!(budget.due(BEGAN), None);
        budget.charge(5 * MS, BEGAN);
        assert_eq!(budget.due(BEGAN), Some(BEGAN + 2 * MS));
    }

    #[test]
    fn nothing_overflows() {
        let budget = Budget::new(1);
        for _ in 0..3 {
            budget.charge(u64::MAX, BEGAN);
        }
        assert_eq!(budget.due(BEGAN), Some(u64::MAX));
    }

    #[test]
    fn who_waits_for_the_budget_of_an_origin_has_it_in_the_order_in_which_they_came() {
        let account = account(50);
        let meters: Vec<Meter> = (0..4).map(|_| Meter::new(None, Some(&account)).unwrap()).collect();
        let wait = |index: usize, ms: u64| {
            let waits = meters[index].must_wait(BEGAN + ms * MS, MS);
            waits.map(|(limit, at)| (limit, (at - BEGAN) / MS))
        };
        let origin = |ms| Some((Limit::OriginCpuPercent, ms));
        assert_eq!(wait(0, 0), None, "there is something kept");
        meters[0].charge_at(501 * MS, BEGAN);
        // Each millisecond that is bought takes two.
        assert_eq!([0, 1, 2].map(|index| wait(index, 0)), [2, 4, 6].map(origin));
        // It was bought: whoever looks again, because it was woken, does not wait a second time.
        assert_eq!(wait(1, 1), None);
        // Who comes when it is the turn of others waits behind those.
        assert_eq!(wait(3, 5), origin(8));
        // What was bought pays, and what is more is charged.
        meters[0].charge_at(MS / 2, BEGAN + 2 * MS);
        assert_eq!(wait(0, 3), None);
        meters[0].charge_at(MS, BEGAN + 3 * MS);
        assert_eq!(wait(0, 3), origin(11));
        // Who ends, or changes its origin, gives back what it has bought.
        meters[0].finish();
        meters[3].finish();
        assert_eq!(account.cpu.as_ref().unwrap().due(BEGAN), Some(BEGAN + 9 * MS));
    }

    #[test]
    fn a_process_waits_for_its_own_budget_first() {
        let account = account(100);
        let meter = Meter::new(Some(10), Some(&account)).unwrap();
        meter.charge_at(1000 * MS, BEGAN);
        // 900 ms more than were kept of its own; all that was kept of its origin's.
        assert_eq!(meter.must_wait(BEGAN, MS), Some((Limit::CpuPercent, BEGAN + 9000 * MS)));
        assert_eq!(meter.must_wait(BEGAN + 9000 * MS, MS), None);
        assert!(Meter::new(None, None).is_none());
        let free = Arc::new(Account::new(PeerId::SERVER, OriginLimits::OWN));
        assert!(Meter::new(None, Some(&free)).is_none(), "who has no bound has no meter");
    }
}
