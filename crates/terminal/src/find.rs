// SPDX-License-Identifier: AGPL-3.0-or-later
//! Searching, and reading text out of the grid.

use alacritty_terminal::{
    event::EventListener,
    grid::Dimensions,
    index::{Column, Line, Point},
    selection::SelectionRange,
    term::{Term, cell::Flags},
};
use regex::{Regex, RegexBuilder};
use std::ops::RangeInclusive;

/// Most matches in the view that are shown.
const SHOWN_MAX: usize = 2000;
/// Most memory that an expression may take, compiled.
const EXPRESSION_SIZE_MAX: usize = 1 << 20;
/// Cells that are the other part of a wide character, or the place where one did not fit.
const SPACERS: Flags = Flags::WIDE_CHAR_SPACER.union(Flags::LEADING_WIDE_CHAR_SPACER);

/// From the first cell to the last one.
pub(crate) type Match = RangeInclusive<Point>;

/// A search that goes on until it is ended.
pub(crate) struct Search(Regex);

impl Search {
    /// A search for this regular expression, or for this very text if it is none. Lower case finds upper case too.
    /// `None` if it is too large.
    pub(crate) fn new(pattern: &str) -> Option<Search> {
        let build = |pattern: &str| {
            let mut builder = RegexBuilder::new(pattern);
            builder.case_insensitive(!pattern.chars().any(char::is_uppercase));
            builder.size_limit(EXPRESSION_SIZE_MAX).dfa_size_limit(EXPRESSION_SIZE_MAX).build()
        };
        build(pattern).or_else(|_| build(&regex::escape(pattern))).ok().map(Search)
    }

    /// The next match from what is selected, or from the view; the whole history is searched, around its ends. Takes
    /// time in proportion to the history.
    pub(crate) fn next<T: EventListener>(
        &self,
        term: &Term<T>,
        selected: Option<SelectionRange>,
        backwards: bool,
    ) -> Option<Match> {
        let view = Line(0) - term.grid().display_offset();
        let from = match selected {
            // From its first cell, in both directions: a match may begin in the middle of it.
            Some(selected) => selected.start,
            None if backwards => Point::new(view + (term.screen_lines() - 1), term.last_column()),
            None => Point::new(view, Column(0)),
        };
        let home = Paragraph::around(term, from.line);
        let at = home.offset(term, from);
        let ahead = |start: usize| match (backwards, selected.is_some()) {
            (true, true) => start < at,
            (true, false) => start <= at,
            (false, true) => start > at,
            (false, false) => start >= at,
        };
        let pick = |paragraph: &Paragraph, wanted: &dyn Fn(usize) -> bool| {
            let mut found = self.matches(paragraph).filter(|(start, _)| wanted(*start));
            let found = if backwards { found.last() } else { found.next() };
            found.map(|found| paragraph.range(term, found))
        };
        if let Some(found) = pick(&home, &ahead) {
            return Some(found);
        }
        let mut paragraph = home.next(term, backwards);
        while paragraph.first() != home.first() {
            if let Some(found) = pick(&paragraph, &|_| true) {
                return Some(found);
            }
            paragraph = paragraph.next(term, backwards);
        }
        pick(&home, &|_| true)
    }

    /// The matches that reach into the view, from the top.
    pub(crate) fn shown<T: EventListener>(&self, term: &Term<T>) -> Vec<Match> {
        let top = Line(0) - term.grid().display_offset();
        let bottom = top + (term.screen_lines() - 1);
        let mut shown = Vec::new();
        let mut paragraph = Paragraph::around(term, top);
        loop {
            let (first, last) = (paragraph.offset_of_line(top), paragraph.offset_of_line(bottom + 1));
            // A paragraph may go on for the whole history: only the part in the view becomes points.
            let inside = self.matches(&paragraph).filter(|(start, end)| *end > first && *start < last);
            let ranges = inside.take(SHOWN_MAX.saturating_sub(shown.len()));
            shown.extend(ranges.map(|found| paragraph.range(term, found)));
            if paragraph.last() >= bottom || shown.len() >= SHOWN_MAX {
                return shown;
            }
            paragraph = paragraph.next(term, false);
        }
    }

    /// Where the text matches, in bytes; what matches nothing is left out.
    fn matches<'a>(&'a self, paragraph: &'a Paragraph) -> impl Iterator<Item = (usize, usize)> + 'a {
        let found = self.0.find_iter(&paragraph.text).map(|found| (found.start(), found.end()));
        found.filter(|(start, end)| start < end)
    }
}

/// Lines of the grid that are one, because the text was wrapped.
struct Paragraph {
    text: String,
    /// Its lines, and where in the text each begins. There is at least one.
    lines: Vec<(Line, usize)>,
}

