// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a turn begins with is fetched into the processor's cache while the turn before it ends.
//!
//! A turn of one process among thousands reads some twenty cache lines that others have displaced meanwhile: most belong to the engine's
//! store and instance. It finds many by what is in the one before, and waits. In a ring of 1000 that was 51 of the 143 ns of a hop, by
//! comparison with two processes that play; fetched ahead, it is 38 of 129.
//!
//! Where the lines are was taken from a trace of one hop, and is so for this version of the engine alone. Whatever else lies there is
//! fetched in vain, no more.
#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "an instruction without a wrapper, measured: a hop of a ring of 1000 takes nine tenths"
    )
)]

use crate::program::Live;
use hearth_process::Footprint;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Where a store keeps what a call needs, from what the host keeps in it.
const STORE: [usize; 6] = [0, LINE, ENGINE - 0x188, ENGINE, ENGINE + 0x30, ENGINE + 0x70];

/// Where a store has its engine, from there.
const ENGINE: usize = 0x310;

/// Where an instance keeps what a call needs, before the reference of the function that is called: that itself, and from here to there
/// what begins the instance of a module with few imports.
const INSTANCE: [usize; 9] = [0, 0x140, 0x180, 0x1c0, 0x200, 0x240, 0x280, 0x2c0, 0x300];

/// Where what the turns of this guest begin with is.
pub(crate) fn footprint(live: &Live) -> Footprint {
    let guest = live.store.data();
    [address(live), address(guest), live.wake_at, guest.inbox_at()]
}

/// Fetches what a turn of this guest begins with.
#[inline]
pub(crate) fn fetch<T>(turns: &T, [live, guest, wake, inbox]: Footprint) {
    if guest == 0 {
        return;
    }
    fetch_line(address(turns));
    fetch_line(live);
    STORE.iter().for_each(|at| fetch_line(guest.wrapping_add(*at)));
    INSTANCE.iter().for_each(|at| fetch_line(wake.wrapping_sub(*at)));
    fetch_line(inbox);
    fetch_line(inbox.wrapping_add(LINE));
}

fn address<T>(of: &T) -> usize {
    std::ptr::from_ref(of).addr()
}

#[inline]
fn fetch_line(address: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction is a hint. It accesses nothing as far as a program can tell, and does not fault, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(address)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Guest;
    use wasmtime::{Engine, Store};

    /// If this fails the engine, or the compiler, lays a store out anew: a trace of a hop tells the places.
    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn a_store_is_laid_out_as_in_the_trace() {
        let store = Store::new(&Engine::default(), Guest::vacant());
        assert_eq!(address(store.engine()).wrapping_sub(address(store.data())), ENGINE);
    }

    #[test]
    fn any_address_may_be_fetched() {
        for at in [0, 1, LINE, 1 << 40, usize::MAX - LINE, usize::MAX] {
            fetch_line(at);
            fetch(&at, [at; 4]);
        }
    }
}
