// SPDX-License-Identifier: AGPL-3.0-or-later
//! What processes ask of their peer. That a process has the authority for what it asks was checked
//! before it came here (see `hearth_wasm`).

use crate::{
    files,
    lumps::chain,
    network::failure,
    node::{Handle, Inner},
    terminals::Ticket,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::{
    EntityId, Errno, LumpId, PeerId, ProcessId, TerminalId, cast, input,
    scene::ComponentKind,
    signal::BODY_LEN_MAX,
    terminal::{Command, View},
};
use hearth_process::{Bond, Level, ReplyTo, Wish};
use hearth_protocol::control::{self, Failure, Response};
use hearth_scene::Quota;
use hearth_wasm::{Caller, DirectoryOp, Request, Services, WasmConfig};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tokio::{io::AsyncReadExt as _, sync::Semaphore};

/// How long a module that a process spawns may take to be fetched.
const MODULE_TIME_MAX: Duration = Duration::from_secs(60);
/// Longest wait that a guest can ask for.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// How long a program that a guest runs may take.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(600);
/// Largest lump that a peer decodes to see whether it is an asset, in bytes.
pub(crate) const ASSET_LEN_MAX: u64 = 256 << 20;
/// Programs of this machine that guests may have running at a time.
const COMMANDS_MAX: usize = 64;
/// Lumps that are in memory at a time on their way to the engine.
const SHOWING_MAX: usize = 4;
/// Loads that one process may hold at a time.
const LOADS_MAX: usize = 4096;

type Answer = Result<(i32, Bytes), Failure>;

/// What a process has for an answer.
enum Answered {
    /// A status and a body.
    With(i32, Bytes),
    /// The id of a process, to which it is tied if it wished so.
    Spawned(ProcessId),
}

/// How often each asset, by class and lump, is loaded.
type Loads = BTreeMap<(String, LumpId), u32>;

/// What processes have of their peer for as long as they live, and how much of it there is at a time.
pub(crate) struct Held {
    /// How often a process has loaded an asset and not dropped it.
    assets: Mutex<HashMap<ProcessId, Loads>>,
    /// The process that captured the pointer.
    pointer: Mutex<Option<ProcessId>>,
    /// What code holds whose successor is on trial, and whether it captured the pointer.
    aside: Mutex<HashMap<ProcessId, (Loads, bool)>>,
    commands: Semaphore,
    /// Lumps that are read to be handed to the engine.
    pub(crate) showing: Semaphore,
}

impl Default for Held {
    fn default() -> Held {
        Held {
            assets: Mutex::default(),
            pointer: Mutex::default(),
            aside: Mutex::default(),
            commands: Semaphore::new(COMMANDS_MAX),
            showing: Semaphore::new(SHOWING_MAX),
        }
    }
}

impl Held {
    /// A process has loaded an asset; `false` if it holds as many as it may.
    fn loaded(&self, process: ProcessId, class: &str, id: LumpId) -> bool {
        let mut assets = self.assets.lock();
        let of_process = assets.entry(process).or_default();
        if of_process.values().map(|loads| *loads as usize).sum::<usize>() >= LOADS_MAX {
            return false;
        }
        *of_process.entry((class.to_owned(), id)).or_default() += 1;
        true
    }

    /// A process drops one of its loads; `false` if it has none.
    fn dropped(&self, process: ProcessId, class: &str, id: LumpId) -> bool {
        let mut assets = self.assets.lock();
        let Some(of_process) = assets.get_mut(&process) else { return false };
        let key = (class.to_owned(), id);
        let Some(loads) = of_process.get_mut(&key) else { return false };
        *loads -= 1;
        if *loads == 0 {
            of_process.remove(&key);
        }
        true
    }

    /// A process has ended: what it holds of the engine is given back.
    pub(crate) fn ended(&self, inner: &Inner, process: ProcessId) {
        let (aside, had_pointer) = self.aside.lock().remove(&process).unwrap_or_default();
        drop_all(inner, aside);
        drop_all(inner, self.assets.lock().remove(&process).unwrap_or_default());
        let has_pointer = self.pointer.lock().take_if(|holder| *holder == process).is_some();
        if (has_pointer || had_pointer)
            && let Some(picture) = inner.picture.get()
        {
            picture.capture_pointer(false);
        }
    }

    /// New code of a process begins: it holds nothing yet.
    pub(crate) fn set_aside(&self, process: ProcessId) {
        let loads = self.assets.lock().remove(&process).unwrap_or_default();
        let had_pointer = self.pointer.lock().take_if(|holder| *holder == process).is_some();
        self.aside.lock().insert(process, (loads, had_pointer));
    }

    /// The new code of a process has started, and what the code before held is given back; or the code
    /// before goes on, and what the new code held is.
    pub(crate) fn replaced(&self, inner: &Inner, process: ProcessId, has_started: bool) {
        let (before, had_pointer) = self.aside.lock().remove(&process).unwrap_or_default();
        if has_started {
            drop_all(inner, before);
        } else {
            let of_new = self.assets.lock().insert(process, before);
            drop_all(inner, of_new.unwrap_or_default());
        }
        let mut pointer = self.pointer.lock();
        let has_pointer = *pointer == Some(process);
        let is_anothers = pointer.is_some() && !has_pointer;
        if is_anothers || !(had_pointer || has_pointer) {
            return;
        }
        let keeps_it = if has_started { has_pointer } else { had_pointer };
        *pointer = keeps_it.then_some(process);
        drop(pointer);
        if let Some(picture) = inner.picture.get() {
            picture.capture_pointer(keeps_it);
        }
    }
}

/// Gives loads back to the engine.
fn drop_all(inner: &Inner, assets: Loads) {
    let Some(picture) = inner.picture.get() else { return };
    for ((class, id), loads) in assets {
        (0..loads).for_each(|_| picture.drop_asset(&class, id));
    }
}

impl Services for Handle {
    fn request(&self, caller: &Caller, request: Request, reply: ReplyTo) {
        let Some(inner) = self.get() else { return };
        let (process, origin) = (caller.process, caller.origin);
        // What only the asker would have of it ends with the code that asks. What others may already know of (the id
        // of a lump, a process) is brought to its end.
        let for_asker_only = matches!(
            request,
            Request::LumpRead { .. }
                | Request::LumpSize { .. }
                | Request::Command { .. }
                | Request::ClipboardRead
                | Request::SceneCast { .. }
        );
        // At once, for what the process does next may name the lump to others.
        let announced = match &request {
            Request::LumpPut { id, .. } => Some(inner.lumps.announce(*id)),
            _ => None,
        };
        let ticket = match &request {
            Request::TerminalOpen { .. } => match inner.begin_terminal(process) {
                Ok(ticket) => Some(ticket),
                Err(failure) => return reply.send(-failure.errno, failure.reason.into_bytes()),
            },
            _ => None,
        };
        tokio::spawn(async move {
            let _announced = announced;
            let cancelled = inner.shutdown.clone();
            let unwanted = async {
                match for_asker_only {
                    true => reply.unwanted().await,
                    false => std::future::pending().await,
                }
            };
            let answer = tokio::select! {
                answer = answer(&inner, process, origin, request, ticket, reply.wish()) => answer,
                () = unwanted => return,
                () = cancelled.cancelled() => return,
            };
            match answer {
                Ok(Answered::With(status, body)) => reply.send(status, body),
                Ok(Answered::Spawned(id)) => reply.spawned(id),
                Err(failure) => reply.send(-failure.errno, failure.reason.into_bytes()),
            }
        });
    }

    fn lump(&self, caller: &Caller, id: LumpId) -> BoxFuture<'static, Result<Bytes, String>> {
        let (handle, origin) = (self.clone(), caller.origin);
        Box::pin(async move {
            let inner = handle.get().ok_or("the peer shuts down")?;
            let got = get_bounded(&inner, id, Some(origin), module_len_max()).await;
            got.map_err(|failure| failure.reason)
        })
    }

    fn spawn(
        &self,
        caller: &Caller,
        module: LumpId,
        name: Option<String>,
        args: Bytes,
        bond: Option<Bond>,
    ) -> Result<ProcessId, Errno> {
        let inner = self.get().ok_or(Errno::Host)?;
        let limits = inner.limits_of_child(Some(caller.process));
        inner
            .spawn_tied(module, caller.origin, Some(caller.process), name, args, limits, bond)
            .map(|begun| begun.id())
            .map_err(|failure| Errno::from_number(failure.errno).unwrap_or(Errno::Host))
    }

    fn asset_drop(&self, caller: &Caller, class: &str, id: LumpId) -> Result<(), Errno> {
        let inner = self.get().ok_or(Errno::Host)?;
        if !inner.held.dropped(caller.process, class, id) {
            return Err(Errno::NotFound);
        }
        if let Some(picture) = inner.picture.get() {
            picture.drop_asset(class, id);
        }
        Ok(())
    }

    fn entity_ids(&self, count: u32) -> Result<EntityId, Errno> {
        let inner = self.get().ok_or(Errno::Host)?;
        let first = inner.serials.take_entities(count).map_err(|error| {
            tracing::error!("could not write the mark of entity numbers: {error}");
            Errno::Host
        })?;
        EntityId::new(inner.me, first + u64::from(count)).ok_or(Errno::Limit)?;
        EntityId::new(inner.me, first).ok_or(Errno::Limit)
    }

    fn scene_apply(&self, caller: &Caller, batch: &[u8]) -> Result<(), Errno> {
        let inner = self.get().ok_or(Errno::Host)?;
        let Some(limits) = inner.processes.limits(caller.process) else { return Err(Errno::Host) };
        let quota = Quota {
            entities: limits.entities,
            origin: caller.origin,
            of_origin: inner.processes.origin(caller.origin).limits.entities,
        };
        let applied = inner.world.apply(&inner, &quota, caller.process, batch).map_err(|error| {
            match error.limit() {
                Some(limit) => inner.processes.reached(caller.process, limit),
                None => inner.processes.log(caller.process, Level::Warn, "scene", &error.to_string()),
            }
            error.errno()
        });
        let shown = applied?;
        if caller.origin == inner.me {
            inner.note_shown(&shown);
        }
        Ok(())
    }

    fn scene_read(&self, entity: EntityId, kind: ComponentKind) -> Option<Vec<u8>> {
        self.get()?.world.read(entity, kind)
    }

    fn input_subscribe(&self, caller: &Caller, mask: u32) -> Result<(), Errno> {
        let inner = self.get().ok_or(Errno::Host)?;
        inner.picture.get().ok_or(Errno::Unsupported)?;
        inner.inputs.subscribe(caller.process, mask);
        if mask & input::mask::GAMEPAD != 0 {
            inner.inputs.tell_gamepads(&inner.processes, caller.process);
        }
        Ok(())
    }

    fn pointer_capture(&self, caller: &Caller, on: bool) -> Result<(), Errno> {
        let inner = self.get().ok_or(Errno::Host)?;
        let picture = inner.picture.get().ok_or(Errno::Unsupported)?;
        *inner.held.pointer.lock() = on.then_some(caller.process);
        picture.capture_pointer(on);
        Ok(())
    }

    fn terminal_command(&self, caller: &Caller, terminal: TerminalId, command: Command) -> Result<(), Errno> {
        self.get().ok_or(Errno::Host)?.command_terminal(caller.process, terminal, command)
    }

    fn terminal_views(&self, after: EntityId, count: usize) -> Vec<View> {
        self.get().map_or_else(Vec::new, |inner| inner.terminal_views(after, count))
    }

    fn keyboard_focus(&self, caller: &Caller, terminal: Option<TerminalId>) -> Result<(), Errno> {
        self.get().ok_or(Errno::Host)?.focus_keyboard(caller.process, terminal)
    }

    fn keyboard_leave(&self, caller: &Caller, user: PeerId) -> Result<(), Errno> {
        self.get().ok_or(Errno::Host)?.leave_keyboard(caller.process, user)
    }

    fn clipboard_write(&self, _caller: &Caller, text: String) -> Result<(), Errno> {
        self.get().ok_or(Errno::Host)?.clipboard_write(text)
    }

    fn peer_name(&self, peer: PeerId) -> Option<String> {
        Some(self.get()?.network.peer(peer)?.name)
    }
}

