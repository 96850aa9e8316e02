// SPDX-License-Identifier: AGPL-3.0-or-later
//! A terminal with its program: two threads, and what they hand to each other.
//!
//! The first does the program's I/O and waits for its end; it never parses. The second owns the emulator: it takes
//! the program's output and the user's commands, and publishes screens. Nobody else touches the emulator, so that
//! whoever takes a screen waits for nobody, however much a program writes.

use crate::{
    emulator::{Emulator, Task},
    keys::ENCODED_LEN_MAX,
    pointer::WHEEL_MAX,
    program::{Control, Environment, Left, Program, ending},
};
use hearth_abi::{
    screen::Screen,
    terminal::{Command, Event, Open},
};
use parking_lot::{Condvar, Mutex};
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    io::{Errno, read, write},
};
use std::{
    collections::VecDeque,
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Output that waits for the emulator, in bytes. When it is full the program is not read, and waits in its own
/// writing; more would only make the wait for Ctrl-C longer.
const OUTPUT_LEN_MAX: usize = 64 << 10;
/// Commands that wait for the emulator; more are refused with [`CommandError::Full`].
const COMMANDS_MAX: usize = 4096;
/// What is typed and the program has not read yet, in bytes; more is refused with [`CommandError::Full`].
pub const INPUT_LEN_MAX: usize = 1 << 20;
/// Answers to the program's own queries that it has not read yet, beside what is typed, in bytes; more are dropped,
/// since a program that asks without reading wants no answers.
const ANSWERS_LEN_MAX: usize = 64 << 10;
/// Largest piece of output that is parsed before commands are looked at.
const SLICE_LEN_MAX: usize = 16 << 10;
/// Smallest one, for output that costs much.
const SLICE_LEN_MIN: usize = 64;
/// How long a piece should take at most.
const SLICE_TIME: Duration = Duration::from_millis(2);
/// In a flood, how much output wakes the emulator: to wake it for each piece of the kernel, of 4 KiB, costs more than
/// to parse it.
const FLOOD_LEN: usize = 32 << 10;
/// How long it waits for that at most.
const FLOOD_WAIT: Duration = Duration::from_micros(500);
/// It is a flood if output of this length came this soon after the one before.
const FLOOD_LEN_MIN: usize = 2 << 10;
const FLOOD_GAP_MAX: Duration = Duration::from_millis(1);
/// What one read gives of a pseudo terminal if there is more, in bytes.
const PIECE_LEN: usize = 4095;
const _: () = assert!(FLOOD_LEN < OUTPUT_LEN_MAX, "else it would wait for what is not read");
/// What is still read of a program that has ended, in bytes: more than the kernel keeps.
const LAST_WORDS_LEN_MAX: usize = 256 << 10;

/// How long a screen waits for more output before it is published.
const QUIET: Duration = Duration::from_millis(1);
/// How long at most, if output comes all the time.
const LATENCY_MAX: Duration = Duration::from_millis(8);
/// Least time between two screens during a flood.
const FLOOD_INTERVAL: Duration = Duration::from_millis(16);
/// Least time between two screens of which nobody has taken the first.
const UNTAKEN_INTERVAL: Duration = Duration::from_millis(50);

/// Who hears of a terminal. Called from its threads, which hold no lock then; a call that takes long holds up the
/// program, and nobody else.
pub trait Listener: Send + Sync {
    /// A new screen has been published: [`Terminal::screen`] gives it.
    fn changed(&self);
    /// Something has happened. [`Event::Closed`] and [`Event::Keyboard`] are for others to say.
    fn event(&self, event: Event);
    /// The program runs again, after [`Event::Exited`].
    fn started(&self) {}
}

/// Why a terminal could not be opened. That its program cannot start is no such reason: the terminal says it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The system gives no more descriptors or threads.
    #[error("could not open a terminal")]
    System(#[source] io::Error),
}

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The program does not read what is typed.
    #[error("the program does not read its input")]
    Full,
    /// The terminal is closed.
    #[error("the terminal is closed")]
    Closed,
}

