// SPDX-License-Identifier: AGPL-3.0-or-later
//! One lane: whole messages in order, a bounded queue in front and the peer's credit behind.

use bytes::Bytes;

/// Why a message could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The link is closed.
    #[error("the link is closed")]
    Closed,
    /// The message exceeds the lane's limit.
    #[error("a message of {bytes} bytes exceeds this lane's limit of {bytes_max}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
}

/// Why a message could not be queued at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrySendError {
    /// The queue is full: the peer, or the line, is slower than we are.
    #[error("the lane's queue is full")]
    Full,
    /// The link is closed.
    #[error("the link is closed")]
    Closed,
    /// The message exceeds the lane's limit.
    #[error("a message of {bytes} bytes exceeds this lane's limit of {bytes_max}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
}

/// The receiving end of a lane.
///
/// What is not received stays with the sender, but for the lane's credit: not reading one lane
/// neither grows memory nor holds up the others.
#[derive(Debug)]
pub struct LaneReceiver {
    _private: (),
}

impl LaneReceiver {
    /// The next message; `None` when the link is closed and everything that arrived was received.
    ///
    /// Why it closed tells [`LinkControl::closed`](crate::LinkControl::closed).
    ///
    /// Cancel safe: no message is lost if the future is dropped.
    pub async fn recv(&mut self) -> Option<Bytes> {
        todo!()
    }

    /// A message that has already arrived, if there is one.
    pub fn try_recv(&mut self) -> Option<Bytes> {
        todo!()
    }
}
