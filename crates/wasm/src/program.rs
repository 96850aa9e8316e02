// SPDX-License-Identifier: AGPL-3.0-or-later
//! The life of a guest.

use crate::{
    Caller, LoadError,
    engine::Inner,
    freeze::Frozen,
    host::Guest,
    modules::Compiled,
    recycle::Recyclable,
    trap::{Leave, exit_reason, load_reason},
};
use hearth_abi::LumpId;
use hearth_process::{Aside, Context, ExitKind, ExitReason, Program, State, Tick, Turn, Turns, Work};
use std::{future::Future, pin::Pin, sync::Arc};
use wasmtime::{Instance, Store, TypedFunc, UpdateDeadline};

/// The module of one lump.
pub(crate) struct WasmProgram {
    pub(crate) wasm: Arc<Inner>,
    pub(crate) module: LumpId,
}

impl Program for WasmProgram {
    fn run(self: Arc<Self>, context: Context) -> Work {
        let (wasm, module) = (self.wasm.clone(), self.module);
        Work::Turns(Box::new(GuestTurns { wasm, module, context, compiled: None, live: None, frozen: None }))
    }
}

/// A guest between its turns.
struct GuestTurns {
    wasm: Arc<Inner>,
    module: LumpId,
    context: Context,
    /// Its module, once it was needed.
    compiled: Option<Arc<Compiled>>,
    /// `None` before its first turn, while it is in a turn, and while it hibernates.
    live: Option<Box<Live>>,
    /// What it is while it hibernates.
    frozen: Option<Box<Frozen>>,
}

/// An instance, and what it is entered by.
pub(crate) struct Live {
    pub(crate) store: Store<Guest>,
    initialize: Option<TypedFunc<(), ()>>,
    start: TypedFunc<(), ()>,
    wake: Option<TypedFunc<(), ()>>,
    /// What it takes to use it again, if it can be.
    pub(crate) recyclable: Option<Recyclable>,
}

impl Turns for GuestTurns {
    fn stack_bytes(&self) -> usize {
        self.wasm.stack_bytes
    }

    fn turn(&mut self) -> Turn {
        let live = match self.take_live() {
            Ok(live) => live,
            Err(reason) => return Turn::Ended(reason),
        };
        let turned = match live {
            Some(live) => self.wake_here(live),
            None => {
                if self.compiled.is_none() {
                    self.compiled = self.wasm.modules.cached(self.module);
                }
                // Unless the module is at hand, and never waits on its stack.
                let Some(compiled) = self.compiled.clone().filter(|compiled| !compiled.is_blocking) else {
                    return Turn::Aside;
                };
                self.first_here(&compiled)
            }
        };
        turned.map_or_else(Turn::Ended, |()| Turn::Parked)
    }

    fn aside(mut self: Box<Self>) -> Pin<Box<dyn Future<Output = Aside> + Send>> {
        Box::pin(async move {
            let live = match self.take_live() {
                Ok(live) => live,
                Err(reason) => return Aside::Ended(reason),
            };
            let turned = match (live, self.compiled.clone()) {
                (Some(live), _) => self.wake_aside(live).await,
                (None, Some(compiled)) => self.first_aside(&compiled).await,
                (None, None) => match self.load().await {
                    // With the module at hand, it may not have to be aside any more.
                    Ok(()) => return Aside::Ready(self),
                    Err(error) => Err(load_reason(&error)),
                },
            };
            match turned {
                Ok(()) => Aside::Parked(self),
                Err(reason) => Aside::Ended(reason),
            }
        })
    }

    fn hibernate(&mut self) -> bool {
        let Some(compiled) = self.compiled.clone() else { return false };
        let (Some(spares), Some(live)) = (&compiled.spares, &mut self.live) else { return false };
        let Some(frozen) = spares.freeze(live) else { return false };
        self.frozen = Some(Box::new(frozen));
        if let Some(live) = self.live.take().filter(|_| spares.has_room()) {
            spares.give(live);
        }
        true
    }
}

