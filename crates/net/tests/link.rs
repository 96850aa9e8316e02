// SPDX-License-Identifier: AGPL-3.0-or-later
//! Links between two peers over real sockets: lanes, bounds, round trip and end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{client_config, listen, pair, server_config, within};
use hearth_net::{
    BULK_MESSAGE_BYTES_MAX, CONTROL_MESSAGE_BYTES_MAX, CloseReason, HOT_MESSAGE_BYTES_MAX, LaneReceiver,
    SCREEN_MESSAGE_BYTES_MAX, SendError, TrySendError, connect,
};

fn numbered(number: u32, length: usize) -> Bytes {
    let mut message = vec![number as u8; length.max(4)];
    message[..4].copy_from_slice(&number.to_le_bytes());
    message.into()
}

#[tokio::test]
async fn both_sides_know_each_other() {
    let server = server_config();
    let client = client_config("älice");
    let (server_key, client_key) = (server.key.public(), client.key.public());
    let (space, pinned) = (server.secrets().space(), server.secrets().public_key());
    let (mut listener, addr) = listen(server).await;
    let (served, connected) = tokio::join!(listener.accept(), connect(&addr, &client));
    let connected = connected.unwrap();
    assert_eq!(served.peer_key(), client_key);
    assert_eq!(served.peer_name(), "älice");
    assert_eq!(served.agent(), "test-client/1");
    assert_eq!(connected.peer_key(), server_key);
    assert_eq!(connected.peer_name(), "server");
    assert_eq!(connected.agent(), "test-server/1");
    assert_eq!(connected.remote_addr(), listener.local_addr());
    for link in [&served, &connected] {
        assert_eq!(link.info().space, space);
        assert_eq!(link.info().server_key, pinned);
    }
    assert_eq!(listener.half_open(), 0);
    let known = client.known_servers.get(&addr).unwrap().unwrap();
    assert_eq!((known.space, known.key), (space, pinned));
}

#[tokio::test]
async fn every_lane_carries_whole_messages_in_order_both_ways() {
    let (a, b) = pair().await;
    let (a_tx, mut a_rx) = a.split();
    let (b_tx, mut b_rx) = b.split();
    let lengths = [4, 0, 1, 64, 1000, 16 * 1024 - 4, 16 * 1024, 60_000, 65_536];
    let count = 300_u32;
    let length = move |n: u32| lengths[n as usize % lengths.len()].max(4);
    let short = move |n: u32| length(n).min(SCREEN_MESSAGE_BYTES_MAX);
    for (tx, rx) in [(&a_tx, &mut b_rx), (&b_tx, &mut a_rx)] {
        let send = async {
            for n in 0..count {
                tx.control(numbered(n, length(n))).await.unwrap();
                tx.hot(numbered(n, length(n))).await.unwrap();
                tx.bulk(numbered(n, length(n))).await.unwrap();
                tx.screen(numbered(n, short(n))).await.unwrap();
            }
        };
        async fn check(lane: &mut LaneReceiver, count: u32, length: impl Fn(u32) -> usize) {
            for n in 0..count {
                let message = lane.recv().await.unwrap();
                assert_eq!(message, numbered(n, length(n)), "message {n}");
            }
        }
        within(20, "the transfer", async {
            tokio::join!(
                send,
                check(&mut rx.control, count, length),
                check(&mut rx.hot, count, length),
                check(&mut rx.bulk, count, length),
                check(&mut rx.screen, count, short)
            );
        })
        .await;
    }
}

#[tokio::test]
async fn the_longest_message_of_each_lane_passes_and_a_longer_one_is_refused() {
    let (a, b) = pair().await;
    let (tx, _a_rx) = a.split();
    let (_b_tx, mut rx) = b.split();
    let long = |length: usize| numbered(7, length);
    within(10, "the messages", async {
        let (control, hot, bulk, screen, ..) =
            tokio::join!(rx.control.recv(), rx.hot.recv(), rx.bulk.recv(), rx.screen.recv(), async {
                tx.control(long(CONTROL_MESSAGE_BYTES_MAX)).await.unwrap();
                tx.hot(long(HOT_MESSAGE_BYTES_MAX)).await.unwrap();
                tx.bulk(long(BULK_MESSAGE_BYTES_MAX)).await.unwrap();
                tx.screen(long(SCREEN_MESSAGE_BYTES_MAX)).await.unwrap();
            });
        assert_eq!(control.unwrap(), long(CONTROL_MESSAGE_BYTES_MAX));
        assert_eq!(hot.unwrap(), long(HOT_MESSAGE_BYTES_MAX));
        assert_eq!(bulk.unwrap(), long(BULK_MESSAGE_BYTES_MAX));
        assert_eq!(screen.unwrap(), long(SCREEN_MESSAGE_BYTES_MAX));
    })
    .await;
    assert!(matches!(
        tx.try_control(long(CONTROL_MESSAGE_BYTES_MAX + 1)),
        Err(TrySendError::TooLarge { .. })
    ));
    assert!(matches!(tx.try_hot(long(HOT_MESSAGE_BYTES_MAX + 1)), Err(TrySendError::TooLarge { .. })));
    assert!(matches!(tx.bulk(long(BULK_MESSAGE_BYTES_MAX + 1)).await, Err(SendError::TooLarge { .. })));
    assert!(matches!(tx.screen(long(SCREEN_MESSAGE_BYTES_MAX + 1)).await, Err(SendError::TooLarge { .. })));
}

