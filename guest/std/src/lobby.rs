// SPDX-License-Identifier: AGPL-3.0-or-later
//! The first screens of the client: where to join and as whom, settings, how far the joining is, what went wrong; and,
//! once in a space, a note while the connection is lost.
//!
//! The client runs this on a peer that has nobody else and no way to anybody, and speaks with it as the process
//! [`PROGRAM`], in the words of [`words`]. What is typed as the password goes to that process and nowhere else.
//! With the argument `banner` it is the note, in the space.

mod hall;
pub mod words;

use hall::Hall;
use hearth_kit::*;
use hearth_sdk::{
    abi::input::{Event, Press, key, mask},
    prelude::*,
    process::whereis,
};
use words::{Ask, FOV, FOV_USUAL, Field as Wanted, Kind, LOOK_SPEED, Quality, Settings, Tell, VOLUME};

/// The name of the process that the client speaks as.
pub const PROGRAM: &str = "client";

/// Metres before the eye at which the panel is; and as far away as it looks.
const AHEAD: f32 = 0.5;
const LOOKS: f32 = 1.24;
/// How far to the right of the middle it is, in metres, so that the fire is seen beside it.
const RIGHT: f32 = 0.122;
/// Width of the panel, before it is scaled.
const WIDTH: f32 = 0.62;
/// Where the note of the lost connection is, and how far away it looks.
const NOTE: [f32; 3] = [0.0, 0.235, 0.5];
const NOTE_LOOKS: f32 = 1.2;

/// How often the eye is asked for when there is none yet, and how many times.
const EYE_RETRY: Duration = Duration::from_millis(500);
const EYE_TRIES: usize = 20;

const TAB: u16 = 0x2B;
const KEYPAD_ENTER: u16 = 0x58;

/// The theme: the colours of the hearth, a little darker than in the space, since it is night around.
fn theme() -> Theme {
    Theme { ground: srgb(0x1d1713), edge: srgb(0x6a4a30), panel_radius: 0.026, ..Theme::dusk() }
}

/// What is chosen of, and what is written there.
const QUALITIES: [Quality; 3] = [Quality::Auto, Quality::Low, Quality::High];
const QUALITY_NAMES: [&str; 3] = ["As the machine can", "Fast", "Beautiful"];

/// What the user does.
#[derive(Clone, Debug, PartialEq)]
enum Does {
    Join,
    Settings,
    Volume(f32),
    Quality(usize),
    Fov(f32),
    LookSpeed(f32),
    InvertLook(bool),
    Done,
    Back,
    Again,
}

/// What is on the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Form,
    Settings,
    Connecting,
    Failed,
}

/// Shows the first screens, or the note if the argument says so, until it is ended.
///
/// # Errors
/// The scene does not take it, or the program is not there.
pub async fn run() -> Result<(), Error> {
    let program = whereis(PROGRAM).ok_or_else(|| {
        Error::new(Errno::NotFound, "the client runs this, and speaks as a process of its own")
    })?;
    if args().first().is_some_and(|arg| arg == "banner") {
        return note(program).await;
    }
    let hall = Hall::open()?;
    let mut lobby = Lobby::new(hall.eye, program)?;
    let mut input = Input::subscribe(mask::KEYBOARD | mask::MOUSE)?;
    spawn_local(hall.burn());
    send(program, &Ask::Hello)?;
    loop {
        match race(lobby.ui.next(), race(input.next(), recv::<Tell>())).await {
            Either::Left(said) => lobby.does(said?.message)?,
            Either::Right(Either::Left(event)) => lobby.input(&event)?,
            Either::Right(Either::Right(told)) if told.from == program => lobby.told(told.body)?,
            Either::Right(Either::Right(told)) => warn!("{} is not the program", told.from),
        }
    }
}

/// The panel, and all that is on it.
struct Lobby {
    ui: Ui<Does>,
    program: ProcessId,
    page: Page,
    settings: Settings,
    form: Form,
    setting: SettingsPage,
    connecting: Connecting,
    failed: Failed,
}

