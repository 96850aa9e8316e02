//! A script of my own: an orb that glows and breathes, and takes another colour when it is told to.

use hearth_sdk::prelude::*;
use serde::Deserialize;

hearth_sdk::main!(run);

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    /// Linear red, green, blue.
    Color([f32; 3]),
}

async fn run() -> Result<(), Error> {
    let place = vec3(0.0, 1.5, 2.0);
    let orb = Entity::new().name("orb").at(place.x, place.y, place.z).mesh(MeshSource::Sphere(0.25));
    let orb = orb.material(glow(srgb(0xffa040))).spawn()?;
    info!("the orb is {orb}");

    let mut breath = 0.0f32;
    let mut beat = interval(Duration::from_millis(50));
    loop {
        match race(beat.tick(), recv::<Order>()).await {
            Either::Left(_) => {
                breath += 0.05;
                let height = place.y + 0.1 * breath.sin();
                scene::set(orb, scene::pose(vec3(place.x, height, place.z), Quat::IDENTITY))?;
            }
            Either::Right(order) => {
                let Order::Color(color) = order.body;
                scene::set(orb, glow(color))?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_sdk::testing;

    #[test]
    fn the_orb_breathes() {
        testing::run_for(run(), Duration::from_secs(1));
        assert_eq!(testing::batches().len(), 1 + 20);
    }
}
