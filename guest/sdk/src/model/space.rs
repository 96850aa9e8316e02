// SPDX-License-Identifier: AGPL-3.0-or-later
//! Where the nodes of a model are, and how far it reaches.

use super::file::{Accessor, File, Node};
use crate::math::{Quat, Vec3, vec3};

/// Nodes are at most so far below each other.
const DEPTH_MAX: usize = 64;

/// A matrix by columns.
pub(super) type Matrix = [[f32; 4]; 4];

const IDENTITY: Matrix =
    [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|column| {
        std::array::from_fn(|row| (0..4).map(|k| a[k][row] * b[column][k]).sum::<f32>())
    })
}

fn moved(m: &Matrix, [x, y, z]: [f32; 3]) -> [f32; 3] {
    std::array::from_fn(|row| m[0][row] * x + m[1][row] * y + m[2][row] * z + m[3][row])
}

/// The matrix in 64 bytes, if all its numbers are finite.
pub(super) fn matrix_in(bytes: &[u8]) -> Option<Matrix> {
    let (numbers, _) = bytes.as_chunks::<4>();
    let all: [f32; 16] =
        numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect::<Vec<_>>().try_into().ok()?;
    all.iter().all(|number| number.is_finite()).then(|| by_columns(&all))
}

fn by_columns(all: &[f32; 16]) -> Matrix {
    std::array::from_fn(|column| std::array::from_fn(|row| all[column * 4 + row]))
}

fn own_place(node: &Node) -> (Matrix, Quat) {
    if let Some(all) = node.matrix {
        let matrix = by_columns(&all);
        return (matrix, turn_of(&matrix));
    }
    let [x, y, z, w] = node.rotation.unwrap_or([0.0, 0.0, 0.0, 1.0]);
    let turn = Quat { v: vec3(x, y, z), w } * Quat::IDENTITY;
    let scale = node.scale.unwrap_or([1.0; 3]);
    let [tx, ty, tz] = node.translation.unwrap_or([0.0; 3]);
    let column = |axis: Vec3, scale: f32| {
        let [x, y, z] = (turn.rotate(axis) * scale).array();
        [x, y, z, 0.0]
    };
    let columns = [column(Vec3::X, scale[0]), column(Vec3::Y, scale[1]), column(Vec3::Z, scale[2])];
    ([columns[0], columns[1], columns[2], [tx, ty, tz, 1.0]], turn)
}

/// The rotation of a matrix without shear.
fn turn_of(m: &Matrix) -> Quat {
    let axis = |column: usize| vec3(m[column][0], m[column][1], m[column][2]).unit().unwrap_or(Vec3::X);
    let (x, y, z) = (axis(0), axis(1), axis(2));
    // Of the four ways to it the one that divides by the largest number (Shepperd 1978).
    let [xx, yy, zz] = [x.x, y.y, z.z];
    let part = |square: f32| square.max(0.0).sqrt() * 0.5;
    let sizes = [
        part(1.0 + xx + yy + zz),
        part(1.0 + xx - yy - zz),
        part(1.0 - xx + yy - zz),
        part(1.0 - xx - yy + zz),
    ];
    let [w, qx, qy, qz] = sizes;
    let d = |size: f32| 0.25 / size.max(1e-6);
    let turn = if w >= qx.max(qy).max(qz) {
        Quat { v: vec3(y.z - z.y, z.x - x.z, x.y - y.x) * d(w), w }
    } else if qx >= qy.max(qz) {
        Quat { v: vec3(qx, (x.y + y.x) * d(qx), (x.z + z.x) * d(qx)), w: (y.z - z.y) * d(qx) }
    } else if qy >= qz {
        Quat { v: vec3((x.y + y.x) * d(qy), qy, (y.z + z.y) * d(qy)), w: (z.x - x.z) * d(qy) }
    } else {
        Quat { v: vec3((x.z + z.x) * d(qz), (y.z + z.y) * d(qz), qz), w: (x.y - y.x) * d(qz) }
    };
    turn * Quat::IDENTITY
}

/// Where the nodes of the scene that is shown are in the model, and how they are turned; `None` for those of others.
pub(super) fn places(file: &File<'_>) -> Vec<Option<(Matrix, Quat)>> {
    let mut places = vec![None; file.nodes.len()];
    let roots = file.scenes.get(file.scene).map_or(&[][..], |scene| &scene.nodes);
    let mut next: Vec<(usize, Matrix, Quat, usize)> =
        roots.iter().map(|node| (*node, IDENTITY, Quat::IDENTITY, 0)).collect();
    while let Some((node, above, turned, depth)) = next.pop() {
        // A node has one parent; who is here again is in a ring.
        let (Some(place @ None), Some(node)) = (places.get_mut(node), file.nodes.get(node)) else { continue };
        let (own, turn) = own_place(node);
        let (all, turn) = (product(&above, &own), turned * turn);
        *place = Some((all, turn));
        if depth < DEPTH_MAX {
            next.extend(node.children.iter().map(|child| (*child, all, turn, depth + 1)));
        }
    }
    places
}

/// The lowest and highest corner of what is drawn, as the nodes put it; with the inverse bind matrix of the first joint of
/// skins.
pub(super) fn extent(
    file: &File<'_>,
    places: &[Option<(Matrix, Quat)>],
    binds: &[(usize, Matrix)],
) -> Option<[Vec3; 2]> {
    let (mut low, mut high) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
    for (node, place) in file.nodes.iter().zip(places) {
        let (Some((place, _)), Some(mesh)) = (place, node.mesh) else { continue };
        let skinned = node.skin.and_then(|skin| {
            // What a skin bends is where its joints are, wherever its own node is; one joint tells of all.
            let joint = *file.skins.get(skin)?.joints.first()?;
            let (_, bind) = binds.iter().find(|(of, _)| *of == skin)?;
            Some(product(&places.get(joint)?.as_ref()?.0, bind))
        });
        let matrix = skinned.unwrap_or(*place);
        for primitive in file.meshes.get(mesh).map_or(&[][..], |mesh| &mesh.primitives) {
            let accessor = primitive.attributes.position.and_then(|index| file.accessors.get(index));
            let Some((min, max)) = accessor.and_then(Accessor::corners) else { continue };
            for corner in 0..8usize {
                let at =
                    std::array::from_fn(|axis| if corner >> axis & 1 == 0 { min[axis] } else { max[axis] });
                let at = moved(&matrix, at);
                low = std::array::from_fn(|axis| low[axis].min(at[axis]));
                high = std::array::from_fn(|axis| high[axis].max(at[axis]));
            }
        }
    }
    low.iter().chain(&high).all(|number| number.is_finite()).then(|| [low.into(), high.into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_matrix_turns_is_read_from_it() {
        for turn in [
            Quat::IDENTITY,
            Quat::about(vec3(1.0, 2.0, -0.5), 2.9),
            Quat::about(Vec3::Y, 3.1),
            Quat::about(Vec3::Z, -3.1),
            Quat::about(Vec3::X, 3.0),
        ] {
            let matrix = [Vec3::X, Vec3::Y, Vec3::Z].map(|axis| {
                let [x, y, z] = (turn.rotate(axis) * 3.0).array();
                [x, y, z, 0.0]
            });
            let read = turn_of(&[matrix[0], matrix[1], matrix[2], [1.0, 2.0, 3.0, 1.0]]);
            for axis in [Vec3::X, Vec3::Y, Vec3::Z] {
                assert!((read.rotate(axis) - turn.rotate(axis)).length() < 1e-3, "{turn:?} {read:?}");
            }
        }
    }
}
