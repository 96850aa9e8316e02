// SPDX-License-Identifier: AGPL-3.0-or-later
//! The server's side of the login.
//!
//! It costs 0.2 ms of work and no memory to speak of: Argon2id is the client's.

use std::sync::Arc;

use bytes::BytesMut;
use opaque_ke::{CredentialFinalization, CredentialRequest, ServerLogin, ServerLoginParameters};
use rand::RngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha512};

use super::keys::{Channel, Keys, Role, context};
use super::wire::{self, ServerHello, exact_body, take_frame};
use super::{Established, PROTOCOL_VERSION, PeerIdentity, Refusal, SessionError, agent_ok, name_ok};
use crate::config::ServerConfig;
use crate::identity::PinnedServer;
use crate::password::{PasswordFile, Suite, credential_identifier, identifiers};

/// What a server session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerStep {
    /// Bytes from the client.
    Receive,
    /// A client wants to try a password: call [`ServerSession::answer`] when its address may, or
    /// [`ServerSession::refuse`].
    Attempt,
    /// Nothing: call [`ServerSession::finish`].
    Done,
}

/// The login as a server sees it.
pub struct ServerSession {
    config: Arc<ServerConfig>,
    /// The record that this login began with: the password may change meanwhile.
    password: Arc<PasswordFile>,
    output: Vec<u8>,
    transcript: Sha512,
    state: State,
}

enum State {
    Hello,
    Ke1 { context: Vec<u8> },
    Attempt { context: Vec<u8>, ke1: Box<CredentialRequest<Suite>> },
    Ke3 { context: Vec<u8>, login: Box<ServerLogin<Suite>> },
    Proof(Box<Channel>),
    Done(Box<Channel>, PeerIdentity),
    Failed,
}

impl std::fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerSession").field("step", &self.step()).finish_non_exhaustive()
    }
}

impl ServerSession {
    /// Waits for a client's hello.
    ///
    /// # Errors
    /// [`SessionError::Malformed`] if the configured name or agent is too long or has control
    /// characters.
    pub fn new(config: Arc<ServerConfig>) -> Result<Self, SessionError> {
        if !name_ok(&config.name) {
            return Err(SessionError::Malformed("name"));
        }
        if !agent_ok(&config.agent) {
            return Err(SessionError::Malformed("agent"));
        }
        let password = config.password();
        Ok(Self { config, password, output: Vec::new(), transcript: Sha512::new(), state: State::Hello })
    }

    /// What this session waits for.
    pub fn step(&self) -> ServerStep {
        match self.state {
            State::Attempt { .. } => ServerStep::Attempt,
            State::Done(..) => ServerStep::Done,
            _ => ServerStep::Receive,
        }
    }

    /// The bytes to send; also after an error, when they hold the reason.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Whether the client has proved that it knows the password.
    pub fn proved(&self) -> bool {
        matches!(self.state, State::Proof(_) | State::Done(..))
    }

