// SPDX-License-Identifier: AGPL-3.0-or-later
//! What peers carry for each other, encrypted and through the server, beside Erlang and scp in the same run.
//!
//! `cargo bench -p hearth-node --bench peers` prints a table; all peers are in this one program, over
//! loopback sockets. `HEARTH_BENCH_QUICK=1` makes everything small, to see whether it works.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a program for people")]

use bytes::Bytes;
use futures::future::join_all;
use hearth_abi::{LumpId, ProcessId};
use hearth_node::{
    ClientOptions, KsfBounds, KsfParams, Node, Password, RunningClient, RunningServer, ServerOptions, join,
    serve,
};
use hearth_process::{Context, ExitReason, FollowEvent, Limits, Program, Spec, State, Take, Work};
use parking_lot::Mutex;
use std::{
    fs,
    io::{BufRead as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

const LONG: Duration = Duration::from_secs(600);
const QUICK: KsfParams = KsfParams { memory_kib: 64, passes: 1, lanes: 1 };

struct Sizes {
    messages: u64,
    rounds: usize,
    small_lumps: u32,
    lumps_mib: [usize; 2],
}

fn sizes() -> Sizes {
    match std::env::var_os("HEARTH_BENCH_QUICK") {
        Some(_) => Sizes { messages: 100_000, rounds: 1000, small_lumps: 200, lumps_mib: [32, 64] },
        None => Sizes { messages: 2_000_000, rounds: 10_000, small_lumps: 2000, lumps_mib: [512, 1024] },
    }
}

#[tokio::main]
async fn main() {
    let sizes = sizes();
    let dir = tempfile::tempdir().unwrap();
    let space = Space::start(dir.path()).await;
    println!("{} cores; times and rates of the wall clock\n", std::thread::available_parallelism().unwrap());
    messages(&space, &sizes).await;
    calls_beside_a_lump(&space, &sizes).await;
    lumps(&space, &sizes).await;
    small_lumps(&space, &sizes).await;
    space.stop().await;
}

fn row(what: &str, value: String, note: &str) {
    println!("{what:<58} {value:>16}  {note}");
}

/// A server and two clients.
struct Space {
    dir: PathBuf,
    server: RunningServer,
    ada: RunningClient,
    bob: RunningClient,
}

impl Space {
    async fn start(dir: &Path) -> Space {
        let password = Password::generate();
        let mut options = ServerOptions::new(dir.join("server"), "127.0.0.1:0");
        options.password = Some(password.clone());
        options.ksf = QUICK;
        options.boot = false;
        options.runtime_dir = Some(dir.join("run"));
        let server = serve(options).await.unwrap();
        let client = async |name: &str| {
            let address = server.address.to_string();
            let mut options = ClientOptions::new(dir.join(name), address, name, password.clone());
            options.ksf_bounds = KsfBounds { memory_kib_min: 64, ..KsfBounds::default() };
            options.boot = false;
            options.runtime_dir = Some(dir.join("run"));
            join(options).await.unwrap()
        };
        let (ada, bob) = (client("ada").await, client("bob").await);
        Space { dir: dir.to_owned(), server, ada, bob }
    }

    async fn stop(self) {
        for node in [&self.ada.node, &self.bob.node, &self.server.node] {
            node.shut_down();
        }
        self.ada.ended().await.unwrap();
        self.bob.ended().await.unwrap();
        self.server.ended().await;
    }
}

const HEAD: &str = r#"
  (import "hearth/1" "try_recv" (func $try_recv (param i32 i32) (result i32)))
  (import "hearth/1" "send" (func $send (param i64 i32 i32) (result i32)))
  (import "hearth/1" "log" (func $log (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $from (result i64) (i64.load (i32.const 8)))"#;

/// Messages that are under way are at most four of these, which a mailbox holds.
const BURST: u64 = 1000;

/// Answers every message whose first byte is not zero with 64 bytes.
fn sink() -> Bytes {
    let text = format!(
        r#"(module {HEAD} (func (export "start")) (func (export "wake")
          (loop $next (if (i32.ge_s (call $try_recv (i32.const 0) (i32.const 1024)) (i32.const 0)) (then
            (if (i32.load8_u (i32.const 24)) (then
              (drop (call $send (call $from) (i32.const 24) (i32.const 64)))))
            (br $next))))))"#
    );
    wat::parse_str(text).unwrap().into()
}

/// Is sent the id of a sink and a number of bursts, sends them, and logs when all were answered.
fn pump() -> Bytes {
    let text = format!(
        r#"(module {HEAD}
      (global $to (mut i64) (i64.const 0)) (global $left (mut i64) (i64.const 0))
      (global $open (mut i64) (i64.const 0))
      (func $burst (local $n i32)
        (if (i64.eqz (global.get $left)) (then (return)))
        (global.set $left (i64.sub (global.get $left) (i64.const 1)))
        (global.set $open (i64.add (global.get $open) (i64.const 1)))
        (i32.store8 (i32.const 2048) (i32.const 0))
        (local.set $n (i32.const {plain}))
        (loop $next
          (drop (call $send (global.get $to) (i32.const 2048) (i32.const 64)))
          (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (i32.store8 (i32.const 2048) (i32.const 1))
        (drop (call $send (global.get $to) (i32.const 2048) (i32.const 64))))
      (func (export "start"))
      (func (export "wake")
        (loop $next (if (i32.ge_s (call $try_recv (i32.const 0) (i32.const 1024)) (i32.const 0)) (then
          (if (i64.eqz (call $from))
            (then
              (global.set $to (i64.load (i32.const 24)))
              (global.set $left (i64.load (i32.const 32)))
              (call $burst) (call $burst) (call $burst))
            (else
              (global.set $open (i64.sub (global.get $open) (i64.const 1)))
              (call $burst)
              (if (i64.eqz (global.get $open)) (then
                (drop (call $log (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1)))))))
          (br $next))))))"#,
        plain = BURST - 1
    );
    wat::parse_str(text).unwrap().into()
}

async fn start(node: &Node, module: Bytes) -> ProcessId {
    let module = node.put_lump(module).await.unwrap();
    node.spawn(node.id(), module, None, &[]).await.unwrap()
}

/// Plays ping-pong with a process until told to stop, at least so often.
struct Pinger {
    to: ProcessId,
    rounds: usize,
    stop: Arc<AtomicBool>,
    tell: Mutex<Option<oneshot::Sender<Vec<Duration>>>>,
}

impl Program for Pinger {
    fn run(self: Arc<Self>, context: Context) -> Work {
        Work::whole(async move {
            context.started();
            let mut times = Vec::new();
            while times.len() < self.rounds || !self.stop.load(Ordering::Relaxed) {
                let start = Instant::now();
                context.send(self.to, &[1; 64]).unwrap();
                while !matches!(context.take(usize::MAX), Take::Signal(_)) {
                    context.wait(State::Waiting).await;
                }
                times.push(start.elapsed());
            }
            let tell = self.tell.lock().take().unwrap();
            tell.send(times).unwrap();
            ExitReason::normal()
        })
    }
}

fn ping(
    node: &Node,
    to: ProcessId,
    rounds: usize,
    stop: &Arc<AtomicBool>,
) -> oneshot::Receiver<Vec<Duration>> {
    let (tell, times) = oneshot::channel();
    let pinger = Pinger { to, rounds, stop: stop.clone(), tell: Mutex::new(Some(tell)) };
    let spec = Spec {
        program: Arc::new(pinger),
        module: None,
        origin: node.id(),
        parent: None,
        name: None,
        args: Bytes::new(),
        limits: Limits::default(),
    };
    node.processes().spawn(spec).unwrap();
    times
}

/// Median and 99th of a hundred, in microseconds.
fn quantiles(times: &mut [Duration]) -> [f64; 2] {
    times.sort_unstable();
    [50, 99].map(|percent| times[times.len() * percent / 100].as_secs_f64() * 1e6)
}

fn show([p50, p99]: [f64; 2]) -> String {
    format!("{p50:.0} / {p99:.0} us")
}

async fn messages(space: &Space, sizes: &Sizes) {
    let (ada, bob) = (&space.ada.node, &space.bob.node);
    let (sink, pump) = (start(bob, sink()).await, start(ada, pump()).await);
    let mut log = ada.processes().follow_log(pump).unwrap();
    let mut rate = 0.0;
    for messages in [sizes.messages / 20, sizes.messages] {
        let bursts = messages / BURST;
        let body = [sink.to_bits().to_le_bytes(), bursts.to_le_bytes()].concat();
        let begun = Instant::now();
        ada.processes().send(ProcessId::from_bits(0), pump, body.into()).unwrap();
        assert!(matches!(log.next().await, Some(FollowEvent::Line(_))));
        rate = (bursts * BURST) as f64 / begun.elapsed().as_secs_f64();
    }
    let done = Arc::new(AtomicBool::new(true));
    ping(ada, sink, 1000, &done).await.unwrap();
    let ours = quantiles(&mut ping(ada, sink, sizes.rounds, &done).await.unwrap());
    row("64-byte messages, client - server - client", format!("{rate:.0}/s"), "encrypted twice, WebAssembly");
    row("round trip of one, p50 / p99", show(ours), "encrypted four times");
    match erlang(&space.dir, sizes) {
        Ok([theirs, p50, p99]) => {
            row("Erlang: node - node, no relay", format!("{theirs:.0}/s"), "plain TCP");
            row("Erlang: round trip, p50 / p99", show([p50, p99]), "");
            println!("ratio of rates {:.1}, of round trips (p50) {:.2}\n", rate / theirs, ours[0] / p50);
        }
        Err(why) => println!("LEFT OUT: Erlang ({why})\n"),
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Ends a rival whatever happens.
struct Rival(Child);

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Messages a second, and the round trip's p50 and p99 in microseconds.
fn erlang(dir: &Path, sizes: &Sizes) -> Result<[f64; 3], String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers.erl");
    let compiled = Command::new("erlc").arg("-o").arg(dir).arg(&source).status();
    if !compiled.map_err(|_none| "package erlang-base is not here")?.success() {
        return Err("it does not compile".into());
    }
    // The nodes find each other at a port of their own: no daemon is left behind.
    let port = free_port().to_string();
    let erl = |name: &str| {
        let mut erl = Command::new("erl");
        erl.args(["-noinput", "-start_epmd", "false", "-erl_epmd_port", &port, "-sname", name]);
        erl.args(["-setcookie", "bench", "-pa"]).arg(dir).env("HOME", dir);
        erl.stdin(Stdio::null()).stderr(Stdio::null());
        erl
    };
    let sink = format!("hearth_sink_{port}@localhost");
    let mut command = erl(&sink);
    let mut child = Rival(command.args(["-run", "peers", "sink"]).stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    std::io::BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut command = erl(&format!("hearth_source_{port}@localhost"));
    command.args(["-dist_listen", "false", "-run", "peers", "source", &sink]);
    let output = command.args([sizes.messages.to_string(), sizes.rounds.to_string()]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let value = |name: &str| -> Option<f64> {
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    match (value("rate "), value("p50 "), value("p99 ")) {
        (Some(rate), Some(p50), Some(p99)) => Ok([rate, p50 / 1e3, p99 / 1e3]),
        _ => Err(format!("it said `{text}`")),
    }
}

/// Bytes that do not compress or repeat.
fn sample(len: usize, seed: u64) -> Bytes {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

async fn fetch(node: &Node, id: LumpId) -> Duration {
    let begun = Instant::now();
    node.fetch_lump(id, LONG).await.unwrap();
    begun.elapsed()
}

async fn calls_beside_a_lump(space: &Space, sizes: &Sizes) {
    let (ada, server) = (&space.ada.node, &space.server.node);
    let mib = sizes.lumps_mib[1];
    let id = server.put_lump(sample(mib << 20, 1)).await.unwrap();
    let sink = start(server, sink()).await;
    let stop = Arc::new(AtomicBool::new(true));
    let idle = quantiles(&mut ping(ada, sink, sizes.rounds, &stop).await.unwrap());
    stop.store(false, Ordering::Relaxed);
    let times = ping(ada, sink, 100, &stop);
    let time = fetch(ada, id).await;
    stop.store(true, Ordering::Relaxed);
    let mut times = times.await.unwrap();
    let beside = quantiles(&mut times);
    row("call of the server's process, idle, p50 / p99", show(idle), "");
    row(
        &format!("the same beside a lump of {mib} MiB on the connection"),
        show(beside),
        &format!("{} calls in {:.1} s; 400 us p50 is what was asked for", times.len(), time.as_secs_f64()),
    );
    println!();
}

async fn lumps(space: &Space, sizes: &Sizes) {
    let sshd = Sshd::start(&space.dir);
    for mib in sizes.lumps_mib {
        let mib_per_s = |time: Duration| mib as f64 / time.as_secs_f64();
        let (down, up) = (sample(mib << 20, 2), sample(mib << 20, 3));
        let file = space.dir.join("rival");
        fs::write(&file, &down).unwrap();
        let id = space.server.node.put_lump(down).await.unwrap();
        let down = mib_per_s(fetch(&space.ada.node, id).await);
        let id = space.ada.node.put_lump(up).await.unwrap();
        let up = mib_per_s(fetch(&space.server.node, id).await);
        let note = "verified, durable";
        row(&format!("lump of {mib} MiB, server to client"), format!("{down:.0} MiB/s"), note);
        row(&format!("lump of {mib} MiB, client to server"), format!("{up:.0} MiB/s"), note);
        match &sshd {
            Ok(sshd) => {
                let (plain, synced) = sshd.copy(&file);
                let (plain, synced) = (mib_per_s(plain), mib_per_s(synced));
                row(&format!("scp of {mib} MiB"), format!("{plain:.0} MiB/s"), "its default cipher");
                row("scp, and a sync of the file", format!("{synced:.0} MiB/s"), "");
                println!("ratio to scp {:.2}, to scp with a sync {:.2}\n", down / plain, down / synced);
            }
            Err(why) => println!("LEFT OUT: scp ({why})\n"),
        }
    }
}

async fn small_lumps(space: &Space, sizes: &Sizes) {
    let puts = (0..sizes.small_lumps).map(|n| space.server.node.put_lump(sample(1024, 100 + u64::from(n))));
    let begun = Instant::now();
    let ids: Vec<LumpId> = join_all(puts).await.into_iter().map(Result::unwrap).collect();
    let rate = |begun: Instant| f64::from(sizes.small_lumps) / begun.elapsed().as_secs_f64();
    row(&format!("put of {} lumps of 1 KiB", sizes.small_lumps), format!("{:.0}/s", rate(begun)), "durable");
    let begun = Instant::now();
    for fetched in join_all(ids.iter().map(|id| space.ada.node.fetch_lump(*id, LONG))).await {
        fetched.unwrap();
    }
    row("fetched by a client, all wanted at once", format!("{:.0}/s", rate(begun)), "durable");
}

/// An SSH server of this user, with keys of its own.
struct Sshd {
    _server: Rival,
    dir: PathBuf,
    port: u16,
}

impl Sshd {
    fn start(dir: &Path) -> Result<Sshd, String> {
        let sshd =
            ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].map(Path::new).into_iter().find(|path| path.exists());
        let sshd = sshd.ok_or("package openssh-server is not here")?;
        let dir = dir.join("ssh");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        for name in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(name));
            if !keygen.status().is_ok_and(|status| status.success()) {
                return Err("ssh-keygen does not work".into());
            }
        }
        fs::copy(dir.join("user.pub"), dir.join("authorized")).unwrap();
        let port = free_port();
        let config = dir.join("config");
        let mut file = fs::File::create(&config).unwrap();
        let at = |name| dir.join(name).display().to_string();
        write!(
            file,
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n\
             Subsystem sftp internal-sftp\n",
            at("host"),
            at("authorized")
        )
        .unwrap();
        // The folder that it locks strangers up in, if it runs as root.
        let _ = fs::create_dir("/run/sshd");
        let mut command = Command::new(sshd);
        command.arg("-D").arg("-e").arg("-f").arg(&config).stderr(fs::File::create(dir.join("log")).unwrap());
        let mut server = Rival(command.spawn().map_err(|error| error.to_string())?);
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.0.try_wait().unwrap().is_some();
            if ended || begun.elapsed() > Duration::from_secs(10) {
                let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
                return Err(format!("sshd does not start: {}", log.lines().last().unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Sshd { _server: server, dir, port })
    }

    /// Copies a file from the server: the time until scp has ended, and until the copy is on the disk.
    fn copy(&self, file: &Path) -> (Duration, Duration) {
        let copy = self.dir.join("copy");
        let begun = Instant::now();
        let mut scp = Command::new("scp");
        scp.args(["-q", "-B", "-F", "none", "-P", &self.port.to_string(), "-i"]).arg(self.dir.join("user"));
        scp.args(["-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]);
        scp.arg("-o").arg(format!("UserKnownHostsFile={}", self.dir.join("known").display()));
        scp.arg(format!("127.0.0.1:{}", file.display())).arg(&copy);
        assert!(scp.status().unwrap().success(), "scp fails");
        let copied = begun.elapsed();
        fs::File::open(&copy).unwrap().sync_all().unwrap();
        let synced = begun.elapsed();
        fs::remove_file(&copy).unwrap();
        (copied, synced)
    }
}
