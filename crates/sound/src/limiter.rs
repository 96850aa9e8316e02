// SPDX-License-Identifier: AGPL-3.0-or-later
//! Keeps a mix of many loud sources within what a device can play, by turning all of it down for as long as it
//! must. What is not too loud passes unchanged, one block later.
//!
//! For each block the gain is found that keeps its peak at [`CEILING`]. At the seam of two blocks the gain is
//! the lower of theirs, and within a block it goes straight from one seam to the next, so that it is never above
//! what the block can bear. It rises again slowly.

/// The highest sample of a mix, either way: 0.3 dB below full scale.
pub const CEILING: f32 = 0.966;
/// Seconds in which a gain that was turned down comes back by a factor of e.
const RELEASE_S: f32 = 0.12;

pub(crate) const FRAMES: usize = 64;
pub(crate) type Block = [[f32; 2]; FRAMES];

pub(crate) struct Limiter {
    /// The block that waits, and the gain that it can bear.
    waiting: Block,
    bearable: f32,
    /// The gain at the seam before it.
    gain: f32,
    release: f32,
}

impl Limiter {
    pub(crate) fn new(rate: u32) -> Limiter {
        let blocks_a_second = rate as f32 / FRAMES as f32;
        let release = 1.0 - (-1.0 / (RELEASE_S * blocks_a_second)).exp();
        Limiter { waiting: [[0.0; 2]; FRAMES], bearable: 1.0, gain: 1.0, release }
    }

    /// Takes a block, and gives the one before it.
    pub(crate) fn pass(&mut self, next: &Block) -> Block {
        let peak = next.iter().flatten().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        let bearable = if peak > CEILING { CEILING / peak } else { 1.0 };
        let risen = self.gain + (1.0 - self.gain) * self.release;
        let seam = risen.min(self.bearable).min(bearable);
        let mut out = std::mem::replace(&mut self.waiting, *next);
        if self.gain < 1.0 || seam < 1.0 {
            let slope = (seam - self.gain) / FRAMES as f32;
            for (i, frame) in out.iter_mut().enumerate() {
                let gain = self.gain + slope * i as f32;
                *frame = frame.map(|sample| (sample * gain).clamp(-CEILING, CEILING));
            }
        }
        self.gain = seam;
        self.bearable = bearable;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out for these samples, in both channels alike.
    fn limited(samples: impl Iterator<Item = f32>) -> Vec<f32> {
        let mut limiter = Limiter::new(48_000);
        let samples: Vec<f32> = samples.collect();
        let blocks = samples.chunks_exact(FRAMES);
        let all = blocks.flat_map(|part| limiter.pass(&std::array::from_fn(|i| [part[i], -part[i]])));
        all.map(|[left, right]| {
            assert_eq!(left, -right);
            left
        })
        .skip(FRAMES)
        .collect()
    }

    fn tone(level: f32) -> impl Iterator<Item = f32> {
        (0..FRAMES * 200).map(move |i| level * (i as f32 * 0.05).sin())
    }

    #[test]
    fn what_is_not_too_loud_passes_unchanged() {
        assert_eq!(limited(tone(0.95)), tone(0.95).take(FRAMES * 199).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_too_loud_is_turned_down_and_not_cut() {
        let out = limited(tone(40.0));
        let peak = out.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        assert!(peak <= CEILING && peak > 0.9 * CEILING, "{peak}");
        // A sine that was cut has flat tops; of a sine few samples are near its peak.
        let flat = out.windows(2).filter(|pair| pair[0] == pair[1] && pair[0].abs() > 0.5).count();
        assert!(flat * 500 < out.len(), "{flat} of {}", out.len());
    }

    #[test]
    fn a_loud_moment_is_ducked_and_forgotten() {
        let loud = FRAMES * 20..FRAMES * 21;
        let samples = tone(0.5).enumerate().map(|(i, v)| if loud.contains(&i) { v * 10.0 } else { v });
        let out = limited(samples);
        assert!(out.iter().all(|sample| sample.abs() <= CEILING));
        let rest: Vec<f32> = tone(0.5).take(out.len()).collect();
        assert_eq!(out[..FRAMES * 18], rest[..FRAMES * 18]);
        let late = FRAMES * 190;
        assert!(out[late..].iter().zip(&rest[late..]).all(|(a, b)| (a - b).abs() < 0.1));
    }
}
