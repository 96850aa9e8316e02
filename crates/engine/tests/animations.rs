// SPDX-License-Identifier: AGPL-3.0-or-later
//! What models play: clips of their own and of lumps, morph targets, and nodes that entities are tied to.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod common;

use common::{
    Stage, about, apart, at, color, cuboid, furnished,
    glb::{Glb, morphing_box, waving_bar},
    look, turned,
};
use hearth_abi::{
    EntityId, LumpId,
    scene::{Animation, Component, ComponentKind, ModelNode, Transform},
};
use hearth_engine::{AssetReport, AssetState, Command, EngineConfig, Picture, Quality};
use hearth_scene::Change;
use serde_json::json;
use std::{sync::mpsc, time::Duration};

fn stage() -> Stage {
    furnished(Stage::new())
}

/// The same, where time stands still.
fn still() -> Stage {
    furnished(Stage::with(EngineConfig {
        quality: Some(Quality::Low),
        fixed_step: Some(Duration::ZERO),
        ..EngineConfig::default()
    }))
}

fn plays(animation: Animation) -> Component {
    Component::Animation(Box::new(animation))
}

fn node(node: ModelNode) -> Component {
    Component::Node(Box::new(node))
}

/// Makes an entity that hangs under another.
fn under(stage: &mut Stage, parent: EntityId, components: impl IntoIterator<Item = Component>) -> EntityId {
    let id = stage.make(components);
    stage.change(Change::Reparented { id, parent: Some(parent) });
    id
}

/// Bars in a row, each playing something.
fn bars(stage: &mut Stage, lump: LumpId, played: &[Animation]) -> Vec<EntityId> {
    let place = |i: usize| {
        let x = (i as f32 - (played.len() - 1) as f32 / 2.0) * 1.4;
        Component::Transform(Transform::at(x, 0.0, 1.0).scaled(1.8))
    };
    let made = played
        .iter()
        .enumerate()
        .map(|(i, animation)| stage.make([place(i), Component::Model(lump), plays(animation.clone())]));
    made.collect()
}

#[test]
fn animations_are_where_their_start_says() {
    let mut stage = still();
    let lump = stage.lump(waving_bar().bytes());
    let paused = |clip: &str, offset: f32| Animation { paused: true, offset, ..Animation::of(clip) };
    // The clock stands at zero: a clip of 2 s that starts in 1.5 s and repeats is at 0.5 s.
    let ahead = Animation { start_ns: 1_500_000_000, ..Animation::of("bend") };
    let weak = Animation { weight: 0.5, ..paused("bend", 1.0) };
    let ended = Animation { repeat: false, offset: 99.0, ..Animation::of(2) };
    let played = [paused("bend", 0.0), ahead, paused("bend", 1.0), weak, ended];
    let made = bars(&mut stage, lump, &played);
    stage.settle();
    assert_eq!(stage.failures, []);
    stage.check("animation");
    // One that comes later is where the others are.
    let early = stage.picture();
    stage.change(Change::Removed { id: made[1] });
    let without = stage.picture();
    let x = 1.4 - 2.8;
    let place = Component::Transform(Transform::at(x, 0.0, 1.0).scaled(1.8));
    stage.make([place, Component::Model(lump), plays(played[1].clone())]);
    stage.settle();
    let late = stage.picture();
    assert!(apart(&early, &late) < 0.01, "{}", apart(&early, &late));
    assert!(apart(&early, &without) > 0.3);
    // Without an animation it is as it was made.
    stage.change(Change::Unset { id: made[2], kind: ComponentKind::Animation });
    stage.set(made[0], at(99.0, 0.0, 0.0));
    stage.check("animation-unset");
}

