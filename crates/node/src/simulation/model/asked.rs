// SPDX-License-Identifier: AGPL-3.0-or-later
//! Processes that another one has asked for, of its own peer or another, to be tied to them: what may come of that.

use super::{Known, Model, Monitor};
use crate::{
    node::{Handle, Inner, SPAWN_TIME_MAX},
    simulation::{
        Trace,
        puppet::{Begins, Hand, Nursery},
        space::Space,
    },
};
use bytes::Bytes;
use hearth_abi::{Errno, LumpId, PeerId, ProcessId};
use hearth_process::{ExitKind, ExitReason, ReplaceError, Signal};
use hearth_wasm::{Caller, Request, Services as _};
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc, time::Instant};

/// What a process has asked for.
pub(super) struct Asked {
    module: LumpId,
    /// Where it is to run.
    home: usize,
    /// When it was asked for.
    step: u64,
    at: Instant,
    /// By which tag it is to be monitored; else it is to be linked.
    monitor: Option<u64>,
    /// Whether the answer has come.
    is_answered: bool,
    /// Whether the code that asked runs no longer, so that no answer comes.
    is_of_before: bool,
}

/// One that was asked for.
pub(super) struct Child {
    by: ProcessId,
    module: LumpId,
    /// Whether it has still to be told to start.
    is_waiting: bool,
}

/// What became of new code.
pub(super) type Replaced = Arc<Mutex<Option<Result<(), ReplaceError>>>>;

// What processes do.
impl Model {
    /// One asks for another, to be linked with it or to monitor it, which begins so.
    pub(in crate::simulation) fn ask(
        &mut self,
        who: ProcessId,
        there: (usize, PeerId),
        is_link: bool,
        begins: Begins,
        nursery: &Nursery,
        step: u64,
    ) -> Result<u64, Errno> {
        let known = self.known(who);
        let tag = known.asks.len() as u64;
        let monitor = (!is_link).then_some(known.monitors.len() as u64);
        let context = known.hand.context();
        let reply = match monitor {
            None => context.begin_spawn_link(tag)?,
            Some(monitor) => context.begin_spawn_monitor(tag, monitor)?,
        };
        let module = nursery.module(begins);
        let (at, home) = (Instant::now(), there.0);
        let asked = Asked { module, home, step, at, monitor, is_answered: false, is_of_before: false };
        known.asks.insert(tag, asked);
        if let Some(monitor) = monitor {
            let made = Monitor { is_asked: true, ..Monitor::of(None) };
            known.monitors.insert(monitor, made);
        }
        let request = Request::SpawnOn { peer: there.1, module, name: None, args: Bytes::new() };
        let caller = Caller { process: who, origin: known.peer.me };
        Handle::of(&known.peer).request(&caller, request, reply);
        Ok(tag)
    }

    /// Those that were asked for and have still to be told to start.
    pub(in crate::simulation) fn waiting(&self) -> Vec<ProcessId> {
        let waiting = self.processes.iter().filter(|(_, known)| {
            known.ended.is_none() && known.child.as_ref().is_some_and(|child| child.is_waiting)
        });
        waiting.map(|(id, _)| *id).collect()
    }

    /// One that waits for it starts.
    pub(in crate::simulation) fn start(&mut self, who: ProcessId) {
        let known = self.known(who);
        if let Some(child) = &mut known.child {
            child.is_waiting = false;
        }
        known.hand.starts();
    }

    /// Other code runs as a process from now on: `false` if it has not started, so that it cannot be.
    pub(in crate::simulation) fn replace(&mut self, who: ProcessId) -> bool {
        let known = self.known(who);
        if known.child.as_ref().is_some_and(|child| child.is_waiting) {
            return false;
        }
        known.replaced = Some(known.hand.replace());
        // Monitors go with the code that has made them, and links stay.
        known.monitors.values_mut().for_each(|monitor| monitor.is_away |= !monitor.is_told);
        for asked in known.asks.values_mut().filter(|asked| !asked.is_answered) {
            asked.is_of_before = true;
        }
        let linked: Vec<LumpId> = known.asks.values().filter_map(Asked::link_of_before).collect();
        let children = self.children(who).into_iter().filter(|(_, module)| linked.contains(module));
        let children = Vec::from_iter(children.map(|(child, _)| child));
        self.known(who).ever_linked.extend(children);
        true
    }

    pub(super) fn children(&self, of: ProcessId) -> Vec<(ProcessId, LumpId)> {
        let children = self.processes.iter().filter_map(move |(id, known)| {
            let child = known.child.as_ref().filter(|child| child.by == of)?;
            Some((*id, child.module))
        });
        children.collect()
    }
}

impl Asked {
    /// Its module, if it was to be linked, and the code that has asked runs no longer.
    fn link_of_before(&self) -> Option<LumpId> {
        (self.is_of_before && self.monitor.is_none()).then_some(self.module)
    }
}

