// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps of class `Texture`: PNG, JPEG, WebP, Radiance HDR and KTX2.

mod ktx2;
mod mips;

use bevy::{
    asset::RenderAssetUsages,
    image::{
        CompressedImageFormats, Image, ImageAddressMode, ImageFilterMode, ImageSampler,
        ImageSamplerDescriptor,
    },
    render::render_resource::{Extent3d, TextureDimension, TextureFormat},
};
use half::f16;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, codecs::hdr::HdrDecoder};
use image_webp::WebPDecoder;
use std::io::Cursor;

/// Most pixels along an edge.
pub(crate) const SIZE_MAX: u32 = 8192;
/// Most pixels of a texture.
pub(crate) const PIXELS_MAX: u64 = 64 << 20;
/// Most pixels of a picture of numbers beyond white: while it is decoded each of them takes 40 bytes.
const FLOAT_PIXELS_MAX: u64 = 16 << 20;
/// Longest file in bytes.
const FILE_LEN_MAX: usize = 256 << 20;
/// How many samples are taken along a surface seen at a flat angle.
const ANISOTROPY: u16 = 8;
/// Brightest value of a half float that is kept.
const HALF_MOST: f32 = 65_000.0;

/// What a texture is for, and so how its numbers are read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Use {
    /// What is seen: sRGB.
    Color,
    /// Numbers: linear.
    Data,
    /// Normals, whose x and y are multiplied by the factor.
    Normal(Factor),
    /// Occlusion, of which this part is applied.
    Occlusion(Factor),
    /// How much is reflected, in the opacity. The renderer squares it, so that its root is kept.
    Specular,
    /// The colour of what is reflected, sRGB: the root of its light is kept.
    SpecularColor,
}

/// A factor in thousandths: as exact as eight bits a pixel need, and few enough that a script that turns it does not
/// fill the memory with copies of one picture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Factor(i16);

impl Factor {
    pub(crate) fn new(value: f32) -> Factor {
        Factor((value.clamp(-32.0, 32.0) * 1000.0).round() as i16)
    }

    fn get(self) -> f32 {
        f32::from(self.0) / 1000.0
    }
}

impl Use {
    /// Normals of this scale.
    pub(crate) fn normal(scale: f32) -> Use {
        let factor = Factor::new(scale);
        if factor == Factor(1000) { Use::Data } else { Use::Normal(factor) }
    }

    /// Occlusion of this strength.
    pub(crate) fn occlusion(strength: f32) -> Use {
        let factor = Factor::new(strength);
        if factor == Factor(1000) { Use::Data } else { Use::Occlusion(factor) }
    }
}

/// The formats that are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Png,
    Jpeg,
    WebP,
    Hdr,
    Ktx2,
}

fn format(bytes: &[u8]) -> Result<Format, String> {
    if bytes.starts_with(&ktx2::MAGIC) {
        return Ok(Format::Ktx2);
    }
    match image::guess_format(bytes) {
        Ok(ImageFormat::Png) => Ok(Format::Png),
        Ok(ImageFormat::Jpeg) => Ok(Format::Jpeg),
        Ok(ImageFormat::WebP) => Ok(Format::WebP),
        Ok(ImageFormat::Hdr) => Ok(Format::Hdr),
        _ => Err("none of PNG, JPEG, WebP, Radiance HDR and KTX2".into()),
    }
}

/// Width and height of a picture, if they are within the limits. No pixel of it is read.
pub(crate) fn size(bytes: &[u8]) -> Result<(u32, u32), String> {
    if bytes.len() > FILE_LEN_MAX {
        return Err(format!("file is longer than {} MiB", FILE_LEN_MAX >> 20));
    }
    let format = format(bytes)?;
    let (width, height) = match format {
        Format::Png => reader(bytes, ImageFormat::Png).into_dimensions().map_err(text)?,
        Format::Jpeg => reader(bytes, ImageFormat::Jpeg).into_dimensions().map_err(text)?,
        Format::WebP => WebPDecoder::new(Cursor::new(bytes)).map_err(text)?.dimensions(),
        Format::Hdr => HdrDecoder::new(Cursor::new(bytes)).map_err(text)?.dimensions(),
        Format::Ktx2 => ktx2::size(bytes)?,
    };
    if width == 0 || height == 0 {
        return Err("picture has no pixels".into());
    }
    let pixels_max = if format == Format::Hdr { FLOAT_PIXELS_MAX } else { PIXELS_MAX };
    if width > SIZE_MAX || height > SIZE_MAX || u64::from(width) * u64::from(height) > pixels_max {
        return Err(format!(
            "picture of {width} × {height} pixels is over the limit of {SIZE_MAX} along an edge and {} million",
            pixels_max >> 20
        ));
    }
    Ok((width, height))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn reader(bytes: &[u8], format: ImageFormat) -> ImageReader<Cursor<&[u8]>> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIZE_MAX);
    limits.max_image_height = Some(SIZE_MAX);
    // Sixteen-bit pixels take eight bytes, and decoders keep a copy or two.
    limits.max_alloc = Some(PIXELS_MAX * 16);
    reader.limits(limits);
    reader
}

