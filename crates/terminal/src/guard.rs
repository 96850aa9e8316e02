// SPDX-License-Identifier: AGPL-3.0-or-later
//! What stands between a program's output and the emulator's grid: it keeps what the grid would not bound, and
//! adds the modes that it does not know.

use alacritty_terminal::{
    event::{Event, EventListener},
    grid::Dimensions,
    index::{Column, Line},
    term::{
        Term, TermMode,
        cell::{Cell, Flags},
    },
    vte::ansi::{
        Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, Hyperlink, KeyboardModes,
        KeyboardModesApplyBehavior, LineClearMode, Mode, ModifyOtherKeys, NamedPrivateMode, PrivateMode, Rgb,
        ScpCharPath, ScpUpdateMode, StandardCharset, TabulationClearMode, cursor_icon::CursorIcon,
    },
};
use hearth_abi::screen::{LINK_LEN_MAX, TITLE_LEN_MAX};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use unicode_width::UnicodeWidthChar;

/// Most characters that combine with that of one cell; more are dropped, so that no cell grows without end.
const MARKS_MAX: usize = 16;
/// Most keyboard modes that a program may push for each screen; then the oldest goes, as the protocol has it.
const KEYBOARD_MODES_MAX: usize = 64;
/// Most titles that the grid keeps for a program.
const TITLES_MAX: usize = 4096;
/// How long a synchronised update may keep the screen from being shown.
const HOLD_TIME: Duration = Duration::from_millis(150);
/// Memory of what few cells have beside their character, in bytes: of the structure itself, and of a link without
/// its texts.
const EXTRA_LEN: usize = 88;
const LINK_LEN: usize = 112;

/// What the grid does not keep.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// Whether anything has come through since this was last cleared.
    pub(crate) touched: bool,
    /// Mode 9: presses of buttons are reported, and nothing else.
    pub(crate) x10_mouse: bool,
    /// Mode 1015: mouse reports are numbers in decimal.
    pub(crate) urxvt_mouse: bool,
    /// The program has set a region that scrolls.
    region: bool,
    /// The character set in force, of those that the cursor has; the grid does not tell.
    charset: CharsetIndex,
    /// Something was written where the grid does not say that it has changed.
    pub(crate) unseen: bool,
    /// Keyboard modes of the first and of the alternate screen, the one in force last; an empty list is none.
    pub(crate) keyboard: [Vec<KeyboardModes>; 2],
    /// Titles that were pushed.
    pub(crate) titles: usize,
    /// What was done since this was last cleared: in characters, or what takes as long.
    pub(crate) work: usize,
    /// Memory that links, combining characters and colours of underlines have taken since it was last counted, in
    /// bytes. What has gone again is in it, too.
    pub(crate) extras_len: usize,
    /// When the bytes have come that are parsed.
    pub(crate) now: Option<Instant>,
    pub(crate) hold: Hold,
}

/// Mode 2026, the synchronised update: what a program has begun is not shown before it is whole.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    on: bool,
    /// Until when the screen may be held back: from the first update on that was not shown. Not from the last,
    /// since a program that begins one after the other would be seen no more.
    until: Option<Instant>,
}

impl Hold {
    /// When the screen is shown at the latest, if it is held back.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.until.filter(|_| self.on)
    }

    pub(crate) fn end(&mut self) {
        self.on = false;
    }

    /// To be called when the screen was shown.
    pub(crate) fn shown(&mut self) {
        if !self.on {
            self.until = None;
        }
    }
}

/// Memory of what the cells of a grid have beside their characters, in bytes, roughly.
pub(crate) fn extras_len<T>(term: &Term<T>) -> usize {
    let of = |cell: &Cell| {
        let marks = cell.zerowidth().map_or(0, |marks| marks.len() * 8);
        let link = cell.hyperlink().map_or(0, |link| LINK_LEN + link.uri().len() + link.id().len());
        EXTRA_LEN + marks + link
    };
    let mut len = 0;
    let mut line = term.topmost_line();
    while line <= term.bottommost_line() {
        let mut before = None;
        for cell in &term.grid()[line][..] {
            // Neighbours share one.
            let shared = match (&cell.extra, before) {
                (Some(extra), Some(before)) => Arc::ptr_eq(extra, before),
                _ => false,
            };
            if cell.extra.is_some() && !shared {
                len += of(cell);
            }
            before = cell.extra.as_ref();
        }
        line += 1_usize;
    }
    len
}

