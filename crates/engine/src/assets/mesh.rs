// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps of class `Mesh`, and the built-in shapes.

use super::vertices::{Target, Vertices, pieces};
use bevy::{
    asset::RenderAssetUsages,
    mesh::{Indices, PrimitiveTopology},
    prelude::*,
};
use hearth_abi::{mesh, scene::MeshSource};
use std::f32::consts::{PI, TAU};

/// Meshes of more indices get no tangents: computing them would take too long, and only normal maps
/// need them.
const TANGENT_INDICES_MAX: usize = 600_000;
/// Largest size of a built-in shape in metres.
const SHAPE_SIZE_MAX: f32 = 1e5;
/// Into how many faces the way around a ball and a cylinder is cut, and that around a ring.
const ROUND: u32 = 40;
const RING_ROUND: u32 = 48;
/// Into how many the way from pole to pole of a ball is cut, and that around the tube of a ring.
const BALL_STEPS: u32 = 24;
const TUBE_STEPS: u32 = 18;

/// A mesh for the renderer, and what bends it.
pub(crate) struct Decoded {
    /// As it is without a skin, in pieces.
    pub(crate) plain: Vec<Mesh>,
    /// As it is with one, and the matrices of the joints.
    pub(crate) skinned: Option<(Mesh, Vec<Mat4>)>,
    /// How many morph targets it has.
    pub(crate) targets: usize,
}

/// The mesh in these bytes (`None` if it has no triangle), and its size in memory.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Option<Decoded>, usize), String> {
    let mut mesh = mesh::Mesh::decode(bytes).map_err(|error| error.to_string())?;
    if mesh.indices.is_empty() {
        return Ok((None, 0));
    }
    let matrices = std::mem::take(&mut mesh.inverse_bind_matrices);
    let targets = mesh.morph_targets.len();
    let made = made(mesh);
    let weight = |mesh: &Mesh| {
        let morphs = mesh.get_morph_targets().map_or(0, std::mem::size_of_val);
        mesh.get_vertex_buffer_size() + mesh.indices().map_or(0, Indices::len) * 4 + morphs
    };
    let mut bytes = weight(&made);
    let (plain, skinned) = if matrices.is_empty() {
        (made, None)
    } else {
        let mut plain = made.clone();
        plain.remove_attribute(Mesh::ATTRIBUTE_JOINT_INDEX);
        plain.remove_attribute(Mesh::ATTRIBUTE_JOINT_WEIGHT);
        bytes += weight(&plain);
        let mut skinned = made;
        if let Err(error) = skinned.generate_skinned_mesh_bounds() {
            tracing::debug!(%error, "no bounds for a mesh with joints");
        }
        (plain, Some((skinned, matrices.iter().map(Mat4::from_cols_array).collect())))
    };
    Ok((Some(Decoded { plain: pieces(plain), skinned, targets }), bytes))
}

fn made(mesh: mesh::Mesh) -> Mesh {
    let count = mesh.positions.len();
    let (has_uvs, flat) = (!mesh.uvs.is_empty(), mesh.normals.is_empty());
    let has_second = !mesh.second_uvs.is_empty();
    let target = |target: mesh::MorphTarget| Target {
        positions: target.positions,
        normals: target.normals,
        ..Target::default()
    };
    let mut vertices = Vertices {
        positions: mesh.positions,
        normals: mesh
            .normals
            .into_iter()
            .map(|normal| Vec3::from(normal).try_normalize().unwrap_or(Vec3::Y).into())
            .collect(),
        // Without normals, tangents are to be passed over.
        tangents: if flat { Vec::new() } else { mesh.tangents },
        // The renderer takes second uvs only beside first ones.
        uvs: [if has_second && !has_uvs { vec![[0.0; 2]; count] } else { mesh.uvs }, mesh.second_uvs],
        colors: mesh.colors.iter().map(|color| color.map(|value| f32::from(value) / 255.0)).collect(),
        joints: mesh.joints,
        weights: mesh.weights.into_iter().map(unit).collect(),
        targets: mesh.morph_targets.into_iter().map(target).collect(),
    };
    let indices = if flat {
        vertices = vertices.spread(&mesh.indices);
        vertices.flatten();
        (0..vertices.positions.len() as u32).collect()
    } else {
        mesh.indices
    };
    let mut out = vertices.into_mesh(PrimitiveTopology::TriangleList, indices);
    if has_uvs && !out.contains_attribute(Mesh::ATTRIBUTE_TANGENT) {
        add_tangents(&mut out);
    }
    out
}

