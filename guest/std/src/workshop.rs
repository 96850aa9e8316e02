// SPDX-License-Identifier: AGPL-3.0-or-later
//! The workshop: terminals that the user opens before them, types into, and carries about.
//!
//! `T` opens one. Looking at one (or pointing at it) and pressing Enter, or a click, gives it the keyboard, and
//! sets the pointer free for it; Ctrl+Shift+Space gives the keyboard back, and the pointer to the flight.
//! The bar above it carries it, corners scale it, edges change its columns and rows. A line below each board
//! says what can be done with what the user points at.
//!
//! While the pointer is captured the user points with the middle of the picture, else with the pointer. The
//! script asks the service `avatar` where the eye is, and tells it when the hands are busy, so that a
//! click on a board does not capture the pointer.

mod board;
mod hands;
mod others;
pub(crate) mod ray;
mod shown;

use board::{FIRST, Form, Part};
use hands::{Clicks, Hold, Taken};
use hearth_sdk::{
    abi::{
        TerminalId,
        input::{Event, Press, key},
        scene::{Align, Anchor, Camera, Component, ComponentKind, Text, Transform},
    },
    clipboard, message,
    prelude::*,
    process::whereis,
    recv_bytes,
    terminal::{self, Command, Modifiers, Open, Pointer, PointerAction},
    time,
};
use others::{Other, Others};
use ray::{Pose, Ray};
use serde::{Deserialize, Serialize};
use shown::{Light, Shown, Words, shortened};
use std::{cell::RefCell, rc::Rc};

/// Metres from the eye to a new board.
const DISTANCE: f32 = 1.2;
/// A new board is so much lower than the eye.
const LOWER: f32 = 0.06;
/// New boards stand so far apart, in metres from middle to middle, if there is room around the eye.
const APART: f32 = 1.25;
/// Where there may be room: radians to the left of the view.
const ASIDE: [f32; 6] = [0.0, 1.1, -1.1, 2.2, -2.2, 3.1];
/// What is farther away is not pointed at.
const FAR: f32 = 10.0;
/// How long a board shines when it rings, and how long a note stays.
const BELL: Duration = Duration::from_millis(250);
const NOTE: Duration = Duration::from_secs(4);
/// How long a terminal may take to say what is selected.
const SOON: Duration = Duration::from_millis(300);
/// Between two questions for the eye, while there is none.
const RETRY: Duration = Duration::from_secs(1);

/// What can be done with a terminal while it has the keyboard, and while the user points at it.
const TYPING: &str = "Ctrl+Shift+Space gives the keyboard back · C V copy, paste · + − letters";
const POINTED: &str = "Enter or click: type here";

/// What the avatar is told.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Eye,
    Busy(bool),
    Go { at: [f32; 3], yaw: f32, pitch: f32 },
}

/// What others tell the workshop.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Told {
    /// The user types into something else for so many milliseconds: keys are not for here. 0 gives them back.
    Typing(u64),
}

/// Something that the user is asked on a board.
#[derive(Debug, PartialEq)]
enum Question {
    Close,
    Clipboard { request: u32, text: String },
}

struct Board {
    terminal: Terminal,
    pose: Pose,
    form: Form,
    title: String,
    /// How its program ended.
    ended: Option<i32>,
    question: Option<Question>,
    note: Option<(String, Duration)>,
    bell_until: Duration,
    shown: Shown,
}

/// Where the user points.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Target {
    terminal: TerminalId,
    part: Part,
    /// Metres to the right of the board's middle and up.
    at: [f32; 2],
    distance: f32,
}

