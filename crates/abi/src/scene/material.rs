// SPDX-License-Identifier: AGPL-3.0-or-later
//! The material: how a shape answers to light.

use crate::{
    DecodeError, LumpId,
    codec::{Reader, put_floats},
};
use alloc::vec::Vec;

/// A metallic-roughness material (glTF 2.0, section 3.9, and the extensions of Khronos that are named with the
/// fields). As bytes: the factors in the order of the first fields as `f32`, `u32` flags, for each of four textures a
/// `u8` that is 1 if it is there and its 32 bytes, and then the options, which are the fields that are not at their
/// default: `u8` number of the option, ascending, and its fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Material {
    /// Linear red, green, blue, and opacity. Four `f32`.
    pub base_color: [f32; 4],
    /// 0 dielectric to 1 metal.
    pub metallic: f32,
    /// 0 smooth to 1 rough.
    pub roughness: f32,
    /// Linear light given off, three `f32`; 1.0 is as bright as white paper, more glows.
    pub emissive: [f32; 3],
    /// Bit 0 of the flags: shown in its base colour whatever the light.
    pub unlit: bool,
    /// Bit 1: seen from both sides.
    pub double_sided: bool,
    /// Bit 2: opacity below 1 lets what is behind shine through.
    pub blend: bool,
    /// Lump of class `Texture` (sRGB) that multiplies the base colour.
    pub base_color_texture: Option<LumpId>,
    /// Lump of class `Texture` (linear): tangent-space normals.
    pub normal_texture: Option<LumpId>,
    /// Lump of class `Texture` (linear): roughness in green, metallic in blue.
    pub metallic_roughness_texture: Option<LumpId>,
    /// Lump of class `Texture` (sRGB) that multiplies the emissive colour.
    pub emissive_texture: Option<LumpId>,
    /// Option 1, 0 to 1: where the opacity is below it nothing is seen, elsewhere all; not together with `blend`.
    pub alpha_cutoff: Option<f32>,
    /// Option 2, 0 or more: multiplies `emissive`.
    pub emissive_strength: f32,
    /// Option 3: multiplies x and y of the normals of the texture.
    pub normal_scale: f32,
    /// Option 4, `u8` 0 or 1 and 32 bytes, `f32` strength: lump of class `Texture` (linear) with the part of the light
    /// from around that arrives, in red.
    pub occlusion_texture: Option<LumpId>,
    /// 0 to 1: how much of the occlusion is applied.
    pub occlusion_strength: f32,
    /// Option 5, two `f32`: how much there is of a clear coat, 0 to 1.
    pub clearcoat: f32,
    /// Roughness of the clear coat, 0 to 1.
    pub clearcoat_roughness: f32,
    /// Option 6: part of the light that goes through, as through glass, 0 to 1.
    pub transmission: f32,
    /// Option 7: index of refraction, 1 or more.
    pub ior: f32,
    /// Option 8, `f32` thickness, `f32` distance (0 for infinite), three `f32` colour. Metres of it that light goes
    /// through; 0 for a thin wall.
    pub thickness: f32,
    /// Metres after which light has the attenuation colour, 0 for never.
    pub attenuation_distance: f32,
    /// Linear colour that light takes on inside, 0 to 1.
    pub attenuation_color: [f32; 3],
    /// Option 9, five `f32`: how all textures are placed.
    pub texture_transform: TextureTransform,
    /// Option 10, four `f32`: how much of what is no metal reflects, 0 to 1.
    pub specular: f32,
    /// Linear colour of that reflection.
    pub specular_color: [f32; 3],
    /// Option 11, two `f32`: how much highlights are drawn out, 0 to 1.
    pub anisotropy: f32,
    /// Radians from the tangent to the direction in which they are.
    pub anisotropy_rotation: f32,
    /// Option 12, `u8`: which textures use the second uvs of the mesh; a sum of the numbers of [`second_uvs`].
    pub second_uvs: u8,
    /// Option 13, `u8` number of them, 1 to 8, and for each a `u8`, its number in [`Extra`], ascending, and 32 bytes:
    /// textures of what the other options say, by that number.
    pub extra_textures: [Option<LumpId>; Extra::COUNT],
}

