// SPDX-License-Identifier: AGPL-3.0-or-later
//! Where the user points, for all to see: a beam from the hand, and a dot on what it meets. Both are there as long as the
//! key is held.

use super::{body::Body, figure, legs::Question, walk::Ball};
use hearth_sdk::prelude::*;

/// Least time from one move of the beam to the next.
const POINT_STEP: Duration = Duration::from_millis(55);
/// How far one points, and how long the beam is where it meets nothing.
const FAR: f32 = 200.0;
const NOWHERE: f32 = 12.0;
/// Radius of beam and dot in metres, and how much larger the dot is for each metre from the eye.
const BEAM: f32 = 0.011;
const DOT: f32 = 0.022;
const DOT_FAR: f32 = 0.12;

/// What is shown.
struct Shown {
    beam: EntityId,
    dot: EntityId,
    /// The arm of a figure that has one.
    arm: Option<EntityId>,
}

/// A beam, or none.
pub(super) struct Pointing {
    color: [f32; 3],
    question: Question,
    shown: Option<Shown>,
    moved: Option<Duration>,
    last: Option<(Vec3, bool)>,
}

impl Pointing {
    /// In the colour of a peer.
    pub(super) fn new(peer: u32) -> Pointing {
        let color = figure::hue(peer);
        Pointing { color, question: Question::default(), shown: None, moved: None, last: None }
    }

    /// Points along a ray, as fast as others need to see it; or no more.
    pub(super) fn follow(
        &mut self,
        ray: Option<(Vec3, Vec3)>,
        body: &Body,
        now: Duration,
    ) -> Result<(), Error> {
        let Some((from, way)) = ray else { return self.end() };
        if self.moved.is_some_and(|moved| now < moved + POINT_STEP) {
            return Ok(());
        }
        if let Some((asked, answer)) = self.question.take() {
            // Where nothing answers it still shows the way.
            let met = answer.ok().flatten();
            let far = met.map_or(NOWHERE, |hit| hit.distance);
            let place = (asked.from + asked.way * far, met.is_some());
            if self.last != Some(place) {
                self.show(place, body, (place.0 - from).length())?;
                self.moved = Some(now);
            }
        }
        self.question.ask(Ball { from, way, far: FAR, radius: 0.0 }, body.root());
        Ok(())
    }

    fn show(&mut self, (to, is_met): (Vec3, bool), body: &Body, far: f32) -> Result<(), Error> {
        let (from, turn) = body.arm(to);
        let along = to - from;
        let beam = Transform {
            translation: (from + along * 0.5).array(),
            rotation: Quat::looking(along).array(),
            scale: [1.0, 1.0, along.length().max(0.01)],
        };
        let size = 1.0 + far * DOT_FAR;
        let dot = Transform { scale: [size; 3], ..scene::pose(to, Quat::IDENTITY) };
        let mut batch = Batch::new();
        match &self.shown {
            Some(shown) => {
                batch.set(shown.beam, beam);
                batch.set(shown.dot, dot);
                if self.last.is_some_and(|(_, was_met)| was_met != is_met) {
                    batch.set(shown.dot, Component::Hidden(!is_met));
                }
                if let (Some(arm), Some(turn)) = (shown.arm, turn) {
                    batch.set(arm, arm_at(turn));
                }
            }
            None => {
                let light = scene::times(self.color, 2.6);
                let ray = MeshSource::Cuboid([BEAM * 2.0, BEAM * 2.0, 1.0]);
                let shine = Material { unlit: true, ..matte(light) };
                let beam = Entity::new()
                    .name("~beam")
                    .with(beam)
                    .mesh(ray)
                    .material(shine.clone())
                    .add_to(&mut batch);
                let spot = Entity::new().name("~dot").with(dot).mesh(MeshSource::Sphere(DOT)).material(shine);
                let dot = if is_met { spot } else { spot.hidden() }.add_to(&mut batch);
                let arm = turn.map(|turn| {
                    let arm = Entity::new().parent(body.figure()).name("~arm");
                    arm.node(ModelNode::replace(figure::ARM_NODE)).with(arm_at(turn)).add_to(&mut batch)
                });
                self.shown = Some(Shown { beam, dot, arm });
            }
        }
        self.last = Some((to, is_met));
        batch.commit()
    }

    /// The model has changed, and what was tied to it went with it.
    pub(super) fn let_go(&mut self) {
        if let Some(shown) = &mut self.shown {
            shown.arm = None;
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some(shown) = self.shown.take() else {
            if self.moved.take().is_some() {
                self.question.forget();
            }
            return Ok(());
        };
        self.question.forget();
        (self.moved, self.last) = (None, None);
        let mut batch = Batch::new();
        batch.remove(shown.beam);
        batch.remove(shown.dot);
        if let Some(arm) = shown.arm {
            batch.remove(arm);
        }
        batch.commit()
    }
}

/// The arm in the torso, turned so.
fn arm_at(turn: Quat) -> Transform {
    scene::pose(figure::ARM_AT, turn)
}
