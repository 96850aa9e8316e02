// SPDX-License-Identifier: AGPL-3.0-or-later
//! One clip while it is heard: read at any speed, with gains that never jump.

use crate::{
    clip::Clip,
    limiter::{Block, FRAMES},
    mixer::SourceId,
};
use std::sync::Arc;

/// Seconds in which a voice fades in. Short, so that a knock stays a knock.
const FADE_IN_S: f32 = 0.004;
/// Seconds in which a voice that is stopped fades out.
const FADE_OUT_S: f32 = 0.01;
/// Seconds at the end of a clip over which it fades, for clips that end in the middle of something.
const TAIL_S: f32 = 0.003;
/// Time constant, in seconds, of each of the two stages that gains and speed go through. Places come some sixty
/// times a second; after this they are a curve.
const SMOOTH_S: f32 = 0.012;

/// Parts of a frame. A clip has less than 2²⁷ frames.
const ONE: f64 = (1u64 << 32) as f64;

/// A value that follows another on a curve without corners, by a step for each block.
#[derive(Clone, Copy, Debug)]
struct Smooth {
    first: f32,
    second: f32,
}

impl Smooth {
    fn at(value: f32) -> Smooth {
        Smooth { first: value, second: value }
    }

    /// Goes on towards `target`, and gives where it was and where it is.
    fn step(&mut self, target: f32, part: f32) -> (f32, f32) {
        let before = self.second;
        self.first += (target - self.first) * part;
        self.second += (self.first - self.second) * part;
        (before, self.second)
    }
}

/// What all voices of a mixer have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Frames a second of the mix.
    pub(crate) rate: u32,
    smooth: f32,
    fade_in: f32,
    fade_out: f32,
}

impl Pace {
    pub(crate) fn new(rate: u32) -> Pace {
        let block_s = FRAMES as f32 / rate as f32;
        Pace {
            rate,
            smooth: 1.0 - (-block_s / SMOOTH_S).exp(),
            fade_in: block_s / FADE_IN_S,
            fade_out: block_s / FADE_OUT_S,
        }
    }

    /// Frames of the clip for each frame of the mix.
    pub(crate) fn speed(&self, clip: &Clip, pitch: f32) -> f32 {
        (f64::from(clip.rate()) / f64::from(self.rate) * f64::from(pitch)) as f32
    }
}

/// What a voice is to sound like by the end of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aim {
    /// Gains of the left and the right ear.
    pub(crate) gains: [f32; 2],
    pub(crate) speed: f32,
    pub(crate) looping: bool,
}

pub(crate) struct Voice {
    /// Whose it is; `None` when it is fading out.
    pub(crate) owner: Option<SourceId>,
    pub(crate) clip: Arc<Clip>,
    /// Whether the channels of the clip are those of the ears; else both go to both.
    pub(crate) as_recorded: bool,
    /// The next frame of the clip, in parts of a frame: [`ONE`] of them.
    position: u64,
    aim: Aim,
    gains: [Smooth; 2],
    speed: Smooth,
    /// How far it has faded in, 0 to 1.
    fade: f32,
}

impl Voice {
    pub(crate) fn new(owner: SourceId, clip: Arc<Clip>, as_recorded: bool, position: f64, aim: Aim) -> Voice {
        Voice {
            owner: Some(owner),
            clip,
            as_recorded,
            position: (position * ONE) as u64,
            aim,
            gains: aim.gains.map(Smooth::at),
            speed: Smooth::at(aim.speed),
            fade: 0.0,
        }
    }

    pub(crate) fn aim(&mut self, aim: Aim) {
        self.aim = aim;
    }

    /// The next frame of the clip.
    pub(crate) fn position(&self) -> f64 {
        self.position as f64 / ONE
    }

    /// Whether nothing more will be heard of it.
    pub(crate) fn is_over(&self) -> bool {
        self.owner.is_none() && self.fade <= 0.0
            || !self.aim.looping && self.position() >= self.clip.frames() as f64
    }

