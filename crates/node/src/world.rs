// SPDX-License-Identifier: AGPL-3.0-or-later
//! The scene of this peer: on the server the order that holds for all, on a client its mirror.

use crate::{limits::PeerLimits, lumps::chain, node::Inner};
use hearth_abi::{
    DecodeError, EntityId, Errno, LumpId, PeerId, ProcessId, TerminalId,
    pointer::Wants,
    scene::{Component, ComponentKind, Op, Scope, TerminalView, Transform, decode_batch},
};
use hearth_process::{Level, Limit};
use hearth_scene::{
    ApplyError, Authority, Change, FileError, Mirror, MirrorLimits, Notice, Owner, Problem, Quota, Scene,
    SceneFile,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};
use tokio::sync::Notify;

/// Length in bytes at which a frame of changes is full: small enough that messages go between two.
const FRAME_LEN: usize = 48 << 10;

/// Where something is.
pub(crate) struct Place {
    /// What it is, if it is still there.
    pub(crate) entity: Option<EntityId>,
    /// How it is stretched along its own axes.
    pub(crate) scale: [f32; 3],
    /// Its origin in the world, in metres.
    pub(crate) in_world: [f32; 3],
}

/// What a batch has done with the terminals that entities of the shared scene show.
#[derive(Default)]
pub(crate) struct Shown {
    /// Those that it has set.
    pub(crate) set: Vec<TerminalId>,
    /// Those that no entity shows any more.
    pub(crate) hidden: Vec<TerminalId>,
}

/// The terminal that an operation has made an entity of the shared scene show.
fn shown_by(op: &Op, scene: &Scene) -> Option<TerminalId> {
    let Op::Set(entity, Component::Terminal(view)) = op else { return None };
    let entity = scene.get(*entity).filter(|entity| entity.scope() == Scope::Shared)?;
    let is_shown = matches!(entity.get(ComponentKind::Terminal),
        Some(Component::Terminal(shown)) if shown.terminal == view.terminal);
    is_shown.then_some(view.terminal)
}

/// Why a batch was not applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("malformed batch: {0}")]
    Malformed(DecodeError),
    #[error(transparent)]
    Rule(#[from] ApplyError),
}

impl Refused {
    /// The error as guests see it.
    pub(crate) fn errno(&self) -> Errno {
        match self {
            Refused::Malformed(_) => Errno::Invalid,
            Refused::Rule(error) => error.errno(),
        }
    }

    /// The limit that it would pass, if that is why.
    pub(crate) fn limit(&self) -> Option<Limit> {
        match self {
            Refused::Rule(ApplyError { problem: Problem::ProcessFull, .. }) => Some(Limit::Entities),
            Refused::Rule(ApplyError { problem: Problem::OriginFull, .. }) => Some(Limit::OriginEntities),
            _ => None,
        }
    }
}

/// Up to so many entities of replaced code are removed one by one, and more by so many at a time.
const FEW_REMOVALS: usize = 256;
const REMOVALS: usize = 64;

/// The scene of a peer.
pub(crate) struct World {
    state: Mutex<State>,
    /// Told when there is something to send, by the peer that it is for.
    senders: Mutex<HashMap<PeerId, Arc<Notify>>>,
    /// Told when there is something to show.
    shown: Arc<Notify>,
    file: Option<Mutex<SceneFile>>,
    /// What code has made whose successor is on trial.
    aside: Mutex<HashMap<ProcessId, BTreeSet<EntityId>>>,
}

enum State {
    Server(Box<Authority>),
    Client {
        mirror: Box<Mirror>,
        /// Frames for the server. The mirror bounds what is unanswered, and so what is here.
        outgoing: VecDeque<Vec<u8>>,
    },
}

impl State {
    fn scene(&self) -> &Scene {
        match self {
            State::Server(authority) => authority.scene(),
            State::Client { mirror, .. } => mirror.scene(),
        }
    }
}

impl World {
    /// The world of a server, with what the file has kept.
    pub(crate) fn server(file: SceneFile, limits: &PeerLimits) -> Result<World, FileError> {
        let saved = file.load()?;
        // Of processes of other peers all that is known here is whose they are.
        let limits = hearth_scene::Limits {
            entities_per_process: limits.process.entities,
            entities_per_origin: limits.others.entities,
            ..hearth_scene::Limits::default()
        };
        let authority = Authority::new(limits, &saved);
        Ok(World::new(State::Server(Box::new(authority)), Some(file)))
    }

    /// The world of a client.
    pub(crate) fn client(me: PeerId) -> World {
        let mirror = Box::new(Mirror::new(me, rand::random(), MirrorLimits::default()));
        World::new(State::Client { mirror, outgoing: VecDeque::new() }, None)
    }