async fn answer(
    inner: &Arc<Inner>,
    process: ProcessId,
    origin: PeerId,
    request: Request,
    ticket: Option<Ticket>,
    wish: Option<Wish>,
) -> Result<Answered, Failure> {
    let done = |status: i32| Ok((status, Bytes::new()));
    let answer: Answer = match request {
        Request::SpawnOn { peer, module, name, args } => {
            let id = inner.spawn_on(peer, module, origin, Some(process), name, args, wish).await?;
            return Ok(Answered::Spawned(id));
        }
        Request::LumpPut { id, bytes } => {
            let stored = inner.lumps.put(bytes).await;
            let stored = stored.map_err(|error| failure(Errno::Host, chain(&error)))?;
            debug_assert_eq!(stored, id, "the id that the guest was told is the store's");
            done(0)
        }
        Request::LumpRead { id, offset, len, timeout } => {
            let len = (len as usize).min(BODY_LEN_MAX);
            let read = inner.lumps.read(id, offset, len, timeout.min(TIMEOUT_MAX)).await;
            let bytes = read.map_err(|error| failure(error.errno(), chain(&error)))?;
            Ok((bytes.len() as i32, bytes))
        }
        Request::LumpSize { id, timeout } => {
            let fetched = inner.lumps.fetch(id, None, None, timeout.min(TIMEOUT_MAX)).await;
            let size = fetched.map_err(|error| failure(error.errno(), chain(&error)))?;
            Ok((0, Bytes::copy_from_slice(&size.to_le_bytes())))
        }
        Request::LumpPush { id, peer } => push(inner, id, peer).await,
        Request::AssetLoad { class, id } => {
            load_asset(inner, &class, id).await?;
            let is_held = inner.held.loaded(process, &class, id);
            if !is_held && let Some(picture) = inner.picture.get() {
                picture.drop_asset(&class, id);
            }
            if inner.processes.info(process).is_none() {
                // It ended meanwhile, perhaps before this was noted.
                inner.held.ended(inner, process);
            }
            match is_held {
                true => done(0),
                false => Err(failure(Errno::Limit, format!("a process holds {LOADS_MAX} assets at most"))),
            }
        }
        Request::FileLoad { path } => load_file(inner, &path).await,
        Request::TerminalOpen { open } => {
            let ticket = ticket.ok_or_else(|| failure(Errno::Host, "it has no place"))?;
            let id = inner.open_terminal(ticket, open).await?;
            Ok((0, Bytes::copy_from_slice(&id.to_bits().to_le_bytes())))
        }
        Request::Directory { op, name } => {
            let op = match op {
                DirectoryOp::Register => control::DirectoryOp::Register,
                DirectoryOp::Unregister => control::DirectoryOp::Unregister,
                DirectoryOp::Whereis => control::DirectoryOp::Whereis,
                DirectoryOp::Join => control::DirectoryOp::Join,
                DirectoryOp::Leave => control::DirectoryOp::Leave,
                DirectoryOp::Members => control::DirectoryOp::Members,
            };
            let ids = inner.directory(op, name, process).await?;
            let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_bits().to_le_bytes()).collect();
            Ok((ids.len() as i32, bytes.into()))
        }
        Request::ClipboardRead => Ok((0, inner.clipboard_read().await?.into())),
        Request::SceneCast { cast } => {
            let Some(picture) = inner.picture.get() else {
                return Err(failure(Errno::Unsupported, "this peer shows no picture"));
            };
            let hits = picture.cast(cast).await.map_err(|(errno, reason)| failure(errno, reason))?;
            Ok((hits.len() as i32, cast::encode_hits(&hits).into()))
        }
        Request::Command { args } => {
            let Ok(_place) = inner.held.commands.try_acquire() else {
                return Err(failure(Errno::Limit, format!("{COMMANDS_MAX} programs are running already")));
            };
            run_command(&args).await
        }
    };
    answer.map(|(status, body)| Answered::With(status, body))
}

