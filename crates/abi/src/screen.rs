// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a terminal shows: a grid of cells, a cursor, and what belongs to single cells.
//!
//! The peer that hosts a terminal turns its program's output into a [`Screen`]; every other peer has a
//! mirror of it. Colours are resolved by the host (palette, inverse video, dim), so that whoever draws a
//! screen needs no terminal emulator.

mod moves;
pub mod update;

pub use update::{Numbers, UPDATE_LEN_MAX, apply_update, encode_update};

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};

/// Most columns of a screen.
pub const COLUMNS_MAX: u16 = 1000;
/// Most rows of a screen.
pub const ROWS_MAX: u16 = 1000;
/// Most cells of one screen that have an [`Extra`].
pub const EXTRAS_MAX: usize = 4096;
/// Longest text of combining characters of one cell, in bytes.
pub const MARKS_LEN_MAX: usize = 64;
/// Longest address of a link, in bytes.
pub const LINK_LEN_MAX: usize = 2048;
/// Longest title, in bytes.
pub const TITLE_LEN_MAX: usize = 256;

/// Bits of [`Cell::style`].
pub mod style {
    /// Heavier strokes.
    pub const BOLD: u32 = 1;
    /// Slanted.
    pub const ITALIC: u32 = 1 << 1;
    /// A line through it.
    pub const STRIKEOUT: u32 = 1 << 2;
    /// The first of two cells of a wide character.
    pub const WIDE: u32 = 1 << 3;
    /// The second of two cells of a wide character: shows what the first one holds.
    pub const SPACER: u32 = 1 << 4;
    /// Part of the selection.
    pub const SELECTED: u32 = 1 << 5;
    /// Part of what a search has found.
    pub const FOUND: u32 = 1 << 6;
    /// Has an [`Extra`](super::Extra).
    pub const EXTRA: u32 = 1 << 7;
    /// First bit of the three bits with the sort of underline.
    pub const UNDERLINE_SHIFT: u32 = 8;
    /// The three bits with the sort of underline: one of the values below.
    pub const UNDERLINE: u32 = 7 << UNDERLINE_SHIFT;
    /// A line.
    pub const UNDERLINE_SINGLE: u32 = 1 << UNDERLINE_SHIFT;
    /// Two lines.
    pub const UNDERLINE_DOUBLE: u32 = 2 << UNDERLINE_SHIFT;
    /// A wave.
    pub const UNDERLINE_CURLY: u32 = 3 << UNDERLINE_SHIFT;
    /// Dots.
    pub const UNDERLINE_DOTTED: u32 = 4 << UNDERLINE_SHIFT;
    /// Dashes.
    pub const UNDERLINE_DASHED: u32 = 5 << UNDERLINE_SHIFT;
    /// All bits that have a meaning.
    pub const ALL: u32 = 0xFF | UNDERLINE;
}

/// One place of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cell {
    /// What stands there; a space if nothing does.
    pub character: char,
    /// Colour of the character: 0x00RRGGBB in sRGB.
    pub foreground: u32,
    /// Colour behind it: 0x00RRGGBB in sRGB.
    pub background: u32,
    /// Bits of [`style`].
    pub style: u32,
}

impl Cell {
    /// A cell with nothing in it.
    pub const fn blank(foreground: u32, background: u32) -> Cell {
        Cell { character: ' ', foreground, background, style: 0 }
    }
}

/// What few cells have.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Extra {
    /// Characters that combine with that of the cell, at most [`MARKS_LEN_MAX`] bytes.
    pub marks: String,
    /// Colour of the underline, if it is not that of the character: 0x00RRGGBB in sRGB.
    pub underline: Option<u32>,
    /// Address that the cell links to, at most [`LINK_LEN_MAX`] bytes.
    pub link: Option<String>,
}

/// How the cursor looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum CursorShape {
    /// It is not shown.
    #[default]
    Hidden = 0,
    /// A full cell.
    Block = 1,
    /// A line below.
    Underline = 2,
    /// A line at the left edge.
    Bar = 3,
    /// The outline of a cell: nobody's keyboard is there.
    Hollow = 4,
}

