// SPDX-License-Identifier: AGPL-3.0-or-later
//! Listens to the mix: where things are, how loud, and that nothing clicks.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_abi::scene::DistanceModel;
use hearth_sound::{CEILING, Clip, Law, Listener, Mixer, SOURCES_MAX, Source, SourceId, VOICES_MAX};
use proptest::prelude::*;
use std::{f32::consts::TAU, sync::Arc};

const RATE: u32 = 48_000;
const LAW: Law =
    Law { model: DistanceModel::Inverse, ref_distance: 1.0, max_distance: 0.0, rolloff_factor: 1.0 };
/// The limiter is a block late.
const LATE: usize = 64;

/// A tone of whole periods: a hundred of them.
fn tone(frequency: f32, rate: u32, level: f32) -> Arc<Clip> {
    let frames = (100.0 * rate as f32 / frequency).round() as usize;
    let turn = 100.0 * TAU / frames as f32;
    clip((0..frames).map(|i| level * (i as f32 * turn).sin()).collect(), 1, rate)
}

/// The same value all along: whatever moves in the mix comes from the mixer.
fn level(value: f32, seconds: f32) -> Arc<Clip> {
    clip(vec![value; (seconds * RATE as f32) as usize], 1, RATE)
}

/// Goes from 0 to 1 in its ten seconds: what is heard tells which part it is.
fn hours() -> Arc<Clip> {
    clip((0..100_000).map(|i| i as f32 / 100_000.0).collect(), 1, 10_000)
}

fn clip(samples: Vec<f32>, channels: usize, rate: u32) -> Arc<Clip> {
    Arc::new(Clip::new(samples, channels, rate).unwrap())
}

fn source(clip: &Arc<Clip>, place: Option<[f32; 3]>) -> Source {
    let (clip, looping) = (clip.clone(), true);
    Source { clip, place, gain: 1.0, pitch: 1.0, looping, law: LAW, start: 0, skip_s: 0.0 }
}

const ID: SourceId = SourceId(7);

fn render(mixer: &mut Mixer, seconds: f32) -> Vec<[f32; 2]> {
    let mut out = vec![[0.0; 2]; (seconds * RATE as f32).round() as usize];
    mixer.render(&mut out);
    out
}

/// Levels (root mean square) of the two ears.
fn levels(frames: &[[f32; 2]]) -> [f32; 2] {
    [0, 1]
        .map(|ear| (frames.iter().map(|frame| frame[ear].powi(2)).sum::<f32>() / frames.len() as f32).sqrt())
}

/// What a single source sounds like once it has begun.
fn heard(source: Source, listener: Listener) -> [f32; 2] {
    let mut mixer = Mixer::new(RATE);
    mixer.listen(listener);
    mixer.set(ID, source);
    render(&mut mixer, 0.1);
    levels(&render(&mut mixer, 0.5))
}

/// The greatest step from one frame to the next, and the greatest bend over three, in either ear.
fn roughness(frames: &[[f32; 2]]) -> (f32, f32) {
    let mut worst = (0.0f32, 0.0f32);
    for ear in 0..2 {
        for part in frames.windows(3) {
            let [a, b, c] = [part[0][ear], part[1][ear], part[2][ear]];
            worst = (worst.0.max((b - a).abs()), worst.1.max((a - 2.0 * b + c).abs()));
        }
    }
    worst
}

#[test]
fn each_ear_hears_its_side() {
    let tone = tone(500.0, 44_100, 0.4);
    let from = |place: [f32; 3]| heard(source(&tone, Some(place)), Listener::default());
    let [left, right] = from([-3.0, 0.0, 0.0]);
    assert!(left > 5.0 * right && right > 0.0, "from the left: {left} {right}");
    let [far_left, far_right] = from([3.0, 0.0, 0.0]);
    assert!((far_left - right).abs() < 1e-3 && (far_right - left).abs() < 1e-3, "sides are not mirrored");
    let [ahead, ahead_right] = from([0.0, 0.0, -3.0]);
    assert!((ahead - ahead_right).abs() < 1e-4);
    for place in [[0.0, 3.0, 0.0], [0.0, -3.0, 0.0], [0.0, 0.0, 3.0]] {
        let [left, right] = from(place);
        assert!((left - right).abs() < 1e-4, "{place:?}: {left} {right}");
    }
    let [behind, _] = from([0.0, 0.0, 3.0]);
    assert!(behind < 0.9 * ahead && behind > 0.6 * ahead, "ahead {ahead}, behind {behind}");
    let slanted = from([-3.0, 0.0, -3.0]);
    assert!(slanted[0] > slanted[1] && slanted[1] > right, "{slanted:?}");
}

