// SPDX-License-Identifier: AGPL-3.0-or-later
//! Authenticated encryption of one direction of a byte stream, without I/O.
//!
//! A record is `header (4) | ciphertext | tag (16)`, as `docs/formats/session.md`, "Records", says.
//! One failed tag ends the stream: there is no resynchronising with somebody who alters bytes.

use hkdf::Hkdf;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use sha2::Sha512;
use zeroize::Zeroizing;

/// Bytes before the ciphertext: 24 bits of length, 8 bits of type, little-endian.
pub const HEADER_BYTES: usize = 4;
/// Bytes after the ciphertext: the Poly1305 tag.
pub const TAG_BYTES: usize = 16;
/// The longest plaintext of one record. Longer ones gained nothing when measured.
pub const PLAIN_BYTES_MAX: usize = 32 * 1024;
/// The longest record on the wire.
pub const RECORD_BYTES_MAX: usize = HEADER_BYTES + PLAIN_BYTES_MAX + TAG_BYTES;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordType {
    /// Bytes of the stream.
    Data = 0,
    /// The end of the stream; empty. An end without it is an attack or an accident.
    Close = 1,
    /// A peer's proof of its key: the first record of each direction.
    Proof = 2,
}

impl RecordType {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Data),
            1 => Some(Self::Close),
            2 => Some(Self::Proof),
            _ => None,
        }
    }
}

/// Why a record cannot be opened or sealed. The stream is over after any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The header announces more than [`PLAIN_BYTES_MAX`].
    #[error("a record of {0} bytes is over the limit of {PLAIN_BYTES_MAX}")]
    TooLong(usize),
    /// The header names a type that does not exist, or not here.
    #[error("record type {0} is unknown here")]
    UnknownType(u8),
    /// The tag does not fit: altered, replayed, reordered, or left out before.
    #[error("a record failed authentication")]
    NotAuthentic,
    /// The stream ended without a close record.
    #[error("the stream ended without a close record")]
    Truncated,
    /// The stream has been closed, or has failed before.
    #[error("the stream has ended")]
    Ended,
}

/// When a key is replaced by its successor. Both sides count, so nothing is sent about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RekeyLimits {
    /// After so many records. Default 2^24.
    pub records: u64,
    /// After so many bytes of plaintext. Default 4 GiB.
    pub bytes: u64,
}

impl Default for RekeyLimits {
    fn default() -> Self {
        Self { records: 1 << 24, bytes: 4 << 30 }
    }
}

/// The secret that the keys of one direction come from.
///
/// It is used up by the sealer or opener that is made of it, so that no two share a nonce.
pub struct TrafficSecret(Zeroizing<[u8; 64]>);

impl TrafficSecret {
    pub(crate) fn new(bytes: Zeroizing<[u8; 64]>) -> Self {
        Self(bytes)
    }

    /// A secret with known bytes: for tests and fuzzing of the record layer alone.
    #[doc(hidden)]
    pub fn for_tests(byte: u8) -> Self {
        Self(Zeroizing::new([byte; 64]))
    }

    fn key(&self) -> LessSafeKey {
        let mut bytes = Zeroizing::new([0; 32]);
        expand(&self.0, b"hearth/1 key", &mut *bytes);
        let key = UnboundKey::new(&CHACHA20_POLY1305, &*bytes).expect("the cipher takes keys of 32 bytes");
        LessSafeKey::new(key)
    }

    fn successor(&self) -> Self {
        let mut bytes = Zeroizing::new([0; 64]);
        expand(&self.0, b"hearth/1 rekey", &mut *bytes);
        Self(bytes)
    }
}

impl std::fmt::Debug for TrafficSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TrafficSecret(…)")
    }
}

fn expand(secret: &[u8; 64], label: &[u8], out: &mut [u8]) {
    Hkdf::<Sha512>::from_prk(secret)
        .expect("64 bytes are a whole output of the hash")
        .expand(label, out)
        .expect("at most 64 bytes are asked for");
}

/// The state that sealer and opener share: key, counter, and what was spent of the key.
#[derive(Debug)]
struct Direction {
    secret: TrafficSecret,
    key: LessSafeKey,
    /// Never reset, not even by a new key.
    counter: u64,
    limits: RekeyLimits,
    records: u64,
    bytes: u64,
    ended: bool,
}

impl Direction {
    fn new(secret: TrafficSecret, limits: RekeyLimits) -> Self {
        Self { key: secret.key(), secret, counter: 0, limits, records: 0, bytes: 0, ended: false }
    }

