// SPDX-License-Identifier: AGPL-3.0-or-later
//! Smaller copies of a picture, each of half the size, for what is far away. Light is averaged, not its sRGB numbers,
//! which would darken it; and what one sees through has no say in the colour.

use std::sync::OnceLock;

/// A picture of RGBA bytes and all its smaller copies one after another, and how many there are. `srgb` is how red,
/// green and blue are to be read, `opacity` whether the fourth is one.
pub(super) fn of_bytes(
    pixels: Vec<u8>,
    width: usize,
    height: usize,
    srgb: bool,
    opacity: bool,
) -> (Vec<u8>, u32) {
    let mut data = Vec::with_capacity(pixels.len() / 3 * 4 + 64);
    data.extend_from_slice(&pixels);
    let (mut level, mut w, mut h, mut levels) = (pixels, width, height, 1);
    let to_linear = to_linear();
    while w > 1 || h > 1 {
        let read = |at: usize| {
            let pixel = &level[at * 4..at * 4 + 4];
            let channel =
                |value: u8| if srgb { to_linear[usize::from(value)] } else { f32::from(value) / 255.0 };
            [channel(pixel[0]), channel(pixel[1]), channel(pixel[2]), f32::from(pixel[3]) / 255.0]
        };
        let mut half = Vec::with_capacity((w / 2).max(1) * (h / 2).max(1) * 4);
        halve([w, h], read, opacity, |[red, green, blue, alpha]| {
            let plain = |value: f32| (value * 255.0 + 0.5) as u8;
            let channel = |value: f32| if srgb { to_srgb(value) } else { plain(value) };
            half.extend_from_slice(&[channel(red), channel(green), channel(blue), plain(alpha)]);
        });
        (w, h, levels) = ((w / 2).max(1), (h / 2).max(1), levels + 1);
        data.extend_from_slice(&half);
        level = half;
    }
    (data, levels)
}

/// The same of linear numbers.
pub(super) fn of_floats(pixels: Vec<[f32; 4]>, width: usize, height: usize) -> (Vec<f32>, u32) {
    let mut data = Vec::with_capacity(pixels.len() / 3 * 16 + 64);
    data.extend_from_slice(pixels.as_flattened());
    let (mut level, mut w, mut h, mut levels) = (pixels, width, height, 1);
    while w > 1 || h > 1 {
        let half = half(&level, w, h);
        (w, h, levels) = ((w / 2).max(1), (h / 2).max(1), levels + 1);
        data.extend_from_slice(half.as_flattened());
        level = half;
    }
    (data, levels)
}

/// The picture at half the size.
pub(super) fn half(pixels: &[[f32; 4]], width: usize, height: usize) -> Vec<[f32; 4]> {
    let mut half = Vec::with_capacity((width / 2).max(1) * (height / 2).max(1));
    halve([width, height], |at| pixels[at], false, |pixel| half.push(pixel));
    half
}

/// The light of RGBA bytes in sRGB; opacity is passed over.
pub(super) fn light(pixels: &[u8]) -> Vec<[f32; 4]> {
    let table = to_linear();
    let channel = |value: u8| table[usize::from(value)];
    pixels
        .chunks_exact(4)
        .map(|pixel| [channel(pixel[0]), channel(pixel[1]), channel(pixel[2]), 1.0])
        .collect()
}

/// The pixels along one axis that a pixel of the half covers, and by how much: two of an even number; of an odd one
/// three, since each pixel of the half is then a little wider than two.
fn taps(size: usize, at: usize) -> [(usize, f32); 3] {
    match (size, size % 2) {
        (1, _) => [(0, 1.0), (0, 0.0), (0, 0.0)],
        (_, 0) => [(at * 2, 0.5), (at * 2 + 1, 0.5), (0, 0.0)],
        _ => {
            let half = size / 2;
            let part = |pixels: usize| pixels as f32 / size as f32;
            [(at * 2, part(half - at)), (at * 2 + 1, part(half)), (at * 2 + 2, part(at + 1))]
        }
    }
}

/// Gives the pixels of the half in order.
fn halve(
    [width, height]: [usize; 2],
    read: impl Fn(usize) -> [f32; 4],
    opacity: bool,
    mut write: impl FnMut([f32; 4]),
) {
    let columns: Vec<_> = (0..(width / 2).max(1)).map(|x| taps(width, x)).collect();
    for y in 0..(height / 2).max(1) {
        let rows = taps(height, y);
        for columns in &columns {
            let (mut plain, mut seen, mut alpha) = ([0.0; 3], [0.0; 3], 0.0);
            for (row, row_part) in rows.iter().filter(|tap| tap.1 > 0.0) {
                for (column, column_part) in columns.iter().filter(|tap| tap.1 > 0.0) {
                    let pixel = read(row * width + column);
                    let part = row_part * column_part;
                    for channel in 0..3 {
                        plain[channel] += part * pixel[channel];
                        seen[channel] += part * pixel[3] * pixel[channel];
                    }
                    alpha += part * pixel[3];
                }
            }
            let color = if opacity && alpha > 0.0 { seen.map(|value| value / alpha) } else { plain };
            write([color[0], color[1], color[2], alpha]);
        }
    }
}

/// The light that each byte of sRGB stands for.
pub(super) fn to_linear() -> &'static [f32; 256] {
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
    // The darkest step of sRGB is 20 of these.
    const STEPS: usize = 65_535;
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
    use super::*;

    #[test]
    fn an_even_picture_stays_as_it_is_at_any_size() {
        for (width, height) in [(1, 1), (2, 3), (7, 5), (1, 9), (64, 33)] {
            for value in [0u8, 1, 2, 13, 100, 254, 255] {
                let pixels = [value, value, value, 255].repeat(width * height);
                for srgb in [false, true] {
                    let (data, levels) = of_bytes(pixels.clone(), width, height, srgb, true);
                    assert_eq!(levels, width.max(height).ilog2() + 1);
                    let even = data.chunks_exact(4).all(|pixel| pixel == [value, value, value, 255]);
                    assert!(even, "{width} × {height} of {value}, sRGB {srgb}");
                }
            }
        }
    }

    #[test]
    fn every_pixel_of_an_odd_row_counts_alike() {
        for size in [3, 5, 9, 255] {
            let mut sums = vec![0.0; size];
            for at in 0..size / 2 {
                let taps = taps(size, at);
                assert!((taps.iter().map(|tap| tap.1).sum::<f32>() - 1.0).abs() < 1e-5);
                taps.iter().for_each(|(index, part)| sums[*index] += part);
            }
            let expect = (size / 2) as f32 / size as f32;
            assert!(sums.iter().all(|sum| (sum - expect).abs() < 1e-4), "{size}: {sums:?}");
        }
    }

    #[test]
    fn what_is_not_seen_has_no_colour() {
        let leaf = [[21, 201, 31, 255], [255, 255, 255, 0]].concat();
        let (data, _) = of_bytes(leaf.clone(), 2, 1, true, true);
        assert_eq!(data[8..], [21, 201, 31, 128]);
        // The same numbers as data are four numbers.
        assert_eq!(of_bytes(leaf, 2, 1, false, false).0[8..], [138, 228, 143, 128]);
    }

    #[test]
    fn light_beyond_white_is_kept() {
        let (data, levels) = of_floats(vec![[100.0, 0.0, 0.0, 1.0], [0.0, 50.0, 0.0, 1.0]], 2, 1);
        assert_eq!((levels, &data[8..]), (2, &[50.0, 25.0, 0.0, 1.0][..]));
    }
}
