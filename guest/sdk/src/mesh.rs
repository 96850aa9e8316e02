// SPDX-License-Identifier: AGPL-3.0-or-later
//! Shapes: meshes built by a script, from simple solids, by joining and bending them.
//!
//! Triangles are counter-clockwise seen from outside, in metres, and colours are per vertex, so that a
//! whole piece of furniture is one entity.
//!
//! ```
//! # use hearth_sdk::{mesh::Shape, math::vec3, scene::srgb};
//! let mut lamp = Shape::lathe(&[[0.0, 0.0], [0.12, 0.0], [0.03, 0.05], [0.03, 0.4], [0.0, 0.4]], 16)
//!     .colored(srgb(0x54402c));
//! lamp.add(Shape::sphere(0.1, 12).moved(vec3(0.0, 0.5, 0.0)).colored(srgb(0xffe0a0)));
//! let source = lamp.source()?;              // a lump with the mesh, for `Entity::mesh`
//! # Ok::<(), hearth_sdk::Errno>(())
//! ```

use crate::{
    lump::Lump,
    math::{Quat, Vec3, vec3},
};
use hearth_abi::{
    Errno,
    mesh::Mesh,
    scene::{MeshSource, Transform},
};
use std::f32::consts::{PI, TAU};

/// A mesh under construction. Every vertex has a normal and a colour, white at first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    mesh: Mesh,
}

const WHITE: [u8; 4] = [255; 4];