/// Weights with a sum of one.
fn unit(weights: [f32; 4]) -> [f32; 4] {
    let sum: f32 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

/// Computes tangents from the first uvs of a mesh of triangles, if it is not too large.
pub(crate) fn add_tangents(mesh: &mut Mesh) {
    let vertices = mesh.indices().map_or_else(|| mesh.count_vertices(), Indices::len);
    if vertices > TANGENT_INDICES_MAX {
        return;
    }
    if mesh.indices().is_none() {
        let count = mesh.count_vertices() as u32;
        mesh.insert_indices(Indices::U32((0..count).collect()));
    }
    // Without tangents a normal map is not seen, and all else is.
    if let Err(error) = mesh.generate_tangents() {
        tracing::debug!(%error, "no tangents for a mesh");
    }
}

/// A built-in shape; `None` for a lump.
pub(crate) fn shape(source: &MeshSource) -> Option<Mesh> {
    let size = |value: f32| value.clamp(1e-6, SHAPE_SIZE_MAX);
    let mut mesh: Mesh = match *source {
        MeshSource::Cuboid([x, y, z]) => cuboid([x, y, z].map(size)),
        MeshSource::Sphere(radius) => ball(size(radius)),
        MeshSource::Cylinder(radius, height) => cylinder(size(radius), size(height)),
        MeshSource::Plane([x, z]) => Plane3d::default().mesh().size(size(x), size(z)).build(),
        MeshSource::Torus(ring, tube) => torus(size(ring), size(tube)),
        _ => return None,
    };
    add_tangents(&mut mesh);
    Some(mesh)
}

/// A box about the origin. Each face shows a whole texture to who looks at it from outside: upright on the four sides; of
/// the top and the bottom as it would be if the front were folded up to them.
///
/// The renderer's own box has it upside down at the front, lying at the right and left, and mirrored at the bottom.
fn cuboid(size: [f32; 3]) -> Mesh {
    let half = Vec3::from(size) * 0.5;
    let mut mesh = Mesh::from(Cuboid::from_size(Vec3::from(size)));
    let of = |attribute| mesh.attribute(attribute).and_then(|values| values.as_float3()).unwrap_or_default();
    let corners = of(Mesh::ATTRIBUTE_POSITION).iter().zip(of(Mesh::ATTRIBUTE_NORMAL));
    let uv = |(place, normal): (&[f32; 3], &[f32; 3])| {
        let normal = Vec3::from(*normal);
        // What is up on the texture.
        let up = match normal.y {
            0.0 => Vec3::Y,
            y => Vec3::NEG_Z * y,
        };
        let on_face = Vec3::from(*place) / half;
        [(1.0 + on_face.dot(up.cross(normal))) / 2.0, (1.0 - on_face.dot(up)) / 2.0]
    };
    let uvs: Vec<[f32; 2]> = corners.map(uv).collect();
    mesh.insert_attribute(Mesh::ATTRIBUTE_UV_0, uvs);
    mesh
}

/// A point of a line that is turned about the axis, and where it is on a texture from the top (0) to the bottom (1).
struct Rim {
    /// Its distance from the axis, and its height.
    at: Vec2,
    normal: Vec2,
    v: f32,
}

/// What is left behind by a line that goes down the outside of a shape while it is turned about +Y. A texture lies around it
/// once: upright and its middle at the front (+Z) for who looks at it from outside, its ends meeting at the back.
///
/// The renderer's own shapes have the poles of a ball at its front and back, and textures upside down on cylinders and rings.
fn turned(line: &[Rim], around: u32) -> Shape {
    let mut shape = Shape::default();
    for Rim { at, normal, v } in line {
        for step in 0..=around {
            let u = step as f32 / around as f32;
            let (sin, cos) = ((u - 0.5) * TAU).sin_cos();
            shape.positions.push([at.x * sin, at.y, at.x * cos]);
            shape.normals.push([normal.x * sin, normal.y, normal.x * cos]);
            shape.uvs.push([u, *v]);
        }
    }
    for (row, ends) in line.windows(2).enumerate() {
        for step in 0..around {
            let above = row as u32 * (around + 1) + step;
            let below = above + around + 1;
            // A line that begins or ends on the axis has triangles there.
            if ends[0].at.x != 0.0 {
                shape.indices.extend([above, below, above + 1]);
            }
            if ends[1].at.x != 0.0 {
                shape.indices.extend([above + 1, below, below + 1]);
            }
        }
    }
    shape
}

/// Vertices with normals and uvs, and triangles.
#[derive(Default)]
struct Shape {
    positions: Vec<[f32; 3]>,
    normals: Vec<[f32; 3]>,
    uvs: Vec<[f32; 2]>,
    indices: Vec<u32>,
}

impl From<Shape> for Mesh {
    fn from(shape: Shape) -> Mesh {
        Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::default())
            .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, shape.positions)
            .with_inserted_attribute(Mesh::ATTRIBUTE_NORMAL, shape.normals)
            .with_inserted_attribute(Mesh::ATTRIBUTE_UV_0, shape.uvs)
            .with_inserted_indices(Indices::U32(shape.indices))
    }
}

