// SPDX-License-Identifier: AGPL-3.0-or-later
//! An entity: its place in the tree, its owner, its components.

use hearth_abi::{
    EntityId, ProcessId,
    scene::{Component, ComponentKind, Scope},
};
use std::collections::BTreeSet;

/// Whom an entity belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The space: it stays when processes and peers go, and is saved.
    Space,
    /// A process: it goes when that process ends.
    Process(ProcessId),
}

impl Owner {
    /// The owner of what this writer makes. The writer with all bits zero is the space itself.
    pub const fn of_writer(writer: ProcessId) -> Owner {
        if writer.to_bits() == 0 { Owner::Space } else { Owner::Process(writer) }
    }

    /// The process, or all bits zero for the space.
    pub const fn to_bits(self) -> u64 {
        match self {
            Owner::Space => 0,
            Owner::Process(process) => process.to_bits(),
        }
    }
}

/// A component and the process that wrote it.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) component: Component,
    pub(crate) writer: ProcessId,
}

/// The writer is a hint for finding lumps, which snapshots leave out; it makes no difference.
impl PartialEq for Slot {
    fn eq(&self, other: &Slot) -> bool {
        self.component == other.component
    }
}

/// An entity of a [`Scene`](crate::Scene).
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    pub(crate) scope: Scope,
    pub(crate) owner: Owner,
    pub(crate) parent: Option<EntityId>,
    pub(crate) children: BTreeSet<EntityId>,
    /// In order of kind. Few, so that a list is smaller and faster than a map.
    pub(crate) slots: Vec<Slot>,
}

impl Entity {
    pub(crate) const fn new(scope: Scope, owner: Owner) -> Entity {
        Entity { scope, owner, parent: None, children: BTreeSet::new(), slots: Vec::new() }
    }

    /// Who sees it.
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Whom it belongs to.
    pub const fn owner(&self) -> Owner {
        self.owner
    }

    /// What it hangs under; `None` at the root.
    pub const fn parent(&self) -> Option<EntityId> {
        self.parent
    }

    /// What hangs directly under it, in order of id.
    pub fn children(&self) -> impl Iterator<Item = EntityId> {
        self.children.iter().copied()
    }

    /// Its components, in order of kind.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        self.slots.iter().map(|slot| &slot.component)
    }

    /// Its component of this kind.
    pub fn get(&self, kind: ComponentKind) -> Option<&Component> {
        self.slot(kind).map(|slot| &slot.component)
    }

    /// The process that last wrote its component of this kind: the peer of that process has, or
    /// knows who has, the lumps that the component refers to. All bits zero if that is not known.
    pub fn writer(&self, kind: ComponentKind) -> Option<ProcessId> {
        self.slot(kind).map(|slot| slot.writer)
    }

    pub(crate) fn slot(&self, kind: ComponentKind) -> Option<&Slot> {
        self.find(kind).ok().map(|at| &self.slots[at])
    }

    fn find(&self, kind: ComponentKind) -> Result<usize, usize> {
        self.slots.binary_search_by_key(&kind, |slot| slot.component.kind())
    }

    /// Puts a component in, or takes it out; returns what was there.
    pub(crate) fn exchange(&mut self, kind: ComponentKind, slot: Option<Slot>) -> Option<Slot> {
        match (self.find(kind), slot) {
            (Ok(at), Some(slot)) => Some(std::mem::replace(&mut self.slots[at], slot)),
            (Ok(at), None) => Some(self.slots.remove(at)),
            (Err(at), Some(slot)) => {
                self.slots.insert(at, slot);
                None
            }
            (Err(_), None) => None,
        }
    }
}
