// SPDX-License-Identifier: AGPL-3.0-or-later
//! The keys, shown to this user alone on a panel before the eye.

use hearth_sdk::{abi::scene::Component, font, prelude::*};

/// Metres from the eye; near, so that little can stand between.
const DISTANCE: f32 = 0.3;
/// How long the hint is shown to a user who came.
const HINT: Duration = Duration::from_secs(15);

const KEYS: &str = "\
W A S D      move
SPACE or E   up
C or Q       down
SHIFT        faster
WHEEL        change the speed
CLICK        look with the mouse
ESC          free the mouse
ARROWS       look without it
T            open a terminal
ENTER        type into the one you look at
             (or click it)
CTRL SHIFT SPACE  back from it
F1           hide this";

/// The panel of keys and the hint that there is one.
pub(super) struct Panel {
    keys: EntityId,
    shown: bool,
    hint: EntityId,
}

impl Panel {
    /// Makes both, hidden.
    pub(super) fn make(eye: EntityId, batch: &mut Batch) -> Result<Panel, Error> {
        let keys = sheet(KEYS, 0.0066, 0.0, eye, batch)?;
        let hint = sheet("F1 shows the keys, T opens a terminal", 0.005, -0.145, eye, batch)?;
        Ok(Panel { keys, shown: false, hint })
    }

    /// Shows or hides the keys.
    pub(super) fn toggle(&mut self) -> Result<(), Error> {
        self.shown = !self.shown;
        let mut batch = Batch::new();
        batch.set(self.keys, Component::Hidden(!self.shown)).set(self.hint, Component::Hidden(true));
        batch.commit()
    }

    /// Shows the hint for a while.
    pub(super) fn greet(&self) {
        let hint = self.hint;
        spawn_local(async move {
            for hidden in [false, true] {
                if let Err(error) = scene::set(hint, Component::Hidden(hidden)) {
                    warn!("the hint: {error}");
                }
                sleep(HINT).await;
            }
        });
    }
}

/// A text on a dark ground at a height before the eye.
fn sheet(text: &str, capital: f32, y: f32, eye: EntityId, batch: &mut Batch) -> Result<EntityId, Error> {
    let [width, height] = font::size(text, capital);
    let ground = Shape::cuboid(vec3(width + capital * 4.0, height + capital * 4.0, 0.0001));
    let dark =
        Material { base_color: [0.01, 0.008, 0.006, 0.93], unlit: true, blend: true, ..matte([0.0; 3]) };
    let sheet = Entity::new().local().parent(eye).hidden().at(0.0, y, -DISTANCE).name("keys");
    let sheet = sheet.mesh(ground.source()?).material(dark).add_to(batch);
    let ink = Material { unlit: true, ..matte(srgb(0xffe2b8)) };
    let letters = Entity::new().local().parent(sheet).at(0.0, 0.0, 0.001);
    letters.mesh(font::text_mesh(text, capital).source()?).material(ink).add_to(batch);
    Ok(sheet)
}