/// The texture in these bytes, with its smaller copies for distance. Gives its size in memory too. `adapter` says
/// which compressed pixels can be shown.
pub(crate) fn decode(
    bytes: &[u8],
    usage: Use,
    adapter: CompressedImageFormats,
) -> Result<(Image, usize), String> {
    let (width, height) = size(bytes)?;
    let pixels = match format(bytes)? {
        Format::Png => plain_image(bytes, ImageFormat::Png)?,
        Format::Jpeg => plain_image(bytes, ImageFormat::Jpeg)?,
        Format::WebP => webp(bytes, width, height)?,
        Format::Hdr => {
            let light = hdr(bytes)?;
            let (data, levels) = mips::of_floats(light, width as usize, height as usize);
            let halves = data.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
            return Ok(image([width, height], TextureFormat::Rgba16Float, levels, halves));
        }
        Format::Ktx2 => match ktx2::decode(bytes, adapter)? {
            ktx2::Pixels::Plain { pixels, srgb } => {
                return Ok(plain(pixels, [width, height], usage, srgb));
            }
            ktx2::Pixels::Ready { .. } if !matches!(usage, Use::Color | Use::Data) => {
                return Err(
                    "a KTX2 file with levels of its own has no normals or occlusion of other strength, and is no texture of specular"
                        .into(),
                );
            }
            ktx2::Pixels::Ready { format, levels, data } => {
                return Ok(image([width, height], format, levels, data));
            }
        },
    };
    Ok(plain(pixels, [width, height], usage, matches!(usage, Use::Color | Use::SpecularColor)))
}

/// A texture of eight-bit pixels.
fn plain(mut pixels: Vec<u8>, [width, height]: [u32; 2], usage: Use, srgb: bool) -> (Image, usize) {
    match usage {
        Use::Color | Use::Data => {}
        Use::Normal(factor) => scale_normals(&mut pixels, factor.get()),
        Use::Occlusion(factor) => pixels.chunks_exact_mut(4).for_each(|pixel| {
            let light = 1.0 + factor.get() * (f32::from(pixel[0]) / 255.0 - 1.0);
            pixel[0] = (light.clamp(0.0, 1.0) * 255.0).round() as u8;
        }),
        Use::Specular => {
            let roots = roots(false);
            pixels.chunks_exact_mut(4).for_each(|pixel| pixel[3] = roots[usize::from(pixel[3])]);
        }
        Use::SpecularColor => {
            let roots = roots(srgb);
            for pixel in pixels.chunks_exact_mut(4) {
                pixel[..3].iter_mut().for_each(|value| *value = roots[usize::from(*value)]);
            }
        }
    }
    let srgb = srgb && usage != Use::SpecularColor;
    let (data, levels) = mips::of_bytes(pixels, width as usize, height as usize, srgb, usage == Use::Color);
    let format = if srgb { TextureFormat::Rgba8UnormSrgb } else { TextureFormat::Rgba8Unorm };
    image([width, height], format, levels, data)
}

/// The root of each byte, of which 255 is 1, or of the light that it stands for in sRGB.
fn roots(srgb: bool) -> [u8; 256] {
    let light = mips::to_linear();
    std::array::from_fn(|byte| {
        let part = if srgb { light[byte] } else { byte as f32 / 255.0 };
        (part.sqrt() * 255.0).round() as u8
    })
}

/// glTF 3.9.3: the scaled normal is `normalize((sample × 2 − 1) × (scale, scale, 1))`.
fn scale_normals(pixels: &mut [u8], scale: f32) {
    for pixel in pixels.chunks_exact_mut(4) {
        let [x, y, z] = [0, 1, 2].map(|i| f32::from(pixel[i]) / 127.5 - 1.0);
        let scaled = [x * scale, y * scale, z];
        let length = scaled.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-6);
        for (to, value) in pixel.iter_mut().zip(scaled) {
            *to = ((value / length + 1.0) * 127.5).round() as u8;
        }
    }
}

