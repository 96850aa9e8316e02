// SPDX-License-Identifier: AGPL-3.0-or-later
//! Sources become stereo.

use crate::{
    Law, Listener,
    clip::Clip,
    law,
    limiter::{Block, FRAMES, Limiter},
    voice::{Aim, Pace, Voice},
};
use std::sync::Arc;

/// Most sources of a mixer, heard or not. Each costs a look, some ninety times a second.
pub const SOURCES_MAX: usize = 4096;
/// Most voices that are mixed at once: of more sources the loudest are heard. More would not be told apart,
/// and each costs.
pub const VOICES_MAX: usize = 64;
/// Blocks between two choices of the sources that are heard: 11 ms at 48 kHz.
const CHOICE_BLOCKS: u32 = 8;
/// A source that is heard stays so until another is louder by this factor, so that two alike do not take turns.
const KEPT: f32 = 1.25;
/// The gain from which a source is worth a voice: 80 dB below full scale.
const FAINTEST: f32 = 1e-4;
/// Greatest gain of a source: 24 dB.
const GAIN_MAX: f32 = 16.0;
/// Slowest and fastest speed of a source: four octaves each way.
const PITCH_MIN: f32 = 1.0 / 16.0;
const PITCH_MAX: f32 = 16.0;
/// Farthest place in metres, along each axis.
const PLACE_MAX: f32 = 1e7;
/// Seconds in which the volume follows, by a factor of e.
const VOLUME_S: f32 = 0.02;
/// Lowest and highest rate of a mix in hertz; no device has others.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=384_000;

/// Which source. The numbers are the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u64);

/// A clip that sounds somewhere. What is out of range is brought into it.
#[derive(Clone, Debug)]
pub struct Source {
    /// What is heard. Another clip starts the source again.
    pub clip: Arc<Clip>,
    /// Where, in metres; `None`: around the listener, each channel in its ear.
    pub place: Option<[f32; 3]>,
    /// Factor of loudness, at most 16.
    pub gain: f32,
    /// Factor of speed and pitch, 1/16 to 16.
    pub pitch: f32,
    /// Begins again when it ends.
    pub looping: bool,
    /// How the gain falls with distance.
    pub law: Law,
    /// Another number starts the source again.
    pub start: u64,
    /// Seconds of the clip, at its own pace, that are left out when it starts. Of a loop the part beyond its
    /// length; what is not looped and has less than that is not heard.
    pub skip_s: f64,
}

impl Source {
    fn pitch(&self) -> f32 {
        if self.pitch.is_finite() { self.pitch.clamp(PITCH_MIN, PITCH_MAX) } else { 1.0 }
    }

    fn gain(&self) -> f32 {
        if self.gain.is_finite() { self.gain.clamp(0.0, GAIN_MAX) } else { 0.0 }
    }

    fn first_frame(&self) -> f64 {
        let frame = self.skip_s * f64::from(self.clip.rate());
        let frame = if frame.is_finite() { frame.max(0.0) } else { 0.0 };
        let frames = self.clip.frames() as f64;
        if self.looping { frame % frames } else { frame.min(frames) }
    }

    /// How loud it is for this listener, whatever its clip is.
    fn loudness(&self, listener: &Listener) -> f32 {
        let Some(place) = self.place else { return self.gain() * std::f32::consts::SQRT_2 };
        let [x, y, z] = std::array::from_fn(|axis| bounded(place[axis]) - listener.position[axis]);
        self.gain() * self.law.gain((x * x + y * y + z * z).sqrt())
    }

    /// Gains of the two ears for this listener.
    fn ears(&self, listener: &Listener) -> [f32; 2] {
        let Some(place) = self.place else { return [self.gain(); 2] };
        let to = law::relative(listener, place.map(bounded));
        let gain = self.gain() * self.law.gain(law::length(to));
        law::ears(to).map(|ear| ear * gain)
    }
}

