// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps of class `Environment`: a picture of all directions becomes the cube maps of a sky, and of the light from it.

use super::texture;
use crate::sky::{Maps, cube};
use bevy::prelude::*;
use half::f16;
use std::f32::consts::{PI, TAU};

/// Most pixels along the edge of a face that is seen.
const SEEN_SIZE_MAX: u32 = 1024;
const DIFFUSE_SIZE: u32 = 16;
const SPECULAR_SIZE: u32 = 64;
const SPECULAR_LEVELS: u32 = 6;
/// Most pixels in a row of the copy whose light is summed for what is not mirrored.
const LIGHTS_WIDTH_MAX: usize = 64;
/// Directions in which light is gathered for a direction of a rough mirror: enough, since each is taken from a copy of
/// the picture that is as coarse as they lie apart.
const SAMPLES: u16 = 64;

/// The cube maps of a picture that is twice as wide as high, and their size in memory.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Maps, usize), String> {
    let (width, height) = texture::size(bytes)?;
    if width != height * 2 || height < 2 {
        return Err(format!("picture of {width} × {height} pixels is not twice as wide as high"));
    }
    let panorama = Panorama::new(texture::light(bytes)?, width as usize, height as usize);
    let seen_size = (width / 4).next_power_of_two().clamp(16, SEEN_SIZE_MAX);
    let seen = faces(&[seen_size], |direction, _| {
        panorama.at(direction, panorama.level_of(TAU / 4.0 / seen_size as f32))
    });
    let lights = panorama.lights();
    let diffuse = faces(&[DIFFUSE_SIZE], |direction, _| irradiance(&lights, direction));
    let sizes: Vec<u32> = (0..SPECULAR_LEVELS).map(|level| SPECULAR_SIZE >> level).collect();
    let specular = faces(&sizes, |direction, level| {
        let roughness = level as f32 / (SPECULAR_LEVELS - 1) as f32;
        panorama.reflected(direction, roughness, TAU / 4.0 / (SPECULAR_SIZE >> level) as f32)
    });
    let weight = seen.len() + diffuse.len() + specular.len();
    let maps = Maps {
        seen: cube(seen_size, 1, seen),
        diffuse: cube(DIFFUSE_SIZE, 1, diffuse),
        specular: cube(SPECULAR_SIZE, SPECULAR_LEVELS, specular),
    };
    Ok((maps, weight))
}

/// The pixels of a cube map of these sizes of levels, from the light of each direction of the world.
fn faces(sizes: &[u32], light: impl Fn(Vec3, usize) -> Vec3) -> Vec<u8> {
    let mut out = Vec::new();
    for face in 0..6 {
        for (level, size) in sizes.iter().enumerate() {
            for row in 0..*size {
                for column in 0..*size {
                    let along = |i: u32| 2.0 * (i as f32 + 0.5) / *size as f32 - 1.0;
                    let light = light(direction(face, along(column), along(row)), level);
                    out.extend(
                        light.extend(1.0).to_array().iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()),
                    );
                }
            }
        }
    }
    out
}

/// The direction of the world that a place of a face shows. Cube maps are left-handed: their z is −z of the world.
fn direction(face: u32, u: f32, v: f32) -> Vec3 {
    let [x, y, z] = match face {
        0 => [1.0, -v, -u],
        1 => [-1.0, -v, u],
        2 => [u, 1.0, v],
        3 => [u, -1.0, -v],
        4 => [u, -v, 1.0],
        _ => [-u, -v, -1.0],
    };
    Vec3::new(x, y, -z).normalize()
}

/// A picture of all directions: its middle is −Z, its right half +X, its top +Y. With smaller copies.
struct Panorama {
    levels: Vec<(Vec<[f32; 4]>, usize, usize)>,
}

impl Panorama {
    fn new(pixels: Vec<[f32; 4]>, width: usize, height: usize) -> Panorama {
        let mut levels = vec![(pixels, width, height)];
        while let Some((pixels, width, height)) = levels.last()
            && *height > 2
        {
            let smaller = (texture::half(pixels, *width, *height), width / 2, height / 2);
            levels.push(smaller);
        }
        Panorama { levels }
    }

