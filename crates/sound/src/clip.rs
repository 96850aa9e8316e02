// SPDX-License-Identifier: AGPL-3.0-or-later
//! A sound as samples.

use std::{fmt, time::Duration};

/// Longest clip in seconds. Clips are kept whole in memory; what is longer is a broadcast, not a sound
/// of a place.
pub const SECONDS_MAX: u32 = 600;
/// Most bytes that the samples of one clip take: ten minutes of stereo at 48 kHz, with a little room.
pub const BYTES_MAX: usize = 256 << 20;
/// Lowest sample rate in hertz: that of a telephone.
pub const RATE_MIN: u32 = 8_000;
/// Highest sample rate in hertz: that of a studio.
pub const RATE_MAX: u32 = 192_000;

/// Samples of one or two channels.
#[derive(Clone, PartialEq)]
pub struct Clip {
    /// Interleaved, finite, within ±1.
    samples: Vec<f32>,
    channels: usize,
    rate: u32,
}

/// Why samples are no clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClipError {
    /// There is nothing to hear.
    #[error("it has no samples")]
    Empty,
    /// Neither one nor two channels.
    #[error("it has {0} channels; 1 or 2 can be played")]
    Channels(usize),
    /// A rate outside of [`RATE_MIN`] to [`RATE_MAX`].
    #[error("its sample rate is {0} Hz; {RATE_MIN} to {RATE_MAX} can be played")]
    Rate(u32),
    /// Longer than [`SECONDS_MAX`].
    #[error("it is longer than {SECONDS_MAX} seconds")]
    Seconds,
    /// More than [`BYTES_MAX`].
    #[error("its samples take more than {} MiB", BYTES_MAX >> 20)]
    Bytes,
    /// The samples do not fill a whole number of frames.
    #[error("its last frame is not whole")]
    Frame,
}

/// Whether a clip of this form is within the bounds.
pub(crate) fn check(frames: u64, channels: usize, rate: u32) -> Result<(), ClipError> {
    if !(1..=2).contains(&channels) {
        return Err(ClipError::Channels(channels));
    }
    if !(RATE_MIN..=RATE_MAX).contains(&rate) {
        return Err(ClipError::Rate(rate));
    }
    if frames > u64::from(rate) * u64::from(SECONDS_MAX) {
        return Err(ClipError::Seconds);
    }
    if frames * (channels * size_of::<f32>()) as u64 > BYTES_MAX as u64 {
        return Err(ClipError::Bytes);
    }
    Ok(())
}

impl Clip {
    /// A clip of these samples, interleaved if there are two channels (left first). What is not finite
    /// becomes silence, and what is beyond ±1 is cut there.
    ///
    /// # Errors
    /// Channels, rate or length are out of bounds.
    pub fn new(mut samples: Vec<f32>, channels: usize, rate: u32) -> Result<Clip, ClipError> {
        check((samples.len() / channels.max(1)) as u64, channels, rate)?;
        if samples.is_empty() {
            return Err(ClipError::Empty);
        }
        if !samples.len().is_multiple_of(channels) {
            return Err(ClipError::Frame);
        }
        for sample in &mut samples {
            *sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
        }
        samples.shrink_to_fit();
        Ok(Clip { samples, channels, rate })
    }

    /// Interleaved samples.
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// 1 or 2.
    pub const fn channels(&self) -> usize {
        self.channels
    }

    /// Frames a second.
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// Samples of each channel, at least 1.
    pub fn frames(&self) -> usize {
        self.samples.len() / self.channels
    }

    /// How long it is at its own pace.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.frames() as f64 / f64::from(self.rate))
    }

    /// Bytes of memory that the samples take.
    pub fn bytes(&self) -> usize {
        self.samples.len() * size_of::<f32>()
    }

    /// The frame at an index, as left and right; around the ends by `wraps`, silence beyond them else.
    pub(crate) fn frame(&self, index: i64, wraps: bool) -> [f32; 2] {
        let frames = self.frames() as i64;
        let index = if wraps { index.rem_euclid(frames) } else { index };
        if !(0..frames).contains(&index) {
            return [0.0; 2];
        }
        let at = index as usize * self.channels;
        [self.samples[at], self.samples[at + self.channels - 1]]
    }
}

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clip({} frames × {} at {} Hz)", self.frames(), self.channels, self.rate)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_refused_by_its_form() {
        let hour = 3600 * 44_100;
        for (frames, channels, rate, expected) in [
            (1, 1, 8_000, Ok(())),
            (600 * 48_000, 2, 48_000, Ok(())),
            (1, 0, 48_000, Err(ClipError::Channels(0))),
            (1, 6, 48_000, Err(ClipError::Channels(6))),
            (1, 1, 0, Err(ClipError::Rate(0))),
            (1, 1, 7_999, Err(ClipError::Rate(7_999))),
            (1, 1, u32::MAX, Err(ClipError::Rate(u32::MAX))),
            (hour, 1, 44_100, Err(ClipError::Seconds)),
            (u64::MAX, 2, 44_100, Err(ClipError::Seconds)),
            (600 * 96_000, 2, 96_000, Err(ClipError::Bytes)),
        ] {
            assert_eq!(check(frames, channels, rate), expected, "{frames} × {channels} at {rate}");
        }
    }

    #[test]
    fn samples_are_finite_and_frames_whole() {
        let clip = Clip::new(vec![f32::NAN, 2.0, f32::NEG_INFINITY, -0.5], 2, 8_000).unwrap();
        assert_eq!(clip.samples(), [0.0, 1.0, 0.0, -0.5]);
        assert_eq!((clip.frames(), clip.bytes(), clip.duration()), (2, 16, Duration::from_micros(250)));
        assert_eq!(Clip::new(vec![0.0; 3], 2, 8_000), Err(ClipError::Frame));
        assert_eq!(Clip::new(vec![], 2, 8_000), Err(ClipError::Empty));
        assert_eq!(Clip::new(vec![0.0], 0, 8_000), Err(ClipError::Channels(0)));
    }

    #[test]
    fn frames_beyond_the_ends_are_silence_or_the_other_end() {
        let clip = Clip::new(vec![0.1, 0.2, 0.3], 1, 8_000).unwrap();
        assert_eq!(clip.frame(-1, false), [0.0; 2]);
        assert_eq!(clip.frame(3, false), [0.0; 2]);
        assert_eq!(clip.frame(-1, true), [0.3; 2]);
        assert_eq!(clip.frame(4, true), [0.2; 2]);
        let stereo = Clip::new(vec![0.1, 0.2, 0.3, 0.4], 2, 8_000).unwrap();
        assert_eq!(stereo.frame(1, false), [0.3, 0.4]);
    }
}