fn bounded(v: f32) -> f32 {
    if v.is_finite() { v.clamp(-PLACE_MAX, PLACE_MAX) } else { 0.0 }
}

struct Entry {
    id: SourceId,
    source: Source,
    /// Next frame of the clip while it is not heard; a voice has its own.
    position: f64,
    ended: bool,
    heard: bool,
}

/// Mixes sources for one listener into stereo: 64 at once, the loudest; the others go on in time, unheard.
///
/// Nothing clicks: gains, places and speeds are smoothed, and what begins, ends or is cut off fades. The mix
/// never exceeds [`CEILING`](crate::CEILING): where sources together are louder, all are turned down for a while.
/// It is late by a block of 64 frames. The same calls give the same samples.
pub struct Mixer {
    pace: Pace,
    listener: Listener,
    /// In order of their ids.
    entries: Vec<Entry>,
    voices: Vec<Voice>,
    limiter: Limiter,
    volume: f32,
    volume_to: f32,
    volume_part: f32,
    /// The block that is being handed out, and how much of it was.
    block: Block,
    taken: usize,
    blocks_to_choice: u32,
    /// Frames by which what is not heard is to be moved on.
    due: f64,
    ranking: Vec<(f32, usize)>,
    released: Vec<Arc<Clip>>,
}

impl Mixer {
    /// A mixer of this many frames a second, brought into 8 to 384 kHz. The listener is at the origin.
    pub fn new(rate: u32) -> Mixer {
        let rate = rate.clamp(*RATES.start(), *RATES.end());
        Mixer {
            pace: Pace::new(rate),
            listener: Listener::default(),
            entries: Vec::with_capacity(SOURCES_MAX),
            voices: Vec::with_capacity(VOICES_MAX),
            limiter: Limiter::new(rate),
            volume: 1.0,
            volume_to: 1.0,
            volume_part: volume_part(rate),
            block: [[0.0; 2]; FRAMES],
            taken: FRAMES,
            blocks_to_choice: 0,
            due: 0.0,
            ranking: Vec::with_capacity(SOURCES_MAX),
            released: Vec::with_capacity(SOURCES_MAX),
        }
    }

    /// Frames a second of the mix.
    pub const fn rate(&self) -> u32 {
        self.pace.rate
    }

    /// Goes on at another rate. What was heard stops with a cut, and begins again where it was.
    pub fn set_rate(&mut self, rate: u32) {
        let rate = rate.clamp(*RATES.start(), *RATES.end());
        self.silence();
        self.pace = Pace::new(rate);
        self.limiter = Limiter::new(rate);
        self.volume_part = volume_part(rate);
        self.taken = FRAMES;
    }

    /// Factor for all that is heard, 0 to 1.
    pub fn set_volume(&mut self, volume: f32) {
        self.volume_to = if volume.is_finite() { volume.clamp(0.0, 1.0) } else { 1.0 };
        if self.voices.is_empty() {
            self.volume = self.volume_to;
        }
    }

    /// Where the ears are.
    pub fn listen(&mut self, listener: Listener) {
        let norm = listener.rotation.iter().map(|v| v * v).sum::<f32>().sqrt();
        let is_turn = norm.is_finite() && norm > 1e-3;
        let rotation =
            if is_turn { listener.rotation.map(|v| v / norm) } else { Listener::default().rotation };
        self.listener = Listener { position: listener.position.map(bounded), rotation };
    }

