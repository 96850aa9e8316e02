// SPDX-License-Identifier: AGPL-3.0-or-later
//! What burns: flames, sparks, smoke and coals, which cost no messages, and the light, which flickers.

use super::{FIRE, crackle, flame, furniture, house};
use crate::chance::noise;
use hearth_sdk::{prelude::*, scene::point_light};

/// Light of the fire, and of that in the fireplace, in lumens.
const FIRE_LUMENS: f32 = 5600.0;
const INNER_LUMENS: f32 = 3000.0;
/// Loudness of the fire, at most within so many metres, and how far it is heard.
const FIRE_GAIN: f32 = 0.9;
const FIRE_NEAR: f32 = 2.0;
const FIRE_FAR: f32 = 30.0;
const WARM: [f32; 3] = [1.0, 0.56, 0.24];
const SMOKE: [f32; 3] = [0.62, 0.50, 0.48];

/// What of the fires changes.
pub(crate) struct Fire {
    /// That of the fire, and of the one in the fireplace if there is one.
    lights: Vec<EntityId>,
}

impl Fire {
    pub(super) fn light(batch: &mut Batch) -> Result<Fire, Error> {
        let root = Entity::new().name("fire").at_vec(FIRE).add_to(batch);
        let light = Entity::new().parent(root).name("firelight").at(0.0, 0.95, 0.0);
        let light = light.light(outer(1.0)).add_to(batch);
        let coals = furniture::embers().source()?;
        let coals_glow = glow([0.62, 0.13, 0.01]);
        Entity::new().parent(root).name("~coals").mesh(coals).material(coals_glow.clone()).add_to(batch);
        let particles = |name: &str, y: f32, what: Particles| {
            Entity::new().parent(root).name(name).at(0.0, y, 0.0).with(what)
        };
        let tongue = Lump::put(&flame::picture())?.0;
        particles("~flames", 0.46, flames(1.0, tongue)).add_to(batch);
        particles("~glow", 0.22, glowing(1.0)).add_to(batch);
        particles("~sparks", 0.5, sparks()).add_to(batch);
        particles("~smoke", 1.5, smoke([0.16, 0.1, 0.16], 0.10)).add_to(batch);

        let (place, turn) = house::fireplace_pose();
        let inner = Entity::new().name("inner fire").at_vec(place).turned(turn).add_to(batch);
        let inside =
            |name: &str, at: [f32; 3]| Entity::new().parent(inner).name(name).at(at[0], at[1], at[2]);
        let inner_light = inside("inner firelight", [0.0, 0.7, 0.35]).light(inner_light(1.0)).add_to(batch);
        let few = inside("~coals", [0.0, 0.02, -0.28]).stretched(vec3(0.55, 0.8, 0.3));
        few.mesh(coals).material(coals_glow).add_to(batch);
        inside("~flames", [0.0, 0.3, -0.28]).with(flames(0.55, tongue)).add_to(batch);
        inside("~glow", [0.0, 0.14, -0.28]).with(glowing(0.6)).add_to(batch);
        let chimney = Entity::new().name("~chimney smoke").at_vec(house::chimney_top());
        chimney.with(smoke([0.08, 0.0, 0.08], 0.16)).add_to(batch);

        let crackle = Lump::put(&sound::wav(crackle::RATE, &crackle::fire()))?;
        let crackle = Sound::new(crackle.0).looped().gain(FIRE_GAIN).reaching(FIRE_NEAR, FIRE_FAR);
        Entity::new().parent(root).name("crackle").at(0.0, 0.3, 0.0).sound(crackle).add_to(batch);
        Ok(Fire { lights: vec![light, inner_light] })
    }

    /// A fire for the user of this peer alone, at the origin, with its ring and logs.
    pub(crate) fn light_own(batch: &mut Batch) -> Result<Fire, Error> {
        let root = Entity::new().local().name("fire").add_to(batch);
        let part = |at: f32| Entity::new().local().parent(root).at(0.0, at, 0.0);
        let light = part(0.95).light(outer(1.0)).add_to(batch);
        for shape in [furniture::hearth_ring(), furniture::logs()] {
            part(0.0).mesh(shape.source()?).material(super::painted(0.8)).add_to(batch);
        }
        part(0.0).mesh(furniture::embers().source()?).material(glow([0.62, 0.13, 0.01])).add_to(batch);
        let tongue = Lump::put(&flame::picture())?.0;
        part(0.46).with(flames(1.0, tongue)).add_to(batch);
        part(0.22).with(glowing(1.0)).add_to(batch);
        part(0.5).with(sparks()).add_to(batch);
        Ok(Fire { lights: vec![light] })
    }

