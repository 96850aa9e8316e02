// SPDX-License-Identifier: AGPL-3.0-or-later
//! How fast processes exchange messages, begin and end, and what an idle one costs, beside Erlang.
//!
//! `cargo bench -p hearth-wasm --bench processes [-- [QUICK] [ALONE] [TEXT] [ROW]...]` prints a table, or these rows of it. All
//! rates are per second of processor time, on one worker thread, so that they can be compared on a machine that does
//! other things too. With `erl` on the path, and without `ALONE`, the same is done in Erlang on one scheduler that does
//! not spin: each row several times, in turn with ours, and what is printed is the median, and that of the ratios.
//!
//! The rows `ping-pong`, `ring`, `fan-in` and `spawn` are of guests in WebAssembly text, in C, in AssemblyScript and in Rust
//! with its standard library. The last three are compiled first (`guests`), if their compilers are here: `clang` with
//! `wasm-ld`, `asc` (on the path, or named by the variable `HEARTH_ASC`), `rustc`. What is missing is said. With `TEXT`
//! they are left out. Unset `RUST_BACKTRACE`: with it, each of them that ends by `exit` has a trace of the host collected.
//!
//! These rows are of wall time, or of memory, and have nobody beside them: `latency` (a pair that exchanges messages beside
//! 1000 infinite loops, on as many workers as there are processors), `kill` (of an infinite loop), `make` (a process of a
//! cached module, its instance new or used again), `workers` (pairs on one worker and on two), and, only if it is named,
//! `million` (as many live processes, after one message each).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "a program for people, which fails by panicking"
)]

mod guests;

use bytes::Bytes;
use futures::future::BoxFuture;
use guests::{Guests, Role};
use hearth_abi::{
    EntityId, Errno, LumpId, PeerId, ProcessId, TerminalId, scene::ComponentKind, signal::encode_args,
    terminal,
};
use hearth_process::{
    Bond, Config, Context, ExitReason, Host, Lane, Limits, OriginLimits, Processes, Program, ReplyTo,
    SendError, Spec, State, Take, Work,
};
use hearth_wasm::{Caller, Request, Services, Wasm, WasmConfig};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// As in the programs of a peer.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// As in `processes.erl`.
const FAN_INS: u64 = 10;
/// How often each row is measured, here and in Erlang in turn.
const ROUNDS: usize = 7;

const HERE: PeerId = PeerId::SERVER;

const IMPORTS: &str = r#"
    (import "hearth/1" "self" (func $self (result i64)))
    (import "hearth/1" "args" (func $args (param i32 i32) (result i32)))
    (import "hearth/1" "exit" (func $exit (param i32 i32)))
    (import "hearth/1" "try_recv_many" (func $try_recv_many (param i32 i32) (result i32)))
    (import "hearth/1" "wake_with" (func $wake_with (param i32 i32) (result i32)))
    (import "hearth/1" "send" (func $send (param i64 i32 i32) (result i32)))
    (import "hearth/1" "spawn" (func $spawn (param i32 i32 i32 i32 i32) (result i64)))
    (import "hearth/1" "clock_monotonic" (func $now (result i64)))
    (memory (export "memory") 1)"#;

const BLOCKING: &str = r#"(import "hearth/1/blocking" "recv" (func $recv (param i32 i32 i32) (result i32)))"#;