    /// Takes what it understands from `input` and leaves the rest, which after the login belongs
    /// to the encrypted stream.
    ///
    /// # Errors
    /// [`SessionError`]; the session is then of no more use.
    pub fn receive(&mut self, input: &mut BytesMut) -> Result<(), SessionError> {
        while self.step() == ServerStep::Receive {
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
                let Some(frame) = take_frame(input, wire::CLIENT_HELLO, "a client hello")? else {
                    self.state = State::Hello;
                    return Ok(false);
                };
                self.hello(&frame)?;
            }
            State::Ke1 { context } => {
                let Some(frame) = take_frame(input, wire::KE1, "KE1")? else {
                    self.state = State::Ke1 { context };
                    return Ok(false);
                };
                let body = exact_body(&frame, wire::KE1_BYTES, "KE1")?;
                let ke1 = CredentialRequest::deserialize(body)
                    .map_err(|_not_points| SessionError::Malformed("KE1"))?;
                self.transcript.update(&frame);
                self.state = State::Attempt { context, ke1: Box::new(ke1) };
            }
            State::Ke3 { context, login } => {
                let Some(frame) = take_frame(input, wire::KE3, "KE3")? else {
                    self.state = State::Ke3 { context, login };
                    return Ok(false);
                };
                self.ke3(&frame, &context, *login)?;
            }
            State::Proof(mut channel) => match channel.check_proof(Role::Client, input)? {
                None => {
                    self.state = State::Proof(channel);
                    return Ok(false);
                }
                Some(peer) => {
                    let config = &self.config;
                    let welcome = channel.prove(Role::Server, &config.key, &config.name, &config.agent)?;
                    self.output.extend_from_slice(&welcome);
                    self.state = State::Done(channel, peer);
                }
            },
            other => {
                self.state = other;
                return Err(SessionError::OutOfTurn);
            }
        }
        Ok(true)
    }

    fn hello(&mut self, frame: &[u8]) -> Result<(), SessionError> {
        if let Err(error) = wire::check_client_hello(frame) {
            match error {
                SessionError::Version { .. } => self.refuse(Refusal::Version(PROTOCOL_VERSION)),
                SessionError::Suite(_) => self.refuse(Refusal::Suite),
                _ => {}
            }
            return Err(error);
        }
        let mut random = [0; 32];
        OsRng.fill_bytes(&mut random);
        let secrets = self.config.secrets();
        let ksf = self.password.ksf();
        let answer = ServerHello { random, space: secrets.space(), key: secrets.public_key(), ksf }.frame();
        self.transcript.update(frame);
        self.transcript.update(&answer);
        self.output.extend_from_slice(&answer);
        self.state = State::Ke1 { context: context(ksf, frame, &answer) };
        Ok(())
    }

    fn ke3(&mut self, frame: &[u8], context: &[u8], login: ServerLogin<Suite>) -> Result<(), SessionError> {
        let body = exact_body(frame, wire::KE3_BYTES, "KE3")?;
        let ke3 = CredentialFinalization::deserialize(body)
            .map_err(|_wrong_length| SessionError::Malformed("KE3"))?;
        let space = self.config.secrets().space();
        let identifier = credential_identifier(&space);
        let finish = login
            .finish(
                ke3,
                ServerLoginParameters {
                    context: Some(context),
                    identifiers: identifiers(&identifier, &space),
                },
            )
            .map_err(|_whatever| SessionError::NotProved)?;
        self.transcript.update(frame);
        let keys = Keys::derive(&finish.session_key, self.transcript.clone());
        self.state = State::Proof(Box::new(keys.into_channel(Role::Server)));
        Ok(())
    }

    /// Answers an attempt. From this answer the client learns whether its guess was right, so the
    /// attempt must have been paid for.
    ///
    /// # Errors
    /// [`SessionError::OutOfTurn`], or [`SessionError::Malformed`].
    pub fn answer(&mut self) -> Result<(), SessionError> {
        let State::Attempt { context, ke1 } = std::mem::replace(&mut self.state, State::Failed) else {
            return Err(SessionError::OutOfTurn);
        };
        let secrets = self.config.secrets();
        let space = secrets.space();
        let identifier = credential_identifier(&space);
        let start = ServerLogin::start(
            &mut OsRng,
            secrets.setup(),
            Some(self.password.record()),
            *ke1,
            &identifier,
            ServerLoginParameters { context: Some(&context), identifiers: identifiers(&identifier, &space) },
        )
        .map_err(|_whatever| SessionError::Malformed("KE1"))?;
        let ke2 = wire::frame(wire::KE2, &start.message.serialize());
        self.transcript.update(&ke2);
        self.output.extend_from_slice(&ke2);
        self.state = State::Ke3 { context, login: Box::new(start.state) };
        Ok(())
    }

    /// Ends the session with a reason, which then stands in the output.
    pub fn refuse(&mut self, refusal: Refusal) {
        self.output.extend_from_slice(&refusal.frame());
        self.state = State::Failed;
    }

    /// The keys and the client's identity.
    ///
    /// # Errors
    /// [`SessionError::OutOfTurn`] before [`ServerStep::Done`].
    pub fn finish(self) -> Result<Established, SessionError> {
        match self.state {
            State::Done(channel, peer) => Ok(Established {
                sealer: channel.sealer,
                opener: channel.opener,
                peer,
                server: PinnedServer {
                    space: self.config.secrets().space(),
                    key: self.config.secrets().public_key(),
                },
            }),
            _ => Err(SessionError::OutOfTurn),
        }
    }
}
