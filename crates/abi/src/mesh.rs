// SPDX-License-Identifier: AGPL-3.0-or-later
//! The layout of a lump of class `Mesh`: a list of triangles.
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | 4 bytes | `HMSH` |
//! | 4 | `u16` | version, 1 |
//! | 6 | `u16` | attributes: bit 0 normals, bit 1 uvs, bit 2 colours, bit 3 tangents, bit 4 second uvs, bit 5 joints, bit 6 morph targets |
//! | 8 | `u32` | number of vertices V, at most [`VERTICES_MAX`] |
//! | 12 | `u32` | number of indices I, a multiple of three, at most [`INDICES_MAX`] |
//! | 16 | V × 3 `f32` | positions in metres, each number at most [`EXTENT_MAX`] from 0 |
//! | | V × 3 `f32` | normals, if there are any |
//! | | V × 2 `f32` | uvs, if there are any; the origin is the left upper corner, as in glTF |
//! | | V × 4 `u8` | colours, if there are any: linear red, green, blue, and opacity |
//! | | V × 4 `f32` | tangents, if there are any: a unit vector along +u of the first uvs, and −1 or 1 for the side of +v |
//! | | V × 2 `f32` | second uvs, if there are any |
//! | | V × 4 `u16` | joints, if there are any: numbers of those that act on the vertex |
//! | | V × 4 `f32` | how much each of them does: 0 or more, with a sum of 1 |
//! | | I × `u32` | indices, three to a triangle, counter-clockwise seen from the front |
//! | | `u32`, J × 16 `f32` | if there are joints: their number J, and of each the matrix that takes the mesh to it (inverse bind matrix), column after column, each number at most [`EXTENT_MAX`] from 0 |
//! | | `u32` | if there are morph targets: their number T |
//! | | T times: V × 3 `f32`, V × 3 `f32` | how far each position, at most [`EXTENT_MAX`], and each normal if there are any, moves |

use crate::{
    DecodeError,
    codec::{Reader, put_floats},
    scene::{JOINTS_MAX, MORPH_TARGETS_MAX},
};
use alloc::vec::Vec;

/// First bytes of a mesh.
pub const MAGIC: [u8; 4] = *b"HMSH";
/// Most vertices of a mesh.
pub const VERTICES_MAX: u32 = 4 << 20;
/// Most indices of a mesh.
pub const INDICES_MAX: u32 = 16 << 20;
/// Most that a number of a position, or of an inverse bind matrix, is from 0. More could not be multiplied any more.
pub const EXTENT_MAX: f32 = 1e9;
/// Most vertices of all morph targets of a mesh together.
pub const MORPHED_VERTICES_MAX: u64 = 16 << 20;

/// A list of triangles. The lists of attributes are empty, or as long as the list of positions.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Mesh {
    /// Places of the vertices in metres.
    pub positions: Vec<[f32; 3]>,
    /// Unit normals. Without them the mesh is shown with flat faces.
    pub normals: Vec<[f32; 3]>,
    /// Places in a texture, (0, 0) its left upper corner.
    pub uvs: Vec<[f32; 2]>,
    /// Linear red, green, blue, and opacity.
    pub colors: Vec<[u8; 4]>,
    /// For normal maps: unit vectors along +u of the first uvs, and −1 or 1, with which the cross product of normal and
    /// tangent is the direction of +v up the texture. Without them they are computed.
    pub tangents: Vec<[f32; 4]>,
    /// Places in a texture that uses the second uvs, such as one of occlusion.
    pub second_uvs: Vec<[f32; 2]>,
    /// For a skin: which joints act on the vertex, each less than the number of inverse bind matrices.
    pub joints: Vec<[u16; 4]>,
    /// How much each of them does: 0 or more, with a sum of 1.
    pub weights: Vec<[f32; 4]>,
    /// Three to a triangle.
    pub indices: Vec<u32>,
    /// For each joint the matrix that takes the mesh to it, column after column; 1 to [`JOINTS_MAX`] if there are
    /// joints.
    pub inverse_bind_matrices: Vec<[f32; 16]>,
    /// What the mesh can become, at most [`MORPH_TARGETS_MAX`].
    pub morph_targets: Vec<MorphTarget>,
}

