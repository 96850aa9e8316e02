// SPDX-License-Identifier: AGPL-3.0-or-later
//! Models in the place: the nodes of each as entities of the renderer, and the pose that they have, from what is played
//! and from entities that are tied to nodes.

use crate::{
    assets::{
        Key, Loaded, Sight, Store,
        gltf::{Clip, Clips, Decoded, Node, Parts, Pose},
    },
    light,
    motion::Motion,
    place::Facing,
};
use bevy::{
    camera::visibility::{DynamicSkinnedMeshBounds, NoFrustumCulling},
    light::NotShadowCaster,
    mesh::{
        morph::MeshMorphWeights,
        skinning::{SkinnedMesh, SkinnedMeshInverseBindposes},
    },
    prelude::*,
};
use hearth_abi::{
    LumpId,
    scene::{self, ModelNode, NodeMode},
};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::{SystemTime, UNIX_EPOCH},
};

/// Longest time over which one clip takes the place of another, in seconds.
const BLEND_MOST: f32 = 60.0;

/// A model that is loaded, shared by all that show it.
pub(crate) struct Model {
    meshes: Vec<Handle<Mesh>>,
    materials: Vec<Handle<StandardMaterial>>,
    skins: Vec<(Handle<SkinnedMeshInverseBindposes>, Vec<usize>)>,
    nodes: Vec<Node>,
    roots: Vec<usize>,
    clips: Vec<Clip>,
    /// As it was made.
    rest: Pose,
    /// The first shown node of each name.
    names: HashMap<String, usize>,
    parents: Vec<Option<usize>>,
}

/// What the renderer keeps of models.
pub(crate) struct Shelves<'a> {
    pub(crate) meshes: &'a mut Assets<Mesh>,
    pub(crate) images: &'a mut Assets<Image>,
    pub(crate) materials: &'a mut Assets<StandardMaterial>,
    pub(crate) poses: &'a mut Assets<SkinnedMeshInverseBindposes>,
}

impl Model {
    /// With its pictures and meshes, which were given to the renderer already.
    pub(crate) fn new(
        decoded: Decoded,
        images: &[Handle<Image>],
        meshes: Vec<Handle<Mesh>>,
        shelves: &mut Shelves<'_>,
    ) -> Model {
        let Parts { meshes, materials, skins, nodes, roots, clips } = decoded.into_parts(images, meshes);
        let rest = Pose {
            transforms: nodes.iter().map(|node| node.transform).collect(),
            weights: nodes.iter().map(|node| node.weights.clone()).collect(),
        };
        let mut names = HashMap::new();
        let mut next: Vec<usize> = roots.iter().rev().copied().collect();
        while let Some(index) = next.pop() {
            let node = &nodes[index];
            if !node.name.is_empty() {
                names.entry(node.name.clone()).or_insert(index);
            }
            next.extend(node.children.iter().rev());
        }
        let mut parents = vec![None; nodes.len()];
        for (index, node) in nodes.iter().enumerate() {
            node.children.iter().for_each(|child| parents[*child] = Some(index));
        }
        Model {
            meshes,
            materials: materials.into_iter().map(|material| shelves.materials.add(material)).collect(),
            skins: skins
                .into_iter()
                .map(|skin| (shelves.poses.add(skin.inverse_bind_matrices), skin.joints))
                .collect(),
            nodes,
            roots,
            clips,
            rest,
            names,
            parents,
        }
    }

    /// Why clips of a lump cannot be played, for people: there is no such clip, or it moves nothing that the model has.
    fn cannot(&self, clips: &Clips, wanted: &scene::Clip) -> Option<String> {
        let Some(clip) = Clip::find(&clips.clips, wanted) else {
            return Clip::lacks(&clips.clips, wanted, "the lump");
        };
        let mut names: Vec<&str> = clip.moves().filter_map(|node| Some(&**clips.names.get(&node)?)).collect();
        if names.is_empty() || names.iter().any(|name| self.names.contains_key(*name)) {
            return None;
        }
        names.dedup();
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).take(8).collect();
        Some(format!("the model has no node that `{}` moves: {}", clip.name, names.join(", ")))
    }
}

/// Clips of a lump, for a model.
#[derive(Clone, Debug)]
struct Lent {
    clips: Arc<Clips>,
    model: Weak<Model>,
    /// Which of the model's nodes stands for one that they move.
    nodes: HashMap<usize, usize>,
}

