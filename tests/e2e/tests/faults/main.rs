// SPDX-License-Identifier: AGPL-3.0-or-later
//! What goes wrong around a space: power cuts, broken wires, full disks, wrong passwords.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that cannot run says so")]

mod durable;
mod network;
mod refused;