#[test]
fn the_head_turns_and_the_world_stays() {
    let tone = tone(500.0, 44_100, 0.4);
    let half = std::f32::consts::FRAC_1_SQRT_2;
    // A quarter to the right: what was ahead is to the left.
    let turned = Listener { position: [10.0, 0.0, 0.0], rotation: [0.0, -half, 0.0, half] };
    let [left, right] = heard(source(&tone, Some([10.0, 0.0, -4.0])), turned);
    assert!(left > 5.0 * right, "{left} {right}");
    // Head over: left is right.
    let over = Listener { rotation: [0.0, 0.0, 1.0, 0.0], ..Listener::default() };
    let [left, right] = heard(source(&tone, Some([-4.0, 0.0, 0.0])), over);
    assert!(right > 5.0 * left, "{left} {right}");
}

#[test]
fn loudness_falls_as_the_law_says() {
    let tone = tone(500.0, 44_100, 0.5);
    let [near, _] = heard(source(&tone, Some([0.0, 0.0, -1.0])), Listener::default());
    // Half of the power for each ear.
    assert!((near - 0.25).abs() < 0.005, "{near}");
    let linear = Law { model: DistanceModel::Linear, max_distance: 11.0, ..LAW };
    let bounded = Law { max_distance: 20.0, ..LAW };
    for law in [LAW, linear, bounded] {
        for distance in [0.5, 1.0, 2.0, 5.0, 10.0, 18.0, 19.9, 25.0] {
            let place = Some([0.0, 0.0, -distance]);
            let [left, right] = heard(Source { law, ..source(&tone, place) }, Listener::default());
            let expected = near * law.gain(distance);
            assert!((left - expected).abs() < 0.01 * near, "{law:?}, {distance} m: {left}, not {expected}");
            assert_eq!(left, right);
        }
    }
}

