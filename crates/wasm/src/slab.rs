// SPDX-License-Identifier: AGPL-3.0-or-later
//! Linear memories and fiber stacks, cut from large mappings.
//!
//! The system bounds the number of mappings of a program (65,530 by default). Neighbouring mappings of
//! the same kind count as one, so memories here are slots of large private mappings without guards:
//! compiled code checks every access against the memory's size (the engine reserves nothing and
//! assumes no guard). Pages cost memory only once they are touched, and are given back to the system
//! when a slot is freed, which also fills them with zeros for the next.
//!
//! Stacks do have a guard page each, below, because host functions run on them too: two mappings each.
//! So there can be about 24,000 under the default limit; whoever needs a further one ends with a reason
//! that says so.
#![expect(unsafe_code, reason = "memory for guests, measured: the system's allocator stops at 21,800 guests")]

use parking_lot::Mutex;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap};
use std::{
    cell::Cell,
    collections::BTreeSet,
    io,
    ops::Range,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType, StackCreator, StackMemory, Store};

/// The system's page size. Larger pages than this are a multiple of it, and all sizes here are
/// multiples of 64 KiB, the largest page size in use.
const PAGE: usize = 64 << 10;

/// Mappings left for everything else in the program.
const MAPS_LEFT: usize = 16_000;

/// Addresses of slots of one size. Slots are reused, and unmapped when the slab goes, after all of them.
struct Slab {
    slot: usize,
    max: usize,
    state: Mutex<SlabState>,
}

#[derive(Default)]
struct SlabState {
    /// The lowest is taken first, so that those in use stay together when most of a crowd has gone.
    free: BTreeSet<usize>,
    /// Free as well, with some pages that were not given back: taken first.
    warm: Vec<usize>,
    /// What is left of the newest mapping.
    fresh: Range<usize>,
    mappings: Vec<Range<usize>>,
    taken: usize,
}

/// A slot, and whether it was never used before.
struct Slot {
    address: usize,
    is_fresh: bool,
}

impl Slab {
    fn new(slot: usize, max: usize) -> Slab {
        debug_assert!(slot.is_multiple_of(PAGE));
        Slab { slot, max, state: Mutex::default() }
    }

    fn take(&self) -> io::Result<Slot> {
        let mut state = self.state.lock();
        if state.taken >= self.max {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "all slots are taken"));
        }
        if let Some(address) = state.warm.pop().or_else(|| state.free.pop_first()) {
            state.taken += 1;
            return Ok(Slot { address, is_fresh: false });
        }
        if state.fresh.is_empty() {
            // Addresses are plenty, and nothing is used before it is touched.
            const MAPPING: usize = 64 << 20;
            let len = self.slot * (MAPPING / self.slot).max(1);
            // SAFETY: a new private mapping at an address of the system's choice touches nothing else.
            let base = unsafe {
                mmap_anonymous(
                    ptr::null_mut(),
                    len,
                    ProtFlags::READ | ProtFlags::WRITE,
                    MapFlags::PRIVATE | MapFlags::NORESERVE,
                )
            }? as usize;
            // A guest touches a few pages: a huge one for each would cost its whole slot, and its neighbours'.
            // SAFETY: the range was mapped just now. A failure means that there are none.
            let _ = unsafe { madvise(base as *mut _, len, Advice::LinuxNoHugepage) };
            state.fresh = base..base + len;
            state.mappings.push(base..base + len);
        }
        let address = state.fresh.start;
        state.fresh.start += self.slot;
        state.taken += 1;
        Ok(Slot { address, is_fresh: true })
    }

    /// How many warm slots are free.
    fn warm(&self) -> usize {
        self.state.lock().warm.len()
    }

    /// Takes a slot back whose pages have been given back.
    fn give(&self, address: usize) {
        let mut state = self.state.lock();
        state.free.insert(address);
        state.taken -= 1;
    }

    /// Takes a slot back that keeps some of its pages.
    fn give_warm(&self, address: usize) {
        let mut state = self.state.lock();
        state.warm.push(address);
        state.taken -= 1;
    }

    /// Forgets a slot that must not be used again.
    fn abandon(&self) {
        self.state.lock().taken -= 1;
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        for mapping in &self.state.get_mut().mappings {
            // SAFETY: the mapping was made by `take`; every slot in use holds the slab, so none is left.
            // A failure leaves addresses that nobody uses.
            let _ = unsafe { munmap(mapping.start as *mut _, mapping.len()) };
        }
    }
}

