// SPDX-License-Identifier: AGPL-3.0-or-later
//! Names of processes on one peer.

use crate::RegisterError;
use hearth_abi::ProcessId;
use parking_lot::RwLock;
use std::collections::{HashMap, hash_map::Entry};

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

    pub(crate) fn insert(&self, name: &str, id: ProcessId) -> Result<(), RegisterError> {
        Names::check(name)?;
        match self.0.write().entry(name.to_owned()) {
            Entry::Occupied(taken) => Err(RegisterError::Taken { by: *taken.get() }),
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
