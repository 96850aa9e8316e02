// SPDX-License-Identifier: AGPL-3.0-or-later
//! Calls that need the peer: arguments are checked here, then [`crate::Services`] is asked.

use super::{
    Call, Guest,
    authority::{self, Act},
    calls::name,
    memory, returned, returned_id,
};
use crate::{DirectoryOp, Request};
use bytes::Bytes;
use hearth_abi::{
    EntityId, Errno, IMPORT_MODULE, LumpId, ProcessId, TerminalId,
    cast::Cast,
    input,
    scene::{BATCH_LEN_MAX, ComponentKind},
    signal::{BODY_LEN_MAX, decode_args},
    terminal::{Command, Open, TEXT_LEN_MAX, VIEW_LEN},
};
use hearth_process::{Bond, Context, ReplyTo};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use wasmtime::Linker;

/// Most bytes of one process that may be on their way into the store.
pub(super) const LUMP_BYTES_MAX: usize = 64 << 20;
/// Longest class name and path in bytes.
const CLASS_LEN_MAX: usize = 64;
const PATH_LEN_MAX: usize = 4096;
/// Most entity ids of one call.
const ENTITY_IDS_MAX: u32 = 65_536;
/// Most terminals that one call tells of: the scene is held up meanwhile.
const TERMINAL_VIEWS_MAX: usize = 1024;
/// From this size on, hashing takes long enough to give the worker's other processes to another thread.
const HASH_ASIDE: usize = 1 << 20;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    link_spawning(linker)?;
    link_lumps(linker)?;
    link_scene(linker)?;
    link_machine(linker)?;
    link_terminals(linker)
}

fn link_spawning(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let m = IMPORT_MODULE;
    linker.func_wrap(
        m,
        "spawn",
        |mut call: Call<'_>, module: u32, name_ptr: u32, name_len: u32, args_ptr: u32, args_len: u32| {
            returned_id(spawn(&mut call, module, (name_ptr, name_len), (args_ptr, args_len), |_| None))
        },
    )?;
    linker.func_wrap(
        m,
        "spawn_link",
        |mut call: Call<'_>, module: u32, name_ptr: u32, name_len: u32, args_ptr: u32, args_len: u32| {
            returned_id(spawn(&mut call, module, (name_ptr, name_len), (args_ptr, args_len), |context| {
                Some(context.bond_of_link())
            }))
        },
    )?;
    linker.func_wrap(
        m,
        "spawn_monitor",
        |mut call: Call<'_>,
         module: u32,
         name_ptr: u32,
         name_len: u32,
         args_ptr: u32,
         args_len: u32,
         tag: u64| {
            returned_id(spawn(&mut call, module, (name_ptr, name_len), (args_ptr, args_len), |context| {
                Some(context.bond_of_monitor(tag))
            }))
        },
    )?;
    link_spawning_anywhere(linker)?;
    for (call, op) in [
        ("global_register", DirectoryOp::Register),
        ("global_unregister", DirectoryOp::Unregister),
        ("global_whereis", DirectoryOp::Whereis),
        ("group_join", DirectoryOp::Join),
        ("group_leave", DirectoryOp::Leave),
        ("group_members", DirectoryOp::Members),
    ] {
        linker.func_wrap(m, call, move |mut call: Call<'_>, ptr: u32, len: u32, tag: u64| {
            returned(request(&mut call, tag, |memory, _| {
                Ok(Request::Directory { op, name: name(memory, ptr, len)?.to_owned() })
            }))
        })?;
    }
    linker.func_wrap(m, "peer_name", |mut call: Call<'_>, peer: u32, ptr: u32, cap: u32| {
        returned(peer_name(&mut call, peer, ptr, cap))
    })?;
    Ok(())
}