async fn push(inner: &Inner, id: LumpId, peer: PeerId) -> Answer {
    let fetched = inner.lumps.fetch(id, None, None, MODULE_TIME_MAX).await;
    fetched.map_err(|error| failure(error.errno(), chain(&error)))?;
    if peer != inner.me {
        let request = hearth_protocol::control::Request::Push { lump: id.0 };
        match inner.network.call(peer, request, TIMEOUT_MAX).await? {
            Response::Done => {}
            _ => return Err(failure(Errno::Host, "the peer's answer is not one to this request")),
        }
    }
    Ok((0, Bytes::new()))
}

pub(crate) fn module_len_max() -> u64 {
    WasmConfig::default().module_bytes_max as u64
}

/// A whole lump, fetched when missing, if it has at most so many bytes: what a script names is not read into
/// memory before its size is known.
pub(crate) async fn get_bounded(
    inner: &Inner,
    id: LumpId,
    likely: Option<PeerId>,
    len_max: u64,
) -> Result<Bytes, Failure> {
    fetch_bounded(inner, id, likely, len_max).await?;
    let got = inner.lumps.get(id, likely, MODULE_TIME_MAX).await;
    got.map_err(|error| failure(error.errno(), chain(&error)))
}

/// Makes sure that a lump is in the store and has at most so many bytes.
pub(crate) async fn fetch_bounded(
    inner: &Inner,
    id: LumpId,
    likely: Option<PeerId>,
    len_max: u64,
) -> Result<(), Failure> {
    let fetched = inner.lumps.fetch(id, likely, None, MODULE_TIME_MAX).await;
    match fetched.map_err(|error| failure(error.errno(), chain(&error)))? {
        size if size > len_max => {
            let reason = format!("lump {id}: {size} bytes are over the limit of {len_max}");
            Err(failure(Errno::Malformed, reason))
        }
        _ => Ok(()),
    }
}

