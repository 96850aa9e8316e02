// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a simulated space may look like: what its processes have done, and what may have come of it.

mod asked;

use super::{Trace, puppet::Hand, space::Space};
use crate::{node::Inner, ties::CONFIRM_EVERY};
use asked::{Asked, Child, Replaced};
use hearth_abi::{
    Errno, ProcessId,
    signal::{EXIT_OF_LINK, Kind},
};
use hearth_process::{ExitKind, ExitReason, RegisterError, SendError, Signal, TiesInfo};
use hearth_protocol::control::{DirectoryOp, Failure};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A monitor that a process has made.
struct Monitor {
    /// `None` while it has asked for that one and has no answer.
    of: Option<ProcessId>,
    /// Whether it was to be made with the answer.
    is_asked: bool,
    /// Whether its signal has come.
    is_told: bool,
    /// Whether it was taken away.
    is_away: bool,
    /// Whether it was to be taken away and had told already.
    was_told: bool,
}

impl Monitor {
    fn of(of: Option<ProcessId>) -> Monitor {
        Monitor { of, is_asked: false, is_told: false, is_away: false, was_told: false }
    }
}

/// What a process was told of a name or group of the space.
struct Claim {
    /// When it asked.
    step: u64,
    /// Whether it has it; nobody knows when the answer did not come.
    is_held: Option<bool>,
}

type Answer = Arc<Mutex<Option<Result<Vec<ProcessId>, Failure>>>>;

struct Ask {
    op: DirectoryOp,
    name: String,
    step: u64,
    answer: Answer,
}

/// One process.
struct Known {
    hand: Hand,
    peer: Arc<Inner>,
    home: usize,
    traps: bool,
    ended: Option<ExitReason>,
    /// For what reasons it was asked to end.
    may_end: Vec<ExitReason>,
    /// With whom it may ever have been linked.
    ever_linked: BTreeSet<ProcessId>,
    /// With whom one of the two has linked itself, knowing it.
    told_to_link: BTreeSet<ProcessId>,
    /// Whom it has ever unlinked.
    unlinked: BTreeSet<ProcessId>,
    /// Its links when it was looked at last.
    links: BTreeSet<ProcessId>,
    /// Whom it has linked or unlinked since.
    linked_now: BTreeSet<ProcessId>,
    unlinked_now: BTreeSet<ProcessId>,
    monitors: BTreeMap<u64, Monitor>,
    /// When it has sent the messages to each.
    sent: BTreeMap<ProcessId, Vec<u64>>,
    /// Which messages of each it has taken.
    heard: BTreeMap<ProcessId, Vec<u32>>,
    /// Names on its peer.
    names: BTreeSet<String>,
    ask: Option<Ask>,
    /// Names (`false`) and groups (`true`) of the space.
    claims: BTreeMap<(bool, String), Claim>,
    /// What it has asked for, by tag.
    asks: BTreeMap<u64, Asked>,
    /// For whom it was made, if somebody has asked for it.
    child: Option<Child>,
    /// What became of new code, when it is known.
    replaced: Option<Replaced>,
}

impl Known {
    fn new(hand: Hand, peer: Arc<Inner>, home: usize) -> Known {
        Known {
            hand,
            peer,
            home,
            traps: false,
            ended: None,
            may_end: Vec::new(),
            ever_linked: BTreeSet::new(),
            told_to_link: BTreeSet::new(),
            unlinked: BTreeSet::new(),
            links: BTreeSet::new(),
            linked_now: BTreeSet::new(),
            unlinked_now: BTreeSet::new(),
            monitors: BTreeMap::new(),
            sent: BTreeMap::new(),
            heard: BTreeMap::new(),
            names: BTreeSet::new(),
            ask: None,
            claims: BTreeMap::new(),
            asks: BTreeMap::new(),
            child: None,
            replaced: None,
        }
    }
}

