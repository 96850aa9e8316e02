// SPDX-License-Identifier: AGPL-3.0-or-later
//! Animations of glTF (section 3.11 of the specification), and what they are at a time (appendix C).

use super::{
    accessor::{Floats, Numbers},
    json,
};
use bevy::prelude::*;
use hearth_abi::scene;

/// Most channels of all animations of a file together: each is looked at for every picture in which it plays.
const CHANNELS_MAX: usize = 65_536;

/// An animation.
#[derive(Debug)]
pub(crate) struct Clip {
    pub(crate) name: String,
    /// Seconds to its last key.
    pub(crate) duration: f32,
    channels: Vec<Channel>,
}

/// What changes of one node.
#[derive(Debug)]
struct Channel {
    node: usize,
    path: Path,
    interpolation: Interpolation,
    /// Seconds, growing.
    times: Vec<f32>,
    /// For each time `width` numbers, or three times as many for cubic splines.
    values: Vec<f32>,
    width: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Path {
    Translation,
    Rotation,
    Scale,
    Weights,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Interpolation {
    Linear,
    Step,
    CubicSpline,
}

/// How the nodes of a model are, and the weights of their morph targets.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Pose {
    pub(crate) transforms: Vec<Transform>,
    pub(crate) weights: Vec<Vec<f32>>,
}

impl Clip {
    /// Changes a pose to what this clip is at `time` seconds. What it does not move stays as it is.
    pub(crate) fn apply(&self, time: f32, pose: &mut Pose) {
        self.apply_where(time, pose, Some);
    }

    /// The same for a pose of another model; `of` says which of its nodes stands for one of the clip's file. What it has
    /// not is passed over.
    pub(crate) fn apply_where(&self, time: f32, pose: &mut Pose, of: impl Fn(usize) -> Option<usize>) {
        let mut numbers = Vec::new();
        for channel in &self.channels {
            let Some(node) = of(channel.node) else { continue };
            channel.sample(time, &mut numbers);
            let vector = || Vec3::new(numbers[0], numbers[1], numbers[2]);
            match channel.path {
                Path::Translation => pose.transforms[node].translation = vector(),
                Path::Scale => pose.transforms[node].scale = vector(),
                Path::Rotation => {
                    pose.transforms[node].rotation =
                        Quat::from_xyzw(numbers[0], numbers[1], numbers[2], numbers[3]);
                }
                Path::Weights => {
                    let weights = &mut pose.weights[node];
                    if weights.len() == numbers.len() {
                        weights.copy_from_slice(&numbers);
                    }
                }
            }
        }
    }

    /// The nodes of its file that it moves, some more than once.
    pub(crate) fn moves(&self) -> impl Iterator<Item = usize> {
        self.channels.iter().map(|channel| channel.node)
    }

    /// Of clips the one that is meant.
    pub(crate) fn find<'a>(clips: &'a [Clip], wanted: &scene::Clip) -> Option<&'a Clip> {
        match wanted {
            scene::Clip::Number(number) => clips.get(*number as usize),
            scene::Clip::Name(name) => clips.iter().find(|clip| clip.name == *name),
        }
    }

    /// That a clip is not there, for people; `whole` is what has the clips.
    pub(crate) fn lacks(clips: &[Clip], wanted: &scene::Clip, whole: &str) -> Option<String> {
        if Clip::find(clips, wanted).is_some() {
            return None;
        }
        let names: Vec<_> = clips.iter().map(|clip| format!("`{}`", clip.name)).take(8).collect();
        let wanted = match wanted {
            scene::Clip::Number(number) => format!("{whole} has no clip {number}"),
            scene::Clip::Name(name) => format!("{whole} has no clip `{name}`"),
        };
        Some(format!("{wanted}; it has {}: {}", clips.len(), names.join(", ")))
    }
}

impl Pose {
    /// Goes a part of the way to another pose of the same model.
    pub(crate) fn blend(&mut self, to: &Pose, part: f32) {
        for (a, b) in self.transforms.iter_mut().zip(&to.transforms) {
            a.translation = a.translation.lerp(b.translation, part);
            a.rotation = a.rotation.slerp(b.rotation, part);
            a.scale = a.scale.lerp(b.scale, part);
        }
        for (a, b) in self.weights.iter_mut().flatten().zip(to.weights.iter().flatten()) {
            *a += (b - *a) * part;
        }
    }
}