/// Whether there is another turn.
type Turned = Result<(), ExitReason>;

impl GuestTurns {
    /// Its instance, if it has had its first turn; it gets one again if it hibernates.
    fn take_live(&mut self) -> Result<Option<Box<Live>>, ExitReason> {
        let Some(frozen) = self.frozen.take() else { return Ok(self.live.take()) };
        let Some(compiled) = self.compiled.clone() else { return Ok(None) };
        let Frozen { occupant, image } = *frozen;
        let mut live = match compiled.spares.as_ref().and_then(|spares| spares.spare()) {
            Some(mut live) => {
                live.store.data_mut().thaw(occupant);
                live
            }
            None => {
                // It has no start function, which could run long, or it would not have been frozen.
                let mut store = new_store(&self.wasm, Guest::thawing(occupant), true);
                let instance = compiled.pre.instantiate(&mut store);
                new_live(&compiled, store, instance)?
            }
        };
        live.write(&image).map_err(|error| exit_reason(&error))?;
        live.store.data_mut().thawed(image.memory_bytes());
        Ok(Some(live))
    }

    /// Gets its module, which may have to be fetched and compiled.
    async fn load(&mut self) -> Result<(), LoadError> {
        let GuestTurns { wasm, module, .. } = &*self;
        let caller = Caller { process: self.context.id(), origin: self.context.origin() };
        let bytes = async { wasm.services.lump(&caller, *module).await.map_err(LoadError::Missing) };
        self.compiled = Some(wasm.modules.get(*module, bytes).await?);
        Ok(())
    }

    fn first_here(&mut self, compiled: &Compiled) -> Turned {
        let wasm = &self.wasm;
        let spare = compiled.spares.as_ref().and_then(|spares| spares.take(wasm, &self.context));
        let mut live = match spare {
            Some(live) => live,
            None => {
                let mut store = new_store(wasm, Guest::new(wasm.clone(), self.context.clone()), true);
                let instance = compiled.pre.instantiate(&mut store);
                new_live(compiled, store, instance)?
            }
        };
        let called = self.start_here(&mut live);
        self.after(live, called)
    }

    fn start_here(&self, live: &mut Live) -> wasmtime::Result<()> {
        begin_turn(&self.wasm, &mut live.store, true);
        if let Some(initialize) = &live.initialize {
            initialize.call(&mut live.store, ())?;
        }
        self.context.started();
        live.start.call(&mut live.store, ())
    }

    fn wake_here(&mut self, mut live: Box<Live>) -> Turned {
        begin_turn(&self.wasm, &mut live.store, true);
        let called = live.wake.as_ref().map(|wake| wake.call(&mut live.store, ()));
        self.after(live, called.unwrap_or(Ok(())))
    }

    /// The first turn of a guest that has to be aside. If it waits on its stack it has all its life in it.
    async fn first_aside(&mut self, compiled: &Compiled) -> Turned {
        let wasm = self.wasm.clone();
        let mut store = new_store(&wasm, Guest::new(wasm.clone(), self.context.clone()), false);
        let instance = compiled.pre.instantiate_async(&mut store).await;
        let mut live = new_live(compiled, store, instance)?;
        let mut called = self.start_aside(&mut live).await;
        if compiled.is_blocking
            && let Some(wake) = live.wake.clone()
        {
            while called.is_ok() {
                if self.context.wait(State::Parked).await {
                    begin_turn(&wasm, &mut live.store, false);
                }
                called = wake.call_async(&mut live.store, ()).await;
            }
        }
        self.after(live, called)
    }

    async fn start_aside(&self, live: &mut Live) -> wasmtime::Result<()> {
        begin_turn(&self.wasm, &mut live.store, false);
        if let Some(initialize) = &live.initialize {
            initialize.call_async(&mut live.store, ()).await?;
        }
        self.context.started();
        live.start.call_async(&mut live.store, ()).await
    }

