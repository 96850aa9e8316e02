// SPDX-License-Identifier: AGPL-3.0-or-later
//! Modules of strangers, run as processes beside one that others rely on.

use crate::{
    Dice,
    host::{CALLS, Stub, ty},
};
use bytes::Bytes;
use hearth_abi::{LumpId, PeerId, ProcessId};
use hearth_process::{
    Config, Context, ExitKind, ExitReason, Limits, Processes, Program, Signal, Spec, State, Take, Work,
};
use hearth_wasm::{Wasm, WasmConfig};
use std::{
    fmt::Write as _,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::{Mutex, mpsc};

/// How long a module runs before it is killed.
const RUNS: Duration = Duration::from_millis(5);
/// How long the neighbour may take to answer, and one that is killed to end: long, because the machine may be busy.
const ANSWERS: Duration = Duration::from_secs(20);
/// The serial number of the first process: none that a module would guess, so that it ends nobody but itself.
const FIRST_SERIAL: u64 = 0x5EAF_00D5;

/// Any bytes are a module, or, if they do not begin as one, what a module is made from (`made_of`). It runs for a
/// moment with small limits, and gets some messages; its neighbour answers meanwhile. It ends by itself or is killed, and the host
/// has not failed.
pub fn module(data: &[u8]) -> bool {
    let bytes = match data.starts_with(b"\0asm") {
        true => Bytes::copy_from_slice(data),
        false => made_of(data).into(),
    };
    let reason = PLACE.runtime.block_on(PLACE.run(bytes));
    for sign in ["the host failed", "panicked"] {
        assert!(!reason.text.contains(sign), "the module ended with {reason:?}");
    }
    !matches!(reason.kind, ExitKind::Load)
}

/// Where they run.
struct Place {
    runtime: tokio::runtime::Runtime,
    processes: Processes,
    wasm: Wasm,
    stub: Arc<Stub>,
    neighbour: ProcessId,
    /// How many modules there were.
    count: AtomicU64,
    /// Who asks the neighbour, and what it is answered. Held by whoever runs a module, so that one does at a time.
    asker: Mutex<(ProcessId, mpsc::Receiver<Signal>)>,
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    let entered = runtime.enter();
    let stub = Arc::new(Stub::default());
    let processes = Processes::new(Config::new(PeerId::SERVER, FIRST_SERIAL, 2), stub.clone());
    // Each module is run once, or a few times at once.
    let wasm = Wasm::new(WasmConfig { cache_bytes: 1 << 20, ..WasmConfig::default() }, stub.clone()).unwrap();
    let (answers, answered) = mpsc::channel(16);
    let asker = processes.spawn(spec(Arc::new(Asker(answers)), None, Limits::default())).unwrap();
    let id = LumpId([1; 32]);
    stub.0.lock().unwrap().insert(id, wat::parse_str(NEIGHBOUR).unwrap().into());
    let neighbour = processes.spawn(spec(wasm.program(id), Some(id), Limits::default())).unwrap();
    drop(entered);
    Place {
        runtime,
        processes,
        wasm,
        stub,
        neighbour,
        count: AtomicU64::new(0),
        asker: Mutex::new((asker, answered)),
    }
});

/// Sends back what it is sent.
const NEIGHBOUR: &str = r#"(module
  (import "hearth/1" "try_recv" (func $try_recv (param i32 i32) (result i32)))
  (import "hearth/1" "send" (func $send (param i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "start"))
  (func (export "wake") (local $len i32)
    (loop $next
      (local.set $len (call $try_recv (i32.const 0) (i32.const 65536)))
      (if (i32.gt_s (local.get $len) (i32.const 0)) (then
        (drop (call $send (i64.load (i32.const 8)) (i32.const 24) (i32.sub (local.get $len) (i32.const 24))))
        (br $next))))))"#;

struct Asker(mpsc::Sender<Signal>);

impl Program for Asker {
    fn run(self: Arc<Self>, context: Context) -> Work {
        Work::whole(async move {
            context.started();
            loop {
                while let Take::Signal(signal) = context.take(usize::MAX) {
                    // Nobody asks any more.
                    if self.0.send(signal).await.is_err() {
                        return ExitReason::normal();
                    }
                }
                context.wait(State::Waiting).await;
            }
        })
    }
}

