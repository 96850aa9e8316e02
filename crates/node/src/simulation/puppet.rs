// SPDX-License-Identifier: AGPL-3.0-or-later
//! Processes in the hands of a simulation: they take what comes, and do nothing by themselves.

use bytes::Bytes;
use hearth_abi::{PeerId, ProcessId};
use hearth_process::{Context, ExitReason, Limits, Processes, Program, Signal, Spec, State, Take, Work};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Notify;

/// What a process and the simulation share.
#[derive(Default)]
struct Shared {
    context: Mutex<Option<Context>>,
    taken: Mutex<Vec<Signal>>,
    ends_with: Mutex<Option<ExitReason>>,
    told: Notify,
}

struct Puppet(Arc<Shared>);

impl Program for Puppet {
    fn run(self: Arc<Self>, context: Context) -> Work {
        context.started();
        *self.0.context.lock() = Some(context.clone());
        Work::whole(async move {
            loop {
                tokio::select! {
                    biased;
                    _ = context.wait(State::Waiting) => {
                        while let Take::Signal(signal) = context.take(usize::MAX) {
                            self.0.taken.lock().push(signal);
                        }
                    }
                    () = self.0.told.notified() => {
                        if let Some(reason) = self.0.ends_with.lock().take() {
                            return reason;
                        }
                    }
                }
                context.resume();
            }
        })
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
            program: Arc::new(Puppet(shared.clone())),
            module: None,
            origin,
            parent: None,
            name: None,
            args: Bytes::new(),
            limits: Limits::default(),
        };
        Hand { table: table.clone(), id: table.spawn(spec).unwrap(), shared }
    }

    /// As which it acts, once it runs.
    pub(super) fn context(&self) -> Context {
        self.shared.context.lock().clone().expect("it has run")
    }

    pub(super) fn ends(&self, reason: ExitReason) {
        *self.shared.ends_with.lock() = Some(reason);
        self.shared.told.notify_one();
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
