// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps on demand: what is not in the store is fetched from who may have it. Any number of waiters
//! share one transfer.

use crate::{
    network::{Link, Network},
    transfer::{self, Progress, Transfer, TransferError, blocking},
};
use bytes::Bytes;
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use hearth_abi::{Errno, LumpId, PeerId};
use hearth_protocol::bulk::Frame;
use hearth_store::{GetError, PutError, Store};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Transfers to us at a time, over all links. More wait.
const TRANSFERS_MAX: usize = 32;
/// Lumps that are fetched at a time though nobody asked for them. More are not.
const PREFETCHES_MAX: usize = 1024;
/// How long one peer alone may think about whether it has a lump, before the next is asked too.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a lump whose transfer was cut waits for somebody to come back and go on with it.
const RETURN_TIME_MAX: Duration = Duration::from_secs(30);
/// How often a peer is told that the lump it wants is on its way to us.
const LOOKING_INTERVAL: Duration = Duration::from_secs(10);
/// Longest that a lump may be on its way to us for another peer: the largest at a megabyte a second.
const LOOK_TIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// How often the transfer of one lump may be cut before it is given up.
const CUTS_MAX: usize = 16;

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

type Outcome = Option<Result<u64, LumpError>>;

/// Peers that were asked for a lump, and what comes of it.
type Asked<'a> = FuturesUnordered<BoxFuture<'a, (PeerId, Link, Result<Transfer, TransferError>)>>;

/// A lump that is being fetched.
#[derive(Clone)]
struct UnderWay {
    outcome: watch::Receiver<Outcome>,
    progress: Arc<Progress>,
}

/// See [`Lumps::announce`].
pub(crate) struct Announced {
    id: LumpId,
    puts: Arc<Mutex<HashMap<LumpId, watch::Receiver<()>>>>,
    _done: watch::Sender<()>,
}

impl Drop for Announced {
    fn drop(&mut self) {
        // Of two that put the same bytes at once, the second may still be under way; then the first
        // has stored them.
        self.puts.lock().remove(&self.id);
    }
}

/// The lumps of a peer.
#[derive(Clone)]
pub(crate) struct Lumps {
    store: Store,
    network: Arc<Network>,
    under_way: Arc<Mutex<HashMap<LumpId, UnderWay>>>,
    slots: Arc<Semaphore>,
    prefetches: Arc<Semaphore>,
    /// Lumps whose id was told and whose bytes are on their way to the disk.
    puts: Arc<Mutex<HashMap<LumpId, watch::Receiver<()>>>>,
    /// Cancelled when the peer ends: nothing is fetched any more.
    ended: CancellationToken,
}