/// The cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Cursor {
    /// How it looks.
    pub shape: CursorShape,
    /// Column, from 0.
    pub column: u16,
    /// Row, from 0 at the top.
    pub row: u16,
    /// Its colour: 0x00RRGGBB in sRGB.
    pub color: u32,
    /// Whether it blinks.
    pub blinks: bool,
}

/// What a terminal shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    columns: u16,
    rows: u16,
    cells: Vec<Cell>,
    /// By index of the cell (row × columns + column).
    pub extras: BTreeMap<u32, Extra>,
    /// The cursor.
    pub cursor: Cursor,
    /// Colour of the margin around the grid, and of what is not written: 0x00RRGGBB in sRGB.
    pub background: u32,
    /// How many lines the view is above the newest.
    pub scroll_offset: u32,
    /// How many lines there are above the grid.
    pub history: u32,
    /// What the program calls itself, at most [`TITLE_LEN_MAX`] bytes.
    pub title: String,
}

impl Screen {
    /// An empty screen; the size is brought within 1 and [`COLUMNS_MAX`] by [`ROWS_MAX`].
    pub fn new(columns: u16, rows: u16) -> Screen {
        let (columns, rows) = (columns.clamp(1, COLUMNS_MAX), rows.clamp(1, ROWS_MAX));
        Screen {
            columns,
            rows,
            cells: vec![Cell::blank(0x00FF_FFFF, 0); usize::from(columns) * usize::from(rows)],
            extras: BTreeMap::new(),
            cursor: Cursor::default(),
            background: 0,
            scroll_offset: 0,
            history: 0,
            title: String::new(),
        }
    }

    /// As [`Screen::new`] with the same size, in the memory that it has.
    fn clear(&mut self) {
        self.cells.fill(Cell::blank(0x00FF_FFFF, 0));
        self.extras.clear();
        self.cursor = Cursor::default();
        (self.background, self.scroll_offset, self.history) = (0, 0, 0);
        self.title.clear();
    }

    /// Number of columns.
    pub const fn columns(&self) -> u16 {
        self.columns
    }

    /// Number of rows.
    pub const fn rows(&self) -> u16 {
        self.rows
    }

    /// All cells, row by row from the top.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// All cells, row by row from the top, to be changed.
    pub fn cells_mut(&mut self) -> &mut [Cell] {
        &mut self.cells
    }

    /// The cells of a row; empty below the last one.
    pub fn row(&self, row: u16) -> &[Cell] {
        let columns = usize::from(self.columns);
        let start = usize::from(row) * columns;
        self.cells.get(start..start + columns).unwrap_or_default()
    }

    /// The text of a row, without the blanks at its end.
    pub fn text(&self, row: u16) -> String {
        let mut text = String::new();
        for (column, cell) in self.row(row).iter().enumerate() {
            if cell.style & style::SPACER != 0 {
                continue;
            }
            text.push(cell.character);
            if cell.style & style::EXTRA != 0 {
                let index = u32::from(row) * u32::from(self.columns) + column as u32;
                text.push_str(self.extras.get(&index).map_or("", |extra| &extra.marks));
            }
        }
        text.truncate(text.trim_end().len());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_as_it_is_shown() {
        let mut screen = Screen::new(6, 2);
        for (cell, character) in screen.cells_mut()[6..].iter_mut().zip("e界 x".chars()) {
            cell.character = character;
        }
        screen.cells_mut()[6].style = style::EXTRA;
        screen.extras.insert(6, Extra { marks: "\u{301}".into(), ..Extra::default() });
        screen.cells_mut()[7].style = style::WIDE;
        screen.cells_mut()[8].style = style::SPACER;
        assert_eq!(screen.text(1), "e\u{301}界x");
        assert_eq!((screen.text(0), screen.text(2)), (String::new(), String::new()));
    }

    #[test]
    fn sizes_are_brought_within_their_bounds() {
        let (small, large) = (Screen::new(0, 0), Screen::new(u16::MAX, u16::MAX));
        assert_eq!((small.columns(), small.rows(), small.cells().len()), (1, 1, 1));
        assert_eq!((large.columns(), large.rows()), (COLUMNS_MAX, ROWS_MAX));
    }
}
