// SPDX-License-Identifier: AGPL-3.0-or-later
//! Links and monitors between processes of different peers: how what is said of them arrives surely, and
//! when a peer is not to be reached any more.
//!
//! Two neighbours (a client and its server) have a *stream* of sure frames in each direction. Each side keeps
//! what the other has not confirmed. When the connection broke and is there again, they say how much
//! they have received, and go on from there: nothing is lost, and nothing comes twice. That goes on until one
//! side gives the other up: a server when the time of grace is over (or the client is a new one under the same
//! key), a client when its own is. Then all that is tied over it is told `noconnection`; the server tells its
//! other clients by a frame among those that it passes on, so that whatever the lost peer had
//! said before comes before that.
//!
//! While sure frames wait for their turn, messages over the same way are refused as if it were full: so that
//! those of one process to another stay in order.

use crate::{
    network::{Link, Network},
    node::Inner,
};
use bytes::Bytes;
use hearth_abi::{PeerId, ProcessId};
use hearth_process::{ExitKind, ExitReason, SendError, Tie};
use hearth_protocol::hot;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, atomic::Ordering::SeqCst},
};
use tokio::sync::Notify;

/// Most sure frames that are kept for one neighbour. What is over it would be lost, so that the neighbour is
/// given up. Nothing new begins while half of it is full.
const KEPT_MAX: usize = 65_536;
/// Most bytes of them.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// So many frames are received before they are confirmed.
pub(crate) const CONFIRM_EVERY: u64 = 64;

/// The streams to all neighbours.
pub(crate) struct Ties {
    me: PeerId,
    hops: Mutex<BTreeMap<PeerId, Hop>>,
}

/// The streams of one neighbour, in both directions.
struct Hop {
    /// Another one when the streams begin anew.
    number: u64,
    /// Number of what goes out.
    stream: u64,
    /// Number of what comes in; zero before anything is known of it.
    theirs: u64,
    /// Frames that went out and were not confirmed, and those that have not gone out, oldest first.
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    /// How many frames were confirmed.
    confirmed: u64,
    /// How many of those that are kept have gone out over the connection that is there now.
    sent: usize,
    /// How many frames came in.
    received: u64,
    /// The connection that is there now.
    link: Option<Link>,
    /// Whether the other side has said what it has received, so that frames may go out.
    is_ready: bool,
    /// What goes out before all frames.
    hail: Option<Bytes>,
    /// Whether more was to be kept than can be.
    is_lost: bool,
    /// Whether it is given up and nothing goes over it.
    is_closed: bool,
    /// (On a server.) How often the neighbour was told that a peer is gone, and has not said that it knows. What it
    /// says to that peer meanwhile is older, and meant for one that has forgotten it.
    untold: BTreeMap<PeerId, u32>,
    /// (On a client.) The peers that are being told of as gone, to which nothing goes meanwhile.
    going: BTreeSet<PeerId>,
    wake: Arc<Notify>,
    /// Told when it is ready.
    hailed: Arc<Notify>,
    /// Told when it is ready, when the neighbour knows of one more peer that it is gone, and when that need not be known any more.
    heard: Arc<Notify>,
}

/// What is to be done about a hail.
pub(crate) enum Hailed {
    /// Nothing is lost.
    GoesOn,
    /// What was tied over this way is not any more. When that is told, [`Ties::begin_anew`].
    Anew,
}

impl Hop {
    fn new() -> Hop {
        Hop {
            number: rand::random(),
            // Zero stands for none.
            stream: rand::random::<u64>().max(1),
            theirs: 0,
            kept: VecDeque::new(),
            kept_bytes: 0,
            confirmed: 0,
            sent: 0,
            received: 0,
            link: None,
            is_ready: false,
            hail: None,
            is_lost: false,
            is_closed: false,
            untold: BTreeMap::new(),
            going: BTreeSet::new(),
            wake: Arc::new(Notify::new()),
            hailed: Arc::new(Notify::new()),
            heard: Arc::new(Notify::new()),
        }
    }

    /// Streams that begin anew, after others of which this was kept. What was forsaken still is: the call that it is about may
    /// come over a connection that the one that is asked has begun with nothing.
    fn after(mut kept: VecDeque<Bytes>) -> Hop {
        kept.retain(|frame| hot::is_forsaken(frame));
        let kept_bytes = kept.iter().map(Bytes::len).sum();
        Hop { kept, kept_bytes, ..Hop::new() }
    }

