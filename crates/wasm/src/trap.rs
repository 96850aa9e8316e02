// SPDX-License-Identifier: AGPL-3.0-or-later
//! Why a guest stopped, in plain words.

use crate::{LoadError, slab::NoStack};
use hearth_process::{ExitKind, ExitReason};
use std::sync::LazyLock;
use wasmtime::{Config, Engine, Store, Trap, WasmBacktrace};

/// Longest backtrace in bytes; what is longer is cut.
const BACKTRACE_LEN_MAX: usize = 8192;

/// The end that the guest itself, or a host call of it, has asked for. Raised as an error to leave the guest.
#[derive(Debug, thiserror::Error)]
#[error("the process ends")]
pub(crate) struct Leave(pub(crate) ExitReason);

/// An engine that notes no frames. What it captures is an empty trace.
static TRACELESS: LazyLock<Option<Store<()>>> = LazyLock::new(|| {
    let engine = Engine::new(Config::new().wasm_backtrace_max_frames(None)).ok()?;
    Some(Store::new(&engine, ()))
});

impl Leave {
    /// The error that leaves the guest. Where it was is noted only if that is told: what has a trace, and be it empty, gets none
    /// of the engine, which takes a quarter of a short life.
    pub(crate) fn raise(self) -> wasmtime::Error {
        let is_told = self.0.kind == ExitKind::Error;
        let error = wasmtime::Error::new(self);
        match &*TRACELESS {
            Some(store) if !is_told => error.context(WasmBacktrace::capture(store)),
            _ => error,
        }
    }
}

/// The error that leaves a guest which has noted that its end is normal: it says nothing, and has an empty trace, so that the engine
/// makes none.
pub(crate) fn leave_normally() -> wasmtime::Error {
    match &*TRACELESS {
        Some(store) => wasmtime::Error::msg(WasmBacktrace::capture(store)),
        None => wasmtime::Error::new(Leave(ExitReason::normal())),
    }
}

/// The exit reason of a guest whose call failed.
pub(crate) fn exit_reason(error: &wasmtime::Error) -> ExitReason {
    // It takes longer than a short life, so only for whom it is told.
    let backtrace = || error.downcast_ref::<WasmBacktrace>().and_then(backtrace);
    if let Some(Leave(reason)) = error.downcast_ref() {
        // An exit with a reason is how panics end: where it was is worth knowing.
        let backtrace = if reason.kind == ExitKind::Error { backtrace() } else { None };
        return ExitReason { backtrace, ..reason.clone() };
    }
    if let Some(no_stack) = error.downcast_ref::<NoStack>() {
        return ExitReason::new(ExitKind::Limit, no_stack.to_string());
    }
    match error.downcast_ref::<Trap>() {
        Some(trap) => ExitReason { backtrace: backtrace(), ..ExitReason::new(ExitKind::Trap, text(*trap)) },
        None => {
            let text = error.root_cause().to_string();
            ExitReason { backtrace: backtrace(), ..ExitReason::new(ExitKind::Trap, text) }
        }
    }
}

/// The exit reason of a process whose module cannot run.
pub(crate) fn load_reason(error: &LoadError) -> ExitReason {
    let kind = if matches!(error, LoadError::Limit(_)) { ExitKind::Limit } else { ExitKind::Load };
    ExitReason::new(kind, error.to_string())
}

fn text(trap: Trap) -> String {
    match trap {
        Trap::UnreachableCodeReached => "unreachable executed".into(),
        Trap::StackOverflow => "call stack exhausted".into(),
        Trap::MemoryOutOfBounds => "out of bounds memory access".into(),
        Trap::TableOutOfBounds => "out of bounds table access".into(),
        Trap::IndirectCallToNull => "call of a function that is null".into(),
        Trap::BadSignature => "indirect call of a function of another type".into(),
        Trap::IntegerOverflow => "integer overflow".into(),
        Trap::IntegerDivisionByZero => "integer division by zero".into(),
        Trap::BadConversionToInteger => "conversion to an integer that cannot hold the number".into(),
        other => other.to_string(),
    }
}

/// The names of the functions, innermost first, one a line; demangled, numbers where there are no names.
fn backtrace(trace: &WasmBacktrace) -> Option<String> {
    let text = trace.to_string();
    let lines: Vec<String> = text.lines().skip(1).map(frame).collect();
    let mut text = lines.join("\n");
    text.truncate(text.floor_char_boundary(BACKTRACE_LEN_MAX));
    (!text.is_empty()).then_some(text)
}

/// One line of it, without the module (there is one) and the hash that Rust adds to its names.
fn frame(line: &str) -> String {
    let line = line.replacen("<unknown>!", "", 1);
    match line.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            name.to_owned()
        }
        _ => line,
    }
}
