// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is heard: sounds at entities, and files of sound that scripts make.
//!
//! ```
//! # use hearth_sdk::prelude::*;
//! # fn build() -> Result<(), Error> {
//! // A tenth of a second of 440 Hz that dies away.
//! let ring = |t: f32| (t * 440.0 * std::f32::consts::TAU).sin() * (-t * 30.0).exp();
//! let samples: Vec<f32> = (0..2205).map(|i| ring(i as f32 / 22050.0)).collect();
//! let bell = Sound::new(Lump::put(&sound::wav(22050, &samples))?.0);
//! let tower = Entity::new().at(0.0, 4.0, -10.0).spawn()?;
//! sound::play(tower, bell)?;
//! # Ok(())
//! # }
//! # build().unwrap();
//! # assert_eq!(hearth_sdk::testing::batches().len(), 2);
//! ```

use crate::{Error, scene, time};
use hearth_abi::{
    EntityId,
    scene::{ComponentKind, Sound},
};

/// The sound, started now by the clock of this machine, unless it says when it started: so all who hear it hear
/// the same part, and who comes later does not hear what is over.
///
/// [`scene::Entity::sound`] and [`play`] do this by themselves.
pub fn started_now(sound: Sound) -> Sound {
    match sound.started_ns {
        0 => Sound { started_ns: u64::try_from(time::wall().as_nanos()).unwrap_or(u64::MAX).max(1), ..sound },
        _ => sound,
    }
}

/// Plays a sound at an entity, from its beginning. An entity has one sound at a time; for several at one place
/// hang entities under it.
///
/// # Errors
/// As [`scene::Batch::commit`].
pub fn play(entity: EntityId, sound: Sound) -> Result<(), Error> {
    scene::set(entity, started_now(Sound { started_ns: 0, ..sound }))
}

/// Ends what an entity plays.
///
/// # Errors
/// As [`scene::Batch::commit`].
pub fn stop(entity: EntityId) -> Result<(), Error> {
    let mut batch = scene::Batch::new();
    batch.unset(entity, ComponentKind::Sound);
    batch.commit()
}

/// A WAV file of one channel, for a lump: samples between −1 and 1, and how many there are in a second, 8,000 to
/// 192,000. What is beyond ±1 is cut off.
pub fn wav(rate: u32, samples: &[f32]) -> Vec<u8> {
    let len = samples.len().min((u32::MAX as usize - 64) / 2);
    let bytes = 2 * len as u32;
    let mut file = Vec::with_capacity(44 + 2 * len);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + bytes).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16u32.to_le_bytes());
    // PCM, one channel, two bytes a frame.
    file.extend_from_slice(&[1, 0, 1, 0]);
    file.extend_from_slice(&rate.to_le_bytes());
    file.extend_from_slice(&rate.saturating_mul(2).to_le_bytes());
    file.extend_from_slice(&[2, 0, 16, 0]);
    file.extend_from_slice(b"data");
    file.extend_from_slice(&bytes.to_le_bytes());
    for sample in &samples[..len] {
        let value = (sample.clamp(-1.0, 1.0) * 32767.0).round() as i16;
        file.extend_from_slice(&value.to_le_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{scene::Entity, testing};
    use hearth_abi::{
        LumpId,
        scene::{Component, Op},
    };
    use std::time::Duration;

    #[test]
    fn a_file_is_as_long_as_it_says() {
        let file = wav(8_000, &[0.0, 1.0, -2.0, f32::NAN, 0.5]);
        assert_eq!(file.len(), 44 + 10);
        assert_eq!(file[4..8], 46u32.to_le_bytes());
        assert_eq!(file[24..28], 8_000u32.to_le_bytes());
        assert_eq!(file[40..44], 10u32.to_le_bytes());
        let values: Vec<i16> =
            file[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        assert_eq!(values, [0, 32767, -32767, 0, 16384]);
    }

    #[test]
    fn sounds_know_when_they_started() {
        let script = async {
            let plain = Sound::new(LumpId([7; 32]));
            time::sleep(Duration::from_secs(2)).await;
            let entity = Entity::new().sound(plain.looped()).spawn().unwrap();
            Entity::new().sound(Sound { started_ns: 5, ..plain }).spawn().unwrap();
            time::sleep(Duration::from_secs(1)).await;
            play(entity, Sound { started_ns: 5, ..plain }).unwrap();
            stop(entity).unwrap();
        };
        testing::run_for(script, Duration::from_secs(5));
        let ops = testing::batches().concat();
        let started: Vec<u64> = ops
            .iter()
            .filter_map(|op| match op {
                Op::Set(_, Component::Sound(sound)) => Some(sound.started_ns),
                _ => None,
            })
            .collect();
        assert_eq!(started, [2_000_000_000, 5, 3_000_000_000]);
        assert!(matches!(ops.last(), Some(Op::Unset(_, ComponentKind::Sound))));
    }
}
