// SPDX-License-Identifier: AGPL-3.0-or-later
//! When a clip that is played passes its end, and other times of it. The times are those at which the peers' engines show
//! it there (`docs/formats/scene.md`, animation).

use crate::{sys, time};
use hearth_abi::scene::Animation;
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// What repeats faster than this stands, for whoever waits: a model that came from somebody does not keep a script busy.
const ROUND_MIN_SECS: f64 = 0.01;
/// So long after the start marks are told that were passed since.
const LATE_NS: u64 = 100_000_000;

/// The ends of a clip that is played; made by [`Clip::ends`](super::Clip::ends). As a future it is ready at the next of
/// them. Dropped, nothing is waited for.
#[must_use = "it does nothing unless it is waited for"]
pub struct Ends(Marks<()>);

impl Ends {
    pub(super) fn of(secs: f32, animation: &Animation) -> Ends {
        let Some(course) = Course::of(secs, animation) else { return Ends(Marks::none()) };
        let (offset, secs) = (f64::from(animation.offset), f64::from(secs));
        let way = if animation.speed > 0.0 { secs - offset } else { offset };
        match course.round {
            // Who begins at the end goes all the way round.
            Some(round) => {
                let part = way.rem_euclid(round);
                let mut ends = Marks::on(course, vec![(if part > 0.0 { part } else { round }, ())]);
                ends.seek(sys::clock_wall());
                Ends(ends)
            }
            None => Ends(Marks::on(course, vec![(way.max(0.0), ())])),
        }
    }

    /// Waits for the next end. Of a clip that does not repeat there is one.
    pub async fn next(&mut self) {
        self.await;
    }
}

impl Future for Ends {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match ready!(self.0.poll_mark(context)) {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        }
    }
}

/// Times of a clip that is played; made by [`Clip::marks`](super::Clip::marks).
#[must_use = "it does nothing unless it is waited for"]
pub struct Marks<T> {
    course: Course,
    /// Ascending: seconds of the clip that go by from the start, or from that of a round, until it is passed.
    marks: Vec<(f64, T)>,
    /// The next one: in which round, and which of them.
    next: (u64, usize),
    sleep: Option<time::Sleep>,
}

/// How a clip goes on.
#[derive(Clone, Copy, Default)]
struct Course {
    start_ns: u64,
    /// Seconds of the clip in a second, above 0.
    speed: f64,
    /// Seconds of the clip after which it begins again, if it does.
    round: Option<f64>,
}

impl Course {
    /// `None` for what stands.
    fn of(secs: f32, animation: &Animation) -> Option<Course> {
        let (speed, secs) = (f64::from(animation.speed).abs(), f64::from(secs));
        let moves = !animation.paused && speed > 0.0 && animation.offset.is_finite() && speed.is_finite();
        let round = animation.repeat.then_some(secs);
        if !moves || round.is_some_and(|round| round / speed < ROUND_MIN_SECS) {
            return None;
        }
        let start_ns = if animation.start_ns == 0 { sys::clock_wall() } else { animation.start_ns };
        Some(Course { start_ns, speed, round })
    }

    /// When so many seconds of the clip have gone by.
    fn at_ns(&self, round: u64, after: f64) -> u64 {
        let secs = self.round.unwrap_or(0.0) * round as f64 + after;
        // What is beyond the numbers is as good as never.
        self.start_ns.saturating_add((secs / self.speed * 1e9).ceil() as u64)
    }
}

impl<T> Marks<T> {
    fn none() -> Marks<T> {
        Marks::on(Course::default(), Vec::new())
    }

    fn on(course: Course, marks: Vec<(f64, T)>) -> Marks<T> {
        Marks { course, marks, next: (0, 0), sleep: None }
    }

    pub(super) fn of(
        secs: f32,
        animation: &Animation,
        marks: impl IntoIterator<Item = (f32, T)>,
    ) -> Marks<T> {
        let Some(course) = Course::of(secs, animation) else { return Marks::none() };
        let offset = f64::from(animation.offset);
        let forward = animation.speed > 0.0;
        let in_clip = marks.into_iter().filter(|(at, _)| (0.0..=secs).contains(at));
        let mut marks: Vec<(f64, T)> = in_clip
            .filter_map(|(at, mark)| {
                let way = if forward { f64::from(at) - offset } else { offset - f64::from(at) };
                match course.round {
                    Some(round) if !(0.0..=round).contains(&way) => Some((way.rem_euclid(round), mark)),
                    Some(_) => Some((way, mark)),
                    None => (way >= 0.0).then_some((way, mark)),
                }
            })
            .collect();
        marks.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut marks = Marks::on(course, marks);
        let now_ns = sys::clock_wall();
        let is_new = now_ns.saturating_sub(course.start_ns) < LATE_NS;
        if !is_new {
            marks.seek(now_ns);
        }
        marks
    }

    /// Waits for the next mark, and gives what was given for it; `None` if no more will be passed: all were and the clip does
    /// not repeat, or it stands. Who was late for marks is told of them, but not of more than a round.
    pub async fn next(&mut self) -> Option<&T> {
        let index = poll_fn(|context| self.poll_mark(context)).await?;
        self.marks.get(index).map(|(_, mark)| mark)
    }

    /// When the next is passed.
    fn due_ns(&self) -> Option<u64> {
        let (round, index) = self.next;
        self.marks.get(index).map(|(after, _)| self.course.at_ns(round, *after))
    }

    fn advance(&mut self) {
        self.next.1 += 1;
        if self.next.1 == self.marks.len() && self.course.round.is_some() {
            self.next = (self.next.0.saturating_add(1), 0);
        }
    }

    /// Goes to the first that is passed after a time.
    fn seek(&mut self, after_ns: u64) {
        let gone = after_ns.saturating_sub(self.course.start_ns) as f64 / 1e9 * self.course.speed;
        let rounds = self.course.round.map_or(0.0, |round| gone / round) as u64;
        // One round back, for marks that count from the start of the one before.
        self.next = (rounds.saturating_sub(1), 0);
        while self.due_ns().is_some_and(|due_ns| due_ns <= after_ns) {
            self.advance();
        }
    }

    fn poll_mark(&mut self, context: &mut Context<'_>) -> Poll<Option<usize>> {
        loop {
            let Some(due_ns) = self.due_ns() else { return Poll::Ready(None) };
            let now_ns = sys::clock_wall();
            if due_ns > now_ns {
                // By the clock on the wall, which may be set meanwhile: it is looked at again.
                let wait = || time::sleep(Duration::from_nanos(due_ns - now_ns));
                ready!(Pin::new(self.sleep.get_or_insert_with(wait)).poll(context));
                self.sleep = None;
                continue;
            }
            self.sleep = None;
            if let Some(round) = self.course.round {
                let round_ns = (round / self.course.speed * 1e9) as u64;
                let latest_ns = now_ns.saturating_sub(round_ns);
                if due_ns < latest_ns {
                    self.seek(latest_ns);
                    continue;
                }
            }
            let (_, index) = self.next;
            self.advance();
            return Poll::Ready(Some(index));
        }
    }
}
