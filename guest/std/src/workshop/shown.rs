// SPDX-License-Identifier: AGPL-3.0-or-later
//! The entities that a board is shown by.

use super::{
    board::{BAR, BUTTON, BUTTONS, FRAME, Form, LINE},
    ray::Pose,
};
use hearth_sdk::{
    abi::{
        TerminalId,
        scene::{Align, Anchor, Component, Face, MeshSource, TerminalView, Text, Transform},
    },
    prelude::*,
};

/// Metres from the terminal back to the plate of the frame, and to the rim behind that.
const DEEP: f32 = 0.004;
/// Thickness of the plate and of the rim in metres.
const THICK: f32 = 0.006;
/// Width of the rim around the frame, in cells: where nobody looks, and where it tells something, which others see
/// from where they stand.
const RIM: f32 = 0.16;
const RIM_LIT: f32 = 0.35;
/// Letters of the line below are no smaller than this, in metres.
const LETTERS_MIN: f32 = 0.018;
/// Of how many cells' width a letter of the title is, about.
const LETTER: f32 = 1.05;

/// How much a board stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Light {
    /// Nobody looks at it.
    Off,
    /// The user points at it.
    Pointed,
    /// It has the user's keyboard.
    Typing,
    /// It rings.
    Bell,
}

/// What is written on a board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) title: String,
    /// What the user may do now; empty for nothing.
    pub(super) line: String,
    /// Whether it is a question.
    pub(super) asks: bool,
}

/// A board in the scene, and what was shown of it last.
pub(super) struct Shown {
    root: EntityId,
    view: EntityId,
    plate: EntityId,
    rim: EntityId,
    title: EntityId,
    close: EntityId,
    line: EntityId,
    yes: EntityId,
    no: EntityId,
    pose: Pose,
    form: Form,
    light: Light,
    words: Words,
}

impl Shown {
    /// Makes it. Everybody sees it but for the line below, which is for this user.
    ///
    /// # Errors
    /// The scene does not take it.
    pub(super) fn make(terminal: TerminalId, pose: Pose, form: Form, words: Words) -> Result<Shown, Error> {
        let mut batch = Batch::new();
        let root = Entity::new().name("terminal").with(pose.transform()).add_to(&mut batch);
        let part = || Entity::new().parent(root);
        let shown = Shown {
            root,
            view: part().name("screen").add_to(&mut batch),
            plate: part().name("frame").with(painted(0x1d1916, 1.0)).add_to(&mut batch),
            rim: part().name("rim").with(rim(Light::Off)).add_to(&mut batch),
            title: part().name("title").add_to(&mut batch),
            close: part().name("close").add_to(&mut batch),
            line: part().local().name("hint").hidden().add_to(&mut batch),
            yes: part().local().name("yes").hidden().add_to(&mut batch),
            no: part().local().name("no").hidden().add_to(&mut batch),
            pose,
            form,
            light: Light::Off,
            words,
        };
        shown.lay_out(terminal, &mut batch);
        shown.write(&mut batch);
        batch.commit()?;
        Ok(shown)
    }

    /// Shows what has changed.
    ///
    /// # Errors
    /// As [`Shown::make`].
    pub(super) fn show(
        &mut self,
        terminal: TerminalId,
        pose: Pose,
        form: Form,
        light: Light,
        words: Words,
    ) -> Result<(), Error> {
        let mut batch = Batch::new();
        if pose != self.pose {
            self.pose = pose;
            batch.set(self.root, pose.transform());
        }
        let resized = form != self.form;
        if resized {
            self.form = form;
            self.lay_out(terminal, &mut batch);
        }
        if resized || words != self.words {
            self.words = words;
            self.write(&mut batch);
        }
        if light != self.light {
            self.light = light;
            batch.set(self.rim, rim(light));
            batch.set(self.rim, self.rim_shape());
        }
        batch.commit()
    }

    /// Takes it away.
    pub(super) fn remove(self) {
        if let Err(error) = scene::remove(self.root) {
            warn!("a board stays: {error}");
        }
    }

