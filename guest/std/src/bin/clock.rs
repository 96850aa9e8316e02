// SPDX-License-Identifier: AGPL-3.0-or-later
//! A clock: shows the time of day (UTC), and tells it to whoever asks.
//!
//! Arguments: where it hangs, `x y z` in metres. It answers any call or message with the number of
//! seconds since 1970.
#![cfg_attr(target_arch = "wasm32", no_main)]

use hearth_sdk::{font, prelude::*, time};
use serde::de::IgnoredAny;

hearth_sdk::main!(run);

/// Height of its digits in metres.
const HIGH: f32 = 0.2;

async fn run() -> Result<(), Error> {
    let place: Vec<f32> = args().iter().filter_map(|arg| arg.parse().ok()).collect();
    let [x, y, z] = place.try_into().unwrap_or([0.0, 2.6, -3.0]);

    // One mesh for each sign, made once: a lump of the same bytes is the same lump.
    let mut signs = Vec::new();
    for sign in "0123456789:".chars() {
        signs.push(font::text_mesh(&sign.to_string(), HIGH).source()?);
    }
    let mut batch = Batch::new();
    let dial = Entity::new().name("clock").at(x, y, z).add_to(&mut batch);
    let mut columns = Vec::new();
    for column in 0..8 {
        let sign = Entity::new().parent(dial).at((column as f32 - 3.5) * HIGH * 0.9, 0.0, 0.0);
        columns.push(sign.material(glow([1.4, 1.1, 0.6])).add_to(&mut batch));
    }
    batch.commit()?;

    spawn_local(async {
        loop {
            let asked = recv::<IgnoredAny>().await;
            // Who asked may be gone.
            asked.reply(&time::wall().as_secs()).ok();
        }
    });

    let mut shown = [usize::MAX; 8];
    loop {
        let now = time::wall();
        let secs = now.as_secs() as usize;
        let parts = [secs / 3600 % 24, secs / 60 % 60, secs % 60];
        let mut batch = Batch::new();
        for (column, entity) in columns.iter().enumerate() {
            let part = parts[column / 3];
            let sign = [part / 10, part % 10, 10][column % 3];
            if std::mem::replace(&mut shown[column], sign) != sign {
                batch.set(*entity, signs[sign]);
            }
        }
        batch.commit()?;
        // To the next full second.
        sleep(Duration::from_nanos(1_000_000_000 - u64::from(now.subsec_nanos()))).await;
    }
}