/// A terminal. Dropping it closes it.
pub struct Terminal {
    shared: Arc<Shared>,
}

struct Shared {
    inbox: Mutex<Inbox>,
    arrived: Condvar,
    /// Whether the inbox has commands; looked at between two pieces of output.
    commanded: AtomicBool,
    /// Whether the terminal is closed; as the inbox has it.
    closed: AtomicBool,
    outbox: Mutex<Outbox>,
    /// Wakes the thread that does I/O.
    wake: OwnedFd,
    control: Mutex<Option<Control>>,
    screen: Mutex<Arc<Screen>>,
    taken: AtomicBool,
    /// Threads that still run.
    threads: Mutex<u8>,
    thread_ended: Condvar,
}

/// What waits for the emulator.
#[derive(Default)]
struct Inbox {
    started: Option<Started>,
    output: Vec<u8>,
    /// How much output wakes the emulator, which sleeps for a moment only if that is more than a byte.
    wake_at: usize,
    ended: Option<Ended>,
    commands: VecDeque<Command>,
    /// What the commands may become, in bytes for the program; with the one that is being done.
    commands_len: usize,
    /// The other thread waits until there is room for output.
    wants_room: bool,
    closing: bool,
}

struct Started {
    note: Option<String>,
    /// The size that the program was told.
    size: (u16, u16),
}

struct Ended {
    status: i32,
    line: String,
}

/// What waits for the thread that does I/O.
#[derive(Default)]
struct Outbox {
    input: Input,
    start: Option<(u16, u16)>,
    closing: bool,
}

/// What the program shall read: what was typed, and answers, in their order.
#[derive(Default)]
struct Input {
    bytes: VecDeque<u8>,
    /// How many bytes there are of the one and of the other, in turns.
    runs: VecDeque<(Origin, usize)>,
    answers_len: usize,
}

/// Where bytes for the program come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// A user, by commands, which were counted when they came.
    Typed,
    /// Its own queries.
    Answer,
}

impl Input {
    fn typed_len(&self) -> usize {
        self.bytes.len() - self.answers_len
    }

    /// Appends, unless these are answers and there are too many. What was typed is never refused here.
    fn push(&mut self, bytes: &[u8], origin: Origin) -> bool {
        if origin == Origin::Answer {
            if self.answers_len + bytes.len() > ANSWERS_LEN_MAX {
                return false;
            }
            self.answers_len += bytes.len();
        }
        match self.runs.back_mut() {
            _ if bytes.is_empty() => {}
            Some((last, len)) if *last == origin => *len += bytes.len(),
            _ => self.runs.push_back((origin, bytes.len())),
        }
        self.bytes.extend(bytes);
        true
    }

    /// The first so many bytes were read.
    fn pop(&mut self, mut count: usize) {
        self.bytes.drain(..count);
        while count > 0
            && let Some((origin, len)) = self.runs.front_mut()
        {
            let read = count.min(*len);
            (*len, count) = (*len - read, count - read);
            if *origin == Origin::Answer {
                self.answers_len -= read;
            }
            if *len == 0 {
                self.runs.pop_front();
            }
        }
    }
}

