// SPDX-License-Identifier: AGPL-3.0-or-later
//! The terminals of this peer: which there are, who may do what with them, and who hears of it.
//!
//! A terminal has the authority of this peer's user, so who opens one, or says anything to one, is a process of
//! this peer's origin (`hearth_wasm` checks that), or a peer that the user has granted it, which may type. What
//! another peer says is checked here, by the peer that sent it.

mod ear;
mod views;

use crate::{
    keyboard::{Focus, Keyboard, Stroked},
    lumps::chain,
    network::failure,
    node::Inner,
    screens::Change,
    world::Shown,
};
use ear::Ear;
use hearth_abi::{
    Errno, PeerId, ProcessId, TerminalId,
    screen::Screen,
    signal::{Header, Kind},
    terminal::{Command, Event, Open, Stroke, TEXT_LEN_MAX, encode_event},
};
use hearth_process::{Level, Signal};
use hearth_protocol::{
    control::{Failure, Grantable, Request},
    hot,
};
use hearth_terminal::{CommandError, Environment, Terminal};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Most terminals of one process; those of code whose successor is on trial are not among them.
const OF_PROCESS_MAX: usize = 16;
/// Most terminals of a peer.
const OF_PEER_MAX: usize = 64;
/// How long the programs of terminals may take to end when the peer ends.
const CLOSING_TIME_MAX: Duration = Duration::from_secs(4);
/// How long a peer may take to hear what it is granted.
const GRANT_TIME_MAX: Duration = Duration::from_secs(30);
/// How long after that it is told again.
const GRANT_RETRY: Duration = Duration::from_secs(2);
/// How long the clipboard may take to be read for a paste.
const PASTE_TIME_MAX: Duration = Duration::from_secs(10);
/// Most keys that are typed while a paste is read, and wait for it.
const TYPED_AHEAD_MAX: usize = 256;

/// What this peer has to do with terminals.
#[derive(Default)]
pub(crate) struct Terminals {
    state: Mutex<State>,
    pub(crate) keyboard: Keyboard,
    /// Held while the keyboard moves until all have heard of it, so that they hear of it in order. Taken before
    /// `state`, never while that is held.
    moves: Mutex<Moves>,
    ahead: Mutex<TypedAhead>,
}

#[derive(Default)]
struct State {
    hosted: BTreeMap<TerminalId, Hosted>,
    /// Those that are being opened.
    opening: BTreeMap<TerminalId, Opening>,
    /// Those of the hosted that entities of the shared scene show, with leave.
    shared: BTreeSet<TerminalId>,
    /// Closed ones, whose programs may take a moment to end.
    closing: Vec<Arc<Terminal>>,
    /// Peers whose users have granted us their terminals.
    granted_by: BTreeSet<PeerId>,
    /// Peers that are being told what they are granted.
    telling: BTreeMap<PeerId, Telling>,
}

/// A terminal of this peer.
struct Hosted {
    ear: Arc<Ear>,
    terminal: Arc<Terminal>,
    /// Peers whose users' keyboards it has.
    typists: BTreeSet<PeerId>,
    /// Whether a process of this peer's own has shown it to the others. Anybody can make an entity that shows
    /// it; that alone shares nothing.
    may_share: bool,
    /// Whether it is too much to be shared, of which its owner was told.
    is_over: bool,
    /// Whether it is of the code before, while new code of its owner starts.
    is_set_aside: bool,
}

/// A terminal that is being opened.
struct Opening {
    ear: Arc<Ear>,
    /// As of one that is hosted.
    is_set_aside: bool,
    /// Whether the code that asked for it is gone.
    is_unwanted: bool,
}

/// A peer that is being told what it is granted.
#[derive(Default)]
struct Telling {
    /// Whether it may have changed since it was told.
    again: bool,
    /// Told when the peer has come anew: what it was told before it does not know.
    came: Arc<Notify>,
}

#[derive(Default)]
struct Moves {
    /// The terminals that had the keyboard, by the process that gave it, whose code is set aside.
    aside: BTreeMap<ProcessId, Focus>,
}

/// What is typed while a paste is read: it comes behind that.
#[derive(Default)]
struct TypedAhead {
    is_pasting: bool,
    waits: VecDeque<(Focus, Typed)>,
}

enum Typed {
    Key(Stroke),
    Paste,
}

