// SPDX-License-Identifier: AGPL-3.0-or-later
//! The avatar on foot, in models and pointing, against the small peer of the SDK with a world that is a floor.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_sdk::{
    EntityId, Errno, Lump, LumpId, ProcessId,
    abi::{
        cast::{Cast, Hit, encode_hits},
        input::{Event, Press, key, mask},
        scene::{Animation, Clip, Component, ComponentKind, Op, Transform},
    },
    prelude::{Entity, MeshSource},
    sleep, spawn_local, testing,
};
use hearth_std::avatar;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

const FRAME: Duration = Duration::from_millis(16);
const G: u16 = 0x0A;
/// Whoever sends the avatar something.
const FRIEND: &str = "2.1";

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Go { at: [f32; 3] },
    Model(Option<Wear>),
}

#[derive(Serialize)]
struct Wear {
    lump: String,
    height: Option<f32>,
}

/// What a floor at this height is to a cast, with grass everywhere, and writing before every ball.
fn met(cast: &Cast, floor: f32, [grass, writing]: [EntityId; 2]) -> Vec<Hit> {
    let before = |entity| Hit { entity, point: cast.from, normal: cast.way.map(|part| -part), distance: 0.0 };
    let mut hits = vec![before(grass)];
    if cast.radius > 0.0 {
        hits.push(before(writing));
    }
    let sinks = -cast.way[1];
    let distance = (cast.from[1] - floor - cast.radius) / sinks;
    if sinks > 1e-3 && (0.0..=cast.distance_max).contains(&distance) {
        let at = |axis: usize| cast.from[axis] + cast.way[axis] * distance;
        let point = [at(0), floor, at(2)];
        hits.push(Hit { entity: EntityId::from_bits(900), point, normal: [0.0, 1.0, 0.0], distance });
    }
    hits
}

/// What is done at a picture.
enum Deed {
    Input(Event),
    Tell(Order),
    /// From now on casts are answered so.
    Floor(Result<f32, Errno>),
}

fn press(code: u16) -> Deed {
    Deed::Input(Event::Key { code, press: Press::Pressed })
}

fn release(code: u16) -> Deed {
    Deed::Input(Event::Key { code, press: Press::Released })
}

/// Lets it run for so many pictures, each of whose casts is answered before the next.
fn play(args: &[&str], floor: Result<f32, Errno>, script: Vec<(u32, Deed)>, frames: u32) -> Seen {
    testing::set_args(args);
    testing::run_for(
        async move {
            let passed = [
                Entity::new().name("~grass").mesh(MeshSource::Sphere(1.0)).spawn().unwrap(),
                Entity::new().text("writing").spawn().unwrap(),
            ];
            spawn_local(avatar::run());
            let mut floor = floor;
            let mut script = script.into_iter().peekable();
            for frame in 0..frames {
                while let Some((_, deed)) = script.next_if(|(at, _)| *at <= frame) {
                    match deed {
                        Deed::Input(event) => testing::input(&event),
                        Deed::Tell(order) => testing::deliver(FRIEND.parse().unwrap(), &order),
                        Deed::Floor(new) => floor = new,
                    }
                }
                let step_ns = FRAME.as_nanos() as u32;
                testing::input(&Event::Frame { time_ns: 0, step_ns, size: [1280, 720] });
                for _ in 0..2 {
                    sleep(FRAME / 2).await;
                    for cast in testing::casts() {
                        match floor {
                            Ok(floor) => testing::answer(Ok(0), &encode_hits(&met(&cast, floor, passed))),
                            Err(errno) => testing::answer(Err(errno), &[]),
                        };
                    }
                }
            }
            assert_eq!(testing::input_mask(), mask::ALL);
        },
        FRAME * (frames + 1),
    )
    .unwrap();
    Seen::read()
}

#[derive(Default)]
struct Seen {
    state: BTreeMap<(EntityId, ComponentKind), Component>,
    parents: BTreeMap<EntityId, EntityId>,
    /// How often something was set of an entity that is not of the user alone.
    sets: BTreeMap<EntityId, usize>,
    /// All places of the eye.
    eyes: Vec<[f32; 3]>,
    removed: Vec<EntityId>,
}

