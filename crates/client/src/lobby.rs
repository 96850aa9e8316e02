// SPDX-License-Identifier: AGPL-3.0-or-later
//! The life of a client with a window: the lobby, a space, and the lobby again when that ends for good.
//!
//! The lobby is a peer that has nobody else, and one script on it, `std:lobby`. It stays in the picture until the space
//! is there, so that nothing empty is seen between.

use crate::{
    Cli, chain, default_data, failure,
    front::{Entry, Failure, Follows, Front, Happens},
    picture,
    settings::{Remembered, SettingsFile},
    stage::Stage,
    words::{Ask, Order, Settings, Tell},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::ProcessId;
use hearth_engine::{Command, Look};
use hearth_node::{
    AloneOptions, ClientOptions, Connection, JoinStep, Node, RunningAlone, RunningClient, StartError, Voice,
    alone, join,
    program::{Fatal, say_ready},
};
use serde::Serialize;
use std::{future::pending, pin::pin, sync::Arc, time::Duration};
use tokio::sync::watch;

/// The name that scripts find the program by.
const VOICE: &str = "client";
/// The service that is told how its user wants to see.
const AVATAR: &str = "avatar";
/// Longest message that is taken for one of the lobby.
const ASK_BYTES_MAX: usize = 16 << 10;
/// How long the lobby is shown after the login at most, while the scene and what it refers to is on its way.
const LOADING_MAX: Duration = Duration::from_secs(20);
/// How often it is told how much is to come.
const COUNT_INTERVAL: Duration = Duration::from_millis(100);
/// How long after the entrance the note is made ready, unless it is needed before: until then there is enough to do.
const NOTE_AFTER: Duration = Duration::from_secs(8);
/// How long a connection is lost before a note says so: who is back at once has missed nothing.
const LOST_MIN: Duration = Duration::from_millis(700);

/// What the program was started with, and what it keeps.
pub(crate) struct Shell {
    pub(crate) cli: Cli,
    pub(crate) stage: Arc<Stage>,
    /// The module of the lobby.
    pub(crate) module: Bytes,
    pub(crate) file: SettingsFile,
}

/// The lobby in the picture.
struct Lobby {
    running: RunningAlone,
    voice: Voice,
    script: ProcessId,
    /// Removed with it.
    _folder: tempfile::TempDir,
}

/// A joining on its way.
struct Joining {
    /// When the space gets the picture, and what the window is called then.
    turn: u64,
    title: String,
    work: BoxFuture<'static, Result<RunningClient, StartError>>,
    step: watch::Receiver<JoinStep>,
}

/// What became of a client that is in.
enum Loaded {
    /// There is something to see.
    All(RunningClient),
    /// It is in no longer, and this follows.
    Not(Vec<Follows>),
    /// The user is done.
    Closed,
}

/// Why the first screens cannot be shown.
fn unable(reason: impl Into<String>) -> Fatal {
    Fatal {
        what: "could not show the first screen".into(),
        causes: vec![reason.into()],
        hint: Some("`--headless` and `--no-picture` do without one".into()),
        code: yacexits::EX_SOFTWARE,
    }
}

impl Lobby {
    /// Tells the script what to show. One that is behind shows what comes later.
    fn tell(&self, told: &Tell) {
        tell(&self.voice, self.script, told);
    }

    /// What the user asks for next.
    ///
    /// # Errors
    /// The lobby is gone.
    async fn next(&mut self) -> Result<Option<Ask>, Fatal> {
        let node = self.running.node.clone();
        tokio::select! {
            heard = self.voice.next() => match heard {
                Some((from, body)) if from == self.script => Ok(ask(&body)),
                Some(_somebody) => Ok(None),
                None => Err(unable("its peer has ended")),
            },
            reason = node.processes().exited(self.script) => Err(unable(format!("it has ended: {}", reason.text))),
        }
    }

    async fn end(self) {
        let Lobby { running, voice, _folder, .. } = self;
        drop(voice);
        running.node.shut_down();
        running.ended().await;
    }
}

fn tell(voice: &Voice, script: ProcessId, told: &impl Serialize) {
    let mut bytes = Vec::new();
    // A vector takes everything.
    let _ = ciborium::into_writer(told, &mut bytes);
    if let Err(error) = voice.send(script, bytes.into()) {
        tracing::debug!("{script} is not told: {error}");
    }
}

fn ask(body: &[u8]) -> Option<Ask> {
    let read = match body.len() {
        0..=ASK_BYTES_MAX => ciborium::from_reader(body).map_err(|error| error.to_string()),
        len => Err(format!("{len} bytes")),
    };
    // What was typed is not for the log.
    read.inspect_err(|_error| tracing::warn!("the lobby says what is not understood")).ok()
}

impl Shell {
    /// Shows the lobby and what follows, until the user is done.
    ///
    /// # Errors
    /// The lobby cannot be shown.
    pub(crate) async fn live(self, mut front: Front) -> Result<(), Fatal> {
        self.apply(front.settings()).await;
        let mut follows = front.start();
        loop {
            let lobby = self.open().await?;
            let Some(client) = self.receive(&mut front, lobby, follows).await? else { return Ok(()) };
            let node = client.node.clone();
            let fov = front.settings().fov.to_radians();
            let company = tokio::spawn(keep_company(node.clone(), self.module.clone(), fov));
            let mut ended = pin!(client.ended());
            let ended = tokio::select! {
                ended = &mut ended => ended,
                () = self.stage.closed() => {
                    node.shut_down();
                    ended.await
                }
            };
            company.abort();
            match ended {
                Ok(()) => return Ok(()),
                Err(error) => {
                    tracing::warn!("left the space: {}", chain(&error));
                    follows = front.happens(Happens::Left(failure(&error)));
                }
            }
        }
    }

    /// Puts a lobby into the picture.
    async fn open(&self) -> Result<Lobby, Fatal> {
        let folder = tempfile::Builder::new().prefix("hearth-lobby-").tempdir();
        let folder = folder.map_err(|error| unable(error.to_string()))?;
        let mut options = AloneOptions::new(folder.path(), VOICE);
        let (turn, picture) = self.stage.next(true);
        options.picture = Some(Arc::new(picture));
        let running = alone(options).map_err(|error| unable(chain(&error)))?;
        let voice = running.node.speak_as(VOICE).map_err(|failure| unable(failure.reason))?;
        self.stage.hand_over(turn, running.node.clone(), "Hearth".into()).await;
        let spawned = running.spawn(self.module.clone(), "lobby", &[]).await;
        let script = spawned.map_err(|failure| unable(failure.reason))?;
        Ok(Lobby { running, voice, script, _folder: folder })
    }

    /// Has the lobby in the picture until a space is there instead; `None` if the user is done before.
    async fn receive(
        &self,
        front: &mut Front,
        mut lobby: Lobby,
        mut follows: Vec<Follows>,
    ) -> Result<Option<RunningClient>, Fatal> {
        let mut joining: Option<Joining> = None;
        let entered = loop {
            self.follow(front, &lobby, follows, &mut joining).await;
            follows = tokio::select! {
                asked = lobby.next() => match asked? {
                    Some(ask) => front.happens(Happens::Asked(ask)),
                    None => Vec::new(),
                },
                went = goes(&mut joining) => match went {
                    Went::To(JoinStep::LoggingIn) => {
                        front.happens(Happens::Goes("Logging in…".into(), None))
                    }
                    Went::To(_) => front.happens(Happens::Goes("Reaching the server…".into(), None)),
                    Went::In(turn, title, client) => match self.load(front, &mut lobby, client).await? {
                        Loaded::All(client) => break Some((turn, title, client)),
                        Loaded::Not(follows) => follows,
                        Loaded::Closed => break None,
                    },
                    Went::Wrong(error) => {
                        tracing::warn!("{}", chain(&error));
                        front.happens(Happens::Failed(failure(&error)))
                    }
                },
                () = self.stage.closed() => break None,
            };
        };
        let Some((turn, title, client)) = entered else {
            lobby.end().await;
            return Ok(None);
        };
        let follows = front.happens(Happens::Entered);
        self.follow(front, &lobby, follows, &mut joining).await;
        self.stage.hand_over(turn, client.node.clone(), title).await;
        // It takes its time, and the user is elsewhere.
        tokio::spawn(lobby.end());
        Ok(Some(client))
    }

    async fn follow(
        &self,
        front: &mut Front,
        lobby: &Lobby,
        follows: Vec<Follows>,
        joining: &mut Option<Joining>,
    ) {
        let mut due: std::collections::VecDeque<Follows> = follows.into();
        while let Some(follows) = due.pop_front() {
            match follows {
                Follows::Tell(told) => lobby.tell(&told),
                Follows::Join(entry) => match self.join(entry) {
                    Ok(begun) => *joining = Some(begun),
                    Err(fatal) => due.extend(front.happens(Happens::Failed(Failure::Other(fatal)))),
                },
                Follows::CallOff => *joining = None,
                Follows::Apply(settings) => self.apply(&settings).await,
                Follows::Remember(remembered) => self.remember(remembered).await,
            }
        }
    }

    fn join(&self, entry: Entry) -> Result<Joining, Fatal> {
        let data = match &self.cli.data {
            Some(data) => data.clone(),
            None => default_data(&entry.name)?,
        };
        let title = format!("Hearth: {} in {}", entry.name, entry.address);
        let (turn, picture) = self.stage.next(true);
        let (tell, step) = watch::channel(JoinStep::Reaching);
        let mut options = ClientOptions::new(data, entry.address, entry.name, entry.password);
        options.boot = !self.cli.no_boot;
        options.picture = Some(Arc::new(picture));
        options.step = Some(tell);
        Ok(Joining { turn, title, work: Box::pin(join(options)), step })
    }

    /// Waits until there is something to see in the space that was joined.
    async fn load(
        &self,
        front: &mut Front,
        lobby: &mut Lobby,
        client: RunningClient,
    ) -> Result<Loaded, Fatal> {
        let node = client.node.clone();
        tracing::info!("joined as peer {}; local socket `{}`", node.id(), client.socket.display());
        say_ready(node.id());
        let counts = watch::Sender::new((0, 0));
        let mut counted = counts.subscribe();
        let mut work = pin!(tokio::time::timeout(LOADING_MAX, loaded(&node, &counts)));
        let mut beat = tokio::time::interval(COUNT_INTERVAL);
        let mut told = front.happens(Happens::Goes("Entering the space…".into(), None));
        loop {
            let mut is_off = false;
            for follows in told {
                match follows {
                    Follows::Tell(told) => lobby.tell(&told),
                    Follows::CallOff => is_off = true,
                    _ => {}
                }
            }
            if is_off {
                node.shut_down();
                let _called_off = client.ended().await;
                return Ok(Loaded::Not(Vec::new()));
            }
            told = tokio::select! {
                // What has not come in time comes later.
                _ = &mut work => return Ok(Loaded::All(client)),
                asked = lobby.next() => match asked? {
                    Some(ask) => front.happens(Happens::Asked(ask)),
                    None => Vec::new(),
                },
                _ = beat.tick(), if counted.has_changed().unwrap_or(false) => {
                    let (left, all) = *counted.borrow_and_update();
                    front.happens(Happens::Goes(to_come(left), Some(1.0 - left as f32 / all.max(1) as f32)))
                }
                () = node.asked_to_end() => return Ok(match client.ended().await {
                    Ok(()) => Loaded::Closed,
                    Err(error) => Loaded::Not(front.happens(Happens::Failed(failure(&error)))),
                }),
                () = self.stage.closed() => {
                    node.shut_down();
                    let _closed = client.ended().await;
                    return Ok(Loaded::Closed);
                }
            };
        }
    }

    /// What the engine does of the settings; the quality it has from its start, and the field of view is the avatar's.
    async fn apply(&self, settings: &Settings) {
        let look = Look { speed: settings.look_speed, is_inverted: settings.invert_look };
        for command in [Command::Volume(settings.volume), Command::Look(look)] {
            picture::send(self.stage.controller(), command).await;
        }
    }

    async fn remember(&self, remembered: Remembered) {
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || file.write(&remembered)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("settings are not kept: {error}"),
            Err(error) => tracing::warn!("settings are not kept: {error}"),
        }
    }
}

