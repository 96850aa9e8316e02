// SPDX-License-Identifier: AGPL-3.0-or-later
//! The engine as the node's picture: commands go in with waiting where the engine is behind, and
//! its events come out.

use crate::stage::{Stage, Stands, Way};
use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::{
    EntityId, Errno, LumpId, TerminalId,
    cast::{Cast, Hit},
    input::{self, Press},
    screen::Screen,
    terminal::{Stroke, TEXT_LEN_MAX},
};
use hearth_engine::{AssetReport, AssetState, Command, Controller, Event, SendError};
use hearth_node::{AssetInfo, Picture, PictureEvent};
use hearth_scene::Change;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::oneshot;

/// How long the picture of a file stays before it is written again.
const FILE_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);

/// Most terminals whose screens wait until their peer has the picture. Those of more are shown when they change.
const SCREENS_MAX: usize = 256;

/// The node's way to the engine. What a node says whose turn has not come waits until then, and what one says whose
/// turn is over is for nobody.
#[derive(Clone)]
pub(crate) struct EnginePicture {
    way: Way,
    /// Whether there is a window, and with it the user's clipboard.
    has_window: bool,
    /// What terminals show that were not to be seen yet.
    screens: Arc<Mutex<BTreeMap<TerminalId, Option<Arc<Screen>>>>>,
    typing: Arc<Mutex<Typing>>,
}

/// What the user is to be told of who has their keyboard, while the engine has no room to hear it.
#[derive(Default)]
struct Typing {
    line: Option<String>,
    is_waiting: bool,
}

const ENDED: &str = "the picture has ended";

/// Sends a command, waiting while the engine is behind. What an engine that has ended would do is
/// not missed.
pub(crate) async fn send(controller: &Controller, command: Command) {
    let mut command = command;
    while let Err(SendError::Full(back)) = controller.send(command) {
        command = back;
        controller.room().await;
    }
}

/// Who hears of a picture.
type Pictured = Box<dyn FnOnce(Result<hearth_engine::Picture, String>) + Send>;

/// The picture that a command asked for, as PNG.
async fn png(picture: oneshot::Receiver<Result<hearth_engine::Picture, String>>) -> Result<Vec<u8>, String> {
    let picture = picture.await.map_err(|_dropped| ENDED.to_owned())??;
    let png = tokio::task::spawn_blocking(move || picture.to_png()).await;
    png.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// What hears of a picture, and where it is then.
fn pictured() -> (Pictured, oneshot::Receiver<Result<hearth_engine::Picture, String>>) {
    let (done, picture) = oneshot::channel();
    let done = Box::new(move |picture| {
        let _ = done.send(picture);
    });
    (done, picture)
}

impl EnginePicture {
    pub(crate) fn new(way: Way, has_window: bool) -> EnginePicture {
        EnginePicture { way, has_window, screens: Arc::default(), typing: Arc::default() }
    }

    fn png(
        &self,
        command: impl FnOnce(Pictured) -> Command + Send + 'static,
    ) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        let way = self.way.clone();
        Box::pin(async move {
            let (done, picture) = pictured();
            way.send(command(done)).await;
            png(picture).await
        })
    }

    /// Shows what terminals showed before it was the turn of their peer.
    fn show_screens(&self) {
        for (terminal, screen) in std::mem::take(&mut *self.screens.lock()) {
            let _ = self.way.try_send(Command::Screen { terminal, screen });
        }
    }
}

