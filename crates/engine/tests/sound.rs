// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is heard of a scene: a recorder takes the place of the device, and time stands still between pictures.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod common;

use common::{Stage, at, day};
use hearth_abi::{
    EntityId, LumpId,
    scene::{Camera, Component, ComponentKind, Listener, Scope, Sound, Transform},
};
use hearth_engine::{Command, EngineConfig, Event, Quality, SoundOutput, SoundRecorder};
use hearth_scene::Change;
use std::{sync::mpsc, time::Duration};

const RATE: u32 = 48_000;
/// The clock of the wall when the engine starts.
const WALL: Duration = Duration::from_secs(1_700_000_000);

struct Room {
    stage: Stage,
    recorder: SoundRecorder,
}

impl Room {
    /// A scene with ears at the origin.
    fn new() -> Room {
        let recorder = SoundRecorder::new(RATE, WALL);
        let config = EngineConfig {
            quality: Some(Quality::Low),
            sound: SoundOutput::Recorder(recorder.clone()),
            size: [64, 48],
            ..EngineConfig::default()
        };
        let mut stage = Stage::with(config);
        stage.make([day()]);
        stage.make_by(common::PEER, Scope::Local, [at(0.0, 0.0, 0.0), Component::Camera(Camera::default())]);
        Room { stage, recorder }
    }

    fn put(&mut self, sound: Sound, place: [f32; 3]) -> EntityId {
        let [x, y, z] = place;
        self.stage.make([at(x, y, z), Component::Sound(Box::new(sound))])
    }

    fn set(&mut self, id: EntityId, sound: Sound) {
        self.stage.set(id, Component::Sound(Box::new(sound)));
    }

    /// A lump of a sound that is decoded already, so that what it is set to is heard at once.
    fn ready(&mut self, file: Vec<u8>) -> LumpId {
        let lump = self.stage.lump(file);
        self.put(Sound { stopped: true, ..Sound::new(lump) }, [0.0; 3]);
        self.stage.settle();
        lump
    }

    /// So many seconds ago, by the clock of the wall.
    fn ago(&self, seconds: f64) -> u64 {
        ((self.recorder.wall().as_secs_f64() - seconds) * 1e9) as u64
    }

    /// What is heard in so many pictures of a sixtieth of a second.
    fn hear(&mut self, pictures: usize) -> Vec<[f32; 2]> {
        self.recorder.take();
        (0..pictures).for_each(|_| drop(self.stage.step()));
        self.recorder.take()
    }

    /// Levels (root mean square) of the two ears, once all is there and what has changed is smoothed.
    fn levels(&mut self) -> [f32; 2] {
        self.stage.settle();
        self.hear(12);
        let heard = self.hear(12);
        [0, 1].map(|ear| (heard.iter().map(|f| f[ear].powi(2)).sum::<f32>() / heard.len() as f32).sqrt())
    }

    /// The last value that is heard of a sound that is everywhere.
    fn value(&mut self, pictures: usize) -> f32 {
        self.hear(pictures).last().unwrap()[0]
    }
}

