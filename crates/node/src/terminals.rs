// SPDX-License-Identifier: AGPL-3.0-or-later
//! The terminals of this peer: which there are, who may do what with them, and who hears of it.
//!
//! A terminal has the authority of this peer's user, so who opens one, or says anything to one, is a process of
//! this peer's origin (`hearth_wasm` checks that), or a peer that the user has granted it, which may type. What
//! another peer says is checked here, by the peer that sent it.

use crate::{
    keyboard::{Focus, Keyboard, Stroked},
    lumps::chain,
    network::failure,
    node::Inner,
    screens::Change,
};
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
use hearth_terminal::{CommandError, Environment, Listener, Terminal};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// Most terminals of one process.
const OF_PROCESS_MAX: usize = 16;
/// Most terminals of a peer.
const OF_PEER_MAX: usize = 64;
/// How long the programs of terminals may take to end when the peer ends.
const CLOSING_TIME_MAX: Duration = Duration::from_secs(4);
/// How long a peer may take to hear what it is granted.
const GRANT_TIME_MAX: Duration = Duration::from_secs(30);

/// What this peer has to do with terminals.
#[derive(Default)]
pub(crate) struct Terminals {
    state: Mutex<State>,
    pub(crate) keyboard: Keyboard,
}

#[derive(Default)]
struct State {
    hosted: BTreeMap<TerminalId, Hosted>,
    /// Whose terminals are being opened.
    opening: Vec<ProcessId>,
    /// Those of them that entities of the shared scene show.
    shared: BTreeSet<TerminalId>,
    /// Closed ones, whose programs may take a moment to end.
    closing: Vec<Arc<Terminal>>,
    /// Peers whose users have granted us their terminals.
    granted_by: BTreeSet<PeerId>,
}

/// A terminal of this peer.
struct Hosted {
    owner: ProcessId,
    terminal: Arc<Terminal>,
    /// Peers whose users' keyboards it has.
    typists: BTreeSet<PeerId>,
    /// How its program has ended, if it has.
    status: Option<i32>,
    /// Whether its owner was told that it is too much to be shared.
    is_over_told: bool,
    /// Whether it is of the code before, while new code of its owner starts.
    is_set_aside: bool,
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
            let hosting = Hosting { owner: hosted.owner, typists, status: hosted.status };
            (*id, hosted.terminal.screen(), hosting)
        });
        hosted.collect()
    }
}

/// What a terminal tells its peer. Called from its own threads.
struct Ear {
    inner: Weak<Inner>,
    terminal: TerminalId,
    owner: ProcessId,
}

impl Listener for Ear {
    fn changed(&self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.terminal_changed(self.terminal);
        }
    }

    fn event(&self, event: Event) {
        if let Some(inner) = self.inner.upgrade() {
            if let Event::Exited(status) = event {
                inner.terminals.note_status(self.terminal, Some(status));
            }
            inner.tell_of_terminal(self.owner, self.terminal, &event);
        }
    }
}

/// A place among the terminals that there may be, for one that is being opened.
struct Opening<'a> {
    terminals: &'a Terminals,
    owner: ProcessId,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let mut state = self.terminals.state.lock();
        if let Some(at) = state.opening.iter().position(|owner| *owner == self.owner) {
            state.opening.swap_remove(at);
        }
    }
}

impl Terminals {
    fn note_status(&self, terminal: TerminalId, status: Option<i32>) {
        if let Some(hosted) = self.state.lock().hosted.get_mut(&terminal) {
            hosted.status = status;
        }
    }

    fn begin_opening(&self, owner: ProcessId) -> Result<Opening<'_>, Failure> {
        let mut state = self.state.lock();
        let all = state.hosted.len() + state.opening.len();
        let of_owner = state.hosted.values().filter(|hosted| hosted.owner == owner).count()
            + state.opening.iter().filter(|other| **other == owner).count();
        if of_owner >= OF_PROCESS_MAX {
            let reason = format!("a process has {OF_PROCESS_MAX} terminals at most");
            return Err(failure(Errno::Limit, reason));
        }
        if all >= OF_PEER_MAX {
            return Err(failure(Errno::Limit, format!("a peer has {OF_PEER_MAX} terminals at most")));
        }
        state.opening.push(owner);
        Ok(Opening { terminals: self, owner })
    }
}

