// SPDX-License-Identifier: AGPL-3.0-or-later
//! A peer that has nobody else, the process that its program speaks as, and how a client stands with its space.

use crate::{
    common::{Guest, SOON, Space, echo, leave, painter, post, soon, to, until},
    presence::{Watcher, seen},
    proxy::Proxy,
};
use bytes::Bytes;
use hearth_abi::{
    EntityId,
    scene::{Component, MeshSource, Op, Scope, encode_batch},
};
use hearth_node::{AloneOptions, Connection, JoinStep, Standing, alone, join};
use hearth_scene::Change;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_alone_runs_scripts_and_shows_what_they_make() {
    let dir = tempfile::tempdir().unwrap();
    let (sender, mut changes) = mpsc::channel(64);
    let options = || AloneOptions::new(dir.path().join("alone"), "lobby");
    let running = alone(AloneOptions { picture: Some(Arc::new(Watcher(sender))), ..options() }).unwrap();
    let node = running.node.clone();
    let id = soon("a script", running.spawn(painter(), "painter", &[])).await.unwrap();
    assert_eq!(node.processes().whereis("painter"), Some(id));
    let mut painter = Guest::watch(&node, id);
    let made = EntityId::new(node.id(), 1).unwrap();
    painter.tell(encode_batch(&[Op::Create(made, Scope::Local)]).into());
    assert_eq!(painter.line().await, "y");
    seen(&mut changes, "what it made", |change| matches!(change, Change::Created { id, .. } if *id == made))
        .await;
    // One at a time has the folder, until it has ended.
    assert!(alone(options()).is_err());
    node.shut_down();
    soon("its end", running.ended()).await;
    drop((node, painter));
    until("the folder is free", || alone(options()).is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_speaks_as_a_process() {
    let dir = tempfile::tempdir().unwrap();
    let running = alone(AloneOptions::new(dir.path(), "lobby")).unwrap();
    let node = &running.node;
    let mut voice = node.speak_as("client").unwrap();
    assert_eq!(node.processes().whereis("client"), Some(voice.id()));
    assert!(node.speak_as("client").is_err(), "the name is taken");

    // What it is sent comes with who sent it, in order, and however much waits.
    let post = Guest::start(node, post()).await;
    for number in 0..100 {
        post.tell(to(voice.id(), format!("{number}").as_bytes()));
    }
    for number in 0..100 {
        let heard = soon("a message", voice.next()).await;
        assert_eq!(heard, Some((post.id, Bytes::from(format!("{number}")))));
    }
    // What it says comes from it.
    let echo = Guest::start(node, echo()).await;
    voice.send(echo.id, "hello".into()).unwrap();
    assert_eq!(soon("an answer", voice.next()).await, Some((echo.id, "hello".into())));

    let id = voice.id();
    drop(voice);
    until("it has ended", || node.processes().info(id).is_none()).await;
    until("the name is free", || node.speak_as("client").is_ok()).await;
    let mut last = node.speak_as("last").unwrap();
    node.shut_down();
    assert_eq!(soon("the end", last.next()).await, None);
}

/// Waits until a client stands so.
async fn stands(standing: &mut watch::Receiver<Standing>, what: &str, is_so: impl FnMut(&Standing) -> bool) {
    soon(what, standing.wait_for(is_so)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_tells_how_it_stands() {
    let space = Space::start().await;
    let lump = space.node().put_lump(Bytes::from_static(b"no mesh, but a lump")).await.unwrap();
    let painter = Guest::start(space.node(), painter()).await;
    let made = EntityId::new(space.node().id(), 1).unwrap();
    let mesh = Component::Mesh(MeshSource::Lump(lump));
    painter.tell(encode_batch(&[Op::Create(made, Scope::Shared), Op::Set(made, mesh)]).into());

    let proxy = Proxy::to(&space.address).await;
    let mut options = space.options("ada");
    options.connect = proxy.address.clone();
    let step = watch::Sender::new(JoinStep::Reaching);
    options.step = Some(step.clone());
    let ada = soon("a client", join(options)).await.unwrap();
    assert_eq!(*step.borrow(), JoinStep::LoggingIn);
    let mut standing = ada.node.standing();
    stands(&mut standing, "all is there", |now| now.has_scene && now.has_booted).await;
    assert_eq!(standing.borrow().connection, Connection::Up);

    // What the scene needs comes, and is counted.
    assert_eq!(counts(&ada.node).await, [1, 0]);
    assert_eq!(ada.node.lump(lump, SOON).await.unwrap(), "no mesh, but a lump");

    proxy.cut();
    let is_lost =
        |now: &Standing| matches!(&now.connection, Connection::Lost { reason, .. } if !reason.is_empty());
    stands(&mut standing, "the loss", is_lost).await;
    let is_tried = |now: &Standing| matches!(now.connection, Connection::Lost { tries: 1.., .. });
    stands(&mut standing, "a try", is_tried).await;
    proxy.mend();
    stands(&mut standing, "the return", |now| now.connection == Connection::Up && now.has_scene).await;
    leave(ada).await;
}

/// How many lumps were said to be missing, each time.
async fn counts(node: &hearth_node::Node) -> Vec<usize> {
    let (tell, told) = std::sync::mpsc::sync_channel(64);
    soon("the lumps of the scene", node.fetch_scene(move |count| tell.send(count).unwrap())).await;
    told.iter().collect()
}
