// SPDX-License-Identifier: AGPL-3.0-or-later
//! Compiled modules, by the hash of their bytes.

use crate::{
    BadExport, LoadError, MissingImport, WasmConfig,
    host::{CALLS, Guest},
    program::WasmProgram,
    recycle::{self, Recycling, Spares},
    slab::Memories,
};
use bytes::Bytes;
use hearth_abi::{IMPORT_MODULE, IMPORT_MODULE_BLOCKING, LumpId};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Weak},
};
use tokio::sync::{OnceCell, Semaphore};
use wasmtime::{Engine, ExternType, FuncType, InstancePre, Linker, Module};

/// Most modules that are kept, however small they are.
const MODULES_KEPT: usize = 4096;

/// A module that fits the contract.
pub(crate) struct Compiled {
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) has_wake: bool,
    pub(crate) has_initialize: bool,
    /// Whether it may wait on its own stack.
    pub(crate) is_blocking: bool,
    /// How its instances are used again, if they can be.
    pub(crate) spares: Option<Spares>,
    code_bytes: usize,
}

type Cell = Arc<OnceCell<Arc<Compiled>>>;

/// What is kept of one module.
#[derive(Default)]
struct Entry {
    cell: Cell,
    /// When it was last used, by the count of uses.
    used: u64,
    /// What its processes are spawned from. It owns the engine, and so these modules.
    program: Weak<WasmProgram>,
}

pub(crate) struct Modules {
    engine: Engine,
    linker: Arc<Linker<Guest>>,
    /// `None` where instances cannot be used again.
    recycling: Option<Arc<Recycling>>,
    compilers: Arc<Semaphore>,
    module_bytes_max: usize,
    cache_bytes: usize,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    // Ids are hashes, but those who choose what is hashed are strangers.
    entries: HashMap<LumpId, Entry, foldhash::fast::RandomState>,
    uses: u64,
}

impl Cache {
    /// The entry of a module that is used now.
    fn used(&mut self, id: LumpId) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&id)?;
        self.uses += 1;
        entry.used = self.uses;
        Some(entry)
    }
}

impl Modules {
    pub(crate) fn new(
        engine: Engine,
        linker: Linker<Guest>,
        memories: Memories,
        config: &WasmConfig,
    ) -> Modules {
        Modules {
            engine,
            linker: Arc::new(linker),
            recycling: Recycling::new(memories),
            compilers: Arc::new(Semaphore::new(config.compilers.max(1))),
            module_bytes_max: config.module_bytes_max,
            cache_bytes: config.cache_bytes,
            cache: Mutex::default(),
        }
    }

    /// The module, compiled from `bytes` if it is not cached. Whoever asks for one that is being
    /// compiled shares the work.
    pub(crate) async fn get(
        &self,
        id: LumpId,
        bytes: impl Future<Output = Result<Bytes, LoadError>>,
    ) -> Result<Arc<Compiled>, LoadError> {
        let cell = self.cell(id);
        if let Some(compiled) = cell.get() {
            return Ok(compiled.clone());
        }
        let compiled = cell.get_or_try_init(|| async { self.compile(bytes.await?).await }).await;
        match compiled {
            Ok(compiled) => {
                self.trim();
                Ok(compiled.clone())
            }
            Err(error) => {
                self.forget(id, &cell);
                Err(error)
            }
        }
    }

    /// Instances that wait to be used again.
    pub(crate) fn spare_instances(&self) -> usize {
        self.recycling.as_ref().map_or(0, |recycling| recycling.count())
    }

    /// The module, if it is compiled.
    pub(crate) fn cached(&self, id: LumpId) -> Option<Arc<Compiled>> {
        self.cache.lock().used(id)?.cell.get().cloned()
    }

    /// What processes of the module are spawned from: the same as for the others, as long as there are any.
    pub(crate) fn program(&self, id: LumpId, new: impl FnOnce() -> WasmProgram) -> Arc<WasmProgram> {
        let mut cache = self.cache.lock();
        // Nothing is kept of what is not being loaded.
        let Some(entry) = cache.used(id) else { return Arc::new(new()) };
        entry.program.upgrade().unwrap_or_else(|| {
            let program = Arc::new(new());
            entry.program = Arc::downgrade(&program);
            program
        })
    }

    fn cell(&self, id: LumpId) -> Cell {
        let mut cache = self.cache.lock();
        cache.uses += 1;
        let now = cache.uses;
        let entry = cache.entries.entry(id).or_default();
        entry.used = now;
        entry.cell.clone()
    }

    fn forget(&self, id: LumpId, cell: &Cell) {
        let mut cache = self.cache.lock();
        if cache.entries.get(&id).is_some_and(|kept| Arc::ptr_eq(&kept.cell, cell) && !cell.initialized()) {
            cache.entries.remove(&id);
        }
    }

    /// Drops the modules that were used longest ago until the cache is within its bounds. Processes
    /// that run keep theirs.
    fn trim(&self) {
        let mut cache = self.cache.lock();
        // Whoever began one of these was killed meanwhile.
        cache.entries.retain(|_, entry| entry.cell.initialized() || Arc::strong_count(&entry.cell) > 1);
        let size = |entry: &Entry| entry.cell.get().map_or(0, |compiled| compiled.code_bytes);
        let mut bytes: usize = cache.entries.values().map(size).sum();
        while bytes > self.cache_bytes || cache.entries.len() > MODULES_KEPT {
            let oldest = cache.entries.iter().filter(|(_, entry)| entry.cell.initialized());
            let Some(id) = oldest.min_by_key(|(_, entry)| entry.used).map(|(id, _)| *id) else { return };
            if let Some(entry) = cache.entries.remove(&id) {
                bytes -= size(&entry);
            }
        }
    }

