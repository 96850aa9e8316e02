// SPDX-License-Identifier: AGPL-3.0-or-later
//! Components of the whole picture: the air, and how light becomes colours on a screen.

use super::{above_zero, at_least};
use crate::{
    DecodeError,
    codec::{Reader, put_floats},
};
use alloc::vec::Vec;

/// Air that hides what is far away; of several, that of the lowest entity id is seen. As bytes: nine `f32`.
///
/// The sky is not behind it: give it the colour and brightness of the horizon, and the two meet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fog {
    /// Linear colour.
    pub color: [f32; 3],
    /// How bright it is, in cd/m² for a colour of 1; 0 or more.
    pub brightness: f32,
    /// Metres at which 5 % of the contrast is left (Koschmieder), more than 0.
    pub visibility: f32,
    /// How much of the light of directional lights is added where one looks towards them: linear factors, 0 or more.
    pub glow_color: [f32; 3],
    /// How narrow that glow is, 0 or more: 8 is wide, 30 is a halo.
    pub glow_exponent: f32,
}

impl Fog {
    /// Grey air through which one sees so many metres, for a brightness of the sky in cd/m².
    pub const fn new(visibility: f32, brightness: f32) -> Fog {
        Fog { color: [0.5; 3], brightness, visibility, glow_color: [0.0; 3], glow_exponent: 8.0 }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_floats(out, &self.color);
        put_floats(out, &[self.brightness, self.visibility]);
        put_floats(out, &self.glow_color);
        put_floats(out, &[self.glow_exponent]);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Fog, DecodeError> {
        Ok(Fog {
            color: colors(r)?,
            brightness: at_least(r, 0.0)?,
            visibility: above_zero(r)?,
            glow_color: colors(r)?,
            glow_exponent: at_least(r, 0.0)?,
        })
    }
}

/// How light becomes colours on the screen; of several, that of the lowest entity id is used. As bytes: `u8` tone
/// mapping, then six `f32`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColorGrading {
    /// How brightness beyond that of a screen is bent into it.
    pub tone_mapping: ToneMapping,
    /// Stops that are added to the exposure of the camera: 1 is twice as bright.
    pub exposure: f32,
    /// Warmer above 0, colder below, −1 to 1.
    pub temperature: f32,
    /// More magenta above 0, more green below, −1 to 1.
    pub tint: f32,
    /// 0 is grey, 1 is as it is, 0 or more.
    pub saturation: f32,
    /// 1 is as it is, more than 0.
    pub contrast: f32,
    /// How much of what is bright glows around itself, 0 to 1. Peers that draw with low quality pass over it.
    pub bloom: f32,
}

/// How brightness beyond that of a screen is bent into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum ToneMapping {
    /// Khronos PBR Neutral: colours as their authors chose them, only highlights are bent.
    #[default]
    Neutral = 0,
    /// ACES, as fitted by Stephen Hill: of films; strong colours shift.
    Aces = 1,
    /// AgX, by Troy Sobotka: soft, highlights fade to white.
    AgX = 2,
    /// Reinhard's curve on luminance.
    Reinhard = 3,
    /// None: what is too bright is cut off.
    Clip = 4,
}

impl ToneMapping {
    /// All of them, by their numbers.
    pub const ALL: [ToneMapping; 5] =
        [ToneMapping::Neutral, ToneMapping::Aces, ToneMapping::AgX, ToneMapping::Reinhard, ToneMapping::Clip];
}

impl Default for ColorGrading {
    fn default() -> ColorGrading {
        ColorGrading {
            tone_mapping: ToneMapping::Neutral,
            exposure: 0.0,
            temperature: 0.0,
            tint: 0.0,
            saturation: 1.0,
            contrast: 1.0,
            bloom: 0.08,
        }
    }
}

