// SPDX-License-Identifier: AGPL-3.0-or-later
//! Views and the screens that show them: cameras in the space whose pictures are textures in it; and what is seen only from
//! some distances.
//!
//! A view costs a picture, so only those are made that somebody could see now, [`WATCHED_MAX`] at most, of no more than
//! [`PIXELS_MAX`] together, and each no more often than it asks for. A screen that is itself seen by its view shows the picture before.

use crate::{
    air::Graded,
    capture::Pending,
    layers,
    light::rigid,
    place::Place,
    view::{self, Eye, Settings},
};
use bevy::{
    camera::{Exposure, RenderTarget, primitives::Aabb},
    light::Skybox,
    prelude::*,
    render::render_resource::TextureFormat,
    transform::helper::TransformHelper,
};
use hearth_abi::{EntityId, scene};
use std::collections::{BTreeMap, BTreeSet};

/// Most views of which new pictures are made.
const WATCHED_MAX: usize = 4;
/// Most pixels of these together: each takes the graphics card some 70 bytes.
const PIXELS_MAX: u32 = 1 << 22;
/// Most views of which the last picture is kept.
const KEPT_MAX: usize = 16;
/// Brightest picture of a screen.
const BRIGHTNESS_MOST: f32 = 1000.0;
/// By how much farther one must go from a thing than where it came into sight, until it is not seen any more.
const HYSTERESIS: f32 = 1.02;

/// A view of which there is a picture.
struct Watch {
    view: scene::View,
    image: Handle<Image>,
    camera: Entity,
    /// When its last picture was made, in seconds of the engine.
    last_s: f64,
    /// When it was last among those that are made.
    chosen_s: f64,
}

/// The views of which there are pictures.
#[derive(Resource, Default)]
pub(crate) struct Watches(BTreeMap<EntityId, Watch>);

impl Watches {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last picture of a view, if it is among those of which there are any.
    pub(crate) fn image(&self, view: EntityId) -> Option<&Handle<Image>> {
        self.0.get(&view).map(|watch| &watch.image)
    }
}

/// The material of a screen before there is a picture.
pub(crate) fn dark() -> StandardMaterial {
    StandardMaterial { base_color: Color::BLACK, unlit: true, ..default() }
}

/// What is seen of the eye.
type Seeing =
    (&'static Transform, &'static Camera, Option<&'static Skybox>, Option<&'static EnvironmentMapLight>);

/// Has the pictures made that are to be seen now, and gives them to the screens.
#[expect(clippy::too_many_arguments, reason = "each is a part of the world that a system takes")]
pub(crate) fn watch(
    time: Res<Time>,
    place: Res<Place>,
    settings: Res<Settings>,
    helper: TransformHelper,
    eye: Single<Seeing, With<Eye>>,
    seen: Query<(&ViewVisibility, Option<&Aabb>)>,
    said: Query<&layers::Said>,
    pending: Res<Pending>,
    mut watches: ResMut<Watches>,
    mut images: ResMut<Assets<Image>>,
    mut materials: ResMut<Assets<StandardMaterial>>,
    mut commands: Commands,
) {
    let asked: BTreeSet<EntityId> = pending.views().collect();
    if place.screens().next().is_none() && watches.0.is_empty() && asked.is_empty() {
        return;
    }
    let (eye_at, eye_camera, sky, around) = *eye;
    let now_s = time.elapsed_secs_f64();
    let chosen = choose(&place, &helper, &seen, eye_at.translation, &asked);
    let watches = &mut watches.0;
    // Gone, or of another size.
    let used: BTreeSet<EntityId> =
        place.screens().map(|(screen, ..)| screen.view).chain(asked.iter().copied()).collect();
    watches.retain(|id, watch| {
        let stays =
            used.contains(id) && place.view(*id).is_some_and(|(view, _)| view.size == watch.view.size);
        if !stays {
            commands.entity(watch.camera).despawn();
        }
        stays
    });
    for (order, id) in chosen.iter().enumerate() {
        let Some((view, entity)) = place.view(*id) else { continue };
        let watch = watches.entry(*id).or_insert_with(|| {
            let [width, height] = view.size.map(u32::from);
            let image = Image::new_target_texture(width, height, TextureFormat::Rgba8UnormSrgb, None);
            let image = images.add(image);
            let target = RenderTarget::Image(image.clone().into());
            let camera = commands.spawn((view::lens(settings.quality), Graded::default(), target)).id();
            Watch { view: *view, image, camera, last_s: f64::NEG_INFINITY, chosen_s: now_s }
        });
        watch.view = *view;
        watch.chosen_s = now_s;
        let is_time = asked.contains(id) || now_s - watch.last_s >= 1.0 / f64::from(view.rate);
        let due = eye_camera.is_active && is_time;
        let mut camera = commands.entity(watch.camera);
        // Before the eye, which shows it.
        let order = -1 - order as isize;
        camera.entry::<Camera>().and_modify(move |mut camera| {
            if (camera.order, camera.is_active) != (order, due) {
                (camera.order, camera.is_active) = (order, due);
            }
        });
        if !due {
            continue;
        }
        watch.last_s = now_s;
        camera.insert((
            Projection::Perspective(view::perspective(&view.camera)),
            Exposure { ev100: view.camera.exposure_ev100.clamp(-10.0, 25.0) },
            rigid(&helper, *entity).unwrap_or_default(),
            layers::of_camera(Some(*entity), &said),
        ));
        if let (Some(sky), Some(around)) = (sky, around) {
            camera.insert((sky.clone(), around.clone()));
        }
    }
    for (_, watch) in watches.iter().filter(|(id, _)| !chosen.contains(id)) {
        commands.entity(watch.camera).entry::<Camera>().and_modify(|mut camera| {
            if camera.is_active {
                camera.is_active = false;
            }
        });
    }
    while watches.len() > KEPT_MAX {
        let Some(oldest) =
            watches.iter().min_by(|(_, a), (_, b)| a.chosen_s.total_cmp(&b.chosen_s)).map(|(id, _)| *id)
        else {
            break;
        };
        if let Some(watch) = watches.remove(&oldest) {
            commands.entity(watch.camera).despawn();
        }
    }
    for (screen, _, material) in place.screens() {
        let image = watches.get(&screen.view).map(|watch| &watch.image);
        let brightness = if image.is_some() { screen.brightness.clamp(0.0, BRIGHTNESS_MOST) } else { 0.0 };
        let color = Color::linear_rgb(brightness, brightness, brightness);
        let is_due = materials.get(material).is_some_and(|material| {
            material.base_color_texture.as_ref() != image || material.base_color != color
        });
        if is_due && let Some(mut material) = materials.get_mut(material) {
            material.base_color_texture = image.cloned();
            material.base_color = color;
        }
    }
}

