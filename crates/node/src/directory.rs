// SPDX-License-Identifier: AGPL-3.0-or-later
//! Names and groups of processes that hold in the whole space. The server keeps them; who wants to know asks it.
//!
//! A process of the server's own, the *clerk*, monitors whoever has a name or is in a group: as soon as that one
//! has ended, or its peer is not to be reached any more, its names are free and it is in no group. Who has the name that
//! is asked for, and who asks, are looked at even before the clerk has taken that. There is no clerk before the first
//! name; when somebody ends it, all is forgotten.

use crate::{
    network::failure,
    node::{Handle, Inner},
};
use bytes::Bytes;
use hearth_abi::{Errno, PeerId, ProcessId, signal::Kind};
use hearth_process::{Context, Limits, NAME_LEN_MAX, Program, Spec, State as Does, Take, Work};
use hearth_protocol::control::{DirectoryOp, Failure, Request, Response};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// Most names, and most groups, of one process.
const OF_ONE_MAX: usize = 64;
/// Most processes that have a name or are in a group.
const PROCESSES_MAX: usize = 65_536;
/// Most members of a group: their ids fit one frame of the control lane.
const MEMBERS_MAX: usize = 16_384;
// As many bytes as the largest number takes in postcard.
const _: () = assert!(MEMBERS_MAX * 10 + 64 < hearth_protocol::control::FRAME_LEN_MAX);
/// How long the server may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);

/// What the server keeps; empty on a client.
#[derive(Default)]
pub(crate) struct Directory(Mutex<State>);

#[derive(Default)]
struct State {
    clerk: Option<ProcessId>,
    names: BTreeMap<String, ProcessId>,
    groups: BTreeMap<String, BTreeSet<ProcessId>>,
    known: BTreeMap<ProcessId, Known>,
    /// The tag of the clerk's newest monitor.
    last_tag: u64,
}

/// What one process has.
#[derive(Default)]
struct Known {
    /// Of the clerk's monitor on it. A process that is known again, because its peer is, has another one: what comes of the
    /// first is not meant for it.
    tag: u64,
    names: BTreeSet<String>,
    groups: BTreeSet<String>,
}

