// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the first screens show and what is done meanwhile: a machine that is told what happens and says what follows,
//! without a clock, a network or a picture.

use crate::{
    settings::Remembered,
    words::{Ask, Field, Kind, Settings, Tell},
};
use hearth_node::{Password, program::Fatal};

/// The port of a space whose address names none.
const PORT: u16 = 4320;
/// Longest address and name that are taken; the network has bounds of its own for what it sends.
const TEXT_BYTES_MAX: usize = 256;

/// Where to, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) address: String,
    pub(crate) name: String,
    pub(crate) password: Password,
}

/// Why a space was not joined, or was left.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The password is not that of the space.
    Password(Fatal),
    /// The server has another key than it had.
    Key(Fatal),
    /// Something else.
    Other(Fatal),
}

impl Failure {
    pub(crate) fn fatal(&self) -> &Fatal {
        match self {
            Failure::Password(fatal) | Failure::Key(fatal) | Failure::Other(fatal) => fatal,
        }
    }
}

/// What happens.
#[derive(Debug)]
pub(crate) enum Happens {
    /// The user asks for something.
    Asked(Ask),
    /// The joining goes on: what is being done, and how far it is.
    Goes(String, Option<f32>),
    /// It has failed.
    Failed(Failure),
    /// The user is in the space, and the lobby is no longer seen.
    Entered,
    /// The space is left for good, and the lobby is seen again.
    Left(Failure),
}

/// What follows.
#[derive(Debug)]
pub(crate) enum Follows {
    /// The lobby is told what to show.
    Tell(Tell),
    /// A space is joined.
    Join(Entry),
    /// It is joined no longer.
    CallOff,
    /// The engine does as these say.
    Apply(Settings),
    /// What is remembered is written.
    Remember(Remembered),
}

#[derive(Debug)]
enum State {
    Form { notice: Option<String>, wants: Field },
    Joining { doing: String, part: Option<f32> },
    Failed(Tell),
    In,
}

/// The first screens.
#[derive(Debug)]
pub(crate) struct Front {
    state: State,
    /// What is in the file, or will be.
    remembered: Remembered,
    /// What is set now; kept when the user says so.
    settings: Settings,
    /// What was given at the start, until another is typed.
    password: Option<Password>,
    /// What was tried last.
    last: Option<Entry>,
}

impl Front {
    /// With what is remembered or was given at the start. With a `notice` it is shown first.
    pub(crate) fn new(
        remembered: Remembered,
        settings: Settings,
        password: Option<Password>,
        notice: Option<String>,
    ) -> Front {
        let mut front = Front {
            state: State::Form { notice, wants: Field::Address },
            remembered,
            settings,
            password,
            last: None,
        };
        let wants = front.wants();
        if let State::Form { wants: now, .. } = &mut front.state {
            *now = wants;
        }
        front
    }

    /// Joins at once, if all is known for it.
    pub(crate) fn start(&mut self) -> Vec<Follows> {
        let Remembered { address, name, .. } = &self.remembered;
        match (address.is_empty() || name.is_empty(), self.password.clone()) {
            (false, Some(password)) => {
                self.join(Entry { address: address.clone(), name: name.clone(), password })
            }
            _ => Vec::new(),
        }
    }

    /// What is set now.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The first field that is not filled in.
    fn wants(&self) -> Field {
        if self.remembered.address.is_empty() {
            Field::Address
        } else if self.remembered.name.is_empty() {
            Field::Name
        } else {
            Field::Password
        }
    }

    /// What is to be seen now.
    pub(crate) fn seen(&self) -> Option<Tell> {
        match &self.state {
            State::Form { notice, wants } => Some(Tell::Form {
                address: self.remembered.address.clone(),
                name: self.remembered.name.clone(),
                has_password: self.password.is_some(),
                settings: self.settings.clone(),
                notice: notice.clone(),
                wants: *wants,
            }),
            State::Joining { doing, part } => {
                let address = self.last.as_ref().map(|entry| entry.address.clone()).unwrap_or_default();
                Some(Tell::Connecting { address, doing: doing.clone(), part: *part })
            }
            State::Failed(told) => Some(told.clone()),
            State::In => None,
        }
    }

