// SPDX-License-Identifier: AGPL-3.0-or-later
//! KTX 2.0 files: pixels as graphics cards take them. <https://registry.khronos.org/KTX/specs/2.0/ktxspec.v2.html>,
//! whose sections are named here.

use bevy::{image::CompressedImageFormats, render::render_resource::TextureFormat};
use ruzstd::decoding::StreamingDecoder;
use std::io::Read;
use wgpu::{AstcBlock, AstcChannel};

/// Section 3.1: `«KTX 20»\r\n\x1A\n`.
pub(super) const MAGIC: [u8; 12] = [0xAB, 0x4B, 0x54, 0x58, 0x20, 0x32, 0x30, 0xBB, 0x0D, 0x0A, 0x1A, 0x0A];
/// Bytes before the index of levels.
const HEADER_LEN: usize = 80;
/// Bytes of an entry of that index.
const LEVEL_LEN: usize = 24;
/// Most levels: those of the largest texture.
const LEVELS_MAX: u32 = super::SIZE_MAX.ilog2() + 1;

/// The pixels of a file.
#[derive(Debug)]
pub(super) enum Pixels {
    /// RGBA bytes of the largest level, of a file without others.
    Plain { pixels: Vec<u8>, srgb: bool },
    /// Levels as they are, the largest first.
    Ready { format: TextureFormat, levels: u32, data: Vec<u8> },
}

/// Section 3: the fields before the levels.
struct Header<'a> {
    bytes: &'a [u8],
    vk_format: u32,
    width: u32,
    height: u32,
    levels: u32,
    supercompression: u32,
}

fn header(bytes: &[u8]) -> Result<Header<'_>, String> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let field = |i: usize| word(12 + i * 4).ok_or("KTX2 file ends early");
    let [vk_format, _, width, height, depth, layers, faces, levels, supercompression] =
        [field(0)?, field(1)?, field(2)?, field(3)?, field(4)?, field(5)?, field(6)?, field(7)?, field(8)?];
    if height == 0 || depth != 0 || layers != 0 || faces != 1 {
        return Err("KTX2 file is not one flat picture, but a row, a volume, an array or a cube".into());
    }
    if levels > LEVELS_MAX {
        return Err(format!("KTX2 file has more than {LEVELS_MAX} levels"));
    }
    Ok(Header { bytes, vk_format, width, height, levels, supercompression })
}

/// Width and height.
pub(super) fn size(bytes: &[u8]) -> Result<(u32, u32), String> {
    header(bytes).map(|header| (header.width, header.height))
}

/// How the pixels are laid out: the format, the edges of a block in pixels, and its bytes.
struct Layout {
    format: TextureFormat,
    block: [u32; 2],
    bytes: u32,
    needs: CompressedImageFormats,
}

/// The numbers are those of `VkFormat`.
fn layout(vk_format: u32) -> Option<Layout> {
    use TextureFormat as F;
    let (none, bc) = (CompressedImageFormats::NONE, CompressedImageFormats::BC);
    let (etc, astc) = (CompressedImageFormats::ETC2, CompressedImageFormats::ASTC_LDR);
    let (format, block, bytes, needs) = match vk_format {
        9 => (F::R8Unorm, [1, 1], 1, none),
        16 => (F::Rg8Unorm, [1, 1], 2, none),
        37 => (F::Rgba8Unorm, [1, 1], 4, none),
        43 => (F::Rgba8UnormSrgb, [1, 1], 4, none),
        97 => (F::Rgba16Float, [1, 1], 8, none),
        123 => (F::Rgb9e5Ufloat, [1, 1], 4, none),
        133 => (F::Bc1RgbaUnorm, [4, 4], 8, bc),
        134 => (F::Bc1RgbaUnormSrgb, [4, 4], 8, bc),
        135 => (F::Bc2RgbaUnorm, [4, 4], 16, bc),
        136 => (F::Bc2RgbaUnormSrgb, [4, 4], 16, bc),
        137 => (F::Bc3RgbaUnorm, [4, 4], 16, bc),
        138 => (F::Bc3RgbaUnormSrgb, [4, 4], 16, bc),
        139 => (F::Bc4RUnorm, [4, 4], 8, bc),
        141 => (F::Bc5RgUnorm, [4, 4], 16, bc),
        143 => (F::Bc6hRgbUfloat, [4, 4], 16, bc),
        144 => (F::Bc6hRgbFloat, [4, 4], 16, bc),
        145 => (F::Bc7RgbaUnorm, [4, 4], 16, bc),
        146 => (F::Bc7RgbaUnormSrgb, [4, 4], 16, bc),
        147 => (F::Etc2Rgb8Unorm, [4, 4], 8, etc),
        148 => (F::Etc2Rgb8UnormSrgb, [4, 4], 8, etc),
        149 => (F::Etc2Rgb8A1Unorm, [4, 4], 8, etc),
        150 => (F::Etc2Rgb8A1UnormSrgb, [4, 4], 8, etc),
        151 => (F::Etc2Rgba8Unorm, [4, 4], 16, etc),
        152 => (F::Etc2Rgba8UnormSrgb, [4, 4], 16, etc),
        153 => (F::EacR11Unorm, [4, 4], 8, etc),
        155 => (F::EacRg11Unorm, [4, 4], 16, etc),
        157..=184 => {
            let (block, size) = [
                (AstcBlock::B4x4, [4, 4]),
                (AstcBlock::B5x4, [5, 4]),
                (AstcBlock::B5x5, [5, 5]),
                (AstcBlock::B6x5, [6, 5]),
                (AstcBlock::B6x6, [6, 6]),
                (AstcBlock::B8x5, [8, 5]),
                (AstcBlock::B8x6, [8, 6]),
                (AstcBlock::B8x8, [8, 8]),
                (AstcBlock::B10x5, [10, 5]),
                (AstcBlock::B10x6, [10, 6]),
                (AstcBlock::B10x8, [10, 8]),
                (AstcBlock::B10x10, [10, 10]),
                (AstcBlock::B12x10, [12, 10]),
                (AstcBlock::B12x12, [12, 12]),
            ][(vk_format as usize - 157) / 2];
            let channel = if vk_format % 2 == 1 { AstcChannel::Unorm } else { AstcChannel::UnormSrgb };
            (F::Astc { block, channel }, size, 16, astc)
        }
        _ => return None,
    };
    Some(Layout { format, block, bytes, needs })
}

