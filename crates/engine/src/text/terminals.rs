// SPDX-License-Identifier: AGPL-3.0-or-later
//! Terminals: what each shows, as cells on the graphics card, and the rectangles in the scene that
//! show it.
//!
//! A screen that comes is turned into cells of the graphics card row by row, only the rows that
//! changed, and at most [`CELLS_MAX`] cells before one picture. Of those that wait, the terminal comes first that has
//! not changed for longest, so that what somebody types is shown at once beside others that flood. Of a terminal only
//! the newest screen waits. The buffer of its cells is made anew only when its size changes.

use super::{
    atlas::{Atlas, MARGIN},
    material::{Shared, TerminalMaterial},
    upload::Write,
};
use bevy::{
    light::NotShadowCaster,
    prelude::*,
    render::{
        render_resource::{Buffer, BufferDescriptor, BufferInitDescriptor, BufferUsages},
        renderer::RenderDevice,
    },
};
use hearth_abi::{
    EntityId, TerminalId,
    scene::TerminalView,
    screen::{Cell, CursorShape, Screen, style},
};
use hearth_glyph::{Key, Metrics, Style};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
    sync::Arc,
};

/// Most cells that are turned into those of the graphics card before one picture (at least one terminal
/// is). What is left waits for the next picture.
const CELLS_MAX: usize = 1 << 17;
/// Half a period of blinking, in seconds.
const BLINK_S: f64 = 0.53;
/// Bytes before the first cell: the grid's size, its background, and the cursor.
const HEAD: u64 = 32;

/// Flags of a cell's first number; the glyph is in the lower 20 bits.
const SPACER: u32 = 1 << 24;
const STRIKEOUT: u32 = 1 << 25;
/// Of its third number: the program has not coloured it.
const UNCOLORED: u32 = 1 << 24;

/// Background of what is selected.
const SELECTED: u32 = 0x0035_62A8;
/// Background and colour of what was found.
const FOUND: [u32; 2] = [0x00E2_B33C, 0x0018_1408];

/// What a terminal shows, on the graphics card.
struct Grid {
    buffer: Buffer,
    columns: u16,
    rows: u16,
    cells: Arc<Vec<[u32; 4]>>,
    head: [u32; 8],
}

#[derive(Default)]
struct Terminal {
    /// What is to be shown.
    screen: Option<Arc<Screen>>,
    /// What the cells were made of.
    shown: Option<Arc<Screen>>,
    grid: Option<Grid>,
    views: BTreeSet<EntityId>,
    is_dirty: bool,
    /// In which turn its cells were made last.
    turn: u64,
    /// Seconds at which the cursor moved, from which it blinks.
    blinks_from: f64,
}

struct View {
    entity: Entity,
    value: TerminalView,
    /// What is drawn.
    drawn: Option<Drawn>,
}

struct Drawn {
    entity: Entity,
    /// Of what its material binds.
    generation: u64,
}

/// All terminals and all places where they are shown.
#[derive(Default)]
pub(crate) struct Terminals {
    terminals: HashMap<TerminalId, Terminal>,
    views: BTreeMap<EntityId, View>,
    /// Whose screen is newer than its cells, and their turns, by which they are taken.
    dirty: BTreeSet<(u64, TerminalId)>,
    /// Counts the terminals whose cells were made.
    turns: u64,
    /// Views to be looked at.
    changed: BTreeSet<EntityId>,
    mesh: Option<Handle<Mesh>>,
}

impl Terminals {
    /// A terminal shows this now, or nothing any more.
    pub(crate) fn screen(&mut self, id: TerminalId, screen: Option<Arc<Screen>>, now: f64) {
        match screen {
            Some(screen) => {
                let terminal = self.terminals.entry(id).or_default();
                if terminal.screen.as_ref().map(|before| before.cursor) != Some(screen.cursor) {
                    terminal.blinks_from = now;
                }
                terminal.screen = Some(screen);
                self.mark(id);
            }
            None => {
                if let Some(terminal) = self.terminals.get_mut(&id) {
                    terminal.screen = None;
                    terminal.shown = None;
                    terminal.grid = None;
                    self.changed.extend(&terminal.views);
                    self.forget_if_idle(id);
                }
            }
        }
    }

    /// All terminals that show something, or are shown.
    pub(crate) fn known(&self) -> Vec<TerminalId> {
        self.terminals.keys().copied().collect()
    }

    fn mark(&mut self, id: TerminalId) {
        if let Some(terminal) = self.terminals.get_mut(&id)
            && !terminal.is_dirty
            && !terminal.views.is_empty()
            && terminal.screen.is_some()
        {
            terminal.is_dirty = true;
            self.dirty.insert((terminal.turn, id));
        }
    }

