// SPDX-License-Identifier: AGPL-3.0-or-later
//! Terminals of peers in one program, over real connections, with real shells in them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../peers/proxy.rs"]
mod proxy;

mod dropped;
mod forged;
mod granted;
mod hands;
mod keyboard;
mod killed;
mod load;
mod own;
mod replaced;
mod shared;