    /// Adds a source, or changes it: its gain, pitch and place without starting it again. `false` if there are
    /// [`SOURCES_MAX`] others.
    pub fn set(&mut self, id: SourceId, source: Source) -> bool {
        match self.entries.binary_search_by_key(&id, |entry| entry.id) {
            Ok(at) => {
                let before = &self.entries[at].source;
                let restarts = before.start != source.start || !Arc::ptr_eq(&before.clip, &source.clip);
                let moves_out = before.place.is_some() != source.place.is_some();
                if restarts || moves_out || before.pitch() != source.pitch() {
                    self.advance();
                }
                let entry = &mut self.entries[at];
                let before = std::mem::replace(&mut entry.source, source);
                let source = &entry.source;
                if entry.heard && (restarts || moves_out) {
                    // The voice that it had fades out, and it gets another.
                    entry.heard = false;
                    if let Some(voice) = self.voices.iter_mut().find(|voice| voice.owner == Some(id)) {
                        voice.owner = None;
                        entry.position = voice.position();
                    }
                }
                if restarts {
                    entry.position = source.first_frame();
                    entry.ended = false;
                    self.release(before.clip);
                    self.blocks_to_choice = 0;
                } else if moves_out {
                    self.blocks_to_choice = 0;
                }
            }
            Err(_) if self.entries.len() >= SOURCES_MAX => return false,
            Err(at) => {
                self.advance();
                let position = source.first_frame();
                self.entries.insert(at, Entry { id, source, position, ended: false, heard: false });
                self.blocks_to_choice = 0;
            }
        }
        true
    }

    /// Takes a source away; it fades out.
    pub fn remove(&mut self, id: SourceId) {
        let Ok(at) = self.entries.binary_search_by_key(&id, |entry| entry.id) else { return };
        let entry = self.entries.remove(at);
        if let Some(voice) = self.voices.iter_mut().find(|voice| voice.owner == Some(id)) {
            voice.owner = None;
        }
        self.release(entry.source.clip);
    }

    /// How many sources there are, and how many voices are mixed now.
    pub fn load(&self) -> (usize, usize) {
        (self.entries.len(), self.voices.len())
    }

    fn release(&mut self, clip: Arc<Clip>) {
        // Where nobody takes them they are freed here.
        if self.released.len() < SOURCES_MAX {
            self.released.push(clip);
        }
    }

    /// Clips that are not needed any more, for whoever may take the time to free them: whoever renders on a
    /// thread of a device may not.
    pub fn take_released(&mut self, into: &mut Vec<Arc<Clip>>) {
        into.append(&mut self.released);
    }

    /// Fills `out` with frames of left and right.
    pub fn render(&mut self, out: &mut [[f32; 2]]) {
        let mut rest = out;
        while !rest.is_empty() {
            if self.taken == FRAMES {
                self.block = self.next_block();
                self.taken = 0;
            }
            let count = rest.len().min(FRAMES - self.taken);
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(&self.block[self.taken..self.taken + count]);
            self.taken += count;
            rest = later;
        }
    }

    /// Lets time go by unheard: all sources are as far as if this had been rendered.
    pub fn pass(&mut self, seconds: f64) {
        let seconds = if seconds.is_finite() { seconds.clamp(0.0, 1e9) } else { 0.0 };
        self.silence();
        self.due += seconds * f64::from(self.pace.rate);
        self.advance();
    }

    /// Cuts all voices off; their sources keep their places.
    fn silence(&mut self) {
        self.advance();
        while let Some(voice) = self.voices.pop() {
            if let Some(id) = voice.owner
                && let Ok(at) = self.entries.binary_search_by_key(&id, |entry| entry.id)
            {
                self.entries[at].position = voice.position();
                self.entries[at].heard = false;
            }
            self.release(voice.clip);
        }
        self.blocks_to_choice = 0;
    }

    /// Moves on what is not heard by what is due.
    fn advance(&mut self) {
        let frames = std::mem::take(&mut self.due);
        if frames == 0.0 {
            return;
        }
        for entry in self.entries.iter_mut().filter(|entry| !entry.heard && !entry.ended) {
            let speed = self.pace.speed(&entry.source.clip, entry.source.pitch());
            let len = entry.source.clip.frames() as f64;
            entry.position += frames * f64::from(speed);
            if entry.source.looping {
                entry.position %= len;
            } else if entry.position >= len {
                entry.ended = true;
            }
        }
    }

