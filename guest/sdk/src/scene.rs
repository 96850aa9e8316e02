// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is seen: entities and their components.
//!
//! Metres, radians, +Y up, −Z forward; colours are linear. [`Entity`] describes a new entity, [`Batch`]
//! makes many changes as one: all of them are seen at once, or none is made.
//!
//! ```
//! # use hearth_sdk::prelude::*;
//! # fn build() -> Result<(), Error> {
//! let mut batch = Batch::new();
//! let table = Entity::new().name("table").at(0.0, 0.7, 0.0).mesh(MeshSource::Cuboid([1.2, 0.05, 0.7]));
//! let table = table.material(matte(srgb(0x8a5a33))).add_to(&mut batch);
//! let cup = Entity::new().parent(table).at(0.3, 0.08, 0.0).mesh(MeshSource::Cylinder(0.04, 0.1));
//! let cup = cup.add_to(&mut batch);
//! batch.commit()?;
//! scene::set(cup, matte(srgb(0x3366aa)))?;
//! scene::remove(table)?;                      // and the cup with it
//! # Ok(())
//! # }
//! # build().unwrap();
//! ```

use crate::{
    Error,
    math::{Quat, Vec3},
    runtime::Pending,
    sys,
};
use hearth_abi::{
    EntityId, Errno, LumpId, TerminalId,
    cast::{Cast, DISTANCE_MAX, HITS_MAX, decode_hits},
    pointer::Wants,
    scene::{
        Animation, BATCH_LEN_MAX, Billboard, Camera, ColorGrading, Component, ComponentKind, Environment,
        Fog, Layers, Light, Lines, Listener, Material, MeshSource, Mirror, ModelNode, MorphWeights, Op,
        Particles, Scope, Screen, Skin, Sky, Sound, TerminalView, Text, Transform, View, VisibilityRange,
    },
};
use std::cell::Cell;

pub use hearth_abi::cast::Hit;

/// How many entity ids are asked for at once.
const IDS: u32 = 64;

/// An entity id that nobody else has.
///
/// # Errors
/// [`Errno::Limit`] if there are no more.
pub fn new_id() -> Result<EntityId, Errno> {
    thread_local! {
        /// The next id, and how many there are from it.
        static BLOCK: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
    }
    let (mut next, mut left) = BLOCK.get();
    if left == 0 {
        next = sys::check_id(sys::entity_ids(IDS))?;
        left = IDS;
    }
    BLOCK.set((next + 1, left - 1));
    Ok(EntityId::from_bits(next))
}

/// Something that can be a component of an entity.
pub trait IntoComponent {
    /// The component.
    fn into_component(self) -> Component;
}

macro_rules! into_component {
    ($($type:ty, $value:ident => $component:expr;)*) => {
        $(impl IntoComponent for $type {
            fn into_component(self) -> Component {
                let $value = self;
                $component
            }
        })*
    };
}

into_component! {
    Component, component => component;
    Transform, transform => Component::Transform(transform);
    MeshSource, source => Component::Mesh(source);
    Material, material => Component::Material(Box::new(material));
    Light, light => Component::Light(light);
    Sky, sky => Component::Sky(sky);
    Camera, camera => Component::Camera(camera);
    Billboard, mode => Component::Billboard(mode);
    TerminalView, view => Component::Terminal(view);
    Text, text => Component::Text(Box::new(text));
    Sound, sound => Component::Sound(Box::new(sound));
    Animation, animation => Component::Animation(Box::new(animation));
    ModelNode, node => Component::Node(Box::new(node));
    Environment, environment => Component::Environment(environment);
    Wants, wants => Component::Pointer(wants);
    Fog, fog => Component::Fog(fog);
    ColorGrading, grading => Component::ColorGrading(grading);
    Lines, lines => Component::Lines(Box::new(lines));
    Particles, particles => Component::Particles(Box::new(particles));
    View, view => Component::View(view);
    Screen, screen => Component::Screen(screen);
    VisibilityRange, range => Component::VisibilityRange(range);
    Skin, skin => Component::Skin(Box::new(skin));
    MorphWeights, weights => Component::MorphWeights(Box::new(weights));
    Layers, layers => Component::Layers(layers);
    Mirror, mirror => Component::Mirror(mirror);
    Listener, listener => Component::Listener(listener);
}

