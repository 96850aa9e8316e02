// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 12: what depends on who looks from where: levels of detail, billboards, and what is hidden.

use super::stand::{Build, LOW, across, live};
use hearth_sdk::{abi::scene::ComponentKind, prelude::*};

/// Where one level takes the place of the other, in metres.
const LEVELS: [f32; 4] = [0.0, 5.0, 11.0, 200.0];

pub(super) fn levels(number: usize) -> Result<(), Error> {
    let caption =
        "Go away from the ball: it has fewer faces from 5 m, and fewest from 11 m. The card turns to you.";
    let mut stand = Build::new(number, "Near and far", caption);
    stand.bench(LOW);
    for (level, (segments, color)) in [(48, 0x4f9d69), (10, 0xd9b44a), (4, 0xc9503c)].into_iter().enumerate()
    {
        let shape = Shape::sphere(0.3, segments);
        let shape = if level == 0 { shape } else { shape.flat() };
        let ball = Entity::new().at(across(0, 3), LOW.0 + 0.35, LOW.1).mesh(shape.source()?);
        let range = VisibilityRange { start: LEVELS[level], end: LEVELS[level + 1] };
        stand.add(ball.material(matte(srgb(color))).with(range));
    }
    stand.label(LOW, across(0, 3), "three levels of detail");
    let card = stand.add(Entity::new().at(across(1, 3), LOW.0 + 0.4, LOW.1).billboard());
    let plate = Entity::new().parent(card).mesh(MeshSource::Cuboid([0.6, 0.42, 0.02]));
    plate.material(matte(srgb(0x3f6fa8))).add_to(&mut stand.batch);
    let text = Text { text: "I turn\nto you".into(), size: 0.13, ..Text::default() };
    Entity::new().parent(card).at(0.0, 0.0, 0.013).with(text).add_to(&mut stand.batch);
    stand.label(LOW, across(1, 3), "billboard");
    let lid = Entity::new()
        .name("lid")
        .at(across(2, 3), LOW.0 + 0.25, LOW.1)
        .mesh(MeshSource::Cuboid([0.46, 0.5, 0.3]));
    let lid = stand.add(lid.material(matte(srgb(0x7a5ca8))).pointer(Wants::PRESS));
    let inside = Entity::new().at(across(2, 3), LOW.0 + 0.1, LOW.1).mesh(MeshSource::Torus(0.09, 0.04));
    stand.add(inside.material(metal(srgb(0xe0b040))));
    stand.label(LOW, across(2, 3), "press: it hides for 3 s");
    stand.done()?;
    live("stand 12", hides(lid));
    Ok(())
}

async fn hides(lid: EntityId) -> Result<(), Error> {
    let mut pointers = Pointers::of(lid);
    loop {
        pointers.click().await;
        scene::set(lid, Component::Hidden(true))?;
        sleep(Duration::from_secs(3)).await;
        let mut batch = Batch::new();
        batch.unset(lid, ComponentKind::Hidden);
        batch.commit()?;
    }
}