/// All that is known of a space.
#[derive(Default)]
pub(super) struct Model {
    processes: BTreeMap<ProcessId, Known>,
    /// When the way of each client was not as it should be, last.
    unsettled: BTreeMap<usize, u64>,
}

/// Whether two reasons are one, but for what only the log is told.
fn is_same(one: &ExitReason, other: &ExitReason) -> bool {
    (one.kind, &one.text, &one.data) == (other.kind, &other.text, &other.data)
}

// What processes do.
impl Model {
    pub(super) fn spawn(&mut self, peer: &Arc<Inner>, home: usize) -> ProcessId {
        let hand = Hand::spawn(&peer.processes, peer.me);
        let id = hand.id;
        let known = Known::new(hand, peer.clone(), home);
        assert!(self.processes.insert(id, known).is_none(), "a number is given once");
        id
    }

    pub(super) fn living(&self) -> Vec<ProcessId> {
        self.processes.iter().filter(|(_, known)| known.ended.is_none()).map(|(id, _)| *id).collect()
    }

    pub(super) fn all(&self) -> Vec<ProcessId> {
        self.processes.keys().copied().collect()
    }

    pub(super) fn lives(&self, id: ProcessId) -> bool {
        self.processes[&id].ended.is_none()
    }

    fn known(&mut self, id: ProcessId) -> &mut Known {
        self.processes.get_mut(&id).expect("it was spawned here")
    }

    /// Sends the next message of one to another: whether it goes out.
    pub(super) fn send(&mut self, from: ProcessId, to: ProcessId, step: u64) -> bool {
        let known = self.known(from);
        let sent = known.sent.entry(to).or_default();
        let number = sent.len() as u32;
        if known.hand.context().send(to, &number.to_le_bytes()).is_err() {
            return false;
        }
        sent.push(step);
        true
    }

    pub(super) fn link(&mut self, who: ProcessId, other: ProcessId) -> Result<(), Errno> {
        let known = self.known(who);
        known.linked_now.insert(other);
        known.ever_linked.insert(other);
        known.told_to_link.insert(other);
        let linked = known.hand.context().link(other);
        let known = self.known(other);
        known.ever_linked.insert(who);
        known.told_to_link.insert(who);
        linked
    }

    pub(super) fn unlink(&mut self, who: ProcessId, other: ProcessId) {
        let known = self.known(who);
        known.unlinked_now.insert(other);
        known.unlinked.insert(other);
        known.hand.context().unlink(other);
    }

    pub(super) fn monitor(&mut self, who: ProcessId, of: ProcessId) -> (u64, Result<(), Errno>) {
        let known = self.known(who);
        let tag = known.monitors.len() as u64;
        let made = known.hand.context().monitor(of, tag);
        known.monitors.insert(tag, Monitor { is_away: made.is_err(), ..Monitor::of(Some(of)) });
        (tag, made)
    }

    pub(super) fn tags(&self, who: ProcessId) -> Vec<u64> {
        let monitors = self.processes[&who].monitors.iter();
        monitors.filter(|(_, monitor)| !monitor.is_away).map(|(tag, _)| *tag).collect()
    }

    pub(super) fn demonitor(&mut self, who: ProcessId, tag: u64) -> Result<(), Errno> {
        let known = self.known(who);
        let done = known.hand.context().demonitor(tag);
        let monitor = known.monitors.get_mut(&tag).expect("it is one of these");
        match done {
            Ok(()) => {
                assert!(!monitor.is_told, "{who} has taken away monitor {tag}, of which it was told");
                monitor.is_away = true;
            }
            Err(_) => monitor.was_told = true,
        }
        done
    }

    pub(super) fn turn_trapping(&mut self, who: ProcessId) -> bool {
        let known = self.known(who);
        known.traps = !known.traps;
        let before = known.hand.context().trap_exits(known.traps);
        assert_ne!(before, known.traps);
        known.traps
    }