/// What is known of a terminal of this peer alone.
pub(crate) struct Hosting {
    /// The process that opened it.
    pub(crate) owner: ProcessId,
    /// The peers whose users' keyboards it has.
    pub(crate) typists: Vec<PeerId>,
    /// How its program has ended, if it has.
    pub(crate) status: Option<i32>,
}

impl Terminals {
    fn get(&self, terminal: TerminalId) -> Option<Arc<Terminal>> {
        self.state.lock().hosted.get(&terminal).map(|hosted| hosted.terminal.clone())
    }

    /// The terminals of this peer and what they show.
    pub(crate) fn list(&self) -> Vec<(TerminalId, Arc<Screen>, Hosting)> {
        let state = self.state.lock();
        let hosted = state.hosted.iter().map(|(id, hosted)| {
            let typists = hosted.typists.iter().copied().collect();
            let status = hosted.ear.status();
            (*id, hosted.terminal.screen(), Hosting { owner: hosted.ear.owner, typists, status })
        });
        hosted.collect()
    }
}

/// A place among the terminals that there may be, for one that is being opened.
pub(crate) struct Ticket {
    inner: Arc<Inner>,
    ear: Arc<Ear>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.inner.terminals.state.lock().opening.remove(&self.ear.terminal);
    }
}

impl Inner {
    /// Begins to open a terminal for a process. Called while its code asks, so that it is known whose the terminal
    /// is when that code is replaced before it is open.
    pub(crate) fn begin_terminal(self: &Arc<Self>, owner: ProcessId) -> Result<Ticket, Failure> {
        let serial = self.serials.take_entities(1).map_err(|error| failure(Errno::Host, error))?;
        let terminal = TerminalId::new(self.me, serial)
            .ok_or_else(|| failure(Errno::Limit, "this peer has no numbers left"))?;
        let mut state = self.terminals.state.lock();
        let all = state.hosted.len() + state.opening.len();
        let hosted = state.hosted.values().filter(|hosted| hosted.ear.owner == owner && !hosted.is_set_aside);
        let opening = state
            .opening
            .values()
            .filter(|opening| opening.ear.owner == owner && !opening.is_set_aside && !opening.is_unwanted);
        if hosted.count() + opening.count() >= OF_PROCESS_MAX {
            let reason = format!("a process has {OF_PROCESS_MAX} terminals at most");
            return Err(failure(Errno::Limit, reason));
        }
        if all >= OF_PEER_MAX {
            return Err(failure(Errno::Limit, format!("a peer has {OF_PEER_MAX} terminals at most")));
        }
        let ear = Arc::new(Ear::new(self, terminal, owner));
        let opening = Opening { ear: ear.clone(), is_set_aside: false, is_unwanted: false };
        state.opening.insert(terminal, opening);
        drop(state);
        Ok(Ticket { inner: self.clone(), ear })
    }

    /// Opens a terminal for a process.
    pub(crate) async fn open_terminal(
        self: &Arc<Self>,
        ticket: Ticket,
        open: Open,
    ) -> Result<TerminalId, Failure> {
        let ear = ticket.ear.clone();
        let id = ear.terminal;
        let environment = self.environment(id);
        let listener = ear.clone();
        let opened = tokio::task::spawn_blocking(move || Terminal::open(&open, environment, listener)).await;
        let terminal = match opened {
            Ok(opened) => Arc::new(opened.map_err(|error| failure(Errno::Host, chain(&error)))?),
            Err(error) => return Err(failure(Errno::Host, error)),
        };
        {
            let mut state = self.terminals.state.lock();
            let opening = state.opening.remove(&id).filter(|opening| !opening.is_unwanted);
            let Some(Opening { is_set_aside, .. }) = opening else {
                state.closing.push(terminal.clone());
                drop(state);
                ear.shut(self, false);
                terminal.close();
                return Err(failure(Errno::NotFound, "the code that asked for the terminal is gone"));
            };
            let typists = BTreeSet::new();
            let hosted = Hosted { ear, terminal, typists, may_share: false, is_over: false, is_set_aside };
            state.hosted.insert(id, hosted);
        }
        drop(ticket);
        self.share_terminals();
        self.terminal_changed(id);
        Ok(id)
    }

    /// What a terminal shows, of this peer or of another that shows it to this one.
    pub(crate) fn screen_of(&self, terminal: TerminalId) -> Option<Arc<Screen>> {
        match terminal.peer() == self.me {
            true => self.terminals.get(terminal).map(|terminal| terminal.screen()),
            false => self.screens.get(terminal),
        }
    }

