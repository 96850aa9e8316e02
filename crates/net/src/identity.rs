// SPDX-License-Identifier: AGPL-3.0-or-later
//! Who is who: the key that a peer is, and the servers that a client has seen.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use parking_lot::Mutex;
use rand::RngCore;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use crate::files;

const KEY_MAGIC: &[u8; 8] = b"HRTHKEY\x01";
const KEY_FILE_BYTES: usize = 8 + 32;
const KNOWN_SERVERS_BYTES_MAX: usize = 1024 * 1024;

/// The Ed25519 key that a peer is, made at its first start.
///
/// Peer numbers and grants are bound to it; the name of a peer is only a label.
#[derive(Clone)]
pub struct PeerKey(SigningKey);

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKey({})", hex(&self.public()))
    }
}

/// What went wrong with a key file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerKeyError {
    /// The file is there, but holds no key. It is never replaced silently.
    #[error("`{0}` is not a peer key")]
    Damaged(String),
    /// The file could not be read or written.
    #[error("cannot use `{path}`")]
    Io {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl PeerKey {
    /// A new key.
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(&mut *seed);
        Self(SigningKey::from_bytes(&seed))
    }

    /// Loads the key, or makes and stores it at the first start, readable by its owner only.
    ///
    /// # Errors
    /// [`PeerKeyError`].
    pub fn load_or_create(path: &Path) -> Result<Self, PeerKeyError> {
        let failed = |source| PeerKeyError::Io { path: path.display().to_string(), source };
        loop {
            match files::read_bounded(path, KEY_FILE_BYTES) {
                Ok(bytes) => {
                    let bytes = Zeroizing::new(bytes);
                    let seed: Option<[u8; 32]> =
                        bytes.strip_prefix(KEY_MAGIC).and_then(|seed| seed.try_into().ok());
                    return match seed {
                        Some(seed) => Ok(Self(SigningKey::from_bytes(&Zeroizing::new(seed)))),
                        None => Err(PeerKeyError::Damaged(path.display().to_string())),
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(PeerKeyError::Damaged(path.display().to_string()));
                }
                Err(error) => return Err(failed(error)),
            }
            let made = Self::generate();
            let mut bytes = Zeroizing::new(KEY_MAGIC.to_vec());
            bytes.extend_from_slice(made.0.as_bytes());
            match files::create_private_once(path, &bytes) {
                Ok(()) => return Ok(made),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// The public half: the peer's name among machines.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Checks a signature, refusing the small-order keys and malleable forms that plain Ed25519 allows.
pub(crate) fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(public)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

/// A server as a client remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinnedServer {
    /// The id of its space.
    pub space: [u8; 16],
    /// Its static public key.
    pub key: [u8; 32],
}

/// What went wrong with the file of known servers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KnownServersError {
    /// A line that is not understood. Nothing is guessed: a pin overlooked is a pin lost.
    #[error("`{path}`, line {line}: expected `ADDRESS SPACE KEY` with 32 and 64 hex digits")]
    Line {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
    },
    /// An address that cannot stand in the file.
    #[error("the address is empty or contains a space")]
    Address,
    /// Somebody else remembered another key for this address meanwhile.
    #[error("another key was remembered for this address at the same time")]
    Conflict,
    /// The file could not be read or written.
    #[error("cannot use `{path}`")]
    Io {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The servers seen before, one line each: `ADDRESS SPACE KEY`, with `#` for comments.
///
/// The user may delete a line to trust the server behind that address anew. Several clients may
/// share the file.
#[derive(Debug)]
pub struct KnownServers {
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Memory(Mutex<BTreeMap<String, PinnedServer>>),
}

impl KnownServers {
    /// The list in `path`, which is made when the first server is remembered.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::File(path.into()) }
    }

    /// A list that is forgotten with this value: for tests and bots.
    pub fn in_memory() -> Self {
        Self { place: Place::Memory(Mutex::default()) }
    }

    /// Where the list is kept, for messages to the user.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Memory(_) => None,
        }
    }

    /// The server last seen at `address`.
    ///
    /// # Errors
    /// [`KnownServersError::Io`] or [`KnownServersError::Line`].
    pub fn get(&self, address: &str) -> Result<Option<PinnedServer>, KnownServersError> {
        match &self.place {
            Place::File(path) => Ok(load(path)?.1.get(address).copied()),
            Place::Memory(map) => Ok(map.lock().get(address).copied()),
        }
    }

    /// Remembers the server at `address`, which must be new.
    ///
    /// # Errors
    /// [`KnownServersError::Conflict`] if another key is already known for it; else as
    /// [`get`](Self::get).
    pub fn remember(&self, address: &str, server: PinnedServer) -> Result<(), KnownServersError> {
        if address.is_empty() || address.starts_with('#') || address.contains(char::is_whitespace) {
            return Err(KnownServersError::Address);
        }
        match &self.place {
            Place::Memory(map) => match map.lock().entry(address.to_owned()).or_insert(server) {
                known if *known == server => Ok(()),
                _ => Err(KnownServersError::Conflict),
            },
            Place::File(path) => {
                let failed = |source| KnownServersError::Io { path: path.display().to_string(), source };
                // Two clients that start at once must not lose each other's line. The lock is on a
                // file beside, because the list itself is replaced.
                let mut beside = path.clone().into_os_string();
                beside.push(".lock");
                let lock = File::create(beside).map_err(failed)?;
                lock.lock().map_err(failed)?;
                let (mut text, known) = load(path)?;
                match known.get(address) {
                    Some(known) if *known == server => return Ok(()),
                    Some(_) => return Err(KnownServersError::Conflict),
                    None => {}
                }
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                text.push_str(&format!("{address} {} {}\n", hex(&server.space), hex(&server.key)));
                files::write_private(path, text.as_bytes()).map_err(failed)
            }
        }
    }
}

fn load(path: &Path) -> Result<(String, BTreeMap<String, PinnedServer>), KnownServersError> {
    let failed = |source| KnownServersError::Io { path: path.display().to_string(), source };
    let bytes = match files::read_bounded(path, KNOWN_SERVERS_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    let text = String::from_utf8(bytes)
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    let mut known = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (address, server) = parse(line)
            .ok_or_else(|| KnownServersError::Line { path: path.display().to_string(), line: number + 1 })?;
        known.insert(address.to_owned(), server);
    }
    Ok((text, known))
}

fn parse(line: &str) -> Option<(&str, PinnedServer)> {
    let mut fields = line.split_whitespace();
    let address = fields.next()?;
    let space = unhex(fields.next()?)?;
    let key = unhex(fields.next()?)?;
    fields.next().is_none().then_some((address, PinnedServer { space, key }))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.key");
        let key = PeerKey::load_or_create(&path).unwrap();
        assert_eq!(PeerKey::load_or_create(&path).unwrap().public(), key.public());
        let signature = key.sign(b"words");
        assert!(verify(&key.public(), b"words", &signature));
        assert!(!verify(&key.public(), b"other words", &signature));
        assert!(!verify(&PeerKey::generate().public(), b"words", &signature));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(&path, "rubbish").unwrap();
        assert!(matches!(PeerKey::load_or_create(&path), Err(PeerKeyError::Damaged(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"rubbish");
    }

    #[test]
    fn known_servers_are_kept_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_servers");
        std::fs::write(
            &path,
            "# mine\n\nother:1 00000000000000000000000000000000 \
             0000000000000000000000000000000000000000000000000000000000000000",
        )
        .unwrap();
        let known = KnownServers::at(&path);
        let server = PinnedServer { space: [1; 16], key: [0xab; 32] };
        assert_eq!(known.get("a:9000").unwrap(), None);
        known.remember("a:9000", server).unwrap();
        known.remember("a:9000", server).unwrap();
        assert_eq!(KnownServers::at(&path).get("a:9000").unwrap(), Some(server));
        assert!(known.get("other:1").unwrap().is_some());
        let changed = PinnedServer { key: [2; 32], ..server };
        assert!(matches!(known.remember("a:9000", changed), Err(KnownServersError::Conflict)));
        assert_eq!(known.get("a:9000").unwrap(), Some(server));
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("# mine\n"));
        for bad in ["", "a b", "#x", "a\n"] {
            assert!(known.remember(bad, server).is_err());
        }
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_servers");
        for bad in ["a", "a 00", "a zz zz", "\u{e9}\u{e9} \u{e9} \u{e9}"] {
            std::fs::write(&path, format!("# one\n{bad}\n")).unwrap();
            assert!(matches!(KnownServers::at(&path).get("a"), Err(KnownServersError::Line { line: 2, .. })));
        }
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(KnownServers::at(&path).get("a").is_err());
    }
}
