// SPDX-License-Identifier: AGPL-3.0-or-later
//! Files that are sound, that are broken, and that want more than they should.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_sound::{Clip, ClipError, DecodeError, FILE_LEN_MAX, Format, decode};
use proptest::prelude::*;

const FILES: [(&str, Format); 4] = [
    ("tone.wav", Format::Wav),
    ("tone.ogg", Format::Ogg),
    ("tone.mp3", Format::Mp3),
    ("tone.flac", Format::Flac),
];

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/files/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A WAV file of 16-bit PCM that claims so many bytes of samples.
fn wav(channels: u16, rate: u32, bits: u16, claimed: u32, samples: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF".to_vec();
    file.extend(claimed.saturating_add(36).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend(1u16.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    let frame = channels * bits / 8;
    file.extend((rate.wrapping_mul(u32::from(frame))).to_le_bytes());
    file.extend(frame.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(claimed.to_le_bytes());
    file.extend(samples);
    file
}

/// How strong a frequency is in one channel: the amplitude of that sine.
fn strength(clip: &Clip, channel: usize, frequency: f64) -> f64 {
    let channels = clip.channels();
    let samples: Vec<f64> =
        clip.samples().iter().skip(channel).step_by(channels).map(|v| f64::from(*v)).collect();
    let turn = std::f64::consts::TAU * frequency / f64::from(clip.rate());
    let (mut re, mut im) = (0.0, 0.0);
    for (i, sample) in samples.iter().enumerate() {
        re += sample * (turn * i as f64).cos();
        im += sample * (turn * i as f64).sin();
    }
    2.0 * re.hypot(im) / samples.len() as f64
}

#[test]
fn every_form_gives_the_tones_that_are_in_it() {
    for (name, format) in FILES {
        let bytes = file(name);
        assert_eq!(Format::of(&bytes), Some(format), "{name}");
        let clip = decode(&bytes).unwrap();
        let expected = if format == Format::Wav { (4000, 1, 16_000) } else { (11_025, 2, 44_100) };
        assert_eq!((clip.frames(), clip.channels(), clip.rate()), expected, "{name}");
        let right = clip.channels() - 1;
        for (channel, frequency, level) in
            [(0, 440.0, 0.5), (right, 1000.0, 0.25 * right as f64), (0, 3000.0, 0.0)]
        {
            let found = strength(&clip, channel, frequency);
            assert!((found - level).abs() < 0.03, "{name}, {frequency} Hz in {channel}: {found}");
        }
    }
}

#[test]
fn names_count_for_nothing_and_tags_are_passed_over() {
    let mut tagged = b"ID3\x04\x00\x00\x00\x00\x01\x05".to_vec();
    tagged.extend([0; 133]);
    tagged.extend(file("tone.mp3"));
    tagged.extend(b"TAG");
    tagged.extend([b' '; 125]);
    assert_eq!(Format::of(&tagged), Some(Format::Mp3));
    assert_eq!(decode(&tagged).unwrap(), decode(&file("tone.mp3")).unwrap());
    // A tag that claims more than there is.
    assert_eq!(Format::of(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f\xff\xfb"), None);
}

#[test]
fn depths_of_pcm_mean_the_same_level() {
    for (bits, half) in
        [(8u16, vec![0xc0]), (16, vec![0, 0x40]), (24, vec![0, 0, 0x40]), (32, vec![0, 0, 0, 0x40])]
    {
        let samples = half.repeat(100);
        let clip = decode(&wav(1, 8_000, bits, samples.len() as u32, &samples)).unwrap();
        assert!(
            clip.samples().iter().all(|v| (v - 0.5).abs() < 1e-6),
            "{bits} bits: {:?}",
            clip.samples()[0]
        );
    }
}

#[test]
fn a_file_whose_length_was_not_known_ends_where_it_ends() {
    let file = wav(1, 8_000, 16, u32::MAX, &[0, 0x40].repeat(1000));
    assert_eq!(decode(&file).unwrap().frames(), 1000);
}

#[test]
fn errors_say_in_a_line_what_is_wrong() {
    let said = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();
    let quiet = [0u8; 4096];
    for (bytes, expected) in [
        (Vec::new(), "it is neither WAV, Ogg Vorbis, MP3 nor FLAC"),
        (b"a letter to a friend".to_vec(), "it is neither WAV, Ogg Vorbis, MP3 nor FLAC"),
        (b"RIFF\x00\x00\x00\x00WAVE".to_vec(), "broken WAV file: invalid riff length"),
        (wav(1, 8_000, 16, 4000, &quiet[..100]), "broken WAV file: it ends early"),
        (wav(1, 8_000, 16, 0, &[]), "WAV file: it has no samples"),
        (wav(6, 8_000, 16, 4096, &quiet), "WAV file: it has 6 channels; 1 or 2 can be played"),
        (wav(1, 100, 16, 4096, &quiet), "WAV file: its sample rate is 100 Hz; 8000 to 192000 can be played"),
        (wav(1, 8_000, 16, 1 << 31, &quiet), "WAV file: it is longer than 600 seconds"),
        (wav(2, 192_000, 32, 1 << 29, &quiet), "WAV file: its samples take more than 256 MiB"),
        (file("tone.ogg")[..3000].to_vec(), "broken Ogg Vorbis file: it ends early"),
        (file("tone.flac")[..3000].to_vec(), "broken FLAC file: it ends early"),
        (b"fLaC".to_vec(), "broken FLAC file: it ends early"),
    ] {
        assert_eq!(said(&bytes), expected);
    }
    let mut long = wav(1, 8_000, 16, 0, &[]);
    long.resize(FILE_LEN_MAX + 1, 0);
    assert_eq!(said(&long), "the file has 134217729 bytes, more than 128 MiB");
}

/// FLAC of one channel of 8 kHz with blocks of silence, each of which is 65,535 samples in 15 bytes or so.
fn silence(blocks: u64, claimed: u64) -> Vec<u8> {
    let crc = |bytes: &[u8], width: u32, polynomial: u32| {
        bytes.iter().fold(0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte) << (width - 8), |crc, _| {
                let shifted = crc << 1;
                let carried = if crc >> (width - 1) & 1 == 1 { shifted ^ polynomial } else { shifted };
                carried & ((1 << width) - 1)
            })
        })
    };
    let mut file = b"fLaC\x80\x00\x00\x22".to_vec();
    file.extend([0xff; 4]);
    file.extend([0; 6]);
    // 20 bits of rate, 3 of channels − 1, 5 of bits − 1, 36 of samples.
    file.extend((8_000u64 << 44 | 15 << 36 | claimed).to_be_bytes());
    file.extend([0; 16]);
    for number in 0..blocks {
        let mut frame = vec![0xff, 0xf8, 0x70, 0x08];
        let number = char::from_u32(number as u32).unwrap();
        frame.extend(number.encode_utf8(&mut [0; 4]).as_bytes());
        frame.extend([0xff, 0xfe]);
        frame.push(crc(&frame, 8, 0x07) as u8);
        frame.extend([0, 0, 0]);
        frame.extend((crc(&frame, 16, 0x8005) as u16).to_be_bytes());
        file.extend(frame);
    }
    file
}

#[test]
fn a_bomb_is_refused_by_its_claim_and_by_what_comes_out() {
    let clip = decode(&silence(2, 0)).unwrap();
    assert_eq!(clip.frames(), 2 * 65_535);
    assert_eq!(decode(&silence(2, 2 * 65_535)).unwrap(), clip);
    let longer = |result: Result<Clip, DecodeError>| {
        matches!(result, Err(DecodeError::Clip { format: Format::Flac, cause: ClipError::Seconds }))
    };
    assert!(longer(decode(&silence(1, (1 << 36) - 1))));
    // An hour and a half in 10 kB, which claims nothing.
    let bomb = silence(660, 0);
    assert!(bomb.len() < 10_000, "{}", bomb.len());
    assert!(longer(decode(&bomb)));
}

#[test]
fn what_is_inside_ogg_is_looked_at() {
    // Opus: the head of a stream in a page of its own, with a checksum that is right.
    let mut page = b"OggS\x00\x02".to_vec();
    page.extend([0; 8]);
    page.extend(1u32.to_le_bytes());
    page.extend([0; 8]);
    page.extend([1, 19]);
    page.extend(b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00");
    let crc = page.iter().fold(0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 }
        })
    });
    page[22..26].copy_from_slice(&crc.to_le_bytes());
    assert!(decode(&page).is_err());
}

