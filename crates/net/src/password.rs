// SPDX-License-Identifier: AGPL-3.0-or-later
//! The password of a space, as the server keeps it: never the password, nor a hash of it.
//!
//! The server holds two files. [`ServerSecrets`] are made once; [`PasswordFile`] is made anew with
//! every password. Either alone is useless to a thief: with both, each guess costs one Argon2id.

use std::fmt;
use std::io;
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use opaque_ke::{
    CipherSuite, ClientRegistration, ClientRegistrationFinishParameters, Identifiers, Ristretto255,
    ServerRegistration, ServerSetup, TripleDh,
};
use rand::RngCore;
use rand::rngs::OsRng;
use sha2::Sha512;
use zeroize::{Zeroize, Zeroizing};

use crate::files;

/// OPAQUE (RFC 9807) over ristretto255 with 3DH, SHA-512 and Argon2id.
pub(crate) struct Suite;

impl CipherSuite for Suite {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, Sha512>;
    type Ksf = Argon2<'static>;
}

const SETUP_BYTES: usize = 128;
const RECORD_BYTES: usize = 192;
const SECRETS_MAGIC: &[u8; 8] = b"HRTHSEC\x01";
const PASSWORD_MAGIC: &[u8; 8] = b"HRTHPWD\x01";
const SECRETS_FILE_BYTES: usize = 8 + 16 + SETUP_BYTES;
const PASSWORD_FILE_BYTES: usize = 8 + 16 + 12 + RECORD_BYTES;
const PASSWORD_BYTES_MAX: usize = 1024;

/// A password, erased from memory when dropped and never printed.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password as typed; trailing line ends are cut off.
    ///
    /// # Errors
    /// [`PasswordError::Empty`], or [`PasswordError::TooLong`] beyond 1024 bytes.
    pub fn new(text: impl Into<String>) -> Result<Self, PasswordError> {
        let mut text = Zeroizing::new(text.into());
        let trimmed = text.trim_end_matches(['\r', '\n']).len();
        text.truncate(trimmed);
        if text.is_empty() {
            return Err(PasswordError::Empty);
        }
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        Ok(Self(text))
    }

    /// Makes a password of 80 random bits that can be read out over the phone, such as
    /// `lusab-babad-gutih-tugad-kiraz`.
    ///
    /// Each group is a proquint (Wilkerson, 2009): five letters, consonant and vowel in turn, for
    /// sixteen bits.
    pub fn generate() -> Self {
        const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
        const VOWELS: &[u8; 4] = b"aiou";
        let mut text = Zeroizing::new(String::with_capacity(5 * 6));
        let mut random = [0_u8; 10];
        OsRng.fill_bytes(&mut random);
        for (number, pair) in random.chunks_exact(2).enumerate() {
            if number > 0 {
                text.push('-');
            }
            let bits = usize::from(u16::from_be_bytes([pair[0], pair[1]]));
            text.push(char::from(CONSONANTS[bits >> 12]));
            text.push(char::from(VOWELS[bits >> 10 & 3]));
            text.push(char::from(CONSONANTS[bits >> 6 & 15]));
            text.push(char::from(VOWELS[bits >> 4 & 3]));
            text.push(char::from(CONSONANTS[bits & 15]));
        }
        random.zeroize();
        Self(text)
    }

    /// The text, to show to the host once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What went wrong with a password or the files about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Nothing is no password.
    #[error("the password is empty")]
    Empty,
    /// Longer than 1024 bytes.
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// Stretching parameters that Argon2 does not know.
    #[error("argon2 parameters are out of range: {0}")]
    Ksf(String),
    /// The record was made with the secrets of another server.
    #[error("the password record belongs to another server")]
    OtherServer,
    /// The file is not what it should be.
    #[error("`{path}` is damaged: {reason}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
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

impl PasswordError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { path, source }
    }

    fn damaged(path: &Path, reason: &'static str) -> Self {
        Self::Damaged { path: path.display().to_string(), reason }
    }
}