/// A texture of what an option of a [`Material`] says: a lump of class `Texture` that is multiplied with its factor.
/// The number is its place in [`Material::extra_textures`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Extra {
    /// The clear coat, in red (linear).
    Clearcoat = 0,
    /// Its roughness, in green (linear).
    ClearcoatRoughness = 1,
    /// Its tangent-space normals (linear). Without them it is as smooth as the mesh, whatever its texture of normals.
    ClearcoatNormal = 2,
    /// Transmission, in red (linear).
    Transmission = 3,
    /// Thickness, in green (linear).
    Thickness = 4,
    /// Specular, in the opacity (linear).
    Specular = 5,
    /// The colour of specular (sRGB).
    SpecularColor = 6,
    /// The direction of anisotropy in red and green, −1 as 0 to 1 as 255, and its strength in blue (linear).
    Anisotropy = 7,
}

impl Extra {
    /// How many there are.
    pub const COUNT: usize = 8;
}

/// Textures that may use the second uvs of a mesh, as bits of [`Material::second_uvs`].
pub mod second_uvs {
    /// The texture of the base colour.
    pub const BASE_COLOR: u8 = 1;
    /// The texture of normals.
    pub const NORMAL: u8 = 2;
    /// The texture of roughness and metallic.
    pub const METALLIC_ROUGHNESS: u8 = 4;
    /// The texture of the emissive colour.
    pub const EMISSIVE: u8 = 8;
    /// The texture of occlusion.
    pub const OCCLUSION: u8 = 16;
}

/// How textures are placed (KHR_texture_transform): a uv is scaled, then turned, then moved. As bytes: two `f32`
/// offset, `f32` rotation, two `f32` scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextureTransform {
    /// Added to the uv, in widths and heights of the texture.
    pub offset: [f32; 2],
    /// Radians, counter-clockwise about the origin, which is the left upper corner.
    pub rotation: f32,
    /// Multiplies the uv: 2 shows the texture twice along a unit.
    pub scale: [f32; 2],
}

impl TextureTransform {
    /// Placed as the mesh says.
    pub const IDENTITY: TextureTransform =
        TextureTransform { offset: [0.0; 2], rotation: 0.0, scale: [1.0; 2] };
}

impl Default for TextureTransform {
    fn default() -> TextureTransform {
        TextureTransform::IDENTITY
    }
}

impl Material {
    /// All fields at their default.
    const DEFAULT: Material = Material {
        base_color: [0.8, 0.8, 0.8, 1.0],
        metallic: 0.0,
        roughness: 0.6,
        emissive: [0.0; 3],
        unlit: false,
        double_sided: false,
        blend: false,
        base_color_texture: None,
        normal_texture: None,
        metallic_roughness_texture: None,
        emissive_texture: None,
        alpha_cutoff: None,
        emissive_strength: 1.0,
        normal_scale: 1.0,
        occlusion_texture: None,
        occlusion_strength: 1.0,
        clearcoat: 0.0,
        clearcoat_roughness: 0.0,
        transmission: 0.0,
        ior: 1.5,
        thickness: 0.0,
        attenuation_distance: 0.0,
        attenuation_color: [1.0; 3],
        texture_transform: TextureTransform::IDENTITY,
        specular: 1.0,
        specular_color: [1.0; 3],
        anisotropy: 0.0,
        anisotropy_rotation: 0.0,
        second_uvs: 0,
        extra_textures: [None; Extra::COUNT],
    };

    /// With a texture of what an option says.
    #[must_use]
    pub fn textured(mut self, extra: Extra, texture: LumpId) -> Material {
        self.extra_textures[extra as usize] = Some(texture);
        self
    }