struct Workshop {
    boards: Vec<Board>,
    others: Others,
    avatar: Option<ProcessId>,
    eye: Option<EntityId>,
    eye_asked: Option<Duration>,
    captured: bool,
    /// Where the free pointer is, and the size of the picture.
    pointer: Option<([f32; 2], [f32; 2])>,
    has_window: bool,
    target: Option<Target>,
    hold: Option<(TerminalId, Taken, Hold)>,
    clicks: Clicks,
    /// The cell that the pointer was told to be on last, and of what.
    told: Option<(TerminalId, [f32; 2])>,
    typing: Option<TerminalId>,
    /// The keyboard is another script's until then.
    typing_until: Duration,
    /// The one that had the keyboard last.
    typed: Option<TerminalId>,
    /// The pointer was captured before a board took the keyboard.
    recapture: bool,
    /// It has lost the keyboard since the last picture.
    left: bool,
    /// What the avatar was told last; `None` if it has not been told anything.
    busy_told: Option<bool>,
    /// Where something was selected last.
    selected: Option<TerminalId>,
    /// What was asked to be copied there is pasted here, if it comes until then.
    paste: Option<(TerminalId, Duration)>,
}

type Shared = Rc<RefCell<Workshop>>;

/// Opens terminals for the user, and lets them handle them.
///
/// # Errors
/// None: without a picture it does nothing.
pub async fn run() -> Result<(), Error> {
    let mut input = match Input::subscribe(input::mask::ALL) {
        Ok(input) => input,
        Err(errno) => {
            info!("no workshop without a picture: {errno}");
            return Ok(());
        }
    };
    let shared = Rc::new(RefCell::new(Workshop::new()));
    loop {
        match race(input.next(), recv_bytes()).await {
            Either::Left(event) => take(&shared, &event),
            Either::Right(message) => match message::decode::<Told>(&message.body) {
                Ok(Told::Typing(millis)) => {
                    shared.borrow_mut().typing_until = time::monotonic() + crate::avatar::typing(millis);
                }
                Err(error) => debug!("{} writes to the workshop: {error}", message.from),
            },
        }
    }
}

fn take(shared: &Shared, event: &Event) {
    match event {
        Event::Frame { .. } => {
            if shared.borrow_mut().wants_eye() {
                spawn_local(find_eye(Rc::clone(shared)));
            }
            let new = shared.borrow_mut().others.look(time::monotonic());
            for terminal in new {
                spawn_local(hear(Rc::clone(shared), terminal));
            }
            shared.borrow_mut().frame();
        }
        Event::Key { .. } if time::monotonic() < shared.borrow().typing_until => {}
        Event::Key { code: key::T, press: Press::Pressed } => {
            spawn_local(open(Rc::clone(shared)));
        }
        Event::Button { button: 2, press: Press::Pressed, at } => {
            let mut workshop = shared.borrow_mut();
            workshop.move_pointer(*at);
            if let Some(into) = workshop.paste_into() {
                spawn_local(paste(Rc::clone(shared), into));
            }
        }
        event => shared.borrow_mut().take(event),
    }
}

/// Asks the avatar which entity is the eye.
async fn find_eye(shared: Shared) {
    let Some(avatar) = whereis("avatar") else { return };
    match call::<u64, _>(avatar, &Order::Eye, RETRY).await {
        Ok(eye) => {
            let mut workshop = shared.borrow_mut();
            workshop.avatar = Some(avatar);
            // It may have heard something of a workshop before this one, or be a new one that knows nothing.
            workshop.busy_told = None;
            workshop.eye = Some(EntityId::from_bits(eye));
        }
        Err(error) => debug!("the avatar does not tell its eye: {error}"),
    }
}

/// Opens a terminal before the eye, and gives it the keyboard.
async fn open(shared: Shared) {
    let Some((pose, aside)) = shared.borrow().room() else {
        warn!("there is no eye to open a terminal for");
        return;
    };
    let form = FIRST;
    let open = Open { columns: form.columns, rows: form.rows, ..Open::default() };
    let terminal = match Terminal::open(&open).await {
        Ok(terminal) => terminal,
        Err(error) => {
            warn!("no terminal: {error}");
            let eye = shared.borrow().eye;
            return tell(eye, format!("No terminal: {error}")).await;
        }
    };
    let title = "terminal".to_owned();
    let words = Words { title: title.clone(), ..Words::default() };
    let shown = match Shown::make(terminal.id(), pose, form, words) {
        Ok(shown) => shown,
        Err(error) => {
            warn!("the terminal cannot be shown: {error}");
            terminal.close().unwrap_or_else(|errno| warn!("it stays open: {errno}"));
            return;
        }
    };
    {
        let mut workshop = shared.borrow_mut();
        workshop.boards.push(Board {
            terminal,
            pose,
            form,
            title,
            ended: None,
            question: None,
            note: None,
            bell_until: Duration::ZERO,
            shown,
        });
        if aside != 0.0 {
            workshop.face(pose);
        }
        workshop.focus(terminal.id());
    }
    loop {
        let event = terminal.event().await;
        let closed = event == terminal::Event::Closed;
        shared.borrow_mut().happened(terminal.id(), event);
        if closed {
            return;
        }
    }
}

