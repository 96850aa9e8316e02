// SPDX-License-Identifier: AGPL-3.0-or-later
//! A peer that has a few things of each kind, on a real socket, and runs the real `hearth-ctl`.
#![allow(dead_code, reason = "each test program uses a part of it")]

use futures::future::BoxFuture;
use hearth_abi::{LumpId, PeerId, ProcessId, TerminalId};
use hearth_ipc::{Exchange, Operator, RuntimeDir, Server};
use hearth_protocol::control::Grantable;
use hearth_protocol::operator::{
    AssetInfo, AssetState, ErrorCode, ExitKind, Failure, GrantInfo, Killed, Level, LimitInfo, LogEvent,
    LumpInfo, PeerInfo, PictureInfo, ProcessInfo, ProcessState, Replaced, Request, Role, SEND_BYTES_MAX,
    ScreenInfo, ServiceInfo, ServiceState, Spawned, Status, TerminalInfo,
};
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};
use tokio::{runtime::Runtime, sync::watch};

/// Things take as long as they take, but not this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Ids of lumps with this first byte are the ones that are there.
pub(crate) const LUMP: &str = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";
pub(crate) const NO_LUMP: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

/// Bytes of the lump that is there.
pub(crate) fn lump_bytes() -> Vec<u8> {
    (0..3_000_000u32).map(|n| n as u8).collect()
}

pub(crate) struct Fake {
    runtime: Option<Runtime>,
    folder: tempfile::TempDir,
    pub(crate) socket: PathBuf,
    peer: Arc<Peer>,
    seen: mpsc::Receiver<(Request, Vec<u8>)>,
}

struct Peer {
    seen: mpsc::SyncSender<(Request, Vec<u8>)>,
    /// How the process that `run` and `dev` follow has ended.
    ended: watch::Sender<Option<(ExitKind, String)>>,
    /// What it runs, and its name.
    module: Mutex<LumpId>,
    name: Mutex<String>,
    /// Whether a process of the name `slow` starts.
    starts: watch::Sender<bool>,
}

impl Peer {
    fn new() -> (Arc<Peer>, mpsc::Receiver<(Request, Vec<u8>)>) {
        let (to, seen) = mpsc::sync_channel(1000);
        let (ended, module, starts) =
            (watch::Sender::new(None), Mutex::new(lump()), watch::Sender::new(false));
        (Arc::new(Peer { seen: to, ended, module, name: Mutex::default(), starts }), seen)
    }

    /// The module of the process that `dev` follows, if it runs.
    fn runs(&self) -> Option<LumpId> {
        self.ended.borrow().is_none().then(|| *self.module.lock().unwrap())
    }
}

impl Fake {
    pub(crate) fn start() -> Fake {
        let folder = tempfile::tempdir().unwrap();
        let (peer, seen) = Peer::new();
        let mut fake = Fake { runtime: None, folder, socket: PathBuf::new(), peer, seen };
        fake.start_again();
        fake
    }

