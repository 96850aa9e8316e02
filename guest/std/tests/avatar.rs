// SPDX-License-Identifier: AGPL-3.0-or-later
//! The avatar against the small peer of the SDK: what the user does, and what others get to see of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_sdk::{
    EntityId, Errno, LumpId, ProcessId,
    abi::{
        input::{Event, Press, key, mask},
        pointer::Wants,
        scene::{Component, ComponentKind, Op, Scope, Transform},
    },
    process::ExitReason,
    sleep, spawn_local, testing,
};
use hearth_std::avatar;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

const FRAME: Duration = Duration::from_millis(16);

/// Lets the avatar run while these events happen, each after so many frames, and gives what it did.
fn play(args: &[&str], script: Vec<(u32, Event)>, frames: u32) -> Seen {
    testing::set_args(args);
    let asked_for = testing::run_for(
        async move {
            spawn_local(avatar::run());
            for frame in 0..frames {
                script.iter().filter(|(at, _)| *at == frame).for_each(|(_, event)| testing::input(event));
                let step_ns = FRAME.as_nanos() as u32;
                testing::input(&Event::Frame { time_ns: 0, step_ns, size: [1280, 720] });
                sleep(FRAME).await;
            }
            testing::input_mask()
        },
        FRAME * (frames + 1),
    );
    assert_eq!(asked_for, Some(mask::ALL));
    Seen::read()
}

/// What is in the scene, and how often its parts were moved.
#[derive(Default)]
struct Seen {
    scopes: BTreeMap<EntityId, Scope>,
    state: BTreeMap<(EntityId, ComponentKind), Component>,
    moves: BTreeMap<EntityId, usize>,
    parents: BTreeMap<EntityId, EntityId>,
}

impl Seen {
    fn read() -> Seen {
        let mut seen = Seen::default();
        for op in testing::batches().concat() {
            match op {
                Op::Create(id, scope) => drop(seen.scopes.insert(id, scope)),
                Op::SetParent(id, Some(parent)) => drop(seen.parents.insert(id, parent)),
                Op::Set(id, component) => {
                    if component.kind() == ComponentKind::Transform {
                        *seen.moves.entry(id).or_default() += 1;
                    }
                    seen.state.insert((id, component.kind()), component);
                }
                other => panic!("{other:?}"),
            }
        }
        seen
    }

    fn with(&self, wanted: impl Fn(&Component) -> bool) -> Option<EntityId> {
        self.state.iter().find(|(_, component)| wanted(component)).map(|((id, _), _)| *id)
    }

    fn eye(&self) -> Option<EntityId> {
        self.with(|component| matches!(component, Component::Camera(_)))
    }

    fn body(&self) -> EntityId {
        self.with(|c| matches!(c, Component::Name(name) if name == "avatar of tester")).unwrap()
    }

    fn transform(&self, id: EntityId) -> Transform {
        let Component::Transform(transform) = &self.state[&(id, ComponentKind::Transform)] else { panic!() };
        *transform
    }
}

fn press(code: u16) -> Event {
    Event::Key { code, press: Press::Pressed }
}

fn release(code: u16) -> Event {
    Event::Key { code, press: Press::Released }
}

#[test]
fn the_eye_is_local_and_the_body_is_shared_with_its_name() {
    let seen = play(&["at", "1", "2", "3", "0.5"], vec![], 3);
    let (eye, body) = (seen.eye().unwrap(), seen.body());
    assert_eq!(seen.scopes[&eye], Scope::Local);
    assert_eq!(seen.scopes[&body], Scope::Shared);
    assert_eq!(seen.transform(eye).translation, [1.0, 2.0, 3.0]);
    // Behind the eye, so that it is not seen in the way.
    let at = seen.transform(body).translation;
    assert!(at[0] > 1.1 && at[1] < 2.0 && at[2] > 3.2, "{at:?}");
    let tag = seen.with(|c| matches!(c, Component::Billboard(_))).unwrap();
    assert_eq!((seen.parents[&tag], seen.scopes[&tag]), (body, Scope::Shared));
    // Whoever stands still sends nothing.
    assert_eq!((seen.moves[&eye], seen.moves[&body]), (1, 1));
}

#[test]
fn a_click_on_something_else_does_not_capture_the_pointer() {
    #[derive(Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Order {
        Busy(bool),
    }
    let click = || Event::Button { button: 0, press: Press::Pressed, at: [9.0, 9.0] };
    let workshop: ProcessId = "1.7".parse().unwrap();
    play(&[], vec![(0, click())], 2);
    assert!(testing::captures().is_empty(), "somebody may still say that it was theirs");
    play(&[], vec![(0, click())], 5);
    assert_eq!(testing::captures(), [true]);
    testing::deliver(workshop, &Order::Busy(true));
    play(&[], vec![(0, click()), (3, click())], 9);
    assert!(testing::captures().is_empty());
    testing::deliver(workshop, &Order::Busy(true));
    testing::deliver(workshop, &Order::Busy(false));
    play(&[], vec![(1, click())], 9);
    assert_eq!(testing::captures(), [true]);
}

