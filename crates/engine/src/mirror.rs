// SPDX-License-Identifier: AGPL-3.0-or-later
//! Mirrors: the picture that an eye behind the mirror has, which is the user's eye reflected in its plane.
//!
//! A point is seen in the mirror where its reflection would be seen through it, so that the reflected eye has the same
//! angle of view as the eye, and the mirror shows of its picture what is at the same place of the screen. What is between
//! the reflected eye and the plane is cut off by its nearest plane.

use crate::{
    air::Graded,
    layers,
    view::{self, Eye, Settings},
};
use bevy::{
    app::PropagateOver,
    asset::{embedded_asset, embedded_path},
    camera::{Exposure, RenderTarget, primitives::Aabb, visibility::RenderLayers},
    core_pipeline::tonemapping::{DebandDither, Tonemapping},
    light::{NotShadowCaster, Skybox},
    mesh::MeshVertexBufferLayoutRef,
    pbr::{MaterialPipeline, MaterialPipelineKey},
    prelude::*,
    render::render_resource::{
        AsBindGroup, RenderPipelineDescriptor, ShaderType, SpecializedMeshPipelineError, TextureFormat,
    },
    shader::ShaderRef,
    transform::helper::TransformHelper,
};
use hearth_abi::scene;

/// Most mirrors of which pictures are made.
const MIRRORS_MAX: usize = 2;
/// How far before its plane a mirror begins to show things, in metres, so that it does not show what it hangs on.
const GAP: f32 = 0.001;
/// Brightest colour of a mirror.
const COLOR_MOST: f32 = 100.0;

/// How the glass looks.
#[derive(Asset, AsBindGroup, TypePath, Clone)]
pub(crate) struct GlassMaterial {
    #[uniform(0)]
    look: GlassLook,
    #[texture(1)]
    #[sampler(2)]
    picture: Option<Handle<Image>>,
}

#[derive(ShaderType, Clone, Copy, PartialEq)]
struct GlassLook {
    /// Linear, and 1 if there is a picture.
    color: Vec4,
    /// Whose picture it is.
    eye: Vec4,
}

impl Material for GlassMaterial {
    fn fragment_shader() -> ShaderRef {
        ShaderRef::Path(
            bevy::asset::AssetPath::from_path_buf(embedded_path!("mirror.wgsl")).with_source("embedded"),
        )
    }

    fn specialize(
        _pipeline: &MaterialPipeline,
        descriptor: &mut RenderPipelineDescriptor,
        _layout: &MeshVertexBufferLayoutRef,
        _key: MaterialPipelineKey<Self>,
    ) -> Result<(), SpecializedMeshPipelineError> {
        descriptor.label = Some("mirror".into());
        Ok(())
    }
}

/// The glass of a mirror, on what is drawn of it.
#[derive(Component)]
pub(crate) struct Glass {
    mirror: scene::Mirror,
    /// It was in the picture before.
    is_seen: bool,
}

/// A reflected eye.
#[derive(Component)]
pub(crate) struct Reflected {
    glass: Entity,
    size: UVec2,
    image: Handle<Image>,
}

pub(crate) fn build(app: &mut App) {
    embedded_asset!(app, "mirror.wgsl");
    app.add_plugins(MaterialPlugin::<GlassMaterial>::default());
}

/// Shows a mirror of this shape under an entity.
pub(crate) fn show(
    world: &mut World,
    glass: &mut Option<Entity>,
    entity: Entity,
    mirror: &scene::Mirror,
    mesh: Handle<Mesh>,
) {
    let shown = glass.and_then(|glass| world.get_entity_mut(glass).ok());
    if let Some(mut shown) = shown {
        shown.insert((Glass { mirror: *mirror, is_seen: false }, Mesh3d(mesh)));
        return;
    }
    let look = GlassLook { color: Vec4::ZERO, eye: Vec4::ZERO };
    let material = world.resource_mut::<Assets<GlassMaterial>>().add(GlassMaterial { look, picture: None });
    let over = PropagateOver::<RenderLayers>::default();
    let part = (Mesh3d(mesh), MeshMaterial3d(material), NotShadowCaster, over, ChildOf(entity));
    *glass = Some(world.spawn((Glass { mirror: *mirror, is_seen: false }, part)).id());
}

