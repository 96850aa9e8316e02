// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 6: what concerns the whole picture: fog, tone mapping, exposure, bloom. Switches change it for everybody.

use super::stand::{Build, Stand, live};
use hearth_kit::*;
use hearth_sdk::{
    abi::scene::{ComponentKind, ToneMapping},
    prelude::*,
};

const CURVES: [&str; 5] = ["Neutral", "ACES", "AgX", "Reinhard", "Clip"];

#[derive(Clone, Debug)]
enum Does {
    Fog(bool),
    Curve(usize),
    Exposure(f32),
    Saturation(f32),
    Bloom(f32),
    Reset,
}

pub(super) fn whole_picture(number: usize) -> Result<(), Error> {
    let caption = "Fog, tone mapping, exposure, colours, bloom: for everybody.";
    let mut stand = Build::new(number, "The whole picture", caption);
    // Colours up to far beyond white, to see what a curve makes of them.
    for (column, color) in
        [0xff2010, 0xff9010, 0xffe020, 0x20d040, 0x2060ff, 0xc030e0, 0xffffff].into_iter().enumerate()
    {
        for row in 0..5 {
            let bright = [0.18, 0.5, 1.0, 3.0, 9.0][row];
            let patch = Entity::new().at(-1.95 + 0.25 * column as f32, 0.8 + 0.25 * row as f32, -0.85);
            let patch = patch.mesh(MeshSource::Cuboid([0.23, 0.23, 0.1]));
            stand.add(patch.material(glow(scene::times(srgb(color), bright))));
        }
    }
    stand.note([-0.855, 2.12, -0.85], "from dark to nine times white");
    let bulb =
        Entity::new().at(0.0, 1.4, -0.7).mesh(MeshSource::Sphere(0.14)).material(glow([12.0, 9.0, 5.0]));
    stand.add(bulb);
    stand.note([0.0, 1.15, -0.6], "bloom");
    let switches = Entity::new().name("air").with(ColorGrading::default());
    let air = stand.add(switches);
    stand.done()?;
    let place = Stand::number(number);
    live("stand 6", switch(air, Place::at(place.outside(vec3(1.15, 1.4, -0.6)), place.turn()).scaled(2.0)));
    Ok(())
}

async fn switch(air: EntityId, place: Place) -> Result<(), Error> {
    let (exposure, saturation, bloom) = (Handle::new(), Handle::new(), Handle::new());
    let (fog, curve) = (Handle::new(), Handle::new());
    let curves =
        CURVES.iter().enumerate().map(|(number, name)| button(*name, Does::Curve(number)).into_node());
    let named = |name: &str| label(name).width(0.2);
    let content = col![
        toggle("Fog", false, Does::Fog).handle(fog),
        row![named("Tone mapping"), label(CURVES[0]).handle(curve).grow()],
        row_of(curves.collect()).gap(0.01),
        row![named("Exposure"), slider(-3.0..=3.0, 0.0, Does::Exposure).handle(exposure).grow()],
        row![named("Saturation"), slider(0.0..=2.0, 1.0, Does::Saturation).handle(saturation).grow()],
        row![named("Bloom"), slider(0.0..=1.0, 0.08, Does::Bloom).handle(bloom).grow()],
        row![space(0.0).grow(), button("As it was", Does::Reset).main()],
    ];
    let mut ui = Ui::new(place, Theme::paper(), content.panel().width(0.78))?;
    let mut grading = ColorGrading::default();
    loop {
        match ui.next().await?.message {
            Does::Fog(true) => {
                scene::set(air, Fog { color: [0.7, 0.71, 0.73], ..Fog::new(50.0, 30.0) })?;
            }
            Does::Fog(false) => clear(air)?,
            Does::Curve(number) => {
                grading.tone_mapping = *ToneMapping::ALL.get(number).unwrap_or(&ToneMapping::Neutral);
                ui.edit(curve, |label| label.set(CURVES[number % CURVES.len()]))?;
            }
            Does::Exposure(stops) => grading.exposure = stops,
            Does::Saturation(much) => grading.saturation = much,
            Does::Bloom(much) => grading.bloom = much,
            Does::Reset => {
                grading = ColorGrading::default();
                clear(air)?;
                ui.edit(fog, |toggle| toggle.set(false))?;
                ui.edit(curve, |label| label.set(CURVES[0]))?;
                ui.edit(exposure, |slider| slider.set(0.0))?;
                ui.edit(saturation, |slider| slider.set(1.0))?;
                ui.edit(bloom, |slider| slider.set(grading.bloom))?;
            }
        }
        scene::set(air, grading)?;
    }
}

fn clear(air: EntityId) -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.unset(air, ComponentKind::Fog);
    batch.commit()
}
