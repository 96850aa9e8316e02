// SPDX-License-Identifier: AGPL-3.0-or-later
//! Walking: what the user wants, and what casts answer, become motion. No calls of the host, no clock.
//!
//! A cast is answered a picture after it was asked, or later. So there are two places: where the walker is known to be,
//! which only moves along ways that casts have found free, and where it is shown, which is ahead of that by
//! what the user has asked for since. What is ahead is led around the planes that casts met a little farther on than the
//! motion went, so that the two hardly ever differ when the answer comes.
//!
//! The body is a pile of balls. While it stands, the lowest of them floats so high above the ground that what can be
//! stepped onto passes below it; a smaller ball and a ray, sent down, tell where the ground is.
//! While it falls there is a ball at its feet too.

use hearth_sdk::{abi::cast::Hit, math::Vec3};

/// Height of the eye above the feet in metres.
pub const EYE: f32 = 1.7;
/// Metres from the middle of the body to its side.
pub const RADIUS: f32 = 0.3;
/// Distance that the body keeps from everything, which leaves room for rounding.
pub const SKIN: f32 = 0.03;
/// What is at most so high is stepped onto, and down from without a fall.
pub const STEP: f32 = 0.35;
/// The cosine of the steepest slope that can be stood on, about 50°.
pub const STEEPEST: f32 = 0.643;
/// Metres a second, squared. More than that of the earth, as is usual where one jumps about.
pub const GRAVITY: f32 = 14.0;
/// Metres a second upwards at the beginning of a jump: 0.66 m high.
pub const JUMP: f32 = 4.3;
/// Fastest fall in metres a second.
const FALL_MOST: f32 = 50.0;
/// Below this it returns to where it stood.
pub const FLOOR: f32 = -50.0;

/// Radius of the ball that feels the ground.
const FOOT: f32 = 0.15;
/// Middles of the balls above the feet: the lowest only while falling, and the others.
const BALLS: [(f32, f32); 4] = [(FOOT + SKIN, FOOT), (0.65, RADIUS), (1.08, RADIUS), (1.5, RADIUS)];
/// The foot, in that list.
const FOOT_BALL: usize = 0;
/// From where the ground is felt for, above the feet, and how far below them.
const FEEL_FROM: f32 = 0.65;
const FEEL_BELOW: f32 = STEP + 0.02;
/// Per second: how fast the speed follows the wish on the ground and in the air, and how fast feet follow a step.
const GRIP: f32 = 14.0;
const GRIP_AIR: f32 = 2.5;
const FOLLOW: f32 = 13.0;
/// Longest motion of one round along the ground, so that the ground at its end can be felt.
const ROUND_MOST: f32 = 0.45;
/// Most metres that are shown ahead of what is known, along the ground and falling: answers are late by more than this.
const AHEAD_MOST: f32 = 0.6;
const AHEAD_MOST_FALLING: f32 = 6.0;
/// How far beyond its motion the body looks: at least so many metres, else as far as it gets in so many seconds, or in so
/// many pictures.
const LOOK: f32 = 0.25;
const LOOK_SECS: f32 = 0.12;
const LOOK_PICTURES: f32 = 3.0;
/// How deep it looks for the ground when it leaves it.
const LOOK_DOWN: f32 = 3.0;
/// Most planes that are remembered, and of those that are not met any more, how many are looked after in a round.
const PLANES_MAX: usize = 8;
const PROBES_MAX: usize = 3;
/// Metres in a round by which something that has come too near pushes the body away.
const PUSH: f32 = 0.02;
/// Metres that a plane gives way, so that rounding moves nobody.
const GIVE: f32 = 1e-3;
/// Passes over the planes; a corner needs two or three.
const PASSES: usize = 4;
/// How much thinner the balls are for a round after one of them began in something: what a ball begins in hides the rest of
/// the same mesh from it.
const THIN: [f32; 3] = [1.0, 0.5, 0.1];
/// While it stands it feels for the ground so often.
const FEEL_EVERY: f32 = 0.1;
/// A round without an answer is given up after this long.
const PATIENCE: f32 = 2.0;
/// Places to return to, and how far they are apart.
const STOOD_MAX: usize = 4;
const STOOD_APART: f32 = 1.0;
/// Rounds in which a fall gets nowhere before the walker is taken to stand.
const WEDGED: u8 = 3;
/// Hits of one cast that are of interest: the nearest ones, after what is passed through.
pub const HITS_MAX: u32 = 16;