#[test]
fn clips_go_on_blend_and_stand_still() {
    let mut stage = stage();
    let lump = stage.lump(waving_bar().bytes());
    let made = bars(&mut stage, lump, &[Animation { repeat: false, ..Animation::of("bend") }]);
    stage.settle();
    let first = stage.picture();
    (0..40).for_each(|_| drop(stage.step()));
    let later = stage.picture();
    assert!(apart(&first, &later) > 0.3, "nothing moved");
    (0..120).for_each(|_| drop(stage.step()));
    let end = stage.picture();
    assert!(apart(&end, &stage.picture()) < 0.01, "it goes on after its end");
    // Another clip takes its place over half a second.
    stage.set(made[0], plays(Animation { blend: 0.5, ..Animation::of("other") }));
    stage.step();
    let begun = stage.picture();
    (0..15).for_each(|_| drop(stage.step()));
    let half = stage.picture();
    (0..30).for_each(|_| drop(stage.step()));
    let there = stage.picture();
    let [a, b, c] = [apart(&end, &begun), apart(&end, &half), apart(&end, &there)];
    assert!(a < 0.4 * b && b < 0.9 * c, "it jumps: {a} {b} {c}");
    assert!(apart(&there, &stage.picture()) < 0.01);
}

#[test]
fn morph_targets_change_the_shape() {
    let mut stage = still();
    let lump = stage.lump(morphing_box().bytes());
    for (x, offset) in [(-1.6, 0.0), (0.0, 0.5), (1.6, 1.0)] {
        let grow = Animation { paused: true, offset, ..Animation::of("grow") };
        let place = turned(x, 0.0, 1.0, about([0.0, 1.0, 0.0], 0.5));
        stage.make([place, Component::Model(lump), plays(grow)]);
    }
    stage.settle();
    assert_eq!(stage.failures, []);
    stage.check("morph");
}

#[test]
fn entities_move_nodes_and_go_with_them() {
    let mut stage = still();
    let lump = stage.lump(waving_bar().bytes());
    let bent = Animation { paused: true, offset: 1.0, ..Animation::of("bend") };
    let made = bars(&mut stage, lump, &[bent.clone(), bent.clone(), bent]);
    let back = about([0.0, 0.0, 1.0], 1.2);
    // The top alone: turned by itself, and on top of what it does.
    let replaced = Component::Transform(Transform::at(0.0, 1.0 / 3.0, 0.0).rotated(back));
    let tied = under(&mut stage, made[0], [replaced, node(ModelNode::replace("top"))]);
    under(&mut stage, made[1], [turned(0.0, 0.0, 0.0, back), node(ModelNode::add("top"))]);
    let flag = [at(0.15, 0.3, 0.0), cuboid(0.3, 0.12, 0.02), look(color(0.8, 0.1, 0.1))];
    let follower = under(&mut stage, made[2], flag);
    stage.set(follower, node(ModelNode::follow("top")));
    let none = under(&mut stage, made[2], [at(0.0, 0.05, 0.4), cuboid(0.1, 0.1, 0.1)]);
    stage.set(none, node(ModelNode::follow("nowhere")));
    stage.settle();
    assert_eq!(stage.failures, []);
    stage.check("nodes");
    // Untied, the first is bent again and the flag is at its own place; and what is tied to nothing does no harm.
    stage.change(Change::Unset { id: tied, kind: ComponentKind::Node });
    stage.change(Change::Unset { id: follower, kind: ComponentKind::Node });
    stage.change(Change::Removed { id: made[1] });
    stage.picture();
    stage.check("nodes-untied");
    stage.set(follower, node(ModelNode::follow("top")));
    stage.change(Change::Unset { id: made[2], kind: ComponentKind::Model });
    stage.picture();
    stage.change(Change::Reparented { id: follower, parent: None });
    stage.picture();
    stage.change(Change::Removed { id: made[2] });
    stage.picture();
}

#[test]
fn a_clip_that_is_not_there_is_told() {
    let mut stage = stage();
    let lump = stage.lump(waving_bar().bytes());
    let made = bars(&mut stage, lump, &[Animation::of("wave"), Animation::of(7), Animation::of("bend")]);
    stage.settle();
    let expect = |clip: &str| format!("the model has no clip {clip}; it has 3: `bend`, `other`, `spin`");
    assert_eq!(stage.failures, [(vec![made[0]], lump, expect("`wave`")), (vec![made[1]], lump, expect("7"))]);
    // Once for each time that it is set.
    stage.picture();
    assert_eq!(stage.failures.len(), 2);
    stage.set(made[2], plays(Animation::of("dance")));
    stage.picture();
    assert_eq!(stage.failures.len(), 3);
}