    pub(super) fn exit_to(
        &mut self,
        who: ProcessId,
        other: ProcessId,
        reason: &ExitReason,
    ) -> Result<(), SendError> {
        self.known(other).may_end.push(reason.clone());
        self.known(who).hand.context().exit_to(other, reason)
    }

    pub(super) fn kill(&mut self, who: ProcessId, other: ProcessId) -> Result<(), SendError> {
        self.known(other).may_end.push(ExitReason::of_kind(ExitKind::Killed));
        self.known(who).hand.context().kill(other, "")
    }

    pub(super) fn ends(&mut self, who: ProcessId, reason: ExitReason) {
        let known = self.known(who);
        known.may_end.push(reason.clone());
        known.hand.ends(reason);
    }

    /// Gives a process a name of its peer, or takes it: whether that was done.
    pub(super) fn name(&mut self, who: ProcessId, name: &str, is_more: bool) -> bool {
        let known = self.known(who);
        let context = known.hand.context();
        if !is_more {
            assert_eq!(context.unregister(name), known.names.remove(name), "{who} gives up {name}");
            return true;
        }
        match context.register(name) {
            Ok(()) => {
                known.names.insert(name.to_owned());
                true
            }
            Err(RegisterError::Taken { by }) => {
                assert!(by != who && !known.names.contains(name));
                let by = &self.processes[&by];
                assert!(by.ended.is_none() && by.names.contains(name), "{name} is of one who has not got it");
                false
            }
            Err(error) => panic!("{who} is refused {name}: {error}"),
        }
    }

    /// Asks for something about the names of the space; `false` if the process waits for another answer.
    pub(super) fn directory(&mut self, who: ProcessId, op: DirectoryOp, name: &str, step: u64) -> bool {
        let known = self.known(who);
        if known.ask.is_some() {
            return false;
        }
        let (answer, peer) = (Answer::default(), known.peer.clone());
        known.ask = Some(Ask { op, name: name.to_owned(), step, answer: answer.clone() });
        let name = name.to_owned();
        tokio::spawn(async move {
            let result = peer.directory(op, name, who).await;
            *answer.lock() = Some(result);
        });
        true
    }

    /// The server is about to be started again: its processes end, and what it kept for others is forgotten until those
    /// ask for it again.
    pub(super) fn restarts(&mut self) {
        for known in self.processes.values_mut() {
            if known.home == 0 && known.ended.is_none() {
                known.may_end.push(ExitReason::new(ExitKind::Killed, "the peer shuts down"));
            }
            if let Some(ask) = &mut known.ask {
                ask.step = 0;
            }
        }
    }
}

// What is seen of them.
impl Model {
    /// Looks at all, after one thing has happened.
    pub(super) fn observe(&mut self, space: &Space, trace: &mut Trace) {
        for client in 0..space.clients.len() {
            if space.is_unsettled(client) {
                self.unsettled.insert(client + 1, trace.step);
            }
        }
        self.born(space, trace);
        let living = self.living();
        for id in &living {
            let known = self.known(*id);
            if known.hand.table.info(*id).is_none() {
                let reason = known.hand.table.ended(*id).expect("it is remembered");
                trace.say(format_args!("       {id} has ended: {reason}"));
                known.ended = Some(reason);
            }
        }
        for id in living {
            self.look(id, trace);
            self.changed(id);
        }
    }

