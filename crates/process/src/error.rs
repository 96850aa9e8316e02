// SPDX-License-Identifier: AGPL-3.0-or-later
//! Why the table refuses something.

use hearth_abi::{Errno, PeerId, ProcessId, signal::BODY_LEN_MAX};
use thiserror::Error;

/// Why a message or a kill did not go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// No such process on this peer.
    #[error("no such process")]
    NotFound,
    /// The mailbox, or the way to the other peer, is full.
    #[error("the mailbox is full")]
    Full,
    /// That peer is not connected.
    #[error("the peer is not connected")]
    NoPeer,
    /// The body has more than [`BODY_LEN_MAX`] bytes.
    #[error("a message has at most {BODY_LEN_MAX} bytes")]
    TooLong,
}

impl SendError {
    /// The error as guests see it.
    pub fn errno(self) -> Errno {
        match self {
            SendError::NotFound => Errno::NotFound,
            SendError::Full => Errno::Full,
            SendError::NoPeer => Errno::NoPeer,
            SendError::TooLong => Errno::Limit,
        }
    }
}

/// Why a name was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// Another process has it.
    #[error("the name is taken by process {by}")]
    Taken {
        /// The process that has it.
        by: ProcessId,
    },
    /// It is empty, too long, or has control characters.
    #[error("a name has 1 to {} bytes and no control characters", crate::NAME_LEN_MAX)]
    Invalid,
    /// The process has too many names.
    #[error("a process has at most {} names", crate::NAMES_MAX)]
    TooMany,
}

impl RegisterError {
    /// The error as guests see it.
    pub fn errno(self) -> Errno {
        match self {
            RegisterError::Taken { .. } => Errno::Taken,
            RegisterError::Invalid => Errno::Invalid,
            RegisterError::TooMany => Errno::Limit,
        }
    }
}

/// Why a process was not spawned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SpawnError {
    /// Its name cannot be given.
    #[error(transparent)]
    Name(#[from] RegisterError),
    /// There are as many processes as this peer can have.
    #[error("this peer has {max} processes, and cannot have more")]
    TooMany {
        /// How many it can have.
        max: usize,
    },
    /// The one that spawns it has as many living children as it may.
    #[error("process `{parent}` has {max} living children, and may not have more (limit `children`)")]
    TooManyChildren {
        /// The one that spawns it.
        parent: ProcessId,
        /// How many it may have.
        max: u64,
    },
    /// The one that spawns it spawns too fast.
    #[error("process `{parent}` may spawn {max} processes a second (limit `spawns_per_s`)")]
    TooFast {
        /// The one that spawns it.
        parent: ProcessId,
        /// How many it may spawn each second.
        max: u64,
    },
    /// The processes of its peer of origin are as many as they may be.
    #[error("scripts of peer {origin} have {max} processes here, and may not have more (limit `processes`)")]
    OriginFull {
        /// The peer of origin.
        origin: PeerId,
        /// How many they may be.
        max: u64,
    },
    /// All serial numbers of this peer have been used.
    #[error("all serial numbers of this peer have been used")]
    SerialsUsedUp,
    /// The mark of the serial numbers that are in use could not be written: the disk is full, or fails.
    #[error("the number of the process could not be written to the disk")]
    SerialsNotKept,
    /// The peer shuts down.
    #[error("the peer shuts down")]
    ShuttingDown,
    /// (Restart only.) Nothing is known of such a process.
    #[error("no such process")]
    NotFound,
    /// (Restart only.) Another process looks after it.
    #[error("process `{by}` looks after it, and starts it again when it ends: kill it instead")]
    Supervised {
        /// The one that does.
        by: ProcessId,
    },
    /// It could not be tied to the one that spawns it: that has as many links or monitors as it may, or a
    /// monitor of this tag.
    #[error("it could not be linked or monitored: {0}")]
    NotTied(Errno),
}

impl SpawnError {
    /// The error as guests see it.
    pub fn errno(self) -> Errno {
        match &self {
            SpawnError::Name(error) => error.errno(),
            SpawnError::TooMany { .. }
            | SpawnError::TooManyChildren { .. }
            | SpawnError::TooFast { .. }
            | SpawnError::OriginFull { .. }
            | SpawnError::SerialsUsedUp => Errno::Limit,
            SpawnError::SerialsNotKept | SpawnError::ShuttingDown => Errno::Host,
            SpawnError::NotFound => Errno::NotFound,
            SpawnError::Supervised { .. } => Errno::Taken,
            SpawnError::NotTied(errno) => *errno,
        }
    }
}
