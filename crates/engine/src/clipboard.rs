// SPDX-License-Identifier: AGPL-3.0-or-later
//! The clipboard of the window system, on a thread of its own: who owns what is on it may be slow to say it.

use crate::reply::Reply;
use bevy::prelude::Resource;
use std::{
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
};

/// Requests that wait. When it is full, reads are refused and writes are lost, with a line in the log.
const WAITING_MAX: usize = 16;

enum Request {
    Write { text: String, primary: bool },
    Read { primary: bool, reply: Reply<String> },
}

/// Where requests go; the thread starts with the first.
#[derive(Resource)]
pub(crate) struct Clipboard {
    has_window: bool,
    requests: Option<SyncSender<Request>>,
}

impl Clipboard {
    pub(crate) const fn new(has_window: bool) -> Clipboard {
        Clipboard { has_window, requests: None }
    }

    pub(crate) fn write(&mut self, text: String, primary: bool) {
        if let Err((_, reason)) = self.send(Request::Write { text, primary }) {
            tracing::warn!(reason, "could not write to the clipboard");
        }
    }

    pub(crate) fn read(&mut self, primary: bool, reply: Reply<String>) {
        if let Err((Request::Read { reply, .. }, reason)) = self.send(Request::Read { primary, reply }) {
            reply.answer(Err(reason.into()));
        }
    }

    fn send(&mut self, request: Request) -> Result<(), (Request, &'static str)> {
        if !self.has_window {
            return Err((request, "there is no window"));
        }
        let requests = match &self.requests {
            Some(requests) => requests,
            None => {
                let (requests, waiting) = sync_channel(WAITING_MAX);
                let thread = thread::Builder::new().name("clipboard".into()).spawn(move || serve(&waiting));
                if thread.is_err() {
                    return Err((request, "there is no thread for it"));
                }
                self.requests.insert(requests)
            }
        };
        requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(request) => (request, "the clipboard is busy"),
            TrySendError::Disconnected(request) => (request, "the clipboard is gone"),
        })
    }
}

/// Answers until the engine has ended.
fn serve(waiting: &Receiver<Request>) {
    // What was written stays only as long as this is kept. It is made anew if it could not be had before.
    let mut system = None;
    for request in waiting {
        if system.is_none() {
            system = arboard::Clipboard::new()
                .inspect_err(|error| tracing::warn!(%error, "there is no clipboard"))
                .ok();
        }
        match request {
            Request::Write { text, primary } => {
                if let Some(system) = &mut system
                    && let Err(error) = write(system, text, primary)
                {
                    tracing::warn!(%error, "could not write to the clipboard");
                }
            }
            Request::Read { primary, reply } => reply.answer(match &mut system {
                Some(system) => read(system, primary),
                None => Err("there is no clipboard".into()),
            }),
        }
    }
}

fn write(system: &mut arboard::Clipboard, text: String, primary: bool) -> Result<(), arboard::Error> {
    let set = system.set();
    #[cfg(all(unix, not(target_os = "macos")))]
    let set = arboard::SetExtLinux::clipboard(set, selection(primary));
    #[cfg(not(all(unix, not(target_os = "macos"))))]
    if primary {
        return Ok(());
    }
    set.text(text)
}

fn read(system: &mut arboard::Clipboard, primary: bool) -> Result<String, String> {
    let get = system.get();
    #[cfg(all(unix, not(target_os = "macos")))]
    let get = arboard::GetExtLinux::clipboard(get, selection(primary));
    #[cfg(not(all(unix, not(target_os = "macos"))))]
    if primary {
        return Ok(String::new());
    }
    match get.text() {
        Err(arboard::Error::ContentNotAvailable) => Ok(String::new()),
        text => text.map_err(|error| error.to_string()),
    }
}

#[cfg(all(unix, not(target_os = "macos")))]
const fn selection(primary: bool) -> arboard::LinuxClipboardKind {
    if primary { arboard::LinuxClipboardKind::Primary } else { arboard::LinuxClipboardKind::Clipboard }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn without_a_window_there_is_none() {
        let mut clipboard = Clipboard::new(false);
        clipboard.write("text".into(), false);
        let (tell, told) = mpsc::sync_channel(1);
        clipboard.read(false, Reply::new(Box::new(move |text| drop(tell.send(text)))));
        assert_eq!(told.recv(), Ok(Err("there is no window".into())));
    }
}
