// SPDX-License-Identifier: AGPL-3.0-or-later
//! How things look: materials and shapes, shared by all that are alike, and what stands in for
//! something that is not there.

use crate::assets::{Key, Loaded, Sight, Store, mesh, texture};
use bevy::{
    asset::RenderAssetUsages,
    prelude::*,
    render::render_resource::{Extent3d, Face, TextureDimension, TextureFormat},
};
use hearth_abi::scene::{self, Component, MeshSource};
use std::collections::{BTreeSet, HashMap};

/// Brightest emissive colour.
const EMISSIVE_MOST: f32 = 10_000.0;
/// Shapes and materials that nobody uses are let go when there are more than this many, and again
/// whenever their number has doubled.
const KEPT_LEAST: usize = 256;

struct Known {
    handle: Handle<StandardMaterial>,
    value: scene::Material,
}

/// Shapes and materials.
#[derive(Resource)]
pub(crate) struct Looks {
    /// By the bytes of the component.
    materials: HashMap<Vec<u8>, Known>,
    shapes: HashMap<Vec<u8>, Handle<Mesh>>,
    tidy_at: usize,
    /// Of a mesh without a material.
    pub(crate) plain: Handle<StandardMaterial>,
    /// Of what is on its way.
    pub(crate) pending: (Handle<Mesh>, Handle<StandardMaterial>),
    /// Of what does not load.
    pub(crate) failed: (Handle<Mesh>, Handle<StandardMaterial>),
}

impl Looks {
    pub(crate) fn new(world: &mut World) -> Looks {
        let checker = world.resource_mut::<Assets<Image>>().add(checker());
        let cube = world.resource_mut::<Assets<Mesh>>().add(Cuboid::from_length(0.5));
        let mut materials = world.resource_mut::<Assets<StandardMaterial>>();
        let pending = materials.add(StandardMaterial {
            base_color: Color::linear_rgba(0.5, 0.55, 0.6, 0.25),
            alpha_mode: AlphaMode::Blend,
            perceptual_roughness: 1.0,
            ..default()
        });
        let failed = materials.add(StandardMaterial {
            base_color: Color::linear_rgb(1.0, 0.0, 1.0),
            base_color_texture: Some(checker),
            unlit: true,
            cull_mode: None,
            ..default()
        });
        let plain = materials.add(standard(&scene::Material::default(), |_| None));
        Looks {
            materials: HashMap::new(),
            shapes: HashMap::new(),
            tidy_at: KEPT_LEAST,
            plain,
            pending: (cube.clone(), pending),
            failed: (cube, failed),
        }
    }

    /// The built-in shape; `None` for a lump.
    pub(crate) fn shape(&mut self, source: &MeshSource, meshes: &mut Assets<Mesh>) -> Option<Handle<Mesh>> {
        let key = bytes_of(&Component::Mesh(*source));
        if let Some(known) = self.shapes.get(&key) {
            return Some(known.clone());
        }
        let handle = meshes.add(mesh::shape(source)?);
        self.shapes.insert(key, handle.clone());
        Some(handle)
    }

    /// The material, with those of its textures that are there.
    pub(crate) fn material(
        &mut self,
        value: &scene::Material,
        store: &Store,
        materials: &mut Assets<StandardMaterial>,
    ) -> Handle<StandardMaterial> {
        if texture_keys(value).any(|key| matches!(store.look(key), Sight::Failed)) {
            return self.failed.1.clone();
        }
        let key = bytes_of(&Component::Material(Box::new(value.clone())));
        let known = self.materials.entry(key).or_insert_with(|| Known {
            handle: materials.add(standard(value, |key| ready(store, key))),
            value: value.clone(),
        });
        known.handle.clone()
    }

