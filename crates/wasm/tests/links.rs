// SPDX-License-Identifier: AGPL-3.0-or-later
//! Links, monitors and exit signals through real guests. The rules themselves are tested where they are kept
//! (`hearth-process`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Probe, World, guest};
use hearth_abi::{
    Errno, LumpId, ProcessId,
    exit::Reason,
    signal::{EXIT_OF_LINK, Header, Kind},
};
use hearth_process::{ExitKind, ExitReason};

/// Does what the probe orders by the first word of a message, with the 32 bytes behind it, and answers with the
/// result; sends the probe whatever else it receives, as it is.
const PARENT: &str = r#"
    (global $probe (mut i64) (i64.const 0))
    (func $do (param $order i64) (result i64)
      (if (i64.eq (local.get $order) (i64.const 1)) (then (return
        (call $spawn_link (i32.const 32) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))))
      (if (i64.eq (local.get $order) (i64.const 2)) (then (return
        (call $spawn_monitor (i32.const 32) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 77)))))
      (if (i64.eq (local.get $order) (i64.const 3)) (then (return
        (i64.extend_i32_s (call $trap_exits (i32.const 1))))))
      (if (i64.eq (local.get $order) (i64.const 4)) (then (return
        (i64.extend_i32_s (call $monitor (i64.load (i32.const 32)) (i64.load (i32.const 40)))))))
      (if (i64.eq (local.get $order) (i64.const 5)) (then (return
        (i64.extend_i32_s (call $demonitor (i64.load (i32.const 32)))))))
      (if (i64.eq (local.get $order) (i64.const 6)) (then (return
        (i64.extend_i32_s (call $link (i64.load (i32.const 32)))))))
      (if (i64.eq (local.get $order) (i64.const 7)) (then (return
        (i64.extend_i32_s (call $unlink (i64.load (i32.const 32)))))))
      (if (i64.eq (local.get $order) (i64.const 8)) (then (return
        (i64.extend_i32_s (call $exit_to (i64.load (i32.const 32)) (i32.const 40) (i32.const 6))))))
      (i64.const -99))
    (func (export "start"))
    (func (export "wake") (local $len i32) (loop $next
      (local.set $len (call $try_recv (i32.const 0) (i32.const 8192)))
      (if (i32.gt_s (local.get $len) (i32.const 0)) (then
        (if (i32.eq (i32.load16_u (i32.const 0)) (i32.const 1))
          (then
            (global.set $probe (i64.load (i32.const 8)))
            (i64.store (i32.const 16384) (call $do (i64.load (i32.const 24))))
            (drop (call $send (global.get $probe) (i32.const 16384) (i32.const 8))))
          (else (drop (call $send (global.get $probe) (i32.const 0) (local.get $len)))))
        (br $next)))))"#;

/// Ends with a reason that has words (`gone`) and data.
const LEAVES: &str = r#"
    (data (i32.const 0) "\06\00\04\00gone\18\2a")
    (func (export "start") (call $exit_with (i32.const 0) (i32.const 10)))"#;

const TRAPS: &str = r#"(func (export "start") (unreachable))"#;

const MALFORMED: &str = r#"
    (data (i32.const 0) "\63\00\00\00")
    (func (export "start")
      (call $check32 (i32.const 1) (call $exit_to (call $self) (i32.const 0) (i32.const 4)) (i32.const -2))
      (call $exit_with (i32.const 0) (i32.const 4)))"#;

/// Asks itself to end, and does not come back.
const SELF: &str = r#"
    (data (i32.const 0) "\07\00\00\00")
    (func (export "start")
      (drop (call $trap_exits (i32.const 1)))
      (drop (call $exit_to (call $self) (i32.const 0) (i32.const 4)))
      (call $check32 (i32.const 1) (i32.const 0) (i32.const 1)))"#;

struct Parent {
    id: ProcessId,
    probe: Probe,
}

impl Parent {
    fn spawn(world: &World) -> Parent {
        Parent { id: world.spawn(PARENT), probe: world.probe() }
    }

    async fn order(&mut self, order: u64, rest: &[u8]) -> i64 {
        let mut body = order.to_le_bytes().to_vec();
        body.extend(rest);
        body.resize(40, 0);
        self.probe.send(self.id, &body);
        let answer = self.probe.next().await;
        i64::from_le_bytes(answer.body[..].try_into().unwrap())
    }

    async fn spawns(&mut self, order: u64, module: LumpId) -> ProcessId {
        let bits = self.order(order, &module.0).await;
        ProcessId::from_bits(u64::try_from(bits).unwrap())
    }

    /// The next signal that it receives and that is no message.
    async fn signal(&mut self) -> (Header, ExitReason) {
        let message = self.probe.next().await;
        let (header, body) = Header::decode(&message.body).unwrap();
        (header, ExitReason::decode(body).unwrap())
    }
}

