// SPDX-License-Identifier: AGPL-3.0-or-later
//! `module` of `hearth-fuzz`, for `cargo fuzz`: the bytes as they are, and the module that `wasm-smith` makes of them.
#![no_main]

use std::sync::LazyLock;

static SHAPE: LazyLock<Vec<u8>> = LazyLock::new(hearth_fuzz::module_shape);

/// A valid module with the imports and exports of the contract.
fn smith(data: &[u8]) -> arbitrary::Result<Vec<u8>> {
    let config = wasm_smith::Config {
        module_shape: Some(SHAPE.clone()),
        max_memory32_bytes: 32 << 20,
        max_table_elements: 10_000,
        // Not offered: most would be refused before they run.
        gc_enabled: false,
        exceptions_enabled: false,
        threads_enabled: false,
        memory64_enabled: false,
        ..wasm_smith::Config::default()
    };
    let module = wasm_smith::Module::new(config, &mut arbitrary::Unstructured::new(data))?;
    Ok(module.to_bytes())
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    hearth_fuzz::module(data);
    if let Ok(module) = smith(data) {
        hearth_fuzz::module(&module);
    }
});
