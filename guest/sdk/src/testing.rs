// SPDX-License-Identifier: AGPL-3.0-or-later
//! A small peer for tests on a native target: the calls of a script go here.
//!
//! Each thread has its own, so each test has. Time stands still but in [`run_for`], where it leaps from
//! timer to timer.
//!
//! ```
//! use hearth_sdk::{prelude::*, testing};
//!
//! async fn echo() {
//!     loop {
//!         let message = recv::<String>().await;
//!         message.reply(&message.body).ok();
//!     }
//! }
//!
//! let asker = "2.7".parse().unwrap();
//! testing::deliver(asker, &"hello");
//! testing::run_for(echo(), Duration::from_secs(1));
//! assert_eq!(testing::sent::<String>(), [(asker, "hello".to_owned())]);
//! ```

use crate::{process::ExitReason, runtime, sys::HOST};
use hearth_abi::{
    EntityId, Errno, LumpId, PeerId, ProcessId, TerminalId,
    cast::Cast,
    input::Event,
    keyboard, pointer,
    scene::{Op, decode_batch},
    signal::{Kind, decode_args, encode_args},
    terminal,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{cell::RefCell, future::Future, rc::Rc, time::Duration};

/// Lets a script run for so long, and gives what it returned if it came to its end. Whatever it has
/// spawned ends with it.
pub fn run_for<T: 'static>(main: impl Future<Output = T> + 'static, time: Duration) -> Option<T> {
    let result = Rc::new(RefCell::new(None));
    let slot = Rc::clone(&result);
    runtime::begin(Box::pin(async move {
        let value = main.await;
        *slot.borrow_mut() = Some(value);
    }));
    let end = HOST.with_borrow(|host| host.now_ns) + time.as_nanos() as u64;
    loop {
        runtime::wake();
        if result.borrow().is_some() {
            break;
        }
        // What it has left brings the next turn at once.
        if HOST.with_borrow(|host| !host.mailbox.is_empty()) {
            continue;
        }
        let left = HOST.with_borrow_mut(|host| {
            let next = host.timers.iter().min_by_key(|(_, due)| **due).map(|(tag, due)| (*tag, *due));
            match next.filter(|(_, due)| *due <= end) {
                Some((tag, due)) => {
                    host.timers.remove(&tag);
                    host.now_ns = host.now_ns.max(due);
                    host.signal(Kind::Timeout, 0, tag, 0, &[]);
                    true
                }
                None => {
                    host.now_ns = end;
                    false
                }
            }
        });
        if !left {
            break;
        }
    }
    runtime::abandon_all();
    result.take()
}

/// Puts a message into the mailbox, as CBOR.
pub fn deliver<T: Serialize>(from: ProcessId, body: &T) {
    let body = crate::message::encode(body).expect("what a test sends can be encoded");
    deliver_bytes(from, &body);
}

/// Puts a message into the mailbox.
pub fn deliver_bytes(from: ProcessId, body: &[u8]) {
    HOST.with_borrow_mut(|host| host.signal(Kind::Message, from.to_bits(), 0, 0, body));
}

/// Puts an input event into the mailbox.
pub fn input(event: &Event) {
    HOST.with_borrow_mut(|host| host.signal(Kind::Input, 0, 0, 0, &event.encode()));
}

/// Puts an event of a terminal into the mailbox.
pub fn terminal_event(terminal: TerminalId, event: &terminal::Event) {
    let body = terminal::encode_event(terminal, event);
    HOST.with_borrow_mut(|host| host.signal(Kind::Terminal, 0, 0, 0, &body));
}

/// Puts an event of a user's pointer into the mailbox.
pub fn pointer(event: &pointer::Event) {
    HOST.with_borrow_mut(|host| host.signal(Kind::Pointer, 0, 0, 0, &event.encode()));
}

/// Puts an event of a user's keyboard into the mailbox.
pub fn keyboard(event: &keyboard::Event) {
    HOST.with_borrow_mut(|host| host.signal(Kind::Keyboard, 0, 0, 0, &event.encode()));
}

/// Takes the users whose keyboards the script has given back.
pub fn left() -> Vec<PeerId> {
    let left = HOST.with_borrow_mut(|host| std::mem::take(&mut host.left));
    left.into_iter().filter_map(PeerId::new).collect()
}