    /// Tells the way of messages whether sure frames are before them.
    fn note_behind(&self) {
        if let Some(link) = &self.link {
            link.is_behind.store(self.kept.len() > self.sent, SeqCst);
        }
    }

    /// Forgets what the other has received.
    fn confirm(&mut self, count: u64) -> Result<(), String> {
        let more = count.checked_sub(self.confirmed).and_then(|more| usize::try_from(more).ok());
        let more = more.filter(|more| *more <= self.kept.len());
        let Some(more) = more else { return Err("the peer confirms what was not sent".into()) };
        self.kept_bytes -= self.kept.drain(..more).map(|frame| frame.len()).sum::<usize>();
        self.confirmed = count;
        self.sent = self.sent.saturating_sub(more);
        Ok(())
    }

    fn ready(&mut self) {
        self.is_ready = true;
        self.wake.notify_one();
        self.hailed.notify_waiters();
        self.heard.notify_waiters();
        self.note_behind();
    }

    fn push(&mut self, frame: &[u8], begins: bool) -> Result<(), SendError> {
        if self.is_closed && !hot::is_forsaken(frame) {
            return Err(SendError::NoPeer);
        }
        if begins && (self.kept.len() >= KEPT_MAX / 2 || self.kept_bytes >= KEPT_BYTES_MAX / 2) {
            return Err(SendError::Full);
        }
        if self.is_lost {
            // All that is tied over it will be told so.
            return Ok(());
        }
        if self.kept.len() >= KEPT_MAX || self.kept_bytes + frame.len() > KEPT_BYTES_MAX {
            self.is_lost = true;
            self.kept.clear();
            self.kept_bytes = 0;
            if let Some(link) = &self.link {
                tracing::error!(
                    "a way is given up: more of links and monitors waits for it than can be kept"
                );
                link.closed.cancel();
                let control = link.sender.link().clone();
                tokio::spawn(async move { control.close().await });
            }
            return Ok(());
        }
        // A copy: what was read with it is not kept.
        let frame = Bytes::copy_from_slice(frame);
        let is_next = self.is_ready && self.hail.is_none() && self.sent == self.kept.len();
        self.kept_bytes += frame.len();
        self.kept.push_back(frame.clone());
        let is_behind = self.link.as_ref().is_some_and(|link| link.is_behind.load(SeqCst));
        if let Some(link) = self.link.as_ref().filter(|_| is_next && !is_behind)
            && link.sender.try_hot(frame).is_ok()
        {
            self.sent += 1;
            return Ok(());
        }
        self.note_behind();
        self.wake.notify_one();
        Ok(())
    }
}

impl Ties {
    pub(crate) fn new(me: PeerId) -> Ties {
        let mut hops = BTreeMap::new();
        if me != PeerId::SERVER {
            // Before the first connection serves, processes may begin something already.
            hops.insert(PeerId::SERVER, Hop::new());
        }
        Ties { me, hops: Mutex::new(hops) }
    }

    fn is_server(&self) -> bool {
        self.me == PeerId::SERVER
    }

    /// Sends a sure frame on its way to a peer. `begins`: it may be refused when much waits already.
    ///
    /// # Errors
    /// `NoPeer`: it is not to be reached. `Full`: nothing new may begin now.
    pub(crate) fn send(
        &self,
        network: &Network,
        to: PeerId,
        frame: &[u8],
        begins: bool,
    ) -> Result<(), SendError> {
        let neighbour = if self.is_server() { to } else { PeerId::SERVER };
        let is_known = network.peer(neighbour).is_some();
        let mut hops = self.hops.lock();
        if self.is_server() && is_known {
            hops.entry(neighbour).or_insert_with(Hop::new);
        }
        let hop = hops.get_mut(&neighbour).ok_or(SendError::NoPeer)?;
        if hop.going.contains(&to) && !hot::is_forsaken(frame) {
            return Err(SendError::NoPeer);
        }
        hop.push(frame, begins)
    }

