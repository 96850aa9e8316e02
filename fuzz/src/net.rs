// SPDX-License-Identifier: AGPL-3.0-or-later
//! The login and the records, without sockets.

use crate::Dice;
use bytes::BytesMut;
use hearth_net::{
    KsfBounds, KsfParams, Password, PasswordFile, PeerKey, ServerConfig, ServerSecrets,
    record::{Opener, RecordType, RekeyLimits, Sealer, TrafficSecret},
    session::{ClientSession, ClientStep, ServerSession, ServerStep},
};
use std::sync::{Arc, LazyLock};

const PASSWORD: &str = "a password of the space";
/// As little as Argon2 takes: what is tried here is not how long a guess takes.
const QUICK: KsfParams = KsfParams { memory_kib: 8, passes: 1, lanes: 1 };
const QUICK_BOUNDS: KsfBounds =
    KsfBounds { memory_kib_min: 8, memory_kib_max: 64, passes_max: 2, lanes_max: 2 };

static SERVER: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| {
    let secrets = ServerSecrets::generate();
    let password = PasswordFile::register(&secrets, &password(), QUICK).unwrap();
    Arc::new(ServerConfig::new(secrets, password, PeerKey::generate()))
});
static KEY: LazyLock<PeerKey> = LazyLock::new(PeerKey::generate);

fn password() -> Password {
    Password::new(PASSWORD).unwrap()
}

fn client() -> ClientSession {
    ClientSession::new(password(), KEY.clone(), "somebody", "fuzz/1", QUICK_BOUNDS).unwrap()
}

/// A stranger who says anything, to a server and to a client: neither ever believes to be logged in. The
/// first byte chooses how the rest is cut in pieces.
pub fn hello(data: &[u8]) -> bool {
    let mut dice = Dice(data);
    let piece = usize::from(dice.byte()) + 1;
    let said = dice.0;
    let mut greeted = false;

    let mut server = ServerSession::new(SERVER.clone()).unwrap();
    let mut input = BytesMut::new();
    for bytes in said.chunks(piece) {
        input.extend_from_slice(bytes);
        if server.receive(&mut input).is_err() {
            break;
        }
        if server.step() == ServerStep::Attempt && server.answer().is_err() {
            break;
        }
        greeted |= !server.take_output().is_empty();
        assert!(server.step() != ServerStep::Done && !server.proved());
    }

    let mut client = client();
    let mut input = BytesMut::new();
    for bytes in said.chunks(piece) {
        input.extend_from_slice(bytes);
        if client.receive(&mut input).is_err() {
            break;
        }
        let step = match client.step() {
            ClientStep::TrustServer => {
                greeted = true;
                client.trust_server()
            }
            ClientStep::Stretch => client.stretch(),
            ClientStep::Receive => Ok(()),
            ClientStep::Done => panic!("a client takes a stranger for its server"),
        };
        if step.is_err() {
            break;
        }
    }
    greeted
}

/// A login over a line on which somebody alters bytes: for each alteration a byte of the flight, two of
/// the place, and one of the bits to flip. Unaltered both are logged in and understand each other;
/// altered they never both are.
pub fn handshake(data: &[u8]) -> bool {
    let mut dice = Dice(data);
    let mut alterations = Vec::new();
    while !dice.is_empty() && alterations.len() < 8 {
        alterations.push((usize::from(dice.byte()) % 6, dice.below(usize::MAX), dice.byte()));
    }

    let mut client = client();
    let mut server = ServerSession::new(SERVER.clone()).unwrap();
    let (mut to_client, mut to_server) = (BytesMut::new(), BytesMut::new());
    let (mut flight, mut altered) = (0, false);
    loop {
        let failed = match client.step() {
            ClientStep::TrustServer => client.trust_server().is_err(),
            ClientStep::Stretch => client.stretch().is_err(),
            ClientStep::Receive | ClientStep::Done => false,
        };
        if failed || (server.step() == ServerStep::Attempt && server.answer().is_err()) {
            break;
        }
        let mut sent = false;
        for (mut output, wire) in
            [(client.take_output(), &mut to_server), (server.take_output(), &mut to_client)]
        {
            if output.is_empty() {
                continue;
            }
            sent = true;
            let before = output.clone();
            for (_, place, bits) in alterations.iter().filter(|(number, ..)| *number == flight) {
                let place = place % output.len();
                output[place] ^= bits;
            }
            altered |= output != before;
            flight += 1;
            wire.extend_from_slice(&output);
        }
        if !sent || server.receive(&mut to_server).is_err() || client.receive(&mut to_client).is_err() {
            break;
        }
    }
    let (Ok(mut mine), Ok(mut theirs)) = (client.finish(), server.finish()) else {
        assert!(altered, "an honest login succeeds");
        return false;
    };
    assert!(!altered, "an altered login fails");
    let mut record = mine.sealer.record(RecordType::Data, b"hello").unwrap();
    let opened = theirs.opener.open(&mut record).unwrap().unwrap();
    assert_eq!(&record[opened.plain], b"hello");
    true
}

/// Records that are altered on the way: what is opened is the beginning of what was sealed. The first bytes
/// choose an alteration, the rest is what is sent, in pieces.
pub fn record(data: &[u8]) -> bool {
    let limits = RekeyLimits { records: 3, bytes: 200 };
    let opener = || Opener::new(TrafficSecret::for_tests(1), limits);
    assert!(
        !matches!(opener().open(&mut data.to_vec()), Ok(Some(_))),
        "a record of somebody without the key is opened"
    );

    let mut dice = Dice(data);
    let (what, place, bits) = (dice.byte() % 5, dice.below(usize::MAX), dice.byte());
    let mut sealer = Sealer::new(TrafficSecret::for_tests(1), limits);
    let (mut plain, mut line, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    while !dice.is_empty() {
        let len = usize::from(dice.byte());
        let piece = dice.bytes(len);
        starts.push(line.len());
        line.extend(sealer.record(RecordType::Data, piece).unwrap());
        plain.extend_from_slice(piece);
    }
    starts.push(line.len());
    line.extend(sealer.record(RecordType::Close, &[]).unwrap());
    starts.push(line.len());

    let honest = line.clone();
    let first = place % (starts.len() - 1);
    match what {
        0 => {
            let place = place % line.len();
            line[place] ^= bits;
        }
        1 => line.truncate(place % line.len()),
        // A record left out, repeated, and moved to the end.
        2 => drop(line.drain(starts[first]..starts[first + 1])),
        3 => {
            let again = line[starts[first]..starts[first + 1]].to_vec();
            line.splice(starts[first]..starts[first], again);
        }
        _ => {
            let moved: Vec<u8> = line.drain(starts[first]..starts[first + 1]).collect();
            line.extend(moved);
        }
    }

    let (mut opener, mut opened, mut closed, mut at) = (opener(), Vec::new(), false, 0);
    while let Ok(Some(record)) = opener.open(&mut line[at..]) {
        assert!(!closed, "nothing is opened after the close");
        closed = record.kind == RecordType::Close;
        opened.extend_from_slice(&line[at..][record.plain.clone()]);
        at += record.record_bytes;
    }
    assert!(plain.starts_with(&opened), "what is opened is what was sealed");
    if closed {
        assert_eq!(opened, plain, "a close is the end of everything that was sent");
    }
    // What comes behind the close record is nobody's.
    let whole = closed && honest.len() == at;
    whole || !opened.is_empty()
}