/// The flood ends at the sender, where it is an answer, and the other lanes do not feel it.
#[tokio::test]
async fn an_unread_lane_is_bounded_and_leaves_the_others_alone() {
    let (a, b) = pair().await;
    let (tx, _a_rx) = a.split();
    let (_b_tx, mut rx) = b.split();
    // What two queues, the lane's credit, Remoc's shared credit and the kernel's buffers can hold.
    // Loopback sockets take up to some megabytes; the flood is far above all of it.
    let bound = 24 * 1024 * 1024;
    let mut accepted = 0;
    for lane in ["hot", "bulk"] {
        let mut quiet = 0;
        while quiet < 20 {
            let message = numbered(0, 60_000);
            let sent = if lane == "hot" { tx.try_hot(message) } else { tx.try_bulk(message) };
            match sent {
                Ok(()) => {
                    accepted += 60_000;
                    quiet = 0;
                }
                Err(TrySendError::Full) => {
                    quiet += 1;
                    // The writers must have had every chance to move what they can.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(other) => panic!("{other}"),
            }
            assert!(accepted < bound, "{accepted} bytes were taken and nobody reads");
        }
    }
    // Both flooded lanes are full, and the third still answers at once.
    for n in 0..50 {
        tx.control(numbered(n, 100)).await.unwrap();
        let message = within(2, "a control message", rx.control.recv()).await;
        assert_eq!(message.unwrap(), numbered(n, 100));
    }
    // And what was taken is delivered, once somebody reads.
    let mut received = 0;
    while received < accepted {
        let message = within(5, "the flood", async {
            tokio::select! {
                message = rx.hot.recv() => message,
                message = rx.bulk.recv() => message,
            }
        })
        .await;
        received += message.unwrap().len();
    }
    assert_eq!(received, accepted);
}

#[tokio::test]
async fn dropping_a_receive_loses_nothing() {
    let (a, b) = pair().await;
    let (tx, _a_rx) = a.split();
    let (_b_tx, mut rx) = b.split();
    let send = async {
        for n in 0..2000 {
            tx.hot(numbered(n, 2000)).await.unwrap();
        }
    };
    let receive = async {
        let mut next = 0;
        while next < 2000 {
            tokio::select! {
                biased;
                message = rx.hot.recv() => {
                    assert_eq!(message.unwrap(), numbered(next, 2000));
                    next += 1;
                }
                () = tokio::task::yield_now() => {}
            }
        }
    };
    within(20, "the transfer", async { tokio::join!(send, receive) }).await;
}

#[tokio::test]
async fn an_orderly_close_delivers_what_was_queued_and_both_learn_why() {
    let (a, b) = pair().await;
    let (a_tx, a_rx) = a.split();
    let (b_tx, mut b_rx) = b.split();
    for n in 0..100 {
        a_tx.try_hot(numbered(n, 500)).unwrap();
    }
    let closing = within(5, "the end", a_tx.link().close());
    let reading = async {
        let mut read = 0;
        while let Some(message) = b_rx.hot.recv().await {
            assert_eq!(message, numbered(read, 500));
            read += 1;
        }
        read
    };
    let (reason, read) = tokio::join!(closing, reading);
    assert_eq!(reason, CloseReason::Local);
    assert_eq!(read, 100);
    let reason = within(5, "the end", b_tx.link().closed()).await;
    assert_eq!(reason, CloseReason::Peer);
    assert_eq!(b_tx.link().close_reason(), Some(CloseReason::Peer));
    assert_eq!(b_tx.try_hot(Bytes::new()), Err(TrySendError::Closed));
    assert_eq!(b_tx.control(Bytes::new()).await, Err(SendError::Closed));
    assert_eq!(a_tx.bulk(Bytes::new()).await, Err(SendError::Closed));
    assert_eq!(b_rx.control.recv().await, None);
    drop(a_rx);
}

#[tokio::test]
async fn a_close_does_not_wait_long_for_a_peer_that_reads_nothing() {
    let (a, b) = pair().await;
    let (a_tx, _a_rx) = a.split();
    while a_tx.try_hot(numbered(0, 60_000)).is_ok() {
        tokio::task::yield_now().await;
    }
    let reason = within(4, "the end", a_tx.link().close()).await;
    assert_eq!(reason, CloseReason::Local);
    let (b_tx, _b_rx) = b.split();
    assert_eq!(within(4, "the end", b_tx.link().closed()).await, CloseReason::Peer);
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_link() {
    let (a, b) = pair().await;
    let (b_tx, mut b_rx) = b.split();
    let (a_tx, a_rx) = a.split();
    let watch = a_tx.link().clone();
    let hot = a_rx.hot;
    drop((a_rx.control, a_rx.bulk, a_rx.screen));
    a_tx.try_hot(numbered(1, 10)).unwrap();
    drop(a_tx);
    // One lane is still held, so the link stands.
    assert_eq!(b_rx.hot.recv().await.unwrap(), numbered(1, 10));
    assert_eq!(watch.close_reason(), None);
    drop(hot);
    assert_eq!(within(5, "the end", watch.closed()).await, CloseReason::Local);
    assert_eq!(within(5, "the end", b_tx.link().closed()).await, CloseReason::Peer);
}

#[tokio::test]
async fn both_may_close_at_once() {
    for _ in 0..20 {
        let (a, b) = pair().await;
        let (a_tx, _a_rx) = a.split();
        let (b_tx, _b_rx) = b.split();
        let (first, second) =
            within(3, "the end", async { tokio::join!(a_tx.link().close(), b_tx.link().close()) }).await;
        for reason in [first, second] {
            assert!(matches!(reason, CloseReason::Local | CloseReason::Peer), "{reason}");
        }
    }
}

#[tokio::test]
async fn the_round_trip_is_measured() {
    let (a, b) = pair().await;
    within(5, "a measurement", async {
        for link in [&a, &b] {
            let (control, mut rtt) = (link, None);
            while rtt.is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                rtt = control.rtt();
            }
            assert!(rtt.unwrap() < Duration::from_secs(1));
        }
    })
    .await;
}