fn plain_image(bytes: &[u8], format: ImageFormat) -> Result<Vec<u8>, String> {
    Ok(reader(bytes, format).decode().map_err(text)?.into_rgba8().into_raw())
}

fn webp(bytes: &[u8], width: u32, height: u32) -> Result<Vec<u8>, String> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(text)?;
    decoder.set_memory_limit(PIXELS_MAX as usize * 16);
    let pixels = width as usize * height as usize;
    let mut out = vec![0; pixels * if decoder.has_alpha() { 4 } else { 3 }];
    decoder.read_image(&mut out).map_err(text)?;
    if decoder.has_alpha() {
        return Ok(out);
    }
    Ok(out.chunks_exact(3).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect())
}

/// The light of any picture but a KTX2 file: linear red, green, blue and 1, all finite.
pub(crate) fn light(bytes: &[u8]) -> Result<Vec<[f32; 4]>, String> {
    let (width, height) = size(bytes)?;
    if u64::from(width) * u64::from(height) > FLOAT_PIXELS_MAX {
        return Err(format!("picture has more than {} million pixels", FLOAT_PIXELS_MAX >> 20));
    }
    let pixels = match format(bytes)? {
        Format::Hdr => return hdr(bytes),
        Format::Png => plain_image(bytes, ImageFormat::Png)?,
        Format::Jpeg => plain_image(bytes, ImageFormat::Jpeg)?,
        Format::WebP => webp(bytes, width, height)?,
        Format::Ktx2 => return Err("a KTX2 file is no picture of all directions".into()),
    };
    Ok(mips::light(&pixels))
}

/// A picture of half the size.
pub(crate) fn half(pixels: &[[f32; 4]], width: usize, height: usize) -> Vec<[f32; 4]> {
    mips::half(pixels, width, height)
}

/// The light of a Radiance picture.
fn hdr(bytes: &[u8]) -> Result<Vec<[f32; 4]>, String> {
    let decoder = HdrDecoder::new(Cursor::new(bytes)).map_err(text)?;
    let picture = DynamicImage::from_decoder(decoder).map_err(text)?.into_rgb32f();
    let most = |value: f32| if value.is_finite() { value.clamp(0.0, HALF_MOST) } else { 0.0 };
    let pixels = picture.as_raw().chunks_exact(3);
    Ok(pixels.map(|pixel| [most(pixel[0]), most(pixel[1]), most(pixel[2]), 1.0]).collect())
}

fn image([width, height]: [u32; 2], format: TextureFormat, levels: u32, data: Vec<u8>) -> (Image, usize) {
    let weight = data.len();
    let mut image = Image::new_uninit(
        Extent3d { width, height, depth_or_array_layers: 1 },
        TextureDimension::D2,
        format,
        RenderAssetUsages::RENDER_WORLD,
    );
    image.texture_descriptor.mip_level_count = levels;
    image.sampler = ImageSampler::Descriptor(sampler());
    image.data = Some(data);
    (image, weight)
}

