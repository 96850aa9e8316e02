// SPDX-License-Identifier: AGPL-3.0-or-later
//! The calls on a native target: a small peer inside the test, driven by [`crate::testing`].
#![expect(missing_docs, reason = "documented where the guest's side is: sys/wasm.rs has the same functions")]

use hearth_abi::{
    Errno,
    exit::{ExitKind, Reason},
    scene::{Op, decode_batch},
    signal::{self, EXIT_OF_LINK, Header, Kind},
    terminal::{VIEW_LEN, View},
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
};

/// What the small peer holds, one per thread and so one per test.
#[derive(Default)]
pub(crate) struct Host {
    pub(crate) now_ns: u64,
    pub(crate) mailbox: VecDeque<Vec<u8>>,
    pub(crate) timers: BTreeMap<u64, u64>,
    pub(crate) args: Vec<u8>,
    pub(crate) sent: Vec<(u64, Vec<u8>)>,
    pub(crate) logs: Vec<(i32, String)>,
    pub(crate) batches: Vec<Vec<u8>>,
    /// Components by entity and kind.
    scene: BTreeMap<(u64, u32), Vec<u8>>,
    pub(crate) lumps: BTreeMap<[u8; 32], Vec<u8>>,
    pub(crate) requests: Vec<(&'static str, u64)>,
    pub(crate) names: BTreeMap<String, u64>,
    /// What was spawned on this peer.
    pub(crate) spawned: Vec<Spawned>,
    /// What the next spawns are refused with.
    pub(crate) refused_spawns: VecDeque<Errno>,
    pub(crate) links: BTreeSet<u64>,
    /// Monitors by tag: whom.
    pub(crate) monitors: BTreeMap<u64, u64>,
    /// Monitors of what was asked for on another peer, by the tag of the request.
    asked_monitors: BTreeMap<u64, u64>,
    pub(crate) traps_exits: bool,
    /// Exit signals that were sent.
    pub(crate) exits: Vec<(u64, Vec<u8>)>,
    /// What the next exit signals are refused with.
    pub(crate) refused_exits: VecDeque<Errno>,
    /// Whether who is linked ends by the exit signals that it is sent.
    pub(crate) is_obeyed: bool,
    /// Who ends by none but `kill`.
    pub(crate) deaf: BTreeSet<u64>,
    /// Names of the space.
    pub(crate) globals: BTreeMap<String, u64>,
    pub(crate) groups: BTreeMap<String, BTreeSet<u64>>,
    pub(crate) input: u32,
    pub(crate) input_refused: Option<Errno>,
    pub(crate) captured: Vec<bool>,
    pub(crate) commands: Vec<(u64, hearth_abi::terminal::Command)>,
    pub(crate) focuses: Vec<u64>,
    /// The users whose keyboards were given back.
    pub(crate) left: Vec<u32>,
    /// What other peers go by, if a test has said so; `None` of one that has left.
    pub(crate) peers: BTreeMap<u32, Option<String>>,
    pub(crate) views: Vec<View>,
    pub(crate) clipboard: String,
    pub(crate) casts: Vec<hearth_abi::cast::Cast>,
    next_serial: u64,
    random: u64,
}

/// A process that was spawned: its id, module, name and arguments.
pub(crate) struct Spawned {
    pub(crate) id: u64,
    pub(crate) module: [u8; 32],
    pub(crate) name: String,
    pub(crate) args: Vec<u8>,
}

thread_local! {
    pub(crate) static HOST: RefCell<Host> = RefCell::default();
}

/// The id of the process under test.
pub(crate) const SELF: u64 = (1 << 44) | 1;

fn host<T>(body: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(body)
}

fn copy_out(bytes: &[u8], out: &mut [u8]) -> i32 {
    if let Some(out) = out.get_mut(..bytes.len()) {
        out.copy_from_slice(bytes);
    }
    bytes.len() as i32
}

impl Host {
    pub(crate) fn signal(&mut self, kind: Kind, from: u64, tag: u64, status: i32, body: &[u8]) {
        let mut bytes = Header { kind, status, from, tag }.encode().to_vec();
        bytes.extend_from_slice(body);
        self.mailbox.push_back(bytes);
    }

