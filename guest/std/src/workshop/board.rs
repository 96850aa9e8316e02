// SPDX-License-Identifier: AGPL-3.0-or-later
//! The form of a board: a terminal with a frame, a bar with its title above, and a line below.
//!
//! Everything is measured in heights of a cell, so that a board that is scaled keeps its looks.

use super::ray::Pose;
use hearth_sdk::abi::scene::TerminalView;

/// Columns, rows and height of a cell of a new board: about 1.4 m × 0.94 m.
pub(super) const FIRST: Form = Form { columns: 100, rows: 30, cell: 0.0305 };
/// How small and large cells may be, in metres.
const CELL: [f32; 2] = [0.006, 0.25];
/// How few and many columns there may be.
const COLUMNS: [u16; 2] = [20, 400];
/// How few and many rows.
const ROWS: [u16; 2] = [4, 200];

/// Width of the frame, in cells as all below.
pub(super) const FRAME: f32 = 0.4;
/// Height of the bar.
pub(super) const BAR: f32 = 1.7;
/// From the frame to the middle of the line below.
pub(super) const LINE: f32 = 1.1;
/// From the frame to the middle of the buttons below the line.
pub(super) const BUTTONS: f32 = 2.9;
/// Half the width and height of a button, and how far its middle is from the board's.
pub(super) const BUTTON: [f32; 3] = [2.4, 0.8, 3.2];
/// How far from an edge one may be to take hold of it.
const HOLD: f32 = 0.5;
/// How far from a corner.
const CORNER: f32 = 1.6;

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Form {
    pub(super) columns: u16,
    pub(super) rows: u16,
    /// Height of a cell in metres.
    pub(super) cell: f32,
}

/// A part of a board that does something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// A place of the terminal, in columns and rows.
    Grid([f32; 2]),
    /// The bar: moves it.
    Bar,
    /// The button that closes it.
    Close,
    /// An edge, by how far it is to the right and up of the middle (−1, 0 or 1): changes columns or rows.
    Edge([f32; 2]),
    /// A lower corner, in the same way: scales it.
    Corner([f32; 2]),
    /// The answers to a question.
    Yes,
    No,
}

impl Form {
    /// Width and height of the terminal in metres.
    pub(super) fn size(&self) -> [f32; 2] {
        TerminalView::size(self.cell, self.columns, self.rows)
    }

    /// What is at this place, in metres to the right of the middle and up. The answers are there only
    /// while there is a question.
    pub(super) fn part(&self, [x, y]: [f32; 2], asks: bool) -> Option<Part> {
        let [width, height] = self.size();
        let c = self.cell;
        let (right, top) = (width * 0.5, height * 0.5);
        if asks {
            let [half_width, half_height, middle] = BUTTON.map(|part| part * c);
            let of_line = (y + top + (FRAME + BUTTONS) * c).abs() < half_height;
            for (button, at) in [(Part::Yes, -middle), (Part::No, middle)] {
                if of_line && (x - at).abs() < half_width {
                    return Some(button);
                }
            }
        }
        let outer = right + FRAME * c;
        if y > top && y < top + (BAR + FRAME) * c && x.abs() < outer {
            return Some(if x > right - BAR * c { Part::Close } else { Part::Bar });
        }
        let [side, below] = [x.abs() - right, -top - y];
        if side > (FRAME + HOLD) * c || below > (FRAME + HOLD) * c || y > top {
            return None;
        }
        let far = CORNER * c;
        if x.abs() > right - far && below > -far && (side > 0.0 || below > 0.0) {
            return Some(Part::Corner([x.signum(), -1.0]));
        }
        if side > 0.0 {
            return Some(Part::Edge([x.signum(), 0.0]));
        }
        if below > 0.0 {
            return Some(Part::Edge([0.0, -1.0]));
        }
        Some(Part::Grid(self.cells([x, y])))
    }

    /// The columns and rows at this place, which may lie outside.
    pub(super) fn cells(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [width, height] = self.size();
        let margin = TerminalView::MARGIN * self.cell;
        [
            (x + width * 0.5 - margin) / (self.cell * TerminalView::CELL_WIDTH),
            (height * 0.5 - margin - y) / self.cell,
        ]
    }

