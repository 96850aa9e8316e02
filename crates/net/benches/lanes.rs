// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a link carries between two peers of one process, encrypted, over a loopback socket.
//!
//! `cargo bench -p hearth-net --bench lanes [-- MIB]`: MIB is the size of the transfer beside
//! which round trips are measured (default 1024).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark, run by hand")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_net::{
    ClientConfig, KnownServers, KsfBounds, KsfParams, LinkReceiver, LinkSender, Listener, Password,
    PasswordFile, PeerKey, ServerConfig, ServerSecrets, connect,
};

const QUICK: KsfParams = KsfParams { memory_kib: 64, passes: 1, lanes: 1 };
const CHUNK_BYTES: usize = 64 * 1024;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let mib = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(1024);
    let secrets = ServerSecrets::generate();
    let password = Password::generate();
    let record = PasswordFile::register(&secrets, &password, QUICK).unwrap();
    let config = Arc::new(ServerConfig::new(secrets, record, PeerKey::generate()));
    let mut listener = Listener::bind("127.0.0.1:0", config).await.unwrap();
    let addr = listener.local_addr().to_string();
    let known = Arc::new(KnownServers::in_memory());
    let mut client = ClientConfig::new(password, PeerKey::generate(), "bench", known);
    client.ksf_bounds = KsfBounds { memory_kib_min: 64, ..KsfBounds::default() };

    let start = Instant::now();
    for _ in 0..20 {
        let (served, connected) = tokio::join!(listener.accept(), connect(&addr, &client));
        drop((served, connected.unwrap()));
    }
    println!("login and lanes, without Argon2id: {:.2} ms", start.elapsed().as_secs_f64() * 50.0);

    let (served, connected) = tokio::join!(listener.accept(), connect(&addr, &client));
    let (server, server_rx) = served.split();
    let (client, client_rx) = connected.unwrap().split();
    let LinkReceiver { mut control, mut hot, mut bulk, screen: _client_screen } = client_rx;
    let LinkReceiver { control: mut requests, hot: _server_hot, bulk: _server_bulk, screen: _server_screen } =
        server_rx;

    const MESSAGES: u32 = 1_000_000;
    let start = Instant::now();
    let sending = tokio::spawn(send_small(server.clone(), MESSAGES));
    for _ in 0..MESSAGES {
        hot.recv().await.unwrap();
    }
    sending.await.unwrap();
    let rate = f64::from(MESSAGES) / start.elapsed().as_secs_f64();
    println!("64-byte messages: {rate:.0} per second");

    // The server answers requests from a task of its own.
    let answering = server.clone();
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            answering.control(request).await.unwrap();
        }
    });
    round_trips("idle", &client, &mut control, |count| count >= 2000).await;

    let total = mib * 1024 * 1024 / CHUNK_BYTES;
    let start = Instant::now();
    tokio::spawn(async move {
        let chunk = Bytes::from(vec![7; CHUNK_BYTES]);
        for _ in 0..total {
            server.bulk(chunk.clone()).await.unwrap();
        }
        // The link stays until the measurement is over.
        server.link().closed().await;
    });
    let receiving = tokio::spawn(async move {
        for _ in 0..total {
            bulk.recv().await.unwrap();
        }
        start.elapsed()
    });
    let beside = format!("beside {mib} MiB");
    round_trips(&beside, &client, &mut control, |_| receiving.is_finished()).await;
    let elapsed = receiving.await.unwrap();
    println!("bulk: {:.0} MB/s", mib as f64 * 1.048_576 / elapsed.as_secs_f64());
}

async fn send_small(sender: LinkSender, count: u32) {
    let message = Bytes::from_static(&[7; 64]);
    for _ in 0..count {
        sender.hot(message.clone()).await.unwrap();
    }
}

async fn round_trips(
    what: &str,
    sender: &LinkSender,
    answers: &mut hearth_net::LaneReceiver,
    done: impl Fn(usize) -> bool,
) {
    let mut times = Vec::new();
    while !done(times.len()) {
        let start = Instant::now();
        sender.control(Bytes::from_static(&[1; 64])).await.unwrap();
        answers.recv().await.unwrap();
        times.push(start.elapsed());
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    println!(
        "64-byte round trip, {what}: p50 {:.0} µs, p99 {:.0} µs, max {:.0} µs ({} of them)",
        at(0.5),
        at(0.99),
        at(1.0),
        times.len()
    );
}
