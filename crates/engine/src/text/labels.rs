// SPDX-License-Identifier: AGPL-3.0-or-later
//! Writing in the scene: laid out, and drawn as one mesh with a rectangle for each glyph.
//!
//! A text whose face is a lump is laid out in that font as soon as it is there, and in the face that stands in until
//! then. A font that is let go stays until no text on show has a glyph of it.
//!
//! Short text is laid out at once, long text beside the frame; until it is done the text before stays. Text
//! that changes meanwhile waits for its turn, so that what changes before every picture is shown all the same.
//! At most [`LAID_OUT_MAX`] texts are laid out before one picture, the others wait for the next.

use super::{
    atlas::Atlas,
    material::{GLYPH, LabelMaterial, PEN},
    upload::Write,
};
use crate::drawn::Flat;
use bevy::{
    asset::RenderAssetUsages,
    light::NotShadowCaster,
    mesh::{Indices, PrimitiveTopology},
    prelude::*,
    render::{
        render_resource::{BufferInitDescriptor, BufferUsages},
        renderer::RenderDevice,
    },
    tasks::{AsyncComputeTaskPool, Task, block_on, poll_once},
};
use hearth_abi::{EntityId, LumpId, scene};
use hearth_glyph::{Font, FontId, Layout, LayoutOptions, layout};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Instant,
};

/// Text up to this many bytes is laid out at once.
const SHORT_BYTES: usize = 256;
/// Most texts that are laid out, or begun to be, before one picture.
const LAID_OUT_MAX: usize = 256;
/// Greatest colour.
const COLOR_MOST: f32 = 10_000.0;
/// Space between the text and the edge of its plate, in em.
const PLATE_MARGIN: [f32; 2] = [0.35, 0.2];
/// Stands for the plate instead of a glyph.
const PLATE: u32 = u32::MAX;

/// The entity of the scene that bears a text; `None` for the line that stands over the picture.
type Whose = Option<EntityId>;

struct Label {
    entity: Entity,
    text: Box<scene::Text>,
    laying_out: Option<Mutex<Task<Layout>>>,
    /// In which font that is.
    laying_in: Option<FontId>,
    /// What the mesh was made of.
    laid: Option<Layout>,
    /// In which font that is.
    laid_in: Option<FontId>,
    numbers: Vec<u32>,
    drawn: Option<Entity>,
    generation: u64,
}

/// All writing.
#[derive(Default)]
pub(crate) struct Labels {
    labels: BTreeMap<Whose, Label>,
    /// To be laid out, and since when.
    waiting: BTreeMap<Whose, Instant>,
    /// Being laid out beside the frame, and since when that waited.
    under_way: BTreeMap<Whose, Instant>,
    /// Laid out, and to be drawn.
    ready: BTreeSet<Whose>,
    /// The fonts that are there. As many as there are such assets.
    fonts: BTreeMap<LumpId, Font>,
    /// What the atlas knows of these, and of those before that are still on show.
    fonts_known: BTreeSet<FontId>,
}

impl Labels {
    /// An entity bears this text.
    pub(crate) fn show(&mut self, id: Whose, entity: Entity, text: Box<scene::Text>) {
        match self.labels.get_mut(&id) {
            Some(label) => {
                let is_same_layout = label.laid.is_some() && lays_out_alike(&label.text, &text);
                label.text = text;
                if is_same_layout && label.laying_out.is_none() && !self.waiting.contains_key(&id) {
                    self.ready.insert(id);
                    return;
                }
            }
            None => {
                let label = Label {
                    entity,
                    text,
                    laying_out: None,
                    laying_in: None,
                    laid: None,
                    laid_in: None,
                    numbers: Vec::new(),
                    drawn: None,
                    generation: 0,
                };
                self.labels.insert(id, label);
            }
        }
        self.waiting.entry(id).or_insert_with(Instant::now);
    }