/// Gives the pages of this range back; they read as zeros from then on. `false` if that failed.
///
/// # Safety
/// The range is part of a slot that the caller owns, and nothing refers to its content.
unsafe fn release(address: usize, len: usize) -> bool {
    // SAFETY: the range is a private anonymous mapping that the caller owns.
    len == 0 || unsafe { madvise(address as *mut _, len, Advice::LinuxDontNeed) }.is_ok()
}

/// Makes linear memories of slots of a few sizes. A memory that outgrows its slot moves to a larger one. Clones are the same.
#[derive(Clone)]
pub(crate) struct Memories(Arc<[Slab]>);

impl Memories {
    pub(crate) fn new() -> Memories {
        // Close together where most are: what a memory leaves of its slot is walked through when neighbours are asked for.
        const SIZES: [usize; 10] = [
            64 << 10,
            128 << 10,
            256 << 10,
            512 << 10,
            2 << 20,
            16 << 20,
            64 << 20,
            256 << 20,
            1 << 30,
            4 << 30,
        ];
        Memories(SIZES.iter().map(|size| Slab::new(*size, usize::MAX)).collect())
    }

    /// How far below a memory of so many bytes each of the lowest slots is that it could be in instead, in slots: of so many of
    /// them at most, from the lowest on, as long as they are below it.
    pub(crate) fn free_below(&self, memory: &[u8], most: usize) -> Vec<usize> {
        let address = memory.as_ptr() as usize;
        // It may have been larger than it is.
        for slab in &*self.0 {
            let state = slab.state.lock();
            if state.mappings.iter().any(|mapping| mapping.contains(&address)) {
                let below = state.free.range(..address).take(most);
                return below.map(|free| (address - free) / slab.slot).collect();
            }
        }
        Vec::new()
    }

    /// Makes a memory that has grown as small again as it was, for another guest. What lies beyond must be zeros. `false` if the engine
    /// does not take it.
    ///
    /// The engine knows of no way to do that. But it asks for the size whenever it was asked to let a memory grow, be it by
    /// nothing, and is told another one then. All that it may access is in the slot before and after.
    pub(crate) fn shrink<T>(memory: &wasmtime::Memory, store: &mut Store<T>, len: usize) -> bool {
        let address = memory.data_ptr(&*store).addr();
        SHRINKS.set(Some((address, len)));
        let asked = memory.grow(&mut *store, 0);
        SHRINKS.set(None);
        asked.is_ok() && memory.data_size(&*store) == len && memory.data_ptr(&*store).addr() == address
    }

    fn make(&self, len: usize) -> io::Result<SlotMemory> {
        let class = self.0.iter().position(|slab| slab.slot >= len);
        let class = class.ok_or(io::Error::from(io::ErrorKind::OutOfMemory))?;
        let slot = self.0[class].take()?;
        Ok(SlotMemory { slabs: self.0.clone(), class, address: slot.address, len: len.into(), used: len })
    }
}

thread_local! {
    /// The address of the memory that is being made smaller on this thread, and its new size.
    static SHRINKS: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

struct SlotMemory {
    slabs: Arc<[Slab]>,
    class: usize,
    address: usize,
    /// Atomic because it becomes smaller where the memory cannot be had mutably ([`Memories::shrink`]).
    len: AtomicUsize,
    /// Bytes from the start that may be other than zero.
    used: usize,
}

// SAFETY: the slot belongs to this memory alone until it is dropped, has at least `byte_capacity`
// bytes of zeros at first, and moves only in `grow_to`, which needs the memory mutably.
unsafe impl LinearMemory for SlotMemory {
    fn byte_size(&self) -> usize {
        if let Some((address, len)) = SHRINKS.get()
            && address == self.address
        {
            self.len.fetch_min(len, Relaxed);
        }
        self.len.load(Relaxed)
    }

    fn byte_capacity(&self) -> usize {
        self.slabs[self.class].slot
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        if new_size > self.byte_capacity() {
            let larger = Memories(self.slabs.clone()).make(new_size)?;
            // SAFETY: both slots are owned, do not overlap, and are at least `len` bytes long.
            unsafe {
                ptr::copy_nonoverlapping(
                    self.address as *const u8,
                    larger.address as *mut u8,
                    *self.len.get_mut(),
                );
            }
            *self = larger;
        }
        *self.len.get_mut() = new_size;
        self.used = self.used.max(new_size);
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.address as *mut u8
    }
}

impl Drop for SlotMemory {
    fn drop(&mut self) {
        let used = self.used.next_multiple_of(PAGE).min(self.byte_capacity());
        // SAFETY: the slot is owned, and its memory is being dropped.
        if unsafe { release(self.address, used) } {
            self.slabs[self.class].give(self.address);
        } else {
            // What could not be zeroed must not be seen by another guest.
            self.slabs[self.class].abandon();
        }
    }
}

// SAFETY: see `SlotMemory`; requests for guard pages, which it does not have, are refused.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        if guard_size_in_bytes != 0 {
            return Err("memories without guard pages only".into());
        }
        let mut memory = self
            .make(minimum.max(reserved_size_in_bytes.unwrap_or(0)))
            .map_err(|error| format!("no room for a linear memory: {error}"))?;
        *memory.len.get_mut() = minimum;
        Ok(Box::new(memory))
    }
}