/// A ball that is to be sent through the scene; a ray if it has no radius.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ball {
    /// Where its middle begins.
    pub from: Vec3,
    /// Of length 1.
    pub way: Vec3,
    /// Metres.
    pub far: f32,
    /// Metres.
    pub radius: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Use {
    /// One of the balls, along the motion.
    Sweep(usize),
    /// Whether a plane is still there.
    Probe(usize),
    /// The ground, with a ball and with a ray.
    Feel,
    Under,
}

/// A surface in the way of one of the balls.
#[derive(Clone, Copy, Debug)]
struct Plane {
    ball: usize,
    point: Vec3,
    normal: Vec3,
}

/// What was asked, and not answered yet.
#[derive(Clone, Debug)]
struct Asked {
    round: u32,
    by: Vec3,
    /// How far the balls looked.
    far: f32,
    following: f32,
    uses: Vec<Use>,
    planes: Vec<Plane>,
    thin: usize,
    waited: f32,
    fell: bool,
}

/// What carries it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Footing {
    Air,
    /// The ground faces there, and is so much higher than the feet.
    Ground {
        normal: Vec3,
        above: f32,
    },
}

/// Something that the walker could not do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Walks,
    /// It fell out of the world, and was put back to where it stood.
    Returned,
    /// It fell out of the world, and there is nowhere to return to.
    Lost,
}

/// Somebody who walks.
#[derive(Clone, Debug)]
pub struct Walk {
    at: Vec3,
    speed: Vec3,
    footing: Footing,
    /// Motion that is not asked about yet, and how much of it is only to where the ground is.
    pending: Vec3,
    following: f32,
    planes: Vec<Plane>,
    round: u32,
    asked: Option<Asked>,
    thin: usize,
    /// Seconds of the last step.
    pace: f32,
    /// So many metres below are known, while it falls.
    below: f32,
    felt: f32,
    wedged: u8,
    stood: Vec<Vec3>,
    fate: Fate,
}

fn level(v: Vec3) -> Vec3 {
    Vec3 { y: 0.0, ..v }
}

fn is_finite(v: Vec3) -> bool {
    v.array().iter().all(|part| part.is_finite())
}

/// The place of a ball of a walker whose feet are there.
fn middle(feet: Vec3, ball: usize) -> Vec3 {
    feet + Vec3::Y * BALLS[ball].0
}

impl Walk {
    /// Somebody with their feet there, who falls if there is no ground.
    pub fn new(feet: Vec3, speed: Vec3) -> Walk {
        Walk {
            at: feet,
            speed,
            footing: Footing::Air,
            pending: Vec3::ZERO,
            following: 0.0,
            round: 0,
            planes: Vec::new(),
            asked: None,
            thin: 0,
            pace: 0.0,
            below: 0.0,
            felt: 0.0,
            wedged: 0,
            stood: Vec::new(),
            fate: Fate::Walks,
        }
    }

    /// Somebody who stands there.
    pub fn standing(feet: Vec3, speed: Vec3) -> Walk {
        let footing = Footing::Ground { normal: Vec3::Y, above: 0.0 };
        Walk { footing, felt: FEEL_EVERY, stood: vec![feet], ..Walk::new(feet, speed) }
    }

    /// Where the feet are shown.
    pub fn feet(&self) -> Vec3 {
        let asked = self.asked.as_ref().map_or(Vec3::ZERO, |asked| asked.by);
        let mut by = self.solve(asked + self.pending);
        if !self.stands() {
            // Not into what nobody has looked at.
            by.y = by.y.max(-self.below);
        }
        self.at + by
    }

    /// Where they are known to be.
    #[cfg(test)]
    pub(crate) fn known(&self) -> Vec3 {
        self.at
    }

    /// How fast it means to go, in metres a second.
    pub fn speed(&self) -> Vec3 {
        self.speed
    }

    /// Whether something carries it.
    pub fn stands(&self) -> bool {
        matches!(self.footing, Footing::Ground { .. })
    }

