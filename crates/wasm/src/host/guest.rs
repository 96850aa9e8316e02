// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the host keeps of one guest.

use super::memory::View;
use crate::{Caller, engine::Inner};
use hearth_process::{Context, Limit, MemoryShare};
use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, atomic::AtomicUsize},
};
use wasmtime::{Memory, ResourceLimiter};

/// Most memories and tables of one module. The contract needs one memory.
const MEMORIES_MAX: usize = 1;
const TABLES_MAX: usize = 16;

/// What the host keeps of one instance, and of the guest that runs in it. What most calls need comes first.
#[repr(C)]
pub(crate) struct Guest {
    /// Whether it was entered by a plain call, which cannot be set aside.
    pub(crate) is_plain: bool,
    /// Whether the guest has said that its end is normal, and is about to be left.
    pub(crate) has_left: bool,
    /// Whether it becomes again what it was before: nothing is asked for that it did not have.
    is_thawing: bool,
    /// Where in its memory it last took signals.
    pub(super) inbox: u32,
    /// Where its memory lies, once it was needed, until it grows or is another guest's.
    pub(super) view: Option<View>,
    /// `None` while it waits to be used again.
    occupant: Option<Occupant>,
    /// Its memory, once it was needed.
    pub(super) memory: Option<Memory>,
    /// Bytes of linear memory before it was last allowed to grow.
    memory_before: u64,
    table_elements: usize,
    /// What it wanted and did not get.
    denied: Option<String>,
}

/// The guest that runs in an instance. What most calls need comes first.
#[repr(C)]
pub(crate) struct Occupant {
    pub(crate) context: Context,
    /// Where signals are put before each call of `wake`, if it is so: address and length.
    pub(super) wake_with: Option<(u32, u32)>,
    pub(crate) caller: Caller,
    pub(crate) wasm: Arc<Inner>,
    /// Bytes on their way into the store.
    pub(super) lump_bytes: Option<Arc<AtomicUsize>>,
    /// Its linear memory in the account of its peer of origin; given back with the guest.
    memory_share: MemoryShare,
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
        Guest::of(Occupant::new(wasm, context))
    }

    fn of(occupant: Occupant) -> Guest {
        Guest { occupant: Some(occupant), ..Guest::vacant() }
    }

    /// For an instance in which nothing runs.
    pub(crate) fn vacant() -> Guest {
        Guest {
            occupant: None,
            is_thawing: false,
            inbox: 0,
            is_plain: false,
            has_left: false,
            memory: None,
            view: None,
            memory_before: 0,
            table_elements: 0,
            denied: None,
        }
    }

    /// For a new instance for a guest that was frozen, until [`Guest::thawed`].
    pub(crate) fn thawing(occupant: Occupant) -> Guest {
        Guest { is_thawing: true, ..Guest::of(occupant) }
    }

    /// In an instance that waited to be used again, a guest goes on that was frozen, until [`Guest::thawed`].
    pub(crate) fn thaw(&mut self, occupant: Occupant) {
        self.occupant = Some(occupant);
        self.is_thawing = true;
        self.view = None;
    }

    /// The instance, with so many bytes of this memory, is what it was.
    pub(crate) fn thawed(&mut self, memory: Option<Memory>, memory_bytes: usize) {
        self.is_thawing = false;
        // It is not looked up before `wake`, where it may be needed.
        self.memory = memory;
        self.memory_before = memory_bytes as u64;
    }

    /// The guest goes on elsewhere.
    pub(crate) fn freeze(&mut self) -> Option<Occupant> {
        self.view = None;
        self.denied = None;
        self.occupant.take()
    }

    /// Address at which it last took signals, or 0.
    pub(crate) fn inbox_at(&self) -> usize {
        self.view.map_or(0, |view| view.start().wrapping_add(self.inbox as usize))
    }

    /// The last thing that it wanted and did not get.
    pub(crate) fn denied(&self) -> Option<String> {
        self.denied.clone()
    }

    /// The guest has ended: nothing of it stays here.
    pub(crate) fn leave(&mut self) {
        self.occupant = None;
        self.denied = None;
        self.has_left = false;
        self.view = None;
    }

    /// Another guest runs in the instance, which has so many bytes of memory. If that is more than it may have, its context
    /// comes back.
    pub(crate) fn enter(
        &mut self,
        wasm: &Arc<Inner>,
        context: Context,
        memory_bytes: usize,
    ) -> Result<(), Context> {
        let limits = context.limits();
        if memory_bytes > limits.memory_bytes || self.table_elements > limits.table_elements {
            return Err(context);
        }
        let mut occupant = Occupant::new(wasm.clone(), context);
        if occupant.memory_share.set(memory_bytes as u64).is_err() {
            return Err(occupant.context);
        }
        occupant.context.set_memory(memory_bytes as u64);
        self.memory_before = memory_bytes as u64;
        self.view = None;
        self.occupant = Some(occupant);
        Ok(())
    }
}

impl Occupant {
    fn new(wasm: Arc<Inner>, context: Context) -> Occupant {
        let caller = Caller { process: context.id(), origin: context.origin() };
        let memory_share = context.memory_share();
        Occupant { wasm, context, wake_with: None, caller, lump_bytes: None, memory_share }
    }

    /// The count of bytes on their way into the store.
    pub(super) fn lump_bytes(&mut self) -> &Arc<AtomicUsize> {
        self.lump_bytes.get_or_insert_default()
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // It may lie elsewhere then, and ends elsewhere.
        self.view = None;
        if self.is_thawing {
            return Ok(true);
        }
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
        if self.is_thawing {
            return Ok(());
        }
        // The machine had none, or the module's own maximum is less: it stays as it was, which is no more than it had.
        let before = self.memory_before;
        let _ = self.memory_share.set(before);
        self.context.set_memory(before);
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
