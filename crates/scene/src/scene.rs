// SPDX-License-Identifier: AGPL-3.0-or-later
//! The state of a scene, and the rules by which it changes.

use crate::{
    ApplyError, Change, Entity, Owner, Problem, SavedChange, SavedEntity, changes::Tracker, entity::Slot,
};
use hearth_abi::{
    EntityId, PeerId, ProcessId, TerminalId,
    scene::{Component, ComponentKind, Op, Scope, Transform},
};
use std::collections::{BTreeMap, BTreeSet};

/// How large a scene may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most entities of all owners together.
    pub entities: usize,
    /// Most entities that belong to one process of which nothing else is said.
    pub entities_per_process: usize,
    /// Most entities that belong to the processes of one peer of origin, as above. So one peer cannot fill the scene for all.
    pub entities_per_origin: usize,
    /// Most entities on the way from the root to an entity, that entity included.
    pub depth: usize,
    /// Most entities that one batch may have looked at while moving and giving parts of the tree.
    pub work: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            entities: 100_000,
            entities_per_process: 20_000,
            entities_per_origin: 50_000,
            depth: 64,
            work: 1_000_000,
        }
    }
}

impl Limits {
    /// For a scene that repeats what another has checked.
    pub(crate) const NONE: Limits = Limits {
        entities: 1 << 20,
        entities_per_process: 1 << 20,
        entities_per_origin: 1 << 20,
        depth: 64,
        work: usize::MAX,
    };
}

/// How many entities a process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Most that belong to it.
    pub entities: usize,
    /// The peer whose authority it has.
    pub origin: PeerId,
    /// Most that belong to the processes of that origin together.
    pub of_origin: usize,
}

/// Who vouches for a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Nobody: it is the wish of a process that may have so much.
    Wish(Quota),
    /// The server has applied it.
    Order,
}

/// What undoes one step.
pub(crate) enum Undo {
    Created(EntityId),
    /// The entity asked for comes first, and each parent before its children.
    Removed(Vec<(EntityId, Entity)>),
    Linked(EntityId, Option<EntityId>),
    Put(EntityId, ComponentKind, Option<Slot>),
    Owned(Vec<(EntityId, Owner)>),
}

/// A tree of entities. A pure state: the same batches in the same order give the same scene.
///
/// The rules:
/// - An id is used by one entity at a time, and was given by the peer of the process that uses it.
/// - Whoever may write may change, remove, and give to the space any entity that it sees.
/// - A shared entity hangs under the root or a shared entity; a local one under any.
/// - What hangs below a removed entity goes with it, whomever it belongs to.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    limits: Limits,
    entities: BTreeMap<EntityId, Entity>,
    owned: BTreeMap<ProcessId, BTreeSet<EntityId>>,
    /// The origin of the processes that have another than the peer that they run on.
    origins: BTreeMap<ProcessId, PeerId>,
    /// How many entities the processes of an origin own.
    of_origin: BTreeMap<PeerId, usize>,
    /// Entities that show a terminal.
    showing: BTreeSet<EntityId>,
    changes: Option<Tracker>,
    /// Entities that belong to the space, or did, and have changed.
    unsaved: Option<BTreeSet<EntityId>>,
}

/// Two scenes are equal when they hold the same entities; what readers still have to be told is no
/// part of the comparison.
impl PartialEq for Scene {
    fn eq(&self, other: &Scene) -> bool {
        self.entities == other.entities
    }
}

impl Scene {
    /// An empty scene that records no changes.
    pub fn new(limits: Limits) -> Scene {
        Scene { limits, ..Scene::default() }
    }

    /// Records what changes from now on, for [`Scene::take_changes`]. What is there already counts
    /// as new.
    pub fn record_changes(&mut self) {
        let mut tracker = Tracker::default();
        self.entities.keys().for_each(|id| tracker.created(*id));
        self.changes = Some(tracker);
    }

    /// Records from now on what of the space's entities has changed, for [`Scene::take_unsaved`].
    pub fn record_unsaved(&mut self) {
        self.unsaved = Some(BTreeSet::new());
    }

