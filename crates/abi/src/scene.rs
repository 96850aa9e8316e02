// SPDX-License-Identifier: AGPL-3.0-or-later
//! Changes of the scene: a batch of operations on entities and their components.
//!
//! Conventions are glTF's: metres, radians, +Y up, right-handed, a camera or a light looks along its
//! own −Z; colours are linear sRGB.

use crate::{
    DecodeError, EntityId, LumpId,
    codec::{Reader, put_floats},
    pointer::Wants,
};
use alloc::{boxed::Box, string::String, vec::Vec};

mod air;
mod bend;
mod material;
mod model;
mod monitor;
mod sound;
mod sprites;
mod writing;

pub use air::{ColorGrading, Fog, ToneMapping};
pub use bend::{JOINTS_MAX, MORPH_TARGETS_MAX, MorphWeights, Skin};
pub use material::{Extra, Material, TextureTransform, second_uvs};
pub use model::{Animation, Clip, Environment, ModelNode, NodeMode};
pub use monitor::{Layers, Mirror, Screen, VIEW_SIZE_MAX, VIEW_SIZE_MIN, View, VisibilityRange};
pub use sound::{DistanceModel, Listener, Sound};
pub use sprites::{LineWay, Lines, PARTICLES_MAX, POINTS_MAX, Particles};
pub use writing::{Align, Anchor, Face, TEXT_LEN_MAX, TerminalView, Text};

/// Largest batch in bytes.
pub const BATCH_LEN_MAX: usize = 1 << 20;
/// Largest component in bytes.
pub const COMPONENT_LEN_MAX: usize = 4096;
/// Longest name in bytes.
pub const NAME_LEN_MAX: usize = 256;

/// Who sees an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Scope {
    /// Everybody in the space.
    #[default]
    Shared = 0,
    /// The user of the peer that the writing process runs on.
    Local = 1,
}

/// One change. As bytes: a `u8` of the operation, the `u64` entity, and the fields in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// 1: makes an entity without components, at the root. `u8` scope.
    Create(EntityId, Scope),
    /// 2: removes an entity and all below it.
    Remove(EntityId),
    /// 3: hangs an entity under another, or under the root. `u64` parent, zero for the root.
    SetParent(EntityId, Option<EntityId>),
    /// 4: sets a component. `u16` kind, `u32` length, and that many bytes.
    Set(EntityId, Component),
    /// 5: takes a component away. `u16` kind.
    Unset(EntityId, ComponentKind),
    /// 6: gives an entity and all below it to the space: it stays when its process ends, and is saved.
    Give(EntityId),
}

impl Op {
    /// The entity that changes.
    pub const fn entity(&self) -> EntityId {
        match self {
            Op::Create(id, _) | Op::Remove(id) | Op::SetParent(id, _) | Op::Set(id, _) => *id,
            Op::Unset(id, _) | Op::Give(id) => *id,
        }
    }