impl Terminal {
    /// Opens a terminal and starts its program: that of the options, or the user's shell. What cannot be started says
    /// so on the screen.
    ///
    /// # Errors
    /// The system has no more descriptors or threads.
    pub fn open(
        open: &Open,
        environment: Environment,
        listener: Arc<dyn Listener>,
    ) -> Result<Terminal, OpenError> {
        let emulator = Emulator::new(open.columns, open.rows, open.theme);
        let (columns, rows) = emulator.size();
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| OpenError::System(error.into()))?;
        let shared = Arc::new(Shared {
            inbox: Mutex::default(),
            arrived: Condvar::new(),
            commanded: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            outbox: Mutex::new(Outbox { start: Some((columns, rows)), ..Outbox::default() }),
            wake,
            control: Mutex::new(None),
            screen: Mutex::new(Arc::new(Screen::new(columns, rows))),
            taken: AtomicBool::new(true),
            threads: Mutex::new(0),
            thread_ended: Condvar::new(),
        });
        let terminal = Terminal { shared: shared.clone() };
        let io = Io {
            shared: shared.clone(),
            open: open.clone(),
            environment,
            buffer: vec![0; OUTPUT_LEN_MAX],
            left: Left::default(),
        };
        let parser = Parser::new(shared.clone(), emulator, listener);
        shared.spawn("terminal-io", move || io.run())?;
        shared.spawn("terminal", move || parser.run())?;
        Ok(terminal)
    }

    /// The screen that was published last. Waits for nobody.
    pub fn screen(&self) -> Arc<Screen> {
        let screen = self.shared.screen.lock().clone();
        self.shared.taken.store(true, Ordering::Relaxed);
        screen
    }

    /// Gives a command to the terminal, which does it soon. Waits for nobody.
    ///
    /// # Errors
    /// [`CommandError::Full`] if the program has not read [`INPUT_LEN_MAX`] of what was typed, or if too many commands
    /// wait; [`CommandError::Closed`] after [`Terminal::close`].
    pub fn command(&self, command: Command) -> Result<(), CommandError> {
        if matches!(command, Command::Close) {
            self.close();
            return Ok(());
        }
        let len = input_len(&command);
        // Both at once: what a command has become moves from the one to the other.
        let outbox = self.shared.outbox.lock();
        let mut inbox = self.shared.inbox.lock();
        if inbox.closing {
            return Err(CommandError::Closed);
        }
        let full = len > 0 && outbox.input.typed_len() + inbox.commands_len + len > INPUT_LEN_MAX;
        if full || inbox.commands.len() >= COMMANDS_MAX {
            return Err(CommandError::Full);
        }
        inbox.commands.push_back(command);
        inbox.commands_len += len;
        self.shared.commanded.store(true, Ordering::Release);
        drop((inbox, outbox));
        self.shared.arrived.notify_one();
        Ok(())
    }

    /// Closes the terminal: what runs in it is hung up, and killed if it has not ended after
    /// [`HANG_UP_GRACE`](crate::HANG_UP_GRACE). Nothing is heard of the terminal any more. Waits for nobody;
    /// [`Terminal::wait_closed`] does.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Waits until everything that ran in a closed terminal has ended, and its threads too; `false` if that takes
    /// longer.
    pub fn wait_closed(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let mut threads = self.shared.threads.lock();
        while *threads > 0 {
            if self.shared.thread_ended.wait_until(&mut threads, until).timed_out() {
                return *threads == 0;
            }
        }
        true
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}

/// How many bytes for the program a command may become, roughly and at most.
fn input_len(command: &Command) -> usize {
    match command {
        Command::Key(_) => ENCODED_LEN_MAX,
        Command::Text(text) => text.len(),
        Command::Paste(text) => text.len() + 12,
        Command::Pointer(_) | Command::Focus(_) => 32,
        Command::Wheel { lines, .. } => {
            // As many as are done at once; it may be any number, or none.
            let turned = |lines: &f32| lines.abs().min(WHEEL_MAX) as usize;
            20 * (2 + lines.iter().map(turned).sum::<usize>())
        }
        _ => 0,
    }
}

