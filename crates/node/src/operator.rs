// SPDX-License-Identifier: AGPL-3.0-or-later
//! The operator's door: answers what comes over the local socket, here or on the peer that it is about.

mod about;
mod grants;
mod lists;
mod terminals;

use crate::{
    lumps::{LumpError, chain},
    network::failure,
    node::{Inner, StartError},
    picture::Picture,
    replace::REPLACE_TIME_MAX,
    server::register,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::{
    EntityId, Errno, LumpId, PeerId, ProcessId,
    signal::{Kind, encode_args},
};
use hearth_ipc::{Exchange, RuntimeDir};
use hearth_process::{
    Context, ExitReason, FollowEvent, LogLine, Program, SendError, SpawnError, Spec, State, Take, Work,
};
use hearth_protocol::{
    control,
    operator::{
        ErrorCode, ExitKind, Failure, Killed, Level, LogEvent, LumpInfo, PASSWORD_BYTES_MAX, PeerInfo,
        PictureInfo, Request, Role, SEND_BYTES_MAX, Spawned, Status, TAIL_LINES_MAX, VERSION,
    },
};
use parking_lot::Mutex;
use serde::Serialize;
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{mpsc, oneshot};

/// How long another peer may take to answer an operator.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
/// How long a reply is waited for when the operator does not say.
const REPLY_TIME: Duration = Duration::from_secs(5);
/// How long a lump may take to be fetched.
const LUMP_TIME_MAX: Duration = Duration::from_secs(600);
/// Longest wait of one question for another peer's log.
const LOG_WAIT_MAX: Duration = Duration::from_secs(20);
/// Most lines of another peer's log that are asked for at once.
const LOG_LINES_MAX: u32 = 1000;
/// Bytes of such lines after which an answer is full: one more, however long, fits its frame.
const LOG_BYTES_MAX: usize = 64 << 10;
/// Bytes of a lump that are read at a time.
const READ_BYTES: usize = 1 << 20;

/// Opens the local socket and serves it until the peer ends.
pub(crate) fn listen(inner: &Arc<Inner>, folder: Option<&Path>, label: &str) -> Result<PathBuf, StartError> {
    let folder = match folder {
        Some(folder) => RuntimeDir::open(folder),
        None => RuntimeDir::open_default(),
    };
    let folder = folder.map_err(hearth_ipc::BindError::from)?;
    let role = if inner.is_server() { Role::Server } else { Role::Client };
    let server = hearth_ipc::Server::bind(&folder, &hearth_ipc::socket_name(role, label))?;
    let path = server.path().to_owned();
    // Nobody set it before: the node is new.
    let _ = inner.socket.set(path.clone());
    let operator = Arc::new(Door { inner: inner.clone() });
    let ended = inner.ended.clone();
    tokio::spawn(async move {
        tokio::select! {
            never = server.serve(operator) => match never {},
            // Not when the end is asked for, so that the answer to that is still sent.
            () = ended.cancelled() => {}
        }
    });
    Ok(path)
}

struct Door {
    inner: Arc<Inner>,
}

impl hearth_ipc::Operator for Door {
    fn handle<'a>(&'a self, request: Request, io: &'a mut Exchange) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.answer(request, io))
    }
}

