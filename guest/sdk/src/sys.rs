// SPDX-License-Identifier: AGPL-3.0-or-later
//! The calls of the contract (`docs/formats/guest.md`) as they are: slices in, raw results out.
//!
//! The rest of the SDK is built on these. Every function has the name, the arguments and the result
//! of the call that the document lists; a pointer with its length is a slice here. Results below
//! zero are error numbers: [`check`] and [`check_id`] turn them into [`Errno`]. The call `wake_with` is behind
//! [`Inbox`], for the host writes there while the script does not run.
//!
//! On a native target the calls go to [`crate::testing`], so that scripts can be tested without a peer.

use hearth_abi::Errno;

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod wasm;

#[cfg(not(target_arch = "wasm32"))]
pub use native::*;
#[cfg(target_arch = "wasm32")]
pub use wasm::*;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::{HOST, Spawned};

/// The length in a result, or the error.
///
/// # Errors
/// The result is below zero. A number that this SDK does not know is [`Errno::Host`].
pub fn check(result: i32) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_below_zero| errno(i64::from(result)))
}

/// The id in a result, or the error.
///
/// # Errors
/// As [`check`].
pub fn check_id(result: i64) -> Result<u64, Errno> {
    u64::try_from(result).map_err(|_below_zero| errno(result))
}

fn errno(result: i64) -> Errno {
    i32::try_from(-result).ok().and_then(Errno::from_number).unwrap_or(Errno::Host)
}

/// What `call` writes, whatever its length: `call` gets a buffer, and tells the whole length.
///
/// # Errors
/// What `call` answers.
pub fn whole(mut call: impl FnMut(&mut [u8]) -> i32) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 128];
    loop {
        let len = check(call(&mut buffer))?;
        if len <= buffer.len() {
            buffer.truncate(len);
            return Ok(buffer);
        }
        buffer.resize(len, 0);
    }
}
