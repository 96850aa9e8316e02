// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is in the scene of an interface, and the difference to what should be there.

use crate::{
    layout::{Key, Rect},
    paint::{Item, LEVEL, What},
    theme::Color,
};
use hearth_sdk::{
    Errno, Error, Lump,
    abi::{
        EntityId,
        mesh::Mesh,
        scene::{
            Align, Anchor, Component, ComponentKind, Face, Material, MeshSource, TEXT_LEN_MAX, Text,
            Transform,
        },
    },
    scene::{Batch, Entity},
};
use std::{
    collections::BTreeMap,
    f32::consts::{FRAC_PI_2, TAU},
};

/// Most bytes of one batch, about: half of what the scene takes.
const BATCH_BYTES: usize = 512 << 10;
/// What a change takes in a batch, about, without its text.
const CHANGE_BYTES: usize = 256;
/// Most shapes that are remembered. They are made again when they are needed again.
const SHAPES_MAX: usize = 512;
/// Metres up or down from which on something jumps instead of gliding.
const JUMP: f32 = 0.008;
/// How thick what is flat is. What stands in for a shape that is still on its way is as thick: it is hardly seen.
const THIN: f32 = 0.0002;
/// Parts of a quarter of a round corner.
const CORNER: usize = 6;

/// A shape, by what makes it differ from others; lengths in tenths of a millimetre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    /// A rectangle, which every peer has.
    Unit,
    /// A disc of 1 m.
    Disc,
    Plate([u32; 4]),
    Hues,
    White,
    Black,
}

/// Which painted thing of which widget.
type Slot = (Key, usize);

/// The entities of an interface, below its root.
#[derive(Debug)]
pub(crate) struct Shown {
    root: EntityId,
    is_local: bool,
    items: BTreeMap<Slot, Part>,
    shapes: BTreeMap<Shape, MeshSource>,
}

impl Shown {
    /// Of a root that has nothing below it yet.
    pub(crate) fn new(root: EntityId, is_local: bool) -> Shown {
        Shown { root, is_local, items: BTreeMap::new(), shapes: BTreeMap::new() }
    }

    /// Shows this instead of what was shown: what has not changed is not sent. As long as it is small, which all but
    /// the first showing of a large interface is, all is one batch.
    ///
    /// # Errors
    /// The scene does not take it; what is remembered is what it has taken.
    pub(crate) fn show(&mut self, size: [f32; 2], wanted: Vec<(Slot, Item)>) -> Result<(), Error> {
        self.show_part(size, wanted, |_key| true)
    }

    /// The same of some widgets alone; the others stay as they are.
    pub(crate) fn show_part(
        &mut self,
        size: [f32; 2],
        wanted: Vec<(Slot, Item)>,
        is_part: impl Fn(Key) -> bool,
    ) -> Result<(), Error> {
        let half = size.map(|side| side * 0.5);
        let wanted: BTreeMap<Slot, Item> = wanted.into_iter().collect();
        let mut step = Step::default();
        for (slot, part) in
            self.items.iter().filter(|(slot, _)| is_part(slot.0) && !wanted.contains_key(slot))
        {
            step.batch.remove(part.entity);
            step.done.push((*slot, None));
            step.bytes += CHANGE_BYTES;
        }
        for (slot, item) in wanted {
            let place = transform(&item, half);
            let entity = match self.items.get(&slot).cloned() {
                Some(old) if old.item == item && old.place == place => continue,
                Some(old) if jumps(&old, &item, &place) => {
                    step.batch.remove(old.entity);
                    self.make(&item, place, &mut step)?
                }
                Some(old) => {
                    if old.place != place {
                        step.batch.set(old.entity, place);
                    }
                    self.look(old.entity, Some(&old.item), &item, &mut step)?;
                    old.entity
                }
                None => self.make(&item, place, &mut step)?,
            };
            step.done.push((slot, Some(Part { entity, item, place })));
            step.bytes += CHANGE_BYTES;
            if step.bytes > BATCH_BYTES {
                self.commit(std::mem::take(&mut step))?;
            }
        }
        self.commit(step)
    }

    fn make(&mut self, item: &Item, place: Transform, step: &mut Step) -> Result<EntityId, Error> {
        let mut part = Entity::new().parent(self.root);
        if self.is_local {
            part = part.local();
        }
        let entity = part.with(place).add_to(&mut step.batch);
        self.look(entity, None, item, step)?;
        Ok(entity)
    }

    fn commit(&mut self, step: Step) -> Result<(), Error> {
        step.batch.commit()?;
        for (slot, part) in step.done {
            match part {
                Some(part) => drop(self.items.insert(slot, part)),
                None => drop(self.items.remove(&slot)),
            }
        }
        Ok(())
    }

