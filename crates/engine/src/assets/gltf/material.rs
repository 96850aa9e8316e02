// SPDX-License-Identifier: AGPL-3.0-or-later
//! Materials of glTF (section 3.9 of the specification, and extensions of Khronos) as those of the renderer.

use super::json;
use crate::{
    assets::texture::Use,
    look::{EMISSIVE_MOST, OPAQUE_ENOUGH, SPECULAR_TEXTURE, reflectance},
};
use bevy::{mesh::UvChannel, prelude::*, render::render_resource::Face};

/// A material without its textures, and which they are.
pub(super) struct Surface {
    pub(super) material: StandardMaterial,
    pub(super) textures: Vec<Slot>,
    /// Ways in which its textures are placed, at most two: they become the first and second uvs of its meshes.
    pub(super) placements: Vec<Placement>,
    /// For a texture of normals, or highlights with a direction.
    pub(super) needs_tangents: bool,
    /// Whether it casts a shadow.
    pub(super) casts: bool,
}

/// A texture of a material.
pub(super) struct Slot {
    pub(super) part: Part,
    /// Which of the file's textures.
    pub(super) texture: usize,
    pub(super) usage: Use,
}

/// What a texture says of a material.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    BaseColor,
    MetallicRoughness,
    Normal,
    Occlusion,
    Emissive,
    Clearcoat,
    ClearcoatRoughness,
    ClearcoatNormal,
    Transmission,
    Thickness,
    Specular,
    SpecularColor,
    Anisotropy,
}

impl Part {
    pub(super) fn put(self, material: &mut StandardMaterial, image: Handle<Image>) {
        let place = match self {
            Part::BaseColor => &mut material.base_color_texture,
            Part::MetallicRoughness => &mut material.metallic_roughness_texture,
            Part::Normal => &mut material.normal_map_texture,
            Part::Occlusion => &mut material.occlusion_texture,
            Part::Emissive => &mut material.emissive_texture,
            Part::Clearcoat => &mut material.clearcoat_texture,
            Part::ClearcoatRoughness => &mut material.clearcoat_roughness_texture,
            Part::ClearcoatNormal => &mut material.clearcoat_normal_texture,
            Part::Transmission => &mut material.specular_transmission_texture,
            Part::Thickness => &mut material.thickness_texture,
            Part::Specular => &mut material.specular_texture,
            Part::SpecularColor => &mut material.specular_tint_texture,
            Part::Anisotropy => &mut material.anisotropy_texture,
        };
        *place = Some(image);
    }

    fn channel(self, material: &mut StandardMaterial) -> &mut UvChannel {
        match self {
            Part::BaseColor => &mut material.base_color_channel,
            Part::MetallicRoughness => &mut material.metallic_roughness_channel,
            Part::Normal => &mut material.normal_map_channel,
            Part::Occlusion => &mut material.occlusion_channel,
            Part::Emissive => &mut material.emissive_channel,
            Part::Clearcoat => &mut material.clearcoat_channel,
            Part::ClearcoatRoughness => &mut material.clearcoat_roughness_channel,
            Part::ClearcoatNormal => &mut material.clearcoat_normal_channel,
            Part::Transmission => &mut material.specular_transmission_channel,
            Part::Thickness => &mut material.thickness_channel,
            Part::Specular => &mut material.specular_channel,
            Part::SpecularColor => &mut material.specular_tint_channel,
            Part::Anisotropy => &mut material.anisotropy_channel,
        }
    }
}

/// Which uvs of a mesh a texture uses, and how they are changed (KHR_texture_transform): offset, rotation, scale, by
/// their bits, so that equal ones are found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Placement {
    pub(super) set: usize,
    bits: [u32; 5],
}

impl Placement {
    fn of(info: &json::TextureInfo) -> Result<Placement, String> {
        let plain = json::TextureTransform::default();
        let transform = info.extensions.transform.as_ref().unwrap_or(&plain);
        let [offset, scale] = [transform.offset, transform.scale];
        let values = [offset[0], offset[1], transform.rotation, scale[0], scale[1]];
        if values.iter().any(|value| !value.is_finite()) {
            return Err("the place of a texture is not finite".into());
        }
        let set = transform.tex_coord.unwrap_or(info.tex_coord);
        // Adding zero makes one of the two zeros.
        Ok(Placement { set, bits: values.map(|value| (value + 0.0).to_bits()) })
    }

    pub(super) fn offset(&self) -> [f32; 2] {
        [f32::from_bits(self.bits[0]), f32::from_bits(self.bits[1])]
    }

    pub(super) fn rotation(&self) -> f32 {
        f32::from_bits(self.bits[2])
    }

