// SPDX-License-Identifier: AGPL-3.0-or-later
//! What an operator's program and a peer say to each other over the local socket.
//!
//! The document of this format is `docs/formats/operator.md`; the crate `hearth-ipc` moves the
//! frames. Values here are JSON with these rules: field names are `snake_case`, names of operations,
//! states and codes are `kebab-case`; ids are strings as people write them (64 hexadecimal digits of
//! a lump, `peer.serial` of a process), the number of a peer is a number; sizes are in bytes, times
//! since 1970 in milliseconds, and every other time carries its unit in its name. A field that does
//! not apply is left out.
//!
//! A request with a field or an operation that the peer does not know is refused, for an option
//! that is silently ignored does something else than was asked. A reader of answers skips fields that
//! it does not know, so that answers can grow.

mod processes;
mod text;

pub use processes::{LimitInfo, ProcessInfo, ProcessState, ServiceInfo, ServiceState};

use crate::control::Grantable;
use hearth_abi::{EntityId, LumpId, PeerId, ProcessId, TerminalId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The version of this format. A peer names it in [`Status`].
pub const VERSION: u32 = 1;

/// Number of bits of a frame's header that hold the length of its body; the 8 above hold the type.
pub const LENGTH_BITS: u32 = 24;

/// Most bytes in the body of one frame.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// Most bytes in the body of a `send` request.
pub const SEND_BYTES_MAX: usize = 1 << 20;

/// Most bytes of a notice that are shown.
pub const NOTICE_BYTES_MAX: usize = 1200;

/// Most bytes of a new password.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Most lines of a log that can be asked for at once.
pub const TAIL_LINES_MAX: u32 = 100_000;

/// What a frame holds: the upper 8 bits of its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// A request, or one value of an answer, as UTF-8 JSON.
    Json = 1,
    /// A piece of a body: of a lump, a message, a picture, a password.
    Data = 2,
    /// The end: of the body that a client sends, or of the whole answer. Empty.
    End = 3,
    /// The end of an answer that failed: a [`Failure`] as UTF-8 JSON.
    Error = 4,
}

impl FrameKind {
    /// The kind with this number.
    pub const fn from_number(number: u8) -> Option<FrameKind> {
        match number {
            1 => Some(FrameKind::Json),
            2 => Some(FrameKind::Data),
            3 => Some(FrameKind::End),
            4 => Some(FrameKind::Error),
            _ => None,
        }
    }
}

