// SPDX-License-Identifier: AGPL-3.0-or-later
//! The scene: a tree of entities with components, the same on every peer, without any picture.
//!
//! - [`Scene`] is the state and its rules: batches of operations apply whole or not at all.
//! - [`Authority`] is the shared scene as the home server holds it. It puts everybody's batches in
//!   one order, and keeps an [`Outbox`] for each peer: what that peer has yet to hear, of a moving
//!   thing only its newest state.
//! - [`Mirror`] is the scene as a client sees it: the server's order, the client's own writes shown
//!   over it until they are answered, and the entities of local scope beside.
//! - [`wire`] is what the two say to each other, as bytes (`docs/formats/scene.md`).
//! - [`SceneFile`] keeps what was given to the space.
//! - [`Change`] is the feed for whoever draws the scene.
//!
//! Nothing here waits, sends or draws: bytes go in and come out, and the caller owns the clock. The
//! crate must not depend on the engine, the network, or the process table.

mod authority;
mod changes;
mod entity;
mod error;
mod file;
mod mirror;
mod outbox;
mod rebase;
mod scene;
pub mod wire;

pub use authority::{Authority, Submitted};
pub use changes::Change;
pub use entity::{Entity, Owner};
pub use error::{ApplyError, Problem};
pub use file::{FileError, Repaired, SavedChange, SavedEntity, SceneFile};
pub use mirror::{Mirror, MirrorError, MirrorLimits, Notice};
pub use outbox::{ITEMS_MAX, Outbox};
pub use scene::{Limits, Quota, Scene};
