// SPDX-License-Identifier: AGPL-3.0-or-later
//! From the emulator's grid to a screen: colours are resolved, and only what has changed is copied.

use alacritty_terminal::{
    event::EventListener,
    grid::Dimensions,
    index::{Column, Line, Point},
    selection::SelectionRange,
    term::{Term, TermDamage, TermMode, cell, cell::Flags, color::Colors},
    vte::ansi::{self, Color, NamedColor, Rgb},
};
use hearth_abi::{
    screen::{Cell, Cursor, CursorShape, EXTRAS_MAX, Extra, LINK_LEN_MAX, MARKS_LEN_MAX, Screen, style},
    terminal::Theme,
};
use std::ops::RangeInclusive;

/// Of all that a cell can refer to, the colour: 0x00RRGGBB.
pub(crate) struct Palette {
    colors: [u32; alacritty_terminal::term::color::COUNT],
}

/// A colour of the emulator as 0x00RRGGBB.
const fn packed(color: Rgb) -> u32 {
    (color.r as u32) << 16 | (color.g as u32) << 8 | color.b as u32
}

/// And back.
pub(crate) const fn unpacked(color: u32) -> Rgb {
    Rgb { r: (color >> 16) as u8, g: (color >> 8) as u8, b: color as u8 }
}

/// Two thirds of the first and one of the second.
fn faded(color: u32, towards: u32) -> u32 {
    [16, 8, 0].iter().fold(0, |mixed, shift| {
        let part = |color: u32| color >> shift & 0xFF;
        mixed | ((part(color) * 2 + part(towards)) / 3) << shift
    })
}

impl Palette {
    /// The theme, and what the program has put in the place of some of it.
    pub(crate) fn new(theme: &Theme, changed: &Colors) -> Palette {
        let mut colors = [0; alacritty_terminal::term::color::COUNT];
        colors[..16].copy_from_slice(&theme.palette);
        // The cube of 6 × 6 × 6 colours, and the ramp of 24 greys.
        for (index, color) in colors[16..232].iter_mut().enumerate() {
            let level = |step: usize| if step == 0 { 0 } else { 55 + 40 * step as u32 };
            *color = level(index / 36) << 16 | level(index / 6 % 6) << 8 | level(index % 6);
        }
        for (index, color) in colors[232..256].iter_mut().enumerate() {
            *color = (8 + 10 * index as u32) * 0x01_0101;
        }
        colors[NamedColor::Foreground as usize] = theme.foreground;
        colors[NamedColor::Background as usize] = theme.background;
        colors[NamedColor::Cursor as usize] = theme.cursor;
        for (index, color) in colors[..NamedColor::DimBlack as usize].iter_mut().enumerate() {
            if let Some(changed) = changed[index] {
                *color = packed(changed);
            }
        }
        let background = colors[NamedColor::Background as usize];
        for index in 0..8 {
            colors[NamedColor::DimBlack as usize + index] = faded(colors[index], background);
        }
        let foreground = colors[NamedColor::Foreground as usize];
        colors[NamedColor::BrightForeground as usize] = foreground;
        colors[NamedColor::DimForeground as usize] = faded(foreground, background);
        Palette { colors }
    }

    pub(crate) fn get(&self, index: usize) -> u32 {
        self.colors.get(index).copied().unwrap_or_default()
    }

    #[inline]
    fn resolve(&self, color: Color) -> u32 {
        match color {
            Color::Named(name) => self.colors[name as usize],
            Color::Indexed(index) => self.colors[usize::from(index)],
            Color::Spec(rgb) => packed(rgb),
        }
    }
}

/// What is shown besides the grid's own content.
pub(crate) struct Over<'a> {
    pub(crate) selection: Option<SelectionRange>,
    /// Matches of a search that reach into the view, from the top.
    pub(crate) found: &'a [RangeInclusive<Point>],
    pub(crate) focused: bool,
    /// Whether there is a program that the cursor belongs to.
    pub(crate) running: bool,
}

