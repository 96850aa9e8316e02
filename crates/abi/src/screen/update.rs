// SPDX-License-Identifier: AGPL-3.0-or-later
//! A screen as bytes, whole or as what has changed since one that the reader has.
//!
//! A keyframe holds a screen; a change turns the screen that it builds on into the next one. Both are made of
//! the same parts: a keyframe is a change to an empty screen. Updates are not compressed here; they are made
//! to compress well.
//!
//! | type | field |
//! |---|---|
//! | `u32` | number of this update, from 1 |
//! | `u32` | number of the update that it builds on; 0 for a keyframe |
//! | `u16` × 2 | columns and rows |
//! | `u16` | which of the following parts there are: bits of [`parts`] |
//!
//! Numbers that are called *varint* are LEB128 of at most 32 bits.

use super::{
    COLUMNS_MAX, Cell, Cursor, CursorShape, EXTRAS_MAX, Extra, LINK_LEN_MAX, MARKS_LEN_MAX, ROWS_MAX, Screen,
    TITLE_LEN_MAX, style,
};
use crate::{DecodeError, codec::Reader};
use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};

/// Longest update, in bytes: more than the largest screen with the most extras takes.
pub const UPDATE_LEN_MAX: usize = 24 << 20;
/// Most moves of one update.
pub const MOVES_MAX: usize = 8;

/// The parts of an update, in their order.
pub mod parts {
    /// `u8` shape, `u8` blinks, `u16` column, `u16` row, colour.
    pub const CURSOR: u16 = 1;
    /// A colour: that of the margin.
    pub const BACKGROUND: u16 = 1 << 1;
    /// `u32`: how many lines the view is above the newest.
    pub const SCROLL_OFFSET: u16 = 1 << 2;
    /// `u32`: how many lines there are above the grid.
    pub const HISTORY: u16 = 1 << 3;
    /// `u16` length and that many bytes of UTF-8.
    pub const TITLE: u16 = 1 << 4;
    /// `u8` count, and of each move `u16` from, `u16` to, `u16` rows.
    pub const MOVES: u16 = 1 << 5;
    /// Runs of cells.
    pub const CELLS: u16 = 1 << 6;
    /// What few cells have.
    pub const EXTRAS: u16 = 1 << 7;
    /// All that have a meaning.
    pub const ALL: u16 = 0xFF;
}

/// Runs of cells: the low two bits of a varint, whose other bits are a number.
mod run {
    /// That many cells stay as they are.
    pub(super) const SKIP: u32 = 0;
    /// The number says what of the pen follows: bits 1 foreground, 2 background, 4 style.
    pub(super) const PEN: u32 = 1;
    /// That many cells with the pen's look; their characters follow as UTF-8.
    pub(super) const TEXT: u32 = 2;
    /// That many cells with the pen's look and the one character that follows as UTF-8.
    pub(super) const REPEAT: u32 = 3;
}

/// Bits of what an extra has.
mod has {
    pub(super) const MARKS: u8 = 1;
    pub(super) const UNDERLINE: u8 = 1 << 1;
    pub(super) const LINK: u8 = 1 << 2;
    /// The link of the extra before, in this update.
    pub(super) const SAME_LINK: u8 = 1 << 3;
    pub(super) const ALL: u8 = 15;
}

/// How an update stands to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Numbers {
    /// Its own number, from 1.
    pub number: u32,
    /// Number of the update that it builds on; 0 for a keyframe, which builds on nothing.
    pub base: u32,
}

impl Numbers {
    /// The numbers of an update, without looking at the rest of it.
    ///
    /// # Errors
    /// The input is too short, or the number is zero or that of its base.
    pub fn decode(bytes: &[u8]) -> Result<Numbers, DecodeError> {
        Numbers::read(&mut Reader::new(bytes))
    }

    /// Whether the update needs no other one.
    pub const fn is_keyframe(self) -> bool {
        self.base == 0
    }

    fn read(reader: &mut Reader<'_>) -> Result<Numbers, DecodeError> {
        let bad = reader.error("number of the update is zero or that of its base");
        let numbers = Numbers { number: reader.u32()?, base: reader.u32()? };
        if numbers.number == 0 || numbers.number == numbers.base { Err(bad) } else { Ok(numbers) }
    }
}