/// A new entity, described before it is made. It belongs to this process and goes when this ends,
/// unless it is given to the space.
#[derive(Clone, Debug, Default)]
#[must_use = "it is not made before `spawn` or `add_to`"]
pub struct Entity {
    scope: Scope,
    parent: Option<EntityId>,
    transform: Option<Transform>,
    components: Vec<Component>,
    give: bool,
}

impl Entity {
    /// An entity at the origin that everybody sees, if it has anything to be seen.
    pub fn new() -> Entity {
        Entity::default()
    }

    /// Only the user of this peer sees it.
    pub fn local(self) -> Entity {
        Entity { scope: Scope::Local, ..self }
    }

    /// Its transform is relative to this entity, and it goes when this entity goes.
    pub fn parent(self, parent: EntityId) -> Entity {
        Entity { parent: Some(parent), ..self }
    }

    /// A name for people and tools.
    pub fn name(self, name: impl Into<String>) -> Entity {
        self.with(Component::Name(name.into()))
    }

    fn moved(mut self, change: impl FnOnce(&mut Transform)) -> Entity {
        change(self.transform.get_or_insert_default());
        self
    }

    /// At this place, in metres.
    pub fn at(self, x: f32, y: f32, z: f32) -> Entity {
        self.moved(|transform| transform.translation = [x, y, z])
    }

    /// At this place.
    pub fn at_vec(self, place: Vec3) -> Entity {
        self.moved(|transform| transform.translation = place.array())
    }

    /// Turned so.
    pub fn turned(self, rotation: Quat) -> Entity {
        self.moved(|transform| transform.rotation = rotation.array())
    }

    /// Scaled alike along all axes.
    pub fn scaled(self, factor: f32) -> Entity {
        self.moved(|transform| transform.scale = [factor; 3])
    }

    /// Scaled along its own axes.
    pub fn stretched(self, factors: Vec3) -> Entity {
        self.moved(|transform| transform.scale = factors.array())
    }

    /// Its shape.
    pub fn mesh(self, source: MeshSource) -> Entity {
        self.with(source)
    }

    /// How its shape answers to light.
    pub fn material(self, material: Material) -> Entity {
        self.with(material)
    }

    /// A light at its place.
    pub fn light(self, light: Light) -> Entity {
        self.with(light)
    }

    /// A glTF scene from a lump.
    pub fn model(self, lump: LumpId) -> Entity {
        self.with(Component::Model(lump))
    }

    /// What its model plays.
    ///
    /// ```
    /// # use hearth_sdk::prelude::*;
    /// # fn build(fox: LumpId) -> Result<(), Error> {
    /// let fox = Entity::new().model(fox).plays(Animation::of("Survey")).spawn()?;
    /// scene::set(fox, Animation { blend: 0.3, ..Animation::of("Walk") })?;
    /// # Ok(())
    /// # }
    /// # build(LumpId([1; 32])).unwrap();
    /// ```
    pub fn plays(self, animation: Animation) -> Entity {
        self.with(animation)
    }

    /// Ties it to a node of the model that it hangs under.
    ///
    /// ```
    /// # use hearth_sdk::prelude::*;
    /// # fn build(robot: EntityId) -> Result<(), Error> {
    /// let left = Quat::about(Vec3::Y, 0.6);
    /// Entity::new().parent(robot).node(ModelNode::add("head")).turned(left).spawn()?;
    /// let lamp = Entity::new().parent(robot).node(ModelNode::follow("hand.R"));
    /// lamp.mesh(MeshSource::Sphere(0.1)).material(glow([3.0, 2.0, 1.0])).spawn()?;
    /// # Ok(())
    /// # }
    /// # build("0.7".parse().unwrap()).unwrap();
    /// ```
    pub fn node(self, node: ModelNode) -> Entity {
        self.with(node)
    }

