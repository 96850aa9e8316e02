// SPDX-License-Identifier: AGPL-3.0-or-later
//! Updates of screens: golden vectors, any two screens, and strangers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use proptest::prelude::*;
use std::format;

const FIRST: Numbers = Numbers { number: 1, base: 0 };
const SECOND: Numbers = Numbers { number: 2, base: 1 };

/// A screen with these lines, white on black.
fn screen(columns: u16, lines: &[&str]) -> Screen {
    let mut screen = Screen::new(columns, lines.len() as u16);
    for (row, line) in lines.iter().enumerate() {
        for (cell, character) in screen.cells_mut()[row * usize::from(columns)..].iter_mut().zip(line.chars())
        {
            cell.character = character;
        }
    }
    screen
}

/// The change from one to the other, which must work.
fn change(old: &Screen, new: &Screen) -> Vec<u8> {
    let bytes = encode_update(SECOND, Some(old), new);
    let mut shown = old.clone();
    let numbers = apply_update(&mut shown, &bytes).unwrap();
    assert_eq!(numbers.number, 2);
    assert_eq!(&shown, new);
    bytes
}

/// The document's examples.
#[test]
fn golden_vectors() {
    let mut first = screen(8, &["$ ls", "", ""]);
    first.cursor = Cursor { shape: CursorShape::Block, column: 4, row: 0, color: 0x00FF_B454, blinks: false };
    let bytes = encode_update(FIRST, None, &first);
    let expected = [
        [1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 3, 0].as_slice(),
        &[0x41, 0, 1, 0, 4, 0, 0, 0, 0x54, 0xB4, 0xFF],
        &[0x12, b'$', b' ', b'l', b's', 0],
    ]
    .concat();
    assert_eq!(bytes, expected);
    let mut second = screen(8, &["one", "two", "three"]);
    second.cells_mut()[16..21].iter_mut().for_each(|cell| cell.foreground = 0x0086_C166);
    let mut third = screen(8, &["two", "three", "§"]);
    third.cells_mut()[8..13].iter_mut().for_each(|cell| cell.foreground = 0x0086_C166);
    third.cells_mut()[16].style = style::BOLD | style::EXTRA;
    third.extras.insert(16, Extra { underline: Some(0x00FF_0000), ..Extra::default() });
    let bytes = change(&second, &third);
    let expected = [
        [2, 0, 0, 0, 1, 0, 0, 0, 8, 0, 3, 0].as_slice(),
        &[0xE0, 0, 1, 1, 0, 0, 0, 2, 0],
        &[0x40, 0x11, 0x81, 0, 0x06, 0xC2, 0xA7, 0x11, 0, 0, 0x13, b' ', 0],
        &[0, 1, 16, 2, 0, 0, 0xFF],
    ]
    .concat();
    assert_eq!(bytes, expected);
}

#[test]
fn what_stays_costs_nothing() {
    let old = screen(80, &["$ make"; 24]);
    assert_eq!(change(&old, &old).len(), 14);
    let mut new = old.clone();
    new.cells_mut()[80 * 12 + 40].character = 'x';
    assert_eq!(change(&old, &new).len(), 14 + 2 + 2 + 1);
}