/// An update that turns `base` into `screen`: a change, or a keyframe if there is no base or if it has another
/// size; then `numbers.base` is written as zero.
///
/// What is over a limit of [`screen`](super) is left out: the end of a title, of marks, of a link; bits of a style
/// and of a colour that mean nothing; extras beyond [`EXTRAS_MAX`] or the grid. A cursor outside of the grid is
/// brought into it.
pub fn encode_update(numbers: Numbers, base: Option<&Screen>, screen: &Screen) -> Vec<u8> {
    let base = base.filter(|base| (base.columns, base.rows) == (screen.columns, screen.rows));
    let mut out = Vec::new();
    out.extend_from_slice(&numbers.number.to_le_bytes());
    out.extend_from_slice(&base.map_or(0, |_| numbers.base).to_le_bytes());
    out.extend_from_slice(&screen.columns.to_le_bytes());
    out.extend_from_slice(&screen.rows.to_le_bytes());
    let parts_at = out.len();
    out.extend_from_slice(&[0; 2]);

    let empty;
    let base = match base {
        Some(base) => base,
        None => {
            empty = Screen::new(screen.columns, screen.rows);
            &empty
        }
    };
    let mut present = 0;
    let cursor = within(screen.cursor, screen.columns, screen.rows);
    if cursor != base.cursor {
        present |= parts::CURSOR;
        out.extend_from_slice(&[cursor.shape as u8, u8::from(cursor.blinks)]);
        out.extend_from_slice(&cursor.column.to_le_bytes());
        out.extend_from_slice(&cursor.row.to_le_bytes());
        put_color(&mut out, cursor.color);
    }
    if screen.background != base.background {
        present |= parts::BACKGROUND;
        put_color(&mut out, screen.background);
    }
    if screen.scroll_offset != base.scroll_offset {
        present |= parts::SCROLL_OFFSET;
        out.extend_from_slice(&screen.scroll_offset.to_le_bytes());
    }
    if screen.history != base.history {
        present |= parts::HISTORY;
        out.extend_from_slice(&screen.history.to_le_bytes());
    }
    if screen.title != base.title {
        present |= parts::TITLE;
        let title = cut(&screen.title, TITLE_LEN_MAX);
        out.extend_from_slice(&(title.len() as u16).to_le_bytes());
        out.extend_from_slice(title.as_bytes());
    }
    let moves = super::moves::find(base, screen);
    let mut moved;
    let base = if moves.is_empty() {
        base
    } else {
        present |= parts::MOVES;
        out.push(moves.len() as u8);
        moved = base.clone();
        for one in &moves {
            [one.from, one.to, one.rows].iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
            apply_move(&mut moved, *one);
        }
        &moved
    };
    if put_cells(&mut out, &base.cells, &screen.cells) {
        present |= parts::CELLS;
    }
    if put_extras(&mut out, &base.extras, &screen.extras, screen.cells.len() as u32) {
        present |= parts::EXTRAS;
    }
    out[parts_at..parts_at + 2].copy_from_slice(&present.to_le_bytes());
    out
}

/// Turns `screen` into what this update says, and gives the update's numbers. Whether a change builds on that
/// very screen is the caller's to know: compare the numbers first. A keyframe may be applied to any screen.
///
/// Allocates no more than a screen of the update's size takes (16 bytes a cell), and its extras (at most
/// [`EXTRAS_MAX`], each within its limits).
///
/// # Errors
/// The layout is broken, a limit is passed, or a change is for a screen of another size. Then the screen is still
/// a screen, but holds anything: a keyframe is needed.
pub fn apply_update(screen: &mut Screen, bytes: &[u8]) -> Result<Numbers, DecodeError> {
    let mut reader = Reader::new(bytes);
    let r = &mut reader;
    if r.remaining() > UPDATE_LEN_MAX {
        return Err(r.error("update is too long"));
    }
    let numbers = Numbers::read(r)?;
    let bad_size = r.error("size is out of range");
    let other_size = r.error("size is not that of the screen");
    let (columns, rows) = (r.u16()?, r.u16()?);
    if !(1..=COLUMNS_MAX).contains(&columns) || !(1..=ROWS_MAX).contains(&rows) {
        return Err(bad_size);
    }
    let same_size = (columns, rows) == (screen.columns, screen.rows);
    if numbers.is_keyframe() {
        if same_size {
            screen.clear();
        } else {
            *screen = Screen::new(columns, rows);
        }
    } else if !same_size {
        return Err(other_size);
    }
    let unknown = r.error("unknown part");
    let present = r.u16()?;
    if present & !parts::ALL != 0 {
        return Err(unknown);
    }
    if present & parts::CURSOR != 0 {
        screen.cursor = cursor(r, columns, rows)?;
    }
    if present & parts::BACKGROUND != 0 {
        screen.background = color(r)?;
    }
    if present & parts::SCROLL_OFFSET != 0 {
        screen.scroll_offset = r.u32()?;
    }
    if present & parts::HISTORY != 0 {
        screen.history = r.u32()?;
    }
    if present & parts::TITLE != 0 {
        let too_long = r.error("title is too long");
        let len = usize::from(r.u16()?);
        if len > TITLE_LEN_MAX {
            return Err(too_long);
        }
        screen.title = r.text(len)?.into();
    }
    if present & parts::MOVES != 0 {
        let bad = r.error("a move is outside of the grid, or there are too many");
        for left in (0..r.u8()?).rev() {
            let one = Move { from: r.u16()?, to: r.u16()?, rows: r.u16()? };
            let end = u32::from(one.from.max(one.to)) + u32::from(one.rows);
            if usize::from(left) >= MOVES_MAX || end > u32::from(rows) {
                return Err(bad);
            }
            apply_move(screen, one);
        }
    }
    if present & parts::CELLS != 0 {
        cells(r, &mut screen.cells)?;
    }
    if present & parts::EXTRAS != 0 {
        extras(r, &mut screen.extras, screen.cells.len() as u32)?;
    }
    r.end()?;
    Ok(numbers)
}

