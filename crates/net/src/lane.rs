// SPDX-License-Identifier: AGPL-3.0-or-later
//! One lane: whole messages in order, a bounded queue in front and the peer's credit behind.
//!
//! Messages are framed by us and not by Remoc, many in one write: `docs/formats/session.md`,
//! "Lanes".

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::FutureExt;
use parking_lot::Mutex;
use remoc::chmux;
use tokio::sync::{Notify, mpsc};

use crate::link::{AppSide, CloseReason};
use crate::{
    BULK_MESSAGE_BYTES_MAX, CONTROL_MESSAGE_BYTES_MAX, HOT_MESSAGE_BYTES_MAX, SCREEN_MESSAGE_BYTES_MAX,
};

/// Before every message: its length.
const PREFIX_BYTES: usize = 4;
/// A batch is sent when it has this size, or when nothing more is queued.
const BATCH_BYTES: usize = 60 * 1024;

/// The measures of a lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneSpec {
    pub(crate) name: &'static str,
    pub(crate) message_bytes_max: usize,
    /// What may wait in front of the lane, before senders wait or are told that it is full.
    pub(crate) queue_bytes_max: usize,
    pub(crate) queue_messages_max: usize,
    /// Whether it may draw on Remoc's shared credits. Bulk and screen must not: what they have in flight is
    /// what a small message waits behind.
    pub(crate) shared_credits: bool,
}

pub(crate) const CONTROL: LaneSpec = LaneSpec {
    name: "control",
    message_bytes_max: CONTROL_MESSAGE_BYTES_MAX,
    queue_bytes_max: 1024 * 1024,
    queue_messages_max: 4096,
    shared_credits: true,
};
pub(crate) const HOT: LaneSpec = LaneSpec {
    name: "hot",
    message_bytes_max: HOT_MESSAGE_BYTES_MAX,
    queue_bytes_max: 2 * 1024 * 1024,
    queue_messages_max: 32 * 1024,
    shared_credits: true,
};
pub(crate) const BULK: LaneSpec = LaneSpec {
    name: "bulk",
    message_bytes_max: BULK_MESSAGE_BYTES_MAX,
    queue_bytes_max: 512 * 1024,
    queue_messages_max: 4096,
    shared_credits: false,
};
/// Little waits here, so that whoever fills it as room comes sends what is newest then.
pub(crate) const SCREEN: LaneSpec = LaneSpec {
    name: "screen",
    message_bytes_max: SCREEN_MESSAGE_BYTES_MAX,
    queue_bytes_max: 32 * 1024,
    queue_messages_max: 256,
    shared_credits: false,
};

const _: () = assert!(CONTROL.queue_bytes_max >= CONTROL.message_bytes_max + PREFIX_BYTES);
const _: () = assert!(HOT.queue_bytes_max >= HOT.message_bytes_max + PREFIX_BYTES);
const _: () = assert!(BULK.queue_bytes_max >= BULK.message_bytes_max + PREFIX_BYTES);
const _: () = assert!(SCREEN.queue_bytes_max >= SCREEN.message_bytes_max + PREFIX_BYTES);

impl LaneSpec {
    /// The largest batch: a full one, or one message that is longer.
    pub(crate) const fn batch_bytes_max(&self) -> usize {
        let rest = self.message_bytes_max + PREFIX_BYTES;
        // A batch below `BATCH_BYTES` may be topped up by one message of any size.
        BATCH_BYTES + rest
    }
}

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

/// What waits to be sent. Bounded in bytes and in messages; full is an answer, not a wait, unless
/// the caller asks to wait.
#[derive(Debug)]
pub(crate) struct LaneQueue {
    spec: LaneSpec,
    waiting: Mutex<Waiting>,
    filled: Notify,
    room: Notify,
    /// Those who wait for room do so one behind the other, in the order in which they came.
    turn: tokio::sync::Mutex<()>,
}

/// What waits is copied into the batches that are sent: a message may be a small part of something
/// large, which would stay in memory as long as it.
#[derive(Debug, Default)]
struct Waiting {
    /// Of at least [`BATCH_BYTES`] each, but for the last.
    batches: VecDeque<Batch>,
    /// Of all batches.
    bytes: usize,
    messages: usize,
    /// Room for the message that waits for it first: who does not wait may not take it away, or a
    /// flood of small messages would keep a large one out for ever.
    kept: usize,
    closed: bool,
}

#[derive(Debug, Default)]
struct Batch {
    bytes: BytesMut,
    messages: usize,
}