    /// The copy, counted from the largest, whose pixels are about this many radians wide.
    fn level_of(&self, angle: f32) -> f32 {
        let pixel = TAU / self.levels[0].1 as f32;
        (angle / pixel).max(1.0).log2().min((self.levels.len() - 1) as f32)
    }

    /// The light from a direction, between the pixels of two copies.
    fn at(&self, direction: Vec3, level: f32) -> Vec3 {
        let (lower, part) = (level.floor(), level.fract());
        let first = self.of_level(direction, lower as usize);
        if part < 0.01 {
            return first;
        }
        first.lerp(self.of_level(direction, (lower as usize + 1).min(self.levels.len() - 1)), part)
    }

    fn of_level(&self, direction: Vec3, level: usize) -> Vec3 {
        let (pixels, width, height) = &self.levels[level];
        let u = 0.5 + direction.x.atan2(-direction.z) / TAU;
        let v = direction.y.clamp(-1.0, 1.0).acos() / PI;
        let (x, y) = (u * *width as f32 - 0.5, (v * *height as f32 - 0.5).clamp(0.0, (*height - 1) as f32));
        let (left, above) = (x.floor(), y.floor() as usize);
        let column = |offset: i64| (left as i64 + offset).rem_euclid(*width as i64) as usize;
        let pixel = |column: usize, row: usize| {
            let [r, g, b, _] = pixels[row.min(*height - 1) * *width + column];
            Vec3::new(r, g, b)
        };
        let (right, below) = (x - left, y.fract());
        let row = |row: usize| pixel(column(0), row).lerp(pixel(column(1), row), right);
        row(above).lerp(row(above + 1), below)
    }

    /// What a mirror of this roughness, seen from straight before it, gets from about a direction: the lobe of GGX
    /// (Karis, Real Shading in Unreal Engine 4, 2013). `pixel` is the angle between two of the directions asked for.
    fn reflected(&self, normal: Vec3, roughness: f32, pixel: f32) -> Vec3 {
        if roughness == 0.0 {
            return self.at(normal, self.level_of(pixel));
        }
        let alpha = roughness * roughness;
        let (across, up) = normal.any_orthonormal_pair();
        let (mut sum, mut weights) = (Vec3::ZERO, 0.0);
        for i in 0..SAMPLES {
            // Points of Hammersley.
            let (a, b) = ((f32::from(i) + 0.5) / f32::from(SAMPLES), f32::from(i.reverse_bits()) / 65_536.0);
            let cos2 = (1.0 - b) / (1.0 + (alpha * alpha - 1.0) * b);
            let (cos, sin) = (cos2.sqrt(), (1.0 - cos2).max(0.0).sqrt());
            let (spoke_sin, spoke_cos) = (a * TAU).sin_cos();
            let half = across * (sin * spoke_cos) + up * (sin * spoke_sin) + normal * cos;
            let light = half * (2.0 * cos) - normal;
            let weight = normal.dot(light);
            if weight <= 0.0 {
                continue;
            }
            // How densely directions lie there, and so how wide a part of the sky each stands for.
            let spread = alpha * alpha / (PI * (cos2 * (alpha * alpha - 1.0) + 1.0).powi(2));
            let part = 4.0 / (f32::from(SAMPLES) * spread.max(1e-6));
            sum += self.at(light, self.level_of(part.min(PI).sqrt().max(pixel))) * weight;
            weights += weight;
        }
        sum / f32::max(weights, 1e-6)
    }

    /// Its light as a list: from where, and how much, with the part of the sphere that it comes from.
    fn lights(&self) -> Vec<(Vec3, Vec3)> {
        let coarse = self.levels.iter().find(|(_, width, _)| *width <= LIGHTS_WIDTH_MAX);
        let (pixels, width, height) = coarse.unwrap_or(&self.levels[self.levels.len() - 1]);
        let polar = |row: f32| row / *height as f32 * PI;
        let places = (0..*height).flat_map(|row| (0..*width).map(move |column| (row, column)));
        places
            .map(|(row, column)| {
                let (above, middle) = (polar(row as f32), polar(row as f32 + 0.5));
                let area = TAU / *width as f32 * (above.cos() - polar(row as f32 + 1.0).cos());
                let around = ((column as f32 + 0.5) / *width as f32 - 0.5) * TAU;
                let direction =
                    Vec3::new(middle.sin() * around.sin(), middle.cos(), -middle.sin() * around.cos());
                let [r, g, b, _] = pixels[row * width + column];
                (direction, Vec3::new(r, g, b) * area)
            })
            .collect()
    }
}

