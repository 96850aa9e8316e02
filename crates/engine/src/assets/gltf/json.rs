// SPDX-License-Identifier: AGPL-3.0-or-later
//! The JSON part of a glTF file: the fields of the specification that are shown, by their names there. What is not
//! named here is passed over.

use serde::Deserialize;
use std::collections::BTreeMap;

/// An index into one of the lists of the file.
pub(super) type Index = usize;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Root {
    pub(super) asset: Asset,
    pub(super) extensions_used: Vec<String>,
    pub(super) extensions_required: Vec<String>,
    pub(super) scene: Option<Index>,
    pub(super) scenes: Vec<Scene>,
    pub(super) nodes: Vec<Node>,
    pub(super) meshes: Vec<Mesh>,
    pub(super) accessors: Vec<Accessor>,
    pub(super) buffer_views: Vec<View>,
    pub(super) buffers: Vec<Buffer>,
    pub(super) images: Vec<Image>,
    pub(super) samplers: Vec<Sampler>,
    pub(super) textures: Vec<Texture>,
    pub(super) materials: Vec<Material>,
    pub(super) skins: Vec<Skin>,
    pub(super) animations: Vec<Animation>,
    pub(super) extensions: RootExtensions,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Asset {
    pub(super) version: String,
    pub(super) min_version: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RootExtensions {
    #[serde(rename = "KHR_lights_punctual")]
    pub(super) lights: Lights,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Lights {
    pub(super) lights: Vec<Light>,
}

#[derive(Deserialize)]
pub(super) struct Light {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default = "white")]
    pub(super) color: [f32; 3],
    #[serde(default = "one")]
    pub(super) intensity: f32,
    #[serde(default)]
    pub(super) range: Option<f32>,
    #[serde(default)]
    pub(super) spot: Spot,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spot {
    pub(super) inner_cone_angle: f32,
    pub(super) outer_cone_angle: f32,
}

impl Default for Spot {
    fn default() -> Spot {
        Spot { inner_cone_angle: 0.0, outer_cone_angle: std::f32::consts::FRAC_PI_4 }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Scene {
    pub(super) nodes: Vec<Index>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Node {
    pub(super) name: Option<String>,
    pub(super) children: Vec<Index>,
    pub(super) mesh: Option<Index>,
    pub(super) skin: Option<Index>,
    pub(super) weights: Option<Vec<f32>>,
    pub(super) matrix: Option<[f32; 16]>,
    pub(super) translation: Option<[f32; 3]>,
    pub(super) rotation: Option<[f32; 4]>,
    pub(super) scale: Option<[f32; 3]>,
    pub(super) extensions: NodeExtensions,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct NodeExtensions {
    #[serde(rename = "KHR_lights_punctual")]
    pub(super) light: Option<LightOfNode>,
}

#[derive(Deserialize)]
pub(super) struct LightOfNode {
    pub(super) light: Index,
}

#[derive(Deserialize)]
pub(super) struct Mesh {
    pub(super) primitives: Vec<Primitive>,
    #[serde(default)]
    pub(super) weights: Option<Vec<f32>>,
}

#[derive(Deserialize)]
pub(super) struct Primitive {
    pub(super) attributes: BTreeMap<String, Index>,
    #[serde(default)]
    pub(super) indices: Option<Index>,
    #[serde(default)]
    pub(super) material: Option<Index>,
    #[serde(default = "triangles")]
    pub(super) mode: u32,
    #[serde(default)]
    pub(super) targets: Vec<BTreeMap<String, Index>>,
}

fn triangles() -> u32 {
    4
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Accessor {
    #[serde(default)]
    pub(super) buffer_view: Option<Index>,
    #[serde(default)]
    pub(super) byte_offset: usize,
    pub(super) component_type: u32,
    #[serde(default)]
    pub(super) normalized: bool,
    pub(super) count: usize,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) sparse: Option<Sparse>,
}

#[derive(Deserialize)]
pub(super) struct Sparse {
    pub(super) count: usize,
    pub(super) indices: SparseIndices,
    pub(super) values: SparseValues,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SparseIndices {
    pub(super) buffer_view: Index,
    #[serde(default)]
    pub(super) byte_offset: usize,
    pub(super) component_type: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SparseValues {
    pub(super) buffer_view: Index,
    #[serde(default)]
    pub(super) byte_offset: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View {
    pub(super) buffer: Index,
    #[serde(default)]
    pub(super) byte_offset: usize,
    pub(super) byte_length: usize,
    #[serde(default)]
    pub(super) byte_stride: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Buffer {
    #[serde(default)]
    pub(super) uri: Option<String>,
    pub(super) byte_length: usize,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Image {
    pub(super) uri: Option<String>,
    pub(super) buffer_view: Option<Index>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Sampler {
    pub(super) mag_filter: Option<u32>,
    pub(super) min_filter: Option<u32>,
    pub(super) wrap_s: Option<u32>,
    pub(super) wrap_t: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Texture {
    pub(super) sampler: Option<Index>,
    pub(super) source: Option<Index>,
    pub(super) extensions: TextureExtensions,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct TextureExtensions {
    #[serde(rename = "EXT_texture_webp")]
    pub(super) webp: Option<Source>,
    #[serde(rename = "KHR_texture_basisu")]
    pub(super) ktx2: Option<Source>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Source {
    pub(super) source: Option<Index>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Material {
    pub(super) pbr_metallic_roughness: Metallic,
    pub(super) normal_texture: Option<TextureInfo>,
    pub(super) occlusion_texture: Option<TextureInfo>,
    pub(super) emissive_texture: Option<TextureInfo>,
    pub(super) emissive_factor: [f32; 3],
    pub(super) alpha_mode: Option<String>,
    pub(super) alpha_cutoff: Option<f32>,
    pub(super) double_sided: bool,
    pub(super) extensions: MaterialExtensions,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metallic {
    pub(super) base_color_factor: [f32; 4],
    pub(super) base_color_texture: Option<TextureInfo>,
    pub(super) metallic_factor: f32,
    pub(super) roughness_factor: f32,
    pub(super) metallic_roughness_texture: Option<TextureInfo>,
}

impl Default for Metallic {
    fn default() -> Metallic {
        Metallic {
            base_color_factor: [1.0; 4],
            base_color_texture: None,
            metallic_factor: 1.0,
            roughness_factor: 1.0,
            metallic_roughness_texture: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TextureInfo {
    pub(super) index: Index,
    #[serde(default)]
    pub(super) tex_coord: usize,
    /// Of normals.
    #[serde(default = "one")]
    pub(super) scale: f32,
    /// Of occlusion.
    #[serde(default = "one")]
    pub(super) strength: f32,
    #[serde(default)]
    pub(super) extensions: TextureInfoExtensions,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct TextureInfoExtensions {
    #[serde(rename = "KHR_texture_transform")]
    pub(super) transform: Option<TextureTransform>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct TextureTransform {
    pub(super) offset: [f32; 2],
    pub(super) rotation: f32,
    pub(super) scale: [f32; 2],
    pub(super) tex_coord: Option<usize>,
}

impl Default for TextureTransform {
    fn default() -> TextureTransform {
        TextureTransform { offset: [0.0; 2], rotation: 0.0, scale: [1.0; 2], tex_coord: None }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct MaterialExtensions {
    #[serde(rename = "KHR_materials_unlit")]
    pub(super) unlit: Option<Empty>,
    #[serde(rename = "KHR_materials_emissive_strength")]
    pub(super) emissive_strength: Option<EmissiveStrength>,
    #[serde(rename = "KHR_materials_ior")]
    pub(super) ior: Option<Ior>,
    #[serde(rename = "KHR_materials_clearcoat")]
    pub(super) clearcoat: Option<Clearcoat>,
    #[serde(rename = "KHR_materials_transmission")]
    pub(super) transmission: Option<Transmission>,
    #[serde(rename = "KHR_materials_volume")]
    pub(super) volume: Option<Volume>,
    #[serde(rename = "KHR_materials_specular")]
    pub(super) specular: Option<Specular>,
    #[serde(rename = "KHR_materials_anisotropy")]
    pub(super) anisotropy: Option<Anisotropy>,
}

#[derive(Deserialize)]
pub(super) struct Empty {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EmissiveStrength {
    #[serde(default = "one")]
    pub(super) emissive_strength: f32,
}

#[derive(Deserialize)]
pub(super) struct Ior {
    #[serde(default = "glass")]
    pub(super) ior: f32,
}

fn glass() -> f32 {
    1.5
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Clearcoat {
    pub(super) clearcoat_factor: f32,
    pub(super) clearcoat_texture: Option<TextureInfo>,
    pub(super) clearcoat_roughness_factor: f32,
    pub(super) clearcoat_roughness_texture: Option<TextureInfo>,
    pub(super) clearcoat_normal_texture: Option<TextureInfo>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Transmission {
    pub(super) transmission_factor: f32,
    pub(super) transmission_texture: Option<TextureInfo>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Volume {
    pub(super) thickness_factor: f32,
    pub(super) thickness_texture: Option<TextureInfo>,
    pub(super) attenuation_distance: Option<f32>,
    pub(super) attenuation_color: [f32; 3],
}

impl Default for Volume {
    fn default() -> Volume {
        Volume {
            thickness_factor: 0.0,
            thickness_texture: None,
            attenuation_distance: None,
            attenuation_color: [1.0; 3],
        }
    }
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Specular {
    pub(super) specular_factor: f32,
    pub(super) specular_texture: Option<TextureInfo>,
    pub(super) specular_color_factor: [f32; 3],
    pub(super) specular_color_texture: Option<TextureInfo>,
}

impl Default for Specular {
    fn default() -> Specular {
        Specular {
            specular_factor: 1.0,
            specular_texture: None,
            specular_color_factor: [1.0; 3],
            specular_color_texture: None,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Anisotropy {
    pub(super) anisotropy_strength: f32,
    pub(super) anisotropy_rotation: f32,
    pub(super) anisotropy_texture: Option<TextureInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Skin {
    #[serde(default)]
    pub(super) inverse_bind_matrices: Option<Index>,
    pub(super) joints: Vec<Index>,
}

#[derive(Deserialize)]
pub(super) struct Animation {
    #[serde(default)]
    pub(super) name: Option<String>,
    pub(super) channels: Vec<Channel>,
    pub(super) samplers: Vec<AnimationSampler>,
}

#[derive(Deserialize)]
pub(super) struct Channel {
    pub(super) sampler: Index,
    pub(super) target: Target,
}

#[derive(Deserialize)]
pub(super) struct Target {
    #[serde(default)]
    pub(super) node: Option<Index>,
    pub(super) path: String,
}

#[derive(Deserialize)]
pub(super) struct AnimationSampler {
    pub(super) input: Index,
    pub(super) output: Index,
    #[serde(default)]
    pub(super) interpolation: Option<String>,
}

fn one() -> f32 {
    1.0
}

fn white() -> [f32; 3] {
    [1.0; 3]
}