/// What spawns on a peer, also this one, and has its answer by a reply.
fn link_spawning_anywhere(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let m = IMPORT_MODULE;
    linker.func_wrap(
        m,
        "spawn_on",
        |mut call: Call<'_>,
         peer: u32,
         module: u32,
         name_ptr: u32,
         name_len: u32,
         args_ptr: u32,
         args_len: u32,
         tag: u64| {
            returned(spawn_on(
                &mut call,
                peer,
                module,
                (name_ptr, name_len),
                (args_ptr, args_len),
                |context| context.begin_request(tag),
            ))
        },
    )?;
    linker.func_wrap(
        m,
        "spawn_on_link",
        |mut call: Call<'_>,
         peer: u32,
         module: u32,
         name_ptr: u32,
         name_len: u32,
         args_ptr: u32,
         args_len: u32,
         tag: u64| {
            returned(spawn_on(
                &mut call,
                peer,
                module,
                (name_ptr, name_len),
                (args_ptr, args_len),
                |context| context.begin_spawn_link(tag),
            ))
        },
    )?;
    linker.func_wrap(
        m,
        "spawn_on_monitor",
        |mut call: Call<'_>,
         peer: u32,
         module: u32,
         name_ptr: u32,
         name_len: u32,
         args_ptr: u32,
         args_len: u32,
         tag: u64,
         monitor_tag: u64| {
            returned(spawn_on(
                &mut call,
                peer,
                module,
                (name_ptr, name_len),
                (args_ptr, args_len),
                |context| context.begin_spawn_monitor(tag, monitor_tag),
            ))
        },
    )?;
    Ok(())
}

fn link_lumps(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let m = IMPORT_MODULE;
    linker.func_wrap(m, "lump_put", |mut call: Call<'_>, ptr: u32, len: u32, out: u32, tag: u64| {
        returned(lump_put(&mut call, (ptr, len), out, tag))
    })?;
    linker.func_wrap(
        m,
        "lump_read",
        |mut call: Call<'_>, id: u32, offset: i64, len: u32, timeout_ms: i32, tag: u64| {
            returned(request(&mut call, tag, |memory, _| {
                Ok(Request::LumpRead {
                    id: memory::lump_id(memory, id)?,
                    offset: u64::try_from(offset).or(Err(Errno::Invalid))?,
                    len: len.min(BODY_LEN_MAX as u32),
                    timeout: timeout(timeout_ms)?,
                })
            }))
        },
    )?;
    linker.func_wrap(m, "lump_size", |mut call: Call<'_>, id: u32, timeout_ms: i32, tag: u64| {
        returned(request(&mut call, tag, |memory, _| {
            Ok(Request::LumpSize { id: memory::lump_id(memory, id)?, timeout: timeout(timeout_ms)? })
        }))
    })?;
    linker.func_wrap(m, "lump_push", |mut call: Call<'_>, id: u32, peer: u32, tag: u64| {
        returned(request(&mut call, tag, |memory, _| {
            Ok(Request::LumpPush { id: memory::lump_id(memory, id)?, peer: memory::peer_id(peer)? })
        }))
    })?;
    linker.func_wrap(m, "asset_load", |mut call: Call<'_>, ptr: u32, len: u32, id: u32, tag: u64| {
        returned(request(&mut call, tag, |memory, _| {
            let class = memory::text(memory, ptr, len, CLASS_LEN_MAX)?.to_owned();
            Ok(Request::AssetLoad { class, id: memory::lump_id(memory, id)? })
        }))
    })?;
    linker.func_wrap(m, "asset_drop", |mut call: Call<'_>, ptr: u32, len: u32, id: u32| {
        returned(asset_drop(&mut call, (ptr, len), id))
    })?;
    Ok(())
}

fn link_scene(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let m = IMPORT_MODULE;
    linker.func_wrap(m, "entity_ids", |call: Call<'_>, count: u32| returned_id(entity_ids(&call, count)))?;
    linker.func_wrap(m, "scene_apply", |mut call: Call<'_>, ptr: u32, len: u32| {
        returned(scene_apply(&mut call, ptr, len))
    })?;
    linker.func_wrap(m, "scene_read", |mut call: Call<'_>, entity: u64, kind: u32, ptr: u32, cap: u32| {
        returned(scene_read(&mut call, entity, kind, ptr, cap))
    })?;
    linker.func_wrap(m, "scene_cast", |mut call: Call<'_>, ptr: u32, len: u32, tag: u64| {
        returned(request(&mut call, tag, |memory, _| {
            let cast = Cast::decode(memory::bytes(memory, ptr, len)?).or(Err(Errno::Invalid))?;
            Ok(Request::SceneCast { cast })
        }))
    })?;
    Ok(())
}