    /// Takes what has become of it.
    pub fn take_fate(&mut self) -> Fate {
        std::mem::replace(&mut self.fate, Fate::Walks)
    }

    /// Time goes on; the user wants to go at this speed along the ground, and to jump.
    /// Whether it has jumped.
    pub fn step(&mut self, wish: Vec3, jumps: bool, step: f32) -> bool {
        let step = if step.is_finite() { step.clamp(0.0, 0.1) } else { 0.0 };
        let wish = if is_finite(wish) { level(wish) } else { Vec3::ZERO };
        if let Some(asked) = &mut self.asked {
            asked.waited += step;
            if asked.waited > PATIENCE {
                self.forsake();
            }
        }
        self.felt += step;
        self.pace = step;
        let is_carried = self.stands() || self.wedged >= WEDGED;
        let before = self.speed;
        let part = 1.0 - (-(if is_carried { GRIP } else { GRIP_AIR }) * step).exp();
        let mut along = level(before).lerp(wish, part);
        if wish == Vec3::ZERO && along.length() < 0.02 {
            along = Vec3::ZERO;
        }
        self.pending += (level(before) + along) * (0.5 * step);
        self.speed = Vec3 { y: before.y, ..along };
        let jumps = jumps && is_carried;
        if jumps {
            // What was not climbed yet stays below.
            self.footing = Footing::Air;
            self.speed.y = JUMP;
            self.wedged = 0;
            self.below = 0.0;
        }
        match self.footing {
            Footing::Ground { normal, above } => {
                self.speed.y = 0.0;
                let by = (level(before) + along) * (0.5 * step);
                // With the slope, and a part of the way to where the ground really is.
                let slope = -(normal.x * by.x + normal.z * by.z) / normal.y.max(STEEPEST);
                let mut follow = above * (1.0 - (-FOLLOW * step).exp());
                if above.abs() < 1e-3 {
                    follow = 0.0;
                }
                self.pending.y += slope + follow;
                self.following += follow;
                self.footing = Footing::Ground { normal, above: above - follow };
            }
            Footing::Air => {
                let falls = (self.speed.y - GRAVITY * step).max(-FALL_MOST);
                self.pending.y += (self.speed.y + falls) * 0.5 * step;
                self.speed.y = falls;
            }
        }
        self.bound();
        if self.at.y < FLOOR {
            self.come_back();
        }
        jumps
    }

    /// What is ahead of what is known has an end.
    fn bound(&mut self) {
        let most = if self.stands() { AHEAD_MOST } else { AHEAD_MOST_FALLING };
        let asked = self.asked.as_ref().map_or(0.0, |asked| asked.by.length());
        let room = (most - asked).max(0.0);
        let length = self.pending.length();
        if !length.is_finite() {
            self.pending = Vec3::ZERO;
        } else if length > room {
            self.pending = self.pending * (room / length);
        }
    }

    fn come_back(&mut self) {
        let place = self.stood.pop();
        self.fate = if place.is_some() { Fate::Returned } else { Fate::Lost };
        let stood = std::mem::take(&mut self.stood);
        // A little above, where it falls from if the ground there has gone too.
        let at = place.map_or(Vec3 { y: 0.0, ..self.at }, |place| place + Vec3::Y * 0.02);
        // Answers that are still under way are about another place.
        *self = Walk { stood, fate: self.fate, round: self.round, ..Walk::new(at, Vec3::ZERO) };
    }