/// Classes of assets.
const CLASSES: [&str; 8] =
    ["Mesh", "Texture", "Scene", "Animation", "Environment", "Sound", "Font", "WebAssembly"];

/// Loads a lump as an asset. Without a picture a peer can still tell whether a mesh or a module is one.
pub(crate) async fn load_asset(inner: &Inner, class: &str, id: LumpId) -> Result<(), Failure> {
    let malformed = |reason: String| failure(Errno::Malformed, format!("lump {id}: {reason}"));
    if !CLASSES.contains(&class) {
        return Err(failure(Errno::Invalid, format!("`{class}` is no class of assets")));
    }
    match (class, inner.picture.get()) {
        ("WebAssembly", _) => {
            let loaded = inner.wasm.load(id, get_bounded(inner, id, None, module_len_max()).await?).await;
            loaded.map_err(|error| failure(Errno::Module, chain(&error)))
        }
        (_, Some(picture)) => {
            fetch_bounded(inner, id, None, ASSET_LEN_MAX).await?;
            picture.load(class, id).await.map_err(malformed)
        }
        ("Mesh", None) => {
            let bytes = get_bounded(inner, id, None, ASSET_LEN_MAX).await?;
            let decoded = tokio::task::spawn_blocking(move || hearth_abi::mesh::Mesh::decode(&bytes).err());
            match decoded.await {
                Ok(None) => Ok(()),
                Ok(Some(error)) => Err(malformed(error.to_string())),
                Err(error) => Err(failure(Errno::Host, error)),
            }
        }
        _ => {
            Err(failure(Errno::Unsupported, format!("this peer shows no picture, so it loads no `{class}`")))
        }
    }
}