    /// The entity of this id.
    pub fn get(&self, id: EntityId) -> Option<&Entity> {
        self.entities.get(&id)
    }

    /// Number of entities.
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// All entities in order of id.
    pub fn iter(&self) -> impl Iterator<Item = (EntityId, &Entity)> {
        self.entities.iter().map(|(id, entity)| (*id, entity))
    }

    /// All entities, each parent before its children.
    pub fn parents_first(&self) -> impl Iterator<Item = (EntityId, &Entity)> {
        let mut roots = self.entities.iter().filter(|(_, entity)| entity.parent.is_none());
        let mut below: Vec<EntityId> = Vec::new();
        std::iter::from_fn(move || {
            let id = below.pop().or_else(|| roots.next().map(|(id, _)| *id))?;
            let entity = self.entities.get(&id)?;
            below.extend(entity.children.iter().rev());
            Some((id, entity))
        })
    }

    /// What hangs directly under an entity, in order of id. Nothing if there is no such entity.
    pub fn children(&self, id: EntityId) -> impl Iterator<Item = EntityId> {
        self.entities.get(&id).into_iter().flat_map(Entity::children)
    }

    /// The entities that belong to a process, in order of id.
    pub fn owned_by(&self, process: ProcessId) -> impl Iterator<Item = EntityId> {
        self.owned.get(&process).into_iter().flatten().copied()
    }

    /// Number of entities that belong to a process.
    pub fn count_of(&self, process: ProcessId) -> usize {
        self.owned.get(&process).map_or(0, BTreeSet::len)
    }

    /// Number of entities that belong to the processes of an origin.
    pub fn count_of_origin(&self, origin: PeerId) -> usize {
        self.of_origin.get(&origin).copied().unwrap_or_default()
    }

    /// What belongs to a process counts for this origin, until [`Scene::remove_owned_by`]; for the peer that the process
    /// runs on if nothing is said.
    pub fn set_origin(&mut self, process: ProcessId, origin: PeerId) {
        let before = self.origin_of(process);
        if before == origin {
            return;
        }
        let count = self.count_of(process);
        self.count_for(before, |of| of - count);
        self.count_for(origin, |of| of + count);
        match origin == process.peer() {
            true => self.origins.remove(&process),
            false => self.origins.insert(process, origin),
        };
    }

    fn origin_of(&self, process: ProcessId) -> PeerId {
        self.origins.get(&process).copied().unwrap_or(process.peer())
    }

    fn count_for(&mut self, origin: PeerId, change: impl FnOnce(usize) -> usize) {
        let count = self.of_origin.entry(origin).or_default();
        *count = change(*count);
        if *count == 0 {
            self.of_origin.remove(&origin);
        }
    }

    /// The terminals that entities of the shared scene show.
    pub fn shared_terminals(&self) -> BTreeSet<TerminalId> {
        let entities = self.showing.iter().filter_map(|id| self.entities.get(id));
        let shared = entities.filter(|entity| entity.scope == Scope::Shared);
        let shown = shared.filter_map(|entity| match entity.get(ComponentKind::Terminal) {
            Some(Component::Terminal(view)) => Some(view.terminal),
            _ => None,
        });
        shown.collect()
    }

    /// The entities that show a terminal, of both scopes, in order of id, from behind this one on.
    pub fn showing_terminals(&self, after: EntityId) -> impl Iterator<Item = EntityId> {
        let behind = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        self.showing.range(behind).copied()
    }

    /// Where an entity is in the world: its transform and those above it, one after the other. What that skews,
    /// this does not tell. `None` if it is not there.
    pub fn in_world(&self, id: EntityId) -> Option<Transform> {
        let own = |id: EntityId| match self.get(id)?.get(ComponentKind::Transform) {
            Some(Component::Transform(transform)) => Some(*transform),
            _ => Some(Transform::IDENTITY),
        };
        self.above(id).try_fold(own(id)?, |inner, above| Some(own(above)?.compose(&inner)))
    }

