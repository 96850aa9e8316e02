// SPDX-License-Identifier: AGPL-3.0-or-later
//! The table of all calls, and those that need nothing but the process table.

use super::{Call, Guest, memory, returned, returned_id};
use crate::trap::{Leave, leave_normally};
use hearth_abi::{Errno, IMPORT_MODULE, IMPORT_MODULE_BLOCKING, ProcessId, signal};
use hearth_process::{Context, ExitKind, ExitReason, Level, NAME_LEN_MAX, Signal, TEXT_LEN_MAX, Take};
use rand::RngCore;
use std::time::{Duration, SystemTime};
use wasmtime::{FuncType, Linker, Store, ValType};

/// Longest reason of an exit or a kill in bytes; what is longer is cut.
const REASON_LEN_MAX: usize = 4096;
/// Most random bytes of one call.
const RANDOM_LEN_MAX: u32 = 64 << 10;

/// Least room that signals are put into before `wake` is called: for their length, and for one without a body.
const WAKE_WITH_LEN_MIN: usize = 8 + signal::entry_len(signal::HEADER_LEN);

/// Most bytes of several signals that are taken at a time, unless the first alone has more.
const MANY_LEN_MAX: usize = 64 << 10;

/// Types of parameters and results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    I32,
    I64,
}
use Type::{I32, I64};

/// A call of the contract.
pub(crate) struct CallType {
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
    params: &'static [Type],
    result: Option<Type>,
}

impl CallType {
    /// Whether a function of this type can be imported by this name.
    pub(crate) fn has_type(&self, ty: &FuncType) -> bool {
        let same = |(ours, theirs): (&Type, ValType)| match ours {
            I32 => theirs.is_i32(),
            I64 => theirs.is_i64(),
        };
        ty.params().len() == self.params.len()
            && ty.results().len() == self.result.iter().len()
            && self.params.iter().zip(ty.params()).all(same)
            && self.result.iter().zip(ty.results()).all(same)
    }

    /// Its type in words.
    pub(crate) fn type_text(&self) -> String {
        let name = |ty: &Type| if *ty == I32 { "i32" } else { "i64" };
        let params = self.params.iter().map(name).collect::<Vec<_>>().join(", ");
        match &self.result {
            Some(result) => format!("({params}) -> {}", name(result)),
            None => format!("({params})"),
        }
    }
}

const fn call(name: &'static str, params: &'static [Type], result: Type) -> CallType {
    CallType { module: IMPORT_MODULE, name, params, result: Some(result) }
}

const fn blocking(name: &'static str, params: &'static [Type]) -> CallType {
    CallType { module: IMPORT_MODULE_BLOCKING, name, params, result: Some(I32) }
}