    /// No answer will come: whatever is asked now may have another.
    pub fn forsake(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.pending = asked.by + self.pending;
            self.following += asked.following;
            self.bound();
        }
    }

    /// The balls that are to be sent now, all at once, and the number of their round; none if there is nothing to
    /// learn, or others are under way.
    pub fn ask(&mut self) -> (u32, Vec<Ball>) {
        self.round = self.round.wrapping_add(1);
        (self.round, self.balls())
    }

    fn balls(&mut self) -> Vec<Ball> {
        if self.asked.is_some() {
            return Vec::new();
        }
        let stands = self.stands();
        let mut wanted = std::mem::replace(&mut self.pending, Vec3::ZERO);
        let mut following = std::mem::replace(&mut self.following, 0.0);
        if stands && level(wanted).length() > ROUND_MOST {
            let part = ROUND_MOST / level(wanted).length();
            self.pending = wanted * (1.0 - part);
            self.following = following * (1.0 - part);
            wanted = wanted * part;
            following *= part;
        }
        let by = self.solve(wanted);
        let length = by.length();
        let mut uses = Vec::new();
        let mut balls = Vec::new();
        let ahead = LOOK_SECS.max(self.pace * LOOK_PICTURES);
        let far =
            length + LOOK.max((self.speed.length() + if stands { 0.0 } else { GRAVITY * ahead }) * ahead);
        if length > 1e-6 {
            let way = by * (1.0 / length);
            let first = if stands { FOOT_BALL + 1 } else { FOOT_BALL };
            for (ball, (_, radius)) in BALLS.iter().enumerate().skip(first) {
                uses.push(Use::Sweep(ball));
                balls.push(Ball { from: middle(self.at, ball), way, far, radius: radius * THIN[self.thin] });
            }
        }
        // Planes that still hold it back, and that the motion along them does not meet again.
        let mut probed: Vec<Vec3> = Vec::new();
        for (number, plane) in self.planes.iter().enumerate() {
            let holds = wanted.dot(plane.normal) < 0.0 && self.gap(plane, by) < SKIN;
            // A wall before all balls is one wall.
            let is_known = probed.iter().any(|normal| normal.dot(plane.normal) > 0.95);
            if holds && !is_known && probed.len() < PROBES_MAX {
                probed.push(plane.normal);
                uses.push(Use::Probe(number));
                balls.push(Ball {
                    from: middle(self.at, plane.ball),
                    way: -plane.normal,
                    far: self.gap(plane, Vec3::ZERO).max(0.0) + SKIN + 0.03,
                    radius: BALLS[plane.ball].1 * THIN[self.thin],
                });
            }
        }
        if stands && balls.is_empty() && self.felt < FEEL_EVERY {
            return balls;
        }
        if stands {
            self.felt = 0.0;
            let from = self.at + level(by) + Vec3::Y * (FEEL_FROM + by.y.max(0.0));
            let down = FEEL_FROM + by.y.abs() + FEEL_BELOW;
            uses.extend([Use::Feel, Use::Under]);
            balls.push(Ball { from, way: -Vec3::Y, far: down - FOOT, radius: FOOT });
            balls.push(Ball { from, way: -Vec3::Y, far: down + LOOK_DOWN, radius: 0.0 });
        }
        if !balls.is_empty() {
            let (planes, thin, round) = (self.planes.clone(), self.thin, self.round);
            self.asked =
                Some(Asked { round, by, far, following, uses, planes, thin, waited: 0.0, fell: !stands });
        }
        balls
    }

    /// Takes what each of the balls of a round met, the nearest first.
    pub fn answer(&mut self, round: u32, answers: &[Vec<Hit>]) {
        let Some(asked) = self.asked.take_if(|asked| asked.round == round) else { return };
        if answers.len() != asked.uses.len() {
            self.asked = Some(asked);
            return self.forsake();
        }
        let met = || asked.uses.iter().zip(answers.iter().map(Vec::as_slice));
        let mut planes: Vec<Plane> = Vec::new();
        for (what, hits) in met() {
            if let (Use::Probe(number), Some(hit)) = (what, hits.first())
                && let Some(plane) = asked.planes.get(*number)
            {
                planes.push(Plane { ball: plane.ball, point: hit.point.into(), normal: hit.normal.into() });
            }
        }
        let (applied, began_in) = self.swept(&asked, answers, &mut planes);
        if asked.by == Vec3::ZERO {
            // Nothing was looked for but these.
            let is_old = |number: &usize| !asked.uses.contains(&Use::Probe(*number));
            planes.extend((0..asked.planes.len()).filter(is_old).map(|number| asked.planes[number]));
            planes.truncate(PLANES_MAX);
        }
        self.planes = planes;
        let is_near = |plane: &Plane| self.gap(plane, applied) < -SKIN * 0.9;
        self.thin = match began_in {
            true => (asked.thin + 1).min(THIN.len() - 1),
            false if asked.thin > 0 && self.planes.iter().any(is_near) => asked.thin,
            false => asked.thin.saturating_sub(1),
        };
        self.at += applied;
        if asked.fell {
            let sinks = asked.by.unit().map_or(0.0, |way| -way.y * asked.far);
            self.below =
                if sinks > 0.0 { (sinks + applied.y).max(0.0) } else { (self.below + applied.y).max(0.0) };
        }
        if !is_finite(self.at) {
            self.at = self.stood.last().copied().unwrap_or_default();
        }
        let rest = asked.by - applied;
        let is_whole = rest.length() < 1e-5;
        if !is_whole {
            self.pending = rest + self.pending;
            self.following += asked.following;
            self.bound();
        }
        if asked.fell {
            self.land(&asked, is_whole);
            return;
        }
        // If it was jumped meanwhile there is no ground to follow.
        // (Only a whole motion ends where the ground was felt for.)
        if is_whole && self.stands() {
            let of = |wanted: Use| met().find(|(what, _)| **what == wanted).map_or(&[][..], |(_, hits)| hits);
            self.feel(&asked, of(Use::Feel).first(), of(Use::Under).first());
        } else {
            self.felt = FEEL_EVERY;
        }
    }

    /// How much of the motion is free, and what is in the way of more; whether a ball began in something.
    fn swept(&self, asked: &Asked, answers: &[Vec<Hit>], planes: &mut Vec<Plane>) -> (Vec3, bool) {
        let length = asked.by.length();
        let Some(way) = asked.by.unit() else { return (Vec3::ZERO, false) };
        let (mut free, mut began_in) = (length, false);
        for (what, hits) in asked.uses.iter().zip(answers) {
            let Use::Sweep(ball) = *what else { continue };
            let mut is_first = true;
            for hit in hits {
                let normal = Vec3::from(hit.normal);
                let towards = -way.dot(normal);
                let begins_in = hit.distance <= 0.0;
                began_in |= begins_in;
                let clear = if begins_in && asked.thin + 1 < THIN.len() {
                    0.0
                } else if begins_in && towards <= 0.0 {
                    length
                } else {
                    // So far back that the skin is between, but not endlessly far along what is hardly met.
                    let thinner = BALLS[ball].1 * (1.0 - THIN[asked.thin]);
                    (hit.distance - (SKIN + thinner) / towards.max(0.35)).max(0.0)
                };
                let limits = clear < length;
                free = free.min(clear);
                // Ground that rises ahead is none that holds back, unless it does.
                let is_ground = !asked.fell && normal.y >= STEEPEST && !limits;
                if (is_first || limits) && !is_ground && planes.len() < PLANES_MAX {
                    planes.push(Plane { ball, point: hit.point.into(), normal });
                }
                is_first = false;
            }
        }
        (way * free, began_in)
    }

    /// After a fall: something may carry it now.
    fn land(&mut self, asked: &Asked, is_whole: bool) {
        let sinks = asked.by.y < 0.0;
        let below = |plane: &&Plane| plane.ball == FOOT_BALL && plane.normal.y >= STEEPEST;
        let ground = self.planes.iter().filter(below).find(|plane| self.gap(plane, Vec3::ZERO) < SKIN);
        if let (Some(ground), true) = (ground.copied(), self.speed.y <= 0.0) {
            self.footing = Footing::Ground { normal: Vec3::Y, above: -self.gap(&ground, Vec3::ZERO) };
            self.planes.retain(|plane| plane.ball != FOOT_BALL);
            self.speed.y = 0.0;
            self.pending.y = 0.0;
            self.felt = FEEL_EVERY;
            self.wedged = 0;
            return;
        }
        let ceiling = |plane: &Plane| plane.normal.y < -STEEPEST && self.gap(plane, Vec3::ZERO) < SKIN;
        if self.speed.y > 0.0 && !is_whole && self.planes.iter().any(ceiling) {
            self.speed.y = 0.0;
            self.pending.y = self.pending.y.min(0.0);
        }
        // Between slopes that are too steep to stand on it may come to rest all the same.
        let got_nowhere = sinks && self.speed.y < -1.0 && self.solve(-Vec3::Y * 0.05).y > -0.01;
        self.wedged = if got_nowhere { self.wedged.saturating_add(1).min(WEDGED) } else { 0 };
        if self.wedged == WEDGED {
            self.speed.y = -1.5;
            self.pending = level(self.pending);
        }
    }

    /// What the ball and the ray found that were sent down.
    fn feel(&mut self, asked: &Asked, ball: Option<&Hit>, ray: Option<&Hit>) {
        let from = self.at.y + FEEL_FROM - asked.by.y.min(0.0);
        let can_stand = |hit: &&Hit| hit.normal[1] >= STEEPEST;
        let edge = ball.map(|hit| (from - hit.distance - FOOT, hit));
        let Some((height, hit)) = edge else { return self.fall(ray) };
        if hit.distance <= 0.0 {
            // It began in something: nothing is known.
            return;
        }
        let (height, normal) = if can_stand(&hit) {
            // An edge has a normal of its own, which says nothing of how steep it is there.
            let face = Vec3::from(hit.normal);
            let is_face = ray.is_some_and(|under| face.dot(under.normal.into()) > 0.98);
            (height, if is_face { face } else { Vec3::Y })
        } else if let Some(under) =
            ray.filter(|hit| can_stand(hit) && hit.distance <= FEEL_FROM + FEEL_BELOW + 1.0)
        {
            (from - under.distance, under.normal.into())
        } else {
            return self.fall(None);
        };
        let above = height - self.at.y;
        if above < -FEEL_BELOW {
            return self.fall(ray);
        }
        self.footing = Footing::Ground { normal, above: above - self.following };
        self.stand_at(self.at + Vec3::Y * above);
    }

    /// The ground is gone; this is what the ray has met below.
    fn fall(&mut self, under: Option<&Hit>) {
        self.footing = Footing::Air;
        self.speed.y = 0.0;
        self.pending.y = self.pending.y.min(0.0);
        self.below = LOOK_DOWN;
        // The foot has a ball of its own now.
        self.planes.retain(|plane| plane.ball != FOOT_BALL);
        self.planes.truncate(PLANES_MAX - 1);
        let floor = |hit: &Hit| Plane { ball: FOOT_BALL, point: hit.point.into(), normal: Vec3::Y };
        self.planes.extend(under.map(floor));
    }

    fn stand_at(&mut self, place: Vec3) {
        if self.stood.last().is_some_and(|last| (*last - place).length() < STOOD_APART) {
            return;
        }
        if self.stood.len() == STOOD_MAX {
            self.stood.remove(0);
        }
        self.stood.push(place);
    }

    /// How far the ball of a plane is from where it must stop, after a motion.
    fn gap(&self, plane: &Plane, by: Vec3) -> f32 {
        let ball = middle(self.at + by, plane.ball);
        (ball - plane.point).dot(plane.normal) - BALLS[plane.ball].1 - SKIN
    }

    /// What of a motion is left where planes stand in its way.
    fn solve(&self, wanted: Vec3) -> Vec3 {
        let mut by = wanted;
        let stands = self.stands();
        for _ in 0..PASSES {
            let mut is_free = true;
            for plane in &self.planes {
                if plane.ball == FOOT_BALL && stands {
                    continue;
                }
                let now = self.gap(plane, Vec3::ZERO);
                // What has come too near already pushes gently.
                let least = (now + PUSH).min(0.0);
                let over = self.gap(plane, by) - least;
                if over >= -GIVE {
                    continue;
                }
                is_free = false;
                // Who stands is held back sideways; neither lifted nor pressed into the ground.
                let flat = if stands { level(plane.normal) } else { plane.normal };
                by = match flat.unit().map(|unit| (unit, unit.dot(plane.normal))) {
                    Some((unit, part)) if part > 0.15 => by + unit * (-over / part),
                    _ => Vec3 { y: by.y - over * plane.normal.y.signum(), ..by },
                };
            }
            if is_free {
                return by;
            }
        }
        // Too narrow: the way on is closed, unless it is one out.
        let is_closed = self.planes.iter().any(|plane| {
            let now = self.gap(plane, Vec3::ZERO);
            self.gap(plane, by) < now.min(0.0) - SKIN * 0.5
        });
        if is_closed || by.length() > wanted.length() + PUSH { Vec3::ZERO } else { by }
    }
}

#[cfg(test)]
mod tests;