    /// Appends the operation.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let number = match self {
            Op::Create(..) => 1,
            Op::Remove(_) => 2,
            Op::SetParent(..) => 3,
            Op::Set(..) => 4,
            Op::Unset(..) => 5,
            Op::Give(_) => 6,
        };
        out.push(number);
        out.extend_from_slice(&self.entity().to_bits().to_le_bytes());
        match self {
            Op::Create(_, scope) => out.push(*scope as u8),
            Op::SetParent(_, parent) => {
                let bits = parent.map_or(0, EntityId::to_bits);
                out.extend_from_slice(&bits.to_le_bytes());
            }
            Op::Set(_, component) => {
                out.extend_from_slice(&(component.kind() as u16).to_le_bytes());
                let at = out.len();
                out.extend_from_slice(&[0; 4]);
                component.encode(out);
                let len = (out.len() - at - 4) as u32;
                out[at..at + 4].copy_from_slice(&len.to_le_bytes());
            }
            Op::Unset(_, kind) => out.extend_from_slice(&(*kind as u16).to_le_bytes()),
            Op::Remove(_) | Op::Give(_) => {}
        }
    }

    /// Takes one operation.
    ///
    /// # Errors
    /// A field is unknown, out of range or missing.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Op, DecodeError> {
        let unknown = reader.error("unknown operation");
        let number = reader.u8()?;
        let zero = reader.error("entity id is zero");
        let entity = EntityId::from_bits(reader.u64()?);
        if entity.to_bits() == 0 {
            return Err(zero);
        }
        match number {
            1 => {
                let unknown = reader.error("unknown scope");
                let scope = match reader.u8()? {
                    0 => Scope::Shared,
                    1 => Scope::Local,
                    _ => return Err(unknown),
                };
                Ok(Op::Create(entity, scope))
            }
            2 => Ok(Op::Remove(entity)),
            3 => {
                let parent = reader.u64()?;
                Ok(Op::SetParent(entity, (parent != 0).then(|| EntityId::from_bits(parent))))
            }
            4 => {
                let kind = component_kind(reader)?;
                let too_long = reader.error("component is too long");
                let len = reader.u32()? as usize;
                if len > COMPONENT_LEN_MAX {
                    return Err(too_long);
                }
                let start = reader.offset();
                let component = Component::decode(kind, reader.bytes(len)?)
                    .map_err(|error| DecodeError { offset: start + error.offset, ..error })?;
                Ok(Op::Set(entity, component))
            }
            5 => Ok(Op::Unset(entity, component_kind(reader)?)),
            6 => Ok(Op::Give(entity)),
            _ => Err(unknown),
        }
    }
}

fn component_kind(reader: &mut Reader<'_>) -> Result<ComponentKind, DecodeError> {
    let unknown = reader.error("unknown kind of component");
    ComponentKind::from_number(reader.u16()?).ok_or(unknown)
}

/// The batch of these operations.
pub fn encode_batch(ops: &[Op]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ops.len() * 64);
    ops.iter().for_each(|op| op.encode(&mut out));
    out
}

/// The operations of a batch.
///
/// # Errors
/// The batch is longer than [`BATCH_LEN_MAX`], or one of its operations is malformed. Nothing of a
/// malformed batch may be applied.
pub fn decode_batch(bytes: &[u8]) -> Result<Vec<Op>, DecodeError> {
    if bytes.len() > BATCH_LEN_MAX {
        return Err(DecodeError { offset: BATCH_LEN_MAX, problem: "batch is too long" });
    }
    let mut reader = Reader::new(bytes);
    let mut ops = Vec::new();
    while !reader.is_empty() {
        ops.push(Op::decode(&mut reader)?);
    }
    Ok(ops)
}