    fn lay_out(&self, terminal: TerminalId, batch: &mut Batch) {
        let Form { cell, .. } = self.form;
        let [width, height] = self.form.size();
        let [frame, bar] = [FRAME * cell, BAR * cell];
        batch.set(self.view, Component::Terminal(TerminalView { terminal, cell_height: cell, opacity: 1.0 }));
        let [wide, high] = [width + 2.0 * frame, height + 2.0 * frame + bar];
        batch.set(self.plate, at(0.0, bar * 0.5, -DEEP));
        batch.set(self.plate, MeshSource::Cuboid([wide, high, THICK]));
        batch.set(self.rim, at(0.0, bar * 0.5, -DEEP - THICK * 0.5));
        batch.set(self.rim, self.rim_shape());
        let middle = height * 0.5 + (bar + frame) * 0.5;
        batch.set(self.title, at(-width * 0.5 + 0.4 * cell, middle, 0.001));
        batch.set(self.close, at(width * 0.5 - bar * 0.5, middle, 0.001));
        let below = -height * 0.5 - frame;
        batch.set(self.line, at(0.0, below - LINE * cell, 0.002));
        for (button, side) in [(self.yes, -1.0), (self.no, 1.0)] {
            batch.set(button, at(side * BUTTON[2] * cell, below - BUTTONS * cell, 0.002));
        }
    }

    fn rim_shape(&self) -> MeshSource {
        let Form { cell, .. } = self.form;
        let [width, height] = self.form.size();
        let rim = if self.light == Light::Off { RIM } else { RIM_LIT };
        let around = 2.0 * (FRAME + rim) * cell;
        MeshSource::Cuboid([width + around, height + BAR * cell + around, THICK * 0.9])
    }

    fn write(&self, batch: &mut Batch) {
        let Form { cell, columns, .. } = self.form;
        let letters = (f32::from(columns) * TerminalView::CELL_WIDTH - 2.0 * BAR) / (LETTER * 0.6);
        let title = Text {
            text: shortened(&self.words.title, letters.max(4.0) as usize),
            align: Align::Left,
            size: LETTER * cell,
            color: color(0xf0dfc4),
            ..plain()
        };
        batch.set(self.title, Component::Text(Box::new(title)));
        let close = Text { text: "×".into(), size: 1.5 * cell, color: color(0xd8b48a), ..plain() };
        batch.set(self.close, Component::Text(Box::new(close)));
        batch.set(self.line, Component::Text(Box::new(hint(&self.words.line, cell))));
        batch.set(self.line, Component::Hidden(self.words.line.is_empty()));
        for (button, text, ground) in
            [(self.yes, "Yes", [0.03, 0.12, 0.03, 0.95]), (self.no, "No", [0.16, 0.02, 0.01, 0.95])]
        {
            let text = Text {
                text: text.into(),
                size: cell,
                color: [1.0; 4],
                background: ground,
                bold: true,
                ..plain()
            };
            batch.set(button, Component::Text(Box::new(text)));
            batch.set(button, Component::Hidden(!self.words.asks));
        }
    }
}

/// A line below a terminal with cells of this height.
pub(super) fn hint(line: &str, cell: f32) -> Text {
    Text {
        text: line.into(),
        size: (0.85 * cell).max(LETTERS_MIN),
        color: color(0xffd9a0),
        background: [0.01, 0.008, 0.006, 0.85],
        ..plain()
    }
}

fn plain() -> Text {
    Text { face: Face::Sans, align: Align::Center, anchor: Anchor::Middle, ..Text::default() }
}

fn at(x: f32, y: f32, z: f32) -> Transform {
    scene::pose(vec3(x, y, z), Quat::IDENTITY)
}

fn color(code: u32) -> [f32; 4] {
    let [r, g, b] = srgb(code);
    [r, g, b, 1.0]
}

fn painted(code: u32, brightness: f32) -> hearth_sdk::abi::scene::Material {
    hearth_sdk::abi::scene::Material { unlit: true, ..matte(scene::times(srgb(code), brightness)) }
}

fn rim(light: Light) -> hearth_sdk::abi::scene::Material {
    match light {
        Light::Off => painted(0x2b2521, 1.0),
        Light::Pointed => painted(0xb08a5a, 1.0),
        Light::Typing => painted(0xffa53c, 1.8),
        Light::Bell => painted(0xffffff, 2.5),
    }
}

/// At most so many characters, of which the last tells that there were more.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let clean = |character: char| if character.is_control() { ' ' } else { character };
    let mut short: String = text.chars().take(most).map(clean).collect();
    if text.chars().nth(most).is_some() {
        short.pop();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_titles_are_cut() {
        assert_eq!(shortened("vim", 4), "vim");
        assert_eq!(shortened("cargo build", 6), "cargo…");
        assert_eq!(shortened("a\nb", 9), "a b");
        assert_eq!(shortened("漢字漢字", 2), "漢…");
    }
}
