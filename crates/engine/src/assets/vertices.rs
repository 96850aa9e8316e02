// SPDX-License-Identifier: AGPL-3.0-or-later
//! The vertices of a mesh, whatever it was read from, on their way to the renderer.

use bevy::{
    asset::RenderAssetUsages,
    mesh::{Indices, PrimitiveTopology, VertexAttributeValues, morph::MorphAttributes},
    prelude::*,
};

/// The attributes of the vertices; the lists are empty, or as long as that of positions.
#[derive(Default)]
pub(crate) struct Vertices {
    pub(crate) positions: Vec<[f32; 3]>,
    pub(crate) normals: Vec<[f32; 3]>,
    pub(crate) tangents: Vec<[f32; 4]>,
    pub(crate) uvs: [Vec<[f32; 2]>; 2],
    pub(crate) colors: Vec<[f32; 4]>,
    pub(crate) joints: Vec<[u16; 4]>,
    pub(crate) weights: Vec<[f32; 4]>,
    pub(crate) targets: Vec<Target>,
}

/// Differences to the vertices in one morph target; the lists are empty, or as long as that of positions.
#[derive(Default)]
pub(crate) struct Target {
    pub(crate) positions: Vec<[f32; 3]>,
    pub(crate) normals: Vec<[f32; 3]>,
    pub(crate) tangents: Vec<[f32; 3]>,
}

impl Vertices {
    /// A vertex of its own for each index.
    pub(crate) fn spread(self, indices: &[u32]) -> Vertices {
        fn pick<T: Copy>(list: &[T], indices: &[u32]) -> Vec<T> {
            if list.is_empty() { Vec::new() } else { indices.iter().map(|i| list[*i as usize]).collect() }
        }
        Vertices {
            positions: pick(&self.positions, indices),
            normals: pick(&self.normals, indices),
            tangents: pick(&self.tangents, indices),
            uvs: [pick(&self.uvs[0], indices), pick(&self.uvs[1], indices)],
            colors: pick(&self.colors, indices),
            joints: pick(&self.joints, indices),
            weights: pick(&self.weights, indices),
            targets: self
                .targets
                .iter()
                .map(|target| Target {
                    positions: pick(&target.positions, indices),
                    normals: pick(&target.normals, indices),
                    tangents: pick(&target.tangents, indices),
                })
                .collect(),
        }
    }

    /// Gives triangles that share no vertices the normals of flat faces, also those of the morphed faces.
    pub(crate) fn flatten(&mut self) {
        let normal = |corners: [Vec3; 3]| {
            let [a, b, c] = corners;
            (b - a).cross(c - a).try_normalize().unwrap_or(Vec3::Y)
        };
        let corners = |list: &[[f32; 3]], at: usize| [0, 1, 2].map(|i| Vec3::from(list[at + i]));
        let faces = self.positions.len() / 3;
        self.normals =
            (0..faces).flat_map(|face| [normal(corners(&self.positions, face * 3)).to_array(); 3]).collect();
        for target in self.targets.iter_mut().filter(|target| !target.positions.is_empty()) {
            target.normals = (0..faces)
                .flat_map(|face| {
                    let (base, moves) =
                        (corners(&self.positions, face * 3), corners(&target.positions, face * 3));
                    let moved = normal([0, 1, 2].map(|i| base[i] + moves[i]));
                    [(moved - normal(base)).to_array(); 3]
                })
                .collect();
        }
    }

    pub(crate) fn into_mesh(self, topology: PrimitiveTopology, indices: Vec<u32>) -> Mesh {
        let count = self.positions.len();
        let mut mesh = Mesh::new(topology, RenderAssetUsages::default());
        let morphs: Vec<MorphAttributes> = self
            .targets
            .iter()
            .flat_map(|target| {
                let at = |list: &[[f32; 3]], i: usize| list.get(i).map_or(Vec3::ZERO, |v| Vec3::from(*v));
                (0..count).map(move |i| {
                    let [position, normal] = [at(&target.positions, i), at(&target.normals, i)];
                    MorphAttributes::new(position, normal, at(&target.tangents, i))
                })
            })
            .collect();
        mesh.insert_attribute(Mesh::ATTRIBUTE_POSITION, self.positions);
        if !self.normals.is_empty() {
            mesh.insert_attribute(Mesh::ATTRIBUTE_NORMAL, self.normals);
        }
        if !self.tangents.is_empty() {
            mesh.insert_attribute(Mesh::ATTRIBUTE_TANGENT, self.tangents);
        }
        let [first, second] = self.uvs;
        if !first.is_empty() {
            mesh.insert_attribute(Mesh::ATTRIBUTE_UV_0, first);
        }
        if !second.is_empty() {
            mesh.insert_attribute(Mesh::ATTRIBUTE_UV_1, second);
        }
        if !self.colors.is_empty() {
            mesh.insert_attribute(Mesh::ATTRIBUTE_COLOR, self.colors);
        }
        if !self.joints.is_empty() {
            mesh.insert_attribute(Mesh::ATTRIBUTE_JOINT_INDEX, VertexAttributeValues::Uint16x4(self.joints));
            mesh.insert_attribute(Mesh::ATTRIBUTE_JOINT_WEIGHT, self.weights);
        }
        if !morphs.is_empty() {
            mesh.set_morph_targets(morphs);
        }
        mesh.insert_indices(Indices::U32(indices));
        mesh
    }
}