impl Paragraph {
    /// The one that this line is of.
    fn around<T: EventListener>(term: &Term<T>, line: Line) -> Paragraph {
        let mut line = line.max(term.topmost_line()).min(term.bottommost_line());
        while line > term.topmost_line() && wraps(term, line - 1_usize) {
            line -= 1_usize;
        }
        let (mut text, mut lines) = (String::new(), Vec::new());
        loop {
            lines.push((line, text.len()));
            let cells = term.grid()[line][..].iter();
            text.extend(cells.filter(|cell| !cell.flags.intersects(SPACERS)).map(|cell| cell.c));
            if line >= term.bottommost_line() || !wraps(term, line) {
                break;
            }
            line += 1_usize;
        }
        // Blanks that nobody has written are none of the text.
        text.truncate(text.trim_end_matches(' ').len());
        Paragraph { text, lines }
    }

    fn first(&self) -> Line {
        self.lines.first().map_or(Line(0), |(line, _)| *line)
    }

    fn last(&self) -> Line {
        self.lines.last().map_or(Line(0), |(line, _)| *line)
    }

    /// The one after it, or before it; around the ends of the grid.
    fn next<T: EventListener>(&self, term: &Term<T>, backwards: bool) -> Paragraph {
        let line = match backwards {
            true if self.first() <= term.topmost_line() => term.bottommost_line(),
            true => self.first() - 1_usize,
            false if self.last() >= term.bottommost_line() => term.topmost_line(),
            false => self.last() + 1_usize,
        };
        Paragraph::around(term, line)
    }

    /// Where in the text a line begins; one above is at the beginning, one below at the end.
    fn offset_of_line(&self, line: Line) -> usize {
        let next = self.lines.iter().find(|(one, _)| *one >= line);
        next.map_or(usize::MAX, |(_, offset)| *offset)
    }

    /// Where in the text a cell is.
    fn offset<T: EventListener>(&self, term: &Term<T>, point: Point) -> usize {
        let line = point.line.max(term.topmost_line()).min(term.bottommost_line());
        let before = &term.grid()[line][..Column(point.column.0.min(term.columns()))];
        let before = before.iter().filter(|cell| !cell.flags.intersects(SPACERS));
        self.offset_of_line(line).saturating_add(before.map(|cell| cell.c.len_utf8()).sum())
    }

    /// The cell whose character has this byte.
    fn point<T: EventListener>(&self, term: &Term<T>, offset: usize) -> Point {
        let index = self.lines.partition_point(|(_, start)| *start <= offset).saturating_sub(1);
        let (line, mut at) = self.lines.get(index).copied().unwrap_or((self.first(), 0));
        for (column, cell) in term.grid()[line][..].iter().enumerate() {
            if cell.flags.intersects(SPACERS) {
                continue;
            }
            at += cell.c.len_utf8();
            if at > offset {
                return Point::new(line, Column(column));
            }
        }
        Point::new(line, term.last_column())
    }

    /// The cells of a part of the text that is not empty.
    fn range<T: EventListener>(&self, term: &Term<T>, (start, end): (usize, usize)) -> Match {
        let mut last = self.point(term, end - 1);
        if term.grid()[last].flags.contains(Flags::WIDE_CHAR) && last.column < term.last_column() {
            last.column += 1;
        }
        self.point(term, start)..=last
    }
}

/// Whether the text of a line goes on in the next one.
fn wraps<T: EventListener>(term: &Term<T>, line: Line) -> bool {
    term.grid()[line][term.last_column()].flags.contains(Flags::WRAPLINE)
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
        // Half of a wide character is all of it.
        let has = |column: usize, flag| row[..].get(column).is_some_and(|cell| cell.flags.contains(flag));
        let half = has(first, Flags::WIDE_CHAR_SPACER)
            && first.checked_sub(1).is_some_and(|before| has(before, Flags::WIDE_CHAR));
        let first = if half { first - 1 } else { first };
        let from = text.len();
        let mut after_tab = false;
        for column in first..=last {
            let cell = &row[Column(column)];
            if cell.flags.intersects(SPACERS) {
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
        let goes_on = to_the_end && wraps(term, Line(line));
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
    use super::*;

    #[test]
    fn patterns_are_expressions_or_plain_text() {
        let finds =
            |pattern: &str, text: &str| Search::new(pattern).is_some_and(|search| search.0.is_match(text));
        assert!(finds("a.c", "xABCx") && finds("a(b", "a(b") && !finds("a(b", "ab"));
        assert!(finds("Ab", "Ab") && !finds("Ab", "ab"));
        // One that would take too much memory is plain text.
        let large = "(a{1000}){1000}";
        assert!(finds(large, large) && !finds(large, &"a".repeat(1_000_000)));
    }
}
