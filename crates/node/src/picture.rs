// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a node needs of the engine that shows its scene, and nothing of how it is done. A peer
//! without one (a server, a bot) has no [`Picture`].

use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::{
    EntityId, Errno, LumpId, TerminalId,
    cast::{Cast, Hit},
    input::Event,
    pointer,
    screen::Screen,
    terminal::Stroke,
};
use hearth_protocol::operator::AssetInfo;
use hearth_scene::Change;
use std::{path::PathBuf, sync::Arc};

/// The engine, as the node sees it. No call waits for a frame.
pub trait Picture: Send + Sync + 'static {
    /// The scene changed. Called from one task, in order; may wait while the engine is behind: what
    /// changes meanwhile is merged.
    fn changes(&self, changes: Vec<Change>) -> BoxFuture<'_, ()>;

    /// The answer to [`PictureEvent::WantLump`].
    fn lump(&self, id: LumpId, bytes: Result<Bytes, String>) -> BoxFuture<'_, ()>;

    /// So many bytes of a lump that was wanted are here, of so many. Not every step is told.
    fn lump_progress(&self, id: LumpId, received: u64, size: u64) {
        let _ = (id, received, size);
    }

    /// Captures or frees the pointer.
    fn capture_pointer(&self, on: bool);

    /// The next picture as PNG.
    fn screenshot(&self) -> BoxFuture<'static, Result<Vec<u8>, String>>;

    /// The same of what an entity with a view sees.
    fn view_screenshot(&self, view: EntityId) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        let _ = view;
        Box::pin(std::future::ready(Err("this picture makes none of views".to_owned())))
    }

    /// What became of all lumps that the picture needs. A picture that keeps none has none to tell of.
    fn assets(&self) -> BoxFuture<'static, Result<Vec<AssetInfo>, String>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Loads a lump as an asset of a class; the reason if it does not load.
    fn load(&self, class: &str, id: LumpId) -> BoxFuture<'static, Result<(), String>>;

    /// Lets go of an asset that was loaded.
    fn drop_asset(&self, class: &str, id: LumpId);

    /// A terminal shows this now; `None`: nothing any more, which is always the last call for it. Called from
    /// several threads; only what is newest when a picture is made is ever seen.
    fn screen(&self, terminal: TerminalId, screen: Option<Arc<Screen>>);

    /// What a ray or a ball meets of all that the next picture shows, the nearest first.
    fn cast(&self, cast: Cast) -> BoxFuture<'static, Result<Vec<Hit>, (Errno, String)>> {
        let _ = cast;
        Box::pin(std::future::ready(Err((Errno::Unsupported, "this picture tells nothing".to_owned()))))
    }

    /// Puts a text on the user's clipboard. A picture without a window has none.
    ///
    /// # Errors
    /// [`Errno::Unsupported`] without a window; [`Errno::Host`] if the system refuses.
    fn clipboard_write(&self, text: String) -> Result<(), Errno> {
        let _ = text;
        Err(Errno::Unsupported)
    }

    /// The text on the user's clipboard, or, where the system has one, of what is selected (`primary`); empty if
    /// there is none. Fails as [`Picture::clipboard_write`] does, with the reason for people.
    fn clipboard_read(&self, primary: bool) -> BoxFuture<'static, Result<String, (Errno, String)>> {
        let _ = primary;
        Box::pin(std::future::ready(Err((Errno::Unsupported, "there is no window".to_owned()))))
    }

    /// Something of the scene has the user's keyboard, or no longer: until `None` comes this line stands over the whole
    /// picture, and what the user types may go through an input method. Nothing that scripts show may hide it. Pointers
    /// go on.
    fn typing(&self, line: Option<String>) {
        let _ = line;
    }

    /// Whether what the user types may go through an input method: while a terminal has the keyboard. Without a
    /// window nothing is typed.
    fn text_input(&self, on: bool) {
        let _ = on;
    }
}

/// What the engine tells the node.
#[derive(Clone, Debug)]
pub enum PictureEvent {
    /// The user did something.
    Input(Event),
    /// The user's pointer did something to an entity.
    Pointer(pointer::Event),
    /// The user dropped a file of this machine on the window.
    FileDropped {
        /// The file.
        path: PathBuf,
        /// What lies there, if anything.
        entity: Option<EntityId>,
        /// Where, in the world, in metres.
        point: [f32; 3],
        /// The direction of the surface there, of length 1, or zero.
        normal: [f32; 3],
    },
    /// A key, as terminals want it. Comes after the events that tell scripts of the same key. What was typed
    /// without a key comes with code 0.
    Stroke(Stroke),
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
