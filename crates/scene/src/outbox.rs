// SPDX-License-Identifier: AGPL-3.0-or-later
//! What one peer has yet to hear.

use crate::{
    Scene,
    wire::{self, Down, FRAME_LEN_MAX, HEADER_LEN, Refusal, encode_set},
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
        let mut update = Update::default();
        let mut encoded = Vec::new();
        let mut skipped = false;
        while let Some(entry) = self.queue.first_entry() {
            encoded.clear();
            let writer = match &entry.get().1 {
                Item::Answer(number, outcome) => {
                    Down::Answer { number: *number, outcome: outcome.clone() }.encode(&mut encoded);
                    let taken = frame.len() + update.len();
                    if taken > 0 && taken + encoded.len() > len_max {
                        break;
                    }
                    // Everything before the answer is in.
                    let (first, _) = entry.remove();
                    update.finish(first.saturating_sub(1), &mut frame);
                    frame.extend_from_slice(&encoded);
                    continue;
                }
                Item::Structure(writer, op) => {
                    op.encode(&mut encoded);
                    Some(*writer)
                }
                Item::Value(id, kind) => scene.get(*id).map(|entity| match entity.slot(*kind) {
                    Some(slot) => {
                        encode_set(*id, &slot.component, &mut encoded);
                        slot.writer
                    }
                    None => {
                        Op::Unset(*id, *kind).encode(&mut encoded);
                        ProcessId::from_bits(0)
                    }
                }),
            };
            // Without a writer: the entity has gone with one above it.
            if let Some(writer) = writer {
                let taken = frame.len() + update.len();
                if taken > 0 && taken + update.len_with(writer, encoded.len()) > len_max {
                    break;
                }
                update.add(writer, &encoded);
            }
            if let (_, Item::Value(id, kind)) = entry.remove() {
                self.places.remove(&(id, kind));
            }
            skipped |= writer.is_none();
        }
        // Also after nothing but answers: they too bring the peer on in the order.
        if update.len() > 0 || (self.queue.is_empty() && (skipped || !frame.is_empty())) {
            let waits = self.queue.first_key_value().map(|(_, (first, _))| first.saturating_sub(1));
            update.begin();
            update.finish(waits.unwrap_or(sequence), &mut frame);
        }
        (!frame.is_empty()).then_some(frame)
    }
}

/// The body of a [`Down::Update`] as it grows, without its sequence.
#[derive(Default)]
struct Update {
    begun: bool,
    body: Vec<u8>,
    /// Writer and place of the length of the part that grows.
    part: Option<(ProcessId, usize)>,
}

impl Update {
    /// Of the message; zero if there is none.
    fn len(&self) -> usize {
        if self.begun { HEADER_LEN + 8 + self.body.len() } else { 0 }
    }

    /// How much longer the message is with an operation.
    fn len_with(&self, writer: ProcessId, len: usize) -> usize {
        let header = if self.begun { 0 } else { HEADER_LEN + 8 };
        let part = if self.part.is_some_and(|(last, _)| last == writer) { 0 } else { 12 };
        header + part + len
    }

    const fn begin(&mut self) {
        self.begun = true;
    }

    fn add(&mut self, writer: ProcessId, encoded: &[u8]) {
        self.begin();
        let at = match self.part {
            Some((last, at)) if last == writer => at,
            _ => {
                self.body.extend_from_slice(&writer.to_bits().to_le_bytes());
                self.body.extend_from_slice(&[0; 4]);
                self.body.len() - 4
            }
        };
        self.part = Some((writer, at));
        self.body.extend_from_slice(encoded);
        let len = (self.body.len() - at - 4) as u32;
        self.body[at..at + 4].copy_from_slice(&len.to_le_bytes());
    }

    /// Appends the message, if there is one, and starts another.
    fn finish(&mut self, sequence: u64, frame: &mut Vec<u8>) {
        if self.begun {
            wire::encode_update(frame, sequence, &self.body);
        }
        *self = Update::default();
    }
}