    /// An entity bears none any more. What was drawn for it may be gone already.
    pub(crate) fn hide(&mut self, world: &mut World, id: Whose) {
        let Some(label) = self.labels.remove(&id) else { return };
        self.waiting.remove(&id);
        self.under_way.remove(&id);
        self.ready.remove(&id);
        if let Some(drawn) = label.drawn
            && let Ok(entity) = world.get_entity_mut(drawn)
        {
            entity.despawn();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Whether some text is not yet shown as it was at that time, or later.
    pub(crate) fn is_behind(&self, at: Instant) -> bool {
        !self.ready.is_empty()
            || self.waiting.values().chain(self.under_way.values()).any(|since| *since <= at)
    }

    /// Marks the numbers of the glyphs that are on show.
    pub(crate) fn mark_used(&self, used: &mut [bool]) {
        for number in self.labels.values().flat_map(|label| &label.numbers) {
            if let Some(used) = used.get_mut(*number as usize) {
                *used = true;
            }
        }
    }

    /// All is drawn again: it is lost with the graphics card, or glyphs that had no number may have one now.
    pub(crate) fn draw_again(&mut self) {
        self.ready.extend(self.labels.iter().filter(|(_, label)| label.laid.is_some()).map(|(id, _)| *id));
    }

    /// This lump is that font from now on, or none.
    pub(crate) fn font(&mut self, lump: LumpId, font: Option<Font>) {
        let before = self.fonts.get(&lump).map(Font::id);
        if before == font.as_ref().map(Font::id) {
            return;
        }
        match font {
            Some(font) => self.fonts.insert(lump, font),
            None => self.fonts.remove(&lump),
        };
        let face = scene::Face::Lump(lump);
        for (id, _) in self.labels.iter().filter(|(_, label)| label.text.face == face) {
            self.waiting.entry(*id).or_insert_with(Instant::now);
        }
    }

    /// Tells the atlas of fonts that are new.
    pub(crate) fn add_fonts(&mut self, atlas: &Atlas) {
        for font in self.fonts.values() {
            if self.fonts_known.insert(font.id()) {
                atlas.add_font(font);
            }
        }
    }

    /// Takes from the atlas the fonts that are gone, and that nothing is written in any more.
    pub(crate) fn remove_fonts(&mut self, atlas: &mut Atlas, writes: &mut Vec<Write>) {
        // Those that are there are all known.
        if self.fonts_known.len() == self.fonts.len() {
            return;
        }
        let current = self.fonts.values().map(Font::id);
        let written = self.labels.values().flat_map(|label| label.laid_in.into_iter().chain(label.laying_in));
        let needed: BTreeSet<FontId> = current.chain(written).collect();
        for gone in self.fonts_known.extract_if(.., |id| !needed.contains(id)) {
            atlas.remove_font(gone, writes);
        }
    }

    /// Lays out what waits.
    pub(crate) fn lay_out(&mut self) {
        let Labels { labels, waiting, under_way, ready, fonts, .. } = self;
        under_way.retain(|id, _| {
            let Some(label) = labels.get_mut(id) else { return false };
            let Some(task) = &mut label.laying_out else { return false };
            let task = task.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
            let Some(laid) = block_on(poll_once(task)) else { return true };
            label.laid = Some(laid);
            label.laid_in = label.laying_in.take();
            label.laying_out = None;
            ready.insert(*id);
            false
        });
        let begun: Vec<(Whose, Instant)> =
            waiting.extract_if(.., |id, _| !under_way.contains_key(id)).take(LAID_OUT_MAX).collect();
        for (id, since) in begun {
            let Some(label) = labels.get_mut(&id) else { continue };
            let font = match label.text.face {
                scene::Face::Lump(lump) => fonts.get(&lump),
                scene::Face::Sans | scene::Face::Mono => None,
            };
            if label.text.text.len() <= SHORT_BYTES {
                let options = LayoutOptions { font, ..LayoutOptions::from(&*label.text) };
                label.laid = Some(layout(&label.text.text, &options));
                label.laid_in = font.map(Font::id);
                ready.insert(id);
            } else {
                let (text, font) = (label.text.clone(), font.cloned());
                label.laying_in = font.as_ref().map(Font::id);
                let task = AsyncComputeTaskPool::get().spawn(async move {
                    layout(&text.text, &LayoutOptions { font: font.as_ref(), ..LayoutOptions::from(&*text) })
                });
                label.laying_out = Some(Mutex::new(task));
                under_way.insert(id, since);
            }
        }
    }

    /// Draws what was laid out.
    pub(crate) fn draw(&mut self, world: &mut World, atlas: &mut Atlas) {
        let generation = atlas.generation;
        let outdated = |label: &Label| label.drawn.is_some() && label.generation != generation;
        self.ready.extend(self.labels.iter().filter(|(_, label)| outdated(label)).map(|(id, _)| *id));
        for id in std::mem::take(&mut self.ready) {
            let Some(label) = self.labels.get_mut(&id) else { continue };
            let Some(laid) = &label.laid else { continue };
            label.numbers = laid.glyphs.iter().map(|placed| atlas.number(&placed.key)).collect();
            label.generation = generation;
            let has_plate = label.text.background[3] > 0.0;
            let mesh = mesh(laid, &label.numbers, has_plate);
            let (Some(mesh), true) = (mesh, world.get_entity(label.entity).is_ok()) else {
                if let Some(drawn) = label.drawn.take()
                    && let Ok(entity) = world.get_entity_mut(drawn)
                {
                    entity.despawn();
                }
                continue;
            };
            let mesh = world.resource_mut::<Assets<Mesh>>().add(mesh);
            let color = |[r, g, b, a]: [f32; 4]| {
                [
                    r.clamp(0.0, COLOR_MOST),
                    g.clamp(0.0, COLOR_MOST),
                    b.clamp(0.0, COLOR_MOST),
                    a.clamp(0.0, 1.0),
                ]
            };
            let colors = [color(label.text.color), color(label.text.background)];
            let colors = world.resource::<RenderDevice>().create_buffer_with_data(&BufferInitDescriptor {
                label: Some("colours of writing"),
                contents: bytemuck::cast_slice(&colors),
                usage: BufferUsages::UNIFORM,
            });
            let material = LabelMaterial::new(atlas.shared(), vec![colors], false).over(id.is_none());
            let material = world.resource_mut::<Assets<LabelMaterial>>().add(material);
            let (bounds, [x, y]) = (laid.bounds, if has_plate { PLATE_MARGIN } else { [0.0; 2] });
            let flat = Flat {
                min: Vec2::new(bounds.left - x, bounds.bottom - y),
                max: Vec2::new(bounds.right + x, bounds.top + y),
            };
            let look = (
                flat,
                Mesh3d(mesh),
                MeshMaterial3d(material),
                Transform::from_scale(Vec3::splat(label.text.size.clamp(1e-5, 1e4))),
            );
            match label.drawn.and_then(|drawn| world.get_entity_mut(drawn).ok()) {
                Some(mut entity) => {
                    entity.insert(look);
                }
                None => {
                    label.drawn = Some(world.spawn((look, NotShadowCaster, ChildOf(label.entity))).id());
                }
            }
        }
    }
}

/// Whether two texts differ in nothing that moves a glyph. Lengths are in em, but wrapping is not.
fn lays_out_alike(a: &scene::Text, b: &scene::Text) -> bool {
    let size = |text: &scene::Text| if text.width > 0.0 { text.size } else { 0.0 };
    a.text == b.text
        && (a.face, a.align, a.anchor, a.bold, a.italic) == (b.face, b.align, b.anchor, b.bold, b.italic)
        && (a.width, a.line_spacing, size(a)) == (b.width, b.line_spacing, size(b))
}

/// The plate, and a rectangle for each glyph; `None` if there is nothing to see. Lengths are em.
fn mesh(laid: &Layout, numbers: &[u32], has_plate: bool) -> Option<Mesh> {
    let mut positions: Vec<[f32; 3]> = Vec::new();
    let mut pens: Vec<[f32; 4]> = Vec::new();
    let mut glyphs: Vec<u32> = Vec::new();
    let mut rectangle = |[left, bottom, right, top]: [f32; 4], pen: [f32; 2], glyph: u32| {
        for [x, y] in [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]] {
            positions.push([left + (right - left) * x, top + (bottom - top) * y, 0.0]);
            pens.push([pen[0], pen[1], x, y]);
            glyphs.push(glyph);
        }
    };
    if has_plate {
        let (plate, [x, y]) = (laid.bounds, PLATE_MARGIN);
        rectangle([plate.left - x, plate.bottom - y, plate.right + x, plate.top + y], [0.0; 2], PLATE);
    }
    for (placed, number) in laid.glyphs.iter().zip(numbers).filter(|(_, number)| **number != 0) {
        let (x, y) = (placed.x, placed.y);
        // Where it may be at most, for what is in view; the shader knows better.
        rectangle([x - 0.5, y - 0.75, x + 2.0, y + 1.5], [x, y], *number);
    }
    let count = glyphs.len() as u32 / 4;
    if count == 0 {
        return None;
    }
    let corners = (0..count).flat_map(|i| [0, 2, 1, 0, 3, 2].map(|corner| i * 4 + corner)).collect();
    Some(
        Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::default())
            .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, positions)
            .with_inserted_attribute(PEN, pens)
            .with_inserted_attribute(GLYPH, glyphs)
            .with_inserted_indices(Indices::U32(corners)),
    )
}