/// Takes from the cells that are seen what they have beside their characters.
pub(crate) fn strip<T>(term: &mut Term<T>) {
    for line in 0..term.screen_lines() {
        for cell in &mut term.grid_mut()[Line(line as i32)][..] {
            cell.extra = None;
        }
    }
}

/// The grid's [`Handler`] with its bounds.
pub(crate) struct Guard<'a, T> {
    pub(crate) term: &'a mut Term<T>,
    pub(crate) beside: &'a mut Beside,
    /// Hears the answers that the grid does not know.
    pub(crate) listener: &'a T,
}

impl<T: EventListener> Guard<'_, T> {
    fn keyboard(&mut self) -> &mut Vec<KeyboardModes> {
        &mut self.beside.keyboard[usize::from(self.term.mode().contains(TermMode::ALT_SCREEN))]
    }

    /// The keyboard modes in force. The grid has them as flags only: its own list forgets what was set without
    /// being pushed.
    fn keyboard_mode(&mut self) -> KeyboardModes {
        self.keyboard().last().copied().unwrap_or(KeyboardModes::NO_MODE)
    }

    fn apply_keyboard_mode(&mut self) {
        let mode = self.keyboard_mode();
        Handler::set_keyboard_mode(self.term, mode, KeyboardModesApplyBehavior::Replace);
    }

    fn answer(&self, text: String) {
        self.listener.send_event(Event::PtyWrite(text));
    }

    /// To be called for what touches the whole grid.
    fn works(&mut self) {
        self.beside.work += self.term.screen_lines() * self.term.columns() / 8;
    }

    /// To be called before a line may wrap: in the last line, below the region that scrolls, the cursor goes back to
    /// the first column, and the grid does not say that the last column has changed.
    #[inline]
    fn wraps(&mut self) {
        let cursor = &self.term.grid().cursor;
        if self.beside.region && cursor.input_needs_wrap && cursor.point.line + 1 >= self.term.screen_lines()
        {
            self.beside.unseen = true;
        }
    }

    /// Writes a character of width 1 if nothing is special about where it goes, which is most of all there is: the grid
    /// would look up its width again and its other shape, and give back what the cell had beside its character. As there,
    /// the line is told to have changed when the cursor leaves it. `false` if it is for the grid.
    #[inline(always)]
    fn writes_plainly(&mut self, character: char) -> bool {
        const WIDE: Flags = Flags::WIDE_CHAR.union(Flags::WIDE_CHAR_SPACER);
        let (columns, inserts) = (self.term.columns(), self.term.mode().contains(TermMode::INSERT));
        let grid = self.term.grid_mut();
        let cursor = &grid.cursor;
        let is_plain = !inserts
            && !cursor.input_needs_wrap
            && cursor.point.column.0 + 1 < columns
            && cursor.template.extra.is_none()
            && cursor.charsets[self.beside.charset] == StandardCharset::Ascii;
        if !is_plain {
            return false;
        }
        let (fg, bg, flags) = (cursor.template.fg, cursor.template.bg, cursor.template.flags);
        let cell = grid.cursor_cell();
        if cell.extra.is_some() || cell.flags.intersects(WIDE) {
            return false;
        }
        (cell.c, cell.fg, cell.bg, cell.flags) = (character, fg, bg, flags);
        grid.cursor.point.column += 1;
        true
    }

    fn change_private_mode(&mut self, mode: PrivateMode, change: fn(&mut Term<T>, PrivateMode)) {
        let alternate = |term: &Term<T>| term.mode().contains(TermMode::ALT_SCREEN);
        let before = alternate(self.term);
        change(self.term, mode);
        if alternate(self.term) != before {
            self.works();
            // Each screen has its own; the grid does not know of them.
            self.apply_keyboard_mode();
        }
    }

    /// Of the modes that the grid does not know, the one with this number.
    fn unknown_mode(&mut self, mode: PrivateMode) -> Option<&mut bool> {
        match mode {
            PrivateMode::Unknown(9) => Some(&mut self.beside.x10_mouse),
            PrivateMode::Unknown(1015) => Some(&mut self.beside.urxvt_mouse),
            _ => None,
        }
    }
}

fn is_hold(mode: PrivateMode) -> bool {
    matches!(mode, PrivateMode::Named(NamedPrivateMode::SyncUpdate))
}

