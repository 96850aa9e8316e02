// SPDX-License-Identifier: AGPL-3.0-or-later
//! Fog and colour grading, of the eye and of all views.

use crate::{
    Quality,
    place::Place,
    view::{Eye, Settings},
};
use bevy::{
    camera::{Exposure, Hdr},
    core_pipeline::tonemapping::Tonemapping,
    pbr::{DistanceFog, FogFalloff},
    post_process::bloom::Bloom,
    prelude::*,
    render::view::{ColorGrading, ColorGradingGlobal, ColorGradingSection},
};
use hearth_abi::scene::{self, ToneMapping};

/// Brightest air in cd/m².
const BRIGHTNESS_MOST: f32 = 1e6;
/// What a temperature or a tint of 1 adds to a coordinate of CIE 1931, by which the renderer measures them.
const CHROMATICITY: f32 = 0.1;
/// Nearest that air hides things, in metres.
const VISIBILITY_LEAST: f32 = 0.1;

/// A camera whose picture has air and graded colours: the eye, or a view.
#[derive(Component, Default)]
pub(crate) struct Graded {
    /// What it was given.
    fog: Option<(scene::Fog, f32)>,
    grading: Option<scene::ColorGrading>,
    /// Its picture stays light.
    is_light: bool,
}

impl Graded {
    /// With air, and without colours.
    pub(crate) fn fog_alone() -> Graded {
        Graded { is_light: true, ..Graded::default() }
    }
}

/// Gives all cameras the fog and the grading of the scene, if these changed.
pub(crate) fn grade(
    place: Res<Place>,
    settings: Res<Settings>,
    mut cameras: Query<(Entity, &Exposure, &mut Graded, Has<Eye>), With<Hdr>>,
    mut commands: Commands,
) {
    for (entity, exposure, mut graded, is_eye) in &mut cameras {
        let fog = place.fog().map(|fog| (*fog, exposure.ev100));
        if graded.fog != fog {
            graded.fog = fog;
            match fog {
                Some((fog, _)) => commands.entity(entity).insert(distance_fog(&fog, exposure)),
                None => commands.entity(entity).remove::<DistanceFog>(),
            };
        }
        let wanted = place.grading().copied().unwrap_or_default();
        if graded.grading != Some(wanted) && !graded.is_light {
            graded.grading = Some(wanted);
            let mut camera = commands.entity(entity);
            camera.insert((tone_mapping(wanted.tone_mapping), color_grading(&wanted)));
            if is_eye && settings.quality == Quality::High {
                let bloom = Bloom { intensity: wanted.bloom.clamp(0.0, 1.0), ..Bloom::NATURAL };
                camera.insert(bloom);
            }
        }
    }
}

fn distance_fog(fog: &scene::Fog, exposure: &Exposure) -> DistanceFog {
    // The renderer mixes fog into a picture that is exposed already.
    let brightness = fog.brightness.clamp(0.0, BRIGHTNESS_MOST) * exposure.exposure();
    let [red, green, blue] = fog.color.map(|v| v.clamp(0.0, 1000.0) * brightness);
    let glow = fog.glow_color.map(|v| v.clamp(0.0, 1000.0));
    let has_glow = glow.iter().any(|v| *v > 0.0);
    DistanceFog {
        color: Color::linear_rgb(red, green, blue),
        directional_light_color: if has_glow {
            Color::linear_rgb(glow[0], glow[1], glow[2])
        } else {
            Color::NONE
        },
        directional_light_exponent: fog.glow_exponent.clamp(0.0, 10_000.0),
        falloff: FogFalloff::from_visibility(fog.visibility.max(VISIBILITY_LEAST)),
    }
}

fn tone_mapping(wanted: ToneMapping) -> Tonemapping {
    match wanted {
        ToneMapping::Neutral => Tonemapping::KhronosPbrNeutral,
        ToneMapping::Aces => Tonemapping::AcesFitted,
        ToneMapping::AgX => Tonemapping::AgX,
        ToneMapping::Reinhard => Tonemapping::ReinhardLuminance,
        ToneMapping::Clip => Tonemapping::None,
    }
}

fn color_grading(wanted: &scene::ColorGrading) -> ColorGrading {
    let contrast = wanted.contrast.clamp(0.01, 10.0);
    let section = ColorGradingSection { contrast, ..ColorGradingSection::default() };
    ColorGrading {
        global: ColorGradingGlobal {
            exposure: wanted.exposure.clamp(-20.0, 20.0),
            temperature: wanted.temperature.clamp(-1.0, 1.0) * CHROMATICITY,
            tint: wanted.tint.clamp(-1.0, 1.0) * CHROMATICITY,
            post_saturation: wanted.saturation.clamp(0.0, 10.0),
            ..ColorGradingGlobal::default()
        },
        shadows: section,
        midtones: section,
        highlights: section,
    }
}
