// SPDX-License-Identifier: AGPL-3.0-or-later
//! A space for tests: a server, clients and bare links in one program, and small guests in WAT.
#![allow(dead_code, reason = "each test file uses a part of it")]

use bytes::Bytes;
use hearth_abi::{LumpId, PeerId, ProcessId};
use hearth_net::{ClientConfig, KnownServers, LinkReceiver, LinkSender, PeerKey};
use hearth_node::{
    ClientOptions, FolderError, KsfBounds, KsfParams, Node, Password, RunningClient, RunningServer,
    ServerOptions, StartError, join, serve,
};
use hearth_process::{FollowEvent, LogFollower};
use hearth_protocol::{
    bulk,
    control::{Control, Peer},
    hot,
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const QUICK: KsfParams = KsfParams { memory_kib: 64, passes: 1, lanes: 1 };
/// Longest wait for something that is to happen: the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) fn quick_bounds() -> KsfBounds {
    KsfBounds { memory_kib_min: 64, ..KsfBounds::default() }
}

/// Waits for what is to happen.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(SOON, future).await {
        Ok(value) => value,
        Err(_elapsed) => panic!("did not happen: {what}"),
    }
}

/// Waits until something is so, that nobody tells of.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    soon(what, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

pub(crate) struct Space {
    /// Data folders and sockets of all peers.
    pub(crate) dir: TempDir,
    pub(crate) server: RunningServer,
    pub(crate) address: String,
}

impl Space {
    pub(crate) async fn start() -> Space {
        Space::start_with(|_options| {}).await
    }

    pub(crate) async fn start_with(change: impl Fn(&mut ServerOptions)) -> Space {
        Space::start_in(tempfile::tempdir().unwrap(), change).await
    }