impl ColorGrading {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.tone_mapping as u8);
        put_floats(
            out,
            &[self.exposure, self.temperature, self.tint, self.saturation, self.contrast, self.bloom],
        );
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<ColorGrading, DecodeError> {
        let unknown = r.error("unknown tone mapping");
        let tone_mapping = *ToneMapping::ALL.get(usize::from(r.u8()?)).ok_or(unknown)?;
        let too_far = r.error("more than 20 stops of exposure");
        let exposure = r.finite()?;
        if exposure.abs() > 20.0 {
            return Err(too_far);
        }
        Ok(ColorGrading {
            tone_mapping,
            exposure,
            temperature: within(r, -1.0, 1.0)?,
            tint: within(r, -1.0, 1.0)?,
            saturation: at_least(r, 0.0)?,
            contrast: above_zero(r)?,
            bloom: within(r, 0.0, 1.0)?,
        })
    }
}

fn within(r: &mut Reader<'_>, least: f32, most: f32) -> Result<f32, DecodeError> {
    let outside = r.error("number is out of range");
    let value = r.finite()?;
    if (least..=most).contains(&value) { Ok(value) } else { Err(outside) }
}

fn colors(r: &mut Reader<'_>) -> Result<[f32; 3], DecodeError> {
    Ok([at_least(r, 0.0)?, at_least(r, 0.0)?, at_least(r, 0.0)?])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::scene::{Component, ComponentKind};
    use std::vec;

    fn bytes(component: &Component) -> Vec<u8> {
        let mut out = vec![];
        component.encode(&mut out);
        out
    }

    #[test]
    fn golden_vectors() {
        let fog = Component::Fog(Fog {
            color: [1.0, 0.5, 0.25],
            brightness: 100.0,
            visibility: 40.0,
            glow_color: [0.0, 1.0, 2.0],
            glow_exponent: 8.0,
        });
        let mut expected = vec![];
        for float in [1.0f32, 0.5, 0.25, 100.0, 40.0, 0.0, 1.0, 2.0, 8.0] {
            expected.extend(float.to_le_bytes());
        }
        assert_eq!(bytes(&fog), expected);
        assert_eq!(Component::decode(ComponentKind::Fog, &expected).unwrap(), fog);

        let grading = Component::ColorGrading(ColorGrading {
            tone_mapping: ToneMapping::AgX,
            exposure: -1.0,
            temperature: 0.5,
            tint: -0.5,
            saturation: 1.25,
            contrast: 0.75,
            bloom: 0.25,
        });
        let mut expected = vec![2];
        for float in [-1.0f32, 0.5, -0.5, 1.25, 0.75, 0.25] {
            expected.extend(float.to_le_bytes());
        }
        assert_eq!(bytes(&grading), expected);
        assert_eq!(Component::decode(ComponentKind::ColorGrading, &expected).unwrap(), grading);
    }

    #[test]
    fn what_no_picture_could_have_is_refused() {
        let fog = Fog::new(30.0, 100.0);
        let grading = ColorGrading::default();
        for (component, problem) in [
            (Component::Fog(Fog { visibility: 0.0, ..fog }), "number is too small"),
            (Component::Fog(Fog { color: [0.0, -1.0, 0.0], ..fog }), "number is too small"),
            (Component::Fog(Fog { brightness: f32::INFINITY, ..fog }), "number is not finite"),
            (
                Component::ColorGrading(ColorGrading { exposure: 21.0, ..grading }),
                "more than 20 stops of exposure",
            ),
            (Component::ColorGrading(ColorGrading { tint: 2.0, ..grading }), "number is out of range"),
            (Component::ColorGrading(ColorGrading { contrast: 0.0, ..grading }), "number is too small"),
            (Component::ColorGrading(ColorGrading { bloom: f32::NAN, ..grading }), "number is not finite"),
        ] {
            let error = Component::decode(component.kind(), &bytes(&component)).unwrap_err();
            assert_eq!(error.problem, problem, "{component:?}");
        }
        let mut bytes = bytes(&Component::ColorGrading(grading));
        bytes[0] = 5;
        let error = Component::decode(ComponentKind::ColorGrading, &bytes).unwrap_err();
        assert_eq!(error, DecodeError { offset: 0, problem: "unknown tone mapping" });
    }
}