struct Form {
    group: Handle<Group<Does>>,
    address: Handle<Field<Does>>,
    name: Handle<Field<Does>>,
    password: Handle<Field<Does>>,
    given: Handle<Label>,
    notice: Handle<Group<Does>>,
    notice_text: Handle<Paragraph>,
    has_password: bool,
    /// What is to be filled in next.
    wants: Wanted,
}

struct SettingsPage {
    group: Handle<Group<Does>>,
    volume: Handle<Slider<Does>>,
    percent: Handle<Label>,
    quality: Handle<Menu<Does>>,
    fov: Handle<Slider<Does>>,
    degrees: Handle<Label>,
    look_speed: Handle<Slider<Does>>,
    factor: Handle<Label>,
    invert_look: Handle<Toggle<Does>>,
}

struct Connecting {
    group: Handle<Group<Does>>,
    address: Handle<Label>,
    doing: Handle<Label>,
    bar: Handle<Progress>,
    cancel: Handle<Button<Does>>,
}

struct Failed {
    group: Handle<Group<Does>>,
    title: Handle<Label>,
    why: Handle<Paragraph>,
    hint: Handle<Group<Does>>,
    hint_text: Handle<Paragraph>,
    /// Where trying again is what one most likely wants, and where it is not.
    likely: Handle<Group<Does>>,
    unlikely: Handle<Group<Does>>,
    again: Handle<Button<Does>>,
    back: Handle<Button<Does>>,
}

impl Form {
    fn new() -> Form {
        Form {
            group: Handle::new(),
            address: Handle::new(),
            name: Handle::new(),
            password: Handle::new(),
            given: Handle::new(),
            notice: Handle::new(),
            notice_text: Handle::new(),
            has_password: false,
            wants: Wanted::Address,
        }
    }

    fn nodes(&self) -> Node<Does> {
        let notice = col![paragraph("").handle(self.notice_text).grow()].inset().padding(0.014);
        let enter = |_text: String| Does::Join;
        col![
            title("Join a space"),
            notice.handle(self.notice).hidden(),
            col![
                hint("Address, as hearth.example:4320"),
                field("").on_enter(enter).handle(self.address).grow(),
            ]
            .gap(0.006),
            col![
                hint("Your name, as others see it"),
                field("").len_max(64).on_enter(enter).handle(self.name).grow(),
            ]
            .gap(0.006),
            col![
                row![
                    hint("Password of the space").grow(),
                    hint("given at the start").right().handle(self.given).hidden(),
                ],
                field("").secret().len_max(1024).on_enter(enter).handle(self.password).grow(),
            ]
            .gap(0.006),
            space(0.004),
            row![
                button("Settings", Does::Settings),
                space(0.0).grow(),
                button("Join", Does::Join).main().width(0.2),
            ],
        ]
        .handle(self.group)
    }
}

impl SettingsPage {
    fn new() -> SettingsPage {
        SettingsPage {
            group: Handle::new(),
            volume: Handle::new(),
            percent: Handle::new(),
            quality: Handle::new(),
            fov: Handle::new(),
            degrees: Handle::new(),
            look_speed: Handle::new(),
            factor: Handle::new(),
            invert_look: Handle::new(),
        }
    }

    fn nodes(&self) -> Node<Does> {
        let volume = slider(VOLUME, 1.0, Does::Volume).step(0.05).handle(self.volume);
        let fov = slider(FOV, FOV_USUAL, Does::Fov).step(1.0).handle(self.fov);
        let look_speed = slider(LOOK_SPEED, 1.0, Does::LookSpeed).step(0.05).handle(self.look_speed);
        let line = |name: &str, slider: Node<Does>, value: Handle<Label>| {
            col![hint(name), row![slider.grow(), label("").right().handle(value).width(0.1)]].gap(0.006)
        };
        col![
            title("Settings"),
            line("Volume", volume, self.percent),
            col![
                hint("Picture"),
                menu(QUALITY_NAMES, 0, Does::Quality).handle(self.quality).grow(),
                paragraph("Takes effect when Hearth is started the next time.").small().grow(),
            ]
            .gap(0.006),
            // Its last line is as small as the name of what comes next, and is not to be taken for that's.
            space(0.0),
            line("Field of view", fov, self.degrees),
            line("Speed of looking with the mouse", look_speed, self.factor),
            toggle("Mouse forward looks down", false, Does::InvertLook).handle(self.invert_look),
            space(0.004),
            row![space(0.0).grow(), button("Done", Does::Done).main().width(0.2)],
        ]
        .handle(self.group)
        .hidden()
    }
}

