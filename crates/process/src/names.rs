// SPDX-License-Identifier: AGPL-3.0-or-later
//! Names of processes on one peer.

use crate::{
    RegisterError,
    lock::{AtomicUsize, Mutex, RwLock},
};
use hearth_abi::ProcessId;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::atomic::Ordering::AcqRel,
};

/// Longest name in bytes of UTF-8.
pub const NAME_LEN_MAX: usize = 128;

/// Most names that one process can have at a time.
pub const NAMES_MAX: usize = 64;

/// Who has which name.
#[derive(Default)]
pub(crate) struct Names(RwLock<HashMap<String, ProcessId>>);

impl Names {
    pub(crate) fn check(name: &str) -> Result<(), RegisterError> {
        // Control characters would let a guest draw on the terminal of whoever lists processes.
        if name.is_empty() || name.len() > NAME_LEN_MAX || name.chars().any(char::is_control) {
            return Err(RegisterError::Invalid);
        }
        Ok(())
    }

    /// Gives the name to a process; one that it has already is fine.
    pub(crate) fn insert(&self, name: &str, id: ProcessId) -> Result<(), RegisterError> {
        Names::check(name)?;
        match self.0.write().entry(name.to_owned()) {
            Entry::Occupied(taken) if *taken.get() != id => Err(RegisterError::Taken { by: *taken.get() }),
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(free) => {
                free.insert(id);
                Ok(())
            }
        }
    }

    /// Gives the name to `to` if `from` has it, or nobody.
    pub(crate) fn hand_over(&self, name: &str, from: ProcessId, to: ProcessId) -> Result<(), RegisterError> {
        let mut names = self.0.write();
        match names.get(name) {
            Some(by) if *by != from => Err(RegisterError::Taken { by: *by }),
            _ => {
                names.insert(name.to_owned(), to);
                Ok(())
            }
        }
    }

    /// Takes the name away if `id` has it.
    pub(crate) fn remove(&self, name: &str, id: ProcessId) -> bool {
        let mut names = self.0.write();
        if names.get(name) != Some(&id) {
            return false;
        }
        names.remove(name).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.read().len()
    }

    pub(crate) fn get(&self, name: &str) -> Option<ProcessId> {
        self.0.read().get(name).copied()
    }
}

/// The names of one process, as it knows them itself. Once it has ended it gets no more.
///
/// A name is in [`Names`] with its id as long as it is here; but for one that was handed over to the process that begins
/// in its place, which is here until this one ends. What is changed in both is changed under this lock, so that a
/// process that ends leaves none behind.
///
/// Most have none, ever. So that these need no lock to end, there are two marks besides: [`SOME`](Named::SOME) is set under
/// the lock before the first name is, and [`OVER`](Named::OVER) without it. Whoever sets one sees whether the other was first.
pub(crate) struct Named {
    names: Mutex<Vec<String>>,
    marks: AtomicUsize,
}

impl Named {
    /// With the name that it is to have from the beginning, which is for the caller to give it.
    pub(crate) fn new(first: Option<String>) -> Named {
        let marks = if first.is_some() { Named::SOME } else { 0 };
        Named { names: Mutex::new(first.into_iter().collect()), marks: AtomicUsize::new(marks) }
    }

    /// It has, or has had, a name.
    const SOME: usize = 1;
    /// The process has ended.
    const OVER: usize = 2;

    /// Called under the lock by who is about to give it a name; `false` if it gets no more.
    fn begin_naming(&self) -> bool {
        self.marks.fetch_or(Named::SOME, AcqRel) & Named::OVER == 0
    }

    pub(crate) fn list(&self) -> Vec<String> {
        self.names.lock().clone()
    }

    pub(crate) fn register(&self, all: &Names, id: ProcessId, name: &str) -> Result<(), RegisterError> {
        let mut names = self.names.lock();
        if !self.begin_naming() {
            return Err(RegisterError::Invalid);
        }
        let is_known = names.iter().any(|known| known == name);
        if !is_known && names.len() >= NAMES_MAX {
            Names::check(name)?;
            return Err(RegisterError::TooMany);
        }
        // One that is known may have been handed over.
        all.insert(name, id)?;
        if !is_known {
            names.push(name.to_owned());
        }
        Ok(())
    }

    pub(crate) fn unregister(&self, all: &Names, id: ProcessId, name: &str) -> bool {
        let mut names = self.names.lock();
        names.retain(|known| known != name);
        all.remove(name, id)
    }

    /// Gives the process the names again that it had: those that it got since go, and those that it gave up come back,
    /// if nobody else has taken them.
    pub(crate) fn restore(&self, all: &Names, id: ProcessId, had: Vec<String>) {
        let mut names = self.names.lock();
        if !self.begin_naming() {
            return;
        }
        for name in names.iter().filter(|name| !had.contains(name)) {
            all.remove(name, id);
        }
        let now = std::mem::take(&mut *names);
        let has = |name: &String| now.contains(name) || all.insert(name, id).is_ok();
        *names = had.into_iter().filter(has).collect();
    }

    /// The process has ended: its names are free, and it gets no more.
    pub(crate) fn end(&self, all: &Names, id: ProcessId) {
        if self.marks.fetch_or(Named::OVER, AcqRel) & Named::SOME == 0 {
            return;
        }
        let mut names = self.names.lock();
        for name in names.drain(..) {
            all.remove(&name, id);
        }
    }
}
