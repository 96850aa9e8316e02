// SPDX-License-Identifier: AGPL-3.0-or-later
//! The login as two state machines in memory, with any split of the bytes and any damage to them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use common::{PASSWORD, QUICK_BOUNDS, password, server_config};
use hearth_net::record::RecordType;
use hearth_net::session::{
    ClientSession, ClientStep, Established, FRAME_BYTES_MAX, Refusal, ServerSession, ServerStep, SessionError,
};
use hearth_net::{KsfBounds, PROTOCOL_VERSION, PeerKey, ServerConfig};
use proptest::prelude::*;

static SERVER: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| Arc::new(server_config()));
static KEY: LazyLock<PeerKey> = LazyLock::new(PeerKey::generate);

fn client(text: &str) -> ClientSession {
    client_with(text, QUICK_BOUNDS)
}

fn client_with(text: &str, bounds: KsfBounds) -> ClientSession {
    ClientSession::new(password(text), KEY.clone(), "alice", "agent/1", bounds).unwrap()
}

/// Two sessions and the wires between them. `damage` sees every flight: its number and its bytes.
struct Pair<D> {
    client: ClientSession,
    server: ServerSession,
    to_server: BytesMut,
    to_client: BytesMut,
    flights: usize,
    damage: D,
}

#[derive(Debug)]
#[allow(dead_code, reason = "the fields are for the message of a test that fails")]
enum Failure {
    Client(SessionError),
    Server(SessionError),
    /// Both wait for the other: on a real line the deadline ends this.
    Stuck,
}

impl<D: FnMut(usize, &mut Vec<u8>)> Pair<D> {
    fn new(client: ClientSession, damage: D) -> Self {
        Self {
            client,
            server: ServerSession::new(SERVER.clone()).unwrap(),
            to_server: BytesMut::new(),
            to_client: BytesMut::new(),
            flights: 0,
            damage,
        }
    }

    /// Lets both do what they can without new bytes; true if anything was sent.
    fn work(&mut self) -> Result<bool, Failure> {
        match self.client.step() {
            ClientStep::TrustServer => self.client.trust_server().map_err(Failure::Client)?,
            ClientStep::Stretch => self.client.stretch().map_err(Failure::Client)?,
            ClientStep::Receive | ClientStep::Done => {}
        }
        if self.server.step() == ServerStep::Attempt {
            self.server.answer().map_err(Failure::Server)?;
        }
        let mut sent = false;
        let outputs = [self.client.take_output(), self.server.take_output()];
        for (number, mut output) in outputs.into_iter().enumerate() {
            if output.is_empty() {
                continue;
            }
            sent = true;
            (self.damage)(self.flights, &mut output);
            self.flights += 1;
            let wire = if number == 0 { &mut self.to_server } else { &mut self.to_client };
            wire.extend_from_slice(&output);
        }
        Ok(sent)
    }

    /// Runs to the end, handing over at most as many bytes at a time as `sizes` says.
    fn run(mut self, mut sizes: impl Iterator<Item = usize>) -> Result<[Established; 2], Failure> {
        let (mut client_has, mut server_has) = (BytesMut::new(), BytesMut::new());
        loop {
            let sent = self.work()?;
            if self.client.step() == ClientStep::Done && self.server.step() == ServerStep::Done {
                assert!(client_has.is_empty() && server_has.is_empty());
                return Ok([self.client.finish().unwrap(), self.server.finish().unwrap()]);
            }
            let mut moved = false;
            for (wire, has) in
                [(&mut self.to_server, &mut server_has), (&mut self.to_client, &mut client_has)]
            {
                let size = sizes.next().unwrap_or(usize::MAX).min(wire.len());
                has.extend_from_slice(&wire.split_to(size));
                moved |= size > 0;
            }
            self.server.receive(&mut server_has).map_err(Failure::Server)?;
            self.client.receive(&mut client_has).map_err(Failure::Client)?;
            if !sent && !moved {
                return Err(Failure::Stuck);
            }
        }
    }
}

fn whole() -> impl Iterator<Item = usize> {
    std::iter::repeat(usize::MAX)
}