impl Connecting {
    fn new() -> Connecting {
        let (group, address, doing, bar, cancel) =
            (Handle::new(), Handle::new(), Handle::new(), Handle::new(), Handle::new());
        Connecting { group, address, doing, bar, cancel }
    }

    fn nodes(&self) -> Node<Does> {
        col![
            title("Joining"),
            label("").handle(self.address).grow(),
            space(0.004),
            progress(None).handle(self.bar).grow(),
            hint("").handle(self.doing).grow(),
            space(0.004),
            row![space(0.0).grow(), button("Cancel", Does::Back).handle(self.cancel)],
        ]
        .handle(self.group)
        .hidden()
    }
}

impl Failed {
    fn new() -> Failed {
        Failed {
            group: Handle::new(),
            title: Handle::new(),
            why: Handle::new(),
            hint: Handle::new(),
            hint_text: Handle::new(),
            likely: Handle::new(),
            unlikely: Handle::new(),
            again: Handle::new(),
            back: Handle::new(),
        }
    }

    fn nodes(&self) -> Node<Does> {
        col![
            title("").handle(self.title).grow(),
            paragraph("").handle(self.why).grow(),
            col![paragraph("").small().handle(self.hint_text).grow()]
                .inset()
                .padding(0.014)
                .handle(self.hint),
            space(0.004),
            row![
                button("Back", Does::Back),
                space(0.0).grow(),
                button("Try again", Does::Again).main().handle(self.again),
            ]
            .handle(self.likely),
            row![
                button("Try again", Does::Again),
                space(0.0).grow(),
                button("Back", Does::Back).main().handle(self.back),
            ]
            .handle(self.unlikely)
            .hidden(),
        ]
        .handle(self.group)
        .hidden()
    }
}

impl Lobby {
    fn new(eye: EntityId, program: ProcessId) -> Result<Lobby, Error> {
        let (form, setting, connecting, failed) =
            (Form::new(), SettingsPage::new(), Connecting::new(), Failed::new());
        let place = Place::view(eye, [RIGHT, 0.0, AHEAD]).scaled(AHEAD / LOOKS);
        let pages = col![form.nodes(), setting.nodes(), connecting.nodes(), failed.nodes()];
        let ui = Ui::new(place, theme(), pages.panel().width(WIDTH))?;
        let settings = Settings::default();
        Ok(Lobby { ui, program, page: Page::Form, settings, form, setting, connecting, failed })
    }

    /// Shows another page, and gives the keyboard to what one most likely wants there.
    fn turn_to(&mut self, page: Page) -> Result<(), Error> {
        self.page = page;
        for (group, of) in [
            (self.form.group, Page::Form),
            (self.setting.group, Page::Settings),
            (self.connecting.group, Page::Connecting),
            (self.failed.group, Page::Failed),
        ] {
            self.ui.show(group, of == page)?;
        }
        match page {
            Page::Form => {}
            Page::Settings => self.ui.focus(self.setting.volume)?,
            Page::Connecting => self.ui.focus(self.connecting.cancel)?,
            Page::Failed => self.ui.blur(),
        }
        Ok(())
    }

