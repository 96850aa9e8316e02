// SPDX-License-Identifier: AGPL-3.0-or-later
//! The life of a guest.

use crate::{
    Caller, LoadError, ahead,
    engine::Inner,
    freeze::Frozen,
    host::{Guest, before_wake},
    modules::Compiled,
    recycle::Recyclable,
    trap::{Leave, exit_reason, load_reason},
};
use hearth_abi::LumpId;
use hearth_process::{
    Aside, Context, ExitKind, ExitReason, Footprint, Program, State, Tick, Turn, Turns, Work,
};
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock, Weak},
};
use wasmtime::{Instance, Store, TypedFunc, UpdateDeadline};

/// The module of one lump.
pub(crate) struct WasmProgram {
    wasm: Arc<Inner>,
    module: LumpId,
    /// What was found in the cache the first time, which may have dropped it since.
    compiled: OnceLock<Weak<Compiled>>,
}

impl WasmProgram {
    pub(crate) fn new(wasm: Arc<Inner>, module: LumpId) -> WasmProgram {
        WasmProgram { wasm, module, compiled: OnceLock::new() }
    }

    /// The module, if it is compiled.
    fn compiled(&self) -> Option<Arc<Compiled>> {
        if let Some(compiled) = self.compiled.get().and_then(Weak::upgrade) {
            return Some(compiled);
        }
        let compiled = self.wasm.modules.cached(self.module)?;
        let _ = self.compiled.set(Arc::downgrade(&compiled));
        Some(compiled)
    }
}

impl Program for WasmProgram {
    fn run(self: Arc<Self>, context: Context) -> Work {
        Work::Turns(Box::new(GuestTurns {
            program: self,
            compiled: None,
            form: Form::New(context),
            is_in_turn: false,
        }))
    }
}

/// A guest between its turns.
struct GuestTurns {
    program: Arc<WasmProgram>,
    /// Its module, once it was needed.
    compiled: Option<Arc<Compiled>>,
    form: Form,
    /// Whether it is in a plain turn: what it is then may be anything, if that does not come to its end.
    is_in_turn: bool,
}

/// What a guest is between two turns.
enum Form {
    /// It is in a turn.
    InTurn,
    /// It has had none.
    New(Context),
    Live(Box<Live>),
    /// It hibernates.
    Frozen(Box<Frozen>),
}

/// An instance, and what it is entered by. What each turn needs comes first, in one cache line.
#[repr(C)]
pub(crate) struct Live {
    pub(crate) store: Store<Guest>,
    wake: Option<TypedFunc<(), ()>>,
    initialize: Option<TypedFunc<(), ()>>,
    start: TypedFunc<(), ()>,
    /// Address of the engine's reference of `wake`, or 0.
    pub(crate) wake_at: usize,
    /// What it takes to use it again, if it can be.
    pub(crate) recyclable: Option<Recyclable>,
}

impl Turns for GuestTurns {
    fn stack_bytes(&self) -> usize {
        self.program.wasm.stack_bytes
    }

    fn turn(&mut self) -> Turn {
        // Most turns are of one that stays what it is, where it is.
        if let Form::Live(live) = &mut self.form
            && !self.is_in_turn
        {
            self.is_in_turn = true;
            let called = wake_here(&self.program.wasm, live);
            self.is_in_turn = false;
            if called.is_ok() && live.wake.is_some() {
                return Turn::Parked;
            }
            let Form::Live(live) = self.take() else { return Turn::Ended(left_in_turn()) };
            return self.after(live, called).map_or_else(Turn::Ended, |()| Turn::Parked);
        }
        let turned = match self.take() {
            Form::Frozen(frozen) => self.thaw(*frozen).and_then(|mut live| {
                let called = wake_here(&self.program.wasm, &mut live);
                self.after(live, called)
            }),
            Form::New(context) => {
                if self.compiled.is_none() {
                    self.compiled = self.program.compiled();
                }
                // Unless the module is at hand, and never waits on its stack.
                if self.compiled.as_ref().is_none_or(|compiled| compiled.is_blocking) {
                    self.form = Form::New(context);
                    return Turn::Aside;
                }
                self.first_here(context)
            }
            Form::Live(_) | Form::InTurn => Err(left_in_turn()),
        };
        turned.map_or_else(Turn::Ended, |()| Turn::Parked)
    }

