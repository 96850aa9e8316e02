// SPDX-License-Identifier: AGPL-3.0-or-later
//! A connection to an authenticated peer: four lanes, a measured round trip, a reason for its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::lane::{self, LaneQueue, LaneReceiver, SendError, TrySendError};

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
///
/// It lives while a [`LinkSender`] or one of its [`LaneReceiver`]s does; when the last of them is
/// dropped, it is closed in order, and what was queued is still sent.
#[derive(Debug)]
pub struct Link {
    sender: LinkSender,
    receiver: LinkReceiver,
}

impl Link {
    /// Who is at the other end.
    pub fn info(&self) -> &LinkInfo {
        self.sender.link().info()
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

    /// The smoothed round trip: see [`LinkControl::rtt`].
    pub fn rtt(&self) -> Option<Duration> {
        self.sender.link().rtt()
    }

    /// The two directions, to be used by different tasks.
    pub fn split(self) -> (LinkSender, LinkReceiver) {
        (self.sender, self.receiver)
    }

    /// One end of a [`crate::wire`].
    pub(crate) fn of_wire(state: &Arc<LinkState>, ports: [mpsc::Receiver<Bytes>; 4]) -> Self {
        let app = AppSide::new(state);
        let [control, hot, bulk, screen] = ports;
        let receiver = |spec, port| LaneReceiver::of_wire(spec, port, app.clone());
        Self {
            receiver: LinkReceiver {
                control: receiver(lane::CONTROL, control),
                hot: receiver(lane::HOT, hot),
                bulk: receiver(lane::BULK, bulk),
                screen: receiver(lane::SCREEN, screen),
            },
            sender: LinkSender { app },
        }
    }

    pub(crate) fn new(state: &Arc<LinkState>, ports: ReceivePorts) -> Self {
        let app = AppSide::new(state);
        let receiver = |spec, port| LaneReceiver::new(spec, port, app.clone());
        Self {
            receiver: LinkReceiver {
                control: receiver(lane::CONTROL, ports.control),
                hot: receiver(lane::HOT, ports.hot),
                bulk: receiver(lane::BULK, ports.bulk),
                screen: receiver(lane::SCREEN, ports.screen),
            },
            sender: LinkSender { app },
        }
    }
}

pub(crate) struct ReceivePorts {
    pub(crate) control: remoc::chmux::Receiver,
    pub(crate) hot: remoc::chmux::Receiver,
    pub(crate) bulk: remoc::chmux::Receiver,
    pub(crate) screen: remoc::chmux::Receiver,
}

/// The sending side of a link: cheap to clone, shared by everybody who sends to this peer.
///
/// Each lane is ordered and bounded. "Queued" means no more than that: a message that was queued
/// is lost if the link breaks.
#[derive(Debug, Clone)]
pub struct LinkSender {
    app: Arc<AppSide>,
}

impl LinkSender {
    /// Queues a control message of at most [`crate::CONTROL_MESSAGE_BYTES_MAX`], waiting for room.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn control(&self, message: Bytes) -> Result<(), SendError> {
        self.app.link.state.control.send(message).await
    }

    /// Queues a control message, or says that there is no room.
    ///
    /// # Errors
    /// [`TrySendError`].
    pub fn try_control(&self, message: Bytes) -> Result<(), TrySendError> {
        self.app.link.state.control.try_send(&message)
    }

    /// Queues a message of at most [`crate::HOT_MESSAGE_BYTES_MAX`], waiting for room.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn hot(&self, message: Bytes) -> Result<(), SendError> {
        self.app.link.state.hot.send(message).await
    }

    /// Queues a hot message, or says that there is no room.
    ///
    /// # Errors
    /// [`TrySendError`].
    pub fn try_hot(&self, message: Bytes) -> Result<(), TrySendError> {
        self.app.link.state.hot.try_send(&message)
    }

    /// Queues a bulk message of at most [`crate::BULK_MESSAGE_BYTES_MAX`], waiting for room.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn bulk(&self, message: Bytes) -> Result<(), SendError> {
        self.app.link.state.bulk.send(message).await
    }

    /// Queues a bulk message, or says that there is no room.
    ///
    /// # Errors
    /// [`TrySendError`].
    pub fn try_bulk(&self, message: Bytes) -> Result<(), TrySendError> {
        self.app.link.state.bulk.try_send(&message)
    }

    /// Queues a screen message of at most [`crate::SCREEN_MESSAGE_BYTES_MAX`], waiting for room.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn screen(&self, message: Bytes) -> Result<(), SendError> {
        self.app.link.state.screen.send(message).await
    }

    /// The link itself: who, how far, and its end.
    pub fn link(&self) -> &LinkControl {
        &self.app.link
    }
}

