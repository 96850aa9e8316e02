// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is behind the panel: night, and a fire that waits for whoever comes.

use crate::place::{EXPOSURE_EV100, FLICKER, fire::Fire};
use hearth_sdk::{prelude::*, scene::far_light};

/// Where the eye is, and what it looks at: past the fire, which is at the origin, so that it is left of the panel.
const EYE: Vec3 = vec3(0.98, 1.25, 4.3);
const AT: Vec3 = vec3(0.98, 0.98, 0.0);
/// Vertical angle of view in radians.
const ANGLE: f32 = 0.8;
/// The name over the fire: metres right of the middle, up, before the eye, and the height of its letters.
const NAME: [f32; 3] = [-0.145, 0.118, 0.5];
const NAME_SIZE: f32 = 0.05;
const GROUND: [f32; 2] = [40.0, 40.0];

/// The place around the panel.
pub(super) struct Hall {
    /// The entity that the user looks from.
    pub(super) eye: EntityId,
    fire: Fire,
}

impl Hall {
    /// Makes it, for this user alone.
    pub(super) fn open() -> Result<Hall, Error> {
        let mut batch = Batch::new();
        let local = |name: &str| Entity::new().local().name(name);
        let night = Sky {
            zenith: srgb(0x0b0d18),
            horizon: srgb(0x2a1a16),
            ground: srgb(0x0c0908),
            brightness: 9.0,
            ambient: 9.0,
        };
        local("sky").with(night).add_to(&mut batch);
        let fog = Fog { color: srgb(0x160e0c), ..Fog::new(26.0, 6.0) };
        local("air").with(fog).add_to(&mut batch);
        let grading = ColorGrading { bloom: 0.16, ..ColorGrading::default() };
        local("grading").with(grading).add_to(&mut batch);
        let from_behind = Quat::looking(vec3(-0.3, -0.6, 0.7));
        local("moon").light(far_light([0.35, 0.45, 0.8], 3.0, false)).turned(from_behind).add_to(&mut batch);
        let earth = matte(srgb(0x4a3a2e));
        local("ground").mesh(MeshSource::Plane(GROUND)).material(earth).add_to(&mut batch);
        let fire = Fire::light_own(&mut batch)?;

        let camera = Camera { fov_y: ANGLE, exposure_ev100: EXPOSURE_EV100, ..Camera::default() };
        let eye = local("eye").at_vec(EYE).turned(Quat::looking(AT - EYE)).with(camera).add_to(&mut batch);
        let name = Text {
            text: "Hearth".into(),
            size: NAME_SIZE,
            align: Align::Center,
            anchor: Anchor::Middle,
            color: [1.0, 0.72, 0.42, 1.0],
            ..Text::default()
        };
        let [right, up, ahead] = NAME;
        local("name")
            .parent(eye)
            .at(right, up, -ahead)
            .with(Component::Text(Box::new(name)))
            .add_to(&mut batch);
        batch.commit()?;
        Ok(Hall { eye, fire })
    }

    /// Keeps the fire burning.
    pub(super) async fn burn(self) {
        let mut beat = interval(FLICKER);
        loop {
            let time = beat.tick().await;
            if let Err(error) = self.fire.flicker(time.as_secs_f32()) {
                return debug!("the fire is still: {error}");
            }
        }
    }
}
