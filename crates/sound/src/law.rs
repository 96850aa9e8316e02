// SPDX-License-Identifier: AGPL-3.0-or-later
//! How loud a source is from where the listener is, and in which ear.

use crate::Listener;
use hearth_abi::scene::DistanceModel;

/// The last part of the way to [`Law::max_distance`] over which a source fades out.
const EDGE: f32 = 0.2;
/// How far a source at one side leaves the other ear: 1 would leave it silent, which no ear in air is.
const WIDTH: f32 = 0.85;
/// How much of its gain a source right behind the listener loses. Ears point forward.
const BEHIND: f32 = 0.2;
/// Metres within which a source moves into the middle of the head.
const HEAD: f32 = 0.25;

/// How the gain of a source falls with distance (Web Audio API, `PannerNode`; `KHR_audio_emitter`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law {
    /// Which curve.
    pub model: DistanceModel,
    /// Metres up to which the gain is 1.
    pub ref_distance: f32,
    /// Metres beyond which nothing is heard; 0 for never.
    pub max_distance: f32,
    /// How fast it falls, 0 for not at all.
    pub rolloff_factor: f32,
}

impl Law {
    /// The gain at this distance in metres, 0 to 1.
    ///
    /// Inverse: `ref / (ref + rolloff · (max(d, ref) − ref))`, and over the last fifth of the way to
    /// `max_distance`, if there is one, down to nothing. Linear:
    /// `1 − rolloff · (clamp(d, ref, max) − ref) / (max − ref)`, and nothing beyond.
    pub fn gain(&self, distance: f32) -> f32 {
        let reference = self.ref_distance.max(1e-3);
        let (max, rolloff) = (self.max_distance, self.rolloff_factor.max(0.0));
        let beyond = (distance - reference).max(0.0);
        let gain = match self.model {
            DistanceModel::Linear if max > reference => {
                1.0 - rolloff.min(1.0) * (beyond / (max - reference)).min(1.0)
            }
            _ => reference / (reference + rolloff * beyond),
        };
        let edge = match self.model {
            _ if max <= 0.0 => 1.0,
            DistanceModel::Linear => f32::from(distance <= max),
            _ => ((max - distance) / (max * EDGE)).clamp(0.0, 1.0),
        };
        gain * edge
    }
}

/// Where a source is for this listener: metres to the right, up, and behind.
pub(crate) fn relative(listener: &Listener, place: [f32; 3]) -> [f32; 3] {
    let to = std::array::from_fn(|axis| place[axis] - listener.position[axis]);
    let [x, y, z, w] = listener.rotation;
    // By the inverse of the rotation: v + 2 q × (q × v + w v), with q reversed.
    let q = [-x, -y, -z];
    let inner = add(cross(q, to), scaled(to, w));
    add(to, scaled(cross(q, inner), 2.0))
}

/// Gains for the left and the right ear of a source that is there, without that of its distance. A source
/// straight ahead gives each ear half of the power.
pub(crate) fn ears([right, up, behind]: [f32; 3]) -> [f32; 2] {
    let distance = right.hypot(up).hypot(behind);
    let near = (distance / HEAD).min(1.0);
    let unit = |v: f32| if distance > 0.0 { v / distance * near } else { 0.0 };
    let angle = (1.0 + WIDTH * unit(right)) * std::f32::consts::FRAC_PI_4;
    let behind = unit(behind).max(0.0);
    let power = 1.0 - BEHIND * behind * behind;
    [angle.cos() * power, angle.sin() * power]
}

/// Metres between the listener and a place.
pub(crate) fn length([x, y, z]: [f32; 3]) -> f32 {
    x.hypot(y).hypot(z)
}

fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn add(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    std::array::from_fn(|axis| a[axis] + b[axis])
}

fn scaled(a: [f32; 3], factor: f32) -> [f32; 3] {
    a.map(|v| v * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn law(model: DistanceModel, max_distance: f32, rolloff_factor: f32) -> Law {
        Law { model, ref_distance: 2.0, max_distance, rolloff_factor }
    }

    #[test]
    fn gains_are_those_of_the_stated_law() {
        let inverse = law(DistanceModel::Inverse, 0.0, 1.0);
        let steep = law(DistanceModel::Inverse, 0.0, 2.0);
        let bounded = law(DistanceModel::Inverse, 50.0, 1.0);
        let linear = law(DistanceModel::Linear, 12.0, 1.0);
        let partly = law(DistanceModel::Linear, 12.0, 0.5);
        let flat = law(DistanceModel::Inverse, 0.0, 0.0);
        for (law, distance, expected) in [
            (inverse, 0.0, 1.0),
            (inverse, 2.0, 1.0),
            (inverse, 4.0, 0.5),
            (inverse, 20.0, 0.1),
            (steep, 4.0, 2.0 / 6.0),
            (bounded, 20.0, 0.1),
            (bounded, 40.0, 0.05),
            (bounded, 45.0, 2.0 / 45.0 * 0.5),
            (bounded, 50.0, 0.0),
            (bounded, 1e30, 0.0),
            (linear, 2.0, 1.0),
            (linear, 7.0, 0.5),
            (linear, 12.0, 0.0),
            (linear, 13.0, 0.0),
            (partly, 12.0, 0.5),
            (partly, 12.1, 0.0),
            (flat, 1000.0, 1.0),
        ] {
            let gain = law.gain(distance);
            assert!((gain - expected).abs() < 1e-5, "{law:?} at {distance} m: {gain}, not {expected}");
        }
    }

    #[test]
    fn places_turn_with_the_head() {
        let half = std::f32::consts::FRAC_1_SQRT_2;
        let straight = Listener::default();
        // Turned to the left, by a quarter about +Y: it looks along −X.
        let left = Listener { position: [1.0, 0.0, 0.0], rotation: [0.0, half, 0.0, half] };
        for (listener, place, expected) in [
            (straight, [3.0, 2.0, 1.0], [3.0, 2.0, 1.0]),
            (left, [-4.0, 0.0, 0.0], [0.0, 0.0, -5.0]),
            (left, [1.0, 0.0, -2.0], [2.0, 0.0, 0.0]),
        ] {
            let seen = relative(&listener, place);
            let off = length(add(seen, scaled(expected, -1.0)));
            assert!(off < 1e-5, "{listener:?} {place:?}: {seen:?}, not {expected:?}");
        }
    }

    #[test]
    fn ears_hear_power_from_ahead_and_sides_and_a_little_less_from_behind() {
        let power = |place| ears(place).map(|v| v * v).iter().sum::<f32>();
        for place in [[0.0, 0.0, -3.0], [5.0, 0.0, 0.0], [-1.0, 1.0, -1.0], [0.0, 4.0, 0.0], [0.0; 3]] {
            assert!((power(place) - 1.0).abs() < 1e-5, "{place:?}");
        }
        assert!(power([0.0, 0.0, 3.0]) < 0.75);
        let [left, right] = ears([-4.0, 0.0, 0.0]);
        assert!(left > 8.0 * right && right > 0.05, "{left} {right}");
        // Mirrored places are mirrored in the ears, and in the middle of the head there is no side.
        for place in [[1.0, 0.5, 2.0], [0.1, 0.0, 0.0]] {
            let [left, right] = ears(place);
            let mirrored = ears([-place[0], place[1], place[2]]);
            assert!((left - mirrored[1]).abs() < 1e-6 && (right - mirrored[0]).abs() < 1e-6);
        }
        let [left, right] = ears([1e-6, 0.0, 0.0]);
        assert!((left - right).abs() < 1e-4);
    }
}
