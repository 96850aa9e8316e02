// SPDX-License-Identifier: AGPL-3.0-or-later
//! The sky: a gradient of three colours as a cube map, and the light that comes from it.
//!
//! The gradient depends only on how high one looks, and is a sum of the three colours with weights.
//! So are its blurred forms (what a matt surface, or a more or less rough one, gets of it). Their
//! weights are computed once; a new sky is then a few thousand sums.

use bevy::{
    asset::RenderAssetUsages,
    image::ImageSampler,
    prelude::*,
    render::render_resource::{
        Extent3d, TextureDimension, TextureFormat, TextureViewDescriptor, TextureViewDimension,
    },
};
use half::f16;
use hearth_abi::scene;
use std::sync::OnceLock;

/// What is shown, and by what things are lit, where no entity has a sky.
pub(crate) const DEFAULT: scene::Sky = scene::Sky {
    zenith: [0.08, 0.11, 0.19],
    horizon: [0.36, 0.33, 0.33],
    ground: [0.07, 0.07, 0.08],
    brightness: 700.0,
    ambient: 500.0,
};

/// Pixels along the edge of a face of the cube.
const SEEN_SIZE: u32 = 128;
const DIFFUSE_SIZE: u32 = 8;
const SPECULAR_SIZE: u32 = 32;
const SPECULAR_LEVELS: usize = 6;
/// Brightest colour; keeps half floats finite.
const COLOR_MOST: f32 = 1000.0;

/// The cube maps of a sky.
pub(crate) struct Maps {
    pub(crate) seen: Image,
    pub(crate) diffuse: Image,
    pub(crate) specular: Image,
}

impl Maps {
    /// Seen, diffuse and specular.
    pub(crate) fn into_images(self) -> Vec<Image> {
        vec![self.seen, self.diffuse, self.specular]
    }
}

/// How much of zenith, horizon and ground is seen at a height of `y` (−1 to 1) on the unit sphere.
fn weights(y: f32) -> [f32; 3] {
    if y >= 0.0 {
        let up = y.powf(0.55);
        [up, 1.0 - up, 0.0]
    } else {
        let down = (-y / 0.22).clamp(0.0, 1.0);
        let down = down * down * (3.0 - 2.0 * down);
        [0.0, 1.0 - down, down]
    }
}

/// Weights at evenly spaced heights.
struct Table(Vec<[f32; 3]>);

impl Table {
    const STEPS: usize = 128;

    fn new(weights: impl Fn(f32) -> [f32; 3]) -> Table {
        Table((0..=Table::STEPS).map(|i| weights(i as f32 / Table::STEPS as f32 * 2.0 - 1.0)).collect())
    }

    /// The mean over a lobe of cosine to the power of `sharpness` about each direction.
    fn blurred(sharpness: f32) -> Table {
        const RINGS: u16 = 12;
        const SPOKES: u16 = 16;
        Table::new(|y| {
            let across = (1.0 - y * y).max(0.0).sqrt();
            let mut sum = [0.0; 3];
            for ring in 0..RINGS {
                let part = (f32::from(ring) + 0.5) / f32::from(RINGS);
                let cos = part.powf(1.0 / (sharpness + 1.0));
                let sin = (1.0 - cos * cos).max(0.0).sqrt();
                for spoke in 0..SPOKES {
                    let angle = (f32::from(spoke) + 0.5) / f32::from(SPOKES) * std::f32::consts::TAU;
                    let at = weights((y * cos + across * sin * angle.cos()).clamp(-1.0, 1.0));
                    (0..3).for_each(|i| sum[i] += at[i]);
                }
            }
            sum.map(|total| total / f32::from(RINGS * SPOKES))
        })
    }

    fn at(&self, y: f32) -> [f32; 3] {
        let place = (y.clamp(-1.0, 1.0) + 1.0) * 0.5 * Table::STEPS as f32;
        let below = (place as usize).min(Table::STEPS - 1);
        let part = place - below as f32;
        [0, 1, 2].map(|i| self.0[below][i] * (1.0 - part) + self.0[below + 1][i] * part)
    }
}

