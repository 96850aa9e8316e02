// SPDX-License-Identifier: AGPL-3.0-or-later
//! A glowing orb: the first script of the guide.
//!
//! Arguments: where it appears, `x y z` in metres. Send it `{"color": [1, 0.2, 0.1]}` (linear red,
//! green, blue) or `{"text": "red"}` to change its colour.
#![cfg_attr(target_arch = "wasm32", no_main)]

use hearth_sdk::prelude::*;
use serde::Deserialize;

hearth_sdk::main!(run);

/// What it understands.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Color([f32; 3]),
    Text(String),
}

async fn run() -> Result<(), Error> {
    let place: Vec<f32> = args().iter().filter_map(|arg| arg.parse().ok()).collect();
    let [x, y, z] = place.try_into().unwrap_or([0.0, 1.5, 2.0]);

    let orb = Entity::new().name("orb").at(x, y, z).mesh(MeshSource::Sphere(0.25));
    let orb = orb.material(glow(srgb(0xffa040))).spawn()?;
    info!("the orb {orb} glows at {x} {y} {z}");

    loop {
        let message = recv::<Order>().await;
        let color = match &message.body {
            Order::Color(color) => *color,
            Order::Text(name) => named(name),
        };
        scene::set(orb, glow(color))?;
        info!("{} wants the colour {color:?}", message.from);
        message.reply("done").ok();
    }
}

fn named(color: &str) -> [f32; 3] {
    srgb(match color {
        "red" => 0xff3020,
        "green" => 0x30e050,
        "blue" => 0x3070ff,
        "violet" => 0xa040ff,
        _ => 0xffffff,
    })
}
