// SPDX-License-Identifier: AGPL-3.0-or-later
//! The component that is heard.

use super::{above_zero, at_least};
use crate::{
    DecodeError, LumpId,
    codec::{Reader, put_floats},
};
use alloc::vec::Vec;

/// A sound at the entity's place, or around the listener. As bytes: 32 bytes of a lump of class `Sound`,
/// `u32` flags, `u8` distance model, `f32` gain, pitch, reference distance, maximal distance, rolloff factor, and
/// the `u64` time at which it started.
///
/// Distances are metres of the world, whatever the scale of the entity. Hidden entities are heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sound {
    /// The lump: WAV, Ogg Vorbis, MP3 or FLAC.
    pub lump: LumpId,
    /// Factor of loudness, 0 or more; 1 is as the file is.
    pub gain: f32,
    /// Factor of speed, and with it of pitch, more than 0; 1 is as the file is.
    pub pitch: f32,
    /// Bit 0 of the flags: it begins again when it ends.
    pub looping: bool,
    /// Bit 1: heard alike everywhere, in the channels of the file, instead of from the entity's place.
    pub ambient: bool,
    /// Bit 2: nothing is heard. When this is taken back it begins as one that appears.
    pub stopped: bool,
    /// How gain falls with distance.
    pub distance_model: DistanceModel,
    /// Metres up to which the gain does not fall, more than 0.
    pub ref_distance: f32,
    /// Metres beyond which nothing is heard, more than the reference distance; 0 for never.
    pub max_distance: f32,
    /// How fast gain falls with distance: 0 not at all. At most 1 for [`DistanceModel::Linear`].
    pub rolloff_factor: f32,
    /// When it started: nanoseconds since 1970-01-01 UTC by the clock of who wrote it, so that all hear
    /// the same part of it; 0: when it appears. Another number starts it again.
    pub started_ns: u64,
}

/// Where the user's ears are: at the entity, facing its −Z. Of those of local scope that with the highest priority
/// hears, of several that with the lowest id; without any it is the camera that is shown. As bytes: `i32` priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Listener {
    /// Of several the highest hears.
    pub priority: i32,
}

/// How gain falls with distance (Web Audio API, `PannerNode`; `KHR_audio_emitter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum DistanceModel {
    /// As in air: with a rolloff factor of 1, twice as far is half the gain.
    #[default]
    Inverse = 0,
    /// Straight down from the reference distance to the maximal one.
    Linear = 1,
}

impl Sound {
    /// This lump from the entity's place, once, as loud as it is up to a metre away, and not heard beyond 50 m.
    pub const fn new(lump: LumpId) -> Sound {
        Sound {
            lump,
            gain: 1.0,
            pitch: 1.0,
            looping: false,
            ambient: false,
            stopped: false,
            distance_model: DistanceModel::Inverse,
            ref_distance: 1.0,
            max_distance: 50.0,
            rolloff_factor: 1.0,
            started_ns: 0,
        }
    }

    /// Again and again.
    pub const fn looped(self) -> Sound {
        Sound { looping: true, ..self }
    }

    /// Everywhere alike.
    pub const fn everywhere(self) -> Sound {
        Sound { ambient: true, ..self }
    }

    /// With this factor of loudness.
    pub const fn gain(self, gain: f32) -> Sound {
        Sound { gain, ..self }
    }

    /// With this factor of speed and pitch.
    pub const fn pitch(self, pitch: f32) -> Sound {
        Sound { pitch, ..self }
    }