fn link_machine(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let m = IMPORT_MODULE;
    linker.func_wrap(m, "input_subscribe", |call: Call<'_>, mask: u32| {
        returned(input_subscribe(&call, mask).map(|()| 0))
    })?;
    linker.func_wrap(m, "pointer_capture", |call: Call<'_>, on: u32| {
        returned(pointer_capture(&call, on != 0).map(|()| 0))
    })?;
    linker.func_wrap(m, "file_load", |mut call: Call<'_>, ptr: u32, len: u32, tag: u64| {
        returned(request(&mut call, tag, |memory, guest| {
            authority::check(guest, Act::File)?;
            let path = memory::text(memory, ptr, len, PATH_LEN_MAX)?;
            if path.is_empty() || path.contains('\0') {
                return Err(Errno::Invalid);
            }
            Ok(Request::FileLoad { path: path.to_owned() })
        }))
    })?;
    linker.func_wrap(m, "command", |mut call: Call<'_>, ptr: u32, len: u32, tag: u64| {
        returned(request(&mut call, tag, |memory, guest| {
            authority::check(guest, Act::Command)?;
            let bytes = args(memory, ptr, len)?;
            let args = decode_args(&bytes).or(Err(Errno::Invalid))?;
            if args.is_empty() || args[0].is_empty() || args.iter().any(|arg| arg.contains(&0)) {
                return Err(Errno::Invalid);
            }
            Ok(Request::Command { args: args.into_iter().map(<[u8]>::to_vec).collect() })
        }))
    })?;
    Ok(())
}

fn link_terminals(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let m = IMPORT_MODULE;
    linker.func_wrap(m, "terminal_open", |mut call: Call<'_>, ptr: u32, len: u32, tag: u64| {
        returned(request(&mut call, tag, |memory, guest| {
            authority::check(guest, Act::Terminal)?;
            let options = memory::bytes(memory, ptr, len)?;
            if options.len() > BODY_LEN_MAX {
                return Err(Errno::Limit);
            }
            Ok(Request::TerminalOpen { open: Open::decode(options).or(Err(Errno::Invalid))? })
        }))
    })?;
    linker.func_wrap(m, "terminal_command", |mut call: Call<'_>, terminal: u64, ptr: u32, len: u32| {
        returned(terminal_command(&mut call, terminal, ptr, len))
    })?;
    linker.func_wrap(m, "terminal_views", |mut call: Call<'_>, after: u64, ptr: u32, cap: u32| {
        returned(terminal_views(&mut call, after, ptr, cap))
    })?;
    linker.func_wrap(m, "keyboard_focus", |call: Call<'_>, terminal: u64| {
        returned(keyboard_focus(&call, terminal).map(|()| 0))
    })?;
    linker.func_wrap(m, "keyboard_leave", |call: Call<'_>, user: u32| {
        returned(keyboard_leave(&call, user).map(|()| 0))
    })?;
    linker.func_wrap(m, "clipboard_write", |mut call: Call<'_>, ptr: u32, len: u32| {
        returned(clipboard_write(&mut call, ptr, len))
    })?;
    linker.func_wrap(m, "clipboard_read", |mut call: Call<'_>, tag: u64| {
        returned(request(&mut call, tag, |_, guest| {
            authority::check(guest, Act::Clipboard)?;
            Ok(Request::ClipboardRead)
        }))
    })?;
    Ok(())
}

/// Makes a request of the guest's arguments and hands it to the peer.
fn request(
    call: &mut Call<'_>,
    tag: u64,
    make: impl FnOnce(&[u8], &Guest) -> Result<Request, Errno>,
) -> Result<u32, Errno> {
    request_by(call, |context| context.begin_request(tag), make)
}

/// The same with a reply that is begun so.
fn request_by(
    call: &mut Call<'_>,
    begin: impl FnOnce(&Context) -> Result<ReplyTo, Errno>,
    make: impl FnOnce(&[u8], &Guest) -> Result<Request, Errno>,
) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    let request = make(memory, guest)?;
    let reply = begin(&guest.context)?;
    guest.wasm.services.request(&guest.caller, request, reply);
    Ok(0)
}

