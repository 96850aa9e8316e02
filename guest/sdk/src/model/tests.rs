// SPDX-License-Identifier: AGPL-3.0-or-later
//! Files as they are made, files as nobody should make them, and clips that are played.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use crate::{sleep, task::spawn_local, testing, time};
use serde_json::{Value, json};
use std::{cell::RefCell, rc::Rc};

const SECOND: u64 = 1_000_000_000;

/// What is read of a text.
fn text(file: &Value) -> Result<Model, Error> {
    of(file.to_string().as_bytes())
}

fn of(file: &[u8]) -> Result<Model, Error> {
    let lump = Lump::put(file).unwrap();
    testing::run_for(Model::of(lump.0), Duration::from_secs(1)).unwrap()
}

/// A binary file of this description and this buffer.
fn binary(file: &Value, buffer: &[u8]) -> Vec<u8> {
    let mut text = file.to_string().into_bytes();
    text.resize(text.len().next_multiple_of(4), b' ');
    let number = |len: usize| u32::try_from(len).unwrap().to_le_bytes();
    let head = [*b"glTF", number(2), number(28 + text.len() + buffer.len()), number(text.len()), *b"JSON"];
    [head.concat(), text, number(buffer.len()).to_vec(), b"BIN\0".to_vec(), buffer.to_vec()].concat()
}

/// A clip with a channel for each accessor.
fn clip(name: &str, inputs: &[usize]) -> Value {
    let channels = (0..inputs.len())
        .map(|sampler| json!({ "sampler": sampler, "target": { "node": 0, "path": "rotation" } }));
    let samplers = inputs.iter().map(|input| json!({ "input": input, "output": 0 }));
    json!({
        "name": name, "channels": channels.collect::<Vec<_>>(), "samplers": samplers.collect::<Vec<_>>(),
    })
}

fn lengths(model: &Model) -> Vec<(&str, u32, f32)> {
    model.clips().iter().map(|clip| (clip.name.as_str(), clip.number, clip.secs)).collect()
}

#[test]
fn a_clip_is_as_long_as_the_last_of_its_channels() {
    let model = text(&json!({
        "accessors": [{ "max": [1.5] }, { "max": [2.0] }, { "max": [9.0] }],
        "animations": [
            clip("wave", &[0, 1, 0]),
            // What is for an extension does not count.
            { "samplers": [{ "input": 2 }, { "input": 0 }], "channels": [
                { "sampler": 0, "target": { "path": "rotation" } },
                { "sampler": 0, "target": { "node": 0, "path": "pointer" } },
                { "sampler": 1, "target": { "node": 0, "path": "weights" } },
            ] },
            clip("", &[]),
        ],
    }));
    let model = model.unwrap();
    assert_eq!(lengths(&model), [("wave", 0, 2.0), ("", 1, 1.5), ("", 2, 0.0)]);
    assert_eq!(model.clip("wave"), model.clip(0));
    let error = model.clip("jump").unwrap_err();
    assert_eq!(error.errno, Errno::NotFound);
    assert_eq!(error.reason, "the model has no clip `jump`; it has `wave`, ``, ``");
    assert_eq!(Model::default().clip(7).unwrap_err().reason, "the model has no clip `7`; it has none");
}

#[test]
fn times_without_a_max_are_read_where_they_are() {
    let times: Vec<u8> = [0.0f32, 0.5, 2.5].iter().flat_map(|time| time.to_le_bytes()).collect();
    let accessors = json!([
        { "bufferView": 0, "componentType": 5126, "count": 3, "type": "SCALAR" },
        { "bufferView": 1, "componentType": 5126, "count": 2, "type": "SCALAR" },
    ]);
    let views = json!([{ "buffer": 0, "byteOffset": 4 }, { "buffer": 0, "byteOffset": 4, "byteStride": 4 }]);
    let mut file = json!({
        "accessors": accessors, "bufferViews": views, "animations": [clip("a", &[0, 0]), clip("b", &[1])],
    });
    let buffer = [&[9; 4], &times[..]].concat();
    let expect = [("a", 0, 2.5), ("b", 1, 0.5)];
    assert_eq!(lengths(&of(&binary(&file, &buffer)).unwrap()), expect);
    // The same sixteen bytes, as text.
    file["buffers"] = json!([{ "uri": "data:application/octet-stream;base64,CQkJCQAAAAAAAAA/AAAgQA==" }]);
    assert_eq!(lengths(&text(&file).unwrap()), expect);
    for (change, errno, reason) in [
        (json!({ "sparse": {} }), Errno::Unsupported, "sparse"),
        (json!({ "componentType": 5123 }), Errno::Malformed, "not floats"),
        (json!({ "count": 0 }), Errno::Malformed, "no times"),
        (json!({ "count": 4 }), Errno::Malformed, "outside of their buffer"),
        (json!({ "count": u64::MAX }), Errno::Malformed, "outside of their buffer"),
        (json!({ "byteOffset": u64::MAX }), Errno::Malformed, "outside of their buffer"),
        (json!({ "bufferView": 7 }), Errno::Malformed, "in no buffer"),
        (json!({ "max": [1e39] }), Errno::Malformed, ""),
        (json!({ "max": [-1.0] }), Errno::Malformed, "do not grow"),
        (json!({ "max": [1.0, 2.0] }), Errno::Malformed, "not numbers"),
    ] {
        let mut file = file.clone();
        file["accessors"][0].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let error = text(&file).unwrap_err();
        assert!(error.errno == errno && error.reason.contains(reason), "{change}: {error}");
    }
    for uri in ["http://example.org/a.bin", "a.bin", "data:x", "data:;base64,*", "data:text/plain,foo"] {
        file["buffers"][0]["uri"] = json!(uri);
        assert_eq!(text(&file).unwrap_err().errno, Errno::Malformed, "{uri}");
    }
}