/// How hard the client works per guess: Argon2id, version 1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KsfParams {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes. More than one gained nothing where it was measured.
    pub lanes: u32,
}

impl Default for KsfParams {
    /// 64 MiB, three passes, one lane: 0.13 s of one core.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 }
    }
}

impl KsfParams {
    pub(crate) fn argon2(self) -> Result<Argon2<'static>, PasswordError> {
        Params::new(self.memory_kib, self.passes, self.lanes, None)
            .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
            .map_err(|error| PasswordError::Ksf(error.to_string()))
    }

    pub(crate) fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.memory_kib.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.passes.to_le_bytes());
        bytes[8..].copy_from_slice(&self.lanes.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; 12]) -> Self {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self { memory_kib: word(0), passes: word(4), lanes: word(8) }
    }
}

/// What a client lets a server ask for, before it allocates anything.
///
/// Too little would help whoever stole the server's files, or whoever poses as the server; too
/// much is an attack on this machine's memory and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KsfBounds {
    /// The least memory, in KiB. Default 19 MiB.
    pub memory_kib_min: u32,
    /// The most memory, in KiB. Default 1 GiB.
    pub memory_kib_max: u32,
    /// The most passes. Default 8.
    pub passes_max: u32,
    /// The most lanes. Default 4.
    pub lanes_max: u32,
}

impl Default for KsfBounds {
    fn default() -> Self {
        Self { memory_kib_min: 19 * 1024, memory_kib_max: 1024 * 1024, passes_max: 8, lanes_max: 4 }
    }
}

impl KsfBounds {
    /// Whether the parameters are acceptable.
    pub fn allow(&self, params: KsfParams) -> bool {
        (self.memory_kib_min..=self.memory_kib_max).contains(&params.memory_kib)
            && (1..=self.passes_max).contains(&params.passes)
            && (1..=self.lanes_max).contains(&params.lanes)
    }
}

/// What a server is: its space's id, its OPAQUE seed and its static key pair.
///
/// Losing this file means a new server key, which every client will refuse until its user has
/// looked into it. Kept apart from [`PasswordFile`], because the record is worth nothing to a
/// thief without the seed.
#[derive(Clone)]
pub struct ServerSecrets {
    space: [u8; 16],
    setup: ServerSetup<Suite>,
}

impl fmt::Debug for ServerSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSecrets").finish_non_exhaustive()
    }
}

impl ServerSecrets {
    /// New secrets for a new space.
    pub fn generate() -> Self {
        let mut space = [0; 16];
        OsRng.fill_bytes(&mut space);
        Self { space, setup: ServerSetup::new(&mut OsRng) }
    }

    /// Loads the secrets, or makes and stores them at the first start.
    ///
    /// # Errors
    /// [`PasswordError::Damaged`] or [`PasswordError::Io`]; a damaged file is never replaced.
    pub fn load_or_create(path: &Path) -> Result<Self, PasswordError> {
        loop {
            match Self::load(path) {
                Err(PasswordError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                loaded => return loaded,
            }
            let made = Self::generate();
            match files::create_private_once(path, &made.to_file()) {
                Ok(()) => return Ok(made),
                // Another process was quicker: its secrets are the ones.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(PasswordError::io(path)(error)),
            }
        }
    }

    /// Loads the secrets.
    ///
    /// # Errors
    /// [`PasswordError::Io`] if the file cannot be read, [`PasswordError::Damaged`] if it is not
    /// such a file.
    pub fn load(path: &Path) -> Result<Self, PasswordError> {
        let bytes = files::read_bounded(path, SECRETS_FILE_BYTES).map_err(PasswordError::io(path))?;
        let bytes = Zeroizing::new(bytes);
        if bytes.len() != SECRETS_FILE_BYTES || bytes[..8] != SECRETS_MAGIC[..] {
            return Err(PasswordError::damaged(path, "not a file of server secrets"));
        }
        let mut space = [0; 16];
        space.copy_from_slice(&bytes[8..24]);
        let setup = ServerSetup::deserialize(&bytes[24..])
            .map_err(|_error| PasswordError::damaged(path, "the keys in it are invalid"))?;
        Ok(Self { space, setup })
    }

    /// Stores the secrets, readable by their owner only.
    ///
    /// # Errors
    /// [`PasswordError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), PasswordError> {
        files::write_private(path, &self.to_file()).map_err(PasswordError::io(path))
    }

