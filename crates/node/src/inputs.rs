// SPDX-License-Identifier: AGPL-3.0-or-later
//! Which processes of this peer asked for which input events of its user.

use hearth_abi::{
    ProcessId,
    input::{Event, mask},
    signal::{Header, Kind},
};
use hearth_process::{Body, Processes, Signal};
use parking_lot::RwLock;
use std::collections::BTreeMap;

/// The subscriptions. That a process has the authority for one was checked before.
#[derive(Default)]
pub(crate) struct Inputs {
    masks: RwLock<BTreeMap<ProcessId, u32>>,
    /// The gamepads that are there, by their numbers: whoever asks for them is told.
    gamepads: RwLock<BTreeMap<u8, String>>,
    /// Those of code whose successor is on trial.
    aside: RwLock<BTreeMap<ProcessId, u32>>,
}

impl Inputs {
    /// Sets what a process asks for; a mask of zero ends it.
    pub(crate) fn subscribe(&self, process: ProcessId, mask: u32) {
        let mut masks = self.masks.write();
        if mask == 0 {
            masks.remove(&process);
        } else {
            masks.insert(process, mask & mask::ALL);
        }
    }

    /// Tells a process that has just asked for gamepads which there are.
    pub(crate) fn tell_gamepads(&self, processes: &Processes, process: ProcessId) {
        for (gamepad, name) in self.gamepads.read().iter() {
            let event = Event::Gamepad { gamepad: *gamepad, connected: true, name: name.clone() };
            let header = Header { kind: Kind::Input, status: 0, from: 0, tag: 0 };
            // Whoever asks with a full mailbox hears of those that come later.
            let _ = processes.deliver(process, Signal { header, body: event.encode().into() });
        }
    }

    /// A process has ended.
    pub(crate) fn forget(&self, process: ProcessId) {
        self.masks.write().remove(&process);
        self.aside.write().remove(&process);
    }

    /// New code of a process begins: it has asked for nothing yet.
    pub(crate) fn set_aside(&self, process: ProcessId) {
        if let Some(mask) = self.masks.write().remove(&process) {
            self.aside.write().insert(process, mask);
        }
    }

    /// The new code of a process has started, or the code before goes on.
    pub(crate) fn replaced(&self, process: ProcessId, has_started: bool) {
        let before = self.aside.write().remove(&process);
        if !has_started {
            self.subscribe(process, before.unwrap_or(0));
        }
    }

    /// Whether somebody asked for one of these.
    pub(crate) fn are_wanted(&self, mask: u32) -> bool {
        self.masks.read().values().any(|asked| asked & mask != 0)
    }

    /// Writes into the logs of those who asked for one of these.
    pub(crate) fn warn(&self, processes: &Processes, mask: u32, target: &str, text: &str) {
        let masks = self.masks.read();
        for (process, _) in masks.iter().filter(|(_, asked)| *asked & mask != 0) {
            processes.log(*process, hearth_process::Level::Warn, target, text);
        }
    }

    /// Hands an event to those who asked for its kind. A full mailbox loses frames and motion, which
    /// the next one makes up for, without a word; the loss of a key is told in the process's log.
    pub(crate) fn deliver(&self, processes: &Processes, event: &Event) {
        if let Event::Gamepad { gamepad, connected, name } = event {
            let mut gamepads = self.gamepads.write();
            match connected {
                true => drop(gamepads.insert(*gamepad, name.clone())),
                false => drop(gamepads.remove(gamepad)),
            }
        }
        let masks = self.masks.read();
        let mut body = None;
        for (process, _) in masks.iter().filter(|(_, mask)| *mask & event.mask() != 0) {
            let body: &Body = body.get_or_insert_with(|| Body::from(event.encode()));
            let header = Header { kind: Kind::Input, status: 0, from: 0, tag: 0 };
            let signal = Signal { header, body: body.clone() };
            let lost = processes.deliver(*process, signal).is_err();
            let is_made_up_for =
                matches!(event, Event::Frame { .. } | Event::Motion(_) | Event::GamepadAxis { .. });
            if lost && !is_made_up_for {
                let text = format!("input lost, the mailbox is full: {event:?}");
                processes.log(*process, hearth_process::Level::Warn, "input", &text);
            }
        }
    }
}