    /// Sets what the item has beside its place, as far as it differs.
    fn look(
        &mut self,
        entity: EntityId,
        old: Option<&Item>,
        new: &Item,
        step: &mut Step,
    ) -> Result<(), Error> {
        if old.is_some_and(|old| old.takes_keys) != new.takes_keys {
            match new.takes_keys {
                true => step.batch.set(entity, Component::Keyboard(true)),
                false => step.batch.unset(entity, ComponentKind::Keyboard),
            };
        }
        if let What::Text(text, letters) = &new.what {
            if old.is_some_and(|old| old.what == new.what) {
                return Ok(());
            }
            if old.is_some_and(|old| shape(old).is_some()) {
                step.batch.unset(entity, ComponentKind::Mesh).unset(entity, ComponentKind::Material);
            }
            let [r, g, b] = letters.color;
            let text = Text {
                text: text[..text.floor_char_boundary(TEXT_LEN_MAX)].to_owned(),
                face: letters.face.unwrap_or(Face::Sans),
                align: letters.align,
                anchor: Anchor::Middle,
                bold: letters.bold,
                size: letters.size,
                color: [r, g, b, 1.0],
                ..Text::default()
            };
            step.bytes += text.text.len();
            step.batch.set(entity, text);
            return Ok(());
        }
        if matches!(old, Some(Item { what: What::Text(..), .. })) {
            step.batch.unset(entity, ComponentKind::Text);
        }
        let kind = shape(new);
        if let Some(kind) = kind.filter(|_| old.and_then(shape) != kind) {
            let source = self.source(kind)?;
            step.batch.set(entity, source);
        }
        let is_alike = old.is_some_and(|old| material(&old.what) == material(&new.what));
        if let Some(material) = material(&new.what).filter(|_| !is_alike) {
            step.batch.set(entity, material);
        }
        Ok(())
    }

    fn source(&mut self, shape: Shape) -> Result<MeshSource, Errno> {
        if let Some(known) = self.shapes.get(&shape) {
            return Ok(*known);
        }
        if self.shapes.len() >= SHAPES_MAX {
            self.shapes.clear();
        }
        if shape == Shape::Unit {
            return Ok(MeshSource::Cuboid([1.0; 3]));
        }
        let source = MeshSource::Lump(Lump::put(&mesh(shape).encode())?.0);
        self.shapes.insert(shape, source);
        Ok(source)
    }
}

/// Whether something is better made anew than moved: peers draw the way between, and a row that is scrolled would be seen
/// to cross others. What is dragged (knobs, thumbs) glides.
fn jumps(old: &Part, new: &Item, place: &Transform) -> bool {
    let can = |what: &What| matches!(what, What::Text(..) | What::Plate { .. });
    let up = (place.translation[1] - old.place.translation[1]).abs();
    can(&old.item.what) && can(&new.what) && up > JUMP
}

/// Where an item stands, from the middle of the whole.
fn transform(item: &Item, half: [f32; 2]) -> Transform {
    let Rect { x, y, w, h } = item.rect;
    let [mut middle, up] = [x + w * 0.5 - half[0], half[1] - y - h * 0.5];
    // Every shape is 1 m large, and so is what stands in for it on a peer that does not have it yet.
    let mut scale = [w, h, THIN];
    match &item.what {
        What::Text(_, letters) => {
            scale = [1.0; 3];
            match letters.align {
                Align::Left => middle -= w * 0.5,
                Align::Center => {}
                Align::Right => middle += w * 0.5,
            }
        }
        What::Plate { depth, .. } => scale[2] = depth.max(THIN),
        _ => {}
    }
    Transform { translation: [middle, up, item.level * LEVEL], scale, ..Transform::default() }
}

/// Something that is there.
#[derive(Clone, Debug)]
struct Part {
    entity: EntityId,
    item: Item,
    place: Transform,
}

/// Changes that are made as one, and what is there once they are made.
#[derive(Default)]
struct Step {
    batch: Batch,
    done: Vec<(Slot, Option<Part>)>,
    bytes: usize,
}

/// The shape of an item; `None` for writing.
fn shape(item: &Item) -> Option<Shape> {
    let tenths = |length: f32| (length.clamp(0.0, 100.0) * 10_000.0).round() as u32;
    match &item.what {
        What::Text(..) => None,
        What::Plate { radius, depth, .. } => {
            let Rect { w, h, .. } = item.rect;
            let radius = radius.min(w * 0.5).min(h * 0.5);
            let lengths = [w, h, radius, *depth].map(tenths);
            Some(if lengths[2] == 0 && lengths[3] == 0 { Shape::Unit } else { Shape::Plate(lengths) })
        }
        What::Bar(_) => Some(Shape::Unit),
        What::Disc(_) => Some(Shape::Disc),
        What::Hues => Some(Shape::Hues),
        What::White => Some(Shape::White),
        What::Black => Some(Shape::Black),
    }
}

