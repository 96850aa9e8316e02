// SPDX-License-Identifier: AGPL-3.0-or-later
//! One running peer: what it is made of, and how the parts reach each other.

use crate::{
    claims::Claims,
    directory::Directory,
    files::{self, Files},
    folder::Folder,
    grants::Grants,
    inputs::Inputs,
    limits::PeerLimits,
    lumps::{LumpError, Lumps, chain},
    manifest::ManifestError,
    network::{Network, PeerChange, failure},
    notices::Notices,
    picture::{Picture, PictureEvent},
    pointers::Pointers,
    root::Root,
    screens::Screens,
    serials::Serials,
    services::{ASSET_LEN_MAX, Held, get_bounded},
    standing::Standing,
    terminals::Terminals,
    ties::Ties,
    typing::TypedOut,
    world::World,
};
use bytes::Bytes;
use futures::StreamExt as _;
use hearth_abi::{
    Errno, LumpId, PeerId, ProcessId, TerminalId,
    screen::Screen,
    signal::{Header, Kind, encode_args},
};
use hearth_process::{
    Begun, Bond, ExitKind, ExitReason, Level, Limits, Processes, Program, SendError, Signal, SpawnError,
    Spec, Tie, Wish,
};
use hearth_protocol::control::{Failure, Peer, Request, Response, SpawnTie};
use hearth_store::{Store, StoreOptions};
use hearth_wasm::Wasm;
use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// How long a peer may take to fetch a module and start it before the one that asked is told.
pub(crate) const SPAWN_TIME_MAX: Duration = Duration::from_secs(60);

/// Messages below this many bytes are copied out of what was read with them, which is a little more than this.
const COPY_MAX: usize = 60 << 10;

/// How often a picture hears how far a lump has come.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
/// How many lumps of the scene are fetched at a time before it is shown.
const SCENE_FETCHES_MAX: usize = 16;
/// Seconds between two tries to get a lump that the picture needs and nobody has.
const LUMP_RETRY_SECS: [u64; 8] = [1, 2, 4, 8, 15, 30, 60, 120];

