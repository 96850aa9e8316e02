// SPDX-License-Identifier: AGPL-3.0-or-later
//! Why a batch was refused.

use hearth_abi::{EntityId, Errno};
use thiserror::Error;

/// A batch that was not applied; nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("operation {index} on entity {entity}: {problem}")]
pub struct ApplyError {
    /// Index in the batch of the operation that could not be done.
    pub index: usize,
    /// The entity it was to change.
    pub entity: EntityId,
    /// Why it could not.
    pub problem: Problem,
}

impl ApplyError {
    /// The error number that a guest is given.
    pub const fn errno(&self) -> Errno {
        self.problem.errno()
    }
}

/// What is wrong with an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// An entity of this id is there already.
    #[error("an entity of this id exists")]
    Exists,
    /// The entity is not there.
    #[error("no such entity")]
    NotFound,
    /// The parent is not there.
    #[error("no such parent")]
    ParentNotFound,
    /// The parent is the entity itself, or hangs below it.
    #[error("an entity cannot hang under itself")]
    Cycle,
    /// An entity that everybody sees would hang under one that only one user sees.
    #[error("a shared entity cannot hang under a local one")]
    ScopeOfParent,
    /// The tree would be too deep.
    #[error("the tree would be deeper than allowed")]
    TooDeep,
    /// The id was given by another peer than the writer's.
    #[error("the id belongs to another peer than the writer")]
    ForeignId,
    /// The scene is full.
    #[error("the scene has as many entities as allowed")]
    SceneFull,
    /// The process has made too many entities.
    #[error("the process has as many entities as allowed")]
    ProcessFull,
    /// The processes of the writer's peer of origin have made too many entities.
    #[error("the processes of its peer of origin have as many entities as allowed")]
    OriginFull,
    /// The batch moves or gives large parts of the tree too often.
    #[error("the batch takes too much work")]
    TooMuchWork,
    /// An entity of local scope cannot be given to the space.
    #[error("a local entity cannot be given to the space")]
    LocalGiven,
    /// This peer has no user for whom an entity of local scope could be.
    #[error("this peer has no user to show a local entity to")]
    NoUser,
    /// The writer does not run on the peer that sent the batch.
    #[error("the writer is a process of another peer")]
    ForeignWriter,
    /// Too many writes wait for the server's answer.
    #[error("too many changes wait for the server")]
    Backlog,
}

impl Problem {
    /// The error number that a guest is given.
    pub const fn errno(self) -> Errno {
        match self {
            Problem::Exists => Errno::Taken,
            Problem::NotFound | Problem::ParentNotFound => Errno::NotFound,
            Problem::Cycle | Problem::ScopeOfParent | Problem::LocalGiven => Errno::Invalid,
            Problem::ForeignId | Problem::ForeignWriter => Errno::Permission,
            Problem::TooDeep
            | Problem::SceneFull
            | Problem::ProcessFull
            | Problem::OriginFull
            | Problem::TooMuchWork => Errno::Limit,
            Problem::NoUser => Errno::Unsupported,
            Problem::Backlog => Errno::Full,
        }
    }
}
