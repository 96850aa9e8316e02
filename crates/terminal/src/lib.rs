// SPDX-License-Identifier: AGPL-3.0-or-later
//! Terminals: an emulator with a program on a pseudo terminal behind it, and the sharing of what it shows.
//!
//! - [`Terminal`]: opens one, takes [commands](hearth_abi::terminal::Command), and publishes
//!   [screens](hearth_abi::screen::Screen). [`Emulator`] is the same without a program, for tests and recordings.
//! - [`keys`]: key strokes as the bytes that programs read.
//! - [`pack`] and [`unpack`]: screens as they travel between peers. [`Sharer`] and [`Mirror`] do that for one terminal
//!   and one stream of updates, with their pace and their keyframes; whoever keeps the screens itself needs only the
//!   former.
//!
//! It knows nothing of peers, of scripts or of pictures. Programs run as the user of this process, and only on Linux.

mod emulator;
mod find;
mod guard;
pub mod keys;
mod mouse;
mod pointer;
mod program;
mod share;
mod terminal;
mod view;

pub use emulator::{
    CELL_SIZE_PX, COLUMNS_MIN, EXTRAS_LEN_MAX, Emulator, HISTORY_CELLS_MAX, HISTORY_LINES_MAX, Task,
};
pub use program::{Environment, HANG_UP_GRACE};
pub use share::{Mirror, Sharer, UPDATE_INTERVAL, UpdateError, pack, unpack};
pub use terminal::{CommandError, INPUT_LEN_MAX, Listener, OpenError, Terminal};
