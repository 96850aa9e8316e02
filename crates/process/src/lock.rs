// SPDX-License-Identifier: AGPL-3.0-or-later
//! The locks of what is tested in every order of its threads: with `--cfg hearth_loom` they are loom's, under the
//! interface of those that are used.

#[cfg(hearth_loom)]
pub(crate) use loom::sync::{
    MutexGuard, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, AtomicU32, AtomicUsize},
};
#[cfg(not(hearth_loom))]
pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};
#[cfg(not(hearth_loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};

#[cfg(hearth_loom)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

#[cfg(hearth_loom)]
impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a panic ends the test")
    }
}

#[cfg(hearth_loom)]
#[derive(Default)]
pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

#[cfg(hearth_loom)]
impl<T> RwLock<T> {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().expect("a panic ends the test")
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().expect("a panic ends the test")
    }
}

/// Place for one value, which is put there and taken out by one instruction each.
///
/// All that is done to it is in one order that every thread sees. Whoever puts or takes also sees all that was done before those that
/// came earlier in that order.
#[cfg(not(hearth_loom))]
pub(crate) struct Slot<T>(crossbeam_utils::atomic::AtomicCell<Option<T>>);

#[cfg(not(hearth_loom))]
impl<T> Slot<T> {
    pub(crate) fn new() -> Slot<T> {
        const { assert!(crossbeam_utils::atomic::AtomicCell::<Option<T>>::is_lock_free()) };
        Slot(crossbeam_utils::atomic::AtomicCell::new(None))
    }

    /// What was there before comes back.
    pub(crate) fn put(&self, value: T) -> Option<T> {
        self.0.swap(Some(value))
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.0.swap(None)
    }
}

#[cfg(hearth_loom)]
pub(crate) struct Slot<T>(loom::sync::Mutex<Option<T>>);

#[cfg(hearth_loom)]
impl<T> Slot<T> {
    pub(crate) fn new() -> Slot<T> {
        Slot(loom::sync::Mutex::new(None))
    }

    pub(crate) fn put(&self, value: T) -> Option<T> {
        self.0.lock().expect("a panic ends the test").replace(value)
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().expect("a panic ends the test").take()
    }
}

#[cfg(not(hearth_loom))]
#[derive(Default)]
pub(crate) struct Condvar(parking_lot::Condvar);

#[cfg(not(hearth_loom))]
impl Condvar {
    pub(crate) fn new() -> Condvar {
        Condvar::default()
    }

    /// Lets go of the lock until somebody notifies.
    pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(&mut guard);
        guard
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

#[cfg(hearth_loom)]
pub(crate) struct Condvar(loom::sync::Condvar);

#[cfg(hearth_loom)]
impl Condvar {
    pub(crate) fn new() -> Condvar {
        Condvar(loom::sync::Condvar::new())
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).expect("a panic ends the test")
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}
