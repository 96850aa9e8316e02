// SPDX-License-Identifier: AGPL-3.0-or-later
//! The script `lobby`; see the module of that name in the library.
#![cfg_attr(target_arch = "wasm32", no_main)]

use hearth_std::lobby::run;

hearth_sdk::main!(run);
