// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 11: screens that show what cameras see.

use super::stand::{Build, Stand, VIEW_DISTANCE};
use hearth_sdk::prelude::*;
use std::f32::consts::FRAC_PI_2;

/// The exposure of the avatar's camera, for which the hall is lit.
const EXPOSURE_EV100: f32 = 5.0;

pub(super) fn monitors(number: usize) -> Result<(), Error> {
    let caption =
        "Each is the picture of a camera in the hall. A peer makes those that it sees, four at most.";
    let mut stand = Build::new(number, "Screens", caption);
    // Above the end of the walk, and before the models.
    let above = (vec3(0.0, 7.0, 12.0), vec3(0.0, -0.36, -1.0));
    let models = Stand::number(4);
    let from = models.outside(vec3(0.0, 1.3, VIEW_DISTANCE));
    let before = (from, models.outside(vec3(0.0, 1.3, 0.0)) - from);
    for (name, x, size, pixels, (from, way)) in [
        ("the hall, from above", -0.85, [2.2, 1.2375], [640, 360], above),
        ("stand 4", 1.2, [1.4, 1.05], [320, 240], before),
    ] {
        let camera = Camera { exposure_ev100: EXPOSURE_EV100, fov_y: 0.9, ..Camera::default() };
        let view = View { camera, size: pixels, rate: 10.0 };
        // Cameras are outside of the stand: they hang under nothing.
        let eye = Entity::new().name(format!("camera: {name}")).at_vec(from).turned(Quat::looking(way));
        let eye = eye.with(view).add_to(&mut stand.batch);
        stand.cuboid([size[0] + 0.08, size[1] + 0.08, 0.05], [x, 1.5, -0.8], [0.03, 0.03, 0.035]);
        let glass = Entity::new().at(x, 1.5, -0.77).turned(Quat::about(Vec3::X, FRAC_PI_2));
        stand.add(glass.mesh(MeshSource::Plane(size)).with(Screen::of(eye)));
        stand.note([x, 0.76, -0.8], name);
    }
    stand.done()
}
