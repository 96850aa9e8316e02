// SPDX-License-Identifier: AGPL-3.0-or-later
//! Real logins and links through a line that flips, drops, repeats, reorders and cuts.
//!
//! Whatever it does: no login comes of it, no message is lost, altered or doubled unnoticed, and
//! nothing ends as if it had ended in order.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/proxy.rs"]
mod proxy;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::{client_config, listen, server_config, within};
use hearth_net::{
    ClientConfig, CloseReason, ConnectError, LaneReceiver, Link, LinkSender, Listener, ServerConfig, connect,
};
use proxy::{Act, Proxy, To};
use tokio::task::JoinSet;

/// What is done to a byte of a unit, or to the unit.
type Harm = fn(Vec<u8>, usize) -> Act;
/// The direction, the unit's number, the byte, and the harm.
type Damage = (To, usize, usize, Harm);

/// Short waits, and room for many logins at once from this one address.
fn short() -> (ServerConfig, ClientConfig) {
    let mut server = server_config();
    server.limits.deadline = Duration::from_millis(1500);
    server.limits.half_open_max = 1000;
    server.limits.half_open_per_address_max = 1000;
    server.silence_max = Duration::from_secs(3);
    let mut client = client_config("alice");
    client.timeout = Duration::from_millis(1500);
    client.silence_max = Duration::from_secs(3);
    (server, client)
}