    fn nonce(&self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.counter.to_le_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn spent(&mut self, bytes: usize) {
        // 2^64 records take longer than any machine lasts; saturating keeps the arithmetic honest,
        // and `usable` refuses the last value.
        self.counter = self.counter.saturating_add(1);
        self.records += 1;
        self.bytes += bytes as u64;
        if self.records >= self.limits.records || self.bytes >= self.limits.bytes {
            self.secret = self.secret.successor();
            self.key = self.secret.key();
            self.records = 0;
            self.bytes = 0;
        }
    }

    fn usable(&self) -> Result<(), RecordError> {
        if self.ended || self.counter == u64::MAX {
            return Err(RecordError::Ended);
        }
        Ok(())
    }
}

fn header(length: usize, kind: RecordType) -> [u8; HEADER_BYTES] {
    let [a, b, c, _] = (length as u32).to_le_bytes();
    [a, b, c, kind as u8]
}

/// Encrypts one direction. Deliberately not `Clone`: two would use one nonce twice.
#[derive(Debug)]
pub struct Sealer(Direction);

impl Sealer {
    /// A sealer at the start of its stream.
    pub fn new(secret: TrafficSecret, limits: RekeyLimits) -> Self {
        Self(Direction::new(secret, limits))
    }

    /// Seals what `buffer` holds after its first [`HEADER_BYTES`], which are overwritten by the
    /// header; the tag is appended. After [`RecordType::Close`] nothing more can be sealed.
    ///
    /// # Errors
    /// [`RecordError::Ended`] after a close, [`RecordError::TooLong`] for more than
    /// [`PLAIN_BYTES_MAX`].
    ///
    /// # Panics
    /// If `buffer` is shorter than the header.
    pub fn seal(&mut self, kind: RecordType, buffer: &mut Vec<u8>) -> Result<(), RecordError> {
        self.0.usable()?;
        let length = buffer.len() - HEADER_BYTES;
        if length > PLAIN_BYTES_MAX {
            return Err(RecordError::TooLong(length));
        }
        let header = header(length, kind);
        let (head, plain) = buffer.split_at_mut(HEADER_BYTES);
        head.copy_from_slice(&header);
        let tag = self
            .0
            .key
            .seal_in_place_separate_tag(self.0.nonce(), Aad::from(header), plain)
            .expect("a record is far below the cipher's limit");
        buffer.extend_from_slice(tag.as_ref());
        self.0.spent(length);
        self.0.ended = kind == RecordType::Close;
        Ok(())
    }

    /// A whole record with this content, in a vector of its own.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn record(&mut self, kind: RecordType, plain: &[u8]) -> Result<Vec<u8>, RecordError> {
        let mut buffer = Vec::with_capacity(HEADER_BYTES + plain.len() + TAG_BYTES);
        buffer.extend_from_slice(&[0; HEADER_BYTES]);
        buffer.extend_from_slice(plain);
        self.seal(kind, &mut buffer)?;
        Ok(buffer)
    }
}

/// A record that was opened in place.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    /// What it holds.
    pub kind: RecordType,
    /// Where in the input its plaintext now stands.
    pub plain: std::ops::Range<usize>,
    /// How many bytes of the input it took.
    pub record_bytes: usize,
}

/// Decrypts one direction.
#[derive(Debug)]
pub struct Opener(Direction);

impl Opener {
    /// An opener at the start of its stream.
    pub fn new(secret: TrafficSecret, limits: RekeyLimits) -> Self {
        Self(Direction::new(secret, limits))
    }

    /// Opens the record that `input` begins with, in place; `None` if it is not complete yet.
    ///
    /// The header is checked as soon as it is there, before anything is allocated for its body.
    ///
    /// # Errors
    /// [`RecordError`]; every later call then fails too.
    pub fn open(&mut self, input: &mut [u8]) -> Result<Option<Opened>, RecordError> {
        let opened = self.try_open(input);
        if opened.is_err() {
            self.0.ended = true;
        }
        opened
    }

    fn try_open(&mut self, input: &mut [u8]) -> Result<Option<Opened>, RecordError> {
        self.0.usable()?;
        let Some((&header, rest)) = input.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let [a, b, c, kind] = header;
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        if length > PLAIN_BYTES_MAX {
            return Err(RecordError::TooLong(length));
        }
        let kind = RecordType::from_byte(kind).ok_or(RecordError::UnknownType(kind))?;
        if kind == RecordType::Close && length != 0 {
            return Err(RecordError::TooLong(length));
        }
        if rest.len() < length + TAG_BYTES {
            return Ok(None);
        }
        let body = &mut input[HEADER_BYTES..HEADER_BYTES + length + TAG_BYTES];
        self.0
            .key
            .open_in_place(self.0.nonce(), Aad::from(header), body)
            .map_err(|_unspecified| RecordError::NotAuthentic)?;
        self.0.spent(length);
        self.0.ended = kind == RecordType::Close;
        Ok(Some(Opened {
            kind,
            plain: HEADER_BYTES..HEADER_BYTES + length,
            record_bytes: HEADER_BYTES + length + TAG_BYTES,
        }))
    }
}
