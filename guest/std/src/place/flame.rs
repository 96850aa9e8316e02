// SPDX-License-Identifier: AGPL-3.0-or-later
//! The picture of a tongue of fire that the particles of a fire show, as a PNG.

use crate::chance::mix;

/// Pixels along an edge.
const SIDE: u16 = 48;

/// A tongue of fire that ends in a point above: pale in its middle, red at its edge.
pub(super) fn picture() -> Vec<u8> {
    let side = usize::from(SIDE);
    let mut rows = Vec::with_capacity(side * (side * 4 + 1));
    for row in 0..side {
        // Each row begins with the number of its filter: none.
        rows.push(0);
        let up = 1.0 - (row as f32 + 0.5) / side as f32;
        let middle = 0.5 + 0.05 * (up * 7.0).sin() * up;
        let half = 0.62 * up.max(0.0).powf(0.6) * (1.0 - up).max(0.0).powf(0.95);
        for column in 0..side {
            let across = (column as f32 + 0.5) / side as f32;
            let inside = (1.0 - (across - middle).abs() / half.max(1e-3)).clamp(0.0, 1.0);
            let soft = inside * inside * (3.0 - 2.0 * inside);
            // The foot fades into the coals.
            let opacity = soft * (up * 5.0).min(1.0);
            let heat = (soft * (1.25 - up)).clamp(0.0, 1.0);
            let [r, g, b] = mix([1.0, 0.5, 0.3], [1.0, 1.0, 0.8], heat);
            rows.extend([r, g, b, opacity].map(|part| (part * 255.0 + 0.5) as u8));
        }
    }
    png(SIDE, &rows)
}

/// A square picture of red, green, blue and opacity, not compressed.
fn png(side: u16, rows: &[u8]) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let edge = u32::from(side).to_be_bytes();
    let mut head = [edge, edge].concat();
    head.extend([8, 6, 0, 0, 0]);
    chunk(&mut out, *b"IHDR", &head);
    // A zlib stream of blocks that are stored as they are.
    let mut data = vec![0x78, 0x01];
    let mut blocks = rows.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        data.push(u8::from(blocks.peek().is_none()));
        data.extend(length.to_le_bytes());
        data.extend((!length).to_le_bytes());
        data.extend(block);
    }
    let (mut low, mut high) = (1u32, 0u32);
    for byte in rows {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    data.extend((high << 16 | low).to_be_bytes());
    chunk(&mut out, *b"IDAT", &data);
    chunk(&mut out, *b"IEND", &[]);
    out
}

fn chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    out.extend((data.len() as u32).to_be_bytes());
    let start = out.len();
    out.extend(kind);
    out.extend(data);
    let sum = !out[start..].iter().fold(!0u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    out.extend(sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_without_data_has_the_known_sum() {
        let mut out = Vec::new();
        chunk(&mut out, *b"IEND", &[]);
        assert_eq!(out, b"\0\0\0\0IEND\xae\x42\x60\x82");
    }

    #[test]
    fn the_picture_is_small_and_its_parts_add_up() {
        let picture = picture();
        let side = usize::from(SIDE);
        let data = side * (side * 4 + 1);
        assert_eq!(picture.len(), 8 + (12 + 13) + (12 + 2 + 5 + data + 4) + 12);
        assert!(picture.len() < 16_000);
    }
}
