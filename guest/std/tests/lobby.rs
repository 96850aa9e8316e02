// SPDX-License-Identifier: AGPL-3.0-or-later
//! The first screens against the small peer of the SDK: what the user types and presses, what the program hears of
//! it, and what is shown of what the program says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_sdk::{
    LumpId, ProcessId,
    abi::{
        input::{Event, Press, key},
        scene::{Camera, Component, Op, Scope},
    },
    scene::Entity,
    sleep, spawn_local, testing,
};
use hearth_std::lobby::{
    self, PROGRAM,
    words::{Ask, Field, Kind, Quality, Settings, Tell},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time::Duration,
};

const TAB: u16 = 0x2B;
const BEAT: Duration = Duration::from_millis(20);

/// The user, the program, and what is to be seen.
struct Stage {
    program: ProcessId,
    texts: BTreeMap<hearth_sdk::EntityId, String>,
    parents: BTreeMap<hearth_sdk::EntityId, hearth_sdk::EntityId>,
    hidden: BTreeSet<hearth_sdk::EntityId>,
    shared: usize,
}

fn play<F: Future<Output = ()> + 'static>(args: &[&str], act: impl FnOnce(Stage) -> F + 'static) {
    testing::set_args(args);
    let done = testing::run_for(
        async move {
            let program = hearth_sdk::spawn(LumpId([0; 32]), Some(PROGRAM), [] as [&str; 0]).unwrap();
            spawn_local(lobby::run());
            let (texts, parents, hidden) = Default::default();
            let mut stage = Stage { program, texts, parents, hidden, shared: 0 };
            stage.beat().await;
            act(stage).await;
        },
        Duration::from_secs(60),
    );
    assert_eq!(done, Some(()), "it did not come to its end");
}

impl Stage {
    async fn beat(&mut self) {
        sleep(BEAT).await;
        for op in testing::batches().into_iter().flatten() {
            match op {
                Op::Create(_, scope) => self.shared += usize::from(scope == Scope::Shared),
                Op::SetParent(id, Some(parent)) => drop(self.parents.insert(id, parent)),
                Op::Set(id, Component::Text(text)) => drop(self.texts.insert(id, text.text)),
                Op::Set(id, Component::Hidden(true)) => drop(self.hidden.insert(id)),
                Op::Set(id, Component::Hidden(false)) => drop(self.hidden.remove(&id)),
                Op::Remove(id) => drop(self.texts.remove(&id)),
                _ => {}
            }
        }
    }

    async fn tells(&mut self, told: &Tell) {
        testing::deliver(self.program, told);
        self.beat().await;
    }

    async fn keys(&mut self, codes: &[u16]) {
        for code in codes {
            for press in [Press::Pressed, Press::Released] {
                testing::input(&Event::Key { code: *code, press });
            }
            self.beat().await;
        }
    }

    async fn types(&mut self, text: &str) {
        for letter in text.chars() {
            testing::input(&Event::Text(letter.into()));
        }
        self.beat().await;
    }

    fn asked(&self) -> Vec<Ask> {
        let sent = testing::sent::<Ask>();
        sent.into_iter().inspect(|(to, _)| assert_eq!(*to, self.program)).map(|(_, ask)| ask).collect()
    }

    fn shows(&self, part: &str) -> bool {
        let is_seen = |id| {
            let mut above = std::iter::successors(Some(id), |id| self.parents.get(id).copied());
            !above.any(|id| self.hidden.contains(&id))
        };
        self.texts.iter().any(|(id, text)| text.replace('\n', " ").contains(part) && is_seen(*id))
    }
}

fn settings() -> Settings {
    Settings { volume: 0.5, quality: Quality::Low, fov: 70.0, look_speed: 1.0, invert_look: false }
}

fn form(wants: Field) -> Tell {
    Tell::Form {
        address: "hearth.example:4320".into(),
        name: String::new(),
        has_password: false,
        settings: settings(),
        notice: None,
        wants,
    }
}

fn join(name: &str, password: Option<&str>) -> Ask {
    let (address, password) = ("hearth.example:4320".into(), password.map(Into::into));
    Ask::Join { address, name: name.into(), password }
}

