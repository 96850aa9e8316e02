// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is seen of an entity: its mesh, its model and its particles, or what stands in for them.

use super::{Entry, Filling, SCALE_LEAST};
use crate::{
    assets::{Key, Loaded, Sight, Store, texture},
    drawn::Unmet,
    look::{Looks, STAND_IN, casts_shadow},
    mirror, model, particles,
};
use bevy::{
    camera::visibility::{DynamicSkinnedMeshBounds, NoFrustumCulling},
    light::NotShadowCaster,
    mesh::{morph::MeshMorphWeights, skinning::SkinnedMesh},
    prelude::*,
};
use hearth_abi::{
    EntityId, LumpId,
    scene::{self, MeshSource},
};

/// Farthest that a mesh becomes a morph target.
const MORPH_MOST: f32 = 1000.0;

/// What an entity shows of its mesh.
struct Look {
    mesh: Handle<Mesh>,
    /// Further pieces of it.
    more: Vec<Handle<Mesh>>,
    material: Handle<StandardMaterial>,
    skin: Option<SkinnedMesh>,
    /// Of its morph targets, as many as it has.
    weights: Vec<f32>,
}

/// Shows the mesh of an entity, bent by these joints if there are any. Gives the reason if they do not fit. One that is
/// awaited changes nothing yet.
pub(super) fn show_mesh(
    world: &mut World,
    store: &Store,
    looks: &mut Looks,
    entry: &mut Entry,
    joints: Option<Vec<Entity>>,
) -> Option<String> {
    if let Some(MeshSource::Lump(lump)) = entry.mesh
        && matches!(store.look(Key::Mesh(lump)), Sight::Awaited)
    {
        return None;
    }
    let mut misfit = None;
    let look = entry.mesh.as_ref().and_then(|source| {
        let plain =
            |(mesh, material)| Look { mesh, more: Vec::new(), material, skin: None, weights: Vec::new() };
        let (mut meshes, skin, targets) = match source {
            MeshSource::Lump(lump) => match store.look(Key::Mesh(*lump)) {
                Sight::Awaited | Sight::Pending => return Some(plain(looks.pending.clone())),
                Sight::Failed => return Some(plain(looks.failed.clone())),
                Sight::Ready(Loaded::Mesh(form)) => {
                    let form = form.as_ref()?;
                    let (meshes, skin) = match (joints, &form.skinned) {
                        (Some(joints), Some(skinned)) if joints.len() == skinned.joints => {
                            let inverse_bindposes = skinned.poses.clone();
                            (vec![skinned.mesh.clone()], Some(SkinnedMesh { inverse_bindposes, joints }))
                        }
                        (Some(joints), skinned) => {
                            let has = skinned.as_ref().map_or(0, |skinned| skinned.joints);
                            misfit =
                                Some(format!("the skin has {} joints, and the mesh {has}", joints.len()));
                            (form.plain.clone(), None)
                        }
                        (None, _) => (form.plain.clone(), None),
                    };
                    (meshes, skin, form.targets)
                }
                Sight::Ready(_) => return None,
            },
            shape => (vec![looks.shape(shape, &mut world.resource_mut())?], None, 0),
        };
        let mesh = meshes.first()?.clone();
        let more = meshes.split_off(1);
        let material = match (&entry.screen, &entry.material) {
            (Some((_, material)), _) => material.clone(),
            (None, Some(material)) => {
                let has = |mesh: &Mesh| mesh.contains_attribute(Mesh::ATTRIBUTE_TANGENT);
                let has_tangents = world.resource::<Assets<Mesh>>().get(&mesh).is_some_and(has);
                looks.material(material, has_tangents, store, &mut world.resource_mut())
            }
            (None, None) => looks.plain.clone(),
        };
        Some(Look { mesh, more, material, skin, weights: weights(entry, targets) })
    });
    let casts = entry.material.as_ref().is_none_or(|material| casts_shadow(material));
    for piece in std::mem::take(&mut entry.pieces) {
        world.despawn(piece);
    }
    if let Some(mirror) = &entry.mirror
        && let Some(look) = &look
        && look.material != looks.pending.1
    {
        mirror::show(world, &mut entry.glass, entry.entity, mirror, look.mesh.clone());
        bare(world, entry.entity);
        return misfit;
    }
    mirror::hide(world, &mut entry.glass);
    let Some(Look { mesh, more, material, skin, weights }) = look else {
        bare(world, entry.entity);
        return misfit;
    };
    if material == looks.pending.1
        && let Some(MeshSource::Lump(lump)) = entry.mesh
    {
        entry.pieces.push(filling(world, looks, entry.entity, Key::Mesh(lump)));
    }
    for mesh in more {
        let part = (Mesh3d(mesh), MeshMaterial3d(material.clone()), ChildOf(entry.entity));
        let mut piece = world.spawn(part);
        if !casts {
            piece.insert(NotShadowCaster);
        }
        entry.pieces.push(piece.id());
    }
    let mut entity = world.entity_mut(entry.entity);
    if !casts || material == looks.pending.1 {
        entity.insert(NotShadowCaster);
    } else {
        entity.remove::<NotShadowCaster>();
    }
    entity.remove::<Bent>();
    entity.insert((Mesh3d(mesh), MeshMaterial3d(material)));
    if let Some(skin) = skin {
        entity.insert((skin, DynamicSkinnedMeshBounds));
    }
    if !weights.is_empty() {
        // Its bounds are not known to the renderer.
        entity.insert((MeshMorphWeights::Value { weights }, NoFrustumCulling));
    }
    misfit
}