/// Hears of another's terminal, as long as there is one, whether it has this user's keyboard.
async fn hear(shared: Shared, terminal: TerminalId) {
    loop {
        match race(Terminal::of(terminal).event(), sleep(RETRY)).await {
            Either::Left(event) => shared.borrow_mut().happened(terminal, event),
            Either::Right(()) if shared.borrow().others.get(terminal).is_none() => return,
            Either::Right(()) => {}
        }
    }
}

/// Pastes what is on the clipboard, unless a terminal soon says what is selected there.
async fn paste(shared: Shared, into: TerminalId) {
    let selected = shared.borrow_mut().ask_for_selected(into);
    if selected {
        sleep(SOON).await;
        // What is left was not answered.
        if shared.borrow_mut().paste.take().is_none() {
            return;
        }
    }
    match clipboard::read().await {
        Ok(text) if !text.is_empty() => shared.borrow_mut().command(into, &Command::Paste(text)),
        Ok(_empty) => {}
        Err(error) => shared.borrow_mut().note(into, format!("nothing to paste: {error}")),
    }
}

/// Shows this user a text before the eye for a while.
async fn tell(eye: Option<EntityId>, text: String) {
    let Some(eye) = eye else { return };
    let text = Text {
        text: shortened(&text, 120),
        align: Align::Center,
        anchor: Anchor::Middle,
        size: 0.012,
        width: 0.4,
        background: [0.01, 0.008, 0.006, 0.9],
        ..Text::default()
    };
    let sign = Entity::new().local().parent(eye).at(0.0, 0.06, -0.4);
    let sign = match sign.with(Component::Text(Box::new(text))).spawn() {
        Ok(sign) => sign,
        Err(error) => return warn!("a sign: {error}"),
    };
    sleep(NOTE).await;
    scene::remove(sign).unwrap_or_else(|error| warn!("a sign stays: {error}"));
}

impl Workshop {
    fn new() -> Workshop {
        Workshop {
            boards: Vec::new(),
            others: Others::default(),
            avatar: None,
            eye: None,
            eye_asked: None,
            captured: false,
            pointer: None,
            has_window: true,
            target: None,
            hold: None,
            clicks: Clicks::default(),
            told: None,
            typing: None,
            typing_until: Duration::ZERO,
            typed: None,
            recapture: false,
            left: false,
            busy_told: None,
            selected: None,
            paste: None,
        }
    }

    /// Whether the avatar should be asked for the eye now.
    fn wants_eye(&mut self) -> bool {
        let now = time::monotonic();
        let wants = self.eye.is_none() && self.eye_asked.is_none_or(|then| now >= then + RETRY);
        if wants {
            self.eye_asked = Some(now);
        }
        wants
    }

    /// Where the eye is; forgets one that is no more.
    fn eye(&self) -> Option<Transform> {
        match scene::read(self.eye?, ComponentKind::Transform)? {
            Component::Transform(eye) => Some(eye),
            _ => None,
        }
    }

    /// Along which ray the user points: with the pointer if it is free, else with the middle of the picture.
    fn ray(&self) -> Option<Ray> {
        let eye = self.eye()?;
        let Some((at, picture)) = self.pointer.filter(|_| !self.captured) else {
            return Some(Ray::centre(&eye));
        };
        let camera = match scene::read(self.eye?, ComponentKind::Camera) {
            Some(Component::Camera(camera)) => camera,
            _ => Camera::default(),
        };
        Some(Ray::through(&eye, &camera, at, picture))
    }