#[test]
fn any_bytes_of_a_data_uri_are_found() {
    let all: Vec<u8> = (1..=16).collect();
    let uri = "data:;base64,AQIDBAUGBwgJCgsMDQ4PEA==";
    for from in 0..=16usize {
        for len in 0..=16 {
            let part = all.get(from..from + len).map(<[u8]>::to_vec);
            assert_eq!(file::in_uri(uri, from as u64, len), part, "{from} {len}");
        }
    }
    assert_eq!(file::in_uri(uri, u64::MAX, 4), None);
}

#[test]
fn reach_and_nodes_are_where_the_file_puts_them() {
    let file = json!({
        "scenes": [{ "nodes": [0] }],
        "nodes": [
            { "children": [1, 2], "rotation": [-0.707_106_77, 0, 0, 0.707_106_77], "scale": [0.01, 0.01, 0.01] },
            { "name": "mixamorig:Head", "translation": [0, 0, 150], "children": [3] },
            { "mesh": 0, "skin": 0 },
            { "name": "mixamorig:HeadTop_End", "children": [0] },
            { "name": "of no scene" },
        ],
        "skins": [{ "joints": [1], "inverseBindMatrices": 1 }],
        "meshes": [{ "primitives": [{ "attributes": { "POSITION": 0 } }] }],
        "accessors": [{ "min": [-30, -20, 0], "max": [30, 20, 180] }, { "bufferView": 0, "byteOffset": 4 }],
        "bufferViews": [{ "buffer": 0, "byteOffset": 8 }],
    });
    // The joint stands 150 high, and so did what it bends.
    let bind = [1.0f32, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -150.0, 1.0];
    let bind: Vec<u8> = [0.0; 3].iter().chain(&bind).flat_map(|number| number.to_le_bytes()).collect();
    for model in [of(&binary(&file, &bind)), of(&binary(&file, &[])), text(&file)] {
        let model = model.unwrap();
        let [low, high] = model.extent().unwrap();
        let near = |a: Vec3, b: Vec3| (a - b).length() < 1e-3;
        assert!(near(low, Vec3 { x: -0.3, y: 0.0, z: -0.2 }), "{low:?}");
        assert!(near(high, Vec3 { x: 0.3, y: 1.8, z: 0.2 }), "{high:?}");
        let [_, head, body, end] = model.nodes() else { panic!("{:?}", model.nodes()) };
        assert_eq!((&*head.name, head.has_mesh, body.has_mesh), ("mixamorig:Head", false, true));
        assert!(near(head.place, Vec3 { x: 0.0, y: 1.5, z: 0.0 }) && near(end.place, head.place));
        assert!(near(head.turn.rotate(Vec3::Z), Vec3::Y));
    }
}

