// SPDX-License-Identifier: AGPL-3.0-or-later
//! A mix that is kept instead of played, for whoever wants to look at it.

use crate::{Listener, Mixer, Source, SourceId};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

/// Most frames that wait to be taken: ten minutes at 48 kHz. What comes then is mixed, and not kept.
pub const FRAMES_MAX: usize = 600 * 48_000;

/// Mixes when told to, and keeps what came out. Copies share one mix.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<Recording>>);

struct Recording {
    mixer: Mixer,
    kept: Vec<[f32; 2]>,
    /// What [`Recorder::record`] was told of time and has not rendered yet, in frames.
    due: f64,
    wall: Duration,
}

impl Recorder {
    /// Records so many frames a second. `wall` is the time since 1970-01-01 UTC at which it begins.
    pub fn new(rate: u32, wall: Duration) -> Recorder {
        let mixer = Mixer::new(rate);
        Recorder(Arc::new(Mutex::new(Recording { mixer, kept: Vec::new(), due: 0.0, wall })))
    }

    /// Frames a second.
    pub fn rate(&self) -> u32 {
        self.0.lock().mixer.rate()
    }

    /// The time since 1970-01-01 UTC up to which it has recorded.
    pub fn wall(&self) -> Duration {
        self.0.lock().wall
    }

    /// As [`Mixer::set_volume`].
    pub fn set_volume(&self, volume: f32) {
        self.0.lock().mixer.set_volume(volume);
    }

    /// As [`Mixer::set`].
    pub fn set(&self, id: SourceId, source: Source) -> bool {
        self.0.lock().mixer.set(id, source)
    }

    /// As [`Mixer::remove`].
    pub fn remove(&self, id: SourceId) {
        self.0.lock().mixer.remove(id);
    }

    /// As [`Mixer::listen`].
    pub fn listen(&self, listener: Listener) {
        self.0.lock().mixer.listen(listener);
    }

    /// As [`Mixer::load`].
    pub fn load(&self) -> (usize, usize) {
        self.0.lock().mixer.load()
    }

    /// Records for this long. Parts of a frame are made up for later.
    pub fn record(&self, time: Duration) {
        let mut recording = self.0.lock();
        let Recording { mixer, kept, due, wall } = &mut *recording;
        *wall += time;
        *due += time.as_secs_f64() * f64::from(mixer.rate());
        let mut frames = due.floor() as usize;
        *due -= frames as f64;
        let mut part = [[0.0; 2]; 512];
        while frames > 0 {
            let count = frames.min(part.len());
            mixer.render(&mut part[..count]);
            let room = FRAMES_MAX - kept.len();
            kept.extend_from_slice(&part[..count.min(room)]);
            frames -= count;
        }
        mixer.take_released(&mut Vec::new());
    }

    /// What was recorded since the last call: frames of left and right.
    pub fn take(&self) -> Vec<[f32; 2]> {
        std::mem::take(&mut self.0.lock().kept)
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recorder({} Hz)", self.rate())
    }
}
