// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the scripts of benches/processes.rs do, in Rust with its standard library and nothing else: state on the heap,
//! vectors, trait objects. One module for all roles, of which the argument says one.

use std::cell::RefCell;

#[link(wasm_import_module = "hearth/1")]
unsafe extern "C" {
    #[link_name = "self"]
    safe fn self_id() -> u64;
    fn args(out: *mut u8, cap: usize) -> i32;
    fn exit(reason: *const u8, len: usize);
    fn try_recv_many(out: *mut u8, cap: usize) -> i32;
    fn wake_with(out: *mut u8, cap: usize) -> i32;
    fn send(to: u64, body: *const u8, len: usize) -> i32;
    fn spawn(module: *const u8, name: *const u8, name_len: usize, args: *const u8, args_len: usize) -> i64;
}

const WAVE: usize = 100;
const CHILD: u64 = 5;

fn tell(to: u64, body: &[u8]) {
    // SAFETY: the slice is readable for as long as the call takes.
    unsafe { send(to, body.as_ptr(), body.len()) };
}

fn end() {
    // SAFETY: a reason of no bytes is read from nowhere.
    unsafe { exit(std::ptr::null(), 0) }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// What a process does with a signal.
trait Does {
    fn takes(&mut self, from: u64, body: &mut [u8]);
}

struct Echo;

impl Does for Echo {
    fn takes(&mut self, from: u64, body: &mut [u8]) {
        tell(from, body);
    }
}

struct Ping {
    peer: u64,
    count: u64,
    body: Vec<u8>,
}

impl Does for Ping {
    fn takes(&mut self, _: u64, _: &mut [u8]) {
        self.count -= 1;
        if self.count == 0 {
            end();
        }
        tell(self.peer, &self.body);
    }
}

#[derive(Default)]
struct Node {
    next: u64,
}

impl Does for Node {
    fn takes(&mut self, _: u64, body: &mut [u8]) {
        let first = number(body, 0);
        if body.len() == 8 {
            self.next = first;
            return;
        }
        if first == 0 {
            end();
        }
        body[..8].copy_from_slice(&first.wrapping_sub(1).to_le_bytes());
        tell(self.next, body);
    }
}

struct Count(u64);

impl Does for Count {
    fn takes(&mut self, _: u64, _: &mut [u8]) {
        self.0 -= 1;
        if self.0 == 0 {
            end();
        }
    }
}

struct Parent {
    child: Vec<u8>,
    waves: u64,
    left: usize,
}

impl Parent {
    fn spawns(&mut self) {
        let mut args = Vec::from(16u32.to_le_bytes());
        args.extend(CHILD.to_le_bytes());
        args.extend(self_id().to_le_bytes());
        for _ in 0..WAVE {
            // SAFETY: both are readable for as long as the call takes; there is no name.
            unsafe { spawn(self.child.as_ptr(), std::ptr::null(), 0, args.as_ptr(), args.len()) };
        }
        self.left = WAVE;
    }
}

impl Does for Parent {
    fn takes(&mut self, _: u64, _: &mut [u8]) {
        self.left -= 1;
        if self.left == 0 {
            self.waves -= 1;
            if self.waves == 0 {
                end();
            }
            self.spawns();
        }
    }
}

/// What it is, and where its signals are put, several at a time.
struct Script {
    does: Box<dyn Does>,
    signals: Vec<u8>,
}

thread_local! {
    static SCRIPT: RefCell<Option<Script>> = const { RefCell::new(None) };
}

fn begin() -> Box<dyn Does> {
    let mut all = vec![0; 64];
    // SAFETY: the vector is writable for its length.
    let len = unsafe { args(all.as_mut_ptr(), all.len()) };
    all.truncate(usize::try_from(len).unwrap_or(0));
    let given = all.split_off(12);
    let (peer, count) = (number(&given, 0), number(&given, 8));
    match number(&all, 4) {
        0 => Box::new(Echo),
        1 => {
            tell(peer, &given);
            Box::new(Ping { peer, count, body: given })
        }
        2 => Box::new(Node::default()),
        3 => {
            (0..count).for_each(|_| tell(peer, &given));
            end();
            Box::new(Echo)
        }
        4 => Box::new(Count(count)),
        CHILD => {
            tell(peer, &given[..8]);
            end();
            Box::new(Echo)
        }
        _ => {
            let mut parent = Parent { waves: number(&given, 32), child: given, left: 0 };
            parent.spawns();
            Box::new(parent)
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn start() {
    let mut script = Script { does: begin(), signals: vec![0; 8 + 4096] };
    // SAFETY: the vector is kept, and is as long from now on.
    unsafe { wake_with(script.signals.as_mut_ptr(), script.signals.len()) };
    SCRIPT.with(|kept| *kept.borrow_mut() = Some(script));
}

#[unsafe(no_mangle)]
extern "C" fn wake() {
    SCRIPT.with(|kept| {
        let mut kept = kept.borrow_mut();
        let Some(Script { does, signals }) = kept.as_mut() else { return };
        let (head, signals) = signals.split_at_mut(8);
        let mut len = number(head, 0) as i32;
        loop {
            if len == 0 {
                // SAFETY: the vector is writable for its length.
                len = unsafe { try_recv_many(signals.as_mut_ptr(), signals.len()) };
            }
            let Some(mut rest) = usize::try_from(len).ok().and_then(|len| signals.get_mut(..len)) else { return };
            len = 0;
            // If all took little room there is no more, or that brings the next turn at once.
            let is_all = rest.len() < 2048;
            // Before each is its length, and each takes a multiple of eight.
            while rest.len() >= 32 {
                let len = number(rest, 0) as usize;
                let (entry, more) = rest.split_at_mut(8 + len.next_multiple_of(8));
                does.takes(number(entry, 16), &mut entry[32..8 + len]);
                rest = more;
            }
            if is_all {
                return;
            }
        }
    });
}