async fn load_file(inner: &Inner, path: &str) -> Answer {
    let (id, _size) = files::store(inner, path.into(), u64::MAX).await?;
    Ok((0, Bytes::copy_from_slice(&id.0)))
}

/// Runs a program of this machine, with nothing to read, and gives its output.
async fn run_command(args: &[Vec<u8>]) -> Answer {
    use std::os::unix::ffi::OsStrExt as _;
    let mut words = args.iter().map(|arg| std::ffi::OsStr::from_bytes(arg));
    let program = words.next().ok_or_else(|| failure(Errno::Invalid, "no program is named"))?;
    let shown = program.to_string_lossy().into_owned();
    let mut child = tokio::process::Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // The space's password is for this program alone.
        .env_remove(crate::program::PASSWORD_VARIABLE)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failure(Errno::NotFound, format!("could not run `{shown}`: {error}")))?;
    let mut group = Group(child.id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32)));
    let mut output = Vec::new();
    let mut stdout = child.stdout.take().map(|out| out.take(BODY_LEN_MAX as u64));
    let work = async {
        if let Some(stdout) = &mut stdout {
            stdout.read_to_end(&mut output).await?;
        }
        // What is over the limit is not read, so that a program that writes for ever ends.
        drop(stdout);
        let status = child.wait().await;
        // What it has left running of its own will goes on.
        group.0 = None;
        status
    };
    match tokio::time::timeout(COMMAND_TIME_MAX, work).await {
        // A program that a signal ended has no code; shells say 128 and the signal.
        Ok(Ok(status)) => {
            use std::os::unix::process::ExitStatusExt as _;
            let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            Ok((code, output.into()))
        }
        Ok(Err(error)) => Err(failure(Errno::Host, format!("`{shown}` failed: {error}"))),
        Err(_elapsed) => Err(failure(
            Errno::TimedOut,
            format!("`{shown}` took longer than {} s", COMMAND_TIME_MAX.as_secs()),
        )),
    }
}

