// SPDX-License-Identifier: AGPL-3.0-or-later
//! Smooths what other peers move. Their changes arrive in steps, some twenty a second; between two
//! steps the entity is led from where it is shown to where it should be, over the time that its steps
//! have been taking. So it is shown about one step late, and at an even pace.

use bevy::prelude::*;

/// Steps are led over at least this long, in seconds.
const INTERVAL_LEAST: f64 = 0.03;
/// And at most this long: beyond, the pace of the writer cannot be told from a pause.
const INTERVAL_MOST: f64 = 0.15;
/// What a first step is led over.
const INTERVAL_FIRST: f64 = 0.06;
/// A step farther than this, in units of the parent, is a jump, and is shown as one.
const JUMP: f32 = 4.0;

/// Where an entity is to be, and how it gets there.
#[derive(Component, Clone, Debug)]
pub(crate) struct Motion {
    from: Transform,
    to: Transform,
    start: f64,
    /// Zero when there is nothing to lead over.
    length: f64,
    /// How long steps take, smoothed.
    interval: f64,
    last_step: Option<f64>,
    /// There is no place yet from where to lead.
    fresh: bool,
}

impl Motion {
    /// Made here; its first step is shown as a jump.
    pub(crate) const fn at(place: Transform) -> Motion {
        Motion {
            from: place,
            to: place,
            start: 0.0,
            length: 0.0,
            interval: INTERVAL_FIRST,
            last_step: None,
            fresh: true,
        }
    }

    /// Where it is to be.
    pub(crate) const fn to(&self) -> Transform {
        self.to
    }

    /// The next step will be shown as a jump.
    pub(crate) fn forget(&mut self) {
        *self = Motion { fresh: true, ..Motion::at(self.to) };
    }

    /// Jumps.
    pub(crate) fn snap(&mut self, to: Transform) {
        *self = Motion { fresh: false, ..Motion::at(to) };
    }

    /// Goes towards `to`, from `now` in seconds on.
    pub(crate) fn step(&mut self, to: Transform, now: f64) {
        if self.fresh || self.to.translation.distance(to.translation) > JUMP {
            return self.snap(to);
        }
        if let Some(last) = self.last_step {
            let gap = now - last;
            if gap <= 2.0 * INTERVAL_MOST {
                let gap = gap.clamp(INTERVAL_LEAST, INTERVAL_MOST);
                self.interval += (gap - self.interval) * 0.25;
            }
        }
        self.last_step = Some(now);
        self.from = self.shown(now);
        self.to = to;
        self.start = now;
        // A little longer than a step takes, so that one that is late does not find us standing.
        self.length = self.interval * 1.15;
    }

    /// Where to show it.
    pub(crate) fn shown(&self, now: f64) -> Transform {
        let part = if self.length > 0.0 { ((now - self.start) / self.length) as f32 } else { 1.0 };
        if part >= 1.0 {
            return self.to;
        }
        let part = part.max(0.0);
        Transform {
            translation: self.from.translation.lerp(self.to.translation, part),
            rotation: self.from.rotation.slerp(self.to.rotation, part),
            scale: self.from.scale.lerp(self.to.scale, part),
        }
    }

    fn moves(&self, now: f64) -> bool {
        now < self.start + self.length
    }
}

/// Puts a mark on what is still under way, so that what rests costs nothing.
#[derive(Component)]
pub(crate) struct Moving;

pub(crate) fn lead(
    time: Res<Time>,
    mut commands: Commands,
    mut moving: Query<(Entity, &Motion, &mut Transform), With<Moving>>,
) {
    let now = time.elapsed_secs_f64();
    for (entity, motion, mut place) in &mut moving {
        *place = motion.shown(now);
        if !motion.moves(now) {
            commands.entity(entity).remove::<Moving>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32) -> Transform {
        Transform::from_xyz(x, 0.0, 0.0)
    }

    /// Shows a thing that goes 1 m/s in steps of `gap` seconds at 60 pictures a second, and gives the
    /// greatest change of place between pictures, and how far it lags at the end.
    fn worst(gaps: impl Iterator<Item = f64>) -> (f32, f32) {
        let mut motion = Motion::at(at(0.0));
        let (mut next, mut now, mut gaps) = (0.0, 0.0, gaps);
        let (mut before, mut worst) = (0.0f32, 0.0f32);
        for picture in 0..180 {
            now = f64::from(picture) / 60.0;
            if now >= next {
                motion.step(at(now as f32), now);
                next = now + gaps.next().unwrap_or(0.05);
            }
            let shown = motion.shown(now).translation.x;
            if picture > 60 {
                worst = worst.max((shown - before).abs());
            }
            before = shown;
        }
        (worst, now as f32 - before)
    }

    #[test]
    fn twenty_steps_a_second_look_like_sixty_pictures() {
        let (worst, lag) = worst(std::iter::repeat(0.05));
        // Even motion would be 1/60 = 0.0167 a picture; unsmoothed it would be 0.05, then nothing.
        assert!(worst < 0.021, "{worst}");
        assert!(lag < 0.1, "{lag}");
    }

    #[test]
    fn uneven_steps_do_not_jerk() {
        let (worst, lag) = worst([0.02, 0.09, 0.05, 0.06, 0.03].into_iter().cycle());
        assert!(worst < 0.035, "{worst}");
        assert!(lag < 0.15, "{lag}");
    }

    #[test]
    fn jumps_are_jumps_and_rest_is_exact() {
        let mut motion = Motion::at(at(0.0));
        motion.step(at(1.0), 0.5);
        assert_eq!(motion.shown(0.5), at(1.0), "the first place is no step");
        motion.step(at(100.0), 1.0);
        assert_eq!(motion.shown(1.0), at(100.0));
        motion.step(at(101.0), 2.0);
        assert!(motion.shown(2.0).translation.x < 101.0);
        assert_eq!(motion.shown(3.0), at(101.0));
    }
}
