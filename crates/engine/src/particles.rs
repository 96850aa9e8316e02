// SPDX-License-Identifier: AGPL-3.0-or-later
//! Particles: where each of a source is follows from its number and the time, so that nothing is kept of them, and all
//! peers, and pictures that are taken twice, show the same.
//!
//! Before each picture the particles of a source that is in sight are put into one mesh, of a square for each that faces
//! the eye. In all no more than [`DRAWN_MAX`] are drawn: if there are more, each source shows every second, or third.

use crate::{drawn::Unmet, look::EMISSIVE_MOST, model::Clock, monitor::Watches, view::Eye};
use bevy::{
    asset::RenderAssetUsages,
    camera::{primitives::Frustum, visibility::NoFrustumCulling},
    light::{NotShadowCaster, NotShadowReceiver},
    mesh::{Indices, PrimitiveTopology},
    prelude::*,
    render::render_resource::{Extent3d, TextureDimension, TextureFormat},
    transform::helper::TransformHelper,
};
use hearth_abi::{EntityId, scene};

/// Most particles in a picture.
const DRAWN_MAX: usize = 16_384;
/// Particles of one source that are looked at for a picture: those that may be alive.
const LOOKED_AT_MAX: u64 = scene::PARTICLES_MAX as u64 + 1;
/// Seconds before the first moment of the clock that what always was began.
const ALWAYS_S: f64 = 1e6;
/// Greatest size of one, in metres.
const SIZE_MOST: f32 = 1000.0;

/// A source of particles, on the entity of the scene.
#[derive(Component)]
pub(crate) struct Source {
    wanted: scene::Particles,
    /// When the first was born, by the clock; 0 for always.
    begun_ns: u64,
    seed: u64,
    mesh: Handle<Mesh>,
    material: Handle<StandardMaterial>,
    drawn: Entity,
}

/// The disc that particles are without a texture.
#[derive(Resource)]
pub(crate) struct Disc(Handle<Image>);

impl FromWorld for Disc {
    fn from_world(world: &mut World) -> Disc {
        Disc(world.resource_mut::<Assets<Image>>().add(disc()))
    }
}

/// Makes an entity a source of these, or what it is a source of other. `texture` is what they look like, if that is there.
pub(crate) fn show(
    world: &mut World,
    id: EntityId,
    entity: Entity,
    wanted: &scene::Particles,
    texture: Option<Handle<Image>>,
) {
    let texture = if wanted.texture.is_some() { texture } else { Some(world.resource::<Disc>().0.clone()) };
    let material = StandardMaterial {
        base_color_texture: texture,
        unlit: true,
        cull_mode: None,
        alpha_mode: if wanted.light { AlphaMode::Add } else { AlphaMode::Blend },
        ..default()
    };
    let now_ns = world.resource::<Clock>().now(world.resource());
    let begun_ns = match (wanted.start_ns, wanted.count) {
        (0, 0) => 0,
        (0, _) => now_ns,
        (start_ns, _) => start_ns,
    };
    if let Some(mut source) = world.get_mut::<Source>(entity) {
        let same = source.wanted.start_ns == wanted.start_ns && source.wanted.count == wanted.count;
        if !same {
            source.begun_ns = begun_ns;
        }
        source.wanted = *wanted;
        let material_id = source.material.id();
        if let Err(error) = world.resource_mut::<Assets<StandardMaterial>>().insert(material_id, material) {
            tracing::warn!(%error, "the material of particles was gone");
        }
        return;
    }
    let material = world.resource_mut::<Assets<StandardMaterial>>().add(material);
    // Hidden until one is alive. The renderer complains of a mesh without any vertices, as of memory that is used after it
    // was given back: it makes no room for one, and then looks for that.
    let none = Particle { at: Vec3::ZERO, size: 0.0, color: [0.0; 4] };
    let mesh = world.resource_mut::<Assets<Mesh>>().add(squares(&[none], Quat::IDENTITY));
    // Its place is that of the source, without what turns and scales that.
    let drawn = world
        .spawn((
            Mesh3d(mesh.clone()),
            MeshMaterial3d(material.clone()),
            Transform::IDENTITY,
            Visibility::Hidden,
            (NotShadowCaster, NotShadowReceiver, NoFrustumCulling, Unmet),
        ))
        .id();
    let source = Source { wanted: *wanted, begun_ns, seed: id.to_bits(), mesh, material, drawn };
    world.entity_mut(entity).insert(source);
}