    fn next_block(&mut self) -> Block {
        if self.blocks_to_choice == 0 {
            self.choose();
            self.blocks_to_choice = CHOICE_BLOCKS;
        }
        self.blocks_to_choice -= 1;
        let mut mix: Block = [[0.0; 2]; FRAMES];
        for at in (0..self.voices.len()).rev() {
            let voice = &mut self.voices[at];
            let owner = voice.owner.and_then(|id| {
                self.entries.binary_search_by_key(&id, |entry| entry.id).ok().map(|at| &mut self.entries[at])
            });
            if let Some(entry) = &owner {
                voice.aim(aim(&entry.source, &self.listener, &self.pace));
            }
            voice.mix(&self.pace, &mut mix);
            if voice.is_over() {
                // What has ended is not moved on, so that nothing needs to be moved on before.
                if let Some(entry) = owner {
                    entry.heard = false;
                    entry.ended = true;
                }
                let voice = self.voices.remove(at);
                self.release(voice.clip);
                // Somebody may wait for the place.
                self.blocks_to_choice = 0;
            }
        }
        self.due += FRAMES as f64;
        let (volume, volume_to) =
            (self.volume, self.volume + (self.volume_to - self.volume) * self.volume_part);
        self.volume = volume_to;
        if volume != 1.0 || volume_to != 1.0 {
            for (i, frame) in mix.iter_mut().enumerate() {
                let gain = volume + (volume_to - volume) * i as f32 / FRAMES as f32;
                *frame = frame.map(|sample| sample * gain);
            }
        }
        self.limiter.pass(&mix)
    }

    /// Gives voices to the loudest sources.
    fn choose(&mut self) {
        self.advance();
        let mut ranking = std::mem::take(&mut self.ranking);
        ranking.clear();
        for at in 0..self.entries.len() {
            let entry = &self.entries[at];
            if entry.ended {
                continue;
            }
            let loudness = entry.source.loudness(&self.listener) * if entry.heard { KEPT } else { 1.0 };
            if loudness > FAINTEST {
                ranking.push((loudness, at));
            } else {
                self.quieten(at);
            }
        }
        if ranking.len() > VOICES_MAX {
            ranking.select_nth_unstable_by(VOICES_MAX - 1, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            for (_, at) in &ranking[VOICES_MAX..] {
                self.quieten(*at);
            }
            ranking.truncate(VOICES_MAX);
        }
        // In order of ids, so that sums come out the same each time.
        ranking.sort_unstable_by_key(|(_, at)| *at);
        for (_, at) in &ranking {
            let entry = &mut self.entries[*at];
            if !entry.heard && self.voices.len() < VOICES_MAX {
                entry.heard = true;
                let source = &entry.source;
                let aim = aim(source, &self.listener, &self.pace);
                let (clip, as_recorded) = (source.clip.clone(), source.place.is_none());
                self.voices.push(Voice::new(entry.id, clip, as_recorded, entry.position, aim));
            }
        }
        self.ranking = ranking;
    }

    /// Takes the voice of an entry, which fades out.
    fn quieten(&mut self, at: usize) {
        let entry = &mut self.entries[at];
        if !std::mem::take(&mut entry.heard) {
            return;
        }
        if let Some(voice) = self.voices.iter_mut().find(|voice| voice.owner == Some(entry.id)) {
            voice.owner = None;
            entry.position = voice.position();
        }
    }
}

fn volume_part(rate: u32) -> f32 {
    1.0 - (-(FRAMES as f32) / (rate as f32 * VOLUME_S)).exp()
}

fn aim(source: &Source, listener: &Listener, pace: &Pace) -> Aim {
    Aim {
        gains: source.ears(listener),
        speed: pace.speed(&source.clip, source.pitch()),
        looping: source.looping,
    }
}