impl LaneQueue {
    pub(crate) fn new(spec: LaneSpec) -> Self {
        Self {
            spec,
            waiting: Mutex::default(),
            filled: Notify::new(),
            room: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    pub(crate) fn try_send(&self, message: &Bytes) -> Result<(), TrySendError> {
        self.put(message, false)
    }

    /// `first`: for the one who waits first, for whom room is kept.
    fn put(&self, message: &Bytes, first: bool) -> Result<(), TrySendError> {
        if message.len() > self.spec.message_bytes_max {
            return Err(TrySendError::TooLarge {
                bytes: message.len(),
                bytes_max: self.spec.message_bytes_max,
            });
        }
        let bytes = message.len() + PREFIX_BYTES;
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(TrySendError::Closed);
        }
        let kept = if first { 0 } else { waiting.kept };
        if waiting.bytes + kept + bytes > self.spec.queue_bytes_max
            || waiting.messages + usize::from(kept > 0) >= self.spec.queue_messages_max
        {
            if first {
                waiting.kept = bytes;
            }
            return Err(TrySendError::Full);
        }
        waiting.bytes += bytes;
        waiting.messages += 1;
        if waiting.batches.back().is_none_or(|last| last.bytes.len() >= BATCH_BYTES) {
            waiting.batches.push_back(Batch::default());
        }
        let last = waiting.batches.back_mut().expect("it was just put there");
        last.bytes.reserve(bytes);
        last.bytes.put_u32_le(u32::try_from(message.len()).expect("messages are at most a megabyte"));
        last.bytes.put_slice(message);
        last.messages += 1;
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    pub(crate) async fn send(&self, message: Bytes) -> Result<(), SendError> {
        let _turn = self.turn.lock().await;
        // Also when the caller gives up.
        let _kept = Kept(self);
        loop {
            let room = self.room.notified();
            match self.put(&message, true) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full) => room.await,
                Err(TrySendError::Closed) => return Err(SendError::Closed),
                Err(TrySendError::TooLarge { bytes, bytes_max }) => {
                    return Err(SendError::TooLarge { bytes, bytes_max });
                }
            }
        }
    }

    /// Takes nothing more; what waits is still sent.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.filled.notify_one();
        self.room.notify_one();
    }

    /// Takes nothing more, and drops what waits.
    pub(crate) fn abandon(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        waiting.bytes = 0;
        waiting.messages = 0;
        waiting.batches = VecDeque::new();
        drop(waiting);
        self.filled.notify_one();
        self.room.notify_one();
    }

    /// The first message that waits, and only that, with its prefix.
    pub(crate) fn take_one(&self) -> Option<Bytes> {
        let mut waiting = self.waiting.lock();
        let first = waiting.batches.front_mut()?;
        let length = u32::from_le_bytes(*first.bytes.first_chunk::<PREFIX_BYTES>()?) as usize;
        let message = first.bytes.split_to(PREFIX_BYTES + length).freeze();
        first.messages -= 1;
        if first.messages == 0 {
            waiting.batches.pop_front();
        }
        waiting.bytes -= message.len();
        waiting.messages -= 1;
        drop(waiting);
        self.room.notify_one();
        Some(message)
    }

    /// How many messages wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().messages
    }

    /// The next batch; `None` when closed and empty.
    async fn next(&self) -> Option<Bytes> {
        loop {
            {
                let mut waiting = self.waiting.lock();
                if let Some(batch) = waiting.batches.pop_front() {
                    waiting.bytes -= batch.bytes.len();
                    waiting.messages -= batch.messages;
                    drop(waiting);
                    self.room.notify_one();
                    return Some(batch.bytes.freeze());
                }
                if waiting.closed {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Sends until the queue is closed and empty, or the peer takes no more.
    pub(crate) async fn run(self: Arc<Self>, mut sender: chmux::Sender) {
        while let Some(batch) = self.next().await {
            if let Err(error) = sender.send(batch).await {
                tracing::debug!(lane = self.spec.name, %error, "the lane has ended");
                break;
            }
        }
        self.abandon();
    }
}

/// Gives back the room that was kept for the one who waits first.
struct Kept<'a>(&'a LaneQueue);

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.0.waiting.lock().kept = 0;
    }
}

/// The receiving end of a lane.
///
/// What is not received stays with the sender, but for the lane's credit (128 KiB, and up to some
/// megabytes shared by the lanes of a fast link): not reading one lane neither grows memory nor
/// holds up the others.
///
/// A message is a slice of a larger batch, which it keeps in memory as long as it lives: copy what
/// is to be kept.
#[derive(Debug)]
pub struct LaneReceiver {
    spec: LaneSpec,
    port: Port,
    batch: Bytes,
    ended: bool,
    link: Arc<AppSide>,
}

