// SPDX-License-Identifier: AGPL-3.0-or-later
//! The emulator: what a program writes becomes a screen, and what a user does becomes what the program reads.
//!
//! It does no I/O and has no thread; [`Terminal`](crate::Terminal) drives one. What a program writes never panics
//! it: should the grid fail nevertheless, a new one takes its place, and says so.

use crate::{
    find::{self, Match, Search},
    guard::{self, Beside, Guard},
    keys, pointer,
    view::{self, Over, Palette, unpacked},
};
use alacritty_terminal::{
    event::{Event as GridEvent, EventListener, WindowSize},
    grid::{Dimensions, Scroll},
    index::{Column, Line, Point, Side},
    selection::{Selection, SelectionRange, SelectionType},
    term::{Config, Osc52, Term, TermMode, test::TermSize},
    vte::ansi::{ClearMode, Handler, Processor, Timeout},
};
use hearth_abi::{
    input::Press,
    screen::{COLUMNS_MAX, ROWS_MAX, Screen},
    terminal::{Command, Event, Stroke, TEXT_LEN_MAX, Theme},
};
use parking_lot::Mutex;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

/// Fewest columns: a wide character needs two.
pub const COLUMNS_MIN: u16 = 2;
/// Most lines that are kept above the grid.
pub const HISTORY_LINES_MAX: usize = 10_000;
/// Most cells above the grid, so that wide terminals keep fewer lines: 48 MB, and what [`EXTRAS_LEN_MAX`] allows.
pub const HISTORY_CELLS_MAX: usize = 2_000_000;
/// Most memory of links, combining characters and colours of underlines, in bytes: a link costs some two hundred
/// beyond its address, and each cell may have its own. With more the history is forgotten, and at last the links on
/// the screen. The first and the alternate screen may each have as much.
pub const EXTRAS_LEN_MAX: usize = 64 << 20;
/// Size of a cell that programs are told, in pixels. Nobody's cells have one in a space.
pub const CELL_SIZE_PX: (u16, u16) = (10, 20);

/// Least time between two bells.
const BELL_INTERVAL: Duration = Duration::from_millis(200);
/// Least time between two requests for the clipboard; what comes between is dropped.
const CLIPBOARD_INTERVAL: Duration = Duration::from_millis(500);
/// Longest operating system command (OSC), in bytes; a longer one does nothing, since the parser would keep it all.
const COMMAND_LEN_MAX: usize = 1 << 20;
/// How much is parsed before it is looked how much work that was, in bytes.
const PIECE_LEN_MAX: usize = 512;
/// Most characters, or what takes as long, before whoever has given the output may do something else: a few bytes
/// may stand for tens of thousands.
const WORK_MAX: usize = 2_000_000;
/// Most lines that one command scrolls.
const SCROLL_MAX: i32 = 100_000;

/// Takes what the grid has to say, until it is asked.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Vec<GridEvent>>>);

impl EventListener for Said {
    fn send_event(&self, event: GridEvent) {
        // What is said is bounded by the piece of output that is being read.
        self.0.lock().push(event);
    }
}

/// The parser keeps nothing of a synchronised update back: it would parse it in one go, megabytes at a time. The
/// screen is held back instead ([`Emulator::deadline`]).
#[derive(Debug, Default)]
struct Unbuffered;

impl Timeout for Unbuffered {
    fn set_timeout(&mut self, _: Duration) {}

    fn clear_timeout(&mut self) {}

    fn pending_timeout(&self) -> bool {
        false
    }
}

/// What a command asks of whoever runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Task {
    /// Tell the program its new size.
    Resize {
        /// Columns.
        columns: u16,
        /// Rows.
        rows: u16,
    },
    /// Start the program anew.
    Restart,
    /// Send a signal to what runs in the foreground.
    Signal(i32),
    /// End everything.
    Close,
}