    /// Writing on it, to be read from +Z: white, without serifs, a tenth of a metre high, about its origin.
    /// For other looks give a [`Text`] to [`Entity::with`]: also in any font, which is a lump of class `Font`.
    ///
    /// ```
    /// # use hearth_sdk::prelude::*;
    /// # fn build(font: LumpId) -> Result<(), Error> {
    /// let sign = Entity::new().at(0.0, 2.0, 0.0).billboard().text("the library").spawn()?;
    /// scene::set(sign, Text { text: "closed".into(), bold: true, size: 0.2, ..Text::default() })?;
    /// scene::set(sign, Text { text: "open again".into(), face: Face::Lump(font), ..Text::default() })?;
    /// # Ok(())
    /// # }
    /// # build(LumpId([7; 32])).unwrap();
    /// ```
    pub fn text(self, text: impl Into<String>) -> Entity {
        self.with(Text { text: text.into(), ..Text::default() })
    }

    /// Shows what a terminal shows, in the xy plane, to be read from +Z, with cells of this height in
    /// metres. For a background that one sees through give a [`TerminalView`] to [`Entity::with`].
    ///
    /// ```
    /// # use hearth_sdk::prelude::*;
    /// # fn show(terminal: hearth_abi::TerminalId) -> Result<EntityId, Error> {
    /// Entity::new().at(0.0, 1.6, -2.0).terminal(terminal, 0.03).spawn()
    /// # }
    /// # show("1.7".parse().unwrap()).unwrap();
    /// ```
    pub fn terminal(self, terminal: TerminalId, cell_height: f32) -> Entity {
        self.with(TerminalView { terminal, cell_height, opacity: 1.0 })
    }

    /// Plays a sound from its place, from when it is made on.
    ///
    /// ```
    /// # use hearth_sdk::prelude::*;
    /// # fn build(birds: LumpId) -> Result<EntityId, Error> {
    /// Entity::new().at(4.0, 6.0, -9.0).sound(Sound::new(birds).looped().gain(0.5)).spawn()
    /// # }
    /// # build(LumpId([7; 32])).unwrap();
    /// ```
    pub fn sound(self, sound: Sound) -> Entity {
        self.with(crate::sound::started_now(sound))
    }

    /// Turns about its own Y axis so that its +Z faces the viewer.
    pub fn billboard(self) -> Entity {
        self.with(Billboard::AboutY)
    }

    /// Not seen, nor what is below it.
    pub fn hidden(self) -> Entity {
        self.with(Component::Hidden(true))
    }

    /// This process hears what users' pointers do to it, and to what is below it: see [`crate::pointer`].
    pub fn pointer(self, wants: Wants) -> Entity {
        self.with(wants)
    }

    /// A press on it, or on what is below it, gives this process the user's keyboard: see [`crate::keyboard`]. It, or what it
    /// is a part of, must hear of presses ([`Entity::pointer`]).
    pub fn keyboard(self) -> Entity {
        self.with(Component::Keyboard(true))
    }

    /// Any component.
    pub fn with(mut self, component: impl IntoComponent) -> Entity {
        match component.into_component() {
            Component::Transform(transform) => self.transform = Some(transform),
            component => self.components.push(component),
        }
        self
    }

    /// Given to the space: it stays when this process ends, and is saved.
    pub fn given(self) -> Entity {
        Entity { give: true, ..self }
    }

    /// Adds it to a batch, and tells its id, which is valid as soon as the batch is committed.
    pub fn add_to(self, batch: &mut Batch) -> EntityId {
        let id = match new_id() {
            Ok(id) => id,
            Err(errno) => {
                batch.error.get_or_insert(errno);
                return EntityId::from_bits(0);
            }
        };
        batch.push(Op::Create(id, self.scope));
        if self.parent.is_some() {
            batch.push(Op::SetParent(id, self.parent));
        }
        if let Some(transform) = self.transform {
            batch.push(Op::Set(id, Component::Transform(transform)));
        }
        for component in self.components {
            batch.push(Op::Set(id, component));
        }
        if self.give {
            batch.push(Op::Give(id));
        }
        id
    }

    /// Makes it, in a batch of its own.
    ///
    /// # Errors
    /// As [`Batch::commit`].
    pub fn spawn(self) -> Result<EntityId, Error> {
        let mut batch = Batch::new();
        let id = self.add_to(&mut batch);
        batch.commit()?;
        Ok(id)
    }
}