/// Where the batches of a lane come from.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there are four for each link, and all but tests have the large one"
)]
enum Port {
    Remoc(chmux::Receiver),
    /// Within one program: see [`crate::wire`].
    Wire(mpsc::Receiver<Bytes>),
}

impl Port {
    async fn recv(&mut self) -> Result<Option<Bytes>, chmux::RecvError> {
        match self {
            Port::Remoc(port) => Ok(port.recv().await?.map(Bytes::from)),
            Port::Wire(port) => Ok(port.recv().await),
        }
    }
}

impl LaneReceiver {
    pub(crate) fn new(spec: LaneSpec, mut port: chmux::Receiver, link: Arc<AppSide>) -> Self {
        port.set_max_data_size(spec.batch_bytes_max());
        port.set_global_credits_allowed(spec.shared_credits);
        Self { spec, port: Port::Remoc(port), batch: Bytes::new(), ended: false, link }
    }

    pub(crate) fn of_wire(spec: LaneSpec, port: mpsc::Receiver<Bytes>, link: Arc<AppSide>) -> Self {
        Self { spec, port: Port::Wire(port), batch: Bytes::new(), ended: false, link }
    }

    /// The next message; `None` when the link is closed and everything that arrived was received.
    ///
    /// Why it closed tells [`LinkControl::closed`](crate::LinkControl::closed).
    ///
    /// Cancel safe: no message is lost if the future is dropped.
    pub async fn recv(&mut self) -> Option<Bytes> {
        loop {
            if self.ended {
                return None;
            }
            if !self.batch.is_empty() {
                match split(&mut self.batch, self.spec.message_bytes_max) {
                    Some(message) => return Some(message),
                    None => self.violated("a message is cut or too long"),
                }
                continue;
            }
            match self.port.recv().await {
                Ok(Some(batch)) => self.batch = batch,
                Ok(None) => self.ended = true,
                Err(chmux::RecvError::ChMux) => self.ended = true,
                Err(error) => self.violated(&error.to_string()),
            }
        }
    }

    /// A message that has already arrived, if there is one.
    pub fn try_recv(&mut self) -> Option<Bytes> {
        self.recv().now_or_never().flatten()
    }

    /// A peer that breaks the framing is not one to go on with.
    fn violated(&mut self, reason: &str) {
        self.ended = true;
        self.batch = Bytes::new();
        let reason = format!("{} lane: {reason}", self.spec.name);
        self.link.end(CloseReason::Protocol(reason));
    }
}