fn to_come(left: usize) -> String {
    match left {
        0 => "Entering the space…".into(),
        1 => "Loading the space: 1 thing to come".into(),
        left => format!("Loading the space: {left} things to come"),
    }
}

/// Resolves when the scene is here with all that it refers to, and the services have started. Tells how many things are
/// to come, and how many there were most.
async fn loaded(node: &Node, counts: &watch::Sender<(usize, usize)>) {
    let mut standing = node.standing();
    // A node that is gone loads nothing more.
    let _ = standing.wait_for(|standing| standing.has_scene).await;
    let count = |left: usize| counts.send_modify(|(now, all)| (*now, *all) = (left, left.max(*all)));
    let booted = async {
        let _ = standing.wait_for(|standing| standing.has_booted).await.map(drop);
    };
    tokio::join!(node.fetch_scene(count), booted);
}

/// How a joining goes on.
enum Went {
    To(JoinStep),
    In(u64, String, RunningClient),
    Wrong(StartError),
}

/// What comes next of a joining, which is none any more when it is done; never if there is none.
async fn goes(joining: &mut Option<Joining>) -> Went {
    let Some(Joining { work, step, .. }) = joining else { return pending().await };
    let joined = tokio::select! {
        biased;
        joined = work => joined,
        Ok(()) = step.changed() => return Went::To(*step.borrow_and_update()),
    };
    match (joining.take(), joined) {
        (Some(Joining { turn, title, .. }), Ok(client)) => Went::In(turn, title, client),
        (_, Err(error)) => Went::Wrong(error),
        (None, Ok(_)) => pending().await,
    }
}