    /// A process ends: whoever is tied to it is told. Whether the one under test ends with it.
    pub(crate) fn end(&mut self, process: u64, reason: &[u8], is_normal: bool) -> bool {
        self.names.retain(|_, id| *id != process);
        self.globals.retain(|_, id| *id != process);
        self.groups.values_mut().for_each(|members| {
            members.remove(&process);
        });
        let is_linked = self.links.remove(&process);
        if is_linked && self.traps_exits {
            self.signal(Kind::Exit, process, EXIT_OF_LINK, 0, reason);
        }
        let tags: Vec<u64> =
            self.monitors.iter().filter(|(_, of)| **of == process).map(|(tag, _)| *tag).collect();
        for tag in tags {
            self.monitors.remove(&tag);
            self.signal(Kind::Down, process, tag, 0, reason);
        }
        is_linked && !self.traps_exits && !is_normal
    }

    /// The answer to a request that this peer does not answer by itself: what was spawned so is tied before.
    pub(crate) fn answer(&mut self, call: &str, tag: u64, status: i32, body: &[u8]) {
        let monitor = self.asked_monitors.remove(&tag);
        if status == 0
            && let Ok(bits) = body.try_into().map(u64::from_le_bytes)
        {
            if call == "spawn_on_link" {
                self.links.insert(bits);
            }
            if let Some(monitor) = monitor {
                self.monitors.insert(monitor, bits);
            }
        }
        self.signal(Kind::Reply, 0, tag, status, body);
    }

    fn request(&mut self, call: &'static str, tag: u64) -> i32 {
        self.requests.push((call, tag));
        0
    }
}

pub fn self_() -> u64 {
    SELF
}

pub fn peer() -> u32 {
    1
}

pub fn origin() -> u32 {
    1
}

pub fn args(out: &mut [u8]) -> i32 {
    host(|host| copy_out(&host.args, out))
}

pub fn exit(reason: &str) -> ! {
    panic!("the process ends: {reason}")
}

pub fn try_recv(out: &mut [u8]) -> i32 {
    host(|host| {
        let Some(signal) = host.mailbox.front() else { return Errno::Again.as_return() };
        let len = copy_out(signal, out);
        if len as usize <= out.len() {
            host.mailbox.pop_front();
        }
        len
    })
}

/// Where the host puts signals before each call of `wake`, which it does not do here.
pub struct Inbox(Vec<u8>);

impl Inbox {
    /// Of so many bytes.
    pub fn new(len: usize) -> Inbox {
        Inbox(vec![0; len])
    }

