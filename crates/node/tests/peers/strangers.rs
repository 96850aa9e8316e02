// SPDX-License-Identifier: AGPL-3.0-or-later
//! Peers that have the password and do not keep to the protocol: they are cut off, nobody else is.

use crate::common::{Guest, Raw, Space, echo, post, round_trip, soon};
use bytes::Bytes;
use hearth_abi::ProcessId;
use hearth_protocol::control::{Control, Peer};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_the_name_of_another_peer_ends_the_connection() {
    let space = Space::start().await;
    let ada = space.join("ada").await;
    let mut post = Guest::start(&ada.node, post()).await;
    let here = Guest::start(space.node(), echo()).await;
    for victim in [post.id, here.id, ProcessId::new(space.node().id(), 77).unwrap()] {
        let forger = space.raw("forger").await;
        forger.message(post.id, victim, b"forged").await;
        forger.cut_off().await;
    }
    // The first that it hears is what it asked for.
    round_trip(&mut post, here.id, "true").await;
}

fn kill_without_text(to: ProcessId, from: ProcessId) -> Bytes {
    let head = [&[2][..], &to.to_bits().to_le_bytes(), &from.to_bits().to_le_bytes()].concat();
    [&head[..], &[0xff, 0xfe]].concat().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_frames_end_their_connection_and_no_other() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let echo = Guest::start(&bob.node, echo()).await;
    let mut post = Guest::start(&ada.node, post()).await;
    let person = Peer {
        id: 1,
        name: "x".into(),
        key: vec![0; 32],
        address: String::new(),
        version: String::new(),
        system: String::new(),
        offers: Vec::new(),
    };
    let not_its_to_send = [
        Control::Join { peer: person.clone() },
        Control::Welcome { peer: 1, space: "x".into(), peers: Vec::new() },
        Control::Joined { peer: person },
        Control::Left { peer: ada.node.id().number() },
    ];
    let mut bad: Vec<Raw> = Vec::new();
    for frame in &not_its_to_send {
        let raw = space.raw("bad").await;
        raw.say(frame).await;
        bad.push(raw);
    }
    for bytes in [&[][..], &[0xff; 9], &[6, 1]] {
        let raw = space.raw("bad control").await;
        raw.sender.control(Bytes::copy_from_slice(bytes)).await.unwrap();
        bad.push(raw);
    }
    for bytes in [&[][..], &[9], &[1, 2, 3], &[2; 16], &[3, 0xff, 0xff]] {
        let raw = space.raw("bad hot").await;
        raw.sender.hot(Bytes::copy_from_slice(bytes)).await.unwrap();
        bad.push(raw);
    }
    for bytes in [&[][..], &[9, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 5], &[3]] {
        let raw = space.raw("bad bulk").await;
        raw.sender.bulk(Bytes::copy_from_slice(bytes)).await.unwrap();
        bad.push(raw);
    }
    // What only its receiver would find out: the server must not pass it on.
    let raw = space.raw("bad relay").await;
    let from = ProcessId::new(raw.id, 1).unwrap();
    raw.sender.hot(kill_without_text(echo.id, from)).await.unwrap();
    bad.push(raw);
    // Twice the same transfer: the first could not be told from the second.
    let raw = space.raw("bad wish").await;
    for _ in 0..2 {
        raw.say(&Control::Want { transfer: 7, lump: [7; 32] }).await;
    }
    bad.push(raw);
    for raw in &bad {
        raw.cut_off().await;
    }
    round_trip(&mut post, echo.id, "still here").await;
    for node in [&ada.node, &bob.node, space.node()] {
        for name in ["ada", "bob"] {
            assert!(node.peers().iter().any(|peer| peer.name == name), "{name} was made to leave");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_wishes_that_concern_nobody_are_answered() {
    use hearth_protocol::control::Request;
    let space = Space::start().await;
    let mut raw = space.raw("asker").await;
    // To a peer that is not there; in the name of another, which the server corrects.
    raw.say(&Control::Call { from: 12, to: 4242, id: 5, request: Request::Push { lump: [1; 32] } }).await;
    match raw.control().await {
        Control::Return { from: 4242, to, id: 5, result: Err(failure) } => {
            assert_eq!(to, raw.id.number());
            assert_eq!(failure.errno, hearth_abi::Errno::NoPeer.number());
        }
        other => panic!("{other:?}"),
    }
    // An answer that nobody asked for, an end of nothing, a going on with nothing.
    raw.say(&Control::Return {
        from: 1,
        to: 0,
        id: 99,
        result: Ok(hearth_protocol::control::Response::Done),
    })
    .await;
    raw.say(&Control::Cancel { transfer: 1 }).await;
    raw.say(&Control::Resume { transfer: 1, offset: 9 }).await;
    raw.say(&Control::Want { transfer: 8, lump: [9; 32] }).await;
    let missing = soon("an answer", raw.lanes.bulk.recv()).await.unwrap();
    let missing = hearth_protocol::bulk::Frame::decode(&missing).unwrap();
    assert_eq!(missing, hearth_protocol::bulk::Frame::Missing { transfer: 8 });
}