    /// Starts the peer after it was stopped. It has forgotten nothing.
    pub(crate) fn start_again(&mut self) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        self.runtime = Some(runtime);
        self.socket = self.serve("server-a1b2", Arc::clone(&self.peer));
    }

    /// Stops the peer, as a crash does.
    pub(crate) fn stop(&mut self) {
        self.runtime.take().unwrap().shutdown_timeout(PATIENCE);
    }

    /// A second peer of the same user.
    pub(crate) fn second(&self, name: &str) -> PathBuf {
        self.serve(name, Peer::new().0)
    }

    fn serve(&self, name: &str, peer: Arc<Peer>) -> PathBuf {
        let runtime = self.runtime.as_ref().unwrap();
        let _inside = runtime.enter();
        let server = Server::bind(&RuntimeDir::open(&self.run_dir()).unwrap(), name).unwrap();
        let path = server.path().to_path_buf();
        runtime.spawn(server.serve(peer));
        path
    }

    /// The process that `dev` follows runs this from now on, whoever has given it that.
    pub(crate) fn gives(&self, module: LumpId) {
        *self.peer.module.lock().unwrap() = module;
    }

    /// That process ends.
    pub(crate) fn ends(&self, kind: ExitKind, reason: &str) {
        self.peer.ended.send_replace(Some((kind, reason.into())));
    }

    /// Answers whoever waits for the start of a process of the name `slow`.
    pub(crate) fn starts(&self) {
        self.peer.starts.send_replace(true);
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// A file in a folder of its own.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().into()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, with nothing of the environment that could lead it elsewhere.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_hearth-ctl")), args)
    }

    /// The program where a test has put it.
    pub(crate) fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        self.prepare(command.args(args));
        command
    }

    /// The program on a terminal of 100 columns.
    pub(crate) fn on_terminal(&self, args: &[&str]) -> Command {
        let quoted: Vec<String> = args.iter().map(|arg| format!("'{arg}'")).collect();
        let line = format!("stty cols 100; '{}' {}", env!("CARGO_BIN_EXE_hearth-ctl"), quoted.join(" "));
        let mut command = Command::new("script");
        self.prepare(command.args(["-qec", &line, "/dev/null"]));
        command.env("TERM", "xterm").env("SHELL", "/bin/sh");
        command
    }

    fn prepare(&self, command: &mut Command) {
        command.env("HEARTH_RUNTIME_DIR", self.run_dir()).env_remove("HEARTH_SOCKET").env_remove("NO_COLOR");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    pub(crate) fn run(&self, args: &[&str], input: &[u8]) -> Output {
        finish(self.command(args), input)
    }

    /// Runs the program and compares everything that can be seen of it.
    #[track_caller]
    pub(crate) fn check(
        &self,
        args: &[&str],
        input: &str,
        expect_code: i32,
        expect_out: &str,
        expect_error: &str,
    ) {
        let output = self.run(args, input.as_bytes());
        let text = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes).replace(self.folder.path().to_str().unwrap(), "DIR")
        };
        let seen = (output.status.code(), text(&output.stdout), text(&output.stderr));
        assert_eq!(seen, (Some(expect_code), expect_out.to_string(), expect_error.to_string()), "{args:?}");
    }

    /// The next request that came, and its body.
    #[track_caller]
    pub(crate) fn saw(&self) -> (Request, Vec<u8>) {
        self.seen.recv_timeout(PATIENCE).unwrap()
    }

    /// Forgets what came.
    pub(crate) fn forget(&self) {
        while self.seen.try_recv().is_ok() {}
    }
}

