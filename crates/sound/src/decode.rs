// SPDX-License-Identifier: AGPL-3.0-or-later
//! Files become clips.
//!
//! What a file claims is checked before anything is decoded, and what comes out while it is: a file of
//! a few bytes that claims hours, or makes them, is refused. The decoders are not ours; a panic in one is an
//! error like any other.

mod vorbis;

use crate::clip::{self, Clip, ClipError};
use std::{
    fmt,
    io::{Cursor, ErrorKind},
    panic::{AssertUnwindSafe, catch_unwind},
};
use symphonia::{
    core::{
        codecs::audio::{AudioCodecParameters, AudioDecoderOptions, well_known},
        errors::Error,
        formats::{FormatOptions, FormatReader, TrackType},
        io::MediaSourceStream,
    },
    default::{
        formats::{FlacReader, MpaReader, OggReader, WavReader},
        get_codecs,
    },
};

/// Longest file in bytes: ten minutes of stereo at CD rate are 106 MB as WAV, and a tenth of that otherwise.
/// It bounds what a peer fetches and keeps beside the samples while it decodes.
pub const FILE_LEN_MAX: usize = 128 << 20;
/// Frames of MP3 that may be missing: files that were cut from a stream begin with some that refer to what
/// was before.
const MP3_FRAMES_BAD_MAX: usize = 8;
/// Longest head of an MP3 file that is not sound (the tags of ID3v2): pictures of covers fit.
const ID3_LEN_MAX: usize = 16 << 20;
/// Length of the tag of ID3v1, which may stand at the end.
const ID3V1_LEN: usize = 128;

/// A form of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// RIFF WAVE: PCM of 8 to 32 bits, floats, A-law, µ-law.
    Wav,
    /// Vorbis in Ogg.
    Ogg,
    /// MPEG layer III.
    Mp3,
    /// FLAC in its own container.
    Flac,
}

impl Format {
    /// The form of a file, by its first bytes; names of files count for nothing.
    pub fn of(file: &[u8]) -> Option<Format> {
        let file = without_id3(file);
        match file {
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some(Format::Wav),
            [b'O', b'g', b'g', b'S', ..] => Some(Format::Ogg),
            [b'f', b'L', b'a', b'C', ..] => Some(Format::Flac),
            // Eleven bits of sync, any version but the reserved one, layer III.
            [0xff, second, ..] if second & 0xe6 == 0xe2 && second & 0x18 != 0x08 => Some(Format::Mp3),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Wav => "WAV",
            Format::Ogg => "Ogg Vorbis",
            Format::Mp3 => "MP3",
            Format::Flac => "FLAC",
        })
    }
}

/// Why a file is no clip.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The file is longer than [`FILE_LEN_MAX`].
    #[error("the file has {len} bytes, more than {} MiB", FILE_LEN_MAX >> 20)]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// It begins like none of the forms.
    #[error("it is neither WAV, Ogg Vorbis, MP3 nor FLAC")]
    Unknown,
    /// It is of that form, and broken.
    #[error("broken {format} file: {problem}")]
    Broken {
        /// Which form.
        format: Format,
        /// What is wrong.
        problem: String,
    },
    /// It is of that form, with something inside that is not supported.
    #[error("{format} file that is not supported: {problem}")]
    Unsupported {
        /// Which form.
        format: Format,
        /// What is not.
        problem: String,
    },
    /// It is sound, and too much of it.
    #[error("{format} file: {cause}")]
    Clip {
        /// Which form.
        format: Format,
        /// Which bound.
        #[source]
        cause: ClipError,
    },
}

/// Decodes a file: WAV, Ogg Vorbis, MP3 or FLAC, told apart by content. Silence that an encoder put
/// around the sound is taken off where the file tells of it, so that loops have no gap. Takes about a
/// hundredth of the time that the sound lasts.
///
/// # Errors
/// It is too long, of no known form, broken, or not of one or two channels; see [`DecodeError`]. Never panics.
pub fn decode(file: &[u8]) -> Result<Clip, DecodeError> {
    if file.len() > FILE_LEN_MAX {
        return Err(DecodeError::TooLong { len: file.len() });
    }
    let format = Format::of(file).ok_or(DecodeError::Unknown)?;
    catch_unwind(AssertUnwindSafe(|| decode_as(format, file)))
        .unwrap_or_else(|_panic| Err(broken(format, "the decoder failed")))
}

fn broken(format: Format, problem: impl Into<String>) -> DecodeError {
    DecodeError::Broken { format, problem: problem.into() }
}

fn failed(format: Format, error: &Error) -> DecodeError {
    let plain = |text: &str| text.split_once(": ").map_or(text, |(_module, rest)| rest).to_owned();
    match error {
        Error::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => broken(format, "it ends early"),
        Error::DecodeError(problem) => broken(format, plain(problem)),
        Error::Unsupported(problem) => DecodeError::Unsupported { format, problem: plain(problem) },
        other => broken(format, other.to_string()),
    }
}

