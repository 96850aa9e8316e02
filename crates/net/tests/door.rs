// SPDX-License-Identifier: AGPL-3.0-or-later
//! The server's door: strangers, guesses, and what a client is told when it cannot join.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use common::{PASSWORD, QUICK, QUICK_BOUNDS, client_config, listen, password, server_config, within};
use hearth_net::session::{ClientSession, ClientStep, SessionError};
use hearth_net::{
    ConnectError, KnownServers, Listener, PROTOCOL_VERSION, PasswordFile, PeerKey, PinnedServer, connect,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// A socket from another address of this machine. (All of 127/8 is local on Linux.)
async fn from(last: u8, addr: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("127.0.0.{last}:0").parse().unwrap()).unwrap();
    socket.connect(addr.parse().unwrap()).await.unwrap()
}

/// Until the other side hangs up, in order or not.
async fn until_hung_up(stream: &mut TcpStream) {
    let mut sink = [0; 256];
    while let Ok(1..) = stream.read(&mut sink).await {}
}

async fn serve_everybody(mut listener: Listener) {
    let mut links = Vec::new();
    loop {
        links.push(listener.accept().await);
    }
}

#[tokio::test]
async fn silent_and_slow_strangers_are_cut_off_and_a_friend_gets_in() {
    let mut config = server_config();
    config.limits.deadline = Duration::from_millis(1500);
    let (listener, addr) = listen(config).await;
    let client = client_config("alice");
    let start = Instant::now();
    let mut silent = from(2, &addr).await;
    let mut slow = from(3, &addr).await;
    let trickle = async {
        // A valid hello, a byte at a time: it would take two seconds.
        let hello = ClientSession::new(password("x"), PeerKey::generate(), "slow", "", QUICK_BOUNDS)
            .unwrap()
            .take_output();
        for byte in hello {
            if slow.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        until_hung_up(&mut slow).await;
    };
    let friend = async { connect(&addr, &client).await.unwrap() };
    let waiting = async { tokio::join!(until_hung_up(&mut silent), trickle, friend) };
    within(10, "the end of the strangers", async {
        tokio::select! {
            _ = waiting => {}
            () = serve_everybody(listener) => {}
        }
    })
    .await;
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(1400), "{elapsed:?}");
}

