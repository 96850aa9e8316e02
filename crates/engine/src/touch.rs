// SPDX-License-Identifier: AGPL-3.0-or-later
//! Brings together what the user's hands did and what is drawn where they did it.
//!
//! Before each picture, with everything still where the picture before has shown it: what was clicked is what the user
//! saw.

use crate::{
    Event,
    drawn::{Drawn, Wanted},
    input::Held,
    link::Link,
    place::Place,
    pointing::{Look, Now, Pointing},
    sweep::Line,
    view::Eye,
};
use bevy::{camera::visibility::RenderLayers, prelude::*};
use hearth_abi::{EntityId, input, pointer::Wants, terminal::Modifiers};
use std::path::PathBuf;

/// Most that hands do between two pictures. Past it all is taken as cancelled: nothing stays pressed for ever.
const DONE_MAX: usize = 256;
/// Most places that are looked at before one picture. What is done at more of them is done at the last.
const LOOKS_MAX: usize = 8;

/// Most files that are dropped between two pictures; who drops more means a folder.
const FILES_MAX: usize = 64;
/// Metres before the eye at which a file lies that was dropped on nothing.
const BEFORE_EYE: f32 = 2.0;

/// Where the pointer is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Spot {
    /// Outside of the window.
    Nowhere,
    /// Captured: in the middle of the picture.
    Middle,
    /// Logical pixels from the left upper corner.
    At([f32; 2]),
}

/// Something that the user did.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    Press(u8),
    Release(u8),
    Wheel([f32; 2]),
    Cancel,
}

/// What the user's hands did since the last picture, and what they hold.
#[derive(Resource)]
pub(crate) struct Hands {
    done: Vec<(Deed, Spot, Modifiers)>,
    /// Files that were dropped, and where.
    files: Vec<(PathBuf, Spot)>,
    pointing: Pointing,
    /// They are at a terminal.
    are_typing: bool,
    /// The target that was told last, and what it wants.
    told: (Option<EntityId>, Wants),
}

impl Default for Hands {
    fn default() -> Hands {
        let told = (None, Wants::NOTHING);
        Hands { done: Vec::new(), files: Vec::new(), pointing: Pointing::default(), are_typing: false, told }
    }
}

impl Hands {
    /// Notes something that was done.
    pub(crate) fn note(&mut self, deed: Deed, spot: Spot, modifiers: Modifiers) {
        if self.done.len() >= DONE_MAX {
            self.done.clear();
            self.done.push((Deed::Cancel, spot, modifiers));
        } else if !self.are_typing {
            self.done.push((deed, spot, modifiers));
        }
    }

    /// Notes that a file was dropped on the window. Some window systems do not tell where: then it is in the middle.
    pub(crate) fn drop_file(&mut self, path: PathBuf, spot: Spot) {
        let spot = if spot == Spot::Nowhere { Spot::Middle } else { spot };
        match self.files.len() {
            FILES_MAX.. => tracing::warn!(file = %path.display(), "too many files at once"),
            _ => self.files.push((path, spot)),
        }
    }

    /// The hands are at a terminal now, or no longer. Meanwhile the pointer is nowhere.
    pub(crate) fn type_text(&mut self, on: bool) {
        if on && !self.are_typing {
            self.done.push((Deed::Cancel, Spot::Nowhere, Modifiers::default()));
        }
        self.are_typing = on;
    }
}

/// The eye, and how it sees.
type Seeing<'a> = (&'a Camera, &'a GlobalTransform, &'a Projection, Option<&'a RenderLayers>);

/// Looks at what lies at a spot.
struct Sight<'a, 'w, 's> {
    eye: Option<Seeing<'a>>,
    place: &'a Place,
    drawn: &'a Drawn<'w, 's>,
    last: Option<(Spot, Option<Look>)>,
    left: usize,
}

