// SPDX-License-Identifier: AGPL-3.0-or-later
//! How often which limits were reached, and how the log is told: at once the first time, then at most every ten
//! seconds with the number of times since.

use crate::{Level, Limit, record::Process, run::Run, table::Inner};
use hearth_abi::ProcessId;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{OnceLock, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Least time between two lines about one limit of one process.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// How often which limits were reached. Takes no memory of its own until the first.
#[derive(Default)]
pub(crate) struct Reached(OnceLock<Box<Mutex<[Times; Limit::ALL.len()]>>>);

#[derive(Clone, Copy, Default)]
struct Times {
    count: u64,
    /// Of these, how many the log knows of.
    said: u64,
    last_said: Option<Instant>,
    /// Whether it is noted that there is something to say.
    is_queued: bool,
    max: u64,
}

/// What is to be done when a limit was reached.
enum Note {
    /// Say that it was, so many times.
    Say(u64),
    /// Look again at this time.
    Later(Instant),
    /// It is seen to already.
    Nothing,
}

impl Reached {
    fn with<R>(&self, limit: Limit, f: impl FnOnce(&mut Times) -> R) -> R {
        f(&mut self.0.get_or_init(Box::default).lock()[limit as usize])
    }

    fn note(&self, limit: Limit, max: u64, now: Instant) -> Note {
        self.with(limit, |times| {
            times.count += 1;
            times.max = max;
            match times.last_said.map(|last| last + SAID_EVERY).filter(|due| *due > now) {
                None => {
                    times.last_said = Some(now);
                    Note::Say(times.count - std::mem::replace(&mut times.said, times.count))
                }
                Some(due) if !std::mem::replace(&mut times.is_queued, true) => Note::Later(due),
                Some(_) => Note::Nothing,
            }
        })
    }

    /// One more, of which the log tells by itself.
    pub(crate) fn count(&self, limit: Limit) {
        self.with(limit, |times| {
            times.count += 1;
            times.said += 1;
        });
    }

    /// What the log does not know of one limit: how much it is, and how often it was reached.
    fn due(&self, limit: Limit, now: Instant) -> Option<(u64, u64)> {
        self.with(limit, |times| {
            times.is_queued = false;
            let unsaid = times.count - std::mem::replace(&mut times.said, times.count);
            if unsaid > 0 {
                times.last_said = Some(now);
            }
            (unsaid > 0).then_some((times.max, unsaid))
        })
    }

    /// How often each limit was reached that was.
    pub(crate) fn counts(&self) -> Vec<(Limit, u64)> {
        let Some(all) = self.0.get() else { return Vec::new() };
        let all = all.lock();
        let counts = Limit::ALL.into_iter().map(|limit| (limit, all[limit as usize].count));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }
}

/// Limits of processes that were reached, and of which the log is to be told later. Each of a process is in it once.
#[derive(Default)]
pub(crate) struct Unsaid(Mutex<VecDeque<(Instant, ProcessId, Limit)>>);

impl Inner {
    /// A process has reached one of its limits, which is this much.
    #[cold]
    pub(crate) fn reached(&self, process: &Process, limit: Limit, max: u64) {
        match process.reached.note(limit, max, Instant::now()) {
            Note::Say(times) => process.say_reached(limit, max, times),
            Note::Later(due) => self.unsaid.0.lock().push_back((due, process.id, limit)),
            Note::Nothing => {}
        }
        if matches!(
            limit,
            Limit::OriginProcesses
                | Limit::OriginMemoryBytes
                | Limit::OriginEntities
                | Limit::OriginCpuPercent
        ) {
            self.origin_reached(process.current().code.origin, limit, max);
        }
    }

    /// The processes of one origin have reached a limit that they have together. The host is told too.
    #[cold]
    pub(crate) fn origin_reached(&self, origin: hearth_abi::PeerId, limit: Limit, max: u64) {
        if let Note::Say(times) = self.accounts.of(origin).reached.note(limit, max, Instant::now()) {
            tracing::warn!(peer = %origin, "its scripts here: {}", limit.text(max, times));
        }
    }

    /// The mailbox of a process had no place for a signal.
    #[cold]
    pub(crate) fn mailbox_full(&self, to: ProcessId) {
        let Some(process) = self.directory.get(to) else { return };
        let limits = &process.spec.limits;
        match process.mailbox.is_full_of_signals() {
            true => self.reached(&process, Limit::MailboxSignals, limits.mailbox_signals as u64),
            false => self.reached(&process, Limit::MailboxBytes, limits.mailbox_bytes as u64),
        }
    }

    /// A process could not be tied to another (to none on this peer, if that is `None`): one of the two has as many links as it may.
    #[cold]
    pub(crate) fn links_full(&self, process: &Process, other: Option<ProcessId>) {
        let is_full = |process: &Process| process.tie_counts().0 >= process.spec.limits.links;
        let say = |process: &Process| self.reached(process, Limit::Links, process.spec.limits.links as u64);
        match other.and_then(|other| self.directory.get(other)) {
            Some(other) if !is_full(process) => say(&other),
            _ => say(process),
        }
    }

    /// A process could not monitor another: it has as many monitors as it may, or the other is monitored by as many as may be.
    #[cold]
    pub(crate) fn monitors_full(&self, process: &Process, run: &Run) {
        let max = process.spec.limits.monitors;
        if process.tie_counts().1 + run.downs.load(Relaxed) as usize >= max {
            self.reached(process, Limit::Monitors, max as u64);
        }
    }

    /// Tells the logs what is due.
    pub(crate) fn tell_reached(&self, now: Instant) {
        let mut due = Vec::new();
        {
            let mut unsaid = self.unsaid.0.lock();
            while let Some((_, id, limit)) = unsaid.pop_front_if(|(at, ..)| *at <= now) {
                due.push((id, limit));
            }
        }
        for (id, limit) in due {
            let Some(process) = self.directory.get(id) else { continue };
            if let Some((max, times)) = process.reached.due(limit, now) {
                process.say_reached(limit, max, times);
            }
        }
    }
}

impl Process {
    fn say_reached(&self, limit: Limit, max: u64, times: u64) {
        self.log.write_host(&self.spec.limits, Level::Warn, "host", &limit.text(max, times));
    }

    /// Tells the log what it does not know yet: the process has ended.
    pub(crate) fn say_all_reached(&self) {
        if self.reached.is_empty() {
            return;
        }
        let now = Instant::now();
        for limit in Limit::ALL {
            if let Some((max, times)) = self.reached.due(limit, now) {
                self.say_reached(limit, max, times);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_told_at_once_and_then_seldom() {
        let (reached, began) = (Reached::default(), Instant::now());
        let at = |ms: u64| began + Duration::from_millis(ms);
        let note = |ms: u64| reached.note(Limit::Timers, 5, at(ms));
        assert!(reached.is_empty() && reached.counts().is_empty());
        assert!(matches!(note(0), Note::Say(1)));
        assert!(matches!(note(1), Note::Later(due) if due == at(10_000)), "one is to be looked after");
        assert!((2..1000).all(|ms| matches!(note(ms), Note::Nothing)));
        // Another limit is another matter.
        assert!(matches!(reached.note(Limit::Links, 5, at(2)), Note::Say(1)));
        assert_eq!(reached.due(Limit::Timers, at(10_000)), Some((5, 999)));
        assert_eq!(reached.due(Limit::Timers, at(10_001)), None, "nothing has come since");
        assert!(matches!(note(10_002), Note::Later(due) if due == at(20_000)));
        // When nobody has looked, whoever comes next says it.
        assert!(matches!(note(20_000), Note::Say(2)));
        assert_eq!(reached.counts(), [(Limit::Timers, 1002), (Limit::Links, 1)]);
    }

    #[test]
    fn what_is_said_names_the_limit_and_counts() {
        let text = Limit::MailboxSignals.text(4096, 17);
        assert_eq!(text, "mailbox full: 4096 signals; 17 messages refused (limit `mailbox_signals`)");
        assert!(Limit::Children.text(8, 1).contains("8 processes; 1 spawn refused (limit `children`)"));
        let text = Limit::CpuPercent.text(10, 2);
        assert_eq!(
            text,
            "processor time used up: 10 percent of a processor; 2 turns held up (limit `cpu_percent`)"
        );
        // Each has a name of its own, in the order of its number.
        for (index, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, index);
            assert!(Limit::ALL[..index].iter().all(|other| other.name() != limit.name()));
        }
    }
}
