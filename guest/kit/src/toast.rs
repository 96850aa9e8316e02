// SPDX-License-Identifier: AGPL-3.0-or-later
//! Notes that come up below an interface and go by themselves.

use crate::{
    layout::Rect,
    measure,
    paint::{Letters, Paint},
    theme::Theme,
};
use hearth_sdk::abi::scene::Align;
use std::{collections::VecDeque, time::Duration};

/// Most notes at a time. One more, and the oldest goes at once.
pub const TOASTS_MAX: usize = 4;
/// Most lines of a note; the last ends in `…` if there were more.
const LINES_MAX: usize = 3;
/// How long a note stays.
const STAY: Duration = Duration::from_secs(4);

#[derive(Debug)]
struct Toast {
    number: u64,
    text: String,
    until: Duration,
}

/// All notes, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Toasts {
    toasts: VecDeque<Toast>,
    last: u64,
}

impl Toasts {
    pub(crate) fn add(&mut self, text: String, now: Duration) {
        self.last += 1;
        self.toasts.push_front(Toast { number: self.last, text, until: now + STAY });
        self.toasts.truncate(TOASTS_MAX);
    }

    /// Takes away those whose time is over, and tells whether there were any.
    pub(crate) fn expire(&mut self, now: Duration) -> bool {
        let before = self.toasts.len();
        self.toasts.retain(|toast| toast.until > now);
        self.toasts.len() != before
    }

    /// When the next one goes.
    pub(crate) fn next_end(&self) -> Option<Duration> {
        self.toasts.iter().map(|toast| toast.until).min()
    }

    pub(crate) fn remove(&mut self, number: u64) {
        self.toasts.retain(|toast| toast.number != number);
    }

    /// Where each is, below an interface of this size.
    fn places(&self, theme: &Theme, whole: [f32; 2]) -> Vec<(&Toast, Rect, Vec<String>)> {
        let mut y = whole[1] + theme.gap;
        let room = whole[0].max(theme.control * 6.0) - 2.0 * theme.gap;
        let mut places = Vec::with_capacity(self.toasts.len());
        for toast in &self.toasts {
            let mut lines = measure::wrapped(theme, &toast.text, false, room / theme.text);
            if lines.len() > LINES_MAX {
                lines.truncate(LINES_MAX);
                if let Some(last) = lines.last_mut() {
                    *last = measure::elided(theme, &format!("{last} …"), false, room / theme.text);
                }
            }
            let wide =
                lines.iter().map(|line| measure::line(theme, line, false)).fold(0.0, f32::max) * theme.text;
            let (w, h) =
                (wide + 2.0 * theme.gap, lines.len() as f32 * theme.text * measure::LINE + theme.gap);
            let rect = Rect::new((whole[0] - w) * 0.5, y, w, h);
            y += h + theme.gap * 0.5;
            places.push((toast, rect, lines));
        }
        places
    }

    /// The one at a place.
    pub(crate) fn at(&self, theme: &Theme, whole: [f32; 2], point: [f32; 2]) -> Option<u64> {
        let places = self.places(theme, whole);
        places.iter().find(|(_, rect, _)| rect.holds(point)).map(|(toast, ..)| toast.number)
    }

    /// What each looks like, with its number.
    pub(crate) fn paint<'a>(&self, theme: &'a Theme, whole: [f32; 2], level: f32) -> Vec<(u64, Paint<'a>)> {
        let places = self.places(theme, whole);
        let paint = |(toast, rect, lines): (&Toast, Rect, Vec<String>)| {
            let mut paint = Paint::new(theme, level);
            paint.board(rect, theme.radius, theme.ground);
            let letters = Letters { align: Align::Center, ..Letters::new(theme.text, theme.ink) };
            paint.text(rect, lines.join("\n"), letters);
            (toast.number, paint)
        };
        places.into_iter().map(paint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_stack_are_bounded_and_go() {
        let (theme, mut toasts) = (Theme::dusk(), Toasts::default());
        for second in 0..6 {
            toasts.add(format!("note {second}"), Duration::from_secs(second));
        }
        let places = toasts.places(&theme, [0.5, 0.3]);
        assert_eq!(places.len(), TOASTS_MAX);
        assert_eq!(places[0].0.text, "note 5");
        assert!(places.windows(2).all(|pair| pair[1].1.y > pair[0].1.bottom()) && places[0].1.y > 0.3);
        let [x, y] = places[1].1.middle();
        assert_eq!(toasts.at(&theme, [0.5, 0.3], [x, y]), Some(5));
        assert_eq!(toasts.next_end(), Some(Duration::from_secs(6)));
        assert!(toasts.expire(Duration::from_secs(7)) && !toasts.expire(Duration::from_secs(7)));
        assert_eq!(toasts.toasts.len(), 2);
        toasts.add("words ".repeat(200), Duration::from_secs(9));
        assert_eq!(toasts.places(&theme, [0.5, 0.3])[0].2.len(), LINES_MAX);
    }
}
