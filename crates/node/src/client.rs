// SPDX-License-Identifier: AGPL-3.0-or-later
//! A client: joins a space, and comes back by itself when the connection breaks.

use crate::{
    folder::Folder,
    grace::Grace,
    lumps::chain,
    manifest::{self, Manifest},
    network::Link,
    node::{Inner, Node, Parts, StartError, about_program},
    picture::Picture,
    server::GRACE,
    session,
    standing::{Connection, JoinStep},
    world::World,
};
use futures::future::BoxFuture;
use hearth_abi::PeerId;
use hearth_net::{
    Backoff, ClientConfig, ConnectError, KnownServers, KsfBounds, LinkReceiver, Password, PeerKey,
};
use hearth_protocol::control::{Control, Peer};
use std::{collections::BTreeSet, future::Future, path::PathBuf, pin::pin, sync::Arc, time::Duration};
use tokio::sync::{Notify, watch};

/// How long a server that let us in may take to say who we are.
const WELCOME_TIME_MAX: Duration = Duration::from_secs(15);
/// First and longest wait between two tries to come back.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// What a client is started with.
pub struct ClientOptions {
    /// Its data folder; made if it is not there.
    pub data: PathBuf,
    /// Address of the server, as `hearth.example:4320`.
    pub connect: String,
    /// The name that others see.
    pub name: String,
    /// The space's password.
    pub password: Password,
    /// What the server may ask of this machine for the login.
    pub ksf_bounds: KsfBounds,
    /// The engine that shows the scene, if there is one.
    pub picture: Option<Arc<dyn Picture>>,
    /// Threads that run processes.
    pub workers: usize,
    /// Whether to start the services of `peer.toml`.
    pub boot: bool,
    /// How long the connection may be broken before the processes of all others count as not to be reached.
    pub grace: Duration,
    /// Folder of the local socket; `None` for the user's usual one.
    pub runtime_dir: Option<PathBuf>,
    /// Hears how far the joining is, if somebody wants to know.
    pub step: Option<watch::Sender<JoinStep>>,
}

impl ClientOptions {
    /// The usual, without a picture.
    pub fn new(
        data: impl Into<PathBuf>,
        connect: impl Into<String>,
        name: impl Into<String>,
        password: Password,
    ) -> ClientOptions {
        ClientOptions {
            data: data.into(),
            connect: connect.into(),
            name: name.into(),
            password,
            ksf_bounds: KsfBounds::default(),
            picture: None,
            workers: std::thread::available_parallelism().map_or(2, usize::from),
            boot: true,
            grace: GRACE,
            runtime_dir: None,
            step: None,
        }
    }
}

/// A client that runs.
pub struct RunningClient {
    /// The peer.
    pub node: Node,
    /// Path of its local socket.
    pub socket: PathBuf,
    done: tokio::task::JoinHandle<Result<(), StartError>>,
}

