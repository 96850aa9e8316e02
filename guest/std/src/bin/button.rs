// SPDX-License-Identifier: AGPL-3.0-or-later
//! A button that anybody presses: it takes the next colour, for everybody, and says who it was.
//!
//! Arguments: where it is, `x y z` in metres, and how far it is turned left from facing +Z, in radians. Start it on the server, and it stays when its author
//! leaves: `hearth-ctl spawn --peer 0 button.wasm -- 0 1.5 2`.
#![cfg_attr(target_arch = "wasm32", no_main)]

use hearth_sdk::{peer_name, pointer::Kind, prelude::*};

hearth_sdk::main!(run);

/// Linear colours, one after the other.
const COLORS: [[f32; 3]; 3] = [[1.0, 0.02, 0.02], [0.02, 0.9, 0.05], [0.03, 0.1, 1.0]];
/// How far the cap stands out in metres, and how far while it is pressed.
const OUT: [f32; 2] = [0.07, 0.03];

struct Button {
    cap: EntityId,
    says: EntityId,
    color: usize,
    is_over: bool,
    is_down: bool,
}

async fn run() -> Result<(), Error> {
    let place: Vec<f32> = args().iter().filter_map(|arg| arg.parse().ok()).collect();
    let [x, y, z, yaw] = match place[..] {
        [x, y, z] => [x, y, z, 0.0],
        [x, y, z, yaw] => [x, y, z, yaw],
        _ => [0.0, 1.5, 2.0, 0.0],
    };
    let mut batch = Batch::new();
    let plate = Entity::new().name("button").at(x, y, z).turned(Quat::about(Vec3::Y, yaw));
    let plate =
        plate.mesh(MeshSource::Cuboid([0.6, 0.6, 0.06])).material(matte(srgb(0x3a3a40))).add_to(&mut batch);
    // The cap alone is the target; the plate stands before what is behind it.
    let cap = Entity::new().name("cap").parent(plate).mesh(MeshSource::Sphere(0.2));
    let cap = cap.pointer(Wants::HOVER.and(Wants::PRESS)).add_to(&mut batch);
    let says = Entity::new().parent(plate).at(0.0, 0.38, 0.0).text("press me").add_to(&mut batch);
    let mut button = Button { cap, says, color: 0, is_over: false, is_down: false };
    button.look(&mut batch);
    batch.commit()?;
    info!("the button {cap} is at {x} {y} {z}");

    let mut pointers = Pointers::of(cap);
    loop {
        let event = pointers.next().await;
        let mut batch = Batch::new();
        match event.kind {
            Kind::Over => {
                button.is_over = true;
                debug!("peer {} points at it", event.user);
            }
            Kind::Out => button.is_over = false,
            Kind::Press => {
                button.is_down = true;
                button.color = (button.color + 1) % COLORS.len();
                let who = peer_name(event.user).unwrap_or_else(|| format!("peer {}", event.user));
                info!("{who} has pressed it");
                batch.set(button.says, Text { text: format!("{who} was here"), ..Text::default() });
            }
            Kind::Release | Kind::Cancel => button.is_down = false,
            _ => continue,
        }
        button.look(&mut batch);
        batch.commit()?;
    }
}

impl Button {
    fn look(&self, batch: &mut Batch) {
        let bright = if self.is_over { 1.0 } else { 0.6 };
        let out = OUT[usize::from(self.is_down)];
        batch.set(self.cap, Transform { scale: [1.0, 1.0, 0.5], ..Transform::at(0.0, 0.0, out) });
        batch.set(self.cap, glow(scene::times(COLORS[self.color], bright)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use hearth_sdk::{
        abi::scene::Op,
        testing::{self, pointer_event},
    };

    #[test]
    fn a_press_gives_the_next_colour_and_a_touch_lights_it() {
        // Ids are given in order: the plate, the cap, the text.
        let first = hearth_sdk::scene::new_id().unwrap();
        let cap = EntityId::from_bits(first.to_bits() + 2);
        let kinds = [Kind::Over, Kind::Press, Kind::Release, Kind::Out];
        kinds.iter().for_each(|kind| testing::pointer(&pointer_event(*kind, cap)));
        assert_eq!(testing::run_for(run(), Duration::from_secs(1)), None);
        let batches = testing::batches();
        assert_eq!(batches.len(), 5);
        let glows = |ops: &[Op]| {
            let color = ops.iter().rev().find_map(|op| match op {
                Op::Set(id, Component::Material(material)) if *id == cap => Some(material.emissive),
                _ => None,
            });
            color.unwrap()
        };
        let at = |ops: &[Op]| {
            let place = ops.iter().find_map(|op| match op {
                Op::Set(id, Component::Transform(place)) if *id == cap => Some(place.translation[2]),
                _ => None,
            });
            place.unwrap()
        };
        let colors: Vec<[f32; 3]> = batches.iter().map(|ops| glows(ops)).collect();
        let dim = |color| scene::times(color, 0.6);
        assert_eq!(colors, [dim(COLORS[0]), COLORS[0], COLORS[1], COLORS[1], dim(COLORS[1])]);
        assert_eq!(
            batches.iter().map(|ops| at(ops)).collect::<Vec<_>>(),
            [OUT[0], OUT[0], OUT[1], OUT[0], OUT[0]]
        );
        let target = Op::Set(cap, Component::Pointer(Wants::HOVER.and(Wants::PRESS)));
        assert!(batches[0].contains(&target));
        let says = batches[2]
            .iter()
            .any(|op| matches!(op, Op::Set(_, Component::Text(text)) if text.text == "visitor was here"));
        assert!(says, "{:?}", batches[2]);
    }
}
