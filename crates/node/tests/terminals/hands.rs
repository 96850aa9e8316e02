// SPDX-License-Identifier: AGPL-3.0-or-later
//! A guest that does with terminals what a test says, and a picture that keeps what it is shown.

use crate::common::{Guest, soon, until};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use hearth_abi::{
    EntityId, Errno, LumpId, PeerId, TerminalId,
    input::{Event as Input, Press},
    pointer,
    scene::{Component, ComponentKind, Op, Scope, TerminalView, encode_batch},
    screen::Screen,
    terminal::{Command, Event, Modifiers, Open, Stroke, View, decode_event},
};
use hearth_node::{ClientOptions, Node, Picture, PictureEvent};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
};

/// A guest that obeys the operator, whose message begins with a number, and hears nobody else. It logs in
/// hexadecimal: `r` and what a call returned, `a` and the answer to a request (status, body), `t` and what happened
/// to a terminal, `i` and input, `v` and where terminals are, `p` and what a pointer did.
pub(crate) fn module() -> Bytes {
    let text = r#"(module
  (import "hearth/1" "try_recv" (func $try_recv (param i32 i32) (result i32)))
  (import "hearth/1" "log" (func $log (param i32 i32 i32 i32 i32) (result i32)))
  (import "hearth/1" "scene_apply" (func $scene_apply (param i32 i32) (result i32)))
  (import "hearth/1" "input_subscribe" (func $input_subscribe (param i32) (result i32)))
  (import "hearth/1" "terminal_open" (func $open (param i32 i32 i64) (result i32)))
  (import "hearth/1" "terminal_command" (func $command (param i64 i32 i32) (result i32)))
  (import "hearth/1" "terminal_views" (func $views (param i64 i32 i32) (result i32)))
  (import "hearth/1" "keyboard_focus" (func $focus (param i64) (result i32)))
  (import "hearth/1" "clipboard_write" (func $copy (param i32 i32) (result i32)))
  (import "hearth/1" "clipboard_read" (func $paste (param i64) (result i32)))
  (memory (export "memory") 40)
  (func $digit (param $n i32) (result i32)
    (i32.add (local.get $n) (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $n) (i32.const 10)))))
  ;; Logs a letter and bytes, of which at most 1,000.
  (func $say (param $letter i32) (param $ptr i32) (param $len i32) (local $n i32) (local $at i32)
    (local.set $at (i32.const 2500000))
    (i32.store8 (local.get $at) (local.get $letter))
    (if (i32.gt_u (local.get $len) (i32.const 1000)) (then (local.set $len (i32.const 1000))))
    (loop $next
      (if (i32.lt_u (local.get $n) (local.get $len)) (then
        (i32.store8 offset=1 (local.get $at)
          (call $digit (i32.shr_u (i32.load8_u (i32.add (local.get $ptr) (local.get $n))) (i32.const 4))))
        (i32.store8 offset=2 (local.get $at)
          (call $digit (i32.and (i32.load8_u (i32.add (local.get $ptr) (local.get $n))) (i32.const 15))))
        (local.set $at (i32.add (local.get $at) (i32.const 2)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next))))
    (drop (call $log (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 2500000)
      (i32.add (i32.const 1) (i32.mul (i32.const 2) (local.get $len))))))
  (func $do (param $len i32) (result i32) (local $what i32)
    (local.set $what (i32.load8_u (i32.const 24)))
    (if (i32.eq (local.get $what) (i32.const 1)) (then
      (return (call $open (i32.const 25) (i32.sub (local.get $len) (i32.const 1)) (i64.const 7)))))
    (if (i32.eq (local.get $what) (i32.const 2)) (then
      (return (call $command (i64.load (i32.const 25)) (i32.const 33) (i32.sub (local.get $len) (i32.const 9))))))
    (if (i32.eq (local.get $what) (i32.const 3)) (then (return (call $focus (i64.load (i32.const 25))))))
    (if (i32.eq (local.get $what) (i32.const 4)) (then
      (return (call $scene_apply (i32.const 25) (i32.sub (local.get $len) (i32.const 1))))))
    (if (i32.eq (local.get $what) (i32.const 5)) (then
      (return (call $copy (i32.const 25) (i32.sub (local.get $len) (i32.const 1))))))
    (if (i32.eq (local.get $what) (i32.const 6)) (then (return (call $paste (i64.const 8)))))
    (if (i32.eq (local.get $what) (i32.const 7)) (then (return (call $input_subscribe (i32.const 1)))))
    (if (i32.eq (local.get $what) (i32.const 8)) (then
      (local.set $what (call $views (i64.load (i32.const 25)) (i32.const 2550000) (i32.const 455)))
      (if (i32.lt_s (local.get $what) (i32.const 0)) (then (return (local.get $what))))
      (call $say (i32.const 118) (i32.const 2550000) (local.get $what))
      (return (i32.const 0))))
    (if (i32.eq (local.get $what) (i32.const 9)) (then
      (return (call $input_subscribe (i32.load (i32.const 25))))))
    (unreachable))
  (func (export "start"))
  (func (export "wake") (local $len i32) (local $kind i32)
    (loop $next
      (local.set $len (i32.sub (call $try_recv (i32.const 0) (i32.const 2400000)) (i32.const 24)))
      (if (i32.ge_s (local.get $len) (i32.const 0)) (then
        (local.set $kind (i32.load16_u (i32.const 0)))
        (if (i32.and (i32.eq (local.get $kind) (i32.const 1)) (i64.eqz (i64.load (i32.const 8)))) (then
          (i32.store (i32.const 16) (call $do (local.get $len)))
          (call $say (i32.const 114) (i32.const 16) (i32.const 4))))
        (if (i32.eq (local.get $kind) (i32.const 5)) (then
          (i32.store (i32.const 20) (i32.load (i32.const 4)))
          (call $say (i32.const 97) (i32.const 20) (i32.add (local.get $len) (i32.const 4)))))
        (if (i32.eq (local.get $kind) (i32.const 6)) (then
          (call $say (i32.const 105) (i32.const 24) (local.get $len))))
        (if (i32.eq (local.get $kind) (i32.const 7)) (then
          (call $say (i32.const 116) (i32.const 24) (local.get $len))))
        (if (i32.eq (local.get $kind) (i32.const 8)) (then
          (call $say (i32.const 112) (i32.const 24) (local.get $len))))
        (br $next))))))"#;
    wat::parse_str(text).unwrap().into()
}

