// SPDX-License-Identifier: AGPL-3.0-or-later
//! Host calls of a guest with any arguments, on a memory that holds anything.

use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::{
    EntityId, Errno, LumpId, PeerId, ProcessId, TerminalId,
    cast::Cast,
    scene::{ComponentKind, Transform, decode_batch},
    signal::{BODY_LEN_MAX, encode_args},
    terminal::{Command, TEXT_LEN_MAX, View, WORDS_MAX},
};
use hearth_process::{
    Bond, Config, ExitKind, ExitReason, Host, Limits, NAME_LEN_MAX, Processes, ReplyTo, SendError, Spec,
};
use hearth_wasm::{Caller, Request, Services, Wasm, WasmConfig};
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

/// The calls that the guest makes, with their parameters (`i` is an `i32`, `I` an `i64`) and result: all of
/// `docs/formats/guest.md` but those that wait or end.
const CALLS: &[(&str, &str, &str)] = &[
    ("self", "", "I"),
    ("peer", "", "i"),
    ("origin", "", "i"),
    ("args", "ii", "i"),
    ("try_recv", "ii", "i"),
    ("send", "Iii", "i"),
    ("spawn", "iiiii", "I"),
    ("spawn_on", "iiiiiiI", "i"),
    ("kill", "Iii", "i"),
    ("register", "ii", "i"),
    ("unregister", "ii", "i"),
    ("whereis", "ii", "I"),
    ("clock_monotonic", "", "I"),
    ("clock_wall", "", "I"),
    ("timer", "II", "i"),
    ("cancel_timer", "I", "i"),
    ("random", "ii", "i"),
    ("log", "iiiii", "i"),
    ("lump_put", "iiiI", "i"),
    ("lump_read", "iIiiI", "i"),
    ("lump_size", "iiI", "i"),
    ("lump_push", "iiI", "i"),
    ("asset_load", "iiiI", "i"),
    ("asset_drop", "iii", "i"),
    ("entity_ids", "i", "I"),
    ("scene_apply", "ii", "i"),
    ("scene_read", "Iiii", "i"),
    ("input_subscribe", "i", "i"),
    ("pointer_capture", "i", "i"),
    ("peer_name", "iii", "i"),
    ("file_load", "iiI", "i"),
    ("command", "iiI", "i"),
    ("terminal_open", "iiI", "i"),
    ("terminal_command", "Iii", "i"),
    ("terminal_views", "Iii", "i"),
    ("keyboard_focus", "I", "i"),
    ("keyboard_leave", "i", "i"),
    ("clipboard_write", "ii", "i"),
    ("clipboard_read", "I", "i"),
    ("scene_cast", "iiI", "i"),
    ("link", "I", "i"),
    ("unlink", "I", "i"),
    ("monitor", "II", "i"),
    ("demonitor", "I", "i"),
    ("trap_exits", "i", "i"),
    ("exit_to", "Iii", "i"),
    ("spawn_link", "iiiii", "I"),
    ("spawn_monitor", "iiiiiI", "I"),
    ("global_register", "iiI", "i"),
    ("group_members", "iiI", "i"),
];

/// Bytes of one call in the guest's script: its number, and seven arguments of eight bytes.
const STRIDE: usize = 64;
/// Where the script begins: behind the length of the argument that it is.
const START: usize = 4;
/// Longest script in bytes: the guest's memory is one page.
const SCRIPT_LEN_MAX: usize = 32 << 10;

