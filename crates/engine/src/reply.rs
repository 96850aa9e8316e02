// SPDX-License-Identifier: AGPL-3.0-or-later
//! Somebody who waits for an answer, and gets one in any case.

use parking_lot::Mutex;

type Function<T> = Box<dyn FnOnce(Result<T, String>) + Send>;

/// Calls its function exactly once: with the answer, or when it is dropped with an error.
pub(crate) struct Reply<T>(
    // The lock is there only to share what is called once.
    Mutex<Option<Function<T>>>,
);

impl<T> Reply<T> {
    pub(crate) fn new(function: Function<T>) -> Reply<T> {
        Reply(Mutex::new(Some(function)))
    }

    pub(crate) fn answer(self, answer: Result<T, String>) {
        let function = self.0.lock().take();
        if let Some(function) = function {
            function(answer);
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(function) = self.0.get_mut().take() {
            function(Err("the engine has ended".into()));
        }
    }
}
