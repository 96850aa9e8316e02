// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the tests share: a server and a client with cheap stretching.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use hearth_net::{
    ClientConfig, KnownServers, KsfBounds, KsfParams, Link, Listener, Password, PasswordFile, PeerKey,
    ServerConfig, ServerSecrets, connect,
};

/// So cheap that a test can log in a thousand times. Production bounds refuse it.
pub const QUICK: KsfParams = KsfParams { memory_kib: 64, passes: 1, lanes: 1 };

pub const QUICK_BOUNDS: KsfBounds =
    KsfBounds { memory_kib_min: 64, memory_kib_max: 1024, passes_max: 2, lanes_max: 1 };

pub const PASSWORD: &str = "correct horse";

pub fn password(text: &str) -> Password {
    Password::new(text).unwrap()
}

pub fn server_config() -> ServerConfig {
    let secrets = ServerSecrets::generate();
    let record = PasswordFile::register(&secrets, &password(PASSWORD), QUICK).unwrap();
    let mut config = ServerConfig::new(secrets, record, PeerKey::generate());
    config.agent = "test-server/1".into();
    // A thousand failures from one address are what many of these tests make.
    config.limits.throttle.burst = 1_000_000;
    config
}

pub fn client_config(name: &str) -> ClientConfig {
    let mut config =
        ClientConfig::new(password(PASSWORD), PeerKey::generate(), name, Arc::new(KnownServers::in_memory()));
    config.agent = "test-client/1".into();
    config.ksf_bounds = QUICK_BOUNDS;
    config
}

pub async fn listen(config: ServerConfig) -> (Listener, String) {
    let listener = Listener::bind("127.0.0.1:0", Arc::new(config)).await.unwrap();
    let addr = listener.local_addr().to_string();
    (listener, addr)
}

/// Both ends of a link over a real socket: (server's, client's).
pub async fn pair() -> (Link, Link) {
    pair_of(server_config(), client_config("alice")).await
}

pub async fn pair_of(server: ServerConfig, client: ClientConfig) -> (Link, Link) {
    let (mut listener, addr) = listen(server).await;
    let (served, connected) = tokio::join!(listener.accept(), connect(&addr, &client));
    (served, connected.unwrap())
}

/// Fails a test that would otherwise hang.
pub async fn within<T>(secs: u64, what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(secs), future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen within {secs} s"))
}
