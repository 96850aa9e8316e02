// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is behind the panel: night, and a fire that waits for whoever comes.

use crate::place::{EXPOSURE_EV100, FLICKER, fire::Fire};
use hearth_sdk::{prelude::*, scene::far_light};

/// Where the eye is, and what it looks at: past the fire, which is at the origin, so that it is left of the panel.
const EYE: Vec3 = vec3(1.12, 1.3, 4.75);
const AT: Vec3 = vec3(1.12, 1.02, 0.0);
/// Vertical angle of view in radians.
const ANGLE: f32 = 0.8;
/// The name over the fire: metres right of the middle, up, before the eye, and the height of its letters.
const NAME: [f32; 3] = [-0.114, 0.117, 0.5];
const NAME_SIZE: f32 = 0.042;
/// The line below it.
const LINE_UP: f32 = 0.083;
const LINE_SIZE: f32 = 0.0125;
/// Where the stars are, and half the sizes of the box that they fill.
const STARS: [f32; 3] = [0.0, 11.5, -30.0];
const STARS_EXTENT: [f32; 3] = [24.0, 9.5, 0.5];
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
            brightness: 26.0,
            ambient: 40.0,
        };
        local("sky").with(night).add_to(&mut batch);
        let air = Fog { color: srgb(0x1c1310), ..Fog::new(110.0, 12.0) };
        local("air").with(air).add_to(&mut batch);
        let [x, y, z] = STARS;
        local("stars").at(x, y, z).with(stars()).add_to(&mut batch);
        let grading = ColorGrading { bloom: 0.16, ..ColorGrading::default() };
        local("grading").with(grading).add_to(&mut batch);
        let from_behind = Quat::looking(vec3(-0.5, -0.55, -0.7));
        local("moon").light(far_light([0.62, 0.68, 1.0], 46.0, false)).turned(from_behind).add_to(&mut batch);
        let earth = matte(srgb(0x4a3a2e));
        local("ground").mesh(MeshSource::Plane(GROUND)).material(earth).add_to(&mut batch);
        let fire = Fire::light_own(&mut batch)?;

        let camera = Camera { fov_y: ANGLE, exposure_ev100: EXPOSURE_EV100, ..Camera::default() };
        let eye = local("eye").at_vec(EYE).turned(Quat::looking(AT - EYE)).with(camera).add_to(&mut batch);
        let [right, up, ahead] = NAME;
        let mut write = |text: &str, size: f32, color: [f32; 3], up: f32| {
            let [r, g, b] = color;
            let (text, align, anchor) = (text.into(), Align::Center, Anchor::Middle);
            let text = Text { text, size, align, anchor, color: [r, g, b, 1.0], ..Text::default() };
            let written = local("writing").parent(eye).at(right, up, -ahead);
            written.with(Component::Text(Box::new(text))).add_to(&mut batch);
        };
        write("Hearth", NAME_SIZE, srgb(0xffc98c), up);
        write("a place of your own, shared", LINE_SIZE, srgb(0xb08a66), LINE_UP);
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

/// Points that come and go slowly, far away.
fn stars() -> Particles {
    Particles {
        rate: 16.0,
        lifetime: [9.0, 16.0],
        extent: STARS_EXTENT,
        speed: [0.0, 0.01],
        size: [0.11, 0.07],
        color: [[1.1, 1.15, 1.4, 0.9], [1.3, 1.1, 0.9, 0.0]],
        light: true,
        ..Particles::default()
    }
}