    /// Whether an entity, or one above it, is hidden.
    pub fn is_hidden(&self, id: EntityId) -> bool {
        let hides = |id: EntityId| {
            let hidden = self.get(id).and_then(|entity| entity.get(ComponentKind::Hidden));
            matches!(hidden, Some(Component::Hidden(true)))
        };
        std::iter::once(id).chain(self.above(id)).any(hides)
    }

    /// Number of entities above this one; `None` if it is not there.
    pub fn depth(&self, id: EntityId) -> Option<usize> {
        self.entities.get(&id)?;
        Some(self.above(id).count())
    }

    /// The entities above this one, nearest first.
    pub fn above(&self, id: EntityId) -> impl Iterator<Item = EntityId> {
        let up = |id: &EntityId| self.entities.get(id).and_then(|entity| entity.parent);
        std::iter::successors(up(&id), up)
    }

    /// The entity and all below it, parents first; nothing if it is not there.
    pub(crate) fn below(&self, id: EntityId) -> impl Iterator<Item = EntityId> {
        let mut stack = Vec::from_iter(self.entities.contains_key(&id).then_some(id));
        std::iter::from_fn(move || {
            let id = stack.pop()?;
            stack.extend(self.children(id));
            Some(id)
        })
    }

    /// Applies a batch of a process, whole or not at all.
    ///
    /// # Errors
    /// An operation breaks a rule or a limit; the scene is then as it was before.
    pub fn apply(&mut self, writer: ProcessId, ops: &[Op]) -> Result<(), ApplyError> {
        let quota = Quota {
            entities: self.limits.entities_per_process,
            origin: self.origin_of(writer),
            of_origin: self.limits.entities_per_origin,
        };
        self.apply_as(Trust::Wish(quota), writer, ops)
    }

    /// As [`Scene::apply`], for a writer that may have so many entities. What belongs to it counts for that origin
    /// from now on.
    ///
    /// # Errors
    /// As [`Scene::apply`].
    pub fn apply_within(&mut self, quota: &Quota, writer: ProcessId, ops: &[Op]) -> Result<(), ApplyError> {
        self.set_origin(writer, quota.origin);
        self.apply_as(Trust::Wish(*quota), writer, ops)
    }

    /// As [`Scene::apply`], with the checks that the trust calls for.
    pub(crate) fn apply_as(&mut self, trust: Trust, writer: ProcessId, ops: &[Op]) -> Result<(), ApplyError> {
        let mut log = Vec::with_capacity(ops.len());
        let mut work = self.limits.work;
        for (index, op) in ops.iter().enumerate() {
            match self.step(trust, writer, op, &mut work) {
                Ok(undo) => log.push(undo),
                Err(problem) => {
                    log.into_iter().rev().for_each(|undo| self.undo(undo));
                    return Err(ApplyError { index, entity: op.entity(), problem });
                }
            }
        }
        self.commit(&log);
        Ok(())
    }

    fn step(&mut self, trust: Trust, writer: ProcessId, op: &Op, work: &mut usize) -> Result<Undo, Problem> {
        let id = op.entity();
        if let Op::Create(_, scope) = op {
            if self.entities.contains_key(&id) {
                return Err(Problem::Exists);
            }
            if self.entities.len() >= self.limits.entities {
                return Err(Problem::SceneFull);
            }
            let owner = Owner::of_writer(writer);
            if let Trust::Wish(quota) = trust {
                if id.peer() != writer.peer() {
                    return Err(Problem::ForeignId);
                }
                if owner != Owner::Space && self.count_of(writer) >= quota.entities {
                    return Err(Problem::ProcessFull);
                }
                if owner != Owner::Space && self.count_of_origin(quota.origin) >= quota.of_origin {
                    return Err(Problem::OriginFull);
                }
            }
            return Ok(self.insert(id, *scope, owner));
        }
        let entity = self.entities.get(&id).ok_or(Problem::NotFound)?;
        Ok(match op {
            Op::Create(..) => return Err(Problem::Exists),
            Op::Remove(_) => self.remove(id),
            Op::SetParent(_, parent) => {
                if let Some(parent) = *parent {
                    self.may_hang(id, entity, parent, work)?;
                }
                self.link(id, *parent)
            }
            Op::Set(_, component) => {
                let slot = Slot { component: component.clone(), writer };
                self.put(id, component.kind(), Some(slot))
            }
            Op::Unset(_, kind) => self.put(id, *kind, None),
            Op::Give(_) => {
                if entity.scope == Scope::Local {
                    return Err(Problem::LocalGiven);
                }
                let mut given = Vec::new();
                for id in self.below(id) {
                    *work = work.checked_sub(1).ok_or(Problem::TooMuchWork)?;
                    if self.entities.get(&id).is_some_and(|e| e.scope == Scope::Shared) {
                        given.push((id, Owner::Space));
                    }
                }
                self.own(given)
            }
        })
    }