fn material(what: &What) -> Option<Material> {
    let plain =
        |[r, g, b]: Color| Material { base_color: [r, g, b, 1.0], unlit: true, ..Material::default() };
    match what {
        What::Text(..) => None,
        What::Plate { color, .. } | What::Bar(color) | What::Disc(color) => Some(plain(*color)),
        What::Hues => Some(plain([1.0; 3])),
        What::White => Some(Material { blend: true, ..plain([1.0; 3]) }),
        What::Black => Some(Material { blend: true, ..plain([0.0; 3]) }),
    }
}

fn mesh(shape: Shape) -> Mesh {
    match shape {
        Shape::Unit => plate(1.0, 1.0, 0.0, 0.0),
        Shape::Disc => plate(1.0, 1.0, 0.5, 0.0),
        Shape::Plate(lengths) => {
            let [w, h, radius, depth] = lengths.map(|length| length as f32 / 10_000.0);
            let mut plate = plate(w, h, radius, depth);
            for [x, y, z] in &mut plate.positions {
                (*x, *y) = (*x / w, *y / h);
                *z = if *z < 0.0 { -1.0 } else { 0.0 };
            }
            plate
        }
        // Six parts would do if colours were mixed as numbers of sRGB are; they are mixed as light is.
        Shape::Hues => strip(48, false, |part| {
            let [r, g, b] = crate::color::hue(part);
            [r, g, b, 1.0]
        }),
        Shape::White => strip(16, true, |part| [1.0, 1.0, 1.0, (1.0 - part).powf(2.2)]),
        Shape::Black => strip(16, false, |part| [1.0, 1.0, 1.0, 1.0 - (1.0 - part).powf(2.2)]),
    }
}

/// A plate in the xy plane about the origin that faces +Z, and reaches back if it is thick.
fn plate(w: f32, h: f32, radius: f32, depth: f32) -> Mesh {
    let steps =
        if radius > 0.0 { (CORNER as f32 * (radius / 0.01).sqrt()).clamp(4.0, 12.0) as usize } else { 0 };
    let mut outline: Vec<([f32; 2], [f32; 2])> = Vec::new();
    for (quarter, [sx, sy]) in [[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]].into_iter().enumerate() {
        let centre = [sx * (w * 0.5 - radius), sy * (h * 0.5 - radius)];
        for step in 0..=steps {
            let part = if steps == 0 { 0.5 } else { step as f32 / steps as f32 };
            let (sin, cos) = ((quarter as f32 + part) * FRAC_PI_2).rem_euclid(TAU).sin_cos();
            outline.push(([centre[0] + radius * cos, centre[1] + radius * sin], [cos, sin]));
        }
    }
    let mut mesh = Mesh::default();
    let count = outline.len() as u32;
    let mut face = |z: f32, facing: f32| {
        let first = mesh.positions.len() as u32;
        for ([x, y], _) in &outline {
            mesh.positions.push([*x, *y, z]);
            mesh.normals.push([0.0, 0.0, facing]);
        }
        for corner in 2..count {
            let turn = if facing > 0.0 { [0, corner - 1, corner] } else { [0, corner, corner - 1] };
            mesh.indices.extend(turn.map(|index| first + index));
        }
    };
    face(0.0, 1.0);
    if depth > 0.0 {
        face(-depth, -1.0);
        let first = mesh.positions.len() as u32;
        for ([x, y], [cos, sin]) in &outline {
            for z in [0.0, -depth] {
                mesh.positions.push([*x, *y, z]);
                mesh.normals.push([*cos, *sin, 0.0]);
            }
        }
        for at in 0..count {
            let [a, b] = [at, (at + 1) % count].map(|index| first + 2 * index);
            mesh.indices.extend([a, a + 1, b + 1, a, b + 1, b]);
        }
    }
    mesh
}