    async fn compile(&self, bytes: Bytes) -> Result<Arc<Compiled>, LoadError> {
        if bytes.len() > self.module_bytes_max {
            return Err(LoadError::TooLarge { len: bytes.len(), max: self.module_bytes_max });
        }
        // The semaphore is never closed.
        let permit = self.compilers.clone().acquire_owned().await;
        let (engine, linker, recycling) = (self.engine.clone(), self.linker.clone(), self.recycling.clone());
        let compiling = tokio::task::spawn_blocking(move || {
            // Held by the work itself: a process killed meanwhile must not let in more compilers.
            let _permit = permit;
            compile(&engine, &linker, recycling.as_ref(), &bytes)
        });
        compiling.await.map_err(|error| LoadError::Host(error.to_string()))?.map(Arc::new)
    }
}

fn compile(
    engine: &Engine,
    linker: &Linker<Guest>,
    recycling: Option<&Arc<Recycling>>,
    bytes: &[u8],
) -> Result<Compiled, LoadError> {
    let (bytes, recipe) = recycle::prepare(bytes);
    let module = Module::from_binary(engine, &bytes)
        .map_err(|error| LoadError::Invalid(cut(&format!("{error:#}"), 1000).to_owned()))?;
    check_imports(&module)?;
    let (has_wake, has_initialize) = check_exports(&module)?;
    let code = module.image_range();
    let pre = linker.instantiate_pre(&module).map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
    let is_blocking = module.imports().any(|import| import.module() == IMPORT_MODULE_BLOCKING);
    let code_bytes = code.end as usize - code.start as usize;
    // One that waits on its stack has no end between two calls.
    let recipe = recipe.filter(|_| !is_blocking);
    let spares = recipe.zip(recycling).map(|(recipe, recycling)| Spares::new(recipe, recycling));
    Ok(Compiled { pre, has_wake, has_initialize, is_blocking, spares, code_bytes })
}

fn cut(text: &str, len: usize) -> &str {
    &text[..text.floor_char_boundary(len)]
}

/// Whether a module name is of this contract, whatever the version.
fn is_other_version(module: &str) -> bool {
    let Some(rest) = module.strip_prefix("hearth/") else { return false };
    let version = rest.split('/').next().unwrap_or_default();
    version != &IMPORT_MODULE["hearth/".len()..] && version.parse::<u32>().is_ok()
}

fn check_imports(module: &Module) -> Result<(), LoadError> {
    let mut versions: Vec<String> = Vec::new();
    let mut missing = Vec::new();
    for import in module.imports() {
        if is_other_version(import.module()) {
            let name = format!("`{}`", cut(import.module(), 100));
            if !versions.contains(&name) && versions.len() < 100 {
                versions.push(name);
            }
            continue;
        }
        let name = || format!("{}.{}", cut(import.module(), 100), cut(import.name(), 100));
        let call = CALLS.iter().find(|call| call.module == import.module() && call.name == import.name());
        let problem = match (call, import.ty()) {
            (None, _) => None,
            (Some(call), ExternType::Func(ty)) if call.has_type(&ty) => continue,
            (Some(call), ExternType::Func(ty)) => {
                Some(format!("is imported as {} but is {}", type_text(&ty), call.type_text()))
            }
            (Some(_), _) => Some("is a function".to_owned()),
        };
        missing.push(MissingImport { name: name(), problem });
    }
    if !versions.is_empty() {
        return Err(LoadError::Version(versions));
    }
    if !missing.is_empty() {
        return Err(LoadError::Imports(missing));
    }
    Ok(())
}

fn type_text(ty: &FuncType) -> String {
    let list = |types: Vec<String>| types.join(", ");
    let params = list(ty.params().map(|ty| ty.to_string()).collect());
    match list(ty.results().map(|ty| ty.to_string()).collect()) {
        results if results.is_empty() => cut(&format!("({params})"), 200).to_owned(),
        results => cut(&format!("({params}) -> {results}"), 200).to_owned(),
    }
}

/// Whether the module has `wake`, and whether `_initialize`.
fn check_exports(module: &Module) -> Result<(bool, bool), LoadError> {
    let bad = |name, problem: String| LoadError::Export(BadExport { name, problem });
    match module.get_export("memory") {
        Some(ExternType::Memory(ty)) if !ty.is_64() && !ty.is_shared() => {}
        Some(ExternType::Memory(_)) => {
            return Err(bad("memory", "must be an unshared memory of 32-bit addresses".into()));
        }
        Some(_) => return Err(bad("memory", "must be a memory".into())),
        None => return Err(bad("memory", "is missing: the host reads and writes the guest's memory".into())),
    }
    let function = |name: &'static str| match module.get_export(name) {
        None => Ok(false),
        Some(ExternType::Func(ty)) if ty.params().len() == 0 && ty.results().len() == 0 => Ok(true),
        Some(ExternType::Func(ty)) => {
            let is = type_text(&ty);
            Err(bad(name, format!("must be a function without parameters and results, and is {is}")))
        }
        Some(_) => Err(bad(name, "must be a function".into())),
    };
    if !function("start")? {
        return Err(bad(
            "start",
            "is missing: the host calls this function, without parameters, first".into(),
        ));
    }
    Ok((function("wake")?, function("_initialize")?))
}