    /// The id of the space, which never changes.
    pub fn space(&self) -> [u8; 16] {
        self.space
    }

    /// The static public key that clients pin.
    pub fn public_key(&self) -> [u8; 32] {
        self.setup.keypair().public().serialize().into()
    }

    pub(crate) fn setup(&self) -> &ServerSetup<Suite> {
        &self.setup
    }

    fn to_file(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(SECRETS_FILE_BYTES));
        bytes.extend_from_slice(SECRETS_MAGIC);
        bytes.extend_from_slice(&self.space);
        bytes.extend_from_slice(&self.setup.serialize());
        bytes
    }
}

/// The record of one password: 192 bytes that verify it, and how it was stretched.
#[derive(Clone)]
pub struct PasswordFile {
    space: [u8; 16],
    ksf: KsfParams,
    record: ServerRegistration<Suite>,
}

impl fmt::Debug for PasswordFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordFile").field("ksf", &self.ksf).finish_non_exhaustive()
    }
}

impl PasswordFile {
    /// Registers a password: both halves of OPAQUE's registration, in this process.
    ///
    /// There is deliberately no such request on the network. Blocks for one Argon2id (0.13 s with
    /// the defaults): call it off the async threads.
    ///
    /// # Errors
    /// [`PasswordError::Ksf`] for parameters that Argon2 refuses.
    pub fn register(
        secrets: &ServerSecrets,
        password: &Password,
        ksf: KsfParams,
    ) -> Result<Self, PasswordError> {
        let argon2 = ksf.argon2()?;
        let failed = |error: opaque_ke::errors::ProtocolError| PasswordError::Ksf(error.to_string());
        let identifier = credential_identifier(&secrets.space);
        let client = ClientRegistration::<Suite>::start(&mut OsRng, password.bytes()).map_err(failed)?;
        let server = ServerRegistration::<Suite>::start(&secrets.setup, client.message, &identifier)
            .map_err(failed)?;
        let upload = client
            .state
            .finish(
                &mut OsRng,
                password.bytes(),
                server.message,
                ClientRegistrationFinishParameters::new(
                    identifiers(&identifier, &secrets.space),
                    Some(&argon2),
                ),
            )
            .map_err(failed)?;
        Ok(Self { space: secrets.space, ksf, record: ServerRegistration::finish(upload.message) })
    }

    /// Loads a record that belongs to `secrets`.
    ///
    /// # Errors
    /// [`PasswordError::Io`] (kind `NotFound` before the first password),
    /// [`PasswordError::Damaged`], or [`PasswordError::OtherServer`].
    pub fn load(path: &Path, secrets: &ServerSecrets) -> Result<Self, PasswordError> {
        let bytes = files::read_bounded(path, PASSWORD_FILE_BYTES).map_err(PasswordError::io(path))?;
        if bytes.len() != PASSWORD_FILE_BYTES || bytes[..8] != PASSWORD_MAGIC[..] {
            return Err(PasswordError::damaged(path, "not a password record"));
        }
        let mut space = [0; 16];
        space.copy_from_slice(&bytes[8..24]);
        if space != secrets.space {
            return Err(PasswordError::OtherServer);
        }
        let mut params = [0; 12];
        params.copy_from_slice(&bytes[24..36]);
        let ksf = KsfParams::from_bytes(&params);
        if ksf.argon2().is_err() {
            return Err(PasswordError::damaged(path, "argon2 parameters out of range"));
        }
        let record = ServerRegistration::deserialize(&bytes[36..])
            .map_err(|_error| PasswordError::damaged(path, "the record in it is invalid"))?;
        Ok(Self { space, ksf, record })
    }