/// Takes it away. What was drawn may be gone already.
pub(crate) fn hide(world: &mut World, glass: &mut Option<Entity>) {
    if let Some(entity) = glass.take()
        && let Ok(entity) = world.get_entity_mut(entity)
    {
        entity.despawn();
    }
}

/// What is seen of the eye.
type Seeing = (
    &'static Transform,
    &'static Camera,
    &'static Projection,
    &'static Exposure,
    Option<&'static Skybox>,
    Option<&'static EnvironmentMapLight>,
);

/// What is seen of a glass.
type Seen = (
    Entity,
    &'static Glass,
    &'static ChildOf,
    Option<&'static Aabb>,
    &'static MeshMaterial3d<GlassMaterial>,
    Option<&'static RenderLayers>,
);

/// Notes which mirrors were in the last picture, before that is found out anew.
pub(crate) fn notice(
    mut was_drawn: Local<bool>,
    eye: Single<&Camera, With<Eye>>,
    mut glasses: Query<(&mut Glass, &ViewVisibility)>,
) {
    // What was not drawn says nothing.
    if !std::mem::replace(&mut *was_drawn, eye.is_active) {
        return;
    }
    for (mut glass, visibility) in &mut glasses {
        if glass.is_seen != visibility.get() {
            glass.is_seen = visibility.get();
        }
    }
}

/// Puts the reflected eyes where they are to be.
#[expect(clippy::too_many_arguments, reason = "each is a part of the world that a system takes")]
pub(crate) fn reflect(
    settings: Res<Settings>,
    helper: TransformHelper,
    eye: Single<Seeing, With<Eye>>,
    glasses: Query<Seen>,
    layers_of: Query<&RenderLayers>,
    reflected: Query<(Entity, &Reflected)>,
    mut images: ResMut<Assets<Image>>,
    mut materials: ResMut<Assets<GlassMaterial>>,
    mut commands: Commands,
) {
    if glasses.is_empty() && reflected.is_empty() {
        return;
    }
    let (eye_at, eye_camera, projection, exposure, sky, around) = *eye;
    let target = eye_camera.physical_target_size().unwrap_or(UVec2::splat(256));
    let mut chosen: Vec<(f32, Entity, Vec3, Vec3)> = Vec::new();
    for (entity, glass, above, bounds, ..) in &glasses {
        let Ok(at) = helper.compute_global_transform(above.0) else { continue };
        let Some(normal) = (at.affine().matrix3 * Vec3A::Y).try_normalize().map(Vec3::from) else { continue };
        let point = at.translation();
        let is_before = (eye_at.translation - point).dot(normal) > GAP;
        if glass.is_seen && is_before {
            let radius =
                bounds.map_or(1.0, |bounds| bounds.half_extents.length()) * at.scale().abs().max_element();
            let size = radius / point.distance(eye_at.translation).max(0.1);
            chosen.push((size, entity, point, normal));
        }
    }
    chosen.sort_by(|one, other| other.0.total_cmp(&one.0));
    chosen.truncate(MIRRORS_MAX);
    for (camera, reflected) in &reflected {
        let Ok((_, glass, ..)) = glasses.get(reflected.glass) else {
            commands.entity(camera).despawn();
            continue;
        };
        let stays = chosen.iter().any(|(_, entity, ..)| *entity == reflected.glass);
        if !stays || reflected.size != size_of(target, glass) {
            commands.entity(camera).despawn();
        }
    }
    for (order, (_, entity, point, normal)) in chosen.iter().enumerate() {
        let Ok((_, glass, ..)) = glasses.get(*entity) else { continue };
        let size = size_of(target, glass);
        let known = reflected.iter().find(|(_, known)| known.glass == *entity && known.size == size);
        let camera = match known {
            Some((camera, _)) => camera,
            None => {
                let image = Image::new_target_texture(size.x, size.y, TextureFormat::Rgba16Float, None);
                let image = images.add(image);
                let target = RenderTarget::Image(image.clone().into());
                let kept = Reflected { glass: *entity, size, image };
                let lens = view::lens(settings.quality);
                let camera = commands.spawn((lens, Graded::fog_alone(), target, kept)).id();
                // Light as it is: the picture of the eye becomes colours, and this with it.
                commands.entity(camera).insert((Tonemapping::None, DebandDither::Disabled));
                camera
            }
        };
        // Before the eye and all views.
        let order = -100 - order as isize;
        let is_active = eye_camera.is_active;
        let mut camera = commands.entity(camera);
        camera.entry::<Camera>().and_modify(move |mut camera| {
            if (camera.order, camera.is_active) != (order, is_active) || !camera.invert_culling {
                (camera.order, camera.is_active, camera.invert_culling) = (order, is_active, true);
            }
        });
        let at = reflection(*point, *normal) * eye_at.to_matrix();
        let plane = at.transpose() * normal.extend(-normal.dot(*point) - GAP);
        if let Projection::Perspective(eye) = projection {
            let near_clip_plane = plane / plane.truncate().length().max(1e-6);
            camera.insert(Projection::Perspective(PerspectiveProjection { near_clip_plane, ..eye.clone() }));
        }
        camera.insert((Transform::from_matrix(at), *exposure, layers::of(glass.mirror.layers)));
        if let (Some(sky), Some(around)) = (sky, around) {
            camera.insert((sky.clone(), around.clone()));
        }
    }
    for (entity, Glass { mirror, .. }, above, _, material, own) in &glasses {
        let wanted = layers::of_mirrors(layers_of.get(above.0).unwrap_or(&RenderLayers::default()));
        if own != Some(&wanted) {
            commands.entity(entity).insert(wanted);
        }
        let is_chosen = chosen.iter().any(|(_, chosen, ..)| *chosen == entity);
        let picture = reflected.iter().find(|(_, known)| is_chosen && known.glass == entity);
        let picture = picture.map(|(_, known)| known.image.clone());
        let [red, green, blue] = mirror.color.map(|part| part.clamp(0.0, COLOR_MOST));
        let color = Vec4::new(red, green, blue, if picture.is_some() { 1.0 } else { 0.0 });
        let look = GlassLook { color, eye: eye_at.translation.extend(0.0) };
        let differs = |known: &GlassMaterial| known.look != look || known.picture != picture;
        if materials.get(&material.0).is_some_and(differs)
            && let Some(mut material) = materials.get_mut(&material.0)
        {
            (material.look, material.picture) = (look, picture);
        }
    }
}

