// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 7: writing.

use super::stand::{Build, INK, WALL};
use hearth_sdk::prelude::*;

pub(super) fn letters(number: usize) -> Result<(), Error> {
    let caption = "Sharp at every size. The dots are the origins: lines stand left, about, or right of them.";
    let mut stand = Build::new(number, "Writing", caption);
    let plain = |text: &str, size: f32| Text { text: text.into(), size, color: INK, ..Text::default() };
    let put = |stand: &mut Build, x: f32, y: f32, text: Text| {
        stand.add(Entity::new().at(x, y, WALL).with(text));
    };
    let dot = |stand: &mut Build, x: f32, y: f32| {
        let dot = Entity::new().at(x, y, WALL).mesh(MeshSource::Sphere(0.016));
        stand.add(dot.material(glow([1.0, 0.1, 0.02])));
    };
    for (x, align, name) in [
        (-1.95, Align::Left, "left\nof two lines"),
        (-0.95, Align::Center, "centre\nof two lines"),
        (0.05, Align::Right, "right\nof two lines"),
    ] {
        put(&mut stand, x, 2.02, Text { align, ..plain(name, 0.11) });
        dot(&mut stand, x, 2.02);
    }
    for (x, anchor, name) in [
        (0.4, Anchor::Top, "Top"),
        (0.8, Anchor::Middle, "Middle"),
        (1.3, Anchor::Bottom, "Bottom"),
        (1.8, Anchor::Baseline, "Baseline"),
    ] {
        put(&mut stand, x, 2.02, Text { anchor, ..plain(name, 0.1) });
        dot(&mut stand, x, 2.02);
    }
    let mut x = -1.95;
    for size in [0.04, 0.06, 0.09, 0.14, 0.22, 0.32] {
        let text = Text { align: Align::Left, anchor: Anchor::Baseline, ..plain("Ag", size) };
        put(&mut stand, x, 1.55, text);
        x += size * 1.5 + 0.06;
    }
    for (y, bold, italic, face, name) in [
        (1.78, false, false, Face::Sans, "plain"),
        (1.66, true, false, Face::Sans, "bold"),
        (1.54, false, true, Face::Sans, "italic"),
        (1.42, false, false, Face::Mono, "one width: 0123456789"),
    ] {
        put(&mut stand, 0.6, y, Text { bold, italic, face, align: Align::Left, ..plain(name, 0.11) });
    }
    let tongues =
        "Zwölf Boxkämpfer · Où ça ? · Příliš žluťoučký\nЭто надпись · Ξεσκεπάζω · ¿Qué? · 1 − ½ ≈ 0.5 €";
    let text = Text { align: Align::Left, anchor: Anchor::Top, ..plain(tongues, 0.11) };
    put(&mut stand, -1.95, 1.3, text);
    let long = "A paragraph has a width: it is broken where there is no more room, and stands on a plate of its own.";
    let paragraph = Text {
        align: Align::Left,
        anchor: Anchor::Top,
        width: 1.6,
        color: [1.0, 0.93, 0.8, 1.0],
        background: [0.03, 0.05, 0.09, 1.0],
        ..plain(long, 0.1)
    };
    put(&mut stand, -1.9, 0.85, paragraph);
    let glowing = Text {
        color: [4.0, 1.4, 0.3, 1.0],
        bold: true,
        background: [0.01, 0.01, 0.015, 1.0],
        ..plain(" it glows ", 0.2)
    };
    put(&mut stand, 1.0, 0.72, glowing);
    let wide = Text { line_spacing: 1.6, ..plain("lines may be\nfurther apart", 0.09) };
    put(&mut stand, 1.0, 0.38, wide);
    stand.done()
}