pub(crate) fn finish(mut command: Command, input: &[u8]) -> Output {
    let mut child = command.spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let input = input.to_vec();
    // One that does not want its input may have ended.
    let writer = std::thread::spawn(move || drop(to.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// What is read until this text has come.
pub(crate) fn read_until(from: &mut impl Read, text: &str) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&seen).contains(text) {
        assert_eq!(
            from.read(&mut byte).unwrap(),
            1,
            "ended without `{text}`: {}",
            String::from_utf8_lossy(&seen)
        );
        seen.push(byte[0]);
    }
    String::from_utf8(seen).unwrap()
}

pub(crate) fn process(serial: u64) -> ProcessId {
    ProcessId::new(PeerId::SERVER, serial).unwrap()
}

fn lump() -> LumpId {
    LUMP.parse().unwrap()
}

/// What peer 5 has: a supervisor, two services of which one is given up, and what they spawned.
fn family() -> (Vec<ServiceInfo>, Vec<ProcessInfo>) {
    let id = |serial| ProcessId::new(PeerId::new(5).unwrap(), serial).unwrap();
    let one = ServiceInfo {
        name: "sky".into(),
        state: ServiceState::Running,
        process: Some(id(4)),
        supervisor: Some(id(2)),
        restart: "transient".into(),
        restarts: 2,
        needs: vec!["sea".into()],
        reason: Some("5.3 ended: unreachable".into()),
    };
    let other = ServiceInfo {
        name: "sea".into(),
        state: ServiceState::GivenUp,
        process: None,
        restarts: 0,
        needs: vec![],
        reason: Some("could not read `sea\t.wasm`".into()),
        ..one.clone()
    };
    let process = |serial, names: &[&str], parent, links: &[u64]| ProcessInfo {
        id: id(serial),
        names: names.iter().map(ToString::to_string).collect(),
        parent,
        links: links.iter().map(|serial| id(*serial)).collect(),
        ..processes().remove(0)
    };
    let processes = vec![
        process(2, &[], None, &[]),
        process(4, &["sky", "weather"], Some(id(1)), &[]),
        process(6, &["cloud"], Some(id(4)), &[7]),
        process(7, &[], Some(id(6)), &[6]),
        process(8, &["rain"], Some(id(4)), &[]),
        process(9, &["guest"], Some(ProcessId::new(PeerId::SERVER, 17).unwrap()), &[]),
        // What cannot be.
        process(10, &["hen"], Some(id(11)), &[]),
        process(11, &["egg"], Some(id(10)), &[]),
    ];
    (vec![other, one], processes)
}

fn processes() -> Vec<ProcessInfo> {
    let one = ProcessInfo {
        id: process(17),
        names: vec!["sky".into(), "weather".into()],
        state: ProcessState::Parked,
        lane: "fiber".into(),
        mailbox_signals: 3,
        mailbox_bytes: 2048,
        memory_bytes: 1_179_648,
        cpu_ns: 12_345_678,
        throttled_ns: 0,
        module: Some(lump()),
        origin: PeerId::SERVER,
        parent: Some(process(1)),
        links: vec![],
        started_ms: 1_795_410_000_123,
        messages_received: 99,
        limits: BTreeMap::from([
            ("children".into(), LimitInfo { used: Some(65_536), max: Some(65_536), reached: 2 }),
            ("memory_bytes".into(), LimitInfo { used: Some(1_179_648), max: Some(67_108_864), reached: 0 }),
            ("spawns_per_s".into(), LimitInfo { used: None, max: None, reached: 0 }),
        ]),
        history: vec![],
        history_index: None,
        memory_bytes_max: None,
        mailbox_signals_max: None,
        mailbox_bytes_max: None,
    };
    let two = ProcessInfo {
        id: ProcessId::new(PeerId::new(3).unwrap(), 4).unwrap(),
        names: vec![],
        state: ProcessState::Running,
        mailbox_signals: 0,
        module: None,
        parent: None,
        limits: BTreeMap::new(),
        ..one.clone()
    };
    vec![one, two]
}

fn peers() -> Vec<PeerInfo> {
    let server = PeerInfo {
        id: PeerId::SERVER,
        name: "home".into(),
        address: Some("192.0.2.1:9000".into()),
        version: "0.1.0".into(),
        system: "linux x86_64".into(),
        offers: vec![],
        round_trip_us: None,
        this: true,
    };
    let client = |number: u32, name: &str| PeerInfo {
        id: PeerId::new(number).unwrap(),
        name: name.into(),
        address: None,
        offers: vec!["picture".into(), "keys".into()],
        round_trip_us: Some(371),
        this: false,
        ..server.clone()
    };
    vec![server.clone(), client(3, "ann"), client(4, "bob\tby"), client(5, "twin"), client(6, "twin")]
}

fn line(level: Level, target: &str, text: &str) -> LogEvent {
    LogEvent::Line { time_ms: 1_795_410_000_123, level, target: target.into(), text: text.into() }
}

fn ended(kind: ExitKind, reason: &str) -> LogEvent {
    LogEvent::Ended { kind, reason: reason.into(), backtrace: None }
}

impl Operator for Peer {
    fn handle<'a>(&'a self, request: Request, io: &'a mut Exchange) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let body = io.read_all(64 << 20).await?.to_vec();
            // Tests that do not look at what came leave it there.
            let _ = self.seen.try_send((request.clone(), body.clone()));
            self.answer(request, body, io).await
        })
    }
}