/// All calls of the contract, as `docs/formats/guest.md` lists them.
pub(crate) const CALLS: &[CallType] = &[
    call("self", &[], I64),
    call("peer", &[], I32),
    call("origin", &[], I32),
    call("args", &[I32, I32], I32),
    CallType { module: IMPORT_MODULE, name: "exit", params: &[I32, I32], result: None },
    call("try_recv", &[I32, I32], I32),
    call("try_recv_many", &[I32, I32], I32),
    call("wake_with", &[I32, I32], I32),
    call("send", &[I64, I32, I32], I32),
    call("spawn", &[I32, I32, I32, I32, I32], I64),
    call("spawn_link", &[I32, I32, I32, I32, I32], I64),
    call("spawn_monitor", &[I32, I32, I32, I32, I32, I64], I64),
    call("spawn_on", &[I32, I32, I32, I32, I32, I32, I64], I32),
    call("spawn_on_link", &[I32, I32, I32, I32, I32, I32, I64], I32),
    call("spawn_on_monitor", &[I32, I32, I32, I32, I32, I32, I64, I64], I32),
    call("kill", &[I64, I32, I32], I32),
    call("link", &[I64], I32),
    call("unlink", &[I64], I32),
    call("monitor", &[I64, I64], I32),
    call("demonitor", &[I64], I32),
    call("trap_exits", &[I32], I32),
    call("exit_to", &[I64, I32, I32], I32),
    CallType { module: IMPORT_MODULE, name: "exit_with", params: &[I32, I32], result: None },
    call("register", &[I32, I32], I32),
    call("unregister", &[I32, I32], I32),
    call("whereis", &[I32, I32], I64),
    call("global_register", &[I32, I32, I64], I32),
    call("global_unregister", &[I32, I32, I64], I32),
    call("global_whereis", &[I32, I32, I64], I32),
    call("group_join", &[I32, I32, I64], I32),
    call("group_leave", &[I32, I32, I64], I32),
    call("group_members", &[I32, I32, I64], I32),
    call("clock_monotonic", &[], I64),
    call("clock_wall", &[], I64),
    call("throttled", &[], I64),
    call("timer", &[I64, I64], I32),
    call("cancel_timer", &[I64], I32),
    call("random", &[I32, I32], I32),
    call("log", &[I32, I32, I32, I32, I32], I32),
    call("lump_put", &[I32, I32, I32, I64], I32),
    call("lump_read", &[I32, I64, I32, I32, I64], I32),
    call("lump_size", &[I32, I32, I64], I32),
    call("lump_push", &[I32, I32, I64], I32),
    call("asset_load", &[I32, I32, I32, I64], I32),
    call("asset_drop", &[I32, I32, I32], I32),
    call("entity_ids", &[I32], I64),
    call("scene_apply", &[I32, I32], I32),
    call("scene_read", &[I64, I32, I32, I32], I32),
    call("scene_cast", &[I32, I32, I64], I32),
    call("input_subscribe", &[I32], I32),
    call("pointer_capture", &[I32], I32),
    call("peer_name", &[I32, I32, I32], I32),
    call("file_load", &[I32, I32, I64], I32),
    call("terminal_open", &[I32, I32, I64], I32),
    call("terminal_command", &[I64, I32, I32], I32),
    call("terminal_views", &[I64, I32, I32], I32),
    call("keyboard_focus", &[I64], I32),
    call("keyboard_leave", &[I32], I32),
    call("clipboard_write", &[I32, I32], I32),
    call("clipboard_read", &[I64], I32),
    call("command", &[I32, I32, I64], I32),
    blocking("recv", &[I32, I32, I32]),
    blocking("sleep", &[I64]),
];

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let m = IMPORT_MODULE;
    linker.func_wrap(m, "self", |call: Call<'_>| call.data().caller.process.to_bits())?;
    linker.func_wrap(m, "peer", |call: Call<'_>| call.data().context.peer().number())?;
    linker.func_wrap(m, "origin", |call: Call<'_>| call.data().caller.origin.number())?;
    linker
        .func_wrap(m, "args", |mut call: Call<'_>, ptr: u32, cap: u32| returned(args(&mut call, ptr, cap)))?;
    linker.func_wrap(m, "exit", |mut call: Call<'_>, ptr: u32, len: u32| -> wasmtime::Result<()> {
        Err(exit(&mut call, ptr, len))
    })?;
    linker.func_wrap(m, "try_recv", |mut call: Call<'_>, ptr: u32, cap: u32| {
        returned(try_recv(&mut call, ptr, cap))
    })?;
    linker.func_wrap(m, "try_recv_many", |mut call: Call<'_>, ptr: u32, cap: u32| {
        returned(try_recv_many(&mut call, ptr, cap))
    })?;
    linker.func_wrap(m, "wake_with", |mut call: Call<'_>, ptr: u32, cap: u32| {
        returned(wake_with(&mut call, ptr, cap))
    })?;
    linker.func_wrap(m, "send", |mut call: Call<'_>, to: u64, ptr: u32, len: u32| {
        returned(send(&mut call, to, ptr, len))
    })?;
    linker.func_wrap(
        m,
        "kill",
        |mut call: Call<'_>, who: u64, ptr: u32, len: u32| -> wasmtime::Result<i32> {
            match kill(&mut call, who, ptr, len)? {
                Ok(()) => Ok(0),
                Err(errno) => Ok(errno.as_return()),
            }
        },
    )?;
    linker.func_wrap(m, "register", |mut call: Call<'_>, ptr: u32, len: u32| {
        returned(register(&mut call, ptr, len))
    })?;
    linker.func_wrap(m, "unregister", |mut call: Call<'_>, ptr: u32, len: u32| {
        returned(unregister(&mut call, ptr, len))
    })?;
    linker.func_wrap(m, "whereis", |mut call: Call<'_>, ptr: u32, len: u32| {
        returned_id(whereis(&mut call, ptr, len))
    })?;
    linker
        .func_wrap(m, "clock_monotonic", |call: Call<'_>| call.data().context.uptime().as_nanos() as i64)?;
    linker.func_wrap(m, "clock_wall", |_: Call<'_>| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |time| time.as_nanos() as i64)
    })?;
    linker.func_wrap(m, "throttled", |call: Call<'_>| call.data().context.throttled().as_nanos() as i64)?;
    linker
        .func_wrap(m, "timer", |call: Call<'_>, after: i64, tag: u64| returned(timer(&call, after, tag)))?;
    linker.func_wrap(m, "cancel_timer", |call: Call<'_>, tag: u64| {
        returned(call.data().context.cancel_timer(tag).map(|()| 0))
    })?;
    linker.func_wrap(m, "random", |mut call: Call<'_>, ptr: u32, len: u32| {
        returned(random(&mut call, ptr, len))
    })?;
    linker.func_wrap(
        m,
        "log",
        |mut call: Call<'_>, level: i32, target_ptr: u32, target_len: u32, ptr: u32, len: u32| {
            returned(log(&mut call, level, (target_ptr, target_len), (ptr, len)))
        },
    )?;
    Ok(())
}