    /// Stores the record, readable by its owner only; a crash leaves the old one or the new.
    ///
    /// # Errors
    /// [`PasswordError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), PasswordError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(PASSWORD_FILE_BYTES));
        bytes.extend_from_slice(PASSWORD_MAGIC);
        bytes.extend_from_slice(&self.space);
        bytes.extend_from_slice(&self.ksf.to_bytes());
        bytes.extend_from_slice(&self.record.serialize());
        files::write_private(path, &bytes).map_err(PasswordError::io(path))
    }

    /// How the password is stretched.
    pub fn ksf(&self) -> KsfParams {
        self.ksf
    }

    pub(crate) fn record(&self) -> ServerRegistration<Suite> {
        self.record.clone()
    }
}

/// One record per space: whoever knows its password gets in, and who it is their key says.
pub(crate) fn credential_identifier(space: &[u8; 16]) -> [u8; 22] {
    let mut identifier = *b"space/0000000000000000";
    identifier[6..].copy_from_slice(space);
    identifier
}

pub(crate) fn identifiers<'a>(identifier: &'a [u8], space: &'a [u8; 16]) -> Identifiers<'a> {
    Identifiers { client: Some(identifier), server: Some(space) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::collections::HashSet;

    pub(crate) const QUICK: KsfParams = KsfParams { memory_kib: 64, passes: 1, lanes: 1 };

    #[test]
    fn generated_passwords_are_readable_and_differ() {
        let many: HashSet<String> = (0..100).map(|_| Password::generate().reveal().to_owned()).collect();
        assert_eq!(many.len(), 100);
        for one in many {
            assert_eq!(one.len(), 29);
            assert_eq!(one.split('-').count(), 5);
            assert!(one.bytes().all(|b| b == b'-' || b.is_ascii_lowercase()));
        }
    }

    #[test]
    fn a_password_is_bounded_trimmed_and_not_printed() {
        assert!(matches!(Password::new("\n"), Err(PasswordError::Empty)));
        assert!(matches!(Password::new("x".repeat(1025)), Err(PasswordError::TooLong)));
        let password = Password::new(" secret \r\n").unwrap();
        assert_eq!(password.reveal(), " secret ");
        assert!(!format!("{password:?}").contains("secret"));
    }

    #[test]
    fn files_come_back_as_they_were_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("secrets"), folder.path().join("password"));
        let secrets = ServerSecrets::load_or_create(&a).unwrap();
        let again = ServerSecrets::load_or_create(&a).unwrap();
        assert_eq!(secrets.public_key(), again.public_key());
        assert_eq!(secrets.space(), again.space());
        let record = PasswordFile::register(&secrets, &Password::generate(), QUICK).unwrap();
        record.save(&b).unwrap();
        let loaded = PasswordFile::load(&b, &secrets).unwrap();
        assert_eq!(loaded.ksf(), QUICK);
        assert_eq!(loaded.record.serialize(), record.record.serialize());
        #[cfg(unix)]
        for path in [&a, &b] {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
        // No temporary files are left.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);

        let other = ServerSecrets::generate();
        assert!(matches!(PasswordFile::load(&b, &other), Err(PasswordError::OtherServer)));
        for length in [0, 7, 100, 4096] {
            std::fs::write(&a, vec![1; length]).unwrap();
            std::fs::write(&b, vec![1; length]).unwrap();
            assert!(ServerSecrets::load_or_create(&a).is_err());
            assert!(PasswordFile::load(&b, &secrets).is_err());
        }
    }

    #[test]
    fn the_default_stretching_is_within_the_default_bounds() {
        let bounds = KsfBounds::default();
        assert!(bounds.allow(KsfParams::default()));
        for (memory_kib, passes, lanes) in [
            (19 * 1024 - 1, 3, 1),
            (u32::MAX, 3, 1),
            (64 * 1024, 0, 1),
            (64 * 1024, u32::MAX, 1),
            (64 * 1024, 3, 0),
            (64 * 1024, 3, u32::MAX),
        ] {
            assert!(!bounds.allow(KsfParams { memory_kib, passes, lanes }));
        }
    }
}
