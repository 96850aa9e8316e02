// SPDX-License-Identifier: AGPL-3.0-or-later
//! Whose turn it is to have the picture: there is one engine, and peers of this program that follow each other, as the
//! lobby, a space, and the lobby again.

use crate::picture::{self, EnginePicture};
use hearth_engine::{Command, Controller, SendError};
use hearth_node::Node;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long the last picture of the peer before stays while the next shows nothing.
const EMPTY_AFTER: Duration = Duration::from_secs(1);

/// Who has the picture: the peer of this number, if it is open already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    number: u64,
    is_open: bool,
}

/// How somebody stands to the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    /// Others are before.
    Waiting,
    /// It is theirs.
    On,
    /// It was.
    Over,
}

impl Turn {
    fn of(self, number: u64) -> Stands {
        match self.number {
            now if now > number => Stands::Over,
            now if now == number && self.is_open => Stands::On,
            _ => Stands::Waiting,
        }
    }
}

/// The engine, and who has it.
pub(crate) struct Stage {
    controller: Controller,
    turn: watch::Sender<Turn>,
    last: AtomicU64,
    node: Mutex<Option<Node>>,
    closed: CancellationToken,
}

impl Stage {
    pub(crate) fn new(controller: Controller) -> Arc<Stage> {
        Arc::new(Stage {
            controller,
            turn: watch::Sender::new(Turn { number: 0, is_open: false }),
            last: AtomicU64::new(0),
            node: Mutex::default(),
            closed: CancellationToken::new(),
        })
    }

    pub(crate) fn controller(&self) -> &Controller {
        &self.controller
    }

    /// The number and the picture of a peer whose turn comes after all before. It may as well never come.
    pub(crate) fn next(&self, has_window: bool) -> (u64, EnginePicture) {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        (number, EnginePicture::new(self.way(number), has_window))
    }

    /// Gives the picture to a peer that nobody was before.
    pub(crate) fn open(&self, number: u64, node: Node) {
        *self.node.lock() = Some(node);
        self.turn.send_replace(Turn { number, is_open: true });
    }

    /// Gives the picture to another peer. What the one before shows stays until the other shows something.
    pub(crate) async fn hand_over(&self, number: u64, node: Node, title: String) {
        // From now on nobody sends anything: what the one before sent is before what the other does.
        self.turn.send_replace(Turn { number, is_open: false });
        let peer = node.id();
        picture::send(&self.controller, Command::HandOver { peer, title }).await;
        self.open(number, node);
        // A scene with nothing in it is shown too, though nobody says anything of it.
        let way = self.way(number);
        tokio::spawn(async move {
            tokio::time::sleep(EMPTY_AFTER).await;
            way.send(Command::Changes(Vec::new())).await;
        });
    }

    fn way(&self, number: u64) -> Way {
        Way { number, controller: self.controller.clone(), turn: self.turn.subscribe() }
    }

    /// The peer that has the picture.
    pub(crate) fn node(&self) -> Option<Node> {
        self.node.lock().clone()
    }

    /// The user has closed the window, or the system wants the program to end.
    pub(crate) fn close(&self) {
        self.closed.cancel();
    }

    /// Resolves once it is closed.
    pub(crate) async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

/// The way of one peer to the engine.
#[derive(Clone)]
pub(crate) struct Way {
    number: u64,
    controller: Controller,
    turn: watch::Receiver<Turn>,
}

impl Way {
    pub(crate) fn stands(&self) -> Stands {
        self.turn.borrow().of(self.number)
    }

    /// Waits until it was this peer's turn.
    pub(crate) async fn come(&self) {
        let number = self.number;
        // A stage that is gone has no turns any more.
        let _ = self.turn.clone().wait_for(|turn| turn.of(number) != Stands::Waiting).await;
    }

    /// Sends a command if the picture is this peer's now and there is room.
    ///
    /// # Errors
    /// There is no room, or the engine has ended; `None` if the picture is not this peer's.
    pub(crate) fn try_send(&self, command: Command) -> Result<(), Option<SendError>> {
        // Held meanwhile, so that no other peer gets the picture between the question and the command.
        let turn = self.turn.borrow();
        match turn.of(self.number) {
            Stands::On => self.controller.send(command).map_err(Some),
            Stands::Waiting | Stands::Over => Err(None),
        }
    }

    /// Sends a command, waiting for this peer's turn and while the engine is behind. What a picture would do that is
    /// another's, or an engine that has ended, is not missed.
    pub(crate) async fn send(&self, mut command: Command) {
        loop {
            self.come().await;
            let sent = {
                let turn = self.turn.borrow();
                match turn.of(self.number) {
                    Stands::On => self.controller.send(command),
                    Stands::Waiting | Stands::Over => return,
                }
            };
            match sent {
                Err(SendError::Full(back)) => command = back,
                _ => return,
            }
            self.controller.room().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_each_other() {
        for (now, is_open, number, expected) in [
            (0, false, 1, Stands::Waiting),
            (1, false, 1, Stands::Waiting),
            (1, true, 1, Stands::On),
            (1, true, 2, Stands::Waiting),
            // One whose turn never came.
            (3, true, 2, Stands::Over),
            (2, false, 1, Stands::Over),
        ] {
            assert_eq!(Turn { number: now, is_open }.of(number), expected, "{now} {is_open} {number}");
        }
    }

    #[tokio::test]
    async fn nobody_sends_out_of_turn() {
        let (controller, _end) = hearth_engine::channel();
        let turn = watch::Sender::new(Turn { number: 0, is_open: false });
        let way = |number| Way { number, controller: controller.clone(), turn: turn.subscribe() };
        let (first, second) = (way(1), way(2));
        assert!(matches!(first.try_send(Command::TextInput(true)), Err(None)));
        let waits = tokio::spawn({
            let second = second.clone();
            async move { second.send(Command::TextInput(true)).await }
        });
        turn.send_replace(Turn { number: 1, is_open: true });
        assert!(first.try_send(Command::TextInput(true)).is_ok());
        assert!(!waits.is_finished());
        turn.send_replace(Turn { number: 2, is_open: true });
        waits.await.unwrap();
        // Without a word: it is for nobody.
        first.send(Command::TextInput(true)).await;
        assert!(matches!(first.try_send(Command::TextInput(true)), Err(None)));
        assert!(second.try_send(Command::TextInput(false)).is_ok());
    }
}