fn timeout(ms: i32) -> Result<Duration, Errno> {
    Ok(Duration::from_millis(u64::try_from(ms).or(Err(Errno::Invalid))?))
}

/// Arguments of a process in the guest's memory.
fn args(memory: &[u8], ptr: u32, len: u32) -> Result<Bytes, Errno> {
    let bytes = memory::bytes(memory, ptr, len)?;
    if bytes.len() > BODY_LEN_MAX {
        return Err(Errno::Limit);
    }
    decode_args(bytes).or(Err(Errno::Invalid))?;
    Ok(Bytes::copy_from_slice(bytes))
}

fn name_and_args(
    memory: &[u8],
    at: (u32, u32),
    args_at: (u32, u32),
) -> Result<(Option<String>, Bytes), Errno> {
    let name = name(memory, at.0, at.1)?;
    let name = (!name.is_empty()).then(|| name.to_owned());
    Ok((name, args(memory, args_at.0, args_at.1)?))
}

fn spawn(
    call: &mut Call<'_>,
    module: u32,
    name_at: (u32, u32),
    args_at: (u32, u32),
    bond: impl FnOnce(&Context) -> Option<Bond>,
) -> Result<u64, Errno> {
    let (memory, guest) = memory::open(call)?;
    let module = memory::lump_id(memory, module)?;
    let (name, args) = name_and_args(memory, name_at, args_at)?;
    let bond = bond(&guest.context);
    guest.wasm.services.spawn(&guest.caller, module, name, args, bond).map(ProcessId::to_bits)
}

fn spawn_on(
    call: &mut Call<'_>,
    peer: u32,
    module: u32,
    name_at: (u32, u32),
    args_at: (u32, u32),
    begin: impl FnOnce(&Context) -> Result<ReplyTo, Errno>,
) -> Result<u32, Errno> {
    request_by(call, begin, |memory, _| {
        let module = memory::lump_id(memory, module)?;
        let (name, args) = name_and_args(memory, name_at, args_at)?;
        Ok(Request::SpawnOn { peer: memory::peer_id(peer)?, module, name, args })
    })
}

fn peer_name(call: &mut Call<'_>, peer: u32, ptr: u32, cap: u32) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    memory::bytes(memory, ptr, cap)?;
    let name = guest.wasm.services.peer_name(memory::peer_id(peer)?).ok_or(Errno::NoPeer)?;
    memory::answer(memory, ptr, cap, name.as_bytes())
}

/// Bytes that count against their process's share until they are dropped.
struct Counted {
    bytes: Vec<u8>,
    count: Arc<AtomicUsize>,
}

impl Counted {
    fn new(from: &[u8], count: &Arc<AtomicUsize>) -> Result<Counted, Errno> {
        let len = from.len();
        if count.fetch_add(len, Relaxed) + len > LUMP_BYTES_MAX {
            count.fetch_sub(len, Relaxed);
            return Err(Errno::Limit);
        }
        Ok(Counted { bytes: from.to_vec(), count: count.clone() })
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count.fetch_sub(self.bytes.len(), Relaxed);
    }
}

fn lump_put(call: &mut Call<'_>, at: (u32, u32), out: u32, tag: u64) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    memory::bytes(memory, out, 32)?;
    let content = memory::bytes(memory, at.0, at.1)?;
    let bytes = Bytes::from_owner(Counted::new(content, guest.lump_bytes())?);
    let reply =
        if tag == 0 { guest.context.begin_silent_request()? } else { guest.context.begin_request(tag)? };
    let id = LumpId(hash(&bytes));
    memory::bytes_mut(memory, out, 32)?.copy_from_slice(&id.0);
    guest.wasm.services.request(&guest.caller, Request::LumpPut { id, bytes }, reply);
    Ok(0)
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    let hash = || *blake3::hash(bytes).as_bytes();
    let runtime = tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor());
    if bytes.len() >= HASH_ASIDE && matches!(runtime, Ok(tokio::runtime::RuntimeFlavor::MultiThread)) {
        return tokio::task::block_in_place(hash);
    }
    hash()
}

