// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps of class `Mesh`, and the built-in shapes.

use bevy::{
    asset::RenderAssetUsages,
    mesh::{Indices, PrimitiveTopology},
    prelude::*,
};
use hearth_abi::{mesh, scene::MeshSource};

/// Meshes of more indices get no tangents: computing them would take too long, and only normal maps
/// need them.
const TANGENT_INDICES_MAX: usize = 600_000;
/// Largest size of a built-in shape in metres.
const SHAPE_SIZE_MAX: f32 = 1e5;

/// The mesh in these bytes (`None` if it has no triangle), and its size in memory.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Option<Mesh>, usize), String> {
    let mesh = mesh::Mesh::decode(bytes).map_err(|error| error.to_string())?;
    if mesh.indices.is_empty() {
        return Ok((None, 0));
    }
    let has_uvs = !mesh.uvs.is_empty();
    let indices = mesh.indices.len();
    let flat = mesh.normals.is_empty();
    let mut out = Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::default())
        .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, mesh.positions);
    if has_uvs {
        out.insert_attribute(Mesh::ATTRIBUTE_UV_0, mesh.uvs);
    }
    if !mesh.second_uvs.is_empty() {
        // The renderer takes second uvs only beside first ones.
        if !has_uvs {
            out.insert_attribute(Mesh::ATTRIBUTE_UV_0, vec![[0.0f32; 2]; mesh.second_uvs.len()]);
        }
        out.insert_attribute(Mesh::ATTRIBUTE_UV_1, mesh.second_uvs);
    }
    if !mesh.colors.is_empty() {
        let colors: Vec<[f32; 4]> =
            mesh.colors.iter().map(|color| color.map(|value| f32::from(value) / 255.0)).collect();
        out.insert_attribute(Mesh::ATTRIBUTE_COLOR, colors);
    }
    if flat {
        out.insert_indices(Indices::U32(mesh.indices));
        out = out.with_duplicated_vertices().with_computed_flat_normals();
    } else {
        let normals: Vec<[f32; 3]> = mesh
            .normals
            .into_iter()
            .map(|normal| Vec3::from(normal).try_normalize().unwrap_or(Vec3::Y).into())
            .collect();
        out.insert_attribute(Mesh::ATTRIBUTE_NORMAL, normals);
        if !mesh.tangents.is_empty() {
            out.insert_attribute(Mesh::ATTRIBUTE_TANGENT, mesh.tangents);
        }
        out.insert_indices(Indices::U32(mesh.indices));
    }
    if has_uvs && !out.contains_attribute(Mesh::ATTRIBUTE_TANGENT) {
        add_tangents(&mut out);
    }
    let weight = out.get_vertex_buffer_size() + indices * 4;
    Ok((Some(out), weight))
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
        MeshSource::Cuboid([x, y, z]) => Cuboid::new(size(x), size(y), size(z)).into(),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_mesh_without_normals_gets_flat_faces() {
        let lump = mesh::Mesh {
            positions: vec![[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]],
            indices: vec![0, 1, 2, 0, 1, 3],
            ..mesh::Mesh::default()
        };
        let (mesh, _) = decode(&lump.encode()).unwrap();
        let mesh = mesh.unwrap();
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
            let mesh = decode(&lump.encode()).unwrap().0.unwrap();
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
        for positions in [vec![[0.0; 3]; 3], vec![[f32::MAX; 3], [f32::MIN; 3], [0.0; 3]]] {
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