/// Bytes with some of them changed, cut out, doubled, or cut off.
fn altered(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    for (at, kind, value) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = at.index(bytes.len());
        let end = (at + usize::from(*value)).min(bytes.len());
        match kind % 8 {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            3 => bytes[at] = 0xff,
            4 => bytes[at] ^= 1 << (value % 8),
            _ => bytes[at] = *value,
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_file_panics_the_decoder_or_makes_it_give_too_much(
        which in 0..FILES.len(),
        // Most changes near the head, where the claims are.
        head in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 0..4),
        all in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = file(FILES[which].0);
        let rest = bytes.split_off(64.min(bytes.len()));
        let mut bytes = altered(bytes, &head);
        bytes.extend(rest);
        let bytes = altered(bytes, &all);
        if let Ok(clip) = decode(&bytes) {
            prop_assert!(clip.samples().iter().all(|v| v.is_finite() && v.abs() <= 1.0));
            prop_assert!(clip.bytes() <= hearth_sound::BYTES_MAX);
            prop_assert!((1..=2).contains(&clip.channels()));
        }
    }

    #[test]
    fn noise_behind_the_mark_of_a_form_is_an_error_or_a_clip(
        which in 0..5usize, noise in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let marks: [&[u8]; 5] =
            [b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00", b"OggS\x00\x02", b"fLaC\x00\x00\x00\x22", b"\xff\xfb\x90\x00", b""];
        let _ = decode(&[marks[which], &noise[..]].concat());
    }
}