#[test]
fn a_line_that_scrolls_is_not_sent_again() {
    let lines: Vec<String> = (0..60).map(|line| format!("{line}: a line of quite some length")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let whole = change(&Screen::new(80, 50), &screen(80, &lines[3..53])).len();
    let scrolled = change(&screen(80, &lines[..50]), &screen(80, &lines[3..53])).len();
    assert!(scrolled * 10 < whole, "{scrolled} of {whole} bytes");
}

#[test]
fn what_belongs_to_cells_scrolls_along() {
    let mut old = screen(4, &["a", "b", "c", "d"]);
    let link = || Extra { link: Some("https://example.org".into()), ..Extra::default() };
    old.extras.extend([(0, link()), (4, link()), (5, link()), (12, link())]);
    let mut new = screen(4, &["b", "c", "d", "e"]);
    new.extras.extend([(0, link()), (1, link()), (8, link())]);
    let bytes = change(&old, &new);
    assert!(!bytes.windows(5).any(|window| window == b"https"));
}

#[test]
fn links_are_written_once() {
    let mut new = screen(80, &["a link"]);
    let extra = Extra { link: Some("x".repeat(2000)), ..Extra::default() };
    new.extras.extend((0..6).map(|index| (index, extra.clone())));
    let len = change(&Screen::new(80, 1), &new).len();
    assert!((2000..2100).contains(&len), "{len} bytes");
}

#[test]
fn a_screen_of_another_size_is_a_keyframe() {
    let (old, new) = (screen(3, &["abc"]), screen(2, &["ab", "c"]));
    let bytes = encode_update(SECOND, Some(&old), &new);
    assert!(Numbers::decode(&bytes).unwrap().is_keyframe());
    let mut shown = old.clone();
    apply_update(&mut shown, &bytes).unwrap();
    assert_eq!(shown, new);
    let bytes = encode_update(SECOND, Some(&new), &new);
    let mut other = old;
    assert_eq!(apply_update(&mut other, &bytes).unwrap_err().problem, "size is not that of the screen");
}

#[test]
#[cfg_attr(miri, ignore = "screens of the greatest size take Miri many minutes")]
fn what_is_over_a_limit_is_left_out() {
    let mut wild = screen(3, &["abc"]);
    wild.title = "ü".repeat(TITLE_LEN_MAX);
    wild.cursor = Cursor { column: 7, row: 9, ..Cursor::default() };
    wild.background = u32::MAX;
    wild.cells_mut()[1] =
        Cell { character: 'x', foreground: u32::MAX, background: u32::MAX, style: u32::MAX };
    let extra = Extra { marks: "é".repeat(100), underline: Some(u32::MAX), link: Some("é".repeat(3000)) };
    wild.extras = (0..5000).map(|index| (index, extra.clone())).collect();
    let mut shown = Screen::new(1, 1);
    apply_update(&mut shown, &encode_update(FIRST, None, &wild)).unwrap();
    assert_eq!(shown.title.len(), TITLE_LEN_MAX);
    assert_eq!((shown.cursor.column, shown.cursor.row), (2, 0));
    assert_eq!((shown.background, shown.cells()[1].style), (0x00FF_FFFF, style::ALL));
    assert_eq!(shown.extras.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!((shown.extras[&2].marks.len(), shown.extras[&2].link.as_ref().unwrap().len()), (64, 2048));

    let mut many = Screen::new(100, 100);
    many.extras = (0..5000).map(|index| (index * 2, Extra::default())).collect();
    apply_update(&mut shown, &encode_update(FIRST, None, &many)).unwrap();
    assert_eq!(shown.extras.len(), EXTRAS_MAX);
    // The last of the limit goes, and others come.
    let old = shown.clone();
    many.extras = (0..5000).map(|index| (index * 2 + 1, Extra::default())).collect();
    apply_update(&mut shown, &encode_update(SECOND, Some(&old), &many)).unwrap();
    assert_eq!(shown.extras.len(), EXTRAS_MAX);
    assert!(shown.extras.keys().all(|index| index % 2 == 1));
}

#[test]
fn the_worst_screen_is_within_the_limit() {
    let cells = usize::from(COLUMNS_MAX) * usize::from(ROWS_MAX);
    // A change of the whole pen and a character of four bytes, each with its code.
    let cell_len_max = 1 + 3 + 3 + 2 + 1 + 4;
    let extra_len_max = 4 + 1 + 1 + MARKS_LEN_MAX + 3 + 2 + LINK_LEN_MAX;
    assert!(cells * cell_len_max + EXTRAS_MAX * extra_len_max + (64 << 10) < UPDATE_LEN_MAX);
}

#[test]
fn broken_updates_are_refused() {
    let check = |present: u16, parts: &[u8], problem: &str| {
        let bytes = [&[2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 2, 0], present.to_le_bytes().as_slice(), parts].concat();
        let error = apply_update(&mut Screen::new(4, 2), &bytes).unwrap_err();
        assert_eq!(error.problem, problem, "{present:#x} {parts:?}");
    };
    check(0x100, &[], "unknown part");
    check(parts::CURSOR, &[5], "unknown shape of a cursor");
    check(parts::CURSOR, &[1, 2], "flag is neither 0 nor 1");
    check(parts::CURSOR, &[1, 0, 4, 0, 0, 0, 0, 0, 0], "cursor is outside of the grid");
    check(parts::TITLE, &[1, 1], "title is too long");
    check(parts::TITLE, &[1, 0, 0xFF], "text is not UTF-8");
    check(parts::MOVES, &[1, 1, 0, 0, 0, 2, 0], "a move is outside of the grid, or there are too many");
    check(parts::MOVES, &[9, 0, 0, 0, 0, 1, 0], "a move is outside of the grid, or there are too many");
    check(parts::CELLS, &[9 << 2], "run of cells leaves the grid");
    check(parts::CELLS, &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F, b'x'], "run of cells leaves the grid");
    check(parts::CELLS, &[0xFF, 0xFF, 0xFF, 0xFF, 0x1F], "number is over 32 bits");
    check(parts::CELLS, &[1], "run of cells leaves the grid");
    check(parts::CELLS, &[4 << 2 | 1, 0, 8], "unknown style");
    check(parts::CELLS, &[1 << 2 | 2, 0xED, 0xA0, 0x80], "character is not UTF-8");
    check(parts::CELLS, &[1 << 2 | 2, 0xC0], "input ends early");
    check(parts::CELLS, &[0, 0], "bytes after the end");
    check(parts::EXTRAS, &[1, 8], "extra is outside of the grid");
    check(parts::EXTRAS, &[0, 1, 0, 16], "unknown sort of extra");
    check(parts::EXTRAS, &[0, 1, 0, 8], "unknown sort of extra");
    check(parts::EXTRAS, &[0, 1, 0, 1, 65], "marks are too long");
    check(parts::EXTRAS, &[0, 1, 0, 4, 1, 8], "link is too long");
    let number = |bytes: &[u8]| Numbers::decode(bytes).unwrap_err().problem;
    assert_eq!(number(&[0; 8]), "number of the update is zero or that of its base");
    assert_eq!(number(&[1, 0, 0, 0, 1, 0, 0, 0]), "number of the update is zero or that of its base");
    let size = [1, 0, 0, 0, 0, 0, 0, 0, 0xE9, 3, 1, 0, 0, 0];
    assert_eq!(apply_update(&mut Screen::new(1, 1), &size).unwrap_err().problem, "size is out of range");
}

fn any_cell() -> impl Strategy<Value = Cell> {
    let color = || prop_oneof![Just(0), Just(0x00FF_FFFF), 0..0x0100_0000_u32];
    let character = prop_oneof![4 => Just(' '), 4 => proptest::char::range('a', 'e'), 1 => any::<char>()];
    (character, color(), color(), prop_oneof![3 => Just(0), 1 => 0..=style::ALL]).prop_map(
        |(character, foreground, background, style)| Cell { character, foreground, background, style },
    )
}

/// Lines of few sorts, so that some are alike.
fn any_screen(columns: u16, rows: u16) -> impl Strategy<Value = Screen> {
    let cells = u32::from(columns) * u32::from(rows);
    let extra = ("[\u{300}-\u{310}]{0,3}", proptest::option::of(0..0x0100_0000_u32), "[a-c]{0,2}");
    let extra = extra.prop_map(|(marks, underline, link)| Extra {
        marks,
        underline,
        link: (!link.is_empty()).then_some(link),
    });
    let sorts = proptest::collection::vec(proptest::collection::vec(any_cell(), usize::from(columns)), 1..8);
    let chosen = proptest::collection::vec(any::<proptest::sample::Index>(), usize::from(rows));
    let extras = proptest::collection::btree_map(0..cells, extra, 0..8);
    let cursor = (0..=4_u8, 0..columns, 0..rows, 0..0x0100_0000_u32, any::<bool>());
    (sorts, chosen, extras, cursor, (0..0x0100_0000_u32, any::<u32>(), any::<u32>()), "[a-zü]{0,9}").prop_map(
        move |(sorts, chosen, extras, cursor, (background, scroll_offset, history), title)| {
            let mut screen = Screen::new(columns, rows);
            for (row, sort) in screen.cells.chunks_mut(usize::from(columns)).zip(chosen) {
                row.copy_from_slice(sort.get::<Vec<Cell>>(&sorts));
            }
            screen.extras = extras;
            let (shape, column, row, color, blinks) = cursor;
            let shape = [
                CursorShape::Hidden,
                CursorShape::Block,
                CursorShape::Underline,
                CursorShape::Bar,
                CursorShape::Hollow,
            ][usize::from(shape)];
            screen.cursor = Cursor { shape, column, row, color, blinks };
            (screen.background, screen.scroll_offset, screen.history) = (background, scroll_offset, history);
            screen.title = title;
            screen
        },
    )
}

fn two_screens() -> impl Strategy<Value = (Screen, Screen, usize)> {
    (1..9_u16, 1..9_u16).prop_flat_map(|(columns, rows)| {
        (any_screen(columns, rows), any_screen(columns, rows), 0..usize::from(rows))
    })
}

proptest! {
    #[test]
    fn any_screen_becomes_any_other((old, new, lines) in two_screens()) {
        change(&old, &new);
        // The old one scrolled, with new lines below.
        let mut scrolled = new.clone();
        let cells = lines * usize::from(old.columns);
        let kept = old.cells.len() - cells;
        scrolled.cells[..kept].copy_from_slice(&old.cells[cells..]);
        change(&old, &scrolled);
        let mut shown = old;
        let bytes = encode_update(FIRST, None, &new);
        prop_assert_eq!(apply_update(&mut shown, &bytes), Ok(FIRST));
        prop_assert_eq!(shown, new);
    }

    #[test]
    fn strangers_do_not_panic_the_decoder(
        (old, new, _) in two_screens(),
        at: proptest::sample::Index,
        with: Vec<u8>,
        bytes: Vec<u8>,
    ) {
        let mut update = encode_update(SECOND, Some(&old), &new);
        let at = at.index(update.len());
        let len = with.len().min(update.len() - at);
        update[at..at + len].copy_from_slice(&with[..len]);
        for bytes in [update, bytes] {
            let mut shown = old.clone();
            let _ = apply_update(&mut shown, &bytes);
            prop_assert_eq!(shown.cells.len(), usize::from(shown.columns) * usize::from(shown.rows));
            prop_assert!(shown.extras.keys().all(|index| (*index as usize) < shown.cells.len()));
        }
    }
}
