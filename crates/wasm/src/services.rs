// SPDX-License-Identifier: AGPL-3.0-or-later
//! What guests need of the peer beyond their own process.

use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::{
    EntityId, Errno, LumpId, PeerId, ProcessId, TerminalId,
    cast::Cast,
    scene::ComponentKind,
    terminal::{Command, Open, View},
};
use hearth_process::{Bond, ReplyTo};
use std::time::Duration;

/// Who makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The process.
    pub process: ProcessId,
    /// The peer whose authority it has.
    pub origin: PeerId,
}

/// What takes time. Its reply has the form that `docs/formats/guest.md` gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Spawn a process on a peer, also this one, tied to the caller if it wishes so ([`ReplyTo::wish`]). Reply:
    /// [`ReplyTo::spawned`], when it has started.
    SpawnOn {
        /// Where.
        peer: PeerId,
        /// The lump of its module.
        module: LumpId,
        /// Its name there.
        name: Option<String>,
        /// Its arguments, in the form of [`hearth_abi::signal::encode_args`].
        args: Bytes,
    },
    /// Make a lump of these bytes. Reply: nothing, when it is stored durably.
    LumpPut {
        /// The hash of the bytes.
        id: LumpId,
        /// The content.
        bytes: Bytes,
    },
    /// Read part of a lump. Reply: status is the number of bytes in the body.
    LumpRead {
        /// Which.
        id: LumpId,
        /// First byte.
        offset: u64,
        /// Most bytes, at most [`hearth_abi::signal::BODY_LEN_MAX`].
        len: u32,
        /// How long to wait for it.
        timeout: Duration,
    },
    /// Fetch a lump. Reply: its size (8 bytes).
    LumpSize {
        /// Which.
        id: LumpId,
        /// How long to wait for it.
        timeout: Duration,
    },
    /// Send a lump to a peer. Reply: nothing, when it has it.
    LumpPush {
        /// Which.
        id: LumpId,
        /// Where to.
        peer: PeerId,
    },
    /// Load a lump as an asset. Reply: nothing, or `malformed` and the reason.
    AssetLoad {
        /// The class, as `Mesh`.
        class: String,
        /// The lump.
        id: LumpId,
    },
    /// Make a lump of a file of this machine. Reply: its id (32 bytes).
    FileLoad {
        /// The file.
        path: String,
    },
    /// Run a program of this machine. Reply: status is its exit code, body its output.
    Command {
        /// The program and its arguments; at least one.
        args: Vec<Vec<u8>>,
    },
    /// Open a terminal of this machine. Reply: its id (8 bytes).
    TerminalOpen {
        /// How.
        open: Open,
    },
    /// Something about the names and groups of the space, for the caller. Reply: status is the number of ids in
    /// the body: who has the name, who is in the group.
    Directory {
        /// What.
        op: DirectoryOp,
        /// The name, or that of the group: at most [`hearth_process::NAME_LEN_MAX`] bytes.
        name: String,
    },
    /// Read the user's clipboard. Reply: its text.
    ClipboardRead,
    /// Send a ray or a ball through the scene as this peer shows it. Reply: the hits, in the form of
    /// [`hearth_abi::cast::encode_hits`].
    SceneCast {
        /// What is sent.
        cast: Cast,
    },
}

/// What is done about a name or a group of the space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryOp {
    /// Give the caller the name.
    Register,
    /// Take the name from it.
    Unregister,
    /// Tell who has the name.
    Whereis,
    /// Put the caller into the group.
    Join,
    /// Take it out.
    Leave,
    /// Tell who is in the group.
    Members,
}