/// An emulator without a program.
pub struct Emulator {
    pub(crate) term: Term<Said>,
    processor: Processor<Unbuffered>,
    said: Said,
    pub(crate) beside: Beside,
    escapes: Escapes,
    /// Bytes since the grid has heard anything.
    unheard: usize,
    /// What comes is still of a command that was too long.
    skipping: bool,
    theme: Theme,
    pub(crate) output: Vec<u8>,
    pub(crate) events: Vec<Event>,
    title: String,
    title_told: String,
    focused: bool,
    running: bool,
    pub(crate) pointer: pointer::State,
    search: Option<(String, Search)>,
    found: Vec<Match>,
    shown_selection: Option<SelectionRange>,
    /// The last request of the program for the clipboard that was not answered, and when it came.
    clipboard: Option<(u32, String)>,
    clipboard_at: Option<Instant>,
    clipboard_requests: u32,
    bell_at: Option<Instant>,
    pub(crate) changed: bool,
    /// Output has changed the screen since [`Emulator::take_news`].
    news: bool,
    /// Everything is to be copied, whatever the grid says has changed.
    all: bool,
    failures: u32,
}

impl Emulator {
    /// An emulator of this size (brought within [`COLUMNS_MIN`] by 1 and [`COLUMNS_MAX`] by [`ROWS_MAX`]) and these
    /// colours, to which no program belongs yet.
    pub fn new(columns: u16, rows: u16, theme: Theme) -> Emulator {
        let said = Said::default();
        let (columns, rows) = within(columns, rows);
        Emulator {
            term: grid(columns, rows, said.clone()),
            processor: Processor::new(),
            said,
            beside: Beside::default(),
            escapes: Escapes::default(),
            unheard: 0,
            skipping: false,
            theme,
            output: Vec::new(),
            events: Vec::new(),
            title: String::new(),
            title_told: String::new(),
            focused: false,
            running: false,
            pointer: pointer::State::default(),
            search: None,
            found: Vec::new(),
            shown_selection: None,
            clipboard: None,
            clipboard_at: None,
            clipboard_requests: 0,
            bell_at: None,
            changed: true,
            news: false,
            all: true,
            failures: 0,
        }
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        (self.term.columns() as u16, self.term.screen_lines() as u16)
    }