    fn look(&mut self, id: ProcessId, trace: &mut Trace) {
        let known = self.known(id);
        let (signals, ties) = (known.hand.taken(), known.hand.table.ties(id));
        let mut linked_now = std::mem::take(&mut known.linked_now);
        let mut unlinked_now = std::mem::take(&mut known.unlinked_now);
        let mut exits: BTreeMap<ProcessId, u32> = BTreeMap::new();
        for signal in signals {
            let from = ProcessId::from_bits(signal.header.from);
            match signal.header.kind {
                Kind::Message => self.heard(id, from, &signal),
                Kind::Exit if signal.header.tag == EXIT_OF_LINK => {
                    trace.say(format_args!("       {id} has an exit of {from}"));
                    let was_linked = self.processes[&id].ever_linked.contains(&from);
                    assert!(was_linked, "{id} has an exit of {from}, and does not know of a link");
                    let is_asked = !self.processes[&id].told_to_link.contains(&from);
                    self.may_be_reason(id, from, &signal, is_asked);
                    *exits.entry(from).or_default() += 1;
                }
                // Sent, not of a link: it may be lost, and may come again.
                Kind::Exit => {}
                Kind::Down => {
                    trace.say(format_args!("       {id} is told by monitor {} of {from}", signal.header.tag));
                    let monitor = self.processes[&id].monitors.get(&signal.header.tag);
                    let is_asked = monitor.is_some_and(|monitor| monitor.is_asked);
                    self.may_be_reason(id, from, &signal, is_asked);
                    self.told(id, from, signal.header.tag);
                }
                Kind::Reply => {
                    if let Some(child) = self.replied(id, &signal, trace) {
                        // From here on it is a link like others.
                        linked_now.insert(child);
                        if self.known(id).unlinked.contains(&child) {
                            // Before it had the answer: it has said that it does not want the tie.
                            unlinked_now.insert(child);
                        }
                        self.known(id).links.insert(child);
                    }
                }
                kind => panic!("{id} got a signal of kind {kind:?}"),
            }
        }
        for (tag, monitor) in &self.processes[&id].monitors {
            assert!(!monitor.was_told || monitor.is_told, "monitor {tag} of {id} had told, and has not");
        }
        self.answered(id);
        match ties {
            Some(ties) if self.lives(id) => {
                let links: BTreeSet<ProcessId> = ties.links.into_iter().collect();
                self.links_may_be(id, &links, &exits, &linked_now, &unlinked_now);
                self.known(id).links = links;
            }
            _ => self.may_have_ended(id),
        }
    }

    fn heard(&mut self, id: ProcessId, from: ProcessId, signal: &Signal) {
        let number = u32::from_le_bytes(signal.body[..].try_into().expect("four bytes were sent"));
        let sent = self.processes[&from].sent.get(&id).map_or(0, Vec::len);
        assert!((number as usize) < sent, "{id} has a message that {from} has not sent");
        let heard = self.known(id).heard.entry(from).or_default();
        let last = heard.last();
        assert!(last.is_none_or(|last| *last < number), "{id} has message {number} of {from} after {last:?}");
        heard.push(number);
    }

    fn told(&mut self, id: ProcessId, of: ProcessId, tag: u64) {
        let monitor = self.known(id).monitors.get_mut(&tag).expect("it has such a monitor");
        assert_eq!(monitor.of, Some(of), "monitor {tag} of {id}");
        assert!(!monitor.is_away, "monitor {tag} of {id} was taken away, and told");
        assert!(!monitor.is_told, "monitor {tag} of {id} told twice");
        monitor.is_told = true;
    }

    /// Whether one process may be told this of the end of another, which it has linked or monitored knowing it, or was
    /// tied to when it had its answer: then it knows that there was one.
    fn may_be_reason(&self, id: ProcessId, of: ProcessId, signal: &Signal, is_asked: bool) {
        let reason = ExitReason::decode(&signal.body).expect("the host wrote it");
        let (known, other) = (&self.processes[&id], &self.processes[&of]);
        let is_real = other.ended.as_ref().is_some_and(|ended| is_same(ended, &reason));
        let may_be = match reason.kind {
            _ if is_real => true,
            ExitKind::NoConnection => known.home != other.home,
            ExitKind::NoProcess => !is_asked && other.ended.is_some(),
            _ => false,
        };
        assert!(may_be, "{id} is told of {of}: {reason:?}; it was {:?}", other.ended);
    }

