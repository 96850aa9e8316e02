// SPDX-License-Identifier: AGPL-3.0-or-later
//! Walks through worlds of triangles that answer casts exactly, and late.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::chance::Chance;
use hearth_sdk::{abi::EntityId, math::vec3};
use std::collections::VecDeque;

mod place;

type Triangle = [Vec3; 3];

/// Each thing is an entity.
#[derive(Clone, Default)]
struct World(Vec<Vec<Triangle>>);

fn nearest(p: Vec3, [a, b, c]: Triangle) -> Vec3 {
    let normal = (b - a).cross(c - a);
    let inside = |one: Vec3, other: Vec3| normal.dot((other - one).cross(p - one)) >= 0.0;
    if let Some(unit) = normal.unit()
        && inside(a, b)
        && inside(b, c)
        && inside(c, a)
    {
        return p - unit * (p - a).dot(unit);
    }
    let on = |one: Vec3, other: Vec3| {
        let axis = other - one;
        one + axis * ((p - one).dot(axis) / axis.dot(axis)).clamp(0.0, 1.0)
    };
    let edges = [on(a, b), on(b, c), on(c, a)];
    edges.into_iter().min_by(|x, y| (*x - p).length().total_cmp(&(*y - p).length())).unwrap()
}

fn ray(ball: &Ball, [a, b, c]: Triangle) -> Option<(f32, Vec3, Vec3)> {
    let normal = (b - a).cross(c - a).unit()?;
    let sinks = -normal.dot(ball.way);
    let along = normal.dot(ball.from - a) / sinks;
    let point = ball.from + ball.way * along;
    let inside = |one: Vec3, other: Vec3| normal.dot((other - one).cross(point - one)) >= 0.0;
    let is_met = sinks > 1e-6 && (0.0..=ball.far).contains(&along);
    (is_met && inside(a, b) && inside(b, c) && inside(c, a)).then_some((along, point, normal))
}

/// Advances by the distance that is surely free until it touches.
fn sweep(ball: &Ball, triangle: Triangle) -> Option<(f32, Vec3, Vec3)> {
    if ball.radius == 0.0 {
        return ray(ball, triangle);
    }
    let mut along = 0.0;
    for _ in 0..400 {
        let at = ball.from + ball.way * along;
        let point = nearest(at, triangle);
        let gap = (at - point).length() - ball.radius;
        if gap < 1e-4 {
            let normal = (at - point).unit()?;
            // What it moves away from, or along, is not met.
            let leaves = along > 0.0 && normal.dot(ball.way) > -1e-3;
            return (!leaves).then_some((
                if along == 0.0 && gap > 0.0 { 1e-5 } else { along },
                point,
                normal,
            ));
        }
        along += gap;
        if along > ball.far {
            return None;
        }
    }
    None
}

impl World {
    fn cast(&self, ball: &Ball) -> Vec<Hit> {
        assert!(is_finite(ball.from) && (ball.way.length() - 1.0).abs() < 1e-3 && ball.far > 0.0, "{ball:?}");
        let mut hits: Vec<Hit> = (self.0.iter().enumerate())
            .filter_map(|(number, thing)| {
                let met = thing.iter().filter_map(|triangle| sweep(ball, *triangle));
                // Of equals the last, as the engine does.
                let (distance, point, normal) = met.reduce(|a, b| if b.0 <= a.0 { b } else { a })?;
                let entity = EntityId::from_bits(number as u64 + 1);
                Some(Hit { entity, point: point.array(), normal: normal.array(), distance })
            })
            .collect();
        hits.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        hits
    }

    fn quad(mut self, corners: [Vec3; 4]) -> World {
        let [a, b, c, d] = corners;
        self.0.push(vec![[a, b, c], [a, c, d]]);
        self
    }

    fn floor(self, y: f32) -> World {
        let at = |x: f32, z: f32| vec3(x, y, z);
        self.quad([at(-50.0, 50.0), at(50.0, 50.0), at(50.0, -50.0), at(-50.0, -50.0)])
    }

