// SPDX-License-Identifier: AGPL-3.0-or-later
//! The engine's own copy of the scene: an entity of the renderer for each entity of the scene, and
//! what is needed to change it.

mod show;

use crate::{
    assets::{Key, Loaded, Sight, Store},
    layers, light, lines,
    look::{Looks, texture_keys},
    model::{self, Clock, Playing, Tied},
    monitor,
    motion::{Motion, Moving},
    particles,
    sound::Hearing,
    text::{self, Writing},
};
use bevy::{ecs::query::QueryState, platform::collections::HashMap, prelude::*};
use hearth_abi::{
    EntityId, LumpId, PeerId,
    pointer::Wants,
    scene::{self, Component, ComponentKind, MeshSource, Scope},
};
use hearth_scene::{Change, Owner};
pub(crate) use show::fill;
use show::{font_of, show_mesh, show_model, show_particles, texture_of, weigh};
use std::{
    collections::{BTreeMap, BTreeSet},
    vec,
};

/// Greatest distance of an entity from its parent in metres.
const PLACE_MOST: f32 = 1e6;
/// Smallest and greatest scale. Not zero: what has no size has no directions either.
const SCALE_LEAST: f32 = 1e-5;
const SCALE_MOST: f32 = 1e5;

/// One entity of the scene.
struct Entry {
    entity: Entity,
    scope: Scope,
    mesh: Option<MeshSource>,
    material: Option<Box<scene::Material>>,
    model: Option<LumpId>,
    /// What its model plays, if that is not one of its own clips.
    animation: Option<LumpId>,
    environment: Option<LumpId>,
    sound: Option<LumpId>,
    /// The face of its text.
    font: Option<LumpId>,
    /// What stands in for the model.
    stand_in: Option<Entity>,
    light: Option<Entity>,
    lines: Option<Entity>,
    particles: Option<Box<scene::Particles>>,
    /// What it shows of a view, and the material for that.
    screen: Option<(scene::Screen, Handle<StandardMaterial>)>,
    skin: Option<Box<scene::Skin>>,
    morphs: Option<Box<scene::MorphWeights>>,
    /// Further pieces of a large mesh.
    pieces: Vec<Entity>,
    mirror: Option<scene::Mirror>,
    /// What is drawn of the mirror.
    glass: Option<Entity>,
    /// Whether it shows a terminal, and whether it bears text.
    reads: [bool; 2],
    keys: BTreeSet<Key>,
}

/// Which entity of the scene it is.
#[derive(bevy::prelude::Component)]
pub(crate) struct Known(pub(crate) EntityId);

/// Shows how much of an asset is here.
#[derive(bevy::prelude::Component)]
pub(crate) struct Filling(Key);

/// Entities that turn to the viewer.
#[derive(bevy::prelude::Component)]
pub(crate) struct Facing;

/// An entity as something that moves.
struct Body {
    entity: Entity,
    /// Its moves come from elsewhere, in steps.
    in_steps: bool,
}

/// What a move is of.
type Moved = (&'static mut Motion, &'static mut Transform, Has<Moving>);

/// The scene as the engine knows it.
#[derive(Resource)]
pub(crate) struct Place {
    peer: PeerId,
    entries: HashMap<EntityId, Entry>,
    /// The same entities, with what it takes to move them: thousands of moves a picture would find each entry beside others that
    /// they do not need.
    bodies: HashMap<EntityId, Body>,
    moved: Option<QueryState<Moved>>,
    /// Changes that were taken but not applied.
    pub(crate) waiting: vec::IntoIter<Change>,
    /// Entities whose look has to be made anew.
    dirty: BTreeSet<EntityId>,
    /// Entities of which it is to be seen whether their model has what they play.
    unasked: BTreeSet<EntityId>,
    cameras: BTreeMap<EntityId, (scene::Camera, Entity)>,
    skies: BTreeMap<EntityId, scene::Sky>,
    environments: BTreeMap<EntityId, scene::Environment>,
    fogs: BTreeMap<EntityId, scene::Fog>,
    gradings: BTreeMap<EntityId, scene::ColorGrading>,
    views: BTreeMap<EntityId, (scene::View, Entity)>,
    /// Entities that show what a view sees.
    screens: BTreeSet<EntityId>,
    /// Entities whose meshes are bent by this one.
    bent_by: HashMap<EntityId, BTreeSet<EntityId>>,
    listeners: BTreeMap<EntityId, (scene::Listener, Entity)>,
    /// Entities that are targets of the pointer.
    targets: BTreeMap<EntityId, Wants>,
    /// Something of the scene has arrived.
    pub(crate) has_begun: bool,
}

