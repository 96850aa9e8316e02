// SPDX-License-Identifier: AGPL-3.0-or-later
//! Runs WebAssembly modules as processes: the guest contract of `docs/formats/guest.md`.
//!
//! [`Wasm::program`] makes a module, named by its lump, into a [`hearth_process::Program`]. When its
//! process starts, the module's bytes are asked for ([`Services::lump`]), compiled off the async
//! threads, checked against the contract, and cached by hash. What the guest's calls need of the peer
//! beyond its own process is the trait [`Services`]; this crate checks every argument of every call
//! before it gets there: pointers, lengths, text, ids, and whether the process has the authority
//! (`host::authority`, the one place).
//!
//! A guest that parks is entered by plain calls, one that waits on its stack runs on a fiber. Both are interrupted every
//! millisecond (`ticker`); what then happens to them is decided by the scheduler of `hearth_process`. Linear memories
//! and stacks come from slabs (`slab`), so that very many processes fit under the default limits of the system, and
//! instances whose guests have ended are used again (`recycle`).
//!
//! This crate is the only one that knows Wasmtime. It must not depend on `store`, `scene`, `net` or
//! anything above.

mod ahead;
mod engine;
mod error;
mod freeze;
mod host;
mod modules;
mod program;
mod recycle;
mod services;
mod slab;
mod ticker;
mod touched;
mod trap;

pub use engine::{EngineError, Wasm, WasmConfig};
pub use error::{BadExport, LoadError, MissingImport};
pub use services::{Caller, DirectoryOp, Request, Services};