    fn hit(&self, ray: &Ray) -> Option<Target> {
        let met = self.boards.iter().filter_map(|board| {
            let (at, distance) = board.pose.meets(ray)?;
            let part = board.form.part(at, board.question.is_some())?;
            Some(Target { terminal: board.terminal.id(), part, at, distance })
        });
        let others = self.others.iter().filter_map(|other| {
            let (at, part, distance) = other.meets(ray)?;
            Some(Target { terminal: other.terminal(), part, at, distance })
        });
        met.chain(others)
            .filter(|target| target.distance < FAR)
            .min_by(|a, b| a.distance.total_cmp(&b.distance))
    }

    /// Looks anew what the user points at.
    fn point(&mut self) {
        self.target = self.ray().and_then(|ray| self.hit(&ray));
    }

    /// The board that a key is meant for: that under the pointer, else that in the middle of the picture,
    /// else the one whose program has just ended under the user's hands.
    fn meant(&self) -> Option<TerminalId> {
        let looked_at = || self.hit(&Ray::centre(&self.eye()?));
        let pointed_at = self.target.or_else(looked_at).map(|target| target.terminal);
        pointed_at.or_else(|| {
            let is_it = |board: &&Board| board.ended.is_some() && Some(board.terminal.id()) == self.typed;
            self.boards.iter().find(is_it).map(|board| board.terminal.id())
        })
    }

    fn board(&mut self, terminal: TerminalId) -> Option<&mut Board> {
        self.boards.iter_mut().find(|board| board.terminal.id() == terminal)
    }

    /// Whether there is anything to do with a terminal for this user; clicks go past one that others have not granted.
    fn is_mine(&self, terminal: TerminalId) -> bool {
        self.others.get(terminal).is_none_or(Other::may_type)
    }

    /// Where a terminal stands, this user's or another's, and in which form.
    fn place(&self, terminal: TerminalId) -> Option<(Pose, Form)> {
        let own = self.boards.iter().find(|board| board.terminal.id() == terminal);
        let other = || self.others.get(terminal).map(|other| (other.pose, other.form));
        own.map(|board| (board.pose, board.form)).or_else(other)
    }

    /// Where there is room for a new board, and how far that is to the left of the view.
    fn room(&self) -> Option<(Pose, f32)> {
        let eye = self.eye()?;
        let place = |aside: &f32| {
            let pose = Pose::before(&eye, DISTANCE, *aside);
            (Pose { at: pose.at - Vec3::Y * LOWER, ..pose }, *aside)
        };
        let is_free = |(pose, _): &(Pose, f32)| {
            let own = self.boards.iter().map(|board| board.pose.at);
            own.chain(self.others.iter().map(|other| other.pose.at)).all(|at| (at - pose.at).length() > APART)
        };
        Some(ASIDE.iter().map(place).find(is_free).unwrap_or_else(|| place(&ASIDE[0])))
    }

    /// Turns the eye to a board.
    fn face(&self, pose: Pose) {
        let (Some(avatar), Some(eye)) = (self.avatar, self.eye()) else { return };
        let way = pose.at - Vec3::from(eye.translation);
        let go = Order::Go { at: eye.translation, yaw: (-way.x).atan2(-way.z), pitch: 0.0 };
        send(avatar, &go).unwrap_or_else(|error| debug!("the avatar does not turn: {error}"));
    }

