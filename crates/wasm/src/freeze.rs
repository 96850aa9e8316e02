// SPDX-License-Identifier: AGPL-3.0-or-later
//! Guests that have waited for a while, without their instances.
//!
//! What a guest is between two turns is what it has changed of a new instance: bytes of its memory, and globals. A guest that
//! hibernates is kept as that, which for a small one is much less than an instance and its pages, and the instance goes to
//! others. Before its next turn it gets one again, on which the same is written.
//!
//! Whoever can be recycled can be frozen, for the same reasons (`recycle`).

use crate::{
    host::Occupant,
    program::Live,
    recycle::{Original, Spares, addresses},
};
use std::ops::Range;
use wasmtime::Val;

/// Most pages that are looked through. Who has touched more stays as it is.
const PAGES_MAX: usize = 256;
/// Most bytes that are kept: beyond, too little would be won.
const KEPT_MAX: usize = 64 << 10;
/// Memory is compared by so many bytes.
const BLOCK: usize = 32;

/// A guest without its instance.
pub(crate) struct Frozen {
    pub(crate) occupant: Occupant,
    pub(crate) image: Image,
}

/// What a guest has changed of a new instance.
pub(crate) struct Image {
    /// Bytes of its memory, changed or not.
    memory_bytes: usize,
    /// Where its memory is not that of a new instance.
    runs: Box<[Range<u32>]>,
    /// What is there, one after another.
    bytes: Box<[u8]>,
    /// The globals that are not those of a new instance, by their place in the recipe.
    globals: Box<[(u8, Val)]>,
}

impl Spares {
    /// Takes the guest out of an instance between two turns; `None` if it is to stay there.
    pub(crate) fn freeze(&self, live: &mut Live) -> Option<Frozen> {
        let original = self.original()?;
        let Live { store, recyclable, .. } = live;
        let recyclable = recyclable.as_ref()?;
        let memory = recyclable.memory().data(&*store);
        let pages = self.touched().pages(&[addresses(memory)])?.pop()?;
        if pages.len() > PAGES_MAX {
            return None;
        }
        let mut image = changed(original, memory, &pages, self.touched().page_len())?;
        image.globals = recyclable.changed_globals(original, store);
        let occupant = store.data_mut().freeze()?;
        Some(Frozen { occupant, image })
    }
}

/// What of a memory, of which these pages were touched, is not as in a new instance, without globals; `None` if that is too
/// much.
fn changed(original: &Original, memory: &[u8], pages: &[usize], page_len: usize) -> Option<Image> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    let mut bytes = Vec::new();
    let mut originals = original.pages().iter().peekable();
    for &number in pages {
        let start = number * page_len;
        let page = &memory[start..memory.len().min(start + page_len)];
        // One that was not touched is not there any more: the memory is not what it was taken for.
        if originals.peek().is_some_and(|(of, _)| *of < number) {
            return None;
        }
        let before = originals.next_if(|(of, _)| *of == number).map(|(_, content)| &**content);
        for (at, block) in page.chunks(BLOCK).enumerate() {
            let at = at * BLOCK;
            let is_same = match before {
                Some(before) => before.get(at..at + block.len()) == Some(block),
                None => block.iter().all(|byte| *byte == 0),
            };
            if is_same {
                continue;
            }
            if bytes.len() + block.len() > KEPT_MAX {
                return None;
            }
            bytes.extend_from_slice(block);
            // A memory of 32-bit addresses has no place beyond.
            let (from, to) = (u32::try_from(start + at).ok()?, u32::try_from(start + at + block.len()).ok()?);
            match runs.last_mut() {
                Some(last) if last.end == from => last.end = to,
                _ => runs.push(from..to),
            }
        }
    }
    let image =
        Image { memory_bytes: memory.len(), runs: runs.into(), bytes: bytes.into(), globals: Box::default() };
    originals.next().is_none().then_some(image)
}

impl Image {
    /// Bytes of the memory that it is of.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl Live {
    /// Makes an instance that is as new what the image was taken of.
    ///
    /// # Errors
    /// The system gives no memory of that size.
    pub(crate) fn write(&mut self, image: &Image) -> wasmtime::Result<()> {
        let Live { store, recyclable, .. } = self;
        let Some(recyclable) = recyclable.as_ref() else { return Ok(()) };
        let memory = recyclable.memory();
        let more = image.memory_bytes.saturating_sub(memory.data_size(&*store)) as u64;
        if more > 0 {
            let pages = more / memory.page_size(&*store);
            memory.grow(&mut *store, pages)?;
        }
        let data = memory.data_mut(&mut *store);
        let mut bytes = &*image.bytes;
        for run in &image.runs {
            let (these, rest) = bytes.split_at(run.len());
            data[run.start as usize..run.end as usize].copy_from_slice(these);
            bytes = rest;
        }
        recyclable.set_globals(&image.globals, store)
    }
}
