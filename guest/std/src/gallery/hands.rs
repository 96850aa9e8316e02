// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 13: what pointers do: hovering, pressing, dragging, the wheel, and where a ray meets a surface.

use super::stand::{Build, LOW, Stand, live, writing};
use hearth_sdk::{peer_name, pointer::Kind, prelude::*};

/// Half the length of the slider.
const REACH: f32 = 0.55;
/// Where its middle is, and the ball that is pointed at.
const SLIDER: Vec3 = vec3(-0.15, LOW.0 + 0.16, LOW.1);
const BALL: Vec3 = vec3(1.35, LOW.0 + 0.4, LOW.1);

pub(super) fn pointers(number: usize) -> Result<(), Error> {
    let caption =
        "Free the pointer with Esc: press, drag, turn the wheel. The arrow stands where your ray arrives.";
    let mut stand = Build::new(number, "Pointers", caption);
    stand.bench(LOW);
    let cap =
        Entity::new().name("button").at(-1.45, LOW.0 + 0.08, LOW.1).mesh(MeshSource::Cylinder(0.18, 0.16));
    let cap = stand.add(cap.material(matte(srgb(0xc0392b))).pointer(Wants::HOVER.and(Wants::PRESS)));
    let says = stand.add(Entity::new().at(-1.45, LOW.0 + 0.4, LOW.1).with(writing("nobody yet", 0.09)));
    stand.label(LOW, -1.45, "hover, press");
    let rail = Entity::new().at_vec(SLIDER).mesh(MeshSource::Cuboid([2.0 * REACH, 0.03, 0.03]));
    stand.add(rail.material(metal([0.5, 0.5, 0.52])));
    let knob = Entity::new().name("knob").at_vec(SLIDER).mesh(MeshSource::Sphere(0.1));
    let knob = stand.add(knob.material(matte(srgb(0x2e86c1))).pointer(Wants::DRAG.and(Wants::WHEEL)));
    let bulb = Entity::new().at(SLIDER.x, SLIDER.y + 0.5, LOW.1).mesh(MeshSource::Sphere(0.14));
    let bulb = stand.add(bulb.material(light_of(0.5)));
    stand.label(LOW, SLIDER.x, "drag, or turn the wheel");
    let ball = Entity::new().name("ball").at_vec(BALL).mesh(Shape::sphere(0.38, 20).flat().source()?);
    let ball = stand.add(ball.material(matte([0.7, 0.69, 0.66])).pointer(Wants::MOVE.and(Wants::HOVER)));
    let arrow =
        Lines { width: 0.02, color: [0.9, 0.15, 0.02, 1.0], ..Lines::through([[0.0; 3], [0.0, 0.0, -0.25]]) };
    let straight = Quat::looking(vec3(-0.4, 0.35, 1.0));
    let arrow = stand.add(
        Entity::new()
            .name("~arrow")
            .at_vec(BALL + straight.rotate(-Vec3::Z) * 0.38)
            .turned(straight)
            .with(arrow),
    );
    stand.label(LOW, BALL.x, "point: where a ray arrives");
    stand.done()?;
    live("stand 13", presses(cap, says));
    live("stand 13", slides(Stand::number(number), knob, bulb));
    live("stand 13", points(Stand::number(number), ball, arrow));
    Ok(())
}

fn light_of(level: f32) -> Material {
    glow(scene::times([1.0, 0.75, 0.35], 0.05 + 2.5 * level * level))
}

async fn presses(cap: EntityId, says: EntityId) -> Result<(), Error> {
    let mut pointers = Pointers::of(cap);
    let mut count = 0;
    loop {
        let event = pointers.next().await;
        let mut batch = Batch::new();
        let down = |down: f32| Transform {
            scale: [1.0, down, 1.0],
            ..Transform::at(-1.45, LOW.0 + 0.08 * down, LOW.1)
        };
        match event.kind {
            Kind::Over => batch.set(cap, matte(srgb(0xe8604c))),
            Kind::Out => batch.set(cap, matte(srgb(0xc0392b))),
            Kind::Press => {
                count += 1;
                let who = peer_name(event.user).unwrap_or_else(|| format!("peer {}", event.user));
                batch.set(says, writing(&format!("{who}: {count}"), 0.09));
                batch.set(cap, down(0.4))
            }
            Kind::Release | Kind::Cancel => batch.set(cap, down(1.0)),
            _ => continue,
        };
        batch.commit()?;
    }
}

async fn slides(stand: Stand, knob: EntityId, bulb: EntityId) -> Result<(), Error> {
    let mut pointers = Pointers::of(knob);
    let mut x = 0.0f32;
    loop {
        let event = pointers.next().await;
        match event.kind {
            Kind::Drag => {
                // Where the ray meets the upright plane through the rail.
                let from = stand.inside(event.from.into());
                let way = stand.turn().inverse().rotate(event.way.into());
                if way.z.abs() < 1e-3 {
                    continue;
                }
                x = from.x + way.x * (SLIDER.z - from.z) / way.z - SLIDER.x;
            }
            Kind::Wheel => x += 0.05 * event.wheel[1].clamp(-4.0, 4.0),
            _ => continue,
        }
        x = x.clamp(-REACH, REACH);
        let mut batch = Batch::new();
        batch.set(knob, scene::pose(SLIDER + Vec3::X * x, Quat::IDENTITY));
        batch.set(bulb, light_of(x / REACH * 0.5 + 0.5));
        batch.commit()?;
    }
}

async fn points(stand: Stand, ball: EntityId, arrow: EntityId) -> Result<(), Error> {
    let mut pointers = Pointers::of(ball);
    loop {
        let event = pointers.next().await;
        if event.kind == Kind::Move && event.hit == Some(ball) {
            let normal = stand.turn().inverse().rotate(event.normal.into());
            let place = stand.inside(event.point.into());
            scene::set(arrow, scene::pose(place, Quat::looking(-normal)))?;
        }
    }
}
