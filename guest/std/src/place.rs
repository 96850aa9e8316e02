// SPDX-License-Identifier: AGPL-3.0-or-later
//! The furnished place: a stone terrace in a valley, on a warm evening, with a fire in its middle that is seen and
//! heard.
//!
//! Who enters stands at (0, 1.7, 6) and looks along −Z: at the fire, the gate behind it, and the
//! mountains. Light levels are those of dusk; a camera with an exposure of [`EXPOSURE_EV100`] shows
//! them well.

pub mod crackle;
mod furniture;
mod ground;
mod plants;

use crate::chance::noise;
use furniture::{gate, hearth_ring, lantern_post, logs, shelves, string_of_lights, table};
use hearth_sdk::{
    font::text_mesh,
    prelude::*,
    scene::{far_light, point_light, times},
};

/// The exposure that suits this light (exposure value at ISO 100).
pub const EXPOSURE_EV100: f32 = 5.0;
/// Where the fire is.
pub const FIRE: Vec3 = Vec3::ZERO;
/// Light of the fire in lumens.
const FIRE_LUMENS: f32 = 5200.0;
/// Loudness of the fire, at most within so many metres, and how far it is heard.
const FIRE_GAIN: f32 = 0.9;
const FIRE_NEAR: f32 = 2.0;
const FIRE_FAR: f32 = 30.0;
/// Time from one flicker of the fire to the next.
const FLICKER: Duration = Duration::from_millis(80);
/// The low sun.
const SUN: [f32; 3] = [1.0, 0.58, 0.32];

/// A surface that has the colours of its mesh.
fn painted(roughness: f32) -> Material {
    Material { base_color: [1.0; 4], roughness, ..Material::default() }
}

/// Builds the place, and then keeps the fire burning.
///
/// # Errors
/// The scene does not take it.
pub async fn run() -> Result<(), Error> {
    let mut batch = Batch::new();
    around(&mut batch)?;
    furnished(&mut batch)?;
    let fire = Fire::light(&mut batch)?;
    batch.commit()?;
    info!("the place is ready");
    let mut beat = interval(FLICKER);
    loop {
        let time = beat.tick().await;
        fire.flicker(time.as_secs_f32())?;
    }
}

/// Sky, sun and land. What has a name that begins with `~` is walked through.
fn around(batch: &mut Batch) -> Result<(), Error> {
    let sky = Sky {
        zenith: srgb(0x1e3a7c),
        horizon: srgb(0xffa86c),
        ground: srgb(0x3a3430),
        brightness: 34.0,
        ambient: 38.0,
    };
    Entity::new().name("sky").with(sky).add_to(batch);
    let from_the_left = Quat::looking(vec3(0.86, -0.34, -0.38));
    Entity::new().name("sun").light(far_light(SUN, 230.0, true)).turned(from_the_left).add_to(batch);

    let meadow = Entity::new().name("meadow").add_to(batch);
    for tile in ground::meadow() {
        let tile = Entity::new().parent(meadow).name("tile").mesh(tile.source()?);
        tile.material(painted(1.0)).add_to(batch);
    }
    // Far things take their light from their paint, so that the air between can be painted too.
    let air = Material { unlit: true, ..painted(1.0) };
    Entity::new().name("mountains").mesh(ground::mountains().source()?).material(air).add_to(batch);
    let terrace = Entity::new().name("terrace").mesh(ground::terrace().source()?);
    terrace.material(painted(0.85)).add_to(batch);

    let spots = [(-9.6, -6.0, 1.25, 4), (10.2, -7.5, 1.4, 11), (-13.0, 3.5, 1.0, 29), (15.5, 1.0, 1.15, 46)];
    for (number, (x, z, size, seed)) in spots.into_iter().enumerate() {
        let tree = Entity::new().name(format!("tree {}", number + 1)).at(x, ground::height(x, z), z);
        let tree = tree.scaled(size).add_to(batch);
        let (wood, leaves) = plants::tree(seed);
        Entity::new().parent(tree).name("trunk").mesh(wood.source()?).material(painted(0.95)).add_to(batch);
        Entity::new().parent(tree).name("leaves").mesh(leaves.source()?).material(painted(0.9)).add_to(batch);
    }
    let grass = Entity::new().name("~grass").mesh(plants::tufts().source()?);
    grass.material(Material { double_sided: true, ..painted(1.0) }).add_to(batch);
    Ok(())
}