    /// Tells a neighbour, a client, that a peer is gone.
    fn tell_gone(&self, neighbour: PeerId, gone: PeerId) {
        if let Some(hop) = self.hops.lock().get_mut(&neighbour)
            && hop.push(&hot::Frame::Gone { peer: gone }.encode(), false).is_ok()
        {
            *hop.untold.entry(gone).or_default() += 1;
        }
    }

    /// A neighbour, a client, knows that a peer is gone.
    ///
    /// # Errors
    /// It was not told so.
    pub(crate) fn knows_gone(&self, neighbour: PeerId, gone: PeerId) -> Result<(), String> {
        let mut hops = self.hops.lock();
        let untold = hops.get_mut(&neighbour).and_then(|hop| {
            let count = hop.untold.get_mut(&gone)?;
            *count -= 1;
            if *count == 0 {
                hop.untold.remove(&gone);
                hop.heard.notify_waiters();
            }
            Some(())
        });
        untold.ok_or_else(|| "the peer sent what is not its to send".into())
    }

    /// (On a server.) Whether what a neighbour says to a peer was said before it knew that the peer is gone.
    pub(crate) fn is_of_before(&self, neighbour: PeerId, to: PeerId) -> bool {
        self.hops.lock().get(&neighbour).is_some_and(|hop| hop.untold.contains_key(&to))
    }

    /// (On a server.) A neighbour is about to be there: until it has said how the streams go on, it is not asked for what is to
    /// be tied.
    pub(crate) fn expect(&self, neighbour: PeerId) {
        self.hops.lock().entry(neighbour).or_insert_with(Hop::new);
    }

    /// (On a server.) Whether it is too early to ask a neighbour for a process that another peer is to be tied to: it may turn out
    /// to be one that has forgotten what there was, of which the other has to hear first, or has still to hear that of the other.
    pub(crate) fn is_too_early(&self, neighbour: PeerId, by: PeerId) -> bool {
        self.waits_to_ask(neighbour, by).is_some()
    }

    fn waits_to_ask(&self, neighbour: PeerId, by: PeerId) -> Option<Arc<Notify>> {
        let hops = self.hops.lock();
        let hop = hops.get(&neighbour).filter(|hop| !hop.is_ready || hop.untold.contains_key(&by))?;
        Some(hop.heard.clone())
    }

    /// (On a server.) Resolves when it is not too early any more. Not if the connection ends before.
    pub(crate) async fn may_be_asked(&self, neighbour: PeerId, by: PeerId) {
        while let Some(heard) = self.waits_to_ask(neighbour, by) {
            let told = heard.notified();
            if self.is_too_early(neighbour, by) {
                told.await;
            }
        }
    }

    /// The server has said that a peer is gone: until [`Ties::is_gone`] nothing goes to that peer, so that nothing is on its way
    /// that is not broken here.
    fn goes(&self, gone: PeerId) {
        if let Some(hop) = self.hops.lock().get_mut(&PeerId::SERVER) {
            hop.going.insert(gone);
        }
    }

    /// All ties to a peer that is gone are told. Now the server is told that this is known, for it holds back until then what may
    /// begin new ones.
    fn is_gone(&self, gone: PeerId) {
        if let Some(hop) = self.hops.lock().get_mut(&PeerId::SERVER) {
            // If it is not to be reached, it knows nothing of before anyway.
            let _ = hop.push(&hot::Frame::Gone { peer: gone }.encode(), false);
            hop.going.remove(&gone);
        }
    }

    /// A connection to a neighbour begins. A client hails first.
    pub(crate) fn begin(&self, neighbour: PeerId, link: &Link) {
        let mut hops = self.hops.lock();
        let hop = hops.entry(neighbour).or_insert_with(Hop::new);
        hop.link = Some(link.clone());
        hop.is_ready = false;
        hop.sent = 0;
        hop.hail = (!self.is_server()).then(|| {
            let frame = hot::Frame::Hail { stream: hop.stream, of: hop.theirs, received: hop.received };
            frame.encode()
        });
        hop.note_behind();
        hop.wake.notify_one();
    }

    /// The connection has ended.
    pub(crate) fn end(&self, neighbour: PeerId) {
        if let Some(hop) = self.hops.lock().get_mut(&neighbour) {
            hop.link = None;
            hop.is_ready = false;
            hop.hail = None;
        }
    }