/// Any bytes are a list of calls (each of the same length), and the memory that the calls refer to. The guest makes
/// them and ends; nothing of what it says harms its host, and nothing gets past the checks.
pub fn host_calls(data: &[u8]) -> bool {
    let script = &data[..data.len().min(SCRIPT_LEN_MAX)];
    let reason = PEER.runtime.block_on(async {
        let spec = Spec {
            program: PEER.wasm.program(MODULE),
            module: Some(MODULE),
            // With and without the authority of this machine.
            origin: if script.len().is_multiple_of(2) { PeerId::SERVER } else { PeerId::MAX },
            parent: None,
            name: None,
            args: encode_args([script]).into(),
            limits: Limits::default(),
        };
        let id = PEER.processes.spawn(spec).expect("nothing limits it");
        let ended = PEER.processes.exited(id);
        tokio::time::timeout(Duration::from_secs(60), ended).await.expect("a list of calls has an end")
    });
    let may_be = match reason.kind {
        ExitKind::Normal => true,
        // By its own call, on itself.
        ExitKind::Killed => script.chunks(STRIDE).any(|call| is(call[0], "kill") || is(call[0], "exit_to")),
        // A link with nobody.
        ExitKind::NoProcess | ExitKind::NoConnection
            if script.chunks(STRIDE).any(|call| is(call[0], "link")) =>
        {
            true
        }
        // What it asks of itself.
        _ => script.chunks(STRIDE).any(|call| is(call[0], "exit_to")),
    };
    assert!(may_be, "the guest ended with {reason:?}");
    script.len() >= STRIDE
}

fn is(number: u8, name: &str) -> bool {
    CALLS[usize::from(number) % CALLS.len()].0 == name
}

const MODULE: LumpId = LumpId([7; 32]);

struct Peer {
    runtime: tokio::runtime::Runtime,
    processes: Processes,
    wasm: Wasm,
}

static PEER: LazyLock<Peer> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let entered = runtime.enter();
    let stub = Arc::new(Stub(guest().into()));
    let processes = Processes::new(Config::new(PeerId::SERVER, 1, 1), stub.clone());
    let wasm = Wasm::new(WasmConfig::default(), stub).unwrap();
    drop(entered);
    Peer { runtime, processes, wasm }
});