impl Shared {
    fn spawn(self: &Arc<Self>, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        *self.threads.lock() += 1;
        let shared = self.clone();
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            let _ending = Ending(shared);
            run();
        });
        if let Err(error) = thread {
            *self.threads.lock() -= 1;
            return Err(OpenError::System(error));
        }
        Ok(())
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.inbox.lock().closing = true;
        self.arrived.notify_one();
        self.outbox.lock().closing = true;
        self.wake();
    }

    /// The next command, unless the terminal is closed. Of sizes that follow each other, the last.
    fn next_command(&self) -> Option<Command> {
        let mut inbox = self.inbox.lock();
        if inbox.closing {
            return None;
        }
        let mut command = inbox.commands.pop_front()?;
        if matches!(command, Command::Resize { .. }) {
            while let Some(next) = inbox.commands.pop_front_if(|next| matches!(next, Command::Resize { .. }))
            {
                command = next;
            }
        }
        Some(command)
    }

    fn wake(&self) {
        // It fails only when it is already awake many times over.
        let _ = write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Appends to what the program shall read; answers that do not fit are dropped. What a command has reserved for
    /// this is free again.
    fn type_in(&self, bytes: &[u8], origin: Origin, reserved: usize) {
        if bytes.is_empty() && reserved == 0 {
            return;
        }
        let mut outbox = self.outbox.lock();
        let taken = outbox.input.push(bytes, origin);
        if reserved > 0 {
            self.inbox.lock().commands_len -= reserved;
        }
        drop(outbox);
        if !taken {
            tracing::debug!(bytes = bytes.len(), "a program does not read its answers");
        } else if !bytes.is_empty() {
            self.wake();
        }
    }
}

/// Counts a thread out when it ends, however that is.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        // If one has failed, the other has nothing left to do.
        self.0.close();
        *self.0.threads.lock() -= 1;
        self.0.thread_ended.notify_all();
    }
}

/// The thread that does the program's I/O, and waits for its end.
struct Io {
    shared: Arc<Shared>,
    open: Open,
    environment: Environment,
    buffer: Vec<u8>,
    left: Left,
}

impl Io {
    fn run(mut self) {
        let mut program: Option<Program> = None;
        // Whether nobody has the other end of the pseudo terminal any more.
        let mut hung_up = false;
        loop {
            let (start, has_input) = {
                let mut outbox = self.shared.outbox.lock();
                if outbox.closing {
                    break;
                }
                (outbox.start.take(), !outbox.input.bytes.is_empty())
            };
            if let Some(size) = start
                && program.is_none()
            {
                program = self.start(size);
                hung_up = false;
                continue;
            }
            let Some(running) = &program else {
                wait_for(&mut [PollFd::new(&self.shared.wake, PollFlags::IN)]);
                drain(&self.shared.wake);
                continue;
            };
            let mut wanted = PollFlags::empty();
            wanted.set(PollFlags::IN, !hung_up && self.has_room());
            wanted.set(PollFlags::OUT, !hung_up && has_input);
            let mut waited = [
                PollFd::new(&self.shared.wake, PollFlags::IN),
                PollFd::new(&running.ended, PollFlags::IN),
                PollFd::new(&running.tty, wanted),
            ];
            // Whoever waits for nothing would still hear of its being hung up, again and again.
            let count = if wanted.is_empty() { 2 } else { 3 };
            wait_for(&mut waited[..count]);
            let [woken, ended, ready] = waited.map(|fd| !fd.revents().is_empty());
            if woken {
                drain(&self.shared.wake);
            }
            if ready {
                if wanted.contains(PollFlags::OUT) {
                    self.write(running);
                }
                if wanted.contains(PollFlags::IN) {
                    hung_up = self.read(running, OUTPUT_LEN_MAX);
                }
            }
            if ended {
                self.read(running, LAST_WORDS_LEN_MAX);
                if let Some(program) = program.take() {
                    self.finish(program);
                }
            }
        }
        self.shared.control.lock().take();
        if let Some(program) = program {
            program.hang_up();
        }
        self.left.hang_up();
    }

    /// What was typed before the program has started waits for it.
    fn start(&mut self, (columns, rows): (u16, u16)) -> Option<Program> {
        match Program::start(&self.open, (columns, rows), &self.environment) {
            Ok((program, control, note)) => {
                *self.shared.control.lock() = Some(control);
                self.shared.inbox.lock().started = Some(Started { note, size: (columns, rows) });
                self.shared.arrived.notify_one();
                Some(program)
            }
            Err(error) => {
                self.ended(error.status(), format!("{error} · Enter tries again"));
                None
            }
        }
    }

