// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 18: how terminals are opened. Those that are seen are of the visitors' machines, so there is none here.

use super::stand::Build;
use hearth_sdk::prelude::*;

const KEYS: [(&str, &str); 5] = [
    ("T", "opens a terminal of your machine"),
    ("Enter, click", "you type into it"),
    ("Ctrl+Shift+Space", "you have the space again"),
    ("drag", "its bar: carry; its corners: scale"),
    ("×", "closes it"),
];
const CODE: &str = "let open = Open::default();
let shell = Terminal::open(&open).await?;
Entity::new()
    .at(0.0, 1.5, -2.0)
    .terminal(shell.id(), 0.03)
    .spawn()?;";

/// The colours of letters.
const GREEN: [f32; 4] = [0.35, 0.8, 0.4, 1.0];
const PALE: [f32; 4] = [0.75, 0.77, 0.8, 1.0];
const DIM: [f32; 4] = [0.36, 0.38, 0.42, 1.0];

pub(super) fn terminals(number: usize) -> Result<(), Error> {
    let caption = "A program of your own machine in the space. Everybody sees it, you alone type into it.";
    let mut stand = Build::new(number, "Terminals", caption);
    let lines = |text: &str, face: Face, size: f32, color: [f32; 4]| Text {
        text: text.into(),
        face,
        size,
        color,
        align: Align::Left,
        anchor: Anchor::Top,
        ..Text::default()
    };
    for (x, width, title) in [(-1.0, 2.14, "you"), (1.1, 1.94, "a script")] {
        stand.cuboid([width, 1.2, 0.04], [x, 1.42, -0.92], [0.012, 0.014, 0.02]);
        stand.cuboid([width, 0.13, 0.05], [x, 1.955, -0.92], [0.05, 0.055, 0.07]);
        let at = Entity::new().at(x - width * 0.5 + 0.07, 1.99, -0.89);
        stand.add(at.with(lines(title, Face::Sans, 0.07, PALE)));
    }
    for (row, (key, does)) in KEYS.into_iter().enumerate() {
        let y = 1.8 - 0.19 * row as f32;
        stand.add(Entity::new().at(-2.0, y, -0.895).with(lines(key, Face::Mono, 0.07, GREEN)));
        stand.add(Entity::new().at(-1.25, y, -0.895).with(lines(does, Face::Sans, 0.075, PALE)));
    }
    stand.add(
        Entity::new()
            .at(0.2, 1.8, -0.895)
            .with(Text { line_spacing: 1.2, ..lines(CODE, Face::Mono, 0.07, PALE) }),
    );
    let where_to = "guest/std/src/workshop.rs";
    stand.add(Entity::new().at(0.2, 1.0, -0.895).with(lines(where_to, Face::Mono, 0.06, DIM)));
    stand.done()
}