/// What the user of peer 2 does with the left button to an entity that is straight ahead, two metres away.
pub fn pointer_event(kind: pointer::Kind, entity: EntityId) -> pointer::Event {
    pointer::Event {
        kind,
        pointer: pointer::MOUSE,
        button: 0,
        buttons: 0,
        modifiers: terminal::Modifiers::default(),
        user: PeerId::new(2).expect("a small number"),
        entity,
        hit: Some(entity),
        other: None,
        from: [0.0, 1.7, 0.0],
        way: [0.0, 0.0, -1.0],
        distance: 2.0,
        point: [0.0, 1.7, -2.0],
        normal: [0.0, 0.0, 1.0],
        wheel: [0.0; 2],
    }
}

/// Takes what the script has sent through the scene. Its requests are answered by [`answer()`], with
/// [`encode_hits`](hearth_abi::cast::encode_hits).
pub fn casts() -> Vec<Cast> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.casts))
}

/// Takes what the script told terminals to do.
pub fn terminal_commands() -> Vec<(TerminalId, terminal::Command)> {
    let commands = HOST.with_borrow_mut(|host| std::mem::take(&mut host.commands));
    commands.into_iter().map(|(terminal, command)| (TerminalId::from_bits(terminal), command)).collect()
}

/// Takes the terminals that the script gave the keyboard to; `None` where it gave it back.
pub fn focuses() -> Vec<Option<TerminalId>> {
    let focuses = HOST.with_borrow_mut(|host| std::mem::take(&mut host.focuses));
    focuses.into_iter().map(|bits| (bits != 0).then(|| TerminalId::from_bits(bits))).collect()
}

/// Sets what [`terminal::views`](crate::terminal::views) gives, in order of the entities' ids.
pub fn terminal_views(views: &[terminal::View]) {
    HOST.with_borrow_mut(|host| host.views = views.to_vec());
}

/// What is on the clipboard.
pub fn clipboard() -> String {
    HOST.with_borrow(|host| host.clipboard.clone())
}

/// Refuses input from now on, as a peer without a picture does.
pub fn refuse_input(errno: Errno) {
    HOST.with_borrow_mut(|host| host.input_refused = Some(errno));
}

/// Which events the script has asked for: bits of [`mask`](hearth_abi::input::mask).
pub fn input_mask() -> u32 {
    HOST.with_borrow(|host| host.input)
}

/// Takes what the script did with the pointer: true where it was captured, false where it was freed.
pub fn captures() -> Vec<bool> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.captured))
}

/// Answers the oldest request that this peer does not answer by itself: gives the name of the call,
/// or `None` if there is none.
pub fn answer(status: Result<i32, Errno>, body: &[u8]) -> Option<&'static str> {
    HOST.with_borrow_mut(|host| {
        if host.requests.is_empty() {
            return None;
        }
        let (call, tag) = host.requests.remove(0);
        host.answer(call, tag, status.unwrap_or_else(Errno::as_return), body);
        Some(call)
    })
}

/// A process ends: its monitors tell, and if it is linked with the one under test, so does the link, if that
/// traps exits.
///
/// # Panics
/// It is linked, exits are not trapped, and the reason is not normal: the process under test ends.
pub fn ends(process: ProcessId, reason: &ExitReason) {
    let bytes = reason.encode();
    let dies = HOST.with_borrow_mut(|host| host.end(process.to_bits(), &bytes, reason.is_normal()));
    assert!(!dies, "the process ends: {reason}");
}

/// A process asks the one under test to end, as [`exit_to`](crate::process::exit_to) does, which must trap exits.
pub fn exit_from(process: ProcessId, reason: &ExitReason) {
    let bytes = reason.encode();
    HOST.with_borrow_mut(|host| host.signal(Kind::Exit, process.to_bits(), 0, 0, &bytes));
}

/// Takes the exit signals that the script has sent.
pub fn exits() -> Vec<(ProcessId, ExitReason)> {
    let exits = HOST.with_borrow_mut(|host| std::mem::take(&mut host.exits));
    exits.into_iter().map(|(to, reason)| (ProcessId::from_bits(to), ExitReason::decode(&reason))).collect()
}

/// From now on whoever is linked with the script ends as soon as the script asks it to, with
/// [`exit_to`](crate::process::exit_to).
pub fn obey_exits() {
    HOST.with_borrow_mut(|host| host.is_obeyed = true);
}

