// SPDX-License-Identifier: AGPL-3.0-or-later
//! How things look: materials and shapes, shared by all that are alike, and what stands in for
//! something that is not there.

use crate::assets::{
    Key, Loaded, Sight, Store, mesh,
    texture::{self, Use},
};
use bevy::{
    asset::RenderAssetUsages,
    image::ImageSampler,
    math::Affine2,
    mesh::UvChannel,
    prelude::*,
    render::render_resource::{Extent3d, Face, TextureDimension, TextureFormat},
};
use half::f16;
use hearth_abi::scene::{self, Component, Extra, MeshSource, second_uvs};
use std::collections::{BTreeSet, HashMap};

/// Opacity from which what one sees through casts a shadow.
pub(crate) const OPAQUE_ENOUGH: f32 = 0.7;
/// Brightest emissive colour.
pub(crate) const EMISSIVE_MOST: f32 = 10_000.0;
/// By which reflectance is multiplied where a texture of it is: the renderer halves what it says.
pub(crate) const SPECULAR_TEXTURE: f32 = 2.0;
/// Shapes and materials that nobody uses are let go when there are more than this many, and again
/// whenever their number has doubled.
const KEPT_LEAST: usize = 256;

/// Length of the edges of what stands in for something, in metres.
pub(crate) const STAND_IN: f32 = 0.5;

struct Known {
    handle: Handle<StandardMaterial>,
    value: scene::Material,
    has_even: bool,
}

/// Shapes and materials.
#[derive(Resource)]
pub(crate) struct Looks {
    /// By the bytes of the component, and whether it has the even normals.
    materials: HashMap<(Vec<u8>, bool), Known>,
    shapes: HashMap<Vec<u8>, Handle<Mesh>>,
    tidy_at: usize,
    /// A texture of normals that changes none.
    even: Handle<Image>,
    /// Of a mesh without a material.
    pub(crate) plain: Handle<StandardMaterial>,
    /// Of what is on its way.
    pub(crate) pending: (Handle<Mesh>, Handle<StandardMaterial>),
    /// Of as much of it as is here.
    pub(crate) filling: (Handle<Mesh>, Handle<StandardMaterial>),
    /// Of what does not load.
    pub(crate) failed: (Handle<Mesh>, Handle<StandardMaterial>),
}

