// SPDX-License-Identifier: AGPL-3.0-or-later
//! The bounded queues between a peer and its engine.
//!
//! Commands: at most [`COMMANDS_MAX`], with at most [`CHANGES_MAX`] changes and [`LUMP_BYTES_MAX`]
//! bytes of lumps among them (one command over a limit is taken if it is alone). A full queue is an
//! answer to the sender, who gets the command back.
//!
//! What terminals show waits beside them: of each terminal only the newest screen, in place of the one
//! that waited before, so that a flood fills nothing. There is a place for [`SCREENS_MAX`] terminals;
//! past them a screen is given back like any command. All that wait are taken before each picture,
//! after the commands: what was sent before a command that is taken is taken with it. Another peer that takes over
//! drops them.
//!
//! Events: at most [`EVENTS_MAX`]. When the queue is full, motions and turns of the wheel are added to
//! the last one waiting, places of the pointer and its motions on an entity take its place, and frames are dropped: there will be
//! newer ones. Strokes and the like
//! have [`EVENTS_RESERVE`] places more; past them they are lost, counted, and the log says so. Wanted
//! lumps and failures stay with the engine until there is room.

use crate::{Command, Event, SendError, reply::Reply};
use hearth_abi::{TerminalId, input, screen::Screen};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    sync::Arc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

/// Most commands waiting.
pub const COMMANDS_MAX: usize = 1024;
/// Most changes of the scene waiting.
pub const CHANGES_MAX: usize = 1 << 16;
/// Most bytes of lumps waiting.
pub const LUMP_BYTES_MAX: usize = 256 << 20;
/// Most terminals whose screens wait.
pub const SCREENS_MAX: usize = 1024;
/// Most events waiting.
pub const EVENTS_MAX: usize = 1024;
/// Places beyond [`EVENTS_MAX`] for what must not be lost.
pub const EVENTS_RESERVE: usize = 1024;

/// Makes the two ends of an engine's channel.
pub fn channel() -> (Controller, EngineEnd) {
    let shared = Arc::new(Shared::default());
    (Controller { peers: Arc::new(Peers(shared.clone())) }, EngineEnd { shared })
}

#[derive(Default)]
struct Shared {
    commands: Mutex<Commands>,
    events: Mutex<Events>,
    event_came: Condvar,
}

/// What terminals show now; `None` for nothing any more.
pub(crate) type Screens = BTreeMap<TerminalId, Option<Arc<Screen>>>;

#[derive(Default)]
struct Commands {
    queue: VecDeque<Command>,
    changes: usize,
    lump_bytes: usize,
    /// The newest screens that were not taken yet.
    screens: Screens,
    waiting_for_room: Vec<Waker>,
    ended: bool,
    /// All controllers are gone.
    abandoned: bool,
}

#[derive(Default)]
struct Events {
    queue: VecDeque<Event>,
    wakers: Vec<Waker>,
    lost: u64,
    ended: bool,
}

/// The last controller that goes ends the engine.
struct Peers(Arc<Shared>);

impl Drop for Peers {
    fn drop(&mut self) {
        self.0.commands.lock().abandoned = true;
    }
}

/// The peer's end: sends commands, and reads events. Copies share one queue of each; every event goes
/// to one reader. When the last copy is dropped the engine ends.
#[derive(Clone)]
pub struct Controller {
    peers: Arc<Peers>,
}

impl Controller {
    fn shared(&self) -> &Shared {
        &self.peers.0
    }