    pub(crate) fn flicker(&self, time: f32) -> Result<(), Error> {
        let strength =
            |row: f32| 1.0 + 0.15 * noise(time * 2.3, 0.5 + row) + 0.06 * noise(time * 7.0, 3.5 + row);
        let mut batch = Batch::new();
        let kinds: [fn(f32) -> Light; 2] = [outer, inner_light];
        for ((light, kind), row) in self.lights.iter().zip(kinds).zip([0.0, 40.0]) {
            batch.set(*light, kind(strength(row)));
        }
        batch.commit()
    }
}

fn outer(strength: f32) -> Light {
    point_light(WARM, FIRE_LUMENS * strength, 10.5)
}

fn inner_light(strength: f32) -> Light {
    point_light(WARM, INNER_LUMENS * strength, 5.6)
}

/// Tongues, born small between the logs, that swell as they rise, and fade.
fn flames(size: f32, picture: LumpId) -> Particles {
    Particles {
        rate: 17.0,
        lifetime: [0.5, 0.9],
        extent: [0.2 * size, 0.04 * size, 0.2 * size],
        speed: [0.35 * size, 0.75 * size],
        spread: 0.2,
        acceleration: [0.0, 0.5 * size, 0.0],
        turbulence: 0.06 * size,
        size: [0.52 * size, 0.74 * size],
        color: [[1.05, 0.62, 0.08, 0.95], [0.9, 0.36, 0.01, 0.0]],
        light: true,
        texture: Some(picture),
        ..Particles::default()
    }
}

/// The heat about the coals.
fn glowing(size: f32) -> Particles {
    Particles {
        rate: 9.0,
        lifetime: [0.5, 0.9],
        extent: [0.26 * size, 0.02, 0.26 * size],
        speed: [0.1, 0.3],
        size: [0.55 * size, 0.3 * size],
        color: [[0.9, 0.34, 0.03, 0.28], [0.7, 0.14, 0.0, 0.0]],
        light: true,
        ..Particles::default()
    }
}

fn sparks() -> Particles {
    Particles {
        rate: 9.0,
        lifetime: [1.2, 2.8],
        extent: [0.2, 0.05, 0.2],
        speed: [0.7, 1.7],
        spread: 0.45,
        acceleration: [0.12, 0.25, 0.0],
        drag: 0.4,
        turbulence: 0.35,
        size: [0.028, 0.010],
        color: [[7.0, 2.8, 0.5, 1.0], [3.0, 0.4, 0.0, 0.0]],
        light: true,
        ..Particles::default()
    }
}

/// Thin, and gone a few metres up; it is born unseen where it leaves.
fn smoke(extent: [f32; 3], opacity: f32) -> Particles {
    let [r, g, b] = SMOKE;
    Particles {
        rate: 3.5,
        lifetime: [3.0, 4.5],
        extent,
        speed: [0.35, 0.6],
        spread: 0.15,
        acceleration: [0.06, 0.05, 0.0],
        turbulence: 0.35,
        size: [0.2, 0.7],
        color: [[r, g, b, opacity], [r, g, b, 0.0]],
        ..Particles::default()
    }
}

/// Fireflies over the grass at the sides, where who looks at the fire sees them.
pub(super) fn fireflies(batch: &mut Batch) {
    for (name, x) in [("~fireflies left", -9.5), ("~fireflies right", 9.5)] {
        let glimmer = Particles {
            rate: 4.0,
            lifetime: [3.0, 6.0],
            extent: [3.2, 0.5, 5.0],
            speed: [0.02, 0.12],
            spread: 3.0,
            turbulence: 0.9,
            size: [0.07, 0.04],
            color: [[2.4, 2.2, 0.5, 0.9], [1.4, 1.6, 0.2, 0.0]],
            light: true,
            ..Particles::default()
        };
        Entity::new().name(name).at(x, 0.6, -5.5).with(glimmer).add_to(batch);
    }
}
