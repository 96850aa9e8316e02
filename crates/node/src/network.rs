// SPDX-License-Identifier: AGPL-3.0-or-later
//! Who is connected, and the ways to them: a server has a link to every client, a client one to the
//! server, through which it reaches all others.

use crate::transfer::Transfers;
use bytes::Bytes;
use hearth_abi::{Errno, PeerId, ProcessId};
use hearth_net::LinkSender;
use hearth_protocol::control::{Control, Failure, Peer, Request, Response};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, broadcast, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Most calls to other peers that wait for an answer.
const CALLS_MAX: usize = 4096;
/// Most calls of one peer that are being answered at a time.
const ANSWERS_MAX: usize = 256;
/// Most calls for processes that are to be tied which were passed on to a client and have no answer. More than it answers at a
/// time, and no more than it remembers when they are forsaken before they come.
const PASSED_MAX: usize = 1024;
/// Most small lumps (256 KiB each) that are being sent to one neighbour at a time. More wait.
const SERVING_SMALL_MAX: usize = 16;

/// A live session with a neighbour.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) sender: LinkSender,
    /// Lumps under way to us.
    pub(crate) transfers: Arc<Transfers>,
    /// Large lumps under way from us: two at a time.
    pub(crate) serving: Arc<Semaphore>,
    /// Small lumps under way from us.
    pub(crate) serving_small: Arc<Semaphore>,
    /// Bound on the calls of this neighbour that are being answered.
    pub(crate) answering: Arc<Semaphore>,
    /// (On a server.) What was passed on to this client and has no answer.
    pub(crate) passed: Arc<Passed>,
    /// Whether sure frames wait for their turn, so that messages are not to overtake them (see `ties`).
    pub(crate) is_behind: Arc<AtomicBool>,
    /// Ends with the link.
    pub(crate) closed: CancellationToken,
}

impl Link {
    pub(crate) fn new(sender: LinkSender) -> Link {
        Link {
            sender,
            transfers: Arc::default(),
            serving: Arc::new(Semaphore::new(2)),
            serving_small: Arc::new(Semaphore::new(SERVING_SMALL_MAX)),
            answering: Arc::new(Semaphore::new(ANSWERS_MAX)),
            passed: Arc::default(),
            is_behind: Arc::default(),
            closed: CancellationToken::new(),
        }
    }

    /// Sends a control frame, waiting while the lane is full.
    pub(crate) async fn control(&self, frame: &Control) -> Result<(), Failure> {
        let bytes = frame.encode().map_err(|error| failure(Errno::Limit, error))?;
        self.sender.control(bytes).await.map_err(|error| failure(Errno::NoPeer, error))
    }
}

/// Calls of other clients that were passed on to one and have no answer, by which they ask for processes to be tied to theirs:
/// by whom, its number of the call, and the process that asks.
#[derive(Default)]
pub(crate) struct Passed(Mutex<BTreeMap<(PeerId, u64), ProcessId>>);

impl Passed {
    /// Notes one; `false` if there are too many.
    pub(crate) fn note(&self, by: ProcessId, call: u64) -> bool {
        let mut calls = self.0.lock();
        let has_room = calls.len() < PASSED_MAX;
        if has_room {
            calls.insert((by.peer(), call), by);
        }
        has_room
    }

    /// One is answered, or nobody waits for it any more.
    pub(crate) fn is_over(&self, by: PeerId, call: u64) {
        self.0.lock().remove(&(by, call));
    }

    /// Takes out all of one client.
    pub(crate) fn take(&self, by: PeerId) -> Vec<(ProcessId, u64)> {
        let mut calls = self.0.lock();
        let of_it = calls.range((by, 0)..=(by, u64::MAX)).map(|((_, call), process)| (*process, *call));
        let of_it: Vec<(ProcessId, u64)> = of_it.collect();
        calls.retain(|(of, _), _| *of != by);
        of_it
    }
}

/// A peer of the space.
#[derive(Clone)]
struct Entry {
    about: Peer,
    /// The link to it; on a client only the server has one. A server keeps the entry without a link
    /// for the time of grace.
    link: Option<Link>,
    /// How often it has gone away.
    absences: u64,
}

/// Something that changed among the peers.
#[derive(Clone, Debug)]
pub enum PeerChange {
    /// A peer joined.
    Joined(Peer),
    /// A peer left for good.
    Left(PeerId),
}

/// Calls that wait for an answer, by number: whom they asked, and who waits. In order, so that a simulation repeats itself.
type Calls = BTreeMap<u64, (PeerId, oneshot::Sender<Result<Response, Failure>>)>;

