// SPDX-License-Identifier: AGPL-3.0-or-later
//! Processes in the hands of a simulation: they take what comes, and do nothing by themselves.

use bytes::Bytes;
use hearth_abi::{LumpId, PeerId, ProcessId};
use hearth_process::{
    Code, Context, ExitReason, Limits, Processes, Program, ReplaceError, Signal, Spec, State, Take, Work,
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::Notify;

/// Of all that nobody has asked for by a module of its own.
const MODULE: LumpId = LumpId([1; 32]);

/// How a process begins.
#[derive(Clone, Debug)]
pub(super) enum Begins {
    /// It starts, and waits for what it is told.
    AtOnce,
    /// It starts when it is told so.
    WhenTold,
    /// It starts, and ends at once.
    AndEnds(ExitReason),
    /// It ends without having started.
    Not(ExitReason),
}

/// What a process and the simulation share.
#[derive(Default)]
pub(super) struct Shared {
    context: Mutex<Option<Context>>,
    taken: Mutex<Vec<Signal>>,
    starts: Mutex<bool>,
    ends_with: Mutex<Option<ExitReason>>,
    told: Notify,
}

struct Puppet {
    shared: Arc<Shared>,
    begins: Begins,
}

impl Program for Puppet {
    fn run(self: Arc<Self>, context: Context) -> Work {
        *self.shared.context.lock() = Some(context.clone());
        match &self.begins {
            Begins::WhenTold => {}
            Begins::Not(reason) => return Work::whole(std::future::ready(reason.clone())),
            Begins::AndEnds(reason) => {
                context.started();
                return Work::whole(std::future::ready(reason.clone()));
            }
            Begins::AtOnce => context.started(),
        }
        Work::whole(async move {
            let shared = &self.shared;
            loop {
                tokio::select! {
                    biased;
                    _ = context.wait(State::Waiting) => {
                        while let Take::Signal(signal) = context.take(usize::MAX) {
                            shared.taken.lock().push(signal);
                        }
                    }
                    () = shared.told.notified() => {
                        if std::mem::take(&mut *shared.starts.lock()) {
                            context.started();
                        }
                        if let Some(reason) = shared.ends_with.lock().take() {
                            return reason;
                        }
                    }
                }
                context.resume();
            }
        })
    }
}

/// Makes what is asked for by its module, which is another for each.
#[derive(Clone, Default)]
pub(crate) struct Nursery(Arc<Mutex<Expected>>);

#[derive(Default)]
struct Expected {
    next: u64,
    begins: BTreeMap<LumpId, Begins>,
    born: Vec<(LumpId, Arc<Shared>)>,
}

impl Nursery {
    /// The module of one that will begin so, when somebody makes a process of it.
    pub(super) fn module(&self, begins: Begins) -> LumpId {
        let mut expected = self.0.lock();
        expected.next += 1;
        let mut module = [2; 32];
        module[..8].copy_from_slice(&expected.next.to_le_bytes());
        expected.begins.insert(LumpId(module), begins);
        LumpId(module)
    }

    /// How one of this module begins.
    pub(super) fn begins(&self, module: LumpId) -> Begins {
        self.0.lock().begins[&module].clone()
    }

    pub(crate) fn program(&self, module: LumpId) -> Arc<dyn Program> {
        let begins = self.begins(module);
        let mut expected = self.0.lock();
        let shared = Arc::new(Shared::default());
        expected.born.push((module, shared.clone()));
        Arc::new(Puppet { shared, begins })
    }

    /// Those that were made since this was asked last, and run or have run.
    pub(super) fn born(&self) -> Vec<(LumpId, Arc<Shared>)> {
        let all = std::mem::take(&mut self.0.lock().born);
        // What was not to be spawned after all does not run.
        all.into_iter().filter(|(_, shared)| shared.context.lock().is_some()).collect()
    }
}

/// A process, as the simulation holds it.
pub(super) struct Hand {
    pub(super) table: Processes,
    pub(super) id: ProcessId,
    shared: Arc<Shared>,
}

impl Hand {
    pub(super) fn spawn(table: &Processes, origin: PeerId) -> Hand {
        let shared = Arc::new(Shared::default());
        let spec = Spec {
            program: Arc::new(Puppet { shared: shared.clone(), begins: Begins::AtOnce }),
            module: Some(MODULE),
            origin,
            parent: None,
            name: None,
            args: Bytes::new(),
            limits: Limits::default(),
        };
        Hand { table: table.clone(), id: table.spawn(spec).unwrap(), shared }
    }

    /// One that was asked for.
    pub(super) fn of(shared: Arc<Shared>) -> Hand {
        let (table, id) = {
            let context = shared.context.lock();
            let context = context.as_ref().expect("it has run");
            (context.processes(), context.id())
        };
        Hand { table, id, shared }
    }

    /// As which it acts, once it runs.
    pub(super) fn context(&self) -> Context {
        self.shared.context.lock().clone().expect("it has run")
    }

    /// One that begins when it is told does so.
    pub(super) fn starts(&self) {
        *self.shared.starts.lock() = true;
        self.shared.told.notify_one();
    }

    pub(super) fn ends(&self, reason: ExitReason) {
        *self.shared.ends_with.lock() = Some(reason);
        self.shared.told.notify_one();
    }

    /// Other code of the same kind takes its place: what became of that, when it is done.
    pub(super) fn replace(&mut self) -> Arc<Mutex<Option<Result<(), ReplaceError>>>> {
        *self.shared.context.lock() = None;
        self.shared = Arc::new(Shared::default());
        let code = Code {
            program: Arc::new(Puppet { shared: self.shared.clone(), begins: Begins::AtOnce }),
            module: Some(MODULE),
            origin: self.id.peer(),
        };
        let done = Arc::new(Mutex::new(None));
        let (table, id, tell) = (self.table.clone(), self.id, done.clone());
        tokio::spawn(async move {
            let replaced = table.replace(id, code, id.peer()).await;
            *tell.lock() = Some(replaced);
        });
        done
    }

    /// What it has taken since it was asked last.
    pub(super) fn taken(&self) -> Vec<Signal> {
        std::mem::take(&mut self.shared.taken.lock())
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        // The process holds the program, which would hold the process.
        *self.shared.context.lock() = None;
    }
}
