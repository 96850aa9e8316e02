// SPDX-License-Identifier: AGPL-3.0-or-later
//! `font` of `hearth-fuzz`, for `cargo fuzz`.
#![no_main]

use std::{panic, sync::Once};

/// Arithmetic of the parser is checked in builds such as this one, and what panics is caught (`Font::parse`), so that to panic is
/// not to fail: the hook that ends the program at once goes. A panic that nobody catches ends it all the same.
static HOOK: Once = Once::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    HOOK.call_once(|| drop(panic::take_hook()));
    hearth_fuzz::font(data);
});
