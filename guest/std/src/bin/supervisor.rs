// SPDX-License-Identifier: AGPL-3.0-or-later
//! A supervisor of what its argument says, as JSON: for scripts that a peer starts by itself and shall start again.
//!
//! In `space.toml`, with the id that `hearth-ctl load-lump lamp.wasm` has printed (and `pin` keeps):
//!
//! ```toml
//! [[service]]
//! name = "lights"
//! module = "std:supervisor"
//! args = ['{"strategy": "one_for_one", "children": [{"id": "lamp", "module": "5f70bf18..."}]}']
//! ```
#![cfg_attr(target_arch = "wasm32", no_main)]

use hearth_sdk::{prelude::*, process::ExitReason, supervisor::Supervisor};

hearth_sdk::main!(run);

async fn run() -> ExitReason {
    let [json] = &args()[..] else {
        return ExitReason::error("one argument is needed: the supervisor, as JSON");
    };
    match Supervisor::from_json(json) {
        Ok(supervisor) => supervisor.run().await,
        Err(error) => ExitReason::error(error.to_string()),
    }
}
