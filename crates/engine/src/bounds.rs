// SPDX-License-Identifier: AGPL-3.0-or-later
//! How far and how large what is drawn may be.
//!
//! Each transform of the scene is within bounds, but a chain of parents multiplies them until they are no numbers any more.
//! The renderer hands such places to the graphics driver, and a driver need not bear them: one that draws on the
//! processor ends with the whole process. So what is beyond the bounds is a point, far away from everything.

use bevy::{math::Vec3A, prelude::*};
use hearth_abi::mesh::EXTENT_MAX;

/// Most that a number of a place in the world may be. With a vertex of [`EXTENT_MAX`] its square is still a number.
const WORLD_MOST: f32 = EXTENT_MAX;
/// Of what is beyond: so small that a vertex of [`EXTENT_MAX`] is a millimetre, and not too small to be inverted.
const POINT: f32 = 1e-12;

/// Makes points of what is beyond the bounds, among what has moved.
pub(crate) fn keep(mut moved: Query<&mut GlobalTransform, Changed<GlobalTransform>>) {
    for mut place in &mut moved {
        if !is_within(&place) {
            *place = point();
        }
    }
}

/// `false` also of what is no number.
fn is_within(place: &GlobalTransform) -> bool {
    let affine = place.affine();
    let columns = affine.matrix3;
    let all = [columns.x_axis, columns.y_axis, columns.z_axis, affine.translation];
    all.iter().all(|column| column.abs().cmple(Vec3A::splat(WORLD_MOST)).all())
}

fn point() -> GlobalTransform {
    Transform::from_xyz(0.0, -WORLD_MOST, 0.0).with_scale(Vec3::splat(POINT)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_up_to_the_bound_are_within() {
        let at = |x, y, z| is_within(&GlobalTransform::from_xyz(x, y, z));
        assert!(at(0.0, 1.0, -1e6) && at(WORLD_MOST, 0.0, -WORLD_MOST));
        assert!(
            !at(0.0, f32::NAN, 0.0) && !at(f32::NEG_INFINITY, 0.0, 0.0) && !at(0.0, 0.0, WORLD_MOST * 1.01)
        );
        assert!(!is_within(&GlobalTransform::from_scale(Vec3::new(1.0, f32::INFINITY, 1.0))));
        assert!(is_within(&point()) && point().to_matrix().inverse().is_finite());
    }
}
