// SPDX-License-Identifier: AGPL-3.0-or-later
//! Components that are drawn without a mesh of their own: lines and particles.

use super::{above_zero, at_least};
use crate::{
    DecodeError, LumpId,
    codec::{Reader, put_floats},
};
use alloc::vec::Vec;

/// Most points of [`Lines`].
pub const POINTS_MAX: usize = 320;
/// Most particles of one source that are in the air at once.
pub const PARTICLES_MAX: u32 = 1000;

/// Lines between points, in their own colour whatever the light. As bytes: `u8` way, `f32` width, four `f32` colour, and
/// three `f32` for each point, to the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines {
    /// At most [`POINTS_MAX`], in metres.
    pub points: Vec<[f32; 3]>,
    /// Which of them are joined.
    pub way: LineWay,
    /// Metres across; 0 for one pixel, however near.
    pub width: f32,
    /// Linear colour and opacity; above 1.0 it glows.
    pub color: [f32; 4],
}

/// Which points are joined by lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum LineWay {
    /// Each with the next.
    #[default]
    Strip = 0,
    /// Each with the next, and the last with the first.
    Loop = 1,
    /// The first with the second, the third with the fourth, and so on.
    Pairs = 2,
}

impl Lines {
    /// White lines of a centimetre from point to point.
    pub fn through(points: impl Into<Vec<[f32; 3]>>) -> Lines {
        Lines { points: points.into(), way: LineWay::Strip, width: 0.01, color: [1.0; 4] }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.way as u8);
        put_floats(out, &[self.width]);
        put_floats(out, &self.color);
        self.points.iter().for_each(|point| put_floats(out, point));
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Lines, DecodeError> {
        let unknown = r.error("unknown way of lines");
        let way = match r.u8()? {
            0 => LineWay::Strip,
            1 => LineWay::Loop,
            2 => LineWay::Pairs,
            _ => return Err(unknown),
        };
        let (width, color) = (at_least(r, 0.0)?, r.finites()?);
        let count = r.remaining() / 12;
        if count > POINTS_MAX {
            return Err(r.error("too many points"));
        }
        let points = (0..count).map(|_| r.finites()).collect::<Result<_, _>>()?;
        Ok(Lines { points, way, width, color })
    }
}

/// Small flat pictures that are born at the entity, fly and fade: fire, smoke, sparks, rain. As bytes: `u8` flags (bit 0
/// light, bit 1 a picture), `u32` count, `f32` rate, two `f32` lifetime, three `f32` extent, two `f32` speed, `f32` spread, three
/// `f32` acceleration, `f32` drag, `f32` turbulence, two `f32` size, eight `f32` colours, `u64` start, and with bit 1 the 32
/// bytes of a lump of class `Texture`.
///
/// Where each of them is follows from the time alone, so that all peers show about the same, also those that join later.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Particles {
    /// How many are born in a second, more than 0.
    pub rate: f32,
    /// How many are born in all; 0 for no end.
    pub count: u32,
    /// Least and greatest lifetime in seconds, more than 0.
    pub lifetime: [f32; 2],
    /// Half the sizes of the box about the entity's origin in which they are born, 0 or more.
    pub extent: [f32; 3],
    /// Least and greatest speed at birth in metres a second, along the entity's +Y.
    pub speed: [f32; 2],
    /// Radians that they may leave that direction by, 0 to π.
    pub spread: f32,
    /// Metres per second squared, in the directions of the world: `[0.0, -9.81, 0.0]` falls.
    pub acceleration: [f32; 3],
    /// How much of the speed the air takes in a second, 0 or more.
    pub drag: f32,
    /// Metres that they stray from their way to the sides in the course of a life, 0 or more.
    pub turbulence: f32,
    /// Height and width at birth and at death in metres, 0 or more.
    pub size: [f32; 2],
    /// Linear colour and opacity at birth and at death; above 1.0 they glow.
    pub color: [[f32; 4]; 2],
    /// They are light that is added to what is behind them, as of fire; else they cover it, as smoke does.
    pub light: bool,
    /// What each looks like; `None` for a soft disc.
    pub texture: Option<LumpId>,
    /// Nanoseconds since 1970-01-01 UTC at which the first is born; 0 if they always were.
    pub start_ns: u64,
}

impl Default for Particles {
    fn default() -> Particles {
        Particles {
            rate: 20.0,
            count: 0,
            lifetime: [0.8, 1.2],
            extent: [0.0; 3],
            speed: [0.4, 0.6],
            spread: 0.3,
            acceleration: [0.0; 3],
            drag: 0.0,
            turbulence: 0.0,
            size: [0.05, 0.02],
            color: [[1.0; 4], [1.0, 1.0, 1.0, 0.0]],
            light: false,
            texture: None,
            start_ns: 0,
        }
    }
}