/// What an operator asks of a peer: the first frame of a connection, and its only request.
///
/// Requests about a process or a peer other than the one that is asked are carried there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Request {
    /// Keep the bytes that follow as data as a lump. Answer: [`LumpInfo`].
    LoadLump {},
    /// Read a lump. Answer: [`LumpInfo`], then its bytes as data.
    GetLump {
        /// The lump.
        #[serde(with = "text")]
        id: LumpId,
    },
    /// Keep a lump though nothing refers to it. Answer: [`LumpInfo`].
    Pin {
        /// The lump.
        #[serde(with = "text")]
        id: LumpId,
    },
    /// Undo `pin`. Answer: [`LumpInfo`].
    Unpin {
        /// The lump.
        #[serde(with = "text")]
        id: LumpId,
    },
    /// The lumps that this peer has. Answer: one [`LumpInfo`] for each.
    ListLumps {},
    /// What this peer has made of lumps for its picture. Answer: one [`AssetInfo`] for each.
    ListAssets {},
    /// The processes of one peer, in the order of their ids. Answer: one [`ProcessInfo`] for each. To another peer the answer is as many as
    /// fit a frame, and none at the end of the list.
    ListProcesses {
        /// Which peer's; this one's if absent.
        #[serde(default, with = "text::number_option", skip_serializing_if = "Option::is_none")]
        peer: Option<PeerId>,
        /// Those behind this one alone.
        #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
        after: Option<ProcessId>,
    },
    /// The services of one peer, in the order in which they start. Answer: one [`ServiceInfo`] for each; to another peer as for
    /// [`Request::ListProcesses`].
    ListServices {
        /// Which peer's; this one's if absent.
        #[serde(default, with = "text::number_option", skip_serializing_if = "Option::is_none")]
        peer: Option<PeerId>,
        /// Those behind the one of this name alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// Start a process. Answer: [`Spawned`].
    Spawn {
        /// The lump that is its module.
        #[serde(with = "text")]
        module: LumpId,
        /// Where it shall run; on this peer if absent.
        #[serde(default, with = "text::number_option", skip_serializing_if = "Option::is_none")]
        peer: Option<PeerId>,
        /// The name to register it under.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Its arguments.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        args: Vec<String>,
    },
    /// End processes. Answer: one [`Killed`] for each, in the order of the request.
    Kill {
        /// Which.
        #[serde(with = "text::list")]
        ids: Vec<ProcessId>,
        /// Why, for their logs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// End a process and start it anew from the same module with the same name and arguments.
    /// Answer: [`Spawned`], with the new id.
    Restart {
        /// Which.
        #[serde(with = "text")]
        id: ProcessId,
    },
    /// Replace the code of a process: it keeps its id, names, mailbox, log and place in the scene. If the
    /// new code does not start, the code before goes on. Answer: [`Replaced`].
    Replace {
        /// Which.
        #[serde(with = "text")]
        id: ProcessId,
        /// The lump that is its new module.
        #[serde(with = "text")]
        module: LumpId,
    },
    /// Replace the code of a process by the code that it had before; again, by the code before that.
    /// Answer: [`Replaced`].
    Rollback {
        /// Which.
        #[serde(with = "text")]
        id: ProcessId,
    },
    /// Show a text over what a process has made, for everybody in the space, in place of the one before; none
    /// if it is empty. It goes with the process, and when its code is replaced. Answer: nothing.
    Notice {
        /// Which process.
        #[serde(with = "text")]
        id: ProcessId,
        /// What to show; cut after [`NOTICE_BYTES_MAX`].
        text: String,
    },
    /// All that is known of one process. Answer: [`ProcessInfo`].
    Info {
        /// Which.
        #[serde(with = "text")]
        id: ProcessId,
    },
    /// The log of a process. Answer: one [`LogEvent`] for each line.
    Tail {
        /// Which; it may have ended a while ago.
        #[serde(with = "text")]
        id: ProcessId,
        /// How many of the lines that it has written already, newest last;
        /// at most [`TAIL_LINES_MAX`].
        lines: u32,
        /// Whether to go on with what it writes from now on, until it ends or the client hangs up.
        #[serde(default)]
        follow: bool,
    },
    /// Send the bytes that follow as data (at most [`SEND_BYTES_MAX`]) to a process as a message.
    /// Answer: nothing, or, if a reply is asked for, the reply's bytes as data.
    Send {
        /// The receiver.
        #[serde(with = "text")]
        to: ProcessId,
        /// Whether to send it as a call and wait for the reply.
        #[serde(default)]
        reply: bool,
        /// How long to wait for the reply; the peer's own default if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
    },
    /// Allow a connected peer something on this machine. Answer: [`GrantInfo`], sent when it is on disk.
    Grant {
        /// Whom.
        #[serde(with = "text::number")]
        peer: PeerId,
        /// What.
        what: Grantable,
    },
    /// Undo `grant`. Answer: one [`GrantInfo`] for each that was taken back, sent when it is on disk.
    Revoke {
        /// From whom: the number that the peer has, or had when it was granted.
        #[serde(with = "text::number")]
        peer: PeerId,
        /// What.
        what: Grantable,
    },
    /// The terminals of this peer, and those that others show it. Answer: one [`TerminalInfo`] for each.
    ListTerminals {},
    /// What a terminal shows, as this peer knows it. Answer: [`ScreenInfo`], then its text as data: each row is a
    /// line, without the blanks at its end.
    ShowTerminal {
        /// Which.
        #[serde(with = "text")]
        id: TerminalId,
    },
    /// What this peer's user has granted. Answer: one [`GrantInfo`] for each.
    ListGrants {},
    /// The peers that are in the space now. Answer: one [`PeerInfo`] for each.
    ListPeers {},
    /// How this peer is. Answer: [`Status`].
    Status {},
    /// End this peer in good order. Answer: nothing, sent before it ends.
    Shutdown {},
    /// A picture of what this peer shows. Answer: [`PictureInfo`], then a PNG file as data.
    Screenshot {
        /// Of what this entity with a view sees, rather than the user's eye.
        #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
        view: Option<EntityId>,
    },
    /// Give the space a new password: the bytes that follow as data, UTF-8, at most
    /// [`PASSWORD_BYTES_MAX`]. It stands in no request, so that no log of requests holds it.
    /// Answer: nothing.
    Passwd {},
}

impl Request {
    /// The name of the operation, as in JSON.
    pub const fn op(&self) -> &'static str {
        match self {
            Request::LoadLump {} => "load-lump",
            Request::GetLump { .. } => "get-lump",
            Request::Pin { .. } => "pin",
            Request::Unpin { .. } => "unpin",
            Request::ListLumps {} => "list-lumps",
            Request::ListAssets {} => "list-assets",
            Request::ListProcesses { .. } => "list-processes",
            Request::ListServices { .. } => "list-services",
            Request::Spawn { .. } => "spawn",
            Request::Kill { .. } => "kill",
            Request::Restart { .. } => "restart",
            Request::Replace { .. } => "replace",
            Request::Rollback { .. } => "rollback",
            Request::Notice { .. } => "notice",
            Request::Info { .. } => "info",
            Request::Tail { .. } => "tail",
            Request::Send { .. } => "send",
            Request::Grant { .. } => "grant",
            Request::Revoke { .. } => "revoke",
            Request::ListTerminals {} => "list-terminals",
            Request::ShowTerminal { .. } => "show-terminal",
            Request::ListGrants {} => "list-grants",
            Request::ListPeers {} => "list-peers",
            Request::Status {} => "status",
            Request::Shutdown {} => "shutdown",
            Request::Screenshot { .. } => "screenshot",
            Request::Passwd {} => "passwd",
        }
    }

    /// Whether data frames and an end frame follow the request.
    pub const fn has_body(&self) -> bool {
        matches!(self, Request::LoadLump {} | Request::Send { .. } | Request::Passwd {})
    }
}

