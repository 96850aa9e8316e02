// SPDX-License-Identifier: AGPL-3.0-or-later
//! The executor: takes signals, wakes what waits for them, and polls tasks until nothing is ready.
//!
//! A guest has one thread, and the peer enters it by `start` and by `wake`. Between two entries there
//! is no stack: all that goes on lives in the tables below.

use crate::{Error, exit::ExitReason, keyboard::Did, message, sys};
use hearth_abi::{
    EntityId, Errno, ProcessId, TerminalId,
    input::Event,
    keyboard as typed, pointer,
    signal::{self, EXIT_OF_LINK, Header, Kind},
    terminal,
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    fmt::Display,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

/// Most messages that wait in the guest for a `recv`. The peer's mailbox has the same bound.
const MESSAGES_MAX: usize = 4096;
/// Most bytes of such messages.
const MESSAGES_BYTES_MAX: usize = 8 << 20;
/// Most input events that wait. A script that does not read them loses the oldest.
const EVENTS_MAX: usize = 1024;
/// Most events of one terminal that wait. A script that does not read them loses the oldest.
const TERMINAL_EVENTS_MAX: usize = 256;
/// Most terminals whose events wait before somebody asks for them.
const TERMINALS_MAX: usize = 64;
/// Most events of pointers and keyboards that wait. A script that does not read them loses motions, and then the oldest.
const HANDS_MAX: usize = 1024;
/// Most exit signals that wait. A script that traps exits and does not take them loses the newest.
const EXITS_MAX: usize = 16_384;
/// From so many on those are lost that were merely sent, so that nobody can drive out those of links.
const EXITS_SENT_MAX: usize = 4096;
/// First length of the buffer for signals.
const INBOX_LEN: usize = 4096;

type Job = Pin<Box<dyn Future<Output = ()>>>;

/// What arrived for a tag.
pub(crate) struct Answer {
    /// Zero or more, or the negative of an error number.
    pub(crate) status: i32,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The answer, if it is no error.
    pub(crate) fn success(self) -> Result<Answer, Error> {
        match sys::check(self.status) {
            Ok(_) => Ok(self),
            Err(errno) => Err(Error::new(errno, String::from_utf8_lossy(&self.body).into_owned())),
        }
    }
}

/// Somebody who waits for a tag.
#[derive(Default)]
struct Wait {
    /// The process that is to answer; `None` if the peer is.
    of: Option<ProcessId>,
    waker: Option<Waker>,
    answer: Option<Answer>,
}

impl Wait {
    fn answer(&mut self, status: i32, body: &[u8]) -> Vec<Waker> {
        self.answer = Some(Answer { status, body: body.into() });
        self.waker.take().into_iter().collect()
    }
}

/// A message that waits.
struct Message {
    /// Later ones have greater numbers.
    number: u64,
    from: ProcessId,
    body: Vec<u8>,
}

/// An exit signal that waits.
pub(crate) struct Exited {
    pub(crate) from: ProcessId,
    pub(crate) of_link: bool,
    /// The reason, in the contract's form.
    pub(crate) reason: Vec<u8>,
}

/// What happened to one terminal, and who waits for it.
#[derive(Default)]
struct TerminalEvents {
    events: VecDeque<terminal::Event>,
    wakers: Vec<Waker>,
}

/// What pointers and keyboards did to entities, in order, and who waits for it.
#[derive(Default)]
struct Hands {
    events: VecDeque<Did>,
    /// How many listen to one entity alone.
    of_one: BTreeMap<EntityId, usize>,
    wakers: Vec<Waker>,
}

#[derive(Default)]
struct Runtime {
    /// Where signals are put, from the first time on.
    inbox: Option<sys::Inbox>,
    /// `None` while the task is being polled.
    tasks: BTreeMap<u64, Option<Job>>,
    ready: VecDeque<u64>,
    waits: BTreeMap<u64, Wait>,
    messages: VecDeque<Message>,
    /// Number of the last message.
    last_message: u64,
    messages_bytes: usize,
    messages_lost: u64,
    message_wakers: Vec<Waker>,
    exits: VecDeque<Exited>,
    exits_lost: u64,
    exit_wakers: Vec<Waker>,
    events: VecDeque<Event>,
    event_wakers: Vec<Waker>,
    terminals: BTreeMap<TerminalId, TerminalEvents>,
    hands: Hands,
    last_number: u64,
}

thread_local! {
    /// Never dropped: what is left when a thread (a test) ends would look for these tables.
    static RUNTIME: &'static RefCell<Runtime> = Box::leak(Box::default());
}

/// No caller's code runs inside `body`, so that the table is never borrowed twice.
fn with<T>(body: impl FnOnce(&mut Runtime) -> T) -> T {
    RUNTIME.with(|runtime| body(&mut runtime.borrow_mut()))
}

impl Runtime {
    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

struct TaskWaker(u64);

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        with(|runtime| {
            if !runtime.ready.contains(&self.0) {
                runtime.ready.push_back(self.0);
            }
        });
    }
}

