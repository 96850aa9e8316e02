// SPDX-License-Identifier: AGPL-3.0-or-later
//! The home server of a space: lets peers in, orders the scene, relays, and keeps.

use crate::{
    folder::{Folder, replace_file},
    grace::Grace,
    lumps::chain,
    manifest::{self, Manifest},
    network::{Link, Network},
    node::{Inner, Node, Parts, StartError, about_program},
    roster::Roster,
    session,
    world::World,
};
use hearth_abi::PeerId;
use hearth_net::{KsfParams, Listener, Password, PasswordFile, PeerKey, ServerConfig, ServerSecrets};
use hearth_protocol::control::{Control, NAME_LEN_MAX, Peer};
use hearth_scene::SceneFile;
use parking_lot::Mutex;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::task::JoinSet;

/// How long a peer whose connection broke may take to come back before it has left.
pub const GRACE: Duration = Duration::from_secs(10);
/// How long a peer that was let in may take to say what it is.
const JOIN_TIME_MAX: Duration = Duration::from_secs(10);
/// Most peers of a space at a time.
const PEERS_MAX: usize = 1024;
/// How long the links may take to say farewell when the server ends.
const FAREWELL_MAX: Duration = Duration::from_secs(3);
/// Most peers that a newcomer is told of in one frame; the others come in frames of their own.
const WELCOME_PEERS_MAX: usize = 400;
/// Most facilities that a peer may say it offers.
const OFFERS_MAX: usize = 4;
// With the longest labels a peer takes 32 bytes of key, an address, and these.
const _: () = assert!(
    WELCOME_PEERS_MAX * ((3 + OFFERS_MAX) * (NAME_LEN_MAX + 2) + 32 + 64)
        < hearth_net::CONTROL_MESSAGE_BYTES_MAX
);
/// How often what the scene was given is saved.
const SAVE_INTERVAL: Duration = Duration::from_millis(500);

/// What a server is started with.
#[derive(Debug)]
pub struct ServerOptions {
    /// Its data folder; made if it is not there.
    pub data: PathBuf,
    /// Address to listen on, as `0.0.0.0:4320`.
    pub listen: String,
    /// Name of the space.
    pub name: String,
    /// The space's password from now on. Without one the password of before holds, or one is made.
    pub password: Option<Password>,
    /// How passwords are stretched.
    pub ksf: KsfParams,
    /// Threads that run processes.
    pub workers: usize,
    /// Whether to start the services of `space.toml`.
    pub boot: bool,
    /// How long a peer may be away before it has left.
    pub grace: Duration,
    /// Folder of the local socket; `None` for the user's usual one.
    pub runtime_dir: Option<PathBuf>,
}

impl ServerOptions {
    /// The usual, for this folder and address.
    pub fn new(data: impl Into<PathBuf>, listen: impl Into<String>) -> ServerOptions {
        ServerOptions {
            data: data.into(),
            listen: listen.into(),
            name: "hearth".into(),
            password: None,
            ksf: KsfParams::default(),
            workers: std::thread::available_parallelism().map_or(2, usize::from),
            boot: true,
            grace: GRACE,
            runtime_dir: None,
        }
    }
}

/// A server that runs.
pub struct RunningServer {
    /// The peer.
    pub node: Node,
    /// The address it listens on.
    pub address: SocketAddr,
    /// The file with the password that was made, if one was.
    pub first_password: Option<PathBuf>,
    /// Path of its local socket.
    pub socket: PathBuf,
    done: tokio::task::JoinHandle<()>,
}

impl RunningServer {
    /// Waits until the server has ended: processes stopped, scene and lumps on disk.
    pub async fn ended(self) {
        // A panic of the task was printed by its thread.
        let _ = self.done.await;
    }
}

pub(crate) struct Server {
    pub(crate) inner: Arc<Inner>,
    roster: Roster,
    grace: Grace,
    /// Held while somebody comes or goes, so that all are told in the order in which it happens.
    door: Mutex<()>,
}