/// Takes the first message off a batch; `None` if the batch is not well-formed.
fn split(batch: &mut Bytes, message_bytes_max: usize) -> Option<Bytes> {
    let prefix = *batch.first_chunk::<PREFIX_BYTES>()?;
    let length = u32::from_le_bytes(prefix) as usize;
    if length > message_bytes_max || length > batch.len() - PREFIX_BYTES {
        return None;
    }
    batch.advance(PREFIX_BYTES);
    Some(batch.split_to(length))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::link::{LinkInfo, LinkState};
    use proptest::prelude::*;

    const SMALL: LaneSpec = LaneSpec {
        name: "small",
        message_bytes_max: 100,
        queue_bytes_max: 1000,
        queue_messages_max: 16,
        shared_credits: false,
    };

    proptest! {
        #[test]
        fn a_batch_is_split_into_what_was_put_in(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 1..8)
        ) {
            let queue = LaneQueue::new(SMALL);
            for message in &messages {
                queue.try_send(&Bytes::copy_from_slice(message)).unwrap();
            }
            let mut batch = queue.next().now_or_never().unwrap().unwrap();
            for message in &messages {
                prop_assert_eq!(&split(&mut batch, 100).unwrap()[..], &message[..]);
            }
            prop_assert!(batch.is_empty());
        }

        #[test]
        fn hostile_batches_are_refused_and_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..64)
        ) {
            let mut batch = Bytes::from(bytes);
            while let Some(message) = split(&mut batch, 32) {
                prop_assert!(message.len() <= 32);
            }
        }
    }

    #[test]
    fn a_full_queue_says_so_and_a_closed_one_too() {
        let queue = LaneQueue::new(SMALL);
        let message = Bytes::from_static(&[0; 96]);
        for _ in 0..10 {
            queue.try_send(&message).unwrap();
        }
        assert_eq!(queue.try_send(&message), Err(TrySendError::Full));
        assert_eq!(
            queue.try_send(&Bytes::from(vec![0; 101])),
            Err(TrySendError::TooLarge { bytes: 101, bytes_max: 100 })
        );
        let many = LaneQueue::new(SMALL);
        for _ in 0..16 {
            many.try_send(&Bytes::new()).unwrap();
        }
        assert_eq!(many.try_send(&Bytes::new()), Err(TrySendError::Full));
        many.close();
        assert_eq!(many.try_send(&Bytes::new()), Err(TrySendError::Closed));
    }

    #[tokio::test]
    async fn a_sender_waits_for_room_and_is_woken_by_the_end() {
        let queue = Arc::new(LaneQueue::new(SMALL));
        let message = Bytes::from_static(&[0; 96]);
        for _ in 0..10 {
            queue.try_send(&message).unwrap();
        }
        let mut waiting = Box::pin(queue.send(message.clone()));
        let mut behind = Box::pin(queue.send(message.clone()));
        assert!((&mut waiting).now_or_never().is_none());
        assert!((&mut behind).now_or_never().is_none());
        assert_eq!(queue.next().await.unwrap().len(), 1000);
        waiting.await.unwrap();
        behind.await.unwrap();
        for _ in 0..8 {
            queue.try_send(&message).unwrap();
        }
        let mut late = Box::pin(queue.send(message.clone()));
        assert!((&mut late).now_or_never().is_none());
        queue.abandon();
        assert_eq!(late.await, Err(SendError::Closed));
        assert_eq!(queue.next().await, None);
    }

    #[tokio::test]
    async fn who_waits_for_room_gets_it_before_those_who_do_not() {
        let queue = LaneQueue::new(SMALL);
        let (large, small) = (Bytes::from_static(&[0; 96]), Bytes::from_static(&[0; 6]));
        let flood = || while queue.try_send(&small).is_ok() {};
        for _ in 0..8 {
            queue.try_send(&large).unwrap();
        }
        flood();
        let mut waiting = Box::pin(queue.send(large.clone()));
        assert!((&mut waiting).now_or_never().is_none());
        // Whatever goes out, the flood is there first.
        while queue.next().now_or_never().is_some() {
            flood();
            if (&mut waiting).now_or_never().is_some() {
                return;
            }
        }
        panic!("it never got room");
    }

    #[tokio::test]
    async fn who_gives_up_waiting_keeps_no_room() {
        let queue = LaneQueue::new(SMALL);
        let message = Bytes::from_static(&[0; 96]);
        for _ in 0..9 {
            queue.try_send(&message).unwrap();
        }
        queue.try_send(&Bytes::from_static(&[0; 50])).unwrap();
        let mut waiting = Box::pin(queue.send(message.clone()));
        assert!((&mut waiting).now_or_never().is_none());
        let small = Bytes::from_static(&[0; 20]);
        assert_eq!(queue.try_send(&small), Err(TrySendError::Full), "the room is kept");
        drop(waiting);
        queue.try_send(&small).unwrap();
    }

    #[tokio::test]
    async fn a_peer_that_breaks_the_framing_is_hung_up_on() {
        let info = LinkInfo {
            peer_key: [0; 32],
            peer_name: "peer".into(),
            agent: String::new(),
            remote_addr: ([127, 0, 0, 1], 1).into(),
            space: [0; 16],
            server_key: [0; 32],
        };
        let cut = [&[2, 0, 0, 0, 7, 7][..], &[9, 0, 0, 0, 7]].concat();
        let too_long = [&[101, 0, 0, 0][..], &[7; 101]].concat();
        let too_large = vec![0; SMALL.batch_bytes_max() + 1];
        for bad in [cut, too_long, too_large] {
            let (sender, receiver) = remoc::rch::bin::channel();
            let (sender, receiver) = tokio::join!(sender.into_inner(), receiver.into_inner());
            let state = LinkState::new(info.clone());
            let mut lane = LaneReceiver::new(SMALL, receiver.unwrap(), AppSide::new(&state));
            let starts_well = bad.starts_with(&[2]);
            let sending = tokio::spawn(async move {
                let mut sender = sender.unwrap();
                let _ = sender.send(bad.into()).await;
                sender
            });
            if starts_well {
                assert_eq!(lane.recv().await.unwrap()[..], [7, 7]);
            }
            assert_eq!(lane.recv().await, None);
            assert_eq!(lane.recv().await, None);
            assert!(state.asked.is_cancelled());
            assert!(matches!(state.wish(), CloseReason::Protocol(_)));
            sending.abort();
        }
    }
}