/// Passes calls on that may take as long as there are cells.
macro_rules! pass_costly {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        $(
            fn $name(&mut self, $($arg: $type),*) {
                self.beside.touched = true;
                self.works();
                Handler::$name(self.term, $($arg),*);
            }
        )*
    };
}

/// Passes calls on as they are.
macro_rules! pass {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        $(
            #[inline]
            fn $name(&mut self, $($arg: $type),*) {
                self.beside.touched = true;
                Handler::$name(self.term, $($arg),*);
            }
        )*
    };
}

impl<T: EventListener> Handler for Guard<'_, T> {
    #[inline]
    fn input(&mut self, character: char) {
        self.beside.touched = true;
        self.beside.work += 1;
        let width = if matches!(character, ' '..='~') { Some(1) } else { character.width() };
        if width == Some(1) && self.writes_plainly(character) {
            return;
        }
        if width == Some(0) {
            let mut point = self.term.grid().cursor.point;
            if !self.term.grid().cursor.input_needs_wrap {
                point.column.0 = point.column.saturating_sub(1);
            }
            if self.term.grid()[point].flags.contains(Flags::WIDE_CHAR_SPACER) {
                point.column.0 = point.column.saturating_sub(1);
            }
            let marks = self.term.grid()[point].zerowidth().map_or(0, <[char]>::len);
            if marks >= MARKS_MAX {
                return;
            }
            self.beside.extras_len += if marks == 0 { EXTRA_LEN + 32 } else { 8 };
        }
        self.wraps();
        Handler::input(self.term, character);
    }

    fn put_tab(&mut self, count: u16) {
        self.beside.touched = true;
        self.wraps();
        Handler::put_tab(self.term, count);
    }

    fn set_title(&mut self, title: Option<String>) {
        self.beside.touched = true;
        let title = title.map(|title| {
            let mut plain: String = title.chars().filter(|character| !character.is_control()).collect();
            plain.truncate(plain.floor_char_boundary(TITLE_LEN_MAX));
            plain
        });
        Handler::set_title(self.term, title);
    }

    fn set_hyperlink(&mut self, link: Option<Hyperlink>) {
        self.beside.touched = true;
        let fits = |link: &Hyperlink| {
            link.uri.len() <= LINK_LEN_MAX
                && !link.uri.chars().any(char::is_control)
                && link.id.as_ref().is_none_or(|id| id.len() <= LINK_LEN_MAX)
        };
        let link = link.filter(fits);
        if let Some(link) = &link {
            let id_len = link.id.as_ref().map_or(20, String::len);
            self.beside.extras_len += EXTRA_LEN + LINK_LEN + link.uri.len() + id_len;
        }
        Handler::set_hyperlink(self.term, link);
    }

    #[inline]
    fn terminal_attribute(&mut self, attribute: Attr) {
        self.beside.touched = true;
        let has_extra = self.term.grid().cursor.template.extra.is_some();
        // These make a copy of what the cells before have, or the first.
        if matches!(attribute, Attr::UnderlineColor(Some(_)))
            || has_extra && matches!(attribute, Attr::UnderlineColor(None) | Attr::Reset)
        {
            self.beside.extras_len += EXTRA_LEN;
        }
        Handler::terminal_attribute(self.term, attribute);
    }

    fn push_title(&mut self) {
        self.beside.touched = true;
        self.beside.titles = (self.beside.titles + 1).min(TITLES_MAX);
        Handler::push_title(self.term);
    }

    fn pop_title(&mut self) {
        self.beside.touched = true;
        self.beside.titles = self.beside.titles.saturating_sub(1);
        Handler::pop_title(self.term);
    }

    fn delete_chars(&mut self, count: usize) {
        self.beside.touched = true;
        Handler::delete_chars(self.term, count);
        // Half of a wide character in the first column: the grid looks for the other half to the left of it.
        let line = self.term.grid().cursor.point.line;
        self.term.grid_mut()[line][Column(0)].flags.remove(Flags::WIDE_CHAR_SPACER);
    }

    fn set_scrolling_region(&mut self, top: usize, bottom: Option<usize>) {
        self.beside.touched = true;
        self.beside.region = true;
        Handler::set_scrolling_region(self.term, top, bottom);
    }

    fn move_backward_tabs(&mut self, count: u16) {
        self.beside.touched = true;
        // More than there are columns takes long and leads nowhere.
        let columns = self.term.columns().try_into().unwrap_or(u16::MAX);
        Handler::move_backward_tabs(self.term, count.min(columns));
    }

    fn move_forward_tabs(&mut self, count: u16) {
        self.beside.touched = true;
        let columns = self.term.columns().try_into().unwrap_or(u16::MAX);
        Handler::move_forward_tabs(self.term, count.min(columns));
    }

    /// The grid cannot set many at once.
    fn set_tabs(&mut self, interval: u16) {
        self.beside.touched = true;
        Handler::clear_tabs(self.term, TabulationClearMode::All);
        let before = self.term.grid().cursor.point.column;
        for column in (0..self.term.columns()).step_by(usize::from(interval.max(1))) {
            self.term.grid_mut().cursor.point.column = Column(column);
            Handler::set_horizontal_tabstop(self.term);
        }
        self.term.grid_mut().cursor.point.column = before;
    }

    fn report_keyboard_mode(&mut self) {
        self.beside.touched = true;
        let mode = self.keyboard_mode().bits();
        self.answer(format!("\x1b[?{mode}u"));
    }

    fn set_keyboard_mode(&mut self, mode: KeyboardModes, behavior: KeyboardModesApplyBehavior) {
        self.beside.touched = true;
        let before = self.keyboard_mode();
        let mode = match behavior {
            KeyboardModesApplyBehavior::Replace => mode,
            KeyboardModesApplyBehavior::Union => before.union(mode),
            KeyboardModesApplyBehavior::Difference => before.difference(mode),
        };
        let modes = self.keyboard();
        match modes.last_mut() {
            Some(last) => *last = mode,
            None => modes.push(mode),
        }
        self.apply_keyboard_mode();
    }

    fn push_keyboard_mode(&mut self, mode: KeyboardModes) {
        self.beside.touched = true;
        let modes = self.keyboard();
        if modes.is_empty() {
            modes.push(KeyboardModes::NO_MODE);
        }
        if modes.len() >= KEYBOARD_MODES_MAX {
            modes.remove(0);
        }
        modes.push(mode);
        self.apply_keyboard_mode();
    }

    fn pop_keyboard_modes(&mut self, count: u16) {
        self.beside.touched = true;
        let modes = self.keyboard();
        modes.truncate(modes.len().saturating_sub(count.into()));
        self.apply_keyboard_mode();
    }

    fn reset_state(&mut self) {
        let (Beside { work, extras_len, now, .. }, until) = (&*self.beside, self.beside.hold.until);
        let hold = Hold { on: false, until };
        let kept = Beside { work: *work, extras_len: *extras_len, now: *now, hold, ..Beside::default() };
        *self.beside = Beside { touched: true, ..kept };
        self.works();
        Handler::reset_state(self.term);
    }

    fn set_active_charset(&mut self, index: CharsetIndex) {
        self.beside.touched = true;
        self.beside.charset = index;
        Handler::set_active_charset(self.term, index);
    }

    fn set_private_mode(&mut self, mode: PrivateMode) {
        self.beside.touched = true;
        match self.unknown_mode(mode) {
            Some(set) => *set = true,
            None => self.change_private_mode(mode, Handler::set_private_mode),
        }
        if is_hold(mode) {
            self.beside.hold.on = true;
            self.beside.hold.until = self.beside.hold.until.or(self.beside.now.map(|now| now + HOLD_TIME));
        }
    }

    fn unset_private_mode(&mut self, mode: PrivateMode) {
        self.beside.touched = true;
        match self.unknown_mode(mode) {
            Some(set) => *set = false,
            None => self.change_private_mode(mode, Handler::unset_private_mode),
        }
        if is_hold(mode) {
            self.beside.hold.end();
        }
    }

    fn report_private_mode(&mut self, mode: PrivateMode) {
        self.beside.touched = true;
        if is_hold(mode) {
            let state = if self.beside.hold.on { 1 } else { 2 };
            self.answer(format!("\x1b[?2026;{state}$y"));
        } else {
            Handler::report_private_mode(self.term, mode);
        }
    }

    pass_costly! {
        scroll_up(count: usize);
        scroll_down(count: usize);
        insert_blank_lines(count: usize);
        delete_lines(count: usize);
        clear_screen(mode: ClearMode);
        decaln();
    }

    pass! {
        set_cursor_style(style: Option<CursorStyle>);
        set_cursor_shape(shape: CursorShape);
        goto(line: i32, column: usize);
        goto_line(line: i32);
        goto_col(column: usize);
        insert_blank(count: usize);
        move_up(count: usize);
        move_down(count: usize);
        identify_terminal(intermediate: Option<char>);
        device_status(number: usize);
        move_forward(count: usize);
        move_backward(count: usize);
        move_down_and_cr(count: usize);
        move_up_and_cr(count: usize);
        backspace();
        carriage_return();
        linefeed();
        bell();
        substitute();
        newline();
        set_horizontal_tabstop();
        erase_chars(count: usize);
        save_cursor_position();
        restore_cursor_position();
        clear_line(mode: LineClearMode);
        clear_tabs(mode: TabulationClearMode);
        reverse_index();
        set_mode(mode: Mode);
        unset_mode(mode: Mode);
        report_mode(mode: Mode);
        set_keypad_application_mode();
        unset_keypad_application_mode();
        configure_charset(index: CharsetIndex, charset: StandardCharset);
        set_color(index: usize, color: Rgb);
        dynamic_color_sequence(prefix: String, index: usize, terminator: &str);
        reset_color(index: usize);
        clipboard_store(clipboard: u8, base64: &[u8]);
        clipboard_load(clipboard: u8, terminator: &str);
        text_area_size_pixels();
        text_area_size_chars();
        set_mouse_cursor_icon(icon: CursorIcon);
        set_modify_other_keys(mode: ModifyOtherKeys);
        report_modify_other_keys();
        set_scp(path: ScpCharPath, mode: ScpUpdateMode);
    }
}