    fn finish(&mut self, program: Program) {
        self.shared.control.lock().take();
        let (status, left) = program.finish();
        self.left.extend(left);
        self.ended(status, format!("{} · Enter starts it again", ending(status)));
    }

    fn ended(&self, status: i32, line: String) {
        // Nobody reads it any more.
        self.shared.outbox.lock().input = Input::default();
        self.shared.inbox.lock().ended = Some(Ended { status, line });
        self.shared.arrived.notify_one();
    }

    /// Whether the emulator takes more output; if not, it wakes this thread when it does.
    fn has_room(&self) -> bool {
        let mut inbox = self.shared.inbox.lock();
        inbox.wants_room = inbox.output.len() >= OUTPUT_LEN_MAX;
        !inbox.wants_room
    }

    /// Reads what there is, `len_max` bytes at most, and gives it to the emulator. Whether there will never be more.
    fn read(&mut self, program: &Program, len_max: usize) -> bool {
        let mut total = 0;
        while total < len_max {
            // As much as there is at once: to wake the emulator for each piece of the kernel costs much.
            let mut len = 0;
            let mut end = None;
            while len < self.buffer.len() && end.is_none() {
                match read(&program.tty, &mut self.buffer[len..]) {
                    Ok(0) => end = Some(true),
                    // There was no more for now. At the end one must look, since that brings what is on its way.
                    Ok(more) if more < PIECE_LEN && len_max < LAST_WORDS_LEN_MAX => {
                        len += more;
                        end = Some(false);
                    }
                    Ok(more) => len += more,
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => end = Some(false),
                    // What the kernel says when nobody has the other end.
                    Err(_) => end = Some(true),
                }
            }
            if len > 0 {
                let mut inbox = self.shared.inbox.lock();
                inbox.output.extend_from_slice(&self.buffer[..len]);
                let wakes = inbox.output.len() >= inbox.wake_at;
                drop(inbox);
                if wakes {
                    self.shared.arrived.notify_one();
                }
            }
            total += len;
            if let Some(end) = end {
                return end;
            }
        }
        false
    }

    /// Writes as much as the program's terminal takes.
    fn write(&self, program: &Program) {
        let mut outbox = self.shared.outbox.lock();
        while !outbox.input.bytes.is_empty() {
            match write(&program.tty, outbox.input.bytes.as_slices().0) {
                Ok(len) => outbox.input.pop(len),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // Nobody has the other end.
                Err(_) => outbox.input = Input::default(),
            }
        }
        // A flood of pasted text shall not stay in memory.
        outbox.input.bytes.shrink_to(ANSWERS_LEN_MAX);
        outbox.input.runs.shrink_to(1);
    }
}

