// SPDX-License-Identifier: AGPL-3.0-or-later
//! One lump on its way over a link: asked for, received and verified; or read and sent.
//!
//! The bytes are those of `docs/formats/peer.md`, "Bulk".

use crate::{
    lumps::{LumpError, chain},
    network::Link,
};
use bytes::Bytes;
use hearth_abi::LumpId;
use hearth_protocol::{
    bulk::{self, Frame, GROUPED_MIN, PIECE_LEN_MAX},
    control::Control,
};
use hearth_store::{GetError, Incoming, PutError, Store};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

/// A link that brings nothing of any lump for so long is given up, and the next peer is asked.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long a peer may say nothing of whether it has a lump.
const LOOK_TIME_MAX: Duration = Duration::from_secs(60);
/// How long who wants a large lump may take to say from where.
const RESUME_TIME_MAX: Duration = Duration::from_secs(60);
/// Frames of one transfer that wait for the disk. When full, the bulk lane waits.
const FRAMES_QUEUED: usize = 32;
/// Lumps up to this many bytes are received in memory, read at once, and do not wait for large ones.
pub(crate) const SMALL: u64 = 8 * PIECE_LEN_MAX as u64;

const _: () = assert!(bulk::GROUPED_MIN == hearth_store::GROUPED_MIN);
const _: () = assert!(bulk::GROUP_LEN == hearth_store::GROUP_BYTES as u64);

/// Why a transfer brought nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    /// The peer does not have the lump.
    #[error("the peer does not have it")]
    Missing,
    /// The link ended. What came of a large lump is kept.
    #[error("the connection ended")]
    Cut,
    /// Nothing came for too long.
    #[error("nothing came for a while")]
    Silent,
    /// What came is not what was to come.
    #[error("the peer does not keep to the protocol: {0}")]
    Protocol(&'static str),
    /// The store does not take it: what came is wrong, or there is no room.
    #[error("it could not be stored: {}", chain(.0))]
    Store(#[from] PutError),
}

impl TransferError {
    /// What whoever waits for the lump is told.
    pub(crate) fn about(&self, id: LumpId) -> LumpError {
        match self {
            TransferError::Missing | TransferError::Cut | TransferError::Protocol(_) => {
                LumpError::NotFound(id)
            }
            TransferError::Silent => LumpError::TimedOut(id),
            TransferError::Store(error) => LumpError::Store { id, reason: chain(error) },
        }
    }
}

/// The transfers to us over one link.
#[derive(Default)]
pub(crate) struct Transfers {
    state: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u32,
    open: HashMap<u32, mpsc::Sender<Frame>>,
    /// When the bulk lane last brought something.
    heard: Option<Instant>,
    closed: bool,
}

impl Transfers {
    /// A frame of the bulk lane came. Waits while its transfer's queue is full.
    pub(crate) async fn receive(&self, frame: Frame) {
        let sender = {
            let mut table = self.state.lock();
            table.heard = Some(Instant::now());
            table.open.get(&frame.transfer()).cloned()
        };
        // Frames of a transfer that was given up may still come.
        if let Some(sender) = sender {
            let _ = sender.send(frame).await;
        }
    }

    /// The link is gone: all transfers end.
    pub(crate) fn close(&self) {
        let mut table = self.state.lock();
        table.closed = true;
        table.open.clear();
    }
}

/// How far a lump has come.
#[derive(Default)]
pub(crate) struct Progress {
    /// Bytes that are here.
    pub(crate) received: AtomicU64,
    /// Bytes that it has; 0 as long as nobody has said so.
    pub(crate) size: AtomicU64,
}

/// A lump that a peer was asked for. Dropped before its end, the peer is told that it is not wanted.
pub(crate) struct Transfer {
    id: LumpId,
    number: u32,
    size: u64,
    frames: mpsc::Receiver<Frame>,
    link: Link,
    ended: bool,
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.link.transfers.state.lock().open.remove(&self.number);
        if !self.ended
            && let Ok(cancel) = (Control::Cancel { transfer: self.number }).encode()
        {
            // A link that is full or gone sends no more than the rest of it.
            let _ = self.link.sender.try_control(cancel);
        }
    }
}