/// Copies what has changed since the last call into `screen`, or everything if `all`; the screen gets the grid's
/// size. Title and search are the caller's.
pub(crate) fn copy<T: EventListener>(
    term: &mut Term<T>,
    palette: &Palette,
    over: &Over<'_>,
    screen: &mut Screen,
    all: bool,
) {
    let (columns, rows) = (term.columns(), term.screen_lines());
    let all = if (usize::from(screen.columns()), usize::from(screen.rows())) == (columns, rows) {
        all
    } else {
        let title = std::mem::take(&mut screen.title);
        *screen = Screen::new(columns as u16, rows as u16);
        screen.title = title;
        true
    };
    let damage: Option<Vec<(usize, usize, usize)>> = match term.damage() {
        _ if all => None,
        TermDamage::Full => None,
        TermDamage::Partial(lines) => Some(lines.map(|line| (line.line, line.left, line.right)).collect()),
    };
    term.reset_damage();
    match damage {
        None => {
            screen.extras.clear();
            for row in 0..rows {
                copy_row(term, palette, over, screen, row, 0..=columns - 1);
            }
        }
        Some(lines) => {
            for (row, left, right) in lines {
                // A wide character is two cells, and looks at its neighbour.
                let range = left.saturating_sub(1)..=(right + 1).min(columns - 1);
                if !screen.extras.is_empty() {
                    let at = |column: &usize| (row * columns + column) as u32;
                    let gone = at(range.start())..=at(range.end());
                    screen.extras.retain(|index, _| !gone.contains(index));
                }
                copy_row(term, palette, over, screen, row, range);
            }
        }
    }
    screen.background = palette.get(NamedColor::Background as usize);
    screen.scroll_offset = term.grid().display_offset() as u32;
    screen.history = term.history_size() as u32;
    screen.cursor = cursor(term, palette, over);
}

fn copy_row<T: EventListener>(
    term: &Term<T>,
    palette: &Palette,
    over: &Over<'_>,
    screen: &mut Screen,
    row: usize,
    range: RangeInclusive<usize>,
) {
    let columns = term.columns();
    let line = Line(row as i32) - term.grid().display_offset();
    let cells = &term.grid()[line];
    let first = row * columns;
    let mut extras: Vec<(u32, Extra)> = Vec::new();
    for column in range.clone() {
        let cell = &cells[Column(column)];
        let mut out = convert(cell, palette);
        if cell.flags.contains(Flags::WIDE_CHAR) {
            let has_second =
                column + 1 < columns && cells[Column(column + 1)].flags.contains(Flags::WIDE_CHAR_SPACER);
            out.style |= if has_second { style::WIDE } else { 0 };
        }
        if cell.flags.contains(Flags::WIDE_CHAR_SPACER) {
            let has_first = column > 0 && cells[Column(column - 1)].flags.contains(Flags::WIDE_CHAR);
            out.style |= if has_first { style::SPACER } else { 0 };
        }
        if cell.extra.is_some() {
            let marks = cell.zerowidth().filter(|marks| !marks.is_empty());
            let underline = cell.underline_color();
            if let Some(extra) = extra_of(marks, underline, cell.hyperlink(), palette) {
                out.style |= style::EXTRA;
                extras.push(((first + column) as u32, extra));
            }
        }
        screen.cells_mut()[first + column] = out;
    }
    for (index, extra) in extras {
        if screen.extras.len() >= EXTRAS_MAX {
            screen.cells_mut()[index as usize].style &= !style::EXTRA;
        } else {
            screen.extras.insert(index, extra);
        }
    }
    if over.selection.is_some() || !over.found.is_empty() {
        let found: Vec<_> = over
            .found
            .iter()
            .filter(|found| found.start().line <= line && found.end().line >= line)
            .collect();
        for column in range {
            let point = Point::new(line, Column(column));
            let out = &mut screen.cells_mut()[first + column];
            // Half of a wide character is all of it: that is what is copied.
            let other = match out.style & (style::WIDE | style::SPACER) {
                style::WIDE => column + 1,
                style::SPACER => column - 1,
                _ => column,
            };
            let other = Point::new(line, Column(other));
            if over.selection.is_some_and(|one| one.contains(point) || one.contains(other)) {
                out.style |= style::SELECTED;
            }
            if found.iter().any(|found| found.contains(&point)) {
                out.style |= style::FOUND;
            }
        }
    }
}