#[test]
fn it_is_filled_in_with_the_keyboard_alone() {
    play(&[], |mut stage| async move {
        assert_eq!(stage.asked(), [Ask::Hello]);
        stage.tells(&form(Field::Name)).await;
        assert!(
            stage.shows("Join a space") && stage.shows("hearth.example:4320") && !stage.shows("Settings.")
        );
        stage.types(" ada ").await;
        // Enter joins; what is missing is asked for, and has the keyboard then.
        stage.keys(&[key::ENTER]).await;
        assert_eq!(stage.asked(), []);
        assert!(stage.shows("The space has a password."));
        stage.types("two horses").await;
        assert!(stage.shows("••••••••••") && !stage.shows("horses"));
        stage.keys(&[key::ENTER]).await;
        assert_eq!(stage.asked(), [join("ada", Some("two horses"))]);
        assert_eq!(stage.shared, 0, "all of it is this user's alone");

        // The button is reached too: settings, and then joining.
        stage.keys(&[TAB, TAB, key::SPACE]).await;
        assert_eq!(stage.asked(), [join("ada", Some("two horses"))]);
        // A password that was wrong is gone, and is asked for.
        let Tell::Form { address, has_password, settings, .. } = form(Field::Password) else { panic!() };
        let notice = Some("the server did not accept this password".into());
        let name = "ada".into();
        stage
            .tells(&Tell::Form { address, name, has_password, settings, notice, wants: Field::Password })
            .await;
        assert!(stage.shows("The server did not accept this password.") && !stage.shows("•"));
        stage.types("x").await;
        stage.keys(&[key::ESCAPE, key::ENTER]).await;
        assert_eq!(stage.asked(), [join("ada", Some("x"))]);
    });
}

#[test]
fn a_password_that_the_program_has_need_not_be_typed() {
    play(&[], |mut stage| async move {
        stage.asked();
        let Tell::Form { address, settings, .. } = form(Field::Password) else { panic!() };
        let (name, notice) = ("ada".into(), None);
        let wants = Field::Password;
        stage.tells(&Tell::Form { address, name, has_password: true, settings, notice, wants }).await;
        assert!(stage.shows("given at the start"));
        stage.keys(&[key::ENTER]).await;
        assert_eq!(stage.asked(), [join("ada", None)]);
    });
}

#[test]
fn settings_are_told_at_once_and_kept_when_done() {
    play(&[], |mut stage| async move {
        stage.tells(&form(Field::Password)).await;
        stage.asked();
        stage.keys(&[TAB, key::ENTER]).await;
        assert!(stage.shows("Settings") && stage.shows("50 %") && !stage.shows("Join a space"));
        stage.keys(&[key::RIGHT]).await;
        let louder = |keep| Ask::Set { settings: Settings { volume: 0.55, ..settings() }, keep };
        assert!(stage.shows("55 %"));
        assert_eq!(stage.asked(), [louder(false)]);
        stage.keys(&[TAB, key::ENTER, key::DOWN, key::ENTER]).await;
        let high = || Settings { volume: 0.55, quality: Quality::High, ..settings() };
        let best = |keep| Ask::Set { settings: high(), keep };
        assert_eq!(stage.asked(), [best(false)]);
        // Escape closes what is open first.
        stage.keys(&[key::ENTER, key::ESCAPE]).await;
        assert_eq!(stage.asked(), []);
        // How much is seen, how fast the mouse is, and which way up.
        assert!(stage.shows("70°") && stage.shows("1.00 ×"));
        stage.keys(&[TAB, key::RIGHT]).await;
        let wider = || Settings { fov: 71.0, ..high() };
        assert_eq!(stage.asked(), [Ask::Set { settings: wider(), keep: false }]);
        stage.keys(&[TAB, key::LEFT]).await;
        let told = stage.asked();
        let [Ask::Set { settings: slower, keep: false }] = &told[..] else { panic!("{told:?}") };
        assert!((slower.look_speed - 0.95).abs() < 1e-4, "{slower:?}");
        assert!(stage.shows("71°") && stage.shows("0.95 ×"));
        stage.keys(&[TAB, key::SPACE]).await;
        let last = Settings { invert_look: true, ..slower.clone() };
        assert_eq!(*slower, Settings { look_speed: slower.look_speed, ..wider() });
        assert_eq!(stage.asked(), [Ask::Set { settings: last.clone(), keep: false }]);
        stage.keys(&[key::ESCAPE]).await;
        assert_eq!(stage.asked(), [Ask::Set { settings: last, keep: true }]);
        assert!(stage.shows("Join a space"));
        // Back at what is still to be filled in.
        stage.types("words").await;
        assert!(stage.shows("•••••"));
    });
}

