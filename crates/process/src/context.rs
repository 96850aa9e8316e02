// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a program sees of its process.

use crate::{
    Level, Limit, Limits, MemoryShare, Processes, RegisterError, ReplyTo, SendError, Signal, Tick,
    budget::Meter,
    inbox, life, outbox,
    record::{Process, State},
    run::{Code, Run},
    table::Inner,
};
use bytes::Bytes;
use hearth_abi::{Errno, LumpId, PeerId, ProcessId, signal::Kind};
use std::{
    collections::hash_map::Entry,
    future::poll_fn,
    sync::{
        Arc,
        atomic::Ordering::{Acquire, Relaxed},
    },
    task::Poll,
    time::Duration,
};

/// What [`Context::take`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Take<T = Signal> {
    /// There is no signal now.
    Empty,
    /// The first signal has so many bytes, more than asked for; it stays.
    TooLong(usize),
    /// The first signal, or what was made of it; it is no longer in the mailbox.
    Signal(T),
}

/// A process, as its program sees it.
#[derive(Clone)]
pub struct Context {
    pub(crate) table: Arc<Inner>,
    pub(crate) process: Arc<Process>,
    /// The code that this context was given to.
    pub(crate) run: Arc<Run>,
}

impl Context {
    /// For the code that runs as the process now.
    pub(crate) fn new(table: Arc<Inner>, process: Arc<Process>) -> Context {
        let run = process.current();
        Context { table, process, run }
    }

    /// The id of the process.
    pub fn id(&self) -> ProcessId {
        self.process.id
    }

    /// The peer whose authority it has.
    pub fn origin(&self) -> PeerId {
        self.run.code.origin
    }

    /// The peer it runs on.
    pub fn peer(&self) -> PeerId {
        self.table.peer
    }

    /// The process that spawned it.
    pub fn parent(&self) -> Option<ProcessId> {
        self.process.spec.parent
    }

    /// The lump of its module.
    pub fn module(&self) -> Option<LumpId> {
        self.run.code.module
    }

    /// Its arguments, in the form of [`hearth_abi::signal::encode_args`].
    pub fn args(&self) -> &Bytes {
        &self.process.spec.args
    }

    /// Its limits.
    pub fn limits(&self) -> &Limits {
        &self.process.spec.limits
    }

    /// The table it is in.
    pub fn processes(&self) -> Processes {
        Processes(self.table.clone())
    }

    /// Takes the first signal out of the mailbox, if it has at most `cap` bytes with its header.
    ///
    /// To a plain call that has taken a signal, and about a slice, it says once that there is none, so that it may park;
    /// then it has its next turn when others have had theirs.
    pub fn take(&self, cap: usize) -> Take {
        self.take_by(cap, Signal::clone)
    }

    /// As [`Context::take`], for those who need of the signal only what `f` makes of it where it lies. `f` must not use
    /// this process.
    pub fn take_by<R>(&self, cap: usize, f: impl FnOnce(&Signal) -> R) -> Take<R> {
        if self.process.slice.should_park() {
            return Take::Empty;
        }
        let take = |signal: &Signal| {
            self.taken(signal);
            f(signal)
        };
        inbox::take(&self.process, cap, take).unwrap_or_else(|take| self.process.mailbox.take(cap, take))
    }

    /// Takes the signal that brought this turn, if it is a plain one and `f` says so; `None` if that was taken already, or there is none.
    /// There is no other then, but for what came meanwhile. `f` must not use this process.
    #[inline]
    pub fn take_first(&self, f: impl FnOnce(&Signal) -> bool) -> Option<bool> {
        let taken = inbox::take_first(&self.process, |signal| {
            let is_taken = f(signal);
            if is_taken {
                self.note_used(signal);
            }
            is_taken
        });
        if taken == Some(true) {
            self.count_taken(1);
        }
        taken
    }

    /// Takes signals, the first first, as long as there are any and `f` says that it took the one it was shown; returns how many. To
    /// a plain call it says that there is none when [`Context::take`] would. `f` must not use this process.
    pub fn take_many(&self, mut f: impl FnMut(&Signal) -> bool) -> usize {
        if self.process.slice.should_park() {
            return 0;
        }
        let in_turn = inbox::take_many(&self.process, &mut |signal| {
            let is_taken = f(signal);
            if is_taken {
                // Who is on trial has no plain turns.
                debug_assert!(!self.run.is_on_trial());
                self.note_used(signal);
            }
            is_taken
        });
        let taken = in_turn.unwrap_or_else(|| {
            // Noted when the mailbox is not locked any more: who breaks a link locks the ties, and then the mailbox.
            let one_by_one = std::iter::from_fn(|| self.process.mailbox.take_if(&mut f));
            one_by_one.inspect(|signal| self.note_taken(signal)).count()
        });
        if taken > 0 {
            self.count_taken(taken as u64);
        }
        taken
    }