impl Door {
    async fn answer(&self, request: Request, io: &mut Exchange) -> Result<(), Failure> {
        let inner = &self.inner;
        match request {
            Request::LoadLump {} => {
                let info = self.load_lump(io).await?;
                io.reply(&info).await?;
            }
            Request::GetLump { id } => {
                let hung_up = io.hung_up();
                tokio::select! {
                    got = self.get_lump(id, io) => got?,
                    () = hung_up => {}
                }
            }
            Request::Pin { id } => {
                let hung_up = io.hung_up();
                let info = tokio::select! {
                    info = self.pin(id, true) => info?,
                    () = hung_up => return Ok(()),
                };
                io.reply(&info).await?;
            }
            Request::Unpin { id } => io.reply(&self.pin(id, false).await?).await?,
            Request::ListLumps {} => self.list_lumps(io).await?,
            Request::ListAssets {} => self.list_assets(io).await?,
            Request::ListProcesses { .. } | Request::ListServices { .. } => {
                lists::send(inner, request, io).await?;
            }
            Request::Kill { ids, reason } => {
                for id in ids {
                    let request = Request::Kill { ids: vec![id], reason: reason.clone() };
                    let killed = match self.about_process(id, request).await {
                        Ok(mut values) => values.pop(),
                        Err(error) => Some(json(&Killed { id, error: Some(error) })?),
                    };
                    io.reply_all(killed).await?;
                }
            }
            Request::Restart { id } | Request::Info { id } | Request::Notice { id, .. } => {
                io.reply_all(self.about_process(id, request).await?).await?;
            }
            Request::Replace { id, .. } | Request::Rollback { id } if id.peer() != inner.me => {
                io.reply_all(ask_within(inner, id.peer(), &request, REPLACE_TIME_MAX).await?).await?;
            }
            Request::Replace { id, module } => {
                io.reply(&inner.replace(inner.me, id, Some(module)).await?).await?;
            }
            Request::Rollback { id } => io.reply(&inner.replace(inner.me, id, None).await?).await?,
            Request::Spawn { module, peer, name, args } => {
                let args: Bytes = encode_args(args.iter().map(String::as_bytes)).into();
                let peer = peer.unwrap_or(inner.me);
                let spawned = inner.spawn_on(peer, module, inner.me, None, name, args, None).await;
                io.reply(&Spawned { id: spawned.map_err(|error| from_failure(error, None))? }).await?;
            }
            Request::Tail { id, lines, follow } if id.peer() != inner.me => {
                self.tail_elsewhere(id, lines, follow, io).await?;
            }
            Request::Tail { id, lines, follow } => self.tail(id, lines, follow, io).await?,
            Request::Send { to, reply, timeout_ms } => self.send(to, reply, timeout_ms, io).await?,
            Request::Grant { peer, what } => io.reply(&grants::grant(inner, peer, what).await?).await?,
            Request::Revoke { peer, what } => io.reply_all(grants::revoke(inner, peer, what).await?).await?,
            Request::ListTerminals {} => io.reply_all(terminals::list(inner)).await?,
            Request::ShowTerminal { id } => {
                let (info, text) = terminals::show(inner, id)?;
                io.reply(&info).await?;
                io.data(text.as_bytes()).await?;
            }
            Request::ListGrants {} => io.reply_all(grants::list(inner)).await?,
            Request::ListPeers {} => io.reply_all(self.list_peers()).await?,
            Request::Status {} => io.reply(&self.status().await?).await?,
            Request::Shutdown {} => inner.shutdown.cancel(),
            Request::Screenshot { view } => self.screenshot(view, io).await?,
            Request::Passwd {} => self.passwd(io).await?,
            request => io.reply_all(answer_here(inner, request)?).await?,
        }
        Ok(())
    }

    /// Answers a request about one process, here or where it runs.
    async fn about_process(
        &self,
        id: ProcessId,
        request: Request,
    ) -> Result<Vec<serde_json::Value>, Failure> {
        if id.peer() == self.inner.me {
            answer_here(&self.inner, request)
        } else {
            ask(&self.inner, id.peer(), &request).await
        }
    }

    async fn load_lump(&self, io: &mut Exchange) -> Result<LumpInfo, Failure> {
        let (pieces, queued) = mpsc::channel(4);
        let store = self.inner.lumps.store().clone();
        let stored = tokio::task::spawn_blocking(move || {
            store.put_reader(&mut Pieces { queued, piece: Bytes::new(), ended: false })
        });
        let fed = async {
            while let Some(bytes) = io.read_data().await? {
                // A store that has given up says why.
                if pieces.send(Some(bytes)).await.is_err() {
                    return Ok(());
                }
            }
            let _ = pieces.send(None).await;
            Ok::<(), Failure>(())
        }
        .await;
        drop(pieces);
        let stored = stored.await.map_err(|error| internal(&error))?;
        fed?;
        let (id, size) = stored.map_err(|error| storage(&error))?;
        Ok(LumpInfo { id, size, pinned: false })
    }