impl Lent {
    fn to(model: &Arc<Model>, clips: Arc<Clips>) -> Lent {
        let stands = |(node, name): (&usize, &String)| Some((*node, *model.names.get(name)?));
        let nodes = clips.names.iter().filter_map(stands).collect();
        Lent { clips, model: Arc::downgrade(model), nodes }
    }
}

/// A model that an entity shows, on the entity.
#[derive(Component)]
pub(crate) struct Instance {
    model: Arc<Model>,
    /// What all of it hangs under.
    root: Entity,
    nodes: Vec<Option<Entity>>,
    /// What is seen of nodes with morph targets.
    morphs: Vec<(usize, Entity)>,
    lights: Vec<Entity>,
    /// It is not as it was made.
    posed: bool,
}

/// Shows a model under an entity.
pub(crate) fn show(world: &mut World, entity: Entity, model: Arc<Model>) {
    let root = world.spawn((Transform::IDENTITY, Visibility::Inherited, ChildOf(entity))).id();
    let mut instance = Instance {
        root,
        nodes: vec![None; model.nodes.len()],
        morphs: Vec::new(),
        lights: Vec::new(),
        posed: false,
        model: model.clone(),
    };
    let mut next: Vec<(usize, Entity)> = model.roots.iter().map(|node| (*node, root)).collect();
    let mut order = Vec::new();
    while let Some((index, parent)) = next.pop() {
        let node = &model.nodes[index];
        let made = world.spawn((node.transform, Visibility::Inherited, ChildOf(parent))).id();
        instance.nodes[index] = Some(made);
        order.push((index, made));
        next.extend(node.children.iter().map(|child| (*child, made)));
    }
    for (index, made) in order {
        let node = &model.nodes[index];
        for primitive in &node.primitives {
            let mut part = world.spawn((
                Mesh3d(model.meshes[primitive.mesh].clone()),
                MeshMaterial3d(model.materials[primitive.material].clone()),
                ChildOf(made),
            ));
            if !primitive.casts {
                part.insert(NotShadowCaster);
            }
            if let Some(skin) = node.skin.filter(|_| primitive.skinned) {
                let (poses, joints) = &model.skins[skin];
                let joints = joints.iter().filter_map(|joint| instance.nodes[*joint]).collect();
                part.insert((
                    SkinnedMesh { inverse_bindposes: poses.clone(), joints },
                    DynamicSkinnedMeshBounds,
                ));
            }
            if !node.weights.is_empty() {
                // Its bounds are not known to the renderer.
                part.insert((MeshMorphWeights::Value { weights: node.weights.clone() }, NoFrustumCulling));
                instance.morphs.push((index, part.id()));
            }
        }
        if let Some(value) = &node.light {
            let mut made_light = None;
            light::set(world, &mut made_light, made, value);
            instance.lights.extend(made_light);
        }
    }
    world.entity_mut(entity).insert(instance);
}

/// Whether an entity shows this model already.
pub(crate) fn shows(world: &World, entity: Entity, model: &Arc<Model>) -> bool {
    world.get::<Instance>(entity).is_some_and(|instance| Arc::ptr_eq(&instance.model, model))
}

/// Takes away the model that an entity shows, if any.
pub(crate) fn hide(world: &mut World, entity: Entity) {
    let Some(instance) = world.get_entity_mut(entity).ok().and_then(|mut entity| entity.take::<Instance>())
    else {
        return;
    };
    for gone in instance.lights.into_iter().chain([instance.root]) {
        if let Ok(gone) = world.get_entity_mut(gone) {
            gone.despawn();
        }
    }
}

/// The clock on the wall, which starts of animations are times of.
#[derive(Resource)]
pub(crate) struct Clock {
    /// It starts at zero with the engine and goes with its pictures: for tests.
    pub(crate) stands: bool,
}

