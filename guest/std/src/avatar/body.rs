// SPDX-License-Identifier: AGPL-3.0-or-later
//! The body that others see: a model that stands, walks and jumps with its clips, whose head follows the look, and
//! a name above it. Only where it is, and which clip it plays how fast, is told to others, and only when that changes.
//!
//! What walks must not meet bodies has names that begin with `~`.

use super::{
    figure,
    model::{Deed, Rig},
    walk::EYE,
};
use hearth_sdk::{font, prelude::*};
use std::f32::consts::{PI, TAU};

/// Least time from one move of the body to the next.
pub(super) const BODY_STEP: Duration = Duration::from_millis(50);
/// Least time from one change of the pace of a clip to the next, and how much makes one.
const PACE_STEP: Duration = Duration::from_millis(250);
const PACE_CHANGE: f32 = 0.14;
/// Seconds from one clip to the next.
const BLEND: f32 = 0.22;
/// The body stands this far behind the eye, so that it is not in its own way.
const BEHIND: f32 = 0.3;
/// Metres a second: above these it walks, and runs; a little below the second it still runs.
const WALKS: f32 = 0.25;
const RUNS: f32 = 3.6;
const STILL_RUNS: f32 = 3.2;
/// Metres a second at which the clips of the default figure are played as they are; and those of others, if they are as high
/// as a person.
const PACES: [f32; 2] = [2.5, 5.2];
const PACES_OTHERS: [f32; 2] = [1.6, 4.0];
/// Radians that the head turns against the body before that follows, and at most; and what the legs turn aside.
const NECK: f32 = 0.8;
const NECK_MOST: f32 = 1.2;
const ASIDE: f32 = 0.9;
/// How fast the body turns, per second.
const TURNS: f32 = 8.0;

/// How somebody is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stance {
    /// Where the feet are.
    pub(super) feet: Vec3,
    /// Where they look.
    pub(super) yaw: f32,
    pub(super) pitch: f32,
    /// Metres a second.
    pub(super) speed: Vec3,
    pub(super) way: Way,
}

/// How somebody gets about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    OnFoot,
    InTheAir,
    Flying,
}

impl Stance {
    /// Somebody at rest.
    pub(super) fn still(eye: Vec3, yaw: f32, pitch: f32) -> Stance {
        Stance { feet: eye - Vec3::Y * EYE, yaw, pitch, speed: Vec3::ZERO, way: Way::OnFoot }
    }
}

/// A model that is worn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Worn {
    pub(super) model: LumpId,
    /// Its height in metres; `None` for as it is.
    pub(super) height: Option<f32>,
    /// A lump with clips in the place of its own.
    pub(super) clips: Option<LumpId>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Play {
    deed: Deed,
    speed: f32,
}

pub(super) struct Body {
    root: EntityId,
    tag: EntityId,
    /// The model, its head if it has one and the way that is turned in it.
    figure: EntityId,
    head: Option<(EntityId, Quat)>,
    rig: Rig,
    is_default: bool,
    height: f32,
    own_model: LumpId,
    facing: f32,
    shown: (Transform, Quat),
    moved: Option<Duration>,
    play: Play,
    played: Duration,
}

/// An angle from −π to π.
fn wrapped(angle: f32) -> f32 {
    let turned = (angle + PI).rem_euclid(TAU) - PI;
    if turned.is_finite() { turned } else { 0.0 }
}

impl Body {
    /// Makes the body of a peer, with its name, and hangs a first model under it.
    pub(super) fn make(name: &str, peer: u32, stance: &Stance) -> Result<Body, Error> {
        let own_model = Lump::put(&figure::model(figure::hue(peer)))
            .map_err(|errno| Error::new(errno, "the avatar's figure cannot be kept"))?
            .0;
        let mut batch = Batch::new();
        let shown = (place(stance, stance.yaw), Quat::IDENTITY);
        let root = Entity::new().name(format!("avatar of {name}")).with(shown.0).add_to(&mut batch);
        let tag = name_tag(root, name, &mut batch)?;
        let mut body = Body {
            root,
            tag,
            figure: root,
            head: None,
            rig: default_rig(),
            is_default: true,
            height: figure::HEIGHT,
            own_model,
            facing: stance.yaw,
            shown,
            moved: None,
            play: Play { deed: Deed::Idle, speed: 1.0 },
            played: Duration::ZERO,
        };
        body.dress(None, &mut batch);
        batch.commit()?;
        Ok(body)
    }