    /// The lumps of its textures: base colour, normals, roughness and metallic, emissive, occlusion, and then those
    /// of [`Material::extra_textures`].
    pub fn textures(&self) -> [Option<LumpId>; 5 + Extra::COUNT] {
        let mut all = [None; 5 + Extra::COUNT];
        all[..5].copy_from_slice(&[
            self.base_color_texture,
            self.normal_texture,
            self.metallic_roughness_texture,
            self.emissive_texture,
            self.occlusion_texture,
        ]);
        all[5..].copy_from_slice(&self.extra_textures);
        all
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_floats(out, &self.base_color);
        put_floats(out, &[self.metallic, self.roughness]);
        put_floats(out, &self.emissive);
        let flags = u32::from(self.unlit) | u32::from(self.double_sided) << 1 | u32::from(self.blend) << 2;
        out.extend_from_slice(&flags.to_le_bytes());
        for texture in &self.textures()[..4] {
            put_texture(out, *texture);
        }
        for option in 1..=OPTIONS {
            if !self.has_default(option) {
                out.push(option);
                self.encode_option(option, out);
            }
        }
    }

    fn has_default(&self, option: u8) -> bool {
        let (a, b) = (self, &Material::DEFAULT);
        match option {
            1 => a.alpha_cutoff == b.alpha_cutoff,
            2 => a.emissive_strength == b.emissive_strength,
            3 => a.normal_scale == b.normal_scale,
            4 => a.occlusion_texture == b.occlusion_texture && a.occlusion_strength == b.occlusion_strength,
            5 => a.clearcoat == b.clearcoat && a.clearcoat_roughness == b.clearcoat_roughness,
            6 => a.transmission == b.transmission,
            7 => a.ior == b.ior,
            8 => {
                a.thickness == b.thickness
                    && a.attenuation_distance == b.attenuation_distance
                    && a.attenuation_color == b.attenuation_color
            }
            9 => a.texture_transform == b.texture_transform,
            10 => a.specular == b.specular && a.specular_color == b.specular_color,
            11 => a.anisotropy == b.anisotropy && a.anisotropy_rotation == b.anisotropy_rotation,
            12 => a.second_uvs == b.second_uvs,
            _ => a.extra_textures == b.extra_textures,
        }
    }