/// This process does so only if it is killed.
pub fn ignore_exits(process: ProcessId) {
    HOST.with_borrow_mut(|host| host.deaf.insert(process.to_bits()));
}

/// Refuses the next exit signal that the script sends and that is not refused yet.
pub fn refuse_exit(errno: Errno) {
    HOST.with_borrow_mut(|host| host.refused_exits.push_back(errno));
}

/// A process that the script has spawned on its own peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spawned {
    /// Its id.
    pub process: ProcessId,
    /// The lump of its module.
    pub module: LumpId,
    /// Its name; empty if it has none.
    pub name: String,
    /// Its arguments, as text.
    pub args: Vec<String>,
}

/// Takes what the script has spawned on its own peer.
pub fn spawned() -> Vec<Spawned> {
    let spawned = HOST.with_borrow_mut(|host| std::mem::take(&mut host.spawned));
    let read = |spawned: crate::sys::Spawned| {
        let args = decode_args(&spawned.args).unwrap_or_default();
        Spawned {
            process: ProcessId::from_bits(spawned.id),
            module: LumpId(spawned.module),
            name: spawned.name,
            args: args.into_iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect(),
        }
    };
    spawned.into_iter().map(read).collect()
}

/// Refuses the next spawn on this peer that is not refused yet.
pub fn refuse_spawn(errno: Errno) {
    HOST.with_borrow_mut(|host| host.refused_spawns.push_back(errno));
}

/// Whom the script is linked with.
pub fn links() -> Vec<ProcessId> {
    HOST.with_borrow(|host| host.links.iter().map(|bits| ProcessId::from_bits(*bits)).collect())
}

/// How many monitors the script has.
pub fn monitors() -> usize {
    HOST.with_borrow(|host| host.monitors.len())
}

/// Another process has a name in the space.
pub fn global(name: &str, process: ProcessId) {
    HOST.with_borrow_mut(|host| host.globals.insert(name.into(), process.to_bits()));
}

/// Another process is in a group of the space.
pub fn member(group: &str, process: ProcessId) {
    HOST.with_borrow_mut(|host| host.groups.entry(group.into()).or_default().insert(process.to_bits()));
}

/// A peer is in the space and goes by a name, or, without one, has left. Before a test says anything there are this one,
/// `tester`, and peer 2, `visitor`.
pub fn peer(peer: PeerId, name: Option<&str>) {
    HOST.with_borrow_mut(|host| host.peers.insert(peer.number(), name.map(Into::into)));
}

/// Sets the arguments of the process.
pub fn set_args(args: &[&str]) {
    HOST.with_borrow_mut(|host| host.args = encode_args(args));
}

/// Takes the messages that were sent, read from CBOR.
///
/// # Panics
/// One of them is no `T`.
pub fn sent<T: DeserializeOwned>() -> Vec<(ProcessId, T)> {
    sent_bytes()
        .into_iter()
        .map(|(to, body)| (to, crate::message::decode(&body).expect("what was sent is a `T`")))
        .collect()
}

/// Takes the messages that were sent.
pub fn sent_bytes() -> Vec<(ProcessId, Vec<u8>)> {
    let sent = HOST.with_borrow_mut(|host| std::mem::take(&mut host.sent));
    sent.into_iter().map(|(to, body)| (ProcessId::from_bits(to), body)).collect()
}

/// Takes the lines that were logged, with their levels (1 error to 5 trace).
pub fn logs() -> Vec<(i32, String)> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.logs))
}

/// Takes the batches that were applied to the scene.
pub fn batches() -> Vec<Vec<Op>> {
    let batches = HOST.with_borrow_mut(|host| std::mem::take(&mut host.batches));
    batches.iter().map(|batch| decode_batch(batch).expect("only sound batches are taken")).collect()
}

/// How many timers are set.
pub fn timers() -> usize {
    HOST.with_borrow(|host| host.timers.len())
}

/// The lumps that were made. Their ids are not the real hashes.
pub fn lumps() -> Vec<(LumpId, Vec<u8>)> {
    HOST.with_borrow(|host| host.lumps.iter().map(|(id, bytes)| (LumpId(*id), bytes.clone())).collect())
}
