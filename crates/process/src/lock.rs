// SPDX-License-Identifier: AGPL-3.0-or-later
//! The lock of what is tested in every order of its threads: with `--cfg hearth_loom` it is loom's, under the
//! interface of the one that is used.

#[cfg(not(hearth_loom))]
pub(crate) use parking_lot::Mutex;

#[cfg(hearth_loom)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

#[cfg(hearth_loom)]
impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().expect("a panic ends the test")
    }
}
