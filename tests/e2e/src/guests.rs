// SPDX-License-Identifier: AGPL-3.0-or-later
//! The guests of these tests, written as text.

use crate::Space;
use std::path::PathBuf;

/// A guest of these tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// Does what it is told; see [`crate::Hands`].
    Hands,
    /// Sends what it gets back to its sender after 5 ms; a message of 8 bytes without a sender is the id of
    /// a process to begin with.
    Bounce,
    /// Blocks for ever without looking at its mailbox.
    Deaf,
    /// Makes one entity that belongs to it, named `marker`.
    Marker,
    /// Sends every message back at once.
    Echo,
    /// Talks to a friend, and ends in every way there is; for the evening of chaos.
    Worker,
}

impl Guest {
    const fn text(self) -> (&'static str, &'static str) {
        match self {
            Guest::Hands => ("hands", include_str!("../guests/hands.wat")),
            Guest::Bounce => ("bounce", include_str!("../guests/bounce.wat")),
            Guest::Deaf => ("deaf", include_str!("../guests/deaf.wat")),
            Guest::Marker => ("marker", include_str!("../guests/marker.wat")),
            Guest::Echo => ("echo", include_str!("../guests/echo.wat")),
            Guest::Worker => ("worker", include_str!("../guests/worker.wat")),
        }
    }
}

impl Space {
    /// A guest as a file with a module.
    pub fn guest(&self, guest: Guest) -> PathBuf {
        let (name, text) = guest.text();
        self.module(name, text)
    }

    /// A file with the module of this text.
    pub fn module(&self, name: &str, text: &str) -> PathBuf {
        let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        self.write(&format!("{name}.wasm"), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_are_modules() {
        for guest in [Guest::Hands, Guest::Bounce, Guest::Deaf, Guest::Marker, Guest::Echo, Guest::Worker] {
            let (name, text) = guest.text();
            if let Err(error) = wat::parse_str(text) {
                panic!("{name}: {error}");
            }
        }
    }
}
