// SPDX-License-Identifier: AGPL-3.0-or-later
//! When to try again: exponential, with jitter, and without a clock of its own.

use std::time::Duration;

use rand::Rng;

/// Delays between attempts to reconnect.
///
/// Each delay is drawn evenly from the upper half of a window that doubles up to a limit, so that
/// a hundred peers who lost one server do not all come back in the same instant.
///
/// ```
/// use hearth_net::Backoff;
/// use rand::SeedableRng;
///
/// let mut rng = rand::rngs::StdRng::seed_from_u64(1);
/// let mut backoff = Backoff::default();
/// let first = backoff.next_delay(&mut rng);
/// assert!(first >= std::time::Duration::from_millis(125));
/// assert!(first <= std::time::Duration::from_millis(250));
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl Default for Backoff {
    /// From a quarter of a second to 15 seconds.
    fn default() -> Self {
        Self::new(Duration::from_millis(250), Duration::from_secs(15))
    }
}

impl Backoff {
    /// Windows from `first`, doubling up to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, attempts: 0 }
    }

    /// How long to wait before the next attempt.
    pub fn next_delay(&mut self, rng: &mut impl Rng) -> Duration {
        let doubled = 1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        let window = self.first.saturating_mul(doubled).min(self.longest);
        self.attempts = self.attempts.saturating_add(1);
        window / 2 + (window / 2).mul_f64(rng.gen_range(0.0..=1.0))
    }

    /// Attempts since the last success.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Call after a link has proved useful, so that the next loss starts with a short delay.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn windows_double_up_to_the_limit_and_start_again() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for window_ms in [100, 200, 400, 800, 1000, 1000] {
            let delay = backoff.next_delay(&mut rng).as_secs_f64() * 1000.0;
            assert!(
                delay >= f64::from(window_ms) / 2.0 && delay <= f64::from(window_ms),
                "{delay} is not in the window of {window_ms}"
            );
        }
        for _ in 0..200 {
            assert!(backoff.next_delay(&mut rng) <= Duration::from_secs(1));
        }
        backoff.reset();
        assert!(backoff.next_delay(&mut rng) <= Duration::from_millis(100));
    }
}
