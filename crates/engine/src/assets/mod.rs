// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps as assets: asked for when something refers to them, decoded away from the frame, shared by
//! all who use them, and let go when nobody does.

pub(crate) mod environment;
pub(crate) mod giving;
pub(crate) mod gltf;
pub(crate) mod mesh;
pub(crate) mod texture;
mod vertices;

use crate::{
    AssetReport, AssetState, Event,
    model::{Model, Shelves},
    reply::Reply,
    sky::Maps,
};
use bevy::{
    image::CompressedImageFormats,
    mesh::skinning::SkinnedMeshInverseBindposes,
    prelude::*,
    tasks::{AsyncComputeTaskPool, Task, block_on, poll_once},
};
use bytes::Bytes;
use giving::{Budget, Giving, Uploads};
use gltf::Beside;
use hearth_abi::{EntityId, LumpId};
use hearth_glyph::Font;
use hearth_sound::Clip;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};
use texture::Use;

/// Most bytes that decoded assets take together.
const MEMORY_MAX: usize = 4 << 30;
/// Most lumps that are decoded at once.
const DECODING_MAX: usize = 3;
/// Bytes of lumps waiting to be decoded beyond which no further lump is taken from the queue.
const WAITING_BYTES_MAX: usize = 512 << 20;
/// Most bytes of the lumps together that one lump refers to.
const BESIDE_BYTES_MAX: usize = 256 << 20;
/// Most loads of one asset that wait at once.
const LOADS_WAITING_MAX: usize = 4096;
/// How long an asset may be under way until something stands in for it. What is here sooner, as most of what comes from a
/// script of this machine, takes the place of what was seen before, without a box in between.
const PATIENCE: Duration = Duration::from_millis(300);

/// A lump, as what.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Key {
    Mesh(LumpId),
    Texture(LumpId, Use),
    Model(LumpId),
    Sound(LumpId),
    Environment(LumpId),
    Font(LumpId),
    Animation(LumpId),
}

impl Key {
    fn of_class(class: &str, id: LumpId) -> Option<Key> {
        match class {
            "Mesh" => Some(Key::Mesh(id)),
            "Texture" => Some(Key::Texture(id, Use::Color)),
            "Scene" => Some(Key::Model(id)),
            "Sound" => Some(Key::Sound(id)),
            "Environment" => Some(Key::Environment(id)),
            "Font" => Some(Key::Font(id)),
            "Animation" => Some(Key::Animation(id)),
            _ => None,
        }
    }

    pub(crate) const fn lump(self) -> LumpId {
        match self {
            Key::Mesh(id) | Key::Texture(id, _) | Key::Model(id) => id,
            Key::Environment(id) | Key::Sound(id) | Key::Font(id) | Key::Animation(id) => id,
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Key::Mesh(_) => "Mesh",
            Key::Texture(..) => "Texture",
            Key::Model(_) => "Scene",
            Key::Sound(_) => "Sound",
            Key::Environment(_) => "Environment",
            Key::Font(_) => "Font",
            Key::Animation(_) => "Animation",
        }
    }
}

/// An asset that is there.
#[derive(Clone)]
pub(crate) enum Loaded {
    /// `None` for a mesh without triangles.
    Mesh(Option<Arc<Form>>),
    Texture(Handle<Image>),
    Model(Arc<Model>),
    /// Seen, diffuse and specular.
    Environment([Handle<Image>; 3]),
    Sound(Arc<Clip>),
    Font(Font),
    Animation(Arc<gltf::Clips>),
}

/// A mesh, and what bends it.
pub(crate) struct Form {
    /// In pieces, one or more.
    pub(crate) plain: Vec<Handle<bevy::mesh::Mesh>>,
    pub(crate) skinned: Option<Skinned>,
    /// How many morph targets it has.
    pub(crate) targets: usize,
}

