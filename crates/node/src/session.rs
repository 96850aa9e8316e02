// SPDX-License-Identifier: AGPL-3.0-or-later
//! What goes on over one link, on either side: what comes in each lane, and what of scene and screens goes out.

use crate::{
    lumps::chain,
    network::{Link, failure},
    node::{Inner, SPAWN_TIME_MAX},
    screens::{INTERVAL, Received, Sent},
};
use bytes::Bytes;
use hearth_abi::{Errno, LumpId, PeerId, ProcessId};
use hearth_net::{CloseReason, LaneReceiver, LinkReceiver};
use hearth_process::{ExitReason, SendError};
use hearth_protocol::{
    FrameError, bulk,
    control::{Control, Request, Response},
    hot, screen,
};
use std::{collections::HashMap, sync::Arc};
use tokio::{sync::oneshot, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// Most lumps that a neighbour may want at a time.
const WANTS_MAX: usize = 1024;

/// How a session ended.
pub(crate) struct End {
    /// The peer said that it goes.
    pub(crate) said: bool,
    /// Why, for people.
    pub(crate) reason: String,
}

/// Serves a link until it ends. `peer` is who is at the other end.
pub(crate) async fn run(inner: &Arc<Inner>, peer: PeerId, link: &Link, lanes: LinkReceiver) -> End {
    let session = Session { inner: inner.clone(), peer, link: link.clone() };
    inner.begin_ties(peer, link);
    // Tasks of their own: a large screen takes a while to read and to make, and no message waits for that.
    let mut screens = JoinSet::new();
    screens.spawn(session.clone().screens_in(lanes.screen));
    screens.spawn(session.clone().screens_out());
    let closed = link.sender.link().clone();
    let mut said = false;
    let reason = tokio::select! {
        reason = closed.closed() => {
            said = reason == CloseReason::Peer;
            reason.to_string()
        }
        error = session.control(lanes.control) => error,
        error = session.hot(lanes.hot) => error,
        error = session.bulk(lanes.bulk) => error,
        error = session.scene() => error,
        error = session.ties() => error,
        Some(ended) = screens.join_next() => ended.unwrap_or_else(|error| error.to_string()),
        () = inner.shutdown.cancelled() => {
            closed.close().await;
            "this peer shuts down".into()
        }
    };
    // Before the next link to this peer may begin.
    screens.shutdown().await;
    inner.ties.end(peer);
    link.closed.cancel();
    link.transfers.close();
    // Also when it is this side that found a reason: the other is told.
    let control = link.sender.link().clone();
    tokio::spawn(async move { control.close().await });
    End { said, reason }
}

/// A lump that the neighbour wants.
struct Want {
    /// Cancelled when it wants it no longer, or has it.
    token: CancellationToken,
    /// Told from where, once.
    resume: Option<oneshot::Sender<u64>>,
}

#[derive(Clone)]
struct Session {
    inner: Arc<Inner>,
    peer: PeerId,
    link: Link,
}

/// The end of a lane is the end of the link, whose reason is told by the link.
async fn lane_ended() -> String {
    std::future::pending().await
}

impl Session {
    async fn control(&self, mut lane: LaneReceiver) -> String {
        let mut wants: HashMap<u32, Want> = HashMap::new();
        while let Some(bytes) = lane.recv().await {
            let frame = match Control::decode(&bytes) {
                Ok(frame) => frame,
                Err(error) => return protocol_error(&error),
            };
            match frame {
                Control::Want { transfer, lump } => {
                    wants.retain(|_, want| !want.token.is_cancelled());
                    if wants.contains_key(&transfer) {
                        return format!("the peer gave the number of transfer {transfer} twice");
                    }
                    if wants.len() >= WANTS_MAX {
                        let missing = bulk::Frame::Missing { transfer }.encode();
                        let _ = self.link.sender.try_bulk(missing);
                        continue;
                    }
                    let token = self.link.closed.child_token();
                    let (resume, resumed) = oneshot::channel();
                    wants.insert(transfer, Want { token: token.clone(), resume: Some(resume) });
                    let (lumps, link, peer) = (self.inner.lumps.clone(), self.link.clone(), self.peer);
                    tokio::spawn(async move {
                        lumps.serve(link, peer, transfer, LumpId(lump), resumed, token.clone()).await;
                        token.cancel();
                    });
                }
                Control::Resume { transfer, offset } => {
                    // One that is over may still be resumed.
                    if let Some(resume) = wants.get_mut(&transfer).and_then(|want| want.resume.take()) {
                        let _ = resume.send(offset);
                    }
                }
                Control::Cancel { transfer } => {
                    if let Some(want) = wants.remove(&transfer) {
                        want.token.cancel();
                    }
                }
                Control::Call { to, id, request, from } => {
                    // A server vouches for its clients; a client believes its server.
                    let from = if self.inner.is_server() { self.peer.number() } else { from };
                    self.call(from, to, id, request);
                }
                Control::Return { from, to, id, result } => {
                    let from = if self.inner.is_server() { self.peer.number() } else { from };
                    if to == self.inner.me.number() {
                        if let Some(from) = PeerId::new(from) {
                            self.inner.network.returned(from, id, result);
                        }
                    } else {
                        if let Some(to) = PeerId::new(to) {
                            self.link.passed.is_over(to, id);
                        }
                        self.forward(to, &Control::Return { from, to, id, result });
                    }
                }
                Control::Joined { peer } if !self.inner.is_server() => {
                    if let Some(id) = peer.peer_id() {
                        self.inner.network.came(id, peer);
                        self.inner.terminal_peer_came(id);
                    }
                }
                Control::Left { peer } if !self.inner.is_server() => {
                    if let Some(id) = PeerId::new(peer).filter(|id| *id != PeerId::SERVER) {
                        self.inner.network.remove(id);
                        self.inner.terminal_peer_went(id);
                    }
                }
                Control::Join { .. }
                | Control::Welcome { .. }
                | Control::Joined { .. }
                | Control::Left { .. } => return "the peer sent what is not its to send".into(),
            }
        }
        lane_ended().await
    }

    fn call(&self, from: u32, to: u32, id: u64, request: Request) {
        let answer = |result| Control::Return { from: to, to: from, id, result };
        if to != self.inner.me.number() {
            return self.pass_on(from, to, id, request);
        }
        let is_tied = matches!(request, Request::SpawnTied { .. });
        let (Some(from_id), Ok(permit)) =
            (PeerId::new(from), self.link.answering.clone().try_acquire_owned())
        else {
            let busy = failure(Errno::Limit, "too many calls of this peer are being answered");
            self.answer_at_once(&answer(Err(busy)));
            return;
        };
        let (inner, link, ended) = (self.inner.clone(), self.link.clone(), self.link.closed.clone());
        let (me, neighbour) = (to, self.peer);
        tokio::spawn(async move {
            let answer = async {
                // Else it would be of before when the neighbour says that nothing of that is known; and whoever asks may have said
                // over the streams of before that it waits no longer.
                if is_tied && !inner.ties.go_on(neighbour).await {
                    return Err(failure(Errno::NoPeer, "the peer was not to be reached meanwhile"));
                }
                inner.answer_call(from_id, id, request).await
            };
            let result = tokio::select! {
                result = answer => result,
                () = ended.cancelled() => return,
            };
            let frame = Control::Return { from: me, to: from, id, result };
            if let Err(error) = link.control(&frame).await {
                if let Control::Return { result: Ok(Response::Spawned { process }), .. } = &frame {
                    // The answer does not go out: nobody will claim it.
                    inner.processes.forsake(ProcessId::from_bits(*process));
                }
                // What is too long for a frame is said so; a link that is gone needs no answer.
                let _ = link.control(&Control::Return { from: me, to: from, id, result: Err(error) }).await;
            }
            drop(permit);
        });
    }

    /// Passes a call on to another client.
    fn pass_on(&self, from: u32, to: u32, id: u64, request: Request) {
        let parent = match &request {
            Request::SpawnTied { parent, .. } => Some(ProcessId::from_bits(*parent)),
            _ => None,
        };
        let (is_tied, other) = (parent.is_some(), PeerId::new(to));
        let call = Control::Call { from, to, id, request };
        let fail = |errno, reason: String| {
            let result = Err(failure(errno, reason));
            self.answer_at_once(&Control::Return { from: to, to: from, id, result });
        };
        let gone = || fail(Errno::NoPeer, format!("peer {to} is not connected"));
        if parent.is_some_and(|parent| parent.peer() != self.peer) {
            return fail(Errno::Invalid, "the process that asks is not of this peer".into());
        }
        // It does not know yet that the one it asks has forgotten what there was: what came of that would be told as lost.
        if is_tied && other.is_some_and(|other| self.inner.ties.is_of_before(self.peer, other)) {
            return gone();
        }
        // The one that is asked may turn out to have forgotten everything, when it says how its streams go on: this one has to hear
        // of that before it has an answer, for it would claim, and take that for lost. And the one that is asked may still have to
        // hear that this one was gone: it would take what comes of this for lost.
        if let Some(other) = other.filter(|other| is_tied && self.inner.ties.is_too_early(*other, self.peer))
        {
            let Some(way) = self.inner.network.way_to(other) else { return gone() };
            let Ok(permit) = self.link.answering.clone().try_acquire_owned() else {
                return fail(Errno::Limit, "too many calls of this peer are being answered".into());
            };
            let session = self.clone();
            tokio::spawn(async move {
                let Session { inner, peer, link } = &session;
                tokio::select! {
                    () = inner.ties.may_be_asked(other, *peer) => {}
                    () = way.closed.cancelled() => {}
                    () = link.closed.cancelled() => return,
                    () = tokio::time::sleep(SPAWN_TIME_MAX) => {
                        let result = Err(failure(Errno::TimedOut, format!("peer {to} is not ready")));
                        return session.answer_at_once(&Control::Return { from: to, to: from, id, result });
                    }
                }
                drop(permit);
                if let Control::Call { request, .. } = call {
                    session.pass_on(from, to, id, request);
                }
            });
            return;
        }
        let Some(parent) = parent else {
            if !self.forward(to, &call) {
                gone();
            }
            return;
        };
        // If this one is given up before it has the answer, the server says in its stead that it is forsaken.
        let Some(way) = other.and_then(|other| self.way_on(other)) else { return gone() };
        if !way.passed.note(parent, id) {
            return fail(Errno::Limit, format!("too many calls wait for an answer of peer {to}"));
        }
        // It is given up when this has ended. Whoever does so before this is looked at finds what was noted.
        let goes = !self.link.closed.is_cancelled()
            && call.encode().is_ok_and(|bytes| way.sender.try_control(bytes).is_ok());
        if !goes {
            way.passed.is_over(self.peer, id);
            gone();
        }
    }

    /// The link to another client.
    fn way_on(&self, to: PeerId) -> Option<Link> {
        self.inner.is_server().then(|| self.inner.network.way_to(to))?
    }

    /// Answers from the task that reads, which must not wait for the neighbour to read: it may be waiting for
    /// us in the same way. Who does not read its answers runs out of time.
    fn answer_at_once(&self, frame: &Control) {
        if let Ok(bytes) = frame.encode() {
            let _ = self.link.sender.try_control(bytes);
        }
    }

    /// Passes a frame on to another client. Does not wait, so that a slow client delays nobody but
    /// those who call it: when its way is full, their calls run out of time.
    fn forward(&self, to: u32, frame: &Control) -> bool {
        let link = PeerId::new(to).and_then(|to| self.way_on(to));
        match (link, frame.encode()) {
            (Some(link), Ok(bytes)) => link.sender.try_control(bytes).is_ok(),
            _ => false,
        }
    }

    async fn hot(&self, mut lane: LaneReceiver) -> String {
        while let Some(bytes) = lane.recv().await {
            if hot::is_sure(&bytes) {
                match self.inner.ties.came_in(self.peer) {
                    // Without room for it, a later one confirms as much.
                    Ok(Some(confirms)) => drop(self.link.sender.try_hot(confirms)),
                    Ok(None) => {}
                    Err(reason) => return reason,
                }
            }
            let result = match hot::route(&bytes) {
                Ok(Some(route)) => self.routed(route, bytes),
                Ok(None) => hot::Frame::decode(&bytes).map(|frame| match frame {
                    hot::Frame::Scene(unit) => self.inner.world.receive(&self.inner, self.peer, &unit),
                    hot::Frame::Hail { stream, of, received } => {
                        self.inner.hailed(self.peer, stream, of, received)
                    }
                    hot::Frame::Received(count) => self.inner.ties.confirmed(self.peer, count),
                    hot::Frame::Gone { peer } if !self.inner.is_server() => {
                        self.inner.told_gone(peer);
                        Ok(())
                    }
                    hot::Frame::Gone { peer } => self.inner.ties.knows_gone(self.peer, peer),
                    _ => Ok(()),
                }),
                Err(error) => Err(error),
            };
            match result {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => return reason,
                Err(error) => return protocol_error(&error),
            }
        }
        lane_ended().await
    }

    /// A frame between processes: for one of ours, or, on a server, for another client.
    fn routed(&self, route: hot::Route, bytes: Bytes) -> Result<Result<(), String>, FrameError> {
        let from_bits = route.from.to_bits();
        if self.inner.is_server() && from_bits != 0 && route.from.peer() != self.peer {
            return Ok(Err(format!("the peer sent a message in the name of {}", route.from)));
        }
        if route.to.peer() != self.inner.me {
            // What would make its receiver hang up on us ends here.
            hot::check(&bytes)?;
            if self.inner.is_server() && hot::is_sure(&bytes) {
                self.inner.pass_on(route.from, route.to, &bytes);
                return Ok(Ok(()));
            }
            if self.inner.is_server() && self.inner.network.try_hot(route.to.peer(), bytes).is_err() {
                self.inner.note_lost(self.peer, route.to);
            }
            return Ok(Ok(()));
        }
        match hot::Frame::decode(&bytes)? {
            hot::Frame::Message { to, from, body } => {
                if self.inner.deliver(from, to, body).is_err() {
                    self.inner.note_lost(self.peer, to);
                }
            }
            hot::Frame::Kill { to, from, reason } => {
                // Killing what has ended is no error.
                let _ = self.inner.processes.kill(from, to, &reason);
            }
            hot::Frame::Terminal { terminal, from, command } => {
                return Ok(self.inner.terminal_input(from.peer(), terminal, &command));
            }
            hot::Frame::Pointer { to, user, event } => self.inner.touched_from(to, user, &event),
            hot::Frame::Keyboard { to, user, event } => self.inner.typed_from(to, user, &event),
            hot::Frame::Leave { from, .. } => self.inner.take_typing(|typing| typing.owner == from),
            hot::Frame::Tie { to, from, tie } => self.inner.tied(from, to, tie),
            hot::Frame::Forsake { from, call, .. } => self.inner.processes.forsake_call(from, call),
            hot::Frame::ExitTo { to, from, reason } => {
                let reason = ExitReason::decode(&reason).map_err(FrameError::from)?;
                // As with a kill; who traps exits and has a full mailbox loses it, as it loses messages.
                if self.inner.processes.exit(from, to, &reason) == Err(SendError::Full) {
                    self.inner.note_lost(self.peer, to);
                }
            }
            // They have no route.
            hot::Frame::Scene(_)
            | hot::Frame::Gone { .. }
            | hot::Frame::Hail { .. }
            | hot::Frame::Received(_) => {}
        }
        Ok(Ok(()))
    }

    async fn bulk(&self, mut lane: LaneReceiver) -> String {
        while let Some(bytes) = lane.recv().await {
            match bulk::Frame::decode(&bytes) {
                Ok(frame) => self.link.transfers.receive(frame).await,
                Err(error) => return protocol_error(&error),
            }
        }
        lane_ended().await
    }

    /// Sends what is said of links and monitors, and could not go at once.
    async fn ties(&self) -> String {
        let ties = &self.inner.ties;
        let waits = ties.waits_for(self.peer);
        loop {
            let woken = waits.notified();
            while let Some(frame) = ties.next_for(self.peer) {
                if self.link.sender.hot(frame).await.is_err() {
                    return lane_ended().await;
                }
                ties.went_out(self.peer);
            }
            woken.await;
        }
    }

    /// Sends what changes in the scene, as fast as the link takes it.
    async fn scene(&self) -> String {
        let changed = self.inner.world.changed_for(self.peer);
        loop {
            let woken = changed.notified();
            while let Some(unit) = self.inner.world.next_for(self.peer) {
                if self.link.sender.hot(hot::Frame::Scene(unit).encode()).await.is_err() {
                    return lane_ended().await;
                }
            }
            woken.await;
        }
    }
}

impl Session {
    /// Takes what the neighbour says that terminals show.
    async fn screens_in(self, mut lane: LaneReceiver) -> String {
        let mut received = Received::default();
        while let Some(bytes) = lane.recv().await {
            let frame = match screen::Frame::decode(&bytes) {
                Ok(frame) => frame,
                Err(error) => return protocol_error(&error),
            };
            match self.inner.screens.receive(self.peer, &mut received, frame).await {
                Ok(changes) => self.inner.screens_changed(changes),
                Err(reason) => return reason,
            }
        }
        lane_ended().await
    }

    /// Sends what terminals show, of each the newest when there is room for it.
    async fn screens_out(self) -> String {
        let screens = &self.inner.screens;
        let changed = screens.changed_for(self.peer);
        let mut sent = Sent::default();
        let mut is_first = true;
        loop {
            let woken = changed.notified();
            let round = Instant::now();
            let mut frames = 0;
            let mut is_all = true;
            for terminal in screens.due(self.peer, &sent) {
                let next = screens.next_for(terminal, &mut sent).await;
                is_all &= next.is_some();
                for frame in next.into_iter().flatten() {
                    frames += 1;
                    if self.link.sender.screen(frame.encode()).await.is_err() {
                        return lane_ended().await;
                    }
                }
            }
            if is_all
                && std::mem::take(&mut is_first)
                && self.link.sender.screen(screen::Frame::All.encode()).await.is_err()
            {
                return lane_ended().await;
            }
            if frames > 0 || !is_all {
                tokio::time::sleep_until(round + INTERVAL).await;
            }
            if is_all {
                woken.await;
            }
        }
    }
}

fn protocol_error(error: &FrameError) -> String {
    format!("the peer does not keep to the protocol: {}", chain(error))
}
