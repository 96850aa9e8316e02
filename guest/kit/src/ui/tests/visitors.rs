// SPDX-License-Identifier: AGPL-3.0-or-later
//! Users who give an interface their keyboards by pressing a field of it, wherever they are.

use super::*;
use hearth_sdk::keyboard::Event as Key;

impl<M: Clone + PartialEq + std::fmt::Debug + 'static> Bench<M> {
    /// A user's peer tells what they do with the keyboard that they have given.
    fn tells(&mut self, user: u32, did: Event) {
        let event = Key { user: PeerId::new(user).unwrap(), entity: self.ui.root, did };
        self.ui.typed(&event);
        self.settle();
    }

    fn keys(&mut self, user: u32, code: u16) {
        for press in [Press::Pressed, Press::Released] {
            self.tells(user, Event::Key { code, press });
        }
    }

    fn writes(&mut self, user: u32, text: &str) {
        self.tells(user, Event::Text(text.into()));
    }

    /// A user presses what takes keys.
    fn gives<W>(&mut self, user: u32, field: Handle<W>) {
        self.tells(user, Event::Focus(true));
        let at = self.rect(field).middle();
        [Kind::Press, Kind::Release].into_iter().for_each(|kind| self.does(user, kind, at));
    }

    fn all_said(&mut self) -> Vec<(u32, M)> {
        self.ui.said.drain(..).map(|said| (said.user.number(), said.message)).collect()
    }

    /// How many things in it give it the keyboard.
    fn takers(&self) -> usize {
        let takes = |component: &&Component| matches!(component, Component::Keyboard(true));
        self.world.0.values().flatten().filter(takes).count()
    }
}

fn left() -> Vec<u32> {
    testing::left().into_iter().map(PeerId::number).collect()
}

fn passes(time: Duration) {
    testing::run_for(sleep(time), time);
}

#[test]
fn a_visitor_types_into_a_field() {
    let (name, go) = (Handle::new(), Handle::new());
    let said = field("").on_change(|text| text).on_enter(|text| format!("enter {text}")).handle(name);
    let mut bench = Bench::new(col![said, button("go", "go".to_owned()).handle(go)].width(0.5));
    bench.gives(BOB, name);
    assert!(!bench.world.shows("Shift"), "who has keys needs none to point at");
    assert!(bench.world.has(Theme::dusk().focus), "a ring and a caret tell who writes");
    bench.keys(BOB, key::A);
    bench.writes(BOB, "ü");
    bench.tells(BOB, Event::Paste("b\nc".into()));
    bench.keys(BOB, 0x2A);
    bench.keys(BOB, key::ENTER);
    let all = ["ü", "üb c", "üb ", "enter üb "].map(|text| (BOB, text.to_owned()));
    assert_eq!(bench.all_said(), all);
    // With Shift marked, with Ctrl all; nothing of it is put on this peer's clipboard, or taken from it.
    clipboard::write("mine").unwrap();
    for code in [key::A, key::X, 0x19] {
        bench.tells(BOB, Event::Key { code: key::LEFT_CONTROL, press: Press::Pressed });
        bench.keys(BOB, code);
        bench.writes(BOB, "q");
        bench.tells(BOB, Event::Key { code: key::LEFT_CONTROL, press: Press::Released });
    }
    assert_eq!(bench.all_said(), [(BOB, String::new())]);
    assert!(bench.ui.paste.is_none() && testing::clipboard() == "mine");
    // Tab goes on to the button, which Enter presses.
    bench.keys(BOB, TAB);
    bench.keys(BOB, key::ENTER);
    assert_eq!(bench.all_said(), [(BOB, "go".into())]);
    // Their peer takes the keyboard: what comes then is nothing.
    bench.tells(BOB, Event::Focus(false));
    assert!(!bench.world.has(Theme::dusk().focus) && !bench.ui.is_focused());
    bench.writes(BOB, "x");
    bench.keys(BOB, key::ENTER);
    assert!(bench.all_said().is_empty());
    assert!(left().is_empty(), "what was taken is not given back");
    // Keys of who has given none are nothing either.
    bench.does(4, Kind::Press, bench.rect(name).middle());
    assert!(bench.world.shows("Shift"), "keys to point at, for who has no others");
    bench.writes(4, "x");
    assert!(bench.all_said().is_empty());
}

