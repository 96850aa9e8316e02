// SPDX-License-Identifier: AGPL-3.0-or-later
//! A hostile line: a TCP proxy that sees whole frames and records and may do with them as it likes.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    Server,
    Client,
}

/// What the line does with a unit: a frame of the login, or a record.
#[derive(Debug, Clone)]
pub enum Act {
    Pass(Vec<u8>),
    /// Only the first bytes, then the line is cut.
    Cut(Vec<u8>),
    /// After the next one.
    Delay(Vec<u8>),
    Drop,
    Repeat(Vec<u8>),
    /// From now on nothing passes, and nothing is closed.
    BlackHole,
}

type Tamper = dyn FnMut(To, usize, Vec<u8>) -> Act + Send;

/// A line to `target`; the tampering is shared by both directions and all connections.
pub struct Proxy {
    pub addr: String,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub async fn start(target: &str, tamper: impl FnMut(To, usize, Vec<u8>) -> Act + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let target = target.to_owned();
        let tamper: Arc<Mutex<Tamper>> = Arc::new(Mutex::new(tamper));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&target).await.unwrap();
                for stream in [&client, &server] {
                    stream.set_nodelay(true).unwrap();
                }
                let (client_rx, client_tx) = client.into_split();
                let (server_rx, server_tx) = server.into_split();
                let tamper = tamper.clone();
                lines.spawn(async move {
                    // Either direction's end ends the line, as when a cable is cut.
                    tokio::select! {
                        () = carry(To::Server, client_rx, server_tx, tamper.clone()) => {}
                        () = carry(To::Client, server_rx, client_tx, tamper) => {}
                    }
                });
            }
        });
        Self { addr, _tasks: tasks }
    }
}

/// Frames come first: three to the server, two to the client. Then records.
async fn read_unit(to: To, number: usize, from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let frames = if to == To::Server { 3 } else { 2 };
    let mut unit = vec![0; if number < frames { 2 } else { 4 }];
    from.read_exact(&mut unit).await.ok()?;
    let rest = if number < frames {
        usize::from(u16::from_le_bytes([unit[0], unit[1]]))
    } else {
        u32::from_le_bytes([unit[0], unit[1], unit[2], 0]) as usize + 16
    };
    let head = unit.len();
    unit.resize(head + rest, 0);
    from.read_exact(&mut unit[head..]).await.ok()?;
    Some(unit)
}

async fn carry(to: To, mut from: OwnedReadHalf, mut into: OwnedWriteHalf, tamper: Arc<Mutex<Tamper>>) {
    let mut number = 0;
    let mut delayed = VecDeque::new();
    while let Some(unit) = read_unit(to, number, &mut from).await {
        let act = (tamper.lock().unwrap())(to, number, unit);
        number += 1;
        let (bytes, last) = match act {
            Act::Pass(bytes) => (bytes, false),
            Act::Cut(bytes) => (bytes, true),
            Act::Delay(bytes) => {
                delayed.push_back(bytes);
                continue;
            }
            Act::Drop => continue,
            Act::Repeat(bytes) => ([&bytes[..], &bytes[..]].concat(), false),
            Act::BlackHole => std::future::pending().await,
        };
        let mut sent = into.write_all(&bytes).await;
        while let (Ok(()), Some(late)) = (&sent, delayed.pop_front()) {
            sent = into.write_all(&late).await;
        }
        if sent.is_err() || last {
            return;
        }
    }
}
