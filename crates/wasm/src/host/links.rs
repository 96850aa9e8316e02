// SPDX-License-Identifier: AGPL-3.0-or-later
//! Calls about links, monitors and exit signals.

use super::{Call, Guest, memory, returned};
use crate::trap::Leave;
use hearth_abi::{
    Errno, IMPORT_MODULE, ProcessId,
    exit::{DATA_LEN_MAX, HEAD_LEN, Reason, TEXT_LEN_MAX},
};
use hearth_process::{ExitKind, ExitReason};
use wasmtime::Linker;

/// Longest reason in bytes.
const REASON_LEN_MAX: usize = HEAD_LEN + TEXT_LEN_MAX + DATA_LEN_MAX;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let m = IMPORT_MODULE;
    linker.func_wrap(m, "link", |call: Call<'_>, who: u64| {
        returned(call.data().context.link(ProcessId::from_bits(who)).map(|()| 0))
    })?;
    linker.func_wrap(m, "unlink", |call: Call<'_>, who: u64| {
        call.data().context.unlink(ProcessId::from_bits(who));
        0
    })?;
    linker.func_wrap(m, "monitor", |call: Call<'_>, who: u64, tag: u64| {
        returned(call.data().context.monitor(ProcessId::from_bits(who), tag).map(|()| 0))
    })?;
    linker.func_wrap(m, "demonitor", |call: Call<'_>, tag: u64| {
        returned(call.data().context.demonitor(tag).map(|()| 0))
    })?;
    linker.func_wrap(m, "trap_exits", |call: Call<'_>, on: u32| {
        i32::from(call.data().context.trap_exits(on != 0))
    })?;
    linker.func_wrap(
        m,
        "exit_to",
        |mut call: Call<'_>, who: u64, ptr: u32, len: u32| -> wasmtime::Result<i32> {
            let done = exit_to(&mut call, who, ptr, len)?;
            Ok(returned(done.map(|()| 0)))
        },
    )?;
    linker.func_wrap(m, "exit_with", |mut call: Call<'_>, ptr: u32, len: u32| -> wasmtime::Result<()> {
        let malformed = |_| ExitReason::new(ExitKind::Error, "ended with a reason that is malformed");
        Err(Leave(reason(&mut call, ptr, len).unwrap_or_else(malformed)).raise())
    })?;
    Ok(())
}

/// The reason in this range, its text as it may be shown on somebody's terminal.
fn reason(call: &mut Call<'_>, ptr: u32, len: u32) -> Result<ExitReason, Errno> {
    let (memory, _) = memory::open(call)?;
    let bytes = memory::bytes(memory, ptr, len)?;
    if bytes.len() > REASON_LEN_MAX {
        return Err(Errno::Limit);
    }
    let Reason { kind, text, data } = Reason::decode(bytes).or(Err(Errno::Invalid))?;
    let text = if text.is_empty() { kind.name().to_owned() } else { memory::shown(text, TEXT_LEN_MAX) };
    Ok(ExitReason { data: data.to_vec().into(), ..ExitReason::new(kind, text) })
}

/// The outer error ends the caller: who makes itself end does not come back.
fn exit_to(call: &mut Call<'_>, who: u64, ptr: u32, len: u32) -> wasmtime::Result<Result<(), Errno>> {
    let who = ProcessId::from_bits(who);
    let reason = match reason(call, ptr, len) {
        Ok(reason) => reason,
        Err(errno) => return Ok(Err(errno)),
    };
    let context = &call.data().context;
    if who == call.data().caller.process {
        if reason.kind == ExitKind::Kill {
            let text = if reason.text == ExitKind::Kill.name() { "killed".into() } else { reason.text };
            let killed = ExitReason { data: reason.data, ..ExitReason::new(ExitKind::Killed, text) };
            return Err(Leave(killed).raise());
        }
        if !context.traps_exits() {
            return Err(Leave(reason).raise());
        }
    }
    Ok(context.exit_to(who, &reason).map_err(|error| error.errno()))
}