/// A ball about the origin, with a texture as a map of the world lies on a globe.
fn ball(radius: f32) -> Mesh {
    let rim = |step| {
        let v = step as f32 / BALL_STEPS as f32;
        let (sin, cos) = (v * PI).sin_cos();
        // At the south pole the sine is not quite zero.
        let normal = if step == BALL_STEPS { Vec2::NEG_Y } else { Vec2::new(sin, cos) };
        Rim { at: normal * radius, normal, v }
    };
    let line: Vec<Rim> = (0..=BALL_STEPS).map(rim).collect();
    turned(&line, ROUND).into()
}

/// A cylinder along y about the origin. A texture lies around it once, and on its top and bottom is what of it is in a circle,
/// as on those of a box.
fn cylinder(radius: f32, height: f32) -> Mesh {
    let end = |y, v| Rim { at: Vec2::new(radius, y), normal: Vec2::X, v };
    let mut shape = turned(&[end(height / 2.0, 0.0), end(-height / 2.0, 1.0)], ROUND);
    for side in [1.0, -1.0] {
        let first = shape.positions.len() as u32;
        for step in 0..ROUND {
            let (sin, cos) = (step as f32 / ROUND as f32 * TAU).sin_cos();
            shape.positions.push([radius * sin, side * height / 2.0, radius * cos]);
            shape.normals.push([0.0, side, 0.0]);
            shape.uvs.push([0.5 + 0.5 * sin, 0.5 + 0.5 * cos * side]);
        }
        for (one, other) in (1..ROUND).zip(2..ROUND) {
            let (one, other) = if side > 0.0 { (one, other) } else { (other, one) };
            shape.indices.extend([first, first + one, first + other]);
        }
    }
    shape.into()
}

