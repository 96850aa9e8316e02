// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a ray or a ball meets of all that is drawn, and which entity of the scene that is.
//!
//! Shapes, meshes and models are met by their triangles (what a skin bends or a morph target moves, where it was before), terminals and
//! writing by their rectangles; lines and particles are not met. What is hidden is not met; whether it is in view does not matter.

use crate::{
    mirror::Glass,
    place::Known,
    reply::Reply,
    sweep::{self, Line, Meeting},
};
use bevy::{
    camera::{primitives::Aabb, visibility::RenderLayers},
    ecs::system::SystemParam,
    mesh::{Indices, PrimitiveTopology},
    prelude::*,
};
use hearth_abi::{
    EntityId,
    cast::{self, Cast},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Most casts that wait for the next picture. Of more than these the answer would come too late to be of use.
pub const CASTS_MAX: usize = 1024;
/// Time before a picture after which no further cast is begun: a large mesh takes long to look through.
const TIME_MAX: Duration = Duration::from_millis(4);

/// Something that is met.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Met {
    /// What it is in the scene.
    pub(crate) id: EntityId,
    /// Metres along the way.
    pub(crate) distance: f32,
    /// In the world.
    pub(crate) point: Vec3,
    /// Of length 1; of a ray to the side that it comes from.
    pub(crate) normal: Vec3,
}

/// The rectangle of something flat in its own xy plane, if its mesh is larger.
#[derive(Component, Clone, Copy, Debug)]
pub(crate) struct Flat {
    pub(crate) min: Vec2,
    pub(crate) max: Vec2,
}

/// What no ray meets.
#[derive(Component, Clone, Copy, Debug)]
pub(crate) struct Unmet;

/// All that is drawn.
#[derive(SystemParam)]
pub(crate) struct Drawn<'w, 's> {
    meshes: Res<'w, Assets<Mesh>>,
    materials: Res<'w, Assets<StandardMaterial>>,
    shapes: Query<'w, 's, Shape, Without<Unmet>>,
    tree: Query<'w, 's, (Option<&'static Known>, Option<&'static ChildOf>)>,
}