impl State {
    /// A monitor of the clerk's has told.
    fn went_down(&mut self, id: ProcessId, tag: u64) {
        if self.known.get(&id).is_some_and(|known| known.tag == tag) {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ProcessId) {
        let Some(known) = self.known.remove(&id) else { return };
        for name in known.names {
            self.names.remove(&name);
        }
        for group in known.groups {
            self.leave(&group, id);
        }
    }

    fn leave(&mut self, group: &str, id: ProcessId) {
        if let Some(members) = self.groups.get_mut(group) {
            members.remove(&id);
            if members.is_empty() {
                self.groups.remove(group);
            }
        }
    }

    fn has_room(&self, id: ProcessId, of: impl Fn(&Known) -> usize) -> Result<(), Failure> {
        match self.known.get(&id) {
            Some(known) if of(known) >= OF_ONE_MAX => {
                Err(failure(Errno::Limit, format!("a process has {OF_ONE_MAX} of them at most")))
            }
            None if self.known.len() >= PROCESSES_MAX => {
                Err(failure(Errno::Limit, format!("{PROCESSES_MAX} processes have names or groups already")))
            }
            _ => Ok(()),
        }
    }

    /// Does it for a process; gives the ids that are asked for, and whether the process is new here.
    fn apply(&mut self, op: DirectoryOp, name: &str, id: ProcessId) -> Result<Vec<ProcessId>, Failure> {
        let not_found = || failure(Errno::NotFound, format!("there is no `{name}`"));
        match op {
            DirectoryOp::Register => match self.names.get(name) {
                Some(by) if *by == id => {}
                Some(by) => {
                    return Err(failure(Errno::Taken, format!("the name is taken by process {by}")));
                }
                None => {
                    self.has_room(id, |known| known.names.len())?;
                    self.names.insert(name.to_owned(), id);
                    self.known.entry(id).or_default().names.insert(name.to_owned());
                }
            },
            DirectoryOp::Unregister => {
                if self.names.get(name) != Some(&id) {
                    return Err(not_found());
                }
                self.names.remove(name);
                if let Some(known) = self.known.get_mut(&id) {
                    known.names.remove(name);
                }
            }
            DirectoryOp::Whereis => {
                return self.names.get(name).map(|id| vec![*id]).ok_or_else(not_found);
            }
            DirectoryOp::Join => {
                let members = self.groups.get(name);
                if !members.is_some_and(|members| members.contains(&id)) {
                    self.has_room(id, |known| known.groups.len())?;
                    if members.is_some_and(|members| members.len() >= MEMBERS_MAX) {
                        let text = format!("a group has {MEMBERS_MAX} members at most");
                        return Err(failure(Errno::Limit, text));
                    }
                    self.groups.entry(name.to_owned()).or_default().insert(id);
                    self.known.entry(id).or_default().groups.insert(name.to_owned());
                }
            }
            DirectoryOp::Leave => {
                let known = self.known.get_mut(&id);
                if !known.is_some_and(|known| known.groups.remove(name)) {
                    return Err(not_found());
                }
                self.leave(name, id);
            }
            DirectoryOp::Members => {
                let members = self.groups.get(name).into_iter().flatten();
                return Ok(members.copied().collect());
            }
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
impl Directory {
    /// Who has which name.
    pub(crate) fn names(&self) -> BTreeMap<String, ProcessId> {
        self.0.lock().names.clone()
    }

    /// Who is in which group.
    pub(crate) fn groups(&self) -> BTreeMap<String, BTreeSet<ProcessId>> {
        self.0.lock().groups.clone()
    }

    /// The processes that something is kept of.
    pub(crate) fn known(&self) -> Vec<ProcessId> {
        self.0.lock().known.keys().copied().collect()
    }

    /// The process that watches them.
    pub(crate) fn clerk(&self) -> Option<ProcessId> {
        self.0.lock().clerk
    }
}

/// Hears of the ends of those who have names.
struct Clerk(Handle);

impl Program for Clerk {
    fn run(self: Arc<Self>, context: Context) -> Work {
        context.started();
        Work::whole(async move {
            loop {
                while let Take::Signal(signal) = context.take(usize::MAX) {
                    if signal.header.kind == Kind::Down
                        && let Some(inner) = self.0.get()
                    {
                        let id = ProcessId::from_bits(signal.header.from);
                        inner.directory.0.lock().went_down(id, signal.header.tag);
                    }
                }
                context.wait(Does::Waiting).await;
            }
        })
    }
}

impl Inner {
    /// Asks for something about the names and groups of the space for a process, wherever they are kept.
    ///
    /// # Errors
    /// The server refuses, or is not to be reached.
    pub(crate) async fn directory(
        self: &Arc<Self>,
        op: DirectoryOp,
        name: String,
        process: ProcessId,
    ) -> Result<Vec<ProcessId>, Failure> {
        if self.is_server() {
            return self.keep_directory(op, &name, process);
        }
        self.claim(op, name, process).await
    }

    /// Asks the server.
    ///
    /// # Errors
    /// It refuses, or is not to be reached.
    pub(crate) async fn ask_server(
        &self,
        op: DirectoryOp,
        name: &str,
        process: ProcessId,
    ) -> Result<Vec<ProcessId>, Failure> {
        let request = Request::Directory { op, name: name.to_owned(), process: process.to_bits() };
        match self.network.call(PeerId::SERVER, request, ANSWER_TIME_MAX).await? {
            Response::Processes { processes } => {
                Ok(processes.into_iter().map(ProcessId::from_bits).collect())
            }
            _ => Err(failure(Errno::Host, "the server's answer is not one to this request")),
        }
    }

    /// The server's part of it.
    ///
    /// # Errors
    /// It cannot be so.
    pub(crate) fn keep_directory(
        self: &Arc<Self>,
        op: DirectoryOp,
        name: &str,
        process: ProcessId,
    ) -> Result<Vec<ProcessId>, Failure> {
        if name.is_empty() || name.len() > NAME_LEN_MAX || name.chars().any(char::is_control) {
            let text = format!("a name has 1 to {NAME_LEN_MAX} bytes and no control characters");
            return Err(failure(Errno::Invalid, text));
        }
        let mut state = self.directory.0.lock();
        if state.clerk.is_some_and(|clerk| self.processes.info(clerk).is_none()) {
            *state = State::default();
        }
        let holder = state.names.get(name).copied();
        for id in holder.into_iter().chain([process]) {
            self.forget_if_over(&mut state, id);
        }
        let is_known = state.known.contains_key(&process);
        let ids = state.apply(op, name, process)?;
        state.last_tag += 1;
        let tag = state.last_tag;
        let Some(known) = state.known.get_mut(&process).filter(|_| !is_known) else { return Ok(ids) };
        // What it has is noted first: its end may be told at once. It stays monitored when it gives up its last name,
        // until it ends.
        known.tag = tag;
        let monitored = self.clerk(&mut state).and_then(|clerk| self.processes.monitor(clerk, process, tag));
        if let Err(errno) = monitored {
            state.forget(process);
            return Err(failure(errno, "its end could not be watched"));
        }
        Ok(ids)
    }

    /// Forgets a process whose end was told already, or that of its peer, and waits for the clerk to take it.
    fn forget_if_over(&self, state: &mut State, id: ProcessId) {
        let (Some(clerk), Some(known)) = (state.clerk, state.known.get(&id)) else { return };
        if !self.processes.is_monitoring(clerk, known.tag) {
            state.forget(id);
        }
    }

    fn clerk(self: &Arc<Self>, state: &mut State) -> Result<ProcessId, Errno> {
        if let Some(clerk) = state.clerk {
            return Ok(clerk);
        }
        let spec = Spec {
            program: Arc::new(Clerk(Handle::of(self))),
            module: None,
            origin: self.me,
            parent: None,
            name: None,
            args: Bytes::new(),
            limits: Limits { monitors: PROCESSES_MAX, ..Limits::default() },
        };
        let clerk = self.processes.spawn(spec).map_err(|error| error.errno())?;
        self.processes.log(clerk, hearth_process::Level::Info, "host", "keeps names and groups of the space");
        state.clerk = Some(clerk);
        Ok(clerk)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{
        folder::Folder,
        limits::PeerLimits,
        node::{Parts, about_program},
        world::World,
    };
    use DirectoryOp::{Join, Leave, Members, Register, Unregister, Whereis};
    use hearth_scene::SceneFile;

    fn errno(result: Result<Vec<ProcessId>, Failure>) -> Option<Errno> {
        Errno::from_number(result.unwrap_err().errno)
    }

    #[test]
    fn a_name_is_of_one_and_a_group_of_many() {
        let mut state = State::default();
        let (one, other) = (ProcessId::from_bits(1), ProcessId::from_bits(2));
        assert_eq!(state.apply(Register, "lamp", one), Ok(vec![]));
        assert_eq!(state.apply(Register, "lamp", one), Ok(vec![]));
        assert_eq!(errno(state.apply(Register, "lamp", other)), Some(Errno::Taken));
        assert_eq!(errno(state.apply(Unregister, "lamp", other)), Some(Errno::NotFound));
        assert_eq!(state.apply(Whereis, "lamp", other), Ok(vec![one]));
        for id in [other, one, one] {
            assert_eq!(state.apply(Join, "lamps", id), Ok(vec![]));
        }
        assert_eq!(state.apply(Members, "lamps", other), Ok(vec![one, other]));
        assert_eq!(state.apply(Leave, "lamps", other), Ok(vec![]));
        assert_eq!(errno(state.apply(Leave, "lamps", other)), Some(Errno::NotFound));
        state.forget(one);
        assert_eq!(state.apply(Members, "lamps", other), Ok(vec![]));
        assert_eq!(errno(state.apply(Whereis, "lamp", other)), Some(Errno::NotFound));
        assert!(state.groups.is_empty());
        for n in 0..OF_ONE_MAX {
            assert_eq!(state.apply(Register, &n.to_string(), one), Ok(vec![]));
        }
        assert_eq!(errno(state.apply(Register, "more", one)), Some(Errno::Limit));
    }

    /// A server that knows of some clients, none of which has a connection now.
    fn server(folder: &std::path::Path, clients: &[PeerId]) -> Arc<Inner> {
        let folder = Folder::open(folder).unwrap();
        let limits = PeerLimits::default();
        let world = World::server(SceneFile::open(&folder.path("scene.redb")).unwrap(), &limits).unwrap();
        let (me, name, space) = (PeerId::SERVER, "server".into(), "space".into());
        let inner = Inner::start(Parts { me, name, space, folder, world, limits, workers: 1 }).unwrap();
        for client in clients {
            let about = about_program(client.number(), "client", [client.number() as u8; 32], Vec::new());
            inner.network.insert(*client, about, None);
        }
        inner
    }

    /// Lets the clerk take what it was told.
    async fn clerk_is_done(inner: &Inner) {
        let clerk = inner.directory.clerk().unwrap();
        while inner.processes.info(clerk).unwrap().mailbox_len > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// The names of all, each with who has it, and that those are watched, once each, and nobody else is.
    fn names(inner: &Inner) -> Vec<(String, ProcessId)> {
        let names: Vec<_> = inner.directory.names().into_iter().collect();
        let ties = inner.processes.ties(inner.directory.clerk().unwrap()).unwrap();
        let mut watched: Vec<ProcessId> = ties.watching.into_iter().map(|(_, of)| of).collect();
        watched.sort();
        assert_eq!(watched, inner.directory.known());
        names
    }

    /// A peer is given up and is there again, and the clerk has not taken yet that it was gone.
    #[tokio::test]
    async fn the_end_of_a_former_monitor_takes_no_name_away() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [1, 2].map(|id| PeerId::new(id).unwrap());
        let inner = server(folder.path(), &[one, other]);
        let [lamp, desk, taker] =
            [(one, 1), (one, 2), (other, 1)].map(|(peer, serial)| ProcessId::new(peer, serial).unwrap());
        for (name, id) in [("lamp", lamp), ("lamp of old", lamp), ("desk", desk)] {
            inner.keep_directory(Register, name, id).unwrap();
        }
        inner.keep_directory(Join, "things", lamp).unwrap();
        clerk_is_done(&inner).await;
        inner.give_up(one);
        let clerk = inner.directory.clerk().unwrap();
        assert_eq!(inner.processes.info(clerk).unwrap().mailbox_len, 2, "it has not taken that yet");
        // It is told that it has the name, and has it from then on, and nothing else of what it had.
        assert_eq!(inner.keep_directory(Register, "lamp", lamp), Ok(vec![]));
        // Who asks for the name of one that is gone gets it.
        assert_eq!(errno(inner.keep_directory(Whereis, "desk", taker)), Some(Errno::NotFound));
        assert_eq!(inner.keep_directory(Register, "desk", taker), Ok(vec![]));
        let after = [("desk".to_owned(), taker), ("lamp".to_owned(), lamp)];
        assert_eq!(names(&inner), after);
        assert!(inner.directory.groups().is_empty());
        clerk_is_done(&inner).await;
        assert_eq!(names(&inner), after);
        // The monitor that counts is the last one.
        inner.give_up(one);
        clerk_is_done(&inner).await;
        assert_eq!(names(&inner), after[..1]);
        inner.processes.shutdown().await;
    }
}