/// A cell without what lies over it or beside it.
#[inline]
fn convert(cell: &cell::Cell, palette: &Palette) -> Cell {
    let mut foreground = palette.resolve(cell.fg);
    let mut background = palette.resolve(cell.bg);
    // Tabulators stand in the grid as such.
    let character = if cell.c.is_control() { ' ' } else { cell.c };
    if cell.flags.is_empty() {
        return Cell { character, foreground, background, style: 0 };
    }
    let flags = cell.flags;
    if flags.contains(Flags::DIM) {
        foreground = faded(foreground, background);
    }
    if flags.contains(Flags::INVERSE) {
        (foreground, background) = (background, foreground);
    }
    if flags.contains(Flags::HIDDEN) {
        foreground = background;
    }
    let mut look = 0;
    for (flag, bit) in [
        (Flags::BOLD, style::BOLD),
        (Flags::ITALIC, style::ITALIC),
        (Flags::STRIKEOUT, style::STRIKEOUT),
        (Flags::UNDERLINE, style::UNDERLINE_SINGLE),
        (Flags::DOUBLE_UNDERLINE, style::UNDERLINE_DOUBLE),
        (Flags::UNDERCURL, style::UNDERLINE_CURLY),
        (Flags::DOTTED_UNDERLINE, style::UNDERLINE_DOTTED),
        (Flags::DASHED_UNDERLINE, style::UNDERLINE_DASHED),
    ] {
        if flags.contains(flag) {
            // The sorts of underline are numbers, not bits; the grid has one at a time.
            look = if bit & style::UNDERLINE == 0 { look | bit } else { look & !style::UNDERLINE | bit };
        }
    }
    Cell { character, foreground, background, style: look }
}

fn extra_of(
    marks: Option<&[char]>,
    underline: Option<Color>,
    link: Option<cell::Hyperlink>,
    palette: &Palette,
) -> Option<Extra> {
    let mut extra = Extra {
        marks: marks.unwrap_or_default().iter().collect(),
        underline: underline.map(|color| palette.resolve(color)),
        link: link.map(|link| link.uri().to_owned()).filter(|link| link.len() <= LINK_LEN_MAX),
    };
    extra.marks.truncate(extra.marks.floor_char_boundary(MARKS_LEN_MAX));
    (extra != Extra::default()).then_some(extra)
}

fn cursor<T: EventListener>(term: &Term<T>, palette: &Palette, over: &Over<'_>) -> Cursor {
    let grid = term.grid();
    let mut point = grid.cursor.point;
    if point.column > 0 && grid[point].flags.contains(Flags::WIDE_CHAR_SPACER) {
        point.column -= 1;
    }
    let row = point.line.0 as usize + grid.display_offset();
    let look = term.cursor_style();
    let seen = term.mode().contains(TermMode::SHOW_CURSOR) && row < term.screen_lines() && over.running;
    let shape = match look.shape {
        _ if !seen => CursorShape::Hidden,
        ansi::CursorShape::Hidden => CursorShape::Hidden,
        _ if !over.focused => CursorShape::Hollow,
        ansi::CursorShape::Block => CursorShape::Block,
        ansi::CursorShape::Underline => CursorShape::Underline,
        ansi::CursorShape::Beam => CursorShape::Bar,
        ansi::CursorShape::HollowBlock => CursorShape::Hollow,
    };
    Cursor {
        shape,
        column: point.column.0 as u16,
        row: row.min(term.screen_lines() - 1) as u16,
        color: palette.get(NamedColor::Cursor as usize),
        blinks: look.blinking && over.focused && seen,
    }
}