#[cfg(test)]
mod tests {
    use crate::Emulator;
    use alacritty_terminal::{
        event::VoidListener,
        grid::Dimensions,
        index::Line,
        term::{Config, Term, test::TermSize},
        vte::ansi::{Processor, StdSyncHandler},
    };
    use hearth_abi::terminal::Theme;
    use proptest::{prelude::*, sample::select};
    use std::time::Instant;

    /// What programs write, and what changes how it is written.
    fn pieces() -> impl Strategy<Value = String> {
        let fixed = select(
            &[
                "世",
                "🎈",
                "é",
                "e\u{301}",
                "ж",
                "─",
                "\r\n",
                "\r",
                "\n",
                "\x08",
                "\t",
                "\x0e",
                "\x0f",
                "\x1b(0",
                "\x1b(B",
                "\x1b)0",
                "\x1b)B",
                "\x1b7",
                "\x1b8",
                "\x1bc",
                "\x1bM",
                "\x1b[4h",
                "\x1b[4l",
                "\x1b[?7l",
                "\x1b[?7h",
                "\x1b[?1049h",
                "\x1b[?1049l",
                "\x1b[31m",
                "\x1b[1;4m",
                "\x1b[58;5;3m",
                "\x1b[m",
                "\x1b[K",
                "\x1b[2J",
                "\x1b[2P",
                "\x1b[2@",
                "\x1b[2;4r",
                "\x1b[r",
                "\x1b]8;id=1;http://a\x07",
                "\x1b]8;;\x07",
            ][..],
        );
        let moves = (1..8u16, 1..14u16).prop_map(|(row, column)| format!("\x1b[{row};{column}H"));
        prop_oneof![3 => "[ -~]{1,16}", 3 => fixed.prop_map(str::to_owned), 1 => moves]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// What is written past the grid is what the grid would have written.
        #[test]
        fn the_grid_is_as_without_guard(pieces in prop::collection::vec(pieces(), 0..60)) {
            let bytes = pieces.concat();
            let mut emulator = Emulator::new(12, 6, Theme::default());
            emulator.advance(bytes.as_bytes(), Instant::now());
            let config = Config { kitty_keyboard: true, ..Config::default() };
            let mut bare = Term::new(config, &TermSize::new(12, 6), VoidListener);
            Processor::<StdSyncHandler>::new().advance(&mut bare, bytes.as_bytes());
            let (ours, theirs) = (emulator.term.grid(), bare.grid());
            prop_assert_eq!(&ours.cursor.point, &theirs.cursor.point);
            for line in -20..6 {
                let line = Line(line);
                if line < -(theirs.history_size() as i32) {
                    continue;
                }
                prop_assert_eq!(&ours[line][..], &theirs[line][..], "line {}", line);
            }
        }
    }
}
