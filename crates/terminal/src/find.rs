// SPDX-License-Identifier: AGPL-3.0-or-later
//! Searching, and reading text out of the grid.

use alacritty_terminal::{
    event::EventListener,
    grid::Dimensions,
    index::{Boundary, Column, Line, Point},
    selection::SelectionRange,
    term::{
        Term,
        cell::Flags,
        search::{Match, RegexSearch},
    },
};

/// Most matches in the view that are shown.
const SHOWN_MAX: usize = 2000;

/// A search that goes on until it is ended.
pub(crate) struct Search {
    regex: RegexSearch,
    last: Option<Match>,
}

impl Search {
    /// A search for this regular expression, or for this very text if it is none. `None` if it is too large.
    pub(crate) fn new(pattern: &str) -> Option<Search> {
        let regex = RegexSearch::new(pattern).or_else(|_| RegexSearch::new(&escaped(pattern))).ok()?;
        Some(Search { regex, last: None })
    }

    /// The next match from the last one, or from the view; the whole history is searched, around its ends. Takes
    /// time in proportion to the history.
    pub(crate) fn next<T: EventListener>(&mut self, term: &Term<T>, backwards: bool) -> Option<Match> {
        let offset = term.grid().display_offset();
        let top = Point::new(Line(0) - offset, Column(0));
        let bottom = Point::new(Line(term.screen_lines() as i32 - 1) - offset, term.last_column());
        let within = |point: Point| point.line >= term.topmost_line() && point.line <= term.bottommost_line();
        let last = self.last.take().filter(|last| within(*last.start()) && within(*last.end()));
        let found = if backwards {
            let start = last.map_or(bottom, |last| last.start().sub(term, Boundary::None, 1));
            let end = start.add(term, Boundary::None, 1);
            term.regex_search_left(&mut self.regex, start, end)
        } else {
            let start = last.map_or(top, |last| last.end().add(term, Boundary::None, 1));
            let end = start.sub(term, Boundary::None, 1);
            term.regex_search_right(&mut self.regex, start, end)
        };
        // A match is found from its far end.
        self.last = found.map(|found| {
            let (start, end) = found.into_inner();
            if start <= end { start..=end } else { end..=start }
        });
        self.last.clone()
    }

    /// The matches in the view, from the top.
    pub(crate) fn shown<T: EventListener>(&mut self, term: &Term<T>) -> Vec<Match> {
        let offset = term.grid().display_offset();
        let mut at = Point::new(Line(0) - offset, Column(0));
        let end = Point::new(Line(term.screen_lines() as i32 - 1) - offset, term.last_column());
        let mut shown = Vec::new();
        while shown.len() < SHOWN_MAX {
            let Some(found) = term.regex_search_right(&mut self.regex, at, end) else { break };
            // Only what goes on towards the end; the emulator's search goes around.
            if *found.start() < at || *found.end() < *found.start() {
                break;
            }
            let last = *found.end();
            shown.push(found);
            if last >= end {
                break;
            }
            at = last.add(term, Boundary::None, 1);
        }
        shown
    }
}

/// A regular expression that matches just this text.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 2);
    for character in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// The text of a range, at most `len_max` bytes of it. Lines that were wrapped are one.
pub(crate) fn text<T: EventListener>(term: &Term<T>, range: &SelectionRange, len_max: usize) -> String {
    let mut text = String::new();
    let lines =
        range.start.line.0.max(term.topmost_line().0)..=range.end.line.0.min(term.bottommost_line().0);
    for line in lines.clone() {
        let first = if range.is_block || line == range.start.line.0 { range.start.column.0 } else { 0 };
        let last = if range.is_block || line == range.end.line.0 {
            range.end.column.0.min(term.last_column().0)
        } else {
            term.last_column().0
        };
        let row = &term.grid()[Line(line)];
        let from = text.len();
        let mut after_tab = false;
        for column in first..=last {
            let cell = &row[Column(column)];
            if cell.flags.intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER) {
                continue;
            }
            // A tabulator is followed by what it skipped.
            if after_tab && cell.c == ' ' && !column.is_multiple_of(8) {
                continue;
            }
            after_tab = cell.c == '\t';
            text.push(cell.c);
            text.extend(cell.zerowidth().unwrap_or_default());
        }
        let to_the_end = last == term.last_column().0;
        let goes_on = to_the_end && row[Column(last)].flags.contains(Flags::WRAPLINE);
        if range.is_block || !goes_on {
            // Blanks that nobody has written are none of the text.
            if range.is_block || to_the_end {
                text.truncate(from + text[from..].trim_end_matches(' ').len());
            }
            if line != *lines.end() {
                text.push('\n');
            }
        }
        if text.len() > len_max {
            text.truncate(text.floor_char_boundary(len_max));
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn text_is_found_as_it_is() {
        assert_eq!(escaped("a.b(c)"), r"a\.b\(c\)");
        assert!(Search::new("a(b").is_some());
        assert!(Search::new(&"(a{1000}){1000}".repeat(10)).is_none() || Search::new("a").is_some());
    }
}