    /// A box between two corners.
    fn block(mut self, [x, y, z]: [f32; 3], [u, v, w]: [f32; 3]) -> World {
        let p =
            |i: u8| vec3([x, u][(i & 1) as usize], [y, v][(i >> 1 & 1) as usize], [z, w][(i >> 2) as usize]);
        let faces = [[4, 5, 7, 6], [1, 0, 2, 3], [5, 1, 3, 7], [0, 4, 6, 2], [6, 7, 3, 2], [0, 1, 5, 4]];
        let triangles = faces.iter().flat_map(|[a, b, c, d]| [[p(*a), p(*b), p(*c)], [p(*a), p(*c), p(*d)]]);
        self.0.push(triangles.collect());
        self
    }

    /// Rises towards −Z from z, this steeply.
    fn ramp(self, z: f32, degrees: f32) -> World {
        let (length, high) = (12.0, 12.0 * degrees.to_radians().tan());
        let at = |x: f32, y: f32, z: f32| vec3(x, y, z);
        self.quad([at(-9.0, 0.0, z), at(9.0, 0.0, z), at(9.0, high, z - length), at(-9.0, high, z - length)])
    }

    /// The farthest that a ball of the body is in something.
    fn depth(&self, feet: Vec3, falling: bool) -> f32 {
        let first = if falling { 0 } else { 1 };
        let balls = BALLS.iter().skip(first).map(|(up, radius)| (feet + Vec3::Y * *up, *radius));
        let deep = balls.flat_map(|(at, radius)| {
            self.0.iter().flatten().map(move |triangle| radius - (at - nearest(at, *triangle)).length())
        });
        deep.fold(f32::MIN, f32::max)
    }
}

/// Walks with pictures of `step` seconds whose answers come `late` pictures late.
struct Stroll {
    walk: Walk,
    world: World,
    step: f32,
    late: usize,
    waiting: VecDeque<(usize, u32, Vec<Vec<Hit>>)>,
    picture: usize,
    casts: usize,
    /// The largest leap of what is shown in one picture against how it went before.
    jerk: f32,
    deepest: f32,
    /// The same of what is shown.
    shown_deep: f32,
    shown: Vec<Vec3>,
}

impl Stroll {
    fn new(world: World, feet: Vec3) -> Stroll {
        Stroll {
            walk: Walk::standing(feet, Vec3::ZERO),
            world,
            step: 1.0 / 60.0,
            late: 1,
            waiting: VecDeque::new(),
            picture: 0,
            casts: 0,
            jerk: 0.0,
            deepest: f32::MIN,
            shown_deep: f32::MIN,
            shown: vec![feet],
        }
    }

    fn ask(&mut self) {
        let (round, balls) = self.walk.ask();
        self.casts += balls.len();
        if !balls.is_empty() {
            let answers = balls.iter().map(|ball| self.world.cast(ball)).collect();
            self.waiting.push_back((self.picture + self.late, round, answers));
        }
    }

    fn go(&mut self, wish: Vec3, jumps: bool, secs: f32) -> &mut Stroll {
        for _ in 0..(secs / self.step).round() as usize {
            self.walk.step(wish, jumps, self.step);
            self.ask();
            let shown = self.walk.feet();
            assert!(is_finite(shown) && is_finite(self.walk.known()), "{:?}", self.walk);
            let n = self.shown.len();
            if n > 1 {
                let before = self.shown[n - 1] - self.shown[n - 2];
                self.jerk = self.jerk.max(level(shown - self.shown[n - 1] - before).length());
            }
            self.shown_deep = self.shown_deep.max(self.world.depth(shown, !self.walk.stands()));
            self.shown.push(shown);
            self.picture += 1;
            while let Some((_, round, answers)) = self.waiting.pop_front_if(|(due, ..)| *due <= self.picture)
            {
                self.walk.answer(round, &answers);
                let deep = self.world.depth(self.walk.known(), !self.walk.stands());
                self.deepest = self.deepest.max(deep);
                self.ask();
            }
        }
        self
    }

