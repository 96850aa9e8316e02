// SPDX-License-Identifier: AGPL-3.0-or-later
//! `keyboard` of `hearth-fuzz`, for `cargo fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    hearth_fuzz::keyboard(data);
});
