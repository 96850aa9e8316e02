// SPDX-License-Identifier: AGPL-3.0-or-later
//! Terminals: programs of this peer's machine, shown in the space; and who has the user's keyboard.
//!
//! ```
//! use hearth_sdk::{abi::scene::TerminalView, prelude::*, terminal::{Event, Open, Terminal}, testing};
//!
//! async fn run() -> Result<(), Error> {
//!     let terminal = Terminal::open(&Open::default()).await?;
//!     let view = TerminalView { terminal: terminal.id(), cell_height: 0.05, opacity: 1.0 };
//!     Entity::new().at(0.0, 1.5, -2.0).with(Component::Terminal(view)).spawn()?;
//!     loop {
//!         match terminal.event().await {
//!             Event::Title(title) => info!("it is {title} now"),
//!             Event::Exited(_) | Event::Closed => return Ok(()),
//!             _ => {}
//!         }
//!     }
//! }
//! # testing::run_for(run(), Duration::ZERO);
//! # testing::answer(Ok(0), &9u64.to_le_bytes());
//! # testing::terminal_event(abi::TerminalId::from_bits(9), &Event::Exited(0));
//! # use hearth_sdk::abi;
//! ```

use crate::{Error, runtime, runtime::Pending, sys};
use hearth_abi::{Errno, TerminalId};
use std::future::poll_fn;

pub use hearth_abi::terminal::{
    Command, Event, Modifiers, Open, Pointer, PointerAction, Stroke, TEXT_LEN_MAX, Theme, VIEW_LEN, View,
};

/// How many terminals are asked for at once.
const VIEWS: usize = 64;

/// The entities that show terminals, of this peer and of others, in order of id: whoever wants to know at which of
/// them the user points looks here. Nothing changes by it.
///
/// ```
/// use hearth_sdk::{abi::{EntityId, TerminalId, scene::Transform}, terminal::{self, View}, testing};
///
/// let view = View {
///     entity: EntityId::from_bits(3),
///     terminal: TerminalId::from_bits(2),
///     columns: 80,
///     rows: 24,
///     may_type: true,
///     cell_height: 0.05,
///     in_world: Transform::at(0.0, 1.5, -2.0),
/// };
/// testing::terminal_views(&[view]);
/// assert_eq!(terminal::views(), [view]);
/// ```
pub fn views() -> Vec<View> {
    let mut all: Vec<View> = Vec::new();
    let mut bytes = [0; VIEWS * VIEW_LEN];
    loop {
        let after = all.last().map_or(0, |view| view.entity.to_bits());
        let len = usize::try_from(sys::terminal_views(after, &mut bytes)).unwrap_or(0);
        let Ok(more) = View::decode_all(&bytes[..len]) else { return all };
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

/// A terminal. It is a number: copies are the same terminal, and dropping one does nothing. It is closed when
/// the process that opened it ends, or by [`Terminal::close`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Terminal(TerminalId);

impl Terminal {
    /// Opens a terminal of this peer's machine. Its events come to this process.
    ///
    /// # Errors
    /// [`Errno::Permission`] if this process came from another peer; [`Errno::Limit`] if it has 16 already, or
    /// the peer 64; [`Errno::Host`], with the reason, if there is no such folder or the system refuses.
    pub async fn open(open: &Open) -> Result<Terminal, Error> {
        let open = open.encode();
        let answer = Pending::ask(|tag| sys::terminal_open(&open, tag))?.await.success()?;
        let bits =
            answer.body.try_into().map_err(|_short| Error::new(Errno::Host, "the reply holds no id"))?;
        Ok(Terminal(TerminalId::from_bits(u64::from_le_bytes(bits))))
    }

    /// The terminal of this id, that another process has opened.
    pub const fn of(id: TerminalId) -> Terminal {
        Terminal(id)
    }

    /// Its id, for a [`TerminalView`](hearth_abi::scene::TerminalView).
    pub const fn id(self) -> TerminalId {
        self.0
    }

    /// The next thing that happens to it. Whoever opened it hears all; whoever gave it the keyboard hears
    /// [`Event::Keyboard`]. Of events that nobody takes the oldest are lost once there are 256.
    pub async fn event(self) -> Event {
        poll_fn(|context| runtime::poll_terminal(self.0, context)).await
    }

    /// Makes it do something.
    ///
    /// # Errors
    /// [`Errno::NotFound`] if it is closed; [`Errno::Permission`] if this process came from another peer, or the
    /// terminal is another peer's that has not been granted, or granted for less than this; [`Errno::Full`] if
    /// its program does not read what is typed; [`Errno::Invalid`] if a text is too long.
    pub fn command(self, command: &Command) -> Result<(), Errno> {
        sys::check(sys::terminal_command(self.0.to_bits(), &command.encode())).map(drop)
    }

    /// Gives it so many columns and rows.
    ///
    /// # Errors
    /// As [`Terminal::command`].
    pub fn resize(self, columns: u16, rows: u16) -> Result<(), Errno> {
        self.command(&Command::Resize { columns, rows })
    }

    /// Types a text.
    ///
    /// # Errors
    /// As [`Terminal::command`].
    pub fn text(self, text: impl Into<String>) -> Result<(), Errno> {
        self.command(&Command::Text(text.into()))
    }

    /// Pastes a text: bracketed if the program asked for it.
    ///
    /// # Errors
    /// As [`Terminal::command`].
    pub fn paste(self, text: impl Into<String>) -> Result<(), Errno> {
        self.command(&Command::Paste(text.into()))
    }

    /// A key.
    ///
    /// # Errors
    /// As [`Terminal::command`].
    pub fn key(self, stroke: Stroke) -> Result<(), Errno> {
        self.command(&Command::Key(stroke))
    }

    /// What the pointer does on it.
    ///
    /// # Errors
    /// As [`Terminal::command`].
    pub fn pointer(self, pointer: Pointer) -> Result<(), Errno> {
        self.command(&Command::Pointer(pointer))
    }

    /// Moves the view up by so many lines, or down if negative.
    ///
    /// # Errors
    /// As [`Terminal::command`].
    pub fn scroll(self, lines: i32) -> Result<(), Errno> {
        self.command(&Command::Scroll(lines))
    }

    /// Gives it other colours.
    ///
    /// # Errors
    /// As [`Terminal::command`].
    pub fn theme(self, theme: Theme) -> Result<(), Errno> {
        self.command(&Command::Theme(theme))
    }

    /// Ends its program and the terminal.
    ///
    /// # Errors
    /// As [`Terminal::command`].
    pub fn close(self) -> Result<(), Errno> {
        self.command(&Command::Close)
    }

    /// Gives it the user's keyboard. The user takes it back at any time with Ctrl+Shift+Space; what becomes of
    /// it comes as [`Event::Keyboard`].
    ///
    /// # Errors
    /// As [`Terminal::command`], and [`Errno::Unsupported`] on a peer without a picture.
    pub fn focus(self) -> Result<(), Errno> {
        sys::check(sys::keyboard_focus(self.0.to_bits())).map(drop)
    }
}

/// Takes the user's keyboard from whatever terminal has it: keys go to the scripts again.
///
/// # Errors
/// [`Errno::Permission`] if this process came from another peer; [`Errno::Unsupported`] without a picture.
pub fn unfocus() -> Result<(), Errno> {
    sys::check(sys::keyboard_focus(0)).map(drop)
}
