// SPDX-License-Identifier: AGPL-3.0-or-later
//! What several tests share.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(unreachable_pub, reason = "a module of several test crates")]

use hearth_abi::{
    EntityId, PeerId, ProcessId,
    scene::{Component, ComponentKind, Op, Scope, Transform},
};
use hearth_scene::{Change, Scene};
use std::collections::BTreeMap;

pub fn entity(peer: u32, serial: u64) -> EntityId {
    EntityId::new(PeerId::new(peer).unwrap(), serial).unwrap()
}

pub fn process(peer: u32, serial: u64) -> ProcessId {
    ProcessId::new(PeerId::new(peer).unwrap(), serial).unwrap()
}

pub fn create(id: EntityId) -> Op {
    Op::Create(id, Scope::Shared)
}

pub fn under(id: EntityId, parent: EntityId) -> Op {
    Op::SetParent(id, Some(parent))
}

pub fn at(x: f32) -> Component {
    Component::Transform(Transform::at(x, 0.0, 0.0))
}

pub fn name(text: &str) -> Component {
    Component::Name(text.into())
}

/// One line for each entity.
pub fn text(scene: &Scene) -> String {
    let line = |(id, e): (EntityId, &hearth_scene::Entity)| {
        let components: Vec<String> = e
            .components()
            .map(|component| match component {
                Component::Transform(t) => t.translation[0].to_string(),
                other => format!("{other:?}"),
            })
            .collect();
        format!("{id} {:?} under {:?} of {:?}: {}\n", e.scope(), e.parent(), e.owner(), components.join(", "))
    };
    scene.iter().map(line).collect()
}

/// What a renderer would know: it takes changes literally, and each must be possible.
#[derive(Debug, Default)]
pub struct Reader {
    known: BTreeMap<EntityId, Known>,
}

#[derive(Debug)]
struct Known {
    scope: Scope,
    parent: Option<EntityId>,
    components: BTreeMap<ComponentKind, Component>,
}

impl Reader {
    pub fn read(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Created { id, scope, .. } => {
                    let fresh = Known { scope, parent: None, components: BTreeMap::new() };
                    assert!(self.known.insert(id, fresh).is_none(), "{id} is created twice");
                }
                Change::Removed { id } => {
                    assert!(self.known.remove(&id).is_some(), "{id} is removed and is not there");
                    let child = self.known.iter().find(|(_, e)| e.parent == Some(id));
                    assert!(child.is_none(), "{id} is removed while {child:?} hangs under it");
                }
                Change::Reparented { id, parent } => {
                    let mut above = parent;
                    while let Some(ancestor) = above {
                        assert_ne!(ancestor, id, "{id} would hang under itself");
                        above = self.known.get(&ancestor).expect("the parent is there").parent;
                    }
                    self.known.get_mut(&id).expect("it is there").parent = parent;
                }
                Change::Set { id, component } => {
                    let entity = self.known.get_mut(&id).expect("it is there");
                    entity.components.insert(component.kind(), component);
                }
                Change::Unset { id, kind } => {
                    self.known.get_mut(&id).expect("it is there").components.remove(&kind);
                }
            }
        }
    }

    pub fn assert_knows(&self, scene: &Scene) {
        assert_eq!(self.known.len(), scene.len());
        for (id, entity) in scene.iter() {
            let known = self.known.get(&id).unwrap_or_else(|| panic!("{id} is not known"));
            assert_eq!((known.parent, known.scope), (entity.parent(), entity.scope()), "{id}");
            assert!(known.components.values().eq(entity.components()), "components of {id}");
        }
    }
}

/// A wish in four small numbers, made into an operation that has a chance in this scene. `fresh` are
/// ids for new entities.
pub fn op(scene: &Scene, fresh: &[EntityId], local: bool, [what, a, b, value]: [u8; 4]) -> Option<Op> {
    let ids: Vec<EntityId> = scene.iter().map(|(id, _)| id).collect();
    let pick = |n: u8| ids.get(usize::from(n) % ids.len().max(1)).copied();
    Some(match what % 16 {
        0..4 => {
            let id = fresh[usize::from(a) % fresh.len()];
            Op::Create(id, if local && b % 4 == 0 { Scope::Local } else { Scope::Shared })
        }
        4 => Op::Remove(pick(a)?),
        5..8 => Op::SetParent(pick(a)?, if b % 4 == 0 { None } else { pick(b) }),
        8..13 => Op::Set(pick(a)?, if b % 2 == 0 { at(value.into()) } else { name(&value.to_string()) }),
        13 | 14 => {
            Op::Unset(pick(a)?, if b % 2 == 0 { ComponentKind::Transform } else { ComponentKind::Name })
        }
        _ => Op::Give(pick(a)?),
    })
}