    /// With so many metres more on a side that is held, whose opposite stays where it is.
    pub(super) fn widened(&self, pose: Pose, side: [f32; 2], by: [f32; 2]) -> (Form, Pose) {
        let count = |now: u16, more: f32, [least, most]: [u16; 2]| {
            let wanted = f32::from(now) + if more.is_finite() { more } else { 0.0 };
            wanted.round().clamp(f32::from(least), f32::from(most)) as u16
        };
        let mut form = *self;
        if side[0] != 0.0 {
            let more = by[0] * side[0] / (self.cell * TerminalView::CELL_WIDTH);
            form.columns = count(self.columns, more, COLUMNS);
        }
        if side[1] != 0.0 {
            form.rows = count(self.rows, by[1] * side[1] / self.cell, ROWS);
        }
        let (before, after) = (self.size(), form.size());
        let shift = [0, 1].map(|axis| side[axis] * (after[axis] - before[axis]) * 0.5);
        (form, pose.moved(shift))
    }

    /// Scaled so that the corner that was taken at one place is at another; the opposite one stays.
    pub(super) fn scaled(
        &self,
        pose: Pose,
        corner: [f32; 2],
        taken: [f32; 2],
        now: [f32; 2],
    ) -> (Form, Pose) {
        let [width, height] = self.size();
        let opposite = [-corner[0] * width * 0.5, -corner[1] * height * 0.5];
        let way = [taken[0] - opposite[0], taken[1] - opposite[1]];
        let along = (now[0] - opposite[0]) * way[0] + (now[1] - opposite[1]) * way[1];
        let factor = along / (way[0] * way[0] + way[1] * way[1]).max(1e-9);
        let form = Form { cell: (self.cell * factor).clamp(CELL[0], CELL[1]), ..*self };
        let factor = form.cell / self.cell;
        (form, pose.moved(opposite.map(|edge| edge * (1.0 - factor))))
    }

    /// With larger or smaller cells, so that it covers about the same wall.
    pub(super) fn zoomed(&self, steps: i32) -> Form {
        self.zoomed_to(self.cell * 1.1f32.powi(steps))
    }