fn byte(part: f32) -> u8 {
    (part.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

impl Shape {
    /// Nothing.
    pub fn new() -> Shape {
        Shape::default()
    }

    /// The mesh.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Number of triangles.
    pub fn triangles(&self) -> usize {
        self.mesh.indices.len() / 3
    }

    fn vertex(&mut self, place: Vec3, normal: Vec3) -> u32 {
        self.mesh.positions.push(place.array());
        self.mesh.normals.push(normal.array());
        self.mesh.colors.push(WHITE);
        self.mesh.positions.len() as u32 - 1
    }

    /// Adds a flat polygon with corners counter-clockwise seen from its front; it must be convex.
    pub fn polygon(&mut self, corners: &[Vec3]) {
        let Some(normal) = flat_normal(corners) else { return };
        let first = self.mesh.positions.len() as u32;
        for corner in corners {
            self.vertex(*corner, normal);
        }
        for corner in 2..corners.len() as u32 {
            self.mesh.indices.extend([first, first + corner - 1, first + corner]);
        }
    }

    /// A box about the origin.
    pub fn cuboid(size: Vec3) -> Shape {
        let mut shape = Shape::new();
        let h = size * 0.5;
        let corner = |bits: u8| {
            let sign = |bit: u8| if bits & bit != 0 { 1.0 } else { -1.0 };
            vec3(h.x * sign(1), h.y * sign(2), h.z * sign(4))
        };
        for face in [[4, 5, 7, 6], [1, 0, 2, 3], [5, 1, 3, 7], [0, 4, 6, 2], [6, 7, 3, 2], [0, 1, 5, 4]] {
            shape.polygon(&face.map(corner));
        }
        shape
    }

    /// A box about the origin with its edges cut off at 45°, which catch the light.
    pub fn block(size: Vec3, cut: f32) -> Shape {
        let h = size * 0.5;
        let cut = cut.min(h.x * 0.9).min(h.z * 0.9).min(h.y * 0.9);
        let ring = |x: f32, z: f32, c: f32| {
            vec![
                [x, -z + c],
                [x - c, -z],
                [-x + c, -z],
                [-x, -z + c],
                [-x, z - c],
                [-x + c, z],
                [x - c, z],
                [x, z - c],
            ]
        };
        let outer = ring(h.x, h.z, cut);
        let inner = ring(h.x - cut, h.z - cut, cut * 0.4);
        let mut shape = Shape::new();
        let levels = [(&inner, -h.y), (&outer, -h.y + cut), (&outer, h.y - cut), (&inner, h.y)];
        let place = |(ring, y): (&Vec<[f32; 2]>, f32), i: usize| vec3(ring[i % 8][0], y, ring[i % 8][1]);
        for pair in levels.windows(2) {
            for i in 0..8 {
                let (low, high) = (pair[0], pair[1]);
                shape.polygon(&[place(low, i), place(low, i + 1), place(high, i + 1), place(high, i)]);
            }
        }
        let cap: Vec<Vec3> = (0..8).map(|i| place((&inner, h.y), i)).collect();
        shape.polygon(&cap);
        let cap: Vec<Vec3> = (0..8).rev().map(|i| place((&inner, -h.y), i)).collect();
        shape.polygon(&cap);
        shape
    }

    /// A body of revolution about the Y axis. The profile is points of radius and height from below to
    /// above; a radius of zero closes it. Edges of more than 40° in the profile stay sharp.
    pub fn lathe(profile: &[[f32; 2]], segments: u32) -> Shape {
        let segments = segments.max(3);
        let mut shape = Shape::new();
        let slopes: Vec<Option<Vec3>> = profile
            .windows(2)
            .map(|pair| vec3(pair[1][1] - pair[0][1], pair[0][0] - pair[1][0], 0.0).unit())
            .collect();
        // The normal of a band's end: halfway to the next band's if the edge is blunt.
        let normal = |band: usize, neighbour: Option<usize>| {
            let own = slopes[band].unwrap_or(Vec3::Y);
            let other = neighbour.and_then(|at| slopes.get(at).copied().flatten());
            match other.filter(|other| own.dot(*other) > 0.766) {
                Some(other) => (own + other).unit().unwrap_or(own),
                None => own,
            }
        };
        for band in 0..slopes.len() {
            if slopes[band].is_none() {
                continue;
            }
            let (low, high) = (profile[band], profile[band + 1]);
            let (low_normal, high_normal) = (normal(band, band.checked_sub(1)), normal(band, Some(band + 1)));
            let first = shape.mesh.positions.len() as u32;
            for segment in 0..=segments {
                let (sin, cos) = (segment as f32 / segments as f32 * TAU).sin_cos();
                let around = |[radius, height]: [f32; 2]| vec3(radius * cos, height, -radius * sin);
                let turned = |n: Vec3| vec3(n.x * cos, n.y, -n.x * sin);
                shape.vertex(around(low), turned(low_normal));
                shape.vertex(around(high), turned(high_normal));
            }
            for segment in 0..segments {
                let [a, b, c, d] = [0, 1, 2, 3].map(|i| first + segment * 2 + i);
                if low[0] > 0.0 {
                    shape.mesh.indices.extend([a, c, d]);
                }
                if high[0] > 0.0 {
                    shape.mesh.indices.extend([a, d, b]);
                }
            }
        }
        shape
    }

    /// A ball about the origin.
    pub fn sphere(radius: f32, segments: u32) -> Shape {
        Shape::capsule(radius, 0.0, segments)
    }

    /// A ball of this radius, drawn out along Y by `length`, about the origin.
    pub fn capsule(radius: f32, length: f32, segments: u32) -> Shape {
        let quarter = (segments.max(4) / 4).max(2);
        let half = length * 0.5;
        let arc = |from: f32, lift: f32| {
            (0..=quarter).map(move |i| {
                let angle = from + PI * 0.5 * i as f32 / quarter as f32;
                // Exactly zero at the poles, so that they close.
                let reach = if angle.abs() > PI * 0.4999 { 0.0 } else { radius * angle.cos() };
                [reach, radius * angle.sin() + lift]
            })
        };
        let mut profile: Vec<[f32; 2]> = arc(-PI * 0.5, -half).collect();
        profile.extend(arc(0.0, half).skip(usize::from(length == 0.0)));
        Shape::lathe(&profile, segments)
    }

    /// A cylinder about the origin, along Y, that may be narrower above.
    pub fn cone(radius_below: f32, radius_above: f32, height: f32, segments: u32) -> Shape {
        let h = height * 0.5;
        Shape::lathe(&[[0.0, -h], [radius_below, -h], [radius_above, h], [0.0, h]], segments)
    }

    /// A convex outline in the xy plane, counter-clockwise seen from +Z, drawn out along Z by `depth`,
    /// about z = 0.
    pub fn extrude(outline: &[[f32; 2]], depth: f32) -> Shape {
        let mut shape = Shape::new();
        let h = depth * 0.5;
        let at = |point: &[f32; 2], z: f32| vec3(point[0], point[1], z);
        let front: Vec<Vec3> = outline.iter().map(|p| at(p, h)).collect();
        shape.polygon(&front);
        let back: Vec<Vec3> = outline.iter().rev().map(|p| at(p, -h)).collect();
        shape.polygon(&back);
        for (i, p) in outline.iter().enumerate() {
            let q = &outline[(i + 1) % outline.len()];
            shape.polygon(&[at(p, -h), at(q, -h), at(q, h), at(p, h)]);
        }
        shape
    }

    /// A tube along a path, with a radius at each of its points, open at its ends.
    pub fn tube(path: &[(Vec3, f32)], segments: u32) -> Shape {
        let segments = segments.max(3);
        let mut shape = Shape::new();
        let mut side = Vec3::X;
        for (i, (place, radius)) in path.iter().enumerate() {
            let before = path[i.saturating_sub(1)].0;
            let after = path[(i + 1).min(path.len() - 1)].0;
            let along = (after - before).unit().unwrap_or(Vec3::Y);
            // The side of the ring before, made square to this one: the tube does not twist.
            let free = side - along * side.dot(along);
            side = free.unit().unwrap_or_else(|| along.cross(Vec3::Z).unit().unwrap_or(Vec3::X));
            let other = along.cross(side);
            for segment in 0..=segments {
                let (sin, cos) = (segment as f32 / segments as f32 * TAU).sin_cos();
                let out = side * cos + other * sin;
                shape.vertex(*place + out * *radius, out);
            }
        }
        let row = segments + 1;
        for i in 1..path.len() as u32 {
            for segment in 0..segments {
                let (low, high) = ((i - 1) * row + segment, i * row + segment);
                shape.mesh.indices.extend([low, low + 1, high + 1, low, high + 1, high]);
            }
        }
        shape
    }

    /// A surface over the xz plane about the origin: `cells` along x and z over `size` metres, with a
    /// height for each point.
    pub fn heightfield(cells: [u32; 2], size: [f32; 2], height: impl Fn(f32, f32) -> f32) -> Shape {
        let mut shape = Shape::new();
        let [nx, nz] = cells.map(|n| n.max(1));
        let step = [size[0] / nx as f32, size[1] / nz as f32];
        for iz in 0..=nz {
            for ix in 0..=nx {
                let x = ix as f32 * step[0] - size[0] * 0.5;
                let z = iz as f32 * step[1] - size[1] * 0.5;
                let slope = |dx: f32, dz: f32| height(x + dx, z + dz) - height(x - dx, z - dz);
                let normal =
                    vec3(-slope(step[0] * 0.5, 0.0) / step[0], 1.0, -slope(0.0, step[1] * 0.5) / step[1]);
                shape.vertex(vec3(x, height(x, z), z), normal.unit().unwrap_or(Vec3::Y));
            }
        }
        for iz in 0..nz {
            for ix in 0..nx {
                let a = iz * (nx + 1) + ix;
                let c = a + nx + 1;
                shape.mesh.indices.extend([a, c, c + 1, a, c + 1, a + 1]);
            }
        }
        shape
    }

    /// Joins another shape to this one.
    pub fn add(&mut self, other: Shape) -> &mut Shape {
        let first = self.mesh.positions.len() as u32;
        self.mesh.positions.extend(other.mesh.positions);
        self.mesh.normals.extend(other.mesh.normals);
        self.mesh.colors.extend(other.mesh.colors);
        self.mesh.indices.extend(other.mesh.indices.iter().map(|index| index + first));
        self
    }

    /// Moved.
    pub fn moved(mut self, by: Vec3) -> Shape {
        for place in &mut self.mesh.positions {
            *place = (Vec3::from(*place) + by).array();
        }
        self
    }

    /// Turned about the origin.
    pub fn turned(mut self, rotation: Quat) -> Shape {
        for vector in self.mesh.positions.iter_mut().chain(&mut self.mesh.normals) {
            *vector = rotation.rotate((*vector).into()).array();
        }
        self
    }

    /// Scaled along the axes; a factor below zero mirrors.
    pub fn scaled(mut self, factors: Vec3) -> Shape {
        for place in &mut self.mesh.positions {
            *place = [place[0] * factors.x, place[1] * factors.y, place[2] * factors.z];
        }
        for normal in &mut self.mesh.normals {
            // Cofactors instead of inverses: a factor of zero is no division by zero.
            let n = vec3(
                normal[0] * factors.y * factors.z,
                normal[1] * factors.x * factors.z,
                normal[2] * factors.x * factors.y,
            );
            *normal = n.unit().unwrap_or(Vec3::Y).array();
        }
        if factors.x * factors.y * factors.z < 0.0 {
            for normal in &mut self.mesh.normals {
                *normal = (-Vec3::from(*normal)).array();
            }
            for triangle in self.mesh.indices.chunks_exact_mut(3) {
                triangle.swap(1, 2);
            }
        }
        self
    }

    /// Placed by a transform.
    pub fn placed(self, transform: &Transform) -> Shape {
        let [x, y, z, w] = transform.rotation;
        self.scaled(transform.scale.into())
            .turned(Quat { v: vec3(x, y, z), w })
            .moved(transform.translation.into())
    }

    /// Every point moved to where `map` says, as for dents and bends; the faces become flat.
    pub fn bent(mut self, map: impl Fn(Vec3) -> Vec3) -> Shape {
        for place in &mut self.mesh.positions {
            *place = map((*place).into()).array();
        }
        self.flat()
    }

    /// All of one linear colour.
    pub fn colored(self, color: [f32; 3]) -> Shape {
        self.painted(|_, _| color)
    }

    /// With a linear colour for each vertex, by its place and normal.
    pub fn painted(mut self, color: impl Fn(Vec3, Vec3) -> [f32; 3]) -> Shape {
        let vertices = self.mesh.positions.iter().zip(&self.mesh.normals);
        for (out, (place, normal)) in self.mesh.colors.iter_mut().zip(vertices) {
            let [r, g, b] = color((*place).into(), (*normal).into()).map(byte);
            *out = [r, g, b, 255];
        }
        self
    }

    /// With flat faces: no vertex is shared, and each normal is its triangle's. A triangle has the
    /// colour of its first vertex; one without an area is left out.
    pub fn flat(self) -> Shape {
        let mut shape = Shape::new();
        for triangle in self.mesh.indices.chunks_exact(3) {
            let corners = [0, 1, 2].map(|i| Vec3::from(self.mesh.positions[triangle[i] as usize]));
            let Some(normal) = flat_normal(&corners) else { continue };
            for corner in corners {
                let index = shape.vertex(corner, normal);
                shape.mesh.colors[index as usize] = self.mesh.colors[triangle[0] as usize];
                shape.mesh.indices.push(index);
            }
        }
        shape
    }

    /// The mesh as a lump.
    ///
    /// # Errors
    /// As [`Lump::put`].
    pub fn lump(&self) -> Result<Lump, Errno> {
        Lump::put(&self.mesh.encode())
    }

    /// The mesh as a lump, to be named by an entity.
    ///
    /// # Errors
    /// As [`Lump::put`].
    pub fn source(&self) -> Result<MeshSource, Errno> {
        Ok(MeshSource::Lump(self.lump()?.0))
    }
}

/// Newell's method: right for any flat polygon, also where neighbouring corners coincide.
fn flat_normal(corners: &[Vec3]) -> Option<Vec3> {
    let mut sum = Vec3::ZERO;
    for (i, a) in corners.iter().enumerate() {
        sum += a.cross(corners[(i + 1) % corners.len()]);
    }
    sum.unit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solids() -> Vec<(&'static str, Shape, f32)> {
        let hexagon: Vec<[f32; 2]> =
            (0..6).map(|i| (i as f32 * TAU / 6.0).sin_cos()).map(|(sin, cos)| [cos, sin]).collect();
        vec![
            ("cuboid", Shape::cuboid(vec3(1.0, 2.0, 3.0)), 6.0),
            ("block", Shape::block(vec3(1.0, 2.0, 3.0), 0.001), 6.0),
            ("sphere", Shape::sphere(1.0, 64), 4.0 / 3.0 * PI),
            ("capsule", Shape::capsule(1.0, 2.0, 64), 4.0 / 3.0 * PI + 2.0 * PI),
            ("cone", Shape::cone(1.0, 0.0, 3.0, 64), PI),
            ("cylinder", Shape::cone(1.0, 1.0, 3.0, 64), 3.0 * PI),
            ("extrusion", Shape::extrude(&hexagon, 2.0), 3.0f32.sqrt() * 3.0),
            ("turned", Shape::cuboid(Vec3::X + Vec3::Y + Vec3::Z).turned(Quat::about(Vec3::X, 1.0)), 1.0),
            ("mirrored", Shape::cone(1.0, 0.0, 3.0, 64).scaled(vec3(-1.0, 2.0, 1.0)), 2.0 * PI),
            ("flat", Shape::sphere(1.0, 64).flat(), 4.0 / 3.0 * PI),
            ("bent", Shape::sphere(1.0, 64).bent(|p| p * 2.0), 32.0 / 3.0 * PI),
        ]
    }

    fn triangles(shape: &Shape) -> impl Iterator<Item = ([Vec3; 3], [Vec3; 3])> {
        let mesh = shape.mesh();
        mesh.indices.chunks_exact(3).map(|t| {
            let place = |i: usize| Vec3::from(mesh.positions[t[i] as usize]);
            let normal = |i: usize| Vec3::from(mesh.normals[t[i] as usize]);
            ([place(0), place(1), place(2)], [normal(0), normal(1), normal(2)])
        })
    }

    #[test]
    fn solids_are_closed_and_enclose_their_volume() {
        for (name, shape, volume) in solids() {
            let sum: f32 = triangles(&shape).map(|([a, b, c], _)| a.dot(b.cross(c)) / 6.0).sum();
            assert!((sum / volume - 1.0).abs() < 0.01, "{name}: {sum} instead of {volume}");
            // The sum of the areas as vectors is zero for a closed surface only.
            let open = triangles(&shape).fold(Vec3::ZERO, |sum, ([a, b, c], _)| sum + (b - a).cross(c - a));
            assert!(open.length() < 0.01 * volume, "{name} is open by {open:?}");
        }
    }

    #[test]
    fn normals_are_of_length_one_and_look_outside() {
        let tube = Shape::tube(&[(Vec3::ZERO, 0.5), (Vec3::Y, 0.4), (vec3(1.0, 2.0, 0.0), 0.1)], 9);
        let hills = Shape::heightfield([8, 8], [4.0, 4.0], |x, z| (x * 2.0).sin() * z.cos());
        for (name, shape, _) in solids().into_iter().chain([("tube", tube, 0.0), ("hills", hills, 0.0)]) {
            assert_eq!(Mesh::decode(&shape.mesh().encode()).as_ref(), Ok(shape.mesh()), "{name}");
            for ([a, b, c], normals) in triangles(&shape) {
                let face = (b - a).cross(c - a);
                for normal in normals {
                    assert!((normal.length() - 1.0).abs() < 1e-3, "{name}: {normal:?}");
                    assert!(normal.dot(face) > -1e-6, "{name}: {normal:?} on {a:?} {b:?} {c:?}");
                }
            }
        }
    }

    #[test]
    fn shapes_join_with_their_colours() {
        let mut both = Shape::cuboid(vec3(1.0, 1.0, 1.0)).colored([1.0, 0.0, 0.0]);
        both.add(Shape::sphere(1.0, 8).painted(|place, _| [0.0, place.y, 1.0]));
        assert_eq!(both.mesh().colors[0], [255, 0, 0, 255]);
        assert!(both.mesh().colors.contains(&[0, 255, 255, 255]));
        assert!(both.mesh().colors.contains(&[0, 0, 255, 255]));
        assert!(Mesh::decode(&both.mesh().encode()).is_ok());
    }

    #[test]
    fn shapes_of_nothing_are_nothing() {
        assert_eq!(Shape::lathe(&[], 8).triangles(), 0);
        assert_eq!(Shape::lathe(&[[1.0, 1.0], [1.0, 1.0]], 8).triangles(), 0);
        assert_eq!(Shape::tube(&[], 8).triangles(), 0);
        assert_eq!(Shape::extrude(&[], 1.0).triangles(), 0);
        assert_eq!(Shape::cuboid(Vec3::ZERO).triangles(), 0);
    }
}
