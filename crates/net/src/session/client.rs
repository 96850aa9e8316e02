// SPDX-License-Identifier: AGPL-3.0-or-later
//! The client's side of the login.

use bytes::BytesMut;
use opaque_ke::{ClientLogin, ClientLoginFinishParameters, CredentialResponse};
use rand::RngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha512};

use super::keys::{Channel, Keys, Role, context};
use super::wire::{self, ServerHello, exact_body, take_frame};
use super::{Established, PeerIdentity, SessionError, agent_ok, name_ok};
use crate::identity::{PeerKey, PinnedServer};
use crate::password::{KsfBounds, Password, Suite, credential_identifier, identifiers};

/// What a client session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientStep {
    /// Bytes from the server.
    Receive,
    /// The owner's word on [`ClientSession::server`]: call [`ClientSession::trust_server`], or
    /// hang up.
    TrustServer,
    /// A call of [`ClientSession::stretch`], on a thread that may block.
    Stretch,
    /// Nothing: call [`ClientSession::finish`].
    Done,
}

/// The login as a client sees it.
pub struct ClientSession {
    password: Password,
    key: PeerKey,
    name: String,
    agent: String,
    bounds: KsfBounds,
    hello: Vec<u8>,
    output: Vec<u8>,
    transcript: Sha512,
    server: Option<PinnedServer>,
    state: State,
}

enum State {
    Hello,
    Trust { hello: Box<ServerHello>, frame: BytesMut },
    Ke2(Box<Pending>),
    Stretch(Box<Pending>, Box<[u8; wire::KE2_BYTES]>),
    Welcome(Box<Channel>),
    Done(Box<Channel>, PeerIdentity),
    Failed,
}

struct Pending {
    login: ClientLogin<Suite>,
    hello: ServerHello,
    context: Vec<u8>,
}

impl std::fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSession").field("step", &self.step()).finish_non_exhaustive()
    }
}

impl ClientSession {
    /// Begins a login; the hello stands ready in the output.
    ///
    /// # Errors
    /// [`SessionError::Malformed`] if `name` or `agent` is too long or has control characters.
    pub fn new(
        password: Password,
        key: PeerKey,
        name: &str,
        agent: &str,
        bounds: KsfBounds,
    ) -> Result<Self, SessionError> {
        if !name_ok(name) {
            return Err(SessionError::Malformed("name"));
        }
        if !agent_ok(agent) {
            return Err(SessionError::Malformed("agent"));
        }
        let mut random = [0; 32];
        OsRng.fill_bytes(&mut random);
        let hello = wire::client_hello(&random);
        Ok(Self {
            password,
            key,
            name: name.to_owned(),
            agent: agent.to_owned(),
            bounds,
            output: hello.clone(),
            hello,
            transcript: Sha512::new(),
            server: None,
            state: State::Hello,
        })
    }

    /// What this session waits for.
    pub fn step(&self) -> ClientStep {
        match self.state {
            State::Trust { .. } => ClientStep::TrustServer,
            State::Stretch(..) => ClientStep::Stretch,
            State::Done(..) => ClientStep::Done,
            State::Hello | State::Ke2(_) | State::Welcome(_) | State::Failed => ClientStep::Receive,
        }
    }

    /// The bytes to send.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The server, as it announced itself; proved only when the login is done.
    pub fn server(&self) -> Option<PinnedServer> {
        self.server
    }

