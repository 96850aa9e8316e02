// SPDX-License-Identifier: AGPL-3.0-or-later
//! Pictures that a script makes: PNG without compression, and Radiance HDR.

use hearth_sdk::prelude::*;
use std::f32::consts::{PI, TAU};

/// Most bytes of a block that is stored as it is (RFC 1951, section 3.2.4).
const BLOCK: usize = 65_535;

/// A PNG of red, green, blue and opacity for each pixel.
pub(super) fn png(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> Vec<u8> {
    let mut rows = Vec::with_capacity((width as usize * 4 + 1) * height as usize);
    for y in 0..height {
        rows.push(0);
        (0..width).for_each(|x| rows.extend(pixel(x, y)));
    }
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 6, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, body) in [(b"IHDR", header), (b"IDAT", zlib(&rows)), (b"IEND", Vec::new())] {
        file.extend((body.len() as u32).to_be_bytes());
        let from = file.len();
        file.extend(kind);
        file.extend(body);
        let sum = crc(&file[from..]);
        file.extend(sum.to_be_bytes());
    }
    file
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let last = bytes.len().saturating_sub(1) / BLOCK;
    for (number, block) in bytes.chunks(BLOCK).enumerate() {
        let len = block.len() as u16;
        out.push(u8::from(number == last));
        out.extend(len.to_le_bytes());
        out.extend((!len).to_le_bytes());
        out.extend(block);
    }
    let (mut a, mut b) = (1u32, 0u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend((b << 16 | a).to_be_bytes());
    out
}

fn crc(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 * (sum & 1)))
    };
    !bytes.iter().fold(!0, step)
}

/// A Radiance HDR picture of all directions, its middle −Z.
pub(super) fn hdr(width: u32, height: u32, light: impl Fn(Vec3) -> [f32; 3]) -> Vec<u8> {
    let head = format!("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {height} +X {width}\n");
    let mut file = head.into_bytes();
    for y in 0..height {
        // A row is four planes, each in runs (here none longer than it must be said) of at most 128.
        file.extend([2, 2, (width >> 8) as u8, width as u8]);
        let row: Vec<[u8; 4]> = (0..width)
            .map(|x| {
                let (right, down) = ((x as f32 + 0.5) / width as f32, (y as f32 + 0.5) / height as f32);
                let (sin, cos) = ((right - 0.5) * TAU).sin_cos();
                let (out, up) = ((down * PI).sin(), (down * PI).cos());
                rgbe(light(vec3(sin * out, up, -cos * out)))
            })
            .collect();
        for plane in 0..4 {
            for piece in row.chunks(128) {
                file.push(piece.len() as u8);
                file.extend(piece.iter().map(|pixel| pixel[plane]));
            }
        }
    }
    file
}

/// Three mantissas and an exponent for all.
fn rgbe(color: [f32; 3]) -> [u8; 4] {
    let most = color.iter().fold(0.0f32, |most, part| most.max(*part));
    if most < 1e-30 {
        return [0; 4];
    }
    let exponent = most.log2().floor() as i32 + 1;
    let [r, g, b] = color.map(|part| (part * 256.0 / (exponent as f32).exp2()) as u8);
    [r, g, b, (exponent + 128) as u8]
}

/// Squares of two colours, so many along an edge.
pub(super) fn checks(pixels: u32, squares: u32, colors: [[u8; 3]; 2]) -> Vec<u8> {
    png(pixels, pixels, |x, y| {
        let [r, g, b] = colors[((x * squares / pixels + y * squares / pixels) % 2) as usize];
        [r, g, b, 255]
    })
}

/// Where the part of a picture is, 0 to 1.
pub(super) fn part(x: u32, y: u32, pixels: u32) -> [f32; 2] {
    [x, y].map(|at| (at as f32 + 0.5) / pixels as f32)
}

/// Normals of round studs, so many along an edge.
pub(super) fn studs(pixels: u32, count: f32) -> Vec<u8> {
    png(pixels, pixels, |x, y| {
        let [u, v] = part(x, y, pixels).map(|at| (at * count).fract() * 2.0 - 1.0);
        let far = u.hypot(v) / 0.75;
        let slope = if far < 1.0 { (far * PI).sin() * 0.8 } else { 0.0 };
        let normal = vec3(u * slope, -v * slope, 1.0).unit().unwrap_or(Vec3::Z);
        let [x, y, z] = normal.array().map(|part| ((part * 0.5 + 0.5) * 255.0) as u8);
        [x, y, z, 255]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_standards() {
        assert_eq!(crc(b"IEND"), 0xae42_6082);
        let stream = zlib(b"Wikipedia");
        assert_eq!(stream[stream.len() - 4..], 0x11e6_0398u32.to_be_bytes());
    }

    #[test]
    fn long_rows_become_several_blocks() {
        let stream = zlib(&vec![7; BLOCK + 1]);
        assert_eq!(stream.len(), 2 + 5 + BLOCK + 5 + 1 + 4);
        assert_eq!([stream[2], stream[2 + 5 + BLOCK]], [0, 1]);
    }

    #[test]
    fn bright_light_keeps_its_size() {
        assert_eq!(rgbe([1.0, 0.5, 0.0]), [128, 64, 0, 129]);
        assert_eq!(rgbe([0.0; 3]), [0; 4]);
        let file = hdr(8, 4, |_| [4.0; 3]);
        assert_eq!(
            file.len() - file.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1),
            4 * (4 + 36)
        );
    }
}