/// What can be known of a link and done to it, by any task. It does not keep the link alive.
#[derive(Debug, Clone)]
pub struct LinkControl {
    state: Arc<LinkState>,
}

impl LinkControl {
    /// Who is at the other end.
    pub fn info(&self) -> &LinkInfo {
        &self.state.info
    }

    /// The smoothed round trip of this connection, once measured (a round trip after its start).
    pub fn rtt(&self) -> Option<Duration> {
        match self.state.rtt_micros.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }

    /// Waits until the link has ended, and says why. May be asked again.
    ///
    /// Cancel safe.
    pub async fn closed(&self) -> CloseReason {
        let mut reason = self.state.reason.subscribe();
        let reason = reason.wait_for(Option::is_some).await.expect("the sender is in the state that we hold");
        reason.clone().unwrap_or(CloseReason::Local)
    }

    /// Why the link has ended, if it has.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.state.reason.borrow().clone()
    }

    /// Sends what is queued, tells the peer, and waits for the end: 3 s at most.
    ///
    /// Cancel safe: the link closes all the same.
    pub async fn close(&self) -> CloseReason {
        self.state.ask_to_end(CloseReason::Local);
        self.closed().await
    }
}

/// The receiving side of a link. Each lane may be taken out and read by a task of its own.
#[derive(Debug)]
pub struct LinkReceiver {
    /// Requests, announcements, answers.
    pub control: LaneReceiver,
    /// Small messages and scene updates.
    pub hot: LaneReceiver,
    /// Chunks of lumps.
    pub bulk: LaneReceiver,
    /// What terminals show.
    pub screen: LaneReceiver,
}

/// Held by everything through which the application uses the link; the last one closes it.
#[derive(Debug)]
pub(crate) struct AppSide {
    link: LinkControl,
}

impl AppSide {
    pub(crate) fn new(state: &Arc<LinkState>) -> Arc<Self> {
        let link = LinkControl { state: state.clone() };
        Arc::new(Self { link })
    }

    pub(crate) fn end(&self, reason: CloseReason) {
        self.link.state.ask_to_end(reason);
    }
}

impl Drop for AppSide {
    fn drop(&mut self) {
        self.link.state.ask_to_end(CloseReason::Local);
    }
}

/// What the application's side and the link's own task share.
#[derive(Debug)]
pub(crate) struct LinkState {
    info: LinkInfo,
    pub(crate) control: Arc<LaneQueue>,
    pub(crate) hot: Arc<LaneQueue>,
    pub(crate) bulk: Arc<LaneQueue>,
    pub(crate) screen: Arc<LaneQueue>,
    /// Zero until measured.
    rtt_micros: AtomicU64,
    /// Why this side wants an end, if it does. The first wish counts.
    wish: Mutex<Option<CloseReason>>,
    pub(crate) asked: CancellationToken,
    reason: watch::Sender<Option<CloseReason>>,
}

impl LinkState {
    pub(crate) fn new(info: LinkInfo) -> Arc<Self> {
        Arc::new(Self {
            info,
            control: Arc::new(LaneQueue::new(lane::CONTROL)),
            hot: Arc::new(LaneQueue::new(lane::HOT)),
            bulk: Arc::new(LaneQueue::new(lane::BULK)),
            screen: Arc::new(LaneQueue::new(lane::SCREEN)),
            rtt_micros: AtomicU64::new(0),
            wish: Mutex::new(None),
            asked: CancellationToken::new(),
            reason: watch::Sender::new(None),
        })
    }

    /// What waits in front of each lane.
    pub(crate) fn queues(&self) -> [&Arc<LaneQueue>; 4] {
        [&self.control, &self.hot, &self.bulk, &self.screen]
    }

    fn ask_to_end(&self, reason: CloseReason) {
        self.wish.lock().get_or_insert(reason);
        self.asked.cancel();
    }

    pub(crate) fn wish(&self) -> CloseReason {
        self.wish.lock().clone().unwrap_or(CloseReason::Local)
    }

    /// Smooths as TCP does: RFC 6298, section 2.
    pub(crate) fn measured(&self, sample: Duration) {
        let sample = u64::try_from(sample.as_micros()).unwrap_or(u64::MAX).max(1);
        let smoothed = match self.rtt_micros.load(Ordering::Relaxed) {
            0 => sample,
            before => before - before / 8 + sample / 8,
        };
        self.rtt_micros.store(smoothed.max(1), Ordering::Relaxed);
    }

    /// The end: senders fail from now on, and whoever asks learns why. The first reason stays.
    pub(crate) fn ended(&self, reason: CloseReason) {
        for queue in self.queues() {
            queue.abandon();
        }
        self.reason.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(reason);
            }
            first
        });
    }
}
