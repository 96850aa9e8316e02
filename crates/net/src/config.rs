// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a server and a client bring to a login.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use crate::identity::{KnownServers, PeerKey};
use crate::password::{KsfBounds, Password, PasswordFile, ServerSecrets};
use crate::throttle::ThrottleLimits;

/// Bounds on strangers: what a connection may cost before its peer has logged in.
#[derive(Debug, Clone)]
pub struct HandshakeLimits {
    /// From accepted socket to usable link. Default 10 s.
    ///
    /// Attack: sockets that say nothing, or one byte a second, and are never given up.
    pub deadline: Duration,
    /// Connections that have not logged in yet, all addresses together. Default 64.
    ///
    /// When full, the oldest of the address with the most of them is cut off for the newcomer, so
    /// that strangers who only hold sockets do not keep a friend out.
    pub half_open_max: usize,
    /// The same per address (IPv6: per /64 prefix). Default 8; the oldest is cut off.
    pub half_open_per_address_max: usize,
    /// How often one address may try a password.
    pub throttle: ThrottleLimits,
}

impl Default for HandshakeLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            half_open_max: 64,
            half_open_per_address_max: 8,
            throttle: ThrottleLimits::default(),
        }
    }
}

/// Everything a listening server needs to let peers in.
#[derive(Debug)]
pub struct ServerConfig {
    secrets: ServerSecrets,
    password: RwLock<Arc<PasswordFile>>,
    /// The server's own peer key, proved to every client.
    pub key: PeerKey,
    /// The server's name as a label, at most [`crate::NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// Version and system, told to clients that have logged in.
    pub agent: String,
    /// Bounds on strangers.
    pub limits: HandshakeLimits,
    /// A connected peer from which nothing has come for this long is gone. Default 10 s.
    pub silence_max: Duration,
}

impl ServerConfig {
    /// A configuration with default limits.
    pub fn new(secrets: ServerSecrets, password: PasswordFile, key: PeerKey) -> Self {
        Self {
            secrets,
            password: RwLock::new(Arc::new(password)),
            key,
            name: "server".into(),
            agent: String::new(),
            limits: HandshakeLimits::default(),
            silence_max: Duration::from_secs(10),
        }
    }

    /// The secrets that every password record of this server rests on.
    pub fn secrets(&self) -> &ServerSecrets {
        &self.secrets
    }

    /// The password record that logins are checked against.
    pub fn password(&self) -> Arc<PasswordFile> {
        self.password.read().clone()
    }

    /// Replaces the password. Peers that are connected stay; logins under way fail.
    pub fn set_password(&self, password: PasswordFile) {
        *self.password.write() = Arc::new(password);
    }
}

/// Everything a client needs to log in.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The password of the space.
    pub password: Password,
    /// The key that this peer is.
    pub key: PeerKey,
    /// A label for people, at most [`crate::NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// Version and system, at most [`crate::AGENT_BYTES_MAX`] bytes; told to the server once it
    /// has proved itself.
    pub agent: String,
    /// Servers seen before. A new one is remembered, a changed one refused.
    pub known_servers: Arc<KnownServers>,
    /// What the server may ask of this machine's memory and time.
    pub ksf_bounds: KsfBounds,
    /// From connecting to a usable link. Default 20 s.
    pub timeout: Duration,
    /// A server from which nothing has come for this long is gone. Default 10 s.
    pub silence_max: Duration,
    /// Told once the server was reached and the login begins, for who shows how far it is. Default nobody.
    pub reached: Option<Arc<tokio::sync::Notify>>,
}

impl ClientConfig {
    /// A configuration with default bounds.
    pub fn new(
        password: Password,
        key: PeerKey,
        name: impl Into<String>,
        known_servers: Arc<KnownServers>,
    ) -> Self {
        Self {
            password,
            key,
            name: name.into(),
            agent: String::new(),
            known_servers,
            ksf_bounds: KsfBounds::default(),
            timeout: Duration::from_secs(20),
            silence_max: Duration::from_secs(10),
            reached: None,
        }
    }
}
