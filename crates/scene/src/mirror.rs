// SPDX-License-Identifier: AGPL-3.0-or-later
//! The scene as a client sees it.
//!
//! A mirror keeps two scenes. The *base* is the shared scene in the server's order, as far as the
//! client has heard. The *shown* scene is the base with the client's own unanswered submissions
//! done over it, in order, each whole or, if it cannot be done there, not at all; and the local
//! entities. That definition is kept by small steps where they suffice, and otherwise by working
//! out anew the part of the tree that is concerned (`rework`).

use crate::{
    ApplyError, Change, Limits, Problem, Quota, Scene,
    scene::Trust,
    wire::{Down, Up},
};
use hearth_abi::{
    DecodeError, EntityId, Errno, PeerId, ProcessId,
    scene::{ComponentKind, Op, Scope},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use thiserror::Error;

mod pending;
mod snapshot;

use pending::{Body, Pending};

/// How much a mirror keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorLimits {
    /// Of the shown scene, local entities included.
    pub scene: Limits,
    /// Most submissions that wait for an answer.
    pub pending: usize,
    /// Most bytes of them.
    pub pending_bytes: usize,
}

impl Default for MirrorLimits {
    fn default() -> MirrorLimits {
        MirrorLimits { scene: Limits::default(), pending: 1 << 14, pending_bytes: 16 << 20 }
    }
}

/// What the caller must do after a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Send this frame to the server.
    Send(Vec<u8>),
    /// The server refused a submission, and what it did is undone. Tell it in the writer's log.
    Refused {
        /// The process that wrote.
        writer: ProcessId,
        /// The error number.
        errno: Errno,
        /// The reason for people.
        reason: String,
    },
    /// The scene is complete: a snapshot was taken over.
    Synced,
}

