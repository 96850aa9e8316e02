// SPDX-License-Identifier: AGPL-3.0-or-later
//! The host's side of the guest contract.
//!
//! Each call takes numbers from a stranger. Pointers and lengths go through [`memory`], which answers
//! *fault* for what is outside; what a guest may ask of this machine goes through [`authority`].

mod authority;
mod calls;
mod guest;
mod links;
mod memory;
mod services;
mod waiting;

pub(crate) use calls::{CALLS, before_wake};
pub(crate) use guest::{Guest, Occupant};

use hearth_abi::Errno;
use wasmtime::Linker;

type Call<'a> = wasmtime::Caller<'a, Guest>;

/// Offers all calls of the contract.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    calls::link(linker)?;
    links::link(linker)?;
    services::link(linker)?;
    waiting::link(linker)
}

/// What a call returns to the guest.
fn returned(result: Result<u32, Errno>) -> i32 {
    match result {
        // Lengths are within the contract's bounds, far below.
        Ok(number) => i32::try_from(number).unwrap_or(i32::MAX),
        Err(errno) => errno.as_return(),
    }
}

/// What a call that answers with an id returns to the guest.
fn returned_id(result: Result<u64, Errno>) -> i64 {
    match result {
        Ok(bits) => bits as i64,
        Err(errno) => i64::from(errno.as_return()),
    }
}
