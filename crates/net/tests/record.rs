// SPDX-License-Identifier: AGPL-3.0-or-later
//! The record layer: what is sealed is opened, and nothing else is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_net::record::{
    HEADER_BYTES, Opener, PLAIN_BYTES_MAX, RecordError, RecordType, RekeyLimits, Sealer, TAG_BYTES,
    TrafficSecret,
};
use hearth_net::{SecureReader, SecureWriter};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// So low that a short stream changes its key many times.
const OFTEN: RekeyLimits = RekeyLimits { records: 7, bytes: 5000 };

fn ends() -> (Sealer, Opener) {
    (Sealer::new(TrafficSecret::for_tests(1), OFTEN), Opener::new(TrafficSecret::for_tests(1), OFTEN))
}

/// Opens everything; what was opened before an error is given with it.
fn open_all(opener: &mut Opener, wire: &[u8]) -> (Vec<u8>, Result<bool, RecordError>) {
    let (mut wire, mut plain, mut closed) = (wire.to_vec(), Vec::new(), false);
    loop {
        match opener.open(&mut wire) {
            Ok(Some(opened)) => {
                closed = opened.kind == RecordType::Close;
                plain.extend_from_slice(&wire[opened.plain]);
                wire.drain(..opened.record_bytes);
                if closed && wire.is_empty() {
                    return (plain, Ok(true));
                }
            }
            Ok(None) => return (plain, Ok(closed)),
            Err(error) => return (plain, Err(error)),
        }
    }
}

fn records(count: u8) -> Vec<Vec<u8>> {
    let (mut sealer, _) = ends();
    let mut records: Vec<Vec<u8>> =
        (0..count).map(|n| sealer.record(RecordType::Data, &[n; 700]).unwrap()).collect();
    records.push(sealer.record(RecordType::Close, &[]).unwrap());
    records
}

#[test]
fn a_stream_survives_many_rekeyings_and_ends_once() {
    let (_, mut opener) = ends();
    let wire = records(40).concat();
    let (plain, end) = open_all(&mut opener, &wire);
    assert_eq!(end, Ok(true));
    assert_eq!(plain.len(), 40 * 700);
    assert!(plain.chunks(700).enumerate().all(|(n, c)| c == [n as u8; 700]));
    assert_eq!(opener.open(&mut [0; 64]), Err(RecordError::Ended));
}

/// Written by another implementation (Python's `cryptography`), with a new key every two records.
#[test]
fn records_are_those_of_the_document() {
    const WIRE: [(RecordType, &[u8], &str); 4] = [
        (RecordType::Proof, b"proof", "0500000211b2afbb4db7c4e97728bc31fc097c16809c590b50"),
        (RecordType::Data, b"hello", "0500000024da81a9cec61cda3c6fbbfbefd585071ec20cd768"),
        (
            RecordType::Data,
            b"after a rekeying",
            "10000000715bf42b8f8bc7fddc1fff904891d2136927abecf58693a5f37f3e7a86af60af",
        ),
        (RecordType::Close, b"", "0000000173922b9408799ba2b426c340012b4310"),
    ];
    let limits = RekeyLimits { records: 2, bytes: 1 << 32 };
    let mut sealer = Sealer::new(TrafficSecret::for_tests(1), limits);
    let mut opener = Opener::new(TrafficSecret::for_tests(1), limits);
    for (kind, plain, hex) in WIRE {
        let mut record = sealer.record(kind, plain).unwrap();
        let written: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written, hex);
        let opened = opener.open(&mut record).unwrap().unwrap();
        assert_eq!((opened.kind, &record[opened.plain]), (kind, plain));
    }
}

#[test]
fn nothing_is_sealed_after_the_end_and_nothing_too_long() {
    let (mut sealer, _) = ends();
    assert_eq!(
        sealer.record(RecordType::Data, &vec![0; PLAIN_BYTES_MAX + 1]),
        Err(RecordError::TooLong(PLAIN_BYTES_MAX + 1))
    );
    sealer.record(RecordType::Close, &[]).unwrap();
    assert_eq!(sealer.record(RecordType::Data, &[1]), Err(RecordError::Ended));
}

#[test]
fn every_flipped_bit_is_found() {
    let wire = records(3).concat();
    for at in 0..wire.len() {
        let mut altered = wire.clone();
        altered[at] ^= 1 << (at % 8);
        let (_, mut opener) = ends();
        let (plain, end) = open_all(&mut opener, &altered);
        // A header that announces more than comes looks like a stream that is not complete yet,
        // which is no end either.
        assert_ne!(end, Ok(true), "byte {at}");
        assert!(plain.chunks(700).enumerate().all(|(n, c)| c == [n as u8; 700]));
    }
}