    /// As loud as it is up to `ref_distance`, and not heard beyond `max_distance`, in metres.
    pub const fn reaching(self, ref_distance: f32, max_distance: f32) -> Sound {
        Sound { ref_distance, max_distance, ..self }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.lump.0);
        let flags = u32::from(self.looping) | u32::from(self.ambient) << 1 | u32::from(self.stopped) << 2;
        out.extend_from_slice(&flags.to_le_bytes());
        out.push(self.distance_model as u8);
        put_floats(out, &[self.gain, self.pitch]);
        put_floats(out, &[self.ref_distance, self.max_distance, self.rolloff_factor]);
        out.extend_from_slice(&self.started_ns.to_le_bytes());
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Sound, DecodeError> {
        let lump = LumpId(r.array()?);
        let unknown_flag = r.error("unknown sound flag");
        let flags = r.u32()?;
        if flags > 7 {
            return Err(unknown_flag);
        }
        let unknown_model = r.error("unknown distance model");
        let distance_model = match r.u8()? {
            0 => DistanceModel::Inverse,
            1 => DistanceModel::Linear,
            _ => return Err(unknown_model),
        };
        let gain = at_least(r, 0.0)?;
        let pitch = above_zero(r)?;
        let ref_distance = above_zero(r)?;
        let too_near = r.error("maximal distance is not beyond the reference distance");
        let max_distance = at_least(r, 0.0)?;
        let is_linear = distance_model == DistanceModel::Linear;
        if max_distance <= ref_distance && (max_distance != 0.0 || is_linear) {
            return Err(too_near);
        }
        let too_steep = r.error("rolloff factor is more than 1");
        let rolloff_factor = at_least(r, 0.0)?;
        if is_linear && rolloff_factor > 1.0 {
            return Err(too_steep);
        }
        Ok(Sound {
            lump,
            gain,
            pitch,
            looping: flags & 1 != 0,
            ambient: flags & 2 != 0,
            stopped: flags & 4 != 0,
            distance_model,
            ref_distance,
            max_distance,
            rolloff_factor,
            started_ns: r.u64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::scene::{Component, ComponentKind};
    use alloc::boxed::Box;
    use proptest::prelude::*;
    use std::vec;

    fn bytes(sound: Sound) -> Vec<u8> {
        let mut out = vec![];
        Component::Sound(Box::new(sound)).encode(&mut out);
        out
    }

    fn read(bytes: &[u8]) -> Result<Component, DecodeError> {
        Component::decode(ComponentKind::Sound, bytes)
    }

    #[test]
    fn golden_vectors() {
        let mut expected = vec![0xab; 32];
        expected.extend([0, 0, 0, 0, 0]);
        expected.extend([0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f]);
        expected.extend([0, 0, 0x80, 0x3f, 0, 0, 0x48, 0x42, 0, 0, 0x80, 0x3f]);
        expected.extend([0; 8]);
        assert_eq!(bytes(Sound::new(LumpId([0xab; 32]))), expected);

        let sound = Sound {
            distance_model: DistanceModel::Linear,
            rolloff_factor: 0.5,
            started_ns: 0x0102_0304_0506_0708,
            stopped: true,
            ..Sound::new(LumpId([1; 32])).looped().everywhere().gain(0.25).pitch(2.0).reaching(2.0, 8.0)
        };
        let mut expected = vec![1; 32];
        expected.extend([7, 0, 0, 0, 1]);
        expected.extend([0, 0, 0x80, 0x3e, 0, 0, 0, 0x40]);
        expected.extend([0, 0, 0, 0x40, 0, 0, 0, 0x41, 0, 0, 0, 0x3f]);
        expected.extend([8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(bytes(sound), expected);
        assert_eq!(read(&expected).unwrap(), Component::Sound(Box::new(sound)));
        assert_eq!(Component::Sound(Box::new(sound)).lumps().collect::<Vec<_>>(), [LumpId([1; 32])]);
    }

    #[test]
    fn what_cannot_be_heard_is_refused() {
        let plain = Sound::new(LumpId([1; 32]));
        let linear = Sound { distance_model: DistanceModel::Linear, ..plain };
        for (sound, problem) in [
            (plain.gain(-0.1), "number is too small"),
            (plain.gain(f32::NAN), "number is not finite"),
            (plain.pitch(0.0), "number is too small"),
            (plain.reaching(0.0, 10.0), "number is too small"),
            (plain.reaching(10.0, 10.0), "maximal distance is not beyond the reference distance"),
            (linear.reaching(1.0, 0.0), "maximal distance is not beyond the reference distance"),
            (Sound { rolloff_factor: 1.5, ..linear }, "rolloff factor is more than 1"),
        ] {
            assert_eq!(read(&bytes(sound)).unwrap_err().problem, problem, "{sound:?}");
        }
        for sound in [plain.reaching(1.0, 0.0), Sound { rolloff_factor: 1.5, ..plain }, plain.gain(0.0)] {
            assert_eq!(read(&bytes(sound)).unwrap(), Component::Sound(Box::new(sound)));
        }
        for (at, value, problem) in [(32, 8, "unknown sound flag"), (36, 2, "unknown distance model")] {
            let mut bytes = bytes(plain);
            bytes[at] = value;
            assert_eq!(read(&bytes).unwrap_err(), DecodeError { offset: at, problem });
        }
    }

    proptest! {
        #[test]
        fn a_sound_reads_back_or_was_out_of_range(
            gain in any::<f32>(), pitch in any::<f32>(), distances in any::<[f32; 3]>(),
            flags in any::<[bool; 4]>(), started_ns in any::<u64>(), lump in any::<[u8; 32]>(),
        ) {
            let model = if flags[3] { DistanceModel::Linear } else { DistanceModel::Inverse };
            let sound = Sound {
                lump: LumpId(lump),
                gain,
                pitch,
                looping: flags[0],
                ambient: flags[1],
                stopped: flags[2],
                distance_model: model,
                ref_distance: distances[0],
                max_distance: distances[1],
                rolloff_factor: distances[2],
                started_ns,
            };
            match read(&bytes(sound)) {
                Ok(again) => prop_assert_eq!(again, Component::Sound(Box::new(sound))),
                Err(error) => prop_assert!((37..61).contains(&error.offset), "{}", error),
            }
        }
    }
}