/// A lump that this peer has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LumpInfo {
    /// Its name.
    #[serde(with = "text")]
    pub id: LumpId,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is kept though nothing refers to it.
    #[serde(default)]
    pub pinned: bool,
}

/// What became of a lump that a picture needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetInfo {
    /// The lump.
    #[serde(with = "text")]
    pub id: LumpId,
    /// What it is read as, such as `Mesh`.
    pub class: String,
    /// How far it is.
    pub state: AssetState,
    /// Bytes of memory that it takes, here and on the graphics card; 0 before it is ready.
    pub memory_bytes: u64,
    /// Entities that show it, or would.
    pub users: u64,
    /// How many processes hold it loaded.
    #[serde(default)]
    pub holds: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How far a lump is on its way to be an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AssetState {
    /// The lump is being fetched.
    Fetching,
    /// It is here, and waits or is being decoded.
    Decoding,
    /// It is there.
    Ready,
    /// It will not be.
    Failed,
    /// A state that this version does not know.
    #[serde(other)]
    Unknown,
}

impl AssetState {
    /// The name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            AssetState::Fetching => "fetching",
            AssetState::Decoding => "decoding",
            AssetState::Ready => "ready",
            AssetState::Failed => "failed",
            AssetState::Unknown => "unknown",
        }
    }
}

/// A process that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawned {
    /// Its id.
    #[serde(with = "text")]
    pub id: ProcessId,
}

/// A process whose code was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Its id, as before.
    #[serde(with = "text")]
    pub id: ProcessId,
    /// The lump that is its module now.
    #[serde(with = "text")]
    pub module: LumpId,
}

/// What became of one process of a `kill` request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Killed {
    /// The process.
    #[serde(with = "text")]
    pub id: ProcessId,
    /// Why it was not killed; absent if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// How grave a line of a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Something was lost.
    Error,
    /// Something went wrong and was put right.
    Warn,
    /// Rare, and worth reading.
    Info,
    /// Once for each operation.
    Debug,
    /// More often than that.
    Trace,
}