/// The mean of the light over the half about a direction, weighted with the cosine.
fn irradiance(lights: &[(Vec3, Vec3)], normal: Vec3) -> Vec3 {
    lights.iter().map(|(direction, light)| *light * normal.dot(*direction).max(0.0)).sum::<Vec3>() / PI
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// A picture whose light is a function of the direction.
    fn panorama(light: impl Fn(Vec3) -> Vec3) -> Panorama {
        let (width, height) = (64, 32);
        let pixels = (0..width * height).map(|i| {
            let polar = ((i / width) as f32 + 0.5) / height as f32 * PI;
            let around = (((i % width) as f32 + 0.5) / width as f32 - 0.5) * TAU;
            let direction = Vec3::new(polar.sin() * around.sin(), polar.cos(), -polar.sin() * around.cos());
            light(direction).extend(1.0).to_array()
        });
        Panorama::new(pixels.collect(), width, height)
    }

    fn directions() -> impl Iterator<Item = Vec3> {
        (0..6).flat_map(|face| [(0.0, 0.0), (-0.7, 0.3), (0.9, -0.9)].map(|(u, v)| direction(face, u, v)))
    }

    #[test]
    fn faces_show_their_directions() {
        assert_eq!(direction(0, 0.0, 0.0), Vec3::X);
        assert_eq!(direction(2, 0.0, 0.0), Vec3::Y);
        assert_eq!(direction(4, 0.0, 0.0), Vec3::NEG_Z);
        assert_eq!(direction(5, 0.0, 0.0), Vec3::Z);
        // Before us, right is +X.
        assert!(direction(4, 0.5, 0.0).x > 0.0 && direction(5, 0.5, 0.0).x < 0.0);
        let right = panorama(|d| if d.x > 0.0 { Vec3::ONE } else { Vec3::ZERO });
        assert!(right.at(Vec3::new(0.9, 0.1, -0.2).normalize(), 0.0).x > 0.99);
        assert!(right.at(Vec3::new(-0.9, 0.1, -0.2).normalize(), 0.0).x < 0.01);
    }

    #[test]
    fn even_light_is_even_in_all_maps() {
        let even = panorama(|_| Vec3::new(1.0, 2.0, 3.0));
        let lights = even.lights();
        for direction in directions() {
            for light in [
                even.at(direction, 1.5),
                even.reflected(direction, 0.4, 0.02),
                even.reflected(direction, 1.0, 0.5),
                irradiance(&lights, direction),
            ] {
                assert!(light.abs_diff_eq(Vec3::new(1.0, 2.0, 3.0), 0.03), "{light} at {direction}");
            }
        }
    }

    #[test]
    fn light_from_above_falls_on_what_faces_up() {
        let above = panorama(|d| Vec3::splat(d.y.max(0.0)));
        let lights = above.lights();
        // The mean of the cosine, weighted with the cosine, is two thirds.
        let up = irradiance(&lights, Vec3::Y).x;
        assert!((up - 2.0 / 3.0).abs() < 0.01, "{up}");
        assert!(irradiance(&lights, Vec3::NEG_Y).x < 0.01);
        assert!(above.reflected(Vec3::Y, 0.2, 0.02).x > above.reflected(Vec3::Y, 1.0, 0.02).x);
        assert!(above.reflected(Vec3::X, 1.0, 0.02).x > 0.05);
    }

    #[test]
    fn what_is_no_panorama_is_refused() {
        assert_eq!(decode(b"none").err().unwrap(), "none of PNG, JPEG, WebP, Radiance HDR and KTX2");
        let mut out = std::io::Cursor::new(Vec::new());
        let square = image::RgbaImage::new(8, 8);
        square.write_to(&mut out, image::ImageFormat::Png).unwrap();
        let reason = decode(out.get_ref()).err().unwrap();
        assert_eq!(reason, "picture of 8 × 8 pixels is not twice as wide as high");
    }
}