macro_rules! components {
    ($($(#[$doc:meta])* $name:ident($type:ty) = $number:literal,)*) => {
        /// Which component.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum ComponentKind { $($(#[$doc])* $name = $number,)* }

        impl ComponentKind {
            /// All kinds, in order.
            pub const ALL: &[ComponentKind] = &[$(ComponentKind::$name,)*];

            /// The kind with this number, if there is one.
            pub const fn from_number(number: u16) -> Option<ComponentKind> {
                match number { $($number => Some(ComponentKind::$name),)* _ => None }
            }

            /// Its name in text output.
            pub const fn name(self) -> &'static str {
                match self { $(ComponentKind::$name => stringify!($name),)* }
            }
        }

        /// A property of an entity.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Component { $($(#[$doc])* $name($type),)* }

        impl Component {
            /// Which component it is.
            pub const fn kind(&self) -> ComponentKind {
                match self { $(Component::$name(_) => ComponentKind::$name,)* }
            }
        }
    };
}

components! {
    /// Place, rotation and size relative to the parent. Ten `f32`.
    Transform(Transform) = 1,
    /// A name for people and tools. UTF-8, at most [`NAME_LEN_MAX`] bytes.
    Name(String) = 2,
    /// A shape. `u8` source, then its fields.
    Mesh(MeshSource) = 3,
    /// How the shape answers to light.
    Material(Box<Material>) = 4,
    /// A light at the entity's place.
    Light(Light) = 5,
    /// The sky around everything; of several, that of the lowest entity id is shown.
    Sky(Sky) = 6,
    /// An eye. Only those of local scope show on a peer's screen: the one with the highest priority.
    Camera(Camera) = 7,
    /// A glTF scene from a lump of class `Scene`. 32 bytes.
    Model(LumpId) = 8,
    /// Turns the entity about its own Y axis so that its +Z faces the viewer. `u8` zero.
    Billboard(Billboard) = 9,
    /// `u8`: 1 hides the entity and all below it.
    Hidden(bool) = 10,
    /// Shows what a terminal shows.
    Terminal(TerminalView) = 11,
    /// Writing.
    Text(Box<Text>) = 12,
    /// A sound.
    Sound(Box<Sound>) = 13,
    /// What the entity's owner is told of users' pointers on it, and on what is below it that has no such
    /// component of its own. `u8` bits.
    Pointer(Wants) = 14,
    /// What the entity's model plays.
    Animation(Box<Animation>) = 15,
    /// Ties the entity to a node of the model that it hangs under.
    Node(Box<ModelNode>) = 16,
    /// A picture of all directions around everything, and the light from it.
    Environment(Environment) = 17,
    /// Air that hides what is far away.
    Fog(Fog) = 18,
    /// How light becomes colours on the screen.
    ColorGrading(ColorGrading) = 19,
    /// Lines between points.
    Lines(Box<Lines>) = 20,
    /// Small pictures that fly and fade.
    Particles(Box<Particles>) = 21,
    /// A camera whose picture is shown in the space.
    View(View) = 22,
    /// Shows what a view sees.
    Screen(Screen) = 23,
    /// The distances from which the entity is seen.
    VisibilityRange(VisibilityRange) = 24,
    /// The joints that bend the entity's mesh.
    Skin(Box<Skin>) = 25,
    /// How far the mesh has become each of its morph targets.
    MorphWeights(Box<MorphWeights>) = 26,
    /// The layers that the entity is in, or that its camera or view sees. `u32` bits.
    Layers(Layers) = 27,
    /// A mirror.
    Mirror(Mirror) = 28,
    /// Where the user's ears are. Only those of local scope count: the one with the highest priority. `i32` priority.
    Listener(Listener) = 29,
    /// Whether a press of a user's first button on the entity, or on what is below it that has no such component of its
    /// own, gives the user's keyboard to the target of the pointer that it is a part of (see [`crate::keyboard`]). `u8`.
    Keyboard(bool) = 30,
}

/// Place, rotation and size relative to the parent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transform {
    /// Metres.
    pub translation: [f32; 3],
    /// A unit quaternion, x y z w.
    pub rotation: [f32; 4],
    /// Factors along the entity's own axes.
    pub scale: [f32; 3],
}

impl Transform {
    /// Nothing moved, turned or scaled.
    pub const IDENTITY: Transform =
        Transform { translation: [0.0; 3], rotation: [0.0, 0.0, 0.0, 1.0], scale: [1.0; 3] };

    /// At this place.
    pub const fn at(x: f32, y: f32, z: f32) -> Transform {
        Transform { translation: [x, y, z], ..Transform::IDENTITY }
    }

    /// With this rotation.
    pub const fn rotated(self, rotation: [f32; 4]) -> Transform {
        Transform { rotation, ..self }
    }

    /// Where something is that has the transform `inner` relative to what has this one. If scaling along one axis and
    /// turning meet, it may be skewed as well, which a transform cannot say.
    #[must_use]
    pub fn compose(&self, inner: &Transform) -> Transform {
        let stretched: [f32; 3] = core::array::from_fn(|axis| inner.translation[axis] * self.scale[axis]);
        let turned = turn(self.rotation, stretched);
        Transform {
            translation: core::array::from_fn(|axis| turned[axis] + self.translation[axis]),
            rotation: product(self.rotation, inner.rotation),
            scale: core::array::from_fn(|axis| self.scale[axis] * inner.scale[axis]),
        }
    }

    /// Scaled alike along all axes.
    pub const fn scaled(self, factor: f32) -> Transform {
        Transform { scale: [factor; 3], ..self }
    }
}

impl Default for Transform {
    fn default() -> Transform {
        Transform::IDENTITY
    }
}

