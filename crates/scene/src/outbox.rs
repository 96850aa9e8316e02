// SPDX-License-Identifier: AGPL-3.0-or-later
//! What one peer has yet to hear.

use crate::{
    Scene,
    wire::{Down, FRAME_LEN_MAX, HEADER_LEN, Refusal},
};
use hearth_abi::{
    EntityId, ProcessId,
    scene::{ComponentKind, Op},
};
use std::collections::{BTreeMap, HashMap};

/// Most things that wait in one [`Outbox`]: structural changes, answers, and distinct pairs of an
/// entity and a kind of component. Some 100 bytes each.
pub const ITEMS_MAX: usize = 1 << 17;

#[derive(Debug)]
enum Item {
    /// A change of structure, as it was.
    Structure(ProcessId, Op),
    /// This component has changed. Its value is read from the scene when it is sent, so that it is
    /// always the newest.
    Value(EntityId, ComponentKind),
    Answer(u64, Result<(), Refusal>),
}

/// The queue of one peer. A component that changes again while it waits keeps its place and is sent
/// once, with its newest value, so a slow peer skips states and does not fall behind further and
/// further. Changes of structure and answers are never skipped and keep their order. At
/// [`ITEMS_MAX`] everything is dropped, and the peer needs a snapshot instead.
///
/// The peer's own batches are not put in; their answers are. A component of which the peer is told
/// that its own write was accepted is taken out: what waited is older than that write. So a value
/// that waits stands behind every answer that concerns it, and the peer learns the server's order.
#[derive(Debug, Default)]
pub struct Outbox {
    /// By place in the queue, with the place of the change in the server's order.
    queue: BTreeMap<u64, (u64, Item)>,
    places: HashMap<(EntityId, ComponentKind), u64>,
    next: u64,
    overflown: bool,
}

impl Outbox {
    /// An empty queue.
    pub fn new() -> Outbox {
        Outbox::default()
    }

    /// Number of things that wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether too much waited: the queue was dropped and takes nothing in until
    /// [`Outbox::clear`], after which the peer must be sent a snapshot.
    pub const fn needs_snapshot(&self) -> bool {
        self.overflown
    }

