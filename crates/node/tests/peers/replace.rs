// SPDX-License-Identifier: AGPL-3.0-or-later
//! Operators replace the code of running processes, on their own peer and on others.

use crate::common::{Guest, Space, echo, painter, post, round_trip, soon};
use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::{LumpId, ProcessId, TerminalId, screen::Screen};
use hearth_ipc::{Client, ClientError};
use hearth_node::{Picture, join};
use hearth_protocol::operator::{ErrorCode, Failure, ProcessInfo, Replaced, Request, Status};
use hearth_scene::Change;
use std::{path::Path, sync::Arc};
use tokio::sync::mpsc;

async fn ask<T: serde::de::DeserializeOwned>(socket: &Path, request: &Request) -> Result<T, Failure> {
    let asked = async { Client::connect(socket).await.unwrap().call(request).await };
    match soon("an answer", asked).await {
        Ok(value) => Ok(value),
        Err(ClientError::Failed(failure)) => Err(failure),
        Err(other) => panic!("{other}"),
    }
}

async fn replace(socket: &Path, id: ProcessId, module: LumpId) -> Result<Replaced, Failure> {
    ask(socket, &Request::Replace { id, module }).await
}

async fn rollback(socket: &Path, id: ProcessId) -> Result<Replaced, Failure> {
    ask(socket, &Request::Rollback { id }).await
}

async fn info(socket: &Path, id: ProcessId) -> ProcessInfo {
    ask(socket, &Request::Info { id }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_replaces_code_here_and_elsewhere() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let mut post = Guest::start(&ada.node, post()).await;
    // On Bob's peer, with Ada's authority; only Ada has the modules.
    let first = ada.node.put_lump(painter()).await.unwrap();
    let second = ada.node.put_lump(echo()).await.unwrap();
    for on in [space.node().id(), bob.node.id(), ada.node.id()] {
        let id = soon("a process", ada.node.spawn(on, first, Some("it".into()), &[])).await.unwrap();
        assert_eq!(replace(&ada.socket, id, second).await.unwrap(), Replaced { id, module: second });
        round_trip(&mut post, id, "hello").await;
        let now = info(&ada.socket, id).await;
        assert_eq!(
            (now.module, now.origin, &now.names[..]),
            (Some(second), ada.node.id(), &["it".to_owned()][..])
        );
        assert_eq!((now.history, now.history_index), (vec![first, second], Some(1)));
        assert_eq!(rollback(&ada.socket, id).await.unwrap(), Replaced { id, module: first });
        let failure = rollback(&ada.socket, id).await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::Refused, "{failure}");
        let now = info(&ada.socket, id).await;
        assert_eq!((now.history, now.history_index), (vec![first, second], Some(0)));
    }
    let nobody = ProcessId::new(bob.node.id(), 999).unwrap();
    assert_eq!(replace(&ada.socket, nobody, second).await.unwrap_err().code, ErrorCode::NoSuchProcess);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_with_the_authority_of_its_machine_is_for_its_own_operator() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let own = Guest::start(&bob.node, painter()).await;
    let module = ada.node.put_lump(echo()).await.unwrap();
    let failure = replace(&ada.socket, own.id, module).await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::Refused, "{failure}");
    assert!(failure.message.contains("only that peer's own operator"), "{failure}");
    assert_eq!(replace(&bob.socket, own.id, module).await.unwrap().module, module);
    assert_eq!(rollback(&ada.socket, own.id).await.unwrap_err().code, ErrorCode::Refused);
    assert_eq!(info(&bob.socket, own.id).await.origin, bob.node.id());

    // What came from Ada is Ada's to replace, and has her authority; what Bob puts in its place has his.
    let foreign = soon("a process", ada.node.spawn(bob.node.id(), module, None, &[])).await.unwrap();
    let other = bob.node.put_lump(painter()).await.unwrap();
    replace(&bob.socket, foreign, other).await.unwrap();
    assert_eq!(info(&ada.socket, foreign).await.origin, bob.node.id());
    assert_eq!(replace(&ada.socket, foreign, module).await.unwrap_err().code, ErrorCode::Refused);
    rollback(&bob.socket, foreign).await.unwrap();
    assert_eq!(info(&ada.socket, foreign).await.origin, ada.node.id());
    replace(&ada.socket, foreign, other).await.unwrap();
    assert_eq!(info(&ada.socket, foreign).await.origin, ada.node.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_does_not_load_or_start_changes_nothing() {
    let space = Space::start().await;
    let ada = space.join("ada").await;
    let mut post = Guest::start(&ada.node, post()).await;
    let module = ada.node.put_lump(echo()).await.unwrap();
    let on_server = soon("a process", ada.node.spawn(space.node().id(), module, None, &[])).await.unwrap();
    let here = soon("a process", ada.node.spawn(ada.node.id(), module, None, &[])).await.unwrap();
    let put = |text: &str| {
        let (node, bytes) = (ada.node.clone(), wat::parse_str(text).unwrap());
        async move { node.put_lump(bytes.into()).await.unwrap() }
    };
    let missing = put(
        r#"(module (import "env" "printf" (func)) (memory (export "memory") 1) (func (export "start")))"#,
    );
    let missing = missing.await;
    let breaks = put(r#"(module (memory (export "memory") 1) (func (export "start") unreachable))"#).await;
    let none = ada.node.put_lump(Bytes::from_static(b"no module")).await.unwrap();
    for id in [here, on_server] {
        for (module, code, text) in [
            (missing, ErrorCode::Malformed, "`env.printf`"),
            (none, ErrorCode::Malformed, "not valid"),
            (breaks, ErrorCode::DidNotStart, "unreachable executed"),
            (LumpId([7; 32]), ErrorCode::NotFound, "07070707"),
        ] {
            let failure = replace(&ada.socket, id, module).await.unwrap_err();
            assert_eq!(failure.code, code, "{failure}");
            assert!(failure.message.contains(text), "{failure}");
            round_trip(&mut post, id, text).await;
        }
        assert_eq!(info(&ada.socket, id).await.history, [module]);
    }
}

/// An engine that counts what it shows, and tells the least that was there at a time.
struct Counter(mpsc::Sender<(usize, usize)>, parking_lot::Mutex<(usize, usize)>);

impl Picture for Counter {
    fn changes(&self, changes: Vec<Change>) -> BoxFuture<'_, ()> {
        let counts = {
            let mut counts = self.1.lock();
            for change in &changes {
                match change {
                    Change::Created { .. } => counts.0 += 1,
                    Change::Removed { .. } => counts.1 += 1,
                    _ => {}
                }
            }
            *counts
        };
        Box::pin(async move {
            // A test that has seen enough listens no more.
            let _ = self.0.send(counts).await;
        })
    }
    fn lump(&self, _id: LumpId, _bytes: Result<Bytes, String>) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
    fn capture_pointer(&self, _on: bool) {}
    fn screenshot(&self) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        Box::pin(std::future::ready(Err("blind".into())))
    }
    fn load(&self, _class: &str, _id: LumpId) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }
    fn drop_asset(&self, _class: &str, _id: LumpId) {}
    fn screen(&self, _terminal: TerminalId, _screen: Option<Arc<Screen>>) {}
}