    /// What it hangs under: neither it nor what is below it is in the way of who has it.
    pub(super) fn root(&self) -> EntityId {
        self.root
    }

    /// Puts on a model, or the default figure again.
    pub(super) fn wear(&mut self, worn: Option<(&Worn, Rig)>) -> Result<(), Error> {
        let mut batch = Batch::new();
        let before = self.figure;
        self.dress(worn, &mut batch);
        // With what hangs under it.
        batch.remove(before);
        batch.set(self.tag, scene::pose(Vec3::Y * (self.height + 0.24), Quat::IDENTITY));
        batch.commit()
    }

    fn dress(&mut self, worn: Option<(&Worn, Rig)>, batch: &mut Batch) {
        self.is_default = worn.is_none();
        let model = worn.as_ref().map_or(self.own_model, |(worn, _)| worn.model);
        let asked = worn.as_ref().and_then(|(worn, _)| worn.height);
        self.rig = worn.map_or_else(default_rig, |(_, rig)| rig);
        let [low, high] = self.rig.extent.unwrap_or([0.0, figure::HEIGHT]);
        let scale = asked.map_or(1.0, |height| height / (high - low));
        self.height = ((high - low) * scale).clamp(0.1, 50.0);
        let lift = if asked.is_some() { -low * scale } else { 0.0 };
        // Models look along +Z.
        let about = Quat::about(Vec3::Y, PI);
        let figure = Entity::new().parent(self.root).name("~figure").model(model).scaled(scale);
        let figure = figure.at(0.0, lift, 0.0).turned(about);
        let figure = match self.animation() {
            Some(animation) => figure.plays(animation),
            None => figure,
        };
        self.figure = figure.add_to(batch);
        self.head = self.rig.head.clone().map(|(name, turn)| {
            let head = Entity::new().parent(self.figure).name("~head").node(ModelNode::add(&*name));
            (head.turned(self.shown_head(turn)).add_to(batch), turn)
        });
    }

    /// A look, as the turn of a head that is turned so in the model.
    fn shown_head(&self, turn: Quat) -> Quat {
        turn.inverse() * self.shown.1 * turn
    }

    fn animation(&self) -> Option<Animation> {
        let Play { deed, speed } = self.play;
        let Some(clip) = self.rig.clip(deed) else {
            // It walks but has no way to stand: so it stands in its stride.
            let walk = self.rig.clip(Deed::Walk)?;
            return Some(Animation { paused: true, blend: BLEND, ..self.rig.plays(walk) });
        };
        Some(Animation { speed, repeat: deed != Deed::Jump, blend: BLEND, ..self.rig.plays(clip) })
    }

    /// What it does at a stance, and whether it goes backwards; and where the legs turn to.
    fn deed(&self, stance: &Stance) -> (Play, f32) {
        let Vec3 { x, z, .. } = stance.speed;
        let speed = x.hypot(z);
        if stance.way == Way::Flying {
            return (Play { deed: Deed::Fly, speed: 1.0 }, stance.yaw);
        }
        let rest = {
            let off = wrapped(stance.yaw - self.facing);
            self.facing + off - off.clamp(-NECK, NECK)
        };
        if stance.way == Way::InTheAir {
            return (Play { deed: Deed::Jump, speed: 1.0 }, stance.yaw);
        }
        if speed < WALKS {
            return (Play { deed: Deed::Idle, speed: 1.0 }, rest);
        }
        let aside = wrapped((-x).atan2(-z) - stance.yaw);
        let is_back = aside.abs() > 1.9;
        let aside = if is_back { wrapped(aside + PI) } else { aside };
        let least = if self.play.deed == Deed::Run { STILL_RUNS } else { RUNS };
        let deed = if speed > least { Deed::Run } else { Deed::Walk };
        let paces = if self.is_default { PACES } else { PACES_OTHERS.map(|pace| pace * self.height / 1.75) };
        let pace = paces[usize::from(deed == Deed::Run)];
        let rate = (speed / pace).clamp(0.4, 2.5) * if is_back { -1.0 } else { 1.0 };
        (Play { deed, speed: rate }, stance.yaw + aside.clamp(-ASIDE, ASIDE))
    }

    /// Turns to where it looks at once, and may move at once: it was sent there.
    pub(super) fn leap(&mut self, yaw: f32) {
        self.facing = yaw;
        self.moved = None;
    }