impl Place {
    pub(crate) fn new(peer: PeerId) -> Place {
        Place {
            peer,
            entries: HashMap::new(),
            bodies: HashMap::new(),
            moved: None,
            waiting: vec::IntoIter::default(),
            dirty: BTreeSet::new(),
            unasked: BTreeSet::new(),
            cameras: BTreeMap::new(),
            skies: BTreeMap::new(),
            environments: BTreeMap::new(),
            fogs: BTreeMap::new(),
            gradings: BTreeMap::new(),
            views: BTreeMap::new(),
            screens: BTreeSet::new(),
            bent_by: HashMap::new(),
            listeners: BTreeMap::new(),
            targets: BTreeMap::new(),
            has_begun: false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The camera to look through: the one with the highest priority, of several that with the
    /// lowest id.
    pub(crate) fn camera(&self) -> Option<&(scene::Camera, Entity)> {
        self.cameras.values().rev().max_by_key(|(camera, _)| camera.priority)
    }

    pub(crate) fn sky(&self) -> Option<&scene::Sky> {
        self.skies.values().next()
    }

    pub(crate) fn environment(&self) -> Option<&scene::Environment> {
        self.environments.values().next()
    }

    pub(crate) fn fog(&self) -> Option<&scene::Fog> {
        self.fogs.values().next()
    }

    pub(crate) fn grading(&self) -> Option<&scene::ColorGrading> {
        self.gradings.values().next()
    }

    /// What an entity sees for screens, and the renderer's entity.
    pub(crate) fn view(&self, id: EntityId) -> Option<&(scene::View, Entity)> {
        self.views.get(&id)
    }

    /// All screens: what they show, where, and the material for it.
    pub(crate) fn screens(
        &self,
    ) -> impl Iterator<Item = (&scene::Screen, Entity, &Handle<StandardMaterial>)> {
        self.screens.iter().filter_map(|id| {
            let entry = self.entries.get(id)?;
            let (screen, material) = entry.screen.as_ref()?;
            Some((screen, entry.entity, material))
        })
    }

    /// Where the ears are, if not at the camera.
    pub(crate) fn listener(&self) -> Option<Entity> {
        let found = self.listeners.values().rev().max_by_key(|(listener, _)| listener.priority);
        found.map(|(_, entity)| *entity)
    }

    /// What is bent by this entity is to be looked at again.
    fn bend_anew(&mut self, joint: EntityId) {
        self.dirty.extend(self.bent_by.get(&joint).into_iter().flatten());
    }

    /// An entity is bent by these.
    fn bend(&mut self, id: EntityId, skin: Option<Box<scene::Skin>>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let before = std::mem::replace(&mut entry.skin, skin);
        self.unbend(id, before.as_deref());
        for joint in
            self.entries.get(&id).and_then(|entry| entry.skin.as_ref()).iter().flat_map(|s| &s.joints)
        {
            self.bent_by.entry(*joint).or_default().insert(id);
        }
        self.dirty.insert(id);
    }

    fn unbend(&mut self, id: EntityId, skin: Option<&scene::Skin>) {
        for joint in skin.into_iter().flat_map(|skin| &skin.joints) {
            if let Some(bent) = self.bent_by.get_mut(joint) {
                bent.remove(&id);
                if bent.is_empty() {
                    self.bent_by.remove(joint);
                }
            }
        }
    }

    /// Takes everything away, for another peer.
    pub(crate) fn hand_over(&mut self, world: &mut World, store: &mut Store, peer: PeerId) {
        let all: Vec<EntityId> = self.entries.keys().copied().collect();
        for id in all {
            self.remove(world, store, id);
        }
        *self = Place { has_begun: self.has_begun, ..Place::new(peer) };
    }

    /// The peer that shows the picture.
    pub(crate) fn peer(&self) -> PeerId {
        self.peer
    }

    /// Whether there is anything that a pointer could be on.
    pub(crate) fn has_targets(&self) -> bool {
        !self.targets.is_empty()
    }

    /// What an entity wants to hear of pointers, if it is a target.
    pub(crate) fn wants(&self, id: EntityId) -> Option<Wants> {
        self.targets.get(&id).copied()
    }

    /// The renderer's entity.
    pub(crate) fn entity(&self, id: EntityId) -> Option<Entity> {
        Some(self.entries.get(&id)?.entity)
    }

    /// Applies one change.
    pub(crate) fn apply(&mut self, world: &mut World, store: &mut Store, change: Change) {
        match change {
            Change::Created { id, scope, owner } => self.create(world, store, id, scope, owner),
            Change::Removed { id } => self.remove(world, store, id),
            Change::Reparented { id, parent } => self.reparent(world, id, parent),
            Change::Set { id, component: Component::Transform(to) } => self.go(world, id, sane(&to), false),
            Change::Set { id, component } => self.set(world, store, id, component),
            Change::Unset { id, kind } => self.unset(world, store, id, kind),
        }
    }

    fn create(&mut self, world: &mut World, store: &mut Store, id: EntityId, scope: Scope, owner: Owner) {
        self.remove(world, store, id);
        let in_steps = match owner {
            Owner::Process(process) => scope == Scope::Shared && process.peer() != self.peer,
            Owner::Space => false,
        };
        let at = Transform::IDENTITY;
        let entity = world.spawn((Known(id), at, Visibility::Inherited, Motion::at(at))).id();
        let entry = Entry {
            entity,
            scope,
            mesh: None,
            material: None,
            model: None,
            animation: None,
            environment: None,
            sound: None,
            font: None,
            stand_in: None,
            light: None,
            lines: None,
            particles: None,
            screen: None,
            skin: None,
            morphs: None,
            pieces: Vec::new(),
            mirror: None,
            glass: None,
            reads: [false; 2],
            keys: BTreeSet::new(),
        };
        self.entries.insert(id, entry);
        self.bodies.insert(id, Body { entity, in_steps });
        self.bend_anew(id);
        self.has_begun = true;
    }

    fn remove(&mut self, world: &mut World, store: &mut Store, id: EntityId) {
        let Some(entry) = self.entries.remove(&id) else { return };
        self.bodies.remove(&id);
        for key in entry.keys {
            store.end_use(key, id);
        }
        if entry.reads[0] {
            text::hide_terminal(world, id);
        }
        if entry.reads[1] {
            text::hide_text(world, id);
        }
        if entry.sound.is_some() {
            world.resource_mut::<Hearing>().hide(id);
        }
        self.unbend(id, entry.skin.as_deref());
        self.bend_anew(id);
        self.dirty.remove(&id);
        self.unasked.remove(&id);
        self.listeners.remove(&id);
        self.cameras.remove(&id);
        self.skies.remove(&id);
        self.environments.remove(&id);
        self.fogs.remove(&id);
        self.gradings.remove(&id);
        self.views.remove(&id);
        self.screens.remove(&id);
        self.targets.remove(&id);
        particles::hide(world, entry.entity);
        // What still hangs under it, against the order that changes come in, is not to go with it.
        let children: Vec<Entity> =
            world.get::<Children>(entry.entity).map(|children| children.to_vec()).unwrap_or_default();
        for child in children {
            if let Ok(mut child) = world.get_entity_mut(child)
                && child.contains::<Motion>()
            {
                child.remove::<ChildOf>();
            }
        }
        model::hide(world, entry.entity);
        for entity in entry.light.into_iter().chain([entry.entity]) {
            if let Ok(entity) = world.get_entity_mut(entity) {
                entity.despawn();
            }
        }
    }

    fn reparent(&mut self, world: &mut World, id: EntityId, parent: Option<EntityId>) {
        let Some(entry) = self.entries.get(&id) else { return };
        let parent = parent.and_then(|parent| Some(self.entries.get(&parent)?.entity));
        let Ok(mut entity) = world.get_entity_mut(entry.entity) else { return };
        match parent {
            Some(parent) => entity.insert(ChildOf(parent)),
            None => entity.remove::<ChildOf>(),
        };
        // Between two parents there is no way to be led along.
        if let Some(mut motion) = entity.get_mut::<Motion>() {
            motion.forget();
        }
    }

    /// Moves an entity, or has it begin to if it does not jump.
    fn go(&mut self, world: &mut World, id: EntityId, to: Transform, jumps: bool) {
        let Some(body) = self.bodies.get(&id) else { return };
        let now = world.resource::<Time>().elapsed_secs_f64();
        let moved = self.moved.get_or_insert_with(|| world.query());
        let Ok((mut motion, mut place, is_moving)) = moved.get_mut(world, body.entity) else { return };
        if jumps || !body.in_steps {
            motion.snap(to);
            *place = to;
            return;
        }
        motion.step(to, now);
        if !is_moving {
            world.entity_mut(body.entity).insert(Moving);
        }
    }

    fn set(&mut self, world: &mut World, store: &mut Store, id: EntityId, component: Component) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let entity = entry.entity;
        match component {
            // It is set by `go`.
            Component::Transform(_) => {}
            Component::Name(name) => {
                world.entity_mut(entity).insert(Name::new(name));
            }
            Component::Mesh(source) => {
                entry.mesh = Some(source);
                self.look_anew(store, id);
            }
            Component::Material(material) => {
                entry.material = Some(material);
                self.look_anew(store, id);
            }
            Component::Model(lump) => {
                entry.model = Some(lump);
                self.look_anew(store, id);
            }
            Component::Light(light) => light::set(world, &mut entry.light, entity, &light),
            Component::Sky(sky) => {
                self.skies.insert(id, sky);
            }
            Component::Camera(camera) if entry.scope == Scope::Local => {
                self.cameras.insert(id, (camera, entity));
            }
            Component::Billboard(_) => {
                world.entity_mut(entity).insert(Facing);
            }
            Component::Hidden(hidden) => monitor::set_hidden(world, entity, hidden),
            Component::Terminal(view) => {
                entry.reads[0] = true;
                world.resource_mut::<Writing>().show_terminal(id, entity, view);
            }
            Component::Text(text) => {
                entry.reads[1] = true;
                let font = font_of(&text);
                world.resource_mut::<Writing>().show_text(id, entity, text);
                if std::mem::replace(&mut entry.font, font) != font {
                    self.use_anew(store, id);
                }
            }
            // What nobody hears is not loaded.
            Component::Sound(sound) if world.resource::<Hearing>().is_on() => {
                entry.sound = Some(sound.lump);
                world.resource_mut::<Hearing>().show(id, entity, *sound);
                self.use_anew(store, id);
            }
            Component::Animation(animation) => {
                let lump = animation.lump;
                let before = std::mem::replace(&mut entry.animation, lump);
                let now_ns = world.resource::<Clock>().now(world.resource());
                let mut entity = world.entity_mut(entity);
                if let Some(mut playing) = entity.get_mut::<Playing>() {
                    playing.change(*animation, now_ns);
                } else {
                    entity.insert(Playing::new(*animation, now_ns));
                }
                self.unasked.insert(id);
                if before != lump {
                    self.use_anew(store, id);
                }
            }
            Component::Node(node) => {
                if world.entity(entity).contains::<Tied>() {
                    model::untie(world, entity);
                }
                world.entity_mut(entity).insert(Tied(*node));
            }
            Component::Environment(environment) => {
                entry.environment = Some(environment.lump);
                self.environments.insert(id, environment);
                self.look_anew(store, id);
            }
            Component::Pointer(wants) => {
                self.targets.insert(id, wants);
            }
            Component::Fog(fog) => {
                self.fogs.insert(id, fog);
            }
            Component::ColorGrading(grading) => {
                self.gradings.insert(id, grading);
            }
            Component::Lines(value) => {
                let material = world.resource_scope(|world, mut looks: Mut<Looks>| {
                    looks.material(&lines::material(&value), false, store, &mut world.resource_mut())
                });
                lines::show(world, &mut entry.lines, entity, &value, material);
            }
            Component::Particles(value) => {
                entry.particles = Some(value);
                self.look_anew(store, id);
            }
            Component::View(view) => {
                self.views.insert(id, (view, entity));
            }
            Component::Screen(screen) => {
                match &mut entry.screen {
                    Some((shown, _)) => *shown = screen,
                    None => {
                        let material = world.resource_mut::<Assets<StandardMaterial>>().add(monitor::dark());
                        entry.screen = Some((screen, material));
                    }
                }
                self.screens.insert(id);
                self.look_anew(store, id);
            }
            Component::VisibilityRange(range) => monitor::set_range(world, entity, Some(range)),
            Component::Skin(skin) => self.bend(id, Some(skin)),
            Component::MorphWeights(weights) => {
                entry.morphs = Some(weights);
                // Most often all that changes, and before each picture.
                if !weigh(world, entry) {
                    self.dirty.insert(id);
                }
            }
            Component::Layers(layers) => layers::set(world, entity, Some(layers)),
            Component::Mirror(mirror) => {
                entry.mirror = Some(mirror);
                self.dirty.insert(id);
            }
            Component::Listener(listener) if entry.scope == Scope::Local => {
                self.listeners.insert(id, (listener, entity));
            }
            // A camera that everybody has, or a component of a later version of the contract.
            _ => {}
        }
    }

    fn unset(&mut self, world: &mut World, store: &mut Store, id: EntityId, kind: ComponentKind) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let entity = entry.entity;
        match kind {
            ComponentKind::Transform => {
                self.go(world, id, Transform::IDENTITY, true);
                if let Some(mut motion) = world.get_mut::<Motion>(entity) {
                    motion.forget();
                }
            }
            ComponentKind::Name => {
                world.entity_mut(entity).remove::<Name>();
            }
            ComponentKind::Mesh => {
                entry.mesh = None;
                self.look_anew(store, id);
            }
            ComponentKind::Material => {
                entry.material = None;
                self.look_anew(store, id);
            }
            ComponentKind::Model => {
                entry.model = None;
                self.look_anew(store, id);
            }
            ComponentKind::Light => {
                if let Some(light) = entry.light.take() {
                    world.despawn(light);
                }
            }
            ComponentKind::Sky => {
                self.skies.remove(&id);
            }
            ComponentKind::Camera => {
                self.cameras.remove(&id);
            }
            ComponentKind::Billboard => {
                let mut entity = world.entity_mut(entity);
                entity.remove::<Facing>();
                let place = entity.get::<Motion>().map(|motion| motion.to());
                entity.insert((place.unwrap_or_default(), Moving));
            }
            ComponentKind::Hidden => monitor::set_hidden(world, entity, false),
            ComponentKind::Terminal => {
                entry.reads[0] = false;
                text::hide_terminal(world, id);
            }
            ComponentKind::Text => {
                entry.reads[1] = false;
                text::hide_text(world, id);
                if entry.font.take().is_some() {
                    self.use_anew(store, id);
                }
            }
            ComponentKind::Sound => {
                entry.sound = None;
                world.resource_mut::<Hearing>().hide(id);
                self.use_anew(store, id);
            }
            ComponentKind::Animation => {
                world.entity_mut(entity).remove::<Playing>();
                if entry.animation.take().is_some() {
                    self.use_anew(store, id);
                }
            }
            ComponentKind::Node => model::untie(world, entity),
            ComponentKind::Environment => {
                entry.environment = None;
                self.environments.remove(&id);
                self.look_anew(store, id);
            }
            ComponentKind::Pointer => {
                self.targets.remove(&id);
            }
            ComponentKind::Fog => {
                self.fogs.remove(&id);
            }
            ComponentKind::ColorGrading => {
                self.gradings.remove(&id);
            }
            ComponentKind::Lines => lines::hide(world, &mut entry.lines),
            ComponentKind::Particles => {
                entry.particles = None;
                self.look_anew(store, id);
            }
            ComponentKind::View => {
                self.views.remove(&id);
            }
            ComponentKind::Screen => {
                entry.screen = None;
                self.screens.remove(&id);
                self.look_anew(store, id);
            }
            ComponentKind::VisibilityRange => monitor::set_range(world, entity, None),
            ComponentKind::Skin => self.bend(id, None),
            ComponentKind::MorphWeights => {
                entry.morphs = None;
                self.dirty.insert(id);
            }
            ComponentKind::Layers => layers::set(world, entity, None),
            ComponentKind::Mirror => {
                entry.mirror = None;
                self.dirty.insert(id);
            }
            ComponentKind::Listener => {
                self.listeners.remove(&id);
            }
            _ => {}
        }
    }