/// What guests need of the peer. None of the plain functions may block for long. Arguments are
/// checked: sizes are within the contract's, and machine authority has been checked for
/// [`Request::FileLoad`], [`Request::Command`], [`Request::TerminalOpen`], [`Request::ClipboardRead`],
/// [`Services::pointer_capture`], [`Services::terminal_command`], [`Services::keyboard_focus`],
/// [`Services::clipboard_write`], and the keyboard and mouse of [`Services::input_subscribe`].
pub trait Services: Send + Sync + 'static {
    /// Begins what takes time.
    fn request(&self, caller: &Caller, request: Request, reply: ReplyTo);

    /// The bytes of a module, fetched when missing. The error is the reason in words.
    fn lump(&self, caller: &Caller, id: LumpId) -> BoxFuture<'static, Result<Bytes, String>>;

    /// Spawns a process on this peer, tied to the caller if there is a bond.
    ///
    /// # Errors
    /// Its name is taken, or a limit is reached.
    fn spawn(
        &self,
        caller: &Caller,
        module: LumpId,
        name: Option<String>,
        args: Bytes,
        bond: Option<Bond>,
    ) -> Result<ProcessId, Errno>;

    /// Lets go of an asset that the caller loaded.
    ///
    /// # Errors
    /// [`Errno::NotFound`] if it has not.
    fn asset_drop(&self, caller: &Caller, class: &str, id: LumpId) -> Result<(), Errno>;

    /// The first of `count` (1 to 65,536) consecutive entity ids that nobody else has.
    ///
    /// # Errors
    /// There are none left.
    fn entity_ids(&self, count: u32) -> Result<EntityId, Errno>;

    /// Applies a batch of scene operations, whole or not at all.
    ///
    /// # Errors
    /// The batch is malformed or refused.
    fn scene_apply(&self, caller: &Caller, batch: &[u8]) -> Result<(), Errno>;

    /// The bytes of a component.
    fn scene_read(&self, entity: EntityId, kind: ComponentKind) -> Option<Vec<u8>>;

    /// Sends the caller these input events from now on.
    ///
    /// # Errors
    /// [`Errno::Unsupported`] without a picture.
    fn input_subscribe(&self, caller: &Caller, mask: u32) -> Result<(), Errno>;

    /// Captures or frees the mouse pointer.
    ///
    /// # Errors
    /// [`Errno::Unsupported`] without a picture.
    fn pointer_capture(&self, caller: &Caller, on: bool) -> Result<(), Errno>;

    /// Makes a terminal do something, of this peer or of another.
    ///
    /// # Errors
    /// [`Errno::NotFound`]: no such terminal. [`Errno::Permission`]: it is one of another peer whose user has
    /// not granted it. [`Errno::NoPeer`], [`Errno::Full`]: it, or the way there, takes nothing now.
    fn terminal_command(&self, caller: &Caller, terminal: TerminalId, command: Command) -> Result<(), Errno>;

    /// The entities that show terminals, in order of id from behind `after` on, `count` at most.
    fn terminal_views(&self, after: EntityId, count: usize) -> Vec<View>;

    /// Gives the user's keyboard to a terminal, or back to the scripts.
    ///
    /// # Errors
    /// As [`Services::terminal_command`], and [`Errno::Unsupported`] without a picture.
    fn keyboard_focus(&self, caller: &Caller, terminal: Option<TerminalId>) -> Result<(), Errno>;

    /// Gives the keyboard back that the user of this peer, or of another, has given to an entity of the caller.
    ///
    /// # Errors
    /// [`Errno::NotFound`]: this peer's user has not. [`Errno::NoPeer`], [`Errno::Full`]: the way to another peer.
    fn keyboard_leave(&self, caller: &Caller, user: PeerId) -> Result<(), Errno>;

    /// Puts a text of at most [`hearth_abi::terminal::TEXT_LEN_MAX`] bytes on the user's clipboard.
    ///
    /// # Errors
    /// [`Errno::Unsupported`] without a window.
    fn clipboard_write(&self, caller: &Caller, text: String) -> Result<(), Errno>;

    /// The name that a connected peer goes by.
    fn peer_name(&self, peer: PeerId) -> Option<String>;
}