    fn at(&self) -> Vec3 {
        self.walk.feet()
    }
}

const AHEAD: Vec3 = vec3(0.0, 0.0, -3.2);

fn near(a: f32, b: f32, by: f32) -> bool {
    (a - b).abs() <= by
}

#[test]
fn it_walks_on_a_plane_alike_at_every_pace_of_pictures() {
    for (step, late) in [(1.0 / 240.0, 2), (1.0 / 60.0, 1), (1.0 / 60.0, 2), (1.0 / 20.0, 1), (0.1, 1)] {
        let mut stroll = Stroll { step, late, ..Stroll::new(World::default().floor(0.0), Vec3::ZERO) };
        stroll.go(AHEAD, false, 3.0);
        let at = stroll.at();
        assert!(
            near(at.z, -3.2 * (3.0 - 1.0 / GRIP), 0.12) && near(at.y, 0.0, 1e-3),
            "{step} {late}: {at:?}"
        );
        stroll.go(Vec3::ZERO, false, 1.0);
        let rest = stroll.at();
        stroll.casts = 0;
        stroll.go(Vec3::ZERO, false, 1.0);
        assert_eq!(stroll.at(), rest, "it rests");
        assert!(stroll.casts <= 22, "{} casts at rest", stroll.casts);
    }
}

#[test]
fn what_is_shown_does_not_wait_for_answers() {
    let mut stroll = Stroll { late: 2, ..Stroll::new(World::default().floor(0.0), Vec3::ZERO) };
    stroll.go(AHEAD, false, 1.0 / 60.0);
    assert!(stroll.at().z < -0.003, "the first picture moves: {:?}", stroll.at());
    // And one that has no answers at all goes no farther than it may.
    let mut deaf = Walk::standing(Vec3::ZERO, Vec3::ZERO);
    for _ in 0..600 {
        deaf.step(AHEAD, false, 1.0 / 60.0);
        deaf.ask();
        assert!(deaf.feet().length() <= AHEAD_MOST + 0.01);
    }
    assert!(deaf.feet().length() > 0.3);
}

#[test]
fn it_jumps_and_lands_where_it_was() {
    for late in [1, 2] {
        let mut stroll = Stroll { late, ..Stroll::new(World::default().floor(0.0), Vec3::ZERO) };
        stroll.go(Vec3::ZERO, false, 0.3).go(Vec3::ZERO, true, 1.0 / 60.0).go(Vec3::ZERO, false, 1.5);
        let high = stroll.shown.iter().map(|at| at.y).fold(0.0, f32::max);
        assert!(near(high, JUMP * JUMP / (2.0 * GRAVITY), 0.05), "{high} m high");
        let low = stroll.shown.iter().map(|at| at.y).fold(0.0, f32::min);
        assert!(low > -0.02 && near(stroll.at().y, 0.0, 2e-3), "{low} {:?}", stroll.at());
        assert!(stroll.walk.stands());
    }
}

#[test]
fn walls_stop_it_and_let_it_slide_along_them() {
    let wall = World::default().floor(0.0).block([-9.0, -1.0, -3.0], [9.0, 3.0, -2.0]);
    for late in [1, 2, 3] {
        let mut stroll = Stroll { late, ..Stroll::new(wall.clone(), Vec3::ZERO) };
        stroll.go(AHEAD, false, 2.0);
        assert!(near(stroll.at().z, -2.0 + RADIUS + SKIN, 0.01), "{late}: {:?}", stroll.at());
        assert!(near(stroll.at().x, 0.0, 1e-3));
        stroll.jerk = 0.0;
        stroll.go(vec3(2.0, 0.0, -2.0), false, 2.0);
        let at = stroll.at();
        assert!(near(at.x, 2.0 * (2.0 - 1.0 / GRIP), 0.15) && near(at.z, -1.67, 0.012), "{late}: {at:?}");
        assert!(stroll.jerk < 0.012, "it trembles by {}", stroll.jerk);
        assert!(stroll.deepest < 1e-3, "{} deep", stroll.deepest);
    }
}