    /// Brings materials up to date with textures that came or went.
    pub(crate) fn refresh(
        &mut self,
        changed: &BTreeSet<Key>,
        store: &Store,
        materials: &mut Assets<StandardMaterial>,
    ) {
        if !changed.iter().any(|key| matches!(key, Key::Color(_) | Key::Data(_))) {
            return;
        }
        for known in self.materials.values() {
            if texture_keys(&known.value).any(|key| changed.contains(&key))
                && let Err(error) =
                    materials.insert(known.handle.id(), standard(&known.value, |key| ready(store, key)))
            {
                tracing::warn!(%error, "a material in use was gone");
            }
        }
    }

    /// Lets go of what nobody uses.
    pub(crate) fn tidy(&mut self) {
        if self.materials.len() + self.shapes.len() < self.tidy_at {
            return;
        }
        self.materials.retain(|_, known| is_used(&known.handle));
        self.shapes.retain(|_, handle| is_used(handle));
        self.tidy_at = KEPT_LEAST.max(2 * (self.materials.len() + self.shapes.len()));
    }
}

fn is_used<A: Asset>(handle: &Handle<A>) -> bool {
    match handle {
        Handle::Strong(strong) => std::sync::Arc::strong_count(strong) > 1,
        Handle::Uuid(..) => true,
    }
}

fn ready(store: &Store, key: Key) -> Option<Handle<Image>> {
    match store.look(key) {
        Sight::Ready(Loaded::Texture(image)) => Some(image.clone()),
        _ => None,
    }
}

fn bytes_of(component: &Component) -> Vec<u8> {
    let mut bytes = Vec::new();
    component.encode(&mut bytes);
    bytes
}

/// The textures of a material.
pub(crate) fn texture_keys(material: &scene::Material) -> impl Iterator<Item = Key> {
    let color = [material.base_color_texture, material.emissive_texture];
    let data = [material.normal_texture, material.metallic_roughness_texture];
    color.into_iter().flatten().map(Key::Color).chain(data.into_iter().flatten().map(Key::Data))
}

fn standard(value: &scene::Material, texture: impl Fn(Key) -> Option<Handle<Image>>) -> StandardMaterial {
    let [red, green, blue, opacity] = value.base_color.map(|v| v.clamp(0.0, 100.0));
    let glow = value.emissive.map(|v| v.clamp(0.0, EMISSIVE_MOST));
    let color = |id: Option<_>| id.and_then(|id| texture(Key::Color(id)));
    let data = |id: Option<_>| id.and_then(|id| texture(Key::Data(id)));
    StandardMaterial {
        base_color: Color::linear_rgba(red, green, blue, opacity.min(1.0)),
        base_color_texture: color(value.base_color_texture),
        emissive: LinearRgba::rgb(glow[0], glow[1], glow[2]),
        emissive_texture: color(value.emissive_texture),
        metallic: value.metallic.clamp(0.0, 1.0),
        perceptual_roughness: value.roughness.clamp(0.0, 1.0),
        metallic_roughness_texture: data(value.metallic_roughness_texture),
        normal_map_texture: data(value.normal_texture),
        unlit: value.unlit,
        double_sided: value.double_sided,
        cull_mode: if value.double_sided { None } else { Some(Face::Back) },
        alpha_mode: if value.blend { AlphaMode::Blend } else { AlphaMode::Opaque },
        ..default()
    }
}

/// White and black squares; the material makes the white ones magenta.
fn checker() -> Image {
    const SIZE: u32 = 32;
    let pixels = (0..SIZE * SIZE).flat_map(|i| {
        let dark = (i % SIZE / 8 + i / SIZE / 8) % 2 == 1;
        if dark { [0, 0, 0, 255] } else { [255; 4] }
    });
    let mut image = Image::new(
        Extent3d { width: SIZE, height: SIZE, depth_or_array_layers: 1 },
        TextureDimension::D2,
        pixels.collect(),
        TextureFormat::Rgba8UnormSrgb,
        RenderAssetUsages::default(),
    );
    image.sampler = texture::sampler();
    image
}
