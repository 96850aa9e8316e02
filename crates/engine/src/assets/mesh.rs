// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps of class `Mesh`, and the built-in shapes.

use super::vertices::{Target, Vertices, pieces};
use bevy::{
    mesh::{Indices, PrimitiveTopology},
    prelude::*,
};
use hearth_abi::{mesh, scene::MeshSource};

/// Meshes of more indices get no tangents: computing them would take too long, and only normal maps
/// need them.
const TANGENT_INDICES_MAX: usize = 600_000;
/// Largest size of a built-in shape in metres.
const SHAPE_SIZE_MAX: f32 = 1e5;

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
        MeshSource::Sphere(radius) => Sphere::new(size(radius)).mesh().uv(40, 24),
        MeshSource::Cylinder(radius, height) => {
            Cylinder::new(size(radius), size(height)).mesh().resolution(40).build()
        }
        MeshSource::Plane([x, z]) => Plane3d::default().mesh().size(size(x), size(z)).build(),
        MeshSource::Torus(ring, tube) => Torus { major_radius: size(ring), minor_radius: size(tube) }
            .mesh()
            .major_resolution(48)
            .minor_resolution(18)
            .build(),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_texture_stands_upright_on_the_sides_of_a_box() {
        let size = Vec3::new(2.0, 3.0, 4.0);
        let mesh = cuboid(size.to_array());
        let of = |attribute| mesh.attribute(attribute).unwrap().as_float3().unwrap();
        let (places, normals) = (of(Mesh::ATTRIBUTE_POSITION), of(Mesh::ATTRIBUTE_NORMAL));
        let Some(bevy::mesh::VertexAttributeValues::Float32x2(uvs)) = mesh.attribute(Mesh::ATTRIBUTE_UV_0)
        else {
            panic!("a box has uvs");
        };
        let indices: Vec<usize> = mesh.indices().unwrap().iter().collect();
        assert_eq!(indices.len(), 36);
        for corners in indices.chunks_exact(3) {
            let [a, b, c] = [0, 1, 2].map(|i| Vec3::from(places[corners[i]]));
            let normal = Vec3::from(normals[corners[0]]);
            assert!((b - a).cross(c - a).dot(normal) > 0.0, "it is seen from outside");
            assert!((a * normal).abs().max_element() * 2.0 == (size * normal).abs().max_element());
            // How places change with u and with v.
            let [ua, ub, uc] = [0, 1, 2].map(|i| Vec2::from(uvs[corners[i]]));
            let (s, t) = (ub - ua, uc - ua);
            let area = s.perp_dot(t);
            let right = ((b - a) * t.y - (c - a) * s.y) / area;
            let down = ((c - a) * s.x - (b - a) * t.x) / area;
            assert!(right.cross(-down).dot(normal) > 0.0, "nothing is mirrored: {normal}");
            if normal.y == 0.0 {
                assert_eq!(down, Vec3::NEG_Y * size.y, "{normal}");
            } else {
                assert_eq!(right, Vec3::X * size.x, "{normal}");
            }
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