/// Takes what there is, each signal by `$take`, which gets its place and its length. They are there when it is called, but for the first
/// time. If all of it took little room there is no more, or that brings the next turn at once.
const WAKE: &str = r#"
    (func (export "wake") (local $at i32) (local $end i32)
      (local.set $end (i32.load (i32.const 248)))
      (if (i32.eqz (local.get $end)) (then
        (drop (call $wake_with (i32.const 248) (i32.const 3848)))
        (local.set $end (call $try_recv_many (i32.const 256) (i32.const 3840)))))
      (loop $more
        (local.set $at (i32.const 256))
        (local.set $end (i32.add (local.get $at) (local.get $end)))
        (if (i32.lt_s (local.get $at) (local.get $end)) (then
          (loop $next
            (call $take (i32.add (local.get $at) (i32.const 8)) (i32.load (local.get $at)))
            (local.set $at (i32.add (local.get $at) (i32.add (i32.const 8)
              (i32.and (i32.add (i32.load (local.get $at)) (i32.const 7)) (i32.const -8)))))
            (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
          (if (i32.gt_u (local.get $end) (i32.const 2048)) (then
            (local.set $end (call $try_recv_many (i32.const 256) (i32.const 3840)))
            (br $more)))))))"#;

/// Sends back what it gets.
const ECHO: &str = r#"(func (export "start"))
    (func $take (param $at i32) (param $len i32)
      (drop (call $send (i64.load offset=8 (local.get $at)) (i32.add (local.get $at) (i32.const 24)) (i32.const 16))))"#;

/// Arguments: peer, count. Plays with the peer and ends.
const PING: &str = r#"
    (func $ping (drop (call $send (i64.load (i32.const 4)) (i32.const 4) (i32.const 16))))
    (func (export "start") (drop (call $args (i32.const 0) (i32.const 64))) (call $ping))
    (func $take (param $at i32) (param $len i32)
      (i64.store (i32.const 12) (i64.sub (i64.load (i32.const 12)) (i64.const 1)))
      (if (i64.eqz (i64.load (i32.const 12))) (then (call $exit (i32.const 0) (i32.const 0))))
      (call $ping))"#;

const ECHO_BLOCKING: &str = r#"(func (export "start") (loop $next
      (drop (call $recv (i32.const 64) (i32.const 64) (i32.const -1)))
      (drop (call $send (i64.load (i32.const 72)) (i32.const 88) (i32.const 16)))
      (br $next)))"#;

const PING_BLOCKING: &str = r#"
    (func (export "start") (drop (call $args (i32.const 0) (i32.const 64)))
      (loop $next
        (drop (call $send (i64.load (i32.const 4)) (i32.const 4) (i32.const 16)))
        (drop (call $recv (i32.const 64) (i32.const 64) (i32.const -1)))
        (i64.store (i32.const 12) (i64.sub (i64.load (i32.const 12)) (i64.const 1)))
        (br_if $next (i64.ne (i64.load (i32.const 12)) (i64.const 0)))))"#;

/// A message of 8 bytes tells the next of the ring; one of 16 is passed on until its number is 0.
const NODE: &str = r#"(global $next (mut i64) (i64.const 0))
    (func (export "start"))
    (func $take (param $at i32) (param $len i32) (local $number i64)
      (local.set $number (i64.load offset=24 (local.get $at)))
      (if (i32.eq (local.get $len) (i32.const 32)) (then (global.set $next (local.get $number)) (return)))
      (if (i64.eqz (local.get $number)) (then (call $exit (i32.const 0) (i32.const 0))))
      (i64.store offset=24 (local.get $at) (i64.sub (local.get $number) (i64.const 1)))
      (drop (call $send (global.get $next) (i32.add (local.get $at) (i32.const 24)) (i32.const 16))))"#;

/// Arguments: receiver, count. Sends so many messages and ends.
const FLOOD: &str = r#"
    (func (export "start") (drop (call $args (i32.const 0) (i32.const 64)))
      (loop $next
        (drop (call $send (i64.load (i32.const 4)) (i32.const 4) (i32.const 16)))
        (i64.store (i32.const 12) (i64.sub (i64.load (i32.const 12)) (i64.const 1)))
        (br_if $next (i64.ne (i64.load (i32.const 12)) (i64.const 0)))))"#;

/// Arguments: nothing, count. Takes so many messages and ends.
const COUNT: &str = r#"
    (func (export "start") (drop (call $args (i32.const 0) (i32.const 64))))
    (func $take (param $at i32) (param $len i32)
      (i64.store (i32.const 12) (i64.sub (i64.load (i32.const 12)) (i64.const 1)))
      (if (i64.eqz (i64.load (i32.const 12))) (then (call $exit (i32.const 0) (i32.const 0)))))"#;

/// Arguments: the parent. Says that it lives, and ends.
const CHILD: &str = r#"
    (func (export "start") (drop (call $args (i32.const 0) (i32.const 64)))
      (drop (call $send (i64.load (i32.const 4)) (i32.const 0) (i32.const 8))))"#;

