// SPDX-License-Identifier: AGPL-3.0-or-later
//! The shared scene as the home server holds it: one order of changes for all.

use crate::{
    ApplyError, Limits, Outbox, Problem, Quota, SavedChange, SavedEntity, Scene,
    wire::{self, Down, HEADER_LEN, PART_LEN_MAX, Refusal, Up},
};
use hearth_abi::{
    DecodeError, PeerId, ProcessId,
    scene::{Op, Scope},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// What a peer's frame did.
#[derive(Clone, Debug, PartialEq)]
pub struct Submitted {
    /// The process that wrote.
    pub writer: ProcessId,
    /// What was applied, or why nothing was. Look here for lumps that the writer's peer has.
    pub outcome: Result<Vec<Op>, ApplyError>,
}

/// What the server keeps for a peer that has joined and was not forgotten.
#[derive(Debug)]
struct Session {
    instance: u64,
    /// Number of the last submission that was answered.
    answered: u64,
    /// `None` while the peer is not connected.
    link: Option<Link>,
}

#[derive(Debug)]
struct Link {
    /// Frames of a snapshot that go before what the outbox holds.
    snapshot: VecDeque<Arc<[u8]>>,
    outbox: Outbox,
    resumed: bool,
}

/// Parts of a snapshot, shared by all who join at the same place in the order.
type Parts = Vec<Arc<[u8]>>;

/// The shared scene, and what each peer has yet to hear of it.
///
/// A peer joins with the frame that [`Mirror::join`](crate::Mirror::join) makes. When its
/// connection is lost, call [`Authority::disconnect`]; when the grace time has passed without its
/// return, [`Authority::forget`], and what belongs to its processes goes.
#[derive(Debug)]
pub struct Authority {
    scene: Scene,
    /// Number of changes so far, each a batch or a removal.
    sequence: u64,
    sessions: BTreeMap<PeerId, Session>,
    /// The snapshot of the scene as it is, once somebody has asked for it.
    parts: Option<Parts>,
}

impl Authority {
    /// An empty scene; what was given to the space comes back by `saved`.
    pub fn new(limits: Limits, saved: &[SavedEntity]) -> Authority {
        let mut scene = Scene::new(limits);
        scene.record_unsaved();
        scene.restore(saved);
        Authority { scene, sequence: 0, sessions: BTreeMap::new(), parts: None }
    }

    /// The scene as it is.
    pub const fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Number of changes so far.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Applies a batch of a process of the server (or of the space itself: all bits zero), whole or
    /// not at all, and queues it for every peer.
    ///
    /// # Errors
    /// An operation breaks a rule or a limit, or makes an entity of local scope.
    pub fn apply(&mut self, writer: ProcessId, ops: &[Op]) -> Result<(), ApplyError> {
        self.change(None, writer, ops)?;
        self.relay(None, writer, ops);
        Ok(())
    }

    /// As [`Authority::apply`], for a process that may have so many entities.
    ///
    /// # Errors
    /// As [`Authority::apply`].
    pub fn apply_within(&mut self, quota: &Quota, writer: ProcessId, ops: &[Op]) -> Result<(), ApplyError> {
        self.change(Some(quota), writer, ops)?;
        self.relay(None, writer, ops);
        Ok(())
    }

    /// What belongs to a process of the server counts for this origin from now on.
    pub fn set_origin(&mut self, process: ProcessId, origin: PeerId) {
        self.scene.set_origin(process, origin);
    }

    /// Removes what belongs to a process of the server that has ended.
    pub fn process_ended(&mut self, process: ProcessId) {
        let ops = self.scene.remove_owned_by(process);
        self.relay_removal(None, &ops);
    }

    fn change(&mut self, quota: Option<&Quota>, writer: ProcessId, ops: &[Op]) -> Result<(), ApplyError> {
        let local = |op: &Op| matches!(op, Op::Create(_, Scope::Local));
        if let Some(index) = ops.iter().position(local) {
            return Err(ApplyError { index, entity: ops[index].entity(), problem: Problem::NoUser });
        }
        match quota {
            Some(quota) => self.scene.apply_within(quota, writer, ops)?,
            None => self.scene.apply(writer, ops)?,
        }
        if !ops.is_empty() {
            self.advance();
        }
        Ok(())
    }

    fn relay(&mut self, but: Option<PeerId>, writer: ProcessId, ops: &[Op]) {
        for (peer, session) in &mut self.sessions {
            if let Some(link) = &mut session.link
                && Some(*peer) != but
            {
                ops.iter().for_each(|op| link.outbox.push(self.sequence, writer, op));
            }
        }
    }

    fn relay_removal(&mut self, but: Option<PeerId>, ops: &[Op]) {
        if !ops.is_empty() {
            self.advance();
            self.relay(but, ProcessId::from_bits(0), ops);
        }
    }

    fn advance(&mut self) {
        self.sequence += 1;
        self.parts = None;
    }

    /// Does what a frame of a peer asks for. Returns what each submission in it did.
    ///
    /// # Errors
    /// The frame is malformed, or submits before it joins: the peer is broken, end its connection.
    pub fn receive(&mut self, peer: PeerId, frame: &[u8]) -> Result<Vec<Submitted>, DecodeError> {
        let mut done = Vec::new();
        for message in Up::decode(frame)? {
            match message {
                Up::Join { instance } => self.join(peer, instance),
                Up::Batch { number, writer, ops } => {
                    if self.is_news(peer, number)? {
                        done.push(self.submit(peer, number, writer, ops));
                    }
                }
                Up::Ended { number, writer } => {
                    if self.is_news(peer, number)? {
                        done.push(self.end(peer, number, writer));
                    }
                }
            }
        }
        Ok(done)
    }

    fn join(&mut self, peer: PeerId, instance: u64) {
        let known = self.sessions.get(&peer).is_some_and(|session| session.instance == instance);
        if !known {
            self.forget(peer);
        }
        let session = self.sessions.entry(peer).or_insert(Session { instance, answered: 0, link: None });
        session.link = Some(Link { snapshot: VecDeque::new(), outbox: Outbox::new(), resumed: known });
        self.begin_snapshot(peer);
    }

    /// Whether a submission has not been seen before. A mirror that was sent a snapshot submits
    /// again what the snapshot does not answer, and may have done so needlessly.
    fn is_news(&mut self, peer: PeerId, number: u64) -> Result<bool, DecodeError> {
        let stranger = DecodeError { offset: 0, problem: "submission of a peer that has not joined" };
        let session = self.sessions.get_mut(&peer).ok_or(stranger)?;
        let is_news = number > session.answered;
        session.answered = session.answered.max(number);
        Ok(is_news)
    }

    fn submit(&mut self, peer: PeerId, number: u64, writer: ProcessId, ops: Vec<Op>) -> Submitted {
        let outcome = self.check_writer(peer, writer, &ops).and_then(|()| self.change(None, writer, &ops));
        match outcome {
            Ok(()) => {
                self.relay(Some(peer), writer, &ops);
                self.answer(peer, number, Ok(()), &ops);
                Submitted { writer, outcome: Ok(ops) }
            }
            Err(error) => {
                self.refuse(peer, number, &error);
                Submitted { writer, outcome: Err(error) }
            }
        }
    }

    fn end(&mut self, peer: PeerId, number: u64, writer: ProcessId) -> Submitted {
        if let Err(error) = self.check_writer(peer, writer, &[]) {
            self.refuse(peer, number, &error);
            return Submitted { writer, outcome: Err(error) };
        }
        let ops = self.scene.remove_owned_by(writer);
        self.relay_removal(Some(peer), &ops);
        self.answer(peer, number, Ok(()), &ops);
        Submitted { writer, outcome: Ok(ops) }
    }

    /// A peer speaks for its own processes only: what it makes goes with them.
    fn check_writer(&self, peer: PeerId, writer: ProcessId, ops: &[Op]) -> Result<(), ApplyError> {
        if writer.peer() == peer && writer.to_bits() != 0 {
            return Ok(());
        }
        let entity = ops.first().map_or(hearth_abi::EntityId::from_bits(0), Op::entity);
        Err(ApplyError { index: 0, entity, problem: Problem::ForeignWriter })
    }

    fn refuse(&mut self, peer: PeerId, number: u64, error: &ApplyError) {
        let refusal = Refusal { errno: error.errno(), reason: error.to_string() };
        self.answer(peer, number, Err(refusal), &[]);
    }

    fn answer(&mut self, peer: PeerId, number: u64, outcome: Result<(), Refusal>, ops: &[Op]) {
        if let Some(link) = self.sessions.get_mut(&peer).and_then(|session| session.link.as_mut()) {
            link.outbox.answer(self.sequence, number, outcome, ops);
        }
    }

    /// The connection to a peer is lost. Its entities stay, and nothing is queued for it until it
    /// joins again.
    pub fn disconnect(&mut self, peer: PeerId) {
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.link = None;
        }
    }

    /// A peer has left for good, or its grace time has passed: what belongs to its processes goes.
    pub fn forget(&mut self, peer: PeerId) {
        if self.sessions.remove(&peer).is_some() {
            let ops = self.scene.remove_owned_by_peer(peer);
            self.relay_removal(Some(peer), &ops);
        }
    }

    /// The connected peers for which something waits.
    pub fn peers_with_news(&self) -> impl Iterator<Item = PeerId> {
        self.sessions
            .iter()
            .filter(|(_, session)| session.link.as_ref().is_some_and(has_news))
            .map(|(p, _)| *p)
    }

    /// Takes the next frame for a peer, of about `len_max` bytes (a part of a snapshot may be as
    /// long as [`wire::FRAME_LEN_MAX`]). `None` if nothing waits or the peer is not connected.
    ///
    /// Take a frame only when the connection has room for it: what waits here is replaced by what
    /// is newer, what waits in the connection is not.
    pub fn take(&mut self, peer: PeerId, len_max: usize) -> Option<Vec<u8>> {
        if self.sessions.get(&peer)?.link.as_ref()?.outbox.needs_snapshot() {
            self.begin_snapshot(peer);
        }
        let link = self.sessions.get_mut(&peer)?.link.as_mut()?;
        match link.snapshot.pop_front() {
            Some(frame) => Some(frame.to_vec()),
            None => link.outbox.take(&self.scene, self.sequence, len_max),
        }
    }

    /// Queues a snapshot in place of everything that waits.
    fn begin_snapshot(&mut self, peer: PeerId) {
        let parts = self.parts.get_or_insert_with(|| snapshot_parts(&self.scene)).clone();
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let Some(link) = &mut session.link else { return };
        let mut begin = Vec::new();
        let resumed = std::mem::replace(&mut link.resumed, true);
        Down::Begin { sequence: self.sequence, answered: session.answered, resumed }.encode(&mut begin);
        link.outbox.clear();
        link.snapshot.clear();
        link.snapshot.push_back(begin.into());
        link.snapshot.extend(parts);
    }

    /// What the file of the space has yet to be told.
    pub fn take_unsaved(&mut self) -> Vec<SavedChange> {
        self.scene.take_unsaved()
    }

    /// Takes back what [`Authority::take_unsaved`] gave, because saving it failed.
    pub fn not_saved(&mut self, changes: &[SavedChange]) {
        self.scene.not_saved(changes);
    }
}