/// A mesh as it is with a skin.
pub(crate) struct Skinned {
    pub(crate) mesh: Handle<bevy::mesh::Mesh>,
    pub(crate) poses: Handle<SkinnedMeshInverseBindposes>,
    pub(crate) joints: usize,
}

/// What there is to show of an asset.
pub(crate) enum Sight<'a> {
    /// It is under way, and not for long: nothing stands in for it yet.
    Awaited,
    /// It is under way.
    Pending,
    Ready(&'a Loaded),
    Failed,
}

enum Decoded {
    Mesh(Option<Box<mesh::Decoded>>),
    Texture(Option<Box<Image>>),
    Model(Box<gltf::Decoded>),
    Environment(Option<Box<Maps>>),
    Sound(Arc<Clip>),
    Font(Font),
    Animation(Arc<gltf::Clips>),
}

impl Decoded {
    /// With what of it goes to the graphics card apart.
    fn parts(mut self) -> (Decoded, Giving) {
        let (images, meshes) = match &mut self {
            Decoded::Mesh(Some(mesh)) => (Vec::new(), std::mem::take(&mut mesh.plain)),
            Decoded::Texture(image) => (image.take().map(|image| *image).into_iter().collect(), Vec::new()),
            Decoded::Model(model) => model.take_large(),
            Decoded::Environment(maps) => {
                (maps.take().map_or_else(Vec::new, |maps| maps.into_images()), Vec::new())
            }
            Decoded::Mesh(None) | Decoded::Sound(_) | Decoded::Font(_) | Decoded::Animation(_) => {
                (Vec::new(), Vec::new())
            }
        };
        (self, Giving::new(images, meshes))
    }

    /// The asset, when all of that is there.
    fn load(self, giving: &mut Giving, shelves: &mut Shelves<'_>) -> Loaded {
        let images = std::mem::take(&mut giving.given_images);
        let meshes = std::mem::take(&mut giving.given_meshes);
        match self {
            Decoded::Mesh(mesh) => Loaded::Mesh(mesh.map(|mesh| {
                let skinned = mesh.skinned.map(|(mesh, matrices)| Skinned {
                    mesh: shelves.meshes.add(mesh),
                    joints: matrices.len(),
                    poses: shelves.poses.add(matrices),
                });
                Arc::new(Form { plain: meshes, skinned, targets: mesh.targets })
            })),
            Decoded::Texture(_) => Loaded::Texture(images.into_iter().next().unwrap_or_default()),
            Decoded::Model(model) => Loaded::Model(Arc::new(Model::new(*model, &images, meshes, shelves))),
            Decoded::Environment(_) => {
                let mut images = images.into_iter();
                Loaded::Environment([(); 3].map(|()| images.next().unwrap_or_default()))
            }
            Decoded::Sound(clip) => Loaded::Sound(clip),
            Decoded::Font(font) => Loaded::Font(font),
            Decoded::Animation(clips) => Loaded::Animation(clips),
        }
    }
}

enum State {
    /// The lump is not here.
    Wanted,
    /// The lump is here, and these that it refers to are not.
    Lacking(Box<Lacking>),
    /// It waits for its turn.
    Waiting,
    Decoding(Mutex<Task<Result<Outcome, String>>>),
    /// It goes to the graphics card.
    Giving(Box<(Decoded, Giving)>, usize),
    Ready(Loaded, usize),
    Failed(String),
}

/// A lump that refers to others.
struct Lacking {
    bytes: Bytes,
    beside: Beside,
    lacks: BTreeSet<LumpId>,
}

/// What became of a lump.
enum Outcome {
    Whole(Decoded, usize),
    Lacks(Lacking),
}

/// A lump that waits to be decoded, with those that it refers to.
struct Job {
    key: Key,
    bytes: Bytes,
    beside: Beside,
}

impl Job {
    fn len(&self) -> usize {
        self.bytes.len() + self.beside.values().map(Bytes::len).sum::<usize>()
    }
}