    /// Whether an entity may hang under this parent.
    fn may_hang(
        &self,
        id: EntityId,
        entity: &Entity,
        parent: EntityId,
        work: &mut usize,
    ) -> Result<(), Problem> {
        let above = self.entities.get(&parent).ok_or(Problem::ParentNotFound)?;
        if entity.scope == Scope::Shared && above.scope == Scope::Local {
            return Err(Problem::ScopeOfParent);
        }
        let mut depth = 2;
        if parent == id {
            return Err(Problem::Cycle);
        }
        for ancestor in self.above(parent) {
            if ancestor == id {
                return Err(Problem::Cycle);
            }
            depth += 1;
        }
        let mut level: Vec<EntityId> = vec![id];
        while !level.is_empty() {
            if depth > self.limits.depth {
                return Err(Problem::TooDeep);
            }
            *work = work.checked_sub(level.len()).ok_or(Problem::TooMuchWork)?;
            level = level.into_iter().flat_map(|id| self.children(id)).collect();
            depth += 1;
        }
        Ok(())
    }

    /// Removes what belongs to a process that has ended. Returns the operations that did it, for
    /// those who mirror the scene.
    pub fn remove_owned_by(&mut self, process: ProcessId) -> Vec<Op> {
        let owned = self.owned.get(&process).cloned().unwrap_or_default();
        let ops = self.remove_all(&owned);
        self.set_origin(process, process.peer());
        ops
    }

    /// Removes what belongs to the processes of a peer that has left. Returns the operations that
    /// did it, for those who mirror the scene.
    pub fn remove_owned_by_peer(&mut self, peer: PeerId) -> Vec<Op> {
        let of_peer = self.owned.iter().filter(|(process, _)| process.peer() == peer);
        let owned = of_peer.flat_map(|(_, owned)| owned).copied().collect();
        self.remove_all(&owned)
    }

    fn remove_all(&mut self, ids: &BTreeSet<EntityId>) -> Vec<Op> {
        let tops: Vec<EntityId> =
            ids.iter().copied().filter(|id| !self.above(*id).any(|above| ids.contains(&above))).collect();
        let log: Vec<Undo> = tops.iter().map(|id| self.remove(*id)).collect();
        self.commit(&log);
        tops.into_iter().map(Op::Remove).collect()
    }

    /// Puts in what was saved, as the space's. What was saved under a parent that is not there, or
    /// under which it may not hang, hangs under the root; an id that is taken is skipped.
    pub fn restore(&mut self, saved: &[SavedEntity]) {
        let mut log = Vec::new();
        let mut fresh = Vec::new();
        let unsaved = self.unsaved.take();
        for entity in saved {
            if self.entities.contains_key(&entity.id) {
                continue;
            }
            log.push(self.insert(entity.id, Scope::Shared, Owner::Space));
            for component in &entity.components {
                let slot = Slot { component: component.clone(), writer: ProcessId::from_bits(0) };
                log.push(self.put(entity.id, component.kind(), Some(slot)));
            }
            fresh.push(entity);
        }
        for entity in fresh {
            let may_hang = |parent: &EntityId| {
                let here = self.entities.get(&entity.id)?;
                self.may_hang(entity.id, here, *parent, &mut { usize::MAX }).ok()
            };
            if let Some(parent) = entity.parent.filter(|parent| may_hang(parent).is_some()) {
                log.push(self.link(entity.id, Some(parent)));
            }
        }
        self.commit(&log);
        self.unsaved = unsaved;
    }