/// The clips of the bar without the bar: its nodes have other numbers, and there is one that the bar has not.
fn clips_alone() -> Glb {
    let mut glb = waving_bar();
    let parts = ["scenes", "scene", "meshes", "skins", "materials"];
    parts.iter().for_each(|part| drop(glb.json.as_object_mut().unwrap().remove(*part)));
    let nodes = glb.json["nodes"].as_array().unwrap().clone();
    let kept = ["tail", "top", "mid"];
    let at = |name: &str| kept.iter().position(|kept| *kept == name).unwrap();
    for animation in glb.json["animations"].as_array_mut().unwrap() {
        let channels = animation["channels"].as_array_mut().unwrap();
        for channel in channels.iter_mut() {
            let node = channel["target"]["node"].as_u64().unwrap() as usize;
            channel["target"]["node"] = json!(at(nodes[node]["name"].as_str().unwrap()));
        }
        channels.push(json!({ "sampler": 0, "target": { "node": 0, "path": "rotation" } }));
    }
    glb.json["nodes"] = json!(kept.map(|name| json!({ "name": name })));
    let only_tail = json!([{ "sampler": 0, "target": { "node": 0, "path": "rotation" } }]);
    let samplers = glb.json["animations"][0]["samplers"].clone();
    glb.push("animations", json!({ "name": "wag", "channels": only_tail, "samplers": samplers }));
    glb
}

fn reports(stage: &mut Stage, class: &str) -> Vec<AssetReport> {
    let (tell, told) = mpsc::sync_channel(1);
    stage.control.send(Command::Assets(Box::new(move |all| drop(tell.send(all))))).unwrap();
    stage.step();
    let mut found = told.try_recv().unwrap().unwrap();
    found.retain(|report| report.class == class);
    found
}

#[test]
fn clips_of_a_lump_move_the_nodes_of_their_names() {
    let paused = |clip: &str| Animation { paused: true, offset: 1.0, ..Animation::of(clip) };
    let shown = |stage: &mut Stage, animation: Animation| -> (EntityId, Picture) {
        let lump = stage.lump(waving_bar().bytes());
        let made = bars(stage, lump, &[animation]);
        stage.settle();
        let picture = stage.picture();
        (made[0], picture)
    };
    let own = shown(&mut still(), paused("bend")).1;
    let mut stage = still();
    let (bar, rest) = shown(&mut stage, Animation { paused: true, ..Animation::of("bend") });
    // While the lump is on its way the model is as it was; then it is as with a clip of its own.
    let late = LumpId([0xab; 32]);
    stage.set(bar, plays(paused("bend").in_lump(late)));
    let waits = stage.picture();
    assert!(apart(&rest, &waits) < 0.01 && apart(&rest, &own) > 0.3);
    assert_eq!(stage.wanted.last(), Some(&late));
    let bytes = clips_alone().bytes();
    stage.control.send(Command::Lump { id: late, bytes: Ok(bytes.into()) }).unwrap();
    stage.settle();
    let lent = stage.picture();
    assert!(apart(&lent, &own) < 0.01, "{}", apart(&lent, &own));
    assert_eq!(stage.failures, []);
    let found = reports(&mut stage, "Animation");
    let [report] = &found[..] else { panic!("{found:?}") };
    assert_eq!((report.lump, report.users), (late, 1));
    assert!(matches!(report.state, AssetState::Ready { memory_bytes } if memory_bytes > 50));
    // The clip of another lump, a whole model, takes its place; then nobody uses the first any more.
    let whole = stage.lump(waving_bar().bytes());
    stage.set(bar, plays(paused("other").in_lump(whole)));
    stage.settle();
    let other = stage.picture();
    assert!(apart(&other, &own) > 0.3);
    let found = reports(&mut stage, "Animation");
    assert_eq!(found.iter().map(|report| report.lump).collect::<Vec<_>>(), [whole]);
    // Held by a load it stays, without a user.
    let (tell, told) = mpsc::sync_channel(1);
    let done = Box::new(move |result| drop(tell.send(result)));
    stage.control.send(Command::Load { class: "Animation".into(), id: whole, done }).unwrap();
    stage.change(Change::Unset { id: bar, kind: ComponentKind::Animation });
    stage.settle();
    assert_eq!(told.try_recv(), Ok(Ok(())));
    assert_eq!(reports(&mut stage, "Animation").len(), 1);
    stage.control.send(Command::Drop { class: "Animation".into(), id: whole }).unwrap();
    stage.step();
    assert!(reports(&mut stage, "Animation").is_empty());
    let unset = stage.picture();
    assert!(apart(&unset, &rest) < 0.01);
}

