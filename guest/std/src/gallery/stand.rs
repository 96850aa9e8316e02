// SPDX-License-Identifier: AGPL-3.0-or-later
//! A stand: a step, a wall with a number and a caption, and benches to put things on.

use hearth_sdk::prelude::*;

/// How many there are.
pub const STANDS: usize = 19;
/// How far before its middle one stands to look at one, in metres.
pub const VIEW_DISTANCE: f32 = 2.7;
/// How high, in metres.
const EYE: f32 = 1.4;
/// From one stand to the next along the walk.
const PITCH: f32 = 6.0;
/// From the middle of the walk.
const ASIDE: f32 = 4.7;
/// How far a stand is turned from the entrance to the walk.
const TURN: f32 = 1.05;
/// The colour of what is written on walls.
pub(super) const INK: [f32; 4] = [0.012, 0.013, 0.016, 1.0];
/// Tops of the low and the high bench, and where they are.
pub(super) const LOW: (f32, f32) = (0.7, 0.4);
pub(super) const HIGH: (f32, f32) = (1.2, -0.4);
/// Where the front of the wall is.
pub(super) const WALL: f32 = -0.94;

/// Where a stand is. Its front faces +Z of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stand {
    /// The middle of its floor.
    pub place: Vec3,
    /// How far it is turned left from facing +Z.
    pub yaw: f32,
}

impl Stand {
    /// The stand of this number, from 1.
    pub fn number(number: usize) -> Stand {
        let row = (number.max(1) - 1) / 2;
        let z = -1.0 - PITCH * row as f32;
        match (number, number % 2) {
            (STANDS, _) => Stand { place: vec3(0.0, 0.0, z), yaw: 0.0 },
            (_, 1) => Stand { place: vec3(-ASIDE, 0.0, z), yaw: TURN },
            _ => Stand { place: vec3(ASIDE, 0.0, z), yaw: -TURN },
        }
    }

    /// How it is turned.
    pub fn turn(self) -> Quat {
        Quat::about(Vec3::Y, self.yaw)
    }

    /// A place of the stand, in the space.
    pub fn outside(self, place: Vec3) -> Vec3 {
        self.place + self.turn().rotate(place)
    }

    /// A place of the space, on the stand.
    pub fn inside(self, place: Vec3) -> Vec3 {
        self.turn().inverse().rotate(place - self.place)
    }

    /// Where one's eye is to see all of it; the yaw is that of the stand.
    pub fn eye(self) -> Vec3 {
        self.outside(vec3(0.0, EYE, VIEW_DISTANCE))
    }
}

/// A stand under construction.
pub(super) struct Build {
    pub(super) batch: Batch,
    pub(super) root: EntityId,
}

impl Build {
    /// Step, wall, number, title, caption.
    pub(super) fn new(number: usize, title: &str, caption: &str) -> Build {
        let mut batch = Batch::new();
        let stand = Stand::number(number);
        let root = Entity::new().name(format!("stand {number}")).at_vec(stand.place).turned(stand.turn());
        let root = root.add_to(&mut batch);
        let mut build = Build { batch, root };
        build.cuboid([4.4, 0.1, 2.0], [0.0, 0.05, 0.0], [0.5, 0.5, 0.51]);
        build.cuboid([4.4, 2.95, 0.1], [0.0, 1.475, -1.0], [0.62, 0.64, 0.66]);
        let heading =
            |text: &str, size: f32, bold: bool| Text { bold, align: Align::Left, ..writing(text, size) };
        let left = |x: f32, y: f32, text: Text| Entity::new().at(x, y, WALL).with(text);
        build.add(left(-2.08, 2.58, heading(&number.to_string(), 0.42, true)));
        let indent = if number < 10 { -1.72 } else { -1.4 };
        build.add(left(indent, 2.66, heading(title, 0.22, true)));
        let caption = Text { width: 2.0 - indent, anchor: Anchor::Top, ..heading(caption, 0.1, false) };
        build.add(left(indent, 2.53, caption));
        build
    }

    /// Adds something to the stand.
    pub(super) fn add(&mut self, entity: Entity) -> EntityId {
        entity.parent(self.root).add_to(&mut self.batch)
    }

    pub(super) fn cuboid(&mut self, size: [f32; 3], [x, y, z]: [f32; 3], color: [f32; 3]) -> EntityId {
        self.add(Entity::new().at(x, y, z).mesh(MeshSource::Cuboid(size)).material(matte(color)))
    }

    /// A bench from left to right.
    pub(super) fn bench(&mut self, (top, z): (f32, f32)) {
        self.cuboid([3.9, top - 0.1, 0.5], [0.0, 0.05 + top * 0.5, z], [0.62, 0.61, 0.6]);
    }

    /// A word on the front of a bench.
    pub(super) fn label(&mut self, (top, z): (f32, f32), x: f32, text: &str) {
        self.note([x, top - 0.08, z + 0.255], text);
    }

    /// A word anywhere.
    pub(super) fn note(&mut self, [x, y, z]: [f32; 3], text: &str) {
        self.add(Entity::new().at(x, y, z).with(writing(text, 0.075)));
    }

    pub(super) fn done(self) -> Result<(), Error> {
        self.batch.commit()
    }
}

/// Dark writing about its middle.
pub(super) fn writing(text: &str, size: f32) -> Text {
    Text { text: text.into(), size, color: INK, ..Text::default() }
}

/// Even places from left to right: of so many the place of one.
pub(super) fn across(index: usize, count: usize) -> f32 {
    let step = 3.8 / count as f32;
    -1.9 + step * (index as f32 + 0.5)
}

/// Lets something go on beside all else; if it cannot, that is in the log.
pub(super) fn live(what: &'static str, run: impl Future<Output = Result<(), Error>> + 'static) {
    drop(spawn_local(async move {
        if let Err(error) = run.await {
            error!("{what}: {error}");
        }
    }));
}