    pub(super) fn scale(&self) -> [f32; 2] {
        [f32::from_bits(self.bits[3]), f32::from_bits(self.bits[4])]
    }
}

/// The material of primitives that name none.
pub(super) fn unnamed() -> Surface {
    // The specification's defaults are finite and without textures, so that this cannot fail.
    surface(&json::Material::default()).unwrap_or_else(|_| Surface {
        material: StandardMaterial::default(),
        textures: Vec::new(),
        placements: Vec::new(),
        needs_tangents: false,
        casts: true,
    })
}

/// The surface of a material.
pub(super) fn surface(from: &json::Material) -> Result<Surface, String> {
    let pbr = &from.pbr_metallic_roughness;
    let extensions = &from.extensions;
    let [red, green, blue, opacity] = pbr.base_color_factor.map(|v| v.clamp(0.0, 1.0));
    let strength = extensions.emissive_strength.as_ref().map_or(1.0, |e| e.emissive_strength.max(0.0));
    let glow = from.emissive_factor.map(|v| (v.clamp(0.0, 1.0) * strength).clamp(0.0, EMISSIVE_MOST));
    let alpha_mode = match from.alpha_mode.as_deref() {
        None | Some("OPAQUE") => AlphaMode::Opaque,
        Some("MASK") => AlphaMode::Mask(from.alpha_cutoff.unwrap_or(0.5)),
        Some("BLEND") => AlphaMode::Blend,
        Some(other) => return Err(format!("it has the unknown alpha mode `{other}`")),
    };
    let mut material = StandardMaterial {
        base_color: Color::linear_rgba(red, green, blue, opacity),
        metallic: pbr.metallic_factor.clamp(0.0, 1.0),
        perceptual_roughness: pbr.roughness_factor.clamp(0.0, 1.0),
        emissive: LinearRgba::rgb(glow[0], glow[1], glow[2]),
        double_sided: from.double_sided,
        cull_mode: if from.double_sided { None } else { Some(Face::Back) },
        alpha_mode,
        unlit: extensions.unlit.is_some(),
        ..default()
    };
    let unlit = material.unlit;
    if let Some(ior) = &extensions.ior {
        if ior.ior < 1.0 {
            return Err("it has an index of refraction below 1".into());
        }
        material.ior = ior.ior.min(100.0);
        material.reflectance = reflectance(ior.ior);
    }
    extend(&mut material, extensions)?;
    let mut casts = opacity >= OPAQUE_ENOUGH || !matches!(alpha_mode, AlphaMode::Blend);
    casts &= material.specular_transmission < 1.0 - OPAQUE_ENOUGH;

    let mut surface = Surface {
        needs_tangents: !unlit
            && (from.normal_texture.is_some()
                || material.anisotropy_strength > 0.0
                || extensions.clearcoat.as_ref().is_some_and(|e| e.clearcoat_normal_texture.is_some())),
        material,
        textures: Vec::new(),
        placements: Vec::new(),
        casts,
    };
    // Normals first: their uvs must be the first ones, from which tangents are computed.
    if let Some(info) = from.normal_texture.as_ref().filter(|_| !unlit) {
        surface.add(Part::Normal, info, Use::normal(info.scale))?;
    }
    if let Some(info) = &pbr.base_color_texture {
        surface.add(Part::BaseColor, info, Use::Color)?;
    }
    if let Some(info) = pbr.metallic_roughness_texture.as_ref().filter(|_| !unlit) {
        surface.add(Part::MetallicRoughness, info, Use::Data)?;
    }
    if let Some(info) = from.occlusion_texture.as_ref().filter(|_| !unlit) {
        surface.add(Part::Occlusion, info, Use::occlusion(info.strength.clamp(0.0, 1.0)))?;
    }
    if let Some(info) = from.emissive_texture.as_ref().filter(|_| !unlit) {
        surface.add(Part::Emissive, info, Use::Color)?;
    }
    if !unlit {
        surface.add_extended(extensions)?;
    }
    Ok(surface)
}