struct Asset {
    state: State,
    /// On the engine's clock, since when it is under way.
    since: Duration,
    /// Whether it is under way for so long that something stands in for it.
    is_late: bool,
    users: BTreeSet<EntityId>,
    /// Loads that were not dropped.
    holds: usize,
    waiting: Vec<Reply<()>>,
}

/// All assets.
#[derive(Resource)]
pub(crate) struct Store {
    assets: HashMap<Key, Asset>,
    /// As what each lump is used.
    keys: HashMap<LumpId, BTreeSet<Key>>,
    /// Lumps that were asked for and did not come yet, and how much of each is here.
    asked: HashMap<LumpId, f32>,
    /// Which assets refer to a lump that is not here.
    referred: HashMap<LumpId, BTreeSet<Key>>,
    waiting: VecDeque<Job>,
    waiting_bytes: usize,
    /// Assets being decoded.
    busy: BTreeSet<Key>,
    memory: usize,
    changed: BTreeSet<Key>,
    /// The engine's clock.
    now: Duration,
    failures: BTreeMap<Key, BTreeSet<EntityId>>,
    events: VecDeque<Event>,
    uploads: Uploads,
}

impl Store {
    pub(crate) fn new(uploads: Uploads) -> Store {
        Store {
            assets: HashMap::new(),
            keys: HashMap::new(),
            asked: HashMap::new(),
            referred: HashMap::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            busy: BTreeSet::new(),
            memory: 0,
            changed: BTreeSet::new(),
            now: Duration::ZERO,
            failures: BTreeMap::new(),
            events: VecDeque::new(),
            uploads,
        }
    }