    fn new(state: State, file: Option<SceneFile>) -> World {
        World {
            state: Mutex::new(state),
            senders: Mutex::default(),
            shown: Arc::default(),
            file: file.map(Mutex::new),
            aside: Mutex::default(),
        }
    }

    /// Applies a batch of a process of this peer that may have so many entities, whole or not at all.
    pub(crate) fn apply(
        &self,
        inner: &Inner,
        quota: &Quota,
        writer: ProcessId,
        batch: &[u8],
    ) -> Result<Shown, Refused> {
        let ops = decode_batch(batch).map_err(Refused::Malformed)?;
        let may_hide = ops.iter().any(|op| {
            matches!(
                op,
                Op::Set(_, Component::Terminal(_)) | Op::Unset(_, ComponentKind::Terminal) | Op::Remove(_)
            )
        });
        let mut shown = Shown::default();
        {
            let mut state = self.state.lock();
            let before = if may_hide { state.scene().shared_terminals() } else { BTreeSet::new() };
            match &mut *state {
                State::Server(authority) => authority.apply_within(quota, writer, &ops)?,
                State::Client { mirror, outgoing } => {
                    outgoing.extend(mirror.apply_within(quota, writer, &ops)?);
                }
            }
            if may_hide {
                let scene = state.scene();
                shown.hidden = before.difference(&scene.shared_terminals()).copied().collect();
                shown.set = ops.iter().filter_map(|op| shown_by(op, scene)).collect();
            }
        }
        self.tell(inner);
        Ok(shown)
    }

    /// A frame of another peer came. The error is a reason to end its link.
    pub(crate) fn receive(&self, inner: &Inner, peer: PeerId, frame: &[u8]) -> Result<(), String> {
        let mut refusals = Vec::new();
        let mut lumps = BTreeSet::new();
        let mut is_whole = false;
        {
            let mut state = self.state.lock();
            match &mut *state {
                State::Server(authority) => {
                    let submitted = authority
                        .receive(peer, frame)
                        .map_err(|error| format!("malformed frame of the scene: {error}"))?;
                    let applied = submitted.iter().filter_map(|done| done.outcome.as_ref().ok());
                    for op in applied.flatten() {
                        if let Op::Set(_, component) = op {
                            lumps.extend(component.lumps());
                        }
                    }
                }
                State::Client { mirror, outgoing } => match mirror.receive(frame) {
                    Ok(notices) => {
                        for notice in notices {
                            match notice {
                                Notice::Send(frame) => outgoing.push_back(frame),
                                Notice::Refused { writer, reason, .. } => refusals.push((writer, reason)),
                                Notice::Synced => is_whole = true,
                            }
                        }
                    }
                    Err(error) => {
                        tracing::warn!("the scene is asked for anew: {}", chain(&error));
                        outgoing.clear();
                        outgoing.push_back(mirror.join());
                    }
                },
            }
        }
        if is_whole {
            tracing::debug!("the scene is complete");
            inner.standing.send_modify(|standing| standing.has_scene = true);
        }
        for (writer, reason) in refusals {
            inner.processes.log(writer, Level::Warn, "scene", &reason);
        }
        // Whoever sees it will ask the server, also when its maker has gone.
        for lump in lumps {
            inner.lumps.prefetch(lump, peer);
        }
        self.tell(inner);
        Ok(())
    }

    /// A process of this peer has ended: what belongs to it goes.
    pub(crate) fn process_ended(&self, inner: &Inner, process: ProcessId) {
        self.aside.lock().remove(&process);
        match &mut *self.state.lock() {
            State::Server(authority) => authority.process_ended(process),
            State::Client { mirror, outgoing } => outgoing.extend(mirror.process_ended(process)),
        }
        self.tell(inner);
    }

    /// New code of a process begins: what is there was made by the code before.
    pub(crate) fn set_aside(&self, process: ProcessId) {
        let made = self.state.lock().scene().owned_by(process).collect();
        self.aside.lock().insert(process, made);
    }

