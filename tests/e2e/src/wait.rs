// SPDX-License-Identifier: AGPL-3.0-or-later
//! Waiting for what can be seen.

use std::{
    panic::Location,
    thread::sleep,
    time::{Duration, Instant},
};

/// Long enough for anything that happens at all, also on a machine with much else to do: a test that
/// passes never waits so long, and one that fails may.
pub const LONG: Duration = Duration::from_secs(90);

/// Asks again and again, at growing intervals, until there is an answer.
///
/// # Panics
/// There is none within the time.
#[track_caller]
pub fn wait_until<T>(what: &str, timeout: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            started.elapsed() < timeout,
            "waited {} s in vain until {what} ({})",
            timeout.as_secs(),
            Location::caller()
        );
        sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_millis(250));
    }
}