fn tables() -> &'static (Table, Vec<Table>) {
    static TABLES: OnceLock<(Table, Vec<Table>)> = OnceLock::new();
    TABLES.get_or_init(|| {
        let specular = (0..SPECULAR_LEVELS).map(|level| {
            let roughness = level as f32 / (SPECULAR_LEVELS - 1) as f32;
            let alpha = (roughness * roughness).max(0.02);
            // The lobe of reflected light is about a quarter as sharp as that of the normals.
            Table::blurred(((2.0 / (alpha * alpha) - 2.0) / 4.0).max(1.0))
        });
        (Table::blurred(1.0), specular.collect())
    })
}

/// The cube maps of this sky.
pub(crate) fn maps(sky: &scene::Sky) -> Maps {
    let colors = [sky.zenith, sky.horizon, sky.ground].map(|c| c.map(|v| v.clamp(0.0, COLOR_MOST)));
    let (diffuse, specular) = tables();
    let mut seen = Vec::new();
    let mut soft = Vec::new();
    let mut glossy = Vec::new();
    for face in 0..6 {
        fill(&mut seen, face, SEEN_SIZE, &colors, weights);
        fill(&mut soft, face, DIFFUSE_SIZE, &colors, |y| diffuse.at(y));
        for (level, table) in specular.iter().enumerate() {
            fill(&mut glossy, face, SPECULAR_SIZE >> level, &colors, |y| table.at(y));
        }
    }
    Maps {
        seen: cube(SEEN_SIZE, 1, seen),
        diffuse: cube(DIFFUSE_SIZE, 1, soft),
        specular: cube(SPECULAR_SIZE, SPECULAR_LEVELS as u32, glossy),
    }
}

fn fill(
    out: &mut Vec<u8>,
    face: usize,
    size: u32,
    colors: &[[f32; 3]; 3],
    weights: impl Fn(f32) -> [f32; 3],
) {
    let one = f16::ONE.to_le_bytes();
    for row in 0..size {
        for column in 0..size {
            let along = |i: u32| 2.0 * (i as f32 + 0.5) / size as f32 - 1.0;
            let (u, v) = (along(column), along(row));
            let up = match face {
                2 => 1.0,
                3 => -1.0,
                _ => -v,
            };
            // On the top and bottom faces u and v are the two level axes, on the others one of them.
            let y = up / (1.0 + u * u + v * v).sqrt();
            let weights = weights(y);
            let light =
                [0, 1, 2].map(|channel| -> f32 { (0..3).map(|i| weights[i] * colors[i][channel]).sum() });
            out.extend(light.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()));
            out.extend_from_slice(&one);
        }
    }
}

/// A cube map of these half floats, face by face, each with its levels.
pub(crate) fn cube(size: u32, levels: u32, data: Vec<u8>) -> Image {
    let mut image = Image::new_uninit(
        Extent3d { width: size, height: size, depth_or_array_layers: 6 },
        TextureDimension::D2,
        TextureFormat::Rgba16Float,
        RenderAssetUsages::RENDER_WORLD,
    );
    image.texture_descriptor.mip_level_count = levels;
    image.texture_view_descriptor =
        Some(TextureViewDescriptor { dimension: Some(TextureViewDimension::Cube), ..default() });
    image.sampler = ImageSampler::linear();
    image.data = Some(data);
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_sky_stays_even_when_blurred() {
        let (diffuse, specular) = tables();
        for table in specular.iter().chain([diffuse]) {
            for y in [-1.0, -0.3, 0.0, 0.4, 1.0] {
                let total: f32 = table.at(y).iter().sum();
                assert!((total - 1.0).abs() < 1e-3, "{total} at {y}");
            }
        }
    }

    #[test]
    fn what_faces_up_gets_more_of_the_zenith() {
        let (diffuse, _) = tables();
        assert!(diffuse.at(1.0)[0] > diffuse.at(0.0)[0]);
        assert!(diffuse.at(-1.0)[2] > 0.5);
    }
}