fn family(needs: CompressedImageFormats) -> &'static str {
    match needs {
        CompressedImageFormats::BC => "BC",
        CompressedImageFormats::ETC2 => "ETC2",
        _ => "ASTC",
    }
}

/// The pixels, if they are of a kind that the adapter shows. Its size must have been checked.
pub(super) fn decode(bytes: &[u8], adapter: CompressedImageFormats) -> Result<Pixels, String> {
    let header = header(bytes)?;
    if header.vk_format == 0 {
        return Err(
            "KTX2 file of Basis Universal, which is not read; store it as RGBA8, BC7, ASTC or ETC2".into()
        );
    }
    let layout = layout(header.vk_format)
        .ok_or_else(|| format!("KTX2 file of pixels that are not shown (VkFormat {})", header.vk_format))?;
    if !adapter.contains(layout.needs) {
        return Err(format!("this graphics adapter shows no {} textures", family(layout.needs)));
    }
    let [block_width, block_height] = layout.block;
    if !header.width.is_multiple_of(block_width) || !header.height.is_multiple_of(block_height) {
        return Err(format!(
            "KTX2 file of {} × {} pixels is not made of whole blocks of {block_width} × {block_height}",
            header.width, header.height
        ));
    }
    let levels = header.levels.max(1);
    if levels > header.width.max(header.height).ilog2() + 1 {
        return Err("KTX2 file has more levels than its size allows".into());
    }
    let mut data = Vec::new();
    for level in 0..levels {
        let across = (header.width >> level).max(1).div_ceil(block_width) as usize;
        let down = (header.height >> level).max(1).div_ceil(block_height) as usize;
        read_level(&header, level, across * down * layout.bytes as usize, &mut data)?;
    }
    Ok(match layout.format {
        TextureFormat::Rgba8Unorm if levels == 1 => Pixels::Plain { pixels: data, srgb: false },
        TextureFormat::Rgba8UnormSrgb if levels == 1 => Pixels::Plain { pixels: data, srgb: true },
        format => Pixels::Ready { format, levels, data },
    })
}