#[test]
fn what_is_everywhere_keeps_its_channels() {
    let sides = (0..9600).flat_map(|i| [0.5 * (i as f32 * TAU / 96.0).sin(), 0.0]).collect();
    let sides = clip(sides, 2, RATE);
    let away = Listener { position: [100.0, 0.0, 0.0], rotation: [0.0, 1.0, 0.0, 0.0] };
    let [left, right] = heard(source(&sides, None), away);
    assert!((left - 0.5 * std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-3 && right == 0.0, "{left} {right}");
    // At a place both channels come from there.
    let [left, right] = heard(source(&sides, Some([0.0, 0.0, -1.0])), Listener::default());
    assert!(left > 0.1 && left == right, "{left} {right}");
    let [left, right] = heard(source(&tone(500.0, RATE, 0.5), None), away);
    assert!((left - 0.3535).abs() < 1e-3 && left == right, "{left} {right}");
}

#[test]
fn nothing_clicks_when_it_starts_stops_restarts_or_ends() {
    // Of a clip that is the same all along every step in the mix is a click; cut off, it would be 0.5.
    let mut mixer = Mixer::new(RATE);
    let once = Source { looping: false, ..source(&level(0.5, 0.2), None) };
    let looped = source(&level(0.5, 0.2), None);
    let mut all = render(&mut mixer, 0.01);
    mixer.set(ID, looped.clone());
    all.extend(render(&mut mixer, 0.1));
    mixer.set(ID, Source { start: 1, ..looped.clone() });
    all.extend(render(&mut mixer, 0.1));
    mixer.set(ID, Source { place: Some([0.0, 0.0, -0.5]), start: 1, ..looped });
    all.extend(render(&mut mixer, 0.1));
    mixer.remove(ID);
    all.extend(render(&mut mixer, 0.1));
    // Now one that ends by itself, at full level.
    mixer.set(ID, once);
    all.extend(render(&mut mixer, 0.4));
    assert_eq!(all.last(), Some(&[0.0; 2]), "it has not ended");
    assert!(
        all.iter().filter(|frame| frame[0] > 0.49).count() as f32 > 0.3 * RATE as f32,
        "it was not heard"
    );
    let (step, bend) = roughness(&all);
    assert!(step < 0.006 && bend < 0.0005, "a step of {step}, a bend of {bend}");
}

#[test]
fn loops_have_no_seam() {
    for (rate, pitch) in [(48_000, 1.0), (44_100, 1.0), (22_050, 1.37), (96_000, 0.8)] {
        let mut mixer = Mixer::new(RATE);
        mixer.set(ID, Source { pitch, ..source(&tone(440.0, rate, 0.5), None) });
        render(&mut mixer, 0.1);
        let (step, bend) = roughness(&render(&mut mixer, 2.0));
        let turn = TAU * 440.0 * pitch / RATE as f32;
        assert!(step < 0.5 * turn * 1.02, "{rate} Hz: a step of {step}, the tone's own is {}", 0.5 * turn);
        assert!(bend < 0.5 * turn * turn * 1.1, "{rate} Hz: a bend of {bend}, not {}", 0.5 * turn * turn);
    }
}

#[test]
fn what_moves_fast_glides_between_its_places() {
    // By the ear, a metre away, at 20 m/s, with sixty places a second; and a head that turns by jerks.
    let mut mixer = Mixer::new(RATE);
    let passing = source(&level(0.5, 1.0), Some([-20.0, 0.0, -1.0]));
    mixer.set(ID, passing.clone());
    render(&mut mixer, 0.1);
    let mut all = Vec::new();
    for frame in 0..120u16 {
        let x = -20.0 + f32::from(frame) / 3.0;
        mixer.set(ID, Source { place: Some([x, 0.0, -1.0]), ..passing.clone() });
        let half = (f32::from(frame) * 0.1).sin() * 0.5;
        mixer.listen(Listener { rotation: [0.0, half.sin(), 0.0, half.cos()], ..Listener::default() });
        all.extend(render(&mut mixer, 1.0 / 60.0));
    }
    let [low, high] = all.iter().fold([1.0f32, 0.0], |[low, high], f| [low.min(f[0]), high.max(f[0])]);
    assert!(low < 0.05 && high > 0.3, "{low} to {high}");
    let (step, bend) = roughness(&all);
    // Without smoothing the largest step is about 0.1, sixty times a second.
    assert!(step < 0.0005 && bend < 0.0001, "a step of {step}, a bend of {bend}");
}

#[test]
fn many_loud_voices_do_not_clip() {
    let mut mixer = Mixer::new(RATE);
    for id in 0..VOICES_MAX as u64 {
        let frequency = 100.0 + 37.0 * id as f32;
        let side = if id % 2 == 0 { 1.0 } else { -1.0 };
        mixer.set(SourceId(id), source(&tone(frequency, 44_100, 1.0), Some([side, 0.0, -0.2])));
    }
    let all = render(&mut mixer, 3.0);
    assert_eq!(mixer.load(), (VOICES_MAX, VOICES_MAX));
    let peak = all.iter().flatten().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    assert!(peak <= CEILING && peak > 0.9 * CEILING, "{peak}");
    // Turned down, not cut: hardly a frame sits at the ceiling.
    let at_ceiling = all.iter().flatten().filter(|sample| sample.abs() > 0.999 * CEILING).count();
    assert!(at_ceiling < all.len() / 50, "{at_ceiling} of {}", all.len());
}

#[test]
fn the_loudest_are_heard_and_the_others_go_on_in_time() {
    let mut mixer = Mixer::new(RATE);
    let near = tone(300.0, RATE, 0.001);
    for id in 0..VOICES_MAX as u64 {
        mixer.set(SourceId(100 + id), source(&near, Some([0.0, 0.0, -1.0])));
    }
    // It is farther away, so that there is no voice left for it.
    let far = Source { looping: false, ..source(&hours(), Some([0.0, 0.0, -2.0])) };
    mixer.set(ID, far.clone());
    render(&mut mixer, 1.0);
    assert_eq!(mixer.load(), (VOICES_MAX + 1, VOICES_MAX));
    for id in 0..VOICES_MAX as u64 {
        mixer.remove(SourceId(100 + id));
    }
    render(&mut mixer, 1.0);
    assert_eq!(mixer.load(), (1, 1));
    let [left, right] = render(&mut mixer, 0.001)[0];
    // Two seconds in, at half of the gain and half of the power.
    let expected = 0.2 * 0.5 * std::f32::consts::FRAC_1_SQRT_2;
    assert!((left - expected).abs() < 0.001 && left == right, "{left}, not {expected}");

    // Now it is the loudest, and one of the others waits.
    mixer.set(ID, Source { place: Some([0.0, 0.0, -0.5]), ..far });
    for id in 0..VOICES_MAX as u64 {
        mixer.set(SourceId(100 + id), source(&near, Some([0.0, 0.0, -1.0])));
    }
    render(&mut mixer, 0.5);
    let [left, _] = levels(&render(&mut mixer, 0.1));
    assert!((left - 0.256 * std::f32::consts::FRAC_1_SQRT_2).abs() < 0.005, "{left}");
    assert_eq!(mixer.load(), (VOICES_MAX + 1, VOICES_MAX));
}

#[test]
fn it_starts_where_it_is_told_to() {
    for (skip_s, looping, expected) in [
        (0.0, false, 0.0),
        (2.5, false, 0.25),
        (9.0, false, 0.9),
        (10.0, false, 0.0),
        (1e30, false, 0.0),
        (23.0, true, 0.3),
        (-4.0, false, 0.0),
        (f64::NAN, true, 0.0),
    ] {
        let mut mixer = Mixer::new(RATE);
        mixer.set(ID, Source { skip_s, looping, ..source(&hours(), None) });
        let [left, _] = *render(&mut mixer, 0.01).last().unwrap();
        assert!((left - expected).abs() < 0.0015, "{skip_s} s: {left}, not {expected}");
    }
}

#[test]
fn changes_do_not_start_it_again_but_another_start_or_clip_does() {
    let mut mixer = Mixer::new(RATE);
    let mut now = source(&hours(), None);
    let at = |mixer: &mut Mixer| render(mixer, 1.0).last().unwrap()[0];
    mixer.set(ID, now.clone());
    assert!((at(&mut mixer) - 0.1).abs() < 0.001);
    now.gain = 0.5;
    mixer.set(ID, now.clone());
    assert!((at(&mut mixer) - 0.5 * 0.2).abs() < 0.001);
    now.pitch = 2.0;
    mixer.set(ID, now.clone());
    assert!((at(&mut mixer) - 0.5 * 0.4).abs() < 0.002);
    now.looping = false;
    mixer.set(ID, now.clone());
    assert!((at(&mut mixer) - 0.5 * 0.6).abs() < 0.002);
    now.start = 1;
    mixer.set(ID, now.clone());
    assert!((at(&mut mixer) - 0.5 * 0.2).abs() < 0.002);
    now.clip = hours();
    mixer.set(ID, now.clone());
    assert!((at(&mut mixer) - 0.5 * 0.2).abs() < 0.002);
    let mut released = Vec::new();
    mixer.take_released(&mut released);
    assert!(released.iter().any(|clip| !Arc::ptr_eq(clip, &now.clip)), "the clip before was not given back");
}

#[test]
fn what_has_ended_is_silent_until_it_starts_again() {
    let mut mixer = Mixer::new(RATE);
    let once = Source { looping: false, ..source(&tone(500.0, RATE, 0.5), None) };
    mixer.set(ID, once.clone());
    assert!(levels(&render(&mut mixer, 0.1))[0] > 0.1);
    render(&mut mixer, 0.2);
    mixer.set(ID, Source { gain: 2.0, place: Some([0.0, 0.0, -1.0]), ..once.clone() });
    mixer.set(ID, Source { gain: 2.0, ..once.clone() });
    assert_eq!(levels(&render(&mut mixer, 0.5)), [0.0; 2]);
    assert_eq!(mixer.load(), (1, 0));
    mixer.set(ID, Source { start: 9, ..once });
    assert!(levels(&render(&mut mixer, 0.1))[0] > 0.1);
}

#[test]
fn time_goes_by_unheard() {
    let mut mixer = Mixer::new(RATE);
    mixer.set(ID, source(&hours(), None));
    mixer.set(SourceId(8), Source { looping: false, ..source(&level(0.5, 1.0), None) });
    render(&mut mixer, 0.5);
    mixer.pass(3.5);
    mixer.set_rate(44_100);
    mixer.pass(14.0);
    let mut out = vec![[0.0; 2]; 4410];
    mixer.render(&mut out);
    let [left, _] = *out.last().unwrap();
    // 18.1 seconds of ten, in each other; and the other has ended.
    assert!((left - 0.81).abs() < 0.001, "{left}");
    assert_eq!(mixer.load(), (2, 1));
}

#[test]
fn pitch_is_speed_and_glides() {
    let mut mixer = Mixer::new(RATE);
    let plain = source(&tone(500.0, RATE, 0.5), None);
    let crossings =
        |frames: &[[f32; 2]]| frames.windows(2).filter(|p| p[0][0] < 0.0 && p[1][0] >= 0.0).count();
    mixer.set(ID, plain.clone());
    render(&mut mixer, 0.1);
    assert!(crossings(&render(&mut mixer, 1.0)).abs_diff(500) <= 1);
    mixer.set(ID, Source { pitch: 0.5, ..plain.clone() });
    let change = render(&mut mixer, 0.2);
    let turn = TAU * 500.0 / RATE as f32;
    let (step, bend) = roughness(&change);
    assert!(step < 0.5 * turn * 1.02 && bend < 0.5 * turn * turn * 1.1, "{step} {bend}");
    assert!(crossings(&render(&mut mixer, 1.0)).abs_diff(250) <= 1);
}

#[test]
fn the_volume_is_for_all() {
    let mut mixer = Mixer::new(RATE);
    mixer.set(ID, source(&level(0.5, 1.0), None));
    mixer.set_volume(0.5);
    render(&mut mixer, 0.3);
    assert!((render(&mut mixer, 0.01)[0][0] - 0.25).abs() < 1e-3);
    mixer.set_volume(0.0);
    let (step, _) = roughness(&render(&mut mixer, 1.0));
    assert!(step < 0.001, "{step}");
    assert!(levels(&render(&mut mixer, 0.1))[0] < 1e-6);
}

#[test]
fn the_same_calls_give_the_same_samples_in_whatever_parts() {
    let build = || {
        let mut mixer = Mixer::new(RATE);
        for id in 0..200u64 {
            let place = Some([id as f32 - 100.0, 0.0, -2.0]);
            mixer.set(SourceId(id * 7919 % 200), source(&tone(200.0 + id as f32, 44_100, 0.1), place));
        }
        mixer
    };
    let whole = render(&mut build(), 0.5);
    let (mut mixer, mut parts) = (build(), Vec::new());
    for size in [1usize, 63, 64, 65, 1000, 7].into_iter().cycle() {
        let size = size.min(whole.len() - parts.len());
        if size == 0 {
            break;
        }
        let mut part = vec![[0.0; 2]; size];
        mixer.render(&mut part);
        parts.extend(part);
    }
    assert_eq!(whole, parts);
    assert!(whole[LATE + 500..].iter().all(|frame| *frame != [0.0; 2]));
}

#[test]
fn sources_are_bounded() {
    let mut mixer = Mixer::new(RATE);
    let clip = tone(500.0, RATE, 0.1);
    for id in 0..SOURCES_MAX as u64 {
        assert!(mixer.set(SourceId(id), source(&clip, Some([id as f32, 0.0, 0.0]))));
    }
    assert!(!mixer.set(SourceId(u64::MAX), source(&clip, None)));
    assert!(mixer.set(SourceId(3), source(&clip, None)));
    render(&mut mixer, 0.1);
    assert_eq!(mixer.load(), (SOURCES_MAX, VOICES_MAX));
    for id in 0..SOURCES_MAX as u64 {
        mixer.remove(SourceId(id));
    }
    render(&mut mixer, 0.1);
    assert_eq!(mixer.load(), (0, 0));
    assert_eq!(render(&mut mixer, 0.01).last(), Some(&[0.0; 2]));
}

fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        any::<f32>(),
        -10.0f32..10.0,
        Just(f32::NAN),
        Just(f32::INFINITY),
        Just(f32::MIN_POSITIVE),
        Just(f32::MAX),
        Just(0.0),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_numbers_harm_the_mix(
        sources in prop::collection::vec(
            ((0..6u64, any::<bool>(), number(), number(), number()), (number(), number(), number(), number(), number()),
             (any::<bool>(), any::<bool>(), any::<u8>(), any::<f64>(), 1..50usize)),
            1..12,
        ),
        head in [number(), number(), number(), number(), number(), number(), number()],
        rate in any::<u32>(),
    ) {
        let mut mixer = Mixer::new(rate);
        let mut out = vec![[0.0; 2]; 300];
        for ((id, ambient, x, y, z), (gain, pitch, near, far, rolloff), (looping, linear, start, skip_s, frames)) in sources {
            let model = if linear { DistanceModel::Linear } else { DistanceModel::Inverse };
            let law = Law { model, ref_distance: near, max_distance: far, rolloff_factor: rolloff };
            let clip = clip((0..2 * frames).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect(), 2, 8_000 + frames as u32 * 3000);
            let place = (!ambient).then_some([x, y, z]);
            let start = u64::from(start);
            if !mixer.set(SourceId(id), Source { clip, place, gain, pitch, looping, law, start, skip_s }) {
                mixer.remove(SourceId(id));
            }
            let [a, b, c, d, e, f, g] = head;
            mixer.listen(Listener { position: [a, b, c], rotation: [d, e, f, g] });
            mixer.render(&mut out);
            prop_assert!(out.iter().flatten().all(|v| v.is_finite() && v.abs() <= CEILING), "{:?}", out);
        }
        mixer.pass(f64::from(head[0]));
        mixer.render(&mut out);
        prop_assert!(out.iter().flatten().all(|v| v.is_finite() && v.abs() <= CEILING));
    }
}