    async fn get_lump(&self, id: LumpId, io: &mut Exchange) -> Result<(), Failure> {
        let lumps = &self.inner.lumps;
        let size = lumps.fetch(id, None, None, LUMP_TIME_MAX).await.map_err(|error| lump_failure(&error))?;
        io.reply(&self.lump_info(id).await?).await?;
        let mut offset = 0;
        while offset < size {
            let read = lumps.read(id, offset, READ_BYTES, LUMP_TIME_MAX).await;
            let bytes = read.map_err(|error| lump_failure(&error))?;
            if bytes.is_empty() {
                return Err(Failure::new(ErrorCode::Storage, format!("lump `{id}` ends early")));
            }
            offset += bytes.len() as u64;
            io.data(&bytes).await?;
        }
        Ok(())
    }

    async fn lump_info(&self, id: LumpId) -> Result<LumpInfo, Failure> {
        let stat = self.store(move |store| store.stat(&id)).await?.map_err(|error| storage(&error))?;
        let stat = stat.ok_or_else(|| Failure::no_lump(id))?;
        Ok(LumpInfo { id, size: stat.size, pinned: stat.pinned })
    }

    async fn pin(&self, id: LumpId, on: bool) -> Result<LumpInfo, Failure> {
        if on {
            let fetched = self.inner.lumps.fetch(id, None, None, LUMP_TIME_MAX).await;
            fetched.map_err(|error| lump_failure(&error))?;
            self.store(move |store| store.pin(&id)).await?.map_err(|error| storage(&error))?;
        } else {
            self.store(move |store| store.unpin(&id)).await?.map_err(|error| storage(&error))?;
        }
        self.lump_info(id).await
    }

