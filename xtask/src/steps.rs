// SPDX-License-Identifier: AGPL-3.0-or-later
//! A list of steps, each of which runs, fails or is skipped for a reason, with its time.

use crate::exec::{Failure, Result, progress};
use std::time::{Duration, Instant};

/// How a step that did not fail ended.
pub(crate) enum Outcome {
    Ran,
    Skipped(String),
}

/// Runs steps and keeps what became of them.
pub(crate) struct Steps {
    name: &'static str,
    done: Vec<(&'static str, std::result::Result<Outcome, Failure>, Duration)>,
}

impl Steps {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, done: Vec::new() }
    }

    /// Runs one step; a failure does not keep the next ones from running.
    pub(crate) fn step(&mut self, name: &'static str, run: impl FnOnce() -> Result<Outcome>) {
        progress(format!("{}: {name}", self.name));
        let start = Instant::now();
        let outcome = run();
        match &outcome {
            Ok(Outcome::Ran) => {}
            Ok(Outcome::Skipped(reason)) => println!("   skipped: {reason}"),
            Err(failure) => print!("{failure}"),
        }
        self.done.push((name, outcome, start.elapsed()));
    }

    /// A step that cannot be skipped.
    pub(crate) fn always(&mut self, name: &'static str, run: impl FnOnce() -> Result<()>) {
        self.step(name, || run().map(|()| Outcome::Ran));
    }

    /// Prints the table.
    ///
    /// # Errors
    /// If a step failed.
    pub(crate) fn finish(self) -> Result<()> {
        progress(format!("{}:", self.name));
        let mut failed = Vec::new();
        for (name, outcome, time) in &self.done {
            let seconds = time.as_secs_f64();
            let word = match outcome {
                Ok(Outcome::Ran) => "ok".to_owned(),
                Ok(Outcome::Skipped(reason)) => format!("skipped: {reason}"),
                Err(_) => {
                    failed.push(*name);
                    "FAILED".to_owned()
                }
            };
            println!("   {name:20} {seconds:8.1} s  {word}");
        }
        if failed.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!("{} failed: {}", self.name, failed.join(", "))))
    }
}