    /// What the programs in a terminal find in their environment beside what this program has.
    fn environment(&self, terminal: TerminalId) -> Environment {
        let mut set = vec![("HEARTH_TERMINAL".to_owned(), terminal.to_string())];
        if let Some(socket) = self.socket.get() {
            set.push(("HEARTH_SOCKET".to_owned(), socket.display().to_string()));
        }
        if let Some(path) = search_path() {
            set.push(("PATH".to_owned(), path));
        }
        // The space's password is for this program alone.
        Environment { set, removed: vec![crate::program::PASSWORD_VARIABLE.to_owned()] }
    }

    /// A terminal of this peer shows something else.
    fn terminal_changed(&self, id: TerminalId) {
        // Within the lock, so that nobody shows an older screen after a newer one, nor what is hidden or closed.
        let state = &mut *self.terminals.state.lock();
        let Some(hosted) = state.hosted.get(&id) else { return };
        let screen = hosted.terminal.screen();
        // Its own user sees it at once.
        if let Some(picture) = self.picture.get() {
            picture.screen(id, Some(screen.clone()));
        }
        if state.shared.contains(&id) {
            self.share_screen(state, id, screen);
            self.share_those_over(state);
        }
    }

    /// Shows the others what a terminal shows now, or nothing of it if that would be too much.
    fn share_screen(&self, state: &mut State, id: TerminalId, screen: Arc<Screen>) {
        let is_within = self.screens.share(id, screen);
        if !is_within {
            self.screens.hide(id);
        }
        let Some(hosted) = state.hosted.get_mut(&id) else { return };
        let was_over = std::mem::replace(&mut hosted.is_over, !is_within);
        if !is_within && !was_over {
            let text =
                format!("terminal {id} is not shown to others: all of this peer's are too large together");
            self.processes.log(hosted.ear.owner, Level::Warn, "terminal", &text);
        }
    }

    /// There may be room for those that were too much.
    fn share_those_over(&self, state: &mut State) {
        for (id, hosted) in state.hosted.iter_mut().filter(|(_, hosted)| hosted.is_over) {
            hosted.is_over = !self.screens.share(*id, hosted.terminal.screen());
        }
    }

    /// The shared scene has changed: it may show other terminals of this peer than before.
    pub(crate) fn share_terminals(&self) {
        let state = &mut *self.terminals.state.lock();
        if state.hosted.is_empty() {
            return;
        }
        let mut shared = self.world.shared_terminals();
        shared.retain(|id| state.hosted.get(id).is_some_and(|hosted| hosted.may_share));
        if shared == state.shared {
            return;
        }
        let before = std::mem::replace(&mut state.shared, shared);
        for gone in before.difference(&state.shared) {
            self.screens.hide(*gone);
            if let Some(hosted) = state.hosted.get_mut(gone) {
                hosted.is_over = false;
            }
        }
        let new: Vec<TerminalId> = state.shared.difference(&before).copied().collect();
        for id in new {
            if let Some(hosted) = state.hosted.get(&id) {
                let screen = hosted.terminal.screen();
                self.share_screen(state, id, screen);
            }
        }
        self.share_those_over(state);
    }

    /// A process of this peer's own has changed which terminals of this peer the shared scene shows. That is its
    /// user's leave to show them; what is shown no longer needs new leave.
    pub(crate) fn note_shown(&self, shown: &Shown) {
        if shown.set.is_empty() && shown.hidden.is_empty() {
            return;
        }
        {
            let mut state = self.terminals.state.lock();
            for (ids, may_share) in [(&shown.hidden, false), (&shown.set, true)] {
                for id in ids {
                    if let Some(hosted) = state.hosted.get_mut(id) {
                        hosted.may_share = may_share;
                    }
                }
            }
        }
        self.share_terminals();
    }

    /// Tells a process what happened to a terminal.
    fn tell_of_terminal(&self, process: ProcessId, terminal: TerminalId, event: &Event) {
        let header = Header { kind: Kind::Terminal, status: 0, from: 0, tag: 0 };
        let body = encode_event(terminal, event).into();
        let Err(error) = self.processes.deliver(process, Signal { header, body }) else { return };
        // Who has ended needs nothing.
        if error == hearth_process::SendError::Full {
            self.log_lost_event(process, terminal, event);
        }
    }