impl Lumps {
    pub(crate) fn new(store: Store, network: Arc<Network>, ended: CancellationToken) -> Lumps {
        let slots = Arc::new(Semaphore::new(TRANSFERS_MAX));
        Lumps {
            store,
            network,
            under_way: Arc::default(),
            slots,
            prefetches: Arc::new(Semaphore::new(PREFETCHES_MAX)),
            puts: Arc::default(),
            ended,
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Stores bytes; durable when it returns.
    pub(crate) async fn put(&self, bytes: Bytes) -> Result<LumpId, PutError> {
        blocking(&self.store, move |store| store.put(&bytes)).await
    }

    /// Tells that the bytes of this lump are about to be stored: until the guard is dropped, whoever asks
    /// for it waits. For ids that are told before the bytes are on the disk.
    pub(crate) fn announce(&self, id: LumpId) -> Announced {
        let (done, waiting) = watch::channel(());
        self.puts.lock().insert(id, waiting);
        Announced { id, puts: self.puts.clone(), _done: done }
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
        let Ok(place) = self.prefetches.clone().try_acquire_owned() else { return };
        let this = self.clone();
        tokio::spawn(async move {
            let _place = place;
            if this.size_here(id).await.is_ok_and(|size| size.is_none()) {
                let mut outcome = this.join_or_start(id, Some(likely), None);
                // Whatever comes of it: the place is free again.
                let _ = outcome.wait_for(Option::is_some).await;
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
            match blocking(&self.store, move |store| read(store, size)).await {
                Ok(bytes) => return Ok(bytes),
                Err(error @ GetError::Corrupt { .. }) if damaged.is_none() => {
                    damaged = Some(read_error(id, &error));
                }
                Err(error) => return Err(read_error(id, &error)),
            }
        }
    }

    /// Sends a lump over a link that wants it, or says that it is missing. `resumed` tells from where it is
    /// wanted.
    pub(crate) async fn serve(
        &self,
        link: Link,
        from: PeerId,
        transfer: u32,
        id: LumpId,
        resumed: oneshot::Receiver<u64>,
        cancelled: CancellationToken,
    ) {
        let served = async {
            // The server looks for it elsewhere; a client has it or not.
            let size = if self.network.is_server() {
                self.look(&link, from, transfer, id).await
            } else {
                self.size_here(id).await.ok().flatten()
            };
            match size {
                Some(size) => transfer::send(&self.store, &link, transfer, id, size, resumed).await,
                None => false,
            }
        };
        let served = tokio::select! {
            served = served => served,
            () = cancelled.cancelled() => true,
            () = link.closed.cancelled() => true,
        };
        if !served {
            // A link that is gone needs no answer.
            let _ = link.sender.bulk(Frame::Missing { transfer }.encode()).await;
        }
    }

    /// Looks for a lump at the other clients, and tells the one that waits that it is being looked for: a
    /// large one may be long on its way.
    async fn look(&self, link: &Link, from: PeerId, transfer: u32, id: LumpId) -> Option<u64> {
        let fetch = self.fetch(id, None, Some(from), LOOK_TIME_MAX);
        tokio::pin!(fetch);
        loop {
            match tokio::time::timeout(LOOKING_INTERVAL, &mut fetch).await {
                Ok(fetched) => return fetched.ok(),
                Err(_elapsed) => {
                    link.sender.bulk(Frame::Looking { transfer }.encode()).await.ok()?;
                }
            }
        }
    }

    async fn size_here(&self, id: LumpId) -> Result<Option<u64>, LumpError> {
        let put = self.puts.lock().get(&id).cloned();
        if let Some(mut put) = put {
            // It ends by being dropped.
            let _ = put.changed().await;
        }
        let stat = blocking(&self.store, move |store| store.stat(&id)).await;
        let stat = stat.map_err(|error| LumpError::Read { id, reason: chain(&error) })?;
        Ok(stat.map(|stat| stat.size))
    }

    /// How many bytes of a lump that is being fetched are here, and how many it has; `None` if it is not being
    /// fetched, or nobody has said yet.
    pub(crate) fn progress(&self, id: LumpId) -> Option<(u64, u64)> {
        let under_way = self.under_way.lock();
        let progress = &under_way.get(&id)?.progress;
        let size = progress.size.load(Ordering::Relaxed);
        (size > 0).then(|| (progress.received.load(Ordering::Relaxed).min(size), size))
    }

    fn join_or_start(
        &self,
        id: LumpId,
        likely: Option<PeerId>,
        except: Option<PeerId>,
    ) -> watch::Receiver<Outcome> {
        let mut under_way = self.under_way.lock();
        if let Some(known) = under_way.get(&id) {
            return known.outcome.clone();
        }
        let (tell, outcome) = watch::channel(None);
        let progress = Arc::<Progress>::default();
        under_way.insert(id, UnderWay { outcome: outcome.clone(), progress: progress.clone() });
        let this = self.clone();
        tokio::spawn(async move {
            let result = tokio::select! {
                result = this.fetch_and_wait(id, likely, except, &progress) => result,
                () = this.ended.cancelled() => Err(LumpError::NotFound(id)),
            };
            this.under_way.lock().remove(&id);
            let _ = tell.send(Some(result));
        });
        outcome
    }

    /// Fetches a lump; one whose transfer is cut goes on when somebody is connected again.
    async fn fetch_and_wait(
        &self,
        id: LumpId,
        likely: Option<PeerId>,
        except: Option<PeerId>,
        progress: &Progress,
    ) -> Result<u64, LumpError> {
        let mut linked = self.network.linked();
        let mut last = LumpError::NotFound(id);
        for _try in 0..CUTS_MAX {
            linked.mark_unchanged();
            {
                let Ok(_slot) = self.slots.acquire().await else { return Err(last) };
                match self.fetch_from_peers(id, likely, except, progress).await {
                    Ok(size) => return Ok(size),
                    Err((false, error)) => return Err(error),
                    Err((true, error)) => last = error,
                }
            }
            match tokio::time::timeout(RETURN_TIME_MAX, linked.changed()).await {
                Ok(Ok(())) => {}
                _ => return Err(last),
            }
        }
        Err(last)
    }

    /// Asks the neighbours until one has it and it came. The error says whether a link was cut, so that it is
    /// worth asking again.
    async fn fetch_from_peers(
        &self,
        id: LumpId,
        likely: Option<PeerId>,
        except: Option<PeerId>,
        progress: &Progress,
    ) -> Result<u64, (bool, LumpError)> {
        let mut links = self.network.links();
        links.retain(|(peer, _)| Some(*peer) != except);
        // The likely one is the last, and asked first.
        links.sort_by_key(|(peer, _)| Some(*peer) == likely);
        // A client without its server is one whose link was cut.
        let mut cut = links.is_empty() && !self.network.is_server();
        let mut last = LumpError::NotFound(id);
        type Asked = (PeerId, Link, Result<Transfer, TransferError>);
        let mut asked: FuturesUnordered<BoxFuture<'_, Asked>> = FuturesUnordered::new();
        let mut pending = Vec::new();
        loop {
            if asked.is_empty() && links.is_empty() {
                return Err((cut, last));
            }
            let answered = tokio::select! {
                Some(answered) = asked.next() => answered,
                () = tokio::time::sleep(PATIENCE), if !asked.is_empty() && !links.is_empty() => {
                    self.ask_next(id, &mut links, &mut asked, &mut pending);
                    continue;
                }
                else => {
                    self.ask_next(id, &mut links, &mut asked, &mut pending);
                    continue;
                }
            };
            let (peer, link, transfer) = answered;
            pending.retain(|(other, _)| *other != peer);
            let error = match transfer {
                Err(error) => error,
                Ok(transfer) => {
                    // The others need not think any more, unless this one fails.
                    asked.clear();
                    links.append(&mut pending);
                    match transfer.receive(&self.store, progress).await {
                        Ok(size) => return Ok(size),
                        Err(error) => error,
                    }
                }
            };
            cut |= matches!(error, TransferError::Cut) || link.closed.is_cancelled();
            if !matches!(error, TransferError::Missing) {
                tracing::warn!(lump = %id, %peer, %error, "a transfer failed");
                last = error.about(id);
            }
        }
    }

    fn ask_next<'a>(
        &self,
        id: LumpId,
        links: &mut Vec<(PeerId, Link)>,
        asked: &mut Asked<'a>,
        pending: &mut Vec<(PeerId, Link)>,
    ) {
        let Some((peer, link)) = links.pop() else { return };
        pending.push((peer, link.clone()));
        asked.push(Box::pin(async move {
            let transfer = Transfer::ask(id, &link).await;
            (peer, link, transfer)
        }));
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