/// Clear coat, transmission, volume, specular and anisotropy, without their textures.
fn extend(material: &mut StandardMaterial, extensions: &json::MaterialExtensions) -> Result<(), String> {
    if let Some(e) = &extensions.clearcoat {
        material.clearcoat = e.clearcoat_factor.clamp(0.0, 1.0);
        material.clearcoat_perceptual_roughness = e.clearcoat_roughness_factor.clamp(0.0, 1.0);
    }
    if let Some(e) = &extensions.transmission {
        material.specular_transmission = e.transmission_factor.clamp(0.0, 1.0);
    }
    if let Some(e) = &extensions.volume {
        material.thickness = e.thickness_factor.clamp(0.0, 1e6);
        material.attenuation_distance = e.attenuation_distance.unwrap_or(f32::INFINITY);
        if material.attenuation_distance <= 0.0 {
            return Err("it has an attenuation distance of 0".into());
        }
        let [red, green, blue] = e.attenuation_color.map(|v| v.clamp(0.0, 1.0));
        material.attenuation_color = Color::linear_rgb(red, green, blue);
    }
    if let Some(e) = &extensions.specular {
        // The renderer squares both.
        material.reflectance *= e.specular_factor.clamp(0.0, 1.0).sqrt();
        let [red, green, blue] = e.specular_color_factor.map(|v| v.clamp(0.0, 100.0).sqrt());
        material.specular_tint = Color::linear_rgb(red, green, blue);
        if e.specular_texture.is_some() {
            material.reflectance *= SPECULAR_TEXTURE;
        }
    }
    if let Some(e) = &extensions.anisotropy {
        material.anisotropy_strength = e.anisotropy_strength.clamp(0.0, 1.0);
        material.anisotropy_rotation = e.anisotropy_rotation.clamp(-1e3, 1e3);
    }
    Ok(())
}

impl Surface {
    /// The textures of what [`extend`] has read.
    fn add_extended(&mut self, extensions: &json::MaterialExtensions) -> Result<(), String> {
        let mut add = |part, info: &Option<json::TextureInfo>, usage| match info {
            Some(info) => self.add(part, info, usage),
            None => Ok(()),
        };
        if let Some(e) = &extensions.clearcoat {
            let normals = e.clearcoat_normal_texture.as_ref();
            let usage = Use::normal(normals.map_or(1.0, |info| info.scale));
            add(Part::ClearcoatNormal, &e.clearcoat_normal_texture, usage)?;
            add(Part::Clearcoat, &e.clearcoat_texture, Use::Data)?;
            add(Part::ClearcoatRoughness, &e.clearcoat_roughness_texture, Use::Data)?;
        }
        if let Some(e) = &extensions.anisotropy {
            add(Part::Anisotropy, &e.anisotropy_texture, Use::Data)?;
        }
        if let Some(e) = &extensions.transmission {
            add(Part::Transmission, &e.transmission_texture, Use::Data)?;
        }
        if let Some(e) = &extensions.volume {
            add(Part::Thickness, &e.thickness_texture, Use::Data)?;
        }
        if let Some(e) = &extensions.specular {
            add(Part::Specular, &e.specular_texture, Use::Specular)?;
            add(Part::SpecularColor, &e.specular_color_texture, Use::SpecularColor)?;
        }
        Ok(())
    }