impl Seen {
    fn read() -> Seen {
        let mut seen = Seen::default();
        let mut moves = Vec::new();
        for op in testing::batches().concat() {
            match op {
                Op::SetParent(id, Some(parent)) => drop(seen.parents.insert(id, parent)),
                Op::Set(id, component) => {
                    *seen.sets.entry(id).or_default() += 1;
                    if let Component::Transform(transform) = &component {
                        moves.push((id, transform.translation));
                    }
                    seen.state.insert((id, component.kind()), component);
                }
                Op::Remove(id) => seen.removed.push(id),
                _ => {}
            }
        }
        let eye = seen.with(|component| matches!(component, Component::Camera(_))).unwrap();
        seen.eyes = moves.into_iter().filter(|(id, _)| *id == eye).map(|(_, at)| at).collect();
        seen
    }

    fn with(&self, wanted: impl Fn(&Component) -> bool) -> Option<EntityId> {
        self.state.iter().rev().find(|(_, component)| wanted(component)).map(|((id, _), _)| *id)
    }

    fn named(&self, wanted: &str) -> EntityId {
        self.with(|component| matches!(component, Component::Name(name) if name == wanted)).unwrap()
    }

    fn eye(&self) -> [f32; 3] {
        *self.eyes.last().unwrap()
    }

    fn transform(&self, id: EntityId) -> Transform {
        let Component::Transform(transform) = &self.state[&(id, ComponentKind::Transform)] else { panic!() };
        *transform
    }

    fn animation(&self) -> Option<&Animation> {
        let found = self.state.get(&(self.named("~figure"), ComponentKind::Animation))?;
        let Component::Animation(animation) = found else { panic!() };
        Some(animation)
    }

    fn note(&self) -> Option<&str> {
        let note = self.named("~note");
        let Component::Text(text) = &self.state[&(note, ComponentKind::Text)] else { panic!() };
        let is_hidden = self.state[&(note, ComponentKind::Hidden)] == Component::Hidden(true);
        (!is_hidden).then_some(&*text.text)
    }
}

fn near(a: f32, b: f32) -> bool {
    (a - b).abs() < 0.02
}

#[test]
fn it_walks_on_the_ground_and_jumps() {
    let walk = vec![(20, press(key::W)), (120, release(key::W))];
    let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), walk, 160);
    let [x, y, z] = seen.eye();
    // 1.6 s at 2.6 m/s, and a start.
    assert!(near(x, 0.0) && near(y, 1.7) && (-4.2..-3.8).contains(&z), "{x} {y} {z}");
    assert!(seen.eyes.iter().all(|[_, y, _]| near(*y, 1.7)), "it goes evenly");
    assert!(seen.sets[&seen.named("avatar of tester")] < 60);
    // The clip stands at rest, with the figure's own number.
    assert_eq!(seen.animation().unwrap().clip, Clip::Number(0));
    let jump = vec![(20, press(key::SPACE)), (22, release(key::SPACE))];
    let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), jump, 120);
    let high = seen.eyes.iter().map(|[_, y, _]| *y).fold(0.0, f32::max);
    assert!((2.2..2.5).contains(&high) && near(seen.eye()[1], 1.7), "{high} {:?}", seen.eye());
}

#[test]
fn its_clip_goes_as_fast_as_it_does() {
    let run = vec![(20, press(key::W)), (60, press(key::LEFT_SHIFT))];
    let at = |frames| {
        let script = vec![(20, press(key::W)), (60, press(key::LEFT_SHIFT))];
        play(&["at", "0", "1.7", "0", "0"], Ok(0.0), script, frames)
    };
    let seen = at(58);
    let walk = seen.animation().unwrap();
    assert_eq!(walk.clip, Clip::Number(1));
    assert!((0.8..1.3).contains(&walk.speed), "{}", walk.speed);
    let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), run, 130);
    assert_eq!(seen.animation().unwrap().clip, Clip::Number(2));
    let back = vec![(20, press(key::S))];
    let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), back, 80);
    assert!(seen.animation().unwrap().speed < -0.5, "{:?}", seen.animation());
    let sets = seen.sets.values().sum::<usize>();
    assert!(sets < 330, "{sets} changes in 1.3 s, of which the eye is 80");
}

#[test]
fn whoever_is_sent_somewhere_stays_there_until_they_move() {
    for height in [1.5, 4.0, 30.0] {
        let go = vec![(10, Deed::Tell(Order::Go { at: [3.0, height, 2.0] }))];
        let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), go, 90);
        assert_eq!(seen.eye(), [3.0, height, 2.0]);
    }
    // Then what is near the ground walks, and what is far from it flies.
    for (height, rests) in [(1.5, 1.7), (2.6, 1.7), (4.0, 4.0)] {
        let go = Deed::Tell(Order::Go { at: [3.0, height, 2.0] });
        let script = vec![(10, go), (30, press(key::W)), (60, release(key::W))];
        let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), script, 200);
        assert!(near(seen.eye()[1], rests) && seen.eye()[2] < 1.5, "{height}: {:?}", seen.eye());
    }
}