#[test]
fn a_login_agrees_on_keys_and_tells_who_is_who() {
    let [mut client, mut server] = Pair::new(client(PASSWORD), |_, _| {}).run(whole()).unwrap();
    assert_eq!(server.peer.key, KEY.public());
    assert_eq!(server.peer.name, "alice");
    assert_eq!(server.peer.agent, "agent/1");
    assert_eq!(client.peer.key, SERVER.key.public());
    assert_eq!(client.peer.agent, "test-server/1");
    assert_eq!(client.server, server.server);
    for (from, to) in [(&mut client.sealer, &mut server.opener), (&mut server.sealer, &mut client.opener)] {
        let mut record = from.record(RecordType::Data, b"hello").unwrap();
        let opened = to.open(&mut record).unwrap().unwrap();
        assert_eq!(&record[opened.plain], b"hello");
    }
}

/// `docs/formats/session.md`, "Frames".
#[test]
fn the_hellos_are_those_of_the_document() {
    let mut client = client(PASSWORD);
    let hello = client.take_output();
    assert_eq!(hello.len(), 42);
    assert_eq!(hello[..10], *b"\x28\x00\x01HRTH\x02\x00\x01");
    let mut server = ServerSession::new(SERVER.clone()).unwrap();
    server.receive(&mut BytesMut::from(&hello[..])).unwrap();
    let answer = server.take_output();
    assert_eq!(answer.len(), 102);
    assert_eq!(answer[..10], *b"\x64\x00\x02HRTH\x02\x00\x01");
    assert_eq!(answer[42..58], SERVER.secrets().space());
    assert_eq!(answer[58..90], SERVER.secrets().public_key());
    assert_eq!(answer[90..], *b"\x40\0\0\0\x01\0\0\0\x01\0\0\0");
    server.refuse(Refusal::Busy(258));
    assert_eq!(server.take_output(), b"\x06\x00\x06\x03\x02\x01\0\0");
}

