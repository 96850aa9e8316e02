// SPDX-License-Identifier: AGPL-3.0-or-later
//! A line of text under the hands: caret, selection, and what keys do to them.
//!
//! Places are counted in graphemes, which are what a reader takes for one letter.

use unicode_segmentation::UnicodeSegmentation;

/// Longest line in bytes, and the most that a field takes: what a component may hold with room to spare.
pub const LEN_MAX: usize = 2048;

/// A line of text, and where the hands are in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    text: String,
    /// Grapheme before which the caret stands, and that at which the selection begins.
    caret: usize,
    anchor: usize,
}

/// Which way the caret goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// One letter to the left.
    Left,
    /// One letter to the right.
    Right,
    /// To where the word begins.
    WordLeft,
    /// To where the word ends.
    WordRight,
    /// To the beginning.
    Home,
    /// To the end.
    End,
}

impl Line {
    /// A line with the caret at its end. It is cut at `len_max` bytes, and what is no writing is left out.
    pub fn new(text: &str, len_max: usize) -> Line {
        let mut line = Line::default();
        line.insert(text, len_max);
        line
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The grapheme before which the caret stands.
    pub fn caret(&self) -> usize {
        self.caret
    }

    /// The graphemes that are selected: the first, and that after the last.
    pub fn selection(&self) -> (usize, usize) {
        (self.caret.min(self.anchor), self.caret.max(self.anchor))
    }

    /// What is selected.
    pub fn selected(&self) -> &str {
        let (from, to) = self.selection();
        &self.text[self.byte(from)..self.byte(to)]
    }

    /// How many graphemes there are.
    pub fn count(&self) -> usize {
        self.text.graphemes(true).count()
    }

    fn byte(&self, grapheme: usize) -> usize {
        self.text.grapheme_indices(true).nth(grapheme).map_or(self.text.len(), |(at, _)| at)
    }

    /// The grapheme that holds this byte, counted from its end if the byte is within it.
    fn grapheme(&self, byte: usize) -> usize {
        self.text.grapheme_indices(true).take_while(|(at, _)| *at < byte).count()
    }

    /// Puts the caret before a grapheme; the selection is drawn along, or dropped.
    pub fn go(&mut self, to: usize, select: bool) {
        self.caret = to.min(self.count());
        if !select {
            self.anchor = self.caret;
        }
    }

    /// Moves the caret. Without `select`, a selection is left at that side of it.
    pub fn step(&mut self, step: Step, select: bool) {
        let (from, to) = self.selection();
        let is_left_of_selection = from < to && !select;
        let at = match step {
            Step::Left if is_left_of_selection => from,
            Step::Right if is_left_of_selection => to,
            Step::Left => self.caret.saturating_sub(1),
            Step::Right => self.caret + 1,
            Step::WordLeft => self.word_left(),
            Step::WordRight => self.word_right(),
            Step::Home => 0,
            Step::End => self.count(),
        };
        self.go(at, select);
    }

    fn word_left(&self) -> usize {
        let before = &self.text[..self.byte(self.caret)];
        let word = before.unicode_word_indices().next_back();
        word.map_or(0, |(at, _)| self.grapheme(at))
    }

    fn word_right(&self) -> usize {
        let at = self.byte(self.caret);
        let word = self.text[at..].unicode_word_indices().next();
        word.map_or(self.count(), |(start, word)| self.grapheme(at + start + word.len()))
    }

    /// Selects everything.
    pub fn select_all(&mut self) {
        self.anchor = 0;
        self.caret = self.count();
    }

    /// Selects the word, or the blanks, at a grapheme.
    pub fn select_word(&mut self, at: usize) {
        let byte = self.byte(at);
        let word = self.text.split_word_bound_indices().take_while(|(start, _)| *start <= byte).last();
        let Some((start, word)) = word else { return };
        self.anchor = self.grapheme(start);
        self.caret = self.grapheme(start + word.len());
    }

    /// Takes the selection away, and tells whether there was one.
    fn cut(&mut self) -> bool {
        let (from, to) = self.selection();
        let bytes = self.byte(from)..self.byte(to);
        self.text.replace_range(bytes, "");
        self.go(from, false);
        from < to
    }

    /// Puts a text in the place of the selection. Line feeds and tabs become blanks, other control characters are left
    /// out; what makes the line longer than `len_max` bytes is left out. Tells whether anything changed.
    pub fn insert(&mut self, text: &str, len_max: usize) -> bool {
        let mut changed = self.cut();
        let room = len_max.min(LEN_MAX).saturating_sub(self.text.len());
        let mut clean = String::new();
        for part in text.graphemes(true) {
            let blank = matches!(part, "\n" | "\r\n" | "\t");
            let part = if blank { " " } else { part };
            if clean.len() + part.len() > room {
                break;
            }
            if !part.chars().any(char::is_control) {
                clean.push_str(part);
            }
        }
        if !clean.is_empty() {
            let at = self.byte(self.caret);
            self.text.insert_str(at, &clean);
            // A mark may have joined the letter before it: graphemes are counted anew.
            let caret = self.grapheme(at + clean.len());
            self.go(caret, false);
            changed = true;
        }
        changed
    }

    /// Takes away the selection, or else what a step passes over. Tells whether anything changed.
    pub fn delete(&mut self, step: Step) -> bool {
        if self.caret == self.anchor {
            self.step(step, true);
        }
        self.cut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = LEN_MAX;

    #[test]
    fn keys_do_what_they_say() {
        let mut line = Line::new("the old lamp", MAX);
        assert_eq!(line.caret(), 12);
        line.step(Step::WordLeft, false);
        assert_eq!(line.caret(), 8);
        line.step(Step::WordLeft, true);
        assert_eq!(line.selected(), "old ");
        assert!(line.insert("new ", MAX));
        assert_eq!((line.text(), line.caret()), ("the new lamp", 8));
        line.step(Step::Home, false);
        line.step(Step::WordRight, true);
        assert_eq!(line.selected(), "the");
        line.step(Step::Right, false);
        assert_eq!((line.caret(), line.selected()), (3, ""));
        assert!(line.delete(Step::Left) && line.delete(Step::Right));
        assert_eq!(line.text(), "thnew lamp");
        line.select_word(4);
        assert_eq!(line.selected(), "thnew");
        line.select_all();
        assert!(line.delete(Step::Left) && !line.delete(Step::Left));
        assert_eq!(line, Line::default());
    }

    #[test]
    fn letters_of_several_characters_are_one() {
        let mut line = Line::new("ae\u{301}👩‍👧z", MAX);
        assert_eq!(line.count(), 4);
        line.step(Step::Left, false);
        assert!(line.delete(Step::Left));
        assert_eq!(line.text(), "ae\u{301}z");
        assert!(line.delete(Step::Left));
        assert_eq!((line.text(), line.caret()), ("az", 1));
        // A mark joins the letter before it.
        assert!(line.insert("\u{308}", MAX));
        assert_eq!((line.count(), line.caret()), (2, 1));
    }

    #[test]
    fn what_is_no_writing_and_what_is_too_much_is_left_out() {
        let line = Line::new("a\tb\r\nc\u{7}d", MAX);
        assert_eq!(line.text(), "a b cd");
        assert_eq!(Line::new("üüü", 5).text(), "üü");
        assert_eq!(Line::new(&"x".repeat(9000), MAX).text().len(), LEN_MAX);
    }

    proptest! {
        #[test]
        fn any_hands_leave_a_sound_line(deeds in proptest::collection::vec((0u8..12, "[a-z ü\u{301}👩\u{200d}漢]{0,4}"), 0..60)) {
            let mut line = Line::default();
            for (deed, text) in deeds {
                let select = deed % 2 == 0;
                match deed {
                    0 => line.step(Step::Left, select),
                    1 => line.step(Step::Right, select),
                    2 | 3 => line.step(Step::WordLeft, select),
                    4 | 5 => line.step(Step::WordRight, select),
                    6 => line.step(Step::Home, true),
                    7 => line.select_word(text.len()),
                    8 => drop(line.delete(Step::Left)),
                    9 => drop(line.delete(Step::WordRight)),
                    10 => line.go(text.len(), true),
                    _ => drop(line.insert(&text, 40)),
                }
                prop_assert!(line.text().len() <= 40);
                let (from, to) = line.selection();
                prop_assert!(from <= to && to <= line.count() && line.caret() <= line.count());
                prop_assert!(line.text().contains(line.selected()));
            }
        }
    }
}