    /// Something happens. What does not fit the state, as a press that came too late, does nothing.
    pub(crate) fn happens(&mut self, what: Happens) -> Vec<Follows> {
        match (what, &mut self.state) {
            (Happens::Asked(Ask::Hello), _) => self.shown(Vec::new()),
            (Happens::Asked(Ask::Set { settings, keep }), _) => self.set(settings, keep),
            (Happens::Asked(Ask::Join { address, name, password }), State::Form { .. }) => {
                self.asked_to_join(&address, &name, password)
            }
            (Happens::Asked(Ask::Back), State::Joining { .. }) => {
                self.back_to_form(None);
                self.shown(vec![Follows::CallOff])
            }
            (Happens::Asked(Ask::Back), State::Failed(_)) => {
                self.back_to_form(None);
                self.shown(Vec::new())
            }
            (Happens::Asked(Ask::Again), State::Failed(_)) => match self.last.clone() {
                Some(entry) => self.join(entry),
                None => Vec::new(),
            },
            (Happens::Goes(doing, part), State::Joining { .. }) => {
                self.state = State::Joining { doing, part };
                self.shown(Vec::new())
            }
            (Happens::Failed(failure), State::Joining { .. }) => {
                self.failed("Could not join", failure);
                self.shown(Vec::new())
            }
            (Happens::Entered, State::Joining { .. }) => {
                self.state = State::In;
                vec![Follows::Remember(self.remembered.clone())]
            }
            (Happens::Left(failure), State::In) => {
                self.failed("The space is gone", failure);
                self.shown(Vec::new())
            }
            _ => Vec::new(),
        }
    }

    fn shown(&self, mut before: Vec<Follows>) -> Vec<Follows> {
        before.extend(self.seen().map(Follows::Tell));
        before
    }

    fn set(&mut self, settings: Settings, keep: bool) -> Vec<Follows> {
        if settings.check().is_err() {
            return Vec::new();
        }
        // As a person would write it.
        let plain = |value: f32| (value * 1000.0).round() / 1000.0;
        self.settings = Settings {
            volume: plain(settings.volume),
            fov: plain(settings.fov),
            look_speed: plain(settings.look_speed),
            ..settings
        };
        let mut follows = vec![Follows::Apply(self.settings.clone())];
        if keep {
            self.remembered.settings = self.settings.clone();
            follows.push(Follows::Remember(self.remembered.clone()));
        }
        follows
    }

    fn asked_to_join(&mut self, address: &str, name: &str, typed: Option<String>) -> Vec<Follows> {
        let (address, name) = (with_port(address.trim()), name.trim().to_owned());
        self.remembered.address.clone_from(&address);
        self.remembered.name.clone_from(&name);
        let password = match (typed, &self.password) {
            (Some(typed), _) => Password::new(typed).map_err(|error| error.to_string()),
            (None, Some(given)) => Ok(given.clone()),
            (None, None) => Err("the space has a password; its host knows it".into()),
        };
        let is_long = |text: &str| text.len() > TEXT_BYTES_MAX;
        let problem = match &password {
            _ if address.is_empty() || is_long(&address) => {
                Some((Field::Address, "that is no address of a space".into()))
            }
            _ if name.is_empty() || is_long(&name) => {
                Some((Field::Name, "a name has 1 to 64 letters".to_owned()))
            }
            Err(reason) => Some((Field::Password, reason.clone())),
            Ok(_) => None,
        };
        match (problem, password) {
            (None, Ok(password)) => self.join(Entry { address, name, password }),
            (problem, _) => {
                let (wants, notice) =
                    problem.map_or((Field::Address, None), |(wants, why)| (wants, Some(why)));
                self.state = State::Form { notice, wants };
                self.shown(Vec::new())
            }
        }
    }

    fn join(&mut self, entry: Entry) -> Vec<Follows> {
        self.last = Some(entry.clone());
        self.state = State::Joining { doing: "Reaching the server…".into(), part: None };
        self.shown(vec![Follows::Join(entry)])
    }

    fn back_to_form(&mut self, notice: Option<String>) {
        self.state = State::Form { notice, wants: Field::Password };
    }