fn asset_drop(call: &mut Call<'_>, at: (u32, u32), id: u32) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    let class = memory::text(memory, at.0, at.1, CLASS_LEN_MAX)?;
    guest.wasm.services.asset_drop(&guest.caller, class, memory::lump_id(memory, id)?)?;
    Ok(0)
}

fn entity_ids(call: &Call<'_>, count: u32) -> Result<u64, Errno> {
    match count {
        0 => Err(Errno::Invalid),
        1..=ENTITY_IDS_MAX => call.data().wasm.services.entity_ids(count).map(EntityId::to_bits),
        _ => Err(Errno::Limit),
    }
}

fn scene_apply(call: &mut Call<'_>, ptr: u32, len: u32) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    let batch = memory::bytes(memory, ptr, len)?;
    if batch.len() > BATCH_LEN_MAX {
        return Err(Errno::Limit);
    }
    guest.wasm.services.scene_apply(&guest.caller, batch)?;
    Ok(0)
}

fn scene_read(call: &mut Call<'_>, entity: u64, kind: u32, ptr: u32, cap: u32) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    memory::bytes(memory, ptr, cap)?;
    let kind = u16::try_from(kind).ok().and_then(ComponentKind::from_number).ok_or(Errno::Invalid)?;
    let found = guest.wasm.services.scene_read(EntityId::from_bits(entity), kind).ok_or(Errno::NotFound)?;
    memory::answer(memory, ptr, cap, &found)
}

fn input_subscribe(call: &Call<'_>, mask: u32) -> Result<(), Errno> {
    let guest = call.data();
    if mask & !input::mask::ALL != 0 {
        return Err(Errno::Invalid);
    }
    authority::check(guest, Act::Input(mask))?;
    guest.wasm.services.input_subscribe(&guest.caller, mask)
}

fn pointer_capture(call: &Call<'_>, on: bool) -> Result<(), Errno> {
    let guest = call.data();
    authority::check(guest, Act::Pointer)?;
    guest.wasm.services.pointer_capture(&guest.caller, on)
}

fn terminal_command(call: &mut Call<'_>, terminal: u64, ptr: u32, len: u32) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    authority::check(guest, Act::Terminal)?;
    let command = Command::decode(memory::bytes(memory, ptr, len)?).or(Err(Errno::Invalid))?;
    let terminal = TerminalId::from_bits(terminal);
    guest.wasm.services.terminal_command(&guest.caller, terminal, command)?;
    Ok(0)
}

fn terminal_views(call: &mut Call<'_>, after: u64, ptr: u32, cap: u32) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    memory::bytes(memory, ptr, cap)?;
    let count = (cap as usize / VIEW_LEN).min(TERMINAL_VIEWS_MAX);
    if count == 0 {
        return Err(Errno::Invalid);
    }
    let views = guest.wasm.services.terminal_views(EntityId::from_bits(after), count);
    let mut bytes = Vec::with_capacity(views.len() * VIEW_LEN);
    views.iter().take(count).for_each(|view| view.encode(&mut bytes));
    memory::answer(memory, ptr, cap, &bytes)
}

fn keyboard_focus(call: &Call<'_>, terminal: u64) -> Result<(), Errno> {
    let guest = call.data();
    authority::check(guest, Act::Terminal)?;
    let terminal = (terminal != 0).then(|| TerminalId::from_bits(terminal));
    guest.wasm.services.keyboard_focus(&guest.caller, terminal)
}

fn keyboard_leave(call: &Call<'_>, user: u32) -> Result<(), Errno> {
    let guest = call.data();
    // It gives back what is its own: that needs no authority.
    guest.wasm.services.keyboard_leave(&guest.caller, memory::peer_id(user)?)
}

fn clipboard_write(call: &mut Call<'_>, ptr: u32, len: u32) -> Result<u32, Errno> {
    let (memory, guest) = memory::open(call)?;
    authority::check(guest, Act::Clipboard)?;
    let text = memory::text(memory, ptr, len, TEXT_LEN_MAX)?.to_owned();
    guest.wasm.services.clipboard_write(&guest.caller, text)?;
    Ok(0)
}