/// A module that makes the calls of its first argument one after the other.
fn guest() -> Vec<u8> {
    let ty = |letter: char| if letter == 'i' { "i32" } else { "i64" };
    let mut text = String::from("(module\n");
    for (name, params, result) in CALLS {
        let params: String = params.chars().map(|letter| format!("(param {}) ", ty(letter))).collect();
        let result: String = result.chars().map(|letter| format!("(result {})", ty(letter))).collect();
        text += &format!("(import \"hearth/1\" \"{name}\" (func ${name} {params}{result}))\n");
    }
    text += &format!(
        r#"(memory (export "memory") 1)
        (func (export "start") (local $at i32) (local $end i32)
          (local.set $end (i32.sub (call $args (i32.const 0) (i32.const 65536)) (i32.const {STRIDE})))
          (local.set $at (i32.const {START}))
          (loop $next
            (if (i32.le_s (local.get $at) (local.get $end)) (then
              (call $one (local.get $at))
              (local.set $at (i32.add (local.get $at) (i32.const {STRIDE})))
              (br $next)))))
        (func $one (param $at i32)
        "#
    );
    let last = CALLS.len();
    (0..=last).for_each(|_| text += "(block ");
    let labels: String = (0..last).map(|n| format!("{n} ")).collect();
    text += &format!("(br_table {labels} (i32.rem_u (i32.load8_u (local.get $at)) (i32.const {last}))))\n");
    for (name, params, _) in CALLS {
        text += &format!("(drop (call ${name}");
        for (n, letter) in params.chars().enumerate() {
            text += &format!(" ({}.load offset={} (local.get $at))", ty(letter), 8 * (n + 1));
        }
        text += ")) (return))\n";
    }
    text += "))";
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// A peer that has nothing, and checks that what reaches it was checked.
struct Stub(Bytes);

impl Host for Stub {
    fn send_remote(&self, _: ProcessId, to: ProcessId, body: Bytes) -> Result<(), SendError> {
        assert!(to.peer() != PeerId::SERVER && body.len() <= BODY_LEN_MAX);
        Err(SendError::NoPeer)
    }

    fn kill_remote(&self, _: Option<ProcessId>, to: ProcessId, _: &str) -> Result<(), SendError> {
        assert_ne!(to.peer(), PeerId::SERVER);
        Err(SendError::NoPeer)
    }

    fn serial_reached(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }

    fn exited(&self, _: ProcessId, _: &ExitReason) {}
}

fn has_authority(caller: &Caller) -> bool {
    caller.origin == PeerId::SERVER
}

impl Services for Stub {
    fn request(&self, caller: &Caller, request: Request, reply: ReplyTo) {
        match request {
            Request::FileLoad { .. } => assert!(has_authority(caller)),
            Request::Command { args } => assert!(has_authority(caller) && !args.is_empty()),
            Request::TerminalOpen { open } => {
                assert!(has_authority(caller) && open.command.len() <= WORDS_MAX);
            }
            Request::Directory { name, .. } => assert!(name.len() <= NAME_LEN_MAX),
            Request::ClipboardRead => assert!(has_authority(caller)),
            Request::SceneCast { cast } => assert_eq!(Cast::decode(&cast.encode()), Ok(cast)),
            Request::LumpRead { len, .. } => assert!(len as usize <= BODY_LEN_MAX),
            _ => {}
        }
        drop(reply);
    }

    fn lump(&self, _: &Caller, _: LumpId) -> BoxFuture<'static, Result<Bytes, String>> {
        let module = self.0.clone();
        Box::pin(async { Ok(module) })
    }

    fn spawn(
        &self,
        _: &Caller,
        _: LumpId,
        _: Option<String>,
        _: Bytes,
        _: Option<Bond>,
    ) -> Result<ProcessId, Errno> {
        Err(Errno::Limit)
    }

    fn asset_drop(&self, _: &Caller, _: &str, _: LumpId) -> Result<(), Errno> {
        Err(Errno::NotFound)
    }

    fn entity_ids(&self, count: u32) -> Result<EntityId, Errno> {
        assert!((1..=65_536).contains(&count));
        Ok(EntityId::from_bits(1))
    }

    fn scene_apply(&self, _: &Caller, batch: &[u8]) -> Result<(), Errno> {
        decode_batch(batch).map(drop).map_err(|_malformed| Errno::Invalid)
    }

    fn scene_read(&self, entity: EntityId, kind: ComponentKind) -> Option<Vec<u8>> {
        entity.serial().is_multiple_of(2).then(|| vec![kind as u8; 100])
    }

    fn input_subscribe(&self, caller: &Caller, mask: u32) -> Result<(), Errno> {
        assert!(has_authority(caller) || mask & hearth_abi::input::mask::OF_USER == 0);
        Ok(())
    }

    fn pointer_capture(&self, caller: &Caller, _: bool) -> Result<(), Errno> {
        assert!(has_authority(caller));
        Ok(())
    }

    fn terminal_command(&self, caller: &Caller, _: TerminalId, command: Command) -> Result<(), Errno> {
        assert!(has_authority(caller));
        assert_eq!(Command::decode(&command.encode()), Ok(command));
        Err(Errno::NotFound)
    }

    fn keyboard_focus(&self, caller: &Caller, _: Option<TerminalId>) -> Result<(), Errno> {
        assert!(has_authority(caller));
        Err(Errno::Unsupported)
    }

    fn keyboard_leave(&self, _: &Caller, _: PeerId) -> Result<(), Errno> {
        Err(Errno::NotFound)
    }

    fn terminal_views(&self, after: EntityId, count: usize) -> Vec<View> {
        assert!((1..=1024).contains(&count));
        let view = View {
            entity: after,
            terminal: TerminalId::from_bits(1),
            columns: 80,
            rows: 24,
            may_type: false,
            cell_height: 0.5,
            in_world: Transform::IDENTITY,
        };
        // More than was asked for does no harm.
        vec![view; count + after.serial() as usize % 3]
    }

    fn clipboard_write(&self, caller: &Caller, text: String) -> Result<(), Errno> {
        assert!(has_authority(caller) && text.len() <= TEXT_LEN_MAX);
        Err(Errno::Unsupported)
    }

    fn peer_name(&self, peer: PeerId) -> Option<String> {
        peer.number().is_multiple_of(2).then(|| "somebody".into())
    }
}