/// Changes of the scene that are made as one.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing changes before `commit`"]
pub struct Batch {
    bytes: Vec<u8>,
    error: Option<Errno>,
}

impl Batch {
    /// No changes.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Adds an operation.
    pub fn push(&mut self, op: Op) -> &mut Batch {
        op.encode(&mut self.bytes);
        self
    }

    /// Sets a component of an entity.
    pub fn set(&mut self, entity: EntityId, component: impl IntoComponent) -> &mut Batch {
        self.push(Op::Set(entity, component.into_component()))
    }

    /// Takes a component away.
    pub fn unset(&mut self, entity: EntityId, kind: ComponentKind) -> &mut Batch {
        self.push(Op::Unset(entity, kind))
    }

    /// Hangs an entity under another, or under the root.
    pub fn set_parent(&mut self, entity: EntityId, parent: Option<EntityId>) -> &mut Batch {
        self.push(Op::SetParent(entity, parent))
    }

    /// Removes an entity and all below it.
    pub fn remove(&mut self, entity: EntityId) -> &mut Batch {
        self.push(Op::Remove(entity))
    }

    /// Gives an entity and all below it to the space.
    pub fn give(&mut self, entity: EntityId) -> &mut Batch {
        self.push(Op::Give(entity))
    }

    /// Whether it holds no change.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Makes the changes, all or none.
    ///
    /// # Errors
    /// [`Errno::NotFound`] if an entity does not exist; [`Errno::Invalid`] for a number out of range, a ring
    /// of parents or a shared entity under a local one; [`Errno::Unsupported`] for a local entity on a peer
    /// without a user; [`Errno::Full`] if too many changes wait for the server; [`Errno::Limit`] if there
    /// are too many entities, or the batch is over 1 MiB.
    pub fn commit(self) -> Result<(), Error> {
        if let Some(errno) = self.error {
            return Err(Error::new(errno, "no entity ids"));
        }
        if self.bytes.len() > BATCH_LEN_MAX {
            return Err(Error::new(Errno::Limit, format!("the batch has {} bytes", self.bytes.len())));
        }
        if self.bytes.is_empty() {
            return Ok(());
        }
        sys::check(sys::scene_apply(&self.bytes))
            .map(drop)
            .map_err(|errno| Error::new(errno, "the scene did not take the batch"))
    }
}

fn one(fill: impl FnOnce(&mut Batch) -> &mut Batch) -> Result<(), Error> {
    let mut batch = Batch::new();
    fill(&mut batch);
    batch.commit()
}

/// Sets a component of an entity.
///
/// # Errors
/// As [`Batch::commit`].
pub fn set(entity: EntityId, component: impl IntoComponent) -> Result<(), Error> {
    one(|batch| batch.set(entity, component))
}

/// Removes an entity and all below it.
///
/// # Errors
/// As [`Batch::commit`].
pub fn remove(entity: EntityId) -> Result<(), Error> {
    one(|batch| batch.remove(entity))
}

/// Gives an entity and all below it to the space: it stays when this process ends, and is saved.
///
/// # Errors
/// As [`Batch::commit`].
pub fn give(entity: EntityId) -> Result<(), Error> {
    one(|batch| batch.give(entity))
}

/// A component as this peer knows it now; `None` if the entity has none.
pub fn read(entity: EntityId, kind: ComponentKind) -> Option<Component> {
    let bytes = sys::whole(|out| sys::scene_read(entity.to_bits(), kind as u32, out)).ok()?;
    Component::decode(kind, &bytes).ok()
}