/// A frame of the server that makes no sense. Join again, over this connection or a new one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// The frame is malformed.
    #[error("malformed frame of the scene: {0}")]
    Malformed(#[from] DecodeError),
    /// A change does not fit the scene that the server has told of.
    #[error("the server's changes do not fit the scene it sent: {0}")]
    Diverged(#[from] ApplyError),
    /// An answer to nothing, or a part of no snapshot.
    #[error("message of the scene out of turn: {0}")]
    OutOfTurn(&'static str),
}

#[derive(Debug)]
enum Link {
    /// Not joined: submissions are kept.
    Down,
    /// Joined, and waiting for the snapshot.
    Joined,
    /// In the midst of the snapshot.
    Loading {
        scene: Box<Scene>,
        sequence: u64,
        answered: u64,
        resumed: bool,
    },
    Up,
}

/// The shared scene as one client sees it, and its local scene.
#[derive(Debug)]
pub struct Mirror {
    peer: PeerId,
    instance: u64,
    limits: MirrorLimits,
    link: Link,
    sequence: u64,
    base: Scene,
    shown: Scene,
    next: u64,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    /// How many pending submissions concern an entity.
    touched: BTreeMap<EntityId, usize>,
    /// How many pending submissions that are shown write a component.
    masks: BTreeMap<(EntityId, ComponentKind), usize>,
    /// How many pending submissions change more than components.
    structural: usize,
    /// Entities of which the shown scene has to be worked out anew.
    stale: Option<BTreeSet<EntityId>>,
}

impl Mirror {
    /// An empty scene of this peer. `instance` is a random number that tells this mirror from an
    /// earlier one of the same peer.
    pub fn new(peer: PeerId, instance: u64, limits: MirrorLimits) -> Mirror {
        let mut shown = Scene::new(limits.scene);
        shown.record_changes();
        Mirror {
            peer,
            instance,
            limits,
            link: Link::Down,
            sequence: 0,
            base: Scene::new(Limits::NONE),
            shown,
            next: 1,
            pending: VecDeque::new(),
            pending_bytes: 0,
            touched: BTreeMap::new(),
            masks: BTreeMap::new(),
            structural: 0,
            stale: None,
        }
    }

    /// The scene as the user sees it, and as processes of this peer read it.
    pub const fn scene(&self) -> &Scene {
        &self.shown
    }

    /// The shared scene in the server's order, without what is still unanswered.
    pub const fn ordered(&self) -> &Scene {
        &self.base
    }

    /// The mirror has heard of every change of others up to this number in the server's order.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Number of submissions that the server has not answered.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether a snapshot was taken over since the connection began.
    pub const fn is_synced(&self) -> bool {
        matches!(self.link, Link::Up)
    }

    /// What has changed in [`Mirror::scene`] since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.shown.take_changes()
    }

    /// Begins a connection, or asks for a snapshot after a [`MirrorError`]: the frame to send first.
    /// Until the snapshot has come, what processes write is shown, and sent later.
    pub fn join(&mut self) -> Vec<u8> {
        self.link = Link::Joined;
        Up::Join { instance: self.instance }.encode()
    }

    /// The connection is lost. What processes write is shown, and sent after the next snapshot.
    pub fn disconnect(&mut self) {
        self.link = Link::Down;
    }

    /// Applies a batch of a process of this peer, whole or not at all, and shows it at once. Returns
    /// the frame to send to the server, if there is one now.
    ///
    /// # Errors
    /// An operation breaks a rule or a limit, or too much waits for the server's answers.
    pub fn apply(&mut self, writer: ProcessId, ops: &[Op]) -> Result<Option<Vec<u8>>, ApplyError> {
        let shared = self.shared_part(writer, ops)?;
        self.shown.apply(writer, ops)?;
        Ok(self.submit_shown(writer, shared))
    }

    /// As [`Mirror::apply`], for a process that may have so many entities.
    ///
    /// # Errors
    /// As [`Mirror::apply`].
    pub fn apply_within(
        &mut self,
        quota: &Quota,
        writer: ProcessId,
        ops: &[Op],
    ) -> Result<Option<Vec<u8>>, ApplyError> {
        let shared = self.shared_part(writer, ops)?;
        self.shown.apply_within(quota, writer, ops)?;
        Ok(self.submit_shown(writer, shared))
    }

    fn submit_shown(&mut self, writer: ProcessId, shared: Vec<Op>) -> Option<Vec<u8>> {
        if shared.is_empty() {
            return None;
        }
        self.submit(writer, Body::Ops(shared))
    }

    /// What belongs to a process of this peer counts for this origin from now on.
    pub fn set_origin(&mut self, process: ProcessId, origin: PeerId) {
        self.shown.set_origin(process, origin);
    }

    /// The operations that the server has to know of.
    fn shared_part(&self, writer: ProcessId, ops: &[Op]) -> Result<Vec<Op>, ApplyError> {
        let refuse = |index: usize, problem| {
            let entity = ops[index].entity();
            Err(ApplyError { index, entity, problem })
        };
        if ops.is_empty() {
            return Ok(Vec::new());
        }
        if writer.peer() != self.peer || writer.to_bits() == 0 {
            return refuse(0, Problem::ForeignWriter);
        }
        let mut made: BTreeMap<EntityId, Scope> = BTreeMap::new();
        let mut shared = Vec::with_capacity(ops.len());
        for (index, op) in ops.iter().enumerate() {
            let id = op.entity();
            if let Op::Create(_, scope) = op {
                made.insert(id, *scope);
                // A local entity may not take an id under which the server may yet show a shared one.
                let known = self.base.get(id).is_some() || self.touched.contains_key(&id);
                if *scope == Scope::Local && known {
                    return refuse(index, Problem::Exists);
                }
            }
            let scope = made.get(&id).copied().or_else(|| self.shown.get(id).map(|entity| entity.scope));
            if scope == Some(Scope::Shared) {
                shared.push(op.clone());
            }
        }
        let full =
            self.pending.len() >= self.limits.pending || self.pending_bytes >= self.limits.pending_bytes;
        if full && !shared.is_empty() {
            return refuse(0, Problem::Backlog);
        }
        Ok(shared)
    }

    /// Removes what belongs to a process of this peer that has ended. Returns the frame to send to
    /// the server, if there is one now.
    pub fn process_ended(&mut self, process: ProcessId) -> Option<Vec<u8>> {
        let of_base = self.base.owned_by(process);
        let of_shown = self.shown.owned_by(process);
        let is_shared = |id: &EntityId| self.shown.get(*id).is_none_or(|e| e.scope == Scope::Shared);
        let owned: Vec<EntityId> = of_base.chain(of_shown).filter(is_shared).collect();
        // It may also own what is neither shown nor ordered yet: what a refusal brings back.
        let concerned = self.pending.iter().any(|pending| pending.writer == process);
        self.shown.remove_owned_by(process);
        if owned.is_empty() && !concerned {
            return None;
        }
        // Not refused when too much waits: what is left behind would never go.
        self.submit(process, Body::Ended(owned))
    }

    /// Keeps a submission that is shown already.
    fn submit(&mut self, writer: ProcessId, body: Body) -> Option<Vec<u8>> {
        let is_up = matches!(self.link, Link::Up);
        let body = match body {
            Body::Ops(ops) if !is_up => match self.merge_unsent(writer, ops) {
                Some(ops) => Body::Ops(ops),
                None => return None,
            },
            body => body,
        };
        let pending = Pending::new(self.next, writer, body);
        self.next += 1;
        let frame = is_up.then(|| pending.frame());
        self.enter(pending);
        frame
    }

    /// Adds to the newest submission of the writer that was not sent yet, if both only set components
    /// and no submission after it writes the same ones: so that the motion of minutes without a
    /// connection stays small. Returns the operations if there is none.
    fn merge_unsent(&mut self, writer: ProcessId, ops: Vec<Op>) -> Option<Vec<Op>> {
        const LOOK_BACK: usize = 64;
        let pairs: Option<BTreeSet<_>> = ops.iter().map(pending::pair).collect();
        let Some(pairs) = pairs else { return Some(ops) };
        let mut found = None;
        for (at, earlier) in self.pending.iter().enumerate().rev().take(LOOK_BACK) {
            if earlier.sent || !earlier.shows || earlier.is_structural() {
                break;
            }
            if earlier.writer == writer {
                found = Some(at);
                break;
            }
            if earlier.ops().iter().filter_map(pending::pair).any(|pair| pairs.contains(&pair)) {
                break;
            }
        }
        let Some(mut earlier) = found.and_then(|at| self.pending.get(at).cloned()) else { return Some(ops) };
        let mut merged: Vec<Op> = earlier.ops().to_vec();
        merged.retain(|op| pending::pair(op).is_some_and(|pair| !pairs.contains(&pair)));
        merged.extend(ops.iter().cloned());
        let number = earlier.number;
        earlier = Pending::new(number, writer, Body::Ops(merged));
        if earlier.bytes > hearth_abi::scene::BATCH_LEN_MAX {
            return Some(ops);
        }
        if let Some(at) = found
            && let Some(place) = self.pending.get_mut(at)
        {
            let old = std::mem::replace(place, earlier.clone());
            self.count(&old, false);
            self.count(&earlier, true);
        }
        None
    }

    /// Takes in a frame of the server.
    ///
    /// # Errors
    /// The frame is malformed or does not fit. The mirror then waits for a snapshot: send the frame of
    /// [`Mirror::join`], over this connection or a new one.
    pub fn receive(&mut self, frame: &[u8]) -> Result<Vec<Notice>, MirrorError> {
        let mut notices = Vec::new();
        let done = Down::decode(frame).map_err(MirrorError::from).and_then(|messages| {
            messages.into_iter().try_for_each(|message| self.take_in(message, &mut notices))
        });
        self.rework();
        match done {
            Ok(()) => Ok(notices),
            Err(error) => {
                self.link = Link::Down;
                Err(error)
            }
        }
    }

    fn take_in(&mut self, message: Down, notices: &mut Vec<Notice>) -> Result<(), MirrorError> {
        match (message, &mut self.link) {
            (Down::Begin { sequence, answered, resumed }, Link::Joined | Link::Loading { .. } | Link::Up) => {
                let scene = Box::new(Scene::new(Limits::NONE));
                self.link = Link::Loading { scene, sequence, answered, resumed };
            }
            // Of before the snapshot that was asked for, which says it all.
            (_, Link::Down | Link::Joined) => {}
            (Down::Part(entities), Link::Loading { scene, .. }) => snapshot::load(scene, entities)?,
            (Down::End { entities }, Link::Loading { .. }) => self.end_snapshot(entities, notices)?,
            (Down::Update { sequence, parts }, Link::Up) => {
                for (writer, ops) in parts {
                    for (index, op) in ops.iter().enumerate() {
                        self.update(writer, op).map_err(|error| ApplyError { index, ..error })?;
                    }
                }
                self.sequence = self.sequence.max(sequence);
            }
            (Down::Answer { number, outcome }, Link::Up) => {
                let Some(pending) = self.leave(number) else {
                    return Err(MirrorError::OutOfTurn("an answer to no submission"));
                };
                match outcome {
                    Ok(()) => self.accepted(&pending)?,
                    Err(refusal) => {
                        self.refused(&pending);
                        let writer = pending.writer;
                        notices.push(Notice::Refused {
                            writer,
                            errno: refusal.errno,
                            reason: refusal.reason,
                        });
                    }
                }
            }
            (Down::Part(_) | Down::End { .. }, Link::Up) => {
                return Err(MirrorError::OutOfTurn("a part of no snapshot"));
            }
            (Down::Update { .. } | Down::Answer { .. }, Link::Loading { .. }) => {
                return Err(MirrorError::OutOfTurn("a change within a snapshot"));
            }
        }
        Ok(())
    }

    /// Applies an operation of another peer.
    fn update(&mut self, writer: ProcessId, op: &Op) -> Result<(), ApplyError> {
        let id = op.entity();
        let one = std::slice::from_ref(op);
        let concerned = match op {
            // What goes may be what a pending submission counts on.
            Op::Remove(_) => {
                !self.touched.is_empty() && self.base.below(id).any(|id| self.touched.contains_key(&id))
            }
            Op::Create(..) => self.touched.contains_key(&id) || self.shown.get(id).is_some(),
            _ => false,
        };
        let is_value = matches!(op, Op::Set(..) | Op::Unset(..));
        if self.stale.is_some() || concerned || (self.structural > 0 && !is_value) {
            self.mark_stale(id);
            if let Op::Remove(_) = op {
                let gone: Vec<EntityId> = self.base.below(id).collect();
                gone.into_iter().for_each(|id| self.mark_stale(id));
            }
            return self.base.apply_as(Trust::Order, writer, one);
        }
        self.base.apply_as(Trust::Order, writer, one)?;
        match pending::pair(op) {
            Some((id, kind)) => {
                if !self.masks.contains_key(&(id, kind)) {
                    self.show_base(id, kind);
                }
            }
            // As in the base: without pending changes of structure the trees are the same.
            None => self.shown.apply_as(Trust::Order, writer, one)?,
        }
        Ok(())
    }

    /// Whether the entity that is shown is not that of the base, but a later one of the same id.
    fn is_reborn(&self, id: EntityId) -> bool {
        let makes = |op: &Op| matches!(op, Op::Create(made, _) if *made == id);
        self.structural > 0
            && self.touched.contains_key(&id)
            && self.pending.iter().any(|pending| pending.shows && pending.ops().iter().any(makes))
    }

    /// Shows a component as it is in the base, if the entity is shown.
    fn show_base(&mut self, id: EntityId, kind: ComponentKind) {
        if self.is_reborn(id) {
            return;
        }
        let slot = self.base.get(id).and_then(|entity| entity.slot(kind));
        if self.shown.get(id).is_some_and(|entity| entity.slot(kind) != slot) {
            let slot = slot.cloned();
            self.shown.overwrite(id, kind, slot);
        }
    }

    fn mark_stale(&mut self, id: EntityId) {
        self.stale.get_or_insert_default().insert(id);
    }

    /// The server has accepted a submission: it becomes part of the base. Being the first of those that
    /// are pending it was shown over the same base, so that nothing more is to be done where it
    /// was shown.
    fn accepted(&mut self, pending: &Pending) -> Result<(), ApplyError> {
        match &pending.body {
            Body::Ops(ops) => self.base.apply_as(Trust::Order, pending.writer, ops)?,
            Body::Ended(_) => {
                self.base.remove_owned_by(pending.writer);
            }
        }
        self.settle(pending, !pending.shows);
        Ok(())
    }

    fn refused(&mut self, pending: &Pending) {
        if pending.shows {
            self.settle(pending, pending.is_structural());
        }
    }

    /// Shows the base again where nothing pending is over it.
    fn settle(&mut self, pending: &Pending, rework: bool) {
        if rework || self.stale.is_some() {
            pending.touched.iter().for_each(|id| self.mark_stale(*id));
            return;
        }
        for pair in pending.ops().iter().filter_map(pending::pair) {
            if !self.masks.contains_key(&pair) {
                self.show_base(pair.0, pair.1);
            }
        }
    }

    /// Works out anew what is shown of the stale entities, of those that pending submissions
    /// concern, and of all below them. Elsewhere the shown scene is the base.
    fn rework(&mut self) {
        let Some(stale) = self.stale.take() else { return };
        let mut ids: BTreeSet<EntityId> = BTreeSet::new();
        for id in stale.into_iter().chain(self.touched.keys().copied()) {
            ids.insert(id);
            ids.extend(self.base.below(id));
            let shared = |id: &EntityId| self.shown.get(*id).is_some_and(|e| e.scope == Scope::Shared);
            ids.extend(self.shown.below(id).filter(shared));
        }
        let mut target = self.base.part(&ids);
        self.show_pending(&mut target);
        self.shown.reconcile(&target, &ids);
    }

    /// Does the pending submissions over this scene, and notes which of them could be done.
    fn show_pending(&mut self, target: &mut Scene) {
        self.masks.clear();
        for pending in &mut self.pending {
            pending.shows = match &pending.body {
                Body::Ops(ops) => target.apply_as(Trust::Order, pending.writer, ops).is_ok(),
                Body::Ended(_) => {
                    target.remove_owned_by(pending.writer);
                    true
                }
            };
            if pending.shows {
                for pair in pending.ops().iter().filter_map(pending::pair) {
                    *self.masks.entry(pair).or_default() += 1;
                }
            }
        }
    }

    /// Puts a submission that is shown at the end of those that are pending.
    fn enter(&mut self, mut pending: Pending) {
        pending.sent = matches!(self.link, Link::Up);
        self.count(&pending, true);
        self.pending.push_back(pending);
    }

    /// Takes the submission of this number out, which must be the first.
    fn leave(&mut self, number: u64) -> Option<Pending> {
        let pending = self.pending.pop_front_if(|first| first.number == number)?;
        self.count(&pending, false);
        Some(pending)
    }

    /// Adds a submission to the counters, or takes it from them.
    fn count(&mut self, pending: &Pending, add: bool) {
        fn step<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K, add: bool) {
            let count = counts.entry(key);
            match (count, add) {
                (entry, true) => *entry.or_default() += 1,
                (std::collections::btree_map::Entry::Occupied(mut entry), false) => {
                    *entry.get_mut() -= 1;
                    if *entry.get() == 0 {
                        entry.remove();
                    }
                }
                (std::collections::btree_map::Entry::Vacant(_), false) => {}
            }
        }
        for id in &pending.touched {
            step(&mut self.touched, *id, add);
        }
        if pending.shows {
            for pair in pending.ops().iter().filter_map(pending::pair) {
                step(&mut self.masks, pair, add);
            }
        }
        let structural = usize::from(pending.is_structural());
        if add {
            self.structural += structural;
            self.pending_bytes += pending.bytes;
        } else {
            self.structural -= structural;
            self.pending_bytes -= pending.bytes;
        }
    }
}