/// The connected peers, and the calls to them that wait for an answer.
pub(crate) struct Network {
    me: PeerId,
    peers: RwLock<BTreeMap<PeerId, Entry>>,
    calls: Mutex<Calls>,
    next_call: AtomicU64,
    changes: broadcast::Sender<PeerChange>,
    /// Number of links there ever were.
    linked: watch::Sender<u64>,
}

impl Network {
    pub(crate) fn new(me: PeerId) -> Network {
        Network {
            me,
            peers: RwLock::default(),
            calls: Mutex::default(),
            next_call: AtomicU64::new(1),
            changes: broadcast::channel(256).0,
            linked: watch::Sender::new(0),
        }
    }

    /// What changes among the peers from now on; a listener that is slow misses some and is told so.
    pub(crate) fn changes(&self) -> broadcast::Receiver<PeerChange> {
        self.changes.subscribe()
    }

    /// Told when a neighbour is connected.
    pub(crate) fn linked(&self) -> watch::Receiver<u64> {
        self.linked.subscribe()
    }

    /// Whether this peer is the server.
    pub(crate) fn is_server(&self) -> bool {
        self.me == PeerId::SERVER
    }

    /// All peers that are here, this one too.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        self.peers.read().values().map(|entry| entry.about.clone()).collect()
    }

    /// About one peer.
    pub(crate) fn peer(&self, id: PeerId) -> Option<Peer> {
        self.peers.read().get(&id).map(|entry| entry.about.clone())
    }

    /// Notes a peer, or what is new about it, and tells the listeners if it was not here.
    pub(crate) fn insert(&self, id: PeerId, about: Peer, link: Option<Link>) {
        let is_linked = link.is_some();
        let new = {
            let mut peers = self.peers.write();
            let absences = peers.get(&id).map_or(0, |before| before.absences);
            peers.insert(id, Entry { about: about.clone(), link, absences }).is_none()
        };
        if is_linked {
            self.linked.send_modify(|count| *count += 1);
        }
        if new {
            // Nobody may be listening.
            let _ = self.changes.send(PeerChange::Joined(about));
        }
    }

    /// Another client came, or came back: over a new connection, so that what it was asked over the one before has no answer.
    pub(crate) fn came(&self, id: PeerId, about: Peer) {
        let is_back = self.peer(id).is_some();
        self.insert(id, about, None);
        if is_back {
            self.fail_calls(|to| to == id);
        }
    }

    /// Forgets a peer that is gone for good. Calls to it fail.
    pub(crate) fn remove(&self, id: PeerId) -> bool {
        self.remove_if(id, |_| true)
    }

    /// Forgets a peer that did not come back from this absence. Calls to it fail.
    pub(crate) fn remove_away(&self, id: PeerId, absence: u64) -> bool {
        self.remove_if(id, |entry| entry.link.is_none() && entry.absences == absence)
    }

    fn remove_if(&self, id: PeerId, condition: impl FnOnce(&Entry) -> bool) -> bool {
        let known = {
            let mut peers = self.peers.write();
            if peers.get(&id).is_some_and(|entry| !condition(entry)) {
                return false;
            }
            peers.remove(&id).is_some()
        };
        if known {
            let _ = self.changes.send(PeerChange::Left(id));
        }
        self.fail_calls(|to| to == id);
        known
    }

    /// Takes the link away from a peer that may come back, if it still is this link: the number of its absence, for
    /// [`Network::remove_away`].
    pub(crate) fn unlink(&self, id: PeerId, link: &Link) -> Option<u64> {
        let mut peers = self.peers.write();
        let entry = peers.get_mut(&id)?;
        let same = entry.link.as_ref().is_some_and(|l| Arc::ptr_eq(&l.transfers, &link.transfers));
        if !same {
            return None;
        }
        entry.link = None;
        entry.absences += 1;
        let absence = entry.absences;
        drop(peers);
        let server_gone = self.me != PeerId::SERVER;
        self.fail_calls(|to| server_gone || to == id);
        Some(absence)
    }

    /// The link over which frames to a peer go: its own, or on a client the server's.
    pub(crate) fn way_to(&self, id: PeerId) -> Option<Link> {
        self.way_in(&self.peers.read(), id).cloned()
    }

    fn way_in<'a>(&self, peers: &'a BTreeMap<PeerId, Entry>, id: PeerId) -> Option<&'a Link> {
        if !self.is_server() && !peers.contains_key(&id) {
            return None;
        }
        let neighbour = if self.is_server() { id } else { PeerId::SERVER };
        peers.get(&neighbour)?.link.as_ref()
    }

    /// The links to all neighbours, with their peers.
    pub(crate) fn links(&self) -> Vec<(PeerId, Link)> {
        let peers = self.peers.read();
        peers.iter().filter_map(|(id, entry)| Some((*id, entry.link.clone()?))).collect()
    }

    /// Sends a hot frame on its way, without waiting.
    ///
    /// # Errors
    /// `NoPeer`: there is no way; `Full`: the way is full.
    pub(crate) fn try_hot(&self, to: PeerId, frame: Bytes) -> Result<(), Errno> {
        let peers = self.peers.read();
        let link = self.way_in(&peers, to).ok_or(Errno::NoPeer)?;
        if link.is_behind.load(Ordering::SeqCst) {
            return Err(Errno::Full);
        }
        link.sender.try_hot(frame).map_err(|error| match error {
            hearth_net::TrySendError::Full => Errno::Full,
            _ => Errno::NoPeer,
        })
    }

    /// Asks another peer, and waits for its answer at most so long.
    pub(crate) async fn call(
        &self,
        to: PeerId,
        request: Request,
        timeout: Duration,
    ) -> Result<Response, Failure> {
        self.ask(to, self.number(), request, timeout).await?
    }

    /// A number for a call.
    pub(crate) fn number(&self) -> u64 {
        self.next_call.fetch_add(1, Ordering::Relaxed)
    }

    /// As [`Network::call`], by this number of a call: the answer, or why there is none, and will be none, although it may
    /// have been asked.
    pub(crate) async fn ask(
        &self,
        to: PeerId,
        id: u64,
        request: Request,
        timeout: Duration,
    ) -> Result<Result<Response, Failure>, Failure> {
        let Some(link) = self.way_to(to) else {
            return Ok(Err(failure(Errno::NoPeer, format!("peer {to} is not connected"))));
        };
        let (answer, answered) = oneshot::channel();
        {
            let mut calls = self.calls.lock();
            if calls.len() >= CALLS_MAX {
                let text = format!("{CALLS_MAX} calls are waiting already");
                return Ok(Err(failure(Errno::Limit, text)));
            }
            calls.insert(id, (to, answer));
        }
        // Also when the caller goes away, the entry must go.
        let _entry = CallGuard { calls: &self.calls, id };
        let frame = Control::Call { from: self.me.number(), to: to.number(), id, request };
        link.control(&frame).await?;
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_dropped)) => Err(failure(Errno::NoPeer, format!("peer {to} left"))),
            Err(_elapsed) => Err(failure(
                Errno::TimedOut,
                format!("peer {to} did not answer within {} s", timeout.as_secs_f32()),
            )),
        }
    }

    /// An answer came.
    pub(crate) fn returned(&self, from: PeerId, id: u64, result: Result<Response, Failure>) {
        let mut calls = self.calls.lock();
        // An answer from another peer than the one that was asked is not one.
        if calls.get(&id).is_some_and(|(to, _)| *to == from)
            && let Some((_, answer)) = calls.remove(&id)
        {
            let _ = answer.send(result);
        }
    }

    /// How many calls wait for an answer.
    #[cfg(test)]
    pub(crate) fn calls(&self) -> usize {
        self.calls.lock().len()
    }

    /// Calls to these peers get no answer any more.
    pub(crate) fn fail_calls(&self, concerns: impl Fn(PeerId) -> bool) {
        self.calls.lock().retain(|_, (to, _)| !concerns(*to));
    }
}

struct CallGuard<'a> {
    calls: &'a Mutex<Calls>,
    id: u64,
}

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.id);
    }
}

/// A failure with this number, and the error's text and its causes as reason.
pub(crate) fn failure(errno: Errno, reason: impl ToString) -> Failure {
    Failure { errno: errno.number(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[tokio::test]
    async fn the_grace_of_one_absence_does_not_end_the_next() {
        let network = Network::new(PeerId::SERVER);
        let id = PeerId::new(1).unwrap();
        let about = crate::node::about_program(1, "ada", [1; 32], Vec::new());
        let link = || {
            let (link, _, _) = hearth_net::wire::wire(([0; 32], "server"), ([1; 32], "ada"));
            Link::new(link.split().0)
        };
        let mut absences = Vec::new();
        for _ in 0..2 {
            let link = link();
            network.insert(id, about.clone(), Some(link.clone()));
            absences.push(network.unlink(id, &link).unwrap());
            assert_eq!(network.unlink(id, &link), None, "it is away already");
        }
        // It came back in time, and has been away for a moment.
        assert!(!network.remove_away(id, absences[0]));
        assert!(network.peer(id).is_some());
        assert!(network.remove_away(id, absences[1]));
        assert!(network.peer(id).is_none());
    }
}