    /// The new code of a process has started, and what the code before had made goes; or it has not, and
    /// what it has made goes.
    pub(crate) fn replaced(&self, inner: &Inner, process: ProcessId, has_started: bool) {
        let before = self.aside.lock().remove(&process).unwrap_or_default();
        let mut left = 0;
        let origin = inner.processes.info(process).map(|info| info.origin);
        {
            let mut state = self.state.lock();
            // Whoever's code runs now, what it has counts for that one.
            match (&mut *state, origin) {
                (State::Server(authority), Some(origin)) => authority.set_origin(process, origin),
                (State::Client { mirror, .. }, Some(origin)) => mirror.set_origin(process, origin),
                (_, None) => {}
            }
            let scene = state.scene();
            let owned = scene.owned_by(process);
            let going: BTreeSet<EntityId> = owned.filter(|id| before.contains(id) == has_started).collect();
            // What hangs below goes with it.
            let tops = going.iter().filter(|id| {
                let above = std::iter::successors(scene.get(**id), |entity| {
                    entity.parent().and_then(|parent| scene.get(parent))
                });
                !above.filter_map(hearth_scene::Entity::parent).any(|parent| going.contains(&parent))
            });
            let removals: Vec<Op> = tops.map(|id| Op::Remove(*id)).collect();
            // Small batches: one of which the server refuses a part, because another peer was faster, is
            // refused as a whole.
            for ops in removals.chunks(if removals.len() > FEW_REMOVALS { REMOVALS } else { 1 }) {
                let applied = match &mut *state {
                    State::Server(authority) => authority.apply(process, ops),
                    State::Client { mirror, outgoing } => {
                        mirror.apply(process, ops).map(|frame| outgoing.extend(frame))
                    }
                };
                left += if applied.is_err() { ops.len() } else { 0 };
            }
        }
        if left > 0 {
            let text = format!("{left} things that replaced code had made stay until the process ends");
            inner.processes.log(process, Level::Warn, "scene", &text);
        }
        self.tell(inner);
    }

    /// The first thing that a process made and that is still there.
    pub(crate) fn place_of(&self, process: ProcessId) -> Option<Place> {
        let state = self.state.lock();
        let scene = state.scene();
        let entity = scene.owned_by(process).next()?;
        let Transform { translation, scale, .. } = scene.in_world(entity)?;
        Some(Place { entity: Some(entity), scale, in_world: translation })
    }

    /// The entities that show a terminal and are not hidden, at most `count` of them, in order of id from behind
    /// `after` on; and where they are.
    pub(crate) fn terminals_shown(
        &self,
        after: EntityId,
        count: usize,
    ) -> Vec<(EntityId, TerminalView, Transform)> {
        let state = self.state.lock();
        let scene = state.scene();
        let shown = scene.showing_terminals(after).filter(|id| !scene.is_hidden(*id));
        let with_place = shown.filter_map(|id| match scene.get(id)?.get(ComponentKind::Terminal)? {
            Component::Terminal(view) => Some((id, *view, scene.in_world(id)?)),
            _ => None,
        });
        // What is scaled beyond all measure is nowhere.
        let is_somewhere = |(_, _, Transform { translation, rotation, scale }): &(_, _, Transform)| {
            translation.iter().chain(rotation).chain(scale).all(|number| number.is_finite())
        };
        with_place.filter(is_somewhere).take(count).collect()
    }

    /// The process that is told what pointers do to an entity, and what it wants to hear.
    pub(crate) fn pointer_target(&self, id: EntityId) -> Option<(ProcessId, Wants)> {
        let state = self.state.lock();
        let entity = state.scene().get(id)?;
        match (entity.owner(), entity.get(ComponentKind::Pointer)?) {
            (Owner::Process(process), Component::Pointer(wants)) => Some((process, *wants)),
            // Of what belongs to the space there is nobody to hear it.
            _ => None,
        }
    }

    /// Whether a press on an entity gives the keyboard to the target that it is, or is a part of: the nearest component that
    /// says so, from it up to the target, decides.
    pub(crate) fn takes_keys(&self, pressed: EntityId, target: EntityId) -> bool {
        let state = self.state.lock();
        let scene = state.scene();
        let mut is_part = true;
        let up_to_target = std::iter::once(pressed).chain(scene.above(pressed)).take_while(|id| {
            let is_within = is_part;
            is_part = *id != target;
            is_within
        });
        let parts: Vec<EntityId> = up_to_target.collect();
        let says = |id: &EntityId| match scene.get(*id)?.get(ComponentKind::Keyboard)? {
            Component::Keyboard(on) => Some(*on),
            _ => None,
        };
        parts.last() == Some(&target) && parts.iter().find_map(says) == Some(true)
    }

    /// A component, as this peer knows it now.
    pub(crate) fn component(&self, entity: EntityId, kind: ComponentKind) -> Option<Component> {
        self.state.lock().scene().get(entity)?.get(kind).cloned()
    }

    /// The bytes of a component, as this peer knows it now.
    pub(crate) fn read(&self, entity: EntityId, kind: ComponentKind) -> Option<Vec<u8>> {
        self.state.lock().scene().component_bytes(entity, kind)
    }