    /// Tells the store what the entity uses now, and has its look made anew.
    fn look_anew(&mut self, store: &mut Store, id: EntityId) {
        self.use_anew(store, id);
        self.dirty.insert(id);
    }

    /// Tells the store what the entity uses now.
    fn use_anew(&mut self, store: &mut Store, id: EntityId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let mut keys = BTreeSet::new();
        if let Some(MeshSource::Lump(lump)) = entry.mesh {
            keys.insert(Key::Mesh(lump));
        }
        keys.extend(entry.material.iter().flat_map(|material| texture_keys(material)));
        keys.extend(entry.model.map(Key::Model));
        keys.extend(entry.animation.map(Key::Animation));
        keys.extend(entry.sound.map(Key::Sound));
        keys.extend(entry.font.map(Key::Font));
        keys.extend(entry.environment.map(Key::Environment));
        keys.extend(entry.particles.iter().filter_map(|particles| texture_of(particles)));
        // First the new ones, so that what is used before and after is not let go between.
        for key in keys.difference(&entry.keys) {
            store.begin_use(*key, id);
        }
        for key in entry.keys.difference(&keys) {
            store.end_use(*key, id);
        }
        entry.keys = keys;
    }

    /// These assets look otherwise than before. A sound looks like nothing, a font is the matter of `text`, and what is
    /// played is looked up for each picture.
    pub(crate) fn assets_changed(&mut self, store: &Store, keys: &BTreeSet<Key>) {
        for key in keys {
            match key {
                Key::Sound(_) | Key::Font(_) => {}
                Key::Animation(_) => self.unasked.extend(store.users(*key)),
                _ => self.dirty.extend(store.users(*key)),
            }
        }
    }