    fn aside(mut self: Box<Self>) -> Pin<Box<dyn Future<Output = Aside> + Send>> {
        Box::pin(async move {
            let turned = match self.take() {
                Form::Live(live) => self.wake_aside(live).await,
                Form::Frozen(frozen) => match self.thaw(*frozen) {
                    Ok(live) => self.wake_aside(live).await,
                    Err(reason) => Err(reason),
                },
                Form::New(context) => match self.compiled.clone() {
                    Some(compiled) => self.first_aside(&compiled, context).await,
                    None => match self.load(&context).await {
                        // With the module at hand, it may not have to be aside any more.
                        Ok(()) => {
                            self.form = Form::New(context);
                            return Aside::Ready(self);
                        }
                        Err(error) => Err(load_reason(&error)),
                    },
                },
                Form::InTurn => Err(left_in_turn()),
            };
            match turned {
                Ok(()) => Aside::Parked(self),
                Err(reason) => Aside::Ended(reason),
            }
        })
    }

    fn footprint(&self) -> Footprint {
        match &self.form {
            Form::Live(live) => ahead::footprint(live),
            _ => Footprint::default(),
        }
    }

    #[inline]
    fn fetch_ahead(&self, footprint: Footprint) {
        ahead::fetch(self, footprint);
    }

    fn hibernate(&mut self) -> bool {
        let GuestTurns { compiled: Some(compiled), form, .. } = self else { return false };
        let (Some(spares), Form::Live(live)) = (&compiled.spares, &mut *form) else { return false };
        let Some(frozen) = spares.freeze(live) else { return false };
        let before = std::mem::replace(form, Form::Frozen(Box::new(frozen)));
        if let Form::Live(live) = before
            && spares.has_room()
        {
            spares.give(live);
        }
        true
    }
}

/// A turn that has not come to its end is over.
fn left_in_turn() -> ExitReason {
    ExitReason::new(ExitKind::Error, "the host failed: it left the guest in the middle of a turn")
}

/// Whether there is another turn.
type Turned = Result<(), ExitReason>;

impl GuestTurns {
    fn take(&mut self) -> Form {
        std::mem::replace(&mut self.form, Form::InTurn)
    }

    /// One that hibernates gets an instance again.
    fn thaw(&mut self, Frozen { occupant, image }: Frozen) -> Result<Box<Live>, ExitReason> {
        // What hibernates has a module.
        let Some(compiled) = &self.compiled else { return Err(left_in_turn()) };
        let wasm = &self.program.wasm;
        let mut live = match compiled.spares.as_ref().and_then(|spares| spares.spare()) {
            Some(mut live) => {
                live.store.data_mut().thaw(occupant);
                live
            }
            None => {
                // It has no start function, which could run long, or it would not have been frozen.
                let mut store = new_store(wasm, Guest::thawing(occupant), true);
                let instance = compiled.pre.instantiate(&mut store);
                new_live(compiled, store, instance)?
            }
        };
        live.write(&image).map_err(|error| exit_reason(&error))?;
        // Without it, it could not have been frozen.
        let memory = live.recyclable.as_ref().map(|recyclable| recyclable.memory());
        live.store.data_mut().thawed(memory, image.memory_bytes());
        Ok(live)
    }

    /// Gets its module, which may have to be fetched and compiled.
    async fn load(&mut self, context: &Context) -> Result<(), LoadError> {
        let WasmProgram { wasm, module, .. } = &*self.program;
        let caller = Caller { process: context.id(), origin: context.origin() };
        let bytes = async { wasm.services.lump(&caller, *module).await.map_err(LoadError::Missing) };
        self.compiled = Some(wasm.modules.get(*module, bytes).await?);
        Ok(())
    }