    async fn list_lumps(&self, io: &mut Exchange) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let page = self.store(move |store| store.list(after.as_ref(), 1000)).await?;
            let page = page.map_err(|error| storage(&error))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            let info = |lump: &hearth_store::Listed| LumpInfo {
                id: lump.id,
                size: lump.stat.size,
                pinned: lump.stat.pinned,
            };
            let infos: Vec<LumpInfo> = page.iter().map(info).collect();
            io.reply_all(infos).await?;
        }
    }

    async fn tail(&self, id: ProcessId, lines: u32, follow: bool, io: &mut Exchange) -> Result<(), Failure> {
        let processes = self.inner.processes.clone();
        let mut follower = processes.follow_log(id).ok_or_else(|| Failure::no_such_process(id))?;
        follower.keep_last(lines.min(TAIL_LINES_MAX) as usize);
        if !follow && processes.info(id).is_some() {
            let lines = processes.log_lines(id, lines.min(TAIL_LINES_MAX) as usize).unwrap_or_default();
            let events: Vec<LogEvent> = lines.iter().map(|line| log_event(line)).collect();
            io.reply_all(events).await?;
            return Ok(());
        }
        let hung_up = io.hung_up();
        tokio::pin!(hung_up);
        loop {
            let event = tokio::select! {
                event = follower.next() => event,
                () = &mut hung_up => return Ok(()),
                () = self.inner.shutdown.cancelled() => return Ok(()),
            };
            match event {
                Some(FollowEvent::Line(line)) => io.reply(&log_event(&line)).await?,
                Some(FollowEvent::Lost(lines)) => io.reply(&LogEvent::Lost { lines }).await?,
                None => break,
            }
        }
        // The log is closed a moment before the process leaves the table.
        io.reply(&ended(&processes.exited(id).await)).await?;
        Ok(())
    }

    /// A log of another peer, asked for again and again: each question waits there for new lines.
    async fn tail_elsewhere(
        &self,
        id: ProcessId,
        lines: u32,
        follow: bool,
        io: &mut Exchange,
    ) -> Result<(), Failure> {
        let mut from_line = u64::MAX;
        let mut wanted = lines.min(LOG_LINES_MAX);
        let hung_up = io.hung_up();
        tokio::pin!(hung_up);
        loop {
            let wait_ms = if from_line == u64::MAX || !follow { 0 } else { LOG_WAIT_MAX.as_millis() as u32 };
            let request = control::Request::Log { process: id.to_bits(), from_line, lines: wanted, wait_ms };
            let call = self.inner.network.call(id.peer(), request, LOG_WAIT_MAX + ANSWER_TIME_MAX);
            let answer = tokio::select! {
                answer = call => answer,
                () = &mut hung_up => return Ok(()),
            };
            let control::Response::Log { lines, next_line, ended } =
                answer.map_err(|error| from_failure(error, Some(id)))?
            else {
                return Err(Failure::new(
                    ErrorCode::Internal,
                    "the peer's answer is not one to this request",
                ));
            };
            for line in &lines {
                let event: serde_json::Value =
                    serde_json::from_str(line).map_err(|error| internal(&error))?;
                io.reply(&event).await?;
            }
            // An answer is no longer than a frame: what it has no room for comes with the next.
            wanted = wanted.saturating_sub(lines.len() as u32);
            if ended || !follow && (lines.is_empty() || wanted == 0) {
                return Ok(());
            }
            from_line = next_line;
            if follow {
                wanted = LOG_LINES_MAX;
            }
        }
    }

    async fn send(
        &self,
        to: ProcessId,
        reply: bool,
        timeout_ms: Option<u64>,
        io: &mut Exchange,
    ) -> Result<(), Failure> {
        let body = io.read_all(SEND_BYTES_MAX).await?;
        let processes = self.inner.processes.clone();
        if !reply {
            let nobody = ProcessId::from_bits(0);
            return processes.send(nobody, to, body).map_err(|error| send_failure(error, to));
        }
        let (ear, heard) = Ear::spec(self.inner.me);
        let ear = processes.spawn(ear).map_err(|error| Failure::new(ErrorCode::Limit, chain(&error)))?;
        let timeout = timeout_ms.map_or(REPLY_TIME, Duration::from_millis);
        // The ear ends by itself when it has heard something, or `heard` is dropped.
        processes.send(ear, to, body).map_err(|error| send_failure(error, to))?;
        let body = tokio::select! {
            body = heard => body.map_err(|error| internal(&error))?,
            () = tokio::time::sleep(timeout) => return Err(Failure::new(
                ErrorCode::TimedOut,
                format!("process `{to}` did not reply within {} s", timeout.as_secs_f32()),
            )),
            () = io.hung_up() => return Err(Failure::new(ErrorCode::Internal, "the client hung up")),
        };
        io.data(&body).await?;
        Ok(())
    }

    fn list_peers(&self) -> Vec<PeerInfo> {
        let inner = &self.inner;
        let listed = inner.network.peers().into_iter().filter_map(|peer| {
            let id = peer.peer_id()?;
            let this = id == inner.me;
            let link = if this { None } else { inner.network.way_to(id) };
            // A client measures the way to the server only; to others it goes on from there.
            let direct = inner.is_server() || id == PeerId::SERVER;
            let rtt = link.filter(|_| direct).and_then(|link| link.sender.link().rtt());
            let address = match id == PeerId::SERVER {
                true => inner.server_address.get().cloned(),
                false => Some(peer.address).filter(|address| !address.is_empty()),
            };
            Some(PeerInfo {
                id,
                name: peer.name,
                address,
                version: peer.version,
                system: peer.system,
                offers: peer.offers,
                round_trip_us: rtt.map(|rtt| rtt.as_micros() as u64),
                this,
            })
        });
        listed.collect()
    }

    async fn status(&self) -> Result<Status, Failure> {
        let inner = &self.inner;
        let (lumps, lump_bytes) = self
            .store(|store| {
                let mut count = 0;
                let mut after = None;
                loop {
                    let page = store.list(after.as_ref(), 10_000)?;
                    let Some(last) = page.last() else { break };
                    after = Some(last.id);
                    count += page.len() as u64;
                }
                Ok::<_, hearth_store::DatabaseError>((count, store.used_bytes()))
            })
            .await?
            .map_err(|error| storage(&error))?;
        let server = inner.is_server();
        let address = inner.server_address.get().cloned();
        Ok(Status {
            role: if server { Role::Server } else { Role::Client },
            peer: inner.me,
            name: inner.name.clone(),
            version: crate::node::VERSION.into(),
            operator_version: VERSION,
            pid: std::process::id(),
            started_ms: millis(inner.started),
            data: Some(inner.folder.root().display().to_string()),
            listen: address.clone().filter(|_| server),
            server: address.filter(|_| !server),
            connected: server || inner.network.way_to(PeerId::SERVER).is_some(),
            peers: inner.network.peers().len() as u64,
            processes: inner.processes.count() as u64,
            lumps,
            lump_bytes,
            entities: inner.world.len() as u64,
            server_key: inner.password.get().map(|config| LumpId(config.secrets().public_key()).to_string()),
            resident_bytes: resident_bytes(),
        })
    }

    fn picture(&self) -> Result<&Arc<dyn Picture>, Failure> {
        self.inner.picture.get().ok_or_else(|| {
            Failure::new(ErrorCode::Unsupported, "this peer shows no picture")
                .with_hint("ask a client that was started without `--no-picture`")
        })
    }

    async fn list_assets(&self, io: &mut Exchange) -> Result<(), Failure> {
        let assets = self.picture()?.assets().await;
        let mut assets = assets.map_err(|reason| Failure::new(ErrorCode::Internal, reason))?;
        assets.sort_by(|a, b| (&a.class, a.id).cmp(&(&b.class, b.id)));
        io.reply_all(assets).await?;
        Ok(())
    }

    async fn screenshot(&self, view: Option<EntityId>, io: &mut Exchange) -> Result<(), Failure> {
        let picture = self.picture()?;
        let png = match view {
            Some(view) => picture.view_screenshot(view).await,
            None => picture.screenshot().await,
        };
        let png = png.map_err(|reason| Failure::new(ErrorCode::Internal, reason))?;
        // PNG, section 11.2.2: width and height stand at bytes 16 and 20, most significant first.
        let number = |at: usize| {
            let bytes = png.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            u32::from_be_bytes(bytes.unwrap_or_default())
        };
        let info = PictureInfo { width: number(16), height: number(20), size: png.len() as u64 };
        io.reply(&info).await?;
        io.data(&png).await?;
        Ok(())
    }

    async fn passwd(&self, io: &mut Exchange) -> Result<(), Failure> {
        let inner = &self.inner;
        let body = io.read_all(PASSWORD_BYTES_MAX).await?;
        let config = inner.password.get().ok_or_else(|| {
            Failure::new(ErrorCode::Unsupported, "only the space's server keeps its password")
                .with_hint("run this on the server's machine, with `--socket` if several peers run there")
        })?;
        let text = String::from_utf8(body.to_vec())
            .map_err(|_not_utf8| Failure::new(ErrorCode::Invalid, "the password is not UTF-8"))?;
        let password = hearth_net::Password::new(text.trim_end_matches(['\r', '\n']))
            .map_err(|error| Failure::new(ErrorCode::Invalid, chain(&error)))?;
        let ksf = config.password().ksf();
        let record = register(config.secrets().clone(), password, ksf).await;
        let record = record.map_err(|error| Failure::new(ErrorCode::Internal, chain(&error)))?;
        record.save(&inner.folder.path("login")).map_err(|error| storage(&error))?;
        config.set_password(record);
        // The first password holds no longer.
        match std::fs::remove_file(inner.folder.path("password")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(storage(&error)),
            _ => Ok(()),
        }
    }

    async fn store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&hearth_store::Store) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let store = self.inner.lumps.store().clone();
        tokio::task::spawn_blocking(move || work(&store)).await.map_err(|error| internal(&error))
    }
}