impl Inner {
    /// Opens a terminal for a process.
    pub(crate) async fn open_terminal(
        self: &Arc<Self>,
        owner: ProcessId,
        open: Open,
    ) -> Result<TerminalId, Failure> {
        let opening = self.terminals.begin_opening(owner)?;
        let serial = self.serials.take_entities(1).map_err(|error| failure(Errno::Host, error))?;
        let id = TerminalId::new(self.me, serial)
            .ok_or_else(|| failure(Errno::Limit, "this peer has no numbers left"))?;
        let ear = Arc::new(Ear { inner: Arc::downgrade(self), terminal: id, owner });
        let environment = self.environment(id);
        let opened = tokio::task::spawn_blocking(move || Terminal::open(&open, environment, ear)).await;
        let terminal = match opened {
            Ok(opened) => Arc::new(opened.map_err(|error| failure(Errno::Host, chain(&error)))?),
            Err(error) => return Err(failure(Errno::Host, error)),
        };
        let hosted = Hosted {
            owner,
            terminal,
            typists: BTreeSet::new(),
            status: None,
            is_over_told: false,
            is_set_aside: false,
        };
        self.terminals.state.lock().hosted.insert(id, hosted);
        drop(opening);
        if self.processes.info(owner).is_none() {
            // It ended meanwhile, perhaps before this was noted.
            self.terminals_ended(owner);
            return Err(failure(Errno::NotFound, "the process that opened it has ended"));
        }
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
        let Some(terminal) = self.terminals.get(id) else { return };
        let screen = terminal.screen();
        // Its own user sees it at once.
        if let Some(picture) = self.picture.get() {
            picture.screen(id, Some(screen.clone()));
            if self.terminals.get(id).is_none() {
                // It was closed meanwhile, and what it showed shall not stay.
                picture.screen(id, None);
            }
        }
        let mut state = self.terminals.state.lock();
        if !state.shared.contains(&id) {
            return;
        }
        // Within the lock, so that what is hidden meanwhile is not shared after that.
        let is_within = self.screens.share(id, screen);
        let Some(hosted) = state.hosted.get_mut(&id) else { return };
        let is_told = std::mem::replace(&mut hosted.is_over_told, !is_within);
        let owner = hosted.owner;
        drop(state);
        if !is_within && !is_told {
            let text =
                format!("terminal {id} is not shown to others: all of this peer's are too large together");
            self.processes.log(owner, Level::Warn, "terminal", &text);
        }
    }

    /// The shared scene has changed: it may show other terminals of this peer than before.
    pub(crate) fn share_terminals(&self) {
        let mut news = Vec::new();
        {
            let mut state = self.terminals.state.lock();
            if state.hosted.is_empty() {
                return;
            }
            let mut shared = self.world.shared_terminals();
            shared.retain(|id| state.hosted.contains_key(id));
            for gone in state.shared.difference(&shared) {
                self.screens.hide(*gone);
            }
            news.extend(shared.difference(&state.shared).copied());
            state.shared = shared;
        }
        news.into_iter().for_each(|id| self.terminal_changed(id));
    }

    /// Tells a process what happened to a terminal.
    fn tell_of_terminal(&self, process: ProcessId, terminal: TerminalId, event: &Event) {
        let header = Header { kind: Kind::Terminal, status: 0, from: 0, tag: 0 };
        let body = encode_event(terminal, event).into();
        let Err(error) = self.processes.deliver(process, Signal { header, body }) else { return };
        // Who has ended needs nothing.
        if error == hearth_process::SendError::Full {
            let text = format!("lost what happened to terminal {terminal}, the mailbox is full: {event:?}");
            self.processes.log(process, Level::Warn, "terminal", &text);
        }
    }