    /// How many entities belong to a process of this peer, and to all processes of an origin.
    pub(crate) fn counts(&self, process: ProcessId, origin: PeerId) -> (usize, usize) {
        let state = self.state.lock();
        (state.scene().count_of(process), state.scene().count_of_origin(origin))
    }

    /// Number of entities.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().scene().len()
    }

    /// All lumps that components refer to.
    pub(crate) fn lumps(&self) -> BTreeSet<LumpId> {
        let state = self.state.lock();
        let components = state.scene().iter().flat_map(|(_, entity)| entity.components());
        components.flat_map(|component| component.lumps().collect::<Vec<_>>()).collect()
    }

    /// The terminals that entities of the shared scene show.
    pub(crate) fn shared_terminals(&self) -> BTreeSet<TerminalId> {
        self.state.lock().scene().shared_terminals()
    }

    /// The processes that wrote the components of these entities that refer to this lump.
    pub(crate) fn writers(&self, entities: &[EntityId], lump: LumpId) -> BTreeSet<ProcessId> {
        let state = self.state.lock();
        let mut writers = BTreeSet::new();
        for entity in entities.iter().filter_map(|id| state.scene().get(*id)) {
            let refers = entity.components().filter(|component| component.lumps().any(|id| id == lump));
            writers.extend(refers.filter_map(|component| entity.writer(component.kind())));
        }
        writers
    }

    /// A client has a link to its server again.
    pub(crate) fn connected(&self) {
        if let State::Client { mirror, outgoing } = &mut *self.state.lock() {
            outgoing.clear();
            outgoing.push_back(mirror.join());
        }
    }

    /// A client has lost its link.
    pub(crate) fn disconnected(&self) {
        if let State::Client { mirror, outgoing } = &mut *self.state.lock() {
            mirror.disconnect();
            outgoing.clear();
        }
    }

    /// A server has lost its link to a client, which may come back.
    pub(crate) fn leave(&self, peer: PeerId) {
        if let State::Server(authority) = &mut *self.state.lock() {
            authority.disconnect(peer);
        }
        self.senders.lock().remove(&peer);
    }

    /// A client did not come back: what belongs to its processes goes.
    pub(crate) fn peer_left(&self, inner: &Inner, peer: PeerId) {
        if let State::Server(authority) = &mut *self.state.lock() {
            authority.forget(peer);
        }
        self.tell(inner);
    }

    /// Told when there may be something for a neighbour.
    pub(crate) fn changed_for(&self, peer: PeerId) -> Arc<Notify> {
        self.senders.lock().entry(peer).or_default().clone()
    }

    /// Takes the next frame for a neighbour. Taken only when the link has room for it: what waits here
    /// is replaced by what is newer.
    pub(crate) fn next_for(&self, peer: PeerId) -> Option<bytes::Bytes> {
        match &mut *self.state.lock() {
            State::Server(authority) => authority.take(peer, FRAME_LEN).map(Into::into),
            State::Client { outgoing, .. } => outgoing.pop_front().map(Into::into),
        }
    }

    /// Told when there may be something to show.
    pub(crate) fn changed_to_show(&self) -> Arc<Notify> {
        self.shown.clone()
    }

    /// What has changed since the last call, for the engine.
    pub(crate) fn take_changes(&self) -> Vec<Change> {
        match &mut *self.state.lock() {
            State::Server(_) => Vec::new(),
            State::Client { mirror, .. } => mirror.take_changes(),
        }
    }

    /// Writes what has become of the entities given to the space; durable when it returns. Blocks.
    pub(crate) fn save(&self) -> Result<(), FileError> {
        let Some(file) = &self.file else { return Ok(()) };
        // One at a time, so that an older state never comes after a newer one.
        let file = file.lock();
        let unsaved = match &mut *self.state.lock() {
            State::Server(authority) => authority.take_unsaved(),
            State::Client { .. } => return Ok(()),
        };
        if unsaved.is_empty() {
            return Ok(());
        }
        file.save(&unsaved).inspect_err(|_| {
            if let State::Server(authority) = &mut *self.state.lock() {
                authority.not_saved(&unsaved);
            }
        })
    }

    /// Wakes those who send and show.
    fn tell(&self, inner: &Inner) {
        if inner.is_server() {
            let news: Vec<PeerId> = match &*self.state.lock() {
                State::Server(authority) => authority.peers_with_news().collect(),
                State::Client { .. } => Vec::new(),
            };
            let senders = self.senders.lock();
            news.iter().filter_map(|peer| senders.get(peer)).for_each(|sender| sender.notify_one());
        } else {
            if let Some(sender) = self.senders.lock().get(&PeerId::SERVER) {
                sender.notify_one();
            }
            self.shown.notify_one();
        }
        inner.share_terminals();
        inner.typing_checked();
    }
}