fn spec(program: Arc<dyn Program>, module: Option<LumpId>, limits: Limits) -> Spec {
    Spec {
        program,
        module,
        origin: PeerId::SERVER,
        parent: None,
        name: None,
        args: hearth_abi::signal::encode_args([b"one", b"two"]).into(),
        limits,
    }
}

impl Place {
    async fn run(&self, bytes: Bytes) -> ExitReason {
        let mut asker = self.asker.lock().await;
        let mut id = LumpId([2; 32]);
        id.0[..8].copy_from_slice(&self.count.fetch_add(1, Relaxed).to_le_bytes());
        self.stub.0.lock().unwrap().insert(id, bytes.clone());
        // Compiled before it is needed, so that it runs for as long as it may. What cannot be is said by its process too.
        let compiled = tokio::time::timeout(ANSWERS, self.wasm.load(id, bytes)).await;
        assert!(compiled.is_ok(), "a module takes too long to compile");
        let limits = Limits {
            memory_bytes: 1 << 20,
            table_elements: 1000,
            mailbox_signals: 16,
            mailbox_bytes: 64 << 10,
            requests: 8,
            timers: 8,
            links: 8,
            monitors: 8,
            ..Limits::default()
        };
        let process = self.processes.spawn(spec(self.wasm.program(id), Some(id), limits)).unwrap();
        for n in 0..3_u8 {
            // It may have ended, or be full.
            let _ = self.processes.send(asker.0, process, Bytes::copy_from_slice(&[n; 40]));
            self.neighbour_answers(&mut asker, n).await;
            let _ = tokio::time::timeout(RUNS / 3, self.processes.exited(process)).await;
        }
        let _ = self.processes.kill(None, process, "it has run long enough");
        let ended = tokio::time::timeout(ANSWERS, self.processes.exited(process)).await;
        self.stub.0.lock().unwrap().remove(&id);
        let reason = ended.expect("a process that is killed ends");
        self.neighbour_answers(&mut asker, 9).await;
        reason
    }

    async fn neighbour_answers(&self, asker: &mut (ProcessId, mpsc::Receiver<Signal>), n: u8) {
        let asked = self.processes.send(asker.0, self.neighbour, Bytes::copy_from_slice(&[n; 8]));
        assert_eq!(asked, Ok(()), "the neighbour is there");
        let from = self.neighbour.to_bits();
        let answer = async {
            loop {
                let answer = asker.1.recv().await.expect("the asker is there");
                // The module may have sent it something as well.
                if answer.header.from == from && answer.body[..] == [n; 8] {
                    return;
                }
            }
        };
        tokio::time::timeout(ANSWERS, answer).await.expect("the neighbour answers");
    }
}

/// A module that imports all that the contract offers, and exports what it asks for: the shape of what `cargo fuzz` has
/// `wasm-smith` make.
pub fn module_shape() -> Vec<u8> {
    let imports: String = CALLS.iter().map(crate::host::Call::import).collect();
    let exports = r#"(memory (export "memory") 1 16) (func (export "start")) (func (export "wake"))"#;
    wat::parse_str(format!("(module {imports} {exports})")).unwrap()
}

/// A module that is valid, made from any bytes: all imports, all that a module may have of its own, and functions that
/// do what the bytes say with numbers that break what trusts them.
fn made_of(data: &[u8]) -> Vec<u8> {
    let mut maker = Maker { dice: Dice(data), nodes: 0, loops: 0 };
    let text = maker.module();
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Longest module, in instructions.
const NODES_MAX: usize = 2000;
/// Functions of a module beside those that are exported.
const FUNCTIONS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    I32,
    I64,
    F64,
}
use Type::{F64, I32, I64};

struct Maker<'a> {
    dice: Dice<'a>,
    nodes: usize,
    /// Labels that were given.
    loops: usize,
}

