// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is in the way: sends the balls of a [`Walk`] through the scene, and looks for the ground.
//!
//! One round of casts is under way at a time, and the next begins as soon as its answer is there, which is before the next
//! picture. Nobody waits for it.

use super::walk::{Ball, HITS_MAX, Walk};
use hearth_sdk::{
    abi::cast::{Cast, Hit},
    abi::scene::ComponentKind,
    prelude::*,
};
use std::{cell::RefCell, future::poll_fn, pin::pin, rc::Rc, task::Poll};

/// What has a name that begins so is walked through, and pointed through.
const PASSED: char = '~';

/// What a ball meets that is neither this body nor passed through, the nearest first.
async fn met(ball: &Ball, own: EntityId) -> Result<Vec<Hit>, Error> {
    let cast = Cast {
        from: ball.from.array(),
        way: ball.way.array(),
        distance_max: ball.far,
        radius: ball.radius,
        hits_max: HITS_MAX,
        without: Some(own),
    };
    let mut hits = scene::cast(&cast).await?;
    hits.retain(|hit| !is_passed(hit.entity));
    Ok(hits)
}

fn is_passed(entity: EntityId) -> bool {
    let name = scene::read(entity, ComponentKind::Name);
    matches!(name, Some(Component::Name(name)) if name.starts_with(PASSED))
}

/// Writing without a board has no body.
fn is_writing(entity: EntityId) -> bool {
    let has = |kind| scene::read(entity, kind).is_some();
    has(ComponentKind::Text) && !has(ComponentKind::Mesh)
}

/// All at once, so that one picture answers them.
async fn all_met(balls: &[Ball], own: EntityId) -> Result<Vec<Vec<Hit>>, Error> {
    let mut asked: Vec<_> = balls.iter().map(|ball| Box::pin(met(ball, own))).collect();
    let mut answers: Vec<Option<Result<Vec<Hit>, Error>>> = balls.iter().map(|_| None).collect();
    let all = poll_fn(|context| {
        let mut is_ready = true;
        for (asked, answer) in asked.iter_mut().zip(&mut answers) {
            if answer.is_none() {
                match asked.as_mut().poll(context) {
                    Poll::Ready(hits) => *answer = Some(hits),
                    Poll::Pending => is_ready = false,
                }
            }
        }
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    });
    pin!(all).await;
    answers.into_iter().flatten().collect()
}

/// A walk, and the casts for it.
#[derive(Clone)]
pub(super) struct Legs(Rc<RefCell<State>>);

struct State {
    walk: Walk,
    own: EntityId,
    is_asking: bool,
    /// Nothing will ever answer.
    is_blind: bool,
}

impl Legs {
    /// For who has this body.
    pub(super) fn new(walk: Walk, own: EntityId) -> Legs {
        Legs(Rc::new(RefCell::new(State { walk, own, is_asking: false, is_blind: false })))
    }

    /// Looks at the walk, or changes it.
    pub(super) fn with<T>(&self, body: impl FnOnce(&mut Walk) -> T) -> T {
        body(&mut self.0.borrow_mut().walk)
    }

    /// This peer tells of nothing that is in the way.
    pub(super) fn is_blind(&self) -> bool {
        self.0.borrow().is_blind
    }

    /// Sends what is to be asked, unless something is under way; then it is sent after that.
    pub(super) fn ask(&self) {
        if std::mem::replace(&mut self.0.borrow_mut().is_asking, true) {
            return;
        }
        let legs = self.clone();
        spawn_local(async move {
            legs.ask_all().await;
            legs.0.borrow_mut().is_asking = false;
        });
    }

    async fn ask_all(&self) {
        loop {
            let own = self.0.borrow().own;
            let (round, balls) = self.with(Walk::ask);
            if balls.is_empty() {
                return;
            }
            match all_met(&balls, own).await {
                Ok(mut answers) => {
                    answers.iter_mut().for_each(|hits| hits.retain(|hit| !is_writing(hit.entity)));
                    self.with(|walk| walk.answer(round, &answers));
                }
                Err(error) => {
                    debug!("a cast: {error}");
                    let mut state = self.0.borrow_mut();
                    state.is_blind |= error.errno == Errno::Unsupported;
                    state.walk.forsake();
                    // Not again before the next picture.
                    return;
                }
            }
        }
    }
}

/// A question of what a ray meets, and its answer once it is there. One at a time.
#[derive(Clone, Default)]
pub(super) struct Question(Rc<RefCell<Asked>>);

#[derive(Default)]
struct Asked {
    is_open: bool,
    /// Answers to what was asked before this are thrown away.
    number: u32,
    answer: Option<(Ball, Result<Option<Hit>, Errno>)>,
}

impl Question {
    /// Asks, unless the last question is still open.
    pub(super) fn ask(&self, ball: Ball, own: EntityId) {
        let mut asked = self.0.borrow_mut();
        if std::mem::replace(&mut asked.is_open, true) {
            return;
        }
        let (question, number) = (self.clone(), asked.number);
        drop(asked);
        spawn_local(async move {
            let answer = met(&ball, own).await.map(|hits| hits.first().copied()).map_err(|error| error.errno);
            let mut asked = question.0.borrow_mut();
            if asked.number == number {
                asked.is_open = false;
                asked.answer = Some((ball, answer));
            }
        });
    }

    /// Forgets what was asked.
    pub(super) fn forget(&self) {
        let mut asked = self.0.borrow_mut();
        *asked = Asked { number: asked.number.wrapping_add(1), ..Asked::default() };
    }

    /// Takes the answer: what was asked, and what it meets first.
    pub(super) fn take(&self) -> Option<(Ball, Result<Option<Hit>, Errno>)> {
        self.0.borrow_mut().answer.take()
    }
}
