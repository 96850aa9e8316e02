// SPDX-License-Identifier: AGPL-3.0-or-later
//! What runs as a process.

use crate::{Context, ExitReason};
use std::{future::Future, pin::Pin, sync::Arc};

/// A module made runnable.
pub trait Program: Send + Sync + 'static {
    /// How it runs as this process. It calls [`Context::started`] when it has all that it needs.
    fn run(self: Arc<Self>, context: Context) -> Work;
}

/// How a program runs.
pub enum Work {
    /// As a task, from its start to its end. It is dropped when the process is killed, and calls [`Context::tick`]
    /// when it runs long.
    Whole(Pin<Box<dyn Future<Output = ExitReason> + Send>>),
    /// By one call for each time that there is something for it.
    Turns(Box<dyn Turns>),
}

impl Work {
    /// Work that a future does.
    pub fn whole(future: impl Future<Output = ExitReason> + Send + 'static) -> Work {
        Work::Whole(Box::pin(future))
    }
}

/// What [`Turns::fetch_ahead`] finds its way by: addresses, or 0. Only the program knows of what.
pub type Footprint = [usize; 4];

/// A program that parks: between its turns it needs neither a task nor a stack, and is nothing but this value.
///
/// Its first turn begins it. Each further one comes when there is a signal in its mailbox; what it leaves there
/// brings the next at once.
pub trait Turns: Send {
    /// Bytes of stack that [`Turns::turn`] may use. Where a thread has less, every turn is taken aside.
    fn stack_bytes(&self) -> usize;

    /// Takes a turn on the stack of this thread. If it runs long it calls [`Context::tick_here`], which may block.
    fn turn(&mut self) -> Turn;

    /// Takes a turn as a task, which can wait and be set aside: because it has to, or because turns of this process
    /// have overrun. It calls [`Context::tick`] when it runs long.
    fn aside(self: Box<Self>) -> Pin<Box<dyn Future<Output = Aside> + Send>>;

    /// Where in memory lies what its turns begin with. Asked after a plain turn, and again when one was taken aside, or it was not what
    /// it is for a while.
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }

    /// Its next turn comes soon on this thread: what that begins with may be fetched into the processor's cache. That includes this
    /// value itself, so that what is needed to find the rest is given.
    fn fetch_ahead(&self, _: Footprint) {}

    /// It has waited for a while: gives back what it does not need while it waits, and gets again at its next turn. `false`
    /// if there is nothing like that.
    fn hibernate(&mut self) -> bool {
        false
    }
}

/// How a plain turn ended.
#[derive(Debug)]
pub enum Turn {
    /// The process waits for its next signal.
    Parked,
    /// This turn has to wait for something: it is to be taken aside. Nothing of it was done.
    Aside,
    /// The process has ended.
    Ended(ExitReason),
}

/// How a turn that was taken aside ended.
pub enum Aside {
    /// What it waited for is there: it has its turn now, as a plain one if that can be.
    Ready(Box<dyn Turns>),
    /// The process waits for its next signal.
    Parked(Box<dyn Turns>),
    /// The process has ended.
    Ended(ExitReason),
}