impl Peer {
    async fn answer(&self, request: Request, body: Vec<u8>, io: &mut Exchange) -> Result<(), Failure> {
        match request {
            Request::LoadLump {} => {
                // Bodies that end in `version` and a letter have names of their own.
                let id = match &body[..] {
                    [.., b'v', b'e', b'r', b's', b'i', b'o', b'n', letter] => LumpId([*letter; 32]),
                    _ => lump(),
                };
                io.reply(&LumpInfo { id, size: body.len() as u64, pinned: false }).await?;
            }
            Request::GetLump { id } | Request::Pin { id } | Request::Unpin { id } if id != lump() => {
                return Err(Failure::no_lump(id));
            }
            Request::GetLump { id } => {
                let bytes = lump_bytes();
                io.reply(&LumpInfo { id, size: bytes.len() as u64, pinned: false }).await?;
                io.data(&bytes).await?;
            }
            Request::Pin { id } => io.reply(&LumpInfo { id, size: 5, pinned: true }).await?,
            Request::Unpin { id } => io.reply(&LumpInfo { id, size: 5, pinned: false }).await?,
            Request::ListLumps {} => {
                let lump = |n: u64| LumpInfo { id: lump(), size: n * 1000, pinned: n == 1 };
                io.reply_all((0..20_000).map(lump)).await?;
            }
            Request::ListAssets {} => {
                let asset = |class: &str, state, memory_bytes| AssetInfo {
                    id: lump(),
                    class: class.into(),
                    state,
                    memory_bytes,
                    users: 2,
                    holds: 1,
                    reason: None,
                };
                let reason = Some("it has no triangles".to_owned());
                io.reply(&asset("Mesh", AssetState::Ready, 1_500_000)).await?;
                io.reply(&AssetInfo { reason, ..asset("Scene", AssetState::Failed, 0) }).await?;
            }
            Request::ListProcesses { peer: None, .. } => io.reply_all(processes()).await?,
            Request::ListProcesses { peer: Some(id), .. } if id.number() == 3 => {
                io.reply_all(&processes()[1..]).await?
            }
            Request::ListProcesses { peer: Some(id), .. } if id.number() == 5 => {
                io.reply_all(family().1).await?
            }
            Request::ListServices { peer: Some(id), .. } if id.number() == 5 => {
                io.reply_all(family().0).await?
            }
            Request::ListServices { peer: None, .. } => {}
            Request::ListServices { peer: Some(id), .. } => return Err(Failure::no_peer(id)),
            Request::ListProcesses { peer: Some(id), .. } => return Err(Failure::no_peer(id)),
            Request::Spawn { name, module, .. } => match name.as_deref() {
                Some("taken") => {
                    return Err(Failure::new(ErrorCode::Taken, "the name `taken` is in use"));
                }
                Some("normal") => io.reply(&Spawned { id: process(20) }).await?,
                Some("trap") => io.reply(&Spawned { id: process(21) }).await?,
                name => {
                    if name == Some("slow") {
                        let _ = self.starts.subscribe().wait_for(|starts| *starts).await;
                    }
                    self.ended.send_replace(None);
                    *self.name.lock().unwrap() = name.unwrap_or_default().to_owned();
                    *self.module.lock().unwrap() = module;
                    io.reply(&Spawned { id: process(22) }).await?;
                }
            },
            // A peer that hangs when it is to end this.
            Request::Kill { .. } if *self.name.lock().unwrap() == "deaf" => io.hung_up().await,
            Request::Kill { ids, reason } => {
                for id in ids {
                    let error = (id.serial() >= 90).then(|| Failure::no_such_process(id));
                    io.reply(&Killed { id, error }).await?;
                }
                self.ended.send_replace(Some((ExitKind::Killed, reason.unwrap_or_default())));
            }
            Request::Restart { id } if id == process(17) => io.reply(&Spawned { id: process(18) }).await?,
            Request::Replace { id, module } if id == process(17) => {
                io.reply(&Replaced { id, module }).await?
            }
            Request::Replace { id, .. } if id == process(18) => {
                let text = "the code of process `0.18` was not replaced: panic";
                return Err(Failure::new(ErrorCode::DidNotStart, text).with_hint("the code before goes on"));
            }
            // Code that ends in its start.
            Request::Replace { id, module } if id == process(22) && module.0[0] == b'X' => {
                return Err(Failure::new(ErrorCode::DidNotStart, "the new code ended in its start: tea"));
            }
            Request::Replace { id, module } if id == process(22) && self.runs().is_some() => {
                *self.module.lock().unwrap() = module;
                io.reply(&Replaced { id, module }).await?;
            }
            Request::Info { id } if id == process(22) && self.runs().is_some() => {
                io.reply(&ProcessInfo { id, module: self.runs(), ..processes().remove(0) }).await?;
            }
            Request::Notice { .. } => {}
            Request::Rollback { id } if id == process(17) => {
                io.reply(&Replaced { id, module: lump() }).await?;
            }
            Request::Rollback { id } if id == process(18) => {
                return Err(Failure::new(ErrorCode::Refused, "there is no code before the one that runs"));
            }
            Request::Info { id } if id == process(17) => {
                let mut info = processes().remove(0);
                info.history = vec![LumpId([1; 32]), lump(), LumpId([3; 32])];
                info.history_index = Some(1);
                info.memory_bytes_max = Some(64 << 20);
                info.mailbox_signals_max = Some(1000);
                info.throttled_ns = 1_500_000_000;
                io.reply(&info).await?;
            }
            Request::Tail { id, lines, follow } => return self.tail(id, lines, follow, io).await,
            Request::Send { to, reply, timeout_ms } => return send(to, reply, timeout_ms, body, io).await,
            Request::ListTerminals {} => {
                let own = TerminalInfo {
                    id: TerminalId::from_bits(7),
                    columns: 80,
                    rows: 24,
                    title: "vim".into(),
                    owner: Some(process(17)),
                    typists: vec![PeerId::SERVER, PeerId::new(3).unwrap()],
                    status: None,
                };
                let ended = TerminalInfo {
                    status: Some(-9),
                    title: String::new(),
                    typists: Vec::new(),
                    ..own.clone()
                };
                let other = TerminalInfo {
                    id: TerminalId::from_bits(3 << 44 | 1),
                    status: None,
                    owner: None,
                    ..ended.clone()
                };
                io.reply_all([own, ended, other]).await?;
            }
            Request::ShowTerminal { id } if id.serial() == 7 => {
                let text = "$ echo hi\nhi\n\n";
                let cursor = Some([0, 2]);
                let size = text.len() as u64;
                io.reply(&ScreenInfo { id, columns: 80, rows: 3, title: "sh".into(), cursor, size }).await?;
                io.data(text.as_bytes()).await?;
            }
            Request::ShowTerminal { id } => {
                return Err(Failure::new(ErrorCode::NotFound, format!("no terminal `{id}`")));
            }
            Request::Grant { peer, .. } if peer.number() == 9 => return Err(Failure::no_peer(peer)),
            Request::Grant { peer, what } => io.reply(&granted(peer, what)).await?,
            Request::Revoke { peer, what } => io.reply_all([granted(peer, what)]).await?,
            Request::ListGrants {} => {
                let gone =
                    GrantInfo { connected: false, ..granted(PeerId::new(9).unwrap(), Grantable::Terminal) };
                io.reply_all([granted(PeerId::new(3).unwrap(), Grantable::Terminal), gone]).await?;
            }
            Request::ListPeers {} => io.reply_all(peers()).await?,
            Request::Status {} => {
                let status = Status {
                    role: Role::Server,
                    peer: PeerId::SERVER,
                    name: "home".into(),
                    version: "0.1.0".into(),
                    operator_version: 1,
                    pid: 4711,
                    started_ms: 1_795_410_000_123,
                    data: Some("/var/lib/hearth".into()),
                    listen: Some("0.0.0.0:9000".into()),
                    server: None,
                    connected: true,
                    peers: 5,
                    processes: 2,
                    lumps: 3,
                    lump_bytes: 4096,
                    entities: 12,
                    server_key: None,
                    resident_bytes: None,
                };
                io.reply(&status).await?;
            }
            Request::Shutdown {} => {}
            Request::Screenshot { .. } => {
                io.reply(&PictureInfo { width: 2, height: 1, size: 7 }).await?;
                io.data(b"\x89PNG...").await?;
            }
            Request::Passwd {} if body == b"refused" => {
                return Err(Failure::new(
                    ErrorCode::Refused,
                    "only the server of the space changes its password",
                ));
            }
            Request::Passwd {} => {}
            Request::Restart { id } | Request::Info { id } | Request::Replace { id, .. } => {
                return Err(Failure::no_such_process(id));
            }
            other => return Err(Failure::new(ErrorCode::Unsupported, format!("no `{}` here", other.op()))),
        }
        Ok(())
    }