#[tokio::test]
async fn a_guest_that_traps_exits_is_told_how_others_end() {
    let world = World::new();
    let (leaves, traps) = (world.put(guest(LEAVES)), world.put(guest(TRAPS)));
    let mut parent = Parent::spawn(&world);
    assert_eq!(parent.order(3, &[]).await, 0);
    assert_eq!(parent.order(3, &[]).await, 1);
    let child = parent.spawns(1, leaves).await;
    let (header, reason) = parent.signal().await;
    assert_eq!((header.kind, header.from, header.tag), (Kind::Exit, child.to_bits(), EXIT_OF_LINK));
    assert_eq!(
        (reason.kind, &*reason.text, &reason.data[..]),
        (ExitKind::Shutdown, "gone", &b"\x18\x2a"[..])
    );
    let child = parent.spawns(2, traps).await;
    let (header, reason) = parent.signal().await;
    assert_eq!((header.kind, header.from, header.tag), (Kind::Down, child.to_bits(), 77));
    assert_eq!((reason.kind, &*reason.text), (ExitKind::Trap, "unreachable executed"));
    // A module that nobody has: it ends before it ran.
    parent.spawns(2, LumpId([9; 32])).await;
    assert_eq!(parent.signal().await.1.kind, ExitKind::Load);
}

#[tokio::test]
async fn a_guest_that_does_not_ends_with_those_it_is_linked_to() {
    let world = World::new();
    let traps = world.put(guest(TRAPS));
    let mut parent = Parent::spawn(&world);
    let body = [&1u64.to_le_bytes()[..], &traps.0].concat();
    parent.probe.send(parent.id, &body);
    let reason = world.processes.exited(parent.id).await;
    assert_eq!(
        (reason.kind, &*reason.text, reason.backtrace),
        (ExitKind::Trap, "unreachable executed", None)
    );
    // A link of nobody.
    let mut other = Parent::spawn(&world);
    let body = [&6u64.to_le_bytes()[..], &parent.id.to_bits().to_le_bytes()].concat();
    other.probe.send(other.id, &body);
    assert_eq!(world.processes.exited(other.id).await, ExitReason::of_kind(ExitKind::NoProcess));
    assert_eq!(parent.probe.next().await.body.len(), 8, "it was told the id of its child");
    assert_eq!(other.probe.next().await.body[..], [0; 8]);
}

#[tokio::test]
async fn guests_link_monitor_and_end_each_other() {
    let world = World::new();
    let (mut one, mut two) = (Parent::spawn(&world), Parent::spawn(&world));
    let id = two.id.to_bits().to_le_bytes();
    let monitor = |tag: u64| [&id[..], &tag.to_le_bytes()].concat();
    assert_eq!(one.order(6, &id).await, 0);
    assert_eq!(one.order(7, &id).await, 0);
    assert_eq!(one.order(4, &monitor(5)).await, 0);
    assert_eq!(one.order(4, &monitor(5)).await, i64::from(Errno::Taken.as_return()));
    assert_eq!(one.order(4, &monitor(6)).await, 0);
    assert_eq!(one.order(5, &5u64.to_le_bytes()).await, 0);
    assert_eq!(one.order(5, &5u64.to_le_bytes()).await, i64::from(Errno::NotFound.as_return()));
    // Two traps exits, so that it is told and lives; then it is killed, and one, unlinked, is told by its monitor.
    assert_eq!(two.order(3, &[]).await, 0);
    let exit = |kind: u8, text: &str| [&id[..], &[kind, 0, text.len() as u8, 0], text.as_bytes()].concat();
    assert_eq!(one.order(8, &exit(1, "hm")).await, 0);
    let (header, reason) = two.signal().await;
    assert_eq!((header.from, header.tag, &*reason.text), (one.id.to_bits(), 0, "hm"));
    assert_eq!(one.order(8, &exit(7, "so")).await, 0);
    let (header, reason) = one.signal().await;
    assert_eq!((header.tag, reason), (6, ExitReason::new(ExitKind::Killed, "so")));
    assert_eq!(one.order(8, &exit(7, "so")).await, i64::from(Errno::NotFound.as_return()));
    assert_eq!(one.order(4, &monitor(6)).await, 0);
    assert_eq!(one.signal().await.1.kind, ExitKind::NoProcess);
}

#[tokio::test]
async fn a_guest_ends_itself_with_a_reason() {
    let world = World::new();
    assert_eq!(world.run(SELF).await, ExitReason::of_kind(ExitKind::Killed));
    let reason = world.run(MALFORMED).await;
    assert_eq!((reason.kind, &*reason.text), (ExitKind::Error, "ended with a reason that is malformed"));
    let reason = world.run(LEAVES).await;
    let data = &b"\x18\x2a"[..];
    assert_eq!(reason.encode(), Reason { kind: ExitKind::Shutdown, text: "gone", data }.encode());
}