/// A square of 1 m whose colour changes along one axis, from the left or from the top.
fn strip(parts: u32, is_across: bool, color: impl Fn(f32) -> [f32; 4]) -> Mesh {
    let mut mesh = Mesh::default();
    for step in 0..=parts {
        let part = step as f32 / parts as f32;
        let bytes = color(part).map(|value| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
        let along = part - 0.5;
        let pair = if is_across { [[along, -0.5], [along, 0.5]] } else { [[-0.5, -along], [0.5, -along]] };
        for [x, y] in pair {
            mesh.positions.push([x, y, 0.0]);
            mesh.normals.push([0.0, 0.0, 1.0]);
            mesh.colors.push(bytes);
        }
    }
    for step in 0..parts {
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| step * 2 + index);
        // Left to right the pairs go upward, top to bottom they go rightward.
        let turn = if is_across { [a, c, d, a, d, b] } else { [c, d, b, c, b, a] };
        mesh.indices.extend(turn);
    }
    mesh
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::paint::Letters;
    use hearth_sdk::{
        abi::scene::{Component, Op},
        scene, testing,
    };

    fn area(mesh: &Mesh) -> [f32; 2] {
        let mut sums = [0.0; 2];
        for corners in mesh.indices.chunks_exact(3) {
            let [a, b, c] = [0, 1, 2].map(|i| mesh.positions[corners[i] as usize]);
            let area = ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])) * 0.5;
            let facing = mesh.normals[corners[0] as usize][2];
            assert!(area * facing >= -1e-9, "it faces where it says");
            sums[usize::from(facing < 0.0)] += area;
        }
        sums
    }

    #[test]
    fn shapes_face_the_viewer_and_are_as_large_as_they_say() {
        for (shape, size) in [
            (Shape::Unit, 1.0),
            (Shape::Disc, std::f32::consts::PI / 4.0),
            (Shape::Plate([2000, 1000, 0, 10]), 1.0),
            (Shape::Hues, 1.0),
            (Shape::White, 1.0),
            (Shape::Black, 1.0),
        ] {
            let mesh = mesh(shape);
            assert!((area(&mesh)[0] / size - 1.0).abs() < 0.03, "{shape:?}: {:?}", area(&mesh));
            assert_eq!(Mesh::decode(&mesh.encode()), Ok(mesh));
        }
        let thick = mesh(Shape::Plate([2000, 1000, 200, 100]));
        let [front, back] = area(&thick);
        assert!((front + back).abs() < 1e-4 && front < 0.99 && front > 0.97, "{front} {back}");
        // Its volume: the sides face outside.
        let volume: f32 = thick
            .indices
            .chunks_exact(3)
            .map(|t| {
                let [a, b, c] =
                    [0, 1, 2].map(|i| hearth_sdk::math::Vec3::from(thick.positions[t[i] as usize]));
                a.dot(b.cross(c)) / 6.0
            })
            .sum();
        assert!((volume - front).abs() < 1e-4, "{volume}");
    }

    fn item(x: f32, what: What) -> Item {
        Item { rect: Rect::new(x, 0.0, 0.2, 0.1), level: 1.0, what, takes_keys: false }
    }

    #[test]
    fn only_what_has_changed_is_sent() {
        let root = scene::new_id().unwrap();
        let mut shown = Shown::new(root, false);
        let text = |text: &str| What::Text(text.into(), Letters::new(0.03, [1.0; 3]));
        let plate = |color| What::Plate { radius: 0.01, depth: 0.0, color };
        let mut show = |items: [Item; 2]| {
            let items = items.into_iter().enumerate().map(|(at, item)| ((7, at), item)).collect();
            shown.show([1.0, 1.0], items).unwrap();
            testing::batches()
        };
        assert_eq!(show([item(0.0, plate([0.5; 3])), item(0.0, text("a"))]).len(), 1);
        assert!(show([item(0.0, plate([0.5; 3])), item(0.0, text("a"))]).is_empty());
        let batches = show([item(0.0, plate([0.7; 3])), item(0.0, text("a"))]);
        assert!(matches!(batches[0][..], [Op::Set(_, Component::Material(_))]), "{batches:?}");
        let batches = show([item(0.1, plate([0.7; 3])), item(0.0, text("b"))]);
        let [Op::Set(_, Component::Transform(_)), Op::Set(_, Component::Text(_))] = batches[0][..] else {
            panic!("{batches:?}")
        };
        // A plate in the place of writing, and the other way round.
        let batches = show([item(0.1, text("b")), item(0.0, plate([0.7; 3]))]);
        let unset = batches[0].iter().filter(|op| matches!(op, Op::Unset(..))).count();
        assert_eq!(unset, 3, "{batches:?}");
        shown.show([1.0, 1.0], Vec::new()).unwrap();
        assert!(testing::batches()[0].iter().all(|op| matches!(op, Op::Remove(_))));
    }

    #[test]
    fn much_is_sent_in_several_batches() {
        let mut shown = Shown::new(scene::new_id().unwrap(), true);
        let text = What::Text("x".repeat(3000), Letters::new(0.03, [1.0; 3]));
        let items = (0..1000).map(|at| ((1, at), item(0.0, text.clone()))).collect();
        shown.show([1.0, 1.0], items).unwrap();
        let batches = testing::batches();
        assert!(batches.len() > 4, "{}", batches.len());
        assert_eq!(batches.iter().flatten().filter(|op| matches!(op, Op::Create(..))).count(), 1000);
    }
}
