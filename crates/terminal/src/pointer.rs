// SPDX-License-Identifier: AGPL-3.0-or-later
//! The pointer on a terminal: it goes to the program if that asked for it, and else it selects and scrolls.

use crate::{
    emulator::{Emulator, line_at},
    mouse::{self, Mouse, Wishes},
};
use alacritty_terminal::{
    index::{Column, Point, Side},
    selection::{Selection, SelectionType},
    term::TermMode,
};
use hearth_abi::terminal::{Event, Modifiers, Pointer, PointerAction};

/// Most lines that the wheel turns at once.
pub(crate) const WHEEL_MAX: f32 = 100.0;
/// Most lines that the view moves when a selection is drawn beyond its edge, for each move of the pointer.
const DRAG_SCROLL_MAX: i32 = 5;

/// What the pointer was doing.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Buttons whose press went to the program, which hears of their release too: a bit each.
    reported: u8,
    /// The cell of the last report of a move.
    reported_at: Option<(u16, u16)>,
    /// A selection is being drawn.
    selects: bool,
    /// The cell where the left button went down, until the pointer leaves it.
    pressed_at: Option<(u16, u16)>,
    /// Turns of the wheel that are less than a line, right and up.
    turned: [f32; 2],
}

impl State {
    /// The grid has another size. The program still hears of the buttons that it knows to be down.
    pub(crate) fn resized(&mut self) {
        (self.reported_at, self.pressed_at) = (None, None);
    }
}

impl Emulator {
    fn wishes(&self) -> Wishes {
        Wishes::new(*self.term.mode(), self.beside.x10_mouse, self.beside.urxvt_mouse)
    }

    /// The cell under a place, and in which half of it that is. Places outside are brought to the edge.
    fn cell_at(&self, column: f32, row: f32) -> ((u16, u16), Side) {
        let (columns, rows) = self.size();
        let place = |value: f32, count: u16| (value.max(0.0) as u16).min(count - 1);
        let cell = (place(column, columns), place(row, rows));
        let right = column - f32::from(cell.0) >= 0.5;
        (cell, if right { Side::Right } else { Side::Left })
    }

    fn report(&mut self, mouse: Mouse, modifiers: Modifiers, cell: (u16, u16)) {
        if let Some(report) = mouse::report(mouse, modifiers, cell, self.wishes()) {
            self.output.extend_from_slice(&report);
        }
    }

    pub(crate) fn point(&mut self, pointer: Pointer) {
        let (cell, side) = self.cell_at(pointer.column, pointer.row);
        let bit = 1_u8.checked_shl(u32::from(pointer.button)).unwrap_or(0);
        let modifiers = pointer.modifiers;
        let wanted = self.wishes().any() && !modifiers.has(Modifiers::SHIFT);
        match pointer.action {
            PointerAction::Press if wanted => {
                self.pointer.reported |= bit;
                self.pointer.reported_at = Some(cell);
                self.report(Mouse::Press(pointer.button), modifiers, cell);
            }
            PointerAction::Press if pointer.button == 0 => self.press(&pointer, cell, side),
            PointerAction::Press => {}
            PointerAction::Release if self.pointer.reported & bit != 0 => {
                self.pointer.reported &= !bit;
                self.report(Mouse::Release(pointer.button), modifiers, cell);
            }
            PointerAction::Release if pointer.button == 0 => self.release(modifiers, cell),
            PointerAction::Release => {}
            PointerAction::Move if self.pointer.selects => self.draw(&pointer, cell, side),
            PointerAction::Move => {
                let held = pointer.button != 255;
                let goes = if held { self.pointer.reported & bit != 0 } else { wanted };
                if goes && self.pointer.reported_at != Some(cell) {
                    self.pointer.reported_at = Some(cell);
                    self.report(Mouse::Move(pointer.button), modifiers, cell);
                }
            }
        }
    }