    /// The pointer is here now, of which only a button tells.
    fn move_pointer(&mut self, at: [f32; 2]) {
        if let Some((pointer, _)) = &mut self.pointer {
            *pointer = at;
        }
        self.point();
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Pointer { at, picture } => {
                self.pointer = Some((*at, *picture));
                self.point();
            }
            // It is also told where nothing has changed, as by Esc while the pointer is free.
            Event::Captured(on) if *on != self.captured => {
                self.captured = *on;
                // Where it comes back is not known before it moves.
                self.pointer = None;
                self.point();
            }
            Event::Focus(on) => {
                self.has_window = *on;
                if !on {
                    self.hold = None;
                }
            }
            Event::Button { button, press: Press::Pressed, at } => {
                self.move_pointer(*at);
                self.press(*button);
            }
            Event::Button { button, press: Press::Released, at } => {
                self.move_pointer(*at);
                self.release(*button);
            }
            Event::Wheel(lines) => self.wheel(*lines),
            Event::Key { code, press: Press::Pressed } => self.key(*code),
            _ => {}
        }
        self.tell_avatar();
    }

    fn key(&mut self, code: u16) {
        let Some(terminal) = self.meant() else { return };
        if self.others.get(terminal).is_some() && code == key::ENTER {
            return self.focus(terminal);
        }
        let Some(board) = self.board(terminal) else { return };
        match code {
            key::ENTER if board.ended.is_some() => {
                board.ended = None;
                self.command(terminal, &Command::Restart);
                self.focus(terminal);
            }
            key::ENTER => self.focus(terminal),
            key::X if board.ended.is_some() => self.command(terminal, &Command::Close),
            key::Y | key::N if board.question.is_some() => self.answer(terminal, code == key::Y),
            _ => {}
        }
    }

    fn press(&mut self, button: u8) {
        let Some(Target { terminal, part, at, distance }) = self.target else {
            // A click beside it: the user turns away.
            if button == 0 && self.typing.is_some() {
                self.recapture = false;
                terminal::unfocus().unwrap_or_else(|errno| warn!("the keyboard stays: {errno}"));
            }
            return;
        };
        if !self.is_mine(terminal) {
            return self.focus(terminal);
        }
        let (Some(ray), captured) = (self.ray(), self.captured) else { return };
        let is_typing = self.typing == Some(terminal);
        let Some((pose, form)) = self.place(terminal) else { return };
        let taken = Taken { pose, form, at };
        let has_ended = self.board(terminal).is_some_and(|board| board.ended.is_some());
        let hold = match (button, part) {
            (0, Part::Bar) => Hold::carry(&pose, &ray, distance),
            (0, Part::Edge(side)) => Hold::Stretch(side),
            (0, Part::Corner(corner)) => Hold::Scale(corner),
            (1, Part::Corner(corner)) => Hold::Stretch(corner),
            (0, Part::Close) if has_ended => return self.command(terminal, &Command::Close),
            (0, Part::Close) => return self.ask(terminal, Question::Close),
            (0, Part::Yes | Part::No) => return self.answer(terminal, part == Part::Yes),
            (_, Part::Grid(_)) if has_ended => return,
            (0, Part::Grid(_)) if captured && !is_typing => return self.focus(terminal),
            (_, Part::Grid(cells)) => {
                if !is_typing {
                    self.focus(terminal);
                }
                let clicks = self.clicks.press(button, cells, time::monotonic());
                self.cells(terminal, PointerAction::Press, button, clicks, cells);
                Hold::Cells { button }
            }
            _ => return,
        };
        if self.hold.is_none() {
            self.hold = Some((terminal, taken, hold));
        }
    }

    fn release(&mut self, button: u8) {
        let Some((terminal, _, hold)) = self.hold else { return };
        match hold {
            Hold::Cells { button: held } if held == button => {
                self.hold = None;
                if let Some(cells) = self.cells_of(terminal) {
                    self.cells(terminal, PointerAction::Release, button, 0, cells);
                }
                if button == 0 {
                    self.selected = Some(terminal);
                }
            }
            Hold::Cells { .. } => {}
            _ => {
                self.follow();
                self.hold = None;
            }
        }
    }

    /// Where the ray meets a board's plane, in columns and rows, inside or outside.
    fn cells_of(&mut self, terminal: TerminalId) -> Option<[f32; 2]> {
        let ray = self.ray()?;
        let (pose, form) = self.place(terminal)?;
        let (at, _) = pose.meets(&ray)?;
        Some(form.cells(at))
    }

    fn cells(&mut self, terminal: TerminalId, action: PointerAction, button: u8, clicks: u8, at: [f32; 2]) {
        self.told = Some((terminal, at));
        let [column, row] = at;
        let modifiers = Modifiers::default();
        let pointer = Pointer { action, button, modifiers, clicks, column, row };
        self.command(terminal, &Command::Pointer(pointer));
    }

    fn wheel(&mut self, lines: [f32; 2]) {
        if let Some((_, _, hold @ Hold::Carry { .. })) = &mut self.hold {
            return hold.wheel(lines[1]);
        }
        let Some(Target { terminal, part: Part::Grid(at), .. }) = self.target else { return };
        if !self.is_mine(terminal) {
            return;
        }
        let modifiers = Modifiers::default();
        self.command(terminal, &Command::Wheel { lines, modifiers, at });
    }

    /// Makes a terminal do something; what it refuses is said on its board.
    fn command(&mut self, terminal: TerminalId, command: &Command) {
        if let Err(errno) = Terminal::of(terminal).command(command) {
            let note = match errno {
                Errno::Full => "its program does not read what is typed".into(),
                errno => format!("that does not work: {errno}"),
            };
            self.note(terminal, note);
        }
    }

    fn note(&mut self, terminal: TerminalId, text: String) {
        let until = time::monotonic() + NOTE;
        let other = self.others.get_mut(terminal).map(|other| &mut other.note);
        let own = self.boards.iter_mut().find(|board| board.terminal.id() == terminal);
        if let Some(note) = own.map(|board| &mut board.note).or(other) {
            *note = Some((text, until));
        }
    }

    /// Gives a terminal the keyboard, and sets the pointer free for it.
    fn focus(&mut self, terminal: TerminalId) {
        if let Some(other) = self.others.get(terminal).filter(|other| !other.may_type()) {
            let how = other.how_to_type();
            return self.note(terminal, how);
        }
        if let Err(errno) = Terminal::of(terminal).focus() {
            return self.note(terminal, format!("it does not get the keyboard: {errno}"));
        }
        if self.captured {
            self.recapture = true;
            input::capture_pointer(false).unwrap_or_else(|errno| warn!("the pointer stays held: {errno}"));
        }
    }

    fn answer(&mut self, terminal: TerminalId, yes: bool) {
        let Some(question) = self.board(terminal).and_then(|board| board.question.take()) else { return };
        match question {
            Question::Close if yes => self.command(terminal, &Command::Close),
            Question::Close => {}
            // What is allowed comes back as `Copied`.
            Question::Clipboard { request, .. } => {
                self.command(terminal, &Command::Consent { request, allowed: yes });
            }
        }
    }

    /// Asks the user something on a board. What it does not ask any more is refused.
    fn ask(&mut self, terminal: TerminalId, question: Question) {
        let refused = self.board(terminal).and_then(|board| board.ask(question));
        if let Some(Question::Clipboard { request, .. }) = refused {
            self.command(terminal, &Command::Consent { request, allowed: false });
        }
    }

    fn copy(&mut self, terminal: TerminalId, text: &str) {
        match clipboard::write(text) {
            Ok(()) => self.note(terminal, format!("copied: {} characters", text.chars().count())),
            Err(errno) => self.note(terminal, format!("not copied: {errno}")),
        }
    }

    /// The terminal that the middle button pastes into.
    fn paste_into(&mut self) -> Option<TerminalId> {
        let target = self.target?;
        let pastes = matches!(target.part, Part::Grid(_)) && self.is_mine(target.terminal);
        pastes.then_some(target.terminal)
    }

    /// Asks for what is selected, to be pasted. Whether there is anybody to ask.
    fn ask_for_selected(&mut self, into: TerminalId) -> bool {
        let Some(from) = self.selected else { return false };
        self.paste = Some((into, time::monotonic() + SOON));
        self.command(from, &Command::Copy);
        true
    }

    /// Something happened to a terminal.
    fn happened(&mut self, terminal: TerminalId, event: terminal::Event) {
        use terminal::Event as Happened;
        let now = time::monotonic();
        let was_typing = self.typing == Some(terminal);
        match &event {
            Happened::Keyboard(true) => (self.typing, self.typed) = (Some(terminal), Some(terminal)),
            Happened::Keyboard(false) if was_typing => {
                self.typing = None;
                self.left = true;
            }
            Happened::Zoom(_) if self.others.get(terminal).is_some() => {
                self.note(terminal, "its letters are as large as its owner wants them".into());
            }
            _ => {}
        }
        let Some(board) = self.board(terminal) else { return };
        match event {
            Happened::Title(title) if title.is_empty() => board.title = "terminal".into(),
            Happened::Title(title) => board.title = title,
            Happened::Bell => board.bell_until = now + BELL,
            Happened::Exited(code) => {
                board.ended = Some(code);
                board.question = None;
                // Enter is for the script now, which starts it again.
                if self.typing == Some(terminal) {
                    terminal::unfocus().unwrap_or_else(|errno| warn!("the keyboard stays: {errno}"));
                }
            }
            Happened::ClipboardWanted { request, text } => {
                self.ask(terminal, Question::Clipboard { request, text });
            }
            Happened::Copied(text) => match self.paste.take() {
                Some((into, until)) if now <= until && !text.is_empty() => {
                    self.command(into, &Command::Paste(text));
                }
                Some(_) => {}
                None => self.copy(terminal, &text),
            },
            Happened::Link(address) => {
                self.copy(terminal, &address);
                self.note(terminal, format!("copied: {}", shortened(&address, 80)));
            }
            Happened::Resized { columns, rows } => {
                let is_held = self.hold.is_some_and(|(held, ..)| held == terminal);
                if let Some(board) = self.board(terminal).filter(|_| !is_held) {
                    (board.form.columns, board.form.rows) = (columns, rows);
                }
            }
            Happened::Zoom(steps) => {
                let form = match steps {
                    0 => board.form.zoomed_to(FIRST.cell),
                    steps => board.form.zoomed(steps.into()),
                };
                board.form = form;
                self.command(terminal, &Command::Resize { columns: form.columns, rows: form.rows });
            }
            Happened::Closed => {
                if let Some(at) = self.boards.iter().position(|board| board.terminal.id() == terminal) {
                    self.boards.remove(at).shown.remove();
                }
                self.hold = self.hold.filter(|(held, ..)| *held != terminal);
                self.selected = self.selected.filter(|selected| *selected != terminal);
                self.typing = self.typing.filter(|typing| *typing != terminal);
                self.point();
                self.tell_avatar();
            }
            _ => {}
        }
    }

    /// What is held follows the pointer.
    fn follow(&mut self) {
        let (Some((terminal, taken, hold)), Some(ray)) = (self.hold, self.ray()) else { return };
        let (form, pose) = hold.moved(&taken, &ray);
        let Some(board) = self.board(terminal) else { return };
        let [columns, rows] = [form.columns, form.rows];
        let resized = [columns, rows] != [board.form.columns, board.form.rows];
        (board.form, board.pose) = (form, pose);
        if resized {
            self.command(terminal, &Command::Resize { columns, rows });
        }
    }

    /// The pointer on cells, for a program that follows it or a selection; at most once a picture.
    fn hover(&mut self) {
        let (terminal, button) = match (self.hold, self.target, self.typing) {
            (Some((terminal, _, Hold::Cells { button })), ..) => (terminal, button),
            (None, Some(Target { terminal, part: Part::Grid(_), .. }), Some(typing))
                if typing == terminal =>
            {
                (terminal, 255)
            }
            _ => return,
        };
        let Some(at) = self.cells_of(terminal) else { return };
        let told = self.told.filter(|(told, _)| *told == terminal).map(|(_, at)| at);
        // A selection goes by halves of cells.
        let steps = if button == 255 { 1.0 } else { 2.0 };
        let step = |at: [f32; 2]| at.map(|part| (part * steps).floor());
        if told.is_none_or(|told| step(told) != step(at)) {
            self.cells(terminal, PointerAction::Move, button, 0, at);
        }
    }

    /// Once no board has the keyboard any more, the pointer is held as it was before.
    fn fly_again(&mut self) {
        // From one board to another it goes by way of nobody.
        if !std::mem::take(&mut self.left) || self.typing.is_some() {
            return;
        }
        if std::mem::take(&mut self.recapture) && self.has_window {
            input::capture_pointer(true).unwrap_or_else(|errno| warn!("the pointer stays free: {errno}"));
        }
    }

    /// Before each picture.
    fn frame(&mut self) {
        let now = time::monotonic();
        self.fly_again();
        if self.eye.is_some() && self.eye().is_none() {
            // The avatar was replaced.
            (self.eye, self.avatar) = (None, None);
        }
        self.point();
        self.hover();
        if self.hold.is_some_and(|(_, _, hold)| !matches!(hold, Hold::Cells { .. })) {
            self.follow();
            self.point();
        }
        let (typing, target) = (self.typing, self.target);
        for board in &mut self.boards {
            board.note.take_if(|(_, until)| now > *until);
            let id = board.terminal.id();
            let target = target.filter(|target| target.terminal == id);
            let light = match (now < board.bell_until, typing == Some(id), target) {
                (true, ..) => Light::Bell,
                (_, true, _) => Light::Typing,
                (_, _, Some(_)) => Light::Pointed,
                _ => Light::Off,
            };
            let words = board.words(typing == Some(id), target.map(|target| target.part));
            if let Err(error) = board.shown.show(id, board.pose, board.form, light, words) {
                warn!("a board cannot be shown: {error}");
            }
        }
        for other in self.others.iter_mut() {
            other.note.take_if(|(_, until)| now > *until);
            let id = other.terminal();
            let line =
                match (&other.note, typing == Some(id), target.is_some_and(|target| target.terminal == id)) {
                    (Some((note, _)), ..) => shortened(note, 120),
                    (None, true, _) => TYPING.into(),
                    (None, false, true) if other.may_type() => POINTED.into(),
                    (None, false, true) => other.how_to_type(),
                    (None, false, false) => String::new(),
                };
            other.say(line);
        }
        self.tell_avatar();
    }

    /// Tells the avatar whether clicks and wheel are for the workshop.
    fn tell_avatar(&mut self) {
        let busy = self.target.is_some_and(|target| self.is_mine(target.terminal)) || self.hold.is_some();
        let Some(avatar) = self.avatar.filter(|_| self.busy_told != Some(busy)) else { return };
        match send(avatar, &Order::Busy(busy)) {
            Ok(()) => self.busy_told = Some(busy),
            Err(error) => debug!("the avatar does not hear: {error}"),
        }
    }
}