#[test]
fn a_wall_that_ends_lets_it_around_the_corner_and_one_that_goes_lets_it_through() {
    let world = World::default().floor(0.0).block([-9.0, -1.0, -3.0], [1.0, 3.0, -2.0]);
    let mut stroll = Stroll::new(world, Vec3::ZERO);
    stroll.go(vec3(2.0, 0.0, -2.0), false, 3.0);
    assert!(stroll.at().z < -2.5 && stroll.at().x > 1.3, "{:?}", stroll.at());
    let corner = World::default().floor(0.0).block([-9.0, -1.0, -3.0], [9.0, 3.0, -2.0]);
    let corner = corner.block([1.0, -1.0, -9.0], [2.0, 3.0, 9.0]);
    let mut stroll = Stroll::new(corner, Vec3::ZERO);
    stroll.go(vec3(2.5, 0.0, -2.5), false, 2.0);
    let at = stroll.at();
    assert!(near(at.x, 0.67, 0.012) && near(at.z, -1.67, 0.012), "{at:?}");
    let shown = stroll.shown.len() - 30;
    let most = stroll.shown[shown..].iter().map(|place| (*place - at).length()).fold(0.0, f32::max);
    assert!(most < 2e-3, "it trembles in the corner by {most}");
    stroll.world.0.truncate(1);
    stroll.go(vec3(2.5, 0.0, -2.5), false, 1.0);
    assert!(stroll.at().z < -3.0 && stroll.at().x > 2.0, "{:?}", stroll.at());
}

#[test]
fn steps_are_climbed_up_to_a_height_and_stairs_are_gone_down_without_a_fall() {
    for (height, climbs) in [(0.1, true), (0.2, true), (0.34, true), (0.42, false), (0.6, false)] {
        let world = World::default().floor(0.0).block([-9.0, -1.0, -9.0], [9.0, height, -2.0]);
        let mut stroll = Stroll::new(world, Vec3::ZERO);
        stroll.go(AHEAD, false, 2.0);
        let at = stroll.at();
        assert_eq!(at.z < -3.0, climbs, "{height}: {at:?}");
        assert!(near(at.y, if climbs { height } else { 0.0 }, 0.01), "{height}: {at:?}");
    }
    for late in [1, 2] {
        let stairs = (0..10).fold(World::default().floor(0.0), |world, step| {
            let (far, high) = (-2.0 - 0.3 * step as f32, 0.18 * (step + 1) as f32);
            world.block([-9.0, -1.0, -20.0], [9.0, high, far])
        });
        let mut stroll = Stroll { late, ..Stroll::new(stairs, Vec3::ZERO) };
        stroll.go(AHEAD, false, 2.5);
        assert!(near(stroll.at().y, 1.8, 0.01), "{:?}", stroll.at());
        let mut fell = false;
        for _ in 0..150 {
            stroll.go(-AHEAD, false, 1.0 / 60.0);
            fell |= !stroll.walk.stands();
        }
        assert!(!fell && near(stroll.at().y, 0.0, 0.01), "{fell} {:?}", stroll.at());
        let leap = stroll.shown.windows(2).map(|two| (two[1].y - two[0].y).abs()).fold(0.0, f32::max);
        assert!(leap < 0.09, "the eye leaps by {leap}");
    }
}

#[test]
fn slopes_are_walked_up_to_a_limit() {
    for (degrees, climbs) in [(15.0, true), (30.0, true), (45.0, true), (55.0, false), (70.0, false)] {
        for wish in [AHEAD, AHEAD * 2.0] {
            let mut stroll = Stroll::new(World::default().floor(0.0).ramp(-1.0, degrees), Vec3::ZERO);
            stroll.go(wish, false, 2.0);
            let at = stroll.at();
            if climbs {
                assert!(near(at.z, wish.z * 1.93, 0.3), "{degrees}: {at:?}");
                let ground = (-1.0 - at.z) * f32::to_radians(degrees).tan();
                assert!(near(at.y, ground, 0.1), "{degrees}: {at:?} on {ground}");
                stroll.go(-wish, false, 1.5);
                assert!(stroll.walk.stands(), "it stays on the ground downhill");
                stroll.go(Vec3::ZERO, false, 0.7);
                let rest = stroll.at();
                stroll.go(Vec3::ZERO, false, 0.5);
                assert!((stroll.at() - rest).length() < 1e-3, "it does not slide");
            } else {
                assert!(at.z > -1.8 && at.y < 0.6, "{degrees}: {at:?}");
            }
        }
    }
}