/// A process that does what the test says.
pub(crate) struct Hands {
    pub(crate) guest: Guest,
    /// Lines that were not asked for yet.
    lines: VecDeque<(char, Vec<u8>)>,
}

impl Hands {
    pub(crate) async fn new(node: &Node) -> Hands {
        Hands { guest: Guest::start(node, module()).await, lines: VecDeque::new() }
    }

    pub(crate) fn of(guest: Guest) -> Hands {
        Hands { guest, lines: VecDeque::new() }
    }

    async fn line(&mut self, letter: char) -> Vec<u8> {
        if let Some(at) = self.lines.iter().position(|line| line.0 == letter) {
            return self.lines.remove(at).unwrap().1;
        }
        loop {
            let line = self.guest.line().await;
            let first = line.chars().next().unwrap_or(' ');
            if !['r', 'a', 't', 'i', 'v', 'p'].contains(&first) {
                continue;
            }
            let bytes: Option<Vec<u8>> = line.as_bytes()[1..]
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                .collect();
            // What the host writes into the log is for people.
            let Some(bytes) = bytes else { continue };
            if first == letter {
                return bytes;
            }
            self.lines.push_back((first, bytes));
        }
    }

    pub(crate) async fn call(&mut self, number: u8, bytes: &[u8]) -> Result<(), Errno> {
        self.guest.tell([&[number], bytes].concat().into());
        let returned = i32::from_le_bytes(self.line('r').await.try_into().unwrap());
        match returned {
            0 => Ok(()),
            errno => Err(Errno::from_number(-errno).unwrap()),
        }
    }

    pub(crate) async fn open(&mut self, open: &Open) -> Result<TerminalId, Errno> {
        self.call(1, &open.encode()).await?;
        let answer = self.line('a').await;
        let status = i32::from_le_bytes(answer[..4].try_into().unwrap());
        match status {
            0 => Ok(TerminalId::from_bits(u64::from_le_bytes(answer[4..].try_into().unwrap()))),
            errno => Err(Errno::from_number(-errno).unwrap()),
        }
    }

