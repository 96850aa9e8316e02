// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a terminal of this peer tells, and to whom it is passed on.

use crate::node::Inner;
use hearth_abi::{ProcessId, TerminalId, terminal::Event};
use hearth_terminal::Listener;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// Most events of one terminal that wait while its code is set aside.
const EVENTS_ASIDE_MAX: usize = 64;

/// What a terminal tells its peer. Called from its own threads.
pub(super) struct Ear {
    inner: Weak<Inner>,
    pub(super) terminal: TerminalId,
    pub(super) owner: ProcessId,
    /// Held while its owner is told something, so that nothing comes behind what is to be the last.
    state: Mutex<EarState>,
}

#[derive(Default)]
struct EarState {
    /// How its program has ended, if it has.
    status: Option<i32>,
    gate: Gate,
}

/// Where goes what happens to a terminal.
#[derive(Default)]
enum Gate {
    /// To its owner.
    #[default]
    Open,
    /// It is kept until the code that opened it goes on; what is too much is lost, and that is logged.
    Aside(Vec<Event>),
    /// It is closed: nobody hears of it any more.
    Shut,
}

impl Ear {
    pub(super) fn new(inner: &Arc<Inner>, terminal: TerminalId, owner: ProcessId) -> Ear {
        Ear { inner: Arc::downgrade(inner), terminal, owner, state: Mutex::default() }
    }

    /// How its program has ended, if it has.
    pub(super) fn status(&self) -> Option<i32> {
        self.state.lock().status
    }

    fn tell(&self, inner: &Inner, gate: &mut Gate, event: Event) {
        match gate {
            Gate::Open => inner.tell_of_terminal(self.owner, self.terminal, &event),
            Gate::Aside(kept) if kept.len() < EVENTS_ASIDE_MAX => kept.push(event),
            Gate::Aside(_) => inner.log_lost_event(self.owner, self.terminal, &event),
            Gate::Shut => {}
        }
    }

    /// Keeps what happens, until [`Ear::bring_back`].
    pub(super) fn set_aside(&self) {
        let gate = &mut self.state.lock().gate;
        if matches!(gate, Gate::Open) {
            *gate = Gate::Aside(Vec::new());
        }
    }

    /// Tells what was kept, and what happens from now on.
    pub(super) fn bring_back(&self, inner: &Inner) {
        let gate = &mut self.state.lock().gate;
        if let Gate::Aside(kept) = gate {
            kept.iter().for_each(|event| inner.tell_of_terminal(self.owner, self.terminal, event));
            *gate = Gate::Open;
        }
    }

    /// The terminal is closed, of which its owner is told if it is there to hear it.
    pub(super) fn shut(&self, inner: &Inner, tells: bool) {
        let gate = &mut self.state.lock().gate;
        *gate = Gate::Shut;
        if tells {
            inner.tell_of_terminal(self.owner, self.terminal, &Event::Closed);
        }
    }
}

impl Listener for Ear {
    fn changed(&self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.terminal_changed(self.terminal);
        }
    }

    fn event(&self, event: Event) {
        let Some(inner) = self.inner.upgrade() else { return };
        let EarState { status, gate } = &mut *self.state.lock();
        if let Event::Exited(exited) = event {
            *status = Some(exited);
        }
        self.tell(&inner, gate, event);
    }

    fn started(&self) {
        self.state.lock().status = None;
    }
}