/// Counts every peer that gets in.
fn count_peers(mut listener: Listener) -> (Arc<AtomicUsize>, JoinSet<()>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let mut task = JoinSet::new();
    task.spawn(async move {
        loop {
            let _link = listener.accept().await;
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (count, task)
}

/// The frames and records of an undisturbed login, with their lengths.
async fn lengths_of_a_login() -> Vec<(To, usize, usize)> {
    let (mut server, mut client) = short();
    server.limits.deadline = Duration::from_secs(10);
    client.timeout = Duration::from_secs(10);
    let (mut listener, addr) = listen(server).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let line = Proxy::start(&addr, move |to, number, unit| {
        log.lock().unwrap().push((to, number, unit.len()));
        Act::Pass(unit)
    })
    .await;
    let (_served, connected) = tokio::join!(listener.accept(), connect(&line.addr, &client));
    connected.unwrap();
    let mut seen = seen.lock().unwrap().clone();
    // Up to the proofs; what follows is a link.
    seen.retain(|(to, number, _)| *number <= if *to == To::Server { 3 } else { 2 });
    assert_eq!(seen.len(), 7);
    seen
}

/// Tries a login for each kind of damage, many at a time, and expects none to succeed.
async fn no_login(damages: Vec<Damage>) {
    let (server, client) = short();
    let (listener, addr) = listen(server).await;
    let (peers, _accepting) = count_peers(listener);
    let client = Arc::new(client);
    let mut attempts = JoinSet::new();
    let mut failures = 0;
    let total = damages.len();
    for (to, number, at, act) in damages {
        let (addr, client) = (addr.clone(), client.clone());
        attempts.spawn(async move {
            let line = Proxy::start(&addr, move |this_to, this_number, unit| {
                if (this_to, this_number) == (to, number) { act(unit, at) } else { Act::Pass(unit) }
            })
            .await;
            let end = connect(&line.addr, &client).await;
            (to, number, at, end.map(|_| ()))
        });
        while attempts.len() >= 32 {
            failures += usize::from(expect_error(attempts.join_next().await.unwrap().unwrap()));
        }
    }
    while let Some(attempt) = attempts.join_next().await {
        failures += usize::from(expect_error(attempt.unwrap()));
    }
    assert_eq!(failures, total);
    assert_eq!(peers.load(Ordering::SeqCst), 0, "nobody may have got in");
}

fn expect_error(attempt: (To, usize, usize, Result<(), ConnectError>)) -> bool {
    let (to, number, at, end) = attempt;
    match end {
        Ok(()) => panic!("a login succeeded: to {to:?}, unit {number}, byte {at}"),
        Err(ConnectError::Unreachable { .. }) => panic!("the line itself failed"),
        Err(_clear) => true,
    }
}

#[tokio::test]
async fn no_flipped_byte_of_the_login_goes_unnoticed() {
    let mut damages: Vec<Damage> = Vec::new();
    for (to, number, length) in lengths_of_a_login().await {
        // Every byte of the short ones; of the others every byte of the head, then every third.
        for at in (0..length).filter(|at| length < 110 || *at < 8 || at % 3 == 0) {
            damages.push((to, number, at, |mut unit, at| {
                unit[at] ^= 1 << (at % 8);
                Act::Pass(unit)
            }));
        }
    }
    assert!(damages.len() > 400);
    within(120, "the logins", no_login(damages)).await;
}

#[tokio::test]
async fn a_login_that_is_cut_anywhere_is_an_error() {
    let mut damages: Vec<Damage> = Vec::new();
    for (to, number, length) in lengths_of_a_login().await {
        for at in (0..length).filter(|at| *at < 4 || at % 7 == 0) {
            damages.push((to, number, at, |mut unit, at| {
                unit.truncate(at);
                Act::Cut(unit)
            }));
        }
    }
    within(120, "the logins", no_login(damages)).await;
}

#[tokio::test]
async fn dropped_repeated_and_delayed_messages_of_the_login_are_errors() {
    let mut damages: Vec<Damage> = Vec::new();
    for (to, number, _) in lengths_of_a_login().await {
        damages.push((to, number, 0, |_, _| Act::Drop));
        damages.push((to, number, 0, |unit, _| Act::Repeat(unit)));
        damages.push((to, number, 0, |unit, _| Act::Delay(unit)));
        damages.push((to, number, 0, |_, _| Act::BlackHole));
    }
    within(60, "the logins", no_login(damages)).await;
}

/// Sends numbered messages until the link ends.
async fn chatter(sender: LinkSender) -> CloseReason {
    for number in 0_u32.. {
        let message = Bytes::copy_from_slice(&number.to_le_bytes());
        if sender.hot(message).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    sender.link().closed().await
}

/// Receives them and checks that none is missing, altered or doubled.
async fn listen_to(mut lane: LaneReceiver) {
    let mut expected = 0_u32;
    while let Some(message) = lane.recv().await {
        assert_eq!(message[..], expected.to_le_bytes());
        expected += 1;
    }
}

async fn talk(link: Link) -> CloseReason {
    let (sender, receiver) = link.split();
    let (reason, ()) = tokio::join!(chatter(sender), listen_to(receiver.hot));
    reason
}

/// How two talking peers find their end, when the line does `act` to one record.
async fn end_of_a_talk(to: To, number: usize, act: Harm) -> Option<[CloseReason; 2]> {
    let (mut server, mut client) = short();
    server.limits.deadline = Duration::from_secs(10);
    client.timeout = Duration::from_secs(10);
    let (mut listener, addr) = listen(server).await;
    let line = Proxy::start(&addr, move |this_to, this_number, unit| {
        if (this_to, this_number) == (to, number) { act(unit, 0) } else { Act::Pass(unit) }
    })
    .await;
    let served = async { talk(listener.accept().await).await };
    let connected = async { Some(talk(connect(&line.addr, &client).await.ok()?).await) };
    // On a busy machine the login may take more records than usual. If the link does not come about at all,
    // the server has nobody to accept, and the client has its error.
    let ends = async {
        tokio::pin!(served, connected);
        tokio::select! {
            connected = &mut connected => {
                let connected = connected?;
                Some([served.await, connected])
            }
            served = &mut served => Some([served, connected.await?]),
        }
    };
    within(25, "the end of the link", ends).await
}

#[tokio::test]
async fn a_line_that_alters_records_ends_the_link_with_an_error() {
    let acts: [(&str, Harm); 7] = [
        ("flip a header", |mut unit, _| {
            unit[3] ^= 1;
            Act::Pass(unit)
        }),
        ("flip a body", |mut unit, _| {
            let at = unit.len() / 2;
            unit[at] ^= 1;
            Act::Pass(unit)
        }),
        ("flip a tag", |mut unit, _| {
            let at = unit.len() - 1;
            unit[at] ^= 128;
            Act::Pass(unit)
        }),
        ("drop", |_, _| Act::Drop),
        ("repeat", |unit, _| Act::Repeat(unit)),
        ("delay", |unit, _| Act::Delay(unit)),
        ("cut", |mut unit, _| {
            unit.pop();
            Act::Cut(unit)
        }),
    ];
    let mut talks = JoinSet::new();
    for (what, act) in acts {
        for to in [To::Server, To::Client] {
            // Far enough in that the link stands and both talk.
            for number in [60, 63] {
                talks.spawn(async move { (what, to, end_of_a_talk(to, number, act).await) });
            }
        }
    }
    let (mut stood, all) = (0, talks.len());
    while let Some(talk) = talks.join_next().await {
        let (what, to, ends) = talk.unwrap();
        let Some([server, client]) = &ends else { continue };
        stood += 1;
        let (victim, other) = if to == To::Server { (server, client) } else { (client, server) };
        let expected = match what {
            "cut" => matches!(victim, CloseReason::Broken(_)),
            _ => matches!(victim, CloseReason::Tampered(_)),
        };
        assert!(expected, "{what} {to:?}: the victim says {victim}");
        assert!(matches!(other, CloseReason::Broken(_)), "{what} {to:?}: the other says {other}");
    }
    assert!(stood > all / 2, "only {stood} of {all} links stood when their line was altered");
}

#[tokio::test]
async fn a_line_that_goes_silent_is_noticed_by_both() {
    let ends = end_of_a_talk(To::Server, 60, |_, _| Act::BlackHole).await;
    let [server, client] = ends.expect("both must notice within seconds");
    assert_eq!(server, CloseReason::Silent);
    // Its own direction still works, but the server hangs up when it hears nothing more.
    assert!(matches!(client, CloseReason::Silent | CloseReason::Broken(_)), "{client}");
}
