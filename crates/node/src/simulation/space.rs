// SPDX-License-Identifier: AGPL-3.0-or-later
//! The peers of a simulation: whole nodes, a server's door and clients that come back by themselves, joined by wires
//! on which the simulation says what arrives.

use super::puppet::Nursery;
use crate::{
    client::{self, Entry},
    folder::Folder,
    grace::Grace,
    limits::PeerLimits,
    manifest::Manifest,
    node::{Inner, Parts, about_program},
    roster::Roster,
    server::Server,
    world::World,
};
use hearth_abi::PeerId;
use hearth_net::wire::{End, LANES, Wire, wire};
use hearth_scene::SceneFile;
use parking_lot::Mutex;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::sync::{Notify, broadcast};

/// The end of each wire that is the client's.
pub(super) const CLIENT: End = End::First;
/// The end that is the server's.
pub(super) const SERVER: End = End::Second;

/// Tells when the runtime has nothing to do.
#[derive(Clone, Default)]
pub(super) struct Idle(Arc<Notify>);

impl Idle {
    /// What the runtime is to call before it waits.
    pub(super) fn told(&self) -> impl Fn() + Send + Sync + 'static {
        let idle = self.0.clone();
        move || idle.notify_waiters()
    }

    /// Lets everything that can happen now happen.
    pub(super) async fn wait(&self) {
        self.0.notified().await;
    }
}

/// How one client reaches the server.
pub(super) struct Line {
    key: [u8; 32],
    name: String,
    state: Mutex<LineState>,
    opened: Notify,
}

#[derive(Default)]
struct LineState {
    /// Whether a new connection can be made.
    is_open: bool,
    /// Who is behind the door.
    server: Option<Arc<Server>>,
    wire: Option<Wire>,
    /// Wires that are broken, which the server has not seen.
    unseen: Vec<Wire>,
}

impl Line {
    fn connect(&self) -> Option<hearth_net::Link> {
        let mut state = self.state.lock();
        let server = state.server.clone().filter(|_| state.is_open)?;
        let (near, far, wire) = wire((self.key, &self.name), ([0; 32], "server"));
        tokio::spawn(server.admit(far));
        state.wire = Some(wire);
        Some(near)
    }

    async fn reach(self: Arc<Self>) -> hearth_net::Link {
        loop {
            let opened = self.opened.notified();
            if let Some(link) = self.connect() {
                return link;
            }
            opened.await;
        }
    }

    pub(super) fn open(&self) {
        self.state.lock().is_open = true;
        self.opened.notify_waiters();
    }

    /// Breaks the connection that there is, and lets no other be made. The client sees it, the server only if it is
    /// said so.
    pub(super) fn cut(&self, server_sees: bool) {
        let mut state = self.state.lock();
        state.is_open = false;
        let Some(wire) = state.wire.take() else { return };
        wire.cut(CLIENT);
        if server_sees {
            wire.cut(SERVER);
        } else {
            state.unseen.push(wire);
        }
    }

    /// The server sees what it has not.
    pub(super) fn see(&self) {
        let unseen = std::mem::take(&mut self.state.lock().unseen);
        unseen.iter().for_each(|wire| wire.cut(SERVER));
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.lock().is_open
    }

    /// The wire, while it holds.
    pub(super) fn wire(&self) -> Option<Wire> {
        let wire = self.state.lock().wire.clone();
        wire.filter(|wire| !wire.has_ended(CLIENT) && !wire.has_ended(SERVER))
    }
}

/// A peer that joined.
pub(super) struct Client {
    pub(super) inner: Arc<Inner>,
    pub(super) line: Arc<Line>,
    /// Told when it has waited for the server long enough.
    over: broadcast::Sender<PeerId>,
}

/// Something that is under way: on whose line, to which end, in which lane.
pub(super) type Frame = (usize, End, usize);

/// A server and its clients.
pub(super) struct Space {
    folder: TempDir,
    idle: Idle,
    /// Whom the server has waited for long enough.
    over: broadcast::Sender<PeerId>,
    /// How often a server was started.
    started: usize,
    pub(super) nursery: Nursery,
    pub(super) server: Arc<Server>,
    pub(super) clients: Vec<Client>,
}

fn start_server(folder: PathBuf, over: &broadcast::Sender<PeerId>, nursery: &Nursery) -> Arc<Server> {
    let roster = Roster::open(folder.join("peers")).unwrap();
    let folder = Folder::open(&folder).unwrap();
    let limits = PeerLimits::default();
    let world = World::server(SceneFile::open(&folder.path("scene.redb")).unwrap(), &limits).unwrap();
    let (me, name, space) = (PeerId::SERVER, "server".into(), "space".into());
    let parts = Parts { me, name, space, folder, world, limits, workers: 1 };
    let inner = Inner::start(parts).unwrap();
    // The node is new.
    let _ = inner.programs.set(nursery.clone());
    let about = about_program(0, "server", [0; 32], vec!["processes".into()]);
    inner.network.insert(PeerId::SERVER, about, None);
    Arc::new(Server::new(inner, roster, Grace::Told(over.clone())))
}

impl Space {
    pub(super) async fn start(clients: usize, idle: Idle) -> Space {
        let folder = tempfile::tempdir().unwrap();
        let over = broadcast::channel(64).0;
        let nursery = Nursery::default();
        let server = start_server(folder.path().join("server-1"), &over, &nursery);
        let mut space = Space { folder, idle, over, started: 1, nursery, server, clients: Vec::new() };
        for _ in 0..clients {
            space.join().await;
        }
        space
    }

