// SPDX-License-Identifier: AGPL-3.0-or-later
//! Walks through the furnished place, with all its triangles.

use super::*;
use crate::place;
use hearth_sdk::{
    abi::{
        mesh::Mesh,
        scene::{Component, MeshSource, Op, Transform},
    },
    math::Quat,
    testing,
};
use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

/// Things, each with the corners of the box around it.
struct Place(Vec<(Vec<Triangle>, [Vec3; 2])>);

fn transformed(transform: &Transform, at: Vec3) -> Vec3 {
    let [x, y, z, w] = transform.rotation;
    let [sx, sy, sz] = transform.scale;
    let turn = Quat { v: vec3(x, y, z), w };
    turn.rotate(vec3(at.x * sx, at.y * sy, at.z * sz)) + transform.translation.into()
}

fn corners(triangles: &[Triangle]) -> [Vec3; 2] {
    let all = || triangles.iter().flatten();
    let bound = |pick: fn(f32, f32) -> f32| {
        all().copied().reduce(|a, b| vec3(pick(a.x, b.x), pick(a.y, b.y), pick(a.z, b.z))).unwrap_or_default()
    };
    [bound(f32::min), bound(f32::max)]
}

/// Whether two boxes touch.
fn touch(a: &[Vec3; 2], b: &[Vec3; 2], by: f32) -> bool {
    let on = |axis: usize| {
        let of = |v: Vec3| v.array()[axis];
        of(a[0]) - by <= of(b[1]) && of(b[0]) - by <= of(a[1])
    };
    on(0) && on(1) && on(2)
}

impl Place {
    fn build() -> Place {
        testing::run_for(place::run(), Duration::from_millis(1));
        let lumps: BTreeMap<_, _> = testing::lumps().into_iter().collect();
        let (mut meshes, mut places, mut names, mut parents) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for op in testing::batches().concat() {
            match op {
                Op::SetParent(id, Some(parent)) => drop(parents.insert(id, parent)),
                Op::Set(id, Component::Mesh(MeshSource::Lump(lump))) => drop(meshes.insert(id, lump)),
                Op::Set(id, Component::Transform(transform)) => drop(places.insert(id, transform)),
                Op::Set(id, Component::Name(name)) => drop(names.insert(id, name)),
                _ => {}
            }
        }
        let solid = meshes.iter().filter(|(id, _)| !names.get(*id).is_some_and(|name| name.starts_with('~')));
        let things = solid.map(|(id, lump)| {
            let mesh = Mesh::decode(&lumps[lump]).unwrap();
            let chain: Vec<_> = std::iter::successors(Some(*id), |id| parents.get(id).copied()).collect();
            let at = |index: &u32| {
                let own = Vec3::from(mesh.positions[*index as usize]);
                chain.iter().filter_map(|id| places.get(id)).fold(own, |at, place| transformed(place, at))
            };
            let (threes, _) = mesh.indices.as_chunks::<3>();
            let triangles: Vec<Triangle> = threes.iter().map(|three| three.each_ref().map(at)).collect();
            let bounds = corners(&triangles);
            (triangles, bounds)
        });
        Place(things.collect())
    }

    /// What is near a way, as a world of its own.
    fn near(&self, ball: &Ball) -> World {
        let way = [ball.from, ball.from + ball.way * ball.far];
        let way = corners(&[[way[0], way[1], way[0]]]);
        let by = ball.radius + 0.01;
        let of = |triangles: &[Triangle]| -> Vec<Triangle> {
            triangles.iter().filter(|triangle| touch(&corners(&[**triangle]), &way, by)).copied().collect()
        };
        World(self.0.iter().filter(|(_, bounds)| touch(bounds, &way, by)).map(|(all, _)| of(all)).collect())
    }
}

fn the_place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(Place::build)
}

/// Somebody in the place, at sixty pictures a second.
struct Guest {
    walk: Walk,
    waiting: VecDeque<(usize, u32, Vec<Vec<Hit>>)>,
    picture: usize,
    deepest: f32,
    shown: Vec<Vec3>,
    air: usize,
}