impl Transfer {
    /// Asks a peer for a lump. It has it, if this returns `Ok`.
    pub(crate) async fn ask(id: LumpId, link: &Link) -> Result<Transfer, TransferError> {
        let (sender, frames) = mpsc::channel(FRAMES_QUEUED);
        let number = {
            let mut table = link.transfers.state.lock();
            if table.closed {
                return Err(TransferError::Cut);
            }
            let number = table.next;
            table.next = table.next.wrapping_add(1);
            table.open.insert(number, sender);
            number
        };
        let link = link.clone();
        let mut transfer = Transfer { id, number, size: 0, frames, link, ended: false };
        let want = Control::want(number, id);
        transfer.link.control(&want).await.map_err(|_gone| TransferError::Cut)?;
        loop {
            match transfer.next(LOOK_TIME_MAX).await? {
                Frame::Head { size, .. } => {
                    transfer.size = size;
                    return Ok(transfer);
                }
                Frame::Looking { .. } => {}
                Frame::Missing { .. } => {
                    transfer.ended = true;
                    return Err(TransferError::Missing);
                }
                _ => return Err(TransferError::Protocol("a piece without a head")),
            }
        }
    }

    /// The next frame. While the link brings other lumps, this one only waits for its turn.
    async fn next(&mut self, silence_max: Duration) -> Result<Frame, TransferError> {
        let mut deadline = Instant::now() + silence_max;
        loop {
            match tokio::time::timeout_at(deadline, self.frames.recv()).await {
                Ok(frame) => return frame.ok_or(TransferError::Cut),
                Err(_elapsed) => {
                    let heard = self.link.transfers.state.lock().heard;
                    let later = heard.map(|heard| heard + silence_max);
                    deadline = later.filter(|later| *later > deadline).ok_or(TransferError::Silent)?;
                }
            }
        }
    }

    /// Receives the lump into the store; durable when it returns. Gives its size.
    pub(crate) async fn receive(mut self, store: &Store, progress: &Progress) -> Result<u64, TransferError> {
        let size = self.size;
        progress.size.store(size, Relaxed);
        let result = match size {
            0..=SMALL => self.receive_small(store, progress).await,
            _ => self.receive_large(store, progress).await,
        };
        self.ended = result.is_ok();
        result.map(|()| size)
    }

    async fn piece(&mut self, left: u64) -> Result<Bytes, TransferError> {
        match self.next(SILENCE_MAX).await? {
            Frame::Piece { bytes, .. } if bytes.is_empty() || bytes.len() as u64 > left => {
                Err(TransferError::Protocol("a piece of a wrong length"))
            }
            Frame::Piece { bytes, .. } => Ok(bytes),
            Frame::Missing { .. } => Err(TransferError::Missing),
            Frame::Head { .. } | Frame::Looking { .. } => Err(TransferError::Protocol("a second head")),
            Frame::Groups { .. } => Err(TransferError::Protocol("hashes where pieces were to come")),
        }
    }

    async fn receive_small(&mut self, store: &Store, progress: &Progress) -> Result<(), TransferError> {
        let (id, size) = (self.id, self.size);
        let mut bytes = Vec::with_capacity(size as usize);
        while (bytes.len() as u64) < size {
            let left = size - bytes.len() as u64;
            bytes.extend_from_slice(&self.piece(left).await?);
            progress.received.store(bytes.len() as u64, Relaxed);
        }
        let stored = blocking(store, move |store| {
            let mut incoming = store.begin(id, size)?;
            incoming.write(&bytes)?;
            incoming.finish()
        });
        Ok(stored.await?)
    }

    async fn receive_large(&mut self, store: &Store, progress: &Progress) -> Result<(), TransferError> {
        let (id, size) = (self.id, self.size);
        // Before the hashes are taken, whose length a stranger says: only so is the size one that is allowed.
        let mut incoming = blocking(store, move |store| store.begin(id, size)).await?;
        let mut offset = 0;
        if size >= GROUPED_MIN {
            let hashes = self.groups().await?;
            (incoming, offset) = blocking(store, move |_store| {
                let offset = incoming.set_groups(&hashes)?;
                Ok::<_, PutError>((incoming, offset))
            })
            .await?;
            let resume = Control::Resume { transfer: self.number, offset };
            self.link.control(&resume).await.map_err(|_gone| TransferError::Cut)?;
        }
        let (pieces, queued) = mpsc::channel(FRAMES_QUEUED);
        let writer = blocking(store, move |_store| write(incoming, size, queued));
        let feeder = async {
            while offset < size {
                let bytes = self.piece(size - offset).await?;
                offset += bytes.len() as u64;
                progress.received.store(offset, Relaxed);
                if pieces.send(bytes).await.is_err() {
                    // The writer says why.
                    break;
                }
            }
            drop(pieces);
            Ok::<(), TransferError>(())
        };
        let (written, fed) = tokio::join!(writer, feeder);
        let complete = written?;
        fed?;
        if complete { Ok(()) } else { Err(TransferError::Cut) }
    }