/// A ring in the xz plane. A texture lies along it once, and around its tube once: its middle outside, its ends meeting inside.
fn torus(ring: f32, tube: f32) -> Mesh {
    let rim = |step| {
        let v = step as f32 / TUBE_STEPS as f32;
        let (sin, cos) = ((0.5 - v) * TAU).sin_cos();
        let normal = Vec2::new(cos, sin);
        Rim { at: Vec2::new(ring, 0.0) + normal * tube, normal, v }
    };
    let line: Vec<Rim> = (0..=TUBE_STEPS).map(rim).collect();
    turned(&line, RING_ROUND).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// A triangle of a shape: the middle of its corners and of their normals, and how places change with u and with v.
    struct Patch {
        middle: Vec3,
        normal: Vec3,
        uv: Vec2,
        right: Vec3,
        down: Vec3,
    }

    /// The triangles of a shape, of which each is seen from outside and shows its piece of a texture unmirrored.
    fn patches(source: MeshSource) -> Vec<Patch> {
        let mesh = shape(&source).unwrap();
        let of = |attribute| mesh.attribute(attribute).unwrap().as_float3().unwrap();
        let (places, normals) = (of(Mesh::ATTRIBUTE_POSITION), of(Mesh::ATTRIBUTE_NORMAL));
        let Some(bevy::mesh::VertexAttributeValues::Float32x2(uvs)) = mesh.attribute(Mesh::ATTRIBUTE_UV_0)
        else {
            panic!("shapes have uvs");
        };
        assert!(uvs.as_flattened().iter().all(|v| (0.0..=1.0).contains(v)));
        let indices: Vec<usize> = mesh.indices().unwrap().iter().collect();
        let patch = |corners: &[usize]| {
            let [a, b, c] = [0, 1, 2].map(|i| Vec3::from(places[corners[i]]));
            let normal = corners.iter().map(|i| Vec3::from(normals[*i])).sum::<Vec3>() / 3.0;
            assert!((b - a).cross(c - a).dot(normal) > 0.0, "it is seen from outside: {source:?}, {normal}");
            let [ua, ub, uc] = [0, 1, 2].map(|i| Vec2::from(uvs[corners[i]]));
            let (s, t) = (ub - ua, uc - ua);
            let area = s.perp_dot(t);
            let right = ((b - a) * t.y - (c - a) * s.y) / area;
            let down = ((c - a) * s.x - (b - a) * t.x) / area;
            assert!(right.cross(-down).dot(normal) > 0.0, "nothing is mirrored: {source:?}, {normal}");
            Patch { middle: (a + b + c) / 3.0, normal, uv: (ua + ub + uc) / 3.0, right, down }
        };
        indices.chunks_exact(3).map(patch).collect()
    }

    #[test]
    fn a_texture_stands_upright_on_the_sides_of_a_box() {
        let size = Vec3::new(2.0, 3.0, 4.0);
        let patches = patches(MeshSource::Cuboid(size.to_array()));
        assert_eq!(patches.len(), 12);
        for Patch { normal, right, down, .. } in patches {
            if normal.y == 0.0 {
                assert_eq!(down, Vec3::NEG_Y * size.y, "{normal}");
            } else {
                assert_eq!(right, Vec3::X * size.x, "{normal}");
            }
        }
    }

    #[test]
    fn a_texture_lies_around_what_is_round_with_its_middle_at_the_front() {
        for (source, triangles) in [
            (MeshSource::Sphere(1.5), 2 * ROUND * (BALL_STEPS - 1)),
            (MeshSource::Cylinder(0.5, 3.0), 2 * ROUND + 2 * (ROUND - 2)),
            (MeshSource::Torus(2.0, 0.5), 2 * RING_ROUND * TUBE_STEPS),
        ] {
            let patches = patches(source);
            assert_eq!(patches.len(), triangles as usize, "{source:?}");
            let step = 1.5 / ROUND as f32;
            for Patch { middle, uv, right, down, normal } in patches {
                let is_cap = normal.y.abs() == 1.0;
                if is_cap {
                    assert!((right - Vec3::X).length() < 1e-3, "{source:?}: {right}");
                    assert!((down - Vec3::Z * normal.y).length() < 1e-3, "{source:?}: {down}");
                    continue;
                }
                let turn = middle.x.atan2(middle.z) / TAU + 0.5;
                assert!((uv.x - turn).abs() < step, "{source:?} at {middle}: {uv}");
                let flat = Vec3::new(normal.x, 0.0, normal.z);
                // Outside, and neither at a pole nor on top of a ring.
                if flat.length() > 0.3 && flat.dot(middle) > 0.0 {
                    assert!(down.y < 0.0, "{source:?} at {middle}: {down}");
                    assert_eq!(uv.y < 0.5, middle.y > 0.0, "{source:?} at {middle}: {uv}");
                }
            }
        }
        for Patch { right, down, .. } in patches(MeshSource::Plane([2.0, 3.0])) {
            assert_eq!((right, down), (Vec3::X * 2.0, Vec3::Z * 3.0));
        }
    }

    #[test]
    fn a_mesh_without_normals_gets_flat_faces() {
        let lump = mesh::Mesh {
            positions: vec![[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]],
            indices: vec![0, 1, 2, 0, 1, 3],
            ..mesh::Mesh::default()
        };
        let (mesh, _) = decode(&lump.encode()).unwrap();
        let mesh = mesh.unwrap().plain.remove(0);
        assert_eq!(mesh.count_vertices(), 6);
        let normals = mesh.attribute(Mesh::ATTRIBUTE_NORMAL).unwrap().as_float3().unwrap();
        assert_eq!(normals[0], [0.0, 1.0, 0.0]);
        assert_eq!(normals[3], [0.0, 0.0, 1.0]);
    }

    #[test]
    fn tangents_and_second_uvs_are_as_the_lump_says() {
        let mut lump = mesh::Mesh {
            positions: vec![[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            normals: vec![[0.0, 0.0, 1.0]; 3],
            uvs: vec![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]],
            tangents: vec![[0.0, 1.0, 0.0, -1.0]; 3],
            second_uvs: vec![[0.25, 0.5]; 3],
            indices: vec![0, 1, 2],
            ..mesh::Mesh::default()
        };
        let tangent = |lump: &mesh::Mesh| {
            let mesh = decode(&lump.encode()).unwrap().0.unwrap().plain.remove(0);
            assert!(
                mesh.contains_attribute(Mesh::ATTRIBUTE_UV_0)
                    && mesh.contains_attribute(Mesh::ATTRIBUTE_UV_1)
            );
            match mesh.attribute(Mesh::ATTRIBUTE_TANGENT) {
                Some(bevy::mesh::VertexAttributeValues::Float32x4(tangents)) => Some(tangents[0]),
                _ => None,
            }
        };
        assert_eq!(tangent(&lump), Some([0.0, 1.0, 0.0, -1.0]));
        lump.tangents.clear();
        assert_eq!(tangent(&lump).map(|t| [t[0], t[1], t[2]]), Some([1.0, 0.0, 0.0]));
        lump.uvs.clear();
        assert_eq!(tangent(&lump), None);
    }

    #[test]
    fn degenerate_triangles_and_huge_places_do_no_harm() {
        for positions in [vec![[0.0; 3]; 3], vec![[mesh::EXTENT_MAX; 3], [-mesh::EXTENT_MAX; 3], [0.0; 3]]] {
            for (normals, uvs) in [(false, false), (true, true), (false, true)] {
                let lump = mesh::Mesh {
                    positions: positions.clone(),
                    normals: if normals { vec![[0.0; 3]; 3] } else { vec![] },
                    uvs: if uvs { vec![[0.0; 2]; 3] } else { vec![] },
                    indices: vec![0, 1, 2],
                    ..mesh::Mesh::default()
                };
                decode(&lump.encode()).unwrap();
            }
        }
        assert!(decode(&mesh::Mesh::default().encode()).unwrap().0.is_none());
    }

    #[test]
    fn every_shape_is_made() {
        for source in [
            MeshSource::Cuboid([1.0, f32::MAX, 1e-30]),
            MeshSource::Sphere(f32::MIN_POSITIVE),
            MeshSource::Cylinder(1.0, 1.0),
            MeshSource::Plane([1.0, 1.0]),
            MeshSource::Torus(1.0, 2.0),
        ] {
            assert!(shape(&source).unwrap().count_vertices() > 3, "{source:?}");
        }
    }
}
