// SPDX-License-Identifier: AGPL-3.0-or-later
//! Ranges of a guest's memory. Everything outside of it is [`Errno::Fault`].
#![expect(unsafe_code, reason = "where a memory lies is remembered, measured: see `View`")]

use super::{Call, Guest};
use hearth_abi::{Errno, LumpId, PeerId, signal::HEADER_LEN};
use hearth_process::Signal;
use std::{ops::Range, ptr, slice};
use wasmtime::{AsContext, Extern, Memory, Store};

/// Where the memory of a guest lies.
///
/// The engine finds it by five loads that wait for each other, at each host call: a quarter of what it took to send a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    start: usize,
    len: usize,
}

impl View {
    /// Its address.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    fn of(memory: Memory, store: impl AsContext<Data = Guest>) -> View {
        View { start: memory.data_ptr(&store).expose_provenance(), len: memory.data_size(&store) }
    }

    /// The memory.
    ///
    /// # Safety
    /// It is as in `store`, and lies where it did. Its bytes are not accessed otherwise during `'a`.
    unsafe fn bytes<'a>(self, store: impl AsContext<Data = Guest>) -> &'a mut [u8] {
        debug_assert_eq!(
            store.as_context().data().memory.map(|memory| View::of(memory, &store)),
            Some(self),
            "it has moved"
        );
        // SAFETY: the caller says so. `expose_provenance` was called for it in `of`.
        unsafe { slice::from_raw_parts_mut(ptr::with_exposed_provenance_mut(self.start), self.len) }
    }
}

/// The guest's memory and what the host keeps of it.
#[inline]
pub(super) fn open<'a>(call: &'a mut Call<'_>) -> Result<(&'a mut [u8], &'a mut Guest), Errno> {
    let Some(view) = call.data().view else { return open_anew(call) };
    // SAFETY: the instance has this one memory, which is not shared, and its pages stay where they are until it grows. Before it
    // does the engine asks `Guest::memory_growing`, which forgets the view; so do `leave`, `enter` and `thaw`, between which it may
    // be made smaller. While this borrow of `call` lasts no guest runs, and the memory cannot be had otherwise. `Guest` does not lie in it.
    let memory = unsafe { view.bytes(&*call) };
    Ok((memory, call.data_mut()))
}

/// As [`open`], between two calls of the guest; `None` if its memory was never needed.
#[inline]
pub(super) fn open_between(store: &mut Store<Guest>) -> Option<(&mut [u8], &mut Guest)> {
    let Some(view) = store.data().view else {
        let memory = store.data().memory?;
        store.data_mut().view = Some(View::of(memory, &*store));
        return Some(memory.data_and_store_mut(store));
    };
    // SAFETY: as in `open`.
    let memory = unsafe { view.bytes(&*store) };
    Some((memory, store.data_mut()))
}

#[cold]
fn open_anew<'a>(call: &'a mut Call<'_>) -> Result<(&'a mut [u8], &'a mut Guest), Errno> {
    let memory = memory(call).ok_or(Errno::Fault)?;
    call.data_mut().view = Some(View::of(memory, &*call));
    Ok(memory.data_and_store_mut(call))
}

fn memory(call: &mut Call<'_>) -> Option<Memory> {
    if let Some(memory) = call.data().memory {
        return Some(memory);
    }
    // Looked up here rather than after instantiation: a module's own start function may call too.
    let Some(Extern::Memory(memory)) = call.get_export("memory") else { return None };
    call.data_mut().memory = Some(memory);
    Some(memory)
}

fn range(memory: &[u8], ptr: u32, len: u32) -> Result<Range<usize>, Errno> {
    let (start, len) = (ptr as usize, len as usize);
    let end = start.checked_add(len).ok_or(Errno::Fault)?;
    if end > memory.len() { Err(Errno::Fault) } else { Ok(start..end) }
}

/// The bytes of this range.
pub(super) fn bytes(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8], Errno> {
    Ok(&memory[range(memory, ptr, len)?])
}

/// The bytes of this range, to be written.
pub(super) fn bytes_mut(memory: &mut [u8], ptr: u32, len: u32) -> Result<&mut [u8], Errno> {
    let range = range(memory, ptr, len)?;
    Ok(&mut memory[range])
}

/// Text in this range, of at most `max` bytes.
pub(super) fn text(memory: &[u8], ptr: u32, len: u32, max: usize) -> Result<&str, Errno> {
    let bytes = bytes(memory, ptr, len)?;
    if bytes.len() > max {
        return Err(Errno::Invalid);
    }
    str::from_utf8(bytes).or(Err(Errno::Invalid))
}

/// Text in this range as it is meant for people: cut after `max` bytes; what is no UTF-8 is replaced, and
/// so are control characters, because it may be shown on somebody's terminal.
pub(super) fn prose(memory: &[u8], ptr: u32, len: u32, max: usize) -> Result<String, Errno> {
    let bytes = bytes(memory, ptr, len)?;
    Ok(shown(&String::from_utf8_lossy(&bytes[..bytes.len().min(max)]), max))
}

/// A text as it may be shown on somebody's terminal, of at most `max` bytes.
pub(super) fn shown(text: &str, max: usize) -> String {
    let shown =
        |c: char| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    let mut text: String = text.chars().map(shown).collect();
    text.truncate(text.floor_char_boundary(max));
    text
}

/// The lump id at this address.
pub(super) fn lump_id(memory: &[u8], ptr: u32) -> Result<LumpId, Errno> {
    let bytes = bytes(memory, ptr, 32)?;
    let mut id = [0; 32];
    id.copy_from_slice(bytes);
    Ok(LumpId(id))
}

/// The peer of this number; a number that no peer can have is no peer.
pub(super) fn peer_id(number: u32) -> Result<PeerId, Errno> {
    PeerId::new(number).ok_or(Errno::NoPeer)
}

/// Writes the bytes if they have at most `cap`; returns their number in any case.
pub(super) fn answer(memory: &mut [u8], ptr: u32, cap: u32, bytes: &[u8]) -> Result<u32, Errno> {
    // Checked even if nothing will be written: a bad pointer is a fault of the guest, not of the data.
    let room = bytes_mut(memory, ptr, cap)?;
    if let Some(room) = room.get_mut(..bytes.len()) {
        room.copy_from_slice(bytes);
    }
    u32::try_from(bytes.len()).or(Err(Errno::Limit))
}

/// Writes a signal into a range that has room for it. Number by number: a header that is encoded first, and copied then, has to
/// be there before it can be read.
#[inline(always)]
pub(super) fn write_signal(room: &mut [u8], Signal { header, body }: &Signal) -> u32 {
    let (head, rest) = room.split_at_mut(HEADER_LEN);
    let words = [
        u64::from(header.kind as u16) | u64::from(header.status.cast_unsigned()) << 32,
        header.from,
        header.tag,
    ];
    for (to, word) in head.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    body.write_to(rest);
    (HEADER_LEN + body.len()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_abi::signal::{Header, Kind};

    #[test]
    fn a_signal_is_written_as_it_is_encoded() {
        let header = Header { kind: Kind::Down, status: -7, from: 0x0102_0304_0506_0708, tag: u64::MAX - 1 };
        let mut room = [0xa5; 40];
        assert_eq!(write_signal(&mut room, &Signal { header, body: b"tea"[..].into() }), 27);
        assert_eq!((&room[..24], &room[24..28]), (&header.encode()[..], &b"tea\xa5"[..]));
    }
}