// What is seen of them.
impl Model {
    /// Notes those that were made since this was called last.
    pub(super) fn born(&mut self, space: &Space, trace: &mut Trace) {
        for (module, shared) in space.nursery.born() {
            let hand = Hand::of(shared);
            let id = hand.id;
            let is_asked = |known: &Known| {
                known
                    .asks
                    .values()
                    .find(|asked| asked.module == module)
                    .map(|asked| (asked.home, asked.monitor))
            };
            let asked = self.processes.iter().find_map(|(by, known)| Some((*by, is_asked(known)?)));
            let (by, (home, monitor)) = asked.expect("somebody has asked for it");
            trace.say(format_args!("       {id} is made for {by}"));
            // Of a server that was started again meanwhile it may be the one before.
            let peer: Arc<Inner> = space.peer(home).clone();
            assert_eq!(id.peer(), peer.me, "{id} runs where it was asked for");
            let mut known = Known::new(hand, peer, home);
            let begins = space.nursery.begins(module);
            known.may_end.extend(begins.ends().cloned());
            let is_waiting = matches!(begins, Begins::WhenTold);
            known.child = Some(Child { by, module, is_waiting });
            if monitor.is_none() {
                known.ever_linked.insert(by);
                known.linked_now.insert(by);
            }
            assert!(self.processes.insert(id, known).is_none(), "a number is given once");
            if self.processes[&by].asks.values().any(|asked| asked.link_of_before() == Some(module)) {
                self.known(by).ever_linked.insert(id);
            }
        }
    }

    /// A process has the answer to what it has asked for: the one that it is linked with now, if it is.
    pub(super) fn replied(&mut self, id: ProcessId, signal: &Signal, trace: &mut Trace) -> Option<ProcessId> {
        let tag = signal.header.tag;
        let known = self.known(id);
        let asked = known.asks.get_mut(&tag).expect("it has asked for something by this tag");
        assert!(!asked.is_of_before, "{id} has the answer to what the code before has asked for");
        assert!(!std::mem::replace(&mut asked.is_answered, true), "{id} has a second answer to {tag}");
        let (module, home, step, monitor) = (asked.module, asked.home, asked.step, asked.monitor);
        let waited = asked.at.elapsed();
        let made = monitor.and_then(|monitor| known.monitors.get_mut(&monitor));
        if signal.header.status < 0 {
            trace.say(format_args!("       {id} has the answer {} to {tag}", signal.header.status));
            if let Some(made) = made {
                made.is_away = true;
            }
            let child = self.children(id).into_iter().find(|(_, of)| *of == module).map(|(child, _)| child);
            // A history is over in a moment, unless the machine stands still; that time runs, and may then be too long.
            if !(signal.header.status == -Errno::TimedOut.number() && waited >= SPAWN_TIME_MAX) {
                self.may_be_refused(id, signal.header.status, home, step, child);
            }
            return None;
        }
        let child = ProcessId::from_bits(u64::from_le_bytes(signal.body[..].try_into().expect("an id")));
        trace.say(format_args!("       {id} has the answer {child} to {tag}"));
        if let Some(made) = made {
            made.of = Some(child);
        }
        let made = self.processes[&child].child.as_ref().map(|child| (child.by, child.module));
        assert_eq!(made, Some((id, module)), "{id} has {child} for an answer to {tag}");
        if monitor.is_some() {
            return None;
        }
        self.known(id).ever_linked.insert(child);
        Some(child)
    }

    fn may_be_refused(&self, id: ProcessId, status: i32, home: usize, step: u64, child: Option<ProcessId>) {
        let here = self.processes[&id].home;
        let has_ended = child.is_some_and(|child| self.processes[&child].ended.is_some());
        let may_be = match Errno::from_number(-status) {
            Some(Errno::Module) => has_ended,
            // That a peer was away may be told after it has been asked once more.
            Some(Errno::NoPeer) => {
                here != home && (self.was_unsettled(here, step) || self.was_unsettled(home, 0))
            }
            _ => false,
        };
        assert!(may_be, "{id} asked for one on {home} at {step}, and was refused it: {status}");
    }

    /// Whether a process that was asked for may have ended so because it has not started in time: see `replied`.
    pub(super) fn may_be_late(&self, id: ProcessId, reason: &ExitReason) -> bool {
        let Some(child) = &self.processes[&id].child else { return false };
        let asked = self.processes[&child.by].asks.values().find(|asked| asked.module == child.module);
        asked.is_some_and(|asked| asked.at.elapsed() >= SPAWN_TIME_MAX)
            && matches!(reason.kind, ExitKind::NoConnection | ExitKind::Killed)
    }

    /// What became of new code.
    pub(super) fn changed(&mut self, id: ProcessId) {
        let known = self.known(id);
        let Some(replaced) = known.replaced.take() else { return };
        let result = replaced.lock().take();
        let is_done = matches!(result, Some(Ok(())) | Some(Err(ReplaceError::Ended(_))));
        assert!(is_done, "the code of {id} was to be replaced: {result:?}");
    }
}

// What must be so when everything has arrived.
impl Model {
    /// All that was asked for was answered, and is tied or is not.
    pub(super) fn check_asked(&self, space: &Space) {
        let living: BTreeSet<ProcessId> = self.living().into_iter().collect();
        for id in &living {
            for (tag, asked) in &self.processes[id].asks {
                assert!(asked.is_answered || asked.is_of_before, "{id} has no answer to {tag}");
            }
            let ties = self.ties(*id).expect("it lives");
            assert_eq!(ties.reserved, 0, "{id} has no answer: {ties:?}");
            let info = self.processes[id].hand.table.info(*id).expect("it lives");
            assert_eq!(info.requests, 0, "{id} has requests under way");
        }
        for home in 0..=space.clients.len() {
            let peer = space.peer(home);
            assert_eq!(peer.processes.counts().unclaimed, 0, "unclaimed processes of peer {home}");
            assert_eq!(peer.network.calls(), 0, "calls of peer {home}");
        }
    }
}

impl Begins {
    /// Why it ends, if it does by itself.
    fn ends(&self) -> Option<&ExitReason> {
        match self {
            Begins::AtOnce | Begins::WhenTold => None,
            Begins::AndEnds(reason) | Begins::Not(reason) => Some(reason),
        }
    }
}