impl Clock {
    /// Nanoseconds since 1970-01-01 UTC.
    pub(crate) fn now(&self, time: &Time) -> u64 {
        let since = if self.stands {
            time.elapsed()
        } else {
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
        };
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A clip that runs.
#[derive(Clone, Debug)]
struct Run {
    /// What it is in, if not in the model.
    lump: Option<LumpId>,
    /// That, since it came.
    lent: Option<Lent>,
    clip: scene::Clip,
    repeat: bool,
    paused: bool,
    speed: f64,
    /// Seconds of the clip at the start.
    offset: f64,
    start_ns: u64,
}

impl Run {
    /// Seconds since the start, before any end.
    fn reached(&self, now_ns: u64) -> f64 {
        if self.paused {
            return self.offset;
        }
        let since_ns = i128::from(now_ns) - i128::from(self.start_ns);
        self.offset + since_ns as f64 / 1e9 * self.speed
    }

    /// Has the clips of its lump, if it is in one, for this model. `false` while the lump is under way.
    fn meet(&mut self, model: &Arc<Model>, store: &Store) -> bool {
        let Some(lump) = self.lump else { return true };
        let clips = match &self.lent {
            Some(lent) if std::ptr::eq(lent.model.as_ptr(), Arc::as_ptr(model)) => return true,
            Some(lent) => lent.clips.clone(),
            None => match store.look(Key::Animation(lump)) {
                Sight::Ready(Loaded::Animation(clips)) => clips.clone(),
                Sight::Ready(_) | Sight::Failed => return true,
                Sight::Awaited | Sight::Pending => return false,
            },
        };
        self.lent = Some(Lent::to(model, clips));
        true
    }

    /// Whether its clips are known to be here.
    fn is_here(&self) -> bool {
        self.lump.is_none() || self.lent.is_some()
    }

    /// The pose of a model now.
    fn pose(&self, model: &Model, now_ns: u64) -> Pose {
        let mut pose = model.rest.clone();
        match (self.lump, &self.lent) {
            (None, _) => {
                if let Some(clip) = Clip::find(&model.clips, &self.clip) {
                    clip.apply(self.time(now_ns, clip.duration), &mut pose);
                }
            }
            (Some(_), Some(lent)) => {
                if let Some(clip) = Clip::find(&lent.clips.clips, &self.clip) {
                    let time = self.time(now_ns, clip.duration);
                    clip.apply_where(time, &mut pose, |node| lent.nodes.get(&node).copied());
                }
            }
            (Some(_), None) => {}
        }
        pose
    }

    /// Seconds of the clip.
    fn time(&self, now_ns: u64, duration: f32) -> f32 {
        let (reached, duration) = (self.reached(now_ns), f64::from(duration));
        if self.repeat && duration > 0.0 && !self.paused {
            reached.rem_euclid(duration) as f32
        } else {
            reached.clamp(0.0, duration) as f32
        }
    }
}

/// What an entity's model plays.
#[derive(Component)]
pub(crate) struct Playing {
    wanted: scene::Animation,
    run: Run,
    /// What was played before, and when the change from it began.
    before: Option<(Run, u64)>,
}

impl Playing {
    pub(crate) fn new(wanted: scene::Animation, now_ns: u64) -> Playing {
        let run = Playing::run(&wanted, now_ns);
        Playing { wanted, run, before: None }
    }

    fn run(wanted: &scene::Animation, now_ns: u64) -> Run {
        Run {
            lump: wanted.lump,
            lent: None,
            clip: wanted.clip.clone(),
            repeat: wanted.repeat,
            paused: wanted.paused,
            speed: f64::from(wanted.speed),
            offset: f64::from(wanted.offset),
            start_ns: if wanted.start_ns == 0 { now_ns } else { wanted.start_ns },
        }
    }

    /// Something else is to be played.
    pub(crate) fn change(&mut self, wanted: scene::Animation, now_ns: u64) {
        if wanted == self.wanted {
            return;
        }
        let before = &self.wanted;
        let is_other = wanted.clip != before.clip || wanted.lump != before.lump;
        let goes_on = wanted.start_ns == 0
            && before.start_ns == 0
            && !is_other
            && wanted.offset == before.offset
            && !wanted.paused
            && !before.paused;
        let mut run = Playing::run(&wanted, now_ns);
        if wanted.lump == before.lump {
            run.lent = self.run.lent.clone();
        }
        if goes_on {
            run.offset = self.run.reached(now_ns);
        } else if is_other && (wanted.blend > 0.0 || !run.is_here()) {
            // What never came was not seen: what was before it goes on.
            if self.run.is_here() || self.before.is_none() {
                self.before = Some((self.run.clone(), now_ns));
            }
        } else {
            self.before = None;
        }
        self.run = run;
        self.wanted = wanted;
    }

    /// Why this cannot be played by a model that came from a lump, for people, and which lump is to blame.
    pub(crate) fn cannot(&self, from: LumpId, model: &Model, store: &Store) -> Option<(LumpId, String)> {
        let clip = &self.wanted.clip;
        let Some(lump) = self.wanted.lump else {
            return Clip::lacks(&model.clips, clip, "the model").map(|reason| (from, reason));
        };
        match store.look(Key::Animation(lump)) {
            Sight::Ready(Loaded::Animation(clips)) => model.cannot(clips, clip).map(|reason| (lump, reason)),
            _ => None,
        }
    }

    /// The pose of a model now.
    fn pose(&mut self, model: &Arc<Model>, store: &Store, now_ns: u64) -> Pose {
        let is_here = self.run.meet(model, store);
        if !is_here && self.wanted.start_ns == 0 {
            // It is first shown when it is here.
            self.run.start_ns = now_ns;
        }
        if let Some((before, since_ns)) = &mut self.before {
            before.meet(model, store);
            if !is_here {
                *since_ns = now_ns;
            }
        }
        let played = |run: &Run| run.pose(model, now_ns);
        let mut pose = played(&self.run);
        if let Some((run, since_ns)) = &self.before {
            let over = f64::from(self.wanted.blend.min(BLEND_MOST)) * 1e9;
            let part = now_ns.saturating_sub(*since_ns) as f64 / over;
            if !is_here || part < 1.0 {
                let part = if is_here { part } else { 0.0 };
                let mut from = played(run);
                from.blend(&pose, part as f32);
                pose = from;
            } else {
                self.before = None;
            }
        }
        if self.wanted.weight < 1.0 {
            let mut weak = model.rest.clone();
            weak.blend(&pose, self.wanted.weight.max(0.0));
            pose = weak;
        }
        pose
    }
}

/// An entity that is tied to a node of the model that it hangs under.
#[derive(Component)]
pub(crate) struct Tied(pub(crate) ModelNode);

/// Gives the nodes of models their pose.
pub(crate) fn pose(
    time: Res<Time>,
    clock: Res<Clock>,
    store: Res<Store>,
    tied: Query<(Entity, &Tied, Option<&ChildOf>, &Motion)>,
    mut owners: Query<(Entity, &mut Instance, Option<&mut Playing>)>,
    mut places: Query<&mut Transform>,
    mut morphs: Query<&mut MeshMorphWeights>,
) {
    let (now_ns, now) = (clock.now(&time), time.elapsed_secs_f64());
    let mut ties: HashMap<Entity, Vec<(NodeMode, &str, Transform)>> = HashMap::new();
    for (_, Tied(node), parent, motion) in &tied {
        if let (Some(ChildOf(owner)), NodeMode::Replace | NodeMode::Add) = (parent, node.mode) {
            ties.entry(*owner).or_default().push((node.mode, &node.name, motion.shown(now)));
        }
    }
    for (owner, mut instance, playing) in &mut owners {
        let ties = ties.get(&owner).map_or(&[][..], Vec::as_slice);
        let moves = playing.is_some() || !ties.is_empty();
        if !moves && !instance.posed {
            continue;
        }
        let mut pose = match playing {
            Some(mut playing) => playing.pose(&instance.model, &store, now_ns),
            None => instance.model.rest.clone(),
        };
        for (mode, name, transform) in ties {
            let Some(index) = instance.model.names.get(*name) else { continue };
            let node = &mut pose.transforms[*index];
            if *mode == NodeMode::Replace {
                *node = *transform;
            } else {
                node.translation += transform.translation;
                node.rotation *= transform.rotation;
                node.scale *= transform.scale;
            }
        }
        put(&instance, &pose, &mut places, &mut morphs);
        instance.posed = moves;
    }
    for (entity, Tied(node), parent, motion) in &tied {
        if node.mode != NodeMode::Follow {
            continue;
        }
        let own = motion.shown(now);
        // Where there is no such node it is where it would be without.
        let at = parent
            .and_then(|ChildOf(owner)| owners.get(*owner).ok())
            .and_then(|(_, instance, _)| place_of(instance, &node.name, &places))
            .map_or(own, |at| crate::place::safe(at * own));
        if let Ok(mut place) = places.get_mut(entity) {
            place.set_if_neq(at);
        }
    }
}

/// Has the renderer look at what morphs in each picture. It takes the number under which the shape is kept only when
/// something of the mesh changes, and gives that number after it has looked.
pub(crate) fn keep_shapes(mut parts: Query<&mut NoFrustumCulling, With<MeshMorphWeights>>) {
    parts.iter_mut().for_each(|mut part| part.set_changed());
}

/// Writes what has changed.
fn put(
    instance: &Instance,
    pose: &Pose,
    places: &mut Query<&mut Transform>,
    morphs: &mut Query<&mut MeshMorphWeights>,
) {
    for (entity, transform) in instance.nodes.iter().zip(&pose.transforms) {
        if let Some(entity) = entity
            && let Ok(mut place) = places.get_mut(*entity)
        {
            place.set_if_neq(crate::place::safe(*transform));
        }
    }
    for (node, entity) in &instance.morphs {
        if let Ok(mut weights) = morphs.get_mut(*entity)
            && let MeshMorphWeights::Value { weights } = &mut *weights
        {
            weights.clone_from(&pose.weights[*node]);
        }
    }
}

/// Where a node is, relative to the entity that shows the model.
fn place_of(instance: &Instance, node: &str, places: &Query<&mut Transform>) -> Option<Transform> {
    let mut at = *instance.model.names.get(node)?;
    let mut place = *places.get(instance.nodes[at]?).ok()?;
    // A model's nodes are few deep, and a node has one parent.
    while let Some(parent) = instance.model.parents[at] {
        place = *places.get(instance.nodes[parent]?).ok()? * place;
        at = parent;
    }
    Some(place)
}

/// What follows a node goes back to its own place.
pub(crate) fn untie(world: &mut World, entity: Entity) {
    let mut entity = world.entity_mut(entity);
    entity.remove::<Tied>();
    if !entity.contains::<Facing>()
        && let Some(to) = entity.get::<Motion>().map(Motion::to)
    {
        entity.insert((to, crate::motion::Moving));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn run(repeat: bool, speed: f64, offset: f64) -> Run {
        Run {
            lump: None,
            lent: None,
            clip: 0.into(),
            repeat,
            paused: false,
            speed,
            offset,
            start_ns: 10 * SECOND,
        }
    }

    #[test]
    fn the_time_of_a_clip_follows_the_wall() {
        let at = |run: &Run, seconds: u64| run.time(seconds * SECOND, 4.0);
        let once = run(false, 1.0, 0.0);
        assert_eq!([at(&once, 5), at(&once, 11), at(&once, 14), at(&once, 99)], [0.0, 1.0, 4.0, 4.0]);
        let again = run(true, 1.0, 0.5);
        assert_eq!([at(&again, 10), at(&again, 13), at(&again, 14), at(&again, 9)], [0.5, 3.5, 0.5, 3.5]);
        let back = run(true, -2.0, 0.0);
        assert_eq!([at(&back, 10), at(&back, 11)], [0.0, 2.0]);
        let paused = Run { paused: true, ..run(true, 1.0, 4.0) };
        assert_eq!(at(&paused, 17), 4.0);
        // A clip of one key, and a clock that is far off.
        assert_eq!(run(true, 1.0, 0.0).time(u64::MAX, 0.0), 0.0);
        assert!(run(true, f64::from(f32::MAX), 0.0).time(u64::MAX, 1.0).is_finite());
    }

    #[test]
    fn what_plays_on_does_not_jump() {
        let walk = scene::Animation::of("walk");
        let mut playing = Playing::new(walk.clone(), 10 * SECOND);
        playing.change(scene::Animation { speed: 3.0, ..walk.clone() }, 12 * SECOND);
        assert_eq!(playing.run.reached(12 * SECOND), 2.0);
        assert_eq!(playing.run.reached(13 * SECOND), 5.0);
        // The same said again changes nothing.
        playing.change(scene::Animation { speed: 3.0, ..walk.clone() }, 20 * SECOND);
        assert_eq!(playing.run.reached(13 * SECOND), 5.0);
        // Another clip begins at its beginning, and the one before fades.
        playing.change(scene::Animation { blend: 1.0, ..scene::Animation::of("run") }, 20 * SECOND);
        assert_eq!(playing.run.reached(20 * SECOND), 0.0);
        assert!(playing.before.is_some());
        // A start is what counts, whenever it is heard of.
        let start = scene::Animation { start_ns: 5 * SECOND, ..walk };
        playing.change(start.clone(), 30 * SECOND);
        assert_eq!(playing.run.reached(30 * SECOND), 25.0);
        assert_eq!(Playing::new(start, 40 * SECOND).run.reached(30 * SECOND), 25.0);
    }
}