    fn log_lost_event(&self, process: ProcessId, terminal: TerminalId, event: &Event) {
        let text = format!("lost what happened to terminal {terminal}, the mailbox is full: {event:?}");
        self.processes.log(process, Level::Warn, "terminal", &text);
    }

    /// Closes terminals of this peer, with the programs in them. `tells`: whether their owner is there to hear it.
    fn close_terminals(&self, tells: bool, which: impl Fn(TerminalId, &Hosted) -> bool) {
        let closed: Vec<(TerminalId, Hosted)> = {
            let state = &mut *self.terminals.state.lock();
            let closed: Vec<_> = state.hosted.extract_if(.., |id, hosted| which(*id, hosted)).collect();
            for (id, _) in &closed {
                state.shared.remove(id);
                self.screens.hide(*id);
                if let Some(picture) = self.picture.get() {
                    picture.screen(*id, None);
                }
            }
            state.closing.retain(|closing| !closing.wait_closed(Duration::ZERO));
            state.closing.extend(closed.iter().map(|(_, hosted)| hosted.terminal.clone()));
            if !closed.is_empty() {
                self.share_those_over(state);
            }
            closed
        };
        for (id, hosted) in closed {
            hosted.terminal.close();
            self.take_keyboard(|focus| focus.terminal == id);
            hosted.ear.shut(self, tells);
        }
    }

    /// Waits until what ran in the terminals that were closed has ended. Blocks.
    pub(crate) fn wait_for_terminals(&self) {
        let closing = std::mem::take(&mut self.terminals.state.lock().closing);
        let until = Instant::now() + CLOSING_TIME_MAX;
        let left =
            |terminal: &Arc<Terminal>| !terminal.wait_closed(until.saturating_duration_since(Instant::now()));
        let left = closing.iter().filter(|terminal| left(terminal)).count();
        if left > 0 {
            tracing::warn!("the programs of {left} terminals do not end");
        }
    }

    /// A process of this peer has ended, and with it its terminals.
    pub(crate) fn terminals_ended(&self, process: ProcessId) {
        self.no_longer_wanted(|opening| opening.ear.owner == process);
        self.close_terminals(false, |_, hosted| hosted.ear.owner == process);
        let mut moves = self.terminals.moves.lock();
        moves.aside.remove(&process);
        self.take_keyboard_in(&mut moves, |focus| focus.by == process);
    }

    fn no_longer_wanted(&self, which: impl Fn(&Opening) -> bool) {
        for opening in self.terminals.state.lock().opening.values_mut() {
            opening.is_unwanted |= which(opening);
        }
    }

    /// New code of a process starts: what the code before has stays until it is known to run, but the keyboard, which
    /// it does not have meanwhile.
    pub(crate) fn terminals_set_aside(&self, process: ProcessId) {
        {
            let mut moves = self.terminals.moves.lock();
            if let Some(focus) = self.terminals.keyboard.take_if(|focus| focus.by == process) {
                self.show_keyboard(focus, false);
                moves.aside.insert(process, focus);
            }
        }
        let mut state = self.terminals.state.lock();
        for hosted in state.hosted.values_mut().filter(|hosted| hosted.ear.owner == process) {
            hosted.is_set_aside = true;
            hosted.ear.set_aside();
        }
        for opening in state.opening.values_mut().filter(|opening| opening.ear.owner == process) {
            opening.is_set_aside = true;
            opening.ear.set_aside();
        }
    }

    /// New code of a process has started, and the terminals of the code before go; or it has not, and its own do.
    pub(crate) fn terminals_replaced(&self, process: ProcessId, has_started: bool) {
        self.no_longer_wanted(|opening| opening.ear.owner == process && opening.is_set_aside == has_started);
        // Who opened them is not there to hear of it.
        self.close_terminals(false, |_, hosted| {
            hosted.ear.owner == process && hosted.is_set_aside == has_started
        });
        {
            let mut state = self.terminals.state.lock();
            for hosted in state.hosted.values_mut().filter(|hosted| hosted.ear.owner == process) {
                hosted.is_set_aside = false;
                hosted.ear.bring_back(self);
            }
            let opening = state.opening.values_mut();
            for opening in opening.filter(|opening| opening.ear.owner == process && !opening.is_unwanted) {
                opening.is_set_aside = false;
                opening.ear.bring_back(self);
            }
        }
        self.keyboard_replaced(process, has_started);
    }

