// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the user's hand holds: a board that is moved, stretched or scaled, or text that is selected.

use super::{
    board::Form,
    ray::{Pose, Ray},
};
use hearth_sdk::prelude::*;

/// How near and far a board may be carried, in metres from the eye.
const REACH: [f32; 2] = [0.35, 12.0];
/// How much nearer or farther a line of the wheel brings what is carried.
const WHEEL: f32 = 1.08;
/// Longest time between two presses that belong together.
const AGAIN: Duration = Duration::from_millis(400);
/// How far apart they may be, in cells.
const AGAIN_CELLS: f32 = 1.2;

/// A board as it was when it was taken, and where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) pose: Pose,
    pub(super) form: Form,
    /// Metres to the right of its middle and up.
    pub(super) at: [f32; 2],
}

/// What a hand does with a board.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Hold {
    /// Carries it at a distance along the ray, turned by an angle from the ray's.
    Carry { distance: f32, turned: f32 },
    /// Moves an edge, which changes columns or rows.
    Stretch([f32; 2]),
    /// Moves a corner, which changes the size of cells.
    Scale([f32; 2]),
    /// Has a mouse button down on its cells.
    Cells { button: u8 },
}

impl Hold {
    /// Carries a board that a ray met at a distance.
    pub(super) fn carry(pose: &Pose, ray: &Ray, distance: f32) -> Hold {
        let front = pose.turn.rotate(Vec3::Z);
        let turned = front.x.atan2(front.z) - ray.yaw().unwrap_or(0.0);
        Hold::Carry { distance, turned }
    }

    /// Where the board is, and in which form, now that the ray is this one.
    pub(super) fn moved(&self, taken: &Taken, ray: &Ray) -> (Form, Pose) {
        let here = || {
            let (at, _) = taken.pose.meets(ray)?;
            Some((at, [at[0] - taken.at[0], at[1] - taken.at[1]]))
        };
        match *self {
            Hold::Carry { distance, turned } => {
                let turn = match ray.yaw() {
                    Some(yaw) => Quat::about(Vec3::Y, yaw + turned),
                    None => taken.pose.turn,
                };
                let held = ray.from + ray.way * distance;
                (taken.form, Pose { at: held, turn }.moved([-taken.at[0], -taken.at[1]]))
            }
            Hold::Stretch(side) => match here() {
                Some((_, by)) => taken.form.widened(taken.pose, side, by),
                None => (taken.form, taken.pose),
            },
            Hold::Scale(corner) => match here() {
                Some((at, _)) => taken.form.scaled(taken.pose, corner, taken.at, at),
                None => (taken.form, taken.pose),
            },
            Hold::Cells { .. } => (taken.form, taken.pose),
        }
    }

    /// The wheel brings what is carried nearer or farther.
    pub(super) fn wheel(&mut self, lines: f32) {
        if let Hold::Carry { distance, .. } = self {
            *distance = (*distance * WHEEL.powf(lines)).clamp(REACH[0], REACH[1]);
        }
    }
}

/// Counts presses that come together.
#[derive(Debug, Default)]
pub(super) struct Clicks {
    last: Option<(u8, [f32; 2], Duration)>,
    count: u8,
}

impl Clicks {
    /// How many times the button was pressed here in a row: 1, 2, 3, and 1 again.
    pub(super) fn press(&mut self, button: u8, at: [f32; 2], now: Duration) -> u8 {
        let again = self.last.is_some_and(|(last, place, then)| {
            let far = (place[0] - at[0]).abs().max((place[1] - at[1]).abs());
            last == button && far < AGAIN_CELLS && now.saturating_sub(then) < AGAIN
        });
        self.count = if again { self.count % 3 + 1 } else { 1 };
        self.last = Some((button, at, now));
        self.count
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{super::board::FIRST, *};

    fn eye(at: Vec3, yaw: f32, pitch: f32) -> Ray {
        Ray::centre(&scene::pose(at, Quat::yaw_pitch_roll(yaw, pitch, 0.0)))
    }

    #[test]
    fn what_is_carried_stays_under_the_pointer_and_turns_with_it() {
        let from = vec3(0.0, 1.7, 0.0);
        let pose = Pose { at: vec3(0.0, 1.5, -2.0), turn: Quat::IDENTITY };
        let ray = eye(from, 0.1, 0.2);
        let (at, distance) = pose.meets(&ray).unwrap();
        let hold = Hold::carry(&pose, &ray, distance);
        let taken = Taken { pose, form: FIRST, at };
        let (form, still) = hold.moved(&taken, &ray);
        assert_eq!(form, FIRST);
        assert!((still.at - pose.at).length() < 1e-4, "{still:?}");
        // Somewhere else, and from somewhere else: the same point is met.
        for ray in [eye(from, 1.1, -0.2), eye(vec3(5.0, 2.0, 1.0), -2.0, 0.4), eye(from, 0.1, 1.5)] {
            let (_, moved) = hold.moved(&taken, &ray);
            let (met, away) = moved.meets(&ray).unwrap();
            assert!((met[0] - at[0]).abs() < 1e-3 && (met[1] - at[1]).abs() < 1e-3, "{met:?} {at:?}");
            assert!((away - distance).abs() < 1e-3);
            assert!((moved.turn.rotate(Vec3::Y).y - 1.0).abs() < 1e-4, "it stands upright");
        }
        // Straight up there is no direction; it keeps its own.
        assert_eq!(hold.moved(&taken, &Ray { from, way: Vec3::Y }).1.turn, pose.turn);
        let mut hold = hold;
        hold.wheel(100.0);
        assert!(matches!(hold, Hold::Carry { distance, .. } if distance == REACH[1]));
    }

    #[test]
    fn a_corner_follows_the_pointer() {
        let pose = Pose { at: vec3(0.0, 1.7, -1.5), turn: Quat::IDENTITY };
        let [width, height] = FIRST.size();
        let taken = Taken { pose, form: FIRST, at: [width * 0.5, -height * 0.5] };
        let to = pose.moved([width, -height]).at;
        let ray = Ray { from: Vec3::ZERO, way: to.unit().unwrap() };
        let (form, moved) = Hold::Scale([1.0, -1.0]).moved(&taken, &ray);
        assert!((form.cell / FIRST.cell - 1.5).abs() < 1e-3, "{form:?}");
        let (met, _) = moved.meets(&ray).unwrap();
        let half = form.size().map(|side| side * 0.5);
        assert!((met[0] - half[0]).abs() < 1e-3 && (met[1] + half[1]).abs() < 1e-3, "{met:?}");
        // A ray that leaves it changes nothing.
        let away = Ray { from: Vec3::ZERO, way: Vec3::Z };
        assert_eq!(Hold::Scale([1.0, -1.0]).moved(&taken, &away), (FIRST, pose));
        assert_eq!(Hold::Stretch([1.0, 0.0]).moved(&taken, &away), (FIRST, pose));
    }

    #[test]
    fn presses_in_quick_succession_count() {
        let mut clicks = Clicks::default();
        let at = |ms| Duration::from_millis(ms);
        for (ms, place, count) in [
            (0, [5.0, 5.0], 1),
            (200, [5.5, 5.0], 2),
            (400, [5.5, 5.4], 3),
            (500, [5.5, 5.4], 1),
            (950, [5.5, 5.4], 1),
            (1000, [9.0, 5.4], 1),
        ] {
            assert_eq!(clicks.press(0, place, at(ms)), count, "at {ms} ms");
        }
        assert_eq!(clicks.press(1, [9.0, 5.4], at(1010)), 1, "another button");
    }
}
