// SPDX-License-Identifier: AGPL-3.0-or-later
//! Vectors and rotations: right-handed, +Y up, −Z forward, as in glTF.

use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// A vector of three, or a place in metres.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Vec3 {
    /// To the right.
    pub x: f32,
    /// Up.
    pub y: f32,
    /// Backwards.
    pub z: f32,
}

/// A vector of three.
pub const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    /// No way.
    pub const ZERO: Vec3 = vec3(0.0, 0.0, 0.0);
    /// To the right.
    pub const X: Vec3 = vec3(1.0, 0.0, 0.0);
    /// Up.
    pub const Y: Vec3 = vec3(0.0, 1.0, 0.0);
    /// Backwards.
    pub const Z: Vec3 = vec3(0.0, 0.0, 1.0);

    /// As three numbers.
    pub const fn array(self) -> [f32; 3] {
        [self.x, self.y, self.z]
    }

    /// The scalar product.
    pub fn dot(self, other: Vec3) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    /// The vector product.
    pub fn cross(self, other: Vec3) -> Vec3 {
        vec3(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    /// Its length.
    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// Of the same direction with length 1; `None` if it has next to no length.
    pub fn unit(self) -> Option<Vec3> {
        let length = self.length();
        (length > 1e-9).then(|| self * (1.0 / length))
    }

    /// Part of the way to another: 0 here, 1 there.
    pub fn lerp(self, other: Vec3, part: f32) -> Vec3 {
        self + (other - self) * part
    }
}

impl From<[f32; 3]> for Vec3 {
    fn from([x, y, z]: [f32; 3]) -> Vec3 {
        vec3(x, y, z)
    }
}

impl From<Vec3> for [f32; 3] {
    fn from(v: Vec3) -> [f32; 3] {
        v.array()
    }
}

impl Add for Vec3 {
    type Output = Vec3;
    fn add(self, other: Vec3) -> Vec3 {
        vec3(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl AddAssign for Vec3 {
    fn add_assign(&mut self, other: Vec3) {
        *self = *self + other;
    }
}

impl Sub for Vec3 {
    type Output = Vec3;
    fn sub(self, other: Vec3) -> Vec3 {
        vec3(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Neg for Vec3 {
    type Output = Vec3;
    fn neg(self) -> Vec3 {
        self * -1.0
    }
}

impl Mul<f32> for Vec3 {
    type Output = Vec3;
    fn mul(self, factor: f32) -> Vec3 {
        vec3(self.x * factor, self.y * factor, self.z * factor)
    }
}

/// A rotation: a unit quaternion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quat {
    /// The axis times the sine of half the angle.
    pub v: Vec3,
    /// The cosine of half the angle.
    pub w: f32,
}

impl Default for Quat {
    fn default() -> Quat {
        Quat::IDENTITY
    }
}

impl Quat {
    /// No rotation.
    pub const IDENTITY: Quat = Quat { v: Vec3::ZERO, w: 1.0 };

    /// About an axis by an angle in radians, counter-clockwise seen against the axis. No rotation if
    /// the axis has no length.
    pub fn about(axis: Vec3, angle: f32) -> Quat {
        let Some(axis) = axis.unit() else { return Quat::IDENTITY };
        let (sin, cos) = (angle * 0.5).sin_cos();
        Quat { v: axis * sin, w: cos }
    }

    /// Of who looks along −Z and then turns left by `yaw`, looks up by `pitch`, and leans left by
    /// `roll`, in radians.
    pub fn yaw_pitch_roll(yaw: f32, pitch: f32, roll: f32) -> Quat {
        Quat::about(Vec3::Y, yaw) * Quat::about(Vec3::X, pitch) * Quat::about(Vec3::Z, roll)
    }

    /// Of who looks from the origin along `forward` and keeps +Y up as far as possible.
    pub fn looking(forward: Vec3) -> Quat {
        let forward = forward.unit().unwrap_or(-Vec3::Z);
        let yaw = if forward.x.abs() + forward.z.abs() < 1e-6 { 0.0 } else { (-forward.x).atan2(-forward.z) };
        Quat::yaw_pitch_roll(yaw, forward.y.clamp(-1.0, 1.0).asin(), 0.0)
    }

    /// The vector, rotated.
    pub fn rotate(self, vector: Vec3) -> Vec3 {
        let t = self.v.cross(vector) * 2.0;
        vector + t * self.w + self.v.cross(t)
    }

    /// The rotation back.
    pub fn inverse(self) -> Quat {
        Quat { v: -self.v, w: self.w }
    }

    /// As x, y, z, w.
    pub const fn array(self) -> [f32; 4] {
        [self.v.x, self.v.y, self.v.z, self.w]
    }
}

impl Mul for Quat {
    type Output = Quat;

    /// First `other`, then `self`. The result is brought back to unit length, so that long chains hold.
    fn mul(self, other: Quat) -> Quat {
        let v = other.v * self.w + self.v * other.w + self.v.cross(other.v);
        let w = self.w * other.w - self.v.dot(other.v);
        let length = (v.dot(v) + w * w).sqrt();
        if length < 1e-9 {
            return Quat::IDENTITY;
        }
        Quat { v: v * (1.0 / length), w: w / length }
    }
}

impl From<Quat> for [f32; 4] {
    fn from(q: Quat) -> [f32; 4] {
        q.array()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::{FRAC_PI_2, PI};

    fn near(a: Vec3, b: Vec3) -> bool {
        (a - b).length() < 1e-5
    }

    #[test]
    fn rotations_turn_the_way_they_say() {
        for (rotation, from, to) in [
            (Quat::about(Vec3::Y, FRAC_PI_2), Vec3::Z, Vec3::X),
            (Quat::about(Vec3::X * 7.0, FRAC_PI_2), Vec3::Y, Vec3::Z),
            (Quat::about(Vec3::ZERO, 1.0), Vec3::Y, Vec3::Y),
            (Quat::yaw_pitch_roll(FRAC_PI_2, 0.0, 0.0), -Vec3::Z, -Vec3::X),
            (Quat::yaw_pitch_roll(0.0, FRAC_PI_2, 0.0), -Vec3::Z, Vec3::Y),
            (Quat::yaw_pitch_roll(PI, FRAC_PI_2, 0.0), -Vec3::Z, Vec3::Y),
            (Quat::yaw_pitch_roll(0.0, 0.0, FRAC_PI_2), Vec3::Y, -Vec3::X),
        ] {
            assert!(near(rotation.rotate(from), to), "{rotation:?} turns {from:?}");
            assert!(near(rotation.inverse().rotate(to), from), "{rotation:?} turns back {to:?}");
        }
    }

    #[test]
    fn a_product_does_the_right_one_first() {
        let (a, b) = (Quat::about(Vec3::X, 0.7), Quat::about(vec3(1.0, 2.0, 3.0), -1.9));
        let v = vec3(0.3, -4.0, 1.0);
        assert!(near((a * b).rotate(v), a.rotate(b.rotate(v))));
    }

    #[test]
    fn who_looks_somewhere_looks_there() {
        for forward in [-Vec3::Z, Vec3::Z, Vec3::X, Vec3::Y, -Vec3::Y, vec3(1.0, -2.0, 0.5)] {
            let seen = Quat::looking(forward).rotate(-Vec3::Z);
            assert!(near(seen * forward.length(), forward), "{forward:?}");
        }
    }

    #[test]
    fn long_chains_stay_rotations() {
        let step = Quat::about(vec3(1.0, 1.0, 0.1), 0.01);
        let end = (0..100_000).fold(Quat::IDENTITY, |q, _| step * q);
        let square: f32 = end.array().iter().map(|n| n * n).sum();
        assert!((square - 1.0).abs() < 1e-4);
    }
}