    /// Whether a further lump may come in.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting_bytes < WAITING_BYTES_MAX
    }

    /// Assets in use that are not there yet.
    pub(crate) fn missing(&self) -> usize {
        let under_way = |a: &&Asset| !matches!(a.state, State::Ready(..) | State::Failed(_));
        self.assets.values().filter(under_way).count()
    }

    pub(crate) fn look(&self, key: Key) -> Sight<'_> {
        let Some(asset) = self.assets.get(&key) else { return Sight::Pending };
        match &asset.state {
            State::Ready(loaded, _) => Sight::Ready(loaded),
            State::Failed(_) => Sight::Failed,
            _ if asset.is_late => Sight::Pending,
            _ => Sight::Awaited,
        }
    }

    pub(crate) fn users(&self, key: Key) -> impl Iterator<Item = EntityId> {
        self.assets.get(&key).into_iter().flat_map(|asset| asset.users.iter().copied())
    }

    /// This entity shows that asset from now on.
    pub(crate) fn begin_use(&mut self, key: Key, entity: EntityId) {
        let asset = self.want(key);
        if asset.users.insert(entity) && matches!(asset.state, State::Failed(_)) {
            self.failures.entry(key).or_default().insert(entity);
        }
    }

    /// And no more.
    pub(crate) fn end_use(&mut self, key: Key, entity: EntityId) {
        if let Some(asset) = self.assets.get_mut(&key) {
            asset.users.remove(&entity);
            self.let_go_if_unused(key);
        }
    }

    /// Loads an asset and holds it.
    pub(crate) fn load(&mut self, class: &str, id: LumpId, done: Reply<()>) {
        let Some(key) = Key::of_class(class, id) else {
            return done.answer(Err(format!("a picture has no assets of class `{class}`")));
        };
        let asset = self.want(key);
        match &asset.state {
            State::Ready(..) => {
                asset.holds += 1;
                done.answer(Ok(()));
            }
            State::Failed(reason) => {
                let reason = reason.clone();
                self.let_go_if_unused(key);
                done.answer(Err(reason));
            }
            _ if asset.waiting.len() >= LOADS_WAITING_MAX => {
                done.answer(Err("too many loads of it wait".into()))
            }
            _ => asset.waiting.push(done),
        }
    }

    /// Takes back one load.
    pub(crate) fn drop_load(&mut self, class: &str, id: LumpId) {
        let Some(key) = Key::of_class(class, id) else { return };
        if let Some(asset) = self.assets.get_mut(&key) {
            asset.holds = asset.holds.saturating_sub(1);
            self.let_go_if_unused(key);
        }
    }

    /// So much of a lump is here.
    pub(crate) fn progress(&mut self, id: LumpId, received: u64, size: u64) {
        if let Some(part) = self.asked.get_mut(&id) {
            *part = (received as f64 / size.max(1) as f64).clamp(0.0, 1.0) as f32;
        }
    }

    /// How much of an asset that is under way is here: 0 to 1.
    pub(crate) fn part(&self, key: Key) -> f32 {
        match self.assets.get(&key).map(|asset| &asset.state) {
            Some(State::Wanted) => self.asked.get(&key.lump()).copied().unwrap_or(0.0),
            Some(State::Lacking(lacking)) => {
                let here = lacking.beside.len() as f32;
                let parts: f32 = lacking.lacks.iter().filter_map(|lump| self.asked.get(lump)).sum();
                (here + parts) / (here + lacking.lacks.len() as f32).max(1.0)
            }
            Some(State::Failed(_)) | None => 0.0,
            Some(_) => 1.0,
        }
    }

    /// Lets go of all that is held and asked for, for another peer. What its entities use they let go themselves.
    pub(crate) fn hand_over(&mut self) {
        for key in self.assets.keys().copied().collect::<Vec<_>>() {
            if let Some(asset) = self.assets.get_mut(&key) {
                asset.holds = 0;
                asset
                    .waiting
                    .drain(..)
                    .for_each(|done| done.answer(Err("another peer has the picture".into())));
            }
            self.let_go_if_unused(key);
        }
        // The other peer is asked itself.
        self.asked.clear();
        self.failures.clear();
        self.events.clear();
    }

    /// The bytes of a lump came, or there are none.
    pub(crate) fn lump(&mut self, id: LumpId, bytes: Result<Bytes, String>) {
        self.asked.remove(&id);
        for key in self.keys.get(&id).cloned().unwrap_or_default() {
            let Some(asset) = self.assets.get_mut(&key) else { continue };
            if !matches!(asset.state, State::Wanted | State::Failed(_)) {
                continue;
            }
            match &bytes {
                Ok(bytes) => self.wait(Job { key, bytes: bytes.clone(), beside: Beside::new() }),
                Err(reason) => self.fail(key, reason.clone()),
            }
        }
        for key in self.referred.get(&id).cloned().unwrap_or_default() {
            self.referred_came(key, id, &bytes);
        }
    }

    /// A lump to which an asset refers came, or there is none.
    fn referred_came(&mut self, key: Key, id: LumpId, bytes: &Result<Bytes, String>) {
        let Some(asset) = self.assets.get_mut(&key) else { return };
        match (&mut asset.state, bytes) {
            (State::Lacking(lacking), Ok(bytes)) => {
                lacking.lacks.remove(&id);
                lacking.beside.insert(id, bytes.clone());
                let total: usize = lacking.beside.values().map(Bytes::len).sum();
                if total > BESIDE_BYTES_MAX {
                    let most = BESIDE_BYTES_MAX >> 20;
                    return self.fail(key, format!("the lumps that it refers to have more than {most} MiB"));
                }
                if lacking.lacks.is_empty()
                    && let State::Lacking(lacking) = std::mem::replace(&mut asset.state, State::Waiting)
                {
                    let Lacking { bytes, beside, .. } = *lacking;
                    self.forget_referred(key);
                    self.wait(Job { key, bytes, beside });
                }
            }
            // What refers to it stays known: it may come after all, and then all begins anew.
            (State::Lacking(_), Err(reason)) => self.fail(key, format!("it refers to lump {id}: {reason}")),
            (State::Failed(_), Ok(_)) => {
                self.forget_referred(key);
                if let Some(asset) = self.assets.get_mut(&key) {
                    asset.state = State::Wanted;
                }
                self.ask(key.lump());
                self.changed.insert(key);
            }
            _ => {}
        }
    }

    /// An asset refers to no lump any more.
    fn forget_referred(&mut self, key: Key) {
        self.referred.retain(|_, keys| {
            keys.remove(&key);
            !keys.is_empty()
        });
    }

    /// Has a lump decoded when it is its turn.
    fn wait(&mut self, job: Job) {
        let Some(asset) = self.assets.get_mut(&job.key) else { return };
        asset.state = State::Waiting;
        self.changed.insert(job.key);
        self.waiting_bytes += job.len();
        self.waiting.push_back(job);
    }

    /// Asks for a lump, if it was not yet.
    fn ask(&mut self, lump: LumpId) {
        if self.asked.insert(lump, 0.0).is_none() {
            self.events.push_back(Event::WantLump(lump));
        }
    }

    /// Textures, also those of models, are kept by the renderer alone, and went with its device: they are asked for
    /// again.
    pub(crate) fn reload_textures(&mut self) {
        self.uploads.clear();
        for (key, asset) in &mut self.assets {
            if let State::Ready(Loaded::Texture(_) | Loaded::Model(_) | Loaded::Environment(_), weight)
            | State::Giving(_, weight) = asset.state
            {
                self.busy.remove(key);
                self.memory -= weight;
                asset.state = State::Wanted;
                self.changed.insert(*key);
                if self.asked.insert(key.lump(), 0.0).is_none() {
                    self.events.push_back(Event::WantLump(key.lump()));
                }
            }
        }
    }

    /// Something that an entity asks of a lump is not in it.
    pub(crate) fn complain(&mut self, lump: LumpId, entity: EntityId, reason: String) {
        self.events.push_back(Event::AssetFailed { entities: vec![entity], lump, reason });
    }

    fn want(&mut self, key: Key) -> &mut Asset {
        if !self.assets.contains_key(&key) {
            self.ask(key.lump());
        }
        self.keys.entry(key.lump()).or_default().insert(key);
        let since = self.now;
        self.assets.entry(key).or_insert_with(|| Asset {
            state: State::Wanted,
            since,
            is_late: false,
            users: BTreeSet::new(),
            holds: 0,
            waiting: Vec::new(),
        })
    }

    fn let_go_if_unused(&mut self, key: Key) {
        let unused = |a: &Asset| a.users.is_empty() && a.holds == 0 && a.waiting.is_empty();
        if !self.assets.get(&key).is_some_and(unused) {
            return;
        }
        // Dropping a task cancels it, dropping the last handle frees what the renderer holds.
        if let Some(asset) = self.assets.remove(&key)
            && let State::Ready(_, weight) | State::Giving(_, weight) = asset.state
        {
            self.memory -= weight;
        }
        if let Some(keys) = self.keys.get_mut(&key.lump()) {
            keys.remove(&key);
            if keys.is_empty() {
                self.keys.remove(&key.lump());
            }
        }
        if matches!(key, Key::Model(_) | Key::Animation(_)) {
            self.forget_referred(key);
        }
        self.busy.remove(&key);
        self.failures.remove(&key);
        // So that a material that is kept for its next user keeps no texture alive.
        self.changed.insert(key);
    }

    fn fail(&mut self, key: Key, reason: String) {
        self.busy.remove(&key);
        let Some(asset) = self.assets.get_mut(&key) else { return };
        tracing::debug!(lump = %key.lump(), class = key.class(), %reason, "asset failed");
        for done in std::mem::take(&mut asset.waiting) {
            done.answer(Err(reason.clone()));
        }
        self.failures.entry(key).or_default().extend(asset.users.iter());
        asset.state = State::Failed(reason);
        self.changed.insert(key);
        self.let_go_if_unused(key);
    }

    fn succeed(&mut self, key: Key, loaded: Loaded, weight: usize) {
        self.busy.remove(&key);
        let Some(asset) = self.assets.get_mut(&key) else { return };
        asset.state = State::Ready(loaded, weight);
        for done in std::mem::take(&mut asset.waiting) {
            asset.holds += 1;
            done.answer(Ok(()));
        }
        self.changed.insert(key);
    }

    /// All that is known, in no order.
    pub(crate) fn report(&self) -> Vec<AssetReport> {
        let report = |(key, asset): (&Key, &Asset)| AssetReport {
            lump: key.lump(),
            class: key.class(),
            state: match &asset.state {
                State::Wanted | State::Lacking(_) => AssetState::Fetching,
                State::Waiting | State::Decoding(_) | State::Giving(..) => AssetState::Decoding,
                State::Ready(_, memory_bytes) => AssetState::Ready { memory_bytes: *memory_bytes as u64 },
                State::Failed(reason) => AssetState::Failed { reason: reason.clone() },
            },
            users: asset.users.len(),
            holds: asset.holds,
        };
        self.assets.iter().map(report).collect()
    }

    /// Moves on what is under way, at this time of the engine's clock. Gives the assets that look otherwise than before.
    pub(crate) fn advance(
        &mut self,
        now: Duration,
        shelves: &mut Shelves<'_>,
        adapter: CompressedImageFormats,
    ) -> BTreeSet<Key> {
        let mut budget = Budget::new(&self.uploads);
        for key in self.busy.iter().copied().collect::<Vec<_>>() {
            self.advance_one(key);
            self.give(key, shelves, &mut budget);
        }
        let decoding =
            |key: &&Key| matches!(self.assets.get(key).map(|a| &a.state), Some(State::Decoding(_)));
        let mut running = self.busy.iter().filter(decoding).count();
        while running < DECODING_MAX
            && let Some(job) = self.waiting.pop_front()
        {
            let key = job.key;
            self.waiting_bytes -= job.len();
            // It may have been let go meanwhile.
            if let Some(asset) = self.assets.get_mut(&key)
                && matches!(asset.state, State::Waiting)
            {
                let task = AsyncComputeTaskPool::get().spawn(async move {
                    // The decoders do not panic on what their tests and fuzzers know.
                    catch_unwind(AssertUnwindSafe(|| decode(job, adapter)))
                        .unwrap_or_else(|_| Err("the decoder failed".into()))
                });
                asset.state = State::Decoding(Mutex::new(task));
                self.busy.insert(key);
                running += 1;
            }
        }
        self.now = now;
        for (key, asset) in &mut self.assets {
            if !asset.is_late
                && !matches!(asset.state, State::Ready(..) | State::Failed(_))
                && now.saturating_sub(asset.since) >= PATIENCE
            {
                asset.is_late = true;
                self.changed.insert(*key);
            }
        }
        std::mem::take(&mut self.changed)
    }

    fn advance_one(&mut self, key: Key) {
        let Some(asset) = self.assets.get_mut(&key) else {
            self.busy.remove(&key);
            return;
        };
        let State::Decoding(task) = &mut asset.state else { return };
        let Ok(task) = task.get_mut() else { return };
        let Some(result) = block_on(poll_once(task)) else { return };
        let (decoded, weight) = match result {
            Ok(Outcome::Whole(decoded, weight)) => (decoded, weight),
            Ok(Outcome::Lacks(lacking)) => return self.lack(key, lacking),
            Err(reason) => return self.fail(key, reason),
        };
        if self.memory.saturating_add(weight) > MEMORY_MAX {
            let reason = format!("assets take more than {} GiB already", MEMORY_MAX >> 30);
            return self.fail(key, reason);
        }
        self.memory += weight;
        let (decoded, giving) = decoded.parts();
        asset.state = State::Giving(Box::new((decoded, giving)), weight);
    }

    /// Asks for the lumps that an asset refers to.
    fn lack(&mut self, key: Key, lacking: Lacking) {
        self.busy.remove(&key);
        let lumps = lacking.lacks.clone();
        if let Some(asset) = self.assets.get_mut(&key) {
            asset.state = State::Lacking(Box::new(lacking));
        }
        for lump in lumps {
            self.referred.entry(lump).or_default().insert(key);
            self.ask(lump);
        }
    }

    /// Gives the renderer what it may be given of an asset before this picture.
    fn give(&mut self, key: Key, shelves: &mut Shelves<'_>, budget: &mut Budget) {
        let Some(asset) = self.assets.get_mut(&key) else { return };
        let State::Giving(parts, _) = &mut asset.state else { return };
        if !parts.1.advance(budget, &self.uploads, shelves.images, shelves.meshes) {
            return;
        }
        if let State::Giving(parts, weight) = std::mem::replace(&mut asset.state, State::Waiting) {
            let (decoded, mut giving) = *parts;
            let loaded = decoded.load(&mut giving, shelves);
            self.succeed(key, loaded, weight);
        }
    }

    /// What the peer is to hear, oldest first. What it has no room for is kept.
    pub(crate) fn tell(&mut self, mut say: impl FnMut(Event) -> Result<(), Event>) {
        for (key, users) in std::mem::take(&mut self.failures) {
            let Some(State::Failed(reason)) = self.assets.get(&key).map(|asset| &asset.state) else {
                continue;
            };
            let entities = users.into_iter().take(Event::ENTITIES_MAX).collect();
            let event = Event::AssetFailed { entities, lump: key.lump(), reason: reason.clone() };
            self.events.push_back(event);
        }
        while let Some(event) = self.events.pop_front() {
            if let Err(event) = say(event) {
                self.events.push_front(event);
                return;
            }
        }
    }
}