impl Board {
    /// Asks the user something, and gives back a question that is not asked any more.
    fn ask(&mut self, question: Question) -> Option<Question> {
        match (&self.question, &question) {
            // What the user wants comes first.
            (Some(Question::Close), Question::Clipboard { .. }) => Some(question),
            _ => self.question.replace(question),
        }
    }

    fn words(&self, typing: bool, part: Option<Part>) -> Words {
        let line = match (&self.question, &self.note, self.ended, part) {
            (Some(Question::Close), ..) => "What runs here ends. Close it?".into(),
            (Some(Question::Clipboard { text, .. }), ..) => format!(
                "{} wants to copy {} characters: “{}”. May it?",
                shortened(&self.title, 24),
                text.chars().count(),
                shortened(text, 32)
            ),
            (_, Some((note, _)), ..) => shortened(note, 120),
            (_, _, Some(code), _) => {
                let how = match code {
                    0 => "It has ended".to_owned(),
                    code if code < 0 => format!("Signal {} has ended it", -i64::from(code)),
                    code => format!("It has ended with code {code}"),
                };
                format!("{how}. Enter starts it again, X closes it")
            }
            (.., Some(Part::Bar)) => "Drag it to move, the wheel brings it nearer".into(),
            (.., Some(Part::Close)) => "Click to close".into(),
            (.., Some(Part::Edge(_))) => "Drag for more or fewer columns or rows".into(),
            (.., Some(Part::Corner(_))) => "Drag for larger or smaller letters".into(),
            _ if typing => TYPING.into(),
            (.., Some(_)) => POINTED.into(),
            _ => String::new(),
        };
        Words { title: self.title.clone(), line, asks: self.question.is_some() }
    }
}