    /// Drops everything: a snapshot says it all.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.places.clear();
        self.overflown = false;
    }

    /// Puts in an operation of another peer that the scene has applied as number `sequence`.
    pub fn push(&mut self, sequence: u64, writer: ProcessId, op: &Op) {
        match op {
            Op::Set(id, component) => self.push_value(sequence, *id, component.kind()),
            Op::Unset(id, kind) => self.push_value(sequence, *id, *kind),
            Op::Create(..) | Op::Remove(_) | Op::SetParent(..) | Op::Give(_) => {
                self.supersede(op);
                self.append(sequence, Item::Structure(writer, op.clone()));
            }
        }
    }

    /// Puts in the answer to a batch of the peer itself. `ops` are those that were applied.
    pub fn answer(&mut self, sequence: u64, number: u64, outcome: Result<(), Refusal>, ops: &[Op]) {
        ops.iter().for_each(|op| self.supersede(op));
        self.append(sequence, Item::Answer(number, outcome));
    }

    /// Forgets the values that wait and that this operation makes obsolete.
    fn supersede(&mut self, op: &Op) {
        match op {
            Op::Set(id, component) => self.drop_value(*id, component.kind()),
            Op::Unset(id, kind) => self.drop_value(*id, *kind),
            // After `Create` as well: what hung below a removed entity went without being named,
            // and a value of the old one must not hold the place for one of the new.
            Op::Create(id, _) | Op::Remove(id) => {
                ComponentKind::ALL.iter().for_each(|kind| self.drop_value(*id, *kind));
            }
            Op::SetParent(..) | Op::Give(_) => {}
        }
    }

    fn drop_value(&mut self, id: EntityId, kind: ComponentKind) {
        if let Some(place) = self.places.remove(&(id, kind)) {
            self.queue.remove(&place);
        }
    }

    fn push_value(&mut self, sequence: u64, id: EntityId, kind: ComponentKind) {
        if !self.places.contains_key(&(id, kind)) && !self.overflown {
            self.places.insert((id, kind), self.next);
            self.append(sequence, Item::Value(id, kind));
        }
    }

    fn append(&mut self, sequence: u64, item: Item) {
        if self.overflown {
            return;
        }
        if self.queue.len() >= ITEMS_MAX {
            self.clear();
            self.overflown = true;
            return;
        }
        self.queue.insert(self.next, (sequence, item));
        self.next += 1;
    }

    /// Takes a frame of about `len_max` bytes from the front: not more, unless its only message is
    /// longer, which is at most [`FRAME_LEN_MAX`]. `scene` is the one whose changes were put in,
    /// and `sequence` the number of its last. `None` if nothing waits.
    pub fn take(&mut self, scene: &Scene, sequence: u64, len_max: usize) -> Option<Vec<u8>> {
        let len_max = len_max.clamp(1024, FRAME_LEN_MAX);
        let mut frame = Vec::new();
        let mut parts: Vec<(ProcessId, Vec<Op>)> = Vec::new();
        // Of the update that is being gathered, and not yet in the frame.
        let mut parts_len = HEADER_LEN + 8;
        let mut update = false;
        while let Some(entry) = self.queue.first_entry() {
            let (_, item) = entry.get();
            let op = match item {
                Item::Answer(_, outcome) => {
                    let reason_len = outcome.as_ref().err().map_or(0, |refusal| refusal.reason.len());
                    let len = HEADER_LEN + 12 + reason_len;
                    let gathered = if update { parts_len } else { 0 };
                    if (!frame.is_empty() || update) && frame.len() + gathered + len > len_max {
                        break;
                    }
                    let (first, Item::Answer(number, outcome)) = entry.remove() else { break };
                    if std::mem::take(&mut update) {
                        // Everything before the answer is in.
                        let parts = std::mem::take(&mut parts);
                        Down::Update { sequence: first.saturating_sub(1), parts }.encode(&mut frame);
                        parts_len = HEADER_LEN + 8;
                    }
                    Down::Answer { number, outcome }.encode(&mut frame);
                    continue;
                }
                Item::Structure(writer, op) => Some((*writer, op.clone())),
                Item::Value(id, kind) => scene.get(*id).map(|entity| match entity.slot(*kind) {
                    Some(slot) => (slot.writer, Op::Set(*id, slot.component.clone())),
                    None => (ProcessId::from_bits(0), Op::Unset(*id, *kind)),
                }),
            };
            if let Some((writer, op)) = op {
                let same_writer = parts.last().is_some_and(|(last, _)| *last == writer);
                let len = encoded_len(&op) + if same_writer { 0 } else { 12 };
                let is_first = frame.is_empty() && !update;
                if !is_first && frame.len() + parts_len + len > len_max {
                    break;
                }
                update = true;
                parts_len += len;
                match parts.last_mut().filter(|_| same_writer) {
                    Some((_, ops)) => ops.push(op),
                    None => parts.push((writer, vec![op])),
                }
            } else {
                // The entity has gone with one above it.
                update = true;
            }
            if let (_, Item::Value(id, kind)) = entry.remove() {
                self.places.remove(&(id, kind));
            }
        }
        // Also after nothing but answers: they too bring the peer on in the order.
        if update || (self.queue.is_empty() && !frame.is_empty()) {
            let waits = self.queue.first_key_value().map(|(_, (first, _))| first.saturating_sub(1));
            Down::Update { sequence: waits.unwrap_or(sequence), parts }.encode(&mut frame);
        }
        (!frame.is_empty()).then_some(frame)
    }
}

fn encoded_len(op: &Op) -> usize {
    let mut bytes = Vec::new();
    op.encode(&mut bytes);
    bytes.len()
}