#[tokio::test]
async fn half_open_connections_are_bounded_and_do_not_keep_a_friend_out() {
    let (mut listener, addr) = listen(server_config()).await;
    let client = client_config("alice");
    let mut strangers = Vec::new();
    for n in 0..150_u8 {
        // Forty from the friend's own address, the others from twenty more.
        let last = if n < 40 { 1 } else { 2 + n % 20 };
        strangers.push(from(last, &addr).await);
        assert!(listener.half_open() <= 64);
    }
    // Let the server see them all: the newest is served, so its hello is answered.
    let newest = strangers.last_mut().unwrap();
    let mut hello = ClientSession::new(password("x"), PeerKey::generate(), "n", "", QUICK_BOUNDS).unwrap();
    newest.write_all(&hello.take_output()).await.unwrap();
    let mut answer = [0; 3];
    within(5, "an answer", newest.read_exact(&mut answer)).await.unwrap();
    let half_open = listener.half_open();
    assert!((9..=64).contains(&half_open), "{half_open}");

    let joined =
        within(3, "the friend's login", async { tokio::join!(listener.accept(), connect(&addr, &client)) })
            .await;
    joined.1.unwrap();
    drop(strangers);
    within(5, "the strangers' end", async {
        while listener.half_open() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Plays the client as far as the server's answer to a guess, and says how it went.
async fn guess(addr: &str, last: u8, text: &str) -> Result<(), SessionError> {
    let mut stream = from(last, addr).await;
    let mut session = ClientSession::new(password(text), PeerKey::generate(), "guesser", "", QUICK_BOUNDS)?;
    let mut received = BytesMut::new();
    loop {
        let output = session.take_output();
        stream.write_all(&output).await.unwrap();
        match session.step() {
            ClientStep::TrustServer => session.trust_server()?,
            ClientStep::Stretch => return session.stretch(),
            ClientStep::Done => unreachable!(),
            ClientStep::Receive => {
                stream.read_buf(&mut received).await.unwrap();
                session.receive(&mut received)?;
            }
        }
    }
}

#[tokio::test]
async fn guesses_are_slowed_down_then_refused_and_cost_others_nothing() {
    let mut config = server_config();
    config.limits.deadline = Duration::from_secs(5);
    config.limits.throttle.burst = 3;
    config.limits.throttle.interval = Duration::from_secs(2);
    let (listener, addr) = listen(config).await;
    let mut serving = JoinSet::new();
    serving.spawn(serve_everybody(listener));
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(guess(&addr, 9, "wrong").await, Err(SessionError::WrongPassword));
    }
    let before = Instant::now();
    assert_eq!(guess(&addr, 9, "wrong").await, Err(SessionError::WrongPassword));
    // The bucket refills while the guesses are made.
    let waited = before.elapsed() + (before - start);
    assert!(waited >= Duration::from_millis(1990), "{waited:?}");
    // Many at once: few are answered, and the others are told to come later.
    let mut guesses = JoinSet::new();
    for _ in 0..7 {
        let addr = addr.clone();
        guesses.spawn(async move { guess(&addr, 9, "wrong").await });
    }
    let mut refused = 0;
    while let Some(end) = guesses.join_next().await {
        match end.unwrap() {
            Err(SessionError::Refused(_)) => refused += 1,
            Err(SessionError::WrongPassword) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(refused >= 5, "{refused}");
    // Whoever knows the password is never slowed down, and other addresses are not concerned.
    let client = client_config("alice");
    let before = Instant::now();
    for _ in 0..12 {
        connect(&addr, &client).await.unwrap();
    }
    assert!(before.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_client_that_guesses_too_often_is_told_when_to_come_again() {
    let mut config = server_config();
    config.limits.deadline = Duration::from_secs(2);
    config.limits.throttle.burst = 1;
    config.limits.throttle.interval = Duration::from_secs(100);
    let (_listener, addr) = listen(config).await;
    let mut client = client_config("alice");
    client.password = password("wrong");
    assert!(matches!(connect(&addr, &client).await, Err(ConnectError::WrongPassword)));
    assert!(matches!(connect(&addr, &client).await, Err(ConnectError::Busy { retry_after_secs: 95..=100 })));
}

#[tokio::test]
async fn a_changed_password_counts_at_once_and_connected_peers_stay() {
    let config = Arc::new(server_config());
    let mut listener = Listener::bind("127.0.0.1:0", config.clone()).await.unwrap();
    let addr = listener.local_addr().to_string();
    let mut client = client_config("alice");
    let (served, connected) = tokio::join!(listener.accept(), connect(&addr, &client));
    let _connected = connected.unwrap();
    let changed = PasswordFile::register(config.secrets(), &password("new one"), QUICK).unwrap();
    config.set_password(changed);
    assert!(matches!(connect(&addr, &client).await, Err(ConnectError::WrongPassword)));
    client.password = password("new one");
    let (_served, again) = tokio::join!(listener.accept(), connect(&addr, &client));
    again.unwrap();
    let (sender, _receiver) = served.split();
    assert_eq!(sender.link().close_reason(), None);
}

#[tokio::test]
async fn a_changed_server_key_stops_the_client_and_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("known_servers");
    let (mut listener, addr) = listen(server_config()).await;
    let mut client = client_config("alice");
    client.known_servers = Arc::new(KnownServers::at(&list));
    let (_served, connected) = tokio::join!(listener.accept(), connect(&addr, &client));
    drop(connected.unwrap());
    let (_served, again) = tokio::join!(listener.accept(), connect(&addr, &client));
    drop(again.unwrap());
    let text = std::fs::read_to_string(&list).unwrap();
    assert_eq!(text.lines().count(), 1, "remembered once");

    // The same address, another server, even with the same password.
    let old = client.known_servers.get(&addr).unwrap().unwrap();
    let other = KnownServers::in_memory();
    let pinned = PinnedServer { key: [7; 32], ..old };
    other.remember(&addr, pinned).unwrap();
    client.known_servers = Arc::new(other);
    let error = connect(&addr, &client).await.unwrap_err();
    let ConnectError::ServerKeyChanged { expected, found, .. } = &error else { panic!("{error}") };
    assert_eq!(expected, &"07".repeat(32));
    assert_ne!(expected, found);

    std::fs::write(&list, text.replace(&addr, "127.0.0.1:1")).unwrap();
    client.known_servers = Arc::new(KnownServers::at(&list));
    client.known_servers.remember(&addr, pinned).unwrap();
    let error = connect(&addr, &client).await.unwrap_err();
    let ConnectError::ServerKeyChanged { advice, .. } = &error else { panic!("{error}") };
    assert!(advice.contains(list.to_str().unwrap()), "{advice}");
    assert!(advice.contains(&addr), "{advice}");
}

/// A "server" that sends these bytes to whoever connects, and then stays.
async fn impostor(bytes: &'static [u8]) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(bytes).await.unwrap();
            held.push(stream);
        }
    });
    (addr, task)
}

#[tokio::test]
async fn what_cannot_be_joined_is_told_apart() {
    let mut client = client_config("alice");
    client.timeout = Duration::from_millis(300);

    let (addr, _task) = impostor(b"\x06\x00\x06\x01\x03\x00\x00\x00").await;
    assert!(matches!(
        connect(&addr, &client).await,
        Err(ConnectError::VersionMismatch { theirs: 3, ours: PROTOCOL_VERSION })
    ));
    let (addr, _task) = impostor(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert!(matches!(connect(&addr, &client).await, Err(ConnectError::Protocol(_))));
    let (addr, _task) = impostor(b"").await;
    assert!(matches!(connect(&addr, &client).await, Err(ConnectError::TimedOut)));
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = free.local_addr().unwrap().to_string();
    drop(free);
    assert!(matches!(connect(&addr, &client).await, Err(ConnectError::Unreachable { .. })));
    assert!(matches!(connect("no port here", &client).await, Err(ConnectError::Unreachable { .. })));
    client.name = "x".repeat(65);
    assert!(matches!(connect(&addr, &client).await, Err(ConnectError::Label("name"))));
}

#[tokio::test]
async fn production_bounds_refuse_a_server_that_stretches_too_little() {
    let (_listener, addr) = listen(server_config()).await;
    let mut client = client_config("alice");
    client.ksf_bounds = hearth_net::KsfBounds::default();
    assert!(matches!(connect(&addr, &client).await, Err(ConnectError::Stretching(_))));
}

#[tokio::test]
async fn a_wrong_password_is_named_and_the_right_one_still_works() {
    let (mut listener, addr) = listen(server_config()).await;
    let mut client = client_config("alice");
    client.password = password("Correct horse");
    assert!(matches!(connect(&addr, &client).await, Err(ConnectError::WrongPassword)));
    assert_eq!(client.known_servers.get(&addr).unwrap(), None);
    client.password = password(PASSWORD);
    let (_served, connected) = tokio::join!(listener.accept(), connect(&addr, &client));
    connected.unwrap();
}

#[tokio::test]
async fn frames_over_the_limit_and_nonsense_are_hung_up_on() {
    let mut config = server_config();
    config.limits.deadline = Duration::from_secs(60);
    let (listener, addr) = listen(config).await;
    for bytes in
        [&b"\xff\xff\x01"[..], b"\x00\x02\x01", b"\x00\x00", b"GET / HTTP/1.1\r\n\r\n", b"\x05\x00\x03"]
    {
        let mut stream = from(2, &addr).await;
        stream.write_all(bytes).await.unwrap();
        // Far sooner than the deadline: by the header alone.
        within(3, "the hanging up", until_hung_up(&mut stream)).await;
    }
    drop(listener);
}
