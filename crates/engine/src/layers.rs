// SPDX-License-Identifier: AGPL-3.0-or-later
//! Layers: what is seen by which cameras.
//!
//! The renderer's first 32 layers are those of the scene, the next 32 the mirrors in them, so that a mirror is not seen in
//! mirrors.

use crate::place::Place;
use bevy::{app::Propagate, camera::visibility::RenderLayers, prelude::*};
use hearth_abi::scene::Layers;

/// The layers of the scene as the renderer's.
pub(crate) fn of(layers: Layers) -> RenderLayers {
    (0..32).filter(|layer| layers.0 >> layer & 1 != 0).fold(RenderLayers::none(), RenderLayers::with)
}

/// And of mirrors in them.
pub(crate) fn of_mirrors(layers: &RenderLayers) -> RenderLayers {
    layers.iter().filter(|layer| *layer < 32).fold(RenderLayers::none(), |all, layer| all.with(layer + 32))
}

/// What a camera sees that sees these: them, and mirrors in them.
pub(crate) fn seen(layers: Layers) -> RenderLayers {
    let layers = of(layers);
    layers.union(&of_mirrors(&layers))
}

/// All: where light is.
pub(crate) fn all() -> RenderLayers {
    RenderLayers::from_layers(&std::array::from_fn::<usize, 64, _>(|layer| layer))
}

/// The layers that an entity of the scene says it is in, or sees.
#[derive(Component, Clone, Copy)]
pub(crate) struct Said(pub(crate) Layers);

/// Puts an entity and what is below it into these layers, or those of what it hangs under.
pub(crate) fn set(world: &mut World, entity: Entity, layers: Option<Layers>) {
    let Ok(mut entity) = world.get_entity_mut(entity) else { return };
    match layers {
        Some(layers) => entity.insert((Said(layers), Propagate(of(layers)))),
        None => entity.remove::<(Said, Propagate<RenderLayers>)>(),
    };
}

/// What a camera of the scene sees.
pub(crate) fn of_camera(camera: Option<Entity>, said: &Query<&Said>) -> RenderLayers {
    let said = camera.and_then(|camera| said.get(camera).ok());
    seen(said.map_or(Layers::USUAL, |said| said.0))
}

/// Has the eye see the layers that its camera says.
pub(crate) fn look(
    place: Res<Place>,
    said: Query<&Said>,
    eye: Single<(Entity, Option<&RenderLayers>), With<crate::view::Eye>>,
    mut commands: Commands,
) {
    let wanted = of_camera(place.camera().map(|(_, entity)| *entity), &said).with(crate::marker::LAYER);
    if eye.1 != Some(&wanted) {
        commands.entity(eye.0).insert(wanted);
    }
}
