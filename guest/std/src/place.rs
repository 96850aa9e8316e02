// SPDX-License-Identifier: AGPL-3.0-or-later
//! The furnished place: a stone terrace in a valley, on a warm evening, with a fire in its middle that is seen and
//! heard, and a shelter behind it to sit in.
//!
//! Who enters stands at (0, 1.7, 6) and looks along −Z: at the fire, into the shelter, and through its
//! window at the mountains. Light levels are those of dusk; a camera with an exposure of [`EXPOSURE_EV100`] shows
//! them well.

mod comforts;
pub mod crackle;
pub(crate) mod fire;
mod flame;
mod furniture;
mod ground;
mod house;
mod plants;

use fire::Fire;
use furniture::{hearth_ring, lantern_post, logs, shelves, string_of_lights, table};
use hearth_sdk::{
    font::text_mesh,
    prelude::*,
    scene::{far_light, point_light},
};
use std::f32::consts::PI;

/// The exposure that suits this light (exposure value at ISO 100).
pub const EXPOSURE_EV100: f32 = 5.0;
/// Where the fire is.
pub const FIRE: Vec3 = Vec3::ZERO;
/// Time from one flicker of the fire to the next.
pub(crate) const FLICKER: Duration = Duration::from_millis(80);
/// Glass and paper with a light behind.
const LAMP: [f32; 3] = [1.35, 0.78, 0.34];
/// The low sun.
const SUN: [f32; 3] = [1.0, 0.63, 0.38];

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
    sheltered(&mut batch)?;
    fire::fireflies(&mut batch);
    let fire = Fire::light(&mut batch)?;
    batch.commit()?;
    info!("the place is ready");
    let mut beat = interval(FLICKER);
    loop {
        let time = beat.tick().await;
        fire.flicker(time.as_secs_f32())?;
    }
}

/// Sky, sun, air and land. What has a name that begins with `~` is walked through.
fn around(batch: &mut Batch) -> Result<(), Error> {
    let sky = Sky {
        zenith: srgb(0x1f3f8c),
        horizon: srgb(0xffa86c),
        ground: srgb(0x3a3430),
        brightness: 34.0,
        ambient: 38.0,
    };
    Entity::new().name("sky").with(sky).add_to(batch);
    let from_the_left = Quat::looking(vec3(0.86, -0.34, -0.38));
    Entity::new().name("sun").light(far_light(SUN, 230.0, true)).turned(from_the_left).add_to(batch);

    // Air in the colour of the horizon; the mountains have theirs in their paint, and need little more.
    let fog = Fog::new(1200.0, 30.0);
    let fog = Fog { color: srgb(0xe8a078), ..fog };
    Entity::new().name("air").with(fog).add_to(batch);
    let warm = ColorGrading { temperature: 0.0, saturation: 0.96, bloom: 0.12, ..ColorGrading::default() };
    Entity::new().name("grading").with(warm).add_to(batch);

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
    let blades = Material { double_sided: true, ..painted(1.0) };
    grass.material(blades.clone()).add_to(batch);
    Entity::new().name("~flowers").mesh(plants::flowers().source()?).material(blades).add_to(batch);
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

    let (post, glass) = lantern_post();
    let (post, glass) = (post.source()?, glass.source()?);
    for (number, (x, z)) in [(-3.4, 4.1), (3.4, 4.1), (-6.6, -5.4), (6.6, -5.4)].into_iter().enumerate() {
        let lantern = Entity::new().name(format!("lantern {}", number + 1)).at(x, 0.0, z);
        let lantern = lantern.mesh(post).material(painted(0.6)).add_to(batch);
        let lit = Entity::new().parent(lantern).mesh(glass).material(glow(LAMP));
        lit.name("glass").add_to(batch);
    }
    let (cord, bulbs) = string_of_lights();
    Entity::new().name("cord").mesh(cord.source()?).material(painted(0.9)).add_to(batch);
    Entity::new().name("bulbs").mesh(bulbs.source()?).material(glow([2.0, 1.2, 0.55])).add_to(batch);
    Ok(())
}