impl Guest {
    fn at(feet: Vec3) -> Guest {
        let walk = Walk::standing(feet, Vec3::ZERO);
        let (waiting, shown) = (VecDeque::new(), vec![feet]);
        Guest { walk, waiting, picture: 0, deepest: f32::MIN, shown, air: 0 }
    }

    fn ask(&mut self) {
        let (round, balls) = self.walk.ask();
        if !balls.is_empty() {
            let place = the_place();
            let answers = balls.iter().map(|ball| place.near(ball).cast(ball)).collect();
            self.waiting.push_back((self.picture + 1, round, answers));
        }
    }

    fn go(&mut self, wish: Vec3, secs: f32) -> Vec3 {
        for _ in 0..(secs * 60.0) as usize {
            self.walk.step(wish, false, 1.0 / 60.0);
            self.ask();
            self.shown.push(self.walk.feet());
            self.picture += 1;
            self.air += usize::from(!self.walk.stands());
            while let Some((_, round, answers)) = self.waiting.pop_front_if(|(due, ..)| *due <= self.picture)
            {
                self.walk.answer(round, &answers);
                if self.picture.is_multiple_of(5) {
                    let at = self.walk.known();
                    let around = Ball { from: at, way: Vec3::Y, far: 1.8, radius: RADIUS };
                    let deep = the_place().near(&around).depth(at, !self.walk.stands());
                    self.deepest = self.deepest.max(deep);
                }
                self.ask();
            }
        }
        self.walk.feet()
    }

    /// The greatest leap of its height from one picture to the next.
    fn leap(&self) -> f32 {
        self.shown.windows(2).map(|two| (two[1].y - two[0].y).abs()).fold(0.0, f32::max)
    }
}

#[test]
fn the_steps_of_the_terrace_are_walked_down_and_up() {
    let mut guest = Guest::at(vec3(0.0, 0.0, 6.0));
    let down = guest.go(vec3(0.0, 0.0, 2.6), 2.5);
    assert!(down.z > 11.5 && (-1.5..-0.2).contains(&down.y), "{down:?}");
    let up = guest.go(vec3(0.0, 0.0, -2.6), 2.6);
    assert!(up.z < 6.5 && up.y.abs() < 0.03, "{up:?}");
    assert!(guest.air == 0 && guest.leap() < 0.08, "{} in the air, leaps by {}", guest.air, guest.leap());
    assert!(guest.deepest < SKIN, "{} deep", guest.deepest);
}

#[test]
fn hearth_benches_table_and_lanterns_are_walked_around() {
    for turn in 0..12 {
        // In the open, between the benches and the lanterns.
        let mut guest = Guest::at(vec3(0.0, 0.0, 5.0));
        let mut angle = turn as f32 * 0.52;
        for _ in 0..5 {
            guest.go(vec3(angle.sin() * 3.0, 0.0, angle.cos() * 3.0), 1.1);
            angle += 2.1;
        }
        assert!(guest.deepest < SKIN, "{turn}: {} deep", guest.deepest);
        let rest = guest.go(Vec3::ZERO, 1.5);
        let after = guest.go(Vec3::ZERO, 0.5);
        assert!((rest - after).length() < 2e-3, "{turn}: it rests: {rest:?} {after:?}");
        assert!((-2.5..1.2).contains(&rest.y), "{turn}: {rest:?}");
    }
}

#[test]
fn the_table_is_in_the_way() {
    let mut guest = Guest::at(vec3(3.9, 0.0, 5.0));
    let at = guest.go(vec3(0.0, 0.0, -2.6), 2.5);
    assert!((2.0..4.0).contains(&at.z) && at.y.abs() < 0.03, "{at:?}");
}

#[test]
fn the_meadow_is_walked_far() {
    let mut guest = Guest::at(vec3(0.0, -0.3, 12.0));
    guest.go(Vec3::ZERO, 1.0);
    guest.air = 0;
    let at = guest.go(vec3(2.0, 0.0, 5.0), 9.0);
    assert!(at.z > 50.0, "{at:?}");
    assert!(guest.air == 0 && guest.leap() < 0.1, "{} in the air, leaps by {}", guest.air, guest.leap());
}
