// SPDX-License-Identifier: AGPL-3.0-or-later
//! `host_calls` of `hearth-fuzz`, for `cargo fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    hearth_fuzz::host_calls(data);
});