/// The rows `to..to + rows` get what stands in `from..from + rows`; all others stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) from: u16,
    pub(super) to: u16,
    pub(super) rows: u16,
}

fn apply_move(screen: &mut Screen, one: Move) {
    let columns = usize::from(screen.columns);
    let at = |row: u16| usize::from(row) * columns;
    let len = at(one.rows);
    screen.cells.copy_within(at(one.from)..at(one.from) + len, at(one.to));
    if screen.extras.is_empty() || one.from == one.to {
        return;
    }
    let cut_out = |extras: &BTreeMap<u32, Extra>, from: u16| -> Vec<(u32, Extra)> {
        let range = at(from) as u32..(at(from) + len) as u32;
        extras.range(range).map(|(index, extra)| (*index, extra.clone())).collect()
    };
    let moved = cut_out(&screen.extras, one.from);
    let (start, end) = (at(one.to) as u32, (at(one.to) + len) as u32);
    screen.extras.retain(|index, _| !(start..end).contains(index));
    for (index, extra) in moved {
        if screen.extras.len() >= EXTRAS_MAX {
            break;
        }
        screen.extras.insert(index - at(one.from) as u32 + start, extra);
    }
}

fn put_color(out: &mut Vec<u8>, color: u32) {
    out.extend_from_slice(&color.to_le_bytes()[..3]);
}

fn color(r: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let [blue, green, red] = r.array()?;
    Ok(u32::from_le_bytes([blue, green, red, 0]))
}

