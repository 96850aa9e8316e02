// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the host keeps of one guest.

use crate::{Caller, engine::Inner};
use hearth_process::Context;
use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, atomic::AtomicUsize},
};
use wasmtime::{Memory, ResourceLimiter};

/// Most memories and tables of one module. The contract needs one memory.
const MEMORIES_MAX: usize = 1;
const TABLES_MAX: usize = 16;

/// What the host keeps of one instance, and of the guest that runs in it.
pub(crate) struct Guest {
    /// `None` while it waits to be used again.
    occupant: Option<Occupant>,
    /// Whether it was entered by a plain call, which cannot be set aside.
    pub(crate) is_plain: bool,
    /// Its memory, once it was needed.
    pub(super) memory: Option<Memory>,
    table_elements: usize,
    /// What it wanted and did not get.
    denied: Option<String>,
}

/// The guest that runs in an instance.
pub(crate) struct Occupant {
    pub(crate) wasm: Arc<Inner>,
    pub(crate) context: Context,
    pub(crate) caller: Caller,
    /// Bytes on their way into the store.
    pub(super) lump_bytes: Option<Arc<AtomicUsize>>,
}

impl Deref for Guest {
    type Target = Occupant;

    /// The guest that runs in the instance. Nothing runs in one that waits to be used again.
    fn deref(&self) -> &Occupant {
        self.occupant.as_ref().expect("what runs has a process")
    }
}

impl DerefMut for Guest {
    fn deref_mut(&mut self) -> &mut Occupant {
        self.occupant.as_mut().expect("what runs has a process")
    }
}

impl Guest {
    pub(crate) fn new(wasm: Arc<Inner>, context: Context) -> Guest {
        let occupant = Some(Occupant::new(wasm, context));
        Guest { occupant, is_plain: false, memory: None, table_elements: 0, denied: None }
    }

    /// The last thing that it wanted and did not get.
    pub(crate) fn denied(&self) -> Option<String> {
        self.denied.clone()
    }

    /// The guest has ended: nothing of it stays here.
    pub(crate) fn leave(&mut self) {
        self.occupant = None;
        self.denied = None;
    }

    /// Another guest runs in the instance, which has so many bytes of memory; `false` if that is more than it may have.
    pub(crate) fn enter(&mut self, wasm: Arc<Inner>, context: Context, memory_bytes: usize) -> bool {
        let limits = context.limits();
        if memory_bytes > limits.memory_bytes || self.table_elements > limits.table_elements {
            return false;
        }
        context.set_memory(memory_bytes as u64);
        self.occupant = Some(Occupant::new(wasm, context));
        true
    }
}

impl Occupant {
    fn new(wasm: Arc<Inner>, context: Context) -> Occupant {
        let caller = Caller { process: context.id(), origin: context.origin() };
        Occupant { wasm, context, caller, lump_bytes: None }
    }

    /// The count of bytes on their way into the store.
    pub(super) fn lump_bytes(&mut self) -> &Arc<AtomicUsize> {
        self.lump_bytes.get_or_insert_default()
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // There is one memory, so what it wants to be is all there is.
        let limit = self.context.limits().memory_bytes;
        if desired > limit {
            self.denied = Some(format!("{desired} bytes of memory; the limit is {limit}"));
            return Ok(false);
        }
        self.context.set_memory(desired as u64);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let limit = self.context.limits().table_elements;
        let total = (self.table_elements - current.min(self.table_elements)).saturating_add(desired);
        if total > limit {
            self.denied = Some(format!("{total} table elements; the limit is {limit}"));
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