    async fn join(&mut self) {
        let number = self.clients.len() + 1;
        let (name, key) = (format!("client {number}"), [number as u8; 32]);
        let state = LineState { is_open: true, server: Some(self.server.clone()), ..LineState::default() };
        let line =
            Arc::new(Line { key, name: name.clone(), state: Mutex::new(state), opened: Notify::new() });
        let reached = line.clone();
        let entry = Entry {
            address: "wire".into(),
            reach: Box::new(move || {
                let line = reached.clone();
                Box::pin(async move { Ok(line.reach().await) })
            }),
            about: about_program(0, &name, key, vec!["processes".into()]),
            retry: (Duration::ZERO, Duration::ZERO),
        };
        let (entry, joined) = {
            let mut joining = tokio::spawn(async move {
                let joined = entry.join().await.unwrap();
                (entry, joined)
            });
            loop {
                for lane in 0..LANES {
                    if let Some(wire) = line.wire() {
                        let _ = wire.deliver(SERVER, lane) | wire.deliver(CLIENT, lane);
                    }
                }
                if let Ok(joined) = tokio::time::timeout(Duration::from_millis(1), &mut joining).await {
                    break joined.unwrap();
                }
            }
        };
        let me = joined.me;
        let folder = Folder::open(&self.folder.path().join(&name)).unwrap();
        let world = World::client(me);
        let (space, limits) = ("space".into(), PeerLimits::default());
        let inner = Inner::start(Parts { me, name, space, folder, world, limits, workers: 1 }).unwrap();
        let _ = inner.programs.set(self.nursery.clone());
        client::enter(&inner, &joined);
        // It ends with the runtime.
        let over = broadcast::channel(64).0;
        let grace = Grace::Told(over.clone());
        tokio::spawn(client::run(inner.clone(), entry, joined, Manifest::default(), grace));
        self.clients.push(Client { inner, line, over });
        self.settle().await;
    }

    /// Starts the server again. What it has on disk is what it knows.
    pub(super) async fn restart_server(&mut self) {
        for client in &self.clients {
            client.line.cut(true);
            client.line.see();
            client.line.state.lock().server = None;
        }
        let old = &self.server.inner;
        old.shutdown.cancel();
        old.processes.shutdown().await;
        let before = self.folder.path().join(format!("server-{}", self.started));
        self.started += 1;
        let now = self.folder.path().join(format!("server-{}", self.started));
        std::fs::create_dir(&now).unwrap();
        for file in ["serials", "peers"] {
            // The one is there from the first process on, the other from the first client on.
            let _ = std::fs::copy(before.join(file), now.join(file));
        }
        self.server = start_server(now, &self.over, &self.nursery);
        for client in &self.clients {
            client.line.state.lock().server = Some(self.server.clone());
        }
    }

    /// The peer of this number: the server is 0.
    pub(super) fn peer(&self, number: usize) -> &Arc<Inner> {
        match number.checked_sub(1) {
            None => &self.server.inner,
            Some(client) => &self.clients[client].inner,
        }
    }

    /// What is under way.
    pub(super) fn frames(&self) -> Vec<Frame> {
        let mut frames = Vec::new();
        for (n, client) in self.clients.iter().enumerate() {
            let Some(wire) = client.line.wire() else { continue };
            for lane in 0..LANES {
                let to = [CLIENT, SERVER].into_iter().filter(|to| wire.under_way(*to, lane) > 0);
                frames.extend(to.map(|to| (n, to, lane)));
            }
        }
        frames
    }

    /// Lets one arrive, and what comes of it happen.
    pub(super) async fn deliver(&self, (client, to, lane): Frame) {
        let Client { inner, line, .. } = &self.clients[client];
        let Some(wire) = line.wire() else { return };
        let is_first = to == SERVER && lane == 0 && inner.network.way_to(PeerId::SERVER).is_none();
        wire.deliver(to, lane);
        self.idle.wait().await;
        // The server looks into its list of peers on another thread, before it welcomes one.
        while is_first && wire.under_way(CLIENT, 0) == 0 && !wire.has_ended(SERVER) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets everything arrive, and what comes of it.
    pub(super) async fn settle(&self) {
        loop {
            self.idle.wait().await;
            let Some(frame) = self.frames().first().copied() else { return };
            self.deliver(frame).await;
        }
    }

    /// One side has waited long enough for the other, if it waits: the server for a client, or a client for it.
    pub(super) fn give_up(&self, client: usize, by_server: bool) {
        let Client { inner, over, .. } = &self.clients[client];
        // Nobody may be waiting.
        let _ = if by_server { self.over.send(inner.me) } else { over.send(PeerId::SERVER) };
    }

    /// Whether messages of a client may be lost or refused now: its way is down, or something is before them.
    pub(super) fn is_unsettled(&self, client: usize) -> bool {
        let Client { inner, line, .. } = &self.clients[client];
        let is_behind = |link: Option<crate::network::Link>| {
            link.is_none_or(|link| link.is_behind.load(std::sync::atomic::Ordering::SeqCst))
        };
        line.wire().is_none()
            || is_behind(inner.network.way_to(PeerId::SERVER))
            || is_behind(self.server.inner.network.way_to(inner.me))
    }
}