#[test]
fn narrow_gaps_are_closed_and_wide_ones_open() {
    for (gap, passes) in [(0.5, false), (0.58, false), (0.75, true), (0.9, true)] {
        let half = gap / 2.0;
        let world = World::default().floor(0.0).block([-9.0, -1.0, -3.0], [-half, 3.0, -2.0]);
        let world = world.block([half, -1.0, -3.0], [9.0, 3.0, -2.0]);
        for x in [0.0, 0.05, -0.2] {
            let mut stroll = Stroll::new(world.clone(), vec3(x, 0.0, 0.0));
            stroll.go(AHEAD, false, 3.0);
            assert_eq!(stroll.at().z < -3.0, passes, "{gap} {x}: {:?}", stroll.at());
            assert!(stroll.deepest < 0.002, "{} deep", stroll.deepest);
        }
    }
}

#[test]
fn ground_that_goes_lets_it_fall_and_ground_that_moves_carries_it() {
    let mut stroll = Stroll::new(World::default().floor(0.0), Vec3::ZERO);
    stroll.go(Vec3::ZERO, false, 0.5);
    for _ in 0..120 {
        // 0.6 m/s, up and then down.
        let up = if stroll.picture < 90 { 0.01 } else { -0.01 };
        stroll.world.0.iter_mut().flatten().flatten().for_each(|corner| corner.y += up);
        stroll.go(Vec3::ZERO, false, 1.0 / 60.0);
        let ground = stroll.world.0[0][0][0].y;
        assert!(near(stroll.at().y, ground, 0.13), "{} on {ground}", stroll.at().y);
        assert!(stroll.walk.stands());
    }
    stroll.world = World::default().floor(-9.0);
    stroll.go(Vec3::ZERO, false, 3.0);
    assert!(near(stroll.at().y, -9.0, 0.01) && stroll.walk.stands(), "{:?}", stroll.at());
    // Out of the world: it comes back, and if there is nothing there any more, it is told.
    stroll.world = World::default();
    let mut fates = Vec::new();
    for _ in 0..6000 {
        stroll.go(Vec3::ZERO, false, 1.0 / 60.0);
        match stroll.walk.take_fate() {
            Fate::Walks => {}
            fate => fates.push(fate),
        }
    }
    assert_eq!(fates.first(), Some(&Fate::Returned));
    assert!(fates.contains(&Fate::Lost), "{fates:?}");
}

#[test]
fn something_that_comes_down_on_it_or_into_it_does_not_hold_it_for_ever() {
    let world = World::default().floor(0.0).block([-0.1, 0.0, -0.5], [0.1, 3.0, -0.2]);
    let mut stroll = Stroll::new(world, Vec3::ZERO);
    stroll.go(vec3(0.0, 0.0, 2.0), false, 1.5);
    assert!(stroll.at().z > 1.5, "{:?}", stroll.at());
}

#[test]
fn it_falls_through_nothing_at_any_speed() {
    for height in [1.0, 20.0, 150.0] {
        for step in [1.0 / 60.0, 0.1] {
            for thick in [0.0, 0.02] {
                let world = World::default().block([-9.0, -thick, -9.0], [9.0, 0.0, 9.0]);
                let mut stroll = Stroll { step, ..Stroll::new(world, vec3(0.3, height, 0.2)) };
                stroll.walk = Walk::new(vec3(0.3, height, 0.2), Vec3::ZERO);
                stroll.go(vec3(1.0, 0.0, 0.0), false, 1.0).go(Vec3::ZERO, false, 6.0);
                assert!(near(stroll.at().y, 0.0, 0.01), "{height} {step}: {:?}", stroll.at());
            }
        }
    }
}

