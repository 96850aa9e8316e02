// SPDX-License-Identifier: AGPL-3.0-or-later
//! Terminals under load: a flood delays no message, and a peer that does not read delays nobody.
#![allow(clippy::print_stdout, reason = "it tells what it measured")]

use crate::{
    common::{Guest, Space, echo, post, round_trip, soon},
    hands::{Hands, shell, shows},
};
use hearth_abi::terminal::{Command, Open};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_delays_no_message_and_a_peer_that_does_not_read_delays_nobody() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    // It reads nothing, of no lane.
    let deaf = space.raw("deaf").await;
    let echo = Guest::start(&bob.node, echo()).await;
    let mut post = Guest::start(&ada.node, post()).await;
    let mut hands = Hands::new(&ada.node).await;
    let open = Open { columns: 200, rows: 60, ..shell() };
    let terminal = hands.prompt(&open).await;
    hands.show(terminal).await;
    hands.text(terminal, "echo ready\n").await.unwrap();
    shows(&bob.node, terminal, "ready").await;

    let mut measure = async || {
        let mut times = Vec::new();
        for n in 0..200 {
            let begun = Instant::now();
            round_trip(&mut post, echo.id, &n.to_string()).await;
            times.push(begun.elapsed());
        }
        times.sort();
        (times[100], times[197])
    };
    let quiet = measure().await;
    // Lines that are all different, and longer than the screen is wide.
    hands.text(terminal, "yes \"$(seq -s ' ' 1 300)\" | cat -n\n").await.unwrap();
    let seen = || bob.node.screen(terminal).map(|screen| screen.history).unwrap_or_default();
    soon("the flood is seen", async {
        while seen() < 100 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let beside = measure().await;
    println!("round trip p50, p99: {quiet:?} in the quiet, {beside:?} beside a flood");
    assert!(beside.0 < Duration::from_millis(100), "p50 is {:?} beside a flood", beside.0);

    // It still moves, and ends when it is told to.
    let before = bob.node.screen(terminal);
    soon("the flood goes on", async {
        while bob.node.screen(terminal) == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    hands.command(terminal, &Command::Text("\u{3}".into())).await.unwrap();
    hands.text(terminal, "clear; echo over\n").await.unwrap();
    shows(&bob.node, terminal, "over").await;
    assert_eq!(deaf.sender.link().close_reason(), None, "it is slow, and that is no offence");
}
