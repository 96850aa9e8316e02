// SPDX-License-Identifier: AGPL-3.0-or-later
//! The eye: where it is, what it is set to, the sky it sees; and what it sees before there is a
//! scene.

use crate::{
    Quality,
    air::Graded,
    assets::{Key, Loaded, Sight, Store},
    light::rigid,
    motion::Motion,
    place::{Facing, Place},
    sky,
};
use bevy::{
    camera::{CameraMainTextureUsages, Exposure, Hdr, RenderTarget, ShadowLodOrigin},
    core_pipeline::tonemapping::{DebandDither, Tonemapping},
    light::{DirectionalLightShadowMap, PointLightShadowMap, ShadowFilteringMethod, Skybox},
    post_process::bloom::Bloom,
    prelude::*,
    render::render_resource::TextureUsages,
    transform::helper::TransformHelper,
};
use hearth_abi::scene;

/// What is fixed at the start.
#[derive(Resource, Clone)]
pub(crate) struct Settings {
    pub(crate) quality: Quality,
    /// The image that pictures are made in; `None` for the window.
    pub(crate) target: Option<Handle<Image>>,
    /// Draw only when a picture is asked for.
    pub(crate) on_demand: bool,
}

/// The one eye.
#[derive(Component)]
pub(crate) struct Eye;

/// What is seen until the scene arrives.
#[derive(Component)]
pub(crate) struct Waiting;

/// The glow among it.
#[derive(Component)]
pub(crate) struct Ember;

/// Where the eye is while there is no camera.
fn vantage() -> Transform {
    Transform::from_xyz(0.0, 1.7, 6.0)
}

/// What the eye and views have alike.
pub(crate) fn lens(quality: Quality) -> impl Bundle {
    let (samples, shadows, dither) = match quality {
        Quality::Low => (Msaa::Off, ShadowFilteringMethod::Hardware2x2, DebandDither::Disabled),
        Quality::High => (Msaa::Sample4, ShadowFilteringMethod::Gaussian, DebandDither::Enabled),
    };
    // Colours as their authors chose them, and only highlights bent; and no table to look up.
    let tone_mapping = Tonemapping::KhronosPbrNeutral;
    (Camera3d::default(), Hdr, tone_mapping, Exposure::default(), samples, shadows, dither)
}

/// Makes the eye.
pub(crate) fn open(world: &mut World) {
    let settings = world.resource::<Settings>().clone();
    let mut eye = world.spawn((Eye, lens(settings.quality), Graded::default(), ShadowLodOrigin, vantage()));
    if settings.quality == Quality::High {
        eye.insert((
            Bloom { intensity: scene::ColorGrading::default().bloom, ..Bloom::NATURAL },
            // The picture before the glow is kept aside for what is shown in its own colours.
            CameraMainTextureUsages::default().with(TextureUsages::COPY_DST),
        ));
    }
    if let Some(target) = settings.target {
        eye.insert(RenderTarget::Image(target.into()));
    }
    let (sun, lamp) = match settings.quality {
        Quality::Low => (1024, 256),
        Quality::High => (2048, 1024),
    };
    world.insert_resource(DirectionalLightShadowMap { size: sun });
    world.insert_resource(PointLightShadowMap { size: lamp });
    // All light from around comes with the sky.
    world.insert_resource(GlobalAmbientLight { brightness: 0.0, ..default() });
    wait(world);
}

/// An ember in a ring, the sign of the house.
fn wait(world: &mut World) {
    let mut meshes = world.resource_mut::<Assets<Mesh>>();
    let ember = meshes.add(Sphere::new(0.3).mesh().uv(40, 24));
    let ring = meshes.add(Torus { major_radius: 1.0, minor_radius: 0.12 }.mesh().major_resolution(64));
    let mut materials = world.resource_mut::<Assets<StandardMaterial>>();
    let glow = materials.add(ember_material(1.0));
    let stone = materials.add(StandardMaterial {
        base_color: Color::linear_rgb(0.16, 0.17, 0.2),
        perceptual_roughness: 0.7,
        ..default()
    });
    let upright =
        Transform::from_xyz(0.0, 1.7, 0.0).with_rotation(Quat::from_rotation_x(std::f32::consts::FRAC_PI_2));
    world.spawn((Waiting, Mesh3d(ring), MeshMaterial3d(stone), upright));
    world.spawn((Waiting, Ember, Mesh3d(ember), MeshMaterial3d(glow), upright));
    world.spawn((
        Waiting,
        PointLight { color: Color::linear_rgb(1.0, 0.5, 0.2), intensity: 150_000.0, ..default() },
        Transform::from_xyz(0.0, 1.7, 0.0),
    ));
}

fn ember_material(strength: f32) -> StandardMaterial {
    StandardMaterial {
        base_color: Color::BLACK,
        emissive: LinearRgba::rgb(1.3 * strength, 0.42 * strength, 0.08 * strength),
        ..default()
    }
}

/// Lets the ember breathe, and takes it away when there is something else to see.
pub(crate) fn breathe(
    time: Res<Time>,
    place: Res<Place>,
    mut commands: Commands,
    mut materials: ResMut<Assets<StandardMaterial>>,
    waiting: Query<Entity, With<Waiting>>,
    ember: Query<&MeshMaterial3d<StandardMaterial>, With<Ember>>,
) {
    if place.has_begun {
        waiting.iter().for_each(|entity| commands.entity(entity).despawn());
        return;
    }
    for material in &ember {
        if let Some(mut material) = materials.get_mut(&material.0) {
            let breath = (time.elapsed_secs_wrapped() * std::f32::consts::TAU / 4.0).sin();
            *material = ember_material(1.0 + 0.35 * breath);
        }
    }
}

