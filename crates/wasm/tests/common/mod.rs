// SPDX-License-Identifier: AGPL-3.0-or-later
//! A peer for tests: a process table, an engine, lumps in a map, and records of what guests asked for.
#![allow(dead_code, reason = "each test file uses a part of it")]

use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::{
    EntityId, Errno, LumpId, PeerId, ProcessId, TerminalId,
    scene::{ComponentKind, Transform},
    terminal::{Command, View},
};
use hearth_process::{
    Bond, Config, Context, ExitReason, Host, Limits, Processes, Program, ReplyTo, SendError, Signal, Spec,
    State, Take, Work,
};
use hearth_wasm::{Caller, Request, Services, Wasm, WasmConfig};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::mpsc;

pub(crate) const HERE: PeerId = PeerId::SERVER;

/// A peer that is not this one.
pub(crate) fn elsewhere() -> PeerId {
    PeerId::new(5).unwrap()
}

#[derive(Default)]
pub(crate) struct Peer {
    /// Taken away when the world goes, because the engine holds its peer.
    world: Mutex<Option<(Processes, Wasm)>>,
    lumps: Mutex<HashMap<LumpId, Bytes>>,
    pub(crate) asked: Mutex<Vec<(Caller, Request)>>,
    /// Plain service calls, as text.
    pub(crate) called: Mutex<Vec<String>>,
    pub(crate) held: Mutex<Vec<ReplyTo>>,
    /// Keep replies instead of dropping them.
    pub(crate) hold: std::sync::atomic::AtomicBool,
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
    fn request(&self, caller: &Caller, request: Request, reply: ReplyTo) {
        let hold = self.hold.load(std::sync::atomic::Ordering::SeqCst);
        match &request {
            Request::LumpPut { id, bytes } => {
                self.lumps.lock().insert(*id, bytes.clone());
                reply.send(0, Bytes::new());
            }
            Request::LumpRead { id, offset, len, .. } => match self.lumps.lock().get(id) {
                Some(bytes) => {
                    let rest = bytes.get(*offset as usize..).unwrap_or_default();
                    let part = &rest[..rest.len().min(*len as usize)];
                    reply.send(part.len() as i32, part);
                }
                None => reply.error(Errno::NotFound, "no such lump"),
            },
            _ if hold => self.held.lock().push(reply),
            _ => drop(reply),
        }
        self.asked.lock().push((*caller, request));
    }

    fn lump(&self, _: &Caller, id: LumpId) -> BoxFuture<'static, Result<Bytes, String>> {
        let found = self.lumps.lock().get(&id).cloned().ok_or_else(|| format!("nobody has lump {id}"));
        Box::pin(async { found })
    }

    fn spawn(
        &self,
        caller: &Caller,
        module: LumpId,
        name: Option<String>,
        args: Bytes,
        bond: Option<Bond>,
    ) -> Result<ProcessId, Errno> {
        let (processes, wasm) = self.world.lock().clone().unwrap();
        let spec = Spec {
            program: wasm.program(module),
            module: Some(module),
            origin: caller.origin,
            parent: Some(caller.process),
            name,
            args,
            limits: Limits::default(),
        };
        let spawned = match bond {
            Some(bond) => processes.spawn_tied(spec, bond),
            None => processes.spawn(spec),
        };
        spawned.map_err(|error| error.errno())
    }

    fn asset_drop(&self, _: &Caller, class: &str, id: LumpId) -> Result<(), Errno> {
        self.called.lock().push(format!("asset_drop {class} {id}"));
        Err(Errno::NotFound)
    }

    fn entity_ids(&self, count: u32) -> Result<EntityId, Errno> {
        self.called.lock().push(format!("entity_ids {count}"));
        Ok(EntityId::new(HERE, 40).unwrap())
    }

    fn scene_apply(&self, _: &Caller, batch: &[u8]) -> Result<(), Errno> {
        self.called.lock().push(format!("scene_apply {batch:?}"));
        if batch.is_empty() { Ok(()) } else { Err(Errno::Invalid) }
    }

    fn scene_read(&self, entity: EntityId, kind: ComponentKind) -> Option<Vec<u8>> {
        (entity.serial() == 40).then(|| kind.name().as_bytes().to_vec())
    }

    fn input_subscribe(&self, caller: &Caller, mask: u32) -> Result<(), Errno> {
        self.called.lock().push(format!("input_subscribe {} {mask}", caller.origin));
        Ok(())
    }

    fn pointer_capture(&self, _: &Caller, on: bool) -> Result<(), Errno> {
        self.called.lock().push(format!("pointer_capture {on}"));
        Ok(())
    }

    fn terminal_command(&self, _: &Caller, terminal: TerminalId, command: Command) -> Result<(), Errno> {
        self.called.lock().push(format!("terminal_command {terminal} {command:?}"));
        if terminal.serial() == 7 { Ok(()) } else { Err(Errno::NotFound) }
    }

    fn keyboard_focus(&self, _: &Caller, terminal: Option<TerminalId>) -> Result<(), Errno> {
        self.called.lock().push(format!("keyboard_focus {terminal:?}"));
        Ok(())
    }

    fn keyboard_leave(&self, _: &Caller, user: PeerId) -> Result<(), Errno> {
        self.called.lock().push(format!("keyboard_leave {user}"));
        Ok(())
    }

    fn terminal_views(&self, after: EntityId, count: usize) -> Vec<View> {
        self.called.lock().push(format!("terminal_views {after} {count}"));
        let view = View {
            entity: EntityId::new(HERE, 40).unwrap(),
            terminal: TerminalId::new(HERE, 7).unwrap(),
            columns: 80,
            rows: 24,
            may_type: true,
            cell_height: 0.5,
            in_world: Transform::IDENTITY,
        };
        let views = (after.serial() < 40).then_some(view);
        views.into_iter().take(count).collect()
    }

    fn clipboard_write(&self, _: &Caller, text: String) -> Result<(), Errno> {
        self.called.lock().push(format!("clipboard_write {text}"));
        Ok(())
    }

    fn peer_name(&self, peer: PeerId) -> Option<String> {
        (peer == elsewhere()).then(|| "somebody".to_owned())
    }
}

