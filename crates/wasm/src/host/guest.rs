// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the host keeps of one guest.

use crate::{Caller, engine::Inner};
use hearth_process::{Context, Limit, MemoryShare};
use std::sync::{Arc, atomic::AtomicUsize};
use wasmtime::{Memory, ResourceLimiter};

/// Most memories and tables of one module. The contract needs one memory.
const MEMORIES_MAX: usize = 1;
const TABLES_MAX: usize = 16;

/// What the host keeps of one guest.
pub(crate) struct Guest {
    pub(crate) wasm: Arc<Inner>,
    pub(crate) context: Context,
    pub(crate) caller: Caller,
    /// Its memory, once it was needed.
    pub(super) memory: Option<Memory>,
    /// Bytes on their way into the store.
    pub(super) lump_bytes: Arc<AtomicUsize>,
    /// Bytes of linear memory before it was last allowed to grow.
    memory_before: u64,
    /// Its linear memory in the account of its peer of origin; given back with the guest.
    memory_share: MemoryShare,
    table_elements: usize,
    /// What it wanted and did not get.
    denied: Option<String>,
}

impl Guest {
    pub(crate) fn new(wasm: Arc<Inner>, context: Context, caller: Caller) -> Guest {
        let memory_share = context.memory_share();
        Guest {
            wasm,
            context,
            caller,
            memory: None,
            lump_bytes: Arc::default(),
            memory_before: 0,
            memory_share,
            table_elements: 0,
            denied: None,
        }
    }

    /// The last thing that it wanted and did not get.
    pub(crate) fn denied(&self) -> Option<String> {
        self.denied.clone()
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // There is one memory, so what it wants to be is all there is.
        let limit = self.context.limits().memory_bytes;
        if desired > limit {
            self.denied = Some(format!("{desired} bytes of memory; the limit `memory_bytes` is {limit}"));
            self.context.reached(Limit::MemoryBytes);
            return Ok(false);
        }
        if let Err(limit) = self.memory_share.set(desired as u64) {
            let origin = self.context.origin();
            self.denied = Some(format!(
                "{desired} bytes of memory; the limit `memory_bytes` of all scripts of peer {origin} here is {limit}"
            ));
            self.context.reached(Limit::OriginMemoryBytes);
            return Ok(false);
        }
        self.memory_before = current as u64;
        self.context.set_memory(desired as u64);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        // The machine had none, or the module's own maximum is less: it stays as it was, which is no more than it had.
        let _ = self.memory_share.set(self.memory_before);
        self.context.set_memory(self.memory_before);
        Ok(())
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
            self.denied = Some(format!("{total} table elements; the limit `table_elements` is {limit}"));
            self.context.reached(Limit::TableElements);
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
