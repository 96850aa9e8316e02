// SPDX-License-Identifier: AGPL-3.0-or-later
//! Bringing one scene to the state of another with as few steps as there are differences.

use crate::{
    Scene,
    scene::{Limits, Undo},
};
use hearth_abi::{
    EntityId,
    scene::{ComponentKind, Scope},
};
use std::collections::BTreeSet;

impl Scene {
    /// Makes the shared entities of these ids what they are in `target`. Every difference between
    /// the two must be at one of these ids. Local entities stay, but for those below what goes.
    pub(crate) fn reconcile(&mut self, target: &Scene, ids: &BTreeSet<EntityId>) {
        let mut log: Vec<Undo> = Vec::new();
        let mut wanted: Vec<(usize, EntityId)> =
            ids.iter().filter_map(|id| Some((target.depth(*id)?, *id))).collect();
        wanted.sort_unstable();
        for (_, id) in &wanted {
            let Some(want) = target.get(*id) else { continue };
            match self.get(*id).map(|have| (have.scope, have.owner)) {
                Some((Scope::Shared, owner)) if owner == want.owner => {}
                Some((Scope::Shared, _)) => log.push(self.own(vec![(*id, want.owner)])),
                taken => {
                    if taken.is_some() {
                        log.push(self.remove(*id));
                    }
                    log.push(self.insert(*id, Scope::Shared, want.owner));
                }
            }
        }
        // From the root outwards: what an entity is hung under hangs in its final place already.
        for (_, id) in &wanted {
            let parent = target.get(*id).and_then(|want| want.parent);
            let is_there = parent.is_none_or(|parent| self.get(parent).is_some());
            if is_there && self.get(*id).is_some_and(|have| have.parent != parent) {
                log.push(self.link(*id, parent));
            }
        }
        for id in ids {
            if target.get(*id).is_none() && self.get(*id).is_some_and(|have| have.scope == Scope::Shared) {
                log.push(self.remove(*id));
            }
        }
        for (_, id) in &wanted {
            let Some(want) = target.get(*id) else { continue };
            if self.get(*id).is_some_and(|have| have.slots == want.slots) {
                continue;
            }
            for kind in ComponentKind::ALL {
                let slot = want.slot(*kind);
                if self.get(*id).is_some_and(|have| have.slot(*kind) != slot) {
                    log.push(self.put(*id, *kind, slot.cloned()));
                }
            }
        }
        self.commit(&log);
    }

    /// A scene of the shared entities that records nothing.
    pub(crate) fn shared(&self) -> Scene {
        let mut copy = Scene::new(Limits::NONE);
        copy.reconcile(
            self,
            &self.iter().filter(|(_, e)| e.scope == Scope::Shared).map(|(id, _)| id).collect(),
        );
        copy
    }
}
