// SPDX-License-Identifier: AGPL-3.0-or-later
//! How far something is.

use super::{At, Widget};
use crate::{layout::Rect, paint::Paint, theme::Theme};
use std::time::Duration;

/// From one place of what runs to and fro to the next; peers draw the way between.
const BEAT: Duration = Duration::from_millis(100);
/// Seconds to and fro.
const PERIOD: f32 = 2.4;

/// A bar that fills, or, while nobody knows how far something is, runs to and fro.
#[derive(Clone, Debug)]
pub struct Progress {
    part: Option<f32>,
}

/// A bar that is filled to a part, 0 to 1; `None` if nobody knows.
pub fn progress(part: impl Into<Option<f32>>) -> Progress {
    let mut progress = Progress { part: None };
    progress.set(part);
    progress
}

impl Progress {
    /// Fills it to a part.
    pub fn set(&mut self, part: impl Into<Option<f32>>) {
        self.part = part.into().map(|part| if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 });
    }

    /// To which part it is filled.
    pub fn part(&self) -> Option<f32> {
        self.part
    }
}

impl<M: 'static> Widget<M> for Progress {
    fn width(&self, theme: &Theme) -> f32 {
        theme.control * 3.0
    }

    fn height(&self, theme: &Theme, _width: f32) -> f32 {
        theme.control * 0.4
    }

    fn paint(&self, at: &At<'_>, paint: &mut Paint<'_>) {
        let (theme, rect) = (at.theme, at.rect);
        let high = theme.control * 0.22;
        let line = Rect::new(rect.x, rect.y + (rect.h - high) * 0.5, rect.w, high);
        paint.rod(line, at.dim(theme.edge));
        paint.up();
        let line = line.inset(theme.ring * 0.6);
        paint.rod(line, at.dim(theme.sunken));
        paint.up();
        let filled = match self.part {
            Some(part) => Rect { w: line.w * part, ..line },
            None => {
                let phase = (at.now.as_secs_f32() / PERIOD).fract() * 2.0;
                let there = if phase > 1.0 { 2.0 - phase } else { phase };
                Rect { x: line.x + line.w * 0.7 * there, w: line.w * 0.3, ..line }
            }
        };
        paint.rod(filled, at.dim(theme.accent));
    }

    fn beat(&self) -> Option<Duration> {
        self.part.is_none().then_some(BEAT)
    }
}
