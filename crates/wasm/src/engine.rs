// SPDX-License-Identifier: AGPL-3.0-or-later
//! The engine: one per peer.

use crate::{LoadError, Services};
use bytes::Bytes;
use hearth_abi::LumpId;
use hearth_process::Program;
use std::sync::Arc;
use thiserror::Error;

/// How the engine is made.
#[derive(Clone, Debug)]
pub struct WasmConfig {
    /// Call stack of a guest in bytes. Passing it is a trap, `call stack exhausted`.
    pub stack_bytes: usize,
    /// Most bytes of a module.
    pub module_bytes_max: usize,
    /// Most bytes of compiled code that are kept for modules that may be used again.
    pub cache_bytes: usize,
    /// Modules that are compiled at the same time.
    pub compilers: usize,
}

impl Default for WasmConfig {
    fn default() -> WasmConfig {
        WasmConfig {
            stack_bytes: 512 << 10,
            module_bytes_max: 64 << 20,
            cache_bytes: 256 << 20,
            compilers: 2,
        }
    }
}

/// The engine could not be made: the system refuses what it needs.
#[derive(Debug, Error)]
#[error("the WebAssembly engine could not be made: {0}")]
pub struct EngineError(String);

/// Runs modules. Clones are the same engine.
#[derive(Clone)]
pub struct Wasm(Arc<Inner>);

struct Inner {}

impl Wasm {
    /// An engine for a peer with these services. If they own the engine in turn, they must be given
    /// through something that holds them weakly.
    ///
    /// # Errors
    /// The system refuses what the engine needs.
    pub fn new(config: WasmConfig, services: Arc<dyn Services>) -> Result<Wasm, EngineError> {
        let _ = (config, services);
        Ok(Wasm(Arc::new(Inner {})))
    }

    /// The module of this lump as a program. Its bytes are asked for when a process starts.
    pub fn program(&self, module: LumpId) -> Arc<dyn Program> {
        let _ = (&self.0, module);
        unimplemented!()
    }

    /// Compiles and checks a module, and keeps it for a process that may use it soon.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(&self, id: LumpId, bytes: Bytes) -> Result<(), LoadError> {
        let _ = (id, bytes);
        unimplemented!()
    }
}