/// An entity is a source no more.
pub(crate) fn hide(world: &mut World, entity: Entity) {
    let source = world.get_entity_mut(entity).ok().and_then(|mut entity| entity.take::<Source>());
    if let Some(source) = source
        && let Ok(drawn) = world.get_entity_mut(source.drawn)
    {
        drawn.despawn();
    }
}

/// One particle, relative to the place of its source, in the directions of the world.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Particle {
    at: Vec3,
    size: f32,
    color: [f32; 4],
}

/// Puts all particles where they are now.
#[expect(clippy::too_many_arguments, reason = "each is a part of the world that a system takes")]
pub(crate) fn fly(
    (time, clock): (Res<Time>, Res<Clock>),
    helper: TransformHelper,
    sources: Query<(Entity, &Source)>,
    parents: Query<&ChildOf>,
    shown: Query<&Visibility>,
    eye: Single<(&Transform, &Frustum, &Camera), With<Eye>>,
    watches: Res<Watches>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut commands: Commands,
) {
    let (eye, frustum, camera) = *eye;
    if !camera.is_active {
        return;
    }
    // What views see is not looked for.
    let sees_more = !watches.is_empty();
    let now_ns = clock.now(&time);
    let alive: usize = sources.iter().map(|(_, source)| source.wanted.alive_most() as usize).sum();
    let every = alive.div_ceil(DRAWN_MAX).max(1) as u64;
    for (entity, source) in &sources {
        let hidden = std::iter::once(entity)
            .chain(parents.iter_ancestors(entity))
            .any(|at| shown.get(at).is_ok_and(|visibility| *visibility == Visibility::Hidden));
        let place = if hidden { None } else { helper.compute_global_transform(entity).ok() };
        let place = place.filter(|place| {
            let reach = reach(&source.wanted) * place.scale().abs().max_element().max(1.0);
            let sphere =
                bevy::camera::primitives::Sphere { center: place.translation_vec3a(), radius: reach };
            // That of the picture before: what comes into sight now comes with the next one.
            let in_sight = sees_more || !reach.is_finite() || frustum.intersects_sphere(&sphere, false);
            place.translation().is_finite() && in_sight
        });
        let mut particles = Vec::new();
        if let Some(place) = &place {
            particles = alive_at(source, place, now_ns, every);
        }
        let mut drawn = commands.entity(source.drawn);
        let Some(place) = place.filter(|_| !particles.is_empty()) else {
            drawn.insert(Visibility::Hidden);
            continue;
        };
        if !source.wanted.light {
            // The farthest first, since they cover each other.
            let ahead = eye.forward();
            particles.sort_by(|one, other| other.at.dot(*ahead).total_cmp(&one.at.dot(*ahead)));
        }
        if let Err(error) = meshes.insert(source.mesh.id(), squares(&particles, eye.rotation)) {
            tracing::warn!(%error, "the mesh of particles was gone");
        }
        drawn.insert((Transform::from_translation(place.translation()), Visibility::Inherited));
    }
}

/// Metres from its source that a particle may come to be, before scaling.
fn reach(wanted: &scene::Particles) -> f32 {
    let life = wanted.lifetime[1];
    let fallen = Vec3::from(wanted.acceleration).length() * life * life / 2.0;
    let size = wanted.size[0].max(wanted.size[1]);
    Vec3::from(wanted.extent).length() + wanted.speed[1] * life + fallen + wanted.turbulence * 2.0 + size
}

/// All that are alive, of every so many one.
fn alive_at(source: &Source, place: &GlobalTransform, now_ns: u64, every: u64) -> Vec<Particle> {
    let Source { wanted, begun_ns, seed, .. } = source;
    let Some(since_ns) = now_ns.checked_sub(*begun_ns) else { return Vec::new() };
    let mut since = since_ns as f64 / 1e9;
    if *begun_ns == 0 {
        // The clock of tests begins at zero, and there are no numbers below it.
        since += ALWAYS_S;
    }
    let rate = f64::from(wanted.rate);
    // The number of the one that was born last.
    let mut last = (since * rate) as u64;
    if wanted.count > 0 {
        last = last.min(u64::from(wanted.count) - 1);
    }
    let oldest = ((since - f64::from(wanted.lifetime[1])) * rate).max(0.0) as u64;
    let first = oldest.max(last.saturating_sub(LOOKED_AT_MAX));
    (first.next_multiple_of(every)..=last)
        .step_by(usize::try_from(every).unwrap_or(usize::MAX))
        .filter_map(|number| particle(wanted, *seed, number, (since - number as f64 / rate) as f32, place))
        .collect()
}