    /// The keyboard is again where the code before had it, if the new code has not started and nobody else has it.
    fn keyboard_replaced(&self, process: ProcessId, has_started: bool) {
        let mut moves = self.terminals.moves.lock();
        let before = moves.aside.remove(&process);
        if has_started {
            return;
        }
        let keyboard = &self.terminals.keyboard;
        if let Some(of_new) = keyboard.take_if(|focus| focus.by == process) {
            self.show_keyboard(of_new, false);
        }
        let Some(before) = before else { return };
        let is_there = match before.terminal.peer() == self.me {
            true => self.terminals.get(before.terminal).is_some(),
            false => self.may_type(before.terminal).is_ok(),
        };
        let _held = self.hold_typing();
        if is_there && keyboard.focus().is_none() && keyboard.typing().is_none() {
            keyboard.give(Some(before));
            self.show_keyboard(before, true);
        } else {
            self.tell_of_terminal(process, before.terminal, &Event::Keyboard(false));
        }
    }

    /// A process of this peer's origin wants a terminal to do something.
    pub(crate) fn command_terminal(
        &self,
        by: ProcessId,
        terminal: TerminalId,
        command: Command,
    ) -> Result<(), Errno> {
        match command {
            // That tells the program who has the keyboard, which this peer knows.
            Command::Focus(_) => return Err(Errno::Invalid),
            Command::Close if terminal.peer() == self.me => {
                self.terminals.get(terminal).ok_or(Errno::NotFound)?;
                self.close_terminals(true, |id, _| id == terminal);
                return Ok(());
            }
            _ => {}
        }
        let command = self.terminals.keyboard.with_modifiers(terminal, command);
        self.type_into(by, terminal, command)
    }

    /// Brings a command to a terminal of this peer, or to one of another that was granted.
    fn type_into(&self, by: ProcessId, terminal: TerminalId, command: Command) -> Result<(), Errno> {
        if terminal.peer() == self.me {
            let state = self.terminals.state.lock();
            let hosted = state.hosted.get(&terminal).ok_or(Errno::NotFound)?;
            let terminal = hosted.terminal.clone();
            drop(state);
            return terminal.command(command).map_err(|error| errno(&error));
        }
        self.may_type(terminal)?;
        if !command.is_typing() {
            return Err(Errno::Permission);
        }
        let frame = hot::Frame::Terminal { terminal, from: by, command: command.encode().into() };
        self.network.try_hot(terminal.peer(), frame.encode())
    }

    /// Whether this peer's user may type into a terminal of another peer.
    fn may_type(&self, terminal: TerminalId) -> Result<(), Errno> {
        if self.network.peer(terminal.peer()).is_none() {
            return Err(Errno::NotFound);
        }
        if !self.terminals.state.lock().granted_by.contains(&terminal.peer()) {
            return Err(Errno::Permission);
        }
        Ok(())
    }

    /// Another peer wants a terminal of this one to do something. Whoever it is that asks there, this peer's user
    /// has granted it to that peer or has not. The error is a reason to end the link.
    pub(crate) fn terminal_input(
        &self,
        from: PeerId,
        terminal: TerminalId,
        command: &[u8],
    ) -> Result<(), String> {
        let command = Command::decode(command).map_err(|error| format!("malformed command: {error}"))?;
        if !self.has_grant(from) {
            tracing::debug!(peer = %from, "typed into terminal {terminal} without a grant");
            return Ok(());
        }
        match command {
            Command::Focus(on) => self.note_typist(terminal, from, on),
            command if command.is_typing() => {
                // It may be closed meanwhile, or its program not read.
                if let Some(terminal) = self.terminals.get(terminal)
                    && let Err(error) = terminal.command(command)
                {
                    tracing::debug!(peer = %from, "what was typed is lost: {error}");
                }
            }
            _ => tracing::debug!(peer = %from, "wanted more of terminal {terminal} than to type"),
        }
        Ok(())
    }