    fn forget_if_idle(&mut self, id: TerminalId) {
        if self.terminals.get(&id).is_some_and(|t| t.screen.is_none() && t.views.is_empty()) {
            self.terminals.remove(&id);
        }
    }

    /// An entity shows a terminal.
    pub(crate) fn show(&mut self, id: EntityId, entity: Entity, value: TerminalView) {
        let drawn = match self.views.remove(&id) {
            Some(before) if before.value.terminal == value.terminal => before.drawn,
            Some(before) => {
                self.leave(id, before.value.terminal);
                before.drawn
            }
            None => None,
        };
        self.views.insert(id, View { entity, value, drawn });
        let terminal = self.terminals.entry(value.terminal).or_default();
        terminal.views.insert(id);
        let is_behind = match (&terminal.screen, &terminal.shown) {
            (Some(screen), Some(shown)) => !Arc::ptr_eq(screen, shown),
            (screen, _) => screen.is_some(),
        };
        if is_behind {
            self.mark(value.terminal);
        }
        self.changed.insert(id);
    }

    fn leave(&mut self, id: EntityId, terminal_id: TerminalId) {
        if let Some(terminal) = self.terminals.get_mut(&terminal_id) {
            terminal.views.remove(&id);
            if terminal.views.is_empty() {
                terminal.shown = None;
                terminal.grid = None;
            }
        }
        self.forget_if_idle(terminal_id);
    }

