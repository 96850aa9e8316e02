// SPDX-License-Identifier: AGPL-3.0-or-later
//! Where the user points, and where that meets a board.

use hearth_sdk::{
    abi::scene::{Camera, Transform},
    prelude::*,
};

/// A half line: where it begins, and its way, of length 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ray {
    pub(crate) from: Vec3,
    pub(crate) way: Vec3,
}

/// Where a board stands: its middle, and how it is turned. It faces +Z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pose {
    pub(super) at: Vec3,
    pub(super) turn: Quat,
}

fn turn_of(transform: &Transform) -> Quat {
    let [x, y, z, w] = transform.rotation;
    Quat { v: vec3(x, y, z), w }
}

impl Ray {
    /// Through the middle of the picture.
    pub(crate) fn centre(eye: &Transform) -> Ray {
        Ray { from: eye.translation.into(), way: turn_of(eye).rotate(-Vec3::Z) }
    }

    /// Through a place of the picture, both in pixels from its left upper corner.
    pub(crate) fn through(eye: &Transform, camera: &Camera, at: [f32; 2], picture: [f32; 2]) -> Ray {
        let [width, height] = picture.map(|side| side.max(1.0));
        let half = (camera.fov_y * 0.5).tan();
        let x = (2.0 * at[0] / width - 1.0) * half * width / height;
        let y = (1.0 - 2.0 * at[1] / height) * half;
        let way = turn_of(eye).rotate(vec3(x, y, -1.0));
        Ray { from: eye.translation.into(), way: way.unit().unwrap_or(-Vec3::Z) }
    }

    /// How far its way is turned left from −Z; `None` if it goes straight up or down.
    pub(super) fn yaw(&self) -> Option<f32> {
        (self.way.x.hypot(self.way.z) > 1e-3).then(|| (-self.way.x).atan2(-self.way.z))
    }
}

impl Pose {
    /// Where something is.
    pub(super) fn of(transform: &Transform) -> Pose {
        Pose { at: transform.translation.into(), turn: turn_of(transform) }
    }

    /// Upright before the eye, facing it, at a distance and turned aside by an angle to the left.
    pub(super) fn before(eye: &Transform, distance: f32, aside: f32) -> Pose {
        // The eye's right is level even where it looks straight down.
        let right = turn_of(eye).rotate(Vec3::X);
        let ahead = Vec3::Y.cross(right).unit().unwrap_or(-Vec3::Z);
        let ahead = Quat::about(Vec3::Y, aside).rotate(ahead);
        let turn = Quat::about(Vec3::Y, (-ahead.x).atan2(-ahead.z));
        Pose { at: Vec3::from(eye.translation) + ahead * distance, turn }
    }

    /// This far to its right and up.
    pub(super) fn moved(self, [right, up]: [f32; 2]) -> Pose {
        Pose { at: self.at + self.turn.rotate(vec3(right, up, 0.0)), ..self }
    }

    /// Where a ray meets its front: metres to the right of its middle and up, and metres along the ray.
    pub(super) fn meets(&self, ray: &Ray) -> Option<([f32; 2], f32)> {
        let front = self.turn.rotate(Vec3::Z);
        let towards = -ray.way.dot(front);
        if towards < 1e-4 {
            return None;
        }
        let distance = (ray.from - self.at).dot(front) / towards;
        let place = self.turn.inverse().rotate(ray.from + ray.way * distance - self.at);
        (distance > 0.0 && distance.is_finite()).then_some(([place.x, place.y], distance))
    }

    /// As a transform.
    pub(super) fn transform(&self) -> Transform {
        scene::pose(self.at, self.turn)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const PICTURE: [f32; 2] = [1280.0, 720.0];

    fn eye(at: [f32; 3], yaw: f32, pitch: f32) -> Transform {
        scene::pose(at.into(), Quat::yaw_pitch_roll(yaw, pitch, 0.0))
    }

    fn near(a: f32, b: f32) -> bool {
        (a - b).abs() < 1e-3
    }

    #[test]
    fn corners_of_the_picture_are_where_perspective_puts_them() {
        let camera = Camera { fov_y: std::f32::consts::FRAC_PI_2, ..Camera::default() };
        let eye = eye([0.0, 1.7, 5.0], 0.0, 0.0);
        let pose = Pose::before(&eye, 2.0, 0.0);
        // At 2 m one sees 2 m up, and 2 m times the aspect to the right.
        for (at, place) in [
            ([640.0, 360.0], [0.0, 0.0]),
            ([0.0, 0.0], [-2.0 * 16.0 / 9.0, 2.0]),
            ([1280.0, 720.0], [2.0 * 16.0 / 9.0, -2.0]),
            ([960.0, 360.0], [16.0 / 9.0, 0.0]),
        ] {
            let (met, _) = pose.meets(&Ray::through(&eye, &camera, at, PICTURE)).unwrap();
            assert!(near(met[0], place[0]) && near(met[1], place[1]), "{at:?}: {met:?}");
        }
        assert_eq!(pose.meets(&Ray::centre(&eye)).unwrap().1, 2.0);
        // A picture without a size is no reason to fail.
        assert!(Ray::through(&eye, &camera, [5.0, 5.0], [0.0, 0.0]).way.length() > 0.99);
    }

    #[test]
    fn slanted_boards_are_met_in_perspective() {
        let eye = eye([0.0, 0.0, 0.0], 0.0, 0.0);
        // Turned by 60°: its right side is farther away.
        let pose = Pose { at: vec3(0.0, 0.0, -2.0), turn: Quat::about(Vec3::Y, 60f32.to_radians()) };
        let point = pose.moved([0.5, 0.25]).at;
        let (met, distance) = pose.meets(&Ray { from: Vec3::ZERO, way: point.unit().unwrap() }).unwrap();
        assert!(near(met[0], 0.5) && near(met[1], 0.25) && near(distance, point.length()), "{met:?}");
        let behind = Pose { turn: Quat::about(Vec3::Y, std::f32::consts::PI), ..pose };
        assert_eq!(behind.meets(&Ray::centre(&eye)), None, "that is its back");
        let away = Pose { at: vec3(0.0, 0.0, 2.0), turn: Quat::IDENTITY };
        assert_eq!(away.meets(&Ray::centre(&eye)), None, "it is behind the eye");
    }

    #[test]
    fn new_boards_stand_upright_and_face_the_eye() {
        for (yaw, pitch) in [(0.0, 0.0), (2.1, 0.7), (-1.0, -1.5), (3.0, 1.54)] {
            let eye = eye([1.0, 2.0, 3.0], yaw, pitch);
            for aside in [0.0, 1.0, -2.0] {
                let pose = Pose::before(&eye, 1.2, aside);
                let to_eye = Vec3::from(eye.translation) - pose.at;
                assert!(near(to_eye.length(), 1.2) && near(to_eye.y, 0.0));
                let front = pose.turn.rotate(Vec3::Z);
                assert!(near(front.dot(to_eye), 1.2), "{yaw} {pitch} {aside}");
                assert!(near(pose.turn.rotate(Vec3::Y).y, 1.0));
            }
            let ahead = Pose::before(&eye, 1.0, 0.0).at - Vec3::from(eye.translation);
            let yaw_ahead = (-ahead.x).atan2(-ahead.z);
            assert!(near(Quat::about(Vec3::Y, yaw_ahead - yaw).w.abs(), 1.0), "{yaw_ahead} {yaw}");
        }
    }
}
