// SPDX-License-Identifier: AGPL-3.0-or-later
//! The processes of one peer: their table, mailboxes, names, timers, logs and ends.
//!
//! [`Processes`] is the table. What a process *does* is a [`Program`], given by whoever spawns it; the
//! table knows nothing of WebAssembly. A program sees its process through a [`Context`]. What the table
//! needs of the peer around it (sending to other peers, remembering the serial numbers that were given
//! out) is the trait [`Host`].
//!
//! Every queue here is bounded: mailboxes by count and bytes (the sender gets [`SendError::Full`]),
//! requests, timers, links and monitors by count, processes that are not claimed by count and time (`unclaimed`), logs by lines and bytes (the oldest go) and by rate (the newest are
//! refused), records of ended processes by count (the oldest go). See [`Limits`], and [`OriginLimits`] for what the
//! processes of one peer of origin have together (`accounts`). Whoever reaches one finds it in its log (`reached`).
//!
//! The code of a process can be replaced while it lives (`life`), and goes on where it was if the new
//! code does not start.
//!
//! How processes share the processors is in `scheduler`. Those that park between their turns are entered by plain
//! calls in the *fast lane* (`lane`), the others are Tokio tasks in the *fiber lane*, and a process that overruns its
//! slices goes to the *hog lane*, which has one thread fewer than there are, so that the others are never
//! without one. Which lane a process is in changes nothing else for it. Who may use only so much of a processor in the
//! long run is held up when it has (`budget`).
//!
//! Those that have waited for a while hibernate (`hibernation`).
//!
//! This crate must not depend on `wasm`, `net`, `scene` or `store`: it carries opaque bytes.

mod accounts;
mod budget;
mod context;
mod error;
mod exit;
mod hibernation;
mod inbox;
mod known;
mod lane;
mod life;
mod limits;
mod lock;
mod log;
mod mailbox;
mod names;
mod outbox;
mod program;
mod queue;
mod reached;
mod record;
mod registry;
mod request;
mod run;
mod scheduler;
mod signal;
mod table;
mod ties;
mod timers;
mod unclaimed;

pub use accounts::MemoryShare;
pub use context::{Context, Take};
pub use error::{RegisterError, SendError, SpawnError};
pub use exit::{ExitKind, ExitReason};
pub use life::{HISTORY_MAX, ReplaceError};
pub use limits::{Limit, Limits, OriginLimits};
pub use log::{FollowEvent, Level, LogFollower, LogLine, TEXT_LEN_MAX};
pub use names::{NAME_LEN_MAX, NAMES_MAX};
pub use program::{Aside, Footprint, Program, Turn, Turns, Work};
pub use record::{Lane, OriginInfo, ProcessInfo, State};
pub use request::{Reply, ReplyTo};
pub use run::Code;
pub use scheduler::Tick;
pub use signal::{Body, Signal};
pub use table::{Begun, Config, Counts, Host, Processes, Spec};
pub use ties::{Bond, Tie, TiesInfo};
pub use unclaimed::Wish;
