// SPDX-License-Identifier: AGPL-3.0-or-later
//! What stands between a program's output and the emulator's grid: it keeps what the grid would not bound, and
//! adds the modes that it does not know.

use alacritty_terminal::{
    event::EventListener,
    grid::Dimensions,
    index::Column,
    term::{Term, TermMode, cell::Flags},
    vte::ansi::{
        Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, Hyperlink, KeyboardModes,
        KeyboardModesApplyBehavior, LineClearMode, Mode, ModifyOtherKeys, PrivateMode, Rgb, ScpCharPath,
        ScpUpdateMode, StandardCharset, TabulationClearMode, cursor_icon::CursorIcon,
    },
};
use hearth_abi::screen::{LINK_LEN_MAX, TITLE_LEN_MAX};
use unicode_width::UnicodeWidthChar;

/// Most characters that combine with that of one cell; more are dropped, so that no cell grows without end.
const MARKS_MAX: usize = 16;
/// Most keyboard modes that a program may push; more are ignored. The grid can hold 4,096, and breaks with more.
const KEYBOARD_MODES_MAX: usize = 1024;

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
    /// Something was written where the grid does not say that it has changed.
    pub(crate) unseen: bool,
    /// Keyboard modes that were pushed on the first and on the alternate screen.
    keyboard_modes: [usize; 2],
}

/// The grid's [`Handler`] with its bounds.
pub(crate) struct Guard<'a, T> {
    pub(crate) term: &'a mut Term<T>,
    pub(crate) beside: &'a mut Beside,
}

impl<T: EventListener> Guard<'_, T> {
    fn keyboard_modes(&mut self) -> &mut usize {
        &mut self.beside.keyboard_modes[usize::from(self.term.mode().contains(TermMode::ALT_SCREEN))]
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

    /// Of the modes that the grid does not know, the one with this number.
    fn unknown_mode(&mut self, mode: PrivateMode) -> Option<&mut bool> {
        match mode {
            PrivateMode::Unknown(9) => Some(&mut self.beside.x10_mouse),
            PrivateMode::Unknown(1015) => Some(&mut self.beside.urxvt_mouse),
            _ => None,
        }
    }
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
        if character >= '\u{300}' && character.width() == Some(0) {
            let mut point = self.term.grid().cursor.point;
            if !self.term.grid().cursor.input_needs_wrap {
                point.column.0 = point.column.saturating_sub(1);
            }
            if self.term.grid()[point].flags.contains(Flags::WIDE_CHAR_SPACER) {
                point.column.0 = point.column.saturating_sub(1);
            }
            if self.term.grid()[point].zerowidth().is_some_and(|marks| marks.len() >= MARKS_MAX) {
                return;
            }
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
        Handler::set_hyperlink(self.term, link.filter(fits));
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

    fn push_keyboard_mode(&mut self, mode: KeyboardModes) {
        self.beside.touched = true;
        if *self.keyboard_modes() < KEYBOARD_MODES_MAX {
            *self.keyboard_modes() += 1;
            Handler::push_keyboard_mode(self.term, mode);
        }
    }

    fn pop_keyboard_modes(&mut self, count: u16) {
        self.beside.touched = true;
        let pushed = self.keyboard_modes();
        *pushed = pushed.saturating_sub(usize::from(count));
        Handler::pop_keyboard_modes(self.term, count);
    }

    fn reset_state(&mut self) {
        *self.beside = Beside { touched: true, ..Beside::default() };
        Handler::reset_state(self.term);
    }

    fn set_private_mode(&mut self, mode: PrivateMode) {
        self.beside.touched = true;
        match self.unknown_mode(mode) {
            Some(set) => *set = true,
            None => Handler::set_private_mode(self.term, mode),
        }
    }

    fn unset_private_mode(&mut self, mode: PrivateMode) {
        self.beside.touched = true;
        match self.unknown_mode(mode) {
            Some(set) => *set = false,
            None => Handler::unset_private_mode(self.term, mode),
        }
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
        scroll_up(count: usize);
        scroll_down(count: usize);
        insert_blank_lines(count: usize);
        delete_lines(count: usize);
        erase_chars(count: usize);
        save_cursor_position();
        restore_cursor_position();
        clear_line(mode: LineClearMode);
        clear_screen(mode: ClearMode);
        clear_tabs(mode: TabulationClearMode);
        set_tabs(interval: u16);
        reverse_index();
        terminal_attribute(attribute: Attr);
        set_mode(mode: Mode);
        unset_mode(mode: Mode);
        report_mode(mode: Mode);
        report_private_mode(mode: PrivateMode);
        set_keypad_application_mode();
        unset_keypad_application_mode();
        set_active_charset(index: CharsetIndex);
        configure_charset(index: CharsetIndex, charset: StandardCharset);
        set_color(index: usize, color: Rgb);
        dynamic_color_sequence(prefix: String, index: usize, terminator: &str);
        reset_color(index: usize);
        clipboard_store(clipboard: u8, base64: &[u8]);
        clipboard_load(clipboard: u8, terminator: &str);
        decaln();
        push_title();
        pop_title();
        text_area_size_pixels();
        text_area_size_chars();
        set_mouse_cursor_icon(icon: CursorIcon);
        report_keyboard_mode();
        set_keyboard_mode(mode: KeyboardModes, behavior: KeyboardModesApplyBehavior);
        set_modify_other_keys(mode: ModifyOtherKeys);
        report_modify_other_keys();
        set_scp(path: ScpCharPath, mode: ScpUpdateMode);
    }
}