/// Arguments: the children's module, waves. Spawns waves of 100, each when all of the last have said that they live.
const PARENT: &str = r#"(global $waves (mut i64) (i64.const 0)) (global $left (mut i32) (i32.const 0))
    (func $wave (local $n i32)
      (local.set $n (i32.const 100))
      (global.set $left (i32.const 100))
      (loop $next
        (drop (call $spawn (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 12)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $next (local.get $n))))
    (func (export "start") (drop (call $args (i32.const 0) (i32.const 64)))
      (global.set $waves (i64.load (i32.const 36)))
      (i32.store (i32.const 100) (i32.const 8))
      (i64.store (i32.const 104) (call $self))
      (call $wave))
    (func $take (param $at i32) (param $len i32)
      (global.set $left (i32.sub (global.get $left) (i32.const 1)))
      (if (i32.eqz (global.get $left)) (then
        (global.set $waves (i64.sub (global.get $waves) (i64.const 1)))
        (if (i64.eqz (global.get $waves)) (then (call $exit (i32.const 0) (i32.const 0))))
        (call $wave))))"#;

/// Arguments: peer, count. As `PING`, and counts how long each round took: in eighths of powers of two of nanoseconds, as
/// 4096 bytes of `i64`, which it sends to the process that comes third. A message from that one begins it.
const TIMED: &str = r#"
    (global $then (mut i64) (i64.const 0))
    (func $ping
      (global.set $then (call $now))
      (drop (call $send (i64.load (i32.const 4)) (i32.const 4) (i32.const 16))))
    (func $count (param $ns i64) (local $power i64) (local $at i32)
      (local.set $ns (i64.add (local.get $ns) (i64.const 8)))
      (local.set $power (i64.sub (i64.const 63) (i64.clz (local.get $ns))))
      (local.set $at (i32.add (i32.const 8192) (i32.shl (i32.wrap_i64 (i64.add
        (i64.shl (local.get $power) (i64.const 3))
        (i64.and (i64.shr_u (local.get $ns) (i64.sub (local.get $power) (i64.const 3))) (i64.const 7)))) (i32.const 3))))
      (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (i64.const 1))))
    (func (export "start") (drop (call $args (i32.const 0) (i32.const 64))))
    (func $take (param $at i32) (param $len i32)
      (if (i64.ne (global.get $then) (i64.const 0)) (then
        (call $count (i64.sub (call $now) (global.get $then)))
        (i64.store (i32.const 12) (i64.sub (i64.load (i32.const 12)) (i64.const 1)))))
      (if (i64.eqz (i64.load (i32.const 12)))
        (then
          (drop (call $send (i64.load (i32.const 20)) (i32.const 8192) (i32.const 4096)))
          (call $exit (i32.const 0) (i32.const 0)))
        (else (call $ping))))"#;

/// Loops for ever, in one message.
const LOOP: &str = r#"(func (export "start")) (func (export "wake") (loop $for_ever (br $for_ever)))"#;

/// A process of the host that hands out the first message that it gets.
struct Once(Mutex<Option<oneshot::Sender<Bytes>>>);

impl Program for Once {
    fn run(self: Arc<Self>, context: Context) -> Work {
        Work::whole(async move {
            context.started();
            context.wait(State::Waiting).await;
            if let (Take::Signal(signal), Some(tell)) = (context.take(usize::MAX), self.0.lock().take()) {
                let _ = tell.send(signal.body.into_bytes());
            }
            ExitReason::normal()
        })
    }
}

#[derive(Default)]
struct Peer {
    world: OnceLock<(Processes, Wasm)>,
    lumps: Mutex<HashMap<LumpId, Bytes>>,
}

impl Host for Peer {
    fn send_remote(&self, _: ProcessId, _: ProcessId, _: Bytes) -> Result<(), SendError> {
        Err(SendError::NoPeer)
    }
    fn kill_remote(&self, _: Option<ProcessId>, _: ProcessId, _: &str) -> Result<(), SendError> {
        Err(SendError::NoPeer)
    }
    fn serial_reached(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }
    fn exited(&self, _: ProcessId, _: &ExitReason) {}
}