#[test]
fn whatever_it_does_it_is_never_in_anything() {
    for seed in 0..30 {
        let mut chance = Chance::new(seed * 1000);
        let mut world = World::default().floor(0.0);
        for _ in 0..14 {
            let (x, z) = (chance.between(-5.0, 5.0), chance.between(-5.0, 5.0));
            if x.abs() < 1.6 && z.abs() < 1.6 {
                continue;
            }
            let size = [chance.between(0.05, 2.0), chance.between(0.05, 2.5), chance.between(0.05, 2.0)];
            let low = if chance.part() < 0.3 { chance.between(0.0, 1.6) } else { -0.5 };
            world = world.block([x, low, z], [x + size[0], low + size[1] + 0.1, z + size[2]]);
        }
        // Walls around it.
        for [x, z, u, w] in
            [[-7.0, -7.0, 7.0, -6.0], [-7.0, 6.0, 7.0, 7.0], [-7.0, -7.0, -6.0, 7.0], [6.0, -7.0, 7.0, 7.0]]
        {
            world = world.block([x, -1.0, z], [u, 9.0, w]);
        }
        let late = 1 + seed as usize % 3;
        let step = [1.0 / 144.0, 1.0 / 60.0, 1.0 / 15.0][seed as usize / 3 % 3];
        let mut stroll = Stroll { late, step, ..Stroll::new(world, Vec3::ZERO) };
        for _ in 0..14 {
            let (angle, speed) = (chance.between(0.0, 6.3), chance.between(0.5, 13.0));
            let wish = vec3(angle.sin() * speed, 0.0, angle.cos() * speed);
            stroll.go(wish, chance.part() < 0.3, chance.between(0.2, 1.2));
        }
        let at = stroll.walk.known();
        assert!(at.x.abs() < 6.0 && at.z.abs() < 6.0 && at.y > -0.1, "{seed}: {at:?}");
        assert!(stroll.deepest < SKIN, "{seed}: {} deep", stroll.deepest);
        if late == 1 && step < 0.02 {
            assert!(stroll.shown_deep < 0.05, "{seed}: shown {} deep", stroll.shown_deep);
        }
        stroll.go(Vec3::ZERO, false, 2.5);
        let rest = stroll.at();
        stroll.go(Vec3::ZERO, false, 0.5);
        assert!((stroll.at() - rest).length() < 2e-3, "{seed}: it rests: {rest:?} {:?}", stroll.at());
    }
}

#[test]
fn what_is_shown_does_not_sink_into_the_ground() {
    for height in [0.4, 0.5, 1.0, 2.5, 6.0] {
        for (step, late) in [(1.0 / 60.0, 1), (1.0 / 60.0, 2), (0.1, 1), (0.1, 2)] {
            let ledge = World::default().floor(0.0).block([-9.0, -1.0, -1.0], [9.0, height, 9.0]);
            let mut stroll = Stroll { step, late, ..Stroll::new(ledge, vec3(0.0, height, 0.5)) };
            stroll.go(AHEAD, false, 1.5).go(Vec3::ZERO, false, 2.0);
            let low = stroll.shown.iter().map(|at| at.y).fold(f32::MAX, f32::min);
            assert!(low > -0.05, "{height} {step} {late}: {low}");
            assert!(near(stroll.at().y, 0.0, 0.01), "{height} {step} {late}: {:?}", stroll.at());
        }
    }
}

#[test]
fn nonsense_is_not_taken() {
    let mut walk = Walk::standing(Vec3::ZERO, Vec3::ZERO);
    for bad in [f32::NAN, f32::INFINITY, -1.0, 1e30] {
        walk.step(vec3(bad, bad, bad), true, bad);
        let (round, balls) = walk.ask();
        walk.answer(round.wrapping_add(1), &[]);
        walk.answer(round, &vec![Vec::new(); balls.len()]);
        assert!(is_finite(walk.feet()) && is_finite(walk.known()), "{walk:?}");
    }
}
