// SPDX-License-Identifier: AGPL-3.0-or-later
//! Calls that wait on the guest's own stack.

use super::{Call, Guest, calls::try_recv, returned};
use hearth_abi::{Errno, IMPORT_MODULE_BLOCKING};
use hearth_process::State;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use wasmtime::{AsContextMut, Linker};

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let m = IMPORT_MODULE_BLOCKING;
    linker.func_wrap_async(m, "recv", |mut call: Call<'_>, (ptr, cap, timeout_ms): (u32, u32, i32)| {
        Box::new(async move { returned(recv(&mut call, ptr, cap, timeout_ms).await) })
    })?;
    linker.func_wrap_async(m, "sleep", |mut call: Call<'_>, (ns,): (i64,)| {
        Box::new(async move { returned(sleep(&mut call, ns).await) })
    })?;
    Ok(())
}

async fn recv(call: &mut Call<'_>, ptr: u32, cap: u32, timeout_ms: i32) -> Result<u32, Errno> {
    match try_recv(call, ptr, cap) {
        Err(Errno::Again) => {}
        done => return done,
    }
    let context = call.data().context.clone();
    let wait = context.wait(State::Waiting);
    match timeout_ms {
        -1 => {
            wait.await;
        }
        0 => return Err(Errno::TimedOut),
        1.. => {
            let deadline = Instant::now() + Duration::from_millis(timeout_ms as u64);
            if timeout_at(deadline, wait).await.is_err() {
                // Its state is left as it was when the wait was given up.
                context.resume();
                begin_turn(call);
                return Err(Errno::TimedOut);
            }
        }
        ..-1 => return Err(Errno::Invalid),
    }
    begin_turn(call);
    match try_recv(call, ptr, cap) {
        // There is one receiver, and it was told that there is a signal.
        Err(Errno::Again) => Err(Errno::Host),
        done => done,
    }
}

async fn sleep(call: &mut Call<'_>, ns: i64) -> Result<u32, Errno> {
    let ns = u64::try_from(ns).or(Err(Errno::Invalid))?;
    let context = call.data().context.clone();
    context.sleep(Duration::from_nanos(ns)).await;
    begin_turn(call);
    Ok(0)
}

/// The guest has not run just now: its slice begins anew.
fn begin_turn(call: &mut Call<'_>) {
    call.as_context_mut().set_epoch_deadline(1);
    call.data().wasm.ticker.touch();
}
