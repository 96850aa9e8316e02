// SPDX-License-Identifier: AGPL-3.0-or-later
//! Notices: what the author of a script is told over the thing that the script made.

use crate::{
    network::failure,
    node::Inner,
    world::{Place, World},
};
use hearth_abi::{
    EntityId, Errno, ProcessId,
    scene::{
        Align, Anchor, Billboard, Component, ComponentKind, Face, Op, Scope, Text, Transform, encode_batch,
    },
};
use hearth_protocol::{control::Failure, operator::NOTICE_BYTES_MAX};
use hearth_scene::Quota;
use parking_lot::Mutex;
use std::collections::VecDeque;

/// Notices that are shown at a time, and places of failed processes that are remembered; the oldest go.
const KEPT_MAX: usize = 64;
/// How far above the middle of the thing the last line stands, in metres.
const ABOVE: f32 = 0.45;
/// Height of the font in metres.
const SIZE: f32 = 0.06;
/// Width of a letter of the font, as a part of its height.
const ADVANCE: f32 = 0.6;
/// Letters of a line that are shown.
const LINE_MAX: usize = 100;

/// The notices of this peer's processes.
#[derive(Default)]
pub(crate) struct Notices {
    shown: Mutex<VecDeque<(ProcessId, EntityId)>>,
    /// Where the first thing of a process was that has failed.
    places: Mutex<VecDeque<(ProcessId, [f32; 3])>>,
}

impl Notices {
    /// A process fails, and what it made is still there.
    pub(crate) fn failing(&self, world: &World, process: ProcessId) {
        let Some(place) = world.place_of(process) else { return };
        let mut places = self.places.lock();
        places.push_back((process, place.in_world));
        if places.len() > KEPT_MAX {
            places.pop_front();
        }
    }

    /// Shows a text over what a process made, in place of the one before; none if it is empty.
    pub(crate) fn show(&self, inner: &Inner, process: ProcessId, text: &str) -> Result<(), Failure> {
        let mut shown = self.shown.lock();
        let mut before: Vec<_> = shown.iter().filter(|(of, _)| *of == process).copied().collect();
        if before.is_empty() && shown.len() >= KEPT_MAX {
            before.extend(shown.front());
        }
        for (owner, entity) in before {
            // It may have gone with what it hung under.
            if inner.world.read(entity, ComponentKind::Billboard).is_some() {
                let removed = inner.world.apply(
                    inner,
                    &unbounded(inner, owner),
                    owner,
                    &encode_batch(&[Op::Remove(entity)]),
                );
                removed.map_err(|error| failure(error.errno(), error))?;
            }
            // What could not be taken away is still known, and can be taken away later.
            shown.retain(|(_, known)| *known != entity);
        }
        let text = fitting(text);
        let place = match inner.processes.info(process) {
            Some(_) => inner.world.place_of(process),
            None => {
                let places = self.places.lock();
                let place = places.iter().find(|(of, _)| *of == process);
                place.map(|(_, place)| Place { entity: None, scale: [1.0; 3], in_world: *place })
            }
        };
        let Some(place) = place.filter(|_| !text.is_empty()) else { return Ok(()) };
        let first = inner.serials.take_entities(2).map_err(|error| failure(Errno::Host, error))?;
        let id =
            |number| EntityId::new(inner.me, number).ok_or_else(|| failure(Errno::Limit, "no more entities"));
        let (notice, words) = (id(first)?, id(first + 1)?);
        let ops = operations(notice, words, &place, text);
        let applied = inner.world.apply(inner, &unbounded(inner, process), process, &encode_batch(&ops));
        applied.map_err(|error| failure(error.errno(), error))?;
        shown.push_back((process, notice));
        Ok(())
    }
}

/// What is shown over a process that has as many entities as it may.
fn unbounded(inner: &Inner, process: ProcessId) -> Quota {
    let origin = inner.processes.info(process).map_or(process.peer(), |info| info.origin);
    Quota { entities: usize::MAX, origin, of_origin: usize::MAX }
}

fn operations(notice: EntityId, words: EntityId, place: &Place, text: String) -> Vec<Op> {
    let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    // Under the thing it moves with it, but is not stretched with it.
    let apart = |scale: f32| if scale.abs() > 1e-3 { 1.0 / scale } else { 1.0 };
    let transform = match place.entity {
        Some(_) => Transform {
            translation: [0.0, ABOVE * apart(place.scale[1]), 0.0],
            scale: place.scale.map(apart),
            ..Transform::IDENTITY
        },
        None => {
            let [x, y, z] = place.in_world;
            Transform { translation: [x, y + ABOVE, z], ..Transform::IDENTITY }
        }
    };
    let to_left = -0.5 * ADVANCE * SIZE * longest as f32;
    let text = Text {
        text,
        face: Face::Mono,
        align: Align::Left,
        anchor: Anchor::Bottom,
        size: SIZE,
        color: [1.0, 0.3, 0.22, 1.0],
        background: [0.02, 0.005, 0.005, 0.85],
        ..Text::default()
    };
    vec![
        Op::Create(notice, Scope::Shared),
        Op::SetParent(notice, place.entity),
        Op::Set(notice, Component::Transform(transform)),
        Op::Set(notice, Component::Billboard(Billboard::AboutY)),
        Op::Create(words, Scope::Shared),
        Op::SetParent(words, Some(notice)),
        Op::Set(
            words,
            Component::Transform(Transform { translation: [to_left, 0.0, 0.0], ..Transform::IDENTITY }),
        ),
        Op::Set(words, Component::Text(Box::new(text))),
    ]
}

/// The part of a text that is shown: whole lines' beginnings, without what is no letter.
fn fitting(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(NOTICE_BYTES_MAX)];
    let line = |line: &str| -> String {
        line.replace('\t', "    ").chars().filter(|c| !c.is_control()).take(LINE_MAX).collect()
    };
    let lines: Vec<String> = text.trim_end().lines().map(line).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_to_what_fits() {
        assert_eq!(fitting("error: no\n\tx\x1b[2J\n\n"), "error: no\n    x[2J");
        assert_eq!(fitting(&"ä".repeat(2000)).chars().count(), LINE_MAX);
        assert_eq!(fitting(" \n"), "");
    }
}