/// Answers the requests that need no stream, for the operator of this peer or of another.
fn answer_here(inner: &Arc<Inner>, request: Request) -> Result<Vec<serde_json::Value>, Failure> {
    let processes = &inner.processes;
    match request {
        Request::ListProcesses { .. } | Request::ListServices { .. } => lists::page(inner, &request),
        Request::Info { id } => {
            let info = processes.info(id).ok_or_else(|| Failure::no_such_process(id))?;
            one(about::whole(inner, &info))
        }
        Request::Kill { ids, reason } => {
            let reason = reason.unwrap_or_else(|| "killed by the operator".into());
            let killed = ids.into_iter().map(|id| {
                let error = processes.kill(None, id, &reason).err().map(|error| send_failure(error, id));
                json(&Killed { id, error })
            });
            killed.collect()
        }
        Request::Notice { id, text } => {
            let shown = inner.notices.show(inner, id, &text);
            shown.map_err(|error| from_failure(error, Some(id)))?;
            Ok(Vec::new())
        }
        Request::Restart { id } => restarted(id, inner.root.restart(id, || processes.restart(id))),
        _ => Err(Failure::new(ErrorCode::Unsupported, "this request is for the operator's own peer")),
    }
}

fn restarted(
    id: ProcessId,
    restarted: Result<ProcessId, SpawnError>,
) -> Result<Vec<serde_json::Value>, Failure> {
    let id = restarted.map_err(|error| match error {
        SpawnError::NotFound => Failure::no_such_process(id),
        error => Failure::new(ErrorCode::Refused, chain(&error)),
    })?;
    one(Spawned { id })
}