/// A point turned by a unit quaternion, x y z w.
fn turn([x, y, z, w]: [f32; 4], point: [f32; 3]) -> [f32; 3] {
    let cross = |a: [f32; 3], b: [f32; 3]| {
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    };
    let axis = [x, y, z];
    let once = cross(axis, point);
    let twice = cross(axis, once);
    core::array::from_fn(|i| point[i] + 2.0 * (w * once[i] + twice[i]))
}

/// The turn by `b`, then by `a`; nearly a unit quaternion if they are.
fn product([ax, ay, az, aw]: [f32; 4], [bx, by, bz, bw]: [f32; 4]) -> [f32; 4] {
    let product = [
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    ];
    // A step of Newton's method towards length one, so that errors do not add up from entity to entity.
    let square: f32 = product.iter().map(|part| part * part).sum();
    product.map(|part| part * (1.5 - 0.5 * square))
}

/// Where a shape comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum MeshSource {
    /// Source 0: a lump of class `Mesh`. 32 bytes.
    Lump(LumpId),
    /// Source 1: a box about the origin. Three `f32`: its sizes along x, y, z.
    Cuboid([f32; 3]),
    /// Source 2: a ball about the origin. `f32` radius.
    Sphere(f32),
    /// Source 3: a cylinder about the origin, along y. `f32` radius, `f32` height.
    Cylinder(f32, f32),
    /// Source 4: a rectangle in the xz plane, facing up. Two `f32`: its sizes along x and z.
    Plane([f32; 2]),
    /// Source 5: a ring in the xz plane. `f32` radius of the ring, `f32` radius of its tube.
    Torus(f32, f32),
}

/// A light. As bytes: `u8` kind (0 directional, 1 point, 2 spot), `u8` shadows, then `f32`s: colour
/// (three), intensity, range, inner angle, outer angle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Light {
    /// What sort of light.
    pub kind: LightKind,
    /// Whether things cast shadows in it.
    pub shadows: bool,
    /// Linear colour.
    pub color: [f32; 3],
    /// Lux for a directional light (full sun 100 000, indoors 500), lumens for the others (a candle
    /// 12, a bulb 800).
    pub intensity: f32,
    /// Metres beyond which a point or spot light is not seen; zero for the engine's default.
    pub range: f32,
    /// Radians from the axis of a spot light at which it starts to fade.
    pub inner_angle: f32,
    /// Radians from the axis of a spot light at which it is dark; less than π/2.
    pub outer_angle: f32,
}

/// What sort of light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LightKind {
    /// Parallel light from far away.
    Directional = 0,
    /// Light from a point in all directions.
    Point = 1,
    /// Light from a point within a cone.
    Spot = 2,
}

/// A sky of three colours, and the light that comes from it. As bytes: eleven `f32`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sky {
    /// Linear colour overhead.
    pub zenith: [f32; 3],
    /// Linear colour at the horizon.
    pub horizon: [f32; 3],
    /// Linear colour below.
    pub ground: [f32; 3],
    /// How bright the sky is seen, in cd/m² for a colour of 1.
    pub brightness: f32,
    /// Light from all sides in cd/m² for a colour of 1.
    pub ambient: f32,
}

/// An eye. As bytes: four `f32` and an `i32` priority.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Vertical angle of view in radians, more than 0 and less than π.
    pub fov_y: f32,
    /// Metres to the nearest thing seen, more than 0.
    pub near: f32,
    /// Metres to the farthest.
    pub far: f32,
    /// Exposure value at ISO 100: 9.7 suits a sunlit picture of this engine's default.
    pub exposure_ev100: f32,
    /// Of several cameras the one with the highest is shown.
    pub priority: i32,
}

impl Default for Camera {
    fn default() -> Camera {
        Camera { fov_y: 1.05, near: 0.05, far: 1000.0, exposure_ev100: 9.7, priority: 0 }
    }
}

impl Camera {
    fn encode(&self, out: &mut Vec<u8>) {
        put_floats(out, &[self.fov_y, self.near, self.far, self.exposure_ev100]);
        out.extend_from_slice(&self.priority.to_le_bytes());
    }
}

