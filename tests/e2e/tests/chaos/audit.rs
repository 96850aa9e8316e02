// SPDX-License-Identifier: AGPL-3.0-or-later
//! The crashes that were ordered, beside what the logs tell of them.
//!
//! A peer keeps the logs of the last few hundred processes that have ended: they are read as soon as a crash is known.

use hearth_e2e::{Output, Peer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What was found so far.
#[derive(Default)]
pub(crate) struct Audit {
    /// Crashes whose logs were right.
    pub(crate) right: usize,
    /// What was not.
    pub(crate) wrong: Vec<String>,
    /// Supervisors whose own log is still to be read, of each peer, and of whose ends it must tell.
    told: BTreeMap<&'static str, BTreeMap<String, BTreeSet<String>>>,
}

fn text<'a>(crash: &'a Value, field: &str) -> &'a str {
    crash[field].as_str().unwrap_or_default()
}

impl Audit {
    /// Takes what a conductor has reported since the last time.
    pub(crate) fn take(&mut self, name: &'static str, peer: &Peer, report: &Value) {
        for wrong in report["wrong"].as_array().into_iter().flatten() {
            self.wrong.push(format!("{name}: {}", wrong.as_str().unwrap_or_default()));
        }
        for crash in report["crashes"].as_array().into_iter().flatten() {
            let process = text(crash, "process");
            let log = peer.ctl(&["tail", "-n", "20", process]);
            self.check_own(name, crash, &log);
            let supervisors = self.told.entry(name).or_default();
            supervisors.entry(text(crash, "supervisor").into()).or_default().insert(process.into());
        }
        // It will not be kept for long.
        for gone in report["given_up"].as_array().into_iter().flatten() {
            let supervisor = text(gone, "process");
            let log = peer.ctl(&["tail", "-n", "1000", supervisor]);
            self.check_own(name, gone, &log);
            self.check_supervisor(name, supervisor, &log);
        }
    }

    /// A log must end with the reason, after the last words.
    fn check_own(&mut self, name: &str, crash: &Value, log: &Output) {
        let lines = log.text();
        let ended = format!("\tended\t{}: {}", text(crash, "kind"), text(crash, "reason"));
        let is_in = lines.lines().last().is_some_and(|last| last.contains(&ended));
        let has_said = crash["last_words"].as_str().is_none_or(|words| lines.contains(words));
        if is_in && has_said {
            self.right += 1;
        } else {
            self.wrong.push(format!("{name}: the log of {crash} is `{lines}`{}", log.stderr));
        }
    }

    fn check_supervisor(&mut self, name: &str, supervisor: &str, log: &Output) {
        let Some(ended) = self.told.get_mut(name).and_then(|told| told.remove(supervisor)) else { return };
        let lines = log.text();
        for process in ended.iter().filter(|process| !lines.contains(&format!("({process}) ended: "))) {
            self.wrong.push(format!(
                "{name}: the supervisor {supervisor} has not logged the end of {process}: `{lines}`{}",
                log.stderr
            ));
        }
    }

    /// Reads the logs of the supervisors that still live.
    pub(crate) fn finish(&mut self, name: &'static str, peer: &Peer) {
        let supervisors: Vec<String> =
            self.told.get(name).into_iter().flat_map(BTreeMap::keys).cloned().collect();
        for supervisor in supervisors {
            let log = peer.ctl(&["tail", "-n", "1000", &supervisor]);
            self.check_supervisor(name, &supervisor, &log);
        }
    }

    /// A peer is no more, and its logs with it.
    pub(crate) fn forget(&mut self, name: &str) {
        self.told.remove(name);
    }
}