    /// A user's keyboard goes to a terminal of this peer, or goes from it.
    fn note_typist(&self, terminal: TerminalId, peer: PeerId, on: bool) {
        // Within the lock, so that the program is told in the order in which it happens.
        let mut state = self.terminals.state.lock();
        let Some(hosted) = state.hosted.get_mut(&terminal) else { return };
        let had = !hosted.typists.is_empty();
        // What a peer has said may come behind the news that it has left.
        if on && (peer == self.me || self.network.peer(peer).is_some()) {
            hosted.typists.insert(peer);
        } else {
            hosted.typists.remove(&peer);
        }
        let has = !hosted.typists.is_empty();
        if had != has && hosted.terminal.command(Command::Focus(has)).is_err() {
            tracing::debug!("a program does not read that it has the keyboard, or has not");
        }
    }

    /// Gives the user's keyboard to a terminal, or takes it from whichever has it.
    pub(crate) fn focus_keyboard(&self, by: ProcessId, terminal: Option<TerminalId>) -> Result<(), Errno> {
        self.picture.get().ok_or(Errno::Unsupported)?;
        let keyboard = &self.terminals.keyboard;
        // Who closes a terminal, ends a process or takes back a grant does that first and then takes the keyboard, for
        // which it waits until this is done.
        let mut moves = self.terminals.moves.lock();
        let _quiet = self.quiet();
        let Some(terminal) = terminal else {
            self.take_keyboard_in(&mut moves, |_| true);
            return Ok(());
        };
        if terminal.peer() == self.me {
            self.terminals.get(terminal).ok_or(Errno::NotFound)?;
        } else {
            self.may_type(terminal)?;
            self.network.way_to(terminal.peer()).ok_or(Errno::NoPeer)?;
        }
        let focus = Focus { terminal, by };
        if keyboard.focus() == Some(focus) {
            return Ok(());
        }
        if let Some(before) = keyboard.give(Some(focus)) {
            self.keyboard_moved(before, false);
        }
        self.keyboard_moved(focus, true);
        Ok(())
    }

    /// Takes the keyboard from the terminal that has it, if it is one of these.
    fn take_keyboard(&self, which: impl Fn(&Focus) -> bool) {
        let mut moves = self.terminals.moves.lock();
        self.take_keyboard_in(&mut moves, which);
    }

    fn take_keyboard_in(&self, _moves: &mut Moves, which: impl FnOnce(&Focus) -> bool) {
        if let Some(focus) = self.terminals.keyboard.take_if(which) {
            self.keyboard_moved(focus, false);
        }
    }

    /// Tells the terminal and the process that it has the keyboard, or has it no longer.
    fn keyboard_moved(&self, focus: Focus, on: bool) {
        self.show_keyboard(focus, on);
        self.tell_of_terminal(focus.by, focus.terminal, &Event::Keyboard(on));
    }

    /// Tells the terminal and the user's picture alone.
    fn show_keyboard(&self, focus: Focus, on: bool) {
        if let Some(picture) = self.picture.get() {
            picture.text_input(on);
        }
        self.tell_focus(focus, on && self.terminals.keyboard.has_window());
    }

    fn tell_focus(&self, focus: Focus, on: bool) {
        if focus.terminal.peer() == self.me {
            self.note_typist(focus.terminal, self.me, on);
        } else if let Err(errno) = self.type_into(focus.by, focus.terminal, Command::Focus(on)) {
            // The link is gone, and its end takes the keyboard too.
            tracing::debug!("terminal {} is not told of the keyboard: {errno:?}", focus.terminal);
        }
    }

    /// Whether a terminal has the keyboard of this peer's user.
    pub(crate) fn terminal_has_keyboard(&self) -> bool {
        self.terminals.keyboard.focus().is_some()
    }

    /// An event of the user for the scripts. `false` if it is for none of them.
    pub(crate) fn is_for_scripts(&self, event: &hearth_abi::input::Event) -> bool {
        let keyboard = &self.terminals.keyboard;
        let hearth_abi::input::Event::Focus(on) = event else { return keyboard.is_for_scripts(event) };
        let _moves = self.terminals.moves.lock();
        let is_for_scripts = keyboard.is_for_scripts(event);
        if let Some(focus) = keyboard.focus() {
            self.tell_focus(focus, *on);
        }
        is_for_scripts
    }