    async fn groups(&mut self) -> Result<Vec<u8>, TransferError> {
        let len = bulk::groups_len(self.size);
        let mut hashes = Vec::new();
        while (hashes.len() as u64) < len {
            match self.next(SILENCE_MAX).await? {
                Frame::Groups { bytes, .. }
                    if !bytes.is_empty() && hashes.len() as u64 + bytes.len() as u64 <= len =>
                {
                    hashes.extend_from_slice(&bytes);
                }
                Frame::Missing { .. } => return Err(TransferError::Missing),
                _ => return Err(TransferError::Protocol("something else than the hashes of the groups")),
            }
        }
        Ok(hashes)
    }
}

/// Writes what comes until all is there, which is then a lump of the store, or the queue ends. What came until
/// then, or until a group was wrong, is kept where its hashes are known.
fn write(mut incoming: Incoming, size: u64, mut queued: mpsc::Receiver<Bytes>) -> Result<bool, PutError> {
    while let Some(bytes) = queued.blocking_recv() {
        if let Err(error) = incoming.write(&bytes) {
            if matches!(error, PutError::Group { .. }) {
                incoming.suspend();
            }
            return Err(error);
        }
        if incoming.position() == size {
            return incoming.finish().map(|()| true);
        }
    }
    incoming.suspend();
    Ok(false)
}

/// Sends a lump of the store that a peer wants. `resumed` brings from where it is wanted, if it is large.
/// Gives whether all was sent, or the link is gone; if not, the peer is to be told that it is missing.
pub(crate) async fn send(
    store: &Store,
    link: &Link,
    transfer: u32,
    id: LumpId,
    size: u64,
    resumed: oneshot::Receiver<u64>,
) -> bool {
    // Small ones do not wait behind large ones; both hold memory, which a peer that reads nothing must not
    // multiply.
    let slots = if size > SMALL { &link.serving } else { &link.serving_small };
    let Ok(_slot) = slots.acquire().await else { return true };
    let mut offset = 0;
    if size >= GROUPED_MIN {
        // Before the head: making them may take as long as reading the whole.
        let Ok(Some(hashes)) = blocking(store, move |store| store.group_hashes(&id)).await else {
            return false;
        };
        if hashes.len() as u64 != bulk::groups_len(size)
            || !send_frame(link, Frame::Head { transfer, size }).await
        {
            return false;
        }
        for start in (0..hashes.len()).step_by(PIECE_LEN_MAX) {
            let bytes = hashes.slice(start..hashes.len().min(start + PIECE_LEN_MAX));
            if !send_frame(link, Frame::Groups { transfer, bytes }).await {
                return true;
            }
        }
        match tokio::time::timeout(RESUME_TIME_MAX, resumed).await {
            Ok(Ok(from)) if from <= size => offset = from,
            _ => return false,
        }
    } else if !send_frame(link, Frame::Head { transfer, size }).await {
        return true;
    }
    // The next part is read while this one is sent.
    let mut ahead = read_ahead(store, id, offset, size);
    while let Some(reading) = ahead {
        let Ok(Ok(bytes)) = reading.await else { return false };
        offset += bytes.len() as u64;
        ahead = read_ahead(store, id, offset, size);
        for start in (0..bytes.len()).step_by(PIECE_LEN_MAX) {
            let bytes = bytes.slice(start..bytes.len().min(start + PIECE_LEN_MAX));
            if !send_frame(link, Frame::Piece { transfer, bytes }).await {
                return true;
            }
        }
    }
    true
}

type Reading = tokio::task::JoinHandle<Result<Bytes, GetError>>;

fn read_ahead(store: &Store, id: LumpId, offset: u64, size: u64) -> Option<Reading> {
    let len = (size - offset).min(SMALL) as usize;
    let store = store.clone();
    (len > 0).then(|| tokio::task::spawn_blocking(move || store.read(&id, offset, len)))
}

/// Whether the link took it.
async fn send_frame(link: &Link, frame: Frame) -> bool {
    link.sender.bulk(frame.encode()).await.is_ok()
}

/// Does what waits for the disk where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&Store) -> T + Send + 'static,
) -> T {
    let store = store.clone();
    match tokio::task::spawn_blocking(move || work(&store)).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