/// How textures are sampled: repeated, and smooth in all directions.
pub(crate) fn sampler() -> ImageSamplerDescriptor {
    ImageSamplerDescriptor {
        address_mode_u: ImageAddressMode::Repeat,
        address_mode_v: ImageAddressMode::Repeat,
        mag_filter: ImageFilterMode::Linear,
        min_filter: ImageFilterMode::Linear,
        mipmap_filter: ImageFilterMode::Linear,
        anisotropy_clamp: ANISOTROPY,
        ..ImageSamplerDescriptor::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use image::{ImageBuffer, Rgb, Rgba};

    const NONE: CompressedImageFormats = CompressedImageFormats::NONE;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        let picture = ImageBuffer::from_fn(width, height, |x, y| {
            if (x + y) % 2 == 0 { Rgba([255u8, 255, 255, 255]) } else { Rgba([0, 0, 0, 255]) }
        });
        picture.write_to(&mut out, ImageFormat::Png).unwrap();
        out.into_inner()
    }

    pub(super) fn webp(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let encoder = image_webp::WebPEncoder::new(&mut out);
        encoder.encode(pixels, width, height, image_webp::ColorType::Rgba8).unwrap();
        out
    }

    fn radiance(width: u32, height: u32, light: f32) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        let picture = ImageBuffer::from_pixel(width, height, Rgb([light, light / 2.0, 0.0]));
        picture.write_to(&mut out, ImageFormat::Hdr).unwrap();
        out.into_inner()
    }

    #[test]
    fn a_texture_has_smaller_copies_that_keep_its_light() {
        let (image, weight) = decode(&png(4, 2), Use::Color, NONE).unwrap();
        assert_eq!(image.texture_descriptor.mip_level_count, 3);
        let data = image.data.unwrap();
        assert_eq!((data.len(), weight), ((8 + 2 + 1) * 4, (8 + 2 + 1) * 4));
        // Half white, half black: half the light, which is 188 in sRGB, not 128.
        assert_eq!(data[32], 188);
        assert_eq!(decode(&png(4, 2), Use::Data, NONE).unwrap().0.data.unwrap()[32], 128);
    }

    #[test]
    fn normals_are_scaled_and_occlusion_weakened() {
        let mut out = Cursor::new(Vec::new());
        let picture = ImageBuffer::from_pixel(1, 1, Rgb([219u8, 128, 219]));
        picture.write_to(&mut out, ImageFormat::Png).unwrap();
        let bytes = out.into_inner();
        let first = |usage| decode(&bytes, usage, NONE).unwrap().0.data.unwrap()[..3].to_vec();
        assert_eq!(first(Use::normal(1.0)), [219, 128, 219]);
        // From 45° to the side to 26.6°: (0.447, 0, 0.894).
        assert_eq!(first(Use::normal(0.5)), [185, 128, 242]);
        assert_eq!(first(Use::normal(-0.5))[0], 70);
        assert_eq!(first(Use::occlusion(1.0))[0], 219);
        assert_eq!(first(Use::occlusion(0.5))[0], 237);
        assert_eq!(first(Use::occlusion(0.0))[0], 255);
    }

    #[test]
    fn webp_and_radiance_are_read() {
        let red = [200, 10, 20, 128].repeat(6);
        let (image, _) = decode(&webp(3, 2, &red), Use::Color, NONE).unwrap();
        assert_eq!((image.width(), image.height()), (3, 2));
        assert_eq!(image.data.unwrap()[..4], [200, 10, 20, 128]);
        let (image, weight) = decode(&radiance(4, 4, 8.0), Use::Color, NONE).unwrap();
        assert_eq!(image.texture_descriptor.format, TextureFormat::Rgba16Float);
        assert_eq!(weight, (16 + 4 + 1) * 8);
        let last = image.data.unwrap()[weight - 8..].to_vec();
        let values: Vec<f32> =
            last.chunks_exact(2).map(|pair| f16::from_le_bytes([pair[0], pair[1]]).to_f32()).collect();
        assert_eq!(values, [8.0, 4.0, 0.0, 1.0]);
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_decoded() {
        let mut bytes = png(1, 1);
        // The header says 60000 × 60000; nothing of that size may be reserved.
        bytes[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        bytes[20..24].copy_from_slice(&60_000u32.to_be_bytes());
        let reason = decode(&bytes, Use::Color, NONE).unwrap_err();
        assert!(reason.contains("imit") || reason.contains("CRC"), "{reason}");
        let wide = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 8000 +X 8000\n";
        assert_eq!(
            decode(wide, Use::Color, NONE).unwrap_err(),
            "picture of 8000 × 8000 pixels is over the limit of 8192 along an edge and 16 million"
        );
    }

    #[test]
    fn strangers_do_not_panic_the_decoder() {
        let noise: Vec<u8> = (0..9 * 7 * 4).map(|i: u32| (i * 37 % 251) as u8).collect();
        let ktx2 = ktx2::tests::file(ktx2::tests::RGBA8_SRGB, [4, 4], &[&[7; 64]], true);
        for good in [png(9, 7), webp(9, 7, &noise), radiance(9, 7, 3.0), ktx2] {
            decode(&good, Use::Color, NONE).unwrap();
            for cut in 0..good.len() {
                let _ = decode(&good[..cut], Use::Color, NONE);
            }
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 0xA5;
                let _ = decode(&bad, Use::Data, CompressedImageFormats::all());
            }
        }
        assert_eq!(
            decode(b"GIF89a", Use::Color, NONE).unwrap_err(),
            "none of PNG, JPEG, WebP, Radiance HDR and KTX2"
        );
    }
}