impl Services for Peer {
    fn request(&self, _: &Caller, _: Request, _: ReplyTo) {}
    fn lump(&self, _: &Caller, id: LumpId) -> BoxFuture<'static, Result<Bytes, String>> {
        let found = self.lumps.lock().get(&id).cloned().ok_or_else(|| "no such lump".to_owned());
        Box::pin(async { found })
    }
    fn spawn(
        &self,
        caller: &Caller,
        module: LumpId,
        _: Option<String>,
        args: Bytes,
        _: Option<Bond>,
    ) -> Result<ProcessId, Errno> {
        let (processes, wasm) = self.world.get().unwrap();
        processes.spawn(spec(wasm, module, caller.origin, args)).map_err(|error| error.errno())
    }
    fn asset_drop(&self, _: &Caller, _: &str, _: LumpId) -> Result<(), Errno> {
        Err(Errno::NotFound)
    }
    fn entity_ids(&self, _: u32) -> Result<EntityId, Errno> {
        Err(Errno::Unsupported)
    }
    fn scene_apply(&self, _: &Caller, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::Unsupported)
    }
    fn scene_read(&self, _: EntityId, _: ComponentKind) -> Option<Vec<u8>> {
        None
    }
    fn input_subscribe(&self, _: &Caller, _: u32) -> Result<(), Errno> {
        Err(Errno::Unsupported)
    }
    fn pointer_capture(&self, _: &Caller, _: bool) -> Result<(), Errno> {
        Err(Errno::Unsupported)
    }
    fn terminal_command(&self, _: &Caller, _: TerminalId, _: terminal::Command) -> Result<(), Errno> {
        Err(Errno::Unsupported)
    }
    fn keyboard_focus(&self, _: &Caller, _: Option<TerminalId>) -> Result<(), Errno> {
        Err(Errno::Unsupported)
    }
    fn keyboard_leave(&self, _: &Caller, _: PeerId) -> Result<(), Errno> {
        Err(Errno::NotFound)
    }
    fn terminal_views(&self, _: EntityId, _: usize) -> Vec<terminal::View> {
        Vec::new()
    }
    fn clipboard_write(&self, _: &Caller, _: String) -> Result<(), Errno> {
        Err(Errno::Unsupported)
    }
    fn peer_name(&self, _: PeerId) -> Option<String> {
        None
    }
}

fn spec(wasm: &Wasm, module: LumpId, origin: PeerId, args: Bytes) -> Spec {
    // Erlang's mailboxes are unbounded; the flood needs as much.
    let limits = Limits { mailbox_signals: usize::MAX, mailbox_bytes: usize::MAX, ..Limits::default() };
    Spec {
        program: wasm.program(module),
        module: Some(module),
        origin,
        parent: None,
        name: None,
        args,
        limits,
    }
}

struct World {
    processes: Processes,
    wasm: Wasm,
    peer: Arc<Peer>,
}

impl World {
    fn new(workers: usize) -> World {
        // Sooner than a peer does it, for who waits for the figures.
        World::hibernating(workers, Some(Duration::from_secs(5)))
    }

    fn hibernating(workers: usize, hibernate_after: Option<Duration>) -> World {
        let peer = Arc::new(Peer::default());
        let all = OriginLimits {
            processes: usize::MAX,
            memory_bytes: u64::MAX,
            entities: usize::MAX,
            cpu_percent: None,
        };
        let config = Config { own: all, hibernate_after, ..Config::new(HERE, 1, workers) };
        let processes = Processes::new(config, peer.clone());
        let wasm = Wasm::new(WasmConfig::default(), peer.clone()).unwrap();
        assert!(peer.world.set((processes.clone(), wasm.clone())).is_ok());
        World { processes, wasm, peer }
    }

    fn module(&self, body: &str) -> LumpId {
        let blocking = if body.contains("$recv") { BLOCKING } else { "" };
        let wake = if body.contains("$take") { WAKE } else { "" };
        let bytes = wat::parse_str(format!("(module {blocking} {IMPORTS} {body} {wake})")).unwrap();
        let id = LumpId(*blake3::hash(&bytes).as_bytes());
        self.peer.lumps.lock().insert(id, bytes.into());
        id
    }

