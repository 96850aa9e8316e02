// SPDX-License-Identifier: AGPL-3.0-or-later
//! Processes of different peers send each other messages and spawn each other.

use crate::common::{Guest, Space, echo, nobody, post, round_trip, soon, until, who};
use hearth_abi::{Errno, PeerId};
use hearth_node::PeerChange;
use hearth_process::FollowEvent;

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_two_clients_talk_through_the_server() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let echo = Guest::start(&bob.node, echo()).await;
    let mut post = Guest::start(&ada.node, post()).await;
    round_trip(&mut post, echo.id, "hello").await;
    // In order, also when they differ much in size.
    let long = "x".repeat(3000);
    let sent = ["1", &long, "2", "", "3"];
    for body in sent {
        post.tell(crate::common::to(echo.id, body.as_bytes()));
    }
    for body in sent {
        assert_eq!(post.line().await, body);
    }
    // The server's own processes are reached in the same way.
    let server_echo = Guest::start(space.node(), crate::common::echo()).await;
    round_trip(&mut post, server_echo.id, "hello, server").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_killed_from_another_peer() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let echo = Guest::start(&bob.node, echo()).await;
    ada.node.processes().kill(None, echo.id, "enough").unwrap();
    let reason = soon("the end of the process", bob.node.processes().exited(echo.id)).await;
    assert_eq!(reason.text, "enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_spawns_elsewhere_has_that_peer_as_its_origin() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    // Only the asking peer has the module.
    let module = ada.node.put_lump(who()).await.unwrap();
    let id = soon("a process", ada.node.spawn(bob.node.id(), module, None, &[])).await.unwrap();
    assert_eq!(id.peer(), bob.node.id());
    let info = bob.node.processes().info(id).unwrap();
    assert_eq!(info.origin, ada.node.id());
    let mut log = bob.node.processes().follow_log(id).unwrap();
    let mut lines = Vec::new();
    while lines.len() < 2 {
        if let Some(FollowEvent::Line(line)) = soon("a line", log.next()).await {
            lines.push(line.text.clone());
        }
    }
    assert_eq!(lines, [ada.node.id().number().to_string(), "r".to_owned()]);
    // What is spawned at home has the machine's authority.
    let own = Guest::start(&bob.node, who()).await;
    let mut own = own;
    assert_eq!(own.line().await, bob.node.id().number().to_string());
    until("the request to end", || bob.node.processes().log_lines(own.id, 10).is_some()).await;
    let lines = bob.node.processes().log_lines(own.id, 10).unwrap();
    assert!(lines.iter().all(|line| line.text != "r"), "its own process was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_peer_that_has_left_says_so() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let module = ada.node.put_lump(echo()).await.unwrap();
    let gone = bob.node.id();
    let mut changes = ada.node.peer_changes();
    crate::common::leave(bob).await;
    soon("the news", async {
        while !matches!(changes.recv().await.unwrap(), PeerChange::Left(id) if id == gone) {}
    })
    .await;
    let failure = soon("an answer", ada.node.spawn(gone, module, None, &[])).await.unwrap_err();
    assert_eq!(failure.errno, Errno::NoPeer.number(), "{failure}");
    let sent = ada.node.processes().send(nobody(), hearth_abi::ProcessId::new(gone, 1).unwrap(), "x".into());
    assert_eq!(sent.unwrap_err().errno(), Errno::NoPeer);
    let never = PeerId::new(9999).unwrap();
    let failure = soon("an answer", ada.node.spawn(never, module, None, &[])).await.unwrap_err();
    assert_eq!(failure.errno, Errno::NoPeer.number(), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_a_peer_ends_when_it_leaves() {
    let space = Space::start().await;
    let ada = space.join("ada").await;
    let mut silent = space.raw("silent").await;
    let module = ada.node.put_lump(echo()).await.unwrap();
    let (node, there) = (ada.node.clone(), silent.id);
    let asking = tokio::spawn(async move { node.spawn(there, module, None, &[]).await });
    let hearth_protocol::control::Control::Call { from, .. } = silent.control().await else {
        panic!("no call came")
    };
    assert_eq!(from, ada.node.id().number());
    silent.sender.link().close().await;
    let failure = soon("an answer", asking).await.unwrap().unwrap_err();
    assert_eq!(failure.errno, Errno::NoPeer.number(), "{failure}");
}