    /// How often the grid has failed and was replaced: never, if all is well.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Takes what the program has written. Its answers and events are to be taken afterwards, so pass no more than
    /// some KiB at once.
    pub fn advance(&mut self, bytes: &[u8], now: Instant) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = &rest[self.advance_some(rest, now)..];
        }
    }

    /// Takes some of what the program has written, and says how much: it stops where a synchronised update ends,
    /// and when it has worked much.
    pub(crate) fn advance_some(&mut self, bytes: &[u8], now: Instant) -> usize {
        let len = update_end(bytes).unwrap_or(bytes.len());
        let mut taken = 0;
        self.guarded(|this| {
            this.beside.work = 0;
            while taken < len && this.beside.work < WORK_MAX {
                let rest = &bytes[taken..len];
                let asks = this.escapes.version_query(rest);
                let piece = &rest[..asks.unwrap_or(rest.len())];
                let parsed = this.parse(piece, now, &mut taken);
                if asks.is_some() && parsed == piece.len() {
                    this.output.extend_from_slice(
                        concat!("\x1bP>|hearth ", env!("CARGO_PKG_VERSION"), "\x1b\\").as_bytes(),
                    );
                }
            }
            this.bound_extras();
        });
        taken
    }

    /// Parses what is our own.
    fn write(&mut self, bytes: &[u8], now: Instant) {
        self.beside.work = 0;
        self.parse(bytes, now, &mut 0);
    }

    fn feed(&mut self, bytes: &[u8]) {
        let mut guard = Guard { term: &mut self.term, beside: &mut self.beside, listener: &self.said };
        self.processor.advance(&mut guard, bytes);
    }

    /// Parses these bytes until it was much work; gives back how many, and counts them in `taken` before they are
    /// parsed, so that a failure does not meet them again.
    fn parse(&mut self, bytes: &[u8], now: Instant, taken: &mut usize) -> usize {
        self.beside.now = Some(now);
        let mut parsed = 0;
        if self.skipping {
            let end = bytes.iter().position(|byte| Escapes::ENDS.contains(byte));
            self.skipping = end.is_none();
            // An escape character is the first of two.
            parsed = end.map_or(bytes.len(), |end| if bytes[end] == 0x1B { end } else { end + 1 });
            *taken += parsed;
        }
        while parsed < bytes.len() && self.beside.work < WORK_MAX {
            let piece = &bytes[parsed..bytes.len().min(parsed + PIECE_LEN_MAX)];
            (parsed, *taken) = (parsed + piece.len(), *taken + piece.len());
            self.feed(piece);
        }
        if parsed < bytes.len() {
            // It is looked for again in what is left.
            self.escapes.asks = false;
        }
        let bytes = &bytes[..parsed];
        self.escapes.passed(bytes);
        if self.beside.touched {
            self.unheard = 0;
        } else {
            self.unheard += bytes.len();
            if self.unheard > COMMAND_LEN_MAX && self.escapes.in_command {
                // A new parser has heard nothing of it: the old one would do what it has.
                self.processor = Processor::new();
                self.skipping = true;
                self.unheard = 0;
            }
        }
        self.parsed(now);
        parsed
    }

    /// To be called after something was parsed.
    fn parsed(&mut self, now: Instant) {
        // A region that scrolls moves the view too, even beyond the history: the grid would look for lines there.
        if self.term.grid().display_offset() > self.term.history_size() {
            self.term.scroll_display(Scroll::Delta(0));
        }
        let touched = std::mem::take(&mut self.beside.touched);
        self.changed |= touched;
        self.news |= touched;
        self.listen(now);
    }

    /// Keeps what cells have beside their characters below [`EXTRAS_LEN_MAX`].
    fn bound_extras(&mut self) {
        if self.beside.extras_len <= EXTRAS_LEN_MAX {
            return;
        }
        // It has counted what was written; much of it may have gone again. To count takes time, so there is to be
        // room for as much again.
        let mut len = guard::extras_len(&self.term);
        if len > EXTRAS_LEN_MAX / 2 {
            Handler::clear_screen(&mut self.term, ClearMode::Saved);
            len = guard::extras_len(&self.term);
        }
        if len > EXTRAS_LEN_MAX / 2 {
            guard::strip(&mut self.term);
            len = 0;
        }
        self.beside.extras_len = len;
        (self.changed, self.all) = (true, true);
    }

    /// Until when the screen is held back, because a synchronised update is under way: what
    /// [`refresh`](Emulator::refresh) gives before is half made.
    pub fn deadline(&self) -> Option<Instant> {
        self.beside.hold.deadline()
    }

    /// Ends a synchronised update whose time is over.
    pub fn expire(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.beside.hold.end();
            self.changed = true;
        }
    }

    /// Handles what the grid has said.
    fn listen(&mut self, now: Instant) {
        let said = std::mem::take(&mut *self.said.0.lock());
        for event in said {
            match event {
                GridEvent::PtyWrite(text) => self.output.extend_from_slice(text.as_bytes()),
                GridEvent::ColorRequest(index, answer) => {
                    let color = Palette::new(&self.theme, self.term.colors()).get(index);
                    self.output.extend_from_slice(answer(unpacked(color)).as_bytes());
                }
                GridEvent::TextAreaSizeRequest(answer) => {
                    let (num_cols, num_lines) = self.size();
                    let (cell_width, cell_height) = CELL_SIZE_PX;
                    let size = WindowSize { num_lines, num_cols, cell_width, cell_height };
                    self.output.extend_from_slice(answer(size).as_bytes());
                }
                GridEvent::Title(title) => self.set_title(title),
                GridEvent::ResetTitle => self.set_title(String::new()),
                GridEvent::Bell if is_due(&mut self.bell_at, BELL_INTERVAL, now) => {
                    self.events.push(Event::Bell);
                }
                GridEvent::ClipboardStore(_, text) => self.want_clipboard(text, now),
                _ => {}
            }
        }
    }

    fn set_title(&mut self, title: String) {
        self.changed |= self.title != title;
        self.title = title;
    }

    fn want_clipboard(&mut self, mut text: String, now: Instant) {
        if !is_due(&mut self.clipboard_at, CLIPBOARD_INTERVAL, now) {
            return;
        }
        text.truncate(text.floor_char_boundary(TEXT_LEN_MAX));
        self.clipboard_requests = self.clipboard_requests.wrapping_add(1);
        let request = self.clipboard_requests;
        self.clipboard = Some((request, text.clone()));
        self.events.push(Event::ClipboardWanted { request, text });
    }

    /// Does what a user or a script asks for; what is for the program goes to the output. Gives back what is left
    /// to do for whoever runs the program.
    pub fn command(&mut self, command: Command) -> Option<Task> {
        self.guarded(|this| this.obey(command)).flatten()
    }

    fn obey(&mut self, command: Command) -> Option<Task> {
        match command {
            Command::Resize { columns, rows } => {
                let (columns, rows) = within(columns, rows);
                if (columns, rows) == self.size() {
                    return None;
                }
                self.term.set_options(config(columns));
                self.term.resize(TermSize::new(columns.into(), rows.into()));
                self.pointer.resized();
                (self.changed, self.all) = (true, true);
                self.events.push(Event::Resized { columns, rows });
                return Some(Task::Resize { columns, rows });
            }
            Command::Key(stroke) => return self.key(&stroke),
            Command::Text(text) if self.running => self.typed(text.replace('\n', "\r").into_bytes()),
            Command::Text(text) => return (text == "\r" || text == "\n").then_some(Task::Restart),
            Command::Paste(text) if self.running => {
                let bracketed = self.term.mode().contains(TermMode::BRACKETED_PASTE);
                self.typed(pasted(&text, bracketed));
            }
            Command::Pointer(pointer) => self.point(pointer),
            Command::Wheel { lines, modifiers, at } => self.wheel(lines, modifiers, at),
            Command::Scroll(lines) => self.scroll(lines),
            Command::Focus(on) if on != self.focused => {
                self.focused = on;
                self.changed = true;
                if self.running && self.term.mode().contains(TermMode::FOCUS_IN_OUT) {
                    self.output.extend_from_slice(if on { b"\x1b[I" } else { b"\x1b[O" });
                }
            }
            Command::Theme(theme) => {
                self.theme = theme;
                (self.changed, self.all) = (true, true);
            }
            Command::Copy => {
                if let Some(range) = self.selected() {
                    let text = find::text(&self.term, &range, TEXT_LEN_MAX);
                    self.events.push(Event::Copied(text));
                }
            }
            Command::SelectAll => {
                let start = Point::new(self.term.topmost_line(), Column(0));
                let end = Point::new(self.term.bottommost_line(), self.term.last_column());
                self.select(start, end);
            }
            Command::Deselect => {
                self.term.selection = None;
                self.search = None;
                self.changed = true;
            }
            Command::Search { backwards, pattern } => self.find(backwards, pattern),
            Command::Consent { request, allowed } => {
                if let Some((_, text)) = self.clipboard.take_if(|(number, _)| *number == request)
                    && allowed
                {
                    self.events.push(Event::Copied(text));
                }
            }
            Command::Restart => return (!self.running).then_some(Task::Restart),
            Command::Signal(number) => return self.running.then_some(Task::Signal(number)),
            Command::Close => return Some(Task::Close),
            // A command that a later version of the contract knows.
            _ => {}
        }
        None
    }

    fn key(&mut self, stroke: &Stroke) -> Option<Task> {
        if !self.running {
            let enter = stroke.code == 0x28 || stroke.code == 0x58;
            return (enter && stroke.press == Press::Pressed).then_some(Task::Restart);
        }
        let mode = *self.term.mode();
        if !mode.contains(TermMode::ALT_SCREEN)
            && let Some(scroll) = keys::scrolls(stroke)
        {
            if stroke.press != Press::Released {
                self.term.scroll_display(scroll);
                self.changed = true;
            }
            return None;
        }
        let bit = |flag, bit| if mode.contains(flag) { bit } else { 0 };
        let modes = keys::Modes {
            application_cursor: mode.contains(TermMode::APP_CURSOR),
            application_keypad: mode.contains(TermMode::APP_KEYPAD),
            newline: mode.contains(TermMode::LINE_FEED_NEW_LINE),
            kitty: keys::Enhancements(
                bit(TermMode::DISAMBIGUATE_ESC_CODES, 1)
                    | bit(TermMode::REPORT_EVENT_TYPES, 2)
                    | bit(TermMode::REPORT_ALTERNATE_KEYS, 4)
                    | bit(TermMode::REPORT_ALL_KEYS_AS_ESC, 8)
                    | bit(TermMode::REPORT_ASSOCIATED_TEXT, 16),
            ),
        };
        let mut bytes = Vec::new();
        keys::encode(stroke, modes, &mut bytes);
        // Who lets a key go, or holds one with the next, has typed nothing yet.
        if stroke.press == Press::Released || keys::is_modifier(stroke.code) {
            self.output.extend_from_slice(&bytes);
        } else {
            self.typed(bytes);
        }
        None
    }

    /// What a user has typed: the view shows where it goes.
    fn typed(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        self.output.extend_from_slice(&bytes);
        if self.term.grid().display_offset() != 0 {
            self.term.scroll_display(Scroll::Bottom);
            self.changed = true;
        }
        if self.term.selection.take().is_some() {
            self.changed = true;
        }
    }

    pub(crate) fn scroll(&mut self, lines: i32) {
        self.term.scroll_display(Scroll::Delta(lines.clamp(-SCROLL_MAX, SCROLL_MAX)));
        self.changed = true;
    }

    /// What is selected; `None` if that is nothing.
    pub(crate) fn selected(&self) -> Option<SelectionRange> {
        self.term.selection.as_ref().and_then(|selection| selection.to_range(&self.term))
    }

    pub(crate) fn select(&mut self, start: Point, end: Point) {
        let mut selection = Selection::new(SelectionType::Simple, start, Side::Left);
        selection.update(end, Side::Right);
        self.term.selection = Some(selection);
        self.changed = true;
    }

    fn find(&mut self, backwards: bool, pattern: String) {
        let is_new = !pattern.is_empty() && self.search.as_ref().is_none_or(|(last, _)| *last != pattern);
        if is_new {
            self.search = Search::new(&pattern).map(|search| (pattern, search));
        }
        let selected = self.selected();
        let found = self.search.as_ref().and_then(|(_, search)| search.next(&self.term, selected, backwards));
        if let Some(found) = &found {
            self.term.scroll_to_point(*found.end());
            self.term.scroll_to_point(*found.start());
            self.select(*found.start(), *found.end());
        }
        let shown = self.search.as_ref().map_or(0, |(_, search)| search.shown(&self.term).len() as u32);
        self.events.push(Event::Found { shown, found: found.is_some() });
        self.changed = true;
    }

    /// Whether the screen is another one than [`Emulator::refresh`] has given last.
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// Whether output has changed the screen since this was called last.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Brings a screen up to date that was given by the last call; after another one, or at first, pass `all`. While
    /// there is a [`deadline`](Emulator::deadline), better wait.
    pub fn refresh(&mut self, screen: &mut Screen, all: bool) {
        self.guarded(|this| {
            if this.title != this.title_told {
                this.title_told.clone_from(&this.title);
                this.events.push(Event::Title(this.title.clone()));
            }
            screen.title.clone_from(&this.title);
            let before = std::mem::take(&mut this.found);
            if let Some((_, search)) = &this.search {
                this.found = search.shown(&this.term);
            }
            let selection = this.selected();
            let over_changed = selection != this.shown_selection || before != this.found;
            this.shown_selection = selection;
            let over = Over { selection, found: &this.found, focused: this.focused, running: this.running };
            let palette = Palette::new(&this.theme, this.term.colors());
            // What lies over a cell is copied with it, and the grid does not know where that was.
            let unseen = std::mem::take(&mut this.beside.unseen);
            let all = all || this.all || over_changed || unseen;
            view::copy(&mut this.term, &palette, &over, screen, all);
            this.beside.hold.shown();
            (this.changed, this.all) = (false, false);
        });
    }

    /// What the program shall read, in its order.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// What has happened, in its order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// A program is about to start: what is typed is for it.
    pub fn started(&mut self) {
        self.running = true;
        self.changed = true;
    }

    /// The program has ended: what it did to the screen is undone as far as it would be in the way, and a line says
    /// what has happened.
    pub fn ended(&mut self, line: &str) {
        self.running = false;
        self.guarded(|this| {
            let now = Instant::now();
            this.processor = Processor::new();
            this.escapes = Escapes::default();
            this.skipping = false;
            this.beside.hold.end();
            if this.term.mode().contains(TermMode::ALT_SCREEN) {
                this.write(b"\x1b[?1049l", now);
            }
            this.beside.keyboard = Default::default();
            let cursor = this.term.grid().cursor.point;
            let wraps = this.term.grid().cursor.input_needs_wrap;
            let restore = format!(
                // Region, origin, tabulators; place; wrapping, insertion, new lines; keys; mouse; focus, paste; cursor;
                // keyboard; character sets; link; colours; look.
                "\x1b[r\x1b[?6l\x1b[?5W\x1b[{};{}H\x1b[?7h\x1b[4;20l\x1b[?1l\x1b>\x1b[?9;1000;1002;1003;1005;1006;1015l\
                 \x1b[?1004;2004l\x1b[?25h\x1b[0 q\x1b[=0u\x1b(B\x1b)B\x0f\x1b]8;;\x1b\\\
                 \x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\\x1b[m",
                cursor.line.0 + 1,
                cursor.column.0 + 1,
            );
            this.write(restore.as_bytes(), now);
            if cursor.column > 0 || wraps {
                this.write(b"\r\n", now);
            }
            // The titles that it has laid aside, too, or the next program would take them for its own.
            for _ in 0..std::mem::take(&mut this.beside.titles) {
                Handler::pop_title(&mut this.term);
            }
            Handler::set_title(&mut this.term, None);
            this.parsed(now);
            // Nobody reads answers now.
            this.output.clear();
            this.title.clear();
            this.pointer = pointer::State::default();
            this.changed = true;
        });
        self.say(line);
    }

    /// Writes a line of our own, where the program's output stands.
    pub fn say(&mut self, line: &str) {
        let plain: String = line.chars().filter(|character| !character.is_control()).collect();
        self.guarded(|this| {
            this.write(format!("\x1b[m\x1b[90m{plain}\x1b[m\r\n").as_bytes(), Instant::now());
            this.changed = true;
        });
    }

    /// Calls into the grid. It panics on nothing that we know of; if it does, a new one takes its place.
    fn guarded<R>(&mut self, call: impl FnOnce(&mut Emulator) -> R) -> Option<R> {
        if let Ok(result) = catch_unwind(AssertUnwindSafe(|| call(self))) {
            return Some(result);
        }
        let (columns, rows) = self.size();
        tracing::error!(columns, rows, "the grid of a terminal has failed, and is replaced");
        self.failures += 1;
        self.said.0.lock().clear();
        self.term = grid(columns, rows, self.said.clone());
        self.processor = Processor::new();
        self.beside = Beside::default();
        self.escapes = Escapes::default();
        (self.unheard, self.skipping) = (0, false);
        self.pointer = pointer::State::default();
        self.search = None;
        self.found.clear();
        (self.changed, self.all) = (true, true);
        let excuse = b"\x1b[90mthis terminal has failed on what was written, and begins anew\x1b[m\r\n";
        self.feed(excuse);
        None
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").field("size", &self.size()).finish_non_exhaustive()
    }
}

