// SPDX-License-Identifier: AGPL-3.0-or-later
//! The client's way in.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::carrier::EstablishError;
use crate::handshake::{self, HandshakeError};
use crate::identity::{KnownServers, KnownServersError, PinnedServer, hex};
use crate::link::CloseReason;
use crate::session::{ClientSession, ClientStep, Established, Refusal, SessionError};
use crate::{ClientConfig, Link};

/// Why a client could not join.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name was not resolved, or nobody answers at the address.
    #[error("cannot reach `{addr}`")]
    Unreachable {
        /// As given.
        addr: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server did not accept the password (or somebody altered the conversation).
    #[error("the server did not accept this password")]
    WrongPassword,
    /// The server has another key than when it was first seen. Nothing was sent that would help an
    /// impostor.
    #[error("the key of the server at `{addr}` has changed")]
    ServerKeyChanged {
        /// As given.
        addr: String,
        /// The key remembered, in hex.
        expected: String,
        /// The key now shown, in hex.
        found: String,
        /// What to do, in whole sentences.
        advice: String,
    },
    /// The two programs speak different versions.
    #[error("the server speaks protocol version {theirs}, this program speaks {ours}")]
    VersionMismatch {
        /// The server's.
        theirs: u16,
        /// This program's.
        ours: u16,
    },
    /// Too many attempts from this address, or too many strangers at the door.
    #[error("the server is turning strangers away; try again in {} s", retry_after_secs)]
    Busy {
        /// When to try again.
        retry_after_secs: u32,
    },
    /// The server asks for more work, or less, than [`ClientConfig::ksf_bounds`] allow.
    #[error("the server asks for unreasonable password stretching ({0})")]
    Stretching(String),
    /// No usable link within [`ClientConfig::timeout`].
    #[error("the server took too long to answer")]
    TimedOut,
    /// The connection was closed or broke in the middle of the login.
    #[error("the connection was lost during the login")]
    Lost(#[source] io::Error),
    /// The name or agent in the configuration is too long or not printable.
    #[error("the {0} is too long or has control characters")]
    Label(&'static str),
    /// The file of known servers cannot be used.
    #[error("the list of known servers cannot be used")]
    KnownServers(#[from] KnownServersError),
    /// What answered does not speak this protocol, or does so wrongly.
    #[error("the other side does not speak this protocol: {0}")]
    Protocol(String),
}

/// Logs in to the server at `addr` (`host:port`).
///
/// The server is pinned under `addr` as written. Argon2id runs on a blocking thread.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(addr: &str, config: &ClientConfig) -> Result<Link, ConnectError> {
    match timeout(config.timeout, connect_unbounded(addr, config)).await {
        Ok(result) => result,
        Err(_elapsed) => Err(ConnectError::TimedOut),
    }
}

async fn connect_unbounded(addr: &str, config: &ClientConfig) -> Result<Link, ConnectError> {
    let session = ClientSession::new(
        config.password.clone(),
        config.key.clone(),
        &config.name,
        &config.agent,
        config.ksf_bounds,
    )
    .map_err(|error| match error {
        SessionError::Malformed(label) => ConnectError::Label(label),
        other => ConnectError::Protocol(other.to_string()),
    })?;
    let (mut stream, remote_addr) = reach(addr).await?;
    if let Some(reached) = &config.reached {
        reached.notify_one();
    }
    let known = recall(&config.known_servers, addr).await?;
    let (established, received) =
        log_in(&mut stream, session, addr, known, config).await.map_err(|failure| match failure {
            Failure::Connect(error) => error,
            Failure::Handshake(error) => error.into(),
        })?;
    let server = established.server;
    let link = handshake::into_link(stream, remote_addr, established, &received, config.silence_max).await?;
    if known.is_none() {
        // Only now has the server proved its key.
        remember(&config.known_servers, addr, server).await?;
    }
    Ok(link)
}

async fn reach(addr: &str) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let unreachable = |source| ConnectError::Unreachable { addr: addr.to_owned(), source };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for candidate in lookup_host(addr).await.map_err(unreachable)? {
        match TcpStream::connect(candidate).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(unreachable)?;
                return Ok((stream, candidate));
            }
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}

enum Failure {
    Connect(ConnectError),
    Handshake(HandshakeError),
}

impl<E: Into<HandshakeError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Handshake(error.into())
    }
}

