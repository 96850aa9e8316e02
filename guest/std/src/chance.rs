// SPDX-License-Identifier: AGPL-3.0-or-later
//! Irregularity that is the same every time: what a place is built with must not change with a restart.

use std::f32::consts::PI;

/// A row of numbers that look like chance.
#[derive(Clone, Debug)]
pub struct Chance(u32);

impl Chance {
    /// The row of this number.
    pub fn new(seed: u32) -> Chance {
        Chance(seed)
    }

    /// From 0 to 1.
    pub fn part(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(1);
        hash(self.0)
    }

    /// Between two numbers.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.part()
    }
}

/// A number from 0 to 1 that has nothing to do with its neighbours.
pub fn hash(n: u32) -> f32 {
    // The finaliser of MurmurHash3.
    let mut h = n.wrapping_mul(0x9e37_79b9);
    h = (h ^ h >> 16).wrapping_mul(0x85eb_ca6b);
    h = (h ^ h >> 13).wrapping_mul(0xc2b2_ae35);
    (h ^ h >> 16) as f32 / u32::MAX as f32
}

/// A smooth function of two numbers from −1 to 1, with bumps one apart.
pub fn noise(x: f32, y: f32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let at = |dx: f32, dy: f32| {
        let cell = (fx + dx) as i32 as u32;
        hash(cell.wrapping_mul(7919) ^ ((fy + dy) as i32 as u32).wrapping_mul(104_729)) * 2.0 - 1.0
    };
    let ease = |t: f32| (1.0 - (t * PI).cos()) * 0.5;
    let (tx, ty) = (ease(x - fx), ease(y - fy));
    let row = |dy: f32| at(0.0, dy) + (at(1.0, dy) - at(0.0, dy)) * tx;
    row(0.0) + (row(1.0) - row(0.0)) * ty
}

/// Colour `a` to colour `b`: 0 to 1.
pub fn mix(a: [f32; 3], b: [f32; 3], part: f32) -> [f32; 3] {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_smooth_and_within_its_range() {
        let mut seen = (f32::MAX, f32::MIN);
        for i in 0..4000 {
            let (x, y) = (i as f32 * 0.013 - 20.0, i as f32 * 0.007);
            let value = noise(x, y);
            assert!((noise(x + 1e-3, y) - value).abs() < 0.01, "a step at {x} {y}");
            seen = (seen.0.min(value), seen.1.max(value));
        }
        assert!(seen.0 >= -1.0 && seen.1 <= 1.0 && seen.0 < -0.5 && seen.1 > 0.5, "{seen:?}");
    }
}