fn args(call: &mut Call<'_>, ptr: u32, cap: u32) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    memory::answer(memory, ptr, cap, guest.context.args())
}

fn exit(call: &mut Call<'_>, ptr: u32, len: u32) -> wasmtime::Error {
    let reason = memory::open(call).and_then(|(memory, _)| memory::prose(memory, ptr, len, REASON_LEN_MAX));
    let text = match reason {
        Ok(text) if text.is_empty() => {
            // How most processes end, and soon: nothing is made that is only to be thrown away.
            call.data_mut().has_left = true;
            return leave_normally();
        }
        Ok(text) => text.into(),
        Err(_) => "ended with a reason that is outside of its memory".into(),
    };
    Leave(ExitReason { text, ..ExitReason::of_kind(ExitKind::Error) }).raise()
}

pub(super) fn try_recv(call: &mut Call<'_>, ptr: u32, cap: u32) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    let room = memory::bytes_mut(memory, ptr, cap)?;
    let cap = room.len();
    match guest.context.take_by(cap, |signal| memory::write_signal(room, signal)) {
        Take::Empty => Err(Errno::Again),
        Take::TooLong(len) => u32::try_from(len).or(Err(Errno::Limit)),
        Take::Signal(len) => Ok(len),
    }
}

fn try_recv_many(call: &mut Call<'_>, ptr: u32, cap: u32) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    guest.inbox = ptr;
    let room = memory::bytes_mut(memory, ptr, cap)?;
    let (len, wanted) = take_many(&guest.context, room);
    match len.max(wanted) {
        0 => Err(Errno::Again),
        len => u32::try_from(len).or(Err(Errno::Limit)),
    }
}

/// Takes signals, as many as there is room for; returns how long they are with what is before and between them, and how much room the first
/// needs if there is too little.
#[inline]
fn take_many(context: &Context, room: &mut [u8]) -> (usize, usize) {
    // Most turns have one.
    let (mut at, mut wanted) = (0, 0);
    if context.take_first(|signal| put(room, &mut at, &mut wanted, signal)).is_none() {
        (at, wanted) = take_others(context, room);
    }
    (at, wanted)
}

#[inline(never)]
fn take_others(context: &Context, room: &mut [u8]) -> (usize, usize) {
    let (mut at, mut wanted) = (0, 0);
    context.take_many(|signal| put(room, &mut at, &mut wanted, signal));
    (at, wanted)
}

/// Writes a signal behind others that take `at` bytes. `false` if there is no room, for which `wanted` tells how much the first needs, or
/// if they are so many that the call is to be over.
#[inline(always)]
fn put(room: &mut [u8], at: &mut usize, wanted: &mut usize, signal: &Signal) -> bool {
    let len = signal.encoded_len();
    let entry = signal::entry_len(len);
    if *at > 0 && *at + entry > MANY_LEN_MAX {
        return false;
    }
    let Some(to) = room.get_mut(*at..*at + entry) else {
        *wanted = if *at == 0 { entry } else { 0 };
        return false;
    };
    let (head, to) = to.split_at_mut(signal::ENTRY_HEAD_LEN);
    head.copy_from_slice(&(len as u64).to_le_bytes());
    memory::write_signal(to, signal);
    *at += entry;
    true
}

