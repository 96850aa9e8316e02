// SPDX-License-Identifier: AGPL-3.0-or-later
//! Files become samples, and sources in a space become what two ears hear.
//!
//! [`decode()`] turns a file of WAV, Ogg Vorbis, MP3 or FLAC into a [`Clip`], within bounds. A [`Mixer`]
//! is given [`Source`]s, a [`Listener`], and renders stereo samples; it knows no clock and no device, so
//! that tests listen to it. Two things drive one: an [`Output`] does on a thread of the sound device, with
//! or without a device being there, and a [`Recorder`] keeps what is pulled from it.
//!
//! Axes and units are the scene's: metres, +Y up, and a listener looks along its own −Z. This crate must
//! not depend on a renderer, a network, or a store.

mod clip;
mod decode;
mod law;
mod limiter;
mod mixer;
mod output;
mod recorder;
mod voice;

pub use clip::{BYTES_MAX, Clip, ClipError, RATE_MAX, RATE_MIN, SECONDS_MAX};
pub use decode::{DecodeError, FILE_LEN_MAX, Format, decode};
pub use law::Law;
pub use limiter::CEILING;
pub use mixer::{Mixer, SOURCES_MAX, Source, SourceId, VOICES_MAX};
pub use output::Output;
pub use recorder::{FRAMES_MAX, Recorder};

/// Where the ears are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Listener {
    /// Metres.
    pub position: [f32; 3],
    /// A unit quaternion, x y z w, that turns −Z to where the listener looks and +X to the right ear.
    pub rotation: [f32; 4],
}

impl Default for Listener {
    fn default() -> Listener {
        Listener { position: [0.0; 3], rotation: [0.0, 0.0, 0.0, 1.0] }
    }
}