/// The pixels of a mirror's picture, which is one of all that the eye sees.
fn size_of(target: UVec2, Glass { mirror, .. }: &Glass) -> UVec2 {
    let most = target.max_element().max(1) as f32;
    let factor = (f32::from(mirror.size) / most).min(1.0);
    (target.as_vec2() * factor).round().as_uvec2().max(UVec2::ONE)
}

/// What takes a point to its reflection in a plane.
fn reflection(point: Vec3, normal: Vec3) -> Mat4 {
    let [x, y, z] = normal.to_array().map(|part| -2.0 * part * normal);
    let moved = 2.0 * point.dot(normal) * normal;
    Mat4::from_cols(
        (Vec3::X + x).extend(0.0),
        (Vec3::Y + y).extend(0.0),
        (Vec3::Z + z).extend(0.0),
        moved.extend(1.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_before_a_plane_is_reflected_behind_it() {
        let normal = Vec3::new(1.0, 2.0, -2.0) / 3.0;
        let point = Vec3::new(0.5, -1.0, 4.0);
        let reflection = reflection(point, normal);
        let place = point + normal * 3.0 + normal.any_orthonormal_vector() * 2.0;
        let seen = reflection.transform_point3(place);
        assert!((seen - (place - normal * 6.0)).length() < 1e-5, "{seen}");
        assert!((reflection.transform_point3(seen) - place).length() < 1e-5);
        assert!(reflection.determinant() < 0.0);
    }

    #[test]
    fn a_picture_is_of_the_shape_of_the_eye_s() {
        let mirror = |size| scene::Mirror { size, ..scene::Mirror::default() };
        let glass = |size| Glass { mirror: mirror(size), is_seen: true };
        assert_eq!(size_of(UVec2::new(1280, 720), &glass(640)), UVec2::new(640, 360));
        assert_eq!(size_of(UVec2::new(300, 700), &glass(2048)), UVec2::new(300, 700));
        assert_eq!(size_of(UVec2::new(8000, 1), &glass(16)), UVec2::new(16, 1));
    }
}