    fn told(&mut self, told: Tell) -> Result<(), Error> {
        match told {
            Tell::Form { address, name, has_password, settings, notice, wants } => {
                self.settings = settings;
                self.form.has_password = has_password;
                self.ui.edit(self.form.address, |field| field.set(address))?;
                self.ui.edit(self.form.name, |field| field.set(name))?;
                if wants == Wanted::Password {
                    self.ui.edit(self.form.password, |field| field.set(""))?;
                }
                self.ui.show(self.form.given, has_password)?;
                self.notice(notice)?;
                self.show_settings()?;
                self.turn_to(Page::Form)?;
                self.want(wants)
            }
            Tell::Connecting { address, doing, part } => {
                self.ui.edit(self.connecting.address, |label| label.set(address))?;
                self.ui.edit(self.connecting.doing, |label| label.set(doing))?;
                self.ui.edit(self.connecting.bar, |bar| bar.set(part))?;
                match self.page {
                    Page::Connecting => Ok(()),
                    _ => self.turn_to(Page::Connecting),
                }
            }
            Tell::Failed { what, why, hint, kind } => {
                self.ui.edit(self.failed.title, |label| label.set(what))?;
                self.ui.edit(self.failed.why, |text| text.set(sentences(&why)))?;
                self.ui.show(self.failed.hint, hint.is_some())?;
                self.ui.edit(self.failed.hint_text, |text| text.set(sentence(&hint.unwrap_or_default())))?;
                self.ui.show(self.failed.likely, kind == Kind::Other)?;
                self.ui.show(self.failed.unlikely, kind == Kind::Key)?;
                self.turn_to(Page::Failed)?;
                match kind {
                    Kind::Other => self.ui.focus(self.failed.again)?,
                    Kind::Key => self.ui.focus(self.failed.back)?,
                }
                Ok(())
            }
            // These are for the note.
            Tell::Lost { .. } | Tell::Back => Ok(()),
        }
    }

    fn notice(&mut self, notice: Option<String>) -> Result<(), Error> {
        self.ui.show(self.form.notice, notice.is_some())?;
        self.ui.edit(self.form.notice_text, |text| text.set(sentence(&notice.unwrap_or_default())))?;
        Ok(())
    }

    fn want(&mut self, wanted: Wanted) -> Result<(), Error> {
        self.form.wants = wanted;
        match wanted {
            Wanted::Address => self.ui.focus(self.form.address)?,
            Wanted::Name => self.ui.focus(self.form.name)?,
            Wanted::Password => self.ui.focus(self.form.password)?,
        }
        Ok(())
    }

    fn show_settings(&mut self) -> Result<(), Error> {
        let Settings { volume, quality, fov, look_speed, invert_look } = self.settings;
        self.ui.edit(self.setting.volume, |slider| slider.set(volume))?;
        self.ui.edit(self.setting.percent, |label| label.set(format!("{:.0} %", volume * 100.0)))?;
        let line = QUALITIES.iter().position(|one| *one == quality);
        self.ui.edit(self.setting.quality, |menu| menu.choose(line))?;
        self.ui.edit(self.setting.fov, |slider| slider.set(fov))?;
        self.ui.edit(self.setting.degrees, |label| label.set(format!("{fov:.0}°")))?;
        self.ui.edit(self.setting.look_speed, |slider| slider.set(look_speed))?;
        self.ui.edit(self.setting.factor, |label| label.set(format!("{look_speed:.2} ×")))?;
        self.ui.edit(self.setting.invert_look, |toggle| toggle.set(invert_look))?;
        Ok(())
    }

    fn set(&mut self, keep: bool) -> Result<(), Error> {
        self.show_settings()?;
        send(self.program, &Ask::Set { settings: self.settings.clone(), keep })
    }

    fn does(&mut self, does: Does) -> Result<(), Error> {
        match does {
            Does::Join => self.join(),
            Does::Settings => self.turn_to(Page::Settings),
            Does::Volume(volume) => {
                self.settings.volume = volume;
                self.set(false)
            }
            Does::Quality(line) => {
                self.settings.quality = QUALITIES[line.min(2)];
                self.set(false)
            }
            Does::Fov(fov) => {
                self.settings.fov = fov;
                self.set(false)
            }
            Does::LookSpeed(speed) => {
                self.settings.look_speed = speed;
                self.set(false)
            }
            Does::InvertLook(is_inverted) => {
                self.settings.invert_look = is_inverted;
                self.set(false)
            }
            Does::Done => {
                self.set(true)?;
                self.turn_to(Page::Form)?;
                self.want(self.form.wants)
            }
            Does::Back => send(self.program, &Ask::Back),
            Does::Again => send(self.program, &Ask::Again),
        }
    }