/// Asks another peer what an operator asked about it.
async fn ask(inner: &Inner, peer: PeerId, request: &Request) -> Result<Vec<serde_json::Value>, Failure> {
    ask_within(inner, peer, request, ANSWER_TIME_MAX).await
}

/// The same, about what may take longer.
async fn ask_within(
    inner: &Inner,
    peer: PeerId,
    request: &Request,
    time_max: Duration,
) -> Result<Vec<serde_json::Value>, Failure> {
    let json = serde_json::to_string(request).map_err(|error| internal(&error))?;
    let call = inner.network.call(peer, control::Request::Operator { json }, time_max);
    match call.await {
        Ok(control::Response::Operator { json }) => {
            let answer: Result<Vec<serde_json::Value>, Failure> =
                serde_json::from_str(&json).map_err(|error| internal(&error))?;
            answer
        }
        Ok(_) => Err(Failure::new(ErrorCode::Internal, "the peer's answer is not one to this request")),
        Err(error) if error.errno == Errno::NoPeer.number() => Err(Failure::no_peer(peer)),
        Err(error) => Err(from_failure(error, None)),
    }
}

/// Answers another peer's operator.
pub(crate) async fn answer_peer(
    inner: &Arc<Inner>,
    from: PeerId,
    text: &str,
) -> Result<control::Response, control::Failure> {
    let request: Request =
        serde_json::from_str(text).map_err(|error| failure(Errno::Invalid, format!("{error}")))?;
    tracing::debug!(peer = %from, "an operator's request from another peer");
    let answer: Result<Vec<serde_json::Value>, Failure> = match &request {
        // One that has ended would do again what it did with the authority of its origin, which may be this peer.
        Request::Restart { id } => match inner.root.restart(*id, || inner.processes.restart_live(*id)) {
            Err(SpawnError::NotFound) => Err(Failure::new(
                ErrorCode::Refused,
                format!("process `{id}` has ended; only an operator of its own peer can start it again"),
            )),
            done => restarted(*id, done),
        },
        Request::Replace { id, module } => inner.replace(from, *id, Some(*module)).await.and_then(one),
        Request::Rollback { id } => inner.replace(from, *id, None).await.and_then(one),
        _ => answer_here(inner, request),
    };
    let json = serde_json::to_string(&answer).map_err(|error| failure(Errno::Host, error))?;
    Ok(control::Response::Operator { json })
}

