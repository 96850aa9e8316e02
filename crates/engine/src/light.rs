// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lights. A light is an entity of its own that follows the entity of the scene without its scale:
//! the renderer needs directions of length one, which a squeezed or mirrored parent does not give.

use crate::{Quality, layers, view::Settings};
use bevy::{
    light::{CascadeShadowConfig, CascadeShadowConfigBuilder, cluster::GlobalClusterSettings},
    prelude::*,
    transform::helper::TransformHelper,
};
use hearth_abi::scene::{self, LightKind};

/// Most lux of a directional light; the sun has 100 000.
const LUX_MOST: f32 = 1e6;
/// Most lumens of the others.
const LUMENS_MOST: f32 = 1e8;
/// Metres that point and spot lights reach if they do not say.
const RANGE_DEFAULT: f32 = 20.0;
const RANGE_MOST: f32 = 10_000.0;

/// Lights are sorted into parts of the picture on the processor. The way on the card learns the sizes
/// of its lists from pictures before, so that lights are missing from the first ones.
pub(crate) fn sort_on_the_processor(settings: Option<ResMut<GlobalClusterSettings>>) {
    if let Some(mut settings) = settings {
        settings.gpu_clustering = None;
    }
}

/// Keeps to the place of another entity.
#[derive(Component)]
pub(crate) struct Follows(Entity);

/// Gives an entity this light.
pub(crate) fn set(world: &mut World, follower: &mut Option<Entity>, entity: Entity, light: &scene::Light) {
    let quality = world.resource::<Settings>().quality;
    let mut made = match *follower {
        Some(before) => world.entity_mut(before),
        None => world.spawn((Follows(entity), Transform::IDENTITY, Visibility::Inherited, layers::all())),
    };
    *follower = Some(made.id());
    let [red, green, blue] = light.color.map(|v| v.clamp(0.0, 1000.0));
    let color = Color::linear_rgb(red, green, blue);
    let range = if light.range > 0.0 { light.range.clamp(0.01, RANGE_MOST) } else { RANGE_DEFAULT };
    let intensity = light.intensity.clamp(0.0, LUMENS_MOST);
    let shadow_maps_enabled = light.shadows;
    match light.kind {
        LightKind::Directional => {
            made.remove::<(PointLight, SpotLight)>().insert((
                DirectionalLight {
                    color,
                    illuminance: light.intensity.clamp(0.0, LUX_MOST),
                    shadow_maps_enabled,
                    ..default()
                },
                cascades(quality),
            ));
        }
        LightKind::Point => {
            made.remove::<(DirectionalLight, SpotLight)>().insert(PointLight {
                color,
                intensity,
                range,
                shadow_maps_enabled,
                ..default()
            });
        }
        LightKind::Spot => {
            made.remove::<(DirectionalLight, PointLight)>().insert(SpotLight {
                color,
                intensity,
                range,
                shadow_maps_enabled,
                inner_angle: light.inner_angle,
                outer_angle: light.outer_angle.max(0.001),
                ..default()
            });
        }
    }
}

/// Shadows of the sun where people are: sharp about the viewer, there to the edge of a place.
fn cascades(quality: Quality) -> CascadeShadowConfig {
    let (num_cascades, first_cascade_far_bound, maximum_distance) = match quality {
        Quality::Low => (2, 12.0, 50.0),
        Quality::High => (4, 7.0, 120.0),
    };
    CascadeShadowConfigBuilder {
        num_cascades,
        first_cascade_far_bound,
        maximum_distance,
        minimum_distance: 0.1,
        ..default()
    }
    .build()
}

/// Puts lights where their entities are, and out if those are hidden.
pub(crate) fn follow(
    helper: TransformHelper,
    parents: Query<&ChildOf>,
    shown: Query<&Visibility>,
    followers: Query<(Entity, &Follows, &Transform, &Visibility)>,
    mut commands: Commands,
) {
    for (follower, Follows(entity), place, visibility) in &followers {
        let rigid = rigid(&helper, *entity).unwrap_or_default();
        let hidden = std::iter::once(*entity)
            .chain(parents.iter_ancestors(*entity))
            .any(|at| shown.get(at).is_ok_and(|visibility| *visibility == Visibility::Hidden));
        let wanted = if hidden { Visibility::Hidden } else { Visibility::Inherited };
        // By a command, because the helper reads all transforms.
        if *place != rigid || *visibility != wanted {
            commands.entity(follower).insert((rigid, wanted));
        }
    }
}

/// Where an entity is in the world, without its scale. `None` if that cannot be told.
pub(crate) fn rigid(helper: &TransformHelper<'_, '_>, entity: Entity) -> Option<Transform> {
    let global = helper.compute_global_transform(entity).ok()?;
    let back = Vec3::from(global.affine().matrix3.z_axis).try_normalize()?;
    let up = Vec3::from(global.affine().matrix3.y_axis).try_normalize()?;
    let right = up.cross(back).try_normalize()?;
    let translation = global.translation();
    let rotation = Quat::from_mat3(&Mat3::from_cols(right, back.cross(right), back)).normalize();
    (translation.is_finite() && rotation.is_finite()).then(|| {
        let translation = translation.clamp(Vec3::splat(-1e7), Vec3::splat(1e7));
        Transform { translation, rotation, scale: Vec3::ONE }
    })
}