/// What the program says in a space: to the avatar how much its user wants to see, in radians; and by a note that the
/// connection is lost.
async fn keep_company(node: Node, module: Bytes, fov: f32) {
    let mut voice = match node.speak_as(VOICE) {
        Ok(voice) => voice,
        Err(failure) => return tracing::warn!("nothing is said in the space: {}", failure.reason),
    };
    // One that begins later asks.
    if let Some(avatar) = node.processes().whereis(AVATAR) {
        tell(&voice, avatar, &Order::Fov(fov));
    }
    let mut standing = node.standing();
    let is_lost = async {
        // A node that is gone is not told of.
        let _ = standing.wait_for(|now| now.connection != Connection::Up).await.map(drop);
    };
    {
        let mut due = pin!(tokio::time::timeout(NOTE_AFTER, is_lost));
        loop {
            tokio::select! {
                _ = &mut due => break,
                heard = voice.next() => match heard {
                    Some((from, body)) => answer(&voice, from, &body, fov),
                    None => return,
                },
            }
        }
    }
    if let Err(reason) = say_lost(&node, voice, module, fov).await {
        tracing::warn!("that the connection is lost is not shown: {reason}");
    }
}

/// Tells an avatar that asks how its user wants to see.
fn answer(voice: &Voice, from: ProcessId, body: &[u8], fov: f32) {
    if ask(body) == Some(Ask::Hello) {
        tell(voice, from, &Order::Fov(fov));
    }
}

async fn say_lost(node: &Node, mut voice: Voice, module: Bytes, fov: f32) -> Result<(), String> {
    let mut standing = node.standing();
    let module = node.put_lump(module).await.map_err(|error| error.to_string())?;
    let spawned = node.spawn(node.id(), module, Some("connection".into()), &["banner"]).await;
    let script = spawned.map_err(|failure| failure.reason)?;
    loop {
        let told = match standing.borrow_and_update().connection.clone() {
            Connection::Lost { tries, reason } => Tell::Lost { tries, reason },
            _ => Tell::Back,
        };
        if told != Tell::Back {
            let back = standing.wait_for(|now| now.connection == Connection::Up);
            if tokio::time::timeout(LOST_MIN, back).await.is_ok() {
                continue;
            }
        }
        tell(&voice, script, &told);
        tokio::select! {
            changed = standing.changed() => if changed.is_err() { return Ok(()) },
            heard = voice.next() => match heard {
                Some((from, body)) if from != script => answer(&voice, from, &body, fov),
                // The note is told again.
                Some(_) => {}
                None => return Ok(()),
            },
        }
    }
}
