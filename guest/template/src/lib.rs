//! A script of my own: a ring that turns, and stops when it is told to.

use hearth_sdk::prelude::*;
use serde::Deserialize;

hearth_sdk::main!(run);

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Stop,
    Go,
}

async fn run() -> Result<(), Error> {
    let ring = Entity::new().name("ring").at(0.0, 1.5, 3.0).mesh(MeshSource::Torus(0.4, 0.08));
    let ring = ring.material(metal(srgb(0xd8a850))).spawn()?;
    info!("the ring is {ring}");

    let mut turning = true;
    let mut angle = 0.0;
    let mut beat = interval(Duration::from_millis(50));
    loop {
        match race(beat.tick(), recv::<Order>()).await {
            Either::Left(_) if turning => {
                angle += 0.1;
                scene::set(ring, scene::pose(vec3(0.0, 1.5, 3.0), Quat::about(vec3(1.0, 0.3, 0.0), angle)))?;
            }
            Either::Left(_) => {}
            Either::Right(order) => turning = matches!(order.body, Order::Go),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_sdk::testing;

    #[test]
    fn the_ring_turns_until_it_is_told_to_stop() {
        testing::run_for(run(), Duration::from_secs(1));
        assert_eq!(testing::batches().len(), 1 + 20);
        testing::deliver("0.1".parse().unwrap(), &"stop");
        testing::run_for(run(), Duration::from_secs(1));
        assert_eq!(testing::batches().len(), 1);
    }
}