    /// Asks to join, if all is there; else says what is missing.
    fn join(&mut self) -> Result<(), Error> {
        let [address, name] =
            [self.ui.get(self.form.address)?.text(), self.ui.get(self.form.name)?.text()].map(str::trim);
        let (address, name) = (address.to_owned(), name.to_owned());
        let password = self.ui.get(self.form.password)?.text().to_owned();
        let missing = if address.is_empty() {
            Some((Wanted::Address, "Where is the space? Its host knows the address."))
        } else if name.is_empty() {
            Some((Wanted::Name, "Who are you? Others see this name."))
        } else if password.is_empty() && !self.form.has_password {
            Some((Wanted::Password, "The space has a password. Its host knows it."))
        } else {
            None
        };
        if let Some((field, why)) = missing {
            self.notice(Some(why.into()))?;
            return self.want(field);
        }
        let password = (!password.is_empty()).then_some(password);
        send(self.program, &Ask::Join { address, name, password })
    }

    /// Keys that mean the same wherever the hands are; the others are the panel's.
    fn input(&mut self, event: &Event) -> Result<(), Error> {
        if let Event::Key { code, press: Press::Pressed } = event {
            let is_free = !self.ui.is_focused();
            match (*code, self.page) {
                (key::ESCAPE, Page::Settings) if !self.ui.get(self.setting.quality)?.is_open() => {
                    return self.does(Does::Done);
                }
                (key::ESCAPE, Page::Connecting | Page::Failed) => return self.does(Does::Back),
                (key::ENTER | KEYPAD_ENTER, Page::Form) if is_free => return self.does(Does::Join),
                (TAB, Page::Form) if is_free => return Ok(self.ui.focus(self.form.address)?),
                (TAB | key::ENTER, Page::Failed) if is_free => {
                    self.ui.focus(self.failed.again).or_else(|_hidden| self.ui.focus(self.failed.back))?;
                    return Ok(());
                }
                (TAB, Page::Connecting) if is_free => return Ok(self.ui.focus(self.connecting.cancel)?),
                (TAB, Page::Settings) if is_free => return Ok(self.ui.focus(self.setting.volume)?),
                _ => {}
            }
        }
        self.ui.input(event);
        Ok(())
    }
}

/// A message as a sentence, as people write it on a screen: messages begin small and end without a stop.
fn sentence(text: &str) -> String {
    let text = text.trim().replace('`', "\"");
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    let ends = text.ends_with(['.', '!', '?', '…']);
    format!("{}{}{}", first.to_uppercase(), letters.as_str(), if ends { "" } else { "." })
}

fn sentences(texts: &[String]) -> String {
    texts.iter().map(|text| sentence(text)).collect::<Vec<_>>().join(" ")
}

/// The note in the space: seen while the connection is lost.
async fn note(program: ProcessId) -> Result<(), Error> {
    let (text, why) = (Handle::new(), Handle::new());
    let content =
        col![row![progress(None).width(0.1), label("").handle(text)].gap(0.02), hint("").handle(why),]
            .cross(Cross::Center)
            .panel()
            .padding(0.018);
    let place = Place::view(patient_eye().await?, NOTE).scaled(NOTE[2] / NOTE_LOOKS);
    let mut ui: Ui<Does> = Ui::new(place, theme(), content)?;
    ui.set_visible(false)?;
    send(program, &Ask::Hello)?;
    loop {
        let told = match race(ui.next(), recv::<Tell>()).await {
            Either::Right(told) if told.from == program => told.body,
            Either::Left(Err(error)) => return Err(error.into()),
            _ => continue,
        };
        match told {
            Tell::Lost { tries, reason } => {
                ui.edit(text, |label| label.set(lost(tries)))?;
                ui.edit(why, |hint| hint.set(sentence(&reason)))?;
                ui.settle()?;
                ui.set_visible(true)?;
            }
            Tell::Back => ui.set_visible(false)?,
            _ => {}
        }
    }
}

fn lost(tries: u32) -> String {
    // Failed tries are over: it is now the one after.
    let number = tries + 1;
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("Connection lost, trying again ({number}{ending} try)")
}

/// The eye, waiting for an avatar that is just being started.
async fn patient_eye() -> Result<EntityId, Error> {
    for _try in 1..EYE_TRIES {
        match eye().await {
            Ok(eye) => return Ok(eye),
            Err(error) => debug!("no eye yet: {error}"),
        }
        sleep(EYE_RETRY).await;
    }
    eye().await
}