    async fn tail(&self, id: ProcessId, lines: u32, follow: bool, io: &mut Exchange) -> Result<(), Failure> {
        let log = [
            line(Level::Info, "sky", "dawn"),
            line(Level::Warn, "", "two\nlines"),
            LogEvent::Lost { lines: 4 },
            line(Level::Error, "sky", "dusk"),
        ];
        match id.serial() {
            17 => io.reply_all(&log[log.len().saturating_sub(lines as usize)..]).await?,
            20 => io.reply_all([line(Level::Info, "", "done"), ended(ExitKind::Normal, "")]).await?,
            21 => io.reply_all([ended(ExitKind::Trap, "unreachable")]).await?,
            // Writes one line and then nothing until it ends.
            22 => {
                io.reply(&line(Level::Info, "", "ready")).await?;
                let mut ended_now = self.ended.subscribe();
                let (hung_up, ended_now) = (io.hung_up(), ended_now.wait_for(Option::is_some));
                let how = tokio::select! {
                    how = ended_now => how.ok().and_then(|how| how.clone()),
                    () = hung_up => return Ok(()),
                };
                let Some((kind, reason)) = how else { return Ok(()) };
                io.reply(&ended(kind, &reason)).await?;
            }
            // Never stops writing.
            23 if follow => loop {
                io.reply(&line(Level::Info, "", "again")).await?;
            },
            _ => return Err(Failure::no_such_process(id)),
        }
        Ok(())
    }
}

async fn send(
    to: ProcessId,
    reply: bool,
    timeout_ms: Option<u64>,
    body: Vec<u8>,
    io: &mut Exchange,
) -> Result<(), Failure> {
    if body.len() > SEND_BYTES_MAX {
        return Err(Failure::new(ErrorCode::Limit, "too long"));
    }
    match (to.serial(), reply) {
        // Echoes.
        (17, true) => io.data(&body).await?,
        (17, false) => {}
        (18, true) => {
            let text = format!("`{to}` did not reply within {} ms", timeout_ms.unwrap_or_default());
            return Err(Failure::new(ErrorCode::TimedOut, text));
        }
        (19, _) => return Err(Failure::new(ErrorCode::Limit, format!("the mailbox of `{to}` is full"))),
        _ => return Err(Failure::no_such_process(to)),
    }
    Ok(())
}

fn granted(peer: PeerId, what: Grantable) -> GrantInfo {
    GrantInfo { peer, name: format!("peer {peer}"), what, key: "0b".repeat(32), connected: true }
}

/// The path as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