    /// A plain shell of 60 by 10.
    pub(crate) async fn shell(&mut self) -> TerminalId {
        self.prompt(&shell()).await
    }

    /// A shell, when it waits for what is typed.
    pub(crate) async fn prompt(&mut self, open: &Open) -> TerminalId {
        let terminal = self.open(open).await.unwrap();
        shows(&self.guest.node, terminal, "$").await;
        terminal
    }

    pub(crate) async fn command(&mut self, terminal: TerminalId, command: &Command) -> Result<(), Errno> {
        self.call(2, &[&terminal.to_bits().to_le_bytes()[..], &command.encode()].concat()).await
    }

    pub(crate) async fn text(&mut self, terminal: TerminalId, text: &str) -> Result<(), Errno> {
        self.command(terminal, &Command::Text(text.into())).await
    }

    pub(crate) async fn focus(&mut self, terminal: Option<TerminalId>) -> Result<(), Errno> {
        self.call(3, &terminal.map_or(0, TerminalId::to_bits).to_le_bytes()).await
    }

    /// Shows a terminal by an entity of the shared scene.
    pub(crate) async fn show(&mut self, terminal: TerminalId) -> EntityId {
        let entity = EntityId::from_bits(terminal.to_bits());
        let view = Component::Terminal(TerminalView { terminal, cell_height: 0.1, opacity: 1.0 });
        let ops = [Op::Create(entity, Scope::Shared), Op::Set(entity, view)];
        self.call(4, &encode_batch(&ops)).await.unwrap();
        entity
    }

    /// Shows it by the same entity again.
    pub(crate) async fn show_again(&mut self, terminal: TerminalId, entity: EntityId) {
        let view = Component::Terminal(TerminalView { terminal, cell_height: 0.1, opacity: 1.0 });
        self.call(4, &encode_batch(&[Op::Set(entity, view)])).await.unwrap();
    }

    /// The entities that show terminals, from behind this one on.
    pub(crate) async fn views(&mut self, after: EntityId) -> Vec<View> {
        self.call(8, &after.to_bits().to_le_bytes()).await.unwrap();
        View::decode_all(&self.line('v').await).unwrap()
    }

    pub(crate) async fn hide(&mut self, entity: EntityId) {
        self.call(4, &encode_batch(&[Op::Unset(entity, ComponentKind::Terminal)])).await.unwrap();
    }

    /// The next thing that happens to a terminal.
    pub(crate) async fn event(&mut self) -> (TerminalId, Event) {
        decode_event(&self.line('t').await).unwrap()
    }

    /// Waits for something to happen, whatever happens before.
    pub(crate) async fn heard(&mut self, wanted: &Event) {
        while self.event().await.1 != *wanted {}
    }

    /// The next input event.
    pub(crate) async fn input(&mut self) -> Input {
        Input::decode(&self.line('i').await).unwrap()
    }

    /// The next thing that a pointer did.
    pub(crate) async fn pointer(&mut self) -> pointer::Event {
        pointer::Event::decode(&self.line('p').await).unwrap()
    }

    /// The answer to a request: its status and body.
    pub(crate) async fn answer(&mut self) -> (i32, Vec<u8>) {
        let answer = self.line('a').await;
        (i32::from_le_bytes(answer[..4].try_into().unwrap()), answer[4..].to_vec())
    }
}

pub(crate) fn shell() -> Open {
    let words = ["env", "-u", "ENV", "PS1=$ ", "sh"];
    Open { columns: 60, rows: 10, command: words.map(str::to_owned).into(), ..Open::default() }
}

/// All rows of what a peer knows a terminal to show.
pub(crate) fn rows(node: &Node, terminal: TerminalId) -> Vec<String> {
    node.screen(terminal)
        .map(|screen| (0..screen.rows()).map(|row| screen.text(row)).collect())
        .unwrap_or_default()
}

