// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps on demand: what is not in the store is fetched from who may have it. Any number of waiters
//! share one transfer.

use crate::network::{Link, Network};
use bytes::Bytes;
use hearth_abi::{Errno, LumpId, PeerId};
use hearth_protocol::{
    bulk::{Frame, PIECE_LEN_MAX},
    control::Control,
};
use hearth_store::{GetError, PutError, Store};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// A transfer that brings nothing for so long is given up, and the next peer is asked.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Transfers to us at a time, over all links. More wait.
const TRANSFERS_MAX: usize = 32;
/// Lumps up to this many bytes are sent at once.
const SMALL: u64 = 8 * PIECE_LEN_MAX as u64;
/// Lumps under way at which nothing is fetched that nobody asked for.
const PREFETCHES_MAX: usize = 1024;
/// Pieces of one transfer that wait for the disk. When full, the bulk lane waits.
const PIECES_QUEUED: usize = 32;

/// Why a lump cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LumpError {
    /// Nobody who is connected has it.
    #[error("lump {0} is nowhere to be had: no connected peer has it")]
    NotFound(LumpId),
    /// It did not come in time.
    #[error("lump {0} did not come in time")]
    TimedOut(LumpId),
    /// It came, but the store could not keep it.
    #[error("lump {id} could not be stored: {reason}")]
    Store {
        /// Which lump.
        id: LumpId,
        /// What the store says.
        reason: String,
    },
    /// The store has it, but could not read it.
    #[error("lump {id} could not be read: {reason}")]
    Read {
        /// Which lump.
        id: LumpId,
        /// What the store says.
        reason: String,
    },
}

impl LumpError {
    /// The number of this error in the guest contract.
    pub fn errno(&self) -> Errno {
        match self {
            LumpError::NotFound(_) => Errno::NotFound,
            LumpError::TimedOut(_) => Errno::TimedOut,
            LumpError::Store { .. } | LumpError::Read { .. } => Errno::Host,
        }
    }
}

/// The transfers to us over one link.
#[derive(Default)]
pub(crate) struct Transfers {
    state: Mutex<TransferTable>,
}

#[derive(Default)]
struct TransferTable {
    next: u32,
    open: HashMap<u32, mpsc::Sender<Frame>>,
    closed: bool,
}

impl Transfers {
    fn open(self: &Arc<Self>) -> Option<Transfer> {
        let (sender, frames) = mpsc::channel(PIECES_QUEUED);
        let mut table = self.state.lock();
        if table.closed {
            return None;
        }
        let number = table.next;
        table.next = table.next.wrapping_add(1);
        table.open.insert(number, sender);
        Some(Transfer { number, frames, table: self.clone() })
    }

    /// A frame of the bulk lane came. Waits while its transfer's queue is full.
    pub(crate) async fn receive(&self, frame: Frame) {
        let (Frame::Head { transfer, .. } | Frame::Piece { transfer, .. } | Frame::Missing { transfer }) =
            &frame;
        let sender = self.state.lock().open.get(transfer).cloned();
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

struct Transfer {
    number: u32,
    frames: mpsc::Receiver<Frame>,
    table: Arc<Transfers>,
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.table.state.lock().open.remove(&self.number);
    }
}

type Outcome = Option<Result<u64, LumpError>>;

/// The lumps of a peer.
#[derive(Clone)]
pub(crate) struct Lumps {
    store: Store,
    network: Arc<Network>,
    under_way: Arc<Mutex<HashMap<LumpId, watch::Receiver<Outcome>>>>,
    slots: Arc<Semaphore>,
}

impl Lumps {
    pub(crate) fn new(store: Store, network: Arc<Network>) -> Lumps {
        Lumps { store, network, under_way: Arc::default(), slots: Arc::new(Semaphore::new(TRANSFERS_MAX)) }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Stores bytes; durable when it returns.
    pub(crate) async fn put(&self, bytes: Bytes) -> Result<LumpId, PutError> {
        self.blocking(move |store| store.put(&bytes)).await
    }

    /// Makes sure that a lump is in the store, and tells its size in bytes. `likely` are asked first;
    /// `except` is not asked.
    pub(crate) async fn fetch(
        &self,
        id: LumpId,
        likely: Option<PeerId>,
        except: Option<PeerId>,
        timeout: Duration,
    ) -> Result<u64, LumpError> {
        if let Some(size) = self.size_here(id).await? {
            return Ok(size);
        }
        let mut outcome = self.join_or_start(id, likely, except);
        let waited = tokio::time::timeout(timeout, outcome.wait_for(Option::is_some)).await;
        match waited {
            Ok(Ok(result)) => result.clone().unwrap_or(Err(LumpError::NotFound(id))),
            Ok(Err(_closed)) => Err(LumpError::NotFound(id)),
            Err(_elapsed) => Err(LumpError::TimedOut(id)),
        }
    }

    /// Begins to fetch a lump that will be asked for. Not done when very many are under way.
    pub(crate) fn prefetch(&self, id: LumpId, likely: PeerId) {
        if self.under_way.lock().len() >= PREFETCHES_MAX {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            if this.size_here(id).await.is_ok_and(|size| size.is_none()) {
                drop(this.join_or_start(id, Some(likely), None));
            }
        });
    }