/// A guest that makes so many entities, each under the one before, and then does something.
fn maker(count: usize, then: &str) -> Bytes {
    let text = format!(
        r#"(module
      (import "hearth/1" "entity_ids" (func $entity_ids (param i32) (result i64)))
      (import "hearth/1" "scene_apply" (func $scene_apply (param i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "\01........\00")
      (func $make
        (i64.store (i32.const 1) (call $entity_ids (i32.const 1)))
        (if (call $scene_apply (i32.const 0) (i32.const 10)) (then unreachable)))
      (func (export "start") {} {then})
      (func (export "wake")))"#,
        "(call $make)".repeat(count)
    );
    wat::parse_str(text).unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_code_before_made_is_there_until_its_successor_has_made_its_own() {
    let space = Space::start().await;
    let (sender, mut counts) = mpsc::channel(64);
    let mut options = space.options("ada");
    options.picture = Some(Arc::new(Counter(sender, Default::default())));
    let ada = join(options).await.unwrap();
    let bob = space.join("bob").await;
    let entities = async |socket: &Path| ask::<Status>(socket, &Request::Status {}).await.unwrap().entities;
    for on in [ada.node.id(), space.node().id()] {
        let put = |count, then| ada.node.put_lump(maker(count, then));
        let (three, two) = (put(3, "").await.unwrap(), put(2, "").await.unwrap());
        let breaks = put(5, "unreachable").await.unwrap();
        let id = soon("a process", ada.node.spawn(on, three, None, &[])).await.unwrap();
        let mut before = (0, 0);
        soon("three entities", async {
            while before.0 - before.1 != 3 {
                before = counts.recv().await.unwrap();
            }
        })
        .await;
        assert_eq!(replace(&ada.socket, id, breaks).await.unwrap_err().code, ErrorCode::DidNotStart);
        replace(&ada.socket, id, two).await.unwrap();
        let (mut now, mut least) = (before, 3);
        soon("two entities", async {
            // Those of the code that broke may have come and gone between two looks.
            while now.0 - now.1 != 2 {
                now = counts.recv().await.unwrap();
                least = least.min(now.0 - now.1);
            }
        })
        .await;
        assert_eq!(least, 2, "something was missing in between");
        soon("two entities for all", async {
            for socket in [&space.server.socket, &bob.socket] {
                while entities(socket).await != 2 {
                    tokio::task::yield_now().await;
                }
            }
        })
        .await;
        ada.node.processes().kill(None, id, "").unwrap();
        soon("none", async {
            while now.0 != now.1 {
                now = counts.recv().await.unwrap();
            }
        })
        .await;
        soon("none at the server", async {
            while entities(&space.server.socket).await != 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}
