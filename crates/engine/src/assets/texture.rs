// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps of class `Texture`: PNG and JPEG.

use bevy::{
    asset::RenderAssetUsages,
    image::{Image, ImageAddressMode, ImageFilterMode, ImageSampler, ImageSamplerDescriptor},
    render::render_resource::{Extent3d, TextureDimension, TextureFormat},
};
use image::{ImageFormat, ImageReader, Limits};
use std::{io::Cursor, sync::OnceLock};

/// Most pixels along an edge.
pub(crate) const SIZE_MAX: u32 = 8192;
/// Most pixels of a texture.
pub(crate) const PIXELS_MAX: u64 = 64 << 20;
/// Longest file in bytes.
const FILE_LEN_MAX: usize = 256 << 20;
/// How many samples are taken along a surface seen at a flat angle.
const ANISOTROPY: u16 = 8;

/// Width and height of a PNG or JPEG file, if they are within the limits.
pub(crate) fn size(bytes: &[u8]) -> Result<(u32, u32), String> {
    let (width, height) = reader(bytes)?.into_dimensions().map_err(|error| error.to_string())?;
    if width == 0 || height == 0 {
        return Err("picture has no pixels".into());
    }
    if width > SIZE_MAX || height > SIZE_MAX || u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Err(format!(
            "picture of {width} × {height} pixels is over the limit of {SIZE_MAX} along an edge and {} million",
            PIXELS_MAX >> 20
        ));
    }
    Ok((width, height))
}

fn reader(bytes: &[u8]) -> Result<ImageReader<Cursor<&[u8]>>, String> {
    let format = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
        _ => return Err("neither a PNG nor a JPEG file".into()),
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIZE_MAX);
    limits.max_image_height = Some(SIZE_MAX);
    // Sixteen-bit pixels take eight bytes, and decoders keep a copy or two.
    limits.max_alloc = Some(PIXELS_MAX * 16);
    reader.limits(limits);
    Ok(reader)
}

/// The texture in these bytes, with its smaller copies for distance. `srgb` for what is seen, else
/// the values are taken as they are. Gives its size in memory too.
pub(crate) fn decode(bytes: &[u8], srgb: bool) -> Result<(Image, usize), String> {
    if bytes.len() > FILE_LEN_MAX {
        return Err(format!("file is longer than {} MiB", FILE_LEN_MAX >> 20));
    }
    let (width, height) = size(bytes)?;
    let mut level = reader(bytes)?.decode().map_err(|error| error.to_string())?.into_rgba8().into_raw();
    let mut data = Vec::with_capacity(level.len() / 3 * 4 + 64);
    let (mut w, mut h, mut levels) = (width as usize, height as usize, 1);
    data.extend_from_slice(&level);
    while w > 1 || h > 1 {
        level = halved(&level, w, h, srgb);
        (w, h) = ((w / 2).max(1), (h / 2).max(1));
        data.extend_from_slice(&level);
        levels += 1;
    }
    let weight = data.len();
    let mut image = Image::new_uninit(
        Extent3d { width, height, depth_or_array_layers: 1 },
        TextureDimension::D2,
        if srgb { TextureFormat::Rgba8UnormSrgb } else { TextureFormat::Rgba8Unorm },
        RenderAssetUsages::RENDER_WORLD,
    );
    image.texture_descriptor.mip_level_count = levels;
    image.sampler = sampler();
    image.data = Some(data);
    Ok((image, weight))
}

/// How textures are sampled: repeated, and smooth in all directions.
pub(crate) fn sampler() -> ImageSampler {
    ImageSampler::Descriptor(ImageSamplerDescriptor {
        address_mode_u: ImageAddressMode::Repeat,
        address_mode_v: ImageAddressMode::Repeat,
        mag_filter: ImageFilterMode::Linear,
        min_filter: ImageFilterMode::Linear,
        mipmap_filter: ImageFilterMode::Linear,
        anisotropy_clamp: ANISOTROPY,
        ..ImageSamplerDescriptor::default()
    })
}

/// The picture at half the size. Light is averaged, not its sRGB numbers, which would darken it.
fn halved(from: &[u8], width: usize, height: usize, srgb: bool) -> Vec<u8> {
    let (w, h) = ((width / 2).max(1), (height / 2).max(1));
    let mut out = Vec::with_capacity(w * h * 4);
    let to_linear = to_linear();
    for y in 0..h {
        for x in 0..w {
            let rows = [(y * 2).min(height - 1), (y * 2 + 1).min(height - 1)];
            let columns = [(x * 2).min(width - 1), (x * 2 + 1).min(width - 1)];
            for channel in 0..4 {
                let mut four = rows
                    .iter()
                    .flat_map(|row| columns.map(|column| from[(row * width + column) * 4 + channel]));
                out.push(if srgb && channel < 3 {
                    let light: f32 = four.map(|value| to_linear[usize::from(value)]).sum();
                    to_srgb(light / 4.0)
                } else {
                    let sum = four.try_fold(2u16, |sum, value| sum.checked_add(u16::from(value)));
                    (sum.unwrap_or(0) / 4) as u8
                });
            }
        }
    }
    out
}

fn to_linear() -> &'static [f32; 256] {
    static TABLE: OnceLock<[f32; 256]> = OnceLock::new();
    TABLE.get_or_init(|| {
        std::array::from_fn(|i| {
            let value = i as f32 / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        })
    })
}

fn to_srgb(light: f32) -> u8 {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    const STEPS: usize = 4096;
    let table = TABLE.get_or_init(|| {
        (0..=STEPS)
            .map(|i| {
                let light = i as f32 / STEPS as f32;
                let value =
                    if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
                (value * 255.0 + 0.5) as u8
            })
            .collect()
    });
    table[((light * STEPS as f32 + 0.5) as usize).min(STEPS)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use image::{ImageBuffer, Rgba};

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        let picture = ImageBuffer::from_fn(width, height, |x, y| {
            if (x + y) % 2 == 0 { Rgba([255u8, 255, 255, 255]) } else { Rgba([0, 0, 0, 255]) }
        });
        picture.write_to(&mut out, ImageFormat::Png).unwrap();
        out.into_inner()
    }

    #[test]
    fn a_texture_has_smaller_copies_that_keep_its_light() {
        let (image, weight) = decode(&png(5, 2), true).unwrap();
        assert_eq!(image.texture_descriptor.mip_level_count, 3);
        let data = image.data.unwrap();
        assert_eq!((data.len(), weight), ((10 + 2 + 1) * 4, (10 + 2 + 1) * 4));
        // Half white, half black: half the light, which is 188 in sRGB, not 128.
        assert_eq!(data[40], 188);
        assert_eq!(decode(&png(5, 2), false).unwrap().0.data.unwrap()[40], 128);
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_decoded() {
        let mut bytes = png(1, 1);
        // The header says 60000 × 60000; nothing of that size may be reserved.
        bytes[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        bytes[20..24].copy_from_slice(&60_000u32.to_be_bytes());
        let reason = decode(&bytes, true).unwrap_err();
        assert!(reason.contains("limit") || reason.contains("CRC") || reason.contains("imit"), "{reason}");
    }

    #[test]
    fn strangers_do_not_panic_the_decoder() {
        let good = png(9, 7);
        for cut in 0..good.len() {
            let _ = decode(&good[..cut], true);
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0xA5;
            let _ = decode(&bad, true);
        }
        assert_eq!(decode(b"GIF89a", true).unwrap_err(), "neither a PNG nor a JPEG file");
    }
}