/// Starts a server. When it returns, the server listens and its services are being started.
///
/// # Errors
/// The folder, the address, the password's files or the local socket cannot be used.
pub async fn serve(options: ServerOptions) -> Result<RunningServer, StartError> {
    let file_error = |path: &Path| {
        let path = path.display().to_string();
        move |error| StartError::File { path, error }
    };
    let folder = Folder::open(&options.data)?;
    let key = PeerKey::load_or_create(&folder.path("key"))?;
    let public = key.public();
    let (config, first_password) = credentials(&folder, &options, key).await?;
    let roster = Roster::open(folder.path("peers")).map_err(file_error(&folder.path("peers")))?;
    let manifest = match options.boot {
        true => Manifest::open(&folder.path("space.toml"), manifest::SPACE)?,
        false => Manifest::limits_alone(&folder.path("space.toml"))?,
    };
    let limits = manifest.peer_limits(&folder.path("space.toml"))?;
    let world = World::server(SceneFile::open(&folder.path("scene.redb"))?, &limits)?;
    let inner = Inner::start(Parts {
        me: PeerId::SERVER,
        name: options.name.clone(),
        space: options.name.clone(),
        folder,
        world,
        limits,
        workers: options.workers,
    })?;
    let listen_error = |error| StartError::Listen { address: options.listen.clone(), error };
    let listener = Listener::bind(&options.listen, config.clone()).await.map_err(listen_error)?;
    let address = listener.local_addr();
    // Nobody set it before: the node is new.
    let _ = inner.password.set(config);
    let _ = inner.server_address.set(address.to_string());
    let about = about_program(0, &options.name, public, vec!["processes".into()]);
    inner.network.insert(PeerId::SERVER, about, None);
    let socket =
        crate::operator::listen(&inner, options.runtime_dir.as_deref(), &address.port().to_string())?;
    let server = Arc::new(Server::new(inner.clone(), roster, Grace::Time(options.grace)));
    let done = tokio::spawn(run(server, listener, manifest));
    Ok(RunningServer { node: Node { inner }, address, first_password, socket, done })
}

async fn run(server: Arc<Server>, mut listener: Listener, manifest: Manifest) {
    let inner = &server.inner;
    let saver = tokio::spawn(save_scene(inner.clone()));
    let booting = inner.clone();
    tokio::spawn(async move { booting.boot(manifest).await });
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            link = listener.accept() => { links.spawn(server.clone().admit(link)); }
            // So that those who went are not kept.
            Some(_ended) = links.join_next() => {}
            () = inner.shutdown.cancelled() => break,
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(FAREWELL_MAX, async { while links.join_next().await.is_some() {} }).await;
    let _ = saver.await;
    // When nobody is left who changes the scene.
    inner.processes.shutdown().await;
    save_once(inner).await;
    inner.finish().await;
}

/// Saves what entities given to the space have become, until the end.
async fn save_scene(inner: Arc<Inner>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SAVE_INTERVAL) => {}
            () = inner.shutdown.cancelled() => return,
        }
        save_once(&inner).await;
    }
}

async fn save_once(inner: &Arc<Inner>) {
    let saving = inner.clone();
    match tokio::task::spawn_blocking(move || saving.world.save()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!("could not save the scene: {}", chain(&error)),
        Err(error) => tracing::error!("could not save the scene: {error}"),
    }
}

/// The OPAQUE files: what is there, or made now.
async fn credentials(
    folder: &Folder,
    options: &ServerOptions,
    key: PeerKey,
) -> Result<(Arc<ServerConfig>, Option<PathBuf>), StartError> {
    let secrets = ServerSecrets::load_or_create(&folder.path("secrets"))?;
    let login = folder.path("login");
    let known = login.exists() && options.password.is_none();
    let mut first = None;
    let record = if known {
        PasswordFile::load(&login, &secrets)?
    } else {
        let password = match &options.password {
            Some(password) => password.clone(),
            None => {
                let password = Password::generate();
                let path = folder.path("password");
                let error = |error| StartError::File { path: path.display().to_string(), error };
                replace_file(&path, format!("{}\n", password.reveal()).as_bytes()).map_err(error)?;
                first = Some(path);
                password
            }
        };
        let record = register(secrets.clone(), password, options.ksf).await?;
        record.save(&login)?;
        record
    };
    let mut config = ServerConfig::new(secrets, record, key);
    config.name = options.name.clone();
    config.agent = format!("hearth {}", crate::node::VERSION);
    Ok((Arc::new(config), first))
}

