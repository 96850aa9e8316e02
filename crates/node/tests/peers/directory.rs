// SPDX-License-Identifier: AGPL-3.0-or-later
//! Names and groups that hold in the whole space.

use crate::common::{Guest, Raw, Space, leave, soon, until};
use bytes::Bytes;
use hearth_abi::{Errno, ProcessId};
use hearth_protocol::control::{Control, DirectoryOp, Request, Response};

const REGISTER: u8 = 0;
const UNREGISTER: u8 = 1;
const WHEREIS: u8 = 2;
const JOIN: u8 = 3;
const LEAVE: u8 = 4;
const MEMBERS: u8 = 5;

/// A guest that does with the directory what an operator says by the first byte of a message, with the name behind
/// it, and logs the status of the reply as a character: `@` is 0, `A` is 1, and so on in both directions.
fn asker() -> Bytes {
    let calls = [
        "global_register",
        "global_unregister",
        "global_whereis",
        "group_join",
        "group_leave",
        "group_members",
    ];
    let imports: String = calls
        .iter()
        .map(|call| {
            format!("(import \"hearth/1\" \"{call}\" (func ${call} (param i32 i32 i64) (result i32)))\n")
        })
        .collect();
    let cases: String = calls
        .iter()
        .enumerate()
        .map(|(n, call)| {
            format!(
                "(if (i32.eq (i32.load8_u (i32.const 24)) (i32.const {n})) (then
                   (drop (call ${call} (i32.const 25) (i32.sub (local.get $len) (i32.const 25)) (i64.const 9)))))\n"
            )
        })
        .collect();
    let text = format!(
        r#"(module
  (import "hearth/1" "try_recv" (func $try_recv (param i32 i32) (result i32)))
  (import "hearth/1" "log" (func $log (param i32 i32 i32 i32 i32) (result i32)))
  {imports}
  (memory (export "memory") 1)
  (func (export "start"))
  (func (export "wake") (local $len i32) (loop $next
    (local.set $len (call $try_recv (i32.const 0) (i32.const 8192)))
    (if (i32.gt_s (local.get $len) (i32.const 0)) (then
      (if (i32.eq (i32.load16_u (i32.const 0)) (i32.const 1)) (then {cases}))
      (if (i32.eq (i32.load16_u (i32.const 0)) (i32.const 5)) (then
        (i32.store8 (i32.const 9000) (i32.add (i32.const 64) (i32.load (i32.const 4))))
        (drop (call $log (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 9000) (i32.const 1)))))
      (br $next))))))"#
    );
    wat::parse_str(text).unwrap().into()
}

/// The status of the guest's answer.
async fn ask(guest: &mut Guest, op: u8, name: &str) -> i32 {
    guest.tell([&[op], name.as_bytes()].concat().into());
    i32::from(guest.line().await.as_bytes()[0]) - 64
}

impl Raw {
    /// Asks the server, and gives its answer.
    async fn directory(
        &mut self,
        op: DirectoryOp,
        name: &str,
        process: ProcessId,
    ) -> Result<Vec<u64>, Option<Errno>> {
        let request = Request::Directory { op, name: name.into(), process: process.to_bits() };
        self.say(&Control::Call { from: 0, to: 0, id: 1, request }).await;
        match self.control().await {
            Control::Return { result: Ok(Response::Processes { processes }), .. } => Ok(processes),
            Control::Return { result: Err(failure), .. } => Err(Errno::from_number(failure.errno)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_groups_hold_everywhere_until_their_process_ends() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let mut near = Guest::start(space.node(), asker()).await;
    let mut one = Guest::start(&ada.node, asker()).await;
    let mut other = Guest::start(&bob.node, asker()).await;
    let (taken, not_found) = (Errno::Taken.as_return(), Errno::NotFound.as_return());
    assert_eq!(ask(&mut near, WHEREIS, "lamp").await, not_found);
    assert_eq!(ask(&mut one, REGISTER, "lamp").await, 0);
    assert_eq!(ask(&mut one, REGISTER, "lamp").await, 0);
    for guest in [&mut near, &mut other] {
        assert_eq!(ask(guest, WHEREIS, "lamp").await, 1);
        assert_eq!(ask(guest, REGISTER, "lamp").await, taken);
        assert_eq!(ask(guest, UNREGISTER, "lamp").await, not_found);
    }
    for guest in [&mut near, &mut one, &mut other] {
        assert_eq!(ask(guest, JOIN, "lamps").await, 0);
    }
    assert_eq!(ask(&mut near, MEMBERS, "lamps").await, 3);
    assert_eq!(ask(&mut near, LEAVE, "lamps").await, 0);
    assert_eq!(ask(&mut near, LEAVE, "lamps").await, not_found);
    assert_eq!(ask(&mut near, REGISTER, "").await, Errno::Invalid.as_return());
    assert_eq!(ask(&mut other, MEMBERS, "nobody").await, 0);
    // An end frees the name; the peer's end is one of all its processes.
    ada.node.processes().kill(None, one.id, "").unwrap();
    soon("an end", ada.node.processes().exited(one.id)).await;
    let mut raw = space.raw("raw").await;
    let process = ProcessId::new(raw.id, 1).unwrap();
    while raw.directory(DirectoryOp::Whereis, "lamp", process).await.is_ok() {}
    assert_eq!(raw.directory(DirectoryOp::Members, "lamps", process).await, Ok(vec![other.id.to_bits()]));
    assert_eq!(ask(&mut other, REGISTER, "lamp").await, 0);
    leave(bob).await;
    while raw.directory(DirectoryOp::Whereis, "lamp", process).await.is_ok() {}
    assert_eq!(raw.directory(DirectoryOp::Members, "lamps", process).await, Ok(vec![]));
    assert_eq!(ask(&mut near, REGISTER, "lamp").await, 0);
    leave(ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_gives_names_to_its_own_processes_alone() {
    let space = Space::start().await;
    let mut raw = space.raw("raw").await;
    let near = Guest::start(space.node(), asker()).await;
    let refused = raw.directory(DirectoryOp::Register, "lamp", near.id).await;
    assert_eq!(refused, Err(Some(Errno::Invalid)));
    let long = "x".repeat(129);
    for name in [&*long, "a\nb", ""] {
        let process = ProcessId::new(raw.id, 1).unwrap();
        let refused = raw.directory(DirectoryOp::Register, name, process).await;
        assert_eq!(refused, Err(Some(Errno::Invalid)));
    }
    // Whoever ends the clerk ends what it kept, and the next has a new one.
    let mut near = near;
    assert_eq!(ask(&mut near, REGISTER, "lamp").await, 0);
    let clerk = space.node().processes().list().into_iter().find(|info| info.module.is_none()).unwrap().id;
    space.node().processes().kill(None, clerk, "").unwrap();
    until("the clerk has ended", || space.node().processes().info(clerk).is_none()).await;
    assert_eq!(ask(&mut near, WHEREIS, "lamp").await, Errno::NotFound.as_return());
    assert_eq!(ask(&mut near, REGISTER, "lamp").await, 0);
    assert_eq!(ask(&mut near, WHEREIS, "lamp").await, 1);
}