    /// A whole lump, fetched when missing.
    pub(crate) async fn get(
        &self,
        id: LumpId,
        likely: Option<PeerId>,
        timeout: Duration,
    ) -> Result<Bytes, LumpError> {
        self.undamaged(id, likely, timeout, move |store, _size| store.get(&id)).await
    }

    /// A range of a lump, fetched when missing; shorter at its end.
    pub(crate) async fn read(
        &self,
        id: LumpId,
        offset: u64,
        len: usize,
        timeout: Duration,
    ) -> Result<Bytes, LumpError> {
        let read = move |store: &Store, size: u64| {
            let len = size.saturating_sub(offset).min(len as u64) as usize;
            if len == 0 { Ok(Bytes::new()) } else { store.read(&id, offset, len) }
        };
        self.undamaged(id, None, timeout, read).await
    }

    /// Reads from a lump, fetched when missing. One that turns out to be damaged was moved aside by the
    /// store, which told so; it is fetched again, once.
    async fn undamaged(
        &self,
        id: LumpId,
        likely: Option<PeerId>,
        timeout: Duration,
        read: impl Fn(&Store, u64) -> Result<Bytes, GetError> + Clone + Send + 'static,
    ) -> Result<Bytes, LumpError> {
        let mut damaged = None;
        loop {
            let size = match self.fetch(id, likely, None, timeout).await {
                Ok(size) => size,
                // That it was damaged says more than that nobody else has it.
                Err(LumpError::NotFound(_)) if damaged.is_some() => {
                    return Err(damaged.unwrap_or(LumpError::NotFound(id)));
                }
                Err(error) => return Err(error),
            };
            let read = read.clone();
            match self.blocking(move |store| read(store, size)).await {
                Ok(bytes) => return Ok(bytes),
                Err(error @ GetError::Corrupt { .. }) if damaged.is_none() => {
                    damaged = Some(read_error(id, &error));
                }
                Err(error) => return Err(read_error(id, &error)),
            }
        }
    }

    /// Sends a lump over a link that wants it, piece by piece, or says that it is missing.
    pub(crate) async fn serve(
        &self,
        link: Link,
        from: PeerId,
        transfer: u32,
        id: LumpId,
        cancelled: CancellationToken,
    ) {
        let served = tokio::select! {
            served = self.serve_pieces(&link, from, transfer, id) => served,
            () = cancelled.cancelled() => true,
            () = link.closed.cancelled() => true,
        };
        if !served {
            // A link that is gone needs no answer.
            let _ = link.sender.bulk(Frame::Missing { transfer }.encode()).await;
        }
    }

    /// Whether all pieces were sent.
    async fn serve_pieces(&self, link: &Link, from: PeerId, transfer: u32, id: LumpId) -> bool {
        // The server looks for it elsewhere; a client has it or not.
        let size = if self.network.peer(PeerId::SERVER).is_some() && from != PeerId::SERVER {
            self.fetch(id, None, Some(from), Duration::from_secs(60)).await.ok()
        } else {
            self.size_here(id).await.ok().flatten()
        };
        let Some(size) = size else { return false };
        // Small ones do not wait behind large ones.
        let _slot = match size > SMALL {
            true => Some(link.serving.acquire().await),
            false => None,
        };
        if link.sender.bulk(Frame::Head { transfer, size }.encode()).await.is_err() {
            return true;
        }
        let mut offset = 0;
        while offset < size {
            let len = (size - offset).min(8 * PIECE_LEN_MAX as u64) as usize;
            let Ok(bytes) = self.blocking(move |store| store.read(&id, offset, len)).await else {
                return false;
            };
            if bytes.is_empty() {
                return false;
            }
            offset += bytes.len() as u64;
            for start in (0..bytes.len()).step_by(PIECE_LEN_MAX) {
                let piece = bytes.slice(start..bytes.len().min(start + PIECE_LEN_MAX));
                if link.sender.bulk(Frame::Piece { transfer, bytes: piece }.encode()).await.is_err() {
                    return true;
                }
            }
        }
        true
    }

