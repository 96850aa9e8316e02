// SPDX-License-Identifier: AGPL-3.0-or-later
//! The scripts of the evening of chaos (`tests/e2e/tests/chaos`) in one module; the first argument is the part that is
//! played.
//!
//! | part | what it does |
//! |---|---|
//! | `top` | the supervisor of a peer's branches and of its conductor |
//! | `branch` | a supervisor of workers |
//! | `envoys` | a supervisor of workers on other peers |
//! | `conductor` | orders crashes, and sees to it that what OTP says comes of them |
//! | `watcher` | sends to an echo, and keeps how long the answers took |
//!
//! The workers are `tests/e2e/guests/worker.wat`.
#![cfg_attr(target_arch = "wasm32", no_main)]

mod conductor;
mod fault;
mod tree;
mod watcher;

use hearth_sdk::{prelude::*, process::ExitReason};

hearth_sdk::main!(run);

async fn run() -> ExitReason {
    let args = args();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let played = match words[..] {
        ["top", ..] => tree::top(&words[1..]).await,
        ["branch", ..] => tree::branch(&words[1..]).await,
        ["envoys", ..] => tree::envoys(&words[1..]).await,
        ["conductor", ..] => conductor::run(&words[1..]).await,
        ["watcher", ..] => watcher::run(&words[1..]).await,
        _ => None,
    };
    played.unwrap_or_else(|| ExitReason::error(format!("no part has these arguments: {words:?}")))
}
