// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a node needs of the engine that shows its scene, and nothing of how it is done. A peer
//! without one (a server, a bot) has no [`Picture`].

use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::{EntityId, LumpId, input::Event};
use hearth_scene::Change;

/// The engine, as the node sees it. No call waits for a frame.
pub trait Picture: Send + Sync + 'static {
    /// The scene changed. Called from one task, in order; may wait while the engine is behind: what
    /// changes meanwhile is merged.
    fn changes(&self, changes: Vec<Change>) -> BoxFuture<'_, ()>;

    /// The answer to [`PictureEvent::WantLump`].
    fn lump(&self, id: LumpId, bytes: Result<Bytes, String>) -> BoxFuture<'_, ()>;

    /// Captures or frees the pointer.
    fn capture_pointer(&self, on: bool);

    /// The next picture as PNG.
    fn screenshot(&self) -> BoxFuture<'static, Result<Vec<u8>, String>>;

    /// Loads a lump as an asset of a class; the reason if it does not load.
    fn load(&self, class: &str, id: LumpId) -> BoxFuture<'static, Result<(), String>>;

    /// Lets go of an asset that was loaded.
    fn drop_asset(&self, class: &str, id: LumpId);
}

/// What the engine tells the node.
#[derive(Clone, Debug)]
pub enum PictureEvent {
    /// The user did something.
    Input(Event),
    /// The engine needs a lump.
    WantLump(LumpId),
    /// A lump that entities refer to does not load.
    AssetFailed {
        /// The entities.
        entities: Vec<EntityId>,
        /// The lump.
        lump: LumpId,
        /// What is wrong with it.
        reason: String,
    },
}
