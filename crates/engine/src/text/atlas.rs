// SPDX-License-Identifier: AGPL-3.0-or-later
//! The glyphs that the graphics card has: an atlas of tiles, and a table that says where each glyph
//! is. A glyph has its number from the moment it is first needed; until it is made, the table says
//! that there is nothing, so whoever refers to it needs no change when it comes.
//!
//! Bounds: [`GLYPHS_MAX`] glyphs, [`LAYERS_MAX`] layers of tiles. When there is no more room, the glyphs that
//! nothing on show refers to go, those first that were needed longest ago; needed again, they are made
//! again. If all of them are on show, what is new stays blank until there is room, which is looked for every
//! [`FULL_PAUSE`] pictures.

use super::{material::Shared, upload::Write};
use bevy::render::{
    render_resource::{
        Buffer, BufferDescriptor, BufferUsages, Extent3d, Texture, TextureDescriptor, TextureDimension,
        TextureFormat, TextureUsages, TextureView, TextureViewDescriptor, TextureViewDimension,
    },
    renderer::RenderDevice,
};
use etagere::{AllocId, AtlasAllocator, size2};
use hearth_glyph::{
    Bounds, Font, FontId, Foundry, FoundryOptions, Glyph, Key, Kind, Metrics, Place, RANGE_TEXELS, Style,
    TEXELS_PER_EM, TextFace,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// Most glyphs in the table; number 0 is the blank.
pub(crate) const GLYPHS_MAX: u32 = 1 << 15;
/// Most layers of the atlas.
const LAYERS_MAX: u32 = 16;
/// Edge of a layer in texels.
const LAYER_SIZE: u32 = 1024;
/// Most glyphs that are put in place before one picture; the others wait.
const PLACED_MAX: usize = 256;
/// Pictures after which what does not come is asked for again: a request may have found no room.
const ASK_AGAIN: u64 = 20;
/// Pictures after which room is looked for again when everything was in use.
const FULL_PAUSE: u64 = 120;

/// Bytes of the table before its first glyph: sizes, and the 256 values of sRGB.
const TABLE_HEAD: u64 = 48 + 256 * 4;
const GLYPH_LEN: u64 = 64;

const FIELD: u32 = 1;
const COLOR: u32 = 2;
const CUT: u32 = 3;

/// Space around the grid of a terminal, in em.
pub(crate) const MARGIN: f32 = 0.35;

enum State {
    /// It is not yet asked for.
    Wanted,
    Asked,
    /// With its tile, if it has one.
    Ready(Option<(usize, AllocId)>),
    NoRoom,
}

struct Entry {
    key: Key,
    state: State,
    needed_at: u64,
}

/// All glyphs.
pub(crate) struct Atlas {
    device: RenderDevice,
    /// Who makes glyphs; without, there are none.
    foundry: Option<Foundry>,
    pub(crate) metrics: Metrics,
    table: Buffer,
    texture: Texture,
    view: TextureView,
    /// One for each layer in use.
    layers: Vec<AtlasAllocator>,
    /// Layers of the texture.
    layers_made: u32,
    /// By number.
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    numbers: HashMap<Key, u32>,
    /// Numbers of single characters of terminals: by the character's upper bits, then its lower 8 and
    /// the style.
    pages: Vec<Option<Box<[u32; 2048]>>>,
    wanted: VecDeque<u32>,
    asked: usize,
    /// What was made and is not put in place. Bounded by what was asked for.
    made: VecDeque<(Key, Arc<Glyph>)>,
    full_until: u64,
    /// Whether some glyph is blank for want of room in a layer.
    has_no_room: bool,
    /// Whether some glyph has no number for want of room in the table.
    has_refused: bool,
    /// Whether there is room again for what was refused.
    readmits: bool,
    picture: u64,
    /// Grows when what materials bind is another.
    pub(crate) generation: u64,
}

impl Atlas {
    pub(crate) fn new(device: RenderDevice, options: FoundryOptions, writes: &mut Vec<Write>) -> Atlas {
        let foundry = Foundry::new(options)
            .inspect_err(|error| tracing::error!(%error, "no glyphs are made: nothing can be read"));
        Atlas::with(device, foundry.ok(), writes)
    }

    fn with(device: RenderDevice, foundry: Option<Foundry>, writes: &mut Vec<Write>) -> Atlas {
        let metrics = Metrics::mono();
        let buffer = |label, size| {
            device.create_buffer(&BufferDescriptor {
                label: Some(label),
                size,
                usage: BufferUsages::STORAGE | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let table = buffer("glyphs", TABLE_HEAD + GLYPH_LEN * u64::from(GLYPHS_MAX));
        let (texture, view) = texture(&device, 1);
        writes.push(Write::Bytes { to: table.clone(), offset: 0, bytes: head(&metrics) });
        Atlas {
            device,
            foundry,
            metrics,
            table,
            texture,
            view,
            layers: Vec::new(),
            layers_made: 1,
            entries: vec![None],
            free: Vec::new(),
            numbers: HashMap::new(),
            pages: Vec::new(),
            wanted: VecDeque::new(),
            asked: 0,
            made: VecDeque::new(),
            full_until: 0,
            has_no_room: false,
            has_refused: false,
            readmits: false,
            picture: 0,
            generation: 0,
        }
    }

    /// All of it on another device: what was made is asked for again. Numbers stay.
    pub(crate) fn renew(&mut self, device: RenderDevice, writes: &mut Vec<Write>) {
        let foundry = self.foundry.take();
        let fresh = Atlas::with(device, foundry, writes);
        let before = std::mem::replace(self, fresh);
        self.entries = before.entries;
        self.free = before.free;
        self.numbers = before.numbers;
        self.pages = before.pages;
        self.wanted = before.wanted;
        self.asked = before.asked;
        self.made = before.made;
        self.has_refused = before.has_refused;
        self.readmits = before.readmits;
        self.picture = before.picture;
        self.generation = before.generation + 1;
        for (number, entry) in self.entries.iter_mut().enumerate() {
            if let Some(entry) = entry
                && matches!(entry.state, State::Ready(_) | State::NoRoom)
            {
                entry.state = State::Wanted;
                self.wanted.push_back(number as u32);
            }
        }
    }

    /// What materials bind.
    pub(crate) fn shared(&self) -> Shared {
        Shared { table: self.table.clone(), atlas: self.view.clone() }
    }

    /// Glyphs that are needed and not there.
    pub(crate) fn missing(&self) -> usize {
        self.wanted.len() + self.asked
    }

    /// Whether what was given the number 0 may ask for its numbers again.
    pub(crate) const fn readmits(&mut self) -> bool {
        std::mem::replace(&mut self.readmits, false)
    }

    /// Glyphs of this font may be asked for until it is removed.
    pub(crate) fn add_font(&self, font: &Font) {
        if let Some(foundry) = &self.foundry {
            foundry.add_font(font);
        }
    }

    /// Lets go of a font and of all its glyphs, to which nothing may refer any more.
    pub(crate) fn remove_font(&mut self, id: FontId, writes: &mut Vec<Write>) {
        if let Some(foundry) = &self.foundry {
            foundry.remove_font(id);
        }
        let place = Place::Text(TextFace::Given(id));
        for number in 0..self.entries.len() {
            let Some(entry) = self.entries[number].as_ref().filter(|entry| entry.key.place == place) else {
                continue;
            };
            if matches!(entry.state, State::Asked) {
                self.asked -= 1;
            }
            self.forget(number as u32, writes);
        }
        self.made.retain(|(key, _)| key.place != place);
        self.readmits |= std::mem::replace(&mut self.has_refused, false);
    }

    /// The number of a terminal's character; bit 0 of the style is bold, bit 1 italic, bit 2 wide.
    pub(crate) fn character(&mut self, character: char, style: u32) -> u32 {
        let (page, place) = page_and_place(character, style);
        if let Some(Some(page)) = self.pages.get(page)
            && page[place] != 0
        {
            return page[place];
        }
        if character == ' ' {
            return 0;
        }
        let look = Style { bold: style & 1 != 0, italic: style & 2 != 0 };
        let key = Key::cell(character, "", look, style & 4 != 0);
        let number = self.number(&key);
        if key.cluster.base() != character {
            // It is drawn as another character, by which alone `forget` would look for it.
            return number;
        }
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        self.pages[page].get_or_insert_with(|| Box::new([0; 2048]))[place] = number;
        number
    }

    /// The number of a glyph; 0 if there is no room for more.
    pub(crate) fn number(&mut self, key: &Key) -> u32 {
        if key.is_blank() {
            return 0;
        }
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.entries.len() < GLYPHS_MAX as usize => {
                self.entries.push(None);
                self.entries.len() as u32 - 1
            }
            None => {
                self.has_refused = true;
                return 0;
            }
        };
        self.entries[number as usize] =
            Some(Entry { key: *key, state: State::Wanted, needed_at: self.picture });
        self.numbers.insert(*key, number);
        self.wanted.push_back(number);
        number
    }

    /// Asks for what is wanted and puts in place what was made. `in_use` marks the numbers that are on
    /// show; it is asked only when room is needed.
    pub(crate) fn advance(&mut self, writes: &mut Vec<Write>, in_use: &dyn Fn(&mut [bool])) {
        self.picture += 1;
        let Some(foundry) = &self.foundry else {
            self.wanted.clear();
            return;
        };
        while let Some(number) = self.wanted.pop_front() {
            if let Some(Some(entry)) = self.entries.get_mut(number as usize)
                && matches!(entry.state, State::Wanted)
            {
                entry.state = State::Asked;
                self.asked += 1;
                self.made.extend(foundry.request(entry.key).map(|glyph| (entry.key, glyph)));
            }
        }
        // What comes that was not asked for is part of a first set, and there when it is.
        self.made.extend(foundry.take_made().into_iter().filter(|(key, _)| self.numbers.contains_key(key)));
        if self.asked > 0 && self.picture.is_multiple_of(ASK_AGAIN) {
            let asked = self.entries.iter().flatten().filter(|entry| matches!(entry.state, State::Asked));
            self.made.extend(asked.filter_map(|entry| Some((entry.key, foundry.request(entry.key)?))));
        }
        for _ in 0..PLACED_MAX {
            let Some((key, glyph)) = self.made.pop_front() else { break };
            let Some(number) = self.numbers.get(&key).copied() else { continue };
            let Some(Some(entry)) = self.entries.get(number as usize) else { continue };
            if !matches!(entry.state, State::Asked) {
                continue;
            }
            self.asked -= 1;
            let state = self.place(number, &glyph, writes, in_use);
            self.has_no_room |= matches!(state, State::NoRoom);
            if let Some(Some(entry)) = self.entries.get_mut(number as usize) {
                entry.state = state;
            }
        }
        let is_full = self.entries.len() == GLYPHS_MAX as usize && self.free.is_empty();
        if (is_full || self.has_no_room) && self.picture >= self.full_until {
            self.evict(writes, in_use);
        }
    }

    fn place(
        &mut self,
        number: u32,
        glyph: &Glyph,
        writes: &mut Vec<Write>,
        in_use: &dyn Fn(&mut [bool]),
    ) -> State {
        let mut record = Record::default();
        let mut tile = None;
        let size = [glyph.width, glyph.height];
        let is_whole = glyph.texels.len() == usize::from(size[0]) * usize::from(size[1]) * 4;
        match glyph.kind {
            Kind::Distance if is_whole => {
                let Some(place) = self.allocate(size, writes, in_use) else { return State::NoRoom };
                let kind = if glyph.clipped { CUT } else { FIELD };
                record.layer_and_kind = kind << 16 | place.0 as u32;
                record.plane = down(glyph.bounds);
                if glyph.clipped {
                    // It goes on in the cells around, where they draw it.
                    let Metrics { cell_width, ascent, descent, .. } = self.metrics;
                    let cells = if record.plane[2] > cell_width * 1.5 { 2.0 } else { 1.0 };
                    record.ink = [0.0, -ascent, cells * cell_width, -descent];
                } else {
                    let padding = RANGE_TEXELS / 2.0 / TEXELS_PER_EM as f32;
                    record.ink = [
                        record.plane[0] + padding,
                        record.plane[1] + padding,
                        record.plane[2] - padding,
                        record.plane[3] - padding,
                    ];
                }
                record.mean = self.mean_of_field(glyph, record.ink);
                self.write_tile(&mut record, &place, size, glyph.texels.clone(), writes);
                tile = Some((place.0, place.1));
            }
            Kind::Color if is_whole => {
                let (packed, packed_size, levels, mean) = levels(size, &glyph.texels);
                let Some(place) = self.allocate(packed_size, writes, in_use) else { return State::NoRoom };
                record.layer_and_kind = COLOR << 16 | place.0 as u32;
                record.plane = down(glyph.bounds);
                record.ink = record.plane;
                record.levels = levels;
                record.mean = mean;
                self.write_tile(&mut record, &place, packed_size, packed, writes);
                record.tile[1] = u32::from(size[0]) | u32::from(size[1]) << 16;
                tile = Some((place.0, place.1));
            }
            _ => {}
        }
        writes.push(Write::Bytes { to: self.table.clone(), offset: offset(number), bytes: record.bytes() });
        State::Ready(tile)
    }

    fn write_tile(
        &self,
        record: &mut Record,
        place: &(usize, AllocId, [u32; 2]),
        size: [u16; 2],
        texels: Vec<u8>,
        writes: &mut Vec<Write>,
    ) {
        let [x, y] = place.2;
        record.tile = [x | y << 16, u32::from(size[0]) | u32::from(size[1]) << 16];
        writes.push(Write::Tile {
            to: self.texture.clone(),
            layer: place.0 as u32,
            at: [x, y],
            size: size.map(u32::from),
            texels,
        });
    }

    /// Shares of a terminal's cell and of the ink's rectangle that are covered, and the opacity.
    fn mean_of_field(&self, glyph: &Glyph, ink: [f32; 4]) -> [f32; 4] {
        let cell = &self.metrics;
        let width = usize::from(glyph.width.max(1));
        let texels_per_em = TEXELS_PER_EM as f32;
        let cells = if ink[2] - ink[0] > cell.cell_width * 1.4 { 2.0 } else { 1.0 };
        let mut sum = 0.0;
        for (i, texel) in glyph.texels.chunks_exact(4).enumerate() {
            let (r, g, b) = (texel[0], texel[1], texel[2]);
            let median = r.min(g).max(r.max(g).min(b));
            let covered = ((f32::from(median) / 255.0 - 0.5) * RANGE_TEXELS + 0.5).clamp(0.0, 1.0);
            let x = glyph.bounds.left + ((i % width) as f32 + 0.5) / texels_per_em;
            let y = glyph.bounds.top - ((i / width) as f32 + 0.5) / texels_per_em;
            // What is cut off is not seen.
            let across = 0.0..cells * cell.cell_width;
            if !glyph.clipped || across.contains(&x) && (cell.descent..cell.ascent).contains(&y) {
                sum += covered;
            }
        }
        let texel_area = 1.0 / (texels_per_em * texels_per_em);
        let area = ((ink[2] - ink[0]) * (ink[3] - ink[1])).max(texel_area);
        let cell_area = cells * cell.cell_width * (cell.ascent - cell.descent);
        let share = |of: f32| (sum * texel_area / of).min(1.0) * glyph.opacity;
        [share(cell_area), share(area), glyph.opacity, 0.0]
    }

    /// Room for a tile: in a layer, in a new layer, or where something was that nobody needs.
    fn allocate(
        &mut self,
        size: [u16; 2],
        writes: &mut Vec<Write>,
        in_use: &dyn Fn(&mut [bool]),
    ) -> Option<(usize, AllocId, [u32; 2])> {
        if size.iter().any(|edge| u32::from(*edge) > LAYER_SIZE || *edge == 0) {
            return None;
        }
        for may_evict in [true, false] {
            if let Some(place) = self.allocate_in_layers(size, writes) {
                return Some(place);
            }
            if !may_evict || self.picture < self.full_until || !self.evict(writes, in_use) {
                break;
            }
        }
        None
    }

    fn allocate_in_layers(
        &mut self,
        size: [u16; 2],
        writes: &mut Vec<Write>,
    ) -> Option<(usize, AllocId, [u32; 2])> {
        let wanted = size2(i32::from(size[0]), i32::from(size[1]));
        loop {
            for (layer, allocator) in self.layers.iter_mut().enumerate().rev() {
                if let Some(found) = allocator.allocate(wanted) {
                    let at = [found.rectangle.min.x as u32, found.rectangle.min.y as u32];
                    return Some((layer, found.id, at));
                }
            }
            let layers = self.layers.len() as u32;
            if layers == LAYERS_MAX {
                return None;
            }
            if layers == self.layers_made {
                let (larger, view) = texture(&self.device, layers * 2);
                let from = std::mem::replace(&mut self.texture, larger);
                writes.push(Write::Layers { from, to: self.texture.clone(), size: LAYER_SIZE, layers });
                self.view = view;
                self.layers_made = layers * 2;
                self.generation += 1;
            }
            self.layers.push(AtlasAllocator::new(size2(LAYER_SIZE as i32, LAYER_SIZE as i32)));
        }
    }

    /// Lets go of a part of what nothing on show refers to. `false` if there is nothing of the kind.
    fn evict(&mut self, writes: &mut Vec<Write>, in_use: &dyn Fn(&mut [bool])) -> bool {
        let mut used = vec![false; self.entries.len()];
        in_use(&mut used);
        let mut unused = Vec::new();
        let mut settled = 0;
        for (number, entry) in self.entries.iter_mut().enumerate() {
            let Some(entry) = entry else { continue };
            if !matches!(entry.state, State::Ready(Some(_)) | State::NoRoom) {
                continue;
            }
            settled += 1;
            if used[number] {
                entry.needed_at = self.picture;
            } else if entry.needed_at < self.picture {
                unused.push((entry.needed_at, number));
            }
        }
        unused.sort_unstable();
        unused.truncate((settled / 4).max(1));
        tracing::debug!(evicted = unused.len(), of = settled, "the atlas of glyphs is full");
        if unused.is_empty() {
            self.full_until = self.picture + FULL_PAUSE;
            return false;
        }
        for (_, number) in unused {
            self.forget(number as u32, writes);
        }
        self.has_no_room = false;
        self.readmits |= std::mem::replace(&mut self.has_refused, false);
        // What found no room may find some now.
        for (number, entry) in self.entries.iter_mut().enumerate() {
            if let Some(entry) = entry
                && matches!(entry.state, State::NoRoom)
            {
                entry.state = State::Wanted;
                self.wanted.push_back(number as u32);
            }
        }
        true
    }

    fn forget(&mut self, number: u32, writes: &mut Vec<Write>) {
        let Some(entry) = self.entries[number as usize].take() else { return };
        if let State::Ready(Some((layer, tile))) = entry.state {
            self.layers[layer].deallocate(tile);
        }
        self.numbers.remove(&entry.key);
        let character = entry.key.cluster.base();
        for style in 0..8 {
            let (page, place) = page_and_place(character, style);
            if let Some(Some(page)) = self.pages.get_mut(page)
                && page[place] == number
            {
                page[place] = 0;
            }
        }
        self.free.push(number);
        let bytes = Record::default().bytes();
        writes.push(Write::Bytes { to: self.table.clone(), offset: offset(number), bytes });
    }
}

/// Where the number of a terminal's character is kept.
const fn page_and_place(character: char, style: u32) -> (usize, usize) {
    let code = character as usize;
    (code >> 8, (code & 255) << 3 | style as usize & 7)
}

const fn offset(number: u32) -> u64 {
    TABLE_HEAD + GLYPH_LEN * number as u64
}

fn texture(device: &RenderDevice, layers: u32) -> (Texture, TextureView) {
    let texture = device.create_texture(&TextureDescriptor {
        label: Some("glyphs"),
        size: Extent3d { width: LAYER_SIZE, height: LAYER_SIZE, depth_or_array_layers: layers },
        mip_level_count: 1,
        sample_count: 1,
        dimension: TextureDimension::D2,
        format: TextureFormat::Rgba8Unorm,
        usage: TextureUsages::TEXTURE_BINDING | TextureUsages::COPY_DST | TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let view = texture.create_view(&TextureViewDescriptor {
        dimension: Some(TextureViewDimension::D2Array),
        ..TextureViewDescriptor::default()
    });
    (texture, view)
}

/// A rectangle from y up to y down.
fn down(bounds: Bounds) -> [f32; 4] {
    [bounds.left, -bounds.top, bounds.right, -bounds.bottom]
}

/// The head of the table.
fn head(metrics: &Metrics) -> Vec<u8> {
    let sizes = [
        [metrics.cell_width, metrics.line_height, metrics.ascent, MARGIN],
        [-metrics.underline, -metrics.strikeout, metrics.line_thickness, 0.0],
        [RANGE_TEXELS, TEXELS_PER_EM as f32, 0.0, 0.0],
    ];
    let linear = (0..=255u8).map(to_linear);
    sizes.into_iter().flatten().chain(linear).flat_map(f32::to_le_bytes).collect()
}

/// sRGB to linear.
fn to_linear(code: u8) -> f32 {
    let value = f32::from(code) / 255.0;
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// Linear to sRGB.
fn to_code(value: f32) -> u8 {
    let value = value.clamp(0.0, 1.0);
    let code = if value <= 0.003_130_8 { value * 12.92 } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 };
    (code * 255.0).round() as u8
}

/// A glyph as the shader reads it.
#[derive(Default)]
struct Record {
    plane: [f32; 4],
    ink: [f32; 4],
    tile: [u32; 2],
    layer_and_kind: u32,
    levels: u32,
    mean: [f32; 4],
}

impl Record {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(GLYPH_LEN as usize);
        bytes.extend(self.plane.iter().chain(&self.ink).flat_map(|v| v.to_le_bytes()));
        bytes.extend(
            [self.tile[0], self.tile[1], self.layer_and_kind, self.levels]
                .iter()
                .flat_map(|v| v.to_le_bytes()),
        );
        bytes.extend(self.mean.iter().flat_map(|v| v.to_le_bytes()));
        bytes
    }
}

/// A coloured glyph with its smaller levels to the right of it: texels, size of all, number of levels,
/// and the mean colour, linear and premultiplied. In: straight opacity; out: premultiplied, in sRGB.
fn levels(size: [u16; 2], texels: &[u8]) -> (Vec<u8>, [u16; 2], u32, [f32; 4]) {
    let (width, height) = (usize::from(size[0]), usize::from(size[1]));
    let mut level: Vec<[f32; 4]> = texels
        .chunks_exact(4)
        .map(|texel| {
            let opacity = f32::from(texel[3]) / 255.0;
            [0, 1, 2, 3].map(|i| if i == 3 { opacity } else { to_linear(texel[i]) * opacity })
        })
        .collect();
    level.resize(width * height, [0.0; 4]);
    let mut sizes = vec![(width, height)];
    while let Some((w, h)) = sizes.last().copied()
        && w.min(h) > 4
    {
        sizes.push((w / 2, h / 2));
    }
    let all: usize = sizes.iter().map(|(w, _)| w).sum();
    let mut packed = vec![0; all * height * 4];
    let mut left = 0;
    for (i, (w, h)) in sizes.iter().copied().enumerate() {
        if i > 0 {
            let before = sizes[i - 1].0;
            level = (0..w * h)
                .map(|at| {
                    let (x, y) = (at % w * 2, at / w * 2);
                    let four =
                        [y * before + x, y * before + x + 1, (y + 1) * before + x, (y + 1) * before + x + 1];
                    [0, 1, 2, 3].map(|channel| four.iter().map(|i| level[*i][channel]).sum::<f32>() / 4.0)
                })
                .collect();
        }
        for (at, color) in level.iter().enumerate() {
            let to = (at / w * all + left + at % w) * 4;
            let code = [0, 1, 2, 3]
                .map(|c| if c == 3 { (color[3] * 255.0).round() as u8 } else { to_code(color[c]) });
            packed[to..to + 4].copy_from_slice(&code);
        }
        left += w;
    }
    let mean =
        [0, 1, 2, 3].map(|c| level.iter().map(|color| color[c]).sum::<f32>() / level.len().max(1) as f32);
    (packed, [all as u16, height as u16], sizes.len() as u32, mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_abi::scene::TerminalView;

    #[test]
    fn codes_and_linear_values_turn_into_each_other() {
        for code in 0..=255 {
            assert_eq!(to_code(to_linear(code)), code);
        }
    }

    #[test]
    fn levels_halve_and_keep_the_mean() {
        // Left half red, right half clear.
        let texels: Vec<u8> =
            (0..16 * 16).flat_map(|i| if i % 16 < 8 { [255, 0, 0, 255] } else { [9, 9, 9, 0] }).collect();
        let (packed, size, count, mean) = levels([16, 16], &texels);
        assert_eq!((size, count), ([28, 16], 3));
        assert_eq!(packed.len(), 28 * 16 * 4);
        assert_eq!(mean, [0.5, 0.0, 0.0, 0.5]);
        let at = |x: usize, y: usize| &packed[(y * 28 + x) * 4..][..4];
        assert_eq!(at(0, 0), [255, 0, 0, 255]);
        assert_eq!(at(12, 3), [0; 4]);
        assert_eq!((at(16 + 3, 7), at(16 + 4, 7)), (&[255, 0, 0, 255][..], &[0; 4][..]));
        assert_eq!(at(24, 12), [0; 4]);
    }

    #[test]
    fn scripts_know_the_size_of_a_terminal() {
        let metrics = Metrics::mono();
        let near = |a: f32, b: f32| (a - b).abs() < 1e-6;
        assert!(near(TerminalView::CELL_WIDTH, metrics.cell_width / metrics.line_height));
        assert!(near(TerminalView::MARGIN, MARGIN / metrics.line_height));
    }

    #[test]
    fn a_record_is_as_long_as_the_shader_thinks() {
        assert_eq!(Record::default().bytes().len() as u64, GLYPH_LEN);
        assert_eq!(TABLE_HEAD % 16, 0);
    }
}