    fn encode_option(&self, option: u8, out: &mut Vec<u8>) {
        match option {
            1 => put_floats(out, &[self.alpha_cutoff.unwrap_or_default()]),
            2 => put_floats(out, &[self.emissive_strength]),
            3 => put_floats(out, &[self.normal_scale]),
            4 => {
                put_texture(out, self.occlusion_texture);
                put_floats(out, &[self.occlusion_strength]);
            }
            5 => put_floats(out, &[self.clearcoat, self.clearcoat_roughness]),
            6 => put_floats(out, &[self.transmission]),
            7 => put_floats(out, &[self.ior]),
            8 => {
                put_floats(out, &[self.thickness, self.attenuation_distance]);
                put_floats(out, &self.attenuation_color);
            }
            9 => {
                let TextureTransform { offset, rotation, scale } = self.texture_transform;
                put_floats(out, &[offset[0], offset[1], rotation, scale[0], scale[1]]);
            }
            10 => {
                put_floats(out, &[self.specular]);
                put_floats(out, &self.specular_color);
            }
            11 => put_floats(out, &[self.anisotropy, self.anisotropy_rotation]),
            12 => out.push(self.second_uvs),
            _ => {
                let here = || (0u8..).zip(&self.extra_textures).filter_map(|(i, id)| Some((i, (*id)?)));
                out.push(here().count() as u8);
                for (number, id) in here() {
                    out.push(number);
                    out.extend_from_slice(&id.0);
                }
            }
        }
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Material, DecodeError> {
        let base_color = r.finites()?;
        let (metallic, roughness) = (r.finite()?, r.finite()?);
        let emissive = r.finites()?;
        let unknown = r.error("unknown material flag");
        let flags = r.u32()?;
        if flags > 7 {
            return Err(unknown);
        }
        let mut material = Material {
            base_color,
            metallic,
            roughness,
            emissive,
            unlit: flags & 1 != 0,
            double_sided: flags & 2 != 0,
            blend: flags & 4 != 0,
            base_color_texture: texture(r)?,
            normal_texture: texture(r)?,
            metallic_roughness_texture: texture(r)?,
            emissive_texture: texture(r)?,
            ..Material::DEFAULT
        };
        let mut last = 0;
        while !r.is_empty() {
            let unknown = r.error("unknown option of a material, or one out of order");
            let default = r.error("option of a material that says nothing");
            let option = r.u8()?;
            if option <= last || option > OPTIONS {
                return Err(unknown);
            }
            last = option;
            material.decode_option(option, r)?;
            if material.has_default(option) {
                return Err(default);
            }
        }
        if material.blend && material.alpha_cutoff.is_some() {
            return Err(r.error("material has both blend and an alpha cutoff"));
        }
        Ok(material)
    }

    fn decode_option(&mut self, option: u8, r: &mut Reader<'_>) -> Result<(), DecodeError> {
        match option {
            1 => self.alpha_cutoff = Some(part(r)?),
            2 => self.emissive_strength = super::at_least(r, 0.0)?,
            3 => self.normal_scale = r.finite()?,
            4 => {
                self.occlusion_texture = texture(r)?;
                self.occlusion_strength = part(r)?;
            }
            5 => {
                self.clearcoat = part(r)?;
                self.clearcoat_roughness = part(r)?;
            }
            6 => self.transmission = part(r)?,
            7 => self.ior = super::at_least(r, 1.0)?,
            8 => {
                self.thickness = super::at_least(r, 0.0)?;
                self.attenuation_distance = super::at_least(r, 0.0)?;
                self.attenuation_color = [part(r)?, part(r)?, part(r)?];
            }
            9 => {
                self.texture_transform =
                    TextureTransform { offset: r.finites()?, rotation: r.finite()?, scale: r.finites()? };
            }
            10 => {
                self.specular = part(r)?;
                self.specular_color =
                    [super::at_least(r, 0.0)?, super::at_least(r, 0.0)?, super::at_least(r, 0.0)?];
            }
            11 => {
                self.anisotropy = part(r)?;
                self.anisotropy_rotation = r.finite()?;
            }
            12 => {
                let unknown = r.error("unknown texture with second uvs");
                self.second_uvs = r.u8()?;
                if self.second_uvs > 31 {
                    return Err(unknown);
                }
            }
            _ => {
                let mut least = 0;
                for _ in 0..r.u8()? {
                    let unknown = r.error("unknown texture of an option, or one out of order");
                    let number = usize::from(r.u8()?);
                    if number < least || number >= Extra::COUNT {
                        return Err(unknown);
                    }
                    self.extra_textures[number] = Some(LumpId(r.array()?));
                    least = number + 1;
                }
            }
        }
        Ok(())
    }
}

impl Default for Material {
    fn default() -> Material {
        Material::DEFAULT
    }
}

/// Options are numbered from 1 to this.
const OPTIONS: u8 = 13;

fn put_texture(out: &mut Vec<u8>, texture: Option<LumpId>) {
    out.push(u8::from(texture.is_some()));
    out.extend_from_slice(texture.as_ref().map_or(&[][..], |id| &id.0));
}

fn texture(r: &mut Reader<'_>) -> Result<Option<LumpId>, DecodeError> {
    Ok(if r.bool()? { Some(LumpId(r.array()?)) } else { None })
}

/// A number from 0 to 1.
fn part(r: &mut Reader<'_>) -> Result<f32, DecodeError> {
    let out_of_range = r.error("number is not between 0 and 1");
    let value = r.finite()?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(out_of_range) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::scene::{Component, ComponentKind};
    use alloc::boxed::Box;

    fn encoded(material: &Material) -> Vec<u8> {
        let mut bytes = Vec::new();
        material.encode(&mut bytes);
        bytes
    }

    fn decoded(bytes: &[u8]) -> Result<Material, &'static str> {
        match Component::decode(ComponentKind::Material, bytes) {
            Ok(Component::Material(material)) => Ok(*material),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.problem),
        }
    }

    #[test]
    fn a_plain_material_is_as_it_always_was() {
        let plain = encoded(&Material::default());
        assert_eq!(plain.len(), 9 * 4 + 4 + 4);
        assert_eq!(decoded(&plain).unwrap(), Material::default());
    }

    #[test]
    fn options_have_this_layout() {
        let material =
            Material { emissive_strength: 2.0, second_uvs: second_uvs::OCCLUSION, ..Material::default() };
        let bytes = encoded(&material);
        assert_eq!(bytes[44..], [2, 0, 0, 0, 0x40, 12, 16]);
        assert_eq!(decoded(&bytes).unwrap(), material);
    }

    #[test]
    fn each_option_reads_back_alone_and_with_all() {
        let lump = LumpId([3; 32]);
        let plain = Material::default;
        let each = [
            Material { alpha_cutoff: Some(0.5), ..plain() },
            Material { emissive_strength: 4.0, ..plain() },
            Material { normal_scale: -0.5, ..plain() },
            Material { occlusion_texture: Some(lump), occlusion_strength: 0.25, ..plain() },
            Material { clearcoat: 1.0, clearcoat_roughness: 0.1, ..plain() },
            Material { transmission: 0.9, ..plain() },
            Material { ior: 1.33, ..plain() },
            Material {
                thickness: 0.1,
                attenuation_distance: 2.0,
                attenuation_color: [0.5, 1.0, 0.0],
                ..plain()
            },
            Material {
                texture_transform: TextureTransform { offset: [0.5, 0.0], rotation: 1.0, scale: [2.0, -3.0] },
                ..plain()
            },
            Material { specular: 0.2, specular_color: [2.0, 0.0, 1.0], ..plain() },
            Material { anisotropy: 0.7, anisotropy_rotation: 0.4, ..plain() },
            Material { second_uvs: 31, ..plain() },
            plain().textured(Extra::Clearcoat, lump).textured(Extra::Anisotropy, lump),
        ];
        assert_eq!(each.len(), usize::from(OPTIONS));
        let mut all = encoded(&plain());
        for (i, material) in each.iter().enumerate() {
            let bytes = encoded(material);
            assert_eq!(usize::from(bytes[44]), i + 1);
            assert_eq!(decoded(&bytes).as_ref(), Ok(material));
            for cut in 45..bytes.len() {
                assert!(decoded(&bytes[..cut]).is_err(), "option {} cut at {cut}", i + 1);
            }
            all.extend_from_slice(&bytes[44..]);
        }
        let all = decoded(&all).unwrap();
        assert_eq!(all.ior, 1.33);
        assert_eq!(Component::Material(Box::new(all)).lumps().collect::<Vec<_>>(), [lump; 3]);
    }

    #[test]
    fn options_out_of_range_or_order_are_refused() {
        let check = |material: Material, problem| {
            assert_eq!(decoded(&encoded(&material)), Err(problem), "{material:?}");
        };
        let plain = Material::default;
        check(Material { alpha_cutoff: Some(1.5), ..plain() }, "number is not between 0 and 1");
        check(Material { ior: 0.5, ..plain() }, "number is too small");
        check(Material { normal_scale: f32::NAN, ..plain() }, "number is not finite");
        check(Material { second_uvs: 32, ..plain() }, "unknown texture with second uvs");
        let both = Material { alpha_cutoff: Some(0.5), blend: true, ..plain() };
        check(both, "material has both blend and an alpha cutoff");
        let tail = |tail: &[u8]| decoded(&[&encoded(&plain()), tail].concat());
        let out_of_order = "unknown option of a material, or one out of order";
        assert_eq!(tail(&[14]), Err(out_of_order));
        assert_eq!(tail(&[0]), Err(out_of_order));
        assert_eq!(tail(&[12, 1, 12, 1]), Err(out_of_order));
        assert_eq!(tail(&[12, 0]), Err("option of a material that says nothing"));
        assert_eq!(tail(&[13, 0]), Err("option of a material that says nothing"));
        let one = |number: u8| [&[number][..], &[7; 32]].concat();
        let out_of_order = "unknown texture of an option, or one out of order";
        assert_eq!(tail(&[&[13, 1][..], &one(8)].concat()), Err(out_of_order));
        assert_eq!(tail(&[&[13, 2][..], &one(5), &one(5)].concat()), Err(out_of_order));
        let read = tail(&[&[13, 2][..], &one(0), &one(5)].concat()).unwrap();
        assert_eq!(
            read,
            plain().textured(Extra::Clearcoat, LumpId([7; 32])).textured(Extra::Specular, LumpId([7; 32]))
        );
    }
}