#[test]
fn two_write_in_two_fields_at_once() {
    let (one, two) = (Handle::new(), Handle::new());
    let content =
        col![field("").on_change(|text| text).handle(one), field("").on_change(|text| text).handle(two)];
    let mut bench = Bench::new(content.width(0.5));
    bench.gives(ADA, one);
    bench.gives(BOB, two);
    for (a, b) in ["hi", "yo"].map(|text| text.split_at(1)) {
        bench.writes(ADA, a);
        bench.writes(BOB, b);
    }
    let texts =
        [(ADA, "h"), (BOB, "i"), (ADA, "hy"), (BOB, "io")].map(|(user, text)| (user, text.to_owned()));
    assert_eq!(bench.all_said(), texts);
    // Tab passes over what another writes in.
    bench.keys(ADA, TAB);
    bench.writes(ADA, "!");
    assert_eq!(bench.all_said(), [(ADA, "hy!".into())]);
    // One leaves; the other stays.
    bench.tells(ADA, Event::Focus(false));
    bench.writes(BOB, "u");
    assert_eq!(bench.all_said(), [(BOB, "iou".into())]);
    assert!(left().is_empty());
}

#[test]
fn a_field_is_ones_at_a_time() {
    let name = Handle::new();
    let mut bench = Bench::new(field("").on_change(|text| text).handle(name).width(0.5));
    bench.gives(ADA, name);
    bench.writes(ADA, "a");
    passes(Duration::from_secs(2));
    bench.writes(ADA, "b");
    passes(Duration::from_secs(2));
    // She writes in it: he gets his keyboard back.
    bench.gives(BOB, name);
    assert_eq!(left(), [BOB]);
    bench.writes(BOB, "x");
    bench.tells(BOB, Event::Focus(false));
    bench.writes(ADA, "c");
    assert_eq!(bench.all_said(), ["a", "ab", "abc"].map(|text| (ADA, text.to_owned())));
    // When she has written nothing for a while it is his, and she gets hers back.
    passes(Duration::from_secs(4));
    bench.gives(BOB, name);
    assert_eq!(left(), [ADA]);
    bench.writes(ADA, "y");
    bench.writes(BOB, "d");
    assert_eq!(bench.all_said(), [(BOB, "abcd".into())]);
    bench.tells(ADA, Event::Focus(false));
    bench.writes(BOB, "e");
    assert_eq!(bench.all_said(), [(BOB, "abcde".into())]);
}

/// Lets the interface go on by itself for a while.
fn goes_on<M: Clone + PartialEq + std::fmt::Debug + 'static>(bench: Bench<M>, time: Duration) -> Bench<M> {
    let run = async move {
        let mut bench = bench;
        // Nothing is said meanwhile.
        let ended = race(bench.ui.next(), sleep(time)).await;
        assert!(matches!(ended, hearth_sdk::Either::Right(())), "it goes on until then");
        bench
    };
    testing::run_for(run, time * 2).expect("it ends")
}

#[test]
fn who_has_left_the_space_has_no_hands_at_it() {
    let (level, name) = (Handle::new(), Handle::new());
    let slides = slider(0.0..=10.0, 5.0, |level| format!("{level:.0}")).step(1.0).handle(level);
    let mut bench = Bench::new(col![slides, field("").on_change(|text| text).handle(name)].width(0.5));
    let [bob, cyd] = [BOB, 4].map(|user| PeerId::new(user).unwrap());
    [(bob, "bob"), (cyd, "cyd")].iter().for_each(|(user, name)| testing::peer(*user, Some(name)));
    let rect = bench.rect(level);
    let at = |part: f32| [rect.x + part * rect.w, rect.middle()[1]];
    let quiet = bench.world.colors();
    bench.gives(BOB, name);
    bench.does(cyd.number(), Kind::Press, at(0.75));
    assert_eq!(bench.all_said(), [(4, "8".to_owned())]);
    // As long as they are there, all stays.
    let mut bench = goes_on(bench, Duration::from_secs(3));
    bench.settle();
    assert!(bench.ui.hands[&cyd].held.is_some() && bench.ui.focus.contains_key(&bob));
    // They are gone without a word: nothing looks as if somebody were at it.
    [bob, cyd].iter().for_each(|user| testing::peer(*user, None));
    let mut bench = goes_on(bench, Duration::from_secs(2));
    bench.settle();
    assert!(bench.ui.hands.is_empty() && !bench.ui.is_focused() && bench.ui.typists().next().is_none());
    assert_eq!(bench.world.colors().len(), quiet.len());
    assert!(!bench.world.has(Theme::dusk().focus));
    // Who is there has it at once.
    bench.does(ADA, Kind::Press, at(0.0));
    assert_eq!(bench.all_said(), [(ADA, "0".to_owned())]);
}