pub(crate) struct World {
    pub(crate) processes: Processes,
    pub(crate) wasm: Wasm,
    pub(crate) peer: Arc<Peer>,
}

/// What a guest is spawned with beside its module.
pub(crate) struct With<'a> {
    pub(crate) origin: PeerId,
    pub(crate) name: Option<&'a str>,
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) limits: Limits,
}

impl Default for With<'_> {
    fn default() -> Self {
        With { origin: HERE, name: None, args: Vec::new(), limits: Limits::default() }
    }
}

impl World {
    pub(crate) fn new() -> World {
        World::with_config(WasmConfig::default())
    }

    pub(crate) fn with_config(config: WasmConfig) -> World {
        World::with_configs(Config::new(HERE, 1, 2), config)
    }

    pub(crate) fn with_configs(processes: Config, config: WasmConfig) -> World {
        let peer = Arc::new(Peer::default());
        let processes = Processes::new(processes, peer.clone());
        let wasm = Wasm::new(config, peer.clone()).unwrap();
        *peer.world.lock() = Some((processes.clone(), wasm.clone()));
        World { processes, wasm, peer }
    }

    /// Makes a lump of these bytes.
    pub(crate) fn put(&self, bytes: Vec<u8>) -> LumpId {
        let id = LumpId(*blake3::hash(&bytes).as_bytes());
        self.peer.lumps.lock().insert(id, bytes.into());
        id
    }

    pub(crate) fn spawn_lump(&self, module: LumpId, with: With<'_>) -> ProcessId {
        let spec = Spec {
            program: self.wasm.program(module),
            module: Some(module),
            origin: with.origin,
            parent: None,
            name: with.name.map(str::to_owned),
            args: hearth_abi::signal::encode_args(with.args).into(),
            limits: with.limits,
        };
        self.processes.spawn(spec).unwrap()
    }

    /// Spawns a guest from WAT with all imports, see [`guest`].
    pub(crate) fn spawn(&self, body: &str) -> ProcessId {
        self.spawn_with(body, With::default())
    }

    pub(crate) fn spawn_with(&self, body: &str, with: With<'_>) -> ProcessId {
        let module = self.put(guest(body));
        self.spawn_lump(module, with)
    }

    /// Runs a guest to its end.
    pub(crate) async fn run(&self, body: &str) -> ExitReason {
        self.processes.exited(self.spawn(body)).await
    }

    pub(crate) async fn run_with(&self, body: &str, with: With<'_>) -> ExitReason {
        self.processes.exited(self.spawn_with(body, with)).await
    }

    /// Runs a whole module to its end.
    pub(crate) async fn run_module(&self, wat: &str) -> ExitReason {
        let module = self.put(wat::parse_str(wat).unwrap());
        self.processes.exited(self.spawn_lump(module, With::default())).await
    }

    /// A process that hands out what it receives.
    pub(crate) fn probe(&self) -> Probe {
        let (sender, signals) = mpsc::channel(1024);
        let spec = Spec {
            program: Arc::new(Forward(sender)),
            module: None,
            origin: HERE,
            parent: None,
            name: None,
            args: Bytes::new(),
            limits: Limits::default(),
        };
        Probe { id: self.processes.spawn(spec).unwrap(), signals, processes: self.processes.clone() }
    }

    pub(crate) fn state(&self, id: ProcessId) -> Option<State> {
        self.processes.info(id).map(|info| info.state)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        *self.peer.world.lock() = None;
    }
}

struct Forward(mpsc::Sender<Signal>);

impl Program for Forward {
    fn run(self: Arc<Self>, context: Context) -> Work {
        Work::whole(async move {
            context.started();
            loop {
                while let Take::Signal(signal) = context.take(usize::MAX) {
                    if self.0.send(signal).await.is_err() {
                        return ExitReason::normal();
                    }
                }
                context.wait(State::Waiting).await;
            }
        })
    }
}