/// Makes fiber stacks, each with a guard page below it.
pub(crate) struct Stacks(Arc<Slab>);

impl Stacks {
    /// Stacks of `size` bytes, a multiple of 64 KiB.
    pub(crate) fn new(size: usize) -> Stacks {
        Stacks(Arc::new(Slab::new(size + PAGE, stacks_max())))
    }
}

/// How many stacks the system's limit on mappings allows.
fn stacks_max() -> usize {
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    let limit = limit.ok().and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(65_530);
    (limit.saturating_sub(MAPS_LEFT) / 2).clamp(256, 1 << 20)
}

struct SlotStack {
    slab: Arc<Slab>,
    address: usize,
}

// SAFETY: the slot belongs to this stack alone; its lowest 64 KiB are not accessible.
unsafe impl StackMemory for SlotStack {
    fn top(&self) -> *mut u8 {
        (self.address + self.slab.slot) as *mut u8
    }

    fn range(&self) -> Range<usize> {
        self.address + PAGE..self.address + self.slab.slot
    }

    fn guard_range(&self) -> Range<*mut u8> {
        self.address as *mut u8..(self.address + PAGE) as *mut u8
    }
}

/// Free stacks that keep what most guests use of theirs: the next guest touches it at once. Those beyond keep nothing, for a
/// crowd that has gone would leave hundreds of megabytes. (Several that end at the same moment may be a few too many.)
const WARM_MAX: usize = 1024;

impl Drop for SlotStack {
    fn drop(&mut self) {
        const KEPT: usize = 16 << 10;
        let is_warm = self.slab.warm() < WARM_MAX;
        let kept = if is_warm { KEPT } else { 0 };
        // SAFETY: the slot is owned, and nothing runs on it any more. A failure only costs memory:
        // guests cannot read what lies on a stack.
        unsafe { release(self.address + PAGE, self.slab.slot - PAGE - kept) };
        match is_warm {
            true => self.slab.give_warm(self.address),
            false => self.slab.give(self.address),
        }
    }
}

// SAFETY: see `SlotStack`.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, _zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        if size > self.0.slot - PAGE {
            return Err(wasmtime::Error::msg("a stack larger than the engine's"));
        }
        let slot = self.0.take().map_err(|error| NoStack { max: self.0.max, error })?;
        if slot.is_fresh {
            // SAFETY: the range is the lowest part of a slot that nobody else knows.
            let guarded = unsafe { mprotect(slot.address as *mut _, PAGE, MprotectFlags::empty()) };
            if let Err(error) = guarded {
                self.0.abandon();
                return Err(NoStack { max: self.0.max, error: error.into() }.into());
            }
        }
        Ok(Box::new(SlotStack { slab: self.0.clone(), address: slot.address }))
    }
}

/// There is no stack for a further guest.
#[derive(Debug, thiserror::Error)]
#[error("no stack is left for it: this peer has room for {max} ({error})")]
pub(crate) struct NoStack {
    max: usize,
    #[source]
    error: io::Error,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{recycle::addresses, touched::Touched};

    fn bytes(memory: &mut SlotMemory) -> &mut [u8] {
        // SAFETY: the slot is this memory's, and is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), memory.byte_size()) }
    }

    #[test]
    fn a_slot_used_before_is_zero_again() {
        let memories = Memories::new();
        let mut first = memories.make(64 << 10).unwrap();
        bytes(&mut first).fill(0xff);
        let address = first.address;
        drop(first);
        let mut second = memories.make(64 << 10).unwrap();
        assert_eq!(second.address, address, "slots are reused");
        assert!(bytes(&mut second).iter().all(|byte| *byte == 0));
    }

