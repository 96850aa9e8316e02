// SPDX-License-Identifier: AGPL-3.0-or-later
//! The contract between a peer and its guests: identifiers, error numbers, and every byte layout
//! that crosses the boundary of a WebAssembly module.
//!
//! The documents of these layouts are `docs/formats/guest.md`, `docs/formats/scene.md`,
//! `docs/formats/input.md`, `docs/formats/pointer.md`, `docs/formats/keyboard.md`, `docs/formats/mesh.md`,
//! `docs/formats/terminal.md` and `docs/formats/screen.md`. Both sides use this crate, so it compiles for
//! `wasm32-unknown-unknown`, needs nothing but `alloc`, and has no dependency.
//!
//! All integers and floats are little-endian. Decoders take bytes from strangers: they never panic,
//! and never allocate more than a small multiple of their input.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod cast;
pub mod codec;
pub mod errno;
pub mod exit;
pub mod id;
pub mod input;
pub mod keyboard;
pub mod mesh;
pub mod pointer;
pub mod scene;
pub mod screen;
pub mod signal;
pub mod terminal;

pub use codec::DecodeError;
pub use errno::Errno;
pub use id::{EntityId, IdError, LumpId, PeerId, ProcessId, SERIAL_BITS, TerminalId};

/// Name of the import module of the calls that never wait. Its last part is the version of the
/// contract: a module states which version it was built for by the name it imports from.
pub const IMPORT_MODULE: &str = "hearth/1";

/// Name of the import module of the calls that wait on the guest's own stack. A module that imports
/// nothing from it is known to park.
pub const IMPORT_MODULE_BLOCKING: &str = "hearth/1/blocking";

/// Version of the contract that this crate describes.
pub const VERSION: u32 = 1;