    /// Adds its next block.
    pub(crate) fn mix(&mut self, pace: &Pace, out: &mut Block) {
        let looping = self.aim.looping;
        let fade_step = if self.owner.is_some() { pace.fade_in } else { -pace.fade_out };
        let faded = (self.fade + fade_step).clamp(0.0, 1.0);
        let fade_from = std::mem::replace(&mut self.fade, faded);
        let fades = fade_from < 1.0 || faded < 1.0;
        let [left_to, right_to] = self.aim.gains;
        let [left, right] = &mut self.gains;
        let gains = [left.step(left_to, pace.smooth), right.step(right_to, pace.smooth)];
        let (speed, speed_to) = self.speed.step(self.aim.speed, pace.smooth);
        let (speed, speed_to) = (f64::from(speed), f64::from(speed_to));
        let (step, slope) = ((speed * ONE) as i64, ((speed_to - speed) * ONE) as i64 / FRAMES as i64);

        let frames = self.clip.frames();
        let (position, covered) = (self.position(), FRAMES as f64 * speed.max(speed_to));
        let tail = f64::from(TAIL_S) * f64::from(pace.rate) * speed;
        let near_end = !looping && position + covered >= frames as f64 - tail;
        let within = position >= 1.0 && position + covered + 3.0 < frames as f64;
        for (i, frame) in out.iter_mut().enumerate() {
            let along = i as f32 / FRAMES as f32;
            let mut sides = if within { self.read_within() } else { self.read(looping) };
            if fades {
                let fade = eased(fade_from + (faded - fade_from) * along);
                sides = sides.map(|side| side * fade);
            }
            if near_end {
                let fade = eased(((frames as f64 - self.position()) / tail) as f32);
                sides = sides.map(|side| side * fade);
            }
            let [left, right] = sides;
            let both = 0.5 * (left + right);
            let [left, right] = if self.as_recorded { [left, right] } else { [both; 2] };
            frame[0] += left * (gains[0].0 + (gains[0].1 - gains[0].0) * along);
            frame[1] += right * (gains[1].0 + (gains[1].1 - gains[1].0) * along);
            self.position = self.position.wrapping_add_signed(step + slope * i as i64);
        }
        if looping {
            self.position %= (frames as u64) << 32;
        }
    }

    /// The index of the frame at the position, and how far it is to the next one.
    fn place(&self) -> (usize, f32) {
        ((self.position >> 32) as usize, (self.position as u32) as f32 / ONE as f32)
    }

    /// The clip at the position, of which no end is near: a curve through the four frames about it (Catmull
    /// and Rom's).
    fn read_within(&self) -> [f32; 2] {
        let (index, t) = self.place();
        let samples = self.clip.samples();
        if self.clip.channels() == 1 {
            let about = &samples[index - 1..index + 3];
            return [curve([about[0], about[1], about[2], about[3]], t); 2];
        }
        let about = &samples[2 * index - 2..2 * index + 6];
        [
            curve([about[0], about[2], about[4], about[6]], t),
            curve([about[1], about[3], about[5], about[7]], t),
        ]
    }

    /// The same where an end is near.
    fn read(&self, looping: bool) -> [f32; 2] {
        let (index, t) = self.place();
        let first = index as i64 - 1;
        let about: [[f32; 2]; 4] = std::array::from_fn(|i| self.clip.frame(first + i as i64, looping));
        [curve(about.map(|frame| frame[0]), t), curve(about.map(|frame| frame[1]), t)]
    }
}

/// A curve through `b` at 0 and `c` at 1 that goes on smoothly on both sides.
fn curve([a, b, c, d]: [f32; 4], t: f32) -> f32 {
    let one = 0.5 * (c - a);
    let two = a - 2.5 * b + 2.0 * c - 0.5 * d;
    let three = 0.5 * (d - a) + 1.5 * (b - c);
    ((three * t + two) * t + one) * t + b
}

/// From 0 to 1 without corners.
fn eased(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn frames_between_frames_are_on_the_curve() {
        let tone = |x: f64| (x * 0.3).sin() as f32;
        let clip = Clip::new((0..200).map(|i| tone(f64::from(i))).collect(), 1, 48_000).unwrap();
        let aim = Aim { gains: [1.0; 2], speed: 1.0, looping: false };
        let mut voice = Voice::new(SourceId(1), Arc::new(clip), false, 0.0, aim);
        for step in 10..1000 {
            let position = f64::from(step) * 0.19;
            voice.position = (position * ONE) as u64;
            let [read, _] = voice.read(false);
            assert!((read - tone(position)).abs() < 2e-3, "at {position}: {read}");
            assert_eq!(voice.read_within(), [read; 2]);
        }
    }

    #[test]
    fn a_smoothed_step_has_no_corner() {
        let pace = Pace::new(48_000);
        let mut smooth = Smooth::at(0.0);
        let values: Vec<f32> = (0..100).map(|_| smooth.step(1.0, pace.smooth).1).collect();
        assert!(values[99] > 0.999 && values.windows(2).all(|pair| pair[0] <= pair[1]));
        let bend = values.windows(3).map(|v| (v[0] - 2.0 * v[1] + v[2]).abs()).fold(0.0, f32::max);
        assert!(values[0] < 0.02 && bend < 0.012, "{} {bend}", values[0]);
    }
}