#[test]
fn a_clip_of_a_lump_takes_the_place_of_one_before() {
    let mut stage = stage();
    let model = stage.lump(waving_bar().bytes());
    let made = bars(&mut stage, model, &[Animation { paused: true, offset: 1.0, ..Animation::of("bend") }]);
    stage.settle();
    let bent = stage.picture();
    let late = LumpId([0xab; 32]);
    stage.set(made[0], plays(Animation { blend: 0.5, ..Animation::of("other").in_lump(late) }));
    // However long it takes, what was there stands.
    (0..60).for_each(|_| drop(stage.step()));
    let waits = stage.picture();
    assert!(apart(&bent, &waits) < 0.01, "{}", apart(&bent, &waits));
    let bytes = clips_alone().bytes();
    stage.control.send(Command::Lump { id: late, bytes: Ok(bytes.into()) }).unwrap();
    stage.until("the clip begins", |stage| stage.missing == 0);
    let begun = stage.picture();
    (0..15).for_each(|_| drop(stage.step()));
    let half = stage.picture();
    (0..30).for_each(|_| drop(stage.step()));
    let there = stage.picture();
    let [a, b, c] = [&begun, &half, &there].map(|picture| apart(&bent, picture));
    assert!(a < 0.4 * b && b < 0.9 * c, "it jumps: {a} {b} {c}");
    // Back to its own, from what nobody uses any more.
    let own = Animation { blend: 0.5, ..Animation::of("bend") };
    stage.set(made[0], plays(Animation { paused: true, offset: 1.0, ..own }));
    let back = stage.picture();
    assert!(apart(&there, &back) < 0.3 * c, "{}", apart(&there, &back));
    (0..45).for_each(|_| drop(stage.step()));
    let end = stage.picture();
    assert!(apart(&bent, &end) < 0.01, "{}", apart(&bent, &end));
}

#[test]
fn what_of_a_lump_cannot_be_played_is_told() {
    let mut stage = stage();
    let model = stage.lump(waving_bar().bytes());
    let clips = stage.lump(clips_alone().bytes());
    let mut nameless = clips_alone();
    nameless.json["nodes"][1] = json!({});
    let nameless = stage.lump(nameless.bytes());
    let picture = stage.lump(b"\x89PNG\r\n\x1a\n".to_vec());
    let nowhere = stage.answer(Err("nobody has it".into()));
    let of = |clip: &str, lump| Animation::of(clip).in_lump(lump);
    let played = [
        of("dance", clips),
        of("wag", clips),
        of("bend", nameless),
        of("bend", picture),
        of("bend", nowhere),
    ];
    let made = bars(&mut stage, model, &played);
    stage.settle();
    let mut failures = stage.failures.clone();
    failures.sort();
    let expect = [
        (clips, "the lump has no clip `dance`; it has 4: `bend`, `other`, `spin`, `wag`"),
        (clips, "the model has no node that `wag` moves: `tail`"),
        (nameless, "animation 0: it moves node 1, which has no name"),
        (picture, "not a glTF 2.0 file, neither binary (.glb) nor text (.gltf)"),
        (nowhere, "nobody has it"),
    ];
    let told = |(id, (lump, reason)): (&EntityId, (LumpId, &str))| (vec![*id], lump, reason.to_owned());
    let mut expect: Vec<_> = made.iter().zip(expect).map(told).collect();
    expect.sort();
    assert_eq!(failures, expect);
    // All of them stand as they were made, and one of them plays when it is told something that can be.
    let stands = stage.picture();
    stage.set(made[1], plays(Animation { paused: true, offset: 1.0, ..of("bend", clips) }));
    stage.settle();
    let bends = stage.picture();
    assert!(apart(&stands, &bends) > 0.2);
    assert_eq!(stage.failures.len(), 5);
}
