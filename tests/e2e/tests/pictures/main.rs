// SPDX-License-Identifier: AGPL-3.0-or-later
//! What users see: the programs with their renderer, off-screen and in a window.
//!
//! Each test keeps its pictures in `first-five-minutes`, `first-screen`, `assets`, `button`, `gallery`, `guest-book`, `letters`, `panel`, `settings`, `unasked`, `walking`, `window`, `workshop` or `evening` below cargo's folder for temporary files
//! of tests (`TARGET/tmp`), and says so.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test says where its pictures are, or that it cannot run")]

mod album;
mod assets;
mod button;
mod display;
mod evening;
mod first_five_minutes;
mod first_screen;
mod gallery;
mod golden;
mod guest_book;
mod letters;
mod panel;
mod settings;
mod unasked;
mod walking;
mod window;
mod workshop;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// One of these tests at a time: each keeps every processor busy with drawing.
static SCREEN: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    // A test that failed while it held this has left nothing behind.
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}