/// Where the particle with this number is, so many seconds after its birth, if it lives.
fn particle(
    wanted: &scene::Particles,
    seed: u64,
    number: u64,
    age: f32,
    place: &GlobalTransform,
) -> Option<Particle> {
    let chance = |which: u64| chance(seed, number, which);
    let mix = |[least, most]: [f32; 2], part: f32| least + (most - least) * part;
    let life = mix(wanted.lifetime, chance(0));
    let part = age / life;
    if !(0.0..1.0).contains(&part) {
        return None;
    }
    let born = Vec3::from(wanted.extent) * (Vec3::new(chance(1), chance(2), chance(3)) * 2.0 - 1.0);
    // Evenly over the cap of a ball.
    let up = mix([wanted.spread.cos(), 1.0], chance(4));
    let (sin, cos) = (chance(5) * std::f32::consts::TAU).sin_cos();
    let aside = (1.0 - up * up).max(0.0).sqrt();
    let way = place.rotation() * Vec3::new(cos * aside, up, sin * aside);
    let velocity = way * mix(wanted.speed, chance(6));
    let pull = Vec3::from(wanted.acceleration);
    let drag = wanted.drag;
    let flown = if drag > 1e-3 {
        let slowed = (1.0 - (-drag * age).exp()) / drag;
        velocity * slowed + pull * ((age - slowed) / drag)
    } else {
        velocity * age + pull * (age * age / 2.0)
    };
    let wave = |which: u64| {
        let pace = 3.0 + 6.0 * chance(which);
        (part * pace + chance(which + 1) * std::f32::consts::TAU).sin() * wanted.turbulence * part
    };
    let strayed = Vec3::new(wave(7), 0.0, wave(9));
    let at = place.affine().matrix3 * born.to_vec3a() + (flown + strayed).to_vec3a();
    let color = std::array::from_fn(|i| mix([wanted.color[0][i], wanted.color[1][i]], part));
    let particle = Particle {
        at: at.into(),
        size: mix(wanted.size, part).clamp(0.0, SIZE_MOST),
        color: color_of(color),
    };
    particle.at.is_finite().then_some(particle)
}

fn color_of(color: [f32; 4]) -> [f32; 4] {
    let [red, green, blue, opacity] = color;
    let glow = |v: f32| v.clamp(0.0, EMISSIVE_MOST);
    [glow(red), glow(green), glow(blue), opacity.clamp(0.0, 1.0)]
}

/// A number from 0 to 1 by which one particle differs from another (the finaliser of SplitMix64).
fn chance(seed: u64, number: u64, which: u64) -> f32 {
    let mut bits =
        seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ which.wrapping_mul(0xd1b5_4a32_d192_ed03);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits >> 40) as f32 / (1u64 << 24) as f32
}

/// A square for each, turned to an eye.
fn squares(particles: &[Particle], eye: Quat) -> Mesh {
    let (right, up) = (eye * Vec3::X, eye * Vec3::Y);
    let mut positions: Vec<Vec3> = Vec::with_capacity(particles.len() * 4);
    let mut uvs: Vec<[f32; 2]> = Vec::with_capacity(particles.len() * 4);
    let mut colors: Vec<[f32; 4]> = Vec::with_capacity(particles.len() * 4);
    let mut corners: Vec<u32> = Vec::with_capacity(particles.len() * 6);
    for particle in particles {
        let first = positions.len() as u32;
        for [x, y] in [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]] {
            positions.push(particle.at + (right * x + up * y) * particle.size);
            uvs.push([x + 0.5, 0.5 - y]);
            colors.push(particle.color);
        }
        corners.extend([0, 1, 2, 0, 2, 3].map(|corner| first + corner));
    }
    // Given away to the renderer: it is made anew before each picture.
    Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::RENDER_WORLD)
        .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, positions)
        .with_inserted_attribute(Mesh::ATTRIBUTE_UV_0, uvs)
        .with_inserted_attribute(Mesh::ATTRIBUTE_COLOR, colors)
        .with_inserted_indices(Indices::U32(corners))
}