impl Maker<'_> {
    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.dice.byte()) % of.len()]
    }

    fn module(&mut self) -> String {
        let mut text = String::from("(module\n");
        CALLS.iter().for_each(|call| text += &call.import());
        let pages = self.pick(&[1, 0, 2, 15, 16, 17, 65_536]);
        let most = self.pick(&["", "", "1", "16", "65536"]);
        let most = most.parse().map_or(String::new(), |most: u32| most.max(pages).to_string());
        let elements = self.pick(&[8, 8, 100, 1000, 1001]);
        writeln!(text, "(memory (export \"memory\") {pages} {most})").unwrap();
        writeln!(text, "(table $table {elements} funcref)").unwrap();
        writeln!(text, "(type $f (func (param i32 i64) (result i32)))").unwrap();
        writeln!(text, "(global $n (mut i32) (i32.const 0)) (global $m (mut i64) (i64.const 1))").unwrap();
        let functions: Vec<String> = (0..FUNCTIONS).map(|n| format!("$f{n}")).collect();
        writeln!(text, "(elem $some (i32.const 0) func {})", functions.join(" ")).unwrap();
        writeln!(text, "(data $bytes \"\\01\\00\\00\\00some bytes of a module\\ff\\fe\")").unwrap();
        for name in &functions {
            let (body, value) = (self.block(3), self.value(I32, 3));
            writeln!(
                text,
                "(func {name} (type $f) (local $a i32) (local $b i64) (local $c f64) {body} {value})"
            )
            .unwrap();
        }
        let (wake, initialize, early) = (self.dice.byte(), self.dice.byte(), self.dice.byte());
        let mut exported = vec!["start"];
        exported.extend((wake % 4 > 0).then_some("wake"));
        exported.extend((initialize % 4 == 0).then_some("_initialize"));
        for name in exported {
            let body = self.block(5);
            // As the other functions have them.
            let locals = "(local $a i32) (local $b i64) (local $c f64)";
            writeln!(text, "(func ${name} (export \"{name}\") {locals} {body})").unwrap();
        }
        if early % 8 == 0 {
            text += "(start $start)";
        }
        text + ")"
    }

    fn block(&mut self, depth: usize) -> String {
        let count = 1 + self.dice.below(6);
        (0..count).map(|_| self.statement(depth)).collect()
    }

    fn statement(&mut self, depth: usize) -> String {
        self.nodes += 1;
        if depth == 0 || self.nodes > NODES_MAX || self.dice.is_empty() {
            return "(nop)".into();
        }
        let depth = depth - 1;
        let ty = self.pick(&[I32, I64, F64]);
        match self.dice.byte() % 24 {
            0..8 => {
                let call = &CALLS[self.dice.below(CALLS.len())];
                let params: Vec<String> =
                    call.params.chars().map(|letter| self.of_letter(letter, depth)).collect();
                let call_text = format!("(call ${} {})", call.name, params.join(" "));
                if call.result.is_empty() { call_text } else { format!("(drop {call_text})") }
            }
            8 => format!("(drop {})", self.value(ty, depth)),
            9 => format!("(local.set {} {})", ty.local(), self.value(ty, depth)),
            10 => format!("(global.set $n {})", self.value(I32, depth)),
            11 => format!("(global.set $m {})", self.value(I64, depth)),
            12 => {
                let (at, offset, value) = (self.value(I32, depth), self.offset(), self.value(ty, depth));
                format!("({}.store offset={offset} {at} {value})", ty.name())
            }
            13..16 => {
                self.loops += 1;
                let label = self.loops;
                let (body, again) = (self.block(depth), self.value(I32, depth));
                format!("(loop $l{label} {body} (br_if $l{label} {again}))")
            }
            16 => {
                self.loops += 1;
                let label = self.loops;
                let (before, out, after) = (self.block(depth), self.value(I32, depth), self.block(depth));
                format!("(block $l{label} {before} (br_if $l{label} {out}) {after})")
            }
            17 => format!(
                "(if {} (then {}) (else {}))",
                self.value(I32, depth),
                self.block(depth),
                self.block(depth)
            ),
            18 => {
                let kind = self.pick(&["memory.fill", "memory.copy", "memory.init $bytes"]);
                let [a, b, c] = [0; 3].map(|_| self.value(I32, depth));
                format!("({kind} {a} {b} {c})")
            }
            19 => format!("(table.set $table {} (ref.null func))", self.value(I32, depth)),
            20 => {
                let kind = self.pick(&["table.copy", "table.init $table $some"]);
                let [a, b, c] = [0; 3].map(|_| self.value(I32, depth));
                format!("({kind} {a} {b} {c})")
            }
            21 => {
                let kind = self.pick(&["(data.drop $bytes)", "(elem.drop $some)", "(nop)", "(unreachable)"]);
                kind.into()
            }
            22 => format!("(drop (memory.grow {}))", self.value(I32, depth)),
            _ => format!("(drop (table.grow $table (ref.null func) {}))", self.value(I32, depth)),
        }
    }

    fn of_letter(&mut self, letter: char, depth: usize) -> String {
        self.value(if ty(letter) == "i32" { I32 } else { I64 }, depth)
    }

    fn offset(&mut self) -> u32 {
        self.pick(&[0, 0, 1, 8, 65_535, 0x7fff_ffff, u32::MAX])
    }

    fn constant(&mut self, ty: Type) -> String {
        let number = match self.dice.byte() % 4 {
            0 => i64::from(self.dice.byte()),
            1 => self.dice.below(1 << 16) as i64,
            2 => self.pick(&[
                0,
                1,
                24,
                65_535,
                65_536,
                65_537,
                1 << 20,
                0x7fff_ffff,
                -1,
                -16,
                i64::from(i32::MIN),
            ]),
            _ => self.pick(&[0, 8, 16, 32, i64::MAX, i64::MIN, 1 << 32, 1 << 44]),
        };
        match ty {
            I32 => format!("(i32.const {})", number as i32),
            I64 => format!("(i64.const {number})"),
            F64 => format!("(f64.const {number})"),
        }
    }

    fn value(&mut self, wanted: Type, depth: usize) -> String {
        self.nodes += 1;
        if depth == 0 || self.nodes > NODES_MAX || self.dice.is_empty() {
            return self.constant(wanted);
        }
        let depth = depth - 1;
        let name = wanted.name();
        match (self.dice.byte() % 16, wanted) {
            (0..3, _) => self.constant(wanted),
            (3, _) => format!("(local.get {})", wanted.local()),
            (4, _) => {
                let (at, offset) = (self.value(I32, depth), self.offset());
                format!("({name}.load offset={offset} {at})")
            }
            (5..8, _) => {
                let op = match wanted {
                    F64 => self.pick(&["add", "sub", "mul", "div", "min", "copysign"]),
                    _ => self
                        .pick(&["add", "sub", "mul", "div_s", "div_u", "rem_s", "and", "xor", "shl", "rotl"]),
                };
                format!("({name}.{op} {} {})", self.value(wanted, depth), self.value(wanted, depth))
            }
            (8, _) => {
                let (one, other, which) =
                    (self.value(wanted, depth), self.value(wanted, depth), self.value(I32, depth));
                format!("(select {one} {other} {which})")
            }
            (9, _) => {
                let (which, one, other) =
                    (self.value(I32, depth), self.value(wanted, depth), self.value(wanted, depth));
                format!("(if (result {name}) {which} (then {one}) (else {other}))")
            }
            (10, I32) => self.pick(&["(memory.size)", "(table.size $table)", "(global.get $n)"]).into(),
            (11, I32) => {
                let of = self.pick(&[I32, I64, F64]);
                let op = if of == F64 { "lt" } else { "lt_u" };
                format!("({}.{op} {} {})", of.name(), self.value(of, depth), self.value(of, depth))
            }
            (12, I32) => {
                let op = self.pick(&["i32.trunc_f64_s", "i32.trunc_sat_f64_u"]);
                format!("({op} {})", self.value(F64, depth))
            }
            (13, I32) => format!("(i32.wrap_i64 {})", self.value(I64, depth)),
            (14, I32) => {
                let function = self.dice.below(FUNCTIONS);
                format!("(call $f{function} {} {})", self.value(I32, depth), self.value(I64, depth))
            }
            (15, I32) => {
                let [one, other, which] = [I32, I64, I32].map(|ty| self.value(ty, depth));
                format!("(call_indirect $table (type $f) {one} {other} {which})")
            }
            (10, I64) => "(global.get $m)".into(),
            (11, I64) => format!("(i64.extend_i32_s {})", self.value(I32, depth)),
            (12.., I64) => {
                let calls: Vec<_> = CALLS.iter().filter(|call| call.result == "I").collect();
                let call = calls[self.dice.below(calls.len())];
                let params: Vec<String> =
                    call.params.chars().map(|letter| self.of_letter(letter, depth)).collect();
                format!("(call ${} {})", call.name, params.join(" "))
            }
            (_, F64) => format!("(f64.convert_i64_s {})", self.value(I64, depth)),
            (16.., _) => self.constant(wanted),
        }
    }
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            I32 => "i32",
            I64 => "i64",
            F64 => "f64",
        }
    }

    fn local(self) -> &'static str {
        match self {
            I32 => "$a",
            I64 => "$b",
            F64 => "$c",
        }
    }
}