/// Name and version of this program, as peers tell each other.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data folder cannot be used, or another peer runs on it.
    #[error(transparent)]
    Folder(#[from] crate::folder::FolderError),
    /// A file of the data folder cannot be used.
    #[error("could not use `{path}`")]
    File {
        /// The file or folder.
        path: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The lump store does not open.
    #[error("could not open the lump store")]
    Store(#[from] hearth_store::OpenError),
    /// The saved scene does not open.
    #[error("could not open the saved scene")]
    Scene(#[from] hearth_scene::FileError),
    /// The WebAssembly engine cannot be made.
    #[error("could not start the WebAssembly engine")]
    Wasm(#[from] hearth_wasm::EngineError),
    /// The peer's key cannot be read or made.
    #[error("could not use the peer's key")]
    Key(#[from] hearth_net::identity::PeerKeyError),
    /// The password's files cannot be read or made.
    #[error("could not use the password's files")]
    Password(#[from] hearth_net::password::PasswordError),
    /// The manifest cannot be used.
    #[error("could not use the manifest")]
    Manifest(#[from] ManifestError),
    /// The address is taken or not allowed.
    #[error("could not listen on `{address}`")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The server could not be joined.
    #[error("could not join `{address}`")]
    Join {
        /// The address.
        address: String,
        /// Why.
        #[source]
        error: Box<hearth_net::ConnectError>,
    },
    /// The server let us in, and then did not do what a server does.
    #[error("could not join `{address}`: {reason}")]
    Welcome {
        /// The address.
        address: String,
        /// What went wrong.
        reason: String,
    },
    /// The local socket cannot be made.
    #[error("could not make the local socket")]
    Socket(#[from] hearth_ipc::BindError),
}

/// A running peer. Clones are the same peer.
#[derive(Clone)]
pub struct Node {
    pub(crate) inner: Arc<Inner>,
}

/// What a peer is made of.
pub(crate) struct Inner {
    pub(crate) me: PeerId,
    pub(crate) name: String,
    pub(crate) space: String,
    pub(crate) serials: Serials,
    pub(crate) network: Arc<Network>,
    pub(crate) ties: Ties,
    pub(crate) directory: Directory,
    pub(crate) claims: Claims,
    pub(crate) root: Root,
    pub(crate) lumps: Lumps,
    pub(crate) processes: Processes,
    pub(crate) wasm: Wasm,
    pub(crate) world: World,
    pub(crate) inputs: Inputs,
    pub(crate) pointers: Pointers,
    pub(crate) typed_out: TypedOut,
    pub(crate) files: Files,
    pub(crate) terminals: Terminals,
    pub(crate) screens: Screens,
    pub(crate) grants: Grants,
    pub(crate) held: Held,
    pub(crate) notices: Notices,
    pub(crate) picture: OnceLock<Arc<dyn Picture>>,
    /// Of a client: how it stands with its space.
    pub(crate) standing: watch::Sender<Standing>,
    /// Cancelled when the peer is asked to end.
    pub(crate) shutdown: CancellationToken,
    /// Cancelled when it has ended but for its local socket.
    pub(crate) ended: CancellationToken,
    pub(crate) started: SystemTime,
    /// Where the server listens, or where a client found it.
    pub(crate) server_address: OnceLock<String>,
    /// Path of the local socket.
    pub(crate) socket: OnceLock<PathBuf>,
    /// Changes the password, where this peer keeps one.
    pub(crate) password: OnceLock<Arc<hearth_net::ServerConfig>>,
    lost: AtomicU64,
    /// What runs as the processes of a simulation, instead of modules.
    #[cfg(test)]
    pub(crate) programs: OnceLock<crate::simulation::Nursery>,
    /// The last, so that all that is in it is closed when another peer may have it.
    pub(crate) folder: Folder,
}

/// What differs between the peers that a node can be.
pub(crate) struct Parts {
    pub(crate) me: PeerId,
    pub(crate) name: String,
    pub(crate) space: String,
    pub(crate) folder: Folder,
    pub(crate) world: World,
    /// What its processes may use.
    pub(crate) limits: PeerLimits,
    /// How many threads run processes.
    pub(crate) workers: usize,
}

/// The node as its parts see it, once it is whole.
#[derive(Clone, Default)]
pub(crate) struct Handle(Arc<OnceLock<Weak<Inner>>>);

impl Handle {
    /// For a part that is made when the node is whole.
    pub(crate) fn of(inner: &Arc<Inner>) -> Handle {
        Handle(Arc::new(OnceLock::from(Arc::downgrade(inner))))
    }

    /// The node; `None` before it is whole and after it is gone.
    pub(crate) fn get(&self) -> Option<Arc<Inner>> {
        self.0.get().and_then(Weak::upgrade)
    }
}

impl Inner {
    pub(crate) fn start(parts: Parts) -> Result<Arc<Inner>, StartError> {
        let Parts { me, name, space, folder, world, limits, workers } = parts;
        let serials_path = folder.path("serials");
        let serials = Serials::open(serials_path.clone())
            .map_err(|error| StartError::File { path: serials_path.display().to_string(), error })?;
        let grants_path = folder.path("grants");
        let grants = Grants::open(grants_path.clone())
            .map_err(|error| StartError::File { path: grants_path.display().to_string(), error })?;
        let data_dir = Some(folder.root().to_owned());
        let store = Store::open(&folder.path("lumps"), StoreOptions { data_dir, ..StoreOptions::default() })?;
        let network = Arc::new(Network::new(me));
        let shutdown = CancellationToken::new();
        let lumps = Lumps::new(store, network.clone(), shutdown.clone());
        let handle = Handle::default();
        let config = hearth_process::Config {
            defaults: limits.process,
            own: limits.own,
            others: limits.others,
            ..hearth_process::Config::new(me, serials.first_process(), workers)
        };
        let processes = Processes::new(config, Arc::new(handle.clone()));
        let wasm = Wasm::new(hearth_wasm::WasmConfig::default(), Arc::new(handle.clone()))?;
        let inner = Arc::new(Inner {
            me,
            name,
            space,
            folder,
            serials,
            network,
            ties: Ties::new(me),
            directory: Directory::default(),
            claims: Claims::default(),
            root: Root::default(),
            lumps,
            processes,
            wasm,
            world,
            inputs: Inputs::default(),
            pointers: Pointers::default(),
            typed_out: TypedOut::default(),
            files: Files::default(),
            terminals: Terminals::default(),
            screens: Screens::new(me),
            grants,
            held: Held::default(),
            notices: Notices::default(),
            picture: OnceLock::new(),
            standing: watch::Sender::new(Standing::default()),
            shutdown,
            ended: CancellationToken::new(),
            started: SystemTime::now(),
            server_address: OnceLock::new(),
            socket: OnceLock::new(),
            password: OnceLock::new(),
            lost: AtomicU64::new(0),
            #[cfg(test)]
            programs: OnceLock::new(),
        });
        // The handle is new, so nobody has set it.
        let _ = handle.0.set(Arc::downgrade(&inner));
        Ok(inner)
    }

    pub(crate) fn is_server(&self) -> bool {
        self.me == PeerId::SERVER
    }

    /// A message of another peer's process for one of ours.
    pub(crate) fn deliver(&self, from: ProcessId, to: ProcessId, body: Bytes) -> Result<(), SendError> {
        let header = Header { kind: Kind::Message, status: 0, from: from.to_bits(), tag: 0 };
        // It is a part of all that was read at once, which it would keep while it waits to be received.
        let body = if body.len() < COPY_MAX { body[..].into() } else { body.into() };
        self.processes.deliver(to, Signal { header, body })
    }

    /// A message was lost because its receiver is gone, or its way or mailbox full.
    pub(crate) fn note_lost(&self, from: PeerId, to: ProcessId) {
        let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
        // Each power of two, so that a flood of them is not one of lines.
        if lost.is_power_of_two() {
            tracing::warn!(peer = %from, process = %to, lost, "messages lost on their way");
        }
    }

    /// Ends processes and writes what is not on disk yet. The local socket goes last.
    pub(crate) async fn finish(self: &Arc<Self>) {
        self.processes.shutdown().await;
        let waiting = self.clone();
        // A panic of it was printed by its thread.
        let _ = tokio::task::spawn_blocking(move || waiting.wait_for_terminals()).await;
        let store = self.lumps.store().clone();
        match tokio::task::spawn_blocking(move || store.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("could not flush the lump store: {}", chain(&error)),
            Err(error) => tracing::error!("could not flush the lump store: {error}"),
        }
        self.ended.cancel();
    }

    /// Writes into the log of a process wherever it runs.
    pub(crate) fn log_anywhere(self: &Arc<Self>, process: ProcessId, level: Level, target: &str, text: &str) {
        if process.peer() == self.me {
            self.processes.log(process, level, target, text);
            return;
        }
        let request = Request::Report {
            process: process.to_bits(),
            target: target.into(),
            text: format!("{}: {text}", self.name),
        };
        let inner = self.clone();
        tokio::spawn(async move {
            // Who is not there any more needs no report.
            let _ = inner.network.call(process.peer(), request, SPAWN_TIME_MAX).await;
        });
    }

    /// What a process may use that is spawned by another, or by nobody here: what every process may, but in nothing more than
    /// the one that spawns it. Else a service that is held short would have others do what it may not.
    pub(crate) fn limits_of_child(&self, parent: Option<ProcessId>) -> Limits {
        let usual = self.processes.default_limits();
        parent
            .and_then(|parent| self.processes.limits(parent))
            .map_or(usual, |parents| usual.at_most(&parents))
    }

    /// What runs as the processes of a module.
    fn program(&self, module: LumpId) -> Arc<dyn Program> {
        #[cfg(test)]
        if let Some(programs) = self.programs.get() {
            return programs.program(module);
        }
        self.wasm.program(module)
    }

    /// Spawns a process here from a lump with a module, with these limits, tied to the process that spawns it if there is a
    /// bond. The id is valid at once.
    #[expect(clippy::too_many_arguments, reason = "that is what a process is spawned from")]
    pub(crate) fn spawn_tied(
        &self,
        module: LumpId,
        origin: PeerId,
        parent: Option<ProcessId>,
        name: Option<String>,
        args: Bytes,
        limits: Limits,
        bond: Option<Bond>,
    ) -> Result<Begun, Failure> {
        let spec =
            Spec { program: self.program(module), module: Some(module), origin, parent, name, args, limits };
        self.processes.begin(spec, bond).map_err(|error| {
            let text = chain(&error);
            let manifest = if self.is_server() { "space.toml" } else { "peer.toml" };
            let table = match error {
                SpawnError::TooManyChildren { .. } | SpawnError::TooFast { .. } => "limits",
                SpawnError::OriginFull { origin, .. } if origin == self.me => "limits.own",
                SpawnError::OriginFull { .. } => "limits.origin",
                _ => return failure(error.errno(), text),
            };
            failure(error.errno(), format!("{text}; `[{table}]` in its `{manifest}` says how many"))
        })
    }

    /// Spawns a process here and waits until it has started. If the process that asks for it wishes to be tied to it, it is to
    /// claim it then.
    pub(crate) async fn spawn_and_wait(
        &self,
        module: LumpId,
        origin: PeerId,
        parent: Option<ProcessId>,
        name: Option<String>,
        args: Bytes,
        bond: Option<Bond>,
    ) -> Result<ProcessId, Failure> {
        let limits = self.limits_of_child(parent);
        let begun = self.spawn_tied(module, origin, parent, name, args, limits, bond)?;
        let mut unanswered = Unanswered { processes: &self.processes, id: Some(begun.id()) };
        match tokio::time::timeout(SPAWN_TIME_MAX, begun.started()).await {
            Ok(Ok(())) => {
                unanswered.id = None;
                Ok(begun.id())
            }
            Ok(Err(reason)) => Err(failure(Errno::Module, reason.text)),
            Err(_elapsed) => {
                drop(unanswered);
                let _ = self.processes.kill(None, begun.id(), "did not start in time");
                Err(failure(Errno::TimedOut, "the module did not start in time"))
            }
        }
    }

    /// Spawns a process on any peer. If its parent wishes to be tied to it, it is to claim it then.
    #[expect(clippy::too_many_arguments, reason = "that is what a process is spawned from")]
    pub(crate) async fn spawn_on(
        &self,
        peer: PeerId,
        module: LumpId,
        origin: PeerId,
        parent: Option<ProcessId>,
        name: Option<String>,
        args: Bytes,
        wish: Option<Wish>,
    ) -> Result<ProcessId, Failure> {
        if peer == self.me {
            let bond = parent.zip(wish).map(|(parent, wish)| Bond::asked(parent, wish));
            return self.spawn_and_wait(module, origin, parent, name, args, bond).await;
        }
        let request = match parent.zip(wish) {
            Some((parent, Wish::Link)) => {
                Request::spawn_tied(module, name, args.to_vec(), parent, SpawnTie::Link)
            }
            Some((parent, Wish::Monitor(number))) => {
                Request::spawn_tied(module, name, args.to_vec(), parent, SpawnTie::Monitor { number })
            }
            None => Request::spawn(module, name, args.to_vec(), parent),
        };
        if wish.is_some() {
            self.ties_go_on(peer).await;
        }
        let call = self.network.number();
        let asked = self.network.ask(peer, call, request, SPAWN_TIME_MAX + Duration::from_secs(5)).await;
        let answer = asked.inspect_err(|_| {
            if let Some((parent, _)) = parent.zip(wish) {
                self.forsake_call(parent, peer, call);
            }
        });
        match answer?? {
            Response::Spawned { process } => Ok(ProcessId::from_bits(process)),
            _ => Err(failure(Errno::Host, "the peer's answer is not one to this request")),
        }
    }

    /// Answers a request of another peer, its call of this number. What it spawns has that peer as its origin.
    pub(crate) async fn answer_call(
        self: &Arc<Self>,
        from: PeerId,
        call: u64,
        request: Request,
    ) -> Result<Response, Failure> {
        match request {
            Request::Spawn { module, name, args, parent } => {
                let parent = parent.map(ProcessId::from_bits);
                let id = self.spawn_and_wait(LumpId(module), from, parent, name, args.into(), None).await?;
                Ok(Response::Spawned { process: id.to_bits() })
            }
            Request::SpawnTied { module, name, args, parent, tie } => {
                let parent = ProcessId::from_bits(parent);
                // A peer speaks for its own processes alone.
                if parent.peer() != from {
                    return Err(failure(Errno::Invalid, "the process that asks is not of this peer"));
                }
                let wish = match tie {
                    SpawnTie::Link => Wish::Link,
                    SpawnTie::Monitor { number } => Wish::Monitor(number),
                };
                let bond = Some(Bond::asked_by_call(parent, wish, call));
                let spawned =
                    self.spawn_and_wait(LumpId(module), from, Some(parent), name, args.into(), bond);
                Ok(Response::Spawned { process: spawned.await?.to_bits() })
            }
            Request::Push { lump } => {
                let id = LumpId(lump);
                let fetched = self.lumps.fetch(id, Some(from), None, SPAWN_TIME_MAX).await;
                fetched.map_err(|error| failure(error.errno(), chain(&error)))?;
                Ok(Response::Done)
            }
            Request::Report { process, target, text } => {
                let process = ProcessId::from_bits(process);
                self.processes.log(process, Level::Error, &target, &text);
                Ok(Response::Done)
            }
            Request::Grant { what, granted } => {
                self.note_grant(from, what, granted);
                Ok(Response::Done)
            }
            Request::Directory { op, name, process } => {
                let process = ProcessId::from_bits(process);
                // A peer speaks for its own processes alone.
                if !self.is_server() || process.peer() != from {
                    return Err(failure(Errno::Invalid, "this peer keeps no names for that process"));
                }
                let ids = self.keep_directory(op, &name, process)?;
                Ok(Response::Processes { processes: ids.into_iter().map(ProcessId::to_bits).collect() })
            }
            Request::Operator { json } => crate::operator::answer_peer(self, from, &json).await,
            Request::Log { process, from_line, lines, wait_ms } => {
                crate::operator::answer_log(self, ProcessId::from_bits(process), from_line, lines, wait_ms)
                    .await
            }
        }
    }
}

/// Nobody has had the id of a process for an answer: dropped so, nobody will claim it.
struct Unanswered<'a> {
    processes: &'a Processes,
    id: Option<ProcessId>,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.processes.forsake(id);
        }
    }
}

/// About a peer that is this program.
pub(crate) fn about_program(id: u32, name: &str, key: [u8; 32], offers: Vec<String>) -> Peer {
    Peer {
        id,
        name: name.into(),
        key: key.to_vec(),
        address: String::new(),
        version: VERSION.into(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        offers,
    }
}

/// Brings a lump to the engine that wants it. When it is nowhere to be had, the engine is told, so that
/// something stands in its place; whoever has it may still come.
async fn bring_to_picture(inner: &Inner, id: LumpId) {
    let Some(picture) = inner.picture.get() else { return };
    let mut told = false;
    for wait_secs in LUMP_RETRY_SECS {
        let fetch = inner.lumps.fetch(id, None, None, SPAWN_TIME_MAX);
        let fetched = tokio::select! {
            fetched = fetch => fetched,
            never = tell_progress(inner, &**picture, id) => match never {},
        };
        let missing = matches!(fetched, Err(LumpError::NotFound(_) | LumpError::TimedOut(_)));
        if !(missing && told) {
            told = true;
            // What waits for its turn waits on the disk, not in memory.
            let _place = inner.held.showing.acquire().await;
            let bytes = match fetched {
                Ok(_) => get_bounded(inner, id, None, ASSET_LEN_MAX).await.map_err(|failure| failure.reason),
                Err(error) => Err(chain(&error)),
            };
            picture.lump(id, bytes).await;
        }
        if !missing {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(wait_secs)) => {}
            () = inner.shutdown.cancelled() => return,
        }
    }
}

/// Tells a picture how far a lump has come, again and again.
async fn tell_progress(inner: &Inner, picture: &dyn Picture, id: LumpId) -> std::convert::Infallible {
    let mut told = None;
    loop {
        tokio::time::sleep(PROGRESS_INTERVAL).await;
        let progress = inner.lumps.progress(id);
        if progress != told
            && let Some((received, size)) = progress
        {
            told = progress;
            picture.lump_progress(id, received, size);
        }
    }
}

impl hearth_process::Host for Handle {
    fn send_remote(&self, from: ProcessId, to: ProcessId, body: Bytes) -> Result<(), SendError> {
        let inner = self.get().ok_or(SendError::NoPeer)?;
        let frame = hearth_protocol::hot::Frame::Message { to, from, body };
        inner.network.try_hot(to.peer(), frame.encode()).map_err(send_error)
    }

    fn kill_remote(&self, from: Option<ProcessId>, to: ProcessId, reason: &str) -> Result<(), SendError> {
        let inner = self.get().ok_or(SendError::NoPeer)?;
        let frame = hearth_protocol::hot::Frame::Kill { to, from, reason: reason.into() };
        inner.network.try_hot(to.peer(), frame.encode()).map_err(send_error)
    }

    fn exit_remote(
        &self,
        from: Option<ProcessId>,
        to: ProcessId,
        reason: &ExitReason,
    ) -> Result<(), SendError> {
        let inner = self.get().ok_or(SendError::NoPeer)?;
        let frame = hearth_protocol::hot::Frame::ExitTo { to, from, reason: reason.encode().into() };
        inner.network.try_hot(to.peer(), frame.encode()).map_err(send_error)
    }

    fn tie_remote(&self, from: ProcessId, to: ProcessId, tie: Tie) -> Result<(), SendError> {
        self.get().ok_or(SendError::NoPeer)?.tell_tie(from, to, tie)
    }

    fn serial_reached(&self, serial: u64) -> io::Result<()> {
        // Processes are spawned by a whole node only.
        self.get().map_or(Ok(()), |inner| inner.serials.reach_process(serial))
    }

    fn exited(&self, id: ProcessId, reason: &ExitReason) {
        if let Some(inner) = self.get() {
            tracing::debug!(process = %id, kind = ?reason.kind, reason = &*reason.text, "ended");
            inner.inputs.forget(id);
            inner.claims.ended(id);
            inner.held.ended(&inner, id);
            inner.terminals_ended(id);
            if !matches!(reason.kind, ExitKind::Normal | ExitKind::Shutdown) {
                inner.notices.failing(&inner.world, id);
            }
            inner.world.process_ended(&inner, id);
        }
    }

    fn replacing(&self, id: ProcessId) {
        if let Some(inner) = self.get() {
            inner.inputs.set_aside(id);
            inner.held.set_aside(id);
            inner.terminals_set_aside(id);
            inner.take_typing(|typing| typing.owner == id);
            inner.world.set_aside(id);
        }
    }

    fn replaced(&self, id: ProcessId, has_started: bool) {
        if let Some(inner) = self.get() {
            inner.inputs.replaced(id, has_started);
            inner.held.replaced(&inner, id, has_started);
            inner.terminals_replaced(id, has_started);
            inner.world.replaced(&inner, id, has_started);
        }
    }
}

fn send_error(errno: Errno) -> SendError {
    match errno {
        Errno::Full => SendError::Full,
        _ => SendError::NoPeer,
    }
}

impl Node {
    /// The number of this peer.
    pub fn id(&self) -> PeerId {
        self.inner.me
    }

    /// The peers that are here, this one too.
    pub fn peers(&self) -> Vec<Peer> {
        self.inner.network.peers()
    }

    /// What changes among the peers from now on. A listener that is too slow is told how many changes it
    /// missed.
    pub fn peer_changes(&self) -> broadcast::Receiver<PeerChange> {
        self.inner.network.changes()
    }

    /// The processes of this peer.
    pub fn processes(&self) -> &Processes {
        &self.inner.processes
    }

    /// Stores bytes as a lump; durable when it returns.
    ///
    /// # Errors
    /// The store could not keep it: the disk is full, or fails.
    pub async fn put_lump(&self, bytes: Bytes) -> Result<LumpId, hearth_store::PutError> {
        self.inner.lumps.put(bytes).await
    }

    /// A lump, fetched from other peers when it is not here.
    ///
    /// # Errors
    /// Nobody has it, or it did not come within the time given.
    pub async fn lump(&self, id: LumpId, timeout: Duration) -> Result<Bytes, LumpError> {
        self.inner.lumps.get(id, None, timeout).await
    }

    /// Makes sure that a lump is in this peer's store, and tells its size in bytes.
    ///
    /// # Errors
    /// Nobody has it, or it did not come within the time given.
    pub async fn fetch_lump(&self, id: LumpId, timeout: Duration) -> Result<u64, LumpError> {
        self.inner.lumps.fetch(id, None, None, timeout).await
    }

    /// How a client stands with its space, and what changes of it. A server stands as one that never changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.inner.standing.subscribe()
    }

    /// Fetches the lumps that the scene refers to now and that are not here. `to_come` hears how many are missing, each
    /// time there is one less. What nobody has is left out. May be dropped at any time.
    pub async fn fetch_scene(&self, to_come: impl Fn(usize)) {
        let (wanted, store) = (self.inner.world.lumps(), self.inner.lumps.store().clone());
        // What cannot be looked up is fetched, which tells why.
        let is_missing = move |id: &LumpId| !store.has(id).unwrap_or(false);
        let missing: Vec<LumpId> =
            tokio::task::spawn_blocking(move || wanted.into_iter().filter(is_missing).collect())
                .await
                .unwrap_or_default();
        let mut left = missing.len();
        to_come(left);
        let fetch = |id| self.inner.lumps.fetch(id, None, None, SPAWN_TIME_MAX);
        let mut fetched = futures::stream::iter(missing).map(fetch).buffer_unordered(SCENE_FETCHES_MAX);
        while fetched.next().await.is_some() {
            left -= 1;
            to_come(left);
        }
    }

    /// Spawns a process on a peer with the authority of this one, and waits until it has started.
    ///
    /// # Errors
    /// The peer is not connected, or the module cannot be had or run there.
    pub async fn spawn(
        &self,
        peer: PeerId,
        module: LumpId,
        name: Option<String>,
        args: &[&str],
    ) -> Result<ProcessId, Failure> {
        let args = encode_args(args.iter().map(|arg| arg.as_bytes())).into();
        self.inner.spawn_on(peer, module, self.inner.me, None, name, args, None).await
    }

    /// Something the engine tells.
    pub fn picture_event(&self, event: PictureEvent) {
        let inner = self.inner.clone();
        match event {
            PictureEvent::Input(event) => {
                if matches!(event, hearth_abi::input::Event::Frame { .. }) {
                    inner.pointers_due(Instant::now());
                    inner.typing_due();
                }
                inner.typing_hears(&event);
                if inner.is_for_scripts(&event) {
                    inner.inputs.deliver(&inner.processes, &event);
                }
            }
            PictureEvent::Pointer(event) => inner.pointed(event, Instant::now()),
            PictureEvent::FileDropped { path, entity, point, normal } => {
                files::dropped(&inner, path, entity, point, normal);
            }
            PictureEvent::Stroke(stroke) => inner.stroke(stroke),
            PictureEvent::WantLump(id) => {
                tokio::spawn(async move { bring_to_picture(&inner, id).await });
            }
            PictureEvent::AssetFailed { entities, lump, reason } => {
                let text = format!("lump {lump} does not load: {reason}");
                for writer in inner.world.writers(&entities, lump) {
                    inner.log_anywhere(writer, Level::Error, "asset", &text);
                }
            }
        }
    }

    /// What a terminal shows, of this peer or of another that shows it to this one.
    pub fn screen(&self, terminal: TerminalId) -> Option<Arc<Screen>> {
        self.inner.screen_of(terminal)
    }

    /// Asks the peer to end in good order; [`RunningServer::ended`](crate::RunningServer::ended) and
    /// [`RunningClient::ended`](crate::RunningClient::ended) tell when it has.
    pub fn shut_down(&self) {
        self.inner.shutdown.cancel();
    }

    /// Waits until the peer was asked to end.
    pub async fn asked_to_end(&self) {
        self.inner.shutdown.cancelled().await;
    }
}