    /// Closes terminals of this peer, with the programs in them.
    fn close_terminals(&self, which: impl Fn(TerminalId, &Hosted) -> bool) {
        let closed: Vec<(TerminalId, Hosted)> = {
            let mut state = self.terminals.state.lock();
            let closed: Vec<_> = state.hosted.extract_if(.., |id, hosted| which(*id, hosted)).collect();
            for (id, _) in &closed {
                state.shared.remove(id);
                self.screens.hide(*id);
            }
            state.closing.retain(|closing| !closing.wait_closed(Duration::ZERO));
            state.closing.extend(closed.iter().map(|(_, hosted)| hosted.terminal.clone()));
            closed
        };
        for (id, hosted) in closed {
            hosted.terminal.close();
            if let Some(picture) = self.picture.get() {
                picture.screen(id, None);
            }
            self.take_keyboard(|focus| focus.terminal == id);
            self.tell_of_terminal(hosted.owner, id, &Event::Closed);
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
        self.close_terminals(|_, hosted| hosted.owner == process);
        self.take_keyboard(|focus| focus.by == process);
    }

    /// New code of a process starts: the terminals of the code before stay until it is known to run.
    pub(crate) fn terminals_set_aside(&self, process: ProcessId) {
        for hosted in self.terminals.state.lock().hosted.values_mut() {
            hosted.is_set_aside |= hosted.owner == process;
        }
    }

    /// New code of a process has started, and the terminals of the code before go; or it has not, and its own do.
    pub(crate) fn terminals_replaced(&self, process: ProcessId, has_started: bool) {
        self.close_terminals(|_, hosted| hosted.owner == process && hosted.is_set_aside == has_started);
        for hosted in self.terminals.state.lock().hosted.values_mut().filter(|hosted| hosted.owner == process)
        {
            hosted.is_set_aside = false;
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
                self.close_terminals(|id, _| id == terminal);
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
            if command == Command::Restart {
                // Before it may end again.
                self.terminals.note_status(terminal, None);
            }
            let terminal = self.terminals.get(terminal).ok_or(Errno::NotFound)?;
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
        let (had, has, terminal) = {
            let mut state = self.terminals.state.lock();
            let Some(hosted) = state.hosted.get_mut(&terminal) else { return };
            let had = !hosted.typists.is_empty();
            if on {
                hosted.typists.insert(peer);
            } else {
                hosted.typists.remove(&peer);
            }
            (had, !hosted.typists.is_empty(), hosted.terminal.clone())
        };
        if had != has && terminal.command(Command::Focus(has)).is_err() {
            tracing::debug!("a program does not read that it has the keyboard, or has not");
        }
    }

    /// Gives the user's keyboard to a terminal, or takes it from whichever has it.
    pub(crate) fn focus_keyboard(&self, by: ProcessId, terminal: Option<TerminalId>) -> Result<(), Errno> {
        self.picture.get().ok_or(Errno::Unsupported)?;
        let keyboard = &self.terminals.keyboard;
        let Some(terminal) = terminal else {
            self.take_keyboard(|_| true);
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
        // It may have been closed, or its process ended, meanwhile.
        if self.processes.info(by).is_none()
            || terminal.peer() == self.me && self.terminals.get(terminal).is_none()
        {
            self.take_keyboard(|now| *now == focus);
        }
        Ok(())
    }

    /// Takes the keyboard from the terminal that has it, if it is one of these.
    fn take_keyboard(&self, which: impl FnOnce(&Focus) -> bool) {
        if let Some(focus) = self.terminals.keyboard.take_if(which) {
            self.keyboard_moved(focus, false);
        }
    }

    /// Tells the terminal and the process that it has the keyboard, or has it no longer.
    fn keyboard_moved(&self, focus: Focus, on: bool) {
        if let Some(picture) = self.picture.get() {
            picture.text_input(on);
        }
        self.tell_focus(focus, on && self.terminals.keyboard.has_window());
        self.tell_of_terminal(focus.by, focus.terminal, &Event::Keyboard(on));
    }

    fn tell_focus(&self, focus: Focus, on: bool) {
        if focus.terminal.peer() == self.me {
            self.note_typist(focus.terminal, self.me, on);
        } else if let Err(errno) = self.type_into(focus.by, focus.terminal, Command::Focus(on)) {
            // The link is gone, and its end takes the keyboard too.
            tracing::debug!("terminal {} is not told of the keyboard: {errno:?}", focus.terminal);
        }
    }

    /// An event of the user for the scripts. `false` if it is for none of them.
    pub(crate) fn is_for_scripts(&self, event: &hearth_abi::input::Event) -> bool {
        let keyboard = &self.terminals.keyboard;
        let is_for_scripts = keyboard.is_for_scripts(event);
        if let (hearth_abi::input::Event::Focus(on), Some(focus)) = (event, keyboard.focus()) {
            self.tell_focus(focus, *on);
        }
        is_for_scripts
    }

    /// A key of the user for the terminal that has the keyboard.
    pub(crate) fn stroke(self: &Arc<Self>, stroke: Stroke) {
        let focus = self.terminals.keyboard.focus();
        let stroked = self.terminals.keyboard.stroke(&stroke);
        let Some(Focus { by, .. }) = focus else { return };
        let typed = match stroked {
            Stroked::Nothing => Ok(()),
            Stroked::Zoom(focus, steps) => {
                self.tell_of_terminal(focus.by, focus.terminal, &Event::Zoom(steps));
                Ok(())
            }
            Stroked::Typed(terminal) => self.type_into(by, terminal, Command::Key(stroke)),
            Stroked::Released(focus) => {
                self.keyboard_moved(focus, false);
                Ok(())
            }
            Stroked::Copy(terminal) => self.type_into(by, terminal, Command::Copy),
            Stroked::Paste(terminal) => {
                let inner = self.clone();
                tokio::spawn(async move { inner.paste(by, terminal).await });
                Ok(())
            }
        };
        match typed {
            // Copying from another peer's terminal is not to be had.
            Ok(()) | Err(Errno::Permission) => {}
            Err(Errno::Full) => {
                self.processes.log(by, Level::Warn, "terminal", "a key is lost: nobody reads it")
            }
            Err(_) => self.take_keyboard(|_| true),
        }
    }

    async fn paste(&self, by: ProcessId, terminal: TerminalId) {
        let pasted = match self.clipboard_read().await {
            Ok(text) => {
                self.type_into(by, terminal, Command::Paste(text)).map_err(|errno| format!("{errno:?}"))
            }
            Err(error) => Err(error.reason),
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
        if self.has_grant(peer) {
            self.tell_grant(peer, true);
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

    /// Tells a peer what it has been granted, or has no longer; who is not there hears it when it comes.
    pub(crate) fn tell_grant(self: &Arc<Self>, peer: PeerId, granted: bool) {
        if !granted {
            let hosted: Vec<TerminalId> = self.terminals.state.lock().hosted.keys().copied().collect();
            hosted.into_iter().for_each(|terminal| self.note_typist(terminal, peer, false));
        }
        let inner = self.clone();
        tokio::spawn(async move {
            let request = Request::Grant { what: Grantable::Terminal, granted };
            if let Err(error) = inner.network.call(peer, request, GRANT_TIME_MAX).await {
                tracing::debug!(peer = %peer, "was not told of a grant: {error}");
            }
        });
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