#[test]
fn a_click_on_what_takes_clicks_does_not_capture_the_pointer() {
    let click = || Event::Button { button: 0, press: Press::Pressed, at: [9.0, 9.0] };
    let on = |wants| Event::Target { entity: Some(EntityId::from_bits(9)), wants };
    for (wants, captures) in [
        (Wants::PRESS, &[][..]),
        (Wants::DRAG, &[]),
        (Wants::HOVER.and(Wants::WHEEL), &[true]),
        (Wants::NOTHING, &[true]),
    ] {
        play(&[], vec![(0, on(wants)), (1, click())], 9);
        assert_eq!(testing::captures(), captures, "{wants:?}");
        // It comes to be there with the click.
        play(&[], vec![(0, click()), (0, on(wants))], 9);
        assert_eq!(testing::captures(), captures, "{wants:?}");
    }
    let off = Event::Target { entity: None, wants: Wants::NOTHING };
    play(&[], vec![(0, on(Wants::PRESS)), (1, off), (2, click())], 9);
    assert_eq!(testing::captures(), [true]);
}

#[test]
fn what_a_workshop_said_that_has_ended_is_forgotten() {
    #[derive(Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Order {
        Busy(bool),
    }
    async fn clicks() {
        for picture in 0..6 {
            if picture == 1 {
                testing::input(&Event::Button { button: 0, press: Press::Pressed, at: [9.0, 9.0] });
            }
            testing::input(&Event::Frame { time_ns: 0, step_ns: 0, size: [1280, 720] });
            sleep(FRAME).await;
        }
    }
    let workshop = || hearth_sdk::spawn(LumpId([0; 32]), Some("workshop"), [] as [&str; 0]).unwrap();
    testing::set_args(&[]);
    testing::run_for(
        async move {
            spawn_local(avatar::run());
            let (first, other): (_, ProcessId) = (workshop(), "2.9".parse().unwrap());
            testing::deliver(first, &Order::Busy(true));
            testing::deliver(other, &Order::Busy(true));
            testing::deliver(other, &Order::Busy(false));
            clicks().await;
            assert!(testing::captures().is_empty(), "what another says is its own");
            // It has crashed, and was started anew.
            testing::ends(first, &ExitReason::error("crashed"));
            let second = workshop();
            clicks().await;
            assert_eq!(testing::captures(), [true]);
            testing::deliver(second, &Order::Busy(true));
            clicks().await;
            assert!(testing::captures().is_empty());
        },
        Duration::from_secs(5),
    )
    .unwrap();
}

#[test]
fn keys_that_are_typed_into_something_else_do_not_move_it() {
    let typing = |millis: u64| {
        testing::deliver("1.7".parse().unwrap(), &BTreeMap::from([("typing", millis)]));
    };
    let moved = |at: u32| {
        let seen =
            play(&["at", "0", "1.7", "6", "0"], vec![(at, press(key::W)), (at + 30, release(key::W))], 60);
        seen.transform(seen.eye().unwrap()).translation[2] < 5.9
    };
    typing(10_000);
    assert!(!moved(1));
    typing(10_000);
    typing(0);
    assert!(moved(1), "they were given back");
    // Whoever ended without a word does not keep them.
    typing(300);
    assert!(moved(25));
}

#[test]
fn it_tells_which_entity_is_the_eye() {
    testing::deliver("1.7".parse().unwrap(), &"eye");
    let seen = play(&[], vec![], 2);
    let eye = seen.eye().unwrap().to_bits();
    assert_eq!(testing::sent::<u64>(), [("1.7".parse().unwrap(), eye)]);
}

#[test]
fn it_sees_as_much_as_its_user_has_set() {
    let fov = |seen: &Seen| match seen.state[&(seen.eye().unwrap(), ComponentKind::Camera)] {
        Component::Camera(camera) => camera.fov_y,
        _ => panic!("an eye has a camera"),
    };
    let says = |fov: f32| testing::deliver("1.7".parse().unwrap(), &BTreeMap::from([("fov", fov)]));
    // The client's program is asked, if it speaks already.
    let program = hearth_sdk::spawn(LumpId([0; 32]), Some("client"), [] as [&str; 0]).unwrap();
    let usual = fov(&play(&[], vec![], 2));
    assert_eq!(testing::sent::<String>(), [(program, "hello".to_owned())]);
    says(1.5);
    assert_eq!(fov(&play(&[], vec![], 2)), 1.5);
    // What no eye sees changes nothing.
    for never in [0.0, 3.2, -1.0, f32::NAN] {
        says(never);
        assert_eq!(fov(&play(&[], vec![], 2)), usual);
    }
}