    fn add(&mut self, part: Part, info: &json::TextureInfo, usage: Use) -> Result<(), String> {
        let placement = Placement::of(info)?;
        let slot =
            self.placements.iter().position(|known| *known == placement).unwrap_or(self.placements.len());
        if slot == self.placements.len() {
            self.placements.push(placement);
        }
        *part.channel(&mut self.material) = match slot {
            0 => UvChannel::Uv0,
            1 => UvChannel::Uv1,
            _ => return Err("it places its textures in more than two ways".into()),
        };
        self.textures.push(Slot { part, texture: info.index, usage });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn read(json: &str) -> Result<Surface, String> {
        surface(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn the_default_is_that_of_the_specification() {
        let material = unnamed().material;
        assert_eq!(material.base_color, Color::linear_rgba(1.0, 1.0, 1.0, 1.0));
        assert_eq!((material.metallic, material.perceptual_roughness), (1.0, 1.0));
        assert_eq!((material.alpha_mode, material.cull_mode), (AlphaMode::Opaque, Some(Face::Back)));
    }

    #[test]
    fn factors_and_extensions_are_read() {
        let surface = read(
            r#"{"pbrMetallicRoughness":{"baseColorFactor":[0.5,0.25,1,0.75],"metallicFactor":0,"roughnessFactor":0.3},
                "emissiveFactor":[1,0.5,0],"alphaMode":"MASK","alphaCutoff":0.25,"doubleSided":true,
                "extensions":{"KHR_materials_emissive_strength":{"emissiveStrength":8},
                    "KHR_materials_ior":{"ior":2.0},"KHR_materials_clearcoat":{"clearcoatFactor":0.5},
                    "KHR_materials_transmission":{"transmissionFactor":0.75},
                    "KHR_materials_volume":{"thicknessFactor":0.1,"attenuationDistance":2},
                    "KHR_materials_specular":{"specularFactor":0.5},"VENDOR_unknown":{"x":1}}}"#,
        )
        .unwrap();
        let m = &surface.material;
        assert_eq!(m.base_color, Color::linear_rgba(0.5, 0.25, 1.0, 0.75));
        assert_eq!(m.emissive, LinearRgba::rgb(8.0, 4.0, 0.0));
        assert_eq!((m.alpha_mode, m.double_sided, m.cull_mode), (AlphaMode::Mask(0.25), true, None));
        assert_eq!((m.ior, m.clearcoat, m.specular_transmission), (2.0, 0.5, 0.75));
        assert_eq!((m.thickness, m.attenuation_distance), (0.1, 2.0));
        // Of an index of 2 a ninth is reflected, whose half is asked for.
        assert!((0.16 * m.reflectance * m.reflectance - 0.5 / 9.0).abs() < 1e-5, "{}", m.reflectance);
        assert!(!surface.casts && !surface.needs_tangents);
    }

    #[test]
    fn textures_in_two_ways_are_uvs_and_in_three_are_refused() {
        let json = |third: &str| {
            format!(
                r#"{{"pbrMetallicRoughness":{{"baseColorTexture":{{"index":0}}}},
                    "normalTexture":{{"index":1,"scale":0.5,"texCoord":1}},
                    "occlusionTexture":{{"index":2,"strength":0.5,
                        "extensions":{{"KHR_texture_transform":{{"offset":[0,0],"texCoord":1}}}}}},
                    "emissiveTexture":{{"index":3{third}}}}}"#
            )
        };
        let surface = read(&json("")).unwrap();
        assert_eq!(surface.placements.iter().map(|p| p.set).collect::<Vec<_>>(), [1, 0]);
        let m = &surface.material;
        assert_eq!((&m.normal_map_channel, &m.occlusion_channel), (&UvChannel::Uv0, &UvChannel::Uv0));
        assert_eq!((&m.base_color_channel, &m.emissive_channel), (&UvChannel::Uv1, &UvChannel::Uv1));
        assert!(surface.needs_tangents);
        let usages: Vec<_> = surface.textures.iter().map(|slot| (slot.texture, slot.usage)).collect();
        let expect = [(1, Use::normal(0.5)), (0, Use::Color), (2, Use::occlusion(0.5)), (3, Use::Color)];
        assert_eq!(usages, expect);
        let third = r#","extensions":{"KHR_texture_transform":{"scale":[2,2]}}"#;
        assert_eq!(read(&json(third)).err().unwrap(), "it places its textures in more than two ways");
    }

    #[test]
    fn extensions_have_textures_of_their_own() {
        let surface = read(
            r#"{"extensions":{
                "KHR_materials_clearcoat":{"clearcoatFactor":1,"clearcoatTexture":{"index":0},
                    "clearcoatRoughnessTexture":{"index":1},"clearcoatNormalTexture":{"index":2,"scale":0.5}},
                "KHR_materials_transmission":{"transmissionFactor":1,"transmissionTexture":{"index":3,"texCoord":1}},
                "KHR_materials_volume":{"thicknessFactor":1,"thicknessTexture":{"index":4}},
                "KHR_materials_specular":{"specularTexture":{"index":5},"specularColorTexture":{"index":6}},
                "KHR_materials_anisotropy":{"anisotropyStrength":1,"anisotropyTexture":{"index":7}}}}"#,
        )
        .unwrap();
        let slots: Vec<_> = surface.textures.iter().map(|s| (s.part, s.texture, s.usage)).collect();
        let expect = [
            (Part::ClearcoatNormal, 2, Use::normal(0.5)),
            (Part::Clearcoat, 0, Use::Data),
            (Part::ClearcoatRoughness, 1, Use::Data),
            (Part::Anisotropy, 7, Use::Data),
            (Part::Transmission, 3, Use::Data),
            (Part::Thickness, 4, Use::Data),
            (Part::Specular, 5, Use::Specular),
            (Part::SpecularColor, 6, Use::SpecularColor),
        ];
        assert_eq!(slots, expect);
        let m = &surface.material;
        assert_eq!(
            (&m.specular_transmission_channel, &m.thickness_channel),
            (&UvChannel::Uv1, &UvChannel::Uv0)
        );
        assert!(surface.needs_tangents);
        let unlit = read(
            r#"{"extensions":{"KHR_materials_unlit":{},"KHR_materials_clearcoat":{"clearcoatTexture":{"index":0}}}}"#,
        );
        assert!(unlit.unwrap().textures.is_empty());
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        assert!(read(r#"{"alphaMode":"FOG"}"#).err().unwrap().contains("`FOG`"));
        assert!(read(r#"{"extensions":{"KHR_materials_ior":{"ior":0.5}}}"#).is_err());
    }
}