/// The sky that is up.
#[derive(Resource, Default)]
pub(crate) struct Up(Option<Overhead>);

/// What is overhead.
#[derive(Clone, PartialEq)]
enum Overhead {
    Sky(scene::Sky),
    Environment(scene::Environment, [Handle<Image>; 3]),
}

/// Puts up another sky when it has changed.
pub(crate) fn look_up(
    place: Res<Place>,
    store: Res<Store>,
    mut up: ResMut<Up>,
    mut images: ResMut<Assets<Image>>,
    mut commands: Commands,
    eye: Single<Entity, With<Eye>>,
) {
    // Until its picture is there, or if it has none, the sky that would be up without it is.
    let environment =
        place.environment().and_then(|environment| match store.look(Key::Environment(environment.lump)) {
            Sight::Ready(Loaded::Environment(maps)) => {
                Some(Overhead::Environment(*environment, maps.clone()))
            }
            _ => None,
        });
    let overhead = environment.unwrap_or_else(|| Overhead::Sky(*place.sky().unwrap_or(&sky::DEFAULT)));
    if up.0.as_ref() == Some(&overhead) {
        return;
    }
    let mut eye = commands.entity(*eye);
    match &overhead {
        Overhead::Sky(sky) => {
            let colors = |sky: &scene::Sky| [sky.zenith, sky.horizon, sky.ground];
            let (brightness, ambient) = (sky.brightness.clamp(0.0, 1e6), sky.ambient.clamp(0.0, 1e6));
            if matches!(&up.0, Some(Overhead::Sky(before)) if colors(before) == colors(sky)) {
                // Only how bright it is: the maps stay.
                eye.entry::<Skybox>().and_modify(move |mut skybox| skybox.brightness = brightness);
                eye.entry::<EnvironmentMapLight>().and_modify(move |mut light| light.intensity = ambient);
            } else {
                let maps = sky::maps(sky);
                let maps = [maps.seen, maps.diffuse, maps.specular].map(|map| images.add(map));
                eye.insert(overhead_of(maps, brightness, ambient, Quat::IDENTITY));
            }
        }
        Overhead::Environment(environment, maps) => {
            let turned = Quat::from_rotation_y(environment.rotation % std::f32::consts::TAU);
            let (brightness, ambient) = (environment.brightness, environment.ambient);
            eye.insert(overhead_of(maps.clone(), brightness.min(1e6), ambient.min(1e6), turned));
        }
    }
    up.0 = Some(overhead);
}

fn overhead_of(
    [seen, diffuse_map, specular_map]: [Handle<Image>; 3],
    brightness: f32,
    intensity: f32,
    rotation: Quat,
) -> (Skybox, EnvironmentMapLight) {
    (
        Skybox { image: Some(seen), brightness, rotation },
        EnvironmentMapLight { diffuse_map, specular_map, intensity, rotation, ..default() },
    )
}

/// Puts the eye where the camera is.
pub(crate) fn aim(
    place: Res<Place>,
    helper: TransformHelper,
    eye: Single<(Entity, &mut Projection, &mut Exposure), With<Eye>>,
    mut commands: Commands,
) {
    let (entity, mut projection, mut exposure) = eye.into_inner();
    let camera = place.camera();
    let at = camera.and_then(|(_, entity)| rigid(&helper, *entity)).unwrap_or_else(vantage);
    // By a command, because the helper reads all transforms.
    commands.entity(entity).insert(at);
    let camera = camera.map_or_else(scene::Camera::default, |(camera, _)| *camera);
    let wanted = perspective(&camera);
    let same =
        |p: &PerspectiveProjection| p.fov == wanted.fov && p.near == wanted.near && p.far == wanted.far;
    match &mut *projection {
        Projection::Perspective(now) if same(now) => {}
        Projection::Perspective(now) => {
            // The aspect ratio is the renderer's.
            *now = PerspectiveProjection { aspect_ratio: now.aspect_ratio, ..wanted };
        }
        other => *other = Projection::Perspective(wanted),
    }
    let ev100 = camera.exposure_ev100.clamp(-10.0, 25.0);
    if exposure.ev100 != ev100 {
        exposure.ev100 = ev100;
    }
}

/// What a camera sees, with numbers that the renderer can bear.
pub(crate) fn perspective(camera: &scene::Camera) -> PerspectiveProjection {
    let near = camera.near.clamp(0.001, 1000.0);
    PerspectiveProjection {
        fov: camera.fov_y.clamp(0.01, 3.1),
        near,
        far: camera.far.clamp(near * 2.0, 1e6),
        ..default()
    }
}

/// Turns to the eye what is to face it.
pub(crate) fn face(
    time: Res<Time>,
    eye: Single<&Transform, (With<Eye>, Without<Facing>)>,
    facing: Query<(Entity, Option<&ChildOf>, &Motion), With<Facing>>,
    helper: TransformHelper,
    mut commands: Commands,
) {
    let now = time.elapsed_secs_f64();
    for (entity, parent, motion) in &facing {
        let base = motion.shown(now);
        let parent = parent.and_then(|parent| helper.compute_global_transform(parent.0).ok());
        let global = parent.unwrap_or_default() * base;
        let eye = global.affine().inverse().transform_point3(eye.translation);
        let angle = eye.x.atan2(eye.z);
        let turned =
            if angle.is_finite() { base.rotation * Quat::from_rotation_y(angle) } else { base.rotation };
        commands.entity(entity).insert(base.with_rotation(turned));
    }
}