    #[test]
    fn the_lowest_free_slot_is_taken() {
        let memories = Memories::new();
        let mut all: Vec<Option<SlotMemory>> = (0..10).map(|_| memories.make(64 << 10).ok()).collect();
        let addresses: Vec<usize> = all.iter().map(|memory| memory.as_ref().unwrap().address).collect();
        for gone in [7, 2, 5] {
            all[gone] = None;
        }
        let mut distances = |n: usize, most| {
            let memory: &mut SlotMemory = all[n].as_mut().unwrap();
            memories.free_below(bytes(memory), most)
        };
        assert_eq!((distances(9, 9), distances(9, 1), distances(6, 9)), (vec![7, 4, 2], vec![7], vec![4, 1]));
        assert!(distances(0, 9).is_empty());
        for expect in [2, 5, 7] {
            let again = memories.make(64 << 10).unwrap();
            assert_eq!(again.address, addresses[expect]);
            all.push(Some(again));
        }
    }

    #[test]
    fn growth_keeps_the_content_and_adds_zeros() {
        let memories = Memories::new();
        let mut memory = memories.make(64 << 10).unwrap();
        // What grows inside its slot and shrinks by a drop is zero again too.
        for size in [64 << 10, 128 << 10, 1 << 20, 3 << 20, 20 << 20, 65 << 20] {
            memory.grow_to(size).unwrap();
            assert_eq!(memory.byte_size(), size);
            assert!(memory.byte_capacity() >= size);
            let bytes = bytes(&mut memory);
            assert!(bytes[bytes.len() - (32 << 10)..].iter().all(|byte| *byte == 0));
            bytes[0] = bytes[0].wrapping_add(1);
            bytes[size - 1] = 9;
            bytes[size / 2] = 9;
        }
        assert_eq!(bytes(&mut memory)[0], 6);
        assert_eq!(bytes(&mut memory)[(64 << 10) - 1], 9);
        drop(memory);
        for size in [64 << 10, 256 << 10, 2 << 20, 16 << 20, 64 << 20, 256 << 20] {
            let mut again = memories.make(size).unwrap();
            assert!(bytes(&mut again).iter().all(|byte| *byte == 0), "slot of {size}");
        }
        assert!(memories.make((4 << 30) + 1).is_err());
    }

    #[test]
    fn pages_that_were_touched_are_known() {
        Touched::all_ways().for_each(|touched| pages_are_known(&touched));
    }

    fn pages_are_known(touched: &Touched) {
        let page = touched.page_len();
        let memories = Memories::new();
        let mut memory = memories.make(256 << 10).unwrap();
        let pages = |range: &[u8]| touched.pages(&[addresses(range)]).unwrap().remove(0);
        assert!(pages(bytes(&mut memory)).is_empty());
        bytes(&mut memory)[0] = 1;
        bytes(&mut memory)[3 * page + 7] = 0;
        bytes(&mut memory)[(256 << 10) - 1] = 1;
        assert_eq!(pages(bytes(&mut memory)), [0, 3, (256 << 10) / page - 1]);
        // What is not a whole number of pages ends with a part of one.
        assert_eq!(pages(&bytes(&mut memory)[..3 * page + 1]), [0, 3]);
        let address = memory.address;
        drop(memory);
        let mut again = memories.make(256 << 10).unwrap();
        assert_eq!(again.address, address);
        assert!(pages(bytes(&mut again)).is_empty(), "a slot that is taken anew is untouched");
    }

    #[test]
    fn pages_of_many_are_told_apart() {
        Touched::all_ways().for_each(|touched| pages_are_told_apart(&touched));
    }

    fn pages_are_told_apart(touched: &Touched) {
        let page = touched.page_len();
        let memories = Memories::new();
        // Far more than are asked for together, and of two sizes: neighbours, and some that are far away.
        let size = |n: usize| if n % 50 == 49 { 20 << 20 } else { 64 << 10 };
        let mut many: Vec<SlotMemory> = (0..300).map(|n| memories.make(size(n)).unwrap()).collect();
        many.sort_unstable_by_key(|memory| memory.address);
        for (n, memory) in many.iter_mut().enumerate() {
            bytes(memory)[n % 16 * page] = 1;
            // Some lie to the end of one and at the start of the next.
            (n % 7 == 0).then(|| bytes(memory)[..4 * page].fill(1));
            (n % 7 == 6).then(|| bytes(memory)[12 * page..16 * page].fill(1));
        }
        let ranges: Vec<_> = many.iter_mut().map(|memory| addresses(bytes(memory))).collect();
        let told = touched.pages(&ranges).unwrap();
        let wanted = (0..300).map(|n| {
            let mut pages = BTreeSet::from([n % 16]);
            pages.extend(if n % 7 == 0 { 0..4 } else { 0..0 });
            pages.extend(if n % 7 == 6 { 12..16 } else { 0..0 });
            pages.into_iter().collect()
        });
        assert_eq!(told, wanted.collect::<Vec<Vec<usize>>>());
        assert!(touched.pages(&[]).unwrap().is_empty());
    }