    /// Whether what became of the links of a process, and the exit signals that it got, agree.
    fn links_may_be(
        &self,
        id: ProcessId,
        links: &BTreeSet<ProcessId>,
        exits: &BTreeMap<ProcessId, u32>,
        linked_now: &BTreeSet<ProcessId>,
        unlinked_now: &BTreeSet<ProcessId>,
    ) {
        let known = &self.processes[&id];
        let all: BTreeSet<&ProcessId> = known.links.iter().chain(links).chain(exits.keys()).collect();
        for other in all {
            let (was, is) = (known.links.contains(other), links.contains(other));
            let exits = exits.get(other).copied().unwrap_or(0);
            let them = &self.processes[other];
            let may_be = match (was, is, exits) {
                (false | true, true, 0) => true,
                // Told at once.
                (false, false, 1) => linked_now.contains(other),
                (true, false, 1) => true,
                (true, false, 0) => {
                    let is_normal = them.ended.as_ref().is_some_and(ExitReason::is_normal);
                    unlinked_now.contains(other) || them.unlinked.contains(&id) || (!known.traps && is_normal)
                }
                _ => false,
            };
            assert!(
                may_be,
                "{id} was linked with {other}: {was}, is: {is}, and had {exits} exit signals of it; it traps them: {}",
                known.traps
            );
            assert!(exits == 0 || known.traps, "{id} does not trap exits and got one of {other}");
        }
    }

    /// Whether it may have ended so.
    fn may_have_ended(&self, id: ProcessId) {
        let known = &self.processes[&id];
        let reason = known.ended.as_ref().expect("it has ended");
        let was_asked = known.may_end.iter().any(|may| {
            let is_killed = may.kind == ExitKind::Kill && reason.kind == ExitKind::Killed;
            is_same(may, reason) || is_killed
        });
        // It may have ended before it took the answer.
        let asked = self.children(id).into_iter().map(|(child, _)| child);
        let asked: Vec<ProcessId> =
            asked.filter(|child| self.processes[child].ever_linked.contains(&id)).collect();
        let by_link = known.ever_linked.iter().chain(&asked).any(|other| match reason.kind {
            ExitKind::NoConnection => self.processes[other].home != known.home,
            ExitKind::NoProcess => self.processes[other].ended.is_some(),
            _ => false,
        } || self.processes[other].ended.as_ref().is_some_and(|ended| is_same(ended, reason)));
        let may_be = was_asked || by_link || self.may_be_late(id, reason);
        assert!(may_be, "{id} has ended for no reason: {reason:?}");
    }

    /// Takes the answer of the directory, if it has come.
    fn answered(&mut self, id: ProcessId) {
        let known = self.known(id);
        let Some(answer) = known.ask.as_ref().and_then(|ask| ask.answer.lock().take()) else { return };
        let Ask { op, name, step, .. } = known.ask.take().expect("it was just there");
        let is_group = matches!(op, DirectoryOp::Join | DirectoryOp::Leave);
        let gives = matches!(op, DirectoryOp::Register | DirectoryOp::Join);
        let is_held = match answer {
            Ok(_) => Some(gives),
            Err(failure) => match Errno::from_number(failure.errno) {
                Some(Errno::Taken | Errno::NotFound) => Some(false),
                Some(Errno::NoPeer | Errno::TimedOut) => None,
                other => panic!("{id} asked for {op:?} {name} and got {other:?}: {}", failure.reason),
            },
        };
        // Asked before the server was started again: it may be about the one or the other.
        let is_held = is_held.filter(|_| step > 0);
        known.claims.insert((is_group, name), Claim { step, is_held });
    }
}

// What must be so when everything has arrived.
impl Model {
    fn reach(&self, one: ProcessId, other: ProcessId, lost: &[usize]) -> bool {
        let (one, other) = (self.processes[&one].home, self.processes[&other].home);
        let is_lost = |home: usize| home > 0 && lost.contains(&(home - 1));
        one == other || !(is_lost(one) || is_lost(other))
    }

