// SPDX-License-Identifier: AGPL-3.0-or-later
//! Starts real servers and clients for tests, and watches them from outside, as their users do.
//!
//! A test makes a [`Space`], starts [`Peer`]s in it, and speaks to them by `hearth-ctl`. Nothing here
//! links the programs: they are found as files ([`program`]), and everything that is learnt about them
//! is learnt by their output, their exit codes and their pictures. [`Hands`] is a guest that does
//! what a test tells it, so that a test can make any host call on any peer. [`Net`] puts peers into two
//! network namespaces with a wire between them that can be cut.
//!
//! Waiting is [`wait_until`] something can be seen, never for a time that should be enough. Whatever a
//! test started ends with it, and a test that fails shows the last of what its peers wrote.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that fails tells there what its peers wrote")]

mod guests;
mod hands;
mod net;
mod peer;
mod picture;
mod programs;
mod wait;

pub use guests::Guest;
pub use hands::{Answer, Hands};
pub use net::Net;
pub use peer::{Ctl, Launch, Output, Peer, Space};
pub use picture::{Area, count, differ, mean, near, screenshot};
pub use programs::{program, std_guest, test_guest};
pub use rustix::process::Signal;
pub use wait::{LONG, wait_until};