impl Particles {
    /// How many can be in the air at once, by rate, count and lifetime.
    pub fn alive_most(&self) -> u32 {
        // A float beyond `u32` becomes the greatest one.
        let alive = (self.rate * self.lifetime[1]) as u32;
        let alive = alive.saturating_add(1);
        if self.count == 0 { alive } else { alive.min(self.count) }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.light) | u8::from(self.texture.is_some()) << 1);
        out.extend_from_slice(&self.count.to_le_bytes());
        put_floats(out, &[self.rate]);
        put_floats(out, &self.lifetime);
        put_floats(out, &self.extent);
        put_floats(out, &self.speed);
        put_floats(out, &[self.spread]);
        put_floats(out, &self.acceleration);
        put_floats(out, &[self.drag, self.turbulence]);
        put_floats(out, &self.size);
        self.color.iter().for_each(|color| put_floats(out, color));
        out.extend_from_slice(&self.start_ns.to_le_bytes());
        out.extend(self.texture.iter().flat_map(|lump| lump.0));
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Particles, DecodeError> {
        let unknown = r.error("unknown flag of particles");
        let flags = r.u8()?;
        if flags > 3 {
            return Err(unknown);
        }
        let too_many = r.error("too many particles at once");
        let count = r.u32()?;
        let rate = above_zero(r)?;
        let lifetime = ascending(r, f32::MIN_POSITIVE)?;
        let extent = [at_least(r, 0.0)?, at_least(r, 0.0)?, at_least(r, 0.0)?];
        let speed = ascending(r, 0.0)?;
        let too_wide = r.error("spread is more than half a turn");
        let spread = at_least(r, 0.0)?;
        if spread > core::f32::consts::PI {
            return Err(too_wide);
        }
        let acceleration = r.finites()?;
        let (drag, turbulence) = (at_least(r, 0.0)?, at_least(r, 0.0)?);
        let size = [at_least(r, 0.0)?, at_least(r, 0.0)?];
        let color = [r.finites()?, r.finites()?];
        let start_ns = r.u64()?;
        let texture = if flags & 2 != 0 { Some(LumpId(r.array()?)) } else { None };
        let particles = Particles {
            rate,
            count,
            lifetime,
            extent,
            speed,
            spread,
            acceleration,
            drag,
            turbulence,
            size,
            color,
            light: flags & 1 != 0,
            texture,
            start_ns,
        };
        if particles.alive_most() > PARTICLES_MAX { Err(too_many) } else { Ok(particles) }
    }
}

/// Two numbers, the second not less than the first.
fn ascending(r: &mut Reader<'_>, least: f32) -> Result<[f32; 2], DecodeError> {
    let least = at_least(r, least)?;
    Ok([least, at_least(r, least)?])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::scene::{Component, ComponentKind};
    use alloc::boxed::Box;
    use std::vec;

    fn bytes(component: &Component) -> Vec<u8> {
        let mut out = vec![];
        component.encode(&mut out);
        out
    }

    #[test]
    fn golden_vectors() {
        let mut lines = Lines::through([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        lines.way = LineWay::Pairs;
        let mut expected = vec![2];
        for float in [0.01f32, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0] {
            expected.extend(float.to_le_bytes());
        }
        let lines = Component::Lines(Box::new(lines));
        assert_eq!(bytes(&lines), expected);
        assert_eq!(Component::decode(ComponentKind::Lines, &expected).unwrap(), lines);

        let particles = Particles {
            count: 7,
            light: true,
            texture: Some(LumpId([9; 32])),
            start_ns: 0x0102,
            extent: [0.1, 0.2, 0.3],
            acceleration: [0.0, -9.81, 0.0],
            drag: 0.5,
            turbulence: 0.25,
            ..Particles::default()
        };
        let mut expected = vec![3, 7, 0, 0, 0];
        for float in [20.0f32, 0.8, 1.2, 0.1, 0.2, 0.3, 0.4, 0.6, 0.3, 0.0, -9.81, 0.0, 0.5, 0.25, 0.05, 0.02]
        {
            expected.extend(float.to_le_bytes());
        }
        for float in [1.0f32, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0] {
            expected.extend(float.to_le_bytes());
        }
        expected.extend([2, 1, 0, 0, 0, 0, 0, 0]);
        expected.extend([9; 32]);
        let particles = Component::Particles(Box::new(particles));
        assert_eq!(bytes(&particles), expected);
        assert_eq!(Component::decode(ComponentKind::Particles, &expected).unwrap(), particles);
        assert_eq!(particles.lumps().collect::<Vec<_>>(), [LumpId([9; 32])]);
    }

    #[test]
    fn more_than_can_be_drawn_is_refused() {
        let plain = Particles::default();
        for (particles, problem) in [
            (Particles { rate: 0.0, ..plain }, "number is too small"),
            (Particles { rate: 1000.0, ..plain }, "too many particles at once"),
            (Particles { rate: 1e30, lifetime: [1e30; 2], ..plain }, "too many particles at once"),
            (Particles { lifetime: [2.0, 1.0], ..plain }, "number is too small"),
            (Particles { spread: 3.2, ..plain }, "spread is more than half a turn"),
            (Particles { size: [0.1, -0.1], ..plain }, "number is too small"),
            (Particles { acceleration: [f32::NAN; 3], ..plain }, "number is not finite"),
        ] {
            let component = Component::Particles(Box::new(particles));
            let error = Component::decode(component.kind(), &bytes(&component)).unwrap_err();
            assert_eq!(error.problem, problem, "{particles:?}");
        }
        // A burst is short, however fast.
        let burst = Particles { rate: 1e6, count: 1000, ..plain };
        let component = Component::Particles(Box::new(burst));
        assert_eq!(Component::decode(component.kind(), &bytes(&component)).unwrap(), component);

        for (points, fits) in [(0, true), (POINTS_MAX, true), (POINTS_MAX + 1, false)] {
            let component = Component::Lines(Box::new(Lines::through(vec![[0.0; 3]; points])));
            assert_eq!(Component::decode(component.kind(), &bytes(&component)).is_ok(), fits, "{points}");
        }
        let mut torn = bytes(&Component::Lines(Box::new(Lines::through([[0.0; 3]]))));
        torn.pop();
        assert!(Component::decode(ComponentKind::Lines, &torn).is_err());
    }
}
