// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the processes of a client have of the names and groups of the space. The server keeps those, and forgets them
//! when it is started again, and when one of the two has given the other up. As soon as they are there for each other
//! again, the client asks for the same once more.
//!
//! What somebody else has got meanwhile is theirs: whoever had it finds that in its log.

use crate::node::Inner;
use hearth_abi::{Errno, ProcessId};
use hearth_process::Level;
use hearth_protocol::control::{DirectoryOp, Failure};
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How often something is asked for again that the server has no time for.
const TRIES_MAX: u32 = 20;
/// How long to wait before that.
const PAUSE: Duration = Duration::from_secs(1);

/// A name, or a group, of a process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    process: ProcessId,
    is_group: bool,
    name: String,
}

/// What the processes of this peer have. The server has allowed each, so its limits bound them.
pub(crate) struct Claims(Mutex<State>);

struct State {
    held: BTreeSet<Claim>,
    /// Given up, but the server may have it still: it was asked for again when the connection broke.
    owed: BTreeSet<Claim>,
    /// How often all was asked for again.
    round: u64,
    /// Whether all is to be asked for again when the server has said how it goes on.
    is_due: bool,
}

impl Default for Claims {
    fn default() -> Claims {
        // What is asked for before the server has said so for the first time may be asked of the one before.
        Claims(Mutex::new(State { held: BTreeSet::new(), owed: BTreeSet::new(), round: 0, is_due: true }))
    }
}

impl Claims {
    /// The server forgets what it kept, or may have.
    pub(crate) fn are_forgotten(&self) {
        self.0.lock().is_due = true;
    }

    /// A process has ended.
    pub(crate) fn ended(&self, process: ProcessId) {
        let mut state = self.0.lock();
        let first = Claim { process, is_group: false, name: String::new() };
        let State { held, owed, .. } = &mut *state;
        for claims in [held, owed] {
            let all = claims.range(first.clone()..).take_while(|claim| claim.process == process);
            let all: Vec<Claim> = all.cloned().collect();
            for claim in all {
                claims.remove(&claim);
            }
        }
    }

    fn round(&self) -> u64 {
        self.0.lock().round
    }

    fn has(&self, claim: &Claim) -> bool {
        self.0.lock().held.contains(claim)
    }

    fn remove(&self, claim: &Claim) {
        self.0.lock().held.remove(claim);
    }

    /// It was asked for again, and nobody knows what became of that. If it is not held any more, it is to be given back.
    fn owe_unless_held(&self, claim: &Claim) {
        let mut state = self.0.lock();
        if !state.held.contains(claim) {
            state.owed.insert(claim.clone());
        }
    }

    /// Notes what the server has allowed; `false` if it was asked for before all was asked for again, so that nobody knows
    /// whether the server has it still.
    fn note(&self, claim: Claim, round: u64) -> bool {
        let mut state = self.0.lock();
        let is_sure = state.round == round;
        if is_sure {
            state.held.insert(claim);
        }
        is_sure
    }

    /// All that is to be asked for again now, and, where that is said, to be given back if it is not held.
    fn due(&self) -> Vec<(Claim, bool)> {
        let mut state = self.0.lock();
        if !std::mem::take(&mut state.is_due) {
            return Vec::new();
        }
        state.round += 1;
        let owed = std::mem::take(&mut state.owed);
        let mut due: Vec<_> = state.held.iter().map(|claim| (claim.clone(), owed.contains(claim))).collect();
        due.extend(owed.into_iter().filter(|claim| !state.held.contains(claim)).map(|claim| (claim, true)));
        due
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let state = self.0.lock();
        state.held.len() + state.owed.len()
    }
}

impl Inner {
    /// Asks the server for something about the names and groups of the space, and notes what a process has of it.
    ///
    /// # Errors
    /// The server refuses, or is not to be reached.
    pub(crate) async fn claim(
        &self,
        op: DirectoryOp,
        name: String,
        process: ProcessId,
    ) -> Result<Vec<ProcessId>, Failure> {
        let is_group = matches!(op, DirectoryOp::Join | DirectoryOp::Leave);
        let claim = Claim { process, is_group, name: name.clone() };
        if matches!(op, DirectoryOp::Unregister | DirectoryOp::Leave) {
            // First: what is asked for again meanwhile is given back when this is seen.
            self.claims.remove(&claim);
        }
        loop {
            let round = self.claims.round();
            let ids = self.ask_server(op, &name, process).await?;
            let is_given = matches!(op, DirectoryOp::Register | DirectoryOp::Join);
            if !is_given {
                return Ok(ids);
            }
            if self.claims.note(claim.clone(), round) {
                // If it has ended since, nobody else takes that away.
                if self.processes.info(process).is_none() {
                    self.claims.remove(&claim);
                }
                return Ok(ids);
            }
        }
    }