    /// How many bytes the host has put there before this call of `wake`, and the room for them.
    pub fn open(&mut self) -> (usize, &mut [u8]) {
        (0, &mut self.0)
    }
}

pub fn try_recv_many(out: &mut [u8]) -> i32 {
    host(|host| {
        let mut at = 0;
        while let Some(signal) = host.mailbox.front() {
            let entry = signal::entry_len(signal.len());
            let Some(to) = out.get_mut(at..at + entry) else {
                return if at == 0 { entry as i32 } else { at as i32 };
            };
            to[..signal::ENTRY_HEAD_LEN].copy_from_slice(&(signal.len() as u64).to_le_bytes());
            to[signal::ENTRY_HEAD_LEN..][..signal.len()].copy_from_slice(signal);
            host.mailbox.pop_front();
            at += entry;
        }
        if at == 0 { Errno::Again.as_return() } else { at as i32 }
    })
}

pub fn send(to: u64, body: &[u8]) -> i32 {
    host(|host| match to {
        SELF => host.signal(Kind::Message, SELF, 0, 0, body),
        _ => host.sent.push((to, body.to_vec())),
    });
    0
}

pub fn spawn(module: &[u8; 32], name: &str, args: &[u8]) -> i64 {
    host(|host| {
        if let Some(errno) = host.refused_spawns.pop_front() {
            return i64::from(errno.as_return());
        }
        if host.names.contains_key(name) {
            return i64::from(Errno::Taken.as_return());
        }
        host.next_serial += 1;
        let id = SELF + host.next_serial;
        if !name.is_empty() {
            host.names.insert(name.into(), id);
        }
        host.spawned.push(Spawned { id, module: *module, name: name.into(), args: args.into() });
        id as i64
    })
}

pub fn spawn_on(_peer: u32, _module: &[u8; 32], _name: &str, _args: &[u8], tag: u64) -> i32 {
    host(|host| host.request("spawn_on", tag))
}

pub fn spawn_on_link(_peer: u32, _module: &[u8; 32], _name: &str, _args: &[u8], tag: u64) -> i32 {
    host(|host| host.request("spawn_on_link", tag))
}

pub fn spawn_on_monitor(
    _peer: u32,
    _module: &[u8; 32],
    _name: &str,
    _args: &[u8],
    tag: u64,
    monitor_tag: u64,
) -> i32 {
    host(|host| {
        host.asked_monitors.insert(tag, monitor_tag);
        host.request("spawn_on_monitor", tag)
    })
}

pub fn spawn_link(module: &[u8; 32], name: &str, args: &[u8]) -> i64 {
    let id = spawn(module, name, args);
    if let Ok(id) = u64::try_from(id) {
        host(|host| host.links.insert(id));
    }
    id
}

pub fn spawn_monitor(module: &[u8; 32], name: &str, args: &[u8], tag: u64) -> i64 {
    let id = spawn(module, name, args);
    if let Ok(id) = u64::try_from(id) {
        monitor(id, tag);
    }
    id
}

pub fn link(who: u64) -> i32 {
    host(|host| host.links.insert(who));
    0
}

pub fn unlink(who: u64) -> i32 {
    host(|host| host.links.remove(&who));
    0
}

pub fn monitor(who: u64, tag: u64) -> i32 {
    host(|host| match host.monitors.insert(tag, who) {
        Some(_) => Errno::Taken.as_return(),
        None => 0,
    })
}

pub fn demonitor(tag: u64) -> i32 {
    host(|host| {
        let asked = host.asked_monitors.len();
        host.asked_monitors.retain(|_, monitor| *monitor != tag);
        let was_one = host.monitors.remove(&tag).is_some() || host.asked_monitors.len() < asked;
        if was_one { 0 } else { Errno::NotFound.as_return() }
    })
}

pub fn trap_exits(on: bool) -> i32 {
    host(|host| i32::from(std::mem::replace(&mut host.traps_exits, on)))
}

pub fn exit_to(who: u64, reason: &[u8]) -> i32 {
    let Ok(decoded) = Reason::decode(reason) else { return Errno::Invalid.as_return() };
    host(|host| {
        if let Some(errno) = host.refused_exits.pop_front() {
            return errno.as_return();
        }
        host.exits.push((who, reason.to_vec()));
        let is_kill = decoded.kind == ExitKind::Kill;
        if !host.is_obeyed || !host.links.contains(&who) || (host.deaf.contains(&who) && !is_kill) {
            return 0;
        }
        let killed = Reason { kind: ExitKind::Killed, text: ExitKind::Killed.name(), data: &[] }.encode();
        host.end(who, if is_kill { &killed } else { reason }, decoded.kind == ExitKind::Normal);
        0
    })
}

pub fn exit_with(reason: &[u8]) -> ! {
    let text = Reason::decode(reason).map_or("malformed", |reason| reason.text);
    panic!("the process ends: {text}")
}

impl Host {
    fn done(&mut self, tag: u64, result: Result<(), Errno>) -> i32 {
        self.signal(Kind::Reply, 0, tag, result.map_or_else(Errno::as_return, |()| 0), &[]);
        0
    }
}

pub fn global_register(name: &str, tag: u64) -> i32 {
    host(|host| {
        let by = *host.globals.entry(name.into()).or_insert(SELF);
        host.done(tag, if by == SELF { Ok(()) } else { Err(Errno::Taken) })
    })
}

pub fn global_unregister(name: &str, tag: u64) -> i32 {
    host(|host| {
        let removed = host.globals.get(name) == Some(&SELF) && host.globals.remove(name).is_some();
        host.done(tag, if removed { Ok(()) } else { Err(Errno::NotFound) })
    })
}

pub fn global_whereis(name: &str, tag: u64) -> i32 {
    host(|host| match host.globals.get(name).copied() {
        Some(id) => {
            host.signal(Kind::Reply, 0, tag, 1, &id.to_le_bytes());
            0
        }
        None => host.done(tag, Err(Errno::NotFound)),
    })
}

pub fn group_join(name: &str, tag: u64) -> i32 {
    host(|host| {
        host.groups.entry(name.into()).or_default().insert(SELF);
        host.done(tag, Ok(()))
    })
}

pub fn group_leave(name: &str, tag: u64) -> i32 {
    host(|host| {
        let left = host.groups.get_mut(name).is_some_and(|members| members.remove(&SELF));
        host.done(tag, if left { Ok(()) } else { Err(Errno::NotFound) })
    })
}

pub fn group_members(name: &str, tag: u64) -> i32 {
    host(|host| {
        let members = host.groups.get(name).cloned().unwrap_or_default();
        let body: Vec<u8> = members.iter().flat_map(|id| id.to_le_bytes()).collect();
        host.signal(Kind::Reply, 0, tag, members.len() as i32, &body);
    });
    0
}

pub fn kill(_who: u64, _reason: &str) -> i32 {
    0
}

pub fn register(name: &str) -> i32 {
    host(|host| {
        if host.names.contains_key(name) {
            return Errno::Taken.as_return();
        }
        host.names.insert(name.into(), SELF);
        0
    })
}

pub fn unregister(name: &str) -> i32 {
    host(|host| host.names.remove(name).map_or(Errno::NotFound.as_return(), |_| 0))
}

pub fn whereis(name: &str) -> i64 {
    host(|host| host.names.get(name).map_or(i64::from(Errno::NotFound.as_return()), |id| *id as i64))
}

pub fn clock_monotonic() -> u64 {
    host(|host| host.now_ns)
}

pub fn clock_wall() -> u64 {
    host(|host| host.now_ns)
}

pub fn throttled() -> u64 {
    // Natively nothing is bounded.
    0
}

pub fn timer(after_ns: u64, tag: u64) -> i32 {
    host(|host| host.timers.insert(tag, host.now_ns.saturating_add(after_ns)));
    0
}

pub fn cancel_timer(tag: u64) -> i32 {
    host(|host| host.timers.remove(&tag).map_or(Errno::NotFound.as_return(), |_| 0))
}

pub fn random(out: &mut [u8]) -> i32 {
    host(|host| {
        for byte in out {
            // Knuth's MMIX generator: the same bytes in every run of a test.
            host.random = host.random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *byte = (host.random >> 56) as u8;
        }
    });
    0
}

pub fn log(level: i32, _target: &str, text: &str) -> i32 {
    host(|host| host.logs.push((level, text.into())));
    0
}

/// Not the real hash: this build has none. Alike bytes get alike ids, which is all a test needs.
pub fn lump_put(bytes: &[u8], id: &mut [u8; 32], tag: u64) -> i32 {
    for (lane, chunk) in id.chunks_exact_mut(8).enumerate() {
        let mut hash = 0xcbf29ce484222325u64 ^ lane as u64;
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100000001b3);
        }
        chunk.copy_from_slice(&hash.to_le_bytes());
    }
    host(|host| {
        host.lumps.insert(*id, bytes.to_vec());
        if tag != 0 {
            host.signal(Kind::Reply, 0, tag, 0, &[]);
        }
    });
    0
}