#[test]
fn f_changes_between_feet_and_flight_and_says_so() {
    let fly = vec![(20, press(key::F)), (30, press(key::SPACE)), (60, release(key::SPACE))];
    let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), fly, 100);
    assert!(seen.eye()[1] > 2.7, "{:?}", seen.eye());
    assert!(seen.note().unwrap().contains("in flight"));
    assert_eq!(seen.animation().unwrap().clip, Clip::Number(4));
    let walk =
        vec![(20, press(key::F)), (30, press(key::SPACE)), (60, release(key::SPACE)), (100, press(key::F))];
    let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), walk, 300);
    assert!(near(seen.eye()[1], 1.7), "{:?}", seen.eye());
    assert!(seen.note().unwrap().contains("on foot"));
    let nothing = vec![(20, press(key::F)), (22, Deed::Floor(Ok(-2000.0))), (25, press(key::F))];
    let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), nothing, 60);
    assert!(seen.note().unwrap().contains("no ground"));
    assert_eq!(seen.eye()[1], 1.7);
    // After a while nobody needs it any more.
    let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), vec![(20, press(key::F))], 300);
    assert_eq!(seen.note(), None);
}

#[test]
fn without_answers_it_flies() {
    for floor in [Err(Errno::Unsupported), Err(Errno::Limit)] {
        let script = vec![(5, press(key::W)), (50, press(key::E))];
        let seen = play(&["at", "0", "1.7", "0", "0"], floor, script, 100);
        assert!(seen.eye()[1] > 2.5 && seen.eye()[2] < -2.0, "{:?}", seen.eye());
    }
    // The answers end while it walks.
    let script = vec![(20, press(key::W)), (60, Deed::Floor(Err(Errno::Unsupported))), (70, press(key::E))];
    let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), script, 140);
    assert!(seen.eye()[1] > 2.5, "{:?}", seen.eye());
    assert!(seen.note().unwrap().contains("in flight"));
}

#[test]
fn ground_that_goes_lets_it_fall_and_come_back() {
    let script = vec![(30, Deed::Floor(Ok(-900.0))), (330, Deed::Floor(Ok(0.0)))];
    let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), script, 400);
    let low = seen.eyes.iter().map(|[_, y, _]| *y).fold(0.0, f32::min);
    assert!(low < -40.0, "it falls to {low}");
    assert!(near(seen.eye()[1], 1.7) || seen.eye()[1] > -60.0, "{:?}", seen.eye());
}

/// A small model with clips of these names.
fn glb(clips: &[&str]) -> LumpId {
    let clips: Vec<String> = clips.iter().map(|name| format!(r#"{{"name":"{name}"}}"#)).collect();
    let json = format!(
        r#"{{"scenes":[{{"nodes":[0]}}],"nodes":[{{"mesh":0,"children":[1]}},{{"name":"Head"}}],
        "meshes":[{{"primitives":[{{"attributes":{{"POSITION":0}}}}]}}],
        "accessors":[{{"min":[-1,-0.5,-1],"max":[1,3.5,1]}}],"animations":[{}]}}"#,
        clips.join(",")
    );
    let mut bytes = b"glTF\x02\0\0\0".to_vec();
    bytes.extend((20 + json.len() as u32).to_le_bytes());
    bytes.extend((json.len() as u32).to_le_bytes());
    bytes.extend(b"JSON");
    bytes.extend(json.as_bytes());
    Lump::put(&bytes).unwrap().0
}