/// Answers another peer that reads a log.
pub(crate) async fn answer_log(
    inner: &Inner,
    process: ProcessId,
    from_line: u64,
    lines: u32,
    wait_ms: u32,
) -> Result<control::Response, control::Failure> {
    let gone = || failure(Errno::NotFound, format!("no such process `{process}`"));
    let most = lines.clamp(1, LOG_LINES_MAX) as usize;
    let newest = inner.processes.log_lines(process, 1).ok_or_else(gone)?;
    let mut follower = inner.processes.follow_log(process).ok_or_else(gone)?;
    // The next line is known also when none of those that are there is wanted.
    let mut next_line = match from_line {
        u64::MAX => newest.last().map_or(0, |line| line.number + 1),
        next => next,
    };
    if from_line == u64::MAX {
        follower.keep_last(lines as usize);
    }
    let first = if from_line == u64::MAX { 0 } else { from_line };
    let mut events: Vec<String> = Vec::new();
    let mut bytes = 0;
    let deadline = tokio::time::Instant::now() + Duration::from_millis(wait_ms.into()).min(LOG_WAIT_MAX);
    let mut is_ended = false;
    while events.len() < most && bytes < LOG_BYTES_MAX {
        // What is there is taken at once; only an empty answer waits.
        let until = if events.is_empty() { deadline } else { tokio::time::Instant::now() };
        let next = tokio::select! {
            biased;
            next = follower.next() => next,
            () = tokio::time::sleep_until(until) => break,
        };
        match next {
            Some(FollowEvent::Line(line)) if line.number >= first => {
                // Lines that came and went between two questions.
                if from_line != u64::MAX && line.number > next_line {
                    events.push(encode_event(&LogEvent::Lost { lines: line.number - next_line })?);
                }
                next_line = line.number + 1;
                let event = encode_event(&log_event(&line))?;
                bytes += event.len();
                events.push(event);
            }
            Some(FollowEvent::Line(_)) => {}
            // The number of the next line tells it.
            Some(FollowEvent::Lost(_)) => {}
            None => {
                is_ended = true;
                break;
            }
        }
    }
    if is_ended {
        events.push(encode_event(&ended(&inner.processes.exited(process).await))?);
    }
    Ok(control::Response::Log { lines: events, next_line, ended: is_ended })
}

fn encode_event(event: &LogEvent) -> Result<String, control::Failure> {
    serde_json::to_string(event).map_err(|error| failure(Errno::Host, error))
}

fn log_event(line: &LogLine) -> LogEvent {
    use hearth_process::Level as L;
    LogEvent::Line {
        time_ms: millis(line.time),
        level: match line.level {
            L::Error => Level::Error,
            L::Warn => Level::Warn,
            L::Info => Level::Info,
            L::Debug => Level::Debug,
            L::Trace => Level::Trace,
        },
        target: line.target.clone(),
        text: line.text.clone(),
    }
}

fn ended(reason: &ExitReason) -> LogEvent {
    use hearth_process::ExitKind as K;
    LogEvent::Ended {
        kind: match reason.kind {
            K::Normal => ExitKind::Normal,
            K::Error => ExitKind::Error,
            K::Killed => ExitKind::Killed,
            K::Trap => ExitKind::Trap,
            K::Limit => ExitKind::Limit,
            K::Load => ExitKind::Load,
            K::Shutdown => ExitKind::Shutdown,
            K::Kill => ExitKind::Kill,
            K::NoProcess => ExitKind::Noproc,
            K::NoConnection => ExitKind::Noconnection,
            _ => ExitKind::Unknown,
        },
        reason: reason.text.clone().into_owned(),
        backtrace: reason.backtrace.clone(),
    }
}

/// An answer of one value.
fn one(value: impl Serialize) -> Result<Vec<serde_json::Value>, Failure> {
    Ok(vec![json(&value)?])
}