type Shape = (
    Entity,
    &'static Mesh3d,
    &'static Aabb,
    &'static GlobalTransform,
    &'static InheritedVisibility,
    Option<&'static MeshMaterial3d<StandardMaterial>>,
    Option<&'static Flat>,
    (Has<Glass>, Option<&'static RenderLayers>),
);

impl Drawn<'_, '_> {
    /// What a ray (of no radius) or a ball meets within so many metres: of each entity where it is met first, the
    /// nearest first. `line.way` is of length 1.
    pub(crate) fn cast(&self, line: &Line, radius: f32, distance_max: f32, wanted: Wanted<'_>) -> Vec<Met> {
        let mut boxes: Vec<(f32, Entity)> = self
            .shapes
            .iter()
            .filter(|(.., visibility, _, _, (_, layers))| {
                let is_in = |seen: &RenderLayers| seen.intersects(layers.unwrap_or_default());
                visibility.get() && wanted.layers.is_none_or(is_in)
            })
            .filter_map(|(entity, _, aabb, place, ..)| {
                let begins = meets(line, radius, aabb, place)?;
                (begins <= distance_max).then_some((begins, entity))
            })
            .collect();
        boxes.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut met: Vec<Met> = Vec::new();
        for (begins, entity) in boxes {
            // What begins farther away than all that is wanted does not count.
            let last = met.get(wanted.most.saturating_sub(1)).map_or(distance_max, |last| last.distance);
            if begins > last {
                break;
            }
            let Some(id) = self.known(entity, wanted.without) else { continue };
            let Some(meeting) = self.meeting(entity, line, radius, last) else { continue };
            let is_sound = meeting.point.is_finite() && meeting.normal.is_finite();
            if !is_sound {
                continue;
            }
            let Meeting { along: distance, point, normal } = meeting;
            let this = Met { id, distance, point, normal };
            match met.iter_mut().find(|known| known.id == id) {
                Some(known) if known.distance <= distance => {}
                Some(known) => *known = this,
                None => met.push(this),
            }
            met.sort_by(|one, other| one.distance.total_cmp(&other.distance));
            met.truncate(wanted.most);
        }
        met
    }

    /// Which entity of the scene something is a part of; `None` if it is none, or is to be left out.
    fn known(&self, entity: Entity, without: Option<&dyn Fn(EntityId) -> bool>) -> Option<EntityId> {
        let mut found = None;
        let mut at = Some(entity);
        while let Some((known, above)) = at.and_then(|entity| self.tree.get(entity).ok()) {
            if let Some(Known(id)) = known {
                found = found.or(Some(*id));
                match without {
                    None => break,
                    Some(is_without) if is_without(*id) => return None,
                    Some(_) => {}
                }
            }
            at = above.map(|above| above.0);
        }
        found
    }

    /// The ids of an entity and of all above it.
    pub(crate) fn upwards(&self, entity: Entity) -> impl Iterator<Item = EntityId> {
        let next = move |entity: &Entity| self.tree.get(*entity).ok()?.1.map(|above| above.0);
        std::iter::successors(Some(entity), next)
            .filter_map(move |entity| self.tree.get(entity).ok()?.0.map(|known| known.0))
    }

    fn meeting(&self, entity: Entity, line: &Line, radius: f32, distance_max: f32) -> Option<Meeting> {
        let (_, mesh, aabb, place, _, material, flat, (is_glass, _)) = self.shapes.get(entity).ok()?;
        let mut nearest: Option<Meeting> = None;
        let mut take = |meeting: Meeting| {
            if meeting.along <= nearest.map_or(distance_max, |nearest| nearest.along) {
                nearest = Some(meeting);
            }
        };
        let affine = place.affine();
        let is_flat = material.is_none() && !is_glass;
        if is_flat {
            // Terminals and writing: rectangles, seen from both sides.
            let mesh = || [Vec3::from(aabb.min()).truncate(), Vec3::from(aabb.max()).truncate()];
            let [min, max] = flat.map_or_else(mesh, |flat| [flat.min, flat.max]);
            let corners = [(min.x, min.y), (max.x, min.y), (max.x, max.y), (min.x, max.y)];
            let [a, b, c, d] = corners.map(|(x, y)| affine.transform_point3(Vec3::new(x, y, 0.0)));
            for corners in [[a, b, c], [a, c, d]] {
                triangle(line, radius, corners, false).into_iter().for_each(&mut take);
            }
            return nearest;
        }
        let mesh = self.meshes.get(&mesh.0)?;
        let material = material.and_then(|material| self.materials.get(&material.0));
        let one_sided = material.is_none_or(|material| material.cull_mode.is_some());
        // Mirrored, corners go around the other way, and the renderer draws the inside.
        let is_mirrored = affine.matrix3.determinant() < 0.0;
        if radius > 0.0 {
            each_triangle(mesh, |corners| {
                let corners = corners.map(|corner| affine.transform_point3(corner));
                triangle(line, radius, corners, false).into_iter().for_each(&mut take);
            });
            return nearest;
        }
        // Lengths along the line are the same in the mesh's own space.
        let inverse = affine.inverse();
        let own =
            Line { from: inverse.transform_point3(line.from), way: inverse.transform_vector3(line.way) };
        each_triangle(mesh, |[a, b, c]| {
            let corners = if is_mirrored { [a, c, b] } else { [a, b, c] };
            let Some((along, _)) = sweep::ray(&own, corners, one_sided) else { return };
            let [a, b, c] = corners.map(|corner| affine.transform_point3(corner));
            let Some(normal) = (b - a).cross(c - a).try_normalize() else { return };
            take(Meeting { along, point: line.at(along), normal: towards(normal, line.way) });
        });
        nearest
    }
}

/// What of all that is met is wanted.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// So many, 1 or more.
    pub(crate) most: usize,
    /// Not these, nor what is below them.
    pub(crate) without: Option<&'a dyn Fn(EntityId) -> bool>,
    /// Of these layers alone.
    pub(crate) layers: Option<&'a RenderLayers>,
}

fn towards(normal: Vec3, way: Vec3) -> Vec3 {
    if normal.dot(way) > 0.0 { -normal } else { normal }
}