#[test]
fn keys_move_it_and_others_hear_of_it_twenty_times_a_second() {
    let seen = play(&["at", "0", "1.7", "6", "0"], vec![(0, press(key::W)), (60, release(key::W))], 120);
    let (eye, body) = (seen.eye().unwrap(), seen.body());
    let [x, y, z] = seen.transform(eye).translation;
    assert!(x.abs() < 1e-3 && (y - 1.7).abs() < 1e-3, "{x} {y}");
    // 0.96 s at 3.2 m/s.
    assert!((2.5..3.6).contains(&(6.0 - z)), "at {z}");
    assert!(seen.moves[&eye] > 55, "the eye moves with every picture: {}", seen.moves[&eye]);
    assert!((15..=26).contains(&seen.moves[&body]), "the body moved {} times", seen.moves[&body]);
    // At rest the body is where the eye is.
    let rest = seen.transform(body).translation[2] - z;
    assert!((rest - 0.3).abs() < 0.01, "{rest} m behind");
}

#[test]
fn the_mouse_turns_it_only_while_the_pointer_is_captured() {
    let click = Event::Button { button: 0, press: Press::Pressed, at: [1.0, 1.0] };
    let turn = Event::Motion([100.0, 50.0]);
    let seen = play(&["at", "0", "0", "0"], vec![(1, turn.clone())], 5);
    assert_eq!(seen.transform(seen.eye().unwrap()).rotation, [0.0, 0.0, 0.0, 1.0]);
    let script = vec![(1, click), (2, Event::Captured(true)), (3, turn), (5, press(key::ESCAPE))];
    let seen = play(&["at", "0", "0", "0"], script, 8);
    let [x, y, _, _] = seen.transform(seen.eye().unwrap()).rotation;
    assert!(x < -0.04 && y < -0.1, "it looks to the right and down: {x} {y}");
    assert_eq!(testing::captures(), [true, false]);
}

#[test]
fn keys_that_are_held_while_the_window_loses_the_focus_are_let_go() {
    let script = vec![(0, press(key::W)), (10, Event::Focus(false))];
    let seen = play(&["at", "0", "0", "0"], script, 200);
    assert!(seen.transform(seen.eye().unwrap()).translation[2] > -1.5);
}

fn hidden(seen: &Seen, on: bool) -> Vec<EntityId> {
    let is_so = |component: &Component| *component == Component::Hidden(on);
    seen.state.iter().filter(|(_, component)| is_so(component)).map(|((id, _), _)| *id).collect()
}

#[test]
fn the_hint_goes_for_good_once_the_user_has_begun() {
    let come = (0, press(key::W));
    let seen = play(&[], vec![come.clone()], 4);
    let [hint] = hidden(&seen, false)[..] else { panic!("one thing is shown") };
    let Component::Text(text) = &seen.state[&(hint, ComponentKind::Text)] else { panic!() };
    assert!(text.text.contains("F1") && text.background[3] > 0.5, "{text:?}");
    assert_eq!((seen.scopes[&hint], seen.parents[&hint]), (Scope::Local, seen.eye().unwrap()));
    let frames_of_20_s = 1250;
    assert_eq!(hidden(&play(&[], vec![come.clone()], frames_of_20_s), false), []);
    for begun in [vec![come.clone(), (3, press(key::T))], vec![(0, press(key::T)), (3, press(key::W))]] {
        assert_eq!(hidden(&play(&[], begun, 10), false), []);
    }
    // F1 shows the keys, and hides them again.
    let keys = vec![come, (3, press(key::F1)), (5, press(key::F1))];
    assert_eq!(hidden(&play(&[], keys, 10), false), []);
}

#[test]
fn f1_shows_the_keys_to_this_user_alone() {
    let seen = play(&[], vec![(1, press(key::F1))], 4);
    let shown = hidden(&seen, false);
    assert_eq!(shown.len(), 1);
    assert_eq!(seen.scopes[&shown[0]], Scope::Local);
    assert_eq!(seen.parents[&shown[0]], seen.eye().unwrap());
    let seen = play(&[], vec![(1, press(key::F1)), (2, press(key::F1))], 4);
    assert_eq!(hidden(&seen, false), []);
}

#[test]
fn without_a_picture_there_is_a_body_that_can_be_sent_about() {
    #[derive(Serialize)]
    struct Go {
        go: At,
    }
    #[derive(Serialize)]
    struct At {
        at: [f32; 3],
    }
    testing::refuse_input(Errno::Unsupported);
    testing::set_args(&["at", "1", "2", "3", "0"]);
    let friend: ProcessId = "2.1".parse().unwrap();
    testing::deliver(friend, &Go { go: At { at: [5.0, 1.0, 5.0] } });
    testing::run_for(avatar::run(), Duration::from_secs(1));
    let seen = Seen::read();
    assert_eq!(seen.eye(), None);
    let at = seen.transform(seen.body()).translation;
    // Its feet, 1.7 m below where an eye would be.
    assert!((at[0] - 5.0).abs() < 0.01 && (at[2] - 5.3).abs() < 0.01, "{at:?}");
    assert!((at[1] + 0.7).abs() < 0.01, "{at:?}");
}