/// By how much each vertex moves on the way to another shape.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct MorphTarget {
    /// Metres; as many as there are positions.
    pub positions: Vec<[f32; 3]>,
    /// Added to the normals: as many as there are.
    pub normals: Vec<[f32; 3]>,
}

impl Mesh {
    /// The mesh as the bytes of a lump.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.positions.len() * 60 + self.indices.len() * 4);
        let attributes = u16::from(!self.normals.is_empty())
            | u16::from(!self.uvs.is_empty()) << 1
            | u16::from(!self.colors.is_empty()) << 2
            | u16::from(!self.tangents.is_empty()) << 3
            | u16::from(!self.second_uvs.is_empty()) << 4
            | u16::from(!self.joints.is_empty()) << 5
            | u16::from(!self.morph_targets.is_empty()) << 6;
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&1u16.to_le_bytes());
        out.extend_from_slice(&attributes.to_le_bytes());
        out.extend_from_slice(&(self.positions.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.indices.len() as u32).to_le_bytes());
        put_floats(&mut out, self.positions.as_flattened());
        put_floats(&mut out, self.normals.as_flattened());
        put_floats(&mut out, self.uvs.as_flattened());
        out.extend_from_slice(self.colors.as_flattened());
        put_floats(&mut out, self.tangents.as_flattened());
        put_floats(&mut out, self.second_uvs.as_flattened());
        self.joints.as_flattened().iter().for_each(|joint| out.extend_from_slice(&joint.to_le_bytes()));
        put_floats(&mut out, self.weights.as_flattened());
        for index in &self.indices {
            out.extend_from_slice(&index.to_le_bytes());
        }
        if !self.joints.is_empty() {
            out.extend_from_slice(&(self.inverse_bind_matrices.len() as u32).to_le_bytes());
            put_floats(&mut out, self.inverse_bind_matrices.as_flattened());
        }
        if !self.morph_targets.is_empty() {
            out.extend_from_slice(&(self.morph_targets.len() as u32).to_le_bytes());
            for target in &self.morph_targets {
                put_floats(&mut out, target.positions.as_flattened());
                put_floats(&mut out, target.normals.as_flattened());
            }
        }
        out
    }

    /// The mesh in these bytes.
    ///
    /// # Errors
    /// The layout is broken, a limit is passed, a number is not finite, or an index points to no
    /// vertex.
    pub fn decode(bytes: &[u8]) -> Result<Mesh, DecodeError> {
        let mut r = Reader::new(bytes);
        if r.array()? != MAGIC {
            return Err(DecodeError { offset: 0, problem: "not a mesh: it does not start with `HMSH`" });
        }
        let unknown = r.error("unknown version of the mesh format");
        if r.u16()? != 1 {
            return Err(unknown);
        }
        let unknown = r.error("unknown vertex attribute");
        let attributes = r.u16()?;
        if attributes > 127 {
            return Err(unknown);
        }
        let too_many = r.error("too many vertices");
        let vertices = r.u32()?;
        if vertices > VERTICES_MAX {
            return Err(too_many);
        }
        let bad_count = r.error("number of indices is over the limit or no multiple of three");
        let indices = r.u32()?;
        if indices > INDICES_MAX || !indices.is_multiple_of(3) {
            return Err(bad_count);
        }
        let has = |bit: u16| attributes >> bit & 1 != 0;
        let lens = [(0, 12), (1, 8), (2, 4), (3, 16), (4, 8), (5, 24)];
        let vertex_len: u64 = 12 + lens.iter().filter(|(bit, _)| has(*bit)).map(|(_, len)| len).sum::<u64>();
        // Before anything is reserved: the lists must be in the input.
        let wrong = "length does not match the numbers of vertices and indices";
        let length = u64::from(vertices) * vertex_len + u64::from(indices) * 4;
        let more = has(5) || has(6);
        if (r.remaining() as u64) < length || (r.remaining() as u64 > length && !more) {
            return Err(r.error(wrong));
        }
        let n = vertices as usize;
        let mut mesh = Mesh { positions: places(&mut r, n)?, ..Mesh::default() };
        if has(0) {
            mesh.normals = floats(&mut r, n)?;
        }
        if has(1) {
            mesh.uvs = floats(&mut r, n)?;
        }
        if has(2) {
            mesh.colors = (0..n).map(|_| r.array()).collect::<Result<_, _>>()?;
        }
        if has(3) {
            mesh.tangents = floats(&mut r, n)?;
        }
        if has(4) {
            mesh.second_uvs = floats(&mut r, n)?;
        }
        if has(5) {
            mesh.joints =
                (0..n).map(|_| Ok([r.u16()?, r.u16()?, r.u16()?, r.u16()?])).collect::<Result<_, _>>()?;
            for _ in 0..n {
                let bad = r.error("weights of joints are below 0, or their sum is not 1");
                let weights: [f32; 4] = r.finites()?;
                let sum: f32 = weights.iter().sum();
                if weights.iter().any(|weight| *weight < 0.0) || !(0.99..=1.01).contains(&sum) {
                    return Err(bad);
                }
                mesh.weights.push(weights);
            }
        }
        mesh.indices.reserve_exact(indices as usize);
        for _ in 0..indices {
            let beyond = r.error("index points to no vertex");
            let index = r.u32()?;
            if index >= vertices {
                return Err(beyond);
            }
            mesh.indices.push(index);
        }
        if has(5) {
            mesh.decode_joints(&mut r)?;
        }
        if has(6) {
            mesh.decode_targets(&mut r)?;
        }
        r.end()?;
        Ok(mesh)
    }

    fn decode_joints(&mut self, r: &mut Reader<'_>) -> Result<(), DecodeError> {
        let bad_count = r.error("a mesh with joints has 1 to 256 of them");
        let count = r.u32()? as usize;
        if !(1..=JOINTS_MAX).contains(&count) {
            return Err(bad_count);
        }
        if self.joints.as_flattened().iter().any(|joint| usize::from(*joint) >= count) {
            return Err(r.error("a vertex names a joint that is not there"));
        }
        self.inverse_bind_matrices = places(r, count)?;
        Ok(())
    }

    fn decode_targets(&mut self, r: &mut Reader<'_>) -> Result<(), DecodeError> {
        let bad_count = r.error("number of morph targets is zero or over the limit");
        let count = r.u32()? as usize;
        let (n, normals) = (self.positions.len(), self.normals.len());
        if !(1..=MORPH_TARGETS_MAX).contains(&count) || (count * n) as u64 > MORPHED_VERTICES_MAX {
            return Err(bad_count);
        }
        // Before anything is reserved: the lists must be in the input.
        if r.remaining() != count * (n + normals) * 12 {
            return Err(r.error("length does not match the number of morph targets"));
        }
        for _ in 0..count {
            self.morph_targets.push(MorphTarget { positions: places(r, n)?, normals: floats(r, normals)? });
        }
        Ok(())
    }
}

