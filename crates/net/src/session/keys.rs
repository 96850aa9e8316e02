// SPDX-License-Identifier: AGPL-3.0-or-later
//! From the transcript and OPAQUE's session key to everything that is derived of them.

use hkdf::Hkdf;
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::{PeerIdentity, SUITE, SessionError, wire};
use crate::identity::{self, PeerKey};
use crate::password::KsfParams;
use crate::record::{Opened, Opener, RecordType, RekeyLimits, Sealer, TrafficSecret};

/// Which side a proof comes from, so that neither can be reflected.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    Client = b'c' as isize,
    Server = b's' as isize,
}

/// `docs/formats/session.md`, "Login": everything that was said before KE1 is part of the login.
pub(crate) fn context(ksf: KsfParams, client_hello: &[u8], server_hello: &[u8]) -> Vec<u8> {
    let mut hellos = Sha512::new();
    hellos.update(client_hello);
    hellos.update(server_hello);
    let mut context = b"hearth/1 login".to_vec();
    context.push(SUITE);
    context.extend_from_slice(&ksf.to_bytes());
    context.extend_from_slice(&hellos.finalize());
    context
}

/// `docs/formats/session.md`, "Keys".
pub(crate) struct Keys {
    pub(crate) client_to_server: TrafficSecret,
    pub(crate) server_to_client: TrafficSecret,
    exporter: Zeroizing<[u8; 64]>,
}

impl Keys {
    pub(crate) fn derive(session_key: &[u8], transcript: Sha512) -> Self {
        let transcript = transcript.finalize();
        let hkdf = Hkdf::<Sha512>::new(Some(b"hearth/1 transport"), session_key);
        let expand = |label: &[u8]| {
            let mut out = Zeroizing::new([0; 64]);
            hkdf.expand_multi_info(&[label, &transcript], &mut *out)
                .expect("64 bytes are one output of the hash");
            out
        };
        Self {
            client_to_server: TrafficSecret::new(expand(b"client to server")),
            server_to_client: TrafficSecret::new(expand(b"server to client")),
            exporter: expand(b"exporter"),
        }
    }

    /// Both directions as `role` sees them.
    pub(crate) fn into_channel(self, role: Role) -> Channel {
        let limits = RekeyLimits::default();
        let (send, receive) = match role {
            Role::Client => (self.client_to_server, self.server_to_client),
            Role::Server => (self.server_to_client, self.client_to_server),
        };
        Channel {
            sealer: Sealer::new(send, limits),
            opener: Opener::new(receive, limits),
            exporter: self.exporter,
        }
    }
}

/// The encrypted channel, before the peers have proved their keys in it.
pub(crate) struct Channel {
    pub(crate) sealer: Sealer,
    pub(crate) opener: Opener,
    exporter: Zeroizing<[u8; 64]>,
}

impl Channel {
    fn signed(&self, role: Role, labels: &[u8]) -> Vec<u8> {
        let mut message = b"hearth/1 peer proof".to_vec();
        message.push(role as u8);
        message.extend_from_slice(&*self.exporter);
        message.extend_from_slice(labels);
        message
    }

    pub(crate) fn prove(
        &mut self,
        role: Role,
        key: &PeerKey,
        name: &str,
        agent: &str,
    ) -> Result<Vec<u8>, SessionError> {
        let signature = key.sign(&self.signed(role, &wire::labels(name, agent)));
        let identity = PeerIdentity { key: key.public(), name: name.to_owned(), agent: agent.to_owned() };
        Ok(self.sealer.record(RecordType::Proof, &wire::proof(&identity, &signature))?)
    }

    /// The proof of the side `role`, if `input` holds it whole.
    pub(crate) fn check_proof(
        &mut self,
        role: Role,
        input: &mut bytes::BytesMut,
    ) -> Result<Option<PeerIdentity>, SessionError> {
        // Nobody who keeps to the protocol sends a longer record here, and nobody else may make
        // us wait for one.
        if let Some(&[a, b, c, _]) = input.first_chunk() {
            let length = u32::from_le_bytes([a, b, c, 0]) as usize;
            if length > wire::FRAME_BYTES_MAX {
                return Err(SessionError::TooLong(length));
            }
        }
        let Some(Opened { kind, plain, record_bytes }) = self.opener.open(input)? else {
            return Ok(None);
        };
        if kind != RecordType::Proof {
            return Err(SessionError::Unexpected { expected: "a proof", found: kind as u8 });
        }
        let record = input.split_to(record_bytes);
        let (identity, signature) = wire::parse_proof(&record[plain])?;
        let message = self.signed(role, &wire::labels(&identity.name, &identity.agent));
        if !identity::verify(&identity.key, &message, &signature) {
            return Err(SessionError::BadProof);
        }
        Ok(Some(identity))
    }
}
