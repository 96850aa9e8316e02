// SPDX-License-Identifier: AGPL-3.0-or-later
//! A peer that never reads: the others go on, and what the server keeps for it is bounded. Alone in its
//! program, whose memory is measured.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bytes::Bytes;
use common::{Guest, Space, echo, nobody, post, round_trip, sample, soon};
use hearth_abi::ProcessId;
use hearth_protocol::control::{Control, Request};
use std::time::Duration;

/// Bytes of memory that this program has.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_reads_holds_up_nobody_and_costs_a_bounded_memory() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let echo = Guest::start(&bob.node, echo()).await;
    let mut post = Guest::start(&ada.node, post()).await;
    let deaf = space.raw("deaf").await;
    let to_deaf = ProcessId::new(deaf.id, 1).unwrap();
    round_trip(&mut post, echo.id, "before").await;
    let before = resident();

    // It wants many lumps of all sizes, and asks for much, and reads none of it.
    let lumps = [sample(250_000, 1), sample(5_000_000, 2)];
    for lump in &lumps {
        let id = space.node().put_lump(lump.clone()).await.unwrap();
        for n in 0..500 {
            let transfer = n * 2 + u32::from(lump.len() > 1_000_000);
            deaf.say(&Control::want(transfer, id)).await;
        }
    }
    for id in 0..1000 {
        let request = Request::Log { process: echo.id.to_bits(), from_line: 0, lines: 10, wait_ms: 0 };
        deaf.say(&Control::Call { from: 0, to: 0, id, request }).await;
    }
    // Small messages for it, each in the company of a large one for a process that is not there.
    let (small, large) = (Bytes::from(vec![1; 64]), Bytes::from(vec![2; 32 << 10]));
    let to_nobody = ProcessId::new(space.node().id(), 9_999_999).unwrap();
    let flood = async {
        for n in 0..16_384 {
            let (to, body) = if n % 2 == 0 { (to_deaf, &small) } else { (to_nobody, &large) };
            // Their own way to the server may be full for a while.
            while ada.node.processes().send(nobody(), to, body.clone()).is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    let others = async {
        for n in 0..200 {
            round_trip(&mut post, echo.id, &n.to_string()).await;
        }
    };
    soon("the flood and 200 round trips beside it", async { tokio::join!(flood, others) }).await;
    round_trip(&mut post, echo.id, "after").await;
    let lump = sample(3_000_000, 3);
    let id = ada.node.put_lump(lump.clone()).await.unwrap();
    assert_eq!(bob.node.lump(id, common::SOON).await.unwrap(), lump);
    let grown = resident().saturating_sub(before) >> 20;
    // Its queues hold 4 MiB, lumps being sent 5 MiB, and the three peers' own work some more.
    assert!(grown < 64, "memory grew by {grown} MiB");
    assert_eq!(deaf.sender.link().close_reason(), None, "it is slow, and that is no offence");
}