    fn press(&mut self, pointer: &Pointer, cell: (u16, u16), side: Side) {
        let point = self.point_at(cell);
        self.pointer.selects = true;
        self.pointer.pressed_at = Some(cell);
        self.changed = true;
        let extends = pointer.modifiers.has(Modifiers::SHIFT) && pointer.clicks <= 1 && !self.wishes().any();
        if extends && let Some(selection) = &mut self.term.selection {
            selection.update(point, side);
            return;
        }
        let sort = match pointer.clicks {
            2 => SelectionType::Semantic,
            3.. => SelectionType::Lines,
            _ if pointer.modifiers.has(Modifiers::ALT) => SelectionType::Block,
            _ => SelectionType::Simple,
        };
        self.term.selection = Some(Selection::new(sort, point, side));
    }

    fn draw(&mut self, pointer: &Pointer, cell: (u16, u16), side: Side) {
        if self.pointer.pressed_at != Some(cell) {
            self.pointer.pressed_at = None;
        }
        let (_, rows) = self.size();
        let beyond = if pointer.row < 0.0 { -pointer.row } else { (f32::from(rows) - pointer.row).min(0.0) };
        if beyond != 0.0 {
            let lines = beyond.abs().ceil() as i32;
            self.scroll(lines.min(DRAG_SCROLL_MAX) * beyond.signum() as i32);
        }
        let point = self.point_at(cell);
        if let Some(selection) = &mut self.term.selection {
            selection.update(point, side);
            self.changed = true;
        }
    }

    fn release(&mut self, modifiers: Modifiers, cell: (u16, u16)) {
        self.pointer.selects = false;
        match self.selected() {
            // To find the end of a word or a bracket takes time: once is enough.
            Some(range) => {
                if self.term.selection.as_ref().is_some_and(|one| one.ty == SelectionType::Semantic) {
                    self.select(range.start, range.end);
                }
            }
            None => self.term.selection = None,
        }
        let clicked = self.pointer.pressed_at.take() == Some(cell);
        if clicked && modifiers.has(Modifiers::CONTROL) {
            let link = self.term.grid()[self.point_at(cell)].hyperlink();
            if let Some(link) = link {
                self.events.push(Event::Link(link.uri().to_owned()));
            }
        }
    }

    fn point_at(&self, (column, row): (u16, u16)) -> Point {
        Point::new(line_at(&self.term, row), Column(column.into()))
    }

    pub(crate) fn wheel(&mut self, lines: [f32; 2], modifiers: Modifiers, at: [f32; 2]) {
        let whole = |turned: &mut f32, lines: f32| {
            // What is no number would stay with the rest of a turn.
            let lines = if lines.is_nan() { 0.0 } else { lines };
            // A turn in the other direction begins anew.
            *turned = if *turned * lines < 0.0 { lines } else { *turned + lines };
            *turned = turned.clamp(-WHEEL_MAX, WHEEL_MAX);
            let whole = turned.trunc();
            *turned -= whole;
            whole as i32
        };
        let [right, up] = &mut self.pointer.turned;
        let (right, up) = (whole(right, lines[0]), whole(up, lines[1]));
        let shift = modifiers.has(Modifiers::SHIFT);
        let mode = *self.term.mode();
        if self.wishes().any() && !shift {
            let (cell, _) = self.cell_at(at[0], at[1]);
            for (count, directions) in [(up, [0, 1]), (right, [3, 2])] {
                let direction = directions[usize::from(count < 0)];
                for _ in 0..count.unsigned_abs() {
                    self.report(Mouse::Wheel(direction), modifiers, cell);
                }
            }
        } else if mode.contains(TermMode::ALT_SCREEN | TermMode::ALTERNATE_SCROLL) && !shift {
            let start = if mode.contains(TermMode::APP_CURSOR) { b"\x1bO" } else { b"\x1b[" };
            for (count, keys) in [(up, [b'A', b'B']), (right, [b'C', b'D'])] {
                for _ in 0..count.unsigned_abs() {
                    self.output.extend_from_slice(start);
                    self.output.push(keys[usize::from(count < 0)]);
                }
            }
        } else if up != 0 {
            self.scroll(up);
        }
    }
}