    /// Makes the looks that are out of date.
    pub(crate) fn show(&mut self, world: &mut World, store: &mut Store, looks: &mut Looks) {
        for id in std::mem::take(&mut self.dirty) {
            let skin = self.entries.get(&id).and_then(|entry| entry.skin.as_ref());
            let joints = skin
                .and_then(|skin| skin.joints.iter().map(|joint| self.entity(*joint)).collect::<Option<_>>());
            if let Some(entry) = self.entries.get_mut(&id) {
                if let Some(reason) = show_mesh(world, store, looks, entry, joints)
                    && let Some(MeshSource::Lump(lump)) = entry.mesh
                {
                    store.complain(lump, id, reason);
                }
                show_model(world, store, looks, entry);
                show_particles(world, store, id, entry);
                self.unasked.insert(id);
            }
        }
        for id in std::mem::take(&mut self.unasked) {
            let Some(entry) = self.entries.get(&id) else { continue };
            if let Some(lump) = entry.model
                && let Sight::Ready(Loaded::Model(model)) = store.look(Key::Model(lump))
                && let Some(playing) = world.get::<Playing>(entry.entity)
                && let Some((lump, reason)) = playing.cannot(lump, model, store)
            {
                store.complain(lump, id, reason);
            }
        }
    }
}

/// The transform of a component with numbers that the renderer can bear.
fn sane(value: &scene::Transform) -> Transform {
    safe(Transform {
        translation: Vec3::from(value.translation),
        rotation: Quat::from_array(value.rotation),
        scale: Vec3::from(value.scale),
    })
}

/// The transform with numbers that the renderer can bear: a scale of zero leaves no direction, and
/// very large numbers become infinite when parents are multiplied with them.
pub(crate) fn safe(value: Transform) -> Transform {
    let scale = |v: f32| v.abs().clamp(SCALE_LEAST, SCALE_MOST).copysign(v);
    let most = Vec3::splat(PLACE_MOST);
    Transform {
        translation: value.translation.clamp(-most, most),
        rotation: sane_rotation(value.rotation),
        scale: Vec3::from(value.scale.to_array().map(scale)),
    }
}

/// The rotation with a length of one; none if it has no direction.
pub(crate) fn sane_rotation(rotation: Quat) -> Quat {
    if rotation.length_squared() > 1e-6 && rotation.is_finite() {
        rotation.normalize()
    } else {
        Quat::IDENTITY
    }
}