pub fn lump_read(id: &[u8; 32], offset: u64, len: u32, _timeout_ms: u32, tag: u64) -> i32 {
    host(|host| {
        let Some(lump) = host.lumps.get(id) else {
            host.signal(Kind::Reply, 0, tag, Errno::NotFound.as_return(), &[]);
            return;
        };
        let start = (offset as usize).min(lump.len());
        let end = (start + len as usize).min(lump.len());
        let body = lump[start..end].to_vec();
        host.signal(Kind::Reply, 0, tag, body.len() as i32, &body);
    });
    0
}

pub fn lump_size(id: &[u8; 32], _timeout_ms: u32, tag: u64) -> i32 {
    host(|host| match host.lumps.get(id).map(|lump| (lump.len() as u64).to_le_bytes()) {
        Some(size) => host.signal(Kind::Reply, 0, tag, 0, &size),
        None => host.signal(Kind::Reply, 0, tag, Errno::NotFound.as_return(), &[]),
    });
    0
}

pub fn lump_push(_id: &[u8; 32], _peer: u32, tag: u64) -> i32 {
    host(|host| host.request("lump_push", tag))
}

pub fn asset_load(_class: &str, _id: &[u8; 32], tag: u64) -> i32 {
    host(|host| host.request("asset_load", tag))
}

pub fn asset_drop(_class: &str, _id: &[u8; 32]) -> i32 {
    0
}