    /// Hands a command to the engine. Does not wait.
    ///
    /// # Errors
    /// The queue is full, or the engine has ended; the command comes back.
    pub fn send(&self, command: Command) -> Result<(), SendError> {
        let mut commands = self.shared().commands.lock();
        if commands.ended {
            return Err(SendError::Ended(command));
        }
        if let Command::Screen { terminal, screen } = command {
            if commands.screens.len() >= SCREENS_MAX && !commands.screens.contains_key(&terminal) {
                return Err(SendError::Full(Command::Screen { terminal, screen }));
            }
            let before = commands.screens.insert(terminal, screen);
            // It may be the last of a large screen: not under the lock.
            drop(commands);
            drop(before);
            return Ok(());
        }
        if !commands.has_room() {
            return Err(SendError::Full(command));
        }
        let (changes, lump_bytes) = weight(&command);
        commands.changes += changes;
        commands.lump_bytes += lump_bytes;
        // Those that wait are of the peer before, and would be taken after this.
        let before = match command {
            Command::HandOver { .. } => std::mem::take(&mut commands.screens),
            _ => Screens::new(),
        };
        commands.queue.push_back(command);
        drop(commands);
        drop(before);
        Ok(())
    }

    /// Waits until [`Controller::send`] would take a command, or the engine has ended. Others may be
    /// faster, so send in a loop. May be dropped at any time.
    pub async fn room(&self) {
        poll_fn(|context| {
            let mut commands = self.shared().commands.lock();
            if commands.ended || commands.has_room() {
                return Poll::Ready(());
            }
            remember(&mut commands.waiting_for_room, context.waker());
            Poll::Pending
        })
        .await;
    }

    /// The next event, if one is waiting.
    pub fn try_event(&self) -> Option<Event> {
        self.shared().events.lock().queue.pop_front()
    }

    /// The next event; `None` once the engine has ended and all its events are read. May be dropped
    /// at any time without losing an event.
    pub async fn event(&self) -> Option<Event> {
        poll_fn(|context| {
            let mut events = self.shared().events.lock();
            match events.queue.pop_front() {
                None if events.ended => Poll::Ready(None),
                None => {
                    remember(&mut events.wakers, context.waker());
                    Poll::Pending
                }
                event => Poll::Ready(event),
            }
        })
        .await
    }

    /// The next event, waiting for it on this thread at most `timeout`.
    pub fn event_timeout(&self, timeout: Duration) -> Option<Event> {
        let deadline = Instant::now() + timeout;
        let mut events = self.shared().events.lock();
        loop {
            if let Some(event) = events.queue.pop_front() {
                return Some(event);
            }
            if events.ended || self.shared().event_came.wait_until(&mut events, deadline).timed_out() {
                return events.queue.pop_front();
            }
        }
    }

    /// How many events were lost because nobody read them.
    pub fn events_lost(&self) -> u64 {
        self.shared().events.lock().lost
    }

    /// Whether the engine has ended.
    pub fn has_ended(&self) -> bool {
        self.shared().commands.lock().ended
    }
}

fn remember(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|known| known.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}

fn weight(command: &Command) -> (usize, usize) {
    match command {
        Command::Changes(changes) => (changes.len(), 0),
        Command::Lump { bytes: Ok(bytes), .. } => (0, bytes.len()),
        _ => (0, 0),
    }
}

impl Commands {
    fn has_room(&self) -> bool {
        self.queue.len() < COMMANDS_MAX
            && self.changes < CHANGES_MAX
            && self.lump_bytes < LUMP_BYTES_MAX
            && self.screens.len() < SCREENS_MAX
    }
}

/// The engine's end: goes into [`run`](crate::run). When it is dropped the engine has ended, and what
/// waits in the queue of commands is dropped with it.
pub struct EngineEnd {
    shared: Arc<Shared>,
}

impl EngineEnd {
    /// The next command, if it may be taken; [`Command::Quit`] once all controllers are gone.
    pub(crate) fn next_command(&self, may_take: impl FnOnce(&Command) -> bool) -> Option<Command> {
        let mut commands = self.shared.commands.lock();
        let command = match commands.queue.front() {
            None => return commands.abandoned.then_some(Command::Quit),
            Some(command) if !may_take(command) => return None,
            Some(_) => commands.queue.pop_front()?,
        };
        let (changes, lump_bytes) = weight(&command);
        commands.changes -= changes;
        commands.lump_bytes -= lump_bytes;
        if commands.has_room() {
            let waiting = std::mem::take(&mut commands.waiting_for_room);
            drop(commands);
            waiting.into_iter().for_each(Waker::wake);
        }
        Some(command)
    }

