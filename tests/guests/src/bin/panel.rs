// SPDX-License-Identifier: AGPL-3.0-or-later
//! A panel that several users are at, which writes into its log what each of them does.
//!
//! It faces +Z, its middle at 0, 1.7, -0.8; its four rows are [`ROW`] metres apart: a slider, a button, and two fields.
#![cfg_attr(target_arch = "wasm32", no_main)]

use hearth_kit::*;
use hearth_sdk::{peer_name, prelude::*};

hearth_sdk::main!(run);

/// Metres from one row to the next.
const ROW: f32 = 0.07;

#[derive(Clone, Debug)]
enum Does {
    Level(f32),
    Press,
    Write(usize, String),
}

async fn run() -> Result<(), Error> {
    let field = |number| field("").len_max(60).on_change(move |text| Does::Write(number, text));
    let content =
        col![slider(0.0..=1.0, 0.0, Does::Level), button("Press", Does::Press).grow(), field(1), field(2),];
    let theme = Theme { control: ROW * 0.75, gap: ROW * 0.25, ..Theme::dusk() };
    let mut ui = Ui::new(Place::at(vec3(0.0, 1.7, -0.8), Quat::IDENTITY), theme, content.panel().width(0.6))?;
    info!("the panel is there");
    loop {
        let said = ui.next().await?;
        let who = peer_name(said.user).unwrap_or_else(|| format!("peer {}", said.user));
        match said.message {
            Does::Level(level) => info!("{who} has set {:.0} %", level * 100.0),
            Does::Press => info!("{who} has pressed"),
            Does::Write(number, text) => info!("{who} has {text:?} in field {number}"),
        }
    }
}