impl Looks {
    pub(crate) fn new(world: &mut World) -> Looks {
        let checker = world.resource_mut::<Assets<Image>>().add(checker());
        let even = world.resource_mut::<Assets<Image>>().add(even());
        let cube = world.resource_mut::<Assets<Mesh>>().add(Cuboid::from_length(STAND_IN));
        let core = world.resource_mut::<Assets<Mesh>>().add(Cuboid::from_length(1.0));
        let mut materials = world.resource_mut::<Assets<StandardMaterial>>();
        let pending = materials.add(StandardMaterial {
            base_color: Color::linear_rgba(0.5, 0.55, 0.6, 0.25),
            alpha_mode: AlphaMode::Blend,
            perceptual_roughness: 1.0,
            ..default()
        });
        let ember = materials.add(StandardMaterial {
            base_color: Color::linear_rgb(1.0, 0.42, 0.08),
            unlit: true,
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
            even,
            plain,
            pending: (cube.clone(), pending),
            filling: (core, ember),
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

    /// The material, with those of its textures that are there, for a mesh that has tangents or not.
    ///
    /// Of a mesh with tangents the renderer turns the normals of the back to the viewer only where there is a texture
    /// of normals; so what is seen from both sides has one.
    pub(crate) fn material(
        &mut self,
        value: &scene::Material,
        has_tangents: bool,
        store: &Store,
        materials: &mut Assets<StandardMaterial>,
    ) -> Handle<StandardMaterial> {
        if texture_keys(value).any(|key| matches!(store.look(key), Sight::Failed)) {
            return self.failed.1.clone();
        }
        let has_even = has_tangents && value.double_sided && !value.unlit && value.normal_texture.is_none();
        let key = (bytes_of(&Component::Material(Box::new(value.clone()))), has_even);
        if let Some(known) = self.materials.get(&key) {
            return known.handle.clone();
        }
        let handle = materials.add(self.made(value, has_even, store));
        self.materials.insert(key, Known { handle: handle.clone(), value: value.clone(), has_even });
        handle
    }

    fn made(&self, value: &scene::Material, has_even: bool, store: &Store) -> StandardMaterial {
        let mut made = standard(value, |key| ready(store, key));
        if has_even {
            made.normal_map_texture = Some(self.even.clone());
        }
        made
    }

    /// Brings materials up to date with textures that came or went.
    pub(crate) fn refresh(
        &mut self,
        changed: &BTreeSet<Key>,
        store: &Store,
        materials: &mut Assets<StandardMaterial>,
    ) {
        if !changed.iter().any(|key| matches!(key, Key::Texture(..))) {
            return;
        }
        for known in self.materials.values() {
            if texture_keys(&known.value).any(|key| changed.contains(&key))
                && let Err(error) =
                    materials.insert(known.handle.id(), self.made(&known.value, known.has_even, store))
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

/// The textures of a material, in the order of the component.
fn textures(material: &scene::Material) -> [Option<Key>; 13] {
    let mut uses = [Use::Data; 13];
    uses[0] = Use::Color;
    uses[1] = Use::normal(material.normal_scale);
    uses[3] = Use::Color;
    uses[4] = Use::occlusion(material.occlusion_strength);
    uses[5 + Extra::Specular as usize] = Use::Specular;
    uses[5 + Extra::SpecularColor as usize] = Use::SpecularColor;
    let lumps = material.textures();
    std::array::from_fn(|i| lumps[i].map(|lump| Key::Texture(lump, uses[i])))
}

/// The textures that a material has.
pub(crate) fn texture_keys(material: &scene::Material) -> impl Iterator<Item = Key> {
    textures(material).into_iter().flatten()
}

/// Whether a material casts a shadow.
pub(crate) fn casts_shadow(material: &scene::Material) -> bool {
    let through = if material.blend { 1.0 - material.base_color[3] } else { 0.0 };
    through.max(material.transmission) <= 1.0 - OPAQUE_ENOUGH
}

/// What the renderer calls the reflectance of what is no metal and has this index of refraction: of light from straight
/// above, 0.16 × its square comes back.
pub(crate) fn reflectance(ior: f32) -> f32 {
    let ior = ior.clamp(1.0, 100.0);
    (ior - 1.0) / (ior + 1.0) / 0.4
}

fn standard(value: &scene::Material, texture: impl Fn(Key) -> Option<Handle<Image>>) -> StandardMaterial {
    let [red, green, blue, opacity] = value.base_color.map(|v| v.clamp(0.0, 100.0));
    let strength = value.emissive_strength.max(0.0);
    let glow = value.emissive.map(|v| (v.max(0.0) * strength).clamp(0.0, EMISSIVE_MOST));
    let [base_color, normal, metallic_roughness, emissive, occlusion, extra @ ..] =
        textures(value).map(|key| key.and_then(&texture));
    let [clearcoat, clearcoat_roughness, clearcoat_normal, transmission, extra @ ..] = extra;
    let [thickness, specular_map, specular_tint, anisotropy] = extra;
    let specular_factor = if specular_map.is_some() { SPECULAR_TEXTURE } else { 1.0 };
    let channel = |bit: u8| if value.second_uvs & bit == 0 { UvChannel::Uv0 } else { UvChannel::Uv1 };
    // As in the assets of models: the renderer squares both.
    let specular = value.specular_color.map(|v| v.clamp(0.0, 100.0).sqrt());
    let inside = value.attenuation_color.map(|v| v.clamp(0.0, 1.0));
    let placed = value.texture_transform;
    StandardMaterial {
        base_color: Color::linear_rgba(red, green, blue, opacity.min(1.0)),
        base_color_texture: base_color,
        base_color_channel: channel(second_uvs::BASE_COLOR),
        emissive: LinearRgba::rgb(glow[0], glow[1], glow[2]),
        emissive_texture: emissive,
        emissive_channel: channel(second_uvs::EMISSIVE),
        metallic: value.metallic.clamp(0.0, 1.0),
        perceptual_roughness: value.roughness.clamp(0.0, 1.0),
        metallic_roughness_texture: metallic_roughness,
        metallic_roughness_channel: channel(second_uvs::METALLIC_ROUGHNESS),
        normal_map_texture: normal,
        normal_map_channel: channel(second_uvs::NORMAL),
        occlusion_texture: occlusion,
        occlusion_channel: channel(second_uvs::OCCLUSION),
        clearcoat: value.clearcoat.clamp(0.0, 1.0),
        clearcoat_texture: clearcoat,
        clearcoat_perceptual_roughness: value.clearcoat_roughness.clamp(0.0, 1.0),
        clearcoat_roughness_texture: clearcoat_roughness,
        clearcoat_normal_texture: clearcoat_normal,
        specular_transmission: value.transmission.clamp(0.0, 1.0),
        specular_transmission_texture: transmission,
        ior: value.ior.clamp(1.0, 100.0),
        reflectance: reflectance(value.ior) * value.specular.clamp(0.0, 1.0).sqrt() * specular_factor,
        specular_texture: specular_map,
        specular_tint_texture: specular_tint,
        specular_tint: Color::linear_rgb(specular[0], specular[1], specular[2]),
        thickness: value.thickness.max(0.0),
        thickness_texture: thickness,
        attenuation_distance: if value.attenuation_distance > 0.0 {
            value.attenuation_distance
        } else {
            f32::INFINITY
        },
        attenuation_color: Color::linear_rgb(inside[0], inside[1], inside[2]),
        anisotropy_strength: value.anisotropy.clamp(0.0, 1.0),
        anisotropy_texture: anisotropy,
        anisotropy_rotation: value.anisotropy_rotation,
        uv_transform: Affine2::from_scale_angle_translation(
            placed.scale.into(),
            -placed.rotation,
            placed.offset.into(),
        ),
        unlit: value.unlit,
        double_sided: value.double_sided,
        cull_mode: if value.double_sided { None } else { Some(Face::Back) },
        alpha_mode: match value.alpha_cutoff {
            Some(cutoff) => AlphaMode::Mask(cutoff),
            None if value.blend => AlphaMode::Blend,
            None => AlphaMode::Opaque,
        },
        ..default()
    }
}

/// One pixel of normals that are those of the mesh.
fn even() -> Image {
    let normal = [0.5, 0.5, 1.0, 1.0].map(|value| f16::from_f32(value).to_le_bytes()).concat();
    Image::new(
        Extent3d { width: 1, height: 1, depth_or_array_layers: 1 },
        TextureDimension::D2,
        normal,
        TextureFormat::Rgba16Float,
        RenderAssetUsages::default(),
    )
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
    image.sampler = ImageSampler::Descriptor(texture::sampler());
    image
}
