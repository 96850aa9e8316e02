// SPDX-License-Identifier: AGPL-3.0-or-later
//! What one peer's terminals show to the others.

use crate::{
    common::{Space, leave, soon, until},
    hands::{Hands, operate, rows, shell, shows, with_canvas},
    proxy::Proxy,
};
use hearth_abi::{
    EntityId,
    scene::{Component, Op, Scope, TerminalView, encode_batch},
    terminal::{Command, Open},
};
use hearth_node::join;
use hearth_protocol::operator::Request;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn all_peers_see_it_those_who_come_late_too_until_it_is_gone() {
    let space = Space::start().await;
    let (options, canvas) = with_canvas(space.options("bob"));
    let (ada, bob) = (space.join("ada").await, join(options).await.unwrap());
    let mut hands = Hands::new(&ada.node).await;
    let terminal = hands.shell().await;
    hands.text(terminal, "echo secret\n").await.unwrap();
    shows(&ada.node, terminal, "secret").await;
    assert!(space.node().screen(terminal).is_none(), "what nobody is shown does not travel");

    let entity = hands.show(terminal).await;
    for node in [space.node(), &bob.node] {
        shows(node, terminal, "secret").await;
    }
    hands.text(terminal, "echo more\n").await.unwrap();
    shows(&bob.node, terminal, "more").await;
    let late = space.join("late").await;
    shows(&late.node, terminal, "secret").await;
    until("the user sees it", || canvas.screens.lock().contains_key(&terminal)).await;
    // They agree in all, not only in the text.
    until("all see the same", || {
        let shown = ada.node.screen(terminal);
        shown.is_some()
            && [&bob.node, &late.node, space.node()].iter().all(|node| node.screen(terminal) == shown)
    })
    .await;

    hands.hide(entity).await;
    until("it is hidden", || {
        [&bob.node, &late.node, space.node()].iter().all(|node| node.screen(terminal).is_none())
    })
    .await;
    assert!(ada.node.screen(terminal).is_some());
    until("the user sees it no longer", || canvas.screens.lock().is_empty()).await;
    hands.show_again(terminal, entity).await;
    shows(&bob.node, terminal, "more").await;
    hands.command(terminal, &Command::Close).await.unwrap();
    until("it is closed", || bob.node.screen(terminal).is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_user_shows_to_nobody_nobody_else_can_show() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let mut hands = Hands::new(&ada.node).await;
    let (terminal, other) = (hands.shell().await, hands.shell().await);
    hands.text(terminal, "echo secret\n").await.unwrap();
    shows(&ada.node, terminal, "secret").await;
    let mut curious = Hands::new(&bob.node).await;
    let entity = EntityId::new(bob.node.id(), 1000).unwrap();
    let view = Component::Terminal(TerminalView { terminal, cell_height: 0.1, opacity: 1.0 });
    let ops = [Op::Create(entity, Scope::Shared), Op::Set(entity, view)];
    curious.call(4, &encode_batch(&ops)).await.unwrap();
    soon("ada's peer knows the entity", async {
        let status = Request::Status {};
        while operate(&ada.socket, &status).await.unwrap()[0]["entities"] != 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // What is shared now comes behind what was shared before.
    hands.show(other).await;
    hands.text(other, "echo open\n").await.unwrap();
    shows(&bob.node, other, "open").await;
    assert!(bob.node.screen(terminal).is_none() && space.node().screen(terminal).is_none());
    hands.show(terminal).await;
    shows(&bob.node, terminal, "secret").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terminals_leave_with_their_peer() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let mut hands = Hands::new(&ada.node).await;
    let terminal = hands.shell().await;
    hands.show(terminal).await;
    hands.text(terminal, "echo hello\n").await.unwrap();
    shows(&bob.node, terminal, "hello").await;
    // It says that it goes: at once, and not after the grace.
    leave(ada).await;
    until("it is gone everywhere", || {
        space.node().screen(terminal).is_none() && bob.node.screen(terminal).is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_and_returns_sees_what_is_right() {
    let space = Space::start_with(|options| options.grace = Duration::from_secs(30)).await;
    let proxy = Proxy::to(&space.address).await;
    let mut options = space.options("bob");
    options.connect = proxy.address.clone();
    let (ada, bob) = (space.join("ada").await, join(options).await.unwrap());
    let mut hands = Hands::new(&ada.node).await;
    let (stays, goes) = (hands.shell().await, hands.shell().await);
    for terminal in [stays, goes] {
        hands.show(terminal).await;
        hands.text(terminal, "echo before\n").await.unwrap();
        shows(&bob.node, terminal, "before").await;
    }
    proxy.cut();
    hands.text(stays, "clear; echo after\n").await.unwrap();
    hands.command(goes, &Command::Close).await.unwrap();
    shows(space.node(), stays, "after").await;
    until("it is closed", || space.node().screen(goes).is_none()).await;
    assert!(rows(&bob.node, stays).contains(&"before".to_owned()), "what was last seen stays meanwhile");
    proxy.mend();
    shows(&bob.node, stays, "after").await;
    until("what went meanwhile is gone", || bob.node.screen(goes).is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_cut_off_and_returns_shows_what_it_has() {
    let space = Space::start_with(|options| options.grace = Duration::from_secs(30)).await;
    let proxy = Proxy::to(&space.address).await;
    let mut options = space.options("ada");
    options.connect = proxy.address.clone();
    let (ada, bob) = (join(options).await.unwrap(), space.join("bob").await);
    let mut hands = Hands::new(&ada.node).await;
    let (stays, goes) = (hands.shell().await, hands.shell().await);
    for terminal in [stays, goes] {
        hands.show(terminal).await;
        hands.text(terminal, "echo before\n").await.unwrap();
        shows(&bob.node, terminal, "before").await;
    }
    proxy.cut();
    hands.text(stays, "echo meanwhile\n").await.unwrap();
    hands.command(goes, &Command::Close).await.unwrap();
    shows(&ada.node, stays, "meanwhile").await;
    assert!(rows(&bob.node, goes).contains(&"before".to_owned()), "it may come back");
    proxy.mend();
    shows(&bob.node, stays, "meanwhile").await;
    until("what went meanwhile is gone", || bob.node.screen(goes).is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_has_terminals_too_and_the_largest_is_seen() {
    let space = Space::start().await;
    let bob = space.join("bob").await;
    let mut hands = Hands::new(space.node()).await;
    let open = Open { columns: 1000, rows: 1000, ..shell() };
    let terminal = hands.prompt(&open).await;
    hands.show(terminal).await;
    hands.text(terminal, "seq 1 2000; echo the end\n").await.unwrap();
    shows(&bob.node, terminal, "the end").await;
    until("all of it is seen", || bob.node.screen(terminal) == space.node().screen(terminal)).await;
    assert_eq!(bob.node.screen(terminal).unwrap().cells().len(), 1_000_000);
    hands.command(terminal, &Command::Resize { columns: 1, rows: 1 }).await.unwrap();
    until("the smallest is seen", || {
        bob.node.screen(terminal).is_some_and(|screen| screen.cells().len() <= 2)
    })
    .await;
}
