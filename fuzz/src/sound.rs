// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a lump of class `Sound` holds.

use hearth_sound::{BYTES_MAX, RATE_MAX, RATE_MIN, decode};

/// A file from anywhere: it is a clip within the bounds, or an error of one line.
pub fn sound(data: &[u8]) -> bool {
    match decode(data) {
        Ok(clip) => {
            assert!(clip.frames() > 0 && clip.bytes() <= BYTES_MAX);
            assert!((1..=2).contains(&clip.channels()) && (RATE_MIN..=RATE_MAX).contains(&clip.rate()));
            assert!(clip.samples().iter().all(|sample| sample.abs() <= 1.0));
            true
        }
        Err(error) => {
            let line = error.to_string();
            assert!(!line.is_empty() && !line.contains('\n') && line.len() < 200, "{line}");
            false
        }
    }
}
