// SPDX-License-Identifier: AGPL-3.0-or-later
//! The keys, shown to this user alone on a panel before the eye, and the hint that there is one.

use hearth_sdk::prelude::*;
use std::{cell::Cell, rc::Rc};

/// Metres from the eye; near, so that little can stand between.
const DISTANCE: f32 = 0.3;
/// How long the hint is shown to a user who came.
const HINT: Duration = Duration::from_secs(15);
/// Height of the font in metres.
const LETTERS: f32 = 0.0082;
/// Distance of lines as a factor of the font's own, and in heights of the font.
const SPACING: f32 = 1.1;
const LINE: f32 = SPACING * 1.17;
/// Width of the column of keys and of that beside it, and the edge around both, in heights of the font.
const COLUMNS: [f32; 2] = [11.2, 15.0];
const EDGE: f32 = 1.2;

/// How long a note is shown.
const NOTE: Duration = Duration::from_secs(4);

const KEYS: [[&str; 2]; 14] = [
    ["W A S D", "move"],
    ["F", "walk, or fly"],
    ["Space", "jump; fly up"],
    ["E and C, Q", "fly up, down"],
    ["Shift", "faster"],
    ["G", "point at something"],
    ["Wheel", "change the speed"],
    ["Click", "look with the mouse"],
    ["Esc", "free the mouse"],
    ["Arrows", "look without it"],
    ["T", "open a terminal"],
    ["Enter or click", "type into the one you look at"],
    ["Ctrl+Shift+Space", "back from it"],
    ["F1", "hide this"],
];

/// The panel of keys and the hint that there is one.
pub(super) struct Panel {
    keys: EntityId,
    shown: bool,
    hint: EntityId,
    /// The user knows what the hint says: it is not shown any more.
    is_known: Rc<Cell<bool>>,
    /// What has changed, for a while; and how many notes there were.
    note: EntityId,
    notes: Rc<Cell<u32>>,
}

impl Panel {
    /// Makes both, hidden.
    pub(super) fn make(eye: EntityId, batch: &mut Batch) -> Result<Panel, Error> {
        let keys = keys(eye, batch);
        let hint = Text {
            text: "F1 shows the keys, T opens a terminal".into(),
            size: LETTERS,
            background: GROUND,
            ..ink()
        };
        let hint = before(eye, -0.14).name("~hint of keys").with(hint).add_to(batch);
        let note = before(eye, -0.12).name("~note").with(note_of("")).add_to(batch);
        Ok(Panel { keys, shown: false, hint, is_known: Rc::default(), note, notes: Rc::default() })
    }

    /// Says something, for a while.
    pub(super) fn say(&self, text: &str) -> Result<(), Error> {
        let mut batch = Batch::new();
        batch.set(self.note, note_of(text));
        batch.set(self.note, Component::Hidden(false));
        batch.commit()?;
        let (note, notes) = (self.note, Rc::clone(&self.notes));
        let own = notes.get().wrapping_add(1);
        notes.set(own);
        spawn_local(async move {
            sleep(NOTE).await;
            if notes.get() == own
                && let Err(error) = scene::set(note, Component::Hidden(true))
            {
                warn!("the note: {error}");
            }
        });
        Ok(())
    }

    /// Shows or hides the keys.
    pub(super) fn toggle(&mut self) -> Result<(), Error> {
        self.shown = !self.shown;
        scene::set(self.keys, Component::Hidden(!self.shown))?;
        self.settle()
    }

    /// Shows the hint for a while.
    pub(super) fn greet(&self) {
        let (hint, is_known) = (self.hint, Rc::clone(&self.is_known));
        spawn_local(async move {
            for hidden in [false, true] {
                if is_known.get() {
                    return;
                }
                if let Err(error) = scene::set(hint, Component::Hidden(hidden)) {
                    warn!("the hint: {error}");
                }
                sleep(HINT).await;
            }
        });
    }

    /// Hides the hint for good.
    pub(super) fn settle(&self) -> Result<(), Error> {
        match self.is_known.replace(true) {
            true => Ok(()),
            false => scene::set(self.hint, Component::Hidden(true)),
        }
    }
}

/// The ground that writing stands on.
const GROUND: [f32; 4] = [0.01, 0.008, 0.006, 0.93];

fn note_of(text: &str) -> Text {
    Text { text: text.into(), size: LETTERS, background: GROUND, ..ink() }
}

fn ink() -> Text {
    let [r, g, b] = srgb(0xffe2b8);
    Text { color: [r, g, b, 1.0], ..Text::default() }
}

/// Something hidden at a height before the eye.
fn before(eye: EntityId, y: f32) -> Entity {
    Entity::new().local().parent(eye).hidden().at(0.0, y, -DISTANCE)
}

/// Two columns on one plate.
fn keys(eye: EntityId, batch: &mut Batch) -> EntityId {
    let [left, right] = COLUMNS;
    let [width, height] = [left + right + 2.0 * EDGE, KEYS.len() as f32 * LINE + 2.0 * EDGE];
    let plate = MeshSource::Cuboid([width * LETTERS, height * LETTERS, 0.0001]);
    // What shines behind it would shine through the least transparency.
    let [r, g, b, _] = GROUND;
    let dark = Material { unlit: true, ..matte([r, g, b]) };
    let sheet = before(eye, 0.0).name("~keys").mesh(plate).material(dark).add_to(batch);
    for (column, x, bold) in [(0, EDGE, true), (1, EDGE + left, false)] {
        let lines: Vec<&str> = KEYS.iter().map(|line| line[column]).collect();
        let text = Text {
            text: lines.join("\n"),
            align: Align::Left,
            size: LETTERS,
            line_spacing: SPACING,
            bold,
            ..ink()
        };
        let at = Entity::new().local().parent(sheet).at((x - width * 0.5) * LETTERS, 0.0, 0.001);
        at.name("~column of keys").with(text).add_to(batch);
    }
    sheet
}
