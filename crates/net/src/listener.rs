// SPDX-License-Identifier: AGPL-3.0-or-later
//! The server's door: strangers are bounded, and only peers come through.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::{Link, ServerConfig};

/// A listening socket that yields authenticated peers.
#[derive(Debug)]
pub struct Listener {
    _private: (),
}

impl Listener {
    /// Listens on `addr` (`host:port`; port 0 for any).
    ///
    /// # Errors
    /// If the address cannot be resolved or bound.
    pub async fn bind(_addr: &str, _config: Arc<ServerConfig>) -> io::Result<Self> {
        todo!()
    }
    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        todo!()
    }
    /// The next peer that has logged in. Cancel safe.
    pub async fn accept(&mut self) -> Link {
        todo!()
    }
    /// Connections that have not logged in yet.
    pub fn half_open(&self) -> usize {
        todo!()
    }
}
