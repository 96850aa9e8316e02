// SPDX-License-Identifier: AGPL-3.0-or-later
//! Finds what has scrolled between two screens, so that lines which are only elsewhere are not sent again.

use super::{
    Cell, Screen,
    update::{MOVES_MAX, Move},
};
use alloc::{collections::BTreeMap, vec::Vec};

/// A number that is nearly always another one for another row.
fn hash(row: &[Cell]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    row.iter().fold(row.len() as u64, |hash, cell| {
        let colors = u64::from(cell.foreground) << 32 | u64::from(cell.background);
        let rest = u64::from(u32::from(cell.character)) << 32 | u64::from(cell.style);
        let hash = (hash.rotate_left(5) ^ colors).wrapping_mul(FACTOR);
        (hash.rotate_left(5) ^ rest).wrapping_mul(FACTOR)
    })
}

/// Moves of rows after which `old`, a screen of the same size, has more rows in common with `new`.
pub(super) fn find(old: &Screen, new: &Screen) -> Vec<Move> {
    let rows = new.rows();
    let mut moves = Vec::new();
    if rows < 2 {
        return moves;
    }
    // Hashes stand for rows: a wrong guess costs bytes, and is no error.
    let mut have: Vec<u64> = (0..rows).map(|row| hash(old.row(row))).collect();
    let want: Vec<u64> = (0..rows).map(|row| hash(new.row(row))).collect();
    while moves.len() < MOVES_MAX {
        let Some(one) = best(&have, &want) else { break };
        let (from, to, len) = (usize::from(one.from), usize::from(one.to), usize::from(one.rows));
        have.copy_within(from..from + len, to);
        moves.push(one);
    }
    moves
}

/// The move by one distance that gives the most rows their place, if it gives any.
fn best(have: &[u64], want: &[u64]) -> Option<Move> {
    // Where each row stood that stood at one place only: blank lines and rulers say nothing.
    let mut places: BTreeMap<u64, Option<usize>> = BTreeMap::new();
    for (row, hash) in have.iter().enumerate() {
        places.entry(*hash).and_modify(|place| *place = None).or_insert(Some(row));
    }
    let mut votes: BTreeMap<isize, u32> = BTreeMap::new();
    for (row, hash) in want.iter().enumerate() {
        if have[row] == *hash {
            continue;
        }
        if let Some(Some(place)) = places.get(hash) {
            *votes.entry(*place as isize - row as isize).or_default() += 1;
        }
    }
    let (distance, _) = votes.into_iter().max_by_key(|(distance, votes)| (*votes, -distance.abs()))?;
    // Of the rows that such a move could fill, the stretch with the largest gain.
    let (mut gain, mut start, mut top) = (0, 0, (0, 0, 0));
    for row in 0..want.len() {
        let Some(source) = row.checked_add_signed(distance).filter(|source| *source < have.len()) else {
            continue;
        };
        let (is, will) = (have[row] == want[row], have[source] == want[row]);
        if gain == 0 {
            start = row;
        }
        gain = (gain + i32::from(will) - i32::from(is)).max(0);
        if gain > top.0 {
            top = (gain, start, row + 1);
        }
    }
    let (gain, start, end) = top;
    let from = start.checked_add_signed(distance)?;
    (gain > 0).then_some(Move { from: from as u16, to: start as u16, rows: (end - start) as u16 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::vec;

    fn check(old: &str, new: &str, expected: &[(u16, u16, u16)]) {
        let screen = |text: &str| {
            let mut screen = Screen::new(1, text.chars().count() as u16);
            for (cell, character) in screen.cells_mut().iter_mut().zip(text.chars()) {
                cell.character = character;
            }
            screen
        };
        let found = find(&screen(old), &screen(new));
        let found: Vec<_> = found.into_iter().map(|one| (one.from, one.to, one.rows)).collect();
        assert_eq!(found, expected, "{old} -> {new}");
    }

    #[test]
    fn what_scrolled_is_found() {
        check("abcdef", "abcdef", &[]);
        check("abcdef", "ABCDEF", &[]);
        check("abcdef", "bcdefg", &[(1, 0, 5)]);
        check("abcdef", "defghi", &[(3, 0, 3)]);
        check("abcdef", "zabcde", &[(0, 1, 5)]);
        // A region between two lines that stay.
        check("=abcd=", "=bcde=", &[(2, 1, 3)]);
        // A line in the middle has changed as well.
        check("abcdefg", "bcXefgh", &[(1, 0, 6)]);
        // Blank lines are everywhere, and go along.
        check("a  b  ", "  b  c", &[(1, 0, 4)]);
        // Two regions in opposite directions.
        check("abcd|efgh", "bcdx|yefg", &[(1, 0, 3), (5, 6, 3)]);
    }

    #[test]
    fn nothing_is_found_where_nothing_is_to_gain() {
        check("a", "b", &[]);
        check("    ", "x   ", &[]);
        check("xxxx", "yyyy", &[]);
        assert_eq!(best(&[1, 2, 3], &[1, 2, 3]), None);
        assert_eq!(best(&[], &[]), None);
        assert_eq!(find(&Screen::new(3, 3), &Screen::new(3, 3)), vec![]);
    }
}
