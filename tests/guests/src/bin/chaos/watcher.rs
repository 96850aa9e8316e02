// SPDX-License-Identifier: AGPL-3.0-or-later
//! A watcher: sends to an echo again and again, and keeps how long it took until the answer was there.

use hearth_sdk::{prelude::*, process::ExitReason, time::monotonic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    /// Sent at this time, in nanoseconds.
    Ping(u64),
    /// What was seen since the last time that this was asked.
    Report,
}

/// What was seen. Times are in microseconds.
#[derive(Serialize)]
struct Seen {
    sent: u64,
    /// Answers; what is missing was lost, or is on its way.
    answered: u64,
    p50_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
    /// How late the watcher itself was with sending: it wakes from a timer.
    late_p99_us: u64,
    late_max_us: u64,
}

/// How often each time was seen: 32 steps for each power of two, so that a percentile is right within 3 %.
struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max_us: u64,
}

const STEP_BITS: u32 = 5;
const STEPS: u64 = 1 << STEP_BITS;

impl Histogram {
    fn new() -> Histogram {
        Histogram { counts: vec![0; Histogram::bucket(u64::MAX) + 1], count: 0, max_us: 0 }
    }

    fn bucket(us: u64) -> usize {
        let Some(power) = us.checked_ilog2().filter(|power| *power >= STEP_BITS) else { return us as usize };
        let shift = power - STEP_BITS;
        (u64::from(shift) * STEPS + (us >> shift)) as usize
    }

    /// The largest time of a bucket.
    fn most(bucket: usize) -> u64 {
        let bucket = bucket as u64;
        let shift = (bucket / STEPS).saturating_sub(1);
        ((bucket - shift * STEPS) << shift) + ((1 << shift) - 1)
    }

    fn add(&mut self, us: u64) {
        self.counts[Histogram::bucket(us)] += 1;
        self.count += 1;
        self.max_us = self.max_us.max(us);
    }

    /// The time within which `of` of 1000 were.
    fn permille(&self, of: u64) -> u64 {
        let wanted = (self.count * of).div_ceil(1000).max(1);
        let mut sum = 0;
        let reached = self.counts.iter().position(|count| {
            sum += count;
            sum >= wanted
        });
        reached.map_or(0, |bucket| Histogram::most(bucket).min(self.max_us))
    }
}

struct Watch {
    sent: u64,
    took: Histogram,
    late: Histogram,
}

impl Watch {
    fn new() -> Watch {
        Watch { sent: 0, took: Histogram::new(), late: Histogram::new() }
    }

    fn seen(&self) -> Seen {
        Seen {
            sent: self.sent,
            answered: self.took.count,
            p50_us: self.took.permille(500),
            p99_us: self.took.permille(990),
            p999_us: self.took.permille(999),
            max_us: self.took.max_us,
            late_p99_us: self.late.permille(990),
            late_max_us: self.late.max_us,
        }
    }
}

fn us_since(then: Duration) -> u64 {
    monotonic().saturating_sub(then).as_micros() as u64
}

/// Arguments: the echo, and the time between two messages in milliseconds. Nothing is waited for before the next
/// is sent, so that a long wait counts as many.
pub(crate) async fn run(args: &[&str]) -> Option<ExitReason> {
    let [echo, period] = args[..] else { return None };
    let echo: ProcessId = echo.parse().ok()?;
    let period = Duration::from_millis(period.parse().ok()?);
    let mut watch = Watch::new();
    let mut due = monotonic() + period;
    loop {
        match race(sleep(due.saturating_sub(monotonic())), recv::<Message>()).await {
            Either::Left(()) => {
                watch.late.add(us_since(due));
                while due <= monotonic() {
                    due += period;
                    watch.sent += 1;
                    if let Err(error) = send(echo, &Message::Ping(monotonic().as_nanos() as u64)) {
                        debug!("a message was lost: {error}");
                    }
                }
            }
            Either::Right(message) => match message.body {
                Message::Ping(sent) => watch.took.add(us_since(Duration::from_nanos(sent))),
                Message::Report => {
                    if let Err(error) = message.reply(&watch.seen()) {
                        warn!("no report: {error}");
                    }
                    watch = Watch::new();
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_right_within_a_step() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.permille(990), 0);
        for us in 1..=100_000 {
            histogram.add(us);
        }
        for (of, expected) in [(500, 50_000), (990, 99_000), (999, 99_900), (1000, 100_000)] {
            let found = histogram.permille(of);
            assert!(found >= expected && found <= expected + expected / 30, "{of}: {found}");
        }
    }

    #[test]
    fn every_time_has_its_bucket() {
        let times =
            (0..5000).chain((0..64).flat_map(|power| [(1u64 << power) - 1, 1 << power])).chain([u64::MAX]);
        for us in times {
            let bucket = Histogram::bucket(us);
            assert!(us <= Histogram::most(bucket), "{us}");
            assert!(bucket == 0 || us > Histogram::most(bucket - 1), "{us}");
        }
    }
}
