// SPDX-License-Identifier: AGPL-3.0-or-later
//! Functions that throw bytes of strangers at everything that takes some.
//!
//! Each takes any bytes, and panics if the code under test does what it must not: panic, accept
//! what it should refuse, read back something else than it wrote. Each returns whether the input got
//! past the first gate (was well formed, was let in, …), so that [the replay](../tests/replay.rs)
//! can tell when a kept seed has stopped to be of use.
//!
//! - `corpus/TARGET/` holds the kept seeds: small, and each for a reason. Those whose names begin
//!   with `ok-` must get past the first gate. `cargo run -p hearth-fuzz --example seeds` writes
//!   those that are made by code.
//! - `tests/replay.rs` runs all of them, and a few thousand alterations of each, in every run of the
//!   tests.
//! - `targets/` is a package of its own for `cargo fuzz`, which finds new ones.
//!
//! A target of its own is for each gate at which a stranger's bytes arrive. This package may depend on
//! every library, and none on it.
#![allow(clippy::unwrap_used, reason = "a fuzz target fails by panicking")]

mod font;
mod formats;
mod host;
mod module;
mod net;
mod operator;
mod peer;
mod scene;
mod sound;
mod terminal;

pub use font::font;
pub use formats::{input, keyboard, mesh, pointer, signal};
pub use host::host_calls;
pub use module::{module, module_shape};
pub use net::{handshake, hello, record};
pub use operator::operator_frame;
pub use peer::peer_frames;
pub use scene::{scene_frames, scene_ops, scene_sync};
pub use sound::sound;
pub use terminal::{COMMAND, screen, terminal};

/// A function that takes bytes of a stranger.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, that of its folder of seeds, and that of its program for `cargo fuzz`.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]) -> bool,
    /// How many alterations of each seed the tests try: fewer where one costs much.
    pub alterations: u32,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "font", run: font, alterations: 60 },
    Target { name: "handshake", run: handshake, alterations: 60 },
    Target { name: "hello", run: hello, alterations: 300 },
    Target { name: "host_calls", run: host_calls, alterations: 200 },
    Target { name: "input", run: input, alterations: 4000 },
    Target { name: "keyboard", run: keyboard, alterations: 4000 },
    Target { name: "mesh", run: mesh, alterations: 4000 },
    Target { name: "module", run: module, alterations: 20 },
    Target { name: "operator_frame", run: operator_frame, alterations: 2000 },
    Target { name: "peer_frames", run: peer_frames, alterations: 4000 },
    Target { name: "pointer", run: pointer, alterations: 4000 },
    Target { name: "record", run: record, alterations: 1000 },
    Target { name: "scene_frames", run: scene_frames, alterations: 4000 },
    Target { name: "scene_ops", run: scene_ops, alterations: 4000 },
    Target { name: "scene_sync", run: scene_sync, alterations: 1500 },
    Target { name: "screen", run: screen, alterations: 800 },
    Target { name: "signal", run: signal, alterations: 4000 },
    Target { name: "sound", run: sound, alterations: 400 },
    Target { name: "terminal", run: terminal, alterations: 400 },
];

/// Takes the bytes apart in small numbers; zeros when there are none left.
struct Dice<'a>(&'a [u8]);

impl<'a> Dice<'a> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
            None => 0,
        }
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % end.max(1)
    }

    /// As many bytes, or what is left.
    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
