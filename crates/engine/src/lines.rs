// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lines between points: prisms of four sides, and never less than a pixel across.

use crate::drawn::Unmet;
use bevy::{
    asset::RenderAssetUsages,
    light::{NotShadowCaster, NotShadowReceiver},
    mesh::{Indices, PrimitiveTopology},
    prelude::*,
};
use hearth_abi::scene::{self, LineWay};

/// Farthest point from the origin in metres.
const FAR_MOST: f32 = 1e6;

/// Draws these lines under an entity, in the place of those that were there.
pub(crate) fn show(
    world: &mut World,
    drawn: &mut Option<Entity>,
    entity: Entity,
    lines: &scene::Lines,
    material: Handle<StandardMaterial>,
) {
    hide(world, drawn);
    let ends = ends(lines);
    if ends.is_empty() {
        return;
    }
    let mut under = entity;
    // From afar a prism is less than a pixel across; a line never is.
    for mesh in [thick(&ends, lines.width), Some(thin(&ends))].into_iter().flatten() {
        let mesh = world.resource_mut::<Assets<Mesh>>().add(mesh);
        let part =
            (Mesh3d(mesh), MeshMaterial3d(material.clone()), NotShadowCaster, NotShadowReceiver, Unmet);
        under = world.spawn((part, ChildOf(under))).id();
        drawn.get_or_insert(under);
    }
}

/// What lines are made of.
pub(crate) fn material(lines: &scene::Lines) -> scene::Material {
    let opacity = lines.color[3].clamp(0.0, 1.0);
    scene::Material {
        base_color: lines.color,
        blend: opacity < 1.0,
        unlit: true,
        double_sided: true,
        ..scene::Material::default()
    }
}

/// Takes them away. What was drawn may be gone already.
pub(crate) fn hide(world: &mut World, drawn: &mut Option<Entity>) {
    if let Some(entity) = drawn.take()
        && let Ok(entity) = world.get_entity_mut(entity)
    {
        entity.despawn();
    }
}

/// The ends of all lines that have a length.
fn ends(lines: &scene::Lines) -> Vec<[Vec3; 2]> {
    let far = Vec3::splat(FAR_MOST);
    let points: Vec<Vec3> = lines.points.iter().map(|point| Vec3::from(*point).clamp(-far, far)).collect();
    let pair = |two: &[Vec3]| [two[0], two[1]];
    let mut ends: Vec<[Vec3; 2]> = match lines.way {
        LineWay::Pairs => points.chunks_exact(2).map(pair).collect(),
        LineWay::Strip | LineWay::Loop => points.windows(2).map(pair).collect(),
    };
    if let (LineWay::Loop, [first, _, .., last]) = (lines.way, &points[..]) {
        ends.push([*last, *first]);
    }
    ends.retain(|[from, to]| from.distance_squared(*to) > 1e-12);
    ends
}

/// Lines of one pixel.
fn thin(ends: &[[Vec3; 2]]) -> Mesh {
    let mesh = Mesh::new(PrimitiveTopology::LineList, RenderAssetUsages::default());
    mesh.with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, ends.concat())
}

/// Prisms, if the lines have a width.
fn thick(ends: &[[Vec3; 2]], width: f32) -> Option<Mesh> {
    if width == 0.0 {
        return None;
    }
    let half = width.min(1000.0) / 2.0;
    let mut points = Vec::with_capacity(ends.len() * 8);
    let mut corners: Vec<u32> = Vec::with_capacity(ends.len() * 36);
    for &[from, to] in ends {
        let Some(along) = (to - from).try_normalize() else { continue };
        let side = along.any_orthonormal_vector();
        let up = along.cross(side);
        let first = points.len() as u32;
        // A little beyond its ends, so that two that meet at an angle leave no gap.
        for end in [from - along * half, to + along * half] {
            points.extend([side + up, up - side, -side - up, side - up].map(|corner| end + corner * half));
        }
        for i in 0..4 {
            let j = (i + 1) % 4;
            corners.extend([i, j, 4 + j, i, 4 + j, 4 + i].map(|corner| first + corner));
        }
        corners.extend([0, 2, 1, 0, 3, 2, 4, 5, 6, 4, 6, 7].map(|corner| first + corner));
    }
    Some(
        Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::default())
            .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, points)
            .with_inserted_indices(Indices::U32(corners)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(way: LineWay, points: &[[f32; 3]]) -> usize {
        ends(&scene::Lines { way, ..scene::Lines::through(points) }).len()
    }

    #[test]
    fn points_are_joined_as_they_are_to_be() {
        let square = [[0.0; 3], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]];
        assert_eq!(count(LineWay::Strip, &square), 3);
        assert_eq!(count(LineWay::Loop, &square), 4);
        assert_eq!(count(LineWay::Pairs, &square), 2);
        assert_eq!(count(LineWay::Pairs, &square[..3]), 1);
        // Not back over the only line.
        assert_eq!(count(LineWay::Loop, &square[..2]), 1);
        for way in [LineWay::Strip, LineWay::Loop, LineWay::Pairs] {
            assert_eq!(count(way, &square[..1]), 0);
            assert_eq!(count(way, &[[1.0; 3]; 4]), 0, "without length");
        }
        assert_eq!(count(LineWay::Strip, &[]), 0);
    }
}