fn decode(job: Job, adapter: CompressedImageFormats) -> Result<Outcome, String> {
    let Job { key, bytes, beside } = job;
    let (whole, bytes) = (bytes.clone(), &bytes[..]);
    match key {
        Key::Mesh(_) => {
            let (mesh, weight) = mesh::decode(bytes)?;
            Ok(Outcome::Whole(Decoded::Mesh(mesh.map(Box::new)), weight))
        }
        Key::Texture(_, usage) => {
            let (image, weight) = texture::decode(bytes, usage, adapter)?;
            Ok(Outcome::Whole(Decoded::Texture(Some(Box::new(image))), weight))
        }
        Key::Model(_) => match gltf::decode(bytes, &beside, adapter)? {
            gltf::Outcome::Whole(decoded) => {
                let weight = decoded.weight;
                Ok(Outcome::Whole(Decoded::Model(decoded), weight))
            }
            gltf::Outcome::Lacks(lacks) => Ok(Outcome::Lacks(Lacking { bytes: whole, beside, lacks })),
        },
        Key::Animation(_) => match gltf::decode_clips(bytes, &beside)? {
            gltf::Outcome::Whole(clips) => {
                let weight = clips.weight;
                Ok(Outcome::Whole(Decoded::Animation(Arc::new(clips)), weight))
            }
            gltf::Outcome::Lacks(lacks) => Ok(Outcome::Lacks(Lacking { bytes: whole, beside, lacks })),
        },
        Key::Environment(_) => {
            let (maps, weight) = environment::decode(bytes)?;
            Ok(Outcome::Whole(Decoded::Environment(Some(Box::new(maps))), weight))
        }
        Key::Sound(_) => {
            let clip = hearth_sound::decode(bytes).map_err(|error| error.to_string())?;
            let weight = clip.bytes();
            Ok(Outcome::Whole(Decoded::Sound(Arc::new(clip)), weight))
        }
        Key::Font(_) => {
            let font = Font::parse(bytes).map_err(|error| error.to_string())?;
            let weight = font.bytes();
            Ok(Outcome::Whole(Decoded::Font(font), weight))
        }
    }
}