/// Most vertices of a piece of a mesh: as many as two bytes number.
const PIECE_VERTICES_MAX: usize = 1 << 16;

/// A mesh in pieces, each of which goes to the graphics card at once, and may be out of sight by itself. What bends
/// stays whole.
pub(crate) fn pieces(mesh: Mesh) -> Vec<Mesh> {
    let bends = mesh.has_morph_targets() || mesh.contains_attribute(Mesh::ATTRIBUTE_JOINT_INDEX);
    let is_list = mesh.primitive_topology() == PrimitiveTopology::TriangleList;
    let vertices = mesh.count_vertices();
    let Some(Indices::U32(indices)) =
        mesh.indices().filter(|_| is_list && !bends && vertices > PIECE_VERTICES_MAX)
    else {
        return vec![mesh];
    };
    // The number of a vertex in the piece, if it is in this one.
    let mut numbers = vec![(u32::MAX, 0u16); vertices];
    let mut out = Vec::new();
    let (mut chosen, mut corners) = (Vec::new(), Vec::new());
    for triangle in indices.as_chunks::<3>().0 {
        if chosen.len() + 3 > PIECE_VERTICES_MAX {
            out.push(piece(&mesh, &chosen, std::mem::take(&mut corners)));
            chosen.clear();
        }
        let this = out.len() as u32;
        for corner in triangle {
            let number = &mut numbers[*corner as usize];
            if number.0 != this {
                *number = (this, chosen.len() as u16);
                chosen.push(*corner as usize);
            }
            corners.push(number.1);
        }
    }
    if !corners.is_empty() {
        out.push(piece(&mesh, &chosen, corners));
    }
    out
}

fn piece(mesh: &Mesh, vertices: &[usize], corners: Vec<u16>) -> Mesh {
    let mut out = Mesh::new(mesh.primitive_topology(), mesh.asset_usage);
    for (attribute, values) in mesh.attributes() {
        let values = match values {
            VertexAttributeValues::Float32x2(list) => {
                vertices.iter().map(|i| list[*i]).collect::<Vec<_>>().into()
            }
            VertexAttributeValues::Float32x3(list) => {
                vertices.iter().map(|i| list[*i]).collect::<Vec<_>>().into()
            }
            VertexAttributeValues::Float32x4(list) => {
                vertices.iter().map(|i| list[*i]).collect::<Vec<_>>().into()
            }
            // No mesh of ours has others.
            _ => continue,
        };
        let values: VertexAttributeValues = values;
        out.insert_attribute(*attribute, values);
    }
    out.insert_indices(Indices::U16(corners));
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// A cloth of so many by so many squares.
    fn cloth(edge: u32) -> Mesh {
        let row = edge + 1;
        let positions = (0..row * row).map(|i| [(i % row) as f32, 0.0, (i / row) as f32]).collect();
        let normals = vec![[0.0, 1.0, 0.0]; (row * row) as usize];
        let squares = (0..edge).flat_map(|z| (0..edge).map(move |x| z * row + x));
        let indices = squares.flat_map(|i| [i, i + row, i + 1, i + 1, i + row, i + row + 1]).collect();
        Vertices { positions, normals, ..Vertices::default() }
            .into_mesh(PrimitiveTopology::TriangleList, indices)
    }

    fn triangles(mesh: &Mesh) -> Vec<[[f32; 3]; 3]> {
        let positions = mesh.attribute(Mesh::ATTRIBUTE_POSITION).unwrap().as_float3().unwrap();
        let indices: Vec<usize> = mesh.indices().unwrap().iter().collect();
        indices.as_chunks::<3>().0.iter().map(|corners| corners.map(|i| positions[i])).collect()
    }

    #[test]
    fn pieces_have_the_same_triangles_in_order() {
        let whole = cloth(400);
        let expect = triangles(&whole);
        let pieces = pieces(whole);
        assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.count_vertices() <= PIECE_VERTICES_MAX));
        assert!(pieces.iter().all(|piece| piece.contains_attribute(Mesh::ATTRIBUTE_NORMAL)));
        assert!(pieces.iter().flat_map(triangles).eq(expect));
        assert_eq!(super::pieces(cloth(200)).len(), 1);
    }
}