#[test]
fn who_comes_anew_holds_nothing() {
    let level = Handle::new();
    let mut bench = Bench::new(slider(0.0..=10.0, 5.0, |level| level).step(1.0).handle(level).width(0.5));
    let rect = bench.rect(level);
    let at = |part: f32| [rect.x + part * rect.w, rect.middle()[1]];
    bench.does(BOB, Kind::Press, at(0.75));
    assert_eq!(bench.all_said(), [(BOB, 8.0)]);
    // Their peer was killed, and is back within the time that peers are waited for.
    bench.does(BOB, Kind::Over, at(0.1));
    bench.does(BOB, Kind::Move, at(0.2));
    assert!(bench.all_said().is_empty(), "a pointer without a button drags nothing");
    bench.does(ADA, Kind::Press, at(0.0));
    assert_eq!(bench.all_said(), [(ADA, 0.0)]);
}

#[test]
fn the_script_gives_keyboards_back() {
    let (name, other) = (Handle::new(), Handle::new());
    let content = col![field("").on_change(|_| ()).handle(name), field("").handle(other)];
    let mut bench: Bench<()> = Bench::new(content.width(0.5));
    let mut gives_back = |does: &dyn Fn(&mut Ui<()>)| {
        bench.gives(BOB, name);
        does(&mut bench.ui);
        bench.tells(BOB, Event::Focus(false));
        left()
    };
    assert_eq!(gives_back(&|ui| ui.blur()), [BOB]);
    assert_eq!(gives_back(&|ui| ui.show(name, false).unwrap()), [BOB]);
    bench.ui.show(name, true).unwrap();
    bench.settle();
    bench.gives(BOB, name);
    bench.ui.enable(name, false).unwrap();
    assert_eq!(left(), [BOB]);
    bench.tells(BOB, Event::Focus(false));
    // Too many at once: the one more gets it back at once.
    for user in 100..164 {
        bench.tells(user, Event::Focus(true));
    }
    assert!(left().is_empty());
    bench.tells(164, Event::Focus(true));
    assert_eq!(left(), [164]);
}

#[test]
fn what_is_written_in_takes_keys_and_nothing_else() {
    let (name, hex) = (Handle::new(), Handle::new());
    let content = col![label("x"), button("y", ()), slider(0.0..=1.0, 0.5, |_| ()), list(["z"], 2, |_| ())];
    let bench: Bench<()> = Bench::new(content);
    assert_eq!(bench.takers(), 0);
    let mut bench: Bench<()> =
        Bench::new(col![field("text").handle(name), picker([0.0; 3], |_| ()).handle(hex)]);
    let all = bench.takers();
    // Plate, edge and writing of each.
    assert!((6..=14).contains(&all), "{all}");
    bench.ui.enable(hex, false).unwrap();
    bench.settle();
    let of_field = bench.takers();
    assert!((3..=7).contains(&of_field), "{of_field}");
    bench.ui.enable(name, false).unwrap();
    bench.settle();
    assert_eq!(bench.takers(), 0);
    // What hangs before the eye of one user whose keys come anyway needs none given.
    testing::batches();
    let place = Place::at(Vec3::ZERO, Quat::IDENTITY).local();
    let ui = Ui::new(place, Theme::dusk(), field("text").on_change(|_| ())).unwrap();
    let mut bench: Bench<()> = Bench { ui, world: World::default() };
    bench.world.update();
    assert_eq!(bench.takers(), of_field, "of one that does not listen");
    bench.ui.listen_to_keyboard().unwrap();
    bench.settle();
    assert_eq!(bench.takers(), 0);
}

#[test]
fn what_is_typed_stays_in_order_with_what_is_pressed() {
    let run = async {
        let (one, two) = (Handle::new(), Handle::new());
        let content = col![
            field("").on_change(|text| (1, text)).handle(one),
            field("").on_change(|text| (2, text)).handle(two)
        ];
        let place = Place::at(Vec3::ZERO, Quat::IDENTITY);
        let mut ui = Ui::new(place, Theme::dusk(), content.width(0.5))?;
        let root = ui.root();
        let high = ui.size()[1];
        let press = |up: f32| {
            let mut press = testing::pointer_event(Kind::Press, root);
            (press.from, press.way) = ([0.0, up, 2.0], [0.0, 0.0, -1.0]);
            testing::pointer(&press);
        };
        let tell = |did| testing::keyboard(&Key { user: PeerId::new(2).unwrap(), entity: root, did });
        tell(Event::Focus(true));
        press(high * 0.3);
        tell(Event::Text("a".into()));
        press(-high * 0.3);
        tell(Event::Text("b".into()));
        let mut said = Vec::new();
        for _ in 0..2 {
            said.push(ui.next().await?.message);
        }
        Ok::<_, KitError>(said)
    };
    let said = testing::run_for(run, Duration::from_secs(5));
    assert_eq!(said, Some(Ok(vec![(1, "a".to_owned()), (2, "b".to_owned())])));
}