/// The shelter, and what is in it.
fn sheltered(batch: &mut Batch) -> Result<(), Error> {
    let house = Entity::new().name("shelter").add_to(batch);
    let place = |name: &str, shape: Shape| -> Result<Entity, Error> {
        Ok(Entity::new().parent(house).name(name).mesh(shape.source()?).material(painted(0.85)))
    };
    place("floor", house::floor())?.add_to(batch);
    place("wall 1", house::side_wall(-1.0))?.add_to(batch);
    place("wall 2", house::side_wall(1.0))?.add_to(batch);
    place("back wall", house::back_wall())?.add_to(batch);
    place("roof 1", house::roof(-1.0))?.add_to(batch);
    place("roof 2", house::roof(1.0))?.add_to(batch);
    place("timber", house::timber())?.add_to(batch);
    place("chimney", house::chimney())?.add_to(batch);
    let (corner, out) = house::fireplace_pose();
    place("fireplace", house::fireplace())?.at_vec(corner).turned(out).add_to(batch);
    let (things, candles) = comforts::on_the_mantel();
    let mantel = corner + out.rotate(vec3(0.0, 1.405, -0.01));
    place("on the mantel", things)?.at_vec(mantel).turned(out).add_to(batch);
    let lit = Entity::new().parent(house).name("~candle flames").mesh(candles.source()?);
    lit.material(glow([2.2, 1.2, 0.4])).at_vec(mantel).turned(out).add_to(batch);
    let sign = text_mesh("HEARTH", 0.2).source()?;
    let sign = Entity::new().parent(house).name("sign").mesh(sign).material(glow([1.9, 1.05, 0.42]));
    sign.at_vec(house::SIGN).add_to(batch);

    let floor = house::FLOOR;
    let to_the_left = Quat::about(Vec3::Y, -PI * 0.5);
    place("window seat", comforts::window_seat())?.at(0.0, floor, house::BACK).add_to(batch);
    place("~window cushions", comforts::window_cushions())?.at(0.0, floor, house::BACK).add_to(batch);
    place("~rug", comforts::rug())?.at(-0.1, floor, -5.75).turned(Quat::about(Vec3::Y, 0.06)).add_to(batch);
    place("~floor cushions", comforts::floor_cushions())?.at(-0.3, floor, -5.9).add_to(batch);
    let (table, shade) = comforts::low_table();
    let tea = vec3(1.02, floor, -5.7);
    let turn = Quat::about(Vec3::Y, -0.25);
    place("low table", table)?.at_vec(tea).turned(turn).add_to(batch);
    let lamp = Entity::new().parent(house).name("lamp").mesh(shade.source()?).material(glow(LAMP));
    lamp.at_vec(tea).turned(turn).add_to(batch);
    place("shelves", shelves())?.at(2.62, floor, house::BACK + 0.28).add_to(batch);
    let boards = place("wall shelves", comforts::wall_shelves())?.at(house::SIDE, floor, -5.7);
    boards.turned(to_the_left).add_to(batch);
    let bench = place("wall bench", furniture::bench())?.at(-house::SIDE + 0.26, floor, -4.95);
    bench.turned(Quat::about(Vec3::Y, PI * 0.5)).add_to(batch);
    let (iron, glass) = comforts::hanging_lantern();
    let (iron, glass) = (iron.source()?, glass.source()?);
    for (number, x) in [-2.3, 2.3].into_iter().enumerate() {
        let hung = Entity::new().parent(house).name(format!("hung lantern {}", number + 1)).mesh(iron);
        let hung = hung.material(painted(0.6)).at(x, 2.58, -5.95).add_to(batch);
        let lit = Entity::new().parent(hung).name("glass").mesh(glass).material(glow(LAMP));
        lit.add_to(batch);
    }
    // About the table only: a light costs at every pixel that it reaches.
    let light = point_light([1.0, 0.68, 0.38], 1500.0, 4.4);
    Entity::new().parent(house).name("lamplight").light(light).at(0.85, 1.25, -5.8).add_to(batch);

    let leaves = Material { double_sided: true, ..painted(0.9) };
    for (number, (path, seed)) in house::IVY.into_iter().enumerate() {
        let ivy = Entity::new().parent(house).name(format!("~ivy {}", number + 1));
        ivy.mesh(plants::ivy(&path, seed).source()?).material(leaves.clone()).add_to(batch);
    }

    let spots =
        [(-4.75, -3.2, 1.25, 5), (4.75, -3.3, 1.05, 61), (4.95, -2.55, 0.8, 130), (-6.9, 1.9, 1.1, 190)];
    for (number, (x, z, size, seed)) in spots.into_iter().enumerate() {
        let pot =
            Entity::new().name(format!("plant {}", number + 1)).mesh(comforts::potted(seed, size).source()?);
        pot.material(painted(0.9)).at(x, 0.0, z).add_to(batch);
    }
    Ok(())
}
