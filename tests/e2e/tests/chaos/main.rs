// SPDX-License-Identifier: AGPL-3.0-or-later
//! The evening of chaos: very many processes under supervisors on a server and three clients, which crash, loop, leak and
//! flood each other for minutes, while clients are killed and cut off.
//!
//! It passes if the space does not mind:
//! - a pair of processes that exchange messages all the while sees 99 of 100 answers within [`P99_MAX`];
//! - each crash that was ordered is in the log of who crashed, with its reason, and in that of its supervisor;
//! - every supervisor does what OTP says: what crashed is there again, what its strategy leaves alone is the same process
//!   as before, whoever had to give up gave up and was started again by its own supervisor, and what ran on a client that
//!   went away is started there again;
//! - a while after the end the server has as much memory as before, within [`GROWTH_MAX`].
//!
//! Crashes are ordered and looked after inside, by a conductor on each peer (`tests/guests`); this is what is outside: the
//! programs, the wire, the logs, the memory. `HEARTH_CHAOS_SEED` repeats what a failed evening has printed, as far as
//! chance goes; the order in which things happen beside each other is the machine's.
//!
//! It is a minute in the ordinary test and ten minutes at night: [`Form`]. `HEARTH_CHAOS_WORKERS` tries
//! another number of workers on the server.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod evening;
mod stage;

use std::{io::Write as _, time::Duration};

/// What the watchers must see.
const P99_MAX: Duration = Duration::from_millis(10);
/// By how much the memory of the server may have grown.
const GROWTH_MAX: f64 = 0.05;

/// How much of it there is.
#[derive(Clone, Debug)]
struct Form {
    /// Workers of the server.
    workers: u32,
    /// How long things happen.
    length: Duration,
    /// How long it is quiet then, before the memory is looked at.
    quiet: Duration,
    /// The time between two crashes on the server.
    pace: Duration,
    /// The same on each client.
    client_pace: Duration,
}

impl Form {
    /// Most evenings: a minute.
    fn short() -> Form {
        Form {
            workers: 50_000,
            length: Duration::from_secs(60),
            quiet: Duration::from_secs(25),
            pace: Duration::from_millis(200),
            client_pace: Duration::from_secs(1),
        }
    }

    /// All of it.
    fn long() -> Form {
        Form { length: Duration::from_secs(600), quiet: Duration::from_secs(60), ..Form::short() }
    }
}

/// Says what happens, to a person who waits: also when the test passes.
fn tell(text: &str) {
    // Whether somebody reads it is not for this test to say.
    let _ = writeln!(std::io::stderr(), "chaos: {text}");
}

#[test]
fn a_minute_of_chaos() {
    evening::run(&Form::short());
}

#[test]
#[ignore = "takes thirteen minutes: a step of `cargo xtask nightly`"]
fn an_evening_of_chaos() {
    evening::run(&Form::long());
}
