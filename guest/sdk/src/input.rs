// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the user of this peer does.

use crate::{runtime, sys};
use hearth_abi::Errno;
use std::future::poll_fn;

pub use hearth_abi::input::{Event, Press, key, mask};

/// A subscription to input events; one at a time. Dropping it ends it.
#[derive(Debug)]
pub struct Input(());

impl Input {
    /// Asks for the events of these bits of [`mask`].
    ///
    /// # Errors
    /// [`Errno::Permission`] for all but frames if this process came from another peer;
    /// [`Errno::Unsupported`] on a peer without a picture.
    pub fn subscribe(mask: u32) -> Result<Input, Errno> {
        sys::check(sys::input_subscribe(mask)).map(|_zero| Input(()))
    }

    /// The next event. Of those that nobody takes, the oldest are lost once there are 1,024.
    pub async fn next(&mut self) -> Event {
        poll_fn(|context| runtime::poll_event(context)).await
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        sys::input_subscribe(0);
        runtime::clear_events();
    }
}

/// Captures the mouse pointer, so that only its motion counts, or frees it.
///
/// # Errors
/// As [`Input::subscribe`].
pub fn capture_pointer(on: bool) -> Result<(), Errno> {
    sys::check(sys::pointer_capture(u32::from(on))).map(drop)
}
