// SPDX-License-Identifier: AGPL-3.0-or-later
//! The examples in bytes of the format documents are what the code reads.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_abi::{
    input::{Event, Press, key},
    keyboard as typed,
    mesh::Mesh,
};
use hearth_scene::wire::{Down, Up};
use std::{fs, path::Path};

/// The lines of each block of hexadecimal digits in a document, as bytes.
fn examples(document: &str) -> Vec<Vec<Vec<u8>>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/formats").join(document);
    let text = fs::read_to_string(path).unwrap();
    let bytes = |line: &str| {
        let digits: Vec<u32> = line.chars().filter(|c| *c != ' ').map(|c| c.to_digit(16).unwrap()).collect();
        digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
    };
    let blocks = text.split("```\n").skip(1).step_by(2);
    blocks.map(|block| block.lines().map(bytes).collect()).collect()
}

#[test]
fn scene() {
    let [up, down] = &examples("scene.md")[..] else { panic!("two examples") };
    let read: Vec<Up> = up.iter().flat_map(|line| Up::decode(line).unwrap()).collect();
    let [Up::Join { instance: 0x0102_0304_0506_0708 }, Up::Batch { number: 1, writer, ops }] = &read[..]
    else {
        panic!("{read:?}")
    };
    assert_eq!((writer.to_string().as_str(), ops.len()), ("1.4", 1));
    let read: Vec<Down> = down.iter().flat_map(|line| Down::decode(line).unwrap()).collect();
    let [Down::Answer { number: 4, outcome: Err(refusal) }, Down::Part(entities)] = &read[..] else {
        panic!("{read:?}")
    };
    assert_eq!((refusal.reason.as_str(), entities.len()), ("no", 1));
    assert_eq!(entities[0].parent.unwrap().to_string(), "1.3");
}

#[test]
fn input() {
    let [lines] = &examples("input.md")[..] else { panic!("one example") };
    let events: Vec<Event> = lines.iter().map(|line| Event::decode(line).unwrap()).collect();
    assert_eq!(events, [Event::Key { code: key::W, press: Press::Pressed }, Event::Motion([1.5, -2.0])]);
}

#[test]
fn keyboard() {
    let [lines] = &examples("keyboard.md")[..] else { panic!("one example") };
    let events: Vec<typed::Event> = lines.iter().map(|line| typed::Event::decode(line).unwrap()).collect();
    assert!(events.iter().all(|event| event.user.number() == 2 && event.entity.to_string() == "0.4660"));
    let did: Vec<&Event> = events.iter().map(|event| &event.did).collect();
    let key = Event::Key { code: key::A, press: Press::Pressed };
    assert_eq!(did, [&Event::Focus(true), &key, &Event::Text("ü".into()), &Event::Paste("ab".into())]);
}

#[test]
fn mesh() {
    let [lines] = &examples("mesh.md")[..] else { panic!("one example") };
    let mesh = Mesh::decode(&lines.concat()).unwrap();
    assert_eq!(mesh.positions, [[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
    assert_eq!(mesh.indices, [0, 1, 2]);
}
