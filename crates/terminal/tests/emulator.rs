// SPDX-License-Identifier: AGPL-3.0-or-later
//! The emulator without a program: what is written, what is shown, and what is answered.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_abi::{
    input::Press,
    screen::{CursorShape, Screen, style},
    terminal::{Command, Event, Modifiers, Pointer, PointerAction, Stroke, Theme},
};
use hearth_terminal::{Emulator, HISTORY_LINES_MAX, Task};
use std::time::{Duration, Instant};

struct Tester {
    emulator: Emulator,
    screen: Screen,
    now: Instant,
}

impl Tester {
    fn new(columns: u16, rows: u16) -> Tester {
        let mut emulator = Emulator::new(columns, rows, Theme::default());
        emulator.started();
        Tester { emulator, screen: Screen::new(1, 1), now: Instant::now() }
    }

    fn write(&mut self, text: &str) -> &mut Tester {
        self.bytes(text.as_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Tester {
        self.emulator.advance(bytes, self.now);
        self
    }

    fn command(&mut self, command: Command) -> Option<Task> {
        self.emulator.command(command)
    }

    /// The rows of the screen, which is copied piece by piece and as a whole: both must be alike.
    fn shown(&mut self) -> Vec<String> {
        self.emulator.refresh(&mut self.screen, false);
        let mut whole = Screen::new(1, 1);
        self.emulator.refresh(&mut whole, true);
        assert_eq!(self.screen, whole, "what has changed is not what was copied");
        assert_eq!(self.emulator.failures(), 0);
        (0..self.screen.rows()).map(|row| self.screen.text(row)).collect()
    }

    /// What the program would read, with escapes as `^[`.
    fn output(&mut self) -> String {
        String::from_utf8_lossy(&self.emulator.take_output()).replace('\x1b', "^[")
    }

    fn pointer(&mut self, action: PointerAction, column: f32, row: f32, modifiers: Modifiers, clicks: u8) {
        self.command(Command::Pointer(Pointer { action, button: 0, modifiers, clicks, column, row }));
    }

    fn drag(&mut self, from: (f32, f32), to: (f32, f32), clicks: u8) {
        let none = Modifiers::default();
        self.pointer(PointerAction::Press, from.0, from.1, none, clicks);
        self.pointer(PointerAction::Move, to.0, to.1, none, clicks);
        self.pointer(PointerAction::Release, to.0, to.1, none, clicks);
    }

    fn copied(&mut self) -> Option<String> {
        self.emulator.take_events();
        self.command(Command::Copy);
        match self.emulator.take_events().pop() {
            Some(Event::Copied(text)) => Some(text),
            _ => None,
        }
    }

    fn marked(&self, bit: u32) -> String {
        self.screen.cells().iter().filter(|cell| cell.style & bit != 0).map(|cell| cell.character).collect()
    }
}

fn key(code: u16, text: &str) -> Command {
    Command::Key(Stroke {
        code,
        press: Press::Pressed,
        modifiers: Modifiers::default(),
        key: text.chars().next(),
        shifted: None,
        text: text.into(),
    })
}

#[test]
fn text_colours_and_looks_are_shown() {
    let mut t = Tester::new(20, 3);
    t.write("plain \x1b[1;31mred\x1b[0m \x1b[7mturned\x1b[0m\r\n\x1b[38;2;1;2;3;48;5;196mx\x1b[8mh\x1b[0;2md\x1b[0;4:3;58;5;21mw");
    assert_eq!(t.shown(), ["plain red turned", "xhdw", ""]);
    let theme = Theme::default();
    let cells = t.screen.cells();
    assert_eq!(
        (cells[0].foreground, cells[0].background, cells[0].style),
        (theme.foreground, theme.background, 0)
    );
    assert_eq!((cells[6].foreground, cells[6].style), (theme.palette[1], style::BOLD));
    assert_eq!((cells[10].foreground, cells[10].background), (theme.background, theme.foreground));
    assert_eq!((cells[20].foreground, cells[20].background), (0x01_0203, 0xFF_0000));
    assert_eq!(cells[21].foreground, cells[21].background, "what is hidden looks like its background");
    assert!(cells[22].foreground < theme.foreground, "dim");
    assert_eq!(cells[23].style, style::UNDERLINE_CURLY | style::EXTRA);
    assert_eq!(t.screen.extras[&23].underline, Some(0x00_00FF));
    assert_eq!(t.screen.background, theme.background);
}

#[test]
fn wide_and_combining_characters_are_shown() {
    let mut t = Tester::new(6, 2);
    t.write("a界e\u{301}").write("x\u{300}");
    assert_eq!(t.shown(), ["a界e\u{301}x\u{300}", ""]);
    let styles: Vec<u32> = t.screen.cells()[..5].iter().map(|cell| cell.style).collect();
    assert_eq!(styles, [0, style::WIDE, style::SPACER, style::EXTRA, style::EXTRA]);
    // Half of it is overwritten.
    t.write("\x1b[1;3HX");
    assert_eq!(t.shown()[0], "a Xe\u{301}x\u{300}");
    assert_eq!(t.screen.cells()[1].style, 0);
    // One that does not fit goes to the next line.
    t.write("\x1b[2J\x1b[1;6H界");
    assert_eq!(t.shown(), ["", "界"]);
    // However many combine, a cell stays small.
    t.write("\x1b[2J\x1b[H").write(&format!("e{}", "\u{301}".repeat(100_000)));
    assert_eq!(t.shown()[0].chars().count(), 17);
    // Nor by what has no width below the first of those, nor by repetition.
    t.write("\x1b[2J\x1b[He\u{ad}").write(&"\x1b[65535b".repeat(4));
    assert_eq!(t.shown()[0].chars().count(), 17);
}

#[test]
fn what_wraps_below_the_region_that_scrolls_is_copied() {
    let mut t = Tester::new(4, 3);
    t.write("\x1b[1;2r\x1b[3;1Habcd");
    assert_eq!(t.shown(), ["", "", "abcd"]);
    t.write("\x1b[3;3H");
    t.shown();
    t.write("XYZ");
    assert_eq!(t.shown(), ["", "", "ZbXY"]);
}

#[test]
fn invalid_utf_8_is_replaced() {
    let mut t = Tester::new(10, 1);
    t.bytes(b"a\xff\xc3\x28\xf0\x9f\x98b");
    assert_eq!(t.shown(), ["a\u{fffd}\u{fffd}(\u{fffd}b"]);
    // Characters that are cut apart are whole again.
    let mut t = Tester::new(10, 1);
    for byte in "ü界😀".bytes() {
        t.bytes(&[byte]);
    }
    assert_eq!(t.shown(), ["ü界😀"]);
}

#[test]
fn queries_are_answered_in_their_order() {
    let mut t = Tester::new(80, 24);
    let mut check = |query: &str, answer: &str| {
        t.write(query);
        assert_eq!(t.output(), answer, "{query:?}");
    };
    check("\x1b[c", "^[[?6c");
    check("\x1b[3;7H\x1b[6n", "^[[3;7R");
    check("\x1b[5n", "^[[0n");
    check("\x1b[>q\x1b[c", concat!("^[P>|hearth ", env!("CARGO_PKG_VERSION"), "^[\\^[[?6c"));
    check("\x1b[>0q", concat!("^[P>|hearth ", env!("CARGO_PKG_VERSION"), "^[\\"));
    check("\x1b[>1q", "");
    check("\x1b[", "");
    check(">", "");
    check("q", concat!("^[P>|hearth ", env!("CARGO_PKG_VERSION"), "^[\\"));
    check("\x1b[?2026$p", "^[[?2026;2$y");
    // A synchronised update keeps no answer back.
    check(
        "\x1b[?2026h\x1b[6n\x1b[>q\x1b[?2026$p\x1b[?2026l\x1b[5n",
        concat!("^[[3;7R^[P>|hearth ", env!("CARGO_PKG_VERSION"), "^[\\^[[?2026;1$y^[[0n"),
    );
    check("\x1b[?u", "^[[?0u");
    check("\x1b[>5u\x1b[?u\x1b[<u\x1b[?u", "^[[?5u^[[?0u");
    // What was set without being pushed counts, is there again after others, and is each screen's own.
    check("\x1b[=5u\x1b[?u", "^[[?5u");
    check("\x1b[=2;2u\x1b[?u\x1b[=4;3u\x1b[?u", "^[[?7u^[[?3u");
    check("\x1b[>1u\x1b[?u\x1b[<u\x1b[?u", "^[[?1u^[[?3u");
    check("\x1b[?1049h\x1b[?u\x1b[=8u\x1b[?u", "^[[?0u^[[?8u");
    check("\x1b[?1049l\x1b[?u\x1b[?1049h\x1b[?u\x1b[?1049l", "^[[?3u^[[?8u");
    check("\x1b[<u\x1b[?u", "^[[?0u");
    check("\x1b[14t", "^[[4;480;800t");
    check("\x1b[18t", "^[[8;24;80t");
    check("\x1b]11;?\x07", "^[]11;rgb:1414/1616/1818\x07");
    check("\x1b]4;1;?\x1b\\", "^[]4;1;rgb:f0f0/6c6c/6464^[\\");
    check("\x1b]10;#010203\x07\x1b]10;?\x07", "^[]10;rgb:0101/0202/0303\x07");
    // The clipboard is not for programs to read.
    check("\x1b]52;c;?\x07", "");
}

#[test]
fn colours_that_a_program_changes_are_shown() {
    let mut t = Tester::new(4, 1);
    t.write("\x1b[31mx");
    t.shown();
    t.write("\x1b]4;1;#102030\x07\x1b]11;#010101\x07\x1b]12;#040404\x07");
    t.shown();
    assert_eq!(t.screen.cells()[0].foreground, 0x10_2030);
    assert_eq!((t.screen.background, t.screen.cursor.color), (0x01_0101, 0x04_0404));
    t.write("\x1b]104\x07\x1b]111\x07");
    t.shown();
    assert_eq!(t.screen.cells()[0].foreground, Theme::default().palette[1]);
    let theme = Theme { background: 0x07_0707, ..Theme::default() };
    t.command(Command::Theme(theme));
    t.shown();
    assert_eq!((t.screen.background, t.screen.cells()[3].background), (0x07_0707, 0x07_0707));
}

#[test]
fn the_cursor_has_the_programs_shape() {
    let mut t = Tester::new(4, 2);
    let mut check = |written: &str, shape: CursorShape, blinks: bool| {
        t.write(written);
        t.shown();
        assert_eq!((t.screen.cursor.shape, t.screen.cursor.blinks), (shape, blinks), "{written:?}");
    };
    check("ab", CursorShape::Hollow, false);
    t.command(Command::Focus(true));
    let mut check = |written: &str, shape: CursorShape, blinks: bool| {
        t.write(written);
        t.shown();
        assert_eq!((t.screen.cursor.shape, t.screen.cursor.blinks), (shape, blinks), "{written:?}");
    };
    check("", CursorShape::Block, false);
    check("\x1b[5 q", CursorShape::Bar, true);
    check("\x1b[4 q", CursorShape::Underline, false);
    check("\x1b[?25l", CursorShape::Hidden, false);
    check("\x1b[?25h\x1b[0 q", CursorShape::Block, false);
    assert_eq!((t.screen.cursor.column, t.screen.cursor.row), (2, 0));
}

#[test]
fn synchronised_updates_hold_the_screen_back_until_their_end_or_their_time_is_over() {
    let mut t = Tester::new(8, 1);
    t.write("old");
    t.shown();
    assert_eq!(t.emulator.deadline(), None);
    t.write("\x1b[?2026h\rnew");
    let deadline = t.emulator.deadline().unwrap();
    assert!(deadline > t.now && deadline < t.now + Duration::from_secs(1));
    t.write("!\x1b[?2026l");
    assert_eq!((t.emulator.deadline(), t.shown()), (None, vec!["new!".into()]));
    // One after the other, none of them shown: the time is that of the first.
    t.write("\x1b[?2026h\rone");
    let deadline = t.emulator.deadline().unwrap();
    t.now += Duration::from_millis(100);
    t.write("\x1b[?2026l\x1b[?2026h\x1bc\x1b[?2026h\rlate");
    assert_eq!(t.emulator.deadline(), Some(deadline));
    t.emulator.expire(deadline - Duration::from_millis(1));
    assert_eq!(t.emulator.deadline(), Some(deadline));
    t.emulator.expire(deadline);
    assert_eq!((t.emulator.deadline(), t.shown()), (None, vec!["late".into()]));
    t.now = deadline;
    t.write("\x1b[?2026h");
    assert!(t.emulator.deadline().unwrap() > deadline, "the next one has its own time");
}

#[test]
fn the_view_scrolls_and_comes_back_when_one_types() {
    let mut t = Tester::new(8, 3);
    for line in 0..10 {
        t.write(&format!("{line}\r\n"));
    }
    assert_eq!(t.shown(), ["8", "9", ""]);
    assert_eq!((t.screen.history, t.screen.scroll_offset), (8, 0));
    t.command(Command::Scroll(3));
    assert_eq!(t.shown(), ["5", "6", "7"]);
    assert_eq!((t.screen.scroll_offset, t.screen.cursor.shape), (3, CursorShape::Hidden));
    // It stays where it is while more is written.
    t.write("10\r\n");
    assert_eq!(t.shown(), ["5", "6", "7"]);
    t.command(Command::Wheel { lines: [0.0, 0.6], modifiers: Modifiers::default(), at: [0.0, 0.0] });
    assert_eq!(t.shown(), ["5", "6", "7"]);
    t.command(Command::Wheel { lines: [0.0, 0.6], modifiers: Modifiers::default(), at: [0.0, 0.0] });
    assert_eq!(t.shown(), ["4", "5", "6"]);
    t.command(Command::Scroll(i32::MAX));
    assert_eq!(t.shown(), ["0", "1", "2"]);
    t.command(Command::Scroll(i32::MIN));
    assert_eq!(t.screen.history, 9);
    t.command(Command::Scroll(1));
    t.command(key(4, "a"));
    assert_eq!((t.shown(), t.output()), (vec!["9".into(), "10".into(), String::new()], "a".into()));
}

#[test]
fn shift_with_page_keys_scrolls_the_first_screen_alone() {
    let mut t = Tester::new(8, 3);
    for line in 0..10 {
        t.write(&format!("{line}\r\n"));
    }
    let pressed = |code, modifiers| {
        let press = Press::Pressed;
        Command::Key(Stroke { code, press, modifiers, key: None, shifted: None, text: String::new() })
    };
    let shift = Modifiers::SHIFT;
    let [home, page_up, end, page_down] = [0x4A, 0x4B, 0x4D, 0x4E];
    for (code, first) in [(page_up, "5"), (page_up, "2"), (page_down, "5"), (home, "0"), (end, "8")] {
        // Locks do not matter.
        t.command(pressed(code, shift.and(Modifiers::NUM_LOCK)));
        assert_eq!((t.shown()[0].as_str(), t.output().as_str()), (first, ""), "{code:#x}");
    }
    t.command(pressed(page_up, Modifiers::default()));
    assert_eq!(t.output(), "^[[5~");
    t.command(pressed(page_up, shift.and(Modifiers::CONTROL)));
    assert_eq!(t.output(), "^[[5;6~");
    // A program that has the whole screen has its keys.
    t.write("\x1b[?1049h");
    t.command(pressed(page_up, shift));
    assert_eq!(t.output(), "^[[5;2~");
}

#[test]
fn a_region_that_scrolls_does_not_take_the_view_beyond_the_history() {
    let mut t = Tester::new(8, 3);
    t.write("1\r\n2\r\n3\r\n4");
    t.command(Command::Scroll(1));
    t.write(&"\x1b[2;3r\x1b[2;1H\x1b[M".repeat(5));
    assert_eq!(t.shown()[0], "1");
    assert_eq!((t.screen.scroll_offset, t.screen.history), (1, 1));
}

#[test]
fn history_has_an_end() {
    let mut t = Tester::new(2, 1);
    t.write(&"\n".repeat(HISTORY_LINES_MAX + 100));
    t.shown();
    assert_eq!(t.screen.history as usize, HISTORY_LINES_MAX);
    t.command(Command::Resize { columns: 1000, rows: 1 });
    t.shown();
    assert_eq!(t.screen.history, 2000, "wide lines are fewer");
}

#[test]
fn selections_are_shown_and_copied() {
    let mut t = Tester::new(12, 5);
    t.write("one two\r\nthe second (line) is long\r\n\tx");
    t.drag((1.2, 0.5), (6.8, 0.5), 1);
    t.shown();
    assert_eq!((t.marked(style::SELECTED), t.copied()), ("ne two".into(), Some("ne two".into())));
    // Less than half of a cell is not meant.
    t.drag((1.6, 0.5), (3.4, 0.5), 1);
    assert_eq!(t.copied(), Some("e".into()));
    t.drag((1.6, 0.5), (3.6, 0.5), 1);
    assert_eq!(t.copied(), Some("e ".into()));
    t.drag((5.0, 1.5), (5.0, 1.5), 2);
    assert_eq!(t.copied(), Some("second".into()));
    t.drag((1.0, 2.5), (1.0, 2.5), 3);
    assert_eq!(t.copied(), Some("the second (line) is long".into()), "a wrapped line is one");
    t.drag((11.2, 1.5), (11.2, 1.5), 2);
    t.shown();
    assert_eq!(t.copied(), Some("(line)".into()), "a bracket selects to the other one");
    // Backwards, over lines.
    t.drag((3.0, 2.5), (4.0, 0.5), 1);
    assert_eq!(t.copied(), Some("two\nthe second (lin".into()));
    t.command(Command::SelectAll);
    assert_eq!(t.copied(), Some("one two\nthe second (line) is long\n\tx".into()));
    // A click ends it.
    t.drag((0.1, 0.1), (0.1, 0.1), 1);
    t.shown();
    assert_eq!((t.marked(style::SELECTED), t.copied()), (String::new(), None));
    // Half of a wide character is all of it, in what is marked and in what is copied.
    let mut t = Tester::new(8, 1);
    t.write("a界b界");
    for (from, to) in [((2.2, 0.5), (4.6, 0.5)), ((4.6, 0.5), (2.2, 0.5)), ((1.2, 0.5), (4.6, 0.5))] {
        t.drag(from, to, 1);
        assert_eq!(t.copied(), Some("界b界".into()), "{from:?}");
        t.shown();
        assert_eq!(t.marked(style::SELECTED), "界 b界 ", "{from:?}");
    }
    // Beyond the edge the view follows.
    let mut t = Tester::new(4, 2);
    t.write("a\r\nb\r\nc\r\nd");
    t.drag((0.9, 1.5), (0.0, -1.5), 1);
    assert_eq!(t.shown(), ["a", "b"]);
    assert_eq!(t.copied(), Some("a\nb\nc\nd".into()));
    t.command(Command::Deselect);
    assert_eq!(t.copied(), None);
}

#[test]
fn searches_go_through_the_history_and_around_its_ends() {
    let mut t = Tester::new(10, 2);
    t.write("Error 1\r\nfine\r\nerror 2\r\nfine\r\nfine\r\n界 error 3");
    let find = |t: &mut Tester, backwards, pattern: &str| {
        t.command(Command::Search { backwards, pattern: pattern.into() });
        let Some(Event::Found { shown, found }) = t.emulator.take_events().pop() else { panic!("no answer") };
        let view = t.shown();
        (found, shown, t.marked(style::SELECTED), view[0].clone())
    };
    assert_eq!(find(&mut t, true, "error"), (true, 1, "error".into(), "fine".into()));
    assert_eq!(t.marked(style::FOUND), "error");
    assert_eq!(find(&mut t, true, ""), (true, 1, "error".into(), "error 2".into()));
    assert_eq!(find(&mut t, true, ""), (true, 1, "Error".into(), "Error 1".into()));
    assert_eq!(find(&mut t, true, ""), (true, 1, "error".into(), "fine".into()), "around the end");
    assert_eq!(find(&mut t, false, ""), (true, 1, "Error".into(), "Error 1".into()), "and back");
    assert_eq!(t.copied(), Some("Error".into()));
    assert!(!find(&mut t, true, "ERROR").0, "upper case is meant");
    assert!(find(&mut t, true, r"e\w+r \d").0);
    assert!(!find(&mut t, true, "(").0);
    t.write("(");
    assert!(find(&mut t, true, "(").0, "what is no expression is searched for as it is");
    t.command(Command::Deselect);
    t.shown();
    assert_eq!(t.marked(style::FOUND | style::SELECTED), "");
    assert!(!find(&mut t, true, "").0, "there is no last one");
}

#[test]
fn pasted_text_cannot_leave_its_brackets() {
    let mut t = Tester::new(8, 1);
    let hostile = "a\x1b[201~rm -rf\r\nb\nc\u{9b}201~\x03\td";
    t.command(Command::Paste(hostile.into()));
    assert_eq!(t.output(), "a[201~rm -rf\rb\rc201~\td");
    t.write("\x1b[?2004h");
    t.command(Command::Paste(hostile.into()));
    assert_eq!(t.output(), "^[[200~a[201~rm -rf\rb\rc201~\td^[[201~");
}

#[test]
fn focus_is_told_to_those_who_ask() {
    let mut t = Tester::new(8, 1);
    t.command(Command::Focus(true));
    assert_eq!(t.output(), "");
    t.write("\x1b[?1004h");
    t.command(Command::Focus(true));
    t.command(Command::Focus(false));
    assert_eq!(t.output(), "^[[O");
}

#[test]
fn the_mouse_goes_to_those_who_ask() {
    let mut t = Tester::new(20, 5);
    t.write("some text\x1b[?1002;1006h");
    t.drag((1.5, 0.5), (3.5, 0.5), 1);
    assert_eq!(t.output(), "^[[<0;2;1M^[[<32;4;1M^[[<0;4;1m");
    assert_eq!(t.copied(), None);
    // Shift keeps it for the user; what was pressed with it stays theirs.
    t.pointer(PointerAction::Press, 0.0, 0.5, Modifiers::SHIFT, 1);
    t.pointer(PointerAction::Move, 4.0, 0.5, Modifiers::default(), 1);
    t.pointer(PointerAction::Release, 4.0, 0.5, Modifiers::default(), 1);
    assert_eq!((t.output(), t.copied()), (String::new(), Some("some".into())));
    // Only another cell is a move; outside is the edge.
    t.pointer(PointerAction::Press, 0.0, 0.0, Modifiers::default(), 1);
    t.pointer(PointerAction::Move, 0.9, 0.9, Modifiers::default(), 1);
    t.pointer(PointerAction::Move, 99.0, -3.0, Modifiers::default(), 1);
    t.pointer(PointerAction::Release, f32::NAN, f32::INFINITY, Modifiers::default(), 1);
    assert_eq!(t.output(), "^[[<0;1;1M^[[<32;20;1M^[[<0;1;5m");
    let wheel = |lines| Command::Wheel { lines, modifiers: Modifiers::default(), at: [1.0, 1.0] };
    t.command(wheel([0.0, 2.0]));
    t.command(wheel([-1.0, -1.0]));
    assert_eq!(t.output(), "^[[<64;2;2M^[[<64;2;2M^[[<65;2;2M^[[<66;2;2M");
    // A button that was down before the grid got another size goes up after it.
    t.pointer(PointerAction::Press, 1.0, 1.0, Modifiers::default(), 1);
    t.command(Command::Resize { columns: 21, rows: 5 });
    t.pointer(PointerAction::Move, 1.0, 1.0, Modifiers::default(), 1);
    t.pointer(PointerAction::Release, 1.0, 1.0, Modifiers::default(), 1);
    assert_eq!(t.output(), "^[[<0;2;2M^[[<32;2;2M^[[<0;2;2m");
    t.write("\x1b[?1002l\x1b[?9h\x1b[?1006l");
    t.drag((1.5, 0.5), (1.5, 0.5), 1);
    assert_eq!(t.output(), "^[[M \"!");
    // Without the mouse, the wheel is cursor keys where there is no history.
    t.write("\x1b[?9l\x1b[?1049h");
    t.command(wheel([0.0, 2.0]));
    t.write("\x1b[?1h");
    t.command(wheel([0.0, -1.0]));
    assert_eq!(t.output(), "^[[A^[[A^[OB");
}

#[test]
fn links_are_shown_and_opened_by_ctrl_and_click() {
    let mut t = Tester::new(20, 1);
    t.write("a \x1b]8;;https://example.org/\x1b\\link\x1b]8;;\x1b\\ b");
    t.shown();
    assert_eq!(t.screen.extras.keys().copied().collect::<Vec<_>>(), [2, 3, 4, 5]);
    assert_eq!(t.screen.extras[&2].link.as_deref(), Some("https://example.org/"));
    let click = |t: &mut Tester, column, modifiers| {
        t.pointer(PointerAction::Press, column, 0.5, modifiers, 1);
        t.pointer(PointerAction::Release, column, 0.5, modifiers, 1);
        t.emulator.take_events()
    };
    click(&mut t, 3.0, Modifiers::default());
    assert_eq!(click(&mut t, 3.0, Modifiers::CONTROL), [Event::Link("https://example.org/".into())]);
    assert_eq!(click(&mut t, 8.0, Modifiers::CONTROL), []);
    // Too long, or with something in it that shows otherwise.
    t.write(&format!("\r\x1b]8;;http://{}\x1b\\x", "y".repeat(4000)));
    t.shown();
    assert!(!t.screen.extras.contains_key(&0));
}

#[test]
fn the_clipboard_is_given_by_consent_only() {
    let mut t = Tester::new(8, 1);
    t.write("\x1b]52;c;aGVsbG8=\x07");
    let wanted = |request| Event::ClipboardWanted { request, text: "hello".into() };
    assert_eq!(t.emulator.take_events(), [wanted(1)]);
    t.command(Command::Consent { request: 1, allowed: false });
    t.command(Command::Consent { request: 1, allowed: true });
    assert_eq!(t.emulator.take_events(), []);
    t.write("\x1b]52;c;aGVsbG8=\x07");
    assert_eq!(t.emulator.take_events(), [], "too soon");
    t.now += Duration::from_secs(1);
    t.write("\x1b]52;c;aGVsbG8=\x07");
    assert_eq!(t.emulator.take_events(), [wanted(2)]);
    t.command(Command::Consent { request: 1, allowed: true });
    assert_eq!(t.emulator.take_events(), [], "another one was asked for");
    t.command(Command::Consent { request: 2, allowed: true });
    assert_eq!(t.emulator.take_events(), [Event::Copied("hello".into())]);
    t.now += Duration::from_secs(1);
    t.write("\x1b]52;c;/w==\x07");
    assert_eq!(t.emulator.take_events(), [], "that is no text");
}

#[test]
fn titles_and_bells_are_bounded() {
    let mut t = Tester::new(8, 1);
    t.write(&format!("\x1b]2;a\u{85}b{}\x07\x07\x07", "ü".repeat(400)));
    t.shown();
    let expected = format!("ab{}", "ü".repeat(127));
    assert_eq!(t.screen.title, expected);
    assert_eq!(t.emulator.take_events(), [Event::Bell, Event::Title(expected)]);
    t.now += Duration::from_secs(1);
    t.write("\x07\x1b]2;\x07");
    t.shown();
    assert_eq!(t.emulator.take_events(), [Event::Bell, Event::Title(String::new())]);
    // The same title is no news, and only the last of many is told.
    t.write("\x1b]2;x\x07\x1b]2;y\x07\x1b]2;\x07");
    t.shown();
    assert_eq!(t.emulator.take_events(), []);
}

#[test]
fn what_would_grow_without_end_is_cut_off() {
    let mut t = Tester::new(20, 2);
    // A command that never ends.
    t.write("\x1b]0;");
    for _ in 0..80 {
        t.bytes(&[b'x'; 16 << 10]);
    }
    t.write("\x07\r\nback");
    assert_eq!(t.shown(), ["", "back"]);
    assert_eq!(t.screen.title, "");
    // One that ends, but too late: it does nothing, and nothing of it is shown.
    for end in ["\x07", "\x1b\\", "\x18"] {
        let mut t = Tester::new(20, 2);
        let command = format!("ok\x1b]52;c;{}{end}back", "QUFB".repeat(400_000));
        for slice in command.as_bytes().chunks(16 << 10) {
            t.bytes(slice);
        }
        assert_eq!(t.shown(), ["okback", ""]);
        assert_eq!(t.emulator.take_events(), []);
    }
    // Zeros after one that has ended are none of it.
    t.write("\x1b]0;title\x07").bytes(&[0; 3 << 20]).write("\rhere");
    assert_eq!(t.shown(), ["", "here"]);
    // Keyboard modes; the grid breaks with more than 4,096.
    t.write(&"\x1b[>1u".repeat(5000)).write("\x1b[<5000u");
    t.write(&"\x1b[22t".repeat(5000));
    t.shown();
}

#[test]
fn links_in_the_history_have_an_end() {
    let mut t = Tester::new(200, 2);
    let few = "\x1b]8;;a\x07x".repeat(10_000);
    t.write(&few);
    t.shown();
    let before = t.screen.history;
    assert!(before > 40);
    for _ in 0..40 {
        t.write(&few);
    }
    t.shown();
    assert!(t.screen.history < 40 * before, "{} lines of links", t.screen.history);
    // What is gone counts no more.
    let mut t = Tester::new(200, 2);
    t.write(&"line\r\n".repeat(100));
    for _ in 0..40 {
        t.write(&format!("\x1b[H{few}\x1b[3J"));
        t.write(&"line\r\n".repeat(100));
    }
    t.shown();
    assert!(t.screen.history >= 99);
    // The screen itself may have too many.
    let mut t = Tester::new(1000, 1000);
    let link = "y".repeat(1000);
    for _ in 0..100_000 {
        t.write(&format!("\x1b]8;;{link}\x07x"));
    }
    t.shown();
    let linked = t.screen.extras.len();
    assert!(linked < 100_000 * 9 / 10);
}

#[test]
fn a_modifier_alone_types_nothing() {
    let mut t = Tester::new(8, 2);
    t.write("one\r\ntwo\r\nthree\x1b[>9u");
    t.command(Command::Scroll(1));
    t.drag((0.1, 0.5), (2.9, 0.5), 1);
    let stroke = |code, press, modifiers| {
        Command::Key(Stroke { code, press, modifiers, key: None, shifted: None, text: String::new() })
    };
    // Left control goes down and up, then caps lock.
    t.command(stroke(0xE0, Press::Pressed, Modifiers::CONTROL));
    t.command(stroke(0xE0, Press::Released, Modifiers::default()));
    t.command(stroke(0x39, Press::Pressed, Modifiers::default()));
    assert_eq!(t.output(), "^[[57442;5u^[[57358u");
    assert_eq!((t.shown(), t.copied()), (vec!["one".into(), "two".into()], Some("one".into())));
    t.command(key(4, "a"));
    assert_eq!((t.shown(), t.copied()), (vec!["two".into(), "three".into()], None));
}

#[test]
fn a_size_of_one_and_the_largest_work() {
    for (columns, rows) in [(1, 1), (2, 1), (1000, 1000)] {
        let mut t = Tester::new(columns, rows);
        t.write("界界a\tb\r\n\x1b[5;5H界\x1b[999;999Hx界\x1b[2J\x1b[1Pz\x1b[?1049hy界");
        t.shown();
        assert_eq!((t.screen.columns(), t.screen.rows()), (columns.max(2), rows));
        t.command(Command::SelectAll);
        t.shown();
        t.copied();
    }
    let mut t = Tester::new(80, 24);
    t.write(
        "some text that is quite long, so that it wraps when there is less room, 界 and more of it\r\nend",
    );
    for (columns, rows) in [(1, 1), (1000, 1000), (3, 2), (80, 24)] {
        t.command(Command::Resize { columns, rows });
        t.shown();
        assert_eq!((t.screen.columns(), t.screen.rows()), (columns.max(2), rows));
        assert_eq!(t.emulator.take_events(), [Event::Resized { columns: columns.max(2), rows }]);
    }
    assert_eq!(
        t.shown()[..3],
        [
            "some text that is quite long, so that it wraps when there is less room, 界 and m",
            "ore of it",
            "end"
        ]
    );
    assert_eq!(t.command(Command::Resize { columns: 80, rows: 24 }), None, "it has that size");
}

#[test]
fn a_megabyte_without_a_newline_is_one_line() {
    let mut t = Tester::new(100, 10);
    let line: String = (0..1 << 20).map(|index| char::from(b'a' + (index % 26) as u8)).collect();
    for slice in line.as_bytes().chunks(16 << 10) {
        t.bytes(slice);
    }
    t.shown();
    t.drag((3.0, 3.0), (3.0, 3.0), 3);
    assert_eq!(t.copied().unwrap().len(), hearth_abi::terminal::TEXT_LEN_MAX);
}

#[test]
fn when_a_program_ends_the_screen_says_so_and_is_put_right() {
    let mut t = Tester::new(44, 5);
    t.write(
        "$ vim\r\n\x1b[3g\x1b]0;vim\x07\x1b[22t\x1b[=5u\x1b[?1049h\x1b[=1u\x1b[?1002;1006h\x1b[?25l\x1b[2;3r\x1b[31;7mtext\x1b[?2026hhalf",
    );
    t.shown();
    t.emulator.ended("ended by signal 9 (kill) · Enter starts it again");
    let shown = t.shown();
    assert_eq!(shown[..4], ["$ vim", "ended by signal 9 (kill) · Enter starts it a", "gain", ""]);
    assert_eq!((t.screen.title.as_str(), t.screen.cursor.shape), ("", CursorShape::Hidden));
    t.command(key(4, "a"));
    t.drag((0.0, 0.5), (1.0, 0.5), 1);
    assert_eq!((t.output(), t.copied()), (String::new(), Some("$".into())));
    assert_eq!(t.command(key(0x28, "")), Some(Task::Restart));
    t.emulator.started();
    assert_eq!(t.command(Command::Restart), None, "it runs");
    t.write("\x1b[22t\x1b[23t\x1b[23t\x1b[?uagain\tx");
    assert_eq!(t.shown()[3], "again   x");
    assert_eq!((t.output().as_str(), t.screen.title.as_str()), ("^[[?0u", ""), "nothing of the first one");
    assert_eq!(t.screen.cells()[3 * 44].foreground, Theme::default().foreground);
}

#[test]
fn a_tabulator_and_line_drawing_are_shown_as_they_look() {
    let mut t = Tester::new(12, 1);
    t.write("a\tb\x1b(0q\x1b(B");
    assert_eq!(t.shown(), ["a       b─"]);
}