fn json(value: &impl Serialize) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(value).map_err(|error| internal(&error))
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn internal(error: &dyn std::error::Error) -> Failure {
    Failure::new(ErrorCode::Internal, chain(error))
}

fn storage(error: &dyn std::error::Error) -> Failure {
    Failure::new(ErrorCode::Storage, chain(error))
}

fn lump_failure(error: &LumpError) -> Failure {
    match error {
        LumpError::NotFound(id) => Failure::no_lump(*id),
        LumpError::TimedOut(_) => Failure::new(ErrorCode::TimedOut, error.to_string()),
        _ => storage(error),
    }
}

fn send_failure(error: SendError, to: ProcessId) -> Failure {
    match error {
        SendError::NotFound => Failure::no_such_process(to),
        SendError::NoPeer => Failure::no_peer(to.peer()),
        error => Failure::new(ErrorCode::Limit, format!("could not send to `{to}`: {error}")),
    }
}

/// What another peer, or this one's node, says of a failure, in the operator's words.
pub(crate) fn from_failure(error: control::Failure, process: Option<ProcessId>) -> Failure {
    let code = match Errno::from_number(error.errno) {
        Some(Errno::NotFound) => match process {
            Some(id) => return Failure::no_such_process(id),
            None => ErrorCode::NotFound,
        },
        Some(Errno::NoPeer) => ErrorCode::NoPeer,
        Some(Errno::Permission) => ErrorCode::Refused,
        Some(Errno::Taken) => ErrorCode::Taken,
        Some(Errno::TimedOut) => ErrorCode::TimedOut,
        Some(Errno::Full | Errno::Limit) => ErrorCode::Limit,
        Some(Errno::Invalid) => ErrorCode::Invalid,
        Some(Errno::Malformed | Errno::Module) => ErrorCode::Malformed,
        Some(Errno::Unsupported) => ErrorCode::Unsupported,
        _ => ErrorCode::Internal,
    };
    let failure = Failure::new(code, error.reason);
    match code {
        ErrorCode::NoPeer => failure.with_hint("`hearth-ctl list-peers` shows who is here"),
        _ => failure,
    }
}

/// Memory that the system counts for this program.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Reads the pieces of a body that come from an async task; an end that was not told is an error.
struct Pieces {
    queued: mpsc::Receiver<Option<Bytes>>,
    piece: Bytes,
    ended: bool,
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.ended {
            match self.queued.blocking_recv() {
                Some(Some(bytes)) => self.piece = bytes,
                Some(None) => self.ended = true,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let len = out.len().min(self.piece.len());
        out[..len].copy_from_slice(&self.piece.split_to(len));
        Ok(len)
    }
}

/// A process of the host that hears one message: what replies to an operator are sent to.
struct Ear(Mutex<Option<oneshot::Sender<Bytes>>>);

impl Ear {
    fn spec(me: PeerId) -> (Spec, oneshot::Receiver<Bytes>) {
        let (tell, heard) = oneshot::channel();
        let spec = Spec {
            program: Arc::new(Ear(Mutex::new(Some(tell)))),
            module: None,
            origin: me,
            parent: None,
            name: None,
            args: Bytes::new(),
            limits: hearth_process::Limits::default(),
        };
        (spec, heard)
    }
}

impl Program for Ear {
    fn run(self: Arc<Self>, context: Context) -> Work {
        Work::whole(async move {
            // Nobody waits for what one that was started anew would hear.
            let Some(mut tell) = self.0.lock().take() else { return ExitReason::normal() };
            context.started();
            loop {
                tokio::select! {
                    _ = context.wait(State::Parked) => {}
                    // Its operator is gone, or waits no longer.
                    () = tell.closed() => return ExitReason::normal(),
                }
                if let Take::Signal(signal) = context.take(usize::MAX)
                    && signal.header.kind == Kind::Message
                {
                    let _ = tell.send(signal.body.into_bytes());
                    return ExitReason::normal();
                }
            }
        })
    }
}