impl Sight<'_, '_, '_> {
    fn look(&mut self, spot: Spot) -> Option<Look> {
        if let Some((known, look)) = self.last
            && (known == spot || self.left == 0)
        {
            return look;
        }
        self.left = self.left.saturating_sub(1);
        let look = self.ray(spot).map(|(ray, far)| self.along(ray, far, None));
        self.last = Some((spot, look));
        look
    }

    /// The ray of a spot, and how far one sees.
    fn ray(&self, spot: Spot) -> Option<(Line, f32)> {
        let (camera, eye, projection, _) = self.eye?;
        let size = camera.logical_viewport_size()?;
        let at = match spot {
            Spot::Nowhere => return None,
            Spot::Middle => size * 0.5,
            Spot::At(at) => Vec2::from(at),
        };
        // A pointer with a button held goes on outside of the window; there is nothing to be seen there.
        let ray = camera.viewport_to_world(eye, at.clamp(Vec2::ZERO, size)).ok()?;
        let line = Line { from: ray.origin, way: *ray.direction };
        let far = match projection {
            Projection::Perspective(perspective) => perspective.far,
            _ => return None,
        };
        (line.from.is_finite() && line.way.is_finite()).then_some((line, far))
    }

    fn along(&self, ray: Line, far: f32, without: Option<&dyn Fn(EntityId) -> bool>) -> Look {
        let usual = RenderLayers::default();
        let layers = Some(self.eye.and_then(|(.., layers)| layers).unwrap_or(&usual));
        let wanted = Wanted { most: 1, without, layers };
        let met = self.drawn.cast(&ray, 0.0, far, wanted).first().copied();
        let target = met.and_then(|met| {
            let entity = self.place.entity(met.id)?;
            self.drawn.upwards(entity).find(|id| self.place.wants(*id).is_some())
        });
        Look { ray, met, target }
    }

    /// The target at a spot beside what is dragged there.
    fn onto(&self, spot: Spot, dragged: EntityId) -> Option<EntityId> {
        let (ray, far) = self.ray(spot)?;
        let is_dragged = |id: EntityId| id == dragged;
        self.along(ray, far, Some(&is_dragged)).target
    }
}

/// Tells what was done to which entity.
pub(crate) fn touch(
    mut hands: ResMut<Hands>,
    held: Res<Held>,
    place: Res<Place>,
    drawn: Drawn<'_, '_>,
    eye: Option<Single<Seeing<'static>, With<Eye>>>,
    link: Res<Link>,
) {
    let hands = &mut *hands;
    let done = std::mem::take(&mut hands.done);
    let files = std::mem::take(&mut hands.files);
    let nobody_cares = !place.has_targets() && hands.pointing.is_idle() && hands.told.0.is_none();
    if nobody_cares && files.is_empty() {
        return;
    }
    let mut sight =
        Sight { eye: eye.map(Single::into_inner), place: &place, drawn: &drawn, last: None, left: LOOKS_MAX };
    for (path, spot) in files {
        link.say(dropped(path, sight.look(spot)));
    }
    let wants = |id: EntityId| place.wants(id);
    let mut told = Vec::new();
    let spot = if hands.are_typing { Spot::Nowhere } else { held.spot() };
    let now = |look, modifiers| Now { look, modifiers, user: place.peer(), wants: &wants };
    for (deed, spot, modifiers) in done {
        let now = now(sight.look(spot), modifiers);
        let pointing = &mut hands.pointing;
        pointing.follow(&now, &mut told);
        match deed {
            Deed::Press(button) => pointing.press(button, &now, &mut told),
            Deed::Release(button) => {
                let onto = pointing.dragged().and_then(|dragged| sight.onto(spot, dragged));
                pointing.release(button, &now, onto, &mut told);
            }
            Deed::Wheel(lines) => pointing.wheel(lines, &now, &mut told),
            Deed::Cancel => pointing.cancel(&now, &mut told),
        }
    }
    let now = now(sight.look(spot), held.modifiers());
    hands.pointing.follow(&now, &mut told);
    told.into_iter().for_each(|event| link.say(Event::Pointer(event)));
    let entity = hands.pointing.target();
    let target = (entity, entity.and_then(wants).unwrap_or(Wants::NOTHING));
    if target != hands.told {
        hands.told = target;
        link.say(Event::Input(input::Event::Target { entity, wants: target.1 }));
    }
}

/// A file on what lies there.
fn dropped(path: PathBuf, look: Option<Look>) -> Event {
    let met = look.and_then(|look| look.met);
    let (point, normal) = match (met, look) {
        (Some(met), _) => (met.point, met.normal),
        (None, Some(look)) => (look.ray.at(BEFORE_EYE), Vec3::ZERO),
        (None, None) => (Vec3::ZERO, Vec3::ZERO),
    };
    let entity = met.map(|met| met.id);
    Event::FileDropped { path, entity, point: point.to_array(), normal: normal.to_array() }
}

#[cfg(test)]
mod tests;