fn triangle(line: &Line, radius: f32, corners: [Vec3; 3], one_sided: bool) -> Option<Meeting> {
    if radius > 0.0 {
        return sweep::ball(line, radius, corners);
    }
    let (along, normal) = sweep::ray(line, corners, one_sided)?;
    let normal = towards(normal.try_normalize()?, line.way);
    Some(Meeting { along, point: line.at(along), normal })
}

/// Where a line comes near a box.
fn meets(line: &Line, radius: f32, aabb: &Aabb, place: &GlobalTransform) -> Option<f32> {
    let affine = place.affine();
    if radius > 0.0 {
        // The box around the box, in the world.
        let center = affine.transform_point3(aabb.center.into());
        let half = Vec3::from(affine.matrix3.abs() * aabb.half_extents);
        return sweep::meets_box(line, center, half, radius);
    }
    let inverse = affine.inverse();
    let own = Line { from: inverse.transform_point3(line.from), way: inverse.transform_vector3(line.way) };
    // What is flat has no depth to be rounded away.
    let more = aabb.half_extents.max_element() * 1e-4;
    sweep::meets_box(&own, aabb.center.into(), aabb.half_extents.into(), more)
}

fn each_triangle(mesh: &Mesh, mut body: impl FnMut([Vec3; 3])) {
    if mesh.primitive_topology() != PrimitiveTopology::TriangleList {
        return;
    }
    let positions = mesh.try_attribute(Mesh::ATTRIBUTE_POSITION).ok().and_then(|list| list.as_float3());
    let Some(positions) = positions else { return };
    let mut corners = |indices: [usize; 3]| {
        let corner = |index: usize| positions.get(index).copied().map(Vec3::from);
        if let [Some(a), Some(b), Some(c)] = indices.map(corner) {
            body([a, b, c]);
        }
    };
    match mesh.try_indices().ok() {
        Some(Indices::U16(indices)) => {
            indices.as_chunks().0.iter().for_each(|three: &[u16; 3]| corners(three.map(usize::from)));
        }
        Some(Indices::U32(indices)) => {
            indices.as_chunks().0.iter().for_each(|three: &[u32; 3]| corners(three.map(|i| i as usize)));
        }
        None => (0..positions.len() / 3).for_each(|i| corners([3 * i, 3 * i + 1, 3 * i + 2])),
    }
}

/// Casts that wait.
#[derive(Resource, Default)]
pub(crate) struct Casts(VecDeque<(Cast, Reply<Vec<cast::Hit>>)>);

impl Casts {
    pub(crate) fn ask(&mut self, cast: Cast, reply: Reply<Vec<cast::Hit>>) {
        match self.0.len() {
            CASTS_MAX.. => reply.answer(Err(format!("{CASTS_MAX} casts wait already"))),
            _ => self.0.push_back((cast, reply)),
        }
    }
}

/// Answers what was asked before this picture, as far as there is time.
pub(crate) fn answer(mut casts: ResMut<Casts>, drawn: Drawn<'_, '_>) {
    let start = Instant::now();
    while let Some((cast, reply)) = casts.0.pop_front() {
        reply.answer(Ok(hits(&drawn, &cast)));
        if start.elapsed() > TIME_MAX {
            return;
        }
    }
}

fn hits(drawn: &Drawn<'_, '_>, cast: &Cast) -> Vec<cast::Hit> {
    let Some(way) = Vec3::from(cast.way).try_normalize() else { return Vec::new() };
    let line = Line { from: cast.from.into(), way };
    let is_without = |id: EntityId| Some(id) == cast.without;
    let without: Option<&dyn Fn(EntityId) -> bool> = cast.without.is_some().then_some(&is_without);
    let most = cast.hits_max.clamp(1, cast::HITS_MAX) as usize;
    let met = drawn.cast(&line, cast.radius, cast.distance_max, Wanted { most, without, layers: None });
    let hit = |met: Met| cast::Hit {
        entity: met.id,
        point: met.point.to_array(),
        normal: met.normal.to_array(),
        distance: met.distance,
    };
    met.into_iter().map(hit).collect()
}
