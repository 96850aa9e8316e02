// SPDX-License-Identifier: AGPL-3.0-or-later
//! A line between a client and its server that can be cut.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
};

pub(crate) struct Proxy {
    pub(crate) address: String,
    line: Arc<Line>,
}

struct Line {
    whole: watch::Sender<bool>,
    /// Bytes that came from the server.
    carried: AtomicU64,
    /// When so many have come, it is cut.
    limit: AtomicU64,
    /// Most bytes a second that it carries from the server.
    rate: AtomicU64,
}

impl Proxy {
    pub(crate) async fn to(server: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let line = Line {
            whole: watch::Sender::new(true),
            carried: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            rate: AtomicU64::new(u64::MAX),
        };
        let line = Arc::new(line);
        let (server, proxy) = (server.to_owned(), Proxy { address, line: line.clone() });
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *line.whole.borrow() {
                    let (line, server) = (line.clone(), server.clone());
                    tokio::spawn(async move { line.carry(near, &server).await });
                }
            }
        });
        proxy
    }

    /// Connections break, and new ones too.
    pub(crate) fn cut(&self) {
        self.line.whole.send_replace(false);
    }

    /// From now on it carries no more than so many bytes a second from the server.
    pub(crate) fn slow_down(&self, bytes_per_s: u64) {
        self.line.rate.store(bytes_per_s, Ordering::SeqCst);
    }

    /// They break when so many more bytes have come from the server.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.line.limit.store(self.carried() + bytes, Ordering::SeqCst);
    }

    /// Bytes that came from the server, over all connections.
    pub(crate) fn carried(&self) -> u64 {
        self.line.carried.load(Ordering::SeqCst)
    }

    pub(crate) fn is_cut(&self) -> bool {
        !*self.line.whole.borrow()
    }

    pub(crate) fn mend(&self) {
        self.line.limit.store(u64::MAX, Ordering::SeqCst);
        self.line.whole.send_replace(true);
    }
}

impl Line {
    async fn carry(&self, mut near: TcpStream, server: &str) {
        let Ok(mut far) = TcpStream::connect(server).await else { return };
        let _ = (near.set_nodelay(true), far.set_nodelay(true));
        let mut whole = self.whole.subscribe();
        let (mut near_in, near_out) = near.split();
        let (far_in, mut far_out) = far.split();
        tokio::select! {
            _ended = tokio::io::copy(&mut near_in, &mut far_out) => {}
            _ended = self.down(far_in, near_out) => {}
            _cut = whole.wait_for(|whole| !whole) => {}
        }
    }

    async fn down(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let len = from.read(&mut buffer).await?;
            if len == 0 {
                return Ok(());
            }
            to.write_all(&buffer[..len]).await?;
            let rate = self.rate.load(Ordering::SeqCst);
            if rate != u64::MAX {
                tokio::time::sleep(Duration::from_secs_f64(len as f64 / rate as f64)).await;
            }
            let carried = self.carried.fetch_add(len as u64, Ordering::SeqCst) + len as u64;
            if carried >= self.limit.load(Ordering::SeqCst) {
                self.whole.send_replace(false);
            }
        }
    }
}
