// SPDX-License-Identifier: AGPL-3.0-or-later
//! The engine: one per peer.

use crate::{
    LoadError, Services,
    host::{self, Guest},
    modules::Modules,
    program::WasmProgram,
    slab::{Memories, Stacks},
    ticker::Ticker,
};
use bytes::Bytes;
use hearth_abi::LumpId;
use hearth_process::Program;
use std::{num::NonZeroUsize, sync::Arc};
use thiserror::Error;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, Linker, WasmBacktraceDetails};

/// Stack that host functions have below a guest that has used up its own.
const HOST_STACK: usize = 256 << 10;

/// Frames of a backtrace.
const BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

/// How the engine is made.
#[derive(Clone, Debug)]
pub struct WasmConfig {
    /// Call stack of a guest in bytes. Passing it is a trap, `call stack exhausted`.
    pub stack_bytes: usize,
    /// Most bytes of a module. Against modules that take the compiler minutes.
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
            module_bytes_max: 32 << 20,
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
pub struct Wasm(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) services: Arc<dyn Services>,
    pub(crate) modules: Modules,
    pub(crate) ticker: Ticker,
    /// Stack of a guest and of the host functions below it, in bytes.
    pub(crate) stack_bytes: usize,
}

impl Wasm {
    /// An engine for a peer with these services. If they own the engine in turn, they must be given
    /// through something that holds them weakly.
    ///
    /// # Errors
    /// The system refuses what the engine needs.
    pub fn new(config: WasmConfig, services: Arc<dyn Services>) -> Result<Wasm, EngineError> {
        let error = |error: wasmtime::Error| EngineError(format!("{error:#}"));
        let memories = Memories::new();
        let engine = Engine::new(&settings(&config, memories.clone())).map_err(error)?;
        let mut linker: Linker<Guest> = Linker::new(&engine);
        host::link(&mut linker).map_err(error)?;
        let ticker = Ticker::start(&engine).map_err(|error| EngineError(error.to_string()))?;
        let modules = Modules::new(engine.clone(), linker, memories, &config);
        let stack_bytes = guest_stack(&config) + HOST_STACK;
        Ok(Wasm(Arc::new(Inner { engine, services, modules, ticker, stack_bytes })))
    }

    /// The module of this lump as a program. Its bytes are asked for when a process starts.
    pub fn program(&self, module: LumpId) -> Arc<dyn Program> {
        self.0.modules.program(module, || WasmProgram::new(self.0.clone(), module))
    }

    /// Instances whose guests have ended, and which wait to be used again by others of the same modules.
    pub fn spare_instances(&self) -> usize {
        self.0.modules.spare_instances()
    }

    /// Compiles and checks a module, and keeps it for a process that may use it soon. The bytes must
    /// be those of the lump `id`: the next process of that module runs them.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(&self, id: LumpId, bytes: Bytes) -> Result<(), LoadError> {
        self.0.modules.get(id, async { Ok(bytes) }).await.map(drop)
    }
}

/// Whole pages, whatever their size.
fn guest_stack(config: &WasmConfig) -> usize {
    config.stack_bytes.next_multiple_of(64 << 10)
}

fn settings(config: &WasmConfig, memories: Memories) -> Config {
    let stack_bytes = guest_stack(config);
    let mut settings = Config::new();
    settings
        .epoch_interruption(true)
        .max_wasm_stack(stack_bytes)
        .async_stack_size(stack_bytes + HOST_STACK)
        .with_host_stack(Arc::new(Stacks::new(stack_bytes + HOST_STACK)))
        .with_host_memory(Arc::new(memories))
        // Host stacks and memories are honoured by this strategy alone.
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        // Every access is checked in code: memories are slots beside one another.
        .memory_reservation(0)
        .memory_guard_size(0)
        .memory_reservation_for_growth(0)
        .guard_before_linear_memory(false)
        .memory_init_cow(false)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES))
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_custom_page_sizes(true);
    settings
}