    pub(crate) async fn start_in(dir: TempDir, change: impl Fn(&mut ServerOptions)) -> Space {
        let start = || {
            let mut options = ServerOptions::new(dir.path().join("server"), "127.0.0.1:0");
            options.password = Some(Password::new(PASSWORD).unwrap());
            options.ksf = QUICK;
            options.boot = false;
            options.runtime_dir = Some(dir.path().join("run"));
            change(&mut options);
            serve(options)
        };
        let server = soon("a server", async {
            loop {
                match start().await {
                    Ok(server) => return server,
                    // What is left of the one before still has the folder.
                    Err(StartError::Folder(FolderError::InUse { .. })) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await;
        let address = server.address.to_string();
        Space { dir, server, address }
    }

    pub(crate) fn node(&self) -> &Node {
        &self.server.node
    }

    pub(crate) fn options(&self, name: &str) -> ClientOptions {
        let password = Password::new(PASSWORD).unwrap();
        let mut options = ClientOptions::new(self.dir.path().join(name), &self.address, name, password);
        options.ksf_bounds = quick_bounds();
        options.boot = false;
        options.runtime_dir = Some(self.dir.path().join("run"));
        options
    }

    pub(crate) async fn join(&self, name: &str) -> RunningClient {
        soon("a client", async {
            loop {
                match join(self.options(name)).await {
                    Ok(client) => return client,
                    // What is left of the one before still has the folder.
                    Err(StartError::Folder(FolderError::InUse { .. })) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await
    }

    /// A bare link that has joined.
    pub(crate) async fn raw(&self, name: &str) -> Raw {
        self.raw_with(name, PeerKey::generate()).await
    }

    pub(crate) async fn raw_with(&self, name: &str, key: PeerKey) -> Raw {
        let known = Arc::new(KnownServers::in_memory());
        let mut config = ClientConfig::new(Password::new(PASSWORD).unwrap(), key, name, known);
        config.ksf_bounds = quick_bounds();
        let link = hearth_net::connect(&self.address, &config).await.unwrap();
        let (sender, mut lanes) = link.split();
        let peer = Peer {
            id: 0,
            name: String::new(),
            key: Vec::new(),
            address: String::new(),
            version: "test".into(),
            system: "test".into(),
            offers: Vec::new(),
        };
        sender.control(Control::Join { peer }.encode().unwrap()).await.unwrap();
        let welcome = soon("a welcome", lanes.control.recv()).await.unwrap();
        let Control::Welcome { peer, .. } = Control::decode(&welcome).unwrap() else {
            panic!("the first frame is no welcome")
        };
        Raw { id: PeerId::new(peer).unwrap(), sender, lanes }
    }

    /// Where the server keeps what has come of a lump until now.
    pub(crate) fn part_of(&self, id: LumpId) -> PathBuf {
        self.dir.path().join("server/lumps/incoming").join(format!("{id}.part"))
    }
}

/// A peer that is only a link, and says what the test says.
pub(crate) struct Raw {
    pub(crate) id: PeerId,
    pub(crate) sender: LinkSender,
    pub(crate) lanes: LinkReceiver,
}

impl Raw {
    /// The next control frame that is not about who is here.
    pub(crate) async fn control(&mut self) -> Control {
        soon("a control frame", async {
            loop {
                let bytes = self.lanes.control.recv().await.expect("the link has ended");
                match Control::decode(&bytes).unwrap() {
                    Control::Joined { .. } | Control::Left { .. } => {}
                    frame => return frame,
                }
            }
        })
        .await
    }

    pub(crate) async fn say(&self, frame: &Control) {
        self.sender.control(frame.encode().unwrap()).await.unwrap();
    }

    pub(crate) async fn bulk(&self, frame: &bulk::Frame) {
        self.sender.bulk(frame.encode()).await.unwrap();
    }

    /// The next wish for a lump: its transfer and its id.
    pub(crate) async fn wanted(&mut self) -> (u32, LumpId) {
        match self.control().await {
            Control::Want { transfer, lump } => (transfer, LumpId(lump)),
            other => panic!("no wish: {other:?}"),
        }
    }

    pub(crate) async fn message(&self, to: ProcessId, from: ProcessId, body: &[u8]) {
        let body = Bytes::copy_from_slice(body);
        self.sender.hot(hot::Frame::Message { to, from, body }.encode()).await.unwrap();
    }

    /// Waits until the other side has ended the link.
    pub(crate) async fn cut_off(&self) {
        soon("being cut off", self.sender.link().closed()).await;
    }
}

/// Ends a client in good order, and waits until its folder is free.
pub(crate) async fn leave(client: RunningClient) {
    client.node.shut_down();
    soon("the end of a client", client.ended()).await.unwrap();
}

pub(crate) async fn stop(server: RunningServer) {
    server.node.shut_down();
    soon("the end of the server", server.ended()).await;
}

/// An operator: who sends what no process sends.
pub(crate) fn nobody() -> ProcessId {
    ProcessId::from_bits(0)
}

/// The beginning of every guest: what it imports, and the parts of a signal at address 0.
const HEAD: &str = r#"
  (import "hearth/1" "try_recv" (func $try_recv (param i32 i32) (result i32)))
  (import "hearth/1" "send" (func $send (param i64 i32 i32) (result i32)))
  (import "hearth/1" "log" (func $log (param i32 i32 i32 i32 i32) (result i32)))
  (import "hearth/1" "scene_apply" (func $scene_apply (param i32 i32) (result i32)))
  (import "hearth/1" "origin" (func $origin (result i32)))
  (import "hearth/1" "command" (func $command (param i32 i32 i64) (result i32)))
  (memory (export "memory") 40)
  (func $from (result i64) (i64.load (i32.const 8)))
  (func $say (param $ptr i32) (param $len i32)
    (drop (call $log (i32.const 3) (i32.const 0) (i32.const 0) (local.get $ptr) (local.get $len))))
"#;

/// Logs the body of a signal in hexadecimal.
const HEX: &str = r#"
  (func $digit (param $n i32) (result i32)
    (i32.add (local.get $n) (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $n) (i32.const 10)))))
  (func $hex (param $len i32) (local $n i32) (local $byte i32) (local $at i32)
    (loop $next
      (if (i32.lt_u (local.get $n) (local.get $len)) (then
        (local.set $byte (i32.load8_u offset=24 (local.get $n)))
        (local.set $at (i32.add (i32.const 65536) (i32.mul (local.get $n) (i32.const 2))))
        (i32.store8 (local.get $at) (call $digit (i32.shr_u (local.get $byte) (i32.const 4))))
        (i32.store8 offset=1 (local.get $at) (call $digit (i32.and (local.get $byte) (i32.const 15))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next))))
    (call $say (i32.const 65536) (i32.mul (local.get $len) (i32.const 2))))
"#;

/// A guest that does something with each message; `$len` is the length of its body, at address 24.
fn on_message(work: &str) -> Bytes {
    let text = format!(
        r#"(module {HEAD}
  (func (export "start"))
  (func (export "wake") (local $len i32)
    (loop $next
      (local.set $len (i32.sub (call $try_recv (i32.const 0) (i32.const 2621440)) (i32.const 24)))
      (if (i32.ge_s (local.get $len) (i32.const 0)) (then
        (if (i32.eq (i32.load16_u (i32.const 0)) (i32.const 1)) (then {work}))
        (br $next))))))"#
    );
    wat::parse_str(text).unwrap().into()
}

/// A guest that sends back what it is sent.
pub(crate) fn echo() -> Bytes {
    on_message("(drop (call $send (call $from) (i32.const 24) (local.get $len)))")
}

/// A guest that sends on what an operator sends it, to the process whose id comes first, and logs what
/// processes send it.
pub(crate) fn post() -> Bytes {
    on_message(
        "(if (i64.eqz (call $from))
           (then (drop (call $send (i64.load (i32.const 24)) (i32.const 32)
                                   (i32.sub (local.get $len) (i32.const 8)))))
           (else (call $say (i32.const 24) (local.get $len))))",
    )
}

/// A guest that applies what it is sent to the scene, and logs `y` or `n`.
pub(crate) fn painter() -> Bytes {
    on_message(
        r#"(i32.store8 (i32.const 0) (select (i32.const 110) (i32.const 121)
             (call $scene_apply (i32.const 24) (local.get $len))))
           (call $say (i32.const 0) (i32.const 1))"#,
    )
}

/// A guest that applies what an operator sends it to the scene, and logs `y` or `n`; logs in hexadecimal what pointers
/// do to its entities, and `m` for what processes send it.
pub(crate) fn touched() -> Bytes {
    let text = format!(
        r#"(module {HEAD}
  {HEX}
  (func $apply (param $len i32)
    (i32.store8 (i32.const 0) (select (i32.const 110) (i32.const 121)
      (call $scene_apply (i32.const 24) (local.get $len))))
    (call $say (i32.const 0) (i32.const 1)))
  (func (export "start"))
  (func (export "wake") (local $len i32)
    (loop $next
      (local.set $len (i32.sub (call $try_recv (i32.const 0) (i32.const 2621440)) (i32.const 24)))
      (if (i32.ge_s (local.get $len) (i32.const 0)) (then
        (if (i32.eq (i32.load16_u (i32.const 0)) (i32.const 8)) (then (call $hex (local.get $len))))
        (if (i32.eq (i32.load16_u (i32.const 0)) (i32.const 1)) (then
          (if (i64.eqz (call $from))
            (then (call $apply (local.get $len)))
            (else (i32.store8 (i32.const 0) (i32.const 109)) (call $say (i32.const 0) (i32.const 1))))))
        (br $next))))))"#
    );
    wat::parse_str(text).unwrap().into()
}

/// A guest that hears what is typed, and logs it in hexadecimal. An operator tells it, by the first byte, to apply a batch
/// (`a`), give the keyboard of a peer's user back (`l`), ask for input (`s`), or log from then on only whether it has a
/// keyboard (`q`); it logs `y` or `n` for each.
pub(crate) fn typer() -> Bytes {
    let text = format!(
        r#"(module
  (import "hearth/1" "keyboard_leave" (func $leave (param i32) (result i32)))
  (import "hearth/1" "input_subscribe" (func $subscribe (param i32) (result i32)))
  {HEAD}
  (global $quiet (mut i32) (i32.const 0))
  {HEX}
  (func $answer (param $result i32)
    (i32.store8 (i32.const 0) (select (i32.const 110) (i32.const 121) (local.get $result)))
    (call $say (i32.const 0) (i32.const 1)))
  (func $told (param $len i32) (local $what i32)
    (local.set $what (i32.load8_u (i32.const 24)))
    (if (i32.eq (local.get $what) (i32.const 97)) (then
      (call $answer (call $scene_apply (i32.const 25) (i32.sub (local.get $len) (i32.const 1))))))
    (if (i32.eq (local.get $what) (i32.const 108)) (then
      (drop (call $leave (i32.load (i32.const 25))))))
    (if (i32.eq (local.get $what) (i32.const 115)) (then
      (call $answer (call $subscribe (i32.load (i32.const 25))))))
    (if (i32.eq (local.get $what) (i32.const 113)) (then
      (global.set $quiet (i32.const 1)) (call $answer (i32.const 0)))))
  (func (export "start"))
  (func (export "wake") (local $len i32) (local $kind i32)
    (loop $next
      (local.set $len (i32.sub (call $try_recv (i32.const 0) (i32.const 2621440)) (i32.const 24)))
      (if (i32.ge_s (local.get $len) (i32.const 0)) (then
        (local.set $kind (i32.load16_u (i32.const 0)))
        (if (i32.eq (local.get $kind) (i32.const 1)) (then (call $told (local.get $len))))
        (if (i32.eq (local.get $kind) (i32.const 6)) (then (call $hex (local.get $len))))
        (if (i32.eq (local.get $kind) (i32.const 9)) (then
          (if (i32.or (i32.eqz (global.get $quiet)) (i32.eq (i32.load16_u (i32.const 36)) (i32.const 7)))
            (then (call $hex (local.get $len))))))
        (br $next))))))"#
    );
    wat::parse_str(text).unwrap().into()
}

/// A guest that applies a batch to the scene, and takes nothing out of its mailbox.
pub(crate) fn deaf(batch: &[u8]) -> Bytes {
    let data: String = batch.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let len = batch.len();
    let text = format!(
        r#"(module {HEAD}
  (data (i32.const 64) "{data}")
  (func (export "start") (drop (call $scene_apply (i32.const 64) (i32.const {len}))))
  (func (export "wake")))"#
    );
    wat::parse_str(text).unwrap().into()
}