#[test]
fn what_is_no_model_is_refused_with_the_reason() {
    let whole = binary(&json!({ "animations": [clip("a", &[])] }), &[]);
    assert!(of(&whole).is_ok());
    let cut = |len: usize| whole[..len].to_vec();
    let with = |at: usize, byte: u8| {
        let mut file = whole.clone();
        file[at] = byte;
        file
    };
    let many = |what: &str, count: usize| json!({ what: vec![json!({}); count] }).to_string().into_bytes();
    for (file, errno, reason) in [
        (Vec::new(), Errno::Malformed, "EOF"),
        (b"glTF".to_vec(), Errno::Malformed, "ends in its header"),
        (cut(19), Errno::Malformed, "not glTF 2.0"),
        (cut(40), Errno::Malformed, "ends in its description"),
        (with(4, 1), Errno::Malformed, "not glTF 2.0"),
        (with(16, b'B'), Errno::Malformed, "not glTF 2.0"),
        (with(15, 0xff), Errno::Limit, "description has"),
        (with(22, 0xff), Errno::Malformed, ""),
        (b"null".to_vec(), Errno::Malformed, "null"),
        (br#"{"animations": 3}"#.to_vec(), Errno::Malformed, "at most 4096"),
        (br#"{"nodes": [{"scale": [1, 2]}]}"#.to_vec(), Errno::Malformed, "length 3"),
        (br#"{"skins": [{}], "accessors": [{"min": [1], "max": ["x"]}]}"#.to_vec(), Errno::Malformed, "f32"),
        (many("nodes", 20_000), Errno::Malformed, "at most 16384"),
        (many("buffers", 2000), Errno::Malformed, "at most 1024"),
        (vec![b' '; TEXT_LEN_MAX + 1], Errno::Limit, "8388609 bytes"),
        ("[".repeat(100_000).into_bytes(), Errno::Malformed, ""),
        (json!({ "animations": [clip("a", &[3])] }).to_string().into_bytes(), Errno::Malformed, "accessor 3"),
        (
            br#"{"animations": [{"channels": [{"sampler": 5, "target": {"node": 0, "path": "scale"}}]}]}"#
                .to_vec(),
            Errno::Malformed,
            "there is no sampler 5 (animation 0)",
        ),
    ] {
        let error = of(&file).unwrap_err();
        let head = String::from_utf8_lossy(&file[..file.len().min(60)]).into_owned();
        assert!(error.errno == errno && error.reason.contains(reason), "{head}: {error}");
    }
    let nowhere = testing::run_for(Model::of(LumpId([3; 32])), Duration::from_secs(1)).unwrap();
    assert_eq!(nowhere.unwrap_err().errno, Errno::NotFound);
    // What is only odd is read.
    let odd = json!({ "nodes": [{ "mesh": 9, "children": [0, 7] }], "scenes": [{ "nodes": [0, 0, 5] }] });
    let odd = text(&odd).unwrap();
    assert_eq!((odd.extent(), odd.nodes().len()), (None, 1));
}

#[test]
fn no_more_times_are_read_than_a_few() {
    let accessors: Vec<Value> = vec![json!({ "bufferView": 0, "componentType": 5126, "count": 1 }); 300];
    let mut file = json!({
        "accessors": accessors, "bufferViews": [{ "buffer": 0 }],
        "animations": [clip("a", &(0..TIMES_MAX).collect::<Vec<_>>())],
    });
    assert!(of(&binary(&file, &[0; 4])).is_ok());
    file["animations"][0] = clip("a", &(0..=TIMES_MAX).collect::<Vec<_>>());
    assert_eq!(of(&binary(&file, &[0; 4])).unwrap_err().errno, Errno::Limit);
}

fn clip_of(secs: f32) -> Clip {
    Clip { name: "wave".into(), number: 0, secs }
}

/// At which milliseconds something is told within ten seconds, when it is asked at three seconds.
fn told(secs: f32, animation: Animation, marks: Option<&'static [f32]>) -> Vec<u64> {
    let times = Rc::new(RefCell::new(Vec::new()));
    let all = Rc::clone(&times);
    let run = async move {
        sleep(Duration::from_secs(3)).await;
        let tell = || times.borrow_mut().push(time::wall().as_millis() as u64);
        match marks {
            Some(marks) => {
                let marks = marks.iter().map(|at| (*at, ()));
                let mut marks = clip_of(secs).marks(&animation, marks);
                while marks.next().await.is_some() {
                    tell();
                }
            }
            None => {
                let mut ends = clip_of(secs).ends(&animation);
                loop {
                    ends.next().await;
                    tell();
                }
            }
        }
    };
    testing::run_for(run, Duration::from_secs(10));
    all.take()
}

#[test]
fn ends_are_told_when_the_engine_is_there() {
    let once = Animation { repeat: false, start_ns: 2 * SECOND, ..Animation::of(0) };
    let again = Animation { repeat: true, ..once.clone() };
    let thread = |secs, animation: &Animation| {
        let animation = animation.clone();
        std::thread::spawn(move || told(secs, animation, None)).join().unwrap()
    };
    for (secs, animation, expect) in [
        (4.0, once.clone(), &[6000][..]),
        // Over already, without a length, and not begun.
        (0.5, once.clone(), &[3000]),
        (0.0, once.clone(), &[3000]),
        (1.0, Animation { start_ns: 5 * SECOND, ..once.clone() }, &[6000]),
        (4.0, Animation { start_ns: 0, ..once.clone() }, &[7000]),
        (4.0, Animation { speed: 2.0, offset: 1.0, ..once.clone() }, &[3500]),
        (4.0, Animation { speed: -0.5, offset: 2.0, ..once.clone() }, &[6000]),
        (4.0, Animation { speed: -1.0, ..once.clone() }, &[3000]),
        (4.0, Animation { paused: true, ..once.clone() }, &[]),
        (4.0, Animation { speed: 0.0, ..once.clone() }, &[]),
        (1.5, again.clone(), &[3500, 5000, 6500, 8000, 9500]),
        (3.0, Animation { offset: 2.0, ..again.clone() }, &[6000, 9000]),
        (3.0, Animation { offset: -1.0, speed: 2.0, ..again.clone() }, &[4000, 5500, 7000, 8500, 10_000]),
        (4.0, Animation { speed: -1.0, ..again.clone() }, &[6000, 10_000]),
        (4.0, Animation { speed: -1.0, offset: 1.0, ..again.clone() }, &[7000]),
        (1e-3, again.clone(), &[]),
        (0.0, again.clone(), &[]),
        (1e30, again, &[]),
    ] {
        assert_eq!(thread(secs, &animation), expect, "{secs} {animation:?}");
    }
}

#[test]
fn marks_are_told_as_they_are_passed() {
    let again = Animation { start_ns: 2 * SECOND, ..Animation::of(0) };
    let once = Animation { repeat: false, ..again.clone() };
    let thread = |animation: &Animation, marks| {
        let animation = animation.clone();
        std::thread::spawn(move || told(4.0, animation, Some(marks))).join().unwrap()
    };
    for (animation, marks, expect) in [
        (once.clone(), &[3.0, 0.5, 1.5, 4.0, 4.5, -1.0, f32::NAN][..], &[3500, 5000, 6000][..]),
        (again.clone(), &[1.5, 0.5], &[3500, 6500, 7500]),
        (Animation { offset: 1.0, ..again.clone() }, &[0.5, 1.5, 2.5], &[3500, 5500, 6500, 7500, 9500]),
        (Animation { speed: -2.0, offset: 4.0, ..again.clone() }, &[1.0], &[3500, 5500, 7500, 9500]),
        // At the start, and just after it.
        (Animation { start_ns: 3 * SECOND, ..again.clone() }, &[0.0], &[3000, 7000]),
        (
            Animation { start_ns: 3 * SECOND - SECOND / 20, ..once.clone() },
            &[0.0, 0.02, 1.0],
            &[3000, 3000, 3950],
        ),
        (Animation { paused: true, ..again.clone() }, &[1.0], &[]),
        (again.clone(), &[], &[]),
    ] {
        assert_eq!(thread(&animation, marks), expect, "{animation:?} {marks:?}");
    }
}

#[test]
fn who_is_late_is_not_told_of_more_than_a_round() {
    let run = async {
        let walk = clip_of(1.0);
        let mut steps = walk.marks(&walk.start(), [(0.25, "left"), (0.75, "right")]);
        assert_eq!(steps.next().await, Some(&"left"));
        sleep(Duration::from_millis(1_000_000 - 50)).await;
        let mut late = Vec::new();
        while time::wall() < Duration::from_secs(1001) {
            late.push(*steps.next().await.unwrap());
        }
        assert_eq!(late, ["left", "right", "left", "right", "left"]);
        let mut ends = walk.ends(&walk.start());
        sleep(Duration::from_millis(2500)).await;
        let before = time::monotonic();
        ends.next().await;
        ends.next().await;
        assert_eq!(time::monotonic() - before, Duration::from_millis(500));
    };
    assert!(testing::run_for(run, Duration::from_secs(2000)).is_some());
}

#[test]
fn a_wait_that_is_given_up_leaves_no_timer() {
    let run = async {
        let waits = spawn_local(async { clip_of(9.0).ends(&clip_of(9.0).start()).await });
        sleep(Duration::from_secs(1)).await;
        waits.cancel();
        assert_eq!(testing::timers(), 0);
    };
    assert!(testing::run_for(run, Duration::from_secs(2)).is_some());
}