impl Level {
    /// The name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

/// One piece of the log of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LogEvent {
    /// A line that it wrote, or that the peer wrote for it.
    Line {
        /// When, in milliseconds since 1970.
        time_ms: u64,
        /// How grave it is.
        level: Level,
        /// The part of the program that wrote it; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        target: String,
        /// What it says. May hold line breaks.
        text: String,
    },
    /// The reader was too slow, and this many lines were dropped here.
    Lost {
        /// How many.
        lines: u64,
    },
    /// The process has ended. Always the last piece.
    Ended {
        /// How it ended.
        kind: ExitKind,
        /// Why; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
        /// The functions that it was in, where its module has names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        backtrace: Option<String>,
    },
    /// A piece that this version does not know.
    #[serde(other)]
    Unknown,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExitKind {
    /// It was done.
    Normal,
    /// It ended itself and gave a reason.
    Error,
    /// It was killed.
    Killed,
    /// Its code failed.
    Trap,
    /// It passed a limit.
    Limit,
    /// Its module could not be fetched, compiled or started.
    Load,
    /// It was asked to end.
    Shutdown,
    /// It ended itself with the reason `kill`.
    Kill,
    /// It was linked to a process that was not there.
    Noproc,
    /// It was linked to a process of a peer that is not to be reached.
    Noconnection,
    /// A way that this version does not know.
    #[serde(other)]
    Unknown,
}

impl ExitKind {
    /// The name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            ExitKind::Normal => "normal",
            ExitKind::Error => "error",
            ExitKind::Killed => "killed",
            ExitKind::Trap => "trap",
            ExitKind::Limit => "limit",
            ExitKind::Load => "load",
            ExitKind::Shutdown => "shutdown",
            ExitKind::Kill => "kill",
            ExitKind::Noproc => "noproc",
            ExitKind::Noconnection => "noconnection",
            ExitKind::Unknown => "unknown",
        }
    }
}

/// A peer that is in the space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerInfo {
    /// Its number.
    #[serde(with = "text::number")]
    pub id: PeerId,
    /// The name that its user gave it: a label, which others may have too.
    pub name: String,
    /// Where it connects from, or for the server where it listens, as `address:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The version of its program.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Its operating system and processor, as `linux x86_64`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub system: String,
    /// What it can do for others, as `picture`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<String>,
    /// The last measured round trip to it, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_us: Option<u64>,
    /// Whether it is the peer that answers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub this: bool,
}

/// A terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalInfo {
    /// Its id; the peer in it hosts it.
    #[serde(with = "text")]
    pub id: TerminalId,
    /// Columns of what it shows.
    pub columns: u16,
    /// Rows of what it shows.
    pub rows: u16,
    /// What its program calls itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The process that opened it. Known to the peer that hosts it.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    pub owner: Option<ProcessId>,
    /// The peers whose users' keyboards it has: all of them on the peer that hosts it, else this peer if it is one.
    #[serde(default, with = "text::number_list", skip_serializing_if = "Vec::is_empty")]
    pub typists: Vec<PeerId>,
    /// The exit code of its program if it has ended, or the negative number of the signal that ended it. Known to
    /// the peer that hosts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
}

/// What a terminal shows; the text follows as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScreenInfo {
    /// The terminal.
    #[serde(with = "text")]
    pub id: TerminalId,
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
    /// What its program calls itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Column and row of the cursor, from 0, if it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<[u16; 2]>,
    /// Length of the text, in bytes.
    pub size: u64,
}

/// Something that this peer's user has granted to another peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantInfo {
    /// The number of that peer; the one that it last had, if it is not connected.
    #[serde(with = "text::number")]
    pub peer: PeerId,
    /// Its name, now or then.
    pub name: String,
    /// What it may do.
    pub what: Grantable,
    /// Its key, 64 hexadecimal digits: the grant is bound to it.
    pub key: String,
    /// Whether it is connected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub connected: bool,
}

/// Which part a peer plays in the space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The home server.
    Server,
    /// A client.
    Client,
}