/// Begins a task; it is polled before the guest returns to the peer.
pub(crate) fn begin(job: Job) -> u64 {
    with(|runtime| {
        let number = runtime.number();
        runtime.tasks.insert(number, Some(job));
        runtime.ready.push_back(number);
        number
    })
}

/// Ends a task where it waits.
pub(crate) fn abandon(task: u64) {
    // Dropped outside: what it holds may take itself from the tables.
    drop(with(|runtime| runtime.tasks.remove(&task)));
}

/// Ends all tasks, as the end of the process does.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn abandon_all() {
    drop(with(|runtime| std::mem::take(&mut runtime.tasks)));
}

/// A request or timer under way. Dropped, its answer is thrown away.
pub(crate) struct Pending(u64);

impl Pending {
    /// Makes a tag, and asks with it.
    pub(crate) fn ask(ask: impl FnOnce(u64) -> i32) -> Result<Pending, Errno> {
        Pending::begin(None, ask)
    }

    /// Makes a number, and asks another process with it.
    pub(crate) fn ask_of(process: ProcessId, ask: impl FnOnce(u64) -> i32) -> Result<Pending, Errno> {
        Pending::begin(Some(process), ask)
    }

    fn begin(of: Option<ProcessId>, ask: impl FnOnce(u64) -> i32) -> Result<Pending, Errno> {
        let pending = with(|runtime| {
            let tag = runtime.number();
            runtime.waits.insert(tag, Wait { of, ..Wait::default() });
            Pending(tag)
        });
        sys::check(ask(pending.0))?;
        Ok(pending)
    }

    pub(crate) fn tag(&self) -> u64 {
        self.0
    }

    pub(crate) fn is_answered(&self) -> bool {
        with(|runtime| runtime.waits.get(&self.0).is_none_or(|wait| wait.answer.is_some()))
    }
}