    async fn wake_aside(&mut self, mut live: Box<Live>) -> Turned {
        begin_turn(&self.wasm, &mut live.store, false);
        let called = match &live.wake {
            Some(wake) => wake.call_async(&mut live.store, ()).await,
            None => Ok(()),
        };
        self.after(live, called)
    }

    /// A call is over: keeps the instance for the next turn, or else for another guest.
    fn after(&mut self, live: Box<Live>, called: wasmtime::Result<()>) -> Turned {
        let ended = match called {
            Ok(()) if live.wake.is_some() => {
                self.live = Some(live);
                return Ok(());
            }
            Ok(()) => ExitReason::normal(),
            Err(error) => exit_reason(&error),
        };
        self.give(live);
        Err(ended)
    }

    fn give(&self, live: Box<Live>) {
        if let Some(spares) = self.compiled.as_ref().and_then(|compiled| compiled.spares.as_ref()) {
            spares.give(live);
        }
    }
}

impl Drop for GuestTurns {
    fn drop(&mut self) {
        // Killed between two turns. In the middle of one there is no instance here.
        if let Some(live) = self.live.take() {
            self.give(live);
        }
    }
}

fn new_live(
    compiled: &Compiled,
    mut store: Store<Guest>,
    instance: wasmtime::Result<Instance>,
) -> Result<Box<Live>, ExitReason> {
    let instance = instance.map_err(|error| match store.data().denied() {
        Some(denied) => load_reason(&LoadError::Limit(denied)),
        None => exit_reason(&error),
    })?;
    let recyclable = compiled.spares.as_ref().and_then(|spares| spares.note(&instance, &mut store));
    let function = |store: &mut Store<Guest>, name| {
        instance.get_typed_func(store, name).map_err(|error| exit_reason(&error))
    };
    Ok(Box::new(Live {
        initialize: compiled.has_initialize.then(|| function(&mut store, "_initialize")).transpose()?,
        start: function(&mut store, "start")?,
        wake: compiled.has_wake.then(|| function(&mut store, "wake")).transpose()?,
        recyclable,
        store,
    }))
}

/// A store whose guest may be interrupted from now on: a module's own start function runs with its instance.
fn new_store(wasm: &Inner, guest: Guest, is_plain: bool) -> Store<Guest> {
    let mut store = Store::new(&wasm.engine, guest);
    store.limiter(|guest| guest);
    store.epoch_deadline_callback(|guest| {
        let guest = guest.data();
        let wasm = guest.wasm.clone();
        // The clock may have come to rest meanwhile.
        let after = |until: Pin<Box<dyn Future<Output = ()> + Send>>| {
            UpdateDeadline::YieldCustom(
                1,
                Box::pin(async move {
                    until.await;
                    wasm.ticker.touch();
                }),
            )
        };
        if guest.is_plain {
            let goes_on = guest.context.tick_here();
            guest.wasm.ticker.touch();
            return match goes_on {
                true => Ok(UpdateDeadline::Continue(1)),
                // Why it is to end is known to whoever wants it to.
                false => Err(Leave(ExitReason::of_kind(ExitKind::Killed)).into()),
            };
        }
        guest.wasm.ticker.touch();
        Ok(match guest.context.tick() {
            Tick::Continue => UpdateDeadline::Continue(1),
            Tick::Yield => after(Box::pin(tokio::task::yield_now())),
            Tick::Wait(until) => after(until),
        })
    });
    begin_turn(wasm, &mut store, is_plain);
    store
}

/// The guest has not run just now: its slice begins anew.
fn begin_turn(wasm: &Inner, store: &mut Store<Guest>, is_plain: bool) {
    store.data_mut().is_plain = is_plain;
    store.set_epoch_deadline(1);
    wasm.ticker.touch();
}