fn floats<const N: usize>(r: &mut Reader<'_>, count: usize) -> Result<Vec<[f32; N]>, DecodeError> {
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        out.push(r.finites()?);
    }
    Ok(out)
}

/// Numbers that are no farther from 0 than [`EXTENT_MAX`].
fn places<const N: usize>(r: &mut Reader<'_>, count: usize) -> Result<Vec<[f32; N]>, DecodeError> {
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        let beyond = r.error("a position or an inverse bind matrix has a number beyond 1e9");
        let place: [f32; N] = r.finites()?;
        if place.iter().any(|number| number.abs() > EXTENT_MAX) {
            return Err(beyond);
        }
        out.push(place);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn triangle() -> Mesh {
        Mesh {
            positions: vec![[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            normals: vec![[0.0, 0.0, 1.0]; 3],
            uvs: vec![[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]],
            colors: vec![[255, 0, 0, 255]; 3],
            tangents: vec![[1.0, 0.0, 0.0, 1.0]; 3],
            second_uvs: vec![[0.5, 0.5]; 3],
            joints: vec![[0, 1, 0, 0]; 3],
            weights: vec![[0.75, 0.25, 0.0, 0.0]; 3],
            indices: vec![0, 1, 2],
            inverse_bind_matrices: vec![core::array::from_fn(|i| if i % 5 == 0 { 1.0 } else { 0.0 }); 2],
            morph_targets: vec![
                MorphTarget {
                    positions: vec![[0.0, 0.0, 1.0]; 3],
                    normals: vec![[0.0; 3]; 3]
                };
                3
            ],
        }
    }

    #[test]
    fn meshes_read_back() {
        for strip in 0..128 {
            let mut mesh = triangle();
            if strip & 1 != 0 {
                mesh.normals.clear();
                mesh.morph_targets.iter_mut().for_each(|target| target.normals.clear());
            }
            if strip & 2 != 0 {
                mesh.uvs.clear();
            }
            if strip & 4 != 0 {
                mesh.colors.clear();
            }
            if strip & 8 != 0 {
                mesh.tangents.clear();
            }
            if strip & 16 != 0 {
                mesh.second_uvs.clear();
            }
            if strip & 32 != 0 {
                mesh.joints.clear();
                mesh.weights.clear();
                mesh.inverse_bind_matrices.clear();
            }
            if strip & 64 != 0 {
                mesh.morph_targets.clear();
            }
            assert_eq!(Mesh::decode(&mesh.encode()), Ok(mesh));
        }
    }

    #[test]
    fn attributes_follow_each_other_in_order() {
        let bytes = triangle().encode();
        assert_eq!(bytes[6..8], [127, 0]);
        let (vertices, joints, targets) =
            (3 * (12 + 12 + 8 + 4 + 16 + 8 + 8 + 16), 4 + 2 * 64, 4 + 3 * 3 * 24);
        assert_eq!(bytes.len(), 16 + vertices + 12 + joints + targets);
        let joints = 16 + 3 * 60;
        assert_eq!(bytes[joints..joints + 8], [0, 0, 1, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[joints + 24..joints + 28], 0.75f32.to_le_bytes());
        let matrices = 16 + vertices + 12;
        assert_eq!(bytes[matrices..matrices + 8], [2, 0, 0, 0, 0, 0, 0x80, 0x3f]);
        assert_eq!(bytes[matrices + 132..matrices + 136], [3, 0, 0, 0]);
        let (tangents, second_uvs) = (16 + 3 * 36, 16 + 3 * 52);
        assert_eq!(bytes[tangents..tangents + 4], 1.0f32.to_le_bytes());
        assert_eq!(bytes[second_uvs..second_uvs + 4], 0.5f32.to_le_bytes());
        let mut unknown = bytes;
        unknown[6] = 128;
        assert_eq!(Mesh::decode(&unknown).unwrap_err().problem, "unknown vertex attribute");
    }

    #[test]
    fn broken_meshes_are_refused() {
        let good = triangle().encode();
        for len in 0..good.len() {
            assert!(Mesh::decode(&good[..len]).is_err(), "cut at {len}");
        }
        let mut far = triangle();
        far.indices[1] = 3;
        assert_eq!(Mesh::decode(&far.encode()).unwrap_err().problem, "index points to no vertex");
        let mut huge = good.clone();
        huge[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Mesh::decode(&huge).unwrap_err().problem, "too many vertices");
        let problem = |change: fn(&mut Mesh)| {
            let mut mesh = triangle();
            change(&mut mesh);
            Mesh::decode(&mesh.encode()).unwrap_err().problem
        };
        assert_eq!(problem(|m| m.joints[1][3] = 2), "a vertex names a joint that is not there");
        assert_eq!(problem(|m| m.inverse_bind_matrices.clear()), "a mesh with joints has 1 to 256 of them");
        let weights = "weights of joints are below 0, or their sum is not 1";
        assert_eq!(problem(|m| m.weights[2] = [1.5, -0.5, 0.0, 0.0]), weights);
        assert_eq!(problem(|m| m.weights[2] = [0.0; 4]), weights);
        let beyond = "a position or an inverse bind matrix has a number beyond 1e9";
        assert_eq!(problem(|m| m.positions[2][1] = -1.1e9), beyond);
        assert_eq!(problem(|m| m.inverse_bind_matrices[1][15] = 2e9), beyond);
        assert_eq!(problem(|m| m.morph_targets[0].positions[0][0] = f32::MAX), beyond);
        let lengths = "length does not match the number of morph targets";
        assert_eq!(problem(|m| m.morph_targets[1].normals.clear()), lengths);
        let many = "number of morph targets is zero or over the limit";
        assert_eq!(problem(|m| m.morph_targets = vec![m.morph_targets[0].clone(); 257]), many);
    }

    proptest! {
        #[test]
        fn strangers_do_not_panic_the_decoder(bytes: Vec<u8>) {
            let mut file = MAGIC.to_vec();
            file.extend_from_slice(&bytes);
            let _ = Mesh::decode(&file);
            let _ = Mesh::decode(&bytes);
        }
    }
}