async fn log_in(
    stream: &mut TcpStream,
    mut session: ClientSession,
    addr: &str,
    known: Option<PinnedServer>,
    config: &ClientConfig,
) -> Result<(Established, BytesMut), Failure> {
    let mut received = BytesMut::new();
    loop {
        let output = session.take_output();
        if !output.is_empty() {
            stream.write_all(&output).await?;
        }
        match session.step() {
            ClientStep::Receive => {
                handshake::read_some(stream, &mut received).await?;
                session.receive(&mut received)?;
            }
            ClientStep::TrustServer => {
                if let (Some(known), Some(found)) = (known, session.server())
                    && known != found
                {
                    let error = server_changed(addr, known, found, &config.known_servers);
                    return Err(Failure::Connect(error));
                }
                session.trust_server()?;
            }
            ClientStep::Stretch => {
                let stretched = tokio::task::spawn_blocking(move || session.stretch().map(|()| session));
                session = stretched.await.map_err(io::Error::other)??;
            }
            ClientStep::Done => return Ok((session.finish()?, received)),
        }
    }
}

fn server_changed(
    addr: &str,
    known: PinnedServer,
    found: PinnedServer,
    known_servers: &KnownServers,
) -> ConnectError {
    let place = match known_servers.path() {
        Some(path) => format!("delete the line of `{addr}` from `{}`", path.display()),
        None => "forget the remembered key".to_owned(),
    };
    ConnectError::ServerKeyChanged {
        addr: addr.to_owned(),
        expected: hex(&known.key),
        found: hex(&found.key),
        advice: format!(
            "Either the server was set up anew, or somebody is posing as it. Ask its host, by \
             another way, which key `hearth-ctl status` shows there. If it is the one found, \
             {place} and connect again; if not, do not."
        ),
    }
}

async fn recall(known_servers: &Arc<KnownServers>, addr: &str) -> Result<Option<PinnedServer>, ConnectError> {
    let (known_servers, addr) = (known_servers.clone(), addr.to_owned());
    let recalled = tokio::task::spawn_blocking(move || known_servers.get(&addr)).await;
    Ok(recalled.map_err(|error| ConnectError::Lost(io::Error::other(error)))??)
}

async fn remember(
    known_servers: &Arc<KnownServers>,
    addr: &str,
    server: PinnedServer,
) -> Result<(), ConnectError> {
    let (known_servers, addr) = (known_servers.clone(), addr.to_owned());
    let remembered = tokio::task::spawn_blocking(move || known_servers.remember(&addr, server)).await;
    Ok(remembered.map_err(|error| ConnectError::Lost(io::Error::other(error)))??)
}

impl From<HandshakeError> for ConnectError {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Session(error) => match error {
                SessionError::WrongPassword => Self::WrongPassword,
                SessionError::Version { theirs, ours } => Self::VersionMismatch { theirs, ours },
                SessionError::Refused(Refusal::Busy(secs)) => Self::Busy { retry_after_secs: secs },
                SessionError::Stretching(ksf) => Self::Stretching(format!(
                    "{} KiB, {} passes, {} lanes",
                    ksf.memory_kib, ksf.passes, ksf.lanes
                )),
                other => Self::Protocol(other.to_string()),
            },
            HandshakeError::Io(error) => Self::Lost(error),
            HandshakeError::Establish(EstablishError::Ended(CloseReason::Protocol(what))) => {
                Self::Protocol(what)
            }
            HandshakeError::Establish(EstablishError::Ended(reason)) => Self::Lost(io::Error::other(reason)),
            other => Self::Protocol(other.to_string()),
        }
    }
}
