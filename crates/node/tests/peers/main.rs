// SPDX-License-Identifier: AGPL-3.0-or-later
//! Peers of a space, in one program, over real connections.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod alone;
mod directory;
mod keyboard;
mod limits;
mod lists;
mod lumps;
mod messages;
mod pointers;
mod presence;
mod proxy;
mod replace;
mod services;
mod spawned;
mod strangers;
mod ties;