fn wake_with(call: &mut Call<'_>, ptr: u32, cap: u32) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    let room = memory::bytes_mut(memory, ptr, cap)?;
    guest.wake_with = match room.len() {
        0 => None,
        len if len < WAKE_WITH_LEN_MIN => return Err(Errno::Invalid),
        _ => Some((ptr, cap)),
    };
    Ok(0)
}

/// `wake` is about to be called: puts signals where the guest wants them to be then.
#[inline]
pub(crate) fn before_wake(store: &mut Store<Guest>) {
    let Some((ptr, cap)) = store.data().wake_with else { return };
    // A memory does not become smaller while its guest lives.
    let Some((memory, guest)) = memory::open_between(store) else { return };
    let Ok(room) = memory::bytes_mut(memory, ptr, cap) else { return };
    let Some((head, room)) = room.split_first_chunk_mut::<8>() else { return };
    guest.inbox = ptr;
    let (len, _) = take_many(&guest.context, room);
    *head = (len as u64).to_le_bytes();
}

fn send(call: &mut Call<'_>, to: u64, ptr: u32, len: u32) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    let body = memory::bytes(memory, ptr, len)?;
    guest.context.send(ProcessId::from_bits(to), body).map_err(|error| error.errno())?;
    Ok(0)
}

/// The outer error ends the caller: who kills itself does not come back.
fn kill(call: &mut Call<'_>, who: u64, ptr: u32, len: u32) -> wasmtime::Result<Result<(), Errno>> {
    let who = ProcessId::from_bits(who);
    let reason = memory::open(call).and_then(|(memory, _)| memory::prose(memory, ptr, len, REASON_LEN_MAX));
    let reason = match reason {
        Ok(reason) => reason,
        Err(errno) => return Ok(Err(errno)),
    };
    if who == call.data().caller.process {
        let text = if reason.is_empty() { "killed".to_owned() } else { reason };
        return Err(Leave(ExitReason::new(ExitKind::Killed, text)).raise());
    }
    Ok(call.data().context.kill(who, &reason).map_err(|error| error.errno()))
}

/// A name in the guest's memory.
pub(super) fn name(memory: &[u8], ptr: u32, len: u32) -> Result<&str, Errno> {
    memory::text(memory, ptr, len, NAME_LEN_MAX)
}

fn register(call: &mut Call<'_>, ptr: u32, len: u32) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    guest.context.register(name(memory, ptr, len)?).map_err(|error| error.errno())?;
    Ok(0)
}

fn unregister(call: &mut Call<'_>, ptr: u32, len: u32) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    if guest.context.unregister(name(memory, ptr, len)?) { Ok(0) } else { Err(Errno::NotFound) }
}

fn whereis(call: &mut Call<'_>, ptr: u32, len: u32) -> Result<u64, Errno> {
    let (memory, guest) = memory::open(call)?;
    let found = guest.context.whereis(name(memory, ptr, len)?);
    found.map(ProcessId::to_bits).ok_or(Errno::NotFound)
}

fn timer(call: &Call<'_>, after: i64, tag: u64) -> Result<u32, Errno> {
    let after = u64::try_from(after).or(Err(Errno::Invalid))?;
    call.data().context.set_timer(Duration::from_nanos(after), tag)?;
    Ok(0)
}

fn random(call: &mut Call<'_>, ptr: u32, len: u32) -> Result<u32, Errno> {
    let (memory, _) = memory::open(call)?;
    let room = memory::bytes_mut(memory, ptr, len)?;
    if len > RANDOM_LEN_MAX {
        return Err(Errno::Invalid);
    }
    rand::rngs::OsRng.try_fill_bytes(room).or(Err(Errno::Host))?;
    Ok(0)
}

fn log(call: &mut Call<'_>, level: i32, target: (u32, u32), text: (u32, u32)) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    let target = memory::prose(memory, target.0, target.1, NAME_LEN_MAX)?;
    let text = memory::prose(memory, text.0, text.1, TEXT_LEN_MAX)?;
    let level = Level::from_number(level).ok_or(Errno::Invalid)?;
    guest.context.log(level, &target, &text)?;
    Ok(0)
}

// The largest signal fits a guest's address space many times over.
const _: () = assert!(signal::HEADER_LEN + signal::BODY_LEN_MAX < u32::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_documented() {
        let document = include_str!("../../../../docs/formats/guest.md");
        for call in CALLS {
            assert!(document.contains(&format!("\n| `{}(", call.name)), "{} is not in guest.md", call.name);
        }
    }
}
