// SPDX-License-Identifier: AGPL-3.0-or-later
//! Doing several things at once within one process.

use crate::runtime;
use std::{
    cell::RefCell,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

struct Shared<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

/// A future that goes on by itself. Awaiting it gives what it returned; dropping it lets it go on.
pub struct Task<T> {
    number: u64,
    shared: Rc<RefCell<Shared<T>>>,
}

impl<T> Task<T> {
    /// Ends the future where it waits. Without effect if it is over.
    pub fn cancel(self) {
        runtime::abandon(self.number);
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut shared = self.shared.borrow_mut();
        match shared.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                shared.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Lets a future go on beside the rest of the script. It ends with the process.
///
/// ```
/// # use hearth_sdk::prelude::*;
/// # hearth_sdk::testing::run_for(async {
/// let slow = spawn_local(async {
///     sleep(Duration::from_secs(1)).await;
///     40 + 2
/// });
/// assert_eq!(slow.await, 42);
/// # }, Duration::from_secs(2));
/// ```
pub fn spawn_local<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    let shared = Rc::new(RefCell::new(Shared { value: None, waker: None }));
    let result = Rc::clone(&shared);
    let number = runtime::begin(Box::pin(async move {
        let value = future.await;
        let waker = {
            let mut result = result.borrow_mut();
            result.value = Some(value);
            result.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }));
    Task { number, shared }
}

/// The one of two that was ready first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first was.
    Left(A),
    /// The second was.
    Right(B),
}

/// Waits for the first of two futures, and drops the other. If both are ready, the first is taken.
///
/// Everything that this SDK waits with may be dropped so: a message that was not taken stays queued.
///
/// ```
/// # use hearth_sdk::prelude::*;
/// # hearth_sdk::testing::run_for(async {
/// match race(recv::<String>(), sleep(Duration::from_secs(5))).await {
///     Either::Left(message) => info!("{} says {}", message.from, message.body),
///     Either::Right(()) => info!("nobody said anything"),
/// }
/// # }, Duration::from_secs(9));
/// # assert_eq!(hearth_sdk::testing::logs()[0].1, "nobody said anything");
/// ```
pub async fn race<A, B>(left: impl Future<Output = A>, right: impl Future<Output = B>) -> Either<A, B> {
    let mut left = pin!(left);
    let mut right = pin!(right);
    poll_fn(|context| {
        if let Poll::Ready(value) = left.as_mut().poll(context) {
            return Poll::Ready(Either::Left(value));
        }
        right.as_mut().poll(context).map(Either::Right)
    })
    .await
}

/// It did not happen within the time given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl std::error::Error for TimedOut {}

/// Waits for a future, but not longer than this.
///
/// # Errors
/// The time is over; the future was dropped.
pub async fn timeout<T>(limit: Duration, future: impl Future<Output = T>) -> Result<T, TimedOut> {
    match race(future, crate::sleep(limit)).await {
        Either::Left(value) => Ok(value),
        Either::Right(()) => Err(TimedOut),
    }
}
