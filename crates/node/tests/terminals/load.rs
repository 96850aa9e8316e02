// SPDX-License-Identifier: AGPL-3.0-or-later
//! Terminals under load: a flood delays no message, and a peer that does not read delays nobody.
#![allow(clippy::print_stdout, reason = "it tells what it measured")]

use crate::{
    common::{Guest, Space, echo, post, round_trip, soon},
    hands::{Hands, shell, shows},
    proxy::Proxy,
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

/// What a slow peer sees is old by what is on its way, and never older and older.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_peer_skips_and_does_not_lag_behind() {
    let space = Space::start().await;
    let proxy = Proxy::to(&space.address).await;
    let mut options = space.options("bob");
    options.connect = proxy.address.clone();
    let bob = hearth_node::join(options).await.unwrap();
    let mut hands = Hands::new(space.node()).await;
    let open = Open { columns: 200, rows: 60, ..shell() };
    let terminal = hands.prompt(&open).await;
    hands.show(terminal).await;
    shows(&bob.node, terminal, "$").await;
    // Lines of random letters, which no compression makes small: some 12 KB a screen.
    proxy.slow_down(100_000);
    hands.text(terminal, "base64 -w 180 /dev/urandom | cat -n\n").await.unwrap();

    // Line numbers grow all the time: the first one that is shown tells how old a screen is.
    let line = |node: &hearth_node::Node| -> Option<u64> {
        node.screen(terminal)?.text(0).split_whitespace().next()?.parse().ok()
    };
    let (mut host, mut lags, mut last) = (Vec::new(), Vec::new(), 0);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        let now = Instant::now();
        if let Some(line) = line(space.node()) {
            host.push((now, line));
        }
        if let Some(line) = line(&bob.node).filter(|line| *line > last) {
            last = line;
            let when = host.iter().find(|(_, shown)| *shown >= line);
            lags.push(when.map_or(Duration::ZERO, |(when, _)| now - *when));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let half = lags.len() / 2;
    let (first, second) = (lags[..half].iter().max(), lags[half..].iter().max());
    println!("{} screens over 100 kB/s in 6 s; oldest {first:?}, then {second:?}", lags.len());
    assert!(lags.len() >= 10, "it sees little: {} screens", lags.len());
    // At most 160 KiB of screens are on their way.
    assert!(lags.iter().max() < Some(&Duration::from_secs(3)), "it lags: {lags:?}");
    hands.text(terminal, "\u{3}").await.unwrap();
    hands.text(terminal, "clear; echo over\n").await.unwrap();
    shows(&bob.node, terminal, "over").await;
}