/// A guest that logs the number of its origin, and then `r` if it may run no program.
pub(crate) fn who() -> Bytes {
    let text = format!(
        r#"(module {HEAD}
  (func (export "start")
    (i32.store8 (i32.const 0) (i32.add (i32.const 48) (call $origin)))
    (call $say (i32.const 0) (i32.const 1))
    (if (i32.eq (call $command (i32.const 0) (i32.const 0) (i64.const 1)) (i32.const -5)) (then
      (i32.store8 (i32.const 0) (i32.const 114))
      (call $say (i32.const 0) (i32.const 1)))))
  (func (export "wake")))"#
    );
    wat::parse_str(text).unwrap().into()
}

/// What [`post`] is sent so that it sends `body` to `to`.
pub(crate) fn to(to: ProcessId, body: &[u8]) -> Bytes {
    [&to.to_bits().to_le_bytes()[..], body].concat().into()
}

/// A process of a node, and its log.
pub(crate) struct Guest {
    pub(crate) node: Node,
    pub(crate) id: ProcessId,
    log: LogFollower,
}

impl Guest {
    pub(crate) async fn start(node: &Node, module: Bytes) -> Guest {
        let module = node.put_lump(module).await.unwrap();
        let id = soon("a process", node.spawn(node.id(), module, None, &[])).await.unwrap();
        Guest { node: node.clone(), id, log: node.processes().follow_log(id).unwrap() }
    }

    /// A process that runs already.
    pub(crate) fn watch(node: &Node, id: ProcessId) -> Guest {
        Guest { node: node.clone(), id, log: node.processes().follow_log(id).unwrap() }
    }

    /// Sends it something in nobody's name.
    pub(crate) fn tell(&self, body: Bytes) {
        self.node.processes().send(nobody(), self.id, body).unwrap();
    }

    /// The next line of its log.
    pub(crate) async fn line(&mut self) -> String {
        match soon("a line of a log", self.log.next()).await {
            Some(FollowEvent::Line(line)) => line.text.clone(),
            other => panic!("no line: {other:?}"),
        }
    }
}

/// Sends from a [`post`] to an [`echo`] and back.
pub(crate) async fn round_trip(post: &mut Guest, echo: ProcessId, body: &str) {
    post.tell(to(echo, body.as_bytes()));
    assert_eq!(post.line().await, body);
}

/// Bytes that do not repeat.
pub(crate) fn sample(len: usize, seed: u32) -> Bytes {
    let word = |n: u32| n.wrapping_add(seed).wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes();
    (0..len as u32).flat_map(word).take(len).collect()
}