fn has_news(link: &Link) -> bool {
    !link.snapshot.is_empty() || !link.outbox.is_empty() || link.outbox.needs_snapshot()
}

/// The frames of a snapshot after its first, in parts of about [`PART_LEN_MAX`] bytes.
fn snapshot_parts(scene: &Scene) -> Parts {
    let mut parts: Parts = Vec::new();
    let mut part: Vec<u8> = Vec::new();
    let mut finish = |part: &mut Vec<u8>| {
        if !part.is_empty() {
            let len = (part.len() - HEADER_LEN) as u32;
            part[1..HEADER_LEN].copy_from_slice(&len.to_le_bytes());
            parts.push(std::mem::take(part).into());
        }
    };
    let mut entities = 0u64;
    for (id, entity) in scene.parents_first().filter(|(_, e)| e.scope() == Scope::Shared) {
        if part.is_empty() {
            part.extend_from_slice(&[4, 0, 0, 0, 0]);
        }
        let components = entity.slots.iter().map(|slot| &slot.component);
        wire::encode_entity(&mut part, id, entity.owner(), entity.parent(), components);
        entities += 1;
        if part.len() >= PART_LEN_MAX {
            finish(&mut part);
        }
    }
    finish(&mut part);
    let mut end = Vec::new();
    Down::End { entities }.encode(&mut end);
    parts.push(end.into());
    parts
}
