// SPDX-License-Identifier: AGPL-3.0-or-later
// What the scripts of benches/processes.rs do, in AssemblyScript: one module for all roles, of which the argument says one.

@external("hearth/1", "self")
declare function self_id(): u64;
@external("hearth/1", "args")
declare function args(ptr: usize, cap: i32): i32;
@external("hearth/1", "exit")
declare function exit(ptr: usize, len: i32): void;
@external("hearth/1", "try_recv_many")
declare function try_recv_many(ptr: usize, cap: i32): i32;
@external("hearth/1", "wake_with")
declare function wake_with(ptr: usize, cap: i32): i32;
@external("hearth/1", "send")
declare function send(to: u64, ptr: usize, len: i32): i32;
@external("hearth/1", "spawn")
declare function spawn(module: usize, name: usize, nameLen: i32, args: usize, argsLen: i32): i64;

const enum Role { Echo, Ping, Node, Flood, Count, Child, Parent }

const WAVE: i32 = 100;

// The length of the one argument, then the argument: the role, and what it is given.
const ARGS_LEN: i32 = 64;
const argument: usize = memory.data(ARGS_LEN, 4) + 4;
const given: usize = argument + 8;
// What a parent gives its children: length, role, its own id.
const child: usize = memory.data(20, 4);
// Several signals, each behind its length: a header of 24 bytes, and the body.
const SIGNALS_LEN: i32 = 4096;
// And before them how long all are.
const signals_len: usize = memory.data(8 + SIGNALS_LEN, 8);
const signals: usize = signals_len + 8;

let role: u64 = 0;
let peer: u64 = 0;
let count: u64 = 0;
let next: u64 = 0;
let left: i32 = 0;

function ping(): void {
  send(peer, given, 16);
}

function spawnWave(): void {
  left = WAVE;
  for (let n = 0; n < WAVE; n++) spawn(given, 0, 0, child, 20);
}

function take(signal: usize, len: u32): void {
  const body = signal + 24;
  switch (i32(role)) {
    case Role.Echo:
      send(load<u64>(signal, 8), body, 16);
      break;
    case Role.Ping:
      if (--count == 0) exit(0, 0);
      ping();
      break;
    case Role.Node:
      if (len == 32) {
        next = load<u64>(body);
      } else {
        const hops = load<u64>(body);
        if (hops == 0) exit(0, 0);
        store<u64>(body, hops - 1);
        send(next, body, 16);
      }
      break;
    case Role.Count:
      if (--count == 0) exit(0, 0);
      break;
    case Role.Parent:
      if (--left == 0) {
        if (--count == 0) exit(0, 0);
        spawnWave();
      }
      break;
  }
}

// What the compiler calls when something is wrong.
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  exit(0, 0);
}

export function start(): void {
  args(argument - 4, ARGS_LEN);
  role = load<u64>(argument);
  peer = load<u64>(given);
  count = load<u64>(given, 8);
  switch (i32(role)) {
    case Role.Ping:
      ping();
      break;
    case Role.Flood:
      do ping(); while (--count != 0);
      exit(0, 0);
      break;
    case Role.Child:
      send(peer, argument, 8);
      exit(0, 0);
      break;
    case Role.Parent:
      count = load<u64>(given, 32);
      store<u32>(child, 16);
      store<u64>(child, Role.Child, 4);
      store<u64>(child, self_id(), 12);
      spawnWave();
      break;
  }
}

export function wake(): void {
  let len = load<i32>(signals_len);
  if (len == 0) {
    wake_with(signals_len, 8 + SIGNALS_LEN);
    len = try_recv_many(signals, SIGNALS_LEN);
  }
  while (len > 0) {
    const end = signals + len;
    for (let entry = signals; entry < end;) {
      const len = load<u32>(entry);
      take(entry + 8, len);
      entry += 8 + ((len + 7) & ~7);
    }
    // If all took little room there is no more, or that brings the next turn at once.
    if (len <= SIGNALS_LEN / 2) return;
    len = try_recv_many(signals, SIGNALS_LEN);
  }
}