/// How an entity turns to the viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Billboard {
    /// About its own Y axis.
    AboutY = 0,
}

impl Component {
    /// Appends the component's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Component::Transform(t) => {
                put_floats(out, &t.translation);
                put_floats(out, &t.rotation);
                put_floats(out, &t.scale);
            }
            Component::Name(name) => out.extend_from_slice(name.as_bytes()),
            Component::Mesh(source) => match source {
                MeshSource::Lump(id) => {
                    out.push(0);
                    out.extend_from_slice(&id.0);
                }
                MeshSource::Cuboid(size) => shape(out, 1, size),
                MeshSource::Sphere(radius) => shape(out, 2, &[*radius]),
                MeshSource::Cylinder(radius, height) => shape(out, 3, &[*radius, *height]),
                MeshSource::Plane(size) => shape(out, 4, size),
                MeshSource::Torus(ring, tube) => shape(out, 5, &[*ring, *tube]),
            },
            Component::Material(material) => material.encode(out),
            Component::Light(l) => {
                out.extend_from_slice(&[l.kind as u8, u8::from(l.shadows)]);
                put_floats(out, &l.color);
                put_floats(out, &[l.intensity, l.range, l.inner_angle, l.outer_angle]);
            }
            Component::Sky(s) => {
                put_floats(out, &s.zenith);
                put_floats(out, &s.horizon);
                put_floats(out, &s.ground);
                put_floats(out, &[s.brightness, s.ambient]);
            }
            Component::Camera(camera) => camera.encode(out),
            Component::Model(id) => out.extend_from_slice(&id.0),
            Component::Billboard(mode) => out.push(*mode as u8),
            Component::Hidden(on) | Component::Keyboard(on) => out.push(u8::from(*on)),
            Component::Terminal(view) => view.encode(out),
            Component::Text(text) => text.encode(out),
            Component::Sound(sound) => sound.encode(out),
            Component::Animation(animation) => animation.encode(out),
            Component::Node(node) => node.encode(out),
            Component::Environment(environment) => environment.encode(out),
            Component::Pointer(wants) => out.push(wants.bits()),
            Component::Fog(fog) => fog.encode(out),
            Component::ColorGrading(grading) => grading.encode(out),
            Component::Lines(lines) => lines.encode(out),
            Component::Particles(particles) => particles.encode(out),
            Component::View(view) => view.encode(out),
            Component::Screen(screen) => screen.encode(out),
            Component::VisibilityRange(range) => range.encode(out),
            Component::Skin(skin) => skin.encode(out),
            Component::MorphWeights(weights) => weights.encode(out),
            Component::Layers(layers) => out.extend_from_slice(&layers.0.to_le_bytes()),
            Component::Mirror(mirror) => mirror.encode(out),
            Component::Listener(listener) => out.extend_from_slice(&listener.priority.to_le_bytes()),
        }
    }

    /// The component of this kind in these bytes.
    ///
    /// # Errors
    /// A field is out of range, or bytes are missing or left.
    pub fn decode(kind: ComponentKind, bytes: &[u8]) -> Result<Component, DecodeError> {
        let mut reader = Reader::new(bytes);
        let r = &mut reader;
        let component = match kind {
            ComponentKind::Transform => Component::Transform(transform(r)?),
            ComponentKind::Name => {
                if r.remaining() > NAME_LEN_MAX {
                    return Err(r.error("name is too long"));
                }
                Component::Name(r.text(r.remaining())?.into())
            }
            ComponentKind::Mesh => Component::Mesh(mesh_source(r)?),
            ComponentKind::Material => Component::Material(Box::new(Material::decode(r)?)),
            ComponentKind::Light => Component::Light(light(r)?),
            ComponentKind::Sky => Component::Sky(Sky {
                zenith: r.finites()?,
                horizon: r.finites()?,
                ground: r.finites()?,
                brightness: at_least(r, 0.0)?,
                ambient: at_least(r, 0.0)?,
            }),
            ComponentKind::Camera => Component::Camera(camera(r)?),
            ComponentKind::Model => Component::Model(LumpId(r.array()?)),
            ComponentKind::Billboard => {
                let unknown = r.error("unknown billboard mode");
                match r.u8()? {
                    0 => Component::Billboard(Billboard::AboutY),
                    _ => return Err(unknown),
                }
            }
            ComponentKind::Hidden => Component::Hidden(r.bool()?),
            ComponentKind::Terminal => Component::Terminal(TerminalView::decode(r)?),
            ComponentKind::Text => Component::Text(Box::new(Text::decode(r)?)),
            ComponentKind::Sound => Component::Sound(Box::new(Sound::decode(r)?)),
            ComponentKind::Animation => Component::Animation(Box::new(Animation::decode(r)?)),
            ComponentKind::Node => Component::Node(Box::new(ModelNode::decode(r)?)),
            ComponentKind::Environment => Component::Environment(Environment::decode(r)?),
            ComponentKind::Pointer => Component::Pointer(Wants::decode(r)?),
            ComponentKind::Fog => Component::Fog(Fog::decode(r)?),
            ComponentKind::ColorGrading => Component::ColorGrading(ColorGrading::decode(r)?),
            ComponentKind::Lines => Component::Lines(Box::new(Lines::decode(r)?)),
            ComponentKind::Particles => Component::Particles(Box::new(Particles::decode(r)?)),
            ComponentKind::View => Component::View(View::decode(r)?),
            ComponentKind::Screen => Component::Screen(Screen::decode(r)?),
            ComponentKind::VisibilityRange => Component::VisibilityRange(VisibilityRange::decode(r)?),
            ComponentKind::Skin => Component::Skin(Box::new(Skin::decode(r)?)),
            ComponentKind::MorphWeights => Component::MorphWeights(Box::new(MorphWeights::decode(r)?)),
            ComponentKind::Layers => Component::Layers(Layers::decode(r)?),
            ComponentKind::Mirror => Component::Mirror(Mirror::decode(r)?),
            ComponentKind::Listener => Component::Listener(Listener { priority: r.i32()? }),
            ComponentKind::Keyboard => Component::Keyboard(r.bool()?),
        };
        reader.end()?;
        Ok(component)
    }

    /// The lumps that this component refers to.
    pub fn lumps(&self) -> impl Iterator<Item = LumpId> {
        let mut found = [None; 13];
        match self {
            Component::Mesh(MeshSource::Lump(id)) | Component::Model(id) => found[0] = Some(*id),
            Component::Sound(sound) => found[0] = Some(sound.lump),
            Component::Environment(environment) => found[0] = Some(environment.lump),
            Component::Animation(animation) => found[0] = animation.lump,
            Component::Particles(particles) => found[0] = particles.texture,
            Component::Text(text) => {
                if let Face::Lump(id) = text.face {
                    found[0] = Some(id);
                }
            }
            Component::Material(material) => found = material.textures(),
            _ => {}
        }
        found.into_iter().flatten()
    }
}