    fn failed(&mut self, title: &str, failure: Failure) {
        let kind = match failure {
            Failure::Password(Fatal { hint, causes, what, .. }) => {
                // What was given or typed is wrong: the next try wants another.
                self.password = None;
                let why = causes.first().cloned().unwrap_or(what);
                let hint = hint.map(|hint| format!(". {}", capital(&hint))).unwrap_or_default();
                return self.back_to_form(Some(format!("{why}{hint}")));
            }
            Failure::Key(_) => Kind::Key,
            Failure::Other(_) => Kind::Other,
        };
        let Fatal { what, causes, hint, .. } = failure.fatal();
        let (title, why) = match kind {
            Kind::Key => ("This may be another server", causes.clone()),
            // The title says it.
            Kind::Other if what.starts_with("could not join") && !causes.is_empty() => {
                (title, causes.clone())
            }
            Kind::Other => (title, [vec![what.clone()], causes.clone()].concat()),
        };
        self.state = State::Failed(Tell::Failed { what: title.into(), why, hint: hint.clone(), kind });
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// An address as the network wants it: with a port.
fn with_port(address: &str) -> String {
    let is_bare = !address.is_empty() && (!address.contains(':') || address.ends_with(']'));
    if is_bare { format!("{address}:{PORT}") } else { address.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::words::Quality;

    fn front(address: &str, name: &str, password: Option<Password>, notice: Option<String>) -> Front {
        let remembered = Remembered { address: address.into(), name: name.into(), ..Remembered::default() };
        let settings = remembered.settings.clone();
        Front::new(remembered, settings, password, notice)
    }

    fn password(text: &str) -> Password {
        Password::new(text).unwrap()
    }

    fn fatal(cause: &str, hint: Option<&str>) -> Fatal {
        let (what, causes) = ("could not join `a:1`".into(), vec![cause.to_owned()]);
        Fatal { what, causes, hint: hint.map(Into::into), code: 1 }
    }

    fn asks_to_join(address: &str, name: &str, password: Option<&str>) -> Happens {
        let (address, name) = (address.into(), name.into());
        Happens::Asked(Ask::Join { address, name, password: password.map(Into::into) })
    }

    /// What follows in a line for each.
    fn lines(follows: Vec<Follows>) -> Vec<String> {
        let line = |follows| match follows {
            Follows::Tell(Tell::Form { address, name, has_password, notice, wants, .. }) => {
                format!("form {address} {name} {has_password} {} {wants:?}", notice.unwrap_or_default())
            }
            Follows::Tell(Tell::Connecting { address, doing, part }) => {
                format!("connecting {address} {doing} {part:?}")
            }
            Follows::Tell(Tell::Failed { what, why, hint, kind }) => {
                format!("failed {what}: {} ({}) {kind:?}", why.join(", "), hint.unwrap_or_default())
            }
            Follows::Tell(told) => format!("{told:?}"),
            Follows::Join(entry) => {
                format!("join {} {} {}", entry.address, entry.name, entry.password.reveal())
            }
            Follows::CallOff => "call off".into(),
            Follows::Apply(Settings { volume, look_speed, invert_look, .. }) => {
                format!("apply {volume} {look_speed} {invert_look}")
            }
            Follows::Remember(kept) => {
                format!("remember {} {} {}", kept.address, kept.name, kept.settings.volume)
            }
        };
        follows.into_iter().map(line).collect()
    }

    #[test]
    fn a_space_is_joined_after_some_tries() {
        let mut front = front("", "", None, Some("welcome".into()));
        assert!(front.start().is_empty());
        let mut does = |happens| lines(front.happens(happens));
        assert_eq!(does(Happens::Asked(Ask::Hello)), ["form   false welcome Address"]);
        assert_eq!(does(asks_to_join(" ", "ada", Some("x"))).len(), 1);
        assert_eq!(
            does(asks_to_join("a", " ", Some("horse battery"))),
            ["form a:4320  false a name has 1 to 64 letters Name"]
        );
        let no_password = does(asks_to_join("a", "ada", None));
        assert!(no_password[0].ends_with("its host knows it Password"), "{no_password:?}");
        assert_eq!(
            does(asks_to_join("a", "ada", Some("horse"))),
            ["join a:4320 ada horse", "connecting a:4320 Reaching the server… None"]
        );
        assert_eq!(does(asks_to_join("b", "bob", Some("horse"))), [""; 0], "one at a time");
        assert_eq!(does(Happens::Goes("Logging in…".into(), None)), ["connecting a:4320 Logging in… None"]);
        let wrong = fatal("the server did not accept this password", Some("check the password"));
        assert_eq!(
            does(Happens::Failed(Failure::Password(wrong))),
            ["form a:4320 ada false the server did not accept this password. Check the password Password"]
        );
        does(asks_to_join("a:4320", "ada", Some("horse battery")));
        assert_eq!(does(Happens::Goes("Loading".into(), Some(0.5))), ["connecting a:4320 Loading Some(0.5)"]);
        assert_eq!(does(Happens::Entered), ["remember a:4320 ada 1"]);
        assert_eq!(does(Happens::Asked(Ask::Hello)), [""; 0]);
    }

    #[test]
    fn what_was_given_is_joined_at_once_and_tried_again() {
        let given = Some(password("horse battery"));
        let mut front = front("a:1", "ada", given, None);
        assert_eq!(
            lines(front.start()),
            ["join a:1 ada horse battery", "connecting a:1 Reaching the server… None"]
        );
        let mut does = |happens| lines(front.happens(happens));
        let unreachable = || Failure::Other(fatal("connection refused", Some("is it running?")));
        let failed = "connection refused (is it running?) Other";
        assert_eq!(does(Happens::Failed(unreachable())), [format!("failed Could not join: {failed}")]);
        assert_eq!(does(Happens::Asked(Ask::Again))[0], "join a:1 ada horse battery");
        assert_eq!(does(Happens::Asked(Ask::Back)), ["call off", "form a:1 ada true  Password"]);
        assert_eq!(does(Happens::Asked(Ask::Back)), [""; 0]);
        // What comes of the try that was called off is for nobody.
        assert_eq!(does(Happens::Failed(unreachable())), [""; 0]);
        assert_eq!(does(asks_to_join("a:1", "ada", None))[0], "join a:1 ada horse battery");
        does(Happens::Entered);
        assert_eq!(does(Happens::Left(unreachable())), [format!("failed The space is gone: {failed}")]);
        assert_eq!(does(Happens::Asked(Ask::Again))[0], "join a:1 ada horse battery");
    }

    #[test]
    fn a_key_that_changed_is_another_matter() {
        let mut front = front("a:1", "ada", Some(password("horse")), None);
        front.start();
        let changed = fatal("the key of the server at `a:1` has changed", Some("Ask its host."));
        assert_eq!(
            lines(front.happens(Happens::Failed(Failure::Key(changed)))),
            [
                "failed This may be another server: the key of the server at `a:1` has changed (Ask its host.) Key"
            ]
        );
    }

    #[test]
    fn settings_are_heard_at_once_and_kept_when_told() {
        let mut front = front("a:1", "ada", None, None);
        let low = |volume| Settings { volume, quality: Quality::Low, ..Settings::default() };
        let mut set = |settings, keep| lines(front.happens(Happens::Asked(Ask::Set { settings, keep })));
        assert_eq!(set(low(0.5), false), ["apply 0.5 1 false"]);
        assert_eq!(set(low(0.25), true), ["apply 0.25 1 false", "remember a:1 ada 0.25"]);
        assert_eq!(set(low(f32::NAN), true), [""; 0]);
        assert_eq!(set(Settings { fov: 30.0, ..low(0.25) }, true), [""; 0]);
        assert_eq!(set(Settings { look_speed: 0.0, ..low(0.25) }, true), [""; 0]);
        assert_eq!(set(low(0.900_000_04), false), ["apply 0.9 1 false"]);
        let upside_down = Settings { look_speed: 1.350_000_1, invert_look: true, ..low(0.25) };
        assert_eq!(set(upside_down, false), ["apply 0.25 1.35 true"]);
        // None of these was to be kept.
        assert_eq!(front.remembered.settings, low(0.25));
    }

    #[test]
    fn an_address_gets_the_usual_port() {
        for (typed, expected) in [
            ("hearth.example", "hearth.example:4320"),
            ("hearth.example:99", "hearth.example:99"),
            ("[::1]", "[::1]:4320"),
            ("[::1]:99", "[::1]:99"),
            ("", ""),
        ] {
            assert_eq!(with_port(typed), expected);
        }
    }
}
