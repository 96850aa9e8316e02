// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the pointer of a user does to entities goes to the processes that these belong to, wherever they run.
//!
//! This is the one input of a user that code of others gets: whoever makes a thing hears that it was touched. So
//! it is checked on both sides that the process owns the entity, and the entity wants the event.

use crate::node::Inner;
use bytes::Bytes;
use hearth_abi::{
    EntityId, PeerId, ProcessId,
    pointer::{Event, Kind},
    signal::{self, Header},
};
use hearth_process::{Level, Signal};
use hearth_protocol::hot;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// Least time between two motions of a pointer on one entity that go to another peer: pictures may be many more, and
/// a hand does not need them.
const MOTION_INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / 30);
/// Most entities whose motions are counted. A pointer is on one at a time, so more within an interval are a user
/// who passes over many small things.
const SLOTS_MAX: usize = 16;

/// The motions on their way to other peers.
#[derive(Default)]
pub(crate) struct Pointers {
    slots: Mutex<Vec<Slot>>,
}

/// The motions of one kind on one entity.
struct Slot {
    entity: EntityId,
    kind: Kind,
    sent: Instant,
    /// What came since, of which only the newest counts.
    waiting: Option<Event>,
}

impl Pointers {
    /// Takes an event for another peer. Gives what is to be sent now, in order.
    fn pace(&self, event: Event, now: Instant) -> Vec<Event> {
        let mut slots = self.slots.lock();
        if !event.kind.is_motion() {
            // What comes after a motion stays after it.
            drop(slots);
            let mut due = self.waiting(event.entity);
            due.push(event);
            return due;
        }
        let known = slots.iter_mut().find(|slot| slot.entity == event.entity && slot.kind == event.kind);
        if let Some(slot) = known {
            if now.saturating_duration_since(slot.sent) < MOTION_INTERVAL {
                slot.waiting = Some(event);
                return Vec::new();
            }
            slot.sent = now;
            slot.waiting = None;
            return vec![event];
        }
        let mut due = Vec::new();
        if slots.len() >= SLOTS_MAX {
            // The oldest is the first.
            due.extend(slots.remove(0).waiting);
        }
        slots.push(Slot { entity: event.entity, kind: event.kind, sent: now, waiting: None });
        due.push(event);
        due
    }

    /// What waits of an entity.
    fn waiting(&self, entity: EntityId) -> Vec<Event> {
        let mut slots = self.slots.lock();
        slots.iter_mut().filter(|slot| slot.entity == entity).filter_map(|slot| slot.waiting.take()).collect()
    }

    /// What has waited long enough.
    fn due(&self, now: Instant) -> Vec<Event> {
        let mut slots = self.slots.lock();
        let mut due = Vec::new();
        slots.retain_mut(|slot| {
            if now.saturating_duration_since(slot.sent) < MOTION_INTERVAL {
                return true;
            }
            let Some(event) = slot.waiting.take() else { return false };
            slot.sent = now;
            due.push(event);
            true
        });
        due
    }
}

impl Inner {
    /// The pointer of this peer's user did something to an entity.
    pub(crate) fn pointed(&self, event: Event, now: Instant) {
        // Whoever types into a terminal has their hands there. What was begun before has an end.
        let is_end = matches!(event.kind, Kind::Out | Kind::Release | Kind::Cancel | Kind::DragEnd);
        if !is_end && self.terminal_has_keyboard() {
            return;
        }
        let owner = self.owner_that_wants(&event);
        if event.kind == Kind::Press {
            self.pressed(&event, owner);
        }
        let Some(owner) = owner else { return };
        if owner.peer() == self.me {
            self.touched(owner, &event);
            return;
        }
        for event in self.pointers.pace(event, now) {
            self.send_pointer(owner, &event);
        }
    }

    /// A picture is about to be made: what waited for its turn goes.
    pub(crate) fn pointers_due(&self, now: Instant) {
        for event in self.pointers.due(now) {
            if let Some(owner) = self.owner_that_wants(&event) {
                self.send_pointer(owner, &event);
            }
        }
    }

    /// Sends what waits of an entity: something else comes behind it.
    pub(crate) fn send_waiting_pointers(&self, owner: ProcessId, entity: EntityId) {
        self.pointers.waiting(entity).iter().for_each(|event| self.send_pointer(owner, event));
    }