    /// The module of a role, and how it is told what to do.
    fn script(&self, guests: &Guests, role: Role) -> (LumpId, impl Fn(&[u8]) -> Vec<u8> + use<>) {
        let (module, told) = match guests {
            Guests::Text => {
                let body = match role {
                    Role::Echo => ECHO,
                    Role::Ping => PING,
                    Role::Node => NODE,
                    Role::Flood => FLOOD,
                    Role::Count => COUNT,
                    Role::Child => CHILD,
                    Role::Parent => PARENT,
                };
                (self.module(body), Vec::new())
            }
            Guests::Built(_, bytes) => {
                let id = LumpId(*blake3::hash(bytes).as_bytes());
                self.peer.lumps.lock().insert(id, bytes.clone());
                (id, (role as u64).to_le_bytes().to_vec())
            }
        };
        (module, move |arg: &[u8]| [&told[..], arg].concat())
    }

    fn spawn_as(&self, guests: &Guests, role: Role, arg: &[u8]) -> ProcessId {
        let (module, told) = self.script(guests, role);
        self.spawn(module, &told(arg))
    }

    fn spawn(&self, module: LumpId, arg: &[u8]) -> ProcessId {
        let args = encode_args([arg]).into();
        self.processes.spawn(spec(&self.wasm, module, HERE, args)).unwrap()
    }

    async fn end(&self, id: ProcessId) {
        let reason = self.processes.exited(id).await;
        assert!(reason.is_normal(), "{reason}");
    }

    async fn ping_pong_blocking(&self, rounds: u64) {
        let echo = self.spawn(self.module(ECHO_BLOCKING), &[]);
        let ping = self.spawn(self.module(PING_BLOCKING), &two(echo.to_bits(), rounds));
        self.end(ping).await;
        self.processes.kill(None, echo, "").unwrap();
    }

    async fn ping_pong(&self, guests: &Guests, rounds: u64) {
        let echo = self.spawn_as(guests, Role::Echo, &[]);
        let ping = self.spawn_as(guests, Role::Ping, &two(echo.to_bits(), rounds));
        self.end(ping).await;
        self.processes.kill(None, echo, "").unwrap();
    }

    async fn ring(&self, guests: &Guests, size: usize, hops: u64) {
        let (module, told) = self.script(guests, Role::Node);
        let nodes: Vec<_> = (0..size).map(|_| self.spawn(module, &told(&[]))).collect();
        for (n, node) in nodes.iter().enumerate() {
            let next = nodes[(n + 1) % size].to_bits().to_le_bytes();
            self.processes.send(*node, *node, Bytes::copy_from_slice(&next)).unwrap();
        }
        let hops = hops / size as u64 * size as u64;
        self.processes.send(nodes[0], nodes[0], Bytes::copy_from_slice(&two(hops, 0))).unwrap();
        self.end(nodes[0]).await;
        for node in &nodes[1..] {
            self.processes.kill(None, *node, "").unwrap();
        }
    }

    /// So many times, for once is too short to be measured.
    async fn fan_ins(&self, guests: &Guests, times: u64, senders: u64, each: u64) {
        for _ in 0..times {
            self.fan_in(guests, senders, each).await;
        }
    }

    async fn fan_in(&self, guests: &Guests, senders: u64, each: u64) {
        let count = self.spawn_as(guests, Role::Count, &two(0, senders * each));
        let (flood, told) = self.script(guests, Role::Flood);
        for _ in 0..senders {
            self.spawn(flood, &told(&two(count.to_bits(), each)));
        }
        self.end(count).await;
    }

    async fn spawn_waves(&self, guests: &Guests, waves: u64) {
        let (child, _) = self.script(guests, Role::Child);
        let mut args = child.0.to_vec();
        args.extend(waves.to_le_bytes());
        let parent = self.spawn_as(guests, Role::Parent, &args);
        self.end(parent).await;
    }

    fn nobody(&self) -> ProcessId {
        ProcessId::new(HERE, ProcessId::SERIAL_MAX).unwrap()
    }