impl Channel {
    /// The numbers at a time.
    fn sample(&self, time: f32, out: &mut Vec<f32>) {
        out.clear();
        let after = self.times.partition_point(|key| *key <= time);
        let (before, after) = (after.saturating_sub(1), after.min(self.times.len() - 1));
        let cubic = self.interpolation == Interpolation::CubicSpline;
        let (stride, middle) = if cubic { (self.width * 3, self.width) } else { (self.width, 0) };
        let values = |key: usize, offset: usize| &self.values[key * stride + offset..][..self.width];
        // Before the first key, after the last one, and on one.
        if before == after || time <= self.times[before] || self.interpolation == Interpolation::Step {
            out.extend_from_slice(values(before, middle));
            return self.make_unit(out);
        }
        let step = self.times[after] - self.times[before];
        let t = (time - self.times[before]) / step;
        if cubic {
            let (t2, t3) = (t * t, t * t * t);
            let (from, leaving) = (values(before, self.width), values(before, self.width * 2));
            let (arriving, to) = (values(after, 0), values(after, self.width));
            out.extend((0..self.width).map(|i| {
                (2.0 * t3 - 3.0 * t2 + 1.0) * from[i]
                    + step * (t3 - 2.0 * t2 + t) * leaving[i]
                    + (3.0 * t2 - 2.0 * t3) * to[i]
                    + step * (t3 - t2) * arriving[i]
            }));
            return self.make_unit(out);
        }
        let (from, to) = (values(before, 0), values(after, 0));
        match (self.path, from, to) {
            (Path::Rotation, &[ax, ay, az, aw], &[bx, by, bz, bw]) => {
                let unit = |x, y, z, w| {
                    let rotation = Quat::from_xyzw(x, y, z, w);
                    if rotation.length_squared() > 1e-6 { rotation.normalize() } else { Quat::IDENTITY }
                };
                out.extend(unit(ax, ay, az, aw).slerp(unit(bx, by, bz, bw), t).to_array());
            }
            _ => out.extend(from.iter().zip(to).map(|(a, b)| a + (b - a) * t)),
        }
    }

    /// Rotations are of length one, whatever the file and the spline give.
    fn make_unit(&self, numbers: &mut [f32]) {
        if self.path != Path::Rotation {
            return;
        }
        let length = numbers.iter().map(|v| v * v).sum::<f32>().sqrt();
        if length > 1e-3 {
            numbers.iter_mut().for_each(|v| *v /= length);
        } else {
            numbers.copy_from_slice(&[0.0, 0.0, 0.0, 1.0]);
        }
    }
}

/// The animations of a file; `targets` is the number of morph targets of each node.
pub(super) fn read(numbers: &Numbers<'_>, targets: &[usize]) -> Result<Vec<Clip>, String> {
    let channels: usize = numbers.root.animations.iter().map(|animation| animation.channels.len()).sum();
    if channels > CHANNELS_MAX {
        return Err(format!("its animations have more than {CHANNELS_MAX} channels"));
    }
    let animations = numbers.root.animations.iter().enumerate();
    animations
        .map(|(i, animation)| {
            let error = |reason| format!("animation {i}: {reason}");
            let channels = animation.channels.iter().filter_map(|channel| {
                read_channel(numbers, animation, channel, targets).map_err(error).transpose()
            });
            let channels = channels.collect::<Result<Vec<_>, _>>()?;
            let ends = channels.iter().filter_map(|channel| channel.times.last());
            let duration = ends.copied().fold(0.0, f32::max);
            Ok(Clip { name: animation.name.clone().unwrap_or_default(), duration, channels })
        })
        .collect()
}

