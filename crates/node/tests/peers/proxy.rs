// SPDX-License-Identifier: AGPL-3.0-or-later
//! A line between a client and its server that can be cut.

use std::sync::Arc;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

pub(crate) struct Proxy {
    pub(crate) address: String,
    whole: Arc<watch::Sender<bool>>,
}

impl Proxy {
    pub(crate) async fn to(server: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let whole = Arc::new(watch::Sender::new(true));
        let (server, state) = (server.to_owned(), whole.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if !*state.borrow() {
                    continue;
                }
                let (server, mut cut) = (server.clone(), state.subscribe());
                tokio::spawn(async move { carry(near, &server, &mut cut).await });
            }
        });
        Proxy { address, whole }
    }

    /// Connections break, and new ones too.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn carry(mut near: TcpStream, server: &str, cut: &mut watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(server).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    tokio::select! {
        _ended = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _cut = cut.wait_for(|whole| !whole) => {}
    }
}