    /// Takes what it understands from `input` and leaves the rest, which after the login belongs
    /// to the encrypted stream.
    ///
    /// At most [`FRAME_BYTES_MAX`](super::FRAME_BYTES_MAX) bytes and a record's overhead have to
    /// be buffered for it.
    ///
    /// # Errors
    /// [`SessionError`]; the session is then of no more use.
    pub fn receive(&mut self, input: &mut BytesMut) -> Result<(), SessionError> {
        while self.step() == ClientStep::Receive {
            let advanced = self.receive_one(input);
            match advanced {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.state = State::Failed;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn receive_one(&mut self, input: &mut BytesMut) -> Result<bool, SessionError> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Hello => {
                let Some(frame) = take_frame(input, wire::SERVER_HELLO, "a server hello")? else {
                    self.state = State::Hello;
                    return Ok(false);
                };
                let hello = ServerHello::parse(&frame)?;
                if !self.bounds.allow(hello.ksf) {
                    return Err(SessionError::Stretching(hello.ksf));
                }
                self.server = Some(PinnedServer { space: hello.space, key: hello.key });
                self.state = State::Trust { hello: Box::new(hello), frame };
            }
            State::Ke2(pending) => {
                let Some(frame) = take_frame(input, wire::KE2, "KE2")? else {
                    self.state = State::Ke2(pending);
                    return Ok(false);
                };
                let mut ke2 = Box::new([0; wire::KE2_BYTES]);
                ke2.copy_from_slice(exact_body(&frame, wire::KE2_BYTES, "KE2")?);
                self.transcript.update(&frame);
                self.state = State::Stretch(pending, ke2);
            }
            State::Welcome(mut channel) => match channel.check_proof(Role::Server, input)? {
                None => {
                    self.state = State::Welcome(channel);
                    return Ok(false);
                }
                Some(peer) => self.state = State::Done(channel, peer),
            },
            other => {
                self.state = other;
                return Err(SessionError::OutOfTurn);
            }
        }
        Ok(true)
    }

    /// Goes on with the login: the server is a new one, or the one that was pinned.
    ///
    /// # Errors
    /// [`SessionError::OutOfTurn`].
    pub fn trust_server(&mut self) -> Result<(), SessionError> {
        let State::Trust { hello, frame } = std::mem::replace(&mut self.state, State::Failed) else {
            return Err(SessionError::OutOfTurn);
        };
        let start = ClientLogin::<Suite>::start(&mut OsRng, self.password.bytes())
            .map_err(|_unblindable| SessionError::WrongPassword)?;
        let ke1 = wire::frame(wire::KE1, &start.message.serialize());
        self.transcript.update(&self.hello);
        self.transcript.update(&frame);
        self.transcript.update(&ke1);
        self.output.extend_from_slice(&ke1);
        self.state = State::Ke2(Box::new(Pending {
            login: start.state,
            context: context(hello.ksf, &self.hello, &frame),
            hello: *hello,
        }));
        Ok(())
    }

    /// Runs Argon2id and checks the server's answer. Blocks for a tenth of a second or more, and
    /// takes the memory that the server asked for (within the bounds).
    ///
    /// # Errors
    /// [`SessionError::WrongPassword`], or [`SessionError::OutOfTurn`].
    pub fn stretch(&mut self) -> Result<(), SessionError> {
        let State::Stretch(pending, ke2) = std::mem::replace(&mut self.state, State::Failed) else {
            return Err(SessionError::OutOfTurn);
        };
        let Pending { login, hello, context } = *pending;
        let argon2 = hello.ksf.argon2().map_err(|_out_of_range| SessionError::Stretching(hello.ksf))?;
        let answer = CredentialResponse::<Suite>::deserialize(&*ke2)
            .map_err(|_not_points| SessionError::Malformed("KE2"))?;
        let identifier = credential_identifier(&hello.space);
        let finish = login
            .finish(
                &mut OsRng,
                self.password.bytes(),
                answer,
                ClientLoginFinishParameters::new(
                    Some(&context),
                    identifiers(&identifier, &hello.space),
                    Some(&argon2),
                ),
            )
            .map_err(|_whatever| SessionError::WrongPassword)?;
        if finish.server_s_pk.serialize()[..] != hello.key[..] {
            return Err(SessionError::Impostor);
        }
        let ke3 = wire::frame(wire::KE3, &finish.message.serialize());
        self.transcript.update(&ke3);
        self.output.extend_from_slice(&ke3);
        let keys = Keys::derive(&finish.session_key, self.transcript.clone());
        let mut channel = keys.into_channel(Role::Client);
        let proof = channel.prove(Role::Client, &self.key, &self.name, &self.agent)?;
        self.output.extend_from_slice(&proof);
        self.state = State::Welcome(Box::new(channel));
        Ok(())
    }

    /// The keys and the server's identity.
    ///
    /// # Errors
    /// [`SessionError::OutOfTurn`] before [`ClientStep::Done`].
    pub fn finish(self) -> Result<Established, SessionError> {
        match (self.state, self.server) {
            (State::Done(channel, peer), Some(server)) => {
                Ok(Established { sealer: channel.sealer, opener: channel.opener, peer, server })
            }
            _ => Err(SessionError::OutOfTurn),
        }
    }
}