    /// The neighbour says how the streams go on.
    ///
    /// # Errors
    /// The neighbour does not keep to the protocol.
    pub(crate) fn hailed(
        &self,
        neighbour: PeerId,
        stream: u64,
        of: u64,
        received: u64,
    ) -> Result<Hailed, String> {
        let mut hops = self.hops.lock();
        let Some(hop) = hops.get_mut(&neighbour) else { return Err("nobody was to hail".into()) };
        if hop.is_ready {
            return Err("the peer hails twice".into());
        }
        let knows_them = hop.theirs == stream || hop.theirs == 0;
        // Who never heard of this stream has received nothing of it, and nothing of it is confirmed.
        let knows_us = of == hop.stream || (of == 0 && hop.confirmed == 0 && received == 0);
        // The server has forgotten what there was, and there was nothing.
        let is_first = !self.is_server() && hop.theirs == 0 && of == 0;
        if hop.is_lost || !(knows_them && (knows_us || is_first)) {
            // Until its ties are told, nothing new begins over it.
            hop.is_closed = true;
            return Ok(Hailed::Anew);
        }
        hop.theirs = stream;
        hop.confirm(if is_first { hop.confirmed } else { received })?;
        if self.is_server() {
            let answer = hot::Frame::Hail { stream: hop.stream, of: stream, received: hop.received };
            hop.hail = Some(answer.encode());
        }
        hop.ready();
        Ok(Hailed::GoesOn)
    }

    /// The streams begin anew, after [`Hailed::Anew`]: what was tied over them is told.
    pub(crate) fn begin_anew(&self, neighbour: PeerId, theirs: u64) {
        let mut hops = self.hops.lock();
        let Some(old) = hops.remove(&neighbour) else { return };
        let Hop { stream, kept, link, wake, hailed, heard, .. } = old;
        let mut hop = Hop { theirs, link, wake, hailed, heard, ..Hop::after(kept) };
        if self.is_server() {
            let answer = hot::Frame::Hail { stream: hop.stream, of: 0, received: 0 };
            hop.hail = Some(answer.encode());
        } else {
            // The server knows it by this number, and expects its first frame.
            hop.stream = stream;
        }
        // Who waits to ask it looks again: who has forgotten everything need not hear who was gone.
        hop.ready();
        hops.insert(neighbour, hop);
    }

    /// Nothing goes to a neighbour any more: it is given up. To be called before its ties are told.
    pub(crate) fn close(&self, neighbour: PeerId) {
        if let Some(hop) = self.hops.lock().get_mut(&neighbour) {
            hop.is_closed = true;
        }
    }

    /// The neighbour is given up and its ties are told: a server forgets it, and a client begins with
    /// streams of other numbers when it is there again.
    pub(crate) fn forget(&self, neighbour: PeerId) {
        let mut hops = self.hops.lock();
        let old = hops.remove(&neighbour);
        if self.is_server() {
            old.inspect(|old| old.heard.notify_waiters());
        } else {
            let kept = old.map(|old| old.kept).unwrap_or_default();
            hops.insert(neighbour, Hop { is_closed: true, ..Hop::after(kept) });
        }
    }

    /// A client that had given its server up has a connection to it again.
    pub(crate) fn open(&self, neighbour: PeerId) {
        if let Some(hop) = self.hops.lock().get_mut(&neighbour) {
            hop.is_closed = false;
        }
    }

    /// Whether more was to be kept for a neighbour than can be.
    pub(crate) fn is_lost(&self, neighbour: PeerId) -> bool {
        self.hops.lock().get(&neighbour).is_some_and(|hop| hop.is_lost)
    }

    /// A sure frame has come in. Gives what confirms it and those before it, now and then.
    ///
    /// # Errors
    /// The neighbour has not hailed.
    pub(crate) fn came_in(&self, neighbour: PeerId) -> Result<Option<Bytes>, String> {
        let mut hops = self.hops.lock();
        let hop = hops.get_mut(&neighbour).filter(|hop| hop.theirs != 0 && hop.is_ready);
        let hop = hop.ok_or("the peer says something of links before it says how they go on")?;
        hop.received += 1;
        let confirms = hop.received.is_multiple_of(CONFIRM_EVERY);
        Ok(confirms.then(|| hot::Frame::Received(hop.received).encode()))
    }