impl Picture for EnginePicture {
    fn changes(&self, changes: Vec<Change>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.way.come().await;
            self.show_screens();
            self.way.send(Command::Changes(changes)).await;
        })
    }

    fn lump(&self, id: LumpId, bytes: Result<Bytes, String>) -> BoxFuture<'_, ()> {
        Box::pin(self.way.send(Command::Lump { id, bytes }))
    }

    fn lump_progress(&self, id: LumpId, received: u64, size: u64) {
        // An engine that is behind hears of it the next time.
        let _ = self.way.try_send(Command::LumpProgress { id, received, size });
    }

    fn capture_pointer(&self, on: bool) {
        // A script that is refused hears no `captured` event, and may try again.
        let _ = self.way.try_send(Command::CapturePointer(on));
    }

    fn screenshot(&self) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        self.png(Command::Screenshot)
    }

    fn view_screenshot(&self, view: EntityId) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        self.png(move |done| Command::ScreenshotOf { view, done })
    }

    fn load(&self, class: &str, id: LumpId) -> BoxFuture<'static, Result<(), String>> {
        let (way, class) = (self.way.clone(), class.to_owned());
        Box::pin(async move {
            let (done, loaded) = oneshot::channel();
            let done = Box::new(move |result| {
                let _ = done.send(result);
            });
            way.send(Command::Load { class, id, done }).await;
            loaded.await.map_err(|_dropped| ENDED.to_owned())?
        })
    }

    fn assets(&self) -> BoxFuture<'static, Result<Vec<AssetInfo>, String>> {
        let way = self.way.clone();
        Box::pin(async move {
            let (done, assets) = oneshot::channel();
            let done = Box::new(move |assets| {
                let _ = done.send(assets);
            });
            way.send(Command::Assets(done)).await;
            let assets = assets.await.map_err(|_dropped| ENDED.to_owned())??;
            Ok(assets.into_iter().map(info).collect())
        })
    }

    fn cast(&self, cast: Cast) -> BoxFuture<'static, Result<Vec<Hit>, (Errno, String)>> {
        let way = self.way.clone();
        Box::pin(async move {
            let (done, hits) = oneshot::channel();
            let done = Box::new(move |result| {
                let _ = done.send(result);
            });
            way.send(Command::Cast { cast, done }).await;
            let hits = hits.await.map_err(|_dropped| (Errno::Host, ENDED.to_owned()))?;
            hits.map_err(|reason| (Errno::Limit, reason))
        })
    }

    fn screen(&self, terminal: TerminalId, screen: Option<Arc<Screen>>) {
        // Held while it is found out whose turn it is, so that none is kept that nobody takes out again.
        let mut waiting = self.screens.lock();
        if self.way.stands() != Stands::Waiting {
            // It never finds the queue full: of each terminal only the newest screen waits.
            let _ = self.way.try_send(Command::Screen { terminal, screen });
        } else if waiting.len() < SCREENS_MAX || waiting.contains_key(&terminal) {
            waiting.insert(terminal, screen);
        }
    }

    fn clipboard_write(&self, text: String) -> Result<(), Errno> {
        if !self.has_window {
            return Err(Errno::Unsupported);
        }
        let command = Command::ClipboardWrite { text, primary: false };
        self.way.try_send(command).map_err(|refused| match refused {
            Some(SendError::Full(_)) => Errno::Full,
            _ => Errno::Host,
        })
    }

    fn clipboard_read(&self, primary: bool) -> BoxFuture<'static, Result<String, (Errno, String)>> {
        let (way, has_window) = (self.way.clone(), self.has_window);
        Box::pin(async move {
            if !has_window {
                return Err((Errno::Unsupported, "there is no window".into()));
            }
            let (done, text) = oneshot::channel();
            let done = Box::new(move |text| {
                let _ = done.send(text);
            });
            way.send(Command::ClipboardRead { primary, done }).await;
            let text = text.await.map_err(|_dropped| (Errno::Host, ENDED.to_owned()))?;
            match text.map_err(|reason| (Errno::Host, reason))? {
                text if text.len() > TEXT_LEN_MAX => {
                    Err((Errno::Limit, format!("the clipboard holds {} bytes", text.len())))
                }
                text => Ok(text),
            }
        })
    }

    fn text_input(&self, on: bool) {
        // An engine that is behind hears of it at the next change: until then keys come as they are.
        let _ = self.way.try_send(Command::TextInput(on));
    }

    fn typing(&self, line: Option<String>) {
        let mut typing = self.typing.lock();
        if typing.is_waiting {
            typing.line = line;
            return;
        }
        // Who has the keyboard is not to be missed; of what waits for a place only the newest counts.
        if let Err(Some(SendError::Full(_))) = self.way.try_send(Command::Typing(line.clone())) {
            *typing = Typing { line, is_waiting: true };
            let (way, typing) = (self.way.clone(), self.typing.clone());
            tokio::spawn(async move {
                loop {
                    let line = typing.lock().line.clone();
                    way.send(Command::Typing(line.clone())).await;
                    let mut typing = typing.lock();
                    if typing.line == line {
                        typing.is_waiting = false;
                        return;
                    }
                }
            });
        }
    }

    fn drop_asset(&self, class: &str, id: LumpId) {
        let (way, class) = (self.way.clone(), class.to_owned());
        tokio::spawn(async move { way.send(Command::Drop { class, id }).await });
    }
}