/// A WAV file of one channel and 8 kHz.
fn wav(samples: impl Iterator<Item = f32>) -> Vec<u8> {
    let data: Vec<u8> = samples.flat_map(|v| ((v * 32767.0) as i16).to_le_bytes()).collect();
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

/// A second of a tone.
fn tone() -> Vec<u8> {
    wav((0..8000).map(|i| 0.5 * (i as f32 * std::f32::consts::TAU * 400.0 / 8000.0).sin()))
}

/// A value that rises from 0 to 1 in this many seconds: it tells which part is heard.
fn rise(seconds: usize) -> Vec<u8> {
    let samples = seconds * 8000;
    wav((0..samples).map(move |i| i as f32 / samples as f32))
}

#[test]
fn ears_may_be_elsewhere_than_the_eye() {
    let mut room = Room::new();
    let lump = room.stage.lump(tone());
    room.put(Sound::new(lump).looped(), [8.0, 0.0, 0.0]);
    let [left, right] = room.levels();
    assert!(right > 1.3 * left, "{left} {right}");
    // Two metres to the right of it, and of two listeners that of the higher priority.
    let ears = |priority| Component::Listener(Listener { priority });
    let near = room.stage.make_by(common::PEER, Scope::Local, [at(10.0, 0.0, 0.0), ears(1)]);
    let other = room.stage.make_by(common::PEER, Scope::Local, [at(-99.0, 0.0, 0.0), ears(0)]);
    // A listener that everybody has is nobody's.
    room.stage.make([at(-99.0, 0.0, 0.0), ears(5)]);
    let [there_left, there_right] = room.levels();
    assert!(there_left > 1.3 * there_right && there_left > 2.0 * right, "{there_left} {there_right}");
    room.stage.set(other, ears(2));
    assert!(room.levels().iter().all(|level| *level < 0.01));
    for id in [near, other] {
        room.stage.change(Change::Unset { id, kind: ComponentKind::Listener });
    }
    let again = room.levels();
    assert!((again[0] - left).abs() < 0.02 && (again[1] - right).abs() < 0.02, "{again:?}");
}

#[test]
fn a_thing_is_heard_from_where_it_is() {
    let mut room = Room::new();
    let lump = room.stage.lump(tone());
    let thing = room.put(Sound::new(lump).looped(), [-2.0, 0.0, 0.0]);
    let [left, right] = room.levels();
    assert!(left > 4.0 * right && right > 0.0, "at the left: {left} {right}");
    assert!((left - 0.5 * 0.5 * std::f32::consts::FRAC_1_SQRT_2).abs() < 0.02, "at two metres: {left}");
    room.stage.set(thing, at(2.0, 0.0, 0.0));
    let [left_then, right_then] = room.levels();
    assert!((left_then - right).abs() < 0.01 && (right_then - left).abs() < 0.01);
    room.stage.set(thing, at(0.0, 0.0, -8.0));
    let [far, _] = room.levels();
    assert!((far - 0.125 * 0.25).abs() < 0.005, "at eight metres: {far}");

    // Under a parent that moves, turns and is larger than life: metres are metres.
    let parent = room.stage.make([]);
    let turned = Transform::at(0.0, 0.0, -4.0).rotated([0.0, 1.0, 0.0, 0.0]).scaled(2.0);
    room.stage.set(parent, Component::Transform(turned));
    room.stage.change(Change::Reparented { id: thing, parent: Some(parent) });
    room.stage.set(thing, at(2.0, 0.0, -2.0));
    // Turned half around and doubled: 4 to the left of the parent, and 4 behind it, at our height.
    let [left, right] = room.levels();
    assert!(left > 4.0 * right && left > 0.05, "under a parent: {left} {right}");
}

#[test]
fn the_ears_are_where_the_eye_is() {
    let mut room = Room::new();
    let lump = room.stage.lump(tone());
    room.put(Sound::new(lump).looped(), [-2.0, 0.0, 0.0]);
    let [left, right] = room.levels();
    assert!(left > 4.0 * right);
    // Another eye, higher in priority, on the other side, looking the same way.
    let camera = Camera { priority: 5, ..Camera::default() };
    let eye = room.stage.make_by(common::PEER, Scope::Local, [at(-4.0, 0.0, 0.0), Component::Camera(camera)]);
    let [left, right] = room.levels();
    assert!(right > 4.0 * left, "{left} {right}");
    // And turned around.
    room.stage.set(eye, Component::Transform(Transform::at(-4.0, 0.0, 0.0).rotated([0.0, 1.0, 0.0, 0.0])));
    let [left, right] = room.levels();
    assert!(left > 4.0 * right, "{left} {right}");
}

#[test]
fn hidden_things_are_heard_and_stopped_or_removed_ones_are_not() {
    let mut room = Room::new();
    let lump = room.stage.lump(tone());
    let sound = Sound::new(lump).looped();
    let thing = room.put(sound, [0.0, 0.0, -1.0]);
    room.stage.set(thing, Component::Hidden(true));
    let [heard, _] = room.levels();
    assert!(heard > 0.2, "{heard}");
    room.set(thing, Sound { stopped: true, ..sound });
    assert_eq!(room.levels(), [0.0; 2]);
    room.set(thing, sound);
    assert!(room.levels()[0] > 0.2);
    room.stage.change(Change::Unset { id: thing, kind: ComponentKind::Sound });
    assert_eq!(room.levels(), [0.0; 2]);
    room.set(thing, sound);
    assert!(room.levels()[0] > 0.2);
    room.stage.change(Change::Removed { id: thing });
    assert_eq!(room.levels(), [0.0; 2]);
    assert_eq!(room.recorder.load(), (0, 0));
}

#[test]
fn changes_go_on_and_another_start_begins_anew() {
    let mut room = Room::new();
    let lump = room.ready(rise(10));
    let mut sound = Sound { started_ns: room.ago(0.1), ..Sound::new(lump).everywhere() };
    let thing = room.put(sound, [0.0; 3]);
    let start = room.value(60);
    assert!((start - 0.1).abs() < 0.002, "{start}");
    sound.gain = 0.5;
    room.set(thing, sound);
    let then = room.value(60);
    assert!((then - 0.5 * (start + 0.1)).abs() < 0.002, "{then}, after {start}");
    sound.pitch = 2.0;
    room.set(thing, sound);
    let then = room.value(60);
    assert!((then - 0.5 * (start + 0.3)).abs() < 0.004, "{then}, after {start}");
    sound.started_ns = room.ago(0.0);
    room.set(thing, sound);
    let then = room.value(60);
    assert!((then - 0.5 * 0.2).abs() < 0.004, "{then}");
    // Stopped and begun again within one picture.
    sound.started_ns = 0;
    room.set(thing, sound);
    room.hear(30);
    room.set(thing, Sound { stopped: true, ..sound });
    room.set(thing, sound);
    let then = room.value(60);
    assert!((then - 0.5 * 0.2).abs() < 0.004, "{then}");
    let other = room.ready(rise(20));
    room.set(thing, Sound { lump: other, ..sound });
    let then = room.value(60);
    assert!((then - 0.5 * 0.1).abs() < 0.004, "{then}");
}

#[test]
fn who_comes_late_hears_what_the_others_hear() {
    for (age, looping, expected) in [
        // A knock of an hour ago, and one of a moment ago that the network was slow with.
        (3600.0, false, None),
        (1.0, false, Some(0.0)),
        // Music that has been going on, and a loop.
        (4.0, false, Some(0.4)),
        (34.0, true, Some(0.4)),
        // By a clock that is ahead.
        (-100.0, false, Some(0.0)),
    ] {
        let mut room = Room::new();
        let lump = room.ready(rise(10));
        let sound = Sound { started_ns: room.ago(age), looping, ..Sound::new(lump).everywhere() };
        room.put(sound, [0.0; 3]);
        let now = room.value(30);
        let expected = expected.map_or(0.0, |begun| begun + 0.05);
        assert!((now - expected).abs() < 0.003, "{age} s ago: {now}, not {expected}");
    }
}

#[test]
fn a_lump_that_is_no_sound_is_told_to_its_author() {
    let mut room = Room::new();
    let letter = room.stage.lump(*b"a letter to a friend");
    let short = room.stage.lump(&tone()[..1000]);
    let gone = room.stage.answer(Err("nobody has it".into()));
    let mut expected = Vec::new();
    for (lump, reason) in [
        (letter, "it is neither WAV, Ogg Vorbis, MP3 nor FLAC"),
        (short, "broken WAV file: it ends early"),
        (gone, "nobody has it"),
    ] {
        let id = room.put(Sound::new(lump), [0.0; 3]);
        expected.push((vec![id], lump, reason.to_owned()));
    }
    assert_eq!(room.levels(), [0.0; 2]);
    let mut failures = room.stage.failures.clone();
    failures.sort();
    expected.sort();
    assert_eq!(failures, expected);
}

#[test]
fn a_sound_is_loaded_beforehand_and_found_out() {
    let mut room = Room::new();
    let good = room.stage.lump(tone());
    let bad = room.stage.lump(*b"RIFF....WAVE");
    let (tell, told) = mpsc::sync_channel(16);
    for id in [good, bad] {
        let tell = tell.clone();
        let done = Box::new(move |result| drop(tell.send((id, result))));
        room.stage.control.send(Command::Load { class: "Sound".into(), id, done }).unwrap();
    }
    let mut answers: Vec<(LumpId, Result<(), String>)> = Vec::new();
    room.stage.until("both are answered", |_| {
        answers.extend(told.try_iter());
        answers.len() == 2
    });
    answers.sort();
    assert_eq!(answers[0], (good, Ok(())));
    assert!(answers[1].1.as_ref().unwrap_err().starts_with("broken WAV file: "), "{:?}", answers[1]);
}

#[test]
fn without_an_output_no_sound_is_fetched() {
    let mut stage = Stage::new();
    let lump = stage.lump(tone());
    let thing = stage.make([at(0.0, 0.0, 0.0), Component::Sound(Box::new(Sound::new(lump)))]);
    stage.settle();
    let events = stage.step();
    assert!(!events.iter().any(|event| matches!(event, Event::WantLump(_))) && stage.wanted.is_empty());
    stage.change(Change::Unset { id: thing, kind: ComponentKind::Sound });
    stage.change(Change::Removed { id: thing });
    stage.step();
}

#[test]
fn a_recording_is_the_same_each_time() {
    let record = || {
        let mut room = Room::new();
        // Decoding takes as long as it takes; what is recorded begins at one time after it.
        let lump = room.ready(tone());
        let begin = WALL + Duration::from_secs(20);
        assert!(room.recorder.wall() < begin, "it took {:?}", room.recorder.wall() - WALL);
        while room.recorder.wall() < begin {
            room.stage.step();
        }
        let thing = room.put(Sound::new(lump).looped(), [0.0; 3]);
        let mut all = Vec::new();
        for picture in 0..90u16 {
            room.stage.set(thing, at(f32::from(picture) * 0.2 - 9.0, 0.0, -1.0));
            all.extend(room.hear(1));
        }
        all
    };
    let once = record();
    assert!((71_000..73_000).contains(&once.len()), "{} frames in a second and a half", once.len());
    assert!(once.iter().any(|frame| frame[0] > 0.2));
    assert_eq!(once, record());
}