#[test]
fn a_model_is_worn_by_one_message_with_its_clips_and_taken_off_again() {
    let fox = glb(&["Survey", "Walking", "Run"]);
    let wear = |height| Deed::Tell(Order::Model(Some(Wear { lump: fox.to_string(), height })));
    let script = vec![(5, wear(Some(1.0))), (20, press(key::W))];
    let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), script, 80);
    let figure = seen.named("~figure");
    assert_eq!(seen.state[&(figure, ComponentKind::Model)], Component::Model(fox));
    assert_eq!(seen.parents[&figure], seen.named("avatar of tester"));
    assert_eq!(seen.removed.len(), 1, "the figure before it is gone");
    let place = seen.transform(figure);
    assert!(near(place.scale[0], 0.25) && near(place.translation[1], 0.125), "{place:?}");
    assert_eq!(seen.animation().unwrap().clip, Clip::Number(1));
    let head = seen.named("~head");
    assert_eq!(seen.parents[&head], figure);
    let Component::Node(node) = &seen.state[&(head, ComponentKind::Node)] else { panic!() };
    assert_eq!(node.name, "Head");
    // As it is, and then the default again.
    let script = vec![(5, wear(None)), (20, Deed::Tell(Order::Model(None)))];
    let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), script, 80);
    assert_eq!(seen.removed.len(), 2);
    assert_ne!(seen.state[&(seen.named("~figure"), ComponentKind::Model)], Component::Model(fox));
    assert_eq!(seen.transform(seen.named("~figure")).scale, [1.0; 3]);
}

#[test]
fn a_model_without_clips_glides_and_one_that_is_none_is_not_worn() {
    let statue = glb(&[]);
    let wear = |lump: String| Deed::Tell(Order::Model(Some(Wear { lump, height: None })));
    let seen = play(&[], Ok(0.0), vec![(5, wear(statue.to_string())), (20, press(key::W))], 60);
    assert_eq!(seen.animation(), None);
    testing::logs();
    let noise = Lump::put(b"glTF but no more").unwrap().0;
    let missing = LumpId([9; 32]);
    let tall = Wear { lump: statue.to_string(), height: Some(1e9) };
    let script = vec![
        (5, wear("no id".into())),
        (15, wear(noise.to_string())),
        (25, wear(missing.to_string())),
        (35, Deed::Tell(Order::Model(Some(tall)))),
    ];
    let seen = play(&[], Ok(0.0), script, 60);
    assert!(seen.removed.is_empty());
    let said = testing::logs().into_iter().filter(|(_, line)| line.contains("stays as it is")).count();
    assert_eq!(said, 4);
}

#[test]
fn where_it_points_is_shown_to_all_and_gone_at_once() {
    let look_down = (5, press(key::DOWN));
    let stop = (40, release(key::DOWN));
    let script = vec![look_down, stop, (60, press(G))];
    let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), script, 120);
    let (beam, dot) = (seen.named("~beam"), seen.named("~dot"));
    let at = seen.transform(dot).translation;
    assert!(near(at[1], 0.0) && at[2] < -0.5 && near(at[0], 0.0), "{at:?}");
    // From the hand to the dot.
    let Transform { translation, scale, .. } = seen.transform(beam);
    assert!(translation[1] > 0.3 && scale[2] > 0.8, "{translation:?} {scale:?}");
    assert!(seen.parents.contains_key(&seen.named("~arm")));
    assert!(seen.sets[&dot] < 8, "who keeps still sends nothing: {}", seen.sets[&dot]);
    let sweep = vec![(5, press(G)), (10, press(key::LEFT)), (130, release(G))];
    let seen = play(&["at", "0", "1.7", "0", "0"], Ok(0.0), sweep, 134);
    let sets = seen.sets[&seen.named("~beam")];
    assert!((15..=44).contains(&sets), "{sets} in 2 s");
    for gone in ["~beam", "~dot", "~arm"] {
        assert!(seen.removed.contains(&seen.named(gone)), "{gone}");
    }
    // At nothing there is a beam but no dot.
    let seen = play(&["at", "0", "1.7", "0", "0.5"], Ok(0.0), vec![(5, press(G))], 60);
    assert_eq!(seen.state[&(seen.named("~dot"), ComponentKind::Hidden)], Component::Hidden(true));
}

#[test]
fn a_script_dresses_the_avatar_by_one_call() {
    let avatar: ProcessId = hearth_sdk::spawn(LumpId([0; 32]), Some("avatar"), [] as [&str; 0]).unwrap();
    avatar::wear(Some(LumpId([7; 32])), Some(1.2)).unwrap();
    let [(to, message)] = &testing::sent::<BTreeMap<String, BTreeMap<String, MaybeNumber>>>()[..] else {
        panic!()
    };
    assert_eq!(*to, avatar);
    assert_eq!(message["model"]["lump"], MaybeNumber::Text("07".repeat(32)));
    assert_eq!(message["model"]["height"], MaybeNumber::Number(1.2));
}

#[derive(serde::Deserialize, Debug, PartialEq)]
#[serde(untagged)]
enum MaybeNumber {
    Number(f32),
    Text(String),
}