fn wait_for(waited: &mut [PollFd<'_>]) {
    if let Err(error) = poll(waited, None)
        && error != Errno::INTR
    {
        tracing::error!(%error, "a terminal cannot wait for its program");
        // Not to be tried at full speed.
        thread::sleep(Duration::from_millis(100));
    }
}

fn drain(wake: &OwnedFd) {
    let _ = read(wake, &mut [0; 8]);
}

/// The thread that owns the emulator.
struct Parser {
    shared: Arc<Shared>,
    emulator: Emulator,
    listener: Arc<dyn Listener>,
    /// The newest screen, and one that was published before, if nobody has it any more.
    screen: Screen,
    spare: Option<Arc<Screen>>,
    slice_len: usize,
    /// When the screen has changed first and last since it was published.
    changed: Option<(Instant, Instant)>,
    published: Option<Instant>,
    /// A program has ended, and another one was asked for.
    again: bool,
    /// When output was taken last, and whether it is a flood.
    taken: Option<Instant>,
    floods: bool,
}

impl Parser {
    fn new(shared: Arc<Shared>, mut emulator: Emulator, listener: Arc<dyn Listener>) -> Parser {
        emulator.started();
        Parser {
            shared,
            emulator,
            listener,
            // Of no terminal's size, so that the first copy is a whole one.
            screen: Screen::new(1, 1),
            spare: None,
            slice_len: SLICE_LEN_MAX,
            changed: None,
            published: None,
            again: false,
            taken: None,
            floods: false,
        }
    }

    fn run(mut self) {
        let mut output = Vec::new();
        while let Some((started, ended)) = self.next(&mut output) {
            if let Some(started) = started {
                self.started(started);
            }
            self.obey();
            self.parse(&output);
            output.clear();
            if let Some(Ended { status, line }) = ended {
                self.emulator.ended(&line);
                // What its last output asked for is not for the next one to read.
                self.shared.outbox.lock().input = Input::default();
                self.listener.event(Event::Exited(status));
            }
            self.pass_on(Origin::Answer, 0);
            self.publish(false);
        }
    }

    /// Waits for something to do; `None` if the terminal is closed.
    fn next(&mut self, output: &mut Vec<u8>) -> Option<(Option<Started>, Option<Ended>)> {
        let mut deadline = self.due(false);
        if self.floods {
            let soon = Instant::now() + FLOOD_WAIT;
            deadline = Some(deadline.map_or(soon, |deadline| deadline.min(soon)));
        }
        let mut inbox = self.shared.inbox.lock();
        inbox.wake_at = if self.floods { FLOOD_LEN } else { 1 };
        loop {
            if inbox.closing {
                return None;
            }
            if inbox.output.len() >= inbox.wake_at
                || !inbox.commands.is_empty()
                || inbox.started.is_some()
                || inbox.ended.is_some()
            {
                break;
            }
            match deadline {
                None => self.shared.arrived.wait(&mut inbox),
                Some(deadline) => {
                    if self.shared.arrived.wait_until(&mut inbox, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        // Nobody is to be woken now.
        inbox.wake_at = usize::MAX;
        std::mem::swap(&mut inbox.output, output);
        let happened = (inbox.started.take(), inbox.ended.take());
        let wants_room = std::mem::take(&mut inbox.wants_room);
        drop(inbox);
        if wants_room {
            self.shared.wake();
        }
        if !output.is_empty() {
            let now = Instant::now();
            let soon = self.taken.is_some_and(|taken| now.saturating_duration_since(taken) < FLOOD_GAP_MAX);
            self.floods = soon && output.len() >= FLOOD_LEN_MIN;
            self.taken = Some(now);
        } else if deadline.is_some() {
            self.floods = false;
        }
        Some(happened)
    }

    fn started(&mut self, started: Started) {
        if let Some(note) = started.note {
            self.emulator.say(&note);
        }
        let (columns, rows) = self.emulator.size();
        if (columns, rows) != started.size
            && let Some(control) = &*self.shared.control.lock()
        {
            control.resize(columns, rows);
        }
        if std::mem::take(&mut self.again) {
            self.listener.started();
        }
    }

    /// Does what the commands that wait ask for, as many as there is time for.
    fn obey(&mut self) {
        if !self.shared.commanded.swap(false, Ordering::Acquire) {
            return;
        }
        let start = Instant::now();
        while let Some(command) = self.shared.next_command() {
            let reserved = input_len(&command);
            let task = self.emulator.command(command);
            self.pass_on(Origin::Typed, reserved);
            match task {
                Some(Task::Resize { columns, rows }) => {
                    if let Some(control) = &*self.shared.control.lock() {
                        control.resize(columns, rows);
                    }
                }
                Some(Task::Signal(number)) => {
                    if let Some(control) = &*self.shared.control.lock() {
                        control.signal(number);
                    }
                }
                Some(Task::Restart) => {
                    self.again = true;
                    self.emulator.started();
                    self.shared.outbox.lock().start = Some(self.emulator.size());
                    self.shared.wake();
                }
                Some(Task::Close) => self.shared.close(),
                None => {}
            }
            if start.elapsed() > SLICE_TIME {
                // There may be more: to be looked at after the output that waits.
                self.shared.commanded.store(true, Ordering::Release);
                return;
            }
        }
    }

    fn parse(&mut self, output: &[u8]) {
        let mut rest = output;
        while !rest.is_empty() && !self.shared.closed.load(Ordering::Acquire) {
            let slice = &rest[..self.slice_len.min(rest.len())];
            let start = Instant::now();
            rest = &rest[self.emulator.advance_some(slice, start)..];
            self.pass_on(Origin::Answer, 0);
            // Some output takes a thousand times as long as text does.
            let took = start.elapsed();
            if took > SLICE_TIME {
                self.slice_len = (self.slice_len / 2).max(SLICE_LEN_MIN);
            } else if took < SLICE_TIME / 4 {
                self.slice_len = (self.slice_len * 2).min(SLICE_LEN_MAX);
            }
            if !rest.is_empty() {
                self.obey();
                self.publish(true);
            }
        }
    }

    /// Passes on what the emulator has to say to the program and to the listener.
    fn pass_on(&mut self, origin: Origin, reserved: usize) {
        self.shared.type_in(&self.emulator.take_output(), origin, reserved);
        for event in self.emulator.take_events() {
            self.listener.event(event);
        }
        // More output makes a screen wait for more; what a user does shows without.
        let news = self.emulator.take_news();
        if news || (self.changed.is_none() && self.emulator.has_changed()) {
            let now = Instant::now();
            self.changed = Some((self.changed.map_or(now, |(first, _)| first), now));
        }
    }

    /// When the next screen is to be published; `None` if nothing has changed.
    fn due(&self, more_waits: bool) -> Option<Instant> {
        let (first, last) = self.changed?;
        let soon = if more_waits { first + LATENCY_MAX } else { (last + QUIET).min(first + LATENCY_MAX) };
        let interval = match self.shared.taken.load(Ordering::Relaxed) {
            true if more_waits => FLOOD_INTERVAL,
            true => LATENCY_MAX,
            false => UNTAKEN_INTERVAL,
        };
        let due = self.published.map_or(soon, |published| soon.max(published + interval));
        // What is half made is not shown.
        Some(self.emulator.deadline().map_or(due, |deadline| due.max(deadline)))
    }

    fn publish(&mut self, more_waits: bool) {
        let now = Instant::now();
        self.emulator.expire(now);
        if self.due(more_waits).is_none_or(|due| now < due) {
            return;
        }
        self.changed = None;
        self.published = Some(now);
        self.emulator.refresh(&mut self.screen, false);
        let mut next = self.spare.take().unwrap_or_else(|| Arc::new(Screen::new(1, 1)));
        match Arc::get_mut(&mut next) {
            Some(next) => copy(&self.screen, next),
            // Somebody still looks at it.
            None => next = Arc::new(self.screen.clone()),
        }
        let before = std::mem::replace(&mut *self.shared.screen.lock(), next);
        self.spare = Some(before);
        self.shared.taken.store(false, Ordering::Relaxed);
        for event in self.emulator.take_events() {
            self.listener.event(event);
        }
        self.listener.changed();
    }
}

/// Copies a screen into the memory of another.
fn copy(from: &Screen, to: &mut Screen) {
    if (from.columns(), from.rows()) != (to.columns(), to.rows()) {
        *to = from.clone();
        return;
    }
    to.cells_mut().copy_from_slice(from.cells());
    to.extras.clone_from(&from.extras);
    to.cursor = from.cursor;
    to.background = from.background;
    to.scroll_offset = from.scroll_offset;
    to.history = from.history;
    to.title.clone_from(&from.title);
}