    /// A signal has been taken.
    fn taken(&self, signal: &Signal) {
        self.count_taken(1);
        self.note_taken(signal);
    }

    fn count_taken(&self, count: u64) {
        self.process.slice.taken();
        // There is one receiver.
        let received = &self.process.received;
        received.store(received.load(Relaxed) + count, Relaxed);
    }

    #[inline]
    fn note_taken(&self, signal: &Signal) {
        self.note_used(signal);
        if self.run.is_on_trial() {
            self.run.note_taken(&self.process, signal);
        }
    }

    /// What reserved a place for the signal may reserve another.
    #[inline]
    fn note_used(&self, signal: &Signal) {
        match signal.header.kind {
            Kind::Reply => {
                self.run.requests.fetch_sub(1, Relaxed);
            }
            Kind::Timeout => self.run.timers().untaken -= 1,
            Kind::Down => {
                self.run.downs.fetch_sub(1, Relaxed);
            }
            _ => {
                if signal.is_exit_of_link() {
                    self.process.exit_taken();
                }
            }
        }
    }

    /// Waits until there is a signal; `false` if it did not have to wait. `state` is what the process is
    /// seen to do meanwhile. Whoever gives up this future calls [`Context::resume`].
    pub async fn wait(&self, state: State) -> bool {
        self.run.settle();
        let mut waited = false;
        poll_fn(|cx| match self.process.mailbox.poll_signal(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => {
                waited = true;
                self.rest(state);
                Poll::Pending
            }
        })
        .await;
        if waited {
            self.resume();
        }
        waited
    }

    /// Waits for so long.
    pub async fn sleep(&self, time: Duration) {
        self.run.settle();
        self.rest(State::Waiting);
        tokio::time::sleep(time).await;
        self.resume();
    }

    fn rest(&self, state: State) {
        self.process.slice.rest();
        self.process.state.store(state as u8, Relaxed);
    }

    /// The program runs again after it has given up a wait.
    pub fn resume(&self) {
        self.process.state.store(State::Running as u8, Relaxed);
    }

    /// Sends a message.
    ///
    /// # Errors
    /// See [`SendError`]; to another peer, success does not tell that it arrived.
    pub fn send(&self, to: ProcessId, body: &[u8]) -> Result<(), SendError> {
        let from = self.process.id;
        if outbox::put(&self.table.directory, from, to, body) {
            return Ok(());
        }
        self.table.send(from, to, body)
    }

    /// Ends a process, wherever it runs. An empty reason becomes `killed`.
    ///
    /// # Errors
    /// There is no such process here, or the way to its peer is closed or full.
    pub fn kill(&self, who: ProcessId, reason: &str) -> Result<(), SendError> {
        self.table.kill(Some(self.process.id), who, reason)
    }

    /// Gives the process a name on this peer. A name that it has already is fine.
    ///
    /// # Errors
    /// The name is taken or invalid, or the process has [`NAMES_MAX`](crate::NAMES_MAX) names.
    pub fn register(&self, name: &str) -> Result<(), RegisterError> {
        self.process.names.register(&self.table.names, self.process.id, name)
    }

    /// Takes one of its names away; `false` if it does not have it.
    pub fn unregister(&self, name: &str) -> bool {
        self.process.names.unregister(&self.table.names, self.process.id, name)
    }

    /// The process of that name on this peer.
    pub fn whereis(&self, name: &str) -> Option<ProcessId> {
        self.table.names.get(name)
    }

    /// Sets a timer: a signal of kind `timeout` with this tag comes after so long. A timer of the
    /// same tag is replaced.
    ///
    /// # Errors
    /// [`Errno::Limit`] if it has too many.
    pub fn set_timer(&self, after: Duration, tag: u64) -> Result<(), Errno> {
        let limit = self.limits().timers;
        let mut timers = self.run.timers();
        let count = timers.pending.len() + timers.untaken;
        match timers.pending.entry(tag) {
            Entry::Occupied(mut old) => {
                // If it has just gone off, the timer task waits for this lock, and will find a key
                // that is not its own.
                self.table.timers.remove(*old.get());
                old.insert(self.table.timers.add(after, self.process.id, tag));
            }
            Entry::Vacant(_) if count >= limit => {
                drop(timers);
                self.reached(Limit::Timers);
                return Err(Errno::Limit);
            }
            Entry::Vacant(free) => {
                free.insert(self.table.timers.add(after, self.process.id, tag));
            }
        }
        Ok(())
    }