/// What the engine says of an asset, as an operator hears it.
fn info(report: AssetReport) -> AssetInfo {
    use hearth_node::AssetState as Told;
    let (state, memory_bytes, reason) = match report.state {
        AssetState::Fetching => (Told::Fetching, 0, None),
        AssetState::Decoding => (Told::Decoding, 0, None),
        AssetState::Ready { memory_bytes } => (Told::Ready, memory_bytes, None),
        AssetState::Failed { reason } => (Told::Failed, 0, Some(reason)),
    };
    AssetInfo {
        id: report.lump,
        class: report.class.to_owned(),
        state,
        memory_bytes,
        users: report.users as u64,
        holds: report.holds as u64,
        reason,
    }
}

/// Hands on what the engine tells to the peer that has the picture, until it ends.
pub(crate) async fn events(stage: Arc<Stage>) {
    while let Some(event) = stage.controller().event().await {
        if event == Event::Closed {
            stage.close();
            continue;
        }
        let Some(node) = stage.node() else { continue };
        match event {
            Event::Input(event) => node.picture_event(PictureEvent::Input(event)),
            Event::Pointer(event) => node.picture_event(PictureEvent::Pointer(event)),
            Event::FileDropped { path, entity, point, normal } => {
                node.picture_event(PictureEvent::FileDropped { path, entity, point, normal });
            }
            Event::Stroke(stroke) => {
                for event in heard(&stroke) {
                    node.picture_event(PictureEvent::Input(event));
                }
                node.picture_event(PictureEvent::Stroke(stroke));
            }
            Event::WantLump(id) => node.picture_event(PictureEvent::WantLump(id)),
            Event::AssetFailed { entities, lump, reason } => {
                node.picture_event(PictureEvent::AssetFailed { entities, lump, reason });
            }
            _ => {}
        }
    }
}

/// What scripts hear of a stroke: the key, if it has a place on the keyboard, and what it types.
fn heard(stroke: &Stroke) -> impl Iterator<Item = input::Event> {
    let Stroke { code, press, text, .. } = stroke;
    let key = (*code != 0).then_some(input::Event::Key { code: *code, press: *press });
    let types = *press != Press::Released && !text.is_empty();
    key.into_iter().chain(types.then(|| input::Event::Text(text.clone())))
}

/// Writes the picture to a file again and again; a reader sees a whole picture or the one before.
pub(crate) async fn write_file(controller: Controller, file: PathBuf) {
    let mut failed = false;
    loop {
        let (done, picture) = pictured();
        send(&controller, Command::Screenshot(done)).await;
        let result = match png(picture).await {
            Ok(png) => replace(&file, &png).await.map_err(|error| error.to_string()),
            Err(reason) if controller.has_ended() => {
                tracing::debug!("{reason}");
                return;
            }
            Err(reason) => Err(reason),
        };
        match result {
            Ok(()) => failed = false,
            Err(reason) if !failed => {
                failed = true;
                tracing::warn!("could not write the picture to `{}`: {reason}", file.display());
            }
            Err(_said_before) => {}
        }
        tokio::time::sleep(FILE_INTERVAL).await;
    }
}

async fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = file.with_extension("part");
    tokio::fs::write(&beside, bytes).await?;
    tokio::fs::rename(&beside, file).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_abi::{input::key, terminal::Modifiers};

    #[test]
    fn scripts_hear_of_the_key_and_then_of_the_text() {
        let stroke = |code, press, text: &str| Stroke {
            code,
            press,
            modifiers: Modifiers::CONTROL,
            key: Some('w'),
            shifted: None,
            text: text.into(),
        };
        let key = |press| input::Event::Key { code: key::W, press };
        let text = |text: &str| input::Event::Text(text.into());
        for (stroke, expected) in [
            (stroke(key::W, Press::Pressed, "w"), vec![key(Press::Pressed), text("w")]),
            (stroke(key::W, Press::Repeated, "w"), vec![key(Press::Repeated), text("w")]),
            (stroke(key::W, Press::Released, ""), vec![key(Press::Released)]),
            (stroke(key::W, Press::Pressed, ""), vec![key(Press::Pressed)]),
            (stroke(0, Press::Pressed, "é"), vec![text("é")]),
        ] {
            assert_eq!(heard(&stroke).collect::<Vec<_>>(), expected, "{stroke:?}");
        }
    }
}
