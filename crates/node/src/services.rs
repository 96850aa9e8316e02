// SPDX-License-Identifier: AGPL-3.0-or-later
//! What processes ask of their peer. That a process has the authority for what it asks was checked
//! before it came here (see `hearth_wasm`).

use crate::{
    lumps::chain,
    network::failure,
    node::{Handle, Inner},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::{EntityId, Errno, LumpId, PeerId, ProcessId, scene::ComponentKind, signal::BODY_LEN_MAX};
use hearth_process::ReplyTo;
use hearth_protocol::control::{Failure, Response};
use hearth_wasm::{Caller, Request, Services};
use std::{process::Stdio, sync::Arc, time::Duration};
use tokio::io::AsyncReadExt as _;

/// How long a module that a process spawns may take to be fetched.
const MODULE_TIME_MAX: Duration = Duration::from_secs(60);
/// Longest wait that a guest can ask for.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// How long a program that a guest runs may take.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(600);
/// Largest lump that a peer decodes to see whether it is an asset, in bytes.
const ASSET_LEN_MAX: u64 = 256 << 20;

type Answer = Result<(i32, Bytes), Failure>;

impl Services for Handle {
    fn request(&self, caller: &Caller, request: Request, reply: ReplyTo) {
        let Some(inner) = self.get() else { return };
        let (process, origin) = (caller.process, caller.origin);
        tokio::spawn(async move {
            let cancelled = inner.shutdown.clone();
            let answer = tokio::select! {
                answer = answer(&inner, process, origin, request) => answer,
                () = cancelled.cancelled() => return,
            };
            match answer {
                Ok((status, body)) => reply.send(status, body),
                Err(failure) => reply.send(-failure.errno, failure.reason.into_bytes()),
            }
        });
    }

    fn lump(&self, caller: &Caller, id: LumpId) -> BoxFuture<'static, Result<Bytes, String>> {
        let (handle, origin) = (self.clone(), caller.origin);
        Box::pin(async move {
            let inner = handle.get().ok_or("the peer shuts down")?;
            let got = inner.lumps.get(id, Some(origin), MODULE_TIME_MAX).await;
            got.map_err(|error| chain(&error))
        })
    }

    fn spawn(
        &self,
        caller: &Caller,
        module: LumpId,
        name: Option<String>,
        args: Bytes,
    ) -> Result<ProcessId, Errno> {
        let inner = self.get().ok_or(Errno::Host)?;
        inner
            .spawn(module, caller.origin, Some(caller.process), name, args)
            .map_err(|failure| Errno::from_number(failure.errno).unwrap_or(Errno::Host))
    }

    fn asset_drop(&self, _caller: &Caller, class: &str, id: LumpId) -> Result<(), Errno> {
        let inner = self.get().ok_or(Errno::Host)?;
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
        inner.world.apply(&inner, caller.process, batch).map_err(|(errno, reason)| {
            inner.processes.log(caller.process, hearth_process::Level::Warn, "scene", &reason);
            errno
        })
    }

    fn scene_read(&self, entity: EntityId, kind: ComponentKind) -> Option<Vec<u8>> {
        self.get()?.world.read(entity, kind)
    }

    fn input_subscribe(&self, caller: &Caller, mask: u32) -> Result<(), Errno> {
        let inner = self.get().ok_or(Errno::Host)?;
        inner.picture.get().ok_or(Errno::Unsupported)?;
        inner.inputs.subscribe(caller.process, mask);
        Ok(())
    }

    fn pointer_capture(&self, _caller: &Caller, on: bool) -> Result<(), Errno> {
        let inner = self.get().ok_or(Errno::Host)?;
        inner.picture.get().ok_or(Errno::Unsupported)?.capture_pointer(on);
        Ok(())
    }

    fn peer_name(&self, peer: PeerId) -> Option<String> {
        Some(self.get()?.network.peer(peer)?.name)
    }
}

async fn answer(inner: &Arc<Inner>, process: ProcessId, origin: PeerId, request: Request) -> Answer {
    let done = |status: i32| Ok((status, Bytes::new()));
    match request {
        Request::SpawnOn { peer, module, name, args } => {
            let id = inner.spawn_on(peer, module, origin, Some(process), name, args).await?;
            Ok((0, Bytes::copy_from_slice(&id.to_bits().to_le_bytes())))
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
            done(0)
        }
        Request::FileLoad { path } => load_file(inner, &path).await,
        Request::Command { args } => run_command(&args).await,
    }
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

/// Loads a lump as an asset. Without a picture a peer can still tell whether a mesh or a module is one.
pub(crate) async fn load_asset(inner: &Inner, class: &str, id: LumpId) -> Result<(), Failure> {
    let malformed = |reason: String| failure(Errno::Malformed, format!("lump {id}: {reason}"));
    if !["Mesh", "Texture", "Scene", "WebAssembly"].contains(&class) {
        return Err(failure(Errno::Invalid, format!("`{class}` is no class of assets")));
    }
    let fetched = inner.lumps.fetch(id, None, None, MODULE_TIME_MAX).await;
    let size = fetched.map_err(|error| failure(error.errno(), chain(&error)))?;
    if size > ASSET_LEN_MAX {
        return Err(malformed(format!("{size} bytes are over the limit of {ASSET_LEN_MAX} for an asset")));
    }
    let get = || async {
        let got = inner.lumps.get(id, None, MODULE_TIME_MAX).await;
        got.map_err(|error| failure(error.errno(), chain(&error)))
    };
    match (class, inner.picture.get()) {
        ("WebAssembly", _) => {
            let loaded = inner.wasm.load(id, get().await?).await;
            loaded.map_err(|error| failure(Errno::Module, chain(&error)))
        }
        (_, Some(picture)) => picture.load(class, id).await.map_err(malformed),
        ("Mesh", None) => {
            let bytes = get().await?;
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
    let store = inner.lumps.store().clone();
    let path = path.to_owned();
    let stored = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(&path).map_err(|error| {
            let errno = match error.kind() {
                std::io::ErrorKind::NotFound => Errno::NotFound,
                _ => Errno::Host,
            };
            failure(errno, format!("could not open `{path}`: {error}"))
        })?;
        if !file.metadata().is_ok_and(|meta| meta.is_file()) {
            return Err(failure(Errno::Invalid, format!("`{path}` is no regular file")));
        }
        store.put_reader(&mut file).map_err(|error| failure(Errno::Host, chain(&error)))
    });
    let (id, _size) = stored.await.map_err(|error| failure(Errno::Host, error))??;
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
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failure(Errno::NotFound, format!("could not run `{shown}`: {error}")))?;
    let mut output = Vec::new();
    let mut stdout = child.stdout.take().map(|out| out.take(BODY_LEN_MAX as u64));
    let work = async {
        if let Some(stdout) = &mut stdout {
            stdout.read_to_end(&mut output).await?;
        }
        // What is over the limit is not read, so that a program that writes for ever ends.
        drop(stdout);
        child.wait().await
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