    /// Goes on by a step, and sets what of it has changed, at its own pace.
    pub(super) fn follow(&mut self, stance: &Stance, step: f32, now: Duration, batch: &mut Batch) {
        let (play, facing) = self.deed(stance);
        let off = wrapped(facing - self.facing);
        self.facing =
            if off.abs() < 0.01 { facing } else { self.facing + off * (1.0 - (-TURNS * step).exp()) };
        self.perform(play, now, batch);
        // Up is turned about X; the model looks the other way along it.
        let aside = wrapped(stance.yaw - self.facing).clamp(-NECK_MOST, NECK_MOST);
        let look = Quat::about(Vec3::Y, aside) * Quat::about(Vec3::X, -stance.pitch * 0.8);
        let at = place(stance, self.facing);
        if (at, look) == self.shown || self.moved.is_some_and(|moved| now < moved + BODY_STEP) {
            return;
        }
        let before = std::mem::replace(&mut self.shown, (at, look));
        self.moved = Some(now);
        if before.0 != at {
            batch.set(self.root, at);
        }
        if let (Some((head, turn)), true) = (self.head, before.1 != look) {
            batch.set(head, scene::pose(Vec3::ZERO, self.shown_head(turn)));
        }
    }

    fn perform(&mut self, play: Play, now: Duration, batch: &mut Batch) {
        let is_other = play.deed != self.play.deed || (play.speed < 0.0) != (self.play.speed < 0.0);
        let changed = (play.speed - self.play.speed).abs() > PACE_CHANGE * self.play.speed.abs();
        if is_other && now >= self.played + BODY_STEP || changed && now >= self.played + PACE_STEP {
            self.play = play;
            self.played = now;
            if let Some(animation) = self.animation() {
                batch.set(self.figure, animation);
            }
        }
    }

    /// From where it points, in which direction it would reach: the end of its arm; and the turn of the arm's node.
    pub(super) fn arm(&self, to: Vec3) -> (Vec3, Option<Quat>) {
        let Transform { translation, .. } = self.shown.0;
        let turn = Quat::about(Vec3::Y, self.facing + PI);
        let shoulder = if self.is_default { figure::SHOULDER } else { vec3(0.0, self.height * 0.75, 0.0) };
        let from = Vec3::from(translation) + turn.rotate(shoulder);
        let way = (to - from).unit().unwrap_or(-Vec3::Z);
        if !self.is_default {
            return (from, None);
        }
        let own = turn.inverse().rotate(way);
        // It hangs down; the shortest turn from there.
        let axis = (-Vec3::Y).cross(own);
        let arm = Quat::about(axis, axis.length().atan2((-Vec3::Y).dot(own)));
        (from + way * figure::ARM, Some(arm))
    }

    /// The model, for what is tied to its nodes.
    pub(super) fn figure(&self) -> EntityId {
        self.figure
    }
}

/// Where the body is of who has this stance. Between two of its steps the eye may come backwards; the body
/// makes room for that.
fn place(stance: &Stance, facing: f32) -> Transform {
    let back = Quat::about(Vec3::Y, stance.yaw).rotate(Vec3::Z);
    let room = BEHIND + stance.speed.dot(back).max(0.0) * BODY_STEP.as_secs_f32() * 1.3;
    scene::pose(stance.feet + back * room, Quat::about(Vec3::Y, facing))
}

fn default_rig() -> Rig {
    Rig {
        clips: [Some(0), Some(1), Some(2), Some(3), Some(4)],
        lent: None,
        extent: Some([0.0, figure::HEIGHT]),
        head: Some((figure::HEAD_NODE.into(), Quat::IDENTITY)),
    }
}

fn name_tag(root: EntityId, name: &str, batch: &mut Batch) -> Result<EntityId, Error> {
    let tag = Entity::new().parent(root).name("~name tag").at(0.0, figure::HEIGHT + 0.24, 0.0);
    let tag = tag.billboard().add_to(batch);
    let capital = 0.075;
    let [width, height] = font::size(name, capital);
    let ground = Shape::cuboid(vec3(width + 0.09, height + 0.08, 0.004));
    let dark =
        Material { base_color: [0.012, 0.011, 0.015, 0.85], unlit: true, blend: true, ..Material::default() };
    let plate = Entity::new().parent(tag).name("~plate").at(0.0, 0.0, -0.01);
    plate.mesh(ground.source()?).material(dark).add_to(batch);
    let ink = Material { unlit: true, ..matte([1.0, 0.92, 0.8]) };
    let letters = font::text_mesh(name, capital).source()?;
    Entity::new().parent(tag).name("~letters").mesh(letters).material(ink).add_to(batch);
    Ok(tag)
}