impl RunningClient {
    /// Waits until the client has ended.
    ///
    /// # Errors
    /// It could not come back to its server, and trying again would not help: the password or the
    /// server's key has changed.
    pub async fn ended(self) -> Result<(), StartError> {
        match self.done.await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// What a client has when it is in.
pub(crate) struct Joined {
    pub(crate) me: PeerId,
    space: String,
    peers: Vec<Peer>,
    link: Link,
    lanes: LinkReceiver,
}

/// Joins a space. When it returns, the client is in, and its services are being started. It may be dropped while it
/// waits: then there is no client, and the folder is free.
///
/// # Errors
/// The server cannot be reached or does not let us in, or the folder or the local socket cannot be used.
pub async fn join(options: ClientOptions) -> Result<RunningClient, StartError> {
    let folder = Folder::open(&options.data)?;
    let key = PeerKey::load_or_create(&folder.path("key"))?;
    let mut offers = vec!["processes".to_owned()];
    if options.picture.is_some() {
        offers.push("picture".to_owned());
    }
    let about = about_program(0, &options.name, key.public(), offers);
    let known = Arc::new(KnownServers::at(folder.path("known-servers")));
    let mut config = ClientConfig::new(options.password.clone(), key, options.name.clone(), known);
    config.ksf_bounds = options.ksf_bounds;
    config.agent = format!("hearth {}", crate::node::VERSION);
    let reached = Arc::new(Notify::new());
    config.reached = options.step.is_some().then(|| reached.clone());
    let first = Entry::new(&options.connect, config.clone(), about.clone());
    let joined = stepping(options.step.as_ref(), &reached, first.join()).await?;
    config.reached = None;
    let entry = Entry::new(&options.connect, config, about);
    let manifest = match options.boot {
        true => Manifest::open(&folder.path("peer.toml"), manifest::PEER)?,
        false => Manifest::limits_alone(&folder.path("peer.toml"))?,
    };
    let limits = manifest.peer_limits(&folder.path("peer.toml"))?;
    let inner = Inner::start(Parts {
        me: joined.me,
        name: options.name.clone(),
        space: joined.space.clone(),
        folder,
        world: World::client(joined.me),
        limits,
        workers: options.workers,
    })?;
    if let Some(picture) = options.picture {
        // Nobody set it before: the node is new.
        let _ = inner.picture.set(picture);
        tokio::spawn(show(inner.clone()));
    }
    // Nobody set it before: the node is new.
    let _ = inner.server_address.set(options.connect.clone());
    let socket = crate::operator::listen(&inner, options.runtime_dir.as_deref(), &options.name)?;
    enter(&inner, &joined);
    let done = tokio::spawn(run(inner.clone(), entry, joined, manifest, Grace::Time(options.grace)));
    Ok(RunningClient { node: Node { inner }, socket, done })
}

/// Tells when the login begins.
async fn stepping<T>(
    step: Option<&watch::Sender<JoinStep>>,
    reached: &Notify,
    joining: impl Future<Output = T>,
) -> T {
    let Some(step) = step else { return joining.await };
    step.send_replace(JoinStep::Reaching);
    let mut joining = pin!(joining);
    tokio::select! {
        () = reached.notified() => {}
        joined = &mut joining => return joined,
    }
    step.send_replace(JoinStep::LoggingIn);
    joining.await
}

/// A try to reach the server.
type Reaching = BoxFuture<'static, Result<hearth_net::Link, ConnectError>>;

/// The way into a space.
pub(crate) struct Entry {
    pub(crate) address: String,
    /// Tries to reach the server: over the network, but in tests.
    pub(crate) reach: Box<dyn Fn() -> Reaching + Send + Sync>,
    pub(crate) about: Peer,
    /// First and longest wait between two tries.
    pub(crate) retry: (Duration, Duration),
}

impl Entry {
    fn new(address: &str, config: ClientConfig, about: Peer) -> Entry {
        let way = Arc::new((address.to_owned(), config));
        let reach = move || -> Reaching {
            let way = way.clone();
            Box::pin(async move { hearth_net::connect(&way.0, &way.1).await })
        };
        Entry { address: address.to_owned(), reach: Box::new(reach), about, retry: RETRY }
    }

    pub(crate) async fn join(&self) -> Result<Joined, StartError> {
        let address = &self.address;
        let link = (self.reach)()
            .await
            .map_err(|error| StartError::Join { address: address.clone(), error: Box::new(error) })?;
        let welcome_error = |reason: String| StartError::Welcome { address: address.clone(), reason };
        let (sender, mut lanes) = link.split();
        let link = Link::new(sender);
        let said = link.control(&Control::Join { peer: self.about.clone() }).await;
        said.map_err(|failure| welcome_error(failure.reason))?;
        let answer = tokio::time::timeout(WELCOME_TIME_MAX, lanes.control.recv()).await;
        let bytes = match answer {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(welcome_error("the server hung up: it is full, or shuts down".into())),
            Err(_elapsed) => return Err(welcome_error("the server said nothing after the login".into())),
        };
        match Control::decode(&bytes) {
            Ok(Control::Welcome { peer, space, peers }) => {
                let me = PeerId::new(peer).filter(|id| *id != PeerId::SERVER);
                let me = me.ok_or_else(|| welcome_error(format!("{peer} is no number for a client")))?;
                Ok(Joined { me, space, peers, link, lanes })
            }
            Ok(_) => Err(welcome_error("the server said something else than welcome".into())),
            Err(error) => Err(welcome_error(chain(&error))),
        }
    }
}

/// Serves the connection, and comes back when it breaks, until the end.
pub(crate) async fn run(
    inner: Arc<Inner>,
    entry: Entry,
    mut joined: Joined,
    manifest: Manifest,
    grace: Grace,
) -> Result<(), StartError> {
    let mut manifest = Some(manifest);
    let result = loop {
        if let Some(manifest) = manifest.take() {
            let booting = inner.clone();
            tokio::spawn(async move {
                booting.boot(manifest).await;
                booting.standing.send_modify(|standing| standing.has_booted = true);
            });
        }
        let end = session::run(&inner, PeerId::SERVER, &joined.link, joined.lanes).await;
        inner.network.unlink(PeerId::SERVER, &joined.link);
        inner.world.disconnected();
        inner.screens.leave(PeerId::SERVER);
        for peer in inner.network.peers().iter().filter_map(Peer::peer_id).filter(|id| *id != inner.me) {
            inner.terminal_peer_went(peer);
        }
        if inner.shutdown.is_cancelled() {
            break Ok(());
        }
        tracing::warn!("the connection to the server ended: {}; trying to come back", end.reason);
        note(&inner, Connection::Lost { tries: 0, reason: end.reason.to_string() });
        let mut coming = pin!(come_back(&inner, &entry));
        let back = tokio::select! {
            biased;
            back = &mut coming => back,
            () = grace.over(PeerId::SERVER) => {
                // All others are behind the server.
                inner.give_up(PeerId::SERVER);
                coming.await
            }
        };
        match back {
            Ok(Some(again)) => {
                joined = again;
                enter(&inner, &joined);
                note(&inner, Connection::Up);
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
        tracing::info!("connected again");
    };
    inner.shutdown.cancel();
    inner.finish().await;
    result
}

fn note(inner: &Inner, connection: Connection) {
    inner.standing.send_modify(|standing| standing.connection = connection);
}

/// Tries until it is in again; `None` when the client is asked to end meanwhile.
async fn come_back(inner: &Inner, entry: &Entry) -> Result<Option<Joined>, StartError> {
    let mut backoff = Backoff::new(entry.retry.0, entry.retry.1);
    let mut tries = 0;
    loop {
        let wait = backoff.next_delay(&mut rand::thread_rng());
        if !wait.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = inner.shutdown.cancelled() => return Ok(None),
            }
        }
        let tried = tokio::select! {
            tried = entry.join() => tried,
            () = inner.shutdown.cancelled() => return Ok(None),
        };
        match tried {
            Ok(joined) if joined.me == inner.me => return Ok(Some(joined)),
            Ok(joined) => {
                let reason = format!(
                    "the server now calls us peer {} instead of {}: it has lost its list of peers",
                    joined.me, inner.me
                );
                return Err(StartError::Welcome { address: entry.address.clone(), reason });
            }
            Err(StartError::Join { address, error }) if is_final(&error) => {
                return Err(StartError::Join { address, error });
            }
            Err(error) => {
                tracing::debug!("not yet: {}", chain(&error));
                tries += 1;
                note(inner, Connection::Lost { tries, reason: cause(&error) });
            }
        }
    }
}

/// What went wrong, without the address, which is known.
fn cause(error: &StartError) -> String {
    match error {
        StartError::Join { error, .. } => chain(error),
        StartError::Welcome { reason, .. } => reason.clone(),
        error => chain(error),
    }
}

/// Whether trying again would end the same way.
fn is_final(error: &ConnectError) -> bool {
    matches!(
        error,
        ConnectError::WrongPassword
            | ConnectError::ServerKeyChanged { .. }
            | ConnectError::VersionMismatch { .. }
            | ConnectError::Stretching(_)
    )
}

/// From now on there is a way to the others.
pub(crate) fn enter(inner: &Arc<Inner>, joined: &Joined) {
    note_peers(inner, joined);
    inner.world.connected();
    for peer in joined.peers.iter().filter_map(Peer::peer_id).filter(|id| *id != inner.me) {
        inner.terminal_peer_came(peer);
    }
}

/// Takes over the server's list of who is here.
fn note_peers(inner: &Inner, joined: &Joined) {
    let here: BTreeSet<u32> = joined.peers.iter().map(|peer| peer.id).collect();
    for gone in inner.network.peers().iter().filter(|peer| !here.contains(&peer.id)) {
        if let Some(id) = gone.peer_id() {
            inner.network.remove(id);
        }
    }
    for peer in &joined.peers {
        if let Some(id) = peer.peer_id() {
            let link = (id == PeerId::SERVER).then(|| joined.link.clone());
            inner.network.insert(id, peer.clone(), link);
        }
    }
}

/// Hands what changes in the scene to the engine.
pub(crate) async fn show(inner: Arc<Inner>) {
    let Some(picture) = inner.picture.get().cloned() else { return };
    let changed = inner.world.changed_to_show();
    loop {
        let woken = changed.notified();
        let changes = inner.world.take_changes();
        if changes.is_empty() {
            tokio::select! {
                () = woken => {}
                () = inner.shutdown.cancelled() => return,
            }
        } else {
            picture.changes(changes).await;
        }
    }
}