#[test]
fn it_tells_how_far_it_is_and_is_called_off() {
    play(&[], |mut stage| async move {
        stage.tells(&form(Field::Name)).await;
        stage.asked();
        let connecting = |doing: &str, part| Tell::Connecting {
            address: "hearth.example:4320".into(),
            doing: doing.into(),
            part,
        };
        stage.tells(&connecting("Reaching the server…", None)).await;
        assert!(stage.shows("Reaching the server…") && stage.shows("hearth.example:4320"));
        stage.tells(&connecting("Loading the space: 3 things to come", Some(0.5))).await;
        assert!(stage.shows("Loading the space: 3 things to come") && !stage.shows("Reaching"));
        stage.keys(&[key::ESCAPE]).await;
        assert_eq!(stage.asked(), [Ask::Back]);
        stage.keys(&[key::ENTER]).await;
        assert_eq!(stage.asked(), [Ask::Back], "the button has the keyboard");
    });
}

#[test]
fn what_failed_is_said_and_a_changed_key_is_not_clicked_away() {
    play(&[], |mut stage| async move {
        stage.asked();
        let failed = |kind| Tell::Failed {
            what: "Could not join".into(),
            why: vec![
                "cannot reach `hearth.example:4320`".into(),
                "connection refused (os error 111)".into(),
            ],
            hint: Some("is the server running, and the address right?".into()),
            kind,
        };
        stage.tells(&failed(Kind::Other)).await;
        assert!(stage.shows("Could not join"));
        assert!(stage.shows("Cannot reach \"hearth.example:4320\". Connection refused"));
        assert!(stage.shows("Is the server running, and the address right?"));
        // What Enter does is to try again, and Escape goes back.
        stage.keys(&[key::ENTER, key::ESCAPE]).await;
        assert_eq!(stage.asked(), [Ask::Again, Ask::Back]);
        // Where the server may be another, Enter goes back too.
        stage.tells(&failed(Kind::Key)).await;
        stage.keys(&[key::ENTER]).await;
        assert_eq!(stage.asked(), [Ask::Back]);
        stage.keys(&[TAB, key::ENTER]).await;
        assert_eq!(stage.asked(), [Ask::Again]);
    });
}

#[test]
fn nobody_but_the_program_tells_it_what_to_show() {
    play(&[], |mut stage| async move {
        stage.tells(&form(Field::Name)).await;
        let other = ProcessId::from_bits(stage.program.to_bits() + 1);
        let doing = "Reaching the server…".into();
        testing::deliver(other, &Tell::Connecting { address: "elsewhere".into(), doing, part: None });
        stage.beat().await;
        assert!(stage.shows("Join a space") && !stage.shows("elsewhere"));
    });
}

#[test]
fn in_a_space_a_note_says_that_the_connection_is_lost() {
    play(&["banner"], |mut stage| async move {
        // The avatar tells which entity is the eye; here there is none, and it is waited for.
        assert_eq!(stage.asked(), []);
        let avatar = hearth_sdk::spawn(LumpId([0; 32]), Some("avatar"), [] as [&str; 0]).unwrap();
        let eye = Entity::new().local().with(Camera::default()).spawn().unwrap();
        for _ in 0..200 {
            stage.beat().await;
            for (to, body) in testing::sent_bytes() {
                let call = (to == avatar).then(|| body[7..15].try_into().unwrap()).map(u64::from_be_bytes);
                if let Some(number) = call {
                    testing::deliver_bytes(avatar, &answer(number, eye.to_bits()));
                }
            }
            if stage.parents.values().any(|parent| *parent == eye) {
                break;
            }
        }
        stage.tells(&Tell::Lost { tries: 2, reason: "cannot reach `a:1`: refused".into() }).await;
        assert!(stage.shows("Connection lost, trying again (3rd try)"));
        assert!(stage.shows("Cannot reach \"a:1\": refused."));
        stage.tells(&Tell::Back).await;
        assert!(!stage.shows("Connection lost"));
    });
}

/// The answer to a call, in CBOR: a tagged array of its number and the body.
fn answer(number: u64, body: u64) -> Vec<u8> {
    let mut bytes = vec![0xda];
    bytes.extend(hearth_sdk::message::TAG_ANSWER.to_be_bytes());
    bytes.extend([0x82, 0x1b]);
    bytes.extend(number.to_be_bytes());
    bytes.push(0x1b);
    bytes.extend(body.to_be_bytes());
    bytes
}