    /// A key of the user for the terminal that has the keyboard.
    pub(crate) fn stroke(self: &Arc<Self>, stroke: Stroke) {
        if self.stroke_into_entity(&stroke) {
            return;
        }
        let moves = self.terminals.moves.lock();
        let focus = self.terminals.keyboard.focus();
        let stroked = self.terminals.keyboard.stroke(&stroke);
        if let Stroked::Released(focus) = stroked {
            self.keyboard_moved(focus, false);
        }
        drop(moves);
        let Some(focus) = focus else { return };
        match stroked {
            Stroked::Nothing | Stroked::Released(_) => {}
            Stroked::Zoom(focus, steps) => {
                self.tell_of_terminal(focus.by, focus.terminal, &Event::Zoom(steps));
            }
            Stroked::Typed(_) => self.type_in_order(focus, Typed::Key(stroke)),
            Stroked::Paste(_) => self.type_in_order(focus, Typed::Paste),
            Stroked::Copy(terminal) => {
                // Copying from another peer's terminal is not to be had.
                let _ = self.type_into(focus.by, terminal, Command::Copy);
            }
        }
    }

    /// Types a key or a paste behind what was typed before.
    fn type_in_order(self: &Arc<Self>, focus: Focus, typed: Typed) {
        let mut ahead = self.terminals.ahead.lock();
        match typed {
            typed if ahead.is_pasting && ahead.waits.len() < TYPED_AHEAD_MAX => {
                ahead.waits.push_back((focus, typed));
            }
            _ if ahead.is_pasting => {
                let text = "a key is lost: a paste before it takes too long";
                self.processes.log(focus.by, Level::Warn, "terminal", text);
            }
            Typed::Key(stroke) => {
                drop(ahead);
                self.type_key(focus, stroke);
            }
            Typed::Paste => {
                ahead.is_pasting = true;
                let inner = self.clone();
                tokio::spawn(async move { inner.paste(focus).await });
            }
        }
    }

    fn type_key(&self, focus: Focus, stroke: Stroke) {
        match self.type_into(focus.by, focus.terminal, Command::Key(stroke)) {
            Ok(()) => {}
            Err(Errno::Full) => {
                self.processes.log(focus.by, Level::Warn, "terminal", "a key is lost: nobody reads it");
            }
            // It takes no key at all, and shall not keep them from all others.
            Err(_) => self.take_keyboard(|now| *now == focus),
        }
    }

    /// Pastes, and then types what was typed meanwhile.
    async fn paste(&self, focus: Focus) {
        let mut next = Some((focus, Typed::Paste));
        while let Some((focus, typed)) = next {
            match typed {
                Typed::Key(stroke) => self.type_key(focus, stroke),
                Typed::Paste => self.paste_one(focus).await,
            }
            let mut ahead = self.terminals.ahead.lock();
            next = ahead.waits.pop_front();
            ahead.is_pasting = next.is_some();
        }
    }

    async fn paste_one(&self, Focus { terminal, by }: Focus) {
        let pasted = match tokio::time::timeout(PASTE_TIME_MAX, self.clipboard_read()).await {
            Ok(Ok(text)) => {
                self.type_into(by, terminal, Command::Paste(text)).map_err(|errno| format!("{errno:?}"))
            }
            Ok(Err(error)) => Err(error.reason),
            Err(_elapsed) => Err(format!("it took longer than {} s", PASTE_TIME_MAX.as_secs())),
        };
        if let Err(reason) = pasted {
            self.processes.log(by, Level::Warn, "terminal", &format!("could not paste: {reason}"));
        }
    }

    /// What others show has changed.
    pub(crate) fn screens_changed(&self, changes: Vec<Change>) {
        for Change { terminal, screen } in changes {
            if screen.is_none() {
                self.take_keyboard(|focus| focus.terminal == terminal);
            }
            if let Some(picture) = self.picture.get() {
                picture.screen(terminal, screen);
            }
        }
    }

    /// A peer has come, or come back: what it was told before it knows no longer.
    pub(crate) fn terminal_peer_came(self: &Arc<Self>, peer: PeerId) {
        self.terminal_peer_went(peer);
        if let Some(telling) = self.terminals.state.lock().telling.get(&peer) {
            telling.came.notify_one();
        }
        if self.has_grant(peer) {
            self.tell_grant(peer);
        }
    }

    /// A peer has gone, or is out of reach: nobody types there, and nobody of there types here.
    pub(crate) fn terminal_peer_went(&self, peer: PeerId) {
        let hosted: Vec<TerminalId> = {
            let mut state = self.terminals.state.lock();
            state.granted_by.remove(&peer);
            state.hosted.keys().copied().collect()
        };
        hosted.into_iter().for_each(|terminal| self.note_typist(terminal, peer, false));
        self.take_keyboard(|focus| focus.terminal.peer() == peer);
        self.take_typing(|typing| typing.owner.peer() == peer);
    }