/// A channel; `None` if it is for an extension.
fn read_channel(
    numbers: &Numbers<'_>,
    animation: &json::Animation,
    channel: &json::Channel,
    targets: &[usize],
) -> Result<Option<Channel>, String> {
    let Some(node) = channel.target.node else { return Ok(None) };
    let (path, width) = match channel.target.path.as_str() {
        "translation" => (Path::Translation, 3),
        "rotation" => (Path::Rotation, 4),
        "scale" => (Path::Scale, 3),
        "weights" => (Path::Weights, *targets.get(node).ok_or_else(|| format!("there is no node {node}"))?),
        "pointer" => return Ok(None),
        other => return Err(format!("it changes the unknown path `{other}`")),
    };
    if node >= targets.len() {
        return Err(format!("there is no node {node}"));
    }
    if width == 0 {
        return Err(format!("node {node} has no morph targets"));
    }
    let sampler = animation.samplers.get(channel.sampler);
    let sampler = sampler.ok_or_else(|| format!("there is no sampler {}", channel.sampler))?;
    let interpolation = match sampler.interpolation.as_deref() {
        None | Some("LINEAR") => Interpolation::Linear,
        Some("STEP") => Interpolation::Step,
        Some("CUBICSPLINE") => Interpolation::CubicSpline,
        Some(other) => return Err(format!("it has the unknown interpolation `{other}`")),
    };
    let times = numbers.floats::<1>(sampler.input, Floats::Only)?.into_iter().flatten().collect::<Vec<f32>>();
    if times[0] < 0.0 || times.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err("its times do not grow from 0".into());
    }
    let values: Vec<f32> = match path {
        Path::Translation | Path::Scale => {
            numbers.floats::<3>(sampler.output, Floats::Only)?.into_iter().flatten().collect()
        }
        Path::Rotation => {
            numbers.floats::<4>(sampler.output, Floats::OrNormalized)?.into_iter().flatten().collect()
        }
        Path::Weights => {
            numbers.floats::<1>(sampler.output, Floats::OrNormalized)?.into_iter().flatten().collect()
        }
    };
    let each = if interpolation == Interpolation::CubicSpline { 3 } else { 1 };
    if values.len() != times.len() * width * each {
        return Err("it has not as many values as times".into());
    }
    Ok(Some(Channel { node, path, interpolation, times, values, width }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(path: Path, interpolation: Interpolation, times: &[f32], values: &[f32]) -> Channel {
        let each = if interpolation == Interpolation::CubicSpline { 3 } else { 1 };
        let width = values.len() / times.len() / each;
        Channel { node: 0, path, interpolation, times: times.to_vec(), values: values.to_vec(), width }
    }

    fn at(channel: &Channel, time: f32) -> Vec<f32> {
        let mut out = Vec::new();
        channel.sample(time, &mut out);
        out
    }

    #[test]
    fn values_between_keys_are_those_of_the_specification() {
        let times = [1.0, 2.0, 4.0];
        let line = channel(Path::Weights, Interpolation::Linear, &times, &[0.0, 1.0, 3.0]);
        for (time, expect) in [(0.0, 0.0), (1.0, 0.0), (1.25, 0.25), (2.0, 1.0), (3.0, 2.0), (9.0, 3.0)] {
            assert_eq!(at(&line, time), [expect], "{time}");
        }
        let step = channel(Path::Weights, Interpolation::Step, &times, &[0.0, 1.0, 3.0]);
        for (time, expect) in [(0.0, 0.0), (1.9, 0.0), (2.0, 1.0), (3.9, 1.0), (4.0, 3.0), (9.0, 3.0)] {
            assert_eq!(at(&step, time), [expect], "{time}");
        }
        let one = channel(Path::Scale, Interpolation::Linear, &[2.0], &[1.0, 2.0, 3.0]);
        assert_eq!((at(&one, 0.0), at(&one, 5.0)), (vec![1.0, 2.0, 3.0], vec![1.0, 2.0, 3.0]));
        // With tangents of a straight line a spline is that line; with none it eases.
        let straight =
            channel(Path::Weights, Interpolation::CubicSpline, &[0.0, 2.0], &[0.5, 0.0, 0.5, 0.5, 1.0, 0.5]);
        assert!((at(&straight, 0.5)[0] - 0.25).abs() < 1e-6);
        let eased =
            channel(Path::Weights, Interpolation::CubicSpline, &[0.0, 2.0], &[0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert!((at(&eased, 0.5)[0] - 0.15625).abs() < 1e-6);
    }

    #[test]
    fn rotations_go_the_short_way_and_stay_rotations() {
        let quarter = std::f32::consts::FRAC_1_SQRT_2;
        let turn = channel(
            Path::Rotation,
            Interpolation::Linear,
            &[0.0, 1.0],
            &[0.0, 0.0, 0.0, 1.0, 0.0, -quarter, 0.0, -quarter],
        );
        let half = Quat::from_slice(&at(&turn, 0.5));
        assert!(half.angle_between(Quat::from_rotation_y(std::f32::consts::FRAC_PI_4)) < 1e-2, "{half}");
        let none = channel(Path::Rotation, Interpolation::Step, &[0.0], &[0.0; 4]);
        assert_eq!(at(&none, 0.0), [0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn poses_blend() {
        let rest = Pose { transforms: vec![Transform::IDENTITY], weights: vec![vec![0.0, 1.0]] };
        let clip = Clip {
            name: "up".into(),
            duration: 1.0,
            channels: vec![
                channel(
                    Path::Translation,
                    Interpolation::Linear,
                    &[0.0, 1.0],
                    &[0.0, 0.0, 0.0, 0.0, 4.0, 0.0],
                ),
                channel(Path::Weights, Interpolation::Step, &[0.0], &[1.0, 0.0]),
            ],
        };
        let mut pose = rest.clone();
        clip.apply(0.5, &mut pose);
        assert_eq!(pose.transforms[0].translation.y, 2.0);
        let mut mixed = rest;
        mixed.blend(&pose, 0.25);
        assert_eq!((mixed.transforms[0].translation.y, &mixed.weights[0]), (0.5, &vec![0.25, 0.75]));
    }
}