/// The views that are asked for, and those whose screens are seen, those first that are seen largest.
fn choose(
    place: &Place,
    helper: &TransformHelper<'_, '_>,
    seen: &Query<'_, '_, (&ViewVisibility, Option<&Aabb>)>,
    eye: Vec3,
    asked: &BTreeSet<EntityId>,
) -> Vec<EntityId> {
    let wanted = asked.iter().filter(|id| place.view(**id).is_some());
    let mut sizes: BTreeMap<EntityId, f32> = wanted.map(|id| (*id, f32::INFINITY)).collect();
    for (screen, entity, _) in place.screens() {
        let Ok((visible, bounds)) = seen.get(entity) else { continue };
        if !visible.get() || place.view(screen.view).is_none() {
            continue;
        }
        let Ok(at) = helper.compute_global_transform(entity) else { continue };
        let radius =
            bounds.map_or(1.0, |bounds| bounds.half_extents.length()) * at.scale().abs().max_element();
        let size = radius / at.translation().distance(eye).max(0.1);
        let largest = sizes.entry(screen.view).or_insert(0.0);
        *largest = largest.max(size);
    }
    let mut views: Vec<(EntityId, f32)> = sizes.into_iter().collect();
    views.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let mut pixels = 0;
    let fits = |(id, _): &(EntityId, f32)| {
        let size = place.view(*id).map_or(0, |(view, _)| view.size.map(u32::from).iter().product());
        let fits = pixels + size <= PIXELS_MAX;
        pixels += if fits { size } else { 0 };
        fits
    };
    views.into_iter().filter(fits).take(WATCHED_MAX).map(|(id, _)| id).collect()
}

/// Whether an entity is shown: it is not if it is hidden, or too near or too far.
#[derive(Component, Clone, Copy, Debug, Default)]
pub(crate) struct Shown {
    hidden: bool,
    range: Option<scene::VisibilityRange>,
    outside: bool,
}

impl Shown {
    const fn visibility(self) -> Visibility {
        if self.hidden || self.outside { Visibility::Hidden } else { Visibility::Inherited }
    }
}

fn change(world: &mut World, entity: Entity, change: impl FnOnce(&mut Shown)) {
    let Ok(mut entity) = world.get_entity_mut(entity) else { return };
    let mut shown = entity.get::<Shown>().copied().unwrap_or_default();
    change(&mut shown);
    entity.insert((shown, shown.visibility()));
}

/// Hides an entity, or shows it again.
pub(crate) fn set_hidden(world: &mut World, entity: Entity, hidden: bool) {
    change(world, entity, |shown| shown.hidden = hidden);
}

/// An entity is seen only from these distances, or from all.
pub(crate) fn set_range(world: &mut World, entity: Entity, range: Option<scene::VisibilityRange>) {
    change(world, entity, |shown| {
        shown.range = range;
        shown.outside = false;
    });
}

/// Shows what has come into its range, and hides what has gone out of it.
pub(crate) fn keep_range(
    eye: Single<&Transform, With<Eye>>,
    helper: TransformHelper,
    ranged: Query<(Entity, &Shown)>,
    mut commands: Commands,
) {
    for (entity, shown) in &ranged {
        let Some(range) = shown.range else { continue };
        let Ok(at) = helper.compute_global_transform(entity) else { continue };
        let distance = at.translation().distance(eye.translation);
        let outside = if shown.outside {
            !(range.start..range.end).contains(&distance)
        } else {
            !(range.start / HYSTERESIS..range.end * HYSTERESIS).contains(&distance)
        };
        if outside != shown.outside {
            let shown = Shown { outside, ..*shown };
            commands.entity(entity).insert((shown, shown.visibility()));
        }
    }
}