    /// The steps from the scene that the last caller was told to the scene as it is. Nothing unless
    /// [`Scene::record_changes`] was called.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let Some(mut tracker) = self.changes.take() else { return Vec::new() };
        let changes = tracker.take(self);
        self.changes = Some(tracker);
        changes
    }

    /// Whether [`Scene::take_changes`] has something to tell.
    pub fn has_changes(&self) -> bool {
        self.changes.as_ref().is_some_and(|tracker| !tracker.is_empty())
    }

    /// What the file of the space has yet to be told. Nothing unless [`Scene::record_unsaved`] was
    /// called.
    pub fn take_unsaved(&mut self) -> Vec<SavedChange> {
        let Some(unsaved) = &mut self.unsaved else { return Vec::new() };
        let ids = std::mem::take(unsaved);
        let saved = |id: EntityId| {
            let entity =
                self.entities.get(&id).filter(|e| e.owner == Owner::Space && e.scope == Scope::Shared)?;
            let components = entity.components().cloned().collect();
            Some(SavedEntity { id, parent: entity.parent, components })
        };
        ids.into_iter().map(|id| saved(id).map_or(SavedChange::Remove(id), SavedChange::Put)).collect()
    }

    /// Marks changes as unsaved again, because saving them failed.
    pub fn not_saved(&mut self, changes: &[SavedChange]) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.extend(changes.iter().map(SavedChange::entity));
        }
    }

    /// The entities of these ids with all that is above them.
    pub(crate) fn part(&self, ids: &BTreeSet<EntityId>) -> Scene {
        let mut part = Scene::new(Limits::NONE);
        let here = ids.iter().copied().filter(|id| self.entities.contains_key(id));
        let all: BTreeSet<EntityId> = here.flat_map(|id| std::iter::once(id).chain(self.above(id))).collect();
        for id in &all {
            let Some(entity) = self.entities.get(id) else { continue };
            let mut entity = entity.clone();
            entity.children.retain(|child| all.contains(child));
            part.index(*id, &entity);
            part.entities.insert(*id, entity);
        }
        part
    }

    // The steps below check nothing but what they need to keep the tree a tree. Each returns what
    // undoes it, and `commit` tells it to those who record changes.

    pub(crate) fn insert(&mut self, id: EntityId, scope: Scope, owner: Owner) -> Undo {
        let entity = Entity::new(scope, owner);
        self.index(id, &entity);
        self.entities.insert(id, entity);
        Undo::Created(id)
    }

    pub(crate) fn remove(&mut self, id: EntityId) -> Undo {
        if let Some(parent) = self.entities.get(&id).and_then(|entity| entity.parent)
            && let Some(parent) = self.entities.get_mut(&parent)
        {
            parent.children.remove(&id);
        }
        let ids: Vec<EntityId> = self.below(id).collect();
        let mut removed = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(entity) = self.entities.remove(&id) {
                self.unindex_owner(id, entity.owner);
                self.showing.remove(&id);
                removed.push((id, entity));
            }
        }
        Undo::Removed(removed)
    }

    pub(crate) fn link(&mut self, id: EntityId, parent: Option<EntityId>) -> Undo {
        let Some(entity) = self.entities.get_mut(&id) else { return Undo::Linked(id, None) };
        let from = std::mem::replace(&mut entity.parent, parent);
        if let Some(from) = from.and_then(|from| self.entities.get_mut(&from)) {
            from.children.remove(&id);
        }
        if let Some(parent) = parent.and_then(|parent| self.entities.get_mut(&parent)) {
            parent.children.insert(id);
        }
        Undo::Linked(id, from)
    }

    pub(crate) fn put(&mut self, id: EntityId, kind: ComponentKind, slot: Option<Slot>) -> Undo {
        let Some(entity) = self.entities.get_mut(&id) else { return Undo::Put(id, kind, None) };
        if kind == ComponentKind::Terminal {
            match slot {
                Some(_) => self.showing.insert(id),
                None => self.showing.remove(&id),
            };
        }
        Undo::Put(id, kind, entity.exchange(kind, slot))
    }

    pub(crate) fn own(&mut self, owners: Vec<(EntityId, Owner)>) -> Undo {
        let mut before = Vec::with_capacity(owners.len());
        for (id, owner) in owners {
            if let Some(entity) = self.entities.get_mut(&id) {
                let from = std::mem::replace(&mut entity.owner, owner);
                self.unindex_owner(id, from);
                self.index_owner(id, owner);
                before.push((id, from));
            }
        }
        Undo::Owned(before)
    }

    fn index(&mut self, id: EntityId, entity: &Entity) {
        self.index_owner(id, entity.owner);
        if entity.get(ComponentKind::Terminal).is_some() {
            self.showing.insert(id);
        }
    }

    fn index_owner(&mut self, id: EntityId, owner: Owner) {
        if let Owner::Process(process) = owner
            && self.owned.entry(process).or_default().insert(id)
        {
            self.count_for(self.origin_of(process), |of| of + 1);
        }
    }

    fn unindex_owner(&mut self, id: EntityId, owner: Owner) {
        if let Owner::Process(process) = owner
            && let Some(owned) = self.owned.get_mut(&process)
        {
            let was_owned = owned.remove(&id);
            if owned.is_empty() {
                self.owned.remove(&process);
            }
            if was_owned {
                self.count_for(self.origin_of(process), |of| of - 1);
            }
        }
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Created(id) => {
                self.remove(id);
            }
            Undo::Removed(removed) => {
                if let Some((top, entity)) = removed.first()
                    && let Some(parent) = entity.parent.and_then(|parent| self.entities.get_mut(&parent))
                {
                    parent.children.insert(*top);
                }
                for (id, entity) in removed {
                    self.index(id, &entity);
                    self.entities.insert(id, entity);
                }
            }
            Undo::Linked(id, from) => {
                self.link(id, from);
            }
            Undo::Put(id, kind, before) => {
                self.put(id, kind, before);
            }
            Undo::Owned(before) => {
                self.own(before);
            }
        }
    }

    /// Tells steps that will not be undone to those who record changes.
    pub(crate) fn commit(&mut self, log: &[Undo]) {
        if let Some(tracker) = &mut self.changes {
            for step in log {
                match step {
                    Undo::Created(id) => tracker.created(*id),
                    Undo::Removed(gone) => gone.iter().for_each(|(id, e)| tracker.removed(*id, e.parent)),
                    Undo::Linked(id, from) => tracker.linked(*id, *from),
                    Undo::Put(id, kind, _) => tracker.put(*id, *kind),
                    Undo::Owned(_) => {}
                }
            }
        }
        if let Some(unsaved) = &mut self.unsaved {
            for step in log {
                match step {
                    Undo::Removed(gone) => {
                        let spaces = gone.iter().filter(|(_, entity)| entity.owner == Owner::Space);
                        unsaved.extend(spaces.map(|(id, _)| *id));
                    }
                    Undo::Created(id) | Undo::Linked(id, _) | Undo::Put(id, _, _) => {
                        if self.entities.get(id).is_some_and(|e| e.owner == Owner::Space) {
                            unsaved.insert(*id);
                        }
                    }
                    Undo::Owned(before) => unsaved.extend(before.iter().map(|(id, _)| *id)),
                }
            }
        }
    }

    /// Sets a component that was checked elsewhere.
    pub(crate) fn overwrite(&mut self, id: EntityId, kind: ComponentKind, slot: Option<Slot>) {
        let step = self.put(id, kind, slot);
        self.commit(&[step]);
    }
}

/// The component of an entity, as bytes; what `scene_read` answers.
impl Scene {
    /// The bytes of a component of an entity.
    pub fn component_bytes(&self, id: EntityId, kind: ComponentKind) -> Option<Vec<u8>> {
        let component: &Component = self.get(id)?.get(kind)?;
        let mut bytes = Vec::new();
        component.encode(&mut bytes);
        Some(bytes)
    }
}
