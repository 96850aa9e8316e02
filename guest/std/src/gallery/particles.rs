// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 9: fire, smoke, rain, and sparks at a press.

use super::{
    Motion,
    stand::{Build, LOW, Stand, live},
};
use hearth_sdk::{pointer::Kind, prelude::*, time};

/// How much slower than time what stands still goes: sixty seconds move it by less than a hundredth of a millimetre.
const SLOW: f32 = 1e6;
/// For how many of its own seconds it has been going.
const AGE_SECS: f64 = 3.001;

pub(super) fn sources(number: usize, motion: Motion) -> Result<(), Error> {
    let caption = "Each place follows from the time, so that all see the same. Press the plate for sparks.";
    let mut stand = Build::new(number, "Particles", caption);
    stand.bench(LOW);
    let shown = |particles: Particles| if motion.still { stopped(particles) } else { particles };
    let bowl =
        Shape::lathe(&[[0.0, 0.0], [0.1, 0.0], [0.24, 0.14], [0.21, 0.14], [0.0, 0.05]], 24).source()?;
    for x in [-1.45, -0.4] {
        stand.add(Entity::new().at(x, LOW.0, LOW.1).mesh(bowl).material(metal([0.3, 0.28, 0.26])));
    }
    stand.cuboid([0.7, 0.08, 0.35], [0.7, 1.78, LOW.1 - 0.1], [0.35, 0.37, 0.4]);
    stand.cuboid([0.06, 1.1, 0.06], [0.7, LOW.0 + 0.52, LOW.1 - 0.2], [0.35, 0.37, 0.4]);
    for (x, y, name, particles) in [
        (-1.45, LOW.0 + 0.12, "fire", fire()),
        (-0.4, LOW.0 + 0.12, "smoke", smoke()),
        (0.7, 1.73, "rain", rain()),
    ] {
        // Rain falls along its own +Y.
        let turn = Quat::about(Vec3::X, if name == "rain" { std::f32::consts::PI } else { 0.0 });
        let source = Entity::new().name(format!("~{name}")).at(x, y, LOW.1).turned(turn);
        stand.add(source.with(shown(particles)));
        stand.label(LOW, x, name);
    }
    let plate =
        Entity::new().name("sparks").at(1.55, LOW.0 + 0.03, LOW.1).mesh(MeshSource::Cylinder(0.2, 0.06));
    let plate = stand.add(plate.material(glow([0.25, 0.05, 0.02])).pointer(Wants::HOVER.and(Wants::PRESS)));
    stand.label(LOW, 1.55, "press: sparks");
    // So that a picture of what stands still has them too.
    if motion.still {
        let mid = Particles { start_ns: 0, ..sparks(0) };
        let age = 0.35;
        stand.add(Entity::new().at(1.55, LOW.0 + 0.1, LOW.1).with(stopped_at(mid, age)));
    }
    stand.done()?;
    live("stand 9", strikes(plate, Stand::number(number).outside(vec3(1.55, LOW.0 + 0.1, LOW.1))));
    Ok(())
}

fn fire() -> Particles {
    Particles {
        rate: 90.0,
        lifetime: [0.5, 1.0],
        extent: [0.12, 0.0, 0.12],
        speed: [0.3, 0.7],
        spread: 0.2,
        acceleration: [0.0, 0.9, 0.0],
        turbulence: 0.06,
        size: [0.2, 0.04],
        color: [[2.2, 0.8, 0.15, 0.55], [0.9, 0.08, 0.0, 0.0]],
        light: true,
        ..Particles::default()
    }
}

fn smoke() -> Particles {
    Particles {
        rate: 26.0,
        lifetime: [2.0, 3.0],
        extent: [0.08, 0.0, 0.08],
        speed: [0.35, 0.5],
        spread: 0.15,
        drag: 0.25,
        turbulence: 0.14,
        size: [0.12, 0.55],
        color: [[0.16, 0.16, 0.17, 0.5], [0.3, 0.3, 0.31, 0.0]],
        ..Particles::default()
    }
}

fn rain() -> Particles {
    Particles {
        rate: 420.0,
        lifetime: [0.34, 0.37],
        extent: [0.3, 0.0, 0.14],
        speed: [1.0, 1.2],
        spread: 0.0,
        acceleration: [0.0, -9.0, 0.0],
        size: [0.034, 0.026],
        color: [[0.05, 0.14, 0.3, 0.95], [0.08, 0.2, 0.4, 0.9]],
        ..Particles::default()
    }
}

fn sparks(start_ns: u64) -> Particles {
    Particles {
        rate: 1500.0,
        count: 60,
        lifetime: [0.4, 1.0],
        speed: [1.2, 3.0],
        spread: 0.8,
        acceleration: [0.0, -6.0, 0.0],
        size: [0.03, 0.012],
        color: [[8.0, 4.0, 1.0, 1.0], [3.0, 0.5, 0.0, 0.0]],
        light: true,
        start_ns,
        ..Particles::default()
    }
}

fn stopped(particles: Particles) -> Particles {
    stopped_at(particles, AGE_SECS)
}

/// The same, a million times slower, as if it had been going for so long.
fn stopped_at(particles: Particles, age_secs: f64) -> Particles {
    let before_ns = (age_secs * f64::from(SLOW) * 1e9) as u64;
    let now_ns = u64::try_from(time::wall().as_nanos()).unwrap_or(u64::MAX);
    Particles {
        rate: particles.rate / SLOW,
        lifetime: particles.lifetime.map(|secs| secs * SLOW),
        speed: particles.speed.map(|speed| speed / SLOW),
        acceleration: particles.acceleration.map(|by| by / SLOW / SLOW),
        drag: particles.drag / SLOW,
        // How they stray goes on in real time: they leave their way from the beginning instead.
        turbulence: 0.0,
        spread: particles.spread + particles.turbulence * 1.5,
        start_ns: now_ns.saturating_sub(before_ns).max(1),
        ..particles
    }
}

/// A spray of sparks at each press, and the plate lights up under a pointer.
async fn strikes(plate: EntityId, place: Vec3) -> Result<(), Error> {
    let mut pointers = Pointers::of(plate);
    loop {
        match pointers.next().await.kind {
            Kind::Over => scene::set(plate, glow([0.9, 0.2, 0.06]))?,
            Kind::Out => scene::set(plate, glow([0.25, 0.05, 0.02]))?,
            Kind::Press => {
                let now_ns = u64::try_from(time::wall().as_nanos()).unwrap_or(0);
                // Long enough to be seen where pictures come slowly.
                let sparks = Particles { lifetime: [0.8, 1.8], ..sparks(now_ns) };
                let spray = Entity::new().name("~sparks").at_vec(place).with(sparks).spawn()?;
                live("stand 9", async move {
                    sleep(Duration::from_secs(3)).await;
                    scene::remove(spray)
                });
            }
            _ => {}
        }
    }
}