    /// With cells of this height, so that it covers about the same wall.
    pub(super) fn zoomed_to(&self, cell: f32) -> Form {
        let cell = cell.clamp(CELL[0], CELL[1]);
        let keep = |count: u16, [least, most]: [u16; 2]| {
            (f32::from(count) * self.cell / cell).round().clamp(f32::from(least), f32::from(most)) as u16
        };
        Form { columns: keep(self.columns, COLUMNS), rows: keep(self.rows, ROWS), cell }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_sdk::prelude::*;

    const HERE: Pose = Pose { at: Vec3::ZERO, turn: Quat::IDENTITY };

    fn near(a: [f32; 2], b: [f32; 2]) -> bool {
        (a[0] - b[0]).abs() < 1e-3 && (a[1] - b[1]).abs() < 1e-3
    }

    #[test]
    fn a_new_board_has_a_pleasing_size() {
        let [width, height] = FIRST.size();
        assert!((1.3..1.5).contains(&width) && (0.9..1.0).contains(&height), "{width} × {height}");
    }

    #[test]
    fn parts_are_where_one_sees_them() {
        let [right, top] = FIRST.size().map(|side| side * 0.5);
        let c = FIRST.cell;
        for (at, part) in [
            ([0.0, top + c], Some(Part::Bar)),
            ([-right, top + c], Some(Part::Bar)),
            ([right - 0.5 * c, top + c], Some(Part::Close)),
            ([right + 0.2 * c, 0.0], Some(Part::Edge([1.0, 0.0]))),
            ([-right - 0.2 * c, 0.0], Some(Part::Edge([-1.0, 0.0]))),
            ([0.0, -top - 0.2 * c], Some(Part::Edge([0.0, -1.0]))),
            ([right + 0.1 * c, -top - 0.1 * c], Some(Part::Corner([1.0, -1.0]))),
            ([-right + c, -top - 0.1 * c], Some(Part::Corner([-1.0, -1.0]))),
            ([right + 2.0 * c, 0.0], None),
            ([0.0, top + 3.0 * c], None),
            ([0.0, -top - 2.0 * c], None),
        ] {
            assert_eq!(FIRST.part(at, false), part, "{at:?}");
        }
        let Some(Part::Grid(middle)) = FIRST.part([0.0, 0.0], false) else { panic!("the grid is there") };
        assert!(near(middle, [50.0, 15.0]), "{middle:?}");
        let answer = [-BUTTON[2] * c, -top - (FRAME + BUTTONS) * c];
        assert_eq!(FIRST.part(answer, true), Some(Part::Yes));
        assert_eq!(FIRST.part([-answer[0], answer[1]], true), Some(Part::No));
        assert_eq!(FIRST.part(answer, false), None, "there is no question");
    }

    #[test]
    fn the_first_and_the_last_cell() {
        let [right, top] = FIRST.size().map(|side| side * 0.5);
        let margin = TerminalView::MARGIN * FIRST.cell;
        assert!(near(FIRST.cells([-right + margin, top - margin]), [0.0, 0.0]));
        assert!(near(FIRST.cells([right - margin, -top + margin]), [100.0, 30.0]));
    }

    #[test]
    fn an_edge_that_is_dragged_leaves_the_opposite_one() {
        let [width, height] = FIRST.size();
        let (form, pose) = FIRST.widened(HERE, [1.0, 0.0], [0.3, 9.0]);
        assert!(form.columns > 120 && form.rows == 30 && form.cell == FIRST.cell, "{form:?}");
        let left = pose.at.x - form.size()[0] * 0.5;
        assert!((left + width * 0.5).abs() < 1e-4 && pose.at.y == 0.0);
        let (form, pose) = FIRST.widened(HERE, [0.0, -1.0], [9.0, 0.3]);
        assert!(form.rows < 22 && form.columns == 100, "{form:?}");
        assert!((pose.at.y + form.size()[1] * 0.5 - height * 0.5).abs() < 1e-4);
        // It stops where it would be of no use.
        let (small, _) = FIRST.widened(HERE, [-1.0, -1.0], [99.0, 99.0]);
        assert_eq!((small.columns, small.rows), (20, 4));
        let (large, _) = FIRST.widened(HERE, [-1.0, -1.0], [-99.0, -99.0]);
        assert_eq!((large.columns, large.rows), (400, 200));
        assert_eq!(FIRST.widened(HERE, [1.0, 0.0], [f32::NAN, 0.0]).0, FIRST);
    }

    #[test]
    fn a_corner_that_is_dragged_scales() {
        let [width, height] = FIRST.size();
        let (corner, taken) = ([1.0, -1.0], [width * 0.5, -height * 0.5]);
        let (form, pose) = FIRST.scaled(HERE, corner, taken, [width * 1.5, -height * 1.5]);
        assert!((form.cell / FIRST.cell - 2.0).abs() < 1e-3, "{form:?}");
        assert_eq!((form.columns, form.rows), (100, 30));
        assert!(near([pose.at.x, pose.at.y], [width * 0.5, -height * 0.5]));
        let (same, still) = FIRST.scaled(HERE, corner, taken, taken);
        assert!((same.cell - FIRST.cell).abs() < 1e-6 && near([still.at.x, still.at.y], [0.0, 0.0]));
        let (small, _) = FIRST.scaled(HERE, corner, taken, [-9.0, 9.0]);
        assert_eq!(small.cell, CELL[0]);
    }

    #[test]
    fn larger_letters_are_fewer() {
        let larger = FIRST.zoomed(3);
        assert!(larger.cell > 0.04 && larger.columns == 75 && larger.rows == 23, "{larger:?}");
        assert!((larger.size()[0] / FIRST.size()[0] - 1.0).abs() < 0.02);
        assert_eq!(FIRST.zoomed(0), FIRST);
    }
}