/// White, and less and less opaque towards the edge.
fn disc() -> Image {
    const SIZE: u32 = 64;
    let middle = (SIZE - 1) as f32 / 2.0;
    let pixels = (0..SIZE * SIZE).flat_map(|i| {
        let at = Vec2::new((i % SIZE) as f32 - middle, (i / SIZE) as f32 - middle);
        let inside = (1.0 - at.length() / middle).clamp(0.0, 1.0);
        let opacity = inside * inside * (3.0 - 2.0 * inside);
        [255, 255, 255, (opacity * 255.0) as u8]
    });
    Image::new(
        Extent3d { width: SIZE, height: SIZE, depth_or_array_layers: 1 },
        TextureDimension::D2,
        pixels.collect(),
        TextureFormat::Rgba8UnormSrgb,
        RenderAssetUsages::default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(wanted: scene::Particles, begun_ns: u64) -> Source {
        Source {
            wanted,
            begun_ns,
            seed: 7,
            mesh: Handle::default(),
            material: Handle::default(),
            drawn: Entity::PLACEHOLDER,
        }
    }

    fn count(wanted: scene::Particles, begun_ns: u64, now_ns: u64) -> usize {
        alive_at(&source(wanted, begun_ns), &GlobalTransform::IDENTITY, now_ns, 1).len()
    }

    /// A time of our days.
    const NOW: u64 = 1_800_000_000_000_000_000;
    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn as_many_live_as_are_born_in_a_life() {
        let steady = scene::Particles { rate: 100.0, lifetime: [2.0, 2.0], ..Default::default() };
        for offset in [0, 12_345_678, 3 * SECOND] {
            let alive = count(steady, 0, NOW + offset);
            assert!((199..=201).contains(&alive), "{alive}");
        }
        // From its start on there are more and more, and before it none.
        assert_eq!(count(steady, NOW, NOW - 1), 0);
        assert_eq!(count(steady, NOW, NOW + SECOND), 101);
        // A burst ends.
        let burst = scene::Particles { rate: 1e6, count: 50, ..steady };
        assert_eq!(count(burst, NOW, NOW + SECOND), 50);
        assert_eq!(count(burst, NOW, NOW + 3 * SECOND), 0);
        assert!(count(scene::Particles { rate: 1e-6, ..steady }, 0, NOW) <= 1);
    }

    #[test]
    fn they_fly_as_bodies_do() {
        let thrown = scene::Particles {
            rate: 1.0,
            lifetime: [10.0, 10.0],
            speed: [5.0, 5.0],
            spread: 0.0,
            acceleration: [0.0, -10.0, 0.0],
            ..Default::default()
        };
        let at =
            |wanted: &scene::Particles, age: f32, place| particle(wanted, 7, 3, age, &place).map(|p| p.at);
        let here = GlobalTransform::IDENTITY;
        assert!(at(&thrown, 0.5, here).unwrap_or_default().distance(Vec3::new(0.0, 1.25, 0.0)) < 1e-4);
        assert!(at(&thrown, 1.0, here).unwrap_or_default().length() < 1e-4);
        assert_eq!(at(&thrown, 10.0, here), None);
        // Down is down, however the source is turned.
        let turned = GlobalTransform::from(Transform::from_rotation(Quat::from_rotation_z(
            -std::f32::consts::FRAC_PI_2,
        )));
        let there = at(&thrown, 1.0, turned).unwrap_or_default();
        assert!(there.distance(Vec3::new(5.0, -5.0, 0.0)) < 1e-4, "{there}");
        // With drag it comes to an end speed.
        let dragged = scene::Particles { drag: 2.0, ..thrown };
        let fell = at(&dragged, 9.0, here).unwrap_or_default() - at(&dragged, 8.0, here).unwrap_or_default();
        assert!((fell.y + 5.0).abs() < 1e-3, "{fell}");
    }

    #[test]
    fn none_leaves_its_reach() {
        let wild = scene::Particles {
            extent: [0.3, 0.1, 0.2],
            speed: [0.0, 3.0],
            spread: 3.0,
            acceleration: [1.0, 2.0, 0.0],
            turbulence: 0.5,
            size: [0.1, 0.4],
            ..Default::default()
        };
        for number in 0..2000 {
            let age = chance(1, number, 9) * 1.2;
            if let Some(particle) = particle(&wild, 11, number, age, &GlobalTransform::IDENTITY) {
                assert!(particle.at.length() + particle.size <= reach(&wild), "{particle:?}");
            }
        }
    }

    #[test]
    fn chances_are_even() {
        let mean = (0..10_000).map(|i| chance(3, i, 1)).sum::<f32>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert!((0..10_000).all(|i| (0.0..1.0).contains(&chance(3, i, 2))));
    }
}
