// SPDX-License-Identifier: AGPL-3.0-or-later
//! The line that tells the user who has their keyboard. It stands over the whole picture, and nothing in the scene can
//! cover it, hide it, or be seen where it is.

use crate::{text, view::Eye};
use bevy::{app::Propagate, camera::visibility::RenderLayers, prelude::*};
use hearth_abi::scene::{Face, Text};

/// The layer that it is in, which no entity of the scene can be in, and which the eye alone sees.
pub(crate) const LAYER: usize = 64;
/// Height of its letters, and how far its middle is from the upper edge, as parts of the picture's height.
const LETTERS: f32 = 0.034;
const DOWN: f32 = 0.055;
/// It takes no more of the picture's width, if its letters are as wide as this part of their height.
const WIDE: f32 = 0.94;
const LETTER_WIDTH: f32 = 0.56;
/// How far before the eye it hangs, in distances of what is nearest to be seen. It is drawn over everything anyway.
const NEARS: f32 = 4.0;
/// Its colours. What is behind its plate does not shine through.
const INK: [f32; 4] = [1.0, 0.78, 0.42, 1.0];
const PLATE: [f32; 4] = [0.012, 0.009, 0.007, 1.0];

/// What bears it, and how many characters it has.
#[derive(Component)]
pub(crate) struct Marker {
    characters: usize,
}

/// Shows a line, or none.
pub(crate) fn show(world: &mut World, line: Option<String>) {
    let mut markers = world.query_filtered::<Entity, With<Marker>>();
    let known: Vec<Entity> = markers.iter(world).collect();
    let Some(line) = line else {
        text::mark(world, None);
        known.into_iter().for_each(|entity| world.entity_mut(entity).despawn());
        return;
    };
    let characters = line.chars().count();
    let entity = match known.first() {
        Some(entity) => {
            world.entity_mut(*entity).insert(Marker { characters });
            *entity
        }
        None => {
            let mut eyes = world.query_filtered::<Entity, With<Eye>>();
            let Ok(eye) = eyes.single(world) else { return };
            let layers = Propagate(RenderLayers::none().with(LAYER));
            let look = (Marker { characters }, Transform::default(), Visibility::Visible, layers);
            world.spawn((look, ChildOf(eye))).id()
        }
    };
    let text =
        Text { text: line, face: Face::Sans, size: 1.0, color: INK, background: PLATE, ..Text::default() };
    text::mark(world, Some((entity, Box::new(text))));
}

/// Keeps it where it is seen, whatever the eye is set to.
pub(crate) fn follow(eye: Single<&Projection, With<Eye>>, mut markers: Query<(&Marker, &mut Transform)>) {
    let Projection::Perspective(eye) = *eye else { return };
    let far = eye.near * NEARS;
    let high = 2.0 * far * (eye.fov * 0.5).tan();
    let wide = high * eye.aspect_ratio;
    for (marker, mut place) in &mut markers {
        let most = wide * WIDE / (LETTER_WIDTH * marker.characters.max(1) as f32);
        let letters = (high * LETTERS).min(most);
        let wanted = Transform::from_xyz(0.0, high * (0.5 - DOWN), -far).with_scale(Vec3::splat(letters));
        if *place != wanted {
            *place = wanted;
        }
    }
}