    /// The neighbour has received so many.
    ///
    /// # Errors
    /// So many were never sent.
    pub(crate) fn confirmed(&self, neighbour: PeerId, count: u64) -> Result<(), String> {
        self.hops.lock().get_mut(&neighbour).map_or(Ok(()), |hop| hop.confirm(count))
    }

    /// Told when something waits to go out to a neighbour.
    pub(crate) fn waits_for(&self, neighbour: PeerId) -> Arc<Notify> {
        self.hops.lock().get(&neighbour).map(|hop| hop.wake.clone()).unwrap_or_default()
    }

    /// Resolves when a neighbour has said how the streams go on over the connection that is there now: `false` if they have begun
    /// anew meanwhile.
    pub(crate) async fn go_on(&self, neighbour: PeerId) -> bool {
        let look = || {
            let hops = self.hops.lock();
            hops.get(&neighbour).map(|hop| (hop.number, hop.is_ready, hop.hailed.clone()))
        };
        let before = look().map(|(number, ..)| number);
        while let Some((_, false, hailed)) = look() {
            let told = hailed.notified();
            if look().is_some_and(|(_, is_ready, _)| !is_ready) {
                told.await;
            }
        }
        look().map(|(number, ..)| number) == before
    }

    /// What is to go out next over this connection, which counts as sent. When it is,
    /// [`Ties::went_out`].
    pub(crate) fn next_for(&self, neighbour: PeerId) -> Option<Bytes> {
        let mut hops = self.hops.lock();
        let hop = hops.get_mut(&neighbour)?;
        if let Some(hail) = hop.hail.take() {
            return Some(hail);
        }
        let frame = hop.kept.get(hop.sent).filter(|_| hop.is_ready)?.clone();
        hop.sent += 1;
        Some(frame)
    }

    /// What was to go out is in the lane.
    pub(crate) fn went_out(&self, neighbour: PeerId) {
        if let Some(hop) = self.hops.lock().get(&neighbour) {
            hop.note_behind();
        }
    }

    /// How many frames are kept for each neighbour.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> Vec<(PeerId, usize)> {
        self.hops.lock().iter().map(|(id, hop)| (*id, hop.kept.len())).collect()
    }

    /// All neighbours that there are streams with.
    pub(crate) fn neighbours(&self) -> Vec<PeerId> {
        self.hops.lock().keys().copied().collect()
    }
}

impl Inner {
    /// A connection to a neighbour begins.
    pub(crate) fn begin_ties(&self, neighbour: PeerId, link: &Link) {
        if !self.is_server() {
            if self.ties.is_lost(neighbour) {
                self.give_up(neighbour);
            }
            self.ties.open(neighbour);
        }
        self.ties.begin(neighbour, link);
    }

    /// A neighbour is not to be reached any more: whatever is tied over it is told.
    pub(crate) fn give_up(&self, neighbour: PeerId) {
        self.claims.are_forgotten();
        self.ties.close(neighbour);
        self.tell_gone(neighbour);
        self.ties.forget(neighbour);
    }

    fn tell_gone(&self, neighbour: PeerId) {
        if !self.is_server() {
            // All others are behind it.
            self.processes.peers_gone(|_| true);
            return;
        }
        self.processes.peers_gone(|peer| peer == neighbour);
        for other in self.ties.neighbours().into_iter().filter(|other| *other != neighbour) {
            self.ties.tell_gone(other, neighbour);
            // Its calls may be on their way there, in a lane that is slower: they would come behind that.
            for (process, call) in
                self.network.way_to(other).into_iter().flat_map(|way| way.passed.take(neighbour))
            {
                self.forsake_call(process, other, call);
            }
        }
    }

    /// The server says that another client is gone.
    pub(crate) fn told_gone(&self, gone: PeerId) {
        self.ties.goes(gone);
        self.processes.peers_gone(|peer| peer == gone);
        self.ties.is_gone(gone);
        // What it answered may be on its way, and is about processes that know nothing of the asker any more.
        self.network.fail_calls(|to| to == gone);
    }

