// SPDX-License-Identifier: AGPL-3.0-or-later
//! Terminals: an emulator with a program on a pseudo terminal behind it, and the sharing of what it shows.
//!
//! - [`keys`]: key strokes as the bytes that programs read.
//! - [`Mirror`], [`Sharer`], [`pack`] and [`unpack`]: how screens travel between peers.

pub mod keys;
mod share;

pub use share::{Mirror, Sharer, UPDATE_INTERVAL, UpdateError, pack, unpack};
