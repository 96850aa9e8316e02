// SPDX-License-Identifier: AGPL-3.0-or-later
//! A connection to an authenticated peer: three lanes, a measured round trip, a reason for its end.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::lane::{LaneReceiver, SendError, TrySendError};

/// Who is at the other end. All of it was proved or said inside the encrypted session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LinkInfo {
    /// The peer's Ed25519 key, which it has proved to hold.
    pub peer_key: [u8; 32],
    /// The name that the peer gives itself: a label, unique to nobody.
    pub peer_name: String,
    /// Version and system of the peer.
    pub agent: String,
    /// Where it connects from (server), or what we connected to (client).
    pub remote_addr: SocketAddr,
    /// The id of the space.
    pub space: [u8; 16],
    /// The server's static key, which clients pin.
    pub server_key: [u8; 32],
}

/// Why a link ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it, or dropped it.
    #[error("closed by this side")]
    Local,
    /// The peer closed it in order.
    #[error("closed by the peer")]
    Peer,
    /// Nothing came from the peer for [`silence_max`](crate::ServerConfig::silence_max).
    #[error("the peer fell silent")]
    Silent,
    /// The connection broke, without a word from the peer.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Bytes arrived that the peer cannot have sent: somebody is on the line.
    #[error("the connection was tampered with: {0}")]
    Tampered(String),
    /// The peer did not keep to the protocol.
    #[error("the peer did not keep to the protocol: {0}")]
    Protocol(String),
}

/// A connection to an authenticated peer.
#[derive(Debug)]
pub struct Link {
    sender: LinkSender,
    receiver: LinkReceiver,
}

impl Link {
    /// Who is at the other end.
    pub fn info(&self) -> &LinkInfo {
        todo!()
    }
    /// The peer's Ed25519 key, which it has proved to hold.
    pub fn peer_key(&self) -> [u8; 32] {
        self.info().peer_key
    }
    /// The name that the peer gives itself.
    pub fn peer_name(&self) -> &str {
        &self.info().peer_name
    }
    /// Version and system of the peer.
    pub fn agent(&self) -> &str {
        &self.info().agent
    }
    /// The address of the other end.
    pub fn remote_addr(&self) -> SocketAddr {
        self.info().remote_addr
    }
    /// The two directions, to be used by different tasks.
    pub fn split(self) -> (LinkSender, LinkReceiver) {
        (self.sender, self.receiver)
    }
}

/// The sending side of a link: cheap to clone, shared by everybody who sends to this peer.
#[derive(Debug, Clone)]
pub struct LinkSender {
    control: LinkControl,
}

impl LinkSender {
    /// Queues a control message of at most [`crate::CONTROL_MESSAGE_BYTES_MAX`], waiting for room.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn control(&self, _message: Bytes) -> Result<(), SendError> {
        todo!()
    }
    /// Queues a control message, or says that there is no room.
    ///
    /// # Errors
    /// [`TrySendError`].
    pub fn try_control(&self, _message: Bytes) -> Result<(), TrySendError> {
        todo!()
    }
    /// Queues a message of at most [`crate::HOT_MESSAGE_BYTES_MAX`], waiting for room.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn hot(&self, _message: Bytes) -> Result<(), SendError> {
        todo!()
    }
    /// Queues a hot message, or says that there is no room.
    ///
    /// # Errors
    /// [`TrySendError`].
    pub fn try_hot(&self, _message: Bytes) -> Result<(), TrySendError> {
        todo!()
    }
    /// Queues a bulk message of at most [`crate::BULK_MESSAGE_BYTES_MAX`], waiting for room.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn bulk(&self, _message: Bytes) -> Result<(), SendError> {
        todo!()
    }
    /// Queues a bulk message, or says that there is no room.
    ///
    /// # Errors
    /// [`TrySendError`].
    pub fn try_bulk(&self, _message: Bytes) -> Result<(), TrySendError> {
        todo!()
    }
    /// The link itself: who, how far, and its end.
    pub fn link(&self) -> &LinkControl {
        &self.control
    }
}

/// What can be known of a link and done to it, by any task.
#[derive(Debug, Clone)]
pub struct LinkControl {
    _private: (),
}

impl LinkControl {
    /// Who is at the other end.
    pub fn info(&self) -> &LinkInfo {
        todo!()
    }
    /// The smoothed round trip of this connection, once measured (within seconds).
    pub fn rtt(&self) -> Option<Duration> {
        todo!()
    }
    /// Waits until the link has ended, and says why. May be asked again.
    pub async fn closed(&self) -> CloseReason {
        todo!()
    }
    /// Sends what is queued, tells the peer, and waits for the end (2 s at most).
    pub async fn close(&self) {
        todo!()
    }
}

/// The receiving side of a link. Each lane may be taken out and read by a task of its own.
///
/// The link lives while any of its three lanes or a [`LinkSender`] does.
#[derive(Debug)]
pub struct LinkReceiver {
    /// Requests, announcements, answers.
    pub control: LaneReceiver,
    /// Small messages and scene updates.
    pub hot: LaneReceiver,
    /// Chunks of lumps.
    pub bulk: LaneReceiver,
}