fn put_varint(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn varint(r: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let too_large = r.error("number is over 32 bits");
    let mut number = 0;
    for shift in (0..32).step_by(7) {
        let byte = r.u8()?;
        let bits = u32::from(byte & 0x7F);
        if shift == 28 && bits > 0xF {
            break;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(too_large)
}

fn put_char(out: &mut Vec<u8>, character: char) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

fn character(r: &mut Reader<'_>) -> Result<char, DecodeError> {
    let bad = r.error("character is not UTF-8");
    let mut bytes = [r.u8()?, 0, 0, 0];
    let len = match bytes[0] {
        ascii @ 0..0x80 => return Ok(char::from(ascii)),
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        0xF0..0xF8 => 4,
        _ => return Err(bad),
    };
    bytes[1..len].copy_from_slice(r.bytes(len - 1)?);
    let text = core::str::from_utf8(&bytes[..len]).map_err(|_not_utf8| bad)?;
    text.chars().next().ok_or(bad)
}

/// The text up to a length that does not cut a character apart.
fn cut(text: &str, len_max: usize) -> &str {
    &text[..text.floor_char_boundary(len_max)]
}

fn within(cursor: Cursor, columns: u16, rows: u16) -> Cursor {
    Cursor { column: cursor.column.min(columns - 1), row: cursor.row.min(rows - 1), ..cursor }
}

fn cursor(r: &mut Reader<'_>, columns: u16, rows: u16) -> Result<Cursor, DecodeError> {
    let unknown = r.error("unknown shape of a cursor");
    let shape = match r.u8()? {
        0 => CursorShape::Hidden,
        1 => CursorShape::Block,
        2 => CursorShape::Underline,
        3 => CursorShape::Bar,
        4 => CursorShape::Hollow,
        _ => return Err(unknown),
    };
    let blinks = r.bool()?;
    let outside = r.error("cursor is outside of the grid");
    let (column, row) = (r.u16()?, r.u16()?);
    if column >= columns || row >= rows {
        return Err(outside);
    }
    Ok(Cursor { shape, column, row, color: color(r)?, blinks })
}

/// What a cell looks like without its character.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pen {
    foreground: u32,
    background: u32,
    style: u32,
}

impl Pen {
    /// That of an empty screen.
    const FIRST: Pen = Pen { foreground: 0x00FF_FFFF, background: 0, style: 0 };

    const fn of(cell: &Cell) -> Pen {
        Pen {
            foreground: cell.foreground & 0x00FF_FFFF,
            background: cell.background & 0x00FF_FFFF,
            style: cell.style & style::ALL,
        }
    }

    const fn cell(self, character: char) -> Cell {
        Cell { character, foreground: self.foreground, background: self.background, style: self.style }
    }

    /// Writes what differs.
    fn change(&mut self, out: &mut Vec<u8>, to: Pen) {
        let what = u32::from(self.foreground != to.foreground)
            | u32::from(self.background != to.background) << 1
            | u32::from(self.style != to.style) << 2;
        if what == 0 {
            return;
        }
        put_varint(out, what << 2 | run::PEN);
        if what & 1 != 0 {
            put_color(out, to.foreground);
        }
        if what & 2 != 0 {
            put_color(out, to.background);
        }
        if what & 4 != 0 {
            out.extend_from_slice(&(to.style as u16).to_le_bytes());
        }
        *self = to;
    }
}

/// How many cells in a row must be alike before they are written as one.
const REPEAT_MIN: usize = 4;
/// How many cells in a row must have stayed before they are skipped rather than written again.
const SKIP_MIN: usize = 3;

/// Writes the runs that turn `old` into `new`, and a zero at the end; nothing if they are equal.
fn put_cells(out: &mut Vec<u8>, old: &[Cell], new: &[Cell]) -> bool {
    let same = |index: usize| old[index] == new[index];
    let Some(end) = (0..new.len()).rev().find(|index| !same(*index)).map(|last| last + 1) else {
        return false;
    };
    let mut pen = Pen::FIRST;
    let mut at = 0;
    while at < end {
        let stay = (at..end).take_while(|index| same(*index)).count();
        if stay > 0 {
            put_varint(out, (stay as u32) << 2 | run::SKIP);
            at += stay;
        }
        // There is a cell to write: the last one before the end differs.
        pen.change(out, Pen::of(&new[at]));
        let alike = new[at..end].iter().take_while(|cell| **cell == new[at]).count();
        if alike >= REPEAT_MIN {
            put_varint(out, (alike as u32) << 2 | run::REPEAT);
            put_char(out, new[at].character);
            at += alike;
            continue;
        }
        let start = at;
        let (mut stayed, mut repeated) = (0, 1);
        while at < end && Pen::of(&new[at]) == pen {
            stayed = if same(at) { stayed + 1 } else { 0 };
            repeated = if at > start && new[at] == new[at - 1] { repeated + 1 } else { 1 };
            at += 1;
            if stayed == SKIP_MIN || repeated == REPEAT_MIN {
                at -= if stayed == SKIP_MIN { SKIP_MIN } else { REPEAT_MIN };
                break;
            }
        }
        put_varint(out, ((at - start) as u32) << 2 | run::TEXT);
        new[start..at].iter().for_each(|cell| put_char(out, cell.character));
    }
    put_varint(out, run::SKIP);
    true
}

/// Reads runs up to the zero.
fn cells(r: &mut Reader<'_>, cells: &mut [Cell]) -> Result<(), DecodeError> {
    let mut pen = Pen::FIRST;
    let mut left = cells;
    loop {
        let beyond = r.error("run of cells leaves the grid");
        let code = varint(r)?;
        let (kind, count) = (code & 3, code >> 2);
        if kind == run::PEN {
            if !(1..8).contains(&count) {
                return Err(beyond);
            }
            if count & 1 != 0 {
                pen.foreground = color(r)?;
            }
            if count & 2 != 0 {
                pen.background = color(r)?;
            }
            if count & 4 != 0 {
                let unknown = r.error("unknown style");
                pen.style = u32::from(r.u16()?);
                if pen.style & !style::ALL != 0 {
                    return Err(unknown);
                }
            }
            continue;
        }
        let Some((run, rest)) = left.split_at_mut_checked(count as usize) else { return Err(beyond) };
        left = rest;
        match kind {
            run::SKIP if count == 0 => return Ok(()),
            run::SKIP => {}
            run::TEXT => {
                for cell in run {
                    *cell = pen.cell(character(r)?);
                }
            }
            _ => run.fill(pen.cell(character(r)?)),
        }
    }
}

/// Writes what turns `old` into `new`: a varint count, and for each the difference of its index to the one before
/// (varint), what it has, and that; one that has nothing goes. Writes nothing if they are equal.
fn put_extras(out: &mut Vec<u8>, old: &BTreeMap<u32, Extra>, new: &BTreeMap<u32, Extra>, cells: u32) -> bool {
    let kept = || new.range(..cells).take(EXTRAS_MAX);
    let last = kept().last().map(|(index, _)| *index);
    let is_kept = |index: &u32| Some(*index) <= last && new.contains_key(index);
    let gone = old.keys().filter(|index| !is_kept(index)).map(|index| (*index, None));
    let changed = kept().filter(|(index, extra)| old.get(index) != Some(*extra));
    // Those that go come first, so that there is room.
    let gone: Vec<(u32, Option<&Extra>)> = gone.collect();
    let changed: Vec<(u32, Option<&Extra>)> = changed.map(|(index, extra)| (*index, Some(extra))).collect();
    if gone.is_empty() && changed.is_empty() {
        return false;
    }
    for list in [gone, changed] {
        put_varint(out, list.len() as u32);
        let (mut before, mut link_before) = (0, None);
        for (index, extra) in list {
            put_varint(out, index - before);
            before = index;
            let Some(extra) = extra else { continue };
            let marks = cut(&extra.marks, MARKS_LEN_MAX);
            let link = extra.link.as_deref().map(|link| cut(link, LINK_LEN_MAX));
            let same_link = link.is_some() && link == link_before;
            out.push(
                (if marks.is_empty() { 0 } else { has::MARKS })
                    | (if extra.underline.is_some() { has::UNDERLINE } else { 0 })
                    | (if same_link {
                        has::SAME_LINK
                    } else if link.is_some() {
                        has::LINK
                    } else {
                        0
                    }),
            );
            if !marks.is_empty() {
                out.push(marks.len() as u8);
                out.extend_from_slice(marks.as_bytes());
            }
            if let Some(underline) = extra.underline {
                put_color(out, underline);
            }
            if let Some(link) = link {
                if !same_link {
                    out.extend_from_slice(&(link.len() as u16).to_le_bytes());
                    out.extend_from_slice(link.as_bytes());
                }
                link_before = Some(link);
            }
        }
    }
    true
}

fn extras(r: &mut Reader<'_>, extras: &mut BTreeMap<u32, Extra>, cells: u32) -> Result<(), DecodeError> {
    let index_after = |r: &mut Reader<'_>, before: u32| {
        let outside = r.error("extra is outside of the grid");
        let index = varint(r)?.checked_add(before).filter(|index| *index < cells);
        index.ok_or(outside)
    };
    let mut index = 0;
    for _ in 0..varint(r)? {
        index = index_after(r, index)?;
        extras.remove(&index);
    }
    index = 0;
    let mut link_before: Option<String> = None;
    for _ in 0..varint(r)? {
        index = index_after(r, index)?;
        let unknown = r.error("unknown sort of extra");
        let what = r.u8()?;
        if what & !has::ALL != 0 || what & (has::LINK | has::SAME_LINK) == has::LINK | has::SAME_LINK {
            return Err(unknown);
        }
        let mut extra = Extra::default();
        if what & has::MARKS != 0 {
            let too_long = r.error("marks are too long");
            let len = usize::from(r.u8()?);
            if len > MARKS_LEN_MAX {
                return Err(too_long);
            }
            extra.marks = r.text(len)?.into();
        }
        if what & has::UNDERLINE != 0 {
            extra.underline = Some(color(r)?);
        }
        if what & has::LINK != 0 {
            let too_long = r.error("link is too long");
            let len = usize::from(r.u16()?);
            if len > LINK_LEN_MAX {
                return Err(too_long);
            }
            link_before = Some(r.text(len)?.to_string());
        }
        if what & has::SAME_LINK != 0 && link_before.is_none() {
            return Err(unknown);
        }
        if what & (has::LINK | has::SAME_LINK) != 0 {
            extra.link = link_before.clone();
        }
        if extras.len() >= EXTRAS_MAX && !extras.contains_key(&index) {
            return Err(r.error("too many extras"));
        }
        extras.insert(index, extra);
    }
    Ok(())
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