pub fn entity_ids(count: u32) -> i64 {
    host(|host| {
        let first = SELF + host.next_serial + 1;
        host.next_serial += u64::from(count);
        first as i64
    })
}

pub fn scene_apply(batch: &[u8]) -> i32 {
    let Ok(ops) = decode_batch(batch) else { return Errno::Invalid.as_return() };
    host(|host| {
        host.batches.push(batch.to_vec());
        for op in ops {
            match op {
                Op::Set(entity, component) => {
                    let mut bytes = Vec::new();
                    component.encode(&mut bytes);
                    host.scene.insert((entity.to_bits(), component.kind() as u32), bytes);
                }
                Op::Unset(entity, kind) => drop(host.scene.remove(&(entity.to_bits(), kind as u32))),
                Op::Remove(entity) => host.scene.retain(|(of, _), _| *of != entity.to_bits()),
                _ => {}
            }
        }
    });
    0
}

pub fn scene_read(entity: u64, kind: u32, out: &mut [u8]) -> i32 {
    host(|host| match host.scene.get(&(entity, kind)) {
        Some(bytes) => copy_out(bytes, out),
        None => Errno::NotFound.as_return(),
    })
}

pub fn scene_cast(cast: &[u8], tag: u64) -> i32 {
    let Ok(cast) = hearth_abi::cast::Cast::decode(cast) else { return Errno::Invalid.as_return() };
    host(|host| {
        host.casts.push(cast);
        host.request("scene_cast", tag)
    })
}

pub fn input_subscribe(mask: u32) -> i32 {
    host(|host| match host.input_refused {
        Some(errno) => errno.as_return(),
        None => {
            host.input = mask;
            0
        }
    })
}

pub fn pointer_capture(on: u32) -> i32 {
    host(|host| host.captured.push(on != 0));
    0
}

pub fn peer_name(peer: u32, out: &mut [u8]) -> i32 {
    let said = host(|host| host.peers.get(&peer).cloned());
    let usual = match peer {
        1 => Some("tester".to_owned()),
        2 => Some("visitor".to_owned()),
        _ => None,
    };
    match said.unwrap_or(usual) {
        Some(name) => copy_out(name.as_bytes(), out),
        None => Errno::NoPeer.as_return(),
    }
}

pub fn file_load(_path: &str, tag: u64) -> i32 {
    host(|host| host.request("file_load", tag))
}

pub fn terminal_open(open: &[u8], tag: u64) -> i32 {
    if hearth_abi::terminal::Open::decode(open).is_err() {
        return Errno::Invalid.as_return();
    }
    host(|host| host.request("terminal_open", tag))
}

pub fn terminal_command(terminal: u64, command: &[u8]) -> i32 {
    let Ok(command) = hearth_abi::terminal::Command::decode(command) else {
        return Errno::Invalid.as_return();
    };
    host(|host| host.commands.push((terminal, command)));
    0
}

pub fn terminal_views(after: u64, out: &mut [u8]) -> i32 {
    host(|host| {
        let mut bytes = Vec::new();
        let views = host.views.iter().filter(|view| view.entity.to_bits() > after);
        views.take(out.len() / VIEW_LEN).for_each(|view| view.encode(&mut bytes));
        copy_out(&bytes, out)
    })
}

pub fn keyboard_focus(terminal: u64) -> i32 {
    host(|host| host.focuses.push(terminal));
    0
}

pub fn keyboard_leave(user: u32) -> i32 {
    host(|host| host.left.push(user));
    0
}

pub fn clipboard_write(text: &str) -> i32 {
    host(|host| host.clipboard = text.into());
    0
}

pub fn clipboard_read(tag: u64) -> i32 {
    host(|host| {
        let text = host.clipboard.clone();
        host.signal(Kind::Reply, 0, tag, 0, text.as_bytes());
    });
    0
}

pub fn command(_args: &[u8], tag: u64) -> i32 {
    host(|host| host.request("command", tag))
}

pub fn recv(out: &mut [u8], _timeout_ms: i32) -> i32 {
    match try_recv(out) {
        again if again == Errno::Again.as_return() => Errno::TimedOut.as_return(),
        len => len,
    }
}

pub fn sleep(ns: u64) -> i32 {
    host(|host| host.now_ns += ns);
    0
}