/// The processes that a program has started, ended with it when nobody waits for it any more.
struct Group(Option<rustix::process::Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // They may have ended by themselves.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_load_is_dropped_once_and_by_its_process_alone() {
        let held = Held::default();
        let (one, other) = (ProcessId::from_bits(1), ProcessId::from_bits(2));
        let lump = LumpId([7; 32]);
        assert!(!held.dropped(one, "Mesh", lump));
        assert!(held.loaded(one, "Mesh", lump) && held.loaded(one, "Mesh", lump));
        assert!(!held.dropped(other, "Mesh", lump) && !held.dropped(one, "Texture", lump));
        assert!(held.dropped(one, "Mesh", lump) && held.dropped(one, "Mesh", lump));
        assert!(!held.dropped(one, "Mesh", lump));
        assert!((0..LOADS_MAX).all(|_| held.loaded(one, "Mesh", lump)));
        assert!(!held.loaded(one, "Mesh", lump));
        assert!(held.loaded(other, "Mesh", lump));
    }

    /// Whether a process runs; one that has ended may wait for somebody to ask for its status.
    fn runs(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    }

    async fn until(what: impl Fn() -> bool) {
        let waited = async {
            while !what() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waited).await.unwrap();
    }

    #[tokio::test]
    async fn a_command_that_nobody_waits_for_ends_with_what_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let args: Vec<Vec<u8>> = ["sh", "-c", &script].map(|arg| arg.as_bytes().to_vec()).into();
        let running = tokio::spawn(async move { run_command(&args).await });
        let pid = || std::fs::read_to_string(&file).unwrap_or_default().trim().to_owned();
        until(|| runs(&pid())).await;
        running.abort();
        until(|| !runs(&pid())).await;
    }

    #[tokio::test]
    async fn a_command_tells_its_output_and_its_end() {
        let args: Vec<Vec<u8>> = ["sh", "-c", "echo out; exit 3"].map(|arg| arg.as_bytes().to_vec()).into();
        assert_eq!(run_command(&args).await, Ok((3, Bytes::from_static(b"out\n"))));
        let args: Vec<Vec<u8>> = ["sh", "-c", "kill -9 $$"].map(|arg| arg.as_bytes().to_vec()).into();
        assert_eq!(run_command(&args).await, Ok((137, Bytes::new())));
    }
}
