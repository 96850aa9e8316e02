// SPDX-License-Identifier: AGPL-3.0-or-later
//! What has changed in a scene since somebody last looked, of each thing only its newest state.

use crate::{Owner, Scene};
use hearth_abi::{
    EntityId,
    scene::{Component, ComponentKind, Scope},
};
use std::collections::{BTreeMap, BTreeSet};

/// A step from the scene that the reader knows to the scene as it is.
///
/// Steps come in an order in which each can be done at once: nothing hangs under an entity when it
/// is removed, parents are there before something is hung under them, and components come last.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// There is a new entity, at the root, without components.
    Created {
        /// The entity.
        id: EntityId,
        /// Who sees it.
        scope: Scope,
        /// Whom it belongs to now; may change later without a further step.
        owner: Owner,
    },
    /// The entity is gone. Those that went with it are named too, before it.
    Removed {
        /// The entity.
        id: EntityId,
    },
    /// The entity hangs elsewhere.
    Reparented {
        /// The entity.
        id: EntityId,
        /// What it hangs under; `None` at the root.
        parent: Option<EntityId>,
    },
    /// The entity has a component, new or with a new value.
    Set {
        /// The entity.
        id: EntityId,
        /// The component.
        component: Component,
    },
    /// The entity has no such component (any more).
    Unset {
        /// The entity.
        id: EntityId,
        /// Which component.
        kind: ComponentKind,
    },
}

impl Change {
    /// The entity that it is about.
    pub const fn entity(&self) -> EntityId {
        match self {
            Change::Created { id, .. }
            | Change::Removed { id }
            | Change::Reparented { id, .. }
            | Change::Set { id, .. }
            | Change::Unset { id, .. } => *id,
        }
    }
}

/// How one entity differs from what the reader knows.
#[derive(Clone, Debug, Default)]
struct Dirty {
    /// The reader knows an entity of this id.
    known: bool,
    /// That one was removed. (There may be a new one.)
    removed: bool,
    /// Where that one hung, if it was moved or removed.
    hung_under: Option<Option<EntityId>>,
    /// Components that may differ, a bit for each kind.
    kinds: u64,
}

/// The set of differences.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracker {
    dirty: BTreeMap<EntityId, Dirty>,
}

const fn bit(kind: ComponentKind) -> u64 {
    1 << (kind as u16)
}

impl Tracker {
    fn known(&mut self, id: EntityId) -> &mut Dirty {
        self.dirty.entry(id).or_insert(Dirty { known: true, ..Dirty::default() })
    }

    pub(crate) fn created(&mut self, id: EntityId) {
        self.dirty.entry(id).or_default();
    }

    pub(crate) fn removed(&mut self, id: EntityId, parent: Option<EntityId>) {
        let dirty = self.known(id);
        if dirty.known {
            dirty.removed = true;
            dirty.hung_under.get_or_insert(parent);
            dirty.kinds = 0;
        } else {
            self.dirty.remove(&id);
        }
    }

    pub(crate) fn linked(&mut self, id: EntityId, from: Option<EntityId>) {
        let dirty = self.known(id);
        if dirty.known {
            dirty.hung_under.get_or_insert(from);
        }
    }

    pub(crate) fn put(&mut self, id: EntityId, kind: ComponentKind) {
        self.known(id).kinds |= bit(kind);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.dirty.is_empty()
    }

    /// The steps to `scene`.
    pub(crate) fn take(&mut self, scene: &Scene) -> Vec<Change> {
        let dirty = std::mem::take(&mut self.dirty);
        let mut changes = Vec::with_capacity(dirty.len());
        let removed: BTreeSet<EntityId> =
            dirty.iter().filter(|(_, d)| d.removed).map(|(id, _)| *id).collect();

        // What survives its parent leaves it first.
        for (id, d) in dirty.iter().filter(|(_, d)| d.known && !d.removed) {
            if let Some(Some(parent)) = d.hung_under
                && removed.contains(&parent)
            {
                changes.push(Change::Reparented { id: *id, parent: None });
            }
        }
        changes.extend(children_first(&removed, &dirty).into_iter().map(|id| Change::Removed { id }));

        let mut present: Vec<_> =
            dirty.iter().filter_map(|(id, d)| Some((scene.depth(*id)?, *id, d, scene.get(*id)?))).collect();
        present.sort_unstable_by_key(|(depth, id, ..)| (*depth, *id));
        let is_new = |d: &Dirty| !d.known || d.removed;
        for (_, id, d, entity) in &present {
            if is_new(d) {
                changes.push(Change::Created { id: *id, scope: entity.scope, owner: entity.owner });
            }
        }
        // From the root outwards, so that no step closes a ring.
        for (_, id, d, entity) in &present {
            let hangs_under = match d.hung_under {
                _ if is_new(d) => None,
                Some(Some(parent)) if removed.contains(&parent) => None,
                Some(parent) => parent,
                None => continue,
            };
            if hangs_under != entity.parent {
                changes.push(Change::Reparented { id: *id, parent: entity.parent });
            }
        }
        for (_, id, d, entity) in &present {
            if is_new(d) {
                let set = |c: &Component| Change::Set { id: *id, component: c.clone() };
                changes.extend(entity.components().map(set));
                continue;
            }
            for kind in ComponentKind::ALL.iter().filter(|kind| d.kinds & bit(**kind) != 0) {
                changes.push(match entity.get(*kind) {
                    Some(component) => Change::Set { id: *id, component: component.clone() },
                    None => Change::Unset { id: *id, kind: *kind },
                });
            }
        }
        changes
    }
}

/// The removed entities, deepest first in the tree that the reader knows.
fn children_first(removed: &BTreeSet<EntityId>, dirty: &BTreeMap<EntityId, Dirty>) -> Vec<EntityId> {
    let depth = |id: &EntityId| {
        let up = |id: &EntityId| dirty.get(id)?.hung_under?.filter(|parent| removed.contains(parent));
        std::iter::successors(up(id), up).count()
    };
    let mut order: Vec<_> = removed.iter().map(|id| (std::cmp::Reverse(depth(id)), *id)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, id)| id).collect()
}