/// Waits until a peer knows a terminal to show a row.
pub(crate) async fn shows(node: &Node, terminal: TerminalId, wanted: &str) {
    let is_there = || rows(node, terminal).iter().any(|row| row == wanted);
    let wait = async {
        while !is_there() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(crate::common::SOON, wait).await.is_err() {
        panic!("`{wanted}` is not shown at peer {}, but {:#?}", node.id(), rows(node, terminal));
    }
}

/// The number that a shell tells of itself.
pub(crate) async fn pid_of(hands: &mut Hands, terminal: TerminalId) -> String {
    hands.text(terminal, "echo I am $$.\n").await.unwrap();
    let node = hands.guest.node.clone();
    let told =
        |row: &String| row.strip_prefix("I am ").and_then(|row| row.strip_suffix('.')).map(str::to_owned);
    let mut pid = None;
    until("a shell's number", || {
        pid = rows(&node, terminal).iter().find_map(told);
        pid.is_some()
    })
    .await;
    pid.unwrap()
}

/// Whether a program runs; one that has ended may wait for somebody to ask for its status.
pub(crate) fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// A picture that keeps what it is shown.
#[derive(Default)]
pub(crate) struct Canvas {
    pub(crate) screens: Mutex<BTreeMap<TerminalId, Arc<Screen>>>,
    pub(crate) clipboard: Mutex<String>,
    pub(crate) text_input: Mutex<bool>,
}

impl Picture for Canvas {
    fn changes(&self, _: Vec<hearth_scene::Change>) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn lump(&self, _: LumpId, _: Result<Bytes, String>) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn capture_pointer(&self, _: bool) {}

    fn screenshot(&self) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        async { Err("there is none".into()) }.boxed()
    }

    fn load(&self, _: &str, _: LumpId) -> BoxFuture<'static, Result<(), String>> {
        async { Ok(()) }.boxed()
    }

    fn drop_asset(&self, _: &str, _: LumpId) {}

    fn screen(&self, terminal: TerminalId, screen: Option<Arc<Screen>>) {
        match screen {
            Some(screen) => drop(self.screens.lock().insert(terminal, screen)),
            None => drop(self.screens.lock().remove(&terminal)),
        }
    }

    fn clipboard_write(&self, text: String) -> Result<(), Errno> {
        *self.clipboard.lock() = text;
        Ok(())
    }

    fn clipboard_read(&self, _primary: bool) -> BoxFuture<'static, Result<String, (Errno, String)>> {
        let text = self.clipboard.lock().clone();
        async { Ok(text) }.boxed()
    }

    fn text_input(&self, on: bool) {
        *self.text_input.lock() = on;
    }
}

/// Options of a client with such a picture.
pub(crate) fn with_canvas(mut options: ClientOptions) -> (ClientOptions, Arc<Canvas>) {
    let canvas = Arc::new(Canvas::default());
    options.picture = Some(canvas.clone());
    (options, canvas)
}

/// The user of a client presses and releases a key.
pub(crate) fn press(node: &Node, code: u16, modifiers: Modifiers, text: &str) {
    key(node, code, Press::Pressed, modifiers, text);
    key(node, code, Press::Released, modifiers, "");
}

/// What the engine tells of a key.
pub(crate) fn key(node: &Node, code: u16, press: Press, modifiers: Modifiers, text: &str) {
    node.picture_event(PictureEvent::Input(Input::Key { code, press }));
    if !text.is_empty() {
        node.picture_event(PictureEvent::Input(Input::Text(text.into())));
    }
    let key = text.chars().next();
    let stroke = Stroke { code, press, modifiers, key, shifted: None, text: text.into() };
    node.picture_event(PictureEvent::Stroke(stroke));
}

/// Asks a peer's operator for something.
pub(crate) async fn operate(
    socket: &Path,
    request: &hearth_protocol::operator::Request,
) -> Result<Vec<serde_json::Value>, hearth_protocol::operator::Failure> {
    let client = hearth_ipc::Client::connect(socket).await.unwrap();
    match soon("an operator's answer", client.list(request)).await {
        Ok(values) => Ok(values),
        Err(hearth_ipc::ClientError::Failed(failure)) => Err(failure),
        Err(error) => panic!("{error}"),
    }
}

/// Grants a peer the terminals of the peer with this socket, or takes them back.
pub(crate) async fn grant(socket: &Path, peer: PeerId, on: bool) {
    use hearth_protocol::{control::Grantable, operator::Request};
    let what = Grantable::Terminal;
    let request = if on { Request::Grant { peer, what } } else { Request::Revoke { peer, what } };
    assert_eq!(operate(socket, &request).await.unwrap().len(), 1);
}