pub(crate) struct Probe {
    pub(crate) id: ProcessId,
    signals: mpsc::Receiver<Signal>,
    processes: Processes,
}

impl Probe {
    /// The next signal, within a minute.
    pub(crate) async fn next(&mut self) -> Signal {
        let next = tokio::time::timeout(Duration::from_secs(60), self.signals.recv());
        next.await.expect("a signal within a minute").unwrap()
    }

    pub(crate) fn send(&self, to: ProcessId, body: &[u8]) {
        self.processes.send(self.id, to, Bytes::copy_from_slice(body)).unwrap();
    }

    /// Sends eight bytes and waits for what comes back.
    pub(crate) async fn ask(&mut self, to: ProcessId, number: u64) -> u64 {
        self.send(to, &number.to_le_bytes());
        let reply = self.next().await;
        u64::from_le_bytes(reply.body[..8].try_into().unwrap())
    }
}

/// The calls of the contract as WAT imports, taken from the contract's document. Those that wait on the guest's stack
/// are among them if the body waits so: a module that has them never runs in the fast lane.
pub(crate) fn imports(body: &str) -> String {
    let waits = body.contains("$recv") || body.contains("$sleep");
    documented_calls()
        .iter()
        .filter(|(module, ..)| waits || !module.ends_with("/blocking"))
        .map(|(module, name, params, result)| {
            let result = result.as_ref().map(|ty| format!("(result {ty})")).unwrap_or_default();
            let params = params.iter().map(|ty| format!("(param {ty})")).collect::<String>();
            format!("(import \"{module}\" \"{name}\" (func ${name} {params} {result}))\n")
        })
        .collect()
}

pub(crate) type DocumentedCall = (String, String, Vec<String>, Option<String>);

/// The calls in `docs/formats/guest.md`: module, name, types of parameters, type of the result.
pub(crate) fn documented_calls() -> Vec<DocumentedCall> {
    let text = include_str!("../../../../docs/formats/guest.md");
    let mut module = None;
    let mut calls = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            module = heading.strip_prefix("Imports of `").map(|rest| rest.trim_end_matches('`').to_owned());
        }
        let (Some(module), Some(row)) = (&module, line.strip_prefix("| `")) else { continue };
        let (signature, _) = row.split_once('`').unwrap();
        let (name, rest) = signature.split_once('(').unwrap();
        let (params, result) = rest.split_once(')').unwrap();
        let param = |param: &str| if param.ends_with(": i64") { "i64" } else { "i32" }.to_owned();
        let params = params.split(", ").filter(|param| !param.is_empty()).map(param).collect();
        let result = result.trim().strip_prefix("-> ").map(str::to_owned);
        calls.push((module.clone(), name.to_owned(), params, result));
    }
    assert_eq!(calls.len(), 63, "calls found in the document");
    calls
}

/// A module with the imports, one page of memory, and this body.
///
/// The helpers: `$fail` ends the process with the text at an address; `$check` ends it when two numbers
/// differ, and the reason then holds the line's number.
pub(crate) fn guest(body: &str) -> Vec<u8> {
    let module = format!(
        r#"(module {} (memory (export "memory") 1)
        (func $decimal (param $n i32) (param $at i32)
          (local $i i32)
          (local.set $i (i32.const 3))
          (loop $digits
            (i32.store8 (i32.add (local.get $at) (local.get $i))
              (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
            (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
            (local.set $i (i32.sub (local.get $i) (i32.const 1)))
            (br_if $digits (i32.ge_s (local.get $i) (i32.const 0)))))
        (func $check (param $what i32) (param $is i64) (param $wanted i64)
          (if (i64.ne (local.get $is) (local.get $wanted)) (then
            (call $decimal (local.get $what) (i32.const 65000))
            (i32.store8 (i32.const 65004) (i32.const 58))
            (i32.store8 (i32.const 65005) (select (i32.const 45) (i32.const 43) (i64.lt_s (local.get $is) (i64.const 0))))
            (call $decimal (i32.wrap_i64 (select (i64.sub (i64.const 0) (local.get $is)) (local.get $is)
              (i64.lt_s (local.get $is) (i64.const 0)))) (i32.const 65006))
            (call $exit (i32.const 65000) (i32.const 10)))))
        (func $check32 (param $what i32) (param $is i32) (param $wanted i32)
          (call $check (local.get $what) (i64.extend_i32_s (local.get $is)) (i64.extend_i32_s (local.get $wanted))))
        {body})"#,
        imports(body)
    );
    wat::parse_str(&module).unwrap_or_else(|error| panic!("{error}"))
}

/// Waits until `what` holds, a minute at most. Only for what nothing tells about.
pub(crate) async fn eventually(what: impl Fn() -> bool) {
    for _ in 0..6000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be");
}