    /// The server has said how what was between it and this client goes on: whatever it has forgotten is asked for again.
    pub(crate) fn claim_again(self: &Arc<Self>) {
        let claims = self.claims.due();
        if claims.is_empty() {
            return;
        }
        let inner = self.clone();
        tokio::spawn(async move {
            for (claim, may_be_there) in claims {
                if !inner.renew(claim, may_be_there).await {
                    // When the server is there again, from the beginning.
                    return inner.claims.are_forgotten();
                }
            }
        });
    }

    /// Asks for one thing again, or gives it back if it `may_be_there` and is held no more; `false` if the server is not to be
    /// reached.
    async fn renew(&self, claim: Claim, may_be_there: bool) -> bool {
        let (gives, takes) = match claim.is_group {
            false => (DirectoryOp::Register, DirectoryOp::Unregister),
            true => (DirectoryOp::Join, DirectoryOp::Leave),
        };
        let mut was_asked = may_be_there;
        for _ in 0..TRIES_MAX {
            let has = self.claims.has(&claim);
            if !has && !was_asked {
                return true;
            }
            was_asked = true;
            // It may be given up meanwhile, perhaps before it was had again.
            let op = if has { gives } else { takes };
            let asked = self.ask_server(op, &claim.name, claim.process).await;
            match asked.map_err(|failure| (Errno::from_number(failure.errno), failure.reason)) {
                // The server has done it; or has seen by itself that it was given up, or that the process has ended.
                Ok(_) | Err((Some(Errno::NotFound), _)) if self.claims.has(&claim) == has => return true,
                Ok(_) | Err((Some(Errno::NotFound), _)) => {}
                Err((Some(Errno::NoPeer), _)) => {
                    self.claims.owe_unless_held(&claim);
                    return false;
                }
                Err((Some(Errno::Taken | Errno::Invalid), reason)) => {
                    self.claims.remove(&claim);
                    let what = if claim.is_group { "group" } else { "name" };
                    let text = format!("the {what} `{}` of the space is lost: {reason}", claim.name);
                    self.processes.log(claim.process, Level::Warn, "host", &text);
                    return true;
                }
                // It answers too many already, or is slow, or its clerk has just ended.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        self.claims.remove(&claim);
        let text = format!("`{}` of the space is lost: the server does not answer", claim.name);
        self.processes.log(claim.process, Level::Warn, "host", &text);
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use hearth_abi::PeerId;

    fn claim(serial: u64, name: &str) -> Claim {
        let process = ProcessId::new(PeerId::new(7).unwrap(), serial).unwrap();
        Claim { process, is_group: false, name: name.into() }
    }

    #[test]
    fn what_was_given_up_while_it_was_asked_for_again_is_given_back_with_the_next_connection() {
        let claims = Claims::default();
        let (kept, given_up) = (claim(1, "ash"), claim(1, "birch"));
        for claim in [&kept, &given_up] {
            assert!(claims.note(claim.clone(), claims.round()));
        }
        assert_eq!(claims.due(), [(kept.clone(), false), (given_up.clone(), false)]);

        // The connection breaks while both are asked for, and one of them is not held any more.
        claims.remove(&given_up);
        for claim in [&kept, &given_up] {
            claims.owe_unless_held(claim);
        }
        claims.are_forgotten();
        assert_eq!(claims.due(), [(kept.clone(), false), (given_up.clone(), true)]);
        claims.are_forgotten();
        assert_eq!(claims.due(), [(kept, false)], "once");
    }

    #[test]
    fn of_a_process_that_has_ended_nothing_is_left() {
        let claims = Claims::default();
        let (ends, other) = (claim(1, "ash"), claim(2, "ash"));
        assert!(claims.note(ends.clone(), claims.round()));
        claims.owe_unless_held(&claim(1, "birch"));
        claims.owe_unless_held(&other);
        assert_eq!(claims.len(), 3);
        claims.ended(ends.process);
        assert_eq!(claims.due(), [(other, true)]);
        assert_eq!(claims.len(), 0);
    }
}