/// What bends a mesh.
type Bent = (SkinnedMesh, DynamicSkinnedMeshBounds, MeshMorphWeights, NoFrustumCulling);

/// Shows no mesh.
fn bare(world: &mut World, entity: Entity) {
    world.entity_mut(entity).remove::<(Mesh3d, MeshMaterial3d<StandardMaterial>, Bent)>();
}

/// Weights for so many morph targets, those of the entity as far as there are any.
fn weights(entry: &Entry, targets: usize) -> Vec<f32> {
    let given = entry.morphs.as_ref().map_or(&[][..], |morphs| &morphs.weights);
    let most = |weight: f32| weight.clamp(-MORPH_MOST, MORPH_MOST);
    (0..targets).map(|target| given.get(target).copied().map_or(0.0, most)).collect()
}

/// Gives a mesh that is shown already its weights.
pub(super) fn weigh(world: &mut World, entry: &Entry) -> bool {
    match world.get_mut::<MeshMorphWeights>(entry.entity).as_deref_mut() {
        Some(MeshMorphWeights::Value { weights: shown }) => {
            *shown = weights(entry, shown.len());
            true
        }
        _ => false,
    }
}

/// The lump that is the face of a text, if one is.
pub(super) fn font_of(text: &scene::Text) -> Option<LumpId> {
    match text.face {
        scene::Face::Lump(lump) => Some(lump),
        scene::Face::Sans | scene::Face::Mono => None,
    }
}

/// The texture of particles that have one.
pub(super) fn texture_of(particles: &scene::Particles) -> Option<Key> {
    particles.texture.map(|lump| Key::Texture(lump, texture::Use::Color))
}

pub(super) fn show_particles(world: &mut World, store: &Store, id: EntityId, entry: &Entry) {
    let Some(particles) = &entry.particles else { return particles::hide(world, entry.entity) };
    let texture = match texture_of(particles).map(|key| store.look(key)) {
        Some(Sight::Ready(Loaded::Texture(image))) => Some(image.clone()),
        _ => None,
    };
    particles::show(world, id, entry.entity, particles, texture);
}

pub(super) fn show_model(world: &mut World, store: &Store, looks: &Looks, entry: &mut Entry) {
    let sight = entry.model.map(|lump| store.look(Key::Model(lump)));
    if matches!(sight, Some(Sight::Awaited)) {
        return;
    }
    if let Some(before) = entry.stand_in.take() {
        world.despawn(before);
    }
    if let Some(Sight::Ready(Loaded::Model(model))) = sight {
        // The same model is left as it stands.
        if !model::shows(world, entry.entity, model) {
            model::hide(world, entry.entity);
            model::show(world, entry.entity, model.clone());
        }
        return;
    }
    model::hide(world, entry.entity);
    let look = match sight {
        Some(Sight::Pending) => &looks.pending,
        Some(Sight::Failed) => &looks.failed,
        _ => return,
    };
    let part = (Mesh3d(look.0.clone()), MeshMaterial3d(look.1.clone()));
    let mut made = world.spawn((part, ChildOf(entry.entity)));
    if look.1 == looks.pending.1 {
        made.insert(NotShadowCaster);
    }
    let made = made.id();
    entry.stand_in = Some(made);
    if look.1 == looks.pending.1
        && let Some(lump) = entry.model
    {
        filling(world, looks, made, Key::Model(lump));
    }
}

/// How much of an asset is here, in what stands in for it.
fn filling(world: &mut World, looks: &Looks, under: Entity, key: Key) -> Entity {
    let (mesh, material) = looks.filling.clone();
    let part = (Mesh3d(mesh), MeshMaterial3d(material), Transform::from_scale(Vec3::splat(SCALE_LEAST)));
    world.spawn((Filling(key), part, NotShadowCaster, Unmet, ChildOf(under))).id()
}

/// Fills what stands in for what is under way.
pub(crate) fn fill(store: Res<Store>, mut fillings: Query<(&Filling, &mut Transform)>) {
    for (Filling(key), mut place) in &mut fillings {
        let height = (store.part(*key) * STAND_IN * 0.9).max(SCALE_LEAST);
        let wanted = Transform {
            translation: Vec3::Y * (height - STAND_IN * 0.9) / 2.0,
            scale: Vec3::new(STAND_IN * 0.9, height, STAND_IN * 0.9),
            ..Transform::IDENTITY
        };
        place.set_if_neq(wanted);
    }
}