/// What a ray meets of all that this peer's user could see: of each entity where it is met first, the nearest
/// first, at most 64. For more choices see [`cast`].
///
/// ```
/// use hearth_sdk::{abi::cast::encode_hits, prelude::*, testing};
///
/// async fn run() -> Result<(), Error> {
///     if let Some(ground) = scene::ray_cast(vec3(0.0, 2.0, 0.0), -Vec3::Y, 100.0).await?.first() {
///         info!("{} metres above {}", ground.distance, ground.entity);
///     }
///     Ok(())
/// }
/// # let hit = scene::Hit {
/// #     entity: "0.7".parse().unwrap(),
/// #     point: [0.0, 0.5, 0.0],
/// #     normal: [0.0, 1.0, 0.0],
/// #     distance: 1.5,
/// # };
/// # let answered = async move {
/// #     spawn_local(async move {
/// #         sleep(Duration::from_millis(1)).await;
/// #         testing::answer(Ok(1), &encode_hits(&[hit]));
/// #     });
/// #     run().await
/// # };
/// # assert_eq!(testing::run_for(answered, Duration::from_secs(1)), Some(Ok(())));
/// # assert_eq!(testing::casts()[0].way, [0.0, -1.0, 0.0]);
/// # assert_eq!(testing::logs()[0].1, "1.5 metres above 0.7");
/// ```
///
/// # Errors
/// [`Errno::Unsupported`] on a peer without a picture: only that has shapes to be met; [`Errno::Invalid`] if a number is
/// out of range (see [`Cast`]); [`Errno::Limit`] if too many wait.
pub async fn ray_cast(from: Vec3, way: Vec3, distance_max: f32) -> Result<Vec<Hit>, Error> {
    let distance_max = distance_max.min(DISTANCE_MAX);
    let ray = Cast {
        from: from.array(),
        way: way.array(),
        distance_max,
        radius: 0.0,
        hits_max: HITS_MAX,
        without: None,
    };
    cast(&ray).await
}

/// What a ball meets on its way: as [`ray_cast`]. A body that is to walk is a ball, or two.
///
/// # Errors
/// As [`ray_cast`].
pub async fn ball_cast(from: Vec3, way: Vec3, distance_max: f32, radius: f32) -> Result<Vec<Hit>, Error> {
    let distance_max = distance_max.min(DISTANCE_MAX);
    cast(&Cast {
        from: from.array(),
        way: way.array(),
        distance_max,
        radius,
        hits_max: HITS_MAX,
        without: None,
    })
    .await
}

/// What a ray or a ball meets.
///
/// # Errors
/// As [`ray_cast`].
pub async fn cast(cast: &Cast) -> Result<Vec<Hit>, Error> {
    let bytes = cast.encode();
    let answer = Pending::ask(|tag| sys::scene_cast(&bytes, tag))?.await.success()?;
    decode_hits(&answer.body).map_err(|error| Error::new(Errno::Host, error.to_string()))
}

/// A transform at a place with a rotation.
pub fn pose(place: Vec3, rotation: Quat) -> Transform {
    Transform { translation: place.array(), rotation: rotation.array(), scale: [1.0; 3] }
}

/// The linear colour of a web colour: `0xff8800` is orange.
pub fn srgb(code: u32) -> [f32; 3] {
    [16, 8, 0].map(|shift| {
        let value = ((code >> shift) & 0xff) as f32 / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    })
}

/// A colour times a factor.
pub fn times(color: [f32; 3], factor: f32) -> [f32; 3] {
    color.map(|part| part * factor)
}

fn opaque([r, g, b]: [f32; 3]) -> [f32; 4] {
    [r, g, b, 1.0]
}

/// A dull surface of this linear colour.
pub fn matte(color: [f32; 3]) -> Material {
    Material { base_color: opaque(color), roughness: 0.9, ..Material::default() }
}

/// A metal of this linear colour.
pub fn metal(color: [f32; 3]) -> Material {
    Material { base_color: opaque(color), metallic: 1.0, roughness: 0.35, ..Material::default() }
}

/// A surface that glows in this linear colour, whatever the light.
pub fn glow(color: [f32; 3]) -> Material {
    Material { base_color: opaque(times(color, 0.2)), emissive: color, ..Material::default() }
}

/// A light in all directions: lumens, and metres beyond which it is not seen.
pub fn point_light(color: [f32; 3], lumens: f32, range: f32) -> Light {
    Light {
        kind: hearth_abi::scene::LightKind::Point,
        shadows: false,
        color,
        intensity: lumens,
        range,
        inner_angle: 0.0,
        outer_angle: 0.0,
    }
}

/// Light from far away: lux.
pub fn far_light(color: [f32; 3], lux: f32, shadows: bool) -> Light {
    let point = point_light(color, lux, 0.0);
    Light { kind: hearth_abi::scene::LightKind::Directional, shadows, ..point }
}