    /// The screens that wait.
    pub(crate) fn take_screens(&self) -> Screens {
        let mut commands = self.shared.commands.lock();
        let screens = std::mem::take(&mut commands.screens);
        if screens.len() >= SCREENS_MAX && commands.has_room() {
            let waiting = std::mem::take(&mut commands.waiting_for_room);
            drop(commands);
            waiting.into_iter().for_each(Waker::wake);
        }
        screens
    }

    /// Hands an event to the peer. Gives it back if there is no room and it must not be lost.
    pub(crate) fn event(&self, event: Event) -> Result<(), Event> {
        let mut events = self.shared.events.lock();
        events.push(event)?;
        let wakers = std::mem::take(&mut events.wakers);
        drop(events);
        self.shared.event_came.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

impl Drop for EngineEnd {
    fn drop(&mut self) {
        let (dropped, rooms, screens) = {
            let mut commands = self.shared.commands.lock();
            commands.ended = true;
            (
                std::mem::take(&mut commands.queue),
                std::mem::take(&mut commands.waiting_for_room),
                std::mem::take(&mut commands.screens),
            )
        };
        drop(screens);
        // Outside the lock: an answer may send.
        for command in dropped {
            match command {
                Command::Screenshot(done) | Command::ScreenshotOf { done, .. } => drop(Reply::new(done)),
                Command::Load { done, .. } => drop(Reply::new(done)),
                Command::ClipboardRead { done, .. } => drop(Reply::new(done)),
                Command::Cast { done, .. } => drop(Reply::new(done)),
                _ => {}
            }
        }
        let wakers = {
            let mut events = self.shared.events.lock();
            events.ended = true;
            std::mem::take(&mut events.wakers)
        };
        self.shared.event_came.notify_all();
        rooms.into_iter().chain(wakers).for_each(Waker::wake);
    }
}

impl Events {
    fn push(&mut self, event: Event) -> Result<(), Event> {
        if self.queue.len() < EVENTS_MAX {
            self.queue.push_back(event);
            return Ok(());
        }
        match event {
            Event::Input(input::Event::Frame { .. }) | Event::FrameShown { .. } => Ok(()),
            Event::Input(input::Event::Motion(by)) => {
                self.add(by, |waiting| match waiting {
                    input::Event::Motion(sum) => Some(sum),
                    _ => None,
                });
                Ok(())
            }
            Event::Input(input::Event::Wheel(by)) => {
                self.add(by, |waiting| match waiting {
                    input::Event::Wheel(sum) => Some(sum),
                    _ => None,
                });
                Ok(())
            }
            Event::Input(input::Event::Pointer { .. }) => {
                // Only where it is now counts; one that waits says so in the order of buttons.
                let last = self.queue.iter_mut().rev().find(|waiting| {
                    matches!(
                        waiting,
                        Event::Input(input::Event::Pointer { .. } | input::Event::Button { .. })
                    )
                });
                match last {
                    Some(waiting @ Event::Input(input::Event::Pointer { .. })) => *waiting = event,
                    _ => self.lost += 1,
                }
                Ok(())
            }
            Event::Pointer(motion) if motion.kind.is_motion() => {
                // The newest of an entity counts, if nothing else of it has come since.
                let last = self.queue.iter_mut().rev().find(
                    |waiting| matches!(waiting, Event::Pointer(waiting) if waiting.entity == motion.entity),
                );
                match last {
                    Some(Event::Pointer(waiting)) if waiting.kind == motion.kind => *waiting = motion,
                    _ => self.lost += 1,
                }
                Ok(())
            }
            Event::WantLump(_) | Event::AssetFailed { .. } => Err(event),
            event if self.queue.len() < EVENTS_MAX + EVENTS_RESERVE => {
                self.queue.push_back(event);
                Ok(())
            }
            event => {
                if self.lost == 0 {
                    tracing::warn!(?event, "nobody reads the engine's events: input is lost");
                }
                self.lost += 1;
                Ok(())
            }
        }
    }

    /// Adds to the last event of this kind that waits; without one it counts as lost.
    fn add(&mut self, by: [f32; 2], kind: impl Fn(&mut input::Event) -> Option<&mut [f32; 2]>) {
        for waiting in self.queue.iter_mut().rev() {
            if let Event::Input(waiting) = waiting
                && let Some(sum) = kind(waiting)
            {
                sum[0] += by[0];
                sum[1] += by[1];
                return;
            }
        }
        self.lost += 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use hearth_abi::{
        LumpId,
        input::Press,
        pointer,
        terminal::{Modifiers, Stroke},
    };
    use std::{pin::pin, task::Context};

    fn key(code: u16) -> Event {
        let (press, modifiers) = (Press::Pressed, Modifiers::default());
        Event::Stroke(Stroke { code, press, modifiers, key: None, shifted: None, text: String::new() })
    }

    fn motion(by: f32) -> Event {
        Event::Input(input::Event::Motion([by, -by]))
    }

    fn read(controller: &Controller) -> Vec<Event> {
        std::iter::from_fn(|| controller.try_event()).collect()
    }

    #[test]
    fn when_nobody_reads_motion_is_added_up_frames_go_and_keys_stay() {
        let (controller, end) = channel();
        end.event(motion(1.0)).unwrap();
        (1..EVENTS_MAX as u16).for_each(|code| end.event(key(code)).unwrap());
        let frame = Event::FrameShown { number: 1, entities: 0, missing_lumps: 0, missing_glyphs: 0 };
        for _ in 0..10 {
            end.event(frame.clone()).unwrap();
            end.event(motion(2.0)).unwrap();
        }
        end.event(key(9999)).unwrap();
        let pointer = |x| Event::Input(input::Event::Pointer { at: [x, 0.0], picture: [8.0, 8.0] });
        end.event(pointer(1.0)).unwrap();
        // What must not be lost comes back, for later.
        let want = Event::WantLump(LumpId([1; 32]));
        assert_eq!(end.event(want.clone()), Err(want));
        let events = read(&controller);
        assert_eq!(events.len(), EVENTS_MAX + 1);
        assert_eq!((&events[0], &events[EVENTS_MAX]), (&motion(21.0), &key(9999)));
        assert_eq!(controller.events_lost(), 1, "no place of the pointer waited");
    }

    #[test]
    fn of_a_pointers_motion_the_newest_waits_and_presses_stay() {
        let (controller, end) = channel();
        let event = |kind, entity, distance| {
            Event::Pointer(pointer::Event {
                kind,
                pointer: pointer::MOUSE,
                button: pointer::NO_BUTTON,
                buttons: 0,
                modifiers: Modifiers::default(),
                user: hearth_abi::PeerId::new(1).unwrap(),
                entity: hearth_abi::EntityId::from_bits(entity),
                hit: None,
                other: None,
                from: [0.0; 3],
                way: [0.0, 0.0, -1.0],
                distance,
                point: [0.0; 3],
                normal: [0.0; 3],
                wheel: [0.0; 2],
            })
        };
        use pointer::Kind;
        (0..EVENTS_MAX as u16 - 1).for_each(|code| end.event(key(code)).unwrap());
        end.event(event(Kind::Move, 7, 1.0)).unwrap();
        end.event(event(Kind::Move, 7, 2.0)).unwrap();
        end.event(event(Kind::Move, 8, 1.0)).unwrap();
        end.event(event(Kind::Press, 7, 3.0)).unwrap();
        end.event(event(Kind::Move, 7, 4.0)).unwrap();
        let events = read(&controller);
        assert_eq!(events[EVENTS_MAX - 1..], [event(Kind::Move, 7, 2.0), event(Kind::Press, 7, 3.0)]);
        assert_eq!(controller.events_lost(), 2);
    }

    #[test]
    fn what_is_lost_is_counted() {
        let (controller, end) = channel();
        for _ in 0..EVENTS_MAX + EVENTS_RESERVE + 3 {
            end.event(key(1)).unwrap();
        }
        assert_eq!(controller.events_lost(), 3);
        assert_eq!(read(&controller).len(), EVENTS_MAX + EVENTS_RESERVE);
    }

    #[test]
    fn changes_and_lumps_are_bounded_too() {
        let (controller, end) = channel();
        let lump = || Command::Lump { id: LumpId([1; 32]), bytes: Ok(vec![0; LUMP_BYTES_MAX / 2].into()) };
        controller.send(lump()).unwrap();
        controller.send(lump()).unwrap();
        assert!(matches!(controller.send(lump()), Err(SendError::Full(Command::Lump { .. }))));
        // A waiter hears of room when one was taken, and not before.
        let waker = Waker::noop();
        let mut room = pin!(controller.room());
        assert!(room.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        assert!(end.next_command(|_| false).is_none(), "it was not to be taken");
        assert!(end.next_command(|_| true).is_some());
        assert!(room.as_mut().poll(&mut Context::from_waker(waker)).is_ready());
        controller.send(lump()).unwrap();
    }

    #[test]
    fn events_wake_who_waits_and_end_with_the_engine() {
        let (controller, end) = channel();
        let mut context = Context::from_waker(Waker::noop());
        let mut next = pin!(controller.event());
        assert!(next.as_mut().poll(&mut context).is_pending());
        end.event(Event::Closed).unwrap();
        assert_eq!(next.as_mut().poll(&mut context), Poll::Ready(Some(Event::Closed)));
        drop(end);
        let mut last = pin!(controller.event());
        assert_eq!(last.as_mut().poll(&mut context), Poll::Ready(None));
    }

    #[test]
    fn of_a_terminal_only_the_newest_screen_waits() {
        let (controller, end) = channel();
        let id = |serial| TerminalId::from_bits(1 << 44 | serial);
        let send = |serial, screen: Option<&Arc<Screen>>| {
            controller.send(Command::Screen { terminal: id(serial), screen: screen.cloned() })
        };
        let screens: Vec<Arc<Screen>> = (1..=3000).map(|i| Arc::new(Screen::new(1 + i % 7, 1))).collect();
        // A flood of one terminal leaves one place taken, and no old screens.
        screens.iter().for_each(|screen| send(1, Some(screen)).unwrap());
        send(2, Some(&screens[0])).unwrap();
        send(2, None).unwrap();
        assert_eq!(Arc::strong_count(&screens[5]), 1);
        let taken = end.take_screens();
        assert_eq!(taken.len(), 2);
        assert!(Arc::ptr_eq(taken[&id(1)].as_ref().unwrap(), screens.last().unwrap()));
        assert_eq!(taken[&id(2)], None);
        assert!(end.take_screens().is_empty());

        // A full queue of commands is no hindrance; too many terminals are.
        (0..COMMANDS_MAX).for_each(|_| controller.send(Command::CapturePointer(false)).unwrap());
        (0..SCREENS_MAX as u64).for_each(|serial| send(serial + 1, None).unwrap());
        assert!(matches!(send(5000, None), Err(SendError::Full(Command::Screen { .. }))));
        send(1, Some(&screens[0])).unwrap();
        while end.next_command(|_| true).is_some() {}
        let waker = Waker::noop();
        let mut room = pin!(controller.room());
        assert!(room.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        assert_eq!(end.take_screens().len(), SCREENS_MAX);
        assert!(room.as_mut().poll(&mut Context::from_waker(waker)).is_ready());
        send(5000, None).unwrap();
        drop(end);
        assert!(matches!(send(1, None), Err(SendError::Ended(_))));
    }
}