/// Registers a password off the async threads: it costs as much as a login.
pub(crate) async fn register(
    secrets: ServerSecrets,
    password: Password,
    ksf: KsfParams,
) -> Result<PasswordFile, hearth_net::password::PasswordError> {
    let registered =
        tokio::task::spawn_blocking(move || PasswordFile::register(&secrets, &password, ksf)).await;
    match registered {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl Server {
    pub(crate) fn new(inner: Arc<Inner>, roster: Roster, grace: Grace) -> Server {
        Server { inner, roster, grace, door: Mutex::new(()) }
    }

    /// Takes a peer in, serves it until its link ends, and forgets it when it does not come back.
    pub(crate) async fn admit(self: Arc<Self>, link: hearth_net::Link) {
        let inner = &self.inner;
        let info = link.info().clone();
        let (sender, mut lanes) = link.split();
        let joined = tokio::time::timeout(JOIN_TIME_MAX, lanes.control.recv()).await;
        let said = match joined {
            Ok(Some(bytes)) => Control::decode(&bytes).ok(),
            _ => None,
        };
        let Some(Control::Join { peer: said }) = said else {
            tracing::warn!(address = %info.remote_addr, "a peer did not say what it is");
            return hang_up(sender.link()).await;
        };
        let name = label(&info.peer_name);
        let this = self.clone();
        let (key, asked) = (info.peer_key, name.clone());
        let number = tokio::task::spawn_blocking(move || this.roster.number(key, &asked)).await;
        let id = match number {
            Ok(Ok(id)) => id,
            Ok(Err(error)) => {
                tracing::error!("a peer gets no number: {}", chain(&error));
                return hang_up(sender.link()).await;
            }
            Err(_panicked) => return hang_up(sender.link()).await,
        };
        if inner.network.peer(id).is_none() && inner.network.peers().len() > PEERS_MAX {
            tracing::warn!(peer = %id, "the space is full: {PEERS_MAX} peers are here");
            return hang_up(sender.link()).await;
        }
        let about = Peer {
            id: id.number(),
            name,
            key: info.peer_key.to_vec(),
            address: info.remote_addr.to_string(),
            version: label(&said.version),
            system: label(&said.system),
            offers: said.offers.iter().take(OFFERS_MAX).map(|offer| label(offer)).collect(),
        };
        let link = Link::new(sender);
        // A peer that came back before its old link was seen to be dead.
        while let Err(old) = self.take_in(id, &about, &link) {
            hang_up(old.sender.link()).await;
            // Until its session is over it would take what is for the new one.
            old.closed.cancelled().await;
            self.let_go(id, &old);
        }

        inner.terminal_peer_came(id);
        let end = session::run(inner, id, &link, lanes).await;
        if let Some(absence) = self.let_go(id, &link) {
            tracing::info!(peer = %id, "connection ended: {}", end.reason);
            let grace = if end.said { Grace::Time(Duration::ZERO) } else { self.grace.clone() };
            self.wait_for_return(id, absence, grace).await;
        }
    }

    /// Makes a peer one that is here: it is told who else is, and all others that it is. Gives the link
    /// that it already has, if it has one.
    fn take_in(&self, id: PeerId, about: &Peer, link: &Link) -> Result<(), Link> {
        let inner = &self.inner;
        // Two who come at the same time see each other.
        let _door = self.door.lock();
        if let Some(old) = inner.network.way_to(id) {
            return Err(old);
        }
        let is_new = inner.network.peer(id).is_none();
        let mut peers: Vec<Peer> = inner.network.peers();
        peers.retain(|peer| peer.id != about.id);
        peers.insert(0, about.clone());
        let more = peers.split_off(peers.len().min(WELCOME_PEERS_MAX));
        let welcome = Control::Welcome { peer: id.number(), space: inner.space.clone(), peers };
        let rest = more.into_iter().map(|peer| Control::Joined { peer });
        for bytes in std::iter::once(welcome).chain(rest).filter_map(|frame| frame.encode().ok()) {
            // The lane is new and has room for all; if it takes nothing the link has ended, as its
            // session will see.
            let _ = link.sender.try_control(bytes);
        }
        // Before anybody can ask it for something.
        inner.ties.expect(id);
        inner.network.insert(id, about.clone(), Some(link.clone()));
        tracing::info!(peer = %id, name = about.name, address = about.address, "{}",
            if is_new { "joined" } else { "came back" });
        tell_others(&inner.network, id, &Control::Joined { peer: about.clone() });
        Ok(())
    }

    /// Takes the link away from a peer, if it still has this one. Gives the number of its absence.
    fn let_go(&self, id: PeerId, link: &Link) -> Option<u64> {
        let _door = self.door.lock();
        let absence = self.inner.network.unlink(id, link)?;
        self.inner.world.leave(id);
        self.inner.screens.leave(id);
        self.inner.terminal_peer_went(id);
        Some(absence)
    }

    /// Waits for a peer that is away; if it does not come back from this absence it has left.
    async fn wait_for_return(&self, id: PeerId, absence: u64, grace: Grace) {
        let inner = &self.inner;
        tokio::select! {
            () = grace.over(id) => {}
            () = inner.shutdown.cancelled() => return,
        }
        let _door = self.door.lock();
        if inner.network.remove_away(id, absence) {
            tracing::info!(peer = %id, "left");
            tell_others(&inner.network, id, &Control::Left { peer: id.number() });
            inner.world.peer_left(inner, id);
            inner.screens.peer_left(id);
            inner.give_up(id);
        }
    }
}

/// Ends a link whose peer is not taken in.
async fn hang_up(link: &hearth_net::LinkControl) {
    link.close().await;
}

/// Tells all connected peers but one. Who is too slow to take it is cut off, for what it knows of the
/// space would be wrong; it comes back and learns all anew.
fn tell_others(network: &Network, except: PeerId, frame: &Control) {
    let Ok(bytes) = frame.encode() else { return };
    for (peer, link) in network.links() {
        if peer != except && link.sender.try_control(bytes.clone()).is_err() {
            link.closed.cancel();
            let control = link.sender.link().clone();
            tokio::spawn(async move { hang_up(&control).await });
        }
    }
}

/// A label from a stranger: printable, and not too long.
fn label(text: &str) -> String {
    let mut label: String = text.chars().filter(|c| !c.is_control()).collect();
    while label.len() > NAME_LEN_MAX {
        label.pop();
    }
    label
}