    /// Processes that are in the middle of a message that never ends.
    async fn loops(&self, count: usize) -> Vec<ProcessId> {
        let module = self.module(LOOP);
        let ids: Vec<_> = (0..count).map(|_| self.spawn(module, &[])).collect();
        for id in &ids {
            self.processes.started(*id).await.unwrap();
            self.processes.send(self.nobody(), *id, Bytes::new()).unwrap();
        }
        let is_hog = |id| self.processes.info(id).is_some_and(|info| info.lane == Lane::Hog);
        while !ids.iter().all(|id| is_hog(*id)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ids
    }

    /// How long each of so many rounds of a pair took: upper ends in nanoseconds, and how many took that long.
    async fn latency(&self, rounds: u64) -> Vec<(u64, u64)> {
        let (tell, told) = oneshot::channel();
        let mut once = spec(&self.wasm, LumpId([0; 32]), HERE, Bytes::new());
        once.program = Arc::new(Once(Mutex::new(Some(tell))));
        let once = self.processes.spawn(once).unwrap();
        let echo = self.spawn(self.module(ECHO), &[]);
        let args = [two(echo.to_bits(), rounds).to_vec(), once.to_bits().to_le_bytes().to_vec()].concat();
        let timed = self.spawn(self.module(TIMED), &args);
        self.processes.send(once, timed, Bytes::new()).unwrap();
        let counts = told.await.unwrap();
        self.processes.kill(None, echo, "").unwrap();
        let counts = counts.chunks(8).map(|count| u64::from_le_bytes(count.try_into().unwrap()));
        let end = |at: usize| (9 + at as u64 % 8) << (at / 8).saturating_sub(3);
        counts.enumerate().filter(|(_, count)| *count > 0).map(|(at, count)| (end(at), count)).collect()
    }

    /// Resident bytes for each of so many parked processes that have answered once, and for each when all hibernate.
    async fn memory(&self, count: usize) -> (u64, u64) {
        let module = self.module(ECHO);
        // The module is compiled, as that of Erlang is loaded.
        let first = self.spawn(module, &[]);
        self.processes.started(first).await.unwrap();
        let before = resident();
        let ids: Vec<_> = (0..count).map(|_| self.spawn(module, &[])).collect();
        // What they send back goes to nobody.
        let nobody = self.nobody();
        for id in &ids {
            self.processes.send(nobody, *id, Bytes::new()).unwrap();
        }
        let all = async |states: &[State]| {
            let is_done = |id| {
                self.processes
                    .info(id)
                    .is_some_and(|info| states.contains(&info.state) && info.mailbox_len == 0)
            };
            while !ids.iter().all(|id| is_done(*id)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            (resident() - before) / count as u64
        };
        let parked = all(&[State::Parked, State::Hibernated]).await;
        all(&[State::Hibernated]).await;
        // The allocator gives back what is free for ten seconds.
        tokio::time::sleep(Duration::from_secs(15)).await;
        let hibernated = all(&[State::Hibernated]).await;
        for id in &ids {
            let _ = self.processes.kill(None, *id, "");
        }
        (parked, hibernated)
    }
}

fn two(a: u64, b: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&a.to_le_bytes());
    bytes[8..].copy_from_slice(&b.to_le_bytes());
    bytes
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The time that so much of all took at most.
fn percentile(counts: &[(u64, u64)], of_thousand: u64) -> Duration {
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let mut seen = 0;
    let end = counts.iter().find(|(_, count)| {
        seen += count;
        seen * 1000 >= all * of_thousand
    });
    Duration::from_nanos(end.map_or(0, |(end, _)| *end))
}

/// The rows that have nobody beside them.
async fn alone(wants: impl Fn(&str) -> bool, rounds: u64) {
    if wants("latency") {
        for loops in [0, 1000] {
            let world = World::new(std::thread::available_parallelism().map_or(1, usize::from));
            world.loops(loops).await;
            let counts = world.latency(rounds).await;
            let [p50, p99, p999] = [500, 990, 999].map(|of| percentile(&counts, of));
            let max = percentile(&counts, 1000);
            println!(
                "round trip beside {loops:>4} loops: p50 {p50:?}, p99 {p99:?}, p99.9 {p999:?}, max {max:?}"
            );
            world.processes.shutdown().await;
        }
    }
    if wants("kill") {
        let world = World::new(2);
        let mut times = Vec::new();
        for _ in 0..50 {
            let id = world.loops(1).await[0];
            let began = Instant::now();
            world.processes.kill(None, id, "").unwrap();
            world.processes.exited(id).await;
            times.push(began.elapsed());
        }
        times.sort_unstable();
        println!("kill of an infinite loop: median {:?}, longest {:?}", times[25], times[49]);
        world.processes.shutdown().await;
    }
    if wants("make") {
        let world = World::new(1);
        let (module, count) = (world.module(CHILD), 100);
        for (what, ends) in [("new instances", false), ("used again", true)] {
            // Those that park keep their instances; those that end leave them for the next.
            let module = if ends { module } else { world.module(ECHO) };
            let arg = world.nobody().to_bits().to_le_bytes();
            let round = async || {
                let ids: Vec<_> = (0..count).map(|_| world.spawn(module, &arg)).collect();
                for id in ids {
                    // One that has ended is not known any more, and has started.
                    let _ = world.processes.started(id).await;
                }
            };
            let mut best = Duration::MAX;
            for _ in 0..50 {
                let before = cpu();
                round().await;
                best = best.min(cpu() - before);
            }
            println!("a process of a cached module, {what}: {:?} of processor time", best / count);
        }
        world.processes.shutdown().await;
    }
    if wants("workers") {
        let mut rates = Vec::new();
        for workers in [1, 2] {
            let world = World::new(workers);
            let pairs =
                || futures::future::join_all((0..8).map(|_| world.ping_pong(&Guests::Text, rounds / 8)));
            pairs().await;
            let began = Instant::now();
            pairs().await;
            rates.push(rounds as f64 / began.elapsed().as_secs_f64());
            world.processes.shutdown().await;
        }
        println!(
            "8 pairs by wall: {:.0}/s on one worker, {:.0}/s on two: {:.2} times",
            rates[0],
            rates[1],
            rates[1] / rates[0]
        );
    }
}

/// As many live processes, after one message each.
async fn million() {
    // So that all are counted before the first hibernates.
    let world = World::hibernating(2, Some(Duration::from_secs(60)));
    let count = 1_000_000;
    let (parked, hibernated) = world.memory(count).await;
    let all = |bytes: u64| (bytes * count as u64) as f64 / 1e9;
    println!("1,000,000 live processes, parked: {parked} bytes each, {:.1} GB in all", all(parked));
    println!(
        "1,000,000 live processes, hibernated: {hibernated} bytes each, {:.1} GB in all",
        all(hibernated)
    );
    world.processes.shutdown().await;
}

/// An Erlang that does the same, one row at a time.
struct Erlang {
    child: Child,
    asked: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// Its module.
    _folder: TempDir,
}

impl Erlang {
    fn start() -> Option<Erlang> {
        let folder = tempfile::tempdir().ok()?;
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/processes.erl");
        let compiled = Command::new("erlc").arg("-o").arg(folder.path()).arg(source).status().ok()?;
        if !compiled.success() {
            return None;
        }
        let mut command = Command::new("erl");
        command.args("+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none +P 2000000 -noshell -pa".split(' '));
        command.arg(folder.path()).args(["-run", "processes", "main"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let (asked, answers) = (child.stdin.take()?, BufReader::new(child.stdout.take()?).lines());
        Some(Erlang { child, asked, answers, _folder: folder })
    }

    /// Microseconds of its processor time for a row, or bytes for `memory`.
    fn run(&mut self, row: &str, count: u64) -> f64 {
        writeln!(self.asked, "{row} {count}").unwrap();
        self.answers.next().unwrap().unwrap().parse().unwrap()
    }
}

impl Drop for Erlang {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Rates of one row beside Erlang's, in turn: a machine on which others work is not as fast in every second.
struct Table {
    erlang: Option<Erlang>,
}

impl Table {
    fn head() {
        println!(
            "median of {ROUNDS} rounds, per second of processor time {:>12} {:>12} {:>7}   lowest and highest",
            "Hearth", "Erlang", "ratio"
        );
    }

    /// A row: what is done, how much of it that is, the row in Erlang, and its count.
    async fn row<F: Future<Output = ()>>(
        &mut self,
        name: &str,
        count: u64,
        (theirs, their_count): (&str, u64),
        what: impl Fn() -> F,
    ) {
        what().await;
        if let Some(erlang) = &mut self.erlang {
            erlang.run(theirs, their_count);
        }
        let (mut ours, mut other, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let before = cpu();
            what().await;
            let rate = rate(count, (cpu() - before).as_micros() as f64);
            ours.push(rate);
            if let Some(erlang) = &mut self.erlang {
                let theirs = self::rate(count, erlang.run(theirs, their_count));
                other.push(theirs);
                ratios.push(rate / theirs);
            }
        }
        let ours = median(&mut ours);
        if self.erlang.is_some() {
            let (theirs, ratio) = (median(&mut other), median(&mut ratios));
            let (lowest, highest) = (ratios[0], ratios[ROUNDS - 1]);
            println!("{name:<51} {ours:>12.0} {theirs:>12.0} {ratio:>7.2}   {lowest:.2} {highest:.2}");
        } else {
            println!("{name:<51} {ours:>12.0} {:>12} {:>7}", "-", "-");
        }
    }
}

/// The one in the middle, of those that are sorted then.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn rate(count: u64, micros: f64) -> f64 {
    count as f64 / (micros / 1e6)
}

fn main() {
    // Cargo passes `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let has = |word: &str| args.iter().any(|arg| arg == word);
    let wants =
        |row: &str| has(row) || args.iter().all(|arg| ["QUICK", "ALONE", "TEXT"].contains(&arg.as_str()));
    let scale = if has("QUICK") { 20 } else { 1 };
    let (rounds, hops, each, waves, idle) =
        (1_000_000 / scale, 2_000_000 / scale, 5000 / scale, 1000 / scale, 20_000 / scale);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let erlang = if has("ALONE") { None } else { Erlang::start() };
    let guests = if has("TEXT") { vec![Guests::Text] } else { Guests::all() };
    runtime.block_on(async {
        if has("million") {
            return million().await;
        }
        let world = World::new(1);
        let mut table = Table { erlang };
        Table::head();
        if wants("memory") {
            let (parked, hibernated) = world.memory(idle as usize).await;
            let theirs = table.erlang.as_mut().map(|erlang| erlang.run("memory", idle));
            for (what, ours) in [("parked", parked), ("hibernated", hibernated)] {
                let ratio = theirs.map_or("-".into(), |bytes| format!("{:.2}", ours as f64 / bytes));
                let theirs = theirs.map_or("-".into(), |bytes| format!("{bytes:.0}"));
                println!("{:<51} {ours:>12} {theirs:>12} {ratio:>7}", format!("bytes per process, {what}"));
            }
        }
        if wants("blocking") {
            let theirs = ("ping-pong", rounds);
            table.row("ping-pong, blocking", rounds, theirs, || world.ping_pong_blocking(rounds)).await;
        }
        for guests in &guests {
            if wants("ping-pong") {
                let (name, theirs) = (guests.row("ping-pong, parked, round trips"), ("ping-pong", rounds));
                table.row(&name, rounds, theirs, || world.ping_pong(guests, rounds)).await;
            }
            if wants("ring") {
                let (name, theirs) = (guests.row("ring of 1000, hops"), ("ring", hops));
                table.row(&name, hops, theirs, || world.ring(guests, 1000, hops)).await;
            }
            if wants("fan-in") {
                let (name, theirs) = (guests.row("fan-in 100 to 1, messages"), ("fan-in", each));
                let work = || world.fan_ins(guests, FAN_INS, 100, each);
                table.row(&name, FAN_INS * 100 * each, theirs, work).await;
            }
            if wants("spawn") {
                let (name, theirs) = (guests.row("spawn, message, exit"), ("spawn", waves));
                table.row(&name, 100 * waves, theirs, || world.spawn_waves(guests, waves)).await;
            }
        }
        world.processes.shutdown().await;
        alone(wants, rounds).await;
    });
}