    /// Takes a timer away.
    ///
    /// # Errors
    /// [`Errno::NotFound`] if there is none of this tag, or it has gone off.
    pub fn cancel_timer(&self, tag: u64) -> Result<(), Errno> {
        let key = self.run.timers().pending.remove(&tag).ok_or(Errno::NotFound)?;
        self.table.timers.remove(key);
        Ok(())
    }

    /// Writes a line to the process's log.
    ///
    /// # Errors
    /// [`Errno::Limit`] if it logs too much; the line is dropped and counted.
    pub fn log(&self, level: Level, target: &str, text: &str) -> Result<(), Errno> {
        let written = self.process.log.write(self.limits(), level, target, text);
        if written == Err(Errno::Limit) {
            self.process.reached.count(Limit::LogLines);
        }
        written
    }

    /// Begins a request; its reply will come as a signal with this tag.
    ///
    /// # Errors
    /// [`Errno::Limit`] if it has too many under way.
    pub fn begin_request(&self, tag: u64) -> Result<ReplyTo, Errno> {
        self.count_request()?;
        Ok(ReplyTo::process(self.process.clone(), self.run.clone(), tag))
    }

    /// Begins a request whose reply the process does not want to know.
    ///
    /// # Errors
    /// As [`Context::begin_request`].
    pub fn begin_silent_request(&self) -> Result<ReplyTo, Errno> {
        self.count_request()?;
        Ok(ReplyTo::silent(self.process.clone(), self.run.clone()))
    }

    fn count_request(&self) -> Result<(), Errno> {
        let requests = &self.run.requests;
        if requests.fetch_add(1, Relaxed) as usize >= self.limits().requests {
            requests.fetch_sub(1, Relaxed);
            self.reached(Limit::Requests);
            return Err(Errno::Limit);
        }
        Ok(())
    }

    /// The program is ready to run: whoever waits for the start of this process is told.
    pub fn started(&self) {
        self.process.state.store(State::Running as u8, Relaxed);
        self.process.has_started.store(true, std::sync::atomic::Ordering::Release);
        self.process.changed.notify_waiters();
    }

    /// Notes how much linear memory it has, in bytes.
    pub fn set_memory(&self, bytes: u64) {
        self.process.memory_bytes.store(bytes, Relaxed);
    }

    /// The linear memory of this code in the account of its peer of origin: empty at first, to be kept as long as the
    /// memory is.
    pub fn memory_share(&self) -> MemoryShare {
        let Code { module, origin, .. } = &self.run.code;
        MemoryShare::new(module.map(|_| self.table.accounts.of(*origin)))
    }

    /// Notes that the process was refused what is beyond a limit: its log tells, though not each time.
    pub fn reached(&self, limit: Limit) {
        let max = self.table.max_of(&self.process, self.origin(), limit);
        self.table.reached(&self.process, limit, max);
    }

    /// Whether the process is to end: its program's future is dropped as soon as it yields.
    pub fn is_killed(&self) -> bool {
        self.process.kill.asked.load(Acquire)
    }

    /// A program that runs long calls this about every millisecond, on the thread that runs it.
    pub fn tick(&self) -> Tick {
        if self.is_killed() {
            return Tick::Yield;
        }
        self.process.slice.tick(&self.table.scheduler)
    }

    /// As [`Context::tick`], for a program that was entered by a plain call: what it has to wait for, the thread waits for.
    /// `false` if the call must be left at once.
    pub fn tick_here(&self) -> bool {
        let Context { table, process, .. } = self;
        // It may take long from here on, and others may run whom it sent something.
        outbox::flush();
        if !process.slice.tick_here(table, process) {
            return false;
        }
        if process.change.is_asked() && process.slice.has_overrun() {
            // The new code gets it.
            inbox::give_back(process);
            return life::replace_here(self);
        }
        true
    }

    /// How long the process was held up because it, or its peer of origin, had used up its processor time.
    pub fn throttled(&self) -> Duration {
        Duration::from_nanos(self.process.slice.meter().map_or(0, Meter::held_up_ns))
    }

    /// Time since the table was made.
    pub fn uptime(&self) -> Duration {
        self.table.made.elapsed()
    }
}