impl Future for Pending {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        with(|runtime| {
            let wait = runtime.waits.entry(self.0).or_default();
            match wait.answer.take() {
                Some(answer) => Poll::Ready(answer),
                None => {
                    wait.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        drop(with(|runtime| runtime.waits.remove(&self.0)));
    }
}

/// Keeps a waker; one task is kept once.
fn keep(wakers: &mut Vec<Waker>, context: &Context<'_>) {
    if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
        wakers.push(context.waker().clone());
    }
}

/// The next message.
pub(crate) fn poll_message(context: &Context<'_>) -> Poll<(ProcessId, Vec<u8>)> {
    with(|runtime| match runtime.messages.pop_front() {
        Some(message) => {
            runtime.messages_bytes -= message.body.len();
            Poll::Ready((message.from, message.body))
        }
        None => {
            keep(&mut runtime.message_wakers, context);
            Poll::Pending
        }
    })
}

/// The first message behind that of this number, which stays: its own number, and a copy.
pub(crate) fn poll_message_after(number: u64, context: &Context<'_>) -> Poll<(u64, ProcessId, Vec<u8>)> {
    with(|runtime| {
        let first = runtime.messages.partition_point(|message| message.number <= number);
        match runtime.messages.get(first) {
            Some(message) => Poll::Ready((message.number, message.from, message.body.clone())),
            None => {
                keep(&mut runtime.message_wakers, context);
                Poll::Pending
            }
        }
    })
}

/// Takes the message of this number out; `false` if it is not there any more.
pub(crate) fn take_message(number: u64) -> bool {
    with(|runtime| {
        let Ok(at) = runtime.messages.binary_search_by_key(&number, |message| message.number) else {
            return false;
        };
        let message = runtime.messages.remove(at);
        runtime.messages_bytes -= message.map_or(0, |message| message.body.len());
        true
    })
}

/// The next exit signal.
pub(crate) fn poll_exit(context: &Context<'_>) -> Poll<Exited> {
    with(|runtime| match runtime.exits.pop_front() {
        Some(exit) => Poll::Ready(exit),
        None => {
            keep(&mut runtime.exit_wakers, context);
            Poll::Pending
        }
    })
}

/// The next input event.
pub(crate) fn poll_event(context: &Context<'_>) -> Poll<Event> {
    with(|runtime| match runtime.events.pop_front() {
        Some(event) => Poll::Ready(event),
        None => {
            keep(&mut runtime.event_wakers, context);
            Poll::Pending
        }
    })
}

/// Forgets events that nobody reads any more.
pub(crate) fn clear_events() {
    with(|runtime| runtime.events.clear());
}

/// Somebody listens to the hands on one entity alone.
pub(crate) fn listen(entity: EntityId) {
    with(|runtime| *runtime.hands.of_one.entry(entity).or_default() += 1);
}

/// Somebody listens to it no longer; what waits for nobody is forgotten.
pub(crate) fn unlisten(entity: EntityId) {
    with(|runtime| {
        let hands = &mut runtime.hands;
        if let Some(count) = hands.of_one.get_mut(&entity) {
            *count -= 1;
            if *count == 0 {
                hands.of_one.remove(&entity);
                hands.events.retain(|did| did.entity() != entity);
            }
        }
    });
}

/// The next of these things that hands did to an entity, or to those that nobody listens to alone.
pub(crate) fn poll_hands(
    of: Option<EntityId>,
    which: impl Fn(&Did) -> bool,
    context: &Context<'_>,
) -> Poll<Did> {
    with(|runtime| {
        let Hands { events, of_one, wakers } = &mut runtime.hands;
        let is_meant = |did: &Did| match of {
            Some(entity) => did.entity() == entity && which(did),
            None => !of_one.contains_key(&did.entity()) && which(did),
        };
        match events.iter().position(is_meant).and_then(|at| events.remove(at)) {
            Some(event) => Poll::Ready(event),
            None => {
                keep(wakers, context);
                Poll::Pending
            }
        }
    })
}

/// The kind of a motion.
fn motion(did: &Did) -> Option<pointer::Kind> {
    match did {
        Did::Pointer(event) => Some(event.kind).filter(|kind| kind.is_motion()),
        Did::Keyboard(_) => None,
    }
}

impl Hands {
    fn accept(&mut self, did: Did) {
        let last = self.events.iter_mut().rev().find(|waiting| waiting.entity() == did.entity());
        if let Some(last) = last.filter(|last| motion(&did).is_some() && motion(last) == motion(&did)) {
            *last = did;
            return;
        }
        if self.events.len() >= HANDS_MAX {
            let motion = self.events.iter().position(|waiting| motion(waiting).is_some());
            self.events.remove(motion.unwrap_or(0));
        }
        self.events.push_back(did);
    }
}

/// The next event of a terminal.
pub(crate) fn poll_terminal(terminal: TerminalId, context: &Context<'_>) -> Poll<terminal::Event> {
    with(|runtime| {
        let of_terminal = runtime.terminals.entry(terminal).or_default();
        match of_terminal.events.pop_front() {
            Some(event) => {
                if event == terminal::Event::Closed {
                    runtime.terminals.remove(&terminal);
                }
                Poll::Ready(event)
            }
            None => {
                keep(&mut of_terminal.wakers, context);
                Poll::Pending
            }
        }
    })
}

/// Puts one signal where it belongs, and wakes who waits for it.
fn accept(signal: &[u8]) {
    // The peer made it; a kind that this SDK does not know is of a later version of the contract.
    let Ok((header, body)) = Header::decode(signal) else { return };
    let wakers = with(|runtime| match header.kind {
        Kind::Message => {
            let from = ProcessId::from_bits(header.from);
            if let Some((number, body)) = message::answer(body) {
                let wait = runtime.waits.get_mut(&number).filter(|wait| wait.of == Some(from));
                return wait.map(|wait| wait.answer(0, body)).unwrap_or_default();
            }
            let full = runtime.messages.len() >= MESSAGES_MAX
                || runtime.messages_bytes + body.len() > MESSAGES_BYTES_MAX;
            if full {
                runtime.messages_lost += 1;
                return Vec::new();
            }
            runtime.messages_bytes += body.len();
            runtime.last_message += 1;
            let number = runtime.last_message;
            runtime.messages.push_back(Message { number, from, body: body.into() });
            std::mem::take(&mut runtime.message_wakers)
        }
        Kind::Exit => {
            let (from, of_link) = (ProcessId::from_bits(header.from), header.tag == EXIT_OF_LINK);
            if runtime.exits.len() >= if of_link { EXITS_MAX } else { EXITS_SENT_MAX } {
                runtime.exits_lost += 1;
                return Vec::new();
            }
            runtime.exits.push_back(Exited { from, of_link, reason: body.into() });
            std::mem::take(&mut runtime.exit_wakers)
        }
        Kind::Timeout | Kind::Reply | Kind::Down => {
            let wait = runtime.waits.get_mut(&header.tag).filter(|wait| wait.of.is_none());
            wait.map(|wait| wait.answer(header.status, body)).unwrap_or_default()
        }
        Kind::Input => {
            let Ok(event) = Event::decode(body) else { return Vec::new() };
            if runtime.events.len() >= EVENTS_MAX {
                runtime.events.pop_front();
            }
            runtime.events.push_back(event);
            std::mem::take(&mut runtime.event_wakers)
        }
        Kind::Terminal => {
            let Ok((terminal, event)) = terminal::decode_event(body) else { return Vec::new() };
            // The reply with its id may come after its first event; more than that is for nobody.
            let is_known = runtime.terminals.contains_key(&terminal);
            if !is_known && runtime.terminals.len() >= TERMINALS_MAX {
                return Vec::new();
            }
            let of_terminal = runtime.terminals.entry(terminal).or_default();
            if of_terminal.events.len() >= TERMINAL_EVENTS_MAX {
                of_terminal.events.pop_front();
            }
            of_terminal.events.push_back(event);
            std::mem::take(&mut of_terminal.wakers)
        }
        Kind::Pointer => {
            let Ok(event) = pointer::Event::decode(body) else { return Vec::new() };
            runtime.hands.accept(Did::Pointer(event));
            std::mem::take(&mut runtime.hands.wakers)
        }
        Kind::Keyboard => {
            let Ok(event) = typed::Event::decode(body) else { return Vec::new() };
            runtime.hands.accept(Did::Keyboard(event));
            std::mem::take(&mut runtime.hands.wakers)
        }
        _ => Vec::new(),
    });
    wakers.into_iter().for_each(Waker::wake);
}

/// Takes all signals there are, or nearly: to ask once more takes as long as a short turn, and what is left brings the next turn at
/// once.
fn drain(inbox: &mut sys::Inbox) {
    let (mut len, room) = inbox.open();
    loop {
        if len > room.len() {
            // One of a great signal is not kept.
            let mut larger = vec![0; len];
            len = sys::check(sys::try_recv_many(&mut larger)).map_or(0, |len| len.min(larger.len()));
            signal::entries(&larger[..len]).for_each(accept);
        } else {
            signal::entries(&room[..len]).for_each(accept);
            if len > 0 && len < room.len() / 2 {
                break;
            }
        }
        match sys::check(sys::try_recv_many(room)) {
            Ok(more) => len = more,
            Err(_) => break,
        }
    }
    let lost = with(|runtime| std::mem::take(&mut runtime.messages_lost));
    if lost > 0 {
        crate::warn!("{lost} messages lost: this script does not take them as fast as they come");
    }
    let lost = with(|runtime| std::mem::take(&mut runtime.exits_lost));
    if lost > 0 {
        crate::warn!("{lost} exit signals lost: this script traps them and does not take them");
    }
}

/// Polls the tasks that are ready, and those that they make ready.
fn poll_ready() {
    while let Some(number) = with(|runtime| runtime.ready.pop_front()) {
        // A task that is over, or was abandoned, may still be in the list.
        let Some(mut job) = with(|runtime| runtime.tasks.get_mut(&number).and_then(Option::take)) else {
            continue;
        };
        let waker = Waker::from(Arc::new(TaskWaker(number)));
        let done = job.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        // What is left of a finished or abandoned task is dropped here, outside the table.
        let _over = with(|runtime| match runtime.tasks.get_mut(&number) {
            Some(slot) if !done => {
                *slot = Some(job);
                None
            }
            _ => {
                runtime.tasks.remove(&number);
                Some(job)
            }
        });
    }
}

/// What a script's main function returns.
#[doc(hidden)]
pub trait Outcome {
    /// Ends the process with it.
    fn end(self) -> !;
}

impl Outcome for () {
    fn end(self) -> ! {
        sys::exit("")
    }
}

impl Outcome for ExitReason {
    fn end(self) -> ! {
        sys::exit_with(&self.encode())
    }
}

impl<E: Display> Outcome for Result<(), E> {
    fn end(self) -> ! {
        let Err(error) = self else { sys::exit("") };
        let text = error.to_string();
        crate::error!("{text}");
        // An empty reason would be a normal end.
        sys::exit(if text.is_empty() { "error" } else { &text })
    }
}

/// The export `start`.
#[doc(hidden)]
pub fn start<T: Outcome>(main: impl Future<Output = T> + 'static) {
    std::panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("(no text)");
        let place = info.location().map(|at| format!(" ({at})")).unwrap_or_default();
        let reason = format!("panic: {message}{place}");
        crate::error!("{reason}");
        sys::exit(&reason)
    }));
    begin(Box::pin(async { main.await.end() }));
    wake();
}

/// The export `wake`.
#[doc(hidden)]
pub fn wake() {
    let inbox = with(|runtime| runtime.inbox.take());
    let mut inbox = inbox.unwrap_or_else(|| sys::Inbox::new(INBOX_LEN));
    drain(&mut inbox);
    poll_ready();
    with(|runtime| runtime.inbox = Some(inbox));
}
