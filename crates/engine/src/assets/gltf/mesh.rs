// SPDX-License-Identifier: AGPL-3.0-or-later
//! Primitives of glTF meshes (section 3.7.2 of the specification) as meshes of the renderer.

use super::{
    accessor::{Floats, Kind, Numbers},
    json,
    material::{Placement, Surface},
};
use crate::assets::{
    mesh::add_tangents,
    vertices::{Target, Vertices},
};
use bevy::{
    mesh::{Indices, PrimitiveTopology, morph::MAX_MORPH_WEIGHTS},
    prelude::*,
};
use hearth_abi::mesh::EXTENT_MAX;
use std::collections::BTreeMap;

/// Most sets of four joints that act on a vertex; the four that act most are kept.
const JOINT_SETS_MAX: usize = 4;

/// Numbers that the renderer keeps of a vertex, at most.
const NUMBERS_OF_VERTEX: u64 = 24;
/// And of a vertex in a morph target.
const NUMBERS_OF_MORPH: u64 = 12;

/// A primitive as a mesh.
pub(super) struct Built {
    pub(super) mesh: Mesh,
    /// Points and lines without normals are shown in their own colour.
    pub(super) unlit: bool,
    /// One more than the greatest joint that its vertices name; 0 without joints.
    pub(super) joints: usize,
    /// Its size in memory.
    pub(super) weight: usize,
}

/// The mesh of a primitive with this surface; `None` if there is nothing of it to see. `quantized` allows whole numbers
/// where floats are usual; `skinned` reads joints, of
/// which a mesh without a skin may have none.
pub(super) fn build(
    numbers: &Numbers<'_>,
    primitive: &json::Primitive,
    surface: &Surface,
    quantized: bool,
    skinned: bool,
) -> Result<Option<Built>, String> {
    let Some(positions) = primitive.attributes.get("POSITION") else { return Ok(None) };
    let floats = if quantized { Floats::OrAny } else { Floats::Only };
    let positions = numbers.floats::<3>(*positions, floats)?;
    within_bounds(&positions)?;
    let count = positions.len();
    let targets = primitive.targets.len() as u64;
    numbers.charge(count as u64 * NUMBERS_OF_MORPH * targets)?;
    let mut vertices = read(numbers, primitive, surface, quantized, positions)?;
    if skinned {
        influences(numbers, &primitive.attributes, &mut vertices)?;
    }
    let (topology, indices) = indices(numbers, primitive, count)?;
    if indices.is_empty() {
        return Ok(None);
    }
    let triangles = topology == PrimitiveTopology::TriangleList;
    let indices = if triangles && vertices.normals.is_empty() {
        numbers.charge(indices.len() as u64 * (NUMBERS_OF_VERTEX + NUMBERS_OF_MORPH * targets))?;
        vertices = vertices.spread(&indices);
        vertices.flatten();
        (0..vertices.positions.len() as u32).collect()
    } else {
        indices
    };
    let joints = vertices.joints.iter().flatten().max().map_or(0, |most| usize::from(*most) + 1);
    let unlit = !triangles && vertices.normals.is_empty();
    let mut mesh = vertices.into_mesh(topology, indices);
    let wants_tangents = triangles && surface.needs_tangents && mesh.contains_attribute(Mesh::ATTRIBUTE_UV_0);
    if wants_tangents && !mesh.contains_attribute(Mesh::ATTRIBUTE_TANGENT) {
        add_tangents(&mut mesh);
    }
    if joints > 0
        && let Err(error) = mesh.generate_skinned_mesh_bounds()
    {
        tracing::debug!(%error, "no bounds for a mesh with joints");
    }
    let morphs = mesh.get_morph_targets().map_or(0, std::mem::size_of_val);
    let weight = mesh.get_vertex_buffer_size() + mesh.indices().map_or(0, Indices::len) * 4 + morphs;
    Ok(Some(Built { mesh, unlit, joints, weight }))
}