    fn ties(&self, id: ProcessId) -> Option<TiesInfo> {
        self.processes[&id].hand.table.ties(id)
    }

    pub(super) fn check_quiet(&self, space: &Space, lost: &[usize]) {
        self.check_ties(space, lost);
        self.check_asked(space);
        self.check_monitors(lost);
        self.check_messages();
        self.check_names(space);
        self.check_directory(space, lost);
    }

    /// Both halves of everything agree, and nothing ties anybody to who has ended or cannot be reached.
    fn check_ties(&self, space: &Space, lost: &[usize]) {
        let clerk = space.server.inner.directory.clerk();
        for id in self.living() {
            let ties = self.ties(id).expect("it lives");
            let what = format!("{id}: {ties:?}");
            assert!(ties.unlinking.is_empty(), "it was never said that an unlink is known: {what}");
            assert_eq!((ties.exits, ties.downs), (0, 0), "all was taken: {what}");
            for other in ties.links {
                assert!(self.lives(other) && self.reach(id, other, lost), "linked with {other}: {what}");
                let theirs = self.ties(other).expect("it lives").links;
                assert!(theirs.contains(&id), "{other} knows nothing of the link: {what}");
            }
            for (number, of) in ties.watching.into_iter().filter(|(_, of)| *of != id) {
                assert!(self.lives(of) && self.reach(id, of, lost), "monitors {of}: {what}");
                let theirs = self.ties(of).expect("it lives").watchers;
                assert!(theirs.contains(&(id, number)), "{of} knows nothing of the monitor: {what}");
            }
            for (who, number) in ties.watchers {
                let theirs = if Some(who) == clerk {
                    space.server.inner.processes.ties(who)
                } else {
                    assert!(self.processes.contains_key(&who), "monitored by a stranger: {what}");
                    assert!(self.lives(who) && self.reach(id, who, lost), "monitored by {who}: {what}");
                    self.ties(who)
                };
                let theirs = theirs.expect("it lives").watching;
                assert!(theirs.contains(&(number, id)), "{who} knows nothing of its monitor: {what}");
            }
        }
    }

    /// Each monitor of what has ended or cannot be reached has told.
    pub(super) fn check_monitors(&self, lost: &[usize]) {
        for id in self.living() {
            for (tag, monitor) in &self.processes[&id].monitors {
                // What it has asked for and has no answer about is looked at elsewhere.
                let Some(of) = monitor.of else { continue };
                let other = &self.processes[&of];
                let is_over = other.ended.is_some() || !self.reach(id, of, lost);
                assert!(
                    !is_over || monitor.is_told || monitor.is_away,
                    "monitor {tag} of {id} has not told of {of}"
                );
                let is_here = other.home == self.processes[&id].home;
                assert!(
                    is_over || !is_here || !monitor.is_told,
                    "monitor {tag} of {id} told of one that lives"
                );
            }
        }
    }

    /// Whether something was wrong with the way of a peer since then.
    fn was_unsettled(&self, home: usize, since: u64) -> bool {
        home > 0 && self.unsettled.get(&home).is_some_and(|last| *last >= since)
    }

    /// What was not heard was on its way when that broke.
    fn check_messages(&self) {
        for (from, known) in &self.processes {
            for (to, sent) in &known.sent {
                let receiver = &self.processes[to];
                if receiver.ended.is_some() {
                    continue;
                }
                let heard = receiver.heard.get(from).map_or(&[][..], Vec::as_slice);
                for (number, step) in sent.iter().enumerate() {
                    if heard.binary_search(&(number as u32)).is_ok() {
                        continue;
                    }
                    let may_be = known.home != receiver.home
                        && (self.was_unsettled(known.home, *step)
                            || self.was_unsettled(receiver.home, *step));
                    assert!(
                        may_be,
                        "message {number} of {from} to {to}, sent at {step}, was lost for no reason"
                    );
                }
            }
        }
    }

