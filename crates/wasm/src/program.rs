// SPDX-License-Identifier: AGPL-3.0-or-later
//! The life of a guest.

use crate::{
    Caller, LoadError,
    engine::Inner,
    host::Guest,
    modules::Compiled,
    trap::{exit_reason, load_reason},
};
use hearth_abi::LumpId;
use hearth_process::{Context, ExitReason, Program, State, Tick};
use std::{future::Future, pin::Pin, sync::Arc};
use wasmtime::{Instance, Store, TypedFunc, UpdateDeadline};

/// The module of one lump.
pub(crate) struct WasmProgram {
    pub(crate) wasm: Arc<Inner>,
    pub(crate) module: LumpId,
}

impl Program for WasmProgram {
    fn run(self: Arc<Self>, context: Context) -> Pin<Box<dyn Future<Output = ExitReason> + Send>> {
        Box::pin(async move {
            let caller = Caller { process: context.id(), origin: context.origin() };
            let wasm = self.wasm.clone();
            let bytes = async { wasm.services.lump(&caller, self.module).await.map_err(LoadError::Missing) };
            let compiled = match wasm.modules.get(self.module, bytes).await {
                Ok(compiled) => compiled,
                Err(error) => return load_reason(&error),
            };
            drop(self);
            match live(&wasm, &compiled, context, caller).await {
                Ok(()) => ExitReason::normal(),
                Err(reason) => reason,
            }
        })
    }
}

async fn live(
    wasm: &Arc<Inner>,
    compiled: &Compiled,
    context: Context,
    caller: Caller,
) -> Result<(), ExitReason> {
    let mut store = Store::new(&wasm.engine, Guest::new(wasm.clone(), context.clone(), caller));
    store.limiter(|guest| guest);
    store.epoch_deadline_callback(|guest| {
        let guest = guest.data();
        guest.wasm.ticker.touch();
        Ok(match guest.context.tick() {
            Tick::Continue => UpdateDeadline::Continue(1),
            Tick::Yield => UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())),
            Tick::Wait(until) => UpdateDeadline::YieldCustom(1, until),
        })
    });
    begin_turn(wasm, &mut store);
    let instance = match compiled.pre.instantiate_async(&mut store).await {
        Ok(instance) => instance,
        Err(error) => {
            return Err(match store.data().denied() {
                Some(denied) => load_reason(&LoadError::Limit(denied)),
                None => exit_reason(&error),
            });
        }
    };
    if compiled.has_initialize {
        call(&instance, &mut store, "_initialize").await?;
    }
    context.started();
    call(&instance, &mut store, "start").await?;
    if !compiled.has_wake {
        return Ok(());
    }
    let wake = function(&instance, &mut store, "wake")?;
    loop {
        if context.wait(State::Parked).await {
            begin_turn(wasm, &mut store);
        }
        wake.call_async(&mut store, ()).await.map_err(|error| exit_reason(&error))?;
    }
}

/// The guest has not run just now: its slice begins anew.
fn begin_turn(wasm: &Inner, store: &mut Store<Guest>) {
    store.set_epoch_deadline(1);
    wasm.ticker.touch();
}

async fn call(instance: &Instance, store: &mut Store<Guest>, name: &str) -> Result<(), ExitReason> {
    let function = function(instance, store, name)?;
    function.call_async(store, ()).await.map_err(|error| exit_reason(&error))
}

fn function(
    instance: &Instance,
    store: &mut Store<Guest>,
    name: &str,
) -> Result<TypedFunc<(), ()>, ExitReason> {
    instance.get_typed_func(store, name).map_err(|error| exit_reason(&error))
}