#[test]
fn dropped_repeated_swapped_and_foreign_records_are_found() {
    let good = records(4);
    let mut dropped = good.clone();
    dropped.remove(1);
    let mut repeated = good.clone();
    repeated.insert(2, good[1].clone());
    let mut swapped = good.clone();
    swapped.swap(1, 2);
    let mut foreign = good.clone();
    let mut other = Sealer::new(TrafficSecret::for_tests(2), OFTEN);
    foreign[1] = other.record(RecordType::Data, &[1; 700]).unwrap();
    for (what, bad) in
        [("dropped", dropped), ("repeated", repeated), ("swapped", swapped), ("foreign", foreign)]
    {
        let (_, mut opener) = ends();
        let (_, end) = open_all(&mut opener, &bad.concat());
        assert_eq!(end, Err(RecordError::NotAuthentic), "{what}");
        // And the good continuation is of no more use.
        assert_eq!(opener.open(&mut good[3].clone()), Err(RecordError::Ended));
    }
}

#[test]
fn headers_are_checked_before_a_body_is_waited_for() {
    for (header, error) in [
        ([0xff, 0xff, 0xff, 0], RecordError::TooLong(0xff_ffff)),
        ([1, 128, 0, 0], RecordError::TooLong(PLAIN_BYTES_MAX + 1)),
        ([1, 0, 0, 1], RecordError::TooLong(1)),
        ([0, 0, 0, 9], RecordError::UnknownType(9)),
    ] {
        let (_, mut opener) = ends();
        assert_eq!(opener.open(&mut header.clone()), Err(error));
    }
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic_and_never_open(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (_, mut opener) = ends();
        let (plain, end) = open_all(&mut opener, &bytes);
        prop_assert!(plain.is_empty());
        prop_assert_ne!(end, Ok(true));
    }
}

async fn written(data: &[u8], close: bool) -> Vec<u8> {
    let (near, mut far) = tokio::io::duplex(1 << 22);
    let mut writer = SecureWriter::new(near, ends().0);
    writer.write_all(data).await.unwrap();
    writer.flush().await.unwrap();
    if close {
        writer.shutdown().await.unwrap();
        assert!(writer.write_all(b"more").await.is_err());
    }
    drop(writer);
    let mut wire = Vec::new();
    far.read_to_end(&mut wire).await.unwrap();
    wire
}

#[tokio::test]
async fn a_stream_is_read_as_written_whatever_the_pieces() {
    let data: Vec<u8> = (0..200_000_u32).map(|n| (n * 7 / 8) as u8).collect();
    let wire = written(&data, true).await;
    let records = data.len().div_ceil(PLAIN_BYTES_MAX) + 1;
    assert_eq!(wire.len(), data.len() + records * (HEADER_BYTES + TAG_BYTES));
    for piece in [1_usize, 3, 1000, 32_767, 32_788, 65_536] {
        let (mut far, near) = tokio::io::duplex(piece);
        // Some of it has been read already, as after a login.
        let already = piece.min(60_000);
        let mut reader = SecureReader::new(near, ends().1, &wire[..already]);
        let feed = async {
            far.write_all(&wire[already..]).await.unwrap();
            drop(far);
        };
        let mut read = Vec::new();
        let (_, result) = tokio::join!(feed, reader.read_to_end(&mut read));
        result.unwrap();
        assert!(read == data, "in pieces of {piece}");
    }
}

#[tokio::test]
async fn an_end_without_a_close_record_is_an_error_at_every_offset() {
    let wire = written(&[5; 300], true).await;
    for cut in 0..wire.len() {
        let mut reader = SecureReader::new(&wire[..cut], ends().1, &[]);
        let error = reader.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "cut at {cut}");
    }
    let open = written(&[5; 300], false).await;
    let mut reader = SecureReader::new(&open[..], ends().1, &[]);
    assert!(reader.read_to_end(&mut Vec::new()).await.is_err());
}

#[tokio::test]
async fn a_proof_has_no_place_in_the_stream() {
    let wire = ends().0.record(RecordType::Proof, b"who am i").unwrap();
    let mut reader = SecureReader::new(&wire[..], ends().1, &[]);
    let error = reader.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}