    fn first_here(&mut self, context: Context) -> Turned {
        let Some(compiled) = &self.compiled else { return Err(left_in_turn()) };
        let wasm = &self.program.wasm;
        let taken = match &compiled.spares {
            Some(spares) => spares.take(wasm, context),
            None => Err(context),
        };
        let mut live = match taken {
            Ok(live) => live,
            Err(context) => {
                let mut store = new_store(wasm, Guest::new(wasm.clone(), context), true);
                let instance = compiled.pre.instantiate(&mut store);
                new_live(compiled, store, instance)?
            }
        };
        let called = start_here(wasm, &mut live);
        self.after(live, called)
    }

    /// The first turn of a guest that has to be aside. If it waits on its stack it has all its life in it.
    async fn first_aside(&mut self, compiled: &Compiled, context: Context) -> Turned {
        let wasm = self.program.wasm.clone();
        let mut store = new_store(&wasm, Guest::new(wasm.clone(), context.clone()), false);
        let instance = compiled.pre.instantiate_async(&mut store).await;
        let mut live = new_live(compiled, store, instance)?;
        let mut called = start_aside(&wasm, &mut live).await;
        if compiled.is_blocking
            && let Some(wake) = live.wake.clone()
        {
            while called.is_ok() {
                if context.wait(State::Parked).await {
                    begin_turn(&wasm, &mut live.store, false);
                }
                before_wake(&mut live.store);
                called = wake.call_async(&mut live.store, ()).await;
            }
        }
        self.after(live, called)
    }

    async fn wake_aside(&mut self, mut live: Box<Live>) -> Turned {
        begin_turn(&self.program.wasm, &mut live.store, false);
        before_wake(&mut live.store);
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
                self.form = Form::Live(live);
                return Ok(());
            }
            Ok(()) => ExitReason::normal(),
            Err(_) if live.store.data().has_left => ExitReason::normal(),
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
        // Killed between two turns.
        if let Form::Live(live) = self.take()
            && !self.is_in_turn
        {
            self.give(live);
        }
    }
}

/// A turn after the first, by a plain call.
fn wake_here(wasm: &Inner, live: &mut Live) -> wasmtime::Result<()> {
    begin_turn(wasm, &mut live.store, true);
    before_wake(&mut live.store);
    live.wake.as_ref().map_or(Ok(()), |wake| wake.call(&mut live.store, ()))
}

/// The first turn, by a plain call.
fn start_here(wasm: &Inner, live: &mut Live) -> wasmtime::Result<()> {
    begin_turn(wasm, &mut live.store, true);
    if let Some(initialize) = &live.initialize {
        initialize.call(&mut live.store, ())?;
    }
    live.store.data().context.started();
    live.start.call(&mut live.store, ())
}

async fn start_aside(wasm: &Inner, live: &mut Live) -> wasmtime::Result<()> {
    begin_turn(wasm, &mut live.store, false);
    if let Some(initialize) = &live.initialize {
        initialize.call_async(&mut live.store, ()).await?;
    }
    live.store.data().context.started();
    live.start.call_async(&mut live.store, ()).await
}

fn new_live(
    compiled: &Compiled,
    mut store: Store<Guest>,
    instance: wasmtime::Result<Instance>,
) -> Result<Box<Live>, ExitReason> {
    let instance = instance.map_err(|error| match store.data().denied() {
        Some(denied) => load_reason(&LoadError::Limit(denied)),
        None if store.data().has_left => ExitReason::normal(),
        None => exit_reason(&error),
    })?;
    let recyclable = compiled.spares.as_ref().and_then(|spares| spares.note(&instance, &mut store));
    let function = |store: &mut Store<Guest>, name| {
        instance.get_typed_func(store, name).map_err(|error| exit_reason(&error))
    };
    let wake = compiled.has_wake.then(|| function(&mut store, "wake")).transpose()?;
    Ok(Box::new(Live {
        wake_at: wake.as_ref().map_or(0, |wake| wake.func().to_raw(&mut store).addr()),
        wake,
        initialize: compiled.has_initialize.then(|| function(&mut store, "_initialize")).transpose()?,
        start: function(&mut store, "start")?,
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
                false => Err(Leave(ExitReason::of_kind(ExitKind::Killed)).raise()),
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