fn shape(out: &mut Vec<u8>, source: u8, sizes: &[f32]) {
    out.push(source);
    put_floats(out, sizes);
}

fn at_least(reader: &mut Reader<'_>, least: f32) -> Result<f32, DecodeError> {
    let error = reader.error("number is too small");
    let value = reader.finite()?;
    if value >= least { Ok(value) } else { Err(error) }
}

fn above_zero(reader: &mut Reader<'_>) -> Result<f32, DecodeError> {
    at_least(reader, f32::MIN_POSITIVE)
}

fn transform(r: &mut Reader<'_>) -> Result<Transform, DecodeError> {
    let translation = r.finites()?;
    let not_unit = r.error("rotation is no unit quaternion");
    let rotation: [f32; 4] = r.finites()?;
    let square: f32 = rotation.iter().map(|v| v * v).sum();
    // Wide enough for a guest that multiplied many rotations without normalising.
    if !(0.9..=1.1).contains(&square) {
        return Err(not_unit);
    }
    Ok(Transform { translation, rotation, scale: r.finites()? })
}

fn mesh_source(r: &mut Reader<'_>) -> Result<MeshSource, DecodeError> {
    let unknown = r.error("unknown mesh source");
    Ok(match r.u8()? {
        0 => MeshSource::Lump(LumpId(r.array()?)),
        1 => MeshSource::Cuboid([above_zero(r)?, above_zero(r)?, above_zero(r)?]),
        2 => MeshSource::Sphere(above_zero(r)?),
        3 => MeshSource::Cylinder(above_zero(r)?, above_zero(r)?),
        4 => MeshSource::Plane([above_zero(r)?, above_zero(r)?]),
        5 => MeshSource::Torus(above_zero(r)?, above_zero(r)?),
        _ => return Err(unknown),
    })
}