/// How a peer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Which part it plays.
    pub role: Role,
    /// Its number.
    #[serde(with = "text::number")]
    pub peer: PeerId,
    /// Its name.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// The version of this format: [`VERSION`].
    pub operator_version: u32,
    /// The id of its process in the operating system.
    pub pid: u32,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: u64,
    /// Its data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Where it listens for peers (server), as `address:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// The server that it belongs to (client), as `address:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Whether it is joined to its server now; a server always is.
    pub connected: bool,
    /// Peers in the space, itself included.
    pub peers: u64,
    /// Its own live processes.
    pub processes: u64,
    /// Lumps that it has.
    pub lumps: u64,
    /// Bytes in these lumps.
    pub lump_bytes: u64,
    /// Entities in its scene.
    pub entities: u64,
    /// The server's public key (server), 64 hexadecimal digits: what clients pin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_key: Option<String>,
    /// Memory that the operating system counts for it, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
}

/// A picture that follows as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureInfo {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Size of the file, in bytes.
    pub size: u64,
}

/// What kind of thing went wrong. Codes are stable: one is never given another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// There is no such thing, where it is neither a process nor a peer: a lump, mostly.
    NotFound,
    /// There is no such process.
    NoSuchProcess,
    /// There is no such peer, or it is not connected.
    NoPeer,
    /// It is not allowed.
    Refused,
    /// The name is in use.
    Taken,
    /// It did not happen within its time.
    TimedOut,
    /// A limit is reached: a mailbox is full, there are too many of something, something is too large.
    Limit,
    /// The request is malformed.
    Invalid,
    /// The content has not the form that it must have, as a module that is none.
    Malformed,
    /// The code ended in its start, or never waited for anything.
    DidNotStart,
    /// This peer cannot do that, as a server that is asked for a picture.
    Unsupported,
    /// The disk refused, or is full, or what it holds is corrupt.
    Storage,
    /// A defect of the peer.
    Internal,
    /// A code that this version does not know.
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// Every code, in the order of the document.
    pub const ALL: [ErrorCode; 14] = [
        ErrorCode::NotFound,
        ErrorCode::NoSuchProcess,
        ErrorCode::NoPeer,
        ErrorCode::Refused,
        ErrorCode::Taken,
        ErrorCode::TimedOut,
        ErrorCode::Limit,
        ErrorCode::Invalid,
        ErrorCode::Malformed,
        ErrorCode::DidNotStart,
        ErrorCode::Unsupported,
        ErrorCode::Storage,
        ErrorCode::Internal,
        ErrorCode::Unknown,
    ];

    /// The name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorCode::NotFound => "not-found",
            ErrorCode::NoSuchProcess => "no-such-process",
            ErrorCode::NoPeer => "no-peer",
            ErrorCode::Refused => "refused",
            ErrorCode::Taken => "taken",
            ErrorCode::TimedOut => "timed-out",
            ErrorCode::Limit => "limit",
            ErrorCode::Invalid => "invalid",
            ErrorCode::Malformed => "malformed",
            ErrorCode::DidNotStart => "did-not-start",
            ErrorCode::Unsupported => "unsupported",
            ErrorCode::Storage => "storage",
            ErrorCode::Internal => "internal",
            ErrorCode::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a request failed: the body of an error frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind of thing went wrong.
    pub code: ErrorCode,
    /// What went wrong, for a person: lower case, no full stop, names in backticks.
    pub message: String,
    /// What that person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// The failure of everything that names a process which there is not.
    pub fn no_such_process(id: ProcessId) -> Failure {
        Failure::new(ErrorCode::NoSuchProcess, format!("no such process `{id}`"))
            .with_hint("`hearth-ctl list-processes` shows what runs")
    }

    /// The failure of everything that names a peer which is not there.
    pub fn no_peer(id: PeerId) -> Failure {
        Failure::new(ErrorCode::NoPeer, format!("no peer `{id}` is connected"))
            .with_hint("`hearth-ctl list-peers` shows who is here")
    }

    /// The failure of everything that names a lump which cannot be had.
    pub fn no_lump(id: LumpId) -> Failure {
        Failure::new(ErrorCode::NotFound, format!("no lump `{id}`"))
            .with_hint("`hearth-ctl load-lump FILE` loads one")
    }
}
