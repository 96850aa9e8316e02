// SPDX-License-Identifier: AGPL-3.0-or-later
//! Peers come, go, come back, and are known by their keys.

use crate::{
    common::{Guest, Space, echo, leave, nobody, painter, post, round_trip, soon, stop, until},
    proxy::Proxy,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::{
    EntityId, LumpId, PeerId, TerminalId,
    scene::{Op, Scope, encode_batch},
    screen::Screen,
};
use hearth_net::PeerKey;
use hearth_node::{PeerChange, Picture, join};
use hearth_scene::Change;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::mpsc;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_keeps_its_number_and_its_last_login_counts() {
    let space = Space::start().await;
    let key = PeerKey::generate();
    let other = space.raw("other").await;
    let first = space.raw_with("first", key.clone()).await;
    assert_ne!(first.id, other.id);
    let second = space.raw_with("second", key.clone()).await;
    assert_eq!(second.id, first.id);
    first.cut_off().await;
    let names = |space: &Space| -> Vec<String> {
        let here = space.node().peers().into_iter().filter(|peer| peer.id == second.id.number());
        here.map(|peer| peer.name).collect()
    };
    assert_eq!(names(&space), ["second"]);
    // The second is one that others reach.
    let mut second = second;
    let mut post = Guest::start(space.node(), post()).await;
    post.tell(crate::common::to(hearth_abi::ProcessId::new(second.id, 1).unwrap(), b"hi"));
    soon("a message", second.lanes.hot.recv()).await.unwrap();
    second.message(post.id, hearth_abi::ProcessId::new(second.id, 1).unwrap(), b"there").await;
    assert_eq!(post.line().await, "there");
    let (first_id, other_id) = (first.id, other.id);
    drop((second, other, first, post));

    let Space { dir, server, .. } = space;
    stop(server).await;
    let space = Space::start_in(dir, |_options| {}).await;
    assert_eq!(space.raw_with("again", key).await.id, first_id);
    let new = space.raw("new").await.id;
    assert!(new != first_id && new != other_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_come_at_once_know_each_other() {
    let space = Space::start().await;
    let space = Arc::new(space);
    let joining: Vec<_> = (0..6)
        .map(|n| {
            let space = space.clone();
            tokio::spawn(async move { space.join(&format!("client {n}")).await })
        })
        .collect();
    let mut clients = Vec::new();
    for client in joining {
        clients.push(soon("a client", client).await.unwrap());
    }
    let ids =
        |node: &hearth_node::Node| -> BTreeSet<u32> { node.peers().iter().map(|peer| peer.id).collect() };
    let all: BTreeSet<u32> = clients.iter().map(|client| client.node.id().number()).chain([0]).collect();
    assert_eq!(all.len(), 7);
    until("all know all", || {
        clients.iter().map(|client| &client.node).chain([space.node()]).all(|node| ids(node) == all)
    })
    .await;
}

/// An engine that only tells what changes.
pub(super) struct Watcher(pub(super) mpsc::Sender<Change>);

impl Picture for Watcher {
    fn changes(&self, changes: Vec<Change>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            for change in changes {
                // A test that has seen enough listens no more.
                let _ = self.0.send(change).await;
            }
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

/// Waits until an entity is made or removed, and gives all that went before it.
pub(super) async fn seen(
    changes: &mut mpsc::Receiver<Change>,
    what: &str,
    is_it: impl Fn(&Change) -> bool,
) -> Vec<Change> {
    let mut before = Vec::new();
    soon(what, async {
        loop {
            let change = changes.recv().await.unwrap();
            if is_it(&change) {
                return;
            }
            before.push(change);
        }
    })
    .await;
    before
}

fn make(id: EntityId) -> Bytes {
    encode_batch(&[Op::Create(id, Scope::Shared)]).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_comes_back_in_time_keeps_its_entities_and_one_that_does_not_loses_them() {
    let space = Space::start_with(|options| options.grace = Duration::from_secs(5)).await;
    let proxy = Proxy::to(&space.address).await;
    let mut options = space.options("ada");
    options.connect = proxy.address.clone();
    let ada = join(options).await.unwrap();
    let (sender, mut changes) = mpsc::channel(64);
    let mut options = space.options("bob");
    options.picture = Some(Arc::new(Watcher(sender)));
    let bob = join(options).await.unwrap();
    let mut peers = bob.node.peer_changes();

    let echo = Guest::start(space.node(), echo()).await;
    let mut post = Guest::start(&ada.node, post()).await;
    let mut painter = Guest::start(&ada.node, painter()).await;
    let entity = |serial| EntityId::new(ada.node.id(), serial).unwrap();
    let (kept, after) = (entity(1), entity(2));
    painter.tell(make(kept));
    assert_eq!(painter.line().await, "y");
    seen(&mut changes, "the first", |change| matches!(change, Change::Created { id, .. } if *id == kept))
        .await;

    proxy.cut();
    // It knows that it has no server any more, and makes something all the same.
    until("ada is alone", || ada.node.processes().send(nobody(), echo.id, Bytes::new()).is_err()).await;
    painter.tell(make(after));
    assert_eq!(painter.line().await, "y");
    proxy.mend();
    let before = seen(
        &mut changes,
        "the second",
        |change| matches!(change, Change::Created { id, .. } if *id == after),
    );
    let before = before.await;
    assert!(before.iter().all(|change| !matches!(change, Change::Removed { .. })), "{before:?}");
    round_trip(&mut post, echo.id, "back").await;
    assert!(peers.try_recv().is_err(), "nobody was told that it was away");

    proxy.cut();
    let gone = ada.node.id();
    let before = seen(
        &mut changes,
        "the end of the second",
        |change| matches!(change, Change::Removed { id } if *id == after),
    );
    let mut removed = before.await;
    if !removed.iter().any(|change| matches!(change, Change::Removed { id } if *id == kept)) {
        removed = seen(
            &mut changes,
            "the end of the first",
            |change| matches!(change, Change::Removed { id } if *id == kept),
        )
        .await;
    }
    drop(removed);
    soon("the news that it left", async {
        while !matches!(peers.recv().await.unwrap(), PeerChange::Left(id) if id == gone) {}
    })
    .await;

    // It comes back late, under its number, and shows what it still has anew.
    proxy.mend();
    soon("the news that it came", async {
        while !matches!(peers.recv().await.unwrap(), PeerChange::Joined(peer) if peer.id == gone.number()) {}
    })
    .await;
    // The others may know it before it does itself.
    until("ada has a way", || ada.node.processes().send(nobody(), echo.id, Bytes::new()).is_ok()).await;
    round_trip(&mut post, echo.id, "late").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_start_keeps_no_other_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("server");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("echo.wasm"), echo()).unwrap();
    std::fs::write(folder.join("text.wasm"), "no module").unwrap();
    let trap = wat::parse_str(
        r#"(module (memory (export "memory") 1) (func (export "start") unreachable) (func (export "wake")))"#,
    );
    std::fs::write(folder.join("trap.wasm"), trap.unwrap()).unwrap();
    let services = [
        ("missing", "nowhere.wasm"),
        ("std", "std:no-such-script"),
        ("text", "text.wasm"),
        ("trap", "trap.wasm"),
        ("echo", "echo.wasm"),
        ("last", "echo.wasm"),
    ];
    let service = |(name, module)| format!("[[service]]\nname = '{name}'\nmodule = '{module}'\n");
    std::fs::write(folder.join("space.toml"), services.map(service).concat()).unwrap();
    let space = Space::start_in(dir, |options| options.boot = true).await;
    let processes = space.node().processes();
    until("the last service", || processes.whereis("last").is_some()).await;
    assert!(processes.whereis("echo").is_some());
    for name in ["missing", "std", "text", "trap"] {
        assert_eq!(processes.whereis(name), None, "{name}");
    }
    let info = processes.info(processes.whereis("last").unwrap()).unwrap();
    assert_eq!(info.origin, PeerId::SERVER);
    let ada = space.join("ada").await;
    let mut post = Guest::start(&ada.node, post()).await;
    round_trip(&mut post, processes.whereis("echo").unwrap(), "up").await;
    leave(ada).await;
}