    /// Waits, while there is a connection to or towards a peer, until the streams go on over it: else what is asked for now to
    /// be tied to it could be taken for something of before.
    pub(crate) async fn ties_go_on(&self, peer: PeerId) {
        let Some(link) = self.network.way_to(peer) else { return };
        let neighbour = if self.is_server() { peer } else { PeerId::SERVER };
        tokio::select! {
            _goes_on = self.ties.go_on(neighbour) => {}
            () = link.closed.cancelled() => {}
        }
    }

    /// A neighbour says how the streams go on.
    ///
    /// # Errors
    /// It does not keep to the protocol.
    pub(crate) fn hailed(
        self: &Arc<Self>,
        neighbour: PeerId,
        stream: u64,
        of: u64,
        received: u64,
    ) -> Result<(), String> {
        if let Hailed::Anew = self.ties.hailed(neighbour, stream, of, received)? {
            self.claims.are_forgotten();
            self.tell_gone(neighbour);
            self.ties.begin_anew(neighbour, stream);
        }
        // A server hails when it has told that this client was gone, if it was: what it is asked for now, it keeps.
        self.claim_again();
        Ok(())
    }

    /// Passes a sure frame on to another client. If what it begins cannot be, its sender is told.
    pub(crate) fn pass_on(&self, from: ProcessId, to: ProcessId, bytes: &Bytes) {
        // A call may have reached the one that has forgotten the rest.
        if !hot::is_forsaken(bytes) && self.ties.is_of_before(from.peer(), to.peer()) {
            return;
        }
        let tie = match hot::Frame::decode(bytes) {
            Ok(hot::Frame::Tie { tie, .. }) => tie,
            // If its receiver is not there, it has forgotten what there was.
            Ok(frame) => {
                if let hot::Frame::Forsake { call, .. } = frame
                    && let Some(way) = self.network.way_to(to.peer())
                {
                    way.passed.is_over(from.peer(), call);
                }
                let _ = self.ties.send(&self.network, to.peer(), bytes, false);
                return;
            }
            Err(_) => return,
        };
        let Err(error) = self.ties.send(&self.network, to.peer(), bytes, tie.begins()) else { return };
        let kind = if error == SendError::Full { ExitKind::Limit } else { ExitKind::NoConnection };
        let reason = ExitReason::of_kind(kind);
        let answer = match tie {
            hot::Tie::Link => Tie::Exit(reason),
            hot::Tie::Monitor(number) => Tie::Down(number, reason),
            // Nobody will answer it, and what the other says of the link from here on is new.
            hot::Tie::Unlink => Tie::Unlinked,
            _ => return,
        };
        let _ = self.ties.send(&self.network, from.peer(), &encode(to, from, answer), false);
    }

    /// What the peer of another process says of a link or monitor with one of ours.
    pub(crate) fn tied(&self, from: ProcessId, to: ProcessId, tie: hot::Tie) {
        let reason = |bytes: &[u8]| {
            // It was looked at when it was decoded.
            ExitReason::decode(bytes).unwrap_or_else(|_| ExitReason::of_kind(ExitKind::Error))
        };
        let tie = match tie {
            hot::Tie::Link => Tie::Link,
            hot::Tie::Unlink => Tie::Unlink,
            hot::Tie::Unlinked => Tie::Unlinked,
            hot::Tie::Monitor(number) => Tie::Monitor(number),
            hot::Tie::Demonitor(number) => Tie::Demonitor(number),
            hot::Tie::Exit(bytes) => Tie::Exit(reason(&bytes)),
            hot::Tie::Down(number, bytes) => Tie::Down(number, reason(&bytes)),
        };
        self.processes.tie(from, to, tie);
    }

    /// Tells another peer that one of ours has no answer to what it has asked for, to be tied to it, by a call of this number.
    pub(crate) fn forsake_call(&self, from: ProcessId, peer: PeerId, call: u64) {
        let frame = hot::Frame::Forsake { peer, from, call };
        // If that is not to be reached, it learns that of this peer.
        let _ = self.ties.send(&self.network, peer, &frame.encode(), false);
    }

    /// Tells another peer of a link or monitor.
    ///
    /// # Errors
    /// As [`Ties::send`].
    pub(crate) fn tell_tie(&self, from: ProcessId, to: ProcessId, tie: Tie) -> Result<(), SendError> {
        let begins = matches!(tie, Tie::Link | Tie::Monitor(_));
        self.ties.send(&self.network, to.peer(), &encode(from, to, tie), begins)
    }
}