/// Reads the attributes; all are as long as the positions.
fn read(
    numbers: &Numbers<'_>,
    primitive: &json::Primitive,
    surface: &Surface,
    quantized: bool,
    positions: Vec<[f32; 3]>,
) -> Result<Vertices, String> {
    let count = positions.len();
    let same = |name: &str, len: usize| same(name, len, count);
    let get = |name: &str| primitive.attributes.get(name).copied();
    let normalized = if quantized { Floats::OrNormalized } else { Floats::Only };
    let mut vertices = Vertices { positions, ..Vertices::default() };
    if let Some(index) = get("NORMAL") {
        vertices.normals = numbers.floats(index, normalized)?;
        same("NORMAL", vertices.normals.len())?;
        for normal in &mut vertices.normals {
            *normal = Vec3::from(*normal).try_normalize().unwrap_or(Vec3::Y).into();
        }
        // Without normals, tangents are to be passed over.
        if let Some(index) = get("TANGENT").filter(|_| surface.needs_tangents) {
            vertices.tangents = numbers.floats(index, normalized)?;
            same("TANGENT", vertices.tangents.len())?;
        }
    }
    for (slot, placement) in surface.placements.iter().enumerate() {
        let name = format!("TEXCOORD_{}", placement.set);
        let Some(index) = get(&name) else { continue };
        let floats = if quantized { Floats::OrAny } else { Floats::OrUnsigned };
        vertices.uvs[slot] = numbers.floats(index, floats)?;
        same(&name, vertices.uvs[slot].len())?;
        place(&mut vertices.uvs[slot], placement);
    }
    // The renderer takes second uvs only beside first ones.
    if vertices.uvs[0].is_empty() && !vertices.uvs[1].is_empty() {
        vertices.uvs[0] = vec![[0.0; 2]; count];
    }
    if let Some(index) = get("COLOR_0") {
        vertices.colors = match numbers.width(index)? {
            3 => {
                let colors = numbers.floats::<3>(index, Floats::OrUnsigned)?;
                colors.into_iter().map(|[r, g, b]| [r, g, b, 1.0]).collect()
            }
            _ => numbers.floats(index, Floats::OrUnsigned)?,
        };
        same("COLOR_0", vertices.colors.len())?;
    }
    if primitive.targets.len() > MAX_MORPH_WEIGHTS {
        return Err(format!("a mesh has more than {MAX_MORPH_WEIGHTS} morph targets"));
    }
    for target in &primitive.targets {
        let mut out = Target::default();
        for (name, index) in target {
            let list = match name.as_str() {
                "POSITION" => &mut out.positions,
                "NORMAL" if !vertices.normals.is_empty() => &mut out.normals,
                "TANGENT" if !vertices.tangents.is_empty() => &mut out.tangents,
                _ => continue,
            };
            *list = numbers.floats(*index, if quantized { Floats::OrAny } else { Floats::Only })?;
            same(name, list.len())?;
        }
        within_bounds(&out.positions)?;
        vertices.targets.push(out);
    }
    Ok(vertices)
}

/// What is farther could not be multiplied any more.
pub(super) fn within_bounds<const N: usize>(places: &[[f32; N]]) -> Result<(), String> {
    match places.as_flattened().iter().find(|number| number.abs() > EXTENT_MAX) {
        Some(number) => {
            Err(format!("{number:e} is beyond {EXTENT_MAX:e}, the bound of positions and bind matrices"))
        }
        None => Ok(()),
    }
}

fn same(name: &str, len: usize, count: usize) -> Result<(), String> {
    if len == count { Ok(()) } else { Err(format!("attribute {name} has another number of vertices")) }
}

/// KHR_texture_transform: `translation × rotation × scale`, counter-clockwise with v downward.
fn place(uvs: &mut [[f32; 2]], placement: &Placement) {
    let (sin, cos) = placement.rotation().sin_cos();
    let ([offset_u, offset_v], [scale_u, scale_v]) = (placement.offset(), placement.scale());
    for uv in uvs {
        let [u, v] = [uv[0] * scale_u, uv[1] * scale_v];
        *uv = [u * cos + v * sin + offset_u, v * cos - u * sin + offset_v];
    }
}