#[test]
fn the_directions_and_the_sessions_have_different_keys() {
    let [mut a, _] = Pair::new(client(PASSWORD), |_, _| {}).run(whole()).unwrap();
    let [mut b, mut b_server] = Pair::new(client(PASSWORD), |_, _| {}).run(whole()).unwrap();
    // A record reflected to its sender, and one from another session of the same peers.
    let record = b.sealer.record(RecordType::Data, b"hello").unwrap();
    assert!(b.opener.open(&mut record.clone()).is_err());
    let foreign = a.sealer.record(RecordType::Data, b"hello").unwrap();
    assert!(b_server.opener.open(&mut foreign.clone()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_login_works_with_any_split_of_its_bytes(
        sizes in proptest::collection::vec(1_usize..40, 0..400)
    ) {
        let sizes = sizes.into_iter().chain(std::iter::repeat(1));
        let end = Pair::new(client(PASSWORD), |_, _| {}).run(sizes);
        prop_assert!(end.is_ok(), "{:?}", end.err());
    }

    #[test]
    fn hostile_bytes_never_panic_a_server(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut server = ServerSession::new(SERVER.clone()).unwrap();
        let mut input = BytesMut::from(&bytes[..]);
        let _ = server.receive(&mut input);
        prop_assert_eq!(server.step(), ServerStep::Receive);
    }

    #[test]
    fn hostile_bytes_never_panic_a_client(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut client = client(PASSWORD);
        let mut input = BytesMut::from(&bytes[..]);
        let _ = client.receive(&mut input);
        prop_assert_eq!(client.step(), ClientStep::Receive);
    }
}

#[test]
fn every_flipped_byte_of_every_message_ends_the_login() {
    let mut lengths = Vec::new();
    Pair::new(client(PASSWORD), |_, bytes| lengths.push(bytes.len())).run(whole()).unwrap();
    // Hello, hello, KE1, KE2, KE3 with proof, proof.
    assert_eq!(lengths.len(), 6);
    for (flight, length) in lengths.into_iter().enumerate() {
        for at in 0..length {
            let damaged = Pair::new(client(PASSWORD), |number, bytes: &mut Vec<u8>| {
                if number == flight {
                    bytes[at] ^= 1 << (at % 8);
                }
            });
            let end = damaged.run(whole());
            assert!(end.is_err(), "flight {flight}, byte {at}");
        }
    }
}

#[test]
fn a_wrong_password_is_found_by_the_client_before_it_proves_anything() {
    let mut flights = 0;
    let end = Pair::new(client("incorrect horse"), |_, _| flights += 1).run(whole());
    assert!(matches!(end, Err(Failure::Client(SessionError::WrongPassword))));
    assert_eq!(flights, 4, "KE3 must not be sent");
}

#[test]
fn another_version_is_answered_with_ours() {
    // Long hellos of later versions too, whose further content we do not know.
    for extra in [0, 200] {
        let mut hello = b"\x00\x00\x01HRTH\x63\x00".to_vec();
        hello.extend(vec![7; extra]);
        hello[0] = (hello.len() - 2) as u8;
        let mut server = ServerSession::new(SERVER.clone()).unwrap();
        let error = server.receive(&mut BytesMut::from(&hello[..])).unwrap_err();
        let (theirs, ours) = (99, PROTOCOL_VERSION);
        assert_eq!(error, SessionError::Version { theirs, ours });
        let mut client = client(PASSWORD);
        let error = client.receive(&mut BytesMut::from(&server.take_output()[..])).unwrap_err();
        assert_eq!(
            error,
            SessionError::Version { theirs: PROTOCOL_VERSION, ours: PROTOCOL_VERSION },
            "the client learns what the server speaks"
        );
    }
}

#[test]
fn a_busy_server_says_when_to_come_again() {
    let mut server = ServerSession::new(SERVER.clone()).unwrap();
    server.refuse(Refusal::Busy(7));
    let mut client = client(PASSWORD);
    let error = client.receive(&mut BytesMut::from(&server.take_output()[..])).unwrap_err();
    assert_eq!(error, SessionError::Refused(Refusal::Busy(7)));
}

#[test]
fn long_frames_are_refused_by_their_header() {
    for length in [FRAME_BYTES_MAX as u16 - 1, 0x7fff, 0xffff] {
        let mut server = ServerSession::new(SERVER.clone()).unwrap();
        let mut input = BytesMut::from(&length.to_le_bytes()[..]);
        assert!(matches!(server.receive(&mut input), Err(SessionError::TooLong(_))));
        assert!(server.receive(&mut BytesMut::new()).is_err());
    }
}

/// A rogue server that asks for a terabyte is refused at its hello: nothing was allocated, and
/// nothing of the password was sent.
#[test]
fn unreasonable_stretching_is_refused_before_anything_is_done() {
    for params in [
        [1_u32 << 30, 3, 1],
        [u32::MAX, u32::MAX, u32::MAX],
        [0, 0, 0],
        [64 * 1024, 1_000_000, 1],
        [64 * 1024, 3, 1_000],
        // Too little: a rogue server that wants to guess cheaply.
        [1024, 1, 1],
    ] {
        let mut session = client_with(PASSWORD, KsfBounds::default());
        let mut server = ServerSession::new(SERVER.clone()).unwrap();
        server.receive(&mut BytesMut::from(&session.take_output()[..])).unwrap();
        let mut hello = server.take_output();
        let at = hello.len() - 12;
        for (number, word) in params.iter().enumerate() {
            hello[at + 4 * number..][..4].copy_from_slice(&word.to_le_bytes());
        }
        let error = session.receive(&mut BytesMut::from(&hello[..])).unwrap_err();
        assert!(matches!(error, SessionError::Stretching(_)), "{error}");
        assert!(session.take_output().is_empty());
    }
}

#[test]
fn steps_out_of_turn_are_errors() {
    assert_eq!(client(PASSWORD).trust_server(), Err(SessionError::OutOfTurn));
    assert_eq!(client(PASSWORD).stretch(), Err(SessionError::OutOfTurn));
    assert!(client(PASSWORD).finish().is_err());
    let mut server = ServerSession::new(SERVER.clone()).unwrap();
    assert_eq!(server.answer(), Err(SessionError::OutOfTurn));
    assert!(server.finish().is_err());
    for (name, agent) in [("", "a"), ("a\n", "a"), (&"x".repeat(65)[..], "a"), ("a", "\0")] {
        assert!(ClientSession::new(password("p"), KEY.clone(), name, agent, QUICK_BOUNDS).is_err());
    }
}