    /// What the pointer of another peer's user did to an entity of one of our processes.
    pub(crate) fn touched_from(&self, to: ProcessId, user: PeerId, event: &Bytes) {
        // The frame was checked when it was read.
        let Ok(event) = Event::decode(event) else { return };
        // It may have been given away meanwhile, or want this no longer.
        if event.user == user && self.owner_that_wants(&event) == Some(to) {
            self.touched(to, &event);
        }
    }

    fn owner_that_wants(&self, event: &Event) -> Option<ProcessId> {
        let (owner, wants) = self.world.pointer_target(event.entity)?;
        wants.any(event.kind.wanted_by()).then_some(owner)
    }

    fn send_pointer(&self, to: ProcessId, event: &Event) {
        let frame = hot::Frame::Pointer { to, user: self.me, event: event.encode().into() };
        if self.network.try_hot(to.peer(), frame.encode()).is_err() {
            self.note_lost(self.me, to);
        }
    }

    fn touched(&self, to: ProcessId, event: &Event) {
        let header = Header { kind: signal::Kind::Pointer, status: 0, from: 0, tag: 0 };
        let signal = Signal { header, body: event.encode().into() };
        let is_lost = self.processes.deliver(to, signal).is_err();
        if is_lost && !event.kind.is_motion() {
            let text =
                format!("a pointer is lost, the mailbox is full: {:?} on {}", event.kind, event.entity);
            self.processes.log(to, Level::Warn, "pointer", &text);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use hearth_abi::{
        pointer::{MOUSE, NO_BUTTON},
        terminal::Modifiers,
    };

    fn event(kind: Kind, entity: u64, distance: f32) -> Event {
        Event {
            kind,
            pointer: MOUSE,
            button: NO_BUTTON,
            buttons: 0,
            modifiers: Modifiers::default(),
            user: PeerId::new(1).unwrap(),
            entity: EntityId::from_bits(entity),
            hit: None,
            other: None,
            from: [0.0; 3],
            way: [0.0, 0.0, -1.0],
            distance,
            point: [0.0; 3],
            normal: [0.0; 3],
            wheel: [0.0; 2],
        }
    }

    #[test]
    fn motions_are_thirty_a_second_and_the_newest_is_never_lost() {
        let (pointers, start) = (Pointers::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let mut sent = Vec::new();
        // A thousand pictures in a second.
        for ms in 0..1000 {
            sent.extend(pointers.due(at(ms)));
            sent.extend(pointers.pace(event(Kind::Move, 7, ms as f32), at(ms)));
        }
        assert!((29..=31).contains(&sent.len()), "{}", sent.len());
        assert!(sent.is_sorted_by(|one, other| one.distance < other.distance));
        let last: Vec<f32> = pointers.due(at(1100)).iter().map(|event| event.distance).collect();
        assert_eq!(last, [999.0]);
        assert!(pointers.due(at(1200)).is_empty() && pointers.slots.lock().is_empty());
    }

    #[test]
    fn what_follows_a_motion_stays_behind_it_and_does_not_wait() {
        let (pointers, now) = (Pointers::default(), Instant::now());
        assert_eq!(pointers.pace(event(Kind::Drag, 7, 1.0), now).len(), 1);
        assert!(pointers.pace(event(Kind::Drag, 7, 2.0), now).is_empty());
        assert!(pointers.pace(event(Kind::Move, 8, 9.0), now).len() == 1, "another entity");
        let end = pointers.pace(event(Kind::DragEnd, 7, 3.0), now);
        assert_eq!(end.iter().map(|event| event.kind).collect::<Vec<_>>(), [Kind::Drag, Kind::DragEnd]);
        assert_eq!(end[0].distance, 2.0);
        assert!(pointers.due(now + MOTION_INTERVAL).is_empty());
    }

    #[test]
    fn a_flood_over_many_entities_fills_nothing() {
        let (pointers, now) = (Pointers::default(), Instant::now());
        let mut sent = 0;
        for entity in 1..=1000 {
            sent += pointers.pace(event(Kind::Move, entity, 1.0), now).len();
            sent += pointers.pace(event(Kind::Move, entity, 2.0), now).len();
        }
        assert_eq!(pointers.slots.lock().len(), SLOTS_MAX);
        sent += pointers.due(now + MOTION_INTERVAL).len();
        assert_eq!(sent, 2000, "none is lost");
    }
}
