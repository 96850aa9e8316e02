// SPDX-License-Identifier: AGPL-3.0-or-later
//! What goes on in a space between peers that all are well: processes, lumps, authority, bad scripts.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authority;
mod dev;
mod expr;
mod limits;
mod lumps;
mod processes;
mod scripts;
mod supervisor;