fn within(columns: u16, rows: u16) -> (u16, u16) {
    (columns.clamp(COLUMNS_MIN, COLUMNS_MAX), rows.clamp(1, ROWS_MAX))
}

fn config(columns: u16) -> Config {
    Config {
        scrolling_history: HISTORY_LINES_MAX.min(HISTORY_CELLS_MAX / usize::from(columns.max(1))),
        kitty_keyboard: true,
        // Only to be asked for: the text goes nowhere without consent.
        osc52: Osc52::OnlyCopy,
        ..Config::default()
    }
}

fn grid(columns: u16, rows: u16, said: Said) -> Term<Said> {
    Term::new(config(columns), &TermSize::new(columns.into(), rows.into()), said)
}

/// Whether something is not too soon after the last time; then this is the last time.
fn is_due(last: &mut Option<Instant>, interval: Duration, now: Instant) -> bool {
    let due = last.is_none_or(|last| now.saturating_duration_since(last) >= interval);
    if due {
        *last = Some(now);
    }
    due
}

/// A pasted text as it is typed: no control characters but tabulators and ends of lines, so that it can end neither
/// the brackets nor the line in another way than it shows.
fn pasted(text: &str, bracketed: bool) -> Vec<u8> {
    let text = text.replace("\r\n", "\r");
    let plain = text.chars().filter_map(|character| match character {
        '\n' => Some('\r'),
        '\r' | '\t' => Some(character),
        _ if character.is_control() => None,
        _ => Some(character),
    });
    let plain: String = plain.collect();
    if bracketed { format!("\x1b[200~{plain}\x1b[201~").into_bytes() } else { plain.into_bytes() }
}