fn encode(from: ProcessId, to: ProcessId, tie: Tie) -> Bytes {
    let tie = match tie {
        Tie::Link => hot::Tie::Link,
        Tie::Unlink => hot::Tie::Unlink,
        Tie::Unlinked => hot::Tie::Unlinked,
        Tie::Monitor(number) => hot::Tie::Monitor(number),
        Tie::Demonitor(number) => hot::Tie::Demonitor(number),
        Tie::Exit(reason) => hot::Tie::Exit(reason.encode().into()),
        Tie::Down(number, reason) => hot::Tie::Down(number, reason.encode().into()),
    };
    hot::Frame::Tie { to, from, tie }.encode()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn hailed(ties: &Ties, stream: u64, of: u64, received: u64) -> Result<bool, String> {
        let hailed = ties.hailed(PeerId::SERVER, stream, of, received);
        hailed.map(|hailed| matches!(hailed, Hailed::GoesOn))
    }

    /// A client's streams, with so many frames that wait.
    fn client(frames: usize) -> (Ties, u64) {
        let ties = Ties::new(PeerId::new(1).unwrap());
        let stream = {
            let mut hops = ties.hops.lock();
            let hop = hops.get_mut(&PeerId::SERVER).unwrap();
            (0..frames).for_each(|n| hop.push(&[n as u8], false).unwrap());
            hop.stream
        };
        (ties, stream)
    }

    fn waiting(ties: &Ties) -> Vec<u8> {
        std::iter::from_fn(|| ties.next_for(PeerId::SERVER)).map(|frame| frame[0]).collect()
    }

    #[test]
    fn what_was_not_received_goes_out_again() {
        let (ties, stream) = client(4);
        assert!(waiting(&ties).is_empty(), "the server has not said what it has");
        assert_eq!(hailed(&ties, 9, stream, 0), Ok(true));
        assert_eq!(waiting(&ties), [0, 1, 2, 3]);
        ties.confirmed(PeerId::SERVER, 1).unwrap();
        assert!(ties.confirmed(PeerId::SERVER, 5).is_err() && ties.confirmed(PeerId::SERVER, 0).is_err());
        ties.end(PeerId::SERVER);
        ties.hops.lock().get_mut(&PeerId::SERVER).unwrap().sent = 0;
        assert_eq!(hailed(&ties, 9, stream, 3), Ok(true));
        assert!(hailed(&ties, 9, stream, 3).is_err(), "twice");
        assert_eq!(waiting(&ties), [3]);
    }

    #[test]
    fn a_server_that_has_forgotten_is_another() {
        // Of what was never sent nothing is lost.
        let (ties, _) = client(2);
        assert_eq!(hailed(&ties, 9, 0, 0), Ok(true));
        assert_eq!(waiting(&ties), [0, 1]);
        ties.end(PeerId::SERVER);
        assert_eq!(hailed(&ties, 8, 0, 0), Ok(false));
        let mut hops = ties.hops.lock();
        let hop = hops.get_mut(&PeerId::SERVER).unwrap();
        assert_eq!(hop.push(&[3], false), Err(SendError::NoPeer), "until its ties are told");
        drop(hops);
        ties.begin_anew(PeerId::SERVER, 8);
        assert!(waiting(&ties).is_empty());
        ties.hops.lock().get_mut(&PeerId::SERVER).unwrap().push(&[4], false).unwrap();
        assert_eq!(waiting(&ties), [4]);
    }

    #[test]
    fn what_is_forsaken_is_so_when_streams_begin_anew() {
        let (ties, stream) = client(1);
        let (peer, from) = (PeerId::new(2).unwrap(), ProcessId::from_bits(0x1000_0000_0001));
        let forsaken = |call| hot::Frame::Forsake { peer, from, call }.encode();
        let push = |call| ties.hops.lock().get_mut(&PeerId::SERVER).unwrap().push(&forsaken(call), false);
        let waiting = || Vec::from_iter(std::iter::from_fn(|| ties.next_for(PeerId::SERVER)));
        assert_eq!(push(1), Ok(()));
        // This peer gives its server up.
        ties.close(PeerId::SERVER);
        ties.forget(PeerId::SERVER);
        assert_eq!(push(2), Ok(()));
        ties.open(PeerId::SERVER);
        assert_ne!(ties.hops.lock()[&PeerId::SERVER].stream, stream);
        assert_eq!(hailed(&ties, 9, 0, 0), Ok(true));
        assert_eq!(waiting(), [forsaken(1), forsaken(2)]);
        // The server has forgotten this peer.
        ties.end(PeerId::SERVER);
        assert_eq!(hailed(&ties, 8, 0, 0), Ok(false));
        assert_eq!(push(3), Ok(()));
        ties.begin_anew(PeerId::SERVER, 8);
        assert_eq!(waiting(), [forsaken(1), forsaken(2), forsaken(3)]);
        ties.confirmed(PeerId::SERVER, 3).unwrap();
        assert_eq!(ties.kept(), [(PeerId::SERVER, 0)]);
    }

    #[test]
    fn a_peer_says_that_it_knows_who_is_gone() {
        let ties = Ties::new(PeerId::SERVER);
        let (one, other) = (PeerId::new(1).unwrap(), PeerId::new(2).unwrap());
        ties.hops.lock().insert(one, Hop::new());
        (0..2).for_each(|_| ties.tell_gone(one, other));
        for _ in 0..2 {
            assert!(ties.is_of_before(one, other) && !ties.is_of_before(other, one));
            ties.knows_gone(one, other).unwrap();
        }
        assert!(!ties.is_of_before(one, other));
        assert!(ties.knows_gone(one, other).is_err() && ties.knows_gone(other, one).is_err());
        // On the other side, where that is said when all is told, nothing goes to one that is being told of.
        let (ties, _) = client(0);
        let network = Network::new(one);
        ties.goes(other);
        assert_eq!(ties.send(&network, other, &[1], true), Err(SendError::NoPeer));
        assert_eq!(ties.kept(), [(PeerId::SERVER, 0)]);
        assert_eq!(ties.send(&network, PeerId::SERVER, &[1], true), Ok(()));
        ties.is_gone(other);
        assert_eq!(ties.kept(), [(PeerId::SERVER, 2)]);
        assert_eq!(ties.send(&network, other, &[1], true), Ok(()));
    }

    #[tokio::test]
    async fn it_is_waited_until_a_peer_may_be_asked() {
        let ties = Ties::new(PeerId::SERVER);
        let (one, other) = (PeerId::new(1).unwrap(), PeerId::new(2).unwrap());
        let may_be_asked = || ties.may_be_asked(one, other);
        may_be_asked().await;
        let tell_gone = || (0..2).for_each(|_| ties.tell_gone(one, other));
        type Does<'a> = &'a dyn Fn();
        let waits: [(Does<'_>, Does<'_>); 4] = [
            (&|| ties.expect(one), &|| ties.hops.lock().get_mut(&one).unwrap().ready()),
            (&tell_gone, &|| (0..2).for_each(|_| ties.knows_gone(one, other).unwrap())),
            // It has forgotten everything, or is forgotten.
            (&tell_gone, &|| ties.begin_anew(one, 7)),
            (&tell_gone, &|| ties.forget(one)),
        ];
        for (begins, ends) in waits {
            begins();
            assert!(ties.is_too_early(one, other));
            let mut asked = std::pin::pin!(may_be_asked());
            assert!(tokio::time::timeout(std::time::Duration::ZERO, &mut asked).await.is_err());
            ends();
            asked.await;
            assert!(!ties.is_too_early(one, other));
        }
    }

    #[tokio::test]
    async fn more_than_can_be_kept_ends_the_way() {
        let (ties, stream) = client(KEPT_MAX / 2);
        let push = |begins| ties.hops.lock().get_mut(&PeerId::SERVER).unwrap().push(&[1], begins);
        assert_eq!(push(true), Err(SendError::Full));
        (0..KEPT_MAX / 2).for_each(|_| push(false).unwrap());
        assert!(!ties.is_lost(PeerId::SERVER));
        push(false).unwrap();
        assert!(ties.is_lost(PeerId::SERVER));
        assert_eq!(hailed(&ties, 9, stream, 0), Ok(false));
    }
}