fn light(r: &mut Reader<'_>) -> Result<Light, DecodeError> {
    let unknown = r.error("unknown kind of light");
    let kind = match r.u8()? {
        0 => LightKind::Directional,
        1 => LightKind::Point,
        2 => LightKind::Spot,
        _ => return Err(unknown),
    };
    let shadows = r.bool()?;
    let light = Light {
        kind,
        shadows,
        color: r.finites()?,
        intensity: at_least(r, 0.0)?,
        range: at_least(r, 0.0)?,
        inner_angle: at_least(r, 0.0)?,
        outer_angle: at_least(r, 0.0)?,
    };
    let right_angle = core::f32::consts::FRAC_PI_2;
    if light.inner_angle > light.outer_angle || light.outer_angle >= right_angle {
        return Err(r.error("angles of the light are out of range"));
    }
    Ok(light)
}

fn camera(r: &mut Reader<'_>) -> Result<Camera, DecodeError> {
    let camera = Camera {
        fov_y: above_zero(r)?,
        near: above_zero(r)?,
        far: above_zero(r)?,
        exposure_ev100: r.finite()?,
        priority: r.i32()?,
    };
    if camera.fov_y >= core::f32::consts::PI || camera.near >= camera.far {
        return Err(r.error("camera sees nothing"));
    }
    Ok(camera)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn some_of_each() -> Vec<Component> {
        let lump = LumpId([7; 32]);
        let light = Light {
            kind: LightKind::Spot,
            shadows: true,
            color: [1.0, 0.5, 0.25],
            intensity: 800.0,
            range: 10.0,
            inner_angle: 0.3,
            outer_angle: 0.5,
        };
        let sky = Sky {
            zenith: [0.1, 0.2, 0.4],
            horizon: [0.5; 3],
            ground: [0.1; 3],
            brightness: 1000.0,
            ambient: 80.0,
        };
        vec![
            Component::Transform(Transform::at(1.0, 2.0, 3.0).scaled(0.5)),
            Component::Name("bench".into()),
            Component::Mesh(MeshSource::Lump(lump)),
            Component::Mesh(MeshSource::Cuboid([1.0, 2.0, 3.0])),
            Component::Mesh(MeshSource::Sphere(0.5)),
            Component::Mesh(MeshSource::Cylinder(0.5, 2.0)),
            Component::Mesh(MeshSource::Plane([4.0, 5.0])),
            Component::Mesh(MeshSource::Torus(1.0, 0.2)),
            Component::Material(Box::new(Material {
                blend: true,
                normal_texture: Some(lump),
                ..Material::default()
            })),
            Component::Light(light),
            Component::Sky(sky),
            Component::Camera(Camera::default()),
            Component::Model(lump),
            Component::Billboard(Billboard::AboutY),
            Component::Hidden(true),
            Component::Terminal(TerminalView {
                terminal: crate::TerminalId::from_bits(5),
                cell_height: 0.03,
                opacity: 0.9,
            }),
            Component::Text(Box::new(Text { text: "Wärme\n界".into(), bold: true, ..Text::default() })),
            Component::Sound(Box::new(Sound::new(lump).looped())),
            Component::Material(Box::new(Material {
                alpha_cutoff: Some(0.5),
                occlusion_texture: Some(lump),
                transmission: 0.5,
                ior: 1.4,
                ..Material::default()
            })),
            Component::Animation(Box::new(Animation::of(3))),
            Component::Animation(Box::new(Animation { paused: true, ..Animation::of("walk") })),
            Component::Animation(Box::new(Animation::of("walk").in_lump(lump))),
            Component::Node(Box::new(ModelNode::follow("hand.L"))),
            Component::Environment(Environment { lump, brightness: 500.0, ambient: 300.0, rotation: 1.0 }),
            Component::Pointer(Wants::HOVER.and(Wants::PRESS)),
            Component::Fog(Fog::new(40.0, 100.0)),
            Component::ColorGrading(ColorGrading {
                tone_mapping: ToneMapping::Aces,
                ..ColorGrading::default()
            }),
            Component::Lines(Box::new(Lines::through([[0.0; 3], [1.0; 3]]))),
            Component::Particles(Box::new(Particles { texture: Some(lump), ..Particles::default() })),
            Component::View(View::default()),
            Component::Screen(Screen::of(EntityId::from_bits(5))),
            Component::VisibilityRange(VisibilityRange { start: 0.0, end: 20.0 }),
            Component::Skin(Box::new(Skin { joints: vec![EntityId::from_bits(5), EntityId::from_bits(6)] })),
            Component::MorphWeights(Box::new(MorphWeights { weights: vec![0.25, -1.0] })),
            Component::Layers(Layers::of(&[1, 4])),
            Component::Mirror(Mirror::default()),
            Component::Listener(Listener { priority: -3 }),
            Component::Keyboard(true),
        ]
    }

    #[test]
    fn every_component_reads_back() {
        let entity = EntityId::from_bits(9);
        let mut ops: Vec<Op> = some_of_each().into_iter().map(|c| Op::Set(entity, c)).collect();
        for kind in ComponentKind::ALL {
            assert!(some_of_each().iter().any(|c| c.kind() == *kind), "{kind:?}");
            ops.push(Op::Unset(entity, *kind));
        }
        ops.extend([
            Op::Create(entity, Scope::Local),
            Op::SetParent(entity, None),
            Op::SetParent(entity, Some(EntityId::from_bits(10))),
            Op::Give(entity),
            Op::Remove(entity),
        ]);
        assert_eq!(decode_batch(&encode_batch(&ops)).unwrap(), ops);
    }

    #[test]
    fn numbers_that_would_hurt_the_engine_are_refused() {
        let entity = EntityId::from_bits(9);
        for component in [
            Component::Transform(Transform::at(f32::NAN, 0.0, 0.0)),
            Component::Transform(Transform::IDENTITY.rotated([0.0; 4])),
            Component::Mesh(MeshSource::Sphere(0.0)),
            Component::Mesh(MeshSource::Cuboid([1.0, -1.0, 1.0])),
            Component::Camera(Camera { near: 2.0, far: 1.0, ..Camera::default() }),
            Component::Camera(Camera { fov_y: 4.0, ..Camera::default() }),
            Component::Name("n".repeat(NAME_LEN_MAX + 1)),
            Component::Text(Box::new(Text { text: "n".repeat(TEXT_LEN_MAX + 1), ..Text::default() })),
            Component::Text(Box::new(Text { size: 0.0, ..Text::default() })),
            Component::Text(Box::new(Text { line_spacing: f32::NAN, ..Text::default() })),
        ] {
            let batch = encode_batch(&[Op::Set(entity, component.clone())]);
            assert!(decode_batch(&batch).is_err(), "{component:?}");
        }
        assert!(decode_batch(&encode_batch(&[Op::Remove(EntityId::from_bits(0))])).is_err());
    }

    proptest! {
        #[test]
        fn strangers_do_not_panic_the_decoder(bytes: Vec<u8>) {
            let _ = decode_batch(&bytes);
        }

        #[test]
        fn a_flipped_byte_is_another_batch_or_an_error(at: proptest::sample::Index, flip in 1u8..) {
            let ops: Vec<Op> =
                some_of_each().into_iter().map(|c| Op::Set(EntityId::from_bits(9), c)).collect();
            let mut bytes = encode_batch(&ops);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(read) = decode_batch(&bytes) {
                prop_assert_eq!(encode_batch(&read), bytes);
            }
        }
    }
}