    #[test]
    fn live_slots_never_overlap() {
        let memories = Memories::new();
        let mut live: Vec<SlotMemory> = Vec::new();
        for round in 0usize..4000 {
            let size = 1 + (round * 7919) % (300 << 10);
            live.push(memories.make(size).unwrap());
            if round % 3 == 0 {
                live.swap_remove(round * 31 % live.len());
            }
        }
        let mut ranges: Vec<_> =
            live.iter().map(|memory| (memory.address, memory.address + memory.byte_capacity())).collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    }

    #[test]
    fn stacks_are_usable_and_guarded() {
        let stacks = Stacks::new(256 << 10);
        for _ in 0..3 {
            let stack = stacks.new_stack(256 << 10, false).unwrap();
            let range = stack.range();
            assert_eq!(range.end, stack.top() as usize);
            assert!(range.len() >= 256 << 10);
            // SAFETY: the range is this stack's own.
            unsafe {
                (range.start as *mut u8).write(1);
                (range.end as *mut u8).sub(1).write(1);
            }
            let guard = stack.guard_range();
            assert_eq!(guard.end as usize, range.start);
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            let line = format!("{:x}-{:x} ---p", guard.start as usize, guard.end as usize);
            assert!(maps.contains(&line), "{line} is not in\n{maps}");
        }
    }

    #[test]
    fn a_crowd_that_has_gone_leaves_little_memory() {
        const CROWD: usize = 2 * WARM_MAX;
        let stacks = Stacks::new(64 << 10);
        let mut crowd: Vec<_> = (0..CROWD).map(|_| stacks.new_stack(64 << 10, false).unwrap()).collect();
        let tops: Vec<usize> = crowd.iter().map(|stack| stack.top() as usize).collect();
        for top in &tops {
            // SAFETY: the range is part of the stack of this top.
            unsafe { ((top - 8) as *mut u8).write(1) };
        }
        crowd.clear();
        // What was given back reads as zero; the mapping is there as long as the slab is.
        // SAFETY: as above; the stacks are free, and nobody else knows the slab.
        let kept = tops.iter().filter(|top| unsafe { ((**top - 8) as *const u8).read() } == 1).count();
        assert_eq!(kept, WARM_MAX);
        // Those are taken first.
        crowd.extend((0..CROWD).map(|_| stacks.new_stack(64 << 10, false).unwrap()));
        let (first, rest) = crowd.split_at(WARM_MAX);
        // SAFETY: as above.
        let is_warm = |top: *mut u8| unsafe { top.sub(8).read() } == 1;
        assert!(first.iter().all(|stack| is_warm(stack.top())));
        assert!(!rest.iter().any(|stack| is_warm(stack.top())));
        assert!(crowd.iter().all(|stack| tops.contains(&(stack.top() as usize))), "slots are reused");
    }

    #[test]
    fn a_slab_leaves_no_mapping_behind() {
        let stacks = Stacks::new(64 << 10);
        let stack = stacks.new_stack(64 << 10, false).unwrap();
        let guard = stack.guard_range();
        let line = format!("{:x}-{:x} ---p", guard.start as usize, guard.end as usize);
        let is_mapped = || std::fs::read_to_string("/proc/self/maps").unwrap().contains(&line);
        drop(stacks);
        assert!(is_mapped(), "the stack still lives");
        drop(stack);
        assert!(!is_mapped());
    }

    #[test]
    fn there_is_an_end_of_stacks_and_it_is_told() {
        let stacks = Stacks(Arc::new(Slab::new(128 << 10, 2)));
        let first = stacks.new_stack(64 << 10, false).unwrap();
        let _second = stacks.new_stack(64 << 10, false).unwrap();
        let error = stacks.new_stack(64 << 10, false).err().unwrap();
        assert!(error.to_string().contains("room for 2"), "{error}");
        drop(first);
        assert!(stacks.new_stack(64 << 10, false).is_ok());
    }
}