    /// Names of each peer are of those who have them.
    fn check_names(&self, space: &Space) {
        for home in 0..=space.clients.len() {
            let table = &space.peer(home).processes;
            let living = self.living();
            let here = living.iter().filter(|id| self.processes[*id].home == home);
            let mut count = 0;
            for id in here {
                for name in &self.processes[id].names {
                    assert_eq!(table.whereis(name), Some(*id), "{name} on peer {home}");
                    count += 1;
                }
            }
            assert_eq!(table.counts().names, count, "names on peer {home}");
        }
    }

    /// Names and groups of the space are of those who have them.
    fn check_directory(&self, space: &Space, lost: &[usize]) {
        let directory = &space.server.inner.directory;
        let (names, groups) = (directory.names(), directory.groups());
        let is_lost = |id: ProcessId| {
            let home = self.processes[&id].home;
            home > 0 && lost.contains(&(home - 1))
        };
        for id in names.values().chain(groups.values().flatten()).copied().chain(directory.known()) {
            assert!(self.lives(id) && !is_lost(id), "{id} has names or groups: {names:?}, {groups:?}");
        }
        for id in self.living() {
            let known = &self.processes[&id];
            assert!(known.ask.is_none(), "{id} has no answer");
            for ((is_group, name), claim) in &known.claims {
                let has = match is_group {
                    false => names.get(name) == Some(&id),
                    true => groups.get(name).is_some_and(|members| members.contains(&id)),
                };
                let what = format!("{id} has {name} (group: {is_group}): {has}; asked at {}", claim.step);
                // While nobody knew that it has the name, another could take it.
                let may_be_lost = known.home > 0 && lost.contains(&(known.home - 1))
                    || !is_group
                        && self.processes.iter().any(|(other, known)| {
                            *other != id && known.claims.contains_key(&(false, name.clone()))
                        });
                match claim.is_held {
                    Some(true) => assert!(has || may_be_lost, "{what}"),
                    Some(false) => assert!(!has, "{what}"),
                    None => {}
                }
            }
        }
        if let Some(clerk) = directory.clerk() {
            let ties = space.server.inner.processes.ties(clerk).expect("nobody ends it");
            for (_, of) in ties.watching {
                assert!(self.lives(of) && !is_lost(of), "the clerk watches {of}");
            }
        }
    }

    /// Nothing is left over when all have ended.
    pub(super) fn check_empty(&self, space: &Space, lost: &[usize]) {
        assert_eq!(self.living(), []);
        let server = &space.server.inner;
        let clerk = server.directory.clerk();
        for home in 0..=space.clients.len() {
            let peer = space.peer(home);
            let counts = peer.processes.counts();
            let processes = usize::from(home == 0 && clerk.is_some());
            assert_eq!((counts.processes, counts.names, counts.timers), (processes, 0, 0), "on peer {home}");
            assert_eq!(counts.unclaimed, 0, "unclaimed processes of peer {home}");
            assert_eq!(peer.network.calls(), 0, "calls of peer {home}");
            assert_eq!(peer.claims.len(), 0, "claims of peer {home}");
            for (neighbour, kept) in peer.ties.kept() {
                // The last ones are confirmed with those that come.
                assert!(
                    (kept as u64) < CONFIRM_EVERY,
                    "{kept} frames are kept on peer {home} for {neighbour}"
                );
                assert!(peer.network.peer(neighbour).is_some() || home > 0, "a way to nobody: {neighbour}");
            }
        }
        assert!(server.directory.names().is_empty() && server.directory.groups().is_empty());
        assert_eq!(server.directory.known(), []);
        if let Some(clerk) = clerk {
            assert_eq!(server.processes.ties(clerk), Some(TiesInfo::default()), "of the clerk");
        }
        for client in lost {
            let id = space.clients[*client].inner.me;
            assert!(server.ties.kept().iter().all(|(neighbour, _)| *neighbour != id), "{id} is forgotten");
        }
    }
}