/// What follows the tags of ID3v2 that come first, if they do.
fn without_id3(file: &[u8]) -> &[u8] {
    match file {
        [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] if [a, b, c, d].iter().all(|byte| **byte < 0x80) => {
            let len = [a, b, c, d].iter().fold(0, |len, byte| len << 7 | usize::from(**byte));
            let footer = if flags & 0x10 != 0 { 10 } else { 0 };
            if len > ID3_LEN_MAX { &[] } else { file.get(10 + len + footer..).unwrap_or_default() }
        }
        _ => file,
    }
}

fn decode_as(format: Format, file: &[u8]) -> Result<Clip, DecodeError> {
    let failed = |error: Error| failed(format, &error);
    let stream = MediaSourceStream::new(Box::new(Cursor::new(sound_of(format, file))), Default::default());
    let options = FormatOptions::default();
    let mut reader: Box<dyn FormatReader + '_> = match format {
        Format::Wav => Box::new(WavReader::try_new(stream, options).map_err(failed)?),
        Format::Ogg => Box::new(OggReader::try_new(stream, options).map_err(failed)?),
        Format::Mp3 => Box::new(MpaReader::try_new(stream, options).map_err(failed)?),
        Format::Flac => Box::new(FlacReader::try_new(stream, options).map_err(failed)?),
    };
    let track = reader.default_track(TrackType::Audio).ok_or_else(|| broken(format, "it has no sound"))?;
    let id = track.id;
    let is_open = format == Format::Wav && track.num_frames.is_none();
    let claimed = track.num_frames;
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let parameters = parameters.ok_or_else(|| broken(format, "it does not say how it is coded"))?;
    let (channels, rate) = form(format, parameters)?;
    // Of an MP3 file the length is often a guess; there what comes out decides.
    let claimed = if format == Format::Mp3 { 0 } else { claimed.unwrap_or(0) };
    let too_much = |cause| DecodeError::Clip { format, cause };
    clip::check(claimed, channels, rate).map_err(too_much)?;
    if format == Format::Ogg {
        vorbis::check(parameters).map_err(|problem| broken(format, problem))?;
    }
    let options = AudioDecoderOptions::default();
    let mut decoder = get_codecs().make_audio_decoder(parameters, &options).map_err(failed)?;

    // A claim is no reason to allocate; ten seconds are.
    let ten_seconds = 10 * rate as usize * channels;
    let mut samples = Vec::with_capacity((claimed as usize * channels).min(ten_seconds));
    let mut packet_samples: Vec<f32> = Vec::new();
    let mut bad = 0;
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // A file that was written as it was made does not know its length: it ends where it ends.
            Err(Error::IoError(error)) if is_open && error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(failed(error)),
        };
        if packet.track_id != id {
            continue;
        }
        let decoded = match decoder.decode(&packet) {
            Ok(decoded) => decoded,
            Err(Error::DecodeError(_)) if format == Format::Mp3 && bad < MP3_FRAMES_BAD_MAX => {
                bad += 1;
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        if decoded.spec().rate() != rate || decoded.spec().channels().count() != channels {
            return Err(broken(format, "its channels or its sample rate change"));
        }
        packet_samples.resize(decoded.samples_interleaved(), 0.0);
        decoded.copy_to_slice_interleaved(&mut packet_samples);
        let frames = (samples.len() + packet_samples.len()) / channels;
        clip::check(frames as u64, channels, rate).map_err(too_much)?;
        samples.extend_from_slice(&packet_samples);
    }
    Clip::new(samples, channels, rate).map_err(too_much)
}

/// The part of the file that is for the reader: without the tags before and behind.
fn sound_of(format: Format, file: &[u8]) -> &[u8] {
    let sound = without_id3(file);
    let (rest, end) = sound.split_at(sound.len().saturating_sub(ID3V1_LEN));
    if format == Format::Mp3 && end.starts_with(b"TAG") { rest } else { sound }
}

/// Channels and sample rate, within the bounds.
fn form(format: Format, parameters: &AudioCodecParameters) -> Result<(usize, u32), DecodeError> {
    let is_expected = match format {
        Format::Wav => true,
        Format::Ogg => parameters.codec == well_known::CODEC_ID_VORBIS,
        Format::Mp3 => parameters.codec == well_known::CODEC_ID_MP3,
        Format::Flac => parameters.codec == well_known::CODEC_ID_FLAC,
    };
    if !is_expected {
        let problem = "it is coded in another way than Vorbis, MP3 or FLAC".into();
        return Err(DecodeError::Unsupported { format, problem });
    }
    let channels = parameters.channels.as_ref().map_or(0, |channels| channels.count());
    let rate = parameters.sample_rate.unwrap_or(0);
    clip::check(0, channels, rate).map_err(|cause| DecodeError::Clip { format, cause })?;
    Ok((channels, rate))
}
