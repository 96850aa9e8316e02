// SPDX-License-Identifier: AGPL-3.0-or-later
//! Clocks and timers.

use crate::{runtime::Pending, sys};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// Time since the peer started; never goes back. Compare it only with itself.
pub fn monotonic() -> Duration {
    Duration::from_nanos(sys::clock_monotonic())
}

/// Time since 1970-01-01 UTC, as the peer's machine knows it.
pub fn wall() -> Duration {
    Duration::from_nanos(sys::clock_wall())
}

/// How long this process was held up so far because it, or all processes of its peer of origin together, had used up its processor
/// time: the limit `cpu_percent`. A script whose work may be put off looks at it before and after a piece of that, and does
/// less if it grows.
pub fn throttled() -> Duration {
    Duration::from_nanos(sys::throttled())
}

fn nanos(duration: Duration) -> u64 {
    // Above it: 292 years. The contract's number is signed.
    duration.as_nanos().min(i64::MAX as u128) as u64
}

/// A wait; made by [`sleep`]. Dropped, its timer is stopped.
pub struct Sleep(Option<Pending>);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(pending) => Pin::new(pending).poll(context).map(|_answer| ()),
            // A process out of timers cannot wait; to go on at once would be a busy loop.
            None => Poll::Pending,
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(pending) = &self.0
            && !pending.is_answered()
        {
            // Not found: its signal is under way already, and will find nobody.
            sys::cancel_timer(pending.tag());
        }
    }
}

/// Waits this long. The time starts when this is called.
///
/// A process has at most 1,024 timers; a further wait is logged as an error and never ends.
pub fn sleep(duration: Duration) -> Sleep {
    let pending = Pending::ask(|tag| sys::timer(nanos(duration), tag));
    Sleep(pending.inspect_err(|errno| crate::error!("no timer: {errno}")).ok())
}

/// A beat; made by [`interval`].
pub struct Interval {
    next: Duration,
    period: Duration,
}

/// A beat of this period, which must not be zero; the first is one period from now.
pub fn interval(period: Duration) -> Interval {
    let period = period.max(Duration::from_nanos(1));
    Interval { next: monotonic() + period, period }
}

impl Interval {
    /// Waits for the next beat, and tells when it was to be. Beats that were missed are left out.
    pub async fn tick(&mut self) -> Duration {
        let now = monotonic();
        if now < self.next {
            sleep(self.next - now).await;
        }
        let beat = self.next;
        let late = monotonic().saturating_sub(beat).as_nanos() / self.period.as_nanos();
        self.next = beat + self.period * (u32::try_from(late).unwrap_or(u32::MAX).saturating_add(1));
        beat
    }
}