    async fn size_here(&self, id: LumpId) -> Result<Option<u64>, LumpError> {
        let stat = self.blocking(move |store| store.stat(&id)).await;
        let stat = stat.map_err(|error| LumpError::Read { id, reason: chain(&error) })?;
        Ok(stat.map(|stat| stat.size))
    }

    fn join_or_start(
        &self,
        id: LumpId,
        likely: Option<PeerId>,
        except: Option<PeerId>,
    ) -> watch::Receiver<Outcome> {
        let mut under_way = self.under_way.lock();
        if let Some(outcome) = under_way.get(&id) {
            return outcome.clone();
        }
        let (tell, outcome) = watch::channel(None);
        under_way.insert(id, outcome.clone());
        let this = self.clone();
        tokio::spawn(async move {
            let result = this.fetch_from_peers(id, likely, except).await;
            this.under_way.lock().remove(&id);
            let _ = tell.send(Some(result));
        });
        outcome
    }

    async fn fetch_from_peers(
        &self,
        id: LumpId,
        likely: Option<PeerId>,
        except: Option<PeerId>,
    ) -> Result<u64, LumpError> {
        let Ok(_slot) = self.slots.acquire().await else { return Err(LumpError::NotFound(id)) };
        let mut links = self.network.links();
        links.retain(|(peer, _)| Some(*peer) != except);
        links.sort_by_key(|(peer, _)| Some(*peer) != likely);
        let mut last = LumpError::NotFound(id);
        for (peer, link) in links {
            match self.fetch_from(id, &link).await {
                Ok(size) => return Ok(size),
                Err(LumpError::NotFound(_)) => {}
                Err(error) => {
                    tracing::warn!(lump = %id, %peer, %error, "a transfer failed");
                    last = error;
                }
            }
        }
        Err(last)
    }

    async fn fetch_from(&self, id: LumpId, link: &Link) -> Result<u64, LumpError> {
        let Some(mut transfer) = link.transfers.open() else { return Err(LumpError::NotFound(id)) };
        let number = transfer.number;
        link.control(&Control::want(number, id)).await.map_err(|_gone| LumpError::NotFound(id))?;
        // The peer may have to look for it elsewhere first.
        let head = tokio::time::timeout(4 * SILENCE_MAX, transfer.frames.recv()).await;
        let size = match head {
            Ok(Some(Frame::Head { size, .. })) => size,
            Ok(_) => return Err(LumpError::NotFound(id)),
            Err(_elapsed) => {
                let _ = link.control(&Control::Cancel { transfer: number }).await;
                return Err(LumpError::TimedOut(id));
            }
        };
        let store_error = |error: PutError| LumpError::Store { id, reason: chain(&error) };
        let (pieces, mut queued) = mpsc::channel::<Bytes>(PIECES_QUEUED);
        let writer = self.blocking(move |store| {
            let mut incoming = store.begin(id, size)?;
            let mut complete = incoming.position() >= size;
            while let Some(bytes) = queued.blocking_recv() {
                incoming.write(&bytes)?;
                complete = incoming.position() >= size;
            }
            if complete { incoming.finish().map(|()| true) } else { Ok(false) }
        });
        let feeder = async {
            let mut left = size;
            while left > 0 {
                let frame = tokio::time::timeout(SILENCE_MAX, transfer.frames.recv()).await;
                let bytes = match frame {
                    Ok(Some(Frame::Piece { bytes, .. })) if bytes.len() as u64 <= left => bytes,
                    Err(_elapsed) => return Err(LumpError::TimedOut(id)),
                    Ok(_) => return Err(LumpError::NotFound(id)),
                };
                left -= bytes.len() as u64;
                if pieces.send(bytes).await.is_err() {
                    break;
                }
            }
            drop(pieces);
            Ok(())
        };
        let (written, fed) = tokio::join!(writer, feeder);
        let result = match (written, fed) {
            (Ok(true), Ok(())) => return Ok(size),
            (Err(error), _) => Err(store_error(error)),
            (_, Err(error)) => Err(error),
            (Ok(false), Ok(())) => Err(LumpError::NotFound(id)),
        };
        let _ = link.control(&Control::Cancel { transfer: number }).await;
        result
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Store) -> T + Send + 'static) -> T {
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(value) => value,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

fn read_error(id: LumpId, error: &GetError) -> LumpError {
    match error {
        GetError::NotFound { .. } => LumpError::NotFound(id),
        error => LumpError::Read { id, reason: chain(error) },
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