    /// Another peer's user has granted something to this one's, or takes it back.
    pub(crate) fn note_grant(&self, from: PeerId, what: Grantable, granted: bool) {
        match (what, granted) {
            (Grantable::Terminal, true) => {
                self.terminals.state.lock().granted_by.insert(from);
            }
            (Grantable::Terminal, false) => {
                self.terminals.state.lock().granted_by.remove(&from);
                self.take_keyboard(|focus| focus.terminal.peer() == from);
            }
        }
    }

    /// Whether this peer's user has granted the terminals to another peer.
    fn has_grant(&self, peer: PeerId) -> bool {
        let key = self.network.peer(peer).map(|about| about.key);
        peer != self.me && key.is_some_and(|key| self.grants.has(Grantable::Terminal, &key))
    }

    /// Tells a peer whether it is granted this one's terminals; who is not there hears it when it comes. Called after
    /// each change.
    pub(crate) fn tell_grant(self: &Arc<Self>, peer: PeerId) {
        if !self.has_grant(peer) {
            let hosted: Vec<TerminalId> = self.terminals.state.lock().hosted.keys().copied().collect();
            hosted.into_iter().for_each(|terminal| self.note_typist(terminal, peer, false));
        }
        {
            let mut state = self.terminals.state.lock();
            if let Some(telling) = state.telling.get_mut(&peer) {
                telling.again = true;
                return;
            }
            state.telling.insert(peer, Telling::default());
        }
        let inner = self.clone();
        tokio::spawn(async move { inner.tell_grants(peer).await });
    }

    /// Tells a peer what it is granted until it knows what is so. One at a time does that for a peer, for calls may
    /// overtake each other.
    async fn tell_grants(&self, peer: PeerId) {
        loop {
            let came = match self.terminals.state.lock().telling.get(&peer) {
                Some(telling) => telling.came.clone(),
                None => return,
            };
            let request = Request::Grant { what: Grantable::Terminal, granted: self.has_grant(peer) };
            let told = tokio::select! {
                told = self.network.call(peer, request, GRANT_TIME_MAX) => told.map(drop),
                () = came.notified() => continue,
                () = self.shutdown.cancelled() => return,
            };
            let is_told = match told {
                Ok(()) => true,
                Err(error) => {
                    tracing::debug!(peer = %peer, "was not told of a grant: {}", error.reason);
                    error.errno == Errno::NoPeer.number()
                }
            };
            {
                let mut state = self.terminals.state.lock();
                let again =
                    state.telling.get_mut(&peer).is_some_and(|telling| std::mem::take(&mut telling.again));
                if is_told && !again {
                    state.telling.remove(&peer);
                    return;
                }
            }
            if !is_told {
                tokio::select! {
                    () = tokio::time::sleep(GRANT_RETRY) => {}
                    () = came.notified() => {}
                    () = self.shutdown.cancelled() => return,
                }
            }
        }
    }

    /// Puts a text on the user's clipboard.
    pub(crate) fn clipboard_write(&self, text: String) -> Result<(), Errno> {
        let picture = self.picture.get().ok_or(Errno::Unsupported)?;
        picture.clipboard_write(text)
    }

    /// The text on the user's clipboard.
    pub(crate) async fn clipboard_read(&self) -> Result<String, Failure> {
        let picture = self.picture.get();
        let picture = picture.ok_or_else(|| failure(Errno::Unsupported, "this peer shows no picture"))?;
        let read = picture.clipboard_read(false).await;
        let text = read.map_err(|(errno, reason)| failure(errno, reason))?;
        if text.len() > TEXT_LEN_MAX {
            let reason = format!("{} bytes are on the clipboard; {TEXT_LEN_MAX} are the most", text.len());
            return Err(failure(Errno::Limit, reason));
        }
        Ok(text)
    }
}

fn errno(error: &CommandError) -> Errno {
    match error {
        CommandError::Full => Errno::Full,
        CommandError::Closed => Errno::NotFound,
        _ => Errno::Host,
    }
}

/// Where programs are looked for: first where this one and its siblings are.
fn search_path() -> Option<String> {
    let programs = std::env::current_exe().ok()?.parent()?.to_owned();
    let before = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(programs).chain(std::env::split_paths(&before));
    std::env::join_paths(all).ok()?.into_string().ok()
}
