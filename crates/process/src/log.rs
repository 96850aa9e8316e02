// SPDX-License-Identifier: AGPL-3.0-or-later
//! The log of one process: a ring of its newest lines, and followers.

use crate::Limits;
use hearth_abi::Errno;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, OnceLock},
    time::{Instant, SystemTime},
};
use tokio::sync::broadcast;

/// Longest text of a line in bytes; what is longer is cut.
pub const TEXT_LEN_MAX: usize = 4096;

/// Longest target in bytes; what is longer is cut.
const TARGET_LEN_MAX: usize = 128;

/// Lines and bytes that a process's log keeps; the oldest go first.
const LINES_KEPT: usize = 1000;
const BYTES_KEPT: usize = 128 << 10;

/// Lines that wait for a slow follower; it is told how many it lost.
const FOLLOWER_LAG_MAX: usize = 512;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Something went wrong.
    Error = 1,
    /// Something looks wrong.
    Warn = 2,
    /// Something worth knowing happened.
    Info = 3,
    /// For whoever looks for a fault.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

impl Level {
    /// The level of this number of the guest contract.
    pub fn from_number(number: i32) -> Option<Level> {
        [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace]
            .into_iter()
            .find(|level| *level as i32 == number)
    }

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One line of a log. The text may hold line breaks (a backtrace).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its number in this log, from 0; gaps never occur.
    pub number: u64,
    /// When it was logged.
    pub time: SystemTime,
    /// How much it matters.
    pub level: Level,
    /// The part of the program it comes from; `host` for what the peer writes.
    pub target: String,
    /// What it says.
    pub text: String,
}

/// What a follower sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowEvent {
    /// The next line.
    Line(Arc<LogLine>),
    /// So many lines were lost here, because the follower was too slow.
    Lost(u64),
}

/// Reads a log from some line on, until its process has ended.
pub struct LogFollower {
    backlog: VecDeque<Arc<LogLine>>,
    live: Option<broadcast::Receiver<Arc<LogLine>>>,
}

impl LogFollower {
    /// Drops all but the last `n` of the lines that were there when following began.
    pub fn keep_last(&mut self, n: usize) {
        let excess = self.backlog.len().saturating_sub(n);
        self.backlog.drain(..excess);
    }

    /// The next line, or how many were lost; `None` once the process has ended and all was read.
    pub async fn next(&mut self) -> Option<FollowEvent> {
        if let Some(line) = self.backlog.pop_front() {
            return Some(FollowEvent::Line(line));
        }
        match self.live.as_mut()?.recv().await {
            Ok(line) => Some(FollowEvent::Line(line)),
            Err(broadcast::error::RecvError::Lagged(lost)) => Some(FollowEvent::Lost(lost)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// The log of a process. Takes no memory of its own until the first line.
#[derive(Default)]
pub(crate) struct Log(OnceLock<Box<Mutex<Inner>>>);

struct Inner {
    lines: VecDeque<Arc<LogLine>>,
    bytes: usize,
    next: u64,
    followers: Option<broadcast::Sender<Arc<LogLine>>>,
    /// Lines that may be logged now, and when that was reckoned.
    tokens: f64,
    reckoned: Instant,
    lost: u64,
    closed: bool,
}

impl Inner {
    fn append(&mut self, level: Level, target: &str, text: &str) {
        let line = Arc::new(LogLine {
            number: self.next,
            time: SystemTime::now(),
            level,
            target: cut(target, TARGET_LEN_MAX).to_owned(),
            text: text.to_owned(),
        });
        self.next += 1;
        self.bytes += cost(&line);
        if let Some(followers) = &self.followers {
            // An error means that nobody follows any more.
            if followers.send(line.clone()).is_err() {
                self.followers = None;
            }
        }
        self.lines.push_back(line);
        while self.lines.len() > LINES_KEPT || self.bytes > BYTES_KEPT && self.lines.len() > 1 {
            if let Some(old) = self.lines.pop_front() {
                self.bytes -= cost(&old);
            }
        }
    }
}

fn cost(line: &LogLine) -> usize {
    size_of::<LogLine>() + line.target.len() + line.text.len()
}

/// The longest beginning of at most `len` bytes that is whole characters.
fn cut(text: &str, len: usize) -> &str {
    &text[..text.floor_char_boundary(len)]
}

impl Log {
    fn with<R>(&self, limits: &Limits, f: impl FnOnce(&mut Inner) -> R) -> R {
        let inner = self.0.get_or_init(|| {
            Box::new(Mutex::new(Inner {
                lines: VecDeque::new(),
                bytes: 0,
                next: 0,
                followers: None,
                tokens: f64::from(limits.log_burst),
                reckoned: Instant::now(),
                lost: 0,
                closed: false,
            }))
        });
        f(&mut inner.lock())
    }

    /// A line that the process writes; refused when it writes too many.
    pub(crate) fn write(&self, limits: &Limits, level: Level, target: &str, text: &str) -> Result<(), Errno> {
        self.with(limits, |inner| {
            if inner.closed {
                return Err(Errno::NotFound);
            }
            let now = Instant::now();
            let earned = now.duration_since(inner.reckoned).as_secs_f64() * f64::from(limits.log_lines_per_s);
            inner.tokens = (inner.tokens + earned).min(f64::from(limits.log_burst));
            inner.reckoned = now;
            if inner.tokens < 1.0 {
                inner.lost += 1;
                return Err(Errno::Limit);
            }
            inner.tokens -= 1.0;
            inner.tell_lost();
            inner.append(level, target, cut(text, TEXT_LEN_MAX));
            Ok(())
        })
    }

    /// A line that the peer writes.
    pub(crate) fn write_host(&self, limits: &Limits, level: Level, target: &str, text: &str) {
        self.with(limits, |inner| {
            if !inner.closed {
                inner.tell_lost();
                inner.append(level, target, cut(text, TEXT_LEN_MAX));
            }
        });
    }

    /// The last line; followers end after it.
    pub(crate) fn close(&self, limits: &Limits, level: Level, text: &str) {
        self.with(limits, |inner| {
            inner.tell_lost();
            inner.append(level, "host", cut(text, 4 * TEXT_LEN_MAX));
            inner.followers = None;
            inner.closed = true;
        });
    }

    /// Whether anything was ever logged.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }

    pub(crate) fn last(&self, n: usize) -> Vec<Arc<LogLine>> {
        let Some(inner) = self.0.get() else { return Vec::new() };
        let inner = inner.lock();
        inner.lines.iter().skip(inner.lines.len().saturating_sub(n)).cloned().collect()
    }

    pub(crate) fn follow(&self, limits: &Limits) -> LogFollower {
        self.with(limits, |inner| {
            let backlog = inner.lines.iter().cloned().collect();
            if inner.closed {
                return LogFollower { backlog, live: None };
            }
            let followers = inner.followers.get_or_insert_with(|| broadcast::channel(FOLLOWER_LAG_MAX).0);
            LogFollower { backlog, live: Some(followers.subscribe()) }
        })
    }
}

impl Inner {
    fn tell_lost(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            let lines = if lost == 1 { "line was" } else { "lines were" };
            self.append(Level::Warn, "host", &format!("{lost} {lines} lost here: too many at once"));
        }
    }
}
