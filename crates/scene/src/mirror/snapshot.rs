// SPDX-License-Identifier: AGPL-3.0-or-later
//! Taking over a snapshot: at the start, after a connection was lost, or after a queue overflowed.
//!
//! If the server still knew this mirror, submissions that the snapshot answers are done with, and
//! the others are submitted again (the server skips those that it gets twice).
//!
//! If it did not (the grace time had passed, or it was started anew), everything that belonged to
//! processes of this peer is gone there, while the processes live on here. What they own is made
//! again as it is shown, unless something of others that it hung under is gone. Other unanswered
//! submissions are dropped: what they changed is shown as the server has it.

use super::{Link, Mirror, MirrorError, Notice, pending::Body, pending::Pending};
use crate::{
    ApplyError, Owner, Scene,
    scene::Trust,
    wire::{PART_LEN_MAX, SnapshotEntity},
};
use hearth_abi::{
    EntityId, ProcessId,
    scene::{Op, Scope},
};
use std::collections::{BTreeMap, BTreeSet};

/// Adds entities of a snapshot to a scene.
pub(super) fn load(scene: &mut Scene, entities: Vec<SnapshotEntity>) -> Result<(), ApplyError> {
    for entity in entities {
        let writer = ProcessId::from_bits(entity.owner.to_bits());
        let mut ops = vec![Op::Create(entity.id, Scope::Shared)];
        ops.extend(entity.parent.map(|parent| Op::SetParent(entity.id, Some(parent))));
        ops.extend(entity.components.into_iter().map(|component| Op::Set(entity.id, component)));
        scene.apply_as(Trust::Order, writer, &ops)?;
    }
    Ok(())
}

impl Mirror {
    pub(super) fn end_snapshot(
        &mut self,
        entities: u64,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MirrorError> {
        let Link::Loading { scene, sequence, answered, resumed } =
            std::mem::replace(&mut self.link, Link::Up)
        else {
            return Err(MirrorError::OutOfTurn("the end of no snapshot"));
        };
        if scene.len() as u64 != entities {
            return Err(MirrorError::OutOfTurn("a snapshot with entities missing"));
        }
        let before = std::mem::replace(&mut self.base, *scene);
        self.sequence = sequence;
        self.stale = None;

        let mut kept: Vec<Pending> = self.pending.drain(..).collect();
        if resumed {
            kept.retain(|pending| pending.number > answered);
        } else {
            kept = self.make_again(&before, &kept);
        }
        self.pending_bytes = 0;
        self.structural = 0;
        self.touched.clear();
        self.masks.clear();
        for pending in kept {
            notices.push(Notice::Send(pending.frame()));
            self.enter(pending);
        }

        let shared = self.shown.iter().filter(|(_, entity)| entity.scope == Scope::Shared);
        let mut ids: BTreeSet<EntityId> = shared.map(|(id, _)| id).collect();
        ids.extend(self.base.iter().map(|(id, _)| id));
        if self.pending.is_empty() {
            self.shown.reconcile(&self.base, &ids);
        } else {
            let mut target = self.base.clone();
            self.show_pending(&mut target);
            ids.extend(target.iter().map(|(id, _)| id));
            self.shown.reconcile(&target, &ids);
        }
        notices.push(Notice::Synced);
        Ok(())
    }

    /// The submissions that make the entities of this peer's processes again, as they are shown.
    fn make_again(&mut self, before: &Scene, pending: &[Pending]) -> Vec<Pending> {
        let mut makers: BTreeMap<EntityId, ProcessId> = BTreeMap::new();
        for (id, entity) in before.iter() {
            if let Owner::Process(process) = entity.owner {
                makers.insert(id, process);
            }
        }
        for pending in pending {
            for op in pending.ops() {
                if let Op::Create(id, _) = op {
                    makers.insert(*id, pending.writer);
                }
            }
        }
        let mut made: BTreeSet<EntityId> = BTreeSet::new();
        let mut batches: Vec<(ProcessId, Vec<Op>)> = Vec::new();
        let mut batch_len = 0;
        for (id, entity) in self.shown.parents_first().filter(|(_, entity)| entity.scope == Scope::Shared) {
            let Some(maker) = makers.get(&id).filter(|maker| maker.peer() == self.peer) else { continue };
            let is_there = |id| self.base.get(id).is_some() || made.contains(&id);
            if self.base.get(id).is_some() || !entity.parent.is_none_or(is_there) {
                continue;
            }
            made.insert(id);
            let mut ops = vec![Op::Create(id, Scope::Shared)];
            ops.extend(entity.parent.map(|parent| Op::SetParent(id, Some(parent))));
            ops.extend(entity.components().map(|component| Op::Set(id, component.clone())));
            // Given before the server could answer.
            ops.extend((entity.owner == Owner::Space).then_some(Op::Give(id)));
            let len = ops.iter().map(encoded_len).sum::<usize>();
            match batches.last_mut() {
                Some((writer, batch)) if writer == maker && batch_len + len <= PART_LEN_MAX => {
                    batch.extend(ops);
                    batch_len += len;
                }
                _ => {
                    batches.push((*maker, ops));
                    batch_len = len;
                }
            }
        }
        let mut submissions = Vec::with_capacity(batches.len());
        for (writer, ops) in batches {
            submissions.push(Pending::new(self.next, writer, Body::Ops(ops)));
            self.next += 1;
        }
        submissions
    }

    /// What is shown, worked out from the definition: for tests, which compare it with what the small
    /// steps made of it.
    #[doc(hidden)]
    pub fn shown_by_definition(&self) -> Scene {
        let mut scene = self.base.clone();
        for pending in &self.pending {
            // What cannot be done over the base is not shown.
            let _undone = match &pending.body {
                Body::Ops(ops) => scene.apply_as(Trust::Order, pending.writer, ops).is_err(),
                Body::Ended(_) => scene.remove_owned_by(pending.writer).is_empty(),
            };
        }
        scene
    }

    /// The shared entities that are shown.
    #[doc(hidden)]
    pub fn shown_shared(&self) -> Scene {
        self.shown.shared()
    }
}

fn encoded_len(op: &Op) -> usize {
    let mut bytes = Vec::new();
    op.encode(&mut bytes);
    bytes.len()
}