    /// An entity shows none any more. What was drawn for it may be gone already.
    pub(crate) fn hide(&mut self, world: &mut World, id: EntityId) {
        let Some(view) = self.views.remove(&id) else { return };
        self.changed.remove(&id);
        self.leave(id, view.value.terminal);
        if let Some(drawn) = view.drawn {
            world.entity_mut_or_none(drawn.entity, |entity| entity.despawn());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// Whether there are screens that are not yet shown.
    pub(crate) fn is_behind(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Marks the numbers of the glyphs that are on show.
    pub(crate) fn mark_used(&self, used: &mut [bool]) {
        for grid in self.terminals.values().filter_map(|terminal| terminal.grid.as_ref()) {
            for cell in grid.cells.iter() {
                if let Some(used) = used.get_mut((cell[0] & 0x000F_FFFF) as usize) {
                    *used = true;
                }
            }
        }
    }

    /// All cells are lost with the graphics card.
    pub(crate) fn renew(&mut self) {
        for terminal in self.terminals.values_mut() {
            terminal.grid = None;
        }
        self.number_again();
        self.changed.extend(self.views.keys());
    }

    /// Glyphs that had no number may have one now.
    pub(crate) fn number_again(&mut self) {
        for terminal in self.terminals.values_mut() {
            terminal.shown = None;
        }
        let ids: Vec<TerminalId> = self.terminals.keys().copied().collect();
        ids.into_iter().for_each(|id| self.mark(id));
    }

    /// Turns new screens into cells.
    pub(crate) fn convert(&mut self, atlas: &mut Atlas, device: &RenderDevice, writes: &mut Vec<Write>) {
        let mut left = CELLS_MAX;
        while left > 0
            && let Some((_, id)) = self.dirty.pop_first()
        {
            let Some(terminal) = self.terminals.get_mut(&id) else { continue };
            self.turns += 1;
            (terminal.is_dirty, terminal.turn) = (false, self.turns);
            // Shown nowhere any more, its cells and their glyphs would stay for nobody.
            let Some(screen) = terminal.screen.clone().filter(|_| !terminal.views.is_empty()) else {
                continue;
            };
            left = left.saturating_sub(screen.cells().len().max(1));
            if terminal.update(screen, atlas, device, writes) {
                self.changed.extend(&terminal.views);
            }
        }
    }

    /// Lets cursors blink, and moves them.
    pub(crate) fn blink(&mut self, now: f64, writes: &mut Vec<Write>) {
        for terminal in self.terminals.values_mut() {
            let (Some(shown), Some(grid)) = (&terminal.shown, &mut terminal.grid) else { continue };
            let is_on = !shown.cursor.blinks || ((now - terminal.blinks_from) / BLINK_S) as i64 % 2 == 0;
            let head = head(shown, is_on);
            if head != grid.head {
                grid.head = head;
                let bytes = bytemuck::cast_slice(&head).to_vec();
                writes.push(Write::Bytes { to: grid.buffer.clone(), offset: 0, bytes });
            }
        }
    }

    /// Brings what is drawn up to date with views and grids.
    pub(crate) fn draw(&mut self, world: &mut World, shared: &Shared, generation: u64, metrics: Metrics) {
        let outdated = |view: &View| view.drawn.as_ref().is_some_and(|drawn| drawn.generation != generation);
        let outdated: Vec<EntityId> =
            self.views.iter().filter(|(_, view)| outdated(view)).map(|(id, _)| *id).collect();
        self.changed.extend(outdated);
        for id in std::mem::take(&mut self.changed) {
            let Some(view) = self.views.get_mut(&id) else { continue };
            let grid = self.terminals.get(&view.value.terminal).and_then(|terminal| terminal.grid.as_ref());
            let Some(grid) = grid else {
                if let Some(drawn) = view.drawn.take() {
                    world.entity_mut_or_none(drawn.entity, |entity| entity.despawn());
                }
                continue;
            };
            let mesh = self
                .mesh
                .get_or_insert_with(|| world.resource_mut::<Assets<Mesh>>().add(Rectangle::new(1.0, 1.0)))
                .clone();
            let device = world.resource::<RenderDevice>();
            let opacity = view.value.opacity.clamp(0.0, 1.0);
            let uniform = device.create_buffer_with_data(&BufferInitDescriptor {
                label: Some("view of a terminal"),
                contents: bytemuck::cast_slice(&[opacity, 0.0, 0.0, 0.0]),
                usage: BufferUsages::UNIFORM,
            });
            let buffers = vec![grid.buffer.clone(), uniform];
            let material = TerminalMaterial::new(shared.clone(), buffers, opacity >= 1.0);
            let em = view.value.cell_height.clamp(1e-4, 1e4) / metrics.line_height;
            let width = (f32::from(grid.columns) * metrics.cell_width + 2.0 * MARGIN) * em;
            let height = (f32::from(grid.rows) * metrics.line_height + 2.0 * MARGIN) * em;
            let place = Transform::from_scale(Vec3::new(width, height, 1.0));
            let material = world.resource_mut::<Assets<TerminalMaterial>>().add(material);
            match &mut view.drawn {
                Some(drawn) => {
                    world.entity_mut_or_none(drawn.entity, |mut entity| {
                        entity.insert((MeshMaterial3d(material), place));
                    });
                    drawn.generation = generation;
                }
                None => {
                    let entity = world
                        .spawn((
                            Mesh3d(mesh),
                            MeshMaterial3d(material),
                            place,
                            NotShadowCaster,
                            ChildOf(view.entity),
                        ))
                        .id();
                    view.drawn = Some(Drawn { entity, generation });
                }
            }
        }
    }
}

/// The head of a grid as the shader reads it.
fn head(screen: &Screen, cursor_is_on: bool) -> [u32; 8] {
    let cursor = screen.cursor;
    let on_screen = cursor.column < screen.columns() && cursor.row < screen.rows();
    let shape = if cursor_is_on && on_screen { cursor.shape } else { CursorShape::Hidden };
    let under = |column: u16| screen.row(cursor.row).get(usize::from(column)).map_or(0, |cell| cell.style);
    // On the second half of a wide character it stands on both.
    let is_second = on_screen && cursor.column > 0 && under(cursor.column) & style::SPACER != 0;
    let first = cursor.column - u16::from(is_second);
    let width = 1 + u32::from(on_screen && under(first) & style::WIDE != 0);
    [
        u32::from(screen.columns()),
        u32::from(screen.rows()),
        screen.background & 0x00FF_FFFF,
        u32::from(first) | u32::from(cursor.row) << 16,
        shape as u32 | width << 8,
        cursor.color & 0x00FF_FFFF,
        0,
        0,
    ]
}

impl Terminal {
    /// Makes the cells those of this screen. `true` if the buffer is another.
    fn update(
        &mut self,
        screen: Arc<Screen>,
        atlas: &mut Atlas,
        device: &RenderDevice,
        writes: &mut Vec<Write>,
    ) -> bool {
        let size = (screen.columns(), screen.rows());
        let count = screen.cells().len();
        let is_new = self.grid.as_ref().is_none_or(|grid| (grid.columns, grid.rows) != size);
        if is_new {
            let buffer = device.create_buffer(&BufferDescriptor {
                label: Some("cells of a terminal"),
                size: HEAD + (count * size_of::<[u32; 4]>()) as u64,
                usage: BufferUsages::STORAGE | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let cells = Arc::new(vec![[0; 4]; count]);
            self.grid = Some(Grid { buffer, columns: size.0, rows: size.1, cells, head: [0; 8] });
            self.shown = None;
        }
        let Some(grid) = &mut self.grid else { return false };
        let before = self.shown.take();
        let columns = usize::from(size.0);
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let cells = Arc::make_mut(&mut grid.cells);
        for row in 0..size.1 {
            if before.as_ref().is_some_and(|before| is_same_row(before, &screen, row)) {
                continue;
            }
            let range = usize::from(row) * columns..(usize::from(row) + 1) * columns;
            if encode_row(&screen, row, atlas, &mut cells[range.clone()]) || is_new {
                match ranges.last_mut() {
                    Some(last) if last.end == range.start => last.end = range.end,
                    _ => ranges.push(range),
                }
            }
        }
        if !ranges.is_empty() {
            let (to, cells) = (grid.buffer.clone(), grid.cells.clone());
            writes.push(Write::Cells { to, offset: HEAD, cells, ranges });
        }
        self.shown = Some(screen);
        is_new
    }
}

fn is_same_row(before: &Screen, now: &Screen, row: u16) -> bool {
    if before.background != now.background || before.row(row) != now.row(row) {
        return false;
    }
    if before.extras.is_empty() && now.extras.is_empty() {
        return true;
    }
    let first = u32::from(row) * u32::from(now.columns());
    let of_row = first..first + u32::from(now.columns());
    before.extras.range(of_row.clone()).eq(now.extras.range(of_row))
}

/// Turns a row into cells of the graphics card. `true` if they are others than before.
fn encode_row(screen: &Screen, row: u16, atlas: &mut Atlas, out: &mut [[u32; 4]]) -> bool {
    let mut is_other = false;
    let first = u32::from(row) * u32::from(screen.columns());
    for (column, (cell, out)) in screen.row(row).iter().zip(out).enumerate() {
        let encoded = encode(screen, first + column as u32, cell, atlas);
        is_other |= encoded != *out;
        *out = encoded;
    }
    is_other
}

fn encode(screen: &Screen, index: u32, cell: &Cell, atlas: &mut Atlas) -> [u32; 4] {
    const RGB: u32 = 0x00FF_FFFF;
    let (mut foreground, mut background) = (cell.foreground & RGB, cell.background & RGB);
    if background == screen.background & RGB {
        background |= UNCOLORED;
    }
    if cell.style & (style::SELECTED | style::FOUND) != 0 {
        if cell.style & style::SELECTED != 0 {
            background = SELECTED;
            if !contrasts(foreground, SELECTED) {
                foreground = 0x00FF_FFFF;
            }
        } else {
            [background, foreground] = FOUND;
        }
    }
    let mut line = foreground;
    let mut glyph = 0;
    if cell.style & style::SPACER == 0 {
        let is_wide = cell.style & style::WIDE != 0;
        let extra = if cell.style & style::EXTRA != 0 { screen.extras.get(&index) } else { None };
        glyph = match extra {
            Some(extra) if !extra.marks.is_empty() => {
                let look =
                    Style { bold: cell.style & style::BOLD != 0, italic: cell.style & style::ITALIC != 0 };
                atlas.number(&Key::cell(cell.character, &extra.marks, look, is_wide))
            }
            _ => {
                let look = cell.style & (style::BOLD | style::ITALIC) | u32::from(is_wide) << 2;
                atlas.character(cell.character, look)
            }
        };
    }
    if cell.style & style::EXTRA != 0
        && let Some(color) = screen.extras.get(&index).and_then(|extra| extra.underline)
    {
        line = color & RGB;
    }
    let underline = (cell.style & style::UNDERLINE) >> style::UNDERLINE_SHIFT;
    let flags = if cell.style & style::SPACER != 0 { SPACER } else { 0 }
        | if cell.style & style::STRIKEOUT != 0 { STRIKEOUT } else { 0 };
    [glyph | flags, foreground, background, line | underline << 24]
}

/// Whether the two can be told from each other: by their rough luminance.
fn contrasts(a: u32, b: u32) -> bool {
    let luminance = |c: u32| ((c >> 16 & 255) * 54 + (c >> 8 & 255) * 183 + (c & 255) * 19) / 256;
    luminance(a).abs_diff(luminance(b)) > 60
}

/// To do something with an entity that may be gone.
trait IfThere {
    fn entity_mut_or_none(&mut self, entity: Entity, then: impl FnOnce(EntityWorldMut<'_>));
}

impl IfThere for World {
    fn entity_mut_or_none(&mut self, entity: Entity, then: impl FnOnce(EntityWorldMut<'_>)) {
        if let Ok(entity) = self.get_entity_mut(entity) {
            then(entity);
        }
    }
}