/// Everything that stands on the terrace.
fn furnished(batch: &mut Batch) -> Result<(), Error> {
    let place = |name: &str, shape: Shape| -> Result<Entity, Error> {
        Ok(Entity::new().name(name).mesh(shape.source()?).material(painted(0.8)))
    };
    place("hearth", hearth_ring())?.at_vec(FIRE).add_to(batch);
    place("logs", logs())?.at_vec(FIRE).add_to(batch);
    let bench = place("bench", furniture::bench())?;
    for (number, angle) in [2.45f32, 3.85, 5.15].into_iter().enumerate() {
        let (sin, cos) = angle.sin_cos();
        let bench = bench.clone().at_vec(FIRE + vec3(sin * 3.1, 0.0, cos * 3.1));
        bench.turned(Quat::about(Vec3::Y, angle)).name(format!("bench {}", number + 1)).add_to(batch);
    }
    let corner = Quat::about(Vec3::Y, 0.45);
    place("table", table())?.at(3.9, 0.0, 1.2).turned(corner).add_to(batch);
    place("shelves", shelves())?.at(-5.3, 0.0, -2.6).turned(Quat::about(Vec3::Y, 0.95)).add_to(batch);
    place("gate", gate())?.at(0.0, 0.0, -7.2).add_to(batch);
    let sign = text_mesh("HEARTH", 0.34).source()?;
    let sign = Entity::new().name("sign").mesh(sign).material(glow([1.9, 1.05, 0.42]));
    sign.at(0.0, 3.26, -6.96).add_to(batch);

    let (post, glass) = lantern_post();
    let (post, glass) = (post.source()?, glass.source()?);
    for (number, (x, z)) in [(-3.4, 4.1), (3.4, 4.1), (-6.6, -5.4), (6.6, -5.4)].into_iter().enumerate() {
        let lantern = Entity::new().name(format!("lantern {}", number + 1)).at(x, 0.0, z);
        let lantern = lantern.mesh(post).material(painted(0.6)).add_to(batch);
        let lit = Entity::new().parent(lantern).mesh(glass).material(glow([3.2, 1.7, 0.6]));
        lit.name("glass").add_to(batch);
    }
    // Two of the four throw light: each light costs at every pixel it reaches.
    for (x, y, z) in [(3.7, 1.9, 1.2), (-5.0, 1.9, -3.2)] {
        let light = point_light([1.0, 0.62, 0.28], 900.0, 7.0);
        Entity::new().name("lantern light").light(light).at(x, y, z).add_to(batch);
    }
    let (cord, bulbs) = string_of_lights();
    Entity::new().name("cord").mesh(cord.source()?).material(painted(0.9)).add_to(batch);
    Entity::new().name("bulbs").mesh(bulbs.source()?).material(glow([3.4, 2.0, 0.85])).add_to(batch);
    Ok(())
}

/// What of the fire moves.
struct Fire {
    light: EntityId,
    flames: Vec<(EntityId, Vec3, f32)>,
}

impl Fire {
    fn light(batch: &mut Batch) -> Result<Fire, Error> {
        let root = Entity::new().name("fire").at_vec(FIRE).add_to(batch);
        let light = Entity::new().parent(root).name("firelight").at(0.0, 0.95, 0.0);
        let light = light.light(fire_light(1.0)).add_to(batch);
        let flame = furniture::flame().source()?;
        let hues = [[3.4, 1.5, 0.3], [2.8, 0.85, 0.1], [2.2, 0.5, 0.05]];
        let flames = (0..7).map(|i| {
            let (sin, cos) = (i as f32 * 2.4).sin_cos();
            let out = 0.055 * i as f32;
            let (place, size) = (vec3(cos * out, 0.22, sin * out), 1.0 - 0.085 * i as f32);
            let tongue = Entity::new().parent(root).name("~flame").mesh(flame).material(glow(hues[i / 3]));
            (tongue.at_vec(place).scaled(size).add_to(batch), place, size)
        });
        let flames = flames.collect();
        let embers = Entity::new().parent(root).name("~embers").mesh(furniture::embers().source()?);
        embers.material(glow(times([4.0, 0.8, 0.1], 0.5))).add_to(batch);
        let crackle = Lump::put(&sound::wav(crackle::RATE, &crackle::fire()))?;
        let crackle = Sound::new(crackle.0).looped().gain(FIRE_GAIN).reaching(FIRE_NEAR, FIRE_FAR);
        Entity::new().parent(root).name("crackle").at(0.0, 0.3, 0.0).sound(crackle).add_to(batch);
        Ok(Fire { light, flames })
    }

    fn flicker(&self, time: f32) -> Result<(), Error> {
        let mut batch = Batch::new();
        let strength = 1.0 + 0.16 * noise(time * 2.3, 0.5) + 0.07 * noise(time * 7.0, 3.5);
        batch.set(self.light, fire_light(strength));
        for (number, (flame, place, size)) in self.flames.iter().enumerate() {
            let row = number as f32 * 17.3;
            let tall = size * (1.0 + 0.3 * noise(time * 3.1, row));
            let wide = size * (1.0 + 0.15 * noise(time * 2.2, row + 5.0));
            let lean = vec3(noise(time * 1.7, row + 2.0), 0.0, noise(time * 1.9, row + 8.0));
            let turn = Quat::about(Vec3::Y, time * 0.9 + row) * Quat::about(lean, 0.16 * lean.length());
            let transform =
                Transform { translation: place.array(), rotation: turn.array(), scale: [wide, tall, wide] };
            batch.set(*flame, transform);
        }
        batch.commit()
    }
}

fn fire_light(strength: f32) -> Light {
    point_light([1.0, 0.5, 0.17], FIRE_LUMENS * strength, 16.0)
}