/// Appends the `len` bytes of a level.
fn read_level(header: &Header<'_>, level: u32, len: usize, data: &mut Vec<u8>) -> Result<(), String> {
    let at = HEADER_LEN + level as usize * LEVEL_LEN;
    let entry = header.bytes.get(at..at + LEVEL_LEN).ok_or("KTX2 file ends early")?;
    let word = |at: usize| {
        let bytes = entry[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or(u64::MAX);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    };
    let (offset, stored) = (word(0), word(8));
    let beyond = || format!("level {level} of a KTX2 file is outside the file");
    let stored = header.bytes.get(offset..).and_then(|rest| rest.get(..stored)).ok_or_else(beyond)?;
    let wrong = || format!("level {level} of a KTX2 file has not the {len} bytes of its size");
    match header.supercompression {
        0 if stored.len() == len => data.extend_from_slice(stored),
        0 => return Err(wrong()),
        2 => {
            let before = data.len();
            let stream = StreamingDecoder::new(stored).map_err(|error| error.to_string())?;
            // One more than there should be, so that too many are told from enough.
            stream.take(len as u64 + 1).read_to_end(data).map_err(|error| error.to_string())?;
            if data.len() - before != len {
                return Err(wrong());
            }
        }
        1 => return Err("KTX2 file of Basis Universal, which is not read".into()),
        other => return Err(format!("KTX2 file with supercompression {other}, which is not read")),
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    pub(in super::super) const RGBA8_SRGB: u32 = 43;
    const BC7_SRGB: u32 = 146;

    /// A file with these levels, compressed or not.
    pub(in super::super) fn file(vk_format: u32, size: [u32; 2], levels: &[&[u8]], zstd: bool) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let supercompression = if zstd { 2 } else { 0 };
        for word in [vk_format, 1, size[0], size[1], 0, 0, 1, levels.len() as u32, supercompression] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.resize(HEADER_LEN + levels.len() * LEVEL_LEN, 0);
        for (i, level) in levels.iter().enumerate() {
            let stored = if zstd {
                ruzstd::encoding::compress_to_vec(*level, ruzstd::encoding::CompressionLevel::Fastest)
            } else {
                level.to_vec()
            };
            let entry = [out.len() as u64, stored.len() as u64, level.len() as u64];
            let at = HEADER_LEN + i * LEVEL_LEN;
            out[at..at + LEVEL_LEN].copy_from_slice(&entry.map(u64::to_le_bytes).concat());
            out.extend_from_slice(&stored);
        }
        out
    }

    #[test]
    fn levels_are_read_plain_and_compressed() {
        let (large, small) = ([1u8; 64], [2u8; 16]);
        for zstd in [false, true] {
            let bytes = file(RGBA8_SRGB, [4, 4], &[&large, &small], zstd);
            assert_eq!(size(&bytes), Ok((4, 4)));
            let Pixels::Ready { format, levels, data } =
                decode(&bytes, CompressedImageFormats::NONE).unwrap()
            else {
                panic!("levels were made anew");
            };
            assert_eq!((format, levels), (TextureFormat::Rgba8UnormSrgb, 2));
            assert_eq!(data, [&large[..], &small].concat());
            let one = file(RGBA8_SRGB, [4, 4], &[&large], zstd);
            let alone = decode(&one, CompressedImageFormats::NONE).unwrap();
            assert!(matches!(alone, Pixels::Plain { srgb: true, ref pixels } if *pixels == large));
        }
        let blocks = file(BC7_SRGB, [8, 4], &[&[0; 32]], true);
        assert!(matches!(
            decode(&blocks, CompressedImageFormats::BC).unwrap(),
            Pixels::Ready { format: TextureFormat::Bc7RgbaUnormSrgb, levels: 1, .. }
        ));
    }

    #[test]
    fn what_cannot_be_shown_is_refused_with_the_reason() {
        let check = |bytes: &[u8], expect: &str| {
            let reason = decode(bytes, CompressedImageFormats::NONE).unwrap_err();
            assert!(reason.contains(expect), "{reason}, not {expect}");
        };
        let level = [0u8; 64];
        check(&file(BC7_SRGB, [4, 4], &[&level[..16]], false), "this graphics adapter shows no BC textures");
        check(&file(157, [4, 4], &[&level[..16]], false), "no ASTC textures");
        check(&file(148, [4, 4], &[&level[..8]], false), "no ETC2 textures");
        check(&file(0, [4, 4], &[&level], false), "Basis Universal");
        check(&file(1, [4, 4], &[&level], false), "VkFormat 1");
        check(&file(RGBA8_SRGB, [4, 4], &[&level[..60]], false), "has not the 64 bytes");
        check(&file(RGBA8_SRGB, [4, 4], &[&[0; 5000]], true), "has not the 64 bytes");
        check(&file(RGBA8_SRGB, [1, 1], &[&level[..4]; 2], false), "more levels than its size allows");
        let mut cube = file(RGBA8_SRGB, [4, 4], &[&level], false);
        cube[36] = 6;
        check(&cube, "a cube");
        let mut far = file(RGBA8_SRGB, [4, 4], &[&level], false);
        far[HEADER_LEN..HEADER_LEN + 8].fill(0xFF);
        check(&far, "outside the file");
        let mut other = file(RGBA8_SRGB, [4, 4], &[&level], false);
        other[44] = 3;
        check(&other, "supercompression 3");
        let mut odd = file(BC7_SRGB, [8, 4], &[&[0; 32]], false);
        odd[20] = 6;
        let reason = decode(&odd, CompressedImageFormats::BC).unwrap_err();
        assert!(reason.contains("whole blocks of 4 × 4"), "{reason}");
    }
}