/// Joints and weights (section 3.7.3.3): of all that act on a vertex the four that act most, with a sum of 1.
fn influences(
    numbers: &Numbers<'_>,
    attributes: &BTreeMap<String, usize>,
    vertices: &mut Vertices,
) -> Result<(), String> {
    let count = vertices.positions.len();
    let mut all: Vec<Vec<(u32, f32)>> = Vec::new();
    for set in 0..JOINT_SETS_MAX {
        let (joints, weights) = (format!("JOINTS_{set}"), format!("WEIGHTS_{set}"));
        let (joint_list, weight_list) = match (attributes.get(&joints), attributes.get(&weights)) {
            (Some(joint_list), Some(weight_list)) => (joint_list, weight_list),
            (None, None) => break,
            _ => return Err(format!("it has one of {joints} and {weights} without the other")),
        };
        let joint_list = numbers.integers::<4>(*joint_list, &[Kind::U8, Kind::U16])?;
        let weight_list = numbers.floats::<4>(*weight_list, Floats::OrUnsigned)?;
        same(&joints, joint_list.len(), count)?;
        same(&weights, weight_list.len(), count)?;
        all.resize(count, Vec::new());
        for (influences, (joints, weights)) in all.iter_mut().zip(joint_list.into_iter().zip(weight_list)) {
            influences.extend(joints.into_iter().zip(weights).filter(|(_, weight)| *weight > 0.0));
        }
    }
    for mut influences in all {
        influences.sort_by(|a, b| b.1.total_cmp(&a.1));
        influences.truncate(4);
        let sum: f32 = influences.iter().map(|(_, weight)| weight).sum();
        let (mut joints, mut weights) = ([0; 4], [0.0; 4]);
        for (i, (joint, weight)) in influences.into_iter().enumerate() {
            joints[i] = joint as u16;
            weights[i] = weight / sum;
        }
        if sum <= 0.0 {
            weights[0] = 1.0;
        }
        vertices.joints.push(joints);
        vertices.weights.push(weights);
    }
    Ok(())
}

/// What the vertices make, as points, lines or triangles, one by one.
fn indices(
    numbers: &Numbers<'_>,
    primitive: &json::Primitive,
    count: usize,
) -> Result<(PrimitiveTopology, Vec<u32>), String> {
    let indices: Vec<u32> = match primitive.indices {
        Some(index) => {
            let indices = numbers.integers::<1>(index, &[Kind::U8, Kind::U16, Kind::U32])?;
            if indices.iter().any(|[vertex]| *vertex as usize >= count) {
                return Err(format!("accessor {index} points to a vertex that is not there"));
            }
            indices.into_iter().flatten().collect()
        }
        None => (0..count as u32).collect(),
    };
    // As lists, strips and fans are up to three times as long.
    numbers.charge(indices.len() as u64 * 3)?;
    let pairs = || indices.windows(2).flatten().copied();
    Ok(match primitive.mode {
        0 => (PrimitiveTopology::PointList, indices),
        1 => (PrimitiveTopology::LineList, whole(indices, 2)),
        2 => {
            let last = [indices.last(), indices.first()].into_iter().flatten().copied();
            (PrimitiveTopology::LineList, pairs().chain(last.filter(|_| indices.len() > 1)).collect())
        }
        3 => (PrimitiveTopology::LineList, pairs().collect()),
        4 => (PrimitiveTopology::TriangleList, whole(indices, 3)),
        5 => {
            let triangles = indices.windows(3).enumerate();
            let turned =
                triangles.flat_map(|(i, t)| if i % 2 == 0 { [t[0], t[1], t[2]] } else { [t[1], t[0], t[2]] });
            (PrimitiveTopology::TriangleList, turned.collect())
        }
        6 => {
            let rest = indices.get(1..).unwrap_or_default();
            let fan = rest.windows(2).flat_map(|pair| [pair[0], pair[1], indices[0]]);
            (PrimitiveTopology::TriangleList, fan.collect())
        }
        other => return Err(format!("a primitive has the unknown mode {other}")),
    })
}

/// Without a last figure that lacks vertices.
fn whole(mut indices: Vec<u32>, of: usize) -> Vec<u32> {
    indices.truncate(indices.len() / of * of);
    indices
}