/// Follows escape sequences as far as is needed for what the parser does not tell. Output may have one in every
/// five bytes, so it looks for what is rare in them.
#[derive(Debug, Default)]
struct Escapes {
    /// The last two bytes.
    tail: [u8; 2],
    /// `ESC [ >` and any zeros were the last.
    asks: bool,
    /// An operating system command has begun, and has not ended.
    in_command: bool,
}

impl Escapes {
    /// What ends an operating system command. Bytes of 0x9C are parts of characters.
    const ENDS: [u8; 4] = [0x07, 0x18, 0x1A, 0x1B];

    /// Where the first query for name and version (XTVERSION, `CSI > 0 q`) ends in these bytes, which follow those
    /// of the last call.
    fn version_query(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            if !self.asks {
                at += memchr::memchr(b'>', &bytes[at..])? + 1;
                let before = |distance: usize| match at.checked_sub(distance) {
                    Some(index) => bytes[index],
                    None => self.tail[2 + at - distance],
                };
                self.asks = [before(3), before(2)] == *b"\x1b[";
            }
            if self.asks {
                at += bytes[at..].iter().take_while(|byte| **byte == b'0').count();
                let next = *bytes.get(at)?;
                self.asks = false;
                if next == b'q' {
                    return Some(at + 1);
                }
            }
        }
    }

    /// These bytes are parsed.
    fn passed(&mut self, bytes: &[u8]) {
        // What follows the last escape character, if one is here.
        let mut after = None;
        if self.tail[1] == 0x1B {
            after = Some(bytes);
        }
        if let Some(at) = memchr::memrchr(0x1B, bytes) {
            self.in_command = false;
            after = Some(&bytes[at + 1..]);
        }
        let mut rest = bytes;
        if let Some([first, more @ ..]) = after {
            self.in_command = *first == b']';
            rest = more;
        }
        self.in_command &= memchr::memchr3(0x07, 0x18, 0x1A, rest).is_none();
        match bytes {
            [] => {}
            [one] => self.tail = [self.tail[1], *one],
            [.., one, other] => self.tail = [*one, *other],
        }
    }
}

/// Where in these bytes a synchronised update ends (`CSI ? 2026 l`), perhaps: what looks so and is none does no harm.
fn update_end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(bytes, b"2026").find_map(|at| {
        let rest = &bytes[at + 4..];
        let more = rest.iter().take_while(|byte| matches!(byte, b'0'..=b';')).count();
        (rest.get(more) == Some(&b'l')).then_some(at + 4 + more + 1)
    })
}

/// The line of the grid at a row of the view.
pub(crate) fn line_at<T>(term: &Term<T>, row: u16) -> Line {
    Line(i32::from(row)) - term.grid().display_offset()
}
